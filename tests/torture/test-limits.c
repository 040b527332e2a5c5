/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A process that may have no more memory, or descriptors, and peers who ask for more. How large
 * something is that the peer decides of is an error where there is no room for it, and never the end
 * of the process; when there is room again, all goes on. Each runs in a child, whose limit it is. */

#include "torture.h"

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>

#define CHUNK (64 * 1024)
#define LARGE (180 * 1024)
#define N_CALLS 8
#define N_CROWD 100
#define HUGE (24 * 1024 * 1024)

typedef int (*Scenario) (GMainContext *context);

/* All that could be had. */
static gpointer ballast;

static void
limit_memory (gsize spare)
{
  struct rlimit limit;
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_no_errno (getrlimit (RLIMIT_AS, &limit));
  limit.rlim_cur = g_ascii_strtoull (text, NULL, 10) * (gsize) sysconf (_SC_PAGESIZE) + spare;
  g_assert_no_errno (setrlimit (RLIMIT_AS, &limit));
}

/* Small things are still to be had, which take one chunk together at the most. */
static void
exhaust_memory (void)
{
  gpointer *chunk;

  limit_memory (4 * CHUNK);
  while ((chunk = malloc (CHUNK)) != NULL)
    {
      *chunk = ballast;
      ballast = chunk;
    }

  chunk = ballast;
  ballast = *chunk;
  free (chunk);
}

static void
relieve_memory (void)
{
  struct rlimit limit;

  while (ballast != NULL)
    {
      gpointer *chunk = ballast;

      ballast = *chunk;
      free (chunk);
    }
  g_assert_no_errno (getrlimit (RLIMIT_AS, &limit));
  limit.rlim_cur = limit.rlim_max;
  g_assert_no_errno (setrlimit (RLIMIT_AS, &limit));
}

static void
iterate_until (GMainContext *context,
               gboolean    (*is_so) (gpointer data),
               gpointer      data)
{
  gint64 deadline = usock_test_deadline ();

  while (!is_so (data))
    usock_test_iterate (deadline, "what the child waits for");
}

static gboolean
is_set (gpointer data)
{
  return *(guint *) data > 0;
}

/* A channel, and the raw end of its peer. */
typedef struct
{
  UsockChannel *channel;
  int peer;
  guint n_whole;
  guint n_cut;
  gsize full_length;
  guint n_failed;
  int code;
  guint n_closed;
} Scene;

static guint8 data[LARGE];

static void
scene_message_cb (UsockChannel *channel,
                  UsockMessage *message,
                  Scene        *self)
{
  if (usock_message_get_flags (message) & USOCK_MESSAGE_FLAGS_TRUNCATED)
    self->n_cut++;
  else
    self->n_whole++;
  self->full_length = usock_message_get_full_length (message);
}

static void
scene_error_cb (UsockSocket  *socket,
                const GError *error,
                Scene        *self)
{
  self->n_failed++;
  self->code = error->code;
}

static void
scene_close_cb (UsockSocket *socket,
                Scene       *self)
{
  self->n_closed++;
}

static void
scene_start (Scene *self,
             int    type)
{
  int fds[2];

  *self = (Scene) { 0 };
  g_assert_no_errno (socketpair (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  self->peer = fds[1];
  self->channel = type == SOCK_STREAM
                      ? USOCK_CHANNEL (usock_stream_new_from_fd (fds[0], NULL))
                      : USOCK_CHANNEL (usock_seqpacket_new_from_fd (fds[0], NULL));
  g_assert_nonnull (self->channel);
  g_signal_connect (self->channel, "error", G_CALLBACK (scene_error_cb), self);
  g_signal_connect (self->channel, "close", G_CALLBACK (scene_close_cb), self);
}

static void
scene_send (Scene *self,
            gsize  length)
{
  g_assert_cmpint (send (self->peer, data, length, MSG_NOSIGNAL), ==, length);
}

static void
scene_stop (Scene *self)
{
  close (self->peer);
  if (self->n_closed == 0)
    {
      usock_socket_close (USOCK_SOCKET (self->channel));
      usock_run_until_closed (g_main_context_get_thread_default ());
    }
  g_signal_handlers_disconnect_by_data (self->channel, self);
  g_object_unref (self->channel);
}

/* There is no room to read into. */
static int
play_no_buffer (GMainContext *context)
{
  Scene scene;

  scene_start (&scene, SOCK_SEQPACKET);
  usock_channel_set_read_buffer_size (scene.channel, 32 * 1024 * 1024);
  g_signal_connect (scene.channel, "message", G_CALLBACK (scene_message_cb), &scene);
  scene_send (&scene, 10);
  exhaust_memory ();
  for (guint i = 0; i < 10; i++)
    g_main_context_iteration (context, TRUE);
  if (scene.n_whole + scene.n_cut + scene.n_failed + scene.n_closed > 0)
    return 2;

  relieve_memory ();
  iterate_until (context, is_set, &scene.n_whole);
  scene_stop (&scene);
  return scene.n_failed == 0 ? 0 : 3;
}

/* There is room to read into, and none to keep a message; the next is whole again. */
static int
play_message (GMainContext *context)
{
  Scene scene;

  scene_start (&scene, SOCK_SEQPACKET);
  g_signal_connect (scene.channel, "message", G_CALLBACK (scene_message_cb), &scene);
  scene_send (&scene, 10);
  iterate_until (context, is_set, &scene.n_whole);
  exhaust_memory ();
  scene_send (&scene, LARGE);
  iterate_until (context, is_set, &scene.n_cut);
  if (scene.full_length != LARGE)
    return 2;

  relieve_memory ();
  scene.n_whole = 0;
  scene_send (&scene, LARGE);
  iterate_until (context, is_set, &scene.n_whole);
  scene_stop (&scene);
  return scene.n_failed == 0 ? 0 : 3;
}

/* A gap in a stream ends it. */
static int
play_stream (GMainContext *context)
{
  Scene scene;

  scene_start (&scene, SOCK_STREAM);
  g_signal_connect (scene.channel, "message", G_CALLBACK (scene_message_cb), &scene);
  scene_send (&scene, 10);
  iterate_until (context, is_set, &scene.n_whole);
  exhaust_memory ();
  scene_send (&scene, LARGE);
  scene_send (&scene, 10);
  iterate_until (context, is_set, &scene.n_closed);
  relieve_memory ();
  scene_stop (&scene);
  return scene.n_failed == 1 && scene.n_whole == 1 && scene.code == G_IO_ERROR_NO_SPACE ? 0 : 2;
}

static void
exactly_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Scene *scene = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, &error);

  g_assert_null (message);
  scene->n_cut++;
  scene->code = error->code;
}

