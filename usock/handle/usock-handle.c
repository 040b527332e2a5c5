/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-handle-private.h"

#include <errno.h>

#include "usock-compat-private.h"

/* The longest pause between two tries, where no event tells when to try again. */
#define NAP_LAST 20

/**
 * UsockHandle:
 *
 * A socket of any family and type, and the calls of the system on it: for
 * programs that have no main loop, and for what no channel does.
 *
 * Each method is one system call, made at once. What is not possible now is
 * waited for with poll(2), for as long as the call's timeout says: in
 * milliseconds, -1 for ever, and 0 not at all. A call that would have had to
 * wait fails with `G_IO_ERROR_WOULD_BLOCK` if it was not to wait, and with
 * `G_IO_ERROR_TIMED_OUT` if it waited in vain. Interruptions by signals are
 * nobody's concern, and nothing raises `SIGPIPE`.
 *
 * A handle needs no main context: but for [signal@Usock.Socket::close], which
 * comes, from the context that is the thread's default when the handle is
 * closed, if somebody listens to it, a handle has no signals, and the change of
 * its state is not notified. It may be used from any thread, but only from one
 * at a time. It is closed when its last reference goes, and it is not
 * [property@Usock.Socket:held].
 *
 * Handles of the type `SOCK_SEQPACKET` turn `SO_TIMESTAMPNS` on, because a record
 * that every message carries is all that tells an empty one from the end.
 *
 * ```c
 * g_autoptr (GError) error = NULL;
 * g_autoptr (UsockHandle) handle = usock_handle_new_socket (USOCK_AF_UNIX, USOCK_SOCK_STREAM, 0,
 *                                                           &error);
 *
 * if (handle == NULL || !usock_handle_connect_to_path (handle, path, 1000, &error))
 *   g_printerr ("%s\n", error->message);
 * ```
 *
 * Since: 1.0
 */
struct _UsockHandle
{
  UsockSocket parent_instance;
};

struct _UsockHandleClass
{
  UsockSocketClass parent_class;
};

G_DEFINE_TYPE (UsockHandle, usock_handle, USOCK_TYPE_SOCKET)

static gboolean
usock_handle_shutdown (UsockSocket  *socket,
                       UsockShut     how,
                       GError      **error)
{
  UsockHandle *self = USOCK_HANDLE (socket);
  int result;

  if (!usock_handle_check (self, error))
    return FALSE;

  result = usock_io_shutdown (socket->fd, how);
  if (result < 0)
    {
      usock_handle_set_error (self, error, USOCK_IO_SHUTDOWN, -result, 0,
                              _("Could not shut a socket down"));
      return FALSE;
    }

  if (how == USOCK_SHUT_RDWR || socket->state != USOCK_STATE_OPEN)
    socket->state = USOCK_STATE_CLOSING;
  else
    socket->state = how == USOCK_SHUT_WR ? USOCK_STATE_READ_ONLY : USOCK_STATE_WRITE_ONLY;
  return TRUE;
}

/* What usock_handle_mark() did; all else the program did itself. */
static void
usock_handle_restore (UsockSocket *socket)
{
  if (socket->family == AF_UNIX && socket->type == SOCK_SEQPACKET)
    usock_io_set_option (socket->fd, SOL_SOCKET, SO_TIMESTAMPNS, FALSE);
}

static void
usock_handle_class_init (UsockHandleClass *class)
{
  UsockSocketClass *socket_class = (UsockSocketClass *) class;

  socket_class->immediate = TRUE;
  socket_class->restore = usock_handle_restore;
  socket_class->shutdown = usock_handle_shutdown;
}

static void
usock_handle_init (UsockHandle *self)
{
  USOCK_SOCKET (self)->held = FALSE;
}

void
usock_patience_init (UsockPatience *self,
                     int            timeout,
                     UsockMsgFlags  flags)
{
  *self = (UsockPatience) { .timeout = flags & USOCK_MSG_DONTWAIT ? 0 : MAX (timeout, -1) };
  if (self->timeout > 0)
    self->deadline = g_get_monotonic_time () + self->timeout * G_GINT64_CONSTANT (1000);
}

/* In ms, and never 0 before the time is over. */
int
usock_patience_left (const UsockPatience *self)
{
  if (self->timeout <= 0)
    return self->timeout;

  return (int) CLAMP ((self->deadline - g_get_monotonic_time () + 999) / 1000, 0, G_MAXINT);
}

/* Where poll(2) says that there is room and there is none, as it does of a datagram socket whose
 * receiver is full, or where it cannot be asked: without @events. */
static int
handle_nap (UsockPatience *patience)
{
  int left = usock_patience_left (patience);
  int result;

  patience->nap = CLAMP (patience->nap * 2, 1, NAP_LAST);
  result = usock_io_poll (NULL, 0, left < 0 ? (int) patience->nap
                                            : MIN (left, (int) patience->nap));
  return MIN (result, 0);
}

