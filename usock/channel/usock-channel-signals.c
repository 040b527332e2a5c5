/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

static guint signals[USOCK_CHANNEL_N_SIGNALS];

void
usock_channel_emit (UsockChannel       *self,
                    UsockChannelSignal  signal)
{
  g_signal_emit (self, signals[signal], 0);
}

void
usock_channel_emit_boxed (UsockChannel       *self,
                          UsockChannelSignal  signal,
                          gpointer            argument)
{
  g_signal_emit (self, signals[signal], 0, argument);
}

gboolean
usock_channel_has_handler (UsockChannel       *self,
                           UsockChannelSignal  signal)
{
  return g_signal_has_handler_pending (self, signals[signal], 0, FALSE);
}

/* GLib's own, which would not tell that the message has found somebody. GLib comes this way only where a
 * signal has a single handler, of C, so that nobody else has got it. */
static void
marshal_data (GClosure *closure,
              GValue   *result,
              gpointer  instance,
              va_list   arguments,
              gpointer  marshal_data,
              int       n_types,
              GType    *types)
{
  usock_channel_note_heard (instance, USOCK_TAKER_DATA);
  g_cclosure_marshal_VOID__BOXEDv (closure, result, instance, arguments, marshal_data, n_types,
                                   types);
}

static void
marshal_message (GClosure *closure,
                 GValue   *result,
                 gpointer  instance,
                 va_list   arguments,
                 gpointer  marshal_data,
                 int       n_types,
                 GType    *types)
{
  usock_channel_note_heard (instance, USOCK_TAKER_MESSAGE);
  g_cclosure_marshal_VOID__BOXEDv (closure, result, instance, arguments, marshal_data, n_types,
                                   types);
}

/* The long way, of several handlers: all that are of C. */
static void
marshal_among_others (GClosure     *closure,
                      GValue       *result,
                      guint         n_values,
                      const GValue *values,
                      gpointer      hint,
                      gpointer      marshal_data)
{
  usock_channel_note_taken (g_value_peek_pointer (&values[0]));
  g_cclosure_marshal_VOID__BOXED (closure, result, n_values, values, hint, marshal_data);
}

static guint
channel_new_signal (const char *name)
{
  return g_signal_new (name, USOCK_TYPE_CHANNEL, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                       G_TYPE_NONE, 0);
}

static guint
channel_new_signal_with (const char           *name,
                         GSignalCVaMarshaller  marshaller,
                         GType                 argument)
{
  guint signal
      = g_signal_new (name, USOCK_TYPE_CHANNEL, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                      marshaller != NULL ? marshal_among_others : NULL, G_TYPE_NONE, 1, argument);

  if (marshaller != NULL)
    g_signal_set_va_marshaller (signal, USOCK_TYPE_CHANNEL, marshaller);
  return signal;
}

/* From the class, once. */
void
usock_channel_install_signals (void)
{
  /**
   * UsockChannel::connect:
   * @self: the channel
   *
   * Emitted once when the connection is made.
   *
   * Since: 1.0
   */
  signals[USOCK_CHANNEL_SIGNAL_CONNECT] = channel_new_signal ("connect");

  /**
   * UsockChannel::data:
   * @self: the channel
   * @bytes: the payload of one message
   *
   * Emitted for each message, with its payload alone; the fastest way to
   * receive. It is a `bytes` in Python and a `Uint8Array` in JavaScript, to keep
   * as long as you like.
   *
   * In C and Vala the array is the library's, is used again, and may not be
   * changed: copy what you keep. A NUL, which does not count, stands behind the
   * last byte.
   *
   * Since: 1.0
   */
  signals[USOCK_CHANNEL_SIGNAL_DATA]
      = channel_new_signal_with ("data", marshal_data,
                                 G_TYPE_BYTE_ARRAY | G_SIGNAL_TYPE_STATIC_SCOPE);

  /**
   * UsockChannel::message:
   * @self: the channel
   * @message: one message
   *
   * Emitted for each message, with everything that came along. Descriptors
   * that were not taken from it are closed when the emission is over, so take
   * them before anything asynchronous.
   *
   * Since: 1.0
   */
  signals[USOCK_CHANNEL_SIGNAL_MESSAGE]
      = channel_new_signal_with ("message", marshal_message, USOCK_TYPE_MESSAGE);

  /**
   * UsockChannel::batch:
   * @self: the channel
   * @batch: (element-type GByteArray): the payloads of one or more messages
   *
   * Emitted instead of [signal@Usock.Channel::data], if anybody listens to it,
   * with all the messages that were waiting. For scripts that receive more
   * than some hundred thousand messages a second. In C and Vala the arrays are
   * the library's, as with [signal@Usock.Channel::data].
   *
   * Since: 1.0
   */
  signals[USOCK_CHANNEL_SIGNAL_BATCH]
      = channel_new_signal_with ("batch", NULL,
                                 G_TYPE_PTR_ARRAY | G_SIGNAL_TYPE_STATIC_SCOPE);

  /**
   * UsockChannel::drain:
   * @self: the channel
   *
   * Emitted when nothing waits to be sent any more, after the
   * [property@Usock.Channel:high-water-mark] was passed or sending failed with
   * `G_IO_ERROR_WOULD_BLOCK`.
   *
   * Since: 1.0
   */
  signals[USOCK_CHANNEL_SIGNAL_DRAIN] = channel_new_signal ("drain");

  /**
   * UsockChannel::end:
   * @self: the channel
   *
   * Emitted once when the peer has ended and everything it sent was
   * delivered. The end is read like a message: it waits until somebody
   * listens to messages or to this signal, or awaits one. Between two calls of
   * [method@Usock.Channel.receive_async] nobody does, so the peer can still be
   * answered. Where the peer is gone, the end comes by itself.
   *
   * Since: 1.0
   */
  signals[USOCK_CHANNEL_SIGNAL_END] = channel_new_signal ("end");

  /**
   * UsockChannel::timeout:
   * @self: the channel
   *
   * Emitted once when nothing was received or sent for
   * [property@Usock.Channel:idle-timeout] milliseconds, and again only after
   * something was. It closes nothing.
   *
   * Since: 1.0
   */
  signals[USOCK_CHANNEL_SIGNAL_TIMEOUT] = channel_new_signal ("timeout");
}
