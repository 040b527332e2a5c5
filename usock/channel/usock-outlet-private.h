/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-outlet: what one channel sends.
 *
 * Messages go straight to the kernel while it takes them, and wait on a route while it does not.
 * The outlet keeps the sums and the limits of all routes, holds messages back while it is corked,
 * and gives the kernel what waits when it is told to. A message that has left, or never will, is
 * settled: out of its route and the sums in one step, in which no foreign code runs, and then in a
 * line from which the channel takes it to tell and to release. Knows no signals, and not who
 * listens; how a framing gives its messages to the kernel is in its functions.
 *
 * usock-outlet.c has routes, sums and settling; -write.c one message and -give.c many on their way
 * to the kernel. */

#pragma once

#include <stdbool.h>

#include "usock-io-private.h"
#include "usock-queue-private.h"

G_BEGIN_DECLS

typedef struct _UsockOutlet UsockOutlet;

/* Messages that wait for one destination: the other end of the connection, or on a datagram
 * socket one of many, which must not hold up each other. */
typedef struct
{
  UsockQueue queue;
  UsockName *destination; /* NULL for the other end */
  bool blocked;
  gint64 retry_at;
  gint64 stalled_since;
} UsockRoute;

typedef void (*UsockRouteFunc) (UsockOutlet *self,
                                UsockRoute  *route,
                                gpointer     user_data);

typedef struct
{
  /* Each route that there is; NULL where there is only one. */
  void (*each_route) (UsockOutlet *self, UsockRouteFunc func, gpointer user_data);
  /* Of those, the ones on which something may have to be done now; others may join them meanwhile. */
  void (*each_active) (UsockOutlet *self, UsockRouteFunc func, gpointer user_data);
  /* Something begins to wait on the route, or waits no more; NULL where there is only one. */
  void (*changed) (UsockOutlet *self, UsockRoute *route);
  /* Whether the kernel would ever take a message of that length, for which there may be more room to
   * be made; NULL where any length leaves in parts. */
  gboolean (*fits) (UsockOutlet *self, gsize length);
  /* Gives the kernel some of what stands first on the route, whose head is a message, and settles
   * what has left. 0, or the negative errno of the head. */
  int (*give) (UsockOutlet *self, UsockRoute *route, gboolean *progress);
  /* Before a message leaves on the route; NULL where that endangers nothing. */
  void (*protect) (UsockOutlet *self, UsockRoute *route);
  /* The kernel refused a message. TRUE if it should be asked once more; may change the result. */
  gboolean (*repair) (UsockOutlet *self, UsockRoute *route, gsize length, gssize *result);
  /* The kernel has told of an error that was none of what it was asked for, but of something that
   * left earlier; NULL where it does not. */
  void (*told) (UsockOutlet *self, int errnum);
  /* The kernel takes no more on the route for now: -EAGAIN, or what no event follows. */
  void (*blocked) (UsockOutlet *self, UsockRoute *route, int errnum, gboolean progress);
  /* The kernel will never take the head of the route, which is to be dropped. */
  void (*failed) (UsockOutlet *self, UsockRoute *route, int errnum);
  /* A message that nobody waits for was dropped. */
  void (*lost) (UsockOutlet *self, UsockRoute *route, const GError *error);
} UsockOutletFuncs;

/* A message that has left, or with an error never will, or a mark that was reached; who takes it
 * from the line owns all three. */
typedef struct
{
  UsockMessage *message;
  UsockOperation *operation;
  GError *error;
} UsockSettled;

struct _UsockOutlet
{
  const UsockOutletFuncs *funcs;
  gpointer owner;
  int fd; /* the socket's; -1 while there is nothing to send on */

  UsockRoute own_route;
  UsockRoute *route; /* to the other end */
  guint n_queued;
  guint n_blocked; /* routes */
  guint64 queued_cost;
  guint64 high_water_mark;
  guint64 queue_limit;
  guint n_corks;
  guint n_taken;   /* of what is settled */
  GArray *settled; /* of UsockSettled; NULL for none */

