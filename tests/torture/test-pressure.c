/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Readers that are slow, stop or die, and writers that know no measure. */

#include "torture.h"

#include <poll.h>
#include <signal.h>
#include <sys/un.h>

#define SEED 11

static int
play_reading (int fd,
              gpointer data)
{
  const Pump *pump = data;

  return raw_receive_stream (fd, pump->seed, pump->longest, 0, pump->n_messages);
}

/* Reads nothing until the pipe says how many messages there are. */
typedef struct
{
  int gate[2];
  guint n_messages;
} Late;

static int
play_reading_late (int fd,
                   gpointer data)
{
  Late *late = data;
  guint n;

  close (late->gate[1]);
  if (read (late->gate[0], &n, sizeof n) != sizeof n)
    return 1;
  for (guint i = 0; i < n; i++)
    {
      guint32 message[25];

      if (recv (fd, message, sizeof message, 0) != sizeof message || message[0] != i)
        return 2;
    }
  return 0;
}

static guint
send_until_full (UsockChannel *channel,
                 guint n_tries)
{
  guint n_accepted = 0;

  for (guint i = 0; i < n_tries; i++)
    {
      guint32 message[25] = { n_accepted };
      g_autoptr (GError) error = NULL;

      if (usock_channel_send (channel, (guint8 *) message, sizeof message, &error))
        n_accepted++;
      else
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
    }
  return n_accepted;
}

static void
set_cb (GObject *object,
        gboolean *flag)
{
  *flag = TRUE;
}

static void
test_limit (UsockTest *test,
            gconstpointer data)
{
  const guint64 limit = 1024 * 1024;
  const guint n_tries = torture_scaled (100000, 1000000);
  Late late;
  gboolean drained = FALSE;
  guint64 resident;
  guint n;
  pid_t pid;
  g_autoptr (UsockChannel) channel = NULL;

  g_assert_cmpint (pipe2 (late.gate, O_CLOEXEC), ==, 0);
  pid = torture_fork (test, play_reading_late, &late);
  channel = torture_adopt (test);
  usock_channel_set_queue_limit (channel, limit);
  g_signal_connect (channel, "drain", G_CALLBACK (set_cb), &drained);
  resident = torture_resident ();
  n = send_until_full (channel, n_tries);

  g_assert_cmpuint (n, >, 1000);
  g_assert_cmpuint (n, <, n_tries);
  g_assert_cmpuint (usock_channel_get_queued_bytes (channel), <=, limit);
  if (!torture_is_instrumented ())
    g_assert_cmpuint (torture_resident () - resident, <, limit + 5 * 1024 * 1024);
  torture_wait_until_quiet (test, 100);

  g_assert_cmpint (write (late.gate[1], &n, sizeof n), ==, sizeof n);
  usock_test_wait_until (drained);
  g_assert_cmpuint (usock_channel_get_queued_bytes (channel), ==, 0);
  torture_reap (pid);
  torture_close (channel);
  close (late.gate[0]);
  close (late.gate[1]);
}

