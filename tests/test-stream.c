/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "stream-scene.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The end, and what comes before it. */

static void
test_order (UsockTest     *test,
            gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start (&scene, "data end close");
  usock_test_no_error (usock_channel_send_text (scene.far_channel, "hello", &error));
  usock_channel_end (scene.far_channel);
  witness_expect (&scene.witness, "data:hello end close");
  stream_scene_stop (&scene);
}

static void
test_half_open (UsockTest     *test,
                gconstpointer  unused)
{
  g_autofree char *answer = NULL;
  StreamScene scene;

  /* The peer ends first, and is still answered. */
  stream_scene_start_raw (&scene, "data end error close");
  usock_channel_set_allow_half_open (scene.channel, TRUE);
  scene_send (scene.peer, "question");
  g_assert_no_errno (shutdown (scene.peer, SHUT_WR));
  witness_expect (&scene.witness, "data:question end");
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.stream)), ==,
                   USOCK_STATE_WRITE_ONLY);
  usock_test_no_error (usock_channel_send_text (scene.channel, "answer", &error));
  answer = scene_receive (scene.peer);
  g_assert_cmpstr (answer, ==, "answer");
  usock_channel_end (scene.channel);
  witness_expect (&scene.witness, "close");
  stream_scene_stop (&scene);

  /* We end first, and still hear the peer. */
  stream_scene_start_raw (&scene, "data end error close");
  usock_channel_end (scene.channel);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.stream)), ==,
                   USOCK_STATE_READ_ONLY);
  scene_send (scene.peer, "1");
  witness_expect (&scene.witness, "data:1");
  scene_send (scene.peer, "2");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "data:2 end close");
  stream_scene_stop (&scene);
}

/* The peer closes with something unread: the reset comes behind what it sent. */
static void
test_reset_by_peer (UsockTest     *test,
                    gconstpointer  unused)
{
  static const char *const signals[] = { "data end error close", "message end error close",
                                         "batch end error close" };

  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      g_autofree char *name = g_strndup (signals[i], strchr (signals[i], ' ') - signals[i]);
      g_autofree char *expected = g_strconcat (name, ":final error:broken-pipe close", NULL);
      StreamScene scene;

      stream_scene_start_raw (&scene, signals[i]);
      usock_test_no_error (usock_channel_send_text (scene.channel, "unread", &error));
      scene_send (scene.peer, "final");
      stream_scene_hang_up (&scene);
      witness_expect (&scene.witness, expected);
      stream_scene_stop (&scene);
    }
}

static void
test_reset_while_waiting (UsockTest     *test,
                          gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "end error close");
  usock_test_no_error (usock_channel_send_text (scene.channel, "unread", &error));
  stream_scene_exactly (&scene, "a", 100, 0, NULL);
  scene_send (scene.peer, "final");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "a:broken-pipe");
  /* It took nothing of what came. */
  stream_scene_line (&scene, "b", NULL);
  witness_expect (&scene.witness, "b:broken-pipe");
  stream_scene_exactly (&scene, "c", 5, 0, NULL);
  witness_expect (&scene.witness, "c:final error:broken-pipe close");
  stream_scene_stop (&scene);
}

/* Sending learns first that the peer is gone. */
static void
test_send_to_nobody (UsockTest     *test,
                     gconstpointer  unused)
{
  GError *failure = NULL;
  StreamScene scene;

  stream_scene_start_raw (&scene, "data end error close");
  usock_test_no_error (usock_channel_send_text (scene.channel, "unread", &error));
  scene_send (scene.peer, "final");
  stream_scene_hang_up (&scene);
  g_assert_false (usock_channel_send_text (scene.channel, "more", &failure));
  assert_error_code (failure, G_IO_ERROR_BROKEN_PIPE);
  witness_expect (&scene.witness, "data:final error:broken-pipe close");
  stream_scene_stop (&scene);
}

/* Nobody listens. */

static void
test_hang_up_unheard (UsockTest     *test,
                      gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "end error close");
  scene_settle ();
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "end close");
  stream_scene_stop (&scene);

  stream_scene_start_raw (&scene, "end error close");
  usock_test_no_error (usock_channel_send_text (scene.channel, "unread", &error));
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "error:broken-pipe close");
  stream_scene_stop (&scene);

  /* What is left behind waits for somebody. */
  stream_scene_start_raw (&scene, "end error close");
  scene_send (scene.peer, "left");
  stream_scene_hang_up (&scene);
  scene_settle ();
  witness_assert (&scene.witness, "");
  witness_receive (&scene.witness, scene.channel, "receive", NULL);
  witness_expect (&scene.witness, "receive:left end close");
  stream_scene_stop (&scene);
}

