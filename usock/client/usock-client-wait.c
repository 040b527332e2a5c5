/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-client-private.h"

/**
 * usock_client_wait_async:
 * @self: a client that was started
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Waits until there is a connection: completes at once if there is one, or else when
 * [signal@Usock.Client::connected] was emitted.
 *
 * Since: 1.0
 */
void
usock_client_wait_async (UsockClient         *self,
                         GCancellable        *cancellable,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;

  g_return_if_fail (USOCK_IS_CLIENT (self));

  operation = usock_operation_new (self, usock_client_wait_async, callback, user_data);
  if (usock_client_check_started (self, &error))
    usock_client_await_link (self, operation, cancellable);
  else
    usock_client_fail_later (operation, error);
}

/**
 * usock_client_wait_finish:
 * @self: a client
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Client.wait_async]. Fails with `G_IO_ERROR_CANCELLED`, with
 * `G_IO_ERROR_CLOSED` if the client was stopped before, and with `G_IO_ERROR_NOT_CONNECTED` if it
 * was not started.
 *
 * Returns: (transfer full): the channel, which may be closed again
 *
 * Since: 1.0
 */
UsockChannel *
usock_client_wait_finish (UsockClient   *self,
                          GAsyncResult  *result,
                          GError       **error)
{
  gpointer channel = NULL;

  g_return_val_if_fail (USOCK_IS_CLIENT (self), NULL);

  usock_operation_propagate (result, self, usock_client_wait_async, &channel, error);
  return channel;
}
