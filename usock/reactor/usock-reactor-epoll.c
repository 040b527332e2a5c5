/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-parts-private.h"

#include <errno.h>
#include <sys/epoll.h>

/* Events of one epoll_wait(); what is left comes in the next turn. */
#define EVENT_LIMIT 128

int
usock_epoll_new (void)
{
  return epoll_create1 (EPOLL_CLOEXEC);
}

/* A forked child has the very epoll of its parent: what it removes there is gone for the parent,
 * and what it waits for, the parent does not get. */
static int
epoll_control (UsockWatch *watch,
               int         operation)
{
  struct epoll_event event = { 0 };

  if (usock_reactor_is_inherited (watch->reactor))
    return -EPERM;

  event.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | (watch->writable_wanted ? EPOLLOUT : 0)
                 | (watch->place == USOCK_PLACE_LEVEL ? 0 : EPOLLET);
  event.data.ptr = watch;
  return epoll_ctl (watch->reactor->epoll_fd, operation, watch->fd, &event) == 0 ? 0 : -errno;
}

/* Tells the state as it is, like every change of the mask: no edge is lost in between. A watch of
 * before, that was at the same place in memory, haunts no more. */
int
usock_epoll_add (UsockWatch *watch)
{
  int result = epoll_control (watch, EPOLL_CTL_ADD);

  if (result == 0 && watch->reactor->ghosts != NULL)
    g_hash_table_remove (watch->reactor->ghosts, watch);
  return result;
}

int
usock_epoll_modify (UsockWatch *watch)
{
  return epoll_control (watch, EPOLL_CTL_MOD);
}

/* Always before the descriptor is closed: as long as a copy of it lives, in a child or in another
 * process' receive queue, epoll would go on reporting it, under a number that may be another
 * socket's by then. */
int
usock_epoll_remove (UsockWatch *watch)
{
  return epoll_control (watch, EPOLL_CTL_DEL);
}

/* It could not be removed, and goes all the same: the program has closed the descriptor behind our
 * back. If a copy lives, epoll goes on telling of a watch that is no more, and there is no way left
 * to stop that. */
void
usock_epoll_haunt (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;

  if (usock_reactor_is_inherited (self))
    return;

  if (self->ghosts == NULL)
    self->ghosts = g_hash_table_new (NULL, NULL);
  g_hash_table_add (self->ghosts, watch);
}

static guint
epoll_to_ready (guint events)
{
  guint ready = 0;

  if (events & EPOLLIN)
    ready |= USOCK_READY_IN;
  if (events & EPOLLPRI)
    ready |= USOCK_READY_URGENT | USOCK_READY_IN;
  if (events & EPOLLOUT)
    ready |= USOCK_READY_OUT;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    ready |= USOCK_READY_HANGUP | USOCK_READY_IN;
  return ready;
}

void
usock_epoll_collect (UsockReactor *self)
{
  struct epoll_event events[EVENT_LIMIT];
  int n = epoll_wait (self->epoll_fd, events, EVENT_LIMIT, 0);

  for (int i = 0; i < n; i++)
    {
      UsockWatch *watch = events[i].data.ptr;

      if (self->ghosts != NULL && g_hash_table_contains (self->ghosts, watch))
        continue;
      watch->ready |= epoll_to_ready (events[i].events);
      usock_reactor_queue (watch);
    }
}
