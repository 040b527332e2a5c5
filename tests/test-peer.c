/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  UsockChannel *channels[2];
  UsockPeer *client;
  UsockPeer *server;
  GString *told;
  guint n_told;
  UsockCall *kept;
} Scene;

static void
scene_start (Scene   *scene,
             gboolean stream)
{
  *scene = (Scene) { .told = g_string_new (NULL) };
  if (stream)
    usock_test_no_error (usock_stream_new_pair ((UsockStream **) &scene->channels[0],
                                                (UsockStream **) &scene->channels[1], &error));
  else
    scene_pair (&scene->channels[0], &scene->channels[1]);
  scene->client = usock_peer_new (scene->channels[0]);
  scene->server = usock_peer_new (scene->channels[1]);
}

static void
scene_stop (Scene *scene)
{
  g_clear_pointer (&scene->kept, usock_call_unref);
  for (guint i = 0; i < 2; i++)
    scene_close (scene->channels[i]);
  g_assert_finalize_object (scene->client);
  g_assert_finalize_object (scene->server);
  g_string_free (scene->told, TRUE);
}

static void
scene_tell (Scene      *scene,
            const char *format,
            ...) G_GNUC_PRINTF (2, 3);

static void
scene_tell (Scene      *scene,
            const char *format,
            ...)
{
  va_list arguments;

  if (scene->told->len > 0)
    g_string_append_c (scene->told, ' ');
  va_start (arguments, format);
  g_string_append_vprintf (scene->told, format, arguments);
  va_end (arguments);
  scene->n_told++;
}

#define scene_expect(scene, n, expected)                                                           \
  G_STMT_START                                                                                     \
  {                                                                                                \
    usock_test_wait_until ((scene)->n_told >= (n));                                                \
    scene_settle ();                                                                               \
    g_assert_cmpstr ((scene)->told->str, ==, expected);                                            \
    g_string_truncate ((scene)->told, 0);                                                          \
    (scene)->n_told = 0;                                                                           \
  }                                                                                                \
  G_STMT_END

static void
called_cb (GObject      *peer,
           GAsyncResult *result,
           gpointer      user_data)
{
  Scene *scene = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) body = usock_peer_call_finish (USOCK_PEER (peer), result, &error);
  g_autofree char *text = NULL;

  if (body == NULL)
    {
      scene_tell (scene, "%s", error->domain == G_IO_ERROR ? witness_code (error) : error->message);
      return;
    }
  if (usock_message_get_kind (body) == USOCK_BODY_KIND_NONE)
    text = g_strdup ("nothing");
  else if (usock_message_get_variant (body) != NULL)
    text = g_variant_print (usock_message_get_variant (body), FALSE);
  else if (usock_message_get_length (body) > 100)
    text = g_strdup_printf ("%zu", usock_message_get_length (body));
  else
    text = usock_message_dup_text (body, NULL);
  scene_tell (scene, "%s", text);
}

static void
ask (Scene      *scene,
     const char *name,
     const char *text,
     int         timeout)
{
  g_autoptr (UsockMessage) body = text != NULL ? usock_message_new_from_text (text) : NULL;

  usock_peer_call_async (scene->client, name, body, timeout, NULL, called_cb, scene);
}

static void
echo (UsockPeer *peer,
      UsockCall *call,
      gpointer   user_data)
{
  usock_test_no_error (usock_call_reply (call, usock_call_get_body (call), &error));
}

static void
keep (UsockPeer *peer,
      UsockCall *call,
      gpointer   user_data)
{
  Scene *scene = user_data;

  g_clear_pointer (&scene->kept, usock_call_unref);
  scene->kept = usock_call_ref (call);
}

static void
drop (UsockPeer *peer,
      UsockCall *call,
      gpointer   user_data)
{
}

static void
handle_all (Scene *scene)
{
  usock_peer_handle (scene->server, "Echo", echo, scene, NULL);
  usock_peer_handle (scene->server, "Keep", keep, scene, NULL);
  usock_peer_handle (scene->server, "Drop", drop, scene, NULL);
}

static void
test_echo (UsockTest     *test,
           gconstpointer  unused)
{
  for (guint stream = 0; stream < 2; stream++)
    {
      Scene scene;

      scene_start (&scene, stream);
      handle_all (&scene);
      ask (&scene, "Echo", "one", -1);
      ask (&scene, "Echo", "two", 5000);
      ask (&scene, "Echo", "", -1);
      ask (&scene, "Echo", NULL, -1);
      scene_expect (&scene, 4, "one two  nothing");
      scene_stop (&scene);
    }
}

static void
test_variant (UsockTest     *test,
              gconstpointer  unused)
{
  g_autoptr (UsockMessage) body = NULL;
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  body = usock_message_new_from_variant (g_variant_new_parsed ("{'path': <'/etc'>, 'n': <@i 7>}"));
  usock_peer_call_async (scene.client, "Echo", body, -1, NULL, called_cb, &scene);
  scene_expect (&scene, 1, "{'path': <'/etc'>, 'n': <7>}");
  scene_stop (&scene);
}

static void
variant_called_cb (GObject      *peer,
                   GAsyncResult *result,
                   gpointer      user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = usock_peer_call_variant_finish (USOCK_PEER (peer), result, &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  text = g_variant_print (value, TRUE);
  scene_tell (user_data, "%s", text);
}

static void
reply_number (UsockPeer *peer,
              UsockCall *call,
              gpointer   user_data)
{
  gint32 a, b;

  g_variant_get (usock_call_get_variant (call), "(ii)", &a, &b);
  usock_test_no_error (usock_call_reply_variant (call, g_variant_new_int64 (a + b), &error));
}

static void
reply_text (UsockPeer *peer,
            UsockCall *call,
            gpointer   user_data)
{
  g_autoptr (UsockMessage) body = usock_message_new_from_text ("text");

  usock_test_no_error (usock_call_reply (call, body, &error));
}

static void
reply_nothing (UsockPeer *peer,
               UsockCall *call,
               gpointer   user_data)
{
  usock_test_no_error (usock_call_reply (call, NULL, &error));
}

static void
test_call_variant (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, FALSE);
  usock_peer_handle (scene.server, "Add", reply_number, NULL, NULL);
  usock_peer_handle (scene.server, "Text", reply_text, NULL, NULL);
  usock_peer_handle (scene.server, "Nothing", reply_nothing, NULL, NULL);
  usock_peer_call_variant_async (scene.client, "Add", g_variant_new ("(ii)", 1, 2), -1, NULL,
                                 variant_called_cb, &scene);
  usock_peer_call_variant_async (scene.client, "Text", NULL, -1, NULL, variant_called_cb, &scene);
  usock_peer_call_variant_async (scene.client, "Nothing", NULL, -1, NULL, variant_called_cb, &scene);
  scene_expect (&scene, 3, "int64 3 'text' ()");
  scene_stop (&scene);
}

