/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_KILLS 20
#define N_MESSAGES 20000
#define N_BETWEEN 500
#define N_IN_FLIGHT 200

/* Of a stream the kernel tells bytes and its own records in one sum: of small messages nearly all
 * could be unread. */
#define PACKET_SIZE 8
#define STREAM_SIZE 2048

static void
on_channel (UsockClient  *client,
            UsockChannel *channel,
            Witness      *witness)
{
  g_assert_true (usock_client_get_channel (client) == channel);
  witness_write (witness, "connected");
}

static void
on_disconnected (UsockClient  *client,
                 const GError *reason,
                 Witness      *witness)
{
  g_assert_null (usock_client_get_channel (client));
  witness_write (witness, "disconnected:%s", reason != NULL ? witness_code (reason) : "");
}

static void
on_unsent (UsockClient   *client,
           UsockMessage  *message,
           const GError  *reason,
           Witness       *witness)
{
  g_autofree char *text = usock_message_dup_text (message, NULL);

  witness_write (witness, "unsent:%s:%s", text, witness_code (reason));
}

static void
on_uncertain (UsockClient   *client,
              UsockMessage  *message,
              Witness       *witness)
{
  g_autofree char *text = usock_message_dup_text (message, NULL);

  witness_write (witness, "uncertain:%s", text);
}

static void
on_waiting (UsockClient  *client,
            guint         delay,
            const GError *reason,
            guint        *n)
{
  g_assert_cmpuint (delay, >=, 1);
  g_assert_cmpuint (delay, <=, usock_client_get_max_delay (client));
  *n += 1;
}

static void
write_done (Witness      *witness,
            const char   *name,
            GObject      *client,
            GAsyncResult *result)
{
  g_autoptr (GError) error = NULL;

  usock_client_send_message_finish (USOCK_CLIENT (client), result, &error);
  witness_write (witness, "%s:%s", name, error != NULL ? witness_code (error) : "ok");
}

static void
send_done (GObject      *client,
           GAsyncResult *result,
           gpointer      witness)
{
  write_done (witness, "send", client, result);
}

static void
cancelled_done (GObject      *client,
                GAsyncResult *result,
                gpointer      witness)
{
  write_done (witness, "cancelled", client, result);
}

static UsockClient *
new_client (GType    type,
            Witness *witness,
            guint   *n_waits)
{
  UsockClient *client = usock_client_new (type);

  witness_init (witness);
  *n_waits = 0;
  usock_client_set_min_delay (client, 1);
  usock_client_set_max_delay (client, 5);
  g_signal_connect (client, "connected", G_CALLBACK (on_channel), witness);
  g_signal_connect (client, "disconnected", G_CALLBACK (on_disconnected), witness);
  g_signal_connect (client, "unsent", G_CALLBACK (on_unsent), witness);
  g_signal_connect (client, "uncertain", G_CALLBACK (on_uncertain), witness);
  g_signal_connect (client, "waiting", G_CALLBACK (on_waiting), n_waits);
  return client;
}

static void
drop_client (UsockClient *client)
{
  gpointer watched = client;

  g_object_add_weak_pointer (G_OBJECT (client), &watched);
  usock_client_stop (client);
  g_object_unref (client);
  usock_test_wait_until (watched == NULL);
}

static void
count_closes_cb (UsockChannel *channel,
                 UsockClient  *client)
{
  guint *n = g_object_get_data (G_OBJECT (client), "closes");

  (*n)++;
}

static void
watch_channel_cb (UsockClient  *client,
                  UsockChannel *channel)
{
  g_signal_connect (channel, "close", G_CALLBACK (count_closes_cb), client);
}

/* What the client disconnects are its own handlers. */
static void
test_handler_with_client (UsockTest     *test,
                          gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  Witness witness;
  guint n_waits, n_closes = 0;
  UsockClient *client = new_client (USOCK_TYPE_SEQPACKET, &witness, &n_waits);
  int listening = scene_listen (path, 5);

  g_object_set_data (G_OBJECT (client), "closes", &n_closes);
  g_signal_connect (client, "connected", G_CALLBACK (watch_channel_cb), NULL);
  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  witness_expect (&witness, "connected");
  close (accept (listening, NULL, NULL));
  usock_test_wait_until (n_closes == 1);
  close (listening);
  drop_client (client);
  witness_clear (&witness);
}