/* Returns 0 if the call is worth another try. */
int
usock_handle_wait (UsockHandle   *self,
                   UsockPatience *patience,
                   short          events)
{
  struct pollfd fd = { .fd = USOCK_SOCKET (self)->fd, .events = events };
  int left = usock_patience_left (patience);
  int result;

  if (left == 0)
    return patience->timeout == 0 ? -EAGAIN : -ETIMEDOUT;
  if (patience->polled || events == 0)
    {
      result = handle_nap (patience);
      left = usock_patience_left (patience);
      if (result < 0 || events == 0 || left == 0)
        return result;
    }

  result = usock_io_poll (&fd, 1, left);
  if (result == 0)
    return -ETIMEDOUT;

  patience->polled = TRUE;
  return MIN (result, 0);
}

gboolean
usock_handle_check (UsockHandle  *self,
                    GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  if (socket->state == USOCK_STATE_CLOSED)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                         _("Could not use a socket: it is closed"));
  else if (socket->fd == -1)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED,
                         _("Could not use a socket: none was made yet"));
  else
    return TRUE;

  return FALSE;
}

void
usock_handle_set_error (UsockHandle  *self,
                        GError      **error,
                        UsockIoCall   call,
                        int           errnum,
                        int           timeout,
                        const char   *tried)
{
  usock_socket_record (USOCK_SOCKET (self), call, errnum);

  if (errnum == ETIMEDOUT && timeout > 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, _("%s: waited %d ms in vain"), tried,
                 timeout);
  else
    usock_error_set_errno (error, errnum, "%s", tried);
}

/* Of an address of another family the kernel often says that something in it is wrong. */
static int
handle_explain (UsockHandle     *self,
                UsockIoCall      call,
                const UsockName *name,
                int              errnum)
{
  int family = name->path != NULL ? AF_UNIX : name->native.any.sa_family;

  if (errnum == EINVAL && family != USOCK_SOCKET (self)->family)
    return EAFNOSUPPORT;

  return call == USOCK_IO_BIND ? usock_io_explain_bind (name, errnum) : errnum;
}

/* The same about @name, if not NULL. */
void
usock_handle_set_name_error (UsockHandle     *self,
                             GError         **error,
                             UsockIoCall      call,
                             int              errnum,
                             int              timeout,
                             const char      *tried,
                             const UsockName *name)
{
  int told = name != NULL ? handle_explain (self, call, name, errnum) : errnum;

  usock_handle_set_error (self, error, call, told, timeout, tried);
  usock_socket_record (USOCK_SOCKET (self), call, errnum);
}

/* The kernel may have given a name to the socket, or taken it away. */
void
usock_handle_forget (UsockHandle *self)
{
  g_clear_object (&USOCK_SOCKET (self)->local_address);
  g_clear_object (&USOCK_SOCKET (self)->remote_address);
}

/* Before an empty message and the end can be mistaken for each other. */
int
usock_handle_mark (int fd,
                   int family,
                   int type)
{
  return family == AF_UNIX && type == SOCK_SEQPACKET ? usock_io_set_markers (fd) : 0;
}

/* Takes @fd over. */
static void
handle_take (UsockHandle *self,
             int          fd,
             int          family,
             int          type,
             UsockState   state)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  socket->fd = fd;
  socket->family = family;
  socket->type = type;
  socket->state = state;
  if (state == USOCK_STATE_OPEN)
    usock_socket_remember_remote (socket);
}

UsockHandle *
usock_handle_new_taken (int        fd,
                        int        family,
                        int        type,
                        UsockState state)
{
  UsockHandle *self = usock_handle_new ();

  handle_take (self, fd, family, type, state);
  return self;
}

/**
 * usock_handle_new:
 *
 * Makes a handle that has no socket yet, see [method@Usock.Handle.create].
 *
 * Returns: (transfer full): a new handle
 *
 * Since: 1.0
 */
UsockHandle *
usock_handle_new (void)
{
  return g_object_new (USOCK_TYPE_HANDLE, NULL);
}

/**
 * usock_handle_new_socket:
 * @family: the address family, a [enum@Usock.Family] for example
 * @type: the type, a [enum@Usock.SockType] for example
 * @protocol: the protocol, or 0 for the one that goes with the two
 * @error: return location for an error
 *
 * Makes a handle with a socket, as [method@Usock.Handle.create] does.
 *
 * Returns: (transfer full): a new handle
 *
 * Since: 1.0
 */
UsockHandle *
usock_handle_new_socket (gint     family,
                         gint     type,
                         gint     protocol,
                         GError **error)
{
  g_autoptr (UsockHandle) self = usock_handle_new ();

  if (!usock_handle_create (self, family, type, protocol, error))
    return NULL;

  return g_steal_pointer (&self);
}

/**
 * usock_handle_new_from_fd:
 * @fd: a socket; the handle's on success, else still the caller's
 * @error: return location for an error
 *
 * Makes a handle of a descriptor that was inherited or received. Its flags
 * stay as they are: also on one that blocks, no call waits for longer than it
 * should. Only while it connects or accepts, it does not block.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open, or no socket.
 *
 * Returns: (transfer full): a new handle
 *
 * Since: 1.0
 */
