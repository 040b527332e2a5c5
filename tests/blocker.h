/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* blocker: descriptors that block whoever closes them, until the test lets go of them.
 *
 * A test that waits for one never ends: nothing here goes on by itself. */

#pragma once

#include <glib.h>

/* Whether the test has to be left out, as it is marked then: under valgrind all threads wait for the
 * one that closes. */
gboolean blocker_skip          (void);
gboolean blocker_skip_all      (void);

/* A TCP socket with data that its peer does not read, which it would wait for when it is closed.
 * Closing @peer ends that. */
int      blocker_new_lingering (int         *peer);

/* The same in the queue of @socket's peer, as its only copy. Returns who to close in the end. */
int      blocker_queue         (int          socket);

/* The same in the queue of a socket, which is returned. */
int      blocker_new_nested    (int         *peer);

/* Files of a server that can fall silent. NULL where none can be mounted. */
typedef struct _BlockerServer BlockerServer;

BlockerServer *blocker_server_new    (const char    *directory);
int            blocker_server_open   (BlockerServer *self);
void           blocker_server_silence (BlockerServer *self);
void           blocker_server_free   (BlockerServer *self);

void     blocker_send_fd       (int          socket,
                                int          fd);
