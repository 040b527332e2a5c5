/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Descriptors that are too many, unwanted, strange, stuck under way, or nobody's. That none is left
 * over is checked after each case. */

#include "torture.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define MOST_FDS 253

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

static void
test_too_many (UsockTest *test,
               gconstpointer data)
{
  int fds[MOST_FDS + 1];
  char control[CMSG_SPACE (sizeof fds)];
  struct iovec vector = { control, 1 };
  struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };
  g_autoptr (GError) too_many = NULL;
  g_autoptr (GError) bad = NULL;
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = STDERR_FILENO;
  g_assert_false (usock_channel_send_with_fds (channel, (guint8 *) "a", 1, fds, MOST_FDS + 1,
                                               &too_many));
  g_assert_nonnull (too_many);
  fds[3] = -1;
  g_assert_false (usock_channel_send_with_fds (channel, (guint8 *) "b", 1, fds, 5, &bad));
  g_assert_nonnull (bad);
  g_assert_cmpint (recvmsg (test->pair[1], &header, MSG_DONTWAIT), ==, -1);
  g_assert_true (is_open (STDERR_FILENO));

  fds[3] = STDERR_FILENO;
  usock_test_no_error (
    usock_channel_send_with_fds (channel, (guint8 *) "c", 1, fds, MOST_FDS, &error));
  g_assert_cmpint (recvmsg (test->pair[1], &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), ==, 1);
  g_assert_cmpint (*control, ==, 'c');
  g_assert_cmphex (header.msg_flags & MSG_CTRUNC, ==, MSG_CTRUNC);
  torture_close (channel);
}

/* Each tenth message comes without descriptors. It must get through in any case. */
static int
play_hostile (int fd,
              gpointer data)
{
  const guint n = GPOINTER_TO_UINT (data);
  int fds[MOST_FDS];

  for (guint i = 0; i < MOST_FDS; i++)
    fds[i] = fd;
  for (guint32 i = 0; i < n; i++)
    {
      int result = i % 10 == 0 ? send (fd, &i, sizeof i, MSG_NOSIGNAL) == sizeof i ? 0 : -errno
                               : raw_send_fds (fd, &i, sizeof i, fds, MOST_FDS);

      /* EPERM is how the kernel refuses them on the receiver's behalf. */
      if (result != 0 && result != -EPERM)
        return 1;
    }
  return 0;
}

typedef struct
{
  guint n_plain;
  guint n_lost;
  guint n_with_fds;
  guint most_fds;
} Tally;

static void
tally_cb (UsockChannel *channel,
          UsockMessage *message,
          Tally *tally)
{
  gsize length;
  const guint32 *number = (gconstpointer) usock_message_get_data (message, &length);

  g_assert_cmpuint (length, ==, sizeof *number);
  if (*number % 10 == 0)
    tally->n_plain++;
  else if (usock_message_get_flags (message) & USOCK_MESSAGE_FLAGS_FDS_LOST)
    tally->n_lost++;
  else if (usock_message_get_n_fds (message) > 0)
    tally->n_with_fds++;
  if (*number % 100 == 0)
    tally->most_fds = MAX (tally->most_fds, torture_count_fds ());
}

static void
receive_hostile (UsockTest *test,
                 guint max_fds,
                 Tally *tally)
{
  const guint n = torture_scaled (1500, 100000);
  pid_t pid = torture_fork (test, play_hostile, GUINT_TO_POINTER (n));
  Stream stream = { 0 };
  Heartbeat heartbeat;
  guint n_fds;
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  usock_channel_set_max_fds (channel, max_fds);
  g_signal_connect (channel, "message", G_CALLBACK (tally_cb), tally);
  stream_watch (&stream, channel);
  n_fds = torture_count_fds ();
  heartbeat_start (&heartbeat, test);
  usock_test_wait_until (stream.n_closed);
  heartbeat_stop (&heartbeat);
  g_assert_no_error (stream.error);
  g_assert_cmpuint (tally->n_plain, ==, n / 10);
  /* One message of them, and those that wait for the thread that closes what may block. */
  g_assert_cmpuint (tally->most_fds, <=, n_fds + 4 + max_fds + 253 + 512);
  torture_reap (pid);
  stream_clear (&stream);
}