/* What a call leaves behind waits, too. */
static void
test_hang_up_with_rest (UsockTest     *test,
                        gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "end error close");
  stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "one\ntwo");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "line:one");
  witness_watch (&scene.witness, scene.stream, "data");
  witness_expect (&scene.witness, "data:two end close");
  stream_scene_stop (&scene);
}

static void
test_hang_up_while_paused (UsockTest     *test,
                           gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "data end error close");
  usock_channel_pause (scene.channel);
  stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "one\ntwo");
  stream_scene_hang_up (&scene);
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_channel_resume (scene.channel);
  witness_expect (&scene.witness, "line:one data:two end close");
  stream_scene_stop (&scene);
}

/* Pausing in the middle. */

static void
pause_cb (UsockChannel *channel)
{
  usock_channel_pause (channel);
}

static void
test_pause_in_handler (UsockTest     *test,
                       gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "data end");
  usock_channel_set_read_buffer_size (scene.channel, 2);
  g_signal_connect (scene.stream, "data", G_CALLBACK (pause_cb), NULL);
  scene_send (scene.peer, "abcde");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "data:ab");
  usock_channel_resume (scene.channel);
  witness_expect (&scene.witness, "data:cd");
  usock_channel_resume (scene.channel);
  witness_expect (&scene.witness, "data:e");
  usock_channel_resume (scene.channel);
  witness_expect (&scene.witness, "end");
  stream_scene_stop (&scene);
}

static void
test_pause_while_waiting (UsockTest     *test,
                          gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  stream_scene_exactly (&scene, "a", 4, 0, NULL);
  scene_send (scene.peer, "12");
  scene_settle ();
  usock_channel_pause (scene.channel);
  scene_send (scene.peer, "34");
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_channel_resume (scene.channel);
  witness_expect (&scene.witness, "a:1234");
  stream_scene_stop (&scene);
}

/* Out of band. */

static void
append_cb (UsockChannel *channel,
           GByteArray   *bytes,
           gpointer      text)
{
  g_string_append_len (text, (const char *) bytes->data, bytes->len);
}

static void
send_with_oob (int      fd,
               GString *expected,
               guint    i)
{
  char byte = 'a' + i % 26;

  g_assert_cmpint (send (fd, &byte, 1, (i % 10 == 3 ? MSG_OOB : 0) | MSG_NOSIGNAL), ==, 1);
  g_string_append_c (expected, byte);
}

/* Bytes out of band come in line, and nothing stands still behind them, whether the stream was
 * asleep, about to read, or paused when they came. */
static void
test_out_of_band (UsockTest     *test,
                  gconstpointer  unused)
{
  for (guint together = 1; together <= 50; together++)
    {
      g_autoptr (GString) expected = g_string_new (NULL);
      g_autoptr (GString) text = g_string_new (NULL);
      StreamScene scene;

      stream_scene_start_raw (&scene, "");
      g_signal_connect (scene.stream, "data", G_CALLBACK (append_cb), text);
      for (guint i = 0; i < 200; i++)
        {
          send_with_oob (scene.peer, expected, i);
          if (i % together != 0)
            continue;
          if (together % 3 == 0)
            {
              usock_channel_pause (scene.channel);
              scene_settle ();
              usock_channel_resume (scene.channel);
            }
          usock_test_wait_until (text->len == expected->len);
        }
      usock_test_wait_until (text->len == expected->len);
      g_assert_cmpstr (text->str, ==, expected->str);
      stream_scene_stop (&scene);
    }
}

static void
test_out_of_band_before_us (UsockTest     *test,
                            gconstpointer  unused)
{
  UsockStream *stream;
  int fds[2];
  Witness witness;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  scene_send (fds[1], "ab");
  g_assert_cmpint (send (fds[1], "c", 1, MSG_OOB), ==, 1);
  scene_send (fds[1], "d");
  close (fds[1]);
  witness_init (&witness);
  usock_test_no_error (stream = usock_stream_new_from_fd (fds[0], &error));
  witness_watch (&witness, stream, "data end close");
  witness_expect (&witness, "data:ab data:cd end close");
  g_object_unref (stream);
  witness_clear (&witness);
}

/* Handlers that do what they please. */

static void
close_cb (gpointer socket)
{
  usock_socket_close (socket);
}

