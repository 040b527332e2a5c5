/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

/* What the oldest call has taken so far is first in line again, and what no handler has seen yet
 * is in line as well. */
static void
channel_gather (UsockChannel *self)
{
  UsockOperation *oldest = g_queue_peek_head (&self->pending.receivers);

  usock_channel_take_posts (self, TRUE);
  usock_inlet_stow (&self->inlet);
  if (oldest != NULL)
    usock_channel_give_back (oldest, self);
}

static guint
channel_count_held_fds (UsockQueue *inbox)
{
  guint n_fds = 0;

  for (guint i = 0; i < inbox->length; i++)
    n_fds += usock_message_get_n_fds (usock_queue_peek (inbox, i)->message);
  return n_fds;
}

static gboolean
channel_check_settled (UsockChannel  *self,
                       GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);
  const char *peer = usock_channel_peer (self);
  UsockQueue *inbox = &self->inlet.inbox;
  guint n_fds = channel_count_held_fds (inbox);

  if (!usock_channel_is_connected (self))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                 _("Could not give the connection to “%s” away: there is none yet"), peer);
  else if (socket->fate.error != NULL)
    g_propagate_error (error, g_error_copy (socket->fate.error));
  else if (self->outlet.n_queued > 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                 P_("Could not give the connection to “%s” away: %u message waits to be sent",
                    "Could not give the connection to “%s” away: %u messages wait to be sent",
                    self->outlet.n_queued),
                 peer, self->outlet.n_queued);
  else if (inbox->length > 0 && socket->type != SOCK_STREAM)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                 P_("Could not give the connection to “%s” away: %u message was read from it that "
                    "nobody has received yet",
                    "Could not give the connection to “%s” away: %u messages were read from it "
                    "that nobody has received yet",
                    inbox->length),
                 peer, inbox->length);
  else if (n_fds > 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                 P_("Could not give the connection to “%s” away: %u descriptor came that nobody "
                    "has received yet",
                    "Could not give the connection to “%s” away: %u descriptors came that nobody "
                    "has received yet",
                    n_fds),
                 peer, n_fds);
  else
    return TRUE;

  return FALSE;
}

/* A stream gives away what it has read ahead; NULL for nothing. */
gboolean
usock_channel_surrender (UsockSocket  *socket,
                         GBytes      **unread,
                         GError      **error)
{
  UsockChannel *self = USOCK_CHANNEL (socket);
  UsockQueue *inbox = &self->inlet.inbox;
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  channel_gather (self);
  if (!channel_check_settled (self, error))
    return FALSE;

  for (guint i = 0; i < inbox->length; i++)
    {
      gsize length;
      const guint8 *data = usock_message_get_data (usock_queue_peek (inbox, i)->message, &length);

      g_byte_array_append (bytes, data, length);
    }
  if (bytes->len > 0)
    *unread = g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
  return TRUE;
}
