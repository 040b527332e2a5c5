/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-message-private.h"

/* Messages may be dropped in any thread, and after the channel that they came from. */
struct _UsockTally
{
  gatomicrefcount ref_count;
  GMutex lock;
  guint n;
  gboolean awaited;
  UsockTallyFunc fell;
  gpointer user_data;
};

/* @fell is called in whatever thread takes or closes a descriptor, and may only wake somebody. */
UsockTally *
usock_tally_new (UsockTallyFunc fell,
                 gpointer       user_data)
{
  UsockTally *self = g_new0 (UsockTally, 1);

  g_atomic_ref_count_init (&self->ref_count);
  g_mutex_init (&self->lock);
  self->fell = fell;
  self->user_data = user_data;
  return self;
}

UsockTally *
usock_tally_ref (UsockTally *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
usock_tally_unref (UsockTally *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  g_mutex_clear (&self->lock);
  g_free (self);
}

/* For who is told, and goes: afterwards nobody is. */
void
usock_tally_abandon (UsockTally *self)
{
  g_mutex_lock (&self->lock);
  self->fell = NULL;
  g_mutex_unlock (&self->lock);
  usock_tally_unref (self);
}

void
usock_tally_change (UsockTally *self,
                    int         change)
{
  g_mutex_lock (&self->lock);
  self->n += change;
  if (change < 0 && self->awaited && self->fell != NULL)
    {
      self->awaited = FALSE;
      self->fell (self->user_data);
    }
  g_mutex_unlock (&self->lock);
}

/* If so, the next that is taken or closed will be told. */
gboolean
usock_tally_reaches (UsockTally *self,
                     guint       limit)
{
  gboolean reached;

  g_mutex_lock (&self->lock);
  reached = self->n >= limit;
  self->awaited = reached;
  g_mutex_unlock (&self->lock);

  return reached;
}
