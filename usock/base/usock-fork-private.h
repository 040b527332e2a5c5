/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-fork: what a fork must leave whole.
 *
 * A forked child has one thread, and a copy of everything as it was in that moment: locks that
 * another thread held, which nobody will ever release, and what they guard in the middle of a
 * change. It also has what is still its parent's: an epoll, paths to remove, threads that are not
 * there. So a room that has a lock or such a thing tells of it here. The lock is held while the
 * process forks, so that in both processes it is free afterwards and what it guards is whole.
 *
 * Locks are taken in the order in which the rooms came here: nobody takes the lock of one room
 * while it holds that of another. Memory may be allocated under them. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Each may be NULL. */
typedef struct
{
  void (*lock) (void);   /* before the fork */
  void (*forget) (void); /* in the child, under the lock: whatever is the parent's */
  void (*unlock) (void); /* in the parent and in the child */
} UsockForkFuncs;

/* Use usock_fork_get_generation(). */
extern guint usock_fork_generation;

void usock_fork_register (const UsockForkFuncs *funcs);

/* How many forks lie between the first process that used the library and this one: what
 * remembers another number was inherited. */
static inline guint
usock_fork_get_generation (void)
{
  return usock_fork_generation;
}

G_END_DECLS
