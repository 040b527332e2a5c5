/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server.h"

#include <errno.h>

#include "usock-channel-private.h"
#include "usock-compat-private.h"
#include "usock-path-private.h"
#include "usock-seqpacket.h"

/* How many connections one turn takes. Then it is the others' turn. */
#define TURN_ACCEPTS 64

/* How long to leave the backlog alone when the process has no descriptors left, in ms. */
#define EXHAUSTED_DELAY_FIRST 10
#define EXHAUSTED_DELAY_LAST 1000

/**
 * UsockServer:
 *
 * Listens, and makes a channel of each connection that comes.
 *
 * Connections are accepted while somebody listens to
 * [signal@Usock.Server::connection]; before, they wait in the backlog. Each
 * channel gets the server's settings, and keeps itself alive until it is
 * closed.
 *
 * A path is taken over if its owner is gone, and never if it is alive or no
 * socket; the file is there for its owner only, unless
 * [property@Usock.Server:mode] says otherwise, and is removed when the server
 * closes.
 *
 * ```c
 * UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
 *
 * g_signal_connect (server, "connection", G_CALLBACK (connection_cb), NULL);
 * if (!usock_server_listen_on_path (server, path, 0, &error))
 *   g_error ("%s", error->message);
 * g_object_unref (server);
 * usock_run_until_closed (NULL);
 * ```
 *
 * Since: 1.0
 */
struct _UsockServer
{
  UsockSocket parent_instance;

  UsockPath *claim;
  char *path;
  guint mode;
  gboolean unlink_on_close;

  gboolean announce; /* listening, and the signal still to come */
  gint64 retry_at;   /* out of descriptors until then */
  guint retry_delay;
  guint n_connections;

  guint max_fds;
  gboolean pass_credentials;
  gboolean allow_half_open;
  guint read_buffer_size;
  guint64 queue_limit;
};

struct _UsockServerClass
{
  UsockSocketClass parent_class;
};

G_DEFINE_TYPE (UsockServer, usock_server, USOCK_TYPE_SOCKET)

typedef enum
{
  PROP_ACTIVE = 1,
  PROP_PATH,
  PROP_MODE,
  PROP_UNLINK_ON_CLOSE,
  PROP_N_CONNECTIONS,
  PROP_MAX_FDS,
  PROP_PASS_CREDENTIALS,
  PROP_ALLOW_HALF_OPEN,
  PROP_READ_BUFFER_SIZE,
  PROP_QUEUE_LIMIT,
} UsockServerProperty;

enum
{
  SIGNAL_LISTENING,
  SIGNAL_CONNECTION,
  N_SIGNALS,
};

static GParamSpec *properties[PROP_QUEUE_LIMIT + 1];
static guint signals[N_SIGNALS];

/* What a connection sends before it is accepted is subject to the listener's options. */
static int
server_prepare_fd (UsockServer *self,
                   int          fd)
{
  int result = usock_io_refuse_fds (fd, self->max_fds == 0);

  return result < 0 ? result : usock_io_set_credentials (fd, self->pass_credentials);
}

static void
server_connection_closed (UsockSocket *connection,
                          gpointer     user_data)
{
  UsockServer *self = user_data;

  self->n_connections--;
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

static UsockChannel *
server_new_channel (UsockServer *self)
{
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());

  usock_channel_set_max_fds (channel, self->max_fds);
  usock_channel_set_pass_credentials (channel, self->pass_credentials);
  usock_channel_set_allow_half_open (channel, self->allow_half_open);
  usock_channel_set_read_buffer_size (channel, self->read_buffer_size);
  usock_channel_set_queue_limit (channel, self->queue_limit);
  return channel;
}

static void
server_take_connection (UsockServer *self,
                        int          fd)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (UsockChannel) channel = server_new_channel (self);
  g_autoptr (GError) error = NULL;
  g_autofd int owned = fd;

  usock_socket_join (USOCK_SOCKET (channel), socket);
  usock_socket_set_label (USOCK_SOCKET (channel), socket->label);
  if (!usock_channel_accept (channel, fd, &error))
    {
      usock_socket_emit_error (socket, error);
      return;
    }

  owned = -1;
  self->n_connections++;
  usock_socket_set_closed (USOCK_SOCKET (channel), server_connection_closed, self);
  g_signal_emit (self, signals[SIGNAL_CONNECTION], 0, channel);
}

