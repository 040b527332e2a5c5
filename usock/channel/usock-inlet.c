/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-inlet-private.h"

#include <unistd.h>

void
usock_inlet_init (UsockInlet *self)
{
  self->fd = -1;
}

void
usock_inlet_clear (UsockInlet *self)
{
  usock_queue_clear (&self->inbox);
  g_clear_pointer (&self->tally, usock_tally_abandon);
}

void
usock_inlet_begin (UsockInlet      *self,
                   UsockInletFrame *frame)
{
  *frame = (UsockInletFrame) { NULL, self->batch, self->next, self->count };
}

/* Lends a batch to read into, until the frame ends; what was read into another is taken. Returns
 * nothing: a smaller batch that the frame had is the caller's again. */
void
usock_inlet_lend (UsockInlet      *self,
                  UsockInletFrame *frame,
                  UsockIoBatch    *batch)
{
  if (frame->batch == NULL)
    frame->outer_next = self->next;

  frame->batch = batch;
  self->batch = batch;
  self->next = self->count = 0;
}

/* What was read and not taken goes to the inbox. Returns what was lent, or NULL. */
UsockIoBatch *
usock_inlet_end (UsockInlet      *self,
                 UsockInletFrame *frame)
{
  if (frame->batch == NULL)
    return NULL;

  usock_inlet_stow (self);
  self->batch = frame->outer;
  self->next = frame->outer_next;
  self->count = frame->outer_count;
  return g_steal_pointer (&frame->batch);
}

gboolean
usock_inlet_holds_messages (const UsockInlet *self)
{
  return self->inbox.length > 0 || self->next < self->count;
}

void
usock_inlet_make_tally (UsockInlet *self)
{
  if (self->tally == NULL)
    self->tally = usock_tally_new (self->fell, self->fell_data);
}

/* Messages that the program keeps may hold as many as the process can have, and so may those that
 * wait to be closed. What was read already is given all the same, for nobody could take its
 * descriptors before. */
gboolean
usock_inlet_holds_enough_fds (const UsockInlet *self)
{
  if (self->tally == NULL || usock_inlet_holds_messages (self))
    return FALSE;

  return (self->max_held_fds > 0 && usock_tally_reaches (self->tally, self->max_held_fds))
         || usock_tally_is_behind (self->tally);
}

/* The next of what was read, whatever the inbox holds. */
gboolean
usock_inlet_next_read (UsockInlet    *self,
                       UsockIncoming *incoming)
{
  UsockIoPacket packet;

  if (self->next == self->count)
    return FALSE;

  *incoming = (UsockIncoming) { .batch = self->batch, .slot = self->next++ };
  usock_io_batch_get (self->batch, incoming->slot, &packet);
  incoming->data = packet.data;
  incoming->length = packet.length;
  incoming->full_length = packet.full_length;
  incoming->truncated = packet.truncated;
  incoming->has_control = packet.has_control;
  ((guint8 *) packet.data)[packet.length] = '\0';

  self->bytes_read += packet.length;
  self->messages_read++;
  return TRUE;
}

/* The next message, if it is bytes and nothing else, and is where it was read. */
gboolean
usock_inlet_next_plain (UsockInlet    *self,
                        guint8       **data,
                        gsize         *length)
{
  if (self->inbox.length > 0 || self->next == self->count
      || !usock_io_batch_get_plain (self->batch, self->next, data, length))
    return FALSE;

  (*data)[*length] = '\0';
  self->next++;
  self->bytes_read += *length;
  self->messages_read++;
  return TRUE;
}

/* It was not given to anybody after all, and is the next again. */
void
usock_inlet_untake_plain (UsockInlet *self,
                          gsize       length)
{
  self->next--;
  self->bytes_read -= length;
  self->messages_read--;
}

/* The next message; one of the inbox comes with a reference. */
gboolean
usock_inlet_next (UsockInlet    *self,
                  UsockIncoming *incoming)
{
  UsockQueueItem item;

  if (!usock_queue_pop (&self->inbox, &item))
    return usock_inlet_next_read (self, incoming);

  *incoming = (UsockIncoming) { .message = item.message };
  incoming->data = usock_message_get_data (item.message, &incoming->length);
  incoming->full_length = usock_message_get_full_length (item.message);
  incoming->truncated
      = (usock_message_get_flags (item.message) & USOCK_MESSAGE_FLAGS_TRUNCATED) != 0;
  return TRUE;
}

