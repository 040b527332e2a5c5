/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL "listening connection error close"

typedef struct
{
  Witness witness;
  UsockServer *server;
  char *path;
  GPtrArray *connections;
} Scene;

static void
keep_connection_cb (UsockServer  *server,
                    UsockChannel *connection,
                    Scene        *scene)
{
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (connection)), ==, USOCK_STATE_OPEN);
  g_ptr_array_add (scene->connections, g_object_ref (connection));
}

static void
scene_start (Scene     *scene,
             UsockTest *test)
{
  witness_init (&scene->witness);
  scene->path = usock_test_path (test, "socket");
  scene->server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  scene->connections = g_ptr_array_new_with_free_func (scene_close);
  witness_watch (&scene->witness, scene->server, "listening error close");
}

static void
scene_listen_on_path (Scene *scene)
{
  usock_test_no_error (usock_server_listen_on_path (scene->server, scene->path, 0, &error));
  witness_expect (&scene->witness, "listening");
}

static void
scene_take_connections (Scene *scene)
{
  witness_watch (&scene->witness, scene->server, "connection");
  g_signal_connect (scene->server, "connection", G_CALLBACK (keep_connection_cb), scene);
}

static void
scene_stop (Scene *scene)
{
  g_ptr_array_unref (scene->connections);
  scene_close (scene->server);
  g_free (scene->path);
  witness_clear (&scene->witness);
}

static int
raw_connect (const char *path)
{
  struct sockaddr_un name = { AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_strlcpy (name.sun_path, path, sizeof name.sun_path);
  if (connect (fd, (struct sockaddr *) &name, sizeof name) == 0)
    return fd;

  close (fd);
  return -1;
}

static void
test_connection (UsockTest     *test,
                 gconstpointer  unused)
{
  Scene scene;
  int client;
  Witness witness;

  scene_start (&scene, test);
  g_assert_false (usock_server_get_active (scene.server));
  g_assert_null (usock_server_get_path (scene.server));
  usock_test_no_error (usock_server_listen_on_path (scene.server, scene.path, 0, &error));
  witness_assert (&scene.witness, "");
  g_assert_true (usock_server_get_active (scene.server));
  g_assert_cmpstr (usock_server_get_path (scene.server), ==, scene.path);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.server)), ==,
                   USOCK_STATE_LISTENING);
  scene_take_connections (&scene);
  client = raw_connect (scene.path);
  scene_send (client, "early");
  witness_expect (&scene.witness, "listening connection");
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 1);

  witness_init (&witness);
  witness_watch (&witness, scene.connections->pdata[0], "connect data end error close");
  witness_expect (&witness, "data:early");
  close (client);
  witness_expect (&witness, "end close");
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 0);
  witness_clear (&witness);
  scene_stop (&scene);
}

static void
test_late_listener (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;
  int clients[3];

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  for (guint i = 0; i < 3; i++)
    clients[i] = raw_connect (scene.path);
  scene_settle ();
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 0);
  scene_take_connections (&scene);
  witness_expect (&scene.witness, "connection connection connection");
  for (guint i = 0; i < 3; i++)
    close (clients[i]);
  scene_stop (&scene);
}

static void
leave_cb (UsockServer  *server,
          UsockChannel *connection,
          Scene        *scene)
{
  g_signal_handlers_disconnect_by_func (server, leave_cb, scene);
  witness_write (&scene->witness, "only");
  usock_socket_close (USOCK_SOCKET (connection));
}

static void
test_handler_leaves (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;
  int clients[3];

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  for (guint i = 0; i < 3; i++)
    clients[i] = raw_connect (scene.path);
  g_signal_connect (scene.server, "connection", G_CALLBACK (leave_cb), &scene);
  witness_expect (&scene.witness, "only");
  scene_take_connections (&scene);
  witness_expect (&scene.witness, "connection connection");
  for (guint i = 0; i < 3; i++)
    close (clients[i]);
  scene_stop (&scene);
}