/* Many bytes are waited for, and come. */
static int
play_exactly (GMainContext *context)
{
  Scene scene;
  gint64 deadline = usock_test_deadline ();

  scene_start (&scene, SOCK_STREAM);
  usock_stream_receive_exactly_async (USOCK_STREAM (scene.channel), HUGE, 0, NULL, exactly_cb,
                                      &scene);
  scene_send (&scene, 10);
  g_main_context_iteration (context, FALSE);
  limit_memory (HUGE / 4);
  while (scene.n_cut == 0)
    {
      send (scene.peer, data, LARGE, MSG_NOSIGNAL);
      usock_test_iterate (deadline, "what can not be kept");
    }
  relieve_memory ();
  scene_stop (&scene);
  return scene.code == G_IO_ERROR_NO_SPACE ? 0 : 2;
}

static void
echo_cb (UsockPeer *peer,
         UsockCall *call,
         gpointer   unused)
{
  usock_call_reply (call, NULL, NULL);
}

static void
answer_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  Scene *scene = user_data;
  g_autoptr (GError) error = NULL;
  UsockMessage *answer = usock_peer_call_finish (USOCK_PEER (source), result, &error);

  if (answer != NULL)
    scene->n_whole++;
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE))
    scene->n_cut++;
  g_clear_pointer (&answer, usock_message_unref);
}

static gboolean
all_answered (gpointer user_data)
{
  Scene *scene = user_data;

  return scene->n_whole + scene->n_cut == N_CALLS;
}

/* More bodies at once than there is room for: those are refused, and the peer goes on. */
static int
play_peer (GMainContext *context)
{
  UsockSeqpacket *ends[2];
  UsockPeer *peers[2];
  Scene scene = { 0 };
  g_autoptr (GBytes) bytes = g_bytes_new_take (g_malloc0 (HUGE), HUGE);

  g_assert_true (usock_seqpacket_new_pair (&ends[0], &ends[1], NULL));
  for (guint i = 0; i < 2; i++)
    peers[i] = usock_peer_new (USOCK_CHANNEL (ends[i]));
  usock_peer_handle (peers[1], "Take", echo_cb, NULL, NULL);
  limit_memory (HUGE * 5 / 2);
  for (guint i = 0; i < N_CALLS; i++)
    {
      g_autoptr (UsockMessage) body = usock_message_new_from_bytes (bytes);

      usock_peer_call_async (peers[0], "Take", body, -1, NULL, answer_cb, &scene);
    }
  iterate_until (context, all_answered, &scene);
  relieve_memory ();
  if (scene.n_cut == 0 || scene.n_whole == 0)
    return 2;

  for (guint i = 0; i < 2; i++)
    {
      usock_socket_close (USOCK_SOCKET (ends[i]));
      g_object_unref (peers[i]);
      g_object_unref (ends[i]);
    }
  usock_run_until_closed (context);
  return 0;
}

static void
limit_fds (guint n)
{
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  limit.rlim_cur = n;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
}

static int
connect_raw (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  return connect (fd, (struct sockaddr *) &address, sizeof address) == 0 ? fd : -1;
}

/* All of them have connected, and sent a descriptor, before the first is answered. */
static int
play_crowd (const char *path)
{
  int fds[N_CROWD];
  char answer;

  for (guint i = 0; i < N_CROWD; i++)
    {
      fds[i] = connect_raw (path);
      if (fds[i] == -1 || raw_send_fds (fds[i], "x", 1, &fds[0], 1) != 0)
        return 2;
    }
  for (guint i = 0; i < N_CROWD; i++)
    {
      if (recv (fds[i], &answer, 1, 0) != 1)
        return 3;
      close (fds[i]);
    }

  return 0;
}

