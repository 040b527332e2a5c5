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

static void
dgram_each_route (UsockOutlet    *outlet,
                  UsockRouteFunc  func,
                  gpointer        user_data)
{
  UsockDgram *self = outlet->owner;
  g_autoptr (GPtrArray) list = NULL;

  if (self->routes == NULL)
    return;
  if (g_hash_table_size (self->routes) == 0)
    {
      func (outlet, &self->peer->base, user_data);
      return;
    }

  list = dgram_list_routes (self);
  for (guint i = 0; i < list->len; i++)
    func (outlet, list->pdata[i], user_data);
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
static void
dgram_blocked (UsockOutlet *outlet,
               UsockRoute  *base,
               int          errnum,
               gboolean     progress)
{
  UsockChannel *channel = outlet->owner;
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
    usock_channel_wait_for_room (outlet, base, errnum, progress);
  else if (route->woken && !progress)
    route_retry_later (route);
  else
    route_wait (route);
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
static void
dgram_scatter (UsockDgram *self)
{
  if (self->scattered)
    return;

  self->scattered = TRUE;
  dgram_each_route (&USOCK_CHANNEL (self)->outlet, dgram_own_room, NULL);
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
static gboolean
dgram_expand (UsockDgram *self)
{
  int fd = USOCK_SOCKET (self)->fd;

  if (!self->scattered || self->send_buffer_size > 0 || USOCK_SOCKET (self)->family != AF_UNIX
      || usock_io_get_room (fd) != USOCK_IO_FULL || !usock_io_grow_buffer (fd))
    return FALSE;

  dgram_each_route (&USOCK_CHANNEL (self)->outlet, dgram_own_room, NULL);
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
  usock_outlet_move_queued (&USOCK_CHANNEL (from->dgram)->outlet, &from->base, &to->base);
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
  usock_outlet_drop_messages (&USOCK_CHANNEL (self)->outlet, &self->peer->base, error);
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

static void
dgram_leave_peer (UsockDgram *self)
{
  UsockChannel *channel = USOCK_CHANNEL (self);
  UsockDgramRoute *peer = self->peer;

  if (channel->approach.target == NULL)
    dgram_abandon_peer (self);
  else if (peer->base.queue.length > 0 || peer->congested)
    {
      UsockDgramRoute *route = dgram_get_route (self, g_steal_pointer (&channel->approach.target));

      dgram_keep_route (self, route);
      route_hand_over (peer, route);
      usock_dgram_unref_route (route);
    }

  route_reset (peer);
  g_clear_pointer (&channel->approach.target, usock_name_free);
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

  USOCK_CHANNEL (self)->approach.target = target;
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
    route_wait (route);
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
      dgram_each_route (&USOCK_CHANNEL (self)->outlet, dgram_own_room, GINT_TO_POINTER (TRUE));
    }
  dgram_each_route (&USOCK_CHANNEL (self)->outlet, dgram_retry_empty, &now);
}

static void
failure_free (DgramFailure *failure)
{
  g_free (failure->destination);
  g_error_free (failure->error);
  g_free (failure);
}

/* Once the socket is closed its own end says it all. */
static void
dgram_lost (UsockOutlet  *outlet,
            UsockRoute   *base,
            const GError *error)
{
  UsockDgram *self = outlet->owner;
  DgramFailure *failure;

  if (!usock_channel_is_connected (USOCK_CHANNEL (self)))
    {
      USOCK_CHANNEL (self)->lost = TRUE;
      return;
    }

  failure = g_new0 (DgramFailure, 1);
  failure->destination = g_strdup (((UsockDgramRoute *) base)->text);
  failure->error = g_error_copy (error);
  g_queue_push_tail (&self->failures, failure);
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

/* Of one message: the socket has others to send, and stays open. */
static void
dgram_failed (UsockOutlet *outlet,
              UsockRoute  *base,
              int          errnum)
{
  UsockMessage *message = usock_queue_peek (&base->queue, 0)->message;
  g_autoptr (GError) error = NULL;

  usock_channel_set_send_error (outlet->owner, base, errnum, usock_message_get_length (message),
                                usock_message_get_n_fds (message), &error);
  usock_outlet_drop_head (outlet, base, error);
}

/* A failing send empties the receive queue of a connected datagram socket, see the kernel's
 * unix_dgram_sendmsg(). One that asks for credentials is given a name, and so may receive too. */
static void
dgram_protect (UsockOutlet *outlet,
               UsockRoute  *base)
{
  UsockDgram *self = outlet->owner;

  if (base == outlet->route && (self->stows || USOCK_CHANNEL (self)->inlet.pass_credentials))
    usock_channel_stow (USOCK_CHANNEL (self));
}

/* The kernel forgets a peer that is gone. Another may have its path by now. */
static gboolean
dgram_find_peer_again (UsockDgram *self)
{
  const UsockName *target = USOCK_CHANNEL (self)->approach.target;

  return target != NULL && usock_io_connect (USOCK_SOCKET (self)->fd, target) == 0;
}

/* What the socket has been told of an earlier message it says at the next call, whatever that is
 * for. On this machine it says that the peer is gone once, and then that there never was one. */
static gboolean
dgram_repair (UsockOutlet *outlet,
              UsockRoute  *base,
              gsize        length,
              gssize      *result)
{
  UsockDgram *self = outlet->owner;

  if (*result == -EDESTADDRREQ)
    *result = -ENOTCONN;
  if (*result == -ENOBUFS && length > USOCK_IO_MESSAGE_MAX)
    *result = -EMSGSIZE;
  if (*result == -EAGAIN)
    return dgram_expand (self);
  if (USOCK_SOCKET (self)->family != AF_UNIX || *result == -ECONNRESET)
    return !usock_outlet_may_send_later (-*result);
  if (*result == -EMSGSIZE)
    return usock_io_make_room (outlet->fd, length) == 0;
  if ((*result != -ECONNREFUSED && *result != -ENOTCONN) || base != outlet->route)
    return FALSE;

  if (USOCK_CHANNEL (self)->approach.target != NULL)
    *result = -ECONNREFUSED;
  return dgram_find_peer_again (self);
}

static gboolean
dgram_fits (UsockOutlet *outlet,
            gsize        length)
{
  return USOCK_SOCKET (outlet->owner)->family != AF_UNIX
         || usock_outlet_packet_fits (outlet, length);
}

const UsockOutletFuncs usock_dgram_outlet = {
  .each_route = dgram_each_route,
  .fits = dgram_fits,
  .give = usock_outlet_give_packets,
  .protect = dgram_protect,
  .repair = dgram_repair,
  .blocked = dgram_blocked,
  .failed = dgram_failed,
  .lost = dgram_lost,
};

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
  USOCK_CHANNEL (self)->outlet.route = &self->peer->base;
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
  usock_outlet_clear (&USOCK_CHANNEL (self)->outlet);
  g_clear_pointer (&self->routes, g_hash_table_unref);
  usock_dgram_unref_route (self->peer);
}
