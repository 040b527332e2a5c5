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
 * ten files: the class (usock-channel.c), its turns (-turn.c), becoming connected (-connect.c),
 * reading what the kernel has (-read.c), in turns and at once (-receive.c), giving it to whom it is
 * for (-deliver.c), taking what is to be sent (-send.c), giving it to the kernel (-write.c), now or
 * when it has room (-flush.c), and ending (-end.c). A turn keeps the order that is promised: connect, then messages, then end;
 * asynchronous calls complete in between, as they were decided; the base emits error and close.
 *
 * Public calls only change state and wake the watch. */

/* Messages that wait for one destination: the other end of the connection, or on a datagram
 * socket one of many, which must not hold up each other. */
typedef struct
{
  UsockQueue queue;
  UsockName *destination; /* NULL for the other end */
  gboolean blocked;
  gint64 retry_at;
  gint64 stalled_since;
} UsockRoute;

struct _UsockChannel
{
  UsockSocket parent_instance;

  guint read_buffer_size;
  guint max_fds;
  guint max_held_fds;
  UsockTally *tally; /* made for the first limit */
  guint64 high_water_mark;
  guint64 queue_limit;
  guint idle_timeout;
  guint send_timeout;
  guint connect_timeout;
  gboolean pass_credentials;
  gboolean pass_pidfd;
  gboolean allow_half_open;
  gboolean paused;
  gboolean withheld; /* not let in yet: nothing is delivered */

  /* Connecting */
  UsockName *target;
  UsockOperation *connecting;
  gboolean announce; /* connected, and the signal still to come */
  guint connect_delay;
  gint64 connect_next; /* when to look again */
  gint64 connect_due;
  gboolean patient; /* nobody needs to be there yet */
  guint patience;

  /* Receiving: what is read but not delivered stands in the inbox, and then in the batch of
   * the innermost turn that runs. */
  UsockQueue inbox;
  UsockQueue receivers;
  UsockIoBatch *batch;
  guint batch_next;
  guint batch_count;
  guint batch_size;
  guint n_in_vain; /* reads for more that found nothing */
  gboolean wary; /* descriptors have come, wanted or not */
  gboolean at_end;
  gboolean end_emitted;
  GError *broken; /* fails the channel once nothing is left to read */
  GError *verdict; /* what it failed with, for who asks later */

  gint64 read_retry_at;

  /* Sending: the totals are those of all routes. */
  UsockRoute own_route;
  UsockRoute *route; /* to the other end */
  gboolean stows;
  guint n_corks;
  guint n_queued;
  guint64 queued_cost;
  UsockQueue enders;
  gboolean needs_drain;
  gboolean ending; /* no more is taken */
  gboolean ended;  /* and the peer knows */
  GError *lost;    /* why messages that were accepted, and that nobody waited for, were not sent */

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

/* One message on its way out: its payload where it was read, or a message of the inbox. */
typedef struct
{
  const guint8 *data;
  gsize length;
  gsize full_length;
  gboolean truncated;
  gboolean has_control;
  guint n_fds;
  guint slot;
  UsockMessage *message; /* from the inbox */
} UsockIncoming;

typedef enum
{
  USOCK_TAKER_RECEIVER = 1 << 0,
  USOCK_TAKER_MESSAGE = 1 << 1,
  USOCK_TAKER_DATA = 1 << 2,
  USOCK_TAKER_BATCH = 1 << 3,
  USOCK_TAKER_DATAGRAM = 1 << 4,
  USOCK_TAKER_NOBODY = 1 << 5, /* closing gracefully: read on to the end */
} UsockTakers;

/* What a turn borrows, and what it found: a turn in a nested main loop borrows its own, and
 * leaves everything as it was. */
typedef struct
{
  UsockIoBatch *batch;
  UsockIoBatch *outer;
  guint outer_next;
  guint outer_count;
  GByteArray *array;
  guint messages;
  gsize bytes;
  guint64 counted; /* up to there, the bytes of the channel are in the sum */
} UsockTurn;

typedef void (*UsockRouteFunc) (UsockChannel *self,
                                UsockRoute   *route,
                                gpointer      user_data);

struct _UsockChannelClass
{
  UsockSocketClass parent_class;