/* In order, however many waited, and on one connection after the other. */
static void
test_comes_back (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  Witness witness;
  guint n_waits;
  UsockClient *client = new_client (USOCK_TYPE_SEQPACKET, &witness, &n_waits);
  g_autofree char *text = NULL;
  int listening, connection;

  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  usock_test_no_error (usock_client_send_text (client, "one", &error));
  usock_test_no_error (usock_client_send_text (client, "two", &error));
  usock_test_wait_until (n_waits >= 3);
  listening = scene_listen (path, 5);
  witness_expect (&witness, "connected");
  usock_test_no_error (usock_client_send_text (client, "three", &error));
  connection = accept (listening, NULL, NULL);
  for (guint i = 0; i < 3; i++)
    {
      static const char *const expected[] = { "one", "two", "three" };
      g_autofree char *received = scene_receive (connection);

      g_assert_cmpstr (received, ==, expected[i]);
    }

  /* What was read is not told of again; what was not read is. */
  close (connection);
  usock_test_wait_until (witness.n_words >= 2);
  witness_assert (&witness, "disconnected: connected");
  connection = accept (listening, NULL, NULL);
  usock_test_no_error (usock_client_send_text (client, "four", &error));
  usock_test_no_error (usock_client_send_text (client, "five", &error));
  text = scene_receive (connection);
  g_assert_cmpstr (text, ==, "four");
  scene_settle ();
  close (connection);
  usock_test_wait_until (strstr (witness.words->str, "uncertain:five disconnected:") != NULL);

  /* Of an empty one the kernel may say nothing. */
  usock_test_wait_until (usock_client_get_channel (client) != NULL);
  connection = accept (listening, NULL, NULL);
  usock_test_no_error (usock_client_send_text (client, "", &error));
  scene_settle ();
  close (connection);
  usock_test_wait_until (strstr (witness.words->str, "uncertain: disconnected:") != NULL);
  close (listening);
  drop_client (client);
  witness_clear (&witness);
}

/* Twice as long each time, a little less by chance, up to the longest; and nothing is done meanwhile. */
static void
on_delay (UsockClient  *client,
          guint         delay,
          const GError *reason,
          GArray       *delays)
{
  g_assert_error (reason, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_array_append_val (delays, delay);
}

static void
test_waits_longer (UsockTest     *test,
                   gconstpointer  unused)
{
  static const guint expected[] = { 4, 8, 16, 20, 20 };
  g_autofree char *path = usock_test_path (test, "nowhere");
  g_autoptr (GArray) delays = g_array_new (FALSE, FALSE, sizeof (guint));
  UsockClient *client = usock_client_new (USOCK_TYPE_SEQPACKET);

  usock_client_set_min_delay (client, 4);
  usock_client_set_max_delay (client, 20);
  g_signal_connect (client, "waiting", G_CALLBACK (on_delay), delays);
  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  usock_test_wait_until (delays->len >= G_N_ELEMENTS (expected));
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_assert_cmpuint (g_array_index (delays, guint, i), <=, expected[i]);
      g_assert_cmpuint (g_array_index (delays, guint, i), >=, expected[i] * 3 / 4);
    }

  usock_client_set_max_delay (client, 100 * 1000);
  usock_client_set_min_delay (client, 100 * 1000);
  usock_test_wait_until (delays->len > G_N_ELEMENTS (expected));
  for (guint i = 0; i < 1000; i++)
    g_assert_false (g_main_context_iteration (test->context, FALSE));
  drop_client (client);
}

/* What nobody reads keeps a connection whose server is gone, until something is to be sent. */
static void
test_unread (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int listening = scene_listen (path, 5);
  Witness witness;
  guint n_waits;
  UsockClient *client = new_client (USOCK_TYPE_SEQPACKET, &witness, &n_waits);
  g_autofree char *text = NULL;
  int connection;

  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  witness_expect (&witness, "connected");
  connection = accept (listening, NULL, NULL);
  scene_send (connection, "unread");
  close (connection);
  scene_settle ();
  witness_assert (&witness, "");
  usock_test_no_error (usock_client_send_text (client, "late", &error));
  usock_test_wait_until (witness.n_words >= 2);
  g_assert_true (g_str_has_prefix (witness.words->str, "disconnected:"));
  connection = accept (listening, NULL, NULL);
  usock_test_wait_until (usock_client_get_queued_bytes (client) == 0);
  text = scene_receive (connection);
  g_assert_cmpstr (text, ==, "late");
  close (connection);
  close (listening);
  drop_client (client);
  witness_clear (&witness);
}

