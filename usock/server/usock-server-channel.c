/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include "usock-seqpacket.h"
#include "usock-stream.h"

/* What a connection sends before it is accepted is subject to the listener's options. */
int
usock_server_prepare_fd (UsockServer *self,
                         int          fd)
{
  int result;

  if (USOCK_SOCKET (self)->family != AF_UNIX)
    return 0;

  result = usock_socket_refuse_fds (USOCK_SOCKET (self), fd, self->max_fds == 0);
  if (result == 0)
    result = usock_io_set_credentials (fd, self->pass_credentials);
  return result < 0 ? result : usock_io_set_pidfds (fd, self->pass_pidfd);
}

/* What waits in the backlog may have the options of before. */
static void
server_prepare_anew (UsockServer *self)
{
  if (self->parent_instance.fd == -1)
    return;

  self->options_changed = TRUE;
  usock_server_prepare_fd (self, self->parent_instance.fd);
}

static GType
server_get_base_type (UsockServer *self)
{
  return USOCK_SOCKET (self)->type == SOCK_STREAM ? USOCK_TYPE_STREAM : USOCK_TYPE_SEQPACKET;
}

/* Most servers have what a new channel has, and each setter asks in which thread it is. */
static gboolean
server_is_satisfied (UsockServer        *self,
                     const UsockChannel *channel)
{
  const UsockInlet *inlet = &channel->inlet;

  return inlet->max_fds == self->max_fds && inlet->max_held_fds == self->max_held_fds
         && inlet->pass_credentials == self->pass_credentials
         && inlet->pass_pidfd == self->pass_pidfd
         && inlet->read_buffer_size == self->read_buffer_size
         && channel->memfd_fallback == self->memfd_fallback
         && channel->allow_half_open == self->allow_half_open
         && channel->outlet.queue_limit == self->queue_limit
         && channel->outlet.high_water_mark == self->high_water_mark
         && channel->idle_timeout == self->idle_timeout
         && channel->send_timeout == self->send_timeout;
}

static void
server_configure (UsockServer  *self,
                  UsockChannel *channel)
{
  usock_channel_set_max_fds (channel, self->max_fds);
  usock_channel_set_max_held_fds (channel, self->max_held_fds);
  usock_channel_set_pass_credentials (channel, self->pass_credentials);
  usock_channel_set_pass_pidfd (channel, self->pass_pidfd);
  usock_channel_set_memfd_fallback (channel, self->memfd_fallback);
  usock_channel_set_allow_half_open (channel, self->allow_half_open);
  usock_channel_set_read_buffer_size (channel, self->read_buffer_size);
  usock_channel_set_queue_limit (channel, self->queue_limit);
  usock_channel_set_high_water_mark (channel, self->high_water_mark);
  usock_channel_set_idle_timeout (channel, self->idle_timeout);
  usock_channel_set_send_timeout (channel, self->send_timeout);
}

/* As the server says; it has no descriptor yet. What a program does where its own class is made
 * must not be what makes it useless. */
UsockChannel *
usock_server_new_channel (UsockServer  *self,
                          GError      **error)
{
  UsockChannel *channel = g_object_new (usock_server_get_channel_type (self), NULL);

  if (USOCK_SOCKET (channel)->state != USOCK_STATE_NEW)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
                   _("Could not use a new %s for a connection: it is in use or closed"),
                   G_OBJECT_TYPE_NAME (channel));
      g_object_unref (channel);
      return NULL;
    }

  usock_socket_join (USOCK_SOCKET (channel), USOCK_SOCKET (self)->reactor);
  if (!server_is_satisfied (self, channel))
    server_configure (self, channel);
  channel->paused = self->pause_on_connect;
  return channel;
}

/**
 * usock_server_get_pause_on_connect: (get-property pause-on-connect)
 * @self: a server
 *
 * Gets whether connections are paused at first.
 *
 * Returns: whether they are
 *
 * Since: 1.0
 */
gboolean
usock_server_get_pause_on_connect (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  return self->pause_on_connect;
}

/**
 * usock_server_set_pause_on_connect: (set-property pause-on-connect)
 * @self: a server
 * @pause_on_connect: whether they are
 *
 * Sets whether connections are paused at first, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_pause_on_connect (UsockServer *self,
                                   gboolean     pause_on_connect)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  pause_on_connect = !!pause_on_connect;
  if (self->pause_on_connect == pause_on_connect)
    return;

  self->pause_on_connect = pause_on_connect;
  g_object_notify (G_OBJECT (self), "pause-on-connect");
}

/**
 * usock_server_get_max_fds: (get-property max-fds)
 * @self: a server
 *
 * Gets how many descriptors a message of a connection may have.
 *
 * Returns: how many; 0 if they are refused
 *
 * Since: 1.0
 */
guint
usock_server_get_max_fds (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->max_fds;
}

