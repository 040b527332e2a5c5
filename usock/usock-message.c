/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-message-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "usock-compat-private.h"
#include "usock-enums.h"
#include "usock-error-private.h"

/* Control records of one message, as the kernel counts them. It answers more than
 * net.core.optmem_max allows with ENOBUFS, as if there might be room later. */
#define MESSAGE_MAX_CONTROLS 16384

#define NANOSECONDS G_GINT64_CONSTANT (1000000000)

/* SCM_MAX_FD, see unix(7); the kernel answers EINVAL to more. */
#define MESSAGE_MAX_FDS 253

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
struct _UsockMessage
{
  gatomicrefcount ref_count;

  GPtrArray *segments; /* of GBytes; NULL while there is but one */
  GBytes *bytes;       /* the only segment, or all of them joined when somebody asked */
  gsize length;
  gsize full_length;

  int *fds; /* -1 where one was taken */
  guint n_fds;
  guint n_pins;
  UsockCloseFd close_fd;
  UsockTally *tally; /* of who received it, if that is limited */

  GCredentials *credentials;
  GArray *controls; /* of UsockControl, but for those that have their own place here; or NULL */
  int pidfd;
  char *sender;
  gpointer sender_native; /* of sender_length bytes, until somebody asks for the address */
  socklen_t sender_length;
  UsockReadNative read_native;
  GSocketAddress *sender_address;
  gint64 timestamp; /* in nanoseconds */
  gboolean has_time_record; /* the time is among the controls too */
  UsockMessageFlags flags;
  UsockMsgFlags msg_flags;
  gboolean frozen;
  gboolean received;
};

G_DEFINE_BOXED_TYPE (UsockMessage, usock_message, usock_message_ref, usock_message_unref)

/* Guards what two threads that share a message may both change: taking a descriptor, joining
 * segments. One for all messages, since neither happens often. */
static GMutex message_lock;

static void
message_close_plain (int fd)
{
  close (fd);
}