static void
close_server_cb (UsockServer  *server,
                 UsockChannel *connection,
                 gpointer      unused)
{
  usock_socket_close (USOCK_SOCKET (connection));
  usock_socket_close (USOCK_SOCKET (server));
}

static void
test_handler_closes_server (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;
  int clients[3];

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  for (guint i = 0; i < 3; i++)
    clients[i] = raw_connect (scene.path);
  witness_watch (&scene.witness, scene.server, "connection");
  g_signal_connect (scene.server, "connection", G_CALLBACK (close_server_cb), NULL);
  witness_expect (&scene.witness, "connection close");
  for (guint i = 0; i < 3; i++)
    {
      g_assert_null (scene_receive (clients[i]));
      close (clients[i]);
    }
  scene_stop (&scene);
}

static void
wait_for_more_cb (UsockServer  *server,
                  UsockChannel *connection,
                  Scene        *scene)
{
  if (scene->witness.n_words == 1)
    usock_test_wait_until (scene->witness.n_words == 3);
}

static void
test_nested_loop (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;
  int clients[3];

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  for (guint i = 0; i < 3; i++)
    clients[i] = raw_connect (scene.path);
  scene_take_connections (&scene);
  g_signal_connect (scene.server, "connection", G_CALLBACK (wait_for_more_cb), &scene);
  witness_expect (&scene.witness, "connection connection connection");
  for (guint i = 0; i < 3; i++)
    close (clients[i]);
  scene_stop (&scene);
}

/* Who goes before being accepted was a connection all the same. */
static void
test_client_gone (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;
  Witness witness;
  int client;

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  client = raw_connect (scene.path);
  scene_send (client, "last words");
  close (client);
  scene_take_connections (&scene);
  witness_expect (&scene.witness, "connection");
  witness_init (&witness);
  witness_watch (&witness, scene.connections->pdata[0], "data end error close");
  usock_test_wait_until (witness.n_closed == 1);
  witness_assert (&witness, "data:last words end close");
  witness_clear (&witness);
  scene_stop (&scene);
}

/* Listening where one cannot. */

static void
check_fails (Scene        *scene,
             const char   *path,
             GIOErrorEnum  code)
{
  GError *failure = NULL;

  g_assert_false (usock_server_listen_on_path (scene->server, path, 0, &failure));
  if (*path != '\0')
    g_assert_nonnull (strstr (failure->message, path));
  assert_error_code (failure, code);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene->server)), ==, USOCK_STATE_NEW);
  g_assert_null (usock_server_get_path (scene->server));
}

static void
test_failures (UsockTest     *test,
               gconstpointer  unused)
{
  Scene scene;
  g_autofree char *file = usock_test_path (test, "file");
  g_autofree char *below = g_build_filename (file, "below", NULL);
  g_autofree char *missing = usock_test_path (test, "missing/socket");
  g_autofree char *taken = usock_test_path (test, "taken");
  g_autofree char *content = NULL;
  g_autofree char *name = g_strnfill (300, 'n');
  g_autofree char *too_long = usock_test_path (test, name);
  int owner = scene_listen (taken, 5);

  scene_start (&scene, test);
  g_assert_true (g_file_set_contents (file, "precious", -1, NULL));
  check_fails (&scene, file, G_IO_ERROR_ADDRESS_IN_USE);
  check_fails (&scene, test->directory, G_IO_ERROR_ADDRESS_IN_USE);
  check_fails (&scene, below, G_IO_ERROR_NOT_DIRECTORY);
  check_fails (&scene, missing, G_IO_ERROR_NOT_FOUND);
  check_fails (&scene, taken, G_IO_ERROR_ADDRESS_IN_USE);
  check_fails (&scene, too_long, G_IO_ERROR_FILENAME_TOO_LONG);
  check_fails (&scene, "", G_IO_ERROR_INVALID_FILENAME);
  g_assert_true (g_file_get_contents (file, &content, NULL, NULL));
  g_assert_cmpstr (content, ==, "precious");

  /* The owner has not noticed. */
  g_assert_cmpint (accept4 (owner, NULL, NULL, SOCK_NONBLOCK), ==, -1);
  scene_listen_on_path (&scene);
  close (owner);
  scene_stop (&scene);
}

