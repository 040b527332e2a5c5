/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-io-calls-private.h"

#include <unistd.h>

/* In a thread, because a lock of the socket may be held by who does not let go of it. A socket that
 * does not linger is closed at once. */
void
usock_io_close_now (int fd)
{
  const struct linger none = { FALSE, 0 };

  setsockopt (fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close (fd);
}

/* A descriptor that a stranger gave. */
void
usock_io_close_foreign (int         fd,
                        UsockTally *owner)
{
  usock_closer_push (owner, fd, usock_io_close_now);
}

static gboolean
lingers (int fd)
{
  struct linger linger = { FALSE, 0 };
  socklen_t length = sizeof linger;

  return usock_io_get_option_bytes (fd, SOL_SOCKET, SO_LINGER, &linger, &length) < 0
         || (linger.l_onoff && linger.l_linger > 0);
}

/* Whether who sends descriptors to it is told that it takes none. */
static gboolean
refuses_fds (int fd)
{
  int passes = TRUE;

  return usock_io_get_option (fd, SOL_SOCKET, SO_PASSRIGHTS, &passes) == 0 && !passes;
}

/* The queue is empty, and nobody can put anything there: the peer has gone, or writes no more. An
 * error of the socket is not looked behind: that would take it from others who have the socket. */
static gboolean
is_at_end (int fd)
{
  gboolean at_end = FALSE;
  int type, marked;

  if (usock_io_get_option (fd, SOL_SOCKET, SO_TYPE, &type) < 0
      || usock_io_get_option (fd, SOL_SOCKET, SO_TIMESTAMPNS, &marked) < 0)
    return FALSE;

  return (type == SOCK_STREAM || (type == SOCK_SEQPACKET && marked))
         && usock_io_peek_end (fd, type == SOCK_STREAM, &at_end) == 0 && at_end;
}

/* Whether nothing can make closing it take long: no data that lingers, and in a local socket no
 * descriptors of strangers, which are closed with it. Without knowing that they are refused, an
 * empty queue says nothing of the next moment; nor does an empty backlog. */
static gboolean
closes_at_once (int fd)
{
  struct pollfd poll = { fd, POLLIN | POLLPRI, 0 };
  int family = AF_UNSPEC;

  if (usock_io_get_option (fd, SOL_SOCKET, SO_DOMAIN, &family) < 0)
    return FALSE;
  if (family != AF_UNIX)
    return !lingers (fd);

  if (usock_io_poll (&poll, 1, 0) < 0 || (poll.revents & (POLLERR | POLLPRI)) != 0)
    return FALSE;
  if ((poll.revents & POLLIN) == 0)
    return refuses_fds (fd);
  return is_at_end (fd);
}

/* A socket of ours. When this returns its peer has seen it, and its name is free, unless waiting for
 * that would take long. */
void
usock_io_close (int fd)
{
  g_autoptr (UsockTally) owner = NULL;

  if (closes_at_once (fd))
    {
      close (fd);
      return;
    }

  owner = usock_tally_new (NULL, NULL);
  usock_closer_push (owner, fd, NULL);
  usock_closer_settle (owner);
}
