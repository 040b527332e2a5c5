/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-parts-private.h"

void
usock_reactor_queue (UsockWatch *watch)
{
  if (watch->ready_link.data != NULL || !watch->attached)
    return;

  watch->ready_link.data = watch;
  g_queue_push_tail_link (&watch->reactor->ready, &watch->ready_link);
}

static void
reactor_unqueue (UsockWatch *watch)
{
  if (watch->ready_link.data == NULL)
    return;

  g_queue_unlink (&watch->reactor->ready, &watch->ready_link);
  watch->ready_link.data = NULL;
}

/* Wherever it stands, or is dispatched right now. */
void
usock_reactor_forget (UsockWatch *watch)
{
  reactor_unqueue (watch);
  for (UsockFrame *frame = watch->reactor->frames; frame != NULL; frame = frame->outer)
    if (frame->watch == watch)
      frame->watch = NULL;
}

void
usock_reactor_sample (UsockReactor *self)
{
  guint n = MIN (self->sampled.length, USOCK_REACTOR_SAMPLE_LIMIT);

  while (n-- > 0)
    {
      GList *link = g_queue_pop_head_link (&self->sampled);
      UsockWatch *watch = link->data;

      if (watch->funcs->wanted (watch))
        {
          link->data = NULL;
          usock_reactor_queue (watch);
        }
      else
        g_queue_push_tail_link (&self->sampled, link);
    }
}

/* Once for each frame: from then on the nested dispatch says itself whether there is more. */
void
usock_reactor_resume_frames (UsockReactor *self)
{
  for (UsockFrame *frame = self->frames; frame != NULL; frame = frame->outer)
    if (frame->watch != NULL)
      usock_reactor_queue (g_steal_pointer (&frame->watch));
}

/* Returns the watch, or NULL if it is gone, or was dispatched by a nested main loop. */
UsockWatch *
usock_reactor_dispatch_first (UsockReactor *self)
{
  UsockFrame frame = { self->frames, self->ready.head->data };

  reactor_unqueue (frame.watch);
  self->frames = &frame;
  frame.watch->funcs->dispatch (frame.watch);
  self->frames = frame.outer;
  return frame.watch;
}
