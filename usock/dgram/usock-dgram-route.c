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

typedef struct
{
  char *destination;
  GError *error;
} DgramFailure;

static UsockDgramRoute *
route_new (UsockDgram *self,
           UsockName  *destination,
           const char *text)
{
  UsockDgramRoute *route = g_new0 (UsockDgramRoute, 1);

  g_ref_count_init (&route->ref_count);
  route->dgram = self;
  route->base.destination = destination;
  route->text = g_strdup (text);
  return route;
}

UsockDgramRoute *
usock_dgram_ref_route (UsockDgramRoute *route)
{
  g_ref_count_inc (&route->ref_count);
  return route;
}

void
usock_dgram_unref_route (UsockDgramRoute *route)
{
  if (!g_ref_count_dec (&route->ref_count))
    return;

  g_clear_pointer (&route->waiter, usock_waiter_free);
  usock_queue_clear (&route->base.queue);
  g_clear_pointer (&route->base.destination, usock_name_free);
  g_free (route->text);
  g_free (route);
}

/* Routes that handlers may add to and remove from meanwhile. */
static GPtrArray *
dgram_list_routes (UsockDgram *self)
{
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_dgram_unref_route);
  GHashTableIter iter;
  gpointer route;

  g_ptr_array_add (list, usock_dgram_ref_route (self->peer));
  g_hash_table_iter_init (&iter, self->routes);
  while (g_hash_table_iter_next (&iter, NULL, &route))
    g_ptr_array_add (list, usock_dgram_ref_route (route));

  return list;
}

void
usock_dgram_each_route (UsockChannel   *channel,
                        UsockRouteFunc  func,
                        gpointer        user_data)
{
  UsockDgram *self = USOCK_DGRAM (channel);
  g_autoptr (GPtrArray) list = NULL;

  if (g_hash_table_size (self->routes) == 0)
    {
      func (channel, &self->peer->base, user_data);
      return;
    }

  list = dgram_list_routes (self);
  for (guint i = 0; i < list->len; i++)
    func (channel, list->pdata[i], user_data);
}

static void
dgram_keep_route (UsockDgram      *self,
                  UsockDgramRoute *route)
{
  if (route != self->peer && !g_hash_table_contains (self->routes, route->text))
    g_hash_table_insert (self->routes, g_strdup (route->text), usock_dgram_ref_route (route));
}

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
  gint64 now = usock_reactor_get_time (USOCK_SOCKET (self)->reactor);

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
  const UsockName *target = USOCK_CHANNEL (self)->target;

  route_wait_for_own (route);
  if (!self->scattered || USOCK_SOCKET (self)->family != AF_UNIX)
    return;

  if (room != USOCK_IO_FULL && target != NULL)
    route_wait_for_receiver (route, target);
  else
    route_retry_own (route);
}

static void
route_wait (UsockDgramRoute *route)
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
usock_dgram_blocked (UsockChannel *channel,
                     UsockRoute   *base,
                     int           errnum,
                     gboolean      progress)
{
  UsockDgramRoute *route = (UsockDgramRoute *) base;

  base->blocked = TRUE;
  route->congested = TRUE;
  dgram_keep_route (route->dgram, route);
  if (!route->announced)
    usock_watch_wake (&USOCK_SOCKET (channel)->watch);

  if (progress)
    route->delay = route->dgram->own_delay = 0;
  route->unwatched = errnum != EAGAIN;
  if (route->unwatched)
    usock_channel_wait_for_room (channel, base, errnum);
  else if (route->woken && !progress)
    route_retry_later (route);
  else
    route_wait (route);
  route->woken = FALSE;
  usock_channel_schedule (channel);
}

static void
dgram_own_room (UsockChannel *channel,
                UsockRoute   *base,
                gpointer      woken)
{
  UsockDgramRoute *route = (UsockDgramRoute *) base;

  if (!route->waits_for_own)
    return;

  route->woken = GPOINTER_TO_INT (woken);
  route_unblock (route);
}

/* With one destination the whole send buffer is its own, and empties with it. From now on others
 * may keep it. */
