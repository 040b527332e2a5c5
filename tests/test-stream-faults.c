/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "stream-scene.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "usock-io-private.h"

/* Frames go to the other end and come back, each with descriptors, while system calls fail, or do
 * less than they were asked to. */

#define N_FRAMES 60
#define N_IN_FLIGHT 7

typedef struct
{
  UsockChannel *channel;
  guint32 n_sent;
  guint32 n_received;
  guint32 n_echoed;
  char *failure;
} Frames;

typedef struct
{
  guint32 number;
  guint32 length;
  guint32 n_fds;
} Header;

static Header
header_of (guint32 number)
{
  return (Header) { number, number % 5 == 0 ? 300000 : number * 7 % 997, number % 4 };
}

static UsockMessage *
frame_new (guint32 number)
{
  Header header = header_of (number);
  UsockMessage *message = usock_message_new ((const guint8 *) &header, sizeof header);
  guint8 *payload = g_malloc (header.length);
  g_autoptr (GBytes) bytes = NULL;

  memset (payload, number, header.length);
  bytes = g_bytes_new_take (payload, header.length);
  usock_message_append_bytes (message, bytes);
  for (guint i = 0; i < header.n_fds; i++)
    usock_test_no_error (
        usock_message_append_fd_owned (message, numbered_fd (number * 10 + i), &error));
  return message;
}

static void
frames_send (Frames *self)
{
  while (self->n_sent < N_FRAMES && self->n_sent - self->n_received < N_IN_FLIGHT)
    {
      g_autoptr (UsockMessage) frame = frame_new (self->n_sent++);

      usock_test_no_error (usock_channel_send_message (self->channel, frame, &error));
    }
}

static void
check_frame (guint32       number,
             UsockMessage *message)
{
  Header header = header_of (number);
  gsize length, n_fds;
  const guint8 *data = usock_message_get_data (message, &length);
  g_autofree int *fds = usock_message_take_fds (message, &n_fds);

  g_assert_cmpuint (length, ==, sizeof header + header.length);
  g_assert_cmpmem (data, sizeof header, &header, sizeof header);
  for (gsize i = sizeof header; i < length; i++)
    g_assert_cmpuint (data[i], ==, (guint8) number);
  g_assert_cmpuint (n_fds, ==, header.n_fds);
  for (gsize i = 0; i < n_fds; i++)
    {
      g_assert_cmpuint (number_of_fd (fds[i]), ==, number * 10 + i);
      close (fds[i]);
    }
}

static void frames_receive (Frames *self);

static void
received_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      data)
{
  Frames *self = data;
  GError *error = NULL;
  g_autoptr (UsockMessage) message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, &error);

  g_assert_no_error (error);
  check_frame (self->n_received++, message);
  frames_send (self);
  frames_receive (self);
}

static void
frames_receive (Frames *self)
{
  Header header = header_of (self->n_received);

  if (self->n_received < N_FRAMES)
    usock_stream_receive_exactly_async (USOCK_STREAM (self->channel), sizeof header + header.length,
                                        header.n_fds, NULL, received_cb, self);
}

static void echo_receive (Frames      *self,
                          UsockStream *stream);

static void
echoed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Frames *self = data;
  GError *failure = NULL;
  g_autoptr (UsockMessage) message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, &failure);

  g_assert_no_error (failure);
  usock_test_no_error (usock_channel_send_message (USOCK_CHANNEL (source), message, &error));
  self->n_echoed++;
  echo_receive (self, USOCK_STREAM (source));
}

static void
echo_receive (Frames      *self,
              UsockStream *stream)
{
  Header header = header_of (self->n_echoed);

  if (self->n_echoed < N_FRAMES)
    usock_stream_receive_exactly_async (stream, sizeof header + header.length, header.n_fds, NULL,
                                        echoed_cb, self);
}

