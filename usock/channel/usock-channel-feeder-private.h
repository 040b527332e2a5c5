/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* For who stands above a channel and keeps what it sends until there is enough for a packet: it is
 * asked for that before our side ends, and for whoever waits until all was sent. */

#pragma once

#include "usock-channel.h"

G_BEGIN_DECLS

typedef void (*UsockChannelFeed) (gpointer user_data);

void usock_channel_set_feeder (UsockChannel     *self,
                               UsockChannelFeed  feed,
                               gpointer          user_data);
gboolean usock_channel_has_feeder (UsockChannel *self);

G_END_DECLS
