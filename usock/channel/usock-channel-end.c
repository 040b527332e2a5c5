/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>

/**
 * usock_channel_flush_async:
 * @self: a channel
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Completes when the kernel has taken all messages that were accepted before
 * this call.
 *
 * Since: 1.0
 */
void
usock_channel_flush_async (UsockChannel        *self,
                           GCancellable        *cancellable,
                           GAsyncReadyCallback  callback,
                           gpointer             user_data)
{
  UsockOperation *operation;

  g_return_if_fail (USOCK_IS_CHANNEL (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_flush_async, callback,
                                 user_data))
    return;

  usock_channel_feed (self);
  operation = usock_channel_new_operation (self, usock_channel_flush_async, cancellable, callback,
                                           user_data);
  if (self->lost)
    usock_channel_fail_operation (self, operation, usock_channel_new_verdict (self));
  else if (!usock_outlet_mark (&self->outlet, operation))
    usock_channel_succeed_operation (self, operation);
}

/**
 * usock_channel_flush_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.flush_async]. The errors are
 * `G_IO_ERROR_CANCELLED`, and the one for which a message was not sent.
 *
 * Returns: whether everything was sent
 *
 * Since: 1.0
 */
gboolean
usock_channel_flush_finish (UsockChannel  *self,
                            GAsyncResult  *result,
                            GError       **error)
{
  return usock_channel_finish_operation (self, result, usock_channel_flush_async, error);
}

/**
 * usock_channel_end:
 * @self: a channel
 *
 * Ends our side: no more messages are accepted, those that wait are sent, and
 * then the peer sees the end, see shutdown(2). The peer's messages still come.
 * When both sides have ended, the channel closes.
 *
 * Since: 1.0
 */
void
usock_channel_end (UsockChannel *self)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (usock_socket_check (usock_channel_socket (self), NULL))
    usock_channel_begin_end (self);
}

/**
 * usock_channel_end_with_message:
 * @self: a channel
 * @message: (transfer none): the last message
 * @error: return location for an error
 *
 * Sends one last message, as [method@Usock.Channel.send_message] does, but
 * however full the queue is; then ends our side, as
 * [method@Usock.Channel.end] does. So a peer can always be told why.
 *
 * A datagram socket sends it to whom it is connected to, and accepts no more
 * messages for anybody.
 *
 * The errors are those of [method@Usock.Channel.send_message], without
 * `G_IO_ERROR_WOULD_BLOCK`. Our side has not ended then.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_end_with_message (UsockChannel  *self,
                                UsockMessage  *message,
                                GError       **error)
{
  GError *reason = NULL;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  if (!usock_channel_send_message (self, message, &reason))
    {
      if (!g_error_matches (reason, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        {
          g_propagate_error (error, reason);
          return FALSE;
        }
      g_error_free (reason);
      usock_channel_enqueue (self, self->outlet.route, usock_message_ref (message), NULL);
    }

  usock_channel_end (self);
  return TRUE;
}

/* Takes the operation over. */
static void
channel_start_end (UsockChannel   *self,
                   UsockOperation *operation)
{
  GError *error = NULL;

  if (usock_channel_socket (self)->state == USOCK_STATE_NEW)
    g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                         _("Could not end: the channel is not connected"));
  else if (self->lost)
    error = usock_channel_new_verdict (self);
  else if (self->ended)
    {
      usock_channel_succeed_operation (self, operation);
      return;
    }
  else
    usock_socket_check (usock_channel_socket (self), &error);

  if (error != NULL)
    {
      usock_channel_fail_operation (self, operation, error);
      return;
    }

  usock_pending_push (&self->pending.enders, operation);
  usock_channel_begin_end (self);
}

/**
 * usock_channel_end_async:
 * @self: a channel
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Ends our side as [method@Usock.Channel.end] does, and completes when
 * everything was sent and the end too. Cancelling stops the waiting only.
 *
 * Since: 1.0
 */
void
usock_channel_end_async (UsockChannel        *self,
                         GCancellable        *cancellable,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_end_async, callback, user_data))
    return;

  channel_start_end (self, usock_channel_new_operation (self, usock_channel_end_async, cancellable,
                                                        callback, user_data));
}

/**
 * usock_channel_end_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.end_async]. The errors are
 * `G_IO_ERROR_CANCELLED`, and those that ended the channel before.
 *
 * Returns: whether our side has ended
 *
 * Since: 1.0
 */
gboolean
usock_channel_end_finish (UsockChannel  *self,
                          GAsyncResult  *result,
                          GError       **error)
{
  return usock_channel_finish_operation (self, result, usock_channel_end_async, error);
}

static gboolean
channel_check_closable (UsockChannel  *self,
                        GError       **error)
{
  if (self->pending.closer == NULL)
    return usock_socket_check (usock_channel_socket (self), error);

  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                       _("Could not close: the channel is being closed already"));
  return FALSE;
}

/* Takes the operation over. */
static void
channel_start_closing (UsockChannel   *self,
                       UsockOperation *operation,
                       int             timeout)
{
  self->pending.closer = operation;
  if (timeout >= 0)
    self->close_due = g_get_monotonic_time () + timeout * G_GINT64_CONSTANT (1000);
  usock_channel_resume (self);
  usock_channel_begin_end (self);
  usock_channel_schedule (self);
  usock_watch_wake (&usock_channel_socket (self)->watch);
}

/**
 * usock_channel_close_gracefully_async:
 * @self: a channel
 * @timeout: how long to take at the most, in milliseconds; -1 for ever, 0 not at all
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Closes so that nothing is lost: sends what waits, ends our side, and reads
 * until the peer has ended too, delivering what comes; if nobody listens any
 * more it is read all the same. Completes when the channel is closed.
 *
 * When @timeout is over, the channel fails with `G_IO_ERROR_TIMED_OUT`.
 * Cancelling stops the waiting, and leaves our side ended.
 *
 * Since: 1.0
 */
void
usock_channel_close_gracefully_async (UsockChannel        *self,
                                      gint                 timeout,
                                      GCancellable        *cancellable,
                                      GAsyncReadyCallback  callback,
                                      gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;

  g_return_if_fail (USOCK_IS_CHANNEL (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_close_gracefully_async, callback,
                                 user_data))
    return;

  operation = usock_channel_new_operation (self, usock_channel_close_gracefully_async, cancellable,
                                           callback, user_data);
  if (!channel_check_closable (self, &error))
    usock_channel_fail_operation (self, operation, error);
  else if (usock_channel_socket (self)->state != USOCK_STATE_NEW)
    channel_start_closing (self, operation, timeout);
  else
    {
      /* There is nothing to lose: closed at once is closed gracefully. */
      usock_socket_close (USOCK_SOCKET (self));
      usock_channel_succeed_operation (self, operation);
    }
}

/**
 * usock_channel_close_gracefully_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.close_gracefully_async]. Fails with
 * `G_IO_ERROR_TIMED_OUT`, `G_IO_ERROR_CANCELLED`, with `G_IO_ERROR_CLOSED` if the
 * channel was closed before, and with whatever error ended it meanwhile.
 *
 * Returns: whether everything was sent and the peer has ended
 *
 * Since: 1.0
 */
gboolean
usock_channel_close_gracefully_finish (UsockChannel  *self,
                                       GAsyncResult  *result,
                                       GError       **error)
{
  return usock_channel_finish_operation (self, result, usock_channel_close_gracefully_async, error);
}
