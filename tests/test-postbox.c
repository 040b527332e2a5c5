/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-postbox-private.h"

#include <unistd.h>

static UsockPosted
put (UsockPostbox *box, const char *text)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text (text);

  return usock_postbox_put (box, message);
}

static char *
take (UsockPostbox *box, guint64 room)
{
  g_autoptr (UsockMessage) message = usock_postbox_take (box, room);

  return message != NULL ? usock_message_dup_text (message, NULL) : NULL;
}

#define assert_taken(box, room, expected)                                                          \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_autofree char *taken_ = take (box, room);                                                    \
    g_assert_cmpstr (taken_, ==, expected);                                                        \
  }                                                                                                \
  G_STMT_END

static void
test_order (UsockTest *test, gconstpointer data)
{
  UsockPostbox box = { .limit = 10000 };

  g_assert_true (usock_postbox_is_empty (&box));
  g_assert_cmpint (put (&box, "1"), ==, USOCK_POST_TAKEN);
  g_assert_cmpint (put (&box, "2"), ==, USOCK_POST_TAKEN);
  g_assert_false (usock_postbox_is_empty (&box));
  assert_taken (&box, G_MAXUINT64, "1");
  g_assert_false (usock_postbox_is_empty (&box));
  g_assert_cmpint (put (&box, "3"), ==, USOCK_POST_TAKEN);
  assert_taken (&box, G_MAXUINT64, "2");
  assert_taken (&box, G_MAXUINT64, "3");
  assert_taken (&box, G_MAXUINT64, NULL);
  g_assert_true (usock_postbox_is_empty (&box));
  usock_postbox_close (&box);
}

/* What is there can still be taken. */
static void
test_shut (UsockTest *test, gconstpointer data)
{
  UsockPostbox box = { .limit = 10000 };

  g_assert_cmpint (put (&box, "1"), ==, USOCK_POST_TAKEN);
  usock_postbox_shut (&box);
  g_assert_cmpint (put (&box, "2"), ==, USOCK_POST_CLOSED);
  g_assert_cmpuint (usock_postbox_get_length (&box), ==, 1);
  assert_taken (&box, G_MAXUINT64, "1");
  assert_taken (&box, G_MAXUINT64, NULL);
  usock_postbox_close (&box);
}

/* Up to the limit, and when it is empty, any one. */
static void
test_limit (UsockTest *test, gconstpointer data)
{
  guint64 cost = usock_queue_message_cost (1, 0);
  UsockPostbox box = { .limit = 0 };

  g_assert_cmpint (put (&box, "1"), ==, USOCK_POST_TAKEN);
  g_assert_cmpint (put (&box, "2"), ==, USOCK_POST_FULL);
  usock_postbox_set_limit (&box, 2 * cost);
  g_assert_cmpint (put (&box, "2"), ==, USOCK_POST_TAKEN);
  g_assert_cmpint (put (&box, "3"), ==, USOCK_POST_FULL);

  assert_taken (&box, cost - 1, NULL);
  assert_taken (&box, cost, "1");
  g_assert_cmpint (put (&box, "3"), ==, USOCK_POST_TAKEN);
  assert_taken (&box, G_MAXUINT64, "2");
  assert_taken (&box, G_MAXUINT64, "3");
  usock_postbox_close (&box);
}

static void
release (gpointer n)
{
  (*(guint *) n)++;
}

static void
test_close (UsockTest *test, gconstpointer data)
{
  UsockPostbox box = { .limit = 10000 };
  guint n = 0;
  g_autoptr (GBytes) bytes = g_bytes_new_with_free_func ("x", 1, release, &n);
  UsockMessage *message = usock_message_new_from_bytes (bytes);

  g_clear_pointer (&bytes, g_bytes_unref);
  g_assert_cmpint (usock_postbox_put (&box, message), ==, USOCK_POST_TAKEN);
  usock_message_unref (message);
  g_assert_cmpuint (n, ==, 0);
  usock_postbox_close (&box);
  g_assert_cmpuint (n, ==, 1);
  g_assert_true (usock_postbox_is_empty (&box));
  g_assert_cmpint (put (&box, "1"), ==, USOCK_POST_CLOSED);
  usock_postbox_close (&box);
}

/* Its descriptors are nobody's as long as it is in the box. */
static void
test_fds (UsockTest *test, gconstpointer data)
{
  UsockPostbox box = { .limit = 10000 };
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  UsockMessage *taken;
  GError *failure = NULL;

  usock_test_no_error (usock_message_append_fd (message, 0, &error));
  g_assert_cmpint (usock_postbox_put (&box, message), ==, USOCK_POST_TAKEN);
  g_assert_false (usock_message_append_fd (message, 0, &failure));
  g_clear_error (&failure);
  g_assert_cmpint (usock_message_take_fd (message, 0, &failure), ==, -1);
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_clear_error (&failure);

  taken = usock_postbox_take (&box, G_MAXUINT64);
  g_assert_true (taken == message);
  usock_message_unref (taken);
  close (usock_message_take_fd (message, 0, &failure));
  g_assert_no_error (failure);
  usock_postbox_close (&box);
}

/* Whose message was dropped has them again. */
static void
test_close_with_fds (UsockTest *test, gconstpointer data)
{
  UsockPostbox box = { .limit = 10000 };
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  GError *failure = NULL;
  int fd;

  usock_test_no_error (usock_message_append_fd (message, 0, &error));
  g_assert_cmpint (usock_postbox_put (&box, message), ==, USOCK_POST_TAKEN);
  usock_postbox_close (&box);
  fd = usock_message_take_fd (message, 0, &failure);
  g_assert_no_error (failure);
  close (fd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/postbox/order", test_order);
  usock_test_add ("/usock/postbox/shut", test_shut);
  usock_test_add ("/usock/postbox/limit", test_limit);
  usock_test_add ("/usock/postbox/close", test_close);
  usock_test_add ("/usock/postbox/fds", test_fds);
  usock_test_add ("/usock/postbox/close-with-fds", test_close_with_fds);
  return g_test_run ();
}
