/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "usock-activation-private.h"

/**
 * UsockStream:
 *
 * A connection over which bytes travel in order: `SOCK_STREAM` of unix(7), and
 * tcp(7) by the same calls.
 *
 * Messages have no borders here: the pieces that come are not those that were
 * sent. [signal@Usock.Channel::data] and
 * [method@Usock.Channel.receive_async] take pieces as they come, up to
 * [property@Usock.Channel:read-buffer-size] each;
 * [method@Usock.Stream.receive_exactly_async],
 * [method@Usock.Stream.receive_line_async] and
 * [method@Usock.Stream.receive_text_async] take what a protocol is made of.
 *
 * ```c
 * UsockStream *stream = usock_stream_new ();
 *
 * if (!usock_channel_connect_to_path (USOCK_CHANNEL (stream), path, &error)
 *     || !usock_channel_send_text (USOCK_CHANNEL (stream), "hello\n", &error))
 *   g_printerr ("%s\n", error->message);
 * usock_stream_receive_line_async (stream, NULL, line_received, NULL);
 * ```
 *
 * ## Descriptors
 *
 * On this machine descriptors travel with the first byte of the message that
 * they are sent with, and are received in order, with a piece that has that
 * byte in it and ends before the next such message. A protocol should
 * therefore say how many descriptors belong to what. Where some are lost on
 * the way, because the process may open no more or more come than
 * [property@Usock.Channel:max-fds] allows, the stream fails with
 * `G_IO_ERROR_MESSAGE_TOO_LARGE`: the rest could not be told apart.
 *
 * ## Bytes that are out of band
 *
 * `MSG_OOB` of the peer is taken in line, as `SO_OOBINLINE` has it.
 *
 * Since: 1.0
 */
struct _UsockStreamClass
{
  UsockChannelClass parent_class;
};

G_DEFINE_TYPE (UsockStream, usock_stream, USOCK_TYPE_CHANNEL)

typedef enum
{
  PROP_NO_DELAY = 1,
  PROP_KEEP_ALIVE,
  PROP_KEEP_ALIVE_DELAY,
  PROP_BIND_ADDRESS,
  PROP_ATTEMPT_DELAY,
} UsockStreamProperty;

static GParamSpec *properties[PROP_ATTEMPT_DELAY + 1];

/* What the socket cannot do it need not be told; who asks for it knows that it is TCP. The kernel
 * counts the delay in seconds. */
/* A byte that is out of band would be missing, were it not taken in line. */
static int
usock_stream_prepare (UsockChannel *channel,
                      int           fd)
{
  UsockStream *self = USOCK_STREAM (channel);
  int result = usock_io_set_option (fd, SOL_SOCKET, SO_OOBINLINE, TRUE);

  if (result < 0 || USOCK_SOCKET (self)->family == AF_UNIX)
    return result;

  usock_io_set_option (fd, IPPROTO_TCP, TCP_NODELAY, self->no_delay);
  usock_io_set_option (fd, SOL_SOCKET, SO_KEEPALIVE, self->keep_alive);
  if (self->keep_alive_delay > 0)
    usock_io_set_option (fd, IPPROTO_TCP, TCP_KEEPIDLE,
                         MIN ((self->keep_alive_delay - 1) / 1000 + 1, 32767));
  return 0;
}

/* The kernel would take a message without bytes, and drop the descriptors. */
static gboolean
usock_stream_check_fds (UsockChannel  *channel,
                        gsize          length,
                        GError       **error)
{
  if (!((UsockChannelClass *) usock_stream_parent_class)->check_fds (channel, length, error))
    return FALSE;
  if (length > 0)
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _("Could not send to “%s”: on a stream descriptors need a byte to go with"),
               usock_channel_peer (channel));
  return FALSE;
}

static void
stream_changed (UsockStream         *self,
                UsockStreamProperty  property)
{
  int fd = USOCK_SOCKET (self)->fd;

  if (fd != -1)
    usock_stream_prepare (USOCK_CHANNEL (self), fd);
  g_object_notify_by_pspec (G_OBJECT (self), properties[property]);
}

/* Only a forked child comes here while it connects, with what is its parent's. */
static void
usock_stream_finalize (GObject *object)
{
  UsockStream *self = USOCK_STREAM (object);

  usock_stream_stop_connecting (USOCK_CHANNEL (self));
  g_clear_object (&self->bind_address);

  G_OBJECT_CLASS (usock_stream_parent_class)->finalize (object);
}

