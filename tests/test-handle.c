/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <usock/usock.h>

#define SHORT 30
#define LONG 10000

static void
assert_failed (gboolean done, GError *error, GIOErrorEnum code)
{
  g_assert_false (done);
  g_assert_error (error, G_IO_ERROR, (int) code);
  g_error_free (error);
}

/* Fails the test unless the call, whose last argument is &error, fails with that code. */
#define assert_fails(call, code)                                                                   \
  G_STMT_START                                                                                     \
  {                                                                                                \
    GError *error = NULL;                                                                          \
    gboolean done_ = !!(call);                                                                     \
    assert_failed (done_, error, code);                                                            \
  }                                                                                                \
  G_STMT_END

static UsockHandle *
handle_new (int family, int type)
{
  UsockHandle *handle;

  usock_test_no_error (handle = usock_handle_new_socket (family, type, 0, &error));
  return handle;
}

static void
make_pair (int type, UsockHandle **first, UsockHandle **second)
{
  usock_test_no_error (usock_handle_new_pair (type, first, second, &error));
}

static void
send_text (UsockHandle *handle, const char *text)
{
  gssize length = strlen (text);

  usock_test_no_error (usock_handle_send (handle, (const guint8 *) text, length, 0, LONG, &error)
                       == length);
}

static void
assert_bytes (GBytes *bytes, const char *expected, gsize expected_length)
{
  gsize length;
  gconstpointer data = g_bytes_get_data (bytes, &length);

  g_assert_cmpmem (data, length, expected, expected_length);
}

static void
assert_receives (UsockHandle *handle, const char *text)
{
  g_autoptr (GBytes) bytes = NULL;

  usock_test_no_error (bytes = usock_handle_receive (handle, 1000, 0, LONG, &error));
  assert_bytes (bytes, text, strlen (text));
}

static void
assert_ended (UsockHandle *handle)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (usock_handle_receive (handle, 1000, 0, LONG, &error));
  g_assert_no_error (error);
}

static int
get_flags (UsockHandle *handle)
{
  return fcntl (usock_socket_get_fd (USOCK_SOCKET (handle)), F_GETFL);
}

static gint64
get_cpu_time (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC + usage.ru_utime.tv_usec
         + usage.ru_stime.tv_usec;
}

static void
test_births (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) local = handle_new (USOCK_AF_UNIX, USOCK_SOCK_SEQPACKET);
  g_autoptr (UsockHandle) flagged
      = handle_new (USOCK_AF_INET, USOCK_SOCK_DGRAM | USOCK_SOCK_NONBLOCK | USOCK_SOCK_CLOEXEC);
  g_autoptr (UsockHandle) bare = usock_handle_new ();
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  int fd = usock_socket_get_fd (USOCK_SOCKET (local));

  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (get_flags (local) & O_NONBLOCK, ==, O_NONBLOCK);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (local)), ==, USOCK_STATE_NEW);
  g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (local)), ==, G_SOCKET_FAMILY_UNIX);
  g_assert_cmpint (usock_socket_get_socket_type (USOCK_SOCKET (local)), ==,
                   G_SOCKET_TYPE_SEQPACKET);
  g_assert_cmpint (usock_socket_get_socket_type (USOCK_SOCKET (flagged)), ==,
                   G_SOCKET_TYPE_DATAGRAM);
  g_assert_false (usock_socket_get_held (USOCK_SOCKET (local)));

  assert_fails (usock_handle_new_socket (-1, 1, 0, &error), G_IO_ERROR_NOT_SUPPORTED);
  assert_fails (usock_handle_new_socket (USOCK_AF_UNIX, USOCK_SOCK_RDM, 0, &error),
                G_IO_ERROR_NOT_SUPPORTED);
  assert_fails (usock_handle_new_socket (USOCK_AF_UNIX, G_SOCKET_TYPE_SEQPACKET, 0, &error),
                G_IO_ERROR_INVALID_ARGUMENT);
  assert_fails (usock_handle_new_pair (G_SOCKET_TYPE_SEQPACKET, &first, &second, &error),
                G_IO_ERROR_INVALID_ARGUMENT);
  assert_fails (usock_handle_new_pair (USOCK_SOCK_RDM, &first, &second, &error),
                G_IO_ERROR_NOT_SUPPORTED);
  g_assert_null (first);

  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (bare)), ==, -1);
  assert_fails (usock_handle_listen (bare, 0, &error), G_IO_ERROR_NOT_INITIALIZED);
  usock_test_no_error (
      usock_handle_create (bare, USOCK_AF_UNIX, USOCK_SOCK_STREAM, 0, &error));
  assert_fails (usock_handle_create (bare, USOCK_AF_UNIX, USOCK_SOCK_STREAM, 0, &error),
                G_IO_ERROR_EXISTS);
}

