/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

static void
server_cut (UsockServer *self)
{
  g_autoptr (GPtrArray) channels = usock_server_list_channels (self);

  for (guint i = 0; i < channels->len; i++)
    {
      UsockChannel *channel = channels->pdata[i];

      if (usock_channel_socket (channel)->state == USOCK_STATE_CLOSED)
        continue;

      self->n_cut++;
      usock_socket_fail (usock_channel_socket (channel), usock_channel_new_cut_error (channel));
    }
}

/* The turns of a server that is closed, and waits for its connections. */
gboolean
usock_server_lingers (UsockSocket *socket)
{
  UsockServer *self = USOCK_SERVER (socket);
  gint64 now = g_get_monotonic_time ();

  usock_server_fail_acceptors (self);
  if (self->closer != NULL && usock_operation_is_cancelled (self->closer))
    usock_server_fail_operation (g_steal_pointer (&self->closer),
                                 g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                      _("The operation was cancelled")));

  if (self->close_due > 0 && now >= self->close_due)
    {
      self->close_due = 0;
      server_cut (self);
    }
  if (self->unclaimed_at > 0 && now >= self->unclaimed_at)
    usock_server_check_claims (self);
  usock_server_schedule (self);

  return self->n_unclosed > 0;
}

void
usock_server_finish (UsockSocket *socket)
{
  UsockServer *self = USOCK_SERVER (socket);
  g_autoptr (UsockOperation) closer = g_steal_pointer (&self->closer);

  self->close_due = 0;
  if (closer == NULL)
    return;

  usock_operation_return_pointer (closer, GUINT_TO_POINTER (self->n_cut), NULL);
  usock_operation_complete (closer);
}

/* Nobody is left to call back. */
void
usock_server_orphaned (UsockSocket *socket)
{
  UsockServer *self = USOCK_SERVER (socket);

  UsockOperation *operation;

  g_clear_object (&self->closer);
  while ((operation = g_queue_pop_head (&self->acceptors)) != NULL)
    g_object_unref (operation);
  usock_server_forget_untaken (self);
  usock_server_forget_all (self);
}

/* One that waits for its connections can still be closed gracefully. */
static gboolean
server_check_closable (UsockServer  *self,
                       GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  if (self->closer != NULL)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                           _("Could not close: the server is being closed already"));
      return FALSE;
    }

  return (socket->state == USOCK_STATE_CLOSED && self->n_unclosed > 0
          && usock_reactor_is_usable (socket->reactor))
         || usock_socket_check (socket, error);
}

/**
 * usock_server_close_gracefully_async:
 * @self: a server
 * @timeout: how long to take at the most, in milliseconds; -1 for ever, 0 not at all
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Closes the server so that its connections lose nothing. It takes no more of
 * them and gives its path up at once, and closes those that there are as
 * [method@Usock.Channel.close_gracefully_async] does. Completes when the last of
 * them is gone, directly before [signal@Usock.Socket::close]. A server that is
 * closed and waits for its connections can be closed so too, and one that never
 * listened is simply closed.
 *
 * When @timeout is over, connections that are still open fail with
 * `G_IO_ERROR_TIMED_OUT`: they are cut. Cancelling stops the waiting only.
 *
 * Since: 1.0
 */
void
usock_server_close_gracefully_async (UsockServer         *self,
                                     gint                 timeout,
                                     GCancellable        *cancellable,
                                     GAsyncReadyCallback  callback,
                                     gpointer             user_data)
{
  UsockSocket *socket;
  UsockOperation *operation;
  g_autoptr (GPtrArray) channels = NULL;
  GError *error = NULL;

  g_return_if_fail (USOCK_IS_SERVER (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_server_close_gracefully_async, callback,
                                 user_data))
    return;

  socket = USOCK_SOCKET (self);
  operation = usock_operation_new (self, usock_server_close_gracefully_async, callback, user_data);
  if (!server_check_closable (self, &error))
    {
      usock_server_fail_operation_later (operation, error);
      return;
    }

  usock_socket_close (socket);
  self->closer = operation;
  if (timeout >= 0)
    {
      self->close_due = g_get_monotonic_time () + timeout * G_GINT64_CONSTANT (1000);
      usock_server_schedule (self);
    }
  usock_server_watch_operation (self, operation, cancellable);

  channels = usock_server_list_channels (self);
  for (guint i = 0; i < channels->len; i++)
    usock_channel_close_gracefully_async (channels->pdata[i], -1, NULL, NULL, NULL);
}

/**
 * usock_server_close_gracefully_finish:
 * @self: a server
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Server.close_gracefully_async]. Fails with
 * `G_IO_ERROR_CANCELLED`, with `G_IO_ERROR_PENDING` if the server is being closed
 * so already, and with `G_IO_ERROR_CLOSED` if it was closed before.
 *
 * Returns: how many connections were cut, because they had not ended in time; -1 on failure
 *
 * Since: 1.0
 */
gint
usock_server_close_gracefully_finish (UsockServer   *self,
                                      GAsyncResult  *result,
                                      GError       **error)
{
  gpointer n_cut;

  g_return_val_if_fail (USOCK_IS_SERVER (self), -1);

  if (!usock_operation_propagate (result, self, usock_server_close_gracefully_async, &n_cut,
                                  error))
    return -1;

  return GPOINTER_TO_INT (n_cut);
}
