/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sequence.h"
#include "channel-scene.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALL "connect data message batch drain end timeout error close"

static void
scene_send_numbers (Scene *scene,
                    guint  first,
                    guint  last)
{
  for (guint i = first; i <= last; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      scene_send (scene->peer, text);
    }
}

static void
scene_hang_up (Scene     *scene,
               UsockTest *test)
{
  close (usock_test_take (test, 1));
  scene->peer = -1;
}

/* Who takes a message. */

static void
test_data (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data end error close");
  scene_send (scene.peer, "one");
  scene_send (scene.peer, "");
  scene_send (scene.peer, "three");
  witness_expect (&scene.witness, "data:one data: data:three");
  scene_stop (&scene);
}

static void
nul_follows_cb (UsockChannel *channel,
                GByteArray   *bytes,
                guint        *n_checked)
{
  g_assert_cmpint (bytes->data[bytes->len], ==, '\0');
  (*n_checked)++;
}

static void
test_data_is_terminated (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;
  guint n_checked = 0;
  guint8 *full;

  scene_start (&scene, test, "");
  usock_channel_set_read_buffer_size (scene.channel, 4096);
  g_signal_connect (scene.channel, "data", G_CALLBACK (nul_follows_cb), &n_checked);
  full = g_malloc (4096);
  memset (full, 'x', 4096);
  g_assert_cmpint (send (scene.peer, full, 4096, 0), ==, 4096);
  scene_send (scene.peer, "short");
  scene_send (scene.peer, "");
  usock_test_wait_until (n_checked == 3);
  g_free (full);
  scene_stop (&scene);
}

static void
test_message_precedes_data (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data message");
  scene_send_numbers (&scene, 1, 2);
  witness_expect (&scene.witness, "message:1 data:1 message:2 data:2");
  scene_stop (&scene);
}

static void
test_receiver_precedes_signals (UsockTest     *test,
                                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data message");
  witness_receive (&scene.witness, scene.channel, "a", NULL);
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  scene_send_numbers (&scene, 1, 3);
  witness_expect (&scene.witness, "a:1 b:2 message:3 data:3");
  scene_stop (&scene);
}

static void
test_batch_replaces_data (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data batch");
  scene_send_numbers (&scene, 1, 1);
  witness_expect (&scene.witness, "batch:1");
  scene_stop (&scene);
}

static void
count_batch_cb (UsockChannel *channel,
                GPtrArray    *batch,
                guint        *counts)
{
  for (guint i = 0; i < batch->len; i++)
    {
      GByteArray *array = batch->pdata[i];
      guint32 number;

      g_assert_cmpuint (array->len, ==, sizeof number);
      memcpy (&number, array->data, sizeof number);
      g_assert_cmpuint (number, ==, counts[0]);
      counts[0]++;
    }
  counts[1]++;
  counts[2] = MAX (counts[2], batch->len);
}

static void
test_batch_gathers (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;
  guint counts[3] = { 0 };

  scene_start (&scene, test, "");
  for (guint32 i = 0; i < 200; i++)
    g_assert_cmpint (send (scene.peer, &i, sizeof i, 0), ==, sizeof i);
  g_signal_connect (scene.channel, "batch", G_CALLBACK (count_batch_cb), counts);
  usock_test_wait_until (counts[0] == 200);
  g_assert_cmpuint (counts[1], <, 30);
  g_assert_cmpuint (counts[2], >, 8);
  scene_stop (&scene);
}

static void
test_message_precedes_batch (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "message batch");
  scene_send_numbers (&scene, 1, 2);
  witness_expect (&scene.witness, "message:1 batch:1 message:2 batch:2");
  scene_stop (&scene);
}

/* What nobody takes stays. */

static void
test_late_listener (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  scene_send_numbers (&scene, 1, 3);
  scene_settle ();
  g_assert_cmpuint (usock_channel_get_messages_read (scene.channel), ==, 0);
  witness_watch (&scene.witness, scene.channel, "data");
  witness_expect (&scene.witness, "data:1 data:2 data:3");
  scene_stop (&scene);
}

static void
test_late_listener_after_hang_up (UsockTest     *test,
                                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  scene_send_numbers (&scene, 1, 2);
  scene_hang_up (&scene, test);
  scene_settle ();
  witness_assert (&scene.witness, "");
  witness_watch (&scene.witness, scene.channel, "data");
  witness_expect (&scene.witness, "data:1 data:2 end close");
  scene_stop (&scene);
}

