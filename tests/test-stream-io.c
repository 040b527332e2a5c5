/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEBIBYTE (1024 * 1024)

/* A stream with its view, and a peer that knows nothing of usock. */
typedef struct
{
  UsockStream *stream;
  UsockChannel *channel;
  GIOStream *view;
  GInputStream *input;
  GOutputStream *output;
  int peer;
} Scene;

static void
scene_init (Scene *self)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  self->peer = fds[1];
  self->stream = usock_stream_new_from_fd (fds[0], NULL);
  g_assert_nonnull (self->stream);
  self->channel = USOCK_CHANNEL (self->stream);
  self->view = usock_stream_create_io_stream (self->stream);
  self->input = g_io_stream_get_input_stream (self->view);
  self->output = g_io_stream_get_output_stream (self->view);
}

static void
scene_hang_up (Scene *self)
{
  if (self->peer != -1)
    close (self->peer);
  self->peer = -1;
}

static void
scene_clear (Scene *self)
{
  scene_hang_up (self);
  g_clear_object (&self->view);
  usock_socket_close (USOCK_SOCKET (self->stream));
  usock_test_wait_until (G_OBJECT (self->stream)->ref_count == 1);
  g_clear_object (&self->stream);
}

static void
peer_write (Scene      *self,
            const char *text)
{
  g_assert_cmpint (write (self->peer, text, strlen (text)), ==, strlen (text));
}

static void
assert_peer_reads (Scene      *self,
                   const char *expected)
{
  char buffer[256];
  gssize n = read (self->peer, buffer, sizeof buffer);

  g_assert_cmpmem (buffer, n, expected, strlen (expected));
}

static void
assert_reads (Scene      *self,
              gsize       count,
              const char *expected)
{
  char buffer[256];
  gssize n;

  usock_test_no_error ((n = g_input_stream_read (self->input, buffer, count, NULL, &error)) >= 0);
  g_assert_cmpmem (buffer, n, expected, strlen (expected));
}

static void
assert_read_fails (Scene        *self,
                   GIOErrorEnum  code)
{
  GError *failure = NULL;
  char buffer[16];

  g_assert_cmpint (g_input_stream_read (self->input, buffer, sizeof buffer, NULL, &failure), ==,
                   -1);
  assert_error_code (failure, code);
}

static void
assert_would_block (Scene *self)
{
  GPollableInputStream *input = G_POLLABLE_INPUT_STREAM (self->input);
  GError *failure = NULL;
  char buffer[16];

  g_assert_false (g_pollable_input_stream_is_readable (input));
  g_assert_cmpint (g_pollable_input_stream_read_nonblocking (input, buffer, sizeof buffer, NULL,
                                                             &failure),
                   ==, -1);
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
}

static void
settle (void)
{
  while (g_main_context_iteration (g_main_context_get_thread_default (), FALSE))
    ;
}

typedef struct
{
  char *line;
  gssize count;
  GError *error;
  gboolean done;
} Answer;

static void
line_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Answer *answer = data;

  answer->line = g_data_input_stream_read_line_finish_utf8 (G_DATA_INPUT_STREAM (source), result,
                                                            NULL, &answer->error);
  answer->done = TRUE;
}

static void
read_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Answer *answer = data;

  answer->count = g_input_stream_read_finish (G_INPUT_STREAM (source), result, &answer->error);
  answer->done = TRUE;
}

static void
splice_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Answer *answer = data;

  answer->count = g_output_stream_splice_finish (G_OUTPUT_STREAM (source), result, &answer->error);
  answer->done = TRUE;
}

static void
close_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      data)
{
  Answer *answer = data;

  g_io_stream_close_finish (G_IO_STREAM (source), result, &answer->error);
  answer->done = TRUE;
}