static void
test_other_types (UsockTest     *test,
                  gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_DATAGRAM);
  g_autoptr (UsockServer) seqpacket = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  GError *failure = NULL;

  g_assert_false (usock_server_listen_on_path (server, path, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_false (usock_server_listen_on_address (seqpacket, address, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

static void
test_second_listen (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;
  g_autofree char *other = usock_test_path (test, "other");
  GError *failure = NULL;
  int client;

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  g_assert_false (usock_server_listen_on_path (scene.server, other, 0, &failure));
  g_assert_nonnull (strstr (failure->message, other));
  assert_error_code (failure, G_IO_ERROR_EXISTS);
  g_assert_false (g_file_test (other, G_FILE_TEST_EXISTS));
  g_assert_cmpstr (usock_server_get_path (scene.server), ==, scene.path);
  scene_take_connections (&scene);
  client = raw_connect (scene.path);
  witness_expect (&scene.witness, "connection");
  close (client);
  g_ptr_array_set_size (scene.connections, 0);
  usock_socket_close (USOCK_SOCKET (scene.server));
  g_assert_false (usock_server_listen_on_path (scene.server, other, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  scene_stop (&scene);
}

/* Paths. */

static void
test_path_is_removed (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  g_assert_true (g_file_test (scene.path, G_FILE_TEST_EXISTS));
  usock_socket_close (USOCK_SOCKET (scene.server));
  g_assert_false (g_file_test (scene.path, G_FILE_TEST_EXISTS));
  g_assert_cmpstr (usock_server_get_path (scene.server), ==, scene.path);
  witness_expect (&scene.witness, "close");
  scene_stop (&scene);
}

static void
test_path_is_left (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test);
  usock_server_set_unlink_on_close (scene.server, FALSE);
  scene_listen_on_path (&scene);
  usock_socket_close (USOCK_SOCKET (scene.server));
  g_assert_true (g_file_test (scene.path, G_FILE_TEST_EXISTS));
  scene_stop (&scene);

  /* The next one takes it over. */
  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  scene_stop (&scene);
}

static void
test_path_of_another (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;
  int other;

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  g_assert_no_errno (unlink (scene.path));
  other = scene_listen (scene.path, 1);
  usock_socket_close (USOCK_SOCKET (scene.server));
  g_assert_true (g_file_test (scene.path, G_FILE_TEST_EXISTS));
  close (other);
  scene_stop (&scene);
}

static void
test_mode (UsockTest     *test,
           gconstpointer  unused)
{
  static const guint modes[] = { 0600, 0666, 0660, 0777, 0 };

  for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
    for (guint mask = 0; mask <= 077; mask += 077)
      {
        Scene scene;
        struct stat info;
        mode_t before = umask (mask);

        scene_start (&scene, test);
        usock_server_set_mode (scene.server, modes[i]);
        scene_listen_on_path (&scene);
        umask (before);
        g_assert_no_errno (stat (scene.path, &info));
        g_assert_cmpuint (info.st_mode & 07777, ==, modes[i]);
        scene_stop (&scene);
      }
}

/* In a child, which may go elsewhere. */
static void
test_relative_path (UsockTest     *test,
                    gconstpointer  unused)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    {
      Scene scene;
      UsockChannel *client = USOCK_CHANNEL (usock_seqpacket_new ());

      scene_start (&scene, test);
      g_assert_no_errno (chdir (test->directory));
      usock_test_no_error (usock_server_listen_on_path (scene.server, "socket", 0, &error));
      g_assert_cmpstr (usock_server_get_path (scene.server), ==, scene.path);
      usock_test_no_error (usock_channel_connect_to_path (client, "socket", &error));
      g_assert_no_errno (chdir ("/"));
      scene_take_connections (&scene);
      witness_expect (&scene.witness, "listening connection");
      usock_socket_close (USOCK_SOCKET (scene.server));
      g_assert_false (g_file_test (scene.path, G_FILE_TEST_EXISTS));
      _exit (0);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
}

static void
test_address (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GSocketAddress) address = NULL;
  GSocketAddress *local;
  int client;

  scene_start (&scene, test);
  address = g_unix_socket_address_new (scene.path);
  usock_test_no_error (usock_server_listen_on_address (scene.server, address, 0, &error));
  local = usock_socket_get_local_address (USOCK_SOCKET (scene.server));
  g_assert_cmpstr (g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (local)), ==, scene.path);
  scene_take_connections (&scene);
  client = raw_connect (scene.path);
  witness_expect (&scene.witness, "listening connection");
  close (client);
  scene_stop (&scene);
}

static void
test_abstract (UsockTest     *test,
               gconstpointer  unused)
{
  Scene scene;
  g_autofree char *name = g_strdup_printf ("@usock-test-%d\\x00\\\\", getpid ());
  UsockChannel *client = USOCK_CHANNEL (usock_seqpacket_new ());
  GError *failure = NULL;
  UsockServer *second = usock_server_new (G_SOCKET_TYPE_SEQPACKET);

  scene_start (&scene, test);
  usock_test_no_error (usock_server_listen_on_path (scene.server, name, 0, &error));
  g_assert_null (usock_server_get_path (scene.server));
  g_assert_false (usock_server_listen_on_path (second, name, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_ADDRESS_IN_USE);
  scene_take_connections (&scene);
  usock_test_no_error (usock_channel_connect_to_path (client, name, &error));
  witness_expect (&scene.witness, "listening connection");
  scene_close (client);
  g_object_unref (second);
  scene_stop (&scene);
}

/* The backlog. */

static void
test_backlog (UsockTest     *test,
              gconstpointer  unused)
{
  static const int backlogs[] = { -5, 0, 1, 10 };

  for (guint i = 0; i < G_N_ELEMENTS (backlogs); i++)
    {
      Scene scene;
      int clients[200];
      guint n = 0;

      scene_start (&scene, test);
      usock_test_no_error (
          usock_server_listen_on_path (scene.server, scene.path, backlogs[i], &error));
      while (n < G_N_ELEMENTS (clients) && (clients[n] = raw_connect (scene.path)) != -1)
        n++;
      g_assert_cmpuint (n, ==, backlogs[i] <= 0 ? 200 : backlogs[i] + 1);
      scene_take_connections (&scene);
      usock_test_wait_until (scene.connections->len == n);
      while (n > 0)
        close (clients[--n]);
      scene_stop (&scene);
    }
}

/* More at once than one turn takes: other sources get their turns in between. */
static gboolean
beat_cb (gpointer n_beats)
{
  ++*(guint *) n_beats;
  return G_SOURCE_CONTINUE;
}

static void
test_accept_is_bounded (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;
  int clients[200];
  guint n_beats = 0;
  g_autoptr (GSource) beat = g_timeout_source_new (0);

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    clients[i] = raw_connect (scene.path);
  g_source_set_callback (beat, beat_cb, &n_beats, NULL);
  g_source_attach (beat, test->context);
  scene_take_connections (&scene);
  while (scene.connections->len == 0)
    g_main_context_iteration (test->context, TRUE);
  n_beats = 0;
  usock_test_wait_until (scene.connections->len == G_N_ELEMENTS (clients));
  g_assert_cmpuint (n_beats, >=, 2);
  g_source_destroy (beat);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    close (clients[i]);
  scene_stop (&scene);
}

static gboolean
elapsed_cb (gpointer elapsed)
{
  *(gboolean *) elapsed = TRUE;
  return G_SOURCE_REMOVE;
}

static void
call_after (UsockTest *test,
            guint      interval,
            gboolean  *elapsed)
{
  g_autoptr (GSource) source = g_timeout_source_new (interval);

  g_source_set_callback (source, elapsed_cb, elapsed, NULL);
  g_source_attach (source, test->context);
}

/* In a child, for the limit is the process'. */
static void
test_out_of_descriptors (UsockTest     *test,
                         gconstpointer  unused)
{
  pid_t child;
  int status;

  if (scene_skip_limits ())
    return;

  child = fork ();
  if (child == 0)
    {
      Scene scene;
      struct rlimit before, none;
      int clients[3], lowest;
      guint n_turns = 0;
      gboolean elapsed = FALSE;

      scene_start (&scene, test);
      scene_listen_on_path (&scene);
      scene_take_connections (&scene);
      for (guint i = 0; i < 3; i++)
        clients[i] = raw_connect (scene.path);
      lowest = fcntl (clients[0], F_DUPFD_CLOEXEC, 3);
      close (lowest);
      getrlimit (RLIMIT_NOFILE, &before);
      none = before;
      none.rlim_cur = lowest + 1;
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &none));

      /* One gets through; then there is one error, however long it lasts, and no spinning. */
      usock_test_wait_until (scene.witness.n_words == 2);
      call_after (test, 200, &elapsed);
      for (; !elapsed; n_turns++)
        usock_test_iterate (usock_test_deadline (), "the end of a while");
      g_assert_cmpuint (n_turns, <, 50);
      witness_assert (&scene.witness, "connection error:too-many-open-files");
      g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.server)), ==, EMFILE);
      g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.server)), ==,
                       USOCK_STATE_LISTENING);
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));
      witness_expect (&scene.witness, "connection connection");
      _exit (0);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
}

