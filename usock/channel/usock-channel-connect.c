/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>

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
  if (target != NULL && self->pending.connecting != NULL
      && !usock_channel_is_connection (self))
    {
      usock_error_set_errno (&error, EALREADY, _("Could not connect to “%s”"), target->label);
      g_clear_pointer (&target, usock_name_free);
    }
  if (target == NULL || !channel_connect (self, target, &error))
    {
      usock_channel_fail_operation (self, operation, error);
      return;
    }

  self->pending.connecting = operation;
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
 * @timeout: how long to wait, in milliseconds; -1 for ever, 0 not at all
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
                                            gint                 timeout,
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
  if (target != NULL && !usock_channel_is_connection (self))
    {
      usock_error_set_errno (&error, EOPNOTSUPP, _("Could not connect to “%s”"), target->label);
      g_clear_pointer (&target, usock_name_free);
    }

  usock_channel_leave_cancelled (self);
  /* What is connecting already goes on as it does. */
  if (usock_channel_socket (self)->state == USOCK_STATE_NEW)
    {
      self->approach.patient = TRUE;
      self->approach.patience = timeout;
    }
  channel_connect_async (self, target, error, cancellable, callback, user_data);
  if (usock_channel_socket (self)->state == USOCK_STATE_NEW)
    self->approach.patient = FALSE;
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
