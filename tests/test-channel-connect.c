/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL "connect data drain end timeout error close"

typedef struct
{
  Witness witness;
  UsockChannel *channel;
  char *path;
  int listener;
  int waiting; /* what fills the backlog */
} Scene;

static void
scene_start (Scene     *scene,
             UsockTest *test)
{
  witness_init (&scene->witness);
  scene->path = usock_test_path (test, "socket");
  scene->listener = scene_listen (scene->path, 0);
  scene->waiting = -1;
  scene->channel = USOCK_CHANNEL (usock_seqpacket_new ());
  witness_watch (&scene->witness, scene->channel, ALL);
}

/* With a backlog of 0 there is room for one. */
static void
scene_fill_backlog (Scene *scene)
{
  struct sockaddr_un name = { AF_UNIX };

  g_strlcpy (name.sun_path, scene->path, sizeof name.sun_path);
  scene->waiting = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  g_assert_no_errno (connect (scene->waiting, (struct sockaddr *) &name, sizeof name));
}

static int
scene_accept (Scene *scene)
{
  return accept4 (scene->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void
scene_stop (Scene *scene)
{
  scene_close (scene->channel);
  close (scene->listener);
  if (scene->waiting != -1)
    close (scene->waiting);
  g_free (scene->path);
  witness_clear (&scene->witness);
}

static void
connect_async (Scene        *scene,
               const char   *name,
               GCancellable *cancellable)
{
  usock_channel_connect_to_path_async (
      scene->channel, scene->path, cancellable, witness_done,
      witness_call (&scene->witness, name, usock_channel_connect_to_path_finish));
}

static UsockState
scene_state (Scene *scene)
{
  return usock_socket_get_state (USOCK_SOCKET (scene->channel));
}

static void
test_path (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene;
  int peer;

  scene_start (&scene, test);
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
  usock_test_no_error (usock_channel_connect_to_path (scene.channel, scene.path, &error));
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_OPEN);
  usock_test_no_error (usock_channel_send_text (scene.channel, "first", &error));
  peer = scene_accept (&scene);
  scene_send (peer, "1");
  close (peer);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "connect data:1 error:broken-pipe close");
  scene_stop (&scene);
}

static void
test_address (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GSocketAddress) address = NULL;
  GSocketAddress *remote;

  scene_start (&scene, test);
  address = g_unix_socket_address_new (scene.path);
  usock_test_no_error (usock_channel_connect_to_address (scene.channel, address, &error));
  witness_expect (&scene.witness, "connect");
  remote = usock_socket_get_remote_address (USOCK_SOCKET (scene.channel));
  g_assert_cmpstr (g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (remote)), ==,
                   scene.path);
  scene_stop (&scene);
}

static void
test_abstract (UsockTest     *test,
               gconstpointer  unused)
{
  g_autofree char *name = g_strdup_printf ("usock\\test-%d-%08x", getpid (), g_random_int ());
  g_autofree char *text = g_strdup_printf ("@usock\\\\test%s\\x00\\x41",
                                           strchr (name, '-'));
  g_autofree char *raw = g_strdup_printf ("%s?A", name);
  struct sockaddr_un native = { AF_UNIX };
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  int listener = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  Witness witness;

  witness_init (&witness);
  *strchr (raw, '?') = '\0';
  memcpy (native.sun_path + 1, raw, strlen (name) + 2);
  g_assert_no_errno (bind (listener, (struct sockaddr *) &native,
                           G_STRUCT_OFFSET (struct sockaddr_un, sun_path) + strlen (name) + 3));
  g_assert_no_errno (listen (listener, 1));
  witness_watch (&witness, channel, "connect");
  usock_test_no_error (usock_channel_connect_to_path (channel, text, &error));
  witness_expect (&witness, "connect");
  scene_close (channel);
  close (listener);
  witness_clear (&witness);
}

