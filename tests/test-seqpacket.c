/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sequence.h"
#include "witness.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL "connect data drain end timeout error close"

static void
check_refused (int          fd,
               GIOErrorEnum code,
               const char  *reason)
{
  GError *failure = NULL;
  int flags = fcntl (fd, F_GETFL);

  g_assert_null (usock_seqpacket_new_from_fd (fd, &failure));
  if (fd >= 0)
    {
      g_autofree char *number = g_strdup_printf ("%d", fd);

      g_assert_nonnull (strstr (failure->message, number));
    }
  g_assert_nonnull (strstr (failure->message, reason));
  assert_error_code (failure, code);
  g_assert_cmpint (fcntl (fd, F_GETFL), ==, flags);
}

/* On failure the descriptor stays the caller's. */
static void
test_bad_fds (UsockTest     *test,
              gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int closed = fcntl (test->pair[0], F_DUPFD_CLOEXEC, 3);
  int file = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  int unconnected = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  int listening = scene_listen (path, 1);
  int inet = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int streams[2], dgrams[2];

  close (closed);
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, streams));
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, dgrams));
  check_refused (-1, G_IO_ERROR_INVALID_ARGUMENT, "");
  check_refused (closed, G_IO_ERROR_INVALID_ARGUMENT, "");
  check_refused (file, G_IO_ERROR_INVALID_ARGUMENT, "");
  check_refused (streams[0], G_IO_ERROR_INVALID_ARGUMENT, "another type");
  check_refused (dgrams[0], G_IO_ERROR_INVALID_ARGUMENT, "another type");
  check_refused (inet, G_IO_ERROR_INVALID_ARGUMENT, "another type");
  check_refused (unconnected, G_IO_ERROR_NOT_CONNECTED, "no peer");
  check_refused (listening, G_IO_ERROR_NOT_CONNECTED, "listens");

  close (file);
  close (unconnected);
  close (listening);
  close (inet);
  for (guint i = 0; i < 2; i++)
    {
      close (streams[i]);
      close (dgrams[i]);
    }
}

static void
test_same_fd_twice (UsockTest     *test,
                    gconstpointer  unused)
{
  UsockChannel *channel = scene_adopt (test);
  Witness witness;

  witness_init (&witness);
  witness_watch (&witness, channel, ALL);
  check_refused (usock_socket_get_fd (USOCK_SOCKET (channel)), G_IO_ERROR_EXISTS, "");
  scene_send (test->pair[1], "alive");
  witness_expect (&witness, "data:alive");
  scene_close (channel);
  witness_clear (&witness);
}

/* The file description is shared with who knows whom: a blocking one stays so, and nothing
 * blocks on it. */
static void
test_flags_are_kept (UsockTest     *test,
                     gconstpointer  unused)
{
  UsockChannel *channel;
  Witness witness;
  int fd = test->pair[0];
  GError *failure = NULL;
  guint n;

  witness_init (&witness);
  g_assert_no_errno (fcntl (fd, F_SETFL, 0));
  g_assert_no_errno (fcntl (fd, F_SETFD, 0));
  channel = scene_adopt (test);
  witness_watch (&witness, channel, ALL);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (channel)), ==, fd);
  g_assert_cmpint (fcntl (fd, F_GETFL) & O_NONBLOCK, ==, 0);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, 0);
  scene_settle ();
  scene_send (test->pair[1], "1");
  witness_expect (&witness, "data:1");
  usock_channel_set_queue_limit (channel, 1024);
  n = scene_fill (channel, &failure);
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  for (guint i = 0; i < n; i++)
    {
      g_free (scene_receive (test->pair[1]));
      scene_settle ();
    }
  witness_assert (&witness, "drain");
  scene_close (channel);
  witness_clear (&witness);
}

static void
test_adopted_is_open (UsockTest     *test,
                      gconstpointer  unused)
{
  UsockChannel *channel;
  Witness witness;

  witness_init (&witness);
  close (usock_test_take (test, 1));
  channel = scene_adopt (test);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_OPEN);
  witness_watch (&witness, channel, ALL);
  witness_expect (&witness, "end close");
  scene_close (channel);
  witness_clear (&witness);
}

static void
test_pair (UsockTest     *test,
           gconstpointer  unused)
{
  UsockChannel *channels[2];
  Witness witnesses[2];

  scene_pair (&channels[0], &channels[1]);
  for (guint i = 0; i < 2; i++)
    {
      int fd = usock_socket_get_fd (USOCK_SOCKET (channels[i]));

      g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
      g_assert_cmpint (fcntl (fd, F_GETFL) & O_NONBLOCK, !=, 0);
      witness_init (&witnesses[i]);
      witness_watch (&witnesses[i], channels[i], ALL);
      usock_test_no_error (usock_channel_send_text (channels[i], "hello", &error));
    }
  for (guint i = 0; i < 2; i++)
    witness_expect (&witnesses[i], "data:hello");
  scene_close (channels[0]);
  witness_expect (&witnesses[1], "end close");
  scene_close (channels[1]);
  for (guint i = 0; i < 2; i++)
    witness_clear (&witnesses[i]);
}

static void
limit_fds (rlim_t         limit,
           struct rlimit *before)
{
  struct rlimit now;

  getrlimit (RLIMIT_NOFILE, before);
  now = *before;
  now.rlim_cur = limit;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &now));
}

