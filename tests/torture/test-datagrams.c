/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Datagrams to receivers that stop, come and go, or listen to somebody else. They hold for every
 * net.unix.max_dgram_qlen; see with-queue-length. */

#include "torture.h"

#include <signal.h>
#include <sys/un.h>

static struct sockaddr_un
raw_address (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  return address;
}

static int
raw_bind (const char *path)
{
  struct sockaddr_un address = raw_address (path);
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  return bind (fd, (struct sockaddr *) &address, sizeof address) == 0 ? fd : -1;
}

static int
raw_bind_or_fail (const char *path)
{
  int fd = raw_bind (path);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static gboolean
send_number (UsockDgram  *socket,
             guint32      number,
             const char  *destination,
             GError     **error)
{
  const guint8 *data = (const guint8 *) &number;

  return destination != NULL
             ? usock_dgram_send_to (socket, data, sizeof number, destination, error)
             : usock_channel_send (USOCK_CHANNEL (socket), data, sizeof number, error);
}

static void
close_socket (UsockDgram *socket)
{
  usock_socket_close (USOCK_SOCKET (socket));
  while (g_main_context_iteration (g_main_context_get_thread_default (), FALSE))
    ;
  g_assert_finalize_object (G_OBJECT (socket));
}

static void
count_failure (guint      *n,
               const char *destination,
               GError     *error)
{
  (*n)++;
}

/* A program that is stopped while its queue fills. */

typedef struct
{
  const char *path;
  guint32 n;
} Sleeper;

static int
play_sleeper (int      pair,
              gpointer data)
{
  const Sleeper *sleeper = data;
  int fd = raw_bind (sleeper->path);
  guint32 number;

  if (fd < 0 || write (pair, "r", 1) != 1)
    return 1;
  raise (SIGSTOP);
  for (guint32 i = 0; i < sleeper->n; i++)
    if (recv (fd, &number, sizeof number, 0) != sizeof number || number != i)
      return 2;
  return 0;
}

static void
check_stopped (UsockTest *test,
               gboolean   connected)
{
  g_autofree char *path = usock_test_path (test, "receiver");
  Sleeper sleeper = { path, 10000 };
  UsockDgram *socket = usock_dgram_new ();
  pid_t child = torture_fork (test, play_sleeper, &sleeper);
  int status;

  g_assert_cmpint (waitpid (child, &status, WUNTRACED), ==, child);
  g_assert_true (WIFSTOPPED (status));
  usock_channel_set_send_timeout (USOCK_CHANNEL (socket), 0);
  if (connected)
    usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (socket), path, &error));
  for (guint32 i = 0; i < sleeper.n; i++)
    usock_test_no_error (send_number (socket, i, connected ? NULL : path, &error));

  /* Every three seconds it looks who has the path now. */
  torture_wait_until_quiet (test, torture_scaled (1000, 2500));
  kill (child, SIGCONT);
  usock_test_wait_until (usock_channel_get_queued_bytes (USOCK_CHANNEL (socket)) == 0);
  torture_reap (child);

  close_socket (socket);
  unlink (path);
}

static void
test_stopped (UsockTest     *test,
              gconstpointer  data)
{
  check_stopped (test, FALSE);
}

static void
test_stopped_peer (UsockTest     *test,
                   gconstpointer  data)
{
  check_stopped (test, TRUE);
}

/* A program that is started anew, again and again. */

static guint
drain_numbers (int      fd,
               guint32 *last)
{
  guint32 number;
  guint n = 0;

  for (; recv (fd, &number, sizeof number, MSG_DONTWAIT) == sizeof number; n++)
    {
      g_assert_cmpuint (number, >, *last);
      *last = number;
    }
  return n;
}

/* What a receiver takes along in its queue nobody can know: it is emptied first. Of all others
 * each is either received, in order, or reported. */
static void
check_restarts (UsockTest *test,
                gboolean   connected)
{
  const guint n_messages = torture_scaled (10000, 100000);
  g_autofree char *path = usock_test_path (test, "receiver");
  UsockDgram *socket = usock_dgram_new ();
  UsockChannel *channel = USOCK_CHANNEL (socket);
  guint n_received = 0, n_refused = 0, n_failed = 0;
  guint32 last = 0;
  int fd = raw_bind_or_fail (path);

  g_signal_connect_swapped (socket, "send-failed", G_CALLBACK (count_failure), &n_failed);
  if (connected)
    usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  for (guint32 i = 1; i <= n_messages; i++)
    {
      n_refused += !send_number (socket, i, connected ? NULL : path, NULL);
      if (i % 7 == 0)
        g_main_context_iteration (test->context, FALSE);
      if (fd != -1 && i % 13 == 0)
        n_received += drain_numbers (fd, &last);
      if (i % (n_messages / 100) == 0)
        {
          n_received += drain_numbers (fd, &last);
          unlink (path);
          close (fd);
          fd = -1;
        }
      else if (fd == -1 && i % 5 == 0)
        fd = raw_bind_or_fail (path);
    }

  if (fd == -1)
    fd = raw_bind_or_fail (path);
  while (usock_channel_get_queued_bytes (channel) > 0)
    {
      n_received += drain_numbers (fd, &last);
      usock_test_iterate (usock_test_deadline (), "the queue");
    }
  usock_test_wait_until (!g_main_context_pending (test->context));
  n_received += drain_numbers (fd, &last);
  g_assert_cmpuint (n_refused, >, 0);
  g_assert_cmpuint (n_received, >, n_messages / 20);
  g_assert_cmpuint (n_received + n_refused + n_failed, ==, n_messages);

  g_signal_handlers_disconnect_by_data (socket, &n_failed);
  close_socket (socket);
  close (fd);
  unlink (path);
}

