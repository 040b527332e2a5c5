/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-waiter-private.h"

#include <unistd.h>

struct _UsockWaiter
{
  UsockWatch watch;
  int fd;
  UsockWaiterReady ready;
  gpointer user_data;
};

static void
waiter_dispatch (UsockWatch *watch)
{
  UsockWaiter *self = (UsockWaiter *) watch;

  watch->ready = 0;
  self->ready (self->user_data);
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

/* NULL if the receiver cannot be reached, or no descriptor is left. */
UsockWaiter *
usock_waiter_new (UsockReactor     *reactor,
                  const UsockName  *destination,
                  UsockWaiterReady  ready,
                  gpointer          user_data)
{
  UsockWaiter *self;
  int fd = usock_io_socket (AF_UNIX, SOCK_DGRAM, 0);

  if (fd < 0)
    return NULL;

  self = g_new0 (UsockWaiter, 1);
  self->fd = fd;
  self->ready = ready;
  self->user_data = user_data;
  usock_watch_init (&self->watch, reactor, &waiter_watch_funcs);
  usock_watch_attach (&self->watch);

  if (usock_io_connect (fd, destination) < 0 || usock_watch_add_fd (&self->watch, fd) < 0)
    {
      usock_waiter_free (self);
      return NULL;
    }
  return self;
}

/* Arming asks for the state as it is, so room that came meanwhile is not missed. */
void
usock_waiter_arm (UsockWaiter *self,
                  gboolean     armed)
{
  usock_watch_want_writable (&self->watch, armed);
}

void
usock_waiter_free (UsockWaiter *self)
{
  usock_watch_detach (&self->watch);
  close (self->fd);
  g_free (self);
}
