/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-channel.h"

G_BEGIN_DECLS

#define USOCK_TYPE_PEER (usock_peer_get_type ())

USOCK_DECLARE_TYPE (UsockPeer, usock_peer, PEER, GObject)

typedef struct _UsockCall UsockCall;

/**
 * UsockPeerHandler:
 * @self: the peer
 * @call: what is asked
 * @user_data: data
 *
 * Called for each call of a name, see [method@Usock.Peer.handle]. It answers
 * @call, or keeps a reference and answers later.
 *
 * Since: 1.0
 */
typedef void (*UsockPeerHandler) (UsockPeer *self,
                                  UsockCall *call,
                                  gpointer   user_data);

USOCK_AVAILABLE_IN_1_0
UsockPeer    *usock_peer_new                    (UsockChannel         *channel);
USOCK_AVAILABLE_IN_1_0
UsockChannel *usock_peer_get_channel            (UsockPeer            *self);

USOCK_AVAILABLE_IN_1_0
void          usock_peer_call_async             (UsockPeer            *self,
                                                 const char           *name,
                                                 UsockMessage         *body,
                                                 gint                  timeout,
                                                 GCancellable         *cancellable,
                                                 GAsyncReadyCallback   callback,
                                                 gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
UsockMessage *usock_peer_call_finish            (UsockPeer            *self,
                                                 GAsyncResult         *result,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_peer_call_variant_async     (UsockPeer            *self,
                                                 const char           *name,
                                                 GVariant             *value,
                                                 gint                  timeout,
                                                 GCancellable         *cancellable,
                                                 GAsyncReadyCallback   callback,
                                                 gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
GVariant     *usock_peer_call_variant_finish    (UsockPeer            *self,
                                                 GAsyncResult         *result,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_peer_post                   (UsockPeer            *self,
                                                 const char           *name,
                                                 UsockMessage         *body,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_peer_post_variant           (UsockPeer            *self,
                                                 const char           *name,
                                                 GVariant             *value,
                                                 GError              **error);

USOCK_AVAILABLE_IN_1_0
void          usock_peer_handle                 (UsockPeer            *self,
                                                 const char           *name,
                                                 UsockPeerHandler      handler,
                                                 gpointer              user_data,
                                                 GDestroyNotify        destroy);
USOCK_AVAILABLE_IN_1_0
void          usock_peer_handle_with_closure    (UsockPeer            *self,
                                                 const char           *name,
                                                 GClosure             *closure);
USOCK_AVAILABLE_IN_1_0
void          usock_peer_unhandle               (UsockPeer            *self,
                                                 const char           *name);
USOCK_AVAILABLE_IN_1_0
char        **usock_peer_list_handlers          (UsockPeer            *self);

USOCK_AVAILABLE_IN_1_0
guint         usock_peer_get_max_calls          (UsockPeer            *self);
USOCK_AVAILABLE_IN_1_0
void          usock_peer_set_max_calls          (UsockPeer            *self,
                                                 guint                 max_calls);
USOCK_AVAILABLE_IN_1_0
guint         usock_peer_get_max_queued_calls   (UsockPeer            *self);
USOCK_AVAILABLE_IN_1_0
void          usock_peer_set_max_queued_calls   (UsockPeer            *self,
                                                 guint                 max_queued_calls);
USOCK_AVAILABLE_IN_1_0
guint         usock_peer_get_max_incoming_calls (UsockPeer            *self);
USOCK_AVAILABLE_IN_1_0
void          usock_peer_set_max_incoming_calls (UsockPeer            *self,
                                                 guint                 max_incoming_calls);
USOCK_AVAILABLE_IN_1_0
guint64       usock_peer_get_max_body_size      (UsockPeer            *self);
USOCK_AVAILABLE_IN_1_0
void          usock_peer_set_max_body_size      (UsockPeer            *self,
                                                 guint64               max_body_size);
USOCK_AVAILABLE_IN_1_0
guint64       usock_peer_get_max_held_bytes     (UsockPeer            *self);
USOCK_AVAILABLE_IN_1_0
void          usock_peer_set_max_held_bytes     (UsockPeer            *self,
                                                 guint64               max_held_bytes);

G_END_DECLS