static UsockMessage *
message_new (GBytes *bytes)
{
  UsockMessage *self = g_new0 (UsockMessage, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->bytes = bytes;
  self->length = self->full_length = g_bytes_get_size (bytes);
  self->close_fd = message_close_plain;
  self->pidfd = -1;

  return self;
}

/* Marks the slot before the descriptor leaves it, so that no descriptor is ever closed twice.
 * Negative is why there is none: -ENOENT or -EBUSY. */
static int
message_steal_fd (UsockMessage *self,
                  guint         index)
{
  int fd = -ENOENT;

  g_mutex_lock (&message_lock);
  if (self->fds[index] != -1 && self->n_pins > 0)
    fd = -EBUSY;
  else if (self->fds[index] != -1)
    {
      fd = self->fds[index];
      self->fds[index] = -1;
    }
  g_mutex_unlock (&message_lock);

  if (fd >= 0 && self->tally != NULL)
    usock_tally_change (self->tally, -1);
  return fd;
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

UsockMessage *
usock_message_new_received (gconstpointer data,
                            gsize         length,
                            gsize         full_length)
{
  guint8 *copy = g_malloc (length + 1);

  if (length > 0)
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
  gsize offset = 0;

  self->segments = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  for (gsize i = 0; i < n_sizes; i++)
    {
      gsize size = MIN (sizes[i], self->length - offset);

      g_ptr_array_add (self->segments, g_bytes_new_from_bytes (self->bytes, offset, size));
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

void
usock_message_receive_fds (UsockMessage *self,
                           const int    *fds,
                           guint         n_fds,
                           UsockCloseFd  close_fd)
{
  g_assert (self->n_fds == 0);

  self->fds = g_memdup2 (fds, n_fds * sizeof *fds);
  self->n_fds = n_fds;
  self->close_fd = close_fd;
}

/* After the descriptors. */
void
usock_message_receive_tally (UsockMessage *self,
                             UsockTally   *tally)
{
  if (tally == NULL || self->n_fds == 0)
    return;

  self->tally = usock_tally_ref (tally);
  usock_tally_change (tally, self->n_fds);
}

/* The address is made when somebody asks: few do. */
void
usock_message_receive_sender (UsockMessage          *self,
                              const struct sockaddr *native,
                              socklen_t              length,
                              UsockReadNative        read_native)
{
  self->sender_native = g_memdup2 (native, length);
  self->sender_length = length;
  self->read_native = read_native;
}

void
usock_message_receive_msg_flags (UsockMessage  *self,
                                 UsockMsgFlags  msg_flags)
{
  self->msg_flags = msg_flags;
}

/* Takes @pidfd over, or -1. */
void
usock_message_receive_controls (UsockMessage       *self,
                                const UsockControl *controls,
                                guint               n_controls,
                                int                 pidfd)
{
  for (guint i = 0; i < n_controls; i++)
    {
      usock_control_array_append (&self->controls, &controls[i]);
      if (controls[i].level == SOL_SOCKET && controls[i].type == SCM_TIMESTAMP)
        self->has_time_record = TRUE;
    }
  self->pidfd = pidfd;
}

/* Credentials come with pid 0 when the sender is outside our pid namespace, or sent before
 * they were asked for. The uid is then the overflow uid, which looks like “nobody” and is not:
 * what is not known is left out. */
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

  if (credentials != NULL && credentials->pid > 0)
    {
      self->credentials = g_credentials_new ();
      g_credentials_set_native (self->credentials, G_CREDENTIALS_TYPE_LINUX_UCRED,
                                (gpointer) credentials);
    }
}

void
usock_message_freeze (UsockMessage *self)
{
  self->frozen = TRUE;
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

  for (guint i = 0; i < n_segments; i++)
    {
      GBytes *bytes = self->segments != NULL ? self->segments->pdata[i] : self->bytes;

      iov[i].iov_base = (gpointer) g_bytes_get_data (bytes, &iov[i].iov_len);
    }

  return n_segments;
}

const int *
usock_message_peek_fds (UsockMessage *self,
                        guint        *n_fds)
{
  *n_fds = self->n_fds;
  return self->fds;
}

gboolean
usock_message_peek_credentials (UsockMessage     *self,
                                UsockCredentials *credentials)
{
  const UsockCredentials *native;

  if (self->credentials == NULL || self->received)
    return FALSE;

  native = g_credentials_get_native (self->credentials, G_CREDENTIALS_TYPE_LINUX_UCRED);
  *credentials = *native;
  return TRUE;
}

/* What the kernel added to a message that came is not sent on with it. */
const UsockControl *
usock_message_peek_controls (UsockMessage *self,
                             guint        *n_controls)
{
  *n_controls = self->controls != NULL && !self->received ? self->controls->len : 0;
  return *n_controls > 0 ? (const UsockControl *) self->controls->data : NULL;
}

/* While a message stands in a queue its descriptors can neither be taken nor closed: a handler
 * may have passed on the very message whose emission closes what nobody took. */
void
usock_message_pin_fds (UsockMessage *self)
{
  if (self->n_fds == 0)
    return;

  g_mutex_lock (&message_lock);
  self->n_pins++;
  g_mutex_unlock (&message_lock);
}

void
usock_message_unpin_fds (UsockMessage *self)
{
  if (self->n_fds == 0)
    return;

  g_mutex_lock (&message_lock);
  self->n_pins--;
  g_mutex_unlock (&message_lock);
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
  g_return_val_if_fail (text != NULL, NULL);

  return message_new (g_bytes_new (text, strlen (text)));
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
  g_clear_object (&self->credentials);
  g_clear_pointer (&self->controls, g_array_unref);
  if (self->pidfd != -1)
    close (self->pidfd);
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
  self->length += g_bytes_get_size (bytes);
  self->full_length = self->length;
}

/**
 * usock_message_append_fd:
 * @self: a message that was not sent yet
 * @fd: an open descriptor; the caller keeps it
 * @error: return location for an error
 *
 * Adds a duplicate of @fd, to be sent along. The caller may close @fd as soon
 * as this returns. Linux takes at most 253 descriptors a message.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open or the message
 * is full, with `G_IO_ERROR_TOO_MANY_OPEN_FILES` if the process may open no
 * more, with `G_IO_ERROR_BUSY` if the message was sent already.
 *
 * Returns: whether it was added
 *
 * Since: 1.0
 */
gboolean
usock_message_append_fd (UsockMessage  *self,
                         gint           fd,
                         GError       **error)
{
  g_autofd int copy = -1;

  g_return_val_if_fail (self != NULL, FALSE);

  copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (copy == -1)
    {
      usock_error_set_errno (error, errno, _("Could not add descriptor %d to a message"), fd);
      return FALSE;
    }

  if (!usock_message_append_fd_owned (self, copy, error))
    return FALSE;

  copy = -1;
  return TRUE;
}

/**
 * usock_message_append_fd_owned:
 * @self: a message that was not sent yet
 * @fd: an open descriptor; the message's on success, else still the caller's
 * @error: return location for an error
 *
 * Adds @fd itself, which saves a duplicate. The errors are those of
 * [method@Usock.Message.append_fd], and `G_IO_ERROR_INVALID_ARGUMENT` if the
 * message owns @fd already.
 *
 * Returns: whether it was added
 *
 * Since: 1.0
 */
gboolean
usock_message_append_fd_owned (UsockMessage  *self,
                               gint           fd,
                               GError       **error)
{
  g_return_val_if_fail (self != NULL, FALSE);

  if (self->frozen)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                   _("Could not add descriptor %d to a message: it was sent already"), fd);
      return FALSE;
    }

  if (self->n_fds == MESSAGE_MAX_FDS)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not add descriptor %d to a message: it has %d already, and the system "
                     "takes no more"),
                   fd, MESSAGE_MAX_FDS);
      return FALSE;
    }

  if (fcntl (fd, F_GETFD) == -1)
    {
      usock_error_set_errno (error, errno, _("Could not add descriptor %d to a message"), fd);
      return FALSE;
    }

  for (guint i = 0; i < self->n_fds; i++)
    if (self->fds[i] == fd)
      {
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                     _("Could not add descriptor %d to a message: it is the message’s already"), fd);
        return FALSE;
      }

  self->fds = g_renew (int, self->fds, self->n_fds + 1);
  self->fds[self->n_fds++] = fd;
  return TRUE;
}

