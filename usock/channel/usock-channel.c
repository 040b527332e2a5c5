/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#define READ_BUFFER_MAX (64 * 1024 * 1024)

/**
 * UsockChannel:
 *
 * What sends and receives messages: the base of [class@Usock.Seqpacket].
 *
 * ## Receiving
 *
 * Each message goes to the oldest call of [method@Usock.Channel.receive_async]
 * that waits. If none does, it goes to the function of
 * [method@Usock.Channel.set_receive_func], and where there is none to the handlers of
 * [signal@Usock.Channel::message], and then to those of
 * [signal@Usock.Channel::data] (or of [signal@Usock.Channel::batch], if there
 * are any). Until somebody listens or waits nothing is read, and who comes
 * late gets everything. A handler that another handler connects gets what the
 * next turn of the main loop gives.
 *
 * ## Sending
 *
 * A message goes straight to the kernel while nothing waits. When the peer
 * does not keep up, messages are queued, up to
 * [property@Usock.Channel:queue-limit]; beyond it sending fails with
 * `G_IO_ERROR_WOULD_BLOCK`, and [signal@Usock.Channel::drain] tells when to go
 * on. What was accepted arrives, in order, or the failure is reported.
 *
 * ## The end
 *
 * When the peer ends, what is queued is still sent, then our side ends too and
 * [signal@Usock.Socket::close] follows, unless
 * [property@Usock.Channel:allow-half-open] is set.
 *
 * Since: 1.0
 */

G_DEFINE_ABSTRACT_TYPE (UsockChannel, usock_channel, USOCK_TYPE_SOCKET)

typedef enum
{
  PROP_PAUSED = 1,
  PROP_QUEUED_BYTES,
  PROP_HIGH_WATER_MARK,
  PROP_QUEUE_LIMIT,
  PROP_READ_BUFFER_SIZE,
  PROP_IDLE_TIMEOUT,
  PROP_SEND_TIMEOUT,
  PROP_CONNECT_TIMEOUT,
  PROP_PASS_CREDENTIALS,
  PROP_PASS_PIDFD,
  PROP_MAX_FDS,
  PROP_MAX_HELD_FDS,
  PROP_ALLOW_HALF_OPEN,
  PROP_MEMFD_FALLBACK,
} UsockChannelProperty;

static GParamSpec *properties[PROP_MEMFD_FALLBACK + 1];

static void
usock_channel_stop_connecting (UsockChannel *self)
{
}

/* The kernel would take the message, and drop the descriptors. */
static gboolean
usock_channel_check_fds (UsockChannel  *self,
                         gsize          length,
                         GError       **error)
{
  if (usock_channel_socket (self)->family == AF_UNIX)
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
               _("Could not send to “%s”: descriptors do not leave this machine"),
               usock_channel_peer (self));
  return FALSE;
}

static void
usock_channel_refuse (UsockChannel *self,
                      GError       *error)
{
  usock_socket_fail (usock_channel_socket (self), error);
}

static void
usock_channel_stalled (UsockChannel *self,
                       UsockRoute   *route,
                       GError       *error)
{
  usock_socket_fail (usock_channel_socket (self), error);
}

static gboolean
usock_channel_is_over (UsockChannel *self)
{
  return self->end_told;
}

/* In whatever thread drops a message. */
static void
channel_fds_fell (gpointer watch)
{
  usock_watch_interrupt (watch);
}

/* Before this the instance is of its parents' classes, one after the other. */
static void
usock_channel_constructed (GObject *object)
{
  UsockChannel *self = USOCK_CHANNEL (object);

  self->inlet.funcs = USOCK_CHANNEL_GET_CLASS (self)->inlet;
  self->outlet.funcs = USOCK_CHANNEL_GET_CLASS (self)->outlet;

  G_OBJECT_CLASS (usock_channel_parent_class)->constructed (object);
}

