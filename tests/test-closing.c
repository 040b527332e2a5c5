/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Closing never blocks: whatever is closed here would block who closes it for hours. */

#include "blocker.h"
#include "witness.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static UsockChannel *
adopt (int type,
       int fd)
{
  UsockChannel *channel = NULL;

  if (type == SOCK_SEQPACKET)
    usock_test_no_error (channel = (gpointer) usock_seqpacket_new_from_fd (fd, &error));
  else if (type == SOCK_STREAM)
    usock_test_no_error (channel = (gpointer) usock_stream_new_from_fd (fd, &error));
  else
    usock_test_no_error (channel = (gpointer) usock_dgram_new_from_fd (fd, &error));
  return channel;
}

static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };

/* They came before it was known that they are not wanted, or are wanted. */
static void
close_with_queue (int      type,
                  guint    max_fds,
                  gboolean queued_first,
                  gboolean reset)
{
  UsockChannel *channel;
  int pair[2], peer = -1;

  g_assert_cmpint (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, pair), ==, 0);
  if (queued_first)
    peer = blocker_queue (pair[1]);
  channel = adopt (type, pair[0]);
  usock_channel_set_max_fds (channel, max_fds);
  if (reset)
    usock_test_no_error (usock_channel_send_text (channel, "unread", &error));
  if (!queued_first)
    peer = blocker_queue (pair[1]);
  if (reset)
    close (pair[1]);

  scene_close (channel);
  if (!reset)
    close (pair[1]);
  close (peer);
}

static void
test_channels (UsockTest     *test,
               gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      close_with_queue (types[i], 0, TRUE, FALSE);
      close_with_queue (types[i], 4, TRUE, FALSE);
      close_with_queue (types[i], 4, FALSE, FALSE);
      close_with_queue (types[i], 4, FALSE, TRUE);
    }
}

/* Whoever is refused now was not before. */
static void
test_refused_too_late (UsockTest     *test,
                       gconstpointer  unused)
{
  UsockChannel *one, *other;
  int peer;

  scene_pair (&one, &other);
  usock_channel_set_max_fds (one, 1);
  peer = blocker_queue (usock_socket_get_fd (USOCK_SOCKET (other)));
  usock_channel_set_max_fds (one, 0);
  scene_close (one);
  scene_close (other);
  close (peer);
}

static void
test_dropped_unclosed (UsockTest     *test,
                       gconstpointer  unused)
{
  UsockChannel *one, *other;
  int peer;

  scene_pair (&one, &other);
  usock_channel_set_max_fds (one, 1);
  peer = blocker_queue (usock_socket_get_fd (USOCK_SOCKET (other)));
  g_main_context_pop_thread_default (test->context);
  g_main_context_unref (test->context);
  test->context = g_main_context_new ();
  g_main_context_push_thread_default (test->context);
  g_object_unref (one);
  g_object_unref (other);
  close (peer);
}

static void
test_handles (UsockTest     *test,
              gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      UsockHandle *one, *other, *adopted;
      int pair[2], peers[2];

      usock_test_no_error (usock_handle_new_pair (types[i], &one, &other, &error));
      peers[0] = blocker_queue (usock_socket_get_fd (USOCK_SOCKET (other)));
      usock_socket_close (USOCK_SOCKET (one));
      g_object_unref (one);
      g_object_unref (other);

      g_assert_cmpint (socketpair (AF_UNIX, types[i] | SOCK_CLOEXEC, 0, pair), ==, 0);
      peers[1] = blocker_queue (pair[1]);
      usock_test_no_error (adopted = usock_handle_new_from_fd (pair[0], &error));
      g_object_unref (adopted);
      close (pair[1]);
      close (peers[0]);
      close (peers[1]);
    }
}

/* Who receives bytes alone has the descriptors closed that come with them. */
static void
test_handle_receives_bytes (UsockTest     *test,
                            gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      UsockHandle *one, *other;
      g_autoptr (GBytes) bytes = NULL;
      int peer, nested;

      usock_test_no_error (usock_handle_new_pair (types[i], &one, &other, &error));
      nested = blocker_new_nested (&peer);
      blocker_send_fd (usock_socket_get_fd (USOCK_SOCKET (other)), nested);
      close (nested);
      usock_test_no_error (bytes = usock_handle_receive (one, 10, 0, -1, &error));
      g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "x", 1);
      g_object_unref (one);
      g_object_unref (other);
      close (peer);
    }
}

static int
connect_to (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  return fd;
}

static void
test_backlog (UsockTest     *test,
              gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "s");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  int client, peer;

  usock_server_set_max_fds (server, 4);
  usock_test_no_error (usock_server_listen_on_path (server, path, 5, &error));
  client = connect_to (path);
  peer = blocker_queue (client);
  scene_close (server);
  close (client);
  close (peer);
}

