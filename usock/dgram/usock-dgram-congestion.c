/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages to receivers who do not keep up. There is a route for each, so that none waits for
 * another, and two reasons to wait: the receiver's queue is full, or our own send buffer, in which
 * the kernel counts what any of them has not read. Of the first a waiter tells; the second makes an
 * event only once most of the buffer is free, and is looked at now and then besides. */

#include "config.h"

#include "usock-dgram-private.h"

#include <errno.h>

/* How long to stay out of a race for a full receiver's next free place, in ms: of many senders
 * that wait for it, all are woken and one succeeds. */
#define RACE_DELAY_LAST 50

/* The kernel does not tell when our own send buffer has a little room again, only when most of it
 * is free; and who waits for a receiver does not learn that another has taken its path. In ms. */
#define OWN_DELAY_LAST 1000
#define MOVED_DELAY 3000

static void
route_unblock (UsockDgramRoute *route)
{
  route->base.blocked = FALSE;
  route->base.retry_at = 0;
  route->waits_for_own = route->may_move = FALSE;
  if (route->waiter != NULL)
    usock_waiter_arm (route->waiter, FALSE);
  usock_watch_wake (&USOCK_SOCKET (route->dgram)->watch);
}

static void
route_has_room (gpointer user_data)
{
  UsockDgramRoute *route = user_data;

  route->woken = TRUE;
  route_unblock (route);
}

/* With some jitter, that many who wait do not all come at once. */
static void
route_retry_later (UsockDgramRoute *route)
{
  route->delay = MIN (MAX (route->delay * 2, 1), RACE_DELAY_LAST);
  route->base.retry_at
      = g_get_monotonic_time () + route->delay * (gint64) g_random_int_range (750, 1250);
}

static void
route_wait_for_own (UsockDgramRoute *route)
{
  route->waits_for_own = TRUE;
  usock_watch_want_writable (&USOCK_SOCKET (route->dgram)->watch, TRUE);
}

/* All who wait for the same buffer look at it at the same time. */
static void
route_retry_own (UsockDgramRoute *route)
{
  UsockDgram *self = route->dgram;
  gint64 now = g_get_monotonic_time ();

  if (self->own_retry_at <= now)
    {
      self->own_delay = MIN (MAX (self->own_delay * 2, 1), OWN_DELAY_LAST);
      self->own_retry_at = now + self->own_delay * G_GINT64_CONSTANT (1000);
    }
  route->base.retry_at = self->own_retry_at;
}

static void
route_wait_for_receiver (UsockDgramRoute *route,
                         const UsockName *receiver)
{
  /* Its time is over: it may wait for one who has the path no more. */
  if (route->may_move && route->base.retry_at == 0)
    g_clear_pointer (&route->waiter, usock_waiter_free);
  if (route->waiter == NULL)
    route->waiter = usock_waiter_new (USOCK_SOCKET (route->dgram)->reactor, receiver,
                                      route_has_room, route);

  route->unwatched = route->waiter == NULL;
  if (route->unwatched)
    {
      route_retry_later (route);
      return;
    }

  usock_waiter_arm (route->waiter, TRUE);
  if (!route->may_move || route->base.retry_at == 0)
    route->base.retry_at = g_get_monotonic_time () + MOVED_DELAY * G_GINT64_CONSTANT (1000);
  route->may_move = TRUE;
}

/* Our socket tells when its peer has room, but not while others hold much of its send buffer;
 * and they may hold it for ever. */
static void
route_wait_for_peer (UsockDgramRoute *route,
                     UsockIoRoom      room)
{
  UsockDgram *self = route->dgram;
  const UsockName *target = USOCK_CHANNEL (self)->approach.target;

  route_wait_for_own (route);
  if (!self->scattered || USOCK_SOCKET (self)->family != AF_UNIX)
    return;

  if (room != USOCK_IO_FULL && target != NULL)
    route_wait_for_receiver (route, target);
  else
    route_retry_own (route);
}

void
usock_dgram_wait (UsockDgramRoute *route)
{
  UsockSocket *socket = USOCK_SOCKET (route->dgram);
  UsockIoRoom room = usock_io_get_room (socket->fd);

  route->waits_for_own = FALSE;
  if (route == route->dgram->peer)
    route_wait_for_peer (route, room);
  else if (socket->family != AF_UNIX)
    route_wait_for_own (route);
  else if (room != USOCK_IO_FULL)
    route_wait_for_receiver (route, route->base.destination);
  else
    {
      route_wait_for_own (route);
      if (route->dgram->scattered)
        route_retry_own (route);
    }
}

/* Of many who wait for one receiver each free place wakes all. Who finds it taken stays out of
 * the race for a moment, longer each time, before it waits again. */
