/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-parts-private.h"

static UsockWatch *
heap_get (UsockReactor *self,
          guint         index)
{
  return self->heap->pdata[index];
}

static void
heap_put (UsockReactor *self,
          guint         index,
          UsockWatch   *watch)
{
  self->heap->pdata[index] = watch;
  watch->heap_index = index;
}

/* Returns where the watch can stand with what is above it. */
static guint
heap_rise (UsockReactor *self,
           UsockWatch   *watch)
{
  guint index = watch->heap_index;

  while (index > 0 && heap_get (self, (index - 1) / 2)->deadline > watch->deadline)
    {
      heap_put (self, index, heap_get (self, (index - 1) / 2));
      index = (index - 1) / 2;
    }

  return index;
}

static void
heap_sift (UsockReactor *self,
           UsockWatch   *watch)
{
  guint index = heap_rise (self, watch);

  for (guint child = index * 2 + 1; child < self->heap->len; child = index * 2 + 1)
    {
      if (child + 1 < self->heap->len
          && heap_get (self, child + 1)->deadline < heap_get (self, child)->deadline)
        child++;
      if (heap_get (self, child)->deadline >= watch->deadline)
        break;
      heap_put (self, index, heap_get (self, child));
      index = child;
    }

  heap_put (self, index, watch);
}

static void
heap_remove (UsockReactor *self,
             UsockWatch   *watch)
{
  UsockWatch *last = heap_get (self, self->heap->len - 1);

  g_ptr_array_set_size (self->heap, self->heap->len - 1);
  if (last == watch)
    return;

  heap_put (self, watch->heap_index, last);
  heap_sift (self, last);
}

/* -1 for none. */
void
usock_reactor_set_deadline (UsockWatch *watch,
                            gint64      deadline)
{
  UsockReactor *self = watch->reactor;
  gint64 before = watch->deadline;

  if (before == deadline)
    return;

  if (deadline == -1)
    heap_remove (self, watch);
  watch->deadline = deadline;
  if (deadline == -1)
    return;

  if (before == -1)
    {
      watch->heap_index = self->heap->len;
      g_ptr_array_add (self->heap, watch);
    }
  heap_sift (self, watch);
}

/* The first; G_MAXINT64 if there is none. */
gint64
usock_reactor_get_deadline (UsockReactor *self)
{
  return self->heap->len > 0 ? heap_get (self, 0)->deadline : G_MAXINT64;
}

void
usock_reactor_collect_deadlines (UsockReactor *self,
                                 gint64        now)
{
  while (usock_reactor_get_deadline (self) <= now)
    {
      UsockWatch *watch = heap_get (self, 0);

      usock_reactor_set_deadline (watch, -1);
      watch->ready |= USOCK_READY_DEADLINE;
      usock_reactor_queue (watch);
    }
}
