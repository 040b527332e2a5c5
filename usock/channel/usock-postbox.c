/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-postbox-private.h"

#include "usock-fork-private.h"

/* Held for some instructions only. */
static GMutex boxes_lock;

static void
boxes_fork_lock (void)
{
  g_mutex_lock (&boxes_lock);
}

static void
boxes_fork_unlock (void)
{
  g_mutex_unlock (&boxes_lock);
}

static const UsockForkFuncs boxes_fork_funcs = {
  .lock = boxes_fork_lock,
  .unlock = boxes_fork_unlock,
};

static void
postbox_lock (void)
{
  static gsize registered = 0;

  if (g_once_init_enter (&registered))
    {
      usock_fork_register (&boxes_fork_funcs);
      g_once_init_leave (&registered, 1);
    }
  g_mutex_lock (&boxes_lock);
}

/* References the message if it is taken, which then is as it is: it can be neither changed nor
 * robbed of its descriptors before it was sent. */
UsockPosted
usock_postbox_put (UsockPostbox *self,
                   UsockMessage *message)
{
  guint64 cost = usock_queue_message_cost (usock_message_get_length (message),
                                           usock_message_get_n_fds (message));
  UsockPosted posted = USOCK_POST_TAKEN;

  postbox_lock ();
  if (self->closed)
    posted = USOCK_POST_CLOSED;
  else if (self->queue.length > 0 && self->queue.cost + cost > self->limit)
    posted = USOCK_POST_FULL;
  else
    {
      usock_message_freeze (message);
      usock_message_pin_fds (message);
      usock_queue_push (&self->queue, usock_message_ref (message), NULL);
      g_atomic_int_inc (&self->n);
    }
  g_mutex_unlock (&boxes_lock);

  return posted;
}

/* The oldest, if it costs no more than @room, and a reference to it; its descriptors are free. NULL
 * for none. */
UsockMessage *
usock_postbox_take (UsockPostbox *self,
                    guint64       room)
{
  UsockQueueItem item = { NULL };

  postbox_lock ();
  if (self->queue.length > 0 && usock_queue_peek (&self->queue, 0)->cost <= room)
    {
      usock_queue_pop (&self->queue, &item);
      g_atomic_int_add (&self->n, -1);
    }
  g_mutex_unlock (&boxes_lock);

  if (item.message != NULL)
    usock_message_unpin_fds (item.message);
  return item.message;
}

void
usock_postbox_set_limit (UsockPostbox *self,
                         guint64       limit)
{
  postbox_lock ();
  self->limit = limit;
  g_mutex_unlock (&boxes_lock);
}

/* Nothing more is put in, so that who takes what is there comes to an end, however fast others post. */
void
usock_postbox_shut (UsockPostbox *self)
{
  postbox_lock ();
  self->closed = TRUE;
  g_mutex_unlock (&boxes_lock);
}

/* Messages are released without the lock: that may run foreign code. */
void
usock_postbox_close (UsockPostbox *self)
{
  UsockQueue dropped;
  UsockQueueItem item;

  postbox_lock ();
  self->closed = TRUE;
  dropped = self->queue;
  self->queue = (UsockQueue) { 0 };
  g_atomic_int_set (&self->n, 0);
  g_mutex_unlock (&boxes_lock);

  while (usock_queue_pop (&dropped, &item))
    {
      usock_message_unpin_fds (item.message);
      usock_message_unref (item.message);
    }
  usock_queue_clear (&dropped);
}