static void
usock_channel_finalize (GObject *object)
{
  UsockChannel *self = USOCK_CHANNEL (object);

  usock_postbox_close (&self->postbox);
  usock_outlet_clear (&self->outlet);
  usock_inlet_clear (&self->inlet);
  g_clear_pointer (&self->receiver, usock_channel_drop_receiver);
  g_clear_pointer (&self->approach.target, usock_name_free);
  usock_channel_unbind (self);

  G_OBJECT_CLASS (usock_channel_parent_class)->finalize (object);
}

static void
usock_channel_get_property (GObject    *object,
                            guint       property_id,
                            GValue     *value,
                            GParamSpec *pspec)
{
  UsockChannel *self = USOCK_CHANNEL (object);

  switch ((UsockChannelProperty) property_id)
    {
    case PROP_PAUSED:
      g_value_set_boolean (value, self->paused);
      break;
    case PROP_QUEUED_BYTES:
      g_value_set_uint64 (value, self->outlet.queued_cost);
      break;
    case PROP_HIGH_WATER_MARK:
      g_value_set_uint64 (value, self->outlet.high_water_mark);
      break;
    case PROP_QUEUE_LIMIT:
      g_value_set_uint64 (value, self->outlet.queue_limit);
      break;
    case PROP_READ_BUFFER_SIZE:
      g_value_set_uint (value, self->inlet.read_buffer_size);
      break;
    case PROP_IDLE_TIMEOUT:
      g_value_set_uint (value, self->idle_timeout);
      break;
    case PROP_SEND_TIMEOUT:
      g_value_set_uint (value, self->send_timeout);
      break;
    case PROP_CONNECT_TIMEOUT:
      g_value_set_uint (value, self->connect_timeout);
      break;
    case PROP_PASS_CREDENTIALS:
      g_value_set_boolean (value, self->inlet.pass_credentials);
      break;
    case PROP_PASS_PIDFD:
      g_value_set_boolean (value, self->inlet.pass_pidfd);
      break;
    case PROP_MAX_FDS:
      g_value_set_uint (value, self->inlet.max_fds);
      break;
    case PROP_MAX_HELD_FDS:
      g_value_set_uint (value, self->inlet.max_held_fds);
      break;
    case PROP_ALLOW_HALF_OPEN:
      g_value_set_boolean (value, self->allow_half_open);
      break;
    case PROP_MEMFD_FALLBACK:
      g_value_set_boolean (value, self->memfd_fallback);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_channel_set_property (GObject      *object,
                            guint         property_id,
                            const GValue *value,
                            GParamSpec   *pspec)
{
  UsockChannel *self = USOCK_CHANNEL (object);

  switch ((UsockChannelProperty) property_id)
    {
    case PROP_HIGH_WATER_MARK:
      usock_channel_set_high_water_mark (self, g_value_get_uint64 (value));
      break;
    case PROP_QUEUE_LIMIT:
      usock_channel_set_queue_limit (self, g_value_get_uint64 (value));
      break;
    case PROP_READ_BUFFER_SIZE:
      usock_channel_set_read_buffer_size (self, g_value_get_uint (value));
      break;
    case PROP_IDLE_TIMEOUT:
      usock_channel_set_idle_timeout (self, g_value_get_uint (value));
      break;
    case PROP_SEND_TIMEOUT:
      usock_channel_set_send_timeout (self, g_value_get_uint (value));
      break;
    case PROP_CONNECT_TIMEOUT:
      usock_channel_set_connect_timeout (self, g_value_get_uint (value));
      break;
    case PROP_PASS_CREDENTIALS:
      usock_channel_set_pass_credentials (self, g_value_get_boolean (value));
      break;
    case PROP_PASS_PIDFD:
      usock_channel_set_pass_pidfd (self, g_value_get_boolean (value));
      break;
    case PROP_MAX_FDS:
      usock_channel_set_max_fds (self, g_value_get_uint (value));
      break;
    case PROP_MAX_HELD_FDS:
      usock_channel_set_max_held_fds (self, g_value_get_uint (value));
      break;
    case PROP_ALLOW_HALF_OPEN:
      usock_channel_set_allow_half_open (self, g_value_get_boolean (value));
      break;
    case PROP_MEMFD_FALLBACK:
      usock_channel_set_memfd_fallback (self, g_value_get_boolean (value));
      break;
    case PROP_PAUSED:
    case PROP_QUEUED_BYTES:
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
channel_install_properties (GObjectClass *object_class)
{
  const GParamFlags read_only = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  /**
   * UsockChannel:paused: (getter get_paused)
   *
   * Whether delivery is paused, see [method@Usock.Channel.pause].
   *
   * Since: 1.0
   */
  properties[PROP_PAUSED] = g_param_spec_boolean ("paused", NULL, NULL, FALSE, read_only);

  /**
   * UsockChannel:queued-bytes: (getter get_queued_bytes)
   *
   * How much waits to be sent, in bytes, counting 256 for each message and
   * each descriptor beside its bytes. Changes are not notified.
   *
   * Since: 1.0
   */
  properties[PROP_QUEUED_BYTES] = g_param_spec_uint64 ("queued-bytes", NULL, NULL, 0, G_MAXUINT64,
                                                       0, read_only);

  /**
   * UsockChannel:high-water-mark: (getter get_high_water_mark) (setter set_high_water_mark)
   *
   * The [property@Usock.Channel:queued-bytes] above which
   * [signal@Usock.Channel::drain] will tell that the queue is empty again. At
   * most the queue limit counts.
   *
   * Since: 1.0
   */
  properties[PROP_HIGH_WATER_MARK] = g_param_spec_uint64 ("high-water-mark", NULL, NULL, 0,
                                                          G_MAXUINT64, 64 * 1024, read_write);

  /**
   * UsockChannel:queue-limit: (getter get_queue_limit) (setter set_queue_limit)
   *
   * The [property@Usock.Channel:queued-bytes] beyond which sending fails with
   * `G_IO_ERROR_WOULD_BLOCK`. An empty queue takes any one message. With 0
   * nothing is ever queued.
   *
   * Since: 1.0
   */
  properties[PROP_QUEUE_LIMIT] = g_param_spec_uint64 ("queue-limit", NULL, NULL, 0, G_MAXUINT64,
                                                      16 * 1024 * 1024, read_write);

  /**
   * UsockChannel:read-buffer-size: (getter get_read_buffer_size) (setter set_read_buffer_size)
   *
   * The longest message that is received whole, in bytes.
   *
   * A longer one is flagged `TRUNCATED` where it is received as a
   * [struct@Usock.Message]. Nobody else could tell it from a whole one, so for
   * those who listen to bytes only it is a `G_IO_ERROR_MESSAGE_TOO_LARGE` that
   * closes the channel.
   *
   * Since: 1.0
   */
  properties[PROP_READ_BUFFER_SIZE] = g_param_spec_uint ("read-buffer-size", NULL, NULL, 1,
                                                         READ_BUFFER_MAX, 256 * 1024, read_write);

  /**
   * UsockChannel:idle-timeout: (getter get_idle_timeout) (setter set_idle_timeout)
   *
   * After how many milliseconds without a message in either direction
   * [signal@Usock.Channel::timeout] is emitted, 0 for never. It counts from when
   * there is a connection: until then no message could come, and
   * [property@Usock.Channel:connect-timeout] has its eye on that.
   *
   * Since: 1.0
   */
  properties[PROP_IDLE_TIMEOUT] = g_param_spec_uint ("idle-timeout", NULL, NULL, 0, G_MAXUINT, 0,
                                                     read_write);

  /**
   * UsockChannel:send-timeout: (getter get_send_timeout) (setter set_send_timeout)
   *
   * How many milliseconds messages may wait without the peer reading
   * anything before the channel fails with `G_IO_ERROR_TIMED_OUT`, 0 for
   * ever.
   *
   * Since: 1.0
   */
  properties[PROP_SEND_TIMEOUT] = g_param_spec_uint ("send-timeout", NULL, NULL, 0, G_MAXUINT,
                                                     30 * 1000, read_write);

  /**
   * UsockChannel:connect-timeout: (getter get_connect_timeout) (setter set_connect_timeout)
   *
   * How many milliseconds to wait for a place in a full backlog, or over a
   * network for the host, before connecting fails with `G_IO_ERROR_TIMED_OUT`,
   * 0 for ever.
   *
   * Since: 1.0
   */
  properties[PROP_CONNECT_TIMEOUT] = g_param_spec_uint ("connect-timeout", NULL, NULL, 0,
                                                        G_MAXUINT, 30 * 1000, read_write);

  /**
   * UsockChannel:pass-credentials: (getter get_pass_credentials) (setter set_pass_credentials)
   *
   * Whether received messages carry the credentials of their senders, see
   * `SO_PASSCRED` in unix(7). Set it before connecting: for messages that were
   * sent earlier the kernel may not know them. Note that the kernel gives the
   * socket an abstract name then.
   *
   * Since: 1.0
   */
  properties[PROP_PASS_CREDENTIALS] = g_param_spec_boolean ("pass-credentials", NULL, NULL, FALSE,
                                                            read_write);

  /**
   * UsockChannel:pass-pidfd: (getter get_pass_pidfd) (setter set_pass_pidfd)
   *
   * Whether received messages carry a descriptor of the process that sent
   * them, see [method@Usock.Message.dup_pidfd]. Linux before 6.5 has none to
   * give: messages come without then. Reading becomes slower.
   *
   * Since: 1.0
   */
  properties[PROP_PASS_PIDFD] = g_param_spec_boolean ("pass-pidfd", NULL, NULL, FALSE, read_write);

  /**
   * UsockChannel:max-fds: (getter get_max_fds) (setter set_max_fds)
   *
   * How many descriptors a received message may have. With 0, the default,
   * descriptors are refused: since Linux 6.16 the sender gets an error, before
   * they are closed on arrival. A message that has more than allowed loses them
   * all, and is flagged `FDS_LOST`.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_FDS] = g_param_spec_uint ("max-fds", NULL, NULL, 0, G_MAXUINT, 0, read_write);

  /**
   * UsockChannel:max-held-fds: (getter get_max_held_fds) (setter set_max_held_fds)
   *
   * How many descriptors received messages may hold together, 0 for no limit.
   * While they hold that many, nothing is read, and the peer is held up in the
   * end; it goes on when the program takes some out of their messages, closes
   * them, or drops messages. What a handler of
   * [signal@Usock.Channel::message] leaves in them is closed at once, and holds up
   * nothing.
   *
   * Looked at before each message is read, which may have
   * [property@Usock.Channel:max-fds] more.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_HELD_FDS] = g_param_spec_uint ("max-held-fds", NULL, NULL, 0, G_MAXUINT, 0,
                                                     read_write);

  /**
   * UsockChannel:allow-half-open: (getter get_allow_half_open) (setter set_allow_half_open)
   *
   * Whether our side stays open when the peer ends. If not, what is queued is
   * sent, and the channel closes.
   *
   * Since: 1.0
   */
  properties[PROP_ALLOW_HALF_OPEN] = g_param_spec_boolean ("allow-half-open", NULL, NULL, FALSE,
                                                           read_write);

  /**
   * UsockChannel:memfd-fallback: (getter get_memfd_fallback) (setter set_memfd_fallback)
   *
   * Whether a message that is too large for the kernel, and has no descriptors,
   * is sent as the clients of the journal do: as an empty message with one
   * descriptor, a sealed memory file that has the bytes. The receiver has to
   * know of that, and to accept descriptors.
   *
   * Since: 1.0
   */
  properties[PROP_MEMFD_FALLBACK]
      = g_param_spec_boolean ("memfd-fallback", NULL, NULL, FALSE, read_write);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
usock_channel_class_init (UsockChannelClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  UsockSocketClass *socket_class = (UsockSocketClass *) class;

  object_class->constructed = usock_channel_constructed;
  object_class->finalize = usock_channel_finalize;
  object_class->get_property = usock_channel_get_property;
  object_class->set_property = usock_channel_set_property;

  socket_class->manages_options = TRUE;
  socket_class->dispatch = usock_channel_dispatch;
  socket_class->wanted = usock_channel_wanted;
  socket_class->closing = usock_channel_closing;
  socket_class->finish = usock_channel_finish;
  socket_class->orphaned = usock_channel_orphaned;
  socket_class->holds_input = usock_channel_holds_input;
  socket_class->surrender = usock_channel_surrender;
  socket_class->shutdown = usock_channel_shutdown;

  class->inlet = &usock_inlet_packets;
  class->outlet = &usock_channel_packets;
  class->prepare = usock_channel_prepare_packets;
  class->connect = usock_channel_connect_new;
  class->retry_connect = usock_channel_retry_connect;
  class->stop_connecting = usock_channel_stop_connecting;
  class->check_fds = usock_channel_check_fds;
  class->refuse = usock_channel_refuse;
  class->stalled = usock_channel_stalled;
  class->is_over = usock_channel_is_over;

  channel_install_properties (object_class);
  usock_channel_install_signals ();
}

static void
usock_channel_init (UsockChannel *self)
{
  self->approach.fd = -1;
  usock_inlet_init (&self->inlet);
  self->inlet.fell = channel_fds_fell;
  self->inlet.fell_data = &USOCK_SOCKET (self)->watch;
  usock_outlet_init (&self->outlet, self);
  self->inlet.read_buffer_size = 256 * 1024;
  self->outlet.high_water_mark = 64 * 1024;
  self->outlet.queue_limit = self->postbox.limit = 16 * 1024 * 1024;
  self->send_timeout = 30 * 1000;
  self->connect_timeout = 30 * 1000;
}

/**
 * usock_channel_get_bytes_read:
 * @self: a channel
 *
 * Gets how many bytes of payload were received. The counter
 * stays when the channel is closed, and its changes are not notified.
 *
 * Returns: the count
 *
 * Since: 1.0
 */
guint64
usock_channel_get_bytes_read (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->inlet.bytes_read;
}

/**
 * usock_channel_get_bytes_written:
 * @self: a channel
 *
 * Gets how many bytes of payload the kernel has taken. The counter
 * stays when the channel is closed, and its changes are not notified.
 *
 * Returns: the count
 *
 * Since: 1.0
 */
guint64
usock_channel_get_bytes_written (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->outlet.bytes_written;
}

/**
 * usock_channel_get_messages_read:
 * @self: a channel
 *
 * Gets how many messages were received. The counter
 * stays when the channel is closed, and its changes are not notified.
 *
 * Returns: the count
 *
 * Since: 1.0
 */
guint64
usock_channel_get_messages_read (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->inlet.messages_read;
}

/**
 * usock_channel_get_messages_written:
 * @self: a channel
 *
 * Gets how many messages the kernel has taken. The counter
 * stays when the channel is closed, and its changes are not notified.
 *
 * Returns: the count
 *
 * Since: 1.0
 */
guint64
usock_channel_get_messages_written (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->outlet.messages_written;
}

/**
 * usock_channel_get_paused: (get-property paused)
 * @self: a channel
 *
 * Gets whether delivery is paused.
 *
 * Returns: whether it is
 *
 * Since: 1.0
 */
gboolean
usock_channel_get_paused (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->paused;
}

/**
 * usock_channel_get_queued_bytes: (get-property queued-bytes)
 * @self: a channel
 *
 * Gets how much waits to be sent, in bytes, counting 256 for each message and
 * descriptor.
 *
 * Returns: the sum
 *
 * Since: 1.0
 */
guint64
usock_channel_get_queued_bytes (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->outlet.queued_cost;
}

/**
 * usock_channel_get_high_water_mark: (get-property high-water-mark)
 * @self: a channel
 *
 * Gets above how much queued [signal@Usock.Channel::drain] will follow.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
usock_channel_get_high_water_mark (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->outlet.high_water_mark;
}

/**
 * usock_channel_set_high_water_mark: (set-property high-water-mark)
 * @self: a channel
 * @high_water_mark: bytes
 *
 * Sets above how much queued [signal@Usock.Channel::drain] will follow.
 *
 * Since: 1.0
 */
void
usock_channel_set_high_water_mark (UsockChannel *self,
                                   guint64       high_water_mark)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (self->outlet.high_water_mark == high_water_mark)
    return;

  self->outlet.high_water_mark = high_water_mark;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HIGH_WATER_MARK]);
}

/**
 * usock_channel_get_queue_limit: (get-property queue-limit)
 * @self: a channel
 *
 * Gets how much may be queued.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
usock_channel_get_queue_limit (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->outlet.queue_limit;
}

/**
 * usock_channel_set_queue_limit: (set-property queue-limit)
 * @self: a channel
 * @queue_limit: bytes; 0 to queue nothing
 *
 * Sets how much may be queued.
 *
 * Since: 1.0
 */
void
usock_channel_set_queue_limit (UsockChannel *self,
                               guint64       queue_limit)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (self->outlet.queue_limit == queue_limit)
    return;

  self->outlet.queue_limit = queue_limit;
  usock_postbox_set_limit (&self->postbox, queue_limit);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_QUEUE_LIMIT]);
}