static void
dgram_scatter (UsockDgram *self)
{
  if (self->scattered)
    return;

  self->scattered = TRUE;
  usock_dgram_each_route (USOCK_CHANNEL (self), dgram_own_room, NULL);
}

static void
dgram_forget_recent (UsockDgram *self)
{
  g_clear_pointer (&self->recent, usock_dgram_unref_route);
  g_clear_pointer (&self->recent_text, g_free);
}

/* Takes @destination over. Returns a reference. */
static UsockDgramRoute *
dgram_get_route (UsockDgram *self,
                 UsockName  *destination)
{
  g_autofree char *text = usock_name_to_text (destination);
  UsockDgramRoute *route = g_hash_table_lookup (self->routes, text);

  if (route == NULL)
    return route_new (self, destination, text);

  usock_name_free (destination);
  return usock_dgram_ref_route (route);
}

/* Takes @destination over. The route is the socket's. What is sent to the peer by its name keeps
 * its place among what is sent without. */
UsockDgramRoute *
usock_dgram_find_route (UsockDgram *self,
                        UsockName  *destination)
{
  UsockDgramRoute *route = dgram_get_route (self, destination);

  if (g_strcmp0 (route->text, self->peer->text) == 0)
    {
      usock_dgram_unref_route (route);
      route = usock_dgram_ref_route (self->peer);
    }
  else if (self->connected
           || (self->recent != NULL && !g_str_equal (self->recent->text, route->text)))
    dgram_scatter (self);

  dgram_forget_recent (self);
  self->recent = route;
  return route;
}

/* Who does not read keeps what we sent him in our send buffer, and leaves nothing to others. */
gboolean
usock_dgram_expand (UsockChannel *channel)
{
  UsockDgram *self = USOCK_DGRAM (channel);
  int fd = USOCK_SOCKET (self)->fd;

  if (!self->scattered || self->send_buffer_size > 0 || USOCK_SOCKET (self)->family != AF_UNIX
      || usock_io_get_room (fd) != USOCK_IO_FULL || !usock_io_grow_buffer (fd))
    return FALSE;

  usock_dgram_each_route (channel, dgram_own_room, NULL);
  return TRUE;
}

static void
route_reset (UsockDgramRoute *route)
{
  g_clear_pointer (&route->waiter, usock_waiter_free);
  route->base.blocked = route->congested = route->announced = FALSE;
  route->waits_for_own = route->woken = route->unwatched = route->may_move = FALSE;
  route->base.retry_at = 0;
  route->delay = 0;
}

/* The messages of one go on to the same receiver by the other, and the congestion ends there. */
static void
route_hand_over (UsockDgramRoute *from,
                 UsockDgramRoute *to)
{
  if (to->base.queue.length == 0)
    to->base.stalled_since = from->base.stalled_since;
  usock_channel_move_queued (USOCK_CHANNEL (from->dgram), &from->base, &to->base);
  to->congested |= from->congested;
  to->announced |= from->announced;
  if (to->congested && to->base.queue.length == 0)
    {
      to->base.blocked = TRUE;
      route_wait (to);
    }
  route_reset (from);
}

/* Who has no name cannot be reached any more. */
static void
dgram_abandon_peer (UsockDgram *self)
{
  g_autoptr (GError) error = NULL;

  if (self->peer->base.queue.length == 0)
    return;

  g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                       _("Could not send: the socket was connected to another peer"));
  usock_channel_drop_route (USOCK_CHANNEL (self), &self->peer->base, error);
}

static void
dgram_leave_peer (UsockDgram *self)
{
  UsockChannel *channel = USOCK_CHANNEL (self);
  UsockDgramRoute *peer = self->peer;

  if (channel->target == NULL)
    dgram_abandon_peer (self);
  else if (peer->base.queue.length > 0 || peer->congested)
    {
      UsockDgramRoute *route = dgram_get_route (self, g_steal_pointer (&channel->target));

      dgram_keep_route (self, route);
      route_hand_over (peer, route);
      usock_dgram_unref_route (route);
    }

  route_reset (peer);
  g_clear_pointer (&channel->target, usock_name_free);
  g_clear_pointer (&peer->text, g_free);
}

/* Takes @target over, to which the socket is connected now. What waits for the old peer goes on to
 * him by his name, and what waited for the new one by his goes on as to a peer. */
