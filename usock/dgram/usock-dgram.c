/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram-private.h"

#include "usock-activation-private.h"

/**
 * UsockDgram:
 *
 * Datagrams: messages without a connection, each with its sender's address.
 * `SOCK_DGRAM` of unix(7), and of udp(7) by the same calls.
 *
 * A socket that is bound receives; any may send, with
 * [method@Usock.Dgram.send_to] to anybody, or with [method@Usock.Channel.send]
 * to whom it was connected. It can be connected again, to somebody else.
 * There is no end, and a message that cannot be sent does not end the socket:
 * if it was queued and nobody waits for it,
 * [signal@Usock.Dgram::send-failed] tells.
 *
 * Addresses are text, as in [func@Usock.address_parse].
 *
 * ## Congestion
 *
 * A receiver of this machine that does not keep up is never sent over: its
 * messages wait here, in order, and hold up those of nobody else.
 * [signal@Usock.Dgram::congestion] tells when that begins, and
 * [signal@Usock.Dgram::writable] when it is over. With a
 * [property@Usock.Channel:queue-limit] of 0 nothing waits: sending fails with
 * `G_IO_ERROR_WOULD_BLOCK`, and the message stays with the caller.
 *
 * What a receiver has not read counts against our send buffer. It grows when
 * some who do not read would leave no room to others, up to twice
 * `net.core.wmem_max`, unless [property@Usock.Dgram:send-buffer-size] was set.
 *
 * To learn that such a receiver has room costs a descriptor. A socket has 16 of
 * them, and all together a sixteenth of what the process may open; whoever gets
 * none is tried again by the clock.
 *
 * To the peer messages go over the connection, also if they are sent to its
 * name, so that they keep their order.
 *
 * ## Messages that are not whole
 *
 * A message that is longer than the [property@Usock.Channel:read-buffer-size]
 * or brings more descriptors than [property@Usock.Channel:max-fds], which is
 * not 0, is given flagged to who asks for a [struct@Usock.Message]. For anybody
 * else it is dropped.
 *
 * ## One exception
 *
 * The kernel empties the receive queue of a connected socket when a send
 * fails because its peer is gone. A connected socket that can receive
 * therefore reads what is there before it sends, up to about a megabyte, and
 * delivers it later.
 *
 * Since: 1.0
 */
struct _UsockDgramClass
{
  UsockChannelClass parent_class;
};

G_DEFINE_TYPE (UsockDgram, usock_dgram, USOCK_TYPE_CHANNEL)

typedef enum
{
  PROP_MODE = 1,
  PROP_UNLINK_ON_CLOSE,
  PROP_RECEIVE_BUFFER_SIZE,
  PROP_SEND_BUFFER_SIZE,
} UsockDgramProperty;

static GParamSpec *properties[PROP_SEND_BUFFER_SIZE + 1];

/* A datagram is dropped: anybody could send it, and must not be able to close the socket. */
static void
usock_dgram_refuse (UsockChannel *channel,
                    GError       *error)
{
  usock_socket_record (USOCK_SOCKET (channel), USOCK_IO_RECEIVE, EMSGSIZE);
  g_error_free (error);
}

static void
usock_dgram_stalled (UsockChannel *channel,
                     UsockRoute   *route,
                     GError       *error)
{
  usock_outlet_drop_messages (&channel->outlet, route, error);
  g_error_free (error);
}

/* Nobody tells a datagram socket that no more will come: what is there counts. */
static gboolean
usock_dgram_is_over (UsockChannel *channel)
{
  return channel->pending.closer != NULL && !usock_channel_is_wanted (channel);
}

/* What became of messages in the network is told once, by whatever call comes next; and where none
 * does, by nothing but an event. */
static void
dgram_look_for_refusals (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  int errnum;

  if ((socket->watch.ready & USOCK_READY_HANGUP) == 0 || socket->family == AF_UNIX)
    return;

  socket->watch.ready &= ~USOCK_READY_HANGUP;
  errnum = usock_io_take_error (socket->fd);
  if (errnum != 0)
    usock_dgram_outlet.told (&USOCK_CHANNEL (self)->outlet, errnum);
}