/* Iterations are counted, since a spinning writer gets everything through as well. */
static void
pump_all (UsockTest *test,
          gsize longest,
          guint n,
          int send_buffer)
{
  Pump pump = { .seed = SEED, .longest = longest, .n_messages = n };
  pid_t pid = torture_fork (test, play_reading, &pump);
  guint n_turns = 0;
  g_autoptr (UsockChannel) channel = NULL;

  if (send_buffer >= 0)
    setsockopt (test->pair[0], SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
  channel = torture_adopt (test);
  pump_start (&pump, channel);
  usock_test_wait_until ((n_turns++, usock_channel_get_messages_written (channel) == n));
  g_test_message ("%u messages in %u turns", n, n_turns);
  g_assert_cmpuint (n_turns, <=, 2 * n);
  torture_reap (pid);
  torture_close (channel);
}

static void
test_smallest_buffer (UsockTest *test,
                      gconstpointer data)
{
  pump_all (test, 4000, torture_scaled (30000, 100000), 0);
}

static void
test_large_messages (UsockTest *test,
                     gconstpointer data)
{
  pump_all (test, 96 * 1024, 10000, -1);
}

typedef struct
{
  guint n_sent;
  guint n_failed;
  guint n_cancelled;
} Outcome;

static void
outcome_cb (GObject *object,
            GAsyncResult *result,
            gpointer user_data)
{
  Outcome *outcome = user_data;
  g_autoptr (GError) error = NULL;

  if (usock_channel_send_message_finish (USOCK_CHANNEL (object), result, &error))
    outcome->n_sent++;
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    outcome->n_cancelled++;
  else
    outcome->n_failed++;
}

static int
play_nothing (int fd,
              gpointer data)
{
  /* Ends when the test closes its end, if it is not killed. */
  struct pollfd poll_fd = { fd, 0, 0 };

  return poll (&poll_fd, 1, -1) == 1 ? 0 : 1;
}

static guint
queue_with_fds (UsockChannel *channel,
                int fd,
                guint n,
                Outcome *outcome)
{
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "x", 1);

      usock_test_no_error (usock_message_append_fd (message, fd, &error));
      usock_channel_send_message_async (channel, message, NULL, outcome_cb, outcome);
    }
  return n;
}

static void
assert_all_failed (Stream *stream,
                   Outcome *outcome,
                   guint n)
{
  usock_test_wait_until (stream->n_closed);
  g_assert_cmpuint (outcome->n_sent + outcome->n_failed, ==, n);
  g_assert_cmpuint (outcome->n_failed, >, 0);
  g_assert_cmpuint (stream->n_failed, ==, 1);
  g_assert_cmpuint (stream->n_ended, ==, 0);
}

static void
test_peer_closes (UsockTest *test,
                  gconstpointer data)
{
  Stream stream = { 0 };
  Outcome outcome = { 0 };
  g_autoptr (UsockChannel) channel = torture_adopt (test);
  guint n = queue_with_fds (channel, STDERR_FILENO, 1000, &outcome);

  stream_watch (&stream, channel);
  close (usock_test_take (test, 1));
  assert_all_failed (&stream, &outcome, n);
  stream_clear (&stream);
}

static void
test_peer_is_killed (UsockTest *test,
                     gconstpointer data)
{
  Stream stream = { 0 };
  Outcome outcome = { 0 };
  pid_t pid = torture_fork (test, play_nothing, NULL);
  g_autoptr (UsockChannel) channel = torture_adopt (test);
  guint n = queue_with_fds (channel, STDERR_FILENO, 1000, &outcome);

  stream_watch (&stream, channel);
  kill (pid, SIGKILL);
  assert_all_failed (&stream, &outcome, n);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  stream_clear (&stream);
}

static void
test_both_write_first (UsockTest *test,
                       gconstpointer data)
{
  const guint n = torture_scaled (30000, 100000);
  Pump pumps[2];
  Stream streams[2];
  UsockSeqpacket *pair[2];

  usock_test_no_error (usock_seqpacket_new_pair (&pair[0], &pair[1], &error));
  for (guint i = 0; i < 2; i++)
    {
      pumps[i] = (Pump){ .seed = SEED + i, .longest = 1024, .n_messages = n, .end = TRUE };
      pump_start (&pumps[i], USOCK_CHANNEL (pair[i]));
    }
  torture_wait_until_quiet (test, 20);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpuint (pumps[i].n_sent, <, n);
      /* Our end must not stop what the other side still has to send. */
      usock_channel_set_allow_half_open (USOCK_CHANNEL (pair[i]), TRUE);
      streams[i] = (Stream){ .seed = SEED + !i, .longest = 1024 };
      stream_watch (&streams[i], USOCK_CHANNEL (pair[i]));
    }
  for (guint i = 0; i < 2; i++)
    {
      usock_test_wait_until (streams[i].n_closed);
      g_assert_cmpuint (streams[i].n_received, ==, n);
      g_assert_cmpuint (streams[i].n_ended, ==, 1);
      stream_clear (&streams[i]);
    }
  for (guint i = 0; i < 2; i++)
    g_object_unref (pair[i]);
}

