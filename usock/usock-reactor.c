/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-private.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

/* How many unwanted watches one turn looks at, and how soon the next are due if there are more. */
#define SAMPLE_LIMIT 64
#define SAMPLE_INTERVAL_MS 20

/* Events of one epoll_wait(); what is left comes in the next turn. */
#define EVENT_LIMIT 128

/* After how many turns a watch that is alone is worth a descriptor of the source's own. */
#define DIRECT_AFTER 16

/* The source polls with what poll() has, and GLib has no name for. */
#define CONDITION_HANGUP (G_IO_HUP | G_IO_ERR | G_IO_NVAL | (GIOCondition) POLLRDHUP)
#define CONDITION_IN (G_IO_IN | G_IO_PRI | (GIOCondition) POLLRDHUP)

/* A dispatch that runs. A nested main loop in it would wait in vain for what the watch has at hand
 * already: it must come to it another way. */
typedef struct _Frame
{
  struct _Frame *outer;
  UsockWatch *watch; /* NULL once it is in the ready list again */
} Frame;

struct _UsockReactor
{
  gatomicrefcount ref_count;
  guint generation;

  GMutex lock; /* guards source and interrupted, which other threads use */
  GSource *source;
  UsockWatch *interrupted;

  GMainContext *context; /* as a key only: the source must not keep it alive */
  int epoll_fd;
  gpointer poll_tag;
  int n_held;

  /* Only one has a descriptor: the source polls that itself, without the way through the epoll. */
  guint n_fds;
  UsockWatch *direct;
  gpointer direct_tag;
  GIOCondition direct_condition;

  Frame *frames;
  GQueue ready;
  GQueue sampled;
  GQueue attached;
  GPtrArray *heap;
  GPtrArray *batches;
  GHashTable *ghosts; /* of UsockWatch that is gone, where epoll may not know; NULL for none */
};

typedef struct
{
  GSource parent;
  UsockReactor *reactor;
} ReactorSource;

static GMutex reactors_lock;
static GHashTable *reactors; /* GMainContext → UsockReactor, neither referenced */

/* A forked child shares the epoll with its parent: what it removes there is gone for the parent,
 * and what it waits for, the parent does not get. So it must not touch it; the generation tells
 * whose it is. */
static guint fork_generation;

static void
reactor_forked_child (void)
{
  fork_generation++;
}

/* The heap of deadlines. */

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

