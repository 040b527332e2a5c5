/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* torture: what the load and fault tests share.
 *
 * The other side is a child process that talks in blocking system calls and knows nothing of the
 * library. Both sides can make up the stream of messages on their own, so that each byte, each
 * boundary and each empty message is checked. With USOCK_TEST_LONG=1 the counts are the full ones. */

#pragma once

#include "../sequence.h"
#include "../usock-test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <usock/usock.h>

#define torture_scaled(usual, full) (torture_is_long () ? (full) : (usual))

/* What is received on a channel, held against the stream of @seed. */
typedef struct
{
  UsockChannel *channel;
  guint32 seed;
  gsize longest;
  guint n_received;
  guint n_ended;
  guint n_failed;
  guint n_closed;
  GError *error;
} Stream;

/* Sends the stream of @seed as fast as the other side takes it. */
typedef struct
{
  UsockChannel *channel;
  guint32 seed;
  gsize longest;
  guint n_messages;
  guint n_sent;
  gboolean end;
} Pump;

#define HEARTBEAT_LATE 1000

typedef struct
{
  GSource *source;
  gint64 due;
  gint64 latest;
  gint64 worked;
  gint64 busiest;
  guint n_beats;
  guint late[HEARTBEAT_LATE]; /* how often by so many milliseconds */
} Heartbeat;

/* What the child returns is its exit code. */
typedef int (*Play) (int      fd,
                     gpointer data);

gboolean      torture_is_long          (void);
gboolean      torture_is_instrumented  (void);
gint64        torture_seconds          (void);
gsize         torture_length           (guint32        seed,
                                        guint32        i,
                                        gsize          longest);

pid_t         torture_fork             (UsockTest     *test,
                                        Play           play,
                                        gpointer       data);
void          torture_reap             (pid_t          pid);
UsockChannel *torture_adopt            (UsockTest     *test);
void          torture_close            (UsockChannel  *channel);

int           raw_send_stream          (int            fd,
                                        guint32        seed,
                                        gsize          longest,
                                        guint          first,
                                        guint          n);
int           raw_receive_stream       (int            fd,
                                        guint32        seed,
                                        gsize          longest,
                                        guint          first,
                                        guint          n);
int           raw_send_fds             (int            fd,
                                        gconstpointer  data,
                                        gsize          length,
                                        const int     *fds,
                                        guint          n_fds);
int           raw_receive_fd           (int            fd);

void          stream_watch             (Stream        *self,
                                        UsockChannel  *channel);
void          stream_clear             (Stream        *self);
void          pump_start               (Pump          *self,
                                        UsockChannel  *channel);

guint         torture_count_fds        (void);
guint64       torture_resident         (void);
void          torture_wait_until_quiet (UsockTest     *test,
                                        guint          interval);
void          heartbeat_start          (Heartbeat     *self,
                                        UsockTest     *test);
void          heartbeat_resume         (Heartbeat     *self,
                                        UsockTest     *test);
void          heartbeat_pause          (Heartbeat     *self);
void          heartbeat_judge          (Heartbeat     *self);
void          heartbeat_stop           (Heartbeat     *self);
