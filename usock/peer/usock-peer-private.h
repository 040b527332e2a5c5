/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-peer: calls over a channel.
 *
 * The peer listens to its channel, and sends over it, as any program could. It is made of what was
 * asked of the other side (usock-peer-pending.c), what the other side asks (usock-call.c), what is
 * read (-read.c, and -body.c) and what is written (-write.c). Its watch is its clock and its bell: deadlines,
 * cancelled calls, and what is to be completed come by it, from the main context. */

#pragma once

#include "usock-call.h"
#include "usock-error-private.h"
#include "usock-frame-private.h"
#include "usock-message-private.h"
#include "usock-operation-private.h"
#include "usock-peer.h"
#include "usock-reactor-private.h"
#include "usock-socket-private.h"

G_BEGIN_DECLS

/* A body that leaves in pieces. */
typedef struct
{
  guint8 type; /* of its pieces */
  guint32 serial;
  GBytes *bytes;
  gsize sent;
  GList link; /* in the line of those that take turns */
} UsockTransfer;

/* One that comes in pieces. */
typedef struct
{
  guint8 type; /* of the frame that began it */
  guint8 kind;
  guint32 serial;
  char *name;
  char *signature;
  UsockMessage *carrier; /* has the descriptors; or NULL */
  guint8 *data;
  gsize size;
  gsize got;
} UsockAssembly;

/* What was asked of the other side and has no answer yet. */
typedef struct
{
  guint32 serial;
  gboolean is_sent;
  UsockOperation *operation;
  char *name;
  UsockMessage *body; /* while it waits for its turn */
  gint64 deadline;    /* -1 for none */
  int timeout;
  UsockAssembly *reply; /* of which the beginning has come */
  GList link;           /* in the line of those that wait */
} UsockAsk;

/* Who is to be called by name. It stays as long as somebody is in it. */
typedef struct
{
  guint ref_count;
  UsockPeerHandler call;
  gpointer user_data;
  GDestroyNotify destroy;
} UsockHandler;

/* A packet that is being read, of which handlers may run nested loops. */
typedef struct _UsockReading UsockReading;
struct _UsockReading
{
  const guint8 *data;
  gsize length;
  UsockMessage *carrier; /* borrowed; NULL where there are only bytes */
  UsockReading *outer;
};

struct _UsockPeer
{
  GObject parent_instance;

  UsockReactor *reactor; /* NULL if the process had no descriptor left for one */
  UsockWatch watch;
  UsockChannel *channel;
  gboolean is_stream;
  gboolean is_held; /* by itself: its watch is attached */
  gboolean is_started;
  gboolean has_ended;  /* the other side says nothing any more */
  gboolean is_over;    /* and nothing goes either way */
  gboolean is_surplus; /* the channel had another peer */
  gboolean is_breaking;
  GError *fate; /* why the channel closes */
  gboolean is_reading;
  gulong listeners[8]; /* to what becomes of the channel */
  gulong reader; /* of messages; 0 where bytes are enough */

  guint max_calls;
  guint max_queued_calls;
  guint max_incoming_calls;
  guint64 max_body_size;
  guint64 max_held_bytes;

  /* What was asked. */
  guint32 last_serial;
  GHashTable *asks;  /* serial → UsockAsk */
  GQueue waiting;    /* of UsockAsk: not sent yet */
  GQueue completed;  /* of UsockOperation: decided, and not told */
  guint n_in_flight;
  gint64 next_deadline;  /* the earliest, or earlier; -1 for none */
  guint overtime;        /* turns for which what is due waits for what has come */
  guint64 overtime_read; /* how much had been read by then */

  /* What the other side asks. */
  GHashTable *calls;      /* serial → UsockCall, not referenced */
  GHashTable *assemblies; /* serial → UsockAssembly */
  GHashTable *handlers;   /* name → UsockHandler */
  guint64 held_bytes;
  guint n_replying; /* replies that leave in pieces */
  GMutex dropped_lock;
  GPtrArray *dropped; /* of UsockCall: another thread let go of them */

  /* What is written. */
  GByteArray *gathered;
  guint64 sent_turn;
  gboolean is_gathering;
  GQueue transfers;
  guint n_pieces; /* that the channel has and the kernel has not */

  /* What is read. */
  UsockReading *reading;
  GByteArray *rest; /* of a stream: bytes that are no whole frame yet */
  gsize rest_read;
  GQueue carriers; /* of a stream: UsockMessage with the descriptors of frames to come */
};

struct _UsockPeerClass
{
  GObjectClass parent_class;
};

struct _UsockCall
{
  gatomicrefcount ref_count;

  UsockPeer *peer;
  guint32 serial;
  char *name;
  UsockMessage *body;
  GCancellable *cancellable; /* made when somebody asks */
  gboolean is_cancelled;     /* nobody waits for the answer */
  gint is_answered;
};

