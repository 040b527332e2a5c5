/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-socket-private.h"

/* Where it fails, it leaves everything as it was; where it does not, nothing stands in the way of
 * usock_socket_give_away(). */
gboolean
usock_socket_surrender (UsockSocket  *self,
                        GBytes      **unread,
                        GError      **error)
{
  UsockSocketClass *class = USOCK_SOCKET_GET_CLASS (self);
  g_autoptr (GBytes) bytes = NULL;

  if (unread != NULL)
    *unread = NULL;

  if (self->state == USOCK_STATE_CLOSED || !class->immediate)
    {
      if (!usock_socket_check (self, error))
        return FALSE;
    }
  if (!class->surrender (self, &bytes, error))
    return FALSE;

  if (self->fd == -1)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED,
                           _("Could not give a socket away: none was made yet"));
      return FALSE;
    }
  if (bytes != NULL && unread == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                   P_("Could not give a socket away: %zu byte was read from it that nobody has "
                      "received yet",
                      "Could not give a socket away: %zu bytes were read from it that nobody has "
                      "received yet",
                      g_bytes_get_size (bytes)),
                   g_bytes_get_size (bytes));
      return FALSE;
    }

  if (unread != NULL)
    *unread = g_steal_pointer (&bytes);
  return TRUE;
}

/**
 * usock_socket_steal_fd:
 * @self: a socket
 * @unread: (out) (optional) (nullable) (transfer full): what was read from the descriptor and not
 *   received yet; %NULL if there is nothing
 * @error: return location for an error
 *
 * Takes the descriptor away from the socket, for other code to go on with, or another process.
 * The socket closes at once, without a touch on the connection: calls that wait end with
 * `G_IO_ERROR_CLOSED`, and [signal@Usock.Socket::close] follows. The path of a server, or of a
 * datagram socket, stays where it is.
 *
 * The options that usock had set for itself are as on a new socket again; those that the program
 * asked for, such as [property@Usock.Stream:no-delay], stay. A descriptor that usock made is
 * close-on-exec and does not block; one that was adopted is as it was.
 *
 * A stream may have read more than was received. Those bytes come in @unread, in order: who goes
 * on with the descriptor has them before everything that is still to be read from it. Where @unread
 * is %NULL and there are some, the call fails.
 *
 * Fails with `G_IO_ERROR_PENDING`, and changes nothing, if messages wait to be sent, see
 * [method@Usock.Channel.flush_async]; if messages of a packet or datagram socket were read ahead, or
 * descriptors on a stream, which bytes alone cannot stand for: they must be received first. It fails
 * with `G_IO_ERROR_NOT_CONNECTED` if a channel is not connected, with `G_IO_ERROR_NOT_INITIALIZED` if
 * there is no descriptor, and with `G_IO_ERROR_CLOSED`. A reset that is still to be reported is
 * reported here too.
 *
 * Returns: the descriptor, which is the caller's; -1 on error
 *
 * Since: 1.0
 */
gint
usock_socket_steal_fd (UsockSocket  *self,
                       GBytes      **unread,
                       GError      **error)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), -1);

  return usock_socket_surrender (self, unread, error) ? usock_socket_give_away (self) : -1;
}