static void
test_stops (UsockTest     *test,
            gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  Witness witness;
  guint n_waits;
  UsockClient *client = new_client (USOCK_TYPE_STREAM, &witness, &n_waits);
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("awaited");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  GError *failure = NULL;

  g_assert_false (usock_client_send_text (client, "early", &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  g_assert_false (usock_client_start_for_path (client, path, &failure));
  assert_error_code (failure, G_IO_ERROR_PENDING);
  usock_client_set_queue_limit (client, 600);
  usock_test_no_error (usock_client_send_text (client, "first", &error));
  usock_test_no_error (usock_client_send_text (client, "second", &error));
  g_assert_false (usock_client_send_text (client, "third", &failure));
  assert_error_code (failure, G_IO_ERROR_WOULD_BLOCK);
  usock_client_send_message_async (client, message, cancellable, cancelled_done, &witness);
  usock_client_send_message_async (client, message, NULL, send_done, &witness);
  g_cancellable_cancel (cancellable);
  usock_test_wait_until (witness.n_words >= 1);
  witness_assert (&witness, "cancelled:cancelled");
  usock_client_stop (client);
  usock_client_stop (client);
  witness_assert (&witness, "");
  g_assert_false (usock_client_is_started (client));
  usock_test_wait_until (witness.n_words >= 3);
  witness_assert (&witness, "send:closed unsent:first:closed unsent:second:closed");
  g_assert_cmpuint (usock_client_get_queued_bytes (client), ==, 0);
  drop_client (client);
  witness_clear (&witness);
}

/* A message that can not be sent is not tried for ever, and stands in nobody's way. */
static void
test_refused (UsockTest     *test,
              gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autofree char *huge = g_strnfill (5 * 1024 * 1024, 'x');
  int listening = scene_listen (path, 5);
  Witness witness;
  guint n_waits;
  UsockClient *client = new_client (USOCK_TYPE_SEQPACKET, &witness, &n_waits);
  g_autoptr (UsockMessage) message = usock_message_new_from_text (huge);
  g_autofree char *text = NULL;
  int connection;

  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  usock_client_send_message_async (client, message, NULL, send_done, &witness);
  usock_test_no_error (usock_client_send_text (client, "small", &error));
  usock_test_wait_until (witness.n_words >= 2);
  witness_assert (&witness, "connected send:message-too-large");
  connection = accept (listening, NULL, NULL);
  text = scene_receive (connection);
  g_assert_cmpstr (text, ==, "small");
  usock_client_stop (client);
  usock_test_wait_until (witness.n_words >= 1);
  witness_assert (&witness, "disconnected:");
  close (connection);
  close (listening);
  drop_client (client);
  witness_clear (&witness);
}

static void
waited (GObject      *client,
        GAsyncResult *result,
        gpointer      witness)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockChannel) channel
      = usock_client_wait_finish (USOCK_CLIENT (client), result, &error);

  g_assert_true (channel != NULL || error != NULL);
  if (channel != NULL)
    g_assert_true (channel == usock_client_get_channel (USOCK_CLIENT (client)));
  witness_write (witness, "wait:%s", error != NULL ? witness_code (error) : "ok");
}

static void
test_wait (UsockTest     *test,
           gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Witness witness;
  guint n_waits;
  UsockClient *client = new_client (USOCK_TYPE_SEQPACKET, &witness, &n_waits);
  int listening;

  usock_client_wait_async (client, NULL, waited, &witness);
  witness_expect (&witness, "wait:not-connected");
  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  usock_client_wait_async (client, cancellable, waited, &witness);
  usock_client_wait_async (client, NULL, waited, &witness);
  g_cancellable_cancel (cancellable);
  witness_expect (&witness, "wait:cancelled");
  listening = scene_listen (path, 5);
  witness_expect (&witness, "connected wait:ok");
  usock_client_wait_async (client, cancellable, waited, &witness);
  usock_client_wait_async (client, NULL, waited, &witness);
  usock_test_wait_until (witness.n_words >= 2);
  g_assert_nonnull (strstr (witness.words->str, "wait:ok"));
  g_assert_nonnull (strstr (witness.words->str, "wait:cancelled"));
  witness_expect (&witness, witness.words->str);

  close (listening);
  unlink (path);
  usock_socket_close (USOCK_SOCKET (usock_client_get_channel (client)));
  witness_expect (&witness, "disconnected:");
  usock_client_wait_async (client, NULL, waited, &witness);
  usock_client_stop (client);
  witness_expect (&witness, "wait:closed");
  drop_client (client);
  witness_clear (&witness);
}

