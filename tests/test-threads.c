/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <gio/gunixsocketaddress.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void
count_criticals (const char *domain, GLogLevelFlags level, const char *text, gpointer data)
{
  if (strstr (text, "did nothing") != NULL)
    n_criticals++;
  else
    g_log_default_handler (domain, level, text, data);
}

#define assert_critical(call)                                                                      \
  G_STMT_START                                                                                     \
  {                                                                                                \
    guint before_ = n_criticals;                                                                   \
    call;                                                                                          \
    g_assert_cmpuint (n_criticals, ==, before_ + 1);                                               \
  }                                                                                                \
  G_STMT_END

static void
receive_func (UsockChannel *channel, const guint8 *data, gsize length, gpointer user_data)
{
  g_assert_not_reached ();
}

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
  assert_critical (usock_channel_set_receive_func (self->channel, receive_func, NULL, NULL));
  assert_critical (usock_server_pause (self->server));
  assert_critical (usock_server_resume (self->server));
  assert_critical (g_assert_null (g_list_model_get_item (G_LIST_MODEL (self->server), 0)));
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

static void
count_call (GObject *source, GAsyncResult *result, gpointer count)
{
  ++*(guint *) count;
}

/* Who calls is told once, in the context of the thread that called. */
static gpointer
call_async (gpointer data)
{
  Scene *self = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (self->path);
  g_autoptr (GSocketConnectable) host = g_network_address_new ("127.0.0.1", 9);
  guint counts[15] = { 0 }, *count = counts;
  guint n = 0;

#define CALL(function, ...) function (__VA_ARGS__, NULL, count_call, count++)

  g_main_context_push_thread_default (context);
  usock_channel_send_message_async (self->channel, self->message, NULL, call_done, &n);
  usock_channel_receive_async (self->channel, NULL, receive_done, &n);
  usock_channel_connect_to_path_async (self->fresh, self->path, NULL, connect_done, &n);
  usock_server_close_gracefully_async (self->server, 0, NULL, close_done, &n);
  CALL (usock_channel_flush_async, self->channel);
  CALL (usock_channel_end_async, self->channel);
  CALL (usock_channel_close_gracefully_async, self->channel, -1);
  CALL (usock_channel_connect_when_available_async, self->fresh, self->path, 1000);
  CALL (usock_channel_connect_async, self->fresh, address);
  CALL (usock_stream_connect_to_host_async, self->stream, "127.0.0.1", 9, G_SOCKET_FAMILY_INVALID);
  CALL (usock_stream_connect_to_connectable_async, self->stream, host);
  CALL (usock_stream_receive_exactly_async, self->stream, 1, 0);
  CALL (usock_stream_receive_line_async, self->stream);
  CALL (usock_stream_receive_line_bytes_async, self->stream);
  CALL (usock_stream_receive_until_async, self->stream, (const guint8 *) "x", 1);
  CALL (usock_stream_receive_text_async, self->stream);
  CALL (usock_dgram_send_message_to_async, self->dgram, self->message, address);
  CALL (usock_dgram_send_message_to_text_async, self->dgram, self->message, self->path);
  CALL (usock_server_accept_async, self->server);
#undef CALL

  g_assert_cmpuint (n, ==, 0);
  usock_test_wait_until (n == 4);
  while (g_main_context_iteration (context, FALSE))
    ;
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    g_assert_cmpuint (counts[i], ==, 1);
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

/* What was posted, and by whom. */

#define N_POSTERS 4

typedef struct
{
  UsockChannel *channel;
  guint id;
  guint n;
} Poster;

static gpointer
post_many (gpointer data)
{
  Poster *self = data;

  for (guint i = 0; i < self->n; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u:%u", self->id, i);
      g_autoptr (UsockMessage) message = usock_message_new_from_text (text);
      g_autoptr (GError) error = NULL;

      while (!usock_channel_post (self->channel, message, &error))
        {
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
          g_clear_error (&error);
          g_thread_yield ();
        }
    }
  return NULL;
}

typedef struct
{
  guint next[N_POSTERS];
  guint n;
} Posted;

static void
count_posted (UsockChannel *channel, GByteArray *data, Posted *posted)
{
  g_autofree char *text = g_strndup ((const char *) data->data, data->len);
  char *number;
  guint id = g_ascii_strtoull (text, &number, 10);

  g_assert_cmpuint (id, <, N_POSTERS);
  g_assert_cmpuint (g_ascii_strtoull (number + 1, NULL, 10), ==, posted->next[id]);
  posted->next[id]++;
  posted->n++;
}

static void
check_posters (UsockTest *test, guint64 queue_limit, guint n)
{
  Poster posters[N_POSTERS];
  GThread *threads[N_POSTERS];
  UsockChannel *first, *second;
  Posted posted = { 0 };

  scene_pair (&first, &second);
  usock_channel_set_queue_limit (first, queue_limit);
  g_signal_connect (second, "data", G_CALLBACK (count_posted), &posted);
  for (guint i = 0; i < N_POSTERS; i++)
    {
      posters[i] = (Poster) { first, i, n };
      threads[i] = g_thread_new ("post", post_many, &posters[i]);
    }
  usock_test_wait_until (posted.n == N_POSTERS * n);
  for (guint i = 0; i < N_POSTERS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (usock_channel_get_queued_bytes (first), ==, 0);

  scene_close (first);
  scene_close (second);
}

/* Of each thread in its order, none lost and none twice. */
static void
test_post (UsockTest *test, gconstpointer data)
{
  check_posters (test, 16 * 1024 * 1024, 2000);
}

/* The same where hardly anything may wait, so that much is posted again. */
static void
test_post_little (UsockTest *test, gconstpointer data)
{
  check_posters (test, 1000, 100);
  check_posters (test, 0, 100);
}

static gboolean
post_text (UsockChannel *channel, const char *text, GError **error)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text (text);

  return usock_channel_post (channel, message, error);
}

static char *
try_receive (int fd)
{
  char buffer[100];
  gssize length = recv (fd, buffer, sizeof buffer, MSG_DONTWAIT);

  return length >= 0 ? g_strndup (buffer, length) : NULL;
}

/* As much as may wait, beside what waits already; and when the peer reads again, in order. */
static void
test_post_full (UsockTest *test, gconstpointer data)
{
  UsockChannel *channel = scene_adopt (test);
  g_autoptr (GError) failure = NULL;
  guint n_sent, n_posted = 0, n_received = 0;
  char *text;

  usock_channel_set_queue_limit (channel, 4000);
  n_sent = scene_fill (channel, NULL);
  while (post_text (channel, "posted", &failure))
    n_posted++;
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  g_assert_cmpuint (n_posted, ==, 4000 / (256 + 6));
  scene_settle ();
  g_assert_false (post_text (channel, "posted", &failure));
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);

  while (n_received < n_sent + n_posted)
    {
      while ((text = try_receive (test->pair[1])) != NULL)
        {
          g_assert_cmpint (g_str_equal (text, "posted"), ==, n_received >= n_sent);
          g_free (text);
          n_received++;
        }
      g_main_context_iteration (test->context, FALSE);
    }
  usock_test_no_error (post_text (channel, "posted", &error));
  scene_close (channel);
}

