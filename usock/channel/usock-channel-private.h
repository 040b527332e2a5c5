/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-channel-feeder-private.h"
#include "usock-channel.h"
#include "usock-inlet-private.h"
#include "usock-outlet-private.h"
#include "usock-path-private.h"
#include "usock-pending-private.h"
#include "usock-postbox-private.h"
#include "usock-socket-private.h"

G_BEGIN_DECLS

/* usock-channel: messages in and out of one socket.
 *
 * A channel has three parts that do not know each other: the inlet (what is received), the outlet
 * (what is sent) and the pending calls; and a postbox, through which other threads reach it. It
 * conducts them: in a turn of the reactor it asks the inlet, gives what there is to those who take
 * it, asks the outlet, completes calls, looks at its deadlines, and closes the socket when both
 * sides are done. A turn keeps the order that is promised: connect, then messages, then end;
 * asynchronous calls complete in between, as they were decided; the base emits error and close.
 * Public calls only change state and wake the watch.
 *
 * From the top down, and no file calls one above it: the class (usock-channel.c) and the public
 * calls (-connect.c, -send.c, -post.c, -receive.c, -end.c); the turn (-turn.c); becoming connected
 * (-open.c); reading in a turn (-read.c); giving it to whom it is for (-deliver.c); what has to
 * wait until it leaves (-flush.c); writing (-write.c); what all need: deadlines, completions, what
 * breaks the channel (-life.c); and the signals (-signals.c). Below them are the parts. */

/* The way to a connection. */
typedef struct
{
  UsockName *target;
  gint64 next;      /* when to look again */
  gint64 due;       /* when to give up; 0 for never */
  int patience;     /* in milliseconds; -1 for ever */
  guint delay;      /* in milliseconds */
  int fd;           /* has a name of its own, and is to be connected; -1 for none */
  bool announce;    /* connected, and the signal still to come */
  bool patient;     /* nobody needs to be there yet */
  bool has_name;    /* the socket is that one now, or was */
  UsockPath *claim; /* of that name, if it is a path that we have made */
} UsockApproach;

typedef enum
{
  USOCK_TAKER_RECEIVER = 1 << 0,
  USOCK_TAKER_MESSAGE = 1 << 1,
  USOCK_TAKER_NOBODY = 1 << 2, /* closing gracefully: read on to the end */
  USOCK_TAKER_DATA = 1 << 3,
  USOCK_TAKER_BATCH = 1 << 4,
  USOCK_TAKER_DATAGRAM = 1 << 5,
  USOCK_TAKER_FUNC = 1 << 6, /* a function of the program, instead of all signals */
} UsockTakers;

#define USOCK_TAKERS_THAT_TELL (USOCK_TAKER_MESSAGE | USOCK_TAKER_DATA | USOCK_TAKER_DATAGRAM)

/* A message that is being given to several, one after the other. A turn in a nested main loop, which
 * one of them runs, gives it to the rest before it gives anything else. */
typedef struct
{
  UsockIncoming incoming;
  UsockTakers left;
  UsockTakers heard; /* there is one handler, which was called */
  gboolean is_taken; /* by somebody, who may have left since */
} UsockDelivery;

/* The function that gets what comes, and what it needs. It may be replaced while it runs. */
typedef struct
{
  guint ref_count;
  UsockReceiveFunc func;
  gpointer user_data;
  GDestroyNotify free_data;
} UsockReceiver;

struct _UsockChannel
{
  UsockSocket parent_instance;

  UsockInlet inlet;
  UsockOutlet outlet;
  UsockPending pending;
  UsockPostbox postbox;
  UsockApproach approach;

  guint idle_timeout;
  guint send_timeout;
  guint connect_timeout;

  bool allow_half_open;
  bool memfd_fallback; /* what the kernel refuses as too large goes in a memory file */
  bool paused;
  bool withheld; /* not let in yet: nothing is delivered */
  bool end_told; /* the peer has ended, and those who take messages know */
  bool ending;   /* no more is taken */
  bool ended;    /* and the peer knows */
  bool lost;     /* of what was accepted something was not sent */
  bool idle_told;

