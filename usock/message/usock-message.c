/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-message-private.h"

#include <string.h>
#include <unistd.h>

#include "usock-error-private.h"

/**
 * UsockMessage:
 *
 * One message: bytes, and what travels with them.
 *
 * A message that is to be sent is made with [ctor@Usock.Message.new] or its
 * siblings, and may be given more segments, descriptors and credentials. Once
 * it was sent it is frozen, and may be sent again, to the same channel or to
 * others. A received message is frozen from the start.
 *
 * Descriptors belong to the message until they are taken with
 * [method@Usock.Message.take_fd] or [method@Usock.Message.take_fds]; then they
 * belong to the caller. Those that nobody took are closed when the
 * [signal@Usock.Channel::message] emission that brought them is over, or with
 * the message.
 *
 * Messages are reference counted, and may be handed from one thread to
 * another; nothing else of the library may.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (UsockMessage, usock_message, usock_message_ref, usock_message_unref)

/* What is longer is not copied when somebody asks for it as a GBytes. */
#define SHORT_MAX 4096

static void
message_init (UsockMessage *self,
              gsize         length)
{
  memset (self, 0, sizeof *self);
  g_atomic_ref_count_init (&self->ref_count);
  self->length = self->full_length = length;
  self->kind = USOCK_BODY_KIND_BYTES;
  self->pidfd = -1;
  self->memfd = -1;
}

static UsockMessage *
message_new (GBytes *bytes)
{
  UsockMessage *self = g_new (UsockMessage, 1);

  message_init (self, g_bytes_get_size (bytes));
  self->bytes = bytes;
  return self;
}

/* One allocation instead of three. */
static UsockMessage *
message_new_short (gconstpointer data,
                   gsize         length,
                   gsize         full_length)
{
  UsockMessage *self = g_try_malloc (sizeof *self + length + 1);

  if (self == NULL)
    return NULL;

  message_init (self, length);
  if (length > 0)
    memcpy (self->payload, data, length);
  self->payload[length] = '\0';
  self->full_length = full_length;
  self->is_short = self->frozen = self->received = TRUE;
  return self;
}

/* Takes @data over, behind whose last byte stands a NUL; it is promised to those who get the
 * bytes. */
UsockMessage *
usock_message_new_taken (gpointer data,
                         gsize    length,
                         gsize    full_length)
{
  UsockMessage *self = message_new (g_bytes_new_take (data, length));

  self->full_length = full_length;
  self->frozen = self->received = TRUE;
  return self;
}

/* NULL if there is no memory for so many bytes, of which the sender decides. */
UsockMessage *
usock_message_new_received (gconstpointer data,
                            gsize         length,
                            gsize         full_length)
{
  guint8 *copy;

  if (length <= SHORT_MAX)
    return message_new_short (data, length, full_length);

  copy = g_try_malloc (length + 1);
  if (copy == NULL)
    return NULL;
  memcpy (copy, data, length);
  copy[length] = '\0';
  return usock_message_new_taken (copy, length, full_length);
}

/* Has the payload be seen as segments of these sizes, as far as it reaches. */
void
usock_message_cut (UsockMessage *self,
                   const gsize  *sizes,
                   gsize         n_sizes)
{
  GBytes *bytes = usock_message_get_bytes (self);
  gsize offset = 0;

  self->segments = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  for (gsize i = 0; i < n_sizes; i++)
    {
      gsize size = MIN (sizes[i], self->length - offset);

      g_ptr_array_add (self->segments, g_bytes_new_from_bytes (bytes, offset, size));
      offset += size;
    }
}

/* Takes @bytes over, behind which a NUL stands. */
UsockMessage *
usock_message_new_assembled (GBytes *bytes)
{
  UsockMessage *self = message_new (bytes);

  self->frozen = self->received = TRUE;

  return self;
}

/* Address and text are made when somebody asks: few do. */
void
usock_message_receive_sender (UsockMessage          *self,
                              const struct sockaddr *native,
                              socklen_t              length,
                              UsockReadNative        read_native,
                              UsockTellNative        tell_native)
{
  self->sender_native = g_memdup2 (native, length);
  self->sender_length = length;
  self->read_native = read_native;
  self->tell_native = tell_native;
}

