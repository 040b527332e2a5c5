/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "channel-scene.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL "connect data drain end timeout error close"

/* Properties. */

static void
test_properties (UsockTest     *test,
                 gconstpointer  unused)
{
  Scene scene;
  UsockSocket *socket;
  int fd;

  scene_start (&scene, test, ALL);
  socket = USOCK_SOCKET (scene.channel);
  fd = usock_socket_get_fd (socket);
  g_assert_cmpint (fcntl (fd, F_GETFD), !=, -1);
  g_assert_cmpint (usock_socket_get_family (socket), ==, G_SOCKET_FAMILY_UNIX);
  g_assert_cmpint (usock_socket_get_socket_type (socket), ==, G_SOCKET_TYPE_SEQPACKET);
  g_assert_cmpint (usock_socket_get_state (socket), ==, USOCK_STATE_OPEN);
  g_assert_cmpint (usock_socket_get_error_number (socket), ==, 0);
  g_assert_null (usock_socket_get_error_call (socket));
  g_assert_false (usock_socket_get_had_error (socket));
  g_assert_true (usock_socket_get_held (socket));
  g_assert_cmpint (
      g_unix_socket_address_get_address_type (
          G_UNIX_SOCKET_ADDRESS (usock_socket_get_local_address (socket))), ==,
      G_UNIX_SOCKET_ADDRESS_ANONYMOUS);
  usock_socket_close (socket);
  g_assert_cmpint (usock_socket_get_fd (socket), ==, -1);
  g_assert_cmpint (usock_socket_get_state (socket), ==, USOCK_STATE_CLOSED);
  g_assert_nonnull (usock_socket_get_local_address (socket));
  witness_expect (&scene.witness, "close");
  scene_stop (&scene);
}

static void
state_cb (UsockSocket *socket,
          GParamSpec  *pspec,
          GString     *states)
{
  g_string_append_printf (states, "%d ", usock_socket_get_state (socket));
}

/* Notified from the context, after the call; never from it. */
static void
test_state_is_notified (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GString) states = g_string_new (NULL);

  scene_start (&scene, test, ALL);
  g_signal_connect (scene.channel, "notify::state", G_CALLBACK (state_cb), states);
  g_assert_cmpstr (states->str, ==, "");
  scene_settle ();
  g_assert_cmpstr (states->str, ==, "3 ");
  usock_channel_end (scene.channel);
  g_assert_cmpstr (states->str, ==, "3 ");
  scene_settle ();
  g_assert_cmpstr (states->str, ==, "3 4 ");
  usock_socket_close (USOCK_SOCKET (scene.channel));
  g_assert_cmpstr (states->str, ==, "3 4 ");
  scene_settle ();
  g_assert_cmpstr (states->str, ==, "3 4 7 ");
  witness_assert (&scene.witness, "close");
  scene_stop (&scene);
}

/* Credentials. */

static void
test_peer_credentials (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCredentials) credentials = NULL;
  GError *failure = NULL;

  scene_start (&scene, test, ALL);
  credentials = usock_socket_get_peer_credentials (USOCK_SOCKET (scene.channel), &failure);
  g_assert_no_error (failure);
  g_assert_cmpint (g_credentials_get_unix_pid (credentials, NULL), ==, getpid ());
  g_assert_cmpuint (g_credentials_get_unix_user (credentials, NULL), ==, getuid ());
  usock_socket_close (USOCK_SOCKET (scene.channel));

  /* Who asks afterwards learns the same. */
  g_clear_object (&credentials);
  credentials = usock_socket_get_peer_credentials (USOCK_SOCKET (scene.channel), &failure);
  g_assert_no_error (failure);
  g_assert_cmpint (g_credentials_get_unix_pid (credentials, NULL), ==, getpid ());
  g_assert_nonnull (usock_socket_get_local_address (USOCK_SOCKET (scene.channel)));
  g_assert_nonnull (usock_socket_get_remote_address (USOCK_SOCKET (scene.channel)));
  scene_stop (&scene);
}

