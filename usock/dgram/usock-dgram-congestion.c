/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages to receivers who do not keep up. There is a route for each, so that none waits for
 * another, and two reasons to wait: the receiver's queue is full, or our own send buffer, in which
 * the kernel counts what any of them has not read.
 *
 * Of the first a waiter tells, as far as there are descriptors for it, or its clock. The second makes
 * an event only once most of the buffer is free, and is looked at now and then besides. Those who
 * wait for it stand in a line; its first tries, and hands what is left to the next. So a turn costs
 * what is done in it, and not what there are of those who do not read. */

#include "config.h"

#include "usock-dgram-private.h"

#include <errno.h>

/* How long to stay out of a race for a full receiver's next free place, in ms: of many senders
 * that wait for it, all are woken and one succeeds. */
#define RACE_DELAY_LAST 50

/* The kernel does not tell when our own send buffer has a little room again, only when most of it
 * is free; who has no descriptor to wait with is told nothing; and who waits for a receiver does
 * not learn that another has taken its path. In ms. */
#define OWN_DELAY_LAST 1000
#define CLOCK_DELAY_LAST 1000
#define MOVED_DELAY 3000

/* When something is to be done though nothing happens. */
static void
route_schedule (UsockDgramRoute *route)
{
  gint64 next = usock_channel_get_route_deadline (USOCK_CHANNEL (route->dgram), &route->base);

  if (next != G_MAXINT64 && route->waiter != NULL)
    usock_waiter_set_clock (route->waiter, next);
}

static gboolean
route_is_first_of_own (const UsockDgramRoute *route)
{
  return route->own_link.data != NULL && route->own_link.prev == NULL;
}

/* All who wait for the same buffer look at it through the first of them. */
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
  route_schedule (route);
}

static gboolean
dgram_may_stay_full (UsockDgram *self)
{
  return self->scattered && USOCK_SOCKET (self)->family == AF_UNIX;
}

/* Who was its first has tried, and stays so. */
static void
route_enter_own (UsockDgramRoute *route)
{
  UsockDgram *self = route->dgram;

  if (route->own_link.data != NULL)
    return;

  route->own_link.data = usock_dgram_ref_route (route);
  if (route->has_own_room)
    g_queue_push_head_link (&self->own, &route->own_link);
  else
    g_queue_push_tail_link (&self->own, &route->own_link);
}

static void
route_leave_own (UsockDgramRoute *route)
{
  UsockDgram *self = route->dgram;
  gboolean was_first = route_is_first_of_own (route);

  if (route->own_link.data == NULL)
    return;

  g_queue_unlink (&self->own, &route->own_link);
  if (was_first && self->own.length > 0 && dgram_may_stay_full (self))
    route_retry_own (self->own.head->data);
  usock_dgram_unref_route (g_steal_pointer (&route->own_link.data));
}

static void
route_unblock (UsockDgramRoute *route)
{
  usock_outlet_set_blocked (&USOCK_CHANNEL (route->dgram)->outlet, &route->base, FALSE);
  route->base.retry_at = 0;
  route->waits_for_own = route->may_move = FALSE;
  route_leave_own (route);
  if (route->waiter != NULL)
    usock_waiter_arm (route->waiter, FALSE);
  usock_dgram_touch_route (route);
}

/* Time is what every turn looks at, and what is late for sure. */
static void
route_woken (gpointer          user_data,
             UsockWaiterReason reason)
{
  UsockDgramRoute *route = user_data;

  if (reason == USOCK_WAITER_ROOM)
    {
      route->woken = TRUE;
      route_unblock (route);
      return;
    }

  USOCK_SOCKET (route->dgram)->watch.ready |= USOCK_READY_DEADLINE;
  usock_dgram_touch_route (route);
}

static void
route_need_waiter (UsockDgramRoute *route)
{
  UsockDgram *self = route->dgram;

  if (route->waiter == NULL)
    route->waiter = usock_waiter_new (USOCK_SOCKET (self)->reactor, &self->n_waiters, route_woken,
                                      route);
}

static void
route_grow_delay (UsockDgramRoute *route,
                  guint            last)
{
  route->delay = MIN (MAX (route->delay * 2, 1), last);
}

/* With some jitter, that many who wait do not all come at once. */
static void
route_race_later (UsockDgramRoute *route)
{
  route_grow_delay (route, RACE_DELAY_LAST);
  route->base.retry_at
      = g_get_monotonic_time () + route->delay * (gint64) g_random_int_range (750, 1250);
}

static void
route_wait_for_own (UsockDgramRoute *route)
{
  route->waits_for_own = TRUE;
  if (route != route->dgram->peer)
    route_enter_own (route);
  usock_watch_want_writable (&USOCK_SOCKET (route->dgram)->watch, TRUE);
}

