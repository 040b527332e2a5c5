/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-call-private.h"

#include <string.h>

/* What is left of a piece is not copied, unless it is so little that it would keep alive far more
 * than itself. */
#define COPY_MAX 1024

UsockStreamCall *
usock_stream_call_new (UsockWant want)
{
  UsockStreamCall *self = g_new0 (UsockStreamCall, 1);

  self->want = want;
  self->bytes = g_byte_array_new ();
  self->fds = g_array_new (FALSE, FALSE, sizeof (int));
  return self;
}

void
usock_stream_call_close_fds (UsockStreamCall *self)
{
  for (guint i = 0; i < self->fds->len; i++)
    usock_io_close_foreign (g_array_index (self->fds, int, i), self->tally);
  g_array_set_size (self->fds, 0);
}

void
usock_stream_call_free (gpointer data)
{
  UsockStreamCall *self = data;

  usock_stream_call_close_fds (self);
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

void
usock_stream_call_note_sender (UsockStreamCall *self,
                               GCredentials    *credentials,
                               gsize            length)
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

void
usock_stream_call_take_fds (UsockStreamCall *self,
                            UsockMessage    *message)
{
  gsize n_fds;
  g_autofree int *fds = usock_message_take_fds (message, &n_fds);

  g_array_append_vals (self->fds, fds, n_fds);
  if (self->tally == NULL)
    self->tally = usock_message_ref_tally (message);
}

/* An array for which there is no memory ends the process. It grows from one power of two to the
 * next, and a NUL comes behind what it holds. */
static gboolean
call_has_room (UsockStreamCall *self,
               gsize            length)
{
  guint before = g_bit_storage (MAX (self->bytes->len, 1) - 1);
  guint after = g_bit_storage (self->bytes->len + length);
  gpointer room;

  if (after <= before)
    return TRUE;

  room = g_try_malloc ((gsize) 1 << after);
  g_free (room);
  return room != NULL;
}

/* FALSE, and nothing is done, if there is no memory. */
gboolean
usock_stream_call_add (UsockStreamCall *self,
                       UsockMessage    *message)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);

  if (!call_has_room (self, length))
    return FALSE;

  usock_stream_call_note_sender (self, usock_message_get_credentials (message), length);
  usock_stream_call_take_fds (self, message);
  g_byte_array_append (self->bytes, data, length);
  return TRUE;
}

/* All bytes that are held, with a NUL behind them. */
GBytes *
usock_stream_call_steal_bytes (UsockStreamCall *self)
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
receiver_new_message (UsockStreamCall   *self,
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

UsockMessage *
usock_stream_call_new_first (UsockStreamCall   *self,
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
void
usock_stream_call_give_back (UsockStreamCall *self,
                             UsockChannel    *channel,
                             GBytes          *all,
                             gsize            n_bytes)
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
