/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram-private.h"

/* No foreign code runs before the route has the message, or it is refused. */
static gboolean
dgram_send_on (UsockDgram       *self,
               UsockDgramRoute  *route,
               UsockMessage     *message,
               gconstpointer     data,
               gsize             length,
               UsockOperation   *operation,
               GError          **error)
{
  return usock_channel_send_on (USOCK_CHANNEL (self), &route->base, message, data, length,
                                operation, error);
}

/* Most programs send to the same few again and again. */
static UsockDgramRoute *
dgram_route_for_text (UsockDgram  *self,
                      const char  *text,
                      GError     **error)
{
  UsockDgramRoute *route = self->recent;

  if (text == NULL)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                           _("Could not send: the destination has no name"));
      return NULL;
    }

  if (route != NULL && g_strcmp0 (route->spelling, text) == 0)
    return route;

  route = g_hash_table_lookup (self->spellings, text);
  if (route != NULL)
    {
      usock_dgram_use_route (self, route);
      return route;
    }

  route = usock_dgram_reach (self, usock_name_new_for_text (text, error), error);
  /* A relative path may be another one next time. */
  if (route != NULL
      && (text[0] == '/' || text[0] == '@' || USOCK_SOCKET (self)->family != AF_UNIX))
    usock_dgram_spell_route (route, text);
  return route;
}

/**
 * usock_dgram_send_to:
 * @self: a socket
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of one message
 * @length: how many bytes there are; 0 sends an empty message
 * @destination: (nullable): whom to send to, as [func@Usock.address_parse] reads it: a path of any
 *   length, `@name`, or an internet address with a port; %NULL, as a sender without a name is told,
 *   is an error
 * @error: return location for an error
 *
 * Sends one message, as [method@Usock.Channel.send] does. To each
 * destination messages arrive in order.
 *
 * Names of hosts are not looked up here, for that may take long:
 * [method@Usock.Dgram.send_message_to_text_async] does.
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` or `G_IO_ERROR_CONNECTION_REFUSED` if nobody
 * receives there, with `G_IO_ERROR_INVALID_ARGUMENT` if @destination is no
 * address, with `G_IO_ERROR_PERMISSION_DENIED` also if the receiver is
 * connected to somebody else, with `G_IO_ERROR_WOULD_BLOCK` if the queue is full,
 * with `G_IO_ERROR_MESSAGE_TOO_LARGE`, and with others of sendmsg(2).
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_dgram_send_to (UsockDgram    *self,
                     const guint8  *data,
                     gsize          length,
                     const char    *destination,
                     GError       **error)
{
  UsockDgramRoute *route;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  route = dgram_route_for_text (self, destination, error);
  return route != NULL && dgram_send_on (self, route, NULL, data, length, NULL, error);
}

static UsockDgramRoute *
dgram_route_for_address (UsockDgram      *self,
                         GSocketAddress  *address,
                         GError         **error)
{
  g_autoptr (UsockName) name = usock_name_new_for_address (address, error);

  if (name == NULL)
    return NULL;

  if (!usock_name_has_text (name))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                           _("Could not send: the destination has no name"));
      return NULL;
    }

  return usock_dgram_reach (self, g_steal_pointer (&name), error);
}

/**
 * usock_dgram_send_message_to:
 * @self: a socket
 * @message: (transfer none): one message
 * @destination: (transfer none): whom to send to
 * @error: return location for an error
 *
 * Sends one message with everything that it carries, as
 * [method@Usock.Dgram.send_to] does, with the same errors.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_dgram_send_message_to (UsockDgram      *self,
                             UsockMessage    *message,
                             GSocketAddress  *destination,
                             GError         **error)
{
  UsockDgramRoute *route;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (destination), FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  route = dgram_route_for_address (self, destination, error);
  return route != NULL
         && dgram_send_on (self, route, message, NULL, usock_message_get_length (message), NULL,
                           error);
}

/**
 * usock_dgram_send_message_to_all:
 * @self: a socket
 * @message: (transfer none): one message
 * @destinations: (array zero-terminated=1): whom to send to, as in [method@Usock.Dgram.send_to]
 * @error: return location for an error
 *
 * Sends one message to several destinations. A destination that fails does
 * not keep the others from getting it; the error is the first that came.
 *
 * Returns: how many accepted it; an error is set only if none did
 *
 * Since: 1.0
 */
