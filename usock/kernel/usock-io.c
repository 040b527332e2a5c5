/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-io-calls-private.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#ifdef USOCK_FAULTS
static struct
{
  int errnum;
  guint nth;
  guint every;
  guint n_calls;
} faults[USOCK_IO_POLL + 1];

static int fault_cut;
static gboolean fault_interrupts;

void
usock_io_fault_add (UsockIoCall call,
                    int         errnum,
                    guint       nth,
                    guint       every)
{
  faults[call].errnum = errnum;
  faults[call].nth = nth;
  faults[call].every = every;
}

void
usock_io_fault_clear (void)
{
  memset (faults, 0, sizeof faults);
}

/* How often it was asked for since the faults were cleared. */
guint
usock_io_fault_get_n_calls (UsockIoCall call)
{
  return faults[call].n_calls;
}

int
usock_io_fault_next (UsockIoCall call)
{
  fault_cut = 0;
  fault_interrupts = FALSE;
  faults[call].n_calls++;
  if (faults[call].nth == 0 || --faults[call].nth > 0)
    return 0;

  faults[call].nth = faults[call].every;
  fault_cut = MIN (faults[call].errnum, 0);
  fault_interrupts = faults[call].errnum == EINTR;
  return fault_interrupts ? 0 : faults[call].errnum;
}

gboolean
usock_io_fault_interrupts (void)
{
  gboolean interrupts = fault_interrupts;

  fault_interrupts = FALSE;
  if (interrupts)
    errno = EINTR;
  return interrupts;
}

gsize
usock_io_fault_cut (gsize length)
{
  int cut = fault_cut;

  fault_cut = 0;
  if (cut == USOCK_IO_ZERO)
    return 0;
  return cut == USOCK_IO_SHORT ? (length + 1) / 2 : length;
}
#endif

const char *
usock_io_call_name (UsockIoCall call)
{
  static const char *const names[] = {
    [USOCK_IO_NONE] = NULL,
    [USOCK_IO_SOCKET] = "socket",
    [USOCK_IO_PAIR] = "socketpair",
    [USOCK_IO_BIND] = "bind",
    [USOCK_IO_LISTEN] = "listen",
    [USOCK_IO_ACCEPT] = "accept",
    [USOCK_IO_CONNECT] = "connect",
    [USOCK_IO_SEND] = "send",
    [USOCK_IO_RECEIVE] = "receive",
    [USOCK_IO_GET_OPTION] = "getsockopt",
    [USOCK_IO_SET_OPTION] = "setsockopt",
    [USOCK_IO_GET_NAME] = "getsockname",
    [USOCK_IO_SHUTDOWN] = "shutdown",
    [USOCK_IO_POLL] = "poll",
  };

  return names[call];
}

