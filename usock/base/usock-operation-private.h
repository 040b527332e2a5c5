/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-operation: one asynchronous call, from its start to its callback.
 *
 * GTask would do but for two things that a socket cannot live with. It returns through an idle
 * source when it is completed in the turn that made it, so its callback may come after the
 * `close` that ended it. And it holds its main context, so that a context with a pending receive
 * could never be destroyed. This room knows nothing of sockets or loops: whoever owns the
 * operation completes it, from wherever that is. */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#define USOCK_TYPE_OPERATION (usock_operation_get_type ())
G_DECLARE_FINAL_TYPE (UsockOperation, usock_operation, USOCK, OPERATION, GObject)

UsockOperation *usock_operation_new             (gpointer             source,
                                                 gpointer             tag,
                                                 GAsyncReadyCallback  callback,
                                                 gpointer             user_data);

GList          *usock_operation_get_link        (UsockOperation      *self);
void            usock_operation_set_data        (UsockOperation      *self,
                                                 gpointer             data,
                                                 GDestroyNotify       free_data);
gpointer        usock_operation_get_data        (UsockOperation      *self);

void            usock_operation_set_cancellable (UsockOperation      *self,
                                                 GCancellable        *cancellable,
                                                 GCallback            wake);
gboolean        usock_operation_is_cancelled    (UsockOperation      *self);

UsockOperation *usock_operation_mark            (UsockOperation      *self);
gboolean        usock_operation_unmark          (UsockOperation      *self);
gboolean        usock_operation_is_decided      (UsockOperation      *self);
gboolean        usock_operation_is_empty        (UsockOperation      *self);

void            usock_operation_return_pointer  (UsockOperation      *self,
                                                 gpointer             result,
                                                 GDestroyNotify       free_result);
void            usock_operation_return_error    (UsockOperation      *self,
                                                 GError              *error);
void            usock_operation_complete        (UsockOperation      *self);

gboolean        usock_operation_propagate       (GAsyncResult        *result,
                                                 gpointer             source,
                                                 gpointer             tag,
                                                 gpointer            *pointer,
                                                 GError             **error);

G_END_DECLS
