/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>

/* Of the head: that much of it has left. */
void
usock_channel_advance (UsockChannel *self,
                       UsockRoute   *route,
                       gsize         sent)
{
  usock_queue_advance (&route->queue, sent);
  self->queued_cost -= sent;
  usock_channel_note_bytes (self, sent);
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

/* How many of the messages can leave in one system call: those that are bytes only. */
guint
usock_channel_gather (UsockMessage    **messages,
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

      n_iov = usock_message_get_iov (messages[n], iov + used, USOCK_CHANNEL_BATCH_IOV - used);
      if (n_iov > USOCK_CHANNEL_BATCH_IOV - used)
        break;
      outgoing[n++] = (UsockIoOutgoing) { .iov = iov + used, .n_iov = n_iov };
      used += n_iov;
    }

  return n;
}

static void
channel_pop_sent (UsockChannel *self,
                  UsockRoute   *route)
{
  UsockQueueItem item;

  channel_dequeue (self, route, &item);
  if (item.message != NULL)
    {
      usock_channel_note_sent (self, usock_message_get_length (item.message) - item.sent);
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

  usock_channel_set_send_error (self, route, errnum, usock_message_get_length (head->message),
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

      n_iov = usock_message_get_iov (item->message, iov + used, USOCK_CHANNEL_BATCH_IOV - used);
      if (n_iov > USOCK_CHANNEL_BATCH_IOV - used)
        break;
      used += item->sent > 0 ? usock_io_advance_iov (iov + used, n_iov, item->sent) : n_iov;
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
            usock_channel_advance (self, route, sent);
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
  struct iovec iov[USOCK_CHANNEL_BATCH_IOV];
  UsockIoOutgoing outgoing = { .iov = iov };
  gsize wanted = 0;
  gssize result;

  outgoing.n_iov = channel_gather_bytes (route, iov);
  for (guint i = 0; i < outgoing.n_iov; i++)
    wanted += iov[i].iov_len;

  if (outgoing.n_iov == 0 && usock_message_get_length (head->message) > 0)
    {
      wanted = usock_message_get_length (head->message) - head->sent;
      result = usock_channel_write_message (self, route, head->message, head->sent);
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
  struct iovec iov[USOCK_CHANNEL_BATCH_IOV];
  UsockMessage *messages[USOCK_IO_BATCH_MAX];
  UsockQueueItem *item;
  guint n = 0;
  gssize result;

  while (n < USOCK_IO_BATCH_MAX && (item = usock_queue_peek (&route->queue, n)) != NULL
         && item->message != NULL)
    messages[n++] = item->message;
  n = usock_channel_gather (messages, n, outgoing, iov);

  if (n > 1 && route->destination == NULL)
    {
      usock_channel_save_unread (self, route);
      result = usock_io_send_batch (usock_channel_socket (self)->fd, outgoing, n);
      if (result > 0 || !class->connectionless || (result == -EAGAIN && !class->expand (self)))
        return result;
    }

  result = usock_channel_write (self, route, messages[0], NULL,
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
      if (n < 0 && usock_channel_may_send_later (-n))
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
