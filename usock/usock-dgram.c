/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram.h"

#include <errno.h>

#include "usock-activation-private.h"
#include "usock-channel-private.h"
#include "usock-compat-private.h"
#include "usock-path-private.h"
#include "usock-waiter-private.h"

/* How long to stay out of a race for a full receiver's next free place, in ms: of many senders
 * that wait for it, all are woken and one succeeds. */
#define RACE_DELAY_LAST 50

/* The kernel does not tell when our own send buffer has a little room again, only when most of it
 * is free; and who waits for a receiver does not learn that another has taken its path. In ms. */
#define OWN_DELAY_LAST 1000
#define MOVED_DELAY 3000

/**
 * UsockDgram:
 *
 * Datagrams: messages without a connection, each with its sender's address.
 * `SOCK_DGRAM` of unix(7), and of udp(7) by the same calls.
 *
 * A socket that is bound receives; any may send, with
 * [method@Usock.Dgram.send_to] to anybody, or with [method@Usock.Channel.send]
 * to whom it was connected. It can be connected again, to somebody else.
 * There is no end, and a message that cannot be sent does not end the socket:
 * if it was queued and nobody waits for it,
 * [signal@Usock.Dgram::send-failed] tells.
 *
 * Addresses are text, as in [func@Usock.address_parse].
 *
 * ## Congestion
 *
 * A receiver of this machine that does not keep up is never sent over: its
 * messages wait here, in order, and hold up those of nobody else.
 * [signal@Usock.Dgram::congestion] tells when that begins, and
 * [signal@Usock.Dgram::writable] when it is over. With a
 * [property@Usock.Channel:queue-limit] of 0 nothing waits: sending fails with
 * `G_IO_ERROR_WOULD_BLOCK`, and the message stays with the caller.
 *
 * ## Messages that are not whole
 *
 * A message that is longer than the [property@Usock.Channel:read-buffer-size]
 * or brings more descriptors than [property@Usock.Channel:max-fds], which is
 * not 0, is given flagged to who asks for a [struct@Usock.Message]. For anybody
 * else it is dropped.
 *
 * ## One exception
 *
 * The kernel empties the receive queue of a connected socket when a send
 * fails because its peer is gone. A connected socket that can receive
 * therefore reads everything before it sends, and delivers it later.
 *
 * Since: 1.0
 */
struct _UsockDgram
{
  UsockChannel parent_instance;

  GHashTable *routes;       /* key → DgramRoute that is congested or has messages */
  struct _DgramRoute *peer; /* channel->route */
  struct _DgramRoute *recent;
  char *recent_text; /* as the program wrote it */
  GQueue failures;

  guint own_delay;
  gint64 own_retry_at;

  UsockPath *claim;
  guint mode;
  gboolean unlink_on_close;
  gboolean bound;     /* has a name */
  gboolean paired;    /* has a peer that needs none */
  gboolean connected;
  gboolean scattered; /* has sent to others than its peer */
  gboolean announce; /* bound, and the signal still to come */
  guint receive_buffer_size;
  guint send_buffer_size;
};

struct _UsockDgramClass
{
  UsockChannelClass parent_class;
};

G_DEFINE_TYPE (UsockDgram, usock_dgram, USOCK_TYPE_CHANNEL)

typedef enum
{
  PROP_MODE = 1,
  PROP_UNLINK_ON_CLOSE,
  PROP_RECEIVE_BUFFER_SIZE,
  PROP_SEND_BUFFER_SIZE,
} UsockDgramProperty;

enum
{
  SIGNAL_LISTENING,
  SIGNAL_DATAGRAM,
  SIGNAL_CONGESTION,
  SIGNAL_WRITABLE,
  SIGNAL_SEND_FAILED,
  N_SIGNALS,
};

static GParamSpec *properties[PROP_SEND_BUFFER_SIZE + 1];
static guint signals[N_SIGNALS];

typedef struct _DgramRoute
{
  UsockRoute base;
  UsockDgram *dgram;
  grefcount ref_count;
  char *text; /* the destination; NULL for the peer of a pair */

  UsockWaiter *waiter;
  gboolean waits_for_own; /* the send buffer that is full is ours */
  gboolean woken;         /* told of room, and still to find out whether it was first */
  gboolean unwatched;     /* nothing will tell of room */
  gboolean may_move;      /* somebody else may have the path by now */
  guint delay;

  gboolean congested;
  gboolean announced;
} DgramRoute;

typedef struct
{
  char *destination;
  GError *error;
} DgramFailure;

static DgramRoute *
route_new (UsockDgram *self,
           UsockName  *destination,
           const char *text)
{
  DgramRoute *route = g_new0 (DgramRoute, 1);

  g_ref_count_init (&route->ref_count);
  route->dgram = self;
  route->base.destination = destination;
  route->text = g_strdup (text);
  return route;
}

static DgramRoute *
route_ref (DgramRoute *route)
{
  g_ref_count_inc (&route->ref_count);
  return route;
}

static void
route_unref (DgramRoute *route)
{
  if (!g_ref_count_dec (&route->ref_count))
    return;

  g_clear_pointer (&route->waiter, usock_waiter_free);
  usock_queue_clear (&route->base.queue);
  g_clear_pointer (&route->base.destination, usock_name_free);
  g_free (route->text);
  g_free (route);
}

static void
failure_free (DgramFailure *failure)
{
  g_free (failure->destination);
  g_error_free (failure->error);
  g_free (failure);
}

/* Routes that handlers may add to and remove from meanwhile. */
static GPtrArray *
dgram_list_routes (UsockDgram *self)
{
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify) route_unref);
  GHashTableIter iter;
  gpointer route;

  g_ptr_array_add (list, route_ref (self->peer));
  g_hash_table_iter_init (&iter, self->routes);
  while (g_hash_table_iter_next (&iter, NULL, &route))
    g_ptr_array_add (list, route_ref (route));

  return list;
}

