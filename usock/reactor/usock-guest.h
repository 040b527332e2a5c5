/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-types.h"

G_BEGIN_DECLS

#define USOCK_TYPE_GUEST (usock_guest_get_type ())

USOCK_DECLARE_TYPE (UsockGuest, usock_guest, GUEST, GObject)

USOCK_AVAILABLE_IN_1_0
UsockGuest *usock_guest_acquire (GMainContext  *context,
                                 GError       **error);

USOCK_AVAILABLE_IN_1_0
gint        usock_guest_get_fd  (UsockGuest    *self);
USOCK_AVAILABLE_IN_1_0
void        usock_guest_turn    (UsockGuest    *self);
USOCK_AVAILABLE_IN_1_0
void        usock_guest_look    (UsockGuest    *self);
USOCK_AVAILABLE_IN_1_0
void        usock_guest_stir    (UsockGuest    *self);

G_END_DECLS
