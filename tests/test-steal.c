/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A descriptor leaves usock. */

#include "stream-scene.h"

#include <fcntl.h>
#include <gio/gunixconnection.h>
#include <gio/gunixsocketaddress.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

static int
steal (gpointer socket)
{
  int fd;

  usock_test_no_error ((fd = usock_socket_steal_fd (socket, NULL, &error)) != -1);
  g_assert_cmpint (usock_socket_get_fd (socket), ==, -1);
  g_assert_cmpint (usock_socket_get_state (socket), ==, USOCK_STATE_CLOSED);
  return fd;
}

/* A copy of what is unread, as text. */
static int
steal_all (gpointer   socket,
           char     **text)
{
  g_autoptr (GBytes) unread = NULL;
  gsize length = 0;
  const char *data = NULL;
  int fd;

  usock_test_no_error ((fd = usock_socket_steal_fd (socket, &unread, &error)) != -1);
  if (unread != NULL)
    data = g_bytes_get_data (unread, &length);
  *text = unread != NULL ? g_strndup (data, length) : NULL;
  return fd;
}

static void
assert_kept (gpointer socket,
             int      code)
{
  GError *error = NULL;
  int fd = usock_socket_get_fd (socket);
  UsockState state = usock_socket_get_state (socket);

  g_assert_cmpint (usock_socket_steal_fd (socket, NULL, &error), ==, -1);
  assert_error_code (error, code);
  g_assert_cmpint (usock_socket_get_fd (socket), ==, fd);
  g_assert_cmpint (usock_socket_get_state (socket), ==, state);
}

static void
assert_option (int fd,
               int level,
               int name,
               int expected)
{
  int value = -1;
  socklen_t length = sizeof value;

  if (getsockopt (fd, level, name, &value, &length) == -1)
    g_assert_true (name == SO_PASSPIDFD || name == SO_PASSRIGHTS);
  else
    g_assert_cmpint (value, ==, expected);
}

static void
assert_plain (int fd)
{
  assert_option (fd, SOL_SOCKET, SO_OOBINLINE, 0);
  assert_option (fd, SOL_SOCKET, SO_TIMESTAMPNS, 0);
  assert_option (fd, SOL_SOCKET, SO_PASSCRED, 0);
  assert_option (fd, SOL_SOCKET, SO_PASSPIDFD, 0);
  assert_option (fd, SOL_SOCKET, SO_PASSRIGHTS, 1);
}

static void
assert_linked (int fd,
               int peer)
{
  char buffer[10];

  scene_send (fd, "to");
  g_assert_cmpint (read (peer, buffer, sizeof buffer), ==, 2);
  scene_send (peer, "back");
  g_assert_cmpint (read (fd, buffer, sizeof buffer), ==, 4);
}

/* Streams. */

static void
test_stream (UsockTest     *test,
             gconstpointer  unused)
{
  StreamScene scene;
  int fd, flags;

  stream_scene_start_raw (&scene, "data end error close");
  usock_channel_set_pass_credentials (scene.channel, TRUE);
  usock_channel_set_pass_pidfd (scene.channel, TRUE);
  flags = fcntl (usock_socket_get_fd (USOCK_SOCKET (scene.stream)), F_GETFL);
  stream_scene_line (&scene, "line", NULL);
  fd = steal (scene.stream);
  g_assert_cmpint (fcntl (fd, F_GETFL), ==, flags);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
  assert_plain (fd);
  witness_expect (&scene.witness, "line:closed close");
  g_assert_nonnull (usock_socket_get_remote_address (USOCK_SOCKET (scene.stream)));
  g_assert_false (usock_socket_get_had_error (USOCK_SOCKET (scene.stream)));
  g_assert_cmpint (usock_count_held (test->context), ==, 0);
  assert_linked (fd, scene.peer);
  assert_kept (scene.stream, G_IO_ERROR_CLOSED);
  g_clear_object (&scene.stream);
  assert_linked (fd, scene.peer);
  close (fd);
  close (scene.peer);
  witness_clear (&scene.witness);
}

