/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every boundary, every empty message and the one end, whatever the pace and whoever ends first. */

#include "torture.h"

#include <poll.h>
#include <signal.h>
#include <sys/time.h>

#define SEED 7
#define LONGEST 1000

static int
play_with_pauses (int fd,
                  gpointer data)
{
  const guint n = GPOINTER_TO_UINT (data);

  for (guint i = 0, step; i < n; i += step)
    {
      step = MIN (1 + sequence_hash (SEED + 1, i) % 2000, n - i);
      if (raw_send_stream (fd, SEED, LONGEST, i, step) != 0)
        return 1;
      poll (NULL, 0, sequence_hash (SEED + 2, i) % 4);
    }
  return 0;
}

static void
receive_until_closed (UsockTest *test,
                      guint n)
{
  Stream stream = { .seed = SEED, .longest = LONGEST };
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  stream_watch (&stream, channel);
  usock_test_wait_until (stream.n_closed);
  g_assert_no_error (stream.error);
  g_assert_cmpuint (stream.n_received, ==, n);
  g_assert_cmpuint (stream.n_ended, ==, 1);
  g_assert_cmpuint (usock_channel_get_messages_read (channel), ==, n);
  stream_clear (&stream);
}

static void
test_random_lengths (UsockTest *test,
                     gconstpointer data)
{
  const guint n = 100000;
  pid_t pid = torture_fork (test, play_with_pauses, GUINT_TO_POINTER (n));

  receive_until_closed (test, n);
  torture_reap (pid);
}

static void
ignore_alarm (int number)
{
}

static void
test_interrupted (UsockTest *test,
                  gconstpointer data)
{
  const guint n = 100000;
  const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
  const struct itimerval never = { 0 };
  struct sigaction action = { .sa_handler = ignore_alarm };
  struct sigaction old;
  pid_t pid = torture_fork (test, play_with_pauses, GUINT_TO_POINTER (n));

  sigaction (SIGALRM, &action, &old);
  setitimer (ITIMER_REAL, &often, NULL);
  receive_until_closed (test, n);
  setitimer (ITIMER_REAL, &never, NULL);
  sigaction (SIGALRM, &old, NULL);
  torture_reap (pid);
}

static int
play_half_closing (int fd,
                   gpointer data)
{
  if (raw_send_stream (fd, SEED, LONGEST, 0, 10) != 0 || shutdown (fd, SHUT_WR) < 0)
    return 1;
  if (raw_receive_stream (fd, SEED + 1, LONGEST, 0, 1000) != 0)
    return 2;
  return recv (fd, &(char){ 0 }, 1, 0) == 0 ? 0 : 3;
}

static void
test_peer_ends_first (UsockTest *test,
                      gconstpointer data)
{
  Stream stream = { .seed = SEED, .longest = LONGEST };
  Pump pump = { .seed = SEED + 1, .longest = LONGEST, .n_messages = 1000, .end = TRUE };
  pid_t pid = torture_fork (test, play_half_closing, NULL);
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  usock_channel_set_allow_half_open (channel, TRUE);
  stream_watch (&stream, channel);
  usock_test_wait_until (stream.n_ended);
  g_assert_cmpuint (stream.n_received, ==, 10);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_WRITE_ONLY);
  torture_wait_until_quiet (test, 100);

  pump_start (&pump, channel);
  usock_test_wait_until (stream.n_closed);
  g_assert_no_error (stream.error);
  torture_reap (pid);
  stream_clear (&stream);
}

static int
play_answering (int fd,
                gpointer data)
{
  if (raw_receive_stream (fd, SEED + 1, LONGEST, 0, 5) != 0
      || recv (fd, &(char){ 0 }, 1, 0) != 0)
    return 1;
  return raw_send_stream (fd, SEED, LONGEST, 0, 1000);
}

static void
test_we_end_first (UsockTest *test,
                   gconstpointer data)
{
  Pump pump = { .seed = SEED + 1, .longest = LONGEST, .n_messages = 5, .end = TRUE };
  pid_t pid = torture_fork (test, play_answering, NULL);
  Stream stream = { .seed = SEED, .longest = LONGEST };
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  stream_watch (&stream, channel);
  pump_start (&pump, channel);
  usock_test_wait_until (stream.n_closed);
  g_assert_no_error (stream.error);
  g_assert_cmpuint (stream.n_received, ==, 1000);
  g_assert_cmpuint (stream.n_ended, ==, 1);
  torture_reap (pid);
  stream_clear (&stream);
}

static gssize
receive_longest (UsockTest *test,
                 guint8 *buffer,
                 gsize size)
{
  gssize length = -1;

  usock_test_wait_until ((length = recv (test->pair[1], buffer, size, MSG_DONTWAIT)) >= 0);
  return length;
}

