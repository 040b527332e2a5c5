/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

/* How long a blocked sender waits before it tries by itself: the kernel gives no event when a
 * peer whose queue is full gives up reading. */
#define BLOCKED_RETRY (1 * G_USEC_PER_SEC)

/* Resets the idle timeout. Only the clock of the turn is stored: the deadline in the heap stays
 * where it is, and looks here when it comes. */
void
usock_channel_note_activity (UsockChannel *self)
{
  if (self->idle_timeout == 0)
    return;

  self->last_activity = usock_reactor_get_time (usock_channel_socket (self)->reactor);
  if (self->idle_emitted)
    {
      self->idle_emitted = FALSE;
      usock_channel_schedule (self);
    }
}

static void
channel_route_deadline (UsockChannel *self,
                        UsockRoute   *route,
                        gpointer      user_data)
{
  gint64 *next = user_data;

  if (route->retry_at > 0 && (route->blocked || route->queue.length > 0))
    *next = MIN (*next, route->retry_at);
  if (route->queue.length == 0 || self->n_corks > 0)
    return;

  if (!USOCK_CHANNEL_GET_CLASS (self)->connectionless)
    *next = MIN (*next, usock_reactor_get_time (usock_channel_socket (self)->reactor)
                            + BLOCKED_RETRY);
  if (self->send_timeout > 0)
    *next = MIN (*next, route->stalled_since + self->send_timeout * G_GINT64_CONSTANT (1000));
}

static gint64
channel_next_deadline (UsockChannel *self)
{
  gint64 next = G_MAXINT64;

  if (usock_channel_socket (self)->state == USOCK_STATE_CONNECTING)
    next = MIN (next, self->connect_next);
  if (self->idle_timeout > 0 && !self->idle_emitted && usock_channel_is_connected (self))
    next = MIN (next, self->last_activity + self->idle_timeout * G_GINT64_CONSTANT (1000));
  if (usock_channel_is_connected (self))
    USOCK_CHANNEL_GET_CLASS (self)->each_route (self, channel_route_deadline, &next);
  if (self->read_retry_at > 0)
    next = MIN (next, self->read_retry_at);
  if (self->close_due > 0)
    next = MIN (next, self->close_due);

  return next;
}

/* Only ever moves the deadline closer. One that comes too early finds nothing to do, which costs
 * less than moving it whenever there is activity. */
void
usock_channel_schedule (UsockChannel *self)
{
  UsockWatch *watch = &usock_channel_socket (self)->watch;
  gint64 next = channel_next_deadline (self);

  if (next != G_MAXINT64 && (watch->deadline == -1 || next < watch->deadline))
    usock_watch_set_deadline (watch, next);
}

static gboolean
channel_complete_later (gpointer operation)
{
  usock_operation_complete (operation);
  return G_SOURCE_REMOVE;
}

/* Takes a decided operation over. Its callback is called in the channel's turn, so that all
 * callbacks come in the order of their decisions and before `close`; a channel without turns
 * leaves it to the loop. Where the loop is gone, the thread's default context may by now be that
 * of another thread, whom it does not concern. */
void
usock_channel_complete (UsockChannel   *self,
                        UsockOperation *operation)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (socket->orphaned)
    g_object_unref (operation);
  else if (socket->watch.attached && !socket->finishing)
    {
      g_queue_push_tail (&self->completed, operation);
      usock_watch_wake (&socket->watch);
    }
  else
    usock_reactor_call_later (channel_complete_later, operation, g_object_unref);
}

/* Takes both over. */
void
usock_channel_fail_operation (UsockChannel   *self,
                              UsockOperation *operation,
                              GError         *error)
{
  usock_operation_return_error (operation, error);
  usock_channel_complete (self, operation);
}

void
usock_channel_run_completed (UsockChannel *self)
{
  UsockOperation *operation;

  while ((operation = g_queue_pop_head (&self->completed)) != NULL)
    {
      usock_operation_complete (operation);
      g_object_unref (operation);
    }
}

/* In whatever thread cancels. */
static void
channel_cancelled (GCancellable *cancellable,
                   UsockChannel *self)
{
  usock_watch_interrupt (&usock_channel_socket (self)->watch);
}

UsockOperation *
usock_channel_new_operation (UsockChannel        *self,
                             gpointer             tag,
                             GCancellable        *cancellable,
                             GAsyncReadyCallback  callback,
                             gpointer             user_data)
{
  UsockOperation *operation = usock_operation_new (self, tag, callback, user_data);

  if (usock_channel_socket (self)->reactor != NULL)
    usock_operation_set_cancellable (operation, cancellable, G_CALLBACK (channel_cancelled));
  return operation;
}

/* Takes the operation over. */
void
usock_channel_cancel_operation (UsockChannel   *self,
                                UsockOperation *operation)
{
  if (USOCK_CHANNEL_GET_CLASS (self)->give_back != NULL)
    USOCK_CHANNEL_GET_CLASS (self)->give_back (self, operation);
  usock_channel_fail_operation (self, operation,
                                g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                     _("The operation was cancelled")));
}

