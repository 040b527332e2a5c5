/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>

/* Segments of one message that leave without being joined; the kernel takes 1024. */
#define MESSAGE_IOV 64

#define RETRY_DELAY (10 * 1000)

/* What the kernel may take later. Only EAGAIN is followed by an event; memory, and descriptors
 * on their way that others of this user have not received, come back without one. */
gboolean
usock_channel_may_send_later (int errnum)
{
  return errnum == EAGAIN || errnum == ENOBUFS || errnum == ENOMEM || errnum == ETOOMANYREFS;
}

void
usock_channel_wait_for_room (UsockChannel *self,
                             UsockRoute   *route,
                             int           errnum)
{
  UsockSocket *socket = usock_channel_socket (self);

  route->blocked = TRUE;
  if (errnum == EAGAIN)
    usock_watch_want_writable (&socket->watch, TRUE);
  else
    route->retry_at = usock_reactor_get_time (socket->reactor) + RETRY_DELAY;
  usock_channel_schedule (self);
}

const char *
usock_channel_route_label (UsockChannel *self,
                           UsockRoute   *route)
{
  return route->destination != NULL ? route->destination->label : usock_channel_peer (self);
}

/* The kernel tells why a connection broke once. Here that took the place that the reader would have
 * learned it from; what it can still read it shall. */
static gboolean
send_takes_reason (UsockChannel *self,
                   int           errnum)
{
  UsockChannelClass *class = USOCK_CHANNEL_GET_CLASS (self);

  if (class->stream && usock_channel_socket (self)->family != AF_UNIX)
    return errnum != EPIPE;

  return errnum == ECONNRESET && !class->connectionless;
}

void
usock_channel_set_send_error (UsockChannel  *self,
                              UsockRoute    *route,
                              int            errnum,
                              gsize          length,
                              guint          n_fds,
                              GError       **error)
{
  usock_socket_record (usock_channel_socket (self), USOCK_IO_SEND, errnum);

  if (errnum == EMSGSIZE)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                 _("Could not send a message of %zu bytes to “%s”: the system "
                   "takes no more than %d, and less if net.core.wmem_max says so"),
                 length, usock_channel_route_label (self, route), USOCK_IO_MESSAGE_MAX);
  else if (errnum == EPERM && n_fds > 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                 _("Could not send %u descriptors to “%s”: the peer does not accept any"), n_fds,
                 usock_channel_route_label (self, route));
  else
    usock_error_set_errno (error, errnum, _("Could not send to “%s”"),
                           usock_channel_route_label (self, route));

  if (send_takes_reason (self, errnum))
    {
      GError *reset = NULL;

      usock_error_set_errno (&reset, errnum, _("Could not receive from “%s”"),
                             usock_channel_peer (self));
      usock_channel_break (self, reset);
    }
}

void
usock_channel_note_bytes (UsockChannel *self,
                          gsize         length)
{
  self->bytes_written += length;
  usock_channel_note_activity (self);
}

void
usock_channel_note_sent (UsockChannel *self,
                         gsize         length)
{
  usock_channel_note_bytes (self, length);
  self->messages_written++;
}

/* With @outgoing->n_fds below the message's where some were taken before it was first sent. On a
 * byte stream descriptors leave with the first piece, whatever its size; sent again, they would
 * come again. */
gssize
usock_channel_write_message (UsockChannel *self,
                             UsockRoute   *route,
                             UsockMessage *message,
                             gsize         sent)
{
  struct iovec iov[MESSAGE_IOV];
  UsockIoOutgoing outgoing = { .iov = iov, .destination = route->destination };
  UsockCredentials credentials;
  int fds[USOCK_IO_FDS_MAX];
  guint n_fds;
  const int *all = usock_message_peek_fds (message, &n_fds);

  for (guint i = 0; i < n_fds && sent == 0; i++)
    if (all[i] != -1)
      fds[outgoing.n_fds++] = all[i];
  outgoing.fds = fds;
  if (usock_message_peek_credentials (message, &credentials))
    outgoing.credentials = &credentials;
  if (sent == 0)
    outgoing.controls = usock_message_peek_controls (message, &outgoing.n_controls);

  outgoing.n_iov = usock_message_get_iov (message, iov, MESSAGE_IOV);
  if (outgoing.n_iov > MESSAGE_IOV)
    {
      iov[0].iov_base = (gpointer) usock_message_get_data (message, &iov[0].iov_len);
      outgoing.n_iov = 1;
    }
  if (sent > 0)
    outgoing.n_iov = usock_io_advance_iov (iov, outgoing.n_iov, sent);

  return usock_io_send (usock_channel_socket (self)->fd, &outgoing);
}

static gboolean
channel_can_repair (UsockChannel *self,
                    UsockRoute   *route,
                    int           errnum,
                    gsize         length)
{
  UsockChannelClass *class = USOCK_CHANNEL_GET_CLASS (self);
  int family = usock_channel_socket (self)->family;

  if (class->stream)
    return FALSE;
  if (errnum == EMSGSIZE && family == AF_UNIX)
    return usock_io_make_room (usock_channel_socket (self)->fd, length) == 0;
  if (!class->connectionless)
    return FALSE;
  if (errnum == EAGAIN)
    return class->expand (self);

  /* What the socket has been told of an earlier message it says at the next call, whatever that
   * is for. */
  if (errnum == ECONNRESET || family != AF_UNIX)
    return !usock_channel_may_send_later (errnum);

  return (errnum == ECONNREFUSED || errnum == ENOTCONN) && route == self->route
         && class->repair (self);
}

/* A failing send empties the receive queue of a connected datagram socket, see the kernel's
 * unix_dgram_sendmsg(). One that asks for credentials is given a name, and so may receive too. */
void
usock_channel_save_unread (UsockChannel *self,
                           UsockRoute   *route)
{
  if (route == self->route
      && (self->stows
          || (self->pass_credentials && USOCK_CHANNEL_GET_CLASS (self)->connectionless)))
    usock_channel_stow (self);
}

/* @message may be NULL, for plain bytes: nothing is allocated for what leaves at once. */
gssize
usock_channel_write (UsockChannel *self,
                     UsockRoute   *route,
                     UsockMessage *message,
                     gconstpointer data,
                     gsize         length)
{
  gssize result;

  /* No bytes are nothing to a stream. */
  if (length == 0 && USOCK_CHANNEL_GET_CLASS (self)->stream)
    return 0;

  usock_channel_save_unread (self, route);
  for (gboolean retried = FALSE;; retried = TRUE)
    {
      if (message != NULL)
        result = usock_channel_write_message (self, route, message, 0);
      else if (route->destination == NULL)
        result = usock_io_send_data (usock_channel_socket (self)->fd, data, length);
      else
        result = usock_io_send_data_to (usock_channel_socket (self)->fd, data, length,
                                        route->destination);

      if (result == -ENOBUFS && length > USOCK_IO_MESSAGE_MAX
          && !USOCK_CHANNEL_GET_CLASS (self)->stream)
        result = -EMSGSIZE;
      if (result >= 0 || retried || !channel_can_repair (self, route, -result, length))
        break;
    }

  /* UDP's word for it. */
  if (result == -EDESTADDRREQ)
    result = -ENOTCONN;

  /* The kernel says that the peer is gone once, and then that there never was one. */
  return result == -ENOTCONN && self->target != NULL ? -ECONNREFUSED : result;
}
