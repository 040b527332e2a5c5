/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-constants.h"
#include "usock-types.h"

G_BEGIN_DECLS

#define USOCK_TYPE_SOCKET (usock_socket_get_type ())

USOCK_DECLARE_TYPE (UsockSocket, usock_socket, SOCKET, GObject)

USOCK_AVAILABLE_IN_1_0
gint            usock_socket_get_fd               (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
gint            usock_socket_get_family           (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
GSocketType     usock_socket_get_socket_type      (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
UsockState      usock_socket_get_state            (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
GSocketAddress *usock_socket_get_local_address    (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
GSocketAddress *usock_socket_get_remote_address   (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
GCredentials   *usock_socket_get_peer_credentials (UsockSocket   *self,
                                                   GError       **error);
USOCK_AVAILABLE_IN_1_0
gint            usock_socket_dup_peer_pidfd       (UsockSocket   *self,
                                                   GError       **error);
USOCK_AVAILABLE_IN_1_0
guint          *usock_socket_get_peer_groups      (UsockSocket   *self,
                                                   gsize         *n_groups,
                                                   GError       **error);
USOCK_AVAILABLE_IN_1_0
char           *usock_socket_get_peer_security_label (UsockSocket *self,
                                                   GError       **error);

USOCK_AVAILABLE_IN_1_0
GVariant       *usock_socket_get_option           (UsockSocket   *self,
                                                   gint           level,
                                                   gint           name,
                                                   GError       **error);
USOCK_AVAILABLE_IN_1_0
gboolean        usock_socket_set_option           (UsockSocket   *self,
                                                   gint           level,
                                                   gint           name,
                                                   GVariant      *value,
                                                   GError       **error);
USOCK_AVAILABLE_IN_1_0
const char     *usock_socket_get_option_format    (gint           level,
                                                   gint           name);

USOCK_AVAILABLE_IN_1_0
gboolean        usock_socket_get_held             (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
void            usock_socket_set_held             (UsockSocket   *self,
                                                   gboolean       held);

USOCK_AVAILABLE_IN_1_0
gboolean        usock_socket_get_had_error        (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
gint            usock_socket_get_error_number     (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
const char     *usock_socket_get_error_call       (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
char           *usock_socket_dup_error_text       (UsockSocket   *self);

USOCK_AVAILABLE_IN_1_0
gboolean        usock_socket_shutdown             (UsockSocket   *self,
                                                   UsockShut      how,
                                                   GError       **error);
USOCK_AVAILABLE_IN_1_0
gint            usock_socket_steal_fd             (UsockSocket   *self,
                                                   GBytes       **unread,
                                                   GError       **error);
USOCK_AVAILABLE_IN_1_0
void            usock_socket_close                (UsockSocket   *self);
USOCK_AVAILABLE_IN_1_0
void            usock_socket_destroy              (UsockSocket   *self,
                                                   const GError  *error);

USOCK_AVAILABLE_IN_1_0
void            usock_run_until_closed            (GMainContext  *context);
USOCK_AVAILABLE_IN_1_0
guint           usock_count_held                  (GMainContext  *context);

G_END_DECLS
