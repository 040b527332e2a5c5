/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-socket-private.h"

#include <errno.h>

/* A user is in no more groups than 65536. */
#define ROOM_MAX (2 * 65536)

static gboolean
peer_check (UsockSocket  *self,
            GError      **error)
{
  if (self->fd != -1)
    return TRUE;

  g_set_error_literal (error, G_IO_ERROR,
                       self->state == USOCK_STATE_CLOSED ? G_IO_ERROR_CLOSED
                                                         : G_IO_ERROR_NOT_CONNECTED,
                       _("Could not get the credentials of a peer: there is no connection"));
  return FALSE;
}

static void
peer_set_error (UsockSocket  *self,
                int           errnum,
                GError      **error)
{
  if (errnum == ENODATA)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                           _("Could not get the credentials of a peer: the system does not know "
                             "them"));
      return;
    }

  usock_socket_record (self, USOCK_IO_GET_OPTION, errnum);
  if (errnum == ENOPROTOOPT || errnum == EOPNOTSUPP)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                         _("Could not get the credentials of a peer: the system does not tell"));
  else if (errnum == ESRCH || errnum == EINVAL)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                         _("Could not get the process of a peer: it has ended"));
  else
    usock_error_set_errno (error, errnum, _("Could not get the credentials of a peer"));
}

/**
 * usock_socket_get_peer_credentials:
 * @self: a connected socket
 * @error: return location for an error
 *
 * Gets who the peer is, or was: the kernel keeps what held when the connection
 * was made. Of a client that is the process that called connect(2), of a
 * server the one that called listen(2). See `SO_PEERCRED` in unix(7).
 *
 * A closed socket still knows it, so a handler of [signal@Usock.Socket::close]
 * may ask.
 *
 * Fails with `G_IO_ERROR_NOT_SUPPORTED` if the kernel does not know: for
 * datagrams, for a peer of another user namespace, and for the user `nobody`,
 * 65534 as a rule, whom it shows in place of all that it does not know. Unknown
 * is never told as a user or process that means something. Of a peer in another
 * pid namespace the user is known and the process is not: that is -1 then.
 *
 * A number may be given to another process once this one is gone: to look at
 * the process itself, see [method@Usock.Socket.dup_peer_pidfd].
 *
 * Returns: (transfer full): the credentials
 *
 * Since: 1.0
 */
GCredentials *
usock_socket_get_peer_credentials (UsockSocket  *self,
                                   GError      **error)
{
  GCredentials *credentials;
  int result;

  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return NULL;

  if (!self->peer_known && !peer_check (self, error))
    return NULL;

  result = usock_socket_find_peer (self);
  if (result < 0)
    {
      peer_set_error (self, -result, error);
      return NULL;
    }

  credentials = g_credentials_new ();
  g_credentials_set_native (credentials, G_CREDENTIALS_TYPE_LINUX_UCRED, &self->peer);
  return credentials;
}

/**
 * usock_socket_dup_peer_pidfd:
 * @self: a connected socket
 * @error: return location for an error
 *
 * Gets a descriptor of the process that the peer is, or was: the one that
 * [method@Usock.Socket.get_peer_credentials] tells of, and never another that got
 * its number later, for the kernel holds it from the moment it connected. It
 * polls readable once the process has ended; see `SO_PEERPIDFD` and
 * pidfd_open(2).
 *
 * Fails with `G_IO_ERROR_NOT_SUPPORTED` before Linux 6.5, and if the kernel does
 * not know the peer; with `G_IO_ERROR_NOT_FOUND` if the process has ended,
 * before Linux 6.16. There is no falling back on its number.
 *
 * Returns: a new descriptor, close-on-exec, which is the caller's; -1 on failure
 *
 * Since: 1.0
 */
gint
usock_socket_dup_peer_pidfd (UsockSocket  *self,
                             GError      **error)
{
  int result;

  g_return_val_if_fail (USOCK_IS_SOCKET (self), -1);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return -1;

  if (!peer_check (self, error))
    return -1;

  result = usock_io_get_peer_pidfd (self->fd);
  if (result >= 0)
    return result;

  peer_set_error (self, -result, error);
  return -1;
}

/**
 * usock_socket_get_peer_groups:
 * @self: a connected socket
 * @n_groups: (out): how many there are
 * @error: return location for an error
 *
 * Gets the supplementary groups that the peer was in when the connection was
 * made, see `SO_PEERGROUPS` in unix(7). Its first group is in the credentials,
 * and here only if it is in the list as well. Groups that have no number in our
 * user namespace are left out, and so is 65534, which stands for them.
 *
 * Fails with `G_IO_ERROR_NOT_SUPPORTED` if the kernel does not know them.
 *
 * Returns: (transfer full) (array length=n_groups): the groups; free the array with
 *   [func@GLib.free]
 *
 * Since: 1.0
 */
guint *
usock_socket_get_peer_groups (UsockSocket  *self,
                              gsize        *n_groups,
                              GError      **error)
{
  g_autofree guint *groups = NULL;
  gsize room = 32;
  int result;

  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);
  g_return_val_if_fail (n_groups != NULL, NULL);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return NULL;

  *n_groups = 0;
  if (!peer_check (self, error))
    return NULL;

  do
    {
      groups = g_renew (guint, groups, room);
      *n_groups = room;
      result = usock_io_get_peer_groups (self->fd, groups, n_groups);
      room = MAX (*n_groups, room * 2);
    }
  while (result == -ERANGE && room <= ROOM_MAX);

  if (result == 0)
    return g_steal_pointer (&groups);

  *n_groups = 0;
  peer_set_error (self, -result, error);
  return NULL;
}

/**
 * usock_socket_get_peer_security_label:
 * @self: a connected socket
 * @error: return location for an error
 *
 * Gets how the security module, SELinux or AppArmor for example, labels the
 * peer, see `SO_PEERSEC` in unix(7).
 *
 * Fails with `G_IO_ERROR_NOT_SUPPORTED` where no module labels sockets.
 *
 * Returns: (transfer full): the label
 *
 * Since: 1.0
 */
char *
usock_socket_get_peer_security_label (UsockSocket  *self,
                                      GError      **error)
{
  g_autofree char *label = NULL;
  gsize length, room = 256;
  int result;

  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return NULL;

  if (!peer_check (self, error))
    return NULL;

  do
    {
      label = g_realloc (label, room + 1);
      length = room;
      result = usock_io_get_peer_label (self->fd, label, &length);
      room = MAX (length, room * 2);
    }
  while (result == -ERANGE && room <= ROOM_MAX);

  if (result == 0)
    {
      label[length] = '\0';
      return g_steal_pointer (&label);
    }

  peer_set_error (self, -result, error);
  return NULL;
}
