/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-guest-private.h"
#include "usock-reactor-parts-private.h"

#include <unistd.h>

/* How soon unwanted watches are looked at that one turn did not come to. */
#define SAMPLE_INTERVAL_MS 20

typedef struct
{
  GSource parent;
  UsockReactor *reactor;
} ReactorSource;

static GHashTable *reactors; /* GMainContext → UsockReactor, neither referenced */

static void
reactors_fork_lock (void)
{
  g_mutex_lock (&usock_reactors_lock);
}

/* A forked child shares the epoll with its parent: what it removes there is gone for the parent,
 * and what it waits for, the parent does not get. So it must not touch it; the generation tells
 * whose it is, and here it is not found any more. */
static void
reactors_fork_forget (void)
{
  if (reactors != NULL)
    g_hash_table_remove_all (reactors);
}

static void
reactors_fork_unlock (void)
{
  g_mutex_unlock (&usock_reactors_lock);
}

static const UsockForkFuncs reactors_fork_funcs = {
  .lock = reactors_fork_lock,
  .forget = reactors_fork_forget,
  .unlock = reactors_fork_unlock,
};

/* Under the lock: the next who asks for a reactor of that context makes one. */
static void
reactors_remove (UsockReactor *self)
{
  if (g_hash_table_lookup (reactors, self->context) == self)
    g_hash_table_remove (reactors, self->context);
}

/* In a forked child, where the epoll is the parent's. Each change wakes the context, so it is made
 * once. */
static void
reactor_stop_polling (UsockReactor *self)
{
  if (self->epoll_tag == NULL)
    return;

  while (self->n_direct > 0)
    usock_reactor_move (self->direct[0].watch, USOCK_PLACE_RESTING);
  g_source_remove_unix_fd (self->source, g_steal_pointer (&self->epoll_tag));
}

/* What is polled directly goes back to the epoll when it has hung up. */
static void
reactor_prepare_polling (UsockReactor *self)
{
  for (guint i = self->n_direct; i-- > 0;)
    {
      UsockDirect *direct = &self->direct[i];

      if (direct->watch->ready & USOCK_READY_HANGUP)
        usock_reactor_move_or_retry (direct->watch, USOCK_PLACE_EPOLL);
      else
        usock_direct_update (self, direct);
    }
}

/* In ms, -1 for ever. */
static int
reactor_get_timeout (UsockReactor *self,
                     gint64        now)
{
  gint64 deadline = usock_reactor_get_deadline (self);
  int timeout = -1;

  if (deadline != G_MAXINT64)
    timeout = (int) CLAMP ((deadline - now + 999) / 1000, 0, G_MAXINT);
  if (self->sampled.length > USOCK_REACTOR_SAMPLE_LIMIT)
    timeout = timeout == -1 ? SAMPLE_INTERVAL_MS : MIN (timeout, SAMPLE_INTERVAL_MS);

  return timeout;
}

static gboolean
reactor_prepare (GSource *source,
                 gint    *timeout)
{
  UsockReactor *self = ((ReactorSource *) source)->reactor;

  *timeout = -1;
  if (!usock_reactor_is_usable (self))
    {
      reactor_stop_polling (self);
      return FALSE;
    }

  self->n_turns++;
  /* Who is about to poll for the context runs it. */
  if (g_atomic_pointer_get (&self->owner) != usock_reactor_this_thread ())
    g_atomic_pointer_set (&self->owner, usock_reactor_this_thread ());

  reactor_prepare_polling (self);
  usock_reactor_resume_frames (self);
  if (self->sampled.length > 0)
    usock_reactor_sample (self);
  if (self->ready.length > 0)
    {
      *timeout = 0;
      return TRUE;
    }

  *timeout = reactor_get_timeout (self, g_source_get_time (source));
  return FALSE;
}

static gboolean
reactor_check (GSource *source)
{
  UsockReactor *self = ((ReactorSource *) source)->reactor;

  if (!usock_reactor_is_usable (self))
    return FALSE;

  return self->ready.length > 0 || g_source_query_unix_fd (source, self->epoll_tag) != 0
         || usock_direct_is_ready (self)
         || (self->heap->len > 0 && usock_reactor_get_deadline (self) <= g_source_get_time (source));
}

/* A deadline is told together with what the kernel has by now: the process may have been stopped
 * since the context polled, or another source may have taken its time, and what came meanwhile came
 * before the deadline as far as anybody can tell. */
