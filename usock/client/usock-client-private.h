/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-client: a connection that comes back.
 *
 * A client has one channel after the other to the same place, and messages that do not depend on
 * which of them they leave by. Each message is in one of these queues, and goes from one to the
 * next in order: `waiting`, while no channel has it; `handed`, while a channel has it and the kernel
 * may not; `taken`, while the kernel has it and the other side may not have read it. When a
 * connection ends, what was handed waits again, and what was taken is uncertain.
 *
 * How much is unread the kernel tells as a sum. The newest that fit into it may be unread, and no
 * others: what is read is read in order. When the other side closes while something is unread, the
 * kernel drops that, and the sum with it, but says so by a reset before it does.
 *
 * It has one deadline in the reactor and no descriptor, and above a channel it uses what programs
 * use. From the top down: what programs call; the class; the way from one channel to the next
 * (-link.c); messages (-item.c); where it connects to (-place.c), signals and properties. */

#pragma once

#include "usock-channel-private.h"
#include "usock-client.h"

G_BEGIN_DECLS

typedef struct
{
  GList link;
  UsockClient *client;
  UsockMessage *message;
  UsockOperation *operation; /* NULL if nobody waits */
  GCancellable *cancellable;
  guint64 cost;
  GError *refusal; /* why it is given back */
} UsockClientItem;

typedef enum
{
  USOCK_CLIENT_PATH,
  USOCK_CLIENT_NAME,
  USOCK_CLIENT_ADDRESS,
  USOCK_CLIENT_HOST,
} UsockClientKind;

typedef struct
{
  UsockClientKind kind;
  char *text;
  guint port;
  GSocketAddress *address;
  char *label;
} UsockClientPlace;

struct _UsockClient
{
  GObject parent_instance;

  UsockReactor *reactor; /* NULL if the process had no descriptor left for one */
  UsockWatch watch;

  GType channel_type;
  UsockClientPlace place;
  guint min_delay; /* in milliseconds */
  guint max_delay;
  guint64 queue_limit;

  gboolean started;
  gboolean leaving;     /* the link was closed by stop */
  UsockChannel *link;   /* until its close was told; NULL while waiting */
  gulong link_handlers[2];
  UsockPeer *peer;      /* over the link; NULL until somebody asks for it */
  gboolean for_calls;   /* somebody has asked, and messages have no place any more */
  gboolean connected;   /* the link is what others see */
  gboolean broken;      /* and it takes nothing more */
  gint64 connected_at;
  guint delay;          /* in milliseconds; what was waited last */
  gint64 due;           /* when to try again */

  GQueue waiting;
  GQueue handed;
  GQueue failed; /* was handed, and has not left */
  GQueue taken;
  guint64 taken_cost;
  guint64 taken_limit; /* what there may be before the kernel is asked */
  GQueue unsent;       /* to be given back */
  GQueue waiters;      /* of UsockOperation: who waits for a connection */
  GQueue completed;    /* of UsockOperation: to be told */
  guint64 queued_cost;
};

struct _UsockClientClass
{
  GObjectClass parent_class;
};

typedef enum
{
  USOCK_CLIENT_SIGNAL_CONNECTING,
  USOCK_CLIENT_SIGNAL_CONNECTED,
  USOCK_CLIENT_SIGNAL_DISCONNECTED,
  USOCK_CLIENT_SIGNAL_WAITING,
  USOCK_CLIENT_SIGNAL_UNCERTAIN,
  USOCK_CLIENT_SIGNAL_UNSENT,
  USOCK_CLIENT_N_SIGNALS,
} UsockClientSignal;

typedef enum
{
  USOCK_CLIENT_PROP_CHANNEL = 1,
  USOCK_CLIENT_PROP_CHANNEL_TYPE,
  USOCK_CLIENT_PROP_MIN_DELAY,
  USOCK_CLIENT_PROP_MAX_DELAY,
  USOCK_CLIENT_PROP_QUEUE_LIMIT,
  USOCK_CLIENT_N_PROPS,
} UsockClientProperty;

#define USOCK_CLIENT_MIN_DELAY 100
#define USOCK_CLIENT_MAX_DELAY (10 * 1000)
#define USOCK_CLIENT_QUEUE_LIMIT (16 * 1024 * 1024)

/* usock-client.c */
gboolean usock_client_check_access       (UsockClient       *self,
                                          const char        *label,
                                          GError           **error);
gboolean usock_client_check_started      (UsockClient       *self,
                                          GError           **error);
void     usock_client_fail_later         (UsockOperation    *operation,
                                          GError            *error);
void     usock_client_begin              (UsockClient       *self,
                                          UsockClientPlace   place);
void     usock_client_find_reactor       (UsockClient       *self);

/* usock-client-link.c */
extern const UsockWatchFuncs usock_client_watch_funcs;

void     usock_client_await_link         (UsockClient       *self,
                                          UsockOperation    *operation,
                                          GCancellable      *cancellable);
void     usock_client_leave              (UsockClient       *self);
void     usock_client_forget             (UsockClient       *self);

/* usock-client-item.c */
gboolean usock_client_is_open            (UsockClient       *self);
void     usock_client_submit             (UsockClient       *self,
                                          UsockMessage      *message,
                                          UsockOperation    *operation,
                                          GCancellable      *cancellable);
void     usock_client_set_cancellable    (UsockClient       *self,
                                          UsockOperation    *operation,
                                          GCancellable      *cancellable);
void     usock_client_hand_waiting       (UsockClient       *self,
                                          UsockChannel      *link);
void     usock_client_refuse             (UsockClient       *self,
                                          GQueue            *queue,
                                          GIOErrorEnum       code,
                                          const char        *reason);
void     usock_client_look_what_is_read  (UsockClient       *self);
GQueue   usock_client_settle             (UsockClient       *self);
void     usock_client_tell_uncertain     (UsockClient       *self,
                                          GQueue            *uncertain);
void     usock_client_sweep              (UsockClient       *self);
void     usock_client_complete           (UsockClient       *self,
                                          UsockOperation    *operation,
                                          GError            *error);
void     usock_client_tell               (UsockClient       *self);
void     usock_client_drop_items         (UsockClient       *self);

/* usock-client-place.c */
void     usock_client_place_clear        (UsockClientPlace  *self);
gboolean usock_client_place_connect      (UsockClientPlace  *self,
                                          UsockChannel      *channel,
                                          GError           **error);

/* usock-client-signals.c */
extern guint usock_client_signals[USOCK_CLIENT_N_SIGNALS];

void     usock_client_install_properties (GObjectClass      *class);
void     usock_client_install_signals    (void);
void     usock_client_notify             (UsockClient       *self,
                                          UsockClientProperty property);

G_END_DECLS
