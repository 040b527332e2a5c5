/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Segments of one message that leave without being joined; the kernel takes 1024. */
#define MESSAGE_IOV 64
#define BATCH_IOV 128

#define RETRY_DELAY (10 * 1000)

/* What the kernel may take later. Only EAGAIN is followed by an event; memory, and descriptors
 * on their way that others of this user have not received, come back without one. */
static gboolean
send_may_succeed_later (int errnum)
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

static const char *
channel_route_label (UsockChannel *self,
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

static void
channel_set_send_error (UsockChannel  *self,
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
                 length, channel_route_label (self, route), USOCK_IO_MESSAGE_MAX);
  else if (errnum == EPERM && n_fds > 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                 _("Could not send %u descriptors to “%s”: the peer does not accept any"), n_fds,
                 channel_route_label (self, route));
  else
    usock_error_set_errno (error, errnum, _("Could not send to “%s”"),
                           channel_route_label (self, route));

  if (send_takes_reason (self, errnum))
    {
      GError *reset = NULL;

      usock_error_set_errno (&reset, errnum, _("Could not receive from “%s”"),
                             usock_channel_peer (self));
      usock_channel_break (self, reset);
    }
}

static gboolean
channel_check_sendable (UsockChannel  *self,
                        GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (G_LIKELY ((socket->state == USOCK_STATE_OPEN || socket->state == USOCK_STATE_WRITE_ONLY
                 || socket->state == USOCK_STATE_CONNECTING)
                && !self->ending))
    return usock_socket_check (socket, error);

  if (socket->state == USOCK_STATE_NEW)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                         _("Could not send: the channel is not connected"));
  else if (socket->state == USOCK_STATE_CLOSED)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                 _("Could not send to “%s”: the channel is closed"), usock_channel_peer (self));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                 _("Could not send to “%s”: our side has ended already"),
                 usock_channel_peer (self));
  return FALSE;
}

static void
channel_note_bytes (UsockChannel *self,
                    gsize         length)
{
  self->bytes_written += length;
  usock_channel_note_activity (self);
}

static void
channel_note_sent (UsockChannel *self,
                   gsize         length)
{
  channel_note_bytes (self, length);
  self->messages_written++;
}

/* Drops what has been sent already. */
static guint
iov_advance (struct iovec *iov,
             guint         n_iov,
             gsize         sent)
{
  guint first = 0;

  while (first < n_iov && sent >= iov[first].iov_len)
    sent -= iov[first++].iov_len;

  memmove (iov, iov + first, (n_iov - first) * sizeof *iov);
  if (sent > 0)
    {
      iov[0].iov_base = (char *) iov[0].iov_base + sent;
      iov[0].iov_len -= sent;
    }
  return n_iov - first;
}

/* With @outgoing->n_fds below the message's where some were taken before it was first sent. On a
 * byte stream descriptors leave with the first piece, whatever its size; sent again, they would
 * come again. */
static gssize
channel_send_message_now (UsockChannel *self,
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
    outgoing.n_iov = iov_advance (iov, outgoing.n_iov, sent);

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
    return !send_may_succeed_later (errnum);

  return (errnum == ECONNREFUSED || errnum == ENOTCONN) && route == self->route
         && class->repair (self);
}

/* A failing send empties the receive queue of a connected datagram socket, see the kernel's
 * unix_dgram_sendmsg(). One that asks for credentials is given a name, and so may receive too. */
static void
channel_save_unread (UsockChannel *self,
                     UsockRoute   *route)
{
  if (route == self->route
      && (self->stows
          || (self->pass_credentials && USOCK_CHANNEL_GET_CLASS (self)->connectionless)))
    usock_channel_stow (self);
}

