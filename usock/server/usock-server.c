/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

/**
 * UsockServer:
 *
 * Listens, and makes a channel of each connection that comes.
 *
 * Connections are accepted while somebody listens to
 * [signal@Usock.Server::connection] or waits with
 * [method@Usock.Server.accept_async], and also where the list of connections is
 * observed or something is broadcast to them; before, they wait in the backlog.
 * Each channel gets the server's settings, and keeps itself alive until it is
 * closed.
 *
 * A server is the list of the connections that it took and that are not closed
 * yet, the oldest first: a [iface@Gio.ListModel] of channels, which changes from
 * the main context only.
 *
 * Who may connect is decided by the permissions of the path, by
 * [property@Usock.Server:allowed-users], by the limits, and last by the handlers
 * of [signal@Usock.Server::authorize]. Whoever is refused is gone before anything
 * that it sent is delivered, and [signal@Usock.Server::drop] tells of it.
 *
 * A path is taken over if its owner is gone, and never if it is alive or no
 * socket; the file is there for its owner only, unless
 * [property@Usock.Server:mode] says otherwise, and is removed when the server
 * closes or the program exits. A service of one user needs no path but a name:
 * [ctor@Usock.Server.new_for_name] makes such a server in one line. And what a
 * service manager passed is taken with [method@Usock.Server.listen_activated].
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
struct _UsockServerClass
{
  UsockSocketClass parent_class;
};

G_DEFINE_TYPE_WITH_CODE (UsockServer, usock_server, USOCK_TYPE_SOCKET,
                         G_IMPLEMENT_INTERFACE (G_TYPE_LIST_MODEL, usock_server_model_init))

static void
server_do_what_is_due (UsockServer *self)
{
  gint64 now = g_get_monotonic_time ();

  if (self->retry_at > 0 && now >= self->retry_at)
    {
      self->retry_at = 0;
      usock_server_wake (self, TRUE);
    }
  if (self->unclaimed_at > 0 && now >= self->unclaimed_at)
    usock_server_check_claims (self);
  usock_server_schedule (self);
}

static void
usock_server_dispatch (UsockSocket *socket)
{
  UsockServer *self = USOCK_SERVER (socket);

  if (socket->watch.ready & USOCK_READY_DEADLINE)
    server_do_what_is_due (self);
  socket->watch.ready &= USOCK_READY_IN;

  usock_server_sweep_acceptors (self);
  if (self->announce)
    {
      self->announce = FALSE;
      g_signal_emit (self, usock_server_signals[USOCK_SERVER_SIGNAL_LISTENING], 0);
    }

  usock_server_hand_out_untaken (self);
  usock_server_accept (self, socket);
  if (self->untaken.length > 0 && socket->state == USOCK_STATE_LISTENING)
    usock_watch_sample (&socket->watch, !self->paused);
}

static gboolean
usock_server_wanted (UsockSocket *socket)
{
  UsockServer *self = USOCK_SERVER (socket);

  return usock_server_wants_from (self, socket)
         || (self->untaken.length > 0 && !self->paused && usock_server_is_awaited (self));
}

static void
usock_server_closing (UsockSocket *socket)
{
  UsockServer *self = USOCK_SERVER (socket);

  usock_server_close_listeners (self);
  usock_server_release_path (self);
}

static void
usock_server_finalize (GObject *object)
{
  UsockServer *self = USOCK_SERVER (object);

  usock_server_forget_untaken (self);
  usock_server_close_listeners (self);
  g_ptr_array_unref (self->listeners);
  usock_server_release_path (self);
  usock_server_forget_all (self);
  g_hash_table_unref (self->users);
  g_free (self->group);
  g_free (self->path);

  G_OBJECT_CLASS (usock_server_parent_class)->finalize (object);
}

static void
usock_server_class_init (UsockServerClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  UsockSocketClass *socket_class = (UsockSocketClass *) class;

  object_class->finalize = usock_server_finalize;

  socket_class->manages_options = TRUE;
  socket_class->dispatch = usock_server_dispatch;
  socket_class->wanted = usock_server_wanted;
  socket_class->lingers = usock_server_lingers;
  socket_class->finish = usock_server_finish;
  socket_class->orphaned = usock_server_orphaned;
  socket_class->notify_fd = usock_server_notify_fd;
  socket_class->closing = usock_server_closing;

  usock_server_install_properties (object_class);
  usock_server_install_signals ();
}

static void
usock_server_init (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  socket->family = AF_UNIX;
  socket->type = SOCK_SEQPACKET;
  self->users = g_hash_table_new (NULL, NULL);
  self->listeners = g_ptr_array_new_with_free_func (g_object_unref);
  self->unclaimed_timeout = 30 * 1000;
  self->send_timeout = 30 * 1000;
  self->high_water_mark = 64 * 1024;
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
  const gboolean accepts
      = socket_type == G_SOCKET_TYPE_SEQPACKET || socket_type == G_SOCKET_TYPE_STREAM;

  return g_object_new (USOCK_TYPE_SERVER, "socket-type",
                       accepts ? socket_type : G_SOCKET_TYPE_DATAGRAM, NULL);
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

  return usock_server_count_members (self);
}
