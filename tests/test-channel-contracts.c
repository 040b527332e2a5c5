/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a channel promises of order, of the end, of time, and of foreign code that it runs. */

#include "channel-scene.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usock-io-private.h"

/* The raw end is the test's, unless it was hung up. */
static void
scene_hang_up (Scene     *scene,
               UsockTest *test)
{
  close (usock_test_take (test, 1));
}

static void
scene_heal_and_stop (Scene *scene)
{
  usock_io_fault_clear ();
  scene_stop (scene);
}

static void
nest_cb (UsockChannel *channel,
         UsockMessage *message,
         gpointer      nested)
{
  if (*(gboolean *) nested)
    return;

  *(gboolean *) nested = TRUE;
  scene_settle ();
}

/* Each message is given to all who take it before the next one is, from whatever depth. */
static void
test_nested_order (UsockTest     *test,
                   gconstpointer  unused)
{
  gboolean nested = FALSE;
  Scene scene;

  scene_start (&scene, test, "message data end close");
  g_signal_connect (scene.channel, "message", G_CALLBACK (nest_cb), &nested);
  usock_channel_set_allow_half_open (scene.channel, TRUE);
  scene_send (scene.peer, "1");
  scene_send (scene.peer, "2");
  scene_send (scene.peer, "3");
  shutdown (scene.peer, SHUT_WR);
  witness_expect (&scene.witness,
                  "message:1 data:1 message:2 data:2 message:3 data:3 end");
  scene_heal_and_stop (&scene);
}

static void
close_cb (UsockChannel *channel,
          UsockMessage *message,
          gpointer      unused)
{
  usock_socket_close (USOCK_SOCKET (channel));
  scene_settle ();
}

/* What a nested loop has closed gives nothing more. */
static void
test_nested_close (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "message data close");
  g_signal_connect (scene.channel, "message", G_CALLBACK (close_cb), NULL);
  scene_send (scene.peer, "1");
  scene_send (scene.peer, "2");
  witness_expect (&scene.witness, "message:1 close");
  scene_heal_and_stop (&scene);
}

/* Whoever waits for the connection is told before those who have used it. */
static void
test_connected_first (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  Witness witness;

  witness_init (&witness);
  witness_watch (&witness, channel, "connect");
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_channel_connect_to_path_async (
      channel, path, NULL, witness_done,
      witness_call (&witness, "connecting", usock_channel_connect_to_path_finish));
  usock_channel_send_message_async (
      channel, message, NULL, witness_done,
      witness_call (&witness, "send", usock_channel_send_message_finish));
  usock_channel_flush_async (channel, NULL, witness_done,
                             witness_call (&witness, "flush", usock_channel_flush_finish));
  witness_expect (&witness, "connect connecting:ok send:ok flush:ok");
  scene_close (channel);
  scene_close (server);
  witness_clear (&witness);
}

/* Between two awaits nobody takes the end, so that the answer still reaches who asked and ended. */
static void
test_end_waits_for_receiver (UsockTest     *test,
                             gconstpointer  unused)
{
  g_autofree char *answer = NULL;
  Scene scene;

  scene_start (&scene, test, "close");
  scene_send (scene.peer, "question");
  shutdown (scene.peer, SHUT_WR);
  witness_receive (&scene.witness, scene.channel, "receive", NULL);
  witness_expect (&scene.witness, "receive:question");
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.channel)), ==, USOCK_STATE_OPEN);

  usock_test_no_error (usock_channel_send_text (scene.channel, "answer", &error));
  witness_receive (&scene.witness, scene.channel, "receive", NULL);
  witness_expect (&scene.witness, "receive:END close");
  answer = scene_receive (scene.peer);
  g_assert_cmpstr (answer, ==, "answer");
  scene_heal_and_stop (&scene);
}

