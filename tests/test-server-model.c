/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server-scene.h"

#include <unistd.h>

static UsockChannel *
get_item (ServerScene *scene,
          guint        position)
{
  UsockChannel *channel = g_list_model_get_item (G_LIST_MODEL (scene->server), position);

  /* The test does not need the reference to keep it. */
  if (channel != NULL)
    g_object_unref (channel);
  return channel;
}

/* Somebody who sees nothing but the changes. */
static void
follow_cb (GListModel *model,
           guint       position,
           guint       n_removed,
           guint       n_added,
           GPtrArray  *shadow)
{
  g_assert_nonnull (g_main_current_source ());
  if (n_removed > 0)
    g_ptr_array_remove_range (shadow, position, n_removed);
  for (guint i = 0; i < n_added; i++)
    g_ptr_array_insert (shadow, position + i, g_list_model_get_item (model, position + i));

  g_assert_cmpuint (g_list_model_get_n_items (model), ==, shadow->len);
  for (guint i = 0; i < shadow->len; i++)
    {
      g_autoptr (UsockChannel) channel = g_list_model_get_item (model, i);

      g_assert_true (channel == shadow->pdata[i]);
    }
}

static void
test_order (UsockTest     *test,
            gconstpointer  unused)
{
  ServerScene scene;
  UsockChannel *channels[5];
  int clients[5];

  server_scene_start (&scene, test, "items-changed connection");
  server_scene_accept (&scene);
  g_assert_true (g_list_model_get_item_type (G_LIST_MODEL (scene.server)) == USOCK_TYPE_CHANNEL);
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (scene.server)), ==, 0);
  g_assert_null (get_item (&scene, 0));
  for (guint i = 0; i < 5; i++)
    {
      clients[i] = server_scene_connect (&scene);
      channels[i] = server_scene_take (&scene, i);
      g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (scene.server)), ==, i + 1);
    }
  for (guint i = 0; i < 5; i++)
    g_assert_true (get_item (&scene, i) == channels[i]);
  g_assert_null (get_item (&scene, 5));
  witness_assert (&scene.witness, "items-changed connection items-changed connection items-changed "
                                  "connection items-changed connection items-changed connection");

  /* It is there until its end is told, and the others move up. */
  usock_socket_close (USOCK_SOCKET (channels[1]));
  g_assert_true (get_item (&scene, 1) == channels[1]);
  witness_watch (&scene.witness, channels[1], "close");
  witness_expect (&scene.witness, "items-changed close");
  close (clients[3]);
  witness_expect (&scene.witness, "items-changed");
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (scene.server)), ==, 3);
  g_assert_true (get_item (&scene, 0) == channels[0]);
  g_assert_true (get_item (&scene, 1) == channels[2]);
  g_assert_true (get_item (&scene, 2) == channels[4]);
  g_assert_null (get_item (&scene, 3));
  for (guint i = 0; i < 5; i++)
    if (i != 3)
      close (clients[i]);
  server_scene_stop (&scene);
}

static void
test_random (UsockTest     *test,
             gconstpointer  unused)
{
  ServerScene scene;
  g_autoptr (GPtrArray) shadow = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GRand) random = g_rand_new_with_seed (7);
  int clients[40];

  memset (clients, -1, sizeof clients);
  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  g_signal_connect (scene.server, "items-changed", G_CALLBACK (follow_cb), shadow);
  for (guint i = 0; i < 1000; i++)
    {
      guint n = g_rand_int_range (random, 0, G_N_ELEMENTS (clients));

      if (clients[n] == -1)
        clients[n] = server_scene_connect (&scene);
      else
        {
          close (clients[n]);
          clients[n] = -1;
        }
      if (i % 7 == 0)
        scene_settle ();
    }
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    if (clients[i] != -1)
      close (clients[i]);
  usock_test_wait_until (shadow->len == 0);
  witness_assert (&scene.witness, "");
  server_scene_stop (&scene);
}

/* Only those that were let in are in the list. */
static UsockVerdict
refuse_cb (UsockServer  *server,
           UsockChannel *channel,
           gpointer      unused)
{
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (server)), ==, 0);
  scene_settle ();
  return USOCK_VERDICT_REFUSE;
}

