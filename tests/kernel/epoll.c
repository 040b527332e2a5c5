/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* When epoll wakes, when it does not, and what it remembers too long. */

#include "kernel.h"

#include <sys/wait.h>

#define EDGE (EVENTS_ALL | EPOLLET)

static void
forget (int epoll,
        int fd)
{
  g_assert_cmpint (epoll_ctl (epoll, EPOLL_CTL_DEL, fd, NULL), ==, 0);
}

static void
test_ghosts (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd epoll = watch (p.b, EVENTS_ALL);
  autofd copy = dup (p.b);
  int number = p.b;

  put (p.a, 1);
  clear_fd (&p.b);
  g_assert_true (next_events (epoll, 0) & EPOLLIN);
  g_assert_cmpint (epoll_ctl (epoll, EPOLL_CTL_DEL, number, NULL), ==, -1);
  g_assert_true (next_events (epoll, 0) & EPOLLIN);
}

static void
test_removed_before_close (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd epoll = watch (p.b, EVENTS_ALL);
  autofd copy = dup (p.b);

  put (p.a, 1);
  forget (epoll, p.b);
  clear_fd (&p.b);
  g_assert_cmphex (next_events (epoll, 20), ==, 0);
}

static void
test_first_edge (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd epoll = -1;

  put (p.a, 1);
  epoll = watch (p.b, EDGE);
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLIN | EPOLLOUT);
  g_assert_cmphex (next_events (epoll, 20), ==, 0);
}

static void
test_edge_each_message (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd epoll = watch (p.b, EDGE);

  next_events (epoll, 0);
  put (p.a, 1);
  g_assert_true (next_events (epoll, 0) & EPOLLIN);
  put (p.a, 1);
  g_assert_true (next_events (epoll, 0) & EPOLLIN);
}

static void
test_edge_of_end (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd epoll = watch (p.b, EDGE);

  put (p.a, 1);
  next_events (epoll, 0);
  shutdown (p.a, SHUT_WR);
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
  clear_fd (&p.a);
  g_assert_true (next_events (epoll, 0) & EPOLLHUP);
  g_assert_cmphex (next_events (epoll, 20), ==, 0);
}

static void
test_edge_of_room (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd epoll = -1;

  fill (p.a, 100);
  epoll = watch (p.a, EDGE);
  g_assert_cmphex (next_events (epoll, 0), ==, 0);
  drain (p.b);
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLOUT);
}

static void
test_empty_mask (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd level = watch (p.b, 0);
  autofd edge = watch (p.b, EPOLLET);

  clear_fd (&p.a);
  g_assert_cmphex (next_events (level, 0), ==, EPOLLHUP);
  g_assert_cmphex (next_events (level, 0), ==, EPOLLHUP);
  g_assert_cmphex (next_events (edge, 0), ==, EPOLLHUP);
  g_assert_cmphex (next_events (edge, 20), ==, 0);
}

/* The watch of an edge-triggered set shows in the readiness of the set itself, which is what a
 * GSource polls. */
static void
test_set_is_polled (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd inner = watch (p.b, EDGE);
  autofd outer = watch (inner, EPOLLIN);

  next_events (inner, 0);
  g_assert_cmphex (next_events (outer, 0), ==, 0);
  put (p.a, 1);
  g_assert_cmphex (next_events (outer, 0), ==, EPOLLIN);
  next_events (inner, 0);
  g_assert_cmphex (next_events (outer, 0), ==, 0);
}

static void
test_shared_by_fork (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd epoll = watch (p.b, EVENTS_ALL);
  int status = 0;
  pid_t pid;

  put (p.a, 1);
  g_assert_true (next_events (epoll, 0) & EPOLLIN);
  pid = fork ();
  if (pid == 0)
    _exit (epoll_ctl (epoll, EPOLL_CTL_DEL, p.b, NULL) == 0 ? 0 : 1);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmphex (next_events (epoll, 0), ==, 0);
}

static void
test_not_pollable (void)
{
  autofd epoll = epoll_create1 (EPOLL_CLOEXEC);
  autofd file = open (path_of ("regular"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  autopair p = pair_new (SOCK_SEQPACKET);
  struct epoll_event event = { .events = EPOLLIN };

  g_assert_cmpint (epoll_ctl (epoll, EPOLL_CTL_ADD, file, &event), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  g_assert_cmpint (epoll_ctl (epoll, EPOLL_CTL_ADD, p.a, &event), ==, 0);
  g_assert_cmpint (epoll_ctl (epoll, EPOLL_CTL_ADD, p.a, &event), ==, -1);
  g_assert_cmpint (errno, ==, EEXIST);
}

const Fact epoll_facts[] = {
  { "ghosts", "a closed descriptor with a copy elsewhere goes on firing, and cannot be removed",
    "EPOLL_CTL_DEL before close() is needless", test_ghosts },
  { "removed-before-close", "EPOLL_CTL_DEL before close() leaves nothing behind",
    "closed sockets go on firing", test_removed_before_close },
  { "first-edge", "adding a socket that is ready already makes an edge",
    "what came before the watch is not seen", test_first_edge },
  { "edge-each-message", "each message makes an edge, whether or not the last was read",
    "a message that comes during a read is not seen", test_edge_each_message },
  { "edge-of-end", "the end and the hang-up make one edge each, also with messages unread",
    "the end is not seen, or for ever", test_edge_of_end },
  { "edge-of-room", "a full socket gets an edge when its peer has read",
    "a queue is never flushed", test_edge_of_room },
  { "empty-mask", "a hang-up cannot be masked; level-triggered it fires for ever, as an edge once",
    "paused sockets spin, or level-triggered ones would do", test_empty_mask },
  { "set-is-polled", "an edge-triggered set is readable until its events were taken",
    "the main loop sleeps through events", test_set_is_polled },
  { "shared-by-fork", "a forked child's EPOLL_CTL_DEL removes the parent's watch",
    "a child may tidy up", test_shared_by_fork },
  { "not-pollable", "a regular file cannot be watched, and nothing twice",
    "adopting a file is not refused", test_not_pollable },
  { NULL },
};
