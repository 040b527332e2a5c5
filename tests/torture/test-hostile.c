/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* One child sends whatever a socket lets it send: bytes, descriptors of odd kinds, urgent bytes,
 * ends, and does not read. What it does follows from a seed, USOCK_TEST_SEED if there is one.
 * Another child is polite, and gets its answer each time. */

#include "torture.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/un.h>

#define N_SOCKETS 8
#define N_KINDS 7
#define MAX_FDS 4
#define LONGEST_REQUEST 3000
#define PATIENCE 20

typedef struct
{
  int type;
  guint32 seed;
  int start[2];
  char *directory;
  char *path;
} Drama;

typedef struct
{
  const Drama *play;
  int fds[N_SOCKETS];
  int kinds[N_KINDS + 1];
} Hostile;

static gint64
play_until (void)
{
  return g_get_monotonic_time () + 500 * 1000;
}

/* Without the path of its own, a datagram socket has no name. */
static int
connect_raw (const Drama *play,
             int          flags,
             const char  *name)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, play->type | SOCK_CLOEXEC | flags, 0);

  if (name != NULL)
    {
      g_autofree char *own = g_build_filename (play->directory, name, NULL);

      unlink (own);
      g_strlcpy (address.sun_path, own, sizeof address.sun_path);
      bind (fd, (struct sockaddr *) &address, sizeof address);
    }
  g_strlcpy (address.sun_path, play->path, sizeof address.sun_path);
  if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
    return fd;

  close (fd);
  return -1;
}

static void
hostile_start (Hostile     *self,
               const Drama *play)
{
  int pair[2];

  self->play = play;
  for (guint i = 0; i < N_SOCKETS; i++)
    self->fds[i] = -1;
  if (pipe (pair) != 0)
    _exit (2);
  self->kinds[0] = pair[0];
  self->kinds[1] = pair[1];
  self->kinds[2] = open (play->directory, O_RDONLY | O_DIRECTORY);
  self->kinds[3] = open (play->directory, O_PATH);
  self->kinds[4] = memfd_create ("hostile", 0);
  self->kinds[5] = epoll_create1 (0);
  self->kinds[6] = eventfd (0, 0);
}

static void
hostile_send (Hostile *self,
              int      fd,
              guint32  hash)
{
  static const gsize lengths[] = { 0, 1, 100, 5000, 70 * 1000, 200 * 1000, 300 * 1000 };
  static const int flags[] = { 0, 0, 0, MSG_OOB, MSG_EOR, MSG_MORE };
  gsize length = lengths[hash % G_N_ELEMENTS (lengths)];
  g_autofree char *data = g_malloc0 (length + 1);

  send (fd, data, length, MSG_NOSIGNAL | flags[hash / 16 % G_N_ELEMENTS (flags)]);
}

/* The last kind is the connection itself, which then keeps itself open. */
static void
hostile_send_fds (Hostile *self,
                  int      fd,
                  guint32  hash)
{
  static const guint counts[] = { 1, 2, MAX_FDS, MAX_FDS + 1, 253 };
  guint n = counts[hash % G_N_ELEMENTS (counts)];
  int fds[253];

  self->kinds[N_KINDS] = fd;
  for (guint i = 0; i < n; i++)
    fds[i] = self->kinds[sequence_hash (hash, i) % (N_KINDS + 1)];
  raw_send_fds (fd, "d", hash / 8 % 2, fds, n);
}

static void
hostile_act (Hostile *self,
             guint32  hash)
{
  guint i = hash % N_SOCKETS;
  int *fd = &self->fds[i];
  const char *names[] = { NULL, "hostile-1", "hostile-2" };
  char buffer[10 * 1000];

  if (*fd < 0)
    {
      *fd = connect_raw (self->play, SOCK_NONBLOCK,
                         self->play->type == SOCK_DGRAM ? names[hash / 8 % 3] : NULL);
      return;
    }

  switch (hash / N_SOCKETS % 16)
    {
    case 0:
      shutdown (*fd, hash / 128 % 3);
      break;
    case 1:
      close (*fd);
      *fd = -1;
      break;
    case 2:
    case 3:
      recv (*fd, buffer, sizeof buffer, 0);
      break;
    case 4:
    case 5:
    case 6:
      hostile_send_fds (self, *fd, hash / 128);
      break;
    default:
      hostile_send (self, *fd, hash / 128);
      break;
    }
}

static int
play_hostile (const Drama *play)
{
  Hostile self;
  gint64 until = play_until ();

  hostile_start (&self, play);
  for (guint32 i = 0; g_get_monotonic_time () < until; i++)
    hostile_act (&self, sequence_hash (play->seed, i));
  return 0;
}

/* A stream may answer in pieces. */
static gboolean
ask (int     fd,
     guint32 seed,
     guint32 i)
{
  guint8 request[LONGEST_REQUEST + 1];
  guint8 answer[LONGEST_REQUEST + 1];
  gsize length = sequence_length (seed, i, LONGEST_REQUEST);
  gsize received = 0;

  sequence_fill (seed, i, request, length);
  if (send (fd, request, length, MSG_NOSIGNAL) != (gssize) length)
    return FALSE;
  while (received < length)
    {
      gssize n = recv (fd, answer + received, sizeof answer - received, 0);

      if (n <= 0)
        return FALSE;
      received += n;
    }

  return received == length && memcmp (request, answer, length) == 0;
}

static int
play_polite (const Drama *play)
{
  struct timeval patience = { .tv_sec = PATIENCE };
  gint64 until = play_until ();
  guint32 i = 0;

  while (i == 0 || g_get_monotonic_time () < until)
    {
      int fd = connect_raw (play, 0, play->type == SOCK_DGRAM ? "polite" : NULL);

      if (fd < 0)
        return 3;
      setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
      for (guint end = i + 20; i < end; i++)
        if (!ask (fd, play->seed, i))
          return 4;
      close (fd);
    }

  return 0;
}

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
  Heartbeat heartbeat;

  close (play->start[1]);
  heartbeat_start (&heartbeat, test);
  usock_test_wait_until (is_gone (hostile) & is_gone (polite));
  heartbeat_stop (&heartbeat);
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

  g_object_set (server, "max-fds", MAX_FDS, "pass-credentials", play->seed % 2 == 0, "queue-limit",
                (guint64) 100 * 1000, "allow-half-open", play->seed % 3 == 0, NULL);
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), &n_connections);
  usock_test_no_error (usock_server_listen_on_path (server, play->path, 0, &error));
  run_children (test, play, hostile, polite);
  usock_test_wait_until (usock_server_get_n_connections (server) == 0);
  /* A deadline that was for a connection may be looked at once more. */
  g_assert_cmpuint (torture_count_wakeups (test, 50), <, 5);
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

  g_object_set (socket, "max-fds", MAX_FDS, "pass-credentials", play->seed % 2 == 0, "queue-limit",
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
  Drama play = { .type = type, .seed = seed, .directory = test->directory };
  g_autofree char *path = play.path = usock_test_path (test, "socket");
  pid_t hostile, polite;

  g_test_message ("seed %u", seed);
  g_assert_cmpint (pipe2 (play.start, O_CLOEXEC), ==, 0);
  hostile = start_child (&play, play_hostile);
  polite = start_child (&play, play_polite);
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
  guint32 first = given != NULL ? g_ascii_strtoull (given, NULL, 10) : 1;
  guint n = torture_scaled (3, 100);

  for (guint32 seed = first; seed < first + n; seed++)
    play_one (test, GPOINTER_TO_INT (type), seed);
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
