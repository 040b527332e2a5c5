/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-channel-private.h"
#include "usock-operation-private.h"
#include "usock-path-private.h"
#include "usock-server.h"

G_BEGIN_DECLS

/* usock-server: listens, accepts, and keeps what it accepted.
 *
 * The files stand here as they call each other, from the top down. The class is in usock-server.c.
 * It comes to listen by name in -name.c, by TCP in -host.c, on what it is given in -adopt.c, and
 * anywhere in -listen.c. What then comes in turns is led by -accept.c: connections come, are
 * judged, and handed out; -close.c leads the end, and -broadcast.c sends to all. The parts below
 * do not know each other: the list of the open connections in -model.c, who may in in -policy.c,
 * what a new channel is like in -channel.c, TCP's own in -inet.c, and the signals. */

/* Who a connection is from, if the system knows it. */
typedef struct
{
  gboolean known;
  UsockCredentials credentials;
} UsockPeer;

struct _UsockServer
{
  UsockSocket parent_instance;

  UsockPath *claim;
  char *path;
  guint mode;
  gboolean make_parents;
  gboolean unlink_on_close;

  gboolean announce; /* listening, and the signal still to come */
  guint retry_delay; /* ms; out of descriptors, unless 0 */
  int exhausted_by;
  gint64 exhausted_at; /* when it last was */
  gboolean paused;

  gboolean reuse_port;
  gboolean ipv6_only;

  UsockAllowedUsers allowed_users;
  guint max_connections;
  guint max_connections_per_user;
  GHashTable *users;  /* to how many of the connections are theirs */
  guint n_connections;
  guint n_unclosed;   /* with those that were refused */
  GSequence *members; /* those that were let in, in the order in which they came */

  UsockSlowReaders slow_readers;
  guint64 messages_missed;

  UsockOperation *closer;
  gint64 close_due;
  guint n_cut;

  gboolean pause_on_connect;
  guint max_fds;
  guint max_held_fds;
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
  USOCK_SERVER_SIGNAL_AUTHORIZE,
  USOCK_SERVER_SIGNAL_DROP,
  USOCK_SERVER_N_SIGNALS,
} UsockServerSignal;

/* usock-server-signal.c */
extern guint usock_server_signals[USOCK_SERVER_N_SIGNALS];

void     usock_server_install_signals (void);

/* usock-server-listen.c */
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
int      usock_server_prepare_inet (int          fd,
                                    int          family,
                                    gboolean     reuse_port,
                                    gboolean     ipv6_only);
gboolean usock_server_may_accept_again (int      errnum);
GPtrArray *
         usock_server_find_names   (const char  *host,
                                    guint        port,
                                    gboolean     ipv6_only,
                                    GError     **error);

/* usock-server-channel.c */
int      usock_server_prepare_fd   (UsockServer *self,
                                    int          fd);
UsockChannel *
         usock_server_new_channel  (UsockServer *self);

/* usock-server-accept.c */
gboolean usock_server_wanted       (UsockSocket *socket);
void     usock_server_accept       (UsockServer *self);

/* usock-server-policy.c */
gboolean usock_server_admits       (UsockServer *self,
                                    const UsockPeer *peer);
void     usock_server_count        (UsockServer *self,
                                    const UsockPeer *peer,
                                    int          change);
gboolean usock_server_authorizes   (UsockServer *self,
                                    UsockChannel *channel);
void     usock_server_drop         (UsockServer *self,
                                    const UsockPeer *peer);

/* usock-server-model.c */
void     usock_server_model_init   (GListModelInterface *iface);
void     usock_server_note_opened  (UsockServer *self,
                                    UsockChannel *channel);
void     usock_server_enter        (UsockServer *self,
                                    UsockChannel *channel,
                                    const UsockPeer *peer);
GPtrArray *
         usock_server_list_channels (UsockServer *self);
void     usock_server_forget_all   (UsockServer *self);

/* usock-server-close.c */
gboolean usock_server_lingers      (UsockSocket *socket);
void     usock_server_finish       (UsockSocket *socket);
void     usock_server_orphaned     (UsockSocket *socket);

G_END_DECLS
