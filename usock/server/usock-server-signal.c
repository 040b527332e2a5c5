/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include "usock-enums.h"

guint usock_server_signals[USOCK_SERVER_N_SIGNALS];

/* Whoever refuses decides. */
static gboolean
server_accumulate (GSignalInvocationHint *hint,
                   GValue                *verdict,
                   const GValue          *opinion,
                   gpointer               unused)
{
  gboolean allowed = g_value_get_enum (opinion) == USOCK_VERDICT_ALLOW;

  g_value_set_enum (verdict, allowed ? USOCK_VERDICT_ALLOW : USOCK_VERDICT_REFUSE);
  return allowed;
}

void
usock_server_install_signals (void)
{
  guint *signals = usock_server_signals;

  /**
   * UsockServer::listening:
   * @self: the server
   *
   * Emitted once when the server has started to listen.
   *
   * Since: 1.0
   */
  signals[USOCK_SERVER_SIGNAL_LISTENING]
      = g_signal_new ("listening", USOCK_TYPE_SERVER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 0);

  /**
   * UsockServer::connection:
   * @self: the server
   * @connection: a channel, which is open
   *
   * Emitted for each connection that was let in and that no
   * [method@Usock.Server.accept_async] waits for. Nothing is read from it before
   * somebody listens to it.
   *
   * Since: 1.0
   */
  signals[USOCK_SERVER_SIGNAL_CONNECTION]
      = g_signal_new ("connection", USOCK_TYPE_SERVER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 1, USOCK_TYPE_CHANNEL);

  /**
   * UsockServer::authorize:
   * @self: the server
   * @connection: a channel, which is open, and delivers nothing yet
   *
   * Emitted for each connection that the properties of the server allow, if
   * anybody listens, before [signal@Usock.Server::connection]. The connection is
   * refused if a handler says so, and then no more of them are asked; nothing in
   * place of a verdict, as a handler in a script that only starts something
   * returns, refuses too. What has to be found out first is found out later:
   * with [property@Usock.Server:pause-on-connect] a connection delivers nothing
   * until it is resumed, or closed.
   *
   * Returns: whether the connection is taken
   *
   * Since: 1.0
   */
  signals[USOCK_SERVER_SIGNAL_AUTHORIZE]
      = g_signal_new ("authorize", USOCK_TYPE_SERVER, G_SIGNAL_RUN_LAST, 0,
                      server_accumulate, NULL, NULL, USOCK_TYPE_VERDICT, 1,
                      USOCK_TYPE_CHANNEL);

  /**
   * UsockServer::drop:
   * @self: the server
   * @credentials: (nullable): who it was; %NULL if the system does not know
   * @address: (nullable): where it came from; %NULL if the peer has no address, as most on this
   *   machine
   * @reason: why it was refused
   *
   * Emitted for each connection that was refused. It is closed already, and
   * nothing was delivered of what it sent.
   *
   * Since: 1.0
   */
  signals[USOCK_SERVER_SIGNAL_DROP]
      = g_signal_new ("drop", USOCK_TYPE_SERVER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 3, G_TYPE_CREDENTIALS, G_TYPE_SOCKET_ADDRESS,
                      USOCK_TYPE_DROP_REASON);
}