static void
fail_in_many_ways (UsockPeer *peer,
                   UsockCall *call,
                   gpointer   user_data)
{
  g_autofree char *text = usock_message_dup_text (usock_call_get_body (call), NULL);
  g_autoptr (GError) reason = NULL;

  if (g_str_equal (text, "io"))
    reason = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is none");
  else if (g_str_equal (text, "file"))
    reason = g_error_new_literal (G_FILE_ERROR, G_FILE_ERROR_ACCES, "not you");
  else if (g_str_equal (text, "own"))
    reason = g_error_new_literal (g_quark_from_static_string ("test-peer-error-quark"), 7, "mine");
  else
    reason = g_error_new_literal (g_quark_from_static_string ("unheard of"), 7, "strange");
  usock_test_no_error (usock_call_reply_error (call, reason, &error));
}

static void
failed_cb (GObject      *peer,
           GAsyncResult *result,
           gpointer      user_data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (usock_peer_call_finish (USOCK_PEER (peer), result, &error));
  scene_tell (user_data, "%s/%d/%s", g_quark_to_string (error->domain), error->code, error->message);
}

static void
test_errors (UsockTest     *test,
             gconstpointer  unused)
{
  const char *ways[] = { "io", "file", "own", "strange" };
  Scene scene;

  scene_start (&scene, FALSE);
  usock_peer_handle (scene.server, "Fail", fail_in_many_ways, NULL, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      g_autoptr (UsockMessage) body = usock_message_new_from_text (ways[i]);

      usock_peer_call_async (scene.client, "Fail", body, -1, NULL, failed_cb, &scene);
    }
  scene_expect (&scene, 4,
                "g-io-error-quark/1/there is none g-file-error-quark/2/not you "
                "test-peer-error-quark/7/mine g-io-error-quark/0/strange");
  scene_stop (&scene);
}

static void
test_unhandled (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  ask (&scene, "Nothing", NULL, -1);
  ask (&scene, "Drop", NULL, -1);
  scene_expect (&scene, 2, "not-supported failed");

  usock_peer_unhandle (scene.server, "Drop");
  usock_peer_unhandle (scene.server, "Never");
  ask (&scene, "Drop", NULL, -1);
  scene_expect (&scene, 1, "not-supported");
  scene_stop (&scene);
}

static void
call_cb (UsockPeer *peer,
         UsockCall *call,
         Scene     *scene)
{
  scene_tell (scene, "signal:%s", usock_call_get_name (call));
  usock_test_no_error (usock_call_reply (call, NULL, &error));
}

/* What came before anybody listened is there for who does. */
static void
test_signal_late (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, FALSE);
  ask (&scene, "Any", NULL, -1);
  scene_settle ();
  g_signal_connect (scene.server, "call", G_CALLBACK (call_cb), &scene);
  scene_expect (&scene, 2, "signal:Any nothing");
  scene_stop (&scene);
}

static void
posted_cb (UsockPeer    *peer,
           const char   *name,
           UsockMessage *body,
           Scene        *scene)
{
  g_autofree char *text = usock_message_dup_text (body, NULL);

  scene_tell (scene, "%s:%s", name, text);
}

static void
test_post (UsockTest     *test,
           gconstpointer  unused)
{
  g_autoptr (UsockMessage) body = usock_message_new_from_text ("hello");
  GError *refusal = NULL;
  Scene scene;

  scene_start (&scene, FALSE);
  g_signal_connect (scene.server, "posted", G_CALLBACK (posted_cb), &scene);
  usock_test_no_error (usock_peer_post (scene.client, "Log", body, &error));
  usock_test_no_error (usock_peer_post (scene.client, "Log", NULL, &error));
  usock_test_no_error (usock_peer_post_variant (scene.client, "V", g_variant_new_byte ('v'), &error));
  scene_expect (&scene, 3, "Log:hello Log: V:v");

  g_assert_false (usock_peer_post (scene.client, "", body, &refusal));
  assert_error_code (refusal, G_IO_ERROR_INVALID_ARGUMENT);
  scene_stop (&scene);
}

/* What is kept together for a moment leaves before the end does. */
static void
test_post_and_close (UsockTest     *test,
                     gconstpointer  unused)
{
  for (guint i = 0; i < 2; i++)
    {
      Scene scene;

      scene_start (&scene, FALSE);
      g_signal_connect (scene.server, "posted", G_CALLBACK (posted_cb), &scene);
      for (guint n = 0; n < 3; n++)
        usock_test_no_error (usock_peer_post (scene.client, "Bye", NULL, &error));
      if (i == 0)
        usock_channel_end (scene.channels[0]);
      else
        usock_socket_close (USOCK_SOCKET (scene.channels[0]));
      scene_expect (&scene, 3, "Bye: Bye: Bye:");
      scene_stop (&scene);
    }
}

static void
test_answer_later (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (UsockMessage) body = usock_message_new_from_text ("late");
  GError *refusal = NULL;
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  ask (&scene, "Keep", NULL, -1);
  ask (&scene, "Echo", "first", -1);
  scene_expect (&scene, 1, "first");

  g_assert_false (usock_call_is_answered (scene.kept));
  usock_test_no_error (usock_call_reply (scene.kept, body, &error));
  g_assert_true (usock_call_is_answered (scene.kept));
  g_assert_false (usock_call_reply (scene.kept, body, &refusal));
  assert_error_code (refusal, G_IO_ERROR_EXISTS);
  scene_expect (&scene, 1, "late");
  scene_stop (&scene);
}

static void
test_timeout (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  ask (&scene, "Keep", NULL, 20);
  ask (&scene, "Echo", "quick", 5000);
  scene_expect (&scene, 2, "quick timed-out");
  usock_test_wait_until (g_cancellable_is_cancelled (usock_call_get_cancellable (scene.kept)));

  /* Nobody waits for it, which is no mistake. */
  usock_test_no_error (usock_call_reply (scene.kept, NULL, &error));
  ask (&scene, "Echo", "on", -1);
  scene_expect (&scene, 1, "on");

  ask (&scene, "Keep", NULL, 0);
  scene_expect (&scene, 1, "timed-out");
  scene_stop (&scene);
}

