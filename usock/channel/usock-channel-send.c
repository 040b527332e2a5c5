/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static gboolean
channel_check_sendable (UsockChannel  *self,
                        GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (G_LIKELY ((socket->state == USOCK_STATE_OPEN || socket->state == USOCK_STATE_WRITE_ONLY
                 || socket->state == USOCK_STATE_CONNECTING)
                && !self->ending))
    return usock_socket_check (socket, error);

  if (!usock_socket_check_thread (socket, error))
    return FALSE;
  if (socket->state == USOCK_STATE_NEW)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                         _("Could not send: the channel is not connected"));
  else if (socket->state == USOCK_STATE_CLOSED)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                 _("Could not send to “%s”: the channel is closed"), usock_channel_peer (self));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                 _("Could not send to “%s”: our side has ended already"),
                 usock_channel_peer (self));
  return FALSE;
}

/* Whether the limit lets one more in. A message that the kernel would never take must not get
 * into the queue either: later there is nobody to tell. */
static gboolean
channel_check_room (UsockChannel  *self,
                    UsockRoute    *route,
                    gsize          length,
                    guint          n_fds,
                    gboolean       unlimited,
                    GError       **error)
{
  guint64 cost = usock_queue_message_cost (length, n_fds);

  if (usock_channel_socket (self)->family == AF_UNIX && !USOCK_CHANNEL_GET_CLASS (self)->stream
      && usock_io_make_room (usock_channel_socket (self)->fd, length) == -EMSGSIZE)
    {
      usock_channel_set_send_error (self, route, EMSGSIZE, length, n_fds, error);
      return FALSE;
    }

  if (unlimited
      || (self->queue_limit > 0
          && (self->n_queued == 0 || self->queued_cost + cost <= self->queue_limit)))
    return TRUE;

  self->needs_drain = TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
               _("Could not send to “%s”: the peer does not keep up, and %" PRIu64
                 " bytes are queued"),
               usock_channel_route_label (self, route), self->queued_cost);
  return FALSE;
}

/* Takes both references over. */
void
usock_channel_enqueue (UsockChannel   *self,
                       UsockRoute     *route,
                       UsockMessage   *message,
                       UsockOperation *operation)
{
  UsockSocket *socket = usock_channel_socket (self);
  guint64 cost = route->queue.cost;

  if (route->queue.length == 0)
    route->stalled_since = usock_reactor_get_time (socket->reactor);

  if (message != NULL)
    {
      usock_message_freeze (message);
      usock_message_pin_fds (message);
    }
  usock_queue_push (&route->queue, message, operation);
  self->n_queued++;
  self->queued_cost += route->queue.cost - cost;
  if (self->queued_cost > MIN (self->high_water_mark, self->queue_limit))
    self->needs_drain = TRUE;

  if (socket->state != USOCK_STATE_CONNECTING)
    usock_channel_schedule (self);
}

static gboolean
channel_may_send_now (UsockChannel *self,
                      UsockRoute   *route)
{
  return route->queue.length == 0 && self->n_corks == 0
         && usock_channel_socket (self)->state != USOCK_STATE_CONNECTING;
}

/* Datagrams and packets leave whole, whatever the result says. */
static gboolean
channel_is_part (UsockChannel *self,
                 gsize         result,
                 gsize         length)
{
  return result < length && USOCK_CHANNEL_GET_CLASS (self)->stream;
}

/* The kernel would take the message, and drop the descriptors. */
static gboolean
channel_check_fds (UsockChannel  *self,
                   gsize          length,
                   guint          n_fds,
                   GError       **error)
{
  if (n_fds == 0)
    return TRUE;

  if (usock_channel_socket (self)->family != AF_UNIX)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 _("Could not send to “%s”: descriptors do not leave this machine"),
                 usock_channel_peer (self));
  else if (length == 0 && USOCK_CHANNEL_GET_CLASS (self)->stream)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 _("Could not send to “%s”: on a stream descriptors need a byte to go with"),
                 usock_channel_peer (self));
  else
    return TRUE;

  return FALSE;
}

static void
channel_sent_all (UsockChannel   *self,
                  UsockMessage   *message,
                  gsize           length,
                  UsockOperation *operation)
{
  if (message != NULL)
    usock_message_freeze (message);
  usock_channel_note_sent (self, length);
  if (operation == NULL)
    return;

  usock_operation_return_pointer (operation, NULL, NULL);
  usock_channel_complete (self, operation);
}

