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
 * The files stand here as they call each other, from the top down. The class is in usock-server.c,
 * and what it is set to in -property.c and, of the path, in -path.c.
 * It comes to listen by name in -name.c, by TCP in -host.c, on what it is given in -adopt.c, and
 * anywhere in -listen.c, with more sockets than its own in -listener.c. What then comes in turns is
 * led by -accept.c: connections come, are judged, and handed out; -close.c leads the end, and
 * -broadcast.c sends to all. The parts below know as little as they can: the calls that wait for a
 * connection in -acceptor.c, the list of the open connections in -model.c, who may in in
 * -policy.c, what a new channel is like in -channel.c, TCP's own in -inet.c, what is to be woken
 * and when in -wake.c, and the signals. */

/* Who a connection is from, if the system knows it. */
typedef struct
{
  gboolean known; /* its user; the process may still be -1 */
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

  char *group;
  gboolean is_abstract;
  GPtrArray *listeners; /* besides the server itself: the other addresses of a host */

  gboolean announce; /* listening, and the signal still to come */
  guint retry_delay; /* ms; out of descriptors, unless 0 */
  gint64 retry_at;
  int exhausted_by;
  gint64 exhausted_at; /* when it last was */
  gboolean paused;
  gboolean has_broadcast;
  GQueue acceptors; /* of UsockOperation */
  GQueue untaken;   /* of UsockChannel: let in, and then nobody wanted them */

  gboolean reuse_port;
  gboolean ipv6_only;

  UsockAllowedUsers allowed_users;
  guint max_connections;
  guint max_connections_per_user;
  GHashTable *users;  /* to how many of the connections are theirs */
  guint n_counted;    /* for the limits: with those that are still judged */
  guint n_unclosed;   /* with those that were refused */
  GSequence *members; /* those that were let in, in the order in which they came */

  guint unclaimed_timeout;
  GQueue unclaimed; /* of the members, those whom nobody has listened to */
  gint64 unclaimed_at; /* when to look at them */

  UsockSlowReaders slow_readers;
  guint64 messages_missed;

  UsockOperation *closer;
  gint64 close_due;
  guint n_cut;

  GType channel_type; /* G_TYPE_INVALID for the plain one */
  gboolean pause_on_connect;
  guint max_fds;
  guint max_held_fds;
  gboolean pass_credentials;
  gboolean pass_pidfd;
  gboolean memfd_fallback;
  gboolean options_changed; /* since it was made, so that not all that waits has the same */
  gboolean allow_half_open;
  guint read_buffer_size;
  guint64 queue_limit;
  guint64 high_water_mark;
  guint idle_timeout;
  guint send_timeout;
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
gboolean usock_server_listen_also  (UsockServer *self,
                                    const UsockName *name,
                                    int          backlog,
                                    GError     **error);
void     usock_server_retreat      (UsockServer *self);

/* usock-server-listener.c */
gboolean usock_server_add_listener (UsockServer *self,
                                    int          fd,
                                    int          family,
                                    const char  *label,
                                    GError     **error);
void     usock_server_close_listeners (UsockServer *self);

/* usock-server-accept.c */
gboolean usock_server_wants_from   (UsockServer *self,
                                    UsockSocket *listener);
void     usock_server_accept       (UsockServer *self,
                                    UsockSocket *listener);

/* usock-server-property.c */
void     usock_server_install_properties (GObjectClass *object_class);
void     usock_server_notify_fd    (UsockSocket *socket);

/* usock-server-close.c */
gboolean usock_server_lingers      (UsockSocket *socket);
void     usock_server_finish       (UsockSocket *socket);
void     usock_server_orphaned     (UsockSocket *socket);

/* usock-server-acceptor.c */
void     usock_server_fail_operation (UsockOperation *operation,
                                    GError      *error);
void     usock_server_fail_operation_later (UsockOperation *operation,
                                    GError      *error);
void     usock_server_watch_operation (UsockServer *self,
                                    UsockOperation *operation,
                                    GCancellable *cancellable);
void     usock_server_sweep_acceptors (UsockServer *self);
gboolean usock_server_is_awaited   (UsockServer *self);
void     usock_server_hand_out     (UsockServer *self,
                                    UsockChannel *channel);
void     usock_server_hand_out_untaken (UsockServer *self);
void     usock_server_forget_untaken (UsockServer *self);
void     usock_server_fail_acceptors (UsockServer *self);

/* usock-server-model.c */
void     usock_server_model_init   (GListModelInterface *iface);
gboolean usock_server_is_observed  (UsockServer *self);
void     usock_server_note_opened  (UsockServer *self,
                                    UsockChannel *channel);
void     usock_server_enter        (UsockServer *self,
                                    UsockChannel *channel,
                                    const UsockPeer *peer);
guint    usock_server_count_members (UsockServer *self);
GPtrArray *
         usock_server_list_channels (UsockServer *self);
void     usock_server_plan_claims  (UsockServer *self);
void     usock_server_check_claims (UsockServer *self);
void     usock_server_forget_all   (UsockServer *self);

/* usock-server-policy.c */
gboolean usock_server_admits       (UsockServer *self,
                                    const UsockPeer *peer,
                                    UsockDropReason *reason);
void     usock_server_count        (UsockServer *self,
                                    const UsockPeer *peer,
                                    int          change);
gboolean usock_server_is_judged    (UsockServer *self);
gboolean usock_server_authorizes   (UsockServer *self,
                                    UsockChannel *channel);
gboolean usock_server_tells_drops  (UsockServer *self);
void     usock_server_drop         (UsockServer *self,
                                    const UsockPeer *peer,
                                    GSocketAddress *address,
                                    UsockDropReason reason);

/* usock-server-channel.c */
int      usock_server_prepare_fd   (UsockServer *self,
                                    int          fd);
UsockChannel *
         usock_server_new_channel  (UsockServer *self,
                                    GError     **error);

/* usock-server-inet.c */
int      usock_server_prepare_inet (int          fd,
                                    int          family,
                                    gboolean     reuse_port,
                                    gboolean     ipv6_only);
gboolean usock_server_may_accept_again (int      errnum);
GPtrArray *
         usock_server_find_addresses (const char *host,
                                    guint        port,
                                    gboolean     ipv6_only,
                                    GError     **error);

/* usock-server-wake.c */
void     usock_server_wake         (UsockServer *self,
                                    gboolean     again);
void     usock_server_schedule     (UsockServer *self);

G_END_DECLS
