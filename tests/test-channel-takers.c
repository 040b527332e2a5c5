/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who gets a message when that changes while messages are given: none is lost, and none is given to
 * somebody who has left. */

#include "witness.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  Witness witness;
  UsockChannel *channel;
  int peer;

  gulong handler;
  guint n_taken;
  guint n_wanted;
  guint n_freed;
} Scene;

static void
scene_start (Scene      *scene,
             UsockTest  *test,
             const char *signals)
{
  *scene = (Scene) { .peer = test->pair[1] };
  witness_init (&scene->witness);
  scene->channel = scene_adopt (test);
  if (*signals != '\0')
    witness_watch (&scene->witness, scene->channel, signals);
}

static void
scene_stop (Scene *scene)
{
  scene_close (scene->channel);
  witness_clear (&scene->witness);
}

static void
scene_send_numbers (Scene *scene,
                    guint  first,
                    guint  last)
{
  for (guint i = first; i <= last; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      scene_send (scene->peer, text);
    }
}

static void
scene_expect_numbers (Scene      *scene,
                      const char *word,
                      guint       first,
                      guint       last)
{
  g_autoptr (GString) expected = g_string_new (NULL);

  for (guint i = first; i <= last; i++)
    g_string_append_printf (expected, "%s%s:%u", i > first ? " " : "", word, i);
  witness_expect (&scene->witness, expected->str);
}

static void
scene_take (Scene *scene)
{
  if (++scene->n_taken == scene->n_wanted)
    g_signal_handler_disconnect (scene->channel, scene->handler);
}

static void
take_data_cb (UsockChannel *channel,
              GByteArray   *bytes,
              Scene        *scene)
{
  scene_take (scene);
}

static void
take_message_cb (UsockChannel *channel,
                 UsockMessage *message,
                 Scene        *scene)
{
  scene_take (scene);
}

/* As the closures of other languages are, of which the library learns nothing. */
static void
foreign_marshal (GClosure     *closure,
                 GValue       *result,
                 guint         n_values,
                 const GValue *values,
                 gpointer      hint,
                 gpointer      marshal_data)
{
  scene_take (closure->data);
}

static gulong
scene_connect_foreign (Scene      *scene,
                       const char *signal)
{
  GClosure *closure = g_closure_new_simple (sizeof *closure, scene);

  g_closure_set_marshal (closure, foreign_marshal);
  return g_signal_connect_closure (scene->channel, signal, closure, FALSE);
}

typedef struct
{
  const char *signal;
  GCallback callback; /* NULL for a foreign closure */
} Leaver;

static const Leaver leavers[] = {
  { "data", G_CALLBACK (take_data_cb) },
  { "message", G_CALLBACK (take_message_cb) },
  { "data", NULL },
  { "message", NULL },
};

/* In the middle of what one read brought; what the others had not yet gets who comes next. */
static void
test_leave (UsockTest     *test,
            gconstpointer  data)
{
  const Leaver *leaver = data;
  Scene scene;

  scene_start (&scene, test, "");
  scene.n_wanted = 50;
  scene_send_numbers (&scene, 1, 100);
  if (leaver->callback != NULL)
    scene.handler = g_signal_connect (scene.channel, leaver->signal, leaver->callback, &scene);
  else
    scene.handler = scene_connect_foreign (&scene, leaver->signal);
  usock_test_wait_until (scene.n_taken == 50);
  scene_settle ();
  g_assert_cmpuint (scene.n_taken, ==, 50);

  witness_watch (&scene.witness, scene.channel, leaver->signal);
  scene_expect_numbers (&scene, leaver->signal, 51, 100);
  g_assert_cmpuint (usock_channel_get_messages_read (scene.channel), ==, 100);
  g_assert_cmpuint (usock_channel_get_bytes_read (scene.channel), ==, 9 + 90 * 2 + 3);
  scene_stop (&scene);
}

static void
leave_for_message_cb (UsockChannel *channel,
                      GByteArray   *bytes,
                      Scene        *scene)
{
  if (++scene->n_taken != scene->n_wanted)
    return;

  g_signal_handler_disconnect (channel, scene->handler);
  witness_watch (&scene->witness, channel, "message");
}

/* The very next message goes to who took over. */
static void
test_hand_over (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  scene.n_wanted = 50;
  scene_send_numbers (&scene, 1, 100);
  scene.handler = g_signal_connect (scene.channel, "data", G_CALLBACK (leave_for_message_cb),
                                    &scene);
  scene_expect_numbers (&scene, "message", 51, 100);
  scene_stop (&scene);
}