/* Whatever is missing, the descriptor of the epoll or those of the sockets, it is an error. */
static void
test_without_descriptors (UsockTest     *test,
                          gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  struct rlimit before;
  GError *failure = NULL;
  UsockSeqpacket *first, *second, *channel;
  int listener, lowest;

  if (scene_skip_limits ())
    return;

  listener = scene_listen (path, 5);
  lowest = fcntl (listener, F_DUPFD_CLOEXEC, 3);
  close (lowest);
  for (guint room = 0; room < 3; room++)
    {
      limit_fds (lowest + room, &before);
      g_assert_false (usock_seqpacket_new_pair (&first, &second, &failure));
      assert_error_code (failure, G_IO_ERROR_TOO_MANY_OPEN_FILES);
      channel = usock_seqpacket_new ();
      if (!usock_channel_connect_to_path (USOCK_CHANNEL (channel), path, &failure))
        {
          g_assert_cmpuint (room, <, 2);
          assert_error_code (failure, G_IO_ERROR_TOO_MANY_OPEN_FILES);
        }
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));

      /* What could not be had is looked for again. */
      if (usock_socket_get_state (USOCK_SOCKET (channel)) == USOCK_STATE_NEW)
        usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (channel), path, &error));
      scene_close (channel);
    }
  close (listener);
}

/* Each length once, whole. */

typedef struct
{
  guint n_received;
  gsize length;
} Whole;

static void
whole_cb (UsockChannel *channel,
          GByteArray   *bytes,
          Whole        *self)
{
  g_assert_cmpuint (bytes->len, ==, self->length);
  g_assert_true (sequence_matches (5, self->length, bytes->data, bytes->len));
  self->n_received++;
}

static void
test_lengths (UsockTest     *test,
              gconstpointer  unused)
{
  static const gsize lengths[] = { 0, 1, 2, 4095, 4096, 4097, 65535, 65536, 212959, 212960, 212961,
                                   262143, 262144, 262145, 1000000, 2097120, 4194304, 4263615,
                                   4263616 };
  UsockChannel *sender, *receiver;
  guint8 *data = g_malloc (4263616);
  Whole whole = { 0 };

  scene_pair (&sender, &receiver);
  usock_channel_set_read_buffer_size (receiver, 4263616);
  g_signal_connect (receiver, "data", G_CALLBACK (whole_cb), &whole);
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      whole.length = lengths[i];
      sequence_fill (5, lengths[i], data, lengths[i]);
      usock_test_no_error (usock_channel_send (sender, data, lengths[i], &error));
      usock_test_wait_until (whole.n_received == i + 1);
    }
  g_free (data);
  scene_close (sender);
  scene_close (receiver);
}

static void
grow_cb (UsockChannel *channel,
         GByteArray   *bytes,
         guint        *n)
{
  g_assert_cmpuint (bytes->len, ==, *n);
  usock_channel_set_read_buffer_size (channel, ++*n);
}

/* The buffer has just the length of the next message, which fills it to the last byte. */
static void
test_exact_buffers (UsockTest     *test,
                    gconstpointer  unused)
{
  UsockChannel *sender, *receiver;
  Witness witness;
  guint8 *data = g_malloc0 (10 * 1000);
  guint n = 1, n_sent = 1;

  witness_init (&witness);
  scene_pair (&sender, &receiver);
  usock_channel_set_read_buffer_size (receiver, n);
  g_signal_connect (receiver, "data", G_CALLBACK (grow_cb), &n);
  witness_watch (&witness, receiver, "error close");
  while (n < 10 * 1000)
    {
      if (n_sent <= n)
        {
          usock_test_no_error (usock_channel_send (sender, data, n_sent, &error));
          n_sent++;
        }
      usock_test_iterate (usock_test_deadline (), "the next message");
    }
  witness_assert (&witness, "");
  g_free (data);
  scene_close (sender);
  scene_close (receiver);
  witness_clear (&witness);
}

/* A process that is killed in the middle of things. */
static void
test_peer_is_killed (UsockTest     *test,
                     gconstpointer  unused)
{
  UsockChannel *channel = scene_adopt (test);
  Witness witness;
  pid_t child;
  int status;

  witness_init (&witness);
  witness_watch (&witness, channel, ALL);
  child = fork ();
  if (child == 0)
    {
      close (usock_socket_get_fd (USOCK_SOCKET (channel)));
      scene_send (test->pair[1], "1");
      scene_send (test->pair[1], "");
      for (;;)
        pause ();
    }
  close (usock_test_take (test, 1));
  witness_expect (&witness, "data:1 data:");
  usock_test_no_error (usock_channel_send_text (channel, "unread", &error));
  kill (child, SIGKILL);
  waitpid (child, &status, 0);
  witness_expect (&witness, "error:broken-pipe close");
  scene_close (channel);
  witness_clear (&witness);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/seqpacket/" name, function)

  add ("bad-fds", test_bad_fds);
  add ("same-fd-twice", test_same_fd_twice);
  add ("flags-are-kept", test_flags_are_kept);
  add ("adopted-is-open", test_adopted_is_open);
  add ("pair", test_pair);
  add ("without-descriptors", test_without_descriptors);
  add ("lengths", test_lengths);
  add ("exact-buffers", test_exact_buffers);
  add ("peer-is-killed", test_peer_is_killed);

  return g_test_run ();
}