static void
test_no_peer_credentials (UsockTest     *test,
                          gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new ();
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GError *failure = NULL;

  g_assert_null (usock_socket_get_peer_credentials (USOCK_SOCKET (channel), &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
  g_assert_null (usock_socket_get_peer_credentials (USOCK_SOCKET (server), &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  g_clear_object (&channel);
  scene_close (server);
}

/* Closing. */

static void
test_close_twice (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  usock_socket_close (USOCK_SOCKET (scene.channel));
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "close");
  usock_socket_close (USOCK_SOCKET (scene.channel));
  scene_settle ();
  witness_assert (&scene.witness, "");
  scene_stop (&scene);
}

static void
test_close_new (UsockTest     *test,
                gconstpointer  unused)
{
  UsockSeqpacket *channel = usock_seqpacket_new ();
  Witness witness;

  witness_init (&witness);
  witness_watch (&witness, channel, ALL);
  usock_socket_close (USOCK_SOCKET (channel));
  witness_expect (&witness, "close");
  g_object_unref (channel);
  witness_clear (&witness);
}

static void
check_error_cb (UsockSocket  *socket,
                const GError *error,
                gpointer      unused)
{
  g_assert_cmpstr (error->message, ==, "because");
}

static void
test_destroy (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GError) reason = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "because");

  scene_start (&scene, test, ALL);
  g_signal_connect (scene.channel, "error", G_CALLBACK (check_error_cb), NULL);
  witness_receive (&scene.witness, scene.channel, "a", NULL);
  usock_socket_destroy (USOCK_SOCKET (scene.channel), reason);
  usock_socket_destroy (USOCK_SOCKET (scene.channel), reason);
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_expect (&scene.witness, "a:busy error:busy close");
  g_assert_true (usock_socket_get_had_error (USOCK_SOCKET (scene.channel)));
  scene_stop (&scene);
}

static void
test_destroy_without_error (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, ALL);
  usock_socket_destroy (USOCK_SOCKET (scene.channel), NULL);
  witness_expect (&scene.witness, "close");
  g_assert_false (usock_socket_get_had_error (USOCK_SOCKET (scene.channel)));
  scene_stop (&scene);
}

typedef struct
{
  Witness *witness;
  UsockChannel *channel;
} Waiter;