static void
test_lines (UsockTest     *test,
            gconstpointer  unused)
{
  g_autoptr (GDataInputStream) lines = NULL;
  Answer answer = { 0 };
  Scene scene;

  scene_init (&scene);
  lines = g_data_input_stream_new (scene.input);
  g_filter_input_stream_set_close_base_stream (G_FILTER_INPUT_STREAM (lines), FALSE);
  peer_write (&scene, "one\ntwo\nthr");
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *line = g_data_input_stream_read_line (lines, NULL, NULL, NULL);

      g_assert_cmpstr (line, ==, i == 0 ? "one" : "two");
    }
  g_data_input_stream_read_line_async (lines, 0, NULL, line_cb, &answer);
  settle ();
  peer_write (&scene, "ee\n");
  usock_test_wait_until (answer.done);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (answer.line, ==, "three");
  g_free (answer.line);

  scene_hang_up (&scene);
  answer = (Answer) { 0 };
  g_data_input_stream_read_line_async (lines, 0, NULL, line_cb, &answer);
  usock_test_wait_until (answer.done);
  g_assert_no_error (answer.error);
  g_assert_null (answer.line);
  g_clear_object (&lines);
  scene_clear (&scene);
}

/* Whoever asks gets what comes next, however the one before asked. */
static void
test_mixed (UsockTest     *test,
            gconstpointer  unused)
{
  Witness witness;
  Scene scene;

  scene_init (&scene);
  witness_init (&witness);
  peer_write (&scene, "abcdefghijklmnop");
  assert_reads (&scene, 3, "abc");
  witness_receive (&witness, scene.channel, "receive", NULL);
  assert_read_fails (&scene, G_IO_ERROR_PENDING);
  assert_would_block (&scene);
  witness_expect (&witness, "receive:defghijklmnop");

  peer_write (&scene, "0123456789");
  assert_reads (&scene, 4, "0123");
  assert_reads (&scene, 2, "45");
  witness_watch (&witness, scene.stream, "data end close");
  witness_expect (&witness, "data:6789");
  peer_write (&scene, "more");
  witness_expect (&witness, "data:more");
  scene_hang_up (&scene);
  witness_expect (&witness, "end close");
  assert_reads (&scene, 4, "");
  scene_clear (&scene);
  witness_clear (&witness);
}

/* Asynchronous reads stand in the same line as those who receive. */
static void
test_line_of_receivers (UsockTest     *test,
                        gconstpointer  unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Answer answer = { 0 };
  char buffer[3];
  Witness witness;
  Scene scene;

  scene_init (&scene);
  witness_init (&witness);
  witness_watch (&witness, scene.stream, "data");
  g_input_stream_read_async (scene.input, buffer, sizeof buffer, 0, NULL, read_cb, &answer);
  witness_receive (&witness, scene.channel, "receive", NULL);
  peer_write (&scene, "abcdef");
  usock_test_wait_until (answer.done);
  g_assert_no_error (answer.error);
  g_assert_cmpmem (buffer, answer.count, "abc", 3);
  witness_expect (&witness, "receive:def");

  answer = (Answer) { 0 };
  g_input_stream_read_async (scene.input, buffer, sizeof buffer, 0, cancellable, read_cb, &answer);
  settle ();
  g_cancellable_cancel (cancellable);
  peer_write (&scene, "kept");
  usock_test_wait_until (answer.done);
  assert_error_code (answer.error, G_IO_ERROR_CANCELLED);
  witness_expect (&witness, "data:kept");
  scene_clear (&scene);
  witness_clear (&witness);
}

static gboolean
count_ready_cb (GObject  *stream,
                gpointer  data)
{
  ++*(guint *) data;
  return G_SOURCE_CONTINUE;
}

