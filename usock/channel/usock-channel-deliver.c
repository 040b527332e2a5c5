/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>
#include <unistd.h>

/* What a descriptor counts as: closing one costs as much as reading that many bytes. */
#define FD_BYTES 4096

static gboolean
channel_may_give (UsockChannel *self)
{
  return !self->paused && !self->withheld && !usock_inlet_holds_enough_fds (&self->inlet);
}

/* Those who come before all who listen. */
static UsockTakers
channel_get_first (UsockChannel *self)
{
  if (usock_pending_get_receiver (&self->pending, usock_channel_give_back, self) != NULL)
    return USOCK_TAKER_RECEIVER;

  return self->receiver != NULL ? USOCK_TAKER_FUNC : 0;
}

static gboolean
channel_has_datagram_handler (UsockChannel *self)
{
  guint signal = USOCK_CHANNEL_GET_CLASS (self)->datagram_signal;

  return signal != 0 && g_signal_has_handler_pending (self, signal, 0, FALSE);
}

static UsockTakers
channel_get_listeners (UsockChannel *self)
{
  gboolean batches = USOCK_CHANNEL_GET_CLASS (self)->datagram_signal == 0;
  UsockTakers takers = 0;

  if (usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_MESSAGE))
    takers |= USOCK_TAKER_MESSAGE;
  if (channel_has_datagram_handler (self))
    takers |= USOCK_TAKER_DATAGRAM;
  if (batches && usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_BATCH))
    takers |= USOCK_TAKER_BATCH;
  else if (usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_DATA))
    takers |= USOCK_TAKER_DATA;
  if (takers == 0 && self->pending.closer != NULL)
    takers = USOCK_TAKER_NOBODY;

  return takers;
}

UsockTakers
usock_channel_get_takers (UsockChannel *self)
{
  UsockTakers first;

  if (!channel_may_give (self))
    return 0;

  first = channel_get_first (self);
  return first != 0 ? first : channel_get_listeners (self);
}

/* Which of those still listen who did. */
static UsockTakers
channel_get_remaining (UsockChannel *self,
                       UsockTakers   takers)
{
  if ((takers & USOCK_TAKER_MESSAGE)
      && !usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_MESSAGE))
    takers &= ~USOCK_TAKER_MESSAGE;
  if ((takers & USOCK_TAKER_DATAGRAM) && !channel_has_datagram_handler (self))
    takers &= ~USOCK_TAKER_DATAGRAM;
  if ((takers & USOCK_TAKER_DATA) && !usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_DATA))
    takers &= ~USOCK_TAKER_DATA;
  return takers;
}

/* Whether a signal has handlers costs half as much to ask as to emit it, and there are three of them.
 * So who listened to the last message is taken to listen to this one, for a turn and as long as
 * nothing speaks against it. Where each signal has a single handler that the emission has reached, it
 * need not be asked for: if it has left since, the next emission reaches nobody, and says so. Who
 * begins to listen while another does gets what the next turn gives. Where nothing foreign has run since
 * they were asked, they would say the same again. */
UsockTakers
usock_channel_get_turn_takers (UsockChannel *self,
                               UsockTurn    *turn)
{
  UsockTakers first;

  turn->trusts = FALSE;
  if (!channel_may_give (self))
    return 0;

  first = channel_get_first (self);
  if (first != 0)
    return first;

  turn->trusts = turn->takers != 0 && turn->is_heard;
  if (turn->trusts || turn->is_asked)
    return turn->takers;

  turn->is_asked = TRUE;
  if (turn->takers == 0 || channel_get_remaining (self, turn->takers) != turn->takers)
    turn->takers = channel_get_listeners (self);
  return turn->takers;
}

/* Whether somebody takes what comes, or has taken something; paused or not. */
gboolean
usock_channel_is_claimed (UsockChannel *self)
{
  return self->inlet.messages_read > 0 || self->pending.closer != NULL
         || channel_get_first (self) != 0
         || usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_MESSAGE)
         || usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_BATCH)
         || usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_DATA);
}

