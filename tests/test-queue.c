/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-queue-private.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The queue's own view of its contents must add up at all times. */
static void
assert_cost (UsockQueue *queue)
{
  guint64 cost = 0;

  for (guint i = 0; i < queue->length; i++)
    cost += usock_queue_peek (queue, i)->cost;
  g_assert_cmpuint (queue->cost, ==, cost);
  g_assert_null (usock_queue_peek (queue, queue->length));
}

static void
push_number (UsockQueue *queue, guint number)
{
  usock_queue_push (queue, usock_message_new ((guint8 *) &number, sizeof number), NULL);
}

static guint
get_number (const UsockQueueItem *item)
{
  guint number;
  gsize length;
  const guint8 *data = usock_message_get_data (item->message, &length);

  g_assert_cmpuint (length, ==, sizeof number);
  memcpy (&number, data, sizeof number);
  return number;
}

static guint
pop_number (UsockQueue *queue)
{
  UsockQueueItem item;
  guint number;

  g_assert_true (usock_queue_pop (queue, &item));
  number = get_number (&item);
  usock_queue_item_clear (&item);
  return number;
}

static void
test_empty (UsockTest *test, gconstpointer data)
{
  UsockQueue queue = { 0 };
  UsockQueueItem item;

  g_assert_null (usock_queue_peek (&queue, 0));
  g_assert_false (usock_queue_pop (&queue, &item));
  usock_queue_clear (&queue);
}

static void
test_cost (UsockTest *test, gconstpointer data)
{
  UsockQueue queue = { 0 };
  UsockMessage *message = usock_message_new_from_text ("abc");
  UsockQueueItem item;
  guint64 cost = 3 + 3 * USOCK_QUEUE_OVERHEAD;

  g_assert_cmpuint (usock_queue_message_cost (0, 0), ==, USOCK_QUEUE_OVERHEAD);
  g_assert_cmpuint (usock_queue_message_cost (G_MAXUINT32, 253), ==,
                    G_MAXUINT32 + G_GUINT64_CONSTANT (254) * USOCK_QUEUE_OVERHEAD);

  usock_test_no_error (usock_message_append_fd (message, STDERR_FILENO, &error));
  usock_test_no_error (usock_message_append_fd (message, STDERR_FILENO, &error));
  usock_queue_push (&queue, message, NULL);
  g_assert_cmpuint (queue.cost, ==, cost);

  /* A mark weighs nothing. */
  usock_queue_push (&queue, NULL, NULL);
  g_assert_cmpuint (queue.cost, ==, cost);

  /* What it weighed when it came is what it weighs when it goes. */
  close (usock_message_take_fd (message, 0, NULL));
  g_assert_true (usock_queue_pop (&queue, &item));
  g_assert_cmpuint (queue.cost, ==, 0);
  g_assert_true (item.message == message);
  usock_queue_item_clear (&item);
  g_assert_true (usock_queue_pop (&queue, &item));
  g_assert_null (item.message);
  g_assert_false (usock_queue_pop (&queue, &item));
  usock_queue_clear (&queue);
}

/* With the head anywhere in the ring when it has to grow. */
static void
test_growth (UsockTest *test, gconstpointer data)
{
  for (guint offset = 0; offset < 40; offset++)
    {
      UsockQueue queue = { 0 };
      guint pushed = 0, popped = 0;

      while (pushed < offset)
        {
          push_number (&queue, pushed++);
          g_assert_cmpuint (pop_number (&queue), ==, popped++);
        }
      while (pushed < offset + 200)
        push_number (&queue, pushed++);

      g_assert_cmpuint (queue.length, ==, 200);
      assert_cost (&queue);
      for (guint i = 0; i < 200; i++)
        g_assert_cmpuint (get_number (usock_queue_peek (&queue, i)), ==, offset + i);
      while (popped < pushed)
        g_assert_cmpuint (pop_number (&queue), ==, popped++);
      g_assert_cmpuint (queue.cost, ==, 0);
      usock_queue_clear (&queue);
    }
}

/* What comes first may come last, with the head anywhere in the ring, and that full or not. */
static void
test_push_front (UsockTest *test, gconstpointer data)
{
  for (guint offset = 0; offset < 10; offset++)
    for (guint length = 0; length < 20; length++)
      {
        UsockQueue queue = { 0 };
        guint first = 100;

        for (guint i = 0; i < offset; i++)
          push_number (&queue, i);
        for (guint i = 0; i < offset; i++)
          pop_number (&queue);
        push_number (&queue, first);
        for (guint i = 0; i < length; i++)
          {
            first--;
            usock_queue_push_front (&queue, usock_message_new ((guint8 *) &first, sizeof first));
            g_assert_cmpuint (get_number (usock_queue_peek (&queue, 0)), ==, first);
            assert_cost (&queue);
          }
        g_assert_cmpuint (queue.length, ==, length + 1);
        for (guint i = 0; i <= length; i++)
          g_assert_cmpuint (pop_number (&queue), ==, first + i);
        g_assert_cmpuint (queue.cost, ==, 0);
        usock_queue_clear (&queue);
      }
}

