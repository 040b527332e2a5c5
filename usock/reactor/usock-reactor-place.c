/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-parts-private.h"

/* After how many turns a watch is worth another place. */
#define TURNS_TO_MOVE 16

/* With how many descriptors some are polled directly: a server's own is not one of those. */
#define FEW (USOCK_DIRECT_MAX + 1)

static gboolean
place_is_epoll (UsockPlace place)
{
  return place == USOCK_PLACE_EPOLL || place == USOCK_PLACE_LEVEL;
}

static int
reactor_move_within_epoll (UsockWatch *watch,
                           UsockPlace  place)
{
  UsockPlace before = watch->place;
  int result;

  watch->place = place;
  result = usock_epoll_modify (watch);
  if (result < 0)
    watch->place = before;
  return result;
}

/* The one way from a place to another. The watch knows its descriptor already when it comes from
 * nowhere. On its way it is polled nowhere: where it cannot be added, it rests, or is nowhere
 * still. Leaving for nowhere succeeds always. */
int
usock_reactor_move (UsockWatch *watch,
                    UsockPlace  place)
{
  UsockPlace before = watch->place;
  int result = 0;

  if (before == place)
    return 0;
  if (place_is_epoll (before) && place_is_epoll (place))
    return reactor_move_within_epoll (watch, place);

  if (place_is_epoll (before))
    result = usock_epoll_remove (watch);
  else if (before == USOCK_PLACE_DIRECT)
    usock_direct_stop (watch);
  if (result < 0 && place != USOCK_PLACE_NOWHERE)
    return result;
  if (result < 0)
    usock_epoll_haunt (watch);

  watch->place = before == USOCK_PLACE_NOWHERE ? before : USOCK_PLACE_RESTING;
  result = 0;
  if (place == USOCK_PLACE_EPOLL)
    result = usock_epoll_add (watch);
  else if (place == USOCK_PLACE_DIRECT)
    usock_direct_start (watch);
  if (result == 0)
    watch->place = place;
  return result;
}

/* Where there is no memory for it, it is tried again next turn, and until then whatever may be
 * there is looked for. */
void
usock_reactor_move_or_retry (UsockWatch *watch,
                             UsockPlace  place)
{
  if (usock_reactor_move (watch, place) == 0)
    return;

  watch->ready |= USOCK_READY_IN;
  usock_reactor_queue (watch);
}

/* There is a descriptor more, or less. */
void
usock_reactor_count_fd (UsockReactor *self,
                        int           change)
{
  self->n_fds += change;
  while (self->n_fds > FEW && self->n_direct > 0)
    {
      UsockWatch *watch = self->direct[self->n_direct - 1].watch;

      watch->n_turns = 0;
      usock_reactor_move_or_retry (watch, USOCK_PLACE_EPOLL);
    }
  usock_direct_update_epoll (self);
}

/* Level-triggered, the epoll tells again what nobody came for: of that, it is to tell once. */
static void
reactor_consider_level (UsockWatch *watch)
{
  gboolean stays
      = (watch->ready & (USOCK_READY_IN | USOCK_READY_HANGUP | USOCK_READY_URGENT)) != 0
        || watch->writable_wanted;

  if (watch->place == USOCK_PLACE_LEVEL && stays)
    {
      watch->n_turns = 0;
      usock_reactor_move (watch, USOCK_PLACE_EPOLL);
    }
  else if (watch->place == USOCK_PLACE_EPOLL && !stays && watch->n_turns > TURNS_TO_MOVE)
    usock_reactor_move (watch, USOCK_PLACE_LEVEL);
}

/* The watch was just dispatched. poll() is level-triggered, and cannot be told to ignore a hang-up:
 * only who leaves nothing unread, and has a peer, may be polled so. */
void
usock_reactor_consider (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;

  if (watch->place == USOCK_PLACE_NOWHERE || watch->place == USOCK_PLACE_DIRECT || !watch->level
      || !usock_reactor_is_usable (self))
    return;

  watch->n_turns++;
  if (self->n_fds > FEW || self->n_direct == USOCK_DIRECT_MAX
      || (watch->ready & USOCK_READY_HANGUP) != 0)
    reactor_consider_level (watch);
  else if (watch->n_turns > TURNS_TO_MOVE)
    usock_reactor_move (watch, USOCK_PLACE_DIRECT);
}
