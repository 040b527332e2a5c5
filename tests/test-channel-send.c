/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sequence.h"
#include "channel-scene.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Receives numbers as text, from @first on; returns the next. */
static guint
scene_read_numbers (Scene *scene,
                    guint  first,
                    guint  n)
{
  for (guint i = first; i < first + n; i++)
    {
      g_autofree char *expected = g_strdup_printf ("%u", i);
      g_autofree char *text = scene_receive (scene->peer);

      g_assert_cmpstr (text, ==, expected);
    }
  return first + n;
}

static void
send_async (Scene        *scene,
            const char   *name,
            GCancellable *cancellable)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text (name);

  usock_channel_send_message_async (scene->channel, message, cancellable, witness_done,
                                    witness_call (&scene->witness, name,
                                                  usock_channel_send_message_finish));
}

static void
flush_async (Scene        *scene,
             const char   *name,
             GCancellable *cancellable)
{
  usock_channel_flush_async (scene->channel, cancellable, witness_done,
                             witness_call (&scene->witness, name, usock_channel_flush_finish));
}

/* Makes the kernel's queue full, and leaves ours empty. */
static guint
scene_clog (Scene *scene)
{
  guint64 limit = usock_channel_get_queue_limit (scene->channel);
  guint n;

  usock_channel_set_queue_limit (scene->channel, 0);
  n = scene_fill (scene->channel, NULL);
  usock_channel_set_queue_limit (scene->channel, limit);
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene->channel), ==, 0);
  return n;
}

/* The forms of sending. */

static void
assert_frozen (UsockMessage *message)
{
  g_autoptr (GError) failure = NULL;

  g_assert_false (usock_message_append_fd (message, STDERR_FILENO, &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_BUSY);
}

/* Whoever waits for it would otherwise see it change, and whether it had left already is no reason. */
static void
test_sent_is_frozen (UsockTest     *test,
                     gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  Scene scene;

  scene_start (&scene, test, "");
  usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);
  assert_frozen (message);
  scene_stop (&scene);
}

static void
test_forms (UsockTest     *test,
            gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GBytes) bytes = g_bytes_new_static ("bytes", 5);
  g_autoptr (UsockMessage) segments = usock_message_new_from_text ("seg");
  const char *expected[] = { "data", "bytes", "text", "fds", "segbytes" };

  scene_start (&scene, test, "error close");
  usock_message_append_bytes (segments, bytes);
  usock_test_no_error (usock_channel_send (scene.channel, (const guint8 *) "data", 4, &error));
  usock_test_no_error (usock_channel_send_bytes (scene.channel, bytes, &error));
  usock_test_no_error (usock_channel_send_text (scene.channel, "text", &error));
  usock_test_no_error (usock_channel_send_with_fds (scene.channel, (const guint8 *) "fds", 3,
                                                    &test->pair[1], 1, &error));
  usock_test_no_error (usock_channel_send_message (scene.channel, segments, &error));
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_autofree char *text = scene_receive (scene.peer);

      g_assert_cmpstr (text, ==, expected[i]);
    }
  g_assert_cmpuint (usock_channel_get_messages_written (scene.channel), ==, 5);
  g_assert_cmpuint (usock_channel_get_bytes_written (scene.channel), ==, 4 + 5 + 4 + 3 + 8);
  scene_stop (&scene);
}

static void
test_empty (UsockTest     *test,
            gconstpointer  unused)
{
  Scene scene;
  char buffer[8];

  scene_start (&scene, test, "error close");
  usock_test_no_error (usock_channel_send (scene.channel, NULL, 0, &error));
  usock_test_no_error (usock_channel_send_text (scene.channel, "", &error));
  usock_test_no_error (usock_channel_send_text (scene.channel, "x", &error));
  g_assert_cmpint (recv (scene.peer, buffer, sizeof buffer, 0), ==, 0);
  g_assert_cmpint (recv (scene.peer, buffer, sizeof buffer, 0), ==, 0);
  g_assert_cmpint (recv (scene.peer, buffer, sizeof buffer, 0), ==, 1);
  scene_stop (&scene);
}

static void
test_many_segments (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("");
  g_autofree char *text = NULL;

  scene_start (&scene, test, "error close");
  for (guint i = 0; i < 500; i++)
    {
      g_autoptr (GBytes) bytes = g_bytes_new (i % 2 == 0 ? "a" : "b", 1);

      usock_message_append_bytes (message, bytes);
    }
  usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));
  text = scene_receive (scene.peer);
  g_assert_cmpuint (strlen (text), ==, 500);
  g_assert_true (g_str_has_prefix (text, "ababab"));
  scene_stop (&scene);
}

static void
test_messages (UsockTest     *test,
               gconstpointer  unused)
{
  Scene scene;
  UsockMessage *messages[200];
  guint n_read = 0;

  scene_start (&scene, test, "drain error close");
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      messages[i] = usock_message_new_from_text (text);
      if (i % 50 == 20)
        usock_test_no_error (usock_message_append_fd (messages[i], scene.peer, &error));
    }
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, NULL, 0, NULL), ==, 0);
  g_assert_cmpuint (
      usock_channel_send_messages (scene.channel, messages, G_N_ELEMENTS (messages), NULL), ==,
      G_N_ELEMENTS (messages));
  g_assert_cmpuint (usock_channel_get_messages_written (scene.channel), ==,
                    G_N_ELEMENTS (messages));
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    {
      assert_frozen (messages[i]);
      usock_message_unref (messages[i]);
    }
  while (n_read < G_N_ELEMENTS (messages))
    {
      n_read = scene_read_numbers (&scene, n_read, 1);
      scene_settle ();
    }
  scene_stop (&scene);
}