static void
test_cancel (UsockTest     *test,
             gconstpointer  unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GCancellable) early = g_cancellable_new ();
  GCancellable *theirs;
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  usock_peer_call_async (scene.client, "Keep", NULL, -1, cancellable, called_cb, &scene);
  usock_test_wait_until (scene.kept != NULL);
  theirs = usock_call_get_cancellable (scene.kept);
  g_cancellable_cancel (cancellable);
  scene_expect (&scene, 1, "cancelled");
  usock_test_wait_until (g_cancellable_is_cancelled (theirs));

  g_clear_pointer (&scene.kept, usock_call_unref);
  g_cancellable_cancel (early);
  usock_peer_call_async (scene.client, "Keep", NULL, -1, early, called_cb, &scene);
  scene_expect (&scene, 1, "cancelled");
  g_assert_null (scene.kept);
  scene_stop (&scene);
}

static void
test_peer_goes (UsockTest     *test,
                gconstpointer  unused)
{
  for (guint i = 0; i < 2; i++)
    {
      GCancellable *cancellable;
      Scene scene;

      scene_start (&scene, FALSE);
      handle_all (&scene);
      ask (&scene, "Keep", NULL, 10000);
      usock_test_wait_until (scene.kept != NULL);
      scene_settle ();
      cancellable = usock_call_get_cancellable (scene.kept);
      usock_socket_close (USOCK_SOCKET (scene.channels[i]));
      scene_expect (&scene, 1, i == 0 ? "closed" : "broken-pipe");
      usock_test_wait_until (g_cancellable_is_cancelled (cancellable));
      ask (&scene, "Echo", "more", -1);
      scene_expect (&scene, 1, "closed");
      usock_test_no_error (usock_call_reply (scene.kept, NULL, &error));
      scene_stop (&scene);
    }
}

/* Who has asked and ended gets the answer. */
static void
test_half_open (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;
  int fd = usock_test_take (test, 1);
  guint8 call[] = { 1, 1, 2, 0, 38, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
                    4, 0, 0, 0, 0, 0, 0, 0, 'K', 'e', 'e', 'p', 'h', 'i' };
  guint8 buffer[100];
  UsockChannel *channel;
  UsockPeer *peer;

  scene = (Scene) { .told = g_string_new (NULL) };
  channel = scene_adopt (test);
  peer = usock_peer_new (channel);
  usock_peer_handle (peer, "Keep", keep, &scene, NULL);
  g_assert_cmpint (send (fd, call, sizeof call, 0), ==, sizeof call);
  shutdown (fd, SHUT_WR);
  usock_test_wait_until (scene.kept != NULL);
  scene_settle ();
  usock_test_no_error (usock_call_reply (scene.kept, usock_call_get_body (scene.kept), &error));
  usock_test_wait_until (usock_socket_get_state (USOCK_SOCKET (channel)) == USOCK_STATE_CLOSED);
  g_assert_cmpint (recv (fd, buffer, sizeof buffer, 0), ==, 34);
  g_assert_cmpint (buffer[1], ==, 2);
  g_assert_cmpmem (buffer + 32, 2, "hi", 2);
  g_assert_cmpint (recv (fd, buffer, sizeof buffer, 0), ==, 0);

  close (fd);
  g_clear_pointer (&scene.kept, usock_call_unref);
  scene_close (channel);
  g_assert_finalize_object (peer);
  g_string_free (scene.told, TRUE);
}

static void
open_file (UsockPeer *peer,
           UsockCall *call,
           gpointer   user_data)
{
  g_autoptr (UsockMessage) body = usock_message_new_from_variant (g_variant_new_handle (0));
  int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  usock_test_no_error (usock_message_append_fd_owned (body, fd, &error));
  usock_test_no_error (usock_call_reply (call, body, &error));
}

static void
opened_cb (GObject      *peer,
           GAsyncResult *result,
           gpointer      user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) body = usock_peer_call_finish (USOCK_PEER (peer), result, &error);
  int fd;

  if (body == NULL)
    {
      scene_tell (user_data, "%s", witness_code (error));
      return;
    }
  fd = usock_message_take_fd (body, (guint) g_variant_get_handle (usock_message_get_variant (body)),
                              &error);
  g_assert_no_error (error);
  scene_tell (user_data, "%u", usock_message_get_n_fds (body));
  close (fd);
}

static void
test_descriptors (UsockTest     *test,
                  gconstpointer  unused)
{
  for (guint stream = 0; stream < 2; stream++)
    {
      Scene scene;

      scene_start (&scene, stream);
      usock_peer_handle (scene.server, "Open", open_file, NULL, NULL);
      usock_channel_set_max_fds (scene.channels[0], 4);
      for (guint i = 0; i < 3; i++)
        usock_peer_call_async (scene.client, "Open", NULL, -1, NULL, opened_cb, &scene);
      scene_expect (&scene, 3, "1 1 1");
      scene_stop (&scene);
    }
}

static guint
count_words (const char *text,
             const char *word)
{
  guint n = 0;

  while ((text = strstr (text, word)) != NULL)
    {
      text += strlen (word);
      n++;
    }
  return n;
}

static void
measure (UsockPeer *peer,
         UsockCall *call,
         gpointer   scene)
{
  scene_tell (scene, "%zu", usock_message_get_length (usock_call_get_body (call)));
  if (g_str_equal (usock_call_get_name (call), "Measure"))
    usock_test_no_error (usock_call_reply (call, NULL, &error));
}

static void
measure_post (UsockPeer    *peer,
              const char   *name,
              UsockMessage *body,
              gpointer      scene)
{
  scene_tell (scene, "%zu", usock_message_get_length (body));
}

static void
flushed_cb (GObject      *channel,
            GAsyncResult *result,
            gpointer      scene)
{
  usock_test_no_error (usock_channel_flush_finish (USOCK_CHANNEL (channel), result, &error));
  scene_tell (scene, "flushed");
  usock_socket_close (USOCK_SOCKET (channel));
}

/* What was accepted leaves before our side ends, and before a flush is done. */
static void
test_large_before_end (UsockTest     *test,
                       gconstpointer  unused)
{
  for (gsize i = 0; i < 6; i++)
    {
      g_autofree char *text = g_strnfill (5 * 1024 * 1024 + 3, 'x');
      g_autoptr (UsockMessage) body = usock_message_new_from_text (text);
      Scene scene;

      scene_start (&scene, i % 2 != 0);
      usock_peer_handle (scene.server, "Measure", measure, &scene, NULL);
      g_signal_connect (scene.server, "posted", G_CALLBACK (measure_post), &scene);
      if (i / 2 == 0)
        usock_test_no_error (usock_peer_post (scene.client, "Measure", body, &error));
      ask (&scene, "Measure", text, -1);
      ask (&scene, "Measure", "small", -1);
      if (i / 2 == 0)
        usock_channel_end (scene.channels[0]);
      else if (i / 2 == 1)
        usock_channel_close_gracefully_async (scene.channels[0], -1, NULL, NULL, NULL);
      else
        usock_channel_flush_async (scene.channels[0], NULL, flushed_cb, &scene);
      usock_test_wait_until (scene.n_told >= (i / 2 == 1 ? 4 : 5));
      g_assert_cmpint (count_words (scene.told->str, "5242883"), ==, i / 2 == 0 ? 2 : 1);
      if (i / 2 < 2)
        g_assert_cmpint (count_words (scene.told->str, "nothing"), ==, 2);
      scene_stop (&scene);
    }
}

