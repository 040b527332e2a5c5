/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <string.h>

/* How many descriptors more than it asked for a call may come to hold while it waits for bytes. */
#define SPARE_FDS USOCK_IO_FDS_MAX

typedef enum
{
  WANT_EXACTLY,
  WANT_LINE,
  WANT_TEXT,
} Want;

/* A call that waits for a certain number of bytes, or a certain one. It holds what came since it
 * was the first in line, and gives back what it does not use. */
typedef struct
{
  Want want;
  gsize n_bytes;
  guint n_fds;

  GByteArray *bytes;
  GArray *fds;
  gsize scanned;               /* no line ends before here */
  GCredentials *credentials;   /* of whoever sent all of it */
  gboolean has_many_senders;
} Receiver;

static Receiver *
receiver_new (Want want)
{
  Receiver *self = g_new0 (Receiver, 1);

  self->want = want;
  self->bytes = g_byte_array_new ();
  self->fds = g_array_new (FALSE, FALSE, sizeof (int));
  return self;
}

static void
receiver_close_fds (Receiver *self)
{
  for (guint i = 0; i < self->fds->len; i++)
    usock_io_close_foreign (g_array_index (self->fds, int, i));
  g_array_set_size (self->fds, 0);
}

static void
receiver_free (gpointer data)
{
  Receiver *self = data;

  receiver_close_fds (self);
  g_array_unref (self->fds);
  g_byte_array_unref (self->bytes);
  g_clear_object (&self->credentials);
  g_free (self);
}

static gboolean
credentials_are_same (GCredentials *one,
                      GCredentials *other)
{
  const UsockCredentials *first, *second;

  if (one == NULL || other == NULL)
    return one == other;

  first = g_credentials_get_native (one, G_CREDENTIALS_TYPE_LINUX_UCRED);
  second = g_credentials_get_native (other, G_CREDENTIALS_TYPE_LINUX_UCRED);
  return memcmp (first, second, sizeof *first) == 0;
}

static void
receiver_add (Receiver     *self,
              UsockMessage *message)
{
  GCredentials *credentials = usock_message_get_credentials (message);
  gsize length, n_fds;
  const guint8 *data = usock_message_get_data (message, &length);
  g_autofree int *fds = usock_message_take_fds (message, &n_fds);

  if (self->bytes->len == 0)
    {
      g_set_object (&self->credentials, credentials);
      self->has_many_senders = FALSE;
    }
  else if (!credentials_are_same (self->credentials, credentials))
    {
      g_clear_object (&self->credentials);
      self->has_many_senders = TRUE;
    }

  g_byte_array_append (self->bytes, data, length);
  g_array_append_vals (self->fds, fds, n_fds);
}

/* Descriptors that go to the application, or back, by way of a message. */
static void
receiver_give_fds (Receiver     *self,
                   UsockMessage *message,
                   guint         n_fds)
{
  if (n_fds == 0)
    return;

  usock_message_receive_fds (message, (const int *) self->fds->data, n_fds,
                             usock_io_close_foreign);
  g_array_remove_range (self->fds, 0, n_fds);
}

/* The first @n_bytes and @n_fds of what is held. */
static UsockMessage *
receiver_take (Receiver *self,
               gsize     n_bytes,
               guint     n_fds)
{
  const UsockCredentials *credentials = NULL;
  GByteArray *bytes = g_byte_array_sized_new (n_bytes + 1);
  UsockMessage *message;

  g_byte_array_append (bytes, self->bytes->data, n_bytes);
  g_byte_array_append (bytes, (const guint8 *) "", 1);
  g_byte_array_set_size (bytes, n_bytes);
  if (n_bytes > 0)
    g_byte_array_remove_range (self->bytes, 0, n_bytes);
  self->scanned = 0;

  if (self->credentials != NULL && !self->has_many_senders)
    credentials = g_credentials_get_native (self->credentials, G_CREDENTIALS_TYPE_LINUX_UCRED);
  message = usock_message_new_assembled (g_byte_array_free_to_bytes (bytes));
  usock_message_receive_info (message, USOCK_MESSAGE_FLAGS_NONE, credentials, 0, NULL);
  receiver_give_fds (self, message, n_fds);
  return message;
}

/* What is left stands first in line again. */
void
usock_stream_give_back (UsockChannel   *channel,
                        UsockOperation *operation)
{
  Receiver *receiver = usock_stream_is_read (operation) ? NULL
                                                        : usock_operation_get_data (operation);

  if (receiver == NULL || (receiver->bytes->len == 0 && receiver->fds->len == 0))
    return;

  usock_queue_push_front (&channel->inbox,
                          receiver_take (receiver, receiver->bytes->len, receiver->fds->len));
}

/* Up to the last character that is whole. Text that is not valid ends right before what is wrong;
 * there is none if that comes first. */
