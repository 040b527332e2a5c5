/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <string.h>

/* How many descriptors more than it asked for a call may come to hold while it waits for bytes. */
#define SPARE_FDS USOCK_IO_FDS_MAX

/* The most that a call may ask for: arrays of bytes count in 32 bits. */
#define EXACTLY_MAX (1024 * 1024 * 1024)

/* What is left of a piece is not copied, unless it is so little that it would keep alive far more
 * than itself. */
#define COPY_MAX 1024

typedef enum
{
  WANT_EXACTLY,
  WANT_UNTIL,
  WANT_TEXT,
} Want;

/* A call that waits for a certain number of bytes, or certain ones. It holds what came since it
 * was the first in line, and gives back what it does not use. */
typedef struct
{
  Want want;
  gsize n_bytes;
  guint n_fds;
  const char *delimiter;
  gsize delimiter_length;
  char *own_delimiter; /* NULL if it lasts for ever */
  gboolean is_line; /* a CR before the delimiter is part of it */
  gboolean as_text; /* and not as a message */
  gboolean cut_off; /* by the end, before the delimiter */
  const char *line_ending; /* NULL for none */

  GByteArray *bytes;
  GArray *fds;
  UsockTally *tally; /* of the descriptors, once there were some */
  gsize scanned;     /* no delimiter ends before here */

  /* Several may have sent what is held: who sent all up to a byte, and all from one on. */
  GCredentials *first;
  GCredentials *last;
  gsize first_end;
  gsize last_start;
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
    usock_io_close_foreign (g_array_index (self->fds, int, i), self->tally);
  g_array_set_size (self->fds, 0);
}

static void
receiver_free (gpointer data)
{
  Receiver *self = data;

  receiver_close_fds (self);
  g_clear_pointer (&self->tally, usock_tally_unref);
  g_array_unref (self->fds);
  g_byte_array_unref (self->bytes);
  g_free (self->own_delimiter);
  g_clear_object (&self->first);
  g_clear_object (&self->last);
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
receiver_note_sender (Receiver     *self,
                      GCredentials *credentials,
                      gsize         length)
{
  gsize before = self->bytes->len;

  if (before == 0)
    {
      g_set_object (&self->first, credentials);
      g_set_object (&self->last, credentials);
      self->first_end = self->last_start = 0;
    }
  else if (!credentials_are_same (self->last, credentials))
    {
      g_set_object (&self->last, credentials);
      self->last_start = before;
    }

  if (self->last_start == 0)
    self->first_end = before + length;
}

static void
receiver_take_fds (Receiver     *self,
                   UsockMessage *message)
{
  gsize n_fds;
  g_autofree int *fds = usock_message_take_fds (message, &n_fds);

  g_array_append_vals (self->fds, fds, n_fds);
  if (self->tally == NULL)
    self->tally = usock_message_ref_tally (message);
}

static void
receiver_add (Receiver     *self,
              UsockMessage *message)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);

  receiver_note_sender (self, usock_message_get_credentials (message), length);
  receiver_take_fds (self, message);
  g_byte_array_append (self->bytes, data, length);
}

/* All bytes that are held, with a NUL behind them. */
static GBytes *
receiver_steal_bytes (Receiver *self)
{
  GByteArray *bytes = g_steal_pointer (&self->bytes);
  gsize length = bytes->len;

  self->bytes = g_byte_array_new ();
  self->scanned = 0;
  g_byte_array_append (bytes, (const guint8 *) "", 1);
  g_byte_array_set_size (bytes, length);
  return g_byte_array_free_to_bytes (bytes);
}

/* The first @n_fds of the descriptors go with the message. */
static UsockMessage *
receiver_new_message (Receiver          *self,
                      GBytes            *bytes,
                      UsockMessageFlags  flags,
                      GCredentials      *credentials,
                      guint              n_fds)
{
  UsockMessage *message = usock_message_new_assembled (bytes);

  usock_message_receive_info (message, flags,
                              credentials != NULL
                                  ? g_credentials_get_native (credentials,
                                                              G_CREDENTIALS_TYPE_LINUX_UCRED)
                                  : NULL,
                              0, NULL);
  if (n_fds > 0)
    {
      usock_message_receive_fds (message, (const int *) self->fds->data, n_fds,
                                 usock_io_close_now);
      usock_message_receive_tally (message, self->tally);
      g_array_remove_range (self->fds, 0, n_fds);
    }
  return message;
}