/* Once the message stands in the inbox, nobody knows any more which of the two it was. */
GError *
usock_channel_new_fds_lost_error (UsockChannel *self,
                                  gsize         length)
{
  return g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                      P_("Could not receive from “%s”: the descriptors of a message of %zu byte "
                         "were lost: they are more than the limit of %u, or this process may "
                         "open no more",
                         "Could not receive from “%s”: the descriptors of a message of %zu bytes "
                         "were lost: they are more than the limit of %u, or this process may "
                         "open no more",
                         length),
                      usock_channel_peer (self), length, self->inlet.max_fds);
}

/* Whether descriptors of it were lost, for those who get bytes only: the others are closed. */
static gboolean
channel_drop_control (UsockChannel  *self,
                      UsockIncoming *incoming)
{
  UsockIoControl control;

  if (incoming->message != NULL)
    return (usock_message_get_flags (incoming->message) & USOCK_MESSAGE_FLAGS_FDS_LOST) != 0;
  if (!incoming->has_control)
    return FALSE;

  usock_inlet_take_control (&self->inlet, incoming, &control);
  if (control.pidfd != -1)
    close (control.pidfd);
  for (guint i = 0; i < control.n_fds; i++)
    usock_io_close_foreign (control.fds[i], self->inlet.tally);
  return control.fds_lost;
}

/* For those who get bytes only. A message that is not whole would look as if it were; a channel
 * that refuses descriptors misses none. */
static gboolean
channel_check_whole (UsockChannel  *self,
                     UsockIncoming *incoming)
{
  gboolean lost = channel_drop_control (self, incoming);
  GError *error = NULL;

  if (!incoming->truncated && (!lost || self->inlet.max_fds == 0))
    return TRUE;

  if (incoming->truncated && incoming->full_length <= self->inlet.read_buffer_size)
    usock_error_set_errno (&error, ENOMEM, _("Could not receive from “%s”"),
                           usock_channel_peer (self));
  else if (incoming->truncated)
    error = g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                         _("Could not receive from “%s”: a message of %zu"
                           " bytes is longer than the read buffer of %u bytes"),
                         usock_channel_peer (self), incoming->full_length,
                         self->inlet.read_buffer_size);
  else
    error = usock_channel_new_fds_lost_error (self, incoming->full_length);
  USOCK_CHANNEL_GET_CLASS (self)->refuse (self, error);
  return FALSE;
}

static void
channel_give_to_receiver (UsockChannel  *self,
                          UsockIncoming *incoming)
{
  UsockMessage *message = usock_inlet_make_message (&self->inlet, incoming);

  incoming->message = NULL;
  usock_pending_succeed (&self->pending, usock_pending_pop (&self->pending.receivers), message,
                         (GDestroyNotify) usock_message_unref);
  usock_pending_run (&self->pending);
}

static GByteArray *
channel_get_array (UsockChannel *self,
                   UsockTurn    *turn)
{
  if (turn->array == NULL)
    turn->array = usock_reactor_take_array (usock_channel_socket (self)->reactor);
  return turn->array;
}

/* Whether the message is whole. */
static gboolean
channel_emit_message (UsockChannel  *self,
                      UsockIncoming *incoming)
{
  UsockMessage *message = usock_inlet_make_message (&self->inlet, incoming);
  UsockMessageFlags flags;

  usock_channel_emit_boxed (self, USOCK_CHANNEL_SIGNAL_MESSAGE, message);
  usock_message_close_fds (message);

  flags = usock_message_get_flags (message);
  return (flags & USOCK_MESSAGE_FLAGS_TRUNCATED) == 0
         && ((flags & USOCK_MESSAGE_FLAGS_FDS_LOST) == 0 || self->inlet.max_fds == 0);
}

static void
channel_emit_data (UsockChannel *self,
                   UsockTurn    *turn,
                   const guint8 *data,
                   gsize         length)
{
  GByteArray *array = channel_get_array (self, turn);

  array->data = (guint8 *) data;
  array->len = length;
  usock_channel_emit_boxed (self, USOCK_CHANNEL_SIGNAL_DATA, array);
  array->data = NULL;
  array->len = 0;
}

