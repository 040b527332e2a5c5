/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where reads and writes of a SOCK_STREAM socket stop, and what comes at its end. */

#include "kernel.h"

#include <string.h>

#define CONTROL_SIZE 2048
/* More than a send buffer, whatever the system gives. */
#define MUCH (8 * 1024 * 1024)

static gssize
put_text (int fd,
          const char *text,
          int flags)
{
  gssize result = send (fd, text, strlen (text), flags | MSG_DONTWAIT | MSG_NOSIGNAL);

  return result < 0 ? -errno : result;
}

static Received
take_all (int fd)
{
  Received received = take_message (fd, CONTROL_SIZE, MSG_CMSG_CLOEXEC);

  for (guint i = 0; i < received.n_fds; i++)
    close (received.fds[i]);
  return received;
}

static void
test_short_read (void)
{
  autopair p = pair_new (SOCK_STREAM);

  put_text (p.a, "ab", 0);
  put_text (p.a, "c", 0);
  g_assert_cmpint (take (p.b, 10), ==, 3);
  g_assert_cmpint (take (p.b, 10), ==, -EAGAIN);
}

static void
test_fds_stop_reads (void)
{
  autopair p = pair_new (SOCK_STREAM);
  int fds[] = { p.a, p.b };
  Received received;

  put_text (p.a, "aa", 0);
  put_fds (p.a, 2, fds, 2);
  put_text (p.a, "cc", 0);
  put_fds (p.a, 2, fds, 1);
  received = take_all (p.b);
  g_assert_cmpint (received.length, ==, 4);
  g_assert_cmpint (received.n_fds, ==, 2);
  g_assert_cmpint (received.control_length, >, 0);
  received = take_all (p.b);
  g_assert_cmpint (received.length, ==, 4);
  g_assert_cmpint (received.n_fds, ==, 1);
}

static void
test_fds_with_first_byte (void)
{
  autopair p = pair_new (SOCK_STREAM);
  struct iovec vector = { (char[2]) { 0 }, 1 };
  union
  {
    struct cmsghdr align;
    char buffer[CONTROL_SIZE];
  } control;
  struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = sizeof control };
  int fd;

  put_fds (p.a, 2, &p.a, 1);
  g_assert_cmpint (recvmsg (p.b, &header, MSG_DONTWAIT), ==, 1);
  g_assert_cmpint (header.msg_controllen, >, 0);
  memcpy (&fd, CMSG_DATA (&control.align), sizeof fd);
  close (fd);
  header.msg_controllen = sizeof control;
  g_assert_cmpint (recvmsg (p.b, &header, MSG_DONTWAIT), ==, 1);
  g_assert_cmpint (header.msg_controllen, ==, 0);
}

static void
test_fds_with_first_part (void)
{
  autopair p = pair_new (SOCK_STREAM);
  gssize sent = put_fds (p.a, MUCH, &p.a, 1);
  guint n_fds = 0;
  Received received;

  g_assert_cmpint (sent, >, 0);
  g_assert_cmpint (sent, <, MUCH);
  g_assert_cmpint (put (p.a, 1), ==, -EAGAIN);
  while ((received = take_all (p.b)).length > 0)
    n_fds += received.n_fds;
  g_assert_cmpint (n_fds, ==, 1);
}

static void
test_fds_without_bytes (void)
{
  autopair p = pair_new (SOCK_STREAM);

  g_assert_cmpint (put_fds (p.a, 0, &p.a, 1), ==, 0);
  g_assert_cmpint (take (p.b, 10), ==, -EAGAIN);
}

static int
put_as_other (gpointer fd)
{
  return put (GPOINTER_TO_INT (fd), 2) == 2 ? 0 : 1;
}

static void
test_senders_stop_reads (void)
{
  autopair p = pair_new (SOCK_STREAM);
  Received received;

  set_option (p.b, SO_PASSCRED, 1);
  put (p.a, 2);
  g_assert_cmpint (run_as (getuid () == 0 ? 1234 : getuid (), put_as_other,
                           GINT_TO_POINTER (p.a)), ==, 0);
  put (p.a, 2);
  for (guint i = 0; i < 3; i++)
    {
      received = take_all (p.b);
      g_assert_cmpint (received.length, ==, 2);
      g_assert_true (received.has_credentials);
      g_assert_true ((received.credentials.pid == getpid ()) == (i != 1));
    }
}