static GBytes *
bytes_copy (const guint8 *data,
            gsize         length)
{
  guint8 *copy = g_malloc (length + 1);

  if (length > 0)
    memcpy (copy, data, length);
  copy[length] = '\0';
  return g_bytes_new_take (copy, length);
}

static UsockMessage *
receiver_new_first (Receiver          *self,
                    GBytes            *all,
                    gsize              n_bytes,
                    UsockMessageFlags  flags,
                    guint              n_fds)
{
  return receiver_new_message (self,
                               n_bytes == g_bytes_get_size (all)
                                   ? g_bytes_ref (all)
                                   : bytes_copy (g_bytes_get_data (all, NULL), n_bytes),
                               flags, n_bytes <= self->first_end ? self->first : NULL, n_fds);
}

/* What stands behind the first @n_bytes of @all is first in line again, with all descriptors. */
static void
receiver_give_back (Receiver     *self,
                    UsockChannel *channel,
                    GBytes       *all,
                    gsize         n_bytes)
{
  gsize rest = g_bytes_get_size (all) - n_bytes;

  if (rest == 0 && self->fds->len == 0)
    return;

  usock_inlet_put_back (
      &channel->inlet,
      receiver_new_message (self,
                            rest > COPY_MAX
                                ? g_bytes_new_from_bytes (all, n_bytes, rest)
                                : bytes_copy ((const guint8 *) g_bytes_get_data (all, NULL)
                                                  + n_bytes, rest),
                            USOCK_MESSAGE_FLAGS_NONE,
                            n_bytes >= self->last_start ? self->last : NULL, self->fds->len));
}

void
usock_stream_give_back (UsockChannel   *channel,
                        UsockOperation *operation)
{
  Receiver *receiver = usock_operation_get_data (operation);
  g_autoptr (GBytes) all = NULL;

  if (receiver == NULL)
    return;

  all = receiver_steal_bytes (receiver);
  receiver_give_back (receiver, channel, all, 0);
}

/* Up to the last character that is whole. Text that is not valid ends right before what is wrong;
 * where that comes first, everything is what is wrong. */
static gsize
measure_text (const char *data,
              gsize       length)
{
  const char *end = data;
  gunichar next;

  if (length == 0 || g_utf8_validate_len (data, length, &end))
    return length;

  next = g_utf8_get_char_validated (end, length - (end - data));
  return end == data && (*end == '\0' || next != (gunichar) -2) ? length : (gsize) (end - data);
}

/* Up to the end of the first delimiter, or 0. One may have begun in what was scanned before. */
static gsize
receiver_find_delimiter (Receiver     *self,
                         const guint8 *data,
                         gsize         length)
{
  gsize size = self->delimiter_length;
  gsize from = self->scanned - MIN (self->scanned, size - 1);
  const guint8 *found = length - from >= size
                            ? memmem (data + from, length - from, self->delimiter, size)
                            : NULL;

  return found != NULL ? (gsize) (found - data) + size : 0;
}

/* How many of the bytes are what is wanted; FALSE if it is not there yet. */
static gboolean
receiver_measure (Receiver     *self,
                  const guint8 *data,
                  gsize         length,
                  guint         n_fds,
                  gsize        *n_bytes)
{
  switch (self->want)
    {
    case WANT_EXACTLY:
      *n_bytes = self->n_bytes;
      return length >= self->n_bytes && n_fds >= self->n_fds;

    case WANT_UNTIL:
      *n_bytes = receiver_find_delimiter (self, data, length);
      return *n_bytes > 0;

    case WANT_TEXT:
      *n_bytes = measure_text ((const char *) data, length);
      return *n_bytes > 0;

    default:
      g_assert_not_reached ();
    }
}