static void
usock_stream_get_property (GObject    *object,
                           guint       property_id,
                           GValue     *value,
                           GParamSpec *pspec)
{
  UsockStream *self = USOCK_STREAM (object);

  switch ((UsockStreamProperty) property_id)
    {
    case PROP_NO_DELAY:
      g_value_set_boolean (value, self->no_delay);
      break;
    case PROP_KEEP_ALIVE:
      g_value_set_boolean (value, self->keep_alive);
      break;
    case PROP_KEEP_ALIVE_DELAY:
      g_value_set_uint (value, self->keep_alive_delay);
      break;
    case PROP_BIND_ADDRESS:
      g_value_set_object (value, self->bind_address);
      break;
    case PROP_ATTEMPT_DELAY:
      g_value_set_uint (value, self->attempt_delay);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_stream_set_property (GObject      *object,
                           guint         property_id,
                           const GValue *value,
                           GParamSpec   *pspec)
{
  UsockStream *self = USOCK_STREAM (object);

  switch ((UsockStreamProperty) property_id)
    {
    case PROP_NO_DELAY:
      usock_stream_set_no_delay (self, g_value_get_boolean (value));
      break;
    case PROP_KEEP_ALIVE:
      usock_stream_set_keep_alive (self, g_value_get_boolean (value));
      break;
    case PROP_KEEP_ALIVE_DELAY:
      usock_stream_set_keep_alive_delay (self, g_value_get_uint (value));
      break;
    case PROP_BIND_ADDRESS:
      usock_stream_set_bind_address (self, g_value_get_object (value));
      break;
    case PROP_ATTEMPT_DELAY:
      usock_stream_set_attempt_delay (self, g_value_get_uint (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_stream_class_init (UsockStreamClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  UsockChannelClass *channel_class = (UsockChannelClass *) class;
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->finalize = usock_stream_finalize;
  object_class->get_property = usock_stream_get_property;
  object_class->set_property = usock_stream_set_property;

  channel_class->inlet = &usock_inlet_bytes;
  channel_class->outlet = &usock_channel_bytes;
  channel_class->prepare = usock_stream_prepare;
  channel_class->check_fds = usock_stream_check_fds;
  channel_class->connect = usock_stream_connect;
  channel_class->retry_connect = usock_stream_retry_connect;
  channel_class->stop_connecting = usock_stream_stop_connecting;
  channel_class->assemble = usock_stream_assemble;
  channel_class->give_back = usock_stream_give_back;

  /**
   * UsockStream:no-delay: (getter get_no_delay) (setter set_no_delay)
   *
   * Whether small pieces leave at once instead of waiting for more, see
   * `TCP_NODELAY` in tcp(7). On sockets of this machine they always do.
   *
   * Since: 1.0
   */
  properties[PROP_NO_DELAY] = g_param_spec_boolean ("no-delay", NULL, NULL, FALSE, read_write);

  /**
   * UsockStream:keep-alive: (getter get_keep_alive) (setter set_keep_alive)
   *
   * Whether TCP asks an idle peer whether it is still there, see
   * `SO_KEEPALIVE` in socket(7).
   *
   * Since: 1.0
   */
  properties[PROP_KEEP_ALIVE] = g_param_spec_boolean ("keep-alive", NULL, NULL, FALSE, read_write);

  /**
   * UsockStream:keep-alive-delay: (getter get_keep_alive_delay) (setter set_keep_alive_delay)
   *
   * After how many milliseconds of silence TCP asks for the first time, in
   * whole seconds, see `TCP_KEEPIDLE` in tcp(7). With 0 the system decides.
   *
   * Since: 1.0
   */
  properties[PROP_KEEP_ALIVE_DELAY]
      = g_param_spec_uint ("keep-alive-delay", NULL, NULL, 0, G_MAXUINT, 0, read_write);

  /**
   * UsockStream:bind-address: (getter get_bind_address) (setter set_bind_address)
   *
   * The internet address from which to connect, with port 0 for any; %NULL
   * for what the system picks. Sockets of this machine have no use for it.
   *
   * Since: 1.0
   */
  properties[PROP_BIND_ADDRESS]
      = g_param_spec_object ("bind-address", NULL, NULL, G_TYPE_INET_SOCKET_ADDRESS, read_write);

  /**
   * UsockStream:attempt-delay: (getter get_attempt_delay) (setter set_attempt_delay)
   *
   * How many milliseconds one address of a host has for itself before the next is tried as well,
   * 0 for all at once.
   *
   * Since: 1.0
   */
  properties[PROP_ATTEMPT_DELAY] = g_param_spec_uint ("attempt-delay", NULL, NULL, 0, G_MAXUINT,
                                                      USOCK_CONNECTOR_DELAY, read_write);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);

  usock_stream_add_signals ();
}

static void
usock_stream_init (UsockStream *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  socket->family = AF_UNIX;
  socket->type = SOCK_STREAM;
  self->attempt_delay = USOCK_CONNECTOR_DELAY;
}

/**
 * usock_stream_new:
 *
 * Makes a stream that is not connected yet.
 *
 * Returns: (transfer full): a new stream
 *
 * Since: 1.0
 */
UsockStream *
usock_stream_new (void)
{
  return g_object_new (USOCK_TYPE_STREAM, NULL);
}

/**
 * usock_stream_new_from_fd:
 * @fd: a connected descriptor; the stream's on success, else still the caller's
 * @error: return location for an error
 *
 * Makes a stream of a descriptor that was inherited or received: of this
 * machine, or a TCP connection. Its flags stay as they are; no
 * [signal@Usock.Channel::connect] is emitted.
 *
 * Descriptors are refused from now on, until [property@Usock.Channel:max-fds] lets them in: a peer
 * that may send some at once should be told when that is done.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open, no socket, or of
 * another type, and with `G_IO_ERROR_NOT_CONNECTED` if it listens or has no peer.
 *
 * Returns: (transfer full): a new stream, which is open
 *
 * Since: 1.0
 */
UsockStream *
usock_stream_new_from_fd (gint     fd,
                          GError **error)
{
  g_autoptr (UsockStream) self = usock_stream_new ();
  int family = AF_UNIX;

  /* The family of the descriptor decides; whatever is wrong with it is found below. */
  usock_io_get_option (fd, SOL_SOCKET, SO_DOMAIN, &family);
  USOCK_SOCKET (self)->family = family;
  if (!usock_channel_adopt (USOCK_CHANNEL (self), fd, error))
    return NULL;

  return g_steal_pointer (&self);
}

/**
 * usock_stream_new_from_bound_fd:
 * @fd: a descriptor that is not connected; the stream's on success, else still the caller's
 * @error: return location for an error
 *
 * Makes a stream of a socket of this machine that is bound to a name of its own and not connected
 * yet, for [method@Usock.Channel.connect_to_path] and the like to connect: the server then sees
 * that name. If connecting fails at once, the stream keeps the descriptor, and may try again. The
 * descriptor no longer blocks.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open, no socket, or of another family or
 * type, and with `G_IO_ERROR_EXISTS` if it listens or has a peer.
 *
 * Returns: (transfer full): a new stream, which is not connected yet
 *
 * Since: 1.0
 */
UsockStream *
usock_stream_new_from_bound_fd (gint     fd,
                                GError **error)
{
  g_autoptr (UsockStream) self = usock_stream_new ();

  if (!usock_channel_adopt_bound (USOCK_CHANNEL (self), fd, error))
    return NULL;

  return g_steal_pointer (&self);
}

/**
 * usock_stream_new_activated: (constructor)
 * @name: (nullable): what the service manager named the socket, `FileDescriptorName=` in
 *   systemd.socket(5); %NULL for the first one of this type
 * @error: return location for an error
 *
 * Makes a stream of the connection that the service manager accepted and passed
 * when it started this program for it: `Accept=yes` in systemd.socket(5). If
 * several have that name, each call takes another one.
 *
 * For what becomes of the environment see [method@Usock.Server.listen_activated].
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if none was passed, or none of that name is
 * left, with `G_IO_ERROR_INVALID_ARGUMENT` if none of those is a connection of
 * this type, and with the errors of [ctor@Usock.Stream.new_from_fd]. The socket may be taken
 * again then.
 *
 * Returns: (transfer full): a new stream, which is open
 *
 * Since: 1.0
 */
UsockStream *
usock_stream_new_activated (const char  *name,
                            GError     **error)
{
  int fd = usock_activation_take (name, SOCK_STREAM, USOCK_ACTIVATION_CONNECTION, error);
  UsockStream *self;

  if (fd == -1)
    return NULL;

  self = usock_stream_new_from_fd (fd, error);
  usock_activation_settle (fd, self != NULL);
  return self;
}

/**
 * usock_stream_new_for_name: (constructor)
 * @name: what the service is known by, `org.example.App` for one; no path
 * @error: return location for an error
 *
 * Makes a stream that is connected to a service of the same user, or is
 * connecting, as with [method@Usock.Channel.connect_to_name], and with the same
 * errors. What is sent at once is not lost.
 *
 * Returns: (transfer full): a new stream
 *
 * Since: 1.0
 */
UsockStream *
usock_stream_new_for_name (const char  *name,
                           GError     **error)
{
  g_autoptr (UsockStream) self = usock_stream_new ();

  g_return_val_if_fail (name != NULL, NULL);

  if (!usock_channel_connect_to_name (USOCK_CHANNEL (self), name, error))
    return NULL;

  return g_steal_pointer (&self);
}

/**
 * usock_stream_new_pair:
 * @first: (out) (transfer full): one end
 * @second: (out) (transfer full): the other end
 * @error: return location for an error
 *
 * Makes two streams that are connected to each other, see socketpair(2).
 * Fails if the process may open no more descriptors.
 *
 * Returns: whether they were made
 *
 * Since: 1.0
 */
gboolean
usock_stream_new_pair (UsockStream **first,
                       UsockStream **second,
                       GError      **error)
{
  g_autoptr (UsockStream) one = usock_stream_new ();
  g_autoptr (UsockStream) other = usock_stream_new ();

  g_return_val_if_fail (first != NULL && second != NULL, FALSE);

  if (!usock_channel_pair (USOCK_CHANNEL (one), USOCK_CHANNEL (other), error))
    return FALSE;

  *first = g_steal_pointer (&one);
  *second = g_steal_pointer (&other);
  return TRUE;
}

/**
 * usock_stream_steal_connection:
 * @self: a connected stream
 * @unread: (out) (optional) (nullable) (transfer full): what was read from the connection and not
 *   received yet; %NULL if there is nothing
 * @error: return location for an error
 *
 * Takes the connection away from the stream, for what works on a [class@Gio.IOStream] and may do
 * so from threads of its own: [class@Gio.TlsConnection], [class@Gio.DBusConnection] and others. It
 * is a [class@Gio.UnixConnection], which passes descriptors, or a [class@Gio.TcpConnection].
 *
 * The stream closes at once, as [method@Usock.Socket.steal_fd] describes, and fails with the same
 * errors. Usually a connection is taken before anything was received from it, and there is nothing
 * unread:
 *
 * ```c
 * static void
 * connection_cb (UsockServer *server, UsockChannel *channel, gpointer user_data)
 * {
 *   g_autoptr (GError) error = NULL;
 *   g_autoptr (GSocketConnection) connection
 *       = usock_stream_steal_connection (USOCK_STREAM (channel), NULL, &error);
 *
 *   if (connection != NULL)
 *     serve (G_IO_STREAM (connection));
 * }
 * ```
 *
 * Returns: (transfer full): the connection
 *
 * Since: 1.0
 */
GSocketConnection *
usock_stream_steal_connection (UsockStream  *self,
                               GBytes      **unread,
                               GError      **error)
{
  GSocketConnection *connection;

  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  if (!usock_socket_surrender (USOCK_SOCKET (self), unread, error))
    return NULL;

  connection = usock_io_new_connection (USOCK_SOCKET (self)->fd, error);
  if (connection == NULL)
    {
      if (unread != NULL)
        g_clear_pointer (unread, g_bytes_unref);
      return NULL;
    }

  usock_socket_give_away (USOCK_SOCKET (self));
  return connection;
}

/**
 * usock_stream_cork:
 * @self: a stream
 *
 * Holds back what waits and what is sent from now on, so that many small
 * messages leave in few pieces. [method@Usock.Stream.uncork] lets it go, once
 * for each call of this; so do [method@Usock.Channel.end] and
 * [method@Usock.Socket.close], after which this does nothing. Meanwhile the
 * [property@Usock.Channel:queue-limit] holds as always.
 *
 * Since: 1.0
 */
void
usock_stream_cork (UsockStream *self)
{
  g_return_if_fail (USOCK_IS_STREAM (self));
  usock_socket_return_if_not_ours (self);

  if (!USOCK_CHANNEL (self)->ending)
    USOCK_CHANNEL (self)->outlet.n_corks++;
}

/**
 * usock_stream_uncork:
 * @self: a stream
 *
 * Sends what [method@Usock.Stream.cork] held back, after as many calls.
 *
 * Since: 1.0
 */
void
usock_stream_uncork (UsockStream *self)
{
  UsockChannel *channel;

  g_return_if_fail (USOCK_IS_STREAM (self));
  usock_socket_return_if_not_ours (self);

  channel = USOCK_CHANNEL (self);
  if (channel->outlet.n_corks == 0 || --channel->outlet.n_corks > 0)
    return;

  channel->outlet.route->stalled_since = g_get_monotonic_time ();
  if (channel->outlet.n_queued > 0 && usock_channel_is_connected (channel))
    usock_channel_flush (channel, FALSE);
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

/**
 * usock_stream_reset:
 * @self: a stream
 *
 * Closes the stream at once, and throws away what waits to be sent and what
 * was not received. [signal@Usock.Socket::close] follows, without an error.
 *
 * Over TCP the peer's next call fails, with `ECONNRESET` as a rule. On this
 * machine it does so only if the peer had sent something that was not
 * received here; else the peer sees the end.
 *
 * Since: 1.0
 */
void
usock_stream_reset (UsockStream *self)
{
  UsockSocket *socket;
  g_autoptr (GError) error = NULL;

  g_return_if_fail (USOCK_IS_STREAM (self));

  socket = USOCK_SOCKET (self);
  if (!usock_socket_may_close (socket, G_STRFUNC))
    return;
  if (socket->fd != -1 && usock_socket_check (socket, NULL))
    {
      g_set_error (&error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                   _("The connection to “%s” was closed by this program"),
                   usock_channel_peer (USOCK_CHANNEL (self)));
      usock_outlet_drop_all (&USOCK_CHANNEL (self)->outlet, error);
      usock_io_set_abort (socket->fd);
    }
  usock_socket_close (socket);
}

/**
 * usock_stream_get_no_delay: (get-property no-delay)
 * @self: a stream
 *
 * Gets whether small pieces leave at once.
 *
 * Returns: whether they do
 *
 * Since: 1.0
 */
gboolean
usock_stream_get_no_delay (UsockStream *self)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);

  return self->no_delay;
}

/**
 * usock_stream_set_no_delay: (set-property no-delay)
 * @self: a stream
 * @no_delay: whether they do
 *
 * Sets whether small pieces leave at once, now or when the stream is
 * connected.
 *
 * Since: 1.0
 */
void
usock_stream_set_no_delay (UsockStream *self,
                           gboolean     no_delay)
{
  g_return_if_fail (USOCK_IS_STREAM (self));
  usock_socket_return_if_not_ours (self);

  no_delay = !!no_delay;
  if (self->no_delay == no_delay)
    return;

  self->no_delay = no_delay;
  stream_changed (self, PROP_NO_DELAY);
}

/**
 * usock_stream_get_keep_alive: (get-property keep-alive)
 * @self: a stream
 *
 * Gets whether TCP asks an idle peer whether it is still there.
 *
 * Returns: whether it does
 *
 * Since: 1.0
 */
gboolean
usock_stream_get_keep_alive (UsockStream *self)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);

  return self->keep_alive;
}

/**
 * usock_stream_set_keep_alive: (set-property keep-alive)
 * @self: a stream
 * @keep_alive: whether it does
 *
 * Sets whether TCP asks an idle peer whether it is still there, now or when
 * the stream is connected.
 *
 * Since: 1.0
 */
void
usock_stream_set_keep_alive (UsockStream *self,
                             gboolean     keep_alive)
{
  g_return_if_fail (USOCK_IS_STREAM (self));
  usock_socket_return_if_not_ours (self);

  keep_alive = !!keep_alive;
  if (self->keep_alive == keep_alive)
    return;

  self->keep_alive = keep_alive;
  stream_changed (self, PROP_KEEP_ALIVE);
}

/**
 * usock_stream_get_keep_alive_delay: (get-property keep-alive-delay)
 * @self: a stream
 *
 * Gets after how much silence TCP asks for the first time.
 *
 * Returns: milliseconds; 0 for what the system has
 *
 * Since: 1.0
 */
guint
usock_stream_get_keep_alive_delay (UsockStream *self)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), 0);

  return self->keep_alive_delay;
}