static void
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

/* Takes @destination over. The route is the socket's. */
static DgramRoute *
dgram_find_route (UsockDgram *self,
                  UsockName  *destination)
{
  g_autofree char *text = usock_name_to_text (destination);
  DgramRoute *route = g_hash_table_lookup (self->routes, text);

  if (route != NULL)
    {
      usock_name_free (destination);
      route_ref (route);
    }
  else
    route = route_new (self, destination, text);

  g_clear_pointer (&self->recent, route_unref);
  g_clear_pointer (&self->recent_text, g_free);
  self->recent = route;
  return route;
}

static void
dgram_keep_route (UsockDgram *self,
                  DgramRoute *route)
{
  if (route != self->peer && !g_hash_table_contains (self->routes, route->text))
    g_hash_table_insert (self->routes, g_strdup (route->text), route_ref (route));
}

static void
route_unblock (DgramRoute *route)
{
  route->base.blocked = FALSE;
  route->base.retry_at = 0;
  route->woken = TRUE;
  route->waits_for_own = route->may_move = FALSE;
  if (route->waiter != NULL)
    usock_waiter_arm (route->waiter, FALSE);
  usock_watch_wake (&USOCK_SOCKET (route->dgram)->watch);
}

static void
route_has_room (gpointer route)
{
  route_unblock (route);
}

/* With some jitter, that many who wait do not all come at once. */
static void
route_retry_later (DgramRoute *route)
{
  route->delay = MIN (MAX (route->delay * 2, 1), RACE_DELAY_LAST);
  route->base.retry_at
      = g_get_monotonic_time () + route->delay * (gint64) g_random_int_range (750, 1250);
}

static void
route_wait_for_own (DgramRoute *route)
{
  route->waits_for_own = TRUE;
  usock_watch_want_writable (&USOCK_SOCKET (route->dgram)->watch, TRUE);
}

/* All who wait for the same buffer look at it at the same time. */
static void
route_retry_own (DgramRoute *route)
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
route_wait_for_receiver (DgramRoute      *route,
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
route_wait_for_peer (DgramRoute  *route,
                     UsockIoRoom  room)
{
  UsockDgram *self = route->dgram;
  const UsockName *target = USOCK_CHANNEL (self)->target;

  route_wait_for_own (route);
  if (!self->scattered || room == USOCK_IO_FREE || USOCK_SOCKET (self)->family != AF_UNIX)
    return;

  if (room == USOCK_IO_CROWDED && target != NULL)
    route_wait_for_receiver (route, target);
  else
    route_retry_own (route);
}

static void
route_wait (DgramRoute *route)
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
      route_retry_own (route);
    }
}

/* Of many who wait for one receiver each free place wakes all. Who finds it taken stays out of
 * the race for a moment, longer each time, before it waits again. */