/* Each call on a closed handle says so, and closing twice does no harm. */
static void
test_closed (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) handle = handle_new (USOCK_AF_UNIX, USOCK_SOCK_SEQPACKET);
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  const guint8 byte = 'x';
  guint8 buffer[4];
  gsize size = 4, length;

  usock_socket_close (USOCK_SOCKET (handle));
  usock_socket_close (USOCK_SOCKET (handle));
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (handle)), ==, -1);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (handle)), ==, USOCK_STATE_CLOSED);

  assert_fails (usock_handle_create (handle, 1, 1, 0, &error), G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_bind_to_address (handle, NULL, &error), G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_bind_to_path (handle, "x", &error), G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_connect_to_address (handle, NULL, 0, &error), G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_connect_to_path (handle, "x", 0, &error), G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_listen (handle, 0, &error), G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_accept (handle, -1, NULL, &error), G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_send (handle, &byte, 1, 0, -1, &error) != -1, G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_send_to (handle, &byte, 1, NULL, 0, -1, &error) != -1,
                G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_sendmsg (handle, message, NULL, 0, -1, &error) != -1,
                G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_receive (handle, 1, 0, -1, &error), G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_recvmsg (handle, 1, 0, -1, &error), G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_recvmsg_segments (handle, &size, 1, 0, -1, &error),
                G_IO_ERROR_CLOSED);
  assert_fails (usock_handle_recvmsg_into (handle, buffer, 4, 0, -1, &length, &error),
                G_IO_ERROR_CLOSED);
  assert_fails (usock_socket_shutdown (USOCK_SOCKET (handle), USOCK_SHUT_WR, &error),
                G_IO_ERROR_CLOSED);
  assert_fails (usock_socket_get_peer_credentials (USOCK_SOCKET (handle), &error),
                G_IO_ERROR_CLOSED);
}

static gpointer
use_without_context (gpointer data)
{
  UsockHandle *first, *second;

  for (guint i = 0; i < 2000; i++)
    {
      make_pair (USOCK_SOCK_SEQPACKET, &first, &second);
      send_text (first, "x");
      assert_receives (second, "x");
      usock_socket_close (USOCK_SOCKET (first));
      assert_ended (second);
      g_object_add_weak_pointer (G_OBJECT (first), (gpointer *) &first);
      g_object_unref (first);
      g_assert_null (first);
      g_object_unref (second);
    }

  return NULL;
}

/* Nothing waits for a context that nobody iterates; the fixture finds what is left. */
static void
test_no_context (UsockTest *test, gconstpointer data)
{
  GThread *thread = g_thread_new ("handles", use_without_context, NULL);

  use_without_context (NULL);
  g_thread_join (thread);
}

static void
count_cb (UsockSocket *socket, guint *count)
{
  ++*count;
}

/* Who listens for the end learns of it, from the context. */
static void
test_close_signal (UsockTest *test, gconstpointer data)
{
  UsockHandle *handle = handle_new (USOCK_AF_UNIX, USOCK_SOCK_STREAM);
  guint n_closed = 0;

  g_signal_connect (handle, "close", G_CALLBACK (count_cb), &n_closed);
  usock_socket_close (USOCK_SOCKET (handle));
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (handle)), ==, -1);
  g_object_unref (handle);
  g_assert_cmpuint (n_closed, ==, 0);
  usock_test_wait_until (n_closed == 1);
}

