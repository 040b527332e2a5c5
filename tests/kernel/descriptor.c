/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* How descriptors are passed, cut short, refused and closed. */

#include "kernel.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/resource.h>

/* The kernel's SCM_MAX_FD. */
#define MOST_FDS 253
#define CONTROL_SIZE 2048

static void
close_received (const Received *received)
{
  for (guint i = 0; i < received->n_fds; i++)
    close (received->fds[i]);
}

static void
fill_fds (int *fds,
          guint n,
          int fd)
{
  for (guint i = 0; i < n; i++)
    fds[i] = fd;
}

static void
test_most (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  int fds[MOST_FDS + 1];
  Received received;

  fill_fds (fds, MOST_FDS + 1, p.a);
  g_assert_cmpint (put_fds (p.a, 1, fds, MOST_FDS + 1), ==, -EINVAL);
  g_assert_cmpint (put_fds (p.a, 1, fds, MOST_FDS), ==, 1);
  received = take_message (p.b, CONTROL_SIZE, MSG_CMSG_CLOEXEC);
  g_assert_cmpint (received.n_fds, ==, MOST_FDS);
  g_assert_cmphex (received.flags & MSG_CTRUNC, ==, 0);
  close_received (&received);
}

static void
test_cloexec (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Received received;

  put_fds (p.a, 1, &p.a, 1);
  received = take_message (p.b, CONTROL_SIZE, 0);
  g_assert_cmphex (fcntl (received.fds[0], F_GETFD), ==, 0);
  close_received (&received);

  put_fds (p.a, 1, &p.a, 1);
  received = take_message (p.b, CONTROL_SIZE, MSG_CMSG_CLOEXEC);
  g_assert_cmphex (fcntl (received.fds[0], F_GETFD), ==, FD_CLOEXEC);
  close_received (&received);
}

static void
test_cut_by_buffer (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  int fds[3];
  Received received;

  fill_fds (fds, 3, p.a);
  put_fds (p.a, 5, fds, 3);
  received = take_message (p.b, CMSG_SPACE (sizeof (int)), MSG_CMSG_CLOEXEC);
  g_assert_cmphex (received.flags & MSG_CTRUNC, ==, MSG_CTRUNC);
  g_assert_cmpint (received.length, ==, 5);
  /* Where a pointer has 64 bits there is padding, which holds one more than was asked for. */
  g_assert_cmpint (received.n_fds, ==, (CMSG_SPACE (sizeof (int)) - CMSG_LEN (0)) / sizeof (int));
  close_received (&received);

  put_fds (p.a, 5, fds, 3);
  received = take_message (p.b, 0, MSG_CMSG_CLOEXEC);
  g_assert_cmphex (received.flags & MSG_CTRUNC, ==, MSG_CTRUNC);
  g_assert_cmpint (received.length, ==, 5);
}

static void
test_cut_by_limit (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd lowest = dup (p.a);
  int fds[5];
  Received received;
  struct rlimit old, tight;

  fill_fds (fds, 5, p.a);
  put_fds (p.a, 5, fds, 5);
  getrlimit (RLIMIT_NOFILE, &old);
  tight = old;
  tight.rlim_cur = lowest + 3;
  setrlimit (RLIMIT_NOFILE, &tight);
  received = take_message (p.b, CONTROL_SIZE, MSG_CMSG_CLOEXEC);
  setrlimit (RLIMIT_NOFILE, &old);
  g_assert_cmphex (received.flags & MSG_CTRUNC, ==, MSG_CTRUNC);
  g_assert_cmpint (received.length, ==, 5);
  g_assert_cmpint (received.n_fds, <, 5);
  close_received (&received);
}

static void
test_bad_in_list (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  int fds[] = { p.a, -1 };

  g_assert_cmpint (put_fds (p.a, 1, fds, 2), ==, -EBADF);
  g_assert_cmpint (take (p.b, 10), ==, -EAGAIN);
}

static void
test_with_empty_message (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Received received;

  g_assert_cmpint (put_fds (p.a, 0, &p.a, 1), ==, 0);
  received = take_message (p.b, CONTROL_SIZE, MSG_CMSG_CLOEXEC);
  g_assert_cmpint (received.length, ==, 0);
  g_assert_cmpint (received.n_fds, ==, 1);
  close_received (&received);
}

static void
test_peek (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Received received;
  int next;

  put_fds (p.a, 1, &p.a, 1);
  received = take_message (p.b, 0, MSG_PEEK);
  g_assert_cmpint (received.n_fds, ==, 0);
  next = dup (p.a);
  close (next);
  received = take_message (p.b, CONTROL_SIZE, MSG_CMSG_CLOEXEC);
  g_assert_cmpint (received.n_fds, ==, 1);
  g_assert_cmpint (received.fds[0], ==, next);
  close_received (&received);
}

