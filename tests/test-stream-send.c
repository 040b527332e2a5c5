/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "stream-scene.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define MIB (1024 * 1024)

static gboolean
is_slow (void)
{
  return g_getenv ("USOCK_TEST_SLOW") != NULL;
}

/* Bytes that tell where in the stream they are. */
static guint8
byte_at (guint64 position)
{
  return (position * 2654435761u) >> 24;
}

static UsockMessage *
message_at (guint64 position,
            gsize   length)
{
  guint8 *data = g_malloc (length);
  g_autoptr (GBytes) bytes = NULL;

  for (gsize i = 0; i < length; i++)
    data[i] = byte_at (position + i);
  bytes = g_bytes_new_take (data, length);
  return usock_message_new_from_bytes (bytes);
}

static void
check_bytes (const guint8 *data,
             gsize         length,
             guint64       position)
{
  for (gsize i = 0; i < length; i++)
    if (data[i] != byte_at (position + i))
      g_error ("byte %" G_GUINT64_FORMAT " is not what was sent", position + i);
}

/* Reads from the raw end until that many have come, and checks them. */
static guint
drain_peer (StreamScene *scene,
            guint64      position,
            guint64      end)
{
  g_autofree guint8 *buffer = g_malloc (MIB);
  gint64 deadline = usock_test_deadline ();
  guint n_fds = 0;

  while (position < end)
    {
      gssize n = raw_receive (scene->peer, buffer, MIB, &n_fds);

      if (n > 0)
        {
          check_bytes (buffer, n, position);
          position += n;
        }
      else
        {
          g_assert_cmpint (n, ==, -EAGAIN);
          usock_test_iterate (deadline, "bytes");
        }
    }
  g_assert_cmpuint (position, ==, end);
  return n_fds;
}

static void
assert_peer_is_empty (StreamScene *scene)
{
  guint n_fds = 0;
  guint8 byte;

  g_assert_cmpint (raw_receive (scene->peer, &byte, 1, &n_fds), ==, -EAGAIN);
}

static guint64
queued (StreamScene *scene)
{
  return usock_channel_get_queued_bytes (scene->channel);
}

/* Fills the kernel and, a little, the queue. Returns how many bytes went. */
static guint64
fill (StreamScene *scene)
{
  g_autoptr (UsockMessage) message = message_at (0, MIB);

  usock_test_no_error (usock_channel_send_message (scene->channel, message, &error));
  g_assert_cmpuint (queued (scene), >, 0);
  return MIB;
}

/* Descriptors go with the first piece, and once. */

static void
frame_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      message)
{
  GError *error = NULL;

  *(UsockMessage **) message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, &error);
  g_assert_no_error (error);
}

static void
test_frames (UsockTest     *test,
             gconstpointer  unused)
{
  guint n_frames = is_slow () ? 20 : 1000;
  g_autofree guint8 *frame = g_malloc (MIB);
  int fds[3] = { 0, 1, 2 };
  StreamScene scene;

  stream_scene_start (&scene, "");
  usock_channel_set_max_fds (scene.channel, 3);
  stream_scene_narrow (&scene, scene.far);

  for (guint i = 0; i < n_frames; i++)
    {
      g_autoptr (UsockMessage) message = NULL;
      const guint8 *data;
      gsize length;

      memset (frame, i, MIB);
      usock_test_no_error (
          usock_channel_send_with_fds (scene.far_channel, frame, MIB, fds, 3, &error));
      usock_stream_receive_exactly_async (scene.stream, MIB, 3, NULL, frame_cb, &message);
      usock_test_wait_until (message != NULL);
      data = usock_message_get_data (message, &length);
      g_assert_cmpmem (data, length, frame, MIB);
      g_assert_cmpuint (usock_message_get_n_fds (message), ==, 3);
    }
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.far_channel), ==, 0);
  /* Neither a byte nor a descriptor is left over. */
  usock_channel_end (scene.far_channel);
  stream_scene_exactly (&scene, "rest", 1, 0, NULL);
  witness_expect (&scene.witness, "rest:END");
  stream_scene_stop (&scene);
}

static void
test_fds_behind_a_queue (UsockTest     *test,
                         gconstpointer  unused)
{
  guint64 sent;
  int fds[3] = { 0, 1, 2 };
  StreamScene scene;

  stream_scene_start_raw (&scene, "error");
  sent = fill (&scene);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr (UsockMessage) message = message_at (sent, 30000);

      for (guint j = 0; i % 2 == 0 && j < 3; j++)
        usock_test_no_error (usock_message_append_fd (message, fds[j], &error));
      usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));
      sent += 30000;
    }
  g_assert_cmpuint (drain_peer (&scene, 0, sent), ==, 30);
  assert_peer_is_empty (&scene);
  stream_scene_stop (&scene);
}

