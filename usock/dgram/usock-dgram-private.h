/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-channel-private.h"
#include "usock-dgram.h"
#include "usock-path-private.h"
#include "usock-waiter-private.h"

G_BEGIN_DECLS

/* usock-dgram: messages without a connection.
 *
 * From the top down, and no file calls one above it: the class (usock-dgram.c); what programs bind
 * (-bind.c) and send with (-send.c); names of hosts (-lookup.c); having a descriptor and a peer
 * (-open.c); what the outlet asks
 * (-outlet.c); which route a message takes, and what becomes of it with another peer (-peer.c);
 * receivers who do not keep up (-congestion.c); the routes (-route.c); and the signals
 * (-signal.c). */

/* To one destination. It is idle, and may be forgotten, unless it is congested or has messages. */
typedef struct
{
  UsockRoute base;
  UsockDgram *dgram;
  grefcount ref_count;
  char *text;     /* as signals call it; NULL until one does, and for the peer of a pair */
  char *spelling; /* what the program wrote and always means this one; NULL for none */

  /* Where data is NULL it is not in that list. */
  GList idle_link;
  GList active_link;
  GList own_link;

  UsockWaiter *waiter;
  gboolean waits_for_own; /* the send buffer that is full is ours */
  gboolean has_own_room;  /* it is its turn to use what was free of that */
  gboolean woken;         /* told of room, and still to find out whether it was first */
  gboolean unwatched;     /* nothing will tell of room */
  gboolean may_move;      /* somebody else may have the path by now */
  guint delay;

  gboolean congested;
  gboolean announced;
} UsockDgramRoute;

struct _UsockDgram
{
  UsockChannel parent_instance;

  GHashTable *routes;      /* UsockName → UsockDgramRoute, but for the peer's */
  GHashTable *spellings;   /* text → UsockDgramRoute, the peer's too */
  UsockDgramRoute *peer;   /* channel->route */
  UsockDgramRoute *recent; /* where the last message went */
  GQueue idle;             /* the one that was used last comes last */
  GQueue active;           /* to be looked at in this turn or the next */
  GQueue own;              /* who wait for our own send buffer, in turn */
  guint n_waiters;         /* that have a descriptor */
  GQueue failures;
  int told; /* the last of them that the network has told of; 0 for none */

  GHashTable *lookups; /* text → of a host that is looked up; NULL for none */

  guint own_delay;
  gint64 own_retry_at;

  UsockPath *claim;
  guint mode;
  gboolean unlink_on_close;
  gboolean bound;  /* has a name */
  gboolean paired; /* has a peer that needs none */
  gboolean stows;  /* a send that fails costs what was received */
  gboolean connected;
  gboolean scattered; /* has sent to more than one */
  gboolean announce;  /* bound, and the signal still to come */
  guint receive_buffer_size;
  guint send_buffer_size;
};

typedef enum
{
  USOCK_DGRAM_SIGNAL_LISTENING,
  USOCK_DGRAM_SIGNAL_DATAGRAM,
  USOCK_DGRAM_SIGNAL_CONGESTION,
  USOCK_DGRAM_SIGNAL_WRITABLE,
  USOCK_DGRAM_SIGNAL_SEND_FAILED,
  USOCK_DGRAM_N_SIGNALS,
} UsockDgramSignal;

extern guint usock_dgram_signals[USOCK_DGRAM_N_SIGNALS];

static inline int
usock_dgram_family_of (const UsockName *name)
{
  return name->path != NULL ? AF_UNIX : name->native.any.sa_family;
}

/* usock-dgram-lookup.c */
gboolean         usock_dgram_look_up          (UsockDgram      *self,
                                               const char      *text,
                                               UsockMessage    *message,
                                               UsockOperation  *operation,
                                               GCancellable    *cancellable);
void             usock_dgram_stop_lookups     (UsockDgram      *self);
void             usock_dgram_send_async       (UsockDgram      *self,
                                               UsockDgramRoute *route,
                                               UsockMessage    *message,
                                               UsockOperation  *operation,
                                               GError          *error);

