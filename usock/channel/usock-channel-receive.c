/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

/* In a turn, that many bytes count as much as a message. */
#define TAKEN_BYTES 4096
/* Copied together, they stay in the cache. */
#define TAKEN_AT_ONCE (256 * 1024)

/**
 * usock_channel_pause:
 * @self: a channel
 *
 * Stops delivery at once, even in the middle of what one system call read.
 * What is not delivered waits, in the kernel for the most part, so that the
 * peer is held up in the end. Has no effect on
 * [method@Usock.Channel.receive_async] calls but to let them wait. While it is
 * paused, a channel whose peer is gone stays open.
 *
 * Since: 1.0
 */
void
usock_channel_pause (UsockChannel *self)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (self->paused)
    return;

  self->paused = TRUE;
  g_object_notify (G_OBJECT (self), "paused");
}

/**
 * usock_channel_resume:
 * @self: a channel
 *
 * Goes on with delivery after [method@Usock.Channel.pause].
 *
 * Since: 1.0
 */
void
usock_channel_resume (UsockChannel *self)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (!self->paused)
    return;

  self->paused = FALSE;
  usock_watch_wake (&usock_channel_socket (self)->watch);
  g_object_notify (G_OBJECT (self), "paused");
}

/* Takes the operation over, and puts it behind the others that wait. */
void
usock_channel_start_receiver (UsockChannel   *self,
                              UsockOperation *operation)
{
  UsockSocket *socket = usock_channel_socket (self);
  g_autoptr (GError) error = NULL;

  if (self->end_told)
    usock_channel_succeed_operation (self, operation);
  else if (socket->fate.is_final)
    usock_channel_fail_operation (self, operation, usock_channel_new_verdict (self));
  else if (socket->state == USOCK_STATE_NEW)
    usock_channel_fail_operation (self, operation,
                                  g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                                                       _("Could not receive: the channel was "
                                                         "never connected")));
  else if (!usock_socket_check (socket, &error))
    usock_channel_fail_operation (self, operation, g_steal_pointer (&error));
  else
    {
      usock_pending_push (&self->pending.receivers, operation);
      usock_watch_wake (&socket->watch);
    }
}

/**
 * usock_channel_receive_async:
 * @self: a channel
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Waits for the next message. Several calls may wait; they get a message
 * each, in order, before any signal. A cancelled call takes no message: the
 * next one gets it.
 *
 * Since: 1.0
 */
void
usock_channel_receive_async (UsockChannel        *self,
                             GCancellable        *cancellable,
                             GAsyncReadyCallback  callback,
                             gpointer             user_data)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_receive_async, callback,
                                 user_data))
    return;

  usock_channel_start_receiver (
      self, usock_channel_new_operation (self, usock_channel_receive_async, cancellable, callback,
                                         user_data));
}

/**
 * usock_channel_receive_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.receive_async].
 *
 * Fails with `G_IO_ERROR_CANCELLED`, with `G_IO_ERROR_CLOSED` if this program
 * closed the channel, and with the error that ended the channel, which is
 * `G_IO_ERROR_CONNECTION_CLOSED` if the peer closed without having read
 * everything.
 *
 * Returns: (transfer full) (nullable): the message, or %NULL without an error when the
 *   peer has ended and there are no more
 *
 * Since: 1.0
 */
UsockMessage *
usock_channel_receive_finish (UsockChannel  *self,
                              GAsyncResult  *result,
                              GError       **error)
{
  gpointer message;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), NULL);

  usock_operation_propagate (result, self, usock_channel_receive_async, &message, error);
  return message;
}

/**
 * usock_channel_set_receive_func: (skip)
 * @self: a channel
 * @func: (nullable) (scope notified) (closure user_data) (destroy free_data): what to call for each
 *   message; %NULL to go back to the signals
 * @user_data: data for @func
 * @free_data: (nullable): what frees @user_data, when another function takes over, or the channel
 *   closes or goes
 *
 * Has a function called for each message, instead of [signal@Usock.Channel::message],
 * [signal@Usock.Channel::data], [signal@Usock.Channel::batch] and
 * [signal@Usock.Dgram::datagram], which are not emitted while it is set. It is
 * the cheapest way to receive from C, for it costs what a call costs. Like `data`
 * it gets bytes only: descriptors are closed, and a message that is not whole
 * closes the channel. Calls of [method@Usock.Channel.receive_async] that wait
 * still come first.
 *
 * It runs where a handler would, and may do what a handler may: send, close, set
 * another function, run a nested main loop.
 *
 * Since: 1.0
 */
