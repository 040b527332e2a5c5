/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-outlet-private.h"

#include <errno.h>

gboolean
usock_outlet_packet_fits (UsockOutlet *self,
                          gsize        length)
{
  return usock_io_make_room (self->fd, length) != -EMSGSIZE;
}

/* A message that is too large may fit once the buffer has grown, up to a limit that the system has
 * beside it; beyond that it says ENOBUFS whatever there is. */
gboolean
usock_outlet_repair_packet (UsockOutlet *self,
                            UsockRoute  *route,
                            gsize        length,
                            gssize      *result)
{
  if (*result == -ENOBUFS && length > USOCK_IO_MESSAGE_MAX)
    *result = -EMSGSIZE;

  return *result == -EMSGSIZE && usock_io_make_room (self->fd, length) == 0;
}

static void
outlet_settle_packets (UsockOutlet *self,
                       UsockRoute  *route,
                       int          n)
{
  while (n-- > 0)
    usock_outlet_settle_sent (self, route);
}

/* As many messages as leave in one system call, from the head on. 0 if the head has to go alone:
 * to somebody else than the other end, with more than bytes, or because it was mended. */
static int
outlet_give_batch (UsockOutlet *self,
                   UsockRoute  *route)
{
  UsockIoOutgoing outgoing[USOCK_IO_BATCH_MAX];
  UsockMessage *messages[USOCK_IO_BATCH_MAX];
  struct iovec iov[USOCK_OUTLET_IOV];
  UsockQueueItem *item;
  guint n = 0;
  gssize result;

  if (route->destination != NULL)
    return 0;

  while (n < USOCK_IO_BATCH_MAX && (item = usock_queue_peek (&route->queue, n)) != NULL
         && item->message != NULL)
    messages[n++] = item->message;
  n = usock_outlet_gather (self, messages, n, outgoing, iov);
  if (n < 2)
    return 0;

  result = usock_outlet_write_batch (self, route, outgoing, n);
  if (result < 0
      && self->funcs->repair (self, route, usock_message_get_length (messages[0]), &result))
    return 0;

  return (int) result;
}

int
usock_outlet_give_packets (UsockOutlet *self,
                           UsockRoute  *route,
                           gboolean    *progress)
{
  gssize result = outlet_give_batch (self, route);

  if (result == 0)
    {
      UsockMessage *head = usock_queue_peek (&route->queue, 0)->message;

      result = usock_outlet_write (self, route, head, NULL, usock_message_get_length (head));
      if (result >= 0)
        result = 1;
    }
  if (result < 0)
    return (int) result;

  *progress = TRUE;
  outlet_settle_packets (self, route, (int) result);
  return 0;
}

/* The messages of a stream that can leave in one system call: from the head, as far as they are
 * bytes only. Returns how many vectors they fill, or 0 if the head has to go by itself. */
static guint
outlet_gather_bytes (UsockRoute   *route,
                     struct iovec *iov)
{
  UsockQueueItem *item;
  guint used = 0;

  for (guint i = 0; (item = usock_queue_peek (&route->queue, i)) != NULL; i++)
    {
      UsockCredentials credentials;
      guint n_iov, n_controls;

      if (item->message == NULL || usock_message_peek_credentials (item->message, &credentials)
          || (usock_message_get_n_fds (item->message) > 0 && item->sent == 0)
          || (usock_message_peek_controls (item->message, &n_controls) != NULL && item->sent == 0))
        break;

      n_iov = usock_message_get_iov (item->message, iov + used, USOCK_OUTLET_IOV - used);
      if (n_iov > USOCK_OUTLET_IOV - used)
        break;
      used += usock_io_advance_iov (iov + used, n_iov, item->sent);
    }

  return used;
}

/* Some bytes of a stream have left, and with them the messages that end there. */
static void
outlet_settle_bytes (UsockOutlet *self,
                     UsockRoute  *route,
                     gsize        sent)
{
  UsockQueueItem *head;

  while ((head = usock_queue_peek (&route->queue, 0)) != NULL && head->message != NULL)
    {
      gsize rest = usock_message_get_length (head->message) - head->sent;

      if (rest > sent)
        {
          usock_outlet_advance (self, route, sent);
          return;
        }
      sent -= rest;
      usock_outlet_settle_sent (self, route);
    }
}

int
usock_outlet_give_bytes (UsockOutlet *self,
                         UsockRoute  *route,
                         gboolean    *progress)
{
  UsockQueueItem *head = usock_queue_peek (&route->queue, 0);
  struct iovec iov[USOCK_OUTLET_IOV];
  UsockIoOutgoing outgoing = { .iov = iov };
  gsize wanted = 0;
  gssize result;

  outgoing.n_iov = outlet_gather_bytes (route, iov);
  for (guint i = 0; i < outgoing.n_iov; i++)
    wanted += iov[i].iov_len;

  if (outgoing.n_iov == 0 && usock_message_get_length (head->message) > 0)
    result = usock_outlet_write_message (self, route, head->message, head->sent);
  else
    result = wanted > 0 ? usock_io_send (self->fd, &outgoing) : 0;

  if (result < 0)
    return (int) result;
  *progress = TRUE;
  outlet_settle_bytes (self, route, result);
  return (gsize) result < wanted ? -EAGAIN : 0;
}

static void
outlet_flush_route (UsockOutlet *self,
                    UsockRoute  *route)
{
  gboolean progress = FALSE;
  gboolean failed = FALSE;
  gboolean blocked = FALSE;

  route->retry_at = 0;
  while (route->queue.length > 0 && self->is_open && !blocked)
    {
      int result = 0;

      if (usock_queue_peek (&route->queue, 0)->message == NULL)
        usock_outlet_settle_sent (self, route);
      else
        result = self->funcs->give (self, route, &progress);

      blocked = result < 0 && usock_outlet_may_send_later (-result);
      if (blocked)
        self->funcs->blocked (self, route, -result, progress);
      else if (result < 0)
        self->funcs->failed (self, route, -result);
      failed |= result < 0 && !blocked;
    }

  if (progress)
    route->stalled_since = g_get_monotonic_time ();
  if (route->queue.length == 0 && (progress || failed))
    usock_outlet_set_blocked (self, route, FALSE);
}

typedef struct
{
  gint64 now;
  gboolean force;
} Flush;

static void
outlet_flush_due (UsockOutlet *self,
                  UsockRoute  *route,
                  gpointer     user_data)
{
  const Flush *flush = user_data;
  gboolean retry = route->retry_at > 0 && flush->now >= route->retry_at;
  UsockQueueItem *head;

  /* What a flush waited for may have been cancelled. */
  while ((head = usock_queue_peek (&route->queue, 0)) != NULL && head->message == NULL)
    usock_outlet_settle_sent (self, route);

  if (head != NULL && (!route->blocked || retry || flush->force))
    outlet_flush_route (self, route);
  else if (head == NULL && retry)
    {
      route->retry_at = 0;
      usock_outlet_set_blocked (self, route, FALSE);
    }
}

/* With @force also what waits for an event; events do not come for everything. */
void
usock_outlet_flush (UsockOutlet *self,
                    gint64       now,
                    gboolean     force)
{
  Flush flush = { now, force };

  if (self->n_corks > 0)
    return;

  if (force)
    usock_outlet_each_route (self, outlet_flush_due, &flush);
  else
    usock_outlet_each_active (self, outlet_flush_due, &flush);
}
