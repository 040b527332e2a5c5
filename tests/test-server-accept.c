/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server-scene.h"

#include <gio/gunixsocketaddress.h>
#include <sys/socket.h>
#include <unistd.h>

/* Calls that wait for a connection. */

typedef struct
{
  Witness *witness;
  const char *name;
  UsockChannel *channel;
} Accept;

static void
accepted_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      data)
{
  Accept *self = data;
  g_autoptr (GError) failure = NULL;

  g_assert_null (self->channel);
  self->channel = usock_server_accept_finish (USOCK_SERVER (source), result, &failure);
  g_assert_true ((self->channel == NULL) == (failure != NULL));
  witness_write (self->witness, "%s:%s", self->name,
                 failure != NULL ? witness_code (failure) : "accepted");
}

static void
accept_start (Accept       *self,
              ServerScene  *scene,
              const char   *name,
              GCancellable *cancellable)
{
  *self = (Accept) { &scene->witness, name };
  usock_server_accept_async (scene->server, cancellable, accepted_cb, self);
}

static void
accept_clear (Accept *self)
{
  if (self->channel != NULL)
    scene_close (g_steal_pointer (&self->channel));
}

/* Each call takes one, the oldest first, and the rest waits for the next call. */
static void
test_accept (UsockTest     *test,
             gconstpointer  unused)
{
  ServerScene scene;
  Accept accepts[3];
  g_autofree char *text = NULL;
  int clients[3];

  server_scene_start (&scene, test, "error drop");
  for (guint i = 0; i < 3; i++)
    clients[i] = server_scene_connect (&scene);
  scene_settle ();
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 0);

  accept_start (&accepts[0], &scene, "first", NULL);
  accept_start (&accepts[1], &scene, "second", NULL);
  witness_expect (&scene.witness, "first:accepted second:accepted");
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 2);
  usock_test_no_error (usock_channel_send_text (accepts[1].channel, "hello", &error));
  text = scene_receive (clients[1]);
  g_assert_cmpstr (text, ==, "hello");

  accept_start (&accepts[2], &scene, "third", NULL);
  witness_expect (&scene.witness, "third:accepted");
  for (guint i = 0; i < 3; i++)
    {
      accept_clear (&accepts[i]);
      close (clients[i]);
    }
  server_scene_stop (&scene);
}

/* Who waits comes before the handlers of the signal. */
static void
test_accept_and_signal (UsockTest     *test,
                        gconstpointer  unused)
{
  ServerScene scene;
  Accept first;
  int clients[2];

  server_scene_start (&scene, test, "connection");
  accept_start (&first, &scene, "first", NULL);
  clients[0] = server_scene_connect (&scene);
  clients[1] = server_scene_connect (&scene);
  witness_expect (&scene.witness, "first:accepted connection");
  accept_clear (&first);
  close (clients[0]);
  close (clients[1]);
  server_scene_stop (&scene);
}

/* A call that was cancelled, before or while a connection comes, takes none. */
static void
test_accept_cancelled (UsockTest     *test,
                       gconstpointer  unused)
{
  for (guint when = 0; when < 3; when++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      ServerScene scene;
      Accept first, second;
      int client = -1;

      server_scene_start (&scene, test, "error drop");
      if (when == 0)
        g_cancellable_cancel (cancellable);
      accept_start (&first, &scene, "first", cancellable);
      if (when == 1)
        scene_settle ();
      else
        client = server_scene_connect (&scene);
      g_cancellable_cancel (cancellable);
      witness_expect (&scene.witness, "first:cancelled");
      g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 0);

      if (client == -1)
        client = server_scene_connect (&scene);
      accept_start (&second, &scene, "second", NULL);
      witness_expect (&scene.witness, "second:accepted");
      accept_clear (&second);
      close (client);
      server_scene_stop (&scene);
    }
}

static UsockVerdict
cancel_cb (UsockServer  *server,
           UsockChannel *channel,
           GCancellable *cancellable)
{
  g_cancellable_cancel (cancellable);
  return USOCK_VERDICT_ALLOW;
}