static void
test_adopted (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockHandle) listener = NULL;
  g_autoptr (UsockHandle) connected = NULL;
  g_autoptr (UsockHandle) fresh = NULL;
  g_autoptr (UsockHandle) accepted = NULL;
  int file = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  int fd;

  assert_fails (usock_handle_new_from_fd (-1, &error), G_IO_ERROR_INVALID_ARGUMENT);
  assert_fails (usock_handle_new_from_fd (file, &error), G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_no_errno (close (file));

  /* One that blocks stays so, and yet no call waits for longer than it should. */
  fd = usock_test_take (test, 0);
  g_assert_no_errno (fcntl (fd, F_SETFL, 0));
  usock_test_no_error (connected = usock_handle_new_from_fd (fd, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (connected)), ==, USOCK_STATE_OPEN);
  assert_fails (usock_handle_receive (connected, 1, 0, 0, &error), G_IO_ERROR_WOULD_BLOCK);
  assert_fails (usock_handle_receive (connected, 1, USOCK_MSG_DONTWAIT, -1, &error),
                G_IO_ERROR_WOULD_BLOCK);
  assert_fails (usock_handle_receive (connected, 1, 0, SHORT, &error), G_IO_ERROR_TIMED_OUT);
  send_text (connected, "x");
  g_assert_cmpint (get_flags (connected) & O_NONBLOCK, ==, 0);

  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  usock_test_no_error (listener = usock_handle_new_from_fd (fd, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (listener)), ==, USOCK_STATE_NEW);
  usock_test_no_error (usock_handle_bind_to_path (listener, path, &error));
  usock_test_no_error (usock_handle_listen (listener, 1, &error));
  assert_fails (usock_handle_accept (listener, 0, NULL, &error), G_IO_ERROR_WOULD_BLOCK);
  assert_fails (usock_handle_accept (listener, SHORT, NULL, &error), G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (get_flags (listener) & O_NONBLOCK, ==, 0);

  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  usock_test_no_error (fresh = usock_handle_new_from_fd (fd, &error));
  usock_test_no_error (usock_handle_connect_to_path (fresh, path, 0, &error));
  g_assert_cmpint (get_flags (fresh) & O_NONBLOCK, ==, 0);
  usock_test_no_error (accepted = usock_handle_accept (listener, LONG, NULL, &error));
  g_assert_cmpint (get_flags (accepted) & O_NONBLOCK, ==, O_NONBLOCK);
}

static void
assert_address (UsockHandle *handle, const char *expected)
{
  GSocketAddress *address = usock_socket_get_local_address (USOCK_SOCKET (handle));
  g_autofree char *text = usock_address_to_string (address);

  g_assert_true (g_pattern_match_simple (expected, text));
}

static void
test_bind (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockHandle) local = handle_new (USOCK_AF_UNIX, USOCK_SOCK_DGRAM);
  g_autoptr (UsockHandle) named = handle_new (USOCK_AF_UNIX, USOCK_SOCK_DGRAM);
  g_autoptr (UsockHandle) other = handle_new (USOCK_AF_UNIX, USOCK_SOCK_DGRAM);
  g_autoptr (UsockHandle) inet = handle_new (USOCK_AF_INET, USOCK_SOCK_DGRAM);
  g_autoptr (UsockHandle) inet6 = handle_new (USOCK_AF_INET6, USOCK_SOCK_STREAM);
  g_autoptr (UsockHandle) netlink = handle_new (USOCK_AF_NETLINK, USOCK_SOCK_RAW);
  g_autoptr (GSocketAddress) loopback = NULL;
  g_autofree char *text = NULL;

  /* What is told first is not what is told for ever. */
  g_assert_nonnull (usock_socket_get_local_address (USOCK_SOCKET (local)));
  usock_test_no_error (usock_handle_bind_to_address (local, NULL, &error));
  assert_address (local, "@?????");
  usock_test_no_error (usock_handle_bind_to_address (inet, NULL, &error));
  assert_address (inet, "0.0.0.0:*");
  usock_test_no_error (usock_handle_bind_to_address (inet6, NULL, &error));
  assert_address (inet6, "[::]:*");
  assert_fails (usock_handle_bind_to_address (netlink, NULL, &error), G_IO_ERROR_NOT_SUPPORTED);

  usock_test_no_error (usock_handle_bind_to_path (named, path, &error));
  assert_address (named, path);
  assert_fails (usock_handle_bind_to_path (other, path, &error), G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (other)), ==, EADDRINUSE);
  g_assert_cmpstr (usock_socket_get_error_call (USOCK_SOCKET (other)), ==, "bind");
  text = usock_socket_dup_error_text (USOCK_SOCKET (other));
  g_assert_cmpstr (text, ==, "bind: Address already in use");
  g_assert_null (usock_socket_dup_error_text (USOCK_SOCKET (named)));
  assert_fails (usock_handle_bind_to_path (other, "", &error), G_IO_ERROR_INVALID_FILENAME);

  usock_test_no_error (loopback = usock_address_parse ("127.0.0.1:0", &error));
  assert_fails (usock_handle_bind_to_address (other, loopback, &error), G_IO_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (other)), ==, EINVAL);
}

static void
test_long_path (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) listener = handle_new (USOCK_AF_UNIX, USOCK_SOCK_SEQPACKET);
  g_autoptr (UsockHandle) client = handle_new (USOCK_AF_UNIX, USOCK_SOCK_SEQPACKET);
  g_autoptr (UsockHandle) accepted = NULL;
  g_autofree char *name = g_strnfill (200, 'n');
  g_autofree char *path = usock_test_path (test, name);

  usock_test_no_error (usock_handle_bind_to_path (listener, path, &error));
  usock_test_no_error (usock_handle_listen (listener, 0, &error));
  usock_test_no_error (usock_handle_connect_to_path (client, path, LONG, &error));
  usock_test_no_error (accepted = usock_handle_accept (listener, LONG, NULL, &error));
  send_text (client, "hello");
  assert_receives (accepted, "hello");
}

