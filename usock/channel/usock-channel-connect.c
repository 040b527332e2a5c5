/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>

#include "usock-compat-private.h"

#define CONNECT_DELAY_FIRST 1
#define CONNECT_DELAY_LAST 50
#define CONNECT_DELAY_PATIENT 250

/* All that a socket is told before it is used. The rest of the world has no ends to tell from
 * messages, no descriptors and no credentials. A byte of a stream that is out of band would be
 * missing, were it not taken in line. */
int
usock_channel_prepare_fd (UsockChannel *self,
                          int           fd)
{
  gboolean stream = USOCK_CHANNEL_GET_CLASS (self)->stream;
  int result = stream ? usock_io_set_option (fd, SOL_SOCKET, SO_OOBINLINE, TRUE) : 0;

  if (result == 0 && USOCK_CHANNEL_GET_CLASS (self)->prepare != NULL)
    result = USOCK_CHANNEL_GET_CLASS (self)->prepare (self, fd);
  if (usock_channel_socket (self)->family != AF_UNIX)
    return result;

  if (result == 0 && !stream)
    result = usock_io_set_markers (fd);
  if (result == 0)
    result = usock_io_refuse_fds (fd, self->max_fds == 0);
  if (result == 0)
    result = usock_io_set_credentials (fd, self->pass_credentials);
  if (result == 0)
    result = usock_io_set_pidfds (fd, self->pass_pidfd);
  if (result < 0)
    usock_socket_record (usock_channel_socket (self), USOCK_IO_SET_OPTION, -result);

  return result;
}

void
usock_channel_opened (UsockChannel *self)
{
  self->last_activity = g_get_monotonic_time ();
  self->route->stalled_since = self->last_activity;
  usock_socket_set_state (usock_channel_socket (self),
                          self->ending ? USOCK_STATE_READ_ONLY : USOCK_STATE_OPEN);
  usock_watch_set_level (&usock_channel_socket (self)->watch,
                         !USOCK_CHANNEL_GET_CLASS (self)->connectionless);
  usock_channel_flush (self, TRUE);
  usock_channel_finish_writing (self);
  usock_channel_schedule (self);
}

/* From a turn: emits. Whoever waits stays where the end would find him: a handler may close the
 * channel and run a nested main loop. */
void
usock_channel_announce (UsockChannel *self)
{
  UsockOperation *connecting;

  self->announce = FALSE;
  g_signal_emit (self, usock_channel_signals[USOCK_CHANNEL_SIGNAL_CONNECT], 0);

  connecting = g_steal_pointer (&self->connecting);
  if (connecting != NULL)
    {
      usock_operation_return_pointer (connecting, NULL, NULL);
      usock_channel_complete (self, connecting);
      usock_channel_run_completed (self);
    }
}

static gboolean
channel_check_adoptable (UsockChannel  *self,
                         int            fd,
                         GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);
  int family = 0, type = 0, listening = 0;
  int result = usock_io_get_option (fd, SOL_SOCKET, SO_DOMAIN, &family);

  if (result == 0)
    result = usock_io_get_option (fd, SOL_SOCKET, SO_TYPE, &type);
  if (result == 0)
    result = usock_io_get_option (fd, SOL_SOCKET, SO_ACCEPTCONN, &listening);
  if (result == 0 && (type != socket->type || family != socket->family))
    result = -EPROTOTYPE;
  if (result < 0)
    {
      usock_socket_record (socket, USOCK_IO_GET_OPTION, -result);
      usock_error_set_errno (error, -result, _("Could not use descriptor %d as a socket"), fd);
      return FALSE;
    }

  if (USOCK_CHANNEL_GET_CLASS (self)->connectionless)
    return TRUE;

  if (listening || usock_io_peer_is_missing (fd))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                   listening ? _("Could not use descriptor %d as a connection: it listens")
                             : _("Could not use descriptor %d as a connection: it has no peer"),
                   fd);
      return FALSE;
    }

  return TRUE;
}

/* Takes a connected descriptor over if it succeeds. */
gboolean
usock_channel_accept (UsockChannel  *self,
                      int            fd,
                      GError       **error)
{
  int result = usock_channel_prepare_fd (self, fd);

  if (result < 0)
    {
      usock_error_set_errno (error, -result, _("Could not use descriptor %d as a connection"), fd);
      return FALSE;
    }

  if (!usock_socket_start (usock_channel_socket (self), fd, TRUE, error))
    return FALSE;

  usock_channel_socket (self)->watch.ready |= USOCK_READY_IN;
  usock_channel_opened (self);
  return TRUE;
}