/* Cancelled while a connection is judged already: it is there for the next, a call or a handler. */
static void
test_accept_cancelled_late (UsockTest     *test,
                            gconstpointer  unused)
{
  for (guint by_signal = 0; by_signal < 3; by_signal++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autofree char *text = NULL;
      ServerScene scene;
      Accept first, second = { 0 };
      gulong handler;
      int client;

      server_scene_start (&scene, test, "error close");
      handler = g_signal_connect (scene.server, "authorize", G_CALLBACK (cancel_cb), cancellable);
      accept_start (&first, &scene, "first", cancellable);
      client = server_scene_connect (&scene);
      scene_send (client, "kept");
      witness_expect (&scene.witness, "first:cancelled");
      g_signal_handler_disconnect (scene.server, handler);

      if (by_signal == 1)
        server_scene_accept (&scene);
      else if (by_signal == 0)
        accept_start (&second, &scene, "second", NULL);
      else
        usock_socket_close (USOCK_SOCKET (scene.server));
      witness_expect (&scene.witness, by_signal == 0   ? "second:accepted"
                                      : by_signal == 1 ? ""
                                                       : "close");
      if (by_signal == 1)
        server_scene_take (&scene, 0);
      else if (by_signal == 2)
        g_assert_null (scene_receive (client));
      accept_clear (&second);
      close (client);
      server_scene_stop (&scene);
    }
}

static UsockVerdict
refuse_first_cb (UsockServer  *server,
                 UsockChannel *channel,
                 guint        *n_asked)
{
  return (*n_asked)++ == 0 ? USOCK_VERDICT_REFUSE : USOCK_VERDICT_ALLOW;
}

static void
test_accept_is_judged (UsockTest     *test,
                       gconstpointer  unused)
{
  ServerScene scene;
  Accept first;
  guint n_asked = 0;
  int clients[2];

  server_scene_start (&scene, test, "error");
  g_signal_connect (scene.server, "authorize", G_CALLBACK (refuse_first_cb), &n_asked);
  accept_start (&first, &scene, "first", NULL);
  clients[0] = server_scene_connect (&scene);
  scene_settle ();
  witness_assert (&scene.witness, "");
  clients[1] = server_scene_connect (&scene);
  witness_expect (&scene.witness, "first:accepted");
  g_assert_cmpuint (n_asked, ==, 2);
  accept_clear (&first);
  close (clients[0]);
  close (clients[1]);
  server_scene_stop (&scene);
}

static void
test_accept_paused (UsockTest     *test,
                    gconstpointer  unused)
{
  ServerScene scene;
  Accept first;
  int client;

  server_scene_start (&scene, test, "error");
  usock_server_pause (scene.server);
  accept_start (&first, &scene, "first", NULL);
  client = server_scene_connect (&scene);
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_server_resume (scene.server);
  witness_expect (&scene.witness, "first:accepted");
  accept_clear (&first);
  close (client);
  server_scene_stop (&scene);
}

/* Calls end when the server closes, though a connection keeps its own `close` waiting. */
static void
test_accept_closed (UsockTest     *test,
                    gconstpointer  unused)
{
  ServerScene scene;
  Accept first, second, third;
  int client;

  server_scene_start (&scene, test, "error close");
  accept_start (&first, &scene, "first", NULL);
  client = server_scene_connect (&scene);
  witness_expect (&scene.witness, "first:accepted");
  accept_start (&second, &scene, "second", NULL);
  accept_start (&third, &scene, "third", NULL);
  usock_socket_close (USOCK_SOCKET (scene.server));
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "second:closed third:closed");
  accept_clear (&first);
  witness_expect (&scene.witness, "close");

  accept_start (&second, &scene, "after", NULL);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "after:closed");
  close (client);
  server_scene_stop (&scene);
}

static void
test_accept_too_early (UsockTest     *test,
                       gconstpointer  unused)
{
  ServerScene scene = { 0 };
  Accept first;

  witness_init (&scene.witness);
  scene.server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  accept_start (&first, &scene, "first", NULL);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "first:not-initialized");
  scene_close (scene.server);
  witness_clear (&scene.witness);
}

/* A context that goes takes the calls with it. */
static void
test_accept_orphaned (UsockTest     *test,
                      gconstpointer  unused)
{
  GMainContext *context = g_main_context_new ();
  g_autofree char *path = usock_test_path (test, "socket");
  Witness witness;
  Accept first = { &witness, "first" };
  UsockServer *server;

  witness_init (&witness);
  g_main_context_push_thread_default (context);
  server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_server_accept_async (server, NULL, accepted_cb, &first);
  g_object_add_weak_pointer (G_OBJECT (server), (gpointer *) &server);
  g_main_context_pop_thread_default (context);
  g_object_unref (server);
  g_main_context_unref (context);
  g_assert_null (server);
  witness_assert (&witness, "");
  witness_clear (&witness);
}