/* Without descriptors, or memory, connections stay in the backlog and make no further event; and
 * what has no remedy, like a listener that somebody shut down, must not be asked without end. One
 * error is told for the whole time it lasts. */
static void
server_exhausted (UsockServer *self,
                  int          errnum)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  gboolean first = self->retry_delay == 0;
  g_autoptr (GError) error = NULL;

  self->retry_delay = first ? EXHAUSTED_DELAY_FIRST
                            : MIN (self->retry_delay * 2, EXHAUSTED_DELAY_LAST);
  self->retry_at = g_get_monotonic_time () + self->retry_delay * G_GINT64_CONSTANT (1000);
  usock_watch_set_deadline (&socket->watch, self->retry_at);
  socket->watch.ready &= ~USOCK_READY_IN;

  usock_socket_record (socket, USOCK_IO_ACCEPT, errnum);
  if (!first)
    return;

  usock_error_set_errno (&error, errnum, _("Could not accept a connection on “%s”"),
                         socket->label);
  usock_socket_emit_error (socket, error);
}

static gboolean
usock_server_wanted (UsockSocket *socket)
{
  return (socket->watch.ready & USOCK_READY_IN) != 0
         && g_signal_has_handler_pending (socket, signals[SIGNAL_CONNECTION], 0, FALSE);
}

static void
server_accept (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  for (guint n = 0; n < TURN_ACCEPTS; n++)
    {
      int fd;

      if (socket->state != USOCK_STATE_LISTENING || !usock_server_wanted (socket)
          || usock_reactor_is_inherited (socket->reactor))
        return;

      fd = usock_io_accept (socket->fd);
      if (fd >= 0)
        {
          self->retry_delay = 0;
          server_take_connection (self, fd);
        }
      else if (fd == -EAGAIN)
        socket->watch.ready &= ~USOCK_READY_IN;
      else if (fd == -ECONNABORTED || fd == -EPROTO)
        usock_socket_record (socket, USOCK_IO_ACCEPT, -fd); /* of that one connection */
      else
        server_exhausted (self, -fd);
    }
}

static void
usock_server_dispatch (UsockSocket *socket)
{
  UsockServer *self = USOCK_SERVER (socket);
  gboolean readable;

  if (socket->watch.ready & USOCK_READY_DEADLINE)
    socket->watch.ready |= USOCK_READY_IN;
  socket->watch.ready &= USOCK_READY_IN;

  if (self->announce)
    {
      self->announce = FALSE;
      g_signal_emit (self, signals[SIGNAL_LISTENING], 0);
    }

  server_accept (self);
  if (socket->state != USOCK_STATE_LISTENING)
    return;

  readable = (socket->watch.ready & USOCK_READY_IN) != 0;
  if (usock_server_wanted (socket))
    usock_watch_wake (&socket->watch);
  else
    usock_watch_sample (&socket->watch, readable);
}

static gboolean
usock_server_lingers (UsockSocket *socket)
{
  return USOCK_SERVER (socket)->n_connections > 0;
}

static void
server_release_path (UsockServer *self)
{
  if (self->claim != NULL)
    usock_path_release (g_steal_pointer (&self->claim), self->unlink_on_close);
}

static void
usock_server_closing (UsockSocket *socket)
{
  server_release_path (USOCK_SERVER (socket));
}

/* Only a forked child comes here with a claim, which is its parent's. */
static void
usock_server_finalize (GObject *object)
{
  UsockServer *self = USOCK_SERVER (object);

  self->unlink_on_close = FALSE;
  server_release_path (self);
  g_free (self->path);

  G_OBJECT_CLASS (usock_server_parent_class)->finalize (object);
}

