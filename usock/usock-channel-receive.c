/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>
#include <unistd.h>

/* What one channel may deliver in one turn. Then it is the others' turn. */
#define TURN_MESSAGES 256
#define TURN_BYTES (1024 * 1024)

/* What a descriptor counts as: closing one costs as much as reading that many bytes. */
#define FD_BYTES 4096

/* Larger batches than this many bytes leave the cache before they are delivered. */
#define BATCH_BYTES (512 * 1024)

#define RETRY_DELAY (10 * 1000)

/* With more descriptors than this still to be closed no more are taken in. */
#define CLOSING_LIMIT 512

typedef enum
{
  TAKER_RECEIVER = 1 << 0,
  TAKER_MESSAGE = 1 << 1,
  TAKER_DATA = 1 << 2,
  TAKER_BATCH = 1 << 3,
  TAKER_DATAGRAM = 1 << 4,
  TAKER_NOBODY = 1 << 5, /* closing gracefully: read on to the end */
} Takers;

/* One message on its way out: its payload where it was read, or a message of the inbox. */
typedef struct
{
  const guint8 *data;
  gsize length;
  gsize full_length;
  gboolean truncated;
  gboolean has_control;
  guint n_fds;
  guint slot;
  UsockMessage *message; /* from the inbox */
} Incoming;

/* What a turn borrows, and what it found: a turn in a nested main loop borrows its own, and
 * leaves everything as it was. */
typedef struct
{
  UsockIoBatch *batch;
  UsockIoBatch *outer;
  guint outer_next;
  guint outer_count;
  GByteArray *array;
  guint messages;
  gsize bytes;
} Turn;

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

/* Asked anew for each message: a handler may disconnect itself, and what nobody takes must
 * stay. */
static Takers
channel_get_takers (UsockChannel *self)
{
  UsockChannelClass *class = USOCK_CHANNEL_GET_CLASS (self);
  Takers takers = 0;

  if (self->paused)
    return 0;
  if (channel_has_receiver (self))
    return TAKER_RECEIVER;

  if (channel_has_handler (self, USOCK_CHANNEL_SIGNAL_MESSAGE))
    takers |= TAKER_MESSAGE;
  if (class->datagram_signal != 0
      && g_signal_has_handler_pending (self, class->datagram_signal, 0, FALSE))
    takers |= TAKER_DATAGRAM;
  if (!class->connectionless && channel_has_handler (self, USOCK_CHANNEL_SIGNAL_BATCH))
    takers |= TAKER_BATCH;
  else if (channel_has_handler (self, USOCK_CHANNEL_SIGNAL_DATA))
    takers |= TAKER_DATA;
  if (takers == 0 && self->closer != NULL)
    takers = TAKER_NOBODY;

  return takers;
}

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

static void
channel_break_errno (UsockChannel *self,
                     int           errnum)
{
  GError *error = NULL;

  usock_socket_record (usock_channel_socket (self), USOCK_IO_RECEIVE, errnum);
  usock_error_set_errno (&error, errnum, _("Could not receive from “%s”"),
                         usock_channel_peer (self));
  usock_channel_break (self, error);
}

