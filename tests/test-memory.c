/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whatever becomes of a channel and of its messages, doing it again takes no more memory. */

#include "witness.h"

#include <errno.h>
#include <unistd.h>

#include "usock-io-private.h"

#if defined __GLIBC__
#include <malloc.h>
#if __GLIBC_PREREQ (2, 33)
#define HAVE_MALLINFO2
#endif
#endif

/* How often a scenario is played in a round. */
#define N_TIMES 128
#define N_ROUNDS 8

typedef void (*Scenario) (UsockTest *test);

/* Where the C library cannot tell, or something else has taken its place, it is always the same. */
static gsize
count_bytes (void)
{
#ifdef HAVE_MALLINFO2
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

/* What is kept for the next time is there after some rounds. What gets lost has 32 bytes or more,
 * each time. */
static void
test_scenario (UsockTest *test, gconstpointer data)
{
  Scenario scenario = *(const Scenario *) data;

  for (guint round = 0; round < N_ROUNDS; round++)
    {
      gsize before = count_bytes ();

      for (guint i = 0; i < N_TIMES; i++)
        scenario (test);
      if (round > 0 && count_bytes () < before + 16 * N_TIMES)
        return;
    }
  g_error ("It takes more memory each time");
}

static void
ignore_cb (void)
{
}

static UsockMessage *
make_message (void)
{
  g_autofree char *text = g_strnfill (100, 'x');

  return usock_message_new_from_text (text);
}

static void
send_in_all_forms (UsockChannel *channel)
{
  g_autoptr (UsockMessage) message = make_message ();
  g_autoptr (UsockMessage) with_fd = make_message ();
  g_autoptr (GBytes) bytes = g_bytes_new ("bytes", 5);
  UsockMessage *messages[] = { message, message, with_fd };

  usock_test_no_error (usock_message_append_fd (with_fd, STDIN_FILENO, &error));
  usock_test_no_error (usock_channel_send_text (channel, "text", &error));
  usock_test_no_error (usock_channel_send_bytes (channel, bytes, &error));
  g_assert_cmpuint (usock_channel_send_messages (channel, messages, 3, NULL), ==, 3);
  usock_test_no_error (usock_channel_post (channel, message, &error));
  usock_channel_send_message_async (channel, message, NULL, NULL, NULL);
  usock_channel_flush_async (channel, NULL, NULL, NULL);
}

static void
talk (UsockTest *test)
{
  UsockChannel *first, *second;

  scene_pair (&first, &second);
  usock_channel_set_max_fds (second, 1);
  g_signal_connect (second, "message", G_CALLBACK (ignore_cb), NULL);
  send_in_all_forms (first);
  usock_channel_receive_async (second, NULL, NULL, NULL);
  usock_channel_end_async (first, NULL, NULL, NULL);
  scene_settle ();
  scene_close (first);
  scene_close (second);
}

static void
leave_unread (UsockTest *test)
{
  UsockChannel *first, *second;

  scene_pair (&first, &second);
  for (guint i = 0; i < 3; i++)
    usock_test_no_error (usock_channel_send_text (first, "unread", &error));
  usock_channel_receive_async (second, NULL, NULL, NULL);
  scene_settle ();
  scene_close (second);
  scene_close (first);
}

static void
close_in_handler (UsockTest *test)
{
  UsockChannel *first, *second;

  scene_pair (&first, &second);
  g_signal_connect (second, "data", G_CALLBACK (usock_socket_close), NULL);
  for (guint i = 0; i < 5; i++)
    usock_test_no_error (usock_channel_send_text (first, "x", &error));
  scene_settle ();
  scene_close (second);
  scene_close (first);
}

/* What waits when the channel is closed never leaves. */
static void
leave_unsent (UsockTest *test)
{
  UsockChannel *first, *second;
  g_autoptr (GError) failure = NULL;

  scene_pair (&first, &second);
  usock_channel_set_queue_limit (first, 10000);
  scene_fill (first, &failure);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (UsockMessage) message = make_message ();

      usock_channel_send_message_async (first, message, NULL, NULL, NULL);
      usock_test_no_error (usock_channel_post (first, message, &error));
    }
  usock_channel_flush_async (first, NULL, NULL, NULL);
  usock_channel_end_async (first, NULL, NULL, NULL);
  scene_close (first);
  scene_close (second);
}

static void
cancel (UsockTest *test)
{
  UsockChannel *first, *second;
  g_autoptr (GError) failure = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (UsockMessage) message = make_message ();

  scene_pair (&first, &second);
  usock_channel_set_queue_limit (first, 10000);
  scene_fill (first, &failure);
  usock_channel_send_message_async (first, message, cancellable, NULL, NULL);
  usock_channel_flush_async (first, cancellable, NULL, NULL);
  usock_channel_receive_async (first, cancellable, NULL, NULL);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  usock_channel_send_message_async (first, message, cancellable, NULL, NULL);
  scene_settle ();
  scene_close (second);
  scene_settle ();
  scene_close (first);
}

static void
wrap (UsockTest *test)
{
  static guint8 large[250 * 1000];
  UsockChannel *first, *second;
  g_autoptr (UsockMessage) message = usock_message_new (large, sizeof large);

  scene_pair (&first, &second);
  usock_channel_set_memfd_fallback (first, TRUE);
  usock_channel_set_max_fds (second, 1);
  usock_io_fault_add (USOCK_IO_SET_OPTION, EPERM, 1, 1);
  usock_test_no_error (usock_channel_send (first, large, sizeof large, &error));
  usock_test_no_error (usock_channel_send_message (first, message, &error));
  usock_test_no_error (usock_channel_post (first, message, &error));
  scene_settle ();
  usock_io_fault_clear ();
  scene_close (first);
  scene_close (second);
}

static void
fail_to_connect (UsockTest *test)
{
  g_autofree char *path = usock_test_path (test, "nobody");
  g_autofree char *own = usock_test_path (test, "own");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (UsockSeqpacket) packets = usock_seqpacket_new ();
  UsockChannel *channel = USOCK_CHANNEL (packets);

  usock_test_no_error (usock_seqpacket_bind_to_path (packets, own, &error));
  g_assert_false (usock_seqpacket_bind_to_path (packets, own, NULL));
  g_assert_false (usock_channel_connect_to_path (channel, path, NULL));
  usock_channel_connect_to_path_async (channel, path, NULL, NULL, NULL);
  usock_channel_connect_when_available_async (channel, path, -1, cancellable, NULL, NULL);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  usock_channel_connect_to_path_async (channel, path, cancellable, NULL, NULL);
  scene_settle ();
}

static const struct
{
  const char *path;
  Scenario scenario;
} scenarios[] = {
  { "/usock/memory/talk", talk },
  { "/usock/memory/leave-unread", leave_unread },
  { "/usock/memory/close-in-handler", close_in_handler },
  { "/usock/memory/leave-unsent", leave_unsent },
  { "/usock/memory/cancel", cancel },
  { "/usock/memory/wrap", wrap },
  { "/usock/memory/fail-to-connect", fail_to_connect },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (scenarios); i++)
    g_test_add (scenarios[i].path, UsockTest, &scenarios[i].scenario, usock_test_setup,
                test_scenario, usock_test_teardown);

  return g_test_run ();
}
