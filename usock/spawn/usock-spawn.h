/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-peer.h"
#include "usock-seqpacket.h"
#include "usock-stream.h"

G_BEGIN_DECLS

USOCK_AVAILABLE_IN_1_0
UsockSeqpacket *usock_seqpacket_spawn (const char * const  *argv,
                                       GSubprocessFlags     flags,
                                       GSubprocess        **subprocess,
                                       GError             **error);
USOCK_AVAILABLE_IN_1_0
UsockStream    *usock_stream_spawn    (const char * const  *argv,
                                       GSubprocessFlags     flags,
                                       GSubprocess        **subprocess,
                                       GError             **error);

USOCK_AVAILABLE_IN_1_0
UsockPeer      *usock_peer_spawn      (const char * const  *argv,
                                       GSubprocessFlags     flags,
                                       GSubprocess        **subprocess,
                                       GError             **error);

G_END_DECLS