static void
channel_read_later (UsockChannel *self,
                    gint64        delay)
{
  UsockSocket *socket = usock_channel_socket (self);

  socket->watch.ready &= ~USOCK_READY_IN;
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
        channel_read_later (self, RETRY_DELAY);
      return;
    }

  switch (errnum)
    {
    case EAGAIN:
      socket->watch.ready &= ~USOCK_READY_IN;
      self->batch_size = 1;
      break;

    /* On SEQPACKET the reset comes once, and before what is still queued. */
    case ECONNRESET:
      channel_break_errno (self, errnum);
      break;

    /* No event tells when there is memory again. */
    case ENOMEM:
    case ENOBUFS:
      channel_read_later (self, RETRY_DELAY);
      break;

    default:
      socket->watch.ready &= ~USOCK_READY_IN;
      channel_break_errno (self, errnum);
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
channel_next_read (UsockChannel *self,
                   Incoming     *incoming)
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

static gboolean
channel_next_incoming (UsockChannel *self,
                       Incoming     *incoming)
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
static void
channel_take_control (UsockChannel   *self,
                      Incoming       *incoming,
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

static UsockMessage *
channel_make_message (UsockChannel *self,
                      Incoming     *incoming)
{
  UsockMessageFlags flags = USOCK_MESSAGE_FLAGS_NONE;
  g_autofree char *sender = NULL;
  UsockIoControl control;

  if (incoming->message != NULL)
    return incoming->message;

  channel_take_control (self, incoming, &control);
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
  usock_message_receive_msg_flags (incoming->message,
                                   (UsockMsgFlags) control.msg_flags & ~USOCK_MSG_CMSG_CLOEXEC);
  usock_message_receive_controls (incoming->message, control.others, control.n_others,
                                  control.pidfd);
  if (control.n_fds > 0)
    usock_message_receive_fds (incoming->message, control.fds, control.n_fds,
                               usock_io_close_foreign);
  return incoming->message;
}

static void
channel_fill_messages (UsockChannel *self,
                       Turn         *turn)
{
  UsockSocket *socket = usock_channel_socket (self);
  /* A batch opens the descriptors of all its messages at once, 253 each at the worst: where any
   * may come, messages are read one by one. */
  guint wanted = self->max_fds > 0 || self->pass_pidfd || self->wary
                     ? 1
                     : CLAMP (self->batch_size, 1, MAX (turn->messages, 1));
  gsize bytes = 0;
  int n = usock_io_receive (socket->fd, turn->batch, self->read_buffer_size, wanted,
                            USOCK_CHANNEL_GET_CLASS (self)->connectionless);

  if (n < 0)
    {
      channel_receive_failed (self, -n);
      return;
    }

  for (; self->batch_count < (guint) n; self->batch_count++)
    {
      UsockIoPacket packet;

      usock_io_batch_get (turn->batch, self->batch_count, &packet);
      if (packet.is_end && !USOCK_CHANNEL_GET_CLASS (self)->connectionless)
        {
          self->at_end = TRUE;
          break;
        }
      bytes += packet.length;
    }

  channel_adapt_batch (self, wanted, n, bytes);
}

static GError *
channel_new_fds_lost_error (UsockChannel *self,
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
  Incoming incoming;
  UsockMessage *message;

  channel_next_read (self, &incoming);
  message = channel_make_message (self, &incoming);
  if (self->max_fds == 0
      || (usock_message_get_flags (message) & USOCK_MESSAGE_FLAGS_FDS_LOST) == 0)
    {
      usock_queue_push (&self->inbox, message, NULL);
      return;
    }

  usock_channel_break (self, channel_new_fds_lost_error (self, incoming.length));
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

  return packet->length < self->read_buffer_size && !packet->has_control
         && !self->pass_credentials && self->broken == NULL
         && (usock_channel_socket (self)->watch.ready & more) == 0;
}

static void
channel_fill_bytes (UsockChannel *self,
                    Turn         *turn)
{
  UsockSocket *socket = usock_channel_socket (self);
  UsockIoPacket packet;
  gssize result = usock_io_receive_bytes (socket->fd, turn->batch, self->read_buffer_size);

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
  usock_io_batch_get (turn->batch, 0, &packet);
  if (packet.has_control)
    channel_put_aside (self);
  else if (channel_is_drained (self, &packet))
    socket->watch.ready &= ~USOCK_READY_IN;
}

static void
channel_fill (UsockChannel *self,
              Turn         *turn)
{
  self->batch_next = self->batch_count = 0;
  if (USOCK_CHANNEL_GET_CLASS (self)->stream)
    channel_fill_bytes (self, turn);
  else
    channel_fill_messages (self, turn);
}

/* For those who get bytes only. A message that is not whole would look as if it were; a channel
 * that refuses descriptors misses none. A datagram is dropped: anybody could send it, and must
 * not be able to close the socket. */
static gboolean
channel_check_whole (UsockChannel *self,
                     Incoming     *incoming)
{
  UsockIoControl control;
  gboolean lost = FALSE;

  if (incoming->message != NULL)
    lost = (usock_message_get_flags (incoming->message) & USOCK_MESSAGE_FLAGS_FDS_LOST) != 0;
  else if (incoming->has_control)
    {
      channel_take_control (self, incoming, &control);
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
                       channel_new_fds_lost_error (self, incoming->full_length));
  return FALSE;
}

static void
channel_give_to_receiver (UsockChannel *self,
                          Incoming     *incoming)
{
  UsockMessage *message = channel_make_message (self, incoming);
  UsockQueueItem item;

  incoming->message = NULL;
  usock_queue_pop (&self->receivers, &item);
  usock_operation_return_pointer (item.operation, message,
                                  (GDestroyNotify) usock_message_unref);
  usock_channel_complete (self, item.operation);
  usock_channel_run_completed (self);
}

static void
channel_emit_message (UsockChannel *self,
                      Incoming     *incoming)
{
  UsockMessage *message = channel_make_message (self, incoming);

  g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_MESSAGE], 0, message);
  usock_message_close_fds (message);
}

static void
channel_emit_data (UsockChannel *self,
                   Turn         *turn,
                   Incoming     *incoming)
{
  GByteArray *array = turn->array;

  array->data = (guint8 *) incoming->data;
  array->len = incoming->length;
  g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_DATA], 0, array);
  array->data = NULL;
  array->len = 0;
}

static void
channel_emit_datagram (UsockChannel *self,
                       Turn         *turn,
                       Incoming     *incoming)
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

