/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-channel.h"

G_BEGIN_DECLS

#define USOCK_TYPE_SERVER (usock_server_get_type ())

USOCK_DECLARE_TYPE (UsockServer, usock_server, SERVER, UsockSocket)

USOCK_AVAILABLE_IN_1_0
UsockServer *usock_server_new                  (GSocketType      socket_type);
USOCK_AVAILABLE_IN_1_0
UsockServer *usock_server_new_for_name         (const char      *name,
                                                GError         **error);

USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_listen_on_path       (UsockServer     *self,
                                                const char      *path,
                                                gint             backlog,
                                                GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_listen_on_address    (UsockServer     *self,
                                                GSocketAddress  *address,
                                                gint             backlog,
                                                GError         **error);

USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_listen_on_name       (UsockServer     *self,
                                                const char      *name,
                                                gint             backlog,
                                                GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_listen_on_fd         (UsockServer     *self,
                                                gint             fd,
                                                gint             backlog,
                                                GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_listen_activated     (UsockServer     *self,
                                                const char      *name,
                                                GError         **error);

USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_listen_on_host       (UsockServer     *self,
                                                const char      *host,
                                                guint            port,
                                                gint             backlog,
                                                GError         **error);
USOCK_AVAILABLE_IN_1_0
gint         usock_server_open_reuse_port_fd   (const char      *host,
                                                guint            port,
                                                GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_reuse_port       (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_reuse_port       (UsockServer     *self,
                                                gboolean         reuse_port);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_ipv6_only        (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_ipv6_only        (UsockServer     *self,
                                                gboolean         ipv6_only);

USOCK_AVAILABLE_IN_1_0
void         usock_server_pause                (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_resume               (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_accept_async         (UsockServer     *self,
                                                GCancellable    *cancellable,
                                                GAsyncReadyCallback callback,
                                                gpointer         user_data);
USOCK_AVAILABLE_IN_1_0
UsockChannel *
             usock_server_accept_finish        (UsockServer     *self,
                                                GAsyncResult    *result,
                                                GError         **error);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_broadcast            (UsockServer     *self,
                                                UsockMessage    *message);
USOCK_AVAILABLE_IN_1_0
void         usock_server_close_gracefully_async (UsockServer   *self,
                                                gint             timeout,
                                                GCancellable    *cancellable,
                                                GAsyncReadyCallback callback,
                                                gpointer         user_data);
USOCK_AVAILABLE_IN_1_0
gint         usock_server_close_gracefully_finish (UsockServer  *self,
                                                GAsyncResult    *result,
                                                GError         **error);

USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_active           (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
const char  *usock_server_get_path             (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_mode             (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_mode             (UsockServer     *self,
                                                guint            mode);
USOCK_AVAILABLE_IN_1_0
const char  *usock_server_get_group            (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_group            (UsockServer     *self,
                                                const char      *group);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_make_parents     (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_make_parents     (UsockServer     *self,
                                                gboolean         make_parents);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_unlink_on_close  (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_unlink_on_close  (UsockServer     *self,
                                                gboolean         unlink_on_close);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_n_connections    (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_paused           (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
guint64      usock_server_get_messages_missed  (UsockServer     *self);

USOCK_AVAILABLE_IN_1_0
UsockAllowedUsers usock_server_get_allowed_users (UsockServer   *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_allowed_users    (UsockServer     *self,
                                                UsockAllowedUsers allowed_users);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_max_connections  (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_max_connections  (UsockServer     *self,
                                                guint            max_connections);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_max_connections_per_user (UsockServer *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_max_connections_per_user (UsockServer *self,
                                                guint            max_connections_per_user);
USOCK_AVAILABLE_IN_1_0
UsockSlowReaders usock_server_get_slow_readers (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_slow_readers     (UsockServer     *self,
                                                UsockSlowReaders slow_readers);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_pause_on_connect (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_pause_on_connect (UsockServer     *self,
                                                gboolean         pause_on_connect);

USOCK_AVAILABLE_IN_1_0
GType        usock_server_get_channel_type     (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_channel_type     (UsockServer     *self,
                                                GType            channel_type);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_unclaimed_timeout (UsockServer    *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_unclaimed_timeout (UsockServer    *self,
                                                guint            unclaimed_timeout);

USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_max_fds          (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_max_fds          (UsockServer     *self,
                                                guint            max_fds);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_max_held_fds     (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_max_held_fds     (UsockServer     *self,
                                                guint            max_held_fds);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_pass_credentials (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_pass_credentials (UsockServer     *self,
                                                gboolean         pass_credentials);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_pass_pidfd       (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_pass_pidfd       (UsockServer     *self,
                                                gboolean         pass_pidfd);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_memfd_fallback   (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_memfd_fallback   (UsockServer     *self,
                                                gboolean         memfd_fallback);
USOCK_AVAILABLE_IN_1_0
gboolean     usock_server_get_allow_half_open  (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_allow_half_open  (UsockServer     *self,
                                                gboolean         allow_half_open);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_read_buffer_size (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_read_buffer_size (UsockServer     *self,
                                                guint            read_buffer_size);
USOCK_AVAILABLE_IN_1_0
guint64      usock_server_get_queue_limit      (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_queue_limit      (UsockServer     *self,
                                                guint64          queue_limit);
USOCK_AVAILABLE_IN_1_0
guint64      usock_server_get_high_water_mark  (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_high_water_mark  (UsockServer     *self,
                                                guint64          high_water_mark);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_idle_timeout     (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_idle_timeout     (UsockServer     *self,
                                                guint            idle_timeout);
USOCK_AVAILABLE_IN_1_0
guint        usock_server_get_send_timeout     (UsockServer     *self);
USOCK_AVAILABLE_IN_1_0
void         usock_server_set_send_timeout     (UsockServer     *self,
                                                guint            send_timeout);

G_END_DECLS