static void
test_close_in_handler (UsockTest     *test,
                       gconstpointer  unused)
{
  static const struct
  {
    const char *signal;
    const char *expected;
  } cases[] = {
    { "data", "data:ab close" },
    { "message", "message:ab close" },
    { "batch", "batch:ab close" },
    { "end", "data:ab data:c end close" },
    { "close", "data:ab data:c end close" },
    { "drain", "drain close" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *signals = g_str_equal (cases[i].signal, "message")
                                         || g_str_equal (cases[i].signal, "batch")
                                     ? g_strdup_printf ("%s end drain close", cases[i].signal)
                                     : g_strdup ("data end drain close");
      StreamScene scene;

      stream_scene_start_raw (&scene, signals);
      usock_channel_set_read_buffer_size (scene.channel, 2);
      usock_channel_set_high_water_mark (scene.channel, 0);
      g_signal_connect (scene.stream, cases[i].signal, G_CALLBACK (close_cb), NULL);
      if (g_str_equal (cases[i].signal, "drain"))
        {
          usock_stream_cork (scene.stream);
          usock_test_no_error (usock_channel_send_text (scene.channel, "x", &error));
          usock_stream_uncork (scene.stream);
        }
      else
        {
          scene_send (scene.peer, "abc");
          stream_scene_hang_up (&scene);
        }
      witness_expect (&scene.witness, cases[i].expected);
      stream_scene_stop (&scene);
    }
}

typedef enum
{
  CALL_LINE,
  CALL_TEXT,
  CALL_EXACTLY,
  CALL_RECEIVE,
  CALL_SEND,
  N_CALLS,
} Call;

static void
close_then_cb (GObject      *source,
               GAsyncResult *result,
               gpointer      n_calls)
{
  ++*(guint *) n_calls;
  usock_socket_close (USOCK_SOCKET (source));
}

static void
make_call (UsockStream         *stream,
           Call                 call,
           GAsyncReadyCallback  callback,
           gpointer             data)
{
  g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "x", 1);

  if (call == CALL_LINE)
    usock_stream_receive_line_async (stream, NULL, callback, data);
  else if (call == CALL_TEXT)
    usock_stream_receive_text_async (stream, NULL, callback, data);
  else if (call == CALL_EXACTLY)
    usock_stream_receive_exactly_async (stream, 1, 1, NULL, callback, data);
  else if (call == CALL_RECEIVE)
    usock_channel_receive_async (USOCK_CHANNEL (stream), NULL, callback, data);
  else
    usock_channel_send_message_async (USOCK_CHANNEL (stream), message, NULL, callback, data);
}

/* Each of two calls is answered, though the first one's answer closes the stream. */
static void
test_close_in_callback (UsockTest     *test,
                        gconstpointer  unused)
{
  for (Call call = 0; call < N_CALLS; call++)
    {
      guint n_calls = 0;
      int fd = 0;
      StreamScene scene;

      stream_scene_start_raw (&scene, "data close");
      usock_channel_set_max_fds (scene.channel, 1);
      if (call == CALL_SEND)
        usock_channel_pause (scene.channel);
      make_call (scene.stream, call, close_then_cb, &n_calls);
      make_call (scene.stream, call, close_then_cb, &n_calls);
      raw_send (scene.peer, "x\ny\n", 4, &fd, 1);
      witness_expect (&scene.witness, "close");
      g_assert_cmpuint (n_calls, ==, 2);
      stream_scene_stop (&scene);
    }
}

/* A nested main loop goes on where the handler stands, and leaves the handler its bytes. */
static void
nest_cb (UsockChannel *channel,
         GByteArray   *bytes,
         gpointer      text)
{
  g_autofree char *before = g_strndup ((const char *) bytes->data, bytes->len);

  g_string_append_printf (text, "(%s", before);
  if (((GString *) text)->len < 20)
    scene_settle ();
  g_assert_cmpmem (bytes->data, bytes->len, before, strlen (before));
  g_string_append_c (text, ')');
}

static void
test_nested_loops (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (GString) text = g_string_new (NULL);
  StreamScene scene;

  stream_scene_start_raw (&scene, "end close");
  usock_channel_set_read_buffer_size (scene.channel, 2);
  stream_scene_exactly (&scene, "first", 3, 0, NULL);
  g_signal_connect (scene.stream, "data", G_CALLBACK (nest_cb), text);
  scene_send (scene.peer, "abcdefghi");
  scene_settle ();
  g_assert_cmpstr (text->str, ==, "(d(ef(gh(i))))");
  witness_assert (&scene.witness, "first:abc");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "end close");
  stream_scene_stop (&scene);
}

static void
nest_then_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      words)
{
  g_autofree char *line
      = usock_stream_receive_line_finish (USOCK_STREAM (source), result, NULL);

  g_string_append_printf (words, "<%s", line != NULL ? line : "END");
  if (line != NULL)
    usock_stream_receive_line_async (USOCK_STREAM (source), NULL, nest_then_cb, words);
  scene_settle ();
  g_string_append_c (words, '>');
}

static void
test_nested_calls (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (GString) words = g_string_new (NULL);
  StreamScene scene;

  stream_scene_start_raw (&scene, "end close");
  usock_stream_receive_line_async (scene.stream, NULL, nest_then_cb, words);
  scene_send (scene.peer, "a\nb\nc");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "end close");
  g_assert_cmpstr (words->str, ==, "<a<b<c<END>>>>");
  stream_scene_stop (&scene);
}