static void
test_accept (UsockTest *test, gconstpointer data)
{
  g_autofree char *client_path = usock_test_path (test, "client");
  g_autoptr (UsockHandle) listener = handle_new (USOCK_AF_INET, USOCK_SOCK_STREAM);
  g_autoptr (UsockHandle) client = handle_new (USOCK_AF_INET, USOCK_SOCK_STREAM);
  g_autoptr (UsockHandle) accepted = NULL;
  g_autoptr (GSocketAddress) loopback = NULL;
  g_autoptr (GSocketAddress) peer = NULL;
  g_autofree char *told = NULL;
  g_autofree char *own = NULL;

  usock_test_no_error (loopback = usock_address_parse ("127.0.0.1:0", &error));
  usock_test_no_error (usock_handle_bind_to_address (listener, loopback, &error));
  usock_test_no_error (usock_handle_listen (listener, 5, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (listener)), ==, USOCK_STATE_LISTENING);
  usock_test_no_error (usock_handle_connect_to_address (
      client, usock_socket_get_local_address (USOCK_SOCKET (listener)), LONG, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (client)), ==, USOCK_STATE_OPEN);
  usock_test_no_error (accepted = usock_handle_accept (listener, LONG, &peer, &error));

  told = usock_address_to_string (peer);
  own = usock_address_to_string (usock_socket_get_local_address (USOCK_SOCKET (client)));
  g_assert_cmpstr (told, ==, own);
  assert_fails (usock_handle_connect_to_address (
                    client, usock_socket_get_local_address (USOCK_SOCKET (listener)), 0, &error),
                G_IO_ERROR_EXISTS);
  send_text (accepted, "hello");
  assert_receives (client, "hello");
}

/* The kernel forgets them together with the connection. */
static void
test_addresses_after_reset (UsockTest *test, gconstpointer data)
{
  const struct linger now = { TRUE, 0 };

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (UsockHandle) listener = handle_new (USOCK_AF_INET, USOCK_SOCK_STREAM);
      g_autoptr (UsockHandle) client = handle_new (USOCK_AF_INET, USOCK_SOCK_STREAM);
      g_autoptr (UsockHandle) accepted = NULL;
      g_autoptr (GSocketAddress) loopback = usock_address_parse ("127.0.0.1:0", NULL);
      UsockSocket *gone, *left;
      GSocketAddress *remote;
      g_autofree char *expected = NULL;
      g_autofree char *told = NULL;

      usock_test_no_error (usock_handle_bind_to_address (listener, loopback, &error));
      usock_test_no_error (usock_handle_listen (listener, 5, &error));
      usock_test_no_error (usock_handle_connect_to_address (
          client, usock_socket_get_local_address (USOCK_SOCKET (listener)), LONG, &error));
      usock_test_no_error (accepted = usock_handle_accept (listener, LONG, NULL, &error));

      gone = USOCK_SOCKET (i == 0 ? client : accepted);
      left = USOCK_SOCKET (i == 0 ? accepted : client);
      expected = usock_address_to_string (usock_socket_get_local_address (gone));
      g_assert_no_errno (
          setsockopt (usock_socket_get_fd (gone), SOL_SOCKET, SO_LINGER, &now, sizeof now));
      usock_socket_close (gone);
      assert_fails (usock_handle_recvmsg (USOCK_HANDLE (left), 10, 0, LONG, &error),
                    G_IO_ERROR_CONNECTION_CLOSED);
      remote = usock_socket_get_remote_address (left);
      g_assert_nonnull (remote);
      told = usock_address_to_string (remote);
      g_assert_cmpstr (told, ==, expected);
    }
}

