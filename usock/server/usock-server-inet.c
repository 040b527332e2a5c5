/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <errno.h>
#include <netinet/in.h>

/* A server that comes back must not wait until the connections of the one before have faded away.
 * A living one keeps its port all the same. */
int
usock_server_prepare_inet (int      fd,
                           int      family,
                           gboolean reuse_port,
                           gboolean ipv6_only)
{
  int result = usock_io_set_option (fd, SOL_SOCKET, SO_REUSEADDR, TRUE);

  if (result == 0 && reuse_port)
    result = usock_io_set_option (fd, SOL_SOCKET, SO_REUSEPORT, TRUE);
  if (result == 0 && family == AF_INET6)
    result = usock_io_set_option (fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6_only);
  return result;
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

/* A resolver may tell the same address more than once, and only one can have the port. */
static void
inet_add (GPtrArray    *addresses,
          GInetAddress *address,
          guint         port)
{
  for (guint i = 0; i < addresses->len; i++)
    if (g_inet_address_equal (g_inet_socket_address_get_address (addresses->pdata[i]), address))
      return;

  g_ptr_array_add (addresses, g_inet_socket_address_new (address, port));
}

static void
inet_add_any (GPtrArray     *addresses,
              GSocketFamily  family,
              guint          port)
{
  g_autoptr (GInetAddress) any = g_inet_address_new_any (family);

  inet_add (addresses, any, port);
}

static void
inet_look_up (GPtrArray   *addresses,
              const char  *host,
              guint        port,
              GError     **error)
{
  g_autoptr (GResolver) resolver = g_resolver_get_default ();
  GList *found = g_resolver_lookup_by_name (resolver, host, NULL, error);

  for (GList *link = found; link != NULL; link = link->next)
    inet_add (addresses, link->data, port);

  g_resolver_free_addresses (found);
}

/* In the order in which to try them. On all interfaces, one of IPv6 takes IPv4 along, where there
 * is IPv6. */
static GPtrArray *
inet_new_addresses (const char  *host,
                    guint        port,
                    gboolean     ipv6_only,
                    GError     **error)
{
  GPtrArray *addresses = g_ptr_array_new_with_free_func (g_object_unref);
  GSocketAddress *literal = NULL;

  if (host != NULL)
    literal = g_inet_socket_address_new_from_string (host, port);

  if (literal != NULL)
    g_ptr_array_add (addresses, literal);
  else if (host != NULL)
    inet_look_up (addresses, host, port, error);
  else
    {
      inet_add_any (addresses, G_SOCKET_FAMILY_IPV6, port);
      if (!ipv6_only)
        inet_add_any (addresses, G_SOCKET_FAMILY_IPV4, port);
    }
  return addresses;
}

/* Of GInetSocketAddress: at least one, or NULL. */
GPtrArray *
usock_server_find_addresses (const char  *host,
                             guint        port,
                             gboolean     ipv6_only,
                             GError     **error)
{
  g_autofree char *shown = g_utf8_make_valid (host != NULL ? host : "*", -1);
  g_autoptr (GPtrArray) addresses = NULL;
  g_autoptr (GError) cause = NULL;

  if (port > G_MAXUINT16 || *shown == '\0' || (host != NULL && !g_utf8_validate (host, -1, NULL)))
    {
      usock_error_set_errno (error, EINVAL, _("Could not listen on “%s:%u”"), shown, port);
      return NULL;
    }

  addresses = inet_new_addresses (host, port, ipv6_only, &cause);
  if (addresses->len > 0)
    return g_steal_pointer (&addresses);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_HOST_NOT_FOUND, _("Could not listen on “%s:%u”: %s"),
               shown, port, cause != NULL ? cause->message : g_strerror (EADDRNOTAVAIL));
  return NULL;
}