/* Closing. */

static void
test_close_after_last_connection (UsockTest     *test,
                                  gconstpointer  unused)
{
  Scene scene;
  int clients[2];
  int waiting;

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  scene_take_connections (&scene);
  for (guint i = 0; i < 2; i++)
    clients[i] = raw_connect (scene.path);
  witness_expect (&scene.witness, "connection connection");
  waiting = raw_connect (scene.path);
  usock_socket_close (USOCK_SOCKET (scene.server));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (scene.server)), ==, USOCK_STATE_CLOSED);
  g_assert_false (usock_server_get_active (scene.server));
  scene_settle ();
  witness_assert (&scene.witness, "");
  g_assert_null (scene_receive (waiting));
  g_assert_cmpint (raw_connect (scene.path), ==, -1);
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 2);
  close (clients[0]);
  scene_settle ();
  witness_assert (&scene.witness, "");
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 1);
  close (clients[1]);
  witness_expect (&scene.witness, "close");
  close (waiting);
  scene_stop (&scene);
}

static void
close_in_connection_cb (UsockChannel *connection,
                        Scene        *scene)
{
  witness_write (&scene->witness, "gone");
}

/* A program that holds nothing runs until the last of it is gone. */
static void
test_dropped (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  gpointer weak;
  int client;

  scene_start (&scene, test);
  scene_listen_on_path (&scene);
  scene_take_connections (&scene);
  client = raw_connect (scene.path);
  witness_expect (&scene.witness, "connection");
  g_signal_connect (scene.connections->pdata[0], "close", G_CALLBACK (close_in_connection_cb),
                    &scene);
  weak = scene.server;
  g_object_add_weak_pointer (weak, &weak);
  g_object_unref (scene.server);
  g_ptr_array_set_free_func (scene.connections, g_object_unref);
  g_ptr_array_set_size (scene.connections, 0);
  scene_settle ();
  g_assert_nonnull (weak);
  usock_socket_close (weak);
  close (client);
  usock_run_until_closed (test->context);
  g_assert_null (weak);
  witness_assert (&scene.witness, "gone close");
  g_ptr_array_unref (scene.connections);
  g_free (scene.path);
  witness_clear (&scene.witness);
}