/**
 * usock_stream_set_keep_alive_delay: (set-property keep-alive-delay)
 * @self: a stream
 * @keep_alive_delay: milliseconds; 0 for what the system has
 *
 * Sets after how much silence TCP asks for the first time.
 *
 * Since: 1.0
 */
void
usock_stream_set_keep_alive_delay (UsockStream *self,
                                   guint        keep_alive_delay)
{
  g_return_if_fail (USOCK_IS_STREAM (self));
  usock_socket_return_if_not_ours (self);

  if (self->keep_alive_delay == keep_alive_delay)
    return;

  self->keep_alive_delay = keep_alive_delay;
  stream_changed (self, PROP_KEEP_ALIVE_DELAY);
}

/**
 * usock_stream_get_bind_address: (get-property bind-address)
 * @self: a stream
 *
 * Gets from where to connect.
 *
 * Returns: (nullable) (transfer none): an internet address; %NULL for what the system picks
 *
 * Since: 1.0
 */
GInetSocketAddress *
usock_stream_get_bind_address (UsockStream *self)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  return self->bind_address;
}

/**
 * usock_stream_set_bind_address: (set-property bind-address)
 * @self: a stream
 * @address: (nullable) (transfer none): an internet address; %NULL for what the system picks
 *
 * Sets from where to connect the next time. Connecting then uses addresses of
 * that family only, and fails with `G_IO_ERROR_ADDRESS_IN_USE` if the port is
 * taken, with `G_IO_ERROR_FAILED` if this machine has no such address. Once the
 * stream is connected, [property@Usock.Socket:local-address] tells the port.
 *
 * Since: 1.0
 */
