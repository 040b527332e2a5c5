/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

typedef struct
{
  gboolean reuse_port;
  gboolean ipv6_only;
} InetOptions;

/* A server that comes back must not wait until the connections of the one before have faded away.
 * A living one keeps its port all the same. */
static int
inet_prepare (int                fd,
              int                family,
              const InetOptions *options)
{
  int result = usock_io_set_option (fd, SOL_SOCKET, SO_REUSEADDR, TRUE);

  if (result == 0 && options->reuse_port)
    result = usock_io_set_option (fd, SOL_SOCKET, SO_REUSEPORT, TRUE);
  if (result == 0 && family == AF_INET6)
    result = usock_io_set_option (fd, IPPROTO_IPV6, IPV6_V6ONLY, options->ipv6_only);
  return result;
}

int
usock_server_prepare_inet (UsockServer *self,
                           int          fd)
{
  const InetOptions options = { self->reuse_port, self->ipv6_only };

  return inet_prepare (fd, USOCK_SOCKET (self)->family, &options);
}

/* Whether accept(2) failed for the sake of the one connection that it would have been: the kernel
 * tells an error of the network there that the connection has had since. */
gboolean
usock_server_may_accept_again (int errnum)
{
  switch (errnum)
    {
    case ECONNABORTED:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPROTO:
    case ETIMEDOUT:
      return TRUE;
    default:
      return FALSE;
    }
}

static void
inet_add_name (GPtrArray      *names,
               GSocketAddress *address)
{
  UsockName *name = usock_name_new_for_address (address, NULL);

  if (name != NULL)
    g_ptr_array_add (names, name);
}

static void
inet_add_any (GPtrArray     *names,
              GSocketFamily  family,
              guint          port)
{
  g_autoptr (GInetAddress) any = g_inet_address_new_any (family);
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new (any, port);

  inet_add_name (names, address);
}

static GPtrArray *
inet_lookup_names (const char  *host,
                   guint        port,
                   GError     **error)
{
  GPtrArray *names = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_name_free);
  g_autoptr (GResolver) resolver = g_resolver_get_default ();
  GList *found = g_resolver_lookup_by_name (resolver, host, NULL, error);

  for (GList *link = found; link != NULL; link = link->next)
    {
      g_autoptr (GSocketAddress) address = g_inet_socket_address_new (link->data, port);

      inet_add_name (names, address);
    }

  g_resolver_free_addresses (found);
  return names;
}

/* In the order in which to try them. On all interfaces, one of IPv6 takes IPv4 along, where there
 * is IPv6. */
static GPtrArray *
inet_new_names (const char  *host,
                guint        port,
                gboolean     ipv6_only,
                GError     **error)
{
  g_autoptr (GSocketAddress) literal = NULL;
  GPtrArray *names;

  if (host != NULL)
    literal = g_inet_socket_address_new_from_string (host, port);
  if (host != NULL && literal == NULL)
    return inet_lookup_names (host, port, error);

  names = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_name_free);
  if (literal != NULL)
    inet_add_name (names, literal);
  else
    {
      inet_add_any (names, G_SOCKET_FAMILY_IPV6, port);
      if (!ipv6_only)
        inet_add_any (names, G_SOCKET_FAMILY_IPV4, port);
    }
  return names;
}

/* At least one, or NULL. */
static GPtrArray *
inet_find_names (const char  *host,
                 guint        port,
                 gboolean     ipv6_only,
                 GError     **error)
{
  g_autofree char *shown = g_utf8_make_valid (host != NULL ? host : "*", -1);
  g_autoptr (GPtrArray) names = NULL;
  g_autoptr (GError) cause = NULL;

  if (port > G_MAXUINT16 || *shown == '\0' || (host != NULL && !g_utf8_validate (host, -1, NULL)))
    {
      usock_error_set_errno (error, EINVAL, _("Could not listen on “%s:%u”"), shown, port);
      return NULL;
    }

  names = inet_new_names (host, port, ipv6_only, &cause);
  if (names->len > 0)
    return g_steal_pointer (&names);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_HOST_NOT_FOUND, _("Could not listen on “%s:%u”: %s"),
               shown, port, cause != NULL ? cause->message : g_strerror (EADDRNOTAVAIL));
  return NULL;
}

/* Whether another address of the same host may do. */
static gboolean
inet_is_elsewhere (int errnum)
{
  return errnum == EAFNOSUPPORT || errnum == EADDRNOTAVAIL;
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
 * Of a host with several addresses the first is used that this machine has. A
 * name is looked up by the default [class@Gio.Resolver], for which this call
 * waits; give an address where that must not be.
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
  g_autoptr (GPtrArray) names = NULL;
  g_autoptr (GError) failure = NULL;
  UsockSocket *socket;

  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  socket = USOCK_SOCKET (self);
  names = inet_find_names (host, port, self->ipv6_only, &failure);
  while (names != NULL && names->len > 0)
    {
      UsockName *name = g_ptr_array_steal_index (names, 0);

      g_clear_error (&failure);
      socket->error_number = 0;
      if (usock_server_listen (self, name, backlog, &failure))
        return TRUE;
      if (!inet_is_elsewhere (socket->error_number))
        break;
    }

  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

static int
inet_open (const UsockName   *name,
           const InetOptions *options)
{
  int family = name->native.any.sa_family;
  int fd = usock_io_socket (family, SOCK_STREAM, 0);
  int result;

  if (fd < 0)
    return fd;

  result = inet_prepare (fd, family, options);
  if (result == 0)
    result = usock_io_bind (fd, name);
  if (result == 0)
    return fd;

  close (fd);
  return result;
}

/**
 * usock_server_new_reuse_port_fd:
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
usock_server_new_reuse_port_fd (const char  *host,
                                guint        port,
                                GError     **error)
{
  const InetOptions options = { .reuse_port = TRUE };
  g_autoptr (GPtrArray) names = inet_find_names (host, port, FALSE, error);

  for (guint i = 0; names != NULL && i < names->len; i++)
    {
      const UsockName *name = names->pdata[i];
      int fd = inet_open (name, &options);

      if (fd >= 0)
        return fd;
      if (inet_is_elsewhere (-fd) && i + 1 < names->len)
        continue;

      usock_error_set_errno (error, -fd, _("Could not bind to “%s”"), name->label);
      return -1;
    }

  return -1;
}
