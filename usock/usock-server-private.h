/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-channel-private.h"
#include "usock-path-private.h"
#include "usock-server.h"

G_BEGIN_DECLS

/* usock-server: listens, accepts, and keeps what it accepted.
 *
 * The class is in usock-server.c, how it comes to listen in -listen.c, and how connections come
 * to it in -accept.c. */

struct _UsockServer
{
  UsockSocket parent_instance;

  UsockPath *claim;
  char *path;
  guint mode;
  gboolean unlink_on_close;

  gboolean announce; /* listening, and the signal still to come */
  gint64 retry_at;   /* out of descriptors until then */
  guint retry_delay;
  guint n_connections;

  guint max_fds;
  gboolean pass_credentials;
  gboolean pass_pidfd;
  gboolean allow_half_open;
  guint read_buffer_size;
  guint64 queue_limit;
};

typedef enum
{
  USOCK_SERVER_SIGNAL_LISTENING,
  USOCK_SERVER_SIGNAL_CONNECTION,
  USOCK_SERVER_N_SIGNALS,
} UsockServerSignal;

extern guint usock_server_signals[USOCK_SERVER_N_SIGNALS];

/* usock-server-listen.c */
int      usock_server_prepare_fd   (UsockServer *self,
                                    int          fd);
void     usock_server_release_path (UsockServer *self);

/* usock-server-accept.c */
gboolean usock_server_wanted       (UsockSocket *socket);
void     usock_server_accept       (UsockServer *self);

G_END_DECLS