/* By each way of saying where. */
static void
test_places (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autofree char *name = g_strdup_printf ("@usock-client-%d", getpid ());
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  GError *failure = NULL;
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_STREAM);
  GSocketAddress *bound;
  guint port;
  Witness witness;
  guint n_waits;
  UsockClient *client = new_client (USOCK_TYPE_STREAM, &witness, &n_waits);

  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_test_no_error (usock_client_start_for_address (client, address, &error));
  witness_expect (&witness, "connected");
  usock_client_stop (client);
  witness_expect (&witness, "disconnected:");
  scene_close (server);

  server = usock_server_new (G_SOCKET_TYPE_STREAM);
  usock_test_no_error (usock_server_listen_on_path (server, name, 0, &error));
  usock_test_no_error (usock_client_start_for_path (client, name, &error));
  witness_expect (&witness, "connected");
  usock_client_stop (client);
  witness_expect (&witness, "disconnected:");
  scene_close (server);

  server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_assert_true (g_setenv ("XDG_RUNTIME_DIR", test->directory, TRUE));
  usock_test_no_error (usock_server_listen_on_name (server, "org.example.Client", 0, &error));
  usock_test_no_error (usock_client_start_for_name (client, "org.example.Client", &error));
  witness_expect (&witness, "connected");
  usock_client_stop (client);
  witness_expect (&witness, "disconnected:");
  scene_close (server);

  server = usock_server_new (G_SOCKET_TYPE_STREAM);
  usock_test_no_error (usock_server_listen_on_host (server, "127.0.0.1", 0, 0, &error));
  bound = usock_socket_get_local_address (USOCK_SOCKET (server));
  port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound));
  usock_test_no_error (usock_client_start_for_host (client, "127.0.0.1", port, &error));
  witness_expect (&witness, "connected");
  usock_client_stop (client);
  witness_expect (&witness, "disconnected:");

  g_assert_false (usock_client_start_for_host (client, "127.0.0.1", 65536, &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_false (usock_client_start_for_name (client, "a/b", &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_FILENAME);
  drop_client (client);
  witness_clear (&witness);

  client = usock_client_new (USOCK_TYPE_SEQPACKET);
  g_assert_false (usock_client_start_for_host (client, "127.0.0.1", port, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_false (usock_client_start_for_address (client, bound, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  drop_client (client);
  scene_close (server);
}

static void
close_channel (UsockClient  *client,
               UsockChannel *channel,
               guint        *n)
{
  if (++*n <= 3)
    usock_socket_close (USOCK_SOCKET (channel));
}

static void
stop_client (UsockClient  *client,
             UsockChannel *channel,
             gpointer      unused)
{
  usock_client_stop (client);
}

/* In each of its handlers a program may do what it likes. */
static void
test_handlers (UsockTest     *test,
               gconstpointer  unused)
{
  static const char *const signals[] = { "connecting", "connected" };
  g_autofree char *path = usock_test_path (test, "socket");
  int listening = scene_listen (path, 5);
  UsockClient *client;

  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      guint n = 0;

      client = usock_client_new (USOCK_TYPE_SEQPACKET);
      usock_client_set_min_delay (client, 1);
      usock_client_set_max_delay (client, 1);
      g_signal_connect (client, signals[i], G_CALLBACK (close_channel), &n);
      usock_test_no_error (usock_client_start_for_path (client, path, &error));
      usock_test_no_error (usock_client_send_text (client, "kept", &error));
      usock_test_wait_until (n > 3);
      usock_test_wait_until (usock_client_get_queued_bytes (client) == 0);
      drop_client (client);

      client = usock_client_new (USOCK_TYPE_SEQPACKET);
      g_signal_connect (client, signals[i], G_CALLBACK (stop_client), NULL);
      usock_test_no_error (usock_client_start_for_path (client, path, &error));
      usock_test_wait_until (!usock_client_is_started (client));
      drop_client (client);
    }
  close (listening);
}

/* What was sent is not kept open until the other side has read it, or the next one leaves. */
static void
test_descriptors (UsockTest     *test,
                  gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int listening = scene_listen (path, 5);
  Witness witness;
  guint n_waits;
  UsockClient *client = new_client (USOCK_TYPE_SEQPACKET, &witness, &n_waits);
  UsockMessage *message = usock_message_new_from_text ("pipe");
  int ends[2], connection;
  char byte;

  g_assert_no_errno (pipe2 (ends, O_CLOEXEC | O_NONBLOCK));
  usock_test_no_error (usock_message_append_fd_owned (message, ends[1], &error));
  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  usock_client_send_message_async (client, message, NULL, send_done, &witness);
  usock_message_unref (message);
  usock_test_wait_until (witness.n_words >= 2);
  witness_assert (&witness, "connected send:ok");
  connection = accept (listening, NULL, NULL);
  g_assert_cmpint (read (ends[0], &byte, 1), ==, -1);
  close (connection);
  usock_test_wait_until (read (ends[0], &byte, 1) == 0);
  usock_test_wait_until (witness.n_words >= 2);
  g_assert_nonnull (strstr (witness.words->str, "uncertain:pipe disconnected:"));
  close (ends[0]);
  close (listening);
  drop_client (client);
  witness_clear (&witness);
}

static void
answer (UsockPeer *peer,
        UsockCall *call,
        gpointer   unused)
{
  if (g_str_equal (usock_call_get_name (call), "Echo"))
    usock_test_no_error (usock_call_reply (call, usock_call_get_body (call), &error));
  else
    usock_socket_close (USOCK_SOCKET (usock_peer_get_channel (peer)));
}

static void
serve_calls (UsockServer  *server,
             UsockChannel *channel,
             gpointer      unused)
{
  g_autoptr (UsockPeer) peer = usock_peer_new (channel);

  usock_peer_handle (peer, "Echo", answer, NULL, NULL);
  usock_peer_handle (peer, "Die", answer, NULL, NULL);
}

static void
called (GObject      *peer,
        GAsyncResult *result,
        gpointer      witness)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) body = usock_peer_call_finish (USOCK_PEER (peer), result, &error);

  witness_write (witness, "call:%s", error != NULL ? witness_code (error) : "ok");
}

/* Calls go over the connection there is, and end with it. */
static void
test_peer (UsockTest     *test,
           gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GError *failure = NULL;
  Witness witness;
  guint n_waits;
  UsockClient *client = new_client (USOCK_TYPE_SEQPACKET, &witness, &n_waits);
  UsockPeer *peer;

  g_assert_null (usock_client_get_peer (client));
  g_signal_connect (server, "connection", G_CALLBACK (serve_calls), NULL);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_test_no_error (usock_client_start_for_address (client, address, &error));
  g_assert_null (usock_client_get_peer (client));
  witness_expect (&witness, "connected");
  for (guint i = 0; i < 3; i++)
    {
      peer = usock_client_get_peer (client);
      g_assert_true (peer == usock_client_get_peer (client));
      g_assert_true (usock_peer_get_channel (peer) == usock_client_get_channel (client));
      usock_peer_call_async (peer, "Echo", NULL, -1, NULL, called, &witness);
      usock_peer_call_async (peer, "Die", NULL, -1, NULL, called, &witness);
      witness_expect (&witness, "call:ok call:broken-pipe disconnected: connected");
    }
  g_assert_false (usock_client_send_text (client, "words", &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  drop_client (client);
  scene_close (server);
  witness_clear (&witness);
}

static gpointer
use_elsewhere (gpointer client)
{
  GMainContext *context = g_main_context_new ();
  GError *failure = NULL;
  Witness witness;

  g_main_context_push_thread_default (context);
  witness_init (&witness);
  g_assert_false (usock_client_send_text (client, "elsewhere", &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  usock_client_wait_async (client, NULL, waited, &witness);
  usock_test_wait_until (witness.n_words >= 1);
  witness_assert (&witness, "wait:not-supported");
  witness_clear (&witness);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  return NULL;
}

static void
test_elsewhere (UsockTest     *test,
                gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "nowhere");
  UsockClient *client = usock_client_new (USOCK_TYPE_SEQPACKET);

  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  g_thread_join (g_thread_new (NULL, use_elsewhere, client));
  g_assert_true (usock_client_is_started (client));
  g_assert_cmpuint (usock_client_get_queued_bytes (client), ==, 0);
  drop_client (client);
}

/* A relative path is fixed at the start, wherever the program goes then. */
static void
test_relative (UsockTest     *test,
               gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autofree char *here = g_get_current_dir ();
  g_autoptr (GBytes) bytes = g_bytes_new_static ("bytes", 5);
  UsockClient *client = usock_client_new (USOCK_TYPE_SEQPACKET);
  int listening, accepted = -1;
  char text[10];

  g_assert_no_errno (chdir (test->directory));
  usock_test_no_error (usock_client_start_for_path (client, "socket", &error));
  g_assert_no_errno (chdir (here));
  usock_test_no_error (usock_client_send_bytes (client, bytes, &error));
  listening = scene_listen (path, 5);
  usock_test_wait_until ((accepted = accept (listening, NULL, NULL)) != -1);
  usock_test_wait_until (recv (accepted, text, sizeof text, MSG_DONTWAIT) == 5);
  g_assert_cmpmem (text, 5, "bytes", 5);
  close (accepted);
  close (listening);
  drop_client (client);
}

static void
closed_constructed (GObject *object)
{
  G_OBJECT_CLASS (g_type_class_peek (USOCK_TYPE_SEQPACKET))->constructed (object);
  usock_socket_close (USOCK_SOCKET (object));
}

static void
closed_class_init (gpointer class,
                   gpointer unused)
{
  G_OBJECT_CLASS (class)->constructed = closed_constructed;
}

static GType
closed_get_type (void)
{
  GTypeQuery query;

  g_type_query (USOCK_TYPE_SEQPACKET, &query);
  return g_type_register_static_simple (USOCK_TYPE_SEQPACKET, g_intern_static_string ("TestClosed"),
                                        query.class_size, closed_class_init, query.instance_size,
                                        NULL, G_TYPE_FLAG_NONE);
}

static void
note_reason (UsockClient  *client,
             guint         delay,
             const GError *reason,
             char        **told)
{
  g_assert_error (reason, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_free (*told);
  *told = g_strdup (reason->message);
}

/* One that a program's own class closes before it is used. */
static void
test_closed_channel (UsockTest     *test,
                     gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "nowhere");
  g_autofree char *told = NULL;
  UsockClient *client = usock_client_new (closed_get_type ());

  usock_client_set_max_delay (client, 1);
  g_signal_connect (client, "waiting", G_CALLBACK (note_reason), &told);
  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  usock_test_wait_until (told != NULL);
  g_assert_nonnull (strstr (told, "TestClosed"));
  drop_client (client);
}

/* Only connections come back, and only a stream goes over the internet. */
static void
test_types (UsockTest     *test,
            gconstpointer  unused)
{
  const GType types[]
      = { USOCK_TYPE_CHANNEL, USOCK_TYPE_DGRAM, USOCK_TYPE_SEQPACKET, USOCK_TYPE_STREAM };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      UsockClient *client = g_object_new (USOCK_TYPE_CLIENT, "channel-type", types[i], NULL);
      gboolean is_stream = types[i] == USOCK_TYPE_STREAM;
      g_autoptr (GSocketAddress) address = usock_address_parse ("127.0.0.1:9", NULL);
      g_autoptr (UsockChannel) channel = NULL;
      GError *failure = NULL;
      GType type;

      g_object_get (client, "channel-type", &type, "channel", &channel, NULL);
      g_assert_true (type == (is_stream ? USOCK_TYPE_STREAM : USOCK_TYPE_SEQPACKET));
      g_assert_null (channel);
      g_assert_true (usock_client_start_for_address (client, address, &failure) == is_stream);
      if (!is_stream)
        assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
      drop_client (client);
    }
}

/* A forked child may only let go of it, and the parent does not notice. */
static void
test_fork (UsockTest     *test,
           gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int listening = scene_listen (path, 5);
  Witness witness;
  guint n_waits;
  UsockClient *client = new_client (USOCK_TYPE_SEQPACKET, &witness, &n_waits);
  int connection, status;
  pid_t child;

  usock_test_no_error (usock_client_start_for_path (client, path, &error));
  witness_expect (&witness, "connected");
  connection = accept (listening, NULL, NULL);
  child = fork ();
  g_assert_no_errno (child);
  if (child == 0)
    {
      gboolean refused = !usock_client_send_text (client, "from the child", NULL);

      usock_client_stop (client);
      _exit (refused && !usock_client_is_started (client) ? 0 : 1);
    }
  g_assert_no_errno (waitpid (child, &status, 0));
  g_assert_cmpint (status, ==, 0);
  usock_test_no_error (usock_client_send_text (client, "from the parent", &error));
  scene_settle ();
  {
    g_autofree char *text = scene_receive (connection);

    g_assert_cmpstr (text, ==, "from the parent");
  }
  witness_assert (&witness, "");
  close (connection);
  close (listening);
  drop_client (client);
  witness_clear (&witness);
}

/* It goes with its context, connected and not. */
static void
test_context_goes (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autofree char *nowhere = usock_test_path (test, "nowhere");
  int listening = scene_listen (path, 5);
  GMainContext *context = g_main_context_new ();
  gpointer clients[2];

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 2; i++)
    {
      UsockClient *client = usock_client_new (USOCK_TYPE_SEQPACKET);

      clients[i] = client;
      g_object_add_weak_pointer (G_OBJECT (client), &clients[i]);
      usock_test_no_error (usock_client_start_for_path (client, i == 0 ? path : nowhere, &error));
      usock_test_no_error (usock_client_send_text (client, "lost", &error));
      g_object_unref (client);
    }
  while (g_main_context_iteration (context, FALSE))
    ;
  g_assert_nonnull (usock_client_get_channel (clients[0]));
  g_assert_null (usock_client_get_channel (clients[1]));
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  g_assert_null (clients[0]);
  g_assert_null (clients[1]);
  close (listening);
}

static int
stream_listen (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fd, 5));
  return fd;
}

/* Whether there is one; it stays. Of a stream it may be there in part. */
static gboolean
peek (int      connection,
      guint64 *numbers,
      gsize    size)
{
  ssize_t length;

  while ((length = recv (connection, numbers, size, MSG_PEEK)) > 0 && (gsize) length < size)
    sched_yield ();
  return length > 0;
}

/* Writes down what it reads before it reads it. */
static void
serve (const char *path,
       gboolean    stream,
       int         log)
{
  const gsize size = stream ? STREAM_SIZE : PACKET_SIZE;
  int listening, connection;
  guint64 numbers[STREAM_SIZE / sizeof (guint64)];

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  for (int fd = 3; fd < 1024; fd++)
    if (fd != log)
      close (fd);
  unlink (path);
  listening = stream ? stream_listen (path) : scene_listen (path, 5);
  fcntl (listening, F_SETFL, 0);
  while ((connection = accept (listening, NULL, NULL)) >= 0)
    while (peek (connection, numbers, size)
           && write (log, numbers, sizeof *numbers) == sizeof *numbers)
      recv (connection, numbers, size, 0);
  _exit (1);
}

typedef struct
{
  const char *path;
  gboolean stream;
  UsockClient *client;
  int log[2];
  pid_t server;
  guint n_kills;
  guint n_logged;
  guint next_kill;
  guint n_started;
  guint n_sent;
  guint n_settled;
  guint8 logged[N_MESSAGES];
  guint8 uncertain[N_MESSAGES];
} Massacre;

static void
massacre_serve (Massacre *self)
{
  self->server = fork ();
  g_assert_no_errno (self->server);
  if (self->server == 0)
    serve (self->path, self->stream, self->log[1]);
}

static void
massacre_read (Massacre *self)
{
  guint64 number;

  while (read (self->log[0], &number, sizeof number) == sizeof number)
    {
      g_assert_cmpuint (number, <, N_MESSAGES);
      self->logged[number]++;
      self->n_logged++;
    }
}

static void
massacre_kill (Massacre *self)
{
  g_assert_no_errno (kill (self->server, SIGKILL));
  g_assert_no_errno (waitpid (self->server, NULL, 0));
  massacre_read (self);
  self->n_kills++;
  self->next_kill = self->n_logged + N_BETWEEN;
}

static void
massacre_sent (GObject      *source,
               GAsyncResult *result,
               gpointer      data)
{
  Massacre *self = data;
  g_autoptr (GError) error = NULL;

  /* Of a stream some of a message may have left, and then it is uncertain. */
  if (!usock_client_send_message_finish (USOCK_CLIENT (source), result, &error))
    {
      g_assert_true (self->stream);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
    }
  self->n_sent++;
}

static void
massacre_uncertain (UsockClient  *client,
                    UsockMessage *message,
                    Massacre     *self)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);
  guint64 number;

  g_assert_cmpuint (length, ==, self->stream ? STREAM_SIZE : PACKET_SIZE);
  memcpy (&number, data, sizeof number);
  self->uncertain[number]++;
}

