/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-channel-private.h"
#include "usock-path-private.h"
#include "usock-server.h"

G_BEGIN_DECLS

/* usock-server: listens, accepts, and keeps what it accepted.
 *
 * The class is in usock-server.c, how it comes to listen in -listen.c, on what it is given in
 * -adopt.c, by name in -name.c and by TCP in -inet.c, and how connections come to it in
 * -accept.c. */

struct _UsockServer
{
  UsockSocket parent_instance;

  UsockPath *claim;
  char *path;
  guint mode;
  gboolean make_parents;
  gboolean unlink_on_close;

  gboolean announce; /* listening, and the signal still to come */
  gint64 retry_at;   /* out of descriptors until then */
  guint retry_delay;
  guint n_connections;

  gboolean reuse_port;
  gboolean ipv6_only;

  guint max_fds;
  gboolean pass_credentials;
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
gboolean usock_server_check        (UsockServer *self,
                                    const char  *label,
                                    int          family,
                                    GError     **error);
void     usock_server_started      (UsockServer *self,
                                    const char  *label,
                                    const char  *path);
gboolean usock_server_listen       (UsockServer *self,
                                    UsockName   *name,
                                    int          backlog,
                                    GError     **error);

/* usock-server-inet.c */
int      usock_server_prepare_inet (UsockServer *self,
                                    int          fd);
gboolean usock_server_may_accept_again (int      errnum);

/* usock-server-accept.c */
gboolean usock_server_wanted       (UsockSocket *socket);
void     usock_server_accept       (UsockServer *self);

G_END_DECLS
