/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <fcntl.h>
#include <unistd.h>

#define LIMIT 3

/* One end sends messages with a descriptor each, the other keeps what it receives. */
typedef struct
{
  UsockChannel *sender;
  UsockChannel *receiver;
  GPtrArray *kept;
  guint n_seen;
} Scene;

static void
receive_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      kept)
{
  UsockMessage *message = usock_channel_receive_finish (USOCK_CHANNEL (source), result, NULL);

  if (message == NULL)
    return;
  g_ptr_array_add (kept, message);
  usock_channel_receive_async (USOCK_CHANNEL (source), NULL, receive_cb, kept);
}

static void
send_more (Scene *scene,
           guint  n)
{
  int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  for (guint i = 0; i < n; i++)
    usock_test_no_error (
        usock_channel_send_with_fds (scene->sender, (guint8 *) "x", 1, &fd, 1, &error));
  close (fd);
}

static void
scene_start (Scene *scene)
{
  *scene = (Scene){ .kept = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref) };
  scene_pair (&scene->sender, &scene->receiver);
  usock_channel_set_max_fds (scene->receiver, 1);
  usock_channel_set_max_held_fds (scene->receiver, LIMIT);
  scene_settle ();
}

static void
scene_keep (Scene *scene)
{
  usock_channel_receive_async (scene->receiver, NULL, receive_cb, scene->kept);
}

static void
scene_stop (Scene *scene)
{
  scene_close (scene->sender);
  scene_close (scene->receiver);
  g_ptr_array_unref (scene->kept);
}

/* However they leave their message, there is room for the next. */
static void
test_held_up (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  g_autofree gint *fds = NULL;
  gsize n_fds;
  gint fd;

  scene_start (&scene);
  scene_keep (&scene);
  send_more (&scene, LIMIT + 4);
  usock_test_wait_until (scene.kept->len == LIMIT);
  scene_settle ();
  g_assert_cmpuint (scene.kept->len, ==, LIMIT);

  fd = usock_message_take_fd (scene.kept->pdata[0], 0, NULL);
  g_assert_cmpint (fd, >=, 0);
  close (fd);
  usock_test_wait_until (scene.kept->len == LIMIT + 1);
  fds = usock_message_take_fds (scene.kept->pdata[1], &n_fds);
  g_assert_cmpuint (n_fds, ==, 1);
  close (fds[0]);
  usock_test_wait_until (scene.kept->len == LIMIT + 2);
  usock_message_close_fds (scene.kept->pdata[2]);
  usock_test_wait_until (scene.kept->len == LIMIT + 3);
  g_ptr_array_remove_index (scene.kept, 3);
  usock_test_wait_until (scene.kept->len == LIMIT + 3);
  scene_settle ();
  g_assert_cmpuint (scene.kept->len, ==, LIMIT + 3);
  scene_stop (&scene);
}

static gpointer
drop_in_thread (gpointer message)
{
  usock_message_unref (message);
  return NULL;
}

/* A worker may be the one that has done with a message, while the loop sleeps. */
static void
test_dropped_in_thread (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_keep (&scene);
  send_more (&scene, LIMIT + 10);
  for (guint i = 0; i < 10; i++)
    {
      GThread *thread;

      usock_test_wait_until (scene.kept->len == LIMIT);
      thread = g_thread_new ("worker", drop_in_thread,
                             g_ptr_array_steal_index (scene.kept, 0));
      usock_test_wait_until (scene.kept->len == LIMIT);
      g_thread_join (thread);
    }
  scene_stop (&scene);
}

static gboolean
once_cb (gpointer unused)
{
  return G_SOURCE_REMOVE;
}

