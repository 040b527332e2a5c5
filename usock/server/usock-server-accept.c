/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <errno.h>
#include <unistd.h>

#include "usock-compat-private.h"

/* How many connections one turn takes. Then it is the others' turn. */
#define TURN_ACCEPTS 64

/* How long to leave the backlog alone when the process has no descriptors left, in ms. */
#define EXHAUSTED_DELAY_FIRST 10
#define EXHAUSTED_DELAY_LAST 1000

/* After how long without it the next time is another one, in us. */
#define EXHAUSTED_EPISODE (10 * G_USEC_PER_SEC)

/* Takes the descriptor over in any case. Nothing is delivered yet. */
static UsockChannel *
server_open_channel (UsockServer  *self,
                     int           fd,
                     GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (UsockChannel) channel = usock_server_new_channel (self);
  g_autofd int owned = fd;

  usock_socket_set_label (USOCK_SOCKET (channel), socket->label);
  if (!usock_channel_accept (channel, fd, error))
    return NULL;

  owned = -1;
  channel->withheld = TRUE;
  usock_server_note_opened (self, channel);
  return g_steal_pointer (&channel);
}

/* Without descriptors, or memory, connections stay in the backlog and make no further event; and
 * what has no remedy, like a listener that somebody shut down, must not be asked without end. One
 * error is told for the whole time it lasts, which is over when it has not happened for a while:
 * a server at its limit takes one connection for each that closes, and fails at the next. */
static void
server_exhausted (UsockServer  *self,
                  int           errnum,
                  const GError *error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  gint64 now = g_get_monotonic_time ();
  gboolean first = self->exhausted_by != errnum || self->exhausted_at == 0
                   || now - self->exhausted_at > EXHAUSTED_EPISODE;

  self->exhausted_by = errnum;
  self->exhausted_at = now;
  self->retry_delay = self->retry_delay == 0 ? EXHAUSTED_DELAY_FIRST
                                             : MIN (self->retry_delay * 2, EXHAUSTED_DELAY_LAST);
  usock_watch_set_deadline (&socket->watch,
                            now + self->retry_delay * G_GINT64_CONSTANT (1000));
  socket->watch.ready &= ~USOCK_READY_IN;

  if (first)
    usock_socket_emit_error (socket, error);
}

static void
server_accept_failed (UsockServer *self,
                      int          errnum)
{
  g_autoptr (GError) error = NULL;

  usock_socket_record (USOCK_SOCKET (self), USOCK_IO_ACCEPT, errnum);
  usock_error_set_errno (&error, errnum, _("Could not accept a connection on “%s”"),
                         USOCK_SOCKET (self)->label);
  server_exhausted (self, errnum, error);
}

/* What a handler does in between counts: it may have closed the channel, or the server. */
static void
server_let_in (UsockServer     *self,
               UsockChannel    *channel,
               const UsockPeer *peer)
{
  UsockSocket *socket = USOCK_SOCKET (channel);

  channel->withheld = FALSE;
  usock_watch_wake (&socket->watch);
  usock_server_enter (self, channel, peer);
  if (socket->state != USOCK_STATE_CLOSED)
    g_signal_emit (self, usock_server_signals[USOCK_SERVER_SIGNAL_CONNECTION], 0, channel);
}

static void
server_ask_handlers (UsockServer     *self,
                     UsockChannel    *channel,
                     const UsockPeer *peer)
{
  gboolean allowed;

  usock_server_count (self, peer, 1);
  allowed = usock_server_authorizes (self, channel);
  if (allowed && USOCK_SOCKET (self)->state == USOCK_STATE_LISTENING
      && USOCK_SOCKET (channel)->state != USOCK_STATE_CLOSED)
    {
      server_let_in (self, channel, peer);
      return;
    }

  usock_server_count (self, peer, -1);
  usock_socket_close (USOCK_SOCKET (channel));
  if (!allowed)
    usock_server_drop (self, peer);
}

static void
server_take_connection (UsockServer *self,
                        int          fd)
{
  g_autoptr (UsockChannel) channel = NULL;
  g_autoptr (GError) error = NULL;
  UsockPeer peer = { 0 };

  peer.known = usock_io_get_peer_credentials (fd, &peer.credentials) == 0;
  if (!usock_server_admits (self, &peer))
    {
      usock_io_close_guarded (fd, USOCK_SOCKET (self)->type == SOCK_STREAM);
      usock_server_drop (self, &peer);
      return;
    }

  channel = server_open_channel (self, fd, &error);
  if (channel != NULL)
    server_ask_handlers (self, channel, &peer);
  else
    {
      server_exhausted (self, 0, error);
      usock_server_drop (self, &peer);
    }
}

gboolean
usock_server_wanted (UsockSocket *socket)
{
  return (socket->watch.ready & USOCK_READY_IN) != 0 && !USOCK_SERVER (socket)->paused
         && g_signal_has_handler_pending (
             socket, usock_server_signals[USOCK_SERVER_SIGNAL_CONNECTION], 0, FALSE);
}

/* What fails for the sake of one connection says nothing of the next; but of so many, it does. */
void
usock_server_accept (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  guint failed = 0;

  for (guint n = 0; n < TURN_ACCEPTS; n++)
    {
      int fd;

      if (socket->state != USOCK_STATE_LISTENING || !usock_server_wanted (socket)
          || usock_reactor_is_inherited (socket->reactor))
        return;

      fd = usock_io_accept (socket->fd);
      if (fd >= 0)
        {
          self->retry_delay = 0;
          server_take_connection (self, fd);
        }
      else if (fd == -EAGAIN)
        socket->watch.ready &= ~USOCK_READY_IN;
      else if (!usock_server_may_accept_again (-fd) || ++failed == TURN_ACCEPTS)
        server_accept_failed (self, -fd);
      else
        usock_socket_record (socket, USOCK_IO_ACCEPT, -fd);
    }
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
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
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