UsockHandle *
usock_handle_new_from_fd (gint     fd,
                          GError **error)
{
  int family = 0, type = 0, listening = 0;
  int result = usock_io_get_option (fd, SOL_SOCKET, SO_DOMAIN, &family);
  UsockState state = USOCK_STATE_NEW;

  if (result == 0)
    result = usock_io_get_option (fd, SOL_SOCKET, SO_TYPE, &type);
  if (result == 0)
    result = usock_io_get_option (fd, SOL_SOCKET, SO_ACCEPTCONN, &listening);
  if (result == 0)
    result = usock_handle_mark (fd, family, type);
  if (result < 0)
    {
      usock_error_set_errno (error, -result, _("Could not use descriptor %d as a socket"), fd);
      return NULL;
    }

  if (listening)
    state = USOCK_STATE_LISTENING;
  else if (!usock_io_peer_is_missing (fd))
    state = USOCK_STATE_OPEN;
  return usock_handle_new_taken (fd, family, type, state);
}

/* A local SOCK_RAW would be a datagram socket; the number is that of GIO's SEQPACKET. */
static gboolean
handle_check_type (int      family,
                   int      type,
                   GError **error)
{
  const int flags = USOCK_SOCK_NONBLOCK | USOCK_SOCK_CLOEXEC;

  if (family != AF_UNIX || (type & ~flags) != SOCK_RAW)
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _("Could not make a socket: no local socket is of type %d; SOCK_SEQPACKET is %d"),
               type, SOCK_SEQPACKET);
  return FALSE;
}

/**
 * usock_handle_new_pair:
 * @type: the type, a [enum@Usock.SockType] for example
 * @first: (out) (transfer full): one end
 * @second: (out) (transfer full): the other end
 * @error: return location for an error
 *
 * Makes two local sockets that are connected to each other, see socketpair(2).
 * Fails with `G_IO_ERROR_TOO_MANY_OPEN_FILES` if the process may open no more
 * descriptors, and with `G_IO_ERROR_NOT_SUPPORTED` for another type.
 *
 * Returns: whether they were made
 *
 * Since: 1.0
 */
gboolean
usock_handle_new_pair (gint          type,
                       UsockHandle **first,
                       UsockHandle **second,
                       GError      **error)
{
  g_autofd int one = -1;
  g_autofd int other = -1;
  int fds[2], real = 0;
  int result;

  g_return_val_if_fail (first != NULL && second != NULL, FALSE);

  if (!handle_check_type (AF_UNIX, type, error))
    return FALSE;

  result = usock_io_pair (type, fds);
  if (result >= 0)
    {
      one = fds[0];
      other = fds[1];
      result = usock_io_get_option (one, SOL_SOCKET, SO_TYPE, &real);
    }
  if (result >= 0)
    result = usock_handle_mark (one, AF_UNIX, real);
  if (result >= 0)
    result = usock_handle_mark (other, AF_UNIX, real);
  if (result < 0)
    {
      usock_error_set_errno (error, -result, _("Could not make a pair of sockets"));
      return FALSE;
    }

  *first = usock_handle_new_taken (g_steal_fd (&one), AF_UNIX, real, USOCK_STATE_OPEN);
  *second = usock_handle_new_taken (g_steal_fd (&other), AF_UNIX, real, USOCK_STATE_OPEN);
  return TRUE;
}

/**
 * usock_handle_create:
 * @self: a handle that has no socket yet
 * @family: the address family, a [enum@Usock.Family] for example
 * @type: the type, a [enum@Usock.SockType] for example
 * @protocol: the protocol, or 0 for the one that goes with the two
 * @error: return location for an error
 *
 * Makes a socket, see socket(2). It is close-on-exec and does not block,
 * whether or not @type has flags that say so: how long to wait is told to each
 * call.
 *
 * Fails with `G_IO_ERROR_EXISTS` if the handle has a socket, with
 * `G_IO_ERROR_INVALID_ARGUMENT` for a local socket of the type `SOCK_RAW`, whose
 * number is that of `G_SOCKET_TYPE_SEQPACKET`, and with the errors of
 * socket(2).
 *
 * Returns: whether it was made
 *
 * Since: 1.0
 */
gboolean
usock_handle_create (UsockHandle  *self,
                     gint          family,
                     gint          type,
                     gint          protocol,
                     GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autofd int fd = -1;
  int real = 0;
  int result;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), FALSE);

  if (socket->state == USOCK_STATE_CLOSED)
    return usock_handle_check (self, error);

  if (socket->fd != -1)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                           _("Could not make a socket: the handle has one already"));
      return FALSE;
    }

  if (!handle_check_type (family, type, error))
    return FALSE;

  /* What the system says that the type is comes without the flags. */
  result = fd = usock_io_socket (family, type, protocol);
  if (result >= 0)
    result = usock_io_get_option (fd, SOL_SOCKET, SO_TYPE, &real);
  if (result >= 0)
    result = usock_handle_mark (fd, family, real);
  if (result < 0)
    {
      usock_handle_set_error (self, error, USOCK_IO_SOCKET, -result, 0,
                              _("Could not make a socket"));
      return FALSE;
    }

  handle_take (self, g_steal_fd (&fd), family, real, USOCK_STATE_NEW);
  return TRUE;
}