static void
usock_dgram_blocked (UsockChannel *channel,
                     UsockRoute   *base,
                     int           errnum,
                     gboolean      progress)
{
  DgramRoute *route = (DgramRoute *) base;

  base->blocked = TRUE;
  route->congested = TRUE;
  dgram_keep_route (route->dgram, route);
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
usock_dgram_lost (UsockChannel *channel,
                  UsockRoute   *base,
                  const GError *error)
{
  UsockDgram *self = USOCK_DGRAM (channel);
  DgramFailure *failure = g_new0 (DgramFailure, 1);

  failure->destination = g_strdup (((DgramRoute *) base)->text);
  failure->error = g_error_copy (error);
  g_queue_push_tail (&self->failures, failure);
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

/* The kernel forgets a peer that is gone. Another may have its path by now. */
static gboolean
usock_dgram_repair (UsockChannel *channel)
{
  return channel->target != NULL
         && usock_io_connect (USOCK_SOCKET (channel)->fd, channel->target) == 0;
}

static void
dgram_apply_buffer_sizes (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  if (socket->fd == -1)
    return;
  if (self->receive_buffer_size > 0)
    usock_io_set_option (socket->fd, SOL_SOCKET, SO_RCVBUF, self->receive_buffer_size);
  if (self->send_buffer_size > 0)
    usock_io_set_option (socket->fd, SOL_SOCKET, SO_SNDBUF, self->send_buffer_size);
}

/* The first use decides the family. */
static gboolean
dgram_open (UsockDgram  *self,
            int          family,
            const char  *label,
            GError     **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  int fd, result;

  if (!usock_socket_check (socket, error))
    return FALSE;
  if (socket->fd != -1)
    {
      if (socket->family == family)
        return TRUE;
      usock_error_set_errno (error, EAFNOSUPPORT, _("Could not use “%s” as an address"), label);
      return FALSE;
    }

  fd = usock_io_socket (family, SOCK_DGRAM, 0);
  if (fd < 0)
    {
      usock_socket_record (socket, USOCK_IO_SOCKET, -fd);
      usock_error_set_errno (error, -fd, _("Could not open a datagram socket"));
      return FALSE;
    }

  socket->family = family;
  if (!usock_socket_start (socket, fd, FALSE, error))
    g_assert_not_reached ();
  result = usock_channel_prepare_fd (USOCK_CHANNEL (self), fd);
  if (result < 0)
    usock_error_set_errno (error, -result, _("Could not open a datagram socket"));
  if (result < 0 || !usock_socket_watch (socket, error))
    {
      usock_socket_retreat (socket);
      return FALSE;
    }

  dgram_apply_buffer_sizes (self);
  usock_channel_opened (USOCK_CHANNEL (self));
  return TRUE;
}

static int
name_family (const UsockName *name)
{
  return name->path != NULL ? AF_UNIX : name->native.any.sa_family;
}

/* Its messages go on to whom they were meant for, and its congestion ends there. */
static void
dgram_move_peer (UsockDgram *self)
{
  UsockChannel *channel = USOCK_CHANNEL (self);
  DgramRoute *route = dgram_find_route (self, g_steal_pointer (&channel->target));

  dgram_keep_route (self, route);
  if (route->base.queue.length == 0)
    route->base.stalled_since = self->peer->base.stalled_since;
  usock_channel_move_queued (channel, &self->peer->base, &route->base);
  route->congested |= self->peer->congested;
  route->announced |= self->peer->announced;
  if (route->base.queue.length == 0)
    {
      route->base.blocked = TRUE;
      route_wait (route);
    }
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
  DgramRoute *peer = self->peer;

  if (channel->target == NULL)
    dgram_abandon_peer (self);
  else if (peer->base.queue.length > 0 || peer->congested)
    dgram_move_peer (self);

  self->scattered |= self->connected;
  g_clear_pointer (&channel->target, usock_name_free);
  g_clear_pointer (&peer->waiter, usock_waiter_free);
  peer->base.retry_at = 0;
  peer->base.blocked = peer->congested = peer->announced = FALSE;
  peer->waits_for_own = peer->woken = peer->unwatched = peer->may_move = FALSE;
  peer->delay = 0;
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

/* Whoever is connected, and can receive, may lose what came when a send fails. */
static void
dgram_check_stows (UsockDgram *self)
{
  USOCK_CHANNEL (self)->stows = USOCK_SOCKET (self)->family == AF_UNIX && self->connected
                                && (self->bound || self->paired);
}

/* Connecting again empties the receive queue too. */
static gboolean
usock_dgram_connect (UsockChannel  *channel,
                     UsockName     *target,
                     GError       **error)
{
  UsockDgram *self = USOCK_DGRAM (channel);
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (UsockName) owned = target;
  gboolean opened = socket->fd == -1;
  int result;

  if (!dgram_open (self, name_family (target), target->label, error))
    return FALSE;

  if (!opened)
    usock_channel_stow (channel);
  result = usock_io_connect (socket->fd, target);
  if (result < 0)
    {
      usock_socket_record (socket, USOCK_IO_CONNECT, -result);
      usock_error_set_errno (error, -result, _("Could not connect to “%s”"), target->label);
      if (opened)
        usock_socket_retreat (socket);
      return FALSE;
    }

  dgram_leave_peer (self);
  usock_socket_set_label (socket, target->label);
  g_clear_object (&socket->remote_address);
  g_free (self->peer->text);
  self->peer->text = usock_name_to_text (target);
  channel->target = g_steal_pointer (&owned);
  self->connected = TRUE;
  dgram_check_stows (self);
  channel->announce = TRUE;
  usock_watch_wake (&socket->watch);
  return TRUE;
}

/* What was decided in the calls since the last turn, and in this one. */

static void
dgram_emit_failures (UsockDgram *self)
{
  DgramFailure *failure;

  while (USOCK_SOCKET (self)->state != USOCK_STATE_CLOSED
         && (failure = g_queue_pop_head (&self->failures)) != NULL)
    {
      g_signal_emit (self, signals[SIGNAL_SEND_FAILED], 0, failure->destination, failure->error);
      failure_free (failure);
    }
}

static void
dgram_emit_congestion (UsockDgram *self,
                       DgramRoute *route)
{
  if (!route->congested || USOCK_SOCKET (self)->state == USOCK_STATE_CLOSED)
    return;

  if (!route->announced)
    {
      route->announced = TRUE;
      g_signal_emit (self, signals[SIGNAL_CONGESTION], 0, route->text);
    }

  if (route->base.blocked || route->base.queue.length > 0)
    return;

  route->congested = route->announced = route->woken = FALSE;
  route->delay = 0;
  g_clear_pointer (&route->waiter, usock_waiter_free);
  if (route != self->peer)
    g_hash_table_remove (self->routes, route->text);
  if (USOCK_SOCKET (self)->state != USOCK_STATE_CLOSED)
    g_signal_emit (self, signals[SIGNAL_WRITABLE], 0, route->text);
}

static void
dgram_check_congestion (UsockDgram *self)
{
  g_autoptr (GPtrArray) list = NULL;

  if (!self->peer->congested && g_hash_table_size (self->routes) == 0)
    return;

  list = dgram_list_routes (self);
  for (guint i = 0; i < list->len; i++)
    dgram_emit_congestion (self, list->pdata[i]);
}

static void
dgram_own_room (UsockChannel *channel,
                UsockRoute   *base,
                gpointer      user_data)
{
  DgramRoute *route = (DgramRoute *) base;

  if (route->waits_for_own)
    route_unblock (route);
}

/* With nothing in the queue there is nothing to try with. Where nothing tells of room either, it
 * is left to the next send to find out. */
static void
dgram_retry_empty (UsockChannel *channel,
                   UsockRoute   *base,
                   gpointer      now)
{
  DgramRoute *route = (DgramRoute *) base;

  if (!base->blocked || base->queue.length > 0 || base->retry_at == 0
      || *(gint64 *) now < base->retry_at)
    return;

  base->retry_at = 0;
  if (route->unwatched)
    base->blocked = FALSE;
  else
    route_wait (route);
}

static void
usock_dgram_dispatch (UsockSocket *socket)
{
  UsockDgram *self = USOCK_DGRAM (socket);
  UsockChannel *channel = USOCK_CHANNEL (socket);
  gint64 now = usock_reactor_get_time (socket->reactor);

  if (self->announce)
    {
      self->announce = FALSE;
      g_signal_emit (self, signals[SIGNAL_LISTENING], 0);
    }

  if (socket->watch.ready & USOCK_READY_OUT)
    {
      socket->watch.ready &= ~USOCK_READY_OUT;
      usock_watch_want_writable (&socket->watch, FALSE);
      usock_dgram_each_route (channel, dgram_own_room, NULL);
    }
  usock_dgram_each_route (channel, dgram_retry_empty, &now);

  if (socket->state != USOCK_STATE_CLOSED)
    ((UsockSocketClass *) usock_dgram_parent_class)->dispatch (socket);
  dgram_emit_failures (self);
  dgram_check_congestion (self);
}

static void
dgram_release_path (UsockDgram *self)
{
  if (self->claim != NULL)
    usock_path_release (g_steal_pointer (&self->claim));
}

static void
usock_dgram_closing (UsockSocket *socket)
{
  UsockDgram *self = USOCK_DGRAM (socket);

  ((UsockSocketClass *) usock_dgram_parent_class)->closing (socket);
  dgram_release_path (self);
}

/* The waiters go with the socket, and before its reactor does. */
static void
dgram_drop_routes (UsockDgram *self)
{
  GHashTableIter iter;
  gpointer route;

  g_hash_table_iter_init (&iter, self->routes);
  while (g_hash_table_iter_next (&iter, NULL, &route))
    g_clear_pointer (&((DgramRoute *) route)->waiter, usock_waiter_free);
  g_clear_pointer (&self->peer->waiter, usock_waiter_free);
  g_hash_table_remove_all (self->routes);
  g_clear_pointer (&self->recent, route_unref);
}

static void
usock_dgram_finish (UsockSocket *socket)
{
  ((UsockSocketClass *) usock_dgram_parent_class)->finish (socket);
  dgram_drop_routes (USOCK_DGRAM (socket));
}

static void
usock_dgram_orphaned (UsockSocket *socket)
{
  ((UsockSocketClass *) usock_dgram_parent_class)->orphaned (socket);
  dgram_drop_routes (USOCK_DGRAM (socket));
}

static void
usock_dgram_finalize (GObject *object)
{
  UsockDgram *self = USOCK_DGRAM (object);

  dgram_drop_routes (self);
  g_queue_clear_full (&self->failures, (GDestroyNotify) failure_free);
  g_free (self->recent_text);
  g_hash_table_unref (self->routes);
  route_unref (self->peer);

  G_OBJECT_CLASS (usock_dgram_parent_class)->finalize (object);
}

static void
usock_dgram_get_property (GObject    *object,
                          guint       property_id,
                          GValue     *value,
                          GParamSpec *pspec)
{
  UsockDgram *self = USOCK_DGRAM (object);

  switch ((UsockDgramProperty) property_id)
    {
    case PROP_MODE:
      g_value_set_uint (value, self->mode);
      break;
    case PROP_UNLINK_ON_CLOSE:
      g_value_set_boolean (value, self->unlink_on_close);
      break;
    case PROP_RECEIVE_BUFFER_SIZE:
      g_value_set_uint (value, usock_dgram_get_receive_buffer_size (self));
      break;
    case PROP_SEND_BUFFER_SIZE:
      g_value_set_uint (value, usock_dgram_get_send_buffer_size (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_dgram_set_property (GObject      *object,
                          guint         property_id,
                          const GValue *value,
                          GParamSpec   *pspec)
{
  UsockDgram *self = USOCK_DGRAM (object);

  switch ((UsockDgramProperty) property_id)
    {
    case PROP_MODE:
      usock_dgram_set_mode (self, g_value_get_uint (value));
      break;
    case PROP_UNLINK_ON_CLOSE:
      usock_dgram_set_unlink_on_close (self, g_value_get_boolean (value));
      break;
    case PROP_RECEIVE_BUFFER_SIZE:
      usock_dgram_set_receive_buffer_size (self, g_value_get_uint (value));
      break;
    case PROP_SEND_BUFFER_SIZE:
      usock_dgram_set_send_buffer_size (self, g_value_get_uint (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_dgram_class_init (UsockDgramClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  UsockSocketClass *socket_class = (UsockSocketClass *) class;
  UsockChannelClass *channel_class = (UsockChannelClass *) class;
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->finalize = usock_dgram_finalize;
  object_class->get_property = usock_dgram_get_property;
  object_class->set_property = usock_dgram_set_property;

  socket_class->dispatch = usock_dgram_dispatch;
  socket_class->closing = usock_dgram_closing;
  socket_class->finish = usock_dgram_finish;
  socket_class->orphaned = usock_dgram_orphaned;

  channel_class->connectionless = TRUE;
  channel_class->connect = usock_dgram_connect;
  channel_class->each_route = usock_dgram_each_route;
  channel_class->blocked = usock_dgram_blocked;
  channel_class->repair = usock_dgram_repair;
  channel_class->lost = usock_dgram_lost;

  /**
   * UsockDgram:mode: (getter get_mode) (setter set_mode)
   *
   * The permissions of the socket file, as chmod(2) has them; who may write
   * may send. Set before anybody can, whatever the umask is.
   *
   * Since: 1.0
   */
  properties[PROP_MODE] = g_param_spec_uint ("mode", NULL, NULL, 0, 07777, 0600, read_write);

  /**
   * UsockDgram:unlink-on-close: (getter get_unlink_on_close) (setter set_unlink_on_close)
   *
   * Whether the path is removed when the socket closes, if it is still its
   * own.
   *
   * Since: 1.0
   */
  properties[PROP_UNLINK_ON_CLOSE] = g_param_spec_boolean ("unlink-on-close", NULL, NULL, TRUE,
                                                           read_write);

  /**
   * UsockDgram:receive-buffer-size: (getter get_receive_buffer_size) (setter set_receive_buffer_size)
   *
   * `SO_RCVBUF` of socket(7), in bytes. Linux doubles what is set, and does
   * not look at it for sockets of this machine, whose senders pay.
   *
   * Since: 1.0
   */
  properties[PROP_RECEIVE_BUFFER_SIZE]
      = g_param_spec_uint ("receive-buffer-size", NULL, NULL, 0, G_MAXINT, 0, read_write);

  /**
   * UsockDgram:send-buffer-size: (getter get_send_buffer_size) (setter set_send_buffer_size)
   *
   * `SO_SNDBUF` of socket(7), in bytes. Linux doubles what is set. It grows by
   * itself when a larger message is sent to a socket of this machine.
   *
   * Since: 1.0
   */
  properties[PROP_SEND_BUFFER_SIZE]
      = g_param_spec_uint ("send-buffer-size", NULL, NULL, 0, G_MAXINT, 0, read_write);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);

  /**
   * UsockDgram::listening:
   * @self: the socket
   *
   * Emitted when the socket was bound.
   *
   * Since: 1.0
   */
  signals[SIGNAL_LISTENING] = g_signal_new ("listening", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0,
                                            NULL, NULL, NULL, G_TYPE_NONE, 0);

  /**
   * UsockDgram::datagram:
   * @self: the socket
   * @bytes: the payload of one message
   * @sender: (nullable): who sent it, as text for [method@Usock.Dgram.send_to]; %NULL if the
   *   sender's socket has no name, and cannot be answered
   *
   * Emitted for each message, beside [signal@Usock.Channel::message] and
   * [signal@Usock.Channel::data], with its sender. What
   * [signal@Usock.Channel::data] says of the array holds here too.
   *
   * Since: 1.0
   */
  signals[SIGNAL_DATAGRAM]
      = g_signal_new ("datagram", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_BYTE_ARRAY | G_SIGNAL_TYPE_STATIC_SCOPE,
                      G_TYPE_STRING | G_SIGNAL_TYPE_STATIC_SCOPE);
  channel_class->datagram_signal = signals[SIGNAL_DATAGRAM];

  /**
   * UsockDgram::congestion:
   * @self: the socket
   * @destination: (nullable): who does not keep up; %NULL for the other end of a pair
   *
   * Emitted once when a receiver is full, until
   * [signal@Usock.Dgram::writable] is.
   *
   * Since: 1.0
   */
  signals[SIGNAL_CONGESTION]
      = g_signal_new ("congestion", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 1, G_TYPE_STRING);

  /**
   * UsockDgram::writable:
   * @self: the socket
   * @destination: (nullable): who keeps up again; %NULL for the other end of a pair
   *
   * Emitted once after [signal@Usock.Dgram::congestion], when what was queued
   * for the receiver was sent and there is room for more, or when it is gone.
   *
   * Since: 1.0
   */
  signals[SIGNAL_WRITABLE]
      = g_signal_new ("writable", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 1, G_TYPE_STRING);

  /**
   * UsockDgram::send-failed:
   * @self: the socket
   * @destination: (nullable): whom the message was for; %NULL for the other end of a pair
   * @error: why
   *
   * Emitted for each message that was queued, cannot be sent any more, and
   * was not sent by an asynchronous call. The socket stays open.
   *
   * Since: 1.0
   */
  signals[SIGNAL_SEND_FAILED]
      = g_signal_new ("send-failed", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_ERROR);
}

static void
usock_dgram_init (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  UsockChannel *channel = USOCK_CHANNEL (self);

  socket->family = AF_UNIX;
  socket->type = SOCK_DGRAM;
  channel->read_buffer_size = USOCK_IO_MESSAGE_MAX;
  self->mode = 0600;
  self->unlink_on_close = TRUE;
  self->routes
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) route_unref);
  self->peer = route_new (self, NULL, NULL);
  channel->route = &self->peer->base;
  g_queue_init (&self->failures);
}

/**
 * usock_dgram_new:
 *
 * Makes a socket that is neither bound nor connected yet. Sending from it
 * opens it.
 *
 * Returns: (transfer full): a new socket
 *
 * Since: 1.0
 */
UsockDgram *
usock_dgram_new (void)
{
  return g_object_new (USOCK_TYPE_DGRAM, NULL);
}

/* A name that is relative was so to a directory that is not known. */
static void
dgram_adopt_names (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (GSocketAddress) local = usock_io_get_local_address (socket->fd);
  g_autoptr (GSocketAddress) remote = usock_io_get_remote_address (socket->fd);
  g_autofree char *local_text = local != NULL ? usock_address_to_string (local) : NULL;
  g_autofree char *text = remote != NULL ? usock_address_to_string (remote) : NULL;

  self->bound = local == NULL || local_text != NULL;
  self->connected = !usock_io_peer_is_missing (socket->fd);
  self->paired = self->connected;
  dgram_check_stows (self);
  if (text == NULL || (socket->family == AF_UNIX && text[0] != '/' && text[0] != '@'))
    return;

  USOCK_CHANNEL (self)->target = usock_name_new_for_address (remote, NULL);
  if (USOCK_CHANNEL (self)->target == NULL)
    return;
  usock_socket_set_label (socket, text);
  self->peer->text = g_steal_pointer (&text);
}

/**
 * usock_dgram_new_from_fd:
 * @fd: a descriptor; the socket's on success, else still the caller's
 * @error: return location for an error
 *
 * Makes a socket of a descriptor that was inherited or received, bound or
 * connected or neither. Its flags stay as they are, and its path is not
 * removed on close.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open, or no datagram
 * socket.
 *
 * Returns: (transfer full): a new socket, which is open
 *
 * Since: 1.0
 */
UsockDgram *
usock_dgram_new_from_fd (gint     fd,
                         GError **error)
{
  g_autoptr (UsockDgram) self = usock_dgram_new ();
  int family = AF_UNIX;

  /* The family of the descriptor decides; whatever is wrong with it is found below. */
  usock_io_get_option (fd, SOL_SOCKET, SO_DOMAIN, &family);
  USOCK_SOCKET (self)->family = family;
  if (!usock_channel_adopt (USOCK_CHANNEL (self), fd, error))
    return NULL;

  dgram_adopt_names (self);
  return g_steal_pointer (&self);
}

/**
 * usock_dgram_new_activated: (constructor)
 * @name: (nullable): what the service manager named the socket, `FileDescriptorName=` in
 *   systemd.socket(5); %NULL for the first datagram socket
 * @error: return location for an error
 *
 * Makes a socket of one that the service manager made and passed when it started
 * this program, see sd_listen_fds(3). Messages that came before are waiting
 * there. Its path is not removed on close. If several have that name, each call
 * takes another one.
 *
 * For what becomes of the environment see [method@Usock.Server.listen_activated].
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if none was passed, or none of that name is
 * left, with `G_IO_ERROR_INVALID_ARGUMENT` if none of those is a datagram socket,
 * and with the errors of [ctor@Usock.Dgram.new_from_fd]. The socket may be taken
 * again then.
 *
 * Returns: (transfer full): a new socket, which is open
 *
 * Since: 1.0
 */
UsockDgram *
usock_dgram_new_activated (const char  *name,
                           GError     **error)
{
  int fd = usock_activation_take (name, SOCK_DGRAM, USOCK_ACTIVATION_ANY, error);
  UsockDgram *self;

  if (fd == -1)
    return NULL;

  self = usock_dgram_new_from_fd (fd, error);
  usock_activation_settle (fd, self != NULL);
  return self;
}

/**
 * usock_dgram_new_pair:
 * @first: (out) (transfer full): one end
 * @second: (out) (transfer full): the other end
 * @error: return location for an error
 *
 * Makes two sockets that are connected to each other, see socketpair(2).
 * Fails if the process may open no more descriptors.
 *
 * Returns: whether they were made
 *
 * Since: 1.0
 */
gboolean
usock_dgram_new_pair (UsockDgram **first,
                      UsockDgram **second,
                      GError     **error)
{
  g_autoptr (UsockDgram) one = usock_dgram_new ();
  g_autoptr (UsockDgram) other = usock_dgram_new ();

  g_return_val_if_fail (first != NULL && second != NULL, FALSE);

  if (!usock_channel_pair (USOCK_CHANNEL (one), USOCK_CHANNEL (other), error))
    return FALSE;

  dgram_adopt_names (one);
  dgram_adopt_names (other);
  *first = g_steal_pointer (&one);
  *second = g_steal_pointer (&other);
  return TRUE;
}

/* Takes @name over. A failure leaves the socket as it was. */
static gboolean
dgram_bind (UsockDgram  *self,
            UsockName   *name,
            GError     **error)
{
  g_autoptr (UsockName) owned = name;
  UsockSocket *socket = USOCK_SOCKET (self);
  gboolean opened = socket->fd == -1;
  int result;

  if (name == NULL || !dgram_open (self, name_family (name), name->label, error))
    return FALSE;

  /* The kernel would let some of it pass. */
  if (self->bound)
    {
      usock_error_set_errno (error, EINVAL, _("Could not bind to “%s”"), name->label);
      return FALSE;
    }

  result = name->path != NULL
               ? usock_path_claim (socket->fd, name, self->mode, &self->claim)
               : usock_io_bind (socket->fd, name);
  if (result < 0)
    {
      usock_socket_record (socket, USOCK_IO_BIND, -result);
      usock_error_set_errno (error, -result, _("Could not bind to “%s”"), name->label);
      if (opened)
        usock_socket_retreat (socket);
      return FALSE;
    }

  if (self->claim != NULL)
    usock_path_set_unlink (self->claim, self->unlink_on_close);
  self->bound = self->announce = TRUE;
  dgram_check_stows (self);
  g_clear_object (&socket->local_address);
  usock_watch_wake (&socket->watch);
  return TRUE;
}

/**
 * usock_dgram_bind_to_path:
 * @self: a socket
 * @path: (type filename): where to receive; `@name` for an abstract name, in which `\\` stands
 *   for a backslash and `\xHH` for a byte
 * @error: return location for an error
 *
 * Receives on a path of the file system, or on an abstract name.
 * [signal@Usock.Dgram::listening] follows. A path may be as long as the file
 * system allows, and a relative one is fixed now. It is taken over if its owner
 * is gone.
 *
 * Fails with `G_IO_ERROR_ADDRESS_IN_USE` if a living socket has the path or it is
 * no socket, with `G_IO_ERROR_INVALID_ARGUMENT` if this socket is bound already,
 * and with others of bind(2). The socket may try again.
 *
 * Returns: whether the socket was bound
 *
 * Since: 1.0
 */
gboolean
usock_dgram_bind_to_path (UsockDgram  *self,
                          const char  *path,
                          GError     **error)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  return dgram_bind (self, usock_name_new_for_path (path, error), error);
}

/**
 * usock_dgram_bind_to_address:
 * @self: a socket
 * @address: (transfer none): where to receive
 * @error: return location for an error
 *
 * Receives on an address as [method@Usock.Dgram.bind_to_path] does, with the
 * same errors: of this machine, or of IPv4 and IPv6 for UDP. With port 0 the
 * system chooses one; [property@Usock.Socket:local-address] tells which.
 *
 * Returns: whether the socket was bound
 *
 * Since: 1.0
 */
gboolean
usock_dgram_bind_to_address (UsockDgram      *self,
                             GSocketAddress  *address,
                             GError         **error)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (address), FALSE);

  return dgram_bind (self, usock_name_new_for_address (address, error), error);
}

/**
 * usock_dgram_autobind:
 * @self: a socket
 * @error: return location for an error
 *
 * Binds to an abstract name that the kernel chooses, so that receivers can
 * answer. [signal@Usock.Dgram::listening] follows, and
 * [property@Usock.Socket:local-address] tells the name.
 *
 * Returns: whether the socket was bound
 *
 * Since: 1.0
 */
gboolean
usock_dgram_autobind (UsockDgram  *self,
                      GError     **error)
{
  UsockName *name;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);

  /* An address of nothing but its family, see unix(7). */
  name = g_new0 (UsockName, 1);
  name->label = g_strdup ("@");
  name->native.un.sun_family = AF_UNIX;
  name->length = sizeof (sa_family_t);
  return dgram_bind (self, name, error);
}

static gboolean
dgram_send_on (UsockDgram      *self,
               DgramRoute      *route,
               UsockMessage    *message,
               gconstpointer    data,
               gsize            length,
               UsockOperation  *operation,
               GError         **error)
{
  gboolean sent;

  if (!dgram_open (self, name_family (route->base.destination), route->text, error))
    return FALSE;

  self->scattered = TRUE;
  route_ref (route);
  sent = usock_channel_send_on (USOCK_CHANNEL (self), &route->base, message, data, length,
                                operation, error);
  route_unref (route);
  return sent;
}

/* Most programs send to the same destination again and again. */
static DgramRoute *
dgram_route_for_text (UsockDgram  *self,
                      const char  *text,
                      GError     **error)
{
  UsockName *name;
  DgramRoute *route;

  if (self->recent != NULL && g_strcmp0 (self->recent_text, text) == 0)
    return self->recent;

  name = usock_name_new_for_text (text, error);
  if (name == NULL)
    return NULL;

  /* A relative path may be another one next time. */
  route = dgram_find_route (self, name);
  if (text[0] == '/' || text[0] == '@' || name_family (route->base.destination) != AF_UNIX)
    self->recent_text = g_strdup (text);
  return route;
}

/**
 * usock_dgram_send_to:
 * @self: a socket
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of one message
 * @length: how many bytes there are; 0 sends an empty message
 * @destination: whom to send to, as [func@Usock.address_parse] reads it: a path of any length,
 *   `@name`, or an internet address with a port
 * @error: return location for an error
 *
 * Sends one message, as [method@Usock.Channel.send] does. To each
 * destination messages arrive in order.
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` or `G_IO_ERROR_CONNECTION_REFUSED` if nobody
 * receives there, with `G_IO_ERROR_PERMISSION_DENIED` also if the receiver is
 * connected to somebody else, with `G_IO_ERROR_WOULD_BLOCK` if the queue is full,
 * with `G_IO_ERROR_MESSAGE_TOO_LARGE`, and with others of sendmsg(2).
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_dgram_send_to (UsockDgram    *self,
                     const guint8  *data,
                     gsize          length,
                     const char    *destination,
                     GError       **error)
{
  DgramRoute *route;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);
  g_return_val_if_fail (destination != NULL, FALSE);

  route = dgram_route_for_text (self, destination, error);
  return route != NULL && dgram_send_on (self, route, NULL, data, length, NULL, error);
}

static DgramRoute *
dgram_route_for_address (UsockDgram      *self,
                         GSocketAddress  *address,
                         GError         **error)
{
  g_autoptr (UsockName) name = usock_name_new_for_address (address, error);
  g_autofree char *text = NULL;

  if (name == NULL)
    return NULL;

  text = usock_name_to_text (name);
  if (text == NULL)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                           _("Could not send: the destination has no name"));
      return NULL;
    }

  return dgram_find_route (self, g_steal_pointer (&name));
}

/**
 * usock_dgram_send_message_to:
 * @self: a socket
 * @message: (transfer none): one message
 * @destination: (transfer none): whom to send to
 * @error: return location for an error
 *
 * Sends one message with everything that it carries, as
 * [method@Usock.Dgram.send_to] does, with the same errors.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_dgram_send_message_to (UsockDgram      *self,
                             UsockMessage    *message,
                             GSocketAddress  *destination,
                             GError         **error)
{
  DgramRoute *route;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (destination), FALSE);

  route = dgram_route_for_address (self, destination, error);
  return route != NULL
         && dgram_send_on (self, route, message, NULL, usock_message_get_length (message), NULL,
                           error);
}

/**
 * usock_dgram_send_message_to_all:
 * @self: a socket
 * @message: (transfer none): one message
 * @destinations: (array zero-terminated=1): whom to send to, as in [method@Usock.Dgram.send_to]
 * @error: return location for an error
 *
 * Sends one message to several destinations. A destination that fails does
 * not keep the others from getting it; the error is the first that came.
 *
 * Returns: how many accepted it; an error is set only if none did
 *
 * Since: 1.0
 */
gsize
usock_dgram_send_message_to_all (UsockDgram          *self,
                                 UsockMessage        *message,
                                 const char * const  *destinations,
                                 GError             **error)
{
  g_autoptr (GError) first = NULL;
  gsize accepted = 0;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);
  g_return_val_if_fail (message != NULL && destinations != NULL, 0);

  for (gsize i = 0; destinations[i] != NULL; i++)
    {
      GError **slot = first == NULL ? &first : NULL;
      DgramRoute *route = dgram_route_for_text (self, destinations[i], slot);

      if (route != NULL
          && dgram_send_on (self, route, message, NULL, usock_message_get_length (message), NULL,
                            slot))
        accepted++;
    }

  if (accepted == 0 && first != NULL)
    g_propagate_error (error, g_steal_pointer (&first));
  return accepted;
}

/**
 * usock_dgram_send_message_to_async:
 * @self: a socket
 * @message: (transfer none): one message
 * @destination: (transfer none): whom to send to
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Sends one message, and completes when it is in the receiver's queue. It
 * waits for its turn however full the queue is. A cancelled message was not
 * sent.
 *
 * Since: 1.0
 */
void
usock_dgram_send_message_to_async (UsockDgram          *self,
                                   UsockMessage        *message,
                                   GSocketAddress      *destination,
                                   GCancellable        *cancellable,
                                   GAsyncReadyCallback  callback,
                                   gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;
  DgramRoute *route;

  g_return_if_fail (USOCK_IS_DGRAM (self));
  g_return_if_fail (message != NULL);
  g_return_if_fail (G_IS_SOCKET_ADDRESS (destination));

  operation = usock_channel_new_operation (USOCK_CHANNEL (self),
                                           usock_dgram_send_message_to_async, cancellable,
                                           callback, user_data);
  route = dgram_route_for_address (self, destination, &error);
  if (route == NULL
      || !dgram_send_on (self, route, message, NULL, usock_message_get_length (message),
                         operation, &error))
    usock_channel_fail_operation (USOCK_CHANNEL (self), operation, error);
}

/**
 * usock_dgram_send_message_to_finish:
 * @self: a socket
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Dgram.send_message_to_async]. The errors are those of
 * [method@Usock.Dgram.send_to], and `G_IO_ERROR_CANCELLED`.
 *
 * Returns: whether the message was sent
 *
 * Since: 1.0
 */
gboolean
usock_dgram_send_message_to_finish (UsockDgram    *self,
                                    GAsyncResult  *result,
                                    GError       **error)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);

  return usock_operation_propagate (result, self, usock_dgram_send_message_to_async, NULL, error);
}

/**
 * usock_dgram_get_mode: (get-property mode)
 * @self: a socket
 *
 * Gets the permissions of the socket file, for the next time it is bound.
 *
 * Returns: permission bits
 *
 * Since: 1.0
 */
guint
usock_dgram_get_mode (UsockDgram *self)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);

  return self->mode;
}

