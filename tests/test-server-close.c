/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server-scene.h"

#include <sys/socket.h>
#include <unistd.h>

static void
closed_cb (GObject      *server,
           GAsyncResult *result,
           gpointer      data)
{
  Witness *witness = data;
  g_autoptr (GError) error = NULL;
  gint n_cut = usock_server_close_gracefully_finish (USOCK_SERVER (server), result, &error);

  g_assert_true ((n_cut == -1) == (error != NULL));
  if (error != NULL)
    witness_write (witness, "closed:%s", witness_code (error));
  else
    witness_write (witness, "closed:%d", n_cut);
}

static void
close_gracefully (ServerScene  *scene,
                  int           timeout,
                  GCancellable *cancellable)
{
  usock_server_close_gracefully_async (scene->server, timeout, cancellable, closed_cb,
                                       &scene->witness);
}

static void
connect_all (ServerScene *scene,
             int         *clients,
             guint        n_clients)
{
  for (guint i = 0; i < n_clients; i++)
    {
      clients[i] = server_scene_connect (scene);
      server_scene_take (scene, i);
    }
}

/* Everything that was queued arrives, then the end; and what the peer still says is heard. */
static void
test_nothing_is_lost (UsockTest     *test,
                      gconstpointer  unused)
{
  ServerScene scene;
  Witness channel;
  UsockChannel *connection;
  int clients[2];
  guint n_sent, n_read = 0;

  server_scene_start (&scene, test, "error close");
  server_scene_accept (&scene);
  connect_all (&scene, clients, 2);
  connection = scene.connections->pdata[0];
  usock_channel_set_queue_limit (connection, 16 * 1024);
  n_sent = scene_fill (connection, NULL);
  witness_init (&channel);
  witness_watch (&channel, connection, "data end error close");
  close_gracefully (&scene, 10 * 1000, NULL);
  g_assert_false (usock_server_get_active (scene.server));
  g_assert_false (g_file_test (scene.path, G_FILE_TEST_EXISTS));
  scene_send (clients[0], "last words");
  scene_settle ();
  witness_assert (&channel, "data:last words");
  for (;;)
    {
      g_autofree char *text = NULL;

      scene_settle ();
      text = scene_receive (clients[0]);
      if (text == NULL)
        break;
      g_assert_cmpuint (atoi (text), ==, n_read);
      n_read++;
    }
  g_assert_cmpuint (n_read, ==, n_sent);
  witness_assert (&scene.witness, "");
  close (clients[0]);
  witness_expect (&channel, "end close");
  witness_assert (&scene.witness, "");
  g_assert_null (scene_receive (clients[1]));
  close (clients[1]);
  witness_expect (&scene.witness, "closed:0 close");
  witness_clear (&channel);
  server_scene_stop (&scene);
}

/* Who does not end in time is cut, and counted. */
static void
test_deadline (UsockTest     *test,
               gconstpointer  unused)
{
  ServerScene scene;
  Witness channels;
  int clients[5];

  server_scene_start (&scene, test, "error close");
  server_scene_accept (&scene);
  connect_all (&scene, clients, 5);
  witness_init (&channels);
  for (guint i = 0; i < 5; i++)
    witness_watch (&channels, scene.connections->pdata[i], "error close");
  close (clients[0]);
  g_assert_no_errno (shutdown (clients[1], SHUT_WR));
  close_gracefully (&scene, g_getenv ("USOCK_TEST_SLOW") != NULL ? 5000 : 200, NULL);
  usock_test_wait_until (scene.witness.n_closed == 1);
  witness_assert (&scene.witness, "closed:3 close");
  witness_assert (&channels, "close close error:timed-out close error:timed-out close "
                             "error:timed-out close");
  for (guint i = 1; i < 5; i++)
    {
      g_assert_null (scene_receive (clients[i]));
      close (clients[i]);
    }
  witness_clear (&channels);
  server_scene_stop (&scene);
}

