/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "stream-scene.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void
take_cb (UsockMessage **message,
         UsockMessage  *received)
{
  g_clear_pointer (message, usock_message_unref);
  *message = usock_message_ref (received);
}

static void
kept_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      kept)
{
  GError *error = NULL;
  UsockMessage *message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, &error);

  g_assert_no_error (error);
  take_cb (kept, message);
  usock_message_unref (message);
}

/* Waits for exactly that much, and keeps it. */
static UsockMessage *
receive_exactly (UsockStream *stream,
                 gsize        n_bytes,
                 guint        n_fds)
{
  UsockMessage *message = NULL;

  usock_stream_receive_exactly_async (stream, n_bytes, n_fds, NULL, kept_cb, &message);
  usock_test_wait_until (message != NULL);
  g_assert_cmpuint (usock_message_get_length (message), ==, n_bytes);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, n_fds);
  return message;
}

/* Lines and text. */

static void
test_lines (UsockTest     *test,
            gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "end");
  for (guint i = 0; i < 6; i++)
    stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "one\ntwo\r\nthr");
  witness_expect (&scene.witness, "line:one line:two");
  scene_send (scene.peer, "ee\n\nfive\r");
  witness_expect (&scene.witness, "line:three line:");
  scene_send (scene.peer, "\nla\rst\r");
  stream_scene_hang_up (&scene);
  /* Of a CR at the very end nobody knows what would have come. */
  witness_expect (&scene.witness, "line:five line:la\rst\r end");
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:END");
  stream_scene_stop (&scene);
}

static void
test_line_byte_by_byte (UsockTest     *test,
                        gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  stream_scene_line (&scene, "line", NULL);
  for (const char *c = "h\xc3\xbcllo\r\n"; *c != '\0'; c++)
    {
      raw_send (scene.peer, c, 1, NULL, 0);
      scene_settle ();
    }
  witness_expect (&scene.witness, "line:h\xc3\xbcllo");
  stream_scene_stop (&scene);
}

/* What cannot be had as text is still there as bytes. */
static void
test_bad_lines (UsockTest     *test,
                gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  raw_send (scene.peer, "a\0b\n\xff\nok\n", 10, NULL, 0);
  stream_scene_line (&scene, "line", NULL);
  stream_scene_exactly (&scene, "bytes", 4, 0, NULL);
  stream_scene_line (&scene, "line", NULL);
  stream_scene_line (&scene, "line", NULL);
  stream_scene_exactly (&scene, "bytes", 2, 0, NULL);
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:invalid-data bytes:a line:invalid-data line:invalid-data "
                                  "bytes:\xff\n line:ok");
  stream_scene_stop (&scene);
}

/* What is no text is a line all the same. */
/* Who is given nothing has taken the end: it is told at once, and not as what somebody may still
 * listen for. */
static void
test_end_is_taken (UsockTest     *test,
                   gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  g_assert_no_errno (shutdown (scene.peer, SHUT_WR));
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:END");
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.stream)), !=, USOCK_STATE_OPEN);
  usock_test_wait_until (scene_is_hung_up (scene.peer));
  stream_scene_stop (&scene);
}

static void
test_lines_as_bytes (UsockTest     *test,
                     gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  for (guint i = 0; i < 4; i++)
    stream_scene_line_bytes (&scene, "line");
  scene_send (scene.peer, "one\ntwo\r");
  witness_expect (&scene.witness, "line:one");
  scene_send (scene.peer, "\n\n\xff\xfe\n");
  witness_expect (&scene.witness, "line:two line: line:\xff\xfe");
  g_assert_false (usock_stream_was_cut_off (scene.stream));
  stream_scene_stop (&scene);
}

/* A line that the peer did not finish looks like any other, but is told from one. */
static void
test_cut_off (UsockTest     *test,
              gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  scene_send (scene.peer, "one\ntwo");
  stream_scene_hang_up (&scene);
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:one");
  g_assert_false (usock_stream_was_cut_off (scene.stream));
  g_assert_cmpstr (usock_stream_get_line_ending (scene.stream), ==, "\n");
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:two");
  g_assert_true (usock_stream_was_cut_off (scene.stream));
  g_assert_null (usock_stream_get_line_ending (scene.stream));
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:END");
  g_assert_true (usock_stream_was_cut_off (scene.stream));
  stream_scene_stop (&scene);

  stream_scene_start_raw (&scene, "");
  scene_send (scene.peer, "one\r\ntwo\r");
  stream_scene_hang_up (&scene);
  stream_scene_line_bytes (&scene, "line");
  witness_expect (&scene.witness, "line:one");
  g_assert_cmpstr (usock_stream_get_line_ending (scene.stream), ==, "\r\n");
  stream_scene_line_bytes (&scene, "line");
  stream_scene_line_bytes (&scene, "line");
  witness_expect (&scene.witness, "line:two\r! line:END");
  g_assert_true (usock_stream_was_cut_off (scene.stream));
  stream_scene_stop (&scene);

  /* Whole to the last. */
  stream_scene_start_raw (&scene, "");
  scene_send (scene.peer, "one\n");
  stream_scene_hang_up (&scene);
  stream_scene_line_bytes (&scene, "line");
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:one line:END");
  g_assert_false (usock_stream_was_cut_off (scene.stream));
  stream_scene_stop (&scene);

  /* What is no text was not received. */
  stream_scene_start_raw (&scene, "");
  scene_send (scene.peer, "\xff");
  stream_scene_hang_up (&scene);
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:invalid-data");
  g_assert_false (usock_stream_was_cut_off (scene.stream));
  stream_scene_line_bytes (&scene, "line");
  witness_expect (&scene.witness, "line:\xff!");
  stream_scene_stop (&scene);
}