static void
test_end_waits_for_listener (UsockTest     *test,
                             gconstpointer  unused)
{
  static const char *const listeners[] = { "data", "message", "batch", "end" };

  for (guint i = 0; i < G_N_ELEMENTS (listeners); i++)
    {
      g_autofree char *expected
          = g_strdup (strcmp (listeners[i], "end") == 0 ? "end close" : "close");
      UsockSeqpacket *one, *other;
      Witness witness;

      witness_init (&witness);
      usock_test_no_error (usock_seqpacket_new_pair (&one, &other, &error));
      witness_watch (&witness, one, "close");
      usock_channel_end (USOCK_CHANNEL (other));
      scene_settle ();
      witness_assert (&witness, "");
      witness_watch (&witness, one, listeners[i]);
      witness_expect (&witness, expected);
      scene_close (one);
      scene_close (other);
      witness_clear (&witness);
    }
}

/* Where nobody is left to be answered there is nothing to wait for; but first comes what it sent. */
static void
test_end_of_gone_peer (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "close");
  scene_send (scene.peer, "last");
  scene_hang_up (&scene, test);
  scene_settle ();
  witness_assert (&scene.witness, "");
  witness_receive (&scene.witness, scene.channel, "receive", NULL);
  witness_expect (&scene.witness, "receive:last close");
  scene_heal_and_stop (&scene);
}

/* An end that waits is paused with everything else. */
static void
test_paused_end (UsockTest     *test,
                 gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data end close");
  usock_channel_pause (scene.channel);
  scene_hang_up (&scene, test);
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_channel_resume (scene.channel);
  witness_expect (&scene.witness, "end close");
  scene_heal_and_stop (&scene);
}

typedef enum
{
  FOREIGN_CLOSES,
  FOREIGN_SENDS,
  FOREIGN_NESTS,
} Foreign;

typedef struct
{
  UsockChannel *channel;
  Foreign what;
  guint n;
} Release;

static void
release_cb (gpointer user_data)
{
  Release *release = user_data;

  release->n++;
  switch (release->what)
    {
    case FOREIGN_CLOSES:
      usock_socket_close (USOCK_SOCKET (release->channel));
      break;
    case FOREIGN_SENDS:
      usock_channel_send_text (release->channel, "sent", NULL);
      break;
    case FOREIGN_NESTS:
      scene_settle ();
      break;
    }
}