static void
test_unread (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *text = NULL;
  StreamScene scene;
  char buffer[10];
  int fd;

  stream_scene_start_raw (&scene, "close");
  scene_send (scene.peer, "abcdef");
  stream_scene_exactly (&scene, "some", 2, 0, NULL);
  witness_expect (&scene.witness, "some:ab");
  assert_kept (scene.stream, G_IO_ERROR_PENDING);

  /* What a call that waits has taken already is not lost, nor mixed up. */
  stream_scene_line (&scene, "line", NULL);
  scene_settle ();
  scene_send (scene.peer, "gh");
  scene_settle ();
  assert_kept (scene.stream, G_IO_ERROR_PENDING);
  scene_send (scene.peer, "i\njk\nl");
  witness_expect (&scene.witness, "line:cdefghi");
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:jk");

  stream_scene_line (&scene, "line", NULL);
  scene_settle ();
  scene_send (scene.peer, "ater");
  fd = steal_all (scene.stream, &text);
  g_assert_cmpstr (text, ==, "l");
  g_assert_cmpint (read (fd, buffer, sizeof buffer), ==, 4);
  witness_expect (&scene.witness, "line:closed close");
  close (fd);
  stream_scene_stop (&scene);
}

/* What was posted is on its way like what was sent. */
static void
test_posted (UsockTest     *test,
             gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("posted");
  g_autoptr (GError) refusal = NULL;
  StreamScene scene;
  char buffer[3000];

  stream_scene_start_raw (&scene, "close");
  scene_settle ();
  for (guint i = 0; i < 300; i++)
    usock_test_no_error (usock_channel_post (scene.channel, message, &error));
  assert_kept (scene.stream, G_IO_ERROR_PENDING);
  g_assert_cmpint (usock_socket_steal_fd (USOCK_SOCKET (scene.stream), NULL, &refusal), ==, -1);
  g_assert_nonnull (strstr (refusal->message, "300 messages"));
  scene_settle ();
  g_assert_cmpint (read (scene.peer, buffer, sizeof buffer), ==, 300 * 6);
  close (steal (scene.stream));
  witness_expect (&scene.witness, "close");
  stream_scene_stop (&scene);
}

/* What was pipelined behind what a call had waited for goes along. */
static void
test_unread_behind (UsockTest     *test,
                    gconstpointer  unused)
{
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *text = NULL;
      StreamScene scene;

      stream_scene_start_raw (&scene, "close");
      scene_send (scene.peer, "head\r\nhello, TLS");
      if (i == 0)
        stream_scene_exactly (&scene, "got", 4, 0, NULL);
      else if (i == 1)
        stream_scene_until (&scene, "got", "\r\n", NULL);
      else
        stream_scene_line (&scene, "got", NULL);
      witness_expect (&scene.witness, "got:head");
      close (steal_all (scene.stream, &text));
      g_assert_cmpstr (text, ==, i == 0 ? "\r\nhello, TLS" : "hello, TLS");
      witness_expect (&scene.witness, "close");
      stream_scene_stop (&scene);
    }
}

/* The pieces have more in common than the order in which they stand. */
static void
test_unread_pieces (UsockTest     *test,
                    gconstpointer  unused)
{
  g_autofree char *text = NULL;
  g_autoptr (UsockMessage) one = usock_message_new_from_text ("one");
  g_autoptr (UsockMessage) two = usock_message_new_from_text ("two");
  StreamScene scene;

  stream_scene_start_raw (&scene, "close");
  usock_test_no_error (usock_stream_unread (scene.stream, two, &error));
  usock_test_no_error (usock_stream_unread (scene.stream, one, &error));
  close (steal_all (scene.stream, &text));
  g_assert_cmpstr (text, ==, "onetwo");
  witness_expect (&scene.witness, "close");
  stream_scene_stop (&scene);
}

static void
test_waiting_to_be_sent (UsockTest     *test,
                         gconstpointer  unused)
{
  const gsize size = 1024 * 1024;
  g_autofree char *data = g_malloc0 (size);
  StreamScene scene;
  gsize received = 0;
  int fd;

  stream_scene_start_raw (&scene, "close");
  usock_test_no_error (usock_channel_send (scene.channel, (guint8 *) data, size, &error));
  assert_kept (scene.stream, G_IO_ERROR_PENDING);
  usock_channel_flush_async (scene.channel, NULL, witness_done,
                             witness_call (&scene.witness, "flush", usock_channel_flush_finish));
  while (scene.witness.n_words == 0 || received < size)
    {
      gssize n = read (scene.peer, data, size);

      received += MAX (n, 0);
      g_main_context_iteration (test->context, FALSE);
    }
  witness_assert (&scene.witness, "flush:ok");
  fd = steal (scene.stream);
  assert_linked (fd, scene.peer);
  close (fd);
  stream_scene_stop (&scene);

  /* Nor what the program itself holds back. */
  stream_scene_start_raw (&scene, "close");
  usock_stream_cork (scene.stream);
  usock_test_no_error (usock_channel_send_text (scene.channel, "held", &error));
  assert_kept (scene.stream, G_IO_ERROR_PENDING);
  usock_stream_uncork (scene.stream);
  close (steal (scene.stream));
  g_assert_cmpint (read (scene.peer, data, size), ==, 4);
  stream_scene_stop (&scene);
}

