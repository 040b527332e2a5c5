/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* usock-closer: closes descriptors where that may keep nobody waiting.
 *
 * A descriptor that a stranger gave may block whoever closes it, for as long as the stranger likes:
 * a TCP socket that lingers, a file on a server that answers no more, a pipe in which somebody
 * writes from such a file, a Unix socket with any of these in its queue. So nothing is asked of
 * it, and it is closed in a thread made for that. What is closed has an owner, mostly the
 * connection that it came by; of each owner one descriptor is closed at a time, so that it can hold
 * up one thread, and what else came by the same connection, but nothing of others. */

typedef struct _UsockTally UsockTally;
typedef void (*UsockTallyFunc) (gpointer user_data);

/* Called in a thread; NULL stands for close(2). */
typedef void (*UsockCloseFd) (int fd);

/* The descriptors of one connection: those that nobody has taken yet out of the messages they came
 * with, and those that are being closed. */
UsockTally *usock_tally_new          (UsockTallyFunc  fell,
                                      gpointer        user_data);
UsockTally *usock_tally_ref          (UsockTally     *self);
void        usock_tally_unref        (UsockTally     *self);
void        usock_tally_abandon      (UsockTally     *self);
void        usock_tally_change       (UsockTally     *self,
                                      int             change);
gboolean    usock_tally_reaches      (UsockTally     *self,
                                      guint           limit);
guint       usock_tally_get_closing  (UsockTally     *self);
gboolean    usock_tally_is_behind    (UsockTally     *self);

void        usock_closer_push        (UsockTally     *owner,
                                      int             fd,
                                      UsockCloseFd    close_fd);
void        usock_closer_settle      (UsockTally     *owner);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsockTally, usock_tally_unref)

G_END_DECLS
