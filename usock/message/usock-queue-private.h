/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-queue: messages in order, and what they cost.
 *
 * A ring of messages, each with the asynchronous call that waits for it, if one does. It counts
 * what its messages weigh against a limit, a fixed overhead a message and a descriptor included,
 * so that a million empty messages are not free. Pure data: no descriptor of its own, no policy. */

#pragma once

#include "usock-message-private.h"
#include "usock-operation-private.h"

G_BEGIN_DECLS

#define USOCK_QUEUE_OVERHEAD 256

typedef struct
{
  UsockMessage *message;     /* NULL for a mark, which only its operation waits for */
  UsockOperation *operation; /* nullable */
  guint64 cost;
  gsize sent; /* of a byte stream: how much of the message has left */
} UsockQueueItem;

typedef struct
{
  UsockQueueItem *items;
  guint head;
  guint length;
  guint capacity;
  guint64 cost;
} UsockQueue;

typedef gboolean (*UsockQueueFilter) (const UsockQueueItem *item,
                                      gpointer              user_data);

guint64         usock_queue_message_cost (gsize             length,
                                          guint             n_fds);

void            usock_queue_push         (UsockQueue       *self,
                                          UsockMessage     *message,
                                          UsockOperation   *operation);
void            usock_queue_push_front   (UsockQueue       *self,
                                          UsockMessage     *message);
void            usock_queue_advance      (UsockQueue       *self,
                                          gsize             n_bytes);
UsockQueueItem *usock_queue_peek         (UsockQueue       *self,
                                          guint             index);
gboolean        usock_queue_pop          (UsockQueue       *self,
                                          UsockQueueItem   *item);
void            usock_queue_filter       (UsockQueue       *self,
                                          UsockQueueFilter  remove,
                                          gpointer          user_data);
void            usock_queue_item_clear   (UsockQueueItem   *item);
void            usock_queue_clear        (UsockQueue       *self);

G_END_DECLS