static void
test_async (UsockTest     *test,
            gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GSocketAddress) address = NULL;

  scene_start (&scene, test);
  connect_async (&scene, "a", NULL);
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "connect a:ok");
  scene_close (scene.channel);
  witness_expect (&scene.witness, "b:closed close");
  close (scene_accept (&scene));

  scene.channel = USOCK_CHANNEL (usock_seqpacket_new ());
  witness_watch (&scene.witness, scene.channel, ALL);
  address = g_unix_socket_address_new (scene.path);
  usock_channel_connect_async (scene.channel, address, NULL, witness_done,
                               witness_call (&scene.witness, "c", usock_channel_connect_finish));
  witness_expect (&scene.witness, "connect c:ok");
  scene_stop (&scene);
}

/* What is there already when the connection is told of comes after it to whoever waits for it. */
static void
test_async_before_data (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;
  int peer;

  scene_start (&scene, test);
  connect_async (&scene, "a", NULL);
  peer = scene_accept (&scene);
  scene_send (peer, "1");
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "connect a:ok data:1");
  close (peer);
  scene_stop (&scene);
}

static void
nest_cb (UsockChannel *channel,
         Witness      *witness)
{
  usock_socket_close (USOCK_SOCKET (channel));
  usock_test_wait_until (witness->n_closed == 1);
}

/* Even so the call ends before the socket. */
static void
test_closed_in_nested_loop (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test);
  g_signal_connect (scene.channel, "connect", G_CALLBACK (nest_cb), &scene.witness);
  connect_async (&scene, "a", NULL);
  usock_test_wait_until (scene.witness.n_words == 3);
  g_assert_true (g_str_has_prefix (scene.witness.words->str, "connect a:"));
  g_assert_true (g_str_has_suffix (scene.witness.words->str, " close"));
  scene_stop (&scene);
}

/* What is known at once. */

static void
check_fails (UsockTest    *test,
             UsockChannel *channel,
             const char   *path,
             GIOErrorEnum  code)
{
  GError *failure = NULL;

  g_assert_false (usock_channel_connect_to_path (channel, path, &failure));
  if (*path != '\0')
    g_assert_nonnull (strstr (failure->message, path));
  assert_error_code (failure, code);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_NEW);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (channel)), ==, -1);
}

static void
test_failures_at_once (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;
  g_autofree char *missing = usock_test_path (test, "missing");
  g_autofree char *stale = usock_test_path (test, "stale");
  g_autofree char *file = usock_test_path (test, "file");
  g_autofree char *stream = usock_test_path (test, "stream");
  g_autofree char *below = g_build_filename (file, "below", NULL);
  g_autofree char *long_name = g_strnfill (300, 'n');
  g_autofree char *too_long = usock_test_path (test, long_name);
  g_autofree char *abstract = g_strdup_printf ("@usock-test-missing-%d", getpid ());
  g_autoptr (GString) endless = g_string_new (test->directory);
  struct sockaddr_un native = { AF_UNIX };
  int fd;

  scene_start (&scene, test);
  close (scene_listen (stale, 1));
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_strlcpy (native.sun_path, stream, sizeof native.sun_path);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &native, sizeof native));
  g_assert_no_errno (listen (fd, 1));
  while (endless->len < 5000)
    g_string_append (endless, "/directory");

  check_fails (test, scene.channel, missing, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, ENOENT);
  g_assert_cmpstr (usock_socket_get_error_call (USOCK_SOCKET (scene.channel)), ==, "connect");
  check_fails (test, scene.channel, stale, G_IO_ERROR_CONNECTION_REFUSED);
  check_fails (test, scene.channel, test->directory, G_IO_ERROR_CONNECTION_REFUSED);
  check_fails (test, scene.channel, file, G_IO_ERROR_CONNECTION_REFUSED);
  check_fails (test, scene.channel, below, G_IO_ERROR_NOT_DIRECTORY);
  check_fails (test, scene.channel, stream, G_IO_ERROR_INVALID_ARGUMENT);
  check_fails (test, scene.channel, abstract, G_IO_ERROR_CONNECTION_REFUSED);
  check_fails (test, scene.channel, too_long, G_IO_ERROR_FILENAME_TOO_LONG);
  check_fails (test, scene.channel, endless->str, G_IO_ERROR_FILENAME_TOO_LONG);
  check_fails (test, scene.channel, "", G_IO_ERROR_INVALID_FILENAME);
  scene_settle ();
  witness_assert (&scene.witness, "");

  /* After all that it is as good as new. */
  usock_test_no_error (usock_channel_connect_to_path (scene.channel, scene.path, &error));
  witness_expect (&scene.witness, "connect");
  close (fd);
  scene_stop (&scene);
}