static void
channel_emit_datagram (UsockChannel  *self,
                       UsockTurn     *turn,
                       UsockIncoming *incoming)
{
  GByteArray *array = channel_get_array (self, turn);
  UsockMessage *message = incoming->message;
  char *own = message == NULL ? usock_io_batch_get_sender (incoming->batch, incoming->slot) : NULL;
  const char *sender = message != NULL ? usock_message_get_sender (message) : own;

  array->data = (guint8 *) incoming->data;
  array->len = incoming->length;
  g_signal_emit (self, USOCK_CHANNEL_GET_CLASS (self)->datagram_signal, 0, array, sender);
  array->data = NULL;
  array->len = 0;
  g_clear_pointer (&own, g_ref_string_release);
}

/* Runs foreign code when it was the last reference. */
void
usock_channel_drop_receiver (UsockReceiver *receiver)
{
  if (--receiver->ref_count > 0)
    return;

  if (receiver->free_data != NULL)
    receiver->free_data (receiver->user_data);
  g_free (receiver);
}

/* The function may be replaced by itself. */
static void
channel_call_receiver (UsockChannel *self,
                       const guint8 *data,
                       gsize         length)
{
  UsockReceiver *receiver = self->receiver;

  receiver->ref_count++;
  receiver->func (self, data, length, receiver->user_data);
  usock_channel_drop_receiver (receiver);
}

/* Descriptors whose bytes somebody else took are nothing to those who get bytes. Only a stream cuts
 * its bytes from them, and it leaves them in the inbox. */
static gboolean
incoming_has_no_bytes (UsockChannel        *self,
                       const UsockIncoming *incoming)
{
  return incoming->length == 0 && self->inlet.funcs->is_bytes;
}