static void
test_until (UsockTest     *test,
            gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  stream_scene_until (&scene, "head", "\r\n\r\n", NULL);
  stream_scene_exactly (&scene, "body", 4, 0, NULL);
  stream_scene_until (&scene, "nothing", ";", NULL);
  stream_scene_until (&scene, "word", ";", NULL);
  stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "A:b\r\nC:d\r\n\r\nbody;a\nword;li\nne");
  witness_expect (&scene.witness, "head:A:b\r\nC:d body:body nothing: word:a\nword line:li");
  stream_scene_until (&scene, "last", "--", NULL);
  scene_send (scene.peer, "-");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "last:ne-!");
  g_assert_true (usock_stream_was_cut_off (scene.stream));
  stream_scene_until (&scene, "end", "--", NULL);
  witness_expect (&scene.witness, "end:END");
  stream_scene_stop (&scene);
}

/* However the delimiter is torn, and whatever looks like its beginning. */
static void
test_until_byte_by_byte (UsockTest     *test,
                         gconstpointer  unused)
{
  static const char text[] = "aaab--ab-aab--aab-b--";
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  stream_scene_until (&scene, "1", "aab--", NULL);
  stream_scene_until (&scene, "2", "aab--", NULL);
  stream_scene_until (&scene, "3", "b--", NULL);
  for (guint i = 0; i < sizeof text - 1; i++)
    {
      raw_send (scene.peer, text + i, 1, NULL, 0);
      scene_settle ();
    }
  witness_expect (&scene.witness, "1:a 2:ab- 3:aab-");
  stream_scene_stop (&scene);
}

static void
test_until_limits (UsockTest     *test,
                   gconstpointer  unused)
{
  StreamScene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  stream_scene_start_raw (&scene, "");
  usock_channel_set_read_buffer_size (scene.channel, 8);
  stream_scene_until (&scene, "empty", "", NULL);
  witness_expect (&scene.witness, "empty:invalid-argument");
  scene_send (scene.peer, "123456--12345678--");
  stream_scene_until (&scene, "fits", "--", NULL);
  stream_scene_until (&scene, "not", "--", NULL);
  stream_scene_exactly (&scene, "bytes", 8, 0, NULL);
  stream_scene_until (&scene, "empty", "--", NULL);
  witness_expect (&scene.witness, "fits:123456 not:message-too-large bytes:12345678 empty:");

  /* Who gives up leaves all of it to the next. */
  stream_scene_until (&scene, "given-up", ".", cancellable);
  scene_send (scene.peer, "a-");
  scene_settle ();
  g_cancellable_cancel (cancellable);
  stream_scene_until (&scene, "next", "--", NULL);
  scene_send (scene.peer, "-b");
  witness_expect (&scene.witness, "given-up:cancelled next:a");
  stream_scene_exactly (&scene, "rest", 1, 0, NULL);
  witness_expect (&scene.witness, "rest:b");
  stream_scene_stop (&scene);
}

typedef struct
{
  const char *delimiter;
  GString *got; /* each with the delimiter behind it, or “!” */
  guint n_cancelled;
  gboolean at_end;
} Splitter;

static void
split_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      data)
{
  Splitter *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) message
      = usock_stream_receive_until_finish (USOCK_STREAM (source), result, &error);
  gboolean cut_off;
  gsize length;
  const char *bytes;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      self->n_cancelled++;
      return;
    }
  g_assert_no_error (error);
  self->at_end = message == NULL;
  if (self->at_end)
    return;

  cut_off = (usock_message_get_flags (message) & USOCK_MESSAGE_FLAGS_CUT_OFF) != 0;
  g_assert_cmpint (cut_off, ==, usock_stream_was_cut_off (USOCK_STREAM (source)));
  bytes = (const char *) usock_message_get_data (message, &length);
  g_string_append_len (self->got, bytes, length);
  g_string_append (self->got, cut_off ? "!" : self->delimiter);
}

/* What there is, torn at random, with some of the calls given up on the way. */
static void
try_random_until (GRand      *random,
                  const char *delimiter)
{
  g_autoptr (GString) sent = g_string_new (NULL);
  Splitter splitter = { .delimiter = delimiter, .got = g_string_new (NULL) };
  const char *rest, *next;
  StreamScene scene;

  for (guint i = 0; i < 300; i++)
    g_string_append_c (sent, "ab"[random_below (random, 2)]);
  stream_scene_start_raw (&scene, "");
  for (gsize done = 0; done < sent->len;)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      gsize n = 1 + random_below (random, MIN (7, sent->len - done));

      for (guint i = 0; i < 5; i++)
        usock_stream_receive_until_async (scene.stream, (const guint8 *) delimiter,
                                          strlen (delimiter), cancellable, split_cb, &splitter);
      raw_send (scene.peer, sent->str + done, n, NULL, 0);
      done += n;
      scene_settle ();
      if (random_below (random, 2) == 0)
        g_cancellable_cancel (cancellable);
      scene_settle ();
    }
  stream_scene_hang_up (&scene);
  while (!splitter.at_end)
    {
      usock_stream_receive_until_async (scene.stream, (const guint8 *) delimiter,
                                        strlen (delimiter), NULL, split_cb, &splitter);
      scene_settle ();
    }

  for (rest = sent->str; (next = strstr (rest, delimiter)) != NULL;)
    rest = next + strlen (delimiter);
  if (*rest != '\0')
    g_string_append_c (sent, '!');
  g_assert_cmpstr (splitter.got->str, ==, sent->str);
  g_assert_cmpuint (splitter.n_cancelled, >, 0);
  g_string_free (splitter.got, TRUE);
  stream_scene_stop (&scene);
}

static void
test_random_until (UsockTest     *test,
                   gconstpointer  unused)
{
  static const char *const delimiters[] = { "a", "ab", "aa", "aba", "abab", "aabaab" };
  g_autoptr (GRand) random = g_rand_new_with_seed (1);

  for (guint i = 0; i < G_N_ELEMENTS (delimiters); i++)
    for (guint round = 0; round < 5; round++)
      try_random_until (random, delimiters[i]);
}

/* Descriptors that come with a line are for who asks for them. */
static void
test_until_leaves_fds (UsockTest     *test,
                       gconstpointer  unused)
{
  const int sent = numbered_fd (3);
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_max_fds (scene.channel, 1);
  raw_send (scene.peer, "a;b", 3, &sent, 1);
  close (sent);
  stream_scene_until (&scene, "until", ";", NULL);
  stream_scene_exactly (&scene, "exactly", 1, 1, NULL);
  witness_expect (&scene.witness, "until:a exactly:b+1");
  stream_scene_stop (&scene);
}

