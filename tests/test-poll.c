/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <sys/socket.h>

#define LONG 10000

static guint *
poll_two (gpointer first, gpointer second, guint wanted, int timeout, GCancellable *cancellable,
          GError **error)
{
  UsockSocket *sockets[] = { first, second };
  guint conditions[] = { wanted, wanted };
  gsize n_ready = 7;
  guint *ready = usock_poll (sockets, 2, conditions, 2, timeout, cancellable, &n_ready, error);

  g_assert_cmpuint (n_ready, ==, ready != NULL ? 2 : 0);
  return ready;
}

static void
assert_ready (gpointer first, gpointer second, guint wanted, int timeout, guint of_first,
              guint of_second)
{
  g_autofree guint *ready = NULL;

  usock_test_no_error (ready = poll_two (first, second, wanted, timeout, NULL, &error));
  g_assert_cmpuint (ready[0], ==, of_first);
  g_assert_cmpuint (ready[1], ==, of_second);
}

static void
send_byte (UsockHandle *handle)
{
  usock_test_no_error (usock_handle_send (handle, (const guint8 *) "x", 1, 0, LONG, &error) == 1);
}

static void
test_handles (UsockTest *test, gconstpointer data)
{
  const guint in_out = USOCK_POLL_IN | USOCK_POLL_OUT;
  UsockHandle *first, *second;
  UsockSocket *sockets[2];
  g_autofree guint *ready = NULL;
  gint64 before = g_get_monotonic_time ();
  gsize n_ready;

  usock_test_no_error (usock_handle_new_pair (SOCK_STREAM, &first, &second, &error));
  assert_ready (first, second, USOCK_POLL_IN, 50, 0, 0);
  g_assert_cmpint (g_get_monotonic_time () - before, >=, 50 * 1000);
  assert_ready (first, second, in_out, -1, USOCK_POLL_OUT, USOCK_POLL_OUT);
  send_byte (first);
  assert_ready (first, second, USOCK_POLL_IN, -1, 0, USOCK_POLL_IN);

  /* Without conditions, for something to receive. */
  sockets[0] = USOCK_SOCKET (second);
  sockets[1] = USOCK_SOCKET (first);
  usock_test_no_error (ready = usock_poll (sockets, 2, NULL, 0, -1, NULL, &n_ready, &error));
  g_assert_cmpuint (ready[0], ==, USOCK_POLL_IN);
  g_assert_cmpuint (ready[1], ==, 0);

  /* What is closed is known at once. */
  usock_socket_close (USOCK_SOCKET (first));
  assert_ready (first, second, USOCK_POLL_RDHUP, -1, USOCK_POLL_NVAL,
                USOCK_POLL_RDHUP | USOCK_POLL_HUP);
  g_object_unref (first);
  g_object_unref (second);
}

static void
test_nothing (UsockTest *test, gconstpointer data)
{
  g_autofree guint *ready = NULL;
  g_autoptr (UsockHandle) handle = usock_handle_new ();
  UsockSocket *sockets[] = { USOCK_SOCKET (handle) };
  guint conditions[] = { 1, 1 };
  GError *failure = NULL;
  gsize n_ready = 7;

  usock_test_no_error (ready = usock_poll (NULL, 0, NULL, 0, 10, NULL, &n_ready, &error));
  g_assert_cmpuint (n_ready, ==, 0);
  g_assert_null (usock_poll (sockets, 1, conditions, 2, 0, NULL, &n_ready, &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_true (g_str_has_prefix (failure->message, "Could not wait for 1 socket: "));
  g_error_free (failure);
}

static gpointer
cancel (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

static void
test_cancelled (UsockTest *test, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  UsockHandle *first, *second;
  GThread *thread;

  usock_test_no_error (usock_handle_new_pair (SOCK_STREAM, &first, &second, &error));
  thread = g_thread_new ("cancel", cancel, cancellable);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) failure = NULL;

      g_assert_null (poll_two (first, second, USOCK_POLL_IN, -1, cancellable, &failure));
      g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
  g_thread_join (thread);
  g_object_unref (first);
  g_object_unref (second);
}

static void
pause_cb (UsockChannel *channel, UsockMessage *message, gpointer user_data)
{
  usock_channel_pause (channel);
}

/* A channel whose messages were read, and not delivered, has something to receive. */
static void
test_channel (UsockTest *test, gconstpointer data)
{
  UsockSeqpacket *first, *second;
  Witness witness;

  witness_init (&witness);
  usock_test_no_error (usock_seqpacket_new_pair (&first, &second, &error));
  witness_watch (&witness, second, "data");
  g_signal_connect (second, "message", G_CALLBACK (pause_cb), NULL);
  assert_ready (first, second, USOCK_POLL_IN, 0, 0, 0);
  for (guint i = 0; i < 40; i++)
    usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (first), "x", &error));
  assert_ready (first, second, USOCK_POLL_IN, -1, 0, USOCK_POLL_IN);

  /* Each resume lets one through, and batches grow meanwhile: at last the kernel has none left,
   * and the inbox has some. */
  for (guint i = 0; i < 39; i++)
    {
      usock_channel_resume (USOCK_CHANNEL (second));
      usock_test_wait_until (usock_channel_get_paused (USOCK_CHANNEL (second)));
      assert_ready (first, second, USOCK_POLL_IN, 0, 0, USOCK_POLL_IN);
    }
  usock_channel_resume (USOCK_CHANNEL (second));
  usock_test_wait_until (usock_channel_get_paused (USOCK_CHANNEL (second)));
  assert_ready (first, second, USOCK_POLL_IN, 0, 0, 0);

  usock_socket_close (USOCK_SOCKET (first));
  usock_socket_close (USOCK_SOCKET (second));
  g_object_unref (first);
  g_object_unref (second);
  witness_clear (&witness);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/poll/handles", test_handles);
  usock_test_add ("/usock/poll/nothing", test_nothing);
  usock_test_add ("/usock/poll/cancelled", test_cancelled);
  usock_test_add ("/usock/poll/channel", test_channel);

  return g_test_run ();
}