static void
usock_server_get_property (GObject    *object,
                           guint       property_id,
                           GValue     *value,
                           GParamSpec *pspec)
{
  UsockServer *self = USOCK_SERVER (object);

  switch ((UsockServerProperty) property_id)
    {
    case PROP_ACTIVE:
      g_value_set_boolean (value, usock_server_get_active (self));
      break;
    case PROP_PATH:
      g_value_set_string (value, self->path);
      break;
    case PROP_MODE:
      g_value_set_uint (value, self->mode);
      break;
    case PROP_UNLINK_ON_CLOSE:
      g_value_set_boolean (value, self->unlink_on_close);
      break;
    case PROP_N_CONNECTIONS:
      g_value_set_uint (value, self->n_connections);
      break;
    case PROP_MAX_FDS:
      g_value_set_uint (value, self->max_fds);
      break;
    case PROP_PASS_CREDENTIALS:
      g_value_set_boolean (value, self->pass_credentials);
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
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_server_set_property (GObject      *object,
                           guint         property_id,
                           const GValue *value,
                           GParamSpec   *pspec)
{
  UsockServer *self = USOCK_SERVER (object);

  switch ((UsockServerProperty) property_id)
    {
    case PROP_MODE:
      usock_server_set_mode (self, g_value_get_uint (value));
      break;
    case PROP_UNLINK_ON_CLOSE:
      usock_server_set_unlink_on_close (self, g_value_get_boolean (value));
      break;
    case PROP_MAX_FDS:
      usock_server_set_max_fds (self, g_value_get_uint (value));
      break;
    case PROP_PASS_CREDENTIALS:
      usock_server_set_pass_credentials (self, g_value_get_boolean (value));
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
    case PROP_ACTIVE:
    case PROP_PATH:
    case PROP_N_CONNECTIONS:
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
server_install_inherited (const GParamFlags flags)
{
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
}

static void
usock_server_class_init (UsockServerClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  UsockSocketClass *socket_class = (UsockSocketClass *) class;
  const GParamFlags read_only = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->finalize = usock_server_finalize;
  object_class->get_property = usock_server_get_property;
  object_class->set_property = usock_server_set_property;

  socket_class->dispatch = usock_server_dispatch;
  socket_class->wanted = usock_server_wanted;
  socket_class->lingers = usock_server_lingers;
  socket_class->closing = usock_server_closing;

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
   * UsockServer:mode: (getter get_mode) (setter set_mode)
   *
   * The permissions of the socket file, as chmod(2) has them; who may write
   * may connect. Set before anybody can connect, whatever the umask is.
   *
   * Since: 1.0
   */
  properties[PROP_MODE] = g_param_spec_uint ("mode", NULL, NULL, 0, 07777, 0600, read_write);

  /**
   * UsockServer:unlink-on-close: (getter get_unlink_on_close) (setter set_unlink_on_close)
   *
   * Whether the path is removed when the server closes, if it is still its
   * own.
   *
   * Since: 1.0
   */
  properties[PROP_UNLINK_ON_CLOSE] = g_param_spec_boolean ("unlink-on-close", NULL, NULL, TRUE,
                                                           read_write);

  /**
   * UsockServer:n-connections: (getter get_n_connections)
   *
   * How many of the connections are not closed yet. Changes are not notified.
   *
   * Since: 1.0
   */
  properties[PROP_N_CONNECTIONS] = g_param_spec_uint ("n-connections", NULL, NULL, 0, G_MAXUINT,
                                                      0, read_only);

  server_install_inherited (read_write);
  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);

  /**
   * UsockServer::listening:
   * @self: the server
   *
   * Emitted once when the server has started to listen.
   *
   * Since: 1.0
   */
  signals[SIGNAL_LISTENING] = g_signal_new ("listening", USOCK_TYPE_SERVER, G_SIGNAL_RUN_LAST, 0,
                                            NULL, NULL, NULL, G_TYPE_NONE, 0);

  /**
   * UsockServer::connection:
   * @self: the server
   * @connection: a channel, which is open
   *
   * Emitted for each connection. Nothing is read from it before somebody
   * listens to it.
   *
   * Since: 1.0
   */
  signals[SIGNAL_CONNECTION]
      = g_signal_new ("connection", USOCK_TYPE_SERVER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 1, USOCK_TYPE_CHANNEL);
}

static void
usock_server_init (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  socket->family = AF_UNIX;
  socket->type = SOCK_SEQPACKET;
  self->mode = 0600;
  self->unlink_on_close = TRUE;
  self->read_buffer_size = 256 * 1024;
  self->queue_limit = 16 * 1024 * 1024;
}

/**
 * usock_server_new:
 * @socket_type: what the connections transport; `SEQPACKET` for [class@Usock.Seqpacket]
 *
 * Makes a server that does not listen yet.
 *
 * Returns: (transfer full): a new server
 *
 * Since: 1.0
 */
UsockServer *
usock_server_new (GSocketType socket_type)
{
  UsockServer *self = g_object_new (USOCK_TYPE_SERVER, NULL);

  USOCK_SOCKET (self)->type = socket_type == G_SOCKET_TYPE_SEQPACKET ? SOCK_SEQPACKET
                              : socket_type == G_SOCKET_TYPE_STREAM  ? SOCK_STREAM
                                                                     : SOCK_DGRAM;
  return self;
}

static gboolean
server_check (UsockServer      *self,
              const UsockName  *name,
              GError          **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  if (socket->state == USOCK_STATE_LISTENING)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                 _("Could not listen on “%s”: the server listens on “%s” already"), name->label,
                 socket->label);
  else if (socket->type != SOCK_SEQPACKET)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 _("Could not listen on “%s”: servers are for SEQPACKET sockets"), name->label);
  else if (name->path == NULL && name->native.any.sa_family != AF_UNIX)
    usock_error_set_errno (error, EAFNOSUPPORT, _("Could not listen on “%s”"), name->label);
  else
    return usock_socket_check (socket, error);

  return FALSE;
}

static int
server_bind (UsockServer     *self,
             const UsockName *name,
             int              backlog,
             UsockIoCall     *call)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  int result;

  *call = USOCK_IO_SET_OPTION;
  result = server_prepare_fd (self, socket->fd);
  if (result < 0)
    return result;

  *call = USOCK_IO_BIND;
  result = name->path != NULL
               ? usock_path_claim (socket->fd, name, self->mode, &self->claim)
               : usock_io_bind (socket->fd, name);
  if (result < 0)
    return result;

  *call = USOCK_IO_LISTEN;
  return usock_io_listen (socket->fd, backlog);
}