static void
test_large (UsockTest     *test,
            gconstpointer  unused)
{
  for (guint stream = 0; stream < 2; stream++)
    {
      gsize size = 5 * 1024 * 1024 + 3;
      g_autofree char *bytes = g_malloc (size);
      g_autoptr (GBytes) whole = NULL;
      g_autoptr (UsockMessage) body = NULL;
      Scene scene;

      memset (bytes, 'x', size);
      whole = g_bytes_new_take (g_steal_pointer (&bytes), size);
      body = usock_message_new_from_bytes (whole);
      scene_start (&scene, stream);
      handle_all (&scene);
      usock_peer_call_async (scene.client, "Echo", body, -1, NULL, called_cb, &scene);
      ask (&scene, "Echo", "small", -1);
      scene_expect (&scene, 2, "small 5242883");

      usock_peer_set_max_body_size (scene.server, 1024 * 1024);
      usock_peer_call_async (scene.client, "Echo", body, -1, NULL, called_cb, &scene);
      scene_expect (&scene, 1, "message-too-large");
      usock_peer_set_max_body_size (scene.server, 8 * 1024 * 1024);
      usock_peer_set_max_body_size (scene.client, 1024 * 1024);
      usock_peer_call_async (scene.client, "Echo", body, -1, NULL, called_cb, &scene);
      scene_expect (&scene, 1, "message-too-large");
      ask (&scene, "Echo", "still there", -1);
      scene_expect (&scene, 1, "still there");
      scene_stop (&scene);
    }
}

static int
make_memfd (gsize size,
            int   seals)
{
  int fd = memfd_create ("test-peer", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  g_assert_cmpint (ftruncate (fd, (off_t) size), ==, 0);
  g_assert_cmpint (pwrite (fd, "hello", 5, 0), ==, 5);
  if (seals != 0)
    g_assert_cmpint (fcntl (fd, F_ADD_SEALS, seals), ==, 0);
  return fd;
}

static void
reply_begin (UsockPeer *peer,
             UsockCall *call,
             gpointer   user_data)
{
  Scene *scene = user_data;
  gsize length;
  const guint8 *data = usock_message_get_data (usock_call_get_body (call), &length);

  scene_tell (scene, "%zu:%.5s", length, (const char *) data);
  g_assert_cmpuint (usock_message_get_n_fds (usock_call_get_body (call)), ==, 0);
  usock_test_no_error (usock_call_reply (call, usock_call_get_body (call), &error));
}

/* It comes as what it is, and goes back as what it came as. Who takes no descriptors is sent the
 * bytes, if the kernel tells; else it refuses. */
static void
test_memfd (UsockTest     *test,
            gconstpointer  unused)
{
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  int fd = make_memfd (40 * 1024 * 1024, seals), open_fd = make_memfd (100, F_SEAL_SHRINK);
  g_autoptr (UsockMessage) body = NULL;
  GError *refusal = NULL;

  usock_test_no_error ((body = usock_message_new_from_memfd (fd, &error)) != NULL);
  g_assert_null (usock_message_new_from_memfd (open_fd, &refusal));
  assert_error_code (refusal, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_null (usock_message_new_from_memfd (-1, &refusal));
  assert_error_code (refusal, G_IO_ERROR_INVALID_ARGUMENT);
  close (fd);
  close (open_fd);

  for (guint stream = 0; stream < 2; stream++)
    {
      Scene scene;

      scene_start (&scene, stream);
      usock_peer_handle (scene.server, "Begin", reply_begin, &scene, NULL);
      usock_channel_set_max_fds (scene.channels[0], 1);
      usock_channel_set_max_fds (scene.channels[1], 1);
      usock_peer_call_async (scene.client, "Begin", body, -1, NULL, called_cb, &scene);
      scene_expect (&scene, 2, "41943040:hello 41943040");

      usock_peer_set_max_body_size (scene.server, 1024);
      usock_peer_call_async (scene.client, "Begin", body, -1, NULL, called_cb, &scene);
      scene_expect (&scene, 1, "message-too-large");
      scene_stop (&scene);
    }
}

static void
test_limits (UsockTest     *test,
             gconstpointer  unused)
{
  g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_call_unref);
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  usock_peer_set_max_incoming_calls (scene.server, 1);
  ask (&scene, "Keep", NULL, -1);
  ask (&scene, "Echo", "refused", -1);
  scene_expect (&scene, 1, "busy");
  g_clear_pointer (&scene.kept, usock_call_unref);
  scene_expect (&scene, 1, "failed");

  usock_peer_set_max_calls (scene.client, 1);
  usock_peer_set_max_queued_calls (scene.client, 1);
  ask (&scene, "Echo", "one", -1);
  ask (&scene, "Echo", "two", -1);
  ask (&scene, "Echo", "three", -1);
  scene_expect (&scene, 3, "would-block one two");

  usock_peer_set_max_held_bytes (scene.server, 4);
  ask (&scene, "Echo", "12345", -1);
  scene_expect (&scene, 1, "busy");
  scene_stop (&scene);
}

static void
note_post (UsockPeer    *peer,
           const char   *name,
           UsockMessage *body,
           Scene        *scene)
{
  scene_tell (scene, "%s", name);
}

/* What waits for no answer takes a place only while it comes in pieces. Without one it can be told to
 * nobody but by closing. */
static void
test_posts_beyond_limit (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autofree guint8 *block = g_malloc0 (1000 * 1000);
  g_autoptr (UsockMessage) large = usock_message_new (block, 1000 * 1000);
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  usock_peer_set_max_incoming_calls (scene.server, 1);
  g_signal_connect (scene.server, "posted", G_CALLBACK (note_post), &scene);
  usock_test_no_error (usock_peer_post (scene.client, "Large", large, &error));
  scene_expect (&scene, 1, "Large");
  ask (&scene, "Keep", NULL, -1);
  usock_test_wait_until (scene.kept != NULL);
  usock_test_no_error (usock_peer_post (scene.client, "Small", NULL, &error));
  scene_expect (&scene, 1, "Small");
  usock_test_no_error (usock_peer_post (scene.client, "Large", large, &error));
  scene_expect (&scene, 1, "broken-pipe");
  scene_stop (&scene);
}

static void
test_closure (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, FALSE);
  usock_peer_handle_with_closure (scene.server, "Echo",
                                  g_cclosure_new (G_CALLBACK (echo), NULL, NULL));
  ask (&scene, "Echo", "closure", -1);
  scene_expect (&scene, 1, "closure");
  scene_stop (&scene);
}