static void
count_fds_cb (UsockChannel *channel,
              UsockMessage *message,
              Scene        *scene)
{
  witness_write (&scene->witness, "fds:%u", usock_message_get_n_fds (message));
}

static void
want_fds_cb (UsockChannel *channel,
             GByteArray   *bytes,
             Scene        *scene)
{
  if (++scene->n_taken == scene->n_wanted)
    g_signal_connect (channel, "message", G_CALLBACK (count_fds_cb), scene);
}

/* Who gets bytes only must not be given a message whose descriptors somebody else listens for by
 * now, though it listens as well. */
static void
test_descriptors_for_the_new (UsockTest     *test,
                              gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  UsockChannel *sender;
  Scene scene = { .n_wanted = 10 };

  witness_init (&scene.witness);
  scene_pair (&sender, &scene.channel);
  usock_channel_set_max_fds (scene.channel, 1);
  usock_test_no_error (usock_message_append_fd (message, STDOUT_FILENO, &error));
  for (guint i = 0; i < 10; i++)
    usock_test_no_error (usock_channel_send_text (sender, "plain", &error));
  usock_test_no_error (usock_channel_send_message (sender, message, &error));

  g_signal_connect (scene.channel, "data", G_CALLBACK (want_fds_cb), &scene);
  witness_expect (&scene.witness, "fds:1");
  g_assert_cmpuint (scene.n_taken, ==, 11);
  scene_close (sender);
  scene_stop (&scene);
}

static void
block_cb (UsockChannel *channel,
          GByteArray   *bytes,
          Scene        *scene)
{
  if (++scene->n_taken == scene->n_wanted)
    g_signal_handler_block (channel, scene->handler);
}

static void
test_block (UsockTest     *test,
            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  scene.n_wanted = 50;
  scene_send_numbers (&scene, 1, 100);
  scene.handler = g_signal_connect (scene.channel, "data", G_CALLBACK (block_cb), &scene);
  usock_test_wait_until (scene.n_taken == 50);
  scene_settle ();
  g_assert_cmpuint (scene.n_taken, ==, 50);

  g_signal_handler_unblock (scene.channel, scene.handler);
  usock_test_wait_until (scene.n_taken == 100);
  scene_stop (&scene);
}

/* Of several that listen to the same signal, the others stay. */
static void
test_one_of_two_leaves (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data");
  scene.n_wanted = 30;
  scene_send_numbers (&scene, 1, 100);
  scene.handler = g_signal_connect (scene.channel, "data", G_CALLBACK (take_data_cb), &scene);
  scene_expect_numbers (&scene, "data", 1, 100);
  g_assert_cmpuint (scene.n_taken, ==, 30);
  scene_stop (&scene);
}

static void
leave_for_foreign_cb (UsockChannel *channel,
                      GByteArray   *bytes,
                      Scene        *scene)
{
  if (++scene->n_taken != 50)
    return;

  g_signal_handler_disconnect (channel, scene->handler);
  scene->handler = scene_connect_foreign (scene, "data");
}

static void
test_foreign_takes_over (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  scene_send_numbers (&scene, 1, 100);
  scene.handler = g_signal_connect (scene.channel, "data", G_CALLBACK (leave_for_foreign_cb),
                                    &scene);
  usock_test_wait_until (scene.n_taken >= 100);
  scene_settle ();
  g_assert_cmpuint (scene.n_taken, ==, 100);
  scene_stop (&scene);
}

static void
ignore_cb (UsockChannel *channel,
           GByteArray   *bytes,
           Scene        *scene)
{
}

static void
gain_cb (UsockChannel *channel,
         GByteArray   *bytes,
         Scene        *scene)
{
  if (++scene->n_taken == 50)
    g_signal_connect (channel, "data", G_CALLBACK (ignore_cb), scene);
  if (scene->n_taken < 51)
    return;

  g_signal_handlers_disconnect_by_func (channel, ignore_cb, scene);
  g_signal_handler_disconnect (channel, scene->handler);
}

/* A message that the last listener got is not one that nobody got. */
static void
test_all_leave (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  scene_send_numbers (&scene, 1, 100);
  scene.handler = g_signal_connect (scene.channel, "data", G_CALLBACK (gain_cb), &scene);
  usock_test_wait_until (scene.n_taken == 51);
  scene_settle ();
  g_assert_cmpuint (scene.n_taken, ==, 51);

  witness_watch (&scene.witness, scene.channel, "data");
  scene_expect_numbers (&scene, "data", 52, 100);
  scene_stop (&scene);
}

/* The function that takes all. */

static void
write_func (UsockChannel *channel,
            const guint8 *data,
            gsize         length,
            gpointer      user_data)
{
  Scene *scene = user_data;

  g_assert_cmpuint (data[length], ==, '\0');
  scene->n_taken++;
  witness_write (&scene->witness, "func:%.*s", (int) length, (const char *) data);
}