/* What was decided in the calls since the last turn, and in this one. */
static void
usock_dgram_dispatch (UsockSocket *socket)
{
  UsockDgram *self = USOCK_DGRAM (socket);

  if (self->announce)
    {
      self->announce = FALSE;
      g_signal_emit (self, usock_dgram_signals[USOCK_DGRAM_SIGNAL_LISTENING], 0);
    }
  if (socket->state == USOCK_STATE_CLOSED)
    return;

  dgram_look_for_refusals (self);
  usock_dgram_retry (self);
  ((UsockSocketClass *) usock_dgram_parent_class)->dispatch (socket);
  usock_dgram_emit_failures (self);
  usock_dgram_check_congestion (self);
}

static void
dgram_release_path (UsockDgram *self)
{
  if (self->claim == NULL)
    return;

  if (USOCK_SOCKET (self)->given_away)
    usock_path_set_unlink (self->claim, FALSE);
  usock_path_release (g_steal_pointer (&self->claim));
}

static void
usock_dgram_closing (UsockSocket *socket)
{
  UsockDgram *self = USOCK_DGRAM (socket);

  ((UsockSocketClass *) usock_dgram_parent_class)->closing (socket);
  dgram_release_path (self);
}

static void
usock_dgram_finish (UsockSocket *socket)
{
  usock_dgram_stop_lookups (USOCK_DGRAM (socket));
  ((UsockSocketClass *) usock_dgram_parent_class)->finish (socket);
  usock_dgram_emit_failures (USOCK_DGRAM (socket));
  usock_dgram_drop_routes (USOCK_DGRAM (socket));
}

static void
usock_dgram_orphaned (UsockSocket *socket)
{
  usock_dgram_stop_lookups (USOCK_DGRAM (socket));
  ((UsockSocketClass *) usock_dgram_parent_class)->orphaned (socket);
  usock_dgram_drop_routes (USOCK_DGRAM (socket));
}

static void
usock_dgram_finalize (GObject *object)
{
  UsockDgram *self = USOCK_DGRAM (object);

  usock_dgram_free_routes (self);
  usock_dgram_forget_failures (self);
  g_clear_pointer (&self->lookups, g_hash_table_unref);

  G_OBJECT_CLASS (usock_dgram_parent_class)->finalize (object);
}

static void
usock_dgram_notify_fd (UsockSocket *socket)
{
  g_object_notify_by_pspec (G_OBJECT (socket), properties[PROP_RECEIVE_BUFFER_SIZE]);
  g_object_notify_by_pspec (G_OBJECT (socket), properties[PROP_SEND_BUFFER_SIZE]);
}

