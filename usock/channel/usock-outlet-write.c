/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-outlet-private.h"

#include <errno.h>

/* Segments of one message that leave without being joined; the kernel takes 1024. */
#define MESSAGE_IOV 64

/* What the kernel may take later. Only EAGAIN is followed by an event; memory, and descriptors
 * on their way that others of this user have not received, come back without one. */
gboolean
usock_outlet_may_send_later (int errnum)
{
  return errnum == EAGAIN || errnum == ENOBUFS || errnum == ENOMEM || errnum == ETOOMANYREFS;
}

static void
outgoing_take_fds (UsockIoOutgoing *outgoing,
                   UsockMessage    *message,
                   int             *fds)
{
  guint n_fds;
  const int *all = usock_message_peek_fds (message, &n_fds);

  /* Some may have been taken before the message was first sent. */
  for (guint i = 0; i < n_fds; i++)
    if (all[i] != -1)
      fds[outgoing->n_fds++] = all[i];
  outgoing->fds = fds;
}

/* On a byte stream descriptors and records leave with the first piece, whatever its size; sent
 * again, they would come again. */
gssize
usock_outlet_write_message (UsockOutlet  *self,
                            UsockRoute   *route,
                            UsockMessage *message,
                            gsize         sent)
{
  struct iovec iov[MESSAGE_IOV];
  UsockIoOutgoing outgoing = { .iov = iov, .destination = route->destination };
  UsockCredentials credentials;
  int fds[USOCK_IO_FDS_MAX];

  if (usock_message_peek_credentials (message, &credentials))
    outgoing.credentials = &credentials;
  if (sent == 0)
    {
      outgoing_take_fds (&outgoing, message, fds);
      outgoing.controls = usock_message_peek_controls (message, &outgoing.n_controls);
    }

  outgoing.n_iov = usock_message_get_iov (message, iov, MESSAGE_IOV);
  if (outgoing.n_iov > MESSAGE_IOV)
    {
      iov[0].iov_base = (gpointer) usock_message_get_data (message, &iov[0].iov_len);
      outgoing.n_iov = 1;
    }
  if (sent > 0)
    outgoing.n_iov = usock_io_advance_iov (iov, outgoing.n_iov, sent);

  return usock_io_send (self->fd, &outgoing);
}

static gssize
outlet_write_once (UsockOutlet   *self,
                   UsockRoute    *route,
                   UsockMessage  *message,
                   gconstpointer  data,
                   gsize          length)
{
  if (message != NULL)
    return usock_outlet_write_message (self, route, message, 0);
  if (route->destination == NULL)
    return usock_io_send_data (self->fd, data, length);

  return usock_io_send_data_to (self->fd, data, length, route->destination);
}

/* sendmmsg(2) does not say why it stopped half-way, and the kernel tells of a reset only once: what
 * it says afterwards is that the peer is gone. What left just before has hardly been read. */
static gssize
outlet_recall_reset (UsockOutlet *self,
                     gssize       result)
{
  if (result == -EAGAIN)
    return result;

  self->was_cut = FALSE;
  return result == -EPIPE ? -ECONNRESET : result;
}

/* What was refused, and then taken, was not what the refusal was of. */
static gssize
outlet_repair (UsockOutlet   *self,
               UsockRoute    *route,
               UsockMessage  *message,
               gconstpointer  data,
               gsize          length,
               gssize         result)
{
  gssize refusal = result;

  if (!self->funcs->repair (self, route, length, &result))
    return result;

  result = outlet_write_once (self, route, message, data, length);
  if (result < 0)
    self->funcs->repair (self, route, length, &result);
  else if (self->funcs->told != NULL)
    self->funcs->told (self, (int) -refusal);
  return result;
}

/* @message may be NULL, for plain bytes: nothing is allocated for what leaves at once. */
gssize
usock_outlet_write (UsockOutlet   *self,
                    UsockRoute    *route,
                    UsockMessage  *message,
                    gconstpointer  data,
                    gsize          length)
{
  gssize result;

  if (self->funcs->protect != NULL)
    self->funcs->protect (self, route);
  result = outlet_write_once (self, route, message, data, length);
  if (result < 0 && self->funcs->repair != NULL)
    result = outlet_repair (self, route, message, data, length, result);

  return self->was_cut ? outlet_recall_reset (self, result) : result;
}

/* How many of the messages can leave in one system call: those that are bytes only. */
guint
usock_outlet_gather (UsockOutlet      *self,
                     UsockMessage    **messages,
                     gsize             n_messages,
                     UsockIoOutgoing  *outgoing,
                     struct iovec     *iov)
{
  guint most = self->singly ? 1 : USOCK_IO_BATCH_MAX;
  guint n = 0, used = 0;

  while (n < MIN (n_messages, most))
    {
      UsockCredentials credentials;
      guint n_iov, n_controls;

      if (usock_message_get_n_fds (messages[n]) > 0
          || usock_message_peek_credentials (messages[n], &credentials)
          || usock_message_peek_controls (messages[n], &n_controls) != NULL)
        break;

      n_iov = usock_message_get_iov (messages[n], iov + used, USOCK_OUTLET_IOV - used);
      if (n_iov > USOCK_OUTLET_IOV - used)
        break;
      outgoing[n++] = (UsockIoOutgoing) { .iov = iov + used, .n_iov = n_iov };
      used += n_iov;
    }

  return n;
}

/* To the other end. How many left, or the negative errno of the first. */
int
usock_outlet_write_batch (UsockOutlet           *self,
                          UsockRoute            *route,
                          const UsockIoOutgoing *outgoing,
                          guint                  n_outgoing)
{
  int sent;

  if (self->funcs->protect != NULL)
    self->funcs->protect (self, route);
  sent = usock_io_send_batch (self->fd, outgoing, n_outgoing);
  if (sent < 0)
    return self->was_cut ? (int) outlet_recall_reset (self, sent) : sent;

  self->was_cut = (guint) sent < n_outgoing;
  return sent;
}

/* To a stream many messages are one piece of bytes, of which any part may leave. */
gssize
usock_outlet_write_joined (UsockOutlet           *self,
                           const UsockIoOutgoing *outgoing,
                           guint                  n_outgoing)
{
  const UsockIoOutgoing *last = &outgoing[n_outgoing - 1];
  UsockIoOutgoing joined = { .iov = outgoing->iov };

  joined.n_iov = last->iov + last->n_iov - joined.iov;
  return usock_io_send (self->fd, &joined);
}
