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

/* Whether anything but what is polled directly is there, or comes again. Each change wakes the context,
 * so that none is made for nothing. */
void
usock_direct_update_epoll (UsockReactor *self)
{
  gboolean unneeded = self->n_direct > 0 && self->n_direct == self->n_fds;

  if (self->epoll_tag == NULL || self->source == NULL || self->epoll_unneeded == unneeded)
    return;

  self->epoll_unneeded = unneeded;
  g_source_modify_unix_fd (self->source, self->epoll_tag, unneeded ? 0 : G_IO_IN);
}

void
usock_direct_start (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;
  UsockDirect *direct = &self->direct[self->n_direct++];

  direct->watch = watch;
  direct->condition = direct_get_condition (watch);
  direct->tag = g_source_add_unix_fd (self->source, watch->fd, direct->condition);
  usock_direct_update_epoll (self);
}

/* A source that is destroyed has dropped all descriptors. */
void
usock_direct_stop (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;
  guint i = 0;

  while (self->direct[i].watch != watch)
    i++;
  if (self->source != NULL)
    g_source_remove_unix_fd (self->source, self->direct[i].tag);
  self->direct[i] = self->direct[--self->n_direct];
  usock_direct_update_epoll (self);
}

void
usock_direct_update (UsockReactor *self,
                     UsockDirect  *direct)
{
  GIOCondition condition = direct_get_condition (direct->watch);

  if (direct->condition != condition)
    g_source_modify_unix_fd (self->source, direct->tag, condition);
  direct->condition = condition;
}

gboolean
usock_direct_is_ready (UsockReactor *self)
{
  for (guint i = 0; i < self->n_direct; i++)
    if (g_source_query_unix_fd (self->source, self->direct[i].tag) != 0)
      return TRUE;

  return FALSE;
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

static void
direct_collect_one (UsockReactor *self,
                    UsockDirect  *direct,
                    gboolean      again)
{
  UsockWatch *watch = direct->watch;
  GIOCondition condition = g_source_query_unix_fd (self->source, direct->tag);
  struct pollfd fd = { .fd = watch->fd, .events = (short) direct->condition };

  if (again && usock_io_poll (&fd, 1, 0) > 0)
    condition |= (GIOCondition) fd.revents;
  if (condition == 0)
    return;

  watch->ready |= condition_to_ready (condition);
  usock_reactor_queue (watch);
}

/* What the source has polled; or what it would poll @again. */
void
usock_direct_collect (UsockReactor *self,
                      gboolean      again)
{
  for (guint i = 0; i < self->n_direct; i++)
    direct_collect_one (self, &self->direct[i], again);
}
