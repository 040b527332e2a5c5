/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>
#include <unistd.h>

/* Larger batches than this many bytes leave the cache before they are delivered. */
#define BATCH_BYTES (512 * 1024)

/* After how many reads that found nothing they are made less often, and how often. */
#define IN_VAIN_LIMIT 16

#define RETRY_DELAY (10 * 1000)

/* What the kernel or the inbox still holds is delivered first. */
void
usock_channel_break (UsockChannel *self,
                     GError       *error)
{
  if (self->broken != NULL)
    g_error_free (error);
  else
    self->broken = error;

  usock_channel_socket (self)->watch.ready |= USOCK_READY_IN;
  usock_watch_wake (&usock_channel_socket (self)->watch);
}

void
usock_channel_break_errno (UsockChannel *self,
                           int           errnum)
{
  GError *error = NULL;

  usock_socket_record (usock_channel_socket (self), USOCK_IO_RECEIVE, errnum);
  usock_error_set_errno (&error, errnum, _("Could not receive from “%s”"),
                         usock_channel_peer (self));
  usock_channel_break (self, error);
}

void
usock_channel_read_later (UsockChannel *self,
                          gint64        delay)
{
  UsockSocket *socket = usock_channel_socket (self);

  socket->watch.ready &= ~USOCK_READY_IN;
  usock_watch_set_level (&socket->watch, FALSE);
  self->read_retry_at = usock_reactor_get_time (socket->reactor) + delay;
}

/* To a datagram socket: a peer has turned away, or somewhere in the network a message was refused.
 * It is told once, and nothing is lost by it that we could receive. */
static gboolean
receive_tells_of_sending (int errnum)
{
  switch (errnum)
    {
    case ECONNRESET:
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPROTO:
    case EMSGSIZE:
    case EACCES:
      return TRUE;
    default:
      return FALSE;
    }
}

static void
channel_receive_failed (UsockChannel *self,
                        int           errnum)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (USOCK_CHANNEL_GET_CLASS (self)->connectionless && receive_tells_of_sending (errnum))
    {
      usock_socket_record (socket, USOCK_IO_RECEIVE, errnum);
      /* A security module could say some of these again and again. */
      if (errnum != ECONNRESET && errnum != ECONNREFUSED)
        usock_channel_read_later (self, RETRY_DELAY);
      return;
    }

  switch (errnum)
    {
    case EAGAIN:
      socket->watch.ready &= ~USOCK_READY_IN;
      self->batch_size = 1;
      break;

    /* On SEQPACKET the reset comes once, and before what is still queued; on a stream it is the
     * last there is. */
    case ECONNRESET:
      usock_channel_break_errno (self, errnum);
      self->at_end = USOCK_CHANNEL_GET_CLASS (self)->stream;
      break;

    /* No event tells when there is memory again. */
    case ENOMEM:
    case ENOBUFS:
      usock_channel_read_later (self, RETRY_DELAY);
      break;

    default:
      socket->watch.ready &= ~USOCK_READY_IN;
      usock_channel_break_errno (self, errnum);
      socket->watch.ready &= ~USOCK_READY_IN;
    }
}

/* A quiet channel reads one message at a time: to look for a second before the first is delivered
 * would only delay the answer. A busy one doubles its batches for as long as they come full. A
 * short batch proves that there was no more, but is no reason to stop: by the time it is
 * delivered there often is, and asking again costs less than to wait in epoll and poll. */
static void
channel_adapt_batch (UsockChannel *self,
                     guint         wanted,
                     guint         n,
                     gsize         bytes)
{
  if (n == wanted && bytes / n * wanted * 2 <= BATCH_BYTES)
    self->batch_size = MIN (wanted * 2, usock_io_batch_n_slots (self->batch));
  else if (n < wanted)
    self->batch_size = MAX (n, 1);
  else if (bytes > BATCH_BYTES)
    self->batch_size = MAX (wanted / 2, 1);
}