static void
test_refused (UsockTest     *test,
              gconstpointer  unused)
{
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "items-changed drop");
  server_scene_accept (&scene);
  g_signal_connect (scene.server, "authorize", G_CALLBACK (refuse_cb), NULL);
  client = server_scene_connect (&scene);
  witness_expect (&scene.witness, "drop:0");
  close (client);
  server_scene_stop (&scene);
}

static void
close_item_cb (GListModel *model,
               guint       position,
               guint       n_removed,
               guint       n_added,
               gpointer    unused)
{
  g_autoptr (UsockSocket) socket = g_list_model_get_item (model, position);

  if (n_added > 0)
    usock_socket_close (socket);
}

static void
test_closed_when_it_enters (UsockTest     *test,
                            gconstpointer  unused)
{
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "items-changed connection close");
  server_scene_accept (&scene);
  g_signal_connect (scene.server, "items-changed", G_CALLBACK (close_item_cb), NULL);
  client = server_scene_connect (&scene);
  witness_expect (&scene.witness, "items-changed items-changed");
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 0);
  close (client);
  usock_socket_close (USOCK_SOCKET (scene.server));
  witness_expect (&scene.witness, "close");
  server_scene_stop (&scene);
}

/* The list outlives neither the context nor the server, and needs neither. */
static void
test_context_goes (UsockTest     *test,
                   gconstpointer  unused)
{
  GMainContext *context = g_main_context_new ();
  g_autoptr (UsockChannel) kept = NULL;
  ServerScene scene;
  int clients[3];

  g_main_context_push_thread_default (context);
  server_scene_start (&scene, test, "items-changed");
  server_scene_accept (&scene);
  for (guint i = 0; i < 3; i++)
    clients[i] = server_scene_connect (&scene);
  while (scene.connections->len < 3)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  kept = g_object_ref (scene.connections->pdata[1]);
  g_main_context_unref (context);

  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (scene.server)), ==, 0);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (kept)), ==, USOCK_STATE_CLOSED);
  for (guint i = 0; i < 3; i++)
    close (clients[i]);
  server_scene_stop (&scene);
}

/* Broadcasting. */

static void
test_broadcast (UsockTest     *test,
                gconstpointer  unused)
{
  ServerScene scene;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("to ");
  g_autoptr (GBytes) rest = g_bytes_new_static ("all", 3);
  int clients[4];

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  for (guint i = 0; i < 4; i++)
    {
      clients[i] = server_scene_connect (&scene);
      server_scene_take (&scene, i);
    }
  usock_message_append_bytes (message, rest);
  usock_channel_end (scene.connections->pdata[2]);
  g_assert_cmpuint (usock_server_broadcast (scene.server, message), ==, 3);
  for (guint i = 0; i < 4; i++)
    {
      g_autofree char *text = scene_receive (clients[i]);

      g_assert_cmpstr (text, ==, i == 2 ? NULL : "to all");
      close (clients[i]);
    }
  g_assert_cmpuint (usock_server_get_messages_missed (scene.server), ==, 0);
  usock_test_wait_until (usock_server_get_n_connections (scene.server) == 0);
  g_assert_cmpuint (usock_server_broadcast (scene.server, message), ==, 0);
  server_scene_stop (&scene);
}

/* Two clients, of whom the first does not read. */
typedef struct
{
  ServerScene scene;
  Witness slow;
  int clients[2];
  guint n_accepted;
  guint n_read;
} Audience;

static void
audience_start (Audience         *self,
                UsockTest        *test,
                UsockSlowReaders  policy)
{
  *self = (Audience){ 0 };
  server_scene_start (&self->scene, test, "error");
  server_scene_accept (&self->scene);
  usock_server_set_queue_limit (self->scene.server, 64 * 1024);
  usock_server_set_slow_readers (self->scene.server, policy);
  for (guint i = 0; i < 2; i++)
    {
      self->clients[i] = server_scene_connect (&self->scene);
      server_scene_take (&self->scene, i);
    }
  witness_init (&self->slow);
  witness_watch (&self->slow, self->scene.connections->pdata[0], "error close");
}

static void
audience_stop (Audience *self)
{
  for (guint i = 0; i < 2; i++)
    close (self->clients[i]);
  server_scene_stop (&self->scene);
  witness_clear (&self->slow);
}