static GSource *
watch_input (Scene *scene,
             guint *n_ready)
{
  GSource *source
      = g_pollable_input_stream_create_source (G_POLLABLE_INPUT_STREAM (scene->input), NULL);

  g_source_set_callback (source, G_SOURCE_FUNC (count_ready_cb), n_ready, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  return source;
}

static void
test_poll_input (UsockTest     *test,
                 gconstpointer  unused)
{
  guint n_ready = 0;
  GSource *source;
  Witness witness;
  Scene scene;

  scene_init (&scene);
  witness_init (&witness);
  source = watch_input (&scene, &n_ready);
  settle ();
  g_assert_cmpuint (n_ready, ==, 0);
  assert_would_block (&scene);

  peer_write (&scene, "abc");
  usock_test_wait_until (n_ready > 0);
  assert_reads (&scene, 2, "ab");
  n_ready = 0;
  usock_test_wait_until (n_ready > 0);
  assert_reads (&scene, 2, "c");
  n_ready = 0;
  settle ();
  g_assert_cmpuint (n_ready, ==, 0);

  /* What somebody else waits for is nothing for the view, and nothing to spin on. */
  usock_channel_pause (scene.channel);
  witness_receive (&witness, scene.channel, "receive", NULL);
  peer_write (&scene, "paused");
  settle ();
  g_assert_cmpuint (n_ready, ==, 0);
  usock_channel_resume (scene.channel);
  witness_expect (&witness, "receive:paused");

  scene_hang_up (&scene);
  usock_test_wait_until (n_ready > 0);
  assert_reads (&scene, 2, "");
  g_source_destroy (source);
  g_source_unref (source);
  scene_clear (&scene);
  witness_clear (&witness);
}

static gpointer
write_when_told_thread (gpointer data)
{
  Scene *scene = data;
  char byte;

  g_assert_cmpint (read (scene->peer, &byte, 1), ==, 1);
  g_assert_cmpint (write (scene->peer, "answer", 6), ==, 6);
  return NULL;
}

/* Neither of these iterates the main context. */
static void
test_blocking (UsockTest     *test,
               gconstpointer  unused)
{
  GThread *thread;
  Scene scene;

  scene_init (&scene);
  thread = g_thread_new ("peer", write_when_told_thread, &scene);
  usock_test_no_error (g_output_stream_write_all (scene.output, "?", 1, NULL, NULL, &error));
  assert_reads (&scene, 16, "answer");
  g_thread_join (thread);

  /* What was sent otherwise leaves while an answer is awaited. */
  thread = g_thread_new ("peer", write_when_told_thread, &scene);
  usock_stream_cork (scene.stream);
  usock_test_no_error (usock_channel_send_text (scene.channel, "?", &error));
  usock_stream_uncork (scene.stream);
  assert_reads (&scene, 16, "answer");
  g_thread_join (thread);
  scene_clear (&scene);
}

typedef struct
{
  GCancellable *cancellable;
  pid_t thread;
} Canceller;

/* Once the other thread sleeps. */
static gpointer
cancel_thread (gpointer data)
{
  Canceller *canceller = data;
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%d/stat", canceller->thread);
  char state = 'R';

  while (state != 'S')
    {
      g_autofree char *stat = NULL;

      g_assert_true (g_file_get_contents (path, &stat, NULL, NULL));
      state = strrchr (stat, ')')[2];
    }
  g_cancellable_cancel (canceller->cancellable);
  return NULL;
}

static void
test_cancel_blocking (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *much = g_malloc0 (16 * MEBIBYTE);
  GError *failure = NULL;
  Canceller canceller = { cancellable, gettid () };
  GThread *thread;
  gsize written;
  char byte;
  Scene scene;

  scene_init (&scene);
  thread = g_thread_new ("cancel", cancel_thread, &canceller);
  g_assert_cmpint (g_input_stream_read (scene.input, &byte, 1, cancellable, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);

  g_cancellable_reset (cancellable);
  thread = g_thread_new ("cancel", cancel_thread, &canceller);
  g_assert_false (g_output_stream_write_all (scene.output, much, 16 * MEBIBYTE, &written,
                                             cancellable, &failure));
  assert_error_code (failure, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (written, <, 16 * MEBIBYTE);
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), <, MEBIBYTE);
  g_thread_join (thread);
  scene_clear (&scene);
}

typedef struct
{
  int fd;
  GByteArray *got;
} Reader;

static gpointer
read_to_end_thread (gpointer data)
{
  Reader *reader = data;
  guint8 buffer[5000];
  gssize n;

  while ((n = read (reader->fd, buffer, sizeof buffer)) > 0)
    g_byte_array_append (reader->got, buffer, n);
  return NULL;
}

static GBytes *
make_pattern (gsize length)
{
  guint8 *data = g_malloc (length);

  for (gsize i = 0; i < length; i++)
    data[i] = i * 2654435761u >> 24;
  return g_bytes_new_take (data, length);
}

static void
assert_got (Reader *reader,
            GBytes *expected)
{
  gsize length;
  gconstpointer data = g_bytes_get_data (expected, &length);

  g_assert_cmpmem (reader->got->data, reader->got->len, data, length);
  g_byte_array_unref (reader->got);
}

static void
test_write_much (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autoptr (GBytes) pattern = make_pattern (8 * MEBIBYTE);
  Reader reader;
  GThread *thread;
  int smallest = 1;
  Scene scene;

  scene_init (&scene);
  g_assert_no_errno (setsockopt (usock_socket_get_fd (USOCK_SOCKET (scene.stream)), SOL_SOCKET,
                                 SO_SNDBUF, &smallest, sizeof smallest));
  reader = (Reader) { scene.peer, g_byte_array_new () };
  thread = g_thread_new ("peer", read_to_end_thread, &reader);
  usock_test_no_error (g_output_stream_write_all (scene.output, g_bytes_get_data (pattern, NULL),
                                                  g_bytes_get_size (pattern), NULL, NULL, &error));
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);
  usock_test_no_error (g_output_stream_close (scene.output, NULL, &error));
  g_thread_join (thread);
  assert_got (&reader, pattern);
  scene_clear (&scene);
}

