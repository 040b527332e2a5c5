/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-handle-private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Segments of one message that leave without being joined; the kernel takes 1024. */
#define MESSAGE_IOV 64

static gboolean
handle_is_stream (UsockHandle *self)
{
  return USOCK_SOCKET (self)->type == SOCK_STREAM;
}

/* Drops @n bytes from the front. */
static void
iov_advance (struct iovec **iov,
             guint         *n_iov,
             gsize          n)
{
  while (*n_iov > 0 && n >= (*iov)->iov_len)
    {
      n -= (*iov)->iov_len;
      (*iov)++;
      (*n_iov)--;
    }

  if (n > 0)
    {
      (*iov)->iov_base = (char *) (*iov)->iov_base + n;
      (*iov)->iov_len -= n;
    }
}

/* Of a stream, everything is sent, as far as patience lasts; what goes along goes with the first
 * bytes. To open a connection with them takes a moment, if the peer never saw us before. */
static gssize
handle_send (UsockHandle     *self,
             UsockIoOutgoing *outgoing,
             struct iovec    *iov,
             gsize            length,
             int              flags,
             UsockPatience   *patience)
{
  gsize sent = 0;
  gssize result;

  for (;;)
    {
      outgoing->iov = iov;
      result = usock_io_send_message (USOCK_SOCKET (self)->fd, outgoing, flags);
      if (result >= 0)
        {
          sent += result;
          if (!handle_is_stream (self) || sent >= length)
            return sent;

          iov_advance (&iov, &outgoing->n_iov, result);
          outgoing->n_fds = outgoing->n_controls = 0;
          outgoing->credentials = NULL;
          patience->polled = FALSE;
          continue;
        }

      if (result == -EINPROGRESS && (flags & MSG_FASTOPEN) != 0)
        {
          flags &= ~MSG_FASTOPEN;
          outgoing->destination = NULL;
          result = -EAGAIN;
        }
      if (result == -EAGAIN)
        result = usock_handle_wait (self, patience, POLLOUT);
      if (result < 0)
        return sent > 0 ? (gssize) sent : result;
    }
}

static void
handle_set_send_error (UsockHandle          *self,
                       GError              **error,
                       int                   errnum,
                       gsize                 length,
                       const UsockPatience  *patience,
                       const UsockName      *destination)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  const char *label = destination != NULL ? destination->label : socket->label;
  g_autofree char *tried = label != NULL ? g_strdup_printf (_("Could not send to “%s”"), label)
                                         : g_strdup (_("Could not send"));

  if (errnum == EMSGSIZE && (socket->family == AF_INET || socket->family == AF_INET6))
    {
      usock_socket_record (socket, USOCK_IO_SEND, errnum);
      usock_socket_set_too_large (socket, length,
                                  label != NULL ? label : usock_socket_get_label (socket), error);
      return;
    }

  usock_handle_set_name_error (self, error, USOCK_IO_SEND, errnum, patience->timeout, tried,
                               destination);
}

/* Sends @outgoing, whose destination is still to be filled in. */
static gssize
handle_send_to (UsockHandle      *self,
                UsockIoOutgoing  *outgoing,
                struct iovec     *iov,
                gsize             length,
                GSocketAddress   *destination,
                UsockMsgFlags     flags,
                int               timeout,
                GError          **error)
{
  g_autoptr (UsockName) name = NULL;
  UsockPatience patience;
  gssize result;

  if (!usock_handle_check (self, error))
    return -1;
  if (destination != NULL)
    {
      name = usock_name_new_for_address (destination, error);
      if (name == NULL)
        return -1;
      /* Sending gives a socket that has none an address. */
      usock_handle_forget (self);
    }

  outgoing->destination = name;
  usock_patience_init (&patience, timeout, flags);
  result = handle_send (self, outgoing, iov, length, (int) flags, &patience);
  if (result >= 0)
    return result;

  handle_set_send_error (self, error, (int) -result, length, &patience, name);
  return -1;
}

/**
 * usock_handle_send:
 * @self: a handle
 * @data: (array length=length) (element-type guint8) (nullable): what to send
 * @length: how many bytes there are
 * @flags: how to send it
 * @timeout: how long to wait for room, in milliseconds; -1 for ever
 * @error: return location for an error
 *
 * Sends to the peer, see send(2).
 *
 * On a stream all bytes are sent. When the time is over before, or something
 * goes wrong, the call tells how many were; it fails if that is none. Messages
 * are sent whole or not at all.
 *
 * Fails with `G_IO_ERROR_MESSAGE_TOO_LARGE` if the system takes no message that
 * long, which `SO_SNDBUF` decides for local sockets, with
 * `G_IO_ERROR_BROKEN_PIPE` if the peer receives no more, with
 * `G_IO_ERROR_NOT_CONNECTED` if there is none, and with the other errors of
 * send(2).
 *
 * Returns: how many bytes were sent, or -1
 *
 * Since: 1.0
 */
