/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <errno.h>
#include <unistd.h>

/* Whether another address of the same host may do. */
static gboolean
host_is_elsewhere (int errnum)
{
  return errnum == EAFNOSUPPORT || errnum == EADDRNOTAVAIL;
}

/* How often to have the system pick another port, when somebody else has that one on another
 * address of the host. */
#define PORT_ATTEMPTS 10

/* The first of the addresses that this machine has. */
static gboolean
host_listen_first (UsockServer  *self,
                   GPtrArray    *addresses,
                   guint        *first,
                   int           backlog,
                   GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  for (*first = 0; *first < addresses->len; ++*first)
    {
      g_clear_error (error);
      socket->error_number = 0;
      if (usock_server_listen (self, usock_name_new_for_address (addresses->pdata[*first], error),
                               backlog, error))
        return TRUE;
      if (!host_is_elsewhere (socket->error_number))
        break;
    }

  return FALSE;
}

/* With the port that the first one has. */
static UsockName *
host_new_name (UsockServer        *self,
               GInetSocketAddress *address,
               GError            **error)
{
  GSocketAddress *own = usock_socket_get_local_address (USOCK_SOCKET (self));
  g_autoptr (GSocketAddress) other = g_inet_socket_address_new (
      g_inet_socket_address_get_address (address),
      g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (own)));

  return usock_name_new_for_address (other, error);
}

static gboolean
host_listen_also (UsockServer         *self,
                  GInetSocketAddress  *address,
                  int                  backlog,
                  GError             **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (UsockName) name = host_new_name (self, address, error);

  socket->error_number = 0;
  if (name == NULL || usock_server_listen_also (self, name, backlog, error))
    return name != NULL;
  if (!host_is_elsewhere (socket->error_number))
    return FALSE;

  g_clear_error (error);
  return TRUE;
}

/* On the first, and if they are the addresses of one host on @all; on all or on none. */
static gboolean
host_listen (UsockServer  *self,
             GPtrArray    *addresses,
             gboolean      all,
             int           backlog,
             GError      **error)
{
  GError *failure = NULL;
  guint first;

  if (!host_listen_first (self, addresses, &first, backlog, &failure))
    {
      g_propagate_error (error, failure);
      return FALSE;
    }

  for (guint i = first + 1; all && i < addresses->len; i++)
    if (!host_listen_also (self, addresses->pdata[i], backlog, &failure))
      {
        usock_server_retreat (self);
        g_propagate_error (error, failure);
        return FALSE;
      }

  return TRUE;
}

/**
 * usock_server_listen_on_host:
 * @self: a new server of type `STREAM`
 * @host: (nullable): a host name, or an IPv4 or IPv6 address; %NULL for all interfaces
 * @port: the port; 0 to have the system pick one, which [property@Usock.Socket:local-address]
 *   tells then
 * @backlog: how many connections may wait to be accepted; 0 or less for as many as the system
 *   allows
 * @error: return location for an error
 *
 * Listens on a TCP port. On all interfaces means by IPv6 and IPv4 alike, unless
 * [property@Usock.Server:ipv6-only] is set, and by IPv4 where there is no IPv6.
 * Of a host with several addresses, as `localhost` has two, the server listens
 * on all that this machine has, on the same port, or on none;
 * [property@Usock.Socket:local-address] is the first of them. A name is looked up
 * by the default [class@Gio.Resolver], for which this call waits; give an address
 * where that must not be.
 *
 * The port may be used again at once after another server, see `SO_REUSEADDR`
 * in socket(7).
 *
 * Fails with `G_IO_ERROR_ADDRESS_IN_USE` if somebody listens on the port, with
 * `G_IO_ERROR_PERMISSION_DENIED` on a port below 1024 as a rule, with
 * `G_IO_ERROR_HOST_NOT_FOUND`, with `G_IO_ERROR_INVALID_ARGUMENT` if there is no
 * such host or port, with `G_IO_ERROR_EXISTS` if the server listens already, and
 * with others of bind(2) and listen(2). The server may try again.
 *
 * Returns: whether the server listens
 *
 * Since: 1.0
 */