/* usock-dgram-open.c */
UsockDgramRoute *usock_dgram_reach            (UsockDgram      *self,
                                               UsockName       *name,
                                               GError         **error);
void             usock_dgram_apply_buffer_sizes (UsockDgram    *self);
void             usock_dgram_check_stows      (UsockDgram      *self);
gboolean         usock_dgram_open             (UsockDgram      *self,
                                               UsockName       *name,
                                               GError         **error);
void             usock_dgram_retreat          (UsockDgram      *self);
gboolean         usock_dgram_connect          (UsockChannel    *channel,
                                               UsockName       *target,
                                               GError         **error);

/* usock-dgram-peer.c */
void             usock_dgram_use_route        (UsockDgram      *self,
                                               UsockDgramRoute *route);
UsockDgramRoute *usock_dgram_find_route       (UsockDgram      *self,
                                               UsockName       *destination);
void             usock_dgram_change_peer      (UsockDgram      *self,
                                               UsockName       *target);
void             usock_dgram_part             (UsockDgram      *self);

/* usock-dgram-congestion.c */
void             usock_dgram_wait             (UsockDgramRoute *route);
void             usock_dgram_blocked          (UsockOutlet     *outlet,
                                               UsockRoute      *base,
                                               int              errnum,
                                               gboolean         progress);
void             usock_dgram_changed          (UsockOutlet     *outlet,
                                               UsockRoute      *base);
void             usock_dgram_each_active      (UsockOutlet     *outlet,
                                               UsockRouteFunc   func,
                                               gpointer         user_data);
void             usock_dgram_scatter          (UsockDgram      *self);
gboolean         usock_dgram_expand           (UsockDgram      *self);
void             usock_dgram_reset_route      (UsockDgramRoute *route);
void             usock_dgram_retry            (UsockDgram      *self);
void             usock_dgram_check_congestion (UsockDgram      *self);

/* usock-dgram-route.c */
void             usock_dgram_init_routes      (UsockDgram      *self);
void             usock_dgram_drop_routes      (UsockDgram      *self);
void             usock_dgram_free_routes      (UsockDgram      *self);
UsockDgramRoute *usock_dgram_get_route        (UsockDgram      *self,
                                               UsockName       *destination);
UsockDgramRoute *usock_dgram_ref_route        (UsockDgramRoute *route);
void             usock_dgram_unref_route      (UsockDgramRoute *route);
const UsockName *usock_dgram_route_get_name   (UsockDgramRoute *route);
const char      *usock_dgram_route_get_text   (UsockDgramRoute *route);
void             usock_dgram_spell_route      (UsockDgramRoute *route,
                                               const char      *spelling);
void             usock_dgram_keep_route       (UsockDgramRoute *route);
void             usock_dgram_refresh_route    (UsockDgramRoute *route);
void             usock_dgram_rest_route       (UsockDgramRoute *route);
void             usock_dgram_remove_route     (UsockDgramRoute *route);
void             usock_dgram_touch_route      (UsockDgramRoute *route);
UsockDgramRoute *usock_dgram_pop_active       (UsockDgram      *self);
void             usock_dgram_forget_recent    (UsockDgram      *self);
void             usock_dgram_each_route       (UsockOutlet     *outlet,
                                               UsockRouteFunc   func,
                                               gpointer         user_data);

/* usock-dgram-signal.c */
void             usock_dgram_install_signals  (UsockChannelClass *class);
void             usock_dgram_note_failure     (UsockDgram      *self,
                                               const char      *destination,
                                               GError          *error);
void             usock_dgram_forget_failures  (UsockDgram      *self);
void             usock_dgram_emit_failures    (UsockDgram      *self);

/* What the outlet asks of it. */
extern const UsockOutletFuncs usock_dgram_outlet;

G_END_DECLS
