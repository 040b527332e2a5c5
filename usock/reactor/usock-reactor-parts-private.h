/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sys/types.h>

#include "usock-fork-private.h"
#include "usock-reactor-private.h"

G_BEGIN_DECLS

/* What the files of the reactor share. From the top down: the source and the contexts
 * (usock-reactor.c), what the owner of a watch asks for (-watch.c), where its descriptor is polled
 * (-place.c), the ways to poll it (-direct.c, -epoll.c), the deadlines (-heap.c), what is to be
 * dispatched (-ready.c), and whose the reactor is (-access.c). Below them all is the guest, who has
 * to be told of what another main loop can not see. */

/* How many unwanted watches one turn looks at. */
#define USOCK_REACTOR_SAMPLE_LIMIT 64

/* A dispatch that runs. A nested main loop in it would wait in vain for what the watch has at hand
 * already: it must come to it another way. */
typedef struct _UsockFrame
{
  struct _UsockFrame *outer;
  UsockWatch *watch; /* NULL once it is in the ready list again */
} UsockFrame;

/* How many watches the source polls itself. poll(2) costs more with each; by four, epoll is cheaper. */
#define USOCK_DIRECT_MAX 3

/* One of them. */
typedef struct
{
  UsockWatch *watch;
  gpointer tag;
  GIOCondition condition;
} UsockDirect;

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
  int n_held;            /* atomic */

  int epoll_fd;
  gpointer epoll_tag; /* where the source polls the epoll; NULL in a forked child */
  GHashTable *ghosts; /* of UsockWatch that is gone, where epoll may not know; NULL for none */
  guint n_fds;
  guint64 n_turns;
  UsockDirect direct[USOCK_DIRECT_MAX];
  guint n_direct;
  gboolean epoll_unneeded; /* it is empty, and not polled */

  UsockFrame *frames;
  GQueue ready;
  GQueue sampled;
  GQueue attached;
  GPtrArray *heap; /* of UsockWatch, the first deadline first */
  GPtrArray *batches;
  GByteArray *array; /* NULL while it is lent */
};

/* Guards what more than one thread uses, of all reactors. Nothing blocks under it, and no foreign
 * code runs. */
extern GMutex usock_reactors_lock;

/* usock-reactor-access.c */
gsize         usock_reactor_this_thread    (void);
void          usock_reactor_make_mine      (UsockReactor *self);
UsockAccess   usock_reactor_find_access    (UsockReactor *self);

/* usock-reactor-ready.c */
void          usock_reactor_queue          (UsockWatch   *watch);
void          usock_reactor_forget         (UsockWatch   *watch);
void          usock_reactor_sample         (UsockReactor *self);
void          usock_reactor_resume_frames  (UsockReactor *self);
UsockWatch   *usock_reactor_dispatch_first (UsockReactor *self);

/* usock-reactor-heap.c */
void          usock_reactor_set_deadline   (UsockWatch   *watch,
                                            gint64        deadline);
gint64        usock_reactor_get_deadline   (UsockReactor *self);
void          usock_reactor_collect_deadlines
                                           (UsockReactor *self,
                                            gint64        now);

/* usock-reactor-epoll.c */
int           usock_epoll_new              (void);
int           usock_epoll_add              (UsockWatch   *watch);
int           usock_epoll_remove           (UsockWatch   *watch);
int           usock_epoll_modify           (UsockWatch   *watch);
void          usock_epoll_haunt            (UsockWatch   *watch);
void          usock_epoll_collect          (UsockReactor *self);

/* usock-reactor-direct.c */
void          usock_direct_update_epoll    (UsockReactor *self);
void          usock_direct_start           (UsockWatch   *watch);
void          usock_direct_stop            (UsockWatch   *watch);
void          usock_direct_update          (UsockReactor *self,
                                            UsockDirect  *direct);
gboolean      usock_direct_is_ready        (UsockReactor *self);
void          usock_direct_collect         (UsockReactor *self,
                                            gboolean      again);

/* usock-reactor-place.c */
int           usock_reactor_move           (UsockWatch   *watch,
                                            UsockPlace    place);
void          usock_reactor_move_or_retry  (UsockWatch   *watch,
                                            UsockPlace    place);
void          usock_reactor_count_fd       (UsockReactor *self,
                                            int           change);
void          usock_reactor_consider       (UsockWatch   *watch);

G_END_DECLS
