/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

/**
 * usock_channel_pause:
 * @self: a channel
 *
 * Stops delivery at once, even in the middle of what one system call read.
 * What is not delivered waits, in the kernel for the most part, so that the
 * peer is held up in the end. Has no effect on
 * [method@Usock.Channel.receive_async] calls but to let them wait. While it is
 * paused, a channel whose peer is gone stays open.
 *
 * Since: 1.0
 */
void
usock_channel_pause (UsockChannel *self)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (self->paused)
    return;

  self->paused = TRUE;
  g_object_notify (G_OBJECT (self), "paused");
}

/**
 * usock_channel_resume:
 * @self: a channel
 *
 * Goes on with delivery after [method@Usock.Channel.pause].
 *
 * Since: 1.0
 */
void
usock_channel_resume (UsockChannel *self)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (!self->paused)
    return;

  self->paused = FALSE;
  usock_watch_wake (&usock_channel_socket (self)->watch);
  g_object_notify (G_OBJECT (self), "paused");
}

/* Takes the operation over, and puts it behind the others that wait. */
void
usock_channel_start_receiver (UsockChannel   *self,
                              UsockOperation *operation)
{
  UsockSocket *socket = usock_channel_socket (self);
  g_autoptr (GError) error = NULL;

  if (self->end_told)
    usock_channel_succeed_operation (self, operation);
  else if (socket->fate.is_final)
    usock_channel_fail_operation (self, operation, usock_channel_new_verdict (self));
  else if (socket->state == USOCK_STATE_NEW)
    usock_channel_fail_operation (self, operation,
                                  g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                                                       _("Could not receive: the channel was "
                                                         "never connected")));
  else if (!usock_socket_check (socket, &error))
    usock_channel_fail_operation (self, operation, g_steal_pointer (&error));
  else
    {
      usock_pending_push (&self->pending.receivers, operation);
      usock_watch_wake (&socket->watch);
    }
}

/**
 * usock_channel_receive_async:
 * @self: a channel
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Waits for the next message. Several calls may wait; they get a message
 * each, in order, before any signal. A cancelled call takes no message: the
 * next one gets it.
 *
 * Since: 1.0
 */
void
usock_channel_receive_async (UsockChannel        *self,
                             GCancellable        *cancellable,
                             GAsyncReadyCallback  callback,
                             gpointer             user_data)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_receive_async, callback,
                                 user_data))
    return;

  usock_channel_start_receiver (
      self, usock_channel_new_operation (self, usock_channel_receive_async, cancellable, callback,
                                         user_data));
}

/**
 * usock_channel_receive_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.receive_async].
 *
 * Fails with `G_IO_ERROR_CANCELLED`, with `G_IO_ERROR_CLOSED` if this program
 * closed the channel, and with the error that ended the channel, which is
 * `G_IO_ERROR_CONNECTION_CLOSED` if the peer closed without having read
 * everything.
 *
 * Returns: (transfer full) (nullable): the message, or %NULL without an error when the
 *   peer has ended and there are no more
 *
 * Since: 1.0
 */
UsockMessage *
usock_channel_receive_finish (UsockChannel  *self,
                              GAsyncResult  *result,
                              GError       **error)
{
  gpointer message;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), NULL);

  usock_operation_propagate (result, self, usock_channel_receive_async, &message, error);
  return message;
}