static void
refuse_cb (UsockServer     *server,
           GCredentials    *credentials,
           GSocketAddress  *address,
           UsockDropReason  reason,
           guint           *n_refused)
{
  (*n_refused)++;
}

static void
nothing_cb (UsockServer  *server,
            UsockChannel *channel,
            gpointer      unused)
{
}

static void
test_refused_connection (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "s");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  guint n_refused = 0;
  int client, refused, peer;

  usock_server_set_max_fds (server, 4);
  usock_server_set_max_connections (server, 1);
  g_signal_connect (server, "connection", G_CALLBACK (nothing_cb), NULL);
  g_signal_connect (server, "drop", G_CALLBACK (refuse_cb), &n_refused);
  usock_test_no_error (usock_server_listen_on_path (server, path, 5, &error));
  client = connect_to (path);
  refused = connect_to (path);
  peer = blocker_queue (refused);
  usock_test_wait_until (n_refused == 1);
  close (client);
  close (refused);
  close (peer);
  scene_settle ();
  scene_close (server);
}

/* Of messages that the program made, it may have been given the descriptors. */
static void
test_own_messages (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (GError) taken = NULL;
  UsockMessage *message = usock_message_new_from_text ("x");
  int peers[3];

  usock_test_no_error (
      usock_message_append_fd_owned (message, blocker_new_lingering (&peers[0]), &error));
  usock_message_close_fds (message);
  g_assert_cmpint (usock_message_take_fd (message, 0, &taken), ==, -1);
  g_assert_error (taken, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  usock_message_unref (message);

  message = usock_message_new_from_text ("x");
  usock_test_no_error (
      usock_message_append_fd_owned (message, blocker_new_lingering (&peers[1]), &error));
  usock_test_no_error (
      usock_message_append_fd_owned (message, blocker_new_nested (&peers[2]), &error));
  usock_message_unref (message);
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    close (peers[i]);
}

/* What one program passes on to the next, whoever it was from. */
static void
test_unsent (UsockTest     *test,
             gconstpointer  unused)
{
  UsockChannel *one, *other;
  int peers[2], nested[2];

  scene_pair (&one, &other);
  usock_channel_set_max_fds (other, 1);
  while (usock_channel_get_queued_bytes (one) == 0)
    usock_test_no_error (usock_channel_send_text (one, "fills the queue", &error));
  for (guint i = 0; i < G_N_ELEMENTS (nested); i++)
    {
      UsockMessage *message = usock_message_new_from_text ("x");

      nested[i] = blocker_new_nested (&peers[i]);
      usock_test_no_error (usock_message_append_fd_owned (message, nested[i], &error));
      usock_test_no_error (usock_channel_send_message (one, message, &error));
      usock_message_unref (message);
    }
  scene_close (one);
  scene_close (other);
  close (peers[0]);
  close (peers[1]);
}

static void
count_cb (UsockChannel *channel,
          UsockMessage *message,
          guint        *n_seen)
{
  (*n_seen)++;
}

static void
send_null (int fd)
{
  int null = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  blocker_send_fd (fd, null);
  close (null);
}

/* One that sends what cannot be closed stops itself in the end, but nobody else. */
static void
test_hostile_and_other (UsockTest     *test,
                        gconstpointer  unused)
{
  UsockChannel *evil, *good;
  int evil_pair[2], good_pair[2], peer, nested;
  guint n_evil = 0, n_good = 0, n_stopped;
  const guint n_sent = 200;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, evil_pair), ==, 0);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, good_pair), ==, 0);
  evil = adopt (SOCK_SEQPACKET, evil_pair[0]);
  good = adopt (SOCK_SEQPACKET, good_pair[0]);
  usock_channel_set_max_fds (evil, 1);
  usock_channel_set_max_fds (good, 1);
  g_signal_connect (evil, "message", G_CALLBACK (count_cb), &n_evil);
  g_signal_connect (good, "message", G_CALLBACK (count_cb), &n_good);

  nested = blocker_new_nested (&peer);
  blocker_send_fd (evil_pair[1], nested);
  close (nested);
  for (guint i = 1; i < n_sent; i++)
    send_null (evil_pair[1]);
  for (guint i = 1; i <= n_sent; i++)
    {
      send_null (good_pair[1]);
      usock_test_wait_until (n_good == i);
    }
  scene_settle ();
  n_stopped = n_evil;
  g_assert_cmpuint (n_stopped, >, 0);
  g_assert_cmpuint (n_stopped, <, n_sent);
  for (guint i = 1; i <= n_sent; i++)
    {
      send_null (good_pair[1]);
      usock_test_wait_until (n_good == n_sent + i);
    }
  g_assert_cmpuint (n_evil, ==, n_stopped);

  close (peer);
  usock_test_wait_until (n_evil == n_sent);
  scene_close (evil);
  scene_close (good);
  close (evil_pair[1]);
  close (good_pair[1]);
}

