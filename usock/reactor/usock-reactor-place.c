/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-parts-private.h"

/* After how many turns a watch that is alone is worth a descriptor of the source's own. */
#define DIRECT_AFTER 16

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

  if (before == USOCK_PLACE_EPOLL)
    result = usock_epoll_remove (watch);
  else if (before == USOCK_PLACE_DIRECT)
    usock_direct_stop (watch->reactor);
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

/* The watch was just dispatched. poll() is level-triggered, and cannot be told to ignore a hang-up:
 * only who leaves nothing unread, and has a peer, may be polled so. */
void
usock_reactor_consider (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;

  if (watch->place == USOCK_PLACE_NOWHERE || watch->place == USOCK_PLACE_DIRECT || !watch->level
      || self->n_fds != 1 || (watch->ready & USOCK_READY_HANGUP) != 0
      || !usock_reactor_is_usable (self) || self->direct.n_turns++ < DIRECT_AFTER)
    return;

  usock_reactor_move (watch, USOCK_PLACE_DIRECT);
}