static void
test_failure_async (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test);
  close (scene.listener);
  connect_async (&scene, "a", NULL);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "a:connection-refused");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
  g_assert_no_errno (unlink (scene.path));
  scene.listener = scene_listen (scene.path, 1);
  connect_async (&scene, "a", NULL);
  witness_expect (&scene.witness, "connect a:ok");
  scene_stop (&scene);
}

static void
test_without_permission (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;
  pid_t child;
  int status;

  scene_start (&scene, test);
  g_assert_no_errno (chmod (scene.path, 0600));
  g_assert_no_errno (chmod (test->directory, 0755));
  child = fork ();
  if (child == 0)
    {
      g_autoptr (UsockSeqpacket) client = NULL;
      g_autoptr (GError) failure = NULL;

      if (getuid () == 0 && setuid (65534) == -1)
        _exit (2);
      client = usock_seqpacket_new ();
      usock_channel_connect_to_path (USOCK_CHANNEL (client), scene.path, &failure);
      _exit (getuid () == 65534
             && !g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED));
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  scene_stop (&scene);
}

static void
test_long_path (UsockTest     *test,
                gconstpointer  unused)
{
  g_autofree char *part = g_strnfill (200, 'd');
  g_autofree char *middle = g_build_filename (test->directory, part, NULL);
  g_autofree char *entry = g_strnfill (255, 'e');
  g_autofree char *path = g_build_filename (middle, entry, NULL);
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  Witness witness;

  witness_init (&witness);
  witness_watch (&witness, channel, "connect error close");
  g_assert_no_errno (mkdir (middle, 0700));
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  witness_expect (&witness, "connect");
  scene_close (channel);
  scene_close (server);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  witness_clear (&witness);
}

static void
test_wrong_family (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string ("127.0.0.1", 80);
  GError *failure = NULL;

  scene_start (&scene, test);
  g_assert_false (usock_channel_connect_to_address (scene.channel, address, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
  scene_stop (&scene);
}

static void
test_twice (UsockTest     *test,
            gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;
  int peer;

  scene_start (&scene, test);
  usock_test_no_error (usock_channel_connect_to_path (scene.channel, scene.path, &error));
  g_assert_false (usock_channel_connect_to_path (scene.channel, scene.path, &failure));
  assert_error_code (failure, G_IO_ERROR_EXISTS);
  connect_async (&scene, "a", NULL);
  witness_expect (&scene.witness, "connect a:exists");
  peer = scene_accept (&scene);
  scene_send (peer, "alive");
  witness_expect (&scene.witness, "data:alive");
  g_assert_cmpint (scene_accept (&scene), ==, -1);

  usock_socket_close (USOCK_SOCKET (scene.channel));
  g_assert_false (usock_channel_connect_to_path (scene.channel, scene.path, &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  witness_expect (&scene.witness, "close");
  close (peer);
  scene_stop (&scene);
}

static void
test_twice_while_connecting (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  connect_async (&scene, "a", NULL);
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_CONNECTING);
  g_assert_false (usock_channel_connect_to_path (scene.channel, scene.path, &failure));
  assert_error_code (failure, G_IO_ERROR_PENDING);
  connect_async (&scene, "b", NULL);
  witness_expect (&scene.witness, "b:pending");
  close (scene_accept (&scene));
  witness_expect (&scene.witness, "connect a:ok");
  scene_stop (&scene);
}

/* A full backlog. */

static void
test_backlog_full (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;
  int peer;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  usock_test_no_error (usock_channel_connect_to_path (scene.channel, scene.path, &error));
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_CONNECTING);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      usock_test_no_error (usock_channel_send_text (scene.channel, text, &error));
    }
  scene_settle ();
  witness_assert (&scene.witness, "");
  close (scene_accept (&scene));
  witness_expect (&scene.witness, "connect");
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);

  peer = scene_accept (&scene);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *expected = g_strdup_printf ("%u", i);
      g_autofree char *text = scene_receive (peer);

      g_assert_cmpstr (text, ==, expected);
    }
  close (peer);
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