void
usock_dgram_change_peer (UsockDgram *self,
                         UsockName  *target)
{
  UsockDgramRoute *same;

  if (self->connected || self->recent != NULL)
    dgram_scatter (self);
  dgram_forget_recent (self);
  dgram_leave_peer (self);

  USOCK_CHANNEL (self)->target = target;
  self->connected = TRUE;
  self->peer->text = usock_name_to_text (target);
  same = g_hash_table_lookup (self->routes, self->peer->text);
  if (same != NULL)
    {
      route_hand_over (same, self->peer);
      g_hash_table_remove (self->routes, self->peer->text);
    }
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

/* With nothing in the queue there is nothing to try with. Where nothing tells of room either, it
 * is left to the next send to find out. */
static void
dgram_retry_empty (UsockChannel *channel,
                   UsockRoute   *base,
                   gpointer      now)
{
  UsockDgramRoute *route = (UsockDgramRoute *) base;

  if (!base->blocked || base->queue.length > 0 || base->retry_at == 0
      || *(gint64 *) now < base->retry_at)
    return;

  base->retry_at = 0;
  if (route->unwatched)
    base->blocked = FALSE;
  else
    route_wait (route);
}

/* In a turn, before what may be sent is. */
void
usock_dgram_retry (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  gint64 now = usock_reactor_get_time (socket->reactor);

  if (socket->watch.ready & USOCK_READY_OUT)
    {
      socket->watch.ready &= ~USOCK_READY_OUT;
      usock_watch_want_writable (&socket->watch, FALSE);
      usock_dgram_each_route (USOCK_CHANNEL (self), dgram_own_room, GINT_TO_POINTER (TRUE));
    }
  usock_dgram_each_route (USOCK_CHANNEL (self), dgram_retry_empty, &now);
}

static void
failure_free (DgramFailure *failure)
{
  g_free (failure->destination);
  g_error_free (failure->error);
  g_free (failure);
}

void
usock_dgram_lost (UsockChannel *channel,
                  UsockRoute   *base,
                  const GError *error)
{
  UsockDgram *self = USOCK_DGRAM (channel);
  DgramFailure *failure = g_new0 (DgramFailure, 1);

  failure->destination = g_strdup (((UsockDgramRoute *) base)->text);
  failure->error = g_error_copy (error);
  g_queue_push_tail (&self->failures, failure);
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

void
usock_dgram_emit_failures (UsockDgram *self)
{
  DgramFailure *failure;

  while ((failure = g_queue_pop_head (&self->failures)) != NULL)
    {
      g_signal_emit (self, usock_dgram_signals[USOCK_DGRAM_SIGNAL_SEND_FAILED], 0,
                     failure->destination, failure->error);
      failure_free (failure);
    }
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

  route_reset (route);
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

  list = dgram_list_routes (self);
  for (guint i = 0; i < list->len; i++)
    dgram_emit_congestion (self, list->pdata[i]);
}

void
usock_dgram_init_routes (UsockDgram *self)
{
  self->routes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
                                        (GDestroyNotify) usock_dgram_unref_route);
  self->peer = route_new (self, NULL, NULL);
  USOCK_CHANNEL (self)->route = &self->peer->base;
  g_queue_init (&self->failures);
}

/* The waiters go with the socket, and before its reactor does. */
void
usock_dgram_drop_routes (UsockDgram *self)
{
  GHashTableIter iter;
  gpointer route;

  g_hash_table_iter_init (&iter, self->routes);
  while (g_hash_table_iter_next (&iter, NULL, &route))
    g_clear_pointer (&((UsockDgramRoute *) route)->waiter, usock_waiter_free);
  g_clear_pointer (&self->peer->waiter, usock_waiter_free);
  g_hash_table_remove_all (self->routes);
  dgram_forget_recent (self);
}

void
usock_dgram_free_routes (UsockDgram *self)
{
  usock_dgram_drop_routes (self);
  g_queue_clear_full (&self->failures, (GDestroyNotify) failure_free);
  g_hash_table_unref (self->routes);
  usock_dgram_unref_route (self->peer);
}