gssize
usock_handle_send (UsockHandle    *self,
                   const guint8   *data,
                   gsize           length,
                   UsockMsgFlags   flags,
                   gint            timeout,
                   GError        **error)
{
  return usock_handle_send_to (self, data, length, NULL, flags, timeout, error);
}

/**
 * usock_handle_send_to:
 * @self: a handle
 * @data: (array length=length) (element-type guint8) (nullable): what to send
 * @length: how many bytes there are
 * @destination: (nullable): where to send it; %NULL for the peer
 * @flags: how to send it
 * @timeout: how long to wait for room, in milliseconds; -1 for ever
 * @error: return location for an error
 *
 * Sends somewhere, see sendto(2), in the manner of
 * [method@Usock.Handle.send].
 *
 * Returns: how many bytes were sent, or -1
 *
 * Since: 1.0
 */
gssize
usock_handle_send_to (UsockHandle     *self,
                      const guint8    *data,
                      gsize            length,
                      GSocketAddress  *destination,
                      UsockMsgFlags    flags,
                      gint             timeout,
                      GError         **error)
{
  struct iovec iov = { (gpointer) data, length };
  UsockIoOutgoing outgoing = { .n_iov = 1 };

  g_return_val_if_fail (USOCK_IS_HANDLE (self), -1);
  g_return_val_if_fail (data != NULL || length == 0, -1);
  g_return_val_if_fail (destination == NULL || G_IS_SOCKET_ADDRESS (destination), -1);

  return handle_send_to (self, &outgoing, &iov, length, destination, flags, timeout, error);
}

static gssize
handle_send_message (UsockHandle     *self,
                     UsockMessage    *message,
                     GSocketAddress  *destination,
                     UsockMsgFlags    flags,
                     int              timeout,
                     GError         **error)
{
  struct iovec iov[MESSAGE_IOV];
  UsockIoOutgoing outgoing = { 0 };
  UsockCredentials credentials;
  int fds[USOCK_IO_FDS_MAX];
  gsize length = usock_message_get_length (message);
  guint n_fds;
  const int *all = usock_message_peek_fds (message, &n_fds);

  outgoing.n_iov = usock_message_get_iov (message, iov, MESSAGE_IOV);
  if (outgoing.n_iov > MESSAGE_IOV)
    {
      iov[0].iov_base = (gpointer) usock_message_get_data (message, &iov[0].iov_len);
      outgoing.n_iov = 1;
    }
  if (usock_message_peek_credentials (message, &credentials))
    outgoing.credentials = &credentials;
  outgoing.controls = usock_message_peek_controls (message, &outgoing.n_controls);
  for (guint i = 0; i < n_fds; i++)
    if (all[i] != -1)
      fds[outgoing.n_fds++] = all[i];
  outgoing.fds = fds;

  if (outgoing.n_fds > 0 && length == 0 && handle_is_stream (self))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                           _("Could not send descriptors over a stream without a byte to go with "
                             "them"));
      return -1;
    }

  return handle_send_to (self, &outgoing, iov, length, destination, flags, timeout, error);
}

/**
 * usock_handle_sendmsg:
 * @self: a handle
 * @message: (transfer none): what to send
 * @destination: (nullable): where to send it; %NULL for the peer
 * @flags: how to send it
 * @timeout: how long to wait for room, in milliseconds; -1 for ever
 * @error: return location for an error
 *
 * Sends a message with its segments in one call, and with its descriptors,
 * credentials and control records, see sendmsg(2); in the manner of
 * [method@Usock.Handle.send] otherwise. Descriptors that were taken from the
 * message are not sent; the message keeps the others.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if descriptors are to go over a
 * stream without a byte, since the system would lose them.
 *
 * Returns: how many bytes were sent, or -1
 *
 * Since: 1.0
 */
gssize
usock_handle_sendmsg (UsockHandle     *self,
                      UsockMessage    *message,
                      GSocketAddress  *destination,
                      UsockMsgFlags    flags,
                      gint             timeout,
                      GError         **error)
{
  gssize result;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), -1);
  g_return_val_if_fail (message != NULL, -1);
  g_return_val_if_fail (destination == NULL || G_IS_SOCKET_ADDRESS (destination), -1);

  /* While this waits, another thread that has the message cannot take its descriptors. */
  usock_message_pin_fds (message);
  result = handle_send_message (self, message, destination, flags, timeout, error);
  usock_message_unpin_fds (message);
  if (result >= 0)
    usock_message_freeze (message);
  return result;
}