static void
test_handlers (UsockTest     *test,
               gconstpointer  unused)
{
  g_auto (GStrv) names = NULL;
  g_autofree char *joined = NULL;
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  usock_peer_handle (scene.server, "Echo", reply_nothing, NULL, NULL);
  names = usock_peer_list_handlers (scene.server);
  joined = g_strjoinv (" ", names);
  g_assert_cmpstr (joined, ==, "Drop Echo Keep");
  ask (&scene, "Echo", "text", -1);
  scene_expect (&scene, 1, "nothing");
  scene_stop (&scene);
}

/* A handler that calls back, and waits for that. */
static void
call_back (UsockPeer *peer,
           UsockCall *call,
           gpointer   user_data)
{
  Scene *scene = user_data;
  guint before = scene->n_told;

  usock_peer_call_async (peer, "Echo", usock_call_get_body (call), -1, NULL, called_cb, scene);
  usock_test_wait_until (scene->n_told > before);
  usock_test_no_error (usock_call_reply (call, NULL, &error));
}

static void
test_nested (UsockTest     *test,
             gconstpointer  unused)
{
  for (guint stream = 0; stream < 2; stream++)
    {
      Scene scene;

      scene_start (&scene, stream);
      handle_all (&scene);
      usock_peer_handle (scene.server, "Back", call_back, &scene, NULL);
      usock_peer_handle (scene.client, "Echo", echo, NULL, NULL);
      ask (&scene, "Echo", "1", -1);
      ask (&scene, "Back", "2", -1);
      ask (&scene, "Back", "3", -1);
      ask (&scene, "Echo", "4", -1);
      usock_test_wait_until (scene.n_told == 6);
      scene_stop (&scene);
    }
}

static void
close_channel (UsockPeer *peer,
               UsockCall *call,
               gpointer   user_data)
{
  usock_socket_close (USOCK_SOCKET (usock_peer_get_channel (peer)));
}

static void
test_handler_closes (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  usock_peer_handle (scene.server, "Close", close_channel, NULL, NULL);
  ask (&scene, "Echo", "1", -1);
  ask (&scene, "Close", NULL, -1);
  ask (&scene, "Echo", "2", -1);
  usock_test_wait_until (scene.n_told == 3);
  g_assert_true (g_str_has_prefix (scene.told->str, "1 broken-pipe"));
  scene_stop (&scene);
}

static gpointer
drop_in_thread (gpointer call)
{
  usock_call_unref (call);
  return NULL;
}

static void
test_drop_in_thread (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  ask (&scene, "Keep", NULL, -1);
  usock_test_wait_until (scene.kept != NULL);
  g_thread_join (g_thread_new (NULL, drop_in_thread, g_steal_pointer (&scene.kept)));
  scene_expect (&scene, 1, "failed");
  scene_stop (&scene);
}

static gpointer
answer_in_thread (gpointer call)
{
  GError *failure = NULL;

  g_assert_false (usock_call_reply (call, NULL, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  return NULL;
}

static void
test_answer_in_thread (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, FALSE);
  handle_all (&scene);
  ask (&scene, "Keep", NULL, -1);
  usock_test_wait_until (scene.kept != NULL);
  g_thread_join (g_thread_new (NULL, answer_in_thread, scene.kept));
  g_assert_false (usock_call_is_answered (scene.kept));
  usock_test_no_error (usock_call_reply (scene.kept, NULL, &error));
  scene_expect (&scene, 1, "nothing");
  scene_stop (&scene);
}

static void
test_keeps_itself (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;
  gpointer peers[2];

  scene_start (&scene, FALSE);
  handle_all (&scene);
  for (guint i = 0; i < 2; i++)
    {
      peers[i] = i == 0 ? scene.client : scene.server;
      g_object_add_weak_pointer (peers[i], &peers[i]);
    }
  ask (&scene, "Echo", "alive", -1);
  g_object_unref (scene.client);
  g_object_unref (scene.server);
  scene_expect (&scene, 1, "alive");
  for (guint i = 0; i < 2; i++)
    scene_close (scene.channels[i]);
  g_assert_null (peers[0]);
  g_assert_null (peers[1]);
  g_string_free (scene.told, TRUE);
}

/* What waits when the context goes is dropped without a word; the fixture looks for what leaks. */
static void
count_cb (UsockChannel *channel,
          UsockPeer    *peer)
{
  guint *n = g_object_get_data (G_OBJECT (peer), "closes");

  (*n)++;
}

/* What the peer disconnects are its own handlers. */
static void
test_handler_with_peer (UsockTest     *test,
                        gconstpointer  unused)
{
  guint n = 0;
  Scene scene;

  scene_start (&scene, FALSE);
  g_object_set_data (G_OBJECT (scene.client), "closes", &n);
  g_signal_connect (scene.channels[0], "close", G_CALLBACK (count_cb), scene.client);
  usock_socket_close (USOCK_SOCKET (scene.channels[0]));
  usock_test_wait_until (n == 1);
  scene_stop (&scene);
}

static void
test_context_goes (UsockTest     *test,
                   gconstpointer  unused)
{
  GMainContext *context = g_main_context_new ();
  Scene scene;

  g_main_context_push_thread_default (context);
  scene_start (&scene, FALSE);
  handle_all (&scene);
  ask (&scene, "Keep", NULL, 10000);
  usock_test_wait_until (scene.kept != NULL);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);

  g_clear_pointer (&scene.kept, usock_call_unref);
  g_assert_finalize_object (scene.client);
  g_assert_finalize_object (scene.server);
  g_assert_finalize_object (scene.channels[0]);
  g_assert_finalize_object (scene.channels[1]);
  g_assert_cmpuint (scene.n_told, ==, 0);
  g_string_free (scene.told, TRUE);
}

static void
test_not_connected (UsockTest     *test,
                    gconstpointer  unused)
{
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  Scene scene = { .client = usock_peer_new (channel), .told = g_string_new (NULL) };

  ask (&scene, "Echo", NULL, -1);
  scene_expect (&scene, 1, "not-connected");
  g_object_unref (channel);
  g_assert_finalize_object (scene.client);
  g_string_free (scene.told, TRUE);
}

static void
count_done (GObject      *source,
            GAsyncResult *result,
            gpointer      n_done)
{
  ++*(guint *) n_done;
}

