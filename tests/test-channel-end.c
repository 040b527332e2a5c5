/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static UsockChannel *
channel_new_from_fd (int type,
                     int fd)
{
  GError *error = NULL;
  gpointer channel = NULL;

  if (type == SOCK_STREAM)
    channel = usock_stream_new_from_fd (fd, &error);
  else if (type == SOCK_SEQPACKET)
    channel = usock_seqpacket_new_from_fd (fd, &error);
  else
    channel = usock_dgram_new_from_fd (fd, &error);
  g_assert_no_error (error);
  return channel;
}

static void
fill (UsockChannel *channel)
{
  g_autofree guint8 *chunk = g_malloc0 (1000);
  GError *failure = NULL;

  usock_channel_set_queue_limit (channel, 10000);
  while (usock_channel_send (channel, chunk, 1000, &failure))
    ;
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
}

static void
end_with_text (UsockChannel *channel,
               const char   *text)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text (text);

  usock_test_no_error (usock_channel_end_with_message (channel, message, &error));
}

/* What the peer gets last before it gets nothing more. */
static char *
read_last (int fd)
{
  char buffer[2000];
  g_autofree char *last = NULL;
  gssize n;

  while ((n = recv (fd, buffer, sizeof buffer - 1, MSG_DONTWAIT)) > 0 || n == -1)
    if (n == -1)
      g_main_context_iteration (g_main_context_get_thread_default (), FALSE);
    else
      {
        buffer[n] = '\0';
        g_free (last);
        last = g_strdup (n < 4 ? buffer : buffer + n - 4);
        if (strcmp (last, "last") == 0)
          break;
      }
  return g_steal_pointer (&last);
}

static void
test_full_queue (UsockTest     *test,
                 gconstpointer  data)
{
  int type = GPOINTER_TO_INT (data);
  g_autofree char *last = NULL;
  GError *failure = NULL;
  UsockChannel *channel;
  int fds[2];
  char byte;

  g_assert_no_errno (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
  channel = channel_new_from_fd (type, fds[0]);
  fill (channel);
  end_with_text (channel, "last");
  g_assert_false (usock_channel_send_text (channel, "more", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);

  last = read_last (fds[1]);
  g_assert_cmpstr (last, ==, "last");
  if (type != SOCK_DGRAM)
    g_assert_cmpint (recv (fds[1], &byte, 1, 0), ==, 0);
  close (fds[1]);
  usock_socket_close (USOCK_SOCKET (channel));
  usock_test_wait_until (G_OBJECT (channel)->ref_count == 1);
  g_object_unref (channel);
}

static void
told (GObject      *channel,
      GAsyncResult *result,
      gpointer      done)
{
  usock_test_no_error (usock_channel_end_finish (USOCK_CHANNEL (channel), result, &error));
  *(gboolean *) done = TRUE;
}

/* Who waits for the end is told in the turn in which it goes out, not when the peer does something
 * the next time. */
static void
test_told_at_once (UsockTest     *test,
                   gconstpointer  data)
{
  int type = GPOINTER_TO_INT (data);
  gboolean done = FALSE;
  UsockChannel *channel;
  char buffer[2000];
  int fds[2];
  gssize n;

  g_assert_no_errno (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
  channel = channel_new_from_fd (type, fds[0]);
  fill (channel);
  usock_channel_end_async (channel, NULL, told, &done);
  while ((n = recv (fds[1], buffer, sizeof buffer, MSG_DONTWAIT)) != 0)
    if (n == -1)
      {
        g_assert_false (done);
        g_main_context_iteration (test->context, FALSE);
      }
  g_assert_true (done);

  close (fds[1]);
  usock_socket_close (USOCK_SOCKET (channel));
  usock_test_wait_until (G_OBJECT (channel)->ref_count == 1);
  g_object_unref (channel);
}

static void
test_refused (UsockTest     *test,
              gconstpointer  data)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("last");
  int type = GPOINTER_TO_INT (data);
  GError *failure = NULL;
  UsockChannel *channel;
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
  channel = channel_new_from_fd (type, fds[0]);
  close (fds[1]);
  g_assert_false (usock_channel_end_with_message (channel, message, &failure));
  g_assert_nonnull (failure);
  g_clear_error (&failure);
  usock_socket_close (USOCK_SOCKET (channel));
  g_assert_false (usock_channel_end_with_message (channel, message, &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  usock_test_wait_until (G_OBJECT (channel)->ref_count == 1);
  g_object_unref (channel);
}

static void
test_not_connected (UsockTest     *test,
                    gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("last");
  g_autoptr (UsockStream) stream = usock_stream_new ();
  GError *failure = NULL;

  g_assert_false (usock_channel_end_with_message (USOCK_CHANNEL (stream), message, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
}

/* What was held back leaves before it, and the peer's side goes on. */
static void
test_corked (UsockTest     *test,
             gconstpointer  unused)
{
  Witness witness;
  UsockStream *ends[2];

  usock_test_no_error (usock_stream_new_pair (&ends[0], &ends[1], &error));
  witness_init (&witness);
  usock_channel_set_allow_half_open (USOCK_CHANNEL (ends[1]), TRUE);
  usock_stream_cork (ends[0]);
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (ends[0]), "first,", &error));
  end_with_text (USOCK_CHANNEL (ends[0]), "last");
  witness_watch (&witness, ends[1], "data end close");
  witness_expect (&witness, "data:first,last end");
  witness_watch (&witness, ends[0], "data end close");
  end_with_text (USOCK_CHANNEL (ends[1]), "answer");
  usock_test_wait_until (witness.n_words == 4);
  for (guint i = 0; i < 2; i++)
    {
      usock_test_wait_until (G_OBJECT (ends[i])->ref_count == 1);
      g_object_unref (ends[i]);
    }
  g_assert_true (strstr (witness.words->str, "data:answer end") != NULL);
  witness_clear (&witness);
}

#define add_for(path, type, function)                                                              \
  g_test_add (path, UsockTest, GINT_TO_POINTER (type), usock_test_setup, function,                 \
              usock_test_teardown)

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  add_for ("/usock/channel-end/full-queue/seqpacket", SOCK_SEQPACKET, test_full_queue);
  add_for ("/usock/channel-end/full-queue/stream", SOCK_STREAM, test_full_queue);
  add_for ("/usock/channel-end/full-queue/dgram", SOCK_DGRAM, test_full_queue);
  add_for ("/usock/channel-end/told-at-once/seqpacket", SOCK_SEQPACKET, test_told_at_once);
  add_for ("/usock/channel-end/told-at-once/stream", SOCK_STREAM, test_told_at_once);
  add_for ("/usock/channel-end/refused/seqpacket", SOCK_SEQPACKET, test_refused);
  add_for ("/usock/channel-end/refused/stream", SOCK_STREAM, test_refused);
  add_for ("/usock/channel-end/refused/dgram", SOCK_DGRAM, test_refused);
  usock_test_add ("/usock/channel-end/not-connected", test_not_connected);
  usock_test_add ("/usock/channel-end/corked", test_corked);

  return g_test_run ();
}
