/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-private.h"

/* For a program that asks itself when there is something to do. Unlike the epoll it is
 * level-triggered, and polls the descriptor only while that alone decides: else it would spin on
 * what is for somebody else. */
typedef struct
{
  GSource parent;
  UsockReadyFunc ready;
  GIOCondition condition;
  gpointer owner;
  GDestroyNotify release;
  int fd;
  gpointer tag;
} ReadySource;

/* Without a condition poll() would still report hang-ups, so that the descriptor has to go. */
static void
ready_source_poll (ReadySource *self,
                   int          fd)
{
  if (self->fd == fd)
    return;

  if (self->tag != NULL)
    g_source_remove_unix_fd (&self->parent, g_steal_pointer (&self->tag));
  if (fd != -1)
    self->tag = g_source_add_unix_fd (&self->parent, fd, self->condition);
  self->fd = fd;
}

static gboolean
ready_source_prepare (GSource *source,
                      gint    *timeout)
{
  ReadySource *self = (ReadySource *) source;
  int fd = -1;
  gboolean ready = self->ready (self->owner, &fd);

  *timeout = -1;
  ready_source_poll (self, fd);
  return ready;
}

static gboolean
ready_source_check (GSource *source)
{
  ReadySource *self = (ReadySource *) source;
  int fd = -1;

  return (self->tag != NULL && g_source_query_unix_fd (source, self->tag) != 0)
         || self->ready (self->owner, &fd);
}

/* The source that this is a child of does the work. */
static gboolean
ready_source_dispatch (GSource     *source,
                       GSourceFunc  callback,
                       gpointer     user_data)
{
  return G_SOURCE_CONTINUE;
}

static void
ready_source_finalize (GSource *source)
{
  ReadySource *self = (ReadySource *) source;

  self->release (self->owner);
}

static GSourceFuncs ready_source_funcs = {
  .prepare = ready_source_prepare,
  .check = ready_source_check,
  .dispatch = ready_source_dispatch,
  .finalize = ready_source_finalize,
};

/* Takes @owner over, to be released with the source. */
GSource *
usock_reactor_new_source (UsockReadyFunc ready,
                          GIOCondition   condition,
                          gpointer       owner,
                          GDestroyNotify release)
{
  GSource *source = g_source_new (&ready_source_funcs, sizeof (ReadySource));
  ReadySource *self = (ReadySource *) source;

  self->ready = ready;
  self->condition = condition;
  self->owner = owner;
  self->release = release;
  self->fd = -1;
  g_source_set_static_name (source, "usock-ready");
  return source;
}