static void
wait_for_next_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      user_data)
{
  Waiter *self = user_data;
  GError *failure = NULL;

  g_assert_null (usock_channel_receive_finish (USOCK_CHANNEL (source), result, &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  witness_write (self->witness, "first");
  usock_test_wait_until (self->witness->n_words == 2);
}

/* A nested loop in one of the last callbacks gets the others, too. */
static void
test_nested_loop_at_the_end (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;
  Waiter waiter;

  scene_start (&scene, test, ALL);
  waiter = (Waiter) { &scene.witness, scene.channel };
  usock_channel_receive_async (scene.channel, NULL, wait_for_next_cb, &waiter);
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_expect (&scene.witness, "first b:closed close");
  scene_stop (&scene);
}

/* Lifetime. */

static void
test_dropped (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  gpointer weak;

  scene_start (&scene, test, ALL);
  weak = scene.channel;
  g_object_add_weak_pointer (weak, &weak);
  g_object_unref (scene.channel);
  scene_settle ();
  g_assert_nonnull (weak);
  scene_send (scene.peer, "still here");
  usock_test_wait_until (scene.witness.n_words == 1);
  close (usock_test_take (test, 1));
  usock_test_wait_until (weak == NULL);
  witness_assert (&scene.witness, "data:still here end close");
  witness_clear (&scene.witness);
}

static void
test_new_is_not_kept (UsockTest     *test,
                      gconstpointer  unused)
{
  gpointer weak = usock_seqpacket_new ();
  Witness witness;

  witness_init (&witness);
  witness_watch (&witness, weak, ALL);
  g_object_add_weak_pointer (weak, &weak);
  g_object_unref (weak);
  g_assert_null (weak);
  scene_settle ();
  witness_assert (&witness, "");
  witness_clear (&witness);
}

/* A descriptor's number, taken by another socket at once, must not bring the old one's events. */
static void
test_numbers_are_reused (UsockTest     *test,
                         gconstpointer  unused)
{
  guint n = g_getenv ("USOCK_TEST_SLOW") != NULL ? 200 : 20 * 1000;

  for (guint i = 0; i < n; i++)
    {
      UsockChannel *first, *second;
      Witness witness;

      witness_init (&witness);
      scene_pair (&first, &second);
      witness_watch (&witness, second, ALL);
      usock_test_no_error (usock_channel_send_text (first, "1", &error));
      if (i % 3 == 0)
        scene_settle ();
      usock_socket_close (USOCK_SOCKET (second));
      usock_socket_close (USOCK_SOCKET (first));
      if (i % 2 == 0)
        scene_settle ();
      g_object_unref (first);
      g_object_unref (second);
      scene_settle ();
      witness_assert (&witness, i % 3 == 0 ? "data:1 close" : "close");
      witness_clear (&witness);
    }
}

/* Held. */

static gboolean
close_cb (gpointer socket)
{
  usock_socket_close (socket);
  return G_SOURCE_REMOVE;
}

static void
call_soon (UsockTest   *test,
           GSourceFunc  callback,
           gpointer     data)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_callback (source, callback, data, NULL);
  g_source_attach (source, test->context);
}

static void
test_run_until_closed (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;

  usock_run_until_closed (test->context);
  g_assert_cmpuint (usock_count_held (test->context), ==, 0);
  scene_start (&scene, test, ALL);
  g_assert_cmpuint (usock_count_held (test->context), ==, 1);
  g_assert_cmpuint (usock_count_held (NULL), ==, 0);
  call_soon (test, close_cb, scene.channel);
  usock_run_until_closed (test->context);
  witness_assert (&scene.witness, "close");
  usock_run_until_closed (test->context);
  scene_stop (&scene);
  usock_run_until_closed (test->context);
  usock_run_until_closed (NULL);
}

static gboolean
let_go_cb (gpointer socket)
{
  usock_socket_set_held (socket, FALSE);
  return G_SOURCE_REMOVE;
}

static void
test_held (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene;
  UsockChannel *first, *second;

  scene_start (&scene, test, ALL);
  scene_pair (&first, &second);
  usock_socket_set_held (USOCK_SOCKET (first), FALSE);
  usock_socket_set_held (USOCK_SOCKET (second), FALSE);
  usock_socket_set_held (USOCK_SOCKET (second), TRUE);
  usock_socket_set_held (USOCK_SOCKET (second), FALSE);
  call_soon (test, let_go_cb, scene.channel);
  usock_run_until_closed (test->context);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.channel)), ==, USOCK_STATE_OPEN);
  usock_socket_set_held (USOCK_SOCKET (scene.channel), TRUE);
  call_soon (test, close_cb, scene.channel);
  usock_run_until_closed (test->context);
  witness_assert (&scene.witness, "close");
  scene_close (first);
  scene_close (second);
  scene_stop (&scene);
}

/* Threads. */

typedef struct
{
  int fd;
  guint n_called;
  gboolean elsewhere;
  GThread *thread;
} Worker;

static void
never_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  Worker *self = user_data;

  self->n_called++;
  self->elsewhere |= g_thread_self () != self->thread;
}

static void
count_data_cb (UsockChannel *channel,
               GByteArray   *bytes,
               Worker       *self)
{
  self->n_called++;
  self->elsewhere |= g_thread_self () != self->thread;
}