static void
test_descriptors_ahead (UsockTest     *test,
                        gconstpointer  unused)
{
  const int sent = numbered_fd (7);
  g_autoptr (GBytes) unread = NULL;
  g_autoptr (GError) refusal = NULL;
  StreamScene scene;

  stream_scene_start_raw (&scene, "close");
  usock_channel_set_max_fds (scene.channel, 2);
  scene_send (scene.peer, "ab");
  raw_send (scene.peer, "cd", 2, &sent, 1);
  close (sent);
  stream_scene_exactly (&scene, "some", 3, 0, NULL);
  witness_expect (&scene.witness, "some:abc");
  assert_kept (scene.stream, G_IO_ERROR_PENDING);
  g_assert_cmpint (usock_socket_steal_fd (USOCK_SOCKET (scene.stream), &unread, &refusal), ==, -1);
  g_assert_error (refusal, G_IO_ERROR, G_IO_ERROR_PENDING);
  g_assert_null (unread);
  stream_scene_exactly (&scene, "rest", 1, 1, NULL);
  witness_expect (&scene.witness, "rest:d+1");
  close (steal (scene.stream));
  stream_scene_stop (&scene);
}

static void
steal_cb (UsockChannel *channel,
          gpointer      data,
          int          *fd)
{
  *fd = steal (channel);
}

static void
test_from_a_handler (UsockTest     *test,
                     gconstpointer  unused)
{
  static const char *const signals[] = { "data", "message", "batch" };

  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      StreamScene scene;
      int fd = -1;

      stream_scene_start_raw (&scene, "end error close");
      g_signal_connect (scene.stream, signals[i], G_CALLBACK (steal_cb), &fd);
      scene_send (scene.peer, "now");
      witness_expect (&scene.witness, "close");
      assert_linked (fd, scene.peer);
      close (fd);
      stream_scene_stop (&scene);
    }
}

/* One that has ended, or whose peer has, is still a connection. */
static void
test_half_open (UsockTest     *test,
                gconstpointer  unused)
{
  StreamScene scene;
  char buffer[10];
  int fd;

  stream_scene_start_raw (&scene, "end error close");
  usock_channel_set_allow_half_open (scene.channel, TRUE);
  shutdown (scene.peer, SHUT_WR);
  witness_expect (&scene.witness, "end");
  fd = steal (scene.stream);
  scene_send (fd, "answer");
  g_assert_cmpint (read (scene.peer, buffer, sizeof buffer), ==, 6);
  witness_expect (&scene.witness, "close");
  close (fd);
  stream_scene_stop (&scene);

  stream_scene_start_raw (&scene, "end error close");
  usock_channel_end (scene.channel);
  fd = steal (scene.stream);
  g_assert_cmpint (read (scene.peer, buffer, sizeof buffer), ==, 0);
  scene_send (scene.peer, "answer");
  g_assert_cmpint (read (fd, buffer, sizeof buffer), ==, 6);
  witness_expect (&scene.witness, "close");
  close (fd);
  stream_scene_stop (&scene);
}

/* What was accepted and lost is not to be forgotten so. */
static void
test_broken (UsockTest     *test,
             gconstpointer  unused)
{
  const gsize size = 1024 * 1024;
  g_autofree guint8 *data = g_malloc0 (size);
  StreamScene scene;

  stream_scene_start_raw (&scene, "data error close");
  usock_channel_pause (scene.channel);
  usock_test_no_error (usock_channel_send (scene.channel, data, size, &error));
  scene_send (scene.peer, "final");
  stream_scene_hang_up (&scene);
  usock_test_wait_until (usock_channel_get_queued_bytes (scene.channel) == 0);
  assert_kept (scene.stream, G_IO_ERROR_BROKEN_PIPE);
  usock_channel_resume (scene.channel);
  witness_expect (&scene.witness, "data:final error:broken-pipe close");
  stream_scene_stop (&scene);
}