static void
test_end_without_listener (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  scene_settle ();
  scene_hang_up (&scene, test);
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

typedef struct
{
  Scene scene;
  gulong handler;
  guint n_taken;
  guint n_wanted;
} Leaver;

static void
leave_cb (UsockChannel *channel,
          GByteArray   *bytes,
          Leaver       *self)
{
  if (++self->n_taken == self->n_wanted)
    g_signal_handler_disconnect (channel, self->handler);
}

static void
test_handler_leaves (UsockTest     *test,
                     gconstpointer  unused)
{
  Leaver self = { .n_wanted = 20 };

  scene_start (&self.scene, test, "end error close");
  scene_send_numbers (&self.scene, 1, 40);
  self.handler = g_signal_connect (self.scene.channel, "data", G_CALLBACK (leave_cb), &self);
  usock_test_wait_until (self.n_taken == 20);
  scene_settle ();
  g_assert_cmpuint (self.n_taken, ==, 20);

  /* What was read too much is first in line, and each kind of listener gets the rest. */
  for (guint i = 21; i <= 23; i++)
    {
      g_autofree char *expected = g_strdup_printf ("late:%u", i);

      witness_receive (&self.scene.witness, self.scene.channel, "late", NULL);
      witness_expect (&self.scene.witness, expected);
    }
  witness_watch (&self.scene.witness, self.scene.channel, "message");
  scene_hang_up (&self.scene, test);
  witness_expect (&self.scene.witness,
                  "message:24 message:25 message:26 message:27 message:28 message:29 message:30 "
                  "message:31 message:32 message:33 message:34 message:35 message:36 message:37 "
                  "message:38 message:39 message:40 end close");
  g_assert_cmpuint (usock_channel_get_messages_read (self.scene.channel), ==, 40);
  scene_stop (&self.scene);
}

static void
pause_cb (UsockChannel *channel,
          GByteArray   *bytes,
          Leaver       *self)
{
  if (++self->n_taken % self->n_wanted == 0)
    usock_channel_pause (channel);
}

static void
test_pause_in_batch (UsockTest     *test,
                     gconstpointer  unused)
{
  Leaver self = { .n_wanted = 7 };

  scene_start (&self.scene, test, "end error close");
  scene_send_numbers (&self.scene, 1, 30);
  scene_hang_up (&self.scene, test);
  g_signal_connect (self.scene.channel, "data", G_CALLBACK (pause_cb), &self);
  for (guint n = 7; n <= 28; n += 7)
    {
      usock_test_wait_until (self.n_taken == n);
      scene_settle ();
      g_assert_cmpuint (self.n_taken, ==, n);
      g_assert_true (usock_channel_get_paused (self.scene.channel));
      witness_assert (&self.scene.witness, "");
      usock_channel_resume (self.scene.channel);
    }
  witness_expect (&self.scene.witness, "end close");
  g_assert_cmpuint (self.n_taken, ==, 30);
  scene_stop (&self.scene);
}

static void
test_paused_peer_gone (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;
  guint n_turns = 0;

  scene_start (&scene, test, ALL);
  usock_channel_pause (scene.channel);
  scene_send_numbers (&scene, 1, 1);
  scene_hang_up (&scene, test);
  scene_settle ();
  witness_assert (&scene.witness, "");
  while (n_turns < 100 && g_main_context_pending (test->context))
    {
      g_main_context_iteration (test->context, FALSE);
      n_turns++;
    }
  g_assert_cmpuint (n_turns, ==, 0);
  usock_channel_resume (scene.channel);
  witness_expect (&scene.witness, "message:1 batch:1 end close");
  scene_stop (&scene);
}

static void
test_paused_receiver_waits (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  usock_channel_pause (scene.channel);
  usock_channel_pause (scene.channel);
  witness_receive (&scene.witness, scene.channel, "a", NULL);
  scene_send_numbers (&scene, 1, 1);
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_channel_resume (scene.channel);
  usock_channel_resume (scene.channel);
  witness_expect (&scene.witness, "a:1");
  scene_stop (&scene);
}

/* Empty messages and the end. */

static void
test_empties_before_end (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data end error close");
  scene_send (scene.peer, "");
  scene_send (scene.peer, "x");
  scene_send (scene.peer, "");
  scene_send (scene.peer, "");
  scene_hang_up (&scene, test);
  witness_expect (&scene.witness, "data: data:x data: data: end close");
  scene_stop (&scene);
}

typedef struct
{
  UsockTest *test;
  int peer;
  guint n_taken;
} Hanger;

static void
hang_up_cb (UsockChannel *channel,
            GByteArray   *bytes,
            Hanger       *self)
{
  g_assert_cmpuint (bytes->len, ==, 0);
  if (self->n_taken++ > 0)
    return;

  scene_send (self->peer, "");
  scene_send (self->peer, "");
  close (usock_test_take (self->test, 1));
}

static void
test_empties_and_end_while_reading (UsockTest     *test,
                                    gconstpointer  unused)
{
  Scene scene;
  Hanger hanger = { test };

  scene_start (&scene, test, "end error close");
  hanger.peer = scene.peer;
  g_signal_connect (scene.channel, "data", G_CALLBACK (hang_up_cb), &hanger);
  scene_send (scene.peer, "");
  scene_send (scene.peer, "");
  witness_expect (&scene.witness, "end close");
  g_assert_cmpuint (hanger.n_taken, ==, 4);
  scene_stop (&scene);
}

static void
test_empties_queued_before_adoption (UsockTest     *test,
                                     gconstpointer  unused)
{
  Scene scene;

  scene_send (test->pair[1], "");
  scene_send (test->pair[1], "");
  close (usock_test_take (test, 1));
  scene_start (&scene, test, "data end error close");
  witness_expect (&scene.witness, "data: data: end close");
  scene_stop (&scene);
}

static void
test_empties_received (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  for (guint i = 0; i < 4; i++)
    {
      g_autofree char *name = g_strdup_printf ("%u", i);

      witness_receive (&scene.witness, scene.channel, name, NULL);
    }
  scene_send (scene.peer, "");
  scene_send (scene.peer, "");
  scene_hang_up (&scene, test);
  witness_expect (&scene.witness, "0: 1: 2:END 3:END end close");
  witness_receive (&scene.witness, scene.channel, "after", NULL);
  witness_expect (&scene.witness, "after:END");
  scene_stop (&scene);
}

/* A reset comes after what was sent before it. */

static void
test_data_before_reset (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data end error close");
  usock_test_no_error (usock_channel_send_text (scene.channel, "never read", &error));
  scene_send_numbers (&scene, 1, 3);
  scene_hang_up (&scene, test);
  witness_expect (&scene.witness, "data:1 data:2 data:3 error:broken-pipe close");
  g_assert_true (usock_socket_get_had_error (USOCK_SOCKET (scene.channel)));
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, ECONNRESET);
  g_assert_cmpstr (usock_socket_get_error_call (USOCK_SOCKET (scene.channel)), ==, "receive");
  witness_receive (&scene.witness, scene.channel, "after", NULL);
  witness_expect (&scene.witness, "after:broken-pipe");
  scene_stop (&scene);
}

static void
test_data_before_reset_when_sending (UsockTest     *test,
                                     gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;

  scene_start (&scene, test, "data end error close");
  usock_test_no_error (usock_channel_send_text (scene.channel, "never read", &error));
  scene_send_numbers (&scene, 1, 3);
  scene_hang_up (&scene, test);
  for (guint i = 0; i < 3; i++)
    {
      g_assert_false (usock_channel_send_text (scene.channel, "too late", &failure));
      assert_error_code (failure, G_IO_ERROR_CONNECTION_CLOSED);
    }
  witness_expect (&scene.witness, "data:1 data:2 data:3 error:broken-pipe close");
  scene_stop (&scene);
}

static void
test_reset_fails_receivers (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  usock_test_no_error (usock_channel_send_text (scene.channel, "never read", &error));
  scene_send_numbers (&scene, 1, 1);
  witness_receive (&scene.witness, scene.channel, "a", NULL);
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  witness_receive (&scene.witness, scene.channel, "c", NULL);
  scene_hang_up (&scene, test);
  witness_expect (&scene.witness, "a:1 b:broken-pipe c:broken-pipe error:broken-pipe close");
  scene_stop (&scene);
}

static void
test_reset_without_listener (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  usock_test_no_error (usock_channel_send_text (scene.channel, "never read", &error));
  scene_hang_up (&scene, test);
  witness_expect (&scene.witness, "error:broken-pipe close");
  scene_stop (&scene);
}

/* Messages that are not whole. */

static void
truncated_cb (UsockChannel *channel,
              UsockMessage *message,
              guint        *n_messages)
{
  g_assert_cmpuint (usock_message_get_length (message), ==, 8);
  g_assert_cmpuint (usock_message_get_full_length (message), ==, *n_messages == 0 ? 8 : 1000);
  g_assert_cmpuint (usock_message_get_flags (message), ==,
                    *n_messages == 0 ? USOCK_MESSAGE_FLAGS_NONE : USOCK_MESSAGE_FLAGS_TRUNCATED);
  (*n_messages)++;
}

static void
send_long (int fd)
{
  char text[1000];

  memset (text, 'l', sizeof text);
  g_assert_cmpint (send (fd, text, sizeof text, 0), ==, sizeof text);
}

static void
test_truncated_message (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;
  guint n_messages = 0;

  scene_start (&scene, test, "error close");
  usock_channel_set_read_buffer_size (scene.channel, 8);
  g_signal_connect (scene.channel, "message", G_CALLBACK (truncated_cb), &n_messages);
  scene_send (scene.peer, "12345678");
  send_long (scene.peer);
  usock_test_wait_until (n_messages == 2);
  scene_settle ();
  witness_assert (&scene.witness, "");
  scene_stop (&scene);
}

static void
keep_error_cb (UsockSocket  *socket,
               const GError *error,
               GError      **kept)
{
  g_assert_null (*kept);
  *kept = g_error_copy (error);
}

static void
test_truncated_data (UsockTest     *test,
                     gconstpointer  signals)
{
  Scene scene;
  g_autoptr (GError) error = NULL;

  scene_start (&scene, test, "data end error close");
  g_signal_connect (scene.channel, "error", G_CALLBACK (keep_error_cb), &error);
  usock_channel_set_read_buffer_size (scene.channel, 8);
  scene_send (scene.peer, "12345678");
  send_long (scene.peer);
  scene_send (scene.peer, "never");
  witness_expect (&scene.witness, "data:12345678 error:message-too-large close");
  g_assert_nonnull (strstr (error->message, "1000"));
  scene_stop (&scene);
}

/* Who listens to messages has been told; who listens to bytes is not given half of them. */
static void
test_truncated_for_both (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "message data error close");
  usock_channel_set_read_buffer_size (scene.channel, 8);
  scene_send (scene.peer, "12345678");
  send_long (scene.peer);
  scene_send (scene.peer, "short");
  witness_expect (&scene.witness, "message:12345678 data:12345678 message:llllllll message:short "
                                  "data:short");
  scene_stop (&scene);
}

