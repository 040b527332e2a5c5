/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

/* Takes both over. */
void
usock_server_fail_operation (UsockOperation *operation,
                             GError         *error)
{
  usock_operation_return_error (operation, error);
  usock_operation_complete (operation);
  g_object_unref (operation);
}

static void
server_cancel_operation (UsockOperation *operation)
{
  usock_server_fail_operation (operation, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                               _("The operation was cancelled")));
}

static gboolean
complete_later (gpointer operation)
{
  usock_operation_complete (operation);
  return G_SOURCE_REMOVE;
}

/* The same where no callback may be called yet. */
void
usock_server_fail_operation_later (UsockOperation *operation,
                                   GError         *error)
{
  usock_operation_return_error (operation, error);
  usock_reactor_call_later (complete_later, operation, g_object_unref);
}

/* In whatever thread cancels. */
static void
server_cancelled (GCancellable *cancellable,
                  UsockServer  *self)
{
  usock_watch_interrupt (&USOCK_SOCKET (self)->watch);
}

void
usock_server_watch_operation (UsockServer    *self,
                              UsockOperation *operation,
                              GCancellable   *cancellable)
{
  usock_operation_set_cancellable (operation, cancellable, G_CALLBACK (server_cancelled));
}

/* Calls back those that were cancelled; each may start and cancel others. */
void
usock_server_sweep_acceptors (UsockServer *self)
{
  GList *link = self->acceptors.head;

  while (link != NULL)
    {
      UsockOperation *operation = link->data;

      if (!usock_operation_is_cancelled (operation))
        {
          link = link->next;
          continue;
        }
      g_queue_delete_link (&self->acceptors, link);
      server_cancel_operation (operation);
      link = self->acceptors.head;
    }
}

static gboolean
server_has_handler (UsockServer *self)
{
  return g_signal_has_handler_pending (
      self, usock_server_signals[USOCK_SERVER_SIGNAL_CONNECTION], 0, FALSE);
}

/* Who finds connections in the list needs not be told of each. */
static gboolean
server_has_watcher (UsockServer *self)
{
  return self->has_broadcast || usock_server_is_observed (self);
}

/* Whoever will know of a connection counts as one who listens. */
gboolean
usock_server_is_awaited (UsockServer *self)
{
  return self->acceptors.length > 0 || server_has_handler (self) || server_has_watcher (self);
}

/* Gives @channel to who waits the longest, or else to the handlers; FALSE if there is nobody. A
 * call that was cancelled gets none, for nobody would look at it. */
static gboolean
server_give (UsockServer  *self,
             UsockChannel *channel)
{
  g_autoptr (UsockOperation) operation = NULL;

  usock_server_sweep_acceptors (self);
  operation = g_queue_pop_head (&self->acceptors);
  if (operation != NULL)
    {
      usock_operation_return_pointer (operation, g_object_ref (channel), g_object_unref);
      usock_operation_complete (operation);
      return TRUE;
    }

  if (!server_has_handler (self))
    return server_has_watcher (self);

  g_signal_emit (self, usock_server_signals[USOCK_SERVER_SIGNAL_CONNECTION], 0, channel);
  return TRUE;
}

/* One that was awaited when it was taken from the backlog, and no more when it was let in, waits
 * for the next who asks. */
void
usock_server_hand_out (UsockServer  *self,
                       UsockChannel *channel)
{
  if (USOCK_SOCKET (channel)->state != USOCK_STATE_CLOSED && !server_give (self, channel))
    g_queue_push_tail (&self->untaken, g_object_ref (channel));
}

void
usock_server_hand_out_untaken (UsockServer *self)
{
  while (self->untaken.length > 0 && !self->paused && usock_server_is_awaited (self))
    {
      g_autoptr (UsockChannel) channel = g_queue_pop_head (&self->untaken);

      if (USOCK_SOCKET (channel)->state == USOCK_STATE_CLOSED || server_give (self, channel))
        continue;
      g_queue_push_head (&self->untaken, g_steal_pointer (&channel));
      break;
    }
}

void
usock_server_forget_untaken (UsockServer *self)
{
  UsockChannel *channel;

  while ((channel = g_queue_pop_head (&self->untaken)) != NULL)
    {
      usock_socket_close (USOCK_SOCKET (channel));
      g_object_unref (channel);
    }
}

/* The server is closed: nobody will come, and nobody will ask for who came. */
void
usock_server_fail_acceptors (UsockServer *self)
{
  UsockOperation *operation;

  usock_server_forget_untaken (self);
  usock_server_sweep_acceptors (self);
  while ((operation = g_queue_pop_head (&self->acceptors)) != NULL)
    usock_server_fail_operation (
        operation, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CLOSED,
                                        _("Could not accept a connection: the server is closed")));
}

static gboolean
server_check_acceptable (UsockServer  *self,
                         GError      **error)
{
  if (!usock_socket_check (USOCK_SOCKET (self), error))
    return FALSE;
  if (USOCK_SOCKET (self)->state == USOCK_STATE_LISTENING)
    return TRUE;

  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED,
                       _("Could not accept a connection: the server does not listen yet"));
  return FALSE;
}

/**
 * usock_server_accept_async:
 * @self: a server that listens
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when there is a connection
 * @user_data: data for @callback
 *
 * Waits for a connection, as [signal@Usock.Server::connection] tells of one.
 * Each goes to the call that has waited longest, and to handlers of the signal
 * only if none does: a program uses the one or the other. While no call waits,
 * connections stay in the backlog.
 *
 * A call that was cancelled takes no connection: the next one gets it.
 *
 * Since: 1.0
 */
void
usock_server_accept_async (UsockServer         *self,
                           GCancellable        *cancellable,
                           GAsyncReadyCallback  callback,
                           gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;

  g_return_if_fail (USOCK_IS_SERVER (self));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_server_accept_async, callback,
                                 user_data))
    return;

  operation = usock_operation_new (self, usock_server_accept_async, callback, user_data);
  if (!server_check_acceptable (self, &error))
    {
      usock_server_fail_operation_later (operation, error);
      return;
    }

  g_queue_push_tail (&self->acceptors, operation);
  usock_server_watch_operation (self, operation, cancellable);
  usock_server_wake (self, FALSE);
}

/**
 * usock_server_accept_finish:
 * @self: a server
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Server.accept_async]. Fails with `G_IO_ERROR_CANCELLED`,
 * with `G_IO_ERROR_CLOSED` once the server is closed, and with
 * `G_IO_ERROR_NOT_INITIALIZED` if it does not listen yet.
 *
 * Returns: (transfer full): a channel, which is open
 *
 * Since: 1.0
 */
UsockChannel *
usock_server_accept_finish (UsockServer   *self,
                            GAsyncResult  *result,
                            GError       **error)
{
  gpointer channel;

  g_return_val_if_fail (USOCK_IS_SERVER (self), NULL);

  if (!usock_operation_propagate (result, self, usock_server_accept_async, &channel, error))
    return NULL;

  return channel;
}
