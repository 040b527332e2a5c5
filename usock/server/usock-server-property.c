/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include "usock-enums.h"

typedef enum
{
  PROP_SOCKET_TYPE = 1,
  PROP_ACTIVE,
  PROP_PATH,
  PROP_MODE,
  PROP_MAKE_PARENTS,
  PROP_GROUP,
  PROP_UNLINK_ON_CLOSE,
  PROP_N_CONNECTIONS,
  PROP_REUSE_PORT,
  PROP_IPV6_ONLY,
  PROP_PAUSED,
  PROP_ALLOWED_USERS,
  PROP_MAX_CONNECTIONS,
  PROP_MAX_CONNECTIONS_PER_USER,
  PROP_SLOW_READERS,
  PROP_PAUSE_ON_CONNECT,
  PROP_MAX_FDS,
  PROP_MAX_HELD_FDS,
  PROP_PASS_CREDENTIALS,
  PROP_PASS_PIDFD,
  PROP_MEMFD_FALLBACK,
  PROP_ALLOW_HALF_OPEN,
  PROP_READ_BUFFER_SIZE,
  PROP_QUEUE_LIMIT,
  PROP_HIGH_WATER_MARK,
  PROP_IDLE_TIMEOUT,
  PROP_SEND_TIMEOUT,
  PROP_CHANNEL_TYPE,
  PROP_UNCLAIMED_TIMEOUT,
} UsockServerProperty;

static GParamSpec *properties[PROP_UNCLAIMED_TIMEOUT + 1];

/* Others than these two are refused when the server is to listen. */
static void
server_set_type (UsockServer *self,
                 GSocketType  socket_type)
{
  USOCK_SOCKET (self)->type = socket_type == G_SOCKET_TYPE_SEQPACKET ? SOCK_SEQPACKET
                              : socket_type == G_SOCKET_TYPE_STREAM  ? SOCK_STREAM
                                                                     : SOCK_DGRAM;
}

void
usock_server_notify_fd (UsockSocket *socket)
{
  g_object_notify_by_pspec (G_OBJECT (socket), properties[PROP_ACTIVE]);
  if (socket->fd != -1)
    g_object_notify_by_pspec (G_OBJECT (socket), properties[PROP_PATH]);
}