/**
 * usock_server_set_max_fds: (set-property max-fds)
 * @self: a server
 * @max_fds: how many; 0 if they are refused
 *
 * Sets how many descriptors a message of a connection may have, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_max_fds (UsockServer *self,
                          guint        max_fds)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->max_fds == max_fds)
    return;

  self->max_fds = max_fds;
  server_prepare_anew (self);
  g_object_notify (G_OBJECT (self), "max-fds");
}

/**
 * usock_server_get_max_held_fds: (get-property max-held-fds)
 * @self: a server
 *
 * Gets how many descriptors the messages of a connection may hold together.
 *
 * Returns: how many; 0 if there is no limit
 *
 * Since: 1.0
 */
guint
usock_server_get_max_held_fds (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->max_held_fds;
}

/**
 * usock_server_set_max_held_fds: (set-property max-held-fds)
 * @self: a server
 * @max_held_fds: how many; 0 for no limit
 *
 * Sets how many descriptors the messages of a connection may hold together, of
 * the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_max_held_fds (UsockServer *self,
                               guint        max_held_fds)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->max_held_fds == max_held_fds)
    return;

  self->max_held_fds = max_held_fds;
  g_object_notify (G_OBJECT (self), "max-held-fds");
}

/**
 * usock_server_get_pass_credentials: (get-property pass-credentials)
 * @self: a server
 *
 * Gets whether messages carry the credentials of their senders.
 *
 * Returns: whether they do
 *
 * Since: 1.0
 */
gboolean
usock_server_get_pass_credentials (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->pass_credentials;
}

/**
 * usock_server_set_pass_credentials: (set-property pass-credentials)
 * @self: a server
 * @pass_credentials: whether they do
 *
 * Sets whether messages carry the credentials of their senders, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_pass_credentials (UsockServer *self,
                                   gboolean     pass_credentials)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  pass_credentials = !!pass_credentials;
  if (self->pass_credentials == pass_credentials)
    return;

  self->pass_credentials = pass_credentials;
  server_prepare_anew (self);
  g_object_notify (G_OBJECT (self), "pass-credentials");
}

/**
 * usock_server_get_pass_pidfd: (get-property pass-pidfd)
 * @self: a server
 *
 * Gets whether messages carry a descriptor of the process that sent them.
 *
 * Returns: whether they do
 *
 * Since: 1.0
 */
gboolean
usock_server_get_pass_pidfd (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->pass_pidfd;
}

/**
 * usock_server_set_pass_pidfd: (set-property pass-pidfd)
 * @self: a server
 * @pass_pidfd: whether they do
 *
 * Sets whether messages carry a descriptor of the process that sent them, of
 * the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_pass_pidfd (UsockServer *self,
                             gboolean     pass_pidfd)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  pass_pidfd = !!pass_pidfd;
  if (self->pass_pidfd == pass_pidfd)
    return;

  self->pass_pidfd = pass_pidfd;
  server_prepare_anew (self);
  g_object_notify (G_OBJECT (self), "pass-pidfd");
}

/**
 * usock_server_get_memfd_fallback: (get-property memfd-fallback)
 * @self: a server
 *
 * Gets whether connections send in a memory file what is too large for the kernel.
 *
 * Returns: whether they do
 *
 * Since: 1.0
 */
gboolean
usock_server_get_memfd_fallback (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  return self->memfd_fallback;
}

/**
 * usock_server_set_memfd_fallback: (set-property memfd-fallback)
 * @self: a server
 * @memfd_fallback: whether they do
 *
 * Sets whether connections send in a memory file what is too large for the kernel, of the
 * connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_memfd_fallback (UsockServer *self,
                                 gboolean     memfd_fallback)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  memfd_fallback = !!memfd_fallback;
  if (self->memfd_fallback == memfd_fallback)
    return;

  self->memfd_fallback = memfd_fallback;
  g_object_notify (G_OBJECT (self), "memfd-fallback");
}

/**
 * usock_server_get_allow_half_open: (get-property allow-half-open)
 * @self: a server
 *
 * Gets whether a connection stays open when its peer ends.
 *
 * Returns: whether it does
 *
 * Since: 1.0
 */
gboolean
usock_server_get_allow_half_open (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->allow_half_open;
}