static void
test_close_new (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test);
  usock_socket_close (USOCK_SOCKET (scene.server));
  witness_expect (&scene.witness, "close");
  scene_stop (&scene);
}

/* The settings of connections. */

static void
test_settings_are_inherited (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;
  UsockChannel *connection;
  int client;

  scene_start (&scene, test);
  usock_server_set_max_fds (scene.server, 3);
  usock_server_set_max_held_fds (scene.server, 4);
  usock_server_set_pass_credentials (scene.server, TRUE);
  usock_server_set_allow_half_open (scene.server, TRUE);
  usock_server_set_read_buffer_size (scene.server, 1234);
  usock_server_set_queue_limit (scene.server, 5678);
  scene_listen_on_path (&scene);
  scene_take_connections (&scene);
  client = raw_connect (scene.path);
  witness_expect (&scene.witness, "connection");
  connection = scene.connections->pdata[0];
  g_assert_cmpuint (usock_channel_get_max_fds (connection), ==, 3);
  g_assert_cmpuint (usock_channel_get_max_held_fds (connection), ==, 4);
  g_assert_true (usock_channel_get_pass_credentials (connection));
  g_assert_true (usock_channel_get_allow_half_open (connection));
  g_assert_cmpuint (usock_channel_get_read_buffer_size (connection), ==, 1234);
  g_assert_cmpuint (usock_channel_get_queue_limit (connection), ==, 5678);
  close (client);
  scene_stop (&scene);
}

