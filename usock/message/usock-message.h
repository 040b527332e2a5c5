/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-types.h"

G_BEGIN_DECLS

#define USOCK_TYPE_MESSAGE (usock_message_get_type ())

USOCK_AVAILABLE_IN_1_0
GType              usock_message_get_type        (void) G_GNUC_CONST;

USOCK_AVAILABLE_IN_1_0
UsockMessage      *usock_message_new             (const guint8   *data,
                                                  gsize           length);
USOCK_AVAILABLE_IN_1_0
UsockMessage      *usock_message_new_from_bytes  (GBytes         *bytes);
USOCK_AVAILABLE_IN_1_0
UsockMessage      *usock_message_new_from_text   (const char     *text);
USOCK_AVAILABLE_IN_1_0
UsockMessage      *usock_message_new_from_variant (GVariant      *value);
USOCK_AVAILABLE_IN_1_0
UsockMessage      *usock_message_new_from_memfd  (gint            fd,
                                                  GError        **error);
USOCK_AVAILABLE_IN_1_0
UsockMessage      *usock_message_ref             (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
void               usock_message_unref           (UsockMessage   *self);

USOCK_AVAILABLE_IN_1_0
void               usock_message_append_bytes    (UsockMessage   *self,
                                                  GBytes         *bytes);
USOCK_AVAILABLE_IN_1_0
gboolean           usock_message_append_message  (UsockMessage   *self,
                                                  UsockMessage   *other,
                                                  GError        **error);
USOCK_AVAILABLE_IN_1_0
gboolean           usock_message_append_fd       (UsockMessage   *self,
                                                  gint            fd,
                                                  GError        **error);
USOCK_AVAILABLE_IN_1_0
gboolean           usock_message_append_fd_owned (UsockMessage   *self,
                                                  gint            fd,
                                                  GError        **error);
USOCK_AVAILABLE_IN_1_0
gboolean           usock_message_append_control  (UsockMessage   *self,
                                                  gint            level,
                                                  gint            type,
                                                  GBytes         *bytes,
                                                  GError        **error);
USOCK_AVAILABLE_IN_1_0
gboolean           usock_message_append_control_value (UsockMessage *self,
                                                  gint            level,
                                                  gint            type,
                                                  GVariant       *value,
                                                  GError        **error);

USOCK_AVAILABLE_IN_1_0
UsockBodyKind      usock_message_get_kind        (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
GVariant          *usock_message_get_variant     (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
GBytes            *usock_message_get_bytes       (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
const guint8      *usock_message_get_data        (UsockMessage   *self,
                                                  gsize          *length);
USOCK_AVAILABLE_IN_1_0
guint              usock_message_get_n_segments  (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
GBytes            *usock_message_get_segment     (UsockMessage   *self,
                                                  guint           index);
USOCK_AVAILABLE_IN_1_0
char              *usock_message_dup_text        (UsockMessage   *self,
                                                  GError        **error);
USOCK_AVAILABLE_IN_1_0
gsize              usock_message_get_length      (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
gsize              usock_message_get_full_length (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
UsockMessageFlags  usock_message_get_flags       (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
UsockMsgFlags      usock_message_get_received_flags (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
gint64             usock_message_get_timestamp   (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
const char        *usock_message_get_sender      (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
GSocketAddress    *usock_message_get_sender_address (UsockMessage *self);

USOCK_AVAILABLE_IN_1_0
GCredentials      *usock_message_get_credentials (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
void               usock_message_set_credentials (UsockMessage   *self,
                                                  GCredentials   *credentials);
USOCK_AVAILABLE_IN_1_0
gint               usock_message_dup_pidfd       (UsockMessage   *self,
                                                  GError        **error);
USOCK_AVAILABLE_IN_1_0
GVariant          *usock_message_get_controls    (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
GVariant          *usock_message_lookup_control  (UsockMessage   *self,
                                                  gint            level,
                                                  gint            type);

USOCK_AVAILABLE_IN_1_0
guint              usock_message_get_n_fds       (UsockMessage   *self);
USOCK_AVAILABLE_IN_1_0
UsockFdKind        usock_message_get_fd_kind     (UsockMessage   *self,
                                                  guint           index);
USOCK_AVAILABLE_IN_1_0
gint               usock_message_take_fd         (UsockMessage   *self,
                                                  guint           index,
                                                  GError        **error);
USOCK_AVAILABLE_IN_1_0
gint              *usock_message_take_fds        (UsockMessage   *self,
                                                  gsize          *n_fds);
USOCK_AVAILABLE_IN_1_0
void               usock_message_close_fds       (UsockMessage   *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsockMessage, usock_message_unref)

G_END_DECLS