/* @message may be NULL, for plain bytes: nothing is allocated for what leaves at once. */
static gssize
channel_send_now (UsockChannel *self,
                  UsockRoute   *route,
                  UsockMessage *message,
                  gconstpointer data,
                  gsize         length)
{
  gssize result;

  /* No bytes are nothing to a stream. */
  if (length == 0 && USOCK_CHANNEL_GET_CLASS (self)->stream)
    return 0;

  channel_save_unread (self, route);
  for (gboolean retried = FALSE;; retried = TRUE)
    {
      if (message != NULL)
        result = channel_send_message_now (self, route, message, 0);
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

/* Whether the limit lets one more in. A message that the kernel would never take must not get
 * into the queue either: later there is nobody to tell. */
static gboolean
channel_check_room (UsockChannel  *self,
                    UsockRoute    *route,
                    gsize          length,
                    guint          n_fds,
                    gboolean       unlimited,
                    GError       **error)
{
  guint64 cost = usock_queue_message_cost (length, n_fds);

  if (usock_channel_socket (self)->family == AF_UNIX && !USOCK_CHANNEL_GET_CLASS (self)->stream
      && usock_io_make_room (usock_channel_socket (self)->fd, length) == -EMSGSIZE)
    {
      channel_set_send_error (self, route, EMSGSIZE, length, n_fds, error);
      return FALSE;
    }

  if (unlimited
      || (self->queue_limit > 0
          && (self->n_queued == 0 || self->queued_cost + cost <= self->queue_limit)))
    return TRUE;

  self->needs_drain = TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
               _("Could not send to “%s”: the peer does not keep up, and %" PRIu64
                 " bytes are queued"),
               channel_route_label (self, route), self->queued_cost);
  return FALSE;
}

/* Takes both references over. */
void
usock_channel_enqueue (UsockChannel   *self,
                       UsockRoute     *route,
                       UsockMessage   *message,
                       UsockOperation *operation)
{
  UsockSocket *socket = usock_channel_socket (self);
  guint64 cost = route->queue.cost;

  if (route->queue.length == 0)
    route->stalled_since = usock_reactor_get_time (socket->reactor);

  if (message != NULL)
    {
      usock_message_freeze (message);
      usock_message_pin_fds (message);
    }
  usock_queue_push (&route->queue, message, operation);
  self->n_queued++;
  self->queued_cost += route->queue.cost - cost;
  if (self->queued_cost > MIN (self->high_water_mark, self->queue_limit))
    self->needs_drain = TRUE;

  if (socket->state != USOCK_STATE_CONNECTING)
    usock_channel_schedule (self);
}

static gboolean
channel_may_send_now (UsockChannel *self,
                      UsockRoute   *route)
{
  return route->queue.length == 0 && self->n_corks == 0
         && usock_channel_socket (self)->state != USOCK_STATE_CONNECTING;
}

/* Datagrams and packets leave whole, whatever the result says. */
static gboolean
channel_is_part (UsockChannel *self,
                 gsize         result,
                 gsize         length)
{
  return result < length && USOCK_CHANNEL_GET_CLASS (self)->stream;
}

/* Of the head: that much of it has left. */
static void
channel_advance (UsockChannel *self,
                 UsockRoute   *route,
                 gsize         sent)
{
  usock_queue_advance (&route->queue, sent);
  self->queued_cost -= sent;
  channel_note_bytes (self, sent);
}

/* Of the head: out of the queue and the sums. */
static void
channel_dequeue (UsockChannel   *self,
                 UsockRoute     *route,
                 UsockQueueItem *item)
{
  usock_queue_pop (&route->queue, item);
  self->n_queued--;
  self->queued_cost -= item->cost;
  if (item->message != NULL)
    usock_message_unpin_fds (item->message);
}

/* The kernel would take the message, and drop the descriptors. */
static gboolean
channel_check_fds (UsockChannel  *self,
                   gsize          length,
                   guint          n_fds,
                   GError       **error)
{
  if (n_fds == 0)
    return TRUE;

  if (usock_channel_socket (self)->family != AF_UNIX)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 _("Could not send to “%s”: descriptors do not leave this machine"),
                 usock_channel_peer (self));
  else if (length == 0 && USOCK_CHANNEL_GET_CLASS (self)->stream)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 _("Could not send to “%s”: on a stream descriptors need a byte to go with"),
                 usock_channel_peer (self));
  else
    return TRUE;

  return FALSE;
}

