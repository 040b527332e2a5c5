/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-pending-private.h"
#include "usock-test.h"

typedef struct
{
  UsockPending pending;
  GObject *source;
  GString *log;
  UsockOperation *added; /* by the next callback */
  GPtrArray *calls; /* of Call */
} Scene;

typedef struct
{
  Scene *scene;
  const char *name;
} Call;

static void
done_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  Call *call = user_data;
  g_autoptr (GError) error = NULL;
  Scene *scene = call->scene;
  UsockOperation *added = g_steal_pointer (&scene->added);

  usock_operation_propagate (result, source, done_cb, NULL, &error);
  g_string_append_printf (scene->log, "%s:%s ", call->name,
                          error == NULL ? "ok" : error->message);
  if (added != NULL)
    usock_pending_succeed (&scene->pending, added, NULL, NULL);
}

static UsockOperation *
make_call (Scene        *scene,
           const char   *name,
           GCancellable *cancellable)
{
  Call *call = g_new (Call, 1);
  UsockOperation *operation;

  *call = (Call) { scene, name };
  g_ptr_array_add (scene->calls, call);
  operation = usock_operation_new (scene->source, done_cb, done_cb, call);
  usock_operation_set_cancellable (operation, cancellable, G_CALLBACK (g_object_get_type));
  return operation;
}

static void
scene_start (Scene *scene)
{
  *scene = (Scene) { .source = g_object_new (G_TYPE_OBJECT, NULL), .log = g_string_new (NULL) };
  scene->calls = g_ptr_array_new_with_free_func (g_free);
}

static void
scene_stop (Scene *scene)
{
  usock_pending_clear (&scene->pending);
  g_string_free (scene->log, TRUE);
  g_ptr_array_unref (scene->calls);
  g_assert_finalize_object (scene->source);
}

static void
expect (Scene      *scene,
        const char *log)
{
  usock_pending_run (&scene->pending);
  g_assert_cmpstr (scene->log->str, ==, log);
  g_string_truncate (scene->log, 0);
}

static GError *
make_error (const char *text)
{
  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, text);
}

static void
count_cb (UsockOperation *operation,
          gpointer        n)
{
  (*(guint *) n)++;
}

static void
test_order (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene);
  usock_pending_succeed (&scene.pending, make_call (&scene, "first", NULL), NULL, NULL);
  usock_pending_fail (&scene.pending, make_call (&scene, "second", NULL), make_error ("bad"));
  scene.added = make_call (&scene, "added", NULL);
  usock_pending_succeed (&scene.pending, make_call (&scene, "third", NULL), NULL, NULL);
  expect (&scene, "first:ok second:bad third:ok added:ok ");
  expect (&scene, "");
  scene_stop (&scene);
}

/* Whatever was decided before the connection was made. */
static void
test_connecting (UsockTest *test, gconstpointer data)
{
  g_autoptr (GError) error = make_error ("gone");
  Scene scene;

  scene_start (&scene);
  usock_pending_connected (&scene.pending);
  scene.pending.connecting = make_call (&scene, "connect", NULL);
  usock_pending_succeed (&scene.pending, make_call (&scene, "send", NULL), NULL, NULL);
  usock_pending_connected (&scene.pending);
  g_assert_null (scene.pending.connecting);
  expect (&scene, "connect:ok send:ok ");

  scene.pending.connecting = make_call (&scene, "connect", NULL);
  usock_pending_succeed (&scene.pending, make_call (&scene, "send", NULL), NULL, NULL);
  usock_pending_end_all (&scene.pending, error);
  expect (&scene, "connect:gone send:ok ");
  scene_stop (&scene);
}

static void
wait_all (Scene *scene)
{
  UsockPending *pending = &scene->pending;

  usock_pending_push (&pending->receivers, make_call (scene, "receive-1", NULL));
  usock_pending_push (&pending->receivers, make_call (scene, "receive-2", NULL));
  usock_pending_push (&pending->enders, make_call (scene, "end", NULL));
  pending->closer = make_call (scene, "close", NULL);
}

static void
test_ends (UsockTest *test, gconstpointer data)
{
  g_autoptr (GError) error = make_error ("gone");
  Scene scene;

  scene_start (&scene);
  wait_all (&scene);
  usock_pending_end_receivers (&scene.pending);
  expect (&scene, "receive-1:ok receive-2:ok ");
  usock_pending_end_enders (&scene.pending, NULL);
  usock_pending_end_closer (&scene.pending, NULL);
  usock_pending_end_closer (&scene.pending, NULL);
  expect (&scene, "end:ok close:ok ");

  wait_all (&scene);
  usock_pending_end_all (&scene.pending, error);
  g_assert_nonnull (scene.pending.closer);
  usock_pending_end_closer (&scene.pending, error);
  expect (&scene, "end:gone receive-1:gone receive-2:gone close:gone ");

  wait_all (&scene);
  scene.pending.connecting = make_call (&scene, "connect", NULL);
  usock_pending_succeed (&scene.pending, make_call (&scene, "send", NULL), NULL, NULL);
  usock_pending_clear (&scene.pending);
  expect (&scene, "");
  scene_stop (&scene);
}