static void
test_many_segments (UsockTest     *test,
                    gconstpointer  unused)
{
  static const guint counts[] = { 2, 64, 65, 128, 129, 1500 };
  guint64 sent = 0;
  StreamScene scene;

  stream_scene_start_raw (&scene, "error");
  for (guint round = 0; round < 2; round++)
    for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
      {
        g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);

        for (guint j = 0; j < counts[i]; j++)
          {
            g_autoptr (UsockMessage) part = message_at (sent, 100 + j % 3);

            usock_message_append_bytes (message, usock_message_get_bytes (part));
            sent += 100 + j % 3;
          }
        usock_test_no_error (usock_message_append_fd (message, 0, &error));
        usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));
      }
  g_assert_cmpuint (drain_peer (&scene, 0, sent), ==, 12);
  stream_scene_stop (&scene);
}

/* No bytes are nothing to a stream. */
static void
test_empty (UsockTest     *test,
            gconstpointer  unused)
{
  g_autoptr (UsockMessage) empty = usock_message_new (NULL, 0);
  int fd = 0;
  guint64 sent;
  GError *failure = NULL;
  StreamScene scene;

  stream_scene_start_raw (&scene, "error");
  usock_test_no_error (usock_channel_send (scene.channel, NULL, 0, &error));
  g_assert_false (usock_channel_send_with_fds (scene.channel, NULL, 0, &fd, 1, &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  stream_scene_send (&scene, "empty", empty, NULL);
  witness_expect (&scene.witness, "empty:ok");
  assert_peer_is_empty (&scene);

  sent = fill (&scene);
  usock_test_no_error (usock_channel_send (scene.channel, NULL, 0, &error));
  stream_scene_send (&scene, "empty", empty, NULL);
  g_assert_false (usock_channel_send_with_fds (scene.channel, NULL, 0, &fd, 1, &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  drain_peer (&scene, 0, sent);
  witness_expect (&scene.witness, "empty:ok");
  assert_peer_is_empty (&scene);
  stream_scene_stop (&scene);
}

static void
ignore_cb (void)
{
}

/* A peer that takes no descriptors costs the message, and not the stream. */
static void
test_fds_refused (UsockTest     *test,
                  gconstpointer  unused)
{
  g_autoptr (UsockMessage) plain = message_at (0, 1);
  g_autoptr (UsockMessage) with_fd = message_at (1, 1);
  UsockMessage *messages[] = { plain, with_fd, plain };
  GError *failure = NULL;
  StreamScene scene;
  int taken;
  socklen_t size = sizeof taken;

  stream_scene_start (&scene, "error close");
  if (getsockopt (usock_socket_get_fd (USOCK_SOCKET (scene.far)), SOL_SOCKET, SO_PASSRIGHTS, &taken,
                  &size) == -1)
    {
      g_test_skip ("no socket can refuse descriptors before Linux 6.16");
      stream_scene_stop (&scene);
      return;
    }
  usock_test_no_error (usock_message_append_fd (with_fd, 0, &error));
  g_assert_false (usock_channel_send_message (scene.channel, with_fd, &failure));
  assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, messages, 3, &failure), ==, 1);
  g_assert_no_error (failure);
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, messages + 1, 2, &failure), ==, 0);
  assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);

  fill (&scene);
  stream_scene_send (&scene, "queued", with_fd, NULL);
  g_signal_connect (scene.far, "data", G_CALLBACK (ignore_cb), NULL);
  witness_expect (&scene.witness, "queued:permission-denied");
  usock_test_no_error (usock_channel_send_text (scene.channel, "x", &error));
  stream_scene_stop (&scene);
}

/* Flow. */

typedef struct
{
  UsockChannel *channel;
  guint64 received;
  guint64 most;
} SlowReader;

static gboolean
read_slowly_cb (gpointer data)
{
  SlowReader *self = data;

  usock_channel_resume (self->channel);
  return G_SOURCE_CONTINUE;
}

static void
slow_data_cb (UsockChannel *channel,
              GByteArray   *bytes,
              gpointer      data)
{
  SlowReader *self = data;

  check_bytes (bytes->data, bytes->len, self->received);
  self->received += bytes->len;
  usock_channel_pause (channel);
}