static void
test_splice (UsockTest     *test,
             gconstpointer  unused)
{
  g_autoptr (GBytes) pattern = make_pattern (8 * MEBIBYTE);
  g_autoptr (GInputStream) from = g_memory_input_stream_new_from_bytes (pattern);
  g_autoptr (GOutputStream) to = g_memory_output_stream_new_resizable ();
  Answer sent = { 0 }, received = { 0 };
  g_autoptr (GBytes) got = NULL;
  g_autoptr (GIOStream) view = NULL;
  UsockStream *one, *other;
  Scene scene;

  usock_test_no_error (usock_stream_new_pair (&one, &other, &error));
  scene = (Scene) { other, USOCK_CHANNEL (other), usock_stream_create_io_stream (other) };
  scene.peer = -1;
  view = usock_stream_create_io_stream (one);
  g_output_stream_splice_async (g_io_stream_get_output_stream (view), from,
                                G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, 0, NULL, splice_cb, &sent);
  g_output_stream_splice_async (to, g_io_stream_get_input_stream (scene.view),
                                G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, 0, NULL, splice_cb, &received);
  usock_test_wait_until (sent.done && received.done);
  g_assert_no_error (sent.error);
  g_assert_no_error (received.error);
  got = g_memory_output_stream_steal_as_bytes (G_MEMORY_OUTPUT_STREAM (to));
  g_assert_true (g_bytes_equal (got, pattern));
  g_clear_object (&view);
  usock_test_wait_until (G_OBJECT (one)->ref_count == 1);
  g_object_unref (one);
  scene_clear (&scene);
}

/* A writer that polls fills the queue to the mark, and no further. Without a queue only trying
 * tells whether there is room. */
static gboolean
write_some_cb (GObject  *output,
               gpointer  data)
{
  GBytes **rest = data;
  gsize length;
  gconstpointer bytes = g_bytes_get_data (*rest, &length);
  g_autoptr (GBytes) before = NULL;
  GError *failure = NULL;
  gssize n;

  n = g_pollable_output_stream_write_nonblocking (G_POLLABLE_OUTPUT_STREAM (output), bytes, length,
                                                  NULL, &failure);
  if (n == -1)
    {
      assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
      return G_SOURCE_CONTINUE;
    }
  before = *rest;
  *rest = g_bytes_new_from_bytes (before, n, length - n);
  return (gsize) n < length;
}

static void
test_poll_output (UsockTest     *test,
                  gconstpointer  limit)
{
  g_autoptr (GBytes) pattern = make_pattern (4 * MEBIBYTE);
  GBytes *rest = g_bytes_ref (pattern);
  GPollableOutputStream *output;
  g_autoptr (GSource) source = NULL;
  GError *failure = NULL;
  Reader reader;
  GThread *thread;
  Scene scene;

  scene_init (&scene);
  output = G_POLLABLE_OUTPUT_STREAM (scene.output);
  if (limit != NULL)
    usock_channel_set_queue_limit (scene.channel, 0);
  source = g_pollable_output_stream_create_source (output, NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (write_some_cb), &rest, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  usock_test_wait_until (!g_pollable_output_stream_is_writable (output));
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), <,
                    usock_channel_get_high_water_mark (scene.channel) + 1024);
  g_assert_cmpint (g_pollable_output_stream_write_nonblocking (output, "x", 1, NULL, &failure), ==,
                   -1);
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);

  reader = (Reader) { scene.peer, g_byte_array_new () };
  thread = g_thread_new ("peer", read_to_end_thread, &reader);
  usock_test_wait_until (g_source_is_destroyed (source));
  usock_test_no_error (g_output_stream_close (scene.output, NULL, &error));
  g_thread_join (thread);
  assert_got (&reader, pattern);
  g_bytes_unref (rest);
  g_clear_pointer (&source, g_source_unref);
  scene_clear (&scene);
}

