/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

/* A unit that says nothing else names its socket after itself. */
static gboolean
server_listen_passed (UsockServer  *self,
                      const char   *name,
                      GError      **error)
{
  g_autofree char *unit = g_strconcat (name, ".socket", NULL);

  if (usock_server_listen_activated (self, name, error))
    return TRUE;
  if (error == NULL || !g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    return FALSE;

  g_clear_error (error);
  return usock_server_listen_activated (self, unit, error);
}

/* Of an app's directory only the one above it is sure to be there. */
static UsockName *
server_new_name (const char  *service,
                 GError     **error)
{
  UsockName *name = usock_name_new_for_own_service (service, error);

  if (name != NULL && g_file_test (g_getenv ("XDG_RUNTIME_DIR"), G_FILE_TEST_IS_DIR))
    usock_path_make_parents (name);
  return name;
}

/**
 * usock_server_listen_on_name:
 * @self: a new server
 * @name: what clients know the service by, `org.example.App` for one; no path
 * @backlog: how many connections may wait to be accepted; 0 or less for as many as the system
 *   allows
 * @error: return location for an error
 *
 * Listens where [method@Usock.Channel.connect_to_name] of the same user looks
 * for @name. If the service manager passed a socket with that name, or with that
 * name and `.socket`, it is that one, see
 * [method@Usock.Server.listen_activated]; else the path of that name in the
 * directory that the environment variable `XDG_RUNTIME_DIR` names. In a Flatpak
 * it is the app's own directory there, `app/` and `FLATPAK_ID`, which programs
 * outside see too: they find the service of an app if its name is the app's, or
 * begins with that and a dot.
 *
 * Fails with `G_IO_ERROR_INVALID_FILENAME` if @name is empty or has a slash, with
 * `G_IO_ERROR_NOT_FOUND` if `XDG_RUNTIME_DIR` is not set, with
 * `G_IO_ERROR_PERMISSION_DENIED` if that directory belongs to another user, and
 * with the errors of [method@Usock.Server.listen_on_path]. The server may try
 * again.
 *
 * Returns: whether the server listens
 *
 * Since: 1.0
 */
gboolean
usock_server_listen_on_name (UsockServer  *self,
                             const char   *name,
                             gint          backlog,
                             GError      **error)
{
  GError *failure = NULL;

  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);
  g_return_val_if_fail (name != NULL, FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  if (server_listen_passed (self, name, &failure))
    return TRUE;
  if (!g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    {
      g_propagate_error (error, failure);
      return FALSE;
    }

  g_error_free (failure);
  return usock_server_listen (self, server_new_name (name, error), backlog, error);
}

/**
 * usock_server_new_for_name: (constructor)
 * @name: what clients know the service by, `org.example.App` for one; no path
 * @error: return location for an error
 *
 * Makes a server for [class@Usock.Seqpacket] that listens, with all that is good
 * for a service of one user: see [method@Usock.Server.listen_on_name] for where.
 * Only programs of the same user may connect. A path that a program which was
 * killed has left is taken over, and ours is removed when the server is closed or
 * the program exits.
 *
 * For a [class@Usock.Stream], or to set something before it listens, make a
 * [ctor@Usock.Server.new] and have it [method@Usock.Server.listen_on_name].
 *
 * Fails with the errors of [method@Usock.Server.listen_on_name].
 *
 * Returns: (transfer full): a new server, which listens
 *
 * Since: 1.0
 */
UsockServer *
usock_server_new_for_name (const char  *name,
                           GError     **error)
{
  g_autoptr (UsockServer) self = NULL;

  g_return_val_if_fail (name != NULL, NULL);

  self = g_object_new (USOCK_TYPE_SERVER, NULL);
  usock_server_set_allowed_users (self, USOCK_ALLOWED_USERS_SAME_USER);
  if (!usock_server_listen_on_name (self, name, 0, error))
    return NULL;

  return g_steal_pointer (&self);
}