static void
drop_cb (gpointer stream)
{
  g_object_unref (stream);
}

static void
test_dropped_in_handler (UsockTest     *test,
                         gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "data end close");
  g_signal_connect (scene.stream, "data", G_CALLBACK (drop_cb), NULL);
  scene_send (scene.peer, "a");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "data:a end close");
  witness_clear (&scene.witness);
}

/* A child may only close what it inherited; what it does the parent does not notice. */
static void
test_fork (UsockTest     *test,
           gconstpointer  unused)
{
  pid_t child;
  int status;
  StreamScene scene;

  stream_scene_start_raw (&scene, "data end error close");
  usock_stream_cork (scene.stream);
  usock_test_no_error (usock_channel_send_text (scene.channel, "queued", &error));
  stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "a\n");
  child = fork ();
  g_assert_no_errno (child);
  if (child == 0)
    {
      g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "x", 1);

      usock_stream_uncork (scene.stream);
      if (usock_channel_send_text (scene.channel, "child", NULL)
          || usock_stream_unread (scene.stream, message, NULL))
        _exit (1);
      usock_stream_reset (scene.stream);
      scene_settle ();
      _exit (0);
    }
  g_assert_no_errno (waitpid (child, &status, 0));
  g_assert_cmpint (status, ==, 0);
  usock_stream_uncork (scene.stream);
  witness_expect (&scene.witness, "line:a");
  {
    g_autofree char *text = scene_receive (scene.peer);

    g_assert_cmpstr (text, ==, "queued");
  }
  scene_send (scene.peer, "b");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "data:b end close");
  stream_scene_stop (&scene);
}

static void
test_destroy (UsockTest     *test,
              gconstpointer  unused)
{
  g_autoptr (GError) enough = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "enough");
  StreamScene scene;

  stream_scene_start_raw (&scene, "data end error close");
  stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "abc");
  scene_settle ();
  usock_socket_destroy (USOCK_SOCKET (scene.stream), enough);
  witness_expect (&scene.witness, "line:busy error:busy close");
  stream_scene_stop (&scene);
}

/* Many peers that send almost nothing cost almost nothing, and the others do not notice. */
static void
test_slow_peers (UsockTest     *test,
                 gconstpointer  unused)
{
  enum { N_PEERS = 200 };
  g_autofree StreamScene *scenes = g_new0 (StreamScene, N_PEERS);
  gsize before;

  for (guint i = 0; i < N_PEERS; i++)
    {
      stream_scene_start_raw (&scenes[i], "timeout");
      stream_scene_exactly (&scenes[i], "frame", 1 << 20, 0, NULL);
    }
  scene_settle ();
  before = resident_size ();
  for (guint round = 0; round < 50; round++)
    {
      for (guint i = 1; i < N_PEERS; i++)
        scene_send (scenes[i].peer, "x");
      scene_settle ();
    }
  assert_grown_less (before, N_PEERS * 1024);
  usock_channel_set_idle_timeout (scenes[0].channel, 1);
  witness_expect (&scenes[0].witness, "timeout");
  for (guint i = 0; i < N_PEERS; i++)
    stream_scene_stop (&scenes[i]);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/stream/order", test_order);
  usock_test_add ("/usock/stream/half-open", test_half_open);
  usock_test_add ("/usock/stream/reset-by-peer", test_reset_by_peer);
  usock_test_add ("/usock/stream/reset-while-waiting", test_reset_while_waiting);
  usock_test_add ("/usock/stream/send-to-nobody", test_send_to_nobody);
  usock_test_add ("/usock/stream/hang-up-unheard", test_hang_up_unheard);
  usock_test_add ("/usock/stream/hang-up-with-rest", test_hang_up_with_rest);
  usock_test_add ("/usock/stream/hang-up-while-paused", test_hang_up_while_paused);
  usock_test_add ("/usock/stream/pause-in-handler", test_pause_in_handler);
  usock_test_add ("/usock/stream/pause-while-waiting", test_pause_while_waiting);
  usock_test_add ("/usock/stream/out-of-band", test_out_of_band);
  usock_test_add ("/usock/stream/out-of-band-before-us", test_out_of_band_before_us);
  usock_test_add ("/usock/stream/close-in-handler", test_close_in_handler);
  usock_test_add ("/usock/stream/close-in-callback", test_close_in_callback);
  usock_test_add ("/usock/stream/nested-loops", test_nested_loops);
  usock_test_add ("/usock/stream/nested-calls", test_nested_calls);
  usock_test_add ("/usock/stream/dropped-in-handler", test_dropped_in_handler);
  usock_test_add ("/usock/stream/fork", test_fork);
  usock_test_add ("/usock/stream/destroy", test_destroy);
  usock_test_add ("/usock/stream/slow-peers", test_slow_peers);

  return g_test_run ();
}
