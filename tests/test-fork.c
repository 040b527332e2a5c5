/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-fork-private.h"

#include <sys/wait.h>
#include <unistd.h>

static GMutex first_lock;
static GMutex second_lock;
static GString *words;

static void
first_take (void)
{
  g_mutex_lock (&first_lock);
  g_string_append (words, "lock1 ");
}

static void
first_forget (void)
{
  g_string_append (words, "forget1 ");
}

static void
first_free (void)
{
  g_string_append (words, "unlock1 ");
  g_mutex_unlock (&first_lock);
}

static void
second_take (void)
{
  g_mutex_lock (&second_lock);
  g_string_append (words, "lock2 ");
}

static void
second_free (void)
{
  g_string_append (words, "unlock2 ");
  g_mutex_unlock (&second_lock);
}

static const UsockForkFuncs first_funcs = { first_take, first_forget, first_free };
static const UsockForkFuncs second_funcs = { second_take, NULL, second_free };
static const UsockForkFuncs no_funcs = { NULL, NULL, NULL };

/* Fails the test if the child does not end well, or hangs. */
static void
assert_child (pid_t pid)
{
  gint64 deadline = usock_test_deadline ();
  int status = 0;
  pid_t ended;

  g_assert_cmpint (pid, >, 0);
  while ((ended = waitpid (pid, &status, WNOHANG)) == 0 && g_get_monotonic_time () < deadline)
    g_thread_yield ();
  g_assert_cmpint (ended, ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

static void
test_order (UsockTest *test, gconstpointer data)
{
  guint generation = usock_fork_get_generation ();
  pid_t pid;

  g_string_truncate (words, 0);
  pid = fork ();
  if (pid == 0)
    _exit (usock_fork_get_generation () != generation + 1
           || !g_str_equal (words->str, "lock1 lock2 forget1 unlock2 unlock1 "));

  assert_child (pid);
  g_assert_cmpstr (words->str, ==, "lock1 lock2 unlock2 unlock1 ");
  g_assert_cmpuint (usock_fork_get_generation (), ==, generation);
}

static void
test_grandchild (UsockTest *test, gconstpointer data)
{
  guint generation = usock_fork_get_generation ();
  pid_t pid = fork ();

  if (pid == 0)
    {
      pid = fork ();
      if (pid == 0)
        _exit (usock_fork_get_generation () != generation + 2);
      assert_child (pid);
      _exit (usock_fork_get_generation () != generation + 1);
    }
  assert_child (pid);
}

static gint stop;

static gpointer
use_locks (gpointer data)
{
  while (!g_atomic_int_get (&stop))
    {
      g_mutex_lock (&first_lock);
      g_thread_yield ();
      g_mutex_unlock (&first_lock);
      g_mutex_lock (&second_lock);
      g_mutex_unlock (&second_lock);
      /* A lock that is taken again at once may never be had by whoever waits for it. */
      g_usleep (1);
    }
  return NULL;
}

/* Another thread holds one of the locks at nearly any time. */
static void
test_locks_are_free (UsockTest *test, gconstpointer data)
{
  GThread *thread = g_thread_new ("locks", use_locks, NULL);

  for (guint i = 0; i < 200; i++)
    {
      pid_t pid = fork ();

      if (pid == 0)
        _exit (!g_mutex_trylock (&first_lock) || !g_mutex_trylock (&second_lock));
      assert_child (pid);
    }

  g_atomic_int_set (&stop, TRUE);
  g_thread_join (thread);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  words = g_string_new (NULL);
  usock_fork_register (&first_funcs);
  usock_fork_register (&no_funcs);
  usock_fork_register (&second_funcs);

  usock_test_add ("/usock/fork/order", test_order);
  usock_test_add ("/usock/fork/grandchild", test_grandchild);
  usock_test_add ("/usock/fork/locks-are-free", test_locks_are_free);
  return g_test_run ();
}
