/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "channel-scene.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALL "connect data drain end timeout error close"

static UsockState
scene_state (Scene *scene)
{
  return usock_socket_get_state (USOCK_SOCKET (scene->channel));
}

static void
scene_clog (Scene *scene)
{
  usock_channel_set_queue_limit (scene->channel, 0);
  scene_fill (scene->channel, NULL);
  usock_channel_set_queue_limit (scene->channel, 1024 * 1024);
}

static void
close_gracefully (Scene        *scene,
                  const char   *name,
                  int           timeout,
                  GCancellable *cancellable)
{
  usock_channel_close_gracefully_async (
      scene->channel, timeout, cancellable, witness_done,
      witness_call (&scene->witness, name, usock_channel_close_gracefully_finish));
}

static void
end_async (Scene        *scene,
           const char   *name,
           GCancellable *cancellable)
{
  usock_channel_end_async (scene->channel, cancellable, witness_done,
                           witness_call (&scene->witness, name, usock_channel_end_finish));
}

/* Half-open. */

static void
test_peer_ends (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  scene_send (scene.peer, "last");
  g_assert_no_errno (shutdown (scene.peer, SHUT_WR));
  witness_expect (&scene.witness, "data:last end close");
  g_assert_null (scene_receive (scene.peer));
  g_assert_false (usock_socket_get_had_error (USOCK_SOCKET (scene.channel)));
  scene_stop (&scene);
}

static void
answer_cb (UsockChannel *channel,
           gpointer      unused)
{
  usock_test_no_error (usock_channel_send_text (channel, "answer", &error));
}

/* Without half-open, too, the end handler may say a last word; and what is queued still goes. */
static void
test_peer_ends_with_queue (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;
  guint n_received = 0, n_sent;
  char *text;

  scene_start (&scene, test, "end error close");
  g_signal_connect (scene.channel, "end", G_CALLBACK (answer_cb), NULL);
  scene_clog (&scene);
  n_sent = usock_channel_get_messages_written (scene.channel) + 101;
  for (guint i = 0; i < 100; i++)
    usock_test_no_error (usock_channel_send_text (scene.channel, "queued", &error));
  g_assert_no_errno (shutdown (scene.peer, SHUT_WR));
  witness_expect (&scene.witness, "end");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_CLOSING);
  while ((text = scene_receive (scene.peer)) != NULL)
    {
      n_received++;
      if (n_received == n_sent)
        g_assert_cmpstr (text, ==, "answer");
      g_free (text);
      scene_settle ();
    }
  g_assert_cmpuint (n_received, ==, n_sent);
  witness_expect (&scene.witness, "close");
  scene_stop (&scene);
}

static void
test_half_open_peer_ends_first (UsockTest     *test,
                                gconstpointer  unused)
{
  Scene scene;
  g_autofree char *text = NULL;

  scene_start (&scene, test, ALL);
  usock_channel_set_allow_half_open (scene.channel, TRUE);
  g_assert_no_errno (shutdown (scene.peer, SHUT_WR));
  witness_expect (&scene.witness, "end");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_WRITE_ONLY);
  for (guint i = 0; i < 3; i++)
    {
      usock_test_no_error (usock_channel_send_text (scene.channel, "still", &error));
      scene_settle ();
      g_free (g_steal_pointer (&text));
      text = scene_receive (scene.peer);
      g_assert_cmpstr (text, ==, "still");
    }
  witness_assert (&scene.witness, "");
  usock_channel_end (scene.channel);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "close");
  g_assert_null (scene_receive (scene.peer));
  scene_stop (&scene);
}

static void
test_half_open_we_end_first (UsockTest     *test,
                             gconstpointer  half_open)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  usock_channel_set_allow_half_open (scene.channel, half_open != NULL);
  usock_channel_end (scene.channel);
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_READ_ONLY);
  g_assert_null (scene_receive (scene.peer));
  scene_send (scene.peer, "1");
  scene_send (scene.peer, "2");
  witness_expect (&scene.witness, "data:1 data:2");
  close (usock_test_take (test, 1));
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