/**
 * usock_dgram_set_mode: (set-property mode)
 * @self: a socket
 * @mode: permission bits
 *
 * Sets the permissions of the socket file, for the next time it is bound.
 *
 * Since: 1.0
 */
void
usock_dgram_set_mode (UsockDgram *self,
                      guint       mode)
{
  g_return_if_fail (USOCK_IS_DGRAM (self));

  mode &= 07777;
  if (self->mode == mode)
    return;

  self->mode = mode;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MODE]);
}

/**
 * usock_dgram_get_unlink_on_close: (get-property unlink-on-close)
 * @self: a socket
 *
 * Gets whether the path is removed when the socket closes.
 *
 * Returns: whether to remove it
 *
 * Since: 1.0
 */
gboolean
usock_dgram_get_unlink_on_close (UsockDgram *self)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);

  return self->unlink_on_close;
}

/**
 * usock_dgram_set_unlink_on_close: (set-property unlink-on-close)
 * @self: a socket
 * @unlink_on_close: whether to remove it
 *
 * Sets whether the path is removed when the socket closes.
 *
 * Since: 1.0
 */
void
usock_dgram_set_unlink_on_close (UsockDgram *self,
                                 gboolean    unlink_on_close)
{
  g_return_if_fail (USOCK_IS_DGRAM (self));

  unlink_on_close = !!unlink_on_close;
  if (self->unlink_on_close == unlink_on_close)
    return;

  self->unlink_on_close = unlink_on_close;
  if (self->claim != NULL)
    usock_path_set_unlink (self->claim, unlink_on_close);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_UNLINK_ON_CLOSE]);
}

