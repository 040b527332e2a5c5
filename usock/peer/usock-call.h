/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-peer.h"

G_BEGIN_DECLS

#define USOCK_TYPE_CALL (usock_call_get_type ())

typedef struct _UsockCall UsockCall;

USOCK_AVAILABLE_IN_1_0
GType         usock_call_get_type        (void) G_GNUC_CONST;

USOCK_AVAILABLE_IN_1_0
UsockCall    *usock_call_ref             (UsockCall     *self);
USOCK_AVAILABLE_IN_1_0
void          usock_call_unref           (UsockCall     *self);

USOCK_AVAILABLE_IN_1_0
const char   *usock_call_get_name        (UsockCall     *self);
USOCK_AVAILABLE_IN_1_0
UsockMessage *usock_call_get_body        (UsockCall     *self);
USOCK_AVAILABLE_IN_1_0
GVariant     *usock_call_get_variant     (UsockCall     *self);
USOCK_AVAILABLE_IN_1_0
UsockPeer    *usock_call_get_peer        (UsockCall     *self);
USOCK_AVAILABLE_IN_1_0
GCredentials *usock_call_get_credentials (UsockCall     *self,
                                          GError       **error);
USOCK_AVAILABLE_IN_1_0
GCancellable *usock_call_get_cancellable (UsockCall     *self);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_call_is_answered     (UsockCall     *self);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_call_reply           (UsockCall     *self,
                                          UsockMessage  *body,
                                          GError       **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_call_reply_variant   (UsockCall     *self,
                                          GVariant      *value,
                                          GError       **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_call_reply_error     (UsockCall     *self,
                                          const GError  *reason,
                                          GError       **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsockCall, usock_call_unref)

G_END_DECLS