/* Nothing turns while it waits. */
static void
test_no_spin (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  gint64 until;
  guint n_turns = 0;

  scene_start (&scene);
  scene_keep (&scene);
  send_more (&scene, LIMIT + 1);
  usock_test_wait_until (scene.kept->len == LIMIT);
  scene_settle ();
  for (until = g_get_monotonic_time () + 100 * 1000; g_get_monotonic_time () < until; n_turns++)
    {
      g_autoptr (GSource) timer = g_timeout_source_new (50);

      g_source_set_callback (timer, once_cb, NULL, NULL);
      g_source_attach (timer, test->context);
      g_main_context_iteration (test->context, TRUE);
    }
  g_assert_cmpuint (n_turns, <=, 5);
  scene_stop (&scene);
}

static void
see_cb (UsockChannel *channel,
        UsockMessage *message,
        Scene        *scene)
{
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 1);
  scene->n_seen++;
}

/* What a handler leaves in its messages is closed, and counts no more. */
static void
test_handler_is_not (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  g_signal_connect (scene.receiver, "message", G_CALLBACK (see_cb), &scene);
  send_more (&scene, 50);
  usock_test_wait_until (scene.n_seen == 50);
  scene_stop (&scene);
}

/* Messages outlive their channel, and a limit may be lifted. */
static void
test_limit_is_lifted (UsockTest     *test,
                      gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_keep (&scene);
  send_more (&scene, LIMIT + 2);
  usock_test_wait_until (scene.kept->len == LIMIT);
  scene_settle ();
  usock_channel_set_max_held_fds (scene.receiver, LIMIT + 1);
  usock_test_wait_until (scene.kept->len == LIMIT + 1);
  scene_settle ();
  g_assert_cmpuint (scene.kept->len, ==, LIMIT + 1);
  usock_channel_set_max_held_fds (scene.receiver, 0);
  usock_test_wait_until (scene.kept->len == LIMIT + 2);
  scene_stop (&scene);
}

/* What the peer sent before it left is still there for who makes room. */
static void
test_peer_is_gone (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;
  Witness witness;

  scene_start (&scene);
  witness_init (&witness);
  witness_watch (&witness, scene.receiver, "end error close");
  scene_keep (&scene);
  send_more (&scene, LIMIT + 1);
  usock_socket_close (USOCK_SOCKET (scene.sender));
  usock_test_wait_until (scene.kept->len == LIMIT);
  scene_settle ();
  witness_assert (&witness, "");
  usock_message_close_fds (scene.kept->pdata[0]);
  witness_expect (&witness, "end close");
  g_assert_cmpuint (scene.kept->len, ==, LIMIT + 1);
  witness_clear (&witness);
  scene_stop (&scene);
}

static void
exactly_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      kept)
{
  UsockMessage *message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, NULL);

  g_assert_nonnull (message);
  g_ptr_array_add (kept, message);
}

static void
test_stream (UsockTest     *test,
             gconstpointer  unused)
{
  Scene scene;
  UsockStream *one, *other;

  usock_test_no_error (usock_stream_new_pair (&one, &other, &error));
  scene = (Scene){ .sender = USOCK_CHANNEL (one),
                   .receiver = USOCK_CHANNEL (other),
                   .kept = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref) };
  usock_channel_set_max_fds (scene.receiver, 1);
  usock_channel_set_max_held_fds (scene.receiver, LIMIT);
  for (guint i = 0; i < LIMIT + 1; i++)
    {
      send_more (&scene, 1);
      usock_stream_receive_exactly_async (other, 1, 1, NULL, exactly_cb, scene.kept);
    }
  usock_test_wait_until (scene.kept->len == LIMIT);
  scene_settle ();
  g_assert_cmpuint (scene.kept->len, ==, LIMIT);
  g_ptr_array_remove_index (scene.kept, 0);
  usock_test_wait_until (scene.kept->len == LIMIT);
  scene_stop (&scene);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/channel/fds/" name, function)

  add ("held-up", test_held_up);
  add ("dropped-in-thread", test_dropped_in_thread);
  add ("no-spin", test_no_spin);
  add ("handler-is-not", test_handler_is_not);
  add ("limit-is-lifted", test_limit_is_lifted);
  add ("peer-is-gone", test_peer_is_gone);
  add ("stream", test_stream);

  return g_test_run ();
}