static void
credentials_cb (UsockChannel *channel,
                UsockMessage *message,
                guint        *n_known)
{
  GCredentials *credentials = usock_message_get_credentials (message);

  g_assert_nonnull (credentials);
  g_assert_cmpint (g_credentials_get_unix_pid (credentials, NULL), ==, getpid ());
  (*n_known)++;
}

/* Also of what is sent before anybody accepts. */
static void
test_early_credentials (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;
  int clients[100];
  guint n_known = 0;

  scene_start (&scene, test);
  usock_server_set_pass_credentials (scene.server, TRUE);
  scene_listen_on_path (&scene);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      clients[i] = raw_connect (scene.path);
      scene_send (clients[i], "early");
    }
  scene_take_connections (&scene);
  usock_test_wait_until (scene.connections->len == G_N_ELEMENTS (clients));
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      g_autoptr (GCredentials) peer
          = usock_socket_get_peer_credentials (scene.connections->pdata[i], NULL);

      g_assert_cmpint (g_credentials_get_unix_pid (peer, NULL), ==, getpid ());
      g_signal_connect (scene.connections->pdata[i], "message", G_CALLBACK (credentials_cb),
                        &n_known);
    }
  usock_test_wait_until (n_known == G_N_ELEMENTS (clients));
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    close (clients[i]);
  scene_stop (&scene);
}

/* A server of another context has its connections there. */
static void
test_connection_joins_context (UsockTest     *test,
                               gconstpointer  unused)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Scene scene;
  Witness witness;
  int client;

  g_main_context_push_thread_default (context);
  scene_start (&scene, test);
  usock_test_no_error (usock_server_listen_on_path (scene.server, scene.path, 0, &error));
  g_main_context_pop_thread_default (context);

  scene_take_connections (&scene);
  client = raw_connect (scene.path);
  scene_send (client, "1");
  scene_settle ();
  witness_assert (&scene.witness, "");
  while (scene.connections->len == 0)
    g_main_context_iteration (context, TRUE);
  witness_init (&witness);
  witness_watch (&witness, scene.connections->pdata[0], "data end close");
  scene_settle ();
  witness_assert (&witness, "");
  while (witness.n_words == 0)
    g_main_context_iteration (context, TRUE);
  witness_assert (&witness, "data:1");
  close (client);
  while (witness.n_closed == 0)
    g_main_context_iteration (context, TRUE);
  usock_socket_close (USOCK_SOCKET (scene.server));
  while (g_main_context_iteration (context, FALSE))
    ;
  g_assert_cmpuint (scene.witness.n_closed, ==, 1);
  witness_clear (&witness);
  scene_stop (&scene);
}