static void
test_restarts (UsockTest     *test,
               gconstpointer  data)
{
  check_restarts (test, FALSE);
}

static void
test_restarts_of_peer (UsockTest     *test,
                       gconstpointer  data)
{
  check_restarts (test, TRUE);
}

/* Questions and answers. */

static void
answer (UsockDgram *server,
        GByteArray *question,
        const char *sender)
{
  usock_test_no_error (
      usock_dgram_send_to (server, question->data, question->len, sender, &error));
}

typedef struct
{
  UsockDgram *client;
  const char *path;
  guint32 next;
  guint32 n;
} Asker;

static void
ask_next (Asker      *asker,
          GByteArray *bytes)
{
  guint32 number;

  g_assert_cmpuint (bytes->len, ==, sizeof number);
  memcpy (&number, bytes->data, sizeof number);
  g_assert_cmpuint (number, ==, asker->next);
  if (++asker->next < asker->n)
    usock_test_no_error (send_number (asker->client, asker->next, asker->path, &error));
}

static void
test_answers (UsockTest     *test,
              gconstpointer  data)
{
  g_autofree char *path = usock_test_path (test, "server");
  UsockDgram *server = usock_dgram_new ();
  Asker asker = { usock_dgram_new (), path, 0, torture_scaled (1000, 10000) };

  usock_test_no_error (usock_dgram_bind_to_path (server, path, &error));
  usock_test_no_error (usock_dgram_autobind (asker.client, &error));
  g_signal_connect (server, "datagram", G_CALLBACK (answer), NULL);
  g_signal_connect_swapped (asker.client, "data", G_CALLBACK (ask_next), &asker);
  usock_test_no_error (send_number (asker.client, 0, path, &error));
  usock_test_wait_until (asker.next == asker.n);

  g_signal_handlers_disconnect_by_data (asker.client, &asker);
  close_socket (asker.client);
  close_socket (server);
}

/* A receiver that listens to somebody else from now on. What waits for it is refused once there
 * is room, and not tried for ever. */
static void
test_filtered (UsockTest     *test,
               gconstpointer  data)
{
  g_autofree char *path = usock_test_path (test, "receiver");
  g_autofree char *other_path = usock_test_path (test, "other");
  struct sockaddr_un address = raw_address (other_path);
  UsockDgram *socket = usock_dgram_new ();
  int fd = raw_bind_or_fail (path), other = raw_bind_or_fail (other_path);
  guint n_failed = 0, n_taken;
  guint32 last = 0;
  g_autoptr (GError) refusal = NULL;

  g_signal_connect_swapped (socket, "send-failed", G_CALLBACK (count_failure), &n_failed);
  for (guint32 i = 1; i <= 2000; i++)
    usock_test_no_error (send_number (socket, i, path, &error));
  n_taken = usock_channel_get_messages_written (USOCK_CHANNEL (socket));
  g_assert_cmpuint (n_taken, <, 2000);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  drain_numbers (fd, &last);
  usock_test_wait_until (n_failed == 2000 - n_taken);
  g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (socket)), ==, 0);
  torture_wait_until_quiet (test, 200);
  g_assert_false (send_number (socket, 0, path, &refusal));
  g_assert_error (refusal, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);

  g_signal_handlers_disconnect_by_data (socket, &n_failed);
  close_socket (socket);
  close (fd);
  close (other);
}

static void
ignore (void)
{
}

/* Somebody shuts our receiving side down, behind our back: the kernel calls it readable for
 * ever. */
static void
test_shut_down (UsockTest     *test,
                gconstpointer  data)
{
  g_autofree char *path = usock_test_path (test, "receiver");
  g_autofree char *other_path = usock_test_path (test, "other");
  UsockDgram *socket = usock_dgram_new ();
  int other = raw_bind_or_fail (other_path);
  guint32 last = 0;

  usock_test_no_error (usock_dgram_bind_to_path (socket, path, &error));
  g_signal_connect (socket, "data", G_CALLBACK (ignore), NULL);
  torture_wait_until_quiet (test, 10);
  g_assert_cmpint (shutdown (usock_socket_get_fd (USOCK_SOCKET (socket)), SHUT_RD), ==, 0);
  torture_wait_until_quiet (test, 500);
  usock_test_no_error (send_number (socket, 1, other_path, &error));
  g_assert_cmpuint (drain_numbers (other, &last), ==, 1);

  close_socket (socket);
  close (other);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/torture/datagrams/stopped", test_stopped);
  usock_test_add ("/torture/datagrams/stopped-peer", test_stopped_peer);
  usock_test_add ("/torture/datagrams/restarts", test_restarts);
  usock_test_add ("/torture/datagrams/restarts-of-peer", test_restarts_of_peer);
  usock_test_add ("/torture/datagrams/answers", test_answers);
  usock_test_add ("/torture/datagrams/filtered", test_filtered);
  usock_test_add ("/torture/datagrams/shut-down", test_shut_down);

  return g_test_run ();
}
