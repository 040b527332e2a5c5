/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-types.h"

G_BEGIN_DECLS

USOCK_AVAILABLE_IN_1_0
gboolean usock_notify (const char  *state,
                       const gint  *fds,
                       gsize        n_fds,
                       GError     **error);

G_END_DECLS
