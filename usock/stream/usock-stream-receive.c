/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-call-private.h"
#include "usock-stream-private.h"

/* The most that a call may ask for: arrays of bytes count in 32 bits. */
#define EXACTLY_MAX (1024 * 1024 * 1024)

static void
stream_start_receiver (UsockStream         *self,
                       UsockStreamCall     *receiver,
                       gpointer             tag,
                       GCancellable        *cancellable,
                       GAsyncReadyCallback  callback,
                       gpointer             user_data)
{
  UsockOperation *operation = usock_channel_new_operation (USOCK_CHANNEL (self), tag, cancellable,
                                                           callback, user_data);

  usock_operation_set_data (operation, receiver, usock_stream_call_free);
  if (receiver->n_bytes > EXACTLY_MAX)
    usock_channel_fail_operation (
        USOCK_CHANNEL (self), operation,
        g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                     _("Could not receive %zu bytes at once: the most is %d"), receiver->n_bytes,
                     EXACTLY_MAX));
  else if (receiver->want == USOCK_WANT_UNTIL && receiver->delimiter_length == 0)
    usock_channel_fail_operation (
        USOCK_CHANNEL (self), operation,
        g_error_new_literal (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                             _("Could not receive up to a delimiter: it is empty")));
  else
    usock_channel_start_receiver (USOCK_CHANNEL (self), operation);
}

static gpointer
stream_finish_receiver (UsockStream   *self,
                        GAsyncResult  *result,
                        gpointer       tag,
                        GError       **error)
{
  UsockStreamCall *receiver;
  gpointer value;

  usock_operation_propagate (result, self, tag, &value, error);
  if (value == NULL)
    return NULL;

  receiver = usock_operation_get_data (USOCK_OPERATION (result));
  self->cut_off = receiver->cut_off;
  self->line_ending = receiver->line_ending;
  return value;
}

static UsockStreamCall *
receiver_new_until (gconstpointer delimiter,
                    gsize         length)
{
  UsockStreamCall *self = usock_stream_call_new (USOCK_WANT_UNTIL);

  self->own_delimiter = g_memdup2 (delimiter, length);
  self->delimiter = self->own_delimiter;
  self->delimiter_length = length;
  return self;
}

static UsockStreamCall *
receiver_new_line (gboolean as_text)
{
  UsockStreamCall *self = usock_stream_call_new (USOCK_WANT_UNTIL);

  self->delimiter = "\n";
  self->delimiter_length = 1;
  self->is_line = TRUE;
  self->as_text = as_text;
  return self;
}

/**
 * usock_stream_receive_exactly_async:
 * @self: a stream
 * @n_bytes: how many bytes to wait for, at most 1 GiB
 * @n_fds: how many descriptors to wait for
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Waits for a number of bytes and of descriptors, and takes them together, in
 * whatever pieces they come. It stands in line with
 * [method@Usock.Channel.receive_async].
 *
 * Nothing is taken before all of it is there: what a cancelled call was
 * waiting with is left to the next. Descriptors that come beyond those asked
 * for wait for the next call, too.
 *
 * Since: 1.0
 */
void
usock_stream_receive_exactly_async (UsockStream         *self,
                                    gsize                n_bytes,
                                    guint                n_fds,
                                    GCancellable        *cancellable,
                                    GAsyncReadyCallback  callback,
                                    gpointer             user_data)
{
  UsockStreamCall *receiver;

  g_return_if_fail (USOCK_IS_STREAM (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_stream_receive_exactly_async, callback,
                                 user_data))
    return;

  receiver = usock_stream_call_new (USOCK_WANT_EXACTLY);
  receiver->n_bytes = n_bytes;
  receiver->n_fds = n_fds;
  stream_start_receiver (self, receiver, usock_stream_receive_exactly_async, cancellable, callback,
                         user_data);
}

/**
 * usock_stream_receive_exactly_finish:
 * @self: a stream
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Stream.receive_exactly_async].
 *
 * Fails as [method@Usock.Channel.receive_finish] does; with
 * `G_IO_ERROR_PARTIAL_INPUT` if the peer ended before it had sent enough;
 * with `G_IO_ERROR_INVALID_DATA` if a read buffer full of bytes more came, and
 * the descriptors did not; and with `G_IO_ERROR_INVALID_ARGUMENT` if too many
 * bytes were asked for. What was received is still to be read then.
 *
 * The message has credentials if all of its bytes have the same.
 *
 * Returns: (transfer full) (nullable): one message of exactly that many bytes and descriptors, or
 *   %NULL without an error when the peer has ended and nothing is left
 *
 * Since: 1.0
 */
UsockMessage *
usock_stream_receive_exactly_finish (UsockStream   *self,
                                     GAsyncResult  *result,
                                     GError       **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  return stream_finish_receiver (self, result, usock_stream_receive_exactly_async, error);
}