static void
server_get_property (GObject    *object,
                     guint       property_id,
                     GValue     *value,
                     GParamSpec *pspec)
{
  UsockServer *self = USOCK_SERVER (object);

  switch ((UsockServerProperty) property_id)
    {
    case PROP_SOCKET_TYPE:
      g_value_set_enum (value, usock_socket_get_socket_type (USOCK_SOCKET (self)));
      break;
    case PROP_ACTIVE:
      g_value_set_boolean (value, USOCK_SOCKET (self)->state == USOCK_STATE_LISTENING);
      break;
    case PROP_PATH:
      g_value_set_string (value, self->path);
      break;
    case PROP_MODE:
      g_value_set_uint (value, self->mode);
      break;
    case PROP_MAKE_PARENTS:
      g_value_set_boolean (value, self->make_parents);
      break;
    case PROP_UNLINK_ON_CLOSE:
      g_value_set_boolean (value, self->unlink_on_close);
      break;
    case PROP_N_CONNECTIONS:
      g_value_set_uint (value, usock_server_count_members (self));
      break;
    case PROP_REUSE_PORT:
      g_value_set_boolean (value, self->reuse_port);
      break;
    case PROP_IPV6_ONLY:
      g_value_set_boolean (value, self->ipv6_only);
      break;
    case PROP_PAUSED:
      g_value_set_boolean (value, self->paused);
      break;
    case PROP_ALLOWED_USERS:
      g_value_set_enum (value, self->allowed_users);
      break;
    case PROP_MAX_CONNECTIONS:
      g_value_set_uint (value, self->max_connections);
      break;
    case PROP_MAX_CONNECTIONS_PER_USER:
      g_value_set_uint (value, self->max_connections_per_user);
      break;
    case PROP_SLOW_READERS:
      g_value_set_enum (value, self->slow_readers);
      break;
    case PROP_PAUSE_ON_CONNECT:
      g_value_set_boolean (value, self->pause_on_connect);
      break;
    case PROP_MAX_FDS:
      g_value_set_uint (value, self->max_fds);
      break;
    case PROP_MAX_HELD_FDS:
      g_value_set_uint (value, self->max_held_fds);
      break;
    case PROP_PASS_CREDENTIALS:
      g_value_set_boolean (value, self->pass_credentials);
      break;
    case PROP_PASS_PIDFD:
      g_value_set_boolean (value, self->pass_pidfd);
      break;
    case PROP_MEMFD_FALLBACK:
      g_value_set_boolean (value, self->memfd_fallback);
      break;
    case PROP_ALLOW_HALF_OPEN:
      g_value_set_boolean (value, self->allow_half_open);
      break;
    case PROP_READ_BUFFER_SIZE:
      g_value_set_uint (value, self->read_buffer_size);
      break;
    case PROP_QUEUE_LIMIT:
      g_value_set_uint64 (value, self->queue_limit);
      break;
    case PROP_HIGH_WATER_MARK:
      g_value_set_uint64 (value, self->high_water_mark);
      break;
    case PROP_IDLE_TIMEOUT:
      g_value_set_uint (value, self->idle_timeout);
      break;
    case PROP_SEND_TIMEOUT:
      g_value_set_uint (value, self->send_timeout);
      break;
    case PROP_CHANNEL_TYPE:
      g_value_set_gtype (value, usock_server_get_channel_type (self));
      break;
    case PROP_UNCLAIMED_TIMEOUT:
      g_value_set_uint (value, self->unclaimed_timeout);
      break;
    case PROP_GROUP:
      g_value_set_string (value, self->group);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
server_set_property (GObject      *object,
                     guint         property_id,
                     const GValue *value,
                     GParamSpec   *pspec)
{
  UsockServer *self = USOCK_SERVER (object);

  switch ((UsockServerProperty) property_id)
    {
    case PROP_SOCKET_TYPE:
      server_set_type (self, g_value_get_enum (value));
      break;
    case PROP_MODE:
      usock_server_set_mode (self, g_value_get_uint (value));
      break;
    case PROP_MAKE_PARENTS:
      usock_server_set_make_parents (self, g_value_get_boolean (value));
      break;
    case PROP_UNLINK_ON_CLOSE:
      usock_server_set_unlink_on_close (self, g_value_get_boolean (value));
      break;
    case PROP_REUSE_PORT:
      usock_server_set_reuse_port (self, g_value_get_boolean (value));
      break;
    case PROP_IPV6_ONLY:
      usock_server_set_ipv6_only (self, g_value_get_boolean (value));
      break;
    case PROP_ALLOWED_USERS:
      usock_server_set_allowed_users (self, g_value_get_enum (value));
      break;
    case PROP_MAX_CONNECTIONS:
      usock_server_set_max_connections (self, g_value_get_uint (value));
      break;
    case PROP_MAX_CONNECTIONS_PER_USER:
      usock_server_set_max_connections_per_user (self, g_value_get_uint (value));
      break;
    case PROP_SLOW_READERS:
      usock_server_set_slow_readers (self, g_value_get_enum (value));
      break;
    case PROP_PAUSE_ON_CONNECT:
      usock_server_set_pause_on_connect (self, g_value_get_boolean (value));
      break;
    case PROP_MAX_FDS:
      usock_server_set_max_fds (self, g_value_get_uint (value));
      break;
    case PROP_MAX_HELD_FDS:
      usock_server_set_max_held_fds (self, g_value_get_uint (value));
      break;
    case PROP_PASS_CREDENTIALS:
      usock_server_set_pass_credentials (self, g_value_get_boolean (value));
      break;
    case PROP_PASS_PIDFD:
      usock_server_set_pass_pidfd (self, g_value_get_boolean (value));
      break;
    case PROP_MEMFD_FALLBACK:
      usock_server_set_memfd_fallback (self, g_value_get_boolean (value));
      break;
    case PROP_ALLOW_HALF_OPEN:
      usock_server_set_allow_half_open (self, g_value_get_boolean (value));
      break;
    case PROP_READ_BUFFER_SIZE:
      usock_server_set_read_buffer_size (self, g_value_get_uint (value));
      break;
    case PROP_QUEUE_LIMIT:
      usock_server_set_queue_limit (self, g_value_get_uint64 (value));
      break;
    case PROP_HIGH_WATER_MARK:
      usock_server_set_high_water_mark (self, g_value_get_uint64 (value));
      break;
    case PROP_IDLE_TIMEOUT:
      usock_server_set_idle_timeout (self, g_value_get_uint (value));
      break;
    case PROP_SEND_TIMEOUT:
      usock_server_set_send_timeout (self, g_value_get_uint (value));
      break;
    case PROP_CHANNEL_TYPE:
      usock_server_set_channel_type (self, g_value_get_gtype (value));
      break;
    case PROP_UNCLAIMED_TIMEOUT:
      usock_server_set_unclaimed_timeout (self, g_value_get_uint (value));
      break;
    case PROP_GROUP:
      usock_server_set_group (self, g_value_get_string (value));
      break;
    case PROP_ACTIVE:
    case PROP_PATH:
    case PROP_N_CONNECTIONS:
    case PROP_PAUSED:
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
server_install_inet (const GParamFlags flags)
{
  /**
   * UsockServer:reuse-port: (getter get_reuse_port) (setter set_reuse_port)
   *
   * Whether other servers of the same user may listen on the same TCP port, if
   * they have this too: the kernel spreads the connections over them, see
   * `SO_REUSEPORT` in socket(7).
   *
   * Since: 1.0
   */
  properties[PROP_REUSE_PORT] = g_param_spec_boolean ("reuse-port", NULL, NULL, FALSE, flags);

  /**
   * UsockServer:ipv6-only: (getter get_ipv6_only) (setter set_ipv6_only)
   *
   * Whether an IPv6 address takes no IPv4 connections, see `IPV6_V6ONLY` in
   * ipv6(7). If not, the IPv6 address of all interfaces takes those as well.
   *
   * Since: 1.0
   */
  properties[PROP_IPV6_ONLY] = g_param_spec_boolean ("ipv6-only", NULL, NULL, FALSE, flags);
}

static void
server_install_policy (const GParamFlags flags)
{
  /**
   * UsockServer:paused: (getter get_paused)
   *
   * Whether the server takes no connections for now, see
   * [method@Usock.Server.pause].
   *
   * Since: 1.0
   */
  properties[PROP_PAUSED] = g_param_spec_boolean ("paused", NULL, NULL, FALSE,
                                                  G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * UsockServer:allowed-users: (getter get_allowed_users) (setter set_allowed_users)
   *
   * Whose connections are taken. If not everybody's, one whose user the system
   * does not know is refused, see [method@Usock.Socket.get_peer_credentials].
   * On an abstract name, which has no permissions, it is the user's own only
   * unless this says otherwise.
   *
   * Since: 1.0
   */
  properties[PROP_ALLOWED_USERS]
      = g_param_spec_enum ("allowed-users", NULL, NULL, USOCK_TYPE_ALLOWED_USERS,
                           USOCK_ALLOWED_USERS_DEFAULT, flags);

  /**
   * UsockServer:max-connections: (getter get_max_connections) (setter set_max_connections)
   *
   * How many connections there may be at once, 0 for no limit. Further ones are
   * refused.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_CONNECTIONS]
      = g_param_spec_uint ("max-connections", NULL, NULL, 0, G_MAXUINT, 0, flags);

  /**
   * UsockServer:max-connections-per-user: (getter get_max_connections_per_user)
   *   (setter set_max_connections_per_user)
   *
   * How many connections one user may have at once, 0 for no limit. Further
   * ones are refused, and so is one whose user the system does not know.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_CONNECTIONS_PER_USER]
      = g_param_spec_uint ("max-connections-per-user", NULL, NULL, 0, G_MAXUINT, 0, flags);

  /**
   * UsockServer:slow-readers: (getter get_slow_readers) (setter set_slow_readers)
   *
   * What becomes of connections that do not keep up with
   * [method@Usock.Server.broadcast].
   *
   * Since: 1.0
   */
  properties[PROP_SLOW_READERS]
      = g_param_spec_enum ("slow-readers", NULL, NULL, USOCK_TYPE_SLOW_READERS,
                           USOCK_SLOW_READERS_WAIT, flags);
}

static void
server_install_inherited (const GParamFlags flags)
{
  /**
   * UsockServer:pause-on-connect: (getter get_pause_on_connect) (setter set_pause_on_connect)
   *
   * Whether the connections that come are paused at first, see
   * [method@Usock.Channel.pause].
   *
   * Since: 1.0
   */
  properties[PROP_PAUSE_ON_CONNECT]
      = g_param_spec_boolean ("pause-on-connect", NULL, NULL, FALSE, flags);

  /**
   * UsockServer:max-fds: (getter get_max_fds) (setter set_max_fds)
   *
   * How many descriptors a message may have: the
   * [property@Usock.Channel:max-fds] of the connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_FDS]
      = g_param_spec_uint ("max-fds", NULL, NULL, 0, G_MAXUINT, 0, flags);

  /**
   * UsockServer:max-held-fds: (getter get_max_held_fds) (setter set_max_held_fds)
   *
   * How many descriptors the messages of a connection may hold together: the
   * [property@Usock.Channel:max-held-fds] of the connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_HELD_FDS]
      = g_param_spec_uint ("max-held-fds", NULL, NULL, 0, G_MAXUINT, 0, flags);

  /**
   * UsockServer:pass-credentials: (getter get_pass_credentials) (setter set_pass_credentials)
   *
   * Whether messages carry the credentials of their senders: the
   * [property@Usock.Channel:pass-credentials] of the connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_PASS_CREDENTIALS]
      = g_param_spec_boolean ("pass-credentials", NULL, NULL, FALSE, flags);

  /**
   * UsockServer:pass-pidfd: (getter get_pass_pidfd) (setter set_pass_pidfd)
   *
   * Whether messages carry a descriptor of the process that sent them: the
   * [property@Usock.Channel:pass-pidfd] of the connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_PASS_PIDFD] = g_param_spec_boolean ("pass-pidfd", NULL, NULL, FALSE, flags);

  /**
   * UsockServer:memfd-fallback: (getter get_memfd_fallback) (setter set_memfd_fallback)
   *
   * [property@Usock.Channel:memfd-fallback] of the connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_MEMFD_FALLBACK]
      = g_param_spec_boolean ("memfd-fallback", NULL, NULL, FALSE, flags);

  /**
   * UsockServer:allow-half-open: (getter get_allow_half_open) (setter set_allow_half_open)
   *
   * Whether a connection stays open when its peer ends: the
   * [property@Usock.Channel:allow-half-open] of the connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_ALLOW_HALF_OPEN]
      = g_param_spec_boolean ("allow-half-open", NULL, NULL, FALSE, flags);

  /**
   * UsockServer:read-buffer-size: (getter get_read_buffer_size) (setter set_read_buffer_size)
   *
   * The longest message that is received whole, in bytes: the
   * [property@Usock.Channel:read-buffer-size] of the connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_READ_BUFFER_SIZE]
      = g_param_spec_uint ("read-buffer-size", NULL, NULL, 1, 64 * 1024 * 1024, 256 * 1024, flags);

  /**
   * UsockServer:queue-limit: (getter get_queue_limit) (setter set_queue_limit)
   *
   * How much a connection may queue, in bytes: the
   * [property@Usock.Channel:queue-limit] of the connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_QUEUE_LIMIT]
      = g_param_spec_uint64 ("queue-limit", NULL, NULL, 0, G_MAXUINT64, 16 * 1024 * 1024, flags);

  /**
   * UsockServer:high-water-mark: (getter get_high_water_mark) (setter set_high_water_mark)
   *
   * How much a connection may queue before a sender should wait, in bytes: the
   * [property@Usock.Channel:high-water-mark] of the connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_HIGH_WATER_MARK]
      = g_param_spec_uint64 ("high-water-mark", NULL, NULL, 0, G_MAXUINT64, 64 * 1024, flags);

  /**
   * UsockServer:idle-timeout: (getter get_idle_timeout) (setter set_idle_timeout)
   *
   * After how long without a byte a connection tells so, in milliseconds, 0 for
   * never: the [property@Usock.Channel:idle-timeout] of the connections that
   * come.
   *
   * Since: 1.0
   */
  properties[PROP_IDLE_TIMEOUT]
      = g_param_spec_uint ("idle-timeout", NULL, NULL, 0, G_MAXUINT, 0, flags);

  /**
   * UsockServer:send-timeout: (getter get_send_timeout) (setter set_send_timeout)
   *
   * How long a peer may take nothing before its connection fails, in
   * milliseconds, 0 for ever: the [property@Usock.Channel:send-timeout] of the
   * connections that come.
   *
   * Since: 1.0
   */
  properties[PROP_SEND_TIMEOUT]
      = g_param_spec_uint ("send-timeout", NULL, NULL, 0, G_MAXUINT, 30 * 1000, flags);

  /**
   * UsockServer:channel-type: (getter get_channel_type) (setter set_channel_type)
   *
   * The class of the channels that are made for connections that come:
   * [class@Usock.Seqpacket] or [class@Usock.Stream], as
   * [property@Usock.Server:socket-type] has it, or one that the program derived
   * from that, where it keeps what belongs to a connection.
   *
   * Since: 1.0
   */
  properties[PROP_CHANNEL_TYPE]
      = g_param_spec_gtype ("channel-type", NULL, NULL, USOCK_TYPE_CHANNEL, flags);

  /**
   * UsockServer:unclaimed-timeout: (getter get_unclaimed_timeout) (setter set_unclaimed_timeout)
   *
   * For how long a connection is kept that nobody has ever listened to once its
   * peer is gone, in milliseconds, or a little longer; 0 for ever. Such a
   * connection holds a descriptor, and what its peer has sent: a handler that
   * failed before it had connected anything would leave one behind each time.
   *
   * Since: 1.0
   */
  properties[PROP_UNCLAIMED_TIMEOUT]
      = g_param_spec_uint ("unclaimed-timeout", NULL, NULL, 0, G_MAXUINT, 30 * 1000, flags);
}

static void
server_install_path (const GParamFlags flags)
{
  /**
   * UsockServer:mode: (getter get_mode) (setter set_mode)
   *
   * The permissions of the socket file, as chmod(2) has them; who may write
   * may connect. Set before anybody can connect, whatever the umask is.
   *
   * Since: 1.0
   */
  properties[PROP_MODE] = g_param_spec_uint ("mode", NULL, NULL, 0, 07777, 0600, flags);

  /**
   * UsockServer:group: (getter get_group) (setter set_group)
   *
   * The group that the socket file belongs to, its name or its number; %NULL for
   * the one that the system gives it. Set before anybody can connect. Together
   * with a [property@Usock.Server:mode] of 0660 its members may connect.
   *
   * Since: 1.0
   */
  properties[PROP_GROUP] = g_param_spec_string ("group", NULL, NULL, NULL, flags);

  /**
   * UsockServer:make-parents: (getter get_make_parents) (setter set_make_parents)
   *
   * Whether the directories of the path that are missing are made, with the
   * permissions 0700.
   *
   * Since: 1.0
   */
  properties[PROP_MAKE_PARENTS] = g_param_spec_boolean ("make-parents", NULL, NULL, FALSE,
                                                        flags);

  /**
   * UsockServer:unlink-on-close: (getter get_unlink_on_close) (setter set_unlink_on_close)
   *
   * Whether the path is removed when the server closes, or the program exits,
   * if it is still the server's own. What the server was given to listen on is
   * never removed.
   *
   * Since: 1.0
   */
  properties[PROP_UNLINK_ON_CLOSE] = g_param_spec_boolean ("unlink-on-close", NULL, NULL, TRUE,
                                                           flags);
}

void
usock_server_install_properties (GObjectClass *object_class)
{
  const GParamFlags read_only = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->get_property = server_get_property;
  object_class->set_property = server_set_property;

  /**
   * UsockServer:socket-type:
   *
   * What the connections transport: packets, with [class@Usock.Seqpacket], or a
   * stream, with [class@Usock.Stream].
   *
   * Since: 1.0
   */
  properties[PROP_SOCKET_TYPE]
      = g_param_spec_enum ("socket-type", NULL, NULL, G_TYPE_SOCKET_TYPE, G_SOCKET_TYPE_SEQPACKET,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * UsockServer:active: (getter get_active)
   *
   * Whether the server listens.
   *
   * Since: 1.0
   */
  properties[PROP_ACTIVE] = g_param_spec_boolean ("active", NULL, NULL, FALSE, read_only);

  /**
   * UsockServer:path: (getter get_path)
   *
   * The path that the server listens on, absolute, or %NULL.
   *
   * Since: 1.0
   */
  properties[PROP_PATH] = g_param_spec_string ("path", NULL, NULL, NULL, read_only);

  /**
   * UsockServer:n-connections: (getter get_n_connections)
   *
   * How many connections were let in and are not closed yet.
   *
   * Since: 1.0
   */
  properties[PROP_N_CONNECTIONS] = g_param_spec_uint ("n-connections", NULL, NULL, 0, G_MAXUINT,
                                                      0, read_only);

  server_install_path (read_write);
  server_install_inet (read_write);
  server_install_policy (read_write);
  server_install_inherited (read_write);
  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}
