/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-handle-private.h"

#include <errno.h>
#include <netinet/in.h>

#include "usock-compat-private.h"

/* Any address of a family, and any port; NULL where there is no such thing. */
static UsockName *
name_new_any (int family)
{
  UsockName *name = g_new0 (UsockName, 1);

  name->native.any.sa_family = family;
  name->label = g_strdup (family == AF_UNIX ? "@" : "*");
  switch (family)
    {
    case AF_UNIX:
      name->length = sizeof (sa_family_t);
      return name;
    case AF_INET:
      name->length = sizeof (struct sockaddr_in);
      return name;
    case AF_INET6:
      name->length = sizeof (struct sockaddr_in6);
      return name;
    default:
      usock_name_free (name);
      return NULL;
    }
}

static gboolean
handle_bind (UsockHandle  *self,
             UsockName    *name,
             GError      **error)
{
  g_autofree char *tried = g_strdup_printf (_("Could not bind to “%s”"), name->label);
  int result = usock_io_bind (USOCK_SOCKET (self)->fd, name);

  usock_handle_forget (self);
  if (result < 0)
    usock_handle_set_name_error (self, error, USOCK_IO_BIND, -result, 0, tried, name);
  return result >= 0;
}

/**
 * usock_handle_bind_to_address:
 * @self: a handle
 * @address: (nullable): where to receive or listen; %NULL for any address and port of the
 *   family, and for a local socket an abstract name, as the kernel chooses
 * @error: return location for an error
 *
 * Gives the socket a name, see bind(2). [property@Usock.Socket:local-address]
 * tells what the kernel chose. A path stays in the file system when the
 * socket is closed.
 *
 * Fails with `G_IO_ERROR_ADDRESS_IN_USE` if somebody has the name, with
 * `G_IO_ERROR_NOT_SUPPORTED` if the family has no such address, and with the
 * other errors of bind(2).
 *
 * Returns: whether it was bound
 *
 * Since: 1.0
 */
gboolean
usock_handle_bind_to_address (UsockHandle     *self,
                              GSocketAddress  *address,
                              GError         **error)
{
  g_autoptr (UsockName) name = NULL;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), FALSE);
  g_return_val_if_fail (address == NULL || G_IS_SOCKET_ADDRESS (address), FALSE);

  if (!usock_handle_check (self, error))
    return FALSE;

  if (address != NULL)
    name = usock_name_new_for_address (address, error);
  else
    {
      name = name_new_any (USOCK_SOCKET (self)->family);
      if (name == NULL)
        usock_handle_set_error (self, error, USOCK_IO_BIND, EAFNOSUPPORT, 0,
                                _("Could not bind to any address"));
    }

  return name != NULL && handle_bind (self, name, error);
}

/**
 * usock_handle_bind_to_path:
 * @self: a handle of a local socket
 * @path: (type filename): where to receive or listen; `@name` for an abstract name, in which
 *   `\\` stands for a backslash and `\xHH` for a byte
 * @error: return location for an error
 *
 * Gives the socket a name, as [method@Usock.Handle.bind_to_address] does. The
 * path may be as long as the file system allows.
 *
 * Returns: whether it was bound
 *
 * Since: 1.0
 */
gboolean
usock_handle_bind_to_path (UsockHandle  *self,
                           const char   *path,
                           GError      **error)
{
  g_autoptr (UsockName) name = NULL;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  if (!usock_handle_check (self, error))
    return FALSE;

  name = usock_name_new_for_path (path, error);
  return name != NULL && handle_bind (self, name, error);
}

/* A connection over the network is made in the background, and to ask again tells how it went.
 * EAGAIN means that the backlog is full: nothing tells when it no longer is. */
static int
handle_try_connect (UsockHandle     *self,
                    const UsockName *name,
                    UsockPatience   *patience)
{
  gboolean waited = FALSE;
  int result;

  for (;;)
    {
      result = usock_io_connect (USOCK_SOCKET (self)->fd, name);
      if (result == -EISCONN && waited)
        return 0;
      if (result != -EAGAIN && result != -EINPROGRESS && result != -EALREADY)
        return result;

      waited = result != -EAGAIN;
      result = usock_handle_wait (self, patience, waited ? POLLOUT : 0);
      if (result < 0)
        return result;
    }
}

/* A descriptor that blocks cannot be told otherwise for one call of these. */
static gboolean
handle_begin (UsockHandle *self)
{
  return usock_io_set_nonblocking (USOCK_SOCKET (self)->fd, TRUE) == 0;
}

static void
handle_end (UsockHandle *self,
            gboolean     blocked)
{
  if (blocked)
    usock_io_set_nonblocking (USOCK_SOCKET (self)->fd, FALSE);
}

static gboolean
handle_connect (UsockHandle  *self,
                UsockName    *name,
                int           timeout,
                GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autofree char *tried = g_strdup_printf (_("Could not connect to “%s”"), name->label);
  gboolean blocked = handle_begin (self);
  UsockPatience patience;
  int result;

  usock_patience_init (&patience, timeout, 0);
  result = handle_try_connect (self, name, &patience);
  handle_end (self, blocked);
  usock_handle_forget (self);
  if (result < 0)
    {
      usock_handle_set_name_error (self, error, USOCK_IO_CONNECT, -result, patience.timeout, tried,
                                   name);
      return FALSE;
    }

  socket->state = USOCK_STATE_OPEN;
  usock_socket_set_label (socket, name->label);
  usock_socket_remember_remote (socket);
  return TRUE;
}