void
usock_message_receive_msg_flags (UsockMessage  *self,
                                 UsockMsgFlags  msg_flags)
{
  self->msg_flags = msg_flags;
}

/* Credentials of pid 0 are those of nobody: the sender sent before they were asked for. What is
 * not known is left out. */
void
usock_message_receive_info (UsockMessage           *self,
                            UsockMessageFlags       flags,
                            const UsockCredentials *credentials,
                            gint64                  timestamp,
                            const char             *sender)
{
  self->flags = flags;
  self->timestamp = timestamp;
  self->sender = g_strdup (sender);

  if (credentials != NULL && credentials->pid != 0)
    {
      self->credentials = g_credentials_new ();
      g_credentials_set_native (self->credentials, G_CREDENTIALS_TYPE_LINUX_UCRED,
                                (gpointer) credentials);
    }
}

void
usock_message_freeze (UsockMessage *self)
{
  /* Two threads may post the same message. */
  g_atomic_int_set (&self->frozen, TRUE);
}

/* Returns how many vectors the payload needs; more than @max_iov means that nothing was written,
 * and that the caller should send the joined bytes. */
guint
usock_message_get_iov (UsockMessage *self,
                       struct iovec *iov,
                       guint         max_iov)
{
  guint n_segments = self->segments != NULL ? self->segments->len : 1;

  if (n_segments > max_iov)
    return n_segments;

  if (self->segments == NULL)
    iov[0].iov_base = (gpointer) usock_message_get_data (self, &iov[0].iov_len);
  else
    for (guint i = 0; i < n_segments; i++)
      iov[i].iov_base
          = (gpointer) g_bytes_get_data (self->segments->pdata[i], &iov[i].iov_len);

  return n_segments;
}

/**
 * usock_message_new:
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of the message
 * @length: how many bytes there are; 0 makes an empty message, which is a message too
 *
 * Makes a message with a copy of @data.
 *
 * Returns: (transfer full): a new message
 *
 * Since: 1.0
 */
UsockMessage *
usock_message_new (const guint8 *data,
                   gsize         length)
{
  g_return_val_if_fail (data != NULL || length == 0, NULL);

  return message_new (g_bytes_new (data, length));
}

/**
 * usock_message_new_from_bytes:
 * @bytes: (transfer none): the bytes of the message
 *
 * Makes a message that refers to @bytes, without copying them.
 *
 * Returns: (transfer full): a new message
 *
 * Since: 1.0
 */
UsockMessage *
usock_message_new_from_bytes (GBytes *bytes)
{
  g_return_val_if_fail (bytes != NULL, NULL);

  return message_new (g_bytes_ref (bytes));
}

/**
 * usock_message_new_from_text:
 * @text: UTF-8 text
 *
 * Makes a message with a copy of @text, without its final NUL.
 *
 * Returns: (transfer full): a new message
 *
 * Since: 1.0
 */
UsockMessage *
usock_message_new_from_text (const char *text)
{
  UsockMessage *self;

  g_return_val_if_fail (text != NULL, NULL);

  self = message_new (g_bytes_new (text, strlen (text)));
  self->kind = USOCK_BODY_KIND_TEXT;
  return self;
}

/**
 * usock_message_ref:
 * @self: a message
 *
 * Takes a reference, from any thread.
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
UsockMessage *
usock_message_ref (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * usock_message_unref:
 * @self: (transfer full): a message
 *
 * Drops a reference, from any thread. With the last one, the descriptors that
 * nobody took are closed.
 *
 * Since: 1.0
 */
void
usock_message_unref (UsockMessage *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  self->n_pins = 0;
  usock_message_close_fds (self);
  g_clear_pointer (&self->tally, usock_tally_unref);
  g_free (self->fds);
  g_clear_pointer (&self->segments, g_ptr_array_unref);
  g_clear_pointer (&self->bytes, g_bytes_unref);
  g_clear_pointer (&self->variant, g_variant_unref);
  g_clear_object (&self->credentials);
  g_clear_pointer (&self->controls, g_array_unref);
  if (self->pidfd != -1)
    close (self->pidfd);
  if (self->memfd != -1)
    close (self->memfd);
  g_free (self->sender);
  g_free (self->sender_native);
  g_clear_object (&self->sender_address);
  g_free (self);
}