static gsize
text_length (const Receiver *self,
             gboolean       *broken)
{
  const char *data = (const char *) self->bytes->data;
  const char *end = data;
  gsize length = self->bytes->len;
  gunichar next;

  *broken = FALSE;
  if (length == 0 || g_utf8_validate_len (data, length, &end))
    return length;

  next = g_utf8_get_char_validated (end, length - (end - data));
  *broken = *end == '\0' || next != (gunichar) -2;
  return end - data;
}

/* How many bytes make up what is wanted; 0 if they are not there yet. */
static gsize
receiver_find_line (Receiver *self)
{
  const guint8 *start = self->bytes->data;
  const guint8 *end = NULL;

  if (self->bytes->len > self->scanned)
    end = memchr (start + self->scanned, '\n', self->bytes->len - self->scanned);
  self->scanned = self->bytes->len;
  return end != NULL ? (gsize) (end - start) + 1 : 0;
}

static void
decide_text (Receiver       *self,
             UsockOperation *operation,
             gsize           n_bytes)
{
  g_autoptr (UsockMessage) message = receiver_take (self, n_bytes, 0);
  g_autofree char *text = NULL;
  GError *error = NULL;
  gsize length;

  text = usock_message_dup_text (message, &error);
  if (text == NULL)
    {
      g_byte_array_prepend (self->bytes, usock_message_get_data (message, NULL), n_bytes);
      usock_operation_return_error (operation, error);
      return;
    }

  length = strlen (text);
  if (self->want == WANT_LINE && length > 0 && text[length - 1] == '\n')
    text[--length] = '\0';
  if (self->want == WANT_LINE && length < n_bytes && length > 0 && text[length - 1] == '\r')
    text[--length] = '\0';
  usock_operation_return_pointer (operation, g_steal_pointer (&text), g_free);
}

static gboolean
receiver_decide_exactly (Receiver       *self,
                         UsockOperation *operation)
{
  if (self->bytes->len < self->n_bytes || self->fds->len < self->n_fds)
    return FALSE;

  usock_operation_return_pointer (operation, receiver_take (self, self->n_bytes, self->n_fds),
                                  (GDestroyNotify) usock_message_unref);
  return TRUE;
}

static gboolean
receiver_decide_line (Receiver       *self,
                      UsockOperation *operation)
{
  gsize n_bytes = receiver_find_line (self);

  if (n_bytes == 0)
    return FALSE;

  decide_text (self, operation, n_bytes);
  return TRUE;
}

static gboolean
receiver_decide_text (Receiver       *self,
                      UsockOperation *operation)
{
  gboolean broken;
  gsize n_bytes = text_length (self, &broken);

  if (n_bytes == 0 && !broken)
    return FALSE;

  decide_text (self, operation, n_bytes > 0 ? n_bytes : self->bytes->len);
  return TRUE;
}

static gboolean
receiver_decide (Receiver       *self,
                 UsockOperation *operation)
{
  switch (self->want)
    {
    case WANT_EXACTLY:
      return receiver_decide_exactly (self, operation);
    case WANT_LINE:
      return receiver_decide_line (self, operation);
    case WANT_TEXT:
      return receiver_decide_text (self, operation);
    default:
      g_assert_not_reached ();
    }
}

/* Nothing more will come. Descriptors that came with text which was taken belong to nobody. */
static void
receiver_decide_last (Receiver       *self,
                      UsockOperation *operation,
                      UsockChannel   *channel)
{
  if (self->want != WANT_EXACTLY && self->bytes->len == 0)
    receiver_close_fds (self);

  if (channel->broken != NULL)
    usock_operation_return_error (operation, g_error_copy (channel->broken));
  else if (self->bytes->len == 0 && self->fds->len == 0)
    usock_operation_return_pointer (operation, NULL, NULL);
  else if (self->want == WANT_EXACTLY)
    usock_operation_return_error (
        operation,
        g_error_new (G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT,
                     _("Could not receive from “%s”: it ended after %u of %zu bytes, with %u of %u "
                       "descriptors"),
                     usock_channel_peer (channel), self->bytes->len, self->n_bytes,
                     self->fds->len, self->n_fds));
  else
    decide_text (self, operation, self->bytes->len);
}

/* What the peer sends instead of what is waited for must not grow without end. */
static GError *
receiver_check_limits (Receiver     *self,
                       UsockChannel *channel)
{
  if (self->want == WANT_LINE && self->bytes->len >= channel->read_buffer_size)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                        _("Could not receive from “%s”: a line is longer than the read buffer of "
                          "%u bytes"),
                        usock_channel_peer (channel), channel->read_buffer_size);

  if (self->want == WANT_EXACTLY && self->bytes->len >= self->n_bytes
      && self->bytes->len - self->n_bytes >= channel->read_buffer_size)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                        _("Could not receive from “%s”: %u descriptors were awaited, and %u came "
                          "with %u bytes"),
                        usock_channel_peer (channel), self->n_fds, self->fds->len,
                        self->bytes->len);

  return NULL;
}

