/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-handle.h"
#include "usock-io-private.h"
#include "usock-poll.h"

#include <errno.h>
#include <sys/socket.h>

#define LONG 10000

/* Fails the test unless the call, whose last argument is &error, fails with that errno. */
#define assert_fails(handle, call, errnum)                                                         \
  G_STMT_START                                                                                     \
  {                                                                                                \
    GError *error = NULL;                                                                          \
    gboolean done_ = !!(call);                                                                     \
    g_assert_false (done_);                                                                        \
    g_assert_nonnull (error);                                                                      \
    g_error_free (error);                                                                          \
    g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (handle)), ==, errnum);           \
    usock_io_fault_clear ();                                                                       \
  }                                                                                                \
  G_STMT_END

typedef struct
{
  UsockHandle *first;
  UsockHandle *second;
} Pair;

static void
pair_init (Pair *self, int type)
{
  usock_test_no_error (usock_handle_new_pair (type, &self->first, &self->second, &error));
}

static void
pair_clear (Pair *self)
{
  usock_io_fault_clear ();
  g_object_unref (self->first);
  g_object_unref (self->second);
}

static void
test_births (UsockTest *test, gconstpointer data)
{
  static const UsockIoCall calls[]
      = { USOCK_IO_SOCKET, USOCK_IO_GET_OPTION, USOCK_IO_SET_OPTION };
  UsockHandle *first = NULL, *second = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autoptr (UsockHandle) handle = usock_handle_new ();

      usock_io_fault_add (calls[i], ENOMEM, 1, 0);
      assert_fails (handle, usock_handle_create (handle, AF_UNIX, SOCK_SEQPACKET, 0, &error),
                    ENOMEM);
      usock_test_no_error (usock_handle_create (handle, AF_UNIX, SOCK_SEQPACKET, 0, &error));
    }

  for (guint nth = 1; nth <= 2; nth++)
    {
      g_autoptr (GError) error = NULL;

      usock_io_fault_add (USOCK_IO_SET_OPTION, ENOMEM, nth, 0);
      g_assert_false (usock_handle_new_pair (SOCK_SEQPACKET, &first, &second, &error));
      g_assert_nonnull (error);
    }
  g_assert_null (first);

  usock_io_fault_add (USOCK_IO_SET_OPTION, ENOMEM, 1, 0);
  g_assert_null (usock_handle_new_from_fd (test->pair[0], NULL));
  usock_io_fault_clear ();
}

static void
test_accept (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) listener = NULL;
  g_autoptr (UsockHandle) client = usock_handle_new ();
  g_autoptr (UsockHandle) accepted = NULL;
  g_autoptr (GSocketAddress) address = NULL;
  g_autofree char *path = usock_test_path (test, "socket");

  usock_test_no_error (
      listener = usock_handle_new_socket (AF_UNIX, SOCK_SEQPACKET, 0, &error));
  usock_test_no_error (usock_handle_create (client, AF_UNIX, SOCK_SEQPACKET, 0, &error));
  usock_io_fault_add (USOCK_IO_BIND, EROFS, 1, 0);
  assert_fails (listener, usock_handle_bind_to_path (listener, path, &error), EROFS);
  usock_test_no_error (usock_handle_bind_to_path (listener, path, &error));
  usock_io_fault_add (USOCK_IO_LISTEN, EADDRINUSE, 1, 0);
  assert_fails (listener, usock_handle_listen (listener, 1, &error), EADDRINUSE);
  usock_test_no_error (usock_handle_listen (listener, 1, &error));

  usock_io_fault_add (USOCK_IO_CONNECT, EPERM, 1, 0);
  assert_fails (client, usock_handle_connect_to_path (client, path, LONG, &error), EPERM);
  usock_io_fault_add (USOCK_IO_CONNECT, EAGAIN, 1, 0);
  usock_test_no_error (usock_handle_connect_to_path (client, path, LONG, &error));

  usock_io_fault_add (USOCK_IO_ACCEPT, EMFILE, 1, 0);
  assert_fails (listener, usock_handle_accept (listener, LONG, &address, &error), EMFILE);
  usock_io_fault_add (USOCK_IO_ACCEPT, ECONNABORTED, 1, 0);
  usock_io_fault_add (USOCK_IO_SET_OPTION, ENOMEM, 1, 0);
  assert_fails (listener, usock_handle_accept (listener, LONG, &address, &error), ENOMEM);
  g_assert_null (address);
}

