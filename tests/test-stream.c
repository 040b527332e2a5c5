/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  UsockStream *ends[2];
} Pair;

static void
pair_init (Pair *self)
{
  usock_test_no_error (usock_stream_new_pair (&self->ends[0], &self->ends[1], &error));
}

static void
pair_clear (Pair *self)
{
  for (guint i = 0; i < 2; i++)
    {
      usock_socket_close (USOCK_SOCKET (self->ends[i]));
      usock_test_wait_until (G_OBJECT (self->ends[i])->ref_count == 1);
      g_clear_object (&self->ends[i]);
    }
}

static void
send_text (UsockStream *stream,
           const char  *text)
{
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (stream), text, &error));
}

typedef struct
{
  char *line;
  UsockMessage *message;
  GError *error;
  gboolean done;
} Answer;

static void
answer_clear (Answer *self)
{
  g_clear_pointer (&self->line, g_free);
  g_clear_pointer (&self->message, usock_message_unref);
  g_clear_error (&self->error);
  self->done = FALSE;
}

static void
line_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Answer *answer = data;

  answer->line = usock_stream_receive_line_finish (USOCK_STREAM (source), result, &answer->error);
  answer->done = TRUE;
}

static void
text_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Answer *answer = data;

  answer->line = usock_stream_receive_text_finish (USOCK_STREAM (source), result, &answer->error);
  answer->done = TRUE;
}

static void
exactly_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  Answer *answer = data;

  answer->message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, &answer->error);
  answer->done = TRUE;
}

static void
assert_line (UsockStream *stream,
             const char  *expected)
{
  Answer answer = { 0 };

  usock_stream_receive_line_async (stream, NULL, line_cb, &answer);
  usock_test_wait_until (answer.done);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (answer.line, ==, expected);
  answer_clear (&answer);
}

static void
test_lines (UsockTest     *test,
            gconstpointer  unused)
{
  Pair pair;

  pair_init (&pair);
  send_text (pair.ends[0], "one\ntwo\r\nthr");
  assert_line (pair.ends[1], "one");
  assert_line (pair.ends[1], "two");
  send_text (pair.ends[0], "ee\n\nla");
  assert_line (pair.ends[1], "three");
  assert_line (pair.ends[1], "");
  send_text (pair.ends[0], "st");
  usock_channel_end (USOCK_CHANNEL (pair.ends[0]));
  assert_line (pair.ends[1], "last");
  assert_line (pair.ends[1], NULL);
  pair_clear (&pair);
}

static void
test_text (UsockTest     *test,
           gconstpointer  unused)
{
  Answer answer = { 0 };
  Pair pair;

  pair_init (&pair);
  send_text (pair.ends[0], "gr\xc3\xbc");
  usock_test_no_error (
      usock_channel_send (USOCK_CHANNEL (pair.ends[0]), (const guint8 *) "\xc3", 1, &error));
  usock_stream_receive_text_async (pair.ends[1], NULL, text_cb, &answer);
  usock_test_wait_until (answer.done);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (answer.line, ==, "grü");
  answer_clear (&answer);
  usock_stream_receive_text_async (pair.ends[1], NULL, text_cb, &answer);
  usock_test_no_error (
      usock_channel_send (USOCK_CHANNEL (pair.ends[0]), (const guint8 *) "\x9f\xff", 2, &error));
  usock_test_wait_until (answer.done);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (answer.line, ==, "ß");
  answer_clear (&answer);
  usock_stream_receive_text_async (pair.ends[1], NULL, text_cb, &answer);
  usock_test_wait_until (answer.done);
  g_assert_error (answer.error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
  answer_clear (&answer);
  usock_stream_receive_exactly_async (pair.ends[1], 1, 0, NULL, exactly_cb, &answer);
  usock_test_wait_until (answer.done);
  g_assert_no_error (answer.error);
  g_assert_cmpuint (usock_message_get_length (answer.message), ==, 1);
  answer_clear (&answer);
  pair_clear (&pair);
}

/* A frame is much larger than the buffer that it leaves through, and has descriptors. */
static void
test_frames (UsockTest     *test,
             gconstpointer  unused)
{
  const gsize size = 1024 * 1024;
  guint n_frames = g_getenv ("USOCK_TEST_LONG") != NULL ? 1000 : 30;
  g_autofree guint8 *frame = g_malloc (size);
  int smallest = 1;
  Pair pair;

  pair_init (&pair);
  usock_channel_set_max_fds (USOCK_CHANNEL (pair.ends[1]), 3);
  g_assert_no_errno (setsockopt (usock_socket_get_fd (USOCK_SOCKET (pair.ends[0])), SOL_SOCKET,
                                 SO_SNDBUF, &smallest, sizeof smallest));

  for (guint i = 0; i < n_frames; i++)
    {
      int fds[3] = { 0, 1, 2 };
      Answer answer = { 0 };
      const guint8 *data;
      gsize length;

      memset (frame, i, size);
      usock_test_no_error (usock_channel_send_with_fds (USOCK_CHANNEL (pair.ends[0]), frame, size,
                                                        fds, 3, &error));
      usock_stream_receive_exactly_async (pair.ends[1], size, 3, NULL, exactly_cb, &answer);
      usock_test_wait_until (answer.done);
      g_assert_no_error (answer.error);
      data = usock_message_get_data (answer.message, &length);
      g_assert_cmpmem (data, length, frame, size);
      g_assert_cmpuint (usock_message_get_n_fds (answer.message), ==, 3);
      answer_clear (&answer);
    }
  g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (pair.ends[0])), ==, 0);
  pair_clear (&pair);
}

static void
test_order (UsockTest     *test,
            gconstpointer  unused)
{
  Witness witness;
  Pair pair;

  pair_init (&pair);
  witness_init (&witness);
  witness_watch (&witness, pair.ends[1], "data end close");
  send_text (pair.ends[0], "hello");
  usock_channel_end (USOCK_CHANNEL (pair.ends[0]));
  witness_expect (&witness, "data:hello end close");
  pair_clear (&pair);
  witness_clear (&witness);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/stream/order", test_order);
  usock_test_add ("/usock/stream/lines", test_lines);
  usock_test_add ("/usock/stream/text", test_text);
  usock_test_add ("/usock/stream/frames", test_frames);

  return g_test_run ();
}
