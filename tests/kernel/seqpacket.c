/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What messages, their end and a full buffer look like on a SOCK_SEQPACKET socket. */

#include "kernel.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#define GONE (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP)

static void
test_empty_message (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Received received;

  g_assert_cmpint (put (p.a, 0), ==, 0);
  g_assert_true (events_of (p.b) & EPOLLIN);
  received = take_message (p.b, 64, 0);
  g_assert_cmpint (received.length, ==, 0);
  g_assert_cmphex (received.flags, ==, 0);
  g_assert_cmpint (received.control_length, ==, 0);
  g_assert_cmpint (take (p.b, 10), ==, -EAGAIN);
}

static void
test_no_end_of_record (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);

  g_assert_cmpint (send (p.a, "x", 1, MSG_EOR), ==, 1);
  g_assert_cmphex (take_message (p.b, 64, 0).flags, ==, 0);
}

static void
test_empty_before_end (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);

  put (p.a, 0);
  clear_fd (&p.a);
  for (guint i = 0; i < 4; i++)
    {
      g_assert_cmphex (events_of (p.b), ==, GONE);
      g_assert_cmpint (take (p.b, 10), ==, 0);
    }
}

/* Set after the message was queued, as the library does when it sees the hang-up. */
static void
test_timestamp_marks (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  struct sockaddr_un address;
  socklen_t length = sizeof address;

  put (p.a, 0);
  clear_fd (&p.a);
  g_assert_cmpint (set_option (p.b, SO_TIMESTAMPNS, 1), ==, 0);
  g_assert_cmpint (take_message (p.b, 256, 0).control_length, >, 0);
  g_assert_cmpint (take_message (p.b, 256, 0).control_length, ==, 0);
  g_assert_cmpint (getsockname (p.b, (struct sockaddr *) &address, &length), ==, 0);
  g_assert_cmpint (length, ==, sizeof (sa_family_t));
}

static void
test_credentials_mark (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);

  set_option (p.b, SO_PASSCRED, 1);
  put (p.a, 0);
  clear_fd (&p.a);
  g_assert_cmpint (take_message (p.b, 256, 0).control_length, >, 0);
  g_assert_cmpint (take_message (p.b, 256, 0).control_length, ==, 0);
}

static void
test_credentials_autobind (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  struct sockaddr_un address;
  socklen_t length = sizeof address;

  set_option (p.a, SO_PASSCRED, 1);
  put (p.a, 1);
  g_assert_cmpint (getsockname (p.a, (struct sockaddr *) &address, &length), ==, 0);
  g_assert_cmpint (length, ==, sizeof (sa_family_t) + 6);
}

static void
test_half_close (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);

  put (p.a, 5);
  shutdown (p.a, SHUT_WR);
  g_assert_cmphex (events_of (p.b), ==, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
  g_assert_cmpint (take (p.b, 10), ==, 5);
  g_assert_cmpint (take (p.b, 10), ==, 0);
  g_assert_cmpint (put (p.b, 7), ==, 7);
  g_assert_cmpint (take (p.a, 10), ==, 7);
  g_assert_cmpint (put (p.a, 1), ==, -EPIPE);
}

static void
test_reader_stops (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  autofd epoll = -1;

  fill (p.a, 100);
  epoll = watch (p.a, EVENTS_ALL);
  g_assert_cmphex (next_events (epoll, 0), ==, 0);
  shutdown (p.b, SHUT_RD);
  g_assert_cmphex (next_events (epoll, 20), ==, 0);
  g_assert_cmpint (put (p.a, 1), ==, -EPIPE);
}

static void
test_hang_up_before_data (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);

  put (p.a, 5);
  put (p.a, 6);
  clear_fd (&p.a);
  g_assert_cmphex (events_of (p.b), ==, GONE);
  g_assert_cmpint (take (p.b, 10), ==, 5);
  g_assert_cmpint (take (p.b, 10), ==, 6);
  g_assert_cmpint (take (p.b, 10), ==, 0);
}

/* The peer answers twice and closes with a message of ours unread. */
static Pair
reset_pair (void)
{
  Pair p = pair_new (SOCK_SEQPACKET);

  put (p.b, 1);
  put (p.a, 5);
  put (p.a, 6);
  clear_fd (&p.a);
  return p;
}