static void
test_without_connection (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "full");
  g_autoptr (UsockStream) stream = usock_stream_new ();
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  int listener = scene_listen (path, 0);
  int first = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  g_autoptr (UsockSeqpacket) connecting = usock_seqpacket_new ();
  struct sockaddr_un address = { AF_UNIX, "" };

  assert_kept (stream, G_IO_ERROR_NOT_CONNECTED);
  assert_kept (server, G_IO_ERROR_NOT_INITIALIZED);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_no_errno (connect (first, (struct sockaddr *) &address, sizeof address));
  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (connecting), path, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (connecting)), ==,
                   USOCK_STATE_CONNECTING);
  assert_kept (connecting, G_IO_ERROR_NOT_CONNECTED);
  close (first);
  close (listener);
  scene_close (g_steal_pointer (&connecting));
  scene_close (g_steal_pointer (&stream));
  scene_close (g_steal_pointer (&server));
}

/* GIO's connection. */

static void
assert_connection (GSocketConnection *connection,
                   int                peer)
{
  GIOStream *stream = G_IO_STREAM (connection);
  char buffer[10] = "";

  usock_test_no_error (g_output_stream_write_all (g_io_stream_get_output_stream (stream), "hello",
                                                  5, NULL, NULL, &error));
  g_assert_cmpint (recv (peer, buffer, sizeof buffer, 0), ==, 5);
  scene_send (peer, "answer");
  usock_test_no_error (g_input_stream_read (g_io_stream_get_input_stream (stream), buffer,
                                            sizeof buffer, NULL, &error) == 6);
}

static void
test_unix_connection (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GBytes) unread = NULL;
  StreamScene scene;

  stream_scene_start_raw (&scene, "end error close");
  usock_test_no_error (
      connection = usock_stream_steal_connection (scene.stream, &unread, &error));
  g_assert_null (unread);
  g_assert_true (G_IS_UNIX_CONNECTION (connection));
  witness_expect (&scene.witness, "close");
  assert_connection (connection, scene.peer);
  usock_test_no_error (g_io_stream_close (G_IO_STREAM (connection), NULL, &error));
  g_assert_true (scene_is_hung_up (scene.peer));
  stream_scene_stop (&scene);
}

static void
test_tcp_connection (UsockTest     *test,
                     gconstpointer  unused)
{
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (UsockStream) stream = usock_stream_new ();
  struct sockaddr_in address = { .sin_family = AF_INET };
  socklen_t length = sizeof address;
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Witness witness;
  int peer, fd;

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_no_errno (bind (listener, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (listener, 1));
  g_assert_no_errno (getsockname (listener, (struct sockaddr *) &address, &length));

  witness_init (&witness);
  witness_watch (&witness, stream, "connect error close");
  usock_stream_set_no_delay (stream, TRUE);
  usock_test_no_error (usock_stream_connect_to_host (stream, "127.0.0.1",
                                                     ntohs (address.sin_port), 0, &error));
  assert_kept (stream, G_IO_ERROR_NOT_CONNECTED);
  witness_expect (&witness, "connect");
  g_assert_no_errno (peer = accept (listener, NULL, NULL));
  usock_test_no_error (connection = usock_stream_steal_connection (stream, NULL, &error));
  g_assert_true (G_IS_TCP_CONNECTION (connection));
  fd = g_socket_get_fd (g_socket_connection_get_socket (connection));
  assert_option (fd, SOL_SOCKET, SO_OOBINLINE, 0);
  assert_option (fd, IPPROTO_TCP, TCP_NODELAY, 1);
  witness_expect (&witness, "close");
  assert_connection (connection, peer);
  close (peer);
  close (listener);
  witness_clear (&witness);
}

static void
test_connection_with_unread (UsockTest     *test,
                             gconstpointer  unused)
{
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GBytes) unread = NULL;
  GError *failure = NULL;
  StreamScene scene;

  stream_scene_start_raw (&scene, "close");
  scene_send (scene.peer, "STARTTLS\nhello");
  stream_scene_line (&scene, "line", NULL);
  witness_expect (&scene.witness, "line:STARTTLS");
  g_assert_null (usock_stream_steal_connection (scene.stream, NULL, &failure));
  assert_error_code (failure, G_IO_ERROR_PENDING);
  usock_test_no_error (
      connection = usock_stream_steal_connection (scene.stream, &unread, &error));
  g_assert_cmpmem (g_bytes_get_data (unread, NULL), g_bytes_get_size (unread), "hello", 5);
  assert_connection (connection, scene.peer);
  stream_scene_stop (&scene);
}