/**
 * usock_dgram_get_receive_buffer_size: (get-property receive-buffer-size)
 * @self: a socket
 *
 * Gets `SO_RCVBUF`, as the kernel has it.
 *
 * Returns: bytes; what was set while there is no descriptor, 0 for the system's default
 *
 * Since: 1.0
 */
guint
usock_dgram_get_receive_buffer_size (UsockDgram *self)
{
  int size;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);

  if (USOCK_SOCKET (self)->fd != -1
      && usock_io_get_option (USOCK_SOCKET (self)->fd, SOL_SOCKET, SO_RCVBUF, &size) == 0)
    return size;

  return self->receive_buffer_size;
}

/**
 * usock_dgram_set_receive_buffer_size: (set-property receive-buffer-size)
 * @self: a socket
 * @receive_buffer_size: bytes
 *
 * Sets `SO_RCVBUF`, now or when the socket is opened. The kernel doubles it, and
 * goes up to `net.core.rmem_max`.
 *
 * Since: 1.0
 */
void
usock_dgram_set_receive_buffer_size (UsockDgram *self,
                                     guint       receive_buffer_size)
{
  g_return_if_fail (USOCK_IS_DGRAM (self));

  self->receive_buffer_size = MIN (receive_buffer_size, G_MAXINT);
  dgram_apply_buffer_sizes (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_RECEIVE_BUFFER_SIZE]);
}