static void
test_unwanted (UsockTest *test,
               gconstpointer data)
{
  Tally tally = { 0 };

  receive_hostile (test, 0, &tally);
  g_assert_cmpuint (tally.n_with_fds, ==, 0);
}

static void
test_more_than_wanted (UsockTest *test,
                       gconstpointer data)
{
  Tally tally = { 0 };

  receive_hostile (test, 1, &tally);
  g_assert_cmpuint (tally.n_with_fds, ==, 0);
  g_assert_cmpuint (tally.n_lost, >, 0);
}

static void
check_whole_cb (UsockChannel *channel,
                UsockMessage *message,
                guint *n_received)
{
  g_assert_cmphex (usock_message_get_flags (message), ==, USOCK_MESSAGE_FLAGS_NONE);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 20);
  (*n_received)++;
}

/* The process has numbers for the descriptors of one message, and for a few more, but not for all
 * that wait: reading ahead must not lose them. */
static void
test_few_numbers (UsockTest *test,
                  gconstpointer data)
{
  const guint n = 50;
  guint n_received = 0;
  struct rlimit old, tight;
  int fds[20];
  g_autoptr (UsockChannel) channel = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = STDERR_FILENO;
  for (guint i = 0; i < n; i++)
    g_assert_cmpint (raw_send_fds (test->pair[1], "x", 1, fds, G_N_ELEMENTS (fds)), ==, 0);
  channel = torture_adopt (test);
  usock_channel_set_max_fds (channel, G_N_ELEMENTS (fds));
  g_signal_connect (channel, "message", G_CALLBACK (check_whole_cb), &n_received);
  getrlimit (RLIMIT_NOFILE, &old);
  tight = old;
  tight.rlim_cur = 128;
  setrlimit (RLIMIT_NOFILE, &tight);
  usock_test_wait_until (n_received == n);
  setrlimit (RLIMIT_NOFILE, &old);
  torture_close (channel);
}

static void
check_kinds_cb (UsockChannel *channel,
                UsockMessage *message,
                guint *n_received)
{
  const UsockFdKind kinds[] = {
    USOCK_FD_KIND_SOCKET, USOCK_FD_KIND_SOCKET, USOCK_FD_KIND_OTHER,
    USOCK_FD_KIND_FILE,   USOCK_FD_KIND_DIRECTORY, USOCK_FD_KIND_MEMFD,
    USOCK_FD_KIND_PIPE,   USOCK_FD_KIND_DEVICE,
  };

  g_assert_cmpuint (usock_message_get_n_fds (message), ==, G_N_ELEMENTS (kinds));
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    g_assert_cmpint (usock_message_get_fd_kind (message, i), ==, kinds[i]);
  (*n_received)++;
}