static gboolean
handle_disconnect (UsockHandle  *self,
                   GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  int result = usock_io_disconnect (socket->fd);

  usock_handle_forget (self);
  if (result < 0)
    {
      usock_handle_set_error (self, error, USOCK_IO_CONNECT, -result, 0,
                              _("Could not part from the peer"));
      return FALSE;
    }

  socket->state = USOCK_STATE_NEW;
  usock_socket_set_label (socket, NULL);
  return TRUE;
}

/**
 * usock_handle_connect_to_address:
 * @self: a handle
 * @address: (nullable): where to connect; %NULL to part from the peer, which datagram sockets
 *   can
 * @timeout: how long to wait for the connection, in milliseconds; -1 for ever
 * @error: return location for an error
 *
 * Connects, see connect(2). Waits for a place in a full backlog too.
 *
 * When the time is over, or with a timeout of 0, a connection over the network
 * is still being made: the same call goes on to wait for it.
 *
 * Fails with `G_IO_ERROR_CONNECTION_REFUSED` if nobody listens there, with
 * `G_IO_ERROR_NOT_FOUND` if there is no such path, with `G_IO_ERROR_EXISTS` if
 * the socket is connected, and with the other errors of connect(2).
 *
 * Returns: whether it is connected
 *
 * Since: 1.0
 */
gboolean
usock_handle_connect_to_address (UsockHandle     *self,
                                 GSocketAddress  *address,
                                 gint             timeout,
                                 GError         **error)
{
  g_autoptr (UsockName) name = NULL;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), FALSE);
  g_return_val_if_fail (address == NULL || G_IS_SOCKET_ADDRESS (address), FALSE);

  if (!usock_handle_check (self, error))
    return FALSE;
  if (address == NULL)
    return handle_disconnect (self, error);

  name = usock_name_new_for_address (address, error);
  return name != NULL && handle_connect (self, name, timeout, error);
}

/**
 * usock_handle_connect_to_path:
 * @self: a handle of a local socket
 * @path: (type filename): where to connect; `@name` for an abstract name, in which `\\` stands
 *   for a backslash and `\xHH` for a byte
 * @timeout: how long to wait for a place in a full backlog, in milliseconds; -1 for ever
 * @error: return location for an error
 *
 * Connects, as [method@Usock.Handle.connect_to_address] does. The path may be
 * as long as the file system allows.
 *
 * Returns: whether it is connected
 *
 * Since: 1.0
 */
gboolean
usock_handle_connect_to_path (UsockHandle  *self,
                              const char   *path,
                              gint          timeout,
                              GError      **error)
{
  g_autoptr (UsockName) name = NULL;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  if (!usock_handle_check (self, error))
    return FALSE;

  name = usock_name_new_for_path (path, error);
  return name != NULL && handle_connect (self, name, timeout, error);
}

/**
 * usock_handle_listen:
 * @self: a handle that is bound
 * @backlog: how many connections may wait to be accepted; 0 or less for as many as the system
 *   allows
 * @error: return location for an error
 *
 * Has the socket take connections, see listen(2).
 *
 * Returns: whether it listens
 *
 * Since: 1.0
 */
gboolean
usock_handle_listen (UsockHandle  *self,
                     gint          backlog,
                     GError      **error)
{
  int result;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), FALSE);

  if (!usock_handle_check (self, error))
    return FALSE;

  result = usock_io_listen (USOCK_SOCKET (self)->fd, backlog);
  usock_handle_forget (self);
  if (result < 0)
    {
      usock_handle_set_error (self, error, USOCK_IO_LISTEN, -result, 0, _("Could not listen"));
      return FALSE;
    }

  USOCK_SOCKET (self)->state = USOCK_STATE_LISTENING;
  return TRUE;
}

/* A client that gave up while it waited is nobody's concern. */
static int
handle_try_accept (UsockHandle     *self,
                   GSocketAddress **address,
                   UsockPatience   *patience)
{
  int result;

  for (;;)
    {
      result = usock_io_accept_from (USOCK_SOCKET (self)->fd, address);
      if (result == -ECONNABORTED)
        continue;
      if (result != -EAGAIN)
        return result;

      result = usock_handle_wait (self, patience, POLLIN);
      if (result < 0)
        return result;
    }
}

/**
 * usock_handle_accept:
 * @self: a handle that listens
 * @timeout: how long to wait for a connection, in milliseconds; -1 for ever
 * @address: (out) (optional) (nullable) (transfer full): the address of the peer; %NULL if it
 *   cannot be told
 * @error: return location for an error
 *
 * Takes the connection that has waited longest, see accept(2).
 *
 * Fails with `G_IO_ERROR_TOO_MANY_OPEN_FILES` if the process may open no more
 * descriptors, and with the other errors of accept(2).
 *
 * Returns: (transfer full): a handle of the connection
 *
 * Since: 1.0
 */