static void
test_out_of_band (void)
{
  autopair p = pair_new (SOCK_STREAM);

  set_option (p.b, SO_OOBINLINE, 1);
  put_text (p.a, "ab", 0);
  put_text (p.a, "c", MSG_OOB);
  put_text (p.a, "de", 0);
  {
    autofd epoll = watch (p.b, EPOLLIN | EPOLLPRI);

    g_assert_cmphex (next_events (epoll, 0), ==, EPOLLIN | EPOLLPRI);
  }
  g_assert_cmpint (take (p.b, 10), ==, 2);
  g_assert_cmpint (take (p.b, 10), ==, 3);
  g_assert_cmpint (take (p.b, 10), ==, -EAGAIN);
}

static void
test_out_of_band_is_an_edge (void)
{
  autopair p = pair_new (SOCK_STREAM);
  autofd epoll = -1;

  set_option (p.b, SO_OOBINLINE, 1);
  put_text (p.a, "ab", 0);
  epoll = watch (p.b, EPOLLIN | EPOLLPRI | EPOLLET);
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLIN);
  put_text (p.a, "c", MSG_OOB);
  g_assert_cmpint (take (p.b, 10), ==, 2);
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLIN | EPOLLPRI);
  g_assert_cmpint (take (p.b, 10), ==, 1);
}

static void
test_reset_after_data (void)
{
  autopair p = pair_new (SOCK_STREAM);

  put (p.b, 3);
  put (p.a, 2);
  clear_fd (&p.a);
  g_assert_cmpint (put (p.b, 1), ==, -EPIPE);
  g_assert_cmpint (take (p.b, 10), ==, 2);
  g_assert_cmpint (take (p.b, 10), ==, -ECONNRESET);
  g_assert_cmpint (take (p.b, 10), ==, 0);
  g_assert_cmpint (take (p.b, 10), ==, 0);
}

static void
test_peek_takes_reset (void)
{
  autopair p = pair_new (SOCK_STREAM);
  char byte;

  put (p.b, 3);
  clear_fd (&p.a);
  g_assert_cmpint (recv (p.b, &byte, 1, MSG_PEEK | MSG_DONTWAIT), ==, -1);
  g_assert_cmpint (errno, ==, ECONNRESET);
  g_assert_cmpint (take (p.b, 10), ==, 0);
}

static void
test_room (void)
{
  autopair p = pair_new (SOCK_STREAM);
  autofd epoll = -1;

  fill (p.a, MUCH);
  epoll = watch (p.a, EPOLLOUT | EPOLLET);
  g_assert_cmphex (next_events (epoll, 0), ==, 0);
  drain (p.b);
  g_assert_cmphex (next_events (epoll, 0), ==, EPOLLOUT);
}

static void
test_reader_gives_up (void)
{
  autopair p = pair_new (SOCK_STREAM);

  fill (p.a, MUCH);
  shutdown (p.b, SHUT_RD);
  g_assert_cmphex (events_of (p.a) & (EPOLLOUT | EPOLLERR | EPOLLHUP), ==, 0);
  g_assert_cmpint (put (p.a, 1), ==, -EPIPE);
}

const Fact stream_facts[] = {
  { "short-read", "a read that is not filled has emptied the socket",
    "streams stand still with bytes unread", test_short_read },
  { "fds-stop-reads", "a read ends behind the segment that has descriptors, and may begin before",
    "descriptors of several messages mix", test_fds_stop_reads },
  { "fds-with-first-byte", "descriptors come with the first byte of their segment that is read",
    "a frame is complete before its descriptors", test_fds_with_first_byte },
  { "fds-with-first-part", "descriptors leave with the part that leaves first, and a part means "
    "that the buffer is full", "descriptors are sent twice, or never", test_fds_with_first_part },
  { "fds-without-bytes", "descriptors without a byte are taken and vanish",
    "refusing them is needless", test_fds_without_bytes },
  { "senders-stop-reads", "with SO_PASSCRED no read goes across a change of the sender",
    "bytes are ascribed to somebody else", test_senders_stop_reads },
  { "out-of-band", "with SO_OOBINLINE no byte is missing; a read stops before the one that is out "
    "of band, and EPOLLPRI says that there is one", "bytes are lost, or streams stand still",
    test_out_of_band },
  { "out-of-band-is-an-edge", "a byte out of band that comes after the events were read is an edge",
    "streams stand still behind it", test_out_of_band_is_an_edge },
  { "reset-after-data", "what was sent before a reset is read first, then ECONNRESET once, then the "
    "end; sending is EPIPE at once", "data or the reset is lost", test_reset_after_data },
  { "peek-takes-reset", "MSG_PEEK takes the ECONNRESET, too", "a reset is told twice, or never",
    test_peek_takes_reset },
  { "room", "EPOLLOUT is an edge when a full buffer is read empty", "writers stand still",
    test_room },
  { "reader-gives-up", "a peer that will read no more is no event, but EPIPE",
    "trying again now and then is needless", test_reader_gives_up },
  { NULL },
};