static gboolean
channel_next_of_batch (UsockChannel  *self,
                       UsockTurn     *turn,
                       UsockIncoming *incoming)
{
  while (turn->messages > 0 && usock_channel_get_takers (self) == USOCK_TAKER_BATCH
         && usock_inlet_next (&self->inlet, incoming))
    {
      gboolean whole = channel_check_whole (self, incoming);

      turn->messages--;
      turn->bytes += incoming->length;
      if (whole && !incoming_has_no_bytes (self, incoming))
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

  usock_channel_emit_boxed (self, USOCK_CHANNEL_SIGNAL_BATCH, arrays);

  for (guint i = 0; i < arrays->len; i++)
    {
      GByteArray *array = arrays->pdata[i];

      array->data = NULL;
      array->len = 0;
    }
}

/* Gives the message to those who have not had it yet. Each may close the channel, or run a nested
 * main loop that gives it to the rest. */
static void
channel_continue (UsockChannel  *self,
                  UsockTurn     *turn,
                  UsockDelivery *delivery)
{
  UsockSocket *socket = usock_channel_socket (self);

  while (delivery->left != 0 && socket->state != USOCK_STATE_CLOSED)
    {
      UsockTakers taker = delivery->left & -delivery->left;

      delivery->left &= ~taker;
      if (taker & (USOCK_TAKER_MESSAGE | USOCK_TAKER_NOBODY))
        {
          /* It has said what is missing, which to the others would look whole. */
          if (!channel_emit_message (self, &delivery->incoming))
            delivery->left = 0;
        }
      else if (taker == USOCK_TAKER_DATA)
        channel_emit_data (self, turn, delivery->incoming.data, delivery->incoming.length);
      else if (taker == USOCK_TAKER_BATCH)
        channel_emit_batch (self, turn, &delivery->incoming);
      else if (taker == USOCK_TAKER_FUNC)
        channel_call_receiver (self, delivery->incoming.data, delivery->incoming.length);
      else
        channel_emit_datagram (self, turn, &delivery->incoming);
    }
}

/* A nested turn begins: the message that an outer one is giving comes before all others. */
void
usock_channel_deliver_rest (UsockChannel *self,
                            UsockTurn    *turn)
{
  if (self->delivery != NULL && self->delivery->left != 0 && !self->paused)
    channel_continue (self, turn, self->delivery);
}

/* Nobody who was trusted has got it. A closure of another language may have taken the place of one. */
static gboolean
channel_has_missed (UsockChannel        *self,
                    UsockTurn           *turn,
                    const UsockDelivery *delivery,
                    UsockTakers          takers)
{
  if (G_LIKELY (delivery->heard != 0))
    return FALSE;

  turn->takers = 0;
  return !delivery->is_taken && channel_get_remaining (self, takers) == 0;
}

/* FALSE if nobody listened, though they were trusted to. */
static gboolean
channel_give_to_listeners (UsockChannel  *self,
                           UsockTurn     *turn,
                           UsockDelivery *delivery)
{
  UsockDelivery *outer = self->delivery;
  UsockTakers takers = delivery->left;

  if (incoming_has_no_bytes (self, &delivery->incoming))
    delivery->left &= USOCK_TAKER_MESSAGE | USOCK_TAKER_NOBODY;
  if ((delivery->left & (USOCK_TAKER_MESSAGE | USOCK_TAKER_NOBODY)) == 0
      && (delivery->left == 0 || !channel_check_whole (self, &delivery->incoming)))
    delivery->left = 0;

  self->delivery = delivery;
  channel_continue (self, turn, delivery);
  self->delivery = outer;

  turn->is_heard = (takers & ~delivery->heard) == 0;
  if ((takers & ~USOCK_TAKERS_THAT_TELL) != 0)
    turn->takers = 0;
  return !turn->trusts || !channel_has_missed (self, turn, delivery, takers);
}

/* Who is only taken to listen must not be given what nobody else could have then. */
static gboolean
incoming_is_plain (const UsockIncoming *incoming)
{
  return incoming->message == NULL && !incoming->has_control && !incoming->truncated;
}

void
usock_channel_deliver (UsockChannel  *self,
                       UsockTurn     *turn,
                       UsockTakers    takers,
                       UsockIncoming *incoming)
{
  UsockDelivery delivery = { *incoming, takers, 0 };
  gboolean given = TRUE;

  turn->is_asked = FALSE;
  turn->bytes += incoming->length;
  turn->counted = self->inlet.bytes_read;
  if (takers & USOCK_TAKER_RECEIVER)
    channel_give_to_receiver (self, &delivery.incoming);
  else if (turn->trusts && !incoming_is_plain (incoming))
    {
      turn->takers = 0;
      given = FALSE;
    }
  else
    given = channel_give_to_listeners (self, turn, &delivery);

  if (!given)
    usock_inlet_return (&self->inlet, &delivery.incoming);
  turn->bytes += delivery.incoming.n_fds * FD_BYTES;
  g_clear_pointer (&delivery.incoming.message, usock_message_unref);
}

/* FALSE if nobody was there any more. */
static gboolean
channel_emit_plain (UsockChannel *self,
                    UsockTurn    *turn,
                    const guint8 *data,
                    gsize         length)
{
  UsockDelivery *outer = self->delivery;
  UsockDelivery delivery = { 0 };

  self->delivery = &delivery;
  channel_emit_data (self, turn, data, length);
  self->delivery = outer;
  return !channel_has_missed (self, turn, &delivery, USOCK_TAKER_DATA);
}

/* The short way, of a message that is bytes alone and has one taker, who is known to take it. FALSE if
 * it has to go the long one. */
gboolean
usock_channel_deliver_plain (UsockChannel *self,
                             UsockTurn    *turn,
                             UsockTakers   takers)
{
  guint8 *data;
  gsize length;

  if (takers != USOCK_TAKER_FUNC && (takers != USOCK_TAKER_DATA || !turn->trusts))
    return FALSE;
  if (!usock_inlet_next_plain (&self->inlet, &data, &length))
    return FALSE;

  turn->is_asked = FALSE;
  turn->messages--;
  turn->bytes += length;
  turn->counted = self->inlet.bytes_read;
  if (takers == USOCK_TAKER_FUNC)
    channel_call_receiver (self, data, length);
  else if (!channel_emit_plain (self, turn, data, length))
    usock_inlet_untake_plain (&self->inlet, length);
  return TRUE;
}