typedef struct
{
  UsockChannel *channel;
  gboolean was_taken;
  guint n_freed;
} LastWord;

static void
post_last_word (gpointer data)
{
  LastWord *self = data;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("last");

  self->was_taken = usock_channel_post (self->channel, message, NULL);
  self->n_freed++;
}

/* While our side ends, nothing is taken that would not be sent. */
static void
test_post_while_ending (UsockTest *test, gconstpointer data)
{
  LastWord last = { .channel = scene_adopt (test), .was_taken = TRUE };
  gsize length = 5000000;
  g_autofree guint8 *block = g_malloc0 (length);
  g_autoptr (GBytes) bytes = g_bytes_new_with_free_func (block, length, post_last_word, &last);
  UsockMessage *message = usock_message_new_from_bytes (bytes);

  usock_channel_set_memfd_fallback (last.channel, TRUE);
  usock_test_no_error (usock_channel_post (last.channel, message, &error));
  usock_message_unref (message);
  g_clear_pointer (&bytes, g_bytes_unref);
  usock_channel_end (last.channel);
  g_assert_cmpuint (last.n_freed, ==, 1);
  g_assert_false (last.was_taken);
  scene_close (last.channel);
}

static void
test_post_refused (UsockTest *test, gconstpointer data)
{
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  GError *failure = NULL;
  int fd;

  g_assert_false (usock_channel_post (channel, message, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
  g_object_unref (channel);

  /* What was not taken is as it was, and what was is not. */
  channel = scene_adopt (test);
  usock_test_no_error (usock_message_append_fd (message, 0, &error));
  usock_test_no_error (usock_channel_post (channel, message, &error));
  g_assert_false (usock_message_append_fd (message, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_BUSY);
  g_assert_cmpint (usock_message_take_fd (message, 0, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_BUSY);
  scene_settle ();
  fd = usock_message_take_fd (message, 0, &failure);
  g_assert_no_error (failure);
  close (fd);

  usock_channel_end (channel);
  g_assert_false (post_text (channel, "x", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  usock_socket_close (USOCK_SOCKET (channel));
  g_assert_false (post_text (channel, "x", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  scene_settle ();
  g_object_unref (channel);
}

/* What was posted before the end, or the close, goes before it. */
static void
test_post_end (UsockTest *test, gconstpointer data)
{
  Witness witness;
  UsockChannel *first, *second;

  witness_init (&witness);
  for (guint i = 0; i < 2; i++)
    {
      scene_pair (&first, &second);
      witness_watch (&witness, second, "data end");
      usock_test_no_error (post_text (first, "1", &error));
      usock_test_no_error (post_text (first, "2", &error));
      if (i == 0)
        usock_channel_end (first);
      else
        usock_socket_close (USOCK_SOCKET (first));
      witness_expect (&witness, "data:1 data:2 end");
      scene_close (first);
      scene_close (second);
    }
  witness_clear (&witness);
}

static void
scene_connect (int fd, const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
}

/* What waits for a connection may have been posted. */
static void
test_post_connecting (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  int listener = scene_listen (path, 0);
  int first, second;
  g_autofree char *text = NULL;

  first = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  scene_connect (first, path);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_CONNECTING);
  usock_test_no_error (post_text (channel, "1", &error));
  scene_settle ();
  close (accept (listener, NULL, NULL));
  usock_test_wait_until (usock_socket_get_state (USOCK_SOCKET (channel)) == USOCK_STATE_OPEN);
  second = accept (listener, NULL, NULL);
  usock_test_wait_until ((text = scene_receive (second)) != NULL);
  g_assert_cmpstr (text, ==, "1");
  close (first);
  close (second);
  close (listener);
  scene_close (channel);
}

/* Like one that had to wait: there is nobody to tell but the channel. */
static void
test_post_fails (UsockTest *test, gconstpointer data)
{
  Witness witness;
  UsockChannel *channel = scene_adopt (test);
  g_autofree guint8 *huge = g_malloc0 (8 * 1024 * 1024);
  g_autoptr (UsockMessage) message = usock_message_new (huge, 8 * 1024 * 1024);
  UsockDgram *dgram = usock_dgram_new ();

  witness_init (&witness);
  witness_watch (&witness, channel, "error close");
  usock_test_no_error (usock_channel_post (channel, message, &error));
  witness_expect (&witness, "error:message-too-large close");
  g_object_unref (channel);

  /* A datagram socket goes on. */
  usock_test_no_error (usock_dgram_autobind (dgram, &error));
  usock_test_no_error (post_text (USOCK_CHANNEL (dgram), "x", &error));
  scene_settle ();
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (dgram)), ==, USOCK_STATE_OPEN);
  g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (dgram)), ==, 0);
  scene_close (dgram);
  witness_clear (&witness);
}

/* A stream tells of descriptors without a byte to go with. */
static void
test_post_bare_fds (UsockTest *test, gconstpointer data)
{
  Witness witness;
  UsockStream *first, *second;
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);

  witness_init (&witness);
  usock_test_no_error (usock_stream_new_pair (&first, &second, &error));
  witness_watch (&witness, first, "error close");
  usock_test_no_error (usock_message_append_fd (message, 0, &error));
  usock_test_no_error (usock_channel_post (USOCK_CHANNEL (first), message, &error));
  scene_close (second);
  witness_expect (&witness, "error:invalid-argument close");
  g_object_unref (first);
  witness_clear (&witness);
}

/* The context goes before its turn: descriptors are let go. */
static void
test_post_orphaned (UsockTest *test, gconstpointer data)
{
  GMainContext *context = g_main_context_new ();
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  UsockChannel *first, *second;
  GError *failure = NULL;
  int fd;

  usock_test_no_error (usock_message_append_fd (message, 0, &error));
  g_main_context_push_thread_default (context);
  scene_pair (&first, &second);
  usock_test_no_error (usock_channel_post (first, message, &error));
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);

  g_assert_false (post_text (first, "x", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  fd = usock_message_take_fd (message, 0, &failure);
  g_assert_no_error (failure);
  close (fd);
  g_object_unref (first);
  g_object_unref (second);
}

static gpointer
post_until_closed (gpointer channel)
{
  g_autoptr (GError) error = NULL;

  while (post_text (channel, "x", &error)
         || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    g_clear_error (&error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_object_unref (channel);
  return NULL;
}

/* It closes while others post, one of whom has the last reference. */
static void
test_post_close (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < 50; i++)
    {
      UsockChannel *first, *second;
      GThread *threads[2];

      scene_pair (&first, &second);
      for (guint n = 0; n < 2; n++)
        threads[n] = g_thread_new ("post", post_until_closed, g_object_ref (first));
      for (guint n = 0; n < 3; n++)
        g_main_context_iteration (test->context, FALSE);
      scene_close (first);
      for (guint n = 0; n < 2; n++)
        g_thread_join (threads[n]);
      scene_close (second);
    }
}

/* Several threads post while the process forks: the child's lock is its own. */
static void
test_post_fork (UsockTest *test, gconstpointer data)
{
  UsockChannel *first, *second;
  Poster poster;
  GThread *thread;
  Posted posted = { 0 };
  guint n = 0;

  scene_pair (&first, &second);
  g_signal_connect (second, "data", G_CALLBACK (count_posted), &posted);
  poster = (Poster) { first, 0, 1000 };
  thread = g_thread_new ("post", post_many, &poster);
  while (posted.n < 1000)
    {
      g_main_context_iteration (test->context, FALSE);
      if (n++ % 20 == 0)
        {
          pid_t pid = fork ();
          int status;

          if (pid == 0)
            {
              alarm (60);
              n_criticals = post_text (first, "x", NULL);
              usock_socket_close (USOCK_SOCKET (first));
              usock_socket_close (USOCK_SOCKET (second));
              g_object_unref (second);
              _exit (n_criticals);
            }
          g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
          g_assert_cmpint (status, ==, 0);
        }
    }
  g_thread_join (thread);
  scene_close (first);
  scene_close (second);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_handler ("Usock", G_LOG_LEVEL_CRITICAL, count_criticals, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_WARNING);
  garbage = g_async_queue_new ();

  usock_test_add ("/usock/threads/unref", test_unref);
  usock_test_add ("/usock/threads/unref-unrun", test_unref_unrun);
  usock_test_add ("/usock/threads/unref-message", test_unref_message);
  usock_test_add ("/usock/threads/wrong-thread", test_wrong_thread);
  usock_test_add ("/usock/threads/maker", test_maker);
  usock_test_add ("/usock/threads/handed-over", test_handed_over);
  usock_test_add ("/usock/threads/senders", test_senders);
  usock_test_add ("/usock/threads/post", test_post);
  usock_test_add ("/usock/threads/post-little", test_post_little);
  usock_test_add ("/usock/threads/post-full", test_post_full);
  usock_test_add ("/usock/threads/post-while-ending", test_post_while_ending);
  usock_test_add ("/usock/threads/post-refused", test_post_refused);
  usock_test_add ("/usock/threads/post-end", test_post_end);
  usock_test_add ("/usock/threads/post-connecting", test_post_connecting);
  usock_test_add ("/usock/threads/post-fails", test_post_fails);
  usock_test_add ("/usock/threads/post-bare-fds", test_post_bare_fds);
  usock_test_add ("/usock/threads/post-orphaned", test_post_orphaned);
  usock_test_add ("/usock/threads/post-close", test_post_close);
  /* The thread sanitizer has locks of its own, which hang in the child. */
  if (g_getenv ("TSAN_OPTIONS") != NULL)
    return g_test_run ();
  usock_test_add ("/usock/threads/post-fork", test_post_fork);
  return g_test_run ();
}