static gpointer
worker_thread (gpointer data)
{
  Worker *self = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  UsockChannel *channel;

  self->thread = g_thread_self ();
  g_main_context_push_thread_default (context);
  channel = USOCK_CHANNEL (usock_seqpacket_new_from_fd (self->fd, NULL));
  g_signal_connect (channel, "data", G_CALLBACK (count_data_cb), self);
  g_object_unref (channel);
  usock_run_until_closed (context);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_worker_thread (UsockTest     *test,
                    gconstpointer  unused)
{
  Worker worker = { .fd = usock_test_take (test, 0) };
  GThread *thread = g_thread_new ("worker", worker_thread, &worker);

  for (guint i = 0; i < 100; i++)
    scene_send (test->pair[1], "x");
  close (usock_test_take (test, 1));
  g_thread_join (thread);
  g_assert_cmpuint (worker.n_called, ==, 100);
  g_assert_false (worker.elsewhere);
}

/* Everything that can wait waits, and the kernel has room for what is queued: what is sent in
 * the last moment must not be told in another thread either. */
static gpointer
leaving_thread (gpointer data)
{
  Worker *self = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("queued");
  UsockChannel *channel;
  guint n_filled;

  self->thread = g_thread_self ();
  g_main_context_push_thread_default (context);
  channel = USOCK_CHANNEL (usock_seqpacket_new_from_fd (self->fd, NULL));
  usock_channel_set_queue_limit (channel, 0);
  n_filled = scene_fill (channel, NULL);
  usock_channel_send_message_async (channel, message, NULL, never_cb, self);
  usock_channel_flush_async (channel, NULL, never_cb, self);
  usock_channel_receive_async (channel, NULL, never_cb, self);
  usock_channel_end_async (channel, NULL, never_cb, self);
  usock_channel_close_gracefully_async (channel, -1, NULL, never_cb, self);
  g_object_unref (channel);
  while (g_main_context_iteration (context, FALSE))
    ;
  g_main_context_pop_thread_default (context);
  return GUINT_TO_POINTER (n_filled);
}

static gpointer
leaving_reader_thread (gpointer data)
{
  Worker *self = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  UsockChannel *channel;

  self->thread = g_thread_self ();
  g_main_context_push_thread_default (context);
  channel = USOCK_CHANNEL (usock_seqpacket_new_from_fd (self->fd, NULL));
  usock_channel_receive_async (channel, NULL, never_cb, self);
  usock_channel_receive_async (channel, NULL, never_cb, self);
  g_object_unref (channel);
  while (g_main_context_iteration (context, FALSE))
    ;
  g_main_context_pop_thread_default (context);
  return NULL;
}

static gboolean
drain_default_cb (gpointer done)
{
  *(gboolean *) done = TRUE;
  return G_SOURCE_REMOVE;
}

/* What ended up in the default context by mistake is called there. */
static void
iterate_default (void)
{
  gboolean done = FALSE;

  g_idle_add (drain_default_cb, &done);
  while (!done)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_worker_leaves (UsockTest     *test,
                    gconstpointer  unused)
{
  Worker worker = { .fd = usock_test_take (test, 0) };
  GThread *thread = g_thread_new ("worker", leaving_reader_thread, &worker);

  g_thread_join (thread);
  iterate_default ();
  g_assert_cmpuint (worker.n_called, ==, 0);
  g_assert_null (scene_receive (test->pair[1]));
}

static void
test_worker_leaves_while_sending (UsockTest     *test,
                                  gconstpointer  unused)
{
  Worker worker = { .fd = usock_test_take (test, 0) };
  GThread *thread = g_thread_new ("worker", leaving_thread, &worker);

  g_assert_cmpuint (GPOINTER_TO_UINT (g_thread_join (thread)), >, 10);
  iterate_default ();
  g_assert_cmpuint (worker.n_called, ==, 0);
}

/* There is room again when the context goes, so that the last flush sends and a callback would be
 * due. */
static void
test_context_destroyed (UsockTest     *test,
                        gconstpointer  unused)
{
  GMainContext *context = g_main_context_new ();
  UsockChannel *channel;
  Worker worker = { 0 };
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("queued");
  g_autofree char *path = usock_test_path (test, "socket");
  UsockServer *server;
  Witness witness;
  GError *failure = NULL;
  gpointer weak;
  char *text;

  witness_init (&witness);
  g_main_context_push_thread_default (context);
  channel = scene_adopt (test);
  witness_watch (&witness, channel, ALL);
  server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_channel_set_queue_limit (channel, 0);
  scene_fill (channel, NULL);
  usock_channel_send_message_async (channel, message, NULL, never_cb, &worker);
  usock_channel_receive_async (channel, NULL, never_cb, &worker);
  usock_channel_end_async (channel, NULL, never_cb, &worker);
  while (g_main_context_iteration (context, FALSE))
    ;
  g_main_context_pop_thread_default (context);
  while (recv (test->pair[1], &weak, sizeof weak, MSG_DONTWAIT) > 0)
    ;

  weak = server;
  g_object_add_weak_pointer (weak, &weak);
  g_object_unref (server);
  g_assert_nonnull (weak);
  g_main_context_unref (context);
  g_assert_null (weak);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));

  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_CLOSED);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (channel)), ==, -1);
  g_assert_false (usock_channel_send_text (channel, "x", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  usock_socket_close (USOCK_SOCKET (channel));
  scene_settle ();
  iterate_default ();
  witness_assert (&witness, "");
  g_assert_cmpuint (worker.n_called, ==, 0);
  weak = channel;
  g_object_add_weak_pointer (weak, &weak);
  g_object_unref (channel);
  g_assert_null (weak);
  while ((text = scene_receive (test->pair[1])) != NULL)
    g_free (text);
  witness_clear (&witness);
}

static void
test_context_destroyed_before_use (UsockTest     *test,
                                   gconstpointer  unused)
{
  GMainContext *context = g_main_context_new ();
  g_autofree char *path = usock_test_path (test, "socket");
  int listener = scene_listen (path, 1);
  UsockSeqpacket *channel;
  GError *failure = NULL;

  g_main_context_push_thread_default (context);
  channel = usock_seqpacket_new ();
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  g_assert_false (usock_channel_connect_to_path (USOCK_CHANNEL (channel), path, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  usock_socket_close (USOCK_SOCKET (channel));
  g_object_unref (channel);
  close (listener);
}

/* A forked child. */

static int
reap (pid_t child)
{
  int status;

  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  return status;
}

static void
test_fork_child_closes (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;
  g_autofree char *path = usock_test_path (test, "socket");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GError *failure = NULL;
  pid_t child;

  scene_start (&scene, test, ALL);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  scene_settle ();
  child = fork ();
  if (child == 0)
    {
      int fd = usock_socket_get_fd (USOCK_SOCKET (scene.channel));

      if (usock_channel_send_text (scene.channel, "x", &failure)
          || !g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED))
        _exit (1);
      usock_channel_end (scene.channel);
      usock_socket_close (USOCK_SOCKET (scene.channel));
      usock_socket_close (USOCK_SOCKET (server));
      if (fcntl (fd, F_GETFD) != -1
          || usock_socket_get_state (USOCK_SOCKET (server)) != USOCK_STATE_CLOSED)
        _exit (2);
      while (g_main_context_iteration (test->context, FALSE))
        ;
      g_object_unref (scene.channel);
      g_object_unref (server);
      _exit (scene.witness.n_words == 0 ? 0 : 3);
    }
  g_assert_cmpint (reap (child), ==, 0);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  scene_send (scene.peer, "1");
  witness_expect (&scene.witness, "data:1");
  usock_test_no_error (usock_channel_send_text (scene.channel, "2", &error));
  g_free (scene_receive (scene.peer));
  scene_close (server);
  scene_stop (&scene);
}

/* The child's end of the context is not the end of the parent's sockets. */
static void
test_fork_child_destroys_context (UsockTest     *test,
                                  gconstpointer  unused)
{
  Scene scene;
  g_autofree char *path = usock_test_path (test, "socket");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  guint n, n_received = 0;
  pid_t child;
  char *text;

  scene_start (&scene, test, ALL);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_channel_set_queue_limit (scene.channel, 300);
  n = scene_fill (scene.channel, NULL);
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), >, 0);
  for (guint i = 0; i < 100; i++, n_received++)
    g_free (scene_receive (scene.peer));
  child = fork ();
  if (child == 0)
    {
      g_main_context_pop_thread_default (test->context);
      g_main_context_unref (test->context);
      g_object_unref (scene.channel);
      g_object_unref (server);
      _exit (0);
    }
  g_assert_cmpint (reap (child), ==, 0);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  usock_channel_end (scene.channel);
  while ((text = scene_receive (scene.peer)) != NULL)
    {
      g_free (text);
      n_received++;
      scene_settle ();
    }
  g_assert_cmpuint (n_received, ==, n);
  scene_close (server);
  scene_stop (&scene);
}