/* Of a channel that is new again nothing is kept. */
static void
test_not_connected_any_more (UsockTest     *test,
                             gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "nobody");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  UsockPeer *peer = usock_peer_new (channel);
  guint n_done = 0;

  usock_channel_connect_when_available_async (channel, path, 60 * 1000, cancellable, count_done,
                                              &n_done);
  scene_settle ();
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_CONNECTING);
  g_cancellable_cancel (cancellable);
  usock_test_wait_until (n_done == 1);
  scene_settle ();
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_NEW);
  g_object_unref (channel);
  g_assert_finalize_object (peer);
}

/* Rules. */

typedef struct
{
  const char *rule;
  guint at;
  guint8 byte;
} Breach;

static void
error_cb (UsockSocket  *socket,
          const GError *error,
          Scene        *scene)
{
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
  scene_tell (scene, "%s", error->message);
}

/* A call with a value of the type “s”. */
static const guint8 good_call[]
    = { 1, 1, 3, 0, 40, 0, 0, 0, 9,   0,   0,   0,   0,   0,   0,   0,   3, 0, 0, 0,
        0, 0, 0, 0, 4,  0, 1, 0, 0,   0,   0,   0,   'E', 'c', 'h', 'o', 's', 'h', 'i', 0 };

static const Breach breaches[] = {
  { "“version”", 0, 2 },      { "“type”", 1, 99 },       { "“body-kind”", 2, 9 },
  { "“signature”", 2, 1 },    { "“flags”", 3, 2 },       { "“memfd”", 3, 1 },
  { "“length”", 4, 36 },      { "“length”", 4, 41 },     { "“length”", 7, 1 },
  { "“serial”", 8, 0 },       { "“empty-fields”", 12, 1 }, { "“body-size”", 16, 2 },
  { "“name”", 24, 0 },        { "“length”", 25, 1 },       { "“length”", 26, 200 },
  { "“descriptors”", 27, 254 }, { "“empty-fields”", 28, 1 }, { "“name”", 33, 0xff },
  { "“signature”", 36, '!' }, { "“signature”", 36, '*' }, { "“body”", 39, 'x' },
  { "“body”", 38, 0xff },
};

static void
break_rule_with (const guint8 *frame,
                 gsize         length,
                 const char   *rule)
{
  Scene scene = { .told = g_string_new (NULL) };
  UsockChannel *channel;
  UsockPeer *peer;
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
  usock_test_no_error (
      (channel = USOCK_CHANNEL (usock_seqpacket_new_from_fd (pair[0], &error))) != NULL);
  peer = usock_peer_new (channel);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), &scene);
  usock_peer_handle (peer, "Echo", echo, NULL, NULL);
  g_assert_cmpint (send (pair[1], frame, length, 0), ==, length);
  usock_test_wait_until (scene.n_told == 1);
  if (strstr (scene.told->str, rule) == NULL)
    g_error ("%s: %s", rule, scene.told->str);

  close (pair[1]);
  scene_close (channel);
  g_assert_finalize_object (peer);
  g_string_free (scene.told, TRUE);
}

static void
break_rule (const Breach *breach)
{
  guint8 call[sizeof good_call];

  memcpy (call, good_call, sizeof call);
  call[breach->at] = breach->byte;
  g_test_message ("byte %u as %u", breach->at, breach->byte);
  break_rule_with (call, sizeof call, breach->rule);
}

/* What a frame of each type may not have that a call may. */
static const struct
{
  const char *rule;
  guint8 type;
  guint8 kind;
  guint8 flags;
  guint8 n_fds;
  guint8 size;
  guint8 name_length;
  guint8 body_length;
} strange[] = {
  { "“name”", 2, 2, 0, 0, 1, 1, 1 },         { "“error”", 3, 1, 0, 0, 1, 1, 1 },
  { "“error”", 3, 2, 0, 0, 2, 1, 1 },        { "“error”", 3, 2, 0, 1, 1, 1, 1 },
  { "“body”", 3, 2, 0, 0, 1, 1, 1 },         { "“name”", 4, 0, 0, 0, 0, 1, 0 },
  { "“body-size”", 4, 0, 0, 0, 1, 0, 0 },    { "“body-size”", 4, 0, 0, 0, 1, 0, 1 },
  { "“empty-fields”", 4, 2, 0, 0, 0, 0, 0 }, { "“empty-fields”", 4, 0, 1, 0, 0, 0, 0 },
  { "“empty-fields”", 4, 0, 0, 1, 0, 0, 0 }, { "“name”", 5, 2, 0, 0, 1, 0, 1 },
  { "“body-size”", 6, 0, 0, 0, 0, 0, 0 },    { "“name”", 6, 0, 0, 0, 1, 1, 1 },
  { "“empty-fields”", 7, 1, 0, 0, 1, 0, 1 }, { "“memfd”", 1, 1, 1, 1, 1, 1, 1 },
  { "“memfd”", 1, 1, 1, 1, 0, 1, 0 },        { "“body-size”", 1, 0, 0, 0, 1, 1, 0 },
  { "“body-size”", 1, 1, 0, 0, 0, 1, 1 },
};

static void
test_rules_of_types (UsockTest     *test,
                     gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (strange); i++)
    {
      /* A body is not text. */
      guint8 frame[34] = { 1, strange[i].type, strange[i].kind, strange[i].flags };
      guint8 length = 32 + strange[i].name_length + strange[i].body_length;

      frame[4] = length;
      frame[8] = 9;
      frame[16] = strange[i].size;
      frame[24] = strange[i].name_length;
      frame[27] = strange[i].n_fds;
      frame[32] = 'E';
      frame[length - 1] = strange[i].body_length > 0 ? 0xff : frame[length - 1];
      g_test_message ("%u", i);
      break_rule_with (frame, length, strange[i].rule);
    }
}

static void
test_rules (UsockTest     *test,
            gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (breaches); i++)
    break_rule (&breaches[i]);
}

/* The sender of a post waits for no answer: that it is refused can be told by closing alone. */
static void
test_post_refused (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autofree char *text = g_strnfill (100, 'x');
  g_autoptr (UsockMessage) body = usock_message_new_from_text (text);
  Witness witness;
  Scene scene;

  scene_start (&scene, FALSE);
  witness_init (&witness);
  handle_all (&scene);
  usock_peer_set_max_body_size (scene.server, 10);
  witness_watch (&witness, scene.channels[1], "error close");
  ask (&scene, "Echo", text, -1);
  scene_expect (&scene, 1, "message-too-large");
  usock_test_no_error (usock_peer_post (scene.client, "News", body, &error));
  witness_expect (&witness, "error:message-too-large close");
  scene_stop (&scene);
  witness_clear (&witness);
}