static gboolean
channel_remove_cancelled (const UsockQueueItem *item,
                          gpointer              self)
{
  if (item->operation == NULL)
    return FALSE;
  if (usock_operation_is_decided (item->operation))
    {
      g_object_unref (item->operation);
      return TRUE;
    }
  if (!usock_operation_is_cancelled (item->operation))
    return FALSE;

  if (item->message != NULL)
    {
      usock_message_unpin_fds (item->message);
      usock_message_unref (item->message);
    }
  usock_channel_cancel_operation (self, item->operation);
  return TRUE;
}

static gboolean
channel_remove_queued (const UsockQueueItem *item,
                       gpointer              self)
{
  /* What has begun to leave is not cut off. */
  if (item->sent > 0 || !channel_remove_cancelled (item, self))
    return FALSE;

  USOCK_CHANNEL (self)->n_queued--;
  USOCK_CHANNEL (self)->queued_cost -= item->cost;
  return TRUE;
}

static void
channel_sweep_route (UsockChannel *self,
                     UsockRoute   *route,
                     gpointer      user_data)
{
  usock_queue_filter (&route->queue, channel_remove_queued, self);
}

static void
channel_sweep_cancelled (UsockChannel *self)
{
  usock_queue_filter (&self->receivers, channel_remove_cancelled, self);
  USOCK_CHANNEL_GET_CLASS (self)->each_route (self, channel_sweep_route, NULL);
  usock_queue_filter (&self->enders, channel_remove_cancelled, self);

  if (self->closer != NULL && usock_operation_is_cancelled (self->closer))
    {
      self->close_due = 0;
      usock_channel_cancel_operation (self, g_steal_pointer (&self->closer));
    }
  if (self->connecting != NULL && usock_operation_is_cancelled (self->connecting)
      && usock_channel_socket (self)->state == USOCK_STATE_CONNECTING)
    usock_channel_cancel_connect (self);
}

static void
channel_check_idle (UsockChannel *self,
                    gint64        now)
{
  if (self->idle_timeout == 0 || self->idle_emitted || !usock_channel_is_connected (self)
      || now < self->last_activity + self->idle_timeout * G_GINT64_CONSTANT (1000))
    return;

  self->idle_emitted = TRUE;
  g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_TIMEOUT], 0);
}

static void
channel_check_route_stall (UsockChannel *self,
                           UsockRoute   *route,
                           gpointer      user_data)
{
  gint64 *now = user_data;
  GError *error;

  if (route->queue.length == 0 || self->n_corks > 0
      || *now < route->stalled_since + self->send_timeout * G_GINT64_CONSTANT (1000))
    return;

  error = g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                       _("Could not send to “%s”: the peer has read nothing for %u milliseconds, "
                         "and %u messages wait"),
                       route->destination != NULL ? route->destination->label
                                                  : usock_channel_peer (self),
                       self->send_timeout, route->queue.length);
  if (USOCK_CHANNEL_GET_CLASS (self)->connectionless)
    {
      usock_channel_drop_route (self, route, error);
      g_error_free (error);
    }
  else
    usock_socket_fail (usock_channel_socket (self), error);
}

static void
channel_check_stall (UsockChannel *self,
                     gint64        now)
{
  if (self->send_timeout > 0 && self->n_queued > 0 && usock_channel_is_connected (self))
    USOCK_CHANNEL_GET_CLASS (self)->each_route (self, channel_check_route_stall, &now);
}

static void
channel_check_close_due (UsockChannel *self,
                         gint64        now)
{
  if (self->close_due == 0 || now < self->close_due)
    return;

  self->close_due = 0;
  usock_socket_fail (usock_channel_socket (self),
                     g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                  _("Could not close the connection to “%s” in time: %u messages "
                                    "were not sent"),
                                  usock_channel_peer (self), self->n_queued));
}

static void
channel_check_deadlines (UsockChannel *self)
{
  gint64 now = usock_reactor_get_time (usock_channel_socket (self)->reactor);

  channel_check_close_due (self, now);
  channel_check_stall (self, now);
  channel_check_idle (self, now);
}

static void
channel_is_route_blocked (UsockChannel *self,
                          UsockRoute   *route,
                          gpointer      user_data)
{
  *(gboolean *) user_data |= route->blocked;
}

/* Not while anybody is full: a program that sent again would be refused again, for ever. */
static void
channel_check_drain (UsockChannel *self)
{
  gboolean blocked = FALSE;

  if (!self->needs_drain || self->n_queued > 0 || !usock_channel_is_connected (self))
    return;

  USOCK_CHANNEL_GET_CLASS (self)->each_route (self, channel_is_route_blocked, &blocked);
  if (blocked)
    return;

  self->needs_drain = FALSE;
  g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_DRAIN], 0);
}

/* Nobody tells a datagram socket that no more will come: what is there counts. */
static gboolean
channel_is_over (UsockChannel *self)
{
  if (USOCK_CHANNEL_GET_CLASS (self)->connectionless)
    return self->closer != NULL && !usock_channel_is_wanted (self);

  return usock_channel_socket (self)->state == USOCK_STATE_CLOSING;
}