static void
reactor_collect (UsockReactor *self)
{
  gint64 now = self->heap->len > 0 ? g_get_monotonic_time () : 0;
  gboolean due = usock_reactor_get_deadline (self) <= now;

  usock_direct_collect (self, due);
  if (!self->epoll_unneeded
      && (due || g_source_query_unix_fd (self->source, self->epoll_tag) != 0))
    usock_epoll_collect (self);
  if (due)
    usock_reactor_collect_deadlines (self, now);
}

/* Returns whether another thread was the last that used the reactor: it could not destroy the
 * source, which this thread runs. From here on the context has no reactor. */
static gboolean
reactor_collect_interrupts (UsockReactor *self)
{
  gboolean left;

  g_source_set_ready_time (self->source, -1);

  g_mutex_lock (&usock_reactors_lock);
  while (self->interrupted != NULL)
    {
      UsockWatch *watch = self->interrupted;

      self->interrupted = watch->interrupted_next;
      watch->interrupted = FALSE;
      watch->ready |= USOCK_READY_INTERRUPT;
      usock_reactor_queue (watch);
    }
  left = self->ref_count == 1;
  if (left)
    reactors_remove (self);
  g_mutex_unlock (&usock_reactors_lock);

  return left;
}

/* What is queued while this runs waits for the next turn, so that other sources get theirs. */
static gboolean
reactor_dispatch (GSource     *source,
                  GSourceFunc  callback,
                  gpointer     user_data)
{
  UsockReactor *self = ((ReactorSource *) source)->reactor;
  gboolean left = FALSE;

  /* Another source may have forked after this one was found ready. */
  if (!usock_reactor_is_usable (self))
    {
      g_source_set_ready_time (source, -1);
      return G_SOURCE_CONTINUE;
    }

  reactor_collect (self);
  if (g_source_get_ready_time (source) != -1)
    left = reactor_collect_interrupts (self);

  for (guint n = self->ready.length; n > 0; n--)
    {
      UsockWatch *watch;

      if (self->ready.length == 0 || !usock_reactor_is_usable (self))
        break;
      watch = usock_reactor_dispatch_first (self);
      if (watch != NULL)
        usock_reactor_consider (watch);
    }

  return left ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* Until here the reactor was in use by the source, whoever destroyed that. */
static void
reactor_source_finalize (GSource *source)
{
  usock_reactor_unref (((ReactorSource *) source)->reactor);
}

static GSourceFuncs reactor_source_funcs = {
  .prepare = reactor_prepare,
  .check = reactor_check,
  .dispatch = reactor_dispatch,
  .finalize = reactor_source_finalize,
};

/* GLib calls this when the source is destroyed: with its context, or because the last watch is
 * gone. References to the source do not hinder it, as they would its finalization. */
static void
reactor_source_destroyed (gpointer data)
{
  UsockReactor *self = data;
  GSource *source;

  g_mutex_lock (&usock_reactors_lock);
  reactors_remove (self);
  source = g_steal_pointer (&self->source);
  g_mutex_unlock (&usock_reactors_lock);

  while (self->attached.head != NULL)
    {
      UsockWatch *watch = self->attached.head->data;

      usock_watch_detach (watch);
      watch->funcs->orphaned (watch);
    }

  g_clear_pointer (&source, g_source_unref);
}

static gboolean
reactor_source_callback (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static void
reactor_add_source (UsockReactor *self)
{
  self->source = g_source_new (&reactor_source_funcs, sizeof (ReactorSource));
  ((ReactorSource *) self->source)->reactor = self;
  self->epoll_tag = g_source_add_unix_fd (self->source, self->epoll_fd, G_IO_IN);
  g_source_set_can_recurse (self->source, TRUE);
  g_source_set_static_name (self->source, "usock");
  g_source_set_callback (self->source, reactor_source_callback, self, reactor_source_destroyed);
  g_source_attach (self->source, self->context);
}

static UsockReactor *
reactor_new (GMainContext *context)
{
  UsockReactor *self;
  int epoll_fd = usock_epoll_new ();

  if (epoll_fd == -1)
    return NULL;

  self = g_new0 (UsockReactor, 1);
  self->ref_count = 2; /* the caller's, and the source's */
  self->generation = usock_fork_get_generation ();
  self->context = context;
  self->epoll_fd = epoll_fd;
  self->heap = g_ptr_array_new ();
  self->batches = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_io_batch_free);
  usock_reactor_make_mine (self);
  reactor_add_source (self);

  return self;
}

/* The reactor of the thread-default context, or NULL with errno if the process has no descriptor
 * left for one. */
UsockReactor *
usock_reactor_acquire (void)
{
  static gsize forks_watched = 0;
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  UsockReactor *self;

  if (g_once_init_enter (&forks_watched))
    {
      usock_fork_register (&reactors_fork_funcs);
      g_once_init_leave (&forks_watched, 1);
    }

  g_mutex_lock (&usock_reactors_lock);
  if (reactors == NULL)
    reactors = g_hash_table_new (NULL, NULL);

  self = g_hash_table_lookup (reactors, context);
  if (self != NULL)
    self->ref_count++;
  else
    {
      self = reactor_new (context);
      if (self != NULL)
        g_hash_table_insert (reactors, context, self);
    }
  g_mutex_unlock (&usock_reactors_lock);

  return self;
}

UsockReactor *
usock_reactor_ref (UsockReactor *self)
{
  g_mutex_lock (&usock_reactors_lock);
  self->ref_count++;
  g_mutex_unlock (&usock_reactors_lock);
  return self;
}

static void
reactor_free (UsockReactor *self)
{
  g_assert (self->attached.length == 0 && self->ready.length == 0);

  close (self->epoll_fd);
  g_ptr_array_unref (self->heap);
  g_ptr_array_unref (self->batches);
  g_clear_pointer (&self->array, g_byte_array_unref);
  g_clear_pointer (&self->ghosts, g_hash_table_unref);
  g_free (self);
}

/* Under the lock, when nobody but the source is left. Returns the source if it is to be destroyed;
 * in another thread than its own it could be in use right now, and is left to that thread. */
static GSource *
reactor_retire (UsockReactor *self)
{
  if (self->source == NULL)
    return NULL;

  if (usock_reactor_find_access (self) == USOCK_ACCESS_ELSEWHERE)
    {
      g_source_set_ready_time (self->source, 0);
      return NULL;
    }

  reactors_remove (self);
  return g_source_ref (self->source);
}

/* From any thread. The source's own reference is the last but one: when nobody else is left, the
 * source goes. */
void
usock_reactor_unref (UsockReactor *self)
{
  GSource *source = NULL;
  guint left;

  g_mutex_lock (&usock_reactors_lock);
  left = --self->ref_count;
  if (left == 1)
    source = reactor_retire (self);
  g_mutex_unlock (&usock_reactors_lock);

  if (left == 0)
    reactor_free (self);
  if (source != NULL)
    {
      g_source_destroy (source);
      g_source_unref (source);
    }
}

void
usock_reactor_hold (UsockReactor *self,
                    int           change)
{
  g_atomic_int_add (&self->n_held, change);
}

/* Looks the reactor up anew each time: it goes with its last watch, and another may come. */
guint
usock_reactor_count_held (GMainContext *context)
{
  UsockReactor *self;
  guint n_held = 0;

  g_mutex_lock (&usock_reactors_lock);
  self = reactors != NULL ? g_hash_table_lookup (reactors, context) : NULL;
  if (self != NULL)
    n_held = MAX (g_atomic_int_get (&self->n_held), 0);
  g_mutex_unlock (&usock_reactors_lock);

  return n_held;
}

void
usock_reactor_run_until_idle (GMainContext *context)
{
  while (usock_reactor_count_held (context) > 0)
    g_main_context_iteration (context, TRUE);
}

/* For what has no watch to be woken: once, from the thread-default context. */
void
usock_reactor_call_later (GSourceFunc    callback,
                          gpointer       data,
                          GDestroyNotify free_data)
{
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_static_name (source, "usock-later");
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, callback, data, free_data);
  g_source_attach (source, context);
  usock_guest_notice (context);
}

/* Buffers are lent for the time of a dispatch, so that idle sockets own none, and nested
 * dispatches have each their own. NULL if there is no memory. */
UsockIoBatch *
usock_reactor_take_batch (UsockReactor *self,
                          gsize         slot_size)
{
  for (guint i = 0; i < self->batches->len; i++)
    if (usock_io_batch_slot_size (self->batches->pdata[i]) >= slot_size)
      return g_ptr_array_steal_index_fast (self->batches, i);

  return usock_io_batch_new (slot_size);
}

void
usock_reactor_give_batch (UsockReactor *self,
                          UsockIoBatch *batch)
{
  g_ptr_array_add (self->batches, batch);
  if (self->batches->len > 2)
    g_ptr_array_remove_index (self->batches, 0);
}

/* The array that handlers are given what is in a buffer by. It is empty. */
GByteArray *
usock_reactor_take_array (UsockReactor *self)
{
  return self->array != NULL ? g_steal_pointer (&self->array) : g_byte_array_new ();
}

void
usock_reactor_give_array (UsockReactor *self,
                          GByteArray   *array)
{
  if (self->array != NULL)
    g_byte_array_unref (array);
  else
    self->array = array;
}