static void
test_slow_reader (UsockTest     *test,
                  gconstpointer  unused)
{
  const guint64 total = (is_slow () ? 2 : 64) * (guint64) MIB;
  const gsize chunk = 64 * 1024;
  g_autoptr (GSource) timer = g_timeout_source_new (1);
  SlowReader reader = { 0 };
  guint64 sent = 0;
  gsize before;
  StreamScene scene;

  stream_scene_start (&scene, "");
  usock_channel_set_queue_limit (scene.far_channel, MIB);
  reader.channel = scene.channel;
  g_signal_connect (scene.stream, "data", G_CALLBACK (slow_data_cb), &reader);
  g_source_set_callback (timer, read_slowly_cb, &reader, NULL);
  g_source_attach (timer, test->context);

  before = resident_size ();
  while (reader.received < total)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (UsockMessage) message = message_at (sent, chunk);

      if (sent < total && usock_channel_send_message (scene.far_channel, message, &error))
        sent += chunk;
      else
        g_main_context_iteration (test->context, TRUE);
      if (error != NULL)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
      reader.most = MAX (reader.most, usock_channel_get_queued_bytes (scene.far_channel));
    }
  g_assert_cmpuint (reader.received, ==, total);
  g_assert_cmpuint (reader.most, <=, MIB);
  g_assert_cmpuint (reader.most, >, MIB / 2);
  assert_grown_less (before, 8 * MIB);
  g_source_destroy (timer);
  stream_scene_stop (&scene);
}

typedef struct
{
  guint n_completed;
} Completions;

typedef struct
{
  Completions *completions;
  guint number;
} Completion;

static void
completed_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      data)
{
  Completion *self = data;
  GError *error = NULL;

  usock_channel_send_message_finish (USOCK_CHANNEL (source), result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (self->completions->n_completed, ==, self->number);
  self->completions->n_completed++;
}

static void
test_completions_in_order (UsockTest     *test,
                           gconstpointer  unused)
{
  const guint n = is_slow () ? 5000 : 500000;
  g_autofree Completion *all = g_new (Completion, n);
  g_autoptr (UsockMessage) message = message_at (0, 10);
  g_autofree guint8 *buffer = g_malloc (MIB);
  Completions completions = { 0 };
  guint64 received = 0;
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  for (guint i = 0; i < n; i++)
    {
      all[i] = (Completion) { &completions, i };
      usock_channel_send_message_async (scene.channel, message, NULL, completed_cb, &all[i]);
    }
  while (completions.n_completed < n || received < n * (guint64) 10)
    {
      guint n_fds = 0;
      gssize got = raw_receive (scene.peer, buffer, MIB, &n_fds);

      received += MAX (got, 0);
      g_main_context_iteration (test->context, FALSE);
    }
  g_assert_cmpuint (received, ==, n * (guint64) 10);
  stream_scene_stop (&scene);
}

/* Nobody reads: what is accepted stays within the limit, and arrives when somebody does. */
static void
test_never_read (UsockTest     *test,
                 gconstpointer  unused)
{
  guint64 sent = 0, refused = 0;
  gsize before = resident_size ();
  StreamScene scene;

  stream_scene_start_raw (&scene, "drain error");
  usock_channel_set_queue_limit (scene.channel, MIB);
  for (guint i = 0; i < (is_slow () ? 20000 : 1000000); i++)
    {
      guint8 data[100];

      for (guint j = 0; j < sizeof data; j++)
        data[j] = byte_at (sent + j);
      if (usock_channel_send (scene.channel, data, sizeof data, NULL))
        sent += sizeof data;
      else
        refused++;
    }
  g_assert_cmpuint (refused, >, 0);
  g_assert_cmpuint (queued (&scene), <=, MIB);
  assert_grown_less (before, 6 * MIB);
  drain_peer (&scene, 0, sent);
  witness_expect (&scene.witness, "drain");
  stream_scene_stop (&scene);
}

/* Through the smallest buffer there is, in every size. */
static void
test_narrow (UsockTest     *test,
             gconstpointer  unused)
{
  const guint n = is_slow () ? 500 : 20000;
  g_autoptr (GRand) random = g_rand_new_with_seed (4);
  guint64 sent = 0, received = 0;
  guint n_fds = 0;
  StreamScene scene;

  stream_scene_start_raw (&scene, "error");
  usock_channel_set_queue_limit (scene.channel, G_MAXUINT64);
  stream_scene_narrow (&scene, scene.stream);
  for (guint i = 0; i < n; i++)
    {
      gsize length = random_below (random, 4001);
      g_autoptr (UsockMessage) message = message_at (sent, length);

      usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));
      sent += length;
      if (i % 16 == 0)
        {
          guint8 buffer[8192];
          gssize got = raw_receive (scene.peer, buffer, 1 + random_below (random, 8192), &n_fds);

          if (got > 0)
            check_bytes (buffer, got, received);
          received += MAX (got, 0);
          scene_settle ();
        }
    }
  drain_peer (&scene, received, sent);
  stream_scene_stop (&scene);
}

static void
count_received_cb (UsockChannel *channel,
                   GByteArray   *bytes,
                   gpointer      received)
{
  check_bytes (bytes->data, bytes->len, *(guint64 *) received);
  *(guint64 *) received += bytes->len;
}