static void
channel_sent_all (UsockChannel   *self,
                  UsockMessage   *message,
                  gsize           length,
                  UsockOperation *operation)
{
  if (message != NULL)
    usock_message_freeze (message);
  channel_note_sent (self, length);
  if (operation == NULL)
    return;

  usock_operation_return_pointer (operation, NULL, NULL);
  usock_channel_complete (self, operation);
}

/* A message that has begun to leave is accepted, whatever the limit says: on a stream, nothing
 * else may come before its rest. */
static void
channel_sent_part (UsockChannel   *self,
                   UsockRoute     *route,
                   UsockMessage   *message,
                   gconstpointer   data,
                   gsize           length,
                   gsize           sent,
                   UsockOperation *operation)
{
  if (message != NULL)
    {
      usock_channel_enqueue (self, route, usock_message_ref (message), operation);
      channel_advance (self, route, sent);
    }
  else
    {
      usock_channel_enqueue (self, route,
                             usock_message_new ((const guint8 *) data + sent, length - sent),
                             operation);
      channel_note_bytes (self, sent);
    }
  USOCK_CHANNEL_GET_CLASS (self)->blocked (self, route, EAGAIN, TRUE);
}

/* Sends at once if nothing waits on the route, else queues. An @operation is the channel's if
 * this succeeds, and waits however full the queue is; without one the limit holds. @message may
 * be NULL, for plain bytes. */
gboolean
usock_channel_send_on (UsockChannel    *self,
                       UsockRoute      *route,
                       UsockMessage    *message,
                       gconstpointer    data,
                       gsize            length,
                       UsockOperation  *operation,
                       GError         **error)
{
  guint n_fds = message != NULL ? usock_message_get_n_fds (message) : 0;

  if (!channel_check_sendable (self, error) || !channel_check_fds (self, length, n_fds, error))
    return FALSE;

  if (operation != NULL && usock_operation_is_cancelled (operation))
    {
      usock_channel_cancel_operation (self, operation);
      return TRUE;
    }

  if (channel_may_send_now (self, route))
    {
      gssize result = channel_send_now (self, route, message, data, length);

      if (result >= 0)
        {
          if (channel_is_part (self, result, length))
            channel_sent_part (self, route, message, data, length, result, operation);
          else
            channel_sent_all (self, message, length, operation);
          return TRUE;
        }
      if (!send_may_succeed_later (-result))
        {
          channel_set_send_error (self, route, -result, length, n_fds, error);
          return FALSE;
        }
      USOCK_CHANNEL_GET_CLASS (self)->blocked (self, route, -result, FALSE);
    }

  if (!channel_check_room (self, route, length, n_fds, operation != NULL, error))
    return FALSE;

  usock_channel_enqueue (self, route,
                         message != NULL ? usock_message_ref (message)
                                         : usock_message_new (data, length),
                         operation);
  return TRUE;
}

static gboolean
channel_send (UsockChannel  *self,
              UsockMessage  *message,
              gconstpointer  data,
              gsize          length,
              GError       **error)
{
  return usock_channel_send_on (self, self->route, message, data, length, NULL, error);
}

/* How many of the messages can leave in one system call: those that are bytes only. */
static guint
channel_gather (UsockMessage    **messages,
                gsize             n_messages,
                UsockIoOutgoing  *outgoing,
                struct iovec     *iov)
{
  guint n = 0, used = 0;

  while (n < MIN (n_messages, USOCK_IO_BATCH_MAX))
    {
      UsockCredentials credentials;
      guint n_iov, n_controls;

      if (usock_message_get_n_fds (messages[n]) > 0
          || usock_message_peek_credentials (messages[n], &credentials)
          || usock_message_peek_controls (messages[n], &n_controls) != NULL)
        break;

      n_iov = usock_message_get_iov (messages[n], iov + used, BATCH_IOV - used);
      if (n_iov > BATCH_IOV - used)
        break;
      outgoing[n++] = (UsockIoOutgoing) { .iov = iov + used, .n_iov = n_iov };
      used += n_iov;
    }

  return n;
}

/* To a stream many messages are one piece of bytes, of which any part may leave. Returns how many
 * messages were accepted; the error of the first is learned by sending that one again. */
