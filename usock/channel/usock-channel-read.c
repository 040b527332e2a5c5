/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>

/* What one channel may deliver in one turn. Then it is the others' turn. */
#define TURN_MESSAGES 256
#define TURN_BYTES (1024 * 1024)

/* What a sender may find in its way and put into the inbox, at the most and in one go. */
#define STOW_BYTES (1024 * 1024)
#define STOW_MESSAGES 512

#define RETRY_DELAY (10 * 1000)

static void
turn_begin (UsockChannel *self,
            UsockTurn    *turn)
{
  *turn = (UsockTurn) { .messages = TURN_MESSAGES, .counted = self->inlet.bytes_read };
  self->n_taken = 0;
  usock_inlet_begin (&self->inlet, &turn->frame);
}

/* A handler may have made the read buffer larger since the last batch. FALSE if there is no memory. */
static gboolean
turn_borrow (UsockChannel *self,
             UsockTurn    *turn)
{
  UsockReactor *reactor = usock_channel_socket (self)->reactor;
  UsockInletFrame *frame = &turn->frame;
  gsize size = self->inlet.read_buffer_size;
  UsockIoBatch *before = frame->batch;
  UsockIoBatch *batch;

  if (before != NULL && usock_io_batch_slot_size (before) >= size)
    return TRUE;

  batch = usock_reactor_take_batch (reactor, size);
  if (batch == NULL)
    return FALSE;

  usock_inlet_lend (&self->inlet, frame, batch);
  if (before != NULL)
    usock_reactor_give_batch (reactor, before);
  return TRUE;
}

static void
turn_end (UsockChannel *self,
          UsockTurn    *turn)
{
  UsockReactor *reactor = usock_channel_socket (self)->reactor;
  UsockIoBatch *batch = usock_inlet_end (&self->inlet, &turn->frame);

  if (turn->array != NULL)
    usock_reactor_give_array (reactor, turn->array);
  if (batch != NULL)
    usock_reactor_give_batch (reactor, batch);
}

/* Who is given a message may take others with it. */
static void
turn_count_taken (UsockChannel *self,
                  UsockTurn    *turn)
{
  turn->messages -= MIN (turn->messages, self->n_taken);
  self->n_taken = 0;
}

/* Whether the turn had to leave something to the next. */
static gboolean
turn_is_over (const UsockTurn *turn)
{
  return turn->messages == 0 || turn->bytes >= TURN_BYTES;
}

/* On SEQPACKET the reset comes once, and before what is still queued; on a stream it is the last
 * there is. No event tells when there is memory again. */
static void
channel_receive_failed (UsockChannel *self,
                        int           errnum)
{
  UsockInlet *inlet = &self->inlet;

  if (errnum == EAGAIN)
    return;

  if (inlet->funcs->forgives != NULL && inlet->funcs->forgives (errnum))
    {
      usock_socket_record (usock_channel_socket (self), USOCK_IO_RECEIVE, errnum);
      if (self->outlet.funcs->told != NULL)
        self->outlet.funcs->told (&self->outlet, errnum);
      /* A security module could say some of these again and again. */
      if (errnum != ECONNRESET && errnum != ECONNREFUSED)
        usock_channel_read_later (self, RETRY_DELAY);
    }
  else if (errnum == ENOMEM || errnum == ENOBUFS)
    usock_channel_read_later (self, RETRY_DELAY);
  else if (errnum == EMSGSIZE)
    usock_channel_break (self, usock_channel_new_fds_lost_error (self, inlet->lost_length));
  else
    {
      usock_channel_break_errno (self, errnum);
      if (errnum != ECONNRESET)
        usock_channel_socket (self)->watch.ready &= ~USOCK_READY_IN;
    }
}

/* Before anybody takes what is missing for the end. */
static void
channel_check_starved (UsockChannel *self)
{
  if (!self->inlet.is_starved)
    return;

  self->inlet.is_starved = FALSE;
  usock_channel_break_errno (self, ENOMEM);
}

static void
channel_fill (UsockChannel *self,
              UsockTurn    *turn)
{
  UsockSocket *socket = usock_channel_socket (self);
  UsockInlet *inlet = &self->inlet;
  int result;

  if (!turn_borrow (self, turn))
    {
      channel_receive_failed (self, ENOMEM);
      return;
    }
  inlet->is_level = usock_watch_is_level (&socket->watch);
  inlet->may_hide = socket->fate.error != NULL
                    || (socket->watch.ready & (USOCK_READY_HANGUP | USOCK_READY_URGENT)) != 0;
  result = usock_inlet_fill (inlet, turn->messages);
  if (inlet->emptied)
    socket->watch.ready &= ~USOCK_READY_IN;
  if (result < 0)
    channel_receive_failed (self, -result);
}