static void
tell_caller (UsockPeer *peer,
             UsockCall *call,
             gpointer   user_data)
{
  g_autoptr (GCredentials) credentials = NULL;

  g_assert_true (usock_call_get_peer (call) == peer);
  usock_test_no_error (credentials = usock_call_get_credentials (call, &error));
  g_assert_cmpint (g_credentials_get_unix_pid (credentials, NULL), ==, getpid ());
  g_assert_cmpint (g_credentials_get_unix_user (credentials, NULL), ==, getuid ());
  echo (peer, call, user_data);
}

/* By the call itself if it tells, else by the connection. */
static void
test_caller (UsockTest     *test,
             gconstpointer  unused)
{
  for (guint i = 0; i < 2; i++)
    {
      Scene scene;

      scene_start (&scene, FALSE);
      usock_channel_set_pass_credentials (scene.channels[1], i);
      usock_peer_handle (scene.server, "Who", tell_caller, NULL, NULL);
      ask (&scene, "Who", "me", -1);
      scene_expect (&scene, 1, "me");
      scene_stop (&scene);
    }
}

/* More than the queue takes waits its turn. */
static void
test_full_queue (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autofree char *text = g_strnfill (30000, 'x');
  g_autoptr (GString) expected = g_string_new (NULL);

  for (guint i = 0; i < 40; i++)
    g_string_append (expected, i == 0 ? "30000" : " 30000");
  for (guint stream = 0; stream < 2; stream++)
    {
      Scene scene;

      scene_start (&scene, stream);
      handle_all (&scene);
      usock_channel_set_queue_limit (scene.channels[0], 100000);
      for (guint i = 0; i < 40; i++)
        ask (&scene, "Echo", text, -1);
      scene_expect (&scene, 40, expected->str);
      scene_stop (&scene);
    }
}

/* A call that waits for room needs no answer to another, only the room. */
static void
test_room_again (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autofree char *text = g_strnfill (30000, 'x');

  for (guint stream = 0; stream < 2; stream++)
    {
      Scene scene;

      scene_start (&scene, stream);
      handle_all (&scene);
      usock_channel_set_queue_limit (scene.channels[0], 50000);
      ask (&scene, "Keep", text, -1);
      ask (&scene, "Echo", text, -1);
      scene_expect (&scene, 1, "30000");
      g_assert_nonnull (scene.kept);
      usock_test_no_error (usock_call_reply (scene.kept, NULL, &error));
      scene_expect (&scene, 1, "nothing");
      scene_stop (&scene);
    }
}

/* Who asks and reads no answer is not waited for. */
static void
test_answers_unread (UsockTest     *test,
                     gconstpointer  unused)
{
  g_autofree guint8 *call = g_malloc0 (10000);
  Witness witness;
  UsockChannel *channel = scene_adopt (test);
  UsockPeer *peer = usock_peer_new (channel);

  memcpy (call, good_call, 36);
  call[2] = 1;
  call[4] = 10000 & 0xff;
  call[5] = 10000 >> 8;
  call[16] = (10000 - 36) & 0xff;
  call[17] = (10000 - 36) >> 8;
  call[26] = 0;
  witness_init (&witness);
  witness_watch (&witness, channel, "error close");
  usock_channel_set_queue_limit (channel, 50000);
  usock_peer_handle (peer, "Echo", echo, NULL, NULL);
  while (witness.n_words < 2)
    {
      if (send (test->pair[1], call, 10000, MSG_DONTWAIT | MSG_NOSIGNAL) == 10000)
        call[8]++;
      call[8] = MAX (call[8], 1);
      g_main_context_iteration (test->context, FALSE);
    }
  witness_assert (&witness, "error:would-block close");

  scene_close (channel);
  g_assert_finalize_object (peer);
  witness_clear (&witness);
}

/* What does not fit into a frame is told to who asks, and nobody else is disturbed. */
static void
test_long_signature (UsockTest     *test,
                     gconstpointer  unused)
{
  g_auto (GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_TUPLE);
  g_autoptr (UsockMessage) body = NULL;
  Scene scene;

  for (guint i = 0; i < 300; i++)
    g_variant_builder_add (&builder, "i", (int) i);
  body = usock_message_new_from_variant (g_variant_builder_end (&builder));
  scene_start (&scene, FALSE);
  handle_all (&scene);
  usock_peer_call_async (scene.client, "Echo", body, -1, NULL, called_cb, &scene);
  scene_expect (&scene, 1, "invalid-argument");
  ask (&scene, "Echo", "still there", -1);
  scene_expect (&scene, 1, "still there");
  scene_stop (&scene);
}

/* One serial is of one call until that is answered. */
static void
test_serial_twice (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene = { .told = g_string_new (NULL) };
  UsockChannel *channel = scene_adopt (test);
  UsockPeer *peer = usock_peer_new (channel);

  g_signal_connect (channel, "error", G_CALLBACK (error_cb), &scene);
  usock_peer_handle (peer, "Echo", keep, &scene, NULL);
  g_assert_cmpint (send (test->pair[1], good_call, sizeof good_call, 0), ==, sizeof good_call);
  usock_test_wait_until (scene.kept != NULL);
  g_assert_cmpint (send (test->pair[1], good_call, sizeof good_call, 0), ==, sizeof good_call);
  usock_test_wait_until (scene.n_told == 1);
  g_assert_nonnull (strstr (scene.told->str, "“serial”"));

  g_clear_pointer (&scene.kept, usock_call_unref);
  scene_close (channel);
  g_assert_finalize_object (peer);
  g_string_free (scene.told, TRUE);
}

/* No packet is longer than a frame may be, whoever reads it. */
static void
test_long_packet (UsockTest     *test,
                  gconstpointer  unused)
{
  const gsize length = 256 * 1024 + 100;
  g_autofree guint8 *packet = g_malloc0 (length);
  const int room = 300000;
  Scene scene = { .told = g_string_new (NULL) };
  UsockChannel *channel = scene_adopt (test);
  UsockPeer *peer = usock_peer_new (channel);

  usock_channel_set_max_fds (channel, 1);
  usock_peer_handle (peer, "Echo", echo, NULL, NULL);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), &scene);
  g_assert_no_errno (setsockopt (test->pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room));
  g_assert_cmpint (send (test->pair[1], packet, length, 0), ==, length);
  usock_test_wait_until (scene.n_told == 1);
  g_assert_nonnull (strstr (scene.told->str, "“length”"));

  scene_close (channel);
  g_assert_finalize_object (peer);
  g_string_free (scene.told, TRUE);
}