static void
test_long_line (UsockTest     *test,
                gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_read_buffer_size (scene.channel, 8);
  scene_send (scene.peer, "1234567\n12345678\n");
  stream_scene_line (&scene, "line", NULL);
  stream_scene_line (&scene, "line", NULL);
  stream_scene_line (&scene, "line", NULL);
  stream_scene_exactly (&scene, "bytes", 9, 0, NULL);
  witness_expect (&scene.witness, "line:1234567 line:message-too-large line:message-too-large "
                                  "bytes:12345678\n");
  stream_scene_stop (&scene);
}

static void
test_text (UsockTest     *test,
           gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "end");
  stream_scene_text (&scene, "text", NULL);
  scene_send (scene.peer, "gr\xc3\xbc\xe2\x82");
  witness_expect (&scene.witness, "text:gr\xc3\xbc");
  stream_scene_text (&scene, "text", NULL);
  scene_settle ();
  witness_assert (&scene.witness, "");
  scene_send (scene.peer, "\xac!\xff!");
  witness_expect (&scene.witness, "text:\xe2\x82\xac!");
  stream_scene_text (&scene, "text", NULL);
  stream_scene_text (&scene, "text", NULL);
  stream_scene_exactly (&scene, "bytes", 1, 0, NULL);
  stream_scene_text (&scene, "text", NULL);
  witness_expect (&scene.witness, "text:invalid-data text:invalid-data bytes:\xff text:!");
  stream_scene_text (&scene, "text", NULL);
  raw_send (scene.peer, "a\0b", 3, NULL, 0);
  witness_expect (&scene.witness, "text:a");
  stream_scene_text (&scene, "text", NULL);
  stream_scene_exactly (&scene, "bytes", 2, 0, NULL);
  witness_expect (&scene.witness, "text:invalid-data bytes:");
  /* The end comes in the middle of a character. */
  scene_send (scene.peer, "\xe2\x82");
  stream_scene_text (&scene, "text", NULL);
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "text:invalid-data");
  stream_scene_exactly (&scene, "bytes", 2, 0, NULL);
  witness_expect (&scene.witness, "bytes:\xe2\x82 end");
  stream_scene_stop (&scene);
}

/* Any bytes at all come as they were sent, whole characters as text and the others one by one. */
typedef struct
{
  UsockStream *stream;
  GByteArray *bytes;
  gsize n_bytes;
} Collector;

static void collector_go_on (Collector *self);

static void
collected_byte_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      data)
{
  Collector *self = data;
  g_autoptr (UsockMessage) message
      = usock_stream_receive_exactly_finish (self->stream, result, NULL);

  g_byte_array_append (self->bytes, usock_message_get_data (message, NULL), 1);
  collector_go_on (self);
}

static void
collected_text_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      data)
{
  Collector *self = data;
  GError *error = NULL;
  g_autofree char *text = usock_stream_receive_text_finish (self->stream, result, &error);

  if (error != NULL)
    {
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
      g_error_free (error);
      usock_stream_receive_exactly_async (self->stream, 1, 0, NULL, collected_byte_cb, self);
      return;
    }
  g_assert_nonnull (text);
  g_assert_true (g_utf8_validate (text, -1, NULL));
  g_byte_array_append (self->bytes, (const guint8 *) text, strlen (text));
  collector_go_on (self);
}

static void
collector_go_on (Collector *self)
{
  if (self->bytes->len < self->n_bytes)
    usock_stream_receive_text_async (self->stream, NULL, collected_text_cb, self);
}

static void
test_random_text (UsockTest     *test,
                  gconstpointer  unused)
{
  static const char *const pieces[]
      = { "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xff", "\xc0\x80", "\xed\xa0\x80" };
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  g_autoptr (GString) sent = g_string_new (NULL);
  Collector collector = { .bytes = g_byte_array_new () };
  StreamScene scene;

  for (guint i = 0; i < 2000; i++)
    g_string_append (sent, pieces[random_below (random, G_N_ELEMENTS (pieces))]);
  /* What follows decides about what is not whole yet. */
  g_string_append_c (sent, '.');

  stream_scene_start_raw (&scene, "");
  collector.stream = scene.stream;
  collector.n_bytes = sent->len;
  collector_go_on (&collector);
  for (gsize done = 0; done < sent->len;)
    {
      gsize n = 1 + random_below (random, MIN (5, sent->len - done));

      raw_send (scene.peer, sent->str + done, n, NULL, 0);
      done += n;
      scene_settle ();
    }
  usock_test_wait_until (collector.bytes->len == sent->len);
  g_assert_cmpmem (collector.bytes->data, collector.bytes->len, sent->str, sent->len);
  g_byte_array_unref (collector.bytes);
  stream_scene_stop (&scene);
}

typedef struct
{
  UsockStream *stream;
  guint n_wanted;
  guint n_lines;
} Reader;

static void
next_line_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      data)
{
  Reader *self = data;
  g_autofree char *line = usock_stream_receive_line_finish (self->stream, result, NULL);

  g_assert_cmpstr (line, ==, "x");
  if (++self->n_lines < self->n_wanted)
    usock_stream_receive_line_async (self->stream, NULL, next_line_cb, self);
}