static gboolean
receiver_has_too_many_fds (Receiver *self)
{
  return self->fds->len > self->n_fds && self->fds->len - self->n_fds > SPARE_FDS;
}

gboolean
usock_stream_assemble (UsockChannel   *channel,
                       UsockOperation *operation,
                       gboolean        last)
{
  Receiver *receiver = usock_operation_get_data (operation);
  UsockQueueItem item;
  gboolean decided;
  GError *error;

  if (usock_stream_is_read (operation))
    return usock_stream_assemble_read (channel, operation, last);

  decided = receiver_decide (receiver, operation);
  while (!decided && usock_queue_pop (&channel->inbox, &item))
    {
      receiver_add (receiver, item.message);
      usock_message_unref (item.message);
      decided = receiver_decide (receiver, operation);
    }

  if (!decided && !last && receiver_has_too_many_fds (receiver))
    {
      usock_socket_fail (usock_channel_socket (channel),
                         g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                                      _("Could not receive from “%s”: %u descriptors came that "
                                        "nobody asked for"),
                                      usock_channel_peer (channel), receiver->fds->len));
      return FALSE;
    }

  error = decided || last ? NULL : receiver_check_limits (receiver, channel);
  if (error != NULL)
    usock_operation_return_error (operation, error);
  else if (!decided && last)
    receiver_decide_last (receiver, operation, channel);
  else if (!decided)
    return FALSE;

  usock_stream_give_back (channel, operation);
  return TRUE;
}

static void
stream_start_receiver (UsockStream         *self,
                       Receiver            *receiver,
                       gpointer             tag,
                       GCancellable        *cancellable,
                       GAsyncReadyCallback  callback,
                       gpointer             user_data)
{
  UsockOperation *operation = usock_channel_new_operation (USOCK_CHANNEL (self), tag, cancellable,
                                                           callback, user_data);

  usock_operation_set_data (operation, receiver, receiver_free);
  usock_channel_start_receiver (USOCK_CHANNEL (self), operation);
}

/**
 * usock_stream_receive_exactly_async:
 * @self: a stream
 * @n_bytes: how many bytes to wait for
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
  Receiver *receiver;

  g_return_if_fail (USOCK_IS_STREAM (self));

  receiver = receiver_new (WANT_EXACTLY);
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
 * `G_IO_ERROR_PARTIAL_INPUT` if the peer ended before it had sent enough, and
 * with `G_IO_ERROR_INVALID_DATA` if a read buffer full of bytes more came, and
 * the descriptors did not. What was received is still to be read then.
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
  gpointer message;

  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  usock_operation_propagate (result, self, usock_stream_receive_exactly_async, &message, error);
  return message;
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

  stream_start_receiver (self, receiver_new (WANT_LINE), usock_stream_receive_line_async,
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
 *   the stream; or %NULL without an error when the peer has ended and nothing is left
 *
 * Since: 1.0
 */
char *
usock_stream_receive_line_finish (UsockStream   *self,
                                  GAsyncResult  *result,
                                  GError       **error)
{
  gpointer line;

  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  usock_operation_propagate (result, self, usock_stream_receive_line_async, &line, error);
  return line;
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
  g_return_if_fail (USOCK_IS_STREAM (self));

  stream_start_receiver (self, receiver_new (WANT_TEXT), usock_stream_receive_text_async,
                         cancellable, callback, user_data);
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
  gpointer text;

  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  usock_operation_propagate (result, self, usock_stream_receive_text_async, &text, error);
  return text;
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
  UsockChannel *channel;
  UsockQueueItem *first;
  Receiver *receiver;

  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  channel = USOCK_CHANNEL (self);
  if (!usock_socket_check (USOCK_SOCKET (self), error))
    return FALSE;
  if (!usock_channel_is_connected (channel) || channel->end_emitted)
    {
      g_set_error (error, G_IO_ERROR,
                   channel->end_emitted ? G_IO_ERROR_CLOSED : G_IO_ERROR_NOT_CONNECTED,
                   _("Could not put back what came from “%s”: there is nothing to receive"),
                   usock_channel_peer (channel));
      return FALSE;
    }

  first = usock_queue_peek (&channel->receivers, 0);
  if (first != NULL)
    usock_stream_give_back (channel, first->operation);

  receiver = receiver_new (WANT_EXACTLY);
  receiver_add (receiver, message);
  usock_queue_push_front (&channel->inbox, receiver_take (receiver, receiver->bytes->len,
                                                          receiver->fds->len));
  receiver_free (receiver);
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
  return TRUE;
}