static gsize
channel_send_joined (UsockChannel           *self,
                     UsockMessage          **messages,
                     const UsockIoOutgoing  *outgoing,
                     guint                   n_outgoing)
{
  const UsockIoOutgoing *last = &outgoing[n_outgoing - 1];
  UsockIoOutgoing joined = { .iov = outgoing->iov };
  gsize accepted = 0;
  gssize rest;

  joined.n_iov = last->iov + last->n_iov - joined.iov;
  rest = usock_io_send (usock_channel_socket (self)->fd, &joined);
  for (; rest >= 0 && accepted < n_outgoing; accepted++)
    {
      gsize length = usock_message_get_length (messages[accepted]);

      if ((gsize) rest < length)
        break;
      channel_sent_all (self, messages[accepted], length, NULL);
      rest -= length;
    }

  if (rest > 0)
    {
      channel_sent_part (self, self->route, messages[accepted], NULL, 0, rest, NULL);
      accepted++;
    }
  return accepted;
}

/* The first few in one system call if they are bytes only and nothing waits; else the first one,
 * in the ordinary way, which tells its error too. */
static gsize
channel_send_some (UsockChannel   *self,
                   UsockMessage  **messages,
                   gsize           n_messages,
                   GError        **error)
{
  UsockIoOutgoing outgoing[USOCK_IO_BATCH_MAX];
  struct iovec iov[BATCH_IOV];
  UsockSocket *socket = usock_channel_socket (self);
  guint gathered = 0;
  int sent = 0;

  if (!channel_check_sendable (self, error))
    return 0;

  if (channel_may_send_now (self, self->route))
    gathered = channel_gather (messages, n_messages, outgoing, iov);
  if (gathered > 1 && USOCK_CHANNEL_GET_CLASS (self)->stream)
    {
      gsize accepted = channel_send_joined (self, messages, outgoing, gathered);

      if (accepted > 0)
        return accepted;
    }
  else if (gathered > 1)
    {
      channel_save_unread (self, self->route);
      sent = usock_io_send_batch (socket->fd, outgoing, gathered);
    }
  for (int i = 0; i < sent; i++)
    {
      usock_message_freeze (messages[i]);
      channel_note_sent (self, usock_message_get_length (messages[i]));
    }
  if (sent > 0)
    return sent;

  return channel_send (self, messages[0], NULL, usock_message_get_length (messages[0]), error);
}

static void
channel_pop_sent (UsockChannel *self,
                  UsockRoute   *route)
{
  UsockQueueItem item;

  channel_dequeue (self, route, &item);
  if (item.message != NULL)
    {
      channel_note_sent (self, usock_message_get_length (item.message) - item.sent);
      usock_message_unref (item.message);
    }
  if (item.operation != NULL && (item.message != NULL || usock_operation_unmark (item.operation)))
    {
      usock_operation_return_pointer (item.operation, NULL, NULL);
      usock_channel_complete (self, item.operation);
    }
}

/* The head of the route, which will never be sent. */
static void
channel_pop_failed (UsockChannel *self,
                    UsockRoute   *route,
                    const GError *error)
{
  UsockQueueItem item = *usock_queue_peek (&route->queue, 0);

  /* Who flushes datagrams waits for their end, not for their success. */
  if (item.message == NULL
      && (usock_operation_is_decided (item.operation)
          || (USOCK_CHANNEL_GET_CLASS (self)->connectionless && usock_channel_is_connected (self))))
    {
      channel_pop_sent (self, route);
      return;
    }

  channel_dequeue (self, route, &item);
  g_clear_pointer (&item.message, usock_message_unref);
  if (item.operation != NULL)
    {
      usock_operation_return_error (item.operation, g_error_copy (error));
      g_queue_push_tail (&self->completed, item.operation);
      usock_watch_wake (&usock_channel_socket (self)->watch);
    }
  else if (usock_channel_is_connected (self))
    USOCK_CHANNEL_GET_CLASS (self)->lost (self, route, error);
  else if (self->lost == NULL)
    self->lost = g_error_copy (error);
}