static gboolean
message_check_control (UsockMessage  *self,
                       int            level,
                       int            type,
                       gsize          length,
                       GError       **error)
{
  if (self->frozen)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 _("Could not add control record %d of level %d to a message: it was sent already"),
                 type, level);
  else if (level == SOL_SOCKET && (type == SCM_RIGHTS || type == SCM_PIDFD))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 _("Could not add control record %d of level %d to a message: descriptors are "
                   "added as such"),
                 type, level);
  else if (length > MESSAGE_MAX_CONTROLS
           || usock_control_array_space (self->controls) + CMSG_SPACE (length)
                  > MESSAGE_MAX_CONTROLS)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 _("Could not add control record %d of level %d to a message: all records "
                   "together may have %d bytes"),
                 type, level, MESSAGE_MAX_CONTROLS);
  else
    return TRUE;

  return FALSE;
}

/**
 * usock_message_append_control:
 * @self: a message that was not sent yet
 * @level: the level, `SOL_SOCKET` or `IPPROTO_IP` for example
 * @type: which record of that level, `IP_TTL` for example
 * @bytes: (transfer none): the bytes of the record, as the kernel reads them
 * @error: return location for an error
 *
 * Adds a control record, see cmsg(3), to be sent along. What the kernel does
 * not know of `SOL_SOCKET` makes sending fail; most other levels ignore it.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` for descriptors, which
 * [method@Usock.Message.append_fd] adds, and if the records together have more
 * than 16384 bytes with their headers, and with `G_IO_ERROR_BUSY` if the
 * message was sent already.
 *
 * Returns: whether it was added
 *
 * Since: 1.0
 */
