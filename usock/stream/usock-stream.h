/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-channel.h"

G_BEGIN_DECLS

#define USOCK_TYPE_STREAM (usock_stream_get_type ())

USOCK_DECLARE_TYPE (UsockStream, usock_stream, STREAM, UsockChannel)

USOCK_AVAILABLE_IN_1_0
UsockStream  *usock_stream_new                    (void);
USOCK_AVAILABLE_IN_1_0
UsockStream  *usock_stream_new_from_fd            (gint                  fd,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
UsockStream  *usock_stream_new_from_bound_fd      (gint                  fd,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
UsockStream  *usock_stream_new_activated          (const char           *name,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
UsockStream  *usock_stream_new_for_name           (const char           *name,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_stream_new_pair               (UsockStream         **first,
                                                   UsockStream         **second,
                                                   GError              **error);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_stream_connect_to_host        (UsockStream          *self,
                                                   const char           *host,
                                                   guint                 port,
                                                   GSocketFamily         family,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_connect_to_host_async  (UsockStream          *self,
                                                   const char           *host,
                                                   guint                 port,
                                                   GSocketFamily         family,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_stream_connect_to_host_finish (UsockStream          *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_connect_to_connectable_async
                                                  (UsockStream          *self,
                                                   GSocketConnectable   *connectable,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_stream_connect_to_connectable_finish
                                                  (UsockStream          *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);

USOCK_AVAILABLE_IN_1_0
void          usock_stream_receive_exactly_async  (UsockStream          *self,
                                                   gsize                 n_bytes,
                                                   guint                 n_fds,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
UsockMessage *usock_stream_receive_exactly_finish (UsockStream          *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_receive_line_async     (UsockStream          *self,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
char         *usock_stream_receive_line_finish    (UsockStream          *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_receive_line_bytes_async
                                                  (UsockStream          *self,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
UsockMessage *usock_stream_receive_line_bytes_finish
                                                  (UsockStream          *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_receive_until_async    (UsockStream          *self,
                                                   const guint8         *delimiter,
                                                   gsize                 length,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
UsockMessage *usock_stream_receive_until_finish   (UsockStream          *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_stream_was_cut_off            (UsockStream          *self);
USOCK_AVAILABLE_IN_1_0
const char   *usock_stream_get_line_ending        (UsockStream          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_receive_text_async     (UsockStream          *self,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
char         *usock_stream_receive_text_finish    (UsockStream          *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
char        **usock_stream_take_lines             (UsockStream          *self,
                                                   guint                 max,
                                                   gsize                *n_lines);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_stream_unread                 (UsockStream          *self,
                                                   UsockMessage         *message,
                                                   GError              **error);
USOCK_AVAILABLE_IN_1_0
GSocketConnection *
              usock_stream_steal_connection       (UsockStream          *self,
                                                   GBytes              **unread,
                                                   GError              **error);

USOCK_AVAILABLE_IN_1_0
void          usock_stream_cork                   (UsockStream          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_uncork                 (UsockStream          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_reset                  (UsockStream          *self);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_stream_get_no_delay           (UsockStream          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_set_no_delay           (UsockStream          *self,
                                                   gboolean              no_delay);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_stream_get_keep_alive         (UsockStream          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_set_keep_alive         (UsockStream          *self,
                                                   gboolean              keep_alive);
USOCK_AVAILABLE_IN_1_0
guint         usock_stream_get_keep_alive_delay   (UsockStream          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_set_keep_alive_delay   (UsockStream          *self,
                                                   guint                 keep_alive_delay);
USOCK_AVAILABLE_IN_1_0
GInetSocketAddress *
              usock_stream_get_bind_address       (UsockStream          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_set_bind_address       (UsockStream          *self,
                                                   GInetSocketAddress   *address);
USOCK_AVAILABLE_IN_1_0
guint         usock_stream_get_attempt_delay      (UsockStream          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_stream_set_attempt_delay      (UsockStream          *self,
                                                   guint                 attempt_delay);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_stream_bind_to_path           (UsockStream          *self,
                                                   const char           *path,
                                                   GError              **error);

G_END_DECLS
