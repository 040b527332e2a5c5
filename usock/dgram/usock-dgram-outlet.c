/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-dgram-private.h"

#include <errno.h>

/* Once the socket is closed its own end says it all. */
static void
dgram_lost (UsockOutlet  *outlet,
            UsockRoute   *base,
            const GError *error)
{
  UsockDgram *self = outlet->owner;

  if (!usock_channel_is_connected (USOCK_CHANNEL (self)))
    {
      USOCK_CHANNEL (self)->lost = TRUE;
      return;
    }

  usock_dgram_note_failure (self, usock_dgram_route_get_text ((UsockDgramRoute *) base),
                            g_error_copy (error));
}

/* Of one message: the socket has others to send, and stays open. */
static void
dgram_failed (UsockOutlet *outlet,
              UsockRoute  *base,
              int          errnum)
{
  UsockMessage *message = usock_queue_peek (&base->queue, 0)->message;
  g_autoptr (GError) error = NULL;

  usock_channel_set_send_error (outlet->owner, base, errnum, usock_message_get_length (message),
                                usock_message_get_n_fds (message), &error);
  usock_outlet_drop_head (outlet, base, error);
}

/* A failing send empties the receive queue of a connected datagram socket, see the kernel's
 * unix_dgram_sendmsg(). One that asks for credentials is given a name, and so may receive too. What
 * is empty has nothing to lose, and to look costs half of what reading does. */
static void
dgram_protect (UsockOutlet *outlet,
               UsockRoute  *base)
{
  UsockDgram *self = outlet->owner;

  if (base == outlet->route && (self->stows || USOCK_CHANNEL (self)->inlet.pass_credentials)
      && usock_io_has_input (outlet->fd))
    usock_channel_stow (USOCK_CHANNEL (self));
}

/* The kernel forgets a peer that is gone. Another may have its path by now. */
static gboolean
dgram_find_peer_again (UsockDgram *self)
{
  const UsockName *target = USOCK_CHANNEL (self)->approach.target;

  return target != NULL && usock_io_connect (USOCK_SOCKET (self)->fd, target) == 0;
}

/* What the socket has been told of an earlier message it says at the next call, whatever that is
 * for. On this machine it says that the peer is gone once, and then that there never was one. */
static gboolean
dgram_repair (UsockOutlet *outlet,
              UsockRoute  *base,
              gsize        length,
              gssize      *result)
{
  UsockDgram *self = outlet->owner;

  if (*result == -EDESTADDRREQ)
    *result = -ENOTCONN;
  if (*result == -ENOBUFS && length > USOCK_IO_MESSAGE_MAX)
    *result = -EMSGSIZE;
  if (*result == -EAGAIN)
    return usock_dgram_expand (self);
  if (USOCK_SOCKET (self)->family != AF_UNIX || *result == -ECONNRESET)
    return !usock_outlet_may_send_later (-*result);
  if (*result == -EMSGSIZE)
    return usock_io_make_room (outlet->fd, length) == 0;
  if ((*result != -ECONNREFUSED && *result != -ENOTCONN) || base != outlet->route)
    return FALSE;

  if (USOCK_CHANNEL (self)->approach.target != NULL)
    *result = -ECONNREFUSED;
  return dgram_find_peer_again (self);
}

/* In the network a receiver is not asked before something is sent to it. Who is connected is told
 * later that it was refused: at the next call, and of several at once. */
static void
dgram_told (UsockOutlet *outlet,
            int          errnum)
{
  UsockDgram *self = outlet->owner;
  GError *error = NULL;

  if (USOCK_SOCKET (self)->family == AF_UNIX || !self->connected
      || usock_outlet_may_send_later (errnum) || self->told == errnum)
    return;

  self->told = errnum;
  usock_socket_record (USOCK_SOCKET (self), USOCK_IO_SEND, errnum);
  usock_error_set_errno (&error, errnum, _("Could not send to “%s”"),
                         usock_channel_peer (USOCK_CHANNEL (self)));
  usock_dgram_note_failure (self, usock_dgram_route_get_text (self->peer), error);
}

static gboolean
dgram_fits (UsockOutlet *outlet,
            gsize        length)
{
  return USOCK_SOCKET (outlet->owner)->family != AF_UNIX
         || usock_outlet_packet_fits (outlet, length);
}

const UsockOutletFuncs usock_dgram_outlet = {
  .each_route = usock_dgram_each_route,
  .each_active = usock_dgram_each_active,
  .changed = usock_dgram_changed,
  .fits = dgram_fits,
  .give = usock_outlet_give_packets,
  .protect = dgram_protect,
  .repair = dgram_repair,
  .told = dgram_told,
  .blocked = usock_dgram_blocked,
  .failed = dgram_failed,
  .lost = dgram_lost,
};