/* Who broadcasts, or watches the list, wants connections too. */

static void
test_broadcast_only (UsockTest     *test,
                     gconstpointer  unused)
{
  g_autoptr (UsockMessage) news = usock_message_new_from_text ("news");
  g_autofree char *text = NULL;
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "error");
  client = server_scene_connect (&scene);
  scene_settle ();
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 0);
  g_assert_cmpuint (usock_server_broadcast (scene.server, news), ==, 0);
  usock_test_wait_until (usock_server_get_n_connections (scene.server) == 1);
  g_assert_cmpuint (usock_server_broadcast (scene.server, news), ==, 1);
  text = scene_receive (client);
  g_assert_cmpstr (text, ==, "news");
  close (client);
  usock_test_wait_until (usock_server_get_n_connections (scene.server) == 0);
  server_scene_stop (&scene);
}

static void
nothing_cb (void)
{
}

static void
test_list_only (UsockTest     *test,
                gconstpointer  unused)
{
  ServerScene scene;
  gulong handler;
  int clients[2];

  server_scene_start (&scene, test, "error");
  clients[0] = server_scene_connect (&scene);
  handler = g_signal_connect (scene.server, "items-changed", G_CALLBACK (nothing_cb), NULL);
  usock_test_wait_until (usock_server_get_n_connections (scene.server) == 1);
  g_signal_handler_disconnect (scene.server, handler);
  clients[1] = server_scene_connect (&scene);
  scene_settle ();
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 1);
  close (clients[0]);
  close (clients[1]);
  server_scene_stop (&scene);
}

/* Connections that nobody ever listens to. */

static void
test_unclaimed (UsockTest     *test,
                gconstpointer  unused)
{
  ServerScene scene;
  UsockChannel *channel;
  int client;

  server_scene_start (&scene, test, "error");
  g_signal_connect (scene.server, "connection", G_CALLBACK (nothing_cb), NULL);
  server_scene_accept (&scene);
  usock_server_set_unclaimed_timeout (scene.server, 100);
  client = server_scene_connect (&scene);
  channel = server_scene_take (&scene, 0);
  witness_watch (&scene.witness, channel, "error close");
  scene_send (client, "unheard");
  close (client);
  witness_expect (&scene.witness, "error:timed-out close");
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 0);
  server_scene_stop (&scene);
}

/* A server that is closed waits for them no longer than for others. */
static void
test_unclaimed_after_close (UsockTest     *test,
                            gconstpointer  unused)
{
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "close");
  server_scene_accept (&scene);
  usock_server_set_unclaimed_timeout (scene.server, 100);
  client = server_scene_connect (&scene);
  server_scene_take (&scene, 0);
  scene_send (client, "unheard");
  close (client);
  usock_socket_close (USOCK_SOCKET (scene.server));
  witness_expect (&scene.witness, "close");
  server_scene_stop (&scene);
}

/* Until one that came last, and that nobody wants, is gone: whoever has to go is gone before. */
static void
wait_for_unclaimed (ServerScene *scene)
{
  const guint n = scene->connections->len;
  int client = server_scene_connect (scene);
  UsockSocket *last = USOCK_SOCKET (server_scene_take (scene, n));

  scene_send (client, "unheard");
  close (client);
  usock_test_wait_until (usock_socket_get_state (last) == USOCK_STATE_CLOSED);
}

/* One whose peer is there, one that somebody listens to, or has heard, and one whose peer only
 * ended and may wait for an answer, stay. */
static void
test_claimed (UsockTest     *test,
              gconstpointer  unused)
{
  ServerScene scene;
  gulong handler;
  int clients[4];

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  usock_server_set_unclaimed_timeout (scene.server, 100);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      clients[i] = server_scene_connect (&scene);
      server_scene_take (&scene, i);
      scene_send (clients[i], "first");
    }
  g_signal_connect (scene.connections->pdata[1], "message", G_CALLBACK (nothing_cb), NULL);
  usock_channel_pause (scene.connections->pdata[1]);
  handler = g_signal_connect (scene.connections->pdata[2], "data", G_CALLBACK (nothing_cb), NULL);
  usock_test_wait_until (usock_channel_get_messages_read (scene.connections->pdata[2]) == 1);
  g_signal_handler_disconnect (scene.connections->pdata[2], handler);
  scene_send (clients[2], "second");
  g_assert_no_errno (shutdown (clients[3], SHUT_WR));
  close (clients[1]);
  close (clients[2]);
  wait_for_unclaimed (&scene);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    g_assert_cmpint (usock_socket_get_state (scene.connections->pdata[i]), !=,
                     USOCK_STATE_CLOSED);
  witness_assert (&scene.witness, "");
  close (clients[0]);
  close (clients[3]);
  server_scene_stop (&scene);
}