/* A message that has begun to leave is accepted, whatever the limit says: on a stream, nothing
 * else may come before its rest. */
static void
channel_sent_part (UsockChannel   *self,
                   UsockRoute     *route,
                   UsockMessage   *message,
                   gconstpointer   data,
                   gsize           length,
                   gsize           sent,
                   UsockOperation *operation)
{
  if (message != NULL)
    {
      usock_channel_enqueue (self, route, usock_message_ref (message), operation);
      usock_channel_advance (self, route, sent);
    }
  else
    {
      usock_channel_enqueue (self, route,
                             usock_message_new ((const guint8 *) data + sent, length - sent),
                             operation);
      usock_channel_note_bytes (self, sent);
    }
  USOCK_CHANNEL_GET_CLASS (self)->blocked (self, route, EAGAIN, TRUE);
}

/* Sends at once if nothing waits on the route, else queues. An @operation is the channel's if
 * this succeeds, and waits however full the queue is; without one the limit holds. @message may
 * be NULL, for plain bytes. */
gboolean
usock_channel_send_on (UsockChannel    *self,
                       UsockRoute      *route,
                       UsockMessage    *message,
                       gconstpointer    data,
                       gsize            length,
                       UsockOperation  *operation,
                       GError         **error)
{
  guint n_fds = message != NULL ? usock_message_get_n_fds (message) : 0;

  if (!channel_check_sendable (self, error) || !channel_check_fds (self, length, n_fds, error))
    return FALSE;

  if (operation != NULL && usock_operation_is_cancelled (operation))
    {
      usock_channel_cancel_operation (self, operation);
      return TRUE;
    }

  if (channel_may_send_now (self, route))
    {
      gssize result = usock_channel_write (self, route, message, data, length);

      if (result >= 0)
        {
          if (channel_is_part (self, result, length))
            channel_sent_part (self, route, message, data, length, result, operation);
          else
            channel_sent_all (self, message, length, operation);
          return TRUE;
        }
      if (!usock_channel_may_send_later (-result))
        {
          usock_channel_set_send_error (self, route, -result, length, n_fds, error);
          return FALSE;
        }
      USOCK_CHANNEL_GET_CLASS (self)->blocked (self, route, -result, FALSE);
    }

  if (!channel_check_room (self, route, length, n_fds, operation != NULL, error))
    return FALSE;

  usock_channel_enqueue (self, route,
                         message != NULL ? usock_message_ref (message)
                                         : usock_message_new (data, length),
                         operation);
  return TRUE;
}

static gboolean
channel_send (UsockChannel  *self,
              UsockMessage  *message,
              gconstpointer  data,
              gsize          length,
              GError       **error)
{
  return usock_channel_send_on (self, self->route, message, data, length, NULL, error);
}

/* To a stream many messages are one piece of bytes, of which any part may leave. Returns how many
 * messages were accepted; the error of the first is learned by sending that one again. */
static gsize
channel_send_joined (UsockChannel           *self,
                     UsockMessage          **messages,
                     const UsockIoOutgoing  *outgoing,
                     guint                   n_outgoing)
{
  const UsockIoOutgoing *last = &outgoing[n_outgoing - 1];
  UsockIoOutgoing joined = { .iov = outgoing->iov };
  gsize accepted = 0;
  gssize rest;

  joined.n_iov = last->iov + last->n_iov - joined.iov;
  rest = usock_io_send (usock_channel_socket (self)->fd, &joined);
  for (; rest >= 0 && accepted < n_outgoing; accepted++)
    {
      gsize length = usock_message_get_length (messages[accepted]);

      if ((gsize) rest < length)
        break;
      channel_sent_all (self, messages[accepted], length, NULL);
      rest -= length;
    }

  if (rest > 0)
    {
      channel_sent_part (self, self->route, messages[accepted], NULL, 0, rest, NULL);
      accepted++;
    }
  return accepted;
}

/* The first few in one system call if they are bytes only and nothing waits; else the first one,
 * in the ordinary way, which tells its error too. */
