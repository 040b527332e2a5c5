/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a server comes to listen: paths, names, descriptors, and what the service manager passes. */

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <gio/gunixsocketaddress.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;

typedef struct
{
  Witness witness;
  UsockServer *server;
  UsockChannel *connection;
} Scene;

static void
keep_connection_cb (UsockServer  *server,
                    UsockChannel *connection,
                    Scene        *scene)
{
  g_set_object (&scene->connection, connection);
}

static void
scene_start (Scene       *scene,
             UsockServer *server)
{
  witness_init (&scene->witness);
  scene->server = server;
  scene->connection = NULL;
  witness_watch (&scene->witness, server, "listening connection error close");
  g_signal_connect (server, "connection", G_CALLBACK (keep_connection_cb), scene);
}

static void
scene_stop (Scene *scene)
{
  if (scene->connection != NULL)
    scene_close (scene->connection);
  scene_close (scene->server);
  witness_clear (&scene->witness);
}

static int
raw_bind (int         type,
          const char *path)
{
  struct sockaddr_un name = { AF_UNIX };
  int fd = socket (AF_UNIX, type | SOCK_CLOEXEC, 0);

  g_strlcpy (name.sun_path, path, sizeof name.sun_path);
  g_assert_no_errno (fd);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &name, sizeof name));
  return fd;
}

static int
raw_listen (int         type,
            const char *path)
{
  int fd = raw_bind (type, path);

  g_assert_no_errno (listen (fd, 5));
  return fd;
}

static int
raw_connect (int         type,
             const char *path)
{
  struct sockaddr_un name = { AF_UNIX };
  int fd = socket (AF_UNIX, type | SOCK_CLOEXEC, 0);

  g_strlcpy (name.sun_path, path, sizeof name.sun_path);
  g_assert_no_errno (fd);
  if (connect (fd, (struct sockaddr *) &name, sizeof name) == 0)
    return fd;

  close (fd);
  return -1;
}

static gboolean
exists (const char *path)
{
  struct stat info;

  return lstat (path, &info) == 0;
}

static void
wait_for_success (pid_t child)
{
  int status;

  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmphex (status, ==, 0);
}

/* Paths. */

static void
test_make_parents (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "one/two/socket");
  g_autofree char *parent = usock_test_path (test, "one");
  g_autofree char *elsewhere = usock_test_path (test, "three/socket");
  g_autofree char *third = usock_test_path (test, "three");
  UsockServer *server = g_object_new (USOCK_TYPE_SERVER, "make-parents", TRUE, NULL);
  GError *failure = NULL;
  struct stat info;

  g_assert_true (usock_server_get_make_parents (server));
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  g_assert_no_errno (stat (parent, &info));
  g_assert_cmphex (info.st_mode & 07777, ==, 0700);

  /* What listens already has nothing to make. */
  g_assert_false (usock_server_listen_on_path (server, elsewhere, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_EXISTS);
  g_assert_false (exists (third));
  scene_close (server);
  g_assert_false (exists (path));
}

/* Its clients learn it at once, and the next one has the path at once. */

#define N_TAKEN 100
#define N_WAITING 50

static void
close_count_cb (UsockServer  *server,
                UsockChannel *connection,
                guint        *n_taken)
{
  if (++*n_taken == N_TAKEN)
    g_signal_handlers_disconnect_by_func (server, close_count_cb, n_taken);
}

static void
run_doomed_server (const char *path,
                   int         ready)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_taken = 0;
  UsockServer *server;

  g_main_context_push_thread_default (context);
  server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_signal_connect (server, "connection", G_CALLBACK (close_count_cb), &n_taken);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  g_assert_cmpint (write (ready, "l", 1), ==, 1);
  while (n_taken < N_TAKEN)
    g_main_context_iteration (context, TRUE);
  g_assert_cmpint (write (ready, "t", 1), ==, 1);
  for (;;)
    g_main_context_iteration (context, TRUE);
}

static void
await_byte (int ready)
{
  char byte;

  g_assert_cmpint (read (ready, &byte, 1), ==, 1);
}