/* The same for one of unknown origin; its flags stay as they are. */
gboolean
usock_channel_adopt (UsockChannel  *self,
                     int            fd,
                     GError       **error)
{
  return channel_check_adoptable (self, fd, error) && usock_channel_accept (self, fd, error);
}

gboolean
usock_channel_pair (UsockChannel  *self,
                    UsockChannel  *other,
                    GError       **error)
{
  g_autofd int first = -1;
  g_autofd int second = -1;
  int fds[2];
  int result = usock_io_pair (usock_channel_socket (self)->type, fds);

  if (result < 0)
    {
      usock_error_set_errno (error, -result, _("Could not make a pair of sockets"));
      return FALSE;
    }

  first = fds[0];
  second = fds[1];
  if (!usock_channel_adopt (self, first, error))
    return FALSE;
  first = -1;
  if (!usock_channel_adopt (other, second, error))
    {
      usock_socket_close (usock_channel_socket (self));
      return FALSE;
    }
  second = -1;
  return TRUE;
}

gboolean
usock_channel_check_connectable (UsockChannel  *self,
                                 const char    *label,
                                 GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);
  int errnum;

  if (socket->state == USOCK_STATE_CONNECTING)
    errnum = EALREADY;
  else if (usock_channel_is_connected (self))
    errnum = EISCONN;
  else
    return usock_socket_check (socket, error);

  usock_error_set_errno (error, errnum, _("Could not connect to “%s”"), label);
  return FALSE;
}

static gboolean
channel_check_target (UsockChannel     *self,
                      const UsockName  *target,
                      GError          **error)
{
  if (!usock_channel_check_connectable (self, target->label, error))
    return FALSE;
  if (target->native.any.sa_family == AF_UNIX || target->path != NULL)
    return TRUE;

  usock_error_set_errno (error, EAFNOSUPPORT, _("Could not connect to “%s”"), target->label);
  return FALSE;
}

static void
channel_set_connect_error (UsockChannel  *self,
                           UsockIoCall    call,
                           int            errnum,
                           GError       **error)
{
  usock_socket_record (usock_channel_socket (self), call, errnum);
  usock_error_set_errno (error, errnum, _("Could not connect to “%s”"), self->target->label);
}

/* How long to wait, in milliseconds. */
static guint
channel_get_patience (UsockChannel *self)
{
  return self->patient ? self->patience : self->connect_timeout;
}

/* EAGAIN means that the backlog is full. Nothing tells when it no longer is: to epoll, a socket
 * that is not connected looks writable and hung up for ever. So it is tried again by the clock,
 * with some jitter, that many who wait do not all come at once. */
static void
channel_wait_to_connect (UsockChannel *self,
                         gint64        now)
{
  self->connect_delay = MIN (MAX (self->connect_delay * 2, CONNECT_DELAY_FIRST),
                             self->patient ? CONNECT_DELAY_PATIENT : CONNECT_DELAY_LAST);
  self->connect_next = now
                       + self->connect_delay
                             * (gint64) g_random_int_range (750, 1250);
  if (self->connect_due > 0)
    self->connect_next = MIN (self->connect_next, self->connect_due);
  usock_channel_schedule (self);
}

/* A server that starts makes its path first and listens then; one that crashed leaves it. */
static gboolean
channel_may_connect_later (UsockChannel *self,
                           int           errnum)
{
  return errnum == EAGAIN
         || (self->patient && (errnum == ENOENT || errnum == ECONNREFUSED));
}

static gboolean
channel_try_connect (UsockChannel  *self,
                     int           *result,
                     GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);

  *result = usock_io_connect (socket->fd, self->target);
  if (channel_may_connect_later (self, -*result))
    return TRUE;
  if (*result < 0)
    {
      channel_set_connect_error (self, USOCK_IO_CONNECT, -*result, error);
      return FALSE;
    }
  return usock_socket_watch (socket, error);
}

static gboolean
channel_connect_fd (UsockChannel  *self,
                    GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);
  gint64 now = g_get_monotonic_time ();
  int result = usock_channel_prepare_fd (self, socket->fd);

  if (result < 0)
    {
      channel_set_connect_error (self, USOCK_IO_SET_OPTION, -result, error);
      return FALSE;
    }

  if (!channel_try_connect (self, &result, error))
    return FALSE;

  if (result == 0)
    {
      self->announce = TRUE;
      usock_channel_opened (self);
      return TRUE;
    }

  usock_socket_set_state (socket, USOCK_STATE_CONNECTING);
  self->connect_delay = 0;
  self->connect_due = channel_get_patience (self) > 0
                          ? now + channel_get_patience (self) * G_GINT64_CONSTANT (1000)
                          : 0;
  channel_wait_to_connect (self, now);
  return TRUE;
}

