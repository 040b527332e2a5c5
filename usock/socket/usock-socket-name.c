/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-socket-private.h"

/* Who is at the other end has changed, or nobody is; and with it often where our own end is. */
void
usock_socket_readdress (UsockSocket *self,
                        const char  *label)
{
  usock_socket_set_label (self, label);
  g_clear_object (&self->remote_address);
  g_clear_object (&self->local_address);
  self->readdressed = TRUE;
}

/* Who the peer is, as long as the kernel can be asked. */
int
usock_socket_find_peer (UsockSocket *self)
{
  int result;

  if (self->peer_known || self->fd == -1)
    return self->peer_known ? 0 : -ENODATA;

  result = usock_io_get_peer_credentials (self->fd, &self->peer);
  self->peer_known = result == 0;
  return result;
}

/* A handler of `close` may want to know whose connection it was. */
void
usock_socket_remember_peer (UsockSocket *self)
{
  if (self->state < USOCK_STATE_OPEN)
    return;

  usock_socket_get_local_address (self);
  usock_socket_get_remote_address (self);
  if (self->family == AF_UNIX)
    usock_socket_find_peer (self);
}

void
usock_socket_set_label (UsockSocket *self,
                        const char  *label)
{
  g_free (self->label);
  self->label = g_strdup (label);
}

/* The user is known of one in another pid namespace too. */
static char *
socket_describe_process (UsockSocket *self)
{
  if (usock_socket_find_peer (self) < 0)
    return NULL;
  if (self->peer.pid <= 0)
    return g_strdup_printf (_("a process of user %u"), (guint) self->peer.uid);

  return g_strdup_printf (_("process %d"), (int) self->peer.pid);
}

/* An adopted socket came without a name for its peer, and peers seldom have one of their own. */
static char *
socket_describe_peer (UsockSocket *self)
{
  GSocketAddress *address = usock_socket_get_remote_address (self);
  char *text = address != NULL ? usock_address_to_string (address) : NULL;

  if (text == NULL)
    text = socket_describe_process (self);
  if (text == NULL)
    text = g_strdup (self->type == SOCK_DGRAM ? _("anyone") : _("a peer without a name"));
  return text;
}

const char *
usock_socket_get_label (UsockSocket *self)
{
  if (self->label == NULL && self->fd == -1 && !self->peer_known && self->remote_address == NULL)
    return _("a peer without a name");
  if (self->label == NULL)
    self->label = socket_describe_peer (self);

  return self->label;
}

/* To be asked for while the connection stands: of one to another machine the kernel forgets it with
 * the connection, which the other side may end at any time. */
void
usock_socket_remember_remote (UsockSocket *self)
{
  if (self->family != AF_UNIX)
    usock_socket_get_remote_address (self);
}

/* The length of a packet has 16 bits. IPv4 counts its own head with it, UDP its own with both. */
static int
socket_get_udp_limit (UsockSocket *self)
{
  return G_MAXUINT16 - 8 - (self->family == AF_INET ? 20 : 0);
}

void
usock_socket_set_too_large (UsockSocket  *self,
                            gsize         length,
                            const char   *label,
                            GError      **error)
{
  if (self->type == SOCK_DGRAM && (self->family == AF_INET || self->family == AF_INET6))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                 _("Could not send a message of %zu bytes to “%s”: UDP takes no more than %d, and "
                   "less where packets must not be cut"),
                 length, label, socket_get_udp_limit (self));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                 _("Could not send a message of %zu bytes to “%s”: the system "
                   "takes no more than %d, and less if net.core.wmem_max says so"),
                 length, label, USOCK_IO_MESSAGE_MAX);
}

/**
 * usock_socket_get_local_address: (get-property local-address)
 * @self: a socket
 *
 * Gets our address, as getsockname(2) tells it.
 *
 * Returns: (transfer none) (nullable): the address; %NULL if there is no descriptor, or if
 *   the path is longer than the 107 bytes that an address holds
 *
 * Since: 1.0
 */
GSocketAddress *
usock_socket_get_local_address (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);

  if (!usock_socket_may_close (self, G_STRFUNC))
    return NULL;
  if (self->local_address == NULL && self->fd != -1)
    self->local_address = usock_io_get_local_address (self->fd);

  return self->local_address;
}

/**
 * usock_socket_get_remote_address: (get-property remote-address)
 * @self: a socket
 *
 * Gets the address of the peer, as getpeername(2) tells it. The peer that
 * connected is anonymous, unless it bound its socket first.
 *
 * Returns: (transfer none) (nullable): the address; %NULL if there is no peer, or if the
 *   path is longer than the 107 bytes that an address holds
 *
 * Since: 1.0
 */
GSocketAddress *
usock_socket_get_remote_address (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);

  if (!usock_socket_may_close (self, G_STRFUNC))
    return NULL;
  if (self->remote_address == NULL && self->fd != -1)
    self->remote_address = usock_io_get_remote_address (self->fd);

  return self->remote_address;
}
