/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls by the hundred thousand, whose callers and answerers do what they like: each call is answered
 * or fails, once. */

#include "torture.h"

#define N_CLIENTS 50
#define N_UNDER_WAY 20
#define N_KILLS 20

typedef struct _Scene Scene;

typedef struct
{
  Scene *scene;
  UsockPeer *peer;
  UsockPeer *server; /* NULL if it is another process's */
  pid_t child;
} Client;

struct _Scene
{
  GRand *chance;
  Client clients[N_CLIENTS];
  GPtrArray *kept;   /* of UsockCall */
  GPtrArray *timers; /* of GSource */
  guint n_asked;
  guint n_ended;
  guint n_answered;
  guint n_wanted;
  guint n_kills;
};

/* What is known of a call until it ends. */
typedef struct
{
  Client *client;
  GCancellable *cancellable;
  guint32 number;
  gsize length;
  gboolean ended;
} Asked;

static void client_ask (Client *client);

static void
check_body (Asked        *asked,
            UsockMessage *body)
{
  gsize length;
  const guint8 *data = usock_message_get_data (body, &length);
  guint32 number;

  g_assert_cmpuint (length, ==, asked->length);
  memcpy (&number, data, sizeof number);
  g_assert_cmpuint (number, ==, asked->number);
}

static void
asked_cb (GObject      *peer,
          GAsyncResult *result,
          gpointer      user_data)
{
  Asked *asked = user_data;
  Client *client = asked->client;
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) body = usock_peer_call_finish (USOCK_PEER (peer), result, &error);

  g_assert_false (asked->ended);
  asked->ended = TRUE;
  client->scene->n_ended++;
  if (body != NULL)
    {
      check_body (asked, body);
      client->scene->n_answered++;
    }
  g_clear_object (&asked->cancellable);
  g_free (asked);
  client_ask (client);
}

static gboolean
cancel_cb (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return G_SOURCE_REMOVE;
}

static void
source_drop (gpointer source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

static void
cancel_later (Scene        *scene,
              GCancellable *cancellable)
{
  GSource *source = g_timeout_source_new ((guint) g_rand_int_range (scene->chance, 0, 5));

  g_source_set_callback (source, cancel_cb, g_object_ref (cancellable), g_object_unref);
  g_source_attach (source, g_main_context_get_thread_default ());
  g_ptr_array_add (scene->timers, source);
}

static void
client_ask (Client *client)
{
  Scene *scene = client->scene;
  g_autofree guint8 *data = NULL;
  g_autoptr (UsockMessage) body = NULL;
  Asked *asked;

  if (scene->n_asked >= scene->n_wanted || client->peer == NULL)
    return;

  asked = g_new0 (Asked, 1);
  asked->client = client;
  asked->number = scene->n_asked++;
  asked->length = g_rand_int_range (scene->chance, 0, 200) == 0 ? 300000 : 4 + asked->number % 100;
  data = g_malloc0 (asked->length);
  memcpy (data, &asked->number, sizeof asked->number);
  body = usock_message_new (data, asked->length);
  if (g_rand_int_range (scene->chance, 0, 10) == 0)
    {
      asked->cancellable = g_cancellable_new ();
      cancel_later (scene, asked->cancellable);
    }
  usock_peer_call_async (client->peer, "Any", body,
                         g_rand_int_range (scene->chance, 0, 5) == 0 ? 3 : 10000,
                         asked->cancellable, asked_cb, asked);
}

/* Some are answered, at once or later, some fail, some are let go, and some are kept for good. */
static void
any (UsockPeer *peer,
     UsockCall *call,
     gpointer   user_data)
{
  Scene *scene = user_data;
  g_autoptr (GError) reason = NULL;

  switch (g_rand_int_range (scene->chance, 0, 10))
    {
    case 0:
      break;
    case 1:
      reason = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no");
      usock_call_reply_error (call, reason, NULL);
      break;
    case 2:
    case 3:
      g_ptr_array_add (scene->kept, usock_call_ref (call));
      break;
    default:
      usock_call_reply (call, usock_call_get_body (call), NULL);
    }

  if (scene->kept->len > 100)
    {
      guint index = (guint) g_rand_int_range (scene->chance, 0, (gint32) scene->kept->len);
      UsockCall *late = scene->kept->pdata[index];

      if (index % 2 == 0)
        usock_call_reply (late, usock_call_get_body (late), NULL);
      g_ptr_array_remove_index_fast (scene->kept, index);
    }
}

static void
client_start (Client *client)
{
  UsockSeqpacket *ends[2];

  usock_test_no_error (usock_seqpacket_new_pair (&ends[0], &ends[1], &error));
  client->peer = usock_peer_new (USOCK_CHANNEL (ends[0]));
  client->server = usock_peer_new (USOCK_CHANNEL (ends[1]));
  usock_peer_set_max_incoming_calls (client->server, 25);
  usock_peer_handle (client->server, "Any", any, client->scene, NULL);
  for (guint i = 0; i < 2; i++)
    g_object_unref (ends[i]);
}

static void
peer_close (UsockPeer **peer)
{
  if (*peer != NULL)
    usock_socket_close (USOCK_SOCKET (usock_peer_get_channel (*peer)));
  g_clear_object (peer);
}

/* One side or the other goes, in the middle of everything. */
static void
client_kill (Client *client)
{
  UsockPeer *peer = g_steal_pointer (&client->peer);

  peer_close (&client->server);
  if (client->scene->n_kills++ % 2 == 0)
    usock_socket_close (USOCK_SOCKET (usock_peer_get_channel (peer)));
  g_object_unref (peer);
  client_start (client);
  for (guint i = 0; i < N_UNDER_WAY; i++)
    client_ask (client);
}

static void
test_chance (UsockTest     *test,
             gconstpointer  unused)
{
  Scene scene = { .n_wanted = torture_scaled (30000, 1000000) };
  gint64 next_kill = g_get_monotonic_time ();

  scene.chance = g_rand_new_with_seed (42);
  scene.kept = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_call_unref);
  scene.timers = g_ptr_array_new_with_free_func (source_drop);
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      scene.clients[i].scene = &scene;
      client_start (&scene.clients[i]);
      for (guint n = 0; n < N_UNDER_WAY; n++)
        client_ask (&scene.clients[i]);
    }

  while (scene.n_ended < scene.n_wanted)
    {
      g_main_context_iteration (test->context, TRUE);
      if (scene.n_asked == scene.n_wanted)
        g_ptr_array_set_size (scene.kept, 0);
      if (g_get_monotonic_time () >= next_kill)
        {
          client_kill (&scene.clients[g_rand_int_range (scene.chance, 0, N_CLIENTS)]);
          next_kill = g_get_monotonic_time () + 5000;
        }
    }

  for (guint i = 0; i < N_CLIENTS; i++)
    {
      peer_close (&scene.clients[i].peer);
      peer_close (&scene.clients[i].server);
    }
  g_ptr_array_unref (scene.kept);
  g_ptr_array_unref (scene.timers);
  usock_run_until_closed (test->context);
  g_assert_cmpuint (scene.n_ended, ==, scene.n_asked);
  g_assert_cmpuint (scene.n_answered, >, scene.n_wanted / 4);
  g_assert_cmpuint (scene.n_kills, >, 0);
  g_test_message ("%u calls, %u answered, %u kills", scene.n_asked, scene.n_answered, scene.n_kills);
  g_rand_free (scene.chance);
}