/* Takes @target over. What is known at once is told at once, and leaves the channel as it was. */
static gboolean
channel_connect (UsockChannel  *self,
                 UsockName     *target,
                 GError       **error)
{
  g_autoptr (UsockName) owned = target;

  return target != NULL
         && USOCK_CHANNEL_GET_CLASS (self)->connect (self, g_steal_pointer (&owned), error);
}

gboolean
usock_channel_connect_new (UsockChannel  *self,
                           UsockName     *target,
                           GError       **error)
{
  g_autoptr (UsockName) owned = target;
  UsockSocket *socket = usock_channel_socket (self);
  int fd;

  if (!channel_check_target (self, target, error))
    return FALSE;

  g_clear_pointer (&self->target, usock_name_free);
  self->target = g_steal_pointer (&owned);
  usock_socket_set_label (socket, self->target->label);

  fd = usock_io_socket (socket->family, socket->type, 0);
  if (fd < 0)
    {
      channel_set_connect_error (self, USOCK_IO_SOCKET, -fd, error);
      return FALSE;
    }

  if (!usock_socket_start (socket, fd, FALSE, error))
    g_assert_not_reached ();
  if (channel_connect_fd (self, error))
    return TRUE;

  usock_socket_retreat (socket);
  return FALSE;
}

void
usock_channel_retry_connect (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);
  gint64 now = usock_reactor_get_time (socket->reactor);
  GError *error = NULL;
  int result;

  if (now < self->connect_next)
    return;

  if (!channel_try_connect (self, &result, &error))
    usock_socket_fail (socket, error);
  else if (result == 0)
    {
      self->announce = TRUE;
      usock_channel_opened (self);
    }
  else if (self->connect_due > 0 && now >= self->connect_due)
    {
      usock_socket_record (socket, USOCK_IO_CONNECT, -result);
      usock_socket_fail (socket,
                         g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                      result == -EAGAIN
                                          ? _("Could not connect to “%s”: its backlog was full for "
                                              "%u milliseconds")
                                          : _("Could not connect to “%s”: nobody listened there "
                                              "for %u milliseconds"),
                                      self->target->label, channel_get_patience (self)));
    }
  else
    channel_wait_to_connect (self, now);
}

/* Back to NEW; whoever waits is told why, and may connect again right then. */
void
usock_channel_cancel_connect (UsockChannel *self)
{
  g_autoptr (GError) error = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                          _("Connecting to “%s” was cancelled"),
                                          usock_channel_peer (self));
  UsockSocket *socket = usock_channel_socket (self);
  UsockQueueItem item;

  usock_channel_fail_operation (self, g_steal_pointer (&self->connecting), g_error_copy (error));
  usock_channel_drop_queued (self, error);
  g_clear_error (&self->lost);
  while (usock_queue_pop (&self->enders, &item) || usock_queue_pop (&self->receivers, &item))
    usock_channel_fail_operation (self, item.operation, g_error_copy (error));
  if (self->closer != NULL)
    usock_channel_fail_operation (self, g_steal_pointer (&self->closer), g_error_copy (error));

  self->ending = FALSE;
  self->needs_drain = FALSE;
  self->close_due = 0;
  USOCK_CHANNEL_GET_CLASS (self)->stop_connecting (self);
  self->patient = FALSE;
  usock_socket_retreat (socket);
  usock_channel_run_completed (self);
}

/**
 * usock_channel_connect_to_path:
 * @self: a new channel
 * @path: (type filename): where the server listens; `@name` for an abstract name, in which
 *   `\\` stands for a backslash and `\xHH` for a byte
 * @error: return location for an error
 *
 * Connects to a server of this machine. A path may be as long as the file
 * system allows, and a relative one is fixed now. [signal@Usock.Channel::connect]
 * follows from the main context; what is sent before it is not lost.
 *
 * What is known at once is returned at once, without a signal, and the channel
 * may try again: `G_IO_ERROR_NOT_FOUND`, `G_IO_ERROR_CONNECTION_REFUSED` if
 * nobody listens there, `G_IO_ERROR_INVALID_ARGUMENT` if the server's socket is
 * of another type, `G_IO_ERROR_PERMISSION_DENIED`,
 * `G_IO_ERROR_FILENAME_TOO_LONG`, and others of connect(2). With
 * `G_IO_ERROR_PENDING` or `G_IO_ERROR_EXISTS` the channel is connecting or
 * connected already, and remains so; with `G_IO_ERROR_CLOSED` it is closed.
 *
 * If the server's backlog is full, the channel waits for a place, up to
 * [property@Usock.Channel:connect-timeout].
 *
 * Returns: whether the connection was made or is being made
 *
 * Since: 1.0
 */
