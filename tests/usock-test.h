/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-test: what the tests share.
 *
 * Each test added with usock_test_add() runs in a main context of its own, which is the thread's
 * default, with an empty directory and a connected pair of raw sockets. When it returns, the
 * context is destroyed, and the test fails if a source or a descriptor is left. */

#pragma once

#include <gio/gio.h>

typedef struct
{
  GMainContext *context;
  char *directory;
  /* Who takes one of them writes -1 in its place. */
  int pair[2];

  GHashTable *fds_before;
} UsockTest;

#define usock_test_add(path, function)                                                             \
  G_STMT_START                                                                                     \
  {                                                                                                \
    void (*function_) (UsockTest *, gconstpointer) = (function);                                   \
    g_test_add (path, UsockTest, NULL, usock_test_setup, function_, usock_test_teardown);          \
  }                                                                                                \
  G_STMT_END

/* Iterates the thread's default context until the expression is true; fails the test if it does
 * not become true in time. */
#define usock_test_wait_until(expression)                                                          \
  G_STMT_START                                                                                     \
  {                                                                                                \
    gint64 deadline_ = usock_test_deadline ();                                                     \
    while (!(expression))                                                                          \
      usock_test_iterate (deadline_, G_STRLOC ": " #expression);                                   \
  }                                                                                                \
  G_STMT_END

/* For what happens in other threads, and wakes nobody. */
#define usock_test_spin_until(expression)                                                          \
  G_STMT_START                                                                                     \
  {                                                                                                \
    gint64 deadline_ = usock_test_deadline ();                                                     \
    while (!(expression))                                                                          \
      {                                                                                            \
        if (g_get_monotonic_time () > deadline_)                                                   \
          g_error ("In vain waited for %s", G_STRLOC ": " #expression);                            \
        g_thread_yield ();                                                                         \
      }                                                                                            \
  }                                                                                                \
  G_STMT_END

/* Calls a function whose last argument is a GError **, and fails the test with its message. */
#define usock_test_no_error(call)                                                                  \
  G_STMT_START                                                                                     \
  {                                                                                                \
    GError *error = NULL;                                                                          \
    gboolean done_ = !!(call);                                                                     \
    g_assert_no_error (error);                                                                     \
    g_assert_true (done_);                                                                         \
  }                                                                                                \
  G_STMT_END

void   usock_test_setup    (UsockTest     *self,
                            gconstpointer  data);
void   usock_test_teardown (UsockTest     *self,
                            gconstpointer  data);

char  *usock_test_path     (UsockTest     *self,
                            const char    *name);
int    usock_test_take     (UsockTest     *self,
                            guint          end);

gint64 usock_test_deadline (void);
void   usock_test_iterate  (gint64         deadline,
                            const char    *awaited);
