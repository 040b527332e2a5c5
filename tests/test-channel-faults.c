/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "channel-scene.h"

#include <errno.h>
#include <unistd.h>

#include "usock-io-private.h"

static void
scene_heal_and_stop (Scene *scene)
{
  usock_io_fault_clear ();
  scene_stop (scene);
}

static void
keep_result_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      data)
{
  *(GAsyncResult **) data = g_object_ref (result);
}

/* What passes comes back without an event. */

static void
test_receive_without_memory (UsockTest     *test,
                             gconstpointer  unused)
{
  static const int errors[] = { ENOMEM, ENOBUFS };
  Scene scene;

  scene_start (&scene, test, "data error close");
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      scene_settle ();
      usock_io_fault_add (USOCK_IO_RECEIVE, errors[i], 1, 0);
      scene_send (scene.peer, "1");
      scene_send (scene.peer, "2");
      witness_expect (&scene.witness, "data:1 data:2");
    }
  scene_heal_and_stop (&scene);
}

/* The end of who has left nothing behind comes by itself, though nobody listens. */
static void
test_end_without_memory (UsockTest     *test,
                         gconstpointer  unused)
{
  static const int errors[] = { ENOMEM, ENOBUFS, ECONNRESET, EIO };
  static const char *const ends[] = { "close", "close", "error:broken-pipe close", "error:failed close" };

  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      UsockChannel *channel, *other;
      Witness witness;

      witness_init (&witness);
      scene_pair (&channel, &other);
      witness_watch (&witness, channel, "error close");
      scene_settle ();
      usock_io_fault_add (USOCK_IO_RECEIVE, errors[i], 1, 0);
      usock_socket_close (USOCK_SOCKET (other));
      witness_expect (&witness, ends[i]);
      usock_io_fault_clear ();
      g_object_unref (channel);
      g_object_unref (other);
      witness_clear (&witness);
    }
}

static void
test_send_without_memory (UsockTest     *test,
                          gconstpointer  unused)
{
  static const int errors[] = { ENOMEM, ENOBUFS, ETOOMANYREFS };
  Scene scene;

  scene_start (&scene, test, "error close");
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      g_autofree char *text = NULL;

      usock_io_fault_add (USOCK_IO_SEND, errors[i], 1, 0);
      usock_test_no_error (usock_channel_send_text (scene.channel, "1", &error));
      g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), >, 0);
      usock_test_wait_until (usock_channel_get_queued_bytes (scene.channel) == 0);
      text = scene_receive (scene.peer);
      g_assert_cmpstr (text, ==, "1");
    }
  scene_heal_and_stop (&scene);
}

/* Both at once: neither must take the other's time away. */
static void
test_both_without_memory (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;
  g_autofree char *text = NULL;

  scene_start (&scene, test, "data error close");
  scene_settle ();
  usock_io_fault_add (USOCK_IO_RECEIVE, ENOMEM, 1, 0);
  usock_io_fault_add (USOCK_IO_SEND, ENOMEM, 1, 0);
  usock_test_no_error (usock_channel_send_text (scene.channel, "1", &error));
  scene_send (scene.peer, "2");
  witness_expect (&scene.witness, "data:2");
  text = scene_receive (scene.peer);
  g_assert_cmpstr (text, ==, "1");
  scene_heal_and_stop (&scene);
}

static void
assert_received (UsockChannel *channel,
                 gsize         length,
                 guint         n_fds)
{
  GAsyncResult *result = NULL;
  g_autoptr (UsockMessage) message = NULL;

  usock_channel_receive_async (channel, NULL, keep_result_cb, &result);
  usock_test_wait_until (result != NULL);
  usock_test_no_error (message = usock_channel_receive_finish (channel, result, &error));
  g_assert_cmpuint (usock_message_get_length (message), ==, length);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, n_fds);
  g_object_unref (result);
}

/* Where the system lets the buffer grow no more, what does not fit in it goes in a memory file. */
static void
test_memfd_where_buffer_is_small (UsockTest     *test,
                                  gconstpointer  unused)
{
  const gsize length = 300 * 1000;
  g_autofree guint8 *data = g_malloc0 (length);
  UsockChannel *first, *second;

  scene_pair (&first, &second);
  usock_channel_set_max_fds (second, 1);
  usock_channel_set_read_buffer_size (second, length);
  usock_channel_set_memfd_fallback (first, TRUE);
  usock_io_fault_add (USOCK_IO_SET_OPTION, EPERM, 1, 1);
  usock_test_no_error (usock_channel_send (first, data, length, &error));
  assert_received (second, 0, 1);
  usock_test_no_error (usock_channel_send (first, data, 100 * 1000, &error));
  assert_received (second, 100 * 1000, 0);
  usock_io_fault_clear ();
  usock_test_no_error (usock_channel_send (first, data, length, &error));
  assert_received (second, length, 0);
  scene_close (first);
  scene_close (second);
}

