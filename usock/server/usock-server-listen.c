/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <errno.h>

void
usock_server_release_path (UsockServer *self)
{
  if (self->claim == NULL)
    return;

  if (USOCK_SOCKET (self)->given_away)
    usock_path_set_unlink (self->claim, FALSE);
  usock_path_release (g_steal_pointer (&self->claim));
}

/* Whether the server may listen on what errors call @label. */
gboolean
usock_server_check (UsockServer  *self,
                    const char   *label,
                    int           family,
                    GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  if (socket->state == USOCK_STATE_LISTENING)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                 _("Could not listen on “%s”: the server listens on “%s” already"), label,
                 socket->label);
  else if (socket->type != SOCK_SEQPACKET && socket->type != SOCK_STREAM)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 _("Could not listen on “%s”: a server accepts connections, and datagrams have "
                   "none"),
                 label);
  else if (family != AF_UNIX
           && (socket->type != SOCK_STREAM || (family != AF_INET && family != AF_INET6)))
    usock_error_set_errno (error, EAFNOSUPPORT, _("Could not listen on “%s”"), label);
  else
    return usock_socket_check (socket, error);

  return FALSE;
}

/* Of a port that the system picked, the label tells which it is. */
void
usock_server_started (UsockServer *self,
                      const char  *label,
                      const char  *path)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  GSocketAddress *address = usock_socket_get_local_address (socket);
  g_autofree char *text = NULL;

  if (socket->family != AF_UNIX && address != NULL)
    text = usock_address_to_string (address);

  self->announce = TRUE;
  self->path = g_strdup (path);
  usock_socket_set_label (socket, text != NULL ? text : label);
  usock_socket_set_state (socket, USOCK_STATE_LISTENING);
}

static int
server_claim (UsockServer     *self,
              const UsockName *name)
{
  int result = self->make_parents ? usock_path_make_parents (name) : 0;

  if (result == 0)
    result = usock_path_claim (USOCK_SOCKET (self)->fd, name, self->mode, &self->claim);
  if (result == 0)
    usock_path_set_unlink (self->claim, self->unlink_on_close);
  return result;
}

static int
server_bind (UsockServer     *self,
             const UsockName *name,
             int              backlog,
             UsockIoCall     *call)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  int result;

  *call = USOCK_IO_SET_OPTION;
  result = usock_server_prepare_fd (self, socket->fd);
  if (result == 0 && socket->family != AF_UNIX)
    result = usock_server_prepare_inet (socket->fd, socket->family, self->reuse_port,
                                        self->ipv6_only);
  if (result < 0)
    return result;

  *call = USOCK_IO_BIND;
  result = name->path != NULL ? server_claim (self, name) : usock_io_bind (socket->fd, name);
  if (result < 0)
    return result;

  *call = USOCK_IO_LISTEN;
  return usock_io_listen (socket->fd, backlog);
}

/* Takes @name over. A failure leaves the server as it was. */
gboolean
usock_server_listen (UsockServer  *self,
                     UsockName    *name,
                     int           backlog,
                     GError      **error)
{
  g_autoptr (UsockName) owned = name;
  UsockSocket *socket = USOCK_SOCKET (self);
  UsockIoCall call = USOCK_IO_SOCKET;
  int family, result;

  if (name == NULL)
    return FALSE;
  family = name->path != NULL ? AF_UNIX : name->native.any.sa_family;
  if (!usock_server_check (self, name->label, family, error))
    return FALSE;

  socket->family = family;
  result = usock_io_socket (socket->family, socket->type, 0);
  if (result >= 0)
    {
      if (!usock_socket_start (socket, result, FALSE, error))
        g_assert_not_reached ();
      result = server_bind (self, name, backlog, &call);
      if (result >= 0 && usock_socket_watch (socket, error))
        {
          usock_server_started (self, name->label, name->path);
          return TRUE;
        }
      usock_server_release_path (self);
      usock_socket_retreat (socket);
    }
  socket->family = AF_UNIX;

  if (result < 0)
    {
      usock_socket_record (socket, call, -result);
      usock_error_set_errno (error, usock_io_explain_bind (name, -result),
                             _("Could not listen on “%s”"), name->label);
    }
  return FALSE;
}

/**
 * usock_server_listen_on_path:
 * @self: a new server
 * @path: (type filename): where to listen; `@name` for an abstract name, in which `\\` stands
 *   for a backslash and `\xHH` for a byte
 * @backlog: how many connections may wait to be accepted; 0 or less for as many as the system
 *   allows
 * @error: return location for an error
 *
 * Listens on a path of the file system, or on an abstract name. A path may be
 * as long as the file system allows, and a relative one is fixed now. An
 * abstract name has no permissions: everybody on this machine, in the same
 * network namespace, may connect, and may take the name while nobody has it; see
 * [method@Usock.Socket.get_peer_credentials].
 *
 * Fails with `G_IO_ERROR_ADDRESS_IN_USE` if a living server has the path or it
 * is no socket, with `G_IO_ERROR_NOT_FOUND` if there is no such directory, with
 * `G_IO_ERROR_EXISTS` if the server listens already, which it goes on to do, and
 * with others of bind(2) and listen(2). The server may try again.
 *
 * Returns: whether the server listens
 *
 * Since: 1.0
 */
gboolean
usock_server_listen_on_path (UsockServer  *self,
                             const char   *path,
                             gint          backlog,
                             GError      **error)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  return usock_server_listen (self, usock_name_new_for_path (path, error), backlog, error);
}

/**
 * usock_server_listen_on_address:
 * @self: a new server
 * @address: (transfer none): where to listen
 * @backlog: how many connections may wait to be accepted; 0 or less for as many as the system
 *   allows
 * @error: return location for an error
 *
 * Listens as [method@Usock.Server.listen_on_path] does, with the same errors. A
 * server of type `STREAM` may listen on an internet address too, as
 * [method@Usock.Server.listen_on_host] does.
 *
 * Returns: whether the server listens
 *
 * Since: 1.0
 */
gboolean
usock_server_listen_on_address (UsockServer     *self,
                                GSocketAddress  *address,
                                gint             backlog,
                                GError         **error)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (address), FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  return usock_server_listen (self, usock_name_new_for_address (address, error), backlog, error);
}