/* Whether the channel has broken, and given all that it had. What could not be read for a moment is
 * still to come. */
static gboolean
channel_is_spent (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);

  return socket->fate.error != NULL && self->read_retry_at == 0
         && (socket->watch.ready & USOCK_READY_IN) == 0;
}

/* Whether nothing more will come. */
static gboolean
channel_is_exhausted (UsockChannel *self)
{
  return self->inlet.at_end || channel_is_spent (self);
}

/* The end is read like a message: it waits for somebody who takes it. */
static gboolean
channel_takes_end (UsockChannel *self)
{
  return usock_channel_get_takers (self) != 0
         || (!self->paused && !self->withheld
             && usock_channel_has_handler (self, USOCK_CHANNEL_SIGNAL_END));
}

static gboolean
channel_has_end (UsockChannel *self)
{
  return self->inlet.at_end && !self->end_told && !usock_inlet_holds_messages (&self->inlet);
}

/* Whether there is something to give, and somebody to take it. */
gboolean
usock_channel_is_wanted (UsockChannel *self)
{
  if (channel_has_end (self))
    return channel_takes_end (self);

  return usock_channel_has_input (self) && usock_channel_get_takers (self) != 0;
}

/* The oldest receiver, if it does not take messages as they come. */
static UsockOperation *
channel_get_assembler (UsockChannel *self,
                       UsockTakers   takers)
{
  UsockOperation *receiver;

  if ((takers & USOCK_TAKER_RECEIVER) == 0 || USOCK_CHANNEL_GET_CLASS (self)->assemble == NULL)
    return NULL;

  receiver = g_queue_peek_head (&self->pending.receivers);
  return usock_operation_get_data (receiver) != NULL ? receiver : NULL;
}

/* The peer has ended, and everything was delivered. */
static void
channel_tell_end (UsockChannel *self)
{
  self->end_told = TRUE;
  usock_channel_derive_state (self);
  usock_pending_end_receivers (&self->pending);
  usock_pending_run (&self->pending);

  if (usock_channel_is_connected (self))
    usock_channel_emit (self, USOCK_CHANNEL_SIGNAL_END);
  if (!self->allow_half_open && usock_channel_is_connected (self))
    usock_channel_begin_end (self);
}

/* Who is given nothing has taken the end. */
static gboolean
channel_assemble (UsockChannel   *self,
                  UsockTurn      *turn,
                  UsockOperation *receiver)
{
  UsockInlet *inlet = &self->inlet;

  usock_inlet_stow (inlet);
  channel_check_starved (self);
  turn->bytes += inlet->bytes_read - turn->counted;
  turn->counted = inlet->bytes_read;
  if (!USOCK_CHANNEL_GET_CLASS (self)->assemble (self, receiver, channel_is_exhausted (self)))
    return FALSE;

  turn->messages--;
  usock_pending_pop (&self->pending.receivers);
  usock_pending_push (&self->pending.completed, receiver);
  if (channel_has_end (self) && usock_operation_is_empty (receiver))
    channel_tell_end (self);
  usock_pending_run (&self->pending);
  return TRUE;
}

static int
channel_peek_end (UsockChannel *self)
{
  gboolean at_end = self->inlet.at_end;
  int result = usock_io_peek_end (usock_channel_socket (self)->fd, self->inlet.funcs->is_bytes,
                                  &at_end);

  self->inlet.at_end = at_end;
  return result;
}

/* Nobody listens, and the peer has hung up, or reads no more. If it left nothing behind, that is
 * the end; else the messages wait for somebody to take them. */
static void
channel_look_for_end (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);
  UsockInlet *inlet = &self->inlet;
  int result;

  if (usock_inlet_holds_messages (inlet) || inlet->at_end || !usock_channel_is_connection (self))
    return;

  result = channel_peek_end (self);
  if (result == -ECONNRESET)
    {
      usock_channel_break_errno (self, ECONNRESET);
      result = channel_peek_end (self);
    }
  if (result == -EAGAIN)
    socket->watch.ready &= ~(USOCK_READY_HANGUP | USOCK_READY_IN);
  else if (result < 0)
    channel_receive_failed (self, -result);
}

/* Where there is no peer any more that an answer could reach, there is nothing to wait for. */
static gboolean
channel_peer_is_gone (UsockChannel *self)
{
  return (usock_channel_socket (self)->watch.ready & USOCK_READY_HANGUP) != 0
         && usock_io_has_hung_up (usock_channel_socket (self)->fd);
}

static void
channel_reach_end (UsockChannel *self,
                   gboolean      is_taken)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (usock_inlet_holds_messages (&self->inlet) || self->paused)
    return;

  if (channel_is_exhausted (self) && socket->fate.error != NULL)
    usock_socket_conclude (socket);
  else if (channel_has_end (self)
           && (is_taken || channel_takes_end (self) || channel_peer_is_gone (self)))
    channel_tell_end (self);
}