static void
usock_dgram_get_property (GObject    *object,
                          guint       property_id,
                          GValue     *value,
                          GParamSpec *pspec)
{
  UsockDgram *self = USOCK_DGRAM (object);

  switch ((UsockDgramProperty) property_id)
    {
    case PROP_MODE:
      g_value_set_uint (value, self->mode);
      break;
    case PROP_UNLINK_ON_CLOSE:
      g_value_set_boolean (value, self->unlink_on_close);
      break;
    case PROP_RECEIVE_BUFFER_SIZE:
      g_value_set_uint (value, usock_dgram_get_receive_buffer_size (self));
      break;
    case PROP_SEND_BUFFER_SIZE:
      g_value_set_uint (value, usock_dgram_get_send_buffer_size (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_dgram_set_property (GObject      *object,
                          guint         property_id,
                          const GValue *value,
                          GParamSpec   *pspec)
{
  UsockDgram *self = USOCK_DGRAM (object);

  switch ((UsockDgramProperty) property_id)
    {
    case PROP_MODE:
      usock_dgram_set_mode (self, g_value_get_uint (value));
      break;
    case PROP_UNLINK_ON_CLOSE:
      usock_dgram_set_unlink_on_close (self, g_value_get_boolean (value));
      break;
    case PROP_RECEIVE_BUFFER_SIZE:
      usock_dgram_set_receive_buffer_size (self, g_value_get_uint (value));
      break;
    case PROP_SEND_BUFFER_SIZE:
      usock_dgram_set_send_buffer_size (self, g_value_get_uint (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_dgram_class_init (UsockDgramClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  UsockSocketClass *socket_class = (UsockSocketClass *) class;
  UsockChannelClass *channel_class = (UsockChannelClass *) class;
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->finalize = usock_dgram_finalize;
  object_class->get_property = usock_dgram_get_property;
  object_class->set_property = usock_dgram_set_property;

  socket_class->dispatch = usock_dgram_dispatch;
  socket_class->closing = usock_dgram_closing;
  socket_class->finish = usock_dgram_finish;
  socket_class->orphaned = usock_dgram_orphaned;
  socket_class->notify_fd = usock_dgram_notify_fd;

  channel_class->inlet = &usock_inlet_datagrams;
  channel_class->outlet = &usock_dgram_outlet;
  channel_class->connect = usock_dgram_connect;
  channel_class->refuse = usock_dgram_refuse;
  channel_class->stalled = usock_dgram_stalled;
  channel_class->is_over = usock_dgram_is_over;

  /**
   * UsockDgram:mode: (getter get_mode) (setter set_mode)
   *
   * The permissions of the socket file, as chmod(2) has them; who may write
   * may send. Set before anybody can, whatever the umask is.
   *
   * Since: 1.0
   */
  properties[PROP_MODE] = g_param_spec_uint ("mode", NULL, NULL, 0, 07777, 0600, read_write);

  /**
   * UsockDgram:unlink-on-close: (getter get_unlink_on_close) (setter set_unlink_on_close)
   *
   * Whether the path is removed when the socket closes, or the program exits,
   * if it is still the socket's own.
   *
   * Since: 1.0
   */
  properties[PROP_UNLINK_ON_CLOSE] = g_param_spec_boolean ("unlink-on-close", NULL, NULL, TRUE,
                                                           read_write);

  /**
   * UsockDgram:receive-buffer-size: (getter get_receive_buffer_size) (setter set_receive_buffer_size)
   *
   * `SO_RCVBUF` of socket(7), in bytes. Linux doubles what is set, and does
   * not look at it for sockets of this machine, whose senders pay.
   *
   * Since: 1.0
   */
  properties[PROP_RECEIVE_BUFFER_SIZE]
      = g_param_spec_uint ("receive-buffer-size", NULL, NULL, 0, G_MAXINT, 0, read_write);

  /**
   * UsockDgram:send-buffer-size: (getter get_send_buffer_size) (setter set_send_buffer_size)
   *
   * `SO_SNDBUF` of socket(7), in bytes. Linux doubles what is set. It grows by
   * itself when a larger message is sent to a socket of this machine.
   *
   * Since: 1.0
   */
  properties[PROP_SEND_BUFFER_SIZE]
      = g_param_spec_uint ("send-buffer-size", NULL, NULL, 0, G_MAXINT, 0, read_write);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);

  usock_dgram_install_signals (channel_class);
}

static void
usock_dgram_init (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  UsockChannel *channel = USOCK_CHANNEL (self);

  socket->family = AF_UNIX;
  socket->type = SOCK_DGRAM;
  channel->inlet.read_buffer_size = USOCK_IO_MESSAGE_MAX;
  self->mode = 0600;
  self->unlink_on_close = TRUE;
  usock_dgram_init_routes (self);
}

/**
 * usock_dgram_new:
 *
 * Makes a socket that is neither bound nor connected yet. Sending from it
 * opens it.
 *
 * Returns: (transfer full): a new socket
 *
 * Since: 1.0
 */
UsockDgram *
usock_dgram_new (void)
{
  return g_object_new (USOCK_TYPE_DGRAM, NULL);
}

/* A name that is relative was so to a directory that is not known. */
static void
dgram_adopt_names (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (GSocketAddress) local = usock_io_get_local_address (socket->fd);
  g_autoptr (GSocketAddress) remote = usock_io_get_remote_address (socket->fd);
  g_autofree char *local_text = local != NULL ? usock_address_to_string (local) : NULL;
  g_autofree char *text = remote != NULL ? usock_address_to_string (remote) : NULL;

  self->bound = local == NULL || local_text != NULL;
  self->connected = !usock_io_peer_is_missing (socket->fd);
  self->paired = self->connected;
  usock_dgram_check_stows (self);
  if (text == NULL || (socket->family == AF_UNIX && text[0] != '/' && text[0] != '@'))
    return;

  USOCK_CHANNEL (self)->approach.target = usock_name_new_for_address (remote, NULL);
  if (USOCK_CHANNEL (self)->approach.target == NULL)
    return;
  usock_socket_set_label (socket, text);
}

/**
 * usock_dgram_new_from_fd:
 * @fd: a descriptor; the socket's on success, else still the caller's
 * @error: return location for an error
 *
 * Makes a socket of a descriptor that was inherited or received, bound or
 * connected or neither. Its flags stay as they are, and its path is not
 * removed on close.
 *
 * Descriptors are refused from now on, until [property@Usock.Channel:max-fds] lets them in: a peer
 * that may send some at once should be told when that is done.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open, or no datagram
 * socket.
 *
 * Returns: (transfer full): a new socket, which is open
 *
 * Since: 1.0
 */
UsockDgram *
usock_dgram_new_from_fd (gint     fd,
                         GError **error)
{
  g_autoptr (UsockDgram) self = usock_dgram_new ();
  int family = AF_UNIX;

  /* The family of the descriptor decides; whatever is wrong with it is found below. */
  usock_io_get_option (fd, SOL_SOCKET, SO_DOMAIN, &family);
  USOCK_SOCKET (self)->family = family;
  if (!usock_channel_adopt (USOCK_CHANNEL (self), fd, error))
    return NULL;

  dgram_adopt_names (self);
  return g_steal_pointer (&self);
}

/**
 * usock_dgram_new_activated: (constructor)
 * @name: (nullable): what the service manager named the socket, `FileDescriptorName=` in
 *   systemd.socket(5); %NULL for the first datagram socket
 * @error: return location for an error
 *
 * Makes a socket of one that the service manager made and passed when it started
 * this program, see sd_listen_fds(3). Messages that came before are waiting
 * there. Its path is not removed on close. If several have that name, each call
 * takes another one.
 *
 * For what becomes of the environment see [method@Usock.Server.listen_activated].
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if none was passed, or none of that name is
 * left, with `G_IO_ERROR_INVALID_ARGUMENT` if none of those is a datagram socket,
 * and with the errors of [ctor@Usock.Dgram.new_from_fd]. The socket may be taken
 * again then.
 *
 * Returns: (transfer full): a new socket, which is open
 *
 * Since: 1.0
 */
UsockDgram *
usock_dgram_new_activated (const char  *name,
                           GError     **error)
{
  int fd = usock_activation_take (name, SOCK_DGRAM, USOCK_ACTIVATION_ANY, error);
  UsockDgram *self;

  if (fd == -1)
    return NULL;

  self = usock_dgram_new_from_fd (fd, error);
  usock_activation_settle (fd, self != NULL);
  return self;
}

/**
 * usock_dgram_new_pair:
 * @first: (out) (transfer full): one end
 * @second: (out) (transfer full): the other end
 * @error: return location for an error
 *
 * Makes two sockets that are connected to each other, see socketpair(2).
 * Fails if the process may open no more descriptors.
 *
 * Returns: whether they were made
 *
 * Since: 1.0
 */
gboolean
usock_dgram_new_pair (UsockDgram **first,
                      UsockDgram **second,
                      GError     **error)
{
  g_autoptr (UsockDgram) one = usock_dgram_new ();
  g_autoptr (UsockDgram) other = usock_dgram_new ();

  g_return_val_if_fail (first != NULL && second != NULL, FALSE);

  if (!usock_channel_pair (USOCK_CHANNEL (one), USOCK_CHANNEL (other), error))
    return FALSE;

  dgram_adopt_names (one);
  dgram_adopt_names (other);
  *first = g_steal_pointer (&one);
  *second = g_steal_pointer (&other);
  return TRUE;
}

/**
 * usock_dgram_get_mode: (get-property mode)
 * @self: a socket
 *
 * Gets the permissions of the socket file, for the next time it is bound.
 *
 * Returns: permission bits
 *
 * Since: 1.0
 */
guint
usock_dgram_get_mode (UsockDgram *self)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);

  return self->mode;
}

/**
 * usock_dgram_set_mode: (set-property mode)
 * @self: a socket
 * @mode: permission bits
 *
 * Sets the permissions of the socket file, for the next time it is bound.
 *
 * Since: 1.0
 */
void
usock_dgram_set_mode (UsockDgram *self,
                      guint       mode)
{
  g_return_if_fail (USOCK_IS_DGRAM (self));
  usock_socket_return_if_not_ours (self);

  mode &= 07777;
  if (self->mode == mode)
    return;

  self->mode = mode;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MODE]);
}

/**
 * usock_dgram_get_unlink_on_close: (get-property unlink-on-close)
 * @self: a socket
 *
 * Gets whether the path is removed when the socket closes.
 *
 * Returns: whether to remove it
 *
 * Since: 1.0
 */
gboolean
usock_dgram_get_unlink_on_close (UsockDgram *self)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);

  return self->unlink_on_close;
}

/**
 * usock_dgram_set_unlink_on_close: (set-property unlink-on-close)
 * @self: a socket
 * @unlink_on_close: whether to remove it
 *
 * Sets whether the path is removed when the socket closes.
 *
 * Since: 1.0
 */
void
usock_dgram_set_unlink_on_close (UsockDgram *self,
                                 gboolean    unlink_on_close)
{
  g_return_if_fail (USOCK_IS_DGRAM (self));
  usock_socket_return_if_not_ours (self);

  unlink_on_close = !!unlink_on_close;
  if (self->unlink_on_close == unlink_on_close)
    return;

  self->unlink_on_close = unlink_on_close;
  if (self->claim != NULL)
    usock_path_set_unlink (self->claim, unlink_on_close);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_UNLINK_ON_CLOSE]);
}