/* A security module may forbid bytes as well: only of descriptors the peer is the reason. */
static void
test_send_is_forbidden (UsockTest     *test,
                        gconstpointer  unused)
{
  g_autoptr (GError) failure = NULL;
  UsockChannel *first, *second;

  scene_pair (&first, &second);
  usock_io_fault_add (USOCK_IO_SEND, EPERM, 1, 0);
  g_assert_false (usock_channel_send_text (first, "x", &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
  g_assert_null (strstr (failure->message, "descriptor"));
  scene_close (first);
  scene_close (second);
}

/* What does not pass ends the channel. */

static void
test_receive_fails (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data error close");
  scene_settle ();
  usock_io_fault_add (USOCK_IO_RECEIVE, EIO, 1, 0);
  scene_send (scene.peer, "1");
  witness_expect (&scene.witness, "error:failed close");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, EIO);
  scene_heal_and_stop (&scene);
}

static void
test_queued_message_fails (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data error close");
  usock_io_fault_add (USOCK_IO_SEND, ENOBUFS, 1, 0);
  usock_test_no_error (usock_channel_send_text (scene.channel, "1", &error));
  usock_io_fault_add (USOCK_IO_SEND, EIO, 1, 0);
  witness_expect (&scene.witness, "error:failed close");
  scene_heal_and_stop (&scene);
}

/* Who waits for the message is told; the channel goes on. */
static void
test_awaited_message_fails (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("1");
  g_autofree char *text = NULL;

  scene_start (&scene, test, "data error close");
  usock_io_fault_add (USOCK_IO_SEND, ENOBUFS, 1, 0);
  usock_channel_send_message_async (
      scene.channel, message, NULL, witness_done,
      witness_call (&scene.witness, "a", usock_channel_send_message_finish));
  usock_test_no_error (usock_channel_send_text (scene.channel, "2", &error));
  usock_io_fault_add (USOCK_IO_SEND, EIO, 1, 0);
  usock_test_wait_until (scene.witness.n_words == 1);
  witness_assert (&scene.witness, "a:failed");
  usock_test_wait_until (usock_channel_get_queued_bytes (scene.channel) == 0);
  text = scene_receive (scene.peer);
  g_assert_cmpstr (text, ==, "2");
  scene_heal_and_stop (&scene);
}

/* A server goes on whatever accepting says. */

static void
take_connection_cb (UsockServer  *server,
                    UsockChannel *connection,
                    guint        *n_connections)
{
  (*n_connections)++;
  usock_socket_close (USOCK_SOCKET (connection));
}

static void
test_accept_fails (UsockTest     *test,
                   gconstpointer  unused)
{
  static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO, EPERM };
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autofree char *path = usock_test_path (test, "socket");
  Witness witness;
  guint n_connections = 0;

  witness_init (&witness);
  witness_watch (&witness, server, "listening error close");
  g_signal_connect (server, "connection", G_CALLBACK (take_connection_cb), &n_connections);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  witness_expect (&witness, "listening");
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      UsockChannel *client = USOCK_CHANNEL (usock_seqpacket_new ());

      usock_io_fault_add (USOCK_IO_ACCEPT, errors[i], 1, 0);
      usock_test_no_error (usock_channel_connect_to_path (client, path, &error));
      usock_test_wait_until (n_connections == i + 1);
      g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (server)), ==, errors[i]);
      scene_close (client);
    }
  witness_assert (&witness, "error:too-many-open-files error:too-many-open-files error:failed "
                            "error:no-space error:permission-denied");
  usock_io_fault_clear ();
  scene_close (g_steal_pointer (&server));
  witness_clear (&witness);
}

/* An error that does not pass costs no more than one that does. */
static void
test_accept_fails_for_ever (UsockTest     *test,
                            gconstpointer  unused)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autofree char *path = usock_test_path (test, "socket");
  UsockChannel *client = USOCK_CHANNEL (usock_seqpacket_new ());
  guint n_connections = 0, n_turns = 0;

  g_signal_connect (server, "connection", G_CALLBACK (take_connection_cb), &n_connections);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  scene_settle ();
  usock_io_fault_add (USOCK_IO_ACCEPT, EINVAL, 1, 1);
  usock_test_no_error (usock_channel_connect_to_path (client, path, &error));
  while (n_turns < 1000 && g_main_context_iteration (test->context, FALSE))
    n_turns++;
  g_assert_cmpuint (n_turns, <, 1000);
  usock_io_fault_clear ();
  usock_test_wait_until (n_connections == 1);
  scene_close (client);
  scene_close (g_steal_pointer (&server));
}

/* A failure leaves a new object as it was. */
static void
test_failures_at_once (UsockTest     *test,
                       gconstpointer  unused)
{
  static const UsockIoCall calls[] = { USOCK_IO_SOCKET, USOCK_IO_SET_OPTION, USOCK_IO_CONNECT };
  g_autofree char *path = usock_test_path (test, "socket");
  int listener = scene_listen (path, 5);
  UsockChannel *client = USOCK_CHANNEL (usock_seqpacket_new ());
  Witness witness;
  GError *failure = NULL;

  witness_init (&witness);
  witness_watch (&witness, client, "connect error close");
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      usock_io_fault_clear ();
      usock_io_fault_add (calls[i], EACCES, 1, 0);
      g_assert_false (usock_channel_connect_to_path (client, path, &failure));
      assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
      g_assert_cmpstr (usock_socket_get_error_call (USOCK_SOCKET (client)), ==,
                       usock_io_call_name (calls[i]));
      g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (client)), ==, USOCK_STATE_NEW);
      g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (client)), ==, -1);
    }
  usock_io_fault_clear ();
  usock_test_no_error (usock_channel_connect_to_path (client, path, &error));
  witness_expect (&witness, "connect");
  scene_close (client);
  close (listener);
  witness_clear (&witness);
}

