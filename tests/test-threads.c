/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <gio/gunixsocketaddress.h>

/* A thread of the test; the main thread iterates its context meanwhile. */
typedef struct
{
  GThreadFunc func;
  gpointer data;
  gint done;
} Work;

static gpointer
work_run (gpointer data)
{
  Work *self = data;
  gpointer result = self->func (self->data);

  g_atomic_int_set (&self->done, TRUE);
  g_main_context_wakeup (NULL);
  return result;
}

static gboolean
stay_busy (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

/* The context never sleeps, so that it is in the middle of something whenever the thread does. */
static void
run_elsewhere (UsockTest *test, GThreadFunc func, gpointer data)
{
  Work work = { func, data, FALSE };
  g_autoptr (GSource) busy = g_idle_source_new ();
  GThread *thread;

  g_source_set_callback (busy, stay_busy, NULL, NULL);
  g_source_attach (busy, test->context);
  g_main_context_iteration (test->context, FALSE);
  thread = g_thread_new ("elsewhere", work_run, &work);
  usock_test_wait_until (g_atomic_int_get (&work.done));
  g_thread_join (thread);
  g_source_destroy (busy);
}

static GAsyncQueue *garbage;
static char end_of_garbage;

static gpointer
drop_garbage (gpointer data)
{
  gpointer object;

  while ((object = g_async_queue_pop (garbage)) != &end_of_garbage)
    g_object_unref (object);
  return NULL;
}

static UsockSocket *
new_connected (void)
{
  UsockChannel *first, *second;

  scene_pair (&first, &second);
  scene_close (second);
  return USOCK_SOCKET (first);
}

/* Makes one of each kind in turn, and lets the other thread have the last reference. */
static UsockSocket *
make_garbage (guint i)
{
  UsockSocket *socket;

  switch (i % 5)
    {
    case 0:
      return USOCK_SOCKET (usock_seqpacket_new ());
    case 1:
      return USOCK_SOCKET (usock_server_new (G_SOCKET_TYPE_SEQPACKET));
    case 2:
      return USOCK_SOCKET (usock_handle_new ());
    case 3:
      socket = USOCK_SOCKET (usock_dgram_new ());
      usock_dgram_autobind (USOCK_DGRAM (socket), NULL);
      break;
    default:
      socket = new_connected ();
    }

  usock_socket_close (socket);
  return socket;
}

/* As a garbage collector does that runs in whatever thread. The reactor goes with each of them, as
 * there is no other socket. */
static void
test_unref (UsockTest *test, gconstpointer data)
{
  GThread *thread = g_thread_new ("garbage", drop_garbage, NULL);

  for (guint i = 0; i < 2000; i++)
    {
      g_async_queue_push (garbage, make_garbage (i));
      do
        g_main_context_iteration (test->context, FALSE);
      while (g_async_queue_length (garbage) > 0);
    }

  g_async_queue_push (garbage, &end_of_garbage);
  g_thread_join (thread);
  scene_settle ();
}

static gpointer
unref_socket (gpointer socket)
{
  g_object_unref (socket);
  return NULL;
}

/* The last reference of all, while nobody runs the context: the rest is left to it, and goes with
 * it when it is destroyed. */
static void
test_unref_unrun (UsockTest *test, gconstpointer data)
{
  GMainContext *context = g_main_context_new ();
  UsockSeqpacket *socket;

  g_main_context_push_thread_default (context);
  socket = usock_seqpacket_new ();
  g_main_context_pop_thread_default (context);
  g_thread_join (g_thread_new ("unref", unref_socket, socket));
  g_main_context_unref (context);
}

static gpointer
unref_message (gpointer message)
{
  usock_message_unref (message);
  return NULL;
}

static void
take_message (UsockChannel *channel, UsockMessage *message, UsockMessage **taken)
{
  *taken = usock_message_ref (message);
}

/* With descriptors, that count against a limit of its channel. */
static void
test_unref_message (UsockTest *test, gconstpointer data)
{
  UsockChannel *first, *second;
  UsockMessage *taken = NULL;
  int fd = 0;

  scene_pair (&first, &second);
  usock_channel_set_max_fds (second, 1);
  usock_channel_set_max_held_fds (second, 1);
  g_signal_connect (second, "message", G_CALLBACK (take_message), &taken);
  for (guint i = 0; i < 20; i++)
    {
      usock_test_no_error (usock_channel_send_with_fds (first, (const guint8 *) "x", 1, &fd, 1,
                                                        &error));
      usock_test_wait_until (taken != NULL);
      run_elsewhere (test, unref_message, g_steal_pointer (&taken));
    }

  scene_close (first);
  scene_close (second);
}

typedef struct
{
  UsockChannel *channel;
  UsockChannel *fresh;
  UsockServer *server;
  UsockStream *stream;
  UsockDgram *dgram;
  UsockMessage *message;
  const char *path;
} Scene;

#define assert_refused(error)                                                                      \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);                                  \
    g_assert_nonnull (strstr (error->message, "usock_channel_post()"));                            \
    g_clear_error (&error);                                                                        \
  }                                                                                                \
  G_STMT_END