/* What has not begun cannot end. */
static void
test_end_of_new (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int listener = scene_listen (path, 1);
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());

  usock_channel_end (channel);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  usock_test_no_error (usock_channel_send_text (channel, "x", &error));
  scene_close (channel);
  close (listener);
  unlink (path);
}

static void
test_both_end (UsockTest     *test,
               gconstpointer  unused)
{
  UsockChannel *first, *second;
  Witness a, b;

  witness_init (&a);
  witness_init (&b);
  scene_pair (&first, &second);
  witness_watch (&a, first, ALL);
  witness_watch (&b, second, ALL);
  for (guint i = 0; i < 3; i++)
    {
      usock_test_no_error (usock_channel_send_text (first, "a", &error));
      usock_test_no_error (usock_channel_send_text (second, "b", &error));
    }
  usock_channel_end (first);
  usock_channel_end (second);
  witness_expect (&a, "data:b data:b data:b end close");
  witness_expect (&b, "data:a data:a data:a end close");
  scene_close (first);
  scene_close (second);
  witness_clear (&a);
  witness_clear (&b);
}

/* What we write after the peer is gone fails, and our side stays as it was. */
static void
test_half_open_peer_gone (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;

  scene_start (&scene, test, ALL);
  usock_channel_set_allow_half_open (scene.channel, TRUE);
  close (usock_test_take (test, 1));
  witness_expect (&scene.witness, "end");
  g_assert_false (usock_channel_send_text (scene.channel, "x", &failure));
  assert_error_code (failure, G_IO_ERROR_BROKEN_PIPE);
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_channel_end (scene.channel);
  witness_expect (&scene.witness, "close");
  scene_stop (&scene);
}

/* Ending. */

static void
test_end_async (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;
  char *text;

  scene_start (&scene, test, "end error close");
  scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "last", &error));
  end_async (&scene, "a", NULL);
  end_async (&scene, "b", NULL);
  scene_settle ();
  witness_assert (&scene.witness, "");
  while ((text = scene_receive (scene.peer)) != NULL)
    {
      g_free (text);
      scene_settle ();
    }
  witness_expect (&scene.witness, "a:ok b:ok");
  end_async (&scene, "c", NULL);
  witness_expect (&scene.witness, "c:ok");
  close (usock_test_take (test, 1));
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

/* Cancelling stops the waiting, not the end. */
static void
test_end_async_cancelled (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *last = NULL;
  char *text;

  scene_start (&scene, test, "end error close");
  scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "last", &error));
  end_async (&scene, "a", cancellable);
  end_async (&scene, "b", NULL);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  witness_expect (&scene.witness, "a:cancelled");
  while ((text = scene_receive (scene.peer)) != NULL)
    {
      g_free (last);
      last = text;
      scene_settle ();
    }
  g_assert_cmpstr (last, ==, "last");
  witness_expect (&scene.witness, "b:ok");
  scene_stop (&scene);
}

/* Closing gracefully. */

static void
test_gracefully (UsockTest     *test,
                 gconstpointer  signals)
{
  Scene scene;
  guint n_received = 0, n_sent;
  char *text;

  scene_start (&scene, test, signals);
  scene_clog (&scene);
  n_sent = usock_channel_get_messages_written (scene.channel) + 500;
  for (guint i = 0; i < 500; i++)
    usock_test_no_error (usock_channel_send_text (scene.channel, "queued", &error));
  close_gracefully (&scene, "a", -1, NULL);
  close_gracefully (&scene, "b", -1, NULL);
  witness_expect (&scene.witness, "b:pending");
  while ((text = scene_receive (scene.peer)) != NULL)
    {
      g_free (text);
      n_received++;
      scene_settle ();
    }
  g_assert_cmpuint (n_received, ==, n_sent);
  witness_assert (&scene.witness, "");
  for (guint i = 0; i < 3; i++)
    scene_send (scene.peer, "x");
  close (usock_test_take (test, 1));
  usock_test_wait_until (scene.witness.n_closed == 1);
  witness_assert (&scene.witness,
                  strstr (signals, "data") != NULL ? "data:x data:x data:x end a:ok close"
                                                   : "end a:ok close");
  g_assert_cmpuint (usock_channel_get_messages_read (scene.channel), ==, 3);
  close_gracefully (&scene, "c", -1, NULL);
  witness_expect (&scene.witness, "c:closed");
  scene_stop (&scene);
}