static void
echo (UsockPeer *peer,
      UsockCall *call,
      gpointer   unused)
{
  usock_call_reply (call, usock_call_get_body (call), NULL);
}

G_GNUC_NORETURN static void
play_server (int fd)
{
  GMainContext *context = g_main_context_new ();
  UsockSeqpacket *channel;
  UsockPeer *peer;

  g_main_context_push_thread_default (context);
  channel = usock_seqpacket_new_from_fd (fd, NULL);
  peer = usock_peer_new (USOCK_CHANNEL (channel));
  usock_peer_handle (peer, "Any", echo, NULL, NULL);
  usock_run_until_closed (context);
  _exit (0);
}

static void
client_fork (Client *client)
{
  UsockSeqpacket *channel;
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
  client->child = fork ();
  if (client->child == 0)
    {
      close (pair[0]);
      play_server (pair[1]);
    }

  close (pair[1]);
  usock_test_no_error ((channel = usock_seqpacket_new_from_fd (pair[0], &error)) != NULL);
  client->peer = usock_peer_new (USOCK_CHANNEL (channel));
  g_object_unref (channel);
}

/* The process that answers is killed in traffic, again and again. */
static void
test_kill (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene = { .n_wanted = G_MAXUINT };
  Client *client = &scene.clients[0];

  scene.chance = g_rand_new_with_seed (42);
  scene.timers = g_ptr_array_new_with_free_func (source_drop);
  client->scene = &scene;
  for (guint i = 0; i < N_KILLS; i++)
    {
      guint enough = scene.n_answered + 200;
      UsockPeer *peer;

      client_fork (client);
      for (guint n = 0; n < N_UNDER_WAY; n++)
        client_ask (client);
      usock_test_wait_until (scene.n_answered >= enough);
      kill (client->child, SIGKILL);
      waitpid (client->child, NULL, 0);
      peer = g_steal_pointer (&client->peer);
      usock_test_wait_until (scene.n_ended == scene.n_asked);
      peer_close (&peer);
    }

  usock_run_until_closed (test->context);
  g_ptr_array_unref (scene.timers);
  g_rand_free (scene.chance);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  usock_test_add ("/usock/torture/calls/chance", test_chance);
  usock_test_add ("/usock/torture/calls/kill", test_kill);
  return g_test_run ();
}