/* Both write until nothing goes any more, and only then read. */
static void
test_both_write_first (UsockTest     *test,
                       gconstpointer  unused)
{
  const guint64 total = (is_slow () ? 1 : 20) * (guint64) MIB;
  guint64 received[2] = { 0, 0 };
  StreamScene scene;

  stream_scene_start (&scene, "");
  for (guint i = 0; i < 2; i++)
    {
      UsockChannel *channel = i == 0 ? scene.channel : scene.far_channel;

      usock_channel_set_queue_limit (channel, G_MAXUINT64);
      for (guint64 sent = 0; sent < total; sent += 1024)
        {
          g_autoptr (UsockMessage) message = message_at (sent, 1024);

          usock_test_no_error (usock_channel_send_message (channel, message, &error));
        }
    }
  scene_settle ();
  g_signal_connect (scene.stream, "data", G_CALLBACK (count_received_cb), &received[0]);
  g_signal_connect (scene.far, "data", G_CALLBACK (count_received_cb), &received[1]);
  usock_test_wait_until (received[0] == total && received[1] == total);
  stream_scene_stop (&scene);
}

typedef struct
{
  guint n_left;
  char *deepest;
  char *highest;
} Recursion;

static void
send_again_cb (UsockChannel *channel,
               gpointer      data)
{
  Recursion *self = data;
  char here;

  self->deepest = self->deepest == NULL ? &here : MIN (self->deepest, &here);
  self->highest = MAX (self->highest, &here);
  while (self->n_left > 0)
    {
      guint8 bytes[1024] = { 0 };

      if (!usock_channel_send (channel, bytes, sizeof bytes, NULL))
        return;
      self->n_left--;
    }
}

static void
test_send_from_drain (UsockTest     *test,
                      gconstpointer  unused)
{
  Recursion recursion = { .n_left = is_slow () ? 5000 : 100000 };
  g_autofree guint8 *buffer = g_malloc (MIB);
  guint n_fds = 0;
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  usock_channel_set_queue_limit (scene.channel, 8192);
  g_signal_connect (scene.stream, "drain", G_CALLBACK (send_again_cb), &recursion);
  send_again_cb (scene.channel, &recursion);
  recursion.deepest = recursion.highest = NULL;
  while (recursion.n_left > 0)
    {
      raw_receive (scene.peer, buffer, MIB, &n_fds);
      g_main_context_iteration (test->context, FALSE);
    }
  g_assert_cmpuint (recursion.highest - recursion.deepest, <, 4096);
  stream_scene_stop (&scene);
}

/* With no queue a stream keeps the rest of what it began, and nothing else. */
static void
test_no_queue (UsockTest     *test,
               gconstpointer  unused)
{
  g_autoptr (UsockMessage) one = message_at (MIB, 1);
  GError *failure = NULL;
  guint64 sent;
  StreamScene scene;

  stream_scene_start_raw (&scene, "drain error");
  usock_channel_set_queue_limit (scene.channel, 0);
  sent = fill (&scene);
  g_assert_false (usock_channel_send_message (scene.channel, one, &failure));
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  drain_peer (&scene, 0, sent);
  witness_expect (&scene.witness, "drain");
  usock_test_no_error (usock_channel_send_message (scene.channel, one, &error));
  drain_peer (&scene, MIB, MIB + 1);
  assert_peer_is_empty (&scene);
  stream_scene_stop (&scene);
}

/* Together. */

static void
test_messages (UsockTest     *test,
               gconstpointer  unused)
{
  static const guint64 limits[] = { 0, 1, 300000, G_MAXUINT64 };

  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      g_autoptr (GPtrArray) messages
          = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref);
      guint64 sent = 0, received = 0;
      guint n_done = 0, n_fds = 0;
      StreamScene scene;

      stream_scene_start_raw (&scene, "error");
      usock_channel_set_queue_limit (scene.channel, limits[i]);
      for (guint j = 0; j < 300; j++)
        {
          gsize length = j % 5 == 0 ? 0 : j % 7 == 0 ? 100000 : 17;

          g_ptr_array_add (messages, message_at (sent, length));
          sent += length;
          if (j % 50 == 1)
            usock_test_no_error (usock_message_append_fd (messages->pdata[j], 0, &error));
        }

      while (n_done < messages->len)
        {
          g_autofree guint8 *buffer = g_malloc (50000);
          g_autoptr (GError) failure = NULL;
          guint n = usock_channel_send_messages (scene.channel,
                                                 (UsockMessage **) messages->pdata + n_done,
                                                 messages->len - n_done, &failure);
          gssize got = raw_receive (scene.peer, buffer, 50000, &n_fds);

          g_assert_true ((n > 0) == (failure == NULL));
          if (failure != NULL)
            g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
          n_done += n;
          check_bytes (buffer, MAX (got, 0), received);
          received += MAX (got, 0);
          scene_settle ();
        }
      n_fds += drain_peer (&scene, received, sent);
      g_assert_cmpuint (n_fds, ==, 6);
      g_assert_cmpuint (usock_channel_get_bytes_written (scene.channel), ==, sent);
      g_assert_cmpuint (usock_channel_get_messages_written (scene.channel), ==, messages->len);
      stream_scene_stop (&scene);
    }
}

