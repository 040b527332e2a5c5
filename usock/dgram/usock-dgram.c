/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram-private.h"

#include <errno.h>

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
 * therefore reads everything before it sends, and delivers it later.
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
guint usock_dgram_signals[USOCK_DGRAM_N_SIGNALS];

static void
dgram_apply_buffer_sizes (UsockDgram *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  if (socket->fd == -1)
    return;
  if (self->receive_buffer_size > 0)
    usock_io_set_option (socket->fd, SOL_SOCKET, SO_RCVBUF, self->receive_buffer_size);
  if (self->send_buffer_size > 0)
    usock_io_set_option (socket->fd, SOL_SOCKET, SO_SNDBUF, self->send_buffer_size);
}

static gboolean
dgram_knows_family (int family)
{
  return family == AF_UNIX || family == AF_INET || family == AF_INET6;
}

/* The first use decides the family. */
gboolean
usock_dgram_open (UsockDgram  *self,
            int          family,
            const char  *label,
            GError     **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  int fd, result;

  if (!usock_socket_check (socket, error))
    return FALSE;
  if (socket->fd != -1 ? socket->family != family : !dgram_knows_family (family))
    {
      usock_error_set_errno (error, EAFNOSUPPORT, _("Could not use “%s” as an address"), label);
      return FALSE;
    }
  if (socket->fd != -1)
    return TRUE;

  fd = usock_io_socket (family, SOCK_DGRAM, 0);
  if (fd < 0)
    {
      usock_socket_record (socket, USOCK_IO_SOCKET, -fd);
      usock_error_set_errno (error, -fd, _("Could not open a datagram socket"));
      return FALSE;
    }

  socket->family = family;
  if (!usock_socket_start (socket, fd, FALSE, error))
    g_assert_not_reached ();
  result = usock_channel_prepare_fd (USOCK_CHANNEL (self), fd);
  if (result < 0)
    usock_error_set_errno (error, -result, _("Could not open a datagram socket"));
  if (result < 0 || !usock_socket_watch (socket, error))
    {
      usock_socket_retreat (socket);
      return FALSE;
    }

  dgram_apply_buffer_sizes (self);
  usock_channel_opened (USOCK_CHANNEL (self));
  return TRUE;
}

/* Whoever is connected, and can receive, may lose what came when a send fails. */
static void
dgram_check_stows (UsockDgram *self)
{
  self->stows = USOCK_SOCKET (self)->family == AF_UNIX && self->connected
                && (self->bound || self->paired);
}

/* Connecting again empties the receive queue too. */
static gboolean
usock_dgram_connect (UsockChannel  *channel,
                     UsockName     *target,
                     GError       **error)
{
  UsockDgram *self = USOCK_DGRAM (channel);
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (UsockName) owned = target;
  gboolean opened = socket->fd == -1;
  int result;

  if (!usock_dgram_open (self, usock_dgram_family_of (target), target->label, error))
    return FALSE;

  if (!opened)
    usock_channel_stow (channel);
  result = usock_io_connect (socket->fd, target);
  if (result < 0)
    {
      usock_socket_record (socket, USOCK_IO_CONNECT, -result);
      usock_error_set_errno (error, -result, _("Could not connect to “%s”"), target->label);
      if (opened)
        usock_socket_retreat (socket);
      return FALSE;
    }

  usock_socket_set_label (socket, target->label);
  g_clear_object (&socket->remote_address);
  usock_dgram_change_peer (self, g_steal_pointer (&owned));
  dgram_check_stows (self);
  channel->approach.announce = TRUE;
  return TRUE;
}

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
  ((UsockSocketClass *) usock_dgram_parent_class)->finish (socket);
  usock_dgram_emit_failures (USOCK_DGRAM (socket));
  usock_dgram_drop_routes (USOCK_DGRAM (socket));
}

static void
usock_dgram_orphaned (UsockSocket *socket)
{
  ((UsockSocketClass *) usock_dgram_parent_class)->orphaned (socket);
  usock_dgram_drop_routes (USOCK_DGRAM (socket));
}

