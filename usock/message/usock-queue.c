/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-queue-private.h"

guint64
usock_queue_message_cost (gsize length,
                          guint n_fds)
{
  return length + USOCK_QUEUE_OVERHEAD * (1 + (guint64) n_fds);
}

static void
queue_grow (UsockQueue *self)
{
  guint capacity = MAX (self->capacity * 2, 8);
  UsockQueueItem *items = g_new (UsockQueueItem, capacity);

  for (guint i = 0; i < self->length; i++)
    items[i] = self->items[(self->head + i) & (self->capacity - 1)];

  g_free (self->items);
  self->items = items;
  self->capacity = capacity;
  self->head = 0;
}

static UsockQueueItem
queue_admit (UsockQueue     *self,
             UsockMessage   *message,
             UsockOperation *operation)
{
  UsockQueueItem item = { message, operation, 0, 0 };

  if (message != NULL)
    item.cost = usock_queue_message_cost (usock_message_get_length (message),
                                          usock_message_get_n_fds (message));

  if (self->length == self->capacity)
    queue_grow (self);

  self->length++;
  self->cost += item.cost;
  return item;
}

/* Takes both references over. */
void
usock_queue_push (UsockQueue     *self,
                  UsockMessage   *message,
                  UsockOperation *operation)
{
  UsockQueueItem item = queue_admit (self, message, operation);

  self->items[(self->head + self->length - 1) & (self->capacity - 1)] = item;
}

/* Takes the reference over, and puts it before all others. */
void
usock_queue_push_front (UsockQueue   *self,
                        UsockMessage *message)
{
  UsockQueueItem item = queue_admit (self, message, NULL);

  self->head = (self->head - 1) & (self->capacity - 1);
  self->items[self->head] = item;
}

/* Of the head, which stays: that much of it weighs no more. */
void
usock_queue_advance (UsockQueue *self,
                     gsize       n_bytes)
{
  UsockQueueItem *head = usock_queue_peek (self, 0);

  head->sent += n_bytes;
  head->cost -= n_bytes;
  self->cost -= n_bytes;
}

UsockQueueItem *
usock_queue_peek (UsockQueue *self,
                  guint       index)
{
  if (index >= self->length)
    return NULL;

  return &self->items[(self->head + index) & (self->capacity - 1)];
}

/* There may be ten thousand sockets that are idle, and were busy once. */
static void
queue_shrink (UsockQueue *self)
{
  if (self->length == 0 && self->capacity > 64)
    usock_queue_clear (self);
}

/* Hands both references to the caller. */
gboolean
usock_queue_pop (UsockQueue     *self,
                 UsockQueueItem *item)
{
  if (self->length == 0)
    return FALSE;

  *item = self->items[self->head];
  self->head = (self->head + 1) & (self->capacity - 1);
  self->length--;
  self->cost -= item->cost;

  queue_shrink (self);
  return TRUE;
}

/* One pass, so that cancelling half of a long queue costs its length once. What @remove accepts
 * is its to release. */
void
usock_queue_filter (UsockQueue       *self,
                    UsockQueueFilter  remove,
                    gpointer          user_data)
{
  guint kept = 0;

  for (guint i = 0; i < self->length; i++)
    {
      UsockQueueItem item = *usock_queue_peek (self, i);

      if (remove (&item, user_data))
        self->cost -= item.cost;
      else
        *usock_queue_peek (self, kept++) = item;
    }

  self->length = kept;
  queue_shrink (self);
}

void
usock_queue_item_clear (UsockQueueItem *item)
{
  g_clear_pointer (&item->message, usock_message_unref);
  g_clear_object (&item->operation);
}

void
usock_queue_clear (UsockQueue *self)
{
  for (guint i = 0; i < self->length; i++)
    usock_queue_item_clear (usock_queue_peek (self, i));

  g_free (self->items);
  *self = (UsockQueue) { 0 };
}
