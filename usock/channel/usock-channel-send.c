/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <string.h>

static gboolean
channel_send (UsockChannel  *self,
              UsockMessage  *message,
              gconstpointer  data,
              gsize          length,
              GError       **error)
{
  return usock_channel_send_on (self, self->outlet.route, message, data, length, NULL, error);
}

/**
 * usock_channel_send:
 * @self: a channel
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of one message
 * @length: how many bytes there are; 0 sends an empty message
 * @error: return location for an error
 *
 * Sends one message. @data is the caller's, and is copied only if it has to
 * wait. Once accepted, the message arrives after all that were accepted before
 * it, unless the channel fails, which [signal@Usock.Socket::error] reports;
 * [method@Usock.Channel.send_message_async] tells of each message.
 *
 * Fails with `G_IO_ERROR_WOULD_BLOCK` if the queue is full, see
 * [property@Usock.Channel:queue-limit]; with `G_IO_ERROR_MESSAGE_TOO_LARGE`
 * beyond the kernel's limit, about 4 MiB at the most; with
 * `G_IO_ERROR_BROKEN_PIPE` or `G_IO_ERROR_CONNECTION_CLOSED` if the peer is gone or
 * reads no more, though what it sent before is still received; with
 * `G_IO_ERROR_NOT_CONNECTED` before connecting, and with `G_IO_ERROR_CLOSED`
 * after [method@Usock.Channel.end] or [method@Usock.Socket.close]. The channel
 * keeps nothing of a message that it did not accept.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send (UsockChannel  *self,
                    const guint8  *data,
                    gsize          length,
                    GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);

  return channel_send (self, NULL, data, length, error);
}

/**
 * usock_channel_send_bytes:
 * @self: a channel
 * @bytes: (transfer none): one message
 * @error: return location for an error
 *
 * Sends one message as [method@Usock.Channel.send] does, with the same
 * errors. If it has to wait, @bytes is referenced instead of copied.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_bytes (UsockChannel  *self,
                          GBytes        *bytes,
                          GError       **error)
{
  g_autoptr (UsockMessage) message = NULL;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (bytes != NULL, FALSE);

  message = usock_message_new_from_bytes (bytes);
  return channel_send (self, message, NULL, g_bytes_get_size (bytes), error);
}

/**
 * usock_channel_send_text:
 * @self: a channel
 * @text: UTF-8 text
 * @error: return location for an error
 *
 * Sends @text as one message, without its final NUL, as
 * [method@Usock.Channel.send] does, with the same errors.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_text (UsockChannel  *self,
                         const char    *text,
                         GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (text != NULL, FALSE);

  return channel_send (self, NULL, text, strlen (text), error);
}

/**
 * usock_channel_send_with_fds:
 * @self: a channel
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of one message
 * @length: how many bytes there are
 * @fds: (array length=n_fds) (nullable): open descriptors, at most 253
 * @n_fds: how many descriptors there are
 * @error: return location for an error
 *
 * Sends one message with descriptors. The caller keeps them, and may close
 * them as soon as this returns: duplicates travel.
 *
 * Fails as [method@Usock.Channel.send] and [method@Usock.Message.append_fd]
 * do, and with `G_IO_ERROR_PERMISSION_DENIED` if the peer accepts none.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_with_fds (UsockChannel  *self,
                             const guint8  *data,
                             gsize          length,
                             const gint    *fds,
                             gsize          n_fds,
                             GError       **error)
{
  g_autoptr (UsockMessage) message = NULL;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);
  g_return_val_if_fail (fds != NULL || n_fds == 0, FALSE);

  message = usock_message_new (data, length);
  for (gsize i = 0; i < n_fds; i++)
    if (!usock_message_append_fd (message, fds[i], error))
      return FALSE;

  return channel_send (self, message, NULL, length, error);
}

/**
 * usock_channel_send_message:
 * @self: a channel
 * @message: (transfer none): one message
 * @error: return location for an error
 *
 * Sends one message with everything that it carries, as
 * [method@Usock.Channel.send] does, with the same errors, and with
 * `G_IO_ERROR_PERMISSION_DENIED` if the peer accepts no descriptors, or if the
 * message claims credentials that the process may not claim. Once it was
 * accepted, the message is frozen.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_message (UsockChannel  *self,
                            UsockMessage  *message,
                            GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  return channel_send (self, message, NULL, usock_message_get_length (message), error);
}

/**
 * usock_channel_send_now:
 * @self: a channel
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of one message
 * @length: how many bytes there are; 0 sends an empty message
 * @error: return location for an error
 *
 * Sends one message if it need not wait, which is what
 * [method@Usock.Channel.send_message_async] would do at once. Who waits for
 * room asks here first, and waits with that call only if this returns -1
 * without an error: then nothing was sent, and nothing is kept. It overtakes
 * nothing that was sent before.
 *
 * A stream may take the beginning. Then the rest is accepted as well, whatever
 * the limit, and [method@Usock.Channel.flush_async] tells when it has left.
 *
 * Fails as [method@Usock.Channel.send] does, except for want of room.
 *
 * Returns: 0 if the kernel has the message; how many bytes of it wait; or -1 if it was not
 *   accepted, with an error if it never will be
 *
 * Since: 1.0
 */