static void
test_send_limit_while_connecting (UsockTest     *test,
                                  gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  usock_channel_set_queue_limit (scene.channel, 0);
  usock_test_no_error (usock_channel_connect_to_path (scene.channel, scene.path, &error));
  g_assert_false (usock_channel_send_text (scene.channel, "refused", &failure));
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  usock_channel_set_queue_limit (scene.channel, 257);
  usock_test_no_error (usock_channel_send_text (scene.channel, "1", &error));
  g_assert_false (usock_channel_send_text (scene.channel, "2", &failure));
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  scene_settle ();
  witness_assert (&scene.witness, "");
  close (scene_accept (&scene));
  witness_expect (&scene.witness, "connect drain");
  scene_stop (&scene);
}

static void
test_end_while_connecting (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;
  g_autofree char *text = NULL;
  GError *failure = NULL;
  int peer;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  usock_test_no_error (usock_channel_connect_to_path (scene.channel, scene.path, &error));
  usock_test_no_error (usock_channel_send_text (scene.channel, "last", &error));
  usock_channel_end_async (scene.channel, NULL, witness_done,
                           witness_call (&scene.witness, "a", usock_channel_end_finish));
  g_assert_false (usock_channel_send_text (scene.channel, "late", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  close (scene_accept (&scene));
  witness_expect (&scene.witness, "connect a:ok");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_READ_ONLY);
  peer = scene_accept (&scene);
  text = scene_receive (peer);
  g_assert_cmpstr (text, ==, "last");
  g_assert_null (scene_receive (peer));
  close (peer);
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

static void
test_timeout (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("never");

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  usock_channel_set_connect_timeout (scene.channel, 50);
  connect_async (&scene, "a", NULL);
  usock_channel_send_message_async (
      scene.channel, message, NULL, witness_done,
      witness_call (&scene.witness, "b", usock_channel_send_message_finish));
  witness_receive (&scene.witness, scene.channel, "c", NULL);
  witness_expect (&scene.witness, "a:timed-out b:timed-out c:timed-out error:timed-out close");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, EAGAIN);
  scene_stop (&scene);
}

static void
test_listener_goes_while_waiting (UsockTest     *test,
                                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  connect_async (&scene, "a", NULL);
  scene_settle ();
  g_assert_no_errno (shutdown (scene.listener, SHUT_RD));
  witness_expect (&scene.witness, "a:connection-refused error:connection-refused close");
  scene_stop (&scene);
}

static void
test_close_while_connecting (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  connect_async (&scene, "a", NULL);
  scene_settle ();
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_expect (&scene.witness, "a:closed close");
  scene_stop (&scene);
}

/* Cancelling makes it new. */

static void
test_cancelled (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("never");
  g_autofree char *text = NULL;
  int peer;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  connect_async (&scene, "a", cancellable);
  usock_test_no_error (usock_channel_send_text (scene.channel, "never", &error));
  usock_channel_send_message_async (
      scene.channel, message, NULL, witness_done,
      witness_call (&scene.witness, "b", usock_channel_send_message_finish));
  witness_receive (&scene.witness, scene.channel, "c", NULL);
  usock_channel_end_async (scene.channel, NULL, witness_done,
                           witness_call (&scene.witness, "d", usock_channel_end_finish));
  usock_channel_close_gracefully_async (
      scene.channel, 1000, NULL, witness_done,
      witness_call (&scene.witness, "e", usock_channel_close_gracefully_finish));
  scene_settle ();
  g_cancellable_cancel (cancellable);
  witness_expect (&scene.witness,
                  "a:cancelled b:cancelled d:cancelled c:cancelled e:cancelled");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (scene.channel)), ==, -1);
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);

  close (scene_accept (&scene));
  connect_async (&scene, "f", NULL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "again", &error));
  witness_expect (&scene.witness, "connect f:ok");
  peer = scene_accept (&scene);
  text = scene_receive (peer);
  g_assert_cmpstr (text, ==, "again");
  usock_channel_flush_async (scene.channel, NULL, witness_done,
                             witness_call (&scene.witness, "g", usock_channel_flush_finish));
  witness_expect (&scene.witness, "g:ok");
  close (peer);
  scene_stop (&scene);
}

