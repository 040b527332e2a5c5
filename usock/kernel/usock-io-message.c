/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-io-calls-private.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TIME_SPACE CMSG_SPACE (sizeof (struct timespec))

/* Returns whether it was non-blocking before. Who else has the open file sees it change. */
int
usock_io_set_nonblocking (int      fd,
                          gboolean nonblocking)
{
  int flags = RETRY (fcntl (fd, F_GETFL));
  int wanted = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;

  if (flags < 0)
    return flags;
  if (flags != wanted && fcntl (fd, F_SETFL, wanted) == -1)
    return -errno;

  return (flags & O_NONBLOCK) != 0;
}

/* @address is NULL for a peer without a name, or one that cannot be told. */
int
usock_io_accept_from (int              fd,
                      GSocketAddress **address)
{
  UsockIoNative name = { 0 };
  socklen_t length = sizeof name;
  int result;

  FAULT (USOCK_IO_ACCEPT);
  result = RETRY (accept4 (fd, &name.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (result >= 0 && address != NULL)
    *address = usock_native_to_address (&name.any, length);
  return result;
}

/* A datagram socket that was connected is so no longer. */
int
usock_io_disconnect (int fd)
{
  struct sockaddr none = { .sa_family = AF_UNSPEC };

  FAULT (USOCK_IO_CONNECT);
  return RETRY (connect (fd, &none, sizeof none));
}

int
usock_io_shutdown (int fd,
                   int how)
{
  FAULT (USOCK_IO_SHUTDOWN);
  return RETRY (shutdown (fd, how));
}

/* Never longer than @timeout ms, of which an interruption takes nothing away; below 0 for ever. */
int
usock_io_poll (struct pollfd *fds,
               guint          n_fds,
               int            timeout)
{
  gint64 deadline = g_get_monotonic_time () + timeout * G_GINT64_CONSTANT (1000);
  int result;

  FAULT (USOCK_IO_POLL);
  while ((result = poll (fds, n_fds, timeout)) == -1 && errno == EINTR)
    if (timeout > 0)
      timeout = (int) MAX ((deadline - g_get_monotonic_time () + 999) / 1000, 0);

  return result == -1 ? -errno : result;
}

/* Peeking with a control buffer installs descriptors, each time anew: there is room for the time
 * alone then, which comes first, where it is sure to come. */
static gsize
incoming_control_size (int                    fd,
                       const UsockIoIncoming *incoming,
                       int                    flags)
{
  int marked = 0;

  if (!incoming->with_control)
    return 0;
  if ((flags & MSG_PEEK) == 0 || incoming->family != AF_UNIX)
    return sizeof incoming->buffer;

  if (getsockopt (fd, SOL_SOCKET, SO_TIMESTAMPNS, &marked, &(socklen_t) { sizeof marked }) == -1)
    marked = 0;
  return marked ? TIME_SPACE : 0;
}

/* What came along is in @incoming->control; its descriptors are the caller's. Only AF_UNIX brings
 * any, and packet sockets refuse to be asked to close them on exec. */
gssize
usock_io_receive_message (int              fd,
                          UsockIoIncoming *incoming,
                          int              flags)
{
  struct msghdr header = { 0 };
  gssize result;

  FAULT (USOCK_IO_RECEIVE);
  header.msg_name = &incoming->name;
  header.msg_namelen = sizeof incoming->name;
  header.msg_iov = incoming->iov;
  header.msg_iovlen = incoming->n_iov;
  header.msg_controllen = incoming_control_size (fd, incoming, flags);
  header.msg_control = header.msg_controllen > 0 ? incoming->buffer : NULL;
  flags &= ~MSG_CMSG_CLOEXEC;
  if (incoming->family == AF_UNIX)
    flags |= MSG_CMSG_CLOEXEC;

  result = RETRY (recvmsg (fd, &header, flags | MSG_DONTWAIT));
  if (result < 0)
    return result;

  incoming->name_length = header.msg_namelen;
  incoming->has_control = header.msg_controllen > 0;
  usock_io_control_parse (&header, &incoming->control);
  return result;
}

/* NULL if nobody signed it. */
char *
usock_io_incoming_get_sender (const UsockIoIncoming *incoming)
{
  return usock_native_to_text (&incoming->name.any, incoming->name_length);
}

/* Has the message know its sender's address. */
void
usock_io_incoming_sign (const UsockIoIncoming *incoming,
                        UsockMessage          *message)
{
  usock_message_receive_sender (message, &incoming->name.any, incoming->name_length,
                                usock_native_to_address);
}
