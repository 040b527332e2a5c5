/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-client-private.h"

#include <inttypes.h>

static gboolean
client_check_sendable (UsockClient  *self,
                       GError      **error)
{
  if (!usock_client_check_started (self, error))
    return FALSE;
  if (!self->for_calls)
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, _("Could not send to “%s”: %s"),
               self->place.label, _("the client is for calls"));
  return FALSE;
}

static gboolean
client_check_room (UsockClient   *self,
                   UsockMessage  *message,
                   GError       **error)
{
  guint64 cost = usock_queue_message_cost (usock_message_get_length (message),
                                           usock_message_get_n_fds (message));

  if (self->queued_cost == 0
      || (self->queued_cost <= self->queue_limit
          && cost <= self->queue_limit - self->queued_cost))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
               _("Could not send to “%s”: nobody takes it for now, and %" PRIu64
                 " bytes are queued"),
               self->place.label, self->queued_cost);
  return FALSE;
}

/**
 * usock_client_send_message:
 * @self: a client that was started
 * @message: (transfer none): what to send; from now on it can not be changed
 * @error: return location for an error
 *
 * Sends a message, now or as soon as there is a connection, in order. What is accepted is either
 * sent once, or handed back by [signal@Usock.Client::unsent]; and what was sent, and may not have
 * been read when the connection broke, is told by [signal@Usock.Client::uncertain].
 *
 * Fails with `G_IO_ERROR_WOULD_BLOCK` if more waits than [property@Usock.Client:queue-limit], and
 * with `G_IO_ERROR_NOT_CONNECTED` if the client was not started, or was stopped.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_client_send_message (UsockClient   *self,
                           UsockMessage  *message,
                           GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  if (!client_check_sendable (self, error) || !client_check_room (self, message, error))
    return FALSE;

  usock_client_submit (self, message, NULL, NULL);
  return TRUE;
}

/**
 * usock_client_send:
 * @self: a client that was started
 * @data: (array length=length): bytes
 * @length: how many
 * @error: return location for an error
 *
 * Sends a message of these bytes, as [method@Usock.Client.send_message] does.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_client_send (UsockClient   *self,
                   const guint8  *data,
                   gsize          length,
                   GError       **error)
{
  g_autoptr (UsockMessage) message = NULL;

  g_return_val_if_fail (data != NULL || length == 0, FALSE);

  message = usock_message_new (data, length);
  return usock_client_send_message (self, message, error);
}

/**
 * usock_client_send_bytes:
 * @self: a client that was started
 * @bytes: (transfer none): bytes
 * @error: return location for an error
 *
 * Sends a message of these bytes, as [method@Usock.Client.send_message] does.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_client_send_bytes (UsockClient  *self,
                         GBytes       *bytes,
                         GError      **error)
{
  g_autoptr (UsockMessage) message = NULL;

  g_return_val_if_fail (bytes != NULL, FALSE);

  message = usock_message_new_from_bytes (bytes);
  return usock_client_send_message (self, message, error);
}

/**
 * usock_client_send_text:
 * @self: a client that was started
 * @text: text; the NUL at its end is not sent
 * @error: return location for an error
 *
 * Sends a message of text, as [method@Usock.Client.send_message] does.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_client_send_text (UsockClient  *self,
                        const char   *text,
                        GError      **error)
{
  g_autoptr (UsockMessage) message = NULL;

  g_return_val_if_fail (text != NULL, FALSE);

  message = usock_message_new_from_text (text);
  return usock_client_send_message (self, message, error);
}

/**
 * usock_client_send_message_async:
 * @self: a client that was started
 * @message: (transfer none): what to send; from now on it can not be changed
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Sends a message as [method@Usock.Client.send_message] does, however much waits, and completes when
 * the kernel has it: over the connection there is, or one that comes later. Then it was sent; that the
 * other side has read it only the other side can say. If the connection breaks before it has, that
 * is told by [signal@Usock.Client::uncertain].
 *
 * When it is cancelled before the message has left, it is not sent.
 *
 * Since: 1.0
 */
void
usock_client_send_message_async (UsockClient         *self,
                                 UsockMessage        *message,
                                 GCancellable        *cancellable,
                                 GAsyncReadyCallback  callback,
                                 gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;

  g_return_if_fail (USOCK_IS_CLIENT (self));
  g_return_if_fail (message != NULL);

  operation = usock_operation_new (self, usock_client_send_message_async, callback, user_data);
  if (client_check_sendable (self, &error))
    usock_client_submit (self, message, operation, cancellable);
  else
    usock_client_fail_later (operation, error);
}

/**
 * usock_client_send_message_finish:
 * @self: a client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Client.send_message_async]. Fails with `G_IO_ERROR_CANCELLED`, with
 * `G_IO_ERROR_CLOSED` if the client was stopped before, with
 * `G_IO_ERROR_NOT_CONNECTED` if it was not started, and if the message can not be sent
 * at all with the errors of [method@Usock.Channel.send_message]. With
 * `G_IO_ERROR_CONNECTION_CLOSED` the connection broke while part of it had left, on a
 * stream, and it is uncertain.
 *
 * Returns: whether the message was sent
 *
 * Since: 1.0
 */
gboolean
usock_client_send_message_finish (UsockClient   *self,
                                  GAsyncResult  *result,
                                  GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), FALSE);

  return usock_operation_propagate (result, self, usock_client_send_message_async, NULL, error);
}