static void
test_messages_until_full (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;
  UsockMessage *messages[1000];
  GError *failure = NULL;
  gsize n;

  scene_start (&scene, test, "error close");
  usock_channel_set_queue_limit (scene.channel, 10 * 300);
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      messages[i] = usock_message_new_from_text (text);
    }
  n = usock_channel_send_messages (scene.channel, messages, G_N_ELEMENTS (messages), &failure);
  g_assert_no_error (failure);
  g_assert_cmpuint (n, >, 10);
  g_assert_cmpuint (n, <, G_N_ELEMENTS (messages));
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, messages + n, 5, &failure), ==, 0);
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  for (guint i = 0; i < n; i++)
    {
      scene_read_numbers (&scene, i, 1);
      scene_settle ();
    }
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    usock_message_unref (messages[i]);
  scene_stop (&scene);
}

/* Too large, and just not. */

static void
test_sizes (UsockTest     *test,
            gconstpointer  unused)
{
  static const gsize sizes[] = { 1, 212960, 212961, 1000 * 1000, 4263616 };
  UsockChannel *sender, *receiver;
  Witness witness;
  guint8 *data = g_malloc (4263616);

  witness_init (&witness);
  scene_pair (&sender, &receiver);
  usock_channel_set_read_buffer_size (receiver, 4263616);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      sequence_fill (3, i, data, sizes[i]);
      usock_test_no_error (usock_channel_send (sender, data, sizes[i], &error));
      witness_receive (&witness, receiver, "a", NULL);
      usock_test_wait_until (witness.n_words == i + 1);
      g_assert_cmpuint (usock_channel_get_messages_read (receiver), ==, i + 1);
    }
  g_assert_cmpuint (usock_channel_get_bytes_read (receiver), ==,
                    usock_channel_get_bytes_written (sender));
  scene_close (sender);
  scene_close (receiver);
  witness_clear (&witness);
  g_free (data);
}

/* An empty message with one memory file, in which nobody can change anything. */
static void
assert_wrapped (int           fd,
                const guint8 *data,
                gsize         length)
{
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  g_autoptr (UsockHandle) handle = NULL;
  g_autoptr (UsockMessage) message = NULL;
  g_autoptr (GMappedFile) file = NULL;
  int copy = dup (fd), memfd;

  usock_test_no_error ((handle = usock_handle_new_from_fd (copy, &error)) != NULL);
  usock_test_no_error ((message = usock_handle_recvmsg (handle, 100, 0, 10000, &error)) != NULL);
  g_assert_cmpuint (usock_message_get_length (message), ==, 0);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 1);
  usock_test_no_error ((memfd = usock_message_take_fd (message, 0, &error)) != -1);
  g_assert_cmpint (fcntl (memfd, F_GET_SEALS) & seals, ==, seals);
  usock_test_no_error ((file = g_mapped_file_new_from_fd (memfd, FALSE, &error)) != NULL);
  g_assert_cmpmem (g_mapped_file_get_contents (file), g_mapped_file_get_length (file), data, length);
  close (memfd);
}

static void
test_memfd_fallback (UsockTest     *test,
                     gconstpointer  unused)
{
  const gsize length = 5000000;
  g_autofree guint8 *data = g_malloc0 (length);
  g_autoptr (UsockMessage) message = usock_message_new (data, length);
  UsockMessage *messages[] = { message, message };
  GError *failure = NULL;
  Scene scene;
  char *text;

  scene_start (&scene, test, "error close");
  g_object_set (scene.channel, "memfd-fallback", TRUE, NULL);
  g_assert_true (usock_channel_get_memfd_fallback (scene.channel));
  memset (data, 7, length);
  usock_test_no_error (usock_channel_send (scene.channel, data, length, &error));
  assert_wrapped (scene.peer, data, length);
  memset (data, 0, length);
  usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));
  assert_wrapped (scene.peer, data, length);
  for (guint n = 1; n <= G_N_ELEMENTS (messages); n++)
    {
      gsize accepted;

      usock_test_no_error (
          (accepted = usock_channel_send_messages (scene.channel, messages, n, &error)) > 0);
      g_assert_cmpuint (accepted, ==, n);
      for (guint i = 0; i < n; i++)
        assert_wrapped (scene.peer, data, length);
    }
  usock_test_no_error (usock_channel_post (scene.channel, message, &error));
  scene_settle ();
  assert_wrapped (scene.peer, data, length);

  /* What the kernel takes is as it was. */
  usock_test_no_error (usock_channel_send_text (scene.channel, "small", &error));
  text = scene_receive (scene.peer);
  g_assert_cmpstr (text, ==, "small");
  g_free (text);

  usock_channel_end (scene.channel);
  g_assert_false (usock_channel_send (scene.channel, data, length, &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  scene_stop (&scene);
}

/* What is in a memory file already is not copied into another. */
static void
test_memfd_as_it_is (UsockTest     *test,
                     gconstpointer  unused)
{
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  int fd = memfd_create ("test-channel-send", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_autoptr (UsockMessage) message = NULL, received = NULL;
  g_autoptr (UsockHandle) handle = NULL;
  struct stat own, other;
  Scene scene;
  int copy;

  g_assert_no_errno (ftruncate (fd, 5000000));
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, seals));
  g_assert_no_errno (fstat (fd, &own));
  usock_test_no_error (message = usock_message_new_from_memfd (fd, &error));
  scene_start (&scene, test, "error close");
  usock_channel_set_memfd_fallback (scene.channel, TRUE);
  usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));

  g_assert_no_errno (copy = dup (scene.peer));
  usock_test_no_error (handle = usock_handle_new_from_fd (copy, &error));
  usock_test_no_error (received = usock_handle_recvmsg (handle, 100, 0, 10000, &error));
  g_assert_cmpuint (usock_message_get_length (received), ==, 0);
  usock_test_no_error ((copy = usock_message_take_fd (received, 0, &error)) != -1);
  g_assert_no_errno (fstat (copy, &other));
  g_assert_cmpuint (own.st_ino, ==, other.st_ino);
  close (copy);
  close (fd);
  scene_stop (&scene);
}

