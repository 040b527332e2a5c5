/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-peer.h"

G_BEGIN_DECLS

#define USOCK_TYPE_CLIENT (usock_client_get_type ())

USOCK_DECLARE_TYPE (UsockClient, usock_client, CLIENT, GObject)

USOCK_AVAILABLE_IN_1_0
UsockClient  *usock_client_new                 (GType                 channel_type);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_start_for_path      (UsockClient          *self,
                                                const char           *path,
                                                GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_start_for_name      (UsockClient          *self,
                                                const char           *name,
                                                GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_start_for_address   (UsockClient          *self,
                                                GSocketAddress       *address,
                                                GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_start_for_host      (UsockClient          *self,
                                                const char           *host,
                                                guint                 port,
                                                GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_client_stop                (UsockClient          *self);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_send                (UsockClient          *self,
                                                const guint8         *data,
                                                gsize                 length,
                                                GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_send_bytes          (UsockClient          *self,
                                                GBytes               *bytes,
                                                GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_send_text           (UsockClient          *self,
                                                const char           *text,
                                                GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_send_message        (UsockClient          *self,
                                                UsockMessage         *message,
                                                GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_client_send_message_async  (UsockClient          *self,
                                                UsockMessage         *message,
                                                GCancellable         *cancellable,
                                                GAsyncReadyCallback   callback,
                                                gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_send_message_finish (UsockClient          *self,
                                                GAsyncResult         *result,
                                                GError              **error);

USOCK_AVAILABLE_IN_1_0
void          usock_client_wait_async          (UsockClient          *self,
                                                GCancellable         *cancellable,
                                                GAsyncReadyCallback   callback,
                                                gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
UsockChannel *usock_client_wait_finish         (UsockClient          *self,
                                                GAsyncResult         *result,
                                                GError              **error);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_client_is_started          (UsockClient          *self);
USOCK_AVAILABLE_IN_1_0
guint64       usock_client_get_queued_bytes    (UsockClient          *self);
USOCK_AVAILABLE_IN_1_0
UsockChannel *usock_client_get_channel         (UsockClient          *self);
USOCK_AVAILABLE_IN_1_0
UsockPeer    *usock_client_get_peer            (UsockClient          *self);
USOCK_AVAILABLE_IN_1_0
GType         usock_client_get_channel_type    (UsockClient          *self);
USOCK_AVAILABLE_IN_1_0
guint         usock_client_get_min_delay       (UsockClient          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_client_set_min_delay       (UsockClient          *self,
                                                guint                 min_delay);
USOCK_AVAILABLE_IN_1_0
guint         usock_client_get_max_delay       (UsockClient          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_client_set_max_delay       (UsockClient          *self,
                                                guint                 max_delay);
USOCK_AVAILABLE_IN_1_0
guint64       usock_client_get_queue_limit     (UsockClient          *self);
USOCK_AVAILABLE_IN_1_0
void          usock_client_set_queue_limit     (UsockClient          *self,
                                                guint64               queue_limit);

G_END_DECLS