/* What waits at the peer, but for what only filled the queue. */
static void
drain_peer (int      peer,
            GString *all)
{
  char buffer[8192];
  gssize n;

  while ((n = recv (peer, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
    for (gssize i = 0; i < n; i++)
      if (buffer[i] != 'f')
        g_string_append_c (all, buffer[i]);
}

/* Messages that wait, of which one runs foreign code when it is released. All arrive once, in
 * order, whatever that code does. */
static void
check_foreign_code (UsockChannel *channel,
                    int           peer,
                    Foreign       what)
{
  static const char digits[] = "012345";
  const char *expected = what == FOREIGN_SENDS ? "012345sent" : digits;
  g_autofree char *fill = g_strnfill (4000, 'f');
  g_autoptr (GString) all = g_string_new (NULL);
  Release release = { channel, what, 0 };

  while (usock_channel_get_queued_bytes (channel) == 0)
    usock_test_no_error (usock_channel_send (channel, (guint8 *) fill, 4000, &error));
  for (guint i = 0; i < 6; i++)
    {
      g_autoptr (GBytes) bytes
          = i == 1 ? g_bytes_new_with_free_func (digits + i, 1, release_cb, &release)
                   : g_bytes_new_static (digits + i, 1);

      usock_test_no_error (usock_channel_send_bytes (channel, bytes, &error));
    }

  while (all->len < strlen (expected))
    {
      drain_peer (peer, all);
      g_main_context_iteration (g_main_context_get_thread_default (), FALSE);
    }
  scene_settle ();
  drain_peer (peer, all);
  g_assert_cmpuint (release.n, ==, 1);
  g_assert_cmpstr (all->str, ==, expected);
  g_assert_cmpuint (usock_channel_get_queued_bytes (channel), ==, 0);
}

static void
test_foreign_code (UsockTest     *test,
                   gconstpointer  unused)
{
  for (Foreign what = FOREIGN_CLOSES; what <= FOREIGN_NESTS; what++)
    {
      UsockSeqpacket *packet, *other_packet;
      UsockStream *stream, *other_stream;

      usock_test_no_error (usock_seqpacket_new_pair (&packet, &other_packet, &error));
      check_foreign_code (USOCK_CHANNEL (packet), usock_socket_get_fd (USOCK_SOCKET (other_packet)),
                          what);
      scene_close (packet);
      scene_close (other_packet);

      usock_test_no_error (usock_stream_new_pair (&stream, &other_stream, &error));
      check_foreign_code (USOCK_CHANNEL (stream), usock_socket_get_fd (USOCK_SOCKET (other_stream)),
                          what);
      scene_close (stream);
      scene_close (other_stream);
    }
}

/* The kernel tells of a reset once. Whichever call it tells, the reader learns of it. */
static void
check_reset (UsockTest *test,
             guint      call)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  g_autoptr (UsockMessage) second = usock_message_new_from_text ("y");
  UsockMessage *messages[] = { message, second };
  GError *failure = NULL;
  Scene scene;

  scene_start (&scene, test, "data end error close");
  scene_send (scene.peer, "kept");
  usock_test_no_error (usock_channel_send_text (scene.channel, "unread", &error));
  scene_hang_up (&scene, test);
  if (call == 0)
    g_assert_false (usock_channel_send_text (scene.channel, "x", &failure));
  else if (call == 1)
    g_assert_false (usock_channel_send_message (scene.channel, message, &failure));
  else
    g_assert_cmpuint (usock_channel_send_messages (scene.channel, messages, 2, &failure), ==, 0);
  assert_error_code (failure, G_IO_ERROR_CONNECTION_CLOSED);
  witness_expect (&scene.witness, "data:kept error:broken-pipe close");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, ECONNRESET);
  scene_heal_and_stop (&scene);
}

static void
test_reset_told_to_send (UsockTest     *test,
                         gconstpointer  unused)
{
  check_reset (test, 0);
}

static void
test_reset_told_to_send_message (UsockTest     *test,
                                 gconstpointer  unused)
{
  check_reset (test, 1);
}

static void
test_reset_told_to_send_messages (UsockTest     *test,
                                  gconstpointer  unused)
{
  check_reset (test, 2);
}

static gsize
resident_kib (void)
{
  g_autofree char *text = NULL;
  gsize pages = 0;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%*u %zu", &pages), ==, 1);
  return pages * sysconf (_SC_PAGESIZE) / 1024;
}

/* A socket that sends reads what would be lost if that failed, but not without limit. */
static void
test_stow_is_limited (UsockTest     *test,
                      gconstpointer  unused)
{
  static const char junk[1000];
  UsockDgram *one, *other;
  guint64 read;
  gsize before;
  char buffer[10];
  int fd;

  usock_test_no_error (usock_dgram_new_pair (&one, &other, &error));
  fd = usock_socket_get_fd (USOCK_SOCKET (other));
  before = resident_kib ();
  for (guint i = 0; i < 5000; i++)
    {
      while (send (fd, junk, sizeof junk, MSG_DONTWAIT) == sizeof junk)
        ;
      usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (one), "log", &error));
      g_assert_cmpint (recv (fd, buffer, sizeof buffer, MSG_DONTWAIT), ==, 3);
    }
  read = usock_channel_get_messages_read (USOCK_CHANNEL (one));
  g_assert_cmpuint (read, >, 0);
  g_assert_cmpuint (read, <, 2000);
  g_assert_cmpuint (resident_kib () - before, <, 32 * 1024);
  scene_close (one);
  scene_close (other);
}