static short
receive_events (int flags)
{
  if (flags & MSG_ERRQUEUE)
    return POLLERR;
  return flags & MSG_OOB ? POLLPRI : POLLIN;
}

/* Whether a receive that brought something, but not all that was asked for, goes on. The kernel
 * does not go on behind descriptors either: they belong to the bytes before them. */
static gboolean
receive_goes_on (UsockHandle           *self,
                 const UsockIoIncoming *incoming,
                 int                    flags)
{
  return handle_is_stream (self) && (flags & MSG_WAITALL) != 0
         && (flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)) == 0 && incoming->control.n_fds == 0;
}

/* Messages tell their length, also where they do not fit; asked for that, TCP would throw its
 * bytes away. */
static gssize
handle_receive (UsockHandle      *self,
                UsockIoIncoming  *incoming,
                gsize             size,
                int               flags,
                UsockPatience    *patience)
{
  gsize received = 0;
  gssize result;

  if (!handle_is_stream (self))
    flags |= MSG_TRUNC;

  for (;;)
    {
      result = usock_io_receive_message (USOCK_SOCKET (self)->fd, incoming, flags);
      if (result >= 0)
        {
          received += result;
          if (result == 0 || received >= size || !receive_goes_on (self, incoming, flags))
            return received;

          if (incoming->control.pidfd != -1)
            close (incoming->control.pidfd);
          iov_advance (&incoming->iov, &incoming->n_iov, result);
          patience->polled = FALSE;
          continue;
        }

      if (result == -EAGAIN)
        result = usock_handle_wait (self, patience, receive_events (flags));
      if (result < 0)
        return received > 0 ? (gssize) received : result;
    }
}

/* On SEQPACKET every message has a record that the end has not. */
static gboolean
receive_is_end (UsockHandle           *self,
                const UsockIoIncoming *incoming,
                gsize                  size,
                gsize                  received,
                int                    flags)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  if (received > 0 || (flags & MSG_ERRQUEUE) != 0)
    return FALSE;
  if (socket->type == SOCK_STREAM)
    return size > 0;

  return socket->type == SOCK_SEQPACKET && !incoming->has_control;
}

/* Returns FALSE with an error, or without one at the end. */
static gboolean
handle_receive_into (UsockHandle      *self,
                     UsockIoIncoming  *incoming,
                     gpointer          buffer,
                     gsize             size,
                     UsockMsgFlags     flags,
                     int               timeout,
                     gsize            *received,
                     GError          **error)
{
  struct iovec iov = { buffer, size };
  UsockPatience patience;
  gssize result;

  incoming->iov = &iov;
  incoming->n_iov = 1;
  incoming->family = USOCK_SOCKET (self)->family;
  usock_patience_init (&patience, timeout, flags);
  result = handle_receive (self, incoming, size, (int) flags, &patience);
  if (result < 0)
    {
      usock_handle_set_error (self, error, USOCK_IO_RECEIVE, (int) -result, patience.timeout,
                              _("Could not receive"));
      return FALSE;
    }

  *received = result;
  return !receive_is_end (self, incoming, size, result, (int) flags);
}

/* TCP counts the bytes that it threw away, and writes none. */
static gsize
receive_kept (UsockHandle  *self,
              gsize         size,
              gsize         received,
              UsockMsgFlags flags)
{
  if (handle_is_stream (self) && USOCK_SOCKET (self)->family != AF_UNIX
      && (flags & USOCK_MSG_TRUNC) != 0)
    return 0;

  return MIN (size, received);
}

