/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-notify.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "usock-compat-private.h"
#include "usock-error-private.h"
#include "usock-io-private.h"

/* The manager names an abstract socket by “@” too, but knows no escapes. */
static UsockName *
notify_target (const char  *address,
               GError     **error)
{
  g_autofree char *escaped = NULL;
  g_auto (GStrv) parts = NULL;

  if (address[0] == '/')
    return usock_name_new_for_path (address, error);

  if (address[0] != '@')
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                   _("Could not notify the service manager: NOTIFY_SOCKET is “%s”, neither a path "
                     "nor an abstract name"),
                   address);
      return NULL;
    }

  parts = g_strsplit (address, "\\", -1);
  escaped = g_strjoinv ("\\\\", parts);
  return usock_name_new_for_path (escaped, error);
}

/**
 * usock_notify:
 * @state: what to tell, one or more `NAME=value` lines, `READY=1` for example
 * @fds: (array length=n_fds) (nullable): descriptors to hand over with `FDSTORE=1`; the caller
 *   keeps them
 * @n_fds: how many descriptors there are
 * @error: return location for an error
 *
 * Tells the service manager about this service, see sd_notify(3). The message
 * goes to the socket that the environment variable `NOTIFY_SOCKET` names; for
 * a program that no service manager started there is none, nothing is sent,
 * and that is no error.
 *
 * It never blocks: fails with `G_IO_ERROR_WOULD_BLOCK` if the manager does not
 * keep up, and with the errors of connect(2) and sendmsg(2).
 *
 * Returns: whether the message was sent, or nobody wants it
 *
 * Since: 1.0
 */
gboolean
usock_notify (const char  *state,
              const gint  *fds,
              gsize        n_fds,
              GError     **error)
{
  const char *address = g_getenv ("NOTIFY_SOCKET");
  g_autoptr (UsockName) target = NULL;
  g_autofd int fd = -1;
  struct iovec iov;
  UsockIoOutgoing outgoing = { .iov = &iov, .n_iov = 1, .fds = fds, .n_fds = n_fds };
  gssize result;

  g_return_val_if_fail (state != NULL, FALSE);
  g_return_val_if_fail (fds != NULL || n_fds == 0, FALSE);

  if (address == NULL || *address == '\0')
    return TRUE;

  target = notify_target (address, error);
  if (target == NULL)
    return FALSE;

  iov = (struct iovec) { (gpointer) state, strlen (state) };
  outgoing.destination = target;
  result = n_fds > USOCK_IO_FDS_MAX ? -EINVAL : usock_io_socket (AF_UNIX, SOCK_DGRAM, 0);
  if (result >= 0)
    {
      fd = result;
      result = usock_io_send (fd, &outgoing);
    }
  if (result >= 0)
    return TRUE;

  usock_error_set_errno (error, -result, _("Could not notify the service manager at “%s”"),
                         address);
  return FALSE;
}