/* A listener that comes later gets what was there when memory was short. */
static void
test_stow_without_memory (UsockTest     *test,
                          gconstpointer  unused)
{
  UsockDgram *one, *other;
  Witness witness;

  witness_init (&witness);
  usock_test_no_error (usock_dgram_new_pair (&one, &other, &error));
  scene_settle ();
  scene_send (usock_socket_get_fd (USOCK_SOCKET (other)), "1");
  scene_settle ();
  usock_io_fault_add (USOCK_IO_RECEIVE, ENOMEM, 1, 0);
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (one), "out", &error));
  witness_watch (&witness, one, "data");
  witness_expect (&witness, "data:1");
  usock_io_fault_clear ();
  scene_close (one);
  scene_close (other);
  witness_clear (&witness);
}

static void
send_slowly_cb (UsockChannel *channel,
                GByteArray   *bytes,
                gpointer      unused)
{
  g_autofree char *large = g_strnfill (100000, 'f');

  /* Slower than the timeout. */
  g_usleep (150 * 1000);
  for (guint i = 0; i < 10; i++)
    usock_test_no_error (usock_channel_send (channel, (guint8 *) large, 100000, &error));
}

/* The wait of what a slow handler sends begins when it is sent. */
static void
test_slow_handler_stalls_nobody (UsockTest     *test,
                                 gconstpointer  unused)
{
  g_autoptr (GString) all = g_string_new (NULL);
  Scene scene;

  scene_start (&scene, test, "drain error close");
  usock_channel_set_send_timeout (scene.channel, 100);
  g_signal_connect (scene.channel, "data", G_CALLBACK (send_slowly_cb), NULL);
  scene_send (scene.peer, "go");
  usock_test_wait_until (usock_channel_get_queued_bytes (scene.channel) > 0);
  scene_settle ();
  witness_assert (&scene.witness, "");
  while (usock_channel_get_queued_bytes (scene.channel) > 0)
    {
      drain_peer (scene.peer, all);
      scene_settle ();
    }
  witness_expect (&scene.witness, "drain");
  scene_heal_and_stop (&scene);
}

static void
answer_slowly_cb (UsockChannel *channel,
                  GByteArray   *bytes,
                  gpointer      answered)
{
  g_usleep (150 * 1000);
  usock_test_no_error (usock_channel_send_text (channel, "answer", &error));
  *(gint64 *) answered = g_get_monotonic_time ();
}

static void
idle_cb (UsockChannel *channel,
         gpointer      idle)
{
  *(gint64 *) idle = g_get_monotonic_time ();
}

/* Who has just sent is not idle, however long the turn took. */
static void
test_slow_handler_is_not_idle (UsockTest     *test,
                               gconstpointer  unused)
{
  gint64 answered = 0, idle = 0;
  Scene scene;

  scene_start (&scene, test, "error close");
  usock_channel_set_idle_timeout (scene.channel, 100);
  g_signal_connect (scene.channel, "data", G_CALLBACK (answer_slowly_cb), &answered);
  g_signal_connect (scene.channel, "timeout", G_CALLBACK (idle_cb), &idle);
  scene_send (scene.peer, "go");
  usock_test_wait_until (idle > 0);
  g_assert_cmpint (idle - answered, >=, 100 * 1000);
  scene_heal_and_stop (&scene);
}

/* A process that was stopped finds its deadlines over, and also what came in the meantime. */
static void
test_late_turn (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data end error close");
  usock_channel_close_gracefully_async (
      scene.channel, 20, NULL, witness_done,
      witness_call (&scene.witness, "closing", usock_channel_close_gracefully_finish));
  scene_settle ();
  scene_send (scene.peer, "last");
  scene_hang_up (&scene, test);
  g_usleep (50 * 1000);
  witness_expect (&scene.witness, "data:last end closing:ok close");
  scene_heal_and_stop (&scene);
}