static void
test_gracefully_timeout (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "queued", &error));
  close_gracefully (&scene, "a", 50, NULL);
  witness_expect (&scene.witness, "a:timed-out error:timed-out close");
  scene_stop (&scene);
}

static void
test_gracefully_peer_stays (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  close_gracefully (&scene, "a", 50, NULL);
  witness_expect (&scene.witness, "a:timed-out error:timed-out close");
  scene_stop (&scene);
}

static void
test_gracefully_cancelled (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  scene_start (&scene, test, ALL);
  close_gracefully (&scene, "a", 50, cancellable);
  g_cancellable_cancel (cancellable);
  witness_expect (&scene.witness, "a:cancelled");
  g_assert_null (scene_receive (scene.peer));
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_READ_ONLY);
  scene_send (scene.peer, "late");
  witness_expect (&scene.witness, "data:late");
  close_gracefully (&scene, "b", -1, NULL);
  close (usock_test_take (test, 1));
  witness_expect (&scene.witness, "end b:ok close");
  scene_stop (&scene);
}

static void
test_gracefully_closed_meanwhile (UsockTest     *test,
                                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  close_gracefully (&scene, "a", -1, NULL);
  scene_settle ();
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_expect (&scene.witness, "a:closed close");
  scene_stop (&scene);
}

static void
test_gracefully_new (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;

  witness_init (&scene.witness);
  scene.channel = USOCK_CHANNEL (usock_seqpacket_new ());
  witness_watch (&scene.witness, scene.channel, ALL);
  close_gracefully (&scene, "a", -1, NULL);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "a:ok close");
  scene_stop (&scene);
}

static void
test_gracefully_paused (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  usock_channel_pause (scene.channel);
  scene_send (scene.peer, "1");
  close_gracefully (&scene, "a", -1, NULL);
  close (usock_test_take (test, 1));
  witness_expect (&scene.witness, "data:1 end a:ok close");
  scene_stop (&scene);
}

static void
test_gracefully_both (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;
  UsockChannel *peer;
  Witness other;

  witness_init (&scene.witness);
  witness_init (&other);
  scene_pair (&scene.channel, &peer);
  witness_watch (&scene.witness, scene.channel, ALL);
  witness_watch (&other, peer, ALL);
  close_gracefully (&scene, "a", 1000, NULL);
  usock_channel_close_gracefully_async (
      peer, 1000, NULL, witness_done,
      witness_call (&other, "b", usock_channel_close_gracefully_finish));
  witness_expect (&scene.witness, "end a:ok close");
  witness_expect (&other, "end b:ok close");
  scene_close (peer);
  witness_clear (&other);
  scene_stop (&scene);
}

/* The idle timeout. */

static void
test_idle (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  usock_channel_set_idle_timeout (scene.channel, 20);
  witness_expect (&scene.witness, "timeout");

  /* Once an idle period, however long that is. */
  scene_send (scene.peer, "1");
  witness_expect (&scene.witness, "data:1");
  usock_test_wait_until (scene.witness.n_words == 1);
  witness_assert (&scene.witness, "timeout");
  usock_test_no_error (usock_channel_send_text (scene.channel, "2", &error));
  usock_test_wait_until (scene.witness.n_words == 1);
  witness_assert (&scene.witness, "timeout");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_OPEN);
  scene_stop (&scene);
}

static void
test_idle_once (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;
  UsockChannel *other, *clock;
  Witness ticks;

  /* Another channel tells how much time went by. */
  scene_start (&scene, test, ALL);
  witness_init (&ticks);
  scene_pair (&clock, &other);
  witness_watch (&ticks, clock, "timeout");
  usock_channel_set_idle_timeout (scene.channel, 5);
  for (guint i = 1; i <= 5; i++)
    {
      usock_channel_set_idle_timeout (clock, 20 + i);
      usock_test_wait_until (ticks.n_words == i);
    }
  witness_assert (&scene.witness, "timeout");
  scene_close (clock);
  scene_close (other);
  witness_clear (&ticks);
  scene_stop (&scene);
}