gboolean
usock_channel_connect_to_path (UsockChannel  *self,
                               const char    *path,
                               GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  return channel_connect (self, usock_name_new_for_path (path, error), error);
}

/**
 * usock_channel_connect_to_address:
 * @self: a new channel
 * @address: (transfer none): where the server listens
 * @error: return location for an error
 *
 * Connects to a server as [method@Usock.Channel.connect_to_path] does, with
 * the same errors.
 *
 * Returns: whether the connection was made or is being made
 *
 * Since: 1.0
 */
gboolean
usock_channel_connect_to_address (UsockChannel    *self,
                                  GSocketAddress  *address,
                                  GError         **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (address), FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  return channel_connect (self, usock_name_new_for_address (address, error), error);
}

/**
 * usock_channel_connect_to_name:
 * @self: a new channel
 * @name: what the service is known by, `org.example.App` for one; no path
 * @error: return location for an error
 *
 * Connects to a service of the same user, one that listens by
 * [method@Usock.Server.listen_on_name]: on the path of that name in the directory
 * that the environment variable `XDG_RUNTIME_DIR` names. The rest is as in
 * [method@Usock.Channel.connect_to_path].
 *
 * Fails with `G_IO_ERROR_INVALID_FILENAME` if @name is empty or has a slash, with
 * `G_IO_ERROR_NOT_FOUND` if `XDG_RUNTIME_DIR` is not set or there is no such
 * service, with `G_IO_ERROR_PERMISSION_DENIED` if that directory belongs to
 * another user, and with the errors of [method@Usock.Channel.connect_to_path].
 *
 * Returns: whether the connection was made or is being made
 *
 * Since: 1.0
 */
gboolean
usock_channel_connect_to_name (UsockChannel  *self,
                               const char    *name,
                               GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);
  g_return_val_if_fail (name != NULL, FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  return channel_connect (self, usock_name_new_for_service (name, error), error);
}

/* Takes @target over; NULL with @error if there is none. Whoever cancelled before gets no
 * connection, which others would see come and go. */
static void
channel_connect_async (UsockChannel        *self,
                       UsockName           *target,
                       GError              *error,
                       GCancellable        *cancellable,
                       GAsyncReadyCallback  callback,
                       gpointer             user_data)
{
  UsockOperation *operation = usock_channel_new_operation (self, usock_channel_connect_async,
                                                           cancellable, callback, user_data);

  if (target != NULL && usock_operation_is_cancelled (operation))
    {
      usock_name_free (target);
      usock_channel_cancel_operation (self, operation);
      return;
    }

  /* A datagram socket is connected at once, and may be again; but `connect` is still to come. */
  if (target != NULL && self->connecting != NULL
      && USOCK_CHANNEL_GET_CLASS (self)->connectionless)
    {
      usock_error_set_errno (&error, EALREADY, _("Could not connect to “%s”"), target->label);
      g_clear_pointer (&target, usock_name_free);
    }
  if (target == NULL || !channel_connect (self, target, &error))
    {
      usock_channel_fail_operation (self, operation, error);
      return;
    }

  self->connecting = operation;
}

/**
 * usock_channel_connect_to_path_async:
 * @self: a new channel
 * @path: (type filename): where the server listens, as in
 *   [method@Usock.Channel.connect_to_path]
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Connects to a server of this machine, and completes when
 * [signal@Usock.Channel::connect] was emitted. When it is cancelled while
 * there is no connection yet, the channel is new again.
 *
 * Since: 1.0
 */
void
usock_channel_connect_to_path_async (UsockChannel        *self,
                                     const char          *path,
                                     GCancellable        *cancellable,
                                     GAsyncReadyCallback  callback,
                                     gpointer             user_data)
{
  GError *error = NULL;
  UsockName *target;

  g_return_if_fail (USOCK_IS_CHANNEL (self));
  g_return_if_fail (path != NULL);

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_connect_async, callback,
                                 user_data))
    return;

  target = usock_name_new_for_path (path, &error);
  channel_connect_async (self, target, error, cancellable, callback, user_data);
}

