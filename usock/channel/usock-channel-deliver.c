/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>

/* What a descriptor counts as: closing one costs as much as reading that many bytes. */
#define FD_BYTES 4096

static gboolean
channel_has_handler (UsockChannel       *self,
                     UsockChannelSignal  signal)
{
  return g_signal_has_handler_pending (self, usock_channel_signals[signal], 0, FALSE);
}

/* A handler of this turn may have cancelled a call whose turn comes in the same one: it must not
 * take a message that nobody would look at. */
static gboolean
channel_has_receiver (UsockChannel *self)
{
  UsockQueueItem *first, item;

  while ((first = usock_queue_peek (&self->receivers, 0)) != NULL)
    {
      if (!usock_operation_is_cancelled (first->operation))
        return TRUE;
      usock_queue_pop (&self->receivers, &item);
      usock_channel_cancel_operation (self, item.operation);
    }

  return FALSE;
}

/* Messages that the program keeps may hold as many as the process can have. What was read already
 * is delivered all the same, for nobody could take its descriptors before. */
static gboolean
channel_holds_enough_fds (UsockChannel *self)
{
  return self->max_held_fds > 0 && !usock_channel_holds_messages (self)
         && usock_tally_reaches (self->tally, self->max_held_fds);
}

/* Asked anew for each message: a handler may disconnect itself, and what nobody takes must
 * stay. */
UsockTakers
usock_channel_get_takers (UsockChannel *self)
{
  UsockChannelClass *class = USOCK_CHANNEL_GET_CLASS (self);
  UsockTakers takers = 0;

  if (self->paused || self->withheld || channel_holds_enough_fds (self))
    return 0;
  if (channel_has_receiver (self))
    return USOCK_TAKER_RECEIVER;

  if (channel_has_handler (self, USOCK_CHANNEL_SIGNAL_MESSAGE))
    takers |= USOCK_TAKER_MESSAGE;
  if (class->datagram_signal != 0
      && g_signal_has_handler_pending (self, class->datagram_signal, 0, FALSE))
    takers |= USOCK_TAKER_DATAGRAM;
  if (!class->connectionless && channel_has_handler (self, USOCK_CHANNEL_SIGNAL_BATCH))
    takers |= USOCK_TAKER_BATCH;
  else if (channel_has_handler (self, USOCK_CHANNEL_SIGNAL_DATA))
    takers |= USOCK_TAKER_DATA;
  if (takers == 0 && self->closer != NULL)
    takers = USOCK_TAKER_NOBODY;

  return takers;
}

/* For those who get bytes only. A message that is not whole would look as if it were; a channel
 * that refuses descriptors misses none. A datagram is dropped: anybody could send it, and must
 * not be able to close the socket. */
static gboolean
channel_check_whole (UsockChannel  *self,
                     UsockIncoming *incoming)
{
  UsockIoControl control;
  gboolean lost = FALSE;

  if (incoming->message != NULL)
    lost = (usock_message_get_flags (incoming->message) & USOCK_MESSAGE_FLAGS_FDS_LOST) != 0;
  else if (incoming->has_control)
    {
      usock_channel_take_control (self, incoming, &control);
      lost = control.fds_lost;
      if (control.pidfd != -1)
        close (control.pidfd);
      for (guint i = 0; i < control.n_fds; i++)
        usock_io_close_foreign (control.fds[i]);
    }

  if (!incoming->truncated && (!lost || self->max_fds == 0))
    return TRUE;

  if (USOCK_CHANNEL_GET_CLASS (self)->connectionless)
    usock_socket_record (usock_channel_socket (self), USOCK_IO_RECEIVE, EMSGSIZE);
  else if (incoming->truncated)
    usock_socket_fail (usock_channel_socket (self),
                       g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                                    _("Could not receive from “%s”: a message of %zu"
                                      " bytes is longer than the read buffer of %u bytes"),
                                    usock_channel_peer (self), incoming->full_length,
                                    self->read_buffer_size));
  else
    usock_socket_fail (usock_channel_socket (self),
                       usock_channel_new_fds_lost_error (self, incoming->full_length));
  return FALSE;
}

static void
channel_give_to_receiver (UsockChannel  *self,
                          UsockIncoming *incoming)
{
  UsockMessage *message = usock_channel_make_message (self, incoming);
  UsockQueueItem item;

  incoming->message = NULL;
  usock_queue_pop (&self->receivers, &item);
  usock_operation_return_pointer (item.operation, message,
                                  (GDestroyNotify) usock_message_unref);
  usock_channel_complete (self, item.operation);
  usock_channel_run_completed (self);
}

