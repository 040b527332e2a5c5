/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-postbox: messages on their way from any thread to the one that sends them.
 *
 * Who posts puts a message in, and who owns the box takes them out, in the order in which they came.
 * It holds as much as a queue may, and any one message. Once it is closed, what is in it is dropped,
 * and no more gets in. Knows no sockets, and wakes nobody. */

#pragma once

#include <stdbool.h>

#include "usock-queue-private.h"

G_BEGIN_DECLS

/* Guarded by a lock that all boxes have in common, and of which a fork knows. */
typedef struct
{
  UsockQueue queue;
  guint64 limit;
  bool closed;
  guint n; /* of the queue; atomic, for who only wants to know whether to look */
} UsockPostbox;

typedef enum
{
  USOCK_POST_TAKEN,
  USOCK_POST_FULL,
  USOCK_POST_CLOSED,
} UsockPosted;

UsockPosted   usock_postbox_put       (UsockPostbox *self,
                                       UsockMessage *message);
UsockMessage *usock_postbox_take      (UsockPostbox *self,
                                       guint64       room);
void          usock_postbox_set_limit (UsockPostbox *self,
                                       guint64       limit);
void          usock_postbox_shut      (UsockPostbox *self);
void          usock_postbox_close     (UsockPostbox *self);

static inline guint
usock_postbox_get_length (UsockPostbox *self)
{
  return g_atomic_int_get (&self->n);
}

static inline gboolean
usock_postbox_is_empty (UsockPostbox *self)
{
  return usock_postbox_get_length (self) == 0;
}

G_END_DECLS
