/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

/**
 * usock_server_get_path: (get-property path)
 * @self: a server
 *
 * Gets the path that the server listens on, or listened on before it was
 * closed. Of a socket that it was given it is the one that was bound
 * elsewhere.
 *
 * Returns: (nullable) (transfer none) (type filename): the path, absolute; %NULL if there
 *   is none
 *
 * Since: 1.0
 */
const char *
usock_server_get_path (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), NULL);

  return self->path;
}

/**
 * usock_server_get_mode: (get-property mode)
 * @self: a server
 *
 * Gets the permissions of the socket file.
 *
 * Returns: permission bits
 *
 * Since: 1.0
 */
guint
usock_server_get_mode (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->mode;
}

/**
 * usock_server_set_mode: (set-property mode)
 * @self: a server
 * @mode: permission bits
 *
 * Sets the permissions of the socket file, for the next time it listens.
 *
 * Since: 1.0
 */
void
usock_server_set_mode (UsockServer *self,
                       guint        mode)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  mode &= 07777;
  if (self->mode == mode)
    return;

  self->mode = mode;
  g_object_notify (G_OBJECT (self), "mode");
}

/**
 * usock_server_get_group: (get-property group)
 * @self: a server
 *
 * Gets the group that the socket file is to belong to.
 *
 * Returns: (nullable) (transfer none): a name or number; %NULL if it is the system's choice
 *
 * Since: 1.0
 */
const char *
usock_server_get_group (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), NULL);

  return self->group;
}

/**
 * usock_server_set_group: (set-property group)
 * @self: a server
 * @group: (nullable): the name or the number of a group; %NULL for the system's choice
 *
 * Sets the group that the socket file belongs to, for the next time the server
 * listens. Who is not root can only give it to a group that he is in.
 *
 * Since: 1.0
 */
void
usock_server_set_group (UsockServer *self,
                        const char  *group)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (g_strcmp0 (self->group, group) == 0)
    return;

  g_free (self->group);
  self->group = g_strdup (group);
  g_object_notify (G_OBJECT (self), "group");
}

/**
 * usock_server_get_make_parents: (get-property make-parents)
 * @self: a server
 *
 * Gets whether the directories of the path that are missing are made.
 *
 * Returns: whether to make them
 *
 * Since: 1.0
 */
gboolean
usock_server_get_make_parents (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  return self->make_parents;
}

/**
 * usock_server_set_make_parents: (set-property make-parents)
 * @self: a server
 * @make_parents: whether to make them
 *
 * Sets whether the directories of the path that are missing are made, the next
 * time the server listens.
 *
 * Since: 1.0
 */
void
usock_server_set_make_parents (UsockServer *self,
                               gboolean     make_parents)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  make_parents = !!make_parents;
  if (self->make_parents == make_parents)
    return;

  self->make_parents = make_parents;
  g_object_notify (G_OBJECT (self), "make-parents");
}

/**
 * usock_server_get_unlink_on_close: (get-property unlink-on-close)
 * @self: a server
 *
 * Gets whether the path is removed when the server closes.
 *
 * Returns: whether to remove it
 *
 * Since: 1.0
 */
gboolean
usock_server_get_unlink_on_close (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->unlink_on_close;
}

/**
 * usock_server_set_unlink_on_close: (set-property unlink-on-close)
 * @self: a server
 * @unlink_on_close: whether to remove it
 *
 * Sets whether the path is removed when the server closes.
 *
 * Since: 1.0
 */
void
usock_server_set_unlink_on_close (UsockServer *self,
                                  gboolean     unlink_on_close)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  unlink_on_close = !!unlink_on_close;
  if (self->unlink_on_close == unlink_on_close)
    return;

  self->unlink_on_close = unlink_on_close;
  if (self->claim != NULL)
    usock_path_set_unlink (self->claim, unlink_on_close);
  g_object_notify (G_OBJECT (self), "unlink-on-close");
}