static gpointer
call_failing (gpointer data)
{
  Scene *self = data;
  UsockSocket *socket = USOCK_SOCKET (self->channel);
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (self->path);
  const char *all[] = { "/nowhere", NULL };
  const guint8 *byte = (const guint8 *) "x";
  GError *error = NULL;
  gsize n;
  int fd = 0;

  g_assert_false (usock_channel_send (self->channel, byte, 1, &error));
  assert_refused (error);
  g_assert_false (usock_channel_send_text (self->channel, "x", &error));
  assert_refused (error);
  g_assert_false (usock_channel_send_with_fds (self->channel, byte, 1, &fd, 1, &error));
  assert_refused (error);
  g_assert_false (usock_channel_send_message (self->channel, self->message, &error));
  assert_refused (error);
  g_assert_cmpuint (usock_channel_send_messages (self->channel, &self->message, 1, &error), ==, 0);
  assert_refused (error);
  g_assert_false (usock_channel_end_with_message (self->channel, self->message, &error));
  assert_refused (error);
  /* One that is not connected says so only to its own thread. */
  g_assert_false (usock_channel_send (self->fresh, byte, 1, &error));
  assert_refused (error);
  g_assert_false (usock_channel_connect_to_path (self->fresh, self->path, &error));
  assert_refused (error);
  g_assert_false (usock_channel_connect_to_address (self->fresh, address, &error));
  assert_refused (error);
  g_assert_false (usock_socket_shutdown (socket, USOCK_SHUT_WR, &error));
  assert_refused (error);
  g_assert_null (usock_socket_get_peer_credentials (socket, &error));
  assert_refused (error);
  g_assert_null (usock_socket_get_option (socket, 1, 7, &error));
  assert_refused (error);
  g_assert_false (usock_socket_set_option (socket, 1, 7, g_variant_new_int32 (4096), &error));
  assert_refused (error);
  g_assert_null (usock_poll (&socket, 1, NULL, 0, 0, NULL, &n, &error));
  assert_refused (error);
  g_assert_false (usock_server_listen_on_path (self->server, self->path, 0, &error));
  assert_refused (error);
  g_assert_false (usock_server_listen_on_fd (self->server, 0, 0, &error));
  assert_refused (error);
  g_assert_false (usock_stream_connect_to_host (self->stream, "127.0.0.1", 1, 0, &error));
  assert_refused (error);
  g_assert_false (usock_stream_unread (self->stream, self->message, &error));
  assert_refused (error);
  g_assert_false (usock_dgram_bind_to_path (self->dgram, self->path, &error));
  assert_refused (error);
  g_assert_false (usock_dgram_autobind (self->dgram, &error));
  assert_refused (error);
  g_assert_false (usock_dgram_send_to (self->dgram, byte, 1, "/nowhere", &error));
  assert_refused (error);
  g_assert_cmpuint (usock_dgram_send_message_to_all (self->dgram, self->message, all, &error), ==,
                    0);
  assert_refused (error);
  return NULL;
}

static guint n_criticals;

static GLogWriterOutput
count_criticals (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  for (gsize i = 0; i < n_fields; i++)
    if (g_str_equal (fields[i].key, "MESSAGE") && (level & G_LOG_LEVEL_CRITICAL) != 0
        && strstr (fields[i].value, "did nothing") != NULL)
      {
        n_criticals++;
        return G_LOG_WRITER_HANDLED;
      }

  return g_log_writer_default (level, fields, n_fields, data);
}