static void
test_calls (UsockTest *test, gconstpointer data)
{
  static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
  const guint8 byte = 'x';
  guint8 buffer[4];
  gsize n;

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      UsockMessage *message = usock_message_new_from_text ("x");
      Pair pair;

      pair_init (&pair, types[i]);
      usock_io_fault_add (USOCK_IO_SEND, ENOBUFS, 1, 0);
      assert_fails (pair.first, usock_handle_send (pair.first, &byte, 1, 0, LONG, &error) != -1,
                    ENOBUFS);
      usock_io_fault_add (USOCK_IO_SEND, ETOOMANYREFS, 1, 0);
      assert_fails (pair.first,
                    usock_handle_sendmsg (pair.first, message, NULL, 0, LONG, &error) != -1,
                    ETOOMANYREFS);

      /* Not sent means not frozen. */
      usock_test_no_error (usock_message_append_fd (message, 0, &error));

      usock_io_fault_add (USOCK_IO_RECEIVE, ECONNRESET, 1, 0);
      assert_fails (pair.first, usock_handle_receive (pair.first, 1, 0, LONG, &error), ECONNRESET);
      usock_io_fault_add (USOCK_IO_RECEIVE, ENOMEM, 1, 0);
      assert_fails (pair.first, usock_handle_recvmsg (pair.first, 1, 0, LONG, &error), ENOMEM);
      usock_io_fault_add (USOCK_IO_RECEIVE, EIO, 1, 0);
      assert_fails (pair.first,
                    usock_handle_recvmsg_into (pair.first, buffer, 4, 0, LONG, &n, &error), EIO);
      usock_io_fault_add (USOCK_IO_POLL, ENOMEM, 1, 0);
      assert_fails (pair.first, usock_handle_receive (pair.first, 1, 0, LONG, &error), ENOMEM);
      usock_io_fault_add (USOCK_IO_SHUTDOWN, ENOTCONN, 1, 0);
      assert_fails (pair.first,
                    usock_socket_shutdown (USOCK_SOCKET (pair.first), USOCK_SHUT_WR, &error),
                    ENOTCONN);

      /* EAGAIN where poll(2) says that there is room: it is tried again, with a pause. */
      usock_io_fault_add (USOCK_IO_SEND, EAGAIN, 1, 0);
      usock_test_no_error (usock_handle_send (pair.first, &byte, 1, 0, LONG, &error) == 1);
      usock_io_fault_add (USOCK_IO_RECEIVE, EAGAIN, 1, 0);
      usock_message_unref (message);
      usock_test_no_error (
          message = usock_handle_recvmsg_into (pair.second, buffer, 4, 0, LONG, &n, &error));
      g_assert_cmpuint (n, ==, 1);
      usock_message_unref (message);
      pair_clear (&pair);
    }
}

/* What a stream took before it failed is told; the failure comes with the next call. */
static void
test_partial (UsockTest *test, gconstpointer data)
{
  g_autofree guint8 *much = g_malloc0 (2000000);
  gssize sent;
  Pair pair;

  pair_init (&pair, SOCK_STREAM);
  usock_io_fault_add (USOCK_IO_SEND, ENOMEM, 2, 0);
  usock_test_no_error ((sent = usock_handle_send (pair.first, much, 2000000, 0, LONG, &error)) > 0);
  g_assert_cmpint (sent, <, 2000000);
  pair_clear (&pair);

  pair_init (&pair, SOCK_STREAM);
  usock_test_no_error (usock_handle_send (pair.first, much, 10, 0, LONG, &error) == 10);
  usock_io_fault_add (USOCK_IO_RECEIVE, ENOMEM, 2, 0);
  {
    g_autoptr (GBytes) bytes = NULL;

    usock_test_no_error (bytes = usock_handle_receive (pair.second, 20, USOCK_MSG_WAITALL, LONG,
                                                       &error));
    g_assert_cmpuint (g_bytes_get_size (bytes), ==, 10);
  }
  pair_clear (&pair);
}

/* However little a stream takes at a time, all parts of a message go, in turn. */
static void
test_segments (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("one,");
  static const char *const others[] = { "", "two,", "3,", "and the last of the four" };
  const char *const all = "one,two,3,and the last of the four";
  Pair pair;

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autoptr (GBytes) bytes = g_bytes_new_static (others[i], strlen (others[i]));

      usock_message_append_bytes (message, bytes);
    }
  pair_init (&pair, SOCK_STREAM);
  usock_io_fault_add (USOCK_IO_SEND, USOCK_IO_SHORT, 1, 1);
  usock_test_no_error (usock_handle_sendmsg (pair.first, message, NULL, 0, LONG, &error)
                       == (gssize) strlen (all));
  usock_io_fault_clear ();
  {
    g_autoptr (GBytes) bytes = NULL;

    usock_test_no_error (bytes = usock_handle_receive (pair.second, strlen (all),
                                                       USOCK_MSG_WAITALL, LONG, &error));
    g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), all, strlen (all));
  }
  pair_clear (&pair);
}

static void
test_poll (UsockTest *test, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  UsockSocket *sockets[1];
  gsize n_ready;
  Pair pair;

  pair_init (&pair, SOCK_STREAM);
  sockets[0] = USOCK_SOCKET (pair.first);
  usock_io_fault_add (USOCK_IO_POLL, ENOMEM, 1, 0);
  g_assert_null (usock_poll (sockets, 1, NULL, 0, LONG, NULL, &n_ready, &error));
  g_assert_nonnull (error);
  pair_clear (&pair);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/handle-faults/births", test_births);
  usock_test_add ("/usock/handle-faults/accept", test_accept);
  usock_test_add ("/usock/handle-faults/calls", test_calls);
  usock_test_add ("/usock/handle-faults/partial", test_partial);
  usock_test_add ("/usock/handle-faults/segments", test_segments);
  usock_test_add ("/usock/handle-faults/poll", test_poll);

  return g_test_run ();
}