static void
count_cb (GObject    *object,
          GParamSpec *pspec,
          guint      *n_notified)
{
  (*n_notified)++;
}

static void
test_properties (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GObject *object = G_OBJECT (server);
  g_autofree GParamSpec **pspecs = NULL;
  guint n_pspecs, n_checked = 0;

  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (object), &n_pspecs);
  for (guint i = 0; i < n_pspecs; i++)
    {
      g_auto (GValue) value = G_VALUE_INIT;
      g_autofree char *signal = g_strconcat ("notify::", pspecs[i]->name, NULL);
      guint n_notified = 0;

      g_value_init (&value, pspecs[i]->value_type);
      g_object_get_property (object, pspecs[i]->name, &value);
      /* Which one it is follows from the type of the server. */
      if (G_VALUE_HOLDS_GTYPE (&value))
        g_assert_true (g_value_get_gtype (&value) == USOCK_TYPE_SEQPACKET);
      else
        g_assert_true (g_param_value_defaults (pspecs[i], &value));
      if (!(pspecs[i]->flags & G_PARAM_WRITABLE) || (pspecs[i]->flags & G_PARAM_CONSTRUCT_ONLY))
        continue;

      if (G_VALUE_HOLDS_BOOLEAN (&value))
        g_value_set_boolean (&value, !g_value_get_boolean (&value));
      else if (G_VALUE_HOLDS_UINT (&value))
        g_value_set_uint (&value, 7);
      else if (G_VALUE_HOLDS_ENUM (&value))
        g_value_set_enum (&value, 1);
      else if (G_VALUE_HOLDS_STRING (&value))
        g_value_set_static_string (&value, "7");
      else if (G_VALUE_HOLDS_GTYPE (&value))
        continue;
      else
        g_value_set_uint64 (&value, 7);
      g_signal_connect (object, signal, G_CALLBACK (count_cb), &n_notified);
      g_object_set_property (object, pspecs[i]->name, &value);
      g_object_set_property (object, pspecs[i]->name, &value);
      g_assert_cmpuint (n_notified, ==, 1);
      n_checked++;
    }
  g_assert_cmpuint (n_checked, ==, 24);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/server/" name, function)

  add ("connection", test_connection);
  add ("late-listener", test_late_listener);
  add ("handler-leaves", test_handler_leaves);
  add ("handler-closes-server", test_handler_closes_server);
  add ("nested-loop", test_nested_loop);
  add ("client-gone", test_client_gone);
  add ("failures", test_failures);
  add ("other-types", test_other_types);
  add ("second-listen", test_second_listen);
  add ("path-is-removed", test_path_is_removed);
  add ("path-is-left", test_path_is_left);
  add ("path-of-another", test_path_of_another);
  add ("mode", test_mode);
  add ("relative-path", test_relative_path);
  add ("address", test_address);
  add ("abstract", test_abstract);
  add ("backlog", test_backlog);
  add ("accept-is-bounded", test_accept_is_bounded);
  add ("out-of-descriptors", test_out_of_descriptors);
  add ("close-after-last-connection", test_close_after_last_connection);
  add ("dropped", test_dropped);
  add ("close-new", test_close_new);
  add ("settings-are-inherited", test_settings_are_inherited);
  add ("early-credentials", test_early_credentials);
  add ("connection-joins-context", test_connection_joins_context);
  add ("properties", test_properties);

  return g_test_run ();
}
