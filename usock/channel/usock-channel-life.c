/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

/* How long a blocked sender waits before it tries by itself: the kernel gives no event when a
 * peer whose queue is full gives up reading. */
#define BLOCKED_RETRY (1 * G_USEC_PER_SEC)

/* Resets the idle timeout. Only the time is stored: the deadline in the heap stays where it is, and
 * looks here when it comes. A handler may have run since the turn began, so the clock is asked. */
void
usock_channel_note_activity (UsockChannel *self)
{
  if (self->idle_timeout == 0)
    return;

  self->last_activity = g_get_monotonic_time ();
  if (self->idle_told)
    {
      self->idle_told = FALSE;
      usock_channel_schedule (self);
    }
}

/* When something has to be done about what waits on a route; G_MAXINT64 for never. */
gint64
usock_channel_get_route_deadline (UsockChannel     *self,
                                  const UsockRoute *route)
{
  gint64 next = G_MAXINT64;

  if (route->retry_at > 0 && (route->blocked || route->queue.length > 0))
    next = MIN (next, route->retry_at);
  if (route->queue.length == 0 || self->outlet.n_corks > 0)
    return next;

  if (usock_channel_is_connection (self))
    next = MIN (next, g_get_monotonic_time () + BLOCKED_RETRY);
  if (self->send_timeout > 0)
    next = MIN (next, route->stalled_since + self->send_timeout * G_GINT64_CONSTANT (1000));
  return next;
}

static gint64
channel_next_deadline (UsockChannel *self)
{
  gboolean connected = usock_channel_is_connected (self);
  gint64 next = G_MAXINT64;

  if (usock_channel_socket (self)->state == USOCK_STATE_CONNECTING)
    next = MIN (next, self->approach.next);
  if (self->idle_timeout > 0 && !self->idle_told && connected)
    next = MIN (next, self->last_activity + self->idle_timeout * G_GINT64_CONSTANT (1000));
  if (connected && usock_channel_is_connection (self))
    next = MIN (next, usock_channel_get_route_deadline (self, self->outlet.route));
  if (self->read_retry_at > 0)
    next = MIN (next, self->read_retry_at);
  if (self->close_due > 0)
    next = MIN (next, self->close_due);

  return next;
}

/* Where there are many routes, each has a clock of its own. Only ever moves the deadline closer. One
 * that comes too early finds nothing to do, which costs less than moving it whenever there is
 * activity. */
void
usock_channel_schedule (UsockChannel *self)
{
  UsockWatch *watch = &usock_channel_socket (self)->watch;
  gint64 next = channel_next_deadline (self);

  if (next != G_MAXINT64 && (watch->deadline == -1 || next < watch->deadline))
    usock_watch_set_deadline (watch, next);
}

/* Of a channel that is connected: which of both ends are still open. */
void
usock_channel_derive_state (UsockChannel *self)
{
  UsockState state = self->end_told ? USOCK_STATE_WRITE_ONLY : USOCK_STATE_OPEN;

  if (self->ending)
    state = self->end_told ? USOCK_STATE_CLOSING : USOCK_STATE_READ_ONLY;
  usock_socket_set_state (usock_channel_socket (self), state);
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

static gboolean
channel_complete_later (gpointer operation)
{
  usock_operation_complete (operation);
  return G_SOURCE_REMOVE;
}

static gboolean
channel_run_later (gpointer user_data)
{
  UsockChannel *self = user_data;

  if (!usock_channel_socket (self)->watch.attached)
    usock_pending_run (&self->pending);
  return G_SOURCE_REMOVE;
}

/* A channel that is new has no turns. What was decided in it is told by the loop, or in the first
 * turn before all else. */
void
usock_channel_run_later (UsockChannel *self)
{
  self->pending.n_earlier = self->pending.completed.length;
  usock_reactor_call_later (channel_run_later, g_object_ref (self), g_object_unref);
}

/* Takes a decided operation over. Its callback is called in the channel's turn, so that all
 * callbacks come in the order of their decisions and before `close`; a channel without turns
 * leaves it to the loop. Where the context goes, nobody is left to tell: a function that frees what was
 * queued may ask for something even then. */
void
usock_channel_complete (UsockChannel   *self,
                        UsockOperation *operation)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (socket->orphaned)
    {
      g_object_unref (operation);
      return;
    }
  if (socket->finishing)
    {
      usock_reactor_call_later (channel_complete_later, operation, g_object_unref);
      return;
    }

  usock_pending_push (&self->pending.completed, operation);
  if (socket->watch.attached)
    usock_watch_wake (&socket->watch);
  else
    usock_channel_run_later (self);
}

/* Takes the operation over. */
void
usock_channel_succeed_operation (UsockChannel   *self,
                                 UsockOperation *operation)
{
  usock_operation_return_pointer (operation, NULL, NULL);
  usock_channel_complete (self, operation);
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

/* Takes the operation over. */
void
usock_channel_cancel_operation (UsockChannel   *self,
                                UsockOperation *operation)
{
  usock_channel_fail_operation (self, operation,
                                g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                     _("The operation was cancelled")));
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

/* What it kept is first in line again. */
void
usock_channel_give_back (UsockOperation *operation,
                         gpointer        self)
{
  if (USOCK_CHANNEL_GET_CLASS (self)->give_back != NULL)
    USOCK_CHANNEL_GET_CLASS (self)->give_back (self, operation);
}

/* Takes the error over, with which the channel will fail; the first counts. What the kernel or the
 * inbox still holds is delivered before. */
void
usock_channel_break (UsockChannel *self,
                     GError       *error)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (socket->fate.error != NULL)
    g_error_free (error);
  else
    socket->fate.error = error;

  socket->watch.ready |= USOCK_READY_IN;
  usock_watch_wake (&socket->watch);
}

void
usock_channel_break_errno (UsockChannel *self,
                           int           errnum)
{
  GError *error = NULL;

  usock_socket_record (usock_channel_socket (self), USOCK_IO_RECEIVE, errnum);
  usock_error_set_errno (&error, errnum, _("Could not receive from “%s”"),
                         usock_channel_peer (self));
  usock_channel_break (self, error);
}

/* Why the channel ended, for whoever waits or asks later. */
GError *
usock_channel_new_verdict (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (socket->fate.error != NULL)
    return g_error_copy (socket->fate.error);

  return g_error_new (G_IO_ERROR, G_IO_ERROR_CLOSED,
                      _("The connection to “%s” was closed by this program"),
                      usock_channel_peer (self));
}

/* No event tells when it can be read again. */
void
usock_channel_read_later (UsockChannel *self,
                          gint64        delay)
{
  UsockWatch *watch = &usock_channel_socket (self)->watch;

  watch->ready &= ~USOCK_READY_IN;
  usock_watch_set_level (watch, FALSE);
  self->read_retry_at = g_get_monotonic_time () + delay;
  usock_channel_schedule (self);
}
