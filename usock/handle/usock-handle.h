/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-message.h"
#include "usock-socket.h"

G_BEGIN_DECLS

#define USOCK_TYPE_HANDLE (usock_handle_get_type ())

USOCK_DECLARE_TYPE (UsockHandle, usock_handle, HANDLE, UsockSocket)

USOCK_AVAILABLE_IN_1_0
UsockHandle  *usock_handle_new                (void);
USOCK_AVAILABLE_IN_1_0
UsockHandle  *usock_handle_new_socket         (gint             family,
                                               gint             type,
                                               gint             protocol,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
UsockHandle  *usock_handle_new_from_fd        (gint             fd,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_handle_new_pair           (gint             type,
                                               UsockHandle    **first,
                                               UsockHandle    **second,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
UsockHandle  *usock_handle_new_connected      (GSocketConnectable *where,
                                               gint             type,
                                               gint             timeout,
                                               GCancellable    *cancellable,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
UsockHandle  *usock_handle_new_listening      (GSocketAddress  *address,
                                               gint             type,
                                               gint             backlog,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_handle_create             (UsockHandle     *self,
                                               gint             family,
                                               gint             type,
                                               gint             protocol,
                                               GError         **error);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_handle_bind_to_address    (UsockHandle     *self,
                                               GSocketAddress  *address,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_handle_bind_to_path       (UsockHandle     *self,
                                               const char      *path,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_handle_connect_to_address (UsockHandle     *self,
                                               GSocketAddress  *address,
                                               gint             timeout,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_handle_connect_to_path    (UsockHandle     *self,
                                               const char      *path,
                                               gint             timeout,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_handle_listen             (UsockHandle     *self,
                                               gint             backlog,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
UsockHandle  *usock_handle_accept             (UsockHandle     *self,
                                               gint             timeout,
                                               GSocketAddress **address,
                                               GError         **error);

USOCK_AVAILABLE_IN_1_0
gssize        usock_handle_send               (UsockHandle     *self,
                                               const guint8    *data,
                                               gsize            length,
                                               UsockMsgFlags    flags,
                                               gint             timeout,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
gssize        usock_handle_send_to            (UsockHandle     *self,
                                               const guint8    *data,
                                               gsize            length,
                                               GSocketAddress  *destination,
                                               UsockMsgFlags    flags,
                                               gint             timeout,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
gssize        usock_handle_sendmsg            (UsockHandle     *self,
                                               UsockMessage    *message,
                                               GSocketAddress  *destination,
                                               UsockMsgFlags    flags,
                                               gint             timeout,
                                               GError         **error);

USOCK_AVAILABLE_IN_1_0
GBytes       *usock_handle_receive            (UsockHandle     *self,
                                               gsize            max_size,
                                               UsockMsgFlags    flags,
                                               gint             timeout,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
UsockMessage *usock_handle_recvmsg            (UsockHandle     *self,
                                               gsize            max_size,
                                               UsockMsgFlags    flags,
                                               gint             timeout,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
UsockMessage *usock_handle_recvmsg_segments   (UsockHandle     *self,
                                               const gsize     *sizes,
                                               gsize            n_sizes,
                                               UsockMsgFlags    flags,
                                               gint             timeout,
                                               GError         **error);
USOCK_AVAILABLE_IN_1_0
UsockMessage *usock_handle_recvmsg_into       (UsockHandle     *self,
                                               guint8          *buffer,
                                               gsize            size,
                                               UsockMsgFlags    flags,
                                               gint             timeout,
                                               gsize           *n_received,
                                               GError         **error);

G_END_DECLS