gboolean
usock_message_append_control (UsockMessage  *self,
                              gint           level,
                              gint           type,
                              GBytes        *bytes,
                              GError       **error)
{
  UsockControl control = { .level = level, .type = type };

  g_return_val_if_fail (self != NULL && bytes != NULL, FALSE);

  control.data = g_bytes_get_data (bytes, &control.length);
  if (!message_check_control (self, level, type, control.length, error))
    return FALSE;

  usock_control_array_append (&self->controls, &control);
  return TRUE;
}

/**
 * usock_message_append_control_value:
 * @self: a message that was not sent yet
 * @level: the level, `SOL_SOCKET` or `IPPROTO_IP` for example
 * @type: which record of that level, `IP_TTL` for example
 * @value: (transfer none): the value, of the type that
 *   [method@Usock.Message.get_controls] would tell it in; any number does for a
 *   number, and bytes for everything
 * @error: return location for an error
 *
 * Adds a control record of which the library knows the bytes. A floating
 * @value is consumed.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @value is no value for such a
 * record, or the library does not know it and @value is not bytes; and like
 * [method@Usock.Message.append_control].
 *
 * Returns: whether it was added
 *
 * Since: 1.0
 */
gboolean
usock_message_append_control_value (UsockMessage  *self,
                                    gint           level,
                                    gint           type,
                                    GVariant      *value,
                                    GError       **error)
{
  g_autoptr (GVariant) owned = NULL;
  g_autoptr (GBytes) bytes = NULL;

  g_return_val_if_fail (self != NULL && value != NULL, FALSE);

  owned = g_variant_ref_sink (value);
  bytes = usock_control_encode (level, type, value);
  if (bytes == NULL)
    {
      g_autofree char *shown = g_variant_print (value, TRUE);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not add control record %d of level %d to a message: %s is no value "
                     "for it"),
                   type, level, shown);
      return FALSE;
    }

  return usock_message_append_control (self, level, type, bytes, error);
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

  if (self->segments == NULL)
    return self->bytes;

  g_mutex_lock (&message_lock);
  if (self->bytes == NULL)
    {
      guint8 *joined = g_malloc (self->length + 1);
      gsize offset = 0;

      for (guint i = 0; i < self->segments->len; i++)
        {
          gsize size;
          gconstpointer data = g_bytes_get_data (self->segments->pdata[i], &size);

          if (size > 0)
            memcpy (joined + offset, data, size);
          offset += size;
        }
      self->bytes = g_bytes_new_take (joined, self->length);
    }
  g_mutex_unlock (&message_lock);

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

  return self->segments != NULL ? self->segments->pdata[index] : self->bytes;
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

/**
 * usock_message_get_msg_flags:
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
usock_message_get_msg_flags (UsockMessage *self)
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
 *   sender has none or is the peer of a connection
 *
 * Since: 1.0
 */
const char *
usock_message_get_sender (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, NULL);

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

  g_mutex_lock (&message_lock);
  if (self->sender_native != NULL)
    self->sender_address = self->read_native (self->sender_native, self->sender_length);
  g_clear_pointer (&self->sender_native, g_free);
  g_mutex_unlock (&message_lock);

  return self->sender_address;
}

/**
 * usock_message_get_credentials:
 * @self: a message
 *
 * Gets who sent the message: the process that made the system call, as the
 * kernel vouches for it. Only a privileged process may claim to be another.
 *
 * Received messages have credentials if the channel's
 * [property@Usock.Channel:pass-credentials] is set.
 *
 * Returns: (nullable) (transfer none): the credentials, owned by the message; %NULL if
 *   they are not known, because the sender lives in another pid namespace for
 *   example
 *
 * Since: 1.0
 */
GCredentials *
usock_message_get_credentials (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->credentials;
}

