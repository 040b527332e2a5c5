/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-channel.h"
#include "usock-queue-private.h"
#include "usock-socket-private.h"

G_BEGIN_DECLS

/* usock-channel: messages in and out of one socket.
 *
 * Drives the queue, the io room and the reactor, and owns every signal about data. The room has
 * four files: the class and its turn (usock-channel.c), becoming connected (-connect.c), taking
 * messages in (-receive.c) and getting them out (-send.c). A turn does, in this order, what
 * contract has it: connect, then messages, then end; asynchronous calls complete in between, in
 * the order in which they were decided; the base emits error and close.
 *
 * Public calls only change state and wake the watch. */
struct _UsockChannel
{
  UsockSocket parent_instance;

  guint read_buffer_size;
  guint max_fds;
  guint64 high_water_mark;
  guint64 queue_limit;
  guint idle_timeout;
  guint send_timeout;
  guint connect_timeout;
  gboolean pass_credentials;
  gboolean allow_half_open;
  gboolean paused;

  /* Connecting */
  UsockName *target;
  UsockOperation *connecting;
  gboolean announce; /* connected, and the signal still to come */
  guint connect_delay;
  gint64 connect_next;
  gint64 connect_due;

  /* Receiving: what is read but not delivered stands in the inbox, and then in the batch of
   * the innermost turn that runs. */
  UsockQueue inbox;
  UsockQueue receivers;
  UsockIoBatch *batch;
  guint batch_next;
  guint batch_count;
  guint batch_size;
  gint64 receive_retry; /* 0: none */
  gboolean at_end;
  gboolean end_emitted;
  GError *broken; /* fails the channel once nothing is left to read */
  GError *verdict; /* what it failed with, for who asks later */

  /* Sending */
  UsockQueue outbox;
  UsockQueue enders;
  gboolean blocked;
  gboolean needs_drain;
  gboolean ending; /* no more is taken */
  gboolean ended;  /* and the peer knows */
  GError *lost;    /* why messages that were accepted, and that nobody waited for, were not sent */
  gint64 send_retry; /* 0: none */
  gint64 stalled_since;

  GQueue completed; /* operations whose callbacks are still to be called */
  UsockOperation *closer;
  gint64 close_due;

  gint64 last_activity;
  gboolean idle_emitted;

  guint64 bytes_read;
  guint64 bytes_written;
  guint64 messages_read;
  guint64 messages_written;
};

struct _UsockChannelClass
{
  UsockSocketClass parent_class;
};

typedef enum
{
  USOCK_CHANNEL_SIGNAL_CONNECT,
  USOCK_CHANNEL_SIGNAL_DATA,
  USOCK_CHANNEL_SIGNAL_MESSAGE,
  USOCK_CHANNEL_SIGNAL_BATCH,
  USOCK_CHANNEL_SIGNAL_DRAIN,
  USOCK_CHANNEL_SIGNAL_END,
  USOCK_CHANNEL_SIGNAL_TIMEOUT,
  USOCK_CHANNEL_N_SIGNALS,
} UsockChannelSignal;

extern guint usock_channel_signals[USOCK_CHANNEL_N_SIGNALS];

static inline UsockSocket *
usock_channel_socket (UsockChannel *self)
{
  return &self->parent_instance;
}

/* Whether there is a connection, whatever may still go over it. A child that a handler forked
 * comes back into the middle of a turn: it has none, for what it took or sent would be its
 * parent's. */
static inline gboolean
usock_channel_is_connected (UsockChannel *self)
{
  UsockState state = self->parent_instance.state;

  return state >= USOCK_STATE_OPEN && state <= USOCK_STATE_CLOSING
         && !usock_reactor_is_inherited (self->parent_instance.reactor);
}

/* The errors of a channel name the other end; an adopted one may have none. */
static inline const char *
usock_channel_peer (UsockChannel *self)
{
  return self->parent_instance.label != NULL ? self->parent_instance.label : "?";
}

/* usock-channel.c */
void     usock_channel_note_activity  (UsockChannel   *self);
void     usock_channel_schedule       (UsockChannel   *self);
void     usock_channel_complete       (UsockChannel   *self,
                                       UsockOperation *operation);
void     usock_channel_fail_operation (UsockChannel   *self,
                                       UsockOperation *operation,
                                       GError         *error);
void     usock_channel_cancel_operation (UsockChannel *self,
                                         UsockOperation *operation);
void     usock_channel_run_completed  (UsockChannel   *self);
UsockOperation *
         usock_channel_new_operation  (UsockChannel        *self,
                                       gpointer             tag,
                                       GCancellable        *cancellable,
                                       GAsyncReadyCallback  callback,
                                       gpointer             user_data);

/* usock-channel-connect.c */
int      usock_channel_prepare_fd     (UsockChannel   *self,
                                       int             fd);
gboolean usock_channel_adopt          (UsockChannel   *self,
                                       int             fd,
                                       GError        **error);
gboolean usock_channel_accept         (UsockChannel   *self,
                                       int             fd,
                                       GError        **error);
gboolean usock_channel_pair           (UsockChannel   *self,
                                       UsockChannel   *other,
                                       GError        **error);
void     usock_channel_retry_connect  (UsockChannel   *self);
void     usock_channel_announce       (UsockChannel   *self);
void     usock_channel_cancel_connect (UsockChannel   *self);

/* usock-channel-receive.c */
gboolean usock_channel_is_wanted      (UsockChannel   *self);
void     usock_channel_read           (UsockChannel   *self);
void     usock_channel_break          (UsockChannel   *self,
                                       GError         *error);

/* usock-channel-send.c */
void     usock_channel_flush          (UsockChannel   *self);
void     usock_channel_finish_writing (UsockChannel   *self);
void     usock_channel_drop_outbox    (UsockChannel   *self,
                                       const GError   *error);

G_END_DECLS
