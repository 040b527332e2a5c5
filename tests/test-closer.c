/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-closer-private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Descriptors that cannot be closed until the test says so. */
static GMutex lock;
static GCond changed;
static gboolean blocked;
static guint n_begun;
static guint n_closed;

static void
close_when_allowed (int fd)
{
  g_mutex_lock (&lock);
  n_begun++;
  while (blocked)
    g_cond_wait (&changed, &lock);
  g_mutex_unlock (&lock);

  close (fd);

  g_mutex_lock (&lock);
  n_closed++;
  g_mutex_unlock (&lock);
}

static void
block (void)
{
  g_mutex_lock (&lock);
  blocked = TRUE;
  n_begun = n_closed = 0;
  g_mutex_unlock (&lock);
}

static void
allow (void)
{
  g_mutex_lock (&lock);
  blocked = FALSE;
  g_cond_broadcast (&changed);
  g_mutex_unlock (&lock);
}

static guint
get_locked (const guint *number)
{
  guint result;

  g_mutex_lock (&lock);
  result = *number;
  g_mutex_unlock (&lock);
  return result;
}

static int
open_null (void)
{
  int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) != -1;
}

static void
wait_until_closed (UsockTally *owner)
{
  usock_test_spin_until (usock_tally_get_closing (owner) == 0);
}

/* Returns an owner one of whose descriptors is being closed, which takes until it is allowed. */
static UsockTally *
make_stuck (void)
{
  UsockTally *owner = usock_tally_new (NULL, NULL);
  guint n_before = get_locked (&n_begun);

  usock_closer_push (owner, open_null (), close_when_allowed);
  usock_test_spin_until (get_locked (&n_begun) > n_before);
  return owner;
}

static void
test_closes (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockTally) owner = usock_tally_new (NULL, NULL);
  int pipes[2];
  struct pollfd hangup = { 0 };

  g_assert_cmpint (pipe2 (pipes, O_CLOEXEC), ==, 0);
  usock_closer_push (NULL, pipes[1], NULL);
  hangup.fd = pipes[0];
  g_assert_cmpint (poll (&hangup, 1, 10000), ==, 1);

  usock_closer_push (owner, pipes[0], NULL);
  wait_until_closed (owner);
  g_assert_false (is_open (pipes[0]));
}

static void
test_order (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockTally) owner = NULL;
  g_autoptr (UsockTally) other = usock_tally_new (NULL, NULL);
  int fd = open_null ();

  block ();
  owner = make_stuck ();
  usock_closer_push (owner, fd, NULL);
  usock_closer_push (other, open_null (), NULL);
  wait_until_closed (other);
  g_assert_cmpuint (usock_tally_get_closing (owner), ==, 2);
  g_assert_true (is_open (fd));

  allow ();
  wait_until_closed (owner);
  g_assert_false (is_open (fd));
  g_assert_cmpuint (get_locked (&n_closed), ==, 1);
}

/* However many are stuck: with more than there were threads, and where one gets stuck while others
 * wait behind it. */
static void
test_stuck_hold_up_nobody (UsockTest *test, gconstpointer data)
{
  UsockTally *stuck[40];
  g_autoptr (UsockTally) other = usock_tally_new (NULL, NULL);

  block ();
  for (guint i = 0; i < G_N_ELEMENTS (stuck); i++)
    {
      stuck[i] = usock_tally_new (NULL, NULL);
      usock_closer_push (stuck[i], open_null (), close_when_allowed);
    }
  usock_closer_push (other, open_null (), NULL);
  wait_until_closed (other);
  usock_test_spin_until (get_locked (&n_begun) == G_N_ELEMENTS (stuck));
  g_assert_cmpuint (get_locked (&n_closed), ==, 0);

  usock_closer_push (other, open_null (), NULL);
  wait_until_closed (other);

  allow ();
  for (guint i = 0; i < G_N_ELEMENTS (stuck); i++)
    {
      wait_until_closed (stuck[i]);
      usock_tally_unref (stuck[i]);
    }
}

/* The owner may go before what it owned is closed. */
static void
test_owner_goes (UsockTest *test, gconstpointer data)
{
  block ();
  usock_tally_unref (make_stuck ());
  allow ();
  usock_test_spin_until (get_locked (&n_closed) == 1);
}

static void
test_settle (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockTally) owner = NULL;

  block ();
  owner = make_stuck ();
  usock_closer_settle (owner);
  usock_closer_settle (owner);
  g_assert_cmpuint (usock_tally_get_closing (owner), ==, 1);
  allow ();
  wait_until_closed (owner);
  usock_closer_settle (owner);
}