/* A piece of short lines costs what it is long, and not its square. */
static void
test_many_lines (UsockTest     *test,
                 gconstpointer  unused)
{
  Reader reader
      = { .n_wanted = g_getenv ("USOCK_TEST_SLOW") != NULL ? 10 * 1024 : 1024 * 1024 };
  g_autoptr (GString) lines = g_string_new (NULL);
  g_autoptr (UsockMessage) message = NULL;
  StreamScene scene;

  for (guint i = 0; i < reader.n_wanted; i++)
    g_string_append (lines, "x\n");
  message = usock_message_new ((const guint8 *) lines->str, lines->len);
  stream_scene_start_raw (&scene, "");
  usock_test_no_error (usock_stream_unread (scene.stream, message, &error));
  reader.stream = scene.stream;
  usock_stream_receive_line_async (scene.stream, NULL, next_line_cb, &reader);
  /* All of them may take long; where each is copied anew, so do the first. */
  for (guint n = 10 * 1024; n <= reader.n_wanted; n += 54 * 1024)
    usock_test_wait_until (reader.n_lines >= n);
  usock_test_wait_until (reader.n_lines == reader.n_wanted);
  stream_scene_stop (&scene);
}

static gboolean
count_cb (gpointer n)
{
  ++*(guint *) n;
  return G_SOURCE_CONTINUE;
}

typedef struct
{
  UsockStream *stream;
  guint n_calls;
} Nothing;

static void
nothing_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  Nothing *self = data;
  g_autoptr (UsockMessage) message
      = usock_stream_receive_exactly_finish (self->stream, result, NULL);

  g_assert_nonnull (message);
  if (++self->n_calls < 10000)
    usock_stream_receive_exactly_async (self->stream, 0, 0, NULL, nothing_cb, self);
}

/* Who is always answered at once must not keep the others from their turn. */
static void
test_fair_calls (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  guint n_turns = 0;
  Nothing nothing = { 0 };
  StreamScene scene;

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, count_cb, &n_turns, NULL);
  g_source_attach (source, test->context);
  stream_scene_start_raw (&scene, "");
  nothing.stream = scene.stream;
  usock_stream_receive_exactly_async (scene.stream, 0, 0, NULL, nothing_cb, &nothing);
  usock_test_wait_until (nothing.n_calls == 10000);
  g_assert_cmpuint (n_turns, >, 10);
  g_source_destroy (source);
  stream_scene_stop (&scene);
}

/* Exact numbers. */

static void
test_exactly (UsockTest     *test,
              gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "end");
  stream_scene_exactly (&scene, "a", 3, 0, NULL);
  stream_scene_exactly (&scene, "b", 0, 0, NULL);
  stream_scene_exactly (&scene, "c", 5, 0, NULL);
  scene_send (scene.peer, "12");
  scene_settle ();
  witness_assert (&scene.witness, "");
  scene_send (scene.peer, "345");
  witness_expect (&scene.witness, "a:123 b:");
  scene_send (scene.peer, "678");
  witness_expect (&scene.witness, "c:45678");

  stream_scene_exactly (&scene, "d", 9, 0, NULL);
  scene_send (scene.peer, "9");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "d:partial-input");
  stream_scene_exactly (&scene, "e", 1, 0, NULL);
  stream_scene_exactly (&scene, "f", 1, 0, NULL);
  witness_expect (&scene.witness, "e:9 f:END end");
  stream_scene_stop (&scene);
}

static void
test_exactly_too_much (UsockTest     *test,
                       gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  stream_scene_exactly (&scene, "most", 1 << 30, 0, NULL);
  stream_scene_exactly (&scene, "more", (1 << 30) + 1, 0, NULL);
  stream_scene_exactly (&scene, "all", G_MAXSIZE, G_MAXUINT, NULL);
  witness_expect (&scene.witness, "more:invalid-argument all:invalid-argument");
  stream_scene_stop (&scene);
}

static void
test_cancel (UsockTest     *test,
             gconstpointer  unused)
{
  g_autoptr (GCancellable) first = g_cancellable_new ();
  g_autoptr (GCancellable) second = g_cancellable_new ();
  int fds[] = { 0, 1 };
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_max_fds (scene.channel, 2);
  stream_scene_exactly (&scene, "first", 100, 0, first);
  stream_scene_line (&scene, "second", second);
  raw_send (scene.peer, "ab", 2, fds, 2);
  scene_send (scene.peer, "cd");
  scene_settle ();
  g_cancellable_cancel (first);
  witness_expect (&scene.witness, "first:cancelled");
  g_cancellable_cancel (second);
  witness_expect (&scene.witness, "second:cancelled");
  stream_scene_exactly (&scene, "third", 3, 2, NULL);
  witness_receive (&scene.witness, scene.channel, "fourth", NULL);
  witness_expect (&scene.witness, "third:abc+2 fourth:d");
  stream_scene_stop (&scene);
}

static void
test_mixed_calls (UsockTest     *test,
                  gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "data");
  stream_scene_line (&scene, "line", NULL);
  stream_scene_exactly (&scene, "exactly", 2, 0, NULL);
  stream_scene_text (&scene, "text", NULL);
  witness_receive (&scene.witness, scene.channel, "receive", NULL);
  stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "l1\n12t\xc3");
  witness_expect (&scene.witness, "line:l1 exactly:12 text:t receive:\xc3");
  scene_send (scene.peer, "l2\nrest");
  witness_expect (&scene.witness, "line:l2 data:rest");
  scene_send (scene.peer, "more");
  witness_expect (&scene.witness, "data:more");
  stream_scene_stop (&scene);
}

static void
test_handlers_get_the_rest (UsockTest     *test,
                            gconstpointer  unused)
{
  static const struct
  {
    const char *signal;
    const char *expected;
  } cases[] = {
    { "message", "line:a message:b message:c" },
    { "data", "line:a data:b data:c" },
    { "batch", "line:a batch:b batch:c" },
    { "message data", "line:a message:b data:b message:c data:c" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      StreamScene scene;

      stream_scene_start_raw (&scene, cases[i].signal);
      stream_scene_line (&scene, "line", NULL);
      scene_send (scene.peer, "a\nb");
      scene_settle ();
      scene_send (scene.peer, "c");
      witness_expect (&scene.witness, cases[i].expected);
      stream_scene_stop (&scene);
    }
}

/* Putting back. */

static UsockMessage *
message_of (const char *text)
{
  return usock_message_new ((const guint8 *) text, strlen (text));
}

static void
unread (StreamScene *scene,
        const char  *text)
{
  g_autoptr (UsockMessage) message = message_of (text);

  usock_test_no_error (usock_stream_unread (scene->stream, message, &error));
}

static void
test_unread (UsockTest     *test,
             gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = message_of ("xy");
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  scene_send (scene.peer, "5");
  scene_settle ();
  unread (&scene, "34");
  unread (&scene, "");
  unread (&scene, "12");
  witness_receive (&scene.witness, scene.channel, "a", NULL);
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  witness_receive (&scene.witness, scene.channel, "c", NULL);
  witness_expect (&scene.witness, "a:12 b:34 c:5");

  /* In front of what a call holds that waits for more. */
  stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "cd");
  scene_settle ();
  unread (&scene, "ab\n");
  witness_expect (&scene.witness, "line:ab");
  stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "ef");
  scene_settle ();
  usock_test_no_error (usock_channel_unread_messages (scene.channel, &message, 1, &error));
  scene_send (scene.peer, "\n");
  witness_expect (&scene.witness, "line:xycdef");
  stream_scene_stop (&scene);
}