static void
answer_message_cb (UsockChannel *channel,
                   UsockMessage *message,
                   gpointer      unused)
{
  usock_channel_send_text (channel, "y", NULL);
}

static void
connection_cb (UsockServer  *server,
               UsockChannel *channel,
               guint        *n_connections)
{
  (*n_connections)++;
  g_signal_connect (channel, "message", G_CALLBACK (answer_message_cb), NULL);
}

static void
full_cb (UsockServer  *server,
         const GError *error,
         guint        *n_full)
{
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  (*n_full)++;
}

static gboolean
is_reaped (gpointer user_data)
{
  pid_t *pid = user_data;
  int status = -1;

  if (waitpid (*pid, &status, WNOHANG) != *pid)
    return FALSE;
  *pid = WIFEXITED (status) ? WEXITSTATUS (status) : -1;
  return TRUE;
}

/* Who is not accepted for want of descriptors waits, and is when others have gone. */
static int
serve_crowd (GMainContext *context,
             const char   *path,
             guint         n_fds)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  guint n_connections = 0, n_full = 0;
  pid_t pid;

  usock_server_set_max_fds (server, 1);
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), &n_connections);
  g_signal_connect (server, "error", G_CALLBACK (full_cb), &n_full);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      _exit (play_crowd (path));
    }

  limit_fds (n_fds);
  iterate_until (context, is_reaped, &pid);
  usock_socket_close (USOCK_SOCKET (server));
  usock_run_until_closed (context);
  limit_fds (4 * N_CROWD);
  if (pid != 0)
    return pid;
  return n_connections == N_CROWD && n_full > 0 ? 0 : 5;
}

static int
play_crowds (GMainContext *context)
{
  static const guint limits[] = { 32, 48, 64 };
  g_autofree char *directory = g_dir_make_tmp ("usock-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "socket", NULL);
  int result = 0;

  for (guint i = 0; i < G_N_ELEMENTS (limits) && result == 0; i++)
    result = serve_crowd (context, path, limits[i]);
  rmdir (directory);
  return result;
}

static void
keep_cb (UsockServer   *server,
         UsockChannel  *channel,
         UsockChannel **kept)
{
  *kept = channel;
}

/* One that could get no descriptor tries again, until it can. */
static int
play_client (GMainContext *context)
{
  g_autofree char *directory = g_dir_make_tmp ("usock-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "socket", NULL);
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (UsockClient) client = usock_client_new (USOCK_TYPE_SEQPACKET);
  UsockChannel *kept = NULL;
  guint n_connections = 0;
  int fds[64];
  guint n = 0;

  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), &n_connections);
  g_signal_connect (server, "connection", G_CALLBACK (keep_cb), &kept);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  g_object_set (client, "min-delay", 1, "max-delay", 5, NULL);
  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  iterate_until (context, is_set, &n_connections);
  limit_fds (48);
  n_connections = 0;
  usock_socket_close (USOCK_SOCKET (kept));
  for (guint i = 0; i < 50; i++)
    {
      while (n < G_N_ELEMENTS (fds) && (fds[n] = dup (STDERR_FILENO)) != -1)
        n++;
      g_main_context_iteration (context, TRUE);
    }
  if (n_connections > 0)
    return 2;
  while (n > 0)
    close (fds[--n]);
  iterate_until (context, is_set, &n_connections);
  usock_client_stop (client);
  usock_socket_close (USOCK_SOCKET (server));
  usock_run_until_closed (context);
  rmdir (directory);
  return 0;
}

static int
play (int      fd,
      gpointer scenario)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int result;

  /* GLib keeps the text. */
  g_assert_nonnull (g_strerror (ENOMEM));
  /* What is freed is not to be had again for something larger. */
  mallopt (M_MMAP_THRESHOLD, 2 * CHUNK);
  g_main_context_push_thread_default (context);
  result = ((Scenario) scenario) (context);
  g_main_context_pop_thread_default (context);
  return result;
}

static void
test_limits (UsockTest     *test,
             gconstpointer  scenario)
{
  if (torture_is_instrumented ())
    {
      g_test_skip ("what looks on needs more memory than there is");
      return;
    }
  torture_reap (torture_fork (test, play, (gpointer) scenario));
}

static void
add (const char *path,
     Scenario    scenario)
{
  g_test_add (path, UsockTest, scenario, usock_test_setup, test_limits, usock_test_teardown);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/torture/limits/no-buffer", play_no_buffer);
  add ("/torture/limits/message", play_message);
  add ("/torture/limits/stream", play_stream);
  add ("/torture/limits/exactly", play_exactly);
  add ("/torture/limits/peer", play_peer);
  add ("/torture/limits/few-descriptors", play_crowds);
  add ("/torture/limits/client-without-descriptors", play_client);
  return g_test_run ();
}