/* Packets. */

typedef struct
{
  int fd;
  guint n_messages;
  guint n_refused;
} Thief;

static void
try_to_steal_cb (UsockChannel *channel,
                 UsockMessage *message,
                 Thief        *thief)
{
  GError *error = NULL;

  /* While there is little to read, nothing is read ahead. */
  if (++thief->n_messages < 10)
    return;

  thief->fd = usock_socket_steal_fd (USOCK_SOCKET (channel), NULL, &error);
  if (thief->fd != -1)
    return;

  assert_error_code (error, G_IO_ERROR_PENDING);
  thief->n_refused++;
}

/* Those that were read ahead have borders, which bytes would not show. */
static void
test_packets (UsockTest     *test,
              gconstpointer  unused)
{
  UsockChannel *channel = scene_adopt (test);
  Witness witness;
  Thief thief = { .fd = -1 };

  witness_init (&witness);
  witness_watch (&witness, channel, "message end error close");
  g_signal_connect (channel, "message", G_CALLBACK (try_to_steal_cb), &thief);
  for (guint i = 0; i < 40; i++)
    scene_send (test->pair[1], i < 39 ? "x" : "last");
  usock_test_wait_until (thief.fd != -1);
  usock_test_wait_until (witness.n_closed == 1);
  g_assert_cmpuint (thief.n_refused, >, 0);
  g_assert_true (g_str_has_suffix (witness.words->str, " close"));
  /* Nothing is in two places, and nothing in none. */
  for (guint i = witness.n_words - 1; i < 40; i++)
    g_free (scene_receive (thief.fd));
  assert_plain (thief.fd);
  assert_linked (thief.fd, test->pair[1]);
  close (thief.fd);
  g_object_unref (channel);
  witness_clear (&witness);
}

static void
test_datagrams (UsockTest     *test,
                gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "datagrams");
  g_autoptr (UsockDgram) receiver = usock_dgram_new ();
  g_autoptr (UsockDgram) sender = usock_dgram_new ();
  char buffer[10];
  int fd;

  usock_test_no_error (usock_dgram_bind_to_path (receiver, path, &error));
  fd = steal (receiver);
  scene_settle ();
  assert_plain (fd);
  usock_test_no_error (usock_dgram_send_to (sender, (const guint8 *) "kept", 4, path, &error));
  g_assert_cmpint (read (fd, buffer, sizeof buffer), ==, 4);
  g_clear_object (&receiver);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  close (fd);
  scene_close (g_steal_pointer (&sender));
}

/* Others. */

static void
keep_cb (UsockServer   *server,
         UsockChannel  *channel,
         UsockChannel **kept)
{
  *kept = g_object_ref (channel);
}

static void
test_server (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "server");
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (UsockStream) client = usock_stream_new ();
  g_autoptr (UsockStream) late = usock_stream_new ();
  UsockChannel *kept = NULL;
  Witness witness;
  int fd, accepted;

  witness_init (&witness);
  witness_watch (&witness, server, "listening error close");
  g_signal_connect (server, "connection", G_CALLBACK (keep_cb), &kept);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (client), path, &error));
  usock_test_wait_until (kept != NULL);
  g_string_truncate (witness.words, 0);
  witness.n_words = 0;

  fd = steal (server);
  assert_plain (fd);
  usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (late), path, &error));
  g_assert_no_errno (accepted = accept (fd, NULL, NULL));
  scene_settle ();

  /* Its connections are still its own, and its end waits for theirs. */
  witness_assert (&witness, "");
  scene_close (g_steal_pointer (&client));
  scene_close (kept);
  witness_expect (&witness, "close");
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  scene_close (g_steal_pointer (&late));
  close (accepted);
  close (fd);
  witness_clear (&witness);
}

static void
steal_connection_cb (UsockServer  *server,
                     UsockChannel *channel,
                     int          *fd)
{
  *fd = steal (channel);
}