static void
heap_sift (UsockReactor *self,
           UsockWatch   *watch)
{
  guint index = watch->heap_index;

  while (index > 0 && heap_get (self, (index - 1) / 2)->deadline > watch->deadline)
    {
      heap_put (self, index, heap_get (self, (index - 1) / 2));
      index = (index - 1) / 2;
    }

  for (;;)
    {
      guint child = index * 2 + 1;

      if (child >= self->heap->len)
        break;
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
  if (last != watch)
    {
      heap_put (self, watch->heap_index, last);
      heap_sift (self, last);
    }
}

/* The source. */

static void
reactor_queue (UsockWatch *watch)
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

static void
reactor_sample (UsockReactor *self)
{
  guint n = MIN (self->sampled.length, SAMPLE_LIMIT);

  while (n-- > 0)
    {
      GList *link = g_queue_pop_head_link (&self->sampled);
      UsockWatch *watch = link->data;

      if (watch->funcs->wanted (watch))
        {
          link->data = NULL;
          reactor_queue (watch);
        }
      else
        g_queue_push_tail_link (&self->sampled, link);
    }
}

/* Once for each frame: from then on the nested dispatch says itself whether there is more. */
static void
reactor_resume_frames (UsockReactor *self)
{
  for (Frame *frame = self->frames; frame != NULL; frame = frame->outer)
    if (frame->watch != NULL)
      reactor_queue (g_steal_pointer (&frame->watch));
}

static int
reactor_control (UsockWatch *watch,
                 int         operation,
                 int         fd)
{
  struct epoll_event event = { 0 };

  if (usock_reactor_is_inherited (watch->reactor))
    return -EPERM;

  event.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET | (watch->writable_wanted ? EPOLLOUT : 0);
  event.data.ptr = watch;
  return epoll_ctl (watch->reactor->epoll_fd, operation, fd, &event) == 0 ? 0 : -errno;
}

static GIOCondition
direct_get_condition (const UsockWatch *watch)
{
  return (watch->ready & USOCK_READY_IN ? 0 : CONDITION_IN)
         | (watch->writable_wanted ? G_IO_OUT : 0);
}

static void
reactor_forget_direct (UsockReactor *self)
{
  if (self->direct == NULL)
    return;

  /* A source that is destroyed has dropped it. */
  if (self->source != NULL)
    {
      g_source_remove_unix_fd (self->source, self->direct_tag);
      g_source_modify_unix_fd (self->source, self->poll_tag, G_IO_IN);
    }
  self->direct = NULL;
  self->direct_tag = NULL;
}

/* Back to the epoll, as from a rest. */
static void
reactor_demote (UsockReactor *self)
{
  UsockWatch *watch = self->direct;

  if (watch == NULL)
    return;

  reactor_forget_direct (self);
  watch->n_alone = 0;
  watch->resting = TRUE;
  usock_watch_rest (watch, FALSE);
}

/* The watch was just dispatched. poll() is level-triggered, and cannot be told to ignore a hang-up:
 * only who leaves nothing unread, and has a peer, may have it. */
static void
reactor_promote (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;

  if (!watch->level || self->n_fds != 1 || watch->fd == -1 || self->direct != NULL
      || (watch->ready & USOCK_READY_HANGUP) || !usock_reactor_is_usable (self)
      || watch->n_alone++ < DIRECT_AFTER)
    return;

  if (!watch->resting && reactor_control (watch, EPOLL_CTL_DEL, watch->fd) != 0)
    return;

  watch->resting = FALSE;
  self->direct = watch;
  self->direct_condition = direct_get_condition (watch);
  self->direct_tag = g_source_add_unix_fd (self->source, watch->fd, self->direct_condition);
  g_source_modify_unix_fd (self->source, self->poll_tag, 0);
}

static void
reactor_prepare_direct (UsockReactor *self)
{
  GIOCondition condition;

  if (self->direct->ready & USOCK_READY_HANGUP)
    {
      reactor_demote (self);
      return;
    }

  /* A change wakes the context, so that none is made for nothing. */
  condition = direct_get_condition (self->direct);
  if (self->direct_condition != condition)
    g_source_modify_unix_fd (self->source, self->direct_tag, condition);
  self->direct_condition = condition;
}

static void
reactor_collect_direct (UsockReactor *self)
{
  GIOCondition condition = g_source_query_unix_fd (self->source, self->direct_tag);
  UsockWatch *watch = self->direct;

  if (condition & G_IO_IN)
    watch->ready |= USOCK_READY_IN;
  if (condition & G_IO_PRI)
    watch->ready |= USOCK_READY_URGENT | USOCK_READY_IN;
  if (condition & G_IO_OUT)
    watch->ready |= USOCK_READY_OUT;
  if (condition & CONDITION_HANGUP)
    watch->ready |= USOCK_READY_HANGUP | USOCK_READY_IN;
  if (condition != 0)
    reactor_queue (watch);
}

static gboolean
reactor_prepare (GSource *source,
                 gint    *timeout)
{
  UsockReactor *self = ((ReactorSource *) source)->reactor;

  *timeout = -1;
  if (!usock_reactor_is_usable (self))
    {
      reactor_forget_direct (self);
      if (self->poll_tag != NULL)
        g_source_modify_unix_fd (source, self->poll_tag, 0);
      return FALSE;
    }

  if (self->direct != NULL)
    reactor_prepare_direct (self);
  reactor_resume_frames (self);
  if (self->sampled.length > 0)
    reactor_sample (self);
  if (self->ready.length > 0)
    {
      *timeout = 0;
      return TRUE;
    }

  if (self->heap->len > 0)
    {
      gint64 left = heap_get (self, 0)->deadline - g_source_get_time (source);

      *timeout = CLAMP ((left + 999) / 1000, 0, G_MAXINT);
    }
  if (self->sampled.length > SAMPLE_LIMIT)
    *timeout = *timeout == -1 ? SAMPLE_INTERVAL_MS : MIN (*timeout, SAMPLE_INTERVAL_MS);

  return FALSE;
}

static gboolean
reactor_check (GSource *source)
{
  UsockReactor *self = ((ReactorSource *) source)->reactor;

  if (!usock_reactor_is_usable (self))
    return FALSE;

  return self->ready.length > 0 || g_source_query_unix_fd (source, self->poll_tag) != 0
         || (self->direct != NULL && g_source_query_unix_fd (source, self->direct_tag) != 0)
         || (self->heap->len > 0 && heap_get (self, 0)->deadline <= g_source_get_time (source));
}

static void
reactor_collect_events (UsockReactor *self)
{
  struct epoll_event events[EVENT_LIMIT];
  int n = epoll_wait (self->epoll_fd, events, EVENT_LIMIT, 0);

  for (int i = 0; i < n; i++)
    {
      UsockWatch *watch = events[i].data.ptr;

      if (self->ghosts != NULL && g_hash_table_contains (self->ghosts, watch))
        continue;
      if (events[i].events & EPOLLIN)
        watch->ready |= USOCK_READY_IN;
      if (events[i].events & EPOLLPRI)
        watch->ready |= USOCK_READY_URGENT | USOCK_READY_IN;
      if (events[i].events & EPOLLOUT)
        watch->ready |= USOCK_READY_OUT;
      if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        watch->ready |= USOCK_READY_HANGUP | USOCK_READY_IN;
      reactor_queue (watch);
    }
}

static void
reactor_collect_deadlines (UsockReactor *self,
                           gint64        now)
{
  while (self->heap->len > 0 && heap_get (self, 0)->deadline <= now)
    {
      UsockWatch *watch = heap_get (self, 0);

      usock_watch_set_deadline (watch, -1);
      watch->ready |= USOCK_READY_DEADLINE;
      reactor_queue (watch);
    }
}

static void
reactor_collect_interrupts (UsockReactor *self)
{
  g_source_set_ready_time (self->source, -1);

  g_mutex_lock (&self->lock);
  while (self->interrupted != NULL)
    {
      UsockWatch *watch = self->interrupted;

      self->interrupted = watch->interrupted_next;
      watch->interrupted = FALSE;
      watch->ready |= USOCK_READY_INTERRUPT;
      reactor_queue (watch);
    }
  g_mutex_unlock (&self->lock);
}

static void
reactor_dispatch_first (UsockReactor *self)
{
  Frame frame = { self->frames, self->ready.head->data };

  reactor_unqueue (frame.watch);
  self->frames = &frame;
  frame.watch->funcs->dispatch (frame.watch);
  self->frames = frame.outer;
  if (frame.watch != NULL)
    reactor_promote (frame.watch);
}

/* What is queued while this runs waits for the next turn, so that other sources get theirs. */
static gboolean
reactor_dispatch (GSource     *source,
                  GSourceFunc  callback,
                  gpointer     user_data)
{
  UsockReactor *self = ((ReactorSource *) source)->reactor;
  guint n;

  /* Another source may have forked after this one was found ready. */
  if (!usock_reactor_is_usable (self))
    {
      g_source_set_ready_time (source, -1);
      return G_SOURCE_CONTINUE;
    }

  usock_reactor_ref (self);
  if (self->direct != NULL)
    reactor_collect_direct (self);
  else if (g_source_query_unix_fd (source, self->poll_tag) != 0)
    reactor_collect_events (self);
  if (self->heap->len > 0)
    reactor_collect_deadlines (self, g_source_get_time (source));
  if (g_source_get_ready_time (source) != -1)
    reactor_collect_interrupts (self);

  n = self->ready.length;
  while (n-- > 0 && self->ready.length > 0 && usock_reactor_is_usable (self))
    reactor_dispatch_first (self);

  usock_reactor_unref (self);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs reactor_source_funcs = {
  .prepare = reactor_prepare,
  .check = reactor_check,
  .dispatch = reactor_dispatch,
};

static void
reactor_forget (UsockReactor *self)
{
  g_mutex_lock (&reactors_lock);
  if (g_hash_table_lookup (reactors, self->context) == self)
    g_hash_table_remove (reactors, self->context);
  g_mutex_unlock (&reactors_lock);
}

/* GLib calls this when the source is destroyed: with its context, or because the last watch is
 * gone. References to the source do not hinder it, as they would its finalization. */
static void
reactor_source_destroyed (gpointer data)
{
  UsockReactor *self = data;
  GSource *source;

  reactor_forget (self);

  g_mutex_lock (&self->lock);
  source = g_steal_pointer (&self->source);
  g_mutex_unlock (&self->lock);

  while (self->attached.head != NULL)
    {
      UsockWatch *watch = self->attached.head->data;

      usock_watch_detach (watch);
      watch->funcs->orphaned (watch);
    }

  g_clear_pointer (&source, g_source_unref);
  usock_reactor_unref (self);
}

static gboolean
reactor_source_callback (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static UsockReactor *
reactor_new (GMainContext *context)
{
  UsockReactor *self;
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);

  if (epoll_fd == -1)
    return NULL;

  self = g_new0 (UsockReactor, 1);
  g_atomic_ref_count_init (&self->ref_count);
  g_mutex_init (&self->lock);
  self->generation = fork_generation;
  self->context = context;
  self->epoll_fd = epoll_fd;
  self->heap = g_ptr_array_new ();
  self->batches = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_io_batch_free);

  self->source = g_source_new (&reactor_source_funcs, sizeof (ReactorSource));
  ((ReactorSource *) self->source)->reactor = self;
  self->poll_tag = g_source_add_unix_fd (self->source, epoll_fd, G_IO_IN);
  g_source_set_can_recurse (self->source, TRUE);
  g_source_set_static_name (self->source, "usock");
  g_source_set_callback (self->source, reactor_source_callback, usock_reactor_ref (self),
                         reactor_source_destroyed);

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
      pthread_atfork (NULL, NULL, reactor_forked_child);
      g_once_init_leave (&forks_watched, 1);
    }

  g_mutex_lock (&reactors_lock);
  if (reactors == NULL)
    reactors = g_hash_table_new (NULL, NULL);

  self = g_hash_table_lookup (reactors, context);
  if (self != NULL && usock_reactor_is_usable (self))
    usock_reactor_ref (self);
  else
    {
      self = reactor_new (context);
      if (self != NULL)
        g_hash_table_insert (reactors, context, self);
    }
  g_mutex_unlock (&reactors_lock);

  if (self != NULL && g_source_get_context (self->source) == NULL)
    g_source_attach (self->source, context);

  return self;
}

