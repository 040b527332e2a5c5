/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* How datagrams wait, fail and vanish. */

#include "kernel.h"

static int
connected (const char *name)
{
  return client_of (SOCK_DGRAM, name);
}

static gint64
queue_length (void)
{
  return read_setting ("/proc/sys/net/unix/max_dgram_qlen");
}

static guint
fill_path (int fd,
           const char *path)
{
  guint n = 0;

  while (put_to (fd, path) >= 0)
    n++;
  return n;
}

static void
test_full_unconnected (void)
{
  autofd receiver = socket_at (SOCK_DGRAM, "d-full");
  autofd sender = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (queue_length () < 0 || queue_length () > 200)
    {
      g_test_skip ("net.unix.max_dgram_qlen is unknown or more than a send buffer holds");
      return;
    }
  g_assert_cmpint (fill_path (sender, path_of ("d-full")), ==, queue_length () + 1);
  g_assert_cmpint (put_to (sender, path_of ("d-full")), ==, -EAGAIN);
  g_assert_true (events_of (sender) & EPOLLOUT);
}

static void
test_own_edge (void)
{
  autofd receiver = socket_at (SOCK_DGRAM, "d-edge");
  autofd sender = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  autofd epoll = watch (sender, EPOLLOUT | EPOLLET);

  fill_path (sender, path_of ("d-edge"));
  next_events (epoll, 0);
  g_assert_cmphex (next_events (epoll, 20), ==, 0);
  g_assert_cmpint (put_to (sender, path_of ("d-edge")), ==, -EAGAIN);
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLOUT);
}

static void
test_full_connected (void)
{
  autofd receiver = socket_at (SOCK_DGRAM, "d-connected");
  autofd sender = connected ("d-connected");
  autofd epoll = watch (sender, EPOLLOUT | EPOLLET);

  fill (sender, 10);
  g_assert_false (events_of (sender) & EPOLLOUT);
  next_events (epoll, 0);
  g_assert_cmphex (next_events (epoll, 20), ==, 0);
  g_assert_cmpint (take (receiver, 10), ==, 10);
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLOUT);
  g_assert_cmpint (put (sender, 10), ==, 10);
}

static void
test_pair_unlimited (void)
{
  autopair p = pair_new (SOCK_DGRAM);

  if (queue_length () < 0 || queue_length () > 200)
    {
      g_test_skip ("net.unix.max_dgram_qlen is unknown or more than a send buffer holds");
      return;
    }
  g_assert_cmpint (fill (p.a, 10), >, queue_length () + 1);
}

static void
test_receiver_gone (void)
{
  autofd receiver = socket_at (SOCK_DGRAM, "d-gone");
  autofd sender = connected ("d-gone");

  put (sender, 1);
  clear_fd (&receiver);
  g_assert_cmphex (events_of (sender), ==, EPOLLOUT);
  g_assert_cmpint (take (sender, 10), ==, -EAGAIN);
  g_assert_cmpint (put (sender, 1), ==, -ECONNREFUSED);
  g_assert_cmpint (put (sender, 1), ==, -ENOTCONN);
}

static void
test_purged_by_failed_send (void)
{
  autofd receiver = socket_at (SOCK_DGRAM, "d-dead");
  autofd sender = socket_at (SOCK_DGRAM, "d-purged");
  autofd third = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (put_to (third, path_of ("d-purged")), ==, 10);
  g_assert_cmpint (connect_to (sender, path_of ("d-dead")), ==, 0);
  g_assert_cmpint (put_to (receiver, path_of ("d-purged")), ==, 10);
  clear_fd (&receiver);
  g_assert_cmpint (put (sender, 1), ==, -ECONNREFUSED);
  g_assert_cmpint (take (sender, 10), ==, -EAGAIN);
}

static void
test_purged_by_connect (void)
{
  autofd first = socket_at (SOCK_DGRAM, "d-first");
  autofd second = socket_at (SOCK_DGRAM, "d-second");
  autofd receiver = socket_at (SOCK_DGRAM, "d-target");

  g_assert_cmpint (connect_to (receiver, path_of ("d-first")), ==, 0);
  g_assert_cmpint (put_to (first, path_of ("d-target")), ==, 10);
  g_assert_cmpint (connect_to (receiver, path_of ("d-second")), ==, 0);
  g_assert_cmpint (take (receiver, 10), ==, -EAGAIN);
}

static void
test_filter (void)
{
  autofd chosen = socket_at (SOCK_DGRAM, "d-chosen");
  autofd receiver = socket_at (SOCK_DGRAM, "d-choosy");
  autofd other = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (connect_to (receiver, path_of ("d-chosen")), ==, 0);
  g_assert_cmpint (put_to (other, path_of ("d-choosy")), ==, -EPERM);
}

static void
test_rebound (void)
{
  autofd old = socket_at (SOCK_DGRAM, "d-rebound");
  autofd sender = connected ("d-rebound");
  autofd stranger = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  autofd new = socket_at (SOCK_DGRAM, "d-rebound");

  g_assert_cmpint (put (sender, 3), ==, 3);
  g_assert_cmpint (take (old, 10), ==, 3);
  g_assert_cmpint (put_to (stranger, path_of ("d-rebound")), ==, 10);
  g_assert_cmpint (take (new, 10), ==, 10);
  clear_fd (&old);
  g_assert_cmpint (put (sender, 3), ==, -ECONNREFUSED);
  g_assert_cmpint (connect_to (sender, path_of ("d-rebound")), ==, 0);
  g_assert_cmpint (put (sender, 3), ==, 3);
}

static void
test_no_end (void)
{
  autopair p = pair_new (SOCK_DGRAM);

  put (p.a, 0);
  g_assert_cmpint (take (p.b, 10), ==, 0);
  g_assert_cmpint (take (p.b, 10), ==, -EAGAIN);
  clear_fd (&p.a);
  g_assert_cmpint (take (p.b, 10), ==, -EAGAIN);
}

const Fact dgram_facts[] = {
  { "full-unconnected", "a receiver takes max_dgram_qlen + 1, then it is EAGAIN, polled as writable",
    "waiting for an unconnected receiver may use epoll", test_full_unconnected },
  { "own-edge", "a failing send to a full receiver makes an edge of its own",
    "trying again on an edge does not spin", test_own_edge },
  { "full-connected", "a connected sender is not writable while full, and gets an edge when freed",
    "a waiter socket never wakes", test_full_connected },
  { "pair-unlimited", "a connected pair is not held to max_dgram_qlen",
    "pairs are congested sooner", test_pair_unlimited },
  { "receiver-gone", "a dead receiver gives no event; a send is ECONNREFUSED once, then ENOTCONN",
    "a dead receiver is reported otherwise", test_receiver_gone },
  { "purged-by-failed-send", "a failed send to a dead peer throws away what we had not read",
    "reading before sending is needless", test_purged_by_failed_send },
  { "purged-by-connect", "connecting again throws away what we had not read",
    "reading before connecting again is needless", test_purged_by_connect },
  { "filter", "a connected receiver refuses others with EPERM", "strangers get through",
    test_filter },
  { "rebound", "connected senders keep to the old receiver of a path, and may connect again",
    "messages go elsewhere", test_rebound },
  { "no-end", "an empty datagram is 0 and a gone peer is EAGAIN: 0 is never an end",
    "datagram sockets see an end", test_no_end },
  { NULL },
};