/* Takes @data over, and what came along. */
static UsockMessage *
handle_make_message (UsockHandle           *self,
                     const UsockIoIncoming *incoming,
                     guint8                *data,
                     gsize                  length,
                     gsize                  full_length,
                     gboolean               truncated,
                     UsockMsgFlags          asked)
{
  const UsockIoControl *control = &incoming->control;
  UsockMessage *message = usock_message_new_taken (data, length, full_length);
  g_autofree char *sender = usock_io_incoming_get_sender (incoming);
  UsockMessageFlags flags = USOCK_MESSAGE_FLAGS_NONE;

  if ((control->msg_flags & MSG_TRUNC) != 0 || truncated)
    flags |= USOCK_MESSAGE_FLAGS_TRUNCATED;
  /* Who peeks did not ask for descriptors; elsewhere, other records were too many. */
  if (control->fds_lost && (asked & USOCK_MSG_PEEK) == 0 && incoming->family == AF_UNIX)
    flags |= USOCK_MESSAGE_FLAGS_FDS_LOST;

  usock_message_receive_info (message, flags,
                              control->has_credentials ? &control->credentials : NULL,
                              control->timestamp, sender);
  /* Not every address has a text. */
  if (sender != NULL || (incoming->family != AF_UNIX && incoming->name_length > 0))
    usock_io_incoming_sign (incoming, message);
  usock_message_receive_msg_flags (message, (UsockMsgFlags) control->msg_flags & ~USOCK_MSG_CMSG_CLOEXEC);
  usock_message_receive_controls (message, control->others, control->n_others, control->pidfd);
  if (control->n_fds > 0)
    usock_message_receive_fds (message, control->fds, control->n_fds, usock_io_close_now);
  return message;
}

static void
incoming_drop_fds (UsockIoIncoming *incoming)
{
  g_autoptr (UsockTally) owner = NULL;

  if (incoming->control.pidfd != -1)
    close (incoming->control.pidfd);
  if (incoming->control.n_fds == 0)
    return;

  owner = usock_tally_new (NULL, NULL);
  for (guint i = 0; i < incoming->control.n_fds; i++)
    usock_io_close_foreign (incoming->control.fds[i], owner);
  usock_closer_settle (owner);
}

/* Room for @size bytes and a NUL behind them. */
static guint8 *
handle_allocate (UsockHandle  *self,
                 gsize         size,
                 GError      **error)
{
  guint8 *buffer = size < G_MAXSSIZE ? g_try_malloc (size + 1) : NULL;

  if (buffer == NULL)
    usock_handle_set_error (self, error, USOCK_IO_RECEIVE, ENOMEM, 0, _("Could not receive"));
  return buffer;
}

/* A buffer that was far too large is not kept for the little that came. */
static guint8 *
buffer_fit (guint8 *buffer,
            gsize   size,
            gsize   length)
{
  if (length + 1 < size / 2)
    buffer = g_realloc (buffer, length + 1);

  buffer[length] = '\0';
  return buffer;
}

/**
 * usock_handle_receive:
 * @self: a handle
 * @max_size: how many bytes to receive at the most
 * @flags: how to receive
 * @timeout: how long to wait, in milliseconds; -1 for ever
 * @error: return location for an error
 *
 * Receives bytes, see recv(2): of a stream what is there, or with
 * `USOCK_MSG_WAITALL` all that was asked for; else one message. Descriptors that
 * come along are closed.
 *
 * Fails with `G_IO_ERROR_MESSAGE_TOO_LARGE` if a message was longer, whose rest
 * is lost then: a message that was cut never looks whole. With
 * `USOCK_MSG_TRUNC` it is cut without a word; see
 * [method@Usock.Handle.recvmsg] to learn of it. Fails also with the errors of
 * recv(2).
 *
 * Returns: (transfer full) (nullable): the bytes, which may be none; %NULL without an error
 *   when the peer has ended
 *
 * Since: 1.0
 */
GBytes *
usock_handle_receive (UsockHandle    *self,
                      gsize           max_size,
                      UsockMsgFlags   flags,
                      gint            timeout,
                      GError        **error)
{
  UsockIoIncoming incoming;
  guint8 *buffer;
  gsize received;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), NULL);

  if (!usock_handle_check (self, error))
    return NULL;
  buffer = handle_allocate (self, max_size, error);
  if (buffer == NULL)
    return NULL;

  if (!handle_receive_into (self, &incoming, buffer, max_size, flags, timeout, &received, error))
    {
      g_free (buffer);
      return NULL;
    }

  incoming_drop_fds (&incoming);
  if ((incoming.control.msg_flags & MSG_TRUNC) != 0 && (flags & USOCK_MSG_TRUNC) == 0)
    {
      g_free (buffer);
      usock_socket_record (USOCK_SOCKET (self), USOCK_IO_RECEIVE, EMSGSIZE);
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                   _("Could not receive: a message of %zu bytes is longer than the %zu bytes that "
                     "were asked for"),
                   received, max_size);
      return NULL;
    }

  received = receive_kept (self, max_size, received, flags);
  return g_bytes_new_take (buffer_fit (buffer, max_size, received), received);
}