static void
test_messages_to_nobody (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = message_at (0, 10);
  UsockMessage *messages[] = { message, message, message };
  GError *error = NULL;
  StreamScene scene;

  stream_scene_start_raw (&scene, "");
  stream_scene_hang_up (&scene);
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, messages, 3, &error), ==, 0);
  assert_error_code (error, G_IO_ERROR_BROKEN_PIPE);
  stream_scene_stop (&scene);
}

/* Corks. */

static void
send_text (StreamScene *scene,
           const char  *text)
{
  usock_test_no_error (usock_channel_send_text (scene->channel, text, &error));
}

static void
expect_at_peer (StreamScene *scene,
                const char  *expected)
{
  g_autofree char *text = scene_receive (scene->peer);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_cork (UsockTest     *test,
           gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "drain error");
  usock_stream_uncork (scene.stream);
  usock_stream_cork (scene.stream);
  usock_stream_cork (scene.stream);
  send_text (&scene, "a");
  send_text (&scene, "b");
  usock_channel_flush_async (
      scene.channel, NULL, witness_done,
      witness_call (&scene.witness, "flush", usock_channel_flush_finish));
  usock_stream_uncork (scene.stream);
  scene_settle ();
  assert_peer_is_empty (&scene);
  witness_assert (&scene.witness, "");
  usock_stream_uncork (scene.stream);
  expect_at_peer (&scene, "ab");
  witness_expect (&scene.witness, "flush:ok");
  send_text (&scene, "c");
  expect_at_peer (&scene, "c");
  stream_scene_stop (&scene);
}

/* Nothing has to leave for it, but those who wait are told. */
static void
test_cork_on_nothing (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autoptr (UsockMessage) empty = usock_message_new (NULL, 0);
  StreamScene scene;

  stream_scene_start_raw (&scene, "drain error");
  usock_stream_cork (scene.stream);
  usock_channel_send_message_async (
      scene.channel, empty, NULL, witness_done,
      witness_call (&scene.witness, "empty", usock_channel_send_message_finish));
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_stream_uncork (scene.stream);
  witness_expect (&scene.witness, "empty:ok");
  assert_peer_is_empty (&scene);
  stream_scene_stop (&scene);
}

static void
test_cork_is_limited (UsockTest     *test,
                      gconstpointer  unused)
{
  GError *error = NULL;
  StreamScene scene;

  stream_scene_start_raw (&scene, "drain error");
  usock_channel_set_queue_limit (scene.channel, 600);
  usock_stream_cork (scene.stream);
  send_text (&scene, "a");
  send_text (&scene, "b");
  g_assert_false (usock_channel_send_text (scene.channel, "c", &error));
  assert_error_code (error, G_IO_ERROR_WOULD_BLOCK);
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_stream_uncork (scene.stream);
  witness_expect (&scene.witness, "drain");
  expect_at_peer (&scene, "ab");
  stream_scene_stop (&scene);
}

/* The end lets everything go, and no cork after it holds anything. */
static void
test_cork_and_end (UsockTest     *test,
                   gconstpointer  unused)
{
  guint64 sent;
  char byte;
  StreamScene scene;

  stream_scene_start_raw (&scene, "error");
  usock_stream_cork (scene.stream);
  sent = fill (&scene);
  usock_channel_end (scene.channel);
  usock_stream_cork (scene.stream);
  drain_peer (&scene, 0, sent);
  usock_test_wait_until (recv (scene.peer, &byte, 1, 0) == 0);
  stream_scene_stop (&scene);
}

/* What waits of @n messages of a byte. */
static guint64
cost_of (guint n)
{
  return n * G_GUINT64_CONSTANT (257);
}

static void
post (StreamScene *scene,
      guint        n)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");

  for (guint i = 0; i < n; i++)
    usock_test_no_error (usock_channel_post (scene->channel, message, &error));
}

static guint
count_queued (StreamScene *scene)
{
  guint64 queued = usock_channel_get_queued_bytes (scene->channel);

  g_assert_cmpuint (queued % cost_of (1), ==, 0);
  return queued / cost_of (1);
}

/* What was posted joins what waits as far as there is room, be the queue over its limit already.
 * An empty one takes any. */