/* A turn. Every emission may have closed the channel, or run a nested turn. */
void
usock_channel_dispatch (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);
  guint ready = socket->watch.ready;

  socket->watch.ready &= USOCK_READY_IN | USOCK_READY_HANGUP | USOCK_READY_URGENT;
  if (ready & USOCK_READY_INTERRUPT)
    channel_sweep_cancelled (self);
  if (socket->state == USOCK_STATE_CONNECTING)
    USOCK_CHANNEL_GET_CLASS (self)->retry_connect (self);
  if (self->announce)
    usock_channel_announce (self);

  if (ready & USOCK_READY_OUT)
    {
      self->route->blocked = FALSE;
      usock_watch_want_writable (&socket->watch, FALSE);
    }
  if (self->n_queued > 0 || self->route->blocked)
    usock_channel_flush (self, !USOCK_CHANNEL_GET_CLASS (self)->connectionless
                                   && (ready & (USOCK_READY_HANGUP | USOCK_READY_DEADLINE)) != 0);

  if (usock_channel_is_connected (self))
    usock_channel_read (self);
  usock_channel_run_completed (self);
  channel_check_drain (self);
  if (ready & USOCK_READY_DEADLINE)
    channel_check_deadlines (self);

  usock_channel_finish_writing (self);
  usock_channel_run_completed (self);
  if (self->ended && channel_is_over (self))
    usock_socket_fail (socket, g_steal_pointer (&self->broken));
  if (socket->state != USOCK_STATE_CLOSED)
    usock_channel_schedule (self);
}

gboolean
usock_channel_wanted (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);

  return self->completed.length > 0 || usock_channel_is_wanted (self);
}

void
usock_channel_closing (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);

  USOCK_CHANNEL_GET_CLASS (self)->stop_connecting (self);
  self->n_corks = 0;
  socket->guarded = socket->family == AF_UNIX && (self->max_fds > 0 || self->wary);
  if (socket->failure == NULL && usock_channel_is_connected (self))
    usock_channel_flush (self, TRUE);
  if (socket->failure != NULL && self->verdict == NULL)
    self->verdict = g_error_copy (socket->failure);
}

static void
channel_fail_queue (UsockChannel *self,
                    UsockQueue   *queue,
                    const GError *error)
{
  UsockQueueItem item;

  while (usock_queue_pop (queue, &item))
    if (item.operation != NULL)
      {
        usock_operation_return_error (item.operation, g_error_copy (error));
        g_queue_push_tail (&self->completed, item.operation);
      }
}

static void
channel_decide_last (UsockChannel   *self,
                     UsockOperation *operation,
                     const GError   *error)
{
  if (operation == NULL)
    return;

  if (error != NULL)
    usock_operation_return_error (operation, g_error_copy (error));
  else
    usock_operation_return_pointer (operation, NULL, NULL);
  g_queue_push_tail (&self->completed, operation);
}

static gboolean
channel_closed_gracefully (UsockChannel *self)
{
  return usock_channel_socket (self)->failure == NULL && self->ended
         && (self->end_emitted || USOCK_CHANNEL_GET_CLASS (self)->connectionless);
}

/* Everything that waits ends with the failure, or with CLOSED if the program closed. */
void
usock_channel_finish (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);
  g_autoptr (GError) error = NULL;

  if (socket->failure != NULL)
    error = g_error_copy (socket->failure);
  else
    g_set_error (&error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                 _("The connection to “%s” was closed by this program"),
                 usock_channel_peer (self));

  usock_channel_run_completed (self);
  usock_channel_drop_queued (self, error);
  channel_fail_queue (self, &self->enders, error);
  channel_fail_queue (self, &self->receivers, error);
  channel_decide_last (self, g_steal_pointer (&self->connecting), error);
  channel_decide_last (self, g_steal_pointer (&self->closer),
                       channel_closed_gracefully (self) ? NULL : error);
  usock_queue_clear (&self->inbox);
  usock_channel_run_completed (self);
}

static void
channel_clear_route (UsockChannel *self,
                     UsockRoute   *route,
                     gpointer      user_data)
{
  UsockQueueItem item;

  while (usock_queue_pop (&route->queue, &item))
    {
      if (item.message != NULL)
        usock_message_unpin_fds (item.message);
      usock_queue_item_clear (&item);
    }
}

/* Nobody is left to call back. */
void
usock_channel_orphaned (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);

  USOCK_CHANNEL_GET_CLASS (self)->each_route (self, channel_clear_route, NULL);
  usock_queue_clear (&self->inbox);
  usock_queue_clear (&self->enders);
  usock_queue_clear (&self->receivers);
  g_queue_clear_full (&self->completed, g_object_unref);
  g_clear_object (&self->connecting);
  g_clear_object (&self->closer);
}

/* What the kernel no longer has, so that poll(2) does not tell of it. */
gboolean
usock_channel_holds_input (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);

  return self->inbox.length > 0 || self->batch_next < self->batch_count;
}