/* Takes @name over. A failure leaves the server as it was. */
static gboolean
server_listen (UsockServer  *self,
               UsockName    *name,
               int           backlog,
               GError      **error)
{
  g_autoptr (UsockName) owned = name;
  UsockSocket *socket = USOCK_SOCKET (self);
  UsockIoCall call = USOCK_IO_SOCKET;
  int result;

  if (name == NULL || !server_check (self, name, error))
    return FALSE;

  result = usock_io_socket (socket->family, socket->type, 0);
  if (result >= 0)
    {
      if (!usock_socket_start (socket, result, FALSE, error))
        g_assert_not_reached ();
      result = server_bind (self, name, backlog, &call);
      if (result >= 0 && usock_socket_watch (socket, error))
        {
          self->announce = TRUE;
          self->path = g_strdup (name->path);
          usock_socket_set_label (socket, name->label);
          usock_socket_set_state (socket, USOCK_STATE_LISTENING);
          return TRUE;
        }
      server_release_path (self);
      usock_socket_retreat (socket);
    }

  if (result < 0)
    {
      usock_socket_record (socket, call, -result);
      usock_error_set_errno (error, -result, _("Could not listen on “%s”"), name->label);
    }
  return FALSE;
}

/**
 * usock_server_listen_on_path:
 * @self: a new server
 * @path: (type filename): where to listen; `@name` for an abstract name, in which `\\` stands
 *   for a backslash and `\xHH` for a byte
 * @backlog: how many connections may wait to be accepted; 0 or less for as many as the system
 *   allows
 * @error: return location for an error
 *
 * Listens on a path of the file system, or on an abstract name. A path may be
 * as long as the file system allows, and a relative one is fixed now. An
 * abstract name has no permissions: everybody on this machine, in the same
 * network namespace, may connect; see [method@Usock.Socket.get_peer_credentials].
 *
 * Fails with `G_IO_ERROR_ADDRESS_IN_USE` if a living server has the path or it
 * is no socket, with `G_IO_ERROR_NOT_FOUND` if there is no such directory, with
 * `G_IO_ERROR_EXISTS` if the server listens already, which it goes on to do, and
 * with others of bind(2) and listen(2). The server may try again.
 *
 * Returns: whether the server listens
 *
 * Since: 1.0
 */
