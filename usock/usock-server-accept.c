/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <errno.h>

#include "usock-compat-private.h"
#include "usock-seqpacket.h"
#include "usock-stream.h"

/* How many connections one turn takes. Then it is the others' turn. */
#define TURN_ACCEPTS 64

/* How long to leave the backlog alone when the process has no descriptors left, in ms. */
#define EXHAUSTED_DELAY_FIRST 10
#define EXHAUSTED_DELAY_LAST 1000

static void
server_connection_closed (UsockSocket *connection,
                          gpointer     user_data)
{
  UsockServer *self = user_data;

  self->n_connections--;
  usock_watch_wake (&USOCK_SOCKET (self)->watch);
}

static UsockChannel *
server_new_channel (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  UsockChannel *channel = socket->type == SOCK_STREAM ? USOCK_CHANNEL (usock_stream_new ())
                                                      : USOCK_CHANNEL (usock_seqpacket_new ());

  USOCK_SOCKET (channel)->family = socket->family;
  usock_channel_set_max_fds (channel, self->max_fds);
  usock_channel_set_pass_credentials (channel, self->pass_credentials);
  usock_channel_set_pass_pidfd (channel, self->pass_pidfd);
  usock_channel_set_allow_half_open (channel, self->allow_half_open);
  usock_channel_set_read_buffer_size (channel, self->read_buffer_size);
  usock_channel_set_queue_limit (channel, self->queue_limit);
  return channel;
}

static void
server_take_connection (UsockServer *self,
                        int          fd)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (UsockChannel) channel = server_new_channel (self);
  g_autoptr (GError) error = NULL;
  g_autofd int owned = fd;

  usock_socket_join (USOCK_SOCKET (channel), socket);
  usock_socket_set_label (USOCK_SOCKET (channel), socket->label);
  if (!usock_channel_accept (channel, fd, &error))
    {
      usock_socket_emit_error (socket, error);
      return;
    }

  owned = -1;
  self->n_connections++;
  usock_socket_set_closed (USOCK_SOCKET (channel), server_connection_closed, self);
  g_signal_emit (self, usock_server_signals[USOCK_SERVER_SIGNAL_CONNECTION], 0, channel);
}

/* Without descriptors, or memory, connections stay in the backlog and make no further event; and
 * what has no remedy, like a listener that somebody shut down, must not be asked without end. One
 * error is told for the whole time it lasts. */
static void
server_exhausted (UsockServer *self,
                  int          errnum)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  gboolean first = self->retry_delay == 0;
  g_autoptr (GError) error = NULL;

  self->retry_delay = first ? EXHAUSTED_DELAY_FIRST
                            : MIN (self->retry_delay * 2, EXHAUSTED_DELAY_LAST);
  self->retry_at = g_get_monotonic_time () + self->retry_delay * G_GINT64_CONSTANT (1000);
  usock_watch_set_deadline (&socket->watch, self->retry_at);
  socket->watch.ready &= ~USOCK_READY_IN;

  usock_socket_record (socket, USOCK_IO_ACCEPT, errnum);
  if (!first)
    return;

  usock_error_set_errno (&error, errnum, _("Could not accept a connection on “%s”"),
                         socket->label);
  usock_socket_emit_error (socket, error);
}

gboolean
usock_server_wanted (UsockSocket *socket)
{
  return (socket->watch.ready & USOCK_READY_IN) != 0
         && g_signal_has_handler_pending (socket, usock_server_signals[USOCK_SERVER_SIGNAL_CONNECTION], 0, FALSE);
}

void
usock_server_accept (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

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
      else if (fd == -ECONNABORTED || fd == -EPROTO)
        usock_socket_record (socket, USOCK_IO_ACCEPT, -fd); /* of that one connection */
      else
        server_exhausted (self, -fd);
    }
}