static void
test_killed (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int clients[N_TAKEN + N_WAITING];
  int ready[2];
  pid_t child;
  int status;
  Scene scene;

  g_assert_no_errno (pipe2 (ready, O_CLOEXEC));
  child = fork ();
  if (child == 0)
    run_doomed_server (path, ready[1]);
  close (ready[1]);
  await_byte (ready[0]);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      if (i == N_TAKEN)
        await_byte (ready[0]);
      clients[i] = raw_connect (SOCK_SEQPACKET, path);
      g_assert_cmpint (clients[i], !=, -1);
    }

  g_assert_no_errno (kill (child, SIGKILL));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      g_assert_true (scene_is_hung_up (clients[i]));
      g_assert_null (scene_receive (clients[i]));
      close (clients[i]);
    }

  g_assert_true (exists (path));
  scene_start (&scene, usock_server_new (G_SOCKET_TYPE_SEQPACKET));
  usock_test_no_error (usock_server_listen_on_path (scene.server, path, 0, &error));
  clients[0] = raw_connect (SOCK_SEQPACKET, path);
  witness_expect (&scene.witness, "listening connection");
  close (clients[0]);
  close (ready[0]);
  scene_stop (&scene);
}

/* Long paths need no current directory, so threads are not in each other's way. */

static gpointer
long_path_thread (gpointer directory)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autofree char *entry = g_strdup_printf ("%0200d", g_random_int ());
  g_autofree char *path = g_build_filename (directory, entry, NULL);

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 100; i++)
    {
      UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
      UsockChannel *client = USOCK_CHANNEL (usock_seqpacket_new ());

      usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
      g_assert_true (exists (path));
      usock_test_no_error (usock_channel_connect_to_path (client, path, &error));
      scene_close (client);
      scene_close (server);
      g_assert_false (exists (path));
    }
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_long_paths_in_threads (UsockTest     *test,
                            gconstpointer  unused)
{
  g_autofree char *entry = g_strnfill (100, 'd');
  g_autofree char *directory = usock_test_path (test, entry);
  g_autofree char *before = g_get_current_dir ();
  g_autofree char *after = NULL;
  GThread *threads[4];

  g_assert_no_errno (mkdir (directory, 0700));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("long", long_path_thread, directory);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  after = g_get_current_dir ();
  g_assert_cmpstr (after, ==, before);
}

