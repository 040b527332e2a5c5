/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram-private.h"

/* A message is about to be sent on it. */
void
usock_dgram_use_route (UsockDgram      *self,
                       UsockDgramRoute *route)
{
  if (self->recent == route)
    return;

  if (route != self->peer && (self->connected || self->recent != NULL))
    usock_dgram_scatter (self);
  usock_dgram_refresh_route (route);
  usock_dgram_forget_recent (self);
  self->recent = usock_dgram_ref_route (route);
}

/* Takes @destination over, for which the socket is open. The route is the socket's. What is sent to
 * the peer by its name keeps its place among what is sent without. */
UsockDgramRoute *
usock_dgram_find_route (UsockDgram *self,
                        UsockName  *destination)
{
  const UsockName *target = USOCK_CHANNEL (self)->approach.target;
  UsockDgramRoute *route = self->peer;

  if (target != NULL && usock_name_equal (destination, target))
    usock_name_free (destination);
  else
    route = usock_dgram_get_route (self, destination);

  usock_dgram_use_route (self, route);
  return route;
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
      usock_outlet_set_blocked (&USOCK_CHANNEL (from->dgram)->outlet, &to->base, TRUE);
      usock_dgram_wait (to);
    }
  usock_dgram_reset_route (from);
  usock_outlet_note_change (&USOCK_CHANNEL (to->dgram)->outlet, &to->base);
}

/* Who has no name cannot be reached any more. */
static void
dgram_abandon_peer (UsockDgram *self)
{
  g_autoptr (GError) error = NULL;

  if (self->peer->base.queue.length == 0)
    return;

  g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                       _("Could not send: the socket is no longer connected to that peer"));
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
      UsockName *target = g_steal_pointer (&channel->approach.target);

      route_hand_over (peer, usock_dgram_get_route (self, target));
    }

  usock_dgram_reset_route (peer);
  usock_dgram_spell_route (peer, NULL);
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
    usock_dgram_scatter (self);
  usock_dgram_forget_recent (self);
  dgram_leave_peer (self);

  USOCK_CHANNEL (self)->approach.target = target;
  self->connected = TRUE;
  same = g_hash_table_lookup (self->routes, target);
  if (same != NULL)
    {
      route_hand_over (same, self->peer);
      usock_dgram_remove_route (same);
    }
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

/* The socket is connected to nobody now. */
void
usock_dgram_part (UsockDgram *self)
{
  usock_dgram_scatter (self);
  usock_dgram_forget_recent (self);
  dgram_leave_peer (self);
  self->connected = self->paired = FALSE;
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}