  gboolean stream;         /* bytes without borders: messages come and go in pieces */
  gboolean connectionless; /* datagrams: no end, and no failure but of one message */
  guint datagram_signal;   /* with the sender, or 0 */

  int (*prepare) (UsockChannel *self, int fd); /* more that a descriptor is told */
  gboolean (*connect) (UsockChannel *self, UsockName *target, GError **error);
  /* A turn while it connects. */
  void (*retry_connect) (UsockChannel *self);
  /* Connecting is given up, or over. */
  void (*stop_connecting) (UsockChannel *self);
  void (*each_route) (UsockChannel *self, UsockRouteFunc func, gpointer user_data);
  /* The kernel takes no more on this route; -EAGAIN, or what no event follows. */
  void (*blocked) (UsockChannel *self, UsockRoute *route, int errnum, gboolean progress);
  /* The kernel takes no more; TRUE if it does now. */
  gboolean (*expand) (UsockChannel *self);
  /* The other end is gone; TRUE if it was found again. */
  gboolean (*repair) (UsockChannel *self);
  /* The oldest receiver wants more or less than one message. Takes from the inbox, and decides
   * the operation if it can; if not, it keeps all that there is. The @last time it decides. */
  gboolean (*assemble) (UsockChannel *self, UsockOperation *receiver, gboolean last);
  /* What it kept, when it is not to be. */
  void (*give_back) (UsockChannel *self, UsockOperation *receiver);
  /* A message that nobody waits for cannot be sent. */
  void (*lost) (UsockChannel *self, UsockRoute *route, const GError *error);
};

#define USOCK_CHANNEL_GET_CLASS(instance)                                                          \
  G_TYPE_INSTANCE_GET_CLASS (instance, USOCK_TYPE_CHANNEL, UsockChannelClass)

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

static inline gboolean
usock_channel_holds_messages (UsockChannel *self)
{
  return self->inbox.length > 0 || self->batch_next < self->batch_count;
}

/* The errors of a channel name the other end; an adopted one may have none. */
static inline const char *
usock_channel_peer (UsockChannel *self)
{
  return self->parent_instance.label != NULL ? self->parent_instance.label : "?";
}

/* usock-channel-turn.c */
void     usock_channel_dispatch       (UsockSocket    *socket);
gboolean usock_channel_wanted         (UsockSocket    *socket);
void     usock_channel_closing        (UsockSocket    *socket);
void     usock_channel_finish         (UsockSocket    *socket);
void     usock_channel_orphaned       (UsockSocket    *socket);
gboolean usock_channel_holds_input    (UsockSocket    *socket);
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
void     usock_channel_opened         (UsockChannel   *self);
gboolean usock_channel_adopt          (UsockChannel   *self,
                                       int             fd,
                                       GError        **error);
gboolean usock_channel_accept         (UsockChannel   *self,
                                       int             fd,
                                       GError        **error);
gboolean usock_channel_pair           (UsockChannel   *self,
                                       UsockChannel   *other,
                                       GError        **error);
gboolean usock_channel_check_connectable (UsockChannel *self,
                                          const char   *label,
                                          GError      **error);
gboolean usock_channel_connect_new    (UsockChannel   *self,
                                       UsockName      *target,
                                       GError        **error);
void     usock_channel_retry_connect  (UsockChannel   *self);
void     usock_channel_announce       (UsockChannel   *self);
void     usock_channel_cancel_connect (UsockChannel   *self);

/* usock-channel-read.c */
void     usock_channel_break          (UsockChannel   *self,
                                       GError         *error);
void     usock_channel_break_errno    (UsockChannel   *self,
                                       int             errnum);
void     usock_channel_read_later     (UsockChannel   *self,
                                       gint64          delay);
void     usock_channel_fill           (UsockChannel   *self,
                                       guint           max_messages);
gboolean usock_channel_next_incoming  (UsockChannel   *self,
                                       UsockIncoming  *incoming);
void     usock_channel_take_control   (UsockChannel   *self,
                                       UsockIncoming  *incoming,
                                       UsockIoControl *control);
UsockMessage *
         usock_channel_make_message   (UsockChannel   *self,
                                       UsockIncoming  *incoming);
void     usock_channel_stow_batch     (UsockChannel   *self);
GError  *usock_channel_new_fds_lost_error (UsockChannel *self,
                                           gsize         length);

/* usock-channel-deliver.c */
UsockTakers
         usock_channel_get_takers     (UsockChannel   *self);
void     usock_channel_deliver        (UsockChannel   *self,
                                       UsockTurn      *turn,
                                       UsockTakers     takers,
                                       UsockIncoming  *incoming);

/* usock-channel-receive.c */
gboolean usock_channel_is_wanted      (UsockChannel   *self);
void     usock_channel_read           (UsockChannel   *self);
void     usock_channel_stow           (UsockChannel   *self);
void     usock_channel_start_receiver (UsockChannel   *self,
                                       UsockOperation *operation);

/* usock-channel-send.c */
gboolean usock_channel_send_on        (UsockChannel   *self,
                                       UsockRoute     *route,
                                       UsockMessage   *message,
                                       gconstpointer   data,
                                       gsize           length,
                                       UsockOperation *operation,
                                       GError        **error);
void     usock_channel_enqueue        (UsockChannel   *self,
                                       UsockRoute     *route,
                                       UsockMessage   *message,
                                       UsockOperation *operation);
gboolean usock_channel_finish_operation (UsockChannel  *self,
                                        GAsyncResult   *result,
                                        gpointer        tag,
                                        GError        **error);

/* usock-channel-write.c */
gboolean usock_channel_may_send_later (int             errnum);
void     usock_channel_wait_for_room  (UsockChannel   *self,
                                       UsockRoute     *route,
                                       int             errnum);
const char *
         usock_channel_route_label    (UsockChannel   *self,
                                       UsockRoute     *route);
void     usock_channel_set_send_error (UsockChannel   *self,
                                       UsockRoute     *route,
                                       int             errnum,
                                       gsize           length,
                                       guint           n_fds,
                                       GError        **error);
void     usock_channel_note_bytes     (UsockChannel   *self,
                                       gsize           length);
void     usock_channel_note_sent      (UsockChannel   *self,
                                       gsize           length);
void     usock_channel_save_unread    (UsockChannel   *self,
                                       UsockRoute     *route);
gssize   usock_channel_write_message  (UsockChannel   *self,
                                       UsockRoute     *route,
                                       UsockMessage   *message,
                                       gsize           sent);
gssize   usock_channel_write          (UsockChannel   *self,
                                       UsockRoute     *route,
                                       UsockMessage   *message,
                                       gconstpointer   data,
                                       gsize           length);

/* usock-channel-flush.c */
#define USOCK_CHANNEL_BATCH_IOV 128

guint    usock_channel_gather         (UsockMessage  **messages,
                                       gsize           n_messages,
                                       UsockIoOutgoing *outgoing,
                                       struct iovec   *iov);
void     usock_channel_advance        (UsockChannel   *self,
                                       UsockRoute     *route,
                                       gsize           sent);
void     usock_channel_flush          (UsockChannel   *self,
                                       gboolean        force);
void     usock_channel_finish_writing (UsockChannel   *self);
void     usock_channel_drop_queued    (UsockChannel   *self,
                                       const GError   *error);
void     usock_channel_drop_route     (UsockChannel   *self,
                                       UsockRoute     *route,
                                       const GError   *error);
void     usock_channel_move_queued    (UsockChannel   *self,
                                       UsockRoute     *from,
                                       UsockRoute     *to);

/* usock-channel-end.c */
gboolean usock_channel_shutdown       (UsockSocket    *socket,
                                       UsockShut       how,
                                       GError        **error);
void     usock_channel_start_end      (UsockChannel   *self,
                                       UsockOperation *operation);

G_END_DECLS