typedef struct
{
  Scene *scene;
  gboolean called;
} Retry;

static void
retry_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  Retry *self = user_data;
  GError *failure = NULL;

  g_assert_false (
      usock_channel_connect_to_path_finish (USOCK_CHANNEL (source), result, &failure));
  assert_error_code (failure, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (scene_state (self->scene), ==, USOCK_STATE_NEW);
  close (scene_accept (self->scene));
  connect_async (self->scene, "again", NULL);
  self->called = TRUE;
}

static void
test_cancelled_then_retried (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Retry retry = { &scene };

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  usock_channel_connect_to_path_async (scene.channel, scene.path, cancellable, retry_cb, &retry);
  scene_settle ();
  /* What is refused now owes a drain, but to nobody after it was cancelled. */
  usock_channel_set_queue_limit (scene.channel, 1);
  usock_channel_send_text (scene.channel, "queued", NULL);
  g_assert_false (usock_channel_send_text (scene.channel, "refused", NULL));
  g_cancellable_cancel (cancellable);
  usock_test_wait_until (retry.called);
  witness_expect (&scene.witness, "connect again:ok");
  scene_stop (&scene);
}

/* Before the loop had a turn: what cancels is not the place where the callback comes. */
static void
test_cancelled_and_at_once (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *text = NULL;
  GError *failure = NULL;
  int peer;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  connect_async (&scene, "a", cancellable);
  usock_test_no_error (usock_channel_send_text (scene.channel, "never", &error));
  scene_settle ();
  g_cancellable_cancel (cancellable);
  g_assert_false (usock_channel_connect_to_path (scene.channel, "/nonexistent", &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);
  witness_assert (&scene.witness, "");

  close (scene_accept (&scene));
  connect_async (&scene, "b", NULL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "again", &error));
  witness_expect (&scene.witness, "a:cancelled connect b:ok");
  peer = scene_accept (&scene);
  text = scene_receive (peer);
  g_assert_cmpstr (text, ==, "again");
  close (peer);
  scene_stop (&scene);
}

typedef struct
{
  UsockChannel *channel;
  const char *path;
  gboolean called;
} Freed;

static void
freed_close_cb (gpointer user_data)
{
  Freed *self = user_data;

  self->called = TRUE;
  usock_socket_close (USOCK_SOCKET (self->channel));
}

static void
freed_connect_cb (gpointer user_data)
{
  Freed *self = user_data;

  self->called = TRUE;
  usock_test_no_error (usock_channel_connect_to_path (self->channel, self->path, &error));
  usock_test_no_error (usock_channel_send_text (self->channel, "freed", &error));
}

static void
scene_send_freed (Scene          *scene,
                  Freed          *freed,
                  GDestroyNotify  free_func)
{
  g_autoptr (GBytes) bytes = g_bytes_new_with_free_func ("x", 1, free_func, freed);

  freed->channel = scene->channel;
  freed->path = scene->path;
  usock_test_no_error (usock_channel_send_bytes (scene->channel, bytes, &error));
}

