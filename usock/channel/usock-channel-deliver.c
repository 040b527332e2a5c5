/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>
#include <unistd.h>

/* What a descriptor counts as: closing one costs as much as reading that many bytes. */
#define FD_BYTES 4096

/* Asked anew for each message: a handler may disconnect itself, and what nobody takes must
 * stay. */
UsockTakers
usock_channel_get_takers (UsockChannel *self)
{
  UsockChannelClass *class = USOCK_CHANNEL_GET_CLASS (self);
  UsockTakers takers = 0;

  if (self->paused || self->withheld || usock_inlet_holds_enough_fds (&self->inlet))
    return 0;
  if (usock_pending_get_receiver (&self->pending, usock_channel_give_back, self) != NULL)
    return USOCK_TAKER_RECEIVER;

  if (usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_MESSAGE))
    takers |= USOCK_TAKER_MESSAGE;
  if (class->datagram_signal != 0
      && g_signal_has_handler_pending (self, class->datagram_signal, 0, FALSE))
    takers |= USOCK_TAKER_DATAGRAM;
  if (class->datagram_signal == 0 && usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_BATCH))
    takers |= USOCK_TAKER_BATCH;
  else if (usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_DATA))
    takers |= USOCK_TAKER_DATA;
  if (takers == 0 && self->pending.closer != NULL)
    takers = USOCK_TAKER_NOBODY;

  return takers;
}

/* Whether somebody takes what comes, or has taken something; paused or not. */
gboolean
usock_channel_is_claimed (UsockChannel *self)
{
  return self->inlet.messages_read > 0 || self->pending.closer != NULL
         || usock_pending_get_receiver (&self->pending, usock_channel_give_back, self) != NULL
         || usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_MESSAGE)
         || usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_BATCH)
         || usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_DATA);
}

GError *
usock_channel_new_fds_lost_error (UsockChannel *self,
                                  gsize         length)
{
  return g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                      _("Could not receive from “%s”: the descriptors of a message of %zu bytes "
                        "were lost"),
                      usock_channel_peer (self), length);
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
  GError *error;

  if (!incoming->truncated && (!lost || self->inlet.max_fds == 0))
    return TRUE;

  if (incoming->truncated)
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
channel_emit_data (UsockChannel  *self,
                   GByteArray    *array,
                   UsockIncoming *incoming)
{
  array->data = (guint8 *) incoming->data;
  array->len = incoming->length;
  usock_channel_emit_boxed (self, USOCK_CHANNEL_SIGNAL_DATA, array);
  array->data = NULL;
  array->len = 0;
}

static void
channel_emit_datagram (UsockChannel  *self,
                       GByteArray    *array,
                       UsockIncoming *incoming)
{
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

  if (turn->array == NULL)
    turn->array = g_byte_array_new ();
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
        channel_emit_data (self, turn->array, &delivery->incoming);
      else if (taker == USOCK_TAKER_BATCH)
        channel_emit_batch (self, turn, &delivery->incoming);
      else
        channel_emit_datagram (self, turn->array, &delivery->incoming);
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

void
usock_channel_deliver (UsockChannel  *self,
                       UsockTurn     *turn,
                       UsockTakers    takers,
                       UsockIncoming *incoming)
{
  UsockDelivery *outer = self->delivery;
  UsockDelivery delivery = { *incoming, takers };

  turn->bytes += incoming->length;
  turn->counted = self->inlet.bytes_read;
  if (takers & USOCK_TAKER_RECEIVER)
    channel_give_to_receiver (self, &delivery.incoming);
  else
    {
      if (incoming_has_no_bytes (self, incoming))
        delivery.left &= USOCK_TAKER_MESSAGE | USOCK_TAKER_NOBODY;
      if ((delivery.left & (USOCK_TAKER_MESSAGE | USOCK_TAKER_NOBODY)) == 0
          && (delivery.left == 0 || !channel_check_whole (self, &delivery.incoming)))
        delivery.left = 0;

      self->delivery = &delivery;
      channel_continue (self, turn, &delivery);
      self->delivery = outer;
    }

  turn->bytes += delivery.incoming.n_fds * FD_BYTES;
  g_clear_pointer (&delivery.incoming.message, usock_message_unref);
}