/**
 * usock_channel_get_read_buffer_size: (get-property read-buffer-size)
 * @self: a channel
 *
 * Gets the length of the longest message that is received whole.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint
usock_channel_get_read_buffer_size (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->inlet.read_buffer_size;
}

/**
 * usock_channel_set_read_buffer_size: (set-property read-buffer-size)
 * @self: a channel
 * @read_buffer_size: bytes, from 1 to 64 MiB
 *
 * Sets the length of the longest message that is received whole.
 *
 * Since: 1.0
 */
void
usock_channel_set_read_buffer_size (UsockChannel *self,
                                    guint         read_buffer_size)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  read_buffer_size = CLAMP (read_buffer_size, 1, READ_BUFFER_MAX);
  if (self->inlet.read_buffer_size == read_buffer_size)
    return;

  self->inlet.read_buffer_size = read_buffer_size;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_READ_BUFFER_SIZE]);
}

/**
 * usock_channel_get_idle_timeout: (get-property idle-timeout)
 * @self: a channel
 *
 * Gets after how long without messages [signal@Usock.Channel::timeout] comes.
 *
 * Returns: milliseconds; 0 for never
 *
 * Since: 1.0
 */
guint
usock_channel_get_idle_timeout (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->idle_timeout;
}

/**
 * usock_channel_set_idle_timeout: (set-property idle-timeout)
 * @self: a channel
 * @idle_timeout: milliseconds; 0 for never
 *
 * Sets after how long without messages [signal@Usock.Channel::timeout] comes. The
 * period starts anew.
 *
 * Since: 1.0
 */