#define assert_critical(call)                                                                      \
  G_STMT_START                                                                                     \
  {                                                                                                \
    guint before_ = n_criticals;                                                                   \
    call;                                                                                          \
    g_assert_cmpuint (n_criticals, ==, before_ + 1);                                               \
  }                                                                                                \
  G_STMT_END

static gpointer
call_plain (gpointer data)
{
  Scene *self = data;
  UsockSocket *socket = USOCK_SOCKET (self->channel);

  assert_critical (usock_socket_close (socket));
  assert_critical (usock_socket_destroy (socket, NULL));
  assert_critical (usock_socket_set_held (socket, FALSE));
  assert_critical (g_assert_null (usock_socket_get_local_address (socket)));
  assert_critical (g_assert_null (usock_socket_get_remote_address (socket)));
  assert_critical (usock_channel_end (self->channel));
  assert_critical (usock_channel_pause (self->channel));
  assert_critical (usock_channel_resume (self->channel));
  assert_critical (usock_channel_set_max_fds (self->channel, 3));
  assert_critical (g_object_set (self->channel, "pass-credentials", TRUE, NULL));
  assert_critical (usock_channel_set_queue_limit (self->channel, 3));
  assert_critical (usock_server_pause (self->server));
  assert_critical (usock_server_set_mode (self->server, 0666));
  assert_critical (usock_server_broadcast (self->server, self->message));
  assert_critical (usock_stream_cork (self->stream));
  assert_critical (usock_stream_uncork (self->stream));
  assert_critical (usock_stream_reset (self->stream));
  assert_critical (usock_stream_set_no_delay (self->stream, TRUE));
  assert_critical (usock_dgram_set_mode (self->dgram, 0666));
  return NULL;
}

/* What only reads may be read. */
static gpointer
call_readers (gpointer data)
{
  Scene *self = data;

  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (self->channel)), ==, USOCK_STATE_OPEN);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (self->channel)), !=, -1);
  g_assert_cmpuint (usock_channel_get_bytes_read (self->channel), ==, 0);
  g_assert_cmpuint (usock_channel_get_max_fds (self->channel), ==, 0);
  return NULL;
}

static void
call_done (GObject *source, GAsyncResult *result, gpointer count)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (usock_channel_send_message_finish (USOCK_CHANNEL (source), result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  (*(guint *) count)++;
}

static void
receive_done (GObject *source, GAsyncResult *result, gpointer count)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (usock_channel_receive_finish (USOCK_CHANNEL (source), result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  (*(guint *) count)++;
}

static void
connect_done (GObject *source, GAsyncResult *result, gpointer count)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (usock_channel_connect_to_path_finish (USOCK_CHANNEL (source), result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  (*(guint *) count)++;
}

static void
close_done (GObject *source, GAsyncResult *result, gpointer count)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (usock_server_close_gracefully_finish (USOCK_SERVER (source), result, &error), ==,
                   -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  (*(guint *) count)++;
}

/* Who calls is told, in the context of the thread that called. */
static gpointer
call_async (gpointer data)
{
  Scene *self = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n = 0;

  g_main_context_push_thread_default (context);
  usock_channel_send_message_async (self->channel, self->message, NULL, call_done, &n);
  usock_channel_receive_async (self->channel, NULL, receive_done, &n);
  usock_channel_connect_to_path_async (self->fresh, self->path, NULL, connect_done, &n);
  usock_server_close_gracefully_async (self->server, 0, NULL, close_done, &n);
  g_assert_cmpuint (n, ==, 0);
  usock_test_wait_until (n == 4);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_wrong_thread (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  UsockChannel *peer;
  Scene scene = { 0 };

  scene_pair (&scene.channel, &peer);
  scene.fresh = USOCK_CHANNEL (usock_seqpacket_new ());
  scene.server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  scene.stream = usock_stream_new ();
  scene.dgram = usock_dgram_new ();
  scene.message = usock_message_new_from_text ("x");
  scene.path = path;

  run_elsewhere (test, call_failing, &scene);
  run_elsewhere (test, call_plain, &scene);
  run_elsewhere (test, call_readers, &scene);
  run_elsewhere (test, call_async, &scene);

  /* Nothing was done to any of them. */
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.channel)), ==, USOCK_STATE_OPEN);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.fresh)), ==, USOCK_STATE_NEW);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.stream)), ==, USOCK_STATE_NEW);
  g_assert_cmpuint (usock_channel_get_max_fds (scene.channel), ==, 0);
  g_assert_cmpuint (usock_server_get_mode (scene.server), ==, 0600);
  g_assert_true (usock_socket_get_held (USOCK_SOCKET (scene.channel)));
  usock_test_no_error (usock_channel_send_text (scene.channel, "x", &error));

  scene_close (scene.channel);
  scene_close (peer);
  scene_close (scene.stream);
  g_object_unref (scene.fresh);
  g_object_unref (scene.server);
  g_object_unref (scene.dgram);
  usock_message_unref (scene.message);
}