static gboolean
channel_next_read (UsockChannel  *self,
                   UsockIncoming *incoming)
{
  UsockIoPacket packet;

  if (self->batch_next == self->batch_count)
    return FALSE;

  incoming->message = NULL;
  incoming->n_fds = 0;
  incoming->slot = self->batch_next++;
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

gboolean
usock_channel_next_incoming (UsockChannel  *self,
                             UsockIncoming *incoming)
{
  UsockQueueItem item;

  if (!usock_queue_pop (&self->inbox, &item))
    return channel_next_read (self, incoming);

  incoming->message = item.message;
  incoming->data = usock_message_get_data (item.message, &incoming->length);
  incoming->full_length = usock_message_get_full_length (item.message);
  incoming->truncated
      = (usock_message_get_flags (item.message) & USOCK_MESSAGE_FLAGS_TRUNCATED) != 0;
  incoming->has_control = FALSE;
  incoming->n_fds = 0;
  return TRUE;
}

/* Descriptors that are too many are not handed out in part: a short list looks complete. */
void
usock_channel_take_control (UsockChannel   *self,
                            UsockIncoming  *incoming,
                            UsockIoControl *control)
{
  usock_io_batch_get_control (self->batch, incoming->slot, control);
  incoming->has_control = FALSE;
  incoming->n_fds = control->n_fds;
  if (control->n_fds > 0)
    self->wary = TRUE;
  if (!self->pass_pidfd && control->pidfd != -1)
    close (g_steal_fd (&control->pidfd));

  if (control->n_fds <= self->max_fds && !control->fds_lost)
    return;

  for (guint i = 0; i < control->n_fds; i++)
    usock_io_close_foreign (control->fds[i]);
  control->fds_lost |= control->n_fds > 0;
  control->n_fds = 0;
}

UsockMessage *
usock_channel_make_message (UsockChannel  *self,
                            UsockIncoming *incoming)
{
  UsockMessageFlags flags = USOCK_MESSAGE_FLAGS_NONE;
  g_autofree char *sender = NULL;
  UsockIoControl control;

  if (incoming->message != NULL)
    return incoming->message;

  usock_channel_take_control (self, incoming, &control);
  if (incoming->truncated)
    flags |= USOCK_MESSAGE_FLAGS_TRUNCATED;
  if (control.fds_lost)
    flags |= USOCK_MESSAGE_FLAGS_FDS_LOST;

  if (USOCK_CHANNEL_GET_CLASS (self)->connectionless)
    sender = usock_io_batch_get_sender (self->batch, incoming->slot);
  incoming->message
      = usock_message_new_received (incoming->data, incoming->length, incoming->full_length);
  usock_message_receive_info (incoming->message, flags,
                              control.has_credentials ? &control.credentials : NULL,
                              control.timestamp, sender);
  if (sender != NULL)
    usock_io_batch_sign (self->batch, incoming->slot, incoming->message);
  usock_message_receive_msg_flags (incoming->message,
                                   (UsockMsgFlags) control.msg_flags & ~USOCK_MSG_CMSG_CLOEXEC);
  usock_message_receive_controls (incoming->message, control.others, control.n_others,
                                  control.pidfd);
  if (control.n_fds > 0)
    usock_message_receive_fds (incoming->message, control.fds, control.n_fds,
                               usock_io_close_foreign);
  usock_message_receive_tally (incoming->message, self->tally);
  return incoming->message;
}

/* Where there was one message there mostly is no other, and to ask costs as much as the message
 * did. Who has asked in vain for long enough asks now and then. */
static gboolean
channel_is_calm (UsockChannel *self)
{
  return self->n_in_vain >= IN_VAIN_LIMIT && ++self->n_in_vain % IN_VAIN_LIMIT != 0;
}

static void
channel_fill_messages (UsockChannel *self,
                       guint         max_messages)
{
  UsockSocket *socket = usock_channel_socket (self);
  /* A batch opens the descriptors of all its messages at once, 253 each at the worst: where any
   * may come, messages are read one by one. */
  guint wanted = self->max_fds > 0 || self->pass_pidfd || self->wary
                     ? 1
                     : CLAMP (self->batch_size, 1, MAX (max_messages, 1));
  gsize bytes = 0;
  int n = usock_io_receive (socket->fd, self->batch, self->read_buffer_size, wanted,
                            USOCK_CHANNEL_GET_CLASS (self)->connectionless);

  if (wanted > 1)
    self->n_in_vain = n == -EAGAIN ? self->n_in_vain + 1 : 0;
  if (n < 0)
    {
      channel_receive_failed (self, -n);
      return;
    }

  for (; self->batch_count < (guint) n; self->batch_count++)
    {
      UsockIoPacket packet;

      usock_io_batch_get (self->batch, self->batch_count, &packet);
      if (packet.is_end && !USOCK_CHANNEL_GET_CLASS (self)->connectionless)
        {
          self->at_end = TRUE;
          break;
        }
      bytes += packet.length;
    }

  /* What is left must be told again, then. */
  if (n == 1 && wanted == 1 && usock_watch_is_level (&socket->watch) && channel_is_calm (self))
    socket->watch.ready &= ~USOCK_READY_IN;
  else
    channel_adapt_batch (self, wanted, n, bytes);
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

/* Bytes that something came along with keep it with them. Where descriptors are missing from a
 * stream, nobody can tell any more to what the others belong. */
static void
channel_put_aside (UsockChannel *self)
{
  UsockIncoming incoming;
  UsockMessage *message;

  channel_next_read (self, &incoming);
  message = usock_channel_make_message (self, &incoming);
  if (self->max_fds == 0
      || (usock_message_get_flags (message) & USOCK_MESSAGE_FLAGS_FDS_LOST) == 0)
    {
      usock_queue_push (&self->inbox, message, NULL);
      return;
    }

  usock_channel_break (self, usock_channel_new_fds_lost_error (self, incoming.length));
  self->at_end = TRUE;
  usock_message_unref (message);
}

/* A read that is not filled has emptied the socket, unless it stopped short of something: it
 * does where descriptors or another sender's credentials come, and where out-of-band data is.
 * After a hang-up the end is still to be read. */
static gboolean
channel_is_drained (UsockChannel        *self,
                    const UsockIoPacket *packet)
{
  const guint more = USOCK_READY_HANGUP | USOCK_READY_URGENT;

  return !packet->is_full && !packet->has_control && !self->pass_credentials && self->broken == NULL
         && (usock_channel_socket (self)->watch.ready & more) == 0;
}

static void
channel_fill_bytes (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);
  UsockIoPacket packet;
  gssize result = usock_io_receive_bytes (socket->fd, self->batch, self->read_buffer_size);
  gboolean again = self->batch_size > 1; /* the last read of this turn was not in vain */

  if (again)
    self->n_in_vain = result == -EAGAIN ? self->n_in_vain + 1 : 0;
  if (result < 0)
    {
      channel_receive_failed (self, -result);
      return;
    }
  if (result == 0)
    {
      self->at_end = TRUE;
      return;
    }

  self->batch_count = 1;
  self->batch_size = 2;
  usock_io_batch_get (self->batch, 0, &packet);
  if (packet.has_control)
    channel_put_aside (self);
  else if (channel_is_drained (self, &packet) && channel_is_calm (self))
    {
      socket->watch.ready &= ~USOCK_READY_IN;
      self->batch_size = 1;
    }
}

void
usock_channel_fill (UsockChannel *self,
                    guint         max_messages)
{
  self->batch_next = self->batch_count = 0;
  if (USOCK_CHANNEL_GET_CLASS (self)->stream)
    channel_fill_bytes (self);
  else
    channel_fill_messages (self, max_messages);
}

void
usock_channel_stow_batch (UsockChannel *self)
{
  UsockIncoming incoming;

  while (self->batch_next < self->batch_count)
    {
      UsockMessage *message;

      channel_next_read (self, &incoming);
      message = usock_channel_make_message (self, &incoming);
      if (usock_channel_socket (self)->state != USOCK_STATE_CLOSED)
        usock_queue_push (&self->inbox, message, NULL);
      else
        usock_message_unref (message);
    }
}
