/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-reactor: one epoll and one heap of deadlines behind one GSource per main context.
 *
 * The epoll is edge-triggered, and what it says is remembered in each watch, so that the cost of
 * a turn depends on what happened in it and not on how many sockets are idle. Watches that have
 * something to do stand in a list that belongs to no stack frame: a handler may remove any of
 * them, and a nested main loop goes on with the rest. Knows descriptors, masks and times; nothing
 * of sockets, messages or GObjects.
 *
 * A program with few connections has no use for an epoll, which is one more system call and one more
 * way to be woken for each message. After some turns in which there were few descriptors, the source
 * polls that of a watch itself, until there are more or the peer hangs up. Where there are many, the
 * epoll watches one that is read to the end again and again level-triggered: an edge-triggered one
 * must be read until there is nothing, which is one system call more, and dearer than being told again.
 *
 * Who runs the context owns the reactor: all calls are for that thread, and usock_reactor_get_access()
 * tells whether this is the one. But from any thread a watch may be interrupted, a reactor acquired
 * and released, and a watch that is not attached may go. */

#pragma once

#include <glib.h>
#include <stdbool.h>

#include "usock-io-private.h"

G_BEGIN_DECLS

typedef struct _UsockReactor UsockReactor;
typedef struct _UsockWatch UsockWatch;

typedef enum
{
  USOCK_READY_IN = 1 << 0,
  USOCK_READY_OUT = 1 << 1,
  USOCK_READY_HANGUP = 1 << 2,
  USOCK_READY_DEADLINE = 1 << 3,
  USOCK_READY_INTERRUPT = 1 << 4,
  USOCK_READY_URGENT = 1 << 5, /* there is out-of-band data */
} UsockReady;

/* What this thread may do with what belongs to a reactor. */
typedef enum
{
  USOCK_ACCESS_GRANTED,
  USOCK_ACCESS_ELSEWHERE, /* nothing: it is another thread's */
  USOCK_ACCESS_GONE,      /* only close it: the main context is gone */
  USOCK_ACCESS_INHERITED, /* only close it: it is the parent's, and this is a forked child */
} UsockAccess;

typedef struct
{
  /* Something of watch->ready is set, or the watch was woken. The owner clears what it used. */
  void (*dispatch) (UsockWatch *watch);
  /* For a sampled watch: whether it should be woken now. Must not run foreign code. */
  gboolean (*wanted) (UsockWatch *watch);
  /* The context is gone; the watch is removed, and must let go of what it kept alive. */
  void (*orphaned) (UsockWatch *watch);
} UsockWatchFuncs;

/* Where the descriptor of a watch is polled. */
typedef enum
{
  USOCK_PLACE_NOWHERE, /* there is none, as in a new watch */
  USOCK_PLACE_EPOLL,
  USOCK_PLACE_LEVEL,   /* in the epoll, too, and told again of what was not read */
  USOCK_PLACE_RESTING, /* nowhere for now: its watch is woken anyhow */
  USOCK_PLACE_DIRECT,  /* by the source itself */
} UsockPlace;

/* Embedded in its owner, and touched by nobody else but for `ready`. */
struct _UsockWatch
{
  const UsockWatchFuncs *funcs;
  UsockReactor *reactor;
  guint ready;

  int fd;
  UsockPlace place;
  guint n_turns; /* that it has had since it came, or left something unread */
  guint heap_index;
  bool writable_wanted;
  bool level; /* may be polled directly, or level-triggered */
  bool attached;
  bool interrupted;
  gint64 deadline; /* -1: none */
  GList ready_link;
  GList sample_link;
  GList attached_link;
  UsockWatch *interrupted_next;
};

UsockReactor *usock_reactor_acquire       (void);
UsockReactor *usock_reactor_ref           (UsockReactor          *self);
void          usock_reactor_unref         (UsockReactor          *self);
UsockAccess   usock_reactor_get_access    (UsockReactor          *self);
gboolean      usock_reactor_is_usable     (UsockReactor          *self);
gboolean      usock_reactor_is_inherited  (UsockReactor          *self);
guint64       usock_reactor_get_turn      (UsockReactor          *self);

void          usock_watch_init            (UsockWatch            *watch,
                                           UsockReactor          *reactor,
                                           const UsockWatchFuncs *funcs);
void          usock_watch_attach          (UsockWatch            *watch);
void          usock_watch_detach          (UsockWatch            *watch);

int           usock_watch_add_fd          (UsockWatch            *watch,
                                           int                    fd);
void          usock_watch_remove_fd       (UsockWatch            *watch);
void          usock_watch_want_writable   (UsockWatch            *watch,
                                           gboolean               wanted);

void          usock_watch_rest            (UsockWatch            *watch,
                                           gboolean               rest);

void          usock_watch_set_level       (UsockWatch            *watch,
                                           gboolean               level);
gboolean      usock_watch_is_level        (UsockWatch            *watch);

void          usock_watch_wake            (UsockWatch            *watch);
void          usock_watch_sample          (UsockWatch            *watch,
                                           gboolean               sample);
void          usock_watch_set_deadline    (UsockWatch            *watch,
                                           gint64                 deadline);
void          usock_watch_interrupt       (UsockWatch            *watch);

void          usock_reactor_hold          (UsockReactor          *self,
                                           int                    change);
guint         usock_reactor_count_held    (GMainContext          *context);
void          usock_reactor_run_until_idle (GMainContext         *context);
void          usock_reactor_call_later    (GSourceFunc            callback,
                                           gpointer               data,
                                           GDestroyNotify         free_data);

UsockIoBatch *usock_reactor_take_batch    (UsockReactor          *self,
                                           gsize                  slot_size);
void          usock_reactor_give_batch    (UsockReactor          *self,
                                           UsockIoBatch          *batch);
GByteArray   *usock_reactor_take_array    (UsockReactor          *self);
void          usock_reactor_give_array    (UsockReactor          *self,
                                           GByteArray            *array);

G_END_DECLS