static void
test_posts_within_limit (UsockTest     *test,
                         gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "error");
  usock_stream_cork (scene.stream);
  usock_channel_set_queue_limit (scene.channel, cost_of (3));
  send_text (&scene, "x");
  post (&scene, 3);
  scene_settle ();
  g_assert_cmpuint (count_queued (&scene), ==, 3);
  usock_channel_set_queue_limit (scene.channel, cost_of (2));
  scene_settle ();
  g_assert_cmpuint (count_queued (&scene), ==, 3);
  usock_stream_uncork (scene.stream);
  scene_settle ();
  expect_at_peer (&scene, "xxxx");

  usock_stream_cork (scene.stream);
  usock_channel_set_queue_limit (scene.channel, 0);
  post (&scene, 1);
  scene_settle ();
  g_assert_cmpuint (count_queued (&scene), ==, 1);
  usock_channel_end (scene.channel);
  scene_settle ();
  expect_at_peer (&scene, "x");
  stream_scene_stop (&scene);
}

/* However much was posted, others have their turn in between. While it is corked, the next has one
 * when something is posted. But the end takes all of it. */
static void
test_posts_of_a_turn (UsockTest     *test,
                      gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "error");
  usock_stream_cork (scene.stream);
  scene_settle ();
  post (&scene, 600);
  for (guint n = 256; n <= 512; n += 256)
    {
      while (count_queued (&scene) < n)
        g_main_context_iteration (test->context, FALSE);
      g_assert_cmpuint (count_queued (&scene), ==, n);
      post (&scene, 1);
    }
  post (&scene, 298);
  usock_channel_end (scene.channel);
  scene_settle ();
  g_assert_cmpuint (usock_channel_get_messages_written (scene.channel), ==, 900);
  stream_scene_stop (&scene);
}

static void
test_cork_and_close (UsockTest     *test,
                     gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "error close");
  usock_stream_cork (scene.stream);
  send_text (&scene, "last words");
  usock_socket_close (USOCK_SOCKET (scene.stream));
  expect_at_peer (&scene, "last words");
  witness_expect (&scene.witness, "close");
  stream_scene_stop (&scene);
}

static gboolean
set_cb (gpointer done)
{
  *(gboolean *) done = TRUE;
  return G_SOURCE_REMOVE;
}

static void
wait_for (UsockTest *test,
          guint      milliseconds)
{
  g_autoptr (GSource) timer = g_timeout_source_new (milliseconds);
  gboolean done = FALSE;

  g_source_set_callback (timer, set_cb, &done, NULL);
  g_source_attach (timer, test->context);
  usock_test_wait_until (done);
}

/* The peer cannot be blamed for what was held back here. */
static void
test_cork_and_timeout (UsockTest     *test,
                       gconstpointer  unused)
{
  for (guint i = 0; i < 2; i++)
    {
      gint64 begin;
      StreamScene scene;

      stream_scene_start_raw (&scene, "error");
      fill (&scene);
      usock_channel_set_send_timeout (scene.channel, 200);
      usock_stream_cork (scene.stream);
      send_text (&scene, "held");
      wait_for (test, 300);
      witness_assert (&scene.witness, "");
      begin = g_get_monotonic_time ();
      if (i == 0)
        usock_stream_uncork (scene.stream);
      else
        usock_channel_end (scene.channel);
      usock_test_wait_until (scene.witness.n_words > 0);
      g_assert_cmpint (g_get_monotonic_time () - begin, >=, 200 * 1000);
      witness_assert (&scene.witness, "error:timed-out");
      stream_scene_stop (&scene);
    }
}

/* Each message holds a descriptor, and a process has a thousand in most places. */
static guint
count_of_holders (void)
{
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  return (guint) MIN (is_slow () ? 200 : 10000, limit.rlim_cur / 2);
}

/* What was begun is finished, and what was not is not begun. */
static void
test_cancel (UsockTest     *test,
             gconstpointer  unused)
{
  const guint n = count_of_holders ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (UsockMessage) first = message_at (0, MIB);
  guint64 sent = MIB;
  guint n_fds;
  StreamScene scene;

  stream_scene_start_raw (&scene, "error");
  usock_test_no_error (usock_message_append_fd (first, 0, &error));
  stream_scene_send (&scene, "first", first, cancellable);
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (UsockMessage) kept = message_at (sent, 20);
      g_autoptr (UsockMessage) cancelled = message_at (0, 20);

      usock_test_no_error (usock_message_append_fd (cancelled, 0, &error));
      usock_channel_send_message_async (scene.channel, cancelled, cancellable, NULL, NULL);
      usock_test_no_error (usock_channel_send_message (scene.channel, kept, &error));
      sent += 20;
    }
  g_cancellable_cancel (cancellable);
  scene_settle ();
  g_assert_cmpuint (queued (&scene), <, MIB + n * (20 + 256) + 512);
  n_fds = drain_peer (&scene, 0, sent);
  g_assert_cmpuint (n_fds, ==, 1);
  witness_expect (&scene.witness, "first:ok");
  assert_peer_is_empty (&scene);
  stream_scene_stop (&scene);
}

/* The end, with something still queued. */