/**
 * usock_server_set_allow_half_open: (set-property allow-half-open)
 * @self: a server
 * @allow_half_open: whether it does
 *
 * Sets whether a connection stays open when its peer ends, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_allow_half_open (UsockServer *self,
                                  gboolean     allow_half_open)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  allow_half_open = !!allow_half_open;
  if (self->allow_half_open == allow_half_open)
    return;

  self->allow_half_open = allow_half_open;
  g_object_notify (G_OBJECT (self), "allow-half-open");
}

/**
 * usock_server_get_read_buffer_size: (get-property read-buffer-size)
 * @self: a server
 *
 * Gets the length of the longest message that is received whole.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint
usock_server_get_read_buffer_size (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->read_buffer_size;
}

/**
 * usock_server_set_read_buffer_size: (set-property read-buffer-size)
 * @self: a server
 * @read_buffer_size: bytes
 *
 * Sets the length of the longest message that is received whole, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_read_buffer_size (UsockServer *self,
                                   guint        read_buffer_size)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  read_buffer_size = CLAMP (read_buffer_size, 1, 64 * 1024 * 1024);
  if (self->read_buffer_size == read_buffer_size)
    return;

  self->read_buffer_size = read_buffer_size;
  g_object_notify (G_OBJECT (self), "read-buffer-size");
}

/**
 * usock_server_get_queue_limit: (get-property queue-limit)
 * @self: a server
 *
 * Gets how much a connection may queue.
 *
 * Returns: bytes; 0 to queue nothing
 *
 * Since: 1.0
 */
guint64
usock_server_get_queue_limit (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->queue_limit;
}

/**
 * usock_server_set_queue_limit: (set-property queue-limit)
 * @self: a server
 * @queue_limit: bytes; 0 to queue nothing
 *
 * Sets how much a connection may queue, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_queue_limit (UsockServer *self,
                              guint64      queue_limit)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->queue_limit == queue_limit)
    return;

  self->queue_limit = queue_limit;
  g_object_notify (G_OBJECT (self), "queue-limit");
}

/**
 * usock_server_get_high_water_mark: (get-property high-water-mark)
 * @self: a server
 *
 * Gets how much a connection may queue before a sender should wait.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
usock_server_get_high_water_mark (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->high_water_mark;
}

/**
 * usock_server_set_high_water_mark: (set-property high-water-mark)
 * @self: a server
 * @high_water_mark: bytes
 *
 * Sets how much a connection may queue before a sender should wait, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_high_water_mark (UsockServer *self,
                                  guint64     high_water_mark)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->high_water_mark == high_water_mark)
    return;

  self->high_water_mark = high_water_mark;
  g_object_notify (G_OBJECT (self), "high-water-mark");
}

/**
 * usock_server_get_idle_timeout: (get-property idle-timeout)
 * @self: a server
 *
 * Gets after how long without a byte a connection tells so.
 *
 * Returns: milliseconds; 0 for never
 *
 * Since: 1.0
 */
guint
usock_server_get_idle_timeout (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->idle_timeout;
}

/**
 * usock_server_set_idle_timeout: (set-property idle-timeout)
 * @self: a server
 * @idle_timeout: milliseconds; 0 for never
 *
 * Sets after how long without a byte a connection tells so, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_idle_timeout (UsockServer *self,
                               guint       idle_timeout)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->idle_timeout == idle_timeout)
    return;

  self->idle_timeout = idle_timeout;
  g_object_notify (G_OBJECT (self), "idle-timeout");
}

/**
 * usock_server_get_send_timeout: (get-property send-timeout)
 * @self: a server
 *
 * Gets how long a peer may take nothing before its connection fails.
 *
 * Returns: milliseconds; 0 for ever
 *
 * Since: 1.0
 */
guint
usock_server_get_send_timeout (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->send_timeout;
}

/**
 * usock_server_set_send_timeout: (set-property send-timeout)
 * @self: a server
 * @send_timeout: milliseconds; 0 for ever
 *
 * Sets how long a peer may take nothing before its connection fails, of the connections that
 * come.
 *
 * Since: 1.0
 */
void
usock_server_set_send_timeout (UsockServer *self,
                               guint       send_timeout)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->send_timeout == send_timeout)
    return;

  self->send_timeout = send_timeout;
  g_object_notify (G_OBJECT (self), "send-timeout");
}

/**
 * usock_server_get_channel_type: (get-property channel-type)
 * @self: a server
 *
 * Gets the class of the channels that are made for connections that come.
 *
 * Returns: the class
 *
 * Since: 1.0
 */
GType
usock_server_get_channel_type (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), G_TYPE_INVALID);

  return self->channel_type != G_TYPE_INVALID ? self->channel_type : server_get_base_type (self);
}

/**
 * usock_server_set_channel_type: (set-property channel-type)
 * @self: a server
 * @channel_type: the class: that of [property@Usock.Server:socket-type], or one that was derived
 *   from it and is not abstract
 *
 * Sets the class of the channels that are made for connections that come. An
 * object of it is made without any property set.
 *
 * Since: 1.0
 */
void
usock_server_set_channel_type (UsockServer *self,
                               GType        channel_type)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);
  g_return_if_fail (g_type_is_a (channel_type, server_get_base_type (self)));
  g_return_if_fail (!G_TYPE_IS_ABSTRACT (channel_type));

  if (usock_server_get_channel_type (self) == channel_type)
    return;

  self->channel_type = channel_type;
  g_object_notify (G_OBJECT (self), "channel-type");
}