/* Whether each is known to have arrived, or is told of. */
static gboolean
massacre_is_over (Massacre *self)
{
  massacre_read (self);
  if (self->n_kills < N_KILLS && self->n_logged >= self->next_kill)
    {
      massacre_kill (self);
      massacre_serve (self);
    }
  while (self->n_started < N_MESSAGES && self->n_started - self->n_sent < N_IN_FLIGHT)
    {
      guint64 numbers[STREAM_SIZE / sizeof (guint64)] = { self->n_started++ };
      g_autoptr (UsockMessage) message = usock_message_new (
          (const guint8 *) numbers, self->stream ? STREAM_SIZE : PACKET_SIZE);

      usock_client_send_message_async (self->client, message, NULL, massacre_sent, self);
    }
  if (self->n_sent < N_MESSAGES)
    return FALSE;
  for (guint i = 0; i < N_MESSAGES; i++)
    if (!self->logged[i] && !self->uncertain[i])
      return FALSE;
  return TRUE;
}

static gboolean
tick (gpointer unused)
{
  return G_SOURCE_CONTINUE;
}

/* Nothing that was reported as sent is lost, and nothing comes twice, without a word. */
static void
check_kills (UsockTest *test,
             gboolean   stream)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (GSource) ticks = g_timeout_source_new (1);
  g_autofree Massacre *self = g_new0 (Massacre, 1);
  guint n_uncertain = 0;

  g_source_set_callback (ticks, tick, NULL, NULL);
  g_source_attach (ticks, test->context);
  self->path = path;
  self->stream = stream;
  self->next_kill = N_BETWEEN;
  g_assert_no_errno (pipe2 (self->log, O_CLOEXEC));
  g_assert_no_errno (fcntl (self->log[0], F_SETFL, O_NONBLOCK));
  self->client = usock_client_new (stream ? USOCK_TYPE_STREAM : USOCK_TYPE_SEQPACKET);
  usock_client_set_min_delay (self->client, 1);
  usock_client_set_max_delay (self->client, 10);
  g_signal_connect (self->client, "uncertain", G_CALLBACK (massacre_uncertain), self);
  usock_test_no_error (usock_client_start_for_path (self->client, path, &error));
  massacre_serve (self);
  usock_test_wait_until (massacre_is_over (self));

  g_assert_cmpuint (self->n_kills, ==, N_KILLS);
  for (guint i = 0; i < N_MESSAGES; i++)
    {
      g_assert_cmpuint (self->logged[i], <=, 1);
      g_assert_cmpuint (self->uncertain[i], <=, 1);
      n_uncertain += self->uncertain[i];
    }
  g_test_message ("%u of %u were uncertain", n_uncertain, N_MESSAGES);
  g_assert_cmpuint (n_uncertain, <, N_MESSAGES / 2);
  drop_client (self->client);
  massacre_kill (self);
  close (self->log[0]);
  close (self->log[1]);
  g_source_destroy (ticks);
}

static void
test_kills (UsockTest     *test,
            gconstpointer  unused)
{
  check_kills (test, FALSE);
}

static void
test_kills_of_stream (UsockTest     *test,
                      gconstpointer  unused)
{
  check_kills (test, TRUE);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/client/" name, function)

  add ("handler-with-client", test_handler_with_client);
  add ("comes-back", test_comes_back);
  add ("waits-longer", test_waits_longer);
  add ("wait", test_wait);
  add ("places", test_places);
  add ("types", test_types);
  add ("closed-channel", test_closed_channel);
  add ("relative", test_relative);
  add ("handlers", test_handlers);
  add ("descriptors", test_descriptors);
  add ("peer", test_peer);
  add ("elsewhere", test_elsewhere);
  add ("unread", test_unread);
  add ("stops", test_stops);
  add ("refused", test_refused);
  add ("fork", test_fork);
  add ("context-goes", test_context_goes);
  add ("kills", test_kills);
  add ("kills-of-stream", test_kills_of_stream);

  return g_test_run ();
}
