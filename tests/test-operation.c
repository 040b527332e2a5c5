/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-operation-private.h"

#include <string.h>

static guint n_freed;

static void
count_free (gpointer data)
{
  n_freed++;
  g_free (data);
}

typedef struct
{
  GObject *source;
  guint n_called;
  gpointer value;
  GError *error;
  gboolean done;
} Outcome;

static void
outcome_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Outcome *self = user_data;
  g_autoptr (GObject) named = g_async_result_get_source_object (result);

  g_assert_true (source == self->source);
  g_assert_true (named == source);
  g_assert_true (g_async_result_get_user_data (result) == self);
  g_assert_true (g_async_result_is_tagged (result, outcome_cb));
  g_assert_false (g_async_result_is_tagged (result, self));
  self->n_called++;
  self->done = usock_operation_propagate (result, source, outcome_cb, &self->value, &self->error);
}

static void
test_pointer (UsockTest *test, gconstpointer data)
{
  g_autoptr (GObject) source = g_object_new (G_TYPE_OBJECT, NULL);
  Outcome outcome = { source };
  UsockOperation *operation = usock_operation_new (source, outcome_cb, outcome_cb, &outcome);

  n_freed = 0;
  usock_operation_return_pointer (operation, g_strdup ("x"), count_free);
  g_assert_cmpuint (outcome.n_called, ==, 0);
  usock_operation_complete (operation);
  g_assert_cmpuint (outcome.n_called, ==, 1);
  g_assert_true (outcome.done);
  g_assert_cmpstr (outcome.value, ==, "x");
  usock_operation_complete (operation);
  g_assert_cmpuint (outcome.n_called, ==, 1);

  g_object_unref (operation);
  g_assert_cmpuint (n_freed, ==, 0);
  g_free (outcome.value);
}

