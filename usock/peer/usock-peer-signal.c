/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-peer-private.h"

enum
{
  SIGNAL_CALL,
  SIGNAL_POSTED,
  N_SIGNALS,
};

static guint signals[N_SIGNALS];

gboolean
usock_peer_has_listener (UsockPeer *self)
{
  return g_signal_has_handler_pending (self, signals[SIGNAL_CALL], 0, FALSE)
         || g_signal_has_handler_pending (self, signals[SIGNAL_POSTED], 0, FALSE);
}

/* Returns whether there is anybody. */
gboolean
usock_peer_emit_call (UsockPeer *self,
                      UsockCall *call)
{
  if (!g_signal_has_handler_pending (self, signals[SIGNAL_CALL], 0, FALSE))
    return FALSE;

  g_signal_emit (self, signals[SIGNAL_CALL], 0, call);
  return TRUE;
}

void
usock_peer_emit_posted (UsockPeer    *self,
                        const char   *name,
                        UsockMessage *body)
{
  g_signal_emit (self, signals[SIGNAL_POSTED], 0, name, body);
}

/* From the class, once. */
void
usock_peer_install_signals (void)
{
  /**
   * UsockPeer::call:
   * @self: the peer
   * @call: what is asked
   *
   * Emitted for each call of the other side for whose name there is no handler
   * of its own, see [method@Usock.Peer.handle]. Whoever answers later keeps a
   * reference; if nobody does, and nobody answers, the caller gets an error.
   *
   * Since: 1.0
   */
  signals[SIGNAL_CALL] = g_signal_new ("call", USOCK_TYPE_PEER, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                       NULL, G_TYPE_NONE, 1, USOCK_TYPE_CALL);

  /**
   * UsockPeer::posted:
   * @self: the peer
   * @name: what it is about
   * @body: what came with it, empty and of the kind `NONE` if nothing did
   *
   * Emitted for each post of the other side, see [method@Usock.Peer.post]. The
   * descriptors of @body are closed with it.
   *
   * Since: 1.0
   */
  signals[SIGNAL_POSTED]
      = g_signal_new ("posted", USOCK_TYPE_PEER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE,
                      2, G_TYPE_STRING | G_SIGNAL_TYPE_STATIC_SCOPE, USOCK_TYPE_MESSAGE);
}