static void
test_unread_with_fds (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = NULL;
  g_autoptr (UsockMessage) again = NULL;
  int fds[] = { numbered_fd (7), numbered_fd (8) };
  g_autofree int *taken = NULL;
  gsize n_fds;
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_max_fds (scene.channel, 2);
  raw_send (scene.peer, "ab", 2, fds, 2);
  message = receive_exactly (scene.stream, 2, 2);
  close (usock_message_take_fd (message, 0, NULL));
  usock_test_no_error (usock_stream_unread (scene.stream, message, &error));
  again = receive_exactly (scene.stream, 1, 1);
  taken = usock_message_take_fds (again, &n_fds);
  g_assert_cmpuint (number_of_fd (taken[0]), ==, 8);
  close (taken[0]);
  close (fds[0]);
  close (fds[1]);
  stream_scene_stop (&scene);
}

static void
test_unread_refused (UsockTest     *test,
                     gconstpointer  unused)
{
  g_autoptr (UsockStream) fresh = usock_stream_new ();
  g_autoptr (UsockMessage) message = message_of ("x");
  GError *error = NULL;
  StreamScene scene;

  g_assert_false (usock_stream_unread (fresh, message, &error));
  assert_error_code (error, G_IO_ERROR_NOT_CONNECTED);
  stream_scene_start_raw (&scene, "end");
  usock_channel_set_allow_half_open (scene.channel, TRUE);
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "end");
  g_assert_false (usock_stream_unread (scene.stream, message, &error));
  assert_error_code (error, G_IO_ERROR_CLOSED);
  usock_socket_close (USOCK_SOCKET (scene.stream));
  g_assert_false (usock_stream_unread (scene.stream, message, &error));
  assert_error_code (error, G_IO_ERROR_CLOSED);
  stream_scene_stop (&scene);
}

static void
unread_once_cb (UsockStream *stream,
                GByteArray  *bytes,
                gpointer     done)
{
  g_autoptr (UsockMessage) message = usock_message_new (bytes->data + 1, bytes->len - 1);

  if (*(gboolean *) done)
    return;
  *(gboolean *) done = TRUE;
  usock_test_no_error (usock_stream_unread (stream, message, &error));
}

static void
test_unread_in_handler (UsockTest     *test,
                        gconstpointer  unused)
{
  gboolean done = FALSE;
  StreamScene scene;

  stream_scene_start_raw (&scene, "data end");
  g_signal_connect (scene.stream, "data", G_CALLBACK (unread_once_cb), &done);
  scene_send (scene.peer, "abc");
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "data:abc data:bc end");
  stream_scene_stop (&scene);
}

/* Descriptors. */

static void
count_fds_cb (UsockChannel *channel,
              UsockMessage *message,
              gpointer      words)
{
  gsize length;
  const char *data = (const char *) usock_message_get_data (message, &length);

  g_string_append_printf (words, "%.*s+%u ", (int) length, data,
                          usock_message_get_n_fds (message));
}

/* They come with a piece that has their first byte in it, and the next such byte begins another. */
static void
test_fds_in_order (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (GString) words = g_string_new (NULL);
  int fds[] = { 0, 1, 2 };
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_max_fds (scene.channel, 3);
  scene_send (scene.peer, "a");
  raw_send (scene.peer, "b", 1, fds, 1);
  raw_send (scene.peer, "c", 1, fds, 3);
  scene_send (scene.peer, "d");
  raw_send (scene.peer, "e", 1, fds, 2);
  g_signal_connect (scene.stream, "message", G_CALLBACK (count_fds_cb), words);
  scene_settle ();
  g_assert_cmpstr (words->str, ==, "ab+1 c+3 de+2 ");
  stream_scene_stop (&scene);
}

static void
test_fds_wait_for_who_asks (UsockTest     *test,
                            gconstpointer  unused)
{
  int fds[] = { 0, 1, 2 };
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_max_fds (scene.channel, 3);
  raw_send (scene.peer, "ab", 2, fds, 3);
  raw_send (scene.peer, "cd\n", 3, fds, 1);
  stream_scene_exactly (&scene, "a", 1, 0, NULL);
  stream_scene_exactly (&scene, "b", 0, 2, NULL);
  stream_scene_line (&scene, "line", NULL);
  stream_scene_exactly (&scene, "c", 0, 2, NULL);
  stream_scene_exactly (&scene, "d", 1, 1, NULL);
  witness_expect (&scene.witness, "a:a b:+2 line:bcd c:+2");
  raw_send (scene.peer, "e", 1, fds, 1);
  witness_expect (&scene.witness, "d:e+1");
  stream_scene_stop (&scene);
}

/* Whoever gets bytes only gets no piece without any. */
static void
test_fds_left_alone (UsockTest     *test,
                     gconstpointer  unused)
{
  static const char *const signals[] = { "data end", "batch end", "message end" };
  static const char *const expected[]
      = { "line:a data:b end", "line:a batch:b end", "line:a message: message:b end" };
  int fd = 0;

  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      StreamScene scene;

      stream_scene_start_raw (&scene, signals[i]);
      usock_channel_set_max_fds (scene.channel, 1);
      stream_scene_line (&scene, "line", NULL);
      raw_send (scene.peer, "a\n", 2, &fd, 1);
      scene_send (scene.peer, "b");
      stream_scene_hang_up (&scene);
      witness_expect (&scene.witness, expected[i]);
      stream_scene_stop (&scene);
    }
}