/* Unwanted ones, that are refused by no kernel before 6.16, are closed as well. */
static void
test_unwanted (UsockTest     *test,
               gconstpointer  unused)
{
  UsockChannel *channel;
  guint n_seen = 0;
  int pair[2], peer, nested;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
  nested = blocker_new_nested (&peer);
  blocker_send_fd (pair[1], nested);
  close (nested);
  send_null (pair[1]);
  channel = adopt (SOCK_SEQPACKET, pair[0]);
  g_signal_connect (channel, "data", G_CALLBACK (count_cb), &n_seen);
  usock_test_wait_until (n_seen == 2);
  scene_close (channel);
  close (pair[1]);
  close (peer);
}

/* A process with few numbers goes on with what it does, while a stranger's descriptors wait. */
static void
test_few_numbers (UsockTest     *test,
                  gconstpointer  unused)
{
  struct rlimit before, few;
  UsockChannel *evil[8], *one, *other;
  int peers[8], pairs[8][2];
  guint n_evil = 0, n_seen = 0;

  if (scene_skip_limits ())
    return;
  scene_pair (&one, &other);
  usock_channel_set_max_fds (other, 1);
  g_signal_connect (other, "message", G_CALLBACK (count_cb), &n_seen);
  for (guint i = 0; i < G_N_ELEMENTS (evil); i++)
    {
      int nested = blocker_new_nested (&peers[i]);

      g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[i]), ==, 0);
      evil[i] = adopt (SOCK_SEQPACKET, pairs[i][0]);
      usock_channel_set_max_fds (evil[i], 1);
      g_signal_connect (evil[i], "message", G_CALLBACK (count_cb), &n_evil);
      blocker_send_fd (pairs[i][1], nested);
      close (nested);
      for (guint n = 0; n < 30; n++)
        send_null (pairs[i][1]);
    }
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  few = (struct rlimit){ 96, before.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);

  for (guint i = 1; i <= 500; i++)
    {
      int null = open ("/dev/null", O_RDONLY | O_CLOEXEC);

      g_assert_cmpint (null, >=, 0);
      usock_test_no_error (
          usock_channel_send_with_fds (one, (const guint8 *) "x", 1, &null, 1, &error));
      close (null);
      if (i % 10 == 0)
        usock_test_wait_until (n_seen == i);
    }
  g_assert_cmpuint (n_evil, <, G_N_ELEMENTS (evil) * 31);

  for (guint i = 0; i < G_N_ELEMENTS (evil); i++)
    close (peers[i]);
  usock_test_wait_until (n_evil == G_N_ELEMENTS (evil) * 31);
  for (guint i = 0; i < G_N_ELEMENTS (evil); i++)
    {
      scene_close (evil[i]);
      close (pairs[i][1]);
    }
  scene_close (one);
  scene_close (other);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
}

static void
look_cb (UsockChannel *channel,
         UsockMessage *message,
         guint        *n_seen)
{
  g_assert_cmpint (usock_message_get_fd_kind (message, 0), ==, USOCK_FD_KIND_FILE);
  (*n_seen)++;
}

/* Each question about a file of a server that is silent waits for an answer, but for what is known
 * without; and so does closing it. */
static void
test_silent_files (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "files");
  BlockerServer *server;
  UsockChannel *channel;
  UsockMessage *message;
  guint n_seen = 0;
  int file, pair[2];

  g_assert_cmpint (mkdir (path, 0700), ==, 0);
  server = blocker_server_new (path);
  if (server == NULL)
    {
      g_test_skip ("Only root can mount file systems");
      return;
    }
  file = blocker_server_open (server);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
  channel = adopt (SOCK_SEQPACKET, pair[0]);
  usock_channel_set_max_fds (channel, 1);
  g_signal_connect (channel, "message", G_CALLBACK (look_cb), &n_seen);
  message = usock_message_new_from_text ("x");
  usock_test_no_error (usock_message_append_fd (message, file, &error));
  blocker_send_fd (pair[1], file);
  blocker_server_silence (server);

  usock_message_unref (message);
  usock_test_wait_until (n_seen == 1);
  blocker_send_fd (pair[1], file);
  scene_close (channel);
  close (pair[1]);
  blocker_server_free (server);
  close (file);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  if (blocker_skip_all ())
    return 0;

#define add(name, function) usock_test_add ("/usock/closing/" name, function)

  add ("channels", test_channels);
  add ("refused-too-late", test_refused_too_late);
  add ("dropped-unclosed", test_dropped_unclosed);
  add ("handles", test_handles);
  add ("handle-receives-bytes", test_handle_receives_bytes);
  add ("backlog", test_backlog);
  add ("refused-connection", test_refused_connection);
  add ("own-messages", test_own_messages);
  add ("unsent", test_unsent);
  add ("hostile-and-other", test_hostile_and_other);
  add ("unwanted", test_unwanted);
  add ("few-numbers", test_few_numbers);
  add ("silent-files", test_silent_files);

  return g_test_run ();
}