void
usock_stream_set_bind_address (UsockStream        *self,
                               GInetSocketAddress *address)
{
  g_return_if_fail (USOCK_IS_STREAM (self));
  g_return_if_fail (address == NULL || G_IS_INET_SOCKET_ADDRESS (address));
  usock_socket_return_if_not_ours (self);

  if (g_set_object (&self->bind_address, address))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_BIND_ADDRESS]);
}

/**
 * usock_stream_get_attempt_delay: (get-property attempt-delay)
 * @self: a stream
 *
 * Gets how long one address of a host has for itself.
 *
 * Returns: milliseconds
 *
 * Since: 1.0
 */
guint
usock_stream_get_attempt_delay (UsockStream *self)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), 0);

  return self->attempt_delay;
}

/**
 * usock_stream_set_attempt_delay: (set-property attempt-delay)
 * @self: a stream
 * @attempt_delay: milliseconds; 0 to try all at once
 *
 * Sets how long one address of a host has for itself, the next time the stream connects.
 *
 * Since: 1.0
 */
void
usock_stream_set_attempt_delay (UsockStream *self,
                                guint        attempt_delay)
{
  g_return_if_fail (USOCK_IS_STREAM (self));
  usock_socket_return_if_not_ours (self);

  if (self->attempt_delay == attempt_delay)
    return;

  self->attempt_delay = attempt_delay;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_ATTEMPT_DELAY]);
}

/**
 * usock_stream_bind_to_path:
 * @self: a new stream
 * @path: (type filename): a path that does not exist yet; `@name` for an abstract name, in which
 *   `\\` stands for a backslash and `\xHH` for a byte
 * @error: return location for an error
 *
 * Gives the socket a name of its own before it connects to one of this machine, for servers that
 * want to know who comes: they see it as [property@Usock.Socket:remote-address]. A path may be as
 * long as the file system allows, is for this user only, and goes when the stream is closed.
 *
 * Fails with `G_IO_ERROR_ADDRESS_IN_USE` if somebody has the name, with `G_IO_ERROR_EXISTS` if the
 * stream has one already, with `G_IO_ERROR_NOT_FOUND` if there is no such directory, and with others
 * of bind(2).
 *
 * Returns: whether the socket has the name
 *
 * Since: 1.0
 */
gboolean
usock_stream_bind_to_path (UsockStream  *self,
                           const char   *path,
                           GError      **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  return usock_channel_bind (USOCK_CHANNEL (self), usock_name_new_for_path (path, error), error);
}