static void
test_too_large (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;
  guint8 *data = g_malloc0 (4263617);
  g_autoptr (UsockMessage) message = usock_message_new (data, 4263617);
  GError *failure = NULL;
  guint n;

  scene_start (&scene, test, "error close");
  g_assert_false (usock_channel_send (scene.channel, data, 4263617, &failure));
  g_assert_nonnull (strstr (failure->message, "4263617"));
  assert_error_code (failure, G_IO_ERROR_MESSAGE_TOO_LARGE);
  g_assert_false (usock_channel_send_message (scene.channel, message, &failure));
  assert_error_code (failure, G_IO_ERROR_MESSAGE_TOO_LARGE);
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, &message, 1, &failure), ==, 0);
  assert_error_code (failure, G_IO_ERROR_MESSAGE_TOO_LARGE);
  usock_channel_send_message_async (
      scene.channel, message, NULL, witness_done,
      witness_call (&scene.witness, "large", usock_channel_send_message_finish));
  witness_expect (&scene.witness, "large:message-too-large");

  /* No different where it would have to wait. */
  n = scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "waits", &error));
  g_assert_false (usock_channel_send (scene.channel, data, 4263617, &failure));
  assert_error_code (failure, G_IO_ERROR_MESSAGE_TOO_LARGE);
  usock_channel_send_message_async (
      scene.channel, message, NULL, witness_done,
      witness_call (&scene.witness, "large", usock_channel_send_message_finish));
  witness_expect (&scene.witness, "large:message-too-large");
  scene_read_numbers (&scene, 0, n);
  g_free (data);
  scene_stop (&scene);
}

static void
test_large_one_among_many (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;
  UsockMessage *messages[64];
  guint8 *data = g_malloc0 (4263617);
  GError *failure = NULL;

  scene_start (&scene, test, "error close");
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    messages[i] = i == 17 ? usock_message_new (data, 4263617) : usock_message_new_from_text ("x");
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, messages, 64, &failure), ==, 17);
  g_assert_no_error (failure);
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, messages + 17, 47, &failure), ==,
                    0);
  assert_error_code (failure, G_IO_ERROR_MESSAGE_TOO_LARGE);
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, messages + 18, 46, NULL), ==, 46);
  for (guint i = 0; i < 63; i++)
    {
      g_autofree char *text = scene_receive (scene.peer);

      g_assert_cmpstr (text, ==, "x");
    }
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    usock_message_unref (messages[i]);
  g_free (data);
  scene_stop (&scene);
}

/* Backpressure. */

static void
test_queue_limit (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;
  guint n, n_clogged;
  guint64 written;

  scene_start (&scene, test, "drain error close");
  n_clogged = scene_clog (&scene);
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_channel_set_queue_limit (scene.channel, 4 * 257);
  for (n = 0; n < 4; n++)
    usock_test_no_error (usock_channel_send_text (scene.channel, "q", &error));
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 4 * 257);
  written = usock_channel_get_messages_written (scene.channel);
  g_assert_false (usock_channel_send_text (scene.channel, "r", &failure));
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 4 * 257);

  scene_read_numbers (&scene, 0, n_clogged);
  witness_expect (&scene.witness, "drain");
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);
  g_assert_cmpuint (usock_channel_get_messages_written (scene.channel), ==, written + 4);
  for (n = 0; n < 4; n++)
    {
      g_autofree char *text = scene_receive (scene.peer);

      g_assert_cmpstr (text, ==, "q");
    }
  g_assert_cmpint (recv (scene.peer, &n, sizeof n, MSG_DONTWAIT), ==, -1);
  scene_stop (&scene);
}

static void
test_queue_limit_zero (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;
  guint n;

  scene_start (&scene, test, "drain error close");
  usock_channel_set_queue_limit (scene.channel, 0);
  n = scene_fill (scene.channel, &failure);
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  g_assert_cmpuint (n, >, 10);
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);
  scene_settle ();
  witness_assert (&scene.witness, "");
  scene_read_numbers (&scene, 0, n);
  witness_expect (&scene.witness, "drain");
  usock_test_no_error (usock_channel_send_text (scene.channel, "again", &error));
  scene_stop (&scene);
}

