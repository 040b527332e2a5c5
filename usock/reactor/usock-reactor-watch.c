/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-reactor-watch-private.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

/* After how many turns a watch that is alone is worth a descriptor of the source's own. */
#define DIRECT_AFTER 16

/* The source polls with what poll() has, and GLib has no name for. */
#define CONDITION_HANGUP (G_IO_HUP | G_IO_ERR | G_IO_NVAL | (GIOCondition) POLLRDHUP)
#define CONDITION_IN (G_IO_IN | G_IO_PRI | (GIOCondition) POLLRDHUP)

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

void
usock_reactor_queue (UsockWatch *watch)
{
  if (watch->ready_link.data != NULL || !watch->attached)
    return;

  watch->ready_link.data = watch;
  g_queue_push_tail_link (&watch->reactor->ready, &watch->ready_link);
}

void
usock_reactor_unqueue (UsockWatch *watch)
{
  if (watch->ready_link.data == NULL)
    return;

  g_queue_unlink (&watch->reactor->ready, &watch->ready_link);
  watch->ready_link.data = NULL;
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

void
usock_reactor_forget_direct (UsockReactor *self)
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

  usock_reactor_forget_direct (self);
  watch->n_alone = 0;
  watch->resting = TRUE;
  usock_watch_rest (watch, FALSE);
}

/* The watch was just dispatched. poll() is level-triggered, and cannot be told to ignore a hang-up:
 * only who leaves nothing unread, and has a peer, may have it. */
void
usock_reactor_promote (UsockWatch *watch)
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

void
usock_reactor_prepare_direct (UsockReactor *self)
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

void
usock_reactor_collect_direct (UsockReactor *self)
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
    usock_reactor_queue (watch);
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

  g_mutex_lock (&usock_reactors_lock);
  for (UsockWatch **link = &self->interrupted; watch->interrupted && *link != NULL;)
    if (*link == watch)
      {
        *link = watch->interrupted_next;
        watch->interrupted = FALSE;
      }
    else
      link = &(*link)->interrupted_next;
  g_mutex_unlock (&usock_reactors_lock);
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
  usock_reactor_unqueue (watch);
  for (UsockFrame *frame = watch->reactor->frames; frame != NULL; frame = frame->outer)
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
    usock_reactor_forget_direct (watch->reactor);
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
  usock_reactor_queue (watch);
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
  usock_reactor_queue (watch);
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

  g_mutex_lock (&usock_reactors_lock);
  if (self->source != NULL && !watch->interrupted && !usock_reactor_is_inherited (self))
    {
      watch->interrupted = TRUE;
      watch->interrupted_next = self->interrupted;
      self->interrupted = watch;
      g_source_set_ready_time (self->source, 0);
    }
  g_mutex_unlock (&usock_reactors_lock);
}
