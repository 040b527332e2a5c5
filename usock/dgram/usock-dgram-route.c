/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The routes by whom they reach, and by what the program calls those. Some of the idle ones are
 * kept: who was sent to is likely to be sent to again. Those on which something may have to be done
 * stand in a line, which a turn goes along; it need not look at the others, however many they are. */

#include "config.h"

#include "usock-dgram-private.h"

/* How many idle routes are kept. */
#define IDLE_MAX 128

/* Takes @destination over. */
static UsockDgramRoute *
route_new (UsockDgram *self,
           UsockName  *destination)
{
  UsockDgramRoute *route = g_new0 (UsockDgramRoute, 1);

  g_ref_count_init (&route->ref_count);
  route->dgram = self;
  route->base.destination = destination;
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
  g_free (route->spelling);
  g_free (route->text);
  g_free (route);
}

/* Whom it reaches; NULL for the peer of a pair. */
const UsockName *
usock_dgram_route_get_name (UsockDgramRoute *route)
{
  return route == route->dgram->peer ? USOCK_CHANNEL (route->dgram)->approach.target
                                     : route->base.destination;
}

const char *
usock_dgram_route_get_text (UsockDgramRoute *route)
{
  const UsockName *name = usock_dgram_route_get_name (route);

  if (route->text == NULL && name != NULL)
    route->text = usock_name_to_text (name);
  return route->text;
}

static void
route_forget_spelling (UsockDgramRoute *route)
{
  if (route->spelling == NULL)
    return;

  g_hash_table_remove (route->dgram->spellings, route->spelling);
  g_clear_pointer (&route->spelling, g_free);
}

/* From now on that text is enough to find it; NULL for none. */
void
usock_dgram_spell_route (UsockDgramRoute *route,
                         const char      *spelling)
{
  route_forget_spelling (route);
  if (spelling == NULL)
    return;

  route->spelling = g_strdup (spelling);
  g_hash_table_replace (route->dgram->spellings, route->spelling, route);
}

static void
route_leave_idle (UsockDgramRoute *route)
{
  if (route->idle_link.data == NULL)
    return;

  g_queue_unlink (&route->dgram->idle, &route->idle_link);
  route->idle_link.data = NULL;
}

/* It is no longer found. */
void
usock_dgram_remove_route (UsockDgramRoute *route)
{
  route_leave_idle (route);
  route_forget_spelling (route);
  g_hash_table_remove (route->dgram->routes, route->base.destination);
}

/* It has something to do, and is not forgotten meanwhile. */
void
usock_dgram_keep_route (UsockDgramRoute *route)
{
  UsockDgram *self = route->dgram;
  UsockName *destination = route->base.destination;

  route_leave_idle (route);
  if (route != self->peer && !g_hash_table_contains (self->routes, destination))
    g_hash_table_insert (self->routes, destination, usock_dgram_ref_route (route));
}

/* An idle one is used, and so is the last to go. */
void
usock_dgram_refresh_route (UsockDgramRoute *route)
{
  GQueue *idle = &route->dgram->idle;

  if (route->idle_link.data == NULL || idle->tail == &route->idle_link)
    return;

  g_queue_unlink (idle, &route->idle_link);
  g_queue_push_tail_link (idle, &route->idle_link);
}

/* It has nothing to do. The oldest of its like go. */
void
usock_dgram_rest_route (UsockDgramRoute *route)
{
  UsockDgram *self = route->dgram;

  if (route == self->peer || !g_hash_table_contains (self->routes, route->base.destination))
    return;

  route_leave_idle (route);
  route->idle_link.data = route;
  g_queue_push_tail_link (&self->idle, &route->idle_link);
  if (self->idle.length > IDLE_MAX)
    usock_dgram_remove_route (self->idle.head->data);
}

/* To be looked at in a turn. */
void
usock_dgram_touch_route (UsockDgramRoute *route)
{
  UsockDgram *self = route->dgram;

  usock_watch_wake (&USOCK_SOCKET (self)->watch);
  if (route->active_link.data != NULL)
    return;

  route->active_link.data = usock_dgram_ref_route (route);
  g_queue_push_tail_link (&self->active, &route->active_link);
}

/* Hands the reference to the caller; NULL if there is no other. */
UsockDgramRoute *
usock_dgram_pop_active (UsockDgram *self)
{
  GList *link = g_queue_pop_head_link (&self->active);

  return link != NULL ? g_steal_pointer (&link->data) : NULL;
}

/* Routes that those who are called may add to and remove from meanwhile. */
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
usock_dgram_each_route (UsockOutlet    *outlet,
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

void
usock_dgram_forget_recent (UsockDgram *self)
{
  g_clear_pointer (&self->recent, usock_dgram_unref_route);
}

/* Takes @destination over. The route is the socket's. */
UsockDgramRoute *
usock_dgram_get_route (UsockDgram *self,
                       UsockName  *destination)
{
  UsockDgramRoute *route = g_hash_table_lookup (self->routes, destination);

  if (route != NULL)
    {
      usock_name_free (destination);
      return route;
    }

  route = route_new (self, destination);
  g_hash_table_insert (self->routes, destination, route);
  usock_dgram_rest_route (route);
  return route;
}

void
usock_dgram_init_routes (UsockDgram *self)
{
  self->routes = g_hash_table_new_full (usock_name_hash, usock_name_equal, NULL,
                                        (GDestroyNotify) usock_dgram_unref_route);
  self->spellings = g_hash_table_new (g_str_hash, g_str_equal);
  self->peer = route_new (self, NULL);
  USOCK_CHANNEL (self)->outlet.route = &self->peer->base;
}

/* The waiters go with the socket, and before its reactor does. */
static void
route_stop (UsockOutlet *outlet,
            UsockRoute  *base,
            gpointer     user_data)
{
  UsockDgramRoute *route = (UsockDgramRoute *) base;

  usock_outlet_set_blocked (outlet, base, FALSE);
  g_clear_pointer (&route->waiter, usock_waiter_free);
  if (route->own_link.data != NULL)
    {
      g_queue_unlink (&route->dgram->own, &route->own_link);
      usock_dgram_unref_route (g_steal_pointer (&route->own_link.data));
    }
  if (route != route->dgram->peer)
    usock_dgram_remove_route (route);
}

void
usock_dgram_drop_routes (UsockDgram *self)
{
  UsockDgramRoute *route;

  usock_dgram_forget_recent (self);
  while ((route = usock_dgram_pop_active (self)) != NULL)
    usock_dgram_unref_route (route);
  usock_dgram_each_route (&USOCK_CHANNEL (self)->outlet, route_stop, NULL);
}

void
usock_dgram_free_routes (UsockDgram *self)
{
  usock_dgram_drop_routes (self);
  usock_outlet_clear (&USOCK_CHANNEL (self)->outlet);
  g_clear_pointer (&self->routes, g_hash_table_unref);
  route_forget_spelling (self->peer);
  g_clear_pointer (&self->spellings, g_hash_table_unref);
  usock_dgram_unref_route (self->peer);
}