static void
test_empty_queue_takes_any (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;
  char text[2001];
  GError *failure = NULL;

  memset (text, 'x', 2000);
  text[2000] = '\0';
  scene_start (&scene, test, "drain error close");
  scene_clog (&scene);
  usock_channel_set_queue_limit (scene.channel, 1);
  usock_test_no_error (usock_channel_send_text (scene.channel, text, &error));
  g_assert_false (usock_channel_send_text (scene.channel, "", &failure));
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  scene_stop (&scene);
}

static void
test_high_water_mark (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;
  guint n;

  scene_start (&scene, test, "drain error close");
  n = scene_clog (&scene);
  scene_read_numbers (&scene, 0, n);
  witness_expect (&scene.witness, "drain");

  /* Two below the mark: no drain. */
  usock_channel_set_high_water_mark (scene.channel, 2 * 257);
  for (guint rounds = 2; rounds <= 3; rounds++)
    {
      /* The limit is not reached, so nothing is refused. */
      n = 0;
      while (usock_channel_get_queued_bytes (scene.channel) < rounds * 257)
        {
          usock_test_no_error (usock_channel_send_text (scene.channel, "1", &error));
          n++;
        }
      for (; n > 0; n--)
        {
          g_free (scene_receive (scene.peer));
          scene_settle ();
        }
      witness_assert (&scene.witness, rounds == 2 ? "" : "drain");
    }
  scene_stop (&scene);
}

static void
resend_cb (UsockChannel *channel,
           guint        *n_sent)
{
  for (;; ++*n_sent)
    {
      g_autofree char *text = g_strdup_printf ("%u", *n_sent);

      if (!usock_channel_send_text (channel, text, NULL))
        return;
    }
}

static void
test_send_in_drain (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;
  guint n_sent, n_read = 0;

  scene_start (&scene, test, "error close");
  usock_channel_set_queue_limit (scene.channel, 1000);
  g_signal_connect (scene.channel, "drain", G_CALLBACK (resend_cb), &n_sent);
  n_sent = scene_fill (scene.channel, NULL);
  while (n_read < 5000)
    {
      n_read = scene_read_numbers (&scene, n_read, 1);
      scene_settle ();
    }
  scene_stop (&scene);
}

/* A peer that does not read. */

static void
test_send_timeout (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  usock_channel_set_send_timeout (scene.channel, 50);
  scene_clog (&scene);
  send_async (&scene, "a", NULL);
  flush_async (&scene, "b", NULL);
  witness_expect (&scene.witness, "a:timed-out b:timed-out error:timed-out close");
  scene_stop (&scene);
}

/* It counts from the change on. */
static void
test_send_timeout_is_set (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  usock_channel_set_send_timeout (scene.channel, 0);
  scene_clog (&scene);
  send_async (&scene, "a", NULL);
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_channel_set_send_timeout (scene.channel, 50);
  witness_expect (&scene.witness, "a:timed-out error:timed-out close");
  scene_stop (&scene);
}

static void
test_send_timeout_restarts (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;
  gint64 start, end;
  guint n_read = 0;

  /* Whenever the peer reads, the time begins anew: with many times the timeout in all, it is not
   * reached. */
  scene_start (&scene, test, "error close");
  usock_channel_set_send_timeout (scene.channel, 2000);
  scene_clog (&scene);
  start = g_get_monotonic_time ();
  end = start + 500 * 1000;
  usock_channel_set_send_timeout (scene.channel, 200);
  while (g_get_monotonic_time () < end)
    {
      while (usock_channel_get_queued_bytes (scene.channel) == 0)
        usock_test_no_error (usock_channel_send_text (scene.channel, "x", &error));
      for (guint i = 0; i < 250; i++, n_read++)
        if (recv (scene.peer, &start, sizeof start, MSG_DONTWAIT) < 0)
          break;
      scene_settle ();
    }
  witness_assert (&scene.witness, "");
  g_assert_cmpuint (n_read, >, 0);
  scene_stop (&scene);
}

static void
test_peer_reads_no_more (UsockTest     *test,
                         gconstpointer  signals)
{
  Scene scene;

  scene_start (&scene, test, signals);
  scene_clog (&scene);
  send_async (&scene, "a", NULL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "b", &error));
  scene_settle ();
  g_assert_no_errno (shutdown (scene.peer, SHUT_RD));
  witness_expect (&scene.witness, "a:broken-pipe error:broken-pipe close");
  scene_stop (&scene);
}

static void
test_peer_reads_no_more_async_only (UsockTest     *test,
                                    gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;

  /* Everybody who sent is told, so that the channel has nothing to report. */
  scene_start (&scene, test, "data error close");
  scene_clog (&scene);
  send_async (&scene, "a", NULL);
  send_async (&scene, "b", NULL);
  flush_async (&scene, "c", NULL);
  scene_settle ();
  g_assert_no_errno (shutdown (scene.peer, SHUT_RD));
  witness_expect (&scene.witness, "a:broken-pipe b:broken-pipe c:broken-pipe");
  g_assert_false (usock_channel_send_text (scene.channel, "d", &failure));
  assert_error_code (failure, G_IO_ERROR_BROKEN_PIPE);
  scene_send (scene.peer, "alive");
  witness_expect (&scene.witness, "data:alive");
  scene_stop (&scene);
}