static void
test_flush_marks (UsockTest     *test,
                  gconstpointer  unused)
{
  WitnessFinish finish = usock_channel_flush_finish;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  guint64 sent;
  StreamScene scene;

  stream_scene_start_raw (&scene, "drain");
  sent = fill (&scene);
  usock_channel_flush_async (scene.channel, NULL, witness_done,
                             witness_call (&scene.witness, "first", finish));
  usock_channel_flush_async (scene.channel, cancellable, witness_done,
                             witness_call (&scene.witness, "second", finish));
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (UsockMessage) message = message_at (sent, 300000);

      stream_scene_send (&scene, "sent", message, NULL);
      sent += 300000;
    }
  usock_channel_flush_async (scene.channel, NULL, witness_done,
                             witness_call (&scene.witness, "third", finish));
  g_cancellable_cancel (cancellable);
  witness_expect (&scene.witness, "second:cancelled");
  drain_peer (&scene, 0, sent);
  witness_expect (&scene.witness, "first:ok sent:ok sent:ok sent:ok third:ok drain");
  stream_scene_stop (&scene);
}

static void
test_end_with_queue (UsockTest     *test,
                     gconstpointer  unused)
{
  guint64 sent;
  GError *error = NULL;
  char byte;
  StreamScene scene;

  stream_scene_start_raw (&scene, "end error close");
  sent = fill (&scene);
  usock_channel_end_async (scene.channel, NULL, witness_done,
                           witness_call (&scene.witness, "ended", usock_channel_end_finish));
  g_assert_false (usock_channel_send_text (scene.channel, "x", &error));
  assert_error_code (error, G_IO_ERROR_CLOSED);
  drain_peer (&scene, 0, sent);
  witness_expect (&scene.witness, "ended:ok");
  g_assert_cmpint (recv (scene.peer, &byte, 1, 0), ==, 0);
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness, "end close");
  stream_scene_stop (&scene);
}

static void
test_close_gracefully (UsockTest     *test,
                       gconstpointer  unused)
{
  for (guint i = 0; i < 2; i++)
    {
      guint64 sent;
      StreamScene scene;

      stream_scene_start_raw (&scene, "end error close");
      sent = fill (&scene);
      for (guint j = 0; j < 500; j++)
        {
          g_autoptr (UsockMessage) message = message_at (sent, 100);

          usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));
          sent += 100;
        }
      usock_channel_close_gracefully_async (
          scene.channel, i == 0 ? -1 : 100, NULL, witness_done,
          witness_call (&scene.witness, "closed", usock_channel_close_gracefully_finish));
      if (i == 0)
        {
          drain_peer (&scene, 0, sent);
          stream_scene_hang_up (&scene);
          witness_expect (&scene.witness, "end closed:ok close");
        }
      else
        witness_expect (&scene.witness, "closed:timed-out error:timed-out close");
      stream_scene_stop (&scene);
    }
}

/* All that waits fails, once, and its descriptors are closed. */
static void
test_peer_goes (UsockTest     *test,
                gconstpointer  unused)
{
  guint before = count_open_fds ();
  StreamScene scene;

  stream_scene_start_raw (&scene, "end error close");
  fill (&scene);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (UsockMessage) message = message_at (0, 100);

      usock_test_no_error (usock_message_append_fd (message, 0, &error));
      stream_scene_send (&scene, "sent", message, NULL);
    }
  stream_scene_hang_up (&scene);
  witness_expect (&scene.witness,
                  "sent:broken-pipe sent:broken-pipe sent:broken-pipe error:broken-pipe close");
  stream_scene_stop (&scene);
  g_assert_cmpuint (count_open_fds (), ==, before);
}

/* The peer lets go of what came in, but goes on reading nothing. */
static void
test_peer_reads_no_more (UsockTest     *test,
                         gconstpointer  unused)
{
  StreamScene scene;

  stream_scene_start_raw (&scene, "data error close");
  fill (&scene);
  scene_send (scene.peer, "final");
  g_assert_no_errno (shutdown (scene.peer, SHUT_RD));
  witness_expect (&scene.witness, "data:final error:broken-pipe close");
  stream_scene_stop (&scene);
}

static void
test_reset (UsockTest     *test,
            gconstpointer  unused)
{
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (UsockMessage) message = message_at (0, 100);
      char byte;
      StreamScene scene;

      stream_scene_start_raw (&scene, "end error close");
      if (i == 0)
        scene_send (scene.peer, "unread");
      else
        fill (&scene);
      usock_channel_pause (scene.channel);
      stream_scene_send (&scene, "sent", message, NULL);
      usock_stream_reset (scene.stream);
      witness_expect (&scene.witness, i == 0 ? "sent:ok close" : "sent:closed close");
      if (i == 0)
        {
          drain_peer (&scene, 0, 100);
          g_assert_cmpint (recv (scene.peer, &byte, 1, 0), ==, -1);
          g_assert_cmpint (errno, ==, ECONNRESET);
        }
      stream_scene_stop (&scene);
    }
}

