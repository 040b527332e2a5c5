/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What one channel may deliver in one turn. Then it is the others' turn. */
#define TURN_MESSAGES 256
#define TURN_BYTES (1024 * 1024)

/* With more descriptors than this still to be closed no more are taken in. */
#define CLOSING_LIMIT 512

static void
turn_begin (UsockChannel *self,
            UsockTurn    *turn)
{
  *turn = (UsockTurn) { .messages = TURN_MESSAGES, .counted = self->bytes_read };
  turn->outer = self->batch;
  turn->outer_next = self->batch_next;
  turn->outer_count = self->batch_count;
}

/* A handler may have made the read buffer larger since the last batch. */
static void
turn_borrow (UsockChannel *self,
             UsockTurn    *turn)
{
  UsockReactor *reactor = usock_channel_socket (self)->reactor;

  if (turn->batch != NULL && usock_io_batch_slot_size (turn->batch) < self->read_buffer_size)
    {
      usock_reactor_give_batch (reactor, turn->batch);
      turn->batch = usock_reactor_take_batch (reactor, self->read_buffer_size);
    }
  if (turn->batch == NULL)
    {
      turn->outer_next = self->batch_next;
      turn->batch = usock_reactor_take_batch (reactor, self->read_buffer_size);
    }
  self->batch = turn->batch;
}

/* What was read and not delivered goes to the inbox: the buffers are only borrowed. */
static void
turn_end (UsockChannel *self,
          UsockTurn    *turn)
{
  if (turn->array != NULL)
    g_byte_array_unref (turn->array);
  if (turn->batch == NULL)
    return;

  usock_channel_stow_batch (self);
  usock_reactor_give_batch (usock_channel_socket (self)->reactor, turn->batch);
  self->batch = turn->outer;
  self->batch_next = turn->outer_next;
  self->batch_count = turn->outer_count;
}

static gboolean
channel_is_readable (UsockChannel *self)
{
  return usock_channel_holds_messages (self)
         || (!self->at_end && (usock_channel_socket (self)->watch.ready & USOCK_READY_IN) != 0);
}

/* Whether there is something to deliver, and somebody to take it. */
gboolean
usock_channel_is_wanted (UsockChannel *self)
{
  return channel_is_readable (self) && usock_channel_get_takers (self) != 0;
}

/* The oldest receiver, if it does not take messages as they come. */
static UsockOperation *
channel_get_assembler (UsockChannel *self,
                       UsockTakers   takers)
{
  UsockOperation *receiver;

  if ((takers & USOCK_TAKER_RECEIVER) == 0 || USOCK_CHANNEL_GET_CLASS (self)->assemble == NULL)
    return NULL;

  receiver = usock_queue_peek (&self->receivers, 0)->operation;
  return g_async_result_is_tagged (G_ASYNC_RESULT (receiver), usock_channel_receive_async)
             ? NULL
             : receiver;
}

/* Whether a broken channel has given all that it had. What could not be read for a moment is
 * still to come. */
static gboolean
channel_is_spent (UsockChannel *self)
{
  return self->broken != NULL && self->read_retry_at == 0
         && (usock_channel_socket (self)->watch.ready & USOCK_READY_IN) == 0;
}

/* Whether nothing more will come. */
static gboolean
channel_is_exhausted (UsockChannel *self)
{
  return self->at_end || channel_is_spent (self);
}

static gboolean
channel_assemble (UsockChannel   *self,
                  UsockTurn      *turn,
                  UsockOperation *receiver)
{
  UsockQueueItem item;

  usock_channel_stow_batch (self);
  turn->bytes += self->bytes_read - turn->counted;
  turn->counted = self->bytes_read;
  if (!USOCK_CHANNEL_GET_CLASS (self)->assemble (self, receiver, channel_is_exhausted (self)))
    return FALSE;

  turn->messages--;
  usock_queue_pop (&self->receivers, &item);
  usock_channel_complete (self, item.operation);
  usock_channel_run_completed (self);
  return TRUE;
}

/* The peer has ended, and everything was delivered. */
static void
channel_end_reached (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);
  UsockQueueItem item;

  if (self->broken != NULL)
    {
      usock_socket_fail (socket, g_steal_pointer (&self->broken));
      return;
    }
  if (self->end_emitted)
    return;

  self->end_emitted = TRUE;
  usock_socket_set_state (socket, socket->state == USOCK_STATE_OPEN ? USOCK_STATE_WRITE_ONLY
                                                                    : USOCK_STATE_CLOSING);
  while (usock_queue_pop (&self->receivers, &item))
    {
      usock_operation_return_pointer (item.operation, NULL, NULL);
      usock_channel_complete (self, item.operation);
    }
  usock_channel_run_completed (self);

  if (usock_channel_is_connected (self))
    g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_END], 0);
  if (!self->allow_half_open && socket->state == USOCK_STATE_WRITE_ONLY)
    usock_channel_end (self);
}

/* Nobody listens, and the peer has hung up, or reads no more. If it left nothing behind, that is
 * the end; else the messages wait for somebody to take them. */