static void
end_async (Scene        *scene,
           const char   *name,
           GCancellable *cancellable)
{
  usock_channel_end_async (scene->channel, cancellable, witness_done,
                           witness_call (&scene->witness, name, usock_channel_end_finish));
}

/* What was accepted is lost, though the other direction goes on: the end must not claim that
 * everything was sent. */
static void
test_end_after_loss (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  scene_send (scene.peer, "unheard");
  scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "lost", &error));
  end_async (&scene, "a", NULL);
  scene_settle ();
  g_assert_no_errno (shutdown (scene.peer, SHUT_RD));
  witness_expect (&scene.witness, "a:broken-pipe");
  end_async (&scene, "b", NULL);
  witness_expect (&scene.witness, "b:broken-pipe");
  witness_watch (&scene.witness, scene.channel, "data");
  witness_expect (&scene.witness, "data:unheard error:broken-pipe close");
  scene_stop (&scene);
}

static void
pause_at_end_cb (UsockChannel *channel,
                 gpointer      unused)
{
  usock_channel_pause (channel);
}

static void
test_loss_while_paused (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  g_signal_connect (scene.channel, "end", G_CALLBACK (pause_at_end_cb), NULL);
  scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "lost", &error));
  g_assert_no_errno (shutdown (scene.peer, SHUT_WR));
  witness_expect (&scene.witness, "end");
  g_assert_no_errno (shutdown (scene.peer, SHUT_RD));
  witness_expect (&scene.witness, "error:broken-pipe close");
  scene_stop (&scene);
}

static void
test_peer_closes_with_queue (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;
  guint n;

  scene_start (&scene, test, "data end error close");
  n = scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "lost", &error));
  send_async (&scene, "a", NULL);
  scene_read_numbers (&scene, 0, n / 2);
  scene_send (scene.peer, "last");
  close (usock_test_take (test, 1));
  witness_expect (&scene.witness, "data:last a:broken-pipe error:broken-pipe close");
  scene_stop (&scene);
}

/* Asynchronous sending. */

static void
test_async (UsockTest     *test,
            gconstpointer  unused)
{
  Scene scene;
  guint n;

  scene_start (&scene, test, "drain error close");
  send_async (&scene, "0", NULL);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "0:ok");
  scene_read_numbers (&scene, 0, 1);

  n = scene_clog (&scene);
  send_async (&scene, "a", NULL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "b", &error));
  flush_async (&scene, "c", NULL);
  send_async (&scene, "d", NULL);
  flush_async (&scene, "e", NULL);
  scene_settle ();
  witness_assert (&scene.witness, "");
  scene_read_numbers (&scene, 0, n);
  witness_expect (&scene.witness, "a:ok c:ok d:ok e:ok drain");
  scene_stop (&scene);
}

static gssize
send_now (Scene      *scene,
          const char *text)
{
  g_autoptr (GError) error = NULL;
  gssize result = usock_channel_send_now (scene->channel, (const guint8 *) text, strlen (text),
                                          &error);

  g_assert_no_error (error);
  return result;
}

static void
expect_text (Scene      *scene,
             const char *expected)
{
  g_autofree char *text = scene_receive (scene->peer);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_now (UsockTest     *test,
          gconstpointer  unused)
{
  Scene scene;
  guint n;

  scene_start (&scene, test, "error close");
  g_assert_cmpint (send_now (&scene, "now"), ==, 0);
  expect_text (&scene, "now");

  n = scene_clog (&scene);
  g_assert_cmpint (send_now (&scene, "never"), ==, -1);
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);
  scene_read_numbers (&scene, 0, n);
  g_assert_cmpint (send_now (&scene, "again"), ==, 0);
  expect_text (&scene, "again");
  scene_stop (&scene);
}

/* Neither what waits is overtaken, nor a call that has not been told yet. */
static void
test_now_overtakes_nothing (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;
  guint n;

  scene_start (&scene, test, "error close");
  send_async (&scene, "a", NULL);
  g_assert_cmpint (send_now (&scene, "never"), ==, -1);
  witness_expect (&scene.witness, "a:ok");
  expect_text (&scene, "a");

  n = scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "waits", &error));
  g_assert_cmpint (send_now (&scene, "never"), ==, -1);
  scene_read_numbers (&scene, 0, n);
  usock_test_wait_until (usock_channel_get_queued_bytes (scene.channel) == 0);
  g_assert_cmpint (send_now (&scene, "last"), ==, 0);
  expect_text (&scene, "waits");
  expect_text (&scene, "last");
  scene_stop (&scene);
}

