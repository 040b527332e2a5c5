/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

/* What may come with a message: credentials, and descriptors. */

/* What the system refuses is recorded, and the property stays as it was. */
static gboolean
channel_set_option (UsockChannel *self,
                    int           (*set) (int, gboolean),
                    gboolean      value)
{
  UsockSocket *socket = usock_channel_socket (self);
  int result;

  if (socket->fd == -1 || socket->family != AF_UNIX)
    return TRUE;

  result = set (socket->fd, value);
  if (result < 0)
    usock_socket_record (socket, USOCK_IO_SET_OPTION, -result);
  return result >= 0;
}

/**
 * usock_channel_get_pass_credentials: (get-property pass-credentials)
 * @self: a channel
 *
 * Gets whether received messages carry the credentials of their senders.
 *
 * Returns: whether they do
 *
 * Since: 1.0
 */
gboolean
usock_channel_get_pass_credentials (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->inlet.pass_credentials;
}

/**
 * usock_channel_set_pass_credentials: (set-property pass-credentials)
 * @self: a channel
 * @pass_credentials: whether they should
 *
 * Sets whether received messages carry the credentials of their senders.
 *
 * Since: 1.0
 */
void
usock_channel_set_pass_credentials (UsockChannel *self,
                                    gboolean      pass_credentials)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  pass_credentials = !!pass_credentials;
  if (self->inlet.pass_credentials == pass_credentials
      || !channel_set_option (self, usock_io_set_credentials, pass_credentials))
    return;

  self->inlet.pass_credentials = pass_credentials;
  g_object_notify (G_OBJECT (self), "pass-credentials");
}

/**
 * usock_channel_get_pass_pidfd: (get-property pass-pidfd)
 * @self: a channel
 *
 * Gets whether received messages carry a descriptor of the process that sent
 * them.
 *
 * Returns: whether they do
 *
 * Since: 1.0
 */
gboolean
usock_channel_get_pass_pidfd (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->inlet.pass_pidfd;
}

/**
 * usock_channel_set_pass_pidfd: (set-property pass-pidfd)
 * @self: a channel
 * @pass_pidfd: whether they should
 *
 * Sets whether received messages carry a descriptor of the process that sent
 * them.
 *
 * Since: 1.0
 */
void
usock_channel_set_pass_pidfd (UsockChannel *self,
                              gboolean      pass_pidfd)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  pass_pidfd = !!pass_pidfd;
  if (self->inlet.pass_pidfd == pass_pidfd
      || !channel_set_option (self, usock_io_set_pidfds, pass_pidfd))
    return;

  self->inlet.pass_pidfd = pass_pidfd;
  g_object_notify (G_OBJECT (self), "pass-pidfd");
}

/**
 * usock_channel_get_max_fds: (get-property max-fds)
 * @self: a channel
 *
 * Gets how many descriptors a received message may have.
 *
 * Returns: how many; 0 if they are refused
 *
 * Since: 1.0
 */
guint
usock_channel_get_max_fds (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->inlet.max_fds;
}

/**
 * usock_channel_set_max_fds: (set-property max-fds)
 * @self: a channel
 * @max_fds: how many; 0 to refuse them
 *
 * Sets how many descriptors a received message may have.
 *
 * Since: 1.0
 */
void
usock_channel_set_max_fds (UsockChannel *self,
                           guint         max_fds)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (self->inlet.max_fds == max_fds
      || !channel_set_option (self, usock_io_refuse_fds, max_fds == 0))
    return;

  usock_channel_socket (self)->sealed &= max_fds == 0;
  self->inlet.max_fds = max_fds;
  g_object_notify (G_OBJECT (self), "max-fds");
}

/**
 * usock_channel_get_max_held_fds: (get-property max-held-fds)
 * @self: a channel
 *
 * Gets how many descriptors received messages may hold together.
 *
 * Returns: how many; 0 if there is no limit
 *
 * Since: 1.0
 */
guint
usock_channel_get_max_held_fds (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->inlet.max_held_fds;
}

/**
 * usock_channel_set_max_held_fds: (set-property max-held-fds)
 * @self: a channel
 * @max_held_fds: how many; 0 for no limit
 *
 * Sets how many descriptors received messages may hold together.
 *
 * Since: 1.0
 */
void
usock_channel_set_max_held_fds (UsockChannel *self,
                                guint         max_held_fds)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (self->inlet.max_held_fds == max_held_fds)
    return;

  usock_inlet_make_tally (&self->inlet);
  self->inlet.max_held_fds = max_held_fds;
  if (usock_channel_is_connected (self))
    usock_watch_wake (&usock_channel_socket (self)->watch);
  g_object_notify (G_OBJECT (self), "max-held-fds");
}