/* Asked for with each call, and what it is was looked at once. */
static inline UsockSocket *
usock_peer_socket (UsockPeer *self)
{
  return (UsockSocket *) self->channel;
}

/* usock-peer-error.c */
GError     *usock_peer_error_new       (UsockPeer     *self,
                                        const char    *name,
                                        GIOErrorEnum   code,
                                        const char    *reason);
void        usock_peer_error_write     (const GError  *error,
                                        UsockFrame    *frame);
GError     *usock_peer_error_read      (const UsockFrame *frame);

gboolean    usock_peer_error_is_final  (const GError  *error);
gboolean    usock_peer_check_thread    (UsockPeer     *self,
                                        GError       **error);
gboolean    usock_peer_is_ours         (UsockPeer     *self,
                                        const char    *call);

/* usock-peer-signal.c */
void        usock_peer_install_signals (void);
gboolean    usock_peer_has_listener    (UsockPeer     *self);
gboolean    usock_peer_emit_call       (UsockPeer     *self,
                                        UsockCall     *call);
void        usock_peer_emit_posted     (UsockPeer     *self,
                                        const char    *name,
                                        UsockMessage  *body);

/* usock-peer-write.c */
gboolean    usock_peer_send            (UsockPeer     *self,
                                        UsockFrame    *frame,
                                        UsockMessage  *body,
                                        GError       **error);
void        usock_peer_send_or_break   (UsockPeer     *self,
                                        UsockFrame    *frame,
                                        UsockMessage  *body);
void        usock_peer_flush           (UsockPeer     *self);
void        usock_peer_push            (UsockPeer     *self);
void        usock_peer_stop_transfer   (UsockPeer     *self,
                                        guint8         type,
                                        guint32        serial);
void        usock_peer_drop_transfers  (UsockPeer     *self);
void        usock_peer_break           (UsockPeer     *self,
                                        GError        *error);
void        usock_peer_break_rule      (UsockPeer     *self,
                                        const char    *rule);

/* usock-peer-body.c */
gboolean    usock_body_is_text         (const char    *data,
                                        gsize          length);
UsockMessage *
            usock_frame_make_body      (const UsockFrame *frame,
                                        UsockMessage  *carrier);
UsockAssembly *
            usock_assembly_new         (const UsockFrame *frame,
                                        UsockMessage  *carrier);
const char *usock_assembly_add         (UsockAssembly *self,
                                        const UsockFrame *frame);
UsockMessage *
            usock_assembly_finish      (UsockAssembly *self);
void        usock_assembly_free        (UsockAssembly *self);

/* usock-peer-pending.c */
void        usock_peer_start_ask       (UsockPeer     *self,
                                        UsockAsk      *ask);
void        usock_peer_start_waiting   (UsockPeer     *self);
UsockAsk   *usock_peer_find_ask        (UsockPeer     *self,
                                        guint32        serial);
void        usock_peer_answer_ask      (UsockPeer     *self,
                                        UsockAsk      *ask,
                                        UsockMessage  *body,
                                        GError        *error);
void        usock_peer_give_up_ask     (UsockPeer     *self,
                                        UsockAsk      *ask,
                                        GError        *error);
void        usock_peer_sweep_asks      (UsockPeer     *self);
void        usock_peer_check_deadlines (UsockPeer     *self);
void        usock_peer_fail_asks       (UsockPeer     *self);
void        usock_peer_complete        (UsockPeer     *self);
void        usock_peer_forget_asks     (UsockPeer     *self);
guint32     usock_peer_next_serial     (UsockPeer     *self);

/* usock-call.c */
UsockCall  *usock_call_new             (UsockPeer     *peer,
                                        guint32        serial,
                                        char          *name,
                                        UsockMessage  *body);
void        usock_call_refuse          (UsockPeer     *peer,
                                        guint32        serial,
                                        const char    *name,
                                        GIOErrorEnum   code,
                                        const char    *reason);
void        usock_call_cancel          (UsockPeer     *peer,
                                        guint32        serial);
void        usock_call_cancel_all      (UsockPeer     *peer);
void        usock_call_take_dropped    (UsockPeer     *peer);

/* usock-peer-limits.c */
void        usock_peer_install_properties (GObjectClass *object_class);

/* usock-peer-read.c */
void        usock_peer_take            (UsockPeer     *self,
                                        const guint8  *data,
                                        gsize          length,
                                        UsockMessage  *carrier);
void        usock_peer_drop_read       (UsockPeer     *self);
void        usock_handler_unref        (UsockHandler  *self);

/* usock-peer.c */
void        usock_peer_start           (UsockPeer     *self);
gboolean    usock_peer_check           (UsockPeer     *self,
                                        const char    *name,
                                        GError       **error);

G_END_DECLS