  bool needs_drain;
  bool is_open; /* connected: what leaves may leave */
  bool was_cut; /* the last batch did not leave as a whole */
  bool singly;  /* no batches, in which an answer of the kernel could get lost */

  guint64 bytes_written;
  guint64 messages_written;
};

/* How many segments leave in one system call. */
#define USOCK_OUTLET_IOV 128

/* usock-outlet.c */
/* Its owner chooses the functions. */
void     usock_outlet_init          (UsockOutlet            *self,
                                     gpointer                owner);
void     usock_outlet_clear         (UsockOutlet            *self);
void     usock_outlet_each_route    (UsockOutlet            *self,
                                     UsockRouteFunc          func,
                                     gpointer                user_data);
void     usock_outlet_each_active   (UsockOutlet            *self,
                                     UsockRouteFunc          func,
                                     gpointer                user_data);
void     usock_outlet_set_blocked   (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     gboolean                blocked);
void     usock_outlet_note_change   (UsockOutlet            *self,
                                     UsockRoute             *route);
gboolean usock_outlet_may_send_now  (UsockOutlet            *self,
                                     UsockRoute             *route);
gboolean usock_outlet_has_room      (UsockOutlet            *self,
                                     gsize                   length,
                                     guint                   n_fds);
void     usock_outlet_enqueue       (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     UsockMessage           *message,
                                     UsockOperation         *operation);
gboolean usock_outlet_mark          (UsockOutlet            *self,
                                     UsockOperation         *operation);
void     usock_outlet_move_queued   (UsockOutlet            *self,
                                     UsockRoute             *from,
                                     UsockRoute             *to);
void     usock_outlet_note_bytes    (UsockOutlet            *self,
                                     gsize                   length);
void     usock_outlet_note_sent     (UsockOutlet            *self,
                                     gsize                   length);
void     usock_outlet_advance       (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     gsize                   sent);
void     usock_outlet_settle_sent   (UsockOutlet            *self,
                                     UsockRoute             *route);
void     usock_outlet_drop_head     (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     const GError           *error);
void     usock_outlet_drop_route    (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     const GError           *error);
void     usock_outlet_drop_messages (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     const GError           *error);
void     usock_outlet_drop_all      (UsockOutlet            *self,
                                     const GError           *error);
void     usock_outlet_sweep         (UsockOutlet            *self);
gboolean usock_outlet_has_settled   (const UsockOutlet      *self);
UsockSettled *usock_outlet_peek_settled (UsockOutlet        *self,
                                         guint               index);
gboolean usock_outlet_take_settled  (UsockOutlet            *self,
                                     UsockSettled           *settled);
gboolean usock_outlet_owes_drain    (UsockOutlet            *self);

/* usock-outlet-write.c */
gboolean usock_outlet_may_send_later (int                    errnum);
gssize   usock_outlet_write_message (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     UsockMessage           *message,
                                     gsize                   sent);
gssize   usock_outlet_write         (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     UsockMessage           *message,
                                     gconstpointer           data,
                                     gsize                   length);
guint    usock_outlet_gather        (UsockOutlet            *self,
                                     UsockMessage          **messages,
                                     gsize                   n_messages,
                                     UsockIoOutgoing        *outgoing,
                                     struct iovec           *iov);
int      usock_outlet_write_batch   (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     const UsockIoOutgoing  *outgoing,
                                     guint                   n_outgoing);
gssize   usock_outlet_write_joined  (UsockOutlet            *self,
                                     const UsockIoOutgoing  *outgoing,
                                     guint                   n_outgoing);

/* usock-outlet-give.c */
int      usock_outlet_give_packets  (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     gboolean               *progress);
int      usock_outlet_give_bytes    (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     gboolean               *progress);
gboolean usock_outlet_packet_fits   (UsockOutlet            *self,
                                     gsize                   length);
gboolean usock_outlet_repair_packet (UsockOutlet            *self,
                                     UsockRoute             *route,
                                     gsize                   length,
                                     gssize                 *result);
void     usock_outlet_flush         (UsockOutlet            *self,
                                     gint64                  now,
                                     gboolean                force);

G_END_DECLS