static void
send_fd (int         socket,
         const char *text,
         int         fd)
{
  union
  {
    struct cmsghdr align;
    char buffer[CMSG_SPACE (sizeof (int))];
  } control = { 0 };
  struct iovec iov = { (char *) text, strlen (text) };
  struct msghdr header = { NULL, 0, &iov, 1, &control, sizeof control, 0 };
  struct cmsghdr *record = CMSG_FIRSTHDR (&header);

  record->cmsg_level = SOL_SOCKET;
  record->cmsg_type = SCM_RIGHTS;
  record->cmsg_len = CMSG_LEN (sizeof fd);
  memcpy (CMSG_DATA (record), &fd, sizeof fd);
  g_assert_cmpint (sendmsg (socket, &header, 0), ==, (int) strlen (text));
}

static void
test_take_fds (UsockTest     *test,
               gconstpointer  unused)
{
  Answer answer = { 0 };
  gsize n_fds;
  int *fds;
  char buffer[16];
  Scene scene;

  scene_init (&scene);
  usock_channel_set_max_fds (scene.channel, 1);
  peer_write (&scene, "plain");
  assert_reads (&scene, 16, "plain");
  g_free (usock_stream_take_fds (scene.stream, &n_fds));
  g_assert_cmpuint (n_fds, ==, 0);

  send_fd (scene.peer, "one", 0);
  send_fd (scene.peer, "two", 1);
  assert_reads (&scene, 1, "o");
  fds = usock_stream_take_fds (scene.stream, &n_fds);
  g_assert_cmpuint (n_fds, ==, 1);
  close (fds[0]);
  g_free (fds);
  assert_reads (&scene, 16, "ne");
  g_input_stream_read_async (scene.input, buffer, sizeof buffer, 0, NULL, read_cb, &answer);
  usock_test_wait_until (answer.done);
  g_assert_cmpmem (buffer, answer.count, "two", 3);
  fds = usock_stream_take_fds (scene.stream, &n_fds);
  g_assert_cmpuint (n_fds, ==, 1);
  close (fds[0]);
  g_free (fds);
  scene_clear (&scene);
}

