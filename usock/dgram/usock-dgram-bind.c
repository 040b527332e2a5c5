/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram-private.h"

#include <errno.h>

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

  if (name == NULL || !usock_dgram_open (self, name, error))
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
        usock_dgram_retreat (self);
      return FALSE;
    }

  if (self->claim != NULL)
    usock_path_set_unlink (self->claim, self->unlink_on_close);
  self->bound = self->announce = TRUE;
  usock_dgram_check_stows (self);
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