static void
test_truncated_in_batch (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "error close");
  usock_channel_set_read_buffer_size (scene.channel, 8);
  scene_send_numbers (&scene, 1, 5);
  send_long (scene.peer);
  scene_send (scene.peer, "never");
  witness_watch (&scene.witness, scene.channel, "batch");
  usock_test_wait_until (scene.witness.n_closed == 1);
  g_assert_true (g_str_has_suffix (scene.witness.words->str, "5 error:message-too-large close"));
  scene_stop (&scene);
}

static void
grow_cb (UsockChannel *channel,
         GByteArray   *bytes,
         gpointer      unused)
{
  usock_channel_set_read_buffer_size (channel, 4 * 1024 * 1024);
}

static void
test_buffer_grows_in_handler (UsockTest     *test,
                              gconstpointer  unused)
{
  Scene scene;
  g_autofree char *expected = NULL;
  char text[1001];

  memset (text, 'l', 1000);
  text[1000] = '\0';
  expected = g_strdup_printf ("data:1 data:2 data:%s", text);
  scene_start (&scene, test, "data error close");
  usock_channel_set_read_buffer_size (scene.channel, 8);
  g_signal_connect (scene.channel, "data", G_CALLBACK (grow_cb), NULL);
  scene_send_numbers (&scene, 1, 2);
  send_long (scene.peer);
  witness_expect (&scene.witness, expected);
  scene_stop (&scene);
}

/* Handlers that do other things. */

typedef struct
{
  Witness *witness;
  UsockChannel *channel;
  gboolean nested;
  guint until;
} Nester;

static void
nest_cb (UsockChannel *channel,
         GByteArray   *bytes,
         Nester       *self)
{
  if (self->nested)
    return;

  self->nested = TRUE;
  usock_test_wait_until (self->witness->n_words >= self->until);
}

static void
test_nested_loop (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;
  Nester nester = { .until = 10 };

  scene_start (&scene, test, "data end error close");
  nester.witness = &scene.witness;
  g_signal_connect (scene.channel, "data", G_CALLBACK (nest_cb), &nester);
  scene_send_numbers (&scene, 1, 10);
  witness_expect (&scene.witness, "data:1 data:2 data:3 data:4 data:5 data:6 data:7 data:8 data:9 "
                                  "data:10");
  scene_stop (&scene);
}

static void
nest_in_batch_cb (UsockChannel *channel,
                  GByteArray   *bytes,
                  Nester       *self)
{
  if (self->witness->n_words == 20)
    usock_test_wait_until (self->witness->n_words == self->until);
}

/* By the twentieth, several are read at once: those wait in the batch of the outer turn. */
static void
test_nested_loop_in_batch (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;
  Nester nester = { .until = 100 };
  g_autoptr (GString) expected = g_string_new ("data:1");

  for (guint i = 2; i <= 100; i++)
    g_string_append_printf (expected, " data:%u", i);
  scene_start (&scene, test, "data end error close");
  nester.witness = &scene.witness;
  g_signal_connect (scene.channel, "data", G_CALLBACK (nest_in_batch_cb), &nester);
  scene_send_numbers (&scene, 1, 100);
  witness_expect (&scene.witness, expected->str);
  scene_stop (&scene);
}

static void
nest_for_close_cb (UsockChannel *channel,
                   GByteArray   *bytes,
                   Nester       *self)
{
  if (self->nested)
    return;

  self->nested = TRUE;
  usock_test_wait_until (self->witness->n_closed == 1);
  witness_write (self->witness, "back");
}

static void
test_nested_loop_to_the_end (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;
  Nester nester = { 0 };

  scene_start (&scene, test, "data end error close");
  nester.witness = &scene.witness;
  g_signal_connect (scene.channel, "data", G_CALLBACK (nest_for_close_cb), &nester);
  scene_send_numbers (&scene, 1, 3);
  scene_hang_up (&scene, test);
  witness_expect (&scene.witness, "data:1 data:2 data:3 end close back");
  scene_stop (&scene);
}

static void
nest_after_receive_cb (GObject      *source,
                       GAsyncResult *result,
                       gpointer      user_data)
{
  Nester *self = user_data;

  usock_message_unref (usock_channel_receive_finish (USOCK_CHANNEL (source), result, NULL));
  witness_write (self->witness, "first");
  usock_test_wait_until (self->witness->n_words == self->until);
  witness_write (self->witness, "back");
}

static void
test_nested_loop_in_callback (UsockTest     *test,
                              gconstpointer  unused)
{
  Scene scene;
  Nester nester = { .until = 3 };

  scene_start (&scene, test, "");
  nester.witness = &scene.witness;
  usock_channel_receive_async (scene.channel, NULL, nest_after_receive_cb, &nester);
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  witness_receive (&scene.witness, scene.channel, "c", NULL);
  scene_send_numbers (&scene, 1, 3);
  witness_expect (&scene.witness, "first b:2 c:3 back");
  scene_stop (&scene);
}

static void
close_self_cb (UsockChannel *channel,
               gpointer      argument,
               gpointer      unused)
{
  usock_socket_close (USOCK_SOCKET (channel));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_CLOSED);
}

static void
test_handler_closes_itself (UsockTest     *test,
                            gconstpointer  signal)
{
  Scene scene;

  scene_start (&scene, test, "data end error close");
  g_signal_connect (scene.channel, signal, G_CALLBACK (close_self_cb), NULL);
  scene_send_numbers (&scene, 1, 20);
  usock_test_wait_until (scene.witness.n_closed == 1);
  scene_settle ();
  witness_assert (&scene.witness, g_str_equal (signal, "data") ? "data:1 close" : "close");
  g_assert_true (scene_is_hung_up (scene.peer));
  scene_stop (&scene);
}

typedef struct
{
  UsockChannel *channels[2];
  guint n_data;
  guint n_closed;
} Neighbours;

static void
close_other_cb (UsockChannel *channel,
                GByteArray   *bytes,
                Neighbours   *self)
{
  UsockChannel **other = &self->channels[channel == self->channels[0] ? 1 : 0];

  self->n_data++;
  usock_socket_close (USOCK_SOCKET (*other));
  g_clear_object (other);
}

static void
count_closed_cb (UsockChannel *channel,
                 Neighbours   *self)
{
  self->n_closed++;
}

static void
test_handler_closes_neighbour (UsockTest     *test,
                               gconstpointer  unused)
{
  Neighbours self = { 0 };
  UsockChannel *peers[2];

  for (guint i = 0; i < 2; i++)
    {
      scene_pair (&self.channels[i], &peers[i]);
      g_signal_connect (self.channels[i], "data", G_CALLBACK (close_other_cb), &self);
      g_signal_connect (self.channels[i], "close", G_CALLBACK (count_closed_cb), &self);
    }
  scene_settle ();
  for (guint i = 0; i < 2; i++)
    usock_test_no_error (usock_channel_send_text (peers[i], "now", &error));
  usock_test_wait_until (self.n_closed == 1);
  scene_settle ();
  g_assert_cmpuint (self.n_data, ==, 1);
  g_assert_cmpuint (self.n_closed, ==, 1);
  for (guint i = 0; i < 2; i++)
    {
      if (self.channels[i] != NULL)
        scene_close (self.channels[i]);
      scene_close (peers[i]);
    }
}

static void
drop_cb (UsockChannel  *channel,
         GByteArray    *bytes,
         UsockChannel **reference)
{
  if (*reference != NULL)
    {
      usock_socket_close (USOCK_SOCKET (channel));
      g_clear_object (reference);
    }
}

