/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram-private.h"

#include <errno.h>

void
usock_dgram_apply_buffer_sizes (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  if (socket->fd == -1)
    return;
  if (self->receive_buffer_size > 0)
    usock_io_set_option (socket->fd, SOL_SOCKET, SO_RCVBUF, self->receive_buffer_size);
  if (self->send_buffer_size > 0)
    usock_io_set_option (socket->fd, SOL_SOCKET, SO_SNDBUF, self->send_buffer_size);
}

/* Back to where the socket was before usock_dgram_open(), which made it a moment ago. */
void
usock_dgram_retreat (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  UsockChannel *channel = USOCK_CHANNEL (self);

  usock_socket_retreat (socket);
  socket->family = AF_UNIX;
  channel->inlet.fd = channel->outlet.fd = -1;
  channel->inlet.is_open = channel->outlet.is_open = FALSE;
}

static gboolean
dgram_open_new (UsockDgram  *self,
                int          family,
                GError     **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  int fd = usock_io_socket (family, SOCK_DGRAM, 0);
  int result;

  if (fd < 0)
    {
      usock_socket_record (socket, USOCK_IO_SOCKET, -fd);
      usock_error_set_errno (error, -fd, _("Could not open a datagram socket"));
      return FALSE;
    }

  socket->family = family;
  if (!usock_socket_start (socket, fd, FALSE, error))
    g_assert_not_reached ();
  socket->sealed = TRUE;
  socket->origin = USOCK_ORIGIN_NEW;
  result = usock_channel_prepare_fd (USOCK_CHANNEL (self), fd);
  if (result < 0)
    {
      usock_error_set_errno (error, -result, _("Could not open a datagram socket"));
      usock_socket_explain_option (socket, error);
    }
  if (result < 0 || !usock_socket_watch (socket, error))
    {
      usock_dgram_retreat (self);
      return FALSE;
    }

  usock_dgram_apply_buffer_sizes (self);
  usock_channel_opened (USOCK_CHANNEL (self));
  return TRUE;
}

/* The first use decides the family. One of IPv6 reaches everybody of IPv4 by another name. */
gboolean
usock_dgram_open (UsockDgram  *self,
                  UsockName   *name,
                  GError     **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  int family = usock_dgram_family_of (name);

  if (!usock_socket_check (socket, error))
    return FALSE;
  if (socket->fd != -1 && socket->family == family)
    return TRUE;
  if (socket->fd == -1 && (family == AF_UNIX || family == AF_INET || family == AF_INET6))
    return dgram_open_new (self, family, error);
  if (socket->fd != -1 && socket->family == AF_INET6 && family == AF_INET)
    {
      usock_name_map_to_ipv6 (name);
      return TRUE;
    }

  usock_error_set_errno (error, EAFNOSUPPORT, _("Could not use “%s” as an address"), name->label);
  return FALSE;
}

/* Takes @name over, or NULL. The route to there. */
UsockDgramRoute *
usock_dgram_reach (UsockDgram  *self,
                   UsockName   *name,
                   GError     **error)
{
  g_autoptr (UsockName) owned = name;

  if (name == NULL || !usock_dgram_open (self, name, error))
    return NULL;

  return usock_dgram_find_route (self, g_steal_pointer (&owned));
}

/* Whoever is connected, and can receive, may lose what came when a send fails. In the network, what
 * became of an earlier message is told in place of a later one. */
void
usock_dgram_check_stows (UsockDgram *self)
{
  gboolean local = USOCK_SOCKET (self)->family == AF_UNIX;

  self->stows = local && self->connected && (self->bound || self->paired);
  USOCK_CHANNEL (self)->outlet.singly = !local && self->connected;
}

/* A socket that was adopted may be of a family whose addresses have no text, by which routes are
 * told apart. */
static gboolean
dgram_check_target (UsockDgram       *self,
                    const UsockName  *target,
                    GError          **error)
{
  if (usock_name_has_text (target))
    return TRUE;

  usock_error_set_errno (error,
                         usock_dgram_family_of (target) == AF_UNIX ? EINVAL : EAFNOSUPPORT,
                         _("Could not connect to “%s”"), target->label);
  return FALSE;
}

