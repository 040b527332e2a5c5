/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sys/types.h>

#include "usock-reactor-private.h"

G_BEGIN_DECLS

/* What the files of the reactor share: the source is in usock-reactor.c, and the watches, with the
 * epoll, the deadlines and the shorter way of a watch that is alone, in -watch.c. */

/* A dispatch that runs. A nested main loop in it would wait in vain for what the watch has at hand
 * already: it must come to it another way. */
typedef struct _UsockFrame
{
  struct _UsockFrame *outer;
  UsockWatch *watch; /* NULL once it is in the ready list again */
} UsockFrame;

struct _UsockReactor
{
  guint generation;
  gsize owner; /* the thread that runs the context; atomic */
  gsize maker; /* the thread that owns it while nobody does */
  pid_t maker_tid;

  /* Other threads use these, under usock_reactors_lock. */
  guint ref_count;
  GSource *source; /* NULL once the context is gone */
  UsockWatch *interrupted;

  GMainContext *context; /* it lives as long as there is a source, which does not keep it alive */
  int epoll_fd;
  gpointer poll_tag;
  int n_held;

  /* Only one has a descriptor: the source polls that itself, without the way through the epoll. */
  guint n_fds;
  UsockWatch *direct;
  gpointer direct_tag;
  GIOCondition direct_condition;

  UsockFrame *frames;
  GQueue ready;
  GQueue sampled;
  GQueue attached;
  GPtrArray *heap;
  GPtrArray *batches;
  GHashTable *ghosts; /* of UsockWatch that is gone, where epoll may not know; NULL for none */
};

/* Guards what more than one thread uses, of all reactors. Nothing blocks under it, and no foreign
 * code runs. */
extern GMutex usock_reactors_lock;

/* The first deadline; there has to be one. */
static inline UsockWatch *
usock_reactor_get_first (UsockReactor *self)
{
  return self->heap->pdata[0];
}

void usock_reactor_queue          (UsockWatch   *watch);
void usock_reactor_unqueue        (UsockWatch   *watch);
void usock_reactor_promote        (UsockWatch   *watch);
void usock_reactor_forget_direct  (UsockReactor *self);
void usock_reactor_prepare_direct (UsockReactor *self);
void usock_reactor_collect_direct (UsockReactor *self);

G_END_DECLS