gsize
usock_dgram_send_message_to_all (UsockDgram          *self,
                                 UsockMessage        *message,
                                 const char * const  *destinations,
                                 GError             **error)
{
  g_autoptr (GError) first = NULL;
  gsize accepted = 0;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);
  g_return_val_if_fail (message != NULL && destinations != NULL, 0);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return 0;

  for (gsize i = 0; destinations[i] != NULL; i++)
    {
      GError **slot = first == NULL ? &first : NULL;
      UsockDgramRoute *route = dgram_route_for_text (self, destinations[i], slot);

      if (route != NULL
          && dgram_send_on (self, route, message, NULL, usock_message_get_length (message), NULL,
                            slot))
        accepted++;
    }

  if (accepted == 0 && first != NULL)
    g_propagate_error (error, g_steal_pointer (&first));
  return accepted;
}

/**
 * usock_dgram_send_message_to_text_async:
 * @self: a socket
 * @message: (transfer none): one message
 * @destination: (nullable): whom to send to, as in [method@Usock.Dgram.send_to], or the name of a
 *   host with a port, `localhost:514` for one
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Sends one message, and completes when it is in the receiver's queue. It
 * waits for its turn however full the queue is. A cancelled message was not
 * sent.
 *
 * The name of a host is looked up first, anew unless that is being done, and the
 * message goes to the first of its addresses that it can go to. Messages to the
 * same name stay in order.
 *
 * Since: 1.0
 */
void
usock_dgram_send_message_to_text_async (UsockDgram          *self,
                                        UsockMessage        *message,
                                        const char          *destination,
                                        GCancellable        *cancellable,
                                        GAsyncReadyCallback  callback,
                                        gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;
  UsockDgramRoute *route;

  g_return_if_fail (USOCK_IS_DGRAM (self));
  g_return_if_fail (message != NULL);

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_dgram_send_message_to_text_async,
                                 callback, user_data))
    return;

  operation = usock_channel_new_operation (USOCK_CHANNEL (self),
                                           usock_dgram_send_message_to_text_async, cancellable,
                                           callback, user_data);
  if (destination != NULL
      && usock_dgram_look_up (self, destination, message, operation, cancellable))
    return;

  route = dgram_route_for_text (self, destination, &error);
  usock_dgram_send_async (self, route, message, operation, error);
}

/**
 * usock_dgram_send_message_to_text_finish:
 * @self: a socket
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Dgram.send_message_to_text_async]. The errors are those of
 * [method@Usock.Dgram.send_to], and `G_IO_ERROR_CANCELLED`; of a host that is
 * not found, `G_IO_ERROR_HOST_NOT_FOUND`.
 *
 * Returns: whether the message was sent
 *
 * Since: 1.0
 */
gboolean
usock_dgram_send_message_to_text_finish (UsockDgram    *self,
                                         GAsyncResult  *result,
                                         GError       **error)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);

  return usock_operation_propagate (result, self, usock_dgram_send_message_to_text_async, NULL,
                                    error);
}

/**
 * usock_dgram_send_message_to_async:
 * @self: a socket
 * @message: (transfer none): one message
 * @destination: (transfer none): whom to send to
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Sends one message as [method@Usock.Dgram.send_message_to_text_async] does.
 *
 * Since: 1.0
 */
void
usock_dgram_send_message_to_async (UsockDgram          *self,
                                   UsockMessage        *message,
                                   GSocketAddress      *destination,
                                   GCancellable        *cancellable,
                                   GAsyncReadyCallback  callback,
                                   gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;
  UsockDgramRoute *route;

  g_return_if_fail (USOCK_IS_DGRAM (self));
  g_return_if_fail (message != NULL);
  g_return_if_fail (G_IS_SOCKET_ADDRESS (destination));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_dgram_send_message_to_async, callback,
                                 user_data))
    return;

  operation = usock_channel_new_operation (USOCK_CHANNEL (self),
                                           usock_dgram_send_message_to_async, cancellable,
                                           callback, user_data);
  route = dgram_route_for_address (self, destination, &error);
  usock_dgram_send_async (self, route, message, operation, error);
}

/**
 * usock_dgram_send_message_to_finish:
 * @self: a socket
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Dgram.send_message_to_async]. The errors are those of
 * [method@Usock.Dgram.send_to], and `G_IO_ERROR_CANCELLED`.
 *
 * Returns: whether the message was sent
 *
 * Since: 1.0
 */
gboolean
usock_dgram_send_message_to_finish (UsockDgram    *self,
                                    GAsyncResult  *result,
                                    GError       **error)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);

  return usock_operation_propagate (result, self, usock_dgram_send_message_to_async, NULL, error);
}