static void
run_frames (UsockIoCall call,
            int         errnum,
            guint       every)
{
  Frames frames = { 0 };
  StreamScene scene;

  stream_scene_start (&scene, "");
  usock_channel_set_max_fds (scene.channel, 3);
  usock_channel_set_max_fds (scene.far_channel, 3);
  frames.channel = scene.channel;
  usock_io_fault_add (call, errnum, every, every);
  echo_receive (&frames, scene.far);
  frames_receive (&frames);
  frames_send (&frames);
  usock_test_wait_until (frames.n_received == N_FRAMES);
  usock_io_fault_clear ();
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);
  stream_scene_stop (&scene);
}

static void
test_frames (UsockTest     *test,
             gconstpointer  unused)
{
  static const struct
  {
    UsockIoCall call;
    int errnum;
  } faults[] = {
    { USOCK_IO_SEND, USOCK_IO_SHORT },    { USOCK_IO_SEND, USOCK_IO_ZERO },
    { USOCK_IO_SEND, ENOMEM },            { USOCK_IO_SEND, ENOBUFS },
    { USOCK_IO_SEND, ETOOMANYREFS },      { USOCK_IO_RECEIVE, USOCK_IO_SHORT },
    { USOCK_IO_RECEIVE, ENOMEM },         { USOCK_IO_RECEIVE, ENOBUFS },
  };

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    for (guint every = 1; every <= 13; every += every < 4 ? 1 : 3)
      {
        gboolean endless = every == 1 && faults[i].errnum > 0;

        /* What fails always never comes. A wait of 10 ms each time takes its time. */
        if (endless || (faults[i].errnum == USOCK_IO_ZERO && every == 1))
          continue;
        run_frames (faults[i].call, faults[i].errnum, every);
      }
}

/* What is larger than any packet may be is only short of memory, like the rest. */
static void
test_much_without_memory (UsockTest     *test,
                          gconstpointer  unused)
{
  const gsize size = 5 * 1024 * 1024;
  g_autofree guint8 *data = g_malloc0 (size);
  StreamScene scene;

  stream_scene_start (&scene, "");
  usock_io_fault_add (USOCK_IO_SEND, ENOBUFS, 1, 0);
  usock_test_no_error (usock_channel_send (scene.far_channel, data, size, &error));
  usock_channel_end (scene.far_channel);
  stream_scene_exactly (&scene, "all", size, 0, NULL);
  stream_scene_exactly (&scene, "end", 1, 0, NULL);
  witness_expect (&scene.witness, "all: end:END");
  stream_scene_stop (&scene);
}

static void
test_messages_in_parts (UsockTest     *test,
                        gconstpointer  unused)
{
  static const int errors[] = { USOCK_IO_SHORT, USOCK_IO_ZERO, ENOMEM };

  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    for (guint nth = 1; nth <= 3; nth++)
      {
        UsockMessage *messages[10];
        StreamScene scene;

        for (guint j = 0; j < G_N_ELEMENTS (messages); j++)
          messages[j] = usock_message_new ((const guint8 *) "0123456789" + j, j % 3);
        stream_scene_start (&scene, "");
        usock_io_fault_add (USOCK_IO_SEND, errors[i], nth, 0);
        g_assert_cmpuint (usock_channel_send_messages (scene.far_channel, messages, 10, NULL), ==,
                          10);
        usock_channel_end (scene.far_channel);
        stream_scene_exactly (&scene, "all", 9, 0, NULL);
        stream_scene_exactly (&scene, "end", 1, 0, NULL);
        witness_expect (&scene.witness, "all:123456789 end:END");
        usock_io_fault_clear ();
        for (guint j = 0; j < G_N_ELEMENTS (messages); j++)
          usock_message_unref (messages[j]);
        stream_scene_stop (&scene);
      }
}

