/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-client-private.h"

guint usock_client_signals[USOCK_CLIENT_N_SIGNALS];

static GParamSpec *properties[USOCK_CLIENT_N_PROPS];

void
usock_client_notify (UsockClient         *self,
                     UsockClientProperty  property)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[property]);
}

void
usock_client_install_properties (GObjectClass *class)
{
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  /**
   * UsockClient:channel: (getter get_channel)
   *
   * The connection that there is; %NULL while there is none.
   *
   * Since: 1.0
   */
  properties[USOCK_CLIENT_PROP_CHANNEL] = g_param_spec_object (
      "channel", NULL, NULL, USOCK_TYPE_CHANNEL,
      G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * UsockClient:channel-type: (getter get_channel_type)
   *
   * The class of its channels: [class@Usock.Seqpacket], [class@Usock.Stream], or one that is derived
   * from them. With any other it is the first.
   *
   * Since: 1.0
   */
  properties[USOCK_CLIENT_PROP_CHANNEL_TYPE] = g_param_spec_gtype (
      "channel-type", NULL, NULL, USOCK_TYPE_CHANNEL,
      G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * UsockClient:min-delay: (getter get_min_delay) (setter set_min_delay)
   *
   * How many milliseconds to wait at first before it connects again; a little less by chance.
   *
   * Since: 1.0
   */
  properties[USOCK_CLIENT_PROP_MIN_DELAY] = g_param_spec_uint (
      "min-delay", NULL, NULL, 1, G_MAXINT, USOCK_CLIENT_MIN_DELAY, read_write);

  /**
   * UsockClient:max-delay: (getter get_max_delay) (setter set_max_delay)
   *
   * Up to how many milliseconds the delay grows. It doubles each time.
   *
   * Since: 1.0
   */
  properties[USOCK_CLIENT_PROP_MAX_DELAY] = g_param_spec_uint (
      "max-delay", NULL, NULL, 1, G_MAXINT, USOCK_CLIENT_MAX_DELAY, read_write);

  /**
   * UsockClient:queue-limit: (getter get_queue_limit) (setter set_queue_limit)
   *
   * How many bytes may wait to be sent, a fixed overhead for each message and descriptor included.
   * When nothing waits, one message may be of any length.
   *
   * Since: 1.0
   */
  properties[USOCK_CLIENT_PROP_QUEUE_LIMIT]
      = g_param_spec_uint64 ("queue-limit", NULL, NULL, 0, G_MAXUINT64, USOCK_CLIENT_QUEUE_LIMIT,
                             read_write);

  g_object_class_install_properties (class, USOCK_CLIENT_N_PROPS, properties);
}

static guint
new_signal (const char *name,
            guint       n_arguments,
            ...)
{
  va_list arguments;
  guint signal;

  va_start (arguments, n_arguments);
  signal = g_signal_new_valist (name, USOCK_TYPE_CLIENT, G_SIGNAL_RUN_LAST, NULL, NULL, NULL, NULL,
                                G_TYPE_NONE, n_arguments, arguments);
  va_end (arguments);
  return signal;
}

void
usock_client_install_signals (void)
{
  guint *signals = usock_client_signals;

  /**
   * UsockClient::connecting:
   * @self: the client
   * @channel: a new channel
   *
   * Emitted before a channel connects, for who sets it up: how many descriptors it lets in, and
   * whatever else should be in force when the first message comes.
   *
   * Since: 1.0
   */
  signals[USOCK_CLIENT_SIGNAL_CONNECTING] = new_signal ("connecting", 1, USOCK_TYPE_CHANNEL);

  /**
   * UsockClient::connected:
   * @self: the client
   * @channel: the channel, which is open
   *
   * Emitted when there is a connection. What a handler sends by @channel leaves before what waits
   * in the client; who listens to @channel from now on misses nothing.
   *
   * Since: 1.0
   */
  signals[USOCK_CLIENT_SIGNAL_CONNECTED] = new_signal ("connected", 1, USOCK_TYPE_CHANNEL);

  /**
   * UsockClient::disconnected:
   * @self: the client
   * @reason: (nullable): what ended it; %NULL if the other side has ended it, or this one
   *
   * Emitted when the connection is over, after the channel has emitted
   * [signal@Usock.Socket::close], and each message that is uncertain was told.
   *
   * Since: 1.0
   */
  signals[USOCK_CLIENT_SIGNAL_DISCONNECTED] = new_signal ("disconnected", 1, G_TYPE_ERROR);

  /**
   * UsockClient::waiting:
   * @self: the client
   * @delay: how long, in milliseconds
   * @reason: (nullable): why there is no connection; %NULL if the other side has ended it
   *
   * Emitted when the client begins to wait before it connects again.
   *
   * Since: 1.0
   */
  signals[USOCK_CLIENT_SIGNAL_WAITING] = new_signal ("waiting", 2, G_TYPE_UINT, G_TYPE_ERROR);

  /**
   * UsockClient::uncertain:
   * @self: the client
   * @message: a message, without the descriptors that went with it
   *
   * Emitted for each message that was sent, and that the other side may not have read when the
   * connection broke. Whether it is sent again is for the program to say; the client does not do
   * it by itself. All others that were sent have been read; over the internet, the other machine
   * has got them, which is all that there is to know.
   *
   * Since: 1.0
   */
  signals[USOCK_CLIENT_SIGNAL_UNCERTAIN] = new_signal ("uncertain", 1, USOCK_TYPE_MESSAGE);

  /**
   * UsockClient::unsent:
   * @self: the client
   * @message: a message
   * @reason: why
   *
   * Emitted for each message that was accepted and will not be sent: because the client was stopped,
   * or because this message can not be sent at all. A message that
   * [method@Usock.Client.send_message_async] waits for is told of there, and not by this.
   *
   * Since: 1.0
   */
  signals[USOCK_CLIENT_SIGNAL_UNSENT] = new_signal ("unsent", 2, USOCK_TYPE_MESSAGE, G_TYPE_ERROR);
}