/* A file that could shrink while it is read is not looked into. */
static void
test_memfd_open (UsockTest     *test,
                 gconstpointer  unused)
{
  static const guint8 call[] = { 1, 1, 1, 1, 36, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0,
                                 0, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0, 0, 'E', 'c', 'h', 'o' };
  const int seals[] = { 0, F_SEAL_GROW | F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW };

  for (guint i = 0; i < G_N_ELEMENTS (seals) + 1; i++)
    {
      g_autoptr (UsockMessage) message = usock_message_new (call, sizeof call);
      int fd = i < G_N_ELEMENTS (seals)
                   ? make_memfd (100, seals[i])
                   : make_memfd (99, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
      Scene scene;

      scene_start (&scene, FALSE);
      handle_all (&scene);
      usock_channel_set_max_fds (scene.channels[1], 1);
      g_signal_connect (scene.channels[1], "error", G_CALLBACK (error_cb), &scene);
      usock_test_no_error (usock_message_append_fd_owned (message, fd, &error));
      usock_test_no_error (usock_channel_send_message (scene.channels[0], message, &error));
      usock_test_wait_until (scene.n_told == 1);
      g_assert_nonnull (strstr (scene.told->str, "“body”"));
      scene_stop (&scene);
    }
}

/* Neither it nor its end disturbs the first. */
static void
test_another (UsockTest     *test,
              gconstpointer  unused)
{
  for (guint stream = 0; stream < 2; stream++)
    {
      Scene scene;
      UsockPeer *another;
      GError *refusal = NULL;

      scene_start (&scene, stream);
      handle_all (&scene);
      another = usock_peer_new (scene.channels[0]);
      usock_peer_handle (another, "Echo", echo, NULL, NULL);
      g_assert_null (usock_peer_get_channel (another));
      g_assert_false (usock_peer_post (another, "Echo", NULL, &refusal));
      g_assert_error (refusal, G_IO_ERROR, G_IO_ERROR_EXISTS);
      g_clear_error (&refusal);
      ask (&scene, "Echo", "one", -1);
      scene_expect (&scene, 1, "one");
      g_assert_finalize_object (another);
      ask (&scene, "Echo", "two", -1);
      scene_expect (&scene, 1, "two");
      scene_stop (&scene);
    }
}

static void
test_misuse (UsockTest     *test,
             gconstpointer  unused)
{
  Scene scene = { .told = g_string_new (NULL) };

  scene.client = g_object_new (USOCK_TYPE_PEER, NULL);
  ask (&scene, "Echo", NULL, -1);
  scene_expect (&scene, 1, "not-supported");
  g_assert_null (usock_peer_get_channel (scene.client));
  usock_peer_handle (scene.client, "Echo", echo, NULL, NULL);
  usock_peer_unhandle (scene.client, "Echo");
  g_assert_finalize_object (scene.client);
  g_string_free (scene.told, TRUE);
}

static void
test_properties (UsockTest     *test,
                 gconstpointer  unused)
{
  Scene scene;
  guint calls, queued, incoming;
  guint64 body, held;

  scene_start (&scene, FALSE);
  g_object_set (scene.client, "max-calls", 3, "max-queued-calls", 4, "max-incoming-calls", 5,
                "max-body-size", G_GUINT64_CONSTANT (6), "max-held-bytes", G_GUINT64_CONSTANT (7),
                NULL);
  g_object_get (scene.client, "max-calls", &calls, "max-queued-calls", &queued,
                "max-incoming-calls", &incoming, "max-body-size", &body, "max-held-bytes", &held,
                NULL);
  g_assert_cmpuint (calls, ==, 3);
  g_assert_cmpuint (queued, ==, 4);
  g_assert_cmpuint (incoming, ==, 5);
  g_assert_cmpuint (body, ==, 6);
  g_assert_cmpuint (held, ==, 7);
  g_assert_true (usock_peer_get_channel (scene.client) == scene.channels[0]);
  scene_stop (&scene);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/peer/echo", test_echo);
  usock_test_add ("/usock/peer/variant", test_variant);
  usock_test_add ("/usock/peer/call-variant", test_call_variant);
  usock_test_add ("/usock/peer/errors", test_errors);
  usock_test_add ("/usock/peer/unhandled", test_unhandled);
  usock_test_add ("/usock/peer/signal-late", test_signal_late);
  usock_test_add ("/usock/peer/post", test_post);
  usock_test_add ("/usock/peer/post-and-close", test_post_and_close);
  usock_test_add ("/usock/peer/answer-later", test_answer_later);
  usock_test_add ("/usock/peer/timeout", test_timeout);
  usock_test_add ("/usock/peer/cancel", test_cancel);
  usock_test_add ("/usock/peer/peer-goes", test_peer_goes);
  usock_test_add ("/usock/peer/half-open", test_half_open);
  usock_test_add ("/usock/peer/descriptors", test_descriptors);
  usock_test_add ("/usock/peer/large", test_large);
  usock_test_add ("/usock/peer/large-before-end", test_large_before_end);
  usock_test_add ("/usock/peer/memfd", test_memfd);
  usock_test_add ("/usock/peer/memfd-open", test_memfd_open);
  usock_test_add ("/usock/peer/limits", test_limits);
  usock_test_add ("/usock/peer/posts-beyond-limit", test_posts_beyond_limit);
  usock_test_add ("/usock/peer/handlers", test_handlers);
  usock_test_add ("/usock/peer/closure", test_closure);
  usock_test_add ("/usock/peer/nested", test_nested);
  usock_test_add ("/usock/peer/handler-closes", test_handler_closes);
  usock_test_add ("/usock/peer/answer-in-thread", test_answer_in_thread);
  usock_test_add ("/usock/peer/drop-in-thread", test_drop_in_thread);
  usock_test_add ("/usock/peer/keeps-itself", test_keeps_itself);
  usock_test_add ("/usock/peer/handler-with-peer", test_handler_with_peer);
  usock_test_add ("/usock/peer/context-goes", test_context_goes);
  usock_test_add ("/usock/peer/not-connected-any-more", test_not_connected_any_more);
  usock_test_add ("/usock/peer/not-connected", test_not_connected);
  usock_test_add ("/usock/peer/rules", test_rules);
  usock_test_add ("/usock/peer/rules-of-types", test_rules_of_types);
  usock_test_add ("/usock/peer/long-packet", test_long_packet);
  usock_test_add ("/usock/peer/caller", test_caller);
  usock_test_add ("/usock/peer/full-queue", test_full_queue);
  usock_test_add ("/usock/peer/room-again", test_room_again);
  usock_test_add ("/usock/peer/answers-unread", test_answers_unread);
  usock_test_add ("/usock/peer/post-refused", test_post_refused);
  usock_test_add ("/usock/peer/long-signature", test_long_signature);
  usock_test_add ("/usock/peer/serial-twice", test_serial_twice);
  usock_test_add ("/usock/peer/another", test_another);
  usock_test_add ("/usock/peer/misuse", test_misuse);
  usock_test_add ("/usock/peer/properties", test_properties);

  return g_test_run ();
}
