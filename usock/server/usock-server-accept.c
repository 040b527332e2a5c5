/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <unistd.h>

#include "usock-compat-private.h"

/* How many connections one turn takes. Then it is the others' turn. */
#define TURN_ACCEPTS 64

/* How long to leave the backlog alone when the process has no descriptors left, in ms. */
#define EXHAUSTED_DELAY_FIRST 10
#define EXHAUSTED_DELAY_LAST 1000

/* After how long without it the next time is another one, in us. */
#define EXHAUSTED_EPISODE (10 * G_USEC_PER_SEC)

/* What the listener has refused always, nobody could send to its connections. */
static void
server_close_fd (UsockSocket *listener,
                 int          fd)
{
  if (listener->sealed)
    close (fd);
  else
    usock_io_close (fd);
}

/* What a connection has from where it came; on AF_UNIX, the address too. */
static void
server_bequeath (UsockServer *self,
                 UsockSocket *listener,
                 UsockSocket *heir)
{
  GSocketAddress *address;

  heir->family = listener->family;
  heir->sealed = listener->sealed;
  if (!self->options_changed)
    heir->origin = USOCK_ORIGIN_HEIR;
  if (listener->family != AF_UNIX)
    return;

  /* Who comes to a path seldom has a name. */
  usock_socket_set_label (heir, listener->label);
  address = usock_socket_get_local_address (listener);
  if (address != NULL)
    heir->local_address = g_object_ref (address);
}

/* Takes the descriptor over if it succeeds. Nothing is delivered yet. */
static UsockChannel *
server_open_channel (UsockServer      *self,
                     UsockSocket      *listener,
                     const UsockPeer  *peer,
                     int               fd,
                     GError          **error)
{
  g_autoptr (UsockChannel) channel = usock_server_new_channel (self, error);

  if (channel == NULL)
    return NULL;

  server_bequeath (self, listener, USOCK_SOCKET (channel));
  if (!usock_channel_accept (channel, fd, error))
    return NULL;

  channel->withheld = TRUE;
  USOCK_SOCKET (channel)->peer_known = peer->known;
  USOCK_SOCKET (channel)->peer = peer->credentials;
  usock_server_note_opened (self, channel);
  return g_steal_pointer (&channel);
}

/* Without descriptors, or memory, connections stay in the backlog and make no further event; and
 * what has no remedy, like a listener that somebody shut down, must not be asked without end. One
 * error is told for the whole time it lasts, which is over when it has not happened for a while:
 * a server at its limit takes one connection for each that closes, and fails at the next. */
static void
server_exhausted (UsockServer  *self,
                  UsockSocket  *listener,
                  int           errnum,
                  const GError *error)
{
  gint64 now = g_get_monotonic_time ();
  gboolean first = self->exhausted_by != errnum || self->exhausted_at == 0
                   || now - self->exhausted_at > EXHAUSTED_EPISODE;

  self->exhausted_by = errnum;
  self->exhausted_at = now;
  self->retry_delay = self->retry_delay == 0 ? EXHAUSTED_DELAY_FIRST
                                             : MIN (self->retry_delay * 2, EXHAUSTED_DELAY_LAST);
  self->retry_at = now + self->retry_delay * G_GINT64_CONSTANT (1000);
  usock_server_schedule (self);
  listener->watch.ready &= ~USOCK_READY_IN;

  if (first)
    usock_socket_emit_error (USOCK_SOCKET (self), error);
}

static void
server_accept_failed (UsockServer *self,
                      UsockSocket *listener,
                      int          errnum)
{
  g_autoptr (GError) error = NULL;

  usock_socket_record (USOCK_SOCKET (self), USOCK_IO_ACCEPT, errnum);
  usock_error_set_errno (&error, errnum, _("Could not accept a connection on “%s”"),
                         listener->label);
  server_exhausted (self, listener, errnum, error);
}

/* What a handler does in between counts: it may have closed the channel, or the server. */
static void
server_let_in (UsockServer     *self,
               UsockChannel    *channel,
               const UsockPeer *peer)
{
  channel->withheld = FALSE;
  usock_watch_wake (&USOCK_SOCKET (channel)->watch);
  usock_server_enter (self, channel, peer);
  usock_server_hand_out (self, channel);
}

/* Where it comes from, if somebody might be told; NULL also for a peer that has no address. */
static GSocketAddress *
server_find_address (UsockServer *self,
                     int          fd)
{
  g_autoptr (GSocketAddress) address = NULL;

  if (usock_server_tells_drops (self))
    address = usock_io_get_remote_address (fd);
  if (address == NULL
      || (G_IS_UNIX_SOCKET_ADDRESS (address)
          && g_unix_socket_address_get_address_type (G_UNIX_SOCKET_ADDRESS (address))
                 == G_UNIX_SOCKET_ADDRESS_ANONYMOUS))
    return NULL;

  return g_steal_pointer (&address);
}