void
usock_dgram_blocked (UsockOutlet *outlet,
               UsockRoute  *base,
               int          errnum,
               gboolean     progress)
{
  UsockChannel *channel = outlet->owner;
  UsockDgramRoute *route = (UsockDgramRoute *) base;

  base->blocked = TRUE;
  route->congested = TRUE;
  usock_dgram_keep_route (route->dgram, route);
  if (!route->announced)
    usock_watch_wake (&USOCK_SOCKET (channel)->watch);

  if (progress)
    route->delay = route->dgram->own_delay = 0;
  route->unwatched = errnum != EAGAIN;
  if (route->unwatched)
    usock_channel_wait_for_room (outlet, base, errnum, progress);
  else if (route->woken && !progress)
    route_retry_later (route);
  else
    usock_dgram_wait (route);
  route->woken = FALSE;
  usock_channel_schedule (channel);
}

static void
dgram_own_room (UsockOutlet *outlet,
                UsockRoute  *base,
                gpointer     woken)
{
  UsockDgramRoute *route = (UsockDgramRoute *) base;

  if (!route->waits_for_own)
    return;

  route->woken = GPOINTER_TO_INT (woken);
  route_unblock (route);
}

/* With one destination the whole send buffer is its own, and empties with it. From now on others
 * may keep it. */
void
usock_dgram_scatter (UsockDgram *self)
{
  if (self->scattered)
    return;

  self->scattered = TRUE;
  usock_dgram_each_route (&USOCK_CHANNEL (self)->outlet, dgram_own_room, NULL);
}

/* Who does not read keeps what we sent him in our send buffer, and leaves nothing to others. */
gboolean
usock_dgram_expand (UsockDgram *self)
{
  int fd = USOCK_SOCKET (self)->fd;

  if (!self->scattered || self->send_buffer_size > 0 || USOCK_SOCKET (self)->family != AF_UNIX
      || usock_io_get_room (fd) != USOCK_IO_FULL || !usock_io_grow_buffer (fd))
    return FALSE;

  usock_dgram_each_route (&USOCK_CHANNEL (self)->outlet, dgram_own_room, NULL);
  return TRUE;
}

void
usock_dgram_reset_route (UsockDgramRoute *route)
{
  g_clear_pointer (&route->waiter, usock_waiter_free);
  route->base.blocked = route->congested = route->announced = FALSE;
  route->waits_for_own = route->woken = route->unwatched = route->may_move = FALSE;
  route->base.retry_at = 0;
  route->delay = 0;
}

/* With nothing in the queue there is nothing to try with. Where nothing tells of room either, it
 * is left to the next send to find out. */
static void
dgram_retry_empty (UsockOutlet *outlet,
                   UsockRoute  *base,
                   gpointer     now)
{
  UsockDgramRoute *route = (UsockDgramRoute *) base;

  if (!base->blocked || base->queue.length > 0 || base->retry_at == 0
      || *(gint64 *) now < base->retry_at)
    return;

  base->retry_at = 0;
  if (route->unwatched)
    base->blocked = FALSE;
  else
    usock_dgram_wait (route);
}

/* In a turn, before what may be sent is. */
void
usock_dgram_retry (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  gint64 now = g_get_monotonic_time ();

  if (socket->watch.ready & USOCK_READY_OUT)
    {
      socket->watch.ready &= ~USOCK_READY_OUT;
      usock_watch_want_writable (&socket->watch, FALSE);
      usock_dgram_each_route (&USOCK_CHANNEL (self)->outlet, dgram_own_room, GINT_TO_POINTER (TRUE));
    }
  usock_dgram_each_route (&USOCK_CHANNEL (self)->outlet, dgram_retry_empty, &now);
}

/* A handler may connect the socket to somebody else, or run a loop in which the episode ends. */
static void
dgram_emit_congestion (UsockDgram      *self,
                       UsockDgramRoute *route)
{
  if (!route->congested || USOCK_SOCKET (self)->state == USOCK_STATE_CLOSED)
    return;

  if (!route->announced)
    {
      route->announced = TRUE;
      g_signal_emit (self, usock_dgram_signals[USOCK_DGRAM_SIGNAL_CONGESTION], 0, route->text);
    }

  if (!route->congested || route->base.blocked || route->base.queue.length > 0
      || USOCK_SOCKET (self)->state == USOCK_STATE_CLOSED)
    return;

  usock_dgram_reset_route (route);
  if (route != self->peer)
    g_hash_table_remove (self->routes, route->text);
  g_signal_emit (self, usock_dgram_signals[USOCK_DGRAM_SIGNAL_WRITABLE], 0, route->text);
}

void
usock_dgram_check_congestion (UsockDgram *self)
{
  g_autoptr (GPtrArray) list = NULL;

  if (!self->peer->congested && g_hash_table_size (self->routes) == 0)
    return;

  list = usock_dgram_list_routes (self);
  for (guint i = 0; i < list->len; i++)
    dgram_emit_congestion (self, list->pdata[i]);
}
