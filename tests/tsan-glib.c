/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The thread sanitizer sees what happens in code that was compiled for it, and GLib was not: that a
 * lock of GLib's keeps two threads apart it cannot know. This, preloaded, tells it. See
 * tests/run --threads. */

#include <dlfcn.h>
#include <glib-object.h>

void __tsan_acquire (void *address);
void __tsan_release (void *address);

#define NEXT(name) ((__typeof__ (&(name))) dlsym (RTLD_NEXT, #name))

#define WRAP_BEFORE(name, type)                                                                    \
  void (name) (type *self)                                                                         \
  {                                                                                                \
    static __typeof__ (&(name)) next;                                                              \
    if (next == NULL)                                                                              \
      next = NEXT (name);                                                                          \
    __tsan_release (self);                                                                         \
    next (self);                                                                                   \
  }

#define WRAP_AFTER(name, type)                                                                     \
  void (name) (type *self)                                                                         \
  {                                                                                                \
    static __typeof__ (&(name)) next;                                                              \
    if (next == NULL)                                                                              \
      next = NEXT (name);                                                                          \
    next (self);                                                                                   \
    __tsan_acquire (self);                                                                         \
  }

WRAP_AFTER (g_mutex_lock, GMutex)
WRAP_BEFORE (g_mutex_unlock, GMutex)

gboolean
g_mutex_trylock (GMutex *self)
{
  gboolean locked = NEXT (g_mutex_trylock) (self);

  if (locked)
    __tsan_acquire (self);
  return locked;
}

void
g_cond_wait (GCond  *self,
             GMutex *mutex)
{
  __tsan_release (mutex);
  NEXT (g_cond_wait) (self, mutex);
  __tsan_acquire (mutex);
}

gboolean
g_cond_wait_until (GCond  *self,
                   GMutex *mutex,
                   gint64  end_time)
{
  gboolean woken;

  __tsan_release (mutex);
  woken = NEXT (g_cond_wait_until) (self, mutex, end_time);
  __tsan_acquire (mutex);
  return woken;
}

gboolean (g_once_init_enter) (volatile void *location)
{
  gboolean first = NEXT (g_once_init_enter) (location);

  __tsan_acquire ((void *) location);
  return first;
}

void (g_once_init_leave) (volatile void *location,
                          gsize result)
{
  __tsan_release ((void *) location);
  NEXT (g_once_init_leave) (location, result);
}

void
g_async_queue_push (GAsyncQueue *self,
                    gpointer     data)
{
  __tsan_release (self);
  NEXT (g_async_queue_push) (self, data);
}

gpointer
g_async_queue_pop (GAsyncQueue *self)
{
  gpointer data = NEXT (g_async_queue_pop) (self);

  __tsan_acquire (self);
  return data;
}

/* Whoever drops the last reference sees what all others did before they dropped theirs. */
#define WRAP_UNREF(name, type)                                                                     \
  void (name) (type self)                                                                          \
  {                                                                                                \
    static __typeof__ (&(name)) next;                                                              \
    if (next == NULL)                                                                              \
      next = NEXT (name);                                                                          \
    __tsan_release (self);                                                                         \
    __tsan_acquire (self);                                                                         \
    next (self);                                                                                   \
  }

WRAP_UNREF (g_object_unref, gpointer)
WRAP_UNREF (g_bytes_unref, GBytes *)
WRAP_UNREF (g_source_unref, GSource *)
WRAP_UNREF (g_main_context_unref, GMainContext *)

gboolean (g_atomic_ref_count_dec) (gatomicrefcount *self)
{
  gboolean last;

  __tsan_release ((void *) self);
  last = NEXT (g_atomic_ref_count_dec) (self);
  if (last)
    __tsan_acquire ((void *) self);
  return last;
}