/* What frees a message that was dropped finds a channel that is new. */
static void
check_cancelled_and_freed (UsockTest *test,
                           gboolean   at_once)
{
  Scene scene;
  Freed freed = { 0 };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  GError *failure = NULL;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  connect_async (&scene, "a", cancellable);
  scene_send_freed (&scene, &freed, freed_close_cb);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  if (at_once)
    {
      g_assert_false (usock_channel_connect_to_path (scene.channel, scene.path, &failure));
      assert_error_code (failure, G_IO_ERROR_CLOSED);
    }
  witness_expect (&scene.witness, "a:cancelled close");
  g_assert_true (freed.called);
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_CLOSED);
  scene_stop (&scene);
}

static void
test_cancelled_and_freed (UsockTest     *test,
                          gconstpointer  unused)
{
  check_cancelled_and_freed (test, FALSE);
}

static void
test_cancelled_and_freed_at_once (UsockTest     *test,
                                  gconstpointer  unused)
{
  check_cancelled_and_freed (test, TRUE);
}

static void
test_cancelled_and_connected (UsockTest     *test,
                              gconstpointer  unused)
{
  Scene scene;
  Freed freed = { 0 };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *text = NULL;
  int peer;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  connect_async (&scene, "a", cancellable);
  scene_send_freed (&scene, &freed, freed_connect_cb);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  close (scene_accept (&scene));
  witness_expect (&scene.witness, "a:cancelled connect");
  g_assert_true (freed.called);
  peer = scene_accept (&scene);
  text = scene_receive (peer);
  g_assert_cmpstr (text, ==, "freed");
  close (peer);
  scene_stop (&scene);
}

static void
test_cancelled_before (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  scene_start (&scene, test);
  g_cancellable_cancel (cancellable);
  connect_async (&scene, "a", cancellable);
  witness_expect (&scene.witness, "a:cancelled");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
  g_assert_cmpint (scene_accept (&scene), ==, -1);
  connect_async (&scene, "b", NULL);
  witness_expect (&scene.witness, "connect b:ok");
  scene_stop (&scene);
}

static void
test_cancelled_after (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  scene_start (&scene, test);
  connect_async (&scene, "a", cancellable);
  witness_expect (&scene.witness, "connect a:ok");
  g_cancellable_cancel (cancellable);
  scene_settle ();
  witness_assert (&scene.witness, "");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_OPEN);
  scene_stop (&scene);
}

static gpointer
cancel_thread (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* At no time, however the threads meet, is there more than one outcome. */
static void
test_cancelled_from_thread (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      GThread *thread = g_thread_new ("cancel", cancel_thread, cancellable);

      connect_async (&scene, "a", cancellable);
      usock_test_wait_until (scene.witness.n_words == 1);
      witness_assert (&scene.witness, "a:cancelled");
      g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
      g_thread_join (thread);
    }
  scene_stop (&scene);
}

static void
test_dropped_while_connecting (UsockTest     *test,
                               gconstpointer  unused)
{
  Scene scene;
  gpointer weak;
  int peer;

  scene_start (&scene, test);
  scene_fill_backlog (&scene);
  usock_test_no_error (usock_channel_connect_to_path (scene.channel, scene.path, &error));
  weak = scene.channel;
  g_object_add_weak_pointer (weak, &weak);
  g_object_unref (scene.channel);
  scene_settle ();
  g_assert_nonnull (weak);
  close (scene_accept (&scene));
  witness_expect (&scene.witness, "connect");
  peer = scene_accept (&scene);
  close (peer);
  witness_expect (&scene.witness, "end close");
  g_assert_null (weak);
  close (scene.listener);
  close (scene.waiting);
  g_free (scene.path);
  witness_clear (&scene.witness);
}

/* When somebody comes to listen. */

