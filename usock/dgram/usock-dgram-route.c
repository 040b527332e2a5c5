/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram-private.h"

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
GPtrArray *
usock_dgram_list_routes (UsockDgram *self)
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

  list = usock_dgram_list_routes (self);
  for (guint i = 0; i < list->len; i++)
    func (outlet, list->pdata[i], user_data);
}

void
usock_dgram_keep_route (UsockDgram      *self,
                  UsockDgramRoute *route)
{
  if (route != self->peer && !g_hash_table_contains (self->routes, route->text))
    g_hash_table_insert (self->routes, g_strdup (route->text), usock_dgram_ref_route (route));
}

void
usock_dgram_forget_recent (UsockDgram *self)
{
  g_clear_pointer (&self->recent, usock_dgram_unref_route);
  g_clear_pointer (&self->recent_text, g_free);
}

/* Takes @destination over. Returns a reference. */
UsockDgramRoute *
usock_dgram_get_route (UsockDgram *self,
                 UsockName  *destination)
{
  g_autofree char *text = usock_name_to_text (destination);
  UsockDgramRoute *route = g_hash_table_lookup (self->routes, text);

  if (route == NULL)
    return route_new (self, destination, text);

  usock_name_free (destination);
  return usock_dgram_ref_route (route);
}

void
usock_dgram_init_routes (UsockDgram *self)
{
  self->routes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
                                        (GDestroyNotify) usock_dgram_unref_route);
  self->peer = route_new (self, NULL, NULL);
  USOCK_CHANNEL (self)->outlet.route = &self->peer->base;
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
  usock_dgram_forget_recent (self);
}

void
usock_dgram_free_routes (UsockDgram *self)
{
  usock_dgram_drop_routes (self);
  usock_outlet_clear (&USOCK_CHANNEL (self)->outlet);
  g_clear_pointer (&self->routes, g_hash_table_unref);
  usock_dgram_unref_route (self->peer);
}