/* Activity is whatever moves. */
static void
test_idle (UsockTest     *test,
           gconstpointer  unused)
{
  guint n_fds = 0;
  StreamScene scene;

  stream_scene_start_raw (&scene, "timeout error close");
  fill (&scene);
  usock_channel_set_idle_timeout (scene.channel, 400);
  for (guint i = 0; i < 12; i++)
    {
      guint8 buffer[65536];

      wait_for (test, 50);
      g_assert_cmpint (raw_receive (scene.peer, buffer, sizeof buffer, &n_fds), >, 0);
    }
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "timeout");
  stream_scene_stop (&scene);
}

/* Before there is a connection. */

static void
accept_cb (UsockServer  *server,
           UsockChannel *channel,
           gpointer      accepted)
{
  *(UsockChannel **) accepted = g_object_ref (channel);
}

static void
test_before_connected (UsockTest     *test,
                       gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_STREAM);
  UsockChannel *channel = USOCK_CHANNEL (usock_stream_new ());
  UsockChannel *accepted = NULL;
  GError *failure = NULL;
  Witness witness;

  witness_init (&witness);
  witness_watch (&witness, channel, "connect end close");
  g_signal_connect (server, "connection", G_CALLBACK (accept_cb), &accepted);
  g_assert_false (usock_channel_send_text (channel, "x", &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
  usock_channel_pause (channel);
  usock_channel_resume (channel);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  usock_test_no_error (usock_channel_send_text (channel, "hello", &error));
  usock_channel_end (channel);
  usock_test_wait_until (accepted != NULL);
  g_assert_true (USOCK_IS_STREAM (accepted));
  witness_receive (&witness, accepted, "receive", NULL);
  witness_expect (&witness, "connect receive:hello");
  /* The end waits until somebody takes it. */
  witness_receive (&witness, accepted, "receive", NULL);
  witness_expect (&witness, "receive:END end close");
  scene_close (accepted);
  scene_close (server);
  g_object_unref (channel);
  witness_clear (&witness);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/stream/send/frames", test_frames);
  usock_test_add ("/usock/stream/send/fds-behind-a-queue", test_fds_behind_a_queue);
  usock_test_add ("/usock/stream/send/many-segments", test_many_segments);
  usock_test_add ("/usock/stream/send/empty", test_empty);
  usock_test_add ("/usock/stream/send/fds-refused", test_fds_refused);
  usock_test_add ("/usock/stream/send/slow-reader", test_slow_reader);
  usock_test_add ("/usock/stream/send/completions-in-order", test_completions_in_order);
  usock_test_add ("/usock/stream/send/never-read", test_never_read);
  usock_test_add ("/usock/stream/send/narrow", test_narrow);
  usock_test_add ("/usock/stream/send/both-write-first", test_both_write_first);
  usock_test_add ("/usock/stream/send/from-drain", test_send_from_drain);
  usock_test_add ("/usock/stream/send/no-queue", test_no_queue);
  usock_test_add ("/usock/stream/send/messages", test_messages);
  usock_test_add ("/usock/stream/send/messages-to-nobody", test_messages_to_nobody);
  usock_test_add ("/usock/stream/send/cork", test_cork);
  usock_test_add ("/usock/stream/send/cork-on-nothing", test_cork_on_nothing);
  usock_test_add ("/usock/stream/send/cork-is-limited", test_cork_is_limited);
  usock_test_add ("/usock/stream/send/cork-and-end", test_cork_and_end);
  usock_test_add ("/usock/stream/send/posts-within-limit", test_posts_within_limit);
  usock_test_add ("/usock/stream/send/posts-of-a-turn", test_posts_of_a_turn);
  usock_test_add ("/usock/stream/send/cork-and-close", test_cork_and_close);
  usock_test_add ("/usock/stream/send/cork-and-timeout", test_cork_and_timeout);
  usock_test_add ("/usock/stream/send/cancel", test_cancel);
  usock_test_add ("/usock/stream/send/flush-marks", test_flush_marks);
  usock_test_add ("/usock/stream/send/end-with-queue", test_end_with_queue);
  usock_test_add ("/usock/stream/send/close-gracefully", test_close_gracefully);
  usock_test_add ("/usock/stream/send/peer-goes", test_peer_goes);
  usock_test_add ("/usock/stream/send/peer-reads-no-more", test_peer_reads_no_more);
  usock_test_add ("/usock/stream/send/reset", test_reset);
  usock_test_add ("/usock/stream/send/idle", test_idle);
  usock_test_add ("/usock/stream/send/before-connected", test_before_connected);

  return g_test_run ();
}