void
usock_channel_drop_route (UsockChannel *self,
                          UsockRoute   *route,
                          const GError *error)
{
  while (route->queue.length > 0)
    channel_pop_failed (self, route, error);
}

static void
channel_drop_route_func (UsockChannel *self,
                         UsockRoute   *route,
                         gpointer      error)
{
  usock_channel_drop_route (self, route, error);
}

void
usock_channel_drop_queued (UsockChannel *self,
                           const GError *error)
{
  USOCK_CHANNEL_GET_CLASS (self)->each_route (self, channel_drop_route_func, (gpointer) error);
}

void
usock_channel_move_queued (UsockChannel *self,
                           UsockRoute   *from,
                           UsockRoute   *to)
{
  UsockQueueItem item;

  while (usock_queue_pop (&from->queue, &item))
    usock_queue_push (&to->queue, item.message, item.operation);
}

static void
channel_fail_enders (UsockChannel *self,
                     const GError *error)
{
  UsockQueueItem item;

  while (usock_queue_pop (&self->enders, &item))
    usock_channel_fail_operation (self, item.operation, g_error_copy (error));
}

static void
channel_succeed_all (UsockChannel *self,
                     UsockQueue   *waiting)
{
  UsockQueueItem item;

  while (usock_queue_pop (waiting, &item))
    {
      usock_operation_return_pointer (item.operation, NULL, NULL);
      usock_channel_complete (self, item.operation);
    }
}

/* The oldest message will never be taken. Who waits for it is told; if nobody does, the channel
 * fails, or a datagram socket tells of the one message. A dead peer fails all that wait; so does
 * a message of which the beginning has left, for nothing else may come behind that. */
static void
channel_send_failed (UsockChannel *self,
                     UsockRoute   *route,
                     int           errnum)
{
  UsockQueueItem *head = usock_queue_peek (&route->queue, 0);
  gboolean peer_gone = errnum == EPIPE || errnum == ECONNRESET || errnum == ENOTCONN;
  gboolean torn = head->sent > 0 && !peer_gone;
  g_autoptr (GError) error = NULL;

  channel_set_send_error (self, route, errnum, usock_message_get_length (head->message),
                          usock_message_get_n_fds (head->message), &error);

  if (torn)
    usock_channel_break (self, g_error_copy (error));
  if (torn || (peer_gone && !USOCK_CHANNEL_GET_CLASS (self)->connectionless))
    usock_channel_drop_route (self, route, error);
  else
    channel_pop_failed (self, route, error);

  /* Who waits for the end waits for everything before it. */
  if (self->lost != NULL)
    channel_fail_enders (self, error);
}

/* The messages of a stream that can leave in one system call: from the head, as far as they are
 * bytes only. Returns how many vectors they fill, or 0 if the head has to go by itself. */
static guint
channel_gather_bytes (UsockRoute   *route,
                      struct iovec *iov)
{
  UsockQueueItem *item;
  guint used = 0;

  for (guint i = 0; (item = usock_queue_peek (&route->queue, i)) != NULL; i++)
    {
      UsockCredentials credentials;
      guint n_iov, n_controls;

      if (item->message == NULL || usock_message_peek_credentials (item->message, &credentials)
          || (usock_message_get_n_fds (item->message) > 0 && item->sent == 0)
          || (usock_message_peek_controls (item->message, &n_controls) != NULL && item->sent == 0))
        break;

      n_iov = usock_message_get_iov (item->message, iov + used, BATCH_IOV - used);
      if (n_iov > BATCH_IOV - used)
        break;
      used += item->sent > 0 ? iov_advance (iov + used, n_iov, item->sent) : n_iov;
    }

  return used;
}

/* Some bytes of a stream have left, and with them the messages that end there. */
static void
channel_settle_bytes (UsockChannel *self,
                      UsockRoute   *route,
                      gsize         sent)
{
  UsockQueueItem *head;

  while ((head = usock_queue_peek (&route->queue, 0)) != NULL && head->message != NULL)
    {
      gsize rest = usock_message_get_length (head->message) - head->sent;

      if (rest > sent)
        {
          if (sent > 0)
            channel_advance (self, route, sent);
          return;
        }
      sent -= rest;
      channel_pop_sent (self, route);
    }
}

