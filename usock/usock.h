/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#define USOCK_INSIDE

/* clang-format off: each header stands on the ones before it. */
#include "usock-version.h"
#include "usock-types.h"
#include "usock-constants.h"
#include "usock-enums.h"
#include "usock-address.h"
#include "usock-message.h"
#include "usock-socket.h"
#include "usock-poll.h"
#include "usock-channel.h"
#include "usock-handle.h"
#include "usock-seqpacket.h"
#include "usock-stream.h"
#include "usock-dgram.h"
#include "usock-notify.h"
#include "usock-server.h"
#include "usock-spawn.h"
#include "usock-client.h"
#include "usock-guest.h"
#include "usock-peer.h"
#include "usock-call.h"
/* clang-format on */

#undef USOCK_INSIDE
