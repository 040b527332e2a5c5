/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-poll.h"

#include <errno.h>

#include "usock-socket-private.h"

/* What is known without asking the kernel: it would say nothing of a descriptor that is gone, and
 * nothing of what was read already. */
static guint
poll_known (UsockSocket *socket,
            guint        wanted)
{
  if (socket->fd == -1)
    return USOCK_POLL_NVAL;
  if ((wanted & USOCK_POLL_IN) != 0 && USOCK_SOCKET_GET_CLASS (socket)->holds_input (socket))
    return USOCK_POLL_IN;

  return USOCK_POLL_NONE;
}

/* Returns whether any is ready already. */
static gboolean
poll_prepare (UsockSocket   **sockets,
              gsize           n_sockets,
              const guint    *conditions,
              struct pollfd  *fds,
              guint          *ready)
{
  gboolean known = FALSE;

  for (gsize i = 0; i < n_sockets; i++)
    {
      guint wanted = conditions != NULL ? conditions[i] : USOCK_POLL_IN;

      fds[i] = (struct pollfd) { .fd = sockets[i]->fd, .events = (short) wanted };
      ready[i] = poll_known (sockets[i], wanted);
      known |= ready[i] != 0;
    }

  return known;
}

static void
poll_set_error (GError **error,
                int      errnum,
                gsize    n_sockets)
{
  usock_error_set_errno (
      error, errnum,
      P_("Could not wait for %zu socket", "Could not wait for %zu sockets", n_sockets), n_sockets);
}

/**
 * usock_poll:
 * @sockets: (array length=n_sockets): the sockets, handles and channels and servers alike
 * @n_sockets: how many there are
 * @conditions: (array length=n_conditions) (nullable): what to wait for, of each socket, as
 *   [flags@Usock.PollFlags]; none at all to wait for something to receive
 * @n_conditions: as many as there are sockets, or 0
 * @timeout: how long to wait, in milliseconds; -1 for ever
 * @cancellable: (nullable): what may end the waiting
 * @n_ready: (out): as many as there are sockets
 * @error: return location for an error
 *
 * Waits until something can be done with one of several sockets, see poll(2).
 * The main context does not run meanwhile. Errors and hang-ups are told whether
 * waited for or not, and a socket that has no descriptor, because it is closed,
 * is told to be `USOCK_POLL_NVAL`. A channel can be read also when its messages
 * have left the kernel, and wait to be delivered.
 *
 * Fails with `G_IO_ERROR_CANCELLED`, and with `G_IO_ERROR_INVALID_ARGUMENT` if
 * there are not as many conditions as sockets.
 *
 * Returns: (transfer full) (array length=n_ready): what each socket is ready for, as
 *   [flags@Usock.PollFlags]; all `USOCK_POLL_NONE` when the time is over. Free the array with
 *   g_free()
 *
 * Since: 1.0
 */
guint *
usock_poll (UsockSocket   **sockets,
            gsize           n_sockets,
            const guint    *conditions,
            gsize           n_conditions,
            gint            timeout,
            GCancellable   *cancellable,
            gsize          *n_ready,
            GError        **error)
{
  g_autofree struct pollfd *fds = g_new0 (struct pollfd, n_sockets + 1);
  g_autofree guint *ready = g_new0 (guint, n_sockets + 1);
  GPollFD cancelled = { .fd = -1 };
  int result;

  g_return_val_if_fail (sockets != NULL || n_sockets == 0, NULL);
  g_return_val_if_fail (n_ready != NULL, NULL);

  *n_ready = 0;
  for (gsize i = 0; i < n_sockets; i++)
    {
      g_return_val_if_fail (USOCK_IS_SOCKET (sockets[i]), NULL);
      if (!usock_socket_check_thread (sockets[i], error))
        return NULL;
    }
  if (n_conditions > 0 && n_conditions != n_sockets)
    {
      poll_set_error (error, EINVAL, n_sockets);
      return NULL;
    }

  if (poll_prepare (sockets, n_sockets, n_conditions > 0 ? conditions : NULL, fds, ready))
    timeout = 0;
  if (cancellable != NULL && !g_cancellable_make_pollfd (cancellable, &cancelled))
    cancelled.fd = -1;
  fds[n_sockets] = (struct pollfd) { .fd = cancelled.fd, .events = POLLIN };

  result = usock_io_poll (fds, (guint) n_sockets + 1, timeout);
  if (cancelled.fd != -1)
    g_cancellable_release_fd (cancellable);
  if (result < 0)
    {
      poll_set_error (error, -result, n_sockets);
      return NULL;
    }
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;

  for (gsize i = 0; i < n_sockets; i++)
    ready[i] |= (guint) fds[i].revents;
  *n_ready = n_sockets;
  return g_steal_pointer (&ready);
}
