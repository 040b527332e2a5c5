/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>
#include <sys/types.h>
#include <usock/usock.h>

typedef struct _Bench Bench;

/* Does @count operations and returns how many seconds one took at best. */
typedef double (*Sample) (const Bench *bench,
                          guint        count);

typedef struct
{
  const char *name;
  Sample sample;
  double target; /* 0 for none */
  guint divisor; /* of the count, for what is far slower than the others; 0 for 1 */
} Variant;

#define MAX_VARIANTS 12

struct _Bench
{
  const char *name;
  const char *title;
  gsize size;
  guint count;
  guint n_idle; /* connections beside the others */
  guint n_busy; /* how many talk, beside the first */
  int type;     /* of the sockets; SOCK_SEQPACKET for 0 */
  gboolean compare_times; /* else rates */
  gboolean share; /* one processor for both sides, else one each */
  Variant variants[MAX_VARIANTS]; /* the first is what the others are measured against */
};

/* Another process, which talks in blocking system calls and knows nothing of the library. */
typedef struct
{
  int fd;
  int control;
  pid_t pid;
  int *idle; /* the busy ones first */
  guint n_idle;
} Peer;

/* What a run has taken, from peer_go() to when all was done. */
typedef struct
{
  gint64 wall; /* in us */
  gint64 cpu;  /* of this process alone */
} Clock;

extern Clock bench_clock;

/* Times stretches of a run, each so short that now and then nothing else gets the processor. */
typedef struct
{
  guint n_left;
  guint step;
  guint n_begin;
  gint64 begin;
  double best;
} Pace;

/* Returns the pace at which it received, if it did. */
typedef double (*Role) (int          fd,
                        const Bench *bench,
                        guint        count);

/* For a peer that has more than one connection. */
extern const int *bench_idle;

void            pace_start         (Pace        *self,
                                    guint        count,
                                    guint        step);
void            pace_measure       (Pace        *self);

static inline void
pace_count (Pace  *self,
            guint  n)
{
  self->n_left -= n;
  if (self->n_begin - self->n_left >= self->step)
    pace_measure (self);
}

void            peer_start         (Peer        *self,
                                    Role         role,
                                    const Bench *bench,
                                    guint        count);
void            bench_clock_start  (void);
void            peer_go            (Peer        *self);
double          peer_wait          (Peer        *self);
void            peer_stop          (Peer        *self);
UsockChannel   *peer_adopt         (int         *fd);
GSocket        *peer_adopt_gsocket (int         *fd);

double          role_send          (int          fd,
                                    const Bench *bench,
                                    guint        count);
double          role_send_fds      (int          fd,
                                    const Bench *bench,
                                    guint        count);
double          role_receive       (int          fd,
                                    const Bench *bench,
                                    guint        count);
double          role_ping          (int          fd,
                                    const Bench *bench,
                                    guint        count);

extern guint8 *bench_payload;

/* A queue holds some hundred messages: what it held before a stretch must not count for much. */
#define STRETCH_ONE_WAY 5000
#define STRETCH_ECHO 100

double receive_raw     (const Bench *bench, guint count);
double receive_data    (const Bench *bench, guint count);
double receive_message (const Bench *bench, guint count);
double receive_batch   (const Bench *bench, guint count);
double receive_async   (const Bench *bench, guint count);
double receive_gsocket (const Bench *bench, guint count);
double receive_raw_many     (const Bench *bench, guint count);
double receive_func         (const Bench *bench, guint count);
double receive_gsocket_loop (const Bench *bench, guint count);
double receive_gsocket_many (const Bench *bench, guint count);
double receive_uv           (const Bench *bench, guint count);
double receive_uring        (const Bench *bench, guint count);

double fds_raw         (const Bench *bench, guint count);
double fds_message     (const Bench *bench, guint count);
double fds_gsocket     (const Bench *bench, guint count);

double send_raw        (const Bench *bench, guint count);
double send_usock      (const Bench *bench, guint count);
double send_gsocket    (const Bench *bench, guint count);
double batch_raw       (const Bench *bench, guint count);
double batch_usock     (const Bench *bench, guint count);
double batch_gsocket   (const Bench *bench, guint count);

double echo_raw        (const Bench *bench, guint count);
double echo_usock      (const Bench *bench, guint count);
double echo_gsocket    (const Bench *bench, guint count);
double echo_uv         (const Bench *bench, guint count);

double datagram_send_raw        (const Bench *bench, guint count);
double datagram_send_usock      (const Bench *bench, guint count);
double datagram_send_gsocket    (const Bench *bench, guint count);
double datagram_send_to_raw     (const Bench *bench, guint count);
double datagram_send_to_usock   (const Bench *bench, guint count);
double datagram_send_to_gsocket (const Bench *bench, guint count);
double datagram_receive_raw     (const Bench *bench, guint count);
double datagram_receive_usock   (const Bench *bench, guint count);
double datagram_receive_gsocket (const Bench *bench, guint count);

double accept_raw      (const Bench *bench, guint count);
double accept_usock    (const Bench *bench, guint count);
double accept_gsocket  (const Bench *bench, guint count);
double accept_service  (const Bench *bench, guint count);

double lines_raw        (const Bench *bench, guint count);
double lines_usock      (const Bench *bench, guint count);
double lines_usock_many (const Bench *bench, guint count);
double lines_gio        (const Bench *bench, guint count);

double stream_raw          (const Bench *bench, guint count);
double stream_usock        (const Bench *bench, guint count);
double stream_gsocket      (const Bench *bench, guint count);
double stream_echo_raw     (const Bench *bench, guint count);
double stream_echo_usock   (const Bench *bench, guint count);
double stream_echo_gsocket (const Bench *bench, guint count);