/* With 0 they stay, and when it is set later those that there are go. */
static void
test_unclaimed_for_ever (UsockTest     *test,
                         gconstpointer  unused)
{
  ServerScene scene;
  ServerScene other;
  int client;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  usock_server_set_unclaimed_timeout (scene.server, 0);
  client = server_scene_connect (&scene);
  server_scene_take (&scene, 0);
  scene_send (client, "unheard");
  close (client);

  server_scene_start_at (&other, test, "other", "error");
  server_scene_accept (&other);
  usock_server_set_unclaimed_timeout (other.server, 50);
  wait_for_unclaimed (&other);
  server_scene_stop (&other);

  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 1);
  usock_server_set_unclaimed_timeout (scene.server, 1);
  usock_test_wait_until (usock_server_get_n_connections (scene.server) == 0);
  server_scene_stop (&scene);
}

/* What a connection is in the handler of its end. */

typedef struct
{
  UsockServer *server;
  guint n_told;
} End;

static void
closed_cb (UsockChannel *channel,
           End          *end)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (GCredentials) peer
      = usock_socket_get_peer_credentials (USOCK_SOCKET (channel), &failure);

  g_assert_no_error (failure);
  g_assert_cmpuint (g_credentials_get_unix_user (peer, NULL), ==, getuid ());
  g_assert_cmpint (g_credentials_get_unix_pid (peer, NULL), ==, getpid ());
  g_assert_cmpuint (usock_server_get_n_connections (end->server), ==, 1 - end->n_told);
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (end->server)), ==, 1 - end->n_told);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (channel)), ==, -1);
  end->n_told++;
}

static void
test_right_in_close (UsockTest     *test,
                     gconstpointer  unused)
{
  ServerScene scene;
  End end;
  int clients[2];

  server_scene_start (&scene, test, "notify::n-connections");
  server_scene_accept (&scene);
  end = (End) { scene.server };
  for (guint i = 0; i < 2; i++)
    {
      clients[i] = server_scene_connect (&scene);
      g_signal_connect (server_scene_take (&scene, i), "data", G_CALLBACK (nothing_cb), NULL);
      g_signal_connect (scene.connections->pdata[i], "close", G_CALLBACK (closed_cb), &end);
    }
  witness_expect (&scene.witness, "notify::n-connections notify::n-connections");
  usock_socket_close (scene.connections->pdata[0]);
  usock_test_wait_until (end.n_told == 1);
  close (clients[1]);
  usock_test_wait_until (end.n_told == 2);
  witness_expect (&scene.witness, "notify::n-connections notify::n-connections");
  close (clients[0]);
  server_scene_stop (&scene);
}

static UsockVerdict
count_while_judged_cb (UsockServer  *server,
                       UsockChannel *channel,
                       guint        *n_asked)
{
  g_assert_cmpuint (usock_server_get_n_connections (server), ==, *n_asked);
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (server)), ==, *n_asked);
  ++*n_asked;
  return USOCK_VERDICT_ALLOW;
}

static void
test_judged_is_not_counted (UsockTest     *test,
                            gconstpointer  unused)
{
  ServerScene scene;
  guint n_asked = 0;
  int clients[2];

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  g_signal_connect (scene.server, "authorize", G_CALLBACK (count_while_judged_cb), &n_asked);
  clients[0] = server_scene_connect (&scene);
  clients[1] = server_scene_connect (&scene);
  server_scene_take (&scene, 1);
  g_assert_cmpuint (n_asked, ==, 2);
  close (clients[0]);
  close (clients[1]);
  server_scene_stop (&scene);
}

/* Channels of a class of the program's. */

static GType
derive (GType       parent,
        const char *name)
{
  GTypeQuery query;

  g_type_query (parent, &query);
  return g_type_register_static_simple (parent, name, query.class_size, NULL,
                                        query.instance_size, NULL, 0);
}

static void
close_at_birth (GTypeInstance *instance,
                gpointer       class)
{
  usock_socket_close (USOCK_SOCKET (instance));
}