/* The takers are @is_fresh where they would still say that they take what comes. */
static void
channel_after_reading (UsockChannel *self,
                       UsockTakers   takers,
                       gboolean      is_fresh,
                       gboolean      was_cut)
{
  UsockSocket *socket = usock_channel_socket (self);
  gboolean readable, busy;

  /* What somebody waits for may be there, and not in the inbox. */
  if (was_cut && channel_get_assembler (self, takers) != NULL)
    {
      usock_watch_wake (&socket->watch);
      return;
    }

  if (takers == 0 && !self->paused
      && ((socket->watch.ready & USOCK_READY_HANGUP) != 0 || socket->fate.error != NULL))
    channel_look_for_end (self);
  channel_reach_end (self, takers != 0 && is_fresh);
  if (!usock_channel_is_connected (self))
    return;

  readable = usock_channel_has_input (self) || channel_has_end (self);
  busy = readable && usock_channel_is_wanted (self);
  if (busy)
    usock_watch_wake (&socket->watch);
  usock_watch_sample (&socket->watch, readable && !busy && !self->paused);
  usock_watch_rest (&socket->watch, busy);
}

/* Reads some. FALSE if there is nothing for now. */
static gboolean
channel_read_some (UsockChannel *self,
                   UsockTurn    *turn)
{
  if (!usock_channel_has_input (self))
    return FALSE;
  channel_fill (self, turn);
  return TRUE;
}

/* FALSE if there is nothing for now. Reading runs no foreign code, so that those who take the first
 * message need not be asked for again. */
static gboolean
channel_give_some (UsockChannel *self,
                   UsockTurn    *turn,
                   UsockTakers   takers)
{
  UsockOperation *assembler;
  UsockIncoming incoming;

  if (usock_channel_deliver_plain (self, turn, takers))
    return TRUE;

  assembler = channel_get_assembler (self, takers);
  if (assembler != NULL)
    {
      turn->is_asked = FALSE;
      if (channel_assemble (self, turn, assembler) || !usock_channel_is_connected (self))
        {
          turn_count_taken (self, turn);
          return TRUE;
        }
      turn->messages--;
      return channel_read_some (self, turn);
    }

  if (!usock_inlet_holds_messages (&self->inlet) && !channel_read_some (self, turn))
    return FALSE;
  if (usock_inlet_next (&self->inlet, &incoming))
    {
      turn->messages--;
      usock_channel_deliver (self, turn, takers, &incoming);
      turn_count_taken (self, turn);
    }
  return TRUE;
}

void
usock_channel_read (UsockChannel *self)
{
  guint64 before = self->inlet.messages_read;
  UsockTakers takers = 0;
  UsockTurn turn;

  if (self->read_retry_at > 0 && g_get_monotonic_time () >= self->read_retry_at)
    {
      self->read_retry_at = 0;
      usock_channel_socket (self)->watch.ready |= USOCK_READY_IN;
    }

  turn_begin (self, &turn);
  usock_channel_deliver_rest (self, &turn);
  while (!turn_is_over (&turn) && usock_channel_is_connected (self)
         && (takers = usock_channel_get_turn_takers (self, &turn)) != 0
         && channel_give_some (self, &turn, takers))
    ;
  if (self->inlet.messages_read != before)
    usock_channel_note_activity (self);
  turn_end (self, &turn);
  channel_check_starved (self);

  if (!usock_channel_is_connected (self))
    return;
  if (turn_is_over (&turn))
    takers = usock_channel_get_takers (self);
  channel_after_reading (self, takers, turn.is_asked, turn_is_over (&turn));
}

/* Reads into the inbox what is there, for a moment after which the kernel may throw it away. Who
 * never takes what comes must not have it pile up here, and a flood must not keep the sender. */
void
usock_channel_stow (UsockChannel *self)
{
  UsockWatch *watch = &usock_channel_socket (self)->watch;
  UsockInlet *inlet = &self->inlet;
  guint64 most = inlet->messages_read + STOW_MESSAGES;
  UsockTurn turn;

  turn_begin (self, &turn);
  usock_inlet_stow (inlet);
  watch->ready |= USOCK_READY_IN;
  while ((watch->ready & USOCK_READY_IN) != 0 && inlet->messages_read < most
         && inlet->inbox.cost < STOW_BYTES)
    {
      channel_fill (self, &turn);
      usock_inlet_stow (inlet);
    }
  turn_end (self, &turn);
  channel_check_starved (self);

  if (inlet->inbox.length > 0)
    usock_watch_wake (watch);
}