static void
unread_twice_cb (UsockStream *stream,
                 GPtrArray   *arrays,
                 gpointer     unused)
{
  g_autoptr (UsockMessage) fds = message_of ("");
  g_autoptr (UsockMessage) bytes = message_of ("x");

  if (arrays->len > 1)
    return;
  g_signal_handlers_disconnect_by_func (stream, unread_twice_cb, NULL);
  usock_test_no_error (usock_message_append_fd (fds, 0, &error));
  usock_test_no_error (usock_stream_unread (stream, bytes, &error));
  usock_test_no_error (usock_stream_unread (stream, fds, &error));
  usock_test_no_error (usock_stream_unread (stream, bytes, &error));
}

static void
test_batch_without_bytes (UsockTest     *test,
                          gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "batch");
  g_signal_connect (scene.stream, "batch", G_CALLBACK (unread_twice_cb), NULL);
  scene_send (scene.peer, "a");
  witness_expect (&scene.witness, "batch:a batch:x,x");
  stream_scene_stop (&scene);
}

static void
test_fds_nobody_asked_for (UsockTest     *test,
                           gconstpointer  unused)
{
  int fds[100] = { 0 };
  StreamScene scene;

  stream_scene_start_raw (&scene, "error close");
  usock_channel_set_max_fds (scene.channel, 100);
  stream_scene_line (&scene, "line", NULL);
  for (guint i = 0; i < 3; i++)
    raw_send (scene.peer, "a", 1, fds, 100);
  witness_expect (&scene.witness,
                  "line:message-too-large error:message-too-large close");
  stream_scene_stop (&scene);
}

/* Bytes without the descriptors that are waited for do not pile up. */
static void
test_fds_do_not_come (UsockTest     *test,
                      gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_max_fds (scene.channel, 1);
  usock_channel_set_read_buffer_size (scene.channel, 4);
  stream_scene_exactly (&scene, "a", 2, 1, NULL);
  scene_send (scene.peer, "123456");
  witness_expect (&scene.witness, "a:invalid-data");
  stream_scene_exactly (&scene, "b", 6, 0, NULL);
  witness_expect (&scene.witness, "b:123456");
  stream_scene_stop (&scene);
}

/* To what the others belong nobody could tell. */
static void
test_too_many_fds (UsockTest     *test,
                   gconstpointer  unused)
{
  static const char *const signals[] = { "data error close", "message error close" };
  int fds[] = { 0, 1, 2 };

  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      StreamScene scene;
      g_autofree char *expected
          = g_strdup_printf ("%s:1 error:message-too-large close", i == 0 ? "data" : "message");

      stream_scene_start_raw (&scene, signals[i]);
      usock_channel_set_max_fds (scene.channel, 2);
      raw_send (scene.peer, "1", 1, fds, 2);
      raw_send (scene.peer, "2", 1, fds, 3);
      raw_send (scene.peer, "3", 1, fds, 1);
      witness_expect (&scene.witness, expected);
      stream_scene_stop (&scene);
    }
}

static void
test_no_fds_left (UsockTest     *test,
                  gconstpointer  unused)
{
  struct rlimit before, now;
  int fds[] = { 0, 1, 2 };
  int highest;
  StreamScene scene;

  if (scene_skip_limits ())
    return;

  stream_scene_start_raw (&scene, "error close");
  usock_channel_set_max_fds (scene.channel, 3);
  stream_scene_exactly (&scene, "a", 1, 0, NULL);
  stream_scene_exactly (&scene, "b", 2, 3, NULL);
  raw_send (scene.peer, "1", 1, NULL, 0);
  scene_settle ();
  raw_send (scene.peer, "23", 2, fds, 3);
  highest = dup (0);
  close (highest);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &before));
  now = before;
  now.rlim_cur = highest + 1;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &now));
  scene_settle ();
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));
  witness_expect (&scene.witness, "a:1 b:message-too-large error:message-too-large close");
  stream_scene_stop (&scene);
}

/* Frames of random size, with and without descriptors, read in pieces of random size. The frame
 * says how many it has. */

#define N_FRAMES 400

typedef struct
{
  guint32 length;
  guint32 number;
  guint32 n_fds;
} Header;

static void
send_random_frame (UsockChannel *channel,
                   GRand        *random,
                   guint         number)
{
  Header header = { 1 + random_below (random, number % 40 == 0 ? 1024 * 1024 : 5000), number,
                    random_below (random, 3) == 0 ? 1 + random_below (random, 4) : 0 };
  g_autofree guint8 *payload = g_malloc (header.length);
  g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) &header, sizeof header);
  g_autoptr (GBytes) body = NULL;

  memset (payload, number, header.length);
  body = g_bytes_new_take (g_steal_pointer (&payload), header.length);
  usock_message_append_bytes (message, body);
  for (guint i = 0; i < header.n_fds; i++)
    usock_test_no_error (
        usock_message_append_fd_owned (message, numbered_fd (number * 10 + i), &error));
  usock_test_no_error (usock_channel_send_message (channel, message, &error));
}

static void
check_body (const Header *header,
            UsockMessage *body)
{
  gsize length, n_fds;
  const guint8 *data = usock_message_get_data (body, &length);
  g_autofree int *fds = usock_message_take_fds (body, &n_fds);

  for (gsize i = 0; i < length; i++)
    g_assert_cmpuint (data[i], ==, (guint8) header->number);
  for (gsize i = 0; i < n_fds; i++)
    {
      g_assert_cmpuint (number_of_fd (fds[i]), ==, header->number * 10 + i);
      close (fds[i]);
    }
}