static GType
derive_useless (void)
{
  GTypeQuery query;

  g_type_query (USOCK_TYPE_SEQPACKET, &query);
  return g_type_register_static_simple (USOCK_TYPE_SEQPACKET, "TestUseless", query.class_size,
                                        NULL, query.instance_size, close_at_birth, 0);
}

static void
test_channel_type (UsockTest     *test,
                   gconstpointer  unused)
{
  GType type = derive (USOCK_TYPE_SEQPACKET, "TestSession");
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "notify::channel-type");
  server_scene_accept (&scene);
  g_assert_true (usock_server_get_channel_type (scene.server) == USOCK_TYPE_SEQPACKET);
  usock_server_set_channel_type (scene.server, type);
  g_assert_true (usock_server_get_channel_type (scene.server) == type);
  witness_assert (&scene.witness, "notify::channel-type");
  client = server_scene_connect (&scene);
  g_assert_true (G_OBJECT_TYPE (server_scene_take (&scene, 0)) == type);
  close (client);
  server_scene_stop (&scene);
}

static void
test_wrong_channel_types (UsockTest     *test,
                          gconstpointer  unused)
{
  const GType wrong[] = { USOCK_TYPE_STREAM, USOCK_TYPE_CHANNEL, USOCK_TYPE_SERVER, G_TYPE_OBJECT,
                          G_TYPE_INT, G_TYPE_INVALID, G_TYPE_NONE };
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*assertion*");
      usock_server_set_channel_type (server, wrong[i]);
      g_test_assert_expected_messages ();
      g_assert_true (usock_server_get_channel_type (server) == USOCK_TYPE_SEQPACKET);
    }
}

/* A class that makes objects nobody can use is an error, and not one without end. */
static void
test_useless_channel_type (UsockTest     *test,
                           gconstpointer  unused)
{
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "connection drop error");
  usock_server_set_channel_type (scene.server, derive_useless ());
  client = server_scene_connect (&scene);
  usock_test_wait_until (scene.witness.n_words >= 2);
  g_assert_true (g_str_has_prefix (scene.witness.words->str, "error:failed drop:"));
  g_assert_null (scene_receive (client));
  usock_server_set_channel_type (scene.server, USOCK_TYPE_SEQPACKET);
  close (client);
  client = server_scene_connect (&scene);
  usock_test_wait_until (g_str_has_suffix (scene.witness.words->str, "connection"));
  close (client);
  server_scene_stop (&scene);
}

/* What a connection takes over from its server. */
static void
test_inherited (UsockTest     *test,
                gconstpointer  unused)
{
  static const char *const names[]
      = { "max-fds", "max-held-fds", "pass-credentials", "pass-pidfd", "memfd-fallback",
          "allow-half-open", "read-buffer-size", "queue-limit", "high-water-mark", "idle-timeout",
          "send-timeout" };
  ServerScene scene;
  UsockChannel *channel;
  int client;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  g_object_set (scene.server, "max-fds", 3, "max-held-fds", 5, "pass-credentials", TRUE,
                "pass-pidfd", TRUE, "memfd-fallback", TRUE, "allow-half-open", TRUE,
                "read-buffer-size", 5000, "queue-limit", (guint64) 7000, "high-water-mark", (guint64) 600, "idle-timeout",
                70000, "send-timeout", 80000, NULL);
  client = server_scene_connect (&scene);
  channel = server_scene_take (&scene, 0);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_auto (GValue) wanted = G_VALUE_INIT;
      g_auto (GValue) got = G_VALUE_INIT;
      GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (channel), names[i]);

      g_object_get_property (G_OBJECT (scene.server), names[i], &wanted);
      g_object_get_property (G_OBJECT (channel), names[i], &got);
      g_assert_false (g_param_value_defaults (pspec, &got));
      g_assert_cmpint (g_param_values_cmp (pspec, &wanted, &got), ==, 0);
    }
  close (client);
  server_scene_stop (&scene);
}

/* Who is told what of those that are refused. */

static void
dropped_cb (UsockServer     *server,
            GCredentials    *credentials,
            GSocketAddress  *address,
            UsockDropReason  reason,
            Witness         *witness)
{
  g_autofree char *text = address != NULL ? usock_address_to_string (address) : NULL;

  g_assert_nonnull (credentials);
  witness_write (witness, "%d:%s", reason, text != NULL ? text : "nowhere");
}

static UsockVerdict
refuse_cb (void)
{
  return USOCK_VERDICT_REFUSE;
}

