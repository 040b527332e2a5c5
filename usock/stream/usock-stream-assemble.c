/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-call-private.h"
#include "usock-stream-private.h"

#include <errno.h>
#include <string.h>

/* How many descriptors more than it asked for a call may come to hold while it waits for bytes. */
#define SPARE_FDS USOCK_IO_FDS_MAX

void
usock_stream_give_back (UsockChannel   *channel,
                        UsockOperation *operation)
{
  UsockStreamCall *receiver = usock_operation_get_data (operation);
  g_autoptr (GBytes) all = NULL;

  if (receiver == NULL)
    return;

  all = usock_stream_call_steal_bytes (receiver);
  usock_stream_call_give_back (receiver, channel, all, 0);
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
receiver_find_delimiter (UsockStreamCall *self,
                         const guint8    *data,
                         gsize            length)
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
receiver_measure (UsockStreamCall *self,
                  const guint8    *data,
                  gsize            length,
                  guint            n_fds,
                  gsize           *n_bytes)
{
  switch (self->want)
    {
    case USOCK_WANT_EXACTLY:
      *n_bytes = self->n_bytes;
      return length >= self->n_bytes && n_fds >= self->n_fds;

    case USOCK_WANT_UNTIL:
      *n_bytes = receiver_find_delimiter (self, data, length);
      return *n_bytes > 0;

    case USOCK_WANT_TEXT:
      *n_bytes = measure_text ((const char *) data, length);
      return *n_bytes > 0;

    default:
      g_assert_not_reached ();
    }
}

/* How much of what was taken stands before the delimiter. What the end cut off has none. */
static gsize
receiver_measure_content (UsockStreamCall *self,
                          const guint8    *data,
                          gsize            n_bytes,
                          gboolean         cut_off)
{
  gsize length = n_bytes;

  if (self->want != USOCK_WANT_UNTIL || cut_off)
    return length;

  length -= self->delimiter_length;
  return self->is_line && length > 0 && data[length - 1] == '\r' ? length - 1 : length;
}

/* Returns whether it was taken. */
static gboolean
receiver_return_text (UsockStreamCall *self,
                      UsockOperation  *operation,
                      UsockMessage    *message)
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
receiver_return (UsockStreamCall *self,
                 UsockChannel    *channel,
                 UsockOperation  *operation,
                 GBytes          *all,
                 gsize            n_bytes,
                 gboolean         cut_off)
{
  gsize length = receiver_measure_content (self, g_bytes_get_data (all, NULL), n_bytes, cut_off);
  g_autoptr (UsockMessage) message = usock_stream_call_new_first (
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
  usock_stream_call_give_back (self, channel, all, n_bytes);
}

/* Many lines may come in one piece: it is not joined with anything, nor copied as a whole, for
 * each of them. */
static gboolean
receiver_decide_by_first (UsockStreamCall *self,
                          UsockChannel    *channel,
                          UsockOperation  *operation)
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
  usock_stream_call_note_sender (self, usock_message_get_credentials (item.message), length);
  usock_stream_call_take_fds (self, item.message);
  usock_message_unref (item.message);
  receiver_return (self, channel, operation, all, n_bytes, FALSE);
  return TRUE;
}

static gboolean
receiver_decide (UsockStreamCall *self,
                 UsockChannel    *channel,
                 UsockOperation  *operation)
{
  g_autoptr (GBytes) all = NULL;
  gsize n_bytes;

  if (!receiver_measure (self, self->bytes->data, self->bytes->len, self->fds->len, &n_bytes))
    {
      self->scanned = self->bytes->len;
      return FALSE;
    }

  all = usock_stream_call_steal_bytes (self);
  receiver_return (self, channel, operation, all, n_bytes, FALSE);
  return TRUE;
}

/* Nothing more will come. Descriptors that came with text which was taken belong to nobody. */
static void
receiver_decide_last (UsockStreamCall *self,
                      UsockChannel    *channel,
                      UsockOperation  *operation)
{
  g_autoptr (GBytes) all = NULL;

  if (self->want != USOCK_WANT_EXACTLY && self->bytes->len == 0)
    usock_stream_call_close_fds (self);

  if (usock_channel_socket (channel)->fate.error != NULL)
    usock_operation_return_error (operation, usock_channel_new_verdict (channel));
  else if (self->bytes->len == 0 && self->fds->len == 0)
    usock_operation_return_pointer (operation, NULL, NULL);
  else if (self->want == USOCK_WANT_EXACTLY)
    usock_operation_return_error (
        operation,
        g_error_new (G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT,
                     _("Could not receive from “%s”: it ended after %u of %zu bytes, with %u of %u "
                       "descriptors"),
                     usock_channel_peer (channel), self->bytes->len, self->n_bytes,
                     self->fds->len, self->n_fds));
  else
    {
      all = usock_stream_call_steal_bytes (self);
      receiver_return (self, channel, operation, all, g_bytes_get_size (all),
                       self->want == USOCK_WANT_UNTIL);
      return;
    }

  usock_stream_give_back (channel, operation);
}

/* What the peer sends instead of what is waited for must not grow without end. */
static GError *
receiver_check_limits (UsockStreamCall *self,
                       UsockChannel    *channel)
{
  if (self->want == USOCK_WANT_UNTIL && self->bytes->len >= channel->inlet.read_buffer_size)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                        self->is_line
                            ? _("Could not receive from “%s”: a line is longer than the read "
                                "buffer of %u bytes")
                            : _("Could not receive from “%s”: the read buffer of %u bytes is full, "
                                "and the delimiter has not come"),
                        usock_channel_peer (channel), channel->inlet.read_buffer_size);

  if (self->want == USOCK_WANT_EXACTLY && self->bytes->len >= self->n_bytes
      && self->bytes->len - self->n_bytes >= channel->inlet.read_buffer_size)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                        P_("Could not receive from “%s”: %u descriptor was awaited, and %u came "
                           "with %u bytes",
                           "Could not receive from “%s”: %u descriptors were awaited, and %u came "
                           "with %u bytes",
                           self->n_fds),
                        usock_channel_peer (channel), self->n_fds, self->fds->len,
                        self->bytes->len);

  return NULL;
}

static gboolean
receiver_has_too_many_fds (UsockStreamCall *self)
{
  return self->fds->len > self->n_fds && self->fds->len - self->n_fds > SPARE_FDS;
}

/* What cannot be joined stays in line, in pieces. */
static void
receiver_return_starved (UsockChannel   *channel,
                         UsockOperation *operation,
                         UsockMessage   *piece)
{
  GError *error = NULL;

  usock_error_set_errno (&error, ENOMEM, _("Could not receive from “%s”"),
                         usock_channel_peer (channel));
  usock_operation_return_error (operation, error);
  usock_inlet_put_back (&channel->inlet, piece);
  usock_stream_give_back (channel, operation);
}

gboolean
usock_stream_assemble (UsockChannel   *channel,
                       UsockOperation *operation,
                       gboolean        last)
{
  UsockStreamCall *receiver = usock_operation_get_data (operation);
  UsockQueueItem item;
  GError *error;

  if (receiver_decide_by_first (receiver, channel, operation)
      || receiver_decide (receiver, channel, operation))
    return TRUE;

  while (usock_queue_pop (&channel->inlet.inbox, &item))
    {
      if (!usock_stream_call_add (receiver, item.message))
        {
          receiver_return_starved (channel, operation, item.message);
          return TRUE;
        }
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