static void
test_random_frames (UsockTest     *test,
                    gconstpointer  unused)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (2);
  StreamScene scene;

  stream_scene_start (&scene, "");
  usock_channel_set_max_fds (scene.channel, 4);
  usock_channel_set_queue_limit (scene.far_channel, G_MAXUINT64);
  for (guint i = 1; i <= N_FRAMES; i++)
    send_random_frame (scene.far_channel, random, i);

  for (guint i = 1; i <= N_FRAMES; i++)
    {
      g_autoptr (UsockMessage) head = NULL;
      g_autoptr (UsockMessage) tail = NULL;
      Header header;
      gsize part;

      usock_channel_set_read_buffer_size (scene.channel, 1 + random_below (random, 70000));
      head = receive_exactly (scene.stream, sizeof header, 0);
      memcpy (&header, usock_message_get_data (head, NULL), sizeof header);
      g_assert_cmpuint (header.number, ==, i);
      part = random_below (random, header.length);
      g_clear_pointer (&head, usock_message_unref);
      head = receive_exactly (scene.stream, part, header.n_fds);
      check_body (&header, head);
      tail = receive_exactly (scene.stream, header.length - part, 0);
      check_body (&header, tail);
    }
  stream_scene_stop (&scene);
}

/* Raw frames into pieces: each descriptor comes with a piece that begins before its frame ends. */
typedef struct
{
  gsize n_bytes;
  GArray *offsets; /* where each numbered descriptor was sent */
  guint n_fds;
} Pieces;

static void
piece_cb (UsockChannel *channel,
          UsockMessage *message,
          gpointer      data)
{
  Pieces *self = data;
  gsize length = usock_message_get_length (message);
  gsize n_fds;
  g_autofree int *fds = usock_message_take_fds (message, &n_fds);

  for (gsize i = 0; i < n_fds; i++)
    {
      gsize offset = g_array_index (self->offsets, gsize, self->n_fds);

      g_assert_cmpuint (number_of_fd (fds[i]), ==, self->n_fds);
      g_assert_cmpuint (offset, >=, self->n_bytes);
      g_assert_cmpuint (offset, <, self->n_bytes + length);
      self->n_fds++;
      close (fds[i]);
    }
  self->n_bytes += length;
}

static void
test_random_pieces (UsockTest     *test,
                    gconstpointer  unused)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (3);
  g_autofree guint8 *payload = g_malloc0 (8192);
  Pieces pieces = { .offsets = g_array_new (FALSE, FALSE, sizeof (gsize)) };
  gsize sent = 0;
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_max_fds (scene.channel, 1);
  g_signal_connect (scene.stream, "message", G_CALLBACK (piece_cb), &pieces);
  for (guint i = 0; i < 3000; i++)
    {
      gsize length = 1 + random_below (random, 8192);
      int fd = random_below (random, 2) ? numbered_fd (pieces.offsets->len) : -1;

      if (fd != -1)
        g_array_append_val (pieces.offsets, sent);
      raw_send (scene.peer, payload, length, &fd, fd != -1);
      if (fd != -1)
        close (fd);
      sent += length;
      if (random_below (random, 4) == 0)
        {
          usock_channel_set_read_buffer_size (scene.channel, 1 + random_below (random, 20000));
          usock_test_wait_until (pieces.n_bytes == sent);
        }
      else if (i % 8 == 7)
        usock_test_wait_until (pieces.n_bytes == sent);
    }
  usock_test_wait_until (pieces.n_bytes == sent);
  g_assert_cmpuint (pieces.n_fds, ==, pieces.offsets->len);
  g_array_unref (pieces.offsets);
  stream_scene_stop (&scene);
}

/* Credentials. */

static void
write_uid_cb (UsockChannel *channel,
              UsockMessage *message,
              gpointer      words)
{
  gsize length;
  const char *data = (const char *) usock_message_get_data (message, &length);
  GCredentials *credentials = usock_message_get_credentials (message);

  g_string_append_printf (words, "%.*s:%d ", (int) length, data,
                          credentials != NULL
                              ? (int) g_credentials_get_unix_user (credentials, NULL)
                              : -1);
}

static gboolean
skip_unless_root (void)
{
  if (getuid () == 0)
    return FALSE;

  g_test_skip ("only root may claim to be somebody else");
  return TRUE;
}

/* A piece has one sender. */
static void
test_senders (UsockTest     *test,
              gconstpointer  unused)
{
  g_autoptr (GString) words = g_string_new (NULL);
  StreamScene scene;

  if (skip_unless_root ())
    return;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_pass_credentials (scene.channel, TRUE);
  raw_send_as (scene.peer, "a", 0);
  raw_send_as (scene.peer, "b", 0);
  raw_send_as (scene.peer, "c", 1234);
  raw_send_as (scene.peer, "d", 0);
  g_signal_connect (scene.stream, "message", G_CALLBACK (write_uid_cb), words);
  scene_settle ();
  g_assert_cmpstr (words->str, ==, "ab:0 c:1234 d:0 ");
  stream_scene_stop (&scene);
}

/* What a call takes of several senders has none; what it leaves has its own. */
static void
test_senders_of_parts (UsockTest     *test,
                       gconstpointer  unused)
{
  g_autoptr (GString) words = g_string_new (NULL);
  StreamScene scene;

  if (skip_unless_root ())
    return;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_pass_credentials (scene.channel, TRUE);
  raw_send_as (scene.peer, "abc", 0);
  raw_send_as (scene.peer, "defg", 1234);

  for (guint i = 0; i < 3; i++)
    {
      static const gsize lengths[] = { 2, 3, 1 };
      g_autoptr (UsockMessage) message = receive_exactly (scene.stream, lengths[i], 0);

      write_uid_cb (scene.channel, message, words);
    }
  g_signal_connect (scene.stream, "message", G_CALLBACK (write_uid_cb), words);
  scene_settle ();
  g_assert_cmpstr (words->str, ==, "ab:0 cde:-1 f:1234 g:1234 ");
  stream_scene_stop (&scene);
}