  UsockReceiver *receiver; /* NULL for none */

  UsockChannelFeed feed; /* what somebody above keeps; NULL for nobody */
  gpointer feed_data;

  UsockDelivery *delivery; /* of the innermost turn; NULL for none */
  guint n_taken; /* by hand in this turn, and not yet part of its share */

  gint64 read_retry_at; /* when to read again, where no event tells; 0 for never */
  gint64 close_due;
  gint64 last_activity;
};

/* What a turn borrows, and how much of its share it has used. */
typedef struct
{
  UsockInletFrame frame;
  GByteArray *array;
  guint messages;  /* that it may still deliver */
  gsize bytes;     /* that it has */
  guint64 counted; /* up to there, the bytes of the inlet are in the sum */
  UsockTakers takers; /* who listened to the last message; 0 before it */
  gboolean is_heard;  /* each of them is known to have got it */
  gboolean trusts;    /* so that they are not asked about this one */
  gboolean is_asked;  /* they were, and nothing foreign has run since */
} UsockTurn;

struct _UsockChannelClass
{
  UsockSocketClass parent_class;

  const UsockInletFuncs *inlet;
  const UsockOutletFuncs *outlet;
  guint datagram_signal; /* with the sender, or 0 */

  /* What a descriptor is told before it is used, beside what all are told. */
  int (*prepare) (UsockChannel *self, int fd);
  gboolean (*connect) (UsockChannel *self, UsockName *target, GError **error);
  /* A turn while it connects. */
  void (*retry_connect) (UsockChannel *self);
  /* Connecting is given up, or over. */
  void (*stop_connecting) (UsockChannel *self);
  /* Whether a message of that length may carry descriptors. */
  gboolean (*check_fds) (UsockChannel *self, gsize length, GError **error);
  /* A message is not whole, and those who get bytes only could not tell. Takes the error over. */
  void (*refuse) (UsockChannel *self, GError *error);
  /* Nothing has left on the route for too long. Takes the error over. */
  void (*stalled) (UsockChannel *self, UsockRoute *route, GError *error);
  /* Our side has ended. Whether the other has as well, as far as it concerns us. */
  gboolean (*is_over) (UsockChannel *self);
  /* The oldest receiver wants more or less than one message. Takes from the inlet, and decides
   * the operation if it can; if not, it keeps all that there is. The @last time it decides. */
  gboolean (*assemble) (UsockChannel *self, UsockOperation *receiver, gboolean last);
  /* What it kept, when it is not to be. */
  void (*give_back) (UsockChannel *self, UsockOperation *receiver);
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

/* Whether there is one other end, which can end. */
static inline gboolean
usock_channel_is_connection (UsockChannel *self)
{
  return self->outlet.funcs->each_route == NULL;
}

/* Whether there is something to give, or there may be something to read. */
static inline gboolean
usock_channel_has_input (UsockChannel *self)
{
  return usock_inlet_holds_messages (&self->inlet)
         || (!self->inlet.at_end && (self->parent_instance.watch.ready & USOCK_READY_IN) != 0);
}

/* The other end, as the errors of a channel call it. */
static inline const char *
usock_channel_peer (UsockChannel *self)
{
  return usock_socket_get_label (&self->parent_instance);
}

/* From the marshaller of a signal that gives a message, where it has a single handler. */
static inline void
usock_channel_note_heard (UsockChannel *self,
                          UsockTakers   taker)
{
  if (self->delivery != NULL)
    self->delivery->heard |= taker;
}

/* From the one where there are several. */
static inline void
usock_channel_note_taken (UsockChannel *self)
{
  if (self->delivery != NULL)
    self->delivery->is_taken = TRUE;
}

/* usock-channel-signals.c */
void     usock_channel_install_signals   (void);
void     usock_channel_emit              (UsockChannel        *self,
                                          UsockChannelSignal   signal);
void     usock_channel_emit_boxed        (UsockChannel        *self,
                                          UsockChannelSignal   signal,
                                          gpointer             argument);
gboolean usock_channel_has_handler       (UsockChannel        *self,
                                          UsockChannelSignal   signal);

/* usock-channel-life.c */
void     usock_channel_note_activity     (UsockChannel        *self);
gint64   usock_channel_get_route_deadline (UsockChannel       *self,
                                          const UsockRoute    *route);
void     usock_channel_schedule          (UsockChannel        *self);
void     usock_channel_derive_state      (UsockChannel        *self);
UsockOperation *
         usock_channel_new_operation     (UsockChannel        *self,
                                          gpointer             tag,
                                          GCancellable        *cancellable,
                                          GAsyncReadyCallback  callback,
                                          gpointer             user_data);
void     usock_channel_run_later         (UsockChannel        *self);
void     usock_channel_complete          (UsockChannel        *self,
                                          UsockOperation      *operation);
void     usock_channel_succeed_operation (UsockChannel        *self,
                                          UsockOperation      *operation);
void     usock_channel_fail_operation    (UsockChannel        *self,
                                          UsockOperation      *operation,
                                          GError              *error);
void     usock_channel_cancel_operation  (UsockChannel        *self,
                                          UsockOperation      *operation);
gboolean usock_channel_finish_operation  (UsockChannel        *self,
                                          GAsyncResult        *result,
                                          gpointer             tag,
                                          GError             **error);
void     usock_channel_break             (UsockChannel        *self,
                                          GError              *error);
void     usock_channel_break_errno       (UsockChannel        *self,
                                          int                  errnum);
GError  *usock_channel_new_verdict       (UsockChannel        *self);
void     usock_channel_read_later        (UsockChannel        *self,
                                          gint64               delay);
void     usock_channel_give_back         (UsockOperation      *operation,
                                          gpointer             self);

/* usock-channel-write.c */
extern const UsockOutletFuncs usock_channel_packets;
extern const UsockOutletFuncs usock_channel_bytes;

void     usock_channel_wait_for_room     (UsockOutlet         *outlet,
                                          UsockRoute          *route,
                                          int                  errnum,
                                          gboolean             progress);
void     usock_channel_set_send_error    (UsockChannel        *self,
                                          UsockRoute          *route,
                                          int                  errnum,
                                          gsize                length,
                                          guint                n_fds,
                                          GError             **error);
void     usock_channel_enqueue           (UsockChannel        *self,
                                          UsockRoute          *route,
                                          UsockMessage        *message,
                                          UsockOperation      *operation);
gboolean usock_channel_send_on           (UsockChannel        *self,
                                          UsockRoute          *route,
                                          UsockMessage        *message,
                                          gconstpointer        data,
                                          gsize                length,
                                          UsockOperation      *operation,
                                          GError             **error);
gssize   usock_channel_send_at_once      (UsockChannel        *self,
                                          UsockRoute          *route,
                                          gconstpointer        data,
                                          gsize                length,
                                          GError             **error);
gsize    usock_channel_send_some         (UsockChannel        *self,
                                          UsockMessage       **messages,
                                          gsize                n_messages,
                                          GError             **error);
UsockMessage *
         usock_channel_wrap_if_large     (UsockChannel        *self,
                                          UsockMessage        *message);

/* usock-channel-flush.c */
void     usock_channel_feed              (UsockChannel        *self);
void     usock_channel_flush             (UsockChannel        *self,
                                          gboolean             force);
void     usock_channel_decide_settled    (UsockChannel        *self);
void     usock_channel_settle            (UsockChannel        *self);
void     usock_channel_take_posts        (UsockChannel        *self,
                                          gboolean             all);
void     usock_channel_begin_end         (UsockChannel        *self);
void     usock_channel_finish_writing    (UsockChannel        *self);

/* usock-channel-deliver.c */
UsockTakers
         usock_channel_get_takers        (UsockChannel        *self);
UsockTakers
         usock_channel_get_turn_takers   (UsockChannel        *self,
                                          UsockTurn           *turn);
gboolean usock_channel_is_claimed        (UsockChannel        *self);
void     usock_channel_drop_receiver     (UsockReceiver       *receiver);
GError  *usock_channel_new_fds_lost_error (UsockChannel       *self,
                                          gsize                length);
void     usock_channel_deliver           (UsockChannel        *self,
                                          UsockTurn           *turn,
                                          UsockTakers          takers,
                                          UsockIncoming       *incoming);
gboolean usock_channel_deliver_plain     (UsockChannel        *self,
                                          UsockTurn           *turn,
                                          UsockTakers          takers);
void     usock_channel_deliver_rest      (UsockChannel        *self,
                                          UsockTurn           *turn);

/* usock-channel-read.c */
gboolean usock_channel_is_wanted         (UsockChannel        *self);
void     usock_channel_read              (UsockChannel        *self);
void     usock_channel_stow              (UsockChannel        *self);

/* usock-channel-open.c */
int      usock_channel_prepare_fd        (UsockChannel        *self,
                                          int                  fd);
int      usock_channel_prepare_packets   (UsockChannel        *self,
                                          int                  fd);
void     usock_channel_opened            (UsockChannel        *self);
void     usock_channel_announce          (UsockChannel        *self);
gboolean usock_channel_inspect_fd        (UsockChannel        *self,
                                          int                  fd,
                                          gboolean            *listening,
                                          GError             **error);
gboolean usock_channel_adopt             (UsockChannel        *self,
                                          int                  fd,
                                          GError             **error);
gboolean usock_channel_accept            (UsockChannel        *self,
                                          int                  fd,
                                          GError             **error);
gboolean usock_channel_pair              (UsockChannel        *self,
                                          UsockChannel        *other,
                                          GError             **error);
gboolean usock_channel_check_connectable (UsockChannel        *self,
                                          const char          *label,
                                          GError             **error);
gboolean usock_channel_connect_new       (UsockChannel        *self,
                                          UsockName           *target,
                                          GError             **error);
void     usock_channel_retry_connect     (UsockChannel        *self);
void     usock_channel_sweep_connecting  (UsockChannel        *self);
void     usock_channel_leave_cancelled   (UsockChannel        *self);

/* usock-channel-bind.c */
gboolean usock_channel_bind              (UsockChannel        *self,
                                          UsockName           *name,
                                          GError             **error);
gboolean usock_channel_adopt_bound       (UsockChannel        *self,
                                          int                  fd,
                                          GError             **error);
void     usock_channel_unbind            (UsockChannel        *self);

/* usock-channel-turn.c */
GError  *usock_channel_new_cut_error     (UsockChannel        *self);
void     usock_channel_dispatch          (UsockSocket         *socket);
gboolean usock_channel_wanted            (UsockSocket         *socket);
void     usock_channel_closing           (UsockSocket         *socket);
void     usock_channel_finish            (UsockSocket         *socket);
void     usock_channel_orphaned          (UsockSocket         *socket);
gboolean usock_channel_holds_input       (UsockSocket         *socket);
gboolean usock_channel_shutdown          (UsockSocket         *socket,
                                          UsockShut            how,
                                          GError             **error);

/* usock-channel-surrender.c */
gboolean usock_channel_surrender         (UsockSocket         *socket,
                                          GBytes             **unread,
                                          GError             **error);

/* usock-channel-receive.c */
void     usock_channel_start_receiver    (UsockChannel        *self,
                                          UsockOperation      *operation);
gboolean usock_channel_may_take          (UsockChannel        *self);
void     usock_channel_took              (UsockChannel        *self,
                                          guint                n,
                                          gsize                bytes);
gboolean usock_channel_check_unreadable  (UsockChannel        *self,
                                          GError             **error);
void     usock_channel_begin_unread      (UsockChannel        *self);

/* A binding makes NULL of null in an array as well. */
static inline gboolean
usock_channel_are_messages (UsockMessage **messages,
                            gsize          n_messages)
{
  for (gsize i = 0; i < n_messages; i++)
    if (messages[i] == NULL)
      return FALSE;
  return TRUE;
}

G_END_DECLS