/* A read that fails for good ends the stream, and what it had is delivered before. */
static void
test_read_fails (UsockTest     *test,
                 gconstpointer  unused)
{
  static const int errors[] = { EIO, ECONNRESET, ETIMEDOUT };
  static const char *const expected[]
      = { "data:ab error:failed close", "data:ab error:broken-pipe close",
          "data:ab error:timed-out close" };

  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      StreamScene scene;

      stream_scene_start_raw (&scene, "data end error close");
      usock_channel_set_read_buffer_size (scene.channel, 2);
      scene_send (scene.peer, "ab");
      /* Every one from the second on: a reset is not to be asked for for ever. */
      usock_io_fault_add (USOCK_IO_RECEIVE, errors[i], 2, 1);
      witness_expect (&scene.witness, expected[i]);
      usock_io_fault_clear ();
      stream_scene_stop (&scene);
    }
}

/* The peer is gone, and for a moment there is no memory to read what it left. */
static void
test_last_words_without_memory (UsockTest     *test,
                                gconstpointer  unused)
{
  const gsize size = 1024 * 1024;
  g_autofree guint8 *data = g_malloc0 (size);
  StreamScene scene;

  stream_scene_start_raw (&scene, "data end error close");
  scene_settle ();
  usock_test_no_error (usock_channel_send (scene.channel, data, size, &error));
  scene_send (scene.peer, "final");
  usock_io_fault_add (USOCK_IO_RECEIVE, ENOMEM, 1, 0);
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "data:final error:broken-pipe close");
  stream_scene_stop (&scene);
}

/* A queued message that the peer refuses is told, and costs the stream only if nobody waits. */
static void
test_queued_message_fails (UsockTest     *test,
                           gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "x", 1);
  g_autofree char *text = NULL;
  StreamScene scene;

  stream_scene_start_raw (&scene, "error close");
  usock_stream_cork (scene.stream);
  stream_scene_send (&scene, "sent", message, NULL);
  usock_io_fault_add (USOCK_IO_SEND, EACCES, 1, 0);
  usock_stream_uncork (scene.stream);
  witness_expect (&scene.witness, "sent:permission-denied");
  usock_test_no_error (usock_channel_send_text (scene.channel, "y", &error));
  text = scene_receive (scene.peer);
  g_assert_cmpstr (text, ==, "y");

  usock_stream_cork (scene.stream);
  usock_test_no_error (usock_channel_send_text (scene.channel, "z", &error));
  usock_io_fault_add (USOCK_IO_SEND, EACCES, 1, 0);
  usock_stream_uncork (scene.stream);
  witness_expect (&scene.witness, "error:permission-denied close");
  stream_scene_stop (&scene);
}

/* Half of a message has left, and the rest never will: nothing may follow it, not even what
 * somebody waits for. */
static void
test_half_a_message_fails (UsockTest     *test,
                           gconstpointer  unused)
{
  const gsize size = 1024 * 1024;
  g_autofree guint8 *data = g_malloc0 (size);
  g_autoptr (UsockMessage) large = usock_message_new (data, size);
  g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "x", 1);
  guint n_fds = 0;
  gssize n;
  StreamScene scene;

  stream_scene_start_raw (&scene, "error close");
  stream_scene_send (&scene, "large", large, NULL);
  stream_scene_send (&scene, "next", message, NULL);
  usock_io_fault_add (USOCK_IO_SEND, EIO, 1, 0);
  raw_receive (scene.peer, data, size, &n_fds);
  witness_expect (&scene.witness, "large:failed next:failed error:failed close");
  while ((n = raw_receive (scene.peer, data, size, &n_fds)) > 0)
    for (gssize i = 0; i < n; i++)
      g_assert_cmpuint (data[i], ==, 0);
  stream_scene_stop (&scene);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/stream/faults/frames", test_frames);
  usock_test_add ("/usock/stream/faults/much-without-memory", test_much_without_memory);
  usock_test_add ("/usock/stream/faults/messages-in-parts", test_messages_in_parts);
  usock_test_add ("/usock/stream/faults/read-fails", test_read_fails);
  usock_test_add ("/usock/stream/faults/last-words-without-memory",
                  test_last_words_without_memory);
  usock_test_add ("/usock/stream/faults/queued-message-fails", test_queued_message_fails);
  usock_test_add ("/usock/stream/faults/half-a-message-fails", test_half_a_message_fails);

  return g_test_run ();
}