/* How much of what was taken stands before the delimiter. What the end cut off has none. */
static gsize
receiver_measure_content (Receiver     *self,
                          const guint8 *data,
                          gsize         n_bytes,
                          gboolean      cut_off)
{
  gsize length = n_bytes;

  if (self->want != WANT_UNTIL || cut_off)
    return length;

  length -= self->delimiter_length;
  return self->is_line && length > 0 && data[length - 1] == '\r' ? length - 1 : length;
}

/* Returns whether it was taken. */
static gboolean
receiver_return_text (Receiver       *self,
                      UsockOperation *operation,
                      UsockMessage   *message)
{
  GError *error = NULL;
  char *text = usock_message_dup_text (message, &error);

  if (text != NULL)
    usock_operation_return_pointer (operation, text, g_free);
  else
    usock_operation_return_error (operation, error);
  return text != NULL;
}

/* What is wanted are the first @n_bytes; the rest is first in line again. */
static void
receiver_return (Receiver       *self,
                 UsockChannel   *channel,
                 UsockOperation *operation,
                 GBytes         *all,
                 gsize           n_bytes,
                 gboolean        cut_off)
{
  gsize length = receiver_measure_content (self, g_bytes_get_data (all, NULL), n_bytes, cut_off);
  g_autoptr (UsockMessage) message = receiver_new_first (
      self, all, length, cut_off ? USOCK_MESSAGE_FLAGS_CUT_OFF : USOCK_MESSAGE_FLAGS_NONE,
      self->n_fds);

  if (!self->as_text)
    usock_operation_return_pointer (operation, g_steal_pointer (&message),
                                    (GDestroyNotify) usock_message_unref);
  else if (!receiver_return_text (self, operation, message))
    n_bytes = 0;

  self->cut_off = cut_off;
  if (self->is_line && !cut_off)
    self->line_ending = n_bytes - length == 2 ? "\r\n" : "\n";
  receiver_give_back (self, channel, all, n_bytes);
}

/* Many lines may come in one piece: it is not joined with anything, nor copied as a whole, for
 * each of them. */
static gboolean
receiver_decide_by_first (Receiver       *self,
                          UsockChannel   *channel,
                          UsockOperation *operation)
{
  UsockQueueItem *first = usock_queue_peek (&channel->inlet.inbox, 0);
  g_autoptr (GBytes) all = NULL;
  UsockQueueItem item;
  const guint8 *data;
  gsize length, n_bytes;

  if (first == NULL || self->bytes->len > 0 || self->fds->len > 0)
    return FALSE;

  data = usock_message_get_data (first->message, &length);
  if (!receiver_measure (self, data, length, usock_message_get_n_fds (first->message), &n_bytes))
    return FALSE;

  usock_queue_pop (&channel->inlet.inbox, &item);
  all = g_bytes_ref (usock_message_get_bytes (item.message));
  receiver_note_sender (self, usock_message_get_credentials (item.message), length);
  receiver_take_fds (self, item.message);
  usock_message_unref (item.message);
  receiver_return (self, channel, operation, all, n_bytes, FALSE);
  return TRUE;
}

static gboolean
receiver_decide (Receiver       *self,
                 UsockChannel   *channel,
                 UsockOperation *operation)
{
  g_autoptr (GBytes) all = NULL;
  gsize n_bytes;

  if (!receiver_measure (self, self->bytes->data, self->bytes->len, self->fds->len, &n_bytes))
    {
      self->scanned = self->bytes->len;
      return FALSE;
    }

  all = receiver_steal_bytes (self);
  receiver_return (self, channel, operation, all, n_bytes, FALSE);
  return TRUE;
}

/* Nothing more will come. Descriptors that came with text which was taken belong to nobody. */
static void
receiver_decide_last (Receiver       *self,
                      UsockChannel   *channel,
                      UsockOperation *operation)
{
  g_autoptr (GBytes) all = NULL;

  if (self->want != WANT_EXACTLY && self->bytes->len == 0)
    receiver_close_fds (self);

  if (usock_channel_socket (channel)->fate.error != NULL)
    usock_operation_return_error (operation, usock_channel_new_verdict (channel));
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
    {
      all = receiver_steal_bytes (self);
      receiver_return (self, channel, operation, all, g_bytes_get_size (all),
                       self->want == WANT_UNTIL);
      return;
    }

  usock_stream_give_back (channel, operation);
}