/* What is sent weighs no more, and is not sent again. */
static void
test_advance (UsockTest *test, gconstpointer data)
{
  UsockQueue queue = { 0 };
  UsockQueueItem item;

  usock_queue_push (&queue, usock_message_new_from_text ("abcdef"), NULL);
  usock_queue_push (&queue, usock_message_new_from_text ("gh"), NULL);
  for (guint i = 1; i <= 3; i++)
    {
      usock_queue_advance (&queue, 2);
      g_assert_cmpuint (usock_queue_peek (&queue, 0)->sent, ==, 2 * i);
      g_assert_cmpuint (queue.cost, ==, 8 - 2 * i + 2 * USOCK_QUEUE_OVERHEAD);
      assert_cost (&queue);
    }
  g_assert_true (usock_queue_pop (&queue, &item));
  usock_queue_item_clear (&item);
  g_assert_cmpuint (queue.cost, ==, 2 + USOCK_QUEUE_OVERHEAD);
  g_assert_cmpuint (usock_queue_peek (&queue, 0)->sent, ==, 0);
  usock_queue_clear (&queue);
}

static void
test_random (UsockTest *test, gconstpointer data)
{
  UsockQueue queue = { 0 };
  guint pushed = 0, popped = 0;

  for (guint i = 0; i < 20000; i++)
    {
      for (guint n = g_test_rand_int_range (0, 8); n > 0; n--)
        push_number (&queue, pushed++);
      for (guint n = g_test_rand_int_range (0, 8); n > 0 && popped < pushed; n--)
        g_assert_cmpuint (pop_number (&queue), ==, popped++);
      g_assert_cmpuint (queue.length, ==, pushed - popped);
    }
  assert_cost (&queue);
  usock_queue_clear (&queue);
  g_assert_cmpuint (queue.length, ==, 0);
}

/* There may be ten thousand idle sockets that were busy once. */
static void
test_memory (UsockTest *test, gconstpointer data)
{
  UsockQueue queue = { 0 };

  for (guint i = 0; i < 1000; i++)
    push_number (&queue, i);
  for (guint i = 0; i < 1000; i++)
    pop_number (&queue);
  g_assert_cmpuint (queue.capacity, <=, 64);
  usock_queue_clear (&queue);
}

static gboolean
remove_listed (const UsockQueueItem *item, gpointer user_data)
{
  GHashTable *listed = user_data;

  if (!g_hash_table_contains (listed, GUINT_TO_POINTER (get_number (item))))
    return FALSE;

  usock_message_unref (item->message);
  return TRUE;
}

static void
test_filter (UsockTest *test, gconstpointer data)
{
  for (guint round = 0; round < 200; round++)
    {
      g_autoptr (GHashTable) listed = g_hash_table_new (NULL, NULL);
      UsockQueue queue = { 0 };
      guint n = g_test_rand_int_range (0, 100);
      guint first = g_test_rand_int_range (0, 10);

      for (guint i = 0; i < first; i++)
        {
          push_number (&queue, i);
          pop_number (&queue);
        }
      for (guint i = 0; i < n; i++)
        {
          push_number (&queue, i);
          if (g_test_rand_int_range (0, 3) == 0)
            g_hash_table_add (listed, GUINT_TO_POINTER (i));
        }

      usock_queue_filter (&queue, remove_listed, listed);
      g_assert_cmpuint (queue.length, ==, n - g_hash_table_size (listed));
      assert_cost (&queue);
      push_number (&queue, n);
      for (guint i = 0; i <= n; i++)
        if (!g_hash_table_contains (listed, GUINT_TO_POINTER (i)))
          g_assert_cmpuint (pop_number (&queue), ==, i);
      g_assert_cmpuint (queue.length, ==, 0);
      usock_queue_clear (&queue);
    }
}

static gboolean
remove_all (const UsockQueueItem *item, gpointer user_data)
{
  usock_message_unref (item->message);
  return TRUE;
}

static void
test_filter_all (UsockTest *test, gconstpointer data)
{
  UsockQueue queue = { 0 };

  for (guint i = 0; i < 1000; i++)
    push_number (&queue, i);
  usock_queue_filter (&queue, remove_all, NULL);
  g_assert_cmpuint (queue.length, ==, 0);
  g_assert_cmpuint (queue.cost, ==, 0);
  g_assert_cmpuint (queue.capacity, <=, 64);
  push_number (&queue, 7);
  g_assert_cmpuint (pop_number (&queue), ==, 7);
  usock_queue_clear (&queue);
}

static void
test_references (UsockTest *test, gconstpointer data)
{
  UsockQueue queue = { 0 };
  g_autoptr (GObject) source = g_object_new (G_TYPE_OBJECT, NULL);
  UsockMessage *message = usock_message_new (NULL, 0);
  UsockOperation *operation = usock_operation_new (source, test_references, NULL, NULL);
  int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  usock_test_no_error (usock_message_append_fd_owned (message, fd, &error));
  g_object_add_weak_pointer (G_OBJECT (operation), (gpointer *) &operation);
  usock_queue_push (&queue, message, operation);
  usock_queue_clear (&queue);

  g_assert_null (operation);
  usock_test_spin_until (fcntl (fd, F_GETFD) == -1);
  g_assert_cmpuint (queue.cost, ==, 0);
  usock_queue_clear (&queue);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/queue/empty", test_empty);
  usock_test_add ("/usock/queue/cost", test_cost);
  usock_test_add ("/usock/queue/growth", test_growth);
  usock_test_add ("/usock/queue/push-front", test_push_front);
  usock_test_add ("/usock/queue/advance", test_advance);
  usock_test_add ("/usock/queue/random", test_random);
  usock_test_add ("/usock/queue/memory", test_memory);
  usock_test_add ("/usock/queue/filter", test_filter);
  usock_test_add ("/usock/queue/filter-all", test_filter_all);
  usock_test_add ("/usock/queue/references", test_references);

  return g_test_run ();
}