/* Of a peer without a name the address is that of nobody. */
static void
test_accept_unnamed (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockHandle) listener = handle_new (USOCK_AF_UNIX, USOCK_SOCK_SEQPACKET);
  g_autoptr (UsockHandle) client = handle_new (USOCK_AF_UNIX, USOCK_SOCK_SEQPACKET);
  g_autoptr (UsockHandle) accepted = NULL;
  g_autoptr (GSocketAddress) peer = NULL;
  g_autoptr (GCredentials) credentials = NULL;

  assert_fails (usock_handle_connect_to_path (client, path, LONG, &error), G_IO_ERROR_NOT_FOUND);
  usock_test_no_error (usock_handle_bind_to_path (listener, path, &error));
  assert_fails (usock_handle_connect_to_path (client, path, LONG, &error),
                G_IO_ERROR_CONNECTION_REFUSED);
  assert_fails (usock_handle_accept (listener, 0, NULL, &error), G_IO_ERROR_INVALID_ARGUMENT);
  usock_test_no_error (usock_handle_listen (listener, 0, &error));
  usock_test_no_error (usock_handle_connect_to_path (client, path, LONG, &error));
  usock_test_no_error (accepted = usock_handle_accept (listener, LONG, &peer, &error));
  g_assert_cmpint (g_unix_socket_address_get_address_type (G_UNIX_SOCKET_ADDRESS (peer)), ==,
                   G_UNIX_SOCKET_ADDRESS_ANONYMOUS);
  usock_test_no_error (
      credentials = usock_socket_get_peer_credentials (USOCK_SOCKET (accepted), &error));
  g_assert_cmpint (g_credentials_get_unix_pid (credentials, NULL), ==, getpid ());
}

static gpointer
accept_two (gpointer listener)
{
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (UsockHandle) accepted = NULL;

      usock_test_no_error (accepted = usock_handle_accept (listener, LONG, NULL, &error));
    }
  return NULL;
}

/* A full backlog is waited for, and not in a circle. */
static void
test_full_backlog (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockHandle) listener = handle_new (USOCK_AF_UNIX, USOCK_SOCK_STREAM);
  UsockHandle *clients[3];
  gint64 cpu;
  GThread *thread;

  usock_test_no_error (usock_handle_bind_to_path (listener, path, &error));
  usock_test_no_error (usock_handle_listen (listener, 1, &error));
  for (guint i = 0; i < 3; i++)
    clients[i] = handle_new (USOCK_AF_UNIX, USOCK_SOCK_STREAM);
  usock_test_no_error (usock_handle_connect_to_path (clients[0], path, 0, &error));
  usock_test_no_error (usock_handle_connect_to_path (clients[1], path, 0, &error));
  assert_fails (usock_handle_connect_to_path (clients[2], path, 0, &error),
                G_IO_ERROR_WOULD_BLOCK);
  cpu = get_cpu_time ();
  assert_fails (usock_handle_connect_to_path (clients[2], path, 200, &error),
                G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (get_cpu_time () - cpu, <, 75 * 1000);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (clients[2])), ==, USOCK_STATE_NEW);

  thread = g_thread_new ("accept", accept_two, listener);
  usock_test_no_error (usock_handle_connect_to_path (clients[2], path, LONG, &error));
  g_thread_join (thread);
  for (guint i = 0; i < 3; i++)
    g_object_unref (clients[i]);
}

/* Over the network a connection is made in the background; who calls again waits on. */
static void
test_in_progress (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) listener = handle_new (USOCK_AF_INET, USOCK_SOCK_STREAM);
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GSocketAddress) loopback = NULL;
  g_autoptr (GError) late = NULL;
  GSocketAddress *address;

  usock_test_no_error (loopback = usock_address_parse ("127.0.0.1:0", &error));
  usock_test_no_error (usock_handle_bind_to_address (listener, loopback, &error));
  usock_test_no_error (usock_handle_listen (listener, 1, &error));
  address = usock_socket_get_local_address (USOCK_SOCKET (listener));

  /* The kernel drops what its backlog has no place for. */
  for (guint i = 0; i < 10 && late == NULL; i++)
    {
      g_ptr_array_add (clients, handle_new (USOCK_AF_INET, USOCK_SOCK_STREAM));
      usock_handle_connect_to_address (clients->pdata[i], address, 100, &late);
    }
  g_assert_error (late, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (late->message, "100 ms"));

  for (guint i = 0; i < clients->len - 1; i++)
    {
      g_autoptr (UsockHandle) accepted = NULL;

      usock_test_no_error (accepted = usock_handle_accept (listener, LONG, NULL, &error));
    }
  usock_test_no_error (usock_handle_connect_to_address (clients->pdata[clients->len - 1], address,
                                                        LONG, &error));
}

/* What is looked up has several addresses, of which the first may not be the one. */
/* Something that has no address at all. */

typedef GSocketAddressEnumerator Nothing;
typedef GSocketAddressEnumeratorClass NothingClass;
typedef GObject Nowhere;
typedef GObjectClass NowhereClass;

static GType nothing_get_type (void);
static GType nowhere_get_type (void);
static void nowhere_connectable_init (GSocketConnectableIface *iface);