/**
 * usock_dgram_get_receive_buffer_size: (get-property receive-buffer-size)
 * @self: a socket
 *
 * Gets `SO_RCVBUF`, as the kernel has it.
 *
 * Returns: bytes; what was set while there is no descriptor, 0 for the system's default
 *
 * Since: 1.0
 */
guint
usock_dgram_get_receive_buffer_size (UsockDgram *self)
{
  int size;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);

  if (USOCK_SOCKET (self)->fd != -1
      && usock_io_get_option (USOCK_SOCKET (self)->fd, SOL_SOCKET, SO_RCVBUF, &size) == 0)
    return size;

  return self->receive_buffer_size;
}

/**
 * usock_dgram_set_receive_buffer_size: (set-property receive-buffer-size)
 * @self: a socket
 * @receive_buffer_size: bytes
 *
 * Sets `SO_RCVBUF`, now or when the socket is opened. The kernel doubles it, and
 * goes up to `net.core.rmem_max`.
 *
 * Since: 1.0
 */
void
usock_dgram_set_receive_buffer_size (UsockDgram *self,
                                     guint       receive_buffer_size)
{
  guint before;

  g_return_if_fail (USOCK_IS_DGRAM (self));
  usock_socket_return_if_not_ours (self);

  before = usock_dgram_get_receive_buffer_size (self);
  self->receive_buffer_size = MIN (receive_buffer_size, G_MAXINT);
  usock_dgram_apply_buffer_sizes (self);
  if (usock_dgram_get_receive_buffer_size (self) != before)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_RECEIVE_BUFFER_SIZE]);
}