static void
test_strange (UsockTest *test,
              gconstpointer data)
{
  g_autofree char *file = usock_test_path (test, "file");
  guint n_received = 0;
  int pipe_fds[2];
  int fds[8];
  g_autoptr (UsockChannel) channel = NULL;

  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  g_assert_cmpint (pipe2 (pipe_fds, O_CLOEXEC), ==, 0);
  fds[0] = dup (test->pair[1]);
  fds[1] = dup (test->pair[0]);
  fds[2] = epoll_create1 (EPOLL_CLOEXEC);
  fds[3] = open (file, O_PATH | O_CLOEXEC);
  fds[4] = open (test->directory, O_DIRECTORY | O_CLOEXEC);
  fds[5] = memfd_create ("memory", MFD_CLOEXEC);
  fds[6] = pipe_fds[0];
  fds[7] = open ("/dev/null", O_RDWR | O_CLOEXEC);

  channel = torture_adopt (test);
  usock_channel_set_max_fds (channel, G_N_ELEMENTS (fds));
  g_signal_connect (channel, "message", G_CALLBACK (check_kinds_cb), &n_received);
  g_assert_cmpint (raw_send_fds (test->pair[1], "x", 1, fds, G_N_ELEMENTS (fds)), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  close (pipe_fds[1]);
  usock_test_wait_until (n_received == 1);
  torture_close (channel);
}

/* Its own socket is under way over itself: the kernel frees such a ring only when it looks for it. */
static void
test_ring (UsockTest *test,
           gconstpointer data)
{
  int fds[2] = { test->pair[0], test->pair[1] };
  g_autoptr (UsockChannel) channel = NULL;

  g_assert_cmpint (raw_send_fds (test->pair[1], "x", 1, fds, 2), ==, 0);
  channel = torture_adopt (test);
  usock_channel_set_max_fds (channel, 2);
  close (usock_test_take (test, 1));
  torture_close (channel);
}

static void
take_twice_cb (UsockChannel *channel,
               UsockMessage *message,
               guint *n_received)
{
  g_autoptr (GError) taken = NULL;
  g_autoptr (GError) beyond = NULL;
  int fd, reused;

  usock_test_no_error ((fd = usock_message_take_fd (message, 0, &error)) >= 0);
  close (fd);
  /* The number is somebody else's now, and must stay open. */
  reused = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (reused, ==, fd);
  g_assert_cmpint (usock_message_take_fd (message, 0, &taken), ==, -1);
  g_assert_nonnull (taken);
  g_assert_cmpint (usock_message_take_fd (message, 1, &beyond), ==, -1);
  g_assert_nonnull (beyond);
  usock_message_close_fds (message);
  g_assert_true (is_open (reused));
  close (reused);
  (*n_received)++;
}

static void
test_taken_twice (UsockTest *test,
                  gconstpointer data)
{
  guint n_received = 0;
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  usock_channel_set_max_fds (channel, 1);
  g_signal_connect (channel, "message", G_CALLBACK (take_twice_cb), &n_received);
  g_assert_cmpint (raw_send_fds (test->pair[1], "x", 1, (int[]){ STDERR_FILENO }, 1), ==, 0);
  usock_test_wait_until (n_received == 1);
  torture_close (channel);
}

static void
count_cb (GObject *object,
          GAsyncResult *result,
          gpointer n_done)
{
  g_autoptr (GError) error = NULL;

  if (!usock_channel_send_message_finish (USOCK_CHANNEL (object), result, &error))
    g_assert_true (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)
                   || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED)
                   || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED));
  (*(guint *) n_done)++;
}

typedef enum
{
  WE_CLOSE,
  PEER_CLOSES,
  CALLER_CANCELS,
} Ending;

/* More messages with descriptors than the kernel takes, but not than a process has numbers for where
 * it has a thousand; and then nobody wants them any more. */
static void
test_queued (UsockTest *test,
             Ending ending)
{
  const guint n = 700;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  int fd = open (test->directory, O_DIRECTORY | O_CLOEXEC);
  guint n_done = 0;
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  for (guint i = 0; i < n; i++)
    {
      g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "x", 1);

      usock_test_no_error (usock_message_append_fd (message, fd, &error));
      usock_channel_send_message_async (channel, message, cancellable, count_cb, &n_done);
    }
  if (ending == PEER_CLOSES)
    close (usock_test_take (test, 1));
  else if (ending == CALLER_CANCELS)
    g_cancellable_cancel (cancellable);
  else
    usock_socket_close (USOCK_SOCKET (channel));
  usock_test_wait_until (n_done == n);
  torture_close (channel);
  g_assert_true (is_open (fd));
  close (fd);
}

static void
test_queued_we_close (UsockTest *test,
                      gconstpointer data)
{
  test_queued (test, WE_CLOSE);
}

static void
test_queued_peer_closes (UsockTest *test,
                         gconstpointer data)
{
  test_queued (test, PEER_CLOSES);
}

static void
test_queued_cancelled (UsockTest *test,
                       gconstpointer data)
{
  test_queued (test, CALLER_CANCELS);
}

#define N_FLIGHT 160