/**
 * usock_message_set_credentials:
 * @self: a message that was not sent yet
 * @credentials: (nullable) (transfer none): who to send the message as
 *
 * Claims to be somebody. The kernel checks the claim when the message is sent:
 * an unprivileged process may name itself only. Without a claim, the kernel
 * fills in the truth.
 *
 * Since: 1.0
 */
void
usock_message_set_credentials (UsockMessage *self,
                               GCredentials *credentials)
{
  g_return_if_fail (self != NULL);
  g_return_if_fail (credentials == NULL || G_IS_CREDENTIALS (credentials));
  g_return_if_fail (!self->frozen);

  g_set_object (&self->credentials, credentials);
}

/**
 * usock_message_dup_pidfd:
 * @self: a received message
 * @error: return location for an error
 *
 * Gets a descriptor of the process that sent the message, see pidfd_open(2).
 * Unlike the number of the process it never comes to mean another one. It is
 * close-on-exec, and the caller has to close it.
 *
 * Received messages have one if [property@Usock.Channel:pass-pidfd] is set.
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if the message came without, which is so on
 * Linux before 6.5, and with `G_IO_ERROR_TOO_MANY_OPEN_FILES` if the process
 * may open no more descriptors.
 *
 * Returns: the descriptor, or -1
 *
 * Since: 1.0
 */
gint
usock_message_dup_pidfd (UsockMessage  *self,
                         GError       **error)
{
  int fd;

  g_return_val_if_fail (self != NULL, -1);

  if (self->pidfd == -1)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                           _("Could not get the process that sent a message: the message came "
                             "without its descriptor"));
      return -1;
    }

  fd = fcntl (self->pidfd, F_DUPFD_CLOEXEC, 3);
  if (fd == -1)
    usock_error_set_errno (error, errno, _("Could not get the process that sent a message"));
  return fd;
}

static GVariant *
message_describe_fds (UsockMessage *self)
{
  g_autoptr (GEnumClass) kinds = g_type_class_ref (USOCK_TYPE_FD_KIND);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < self->n_fds; i++)
    {
      UsockFdKind kind = usock_message_get_fd_kind (self, i);

      g_variant_builder_add (&builder, "s", g_enum_get_value (kinds, kind)->value_nick);
    }

  return g_variant_builder_end (&builder);
}

static void
builder_add_record (GVariantBuilder *builder,
                    int              level,
                    int              type,
                    GVariant        *value)
{
  g_variant_builder_add (builder, "(iiv)", level, type, value);
}

/**
 * usock_message_get_controls:
 * @self: a message
 *
 * Gets all that came, or is to be sent, beside the payload, as records of a
 * level, a type and a value, of the type `a(iiv)`. What has methods of its own
 * is among them: the time, credentials, and descriptors, of which only the
 * kinds are told, `file` or `socket` for example.
 *
 * | record | value |
 * | - | - |
 * | `SCM_TIMESTAMP`, `SCM_TIMESTAMPNS` | `(xx)`: seconds, and micro- or nanoseconds |
 * | `SCM_TIMESTAMPING` | `a(xx)`: three times, in nanoseconds |
 * | `SCM_CREDENTIALS` | `(iuu)`: process, user and group |
 * | `SCM_RIGHTS` | `as`: what each descriptor is |
 * | `SCM_PIDFD` | `s`: `pidfd` |
 * | `SCM_SECURITY` | `s`: the label |
 * | `SO_RXQ_OVFL`, `SO_MARK`, `SO_PRIORITY`, `IP_CHECKSUM`, `IPV6_FLOWINFO` | `u` |
 * | `IP_TOS`, `IP_TTL`, `IPV6_TCLASS`, `IPV6_HOPLIMIT`, `UDP_GRO` and other numbers | `i` |
 * | `IP_PKTINFO` | `(iss)`: interface, our address, destination |
 * | `IPV6_PKTINFO` | `(is)`: interface, destination |
 * | `IP_ORIGDSTADDR`, `IPV6_ORIGDSTADDR` | `s`: address and port |
 * | `IPV6_PATHMTU` | `(su)`: address and size |
 * | `IP_RECVERR`, `IPV6_RECVERR` | `(uyyyuus)`: errno, origin, type, code, info, data, who told |
 * | `PACKET_AUXDATA` | `(uuuqqqq)`: status, length, captured, two offsets, VLAN tag and protocol |
 * | everything else | `ay`: the bytes |
 *
 * Returns: (transfer full): the records
 *
 * Since: 1.0
 */