static void
note_gone (gpointer gone, GObject *object)
{
  (*(guint *) gone)++;
}

static gboolean
has_epoll (void)
{
  g_autoptr (GDir) directory = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/fd", name, NULL);
      g_autofree char *target = g_file_read_link (path, NULL);

      if (target != NULL && strstr (target, "eventpoll") != NULL)
        return TRUE;
    }
  return FALSE;
}

static void
call_over (GObject *source, GAsyncResult *result, gpointer test)
{
  g_autoptr (GError) error = NULL;

  if (usock_channel_send_message_finish (USOCK_CHANNEL (source), result, &error))
    return;
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

/* What a child has closed it is rid of, with the calls that waited and the epoll. */
static void
test_fork_child_lets_go (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;
  g_autofree char *path = usock_test_path (test, "socket");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  pid_t child;

  scene_start (&scene, test, ALL);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  scene_fill (scene.channel, NULL);
  scene_settle ();
  usock_channel_send_message_async (scene.channel, message, NULL, call_over, test);
  child = fork ();
  if (child == 0)
    {
      guint gone = 0;

      alarm (60);
      g_object_weak_ref (G_OBJECT (scene.channel), note_gone, &gone);
      g_object_weak_ref (G_OBJECT (server), note_gone, &gone);
      usock_socket_close (USOCK_SOCKET (server));
      g_object_unref (server);
      if (gone != 1)
        _exit (1);
      usock_socket_close (USOCK_SOCKET (scene.channel));
      while (g_main_context_iteration (test->context, FALSE))
        ;
      g_object_unref (scene.channel);
      if (gone != 2)
        _exit (2);
      _exit (has_epoll () ? 3 : 0);
    }
  g_assert_cmpint (reap (child), ==, 0);
  scene_close (server);
  scene_stop (&scene);
}

/* Nothing that it sets reaches its parent's socket; which a new one of its own obeys. */
static void
test_fork_child_sets (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;
  UsockStream *stream, *other;
  int value = -1;
  socklen_t length = sizeof value;
  pid_t child;

  scene_start (&scene, test, ALL);
  usock_test_no_error (usock_stream_new_pair (&stream, &other, &error));
  child = fork ();
  if (child == 0)
    {
      g_autoptr (GError) failure = NULL;

      usock_channel_set_pass_credentials (scene.channel, TRUE);
      usock_channel_set_max_fds (scene.channel, 3);
      g_object_set (stream, "keep-alive", TRUE, NULL);
      usock_socket_set_held (USOCK_SOCKET (stream), FALSE);
      if (usock_channel_get_pass_credentials (scene.channel)
          || usock_channel_get_max_fds (scene.channel) != 0 || usock_stream_get_keep_alive (stream)
          || !usock_socket_get_held (USOCK_SOCKET (stream)))
        _exit (1);
      if (usock_socket_set_option (USOCK_SOCKET (stream), SOL_SOCKET, SO_RCVBUF,
                                   g_variant_new_int32 (4096), &failure))
        _exit (2);
      g_clear_error (&failure);
      usock_test_no_error (usock_stream_new_pair (&stream, &other, &error));
      usock_channel_set_pass_credentials (USOCK_CHANNEL (stream), TRUE);
      _exit (usock_channel_get_pass_credentials (USOCK_CHANNEL (stream)) ? 0 : 3);
    }
  g_assert_cmpint (reap (child), ==, 0);
  g_assert_cmpint (getsockopt (usock_socket_get_fd (USOCK_SOCKET (scene.channel)), SOL_SOCKET,
                               SO_PASSCRED, &value, &length), ==, 0);
  g_assert_cmpint (value, ==, 0);
  scene_close (stream);
  scene_close (other);
  scene_stop (&scene);
}

static gpointer
use_sockets (gpointer stop)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  while (!g_atomic_int_get ((gint *) stop))
    {
      UsockChannel *first, *second;

      scene_pair (&first, &second);
      scene_close (first);
      scene_close (second);
    }
  g_main_context_pop_thread_default (context);
  return NULL;
}