static void
test_handler_drops_last_reference (UsockTest     *test,
                                   gconstpointer  unused)
{
  Scene scene;
  gpointer weak;

  scene_start (&scene, test, "data close");
  weak = scene.channel;
  g_object_add_weak_pointer (weak, &weak);
  g_signal_connect (scene.channel, "data", G_CALLBACK (drop_cb), &scene.channel);
  scene_send_numbers (&scene, 1, 20);
  usock_test_wait_until (weak == NULL);
  witness_assert (&scene.witness, "data:1 close");
  witness_clear (&scene.witness);
}

typedef struct
{
  UsockChannel *sender;
  guint n_sent;
  guint n_received;
  guint n_total;
} Million;

static void
million_send (Million *self)
{
  while (self->n_sent < self->n_total
         && usock_channel_send (self->sender, (guint8 *) &self->n_sent, sizeof self->n_sent, NULL))
    self->n_sent++;
}

static void
million_data_cb (UsockChannel *channel,
                 GByteArray   *bytes,
                 Million      *self)
{
  guint number;

  g_assert_cmpuint (bytes->len, ==, sizeof number);
  memcpy (&number, bytes->data, sizeof number);
  g_assert_true (number == self->n_received);
  self->n_received++;
  if (number == 0)
    million_send (self);
}

static void
million_drain_cb (UsockChannel *channel,
                  Million      *self)
{
  million_send (self);
}

/* The first message that arrives makes its handler send all the others, to itself. */
static void
test_handler_sends_a_million (UsockTest     *test,
                              gconstpointer  unused)
{
  Million self = { .n_total = g_getenv ("USOCK_TEST_SLOW") != NULL ? 20 * 1000 : 1000 * 1000 };
  UsockChannel *receiver;

  scene_pair (&self.sender, &receiver);
  g_signal_connect (receiver, "data", G_CALLBACK (million_data_cb), &self);
  g_signal_connect (self.sender, "drain", G_CALLBACK (million_drain_cb), &self);
  self.n_sent = 1;
  usock_test_no_error (usock_channel_send (self.sender, (const guint8 *) "\0\0\0\0", 4, &error));
  for (guint target = self.n_total / 100; target <= self.n_total; target += self.n_total / 100)
    usock_test_wait_until (self.n_received >= target);
  scene_settle ();
  g_assert_cmpuint (self.n_received, ==, self.n_total);
  g_assert_cmpuint (usock_channel_get_messages_written (self.sender), ==, self.n_total);
  scene_close (self.sender);
  scene_close (receiver);
}

/* Random lengths, a third of them empty. */

typedef struct
{
  UsockChannel *sender;
  guint n_sent;
  guint n_received;
  guint n_empty;
  guint n_total;
} Random;

static gsize
random_length (guint32 i)
{
  return i % 3 == 1 ? 0 : sequence_length (7, i, 60 * 1000);
}

static void
random_send (Random *self)
{
  static guint8 data[60 * 1000];

  for (; self->n_sent < self->n_total; self->n_sent++)
    {
      gsize length = random_length (self->n_sent);

      sequence_fill (7, self->n_sent, data, length);
      if (!usock_channel_send (self->sender, data, length, NULL))
        return;
    }
  usock_channel_end (self->sender);
}

static void
random_check (Random     *self,
              GByteArray *bytes)
{
  g_assert_cmpuint (bytes->len, ==, random_length (self->n_received));
  g_assert_true (sequence_matches (7, self->n_received, bytes->data, bytes->len));
  self->n_empty += bytes->len == 0;
  self->n_received++;
}

static void
random_data_cb (UsockChannel *channel,
                GByteArray   *bytes,
                Random       *self)
{
  random_check (self, bytes);
}

static void
random_batch_cb (UsockChannel *channel,
                 GPtrArray    *batch,
                 Random       *self)
{
  for (guint i = 0; i < batch->len; i++)
    random_check (self, batch->pdata[i]);
}

static void
random_message_cb (UsockChannel *channel,
                   UsockMessage *message,
                   Random       *self)
{
  GByteArray bytes = { 0 };
  gsize length;

  bytes.data = (guint8 *) usock_message_get_data (message, &length);
  bytes.len = length;
  random_check (self, &bytes);
}

static void
random_drain_cb (UsockChannel *channel,
                 Random       *self)
{
  random_send (self);
}

static void
test_random (UsockTest     *test,
             gconstpointer  signal)
{
  Random self = { .n_total = 10 * 1000 };
  GCallback callbacks[] = { G_CALLBACK (random_data_cb), G_CALLBACK (random_batch_cb),
                            G_CALLBACK (random_message_cb) };
  UsockChannel *receiver;
  Witness witness;

  witness_init (&witness);
  scene_pair (&self.sender, &receiver);
  usock_channel_set_queue_limit (self.sender, 1024 * 1024);
  g_signal_connect (self.sender, "drain", G_CALLBACK (random_drain_cb), &self);
  g_signal_connect (receiver, signal, callbacks[*(const char *) signal == 'd'   ? 0
                                                : *(const char *) signal == 'b' ? 1
                                                                                : 2], &self);
  witness_watch (&witness, receiver, "end error close");
  random_send (&self);
  witness_expect (&witness, "end close");
  g_assert_cmpuint (self.n_received, ==, self.n_total);
  g_assert_cmpuint (self.n_empty, ==, self.n_total / 3);
  scene_close (self.sender);
  scene_close (receiver);
  witness_clear (&witness);
}

/* Cancelling. */

static void
test_cancelled_before (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  scene_start (&scene, test, "");
  g_cancellable_cancel (cancellable);
  scene_send_numbers (&scene, 1, 1);
  witness_receive (&scene.witness, scene.channel, "a", cancellable);
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  witness_expect (&scene.witness, "a:cancelled b:1");
  scene_stop (&scene);
}

static void
test_cancelled_while_waiting (UsockTest     *test,
                              gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  scene_start (&scene, test, "");
  witness_receive (&scene.witness, scene.channel, "a", NULL);
  witness_receive (&scene.witness, scene.channel, "b", cancellable);
  witness_receive (&scene.witness, scene.channel, "c", NULL);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  g_cancellable_cancel (cancellable);
  scene_settle ();
  witness_assert (&scene.witness, "b:cancelled");
  scene_send_numbers (&scene, 1, 2);
  witness_expect (&scene.witness, "a:1 c:2");
  scene_stop (&scene);
}

static void
test_cancelled_after (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  scene_start (&scene, test, "");
  witness_receive (&scene.witness, scene.channel, "a", cancellable);
  scene_send_numbers (&scene, 1, 1);
  witness_expect (&scene.witness, "a:1");
  g_cancellable_cancel (cancellable);
  scene_settle ();
  witness_assert (&scene.witness, "");
  scene_stop (&scene);
}

typedef struct
{
  Witness *witness;
  GCancellable *cancellable;
} Canceller;

static void
cancel_next_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  Canceller *self = user_data;

  usock_message_unref (usock_channel_receive_finish (USOCK_CHANNEL (source), result, NULL));
  witness_write (self->witness, "first");
  g_cancellable_cancel (self->cancellable);
}

/* Both messages are there already when the first call ends and cancels the second. */
static void
test_cancelled_in_the_same_turn (UsockTest     *test,
                                 gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Canceller canceller = { &scene.witness, cancellable };

  scene_start (&scene, test, "");
  scene_send_numbers (&scene, 1, 2);
  usock_channel_receive_async (scene.channel, NULL, cancel_next_cb, &canceller);
  witness_receive (&scene.witness, scene.channel, "b", cancellable);
  witness_receive (&scene.witness, scene.channel, "c", NULL);
  witness_expect (&scene.witness, "first b:cancelled c:2");
  scene_stop (&scene);
}

static gpointer
cancel_thread (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

static void
test_cancelled_from_thread (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      GThread *thread = g_thread_new ("cancel", cancel_thread, cancellable);

      witness_receive (&scene.witness, scene.channel, "a", cancellable);
      usock_test_wait_until (scene.witness.n_words == 1);
      witness_assert (&scene.witness, "a:cancelled");
      g_thread_join (thread);
    }
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  scene_send_numbers (&scene, 1, 1);
  witness_expect (&scene.witness, "b:1");
  scene_stop (&scene);
}