/* Each is let go as soon as somebody has waited for it. */
static void
test_settle_in_vain (UsockTest *test, gconstpointer data)
{
  const guint n = 200;
  guint n_slow = 0;

  for (guint i = 0; i < n; i++)
    {
      g_autoptr (UsockTally) owner = NULL;
      gint64 start;

      block ();
      owner = make_stuck ();
      start = g_get_monotonic_time ();
      usock_closer_settle (owner);
      n_slow += g_get_monotonic_time () - start >= 10000;
      allow ();
      wait_until_closed (owner);
    }
  /* All of them, if nothing held it back. */
  g_assert_cmpuint (n_slow, <, n / 2);
}

static void
count_told (gpointer n_told)
{
  g_atomic_int_inc ((gint *) n_told);
}

static void
limit_fds (rlim_t limit)
{
  struct rlimit limits;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limits), ==, 0);
  limits.rlim_cur = MIN (limit, limits.rlim_max);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limits), ==, 0);
}

/* Few where the process may open few; and more only when half of them are closed. */
static void
test_behind (UsockTest *test, gconstpointer data)
{
  UsockTally *owner;
  int n_told = 0;

  block ();
  limit_fds (128);
  owner = usock_tally_new (count_told, &n_told);
  g_assert_false (usock_tally_is_behind (owner));
  for (guint i = 0; i < 7; i++)
    usock_closer_push (owner, open_null (), close_when_allowed);
  g_assert_false (usock_tally_is_behind (owner));
  usock_closer_push (owner, open_null (), close_when_allowed);
  g_assert_true (usock_tally_is_behind (owner));
  limit_fds (1024);
  g_assert_false (usock_tally_is_behind (owner));
  limit_fds (128);
  g_assert_true (usock_tally_is_behind (owner));
  g_assert_cmpint (g_atomic_int_get (&n_told), ==, 0);

  allow ();
  wait_until_closed (owner);
  usock_test_spin_until (g_atomic_int_get (&n_told) == 1);
  g_assert_false (usock_tally_is_behind (owner));
  usock_tally_abandon (owner);
  limit_fds (1024);
}

/* Together they use up what the process may open. Who has none of its own is not held up. */
static void
test_behind_together (UsockTest *test, gconstpointer data)
{
  UsockTally *stuck[16];
  g_autoptr (UsockTally) other = usock_tally_new (NULL, NULL);
  int n_told = 0;

  block ();
  limit_fds (64);
  stuck[0] = usock_tally_new (count_told, &n_told);
  for (guint i = 1; i < G_N_ELEMENTS (stuck); i++)
    stuck[i] = usock_tally_new (NULL, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (stuck); i++)
    {
      g_assert_false (usock_tally_is_behind (stuck[i]));
      usock_closer_push (stuck[i], open_null (), close_when_allowed);
    }
  g_assert_true (usock_tally_is_behind (stuck[0]));
  g_assert_false (usock_tally_is_behind (other));

  allow ();
  for (guint i = 0; i < G_N_ELEMENTS (stuck); i++)
    wait_until_closed (stuck[i]);
  usock_test_spin_until (g_atomic_int_get (&n_told) == 1);
  for (guint i = 0; i < G_N_ELEMENTS (stuck); i++)
    usock_tally_unref (stuck[i]);
  limit_fds (1024);
}

/* Who has gone is told nothing. */
static void
test_abandoned (UsockTest *test, gconstpointer data)
{
  UsockTally *owner;
  g_autoptr (UsockTally) kept = NULL;
  int n_told = 0;

  block ();
  limit_fds (64);
  owner = usock_tally_new (count_told, &n_told);
  kept = usock_tally_ref (owner);
  for (guint i = 0; i < 4; i++)
    usock_closer_push (owner, open_null (), close_when_allowed);
  g_assert_true (usock_tally_is_behind (owner));
  usock_tally_change (owner, 1);
  g_assert_true (usock_tally_reaches (owner, 1));
  usock_tally_abandon (owner);

  allow ();
  wait_until_closed (kept);
  usock_tally_change (kept, -1);
  g_assert_cmpint (g_atomic_int_get (&n_told), ==, 0);
  limit_fds (1024);
}