gboolean
usock_server_listen_on_host (UsockServer  *self,
                             const char   *host,
                             guint         port,
                             gint          backlog,
                             GError      **error)
{
  const guint n_attempts = port == 0 ? PORT_ATTEMPTS : 1;
  g_autoptr (GPtrArray) addresses = NULL;
  GError *failure = NULL;

  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  addresses = usock_server_find_addresses (host, port, self->ipv6_only, error);
  if (addresses == NULL)
    return FALSE;

  for (guint i = 0; i < n_attempts; i++)
    {
      g_clear_error (&failure);
      if (host_listen (self, addresses, host != NULL, backlog, &failure))
        return TRUE;
      if (USOCK_SOCKET (self)->error_number != EADDRINUSE)
        break;
    }

  g_propagate_error (error, failure);
  return FALSE;
}

/* Bound, and ready for others on the same port. */
static int
host_open (const UsockName *name)
{
  int family = name->native.any.sa_family;
  int fd = usock_io_socket (family, SOCK_STREAM, 0);
  int result;

  if (fd < 0)
    return fd;

  result = usock_server_prepare_inet (fd, family, TRUE, FALSE);
  if (result == 0)
    result = usock_io_bind (fd, name);
  if (result == 0)
    return fd;

  close (fd);
  return result;
}

/**
 * usock_server_open_reuse_port_fd:
 * @host: (nullable): a host name, or an IPv4 or IPv6 address; %NULL for all interfaces
 * @port: the port; 0 to have the system pick one
 * @error: return location for an error
 *
 * Makes a socket that is bound to a TCP port, and that others may be bound to
 * as well: each process of a service makes one of its own, or is handed one,
 * and has a server [method@Usock.Server.listen_on_fd]. The kernel spreads the
 * connections over them, see `SO_REUSEPORT` in socket(7). All of them must have
 * the same user.
 *
 * A server of its own does the same with [property@Usock.Server:reuse-port].
 *
 * Fails as [method@Usock.Server.listen_on_host] does.
 *
 * Returns: a descriptor, close-on-exec and non-blocking, which is the caller's; -1 on error
 *
 * Since: 1.0
 */
gint
usock_server_open_reuse_port_fd (const char  *host,
                                 guint        port,
                                 GError     **error)
{
  g_autoptr (GPtrArray) addresses = usock_server_find_addresses (host, port, FALSE, error);

  for (guint i = 0; addresses != NULL && i < addresses->len; i++)
    {
      g_autoptr (UsockName) name = usock_name_new_for_address (addresses->pdata[i], error);
      int fd = name != NULL ? host_open (name) : -1;

      if (name == NULL || fd >= 0)
        return fd;
      if (host_is_elsewhere (-fd) && i + 1 < addresses->len)
        continue;

      usock_error_set_errno (error, -fd, _("Could not bind to “%s”"), name->label);
      return -1;
    }

  return -1;
}

/**
 * usock_server_get_reuse_port: (get-property reuse-port)
 * @self: a server
 *
 * Gets whether other servers may listen on the same TCP port.
 *
 * Returns: whether they may
 *
 * Since: 1.0
 */
gboolean
usock_server_get_reuse_port (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  return self->reuse_port;
}

/**
 * usock_server_set_reuse_port: (set-property reuse-port)
 * @self: a server
 * @reuse_port: whether they may
 *
 * Sets whether other servers may listen on the same TCP port, for the next
 * time it listens.
 *
 * Since: 1.0
 */
void
usock_server_set_reuse_port (UsockServer *self,
                             gboolean     reuse_port)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  reuse_port = !!reuse_port;
  if (self->reuse_port == reuse_port)
    return;

  self->reuse_port = reuse_port;
  g_object_notify (G_OBJECT (self), "reuse-port");
}

/**
 * usock_server_get_ipv6_only: (get-property ipv6-only)
 * @self: a server
 *
 * Gets whether an IPv6 address takes no IPv4 connections.
 *
 * Returns: whether it takes none
 *
 * Since: 1.0
 */
gboolean
usock_server_get_ipv6_only (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  return self->ipv6_only;
}

/**
 * usock_server_set_ipv6_only: (set-property ipv6-only)
 * @self: a server
 * @ipv6_only: whether it takes none
 *
 * Sets whether an IPv6 address takes no IPv4 connections, for the next time it
 * listens.
 *
 * Since: 1.0
 */
void
usock_server_set_ipv6_only (UsockServer *self,
                            gboolean     ipv6_only)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  ipv6_only = !!ipv6_only;
  if (self->ipv6_only == ipv6_only)
    return;

  self->ipv6_only = ipv6_only;
  g_object_notify (G_OBJECT (self), "ipv6-only");
}
