/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <unistd.h>

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

static gboolean
server_is_abstract (GSocketAddress *address)
{
  return G_IS_UNIX_SOCKET_ADDRESS (address)
         && g_unix_socket_address_get_address_type (G_UNIX_SOCKET_ADDRESS (address))
                == G_UNIX_SOCKET_ADDRESS_ABSTRACT;
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
  self->is_abstract = server_is_abstract (address);
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

/* Records what failed; the caller tells of it. */
static int
server_bind (UsockServer     *self,
             int              fd,
             int              family,
             const UsockName *name)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  UsockIoCall call = USOCK_IO_SET_OPTION;
  int result = family == AF_UNIX
                   ? usock_server_prepare_fd (self, fd)
                   : usock_server_prepare_inet (fd, family, self->reuse_port, self->ipv6_only);

  if (result == 0)
    result = usock_socket_apply_options (socket, fd);
  if (result == 0)
    {
      call = USOCK_IO_BIND;
      result = name->path != NULL ? server_claim (self, name) : usock_io_bind (fd, name);
    }

  if (result < 0)
    usock_socket_record (socket, call, -result);
  return result;
}

static gboolean
server_fail_listening (const UsockName  *name,
                       int               errnum,
                       GError          **error)
{
  usock_error_set_errno (error, usock_io_explain_bind (name, errnum),
                         _("Could not listen on “%s”"), name->label);
  return FALSE;
}

static gboolean
server_fail_group (UsockServer      *self,
                   const UsockName  *name,
                   GIOErrorEnum      code,
                   const char       *why,
                   GError          **error)
{
  g_set_error (error, G_IO_ERROR, code, _("Could not give “%s” to the group “%s”: %s"), name->label,
               self->group, why);
  return FALSE;
}

/* -1 if none is asked for. What has no file can belong to nobody, and must not seem to. */
static gboolean
server_find_group (UsockServer      *self,
                   const UsockName  *name,
                   gint64           *group,
                   GError          **error)
{
  *group = -1;
  if (self->group == NULL)
    return TRUE;
  if (name->path == NULL)
    return server_fail_group (self, name, G_IO_ERROR_NOT_SUPPORTED, _("it is no file"), error);

  *group = usock_path_find_group (self->group);
  return *group >= 0
         || server_fail_group (self, name, G_IO_ERROR_INVALID_ARGUMENT,
                               _("there is no such group"), error);
}

static gboolean
server_set_group (UsockServer      *self,
                  const UsockName  *name,
                  gint64            group,
                  GError          **error)
{
  int result = group >= 0 ? usock_path_set_group (self->claim, group) : 0;

  return result == 0
         || server_fail_group (self, name, g_io_error_from_errno (-result), g_strerror (-result),
                               error);
}

static gboolean
server_bind_and_listen (UsockServer      *self,
                        int               fd,
                        int               family,
                        const UsockName  *name,
                        int               backlog,
                        GError          **error)
{
  gint64 group;
  int result;

  if (!server_find_group (self, name, &group, error))
    return FALSE;

  result = server_bind (self, fd, family, name);
  if (result < 0)
    {
      server_fail_listening (name, -result, error);
      usock_socket_explain_option (USOCK_SOCKET (self), error);
      return FALSE;
    }
  if (!server_set_group (self, name, group, error))
    return FALSE;

  result = usock_io_listen (fd, backlog);
  if (result == 0)
    return TRUE;

  usock_socket_record (USOCK_SOCKET (self), USOCK_IO_LISTEN, -result);
  return server_fail_listening (name, -result, error);
}

static int
server_open (UsockServer      *self,
             int               family,
             const UsockName  *name,
             GError          **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  int fd = usock_io_socket (family, socket->type, 0);

  if (fd >= 0)
    return fd;

  usock_socket_record (socket, USOCK_IO_SOCKET, -fd);
  server_fail_listening (name, -fd, error);
  return -1;
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
  int family, fd;

  if (name == NULL)
    return FALSE;
  family = name->path != NULL ? AF_UNIX : name->native.any.sa_family;
  if (!usock_server_check (self, name->label, family, error))
    return FALSE;

  fd = server_open (self, family, name, error);
  if (fd == -1)
    return FALSE;

  socket->family = family;
  if (!usock_socket_start (socket, fd, FALSE, error))
    g_assert_not_reached ();
  socket->sealed = TRUE;
  if (server_bind_and_listen (self, fd, family, name, backlog, error)
      && usock_socket_watch (socket, error))
    {
      usock_server_started (self, name->label, name->path);
      return TRUE;
    }

  usock_server_release_path (self);
  usock_socket_retreat (socket);
  socket->family = AF_UNIX;
  return FALSE;
}

/* The same for one more place of a server that listens. */
gboolean
usock_server_listen_also (UsockServer      *self,
                          const UsockName  *name,
                          int               backlog,
                          GError          **error)
{
  int family = name->native.any.sa_family;
  int fd = server_open (self, family, name, error);

  if (fd == -1)
    return FALSE;
  if (server_bind_and_listen (self, fd, family, name, backlog, error)
      && usock_server_add_listener (self, fd, family, name->label, error))
    return TRUE;

  close (fd);
  return FALSE;
}

/* Back to where the server was before it began to listen, a moment ago. */
void
usock_server_retreat (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  usock_server_close_listeners (self);
  usock_server_release_path (self);
  usock_socket_retreat (socket);
  g_clear_object (&socket->local_address);
  g_clear_pointer (&self->path, g_free);
  self->announce = FALSE;
  socket->family = AF_UNIX;
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
 * network namespace, may take it while nobody has it. Who may connect says
 * [property@Usock.Server:allowed-users] alone: the same user, as long as it says
 * nothing else.
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