static gboolean
elapsed_cb (gpointer elapsed)
{
  *(gboolean *) elapsed = TRUE;
  return G_SOURCE_REMOVE;
}

static void
failed_cb (UsockSocket *socket,
           const GError *error,
           gpointer user_data)
{
  g_printerr ("in flight: %s\n", error->message);
  _exit (10);
}

/* Runs as a user who may have 100 descriptors under way. The library must keep the rest, without
 * spinning, until the reader takes some. */
static int
play_in_flight (int fd,
                gpointer data)
{
  const struct rlimit limit = { 100, 100 };
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = g_timeout_source_new (200);
  UsockChannel *channel;
  gboolean elapsed = FALSE;
  guint n_turns = 0;

  if (setgid (61103) < 0 || setuid (61103) < 0 || setrlimit (RLIMIT_NOFILE, &limit) < 0)
    return 1;
  g_main_context_push_thread_default (context);
  channel = USOCK_CHANNEL (usock_seqpacket_new_from_fd (fd, NULL));
  if (channel == NULL)
    return 2;
  g_signal_connect (channel, "error", G_CALLBACK (failed_cb), NULL);
  for (guint i = 0; i < N_FLIGHT; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (UsockMessage) message = usock_message_new ((guint8 *) &i, sizeof i);

      if (!usock_message_append_fd_owned (message, dup (fd), &error)
          || !usock_channel_send_message (channel, message, &error))
        {
          g_printerr ("in flight: message %u: %s\n", i, error->message);
          return 3;
        }
    }

  g_source_set_callback (source, elapsed_cb, &elapsed, NULL);
  g_source_attach (source, context);
  while (!elapsed)
    {
      g_main_context_iteration (context, TRUE);
      n_turns++;
    }
  if (usock_channel_get_messages_written (channel) != 101 || n_turns > 100)
    {
      g_printerr ("in flight: %" G_GUINT64_FORMAT " written, %u turns\n",
                  usock_channel_get_messages_written (channel), n_turns);
      return 4;
    }
  /* The reader starts when it sees this. */
  close (GPOINTER_TO_INT (data));
  while (usock_channel_get_messages_written (channel) < N_FLIGHT)
    g_main_context_iteration (context, TRUE);
  return 0;
}

static void
test_in_flight (UsockTest *test,
                gconstpointer data)
{
  int gate[2];
  pid_t pid;
  char byte;

  if (geteuid () != 0)
    {
      g_test_skip ("a user without descriptors under way is needed, and only root becomes one");
      return;
    }
  g_assert_cmpint (pipe2 (gate, O_CLOEXEC), ==, 0);
  pid = torture_fork (test, play_in_flight, GINT_TO_POINTER (gate[1]));
  close (gate[1]);
  g_assert_cmpint (read (gate[0], &byte, 1), ==, 0);
  close (gate[0]);

  fcntl (test->pair[0], F_SETFL, 0);
  for (guint i = 0; i < N_FLIGHT; i++)
    {
      int fd = raw_receive_fd (test->pair[0]);

      g_assert_cmpint (fd, >=, 0);
      close (fd);
    }
  torture_reap (pid);
}

int
main (int argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* First, while this process has no other threads. */
  usock_test_add ("/torture/descriptors/in-flight", test_in_flight);
  usock_test_add ("/torture/descriptors/too-many", test_too_many);
  usock_test_add ("/torture/descriptors/unwanted", test_unwanted);
  usock_test_add ("/torture/descriptors/more-than-wanted", test_more_than_wanted);
  usock_test_add ("/torture/descriptors/few-numbers", test_few_numbers);
  usock_test_add ("/torture/descriptors/strange", test_strange);
  usock_test_add ("/torture/descriptors/ring", test_ring);
  usock_test_add ("/torture/descriptors/taken-twice", test_taken_twice);
  usock_test_add ("/torture/descriptors/queued/we-close", test_queued_we_close);
  usock_test_add ("/torture/descriptors/queued/peer-closes", test_queued_peer_closes);
  usock_test_add ("/torture/descriptors/queued/cancelled", test_queued_cancelled);
  return g_test_run ();
}