G_DEFINE_TYPE (Nothing, nothing, G_TYPE_SOCKET_ADDRESS_ENUMERATOR)
G_DEFINE_TYPE_WITH_CODE (Nowhere, nowhere, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (G_TYPE_SOCKET_CONNECTABLE,
                                                nowhere_connectable_init))

static GSocketAddress *
nothing_next (GSocketAddressEnumerator *self, GCancellable *cancellable, GError **error)
{
  return NULL;
}

static void
nothing_class_init (NothingClass *class)
{
  class->next = nothing_next;
}

static void
nothing_init (Nothing *self)
{
}

static GSocketAddressEnumerator *
nowhere_enumerate (GSocketConnectable *self)
{
  return g_object_new (nothing_get_type (), NULL);
}

static char *
nowhere_to_string (GSocketConnectable *self)
{
  return g_strdup ("nowhere");
}

static void
nowhere_connectable_init (GSocketConnectableIface *iface)
{
  iface->enumerate = nowhere_enumerate;
  iface->to_string = nowhere_to_string;
}

static void
nowhere_class_init (NowhereClass *class)
{
}

static void
nowhere_init (Nowhere *self)
{
}

static void
test_connected_nowhere (UsockTest *test, gconstpointer data)
{
  g_autoptr (GSocketConnectable) nowhere = g_object_new (nowhere_get_type (), NULL);
  g_autoptr (GError) failure = NULL;

  g_assert_null (usock_handle_new_connected (nowhere, USOCK_SOCK_STREAM, LONG, NULL, &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (failure->message, "nowhere"));
}

static void
test_connected (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (GSocketAddress) loopback = NULL;
  g_autoptr (GSocketAddress) local = g_unix_socket_address_new (path);
  g_autoptr (GSocketConnectable) host = NULL;
  g_autoptr (UsockHandle) inet = NULL;
  g_autoptr (UsockHandle) again = NULL;
  g_autoptr (UsockHandle) client = NULL;
  g_autoptr (UsockHandle) unix_listener = NULL;
  g_autoptr (UsockHandle) unix_client = NULL;
  g_autoptr (UsockHandle) receiver = NULL;
  g_autoptr (UsockHandle) accepted = NULL;
  GInetSocketAddress *address;

  usock_test_no_error (loopback = usock_address_parse ("127.0.0.1:0", &error));
  usock_test_no_error (
      inet = usock_handle_new_listening (loopback, USOCK_SOCK_STREAM, 5, &error));
  address
      = G_INET_SOCKET_ADDRESS (usock_socket_get_local_address (USOCK_SOCKET (inet)));
  host = g_network_address_new ("localhost", g_inet_socket_address_get_port (address));
  usock_test_no_error (
      client = usock_handle_new_connected (host, USOCK_SOCK_STREAM, LONG, NULL, &error));
  usock_test_no_error (accepted = usock_handle_accept (inet, LONG, NULL, &error));
  send_text (client, "hello");
  assert_receives (accepted, "hello");

  /* The side that closed first keeps its address for a while, which is no obstacle. */
  usock_socket_close (USOCK_SOCKET (accepted));
  assert_ended (client);
  usock_socket_close (USOCK_SOCKET (client));
  g_object_ref (address);
  usock_socket_close (USOCK_SOCKET (inet));
  assert_fails (usock_handle_new_connected (host, USOCK_SOCK_STREAM, LONG, NULL, &error),
                G_IO_ERROR_CONNECTION_REFUSED);
  usock_test_no_error (again = usock_handle_new_listening (G_SOCKET_ADDRESS (address),
                                                           USOCK_SOCK_STREAM, 5, &error));
  g_object_unref (address);

  assert_fails (usock_handle_new_connected (G_SOCKET_CONNECTABLE (local), USOCK_SOCK_SEQPACKET,
                                            LONG, NULL, &error),
                G_IO_ERROR_NOT_FOUND);
  usock_test_no_error (
      unix_listener = usock_handle_new_listening (local, USOCK_SOCK_SEQPACKET, 0, &error));
  usock_test_no_error (unix_client = usock_handle_new_connected (
                           G_SOCKET_CONNECTABLE (local), USOCK_SOCK_SEQPACKET, LONG, NULL, &error));
  assert_fails (usock_handle_new_listening (local, USOCK_SOCK_SEQPACKET, 0, &error),
                G_IO_ERROR_ADDRESS_IN_USE);
  usock_test_no_error (
      receiver = usock_handle_new_listening (loopback, USOCK_SOCK_DGRAM, 0, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (receiver)), ==, USOCK_STATE_NEW);
}

static void
test_parting (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockHandle) receiver = handle_new (USOCK_AF_UNIX, USOCK_SOCK_DGRAM);
  g_autoptr (UsockHandle) sender = handle_new (USOCK_AF_UNIX, USOCK_SOCK_DGRAM);
  const guint8 byte = 'x';

  usock_test_no_error (usock_handle_bind_to_path (receiver, path, &error));
  usock_test_no_error (usock_handle_connect_to_path (sender, path, 0, &error));
  g_assert_nonnull (usock_socket_get_remote_address (USOCK_SOCKET (sender)));
  send_text (sender, "x");
  assert_receives (receiver, "x");
  usock_test_no_error (usock_handle_connect_to_address (sender, NULL, 0, &error));
  g_assert_null (usock_socket_get_remote_address (USOCK_SOCKET (sender)));
  assert_fails (usock_handle_send (sender, &byte, 1, 0, 0, &error) != -1,
                G_IO_ERROR_NOT_CONNECTED);
}

