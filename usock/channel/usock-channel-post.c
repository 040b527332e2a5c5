/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

/* In whatever thread: what is read here may change meanwhile, and is looked at again by who sends. */
static gboolean
channel_check_postable (UsockChannel  *self,
                        GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);

  switch (usock_socket_get_state (socket))
    {
    case USOCK_STATE_OPEN:
    case USOCK_STATE_WRITE_ONLY:
    case USOCK_STATE_CONNECTING:
      if (!usock_reactor_is_inherited (socket->reactor))
        return TRUE;
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                           _("Could not post a message: the channel was inherited by a forked "
                             "process, which may only close it"));
      return FALSE;
    case USOCK_STATE_NEW:
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                           _("Could not post a message: the channel is not connected"));
      return FALSE;
    case USOCK_STATE_READ_ONLY:
    case USOCK_STATE_CLOSING:
    case USOCK_STATE_CLOSED:
    case USOCK_STATE_LISTENING:
    default:
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                           _("Could not post a message: our side of the channel has ended"));
      return FALSE;
    }
}

/**
 * usock_channel_post:
 * @self: a channel
 * @message: (transfer none): one message
 * @error: return location for an error
 *
 * Hands one message to the thread that owns the channel, which sends it in a
 * turn of its main context. This is the one call of a channel that any thread
 * may make, at any time while it holds a reference.
 *
 * Messages that were posted leave in the order in which they were, but for
 * those of [method@Usock.Channel.send] that the owner sends meanwhile. What waits
 * to be sent is counted against [property@Usock.Channel:queue-limit] twice: as
 * much again may have been posted, and not be taken up yet. A message that
 * can not be sent ends the channel as one would that had to wait, and a datagram
 * socket tells of it. When the channel is closed, or ends, before a message was
 * taken up, the message is dropped, and nobody is told; what was posted before the
 * owner calls [method@Usock.Channel.end] or [method@Usock.Socket.close] was taken
 * up. Once it was accepted, the message is frozen.
 *
 * Fails with `G_IO_ERROR_WOULD_BLOCK` if too much was posted already, with
 * `G_IO_ERROR_NOT_CONNECTED` before connecting, with `G_IO_ERROR_CLOSED` after the
 * end of our side, and with `G_IO_ERROR_NOT_SUPPORTED` in a forked process.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_post (UsockChannel  *self,
                    UsockMessage  *message,
                    GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  if (!channel_check_postable (self, error))
    return FALSE;

  switch (usock_postbox_put (&self->postbox, message))
    {
    case USOCK_POST_TAKEN:
      usock_watch_interrupt (&usock_channel_socket (self)->watch);
      return TRUE;
    case USOCK_POST_FULL:
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
                           _("Could not post a message: the channel does not keep up"));
      return FALSE;
    case USOCK_POST_CLOSED:
    default:
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                           _("Could not post a message: our side of the channel has ended"));
      return FALSE;
    }
}