/**
 * usock_stream_receive_line_async:
 * @self: a stream
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Waits for a line of UTF-8 text, which LF or CRLF ends. It stands in line
 * with [method@Usock.Channel.receive_async]. A line may be as long as the
 * [property@Usock.Channel:read-buffer-size]. Descriptors that come with it are
 * left to who asks for descriptors.
 *
 * Since: 1.0
 */
void
usock_stream_receive_line_async (UsockStream         *self,
                                 GCancellable        *cancellable,
                                 GAsyncReadyCallback  callback,
                                 gpointer             user_data)
{
  g_return_if_fail (USOCK_IS_STREAM (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_stream_receive_line_async, callback,
                                 user_data))
    return;

  stream_start_receiver (self, receiver_new_line (TRUE), usock_stream_receive_line_async,
                         cancellable, callback, user_data);
}

/**
 * usock_stream_receive_line_finish:
 * @self: a stream
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Stream.receive_line_async].
 *
 * Fails as [method@Usock.Channel.receive_finish] does; with
 * `G_IO_ERROR_INVALID_DATA` if the line is not UTF-8 or has a NUL in it, and
 * with `G_IO_ERROR_MESSAGE_TOO_LARGE` if it is too long. The bytes are still to
 * be read then.
 *
 * Returns: (transfer full) (nullable): the line, without what ended it, which may be the end of
 *   the stream, see [method@Usock.Stream.was_cut_off]; or %NULL without an error when the peer has
 *   ended and nothing is left
 *
 * Since: 1.0
 */
char *
usock_stream_receive_line_finish (UsockStream   *self,
                                  GAsyncResult  *result,
                                  GError       **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  return stream_finish_receiver (self, result, usock_stream_receive_line_async, error);
}

/**
 * usock_stream_receive_line_bytes_async:
 * @self: a stream
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Waits for a line as [method@Usock.Stream.receive_line_async] does, whatever bytes it is made of.
 *
 * Since: 1.0
 */
void
usock_stream_receive_line_bytes_async (UsockStream         *self,
                                       GCancellable        *cancellable,
                                       GAsyncReadyCallback  callback,
                                       gpointer             user_data)
{
  g_return_if_fail (USOCK_IS_STREAM (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_stream_receive_line_bytes_async,
                                 callback, user_data))
    return;

  stream_start_receiver (self, receiver_new_line (FALSE), usock_stream_receive_line_bytes_async,
                         cancellable, callback, user_data);
}

/**
 * usock_stream_receive_line_bytes_finish:
 * @self: a stream
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Stream.receive_line_bytes_async].
 *
 * Fails as [method@Usock.Channel.receive_finish] does, and with `G_IO_ERROR_MESSAGE_TOO_LARGE` if
 * the line is too long. The bytes are still to be read then.
 *
 * The message has credentials if all of its bytes have the same. If the peer has ended within the
 * line, it has the flag `CUT_OFF`.
 *
 * Returns: (transfer full) (nullable): the line, without the LF or CRLF that ended it; or %NULL
 *   without an error when the peer has ended and nothing is left
 *
 * Since: 1.0
 */
UsockMessage *
usock_stream_receive_line_bytes_finish (UsockStream   *self,
                                        GAsyncResult  *result,
                                        GError       **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  return stream_finish_receiver (self, result, usock_stream_receive_line_bytes_async, error);
}

/**
 * usock_stream_receive_until_async:
 * @self: a stream
 * @delimiter: (array length=length) (element-type guint8): what to wait for, one byte at least
 * @length: how many bytes the delimiter has
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Waits for a delimiter, and takes all that comes before it, in whatever pieces; the delimiter is
 * taken as well. It stands in line with [method@Usock.Channel.receive_async].
 *
 * Both together may be as long as the [property@Usock.Channel:read-buffer-size]. Descriptors that
 * come with them are left to who asks for descriptors. Nothing behind the delimiter is touched: it
 * is received next, or goes along with [method@Usock.Stream.steal_connection].
 *
 * Since: 1.0
 */
void
usock_stream_receive_until_async (UsockStream         *self,
                                  const guint8        *delimiter,
                                  gsize                length,
                                  GCancellable        *cancellable,
                                  GAsyncReadyCallback  callback,
                                  gpointer             user_data)
{
  g_return_if_fail (USOCK_IS_STREAM (self));
  g_return_if_fail (delimiter != NULL || length == 0);

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_stream_receive_until_async, callback,
                                 user_data))
    return;

  stream_start_receiver (self, receiver_new_until (delimiter, length),
                         usock_stream_receive_until_async, cancellable, callback, user_data);
}

