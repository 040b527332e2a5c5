/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-socket.h"

G_BEGIN_DECLS

USOCK_AVAILABLE_IN_1_0
guint        *usock_poll                      (UsockSocket    **sockets,
                                               gsize            n_sockets,
                                               const guint     *conditions,
                                               gsize            n_conditions,
                                               gint             timeout,
                                               GCancellable    *cancellable,
                                               gsize           *n_ready,
                                               GError         **error);

G_END_DECLS
