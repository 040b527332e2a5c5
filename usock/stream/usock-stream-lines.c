/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <string.h>

/* Lines that one piece brought, taken together. What spans two pieces, is no text, has descriptors
 * or a sender is left to the calls that wait, which know what to do with it. */

/* Where the line at @start ends, with what ends it; 0 if it does not, or is no text. */
static gsize
find_line (const char *data,
           gsize       length,
           gsize       start)
{
  const char *end = start < length ? memchr (data + start, '\n', length - start) : NULL;
  gsize size;

  if (end == NULL)
    return 0;

  size = end + 1 - (data + start);
  return g_utf8_validate_len (data + start, size, NULL) ? start + size : 0;
}

/* Something has to stay in line. */
static GPtrArray *
cut_lines (const char *data,
           gsize       length,
           gboolean    is_last_piece,
           guint       max,
           gsize      *taken)
{
  GPtrArray *lines = g_ptr_array_new_with_free_func (g_free);
  gsize end;

  *taken = 0;
  while ((max == 0 || lines->len < max) && (end = find_line (data, length, *taken)) > 0
         && (end < length || !is_last_piece || lines->len == 0))
    {
      g_ptr_array_add (lines, g_strndup (data + *taken, end - *taken));
      *taken = end;
    }
  return lines;
}

static void
put_rest_back (UsockInlet   *inlet,
               UsockMessage *piece,
               gsize         taken)
{
  GBytes *bytes = usock_message_get_bytes (piece);
  gsize rest = g_bytes_get_size (bytes) - taken;

  if (rest > 0)
    usock_inlet_put_back (
        inlet, usock_message_new_assembled (g_bytes_new_from_bytes (bytes, taken, rest)));
}

static gboolean
piece_is_plain (UsockMessage *piece)
{
  return usock_message_get_n_fds (piece) == 0 && usock_message_get_credentials (piece) == NULL;
}

static GPtrArray *
stream_cut_lines (UsockChannel *self,
                  guint         max)
{
  UsockQueue *inbox = &self->inlet.inbox;
  UsockQueueItem *first = usock_queue_peek (inbox, 0);
  UsockQueueItem item;
  GPtrArray *lines;
  const guint8 *data;
  gsize length, taken;

  if (first == NULL || !piece_is_plain (first->message))
    return NULL;

  data = usock_message_get_data (first->message, &length);
  lines = cut_lines ((const char *) data, length, inbox->length == 1, max, &taken);
  if (taken > 0)
    {
      usock_queue_pop (inbox, &item);
      put_rest_back (&self->inlet, item.message, taken);
      usock_message_unref (item.message);
    }
  return lines;
}

/**
 * usock_stream_take_lines:
 * @self: a stream
 * @max: how many to take at the most; 0 for as many as there are
 * @n_lines: (out): how many were taken
 *
 * Takes lines of UTF-8 text that were read already, all in one call, as
 * [method@Usock.Channel.take_messages] does messages: who receives line after
 * line asks here first, and waits with
 * [method@Usock.Stream.receive_line_async] only when there is none. Lines that
 * are no text, or came with descriptors or credentials, are left to that call.
 *
 * Each line ends as it came, in LF or CRLF, so that those that are not used can
 * be put back by [method@Usock.Stream.unread]. If nothing would be left to
 * receive, the last of several lines stays in line, so that the end cannot come
 * before the others were looked at.
 *
 * Returns: (array length=n_lines) (transfer full): the lines, in order
 *
 * Since: 1.0
 */
char **
usock_stream_take_lines (UsockStream *self,
                         guint        max,
                         gsize       *n_lines)
{
  UsockChannel *channel = USOCK_CHANNEL (self);
  GPtrArray *lines;

  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);
  g_return_val_if_fail (n_lines != NULL, NULL);

  *n_lines = 0;
  if (!usock_channel_may_take (channel))
    return NULL;

  lines = stream_cut_lines (channel, max);
  if (lines == NULL)
    return NULL;

  /* The bytes were counted when they were read. */
  usock_channel_took (channel, lines->len, 0);
  *n_lines = lines->len;
  return (char **) g_ptr_array_free (lines, FALSE);
}