static void
take_lines (StreamScene *scene,
            guint        max,
            const char  *expected)
{
  gsize n = 99;
  char **lines = usock_stream_take_lines (USOCK_STREAM (scene->channel), max, &n);
  g_autoptr (GString) all = g_string_new (NULL);

  for (gsize i = 0; i < n; i++)
    {
      g_string_append_printf (all, "%s|", lines[i]);
      g_free (lines[i]);
    }
  g_free (lines);
  g_assert_cmpstr (all->str, ==, expected);
}

static void
test_take_lines (UsockTest     *test,
                 gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  take_lines (&scene, 0, "");
  unread (&scene, "one\ntwo\r\n\nfour\nrest");
  take_lines (&scene, 2, "one\n|two\r\n|");
  take_lines (&scene, 0, "\n|four\n|");
  take_lines (&scene, 0, "");
  unread (&scene, "one\ntwo\r\n\nfour\n");
  stream_scene_line (&scene, "line", NULL);
  take_lines (&scene, 0, "");
  witness_expect (&scene.witness, "line:one");
  take_lines (&scene, 0, "two\r\n|\n|four\n|");
  stream_scene_line (&scene, "line", NULL);
  scene_send (scene.peer, "\nlast\n");
  witness_expect (&scene.witness, "line:rest");

  /* If nothing is behind the last, it stays as long as there are others. */
  unread (&scene, "five\nsix\n");
  take_lines (&scene, 0, "five\n|six\n|");
  take_lines (&scene, 0, "last\n|");
  unread (&scene, "five\nsix\n");
  take_lines (&scene, 0, "five\n|");
  take_lines (&scene, 0, "six\n|");
  stream_scene_stop (&scene);
}

static void
test_take_no_lines (UsockTest     *test,
                    gconstpointer  unused)
{
  g_autoptr (UsockMessage) with_fd = usock_message_new ((const guint8 *) "a\nb\n", 4);
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  unread (&scene, "text\nno\xff" "text\nmore\nmore\n");
  take_lines (&scene, 0, "text\n|");
  take_lines (&scene, 0, "");
  stream_scene_exactly (&scene, "bytes", 8, 0, NULL);
  take_lines (&scene, 0, "");
  witness_expect (&scene.witness, "bytes:no\xff" "text\n");
  usock_channel_pause (scene.channel);
  take_lines (&scene, 0, "");
  usock_channel_resume (scene.channel);
  take_lines (&scene, 0, "more\n|");
  take_lines (&scene, 0, "more\n|");

  usock_test_no_error (usock_message_append_fd (with_fd, STDIN_FILENO, &error));
  usock_test_no_error (usock_stream_unread (USOCK_STREAM (scene.channel), with_fd, &error));
  take_lines (&scene, 0, "");
  stream_scene_stop (&scene);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/stream/receive/lines", test_lines);
  usock_test_add ("/usock/stream/receive/end-is-taken", test_end_is_taken);
  usock_test_add ("/usock/stream/receive/line-byte-by-byte", test_line_byte_by_byte);
  usock_test_add ("/usock/stream/receive/bad-lines", test_bad_lines);
  usock_test_add ("/usock/stream/receive/long-line", test_long_line);
  usock_test_add ("/usock/stream/receive/lines-as-bytes", test_lines_as_bytes);
  usock_test_add ("/usock/stream/receive/cut-off", test_cut_off);
  usock_test_add ("/usock/stream/receive/until", test_until);
  usock_test_add ("/usock/stream/receive/until-byte-by-byte", test_until_byte_by_byte);
  usock_test_add ("/usock/stream/receive/until-limits", test_until_limits);
  usock_test_add ("/usock/stream/receive/random-until", test_random_until);
  usock_test_add ("/usock/stream/receive/until-leaves-fds", test_until_leaves_fds);
  usock_test_add ("/usock/stream/receive/text", test_text);
  usock_test_add ("/usock/stream/receive/random-text", test_random_text);
  usock_test_add ("/usock/stream/receive/many-lines", test_many_lines);
  usock_test_add ("/usock/stream/receive/fair-calls", test_fair_calls);
  usock_test_add ("/usock/stream/receive/exactly", test_exactly);
  usock_test_add ("/usock/stream/receive/exactly-too-much", test_exactly_too_much);
  usock_test_add ("/usock/stream/receive/cancel", test_cancel);
  usock_test_add ("/usock/stream/receive/mixed-calls", test_mixed_calls);
  usock_test_add ("/usock/stream/receive/handlers-get-the-rest", test_handlers_get_the_rest);
  usock_test_add ("/usock/stream/receive/unread", test_unread);
  usock_test_add ("/usock/stream/receive/unread-with-fds", test_unread_with_fds);
  usock_test_add ("/usock/stream/receive/unread-refused", test_unread_refused);
  usock_test_add ("/usock/stream/receive/unread-in-handler", test_unread_in_handler);
  usock_test_add ("/usock/stream/receive/fds-in-order", test_fds_in_order);
  usock_test_add ("/usock/stream/receive/fds-wait-for-who-asks", test_fds_wait_for_who_asks);
  usock_test_add ("/usock/stream/receive/fds-left-alone", test_fds_left_alone);
  usock_test_add ("/usock/stream/receive/batch-without-bytes", test_batch_without_bytes);
  usock_test_add ("/usock/stream/receive/fds-nobody-asked-for", test_fds_nobody_asked_for);
  usock_test_add ("/usock/stream/receive/fds-do-not-come", test_fds_do_not_come);
  usock_test_add ("/usock/stream/receive/too-many-fds", test_too_many_fds);
  usock_test_add ("/usock/stream/receive/no-fds-left", test_no_fds_left);
  usock_test_add ("/usock/stream/receive/random-frames", test_random_frames);
  usock_test_add ("/usock/stream/receive/random-pieces", test_random_pieces);
  usock_test_add ("/usock/stream/receive/senders", test_senders);
  usock_test_add ("/usock/stream/receive/senders-of-parts", test_senders_of_parts);
  usock_test_add ("/usock/stream/receive/take-lines", test_take_lines);
  usock_test_add ("/usock/stream/receive/take-no-lines", test_take_no_lines);

  return g_test_run ();
}
