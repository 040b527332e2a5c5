/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A server in C, and peers of whom one is hostile; USOCK_TEST_SEED begins with another seed. */

#include "hostile.h"
#include "torture.h"

#include <signal.h>
#include <sys/prctl.h>

/* All that a process may come to hold more once it has met them. */
#define GROWTH (16 * 1024 * 1024)

#define N_TYPES 3

static Heartbeat heartbeat;

/* Before there is a server, of whose descriptors a child is to have none. */
static pid_t
start_child (Drama *play,
             int  (*body) (const Drama *play))
{
  pid_t pid = fork ();
  char byte;

  g_assert_cmpint (pid, >=, 0);
  if (pid > 0)
    return pid;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  close (play->start[1]);
  if (read (play->start[0], &byte, 1) != 0)
    _exit (1);
  _exit (body (play));
}

static gboolean
is_gone (pid_t *pid)
{
  int status = -1;

  if (*pid != 0 && waitpid (*pid, &status, WNOHANG) == *pid)
    {
      g_assert_true (WIFEXITED (status));
      g_assert_cmpint (WEXITSTATUS (status), ==, 0);
      *pid = 0;
    }
  return *pid == 0;
}

static void
echo_data_cb (UsockChannel *channel,
              GByteArray   *bytes,
              gpointer      unused)
{
  usock_channel_send (channel, bytes->data, bytes->len, NULL);
}

static void
echo_message_cb (UsockChannel *channel,
                 UsockMessage *message,
                 gpointer      unused)
{
  GBytes *bytes = usock_message_get_bytes (message);
  gsize n_fds;
  g_autofree int *fds = usock_message_take_fds (message, &n_fds);

  for (gsize i = 0; i < n_fds; i++)
    close (fds[i]);
  usock_channel_send_bytes (channel, bytes, NULL);
}

static void
connection_cb (UsockServer  *server,
               UsockChannel *channel,
               guint        *n_connections)
{
  if (++*n_connections % 2 == 0)
    g_signal_connect (channel, "data", G_CALLBACK (echo_data_cb), NULL);
  else
    g_signal_connect (channel, "message", G_CALLBACK (echo_message_cb), NULL);
  /* Where half-open connections are allowed nobody else does. */
  g_signal_connect (channel, "end", G_CALLBACK (usock_channel_end), NULL);
}

static void
datagram_cb (UsockDgram *socket,
             GByteArray *bytes,
             const char *sender,
             gpointer    unused)
{
  if (sender != NULL)
    usock_dgram_send_to (socket, bytes->data, bytes->len, sender, NULL);
}

/* The children begin when there is something to connect to. */
static void
run_children (UsockTest *test,
              Drama     *play,
              pid_t     *hostile,
              pid_t     *polite)
{
  close (play->start[1]);
  heartbeat_resume (&heartbeat, test);
  usock_test_wait_until (is_gone (hostile) & is_gone (polite));
  heartbeat_pause (&heartbeat);
  close (play->start[0]);
}

static void
serve (UsockTest *test,
       Drama     *play,
       pid_t     *hostile,
       pid_t     *polite)
{
  g_autoptr (UsockServer) server = usock_server_new (
      play->type == SOCK_STREAM ? G_SOCKET_TYPE_STREAM : G_SOCKET_TYPE_SEQPACKET);
  guint n_connections = play->seed;

  g_object_set (server, "max-fds", HOSTILE_MAX_FDS, "pass-credentials", play->seed % 2 == 0, "queue-limit",
                (guint64) 100 * 1000, "allow-half-open", play->seed % 3 == 0, NULL);
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), &n_connections);
  usock_test_no_error (usock_server_listen_on_path (server, play->path, 0, &error));
  run_children (test, play, hostile, polite);
  usock_test_wait_until (usock_server_get_n_connections (server) == 0);
  torture_wait_until_quiet (test, 50);
  usock_socket_close (USOCK_SOCKET (server));
  usock_run_until_closed (test->context);
}

static void
serve_datagrams (UsockTest *test,
                 Drama     *play,
                 pid_t     *hostile,
                 pid_t     *polite)
{
  g_autoptr (UsockDgram) socket = usock_dgram_new ();

  g_object_set (socket, "max-fds", HOSTILE_MAX_FDS, "pass-credentials", play->seed % 2 == 0, "queue-limit",
                (guint64) 100 * 1000, NULL);
  g_signal_connect (socket, "datagram", G_CALLBACK (datagram_cb), NULL);
  usock_test_no_error (usock_dgram_bind_to_path (socket, play->path, &error));
  run_children (test, play, hostile, polite);
  usock_socket_close (USOCK_SOCKET (socket));
  usock_run_until_closed (test->context);
}

static void
play_one (UsockTest *test,
          int        type,
          guint32    seed)
{
  Drama play = { .type = type, .seed = seed, .listener = -1, .directory = test->directory };
  g_autofree char *path = play.path = usock_test_path (test, "socket");
  pid_t hostile, polite;

  g_test_message ("seed %u", seed);
  g_assert_cmpint (pipe2 (play.start, O_CLOEXEC), ==, 0);
  hostile = start_child (&play, hostile_play);
  polite = start_child (&play, hostile_play_polite);
  if (type == SOCK_DGRAM)
    serve_datagrams (test, &play, &hostile, &polite);
  else
    serve (test, &play, &hostile, &polite);
}

static void
test_hostile (UsockTest     *test,
              gconstpointer  type)
{
  const char *given = g_getenv ("USOCK_TEST_SEED");
  guint32 seed = given != NULL ? g_ascii_strtoull (given, NULL, 10) : 1;
  gint64 start = g_get_monotonic_time ();
  gint64 time = torture_seconds () * G_USEC_PER_SEC / N_TYPES;
  guint64 before = 0;

  memset (&heartbeat, 0, sizeof heartbeat);
  for (guint n = 0; n < 3 || g_get_monotonic_time () < start + time; n++)
    {
      play_one (test, GPOINTER_TO_INT (type), seed + n);
      if (g_get_monotonic_time () < start + time / 4 || n < 2)
        before = torture_resident ();
    }
  heartbeat_judge (&heartbeat);
  if (!torture_is_instrumented ())
    g_assert_cmpuint (torture_resident (), <, before + GROWTH);
}

static void
add (const char *path,
     int         type)
{
  g_test_add (path, UsockTest, GINT_TO_POINTER (type), usock_test_setup, test_hostile,
              usock_test_teardown);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/torture/hostile/seqpacket", SOCK_SEQPACKET);
  add ("/torture/hostile/stream", SOCK_STREAM);
  add ("/torture/hostile/dgram", SOCK_DGRAM);
  return g_test_run ();
}