/**
 * usock_dgram_get_send_buffer_size: (get-property send-buffer-size)
 * @self: a socket
 *
 * Gets `SO_SNDBUF`, as the kernel has it.
 *
 * Returns: bytes; what was set while there is no descriptor, 0 for the system's default
 *
 * Since: 1.0
 */
guint
usock_dgram_get_send_buffer_size (UsockDgram *self)
{
  int size;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);

  if (USOCK_SOCKET (self)->fd != -1
      && usock_io_get_option (USOCK_SOCKET (self)->fd, SOL_SOCKET, SO_SNDBUF, &size) == 0)
    return size;

  return self->send_buffer_size;
}

/**
 * usock_dgram_set_send_buffer_size: (set-property send-buffer-size)
 * @self: a socket
 * @send_buffer_size: bytes
 *
 * Sets `SO_SNDBUF`, now or when the socket is opened. The kernel doubles it, and
 * goes up to `net.core.wmem_max`.
 *
 * Since: 1.0
 */
void
usock_dgram_set_send_buffer_size (UsockDgram *self,
                                  guint       send_buffer_size)
{
  g_return_if_fail (USOCK_IS_DGRAM (self));

  self->send_buffer_size = MIN (send_buffer_size, G_MAXINT);
  dgram_apply_buffer_sizes (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SEND_BUFFER_SIZE]);
}