/* Connecting again empties the receive queue too. */
gboolean
usock_dgram_connect (UsockChannel  *channel,
                     UsockName     *target,
                     GError       **error)
{
  UsockDgram *self = USOCK_DGRAM (channel);
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (UsockName) owned = target;
  gboolean opened = socket->fd == -1;
  int result;

  if (!dgram_check_target (self, target, error) || !usock_dgram_open (self, target, error))
    return FALSE;

  if (!opened)
    usock_channel_stow (channel);
  result = usock_io_connect (socket->fd, target);
  if (result < 0)
    {
      usock_socket_record (socket, USOCK_IO_CONNECT, -result);
      usock_error_set_errno (error, -result, _("Could not connect to “%s”"), target->label);
      if (opened)
        usock_dgram_retreat (self);
      return FALSE;
    }

  usock_socket_readdress (socket, target->label);
  usock_dgram_change_peer (self, g_steal_pointer (&owned));
  usock_dgram_check_stows (self);
  channel->approach.announce = TRUE;
  return TRUE;
}

static gboolean
dgram_check_connected (UsockDgram  *self,
                       GError     **error)
{
  if (!usock_socket_check (USOCK_SOCKET (self), error))
    return FALSE;
  if (self->connected)
    return TRUE;

  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                       _("Could not forget the peer: the socket is not connected"));
  return FALSE;
}

static guint
address_get_port (GSocketAddress *address)
{
  return G_IS_INET_SOCKET_ADDRESS (address)
             ? g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address))
             : 0;
}

/* With its peer an internet socket loses a port that the system had picked for it, unless that was
 * told by number. */
static gboolean
dgram_restore_port (UsockDgram  *self,
                    guint        port,
                    GError     **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (GSocketAddress) address = usock_io_get_local_address (socket->fd);
  g_autoptr (GSocketAddress) wanted = NULL;
  g_autoptr (GInetAddress) host = NULL;
  g_autoptr (UsockName) name = NULL;
  guint scope = 0;
  int result;

  if (!self->bound || port == 0 || !G_IS_INET_SOCKET_ADDRESS (address)
      || address_get_port (address) == port)
    return TRUE;

  g_object_get (address, "address", &host, NULL);
  if (g_inet_address_get_family (host) == G_SOCKET_FAMILY_IPV6)
    scope = g_inet_socket_address_get_scope_id (G_INET_SOCKET_ADDRESS (address));
  wanted = g_object_new (G_TYPE_INET_SOCKET_ADDRESS, "address", host, "port", port, "scope-id",
                         scope, NULL);
  name = usock_name_new_for_address (wanted, error);
  if (name == NULL || !usock_dgram_open (self, name, error))
    return FALSE;

  result = usock_io_bind (socket->fd, name);
  if (result == 0)
    return TRUE;

  self->bound = FALSE;
  usock_socket_record (socket, USOCK_IO_BIND, -result);
  usock_error_set_errno (error, -result, _("Could not bind to “%s”"), name->label);
  return FALSE;
}

static guint
dgram_get_port (UsockDgram *self)
{
  g_autoptr (GSocketAddress) address = usock_io_get_local_address (USOCK_SOCKET (self)->fd);

  return address_get_port (address);
}

/**
 * usock_dgram_forget_peer:
 * @self: a socket that is connected
 * @error: return location for an error
 *
 * Undoes that the socket was connected: it receives from everybody again, if it
 * is bound, and [method@Usock.Channel.send] has nobody to send to until it is
 * connected once more. Messages that wait for the peer go on to its name. Where
 * it has none, as the other end of a pair, they fail, and the pair is no more.
 *
 * The kernel throws away what a socket of this machine has not received then; it
 * is read before, and delivered later. An internet socket that was not bound may
 * have another port afterwards.
 *
 * Fails with `G_IO_ERROR_NOT_CONNECTED` if there is no peer, with
 * `G_IO_ERROR_CLOSED`, and with `G_IO_ERROR_ADDRESS_IN_USE` in the rare case that
 * somebody else took a port that the system had picked, which the kernel gives up
 * for a moment: the peer is forgotten then, and the socket may be bound again.
 *
 * Returns: whether the socket has no peer any more
 *
 * Since: 1.0
 */
gboolean
usock_dgram_forget_peer (UsockDgram  *self,
                         GError     **error)
{
  UsockSocket *socket;
  guint port;
  int result;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);

  socket = USOCK_SOCKET (self);
  if (!usock_socket_check_thread (socket, error) || !dgram_check_connected (self, error))
    return FALSE;

  port = dgram_get_port (self);
  usock_channel_stow (USOCK_CHANNEL (self));
  result = usock_io_disconnect (socket->fd);
  if (result < 0)
    {
      usock_socket_record (socket, USOCK_IO_CONNECT, -result);
      usock_error_set_errno (error, -result, _("Could not forget “%s”"),
                             usock_channel_peer (USOCK_CHANNEL (self)));
      return FALSE;
    }

  usock_socket_readdress (socket, NULL);
  usock_dgram_part (self);
  usock_dgram_check_stows (self);
  return dgram_restore_port (self, port, error);
}