static void
test_error (UsockTest *test, gconstpointer data)
{
  g_autoptr (GObject) source = g_object_new (G_TYPE_OBJECT, NULL);
  Outcome outcome = { source };
  g_autoptr (UsockOperation) operation
      = usock_operation_new (source, outcome_cb, outcome_cb, &outcome);

  usock_operation_return_error (operation, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "x"));
  usock_operation_complete (operation);
  g_assert_false (outcome.done);
  g_assert_null (outcome.value);
  g_assert_error (outcome.error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_clear_error (&outcome.error);

  /* Whoever asks twice is not told that all is well. */
  g_assert_false (usock_operation_propagate (G_ASYNC_RESULT (operation), source, outcome_cb, NULL,
                                             &outcome.error));
  g_assert_error (outcome.error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_clear_error (&outcome.error);
}

/* Nobody calls finish, or nobody listens at all. */
static void
test_unclaimed (UsockTest *test, gconstpointer data)
{
  GObject *source = g_object_new (G_TYPE_OBJECT, NULL);
  UsockOperation *with_value = usock_operation_new (source, NULL, NULL, NULL);
  UsockOperation *with_error = usock_operation_new (source, NULL, NULL, NULL);
  UsockOperation *undecided = usock_operation_new (source, NULL, NULL, NULL);

  n_freed = 0;
  usock_operation_return_pointer (with_value, g_strdup ("x"), count_free);
  usock_operation_complete (with_value);
  usock_operation_return_error (with_error, g_error_new_literal (G_IO_ERROR, 0, "x"));
  usock_operation_complete (with_error);
  g_object_unref (with_value);
  g_object_unref (with_error);
  g_assert_cmpuint (n_freed, ==, 1);

  g_object_add_weak_pointer (source, (gpointer *) &source);
  g_object_unref (source);
  g_assert_nonnull (source);
  g_object_unref (undecided);
  g_assert_null (source);
}

static void
test_wrong_finish (UsockTest *test, gconstpointer data)
{
  g_autoptr (GObject) source = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr (GObject) other = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr (UsockOperation) operation = usock_operation_new (source, test_pointer, NULL, NULL);
  gpointer value = source;

  usock_operation_return_pointer (operation, NULL, NULL);

  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*source == source*");
  g_assert_false (
      usock_operation_propagate (G_ASYNC_RESULT (operation), other, test_pointer, &value, NULL));
  g_assert_null (value);
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*tag == tag*");
  g_assert_false (
      usock_operation_propagate (G_ASYNC_RESULT (operation), source, test_error, NULL, NULL));
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*USOCK_IS_OPERATION*");
  g_assert_false (usock_operation_propagate ((gpointer) other, source, test_error, NULL, NULL));
  g_test_assert_expected_messages ();

  g_assert_true (
      usock_operation_propagate (G_ASYNC_RESULT (operation), source, test_pointer, NULL, NULL));
}

static void
cancelled_cb (GCancellable *cancellable, GObject *source)
{
  guint *n = g_object_get_data (source, "n");

  (*n)++;
}

static void
test_cancellable (UsockTest *test, gconstpointer data)
{
  guint n_cancelled = 0;
  g_autoptr (GObject) source = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (UsockOperation) waiting = usock_operation_new (source, NULL, NULL, NULL);
  g_autoptr (UsockOperation) decided = usock_operation_new (source, NULL, NULL, NULL);
  g_autoptr (UsockOperation) late = usock_operation_new (source, NULL, NULL, NULL);
  g_autoptr (UsockOperation) without = usock_operation_new (source, NULL, NULL, NULL);
  UsockOperation *dropped = usock_operation_new (source, NULL, NULL, NULL);

  g_object_set_data (source, "n", &n_cancelled);
  usock_operation_set_cancellable (without, NULL, G_CALLBACK (cancelled_cb));
  g_assert_false (usock_operation_is_cancelled (without));

  usock_operation_set_cancellable (waiting, cancellable, G_CALLBACK (cancelled_cb));
  usock_operation_set_cancellable (decided, cancellable, G_CALLBACK (cancelled_cb));
  usock_operation_set_cancellable (dropped, cancellable, G_CALLBACK (cancelled_cb));
  g_assert_false (usock_operation_is_cancelled (waiting));

  /* Neither what is decided nor what is gone hears of it any more. */
  usock_operation_return_pointer (decided, NULL, NULL);
  g_object_unref (dropped);
  g_cancellable_cancel (cancellable);
  g_assert_cmpuint (n_cancelled, ==, 1);
  g_assert_true (usock_operation_is_cancelled (waiting));
  g_assert_false (usock_operation_is_cancelled (decided));

  usock_operation_set_cancellable (late, cancellable, G_CALLBACK (cancelled_cb));
  g_assert_cmpuint (n_cancelled, ==, 2);
  g_assert_true (usock_operation_is_cancelled (late));

  g_assert_cmpuint (G_OBJECT (cancellable)->ref_count, ==, 3);
}

static void
decide_cb (GCancellable *cancellable, UsockOperation **operations)
{
  usock_operation_return_pointer (operations[0], NULL, NULL);
  usock_operation_return_pointer (operations[1], NULL, NULL);
}

/* What else the cancellable calls may decide operations: before them, or after. */
static void
test_cancelled_decides (UsockTest *test, gconstpointer data)
{
  guint n_cancelled = 0;
  g_autoptr (GObject) source = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (UsockOperation) before = usock_operation_new (source, NULL, NULL, NULL);
  g_autoptr (UsockOperation) after = usock_operation_new (source, NULL, NULL, NULL);
  UsockOperation *operations[] = { before, after };

  g_object_set_data (source, "n", &n_cancelled);
  usock_operation_set_cancellable (before, cancellable, G_CALLBACK (cancelled_cb));
  g_cancellable_connect (cancellable, G_CALLBACK (decide_cb), operations, NULL);
  usock_operation_set_cancellable (after, cancellable, G_CALLBACK (cancelled_cb));
  g_cancellable_cancel (cancellable);

  g_assert_true (usock_operation_is_decided (before));
  g_assert_true (usock_operation_is_decided (after));
  g_assert_cmpuint (n_cancelled, ==, 1);
  g_assert_cmpuint (G_OBJECT (cancellable)->ref_count, ==, 1);
}

typedef struct
{
  gint entered;
  gint decided;
} Slow;

static void
slow_cb (GCancellable *cancellable, Slow *slow)
{
  gint64 deadline = usock_test_deadline ();

  g_atomic_int_set (&slow->entered, TRUE);
  while (!g_atomic_int_get (&slow->decided))
    g_assert_cmpint (g_get_monotonic_time (), <, deadline);
}

static gpointer
cancel_in_thread (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* A handler of somebody else, in another thread, stops nobody here. */
static void
test_cancelled_slow (UsockTest *test, gconstpointer data)
{
  g_autoptr (GObject) source = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  UsockOperation *operation = usock_operation_new (source, NULL, NULL, NULL);
  Slow slow = { 0 };
  GThread *thread;

  g_cancellable_connect (cancellable, G_CALLBACK (slow_cb), &slow, NULL);
  usock_operation_set_cancellable (operation, cancellable, G_CALLBACK (cancelled_cb));
  thread = g_thread_new ("cancel", cancel_in_thread, cancellable);
  while (!g_atomic_int_get (&slow.entered))
    g_thread_yield ();
  usock_operation_return_pointer (operation, NULL, NULL);
  g_object_unref (operation);
  g_atomic_int_set (&slow.decided, TRUE);
  g_thread_join (thread);
}

/* Who would be woken may be gone, or go right now. */
static void
test_cancelled_gone (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < 500; i++)
    {
      guint n_cancelled = 0;
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      GObject *source = g_object_new (G_TYPE_OBJECT, NULL);
      UsockOperation *operation = usock_operation_new (source, NULL, NULL, NULL);
      GThread *thread;

      g_object_set_data (source, "n", &n_cancelled);
      usock_operation_set_cancellable (operation, cancellable, G_CALLBACK (cancelled_cb));
      g_object_unref (source);
      thread = g_thread_new ("cancel", cancel_in_thread, cancellable);
      g_object_unref (operation);
      g_thread_join (thread);
      g_assert_cmpuint (n_cancelled, <=, 1);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/operation/pointer", test_pointer);
  usock_test_add ("/usock/operation/error", test_error);
  usock_test_add ("/usock/operation/unclaimed", test_unclaimed);
  usock_test_add ("/usock/operation/wrong-finish", test_wrong_finish);
  usock_test_add ("/usock/operation/cancellable", test_cancellable);
  usock_test_add ("/usock/operation/cancelled-decides", test_cancelled_decides);
  usock_test_add ("/usock/operation/cancelled-slow", test_cancelled_slow);
  usock_test_add ("/usock/operation/cancelled-gone", test_cancelled_gone);

  return g_test_run ();
}
