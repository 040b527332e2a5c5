/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

static gboolean
server_send_to (UsockServer  *self,
                UsockChannel *channel,
                UsockMessage *message)
{
  g_autoptr (GError) error = NULL;

  if (self->slow_readers == USOCK_SLOW_READERS_SKIP && channel->outlet.n_queued > 0)
    {
      self->messages_missed++;
      return FALSE;
    }

  if (usock_channel_send_message (channel, message, &error))
    return TRUE;
  if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    return FALSE;

  self->messages_missed++;
  if (self->slow_readers == USOCK_SLOW_READERS_CLOSE)
    usock_socket_fail (usock_channel_socket (channel), g_steal_pointer (&error));
  return FALSE;
}

/**
 * usock_server_broadcast:
 * @self: a server
 * @message: (transfer none): a message
 *
 * Sends @message to all connections in the order in which they came, as
 * [method@Usock.Channel.send_message] does. It is made once, whatever their
 * number: those that have to wait for it share it. Afterwards it is frozen.
 *
 * Who broadcasts counts as somebody who listens: from the first time on,
 * connections are accepted also if there is no handler for
 * [signal@Usock.Server::connection].
 *
 * What becomes of those that do not keep up says
 * [property@Usock.Server:slow-readers]; see
 * [method@Usock.Server.get_messages_missed]. Connections that have ended, or
 * that do not accept the message's descriptors, are left out.
 *
 * Returns: how many connections accepted the message
 *
 * Since: 1.0
 */
guint
usock_server_broadcast (UsockServer  *self,
                        UsockMessage *message)
{
  g_autoptr (GPtrArray) channels = NULL;
  guint n_accepted = 0;

  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);
  g_return_val_if_fail (message != NULL, 0);
  usock_socket_return_val_if_not_ours (self, 0);

  if (!self->has_broadcast)
    {
      self->has_broadcast = TRUE;
      usock_server_wake (self, FALSE);
    }
  usock_message_freeze (message);
  channels = usock_server_list_channels (self);
  for (guint i = 0; i < channels->len; i++)
    if (server_send_to (self, channels->pdata[i], message))
      n_accepted++;

  return n_accepted;
}

/**
 * usock_server_get_messages_missed:
 * @self: a server
 *
 * Gets how many messages of [method@Usock.Server.broadcast] connections have
 * missed because they did not keep up, one for each message and connection. The
 * counter stays when the server is closed, and its changes are not notified.
 *
 * Returns: the count
 *
 * Since: 1.0
 */
guint64
usock_server_get_messages_missed (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->messages_missed;
}

/**
 * usock_server_get_slow_readers: (get-property slow-readers)
 * @self: a server
 *
 * Gets what becomes of connections that do not keep up with
 * [method@Usock.Server.broadcast].
 *
 * Returns: the policy
 *
 * Since: 1.0
 */
UsockSlowReaders
usock_server_get_slow_readers (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), USOCK_SLOW_READERS_WAIT);

  return self->slow_readers;
}

/**
 * usock_server_set_slow_readers: (set-property slow-readers)
 * @self: a server
 * @slow_readers: the policy
 *
 * Sets what becomes of connections that do not keep up with
 * [method@Usock.Server.broadcast], from the next message on.
 *
 * Since: 1.0
 */
void
usock_server_set_slow_readers (UsockServer      *self,
                               UsockSlowReaders  slow_readers)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  g_return_if_fail (slow_readers <= USOCK_SLOW_READERS_CLOSE);
  usock_socket_return_if_not_ours (self);

  if (self->slow_readers == slow_readers)
    return;

  self->slow_readers = slow_readers;
  g_object_notify (G_OBJECT (self), "slow-readers");
}