typedef struct
{
  Witness witness;
  UsockChannel *channel;
  UsockServer *server;
  char *path;
} Wait;

static void
wait_start (Wait       *self,
            UsockTest  *test,
            gboolean    stream,
            const char *name)
{
  witness_init (&self->witness);
  self->path = usock_test_path (test, name);
  self->channel = stream ? USOCK_CHANNEL (usock_stream_new ())
                         : USOCK_CHANNEL (usock_seqpacket_new ());
  self->server = usock_server_new (stream ? G_SOCKET_TYPE_STREAM : G_SOCKET_TYPE_SEQPACKET);
  witness_watch (&self->witness, self->channel, ALL);
}

static void
wait_stop (Wait *self)
{
  scene_close (self->channel);
  scene_close (self->server);
  g_free (self->path);
  witness_clear (&self->witness);
}

static void
wait_begin (Wait         *self,
            const char   *name,
            int           timeout,
            GCancellable *cancellable)
{
  usock_channel_connect_when_available_async (
      self->channel, self->path, timeout, cancellable, witness_done,
      witness_call (&self->witness, name, usock_channel_connect_when_available_finish));
}

static void
wait_listen (Wait *self)
{
  usock_test_no_error (usock_server_listen_on_path (self->server, self->path, 0, &error));
}

static void
test_available_already (UsockTest     *test,
                        gconstpointer  unused)
{
  Wait wait;

  wait_start (&wait, test, FALSE, "socket");
  wait_listen (&wait);
  wait_begin (&wait, "a", -1, NULL);
  witness_expect (&wait.witness, "connect a:ok");
  wait_stop (&wait);
}

static void
data_cb (UsockChannel *channel,
         GByteArray   *bytes,
         guint        *n_bytes)
{
  *n_bytes += bytes->len;
}

static void
count_bytes_cb (UsockServer  *server,
                UsockChannel *channel,
                guint        *n_bytes)
{
  g_signal_connect (channel, "data", G_CALLBACK (data_cb), n_bytes);
}

/* First there is not even a directory, then the path of a server that has crashed, and at last
 * one that lives. */
static void
test_available_later (UsockTest     *test,
                      gconstpointer  unused)
{
  for (guint stream = 0; stream < 2; stream++)
    {
      g_autofree char *name = g_strdup_printf ("later%u/socket", stream);
      g_autofree char *directory = NULL;
      guint n_bytes = 0;
      Wait wait;
      int stale;

      wait_start (&wait, test, stream, name);
      g_signal_connect (wait.server, "connection", G_CALLBACK (count_bytes_cb), &n_bytes);
      wait_begin (&wait, "a", -1, NULL);
      usock_test_no_error (usock_channel_send_text (wait.channel, "early", &error));
      scene_settle ();
      g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (wait.channel)), ==,
                       USOCK_STATE_CONNECTING);
      directory = g_path_get_dirname (wait.path);
      g_assert_no_errno (mkdir (directory, 0700));

      stale = scene_listen (wait.path, 0);
      g_assert_no_errno (shutdown (stale, SHUT_RDWR));
      close (stale);
      scene_settle ();
      witness_assert (&wait.witness, "");
      wait_listen (&wait);
      witness_expect (&wait.witness, "connect a:ok");
      usock_test_wait_until (n_bytes == strlen ("early"));
      wait_stop (&wait);
    }
}

static void
test_available_never (UsockTest     *test,
                      gconstpointer  unused)
{
  Wait wait;

  wait_start (&wait, test, TRUE, "socket");
  usock_channel_set_connect_timeout (wait.channel, 1);
  wait_begin (&wait, "a", 80, NULL);
  usock_test_no_error (usock_channel_send_text (wait.channel, "lost", &error));
  witness_expect (&wait.witness, "a:timed-out error:timed-out close");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (wait.channel)), ==, ENOENT);
  wait_stop (&wait);
}