static int
connect_from (ServerScene *scene,
              UsockTest   *test,
              const char  *entry,
              char       **path)
{
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  g_autoptr (GSocketAddress) own = NULL, server = NULL;
  char native[200];

  *path = usock_test_path (test, entry);
  own = g_unix_socket_address_new (*path);
  server = g_unix_socket_address_new (scene->path);
  g_assert_true (g_socket_address_to_native (own, native, sizeof native, NULL));
  g_assert_no_errno (bind (fd, (gpointer) native, g_socket_address_get_native_size (own)));
  g_assert_true (g_socket_address_to_native (server, native, sizeof native, NULL));
  g_assert_no_errno (connect (fd, (gpointer) native, g_socket_address_get_native_size (server)));
  return fd;
}

static void
test_drop_reasons (UsockTest     *test,
                   gconstpointer  unused)
{
  ServerScene scene;
  g_autofree char *path = NULL;
  g_autofree char *expected = NULL;
  int clients[4];

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  g_signal_connect (scene.server, "drop", G_CALLBACK (dropped_cb), &scene.witness);

  clients[0] = server_scene_connect (&scene);
  server_scene_take (&scene, 0);
  usock_server_set_max_connections (scene.server, 1);
  clients[1] = server_scene_connect (&scene);
  usock_test_wait_until (scene.witness.n_words == 1);
  usock_server_set_max_connections (scene.server, 0);
  usock_server_set_max_connections_per_user (scene.server, 1);
  clients[2] = server_scene_connect (&scene);
  usock_test_wait_until (scene.witness.n_words == 2);
  usock_server_set_max_connections_per_user (scene.server, 0);
  g_signal_connect (scene.server, "authorize", G_CALLBACK (refuse_cb), NULL);
  clients[3] = connect_from (&scene, test, "client", &path);
  usock_test_wait_until (scene.witness.n_words == 3);

  expected = g_strdup_printf ("%d:nowhere %d:nowhere %d:%s", USOCK_DROP_REASON_MAX_CONNECTIONS,
                              USOCK_DROP_REASON_MAX_CONNECTIONS_PER_USER,
                              USOCK_DROP_REASON_REFUSED, path);
  witness_assert (&scene.witness, expected);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    close (clients[i]);
  g_assert_no_errno (unlink (path));
  server_scene_stop (&scene);
}

/* Who is not let in by the limits is told of with his address, too. */
static void
test_drop_address (UsockTest     *test,
                   gconstpointer  unused)
{
  ServerScene scene;
  g_autofree char *path = NULL;
  g_autofree char *expected = NULL;
  int clients[2];

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  g_signal_connect (scene.server, "drop", G_CALLBACK (dropped_cb), &scene.witness);
  clients[0] = server_scene_connect (&scene);
  server_scene_take (&scene, 0);
  usock_server_set_max_connections (scene.server, 1);
  clients[1] = connect_from (&scene, test, "client", &path);
  expected = g_strdup_printf ("%d:%s", USOCK_DROP_REASON_MAX_CONNECTIONS, path);
  witness_expect (&scene.witness, expected);
  close (clients[0]);
  close (clients[1]);
  g_assert_no_errno (unlink (path));
  server_scene_stop (&scene);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/server/accept/" name, function)

  add ("accept", test_accept);
  add ("accept-and-signal", test_accept_and_signal);
  add ("accept-cancelled", test_accept_cancelled);
  add ("accept-cancelled-late", test_accept_cancelled_late);
  add ("accept-is-judged", test_accept_is_judged);
  add ("accept-paused", test_accept_paused);
  add ("accept-closed", test_accept_closed);
  add ("accept-too-early", test_accept_too_early);
  add ("accept-orphaned", test_accept_orphaned);
  add ("broadcast-only", test_broadcast_only);
  add ("list-only", test_list_only);
  add ("unclaimed", test_unclaimed);
  add ("unclaimed-after-close", test_unclaimed_after_close);
  add ("claimed", test_claimed);
  add ("unclaimed-for-ever", test_unclaimed_for_ever);
  add ("right-in-close", test_right_in_close);
  add ("judged-is-not-counted", test_judged_is_not_counted);
  add ("channel-type", test_channel_type);
  add ("wrong-channel-types", test_wrong_channel_types);
  add ("useless-channel-type", test_useless_channel_type);
  add ("inherited", test_inherited);
  add ("drop-reasons", test_drop_reasons);
  add ("drop-address", test_drop_address);

  return g_test_run ();
}
