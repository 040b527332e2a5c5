/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-fork-private.h"

#include <pthread.h>

/* As many as there are rooms that need it, and some to spare. */
#define FUNCS_MAX 8

guint usock_fork_generation;

static GMutex registry_lock;
static const UsockForkFuncs *registry[FUNCS_MAX];
static guint n_registered;

static void
fork_prepare (void)
{
  g_mutex_lock (&registry_lock);
  for (guint i = 0; i < n_registered; i++)
    if (registry[i]->lock != NULL)
      registry[i]->lock ();
}

static void
fork_parent (void)
{
  for (guint i = n_registered; i > 0; i--)
    if (registry[i - 1]->unlock != NULL)
      registry[i - 1]->unlock ();
  g_mutex_unlock (&registry_lock);
}

static void
fork_child (void)
{
  usock_fork_generation++;
  for (guint i = 0; i < n_registered; i++)
    if (registry[i]->forget != NULL)
      registry[i]->forget ();
  fork_parent ();
}

/* Once for each @funcs, which stay. Not under a lock that they take. */
void
usock_fork_register (const UsockForkFuncs *funcs)
{
  static gsize watched = 0;

  if (g_once_init_enter (&watched))
    {
      pthread_atfork (fork_prepare, fork_parent, fork_child);
      g_once_init_leave (&watched, 1);
    }

  g_mutex_lock (&registry_lock);
  g_assert (n_registered < FUNCS_MAX);
  registry[n_registered++] = funcs;
  g_mutex_unlock (&registry_lock);
}