/**
 * usock_handle_recvmsg:
 * @self: a handle
 * @max_size: how many bytes to receive at the most
 * @flags: how to receive
 * @timeout: how long to wait, in milliseconds; -1 for ever
 * @error: return location for an error
 *
 * Receives a message, or bytes of a stream, with all that came along, see
 * recvmsg(2). The real length of a message that was longer is told by
 * [method@Usock.Message.get_full_length], and the flags of the system by
 * [method@Usock.Message.get_received_flags].
 *
 * With `USOCK_MSG_PEEK` the message stays where it is, and nothing comes along
 * but its sender and, on `SOCK_SEQPACKET`, its time: a peek never makes
 * descriptors.
 *
 * Returns: (transfer full) (nullable): the message; %NULL without an error when the peer has
 *   ended
 *
 * Since: 1.0
 */
UsockMessage *
usock_handle_recvmsg (UsockHandle    *self,
                      gsize           max_size,
                      UsockMsgFlags   flags,
                      gint            timeout,
                      GError        **error)
{
  return usock_handle_recvmsg_segments (self, &max_size, 1, flags, timeout, error);
}

/**
 * usock_handle_recvmsg_segments:
 * @self: a handle
 * @sizes: (array length=n_sizes): how many bytes each segment takes
 * @n_sizes: how many segments there are
 * @flags: how to receive
 * @timeout: how long to wait, in milliseconds; -1 for ever
 * @error: return location for an error
 *
 * Receives a message as [method@Usock.Handle.recvmsg] does, and has it cut
 * into segments, which [method@Usock.Message.get_segment] gets: a header and
 * what follows it for example. The last ones may be shorter, or empty.
 *
 * Returns: (transfer full) (nullable): the message; %NULL without an error when the peer has
 *   ended
 *
 * Since: 1.0
 */
UsockMessage *
usock_handle_recvmsg_segments (UsockHandle    *self,
                               const gsize    *sizes,
                               gsize           n_sizes,
                               UsockMsgFlags   flags,
                               gint            timeout,
                               GError        **error)
{
  UsockIoIncoming incoming;
  UsockMessage *message;
  guint8 *buffer;
  gsize received, kept, size = 0;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), NULL);
  g_return_val_if_fail (sizes != NULL || n_sizes == 0, NULL);

  if (!usock_handle_check (self, error))
    return NULL;
  for (gsize i = 0; i < n_sizes; i++)
    size = size + sizes[i] >= size ? size + sizes[i] : G_MAXSIZE;
  buffer = handle_allocate (self, size, error);
  if (buffer == NULL)
    return NULL;

  if (!handle_receive_into (self, &incoming, buffer, size, flags, timeout, &received, error))
    {
      g_free (buffer);
      return NULL;
    }

  kept = receive_kept (self, size, received, flags);
  message = handle_make_message (self, &incoming, buffer_fit (buffer, size, kept), kept, received,
                                 kept < received, flags);
  if (n_sizes > 1)
    usock_message_cut (message, sizes, n_sizes);
  return message;
}

/**
 * usock_handle_recvmsg_into:
 * @self: a handle
 * @buffer: (array length=size) (element-type guint8): where to write the bytes
 * @size: how many bytes fit
 * @flags: how to receive
 * @timeout: how long to wait, in milliseconds; -1 for ever
 * @n_received: (out): how many bytes were written
 * @error: return location for an error
 *
 * Receives as [method@Usock.Handle.recvmsg] does, but for the bytes, which are
 * written to the caller's memory. The message that is returned has all the
 * rest, and no payload.
 *
 * For C and Vala. What other languages hand over is a copy; there, the method
 * of this name is one that fills a buffer of the language.
 *
 * Returns: (transfer full) (nullable): what came along; %NULL without an error when the peer
 *   has ended
 *
 * Since: 1.0
 */
UsockMessage *
usock_handle_recvmsg_into (UsockHandle    *self,
                           guint8         *buffer,
                           gsize           size,
                           UsockMsgFlags   flags,
                           gint            timeout,
                           gsize          *n_received,
                           GError        **error)
{
  UsockIoIncoming incoming;
  gsize received;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), NULL);
  g_return_val_if_fail (buffer != NULL || size == 0, NULL);
  g_return_val_if_fail (n_received != NULL, NULL);

  *n_received = 0;
  if (!usock_handle_check (self, error))
    return NULL;

  if (!handle_receive_into (self, &incoming, buffer, size, flags, timeout, &received, error))
    return NULL;

  *n_received = receive_kept (self, size, received, flags);
  return handle_make_message (self, &incoming, NULL, 0, received, *n_received < received, flags);
}