/* No time at all is enough for what can be done at once, and for nothing else. */
static void
test_no_time (UsockTest     *test,
              gconstpointer  unused)
{
  for (int ended = 0; ended < 2; ended++)
    {
      UsockSeqpacket *one, *other;
      Witness witness;

      witness_init (&witness);
      usock_test_no_error (usock_seqpacket_new_pair (&one, &other, &error));
      usock_channel_set_allow_half_open (USOCK_CHANNEL (one), TRUE);
      witness_watch (&witness, one, "error close");
      if (ended)
        usock_channel_end (USOCK_CHANNEL (other));
      usock_channel_close_gracefully_async (
          USOCK_CHANNEL (one), 0, NULL, witness_done,
          witness_call (&witness, "closing", usock_channel_close_gracefully_finish));
      witness_expect (&witness, ended ? "closing:ok close"
                                      : "closing:timed-out error:timed-out close");
      scene_close (one);
      scene_close (other);
      witness_clear (&witness);
    }
}

static void
test_late_data (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data timeout");
  usock_channel_set_idle_timeout (scene.channel, 50);
  scene_settle ();
  scene_send (scene.peer, "1");
  g_usleep (80 * 1000);
  scene_settle ();
  witness_assert (&scene.witness, "data:1");
  witness_expect (&scene.witness, "timeout");
  scene_heal_and_stop (&scene);
}

static void
notify_cb (UsockSocket *socket,
           GParamSpec  *property,
           Witness     *witness)
{
  witness_write (witness, "%s", property->name);
}

/* A property says what is so, and not what was asked for. */
static void
test_refused_options (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "error close");
  g_signal_connect (scene.channel, "notify", G_CALLBACK (notify_cb), &scene.witness);
  witness_expect (&scene.witness, "state fd local-address remote-address");
  usock_io_fault_add (USOCK_IO_SET_OPTION, EPERM, 1, 1);
  usock_channel_set_pass_credentials (scene.channel, TRUE);
  usock_channel_set_pass_pidfd (scene.channel, TRUE);
  usock_channel_set_max_fds (scene.channel, 4);
  usock_io_fault_clear ();
  g_assert_false (usock_channel_get_pass_credentials (scene.channel));
  g_assert_false (usock_channel_get_pass_pidfd (scene.channel));
  g_assert_cmpuint (usock_channel_get_max_fds (scene.channel), ==, 0);
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, EPERM);
  g_assert_cmpstr (usock_socket_get_error_call (USOCK_SOCKET (scene.channel)), ==, "setsockopt");
  witness_assert (&scene.witness, "");
  usock_channel_set_max_fds (scene.channel, 4);
  witness_assert (&scene.witness, "max-fds");
  scene_heal_and_stop (&scene);
}

typedef struct
{
  const char *property;
  guint value;
  guint n_calls; /* of the system, on a socket of this system's */
} Passing;

static const Passing passings[] = {
  { "pass-credentials", TRUE, 1 },
  { "max-fds", 4, 1 },
  { "max-held-fds", 4, 0 },
};

/* Sets it, and what was notified and asked of the system is as expected. */
static void
check_set (Witness    *witness,
           gpointer    channel,
           const char *property,
           guint       value,
           const char *notified,
           guint       n_calls)
{
  usock_io_fault_clear ();
  g_object_set (channel, property, value, NULL);
  witness_assert (witness, notified);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_SET_OPTION), ==, n_calls);
}

/* What is so already is neither told nor asked for, and where there is no socket of this system's
 * nothing is asked for. */
