/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-waiter-private.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "usock-compat-private.h"

/* What part of the descriptors of a process waiters may have. */
#define PROCESS_PART 16

struct _UsockWaiter
{
  UsockWatch watch;
  int fd;        /* -1 while it goes by the clock alone */
  guint *n_used; /* how many descriptors its sender has */
  UsockWaiterReady ready;
  gpointer user_data;
};

static int n_used_by_all; /* atomic */

static gboolean
take_share (guint *n_used)
{
  struct rlimit limit;
  int most = 0;

  if (*n_used >= USOCK_WAITER_SHARE)
    return FALSE;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    most = (int) MIN (limit.rlim_cur / PROCESS_PART, (rlim_t) G_MAXINT);
  if (g_atomic_int_add (&n_used_by_all, 1) >= most)
    {
      g_atomic_int_add (&n_used_by_all, -1);
      return FALSE;
    }

  ++*n_used;
  return TRUE;
}

static void
give_share (guint *n_used)
{
  g_atomic_int_add (&n_used_by_all, -1);
  --*n_used;
}

/* Room is told before the time is: whoever has it need not be late. */
static void
waiter_dispatch (UsockWatch *watch)
{
  UsockWaiter *self = (UsockWaiter *) watch;
  guint ready = watch->ready;

  watch->ready = 0;
  self->ready (self->user_data,
               (ready & ~USOCK_READY_DEADLINE) != 0 ? USOCK_WAITER_ROOM : USOCK_WAITER_CLOCK);
}

static gboolean
waiter_wanted (UsockWatch *watch)
{
  return FALSE;
}

/* Who owns it is told by its own watch. */
static void
waiter_orphaned (UsockWatch *watch)
{
}

static const UsockWatchFuncs waiter_watch_funcs = {
  .dispatch = waiter_dispatch,
  .wanted = waiter_wanted,
  .orphaned = waiter_orphaned,
};

/* Its sender keeps in @n_used how many of its waiters have a descriptor. */
UsockWaiter *
usock_waiter_new (UsockReactor     *reactor,
                  guint            *n_used,
                  UsockWaiterReady  ready,
                  gpointer          user_data)
{
  UsockWaiter *self = g_new0 (UsockWaiter, 1);

  self->fd = -1;
  self->n_used = n_used;
  self->ready = ready;
  self->user_data = user_data;
  usock_watch_init (&self->watch, reactor, &waiter_watch_funcs);
  usock_watch_attach (&self->watch);
  return self;
}

static int
open_connected (const UsockName *destination)
{
  int fd = usock_io_socket (AF_UNIX, SOCK_DGRAM, 0);
  int result;

  if (fd < 0)
    return fd;

  result = usock_io_connect (fd, destination);
  if (result == 0)
    return fd;

  close (fd);
  return result;
}

/* FALSE if the receiver cannot be reached, or no descriptor is to be had. */
gboolean
usock_waiter_watch (UsockWaiter     *self,
                    const UsockName *destination)
{
  if (self->fd != -1)
    return TRUE;
  if (!take_share (self->n_used))
    return FALSE;

  self->fd = open_connected (destination);
  if (self->fd >= 0 && usock_watch_add_fd (&self->watch, self->fd) == 0)
    return TRUE;

  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
  give_share (self->n_used);
  return FALSE;
}

void
usock_waiter_unwatch (UsockWaiter *self)
{
  if (self->fd == -1)
    return;

  usock_watch_remove_fd (&self->watch);
  close (g_steal_fd (&self->fd));
  give_share (self->n_used);
}

/* Arming asks for the state as it is, so room that came meanwhile is not missed. */
void
usock_waiter_arm (UsockWaiter *self,
                  gboolean     armed)
{
  usock_watch_want_writable (&self->watch, armed);
}

/* Only ever moves it closer, in the monotonic clock; who is woken too early looks what time it is. */
void
usock_waiter_set_clock (UsockWaiter *self,
                        gint64       deadline)
{
  if (self->watch.deadline == -1 || deadline < self->watch.deadline)
    usock_watch_set_deadline (&self->watch, deadline);
}

void
usock_waiter_free (UsockWaiter *self)
{
  usock_waiter_unwatch (self);
  usock_watch_detach (&self->watch);
  g_free (self);
}

/* Whether a receiver has room, without a descriptor that stays; or a negative errno. */
int
usock_waiter_probe (const UsockName *destination)
{
  g_autofd int fd = open_connected (destination);
  struct pollfd poll = { .fd = fd, .events = POLLOUT };

  if (fd < 0)
    return fd;

  return usock_io_poll (&poll, 1, 0);
}