/* Where it was refused a descriptor, or has had one for long enough while others were. Many who have
 * waited long look at the same time, in one turn. */
static void
route_wait_by_clock (UsockDgramRoute *route)
{
  gint64 delay, step;

  route->unwatched = TRUE;
  usock_waiter_unwatch (route->waiter);
  route_grow_delay (route, CLOCK_DELAY_LAST);
  delay = route->delay * G_GINT64_CONSTANT (1000);
  step = delay / 4;
  route->base.retry_at = (g_get_monotonic_time () + delay) / step * step;
}

static void
route_wait_for_receiver (UsockDgramRoute *route,
                         const UsockName *receiver)
{
  /* Its time is over: it may wait for one who has the path no more. */
  if (route->may_move && route->base.retry_at == 0)
    {
      gboolean crowded = route->dgram->n_waiters >= USOCK_WAITER_SHARE;

      route->may_move = FALSE;
      usock_waiter_unwatch (route->waiter);
      if (crowded)
        {
          route->delay = CLOCK_DELAY_LAST;
          route_wait_by_clock (route);
          return;
        }
    }
  if (!usock_waiter_watch (route->waiter, receiver))
    {
      route_wait_by_clock (route);
      return;
    }

  route->unwatched = FALSE;
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
  if (!dgram_may_stay_full (self))
    return;

  if (room != USOCK_IO_FULL && target != NULL)
    route_wait_for_receiver (route, target);
  else
    route_retry_own (route);
}

static void
route_wait_in (UsockDgramRoute *route,
               UsockIoRoom      room)
{
  UsockDgram *self = route->dgram;

  route->waits_for_own = FALSE;
  if (route == self->peer)
    route_wait_for_peer (route, room);
  else if (USOCK_SOCKET (self)->family == AF_UNIX && room != USOCK_IO_FULL)
    {
      route_leave_own (route);
      route_wait_for_receiver (route, route->base.destination);
    }
  else
    {
      route_wait_for_own (route);
      if (dgram_may_stay_full (self) && route_is_first_of_own (route))
        route_retry_own (route);
    }
}

void
usock_dgram_wait (UsockDgramRoute *route)
{
  route_need_waiter (route);
  route_wait_in (route, usock_io_get_room (USOCK_SOCKET (route->dgram)->fd));
  route_schedule (route);
}

/* Of many who wait for one receiver each free place wakes all. Who finds it taken stays out of
 * the race for a moment, longer each time, before it waits again. */
void
usock_dgram_blocked (UsockOutlet *outlet,
                     UsockRoute  *base,
                     int          errnum,
                     gboolean     progress)
{
  UsockDgramRoute *route = (UsockDgramRoute *) base;

  usock_outlet_set_blocked (outlet, base, TRUE);
  route->congested = TRUE;
  usock_dgram_keep_route (route);
  route_need_waiter (route);
  if (!route->announced)
    usock_dgram_touch_route (route);

  if (progress)
    route->delay = route->dgram->own_delay = 0;
  route->unwatched = errnum != EAGAIN;
  if (route->unwatched)
    usock_channel_wait_for_room (outlet, base, errnum, progress);
  else if (route->woken && !progress)
    route_race_later (route);
  else
    usock_dgram_wait (route);
  route->woken = FALSE;
  route_schedule (route);
}

/* Also of one that is not blocked: something may be left for a turn to do. */
void
usock_dgram_changed (UsockOutlet *outlet,
                     UsockRoute  *base)
{
  UsockDgramRoute *route = (UsockDgramRoute *) base;

  if (base->queue.length == 0 && !base->blocked && !route->congested)
    return;

  usock_dgram_keep_route (route);
  route_need_waiter (route);
  route_schedule (route);
  usock_dgram_touch_route (route);
}

/* The first who waits for our own send buffer may try. */
static void
dgram_pass_room (UsockDgram *self)
{
  GList *first = self->own.head;

  if (first == NULL)
    return;

  ((UsockDgramRoute *) first->data)->has_own_room = TRUE;
  route_unblock (first->data);
}

/* What it has left of it is the next one's. */
static void
route_pass_room (UsockDgramRoute *route)
{
  if (!route->has_own_room)
    return;

  route->has_own_room = FALSE;
  if (!route->waits_for_own)
    dgram_pass_room (route->dgram);
}

/* Those who join meanwhile are visited as well, the next who waits for our own buffer for one. */
void
usock_dgram_each_active (UsockOutlet    *outlet,
                         UsockRouteFunc  func,
                         gpointer        user_data)
{
  UsockDgram *self = outlet->owner;

  for (GList *link = self->active.head; link != NULL; link = link->next)
    {
      func (outlet, &((UsockDgramRoute *) link->data)->base, user_data);
      route_pass_room (link->data);
    }
}