UsockReactor *
usock_reactor_ref (UsockReactor *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

static void
reactor_free (UsockReactor *self)
{
  g_assert (self->attached.length == 0 && self->ready.length == 0);

  close (self->epoll_fd);
  g_ptr_array_unref (self->heap);
  g_ptr_array_unref (self->batches);
  g_clear_pointer (&self->ghosts, g_hash_table_unref);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* The source's own reference is the last but one: when nobody else is left, the source goes. */
void
usock_reactor_unref (UsockReactor *self)
{
  GSource *source = NULL;

  g_mutex_lock (&reactors_lock);
  if (g_atomic_ref_count_dec (&self->ref_count))
    {
      g_mutex_unlock (&reactors_lock);
      reactor_free (self);
      return;
    }

  if (g_atomic_ref_count_compare (&self->ref_count, 1) && self->source != NULL)
    {
      if (g_hash_table_lookup (reactors, self->context) == self)
        g_hash_table_remove (reactors, self->context);
      source = g_source_ref (self->source);
    }
  g_mutex_unlock (&reactors_lock);

  if (source != NULL)
    {
      g_source_destroy (source);
      g_source_unref (source);
    }
}

/* Whether the context still lives, and this process made the reactor. */
gboolean
usock_reactor_is_usable (UsockReactor *self)
{
  return self->source != NULL && self->generation == fork_generation;
}

/* Whether it is the parent's, and this process a forked child. */
gboolean
usock_reactor_is_inherited (UsockReactor *self)
{
  return self->generation != fork_generation;
}

void
usock_watch_init (UsockWatch            *watch,
                  UsockReactor          *reactor,
                  const UsockWatchFuncs *funcs)
{
  watch->reactor = reactor;
  watch->funcs = funcs;
  watch->fd = -1;
  watch->deadline = -1;
}

/* From here on the watch can be woken, and is told when the context goes. */
void
usock_watch_attach (UsockWatch *watch)
{
  if (watch->attached)
    return;

  watch->attached = TRUE;
  watch->attached_link.data = watch;
  g_queue_push_tail_link (&watch->reactor->attached, &watch->attached_link);
}

/* Interrupts come to watches that are not attached, too. */
static void
reactor_forget_interrupt (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;

  g_mutex_lock (&self->lock);
  for (UsockWatch **link = &self->interrupted; watch->interrupted && *link != NULL;)
    if (*link == watch)
      {
        *link = watch->interrupted_next;
        watch->interrupted = FALSE;
      }
    else
      link = &(*link)->interrupted_next;
  g_mutex_unlock (&self->lock);
}

/* Also right before the owner of a watch goes that was never attached. */
void
usock_watch_detach (UsockWatch *watch)
{
  reactor_forget_interrupt (watch);
  if (!watch->attached)
    return;

  usock_watch_remove_fd (watch);
  usock_watch_set_deadline (watch, -1);
  usock_watch_sample (watch, FALSE);
  reactor_unqueue (watch);
  for (Frame *frame = watch->reactor->frames; frame != NULL; frame = frame->outer)
    if (frame->watch == watch)
      frame->watch = NULL;
  g_queue_unlink (&watch->reactor->attached, &watch->attached_link);
  watch->attached = FALSE;
}

int
usock_watch_add_fd (UsockWatch *watch,
                    int         fd)
{
  int result;

  g_assert (watch->fd == -1 && watch->attached);

  watch->writable_wanted = FALSE;
  result = reactor_control (watch, EPOLL_CTL_ADD, fd);
  if (result < 0)
    return result;

  watch->fd = fd;
  watch->n_alone = 0;
  watch->reactor->n_fds++;
  reactor_demote (watch->reactor);
  if (watch->reactor->ghosts != NULL)
    g_hash_table_remove (watch->reactor->ghosts, watch);
  return 0;
}

/* The program has closed the descriptor behind our back. If a copy lives, epoll goes on telling
 * of it, and there is no way left to stop that. */
static void
reactor_haunt (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;

  if (usock_reactor_is_inherited (self))
    return;

  if (self->ghosts == NULL)
    self->ghosts = g_hash_table_new (NULL, NULL);
  g_hash_table_add (self->ghosts, watch);
}

/* Always before the descriptor is closed: as long as a copy of it lives, in a child or in
 * another process' receive queue, epoll would go on reporting it, under a number that may be
 * another socket's by then. */
void
usock_watch_remove_fd (UsockWatch *watch)
{
  if (watch->fd == -1)
    return;

  if (watch->reactor->direct == watch)
    reactor_forget_direct (watch->reactor);
  else if (!watch->resting && reactor_control (watch, EPOLL_CTL_DEL, watch->fd) != 0)
    reactor_haunt (watch);
  watch->reactor->n_fds--;
  watch->fd = -1;
  watch->resting = FALSE;
  watch->ready = 0;
}

/* Off by default: each message that the peer reads would wake a sender that waits for nothing.
 * Changing the mask asks for the state anew, so no edge is lost in between. */
void
usock_watch_want_writable (UsockWatch *watch,
                           gboolean    wanted)
{
  if (watch->fd == -1 || watch->writable_wanted == wanted)
    return;

  watch->writable_wanted = wanted;
  if (watch->reactor->direct == watch)
    return;
  if (watch->resting)
    usock_watch_rest (watch, !wanted);
  else
    reactor_control (watch, EPOLL_CTL_MOD, watch->fd);
}

/* A watch that is woken in every turn anyhow needs no epoll, which makes each message dearer for
 * its sender: it has somebody to call. Coming back asks for the state anew, so that nothing that
 * happened meanwhile is missed; where there is no memory for that, it is tried again next turn. */
void
usock_watch_rest (UsockWatch *watch,
                  gboolean    rest)
{
  if (watch->fd == -1 || watch->resting == rest || (rest && watch->writable_wanted)
      || watch->reactor->direct == watch)
    return;

  if (reactor_control (watch, rest ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, watch->fd) == 0)
    {
      watch->resting = rest;
      return;
    }

  watch->ready |= USOCK_READY_IN;
  reactor_queue (watch);
}

/* Whether the owner clears USOCK_READY_IN only when there is nothing left to read. While it has
 * the only descriptor, there may be a shorter way to it. */
void
usock_watch_set_level (UsockWatch *watch,
                       gboolean    level)
{
  watch->level = level;
  if (!level && watch->reactor->direct == watch)
    reactor_demote (watch->reactor);
}

/* Whether what is left unread is told again, without being asked. */
gboolean
usock_watch_is_level (UsockWatch *watch)
{
  return watch->reactor->direct == watch;
}

void
usock_watch_wake (UsockWatch *watch)
{
  reactor_queue (watch);
}

void
usock_watch_sample (UsockWatch *watch,
                    gboolean    sample)
{
  gboolean sampled = watch->sample_link.data != NULL;

  if (sampled == sample || (sample && !watch->attached))
    return;

  if (sample)
    {
      watch->sample_link.data = watch;
      g_queue_push_tail_link (&watch->reactor->sampled, &watch->sample_link);
    }
  else
    {
      g_queue_unlink (&watch->reactor->sampled, &watch->sample_link);
      watch->sample_link.data = NULL;
    }
}

/* In the monotonic clock, microseconds; -1 for none. */
void
usock_watch_set_deadline (UsockWatch *watch,
                          gint64      deadline)
{
  UsockReactor *self = watch->reactor;
  gint64 before = watch->deadline;

  if (before == deadline || (deadline != -1 && !watch->attached))
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

/* From any thread. Whoever calls sees to it that the watch lives until this returns. */
void
usock_watch_interrupt (UsockWatch *watch)
{
  UsockReactor *self = watch->reactor;

  g_mutex_lock (&self->lock);
  if (self->source != NULL && !watch->interrupted)
    {
      watch->interrupted = TRUE;
      watch->interrupted_next = self->interrupted;
      self->interrupted = watch;
      g_source_set_ready_time (self->source, 0);
    }
  g_mutex_unlock (&self->lock);
}

/* The time of this turn, without a system call where the context has it already. */
gint64
usock_reactor_get_time (UsockReactor *self)
{
  if (self->source != NULL && g_main_current_source () == self->source)
    return g_source_get_time (self->source);

  return g_get_monotonic_time ();
}

void
usock_reactor_hold (UsockReactor *self,
                    int           change)
{
  self->n_held += change;
}

/* Looks the reactor up anew each time: it goes with its last watch, and another may come. */
guint
usock_reactor_count_held (GMainContext *context)
{
  UsockReactor *self;
  guint n_held = 0;

  g_mutex_lock (&reactors_lock);
  self = reactors != NULL ? g_hash_table_lookup (reactors, context) : NULL;
  if (self != NULL && usock_reactor_is_usable (self))
    n_held = MAX (self->n_held, 0);
  g_mutex_unlock (&reactors_lock);

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
}

/* Buffers are lent for the time of a dispatch, so that idle sockets own none, and nested
 * dispatches have each their own. */
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