static void
test_reset_before_data (void)
{
  autopair p = reset_pair ();

  g_assert_cmphex (events_of (p.b), ==, GONE | EPOLLERR);
  g_assert_cmpint (take (p.b, 10), ==, -ECONNRESET);
  g_assert_cmpint (take (p.b, 10), ==, 5);
  g_assert_cmpint (take (p.b, 10), ==, 6);
  g_assert_cmpint (take (p.b, 10), ==, 0);
}

static void
test_reset_on_send (void)
{
  autopair p = reset_pair ();

  g_assert_cmpint (put (p.b, 1), ==, -ECONNRESET);
  g_assert_cmpint (put (p.b, 1), ==, -EPIPE);
  g_assert_cmpint (take (p.b, 10), ==, 5);
  g_assert_cmpint (take (p.b, 10), ==, 6);
  g_assert_cmpint (take (p.b, 10), ==, 0);
}

static void
test_reset_cleared (void)
{
  autopair p = reset_pair ();

  g_assert_cmpint (get_option (p.b, SO_ERROR), ==, ECONNRESET);
  g_assert_cmpint (get_option (p.b, SO_ERROR), ==, 0);
  g_assert_cmpint (take (p.b, 10), ==, 5);
}

static void
test_longest_message (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  int size = get_option (p.a, SO_SNDBUF);

  g_assert_cmpint (put (p.a, size - 31), ==, -EMSGSIZE);
  g_assert_cmpint (put (p.a, size - 32), ==, size - 32);
  g_assert_cmpint (take (p.b, size), ==, size - 32);
  g_assert_cmpint (set_option (p.a, SO_SNDBUF, 100 * 1000), ==, 0);
  g_assert_cmpint (get_option (p.a, SO_SNDBUF), ==, 200 * 1000);
}

static void
test_kernel_ceiling (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);

  set_option (p.a, SO_SNDBUF, 4400 * 1024);
  if (get_option (p.a, SO_SNDBUF) < 4500 * 1024)
    {
      g_test_skip ("net.core.wmem_max is too small to reach the ceiling");
      return;
    }
  g_assert_cmpint (put (p.a, 4000 * 1000), ==, 4000 * 1000);
  drain (p.b);
  g_assert_cmpint (put (p.a, 4400 * 1000), ==, -ENOBUFS);
}

static void
test_real_length (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  char byte;

  put (p.a, 1000);
  put (p.a, 1000);
  g_assert_cmpint (recv (p.b, &byte, 1, MSG_PEEK | MSG_TRUNC), ==, 1000);
  g_assert_cmpint (recv (p.b, &byte, 1, MSG_TRUNC), ==, 1000);
  g_assert_cmpint (take (p.b, 10), ==, 10);
  g_assert_cmpint (take (p.b, 10), ==, -EAGAIN);
}

static void
test_room_comes_late (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  guint n = fill (p.a, 100);
  guint n_read = 0;

  g_assert_cmpint (take (p.b, 100), ==, 100);
  g_assert_cmpint (put (p.a, 100), ==, 100);
  while (!(events_of (p.a) & EPOLLOUT) && n_read < n)
    {
      g_assert_cmpint (take (p.b, 100), ==, 100);
      n_read++;
    }
  g_assert_cmpint (n_read, >, n / 2);
  g_assert_cmpint (n_read, <, n);
}

static void
test_room_unseen (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);

  g_assert_cmpint (put (p.a, 64 * 1024), ==, 64 * 1024);
  g_assert_false (events_of (p.a) & EPOLLOUT);
  g_assert_cmpint (put (p.a, 64 * 1024), ==, 64 * 1024);
}

static void
test_vectors (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  struct iovec vectors[UIO_MAXIOV + 1];
  struct msghdr header = { .msg_iov = vectors, .msg_iovlen = UIO_MAXIOV };
  char byte = 0;

  for (guint i = 0; i < G_N_ELEMENTS (vectors); i++)
    vectors[i] = (struct iovec){ &byte, 1 };
  g_assert_cmpint (sendmsg (p.a, &header, 0), ==, UIO_MAXIOV);
  header.msg_iovlen++;
  g_assert_cmpint (sendmsg (p.a, &header, 0), ==, -1);
  g_assert_cmpint (errno, ==, EMSGSIZE);
}

