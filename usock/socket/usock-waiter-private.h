/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-waiter: learning when a full datagram receiver has room.
 *
 * The kernel tells an unconnected sender nothing: its socket stays writable, and a send that
 * fails even makes an edge of its own, so that waiting for it never ends. A socket that is
 * connected to the receiver is told exactly when a place is free. So one is kept for as long as
 * somebody waits, and nothing is ever sent over it. */

#pragma once

#include "usock-reactor-private.h"

G_BEGIN_DECLS

typedef struct _UsockWaiter UsockWaiter;

typedef void (*UsockWaiterReady) (gpointer user_data);

UsockWaiter *usock_waiter_new  (UsockReactor     *reactor,
                                const UsockName  *destination,
                                UsockWaiterReady  ready,
                                gpointer          user_data);
void         usock_waiter_arm  (UsockWaiter      *self,
                                gboolean          armed);
void         usock_waiter_free (UsockWaiter      *self);

G_END_DECLS