/* Whatever other threads are at: their locks are not the child's. Those of GObject may be, so that it
 * only closes. */
static void
test_fork_beside_threads (UsockTest     *test,
                          gconstpointer  unused)
{
  gint stop = FALSE;
  GThread *threads[2];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("sockets", use_sockets, &stop);
  for (guint i = 0; i < 100; i++)
    {
      UsockChannel *first, *second;
      pid_t child;

      scene_pair (&first, &second);
      child = fork ();
      if (child == 0)
        {
          alarm (60);
          usock_socket_close (USOCK_SOCKET (first));
          usock_socket_close (USOCK_SOCKET (second));
          _exit (0);
        }
      g_assert_cmpint (reap (child), ==, 0);
      scene_close (first);
      scene_close (second);
    }
  g_atomic_int_set (&stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

static void
test_fork_child_makes_its_own (UsockTest     *test,
                               gconstpointer  unused)
{
  Scene scene;
  pid_t child;

  scene_start (&scene, test, ALL);
  scene_settle ();
  child = fork ();
  if (child == 0)
    {
      UsockChannel *first, *second;
      Witness witness;

      witness_init (&witness);
      scene_pair (&first, &second);
      witness_watch (&witness, second, ALL);
      usock_channel_send_text (first, "1", NULL);
      usock_channel_end (first);
      usock_test_wait_until (witness.n_closed == 1);
      usock_socket_close (USOCK_SOCKET (scene.channel));
      _exit (g_str_equal (witness.words->str, "data:1 end close") ? 0 : 1);
    }
  g_assert_cmpint (reap (child), ==, 0);
  scene_send (scene.peer, "1");
  witness_expect (&scene.witness, "data:1");
  scene_stop (&scene);
}

typedef struct
{
  pid_t child;
} Forker;

static void
fork_cb (UsockChannel *channel,
         GByteArray   *bytes,
         Forker       *self)
{
  if (self->child == -1)
    self->child = fork ();
}

/* A handler forks, and the child comes back into the library: it must leave alone what it shares
 * with its parent, the messages and the epoll. */
static void
test_fork_in_handler (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;
  Forker forker = { -1 };

  scene_start (&scene, test, ALL);
  g_signal_connect (scene.channel, "data", G_CALLBACK (fork_cb), &forker);
  scene_send (scene.peer, "0");
  usock_test_wait_until (forker.child != -1);
  if (forker.child == 0)
    {
      /* Had it gone on, it would have waited for, and taken, what the parent is sent. */
      for (guint i = 0; i < 100; i++)
        g_main_context_iteration (test->context, FALSE);
      usock_socket_close (USOCK_SOCKET (scene.channel));
      _exit (g_str_equal (scene.witness.words->str, "data:0") ? 0 : 1);
    }
  g_assert_cmpint (reap (forker.child), ==, 0);
  for (guint i = 1; i <= 9; i++)
    scene_send (scene.peer, "x");
  witness_expect (&scene.witness,
                  "data:0 data:x data:x data:x data:x data:x data:x data:x data:x data:x");
  scene_stop (&scene);
}

static void
fork_with_more_cb (UsockChannel *channel,
                   GByteArray   *bytes,
                   Forker       *self)
{
  if (self->child != -1)
    return;

  self->child = fork ();
  /* Let the child go first. */
  if (self->child > 0)
    g_assert_cmpint (reap (self->child), ==, 0);
}

/* The same with messages left in the kernel: the turn goes on in both. */
static void
test_fork_in_busy_handler (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;
  Forker forker = { -1 };

  scene_start (&scene, test, ALL);
  g_signal_connect (scene.channel, "data", G_CALLBACK (fork_with_more_cb), &forker);
  for (guint i = 0; i < 9; i++)
    scene_send (scene.peer, "x");
  while (forker.child == -1)
    g_main_context_iteration (test->context, FALSE);
  if (forker.child == 0)
    {
      for (guint i = 0; i < 10; i++)
        g_main_context_iteration (test->context, FALSE);
      _exit (0);
    }
  witness_expect (&scene.witness,
                  "data:x data:x data:x data:x data:x data:x data:x data:x data:x");
  scene_send (scene.peer, "y");
  witness_expect (&scene.witness, "data:y");
  scene_stop (&scene);
}

/* Misuse. */

static void
test_misuse (UsockTest     *test,
             gconstpointer  unused)
{
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new ();
  g_autoptr (GCancellable) stranger = g_cancellable_new ();

  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*USOCK_IS_SOCKET*");
  usock_socket_close ((UsockSocket *) stranger);
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*USOCK_IS_CHANNEL*");
  g_assert_false (usock_channel_send (NULL, NULL, 0, NULL));
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*data != NULL*");
  g_assert_false (usock_channel_send (USOCK_CHANNEL (channel), NULL, 5, NULL));
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*path != NULL*");
  g_assert_false (usock_channel_connect_to_path (USOCK_CHANNEL (channel), NULL, NULL));
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*G_IS_SOCKET_ADDRESS*");
  g_assert_false (usock_channel_connect_to_address (USOCK_CHANNEL (channel), NULL, NULL));
  g_test_assert_expected_messages ();
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/socket/" name, function)

  add ("properties", test_properties);
  add ("state-is-notified", test_state_is_notified);
  add ("peer-credentials", test_peer_credentials);
  add ("no-peer-credentials", test_no_peer_credentials);
  add ("close-twice", test_close_twice);
  add ("close-new", test_close_new);
  add ("destroy", test_destroy);
  add ("destroy-without-error", test_destroy_without_error);
  add ("nested-loop-at-the-end", test_nested_loop_at_the_end);
  add ("dropped", test_dropped);
  add ("new-is-not-kept", test_new_is_not_kept);
  add ("numbers-are-reused", test_numbers_are_reused);
  add ("run-until-closed", test_run_until_closed);
  add ("held", test_held);
  add ("worker-thread", test_worker_thread);
  add ("worker-leaves", test_worker_leaves);
  add ("worker-leaves-while-sending", test_worker_leaves_while_sending);
  add ("context-destroyed", test_context_destroyed);
  add ("context-destroyed-before-use", test_context_destroyed_before_use);
  add ("fork-child-closes", test_fork_child_closes);
  add ("fork-child-destroys-context", test_fork_child_destroys_context);
  add ("fork-child-lets-go", test_fork_child_lets_go);
  add ("fork-child-sets", test_fork_child_sets);
  add ("fork-beside-threads", test_fork_beside_threads);
  add ("fork-child-makes-its-own", test_fork_child_makes_its_own);
  add ("fork-in-handler", test_fork_in_handler);
  add ("fork-in-busy-handler", test_fork_in_busy_handler);
  add ("misuse", test_misuse);

  return g_test_run ();
}