void
usock_channel_set_idle_timeout (UsockChannel *self,
                                guint         idle_timeout)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (self->idle_timeout == idle_timeout)
    return;

  self->idle_timeout = idle_timeout;
  self->last_activity = g_get_monotonic_time ();
  self->idle_told = FALSE;
  if (usock_channel_is_connected (self))
    usock_channel_schedule (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_IDLE_TIMEOUT]);
}

/**
 * usock_channel_get_send_timeout: (get-property send-timeout)
 * @self: a channel
 *
 * Gets how long messages may wait without the peer reading anything.
 *
 * Returns: milliseconds; 0 for ever
 *
 * Since: 1.0
 */
guint
usock_channel_get_send_timeout (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->send_timeout;
}

static void
channel_note_change (UsockOutlet *outlet,
                     UsockRoute  *route,
                     gpointer     user_data)
{
  usock_outlet_note_change (outlet, route);
}

/**
 * usock_channel_set_send_timeout: (set-property send-timeout)
 * @self: a channel
 * @send_timeout: milliseconds; 0 for ever
 *
 * Sets how long messages may wait without the peer reading anything.
 *
 * Since: 1.0
 */
void
usock_channel_set_send_timeout (UsockChannel *self,
                                guint         send_timeout)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (self->send_timeout == send_timeout)
    return;

  self->send_timeout = send_timeout;
  if (usock_channel_is_connected (self))
    {
      usock_outlet_each_route (&self->outlet, channel_note_change, NULL);
      usock_channel_schedule (self);
    }
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SEND_TIMEOUT]);
}

