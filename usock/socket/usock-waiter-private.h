/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-waiter: learning when a full datagram receiver has room.
 *
 * The kernel tells an unconnected sender nothing: its socket stays writable, and a send that
 * fails even makes an edge of its own, so that waiting for it never ends. A socket that is
 * connected to the receiver is told exactly when a place is free. So one is kept for as long as
 * somebody waits, and nothing is ever sent over it.
 *
 * That costs a descriptor for each receiver, and any number of them may refuse to read. Each sender
 * has a share of a few, and all together a part of what the process may open; who gets none waits by
 * the clock, which every waiter has. */

#pragma once

#include "usock-reactor-private.h"

G_BEGIN_DECLS

typedef struct _UsockWaiter UsockWaiter;

/* The most descriptors of one sender. */
#define USOCK_WAITER_SHARE 16

typedef enum
{
  USOCK_WAITER_ROOM,
  USOCK_WAITER_CLOCK,
} UsockWaiterReason;

typedef void (*UsockWaiterReady) (gpointer          user_data,
                                  UsockWaiterReason reason);

UsockWaiter *usock_waiter_new         (UsockReactor     *reactor,
                                       guint            *n_used,
                                       UsockWaiterReady  ready,
                                       gpointer          user_data);
gboolean     usock_waiter_watch       (UsockWaiter      *self,
                                       const UsockName  *destination);
void         usock_waiter_unwatch     (UsockWaiter      *self);
void         usock_waiter_arm         (UsockWaiter      *self,
                                       gboolean          armed);
void         usock_waiter_set_clock   (UsockWaiter      *self,
                                       gint64            deadline);
void         usock_waiter_free        (UsockWaiter      *self);

int          usock_waiter_probe       (const UsockName  *destination);

G_END_DECLS
