/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-channel-private.h"
#include "usock-connector-private.h"
#include "usock-stream.h"

G_BEGIN_DECLS

/* usock-stream: bytes in order, without borders.
 *
 * The channel sends and receives the pieces. The class is in usock-stream.c; connecting to hosts
 * and internet addresses in -connect.c, the race of a host's addresses in -race.c; calls that take bytes by number, up to a delimiter or by
 * character in -receive.c, and putting together what they want, whatever the pieces are, in
 * -assemble.c; taking lines that came together in -lines.c. */
typedef struct _UsockStreamLookup UsockStreamLookup;

struct _UsockStream
{
  UsockChannel parent_instance;

  gboolean no_delay;
  gboolean keep_alive;
  guint keep_alive_delay;
  GInetSocketAddress *bind_address;
  guint attempt_delay;

  /* Connecting by TCP */
  UsockConnector *connector;
  UsockStreamLookup *lookup;
  gboolean looked_up; /* the connector has all there is */
  guint round;        /* counts what was begun and is over */
  guint n_told;       /* of the addresses that have failed */

  const char *line_ending; /* of what was received last; NULL for none */
  gboolean cut_off; /* what was received last had no end but that of the peer */
};

/* usock-stream-race.c */
void     usock_stream_add_signals     (void);
gboolean usock_stream_begin           (UsockStream   *self,
                                       const char    *label,
                                       GError       **error);
void     usock_stream_start_lookup    (UsockStream   *self,
                                       GSocketConnectable *connectable,
                                       const char    *host,
                                       GSocketFamily  family);
gboolean usock_stream_connect         (UsockChannel  *channel,
                                       UsockName     *target,
                                       GError       **error);
void     usock_stream_retry_connect   (UsockChannel  *channel);
void     usock_stream_stop_connecting (UsockChannel  *channel);

/* usock-stream-assemble.c */
gboolean usock_stream_assemble  (UsockChannel   *channel,
                                 UsockOperation *operation,
                                 gboolean        last);
void     usock_stream_give_back (UsockChannel   *channel,
                                 UsockOperation *operation);

G_END_DECLS