/**
 * usock_channel_get_connect_timeout: (get-property connect-timeout)
 * @self: a channel
 *
 * Gets how long to wait for a place in a full backlog.
 *
 * Returns: milliseconds; 0 for ever
 *
 * Since: 1.0
 */
guint
usock_channel_get_connect_timeout (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->connect_timeout;
}

/**
 * usock_channel_set_connect_timeout: (set-property connect-timeout)
 * @self: a channel
 * @connect_timeout: milliseconds; 0 for ever
 *
 * Sets how long to wait for a place in a full backlog.
 *
 * Since: 1.0
 */
void
usock_channel_set_connect_timeout (UsockChannel *self,
                                   guint         connect_timeout)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  if (self->connect_timeout == connect_timeout)
    return;

  self->connect_timeout = connect_timeout;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CONNECT_TIMEOUT]);
}

/**
 * usock_channel_get_allow_half_open: (get-property allow-half-open)
 * @self: a channel
 *
 * Gets whether our side stays open when the peer ends.
 *
 * Returns: whether it does
 *
 * Since: 1.0
 */
gboolean
usock_channel_get_allow_half_open (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), 0);

  return self->allow_half_open;
}

/**
 * usock_channel_set_allow_half_open: (set-property allow-half-open)
 * @self: a channel
 * @allow_half_open: whether it should
 *
 * Sets whether our side stays open when the peer ends.
 *
 * Since: 1.0
 */