static void
check_without_proc (UsockTest *test)
{
  g_autofree char *entry = g_strnfill (200, 'x');
  g_autofree char *path = usock_test_path (test, entry);
  g_autofree char *short_path = usock_test_path (test, "socket");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GError *failure = NULL;

  g_assert_false (usock_server_listen_on_path (server, path, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_FILENAME_TOO_LONG);

  umask (077);
  usock_server_set_mode (server, 0666);
  g_assert_false (usock_server_listen_on_path (server, short_path, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_false (exists (short_path));
  usock_server_set_mode (server, 0600);
  usock_test_no_error (usock_server_listen_on_path (server, short_path, 0, &error));
  scene_close (server);
}

/* In a child that hides /proc from itself. */
static void
test_without_proc (UsockTest     *test,
                   gconstpointer  unused)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    {
      if (unshare (CLONE_NEWNS) == -1
          || mount ("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == -1
          || mount ("none", "/proc", "tmpfs", 0, NULL) == -1)
        _exit (77);
      check_without_proc (test);
      _exit (0);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  if (WIFEXITED (status) && WEXITSTATUS (status) == 77)
    g_test_skip ("only root may hide /proc");
  else
    g_assert_cmphex (status, ==, 0);
}

/* Names. */

static void
set_runtime_directory (const char *directory)
{
  if (directory != NULL)
    g_setenv ("XDG_RUNTIME_DIR", directory, TRUE);
  else
    g_unsetenv ("XDG_RUNTIME_DIR");
}

static void
test_name (UsockTest     *test,
           gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "org.example.App");
  UsockServer *server;
  UsockSeqpacket *client;
  GError *failure = NULL;
  Scene scene;
  Witness witness;
  struct stat info;
  int stale = raw_bind (SOCK_STREAM, path);

  close (stale);
  set_runtime_directory (test->directory);
  usock_test_no_error (server = usock_server_new_for_name ("org.example.App", &error));
  scene_start (&scene, server);
  g_assert_cmpstr (usock_server_get_path (server), ==, path);
  g_assert_cmpint (usock_server_get_allowed_users (server), ==, USOCK_ALLOWED_USERS_SAME_USER);
  g_assert_no_errno (stat (path, &info));
  g_assert_cmphex (info.st_mode, ==, S_IFSOCK | 0600);
  g_assert_null (usock_server_new_for_name ("org.example.App", &failure));
  assert_error_code (failure, G_IO_ERROR_ADDRESS_IN_USE);

  usock_test_no_error (client = usock_seqpacket_new_for_name ("org.example.App", &error));
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (client), "hello", &error));
  witness_expect (&scene.witness, "listening connection");
  witness_init (&witness);
  witness_watch (&witness, scene.connection, "data");
  witness_expect (&witness, "data:hello");
  witness_clear (&witness);
  scene_close (client);
  scene_stop (&scene);
  g_assert_false (exists (path));
  g_assert_null (usock_seqpacket_new_for_name ("org.example.App", &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
}

static void
test_name_of_stream (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;
  UsockStream *client;
  UsockDgram *dgram = usock_dgram_new ();
  GError *failure = NULL;

  set_runtime_directory (test->directory);
  scene_start (&scene, usock_server_new (G_SOCKET_TYPE_STREAM));
  usock_test_no_error (usock_server_listen_on_name (scene.server, "x", 0, &error));
  usock_test_no_error (client = usock_stream_new_for_name ("x", &error));
  witness_expect (&scene.witness, "listening connection");
  g_assert_true (USOCK_IS_STREAM (scene.connection));
  g_assert_null (usock_seqpacket_new_for_name ("x", &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_false (usock_channel_connect_to_name (USOCK_CHANNEL (dgram), "x", &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  scene_close (dgram);
  scene_close (client);
  scene_stop (&scene);
}

static void
check_no_name (const char   *name,
               GIOErrorEnum  code)
{
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GError *failure = NULL;

  g_assert_null (usock_server_new_for_name (name, &failure));
  if (*name != '\0')
    g_assert_nonnull (strstr (failure->message, name));
  assert_error_code (failure, code);
  g_assert_null (usock_seqpacket_new_for_name (name, &failure));
  assert_error_code (failure, code);
  g_assert_null (usock_stream_new_for_name (name, &failure));
  assert_error_code (failure, code);

  g_assert_false (usock_server_listen_on_name (server, name, 0, NULL));
  g_object_unref (server);
}

static void
test_name_failures (UsockTest     *test,
                    gconstpointer  unused)
{
  g_autofree char *missing = usock_test_path (test, "missing");

  set_runtime_directory (test->directory);
  check_no_name ("", G_IO_ERROR_INVALID_FILENAME);
  check_no_name (".", G_IO_ERROR_INVALID_FILENAME);
  check_no_name ("..", G_IO_ERROR_INVALID_FILENAME);
  check_no_name ("a/b", G_IO_ERROR_INVALID_FILENAME);
  check_no_name ("/tmp/x", G_IO_ERROR_INVALID_FILENAME);

  set_runtime_directory (NULL);
  check_no_name ("org.example.App", G_IO_ERROR_NOT_FOUND);
  set_runtime_directory ("");
  check_no_name ("org.example.App", G_IO_ERROR_NOT_FOUND);
  set_runtime_directory ("run");
  check_no_name ("org.example.App", G_IO_ERROR_NOT_FOUND);
  set_runtime_directory (missing);
  check_no_name ("org.example.App", G_IO_ERROR_NOT_FOUND);

  if (chown (test->directory, 65534, 65534) == -1)
    return;
  set_runtime_directory (test->directory);
  check_no_name ("org.example.App", G_IO_ERROR_PERMISSION_DENIED);
}

/* In a sandbox an app has its own directory, and those outside see it. */
static void
test_name_in_flatpak (UsockTest     *test,
                      gconstpointer  unused)
{
  static const char *const names[] = { "org.example.App", "org.example.App.Helper", "chat" };

  set_runtime_directory (test->directory);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *entry = g_strdup_printf ("app/org.example.App/%s", names[i]);
      g_autofree char *path = usock_test_path (test, entry);
      UsockServer *server;
      UsockSeqpacket *client;
      GError *failure = NULL;

      g_setenv ("FLATPAK_ID", "org.example.App", TRUE);
      usock_test_no_error (server = usock_server_new_for_name (names[i], &error));
      g_assert_cmpstr (usock_server_get_path (server), ==, path);
      usock_test_no_error (client = usock_seqpacket_new_for_name (names[i], &error));
      scene_close (client);

      g_unsetenv ("FLATPAK_ID");
      client = usock_seqpacket_new_for_name (names[i], &failure);
      if (g_str_has_prefix (names[i], "org.example.App"))
        {
          g_assert_no_error (failure);
          scene_close (client);
        }
      else
        assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
      scene_close (server);
      g_assert_false (exists (path));
    }
}

/* What is outside is found from inside, where the sandbox lets it be seen; one's own comes first. */
static void
test_name_from_flatpak (UsockTest     *test,
                        gconstpointer  unused)
{
  UsockServer *outside, *inside;
  UsockSeqpacket *client;

  set_runtime_directory (test->directory);
  usock_test_no_error (outside = usock_server_new_for_name ("org.example.App", &error));
  g_setenv ("FLATPAK_ID", "org.example.App", TRUE);
  usock_test_no_error (client = usock_seqpacket_new_for_name ("org.example.App", &error));
  scene_close (client);
  usock_test_no_error (inside = usock_server_new_for_name ("org.example.App", &error));
  usock_socket_close (USOCK_SOCKET (outside));
  usock_test_no_error (client = usock_seqpacket_new_for_name ("org.example.App", &error));
  scene_close (client);
  g_unsetenv ("FLATPAK_ID");
  scene_close (inside);
  scene_close (outside);
}

/* The directory is made of a name, so it must be one. */
static void
test_wrong_flatpak (UsockTest     *test,
                    gconstpointer  unused)
{
  static const char *const ids[] = { "", ".", "..", "../../x", "a/b" };
  g_autofree char *path = usock_test_path (test, "x");

  set_runtime_directory (test->directory);
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    {
      UsockServer *server;

      g_setenv ("FLATPAK_ID", ids[i], TRUE);
      usock_test_no_error (server = usock_server_new_for_name ("x", &error));
      g_assert_cmpstr (usock_server_get_path (server), ==, path);
      scene_close (server);
    }
  g_unsetenv ("FLATPAK_ID");
}

/* Groups. */

static void
check_group (UsockTest  *test,
             const char *group,
             gid_t       expected)
{
  g_autofree char *path = usock_test_path (test, "group");
  UsockServer *server = g_object_new (USOCK_TYPE_SERVER, "mode", 0660, "group", group, NULL);
  mode_t before = umask (0077);
  struct stat info;

  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  umask (before);
  g_assert_no_errno (lstat (path, &info));
  g_assert_cmphex (info.st_mode & 07777, ==, 0660);
  g_assert_cmpuint (info.st_gid, ==, expected);
  g_assert_cmpuint (info.st_uid, ==, geteuid ());
  scene_close (server);
}

static void
test_group (UsockTest     *test,
            gconstpointer  unused)
{
  g_autofree char *own = g_strdup_printf ("%u", getegid ());
  struct group *first;

  check_group (test, NULL, getegid ());
  check_group (test, own, getegid ());
  if (getuid () != 0)
    return;

  check_group (test, "12345", 12345);
  setgrent ();
  while ((first = getgrent ()) != NULL && first->gr_gid == getegid ())
    ;
  if (first != NULL)
    {
      g_autofree char *name = g_strdup (first->gr_name);

      check_group (test, name, first->gr_gid);
    }
  endgrent ();
}

static void
check_wrong_group (UsockTest    *test,
                   const char   *where,
                   const char   *group,
                   GIOErrorEnum  code)
{
  UsockServer *server = g_object_new (USOCK_TYPE_SERVER, "group", group, NULL);
  GError *failure = NULL;

  g_assert_false (usock_server_listen_on_path (server, where, 0, &failure));
  g_assert_nonnull (strstr (failure->message, group));
  g_assert_nonnull (strstr (failure->message, where));
  assert_error_code (failure, code);
  g_assert_false (exists (where));

  usock_server_set_group (server, NULL);
  usock_test_no_error (usock_server_listen_on_path (server, where, 0, &error));
  scene_close (server);
}

/* Nobody listens where the group is not what it should be. */
static void
test_wrong_groups (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autofree char *name = g_strdup_printf ("@usock-test-group-%d", getpid ());

  check_wrong_group (test, path, "no such group", G_IO_ERROR_INVALID_ARGUMENT);
  check_wrong_group (test, path, "-1", G_IO_ERROR_INVALID_ARGUMENT);
  check_wrong_group (test, path, "4294967295", G_IO_ERROR_INVALID_ARGUMENT);
  check_wrong_group (test, path, "", G_IO_ERROR_INVALID_ARGUMENT);
  check_wrong_group (test, name, "12345", G_IO_ERROR_NOT_SUPPORTED);
  if (getuid () != 0)
    return;

  g_assert_no_errno (chmod (test->directory, 0777));
  g_assert_no_errno (seteuid (61001));
  check_wrong_group (test, path, "12345", G_IO_ERROR_PERMISSION_DENIED);
  g_assert_no_errno (seteuid (0));
}

/* Descriptors. */

static void
test_fd (UsockTest     *test,
         gconstpointer  data)
{
  gboolean listens = data != NULL;
  g_autofree char *path = usock_test_path (test, "socket");
  int fd = listens ? raw_listen (SOCK_SEQPACKET, path) : raw_bind (SOCK_SEQPACKET, path);
  Scene scene;
  int client;

  g_assert_no_errno (fcntl (fd, F_SETFD, 0));
  scene_start (&scene, usock_server_new (G_SOCKET_TYPE_SEQPACKET));
  usock_test_no_error (usock_server_listen_on_fd (scene.server, fd, 0, &error));
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (scene.server)), ==, fd);
  g_assert_cmpstr (usock_server_get_path (scene.server), ==, path);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
  g_assert_cmphex (fcntl (fd, F_GETFL), ==, O_RDWR | O_NONBLOCK);
  client = raw_connect (SOCK_SEQPACKET, path);
  witness_expect (&scene.witness, "listening connection");
  close (client);
  scene_stop (&scene);
  g_assert_true (exists (path));
  g_assert_cmpint (raw_connect (SOCK_SEQPACKET, path), ==, -1);
}

/* Another process that has it is told the same as before: that systemd listens, for one. */
static void
test_fd_is_left_listening (UsockTest     *test,
                           gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int fd = raw_bind (SOCK_SEQPACKET, path);
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  UsockServer *server;
  int client;
  pid_t child;

  child = fork ();
  if (child == 0)
    _exit (listen (fd, 5) == 0 ? 0 : 1);
  wait_for_success (child);
  server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  usock_test_no_error (usock_server_listen_on_fd (server, fd, 100, &error));
  client = raw_connect (SOCK_SEQPACKET, path);
  g_assert_no_errno (getsockopt (client, SOL_SOCKET, SO_PEERCRED, &credentials, &length));
  g_assert_cmpint (credentials.pid, ==, child);
  close (client);
  scene_close (server);
}

static void
check_bad_fd (int           fd,
              GIOErrorEnum  code,
              const char   *reason)
{
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  int flags = fcntl (fd, F_GETFD);
  int status = fcntl (fd, F_GETFL);
  GError *failure = NULL;

  g_assert_false (usock_server_listen_on_fd (server, fd, 0, &failure));
  if (reason != NULL)
    g_assert_nonnull (strstr (failure->message, reason));
  assert_error_code (failure, code);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (server)), ==, USOCK_STATE_NEW);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, flags);
  g_assert_cmpint (fcntl (fd, F_GETFL), ==, status);
  g_object_unref (server);
  if (fd >= 0)
    close (fd);
}

static void
test_bad_fds (UsockTest     *test,
              gconstpointer  unused)
{
  g_autofree char *stream = usock_test_path (test, "stream");
  g_autofree char *dgram = usock_test_path (test, "dgram");
  g_autofree char *path = usock_test_path (test, "socket");
  UsockServer *busy = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GError *failure = NULL;
  int fd;

  check_bad_fd (-1, G_IO_ERROR_INVALID_ARGUMENT, NULL);
  check_bad_fd (1000, G_IO_ERROR_INVALID_ARGUMENT, NULL);
  check_bad_fd (open ("/dev/null", O_RDWR), G_IO_ERROR_INVALID_ARGUMENT, NULL);
  check_bad_fd (raw_listen (SOCK_STREAM, stream), G_IO_ERROR_INVALID_ARGUMENT, "another type");
  check_bad_fd (raw_bind (SOCK_DGRAM, dgram), G_IO_ERROR_INVALID_ARGUMENT, "another type");
  check_bad_fd (socket (AF_UNIX, SOCK_SEQPACKET, 0), G_IO_ERROR_INVALID_ARGUMENT, "no address");
  check_bad_fd (usock_test_take (test, 0), G_IO_ERROR_INVALID_ARGUMENT, "a connection");

  fd = raw_listen (SOCK_SEQPACKET, path);
  usock_test_no_error (usock_server_listen_on_fd (busy, fd, 0, &error));
  g_assert_false (usock_server_listen_on_fd (busy, fd, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_EXISTS);
  scene_close (busy);
}

static void
test_fd_of_tcp (UsockTest     *test,
                gconstpointer  unused)
{
  struct sockaddr_in name = { AF_INET, 0, { htonl (INADDR_LOOPBACK) } };
  socklen_t length = sizeof name;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int client = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Scene scene;

  g_assert_no_errno (bind (fd, (struct sockaddr *) &name, sizeof name));
  g_assert_no_errno (listen (fd, 1));
  g_assert_no_errno (getsockname (fd, (struct sockaddr *) &name, &length));
  scene_start (&scene, usock_server_new (G_SOCKET_TYPE_STREAM));
  usock_test_no_error (usock_server_listen_on_fd (scene.server, fd, 0, &error));
  g_assert_null (usock_server_get_path (scene.server));
  g_assert_no_errno (connect (client, (struct sockaddr *) &name, sizeof name));
  witness_expect (&scene.witness, "listening connection");
  close (client);
  scene_stop (&scene);
}

/* Activation, in a new process that has these descriptors and no other. */

static void
start_activated (const char *job,
                 const char *names,
                 gboolean    for_it,
                 const int  *fds,
                 guint       n_fds)
{
  pid_t child = fork ();

  if (child == 0)
    {
      char pid[16], number[16];

      for (guint i = 0; i < n_fds; i++)
        g_assert_no_errno (dup2 (fcntl (fds[i], F_DUPFD, 100), 50 + i));
      for (guint i = 0; i < n_fds; i++)
        g_assert_no_errno (dup2 (50 + i, 3 + i));
      for (int fd = 3 + n_fds; fd < 1000; fd++)
        close (fd);
      g_snprintf (pid, sizeof pid, "%d", for_it ? getpid () : getppid ());
      g_snprintf (number, sizeof number, "%u", n_fds);
      g_setenv ("LISTEN_PID", pid, TRUE);
      g_setenv ("LISTEN_FDS", number, TRUE);
      if (names != NULL)
        g_setenv ("LISTEN_FDNAMES", names, TRUE);
      execl (program, program, "--activated", job, NULL);
      _exit (127);
    }
  wait_for_success (child);
}

static void
assert_environment (gboolean set)
{
  g_assert_cmpint (g_getenv ("LISTEN_PID") != NULL, ==, set);
  g_assert_cmpint (g_getenv ("LISTEN_FDS") != NULL, ==, set);
  g_assert_cmpint (g_getenv ("LISTEN_FDNAMES") != NULL, ==, set);
}

static void
assert_not_activated (GSocketType   type,
                      const char   *name,
                      GIOErrorEnum  code)
{
  g_autoptr (UsockServer) server = usock_server_new (type);
  GError *failure = NULL;

  g_assert_false (usock_server_listen_activated (server, name, &failure));
  assert_error_code (failure, code);
}

static void
activated_mixed (void)
{
  Scene packets, streams;
  Witness witness;
  UsockDgram *dgram;
  UsockSeqpacket *connection;
  UsockServer *closed = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GError *failure = NULL;

  scene_start (&packets, usock_server_new (G_SOCKET_TYPE_SEQPACKET));
  scene_start (&streams, usock_server_new (G_SOCKET_TYPE_STREAM));
  assert_not_activated (G_SOCKET_TYPE_STREAM, "packets", G_IO_ERROR_INVALID_ARGUMENT);
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, "connection", G_IO_ERROR_INVALID_ARGUMENT);
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, "nothing", G_IO_ERROR_NOT_FOUND);
  g_assert_null (usock_seqpacket_new_activated ("packets", &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_null (usock_stream_new_activated ("streams", &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  for (int fd = 3; fd < 7; fd++)
    g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);

  /* Who cannot use it leaves it for others. */
  scene_close (g_object_ref (closed));
  g_assert_false (usock_server_listen_activated (closed, "packets", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  g_object_unref (closed);

  usock_test_no_error (usock_server_listen_activated (packets.server, "packets", &error));
  usock_test_no_error (usock_server_listen_activated (streams.server, NULL, &error));
  witness_expect (&packets.witness, "listening connection");
  witness_expect (&streams.witness, "listening connection");
  usock_test_no_error (dgram = usock_dgram_new_activated ("dgram", &error));
  witness_init (&witness);
  witness_watch (&witness, dgram, "data");
  witness_expect (&witness, "data:early");
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, "packets", G_IO_ERROR_NOT_FOUND);
  assert_environment (TRUE);
  usock_test_no_error (connection = usock_seqpacket_new_activated ("connection", &error));
  assert_environment (FALSE);
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, NULL, G_IO_ERROR_NOT_FOUND);

  witness_clear (&witness);
  scene_close (connection);
  scene_close (dgram);
  scene_stop (&packets);
  scene_stop (&streams);
}

static void
test_activated (UsockTest     *test,
                gconstpointer  unused)
{
  g_autofree char *packets = usock_test_path (test, "packets");
  g_autofree char *streams = usock_test_path (test, "streams");
  g_autofree char *dgram = usock_test_path (test, "dgram");
  int fds[] = { raw_listen (SOCK_SEQPACKET, packets), raw_listen (SOCK_STREAM, streams),
                raw_bind (SOCK_DGRAM, dgram), test->pair[0] };
  int clients[] = { raw_connect (SOCK_SEQPACKET, packets), raw_connect (SOCK_STREAM, streams),
                    raw_connect (SOCK_DGRAM, dgram) };

  scene_send (clients[2], "early");
  start_activated ("mixed", "packets:streams:dgram:connection", TRUE, fds, 4);
  g_assert_true (exists (packets));
  g_assert_true (exists (streams));
  g_assert_true (exists (dgram));
  for (guint i = 0; i < 3; i++)
    {
      close (fds[i]);
      close (clients[i]);
    }
}

static void
activated_refused (void)
{
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, NULL, G_IO_ERROR_NOT_FOUND);
  assert_environment (TRUE);
  g_setenv ("LISTEN_PID", "", TRUE);
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, NULL, G_IO_ERROR_NOT_FOUND);
  g_setenv ("LISTEN_PID", "1x", TRUE);
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, NULL, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpint (fcntl (3, F_GETFD), ==, 0);
}

static void
activated_wrongly (void)
{
  g_setenv ("LISTEN_FDS", "-1", TRUE);
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, NULL, G_IO_ERROR_NOT_FOUND);
  g_setenv ("LISTEN_FDS", "99999999999", TRUE);
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, NULL, G_IO_ERROR_NOT_FOUND);

  /* More than there are, and a pipe among them. */
  g_setenv ("LISTEN_FDS", "5", TRUE);
  assert_not_activated (G_SOCKET_TYPE_STREAM, NULL, G_IO_ERROR_INVALID_ARGUMENT);
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, "pipe", G_IO_ERROR_INVALID_ARGUMENT);
  assert_not_activated (G_SOCKET_TYPE_SEQPACKET, "unknown", G_IO_ERROR_INVALID_ARGUMENT);
}

