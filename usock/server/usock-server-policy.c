/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <unistd.h>

static UsockAllowedUsers
server_find_allowed_users (UsockServer *self)
{
  if (self->allowed_users != USOCK_ALLOWED_USERS_DEFAULT)
    return self->allowed_users;

  return self->is_abstract ? USOCK_ALLOWED_USERS_SAME_USER : USOCK_ALLOWED_USERS_ANYONE;
}

/* Who is not known is nobody's user. */
static gboolean
server_allows_user (UsockServer     *self,
                    const UsockPeer *peer)
{
  UsockAllowedUsers allowed = server_find_allowed_users (self);

  if (allowed == USOCK_ALLOWED_USERS_ANYONE)
    return TRUE;
  if (!peer->known)
    return FALSE;

  return peer->credentials.uid == geteuid ()
         || (allowed == USOCK_ALLOWED_USERS_SAME_USER_OR_ROOT && peer->credentials.uid == 0);
}

static guint
server_count_user (UsockServer     *self,
                   const UsockPeer *peer)
{
  return GPOINTER_TO_UINT (
      g_hash_table_lookup (self->users, GUINT_TO_POINTER (peer->credentials.uid)));
}

/* What needs no handler to be decided, nor a channel. Those that are still judged count. */
gboolean
usock_server_admits (UsockServer     *self,
                     const UsockPeer *peer,
                     UsockDropReason *reason)
{
  if (!server_allows_user (self, peer)
      || (self->max_connections_per_user > 0 && !peer->known))
    *reason = USOCK_DROP_REASON_USER;
  else if (self->max_connections > 0 && self->n_counted >= self->max_connections)
    *reason = USOCK_DROP_REASON_MAX_CONNECTIONS;
  else if (self->max_connections_per_user > 0
           && server_count_user (self, peer) >= self->max_connections_per_user)
    *reason = USOCK_DROP_REASON_MAX_CONNECTIONS_PER_USER;
  else
    return TRUE;

  return FALSE;
}

/* From before the handlers are asked, which may run a main loop in which others come. */
void
usock_server_count (UsockServer     *self,
                    const UsockPeer *peer,
                    int              change)
{
  guint n;

  self->n_counted += change;
  if (!peer->known)
    return;

  n = server_count_user (self, peer) + change;
  if (n > 0)
    g_hash_table_insert (self->users, GUINT_TO_POINTER (peer->credentials.uid),
                         GUINT_TO_POINTER (n));
  else
    g_hash_table_remove (self->users, GUINT_TO_POINTER (peer->credentials.uid));
}

/* Also by a handler that is blocked. */
gboolean
usock_server_is_judged (UsockServer *self)
{
  return g_signal_has_handler_pending (self, usock_server_signals[USOCK_SERVER_SIGNAL_AUTHORIZE],
                                       0, TRUE);
}

/* A handler that is blocked, or that fails, has not allowed anything. */
gboolean
usock_server_authorizes (UsockServer  *self,
                         UsockChannel *channel)
{
  UsockVerdict verdict = USOCK_VERDICT_REFUSE;

  g_signal_emit (self, usock_server_signals[USOCK_SERVER_SIGNAL_AUTHORIZE], 0, channel, &verdict);
  return verdict == USOCK_VERDICT_ALLOW;
}

gboolean
usock_server_tells_drops (UsockServer *self)
{
  return g_signal_has_handler_pending (self, usock_server_signals[USOCK_SERVER_SIGNAL_DROP], 0,
                                       FALSE);
}

/* The descriptor is closed already, so the address has to be known. */
void
usock_server_drop (UsockServer     *self,
                   const UsockPeer *peer,
                   GSocketAddress  *address,
                   UsockDropReason  reason)
{
  g_autoptr (GCredentials) credentials = NULL;

  if (!usock_server_tells_drops (self))
    return;

  if (peer->known)
    {
      credentials = g_credentials_new ();
      g_credentials_set_native (credentials, G_CREDENTIALS_TYPE_LINUX_UCRED,
                                (gpointer) &peer->credentials);
    }
  g_signal_emit (self, usock_server_signals[USOCK_SERVER_SIGNAL_DROP], 0, credentials, address,
                 reason);
}

/**
 * usock_server_get_allowed_users: (get-property allowed-users)
 * @self: a server
 *
 * Gets whose connections are taken.
 *
 * Returns: whose
 *
 * Since: 1.0
 */
UsockAllowedUsers
usock_server_get_allowed_users (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), USOCK_ALLOWED_USERS_DEFAULT);

  return self->allowed_users;
}

/**
 * usock_server_set_allowed_users: (set-property allowed-users)
 * @self: a server
 * @allowed_users: whose
 *
 * Sets whose connections are taken, of those that come.
 *
 * Since: 1.0
 */
void
usock_server_set_allowed_users (UsockServer       *self,
                                UsockAllowedUsers  allowed_users)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  g_return_if_fail (allowed_users <= USOCK_ALLOWED_USERS_SAME_USER_OR_ROOT);
  usock_socket_return_if_not_ours (self);

  if (self->allowed_users == allowed_users)
    return;

  self->allowed_users = allowed_users;
  g_object_notify (G_OBJECT (self), "allowed-users");
}

/**
 * usock_server_get_max_connections: (get-property max-connections)
 * @self: a server
 *
 * Gets how many connections there may be at once.
 *
 * Returns: how many; 0 if there is no limit
 *
 * Since: 1.0
 */
guint
usock_server_get_max_connections (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->max_connections;
}

/**
 * usock_server_set_max_connections: (set-property max-connections)
 * @self: a server
 * @max_connections: how many; 0 for no limit
 *
 * Sets how many connections there may be at once. Those that there are stay.
 *
 * Since: 1.0
 */
void
usock_server_set_max_connections (UsockServer *self,
                                  guint        max_connections)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->max_connections == max_connections)
    return;

  self->max_connections = max_connections;
  g_object_notify (G_OBJECT (self), "max-connections");
}

/**
 * usock_server_get_max_connections_per_user: (get-property max-connections-per-user)
 * @self: a server
 *
 * Gets how many connections one user may have at once.
 *
 * Returns: how many; 0 if there is no limit
 *
 * Since: 1.0
 */
guint
usock_server_get_max_connections_per_user (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->max_connections_per_user;
}

/**
 * usock_server_set_max_connections_per_user: (set-property max-connections-per-user)
 * @self: a server
 * @max_connections_per_user: how many; 0 for no limit
 *
 * Sets how many connections one user may have at once. Those that there are
 * stay.
 *
 * Since: 1.0
 */
void
usock_server_set_max_connections_per_user (UsockServer *self,
                                           guint        max_connections_per_user)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->max_connections_per_user == max_connections_per_user)
    return;

  self->max_connections_per_user = max_connections_per_user;
  g_object_notify (G_OBJECT (self), "max-connections-per-user");
}