/* There may be room in our own buffer, for whoever comes first. */
static void
dgram_has_own_room (UsockDgram *self,
                    gboolean    woken)
{
  if (self->peer->waits_for_own)
    {
      self->peer->woken = woken;
      route_unblock (self->peer);
    }
  dgram_pass_room (self);
}

/* With one destination the whole send buffer is its own, and empties with it. From now on others
 * may keep it. */
void
usock_dgram_scatter (UsockDgram *self)
{
  if (self->scattered)
    return;

  self->scattered = TRUE;
  dgram_has_own_room (self, FALSE);
}

/* Who does not read keeps what we sent him in our send buffer, and leaves nothing to others. */
gboolean
usock_dgram_expand (UsockDgram *self)
{
  int fd = USOCK_SOCKET (self)->fd;

  if (!dgram_may_stay_full (self) || self->send_buffer_size > 0
      || usock_io_get_room (fd) != USOCK_IO_FULL || !usock_io_grow_buffer (fd))
    return FALSE;

  dgram_has_own_room (self, FALSE);
  return TRUE;
}

void
usock_dgram_reset_route (UsockDgramRoute *route)
{
  usock_outlet_set_blocked (&USOCK_CHANNEL (route->dgram)->outlet, &route->base, FALSE);
  route_leave_own (route);
  g_clear_pointer (&route->waiter, usock_waiter_free);
  route->congested = route->announced = FALSE;
  route->waits_for_own = route->has_own_room = FALSE;
  route->woken = route->unwatched = route->may_move = FALSE;
  route->base.retry_at = 0;
  route->delay = 0;
}

/* Whether its receiver has no room, as far as that can be told. */
static gboolean
route_finds_none (UsockDgramRoute *route)
{
  const UsockName *name = usock_dgram_route_get_name (route);

  return name != NULL && usock_dgram_family_of (name) == AF_UNIX && usock_waiter_probe (name) == 0;
}

/* With nothing in the queue there is nothing to try with. Where nothing tells of room either, it is
 * looked for, or left to the next send to find out. */
static void
route_retry_empty (UsockDgramRoute *route)
{
  route->has_own_room = route_is_first_of_own (route);
  route->base.retry_at = 0;
  if (!route->unwatched || route_finds_none (route))
    usock_dgram_wait (route);
  else
    route_unblock (route);
  route_pass_room (route);
}

static void
route_retry (UsockDgramRoute *route,
             gint64           now)
{
  if (!route->base.blocked || route->base.retry_at == 0 || now < route->base.retry_at)
    return;

  if (route->base.queue.length == 0)
    route_retry_empty (route);
  else if (route_is_first_of_own (route))
    dgram_pass_room (route->dgram);
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
      dgram_has_own_room (self, TRUE);
    }
  for (GList *link = self->active.head; link != NULL; link = link->next)
    route_retry (link->data, now);
}

static gboolean
route_is_free (const UsockDgramRoute *route)
{
  return !route->base.blocked && route->base.queue.length == 0;
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
      if (route_is_free (route))
        usock_dgram_touch_route (route);
      g_signal_emit (self, usock_dgram_signals[USOCK_DGRAM_SIGNAL_CONGESTION], 0,
                     usock_dgram_route_get_text (route));
    }

  if (!route->congested || !route_is_free (route)
      || USOCK_SOCKET (self)->state == USOCK_STATE_CLOSED)
    return;

  usock_dgram_reset_route (route);
  usock_dgram_rest_route (route);
  g_signal_emit (self, usock_dgram_signals[USOCK_DGRAM_SIGNAL_WRITABLE], 0,
                 usock_dgram_route_get_text (route));
}

/* What was unblocked too late to be sent in this turn is sent in the next. */
static void
route_leave_turn (UsockDgramRoute *route)
{
  if (USOCK_SOCKET (route->dgram)->state == USOCK_STATE_CLOSED)
    return;

  route_schedule (route);
  if (route->base.queue.length > 0 && !route->base.blocked)
    usock_dgram_touch_route (route);
}

/* At the end of a turn. One that a handler brings up again is for the next turn. */
void
usock_dgram_check_congestion (UsockDgram *self)
{
  UsockDgramRoute *route;

  for (guint n = self->active.length; n > 0 && (route = usock_dgram_pop_active (self)) != NULL; n--)
    {
      dgram_emit_congestion (self, route);
      route_leave_turn (route);
      usock_dgram_unref_route (route);
    }
}