/* The address has to be found before anybody may have closed the descriptor. */
static void
server_ask_handlers (UsockServer     *self,
                     UsockChannel    *channel,
                     const UsockPeer *peer)
{
  g_autoptr (GSocketAddress) address = NULL;
  gboolean allowed = TRUE;

  usock_server_count (self, peer, 1);
  if (usock_server_is_judged (self))
    {
      address = server_find_address (self, USOCK_SOCKET (channel)->fd);
      allowed = usock_server_authorizes (self, channel);
    }
  if (allowed && USOCK_SOCKET (self)->state == USOCK_STATE_LISTENING
      && USOCK_SOCKET (channel)->state != USOCK_STATE_CLOSED)
    {
      server_let_in (self, channel, peer);
      return;
    }

  usock_server_count (self, peer, -1);
  usock_socket_close (USOCK_SOCKET (channel));
  if (!allowed)
    usock_server_drop (self, peer, address, USOCK_DROP_REASON_REFUSED);
}

static void
server_turn_away (UsockServer     *self,
                  UsockSocket     *listener,
                  int              fd,
                  const UsockPeer *peer,
                  UsockDropReason  reason)
{
  g_autoptr (GSocketAddress) address = server_find_address (self, fd);

  server_close_fd (listener, fd);
  usock_server_drop (self, peer, address, reason);
}

static void
server_take_connection (UsockServer *self,
                        UsockSocket *listener,
                        int          fd)
{
  g_autoptr (UsockChannel) channel = NULL;
  g_autoptr (GError) error = NULL;
  UsockPeer peer = { 0 };
  UsockDropReason reason;

  peer.known = usock_io_get_peer_credentials (fd, &peer.credentials) == 0;
  if (!usock_server_admits (self, &peer, &reason))
    {
      server_turn_away (self, listener, fd, &peer, reason);
      return;
    }

  channel = server_open_channel (self, listener, &peer, fd, &error);
  if (channel != NULL)
    {
      server_ask_handlers (self, channel, &peer);
      return;
    }

  server_exhausted (self, listener, 0, error);
  server_turn_away (self, listener, fd, &peer, USOCK_DROP_REASON_ERROR);
}

gboolean
usock_server_wants_from (UsockServer *self,
                         UsockSocket *listener)
{
  return (listener->watch.ready & USOCK_READY_IN) != 0 && !self->paused
         && usock_server_is_awaited (self);
}

/* What fails for the sake of one connection says nothing of the next; but of so many, it does. */
static void
server_accept_some (UsockServer *self,
                    UsockSocket *listener)
{
  guint failed = 0;

  for (guint n = 0; n < TURN_ACCEPTS; n++)
    {
      int fd;

      if (listener->state != USOCK_STATE_LISTENING || !usock_server_wants_from (self, listener)
          || usock_reactor_is_inherited (listener->reactor))
        return;

      fd = usock_io_accept (listener->fd);
      if (fd >= 0)
        {
          self->retry_delay = 0;
          server_take_connection (self, listener, fd);
        }
      else if (fd == -EAGAIN)
        listener->watch.ready &= ~USOCK_READY_IN;
      else if (!usock_server_may_accept_again (-fd) || ++failed == TURN_ACCEPTS)
        server_accept_failed (self, listener, -fd);
      else
        usock_socket_record (USOCK_SOCKET (self), USOCK_IO_ACCEPT, -fd);
    }
}

/* A turn of @listener, which is the server itself or another that it has. */
void
usock_server_accept (UsockServer *self,
                     UsockSocket *listener)
{
  gboolean readable;

  server_accept_some (self, listener);
  if (listener->state != USOCK_STATE_LISTENING)
    return;

  readable = (listener->watch.ready & USOCK_READY_IN) != 0 && !self->paused;
  if (usock_server_wants_from (self, listener))
    usock_watch_wake (&listener->watch);
  else
    usock_watch_sample (&listener->watch, readable);
}

/**
 * usock_server_pause:
 * @self: a server
 *
 * Takes no more connections for now: those that come wait in the backlog, and
 * when that is full, where they come from.
 *
 * Since: 1.0
 */
void
usock_server_pause (UsockServer *self)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->paused)
    return;

  self->paused = TRUE;
  g_object_notify (G_OBJECT (self), "paused");
}

/**
 * usock_server_resume:
 * @self: a server
 *
 * Goes on with taking connections after [method@Usock.Server.pause].
 *
 * Since: 1.0
 */
void
usock_server_resume (UsockServer *self)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (!self->paused)
    return;

  self->paused = FALSE;
  usock_server_wake (self, FALSE);
  g_object_notify (G_OBJECT (self), "paused");
}

/**
 * usock_server_get_paused: (get-property paused)
 * @self: a server
 *
 * Gets whether the server takes no connections for now.
 *
 * Returns: whether it is paused
 *
 * Since: 1.0
 */
gboolean
usock_server_get_paused (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), FALSE);

  return self->paused;
}