static void
test_cancelled_context_never_runs (UsockTest     *test,
                                   gconstpointer  unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GMainContext) context = g_main_context_new ();
  UsockSeqpacket *stranger, *keeper;
  Witness witness;

  /* The call ends in one context, the socket is of another, which has yet to hear of the
   * cancelling when the socket is gone. */
  witness_init (&witness);
  g_main_context_push_thread_default (context);
  stranger = usock_seqpacket_new ();
  keeper = usock_seqpacket_new ();
  g_main_context_pop_thread_default (context);
  g_cancellable_cancel (cancellable);
  witness_receive (&witness, USOCK_CHANNEL (stranger), "a", cancellable);
  witness_expect (&witness, "a:not-connected");
  g_object_unref (stranger);
  while (g_main_context_iteration (context, FALSE))
    ;
  g_object_unref (keeper);
  witness_clear (&witness);
}

/* Where nothing can be received. */

static void
test_receive_never_connected (UsockTest     *test,
                              gconstpointer  unused)
{
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  Witness witness;

  witness_init (&witness);
  witness_receive (&witness, channel, "a", NULL);
  witness_assert (&witness, "");
  witness_expect (&witness, "a:not-connected");
  g_object_unref (channel);
  witness_clear (&witness);
}

static void
test_receive_when_closed (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "error close");
  witness_receive (&scene.witness, scene.channel, "a", NULL);
  scene_send_numbers (&scene, 1, 1);
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  witness_expect (&scene.witness, "b:closed a:closed close");
  witness_receive (&scene.witness, scene.channel, "c", NULL);
  witness_expect (&scene.witness, "c:closed");
  scene_stop (&scene);
}

/* Descriptors. */

static void
send_fds (int fd,
          int n_fds)
{
  union
  {
    struct cmsghdr header;
    char buffer[CMSG_SPACE (10 * sizeof (int))];
  } control = { 0 };
  struct iovec iov = { (char *) "fds", 3 };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };

  message.msg_controllen = CMSG_SPACE (n_fds * sizeof (int));
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN (n_fds * sizeof (int));
  for (int i = 0; i < n_fds; i++)
    ((int *) CMSG_DATA (&control.header))[i] = fd;
  g_assert_cmpint (sendmsg (fd, &message, 0), ==, 3);
}

typedef struct
{
  guint n_messages;
  guint n_fds;
  UsockMessageFlags flags;
  int taken;
  int left;
} FdTaker;

static void
take_fd_cb (UsockChannel *channel,
            UsockMessage *message,
            FdTaker      *self)
{
  g_autoptr (GError) error = NULL;

  self->n_messages++;
  self->n_fds = usock_message_get_n_fds (message);
  self->flags = usock_message_get_flags (message);
  if (self->n_fds == 0)
    return;

  g_assert_cmpint (usock_message_get_fd_kind (message, 0), ==, USOCK_FD_KIND_SOCKET);
  self->taken = usock_message_take_fd (message, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fcntl (self->taken, F_GETFD), ==, FD_CLOEXEC);
  g_assert_cmpint (usock_message_take_fd (message, 0, &error), ==, -1);
  assert_error_code (error, G_IO_ERROR_NOT_FOUND);
}

/* The fixture sees to it that no descriptor is left. */
static void
test_fds (UsockTest     *test,
          gconstpointer  unused)
{
  Scene scene;
  FdTaker taker = { .taken = -1 };

  scene_start (&scene, test, "error close");
  g_signal_connect (scene.channel, "message", G_CALLBACK (take_fd_cb), &taker);
  usock_channel_set_max_fds (scene.channel, 3);
  send_fds (scene.peer, 3);
  usock_test_wait_until (taker.n_messages == 1);
  g_assert_cmpuint (taker.n_fds, ==, 3);
  g_assert_cmpuint (taker.flags, ==, USOCK_MESSAGE_FLAGS_NONE);
  close (taker.taken);

  send_fds (scene.peer, 4);
  usock_test_wait_until (taker.n_messages == 2);
  g_assert_cmpuint (taker.n_fds, ==, 0);
  g_assert_cmpuint (taker.flags, ==, USOCK_MESSAGE_FLAGS_FDS_LOST);
  scene_stop (&scene);
}

static void
test_fds_lost_for_data (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data error close");
  usock_channel_set_max_fds (scene.channel, 1);
  send_fds (scene.peer, 1);
  witness_expect (&scene.witness, "data:fds");
  send_fds (scene.peer, 2);
  witness_expect (&scene.witness, "error:message-too-large close");
  scene_stop (&scene);
}

static void
test_fds_refused (UsockTest     *test,
                  gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "fds", 3);
  UsockChannel *sender, *receiver;
  FdTaker taker = { .taken = -1 };
  g_autoptr (GError) failure = NULL;

  scene_pair (&sender, &receiver);
  g_signal_connect (receiver, "message", G_CALLBACK (take_fd_cb), &taker);
  usock_test_no_error (usock_message_append_fd (message, test->pair[0], &error));
  if (usock_channel_send_message (sender, message, &failure))
    {
      /* Before Linux 6.16. */
      usock_test_wait_until (taker.n_messages == 1);
      g_assert_cmpuint (taker.n_fds, ==, 0);
      g_assert_cmpuint (taker.flags, ==, USOCK_MESSAGE_FLAGS_FDS_LOST);
    }
  else
    {
      assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
      usock_test_no_error (usock_channel_send_text (sender, "still here", &error));
      usock_test_wait_until (taker.n_messages == 1);
    }
  scene_close (sender);
  scene_close (receiver);
}

static void
test_fds_without_numbers (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;
  FdTaker taker = { .taken = -1 };
  struct rlimit before, none;

  if (scene_skip_limits ())
    return;

  scene_start (&scene, test, "error close");
  g_signal_connect (scene.channel, "message", G_CALLBACK (take_fd_cb), &taker);
  usock_channel_set_max_fds (scene.channel, 10);
  send_fds (scene.peer, 2);
  getrlimit (RLIMIT_NOFILE, &before);
  none = before;
  none.rlim_cur = 4;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &none));
  usock_test_wait_until (taker.n_messages == 1);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));
  g_assert_cmpuint (taker.n_fds, ==, 0);
  g_assert_cmpuint (taker.flags, ==, USOCK_MESSAGE_FLAGS_FDS_LOST);
  scene_stop (&scene);
}