static void
test_not_activated (UsockTest     *test,
                    gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int fds[2] = { raw_listen (SOCK_SEQPACKET, path) };
  int pipe_fds[2];

  g_assert_no_errno (pipe2 (pipe_fds, O_CLOEXEC));
  fds[1] = pipe_fds[0];
  start_activated ("refused", "x", FALSE, fds, 1);
  start_activated ("wrongly", "x:pipe", TRUE, fds, 2);
  close (fds[0]);
  close (pipe_fds[0]);
  close (pipe_fds[1]);
}

/* What has no name, and what has the same. */

static void
activated_alike (void)
{
  const char *names = g_getenv ("LISTEN_FDNAMES");
  const char *name = names != NULL ? "same" : "unknown";
  UsockServer *servers[2];

  for (guint i = 0; i < 2; i++)
    {
      servers[i] = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
      usock_test_no_error (usock_server_listen_activated (servers[i], name, &error));
      g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (servers[i])), ==, 3 + i);
    }
  assert_environment (FALSE);
  scene_close (servers[0]);
  scene_close (servers[1]);
}

static void
test_activated_alike (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autofree char *first = usock_test_path (test, "first");
  g_autofree char *second = usock_test_path (test, "second");
  int fds[] = { raw_listen (SOCK_SEQPACKET, first), raw_listen (SOCK_SEQPACKET, second) };

  start_activated ("alike", "same:same", TRUE, fds, 2);
  start_activated ("alike", NULL, TRUE, fds, 2);
  close (fds[0]);
  close (fds[1]);
}