/* What the peer sends instead of what is waited for must not grow without end. */
static GError *
receiver_check_limits (Receiver     *self,
                       UsockChannel *channel)
{
  if (self->want == WANT_UNTIL && self->bytes->len >= channel->inlet.read_buffer_size)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                        self->is_line
                            ? _("Could not receive from “%s”: a line is longer than the read "
                                "buffer of %u bytes")
                            : _("Could not receive from “%s”: the read buffer of %u bytes is full, "
                                "and the delimiter has not come"),
                        usock_channel_peer (channel), channel->inlet.read_buffer_size);

  if (self->want == WANT_EXACTLY && self->bytes->len >= self->n_bytes
      && self->bytes->len - self->n_bytes >= channel->inlet.read_buffer_size)
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
  GError *error;

  if (receiver_decide_by_first (receiver, channel, operation)
      || receiver_decide (receiver, channel, operation))
    return TRUE;

  while (usock_queue_pop (&channel->inlet.inbox, &item))
    {
      receiver_add (receiver, item.message);
      usock_message_unref (item.message);
      if (receiver_decide (receiver, channel, operation))
        return TRUE;
    }

  if (last)
    {
      receiver_decide_last (receiver, channel, operation);
      return TRUE;
    }

  if (receiver_has_too_many_fds (receiver))
    {
      usock_socket_fail (usock_channel_socket (channel),
                         g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                                      _("Could not receive from “%s”: %u descriptors came that "
                                        "nobody asked for"),
                                      usock_channel_peer (channel), receiver->fds->len));
      return FALSE;
    }

  error = receiver_check_limits (receiver, channel);
  if (error == NULL)
    return FALSE;

  usock_operation_return_error (operation, error);
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
  if (receiver->n_bytes > EXACTLY_MAX)
    usock_channel_fail_operation (
        USOCK_CHANNEL (self), operation,
        g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                     _("Could not receive %zu bytes at once: the most is %d"), receiver->n_bytes,
                     EXACTLY_MAX));
  else if (receiver->want == WANT_UNTIL && receiver->delimiter_length == 0)
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
  Receiver *receiver;
  gpointer value;

  usock_operation_propagate (result, self, tag, &value, error);
  if (value == NULL)
    return NULL;

  receiver = usock_operation_get_data (USOCK_OPERATION (result));
  self->cut_off = receiver->cut_off;
  self->line_ending = receiver->line_ending;
  return value;
}

static Receiver *
receiver_new_until (gconstpointer delimiter,
                    gsize         length)
{
  Receiver *self = receiver_new (WANT_UNTIL);

  self->own_delimiter = g_memdup2 (delimiter, length);
  self->delimiter = self->own_delimiter;
  self->delimiter_length = length;
  return self;
}

static Receiver *
receiver_new_line (gboolean as_text)
{
  Receiver *self = receiver_new (WANT_UNTIL);

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
  Receiver *receiver;

  g_return_if_fail (USOCK_IS_STREAM (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_stream_receive_exactly_async, callback,
                                 user_data))
    return;

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
  Receiver *receiver;

  g_return_if_fail (USOCK_IS_STREAM (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_stream_receive_text_async, callback,
                                 user_data))
    return;

  receiver = receiver_new (WANT_TEXT);
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
  Receiver *receiver;
  g_autoptr (GBytes) all = NULL;

  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  if (!usock_channel_check_unreadable (channel, error))
    return FALSE;

  usock_channel_begin_unread (channel);
  receiver = receiver_new (WANT_EXACTLY);
  receiver_add (receiver, message);
  all = receiver_steal_bytes (receiver);
  receiver_give_back (receiver, channel, all, 0);
  receiver_free (receiver);
  return TRUE;
}