static void
forward_cb (UsockChannel *channel,
            UsockMessage *message,
            UsockChannel *target)
{
  g_autoptr (GError) failure = NULL;

  usock_test_no_error (usock_channel_send_message (target, message, &error));
  g_assert_cmpint (usock_message_take_fd (message, 0, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_BUSY);
}

/* The message waits in another channel's queue when its own emission is over. */
static void
test_fds_forwarded (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;
  UsockChannel *target, *reader;
  FdTaker taker = { .taken = -1 };
  guint n_filled;

  scene_start (&scene, test, "error close");
  scene_pair (&target, &reader);
  usock_channel_set_max_fds (scene.channel, 1);
  usock_channel_set_max_fds (reader, 1);
  usock_channel_set_queue_limit (target, 0);
  n_filled = scene_fill (target, NULL);
  usock_channel_set_queue_limit (target, 1024);
  g_signal_connect (scene.channel, "message", G_CALLBACK (forward_cb), target);
  send_fds (scene.peer, 1);
  usock_test_wait_until (usock_channel_get_queued_bytes (target) > 0);
  scene_settle ();

  g_signal_connect (reader, "message", G_CALLBACK (take_fd_cb), &taker);
  usock_test_wait_until (taker.n_messages == n_filled + 1);
  g_assert_cmpuint (taker.n_fds, ==, 1);
  close (taker.taken);
  scene_close (target);
  scene_close (reader);
  scene_stop (&scene);
}

/* Credentials. */

static void
credentials_cb (UsockChannel *channel,
                UsockMessage *message,
                guint        *n_known)
{
  GCredentials *credentials = usock_message_get_credentials (message);

  g_assert_nonnull (credentials);
  g_assert_cmpint (g_credentials_get_unix_pid (credentials, NULL), ==, getpid ());
  g_assert_cmpuint (g_credentials_get_unix_user (credentials, NULL), ==, getuid ());
  g_assert_cmpint (usock_message_get_timestamp (message), >, 0);
  (*n_known)++;
}

static void
test_credentials (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;
  guint n_known = 0;

  scene_start (&scene, test, "end error close");
  usock_channel_set_pass_credentials (scene.channel, TRUE);
  g_signal_connect (scene.channel, "message", G_CALLBACK (credentials_cb), &n_known);
  scene_send_numbers (&scene, 1, 2);
  scene_send (scene.peer, "");
  scene_hang_up (&scene, test);
  witness_expect (&scene.witness, "end close");
  g_assert_cmpuint (n_known, ==, 3);
  scene_stop (&scene);
}

static void
no_credentials_cb (UsockChannel *channel,
                   UsockMessage *message,
                   guint        *n_messages)
{
  g_assert_null (usock_message_get_credentials (message));
  (*n_messages)++;
}

static void
test_no_credentials (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;
  guint n_messages = 0;

  scene_start (&scene, test, "");
  g_signal_connect (scene.channel, "message", G_CALLBACK (no_credentials_cb), &n_messages);
  scene_send_numbers (&scene, 1, 1);
  usock_test_wait_until (n_messages == 1);
  scene_stop (&scene);
}

/* Fairness. */

static void
flood_cb (UsockChannel *channel,
          GByteArray   *bytes,
          UsockChannel *target)
{
  usock_channel_send (target, bytes->data, bytes->len, NULL);
}

static gboolean
beat_cb (gpointer n_beats)
{
  ++*(guint *) n_beats;
  return G_SOURCE_CONTINUE;
}

/* Two channels that never come to rest, in one loop with a quiet third and an idle source. */
static void
test_flood_starves_nobody (UsockTest     *test,
                           gconstpointer  unused)
{
  UsockChannel *first, *second;
  Scene scene;
  guint n_beats = 0;
  GSource *beat = g_timeout_source_new (1);

  scene_start (&scene, test, "data");
  scene_pair (&first, &second);
  g_signal_connect (first, "data", G_CALLBACK (flood_cb), first);
  g_signal_connect (second, "data", G_CALLBACK (flood_cb), second);
  for (guint i = 0; i < 50; i++)
    {
      usock_test_no_error (usock_channel_send_text (first, "flood", &error));
      usock_test_no_error (usock_channel_send_text (second, "flood", &error));
    }
  g_source_set_callback (beat, beat_cb, &n_beats, NULL);
  g_source_attach (beat, test->context);
  usock_test_wait_until (n_beats >= 3);
  scene_send_numbers (&scene, 1, 1);
  usock_test_wait_until (scene.witness.n_words == 1);
  usock_test_wait_until (usock_channel_get_messages_read (first) > 10 * 1000);

  g_source_destroy (beat);
  g_source_unref (beat);
  scene_close (first);
  scene_close (second);
  scene_stop (&scene);
}

/* What was read already is taken at once. */

static void
scene_unread (UsockChannel *channel,
              const char   *words)
{
  g_auto (GStrv) texts = g_strsplit (words, " ", -1);
  g_autoptr (GPtrArray) messages
      = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref);

  for (guint i = 0; texts[i] != NULL; i++)
    g_ptr_array_add (messages, usock_message_new_from_text (texts[i]));
  usock_test_no_error (usock_channel_unread_messages (
      channel, (UsockMessage **) messages->pdata, messages->len, &error));
}

static char *
scene_take (UsockChannel *channel,
            guint         max)
{
  gsize n = 99;
  g_autofree UsockMessage **messages = usock_channel_take_messages (channel, max, &n);
  GString *words = g_string_new (NULL);

  g_assert_true (n == 0 || messages != NULL);
  for (gsize i = 0; i < n; i++)
    {
      g_autofree char *text = usock_message_dup_text (messages[i], NULL);

      g_string_append_printf (words, "%s%s", i > 0 ? " " : "", text);
      usock_message_unref (messages[i]);
    }
  return g_string_free (words, FALSE);
}

#define assert_taken(channel, max, expected)                                                       \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_autofree char *taken_ = scene_take (channel, max);                                           \
    g_assert_cmpstr (taken_, ==, expected);                                                        \
  }                                                                                                \
  G_STMT_END

static void
test_take (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  assert_taken (scene.channel, 0, "");
  scene_unread (scene.channel, "one two three four five");
  assert_taken (scene.channel, 2, "one two");
  assert_taken (scene.channel, 0, "three four");
  scene_unread (scene.channel, "three four");
  assert_taken (scene.channel, 0, "three four");
  assert_taken (scene.channel, 0, "five");
  assert_taken (scene.channel, 0, "");
  scene_stop (&scene);
}

static gsize
take_some (UsockChannel *channel,
           guint         max)
{
  gsize n;
  UsockMessage **messages = usock_channel_take_messages (channel, max, &n);

  for (gsize i = 0; i < n; i++)
    usock_message_unref (messages[i]);
  g_free (messages);
  return n;
}

static void
take_some_cb (UsockChannel *channel,
              UsockMessage *message,
              guint        *n_taken)
{
  *n_taken += 1 + take_some (channel, 10);
}

/* Who is given one and takes others has no larger share of a turn. */
static void
test_take_in_a_turn (UsockTest     *test,
                     gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  UsockMessage *messages[2000];
  guint n_taken = 0, before = 0;
  Scene scene;

  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    messages[i] = message;
  scene_start (&scene, test, "");
  usock_test_no_error (usock_channel_unread_messages (scene.channel, messages,
                                                      G_N_ELEMENTS (messages), &error));
  g_signal_connect (scene.channel, "message", G_CALLBACK (take_some_cb), &n_taken);
  while (n_taken < G_N_ELEMENTS (messages))
    {
      g_main_context_iteration (test->context, TRUE);
      g_assert_cmpuint (n_taken - before, <, 300);
      before = n_taken;
    }
  scene_stop (&scene);
}

/* What was taken between turns is no part of the next one's share. */
static void
test_take_between_turns (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  UsockMessage *messages[1000];
  guint n_given = 0;
  Scene scene;
  gsize n;

  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    messages[i] = message;
  scene_start (&scene, test, "");
  usock_test_no_error (usock_channel_unread_messages (scene.channel, messages,
                                                      G_N_ELEMENTS (messages), &error));
  n = take_some (scene.channel, G_N_ELEMENTS (messages) - 10);
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (messages) - 10);
  g_signal_connect_swapped (scene.channel, "data", G_CALLBACK (beat_cb), &n_given);
  g_main_context_iteration (test->context, TRUE);
  g_assert_cmpuint (n_given, ==, 10);
  scene_stop (&scene);
}

static void
test_take_what_was_read (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;
  guint next = 1;

  scene_start (&scene, test, "");
  scene_send_numbers (&scene, 1, 100);
  while (next <= 100)
    {
      gsize n;
      g_autofree UsockMessage **messages = usock_channel_take_messages (scene.channel, 0, &n);
      g_autofree char *expected = g_strdup_printf ("receive:%u", next);

      if (n == 0)
        {
          witness_receive (&scene.witness, scene.channel, "receive", NULL);
          witness_expect (&scene.witness, expected);
          g_string_truncate (scene.witness.words, 0);
          scene.witness.n_words = 0;
          next++;
        }
      for (gsize i = 0; i < n; i++, next++)
        {
          g_autofree char *text = usock_message_dup_text (messages[i], NULL);

          g_assert_cmpuint (g_ascii_strtoull (text, NULL, 10), ==, next);
          usock_message_unref (messages[i]);
        }
    }
  scene_stop (&scene);
}