/* Returns 0 if everything left that was tried, and a negative errno if the kernel takes no
 * more. */
static int
channel_flush_bytes (UsockChannel *self,
                     UsockRoute   *route,
                     gboolean     *progress)
{
  UsockQueueItem *head = usock_queue_peek (&route->queue, 0);
  struct iovec iov[BATCH_IOV];
  UsockIoOutgoing outgoing = { .iov = iov };
  gsize wanted = 0;
  gssize result;

  outgoing.n_iov = channel_gather_bytes (route, iov);
  for (guint i = 0; i < outgoing.n_iov; i++)
    wanted += iov[i].iov_len;

  if (outgoing.n_iov == 0 && usock_message_get_length (head->message) > 0)
    {
      wanted = usock_message_get_length (head->message) - head->sent;
      result = channel_send_message_now (self, route, head->message, head->sent);
    }
  else
    result = wanted > 0 ? usock_io_send (usock_channel_socket (self)->fd, &outgoing) : 0;

  if (result < 0)
    return result;
  *progress = TRUE;
  channel_settle_bytes (self, route, result);
  return (gsize) result < wanted ? -EAGAIN : 0;
}

/* Returns how many left, or a negative errno for the oldest one. */
static int
channel_flush_some (UsockChannel *self,
                    UsockRoute   *route)
{
  UsockChannelClass *class = USOCK_CHANNEL_GET_CLASS (self);
  UsockIoOutgoing outgoing[USOCK_IO_BATCH_MAX];
  struct iovec iov[BATCH_IOV];
  UsockMessage *messages[USOCK_IO_BATCH_MAX];
  UsockQueueItem *item;
  guint n = 0;
  gssize result;

  while (n < USOCK_IO_BATCH_MAX && (item = usock_queue_peek (&route->queue, n)) != NULL
         && item->message != NULL)
    messages[n++] = item->message;
  n = channel_gather (messages, n, outgoing, iov);

  if (n > 1 && route->destination == NULL)
    {
      channel_save_unread (self, route);
      result = usock_io_send_batch (usock_channel_socket (self)->fd, outgoing, n);
      if (result > 0 || !class->connectionless || (result == -EAGAIN && !class->expand (self)))
        return result;
    }

  result = channel_send_now (self, route, messages[0], NULL,
                             usock_message_get_length (messages[0]));
  return result < 0 ? (int) result : 1;
}

static void
channel_flush_route (UsockChannel *self,
                     UsockRoute   *route)
{
  UsockSocket *socket = usock_channel_socket (self);
  gboolean progress = FALSE;
  gboolean failed = FALSE;

  route->retry_at = 0;
  while (route->queue.length > 0 && usock_channel_is_connected (self))
    {
      int n;

      if (usock_queue_peek (&route->queue, 0)->message == NULL)
        {
          channel_pop_sent (self, route);
          continue;
        }

      n = USOCK_CHANNEL_GET_CLASS (self)->stream ? channel_flush_bytes (self, route, &progress)
                                                 : channel_flush_some (self, route);
      if (n < 0 && send_may_succeed_later (-n))
        {
          USOCK_CHANNEL_GET_CLASS (self)->blocked (self, route, -n, progress);
          break;
        }
      if (n < 0)
        {
          channel_send_failed (self, route, -n);
          failed = TRUE;
        }
      for (; n > 0; n--)
        {
          channel_pop_sent (self, route);
          progress = TRUE;
        }
    }

  if (progress)
    route->stalled_since = usock_reactor_get_time (socket->reactor);
  if (route->queue.length == 0 && (progress || failed))
    route->blocked = FALSE;
}