static void
activated_name (void)
{
  GError *failure = NULL;
  Scene scene;
  UsockServer *server;

  /* There is no directory, and no need of one. */
  set_runtime_directory (NULL);
  g_assert_null (usock_server_new_for_name ("org.example.Packets", &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  g_assert_null (usock_server_new_for_name ("org.example.Stream", &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  usock_test_no_error (server = usock_server_new_for_name ("org.example.App", &error));
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (server)), ==, 3);
  scene_start (&scene, server);
  witness_expect (&scene.witness, "listening connection");
  scene_stop (&scene);
}

static void
test_activated_name (UsockTest     *test,
                     gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autofree char *stream = usock_test_path (test, "stream");
  int fds[] = { raw_listen (SOCK_SEQPACKET, path), raw_listen (SOCK_STREAM, stream) };
  int clients[2];

  clients[0] = raw_connect (SOCK_SEQPACKET, path);
  start_activated ("name", "org.example.App:org.example.Stream.socket", TRUE, fds, 2);
  clients[1] = raw_connect (SOCK_SEQPACKET, path);
  start_activated ("name", "org.example.App.socket:org.example.Stream", TRUE, fds, 2);
  g_assert_true (exists (path));
  for (guint i = 0; i < 2; i++)
    {
      close (clients[i]);
      close (fds[i]);
    }
}

static const struct
{
  const char *name;
  void (*run) (void);
} jobs[] = {
  { "mixed", activated_mixed },     { "refused", activated_refused },
  { "wrongly", activated_wrongly }, { "alike", activated_alike },
  { "name", activated_name },
};

static int
run_activated (const char *job)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < G_N_ELEMENTS (jobs); i++)
    if (g_str_equal (job, jobs[i].name))
      {
        jobs[i].run ();
        return 0;
      }
  return 2;
}