static void
test_idle_while_paused (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  usock_channel_pause (scene.channel);
  usock_channel_set_idle_timeout (scene.channel, 20);
  scene_send (scene.peer, "1");
  witness_expect (&scene.witness, "timeout");
  scene_stop (&scene);
}

/* To try in vain to send is no activity. */
static void
test_idle_while_blocked (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "timeout error close");
  usock_channel_set_send_timeout (scene.channel, 0);
  scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "waits", &error));
  usock_channel_set_idle_timeout (scene.channel, 20);
  witness_expect (&scene.witness, "timeout");
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), >, 0);
  scene_stop (&scene);
}

static void
ignore_cb (UsockChannel *channel,
           GByteArray   *bytes,
           gpointer      unused)
{
}

static void
test_idle_is_reset (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;
  gint64 start = g_get_monotonic_time ();
  gint64 last = start;

  scene_start (&scene, test, "timeout error close");
  g_signal_connect (scene.channel, "data", G_CALLBACK (ignore_cb), NULL);
  usock_channel_set_idle_timeout (scene.channel, 300);
  while (g_get_monotonic_time () - start < 900 * 1000)
    {
      gint64 now = g_get_monotonic_time ();

      /* A machine that stands still for so long proves nothing. */
      if (now - last > 200 * 1000)
        break;
      last = now;
      scene_send (scene.peer, "1");
      scene_settle ();
      witness_assert (&scene.witness, "");
    }
  scene_stop (&scene);
}

static void
test_idle_before_connecting (UsockTest     *test,
                             gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int listener = scene_listen (path, 1);
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  Witness witness;

  witness_init (&witness);
  witness_watch (&witness, channel, ALL);
  usock_channel_set_idle_timeout (channel, 20);
  scene_settle ();
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  witness_expect (&witness, "connect");
  usock_test_wait_until (witness.n_words == 1);
  witness_assert (&witness, "timeout");
  scene_close (channel);
  close (listener);
  witness_clear (&witness);
}

/* Counters, properties. */

static void
test_counters (UsockTest     *test,
               gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "12345", &error));
  usock_test_no_error (usock_channel_send_text (scene.channel, "", &error));
  scene_send (scene.peer, "123");
  scene_send (scene.peer, "");
  scene_send (scene.peer, "1");
  witness_expect (&scene.witness, "data:123 data: data:1");
  g_free (scene_receive (scene.peer));
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_expect (&scene.witness, "close");
  g_assert_cmpuint (usock_channel_get_bytes_read (scene.channel), ==, 4);
  g_assert_cmpuint (usock_channel_get_messages_read (scene.channel), ==, 3);
  g_assert_cmpuint (usock_channel_get_bytes_written (scene.channel), ==, 5);
  g_assert_cmpuint (usock_channel_get_messages_written (scene.channel), ==, 2);
  scene_stop (&scene);
}

static void
count_cb (GObject    *object,
          GParamSpec *pspec,
          guint      *n_notified)
{
  (*n_notified)++;
}