GVariant *
usock_message_get_controls (UsockMessage *self)
{
  GVariantBuilder builder;

  g_return_val_if_fail (self != NULL, NULL);

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(iiv)"));
  if (self->timestamp != 0 && !self->has_time_record)
    builder_add_record (&builder, SOL_SOCKET, SCM_TIMESTAMPNS,
                        g_variant_new ("(xx)", self->timestamp / NANOSECONDS,
                                       self->timestamp % NANOSECONDS));
  if (self->credentials != NULL)
    {
      const UsockCredentials *native
          = g_credentials_get_native (self->credentials, G_CREDENTIALS_TYPE_LINUX_UCRED);

      builder_add_record (&builder, SOL_SOCKET, SCM_CREDENTIALS,
                          g_variant_new ("(iuu)", native->pid, native->uid, native->gid));
    }
  if (self->n_fds > 0)
    builder_add_record (&builder, SOL_SOCKET, SCM_RIGHTS, message_describe_fds (self));
  if (self->pidfd != -1)
    builder_add_record (&builder, SOL_SOCKET, SCM_PIDFD, g_variant_new_string ("pidfd"));
  for (guint i = 0; self->controls != NULL && i < self->controls->len; i++)
    {
      const UsockControl *control = &g_array_index (self->controls, UsockControl, i);

      builder_add_record (&builder, control->level, control->type, usock_control_decode (control));
    }

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/**
 * usock_message_lookup_control:
 * @self: a message
 * @level: the level, `SOL_SOCKET` or `IPPROTO_IP` for example
 * @type: which record of that level, `IP_TTL` for example
 *
 * Gets the value of one record of [method@Usock.Message.get_controls], of the
 * first one if there are more.
 *
 * Returns: (transfer full) (nullable): the value; %NULL if there is no such record
 *
 * Since: 1.0
 */
GVariant *
usock_message_lookup_control (UsockMessage *self,
                              gint          level,
                              gint          type)
{
  g_autoptr (GVariant) controls = NULL;
  GVariantIter iter;
  GVariant *value;
  int its_level, its_type;

  g_return_val_if_fail (self != NULL, NULL);

  controls = usock_message_get_controls (self);
  g_variant_iter_init (&iter, controls);
  while (g_variant_iter_next (&iter, "(iiv)", &its_level, &its_type, &value))
    {
      if (its_level == level && its_type == type)
        return value;
      g_variant_unref (value);
    }

  return NULL;
}

/**
 * usock_message_get_n_fds:
 * @self: a message
 *
 * Gets how many descriptors the message came with or was given, whether they
 * were taken since or not.
 *
 * Returns: how many
 *
 * Since: 1.0
 */
guint
usock_message_get_n_fds (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->n_fds;
}

/* Anonymous files tell what they are only by the name that /proc shows. */
static UsockFdKind
message_kind_by_name (int fd)
{
  char link[32], name[32];
  gssize length;

  g_snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink (link, name, sizeof name - 1);
  name[MAX (length, 0)] = '\0';

  if (g_str_has_prefix (name, "/memfd:") && fcntl (fd, F_GET_SEALS) != -1)
    return USOCK_FD_KIND_MEMFD;
  if (g_str_has_prefix (name, "anon_inode:[pidfd]") || g_str_has_prefix (name, "pidfd:"))
    return USOCK_FD_KIND_PIDFD;

  return USOCK_FD_KIND_OTHER;
}

/**
 * usock_message_get_fd_kind:
 * @self: a message
 * @index: which descriptor, from 0
 *
 * Tells what a descriptor refers to, before it is used.
 *
 * Returns: what it is; `OTHER` also if there is no such descriptor or it was taken
 *
 * Since: 1.0
 */
UsockFdKind
usock_message_get_fd_kind (UsockMessage *self,
                           guint         index)
{
  struct stat info;
  UsockFdKind kind;
  int fd;

  g_return_val_if_fail (self != NULL, USOCK_FD_KIND_OTHER);

  if (index >= self->n_fds)
    return USOCK_FD_KIND_OTHER;

  /* Not looked at under the lock: fstat() may have to wait for a server. */
  g_mutex_lock (&message_lock);
  fd = self->fds[index];
  g_mutex_unlock (&message_lock);
  if (fd == -1 || fstat (fd, &info) == -1)
    return USOCK_FD_KIND_OTHER;

  kind = message_kind_by_name (fd);
  if (kind != USOCK_FD_KIND_OTHER)
    return kind;

  switch (info.st_mode & S_IFMT)
    {
    case S_IFREG:
      return USOCK_FD_KIND_FILE;
    case S_IFDIR:
      return USOCK_FD_KIND_DIRECTORY;
    case S_IFSOCK:
      return USOCK_FD_KIND_SOCKET;
    case S_IFIFO:
      return USOCK_FD_KIND_PIPE;
    case S_IFCHR:
    case S_IFBLK:
      return USOCK_FD_KIND_DEVICE;
    default:
      return USOCK_FD_KIND_OTHER;
    }
}

/**
 * usock_message_take_fd:
 * @self: a message
 * @index: which descriptor, from 0
 * @error: return location for an error
 *
 * Takes a descriptor out of the message. It is close-on-exec, and the caller
 * has to close it.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if the message never had such a
 * descriptor, with `G_IO_ERROR_NOT_FOUND` if it was taken or closed before,
 * with `G_IO_ERROR_BUSY` while the message waits to be sent.
 *
 * Returns: the descriptor, or -1
 *
 * Since: 1.0
 */
gint
usock_message_take_fd (UsockMessage  *self,
                       guint          index,
                       GError       **error)
{
  int fd;

  g_return_val_if_fail (self != NULL, -1);

  if (index >= self->n_fds)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not take descriptor %u of a message: it has %u"), index, self->n_fds);
      return -1;
    }

  fd = message_steal_fd (self, index);
  if (fd == -EBUSY)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 _("Could not take descriptor %u of a message: it waits to be sent"), index);
  else if (fd == -ENOENT)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 _("Could not take descriptor %u of a message: it was taken or closed before"),
                 index);

  return MAX (fd, -1);
}