static void
test_now_fails (UsockTest     *test,
                gconstpointer  unused)
{
  g_autoptr (GError) too_large = NULL;
  g_autoptr (GError) closed = NULL;
  g_autofree guint8 *data = g_malloc0 (8 * 1024 * 1024);
  Scene scene;

  scene_start (&scene, test, "");
  g_assert_cmpint (usock_channel_send_now (scene.channel, data, 8 * 1024 * 1024, &too_large), ==,
                   -1);
  g_assert_error (too_large, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
  usock_socket_close (USOCK_SOCKET (scene.channel));
  g_assert_cmpint (usock_channel_send_now (scene.channel, data, 1, &closed), ==, -1);
  g_assert_error (closed, G_IO_ERROR, G_IO_ERROR_CLOSED);
  scene_stop (&scene);
}

static void
test_async_beyond_limit (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;
  guint n;

  scene_start (&scene, test, "error close");
  n = scene_clog (&scene);
  usock_channel_set_queue_limit (scene.channel, 0);
  for (guint i = 0; i < 1000; i++)
    send_async (&scene, "a", NULL);
  scene_read_numbers (&scene, 0, n);
  for (guint i = 0; i < 1000; i++)
    {
      usock_test_wait_until (scene.witness.n_words > i);
      g_free (scene_receive (scene.peer));
    }
  scene_stop (&scene);
}

static void
test_flush_nothing (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  flush_async (&scene, "a", NULL);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "a:ok");
  scene_stop (&scene);
}

static void
test_flush_when_closed (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "error close");
  scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "lost", &error));
  usock_socket_close (USOCK_SOCKET (scene.channel));
  flush_async (&scene, "a", NULL);
  witness_expect (&scene.witness, "a:closed close");
  flush_async (&scene, "b", NULL);
  witness_expect (&scene.witness, "b:closed");
  scene_stop (&scene);
}

static void
test_close_fails_waiting (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "error close");
  scene_clog (&scene);
  send_async (&scene, "a", NULL);
  flush_async (&scene, "b", NULL);
  end_async (&scene, "c", NULL);
  witness_receive (&scene.witness, scene.channel, "d", NULL);
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "a:closed b:closed c:closed d:closed close");
  scene_stop (&scene);
}

static void
test_close_flushes_once (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;
  guint n;

  scene_start (&scene, test, "error close");
  n = scene_clog (&scene);
  send_async (&scene, "a", NULL);
  scene_read_numbers (&scene, 0, n);
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_expect (&scene.witness, "a:ok close");
  g_free (scene_receive (scene.peer));
  g_assert_null (scene_receive (scene.peer));
  scene_stop (&scene);
}

/* Cancelling. */

static void
test_cancelled_before (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *text = NULL;

  scene_start (&scene, test, "error close");
  g_cancellable_cancel (cancellable);
  send_async (&scene, "a", cancellable);
  send_async (&scene, "b", NULL);
  witness_expect (&scene.witness, "a:cancelled b:ok");
  text = scene_receive (scene.peer);
  g_assert_cmpstr (text, ==, "b");
  scene_stop (&scene);
}

/* What has left is not called back. */
static void
test_cancelled_behind (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  scene_start (&scene, test, "error close");
  send_async (&scene, "a", cancellable);
  g_cancellable_cancel (cancellable);
  witness_expect (&scene.witness, "a:ok");
  scene_settle ();
  witness_assert (&scene.witness, "");
  scene_stop (&scene);
}

static void
test_cancelled_while_waiting (UsockTest     *test,
                              gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;
  guint n;

  scene_start (&scene, test, "error close");
  n = scene_clog (&scene);
  send_async (&scene, "a", NULL);
  send_async (&scene, "b", cancellable);
  flush_async (&scene, "c", cancellable);
  flush_async (&scene, "d", NULL);
  send_async (&scene, "e", NULL);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  witness_expect (&scene.witness, "b:cancelled c:cancelled");
  scene_read_numbers (&scene, 0, n);
  witness_expect (&scene.witness, "a:ok d:ok e:ok");
  first = scene_receive (scene.peer);
  second = scene_receive (scene.peer);
  g_assert_cmpstr (first, ==, "a");
  g_assert_cmpstr (second, ==, "e");
  g_cancellable_cancel (cancellable);
  scene_stop (&scene);
}

/* What the flush waits for goes away: it need not wait for the kernel. */
static void
test_cancelled_before_flush (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  scene_start (&scene, test, "error close");
  usock_channel_set_send_timeout (scene.channel, 0);
  scene_clog (&scene);
  send_async (&scene, "a", cancellable);
  flush_async (&scene, "b", NULL);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  scene_settle ();
  witness_assert (&scene.witness, "a:cancelled b:ok");
  scene_stop (&scene);
}