void
usock_channel_set_receive_func (UsockChannel     *self,
                                UsockReceiveFunc  func,
                                gpointer          user_data,
                                GDestroyNotify    free_data)
{
  UsockReceiver *before;

  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  before = g_steal_pointer (&self->receiver);
  if (func != NULL)
    {
      self->receiver = g_new (UsockReceiver, 1);
      *self->receiver = (UsockReceiver) { 1, func, user_data, free_data };
    }
  if (usock_channel_is_connected (self))
    usock_watch_wake (&usock_channel_socket (self)->watch);
  if (before != NULL)
    usock_channel_drop_receiver (before);
}

/* Whether what was read already may be taken without waiting for it. */
gboolean
usock_channel_may_take (UsockChannel *self)
{
  return usock_socket_check_thread (USOCK_SOCKET (self), NULL)
         && usock_channel_is_connected (self) && !self->paused && !self->withheld
         && usock_pending_get_receiver (&self->pending, usock_channel_give_back, self) == NULL;
}

/* What is taken in a turn is part of its share. The end may be all that is left. */
void
usock_channel_took (UsockChannel *self,
                    guint         n,
                    gsize         bytes)
{
  self->n_taken += n + bytes / TAKEN_BYTES;
  if (!usock_inlet_holds_messages (&self->inlet))
    usock_watch_wake (&usock_channel_socket (self)->watch);
}

/* Something has to stay in line. */
static gsize
inlet_count_takeable (UsockInlet *self)
{
  gsize n = self->inbox.length + (self->count - self->next);

  return n > 1 ? n - 1 : n;
}

/**
 * usock_channel_take_messages:
 * @self: a channel
 * @max: how many to take at the most; 0 for as many as there are
 * @n_messages: (out): how many were taken
 *
 * Takes messages that were read already, all in one call: a message that
 * [method@Usock.Channel.receive_async] gives has often come with others. Who
 * receives message after message asks here first, and waits with that call only
 * when there is none.
 *
 * It never waits, reads nothing from the system, and tells neither the end nor
 * an error. It takes nothing while calls wait, which are first in line, and
 * while the channel is paused.
 *
 * Of several messages the last stays in line. So the end, which follows the last
 * message, cannot come before the program has looked at those that it took
 * ahead. Those that it will not look at go back by
 * [method@Usock.Channel.unread_messages].
 *
 * Returns: (array length=n_messages) (transfer full): the messages, in order
 *
 * Since: 1.0
 */
UsockMessage **
usock_channel_take_messages (UsockChannel *self,
                             guint         max,
                             gsize        *n_messages)
{
  UsockMessage **messages;
  UsockIncoming incoming;
  gsize bytes = 0;
  gsize n;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), NULL);
  g_return_val_if_fail (n_messages != NULL, NULL);

  *n_messages = 0;
  n = usock_channel_may_take (self) ? inlet_count_takeable (&self->inlet) : 0;
  if (n == 0)
    return NULL;

  n = max > 0 ? MIN (n, max) : n;
  messages = g_new (UsockMessage *, n);
  while (*n_messages < n && usock_inlet_next (&self->inlet, &incoming))
    {
      messages[(*n_messages)++] = usock_inlet_make_message (&self->inlet, &incoming);
      bytes += incoming.length;
    }
  usock_channel_took (self, *n_messages, bytes);
  return messages;
}

/* The next, if it is bytes and nothing else. */
static gboolean
inlet_take_plain (UsockInlet *self,
                  GByteArray *payloads,
                  GArray     *lengths)
{
  UsockQueueItem *first = usock_queue_peek (&self->inbox, 0);
  UsockQueueItem item;
  const guint8 *bytes;
  guint8 *read;
  gsize length;
  guint counted;

  if (first == NULL)
    {
      if (!usock_inlet_next_plain (self, &read, &length))
        return FALSE;
      g_byte_array_append (payloads, read, (guint) length);
    }
  else
    {
      if (!usock_message_is_plain (first->message))
        return FALSE;
      bytes = usock_message_get_data (first->message, &length);
      g_byte_array_append (payloads, bytes, (guint) length);
      usock_queue_pop (&self->inbox, &item);
      usock_message_unref (item.message);
    }

  counted = (guint) length;
  g_array_append_val (lengths, counted);
  return TRUE;
}