/**
 * usock_message_append_bytes:
 * @self: a message that was not sent yet
 * @bytes: (transfer none): more bytes
 *
 * Adds another segment. The segments leave in one system call and arrive as
 * one message; they are not copied together.
 *
 * Since: 1.0
 */
void
usock_message_append_bytes (UsockMessage *self,
                            GBytes       *bytes)
{
  g_return_if_fail (self != NULL && bytes != NULL);
  g_return_if_fail (!self->frozen);

  if (self->segments == NULL)
    {
      self->segments = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
      g_ptr_array_add (self->segments, g_bytes_ref (self->bytes));
    }

  g_ptr_array_add (self->segments, g_bytes_ref (bytes));
  g_clear_pointer (&self->bytes, g_bytes_unref);
  g_clear_pointer (&self->variant, g_variant_unref);
  self->kind = USOCK_BODY_KIND_BYTES;
  if (self->memfd != -1)
    close (self->memfd);
  self->memfd = -1;
  self->length += g_bytes_get_size (bytes);
  self->full_length = self->length;
}

static GBytes *
message_join (UsockMessage *self)
{
  guint8 *joined = g_malloc (self->length + 1);
  gsize offset = 0;

  if (self->is_short)
    memcpy (joined, self->payload, self->length);
  for (guint i = 0; !self->is_short && i < self->segments->len; i++)
    {
      gsize size;
      gconstpointer data = g_bytes_get_data (self->segments->pdata[i], &size);

      if (size > 0)
        memcpy (joined + offset, data, size);
      offset += size;
    }
  joined[self->length] = '\0';
  return g_bytes_new_take (joined, self->length);
}

/**
 * usock_message_get_bytes:
 * @self: a message
 *
 * Gets the payload; several segments are joined, once.
 *
 * Returns: (transfer none): the bytes, owned by the message
 *
 * Since: 1.0
 */
GBytes *
usock_message_get_bytes (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (self->segments == NULL && !self->is_short)
    return self->bytes;

  g_mutex_lock (&usock_message_lock);
  if (self->bytes == NULL)
    self->bytes = message_join (self);
  g_mutex_unlock (&usock_message_lock);

  return self->bytes;
}

/**
 * usock_message_get_data:
 * @self: a message
 * @length: (out): how many bytes there are
 *
 * Gets the payload as plain memory.
 *
 * Returns: (transfer none) (array length=length) (element-type guint8) (nullable): the
 *   bytes, owned by the message; %NULL may stand for none
 *
 * Since: 1.0
 */
const guint8 *
usock_message_get_data (UsockMessage *self,
                        gsize        *length)
{
  gsize ignored;

  g_return_val_if_fail (self != NULL, NULL);

  if (self->is_short)
    {
      *(length != NULL ? length : &ignored) = self->length;
      return self->payload;
    }
  return g_bytes_get_data (usock_message_get_bytes (self), length != NULL ? length : &ignored);
}

/**
 * usock_message_get_n_segments:
 * @self: a message
 *
 * Gets of how many segments the payload is made: those that it was given with
 * [method@Usock.Message.append_bytes], or into which
 * [method@Usock.Handle.recvmsg_segments] cut it.
 *
 * Returns: how many; 1 at the least
 *
 * Since: 1.0
 */
guint
usock_message_get_n_segments (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->segments != NULL ? self->segments->len : 1;
}

/**
 * usock_message_get_segment:
 * @self: a message
 * @index: which segment, from 0
 *
 * Gets a part of the payload.
 *
 * Returns: (transfer none) (nullable): the bytes, owned by the message; %NULL if there is no
 *   such segment
 *
 * Since: 1.0
 */
GBytes *
usock_message_get_segment (UsockMessage *self,
                           guint         index)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (index >= usock_message_get_n_segments (self))
    return NULL;

  return self->segments != NULL ? self->segments->pdata[index] : usock_message_get_bytes (self);
}

/**
 * usock_message_dup_text:
 * @self: a message
 * @error: return location for an error
 *
 * Gets the payload as text.
 *
 * Fails with `G_IO_ERROR_INVALID_DATA` if it is not UTF-8, or has a NUL in it,
 * where a string would seem to end.
 *
 * Returns: (transfer full): the text
 *
 * Since: 1.0
 */