static void
test_cancelled_with_fds (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("a");
  GError *failure = NULL;
  int fd;

  scene_start (&scene, test, "error close");
  usock_test_no_error (usock_message_append_fd (message, scene.peer, &error));
  scene_clog (&scene);
  usock_channel_send_message_async (
      scene.channel, message, cancellable, witness_done,
      witness_call (&scene.witness, "a", usock_channel_send_message_finish));
  scene_settle ();
  g_assert_cmpint (usock_message_take_fd (message, 0, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_BUSY);
  g_cancellable_cancel (cancellable);
  witness_expect (&scene.witness, "a:cancelled");
  fd = usock_message_take_fd (message, 0, &failure);
  g_assert_no_error (failure);
  close (fd);
  scene_stop (&scene);
}

/* Only of messages that were cut off it is not known which the peer has had. */
static void
test_messages_and_gone (UsockTest     *test,
                        gconstpointer  unused)
{
  g_autoptr (UsockMessage) first = usock_message_new_from_text ("a");
  g_autoptr (UsockMessage) second = usock_message_new_from_text ("b");
  UsockMessage *messages[] = { first, second };
  GError *failure = NULL;
  Scene scene;

  scene_start (&scene, test, "error close");
  usock_test_no_error (usock_channel_send_messages (scene.channel, messages, 2, &error));
  for (guint i = 0; i < 2; i++)
    g_free (scene_receive (scene.peer));
  close (usock_test_take (test, 1));
  g_assert_false (usock_channel_send_text (scene.channel, "c", &failure));
  assert_error_code (failure, G_IO_ERROR_BROKEN_PIPE);
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, EPIPE);
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

  scene_start (&scene, test, "error close");
  scene_clog (&scene);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      GThread *thread = g_thread_new ("cancel", cancel_thread, cancellable);

      send_async (&scene, "a", cancellable);
      usock_test_wait_until (scene.witness.n_words == 1);
      witness_assert (&scene.witness, "a:cancelled");
      g_thread_join (thread);
    }
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);
  scene_stop (&scene);
}

/* Half of ten thousand. */
static void
test_cancelled_half (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  guint n_clogged, next = 1;

  scene_start (&scene, test, "error close");
  usock_channel_set_queue_limit (scene.channel, 100 * 1024 * 1024);
  n_clogged = scene_clog (&scene);
  for (guint i = 0; i < 10 * 1000; i++)
    {
      g_autofree char *name = g_strdup_printf ("%u", i);

      send_async (&scene, name, i % 2 == 0 ? cancellable : NULL);
    }
  g_cancellable_cancel (cancellable);
  usock_test_wait_until (scene.witness.n_words == 5000);
  scene_read_numbers (&scene, 0, n_clogged);
  for (; next < 10 * 1000; next += 2)
    {
      g_autofree char *expected = g_strdup_printf ("%u", next);
      g_autofree char *text = NULL;

      scene_settle ();
      text = scene_receive (scene.peer);
      g_assert_cmpstr (text, ==, expected);
    }
  usock_test_wait_until (scene.witness.n_words == 10 * 1000);
  scene_stop (&scene);
}

/* Where nothing can be sent. */