static void
usock_dgram_finalize (GObject *object)
{
  UsockDgram *self = USOCK_DGRAM (object);

  usock_dgram_free_routes (self);

  G_OBJECT_CLASS (usock_dgram_parent_class)->finalize (object);
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

  /**
   * UsockDgram::listening:
   * @self: the socket
   *
   * Emitted when the socket was bound.
   *
   * Since: 1.0
   */
  usock_dgram_signals[USOCK_DGRAM_SIGNAL_LISTENING] = g_signal_new ("listening", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0,
                                            NULL, NULL, NULL, G_TYPE_NONE, 0);

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
      = g_signal_new ("datagram", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_BYTE_ARRAY | G_SIGNAL_TYPE_STATIC_SCOPE,
                      G_TYPE_STRING | G_SIGNAL_TYPE_STATIC_SCOPE);
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
   * Since: 1.0
   */
  usock_dgram_signals[USOCK_DGRAM_SIGNAL_SEND_FAILED]
      = g_signal_new ("send-failed", USOCK_TYPE_DGRAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_ERROR);
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
  dgram_check_stows (self);
  if (text == NULL || (socket->family == AF_UNIX && text[0] != '/' && text[0] != '@'))
    return;

  USOCK_CHANNEL (self)->approach.target = usock_name_new_for_address (remote, NULL);
  if (USOCK_CHANNEL (self)->approach.target == NULL)
    return;
  usock_socket_set_label (socket, text);
  self->peer->text = g_steal_pointer (&text);
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

/* Takes @name over. A failure leaves the socket as it was. */
static gboolean
dgram_bind (UsockDgram  *self,
            UsockName   *name,
            GError     **error)
{
  g_autoptr (UsockName) owned = name;
  UsockSocket *socket = USOCK_SOCKET (self);
  gboolean opened = socket->fd == -1;
  int result;

  if (name == NULL || !usock_dgram_open (self, usock_dgram_family_of (name), name->label, error))
    return FALSE;

  /* The kernel would let some of it pass. */
  if (self->bound)
    {
      usock_error_set_errno (error, EINVAL, _("Could not bind to “%s”"), name->label);
      return FALSE;
    }

  result = name->path != NULL
               ? usock_path_claim (socket->fd, name, self->mode, &self->claim)
               : usock_io_bind (socket->fd, name);
  if (result < 0)
    {
      usock_socket_record (socket, USOCK_IO_BIND, -result);
      usock_error_set_errno (error, usock_io_explain_bind (name, -result),
                             _("Could not bind to “%s”"), name->label);
      if (opened)
        usock_socket_retreat (socket);
      return FALSE;
    }

  if (self->claim != NULL)
    usock_path_set_unlink (self->claim, self->unlink_on_close);
  self->bound = self->announce = TRUE;
  dgram_check_stows (self);
  g_clear_object (&socket->local_address);
  usock_watch_wake (&socket->watch);
  return TRUE;
}

/**
 * usock_dgram_bind_to_path:
 * @self: a socket
 * @path: (type filename): where to receive; `@name` for an abstract name, in which `\\` stands
 *   for a backslash and `\xHH` for a byte
 * @error: return location for an error
 *
 * Receives on a path of the file system, or on an abstract name.
 * [signal@Usock.Dgram::listening] follows. A path may be as long as the file
 * system allows, and a relative one is fixed now. It is taken over if its owner
 * is gone.
 *
 * Fails with `G_IO_ERROR_ADDRESS_IN_USE` if a living socket has the path or it is
 * no socket, with `G_IO_ERROR_INVALID_ARGUMENT` if this socket is bound already,
 * and with others of bind(2). The socket may try again.
 *
 * Returns: whether the socket was bound
 *
 * Since: 1.0
 */
gboolean
usock_dgram_bind_to_path (UsockDgram  *self,
                          const char  *path,
                          GError     **error)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  return dgram_bind (self, usock_name_new_for_path (path, error), error);
}

/**
 * usock_dgram_bind_to_address:
 * @self: a socket
 * @address: (transfer none): where to receive
 * @error: return location for an error
 *
 * Receives on an address as [method@Usock.Dgram.bind_to_path] does, with the
 * same errors: of this machine, or of IPv4 and IPv6 for UDP. With port 0 the
 * system chooses one; [property@Usock.Socket:local-address] tells which.
 *
 * Returns: whether the socket was bound
 *
 * Since: 1.0
 */
gboolean
usock_dgram_bind_to_address (UsockDgram      *self,
                             GSocketAddress  *address,
                             GError         **error)
{
  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (address), FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  return dgram_bind (self, usock_name_new_for_address (address, error), error);
}

/**
 * usock_dgram_autobind:
 * @self: a socket
 * @error: return location for an error
 *
 * Binds to an abstract name that the kernel chooses, so that receivers can
 * answer. [signal@Usock.Dgram::listening] follows, and
 * [property@Usock.Socket:local-address] tells the name.
 *
 * Returns: whether the socket was bound
 *
 * Since: 1.0
 */
gboolean
usock_dgram_autobind (UsockDgram  *self,
                      GError     **error)
{
  UsockName *name;

  g_return_val_if_fail (USOCK_IS_DGRAM (self), FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  /* An address of nothing but its family, see unix(7). */
  name = g_new0 (UsockName, 1);
  name->label = g_strdup ("@");
  name->native.un.sun_family = AF_UNIX;
  name->length = sizeof (sa_family_t);
  return dgram_bind (self, name, error);
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
  g_return_if_fail (USOCK_IS_DGRAM (self));
  usock_socket_return_if_not_ours (self);

  self->receive_buffer_size = MIN (receive_buffer_size, G_MAXINT);
  dgram_apply_buffer_sizes (self);
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
  g_return_if_fail (USOCK_IS_DGRAM (self));
  usock_socket_return_if_not_ours (self);

  self->send_buffer_size = MIN (send_buffer_size, G_MAXINT);
  dgram_apply_buffer_sizes (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SEND_BUFFER_SIZE]);
}