static char *
scene_take_payloads (UsockChannel *channel,
                     guint         max)
{
  g_autofree guint *lengths = NULL;
  gsize length = 99, n = 99, end = 0;
  g_autofree guint8 *joined
      = usock_channel_take_payloads (channel, max, &length, &lengths, &n);
  GString *words = g_string_new (NULL);

  for (gsize i = 0; i < n; end += lengths[i], i++)
    {
      g_string_append (words, i > 0 ? " " : "");
      g_string_append_len (words, (const char *) joined + end, lengths[i]);
    }
  g_assert_cmpuint (end, ==, length);
  return g_string_free (words, FALSE);
}

#define assert_payloads(channel, max, expected)                                                    \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_autofree char *taken_ = scene_take_payloads (channel, max);                                  \
    g_assert_cmpstr (taken_, ==, expected);                                                        \
  }                                                                                                \
  G_STMT_END

static void
keep_cb (UsockChannel *channel,
         UsockMessage *message,
         gpointer      messages)
{
  guint *n = g_object_get_data (G_OBJECT (channel), "n");

  ((UsockMessage **) messages)[(*n)++] = usock_message_ref (message);
}

static void
test_take_payloads (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  assert_payloads (scene.channel, 0, "");
  scene_unread (scene.channel, "one two three four five");
  assert_payloads (scene.channel, 2, "one two");
  assert_payloads (scene.channel, 0, "three four");
  assert_payloads (scene.channel, 0, "five");
  assert_payloads (scene.channel, 0, "");
  scene_unread (scene.channel, "six seven");
  usock_channel_pause (scene.channel);
  assert_payloads (scene.channel, 0, "");
  usock_channel_resume (scene.channel);
  assert_payloads (scene.channel, 0, "six");
  assert_taken (scene.channel, 0, "seven");
  scene_stop (&scene);
}

/* Messages that came, with the time that each has. */
static void
test_take_payloads_that_came (UsockTest     *test,
                              gconstpointer  unused)
{
  UsockMessage *messages[3];
  Scene scene;
  guint n = 0;

  scene_start (&scene, test, "");
  g_signal_connect (scene.channel, "message", G_CALLBACK (keep_cb), messages);
  g_object_set_data (G_OBJECT (scene.channel), "n", &n);
  scene_send_numbers (&scene, 1, 3);
  usock_test_wait_until (n == 3);
  g_signal_handlers_disconnect_by_func (scene.channel, keep_cb, messages);
  usock_test_no_error (usock_channel_unread_messages (scene.channel, messages, 3, &error));
  assert_payloads (scene.channel, 0, "1 2");
  assert_payloads (scene.channel, 0, "3");
  for (guint i = 0; i < 3; i++)
    usock_message_unref (messages[i]);
  scene_stop (&scene);
}

/* What has more in it than bytes is left for who can put all of it back. */
static void
test_take_payloads_only (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autoptr (UsockMessage) plain = usock_message_new_from_text ("plain");
  g_autoptr (UsockMessage) rich = usock_message_new_from_text ("rich");
  UsockMessage *messages[] = { plain, plain, rich, plain, plain };
  Scene scene;

  usock_test_no_error (usock_message_append_fd (rich, STDERR_FILENO, &error));
  scene_start (&scene, test, "");
  usock_test_no_error (usock_channel_unread_messages (scene.channel, messages,
                                                      G_N_ELEMENTS (messages), &error));
  assert_payloads (scene.channel, 0, "plain plain");
  assert_payloads (scene.channel, 0, "");
  assert_taken (scene.channel, 1, "rich");
  assert_payloads (scene.channel, 0, "plain");
  assert_payloads (scene.channel, 0, "plain");
  scene_stop (&scene);
}

/* So that they stay in the processor's cache, and no taker has all memory. */
static void
test_take_payloads_in_parts (UsockTest     *test,
                             gconstpointer  unused)
{
  const gsize size = 128 * 1024;
  g_autofree guint8 *data = g_malloc0 (size);
  g_autoptr (UsockMessage) large = usock_message_new (data, size);
  UsockMessage *messages[] = { large, large, large, large };
  g_autofree guint *lengths = NULL;
  g_autofree guint8 *joined = NULL;
  gsize length, n;
  Scene scene;

  scene_start (&scene, test, "");
  usock_test_no_error (usock_channel_unread_messages (scene.channel, messages,
                                                      G_N_ELEMENTS (messages), &error));
  joined = usock_channel_take_payloads (scene.channel, 0, &length, &lengths, &n);
  g_assert_cmpuint (n, ==, 2);
  g_assert_cmpuint (length, ==, 2 * size);
  g_assert_cmpuint (take_some (scene.channel, 0), ==, 1);
  g_assert_cmpuint (take_some (scene.channel, 0), ==, 1);
  scene_stop (&scene);
}

static void
take_thrice_cb (UsockChannel *channel,
                UsockMessage *message,
                guint        *n_left)
{
  *n_left -= 1;
  if (take_some (channel, 3) == 3 && take_some (channel, 0) > 0)
    {
      g_assert_cmpuint (take_some (channel, 0), ==, 1);
      *n_left = 0;
    }
}

/* Of what one read brought the last stays too, wherever one is in it. */
static void
test_take_of_a_batch (UsockTest     *test,
                      gconstpointer  unused)
{
  guint n_left = 200;
  Scene scene;

  scene_start (&scene, test, "");
  scene_send_numbers (&scene, 1, 200);
  g_signal_connect (scene.channel, "message", G_CALLBACK (take_thrice_cb), &n_left);
  usock_test_wait_until (n_left == 0);
  scene_stop (&scene);
}

static void
test_take_gives_way (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data");
  usock_channel_pause (scene.channel);
  scene_unread (scene.channel, "one two three");
  assert_taken (scene.channel, 0, "");
  usock_channel_resume (scene.channel);
  assert_taken (scene.channel, 1, "one");
  witness_receive (&scene.witness, scene.channel, "receive", NULL);
  assert_taken (scene.channel, 0, "");
  witness_expect (&scene.witness, "receive:two data:three");
  scene_send (scene.peer, "four");
  scene_unread (scene.channel, "two three");
  witness_expect (&scene.witness, "data:two data:three data:four");
  scene_unread (scene.channel, "five");
  witness_expect (&scene.witness, "data:five");
  scene_stop (&scene);
}

static void
test_take_holds_the_end (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  scene_unread (scene.channel, "one two three");
  scene_hang_up (&scene, test);
  assert_taken (scene.channel, 0, "one two");
  scene_settle ();
  witness_assert (&scene.witness, "");
  assert_taken (scene.channel, 0, "three");
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

static void
test_take_fds (UsockTest     *test,
               gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "x", 1);
  g_autofree UsockMessage **taken = NULL;
  UsockMessage *list[] = { message };
  Scene scene;
  gsize n;
  int fd;

  scene_start (&scene, test, "");
  usock_test_no_error (usock_message_append_fd (message, STDIN_FILENO, &error));
  usock_test_no_error (usock_channel_unread_messages (scene.channel, list, 1, &error));
  taken = usock_channel_take_messages (scene.channel, 0, &n);
  g_assert_cmpuint (n, ==, 1);
  fd = usock_message_take_fd (taken[0], 0, NULL);
  g_assert_cmpint (fd, >, STDERR_FILENO);
  close (fd);
  usock_message_unref (taken[0]);
  scene_stop (&scene);
}