static void
channel_flush_due (UsockChannel *self,
                   UsockRoute   *route,
                   gpointer      force)
{
  gboolean retry = route->retry_at > 0
                   && usock_reactor_get_time (usock_channel_socket (self)->reactor)
                          >= route->retry_at;
  UsockQueueItem *head;

  /* What a flush waited for may have been cancelled. */
  while ((head = usock_queue_peek (&route->queue, 0)) != NULL && head->message == NULL)
    channel_pop_sent (self, route);

  if (head != NULL && (!route->blocked || retry || GPOINTER_TO_INT (force)))
    channel_flush_route (self, route);
  else if (head == NULL && retry)
    {
      route->retry_at = 0;
      route->blocked = FALSE;
    }
}

/* With @force also what waits for an event; events do not come for everything. */
void
usock_channel_flush (UsockChannel *self,
                     gboolean      force)
{
  UsockChannelClass *class = USOCK_CHANNEL_GET_CLASS (self);

  if (self->n_corks > 0)
    return;

  class->each_route (self, channel_flush_due, GINT_TO_POINTER (force));
  if (!class->connectionless && self->n_queued == 0)
    usock_watch_want_writable (&usock_channel_socket (self)->watch,
                               self->needs_drain && self->route->blocked);
}

/* Once our side has ended and nothing waits, the peer is told. */
void
usock_channel_finish_writing (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (!self->ending || self->ended || self->n_queued > 0 || !usock_channel_is_connected (self))
    return;

  /* ENOTCONN: the peer is gone, and needs no telling. */
  usock_io_shutdown (socket->fd, SHUT_WR);
  self->ended = TRUE;
  usock_watch_wake (&socket->watch);
  channel_succeed_all (self, &self->enders);
}

/**
 * usock_channel_send:
 * @self: a channel
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of one message
 * @length: how many bytes there are; 0 sends an empty message
 * @error: return location for an error
 *
 * Sends one message. @data is the caller's, and is copied only if it has to
 * wait. Once accepted, the message arrives after all that were accepted before
 * it, unless the channel fails, which [signal@Usock.Socket::error] reports;
 * [method@Usock.Channel.send_message_async] tells of each message.
 *
 * Fails with `G_IO_ERROR_WOULD_BLOCK` if the queue is full, see
 * [property@Usock.Channel:queue-limit]; with `G_IO_ERROR_MESSAGE_TOO_LARGE`
 * beyond the kernel's limit, about 4 MiB at the most; with
 * `G_IO_ERROR_BROKEN_PIPE` or `G_IO_ERROR_CONNECTION_CLOSED` if the peer is gone or
 * reads no more, though what it sent before is still received; with
 * `G_IO_ERROR_NOT_CONNECTED` before connecting, and with `G_IO_ERROR_CLOSED`
 * after [method@Usock.Channel.end] or [method@Usock.Socket.close]. The channel
 * keeps nothing of a message that it did not accept.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send (UsockChannel  *self,
                    const guint8  *data,
                    gsize          length,
                    GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);

  return channel_send (self, NULL, data, length, error);
}

/**
 * usock_channel_send_bytes:
 * @self: a channel
 * @bytes: (transfer none): one message
 * @error: return location for an error
 *
 * Sends one message as [method@Usock.Channel.send] does, with the same
 * errors. If it has to wait, @bytes is referenced instead of copied.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_bytes (UsockChannel  *self,
                          GBytes        *bytes,
                          GError       **error)
{
  g_autoptr (UsockMessage) message = NULL;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (bytes != NULL, FALSE);

  message = usock_message_new_from_bytes (bytes);
  return channel_send (self, message, NULL, g_bytes_get_size (bytes), error);
}

/**
 * usock_channel_send_text:
 * @self: a channel
 * @text: UTF-8 text
 * @error: return location for an error
 *
 * Sends @text as one message, without its final NUL, as
 * [method@Usock.Channel.send] does, with the same errors.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_text (UsockChannel  *self,
                         const char    *text,
                         GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (text != NULL, FALSE);

  return channel_send (self, NULL, text, strlen (text), error);
}

/**
 * usock_channel_send_with_fds:
 * @self: a channel
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of one message
 * @length: how many bytes there are
 * @fds: (array length=n_fds) (nullable): open descriptors, at most 253
 * @n_fds: how many descriptors there are
 * @error: return location for an error
 *
 * Sends one message with descriptors. The caller keeps them, and may close
 * them as soon as this returns: duplicates travel.
 *
 * Fails as [method@Usock.Channel.send] and [method@Usock.Message.append_fd]
 * do, and with `G_IO_ERROR_PERMISSION_DENIED` if the peer accepts none.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_with_fds (UsockChannel  *self,
                             const guint8  *data,
                             gsize          length,
                             const gint    *fds,
                             gsize          n_fds,
                             GError       **error)
{
  g_autoptr (UsockMessage) message = NULL;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);
  g_return_val_if_fail (fds != NULL || n_fds == 0, FALSE);

  message = usock_message_new (data, length);
  for (gsize i = 0; i < n_fds; i++)
    if (!usock_message_append_fd (message, fds[i], error))
      return FALSE;

  return channel_send (self, message, NULL, length, error);
}

/**
 * usock_channel_send_message:
 * @self: a channel
 * @message: (transfer none): one message
 * @error: return location for an error
 *
 * Sends one message with everything that it carries, as
 * [method@Usock.Channel.send] does, with the same errors, and with
 * `G_IO_ERROR_PERMISSION_DENIED` if the peer accepts no descriptors, or if the
 * message claims credentials that the process may not claim. Once it was
 * accepted, the message is frozen.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_message (UsockChannel  *self,
                            UsockMessage  *message,
                            GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  return channel_send (self, message, NULL, usock_message_get_length (message), error);
}

/**
 * usock_channel_send_messages:
 * @self: a channel
 * @messages: (array length=n_messages) (transfer none): messages
 * @n_messages: how many there are
 * @error: return location for an error
 *
 * Sends many messages with as few system calls as possible, in order. Stops
 * at the first that is not accepted; those before it are on their way. The
 * error says why if it is the first of all.
 *
 * Returns: how many were accepted; 0 with an error, unless @n_messages is 0
 *
 * Since: 1.0
 */