static gsize
channel_send_some (UsockChannel   *self,
                   UsockMessage  **messages,
                   gsize           n_messages,
                   GError        **error)
{
  UsockIoOutgoing outgoing[USOCK_IO_BATCH_MAX];
  struct iovec iov[USOCK_CHANNEL_BATCH_IOV];
  UsockSocket *socket = usock_channel_socket (self);
  guint gathered = 0;
  int sent = 0;

  if (!channel_check_sendable (self, error))
    return 0;

  if (channel_may_send_now (self, self->route))
    gathered = usock_channel_gather (messages, n_messages, outgoing, iov);
  if (gathered > 1 && USOCK_CHANNEL_GET_CLASS (self)->stream)
    {
      gsize accepted = channel_send_joined (self, messages, outgoing, gathered);

      if (accepted > 0)
        return accepted;
    }
  else if (gathered > 1)
    {
      usock_channel_save_unread (self, self->route);
      sent = usock_io_send_batch (socket->fd, outgoing, gathered);
    }
  for (int i = 0; i < sent; i++)
    {
      usock_message_freeze (messages[i]);
      usock_channel_note_sent (self, usock_message_get_length (messages[i]));
    }
  if (sent > 0)
    return sent;

  return channel_send (self, messages[0], NULL, usock_message_get_length (messages[0]), error);
}

/**
 * usock_channel_send:
 * @self: a channel
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of one message
 * @length: how many bytes there are; 0 sends an empty message
 * @error: return location for an error
 *
 * Sends one message. @data is the caller's, and is copied only if it has to
 * wait. Once accepted, the message arrives after all that were accepted before
 * it, unless the channel fails, which [signal@Usock.Socket::error] reports;
 * [method@Usock.Channel.send_message_async] tells of each message.
 *
 * Fails with `G_IO_ERROR_WOULD_BLOCK` if the queue is full, see
 * [property@Usock.Channel:queue-limit]; with `G_IO_ERROR_MESSAGE_TOO_LARGE`
 * beyond the kernel's limit, about 4 MiB at the most; with
 * `G_IO_ERROR_BROKEN_PIPE` or `G_IO_ERROR_CONNECTION_CLOSED` if the peer is gone or
 * reads no more, though what it sent before is still received; with
 * `G_IO_ERROR_NOT_CONNECTED` before connecting, and with `G_IO_ERROR_CLOSED`
 * after [method@Usock.Channel.end] or [method@Usock.Socket.close]. The channel
 * keeps nothing of a message that it did not accept.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send (UsockChannel  *self,
                    const guint8  *data,
                    gsize          length,
                    GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);

  return channel_send (self, NULL, data, length, error);
}

/**
 * usock_channel_send_bytes:
 * @self: a channel
 * @bytes: (transfer none): one message
 * @error: return location for an error
 *
 * Sends one message as [method@Usock.Channel.send] does, with the same
 * errors. If it has to wait, @bytes is referenced instead of copied.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_bytes (UsockChannel  *self,
                          GBytes        *bytes,
                          GError       **error)
{
  g_autoptr (UsockMessage) message = NULL;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (bytes != NULL, FALSE);

  message = usock_message_new_from_bytes (bytes);
  return channel_send (self, message, NULL, g_bytes_get_size (bytes), error);
}

/**
 * usock_channel_send_text:
 * @self: a channel
 * @text: UTF-8 text
 * @error: return location for an error
 *
 * Sends @text as one message, without its final NUL, as
 * [method@Usock.Channel.send] does, with the same errors.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_text (UsockChannel  *self,
                         const char    *text,
                         GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (text != NULL, FALSE);

  return channel_send (self, NULL, text, strlen (text), error);
}

/**
 * usock_channel_send_with_fds:
 * @self: a channel
 * @data: (array length=length) (element-type guint8) (nullable): the bytes of one message
 * @length: how many bytes there are
 * @fds: (array length=n_fds) (nullable): open descriptors, at most 253
 * @n_fds: how many descriptors there are
 * @error: return location for an error
 *
 * Sends one message with descriptors. The caller keeps them, and may close
 * them as soon as this returns: duplicates travel.
 *
 * Fails as [method@Usock.Channel.send] and [method@Usock.Message.append_fd]
 * do, and with `G_IO_ERROR_PERMISSION_DENIED` if the peer accepts none.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_with_fds (UsockChannel  *self,
                             const guint8  *data,
                             gsize          length,
                             const gint    *fds,
                             gsize          n_fds,
                             GError       **error)
{
  g_autoptr (UsockMessage) message = NULL;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);
  g_return_val_if_fail (fds != NULL || n_fds == 0, FALSE);

  message = usock_message_new (data, length);
  for (gsize i = 0; i < n_fds; i++)
    if (!usock_message_append_fd (message, fds[i], error))
      return FALSE;

  return channel_send (self, message, NULL, length, error);
}

/**
 * usock_channel_send_message:
 * @self: a channel
 * @message: (transfer none): one message
 * @error: return location for an error
 *
 * Sends one message with everything that it carries, as
 * [method@Usock.Channel.send] does, with the same errors, and with
 * `G_IO_ERROR_PERMISSION_DENIED` if the peer accepts no descriptors, or if the
 * message claims credentials that the process may not claim. Once it was
 * accepted, the message is frozen.
 *
 * Returns: whether the message was accepted
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_message (UsockChannel  *self,
                            UsockMessage  *message,
                            GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  return channel_send (self, message, NULL, usock_message_get_length (message), error);
}

/* A binding makes NULL of null in an array as well. */
static gboolean
are_messages (UsockMessage **messages,
              gsize          n_messages)
{
  for (gsize i = 0; i < n_messages; i++)
    {
      if (messages[i] == NULL)
        return FALSE;
    }

  return TRUE;
}

