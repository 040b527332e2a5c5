/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram-private.h"

/* Of one message. */
typedef struct
{
  char *destination;
  GError *error;
} DgramFailure;

guint usock_dgram_signals[USOCK_DGRAM_N_SIGNALS];

static void
failure_free (DgramFailure *failure)
{
  g_free (failure->destination);
  g_error_free (failure->error);
  g_free (failure);
}

/* To be told in a turn. Takes the error over. */
void
usock_dgram_note_failure (UsockDgram *self,
                          const char *destination,
                          GError     *error)
{
  DgramFailure *failure = g_new0 (DgramFailure, 1);

  failure->destination = g_strdup (destination);
  failure->error = error;
  g_queue_push_tail (&self->failures, failure);
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

void
usock_dgram_forget_failures (UsockDgram *self)
{
  g_queue_clear_full (&self->failures, (GDestroyNotify) failure_free);
}

void
usock_dgram_emit_failures (UsockDgram *self)
{
  DgramFailure *failure;

  while ((failure = g_queue_pop_head (&self->failures)) != NULL)
    {
      self->told = 0;
      g_signal_emit (self, usock_dgram_signals[USOCK_DGRAM_SIGNAL_SEND_FAILED], 0,
                     failure->destination, failure->error);
      failure_free (failure);
    }
}

/* What GLib's own marshaller would do by libffi, which costs more than the handler of a message. Both
 * arguments are lent. */
typedef void (*DatagramCallback) (gpointer    first,
                                  gpointer    bytes,
                                  const char *sender,
                                  gpointer    last);

static void
call_datagram (GClosure   *closure,
               gpointer    instance,
               gpointer    bytes,
               const char *sender,
               gpointer    marshal_data)
{
  gpointer callback = marshal_data != NULL ? marshal_data : ((GCClosure *) closure)->callback;
  if (G_CCLOSURE_SWAP_DATA (closure))
    ((DatagramCallback) callback) (closure->data, bytes, sender, instance);
  else
    ((DatagramCallback) callback) (instance, bytes, sender, closure->data);
}

static void
marshal_datagram (GClosure     *closure,
                  GValue       *result,
                  guint         n_values,
                  const GValue *values,
                  gpointer      hint,
                  gpointer      marshal_data)
{
  usock_channel_note_taken (g_value_peek_pointer (&values[0]));
  call_datagram (closure, g_value_peek_pointer (&values[0]), g_value_get_boxed (&values[1]),
                 g_value_get_string (&values[2]), marshal_data);
}

static void
marshal_datagram_va (GClosure *closure,
                     GValue   *result,
                     gpointer  instance,
                     va_list   arguments,
                     gpointer  marshal_data,
                     int       n_types,
                     GType    *types)
{
  gpointer bytes;
  const char *sender;
  va_list own;

  va_copy (own, arguments);
  bytes = va_arg (own, gpointer);
  sender = va_arg (own, const char *);
  va_end (own);
  usock_channel_note_heard (instance, USOCK_TAKER_DATAGRAM);
  call_datagram (closure, instance, bytes, sender, marshal_data);
}

/* When the class is made. */
void
usock_dgram_install_signals (UsockChannelClass *channel_class)
{
  /**
   * UsockDgram::listening:
   * @self: the socket
   *
   * Emitted when the socket was bound.
   *
   * Since: 1.0
   */
  usock_dgram_signals[USOCK_DGRAM_SIGNAL_LISTENING]
      = g_signal_new ("listening", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 0);

  /**
   * UsockDgram::datagram:
   * @self: the socket
   * @bytes: the payload of one message
   * @sender: (nullable): who sent it, as text for [method@Usock.Dgram.send_to]; %NULL if the
   *   sender's socket has no name, and cannot be answered
   *
   * Emitted for each message, beside [signal@Usock.Channel::message] and
   * [signal@Usock.Channel::data], with its sender. What
   * [signal@Usock.Channel::data] says of the array holds here too.
   *
   * Since: 1.0
   */
  usock_dgram_signals[USOCK_DGRAM_SIGNAL_DATAGRAM]
      = g_signal_new ("datagram", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                      marshal_datagram, G_TYPE_NONE, 2, G_TYPE_BYTE_ARRAY | G_SIGNAL_TYPE_STATIC_SCOPE,
                      G_TYPE_STRING | G_SIGNAL_TYPE_STATIC_SCOPE);
  g_signal_set_va_marshaller (usock_dgram_signals[USOCK_DGRAM_SIGNAL_DATAGRAM], USOCK_TYPE_DGRAM,
                              marshal_datagram_va);
  channel_class->datagram_signal = usock_dgram_signals[USOCK_DGRAM_SIGNAL_DATAGRAM];

  /**
   * UsockDgram::congestion:
   * @self: the socket
   * @destination: (nullable): who does not keep up; %NULL for the other end of a pair
   *
   * Emitted once when a receiver is full, until
   * [signal@Usock.Dgram::writable] is.
   *
   * Since: 1.0
   */
  usock_dgram_signals[USOCK_DGRAM_SIGNAL_CONGESTION]
      = g_signal_new ("congestion", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 1, G_TYPE_STRING);

  /**
   * UsockDgram::writable:
   * @self: the socket
   * @destination: (nullable): who keeps up again; %NULL for the other end of a pair
   *
   * Emitted once after [signal@Usock.Dgram::congestion], when what was queued
   * for the receiver was sent and there is room for more, or when it is gone.
   *
   * Since: 1.0
   */
  usock_dgram_signals[USOCK_DGRAM_SIGNAL_WRITABLE]
      = g_signal_new ("writable", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 1, G_TYPE_STRING);

  /**
   * UsockDgram::send-failed:
   * @self: the socket
   * @destination: (nullable): whom the message was for; %NULL for the other end of a pair
   * @error: why
   *
   * Emitted for each message that was queued, cannot be sent any more, and
   * was not sent by an asynchronous call. The socket stays open.
   *
   * A socket of the internet that is connected is also told when messages that
   * have left reached nobody, with `G_IO_ERROR_CONNECTION_REFUSED` for one; once
   * for several, as the network tells it. Who is not connected is not told.
   *
   * Since: 1.0
   */
  usock_dgram_signals[USOCK_DGRAM_SIGNAL_SEND_FAILED]
      = g_signal_new ("send-failed", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_ERROR);
}
