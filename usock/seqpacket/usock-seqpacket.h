/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-channel.h"

G_BEGIN_DECLS

#define USOCK_TYPE_SEQPACKET (usock_seqpacket_get_type ())

USOCK_DECLARE_TYPE (UsockSeqpacket, usock_seqpacket, SEQPACKET, UsockChannel)

USOCK_AVAILABLE_IN_1_0
UsockSeqpacket *usock_seqpacket_new           (void);
USOCK_AVAILABLE_IN_1_0
UsockSeqpacket *usock_seqpacket_new_from_fd   (gint              fd,
                                               GError          **error);
USOCK_AVAILABLE_IN_1_0
UsockSeqpacket *usock_seqpacket_new_from_bound_fd (gint          fd,
                                               GError          **error);
USOCK_AVAILABLE_IN_1_0
UsockSeqpacket *usock_seqpacket_new_activated (const char       *name,
                                               GError          **error);
USOCK_AVAILABLE_IN_1_0
UsockSeqpacket *usock_seqpacket_new_for_name  (const char       *name,
                                               GError          **error);
USOCK_AVAILABLE_IN_1_0
gboolean        usock_seqpacket_new_pair      (UsockSeqpacket  **first,
                                               UsockSeqpacket  **second,
                                               GError          **error);
USOCK_AVAILABLE_IN_1_0
gboolean        usock_seqpacket_bind_to_path  (UsockSeqpacket   *self,
                                               const char       *path,
                                               GError          **error);

G_END_DECLS
