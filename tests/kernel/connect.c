/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* How connecting and accepting succeed, fail and wait. */

#include "kernel.h"

#include <sys/resource.h>
#include <sys/stat.h>

static int
connect_new (int type,
             const char *name)
{
  autofd fd = socket (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  return connect_to (fd, path_of (name));
}

static void
test_missing (void)
{
  g_assert_cmpint (connect_new (SOCK_SEQPACKET, "missing"), ==, -ENOENT);
  g_assert_cmpint (connect_new (SOCK_SEQPACKET, "missing/too"), ==, -ENOENT);
}

static void
test_refused (void)
{
  autofd bound = socket_at (SOCK_SEQPACKET, "bound");

  g_assert_true (g_file_set_contents (path_of ("file"), "", 0, NULL));
  g_assert_cmpint (mkdir (path_of ("folder"), 0700), ==, 0);
  g_assert_cmpint (connect_new (SOCK_SEQPACKET, "file"), ==, -ECONNREFUSED);
  g_assert_cmpint (connect_new (SOCK_SEQPACKET, "folder"), ==, -ECONNREFUSED);
  g_assert_cmpint (connect_new (SOCK_SEQPACKET, "bound"), ==, -ECONNREFUSED);
  clear_fd (&bound);
  g_assert_cmpint (connect_new (SOCK_SEQPACKET, "bound"), ==, -ECONNREFUSED);
}

static void
test_wrong_type (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "typed", 4);
  autofd bound = socket_at (SOCK_SEQPACKET, "typed-bound");

  g_assert_cmpint (connect_new (SOCK_STREAM, "typed"), ==, -EPROTOTYPE);
  g_assert_cmpint (connect_new (SOCK_DGRAM, "typed"), ==, -EPROTOTYPE);
  g_assert_cmpint (connect_new (SOCK_DGRAM, "typed-bound"), ==, -EPROTOTYPE);
  g_assert_cmphex (events_of (listener) & EPOLLIN, ==, 0);
  clear_fd (&bound);
  g_assert_cmpint (connect_new (SOCK_DGRAM, "typed-bound"), ==, -ECONNREFUSED);
}

static int
connect_private (gpointer data)
{
  return -connect_new (SOCK_SEQPACKET, data);
}

static void
test_permission (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "private", 4);

  if (geteuid () != 0)
    {
      g_test_skip ("another user is needed, and only root becomes one");
      return;
    }
  /* The folder must let the other user pass. */
  g_assert_cmpint (chmod (path_of (""), 0755), ==, 0);
  g_assert_cmpint (chmod (path_of ("private"), 0444), ==, 0);
  g_assert_cmpint (run_as (61101, connect_private, (gpointer) "private"), ==, EACCES);
  g_assert_cmpint (chmod (path_of ("private"), 0222), ==, 0);
  g_assert_cmpint (run_as (61101, connect_private, (gpointer) "private"), ==, 0);
}

static void
test_backlog_full (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "full", 0);
  autofd first = client_of (SOCK_SEQPACKET, "full");
  autofd second = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  autofd epoll = -1;
  autofd accepted = -1;

  g_assert_cmpint (connect_to (second, path_of ("full")), ==, -EAGAIN);
  epoll = watch (second, EVENTS_ALL | EPOLLET);
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLOUT | EPOLLHUP);
  accepted = accept (listener, NULL, NULL);
  g_assert_cmphex (next_events (epoll, 20), ==, 0);
  g_assert_cmpint (connect_to (second, path_of ("full")), ==, 0);
}

static void
test_backlog_counts (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "counted", 2);
  int clients[8];
  guint n = 0;

  while (n < G_N_ELEMENTS (clients))
    {
      int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

      if (connect_to (fd, path_of ("counted")) < 0)
        {
          close (fd);
          break;
        }
      clients[n++] = fd;
    }
  g_assert_cmpint (n, ==, 3);
  for (guint i = 0; i < n; i++)
    close (clients[i]);
}

static void
test_gone_before_accept (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "brief", 4);
  autofd client = client_of (SOCK_SEQPACKET, "brief");
  autofd accepted = -1;

  put (client, 5);
  clear_fd (&client);
  accepted = accept (listener, NULL, NULL);
  g_assert_cmpint (take (accepted, 10), ==, 5);
  g_assert_cmpint (take (accepted, 10), ==, 0);
}

static void
test_never_accepted (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "never", 4);
  autofd client = client_of (SOCK_SEQPACKET, "never");

  clear_fd (&listener);
  g_assert_true (events_of (client) & EPOLLHUP);
  g_assert_cmpint (take (client, 10), ==, -ECONNRESET);
}

static void
test_accepted_flags (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "flags", 4);
  autofd client = client_of (SOCK_SEQPACKET, "flags");
  autofd accepted = accept (listener, NULL, NULL);

  g_assert_cmphex (fcntl (accepted, F_GETFL) & O_NONBLOCK, ==, 0);
  g_assert_cmphex (fcntl (accepted, F_GETFD) & FD_CLOEXEC, ==, 0);
}

static void
test_out_of_descriptors (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "emfile", 4);
  autofd epoll = watch (listener, EPOLLIN | EPOLLET);
  autofd client = client_of (SOCK_SEQPACKET, "emfile");
  autofd accepted = -1;
  struct rlimit old, tight;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &old), ==, 0);
  tight = old;
  tight.rlim_cur = 3;
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLIN);
  setrlimit (RLIMIT_NOFILE, &tight);
  g_assert_cmpint (accept (listener, NULL, NULL), ==, -1);
  g_assert_cmpint (errno, ==, EMFILE);
  setrlimit (RLIMIT_NOFILE, &old);
  g_assert_cmphex (next_events (epoll, 20), ==, 0);
  accepted = accept (listener, NULL, NULL);
  g_assert_cmpint (accepted, >=, 0);
}

const Fact connect_facts[] = {
  { "missing", "a missing path or folder is ENOENT", "the error has another code", test_missing },
  { "refused", "a file, a folder, a bound and a stale socket all refuse alike",
    "a refusal tells more than it did", test_refused },
  { "wrong-type",
    "any living socket of another type is EPROTOTYPE and does not notice; a stale one refuses",
    "a server takes over the path of a living one", test_wrong_type },
  { "permission", "write permission alone decides who may connect",
    "the mode of a server's path does not protect it", test_permission },
  { "backlog-full", "a full backlog is EAGAIN; no event says when there is room; trying again works",
    "connecting need not be retried by time", test_backlog_full },
  { "backlog-counts", "listen(n) lets n + 1 clients wait", "a backlog of 0 lets nobody in",
    test_backlog_counts },
  { "gone-before-accept", "a client that sent and closed is accepted, read, and ends cleanly",
    "what brief clients say is lost", test_gone_before_accept },
  { "never-accepted", "a client nobody accepted is reset when the listener closes",
    "such a client hangs", test_never_accepted },
  { "accepted-flags", "an accepted socket inherits neither O_NONBLOCK nor FD_CLOEXEC",
    "accept4() is needless", test_accepted_flags },
  { "out-of-descriptors", "after EMFILE the client still waits, and no edge tells of it again",
    "a server forgets clients, or spins", test_out_of_descriptors },
  { NULL },
};