char *
usock_message_dup_text (UsockMessage  *self,
                        GError       **error)
{
  gsize length;
  const char *data;
  const char *invalid;

  g_return_val_if_fail (self != NULL, NULL);

  data = (const char *) usock_message_get_data (self, &length);
  if (length == 0)
    return g_strdup ("");

  if (!g_utf8_validate_len (data, length, &invalid))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                   _("Could not read a message as text: byte %zu"
                     " of %zu is not UTF-8 text"),
                   (gsize) (invalid - data), length);
      return NULL;
    }

  return g_strndup (data, length);
}

/**
 * usock_message_get_length:
 * @self: a message
 *
 * Gets the length of the payload that the message holds, in bytes.
 *
 * Returns: the length
 *
 * Since: 1.0
 */
gsize
usock_message_get_length (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->length;
}

/**
 * usock_message_get_full_length:
 * @self: a message
 *
 * Gets the length that the message had when it was sent, in bytes. It is more
 * than [method@Usock.Message.get_length] if the message was truncated.
 *
 * Returns: the length
 *
 * Since: 1.0
 */
gsize
usock_message_get_full_length (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->full_length;
}

/**
 * usock_message_get_flags:
 * @self: a message
 *
 * Tells whether the message is whole.
 *
 * Returns: what is missing
 *
 * Since: 1.0
 */
UsockMessageFlags
usock_message_get_flags (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, USOCK_MESSAGE_FLAGS_NONE);

  return self->flags;
}

/* Whether it is bytes and nothing else, so that another made of them is the same, but for the time
 * that the kernel notes for each. */
gboolean
usock_message_is_plain (UsockMessage *self)
{
  return self->n_fds == 0 && self->credentials == NULL && self->controls == NULL
         && self->pidfd == -1 && self->sender == NULL && self->sender_native == NULL
         && self->flags == USOCK_MESSAGE_FLAGS_NONE;
}

/**
 * usock_message_get_received_flags:
 * @self: a received message
 *
 * Gets what the system told about the message in its own flags, `USOCK_MSG_EOR`
 * or `USOCK_MSG_ERRQUEUE` for example; see recvmsg(2).
 *
 * Returns: the flags
 *
 * Since: 1.0
 */
UsockMsgFlags
usock_message_get_received_flags (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, USOCK_MSG_NONE);

  return self->msg_flags;
}

/**
 * usock_message_get_timestamp:
 * @self: a message
 *
 * Gets when the kernel took the message from its sender.
 *
 * Returns: microseconds since 1970 in UTC, or 0 if it is not known
 *
 * Since: 1.0
 */
gint64
usock_message_get_timestamp (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->timestamp / 1000;
}

/**
 * usock_message_get_sender:
 * @self: a message
 *
 * Gets the address of the datagram socket that sent the message, as text that
 * [func@Usock.address_parse] reads.
 *
 * Returns: (nullable) (transfer none): the address, owned by the message; %NULL if the
 *   sender has none, is the peer of a connection, or of a family whose addresses have no
 *   text
 *
 * Since: 1.0
 */
const char *
usock_message_get_sender (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_mutex_lock (&usock_message_lock);
  if (self->tell_native != NULL && self->sender == NULL)
    self->sender = self->tell_native (self->sender_native, self->sender_length);
  self->tell_native = NULL;
  g_mutex_unlock (&usock_message_lock);

  return self->sender;
}

/**
 * usock_message_get_sender_address:
 * @self: a message
 *
 * Gets the address of the socket that sent the message. It has what the text of
 * [method@Usock.Message.get_sender] leaves out: of a packet socket for example
 * whether the packet came or went.
 *
 * Returns: (nullable) (transfer none): the address, owned by the message; %NULL if the
 *   sender has none, is the peer of a connection, or has a path that is longer than the 107
 *   bytes that an address holds
 *
 * Since: 1.0
 */
GSocketAddress *
usock_message_get_sender_address (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_mutex_lock (&usock_message_lock);
  if (self->read_native != NULL)
    self->sender_address = self->read_native (self->sender_native, self->sender_length);
  self->read_native = NULL;
  g_mutex_unlock (&usock_message_lock);

  return self->sender_address;
}