/* A peer must not be able to fill the table of a program that forgets to take them. */
static void
test_leave_fds (UsockTest     *test,
                gconstpointer  asynchronous)
{
  GError *failure = NULL;
  Answer answer = { 0 };
  char byte;
  Witness witness;
  Scene scene;

  scene_init (&scene);
  witness_init (&witness);
  witness_watch (&witness, scene.stream, "error close");
  usock_channel_set_max_fds (scene.channel, 1);
  for (guint i = 0; i < 253; i++)
    {
      send_fd (scene.peer, "x", 0);
      assert_reads (&scene, 1, "x");
    }
  send_fd (scene.peer, "xy", 0);
  if (asynchronous != NULL)
    {
      g_input_stream_read_async (scene.input, &byte, 1, 0, NULL, read_cb, &answer);
      usock_test_wait_until (answer.done);
      failure = answer.error;
    }
  else
    g_assert_cmpint (g_input_stream_read (scene.input, &byte, 1, NULL, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_MESSAGE_TOO_LARGE);
  witness_expect (&witness, "error:message-too-large close");
  scene_clear (&scene);
  witness_clear (&witness);
}

/* How many descriptors come with what. */
static guint
receive_fds (int         socket,
             const char *expected)
{
  union
  {
    struct cmsghdr align;
    char buffer[1024];
  } control = { 0 };
  char text[64];
  struct iovec iov = { text, sizeof text };
  struct msghdr header = { NULL, 0, &iov, 1, &control, sizeof control, 0 };
  struct cmsghdr *record;
  gssize n = recvmsg (socket, &header, 0);
  guint n_fds;

  g_assert_cmpmem (text, n, expected, strlen (expected));
  record = CMSG_FIRSTHDR (&header);
  if (record == NULL)
    return 0;

  n_fds = (record->cmsg_len - CMSG_LEN (0)) / sizeof (int);
  for (guint i = 0; i < n_fds; i++)
    close (((int *) CMSG_DATA (record))[i]);
  return n_fds;
}

static void
test_append_fd (UsockTest     *test,
                gconstpointer  unused)
{
  GPollableOutputStream *output;
  GError *failure = NULL;
  char byte;
  Scene scene;

  scene_init (&scene);
  output = G_POLLABLE_OUTPUT_STREAM (scene.output);
  g_assert_false (usock_stream_append_fd (scene.stream, -1, &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  usock_test_no_error (usock_stream_append_fd (scene.stream, 0, &error));
  usock_test_no_error (usock_stream_append_fd (scene.stream, 1, &error));
  usock_test_no_error (g_output_stream_write (scene.output, "two", 3, NULL, &error) == 3);
  usock_test_no_error (g_output_stream_write (scene.output, "none", 4, NULL, &error) == 4);
  g_assert_cmpuint (receive_fds (scene.peer, "two"), ==, 2);
  g_assert_cmpuint (receive_fds (scene.peer, "none"), ==, 0);

  /* One that is not accepted keeps them for the next. */
  usock_stream_cork (scene.stream);
  usock_channel_set_queue_limit (scene.channel, 1);
  usock_test_no_error (usock_channel_send_text (scene.channel, "!", &error));
  usock_test_no_error (usock_stream_append_fd (scene.stream, 0, &error));
  g_assert_cmpint (g_pollable_output_stream_write_nonblocking (output, "x", 1, NULL, &failure), ==,
                   -1);
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  usock_stream_uncork (scene.stream);
  g_assert_cmpuint (receive_fds (scene.peer, "!"), ==, 0);
  usock_test_no_error (g_output_stream_write (scene.output, "x", 1, NULL, &error) == 1);
  g_assert_cmpuint (receive_fds (scene.peer, "x"), ==, 1);

  /* Nor does one for which the kernel has no room, of which nobody knows yet. */
  usock_channel_set_queue_limit (scene.channel, 0);
  while (send (usock_socket_get_fd (USOCK_SOCKET (scene.stream)), "y", 1, MSG_DONTWAIT) == 1)
    ;
  usock_test_no_error (usock_stream_append_fd (scene.stream, 0, &error));
  g_assert_true (g_pollable_output_stream_is_writable (output));
  g_assert_cmpint (g_pollable_output_stream_write_nonblocking (output, "x", 1, NULL, &failure), ==,
                   -1);
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  while (recv (scene.peer, &byte, 1, MSG_DONTWAIT) == 1)
    ;
  usock_test_no_error (g_output_stream_write (scene.output, "x", 1, NULL, &error) == 1);
  g_assert_cmpuint (receive_fds (scene.peer, "x"), ==, 1);

  /* And nobody has to write at all. */
  usock_test_no_error (usock_stream_append_fd (scene.stream, 0, &error));
  scene_clear (&scene);
}

static void
test_close_output (UsockTest     *test,
                   gconstpointer  unused)
{
  Witness witness;
  Scene scene;

  scene_init (&scene);
  witness_init (&witness);
  witness_watch (&witness, scene.stream, "end close");
  usock_stream_cork (scene.stream);
  usock_test_no_error (g_output_stream_write (scene.output, "last", 4, NULL, &error) == 4);
  usock_test_no_error (g_output_stream_close (scene.output, NULL, &error));
  assert_peer_reads (&scene, "last");
  assert_peer_reads (&scene, "");
  peer_write (&scene, "still heard");
  assert_reads (&scene, 32, "still heard");
  scene_hang_up (&scene);
  witness_expect (&witness, "end close");
  scene_clear (&scene);
  witness_clear (&witness);
}

static void
test_close_view (UsockTest     *test,
                 gconstpointer  asynchronous)
{
  Answer answer = { 0 };
  GError *failure = NULL;
  Witness witness;
  Scene scene;

  scene_init (&scene);
  witness_init (&witness);
  witness_watch (&witness, scene.stream, "end error close");
  usock_stream_cork (scene.stream);
  usock_test_no_error (usock_channel_send_text (scene.channel, "last", &error));
  if (asynchronous != NULL)
    {
      g_io_stream_close_async (scene.view, 0, NULL, close_cb, &answer);
      usock_test_wait_until (answer.done);
      g_assert_no_error (answer.error);
    }
  else
    usock_test_no_error (g_io_stream_close (scene.view, NULL, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.stream)), ==, USOCK_STATE_CLOSED);
  assert_peer_reads (&scene, "last");
  assert_peer_reads (&scene, "");
  assert_read_fails (&scene, G_IO_ERROR_CLOSED);
  g_assert_cmpint (g_output_stream_write (scene.output, "x", 1, NULL, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  witness_expect (&witness, "close");
  scene_clear (&scene);
  witness_clear (&witness);
}

/* One of its streams that is closed, or a view that is dropped, leaves the stream as it was. */
static void
test_drop_view (UsockTest     *test,
                gconstpointer  unused)
{
  g_autoptr (GIOStream) other = NULL;
  Scene scene;

  scene_init (&scene);
  other = usock_stream_create_io_stream (scene.stream);
  g_input_stream_close (g_io_stream_get_input_stream (other), NULL, NULL);
  g_clear_object (&other);
  peer_write (&scene, "abc");
  assert_reads (&scene, 2, "ab");
  other = usock_stream_create_io_stream (scene.stream);
  g_clear_object (&scene.view);
  scene.input = g_io_stream_get_input_stream (other);
  scene.output = g_io_stream_get_output_stream (other);
  assert_reads (&scene, 2, "c");
  usock_test_no_error (g_output_stream_write (scene.output, "d", 1, NULL, &error) == 1);
  assert_peer_reads (&scene, "d");
  g_clear_object (&other);
  scene_clear (&scene);
}

static void
test_not_connected (UsockTest     *test,
                    gconstpointer  unused)
{
  g_autoptr (UsockStream) stream = usock_stream_new ();
  g_autoptr (GIOStream) view = usock_stream_create_io_stream (stream);
  Scene scene = { stream, USOCK_CHANNEL (stream), view, g_io_stream_get_input_stream (view),
                  g_io_stream_get_output_stream (view), -1 };
  Answer answer = { 0 };
  GError *failure = NULL;
  char byte;

  assert_read_fails (&scene, G_IO_ERROR_NOT_CONNECTED);
  g_assert_cmpint (g_output_stream_write (scene.output, "x", 1, NULL, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
  g_input_stream_read_async (scene.input, &byte, 1, 0, NULL, read_cb, &answer);
  usock_test_wait_until (answer.done);
  assert_error_code (answer.error, G_IO_ERROR_NOT_CONNECTED);
}

/* What came before a reset is read before it is told. */
static void
test_reset (UsockTest     *test,
            gconstpointer  asynchronous)
{
  Answer answer = { 0 };
  char buffer[16];
  Scene scene;

  scene_init (&scene);
  usock_test_no_error (usock_channel_send_text (scene.channel, "never read", &error));
  peer_write (&scene, "before");
  scene_hang_up (&scene);
  assert_reads (&scene, 16, "before");
  if (asynchronous != NULL)
    {
      g_input_stream_read_async (scene.input, buffer, sizeof buffer, 0, NULL, read_cb, &answer);
      usock_test_wait_until (answer.done);
      assert_error_code (answer.error, G_IO_ERROR_CONNECTION_CLOSED);
    }
  else
    assert_read_fails (&scene, G_IO_ERROR_CONNECTION_CLOSED);
  usock_test_wait_until (usock_socket_get_state (USOCK_SOCKET (scene.stream))
                         == USOCK_STATE_CLOSED);
  assert_read_fails (&scene, G_IO_ERROR_CONNECTION_CLOSED);
  scene_clear (&scene);
}

/* Who read all that a peer left behind, but not its end, is told of that. */
static void
test_hang_up (UsockTest     *test,
              gconstpointer  unused)
{
  Witness witness;
  Scene scene;

  scene_init (&scene);
  witness_init (&witness);
  witness_watch (&witness, scene.stream, "end close");
  peer_write (&scene, "abcdef");
  scene_hang_up (&scene);
  settle ();
  assert_reads (&scene, 4, "abcd");
  settle ();
  witness_assert (&witness, "");
  assert_reads (&scene, 4, "ef");
  witness_expect (&witness, "end close");
  assert_reads (&scene, 4, "");
  scene_clear (&scene);
  witness_clear (&witness);
}

static void
test_convert (UsockTest     *test,
              gconstpointer  unused)
{
  g_autoptr (GBytes) pattern = make_pattern (MEBIBYTE);
  g_autoptr (GConverter) pack
      = G_CONVERTER (g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP, 1));
  g_autoptr (GConverter) unpack
      = G_CONVERTER (g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP));
  g_autoptr (GInputStream) from = g_memory_input_stream_new_from_bytes (pattern);
  g_autoptr (GOutputStream) to = g_memory_output_stream_new_resizable ();
  g_autoptr (GOutputStream) packed = NULL;
  g_autoptr (GInputStream) unpacked = NULL;
  g_autoptr (GBytes) got = NULL;
  Answer sent = { 0 }, received = { 0 };
  UsockStream *ends[2];
  GIOStream *views[2];

  usock_test_no_error (usock_stream_new_pair (&ends[0], &ends[1], &error));
  for (guint i = 0; i < 2; i++)
    views[i] = usock_stream_create_io_stream (ends[i]);
  packed = g_converter_output_stream_new (g_io_stream_get_output_stream (views[0]), pack);
  unpacked = g_converter_input_stream_new (g_io_stream_get_input_stream (views[1]), unpack);
  g_assert_true (g_pollable_input_stream_can_poll (G_POLLABLE_INPUT_STREAM (unpacked)));
  g_output_stream_splice_async (packed, from, G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, 0, NULL,
                                splice_cb, &sent);
  g_output_stream_splice_async (to, unpacked, G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, 0, NULL,
                                splice_cb, &received);
  usock_test_wait_until (sent.done && received.done);
  g_assert_no_error (sent.error);
  g_assert_no_error (received.error);
  got = g_memory_output_stream_steal_as_bytes (G_MEMORY_OUTPUT_STREAM (to));
  g_assert_true (g_bytes_equal (got, pattern));
  g_clear_object (&packed);
  g_clear_object (&unpacked);
  for (guint i = 0; i < 2; i++)
    {
      g_object_unref (views[i]);
      usock_socket_close (USOCK_SOCKET (ends[i]));
      usock_test_wait_until (G_OBJECT (ends[i])->ref_count == 1);
      g_object_unref (ends[i]);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  /* GIO starts its worker thread with the first task, and keeps what that has open. */
  g_object_unref (g_task_new (NULL, NULL, NULL, NULL));

  usock_test_add ("/usock/stream-io/lines", test_lines);
  usock_test_add ("/usock/stream-io/mixed", test_mixed);
  usock_test_add ("/usock/stream-io/line-of-receivers", test_line_of_receivers);
  usock_test_add ("/usock/stream-io/poll-input", test_poll_input);
  usock_test_add ("/usock/stream-io/blocking", test_blocking);
  usock_test_add ("/usock/stream-io/cancel-blocking", test_cancel_blocking);
  usock_test_add ("/usock/stream-io/write-much", test_write_much);
  usock_test_add ("/usock/stream-io/splice", test_splice);
  usock_test_add ("/usock/stream-io/poll-output", test_poll_output);
  g_test_add ("/usock/stream-io/poll-output-no-queue", UsockTest, "0", usock_test_setup,
              test_poll_output, usock_test_teardown);
  usock_test_add ("/usock/stream-io/take-fds", test_take_fds);
  usock_test_add ("/usock/stream-io/leave-fds", test_leave_fds);
  g_test_add ("/usock/stream-io/leave-fds-async", UsockTest, "async", usock_test_setup,
              test_leave_fds, usock_test_teardown);
  usock_test_add ("/usock/stream-io/append-fd", test_append_fd);
  usock_test_add ("/usock/stream-io/close-output", test_close_output);
  usock_test_add ("/usock/stream-io/close-view", test_close_view);
  g_test_add ("/usock/stream-io/close-view-async", UsockTest, "async", usock_test_setup,
              test_close_view, usock_test_teardown);
  usock_test_add ("/usock/stream-io/drop-view", test_drop_view);
  usock_test_add ("/usock/stream-io/not-connected", test_not_connected);
  usock_test_add ("/usock/stream-io/reset", test_reset);
  g_test_add ("/usock/stream-io/reset-async", UsockTest, "async", usock_test_setup, test_reset,
              usock_test_teardown);
  usock_test_add ("/usock/stream-io/hang-up", test_hang_up);
  usock_test_add ("/usock/stream-io/convert", test_convert);

  return g_test_run ();
}
