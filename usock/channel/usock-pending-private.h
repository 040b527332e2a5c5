/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-pending: the asynchronous calls that wait on one channel.
 *
 * It holds who waits for a message, for our end, for the connection and for the close, and decides
 * each call once. What is decided stands in one line, and is completed from there in the order of
 * its decision; but the connection comes first, whatever was decided before it was made. Knows
 * nothing of sockets, signals or time: the channel says what has happened, and when the callbacks,
 * which are foreign code, may run. */

#pragma once

#include "usock-operation-private.h"

G_BEGIN_DECLS

/* Begins as zeros. */
typedef struct
{
  GQueue receivers; /* of UsockOperation; the oldest first */
  GQueue enders;
  UsockOperation *connecting;
  UsockOperation *closer;
  GQueue completed; /* decided, and not called back yet */
  guint n_earlier;  /* of these, decided when there was no connection and none was being made */
} UsockPending;

/* A call that is given up: what it kept of what was received is to be put back. */
typedef void (*UsockPendingFunc) (UsockOperation *operation,
                                  gpointer        user_data);

void            usock_pending_clear        (UsockPending     *self);

void            usock_pending_push         (GQueue           *queue,
                                            UsockOperation   *operation);
UsockOperation *usock_pending_pop          (GQueue           *queue);

gboolean        usock_pending_waits        (const UsockPending   *self);
UsockOperation *usock_pending_get_receiver (UsockPending     *self,
                                            UsockPendingFunc  give_back,
                                            gpointer          user_data);

void            usock_pending_succeed      (UsockPending     *self,
                                            UsockOperation   *operation,
                                            gpointer          result,
                                            GDestroyNotify    free_result);
void            usock_pending_fail         (UsockPending     *self,
                                            UsockOperation   *operation,
                                            GError           *error);
void            usock_pending_cancel       (UsockPending     *self,
                                            UsockOperation   *operation);
void            usock_pending_connected    (UsockPending     *self);
void            usock_pending_end_receivers (UsockPending    *self);
void            usock_pending_end_enders   (UsockPending     *self,
                                            const GError     *error);
void            usock_pending_end_closer   (UsockPending     *self,
                                            const GError     *error);
void            usock_pending_end_all      (UsockPending     *self,
                                            const GError     *error);

void            usock_pending_sweep        (UsockPending     *self,
                                            UsockPendingFunc  give_back,
                                            gpointer          user_data);
void            usock_pending_run          (UsockPending     *self);
void            usock_pending_run_earlier  (UsockPending     *self);

G_END_DECLS