/* Descriptors that are too many are not handed out in part: a short list looks complete. */
void
usock_inlet_take_control (UsockInlet     *self,
                          UsockIncoming  *incoming,
                          UsockIoControl *control)
{
  usock_io_batch_get_control (incoming->batch, incoming->slot, control);
  incoming->has_control = FALSE;
  incoming->n_fds = control->n_fds;
  if (control->n_fds > 0)
    usock_inlet_make_tally (self);
  if (!self->pass_pidfd && control->pidfd != -1)
    close (g_steal_fd (&control->pidfd));

  if (control->n_fds <= self->max_fds && !control->fds_lost)
    return;

  for (guint i = 0; i < control->n_fds; i++)
    usock_io_close_foreign (control->fds[i], self->tally);
  control->fds_lost = TRUE;
  control->n_fds = 0;
}

static UsockMessageFlags
incoming_get_flags (const UsockIncoming *self)
{
  return self->truncated ? USOCK_MESSAGE_FLAGS_TRUNCATED : USOCK_MESSAGE_FLAGS_NONE;
}

/* Nothing came along but the time. */
static void
inlet_equip_plain_message (const UsockIncoming *incoming)
{
  int msg_flags;
  gint64 time = usock_io_batch_get_time (incoming->batch, incoming->slot, &msg_flags);

  usock_message_receive_info (incoming->message, incoming_get_flags (incoming), NULL, time, NULL);
  usock_message_receive_msg_flags (incoming->message,
                                   (UsockMsgFlags) msg_flags & ~USOCK_MSG_CMSG_CLOEXEC);
}

static void
inlet_equip_message (UsockInlet           *self,
                     const UsockIncoming  *incoming,
                     const UsockIoControl *control)
{
  UsockMessage *message = incoming->message;
  UsockMessageFlags lost
      = control->fds_lost ? USOCK_MESSAGE_FLAGS_FDS_LOST : USOCK_MESSAGE_FLAGS_NONE;

  usock_message_receive_info (message, incoming_get_flags (incoming) | lost,
                              control->has_credentials ? &control->credentials : NULL,
                              control->timestamp, NULL);
  usock_message_receive_msg_flags (message,
                                   (UsockMsgFlags) control->msg_flags & ~USOCK_MSG_CMSG_CLOEXEC);
  usock_message_receive_controls (message, control->others, control->n_others, control->pidfd);
  if (control->n_fds > 0)
    usock_message_receive_fds (message, control->fds, control->n_fds, usock_io_close_now);
  usock_message_receive_tally (message, self->tally);
}

/* What there is no memory for is cut to nothing. Of a stream nothing more may come then: it would
 * look as if it followed. */
static UsockMessage *
inlet_cut_message (UsockInlet    *self,
                   UsockIncoming *incoming)
{
  incoming->truncated = TRUE;
  incoming->length = 0;
  if (self->funcs->is_bytes)
    self->at_end = self->is_starved = TRUE;
  return usock_message_new_taken (g_malloc0 (1), 0, incoming->full_length);
}

/* With everything that came along. The message stays with @incoming. */
UsockMessage *
usock_inlet_make_message (UsockInlet    *self,
                          UsockIncoming *incoming)
{
  UsockIoControl control;
  gboolean has_control = incoming->has_control;

  if (incoming->message != NULL)
    return incoming->message;

  if (has_control)
    usock_inlet_take_control (self, incoming, &control);
  incoming->message
      = usock_message_new_received (incoming->data, incoming->length, incoming->full_length);
  if (incoming->message == NULL)
    incoming->message = inlet_cut_message (self, incoming);
  if (has_control)
    inlet_equip_message (self, incoming, &control);
  else
    inlet_equip_plain_message (incoming);
  if (self->funcs->has_senders)
    usock_io_batch_sign (incoming->batch, incoming->slot, incoming->message);
  return incoming->message;
}

/* What was read and not taken goes to the inbox: the buffers are only lent. */
void
usock_inlet_stow (UsockInlet *self)
{
  UsockIncoming incoming;

  while (usock_inlet_next_read (self, &incoming))
    {
      UsockMessage *message = usock_inlet_make_message (self, &incoming);

      if (self->is_open)
        usock_queue_push (&self->inbox, message, NULL);
      else
        usock_message_unref (message);
    }
}

/* Takes the message over, and puts it before all others. */
void
usock_inlet_put_back (UsockInlet   *self,
                      UsockMessage *message)
{
  usock_queue_push_front (&self->inbox, message);
}

/* It was taken, and found nobody. Its reference stays the caller's. */
void
usock_inlet_return (UsockInlet    *self,
                    UsockIncoming *incoming)
{
  usock_inlet_put_back (self, usock_message_ref (usock_inlet_make_message (self, incoming)));
}