/**
 * usock_dgram_get_send_buffer_size: (get-property send-buffer-size)
 * @self: a socket
 *
 * Gets `SO_SNDBUF`, as the kernel has it.
 *
 * Returns: bytes; what was set while there is no descriptor, 0 for the system's default
 *
 * Since: 1.0
 */
guint
usock_dgram_get_send_buffer_size (UsockDgram *self)
{
  int size;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), 0);

  if (USOCK_SOCKET (self)->fd != -1
      && usock_io_get_option (USOCK_SOCKET (self)->fd, SOL_SOCKET, SO_SNDBUF, &size) == 0)
    return size;

  return self->send_buffer_size;
}

/**
 * usock_dgram_set_send_buffer_size: (set-property send-buffer-size)
 * @self: a socket
 * @send_buffer_size: bytes
 *
 * Sets `SO_SNDBUF`, now or when the socket is opened. The kernel doubles it, and
 * goes up to `net.core.wmem_max`.
 *
 * Since: 1.0
 */
void
usock_dgram_set_send_buffer_size (UsockDgram *self,
                                  guint       send_buffer_size)
{
  guint before;

  g_return_if_fail (USOCK_IS_DGRAM (self));
  usock_socket_return_if_not_ours (self);

  before = usock_dgram_get_send_buffer_size (self);
  self->send_buffer_size = MIN (send_buffer_size, G_MAXINT);
  usock_dgram_apply_buffer_sizes (self);
  if (usock_dgram_get_send_buffer_size (self) != before)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SEND_BUFFER_SIZE]);
}