gssize
usock_channel_send_now (UsockChannel  *self,
                        const guint8  *data,
                        gsize          length,
                        GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), -1);
  g_return_val_if_fail (data != NULL || length == 0, -1);

  return usock_channel_send_at_once (self, self->outlet.route, data, length, error);
}

/**
 * usock_channel_send_messages:
 * @self: a channel
 * @messages: (array length=n_messages) (transfer none): messages
 * @n_messages: how many there are
 * @error: return location for an error
 *
 * Sends many messages with as few system calls as possible, in order. Stops
 * at the first that is not accepted; those before it are on their way. The
 * error says why if it is the first of all.
 *
 * Returns: how many were accepted; 0 with an error, unless @n_messages is 0
 *
 * Since: 1.0
 */
gsize
usock_channel_send_messages (UsockChannel   *self,
                             UsockMessage  **messages,
                             gsize           n_messages,
                             GError        **error)
{
  gsize accepted = 0;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);
  g_return_val_if_fail (messages != NULL || n_messages == 0, 0);
  g_return_val_if_fail (usock_channel_are_messages (messages, n_messages), 0);

  while (accepted < n_messages)
    {
      gsize n = usock_channel_send_some (self, messages + accepted, n_messages - accepted,
                                         accepted == 0 ? error : NULL);

      if (n == 0)
        break;
      accepted += n;
    }

  return accepted;
}

/**
 * usock_channel_send_message_async:
 * @self: a channel
 * @message: (transfer none): one message
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Sends one message, and completes when the kernel has taken it: when it is on
 * its way whatever becomes of this program. It waits for its turn however
 * full the queue is. Calls complete in order.
 *
 * A cancelled message was not sent, and a message that was sent cannot be
 * cancelled any more.
 *
 * Since: 1.0
 */
void
usock_channel_send_message_async (UsockChannel        *self,
                                  UsockMessage        *message,
                                  GCancellable        *cancellable,
                                  GAsyncReadyCallback  callback,
                                  gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;

  g_return_if_fail (USOCK_IS_CHANNEL (self));
  g_return_if_fail (message != NULL);

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_send_message_async, callback,
                                 user_data))
    return;

  operation = usock_channel_new_operation (self, usock_channel_send_message_async, cancellable,
                                           callback, user_data);
  if (!usock_channel_send_on (self, self->outlet.route, message, NULL,
                              usock_message_get_length (message), operation, &error))
    usock_channel_fail_operation (self, operation, error);
}

/**
 * usock_channel_send_message_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.send_message_async]. The errors are those of
 * [method@Usock.Channel.send_message], and `G_IO_ERROR_CANCELLED`.
 *
 * Returns: whether the message was sent
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_message_finish (UsockChannel  *self,
                                   GAsyncResult  *result,
                                   GError       **error)
{
  return usock_channel_finish_operation (self, result, usock_channel_send_message_async, error);
}