/* Among bytes a message that brings nothing is none; one with descriptors is, however many. */
static void
test_unread_nothing (UsockTest     *test,
                     gconstpointer  unused)
{
  UsockMessage *messages[3];
  UsockStream *stream, *other;

  usock_test_no_error (usock_stream_new_pair (&stream, &other, &error));
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    {
      messages[i] = usock_message_new (NULL, 0);
      for (guint j = 0; j < i; j++)
        usock_test_no_error (usock_message_append_fd (messages[i], STDOUT_FILENO, &error));
    }
  usock_test_no_error (usock_channel_unread_messages (USOCK_CHANNEL (stream), messages,
                                                      G_N_ELEMENTS (messages), &error));
  for (guint i = 1; i < G_N_ELEMENTS (messages); i++)
    {
      gsize n;
      g_autofree UsockMessage **taken
          = usock_channel_take_messages (USOCK_CHANNEL (stream), 1, &n);

      g_assert_cmpuint (n, ==, 1);
      g_assert_cmpuint (usock_message_get_n_fds (taken[0]), ==, i);
      usock_message_unref (taken[0]);
    }
  g_assert_cmpuint (take_some (USOCK_CHANNEL (stream), 0), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    usock_message_unref (messages[i]);
  scene_close (stream);
  scene_close (other);
}

static void
assert_no_way_back (UsockChannel *channel,
                    GIOErrorEnum  code)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  g_autoptr (GError) error = NULL;

  assert_taken (channel, 0, "");
  g_assert_false (usock_channel_unread_messages (channel, &message, 1, &error));
  assert_error_code (error, code);
}

static void
test_take_from_nothing (UsockTest     *test,
                        gconstpointer  unused)
{
  g_autoptr (UsockSeqpacket) unconnected = usock_seqpacket_new ();
  Scene scene;

  assert_no_way_back (USOCK_CHANNEL (unconnected), G_IO_ERROR_NOT_CONNECTED);
  scene_start (&scene, test, "end");
  usock_channel_set_allow_half_open (scene.channel, TRUE);
  shutdown (scene.peer, SHUT_WR);
  witness_expect (&scene.witness, "end");
  assert_no_way_back (scene.channel, G_IO_ERROR_CLOSED);
  usock_socket_close (USOCK_SOCKET (scene.channel));
  assert_no_way_back (scene.channel, G_IO_ERROR_CLOSED);
  scene_stop (&scene);
}

static void
keep_array_cb (UsockChannel *channel,
               GByteArray   *bytes,
               GPtrArray    *kept)
{
  g_ptr_array_add (kept, g_byte_array_ref (bytes));
}

/* Whoever keeps the array, which is lent, finds nothing in it. */
static void
test_kept_array (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autoptr (GPtrArray) kept
      = g_ptr_array_new_with_free_func ((GDestroyNotify) g_byte_array_unref);
  Scene scene;

  scene_start (&scene, test, "");
  scene_send_numbers (&scene, 1, 20);
  g_signal_connect (scene.channel, "data", G_CALLBACK (keep_array_cb), kept);
  usock_test_wait_until (kept->len == 20);
  for (guint i = 0; i < kept->len; i++)
    {
      GByteArray *array = kept->pdata[i];

      g_assert_null (array->data);
      g_assert_cmpuint (array->len, ==, 0);
    }
  scene_stop (&scene);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/channel-receive/" name, function)
#define add_with(name, data, function)                                                             \
  g_test_add ("/usock/channel-receive/" name, UsockTest, data, usock_test_setup, function,         \
              usock_test_teardown)

  add ("data", test_data);
  add ("data-is-terminated", test_data_is_terminated);
  add ("message-precedes-data", test_message_precedes_data);
  add ("receiver-precedes-signals", test_receiver_precedes_signals);
  add ("batch-replaces-data", test_batch_replaces_data);
  add ("batch-gathers", test_batch_gathers);
  add ("message-precedes-batch", test_message_precedes_batch);
  add ("late-listener", test_late_listener);
  add ("late-listener-after-hang-up", test_late_listener_after_hang_up);
  add ("end-without-listener", test_end_without_listener);
  add ("handler-leaves", test_handler_leaves);
  add ("pause-in-batch", test_pause_in_batch);
  add ("paused-peer-gone", test_paused_peer_gone);
  add ("paused-receiver-waits", test_paused_receiver_waits);
  add ("empties-before-end", test_empties_before_end);
  add ("empties-and-end-while-reading", test_empties_and_end_while_reading);
  add ("empties-queued-before-adoption", test_empties_queued_before_adoption);
  add ("empties-received", test_empties_received);
  add ("data-before-reset", test_data_before_reset);
  add ("data-before-reset-when-sending", test_data_before_reset_when_sending);
  add ("reset-fails-receivers", test_reset_fails_receivers);
  add ("reset-without-listener", test_reset_without_listener);
  add ("truncated-message", test_truncated_message);
  add ("truncated-data", test_truncated_data);
  add ("truncated-for-both", test_truncated_for_both);
  add ("truncated-in-batch", test_truncated_in_batch);
  add ("buffer-grows-in-handler", test_buffer_grows_in_handler);
  add ("nested-loop", test_nested_loop);
  add ("nested-loop-in-batch", test_nested_loop_in_batch);
  add ("nested-loop-to-the-end", test_nested_loop_to_the_end);
  add ("nested-loop-in-callback", test_nested_loop_in_callback);
  add_with ("data-handler-closes-itself", "data", test_handler_closes_itself);
  add_with ("message-handler-closes-itself", "message", test_handler_closes_itself);
  add_with ("batch-handler-closes-itself", "batch", test_handler_closes_itself);
  add ("handler-closes-neighbour", test_handler_closes_neighbour);
  add ("handler-drops-last-reference", test_handler_drops_last_reference);
  add ("handler-sends-a-million", test_handler_sends_a_million);
  add_with ("random-data", "data", test_random);
  add_with ("random-batch", "batch", test_random);
  add_with ("random-message", "message", test_random);
  add ("cancelled-before", test_cancelled_before);
  add ("cancelled-while-waiting", test_cancelled_while_waiting);
  add ("cancelled-after", test_cancelled_after);
  add ("cancelled-in-the-same-turn", test_cancelled_in_the_same_turn);
  add ("cancelled-from-thread", test_cancelled_from_thread);
  add ("cancelled-context-never-runs", test_cancelled_context_never_runs);
  add ("receive-never-connected", test_receive_never_connected);
  add ("receive-when-closed", test_receive_when_closed);
  add ("fds", test_fds);
  add ("fds-lost-for-data", test_fds_lost_for_data);
  add ("fds-refused", test_fds_refused);
  add ("fds-without-numbers", test_fds_without_numbers);
  add ("fds-forwarded", test_fds_forwarded);
  add ("credentials", test_credentials);
  add ("no-credentials", test_no_credentials);
  add ("flood-starves-nobody", test_flood_starves_nobody);
  add ("take", test_take);
  add ("take-what-was-read", test_take_what_was_read);
  add ("take-payloads", test_take_payloads);
  add ("take-payloads-that-came", test_take_payloads_that_came);
  add ("take-payloads-only", test_take_payloads_only);
  add ("take-payloads-in-parts", test_take_payloads_in_parts);
  add ("take-in-a-turn", test_take_in_a_turn);
  add ("take-between-turns", test_take_between_turns);
  add ("take-gives-way", test_take_gives_way);
  add ("take-holds-the-end", test_take_holds_the_end);
  add ("take-fds", test_take_fds);
  add ("unread-nothing", test_unread_nothing);
  add ("take-from-nothing", test_take_from_nothing);
  add ("take-of-a-batch", test_take_of_a_batch);
  add ("kept-array", test_kept_array);

  return g_test_run ();
}
