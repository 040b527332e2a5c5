/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>

static void
channel_sweep_cancelled (UsockChannel *self)
{
  UsockPending *pending = &self->pending;

  usock_pending_sweep (pending, usock_channel_give_back, self);
  if (pending->closer == NULL)
    self->close_due = 0;
  usock_outlet_sweep (&self->outlet);
  usock_channel_settle (self);
  usock_channel_sweep_connecting (self);
}

static void
channel_check_idle (UsockChannel *self)
{
  if (self->idle_timeout == 0 || self->idle_told || !usock_channel_is_connected (self)
      || g_get_monotonic_time ()
             < self->last_activity + self->idle_timeout * G_GINT64_CONSTANT (1000))
    return;

  self->idle_told = TRUE;
  usock_channel_emit (self, USOCK_CHANNEL_SIGNAL_TIMEOUT);
}

static void
channel_check_route_stall (UsockOutlet *outlet,
                           UsockRoute  *route,
                           gpointer     user_data)
{
  UsockChannel *self = user_data;

  if (route->queue.length == 0 || outlet->n_corks > 0
      || g_get_monotonic_time ()
             < route->stalled_since + self->send_timeout * G_GINT64_CONSTANT (1000))
    return;

  USOCK_CHANNEL_GET_CLASS (self)->stalled (
      self, route,
      g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                   P_("Could not send to “%s”: the peer has read nothing for %u milliseconds, "
                      "and %u message waits",
                      "Could not send to “%s”: the peer has read nothing for %u milliseconds, "
                      "and %u messages wait",
                      route->queue.length),
                   route->destination != NULL ? route->destination->label
                                              : usock_channel_peer (self),
                   self->send_timeout, route->queue.length));
}

static void
channel_check_stall (UsockChannel *self)
{
  if (self->send_timeout > 0 && self->outlet.n_queued > 0 && usock_channel_is_connected (self))
    usock_outlet_each_active (&self->outlet, channel_check_route_stall, self);
}

GError *
usock_channel_new_cut_error (UsockChannel *self)
{
  guint n_queued = self->outlet.n_queued;

  return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                      P_("Could not close the connection to “%s” in time: %u message was not sent",
                         "Could not close the connection to “%s” in time: %u messages were not "
                         "sent",
                         n_queued),
                      usock_channel_peer (self), n_queued);
}

static void
channel_check_close_due (UsockChannel *self)
{
  if (self->close_due == 0 || g_get_monotonic_time () < self->close_due)
    return;

  self->close_due = 0;
  usock_socket_fail (usock_channel_socket (self), usock_channel_new_cut_error (self));
}

/* Last in a turn, when what has happened by now was seen: what has succeeded in the meantime has
 * succeeded, however late this turn is. */
static void
channel_check_deadlines (UsockChannel *self)
{
  channel_check_close_due (self);
  channel_check_stall (self);
  usock_channel_settle (self);
  channel_check_idle (self);
}

static void
channel_write (UsockChannel *self,
               guint         ready)
{
  UsockOutlet *outlet = &self->outlet;
  gboolean force = usock_channel_is_connection (self)
                   && (ready & (USOCK_READY_HANGUP | USOCK_READY_DEADLINE)) != 0;

  if (ready & USOCK_READY_OUT)
    {
      usock_outlet_set_blocked (outlet, outlet->route, FALSE);
      usock_watch_want_writable (&usock_channel_socket (self)->watch, FALSE);
    }
  if (outlet->n_queued > 0 || outlet->route->blocked)
    usock_channel_flush (self, force);
  usock_channel_settle (self);
}

static void
channel_check_drain (UsockChannel *self)
{
  if (!usock_channel_is_connected (self) || !usock_outlet_owes_drain (&self->outlet))
    return;

  self->outlet.needs_drain = FALSE;
  usock_channel_emit (self, USOCK_CHANNEL_SIGNAL_DRAIN);
}