/**
 * usock_channel_connect_to_path_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.connect_to_path_async]. The errors are those of
 * [method@Usock.Channel.connect_to_path], and `G_IO_ERROR_TIMED_OUT`,
 * `G_IO_ERROR_CANCELLED` and `G_IO_ERROR_CLOSED`.
 *
 * Returns: whether the channel is connected
 *
 * Since: 1.0
 */
gboolean
usock_channel_connect_to_path_finish (UsockChannel  *self,
                                      GAsyncResult  *result,
                                      GError       **error)
{
  return usock_channel_connect_finish (self, result, error);
}

/**
 * usock_channel_connect_when_available_async:
 * @self: a new channel
 * @path: (type filename): where the server will listen, as in
 *   [method@Usock.Channel.connect_to_path]
 * @timeout: how long to wait, in milliseconds; 0 for ever
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Connects to a server of this machine that may not have started yet, or is
 * being restarted: as long as there is no such path, or nobody listens on it,
 * it is tried again, several times a second. What is sent meanwhile is not lost.
 * Completes when [signal@Usock.Channel::connect] was emitted.
 *
 * If nobody came when @timeout is over, the channel fails with
 * `G_IO_ERROR_TIMED_OUT` and closes; every other error of connecting ends the
 * waiting at once. When it is cancelled, the channel is new again. Datagrams have
 * no connection to wait for, and fail with `G_IO_ERROR_NOT_SUPPORTED`.
 *
 * Since: 1.0
 */
void
usock_channel_connect_when_available_async (UsockChannel        *self,
                                            const char          *path,
                                            guint                timeout,
                                            GCancellable        *cancellable,
                                            GAsyncReadyCallback  callback,
                                            gpointer             user_data)
{
  GError *error = NULL;
  UsockName *target;

  g_return_if_fail (USOCK_IS_CHANNEL (self));
  g_return_if_fail (path != NULL);

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_connect_async, callback,
                                 user_data))
    return;

  target = usock_name_new_for_path (path, &error);
  if (target != NULL && USOCK_CHANNEL_GET_CLASS (self)->connectionless)
    {
      usock_error_set_errno (&error, EOPNOTSUPP, _("Could not connect to “%s”"), target->label);
      g_clear_pointer (&target, usock_name_free);
    }

  /* What is connecting already goes on as it does. */
  if (usock_channel_socket (self)->state == USOCK_STATE_NEW)
    {
      self->patient = TRUE;
      self->patience = timeout;
    }
  channel_connect_async (self, target, error, cancellable, callback, user_data);
  if (usock_channel_socket (self)->state == USOCK_STATE_NEW)
    self->patient = FALSE;
}

/**
 * usock_channel_connect_when_available_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.connect_when_available_async]. The errors are those
 * of [method@Usock.Channel.connect_to_path_finish], but for
 * `G_IO_ERROR_NOT_FOUND` and `G_IO_ERROR_CONNECTION_REFUSED`.
 *
 * Returns: whether the channel is connected
 *
 * Since: 1.0
 */
gboolean
usock_channel_connect_when_available_finish (UsockChannel  *self,
                                             GAsyncResult  *result,
                                             GError       **error)
{
  return usock_channel_connect_finish (self, result, error);
}

/**
 * usock_channel_connect_async:
 * @self: a new channel
 * @address: (transfer none): where the server listens
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Connects to a server, and completes when [signal@Usock.Channel::connect]
 * was emitted. When it is cancelled while there is no connection yet, the
 * channel is new again.
 *
 * Since: 1.0
 */
void
usock_channel_connect_async (UsockChannel        *self,
                             GSocketAddress      *address,
                             GCancellable        *cancellable,
                             GAsyncReadyCallback  callback,
                             gpointer             user_data)
{
  GError *error = NULL;
  UsockName *target;

  g_return_if_fail (USOCK_IS_CHANNEL (self));
  g_return_if_fail (G_IS_SOCKET_ADDRESS (address));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_connect_async, callback,
                                 user_data))
    return;

  target = usock_name_new_for_address (address, &error);
  channel_connect_async (self, target, error, cancellable, callback, user_data);
}

/**
 * usock_channel_connect_finish:
 * @self: a channel
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Channel.connect_async], with the errors of
 * [method@Usock.Channel.connect_to_path_finish].
 *
 * Returns: whether the channel is connected
 *
 * Since: 1.0
 */
gboolean
usock_channel_connect_finish (UsockChannel  *self,
                              GAsyncResult  *result,
                              GError       **error)
{
  g_return_val_if_fail (USOCK_IS_CHANNEL (self), FALSE);

  return usock_operation_propagate (result, self, usock_channel_connect_async, NULL, error);
}