static void
free_cb (gpointer user_data)
{
  ((Scene *) user_data)->n_freed++;
}

static void
test_func (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "message data batch end close");
  scene_send_numbers (&scene, 1, 100);
  usock_channel_set_receive_func (scene.channel, write_func, &scene, free_cb);
  scene_expect_numbers (&scene, "func", 1, 100);

  scene_send (scene.peer, "");
  witness_expect (&scene.witness, "func:");
  g_assert_cmpuint (scene.n_freed, ==, 0);
  usock_channel_set_receive_func (scene.channel, NULL, NULL, NULL);
  g_assert_cmpuint (scene.n_freed, ==, 1);
  scene_send (scene.peer, "x");
  witness_expect (&scene.witness, "message:x batch:x");
  scene_stop (&scene);
}

/* A channel that never was anything gives back what it was given, too. */
static void
test_func_of_unused (UsockTest     *test,
                     gconstpointer  unused)
{
  UsockSeqpacket *channel = usock_seqpacket_new ();
  Scene scene = { 0 };

  usock_channel_set_receive_func (USOCK_CHANNEL (channel), write_func, &scene, free_cb);
  g_assert_finalize_object (channel);
  g_assert_cmpuint (scene.n_freed, ==, 1);
}

static void
test_func_is_late (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "error");
  scene_send_numbers (&scene, 1, 30);
  close (usock_test_take (test, 1));
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_channel_set_receive_func (scene.channel, write_func, &scene, free_cb);
  scene_expect_numbers (&scene, "func", 1, 30);
  scene_stop (&scene);
  g_assert_cmpuint (scene.n_freed, ==, 1);
}

/* What waits already comes at once, with nothing else to tell of it. */
static void
test_func_finds_messages (UsockTest     *test,
                          gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "error");
  scene_send (scene.peer, "1");
  scene_settle ();
  usock_channel_set_receive_func (scene.channel, write_func, &scene, NULL);
  scene_settle ();
  witness_assert (&scene.witness, "func:1");
  scene_stop (&scene);
}

static void
test_receiver_precedes_func (UsockTest     *test,
                             gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  usock_channel_set_receive_func (scene.channel, write_func, &scene, NULL);
  witness_receive (&scene.witness, scene.channel, "receive", NULL);
  scene_send (scene.peer, "1");
  scene_send (scene.peer, "2");
  witness_expect (&scene.witness, "receive:1 func:2");
  scene_stop (&scene);
}

static void
replace_func (UsockChannel *channel,
              const guint8 *data,
              gsize         length,
              gpointer      user_data)
{
  Scene *scene = user_data;

  if (++scene->n_taken < 20)
    return;

  usock_channel_set_receive_func (channel, write_func, scene, NULL);
  /* What is in use is not freed. */
  g_assert_cmpuint (scene->n_freed, ==, 0);
}

static void
test_func_replaces_itself (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  scene_send_numbers (&scene, 1, 50);
  usock_channel_set_receive_func (scene.channel, replace_func, &scene, free_cb);
  scene_expect_numbers (&scene, "func", 21, 50);
  g_assert_cmpuint (scene.n_freed, ==, 1);
  scene_stop (&scene);
}

static void
close_func (UsockChannel *channel,
            const guint8 *data,
            gsize         length,
            gpointer      user_data)
{
  write_func (channel, data, length, user_data);
  usock_socket_close (USOCK_SOCKET (channel));
}

static void
test_func_closes (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "end error close");
  scene_send_numbers (&scene, 1, 9);
  usock_channel_set_receive_func (scene.channel, close_func, &scene, NULL);
  witness_expect (&scene.witness, "func:1 close");
  scene_stop (&scene);
}

static void
pause_func (UsockChannel *channel,
            const guint8 *data,
            gsize         length,
            gpointer      user_data)
{
  Scene *scene = user_data;

  write_func (channel, data, length, user_data);
  if (scene->n_taken % 20 == 0)
    usock_channel_pause (channel);
}

static void
test_func_pauses (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  scene_send_numbers (&scene, 1, 40);
  usock_channel_set_receive_func (scene.channel, pause_func, &scene, NULL);
  scene_expect_numbers (&scene, "func", 1, 20);
  usock_channel_resume (scene.channel);
  scene_expect_numbers (&scene, "func", 21, 40);
  scene_stop (&scene);
}

static void
nest_func (UsockChannel *channel,
           const guint8 *data,
           gsize         length,
           gpointer      user_data)
{
  Scene *scene = user_data;

  write_func (channel, data, length, user_data);
  if (scene->n_taken == 20)
    usock_test_wait_until (scene->n_taken == 100);
}