gsize
usock_channel_send_messages (UsockChannel   *self,
                             UsockMessage  **messages,
                             gsize           n_messages,
                             GError        **error)
{
  gsize accepted = 0;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);
  g_return_val_if_fail (messages != NULL || n_messages == 0, 0);

  while (accepted < n_messages)
    {
      gsize n = channel_send_some (self, messages + accepted, n_messages - accepted,
                                   accepted == 0 ? error : NULL);

      if (n == 0)
        break;
      accepted += n;
    }

  return accepted;
}

/**
 * usock_channel_send_message_async:
 * @self: a channel
 * @message: (transfer none): one message
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Sends one message, and completes when the kernel has taken it: when it is on
 * its way whatever becomes of this program. It waits for its turn however
 * full the queue is. Calls complete in order.
 *
 * A cancelled message was not sent, and a message that was sent cannot be
 * cancelled any more.
 *
 * Since: 1.0
 */
void
usock_channel_send_message_async (UsockChannel        *self,
                                  UsockMessage        *message,
                                  GCancellable        *cancellable,
                                  GAsyncReadyCallback  callback,
                                  gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;

  g_return_if_fail (USOCK_IS_CHANNEL (self));
  g_return_if_fail (message != NULL);

  operation = usock_channel_new_operation (self, usock_channel_send_message_async, cancellable,
                                           callback, user_data);
  if (!usock_channel_send_on (self, self->route, message, NULL,
                              usock_message_get_length (message), operation, &error))
    usock_channel_fail_operation (self, operation, error);
}

gboolean
usock_channel_finish_operation (UsockChannel  *self,
                                GAsyncResult  *result,
                                gpointer       tag,
                                GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);

  return usock_operation_propagate (result, self, tag, NULL, error);
}

/**
 * usock_channel_send_message_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.send_message_async]. The errors are those of
 * [method@Usock.Channel.send_message], and `G_IO_ERROR_CANCELLED`.
 *
 * Returns: whether the message was sent
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_message_finish (UsockChannel  *self,
                                   GAsyncResult  *result,
                                   GError       **error)
{
  return usock_channel_finish_operation (self, result, usock_channel_send_message_async, error);
}