/* An empty message is a message, and the end is the end. */
static void
test_ends (UsockTest *test, gconstpointer data)
{
  static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr (UsockHandle) first = NULL;
      g_autoptr (UsockHandle) second = NULL;
      g_autoptr (GBytes) bytes = NULL;

      make_pair (types[i], &first, &second);
      send_text (first, "one");
      send_text (first, "");
      usock_test_no_error (usock_socket_shutdown (USOCK_SOCKET (first), USOCK_SHUT_WR, &error));
      g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (first)), ==, USOCK_STATE_READ_ONLY);

      assert_receives (second, "one");
      if (types[i] == SOCK_SEQPACKET)
        {
          usock_test_no_error (
              bytes = usock_handle_receive (second, 10, USOCK_MSG_PEEK, LONG, &error));
          g_assert_cmpuint (g_bytes_get_size (bytes), ==, 0);
          assert_receives (second, "");
        }
      assert_ended (second);
      assert_ended (second);
      g_assert_null (usock_handle_receive (second, 10, USOCK_MSG_PEEK, LONG, NULL));
      send_text (second, "back");
      assert_receives (first, "back");
    }
}

static void
test_shutdown (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockHandle) lonely = handle_new (USOCK_AF_INET, USOCK_SOCK_STREAM);
  const guint8 byte = 'x';

  make_pair (SOCK_STREAM, &first, &second);
  usock_test_no_error (usock_socket_shutdown (USOCK_SOCKET (first), USOCK_SHUT_RD, &error));
  assert_ended (first);
  assert_fails (usock_handle_send (second, &byte, 1, 0, 0, &error) != -1, G_IO_ERROR_BROKEN_PIPE);
  usock_test_no_error (usock_socket_shutdown (USOCK_SOCKET (first), USOCK_SHUT_RDWR, &error));
  assert_ended (second);
  assert_fails (usock_socket_shutdown (USOCK_SOCKET (first), 7, &error),
                G_IO_ERROR_INVALID_ARGUMENT);
  assert_fails (usock_socket_shutdown (USOCK_SOCKET (lonely), USOCK_SHUT_WR, &error),
                G_IO_ERROR_NOT_CONNECTED);
}

/* Under the default action SIGPIPE would end the test. */
static void
test_no_sigpipe (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  const guint8 byte = 'x';

  signal (SIGPIPE, SIG_DFL);
  for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_STREAM)
    {
      g_autoptr (UsockHandle) first = NULL;
      g_autoptr (UsockHandle) second = NULL;

      make_pair (type, &first, &second);
      usock_socket_close (USOCK_SOCKET (second));
      assert_fails (usock_handle_send (first, &byte, 1, 0, -1, &error) != -1,
                    G_IO_ERROR_BROKEN_PIPE);
      assert_fails (usock_handle_sendmsg (first, message, NULL, 0, -1, &error) != -1,
                    G_IO_ERROR_BROKEN_PIPE);
    }
}

static void
interrupt_cb (int number)
{
}