/**
 * usock_stream_receive_until_finish:
 * @self: a stream
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Stream.receive_until_async].
 *
 * Fails as [method@Usock.Channel.receive_finish] does; with `G_IO_ERROR_MESSAGE_TOO_LARGE` if a
 * read buffer full of bytes came, and the delimiter did not; and with
 * `G_IO_ERROR_INVALID_ARGUMENT` if the delimiter is empty. The bytes are still to be read then.
 *
 * The message has credentials if all of its bytes have the same. If the peer has ended before it
 * sent the delimiter, it has the flag `CUT_OFF`.
 *
 * Returns: (transfer full) (nullable): all before the delimiter; or %NULL without an error when
 *   the peer has ended and nothing is left
 *
 * Since: 1.0
 */
UsockMessage *
usock_stream_receive_until_finish (UsockStream   *self,
                                   GAsyncResult  *result,
                                   GError       **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  return stream_finish_receiver (self, result, usock_stream_receive_until_async, error);
}

/**
 * usock_stream_was_cut_off:
 * @self: a stream
 *
 * Tells whether the peer ended in the middle of what was received last: a line, or what
 * [method@Usock.Stream.receive_until_async] waited for. It is known as soon as that call has been
 * finished.
 *
 * Returns: whether it did
 *
 * Since: 1.0
 */
gboolean
usock_stream_was_cut_off (UsockStream *self)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);
  usock_socket_return_val_if_not_ours (self, FALSE);

  return self->cut_off;
}

/**
 * usock_stream_get_line_ending:
 * @self: a stream
 *
 * Tells what ended the line that was received last, so that who forwards lines, or puts one back
 * with [method@Usock.Stream.unread], keeps every byte. It is known as soon as that call has been
 * finished.
 *
 * Returns: (nullable): LF, or CRLF; %NULL if the peer ended in the middle of the line, or if it was
 *   not a line that was received last
 *
 * Since: 1.0
 */
const char *
usock_stream_get_line_ending (UsockStream *self)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);
  usock_socket_return_val_if_not_ours (self, NULL);

  return self->line_ending;
}

/**
 * usock_stream_receive_text_async:
 * @self: a stream
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Waits for some UTF-8 text, as it comes. A character of which only the first
 * bytes have come waits for the others. It stands in line with
 * [method@Usock.Channel.receive_async].
 *
 * Since: 1.0
 */
void
usock_stream_receive_text_async (UsockStream         *self,
                                 GCancellable        *cancellable,
                                 GAsyncReadyCallback  callback,
                                 gpointer             user_data)
{
  UsockStreamCall *receiver;

  g_return_if_fail (USOCK_IS_STREAM (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_stream_receive_text_async, callback,
                                 user_data))
    return;

  receiver = usock_stream_call_new (USOCK_WANT_TEXT);
  receiver->as_text = TRUE;
  stream_start_receiver (self, receiver, usock_stream_receive_text_async, cancellable, callback,
                         user_data);
}

/**
 * usock_stream_receive_text_finish:
 * @self: a stream
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Stream.receive_text_async].
 *
 * Fails as [method@Usock.Channel.receive_finish] does, and with
 * `G_IO_ERROR_INVALID_DATA` if what comes next is not UTF-8, or a NUL. The bytes
 * are still to be read then.
 *
 * Returns: (transfer full) (nullable): one or more characters, or %NULL without an error when
 *   the peer has ended and nothing is left
 *
 * Since: 1.0
 */
char *
usock_stream_receive_text_finish (UsockStream   *self,
                                  GAsyncResult  *result,
                                  GError       **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  return stream_finish_receiver (self, result, usock_stream_receive_text_async, error);
}

/**
 * usock_stream_unread:
 * @self: a stream
 * @message: (transfer none): what was received
 * @error: return location for an error
 *
 * Puts the bytes of @message, and those of its descriptors that were not
 * taken, back to where they came from: they are received next.
 *
 * Fails with `G_IO_ERROR_CLOSED` after [signal@Usock.Channel::end] or
 * [signal@Usock.Socket::close], and with `G_IO_ERROR_NOT_CONNECTED` before
 * connecting.
 *
 * Returns: whether they were put back
 *
 * Since: 1.0
 */
gboolean
usock_stream_unread (UsockStream   *self,
                     UsockMessage  *message,
                     GError       **error)
{
  UsockChannel *channel = USOCK_CHANNEL (self);
  UsockStreamCall *receiver;
  g_autoptr (GBytes) all = NULL;

  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  if (!usock_channel_check_unreadable (channel, error))
    return FALSE;

  usock_channel_begin_unread (channel);
  receiver = usock_stream_call_new (USOCK_WANT_EXACTLY);
  usock_stream_call_add (receiver, message);
  all = usock_stream_call_steal_bytes (receiver);
  usock_stream_call_give_back (receiver, channel, all, 0);
  usock_stream_call_free (receiver);
  return TRUE;
}