/**
 * usock_channel_send_messages:
 * @self: a channel
 * @messages: (array length=n_messages) (transfer none): messages
 * @n_messages: how many there are
 * @error: return location for an error
 *
 * Sends many messages with as few system calls as possible, in order. Stops
 * at the first that is not accepted; those before it are on their way. The
 * error says why if it is the first of all.
 *
 * Returns: how many were accepted; 0 with an error, unless @n_messages is 0
 *
 * Since: 1.0
 */
gsize
usock_channel_send_messages (UsockChannel   *self,
                             UsockMessage  **messages,
                             gsize           n_messages,
                             GError        **error)
{
  gsize accepted = 0;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);
  g_return_val_if_fail (messages != NULL || n_messages == 0, 0);
  g_return_val_if_fail (are_messages (messages, n_messages), 0);

  while (accepted < n_messages)
    {
      gsize n = channel_send_some (self, messages + accepted, n_messages - accepted,
                                   accepted == 0 ? error : NULL);

      if (n == 0)
        break;
      accepted += n;
    }

  return accepted;
}

/**
 * usock_channel_send_message_async:
 * @self: a channel
 * @message: (transfer none): one message
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Sends one message, and completes when the kernel has taken it: when it is on
 * its way whatever becomes of this program. It waits for its turn however
 * full the queue is. Calls complete in order.
 *
 * A cancelled message was not sent, and a message that was sent cannot be
 * cancelled any more.
 *
 * Since: 1.0
 */
void
usock_channel_send_message_async (UsockChannel        *self,
                                  UsockMessage        *message,
                                  GCancellable        *cancellable,
                                  GAsyncReadyCallback  callback,
                                  gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;

  g_return_if_fail (USOCK_IS_CHANNEL (self));
  g_return_if_fail (message != NULL);

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_send_message_async, callback,
                                 user_data))
    return;

  operation = usock_channel_new_operation (self, usock_channel_send_message_async, cancellable,
                                           callback, user_data);
  if (!usock_channel_send_on (self, self->route, message, NULL,
                              usock_message_get_length (message), operation, &error))
    usock_channel_fail_operation (self, operation, error);
}

gboolean
usock_channel_finish_operation (UsockChannel  *self,
                                GAsyncResult  *result,
                                gpointer       tag,
                                GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);

  return usock_operation_propagate (result, self, tag, NULL, error);
}

/**
 * usock_channel_send_message_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.send_message_async]. The errors are those of
 * [method@Usock.Channel.send_message], and `G_IO_ERROR_CANCELLED`.
 *
 * Returns: whether the message was sent
 *
 * Since: 1.0
 */
gboolean
usock_channel_send_message_finish (UsockChannel  *self,
                                   GAsyncResult  *result,
                                   GError       **error)
{
  return usock_channel_finish_operation (self, result, usock_channel_send_message_async, error);
}