static void
test_refused (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Received received;

  if (get_option (p.b, SO_PASSRIGHTS) == -ENOPROTOOPT)
    {
      g_test_skip ("SO_PASSRIGHTS came with Linux 6.16");
      return;
    }
  g_assert_cmpint (put_fds (p.a, 1, &p.a, 1), ==, 1);
  g_assert_cmpint (set_option (p.b, SO_PASSRIGHTS, 0), ==, 0);
  g_assert_cmpint (put_fds (p.a, 1, &p.a, 1), ==, -EPERM);
  g_assert_cmpint (put (p.a, 2), ==, 2);
  received = take_message (p.b, CONTROL_SIZE, MSG_CMSG_CLOEXEC);
  g_assert_cmpint (received.n_fds, ==, 1);
  close_received (&received);
}

static void
test_refusal_inherited (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "refusing", 4);
  autofd client = -1;

  if (set_option (listener, SO_PASSRIGHTS, 0) == -ENOPROTOOPT)
    {
      g_test_skip ("SO_PASSRIGHTS came with Linux 6.16");
      return;
    }
  client = client_of (SOCK_SEQPACKET, "refusing");
  g_assert_cmpint (put_fds (client, 1, &client, 1), ==, -EPERM);
}

static int
send_too_many (gpointer data)
{
  Pair *p = data;
  struct rlimit limit = { 100, 100 };
  guint n = 0;

  setrlimit (RLIMIT_NOFILE, &limit);
  while (put_fds (p->a, 1, &p->a, 1) == 1)
    n++;
  if (n != 101 || put_fds (p->a, 1, &p->a, 1) != -ETOOMANYREFS)
    return 1;

  return drain (p->b) == n && put_fds (p->a, 1, &p->a, 1) == 1 ? 0 : 2;
}

static void
test_too_many (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);

  if (geteuid () != 0)
    {
      g_test_skip ("a user without descriptors in flight is needed, and only root becomes one");
      return;
    }
  g_assert_cmpint (run_as (61102, send_too_many, &p), ==, 0);
}

/* A TCP socket with a full buffer and a peer that does not read: closing it waits. */
static int
lingering_socket (int *peer)
{
  autofd listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = { .sin_family = AF_INET };
  socklen_t length = sizeof address;
  struct linger linger = { 1, 1 };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_cmpint (bind (listener, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_cmpint (listen (listener, 1), ==, 0);
  g_assert_cmpint (getsockname (listener, (struct sockaddr *) &address, &length), ==, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  *peer = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
  fill (fd, 64 * 1024);
  setsockopt (fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  return fd;
}

static double
time_close (gboolean disarm)
{
  autofd peer = -1;
  int fd = lingering_socket (&peer);
  struct linger off = { 0, 0 };
  gint64 begin;

  if (disarm)
    setsockopt (fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
  begin = g_get_monotonic_time ();
  close (fd);
  return (g_get_monotonic_time () - begin) / 1e6;
}

static void
test_linger (void)
{
  double armed = time_close (FALSE);
  double disarmed = time_close (TRUE);

  g_assert_cmpfloat (armed, >=, 0.9);
  g_assert_cmpfloat (disarmed, <, 0.9);
}

static void
test_freed_with_queue (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autopair inner = pair_new (SOCK_SEQPACKET);

  put_fds (p.a, 1, &inner.a, 1);
  clear_fd (&inner.a);
  g_assert_cmphex (events_of (inner.b) & EPOLLHUP, ==, 0);
  clear_fd (&p.b);
  g_assert_cmphex (events_of (inner.b) & EPOLLHUP, ==, EPOLLHUP);
}

const Fact descriptor_facts[] = {
  { "most", "253 descriptors go with one message, 254 are EINVAL",
    "the limit is another", test_most },
  { "cloexec", "only MSG_CMSG_CLOEXEC makes received descriptors close on exec",
    "descriptors leak into children", test_cloexec },
  { "cut-by-buffer", "a small buffer sets MSG_CTRUNC, holds what its padding lets in, and closes "
    "the rest; the message is whole", "lost descriptors are not noticed", test_cut_by_buffer },
  { "cut-by-limit", "a full table sets MSG_CTRUNC too, and recvmsg() succeeds",
    "lost descriptors are not noticed", test_cut_by_limit },
  { "bad-in-list", "a bad descriptor among others is EBADF and nothing is sent",
    "half a message is sent", test_bad_in_list },
  { "with-empty-message", "descriptors may go with an empty message",
    "they are lost", test_with_empty_message },
  { "peek", "MSG_PEEK without a control buffer makes no descriptors and takes none",
    "peeking leaks or loses descriptors", test_peek },
  { "refused", "SO_PASSRIGHTS 0 fails the sender with EPERM; what was under way still arrives",
    "unwanted descriptors are received", test_refused },
  { "refusal-inherited", "clients not yet accepted are refused as their listener says",
    "unwanted descriptors come before the accept", test_refusal_inherited },
  { "too-many", "ETOOMANYREFS comes over the sender's RLIMIT_NOFILE and goes when some are received",
    "queued descriptors are never sent", test_too_many },
  { "linger", "closing a lingering TCP socket waits, unless SO_LINGER is cleared first",
    "clearing it is needless, or does not help", test_linger },
  { "freed-with-queue", "descriptors under way are closed when their receiver closes",
    "descriptors leak", test_freed_with_queue },
  { NULL },
};