int
usock_io_socket (int family,
                 int type,
                 int protocol)
{
  FAULT (USOCK_IO_SOCKET);
  return RETRY (socket (family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

int
usock_io_pair (int type,
               int fds[2])
{
  FAULT (USOCK_IO_PAIR);
  return RETRY (socketpair (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
}

int
usock_io_listen (int fd,
                 int backlog)
{
  FAULT (USOCK_IO_LISTEN);
  return RETRY (listen (fd, backlog > 0 ? backlog : SOMAXCONN));
}

int
usock_io_accept (int fd)
{
  FAULT (USOCK_IO_ACCEPT);
  return RETRY (accept4 (fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

/* accept() has no flag of its own that says not to wait. */
int
usock_io_prepare_adopted (int fd)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags == -1)
    return -errno;
  if ((flags & O_NONBLOCK) == 0 && fcntl (fd, F_SETFL, flags | O_NONBLOCK) == -1)
    return -errno;

  return fcntl (fd, F_SETFD, FD_CLOEXEC) == -1 ? -errno : 0;
}

/* Returns whether it was non-blocking before. Who else has the open file sees it change. */
int
usock_io_set_nonblocking (int      fd,
                          gboolean nonblocking)
{
  int flags = fcntl (fd, F_GETFL);
  int wanted = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;

  if (flags == -1)
    return -errno;
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
  while ((result = INTERRUPTED (poll (fds, n_fds, timeout))) == -1 && errno == EINTR)
    if (timeout > 0)
      timeout = (int) MAX ((deadline - g_get_monotonic_time () + 999) / 1000, 0);

  return result == -1 ? -errno : result;
}

int
usock_io_get_option (int  fd,
                     int  level,
                     int  name,
                     int *value)
{
  socklen_t length = sizeof *value;

  FAULT (USOCK_IO_GET_OPTION);
  return RETRY (getsockopt (fd, level, name, value, &length));
}

int
usock_io_set_option (int fd,
                     int level,
                     int name,
                     int value)
{
  FAULT (USOCK_IO_SET_OPTION);
  return RETRY (setsockopt (fd, level, name, &value, sizeof value));
}

/* Also a call that fails may have stored a length: that of the answer there was no room for. */
int
usock_io_get_option_bytes (int        fd,
                           int        level,
                           int        name,
                           gpointer   data,
                           socklen_t *length)
{
  FAULT (USOCK_IO_GET_OPTION);
  return RETRY (getsockopt (fd, level, name, data, length));
}

int
usock_io_set_option_bytes (int           fd,
                           int           level,
                           int           name,
                           gconstpointer data,
                           socklen_t     length)
{
  FAULT (USOCK_IO_SET_OPTION);
  return RETRY (setsockopt (fd, level, name, data, length));
}

int
usock_io_set_credentials (int      fd,
                          gboolean pass)
{
  return usock_io_set_option (fd, SOL_SOCKET, SO_PASSCRED, pass);
}

/* Linux before 6.5 knows none. */
int
usock_io_set_pidfds (int      fd,
                     gboolean pass)
{
  int result = usock_io_set_option (fd, SOL_SOCKET, SO_PASSPIDFD, pass);

  return result == -ENOPROTOOPT || result == -EOPNOTSUPP ? 0 : result;
}

/* On SEQPACKET recvmsg() returns 0 both for an empty message and at the end. What tells them
 * apart without fail is a control record that every message carries, and the end does not. The
 * time of arrival is the cheapest one there is: SO_PASSCRED costs twice as much, and gives the
 * socket a name. It works also for messages that were queued before. */
int
usock_io_set_markers (int fd)
{
  return usock_io_set_option (fd, SOL_SOCKET, SO_TIMESTAMPNS, TRUE);
}

/* From Linux 6.16 on the sender is told EPERM. Before, descriptors come whether wanted or not.
 * Returns whether they are refused now. */
int
usock_io_refuse_fds (int      fd,
                     gboolean refuse)
{
  int result = usock_io_set_option (fd, SOL_SOCKET, SO_PASSRIGHTS, !refuse);

  if (result == -ENOPROTOOPT || result == -EOPNOTSUPP)
    return FALSE;
  return result < 0 ? result : refuse;
}

/* What a socket has that is new. Not every kernel and family knows all of it. */
void
usock_io_set_plain (int fd)
{
  usock_io_set_option (fd, SOL_SOCKET, SO_OOBINLINE, FALSE);
  usock_io_set_option (fd, SOL_SOCKET, SO_TIMESTAMPNS, FALSE);
  usock_io_set_credentials (fd, FALSE);
  usock_io_set_pidfds (fd, FALSE);
  usock_io_refuse_fds (fd, FALSE);
}

/* What the socket was told meanwhile, and would say at its next call; an errno, or 0. It says it
 * once. */
int
usock_io_take_error (int fd)
{
  int errnum = 0;

  return usock_io_get_option (fd, SOL_SOCKET, SO_ERROR, &errnum) == 0 ? errnum : 0;
}

/* Whether there is something to read, or that cannot be told. */
gboolean
usock_io_has_input (int fd)
{
  struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

  FAULT (USOCK_IO_POLL);
  return poll (&poll_fd, 1, 0) != 0;
}

/* Closing takes back what is on its way, and lets TCP tell the peer so. */
int
usock_io_set_abort (int fd)
{
  const struct linger now = { TRUE, 0 };

  FAULT (USOCK_IO_SET_OPTION);
  return RETRY (setsockopt (fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
}

/* A message must fit SO_SNDBUF but for 32 bytes. The kernel doubles what is set. */
int
usock_io_make_room (int   fd,
                    gsize message_length)
{
  gsize wanted = message_length + 32;
  int size = 0;
  int result;

  if (message_length > USOCK_IO_MESSAGE_MAX)
    return -EMSGSIZE;

  result = usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &size);
  if (result < 0 || wanted <= (gsize) size)
    return result;

  usock_io_set_option (fd, SOL_SOCKET, SO_SNDBUF, (int) wanted);
  usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &size);
  if (wanted > (gsize) size)
    {
      usock_io_set_option (fd, SOL_SOCKET, SO_SNDBUFFORCE, (int) wanted);
      usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &size);
    }

  return wanted <= (gsize) size ? 0 : -EMSGSIZE;
}

/* What every Linux has unless somebody has changed it. */
#define OVERFLOW_ID 65534

static guint
read_overflow_id (const char *path)
{
  g_autofree char *text = NULL;
  guint64 id = OVERFLOW_ID;

  if (g_file_get_contents (path, &text, NULL, NULL))
    g_ascii_string_to_unsigned (g_strstrip (text), 10, 0, G_MAXUINT32 - 1, &id, NULL);
  return id;
}

/* Whoever has no number in our user namespace is shown with this one. A user who really has it can
 * not be told from them. */
static guint
get_overflow_uid (void)
{
  static gsize id = 0;

  if (g_once_init_enter (&id))
    g_once_init_leave (&id, (gsize) read_overflow_id ("/proc/sys/kernel/overflowuid") + 1);
  return id - 1;
}

static guint
get_overflow_gid (void)
{
  static gsize id = 0;

  if (g_once_init_enter (&id))
    g_once_init_leave (&id, (gsize) read_overflow_id ("/proc/sys/kernel/overflowgid") + 1);
  return id - 1;
}

/* FALSE if the kernel does not know the user. Of one in another pid namespace it knows the user and
 * not the process, and shows that as 0: here it is -1, as GCredentials has what is not known. */
gboolean
usock_io_read_credentials (const struct ucred *native,
                           UsockCredentials   *credentials)
{
  if (native->uid == (uid_t) -1 || native->uid == get_overflow_uid ())
    return FALSE;

  *credentials = (UsockCredentials) {
    native->pid > 0 ? native->pid : -1,
    native->uid,
    native->gid != get_overflow_gid () ? native->gid : (gid_t) -1,
  };
  return TRUE;
}

/* An unconnected socket, and a connected datagram one, succeed with pid 0 and uid -1. */
int
usock_io_get_peer_credentials (int               fd,
                               UsockCredentials *credentials)
{
  struct ucred native = { 0, -1, -1 };
  socklen_t length = sizeof native;
  int result;

  FAULT (USOCK_IO_GET_OPTION);
  result = RETRY (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &native, &length));
  if (result < 0)
    return result;

  return usock_io_read_credentials (&native, credentials) ? 0 : -ENODATA;
}

/* The socket has held the process since it connected: its number may have been given to another,
 * but this is never that other one. Returns a new descriptor, close-on-exec. */
int
usock_io_get_peer_pidfd (int fd)
{
  int pidfd = -1;
  int result = usock_io_get_option (fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd);

  return result < 0 ? result : pidfd;
}

/* -ERANGE tells in @n_groups how many there are. Of those without a number here nothing can be
 * said. */
int
usock_io_get_peer_groups (int    fd,
                          guint *groups,
                          gsize *n_groups)
{
  socklen_t length = *n_groups * sizeof *groups;
  gsize n_known = 0;
  int result;

  FAULT (USOCK_IO_GET_OPTION);
  result = RETRY (getsockopt (fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length));
  *n_groups = length / sizeof *groups;
  if (result < 0)
    return result;

  for (gsize i = 0; i < *n_groups; i++)
    if (groups[i] != get_overflow_gid ())
      groups[n_known++] = groups[i];
  *n_groups = n_known;
  return 0;
}

/* -ERANGE tells in @length how long it is. Some security modules count the NUL at its end. */
int
usock_io_get_peer_label (int    fd,
                         char  *label,
                         gsize *length)
{
  socklen_t native_length = *length;
  int result;

  FAULT (USOCK_IO_GET_OPTION);
  result = RETRY (getsockopt (fd, SOL_SOCKET, SO_PEERSEC, label, &native_length));
  *length = native_length;
  return result;
}

UsockIoRoom
usock_io_get_room (int fd)
{
  int queued, size;

  if (ioctl (fd, SIOCOUTQ, &queued) == -1
      || usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &size) < 0)
    return USOCK_IO_FREE;

  if (queued >= size)
    return USOCK_IO_FULL;
  return queued > size / 4 ? USOCK_IO_CROWDED : USOCK_IO_FREE;
}

/* No more can be unread than the buffer may hold, and one message that was begun when it was not full. */
static gssize
most_unread (int fd)
{
  int size;

  return usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &size) < 0 ? -1 : 2 * (gssize) size;
}

/* At the most how many bytes of what was sent the other side has not taken, or less than 0 if that is
 * not known: one that closes drops what it has not read, and with it the sum; but the reset that tells
 * so comes before. */
gssize
usock_io_get_unread (int fd)
{
  struct pollfd state = { .fd = fd };
  int sum;
  gssize unread;

  FAULT (USOCK_IO_GET_OPTION);
  unread = ioctl (fd, SIOCOUTQ, &sum) == -1 ? most_unread (fd) : sum;
  if (usock_io_poll (&state, 1, 0) < 0 || (state.revents & POLLERR) != 0)
    return -1;

  return unread;
}

/* The kernel doubles what is set, and stops at net.core.wmem_max. */
gboolean
usock_io_grow_buffer (int fd)
{
  int before, after;

  return usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &before) == 0
         && usock_io_set_option (fd, SOL_SOCKET, SO_SNDBUF, before) == 0
         && usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &after) == 0 && after > before;
}
