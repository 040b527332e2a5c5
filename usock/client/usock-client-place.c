/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-client-private.h"

#include "usock-stream.h"

void
usock_client_place_clear (UsockClientPlace *self)
{
  g_clear_pointer (&self->text, g_free);
  g_clear_object (&self->address);
  g_clear_pointer (&self->label, g_free);
}

gboolean
usock_client_place_connect (UsockClientPlace  *self,
                            UsockChannel      *channel,
                            GError           **error)
{
  switch (self->kind)
    {
    case USOCK_CLIENT_PATH:
      return usock_channel_connect_to_path (channel, self->text, error);
    case USOCK_CLIENT_NAME:
      return usock_channel_connect_to_name (channel, self->text, error);
    case USOCK_CLIENT_ADDRESS:
      return usock_channel_connect_to_address (channel, self->address, error);
    case USOCK_CLIENT_HOST:
      return usock_stream_connect_to_host (USOCK_STREAM (channel), self->text, self->port,
                                           G_SOCKET_FAMILY_INVALID, error);
    default:
      g_assert_not_reached ();
    }
}