/* A signal that comes again and again neither ends a call nor makes it wait for ever. */
static void
test_interrupted (UsockTest *test, gconstpointer data)
{
  struct sigaction action = { .sa_handler = interrupt_cb };
  struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
  struct itimerval never = { { 0, 0 }, { 0, 0 } };
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  gint64 before;

  make_pair (SOCK_STREAM, &first, &second);
  sigaction (SIGALRM, &action, NULL);
  setitimer (ITIMER_REAL, &often, NULL);
  before = g_get_monotonic_time ();
  assert_fails (usock_handle_receive (first, 1, 0, 100, &error), G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (g_get_monotonic_time () - before, >=, 100 * 1000);
  setitimer (ITIMER_REAL, &never, NULL);
  /* One may be on its way. */
  signal (SIGALRM, SIG_IGN);
}

#define MUCH (4 * 1024 * 1024)

static gpointer
read_much (gpointer handle)
{
  gsize total = 0;

  while (total < MUCH)
    {
      g_autoptr (GBytes) bytes = NULL;

      usock_test_no_error (bytes = usock_handle_receive (handle, 100000, 0, LONG, &error));
      total += g_bytes_get_size (bytes);
    }
  return NULL;
}

/* A stream takes it all if there is time, and tells how much it took if not. */
static void
test_send_much (UsockTest *test, gconstpointer data)
{
  g_autofree guint8 *much = g_malloc0 (MUCH);
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  GThread *thread;
  gssize sent;

  make_pair (SOCK_STREAM, &first, &second);
  usock_test_no_error ((sent = usock_handle_send (first, much, MUCH, 0, SHORT, &error)) > 0);
  g_assert_cmpint (sent, <, MUCH);
  assert_fails (usock_handle_send (first, much, 1, 0, 0, &error) != -1, G_IO_ERROR_WOULD_BLOCK);
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (first)), ==, EAGAIN);
  assert_fails (usock_handle_send (first, much, 1, 0, SHORT, &error) != -1, G_IO_ERROR_TIMED_OUT);
  assert_fails (usock_handle_send (first, much, 1, USOCK_MSG_DONTWAIT, -1, &error) != -1,
                G_IO_ERROR_WOULD_BLOCK);

  thread = g_thread_new ("reader", read_much, second);
  usock_test_no_error (usock_handle_send (first, much, MUCH - sent, 0, LONG, &error)
                       == MUCH - sent);
  g_thread_join (thread);
}

static gpointer
receive_one (gpointer handle)
{
  assert_receives (handle, "x");
  return NULL;
}

/* poll(2) says that a datagram socket which is not connected is writable, though its receiver is
 * full. */
static void
test_full_receiver (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockHandle) receiver = handle_new (USOCK_AF_UNIX, USOCK_SOCK_DGRAM);
  g_autoptr (UsockHandle) sender = handle_new (USOCK_AF_UNIX, USOCK_SOCK_DGRAM);
  g_autoptr (GSocketAddress) address = NULL;
  const guint8 byte = 'x';
  gint64 cpu;
  GThread *thread;

  usock_test_no_error (address = usock_address_parse (path, &error));
  usock_test_no_error (usock_handle_bind_to_path (receiver, path, &error));
  while (usock_handle_send_to (sender, &byte, 1, address, 0, 0, NULL) == 1)
    ;
  assert_fails (usock_handle_send_to (sender, &byte, 1, address, 0, 0, &error) != -1,
                G_IO_ERROR_WOULD_BLOCK);
  cpu = get_cpu_time ();
  assert_fails (usock_handle_send_to (sender, &byte, 1, address, 0, 300, &error) != -1,
                G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (get_cpu_time () - cpu, <, 75 * 1000);

  thread = g_thread_new ("receiver", receive_one, receiver);
  usock_test_no_error (usock_handle_send_to (sender, &byte, 1, address, 0, LONG, &error) == 1);
  g_thread_join (thread);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/handle/births", test_births);
  usock_test_add ("/usock/handle/closed", test_closed);
  usock_test_add ("/usock/handle/no-context", test_no_context);
  usock_test_add ("/usock/handle/close-signal", test_close_signal);
  usock_test_add ("/usock/handle/adopted", test_adopted);
  usock_test_add ("/usock/handle/bind", test_bind);
  usock_test_add ("/usock/handle/long-path", test_long_path);
  usock_test_add ("/usock/handle/accept", test_accept);
  usock_test_add ("/usock/handle/accept-unnamed", test_accept_unnamed);
  usock_test_add ("/usock/handle/addresses-after-reset", test_addresses_after_reset);
  usock_test_add ("/usock/handle/full-backlog", test_full_backlog);
  usock_test_add ("/usock/handle/in-progress", test_in_progress);
  usock_test_add ("/usock/handle/connected", test_connected);
  usock_test_add ("/usock/handle/connected-nowhere", test_connected_nowhere);
  usock_test_add ("/usock/handle/parting", test_parting);
  usock_test_add ("/usock/handle/ends", test_ends);
  usock_test_add ("/usock/handle/shutdown", test_shutdown);
  usock_test_add ("/usock/handle/no-sigpipe", test_no_sigpipe);
  usock_test_add ("/usock/handle/interrupted", test_interrupted);
  usock_test_add ("/usock/handle/send-much", test_send_much);
  usock_test_add ("/usock/handle/full-receiver", test_full_receiver);

  return g_test_run ();
}