static void
test_unread_sum (void)
{
  static const gsize lengths[] = { 0, 1, 64, 191, 192, 193, 1000, 4096, 30000, 100000 };
  const int overhead = GLIB_SIZEOF_VOID_P == 8 ? 512 : 256;

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      autopair p = pair_new (SOCK_SEQPACKET);
      struct pollfd state = { .fd = p.a };
      int sum;

      for (int n = 1; n <= 2; n++)
        {
          put (p.a, lengths[i]);
          g_assert_no_errno (ioctl (p.a, SIOCOUTQ, &sum));
          g_assert_cmpint (sum, >=, n * ((int) lengths[i] + overhead));
        }
      take (p.b, lengths[i] + 1);
      take (p.b, lengths[i] + 1);
      g_assert_no_errno (ioctl (p.a, SIOCOUTQ, &sum));
      g_assert_cmpint (sum, ==, 0);

      put (p.a, lengths[i]);
      g_assert_cmpint (poll (&state, 1, 0), ==, 0);
      clear_fd (&p.b);
      g_assert_no_errno (ioctl (p.a, SIOCOUTQ, &sum));
      g_assert_cmpint (sum, ==, 0);
      g_assert_cmpint (poll (&state, 1, 0), ==, 1);
      if (lengths[i] > 0)
        g_assert_cmphex (state.revents & POLLERR, ==, POLLERR);
    }
}

const Fact seqpacket_facts[] = {
  { "empty-message", "an empty message makes the peer readable and reads as 0 with no flags",
    "empty messages are not seen at all", test_empty_message },
  { "no-end-of-record", "MSG_EOR is never returned",
    "a simpler marker of messages has come", test_no_end_of_record },
  { "empty-before-end", "an empty message before the end reads and polls just as the end does",
    "a simpler marker of messages has come", test_empty_before_end },
  { "timestamp-marks",
    "SO_TIMESTAMPNS adds a record to messages already queued, none to the end, and binds nothing",
    "empty messages before the end are lost or made up", test_timestamp_marks },
  { "credentials-mark", "SO_PASSCRED adds a record to each message and none to the end",
    "empty messages before the end are lost or made up", test_credentials_mark },
  { "credentials-autobind", "SO_PASSCRED gives the sender an abstract name as it sends",
    "remote addresses of peers with credentials are no longer a surprise",
    test_credentials_autobind },
  { "half-close", "after the peer's SHUT_WR its messages are read, then 0, and we may still send",
    "allow-half-open does not work", test_half_close },
  { "reader-stops", "a peer's SHUT_RD gives no event to a full sender, and EPIPE to its next send",
    "the write-stall timeout is no longer needed, or finds nothing", test_reader_stops },
  { "hang-up-before-data", "a hang-up is polled while messages are still to be read",
    "messages before the end are lost, or the end comes late", test_hang_up_before_data },
  { "reset-before-data", "a reset is read once before the messages, then they, then 0",
    "messages before a reset are lost", test_reset_before_data },
  { "reset-on-send", "a reset fails one send, then it is EPIPE, and what came can still be read",
    "messages before a reset are lost", test_reset_on_send },
  { "reset-cleared", "reading SO_ERROR takes the reset away", "SO_ERROR may be read freely",
    test_reset_cleared },
  { "longest-message", "a message may have SO_SNDBUF - 32 bytes, and SO_SNDBUF is doubled when set",
    "the longest message is computed wrongly", test_longest_message },
  { "kernel-ceiling", "a message over about 4.2 MB is ENOBUFS whatever SO_SNDBUF says",
    "such messages are reported as something else", test_kernel_ceiling },
  { "real-length", "MSG_TRUNC returns the real length, and what did not fit is gone",
    "cut messages look whole", test_real_length },
  { "room-comes-late", "a send works after one read, EPOLLOUT comes only when 3/4 were read",
    "the queue is flushed late", test_room_comes_late },
  { "room-unseen", "with one large message under way there is room, but no EPOLLOUT",
    "large messages wait although they could go", test_room_unseen },
  { "unread-sum", "SIOCOUTQ counts a packet that is unread for its bytes and some, a read one for "
    "nothing, and one that was dropped for nothing when there is POLLERR, unless all are empty",
    "messages that were not read are not told of", test_unread_sum },
  { "vectors", "1024 vectors are sent in one message, 1025 are EMSGSIZE",
    "messages of many segments fail", test_vectors },
  { NULL },
};