int
main (int   argc,
      char *argv[])
{
  program = argv[0];
  if (argc == 3 && g_str_equal (argv[1], "--activated"))
    return run_activated (argv[2]);

  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/server-listen/" name, function)

  add ("make-parents", test_make_parents);
  add ("killed", test_killed);
  add ("long-paths-in-threads", test_long_paths_in_threads);
  add ("without-proc", test_without_proc);
  add ("name", test_name);
  add ("name-of-stream", test_name_of_stream);
  add ("name-in-flatpak", test_name_in_flatpak);
  add ("name-from-flatpak", test_name_from_flatpak);
  add ("wrong-flatpak", test_wrong_flatpak);
  add ("group", test_group);
  add ("wrong-groups", test_wrong_groups);
  add ("name-failures", test_name_failures);
  g_test_add ("/usock/server-listen/fd-bound", UsockTest, NULL, usock_test_setup, test_fd,
              usock_test_teardown);
  g_test_add ("/usock/server-listen/fd-listening", UsockTest, "listens", usock_test_setup, test_fd,
              usock_test_teardown);
  add ("fd-is-left-listening", test_fd_is_left_listening);
  add ("bad-fds", test_bad_fds);
  add ("fd-of-tcp", test_fd_of_tcp);
  add ("activated", test_activated);
  add ("not-activated", test_not_activated);
  add ("activated-alike", test_activated_alike);
  add ("activated-name", test_activated_name);

  return g_test_run ();
}