static gpointer
send_once (gpointer channel)
{
  g_autoptr (GError) error = NULL;

  return GINT_TO_POINTER (usock_channel_send_text (channel, "x", &error)
                          || error->code != G_IO_ERROR_NOT_SUPPORTED);
}

static gpointer
make_pair (gpointer ends)
{
  UsockChannel **channels = ends;

  g_main_context_push_thread_default (g_object_get_data (G_OBJECT (channels[2]), "context"));
  scene_pair (&channels[0], &channels[1]);
  g_main_context_pop_thread_default (g_object_get_data (G_OBJECT (channels[2]), "context"));
  return send_once (channels[0]);
}

/* Where nobody runs the context, it is who made the socket. */
static void
test_maker (UsockTest *test, gconstpointer data)
{
  UsockChannel *first, *second;

  scene_pair (&first, &second);
  g_main_context_pop_thread_default (test->context);
  g_assert_null (g_thread_join (g_thread_new ("send", send_once, first)));
  g_assert_nonnull (send_once (first));
  g_main_context_push_thread_default (test->context);

  scene_close (first);
  scene_close (second);
}

/* A thread made the sockets, in a context that another runs from then on. */
static void
test_handed_over (UsockTest *test, gconstpointer data)
{
  g_autoptr (GObject) holder = g_object_new (G_TYPE_OBJECT, NULL);
  UsockChannel *channels[3] = { NULL, NULL, (gpointer) holder };

  g_main_context_pop_thread_default (test->context);
  g_object_set_data (holder, "context", test->context);
  g_assert_nonnull (g_thread_join (g_thread_new ("make", make_pair, channels)));
  g_main_context_push_thread_default (test->context);

  g_assert_nonnull (send_once (channels[0]));
  run_elsewhere (test, send_once, channels[0]);
  scene_close (channels[0]);
  scene_close (channels[1]);
}

static gpointer
send_many (gpointer channel)
{
  for (guint i = 0; i < 2000; i++)
    g_assert_null (send_once (channel));
  return NULL;
}

/* Two threads that know no better, and the loop. */
static void
test_senders (UsockTest *test, gconstpointer data)
{
  Witness witness;
  UsockChannel *first, *second;
  GThread *thread;

  witness_init (&witness);
  scene_pair (&first, &second);
  witness_watch (&witness, second, "data");
  g_main_context_iteration (test->context, FALSE);
  thread = g_thread_new ("send", send_many, first);
  run_elsewhere (test, send_many, first);
  g_thread_join (thread);
  usock_test_no_error (usock_channel_send_text (first, "mine", &error));
  witness_expect (&witness, "data:mine");

  scene_close (first);
  scene_close (second);
  witness_clear (&witness);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (count_criticals, NULL, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR);
  garbage = g_async_queue_new ();

  usock_test_add ("/usock/threads/unref", test_unref);
  usock_test_add ("/usock/threads/unref-unrun", test_unref_unrun);
  usock_test_add ("/usock/threads/unref-message", test_unref_message);
  usock_test_add ("/usock/threads/wrong-thread", test_wrong_thread);
  usock_test_add ("/usock/threads/maker", test_maker);
  usock_test_add ("/usock/threads/handed-over", test_handed_over);
  usock_test_add ("/usock/threads/senders", test_senders);
  return g_test_run ();
}