static void
test_cancel_half (UsockTest *test,
                  gconstpointer data)
{
  const guint n = 10000;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Outcome kept = { 0 };
  Outcome cancelled = { 0 };
  guint n_odd = 0;
  guint next_even = 0;
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  for (guint32 i = 0; i < n; i++)
    {
      g_autoptr (UsockMessage) message = usock_message_new ((guint8 *) &i, sizeof i);

      usock_channel_send_message_async (channel, message, i % 2 ? cancellable : NULL, outcome_cb,
                                        i % 2 ? &cancelled : &kept);
    }
  g_cancellable_cancel (cancellable);

  while (kept.n_sent < n / 2 || cancelled.n_sent + cancelled.n_cancelled < n / 2)
    {
      guint32 i;

      usock_test_iterate (usock_test_deadline (), "the outcome of all messages");
      while (recv (test->pair[1], &i, sizeof i, MSG_DONTWAIT) == sizeof i)
        {
          if (i % 2)
            n_odd++;
          else
            g_assert_cmpuint (i, ==, 2 * next_even++);
        }
    }
  g_assert_cmpuint (next_even, ==, n / 2);
  g_assert_cmpuint (n_odd, ==, cancelled.n_sent);
  g_assert_cmpuint (cancelled.n_cancelled, >, 0);
  g_assert_cmpuint (kept.n_failed + cancelled.n_failed, ==, 0);
  torture_close (channel);
}

typedef struct
{
  UsockChannel *channel;
  guint n_left;
  const guint8 *stack;
} Chain;

static void
assert_flat (Chain *chain)
{
  /* Compilers warn of the address of a variable that is kept after the variable is gone. */
  const guint8 *here = __builtin_frame_address (0);
  gssize depth;

  if (chain->stack == NULL)
    chain->stack = here;
  depth = chain->stack - here;
  g_assert_cmpint (ABS (depth), <, 64 * 1024);
}

static void
send_next_cb (GObject *object,
              GAsyncResult *result,
              gpointer user_data)
{
  Chain *chain = user_data;
  g_autoptr (UsockMessage) message = NULL;

  if (result != NULL)
    {
      assert_flat (chain);
      usock_test_no_error (usock_channel_send_message_finish (chain->channel, result, &error));
    }
  if (chain->n_left-- == 0)
    return;

  message = usock_message_new ((const guint8 *) "", 0);
  usock_channel_send_message_async (chain->channel, message, NULL, send_next_cb, chain);
}

static void
test_send_from_completion (UsockTest *test,
                           gconstpointer data)
{
  const guint n = 100000;
  Chain chain = { .n_left = n };
  Heartbeat heartbeat;
  char byte;
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  chain.channel = channel;
  heartbeat_start (&heartbeat, test);
  send_next_cb (NULL, NULL, &chain);
  while (usock_channel_get_messages_written (channel) < n)
    {
      usock_test_iterate (usock_test_deadline (), "all to be written");
      while (recv (test->pair[1], &byte, 1, MSG_DONTWAIT) == 0)
        ;
    }
  usock_test_wait_until (chain.n_left == G_MAXUINT);
  heartbeat_stop (&heartbeat);
  torture_close (channel);
}

#define N_POLITE 99
#define N_ROUNDS 20

static int
connect_raw (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  return connect (fd, (struct sockaddr *) &address, sizeof address) == 0 ? fd : -1;
}

static int
play_flooding (int pair,
               gpointer path)
{
  int fd = connect_raw (path);

  while (send (fd, "flood", 5, MSG_NOSIGNAL) == 5)
    ;
  return 0;
}

static int
play_politely (int pair,
               gpointer path)
{
  int fds[N_POLITE];

  for (guint i = 0; i < N_POLITE; i++)
    if ((fds[i] = connect_raw (path)) < 0)
      return 1;
  for (guint i = 0; i < N_POLITE * N_ROUNDS; i++)
    {
      char answer[8];

      if (send (fds[i % N_POLITE], "please", 6, MSG_NOSIGNAL) != 6
          || recv (fds[i % N_POLITE], answer, sizeof answer, 0) != 6)
        return 2;
    }
  return 0;
}