/* Whether the message is whole. */
static gboolean
channel_emit_message (UsockChannel  *self,
                      UsockIncoming *incoming)
{
  UsockMessage *message = usock_channel_make_message (self, incoming);
  UsockMessageFlags flags;

  g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_MESSAGE], 0, message);
  usock_message_close_fds (message);

  flags = usock_message_get_flags (message);
  return (flags & USOCK_MESSAGE_FLAGS_TRUNCATED) == 0
         && ((flags & USOCK_MESSAGE_FLAGS_FDS_LOST) == 0 || self->max_fds == 0);
}

static void
channel_emit_data (UsockChannel  *self,
                   UsockTurn     *turn,
                   UsockIncoming *incoming)
{
  GByteArray *array = turn->array;

  array->data = (guint8 *) incoming->data;
  array->len = incoming->length;
  g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_DATA], 0, array);
  array->data = NULL;
  array->len = 0;
}

static void
channel_emit_datagram (UsockChannel  *self,
                       UsockTurn     *turn,
                       UsockIncoming *incoming)
{
  GByteArray *array = turn->array;
  g_autofree char *sender
      = incoming->message != NULL ? g_strdup (usock_message_get_sender (incoming->message))
                                  : usock_io_batch_get_sender (self->batch, incoming->slot);

  array->data = (guint8 *) incoming->data;
  array->len = incoming->length;
  g_signal_emit (self, USOCK_CHANNEL_GET_CLASS (self)->datagram_signal, 0, array, sender);
  array->data = NULL;
  array->len = 0;
}

/* Descriptors whose bytes somebody else took are nothing to those who get bytes. */
static gboolean
channel_has_no_bytes (UsockChannel        *self,
                      const UsockIncoming *incoming)
{
  return USOCK_CHANNEL_GET_CLASS (self)->stream && incoming->length == 0;
}

static gboolean
channel_next_of_batch (UsockChannel  *self,
                       UsockTurn     *turn,
                       UsockIncoming *incoming)
{
  while (turn->messages > 0 && usock_channel_get_takers (self) == USOCK_TAKER_BATCH
         && usock_channel_next_incoming (self, incoming))
    {
      gboolean whole = channel_check_whole (self, incoming);

      turn->messages--;
      turn->bytes += incoming->length;
      if (whole && !channel_has_no_bytes (self, incoming))
        return TRUE;

      g_clear_pointer (&incoming->message, usock_message_unref);
      if (!whole)
        break;
    }

  return FALSE;
}

/* Collects what waits, as long as those who take it stay the same; what has to be told first,
 * like a message that was cut, waits for the next round. */
static void
channel_emit_batch (UsockChannel  *self,
                    UsockTurn     *turn,
                    UsockIncoming *first)
{
  g_autoptr (GPtrArray) arrays
      = g_ptr_array_new_with_free_func ((GDestroyNotify) g_byte_array_unref);
  g_autoptr (GPtrArray) messages
      = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref);
  UsockIncoming incoming = *first;

  first->message = NULL;
  do
    {
      GByteArray *array = g_byte_array_new ();

      array->data = (guint8 *) incoming.data;
      array->len = incoming.length;
      g_ptr_array_add (arrays, array);
      if (incoming.message != NULL)
        g_ptr_array_add (messages, incoming.message);
    }
  while (channel_next_of_batch (self, turn, &incoming));

  g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_BATCH], 0, arrays);

  for (guint i = 0; i < arrays->len; i++)
    {
      GByteArray *array = arrays->pdata[i];

      array->data = NULL;
      array->len = 0;
    }
}

void
usock_channel_deliver (UsockChannel  *self,
                       UsockTurn     *turn,
                       UsockTakers    takers,
                       UsockIncoming *incoming)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (channel_has_no_bytes (self, incoming))
    takers &= USOCK_TAKER_RECEIVER | USOCK_TAKER_MESSAGE | USOCK_TAKER_NOBODY;

  turn->bytes += incoming->length;
  turn->counted = self->bytes_read;
  if (takers & USOCK_TAKER_RECEIVER)
    channel_give_to_receiver (self, incoming);
  else
    {
      if (takers & (USOCK_TAKER_MESSAGE | USOCK_TAKER_NOBODY))
        {
          /* It has said what is missing, which to the others would look whole. */
          if (!channel_emit_message (self, incoming))
            takers = 0;
        }
      else if (takers == 0 || !channel_check_whole (self, incoming))
        takers = 0;

      if ((takers & USOCK_TAKER_DATA) && socket->state != USOCK_STATE_CLOSED)
        channel_emit_data (self, turn, incoming);
      else if ((takers & USOCK_TAKER_BATCH) && socket->state != USOCK_STATE_CLOSED)
        channel_emit_batch (self, turn, incoming);
      if ((takers & USOCK_TAKER_DATAGRAM) && socket->state != USOCK_STATE_CLOSED)
        channel_emit_datagram (self, turn, incoming);
    }

  turn->bytes += incoming->n_fds * FD_BYTES;
  g_clear_pointer (&incoming->message, usock_message_unref);
}