void
usock_channel_set_allow_half_open (UsockChannel *self,
                                   gboolean      allow_half_open)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  allow_half_open = !!allow_half_open;
  if (self->allow_half_open == allow_half_open)
    return;

  self->allow_half_open = allow_half_open;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_ALLOW_HALF_OPEN]);
}

/**
 * usock_channel_get_memfd_fallback: (get-property memfd-fallback)
 * @self: a channel
 *
 * Gets whether what is too large for the kernel is sent in a memory file.
 *
 * Returns: whether it is
 *
 * Since: 1.0
 */
gboolean
usock_channel_get_memfd_fallback (UsockChannel *self)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);

  return self->memfd_fallback;
}

/**
 * usock_channel_set_memfd_fallback: (set-property memfd-fallback)
 * @self: a channel
 * @memfd_fallback: whether it should
 *
 * Sets whether what is too large for the kernel is sent in a memory file.
 *
 * Since: 1.0
 */
void
usock_channel_set_memfd_fallback (UsockChannel *self,
                                  gboolean      memfd_fallback)
{
  g_return_if_fail (USOCK_IS_CHANNEL (self));
  usock_socket_return_if_not_ours (self);

  memfd_fallback = !!memfd_fallback;
  if (self->memfd_fallback == memfd_fallback)
    return;

  self->memfd_fallback = memfd_fallback;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MEMFD_FALLBACK]);
}