/* What was waited for is not waited for the next time. */
static void
test_available_cancelled (UsockTest     *test,
                          gconstpointer  unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  GError *failure = NULL;
  Wait wait;

  wait_start (&wait, test, FALSE, "socket");
  wait_begin (&wait, "a", -1, cancellable);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  witness_expect (&wait.witness, "a:cancelled");
  g_assert_false (usock_channel_connect_to_path (wait.channel, wait.path, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  wait_begin (&wait, "b", -1, cancellable);
  witness_expect (&wait.witness, "b:cancelled");
  g_assert_false (usock_channel_connect_to_path (wait.channel, wait.path, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  g_clear_object (&cancellable);
  cancellable = g_cancellable_new ();
  wait_begin (&wait, "c", -1, cancellable);
  g_cancellable_cancel (cancellable);
  wait_begin (&wait, "d", -1, NULL);
  witness_expect (&wait.witness, "c:cancelled");
  scene_settle ();
  usock_socket_close (USOCK_SOCKET (wait.channel));
  witness_expect (&wait.witness, "d:closed close");
  wait_stop (&wait);
}

/* Only that nobody is there is waited out. */
static void
test_available_errors (UsockTest     *test,
                       gconstpointer  unused)
{
  UsockChannel *dgram = USOCK_CHANNEL (usock_dgram_new ());
  UsockServer *other = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  Wait wait;

  wait_start (&wait, test, TRUE, "socket");
  usock_test_no_error (usock_server_listen_on_path (other, wait.path, 0, &error));
  wait_begin (&wait, "a", -1, NULL);
  witness_expect (&wait.witness, "a:invalid-argument");
  scene_close (other);
  wait_begin (&wait, "b", -1, NULL);
  wait_begin (&wait, "c", -1, NULL);
  witness_expect (&wait.witness, "c:pending");
  wait_listen (&wait);
  witness_expect (&wait.witness, "connect b:ok");

  usock_channel_connect_when_available_async (
      dgram, wait.path, 0, NULL, witness_done,
      witness_call (&wait.witness, "d", usock_channel_connect_when_available_finish));
  witness_expect (&wait.witness, "d:not-supported");
  scene_close (dgram);
  wait_stop (&wait);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/channel-connect/" name, function)

  add ("path", test_path);
  add ("address", test_address);
  add ("abstract", test_abstract);
  add ("async", test_async);
  add ("async/before-data", test_async_before_data);
  add ("closed-in-nested-loop", test_closed_in_nested_loop);
  add ("failures-at-once", test_failures_at_once);
  add ("failure-async", test_failure_async);
  add ("without-permission", test_without_permission);
  add ("long-path", test_long_path);
  add ("wrong-family", test_wrong_family);
  add ("twice", test_twice);
  add ("twice-while-connecting", test_twice_while_connecting);
  add ("backlog-full", test_backlog_full);
  add ("send-limit-while-connecting", test_send_limit_while_connecting);
  add ("end-while-connecting", test_end_while_connecting);
  add ("timeout", test_timeout);
  add ("listener-goes-while-waiting", test_listener_goes_while_waiting);
  add ("close-while-connecting", test_close_while_connecting);
  add ("cancelled", test_cancelled);
  add ("cancelled-then-retried", test_cancelled_then_retried);
  add ("cancelled-and-at-once", test_cancelled_and_at_once);
  add ("cancelled-and-freed", test_cancelled_and_freed);
  add ("cancelled-and-freed-at-once", test_cancelled_and_freed_at_once);
  add ("cancelled-and-connected", test_cancelled_and_connected);
  add ("cancelled-before", test_cancelled_before);
  add ("cancelled-after", test_cancelled_after);
  add ("cancelled-from-thread", test_cancelled_from_thread);
  add ("dropped-while-connecting", test_dropped_while_connecting);

  add ("available-already", test_available_already);
  add ("available-later", test_available_later);
  add ("available-never", test_available_never);
  add ("available-cancelled", test_available_cancelled);
  add ("available-errors", test_available_errors);

  return g_test_run ();
}
