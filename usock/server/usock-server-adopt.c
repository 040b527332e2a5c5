/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <errno.h>

#include "usock-activation-private.h"

static gboolean
server_fail_adopting (UsockServer  *self,
                      UsockIoCall   call,
                      int           result,
                      int           fd,
                      GError      **error)
{
  usock_socket_record (USOCK_SOCKET (self), call, -result);
  usock_error_set_errno (error, -result, _("Could not listen on descriptor %d"), fd);
  return FALSE;
}

static gboolean
server_fd_is_bound (int fd)
{
  g_autoptr (GSocketAddress) address = usock_io_get_local_address (fd);
  g_autofree char *text = address != NULL ? usock_address_to_string (address) : NULL;

  /* One that has an address which cannot be told is bound, too. */
  return address == NULL || text != NULL;
}

/* The kernel would say no more than EINVAL. */
static gboolean
server_check_address (int       fd,
                      GError  **error)
{
  gboolean connected = !usock_io_peer_is_missing (fd);

  if (!connected && server_fd_is_bound (fd))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               connected ? _("Could not listen on descriptor %d: it is a connection")
                         : _("Could not listen on descriptor %d: it has no address"),
               fd);
  return FALSE;
}

static gboolean
server_check_adoptable (UsockServer  *self,
                        int           fd,
                        gboolean     *listens,
                        GError      **error)
{
  g_autofree char *label = g_strdup_printf (_("descriptor %d"), fd);
  int family = 0, type = 0;
  int result = usock_io_get_option (fd, SOL_SOCKET, SO_DOMAIN, &family);

  if (result == 0)
    result = usock_io_get_option (fd, SOL_SOCKET, SO_TYPE, &type);
  if (result == 0)
    result = usock_io_get_option (fd, SOL_SOCKET, SO_ACCEPTCONN, listens);
  if (result < 0)
    return server_fail_adopting (self, USOCK_IO_GET_OPTION, result, fd, error);
  if (type != USOCK_SOCKET (self)->type)
    {
      usock_socket_record (USOCK_SOCKET (self), USOCK_IO_GET_OPTION, EPROTOTYPE);
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not listen on descriptor %d: it is of another type"), fd);
      return FALSE;
    }

  if (!usock_server_check (self, label, family, error)
      || (!*listens && !server_check_address (fd, error)))
    return FALSE;

  USOCK_SOCKET (self)->family = family;
  return TRUE;
}

/* On one that listens already, listen() would change the backlog, and whose credentials clients
 * are told. */
static int
server_prepare_adopted (UsockServer *self,
                        int          fd,
                        gboolean     listens,
                        int          backlog,
                        UsockIoCall *call)
{
  int result;

  *call = USOCK_IO_SET_OPTION;
  self->options_changed = TRUE;
  result = usock_server_prepare_fd (self, fd);
  if (result == 0)
    result = usock_socket_apply_options (USOCK_SOCKET (self), fd);
  if (result < 0)
    return result;

  *call = USOCK_IO_LISTEN;
  result = listens ? 0 : usock_io_listen (fd, backlog);
  return result < 0 ? result : usock_io_prepare_adopted (fd);
}

/* The path of one that was made elsewhere is known if it is absolute; and it is not ours. */
static void
server_adopted (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  GSocketAddress *address = usock_socket_get_local_address (socket);
  g_autofree char *text = address != NULL ? usock_address_to_string (address) : NULL;
  g_autoptr (UsockName) name = address != NULL ? usock_name_new_for_address (address, NULL) : NULL;
  g_autofree char *descriptor = g_strdup_printf (_("descriptor %d"), socket->fd);

  usock_server_started (self, text != NULL ? text : descriptor,
                        name != NULL && text != NULL && text[0] == '/' ? name->path : NULL);
}

static gboolean
server_try_adopting (UsockServer  *self,
                     int           fd,
                     int           backlog,
                     GError      **error)
{
  UsockIoCall call;
  gboolean listens = FALSE;
  int result;

  if (!server_check_adoptable (self, fd, &listens, error))
    return FALSE;

  result = server_prepare_adopted (self, fd, listens, backlog, &call);
  if (result < 0)
    return server_fail_adopting (self, call, result, fd, error);
  if (!usock_socket_start (USOCK_SOCKET (self), fd, TRUE, error))
    return FALSE;

  server_adopted (self);
  return TRUE;
}

/* Takes the descriptor over if it succeeds. */
static gboolean
server_adopt (UsockServer  *self,
              int           fd,
              int           backlog,
              GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  gboolean done = server_try_adopting (self, fd, backlog, error);

  if (socket->fd == -1)
    socket->family = AF_UNIX;
  return done;
}

/**
 * usock_server_listen_on_fd:
 * @self: a new server
 * @fd: a bound descriptor; the server's on success, else still the caller's
 * @backlog: how many connections may wait to be accepted, if @fd does not listen yet; 0 or less
 *   for as many as the system allows
 * @error: return location for an error
 *
 * Listens on a socket that was bound elsewhere, and may listen already: one
 * that was inherited, received or kept. Its path is not removed on close. It is
 * made close-on-exec and non-blocking; the latter holds for everybody who has
 * the same socket.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open, no socket, of
 * another type, bound to no address, or connected, with
 * `G_IO_ERROR_NOT_SUPPORTED` if it is neither of this machine nor of TCP, and with
 * `G_IO_ERROR_EXISTS` if the server listens already, which it goes on to do. The
 * server may try again.
 *
 * Returns: whether the server listens
 *
 * Since: 1.0
 */
gboolean
usock_server_listen_on_fd (UsockServer  *self,
                           gint          fd,
                           gint          backlog,
                           GError      **error)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  return server_adopt (self, fd, backlog, error);
}

/**
 * usock_server_listen_activated:
 * @self: a new server
 * @name: (nullable): what the service manager named the socket, `FileDescriptorName=` in
 *   systemd.socket(5); %NULL for the first one of the server's type
 * @error: return location for an error
 *
 * Listens on a socket that the service manager made and passed when it started
 * this program, see sd_listen_fds(3). Clients that came before are waiting
 * there. Its path is not removed on close. If several have that name, each call
 * takes another one.
 *
 * All sockets that were passed are made close-on-exec. When the last of them was
 * taken, the environment variables `LISTEN_FDS`, `LISTEN_PID` and
 * `LISTEN_FDNAMES` are unset; a program with threads should be done with this
 * before it starts them, because getenv(3) is not safe meanwhile.
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if none was passed, or none of that name is
 * left, with `G_IO_ERROR_INVALID_ARGUMENT` if none of those is of the server's
 * type, and with the errors of [method@Usock.Server.listen_on_fd]. The socket
 * may be taken again then.
 *
 * Returns: whether the server listens
 *
 * Since: 1.0
 */
gboolean
usock_server_listen_activated (UsockServer  *self,
                               const char   *name,
                               GError      **error)
{
  gboolean done;
  int fd;

  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  fd = usock_activation_take (name, USOCK_SOCKET (self)->type, USOCK_ACTIVATION_LISTENER, error);
  if (fd == -1)
    return FALSE;

  done = server_adopt (self, fd, 0, error);
  usock_activation_settle (fd, done);
  return done;
}