static void
test_longest_messages (UsockTest *test,
                       gconstpointer data)
{
  /* What a socket begins with, and what the kernel ever takes. */
  const gsize lengths[] = { 212960, 212961, 425952, 4263616, 4263617, 8 * 1024 * 1024 };
  g_autofree guint8 *sent = g_malloc (lengths[G_N_ELEMENTS (lengths) - 1]);
  g_autofree guint8 *received = g_malloc (lengths[G_N_ELEMENTS (lengths) - 1]);
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  sequence_fill (SEED, 0, sent, lengths[G_N_ELEMENTS (lengths) - 1]);
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autoptr (GError) too_large = NULL;
      gsize length = lengths[i];

      if (usock_channel_send (channel, sent, length, &too_large))
        {
          g_assert_cmpuint (length, <=, 4263616);
          g_assert_cmpint (receive_longest (test, received, length), ==, length);
          g_assert_cmpint (memcmp (sent, received, length), ==, 0);
        }
      else
        {
          g_assert_error (too_large, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
          /* The rest depends on net.core.wmem_max, but twice the default is always to be had. */
          g_assert_cmpuint (length, >, 425952);
        }
      usock_test_no_error (usock_channel_send (channel, sent, 3, &error));
      g_assert_cmpint (receive_longest (test, received, 100), ==, 3);
    }
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_OPEN);
  torture_close (channel);
}

static void
batch_cb (UsockChannel *channel,
          GPtrArray *batch,
          guint *n_received)
{
  for (guint i = 0; i < batch->len; i++)
    g_assert_cmpuint (((GByteArray *) g_ptr_array_index (batch, i))->len, ==, *n_received + i);
  *n_received += batch->len;
}

/* Messages of 0, 1 and 2 bytes, and the kernel fills all that is asked for with the end. */
static void
test_batch_across_end (UsockTest *test,
                       gconstpointer data)
{
  Stream stream = { 0 };
  guint n_received = 0;
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (send (test->pair[1], "xxx", i, 0), ==, i);
  close (usock_test_take (test, 1));
  g_signal_connect (channel, "batch", G_CALLBACK (batch_cb), &n_received);
  stream_watch (&stream, channel);
  usock_test_wait_until (stream.n_closed);
  g_assert_cmpuint (n_received, ==, 3);
  g_assert_cmpuint (stream.n_ended, ==, 1);
  g_assert_no_error (stream.error);
  stream_clear (&stream);
}

static void
count_empty_cb (UsockChannel *channel,
                GByteArray *bytes,
                guint *n_received)
{
  g_assert_cmpuint (bytes->len, ==, 0);
  (*n_received)++;
}

static void
test_empty_before_end (UsockTest *test,
                       gconstpointer data)
{
  for (guint n = 0; n <= 70; n++)
    {
      Stream stream = { 0 };
      guint n_received = 0;
      UsockSeqpacket *pair[2];
      g_autoptr (UsockChannel) channel = NULL;
      g_autoptr (UsockChannel) other = NULL;

      usock_test_no_error (usock_seqpacket_new_pair (&pair[0], &pair[1], &error));
      channel = USOCK_CHANNEL (pair[0]);
      other = USOCK_CHANNEL (pair[1]);
      for (guint i = 0; i < n; i++)
        usock_test_no_error (usock_channel_send (other, NULL, 0, &error));
      usock_socket_close (USOCK_SOCKET (other));
      g_signal_connect (channel, "data", G_CALLBACK (count_empty_cb), &n_received);
      stream_watch (&stream, channel);
      usock_test_wait_until (stream.n_closed);
      g_assert_cmpuint (n_received, ==, n);
      g_assert_cmpuint (stream.n_ended, ==, 1);
      stream_clear (&stream);
    }
}

static void
test_one_too_long (UsockTest *test,
                   gconstpointer data)
{
  UsockMessage *messages[64];
  g_autofree guint8 *large = g_malloc0 (5 * 1000 * 1000);
  guint n_failed = 0;
  g_autoptr (UsockChannel) channel = torture_adopt (test);

  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    messages[i] = usock_message_new (large, i == 16 ? 5 * 1000 * 1000 : i);
  for (guint i = 0; i < G_N_ELEMENTS (messages);)
    {
      g_autoptr (GError) error = NULL;

      i += usock_channel_send_messages (channel, messages + i, G_N_ELEMENTS (messages) - i, &error);
      if (error == NULL)
        continue;
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
      g_assert_cmpuint (i, ==, 16);
      n_failed++;
      i++;
    }
  g_assert_cmpuint (n_failed, ==, 1);
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    {
      if (i != 16)
        g_assert_cmpint (receive_longest (test, large, 100), ==, i);
      usock_message_unref (messages[i]);
    }
  torture_close (channel);
}

int
main (int argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  usock_test_add ("/torture/boundaries/random-lengths", test_random_lengths);
  usock_test_add ("/torture/boundaries/interrupted", test_interrupted);
  usock_test_add ("/torture/boundaries/peer-ends-first", test_peer_ends_first);
  usock_test_add ("/torture/boundaries/we-end-first", test_we_end_first);
  usock_test_add ("/torture/boundaries/longest-messages", test_longest_messages);
  usock_test_add ("/torture/boundaries/batch-across-end", test_batch_across_end);
  usock_test_add ("/torture/boundaries/empty-before-end", test_empty_before_end);
  usock_test_add ("/torture/boundaries/one-too-long", test_one_too_long);
  return g_test_run ();
}