static void
test_not_connected (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene = { 0 };
  GError *failure = NULL;

  witness_init (&scene.witness);
  scene.channel = USOCK_CHANNEL (usock_seqpacket_new ());
  g_assert_false (usock_channel_send_text (scene.channel, "a", &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
  send_async (&scene, "a", NULL);
  end_async (&scene, "b", NULL);
  usock_channel_end (scene.channel);
  witness_expect (&scene.witness, "a:not-connected b:not-connected");
  scene_stop (&scene);
}

static void
test_after_end (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("a");
  GError *failure = NULL;

  scene_start (&scene, test, "error close");
  usock_channel_end (scene.channel);
  usock_channel_end (scene.channel);
  g_assert_false (usock_channel_send_text (scene.channel, "a", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  g_assert_cmpuint (usock_channel_send_messages (scene.channel, &message, 1, &failure), ==, 0);
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  send_async (&scene, "a", NULL);
  end_async (&scene, "b", NULL);
  witness_expect (&scene.witness, "a:closed b:ok");
  usock_socket_close (USOCK_SOCKET (scene.channel));
  g_assert_false (usock_channel_send_text (scene.channel, "a", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  witness_expect (&scene.witness, "close");
  scene_stop (&scene);
}

static void
test_closed_peer (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;

  scene_start (&scene, test, "end error close");
  close (usock_test_take (test, 1));
  g_assert_false (usock_channel_send_text (scene.channel, "a", &failure));
  g_assert_nonnull (strstr (failure->message, "Could not send"));
  assert_error_code (failure, G_IO_ERROR_BROKEN_PIPE);
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

static void
test_bad_fds (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  int fds[254];
  GError *failure = NULL;

  scene_start (&scene, test, "error close");
  fds[0] = -1;
  g_assert_false (usock_channel_send_with_fds (scene.channel, NULL, 0, fds, 1, &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = scene.peer;
  g_assert_false (usock_channel_send_with_fds (scene.channel, NULL, 0, fds, 254, &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  usock_test_no_error (
      usock_channel_send_with_fds (scene.channel, (const guint8 *) "x", 1, fds, 253, &error));
  usock_test_no_error (usock_channel_send_text (scene.channel, "still", &error));
  g_free (scene_receive (scene.peer));
  scene_stop (&scene);
}

static void
test_queued_fds_are_released (UsockTest     *test,
                              gconstpointer  unused)
{
  Scene scene;
  int copy;

  /* The message keeps a descriptor of its own: the caller's may go. */
  scene_start (&scene, test, "error close");
  scene_clog (&scene);
  copy = fcntl (scene.peer, F_DUPFD_CLOEXEC, 3);
  for (guint i = 0; i < 10; i++)
    usock_test_no_error (
        usock_channel_send_with_fds (scene.channel, (const guint8 *) "x", 1, &copy, 1, &error));
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 10 * (1 + 2 * 256));
  close (copy);
  scene_stop (&scene);
}

static void
test_claimed_credentials (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("true");
  g_autoptr (GCredentials) credentials = g_credentials_new ();
  g_autofree char *text = NULL;

  scene_start (&scene, test, "error close");
  usock_message_set_credentials (message, credentials);
  usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));
  text = scene_receive (scene.peer);
  g_assert_cmpstr (text, ==, "true");
  scene_stop (&scene);
}

/* Who may claim to be somebody else is. */
static void
test_claimed_by_root (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("claimed");
  g_autoptr (UsockMessage) received = NULL;
  g_autoptr (GCredentials) credentials = g_credentials_new ();
  g_autoptr (UsockHandle) handle = NULL;
  int passes = TRUE;
  int copy;

  if (geteuid () != 0)
    {
      g_test_skip ("only root may claim to be somebody else");
      return;
    }

  scene_start (&scene, test, "error close");
  usock_test_no_error (g_credentials_set_unix_user (credentials, 12345, &error));
  usock_message_set_credentials (message, credentials);
  g_assert_no_errno (copy = dup (scene.peer));
  usock_test_no_error (handle = usock_handle_new_from_fd (copy, &error));
  g_assert_no_errno (setsockopt (scene.peer, SOL_SOCKET, SO_PASSCRED, &passes, sizeof passes));
  usock_test_no_error (usock_channel_send_message (scene.channel, message, &error));
  usock_test_no_error (received = usock_handle_recvmsg (handle, 100, 100, 10000, &error));
  g_assert_cmpuint (
      g_credentials_get_unix_user (usock_message_get_credentials (received), NULL), ==, 12345);
  scene_stop (&scene);
}

/* The peer that reads wakes nobody who has nothing to send. */
static void
test_room_wakes_nobody (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;
  guint n;

  scene_start (&scene, test, "drain error close");
  n = scene_clog (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "waits", &error));
  scene_read_numbers (&scene, 0, n);
  usock_test_wait_until (usock_channel_get_queued_bytes (scene.channel) == 0);
  scene_settle ();
  for (guint i = 0; i < 3; i++)
    {
      usock_test_no_error (usock_channel_send_text (scene.channel, "x", &error));
      scene_settle ();
      while (recv (scene.peer, &n, sizeof n, MSG_DONTWAIT) >= 0)
        ;
      g_assert_false (g_main_context_pending (test->context));
    }
  scene_stop (&scene);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/channel-send/" name, function)
#define add_with(name, data, function)                                                             \
  g_test_add ("/usock/channel-send/" name, UsockTest, data, usock_test_setup, function,            \
              usock_test_teardown)

  add ("forms", test_forms);
  add ("sent-is-frozen", test_sent_is_frozen);
  add ("empty", test_empty);
  add ("many-segments", test_many_segments);
  add ("messages", test_messages);
  add ("messages-until-full", test_messages_until_full);
  add ("sizes", test_sizes);
  add ("memfd-fallback", test_memfd_fallback);
  add ("claimed-by-root", test_claimed_by_root);
  add ("room-wakes-nobody", test_room_wakes_nobody);
  add ("memfd-as-it-is", test_memfd_as_it_is);
  add ("too-large", test_too_large);
  add ("large-one-among-many", test_large_one_among_many);
  add ("queue-limit", test_queue_limit);
  add ("queue-limit-zero", test_queue_limit_zero);
  add ("empty-queue-takes-any", test_empty_queue_takes_any);
  add ("high-water-mark", test_high_water_mark);
  add ("send-in-drain", test_send_in_drain);
  add ("send-timeout", test_send_timeout);
  add ("send-timeout-restarts", test_send_timeout_restarts);
  add_with ("peer-reads-no-more", "data error close", test_peer_reads_no_more);
  add_with ("peer-reads-no-more-unheard", "error close", test_peer_reads_no_more);
  add ("peer-reads-no-more-async-only", test_peer_reads_no_more_async_only);
  add ("end-after-loss", test_end_after_loss);
  add ("loss-while-paused", test_loss_while_paused);
  add ("peer-closes-with-queue", test_peer_closes_with_queue);
  add ("async", test_async);
  add ("now", test_now);
  add ("now-overtakes-nothing", test_now_overtakes_nothing);
  add ("now-fails", test_now_fails);
  add ("async-beyond-limit", test_async_beyond_limit);
  add ("flush-nothing", test_flush_nothing);
  add ("flush-when-closed", test_flush_when_closed);
  add ("close-fails-waiting", test_close_fails_waiting);
  add ("close-flushes-once", test_close_flushes_once);
  add ("cancelled-before", test_cancelled_before);
  add ("cancelled-behind", test_cancelled_behind);
  add ("cancelled-while-waiting", test_cancelled_while_waiting);
  add ("cancelled-before-flush", test_cancelled_before_flush);
  add ("cancelled-with-fds", test_cancelled_with_fds);
  add ("send-timeout-is-set", test_send_timeout_is_set);
  add ("messages-and-gone", test_messages_and_gone);
  add ("cancelled-from-thread", test_cancelled_from_thread);
  add ("cancelled-half", test_cancelled_half);
  add ("not-connected", test_not_connected);
  add ("after-end", test_after_end);
  add ("closed-peer", test_closed_peer);
  add ("bad-fds", test_bad_fds);
  add ("queued-fds-are-released", test_queued_fds_are_released);
  add ("claimed-credentials", test_claimed_credentials);

  return g_test_run ();
}