/* A name of its own as well, which is then nobody's. */
static void
test_bind_failures (UsockTest     *test,
                    gconstpointer  unused)
{
  static const UsockIoCall calls[] = { USOCK_IO_SOCKET, USOCK_IO_SET_OPTION, USOCK_IO_BIND };
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockSeqpacket) client = usock_seqpacket_new ();
  UsockSocket *socket = USOCK_SOCKET (client);
  GError *failure = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      usock_io_fault_clear ();
      usock_io_fault_add (calls[i], EACCES, 1, 0);
      g_assert_false (usock_seqpacket_bind_to_path (client, path, &failure));
      assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
      g_assert_cmpstr (usock_socket_get_error_call (socket), ==, usock_io_call_name (calls[i]));
      g_assert_cmpint (usock_socket_get_error_number (socket), ==, EACCES);
      g_assert_cmpint (usock_socket_get_state (socket), ==, USOCK_STATE_NEW);
      g_assert_null (usock_socket_get_local_address (socket));
      g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
  usock_io_fault_clear ();
  usock_test_no_error (usock_seqpacket_bind_to_path (client, path, &error));
  g_assert_nonnull (usock_socket_get_local_address (socket));
  g_assert_false (usock_seqpacket_bind_to_path (client, path, &failure));
  assert_error_code (failure, G_IO_ERROR_EXISTS);
}

static void
test_listen_failures (UsockTest     *test,
                      gconstpointer  unused)
{
  static const UsockIoCall calls[]
      = { USOCK_IO_SOCKET, USOCK_IO_SET_OPTION, USOCK_IO_BIND, USOCK_IO_LISTEN };
  g_autofree char *path = usock_test_path (test, "socket");
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GError *failure = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      usock_io_fault_clear ();
      usock_io_fault_add (calls[i], EACCES, 1, 0);
      g_assert_false (usock_server_listen_on_path (server, path, 0, &failure));
      assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
      g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (server)), ==, USOCK_STATE_NEW);
      g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
  usock_io_fault_clear ();
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  scene_close (server);
}

static void
test_pair_failures (UsockTest     *test,
                    gconstpointer  unused)
{
  UsockSeqpacket *first = NULL, *second = NULL;
  GError *failure = NULL;

  usock_io_fault_add (USOCK_IO_PAIR, EMFILE, 1, 0);
  g_assert_false (usock_seqpacket_new_pair (&first, &second, &failure));
  assert_error_code (failure, G_IO_ERROR_TOO_MANY_OPEN_FILES);

  /* Each of the options of both ends. */
  for (guint nth = 1; nth < 20; nth++)
    {
      usock_io_fault_clear ();
      usock_io_fault_add (USOCK_IO_SET_OPTION, EACCES, nth, 0);
      if (usock_seqpacket_new_pair (&first, &second, &failure))
        {
          g_assert_cmpuint (nth, >, 4);
          scene_close (first);
          scene_close (second);
          break;
        }
      g_assert_null (first);
      assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
      scene_settle ();
    }
  usock_io_fault_clear ();
}

static void
test_datagram_failure (UsockTest     *test,
                       gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockDgram) socket = usock_dgram_new ();
  GError *failure = NULL;

  usock_io_fault_add (USOCK_IO_SET_OPTION, EACCES, 1, 0);
  g_assert_false (usock_dgram_bind_to_path (socket, path, &failure));
  usock_io_fault_clear ();
  assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
  g_assert_cmpstr (usock_socket_get_error_call (USOCK_SOCKET (socket)), ==, "setsockopt");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (socket)), ==, EACCES);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/channel-faults/" name, function)

  add ("send-is-forbidden", test_send_is_forbidden);
  add ("receive-without-memory", test_receive_without_memory);
  add ("end-without-memory", test_end_without_memory);
  add ("send-without-memory", test_send_without_memory);
  add ("both-without-memory", test_both_without_memory);
  add ("memfd-where-buffer-is-small", test_memfd_where_buffer_is_small);
  add ("receive-fails", test_receive_fails);
  add ("queued-message-fails", test_queued_message_fails);
  add ("awaited-message-fails", test_awaited_message_fails);
  add ("accept-fails", test_accept_fails);
  add ("accept-fails-for-ever", test_accept_fails_for_ever);
  add ("failures-at-once", test_failures_at_once);
  add ("bind-failures", test_bind_failures);
  add ("listen-failures", test_listen_failures);
  add ("pair-failures", test_pair_failures);
  add ("datagram-failure", test_datagram_failure);

  return g_test_run ();
}