gboolean
usock_server_listen_on_path (UsockServer  *self,
                             const char   *path,
                             gint          backlog,
                             GError      **error)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  return server_listen (self, usock_name_new_for_path (path, error), backlog, error);
}

/**
 * usock_server_listen_on_address:
 * @self: a new server
 * @address: (transfer none): where to listen
 * @backlog: how many connections may wait to be accepted; 0 or less for as many as the system
 *   allows
 * @error: return location for an error
 *
 * Listens as [method@Usock.Server.listen_on_path] does, with the same errors.
 *
 * Returns: whether the server listens
 *
 * Since: 1.0
 */
gboolean
usock_server_listen_on_address (UsockServer     *self,
                                GSocketAddress  *address,
                                gint             backlog,
                                GError         **error)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (address), FALSE);

  return server_listen (self, usock_name_new_for_address (address, error), backlog, error);
}

/**
 * usock_server_get_active: (get-property active)
 * @self: a server
 *
 * Tells whether the server listens.
 *
 * Returns: whether it does
 *
 * Since: 1.0
 */
gboolean
usock_server_get_active (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  return USOCK_SOCKET (self)->state == USOCK_STATE_LISTENING;
}

/**
 * usock_server_get_path: (get-property path)
 * @self: a server
 *
 * Gets the path that the server listens on, or listened on before it was
 * closed.
 *
 * Returns: (nullable) (transfer none) (type filename): the path, absolute; %NULL if there
 *   is none
 *
 * Since: 1.0
 */
const char *
usock_server_get_path (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), NULL);

  return self->path;
}

/**
 * usock_server_get_n_connections: (get-property n-connections)
 * @self: a server
 *
 * Gets how many of the server's connections are not closed yet.
 *
 * Returns: how many
 *
 * Since: 1.0
 */
guint
usock_server_get_n_connections (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->n_connections;
}

/**
 * usock_server_get_mode: (get-property mode)
 * @self: a server
 *
 * Gets the permissions of the socket file.
 *
 * Returns: permission bits
 *
 * Since: 1.0
 */
guint
usock_server_get_mode (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->mode;
}

/**
 * usock_server_set_mode: (set-property mode)
 * @self: a server
 * @mode: permission bits
 *
 * Sets the permissions of the socket file, for the next time it listens.
 *
 * Since: 1.0
 */
void
usock_server_set_mode (UsockServer *self,
                       guint        mode)
{
  g_return_if_fail (USOCK_IS_SERVER (self));

  mode &= 07777;
  if (self->mode == mode)
    return;

  self->mode = mode;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MODE]);
}

/**
 * usock_server_get_unlink_on_close: (get-property unlink-on-close)
 * @self: a server
 *
 * Gets whether the path is removed when the server closes.
 *
 * Returns: whether to remove it
 *
 * Since: 1.0
 */
gboolean
usock_server_get_unlink_on_close (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->unlink_on_close;
}

/**
 * usock_server_set_unlink_on_close: (set-property unlink-on-close)
 * @self: a server
 * @unlink_on_close: whether to remove it
 *
 * Sets whether the path is removed when the server closes.
 *
 * Since: 1.0
 */
void
usock_server_set_unlink_on_close (UsockServer *self,
                                  gboolean     unlink_on_close)
{
  g_return_if_fail (USOCK_IS_SERVER (self));

  unlink_on_close = !!unlink_on_close;
  if (self->unlink_on_close == unlink_on_close)
    return;

  self->unlink_on_close = unlink_on_close;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_UNLINK_ON_CLOSE]);
}

/**
 * usock_server_get_max_fds: (get-property max-fds)
 * @self: a server
 *
 * Gets how many descriptors a message of a connection may have.
 *
 * Returns: how many; 0 if they are refused
 *
 * Since: 1.0
 */