/**
 * usock_channel_take_payloads:
 * @self: a channel
 * @max: how many to take at the most; 0 for as many as there are
 * @length: (out): how many bytes there are together
 * @lengths: (out) (array length=n_payloads) (transfer full): how many bytes each has
 * @n_payloads: (out): how many were taken
 *
 * Takes the bytes of messages that were read already, as
 * [method@Usock.Channel.take_messages] does the messages: for a language in which
 * each object costs more than the message did. They come behind each other, in
 * order.
 *
 * It stops before a message that is more than bytes, with descriptors, credentials
 * or a sender for example, and is left to
 * [method@Usock.Channel.receive_async], and when it has taken 256 KiB. So what is
 * put back as messages of the same bytes is put back whole, but for the time at
 * which it was sent.
 *
 * Returns: (array length=length) (transfer full): the bytes of all, one after the other
 *
 * Since: 1.0
 */
guint8 *
usock_channel_take_payloads (UsockChannel  *self,
                             guint          max,
                             gsize         *length,
                             guint        **lengths,
                             gsize         *n_payloads)
{
  GByteArray *payloads;
  GArray *each;
  gsize n;

  g_return_val_if_fail (USOCK_IS_CHANNEL (self), NULL);
  g_return_val_if_fail (length != NULL && lengths != NULL && n_payloads != NULL, NULL);

  *length = *n_payloads = 0;
  *lengths = NULL;
  n = usock_channel_may_take (self) ? inlet_count_takeable (&self->inlet) : 0;
  if (n == 0)
    return NULL;

  n = max > 0 ? MIN (n, max) : n;
  payloads = g_byte_array_new ();
  each = g_array_new (FALSE, FALSE, sizeof (guint));
  while (each->len < n && payloads->len < TAKEN_AT_ONCE
         && inlet_take_plain (&self->inlet, payloads, each))
    ;

  *length = payloads->len;
  *n_payloads = each->len;
  usock_channel_took (self, each->len, payloads->len);
  *lengths = (guint *) (gpointer) g_array_free (each, FALSE);
  return g_byte_array_free (payloads, FALSE);
}

/* For who puts something back. */
gboolean
usock_channel_check_unreadable (UsockChannel  *self,
                                GError       **error)
{
  if (!usock_socket_check_thread (USOCK_SOCKET (self), error)
      || !usock_socket_check (USOCK_SOCKET (self), error))
    return FALSE;
  if (usock_channel_is_connected (self) && !self->end_told)
    return TRUE;

  g_set_error (error, G_IO_ERROR,
               self->end_told ? G_IO_ERROR_CLOSED : G_IO_ERROR_NOT_CONNECTED,
               _("Could not put back what came from “%s”: there is nothing to receive"),
               usock_channel_peer (self));
  return FALSE;
}

/* What the oldest call has kept comes after what is put back. */
void
usock_channel_begin_unread (UsockChannel *self)
{
  UsockOperation *first = g_queue_peek_head (&self->pending.receivers);

  if (first != NULL)
    usock_channel_give_back (first, self);
  usock_watch_wake (&usock_channel_socket (self)->watch);
}

/* Among bytes, nothing is nothing. */
static void
channel_unread (UsockChannel *self,
                UsockMessage *message)
{
  if (self->inlet.funcs->is_bytes && usock_message_get_length (message) == 0
      && usock_message_get_n_fds (message) == 0)
    return;

  usock_message_freeze (message);
  usock_inlet_put_back (&self->inlet, usock_message_ref (message));
}

/**
 * usock_channel_unread_messages:
 * @self: a channel
 * @messages: (array length=n_messages) (transfer none): what was received
 * @n_messages: how many there are
 * @error: return location for an error
 *
 * Puts messages back to where they came from: they are received next, in the
 * order in which they stand here, with those of their descriptors that were
 * not taken.
 *
 * Fails with `G_IO_ERROR_CLOSED` after [signal@Usock.Channel::end] or
 * [signal@Usock.Socket::close], and with `G_IO_ERROR_NOT_CONNECTED` before
 * connecting.
 *
 * Returns: whether they were put back
 *
 * Since: 1.0
 */
gboolean
usock_channel_unread_messages (UsockChannel  *self,
                               UsockMessage **messages,
                               gsize          n_messages,
                               GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (messages != NULL || n_messages == 0, FALSE);
  g_return_val_if_fail (usock_channel_are_messages (messages, n_messages), FALSE);

  if (!usock_channel_check_unreadable (self, error))
    return FALSE;

  usock_channel_begin_unread (self);
  for (gsize i = n_messages; i > 0; i--)
    channel_unread (self, messages[i - 1]);
  return TRUE;
}
