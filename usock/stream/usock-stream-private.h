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
 * and internet addresses in -connect.c; taking bytes by number, line or character, whatever the
 * pieces are, in -receive.c; GIO's streams over it in -io.c, -input.c and -output.c. */
typedef struct _UsockStreamLookup UsockStreamLookup;

struct _UsockStream
{
  UsockChannel parent_instance;

  gboolean no_delay;
  gboolean keep_alive;
  guint keep_alive_delay;
  GInetSocketAddress *bind_address;

  /* Connecting by TCP */
  UsockConnector *connector;
  UsockStreamLookup *lookup;
  gboolean looked_up; /* the connector has all there is */
  guint round;        /* counts what was begun and is over */

  /* Of the views */
  GArray *fds;        /* came with bytes that were read, and are not taken yet */
  UsockMessage *next; /* nothing but the descriptors that go with the next bytes; or NULL */
};

extern guint usock_stream_lookup_signal;

/* usock-stream-connect.c */
gboolean usock_stream_connect         (UsockChannel  *channel,
                                       UsockName     *target,
                                       GError       **error);
void     usock_stream_retry_connect   (UsockChannel  *channel);
void     usock_stream_stop_connecting (UsockChannel  *channel);

/* usock-stream-receive.c */
gboolean usock_stream_assemble  (UsockChannel   *channel,
                                 UsockOperation *operation,
                                 gboolean        last);
void     usock_stream_give_back (UsockChannel   *channel,
                                 UsockOperation *operation);

/* usock-stream-io.c. A view gives BLOCKED for what is neither done nor failed, and to be tried
 * again. */
#define USOCK_STREAM_BLOCKED (-2)

gboolean usock_stream_poll           (int                  fd,
                                      GIOCondition         condition,
                                      int                  stop_fd,
                                      int                  timeout);
gboolean usock_stream_wait           (UsockStream         *stream,
                                      GIOCondition         condition,
                                      GCancellable        *cancellable,
                                      GError             **error);
gboolean usock_stream_is_connecting  (UsockStream         *stream);
void     usock_stream_set_view_error (UsockStream         *stream,
                                      GError             **error);
UsockOperation *
         usock_stream_new_operation  (gpointer             view,
                                      UsockStream         *stream,
                                      GCallback            cancelled,
                                      gpointer             tag,
                                      GCancellable        *cancellable,
                                      GAsyncReadyCallback  callback,
                                      gpointer             user_data);
GSource *usock_stream_new_source     (gpointer             view,
                                      UsockStream         *stream,
                                      UsockReadyFunc       ready,
                                      GIOCondition         condition,
                                      GCancellable        *cancellable);
gboolean usock_stream_check_fds      (UsockStream         *stream);

/* usock-stream-input.c */
GInputStream *
         usock_stream_new_input      (UsockStream         *stream);
gboolean usock_stream_is_read        (UsockOperation      *operation);
gboolean usock_stream_assemble_read  (UsockChannel        *channel,
                                      UsockOperation      *operation,
                                      gboolean             last);

/* usock-stream-output.c */
GOutputStream *
         usock_stream_new_output     (UsockStream         *stream);

G_END_DECLS
