/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Views where the system answers otherwise than it mostly does. */

#include "witness.h"

#include <errno.h>
#include <string.h>

#include "usock-io-private.h"

typedef struct
{
  UsockStream *ends[2];
  GInputStream *input;   /* of the second */
  GOutputStream *output; /* of the first */
} Scene;

static void
scene_init (Scene *self)
{
  GIOStream *views[2];

  usock_test_no_error (usock_stream_new_pair (&self->ends[0], &self->ends[1], &error));
  for (guint i = 0; i < 2; i++)
    views[i] = usock_stream_create_io_stream (self->ends[i]);
  self->output = g_object_ref (g_io_stream_get_output_stream (views[0]));
  self->input = g_object_ref (g_io_stream_get_input_stream (views[1]));
  for (guint i = 0; i < 2; i++)
    g_object_unref (views[i]);
}

static void
scene_clear (Scene *self)
{
  usock_io_fault_clear ();
  g_object_unref (self->input);
  g_object_unref (self->output);
  for (guint i = 0; i < 2; i++)
    {
      usock_socket_close (USOCK_SOCKET (self->ends[i]));
      usock_test_wait_until (G_OBJECT (self->ends[i])->ref_count == 1);
      g_object_unref (self->ends[i]);
    }
}

static void
read_text (Scene      *self,
           const char *expected)
{
  char buffer[16];
  gssize n;

  usock_test_no_error (
      (n = g_input_stream_read (self->input, buffer, sizeof buffer, NULL, &error)) >= 0);
  g_assert_cmpmem (buffer, n, expected, strlen (expected));
}

static void
write_text (Scene      *self,
            const char *text)
{
  usock_test_no_error (
      g_output_stream_write_all (self->output, text, strlen (text), NULL, NULL, &error));
}

typedef struct
{
  char buffer[16];
  gssize count;
  GError *error;
  gboolean done;
} Answer;

static void
read_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Answer *answer = data;

  answer->count = g_input_stream_read_finish (G_INPUT_STREAM (source), result, &answer->error);
  answer->done = TRUE;
}

/* No event tells when there is memory again; who blocks looks by itself. */
static void
test_without_memory (UsockTest     *test,
                     gconstpointer  unused)
{
  static const int errors[] = { ENOMEM, ENOBUFS };
  Scene scene;

  scene_init (&scene);
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      Answer answer = { 0 };

      usock_io_fault_add (USOCK_IO_SEND, errors[i], 1, 0);
      usock_io_fault_add (USOCK_IO_RECEIVE, errors[i], 1, 0);
      write_text (&scene, "hello");
      g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (scene.ends[0])), ==, 0);
      read_text (&scene, "hello");

      usock_io_fault_add (USOCK_IO_RECEIVE, errors[i], 1, 0);
      write_text (&scene, "again");
      g_input_stream_read_async (scene.input, answer.buffer, sizeof answer.buffer, 0, NULL, read_cb,
                                 &answer);
      usock_test_wait_until (answer.done);
      g_assert_no_error (answer.error);
      g_assert_cmpmem (answer.buffer, answer.count, "again", 5);
    }
  scene_clear (&scene);
}

static gboolean
ready_cb (GObject  *stream,
          gpointer  data)
{
  return ++*(guint *) data, G_SOURCE_CONTINUE;
}

/* A source must wait as well, and come back. */
static void
test_poll_without_memory (UsockTest     *test,
                          gconstpointer  unused)
{
  GPollableInputStream *input;
  g_autoptr (GSource) source = NULL;
  GError *failure = NULL;
  guint n_ready = 0;
  char byte;
  Scene scene;

  scene_init (&scene);
  input = G_POLLABLE_INPUT_STREAM (scene.input);
  source = g_pollable_input_stream_create_source (input, NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (ready_cb), &n_ready, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  write_text (&scene, "x");
  usock_test_wait_until (n_ready > 0);

  usock_io_fault_add (USOCK_IO_RECEIVE, ENOMEM, 1, 0);
  g_assert_cmpint (g_pollable_input_stream_read_nonblocking (input, &byte, 1, NULL, &failure), ==,
                   -1);
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  n_ready = 0;
  usock_test_wait_until (n_ready > 0);
  read_text (&scene, "x");
  g_source_destroy (source);
  g_clear_pointer (&source, g_source_unref);
  scene_clear (&scene);
}

/* Whatever the pieces are, and whoever is interrupted. */
static void
test_short (UsockTest     *test,
            gconstpointer  unused)
{
  g_autofree guint8 *data = g_malloc (100000);
  gsize sent = 0, received = 0;
  Scene scene;

  for (gsize i = 0; i < 100000; i++)
    data[i] = i * 2654435761u >> 24;
  scene_init (&scene);
  usock_io_fault_add (USOCK_IO_SEND, USOCK_IO_SHORT, 1, 1);
  usock_io_fault_add (USOCK_IO_RECEIVE, USOCK_IO_SHORT, 1, 1);
  while (received < 100000)
    {
      guint8 buffer[777];
      gssize n;

      if (sent == received)
        {
          usock_test_no_error (
              (n = g_output_stream_write (scene.output, data + sent, MIN (5000, 100000 - sent),
                                          NULL, &error)) > 0);
          sent += n;
        }
      usock_test_no_error (
          (n = g_input_stream_read (scene.input, buffer, sizeof buffer, NULL, &error)) > 0);
      g_assert_cmpmem (buffer, n, data + received, n);
      received += n;
    }
  scene_clear (&scene);
}

/* A write that was accepted and then fails is told of by the next call. */
static void
test_broken (UsockTest     *test,
             gconstpointer  unused)
{
  GError *failure = NULL;
  Scene scene;

  scene_init (&scene);
  usock_stream_cork (scene.ends[0]);
  write_text (&scene, "lost");
  usock_io_fault_add (USOCK_IO_SEND, EPIPE, 1, 1);
  usock_stream_uncork (scene.ends[0]);
  g_assert_false (g_output_stream_flush (scene.output, NULL, &failure));
  assert_error_code (failure, G_IO_ERROR_BROKEN_PIPE);
  g_assert_cmpint (g_output_stream_write (scene.output, "x", 1, NULL, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_BROKEN_PIPE);
  scene_clear (&scene);
}

static void
test_receive_fails (UsockTest     *test,
                    gconstpointer  unused)
{
  GError *failure = NULL;
  Answer answer = { 0 };
  Scene scene;

  scene_init (&scene);
  usock_io_fault_add (USOCK_IO_RECEIVE, EIO, 1, 1);
  g_assert_cmpint (g_input_stream_read (scene.input, answer.buffer, 1, NULL, &failure), ==, -1);
  assert_error_code (failure, g_io_error_from_errno (EIO));
  g_input_stream_read_async (scene.input, answer.buffer, 1, 0, NULL, read_cb, &answer);
  usock_test_wait_until (answer.done);
  assert_error_code (answer.error, g_io_error_from_errno (EIO));
  scene_clear (&scene);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  /* GIO starts its worker thread with the first task, and keeps what that has open. */
  g_object_unref (g_task_new (NULL, NULL, NULL, NULL));

  usock_test_add ("/usock/stream-io-faults/without-memory", test_without_memory);
  usock_test_add ("/usock/stream-io-faults/poll-without-memory", test_poll_without_memory);
  usock_test_add ("/usock/stream-io-faults/short", test_short);
  usock_test_add ("/usock/stream-io-faults/broken", test_broken);
  usock_test_add ("/usock/stream-io-faults/receive-fails", test_receive_fails);

  return g_test_run ();
}