/* Collects what waits, as long as those who take it stay the same; what has to be told first,
 * like a message that was cut, waits for the next round. */
static void
channel_emit_batch (UsockChannel *self,
                    Turn         *turn,
                    Incoming     *first)
{
  g_autoptr (GPtrArray) arrays
      = g_ptr_array_new_with_free_func ((GDestroyNotify) g_byte_array_unref);
  g_autoptr (GPtrArray) messages
      = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref);
  Incoming incoming = *first;

  first->message = NULL;
  for (;;)
    {
      GByteArray *array = g_byte_array_new ();

      array->data = (guint8 *) incoming.data;
      array->len = incoming.length;
      g_ptr_array_add (arrays, array);
      if (incoming.message != NULL)
        g_ptr_array_add (messages, incoming.message);

      if (turn->messages == 0 || channel_get_takers (self) != TAKER_BATCH
          || !channel_next_incoming (self, &incoming))
        break;
      turn->messages--;
      turn->bytes += incoming.length;
      if (!channel_check_whole (self, &incoming))
        {
          g_clear_pointer (&incoming.message, usock_message_unref);
          break;
        }
    }

  g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_BATCH], 0, arrays);

  for (guint i = 0; i < arrays->len; i++)
    {
      GByteArray *array = arrays->pdata[i];

      array->data = NULL;
      array->len = 0;
    }
}

static void
channel_deliver (UsockChannel *self,
                 Turn         *turn,
                 Takers        takers,
                 Incoming     *incoming)
{
  UsockSocket *socket = usock_channel_socket (self);

  /* Descriptors whose bytes somebody else took are nothing to those who get bytes. */
  if (USOCK_CHANNEL_GET_CLASS (self)->stream && incoming->length == 0)
    takers &= TAKER_RECEIVER | TAKER_MESSAGE | TAKER_NOBODY;

  turn->bytes += incoming->length;
  if (takers & TAKER_RECEIVER)
    channel_give_to_receiver (self, incoming);
  else
    {
      if (takers & (TAKER_MESSAGE | TAKER_NOBODY))
        channel_emit_message (self, incoming);
      else if (takers == 0 || !channel_check_whole (self, incoming))
        takers = 0;

      if ((takers & TAKER_DATA) && socket->state != USOCK_STATE_CLOSED)
        channel_emit_data (self, turn, incoming);
      else if ((takers & TAKER_BATCH) && socket->state != USOCK_STATE_CLOSED)
        channel_emit_batch (self, turn, incoming);
      if ((takers & TAKER_DATAGRAM) && socket->state != USOCK_STATE_CLOSED)
        channel_emit_datagram (self, turn, incoming);
    }

  turn->bytes += incoming->n_fds * FD_BYTES;
  g_clear_pointer (&incoming->message, usock_message_unref);
}

static void
turn_begin (UsockChannel *self,
            Turn         *turn)
{
  *turn = (Turn) { .messages = TURN_MESSAGES };
  turn->outer = self->batch;
  turn->outer_next = self->batch_next;
  turn->outer_count = self->batch_count;
}

/* A handler may have made the read buffer larger since the last batch. */
static void
turn_borrow (UsockChannel *self,
             Turn         *turn)
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

static void
channel_stow_batch (UsockChannel *self)
{
  Incoming incoming;

  while (self->batch_next < self->batch_count)
    {
      UsockMessage *message;

      channel_next_read (self, &incoming);
      message = channel_make_message (self, &incoming);
      if (usock_channel_socket (self)->state != USOCK_STATE_CLOSED)
        usock_queue_push (&self->inbox, message, NULL);
      else
        usock_message_unref (message);
    }
}

/* What was read and not delivered goes to the inbox: the buffers are only borrowed. */
static void
turn_end (UsockChannel *self,
          Turn         *turn)
{
  if (turn->array != NULL)
    g_byte_array_unref (turn->array);
  if (turn->batch == NULL)
    return;

  channel_stow_batch (self);
  usock_reactor_give_batch (usock_channel_socket (self)->reactor, turn->batch);
  self->batch = turn->outer;
  self->batch_next = turn->outer_next;
  self->batch_count = turn->outer_count;
}

static gboolean
channel_holds_messages (UsockChannel *self)
{
  return self->inbox.length > 0 || self->batch_next < self->batch_count;
}

static gboolean
channel_is_readable (UsockChannel *self)
{
  return channel_holds_messages (self)
         || (!self->at_end && (usock_channel_socket (self)->watch.ready & USOCK_READY_IN) != 0);
}

/* Whether there is something to deliver, and somebody to take it. */
gboolean
usock_channel_is_wanted (UsockChannel *self)
{
  return channel_is_readable (self) && channel_get_takers (self) != 0;
}