/* Who asked politely, and how many turns of the loop the one question has waited. */
typedef struct
{
  guint64 n_flood;
  guint n_answers;
  UsockChannel *polite[N_POLITE];
  guint n_polite;
  guint waited[N_POLITE];
  guint longest;
} Fairness;

typedef struct
{
  GSource source;
  Fairness *fairness;
} Referee;

static gboolean
referee_prepare (GSource *source,
                 gint *timeout)
{
  Fairness *fairness = ((Referee *) source)->fairness;

  for (guint i = 0; i < fairness->n_polite; i++)
    {
      int fd = usock_socket_get_fd (USOCK_SOCKET (fairness->polite[i]));

      if (recv (fd, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
        fairness->longest = MAX (fairness->longest, ++fairness->waited[i]);
    }
  *timeout = -1;
  return FALSE;
}

static GSourceFuncs referee_funcs = { .prepare = referee_prepare };

static void
answer_polite_cb (UsockChannel *channel,
                  GByteArray *bytes,
                  Fairness *fairness)
{
  guint i = 0;

  if (bytes->len != 6)
    {
      fairness->n_flood++;
      return;
    }
  while (i < fairness->n_polite && fairness->polite[i] != channel)
    i++;
  if (i == fairness->n_polite)
    fairness->polite[fairness->n_polite++] = channel;
  fairness->waited[i] = 0;
  fairness->n_answers++;
  usock_test_no_error (usock_channel_send (channel, bytes->data, bytes->len, &error));
}

static void
connection_cb (UsockServer *server,
               UsockChannel *channel,
               Fairness *fairness)
{
  g_signal_connect (channel, "data", G_CALLBACK (answer_polite_cb), fairness);
}

/* However much one sends, who asks a little is answered in the turn of the loop that follows. */
static void
test_flood (UsockTest *test,
            gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GSource *referee = g_source_new (&referee_funcs, sizeof (Referee));
  UsockTest other = *test;
  Heartbeat heartbeat;
  Fairness fairness = { 0 };
  pid_t flooder, polite;

  ((Referee *) referee)->fairness = &fairness;
  g_source_attach (referee, test->context);
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), &fairness);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  other.pair[1] = dup (test->pair[1]);
  flooder = torture_fork (&other, play_flooding, path);
  polite = torture_fork (test, play_politely, path);

  heartbeat_start (&heartbeat, test);
  usock_test_wait_until (fairness.n_answers == N_POLITE * N_ROUNDS);
  heartbeat_stop (&heartbeat);
  g_test_message ("a polite question waited for %u turns at most, beside %" G_GUINT64_FORMAT
                  " messages of flood", fairness.longest, fairness.n_flood);
  g_assert_cmpuint (fairness.n_flood, >, 1000);
  g_assert_cmpuint (fairness.longest, <=, 3);
  g_source_destroy (referee);
  g_source_unref (referee);
  torture_reap (polite);
  kill (flooder, SIGKILL);
  waitpid (flooder, NULL, 0);
  usock_test_wait_until (usock_server_get_n_connections (server) == 0);
  usock_socket_close (USOCK_SOCKET (server));
  usock_run_until_closed (test->context);
}

int
main (int argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  usock_test_add ("/torture/pressure/limit", test_limit);
  usock_test_add ("/torture/pressure/smallest-buffer", test_smallest_buffer);
  usock_test_add ("/torture/pressure/large-messages", test_large_messages);
  usock_test_add ("/torture/pressure/peer-closes", test_peer_closes);
  usock_test_add ("/torture/pressure/peer-is-killed", test_peer_is_killed);
  usock_test_add ("/torture/pressure/both-write-first", test_both_write_first);
  usock_test_add ("/torture/pressure/cancel-half", test_cancel_half);
  usock_test_add ("/torture/pressure/send-from-completion", test_send_from_completion);
  usock_test_add ("/torture/pressure/flood", test_flood);
  return g_test_run ();
}
