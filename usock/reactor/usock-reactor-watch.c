/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-guest-private.h"
#include "usock-reactor-parts-private.h"

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
watch_forget_interrupt (UsockWatch *watch)
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

/* Also right before the owner of a watch goes that was never attached, or is no longer; then from
 * any thread. */
void
usock_watch_detach (UsockWatch *watch)
{
  watch_forget_interrupt (watch);
  if (!watch->attached)
    return;

  usock_watch_remove_fd (watch);
  usock_watch_set_deadline (watch, -1);
  usock_watch_sample (watch, FALSE);
  usock_reactor_forget (watch);
  g_queue_unlink (&watch->reactor->attached, &watch->attached_link);
  watch->attached = FALSE;
}

int
usock_watch_add_fd (UsockWatch *watch,
                    int         fd)
{
  int result;

  g_assert (watch->place == USOCK_PLACE_NOWHERE && watch->attached);

  watch->fd = fd;
  watch->writable_wanted = FALSE;
  result = usock_reactor_move (watch, USOCK_PLACE_EPOLL);
  if (result < 0)
    {
      watch->fd = -1;
      return result;
    }

  watch->n_turns = 0;
  usock_reactor_count_fd (watch->reactor, 1);
  return 0;
}

/* Always before the descriptor is closed. */
void
usock_watch_remove_fd (UsockWatch *watch)
{
  if (watch->place == USOCK_PLACE_NOWHERE)
    return;

  usock_reactor_move (watch, USOCK_PLACE_NOWHERE);
  usock_reactor_count_fd (watch->reactor, -1);
  watch->fd = -1;
  watch->ready = 0;
}

/* Off by default: each message that the peer reads would wake a sender that waits for nothing. */
void
usock_watch_want_writable (UsockWatch *watch,
                           gboolean    wanted)
{
  if (watch->place == USOCK_PLACE_NOWHERE || watch->writable_wanted == wanted)
    return;

  watch->writable_wanted = wanted;
  if (watch->place == USOCK_PLACE_EPOLL || watch->place == USOCK_PLACE_LEVEL)
    usock_epoll_modify (watch);
  else if (watch->place == USOCK_PLACE_RESTING && wanted)
    usock_reactor_move_or_retry (watch, USOCK_PLACE_EPOLL);
}

/* A watch that is woken in every turn anyhow needs no epoll, which makes each message dearer for
 * its sender: it has somebody to call. Who comes back is told what happened meanwhile. */
void
usock_watch_rest (UsockWatch *watch,
                  gboolean    rest)
{
  if (watch->place == USOCK_PLACE_NOWHERE || watch->place == USOCK_PLACE_DIRECT
      || (rest && watch->writable_wanted) || (!rest && watch->place == USOCK_PLACE_LEVEL))
    return;

  if (watch->place == USOCK_PLACE_LEVEL)
    watch->n_turns = 0;
  usock_reactor_move_or_retry (watch, rest ? USOCK_PLACE_RESTING : USOCK_PLACE_EPOLL);
}

/* Whether the owner clears USOCK_READY_IN when it has read what there is, or where what it leaves is told
 * again. There may be a shorter way to it then. */
void
usock_watch_set_level (UsockWatch *watch,
                       gboolean    level)
{
  watch->level = level;
  if (!level && usock_watch_is_level (watch))
    usock_reactor_move_or_retry (watch, USOCK_PLACE_EPOLL);
}

/* Whether what is left unread is told again, without being asked. */
gboolean
usock_watch_is_level (UsockWatch *watch)
{
  return watch->place == USOCK_PLACE_DIRECT || watch->place == USOCK_PLACE_LEVEL;
}

void
usock_watch_wake (UsockWatch *watch)
{
  usock_reactor_queue (watch);
  usock_guest_notice (watch->reactor->context);
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
      usock_guest_notice (watch->reactor->context);
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
  if (deadline != -1 && !watch->attached)
    return;

  usock_reactor_set_deadline (watch, deadline);
  if (deadline != -1 && usock_reactor_get_deadline (watch->reactor) == deadline)
    usock_guest_notice (watch->reactor->context);
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