static void
check_passing (gpointer       channel,
               const Passing *passing,
               gboolean       is_asked)
{
  guint n_calls = is_asked ? passing->n_calls : 0;
  Witness witness;
  gulong handler;

  witness_init (&witness);
  scene_settle ();
  handler = g_signal_connect (channel, "notify", G_CALLBACK (notify_cb), &witness);
  check_set (&witness, channel, passing->property, 0, "", 0);
  check_set (&witness, channel, passing->property, passing->value, passing->property, n_calls);
  check_set (&witness, channel, passing->property, passing->value, "", 0);
  check_set (&witness, channel, passing->property, 0, passing->property, n_calls);
  g_signal_handler_disconnect (channel, handler);
  witness_clear (&witness);
}

static void
test_passing (UsockTest     *test,
              gconstpointer  unused)
{
  UsockChannel *unconnected = USOCK_CHANNEL (usock_seqpacket_new ());
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  UsockDgram *abroad;
  Scene scene;

  scene_start (&scene, test, "");
  usock_test_no_error (abroad = usock_dgram_new_from_fd (fd, &error));
  for (guint i = 0; i < G_N_ELEMENTS (passings); i++)
    {
      check_passing (scene.channel, &passings[i], TRUE);
      check_passing (unconnected, &passings[i], FALSE);
      check_passing (abroad, &passings[i], FALSE);
    }
  scene_close (abroad);
  scene_close (unconnected);
  scene_heal_and_stop (&scene);
}

/* Any number that is not zero is true, and the same as any other. */
static void
test_passing_flags (UsockTest     *test,
                    gconstpointer  unused)
{
  Witness witness;
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());

  witness_init (&witness);
  g_signal_connect (channel, "notify", G_CALLBACK (notify_cb), &witness);
  usock_channel_set_pass_credentials (channel, 2);
  usock_channel_set_pass_pidfd (channel, 2);
  g_assert_cmpint (usock_channel_get_pass_credentials (channel), ==, TRUE);
  g_assert_cmpint (usock_channel_get_pass_pidfd (channel), ==, TRUE);
  witness_assert (&witness, "pass-credentials pass-pidfd");
  usock_channel_set_pass_credentials (channel, 4);
  usock_channel_set_pass_pidfd (channel, 4);
  witness_assert (&witness, "");
  scene_close (channel);
  witness_clear (&witness);
}

/* What changes by itself is notified from the main context. */
static void
test_notified_changes (UsockTest     *test,
                       gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (GError) reason = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "boom");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  Witness witness;

  witness_init (&witness);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  g_signal_connect (channel, "notify", G_CALLBACK (notify_cb), &witness);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  witness_assert (&witness, "");
  witness_expect (&witness, "state fd local-address remote-address");
  usock_socket_destroy (USOCK_SOCKET (channel), reason);
  witness_assert (&witness, "");
  witness_expect (&witness, "state fd had-error");
  scene_close (channel);
  scene_close (server);
  witness_clear (&witness);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/channel-contracts/" name, function)

  add ("nested-order", test_nested_order);
  add ("nested-close", test_nested_close);
  add ("connected-first", test_connected_first);
  add ("end-waits/receiver", test_end_waits_for_receiver);
  add ("end-waits/listener", test_end_waits_for_listener);
  add ("end-waits/gone-peer", test_end_of_gone_peer);
  add ("end-waits/paused", test_paused_end);
  add ("foreign-code", test_foreign_code);
  add ("reset-told-to/send", test_reset_told_to_send);
  add ("reset-told-to/send-message", test_reset_told_to_send_message);
  add ("reset-told-to/send-messages", test_reset_told_to_send_messages);
  add ("stow/limited", test_stow_is_limited);
  add ("stow/without-memory", test_stow_without_memory);
  add ("time/slow-handler/stall", test_slow_handler_stalls_nobody);
  add ("time/slow-handler/idle", test_slow_handler_is_not_idle);
  add ("time/late/close", test_late_turn);
  add ("time/late/data", test_late_data);
  add ("time/none", test_no_time);
  add ("options/refused", test_refused_options);
  add ("options/passing", test_passing);
  add ("options/flags", test_passing_flags);
  add ("notify", test_notified_changes);

  return g_test_run ();
}