/* The second reads everything at once. */
static void
audience_tell (Audience *self,
               guint     number)
{
  g_autofree char *text = g_strdup_printf ("%u", number);
  g_autoptr (UsockMessage) message = usock_message_new_from_text (text);
  g_autofree char *read = NULL;

  self->n_accepted = usock_server_broadcast (self->scene.server, message);
  g_assert_cmpuint (self->n_accepted, >=, 1);
  read = scene_receive (self->clients[1]);
  g_assert_cmpstr (read, ==, text);
}

/* Reads what the slow one got, in order, until there was nothing for a turn. */
static guint
audience_catch_up (Audience *self)
{
  char buffer[32];
  guint n = 0, last = 0;

  for (gboolean more = TRUE; more;)
    {
      gssize length;

      scene_settle ();
      for (more = FALSE; (length = read (self->clients[0], buffer, 31)) > 0; n++)
        {
          guint number;

          buffer[length] = '\0';
          number = atoi (buffer);
          g_assert_true (n == 0 || number > last);
          last = number;
          more = TRUE;
        }
    }
  return n;
}

static void
test_slow_readers_wait (UsockTest     *test,
                        gconstpointer  unused)
{
  Audience audience;
  UsockChannel *slow;
  guint n = 0;

  audience_start (&audience, test, USOCK_SLOW_READERS_WAIT);
  slow = audience.scene.connections->pdata[0];
  do
    audience_tell (&audience, n++);
  while (audience.n_accepted == 2);
  g_assert_cmpuint (usock_channel_get_queued_bytes (slow), >, 60 * 1024);
  g_assert_cmpuint (usock_channel_get_queued_bytes (slow), <=, 64 * 1024);
  g_assert_cmpuint (usock_server_get_messages_missed (audience.scene.server), ==, 1);
  g_assert_cmpuint (audience_catch_up (&audience), ==, n - 1);
  audience_tell (&audience, n);
  g_assert_cmpuint (audience.n_accepted, ==, 2);
  witness_assert (&audience.slow, "");
  audience_stop (&audience);
}

static void
test_slow_readers_skip (UsockTest     *test,
                        gconstpointer  unused)
{
  Audience audience;
  UsockChannel *slow;
  guint n = 0;

  audience_start (&audience, test, USOCK_SLOW_READERS_SKIP);
  slow = audience.scene.connections->pdata[0];
  do
    audience_tell (&audience, n++);
  while (audience.n_accepted == 2);
  for (guint i = 0; i < 9; i++)
    audience_tell (&audience, n++);
  g_assert_cmpuint (usock_channel_get_queued_bytes (slow), <, 1024);
  g_assert_cmpuint (usock_server_get_messages_missed (audience.scene.server), ==, 10);
  g_assert_cmpuint (audience_catch_up (&audience), ==, n - 10);
  audience_tell (&audience, n);
  g_assert_cmpuint (audience.n_accepted, ==, 2);
  witness_assert (&audience.slow, "");
  audience_stop (&audience);
}

static void
test_slow_readers_close (UsockTest     *test,
                         gconstpointer  unused)
{
  Audience audience;
  guint n = 0;

  audience_start (&audience, test, USOCK_SLOW_READERS_CLOSE);
  do
    audience_tell (&audience, n++);
  while (audience.n_accepted == 2);
  witness_assert (&audience.slow, "");
  witness_expect (&audience.slow, "error:would-block close");
  g_assert_cmpuint (usock_server_get_n_connections (audience.scene.server), ==, 1);
  g_assert_cmpuint (usock_server_get_messages_missed (audience.scene.server), ==, 1);
  audience_tell (&audience, n);
  g_assert_cmpuint (audience.n_accepted, ==, 1);
  audience_stop (&audience);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/server/model/" name, function)

  add ("order", test_order);
  add ("random", test_random);
  add ("refused", test_refused);
  add ("closed-when-it-enters", test_closed_when_it_enters);
  add ("context-goes", test_context_goes);
  add ("broadcast", test_broadcast);
  add ("slow-readers-wait", test_slow_readers_wait);
  add ("slow-readers-skip", test_slow_readers_skip);
  add ("slow-readers-close", test_slow_readers_close);

  return g_test_run ();
}