static void
test_func_nests (UsockTest     *test,
                 gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  scene_send_numbers (&scene, 1, 100);
  usock_channel_set_receive_func (scene.channel, nest_func, &scene, NULL);
  scene_expect_numbers (&scene, "func", 1, 100);
  scene_stop (&scene);
}

/* The fixture sees to it that no descriptor is left. */
static void
test_func_gets_bytes_only (UsockTest     *test,
                           gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("fds");
  UsockChannel *sender;
  Scene scene = { 0 };

  witness_init (&scene.witness);
  scene_pair (&sender, &scene.channel);
  witness_watch (&scene.witness, scene.channel, "error close");
  usock_channel_set_max_fds (scene.channel, 2);
  usock_channel_set_read_buffer_size (scene.channel, 10);
  usock_test_no_error (usock_message_append_fd (message, STDOUT_FILENO, &error));
  usock_test_no_error (usock_channel_send_message (sender, message, &error));
  usock_test_no_error (usock_channel_send_text (sender, "much-too-long", &error));

  usock_channel_set_receive_func (scene.channel, write_func, &scene, NULL);
  witness_expect (&scene.witness, "func:fds error:message-too-large close");
  scene_close (sender);
  scene_stop (&scene);
}

static void
unref_channel_cb (gpointer user_data)
{
  g_object_unref (((Scene *) user_data)->channel);
}

/* Before there is a connection, and until it is closed. */
static void
test_func_is_early (UsockTest     *test,
                    gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int listener = scene_listen (path, 1);
  Scene scene = { 0 };

  witness_init (&scene.witness);
  scene.channel = USOCK_CHANNEL (usock_seqpacket_new ());
  /* Who keeps the channel for its function lets it go when that ends. */
  usock_channel_set_receive_func (scene.channel, write_func, &scene, unref_channel_cb);
  g_object_ref (scene.channel);
  usock_test_no_error (usock_channel_connect_to_path (scene.channel, path, &error));
  scene.peer = accept (listener, NULL, NULL);
  scene_send_numbers (&scene, 1, 3);
  scene_expect_numbers (&scene, "func", 1, 3);

  close (scene.peer);
  close (listener);
  g_object_add_weak_pointer (G_OBJECT (scene.channel), (gpointer *) &scene.channel);
  scene_stop (&scene);
  g_assert_null (scene.channel);
}

static void
test_func_of_datagrams (UsockTest     *test,
                        gconstpointer  unused)
{
  UsockDgram *first, *second;
  Scene scene = { 0 };

  witness_init (&scene.witness);
  usock_test_no_error (usock_dgram_new_pair (&first, &second, &error));
  scene.channel = USOCK_CHANNEL (second);
  witness_watch (&scene.witness, second, "message data");
  usock_channel_set_receive_func (scene.channel, write_func, &scene, NULL);
  for (guint i = 1; i <= 9; i++)
    usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (first), "x", &error));
  witness_expect (&scene.witness, "func:x func:x func:x func:x func:x func:x func:x func:x func:x");
  scene_close (first);
  scene_stop (&scene);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/channel-takers/" name, function)
#define add_with(name, data, function)                                                             \
  g_test_add ("/usock/channel-takers/" name, UsockTest, data, usock_test_setup, function,          \
              usock_test_teardown)

  add_with ("leave-data", &leavers[0], test_leave);
  add_with ("leave-message", &leavers[1], test_leave);
  add_with ("leave-data-foreign", &leavers[2], test_leave);
  add_with ("leave-message-foreign", &leavers[3], test_leave);
  add ("hand-over", test_hand_over);
  add ("descriptors-for-the-new", test_descriptors_for_the_new);
  add ("block", test_block);
  add ("one-of-two-leaves", test_one_of_two_leaves);
  add ("foreign-takes-over", test_foreign_takes_over);
  add ("all-leave", test_all_leave);
  add ("func", test_func);
  add ("func-of-unused", test_func_of_unused);
  add ("func-is-late", test_func_is_late);
  add ("func-finds-messages", test_func_finds_messages);
  add ("receiver-precedes-func", test_receiver_precedes_func);
  add ("func-replaces-itself", test_func_replaces_itself);
  add ("func-closes", test_func_closes);
  add ("func-pauses", test_func_pauses);
  add ("func-nests", test_func_nests);
  add ("func-gets-bytes-only", test_func_gets_bytes_only);
  add ("func-is-early", test_func_is_early);
  add ("func-of-datagrams", test_func_of_datagrams);

  return g_test_run ();
}