/* The oldest receiver, if it does not take messages as they come. */
static UsockOperation *
channel_get_assembler (UsockChannel *self,
                       Takers        takers)
{
  UsockOperation *receiver;

  if ((takers & TAKER_RECEIVER) == 0 || USOCK_CHANNEL_GET_CLASS (self)->assemble == NULL)
    return NULL;

  receiver = usock_queue_peek (&self->receivers, 0)->operation;
  return g_async_result_is_tagged (G_ASYNC_RESULT (receiver), usock_channel_receive_async)
             ? NULL
             : receiver;
}

/* Whether nothing more will come. */
static gboolean
channel_is_exhausted (UsockChannel *self)
{
  return self->at_end
         || (self->broken != NULL
             && (usock_channel_socket (self)->watch.ready & USOCK_READY_IN) == 0);
}

static gboolean
channel_assemble (UsockChannel   *self,
                  Turn           *turn,
                  UsockOperation *receiver)
{
  guint64 before = self->bytes_read;
  UsockQueueItem item;
  gboolean decided;

  channel_stow_batch (self);
  turn->bytes += self->bytes_read - before;
  decided = USOCK_CHANNEL_GET_CLASS (self)->assemble (self, receiver, channel_is_exhausted (self));
  if (!decided)
    return FALSE;

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
  UsockSocket *socket = usock_channel_socket (self);
  int result;

  if (self->paused || channel_holds_messages (self) || self->at_end
      || USOCK_CHANNEL_GET_CLASS (self)->connectionless)
    return;

  result = usock_io_peek_end (socket->fd, USOCK_CHANNEL_GET_CLASS (self)->stream, &self->at_end);
  if (result == -ECONNRESET)
    {
      channel_break_errno (self, ECONNRESET);
      result = usock_io_peek_end (socket->fd, USOCK_CHANNEL_GET_CLASS (self)->stream, &self->at_end);
    }
  if (result == -EAGAIN)
    socket->watch.ready &= ~(USOCK_READY_HANGUP | USOCK_READY_IN);
}

static void
channel_after_reading (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);
  gboolean readable, busy;

  /* Out of its budget, the turn left somebody waiting with what is not all in the inbox. */
  if (channel_is_exhausted (self)
      && channel_get_assembler (self, channel_get_takers (self)) != NULL)
    {
      usock_watch_wake (&socket->watch);
      return;
    }

  if (((socket->watch.ready & USOCK_READY_HANGUP) || self->broken != NULL)
      && channel_get_takers (self) == 0)
    channel_look_for_end (self);

  if (!channel_holds_messages (self) && !self->paused)
    {
      if (self->at_end)
        channel_end_reached (self);
      else if (self->broken != NULL && !(socket->watch.ready & USOCK_READY_IN))
        usock_socket_fail (socket, g_steal_pointer (&self->broken));
    }

  if (!usock_channel_is_connected (self))
    return;

  readable = channel_is_readable (self);
  busy = readable && channel_get_takers (self) != 0;
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
  Incoming incoming;
  Takers takers;
  Turn turn;

  if (self->read_retry_at > 0 && usock_reactor_get_time (socket->reactor) >= self->read_retry_at)
    {
      self->read_retry_at = 0;
      socket->watch.ready |= USOCK_READY_IN;
    }

  turn_begin (self, &turn);
  while (turn.messages > 0 && turn.bytes < TURN_BYTES && usock_channel_is_connected (self)
         && (takers = channel_get_takers (self)) != 0)
    {
      assembler = channel_get_assembler (self, takers);
      if (assembler != NULL && channel_assemble (self, &turn, assembler))
        continue;
      if (!channel_holds_messages (self))
        {
          if (self->at_end || !(socket->watch.ready & USOCK_READY_IN))
            break;
          if (self->wary && usock_io_count_closing () > CLOSING_LIMIT)
            {
              channel_read_later (self, 1000);
              break;
            }
          turn_borrow (self, &turn);
          channel_fill (self, &turn);
          if (assembler != NULL)
            turn.messages--;
          continue;
        }

      if (turn.array == NULL)
        turn.array = g_byte_array_new ();
      turn.messages--;
      channel_next_incoming (self, &incoming);
      channel_deliver (self, &turn, takers, &incoming);
    }
  if (turn.messages < TURN_MESSAGES)
    usock_channel_note_activity (self);
  turn_end (self, &turn);

  if (usock_channel_is_connected (self))
    channel_after_reading (self);
}

/* Reads everything into the inbox, for a moment after which the kernel may throw it away. */
void
usock_channel_stow (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);
  Turn turn;

  turn_begin (self, &turn);
  channel_stow_batch (self);
  socket->watch.ready |= USOCK_READY_IN;
  while (socket->watch.ready & USOCK_READY_IN)
    {
      turn_borrow (self, &turn);
      channel_fill (self, &turn);
      channel_stow_batch (self);
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