static void
channel_look_for_end (UsockChannel *self)
{
  UsockChannelClass *class = USOCK_CHANNEL_GET_CLASS (self);
  UsockSocket *socket = usock_channel_socket (self);
  int result;

  if (self->paused || usock_channel_holds_messages (self) || self->at_end || class->connectionless)
    return;

  result = usock_io_peek_end (socket->fd, class->stream, &self->at_end);
  if (result == -ECONNRESET)
    {
      usock_channel_break_errno (self, ECONNRESET);
      result = usock_io_peek_end (socket->fd, class->stream, &self->at_end);
    }
  if (result == -EAGAIN)
    socket->watch.ready &= ~(USOCK_READY_HANGUP | USOCK_READY_IN);
}

/* Whether the turn had to leave something to the next. */
static gboolean
turn_is_over (const UsockTurn *turn)
{
  return turn->messages == 0 || turn->bytes >= TURN_BYTES;
}

static void
channel_after_reading (UsockChannel *self,
                       gboolean      was_cut)
{
  UsockSocket *socket = usock_channel_socket (self);
  gboolean readable, busy;

  /* What somebody waits for may be there, and not in the inbox. */
  if (was_cut && channel_get_assembler (self, usock_channel_get_takers (self)) != NULL)
    {
      usock_watch_wake (&socket->watch);
      return;
    }

  if (((socket->watch.ready & USOCK_READY_HANGUP) || self->broken != NULL)
      && usock_channel_get_takers (self) == 0)
    channel_look_for_end (self);

  if (!usock_channel_holds_messages (self) && !self->paused)
    {
      if (self->at_end)
        channel_end_reached (self);
      else if (channel_is_spent (self))
        usock_socket_fail (socket, g_steal_pointer (&self->broken));
    }

  if (!usock_channel_is_connected (self))
    return;

  readable = channel_is_readable (self);
  busy = readable && usock_channel_get_takers (self) != 0;
  if (busy)
    usock_watch_wake (&socket->watch);
  usock_watch_sample (&socket->watch, readable && !busy && !self->paused);
  usock_watch_rest (&socket->watch, busy);
}

void
usock_channel_read (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);
  UsockOperation *assembler;
  UsockIncoming incoming;
  UsockTakers takers;
  UsockTurn turn;

  if (self->read_retry_at > 0 && usock_reactor_get_time (socket->reactor) >= self->read_retry_at)
    {
      self->read_retry_at = 0;
      socket->watch.ready |= USOCK_READY_IN;
    }

  turn_begin (self, &turn);
  while (!turn_is_over (&turn) && usock_channel_is_connected (self)
         && (takers = usock_channel_get_takers (self)) != 0)
    {
      assembler = channel_get_assembler (self, takers);
      if (assembler != NULL
          && (channel_assemble (self, &turn, assembler) || !usock_channel_is_connected (self)))
        continue;
      if (!usock_channel_holds_messages (self))
        {
          if (self->at_end || !(socket->watch.ready & USOCK_READY_IN))
            break;
          if (self->wary && usock_io_count_closing () > CLOSING_LIMIT)
            {
              usock_channel_read_later (self, 1000);
              break;
            }
          turn_borrow (self, &turn);
          usock_channel_fill (self, turn.messages);
          if (assembler != NULL)
            turn.messages--;
          continue;
        }

      if (turn.array == NULL)
        turn.array = g_byte_array_new ();
      turn.messages--;
      usock_channel_next_incoming (self, &incoming);
      usock_channel_deliver (self, &turn, takers, &incoming);
    }
  if (turn.messages < TURN_MESSAGES)
    usock_channel_note_activity (self);
  turn_end (self, &turn);

  if (usock_channel_is_connected (self))
    channel_after_reading (self, turn_is_over (&turn));
}

/* Reads everything into the inbox, for a moment after which the kernel may throw it away. */
void
usock_channel_stow (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);
  UsockTurn turn;

  turn_begin (self, &turn);
  usock_channel_stow_batch (self);
  socket->watch.ready |= USOCK_READY_IN;
  while (socket->watch.ready & USOCK_READY_IN)
    {
      turn_borrow (self, &turn);
      usock_channel_fill (self, turn.messages);
      usock_channel_stow_batch (self);
    }
  turn_end (self, &turn);

  if (self->inbox.length > 0)
    usock_watch_wake (&socket->watch);
}

/* Takes the operation over, and puts it behind the others that wait. */
void
usock_channel_start_receiver (UsockChannel   *self,
                              UsockOperation *operation)
{
  UsockSocket *socket = usock_channel_socket (self);
  g_autoptr (GError) error = NULL;

  if (self->end_emitted)
    {
      usock_operation_return_pointer (operation, NULL, NULL);
      usock_channel_complete (self, operation);
    }
  else if (self->verdict != NULL)
    usock_channel_fail_operation (self, operation, g_error_copy (self->verdict));
  else if (socket->state == USOCK_STATE_NEW)
    usock_channel_fail_operation (self, operation,
                                  g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                                                       _("Could not receive: the channel was "
                                                         "never connected")));
  else if (!usock_socket_check (socket, &error))
    usock_channel_fail_operation (self, operation, g_steal_pointer (&error));
  else
    {
      usock_queue_push (&self->receivers, NULL, operation);
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