/* Each property that can be set tells its change once, and only a change. */
static void
test_properties (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new ();
  GObject *object = G_OBJECT (channel);
  g_autofree GParamSpec **pspecs = NULL;
  guint n_pspecs, n_checked = 0;

  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (object), &n_pspecs);
  for (guint i = 0; i < n_pspecs; i++)
    {
      g_auto (GValue) value = G_VALUE_INIT;
      g_auto (GValue) after = G_VALUE_INIT;
      g_autofree char *signal = g_strconcat ("notify::", pspecs[i]->name, NULL);
      guint n_notified = 0;
      gulong id;

      g_value_init (&value, pspecs[i]->value_type);
      g_object_get_property (object, pspecs[i]->name, &value);
      if (!G_IS_PARAM_SPEC_OBJECT (pspecs[i]) && !g_str_equal (pspecs[i]->name, "fd"))
        g_assert_true (g_param_value_defaults (pspecs[i], &value));
      if (!(pspecs[i]->flags & G_PARAM_WRITABLE))
        continue;

      if (G_VALUE_HOLDS_BOOLEAN (&value))
        g_value_set_boolean (&value, !g_value_get_boolean (&value));
      else if (G_VALUE_HOLDS_UINT (&value))
        g_value_set_uint (&value, 7);
      else if (G_VALUE_HOLDS_UINT64 (&value))
        g_value_set_uint64 (&value, 7);
      else
        g_assert_not_reached ();

      id = g_signal_connect (object, signal, G_CALLBACK (count_cb), &n_notified);
      g_object_set_property (object, pspecs[i]->name, &value);
      g_object_set_property (object, pspecs[i]->name, &value);
      g_assert_cmpuint (n_notified, ==, 1);
      g_signal_handler_disconnect (object, id);
      g_value_init (&after, pspecs[i]->value_type);
      g_object_get_property (object, pspecs[i]->name, &after);
      g_assert_cmpint (g_param_values_cmp (pspecs[i], &value, &after), ==, 0);
      n_checked++;
    }
  g_assert_cmpuint (n_checked, ==, 13);
}

/* What is too little or too much is the least or the most, and says no more than that. */
static void
test_borders (UsockTest     *test,
              gconstpointer  unused)
{
  static const guint sizes[] = { 0, 1, 2, 64 * 1024 * 1024 - 1, 64 * 1024 * 1024,
                                 64 * 1024 * 1024 + 1, G_MAXUINT };
  static const guint clamped[] = { 1, 1, 2, 64 * 1024 * 1024 - 1, 64 * 1024 * 1024,
                                   64 * 1024 * 1024, 64 * 1024 * 1024 };
  static const guint changes[] = { 1, 1, 2, 3, 4, 4, 4 };
  Scene scene;
  guint n_notified = 0;

  scene_start (&scene, test, ALL);
  g_signal_connect (scene.channel, "notify::read-buffer-size", G_CALLBACK (count_cb), &n_notified);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      usock_channel_set_read_buffer_size (scene.channel, sizes[i]);
      g_assert_cmpuint (usock_channel_get_read_buffer_size (scene.channel), ==, clamped[i]);
      g_assert_cmpuint (n_notified, ==, changes[i]);
    }
  scene_stop (&scene);
}

/* In C whatever is not 0 is true. */
static void
test_any_truth (UsockTest     *test,
                gconstpointer  unused)
{
  static void (*const setters[]) (UsockChannel *, gboolean)
      = { usock_channel_set_allow_half_open, usock_channel_set_memfd_fallback,
          usock_channel_set_pass_credentials, usock_channel_set_pass_pidfd };
  static gboolean (*const getters[]) (UsockChannel *)
      = { usock_channel_get_allow_half_open, usock_channel_get_memfd_fallback,
          usock_channel_get_pass_credentials, usock_channel_get_pass_pidfd };
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new ();
  guint n_notified = 0;

  g_signal_connect (channel, "notify", G_CALLBACK (count_cb), &n_notified);
  for (guint i = 0; i < G_N_ELEMENTS (setters); i++)
    {
      setters[i] (USOCK_CHANNEL (channel), 256);
      setters[i] (USOCK_CHANNEL (channel), TRUE);
      g_assert_cmpint (getters[i] (USOCK_CHANNEL (channel)), ==, TRUE);
      g_assert_cmpuint (n_notified, ==, i + 1);
    }
}

static void
test_paused_is_notified (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;
  guint n_notified = 0;

  scene_start (&scene, test, ALL);
  g_signal_connect (scene.channel, "notify::paused", G_CALLBACK (count_cb), &n_notified);
  usock_channel_pause (scene.channel);
  usock_channel_pause (scene.channel);
  g_assert_cmpuint (n_notified, ==, 1);
  usock_channel_resume (scene.channel);
  usock_channel_resume (scene.channel);
  g_assert_cmpuint (n_notified, ==, 2);
  scene_stop (&scene);
}