static void
test_connection_handler (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autofree char *text = NULL;
  g_autofree char *path = usock_test_path (test, "server");
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (UsockStream) client = usock_stream_new ();
  int fd = -1;

  g_signal_connect (server, "connection", G_CALLBACK (steal_connection_cb), &fd);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (client), path, &error));
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (client), "early", &error));
  usock_test_wait_until (fd != -1);
  text = scene_receive (fd);
  g_assert_cmpstr (text, ==, "early");
  scene_settle ();
  g_assert_cmpuint (usock_server_get_n_connections (server), ==, 0);
  scene_close (g_steal_pointer (&client));
  close (fd);
  scene_close (g_steal_pointer (&server));
}

static void
test_handle (UsockTest     *test,
             gconstpointer  unused)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockHandle) none = g_object_new (USOCK_TYPE_HANDLE, NULL);
  int on = 1;
  int fd;

  usock_test_no_error (usock_handle_new_pair (USOCK_SOCK_SEQPACKET, &first, &second, &error));
  fd = usock_socket_get_fd (USOCK_SOCKET (first));
  g_assert_no_errno (setsockopt (fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  assert_option (fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  g_assert_cmpint (steal (first), ==, fd);
  assert_option (fd, SOL_SOCKET, SO_TIMESTAMPNS, 0);
  assert_option (fd, SOL_SOCKET, SO_PASSCRED, 1);
  assert_linked (fd, usock_socket_get_fd (USOCK_SOCKET (second)));
  g_clear_object (&first);
  assert_linked (fd, usock_socket_get_fd (USOCK_SOCKET (second)));
  close (fd);
  assert_kept (none, G_IO_ERROR_NOT_INITIALIZED);
}

static void
test_destroyed_context (UsockTest     *test,
                        gconstpointer  unused)
{
  GMainContext *context = g_main_context_new ();
  UsockStream *stream;
  int fds[2];
  int fd;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  g_main_context_push_thread_default (context);
  usock_test_no_error (stream = usock_stream_new_from_fd (fds[0], &error));
  g_main_context_pop_thread_default (context);
  fd = steal (stream);
  g_main_context_unref (context);
  g_object_unref (stream);
  assert_linked (fd, fds[1]);
  close (fd);
  close (fds[1]);
}

static void
test_forked_child (UsockTest     *test,
                   gconstpointer  unused)
{
  StreamScene scene;
  int status;
  pid_t child;

  stream_scene_start_raw (&scene, "close");
  child = fork ();
  if (child == 0)
    {
      GError *error = NULL;
      int fd = usock_socket_steal_fd (USOCK_SOCKET (scene.stream), NULL, &error);

      _exit (fd == -1 && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED) ? 0 : 1);
    }
  g_assert_no_errno (waitpid (child, &status, 0));
  g_assert_cmpint (status, ==, 0);
  assert_linked (usock_socket_get_fd (USOCK_SOCKET (scene.stream)), scene.peer);
  stream_scene_stop (&scene);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/steal/stream", test_stream);
  usock_test_add ("/usock/steal/unread", test_unread);
  usock_test_add ("/usock/steal/posted", test_posted);
  usock_test_add ("/usock/steal/unread-behind", test_unread_behind);
  usock_test_add ("/usock/steal/unread-pieces", test_unread_pieces);
  usock_test_add ("/usock/steal/waiting-to-be-sent", test_waiting_to_be_sent);
  usock_test_add ("/usock/steal/descriptors-ahead", test_descriptors_ahead);
  usock_test_add ("/usock/steal/from-a-handler", test_from_a_handler);
  usock_test_add ("/usock/steal/half-open", test_half_open);
  usock_test_add ("/usock/steal/broken", test_broken);
  usock_test_add ("/usock/steal/without-connection", test_without_connection);
  usock_test_add ("/usock/steal/unix-connection", test_unix_connection);
  usock_test_add ("/usock/steal/tcp-connection", test_tcp_connection);
  usock_test_add ("/usock/steal/connection-with-unread", test_connection_with_unread);
  usock_test_add ("/usock/steal/packets", test_packets);
  usock_test_add ("/usock/steal/datagrams", test_datagrams);
  usock_test_add ("/usock/steal/server", test_server);
  usock_test_add ("/usock/steal/connection-handler", test_connection_handler);
  usock_test_add ("/usock/steal/handle", test_handle);
  usock_test_add ("/usock/steal/destroyed-context", test_destroyed_context);
  usock_test_add ("/usock/steal/forked-child", test_forked_child);

  return g_test_run ();
}