/* Both sides are done. */
static void
channel_conclude (UsockChannel *self)
{
  if (!self->ended || !usock_channel_is_connected (self)
      || !USOCK_CHANNEL_GET_CLASS (self)->is_over (self))
    return;

  self->end_told = TRUE;
  usock_socket_conclude (usock_channel_socket (self));
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
  if (self->approach.announce)
    usock_channel_announce (self);

  usock_channel_take_posts (self, FALSE);
  channel_write (self, ready);
  /* What the peer has done by now counts before a deadline does, though no event told of it yet. */
  if (ready & USOCK_READY_DEADLINE)
    socket->watch.ready |= USOCK_READY_IN;
  if (usock_channel_is_connected (self))
    usock_channel_read (self);
  usock_pending_run (&self->pending);
  channel_check_drain (self);

  usock_channel_finish_writing (self);
  usock_pending_run (&self->pending);
  channel_conclude (self);
  if (ready & USOCK_READY_DEADLINE)
    channel_check_deadlines (self);
  if (socket->state == USOCK_STATE_CLOSED)
    return;

  /* Where something waits, it will have its turn; with it, what was posted has. */
  if (!usock_postbox_is_empty (&self->postbox) && self->outlet.n_queued == 0 && !self->ending)
    usock_watch_wake (&socket->watch);
  usock_channel_schedule (self);
}

gboolean
usock_channel_wanted (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);

  return self->pending.completed.length > 0 || usock_channel_is_wanted (self);
}

/* The descriptor is about to go, with one last try to send. */
void
usock_channel_closing (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);

  USOCK_CHANNEL_GET_CLASS (self)->stop_connecting (self);
  if (!socket->fate.is_final && !socket->given_away)
    usock_channel_feed (self);
  self->outlet.n_corks = 0;
  usock_postbox_shut (&self->postbox);
  if (!socket->fate.is_final && !socket->given_away)
    usock_channel_take_posts (self, TRUE);
  usock_postbox_close (&self->postbox);
  if (!socket->fate.is_final && !socket->given_away && usock_channel_is_connected (self))
    usock_channel_flush (self, TRUE);
  self->inlet.fd = self->outlet.fd = -1;
  self->inlet.is_open = self->outlet.is_open = FALSE;
  usock_channel_unbind (self);
}

/* Everything that waits ends with the failure, or with CLOSED if the program closed. */
void
usock_channel_finish (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);
  g_autoptr (GError) error = NULL;
  gboolean gracefully = !socket->fate.is_final && self->ended && self->end_told;

  usock_channel_settle (self);
  usock_pending_run (&self->pending);
  if (self->outlet.n_queued > 0 || usock_pending_waits (&self->pending))
    error = usock_channel_new_verdict (self);
  usock_outlet_drop_all (&self->outlet, error);
  usock_channel_settle (self);
  usock_pending_end_all (&self->pending, error);
  usock_pending_end_closer (&self->pending, gracefully ? NULL : error);
  usock_queue_clear (&self->inlet.inbox);
  usock_pending_run (&self->pending);
  g_clear_pointer (&self->receiver, usock_channel_drop_receiver);
}

/* Nobody is left to call back. */
void
usock_channel_orphaned (UsockSocket *socket)
{
  UsockChannel *self = USOCK_CHANNEL (socket);

  usock_postbox_close (&self->postbox);
  usock_outlet_clear (&self->outlet);
  usock_queue_clear (&self->inlet.inbox);
  usock_pending_clear (&self->pending);
}

/* What the kernel no longer has, so that poll(2) does not tell of it. */
gboolean
usock_channel_holds_input (UsockSocket *socket)
{
  return usock_inlet_holds_messages (&USOCK_CHANNEL (socket)->inlet);
}

gboolean
usock_channel_shutdown (UsockSocket  *socket,
                        UsockShut     how,
                        GError      **error)
{
  UsockChannel *self = USOCK_CHANNEL (socket);
  int result = 0;

  if (!usock_socket_check (socket, error))
    return FALSE;

  if (!usock_channel_is_connected (self))
    result = -ENOTCONN;
  else if (how != USOCK_SHUT_WR && !usock_channel_is_connection (self))
    result = -EOPNOTSUPP;
  else if (how != USOCK_SHUT_WR)
    result = usock_io_shutdown (socket->fd, SHUT_RD);
  if (result < 0)
    {
      usock_socket_record (socket, USOCK_IO_SHUTDOWN, -result);
      usock_error_set_errno (error, -result, _("Could not shut a socket down"));
      return FALSE;
    }

  if (how != USOCK_SHUT_RD)
    usock_channel_begin_end (self);
  return TRUE;
}