/* A result of another call, or of another channel, is a mistake in the program. */
static void
keep_result_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static void
test_wrong_result (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (UsockSeqpacket) other = usock_seqpacket_new ();

  scene_start (&scene, test, ALL);
  usock_channel_flush_async (scene.channel, NULL, keep_result_cb, &result);
  usock_test_wait_until (result != NULL);
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*assertion*failed*");
  g_assert_false (usock_channel_end_finish (scene.channel, result, NULL));
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*assertion*failed*");
  g_assert_false (usock_channel_flush_finish (USOCK_CHANNEL (other), result, NULL));
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*assertion*failed*");
  g_assert_null (usock_channel_receive_finish (scene.channel, result, NULL));
  g_test_assert_expected_messages ();
  g_assert_true (usock_channel_flush_finish (scene.channel, result, NULL));
  scene_stop (&scene);
}

static void
test_missing_message (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("1");
  UsockMessage *messages[] = { message, NULL, message };

  scene_start (&scene, test, ALL);
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*send_messages*are_messages*failed*");
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, messages, 3, NULL), ==, 0);
  g_test_assert_expected_messages ();
  scene_stop (&scene);
}

/* Without a callback, every call does its work, and what it cannot tell is nobody's. */
static void
test_without_callbacks (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("1");
  g_autofree char *text = NULL;

  scene_start (&scene, test, "end error close");
  usock_channel_send_message_async (scene.channel, message, NULL, NULL, NULL);
  usock_channel_flush_async (scene.channel, NULL, NULL, NULL);
  usock_channel_receive_async (scene.channel, NULL, NULL, NULL);
  usock_channel_end_async (scene.channel, NULL, NULL, NULL);
  usock_channel_close_gracefully_async (scene.channel, 1000, NULL, NULL, NULL);
  text = scene_receive (scene.peer);
  g_assert_cmpstr (text, ==, "1");
  scene_send (scene.peer, "1");
  close (usock_test_take (test, 1));
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/channel/" name, function)
#define add_with(name, data, function)                                                             \
  g_test_add ("/usock/channel/" name, UsockTest, data, usock_test_setup, function,                 \
              usock_test_teardown)

  add ("peer-ends", test_peer_ends);
  add ("peer-ends-with-queue", test_peer_ends_with_queue);
  add ("half-open-peer-ends-first", test_half_open_peer_ends_first);
  add_with ("half-open-we-end-first", "", test_half_open_we_end_first);
  add_with ("we-end-first", NULL, test_half_open_we_end_first);
  add ("end-of-new", test_end_of_new);
  add ("both-end", test_both_end);
  add ("half-open-peer-gone", test_half_open_peer_gone);
  add ("end-async", test_end_async);
  add ("end-async-cancelled", test_end_async_cancelled);
  add_with ("gracefully", "data end error close", test_gracefully);
  add_with ("gracefully-unheard", "end error close", test_gracefully);
  add ("gracefully-timeout", test_gracefully_timeout);
  add ("gracefully-peer-stays", test_gracefully_peer_stays);
  add ("gracefully-cancelled", test_gracefully_cancelled);
  add ("gracefully-closed-meanwhile", test_gracefully_closed_meanwhile);
  add ("gracefully-new", test_gracefully_new);
  add ("gracefully-paused", test_gracefully_paused);
  add ("gracefully-both", test_gracefully_both);
  add ("idle", test_idle);
  add ("idle-once", test_idle_once);
  add ("idle-while-paused", test_idle_while_paused);
  add ("idle-while-blocked", test_idle_while_blocked);
  add ("idle-is-reset", test_idle_is_reset);
  add ("idle-before-connecting", test_idle_before_connecting);
  add ("counters", test_counters);
  add ("properties", test_properties);
  add ("borders", test_borders);
  add ("any-truth", test_any_truth);
  add ("paused-is-notified", test_paused_is_notified);
  add ("wrong-result", test_wrong_result);
  add ("missing-message", test_missing_message);
  add ("without-callbacks", test_without_callbacks);

  return g_test_run ();
}