guint
usock_server_get_max_fds (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->max_fds;
}

/**
 * usock_server_set_max_fds: (set-property max-fds)
 * @self: a server
 * @max_fds: how many; 0 if they are refused
 *
 * Sets how many descriptors a message of a connection may have, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_max_fds (UsockServer *self,
                          guint        max_fds)
{
  g_return_if_fail (USOCK_IS_SERVER (self));

  if (self->max_fds == max_fds)
    return;

  self->max_fds = max_fds;
  if (self->parent_instance.fd != -1)
    server_prepare_fd (self, self->parent_instance.fd);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_FDS]);
}

/**
 * usock_server_get_pass_credentials: (get-property pass-credentials)
 * @self: a server
 *
 * Gets whether messages carry the credentials of their senders.
 *
 * Returns: whether they do
 *
 * Since: 1.0
 */
gboolean
usock_server_get_pass_credentials (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->pass_credentials;
}

/**
 * usock_server_set_pass_credentials: (set-property pass-credentials)
 * @self: a server
 * @pass_credentials: whether they do
 *
 * Sets whether messages carry the credentials of their senders, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_pass_credentials (UsockServer *self,
                                   gboolean     pass_credentials)
{
  g_return_if_fail (USOCK_IS_SERVER (self));

  pass_credentials = !!pass_credentials;
  if (self->pass_credentials == pass_credentials)
    return;

  self->pass_credentials = pass_credentials;
  if (self->parent_instance.fd != -1)
    server_prepare_fd (self, self->parent_instance.fd);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_PASS_CREDENTIALS]);
}

/**
 * usock_server_get_allow_half_open: (get-property allow-half-open)
 * @self: a server
 *
 * Gets whether a connection stays open when its peer ends.
 *
 * Returns: whether it does
 *
 * Since: 1.0
 */
gboolean
usock_server_get_allow_half_open (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->allow_half_open;
}

/**
 * usock_server_set_allow_half_open: (set-property allow-half-open)
 * @self: a server
 * @allow_half_open: whether it does
 *
 * Sets whether a connection stays open when its peer ends, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_allow_half_open (UsockServer *self,
                                  gboolean     allow_half_open)
{
  g_return_if_fail (USOCK_IS_SERVER (self));

  allow_half_open = !!allow_half_open;
  if (self->allow_half_open == allow_half_open)
    return;

  self->allow_half_open = allow_half_open;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_ALLOW_HALF_OPEN]);
}

/**
 * usock_server_get_read_buffer_size: (get-property read-buffer-size)
 * @self: a server
 *
 * Gets the length of the longest message that is received whole.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint
usock_server_get_read_buffer_size (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->read_buffer_size;
}

/**
 * usock_server_set_read_buffer_size: (set-property read-buffer-size)
 * @self: a server
 * @read_buffer_size: bytes
 *
 * Sets the length of the longest message that is received whole, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_read_buffer_size (UsockServer *self,
                                   guint        read_buffer_size)
{
  g_return_if_fail (USOCK_IS_SERVER (self));

  read_buffer_size = CLAMP (read_buffer_size, 1, 64 * 1024 * 1024);
  if (self->read_buffer_size == read_buffer_size)
    return;

  self->read_buffer_size = read_buffer_size;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_READ_BUFFER_SIZE]);
}

/**
 * usock_server_get_queue_limit: (get-property queue-limit)
 * @self: a server
 *
 * Gets how much a connection may queue.
 *
 * Returns: bytes; 0 to queue nothing
 *
 * Since: 1.0
 */
guint64
usock_server_get_queue_limit (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->queue_limit;
}

/**
 * usock_server_set_queue_limit: (set-property queue-limit)
 * @self: a server
 * @queue_limit: bytes; 0 to queue nothing
 *
 * Sets how much a connection may queue, of the connections that come.
 *
 * Since: 1.0
 */
void
usock_server_set_queue_limit (UsockServer *self,
                              guint64      queue_limit)
{
  g_return_if_fail (USOCK_IS_SERVER (self));

  if (self->queue_limit == queue_limit)
    return;

  self->queue_limit = queue_limit;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_QUEUE_LIMIT]);
}