UsockHandle *
usock_handle_accept (UsockHandle     *self,
                     gint             timeout,
                     GSocketAddress **address,
                     GError         **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  UsockPatience patience;
  g_autofd int fd = -1;
  gboolean blocked;
  int result;

  g_return_val_if_fail (USOCK_IS_HANDLE (self), NULL);

  if (address != NULL)
    *address = NULL;
  if (!usock_handle_check (self, error))
    return NULL;

  usock_patience_init (&patience, timeout, 0);
  blocked = handle_begin (self);
  result = fd = handle_try_accept (self, address, &patience);
  handle_end (self, blocked);
  if (result >= 0)
    result = usock_handle_mark (fd, socket->family, socket->type);
  if (result >= 0)
    return usock_handle_new_taken (g_steal_fd (&fd), socket->family, socket->type, USOCK_STATE_OPEN);

  if (address != NULL)
    g_clear_object (address);
  usock_handle_set_error (self, error, USOCK_IO_ACCEPT, -result, patience.timeout,
                          _("Could not accept a connection"));
  return NULL;
}

/* One of the addresses of what is to be connected to. */
static UsockHandle *
handle_new_connected_to (GSocketAddress  *address,
                         int              type,
                         int              timeout,
                         GError         **error)
{
  g_autoptr (UsockHandle) self
      = usock_handle_new_socket (g_socket_address_get_family (address), type, 0, error);

  if (self == NULL || !usock_handle_connect_to_address (self, address, timeout, error))
    return NULL;

  return g_steal_pointer (&self);
}

/**
 * usock_handle_new_connected:
 * @where: where to connect: a [class@Gio.NetworkAddress], which is looked up, or a
 *   [class@Gio.SocketAddress] for example
 * @type: the type, a [enum@Usock.SockType] for example
 * @timeout: how long to wait, in milliseconds; -1 for ever. The look-up is not counted
 * @cancellable: (nullable): what may end the look-up
 * @error: return location for an error
 *
 * Makes a socket and connects it, to the first address of @where that can be
 * connected to.
 *
 * Fails with the errors of the look-up, with `G_IO_ERROR_NOT_FOUND` if there is
 * no address, and with the error of the last address that was tried.
 *
 * Returns: (transfer full): a new handle
 *
 * Since: 1.0
 */
UsockHandle *
usock_handle_new_connected (GSocketConnectable  *where,
                            gint                 type,
                            gint                 timeout,
                            GCancellable        *cancellable,
                            GError             **error)
{
  g_autoptr (GSocketAddressEnumerator) addresses = NULL;
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GError) failure = NULL;
  UsockPatience patience;

  g_return_val_if_fail (G_IS_SOCKET_CONNECTABLE (where), NULL);

  addresses = g_socket_connectable_enumerate (where);
  address = g_socket_address_enumerator_next (addresses, cancellable, &failure);
  usock_patience_init (&patience, timeout, 0);
  while (address != NULL)
    {
      UsockHandle *self;

      g_clear_error (&failure);
      self = handle_new_connected_to (address, type, usock_patience_left (&patience), &failure);
      if (self != NULL)
        return self;

      g_clear_object (&address);
      if (patience.timeout > 0 && usock_patience_left (&patience) == 0)
        break;
      address = g_socket_address_enumerator_next (addresses, cancellable, NULL);
    }

  if (failure == NULL)
    {
      g_autofree char *label = g_socket_connectable_to_string (where);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                   _("Could not connect to “%s”: it has no address"), label);
      return NULL;
    }

  g_propagate_error (error, g_steal_pointer (&failure));
  return NULL;
}

/**
 * usock_handle_new_listening:
 * @address: where to listen
 * @type: the type, a [enum@Usock.SockType] for example
 * @backlog: how many connections may wait to be accepted; 0 or less for as many as the system
 *   allows
 * @error: return location for an error
 *
 * Makes a socket, binds it and has it listen, or if it is one for datagrams
 * receive. An address of the network may be taken again at once when the one
 * who listened before is gone.
 *
 * Returns: (transfer full): a new handle
 *
 * Since: 1.0
 */
UsockHandle *
usock_handle_new_listening (GSocketAddress  *address,
                            gint             type,
                            gint             backlog,
                            GError         **error)
{
  g_autoptr (UsockHandle) self = NULL;
  UsockSocket *socket;

  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (address), NULL);

  self = usock_handle_new_socket (g_socket_address_get_family (address), type, 0, error);
  if (self == NULL)
    return NULL;

  socket = USOCK_SOCKET (self);
  if (socket->family != AF_UNIX && socket->type == SOCK_STREAM)
    usock_io_set_option (socket->fd, SOL_SOCKET, SO_REUSEADDR, TRUE);
  if (!usock_handle_bind_to_address (self, address, error))
    return NULL;
  if ((socket->type == SOCK_STREAM || socket->type == SOCK_SEQPACKET)
      && !usock_handle_listen (self, backlog, error))
    return NULL;

  return g_steal_pointer (&self);
}