static void
test_held (UsockTest *test, gconstpointer data)
{
  int n_told = 0;
  UsockTally *owner = usock_tally_new (count_told, &n_told);

  usock_tally_change (owner, 2);
  g_assert_false (usock_tally_reaches (owner, 3));
  usock_tally_change (owner, -1);
  g_assert_cmpint (n_told, ==, 0);
  g_assert_true (usock_tally_reaches (owner, 1));
  usock_tally_change (owner, -1);
  g_assert_cmpint (n_told, ==, 1);
  usock_tally_change (owner, 1);
  usock_tally_change (owner, -1);
  g_assert_cmpint (n_told, ==, 1);
  usock_tally_abandon (owner);
}

static sigset_t seen;

static void
see_signals (int fd)
{
  pthread_sigmask (SIG_SETMASK, NULL, &seen);
  close (fd);
}

/* They are for the program's own threads. */
static void
test_signals_are_blocked (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockTally) owner = usock_tally_new (NULL, NULL);
  sigset_t mine;

  usock_closer_push (owner, open_null (), see_signals);
  wait_until_closed (owner);
  g_assert_true (sigismember (&seen, SIGTERM));
  g_assert_true (sigismember (&seen, SIGCHLD));
  pthread_sigmask (SIG_SETMASK, NULL, &mine);
  g_assert_false (sigismember (&mine, SIGTERM));
}

/* Ends without exiting, at which valgrind finds that the threads' memory has no threads. */
G_NORETURN static void
child_ends (gboolean well)
{
  kill (getpid (), well ? SIGKILL : SIGTERM);
  for (;;)
    pause ();
}

static void
assert_child_ended_well (pid_t pid)
{
  int status;

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status));
  g_assert_cmpint (WTERMSIG (status), ==, SIGKILL);
}

/* What the parent is stuck with is the parent's; what it had yet to close, the child has as well. */
static void
test_fork (UsockTest *test, gconstpointer data)
{
  UsockTally *owner;
  int n_told = 0;
  int waiting = open_null ();
  pid_t pid;

  block ();
  limit_fds (64);
  owner = usock_tally_new (count_told, &n_told);
  usock_closer_push (owner, open_null (), close_when_allowed);
  usock_test_spin_until (get_locked (&n_begun) == 1);
  usock_closer_push (owner, waiting, NULL);
  usock_closer_push (owner, open_null (), NULL);
  usock_closer_push (owner, open_null (), NULL);
  g_assert_true (usock_tally_is_behind (owner));

  pid = fork ();
  if (pid == 0)
    {
      g_autoptr (UsockTally) own = usock_tally_new (NULL, NULL);

      usock_closer_push (own, open_null (), NULL);
      wait_until_closed (own);
      wait_until_closed (owner);
      child_ends (!is_open (waiting) && g_atomic_int_get (&n_told) == 0);
    }
  assert_child_ended_well (pid);
  g_assert_true (is_open (waiting));

  allow ();
  wait_until_closed (owner);
  g_assert_false (is_open (waiting));
  usock_tally_abandon (owner);
  limit_fds (1024);
}

/* A process that may have no more of them keeps no descriptor for it. */
static void
test_no_threads (UsockTest *test, gconstpointer data)
{
  pid_t pid = fork ();

  if (pid == 0)
    {
      const struct rlimit none = { 1, 1 };
      g_autoptr (UsockTally) owner = usock_tally_new (NULL, NULL);
      int fd = open_null ();

      /* The limit is one of users, and not of root. */
      if (setrlimit (RLIMIT_NPROC, &none) == -1 || (getuid () == 0 && setuid (61007) == -1))
        child_ends (FALSE);
      usock_closer_push (owner, fd, NULL);
      child_ends (usock_tally_get_closing (owner) == 0 && !is_open (fd));
    }
  assert_child_ended_well (pid);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/closer/closes", test_closes);
  usock_test_add ("/usock/closer/order", test_order);
  usock_test_add ("/usock/closer/stuck-hold-up-nobody", test_stuck_hold_up_nobody);
  usock_test_add ("/usock/closer/owner-goes", test_owner_goes);
  usock_test_add ("/usock/closer/settle", test_settle);
  usock_test_add ("/usock/closer/settle-in-vain", test_settle_in_vain);
  usock_test_add ("/usock/closer/behind", test_behind);
  usock_test_add ("/usock/closer/behind-together", test_behind_together);
  usock_test_add ("/usock/closer/abandoned", test_abandoned);
  usock_test_add ("/usock/closer/held", test_held);
  usock_test_add ("/usock/closer/signals-are-blocked", test_signals_are_blocked);
  usock_test_add ("/usock/closer/fork", test_fork);
  usock_test_add ("/usock/closer/no-threads", test_no_threads);

  return g_test_run ();
}