/**
 * usock_message_take_fds:
 * @self: a message
 * @n_fds: (out): how many there are
 *
 * Takes all descriptors out of the message that were not taken before. They
 * are close-on-exec, and the caller has to close them.
 *
 * Returns: (transfer full) (array length=n_fds): the descriptors; free the array with
 *   g_free()
 *
 * Since: 1.0
 */
gint *
usock_message_take_fds (UsockMessage *self,
                        gsize        *n_fds)
{
  gint *fds;

  g_return_val_if_fail (self != NULL && n_fds != NULL, NULL);

  fds = g_new (gint, self->n_fds + 1);
  *n_fds = 0;
  for (guint i = 0; i < self->n_fds; i++)
    {
      int fd = message_steal_fd (self, i);

      if (fd >= 0)
        fds[(*n_fds)++] = fd;
    }

  return fds;
}

/**
 * usock_message_close_fds:
 * @self: a message
 *
 * Closes the descriptors that nobody took. Closing never blocks: what might,
 * is closed by a thread of its own. While the message waits to be sent, it
 * keeps them.
 *
 * Since: 1.0
 */
void
usock_message_close_fds (UsockMessage *self)
{
  g_return_if_fail (self != NULL);

  for (guint i = 0; i < self->n_fds; i++)
    {
      int fd = message_steal_fd (self, i);

      if (fd >= 0)
        self->close_fd (fd);
    }
}