/* With no time limit it takes as long as it takes. */
static void
test_no_deadline (UsockTest     *test,
                  gconstpointer  unused)
{
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "error close");
  server_scene_accept (&scene);
  connect_all (&scene, &client, 1);
  close_gracefully (&scene, -1, NULL);
  scene_settle ();
  witness_assert (&scene.witness, "");
  close_gracefully (&scene, -1, NULL);
  witness_expect (&scene.witness, "closed:pending");
  close (client);
  witness_expect (&scene.witness, "closed:0 close");
  close_gracefully (&scene, -1, NULL);
  witness_expect (&scene.witness, "closed:closed");
  server_scene_stop (&scene);
}

/* Those that wait to be accepted are not, and learn it. */
static void
test_backlog (UsockTest     *test,
              gconstpointer  unused)
{
  ServerScene scene;
  int waiting;

  server_scene_start (&scene, test, "connection close");
  waiting = server_scene_connect (&scene);
  close_gracefully (&scene, 1000, NULL);
  witness_expect (&scene.witness, "closed:0 close");
  g_assert_null (scene_receive (waiting));
  close (waiting);
  server_scene_stop (&scene);
}

static void
test_never_listened (UsockTest     *test,
                     gconstpointer  unused)
{
  ServerScene scene = { .server = usock_server_new (G_SOCKET_TYPE_SEQPACKET) };

  witness_init (&scene.witness);
  witness_watch (&scene.witness, scene.server, "error close");
  close_gracefully (&scene, 1000, NULL);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "closed:0 close");
  scene_close (scene.server);
  witness_assert (&scene.witness, "");
  witness_clear (&scene.witness);
}

/* One that was closed at first, and waits. */
static void
test_already_closed (UsockTest     *test,
                     gconstpointer  unused)
{
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "error close");
  server_scene_accept (&scene);
  connect_all (&scene, &client, 1);
  usock_socket_close (USOCK_SOCKET (scene.server));
  scene_settle ();
  close_gracefully (&scene, 20, NULL);
  usock_test_wait_until (scene.witness.n_closed == 1);
  witness_assert (&scene.witness, "closed:1 close");
  close (client);
  server_scene_stop (&scene);
}

/* Who cancels does not wait any more; the connections go on closing. */
static void
test_cancelled (UsockTest     *test,
                gconstpointer  unused)
{
  ServerScene scene;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *text = NULL;
  int client;

  server_scene_start (&scene, test, "error close");
  server_scene_accept (&scene);
  connect_all (&scene, &client, 1);
  close_gracefully (&scene, -1, cancellable);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "closed:cancelled");
  text = scene_receive (client);
  g_assert_null (text);
  close_gracefully (&scene, 20, cancellable);
  witness_expect (&scene.witness, "closed:cancelled");
  usock_test_wait_until (scene.witness.n_closed == 1);
  witness_assert (&scene.witness, "close");
  close (client);
  server_scene_stop (&scene);
}

/* A channel that the program closes gracefully on its own still keeps the server's time. */
static void
test_closing_channel (UsockTest     *test,
                      gconstpointer  unused)
{
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "error close");
  server_scene_accept (&scene);
  connect_all (&scene, &client, 1);
  usock_channel_close_gracefully_async (
      scene.connections->pdata[0], -1, NULL, witness_done,
      witness_call (&scene.witness, "channel", usock_channel_close_gracefully_finish));
  close_gracefully (&scene, 20, NULL);
  usock_test_wait_until (scene.witness.n_closed == 1);
  witness_assert (&scene.witness, "channel:timed-out closed:1 close");
  close (client);
  server_scene_stop (&scene);
}

static void
test_context_goes (UsockTest     *test,
                   gconstpointer  unused)
{
  GMainContext *context = g_main_context_new ();
  ServerScene scene;
  int client;

  g_main_context_push_thread_default (context);
  server_scene_start (&scene, test, "error close");
  server_scene_accept (&scene);
  connect_all (&scene, &client, 1);
  close_gracefully (&scene, -1, NULL);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  witness_assert (&scene.witness, "");
  close (client);
  server_scene_stop (&scene);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/server/close/" name, function)

  add ("nothing-is-lost", test_nothing_is_lost);
  add ("deadline", test_deadline);
  add ("no-deadline", test_no_deadline);
  add ("backlog", test_backlog);
  add ("never-listened", test_never_listened);
  add ("already-closed", test_already_closed);
  add ("cancelled", test_cancelled);
  add ("closing-channel", test_closing_channel);
  add ("context-goes", test_context_goes);

  return g_test_run ();
}
