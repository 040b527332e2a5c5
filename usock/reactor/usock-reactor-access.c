/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-parts-private.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

GMutex usock_reactors_lock;

gsize
usock_reactor_this_thread (void)
{
  return (gsize) pthread_self ();
}

/* For the thread that makes the reactor, or takes it over. */
void
usock_reactor_make_mine (UsockReactor *self)
{
  self->maker = usock_reactor_this_thread ();
  self->maker_tid = (pid_t) syscall (SYS_gettid);
  g_atomic_pointer_set (&self->owner, self->maker);
}

static gboolean
thread_is_gone (pid_t tid)
{
  return syscall (SYS_tgkill, getpid (), tid, 0) == -1 && errno == ESRCH;
}

/* Where nobody runs the context, the reactor is its maker's, and if that thread is gone, whoever
 * comes first. GLib tells that nobody runs it by letting us do so. */
static UsockAccess
reactor_take_over (UsockReactor *self)
{
  if (self->maker != usock_reactor_this_thread () && !thread_is_gone (self->maker_tid))
    return USOCK_ACCESS_ELSEWHERE;
  if (!g_main_context_acquire (self->context))
    return USOCK_ACCESS_ELSEWHERE;

  g_main_context_release (self->context);
  usock_reactor_make_mine (self);
  return USOCK_ACCESS_GRANTED;
}

/* Under the lock. */
UsockAccess
usock_reactor_find_access (UsockReactor *self)
{
  if (usock_reactor_is_inherited (self))
    return USOCK_ACCESS_INHERITED;
  if (self->source == NULL)
    return USOCK_ACCESS_GONE;
  if (g_atomic_pointer_get (&self->owner) == usock_reactor_this_thread ())
    return USOCK_ACCESS_GRANTED;
  if (!g_main_context_is_owner (self->context))
    return reactor_take_over (self);

  g_atomic_pointer_set (&self->owner, usock_reactor_this_thread ());
  return USOCK_ACCESS_GRANTED;
}

/* Costs a comparison in the thread that ran the context last. */
UsockAccess
usock_reactor_get_access (UsockReactor *self)
{
  UsockAccess access;

  if (G_LIKELY (g_atomic_pointer_get (&self->owner) == usock_reactor_this_thread ()
                && usock_reactor_is_usable (self)))
    return USOCK_ACCESS_GRANTED;

  g_mutex_lock (&usock_reactors_lock);
  access = usock_reactor_find_access (self);
  g_mutex_unlock (&usock_reactors_lock);
  return access;
}

/* Whether the context still lives, and this process made the reactor. */
gboolean
usock_reactor_is_usable (UsockReactor *self)
{
  return self->source != NULL && !usock_reactor_is_inherited (self);
}

/* Which turn of the main loop it is: the same only for what is done in one go. */
guint64
usock_reactor_get_turn (UsockReactor *self)
{
  return self->n_turns;
}

/* Whether it is the parent's, and this process a forked child. */
gboolean
usock_reactor_is_inherited (UsockReactor *self)
{
  return self->generation != usock_fork_get_generation ();
}
