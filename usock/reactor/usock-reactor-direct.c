/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-parts-private.h"

#include <poll.h>

/* The source polls with what poll() has, and GLib has no name for. */
#define CONDITION_HANGUP (G_IO_HUP | G_IO_ERR | G_IO_NVAL | (GIOCondition) POLLRDHUP)
#define CONDITION_IN (G_IO_IN | G_IO_PRI | (GIOCondition) POLLRDHUP)

/* poll() is level-triggered: what is at hand already must not wake the context again. */
static GIOCondition
direct_get_condition (const UsockWatch *watch)
{
  return (watch->ready & USOCK_READY_IN ? 0 : CONDITION_IN)
         | (watch->writable_wanted ? G_IO_OUT : 0);
}

/* The epoll, which is empty, is not polled meanwhile. */
void
usock_direct_start (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;
  UsockDirect *direct = &self->direct;

  direct->watch = watch;
  direct->condition = direct_get_condition (watch);
  direct->tag = g_source_add_unix_fd (self->source, watch->fd, direct->condition);
  g_source_modify_unix_fd (self->source, self->epoll_tag, 0);
}

/* A source that is destroyed has dropped both descriptors. */
void
usock_direct_stop (UsockReactor *self)
{
  UsockDirect *direct = &self->direct;

  if (self->source != NULL)
    {
      g_source_remove_unix_fd (self->source, direct->tag);
      if (self->epoll_tag != NULL)
        g_source_modify_unix_fd (self->source, self->epoll_tag, G_IO_IN);
    }
  direct->watch = NULL;
  direct->tag = NULL;
  direct->n_turns = 0;
}

/* A change wakes the context, so that none is made for nothing. */
void
usock_direct_update (UsockReactor *self)
{
  UsockDirect *direct = &self->direct;
  GIOCondition condition = direct_get_condition (direct->watch);

  if (direct->condition != condition)
    g_source_modify_unix_fd (self->source, direct->tag, condition);
  direct->condition = condition;
}

static guint
condition_to_ready (GIOCondition condition)
{
  guint ready = 0;

  if (condition & G_IO_IN)
    ready |= USOCK_READY_IN;
  if (condition & G_IO_PRI)
    ready |= USOCK_READY_URGENT | USOCK_READY_IN;
  if (condition & G_IO_OUT)
    ready |= USOCK_READY_OUT;
  if (condition & CONDITION_HANGUP)
    ready |= USOCK_READY_HANGUP | USOCK_READY_IN;
  return ready;
}

/* What the source has polled; or what it would poll @again. */
void
usock_direct_collect (UsockReactor *self,
                      gboolean      again)
{
  UsockWatch *watch = self->direct.watch;
  GIOCondition condition = g_source_query_unix_fd (self->source, self->direct.tag);
  struct pollfd fd = { .fd = watch->fd, .events = (short) self->direct.condition };

  if (again && usock_io_poll (&fd, 1, 0) > 0)
    condition |= (GIOCondition) fd.revents;
  if (condition == 0)
    return;

  watch->ready |= condition_to_ready (condition);
  usock_reactor_queue (watch);
}
