/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-inlet-private.h"

#include <errno.h>

static int
inlet_found_nothing (UsockInlet *self,
                     guint       asked,
                     int         result)
{
  if (result == -EAGAIN)
    {
      self->emptied = TRUE;
      usock_eagerness_found_nothing (&self->eagerness, asked);
    }
  return result;
}

/* A batch opens the descriptors of all its messages at once, 253 each at the worst: where any may
 * come, messages are read one by one. */
static guint
inlet_get_eagerness (UsockInlet *self,
                     guint       max_messages)
{
  gboolean singly = self->max_fds > 0 || self->pass_pidfd || self->tally != NULL;

  return singly ? 1 : usock_eagerness_get (&self->eagerness, max_messages);
}

static int
inlet_take_packets (UsockInlet *self,
                    guint       max_messages)
{
  guint asked = inlet_get_eagerness (self, max_messages);
  int n = usock_io_receive (self->fd, self->batch, self->read_buffer_size, asked,
                            self->funcs->has_senders);
  gsize bytes;

  if (n < 0)
    return inlet_found_nothing (self, asked, n);

  self->count = usock_io_batch_count (self->batch, n, !self->funcs->has_senders, &bytes);
  self->at_end |= self->count < (guint) n;
  if (n == 1 && asked == 1 && self->is_level && usock_eagerness_is_calm (&self->eagerness))
    self->emptied = TRUE;
  else
    usock_eagerness_found (&self->eagerness, asked, n, bytes, usock_io_batch_n_slots (self->batch));
  return 0;
}

/* A datagram socket is told here what became of what it sent: a peer has turned away, or somewhere
 * in the network a message was refused. It is told once, and nothing is lost by it that we could
 * receive. */
static gboolean
inlet_forgives_datagrams (int errnum)
{
  switch (errnum)
    {
    case ECONNRESET:
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPROTO:
    case EMSGSIZE:
    case EACCES:
      return TRUE;
    default:
      return FALSE;
    }
}

/* Bytes that something came along with keep it with them. Where descriptors are missing from a
 * stream, nobody can tell any more to what the others belong. */
static int
inlet_put_aside (UsockInlet *self)
{
  UsockIncoming incoming;
  UsockMessage *message;

  usock_inlet_next_read (self, &incoming);
  message = usock_inlet_make_message (self, &incoming);
  if (self->max_fds == 0
      || (usock_message_get_flags (message) & USOCK_MESSAGE_FLAGS_FDS_LOST) == 0)
    {
      usock_queue_push (&self->inbox, message, NULL);
      return 0;
    }

  usock_message_unref (message);
  self->at_end = TRUE;
  self->lost_length = incoming.length;
  return -EMSGSIZE;
}

/* A read that is not filled has emptied the socket, unless it stopped short of something: it
 * does where descriptors or another sender's credentials come, and where out-of-band data is.
 * After a hang-up the end is still to be read. */
static gboolean
inlet_is_drained (UsockInlet          *self,
                  const UsockIoPacket *packet)
{
  return !packet->is_full && !self->pass_credentials && !self->may_hide;
}

static int
inlet_take_bytes (UsockInlet *self,
                  guint       max_messages)
{
  guint asked = usock_eagerness_get (&self->eagerness, 2);
  gssize result = usock_io_receive_bytes (self->fd, self->batch, self->read_buffer_size);
  UsockIoPacket packet;

  if (result <= 0)
    {
      /* The reset is the last that there is. */
      self->at_end = result == 0 || result == -ECONNRESET;
      return inlet_found_nothing (self, asked, (int) result);
    }

  self->count = 1;
  usock_eagerness_found (&self->eagerness, asked, asked, result, 2);
  self->eagerness.wanted = 2;
  usock_io_batch_get (self->batch, 0, &packet);
  if (packet.has_control)
    return inlet_put_aside (self);

  if (inlet_is_drained (self, &packet) && usock_eagerness_is_calm (&self->eagerness))
    {
      self->emptied = TRUE;
      self->eagerness.wanted = 1;
    }
  return 0;
}

const UsockInletFuncs usock_inlet_packets = { .take = inlet_take_packets };
const UsockInletFuncs usock_inlet_datagrams = {
  .take = inlet_take_packets,
  .forgives = inlet_forgives_datagrams,
  .has_senders = TRUE,
};
const UsockInletFuncs usock_inlet_bytes = { .take = inlet_take_bytes, .is_bytes = TRUE };

/* Everything that was read before must be taken. */
int
usock_inlet_fill (UsockInlet *self,
                  guint       max_messages)
{
  self->next = self->count = 0;
  self->emptied = FALSE;
  return self->funcs->take (self, max_messages);
}