/* What was decided before there was a connection is told before it, and can be told without it. */
static void
test_earlier (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene);
  for (guint i = 0; i < 2; i++)
    {
      usock_pending_succeed (&scene.pending, make_call (&scene, "a", NULL), NULL, NULL);
      usock_pending_succeed (&scene.pending, make_call (&scene, "b", NULL), NULL, NULL);
      scene.pending.n_earlier = 2;
      usock_pending_succeed (&scene.pending, make_call (&scene, "send", NULL), NULL, NULL);
      scene.pending.connecting = make_call (&scene, "connect", NULL);
      usock_pending_connected (&scene.pending);
      if (i == 0)
        {
          usock_pending_run_earlier (&scene.pending);
          g_assert_cmpstr (scene.log->str, ==, "a:ok b:ok ");
        }
      expect (&scene, "a:ok b:ok connect:ok send:ok ");
      g_assert_cmpuint (scene.pending.n_earlier, ==, 0);
    }

  usock_pending_succeed (&scene.pending, make_call (&scene, "a", NULL), NULL, NULL);
  scene.pending.n_earlier = 1;
  usock_pending_clear (&scene.pending);
  usock_pending_run_earlier (&scene.pending);
  expect (&scene, "");
  scene_stop (&scene);
}

static void
test_receivers (UsockTest *test, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  UsockOperation *last;
  guint n = 0;
  Scene scene;

  scene_start (&scene);
  g_assert_null (usock_pending_get_receiver (&scene.pending, count_cb, &n));
  usock_pending_push (&scene.pending.receivers, make_call (&scene, "first", cancellable));
  last = make_call (&scene, "last", NULL);
  usock_pending_push (&scene.pending.receivers, last);
  g_cancellable_cancel (cancellable);
  g_assert_true (usock_pending_get_receiver (&scene.pending, count_cb, &n) == last);
  g_assert_cmpuint (n, ==, 1);
  g_assert_true (usock_pending_pop (&scene.pending.receivers) == last);
  usock_pending_succeed (&scene.pending, last, NULL, NULL);
  expect (&scene, "first:The operation was cancelled last:ok ");
  scene_stop (&scene);
}

static void
test_sweep (UsockTest *test, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  guint n = 0;
  Scene scene;

  scene_start (&scene);
  wait_all (&scene);
  usock_pending_sweep (&scene.pending, count_cb, &n);
  expect (&scene, "");
  g_assert_cmpuint (n, ==, 0);

  usock_pending_push (&scene.pending.receivers, make_call (&scene, "r", cancellable));
  usock_pending_push (&scene.pending.enders, make_call (&scene, "e", cancellable));
  g_clear_object (&scene.pending.closer);
  scene.pending.closer = make_call (&scene, "c", cancellable);
  g_cancellable_cancel (cancellable);
  usock_pending_sweep (&scene.pending, count_cb, &n);
  g_assert_cmpuint (n, ==, 1);
  g_assert_null (scene.pending.closer);
  g_assert_cmpuint (scene.pending.receivers.length, ==, 2);
  g_assert_cmpuint (scene.pending.enders.length, ==, 1);
  expect (&scene, "r:The operation was cancelled e:The operation was cancelled "
                  "c:The operation was cancelled ");
  scene_stop (&scene);
}

static void
expect_waiting (Scene *scene)
{
  g_autoptr (GError) error = make_error ("gone");

  g_assert_true (usock_pending_waits (&scene->pending));
  usock_pending_end_all (&scene->pending, error);
  usock_pending_end_closer (&scene->pending, error);
  g_assert_false (usock_pending_waits (&scene->pending));
  expect (scene, "call:gone ");
}

/* One call of each kind, and one that was decided and not told. */
static void
test_waits (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene);
  g_assert_false (usock_pending_waits (&scene.pending));
  usock_pending_push (&scene.pending.receivers, make_call (&scene, "call", NULL));
  expect_waiting (&scene);
  usock_pending_push (&scene.pending.enders, make_call (&scene, "call", NULL));
  expect_waiting (&scene);
  scene.pending.connecting = make_call (&scene, "call", NULL);
  expect_waiting (&scene);
  scene.pending.closer = make_call (&scene, "call", NULL);
  expect_waiting (&scene);

  usock_pending_succeed (&scene.pending, make_call (&scene, "call", NULL), NULL, NULL);
  g_assert_false (usock_pending_waits (&scene.pending));
  expect (&scene, "call:ok ");
  scene_stop (&scene);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/pending/order", test_order);
  usock_test_add ("/usock/pending/connecting", test_connecting);
  usock_test_add ("/usock/pending/earlier", test_earlier);
  usock_test_add ("/usock/pending/ends", test_ends);
  usock_test_add ("/usock/pending/receivers", test_receivers);
  usock_test_add ("/usock/pending/sweep", test_sweep);
  usock_test_add ("/usock/pending/waits", test_waits);

  return g_test_run ();
}
