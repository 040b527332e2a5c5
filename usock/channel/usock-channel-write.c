/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>
#include <inttypes.h>

#define RETRY_DELAY (10 * 1000)

static const char *
channel_route_label (UsockChannel *self,
                     UsockRoute   *route)
{
  return route->destination != NULL ? route->destination->label : usock_channel_peer (self);
}

/* For who has one route: an event tells of room, or else the clock does. */
void
usock_channel_wait_for_room (UsockOutlet *outlet,
                             UsockRoute  *route,
                             int          errnum,
                             gboolean     progress)
{
  UsockChannel *self = outlet->owner;

  usock_outlet_set_blocked (outlet, route, TRUE);
  if (errnum == EAGAIN)
    usock_watch_want_writable (&usock_channel_socket (self)->watch, TRUE);
  else
    route->retry_at = g_get_monotonic_time () + RETRY_DELAY;
  usock_channel_schedule (self);
}

/* The kernel tells why a connection broke once. Here that took the place that the reader would have
 * learned it from; what it can still read it shall. */
static gboolean
send_takes_reason (UsockChannel *self,
                   int           errnum)
{
  if (!usock_channel_is_connection (self))
    return FALSE;
  if (usock_channel_socket (self)->family != AF_UNIX)
    return errnum != EPIPE;

  return errnum == ECONNRESET;
}

void
usock_channel_set_send_error (UsockChannel  *self,
                              UsockRoute    *route,
                              int            errnum,
                              gsize          length,
                              guint          n_fds,
                              GError       **error)
{
  const char *label = channel_route_label (self, route);

  usock_socket_record (usock_channel_socket (self), USOCK_IO_SEND, errnum);

  if (errnum == EMSGSIZE)
    usock_socket_set_too_large (usock_channel_socket (self), length, label, error);
  else if (errnum == EPERM && n_fds > 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                 P_("Could not send %u descriptor to “%s”: the peer does not accept any",
                    "Could not send %u descriptors to “%s”: the peer does not accept any", n_fds),
                 n_fds, label);
  else
    usock_error_set_errno (error, errnum, _("Could not send to “%s”"), label);

  if (send_takes_reason (self, errnum))
    {
      GError *reset = NULL;

      usock_error_set_errno (&reset, errnum, _("Could not receive from “%s”"),
                             usock_channel_peer (self));
      usock_channel_break (self, reset);
    }
}

/* The oldest message will never be taken. Who waits for it is told; if nobody does, the channel
 * fails. A dead peer fails all that wait; so does a message of which the beginning has left, for
 * nothing else may come behind that. Who waits for the end waits for everything before it. */
static void
channel_send_failed (UsockOutlet *outlet,
                     UsockRoute  *route,
                     int          errnum)
{
  UsockChannel *self = outlet->owner;
  UsockQueueItem *head = usock_queue_peek (&route->queue, 0);
  gboolean peer_gone = errnum == EPIPE || errnum == ECONNRESET || errnum == ENOTCONN;
  gboolean torn = head->sent > 0 && !peer_gone;
  g_autoptr (GError) error = NULL;

  usock_channel_set_send_error (self, route, errnum, usock_message_get_length (head->message),
                                usock_message_get_n_fds (head->message), &error);
  if (torn)
    usock_channel_break (self, g_error_copy (error));
  if (torn || peer_gone)
    usock_outlet_drop_route (outlet, route, error);
  else
    usock_outlet_drop_head (outlet, route, error);

  if (self->lost)
    usock_pending_end_enders (&self->pending, error);
}

/* What was accepted must not vanish without a word. */
static void
channel_lost (UsockOutlet  *outlet,
              UsockRoute   *route,
              const GError *error)
{
  UsockChannel *self = outlet->owner;

  self->lost = TRUE;
  if (usock_channel_is_connected (self))
    usock_channel_break (self, g_error_copy (error));
}

const UsockOutletFuncs usock_channel_packets = {
  .fits = usock_outlet_packet_fits,
  .give = usock_outlet_give_packets,
  .repair = usock_outlet_repair_packet,
  .blocked = usock_channel_wait_for_room,
  .failed = channel_send_failed,
  .lost = channel_lost,
};

const UsockOutletFuncs usock_channel_bytes = {
  .give = usock_outlet_give_bytes,
  .blocked = usock_channel_wait_for_room,
  .failed = channel_send_failed,
  .lost = channel_lost,
};

static gboolean
channel_check_sendable (UsockChannel  *self,
                        GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (G_LIKELY ((socket->state == USOCK_STATE_OPEN || socket->state == USOCK_STATE_WRITE_ONLY
                 || socket->state == USOCK_STATE_CONNECTING)
                && !self->ending))
    return usock_socket_check (socket, error);

  if (!usock_socket_check_thread (socket, error))
    return FALSE;
  if (socket->state == USOCK_STATE_NEW)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                         _("Could not send: the channel is not connected"));
  else if (socket->state == USOCK_STATE_CLOSED)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                 _("Could not send to “%s”: the channel is closed"), usock_channel_peer (self));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                 _("Could not send to “%s”: our side has ended already"),
                 usock_channel_peer (self));
  return FALSE;
}

/* Whether one more may wait. A message that the kernel would never take must not get into the queue
 * either: later there is nobody to tell. */
static gboolean
channel_check_room (UsockChannel  *self,
                    UsockRoute    *route,
                    gsize          length,
                    guint          n_fds,
                    gboolean       unlimited,
                    GError       **error)
{
  UsockOutlet *outlet = &self->outlet;

  if (outlet->funcs->fits != NULL && !outlet->funcs->fits (outlet, length))
    {
      usock_channel_set_send_error (self, route, EMSGSIZE, length, n_fds, error);
      return FALSE;
    }
  if (unlimited || usock_outlet_has_room (outlet, length, n_fds))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
               _("Could not send to “%s”: the peer does not keep up, and %" PRIu64
                 " bytes are queued"),
               channel_route_label (self, route), outlet->queued_cost);
  return FALSE;
}

/* Takes both references over. */
void
usock_channel_enqueue (UsockChannel   *self,
                       UsockRoute     *route,
                       UsockMessage   *message,
                       UsockOperation *operation)
{
  usock_outlet_enqueue (&self->outlet, route, message, operation);
  usock_channel_schedule (self);
}

static void
channel_sent_all (UsockChannel   *self,
                  UsockMessage   *message,
                  gsize           length,
                  UsockOperation *operation)
{
  if (message != NULL)
    usock_message_freeze (message);
  usock_outlet_note_sent (&self->outlet, length);
  usock_channel_note_activity (self);
  if (operation != NULL)
    usock_channel_succeed_operation (self, operation);
}

/* A message that has begun to leave is accepted, whatever the limit says: on a stream, nothing
 * else may come before its rest. */
static void
channel_sent_part (UsockChannel   *self,
                   UsockRoute     *route,
                   UsockMessage   *message,
                   gconstpointer   data,
                   gsize           length,
                   gsize           sent,
                   UsockOperation *operation)
{
  UsockOutlet *outlet = &self->outlet;

  if (message != NULL)
    {
      usock_channel_enqueue (self, route, usock_message_ref (message), operation);
      usock_outlet_advance (outlet, route, sent);
    }
  else
    {
      usock_channel_enqueue (self, route,
                             usock_message_new ((const guint8 *) data + sent, length - sent),
                             operation);
      usock_outlet_note_bytes (outlet, sent);
    }
  usock_channel_note_activity (self);
  outlet->funcs->blocked (outlet, route, EAGAIN, TRUE);
}

/* The kernel takes it, or some of it, now. FALSE with @error set if it never will, and without if it
 * may later. */
G_ALWAYS_INLINE static inline gboolean
channel_send_now (UsockChannel   *self,
                  UsockRoute     *route,
                  UsockMessage   *message,
                  gconstpointer   data,
                  gsize           length,
                  UsockOperation *operation,
                  GError        **error)
{
  UsockOutlet *outlet = &self->outlet;
  gssize result = usock_outlet_write (outlet, route, message, data, length);

  if (result == (gssize) length)
    channel_sent_all (self, message, length, operation);
  else if (result >= 0)
    channel_sent_part (self, route, message, data, length, result, operation);
  else if (usock_outlet_may_send_later (-result))
    outlet->funcs->blocked (outlet, route, -result, FALSE);
  else
    usock_channel_set_send_error (self, route, -result, length,
                                  message != NULL ? usock_message_get_n_fds (message) : 0, error);
  return result >= 0;
}

/* As if it could go now: only whether it may be sent at all. */
static gboolean
channel_check_message (UsockChannel  *self,
                       UsockMessage  *message,
                       gsize          length,
                       GError       **error)
{
  if (!channel_check_sendable (self, error))
    return FALSE;

  return message == NULL || usock_message_get_n_fds (message) == 0
         || USOCK_CHANNEL_GET_CLASS (self)->check_fds (self, length, error);
}

/* Takes what is needed of the message if there is room for it. */
static gboolean
channel_send_later (UsockChannel    *self,
                    UsockRoute      *route,
                    UsockMessage    *message,
                    gconstpointer    data,
                    gsize            length,
                    UsockOperation  *operation,
                    GError         **error)
{
  guint n_fds = message != NULL ? usock_message_get_n_fds (message) : 0;

  if (!channel_check_room (self, route, length, n_fds, operation != NULL, error))
    return FALSE;

  usock_channel_enqueue (self, route,
                         message != NULL ? usock_message_ref (message)
                                         : usock_message_new (data, length),
                         operation);
  return TRUE;
}

/* The way that nearly all go: two calls less are a sixth of what it takes. */
G_ALWAYS_INLINE static inline gboolean
channel_send_plain (UsockChannel    *self,
                    UsockRoute      *route,
                    UsockMessage    *message,
                    gconstpointer    data,
                    gsize            length,
                    UsockOperation  *operation,
                    GError         **error)
{
  GError *reason = NULL;

  if (!channel_check_message (self, message, length, error))
    return FALSE;
  if (operation != NULL && usock_operation_is_cancelled (operation))
    {
      usock_channel_cancel_operation (self, operation);
      return TRUE;
    }

  if (usock_outlet_may_send_now (&self->outlet, route)
      && channel_send_now (self, route, message, data, length, operation, &reason))
    return TRUE;
  if (reason == NULL)
    return channel_send_later (self, route, message, data, length, operation, error);

  g_propagate_error (error, reason);
  return FALSE;
}

/* What may be too large for the kernel, and so has to be asked for. */
#define LARGE (64 * 1024)

/* Whether it goes in a memory file. A message that has descriptors would be another then. */
static gboolean
channel_wraps (UsockChannel *self,
               UsockMessage *message,
               gsize         length)
{
  UsockOutlet *outlet = &self->outlet;

  return self->memfd_fallback && length > LARGE && outlet->funcs->fits != NULL
         && usock_channel_socket (self)->family == AF_UNIX
         && (message == NULL || usock_message_get_n_fds (message) == 0)
         && (length > USOCK_IO_MESSAGE_MAX || !outlet->funcs->fits (outlet, length));
}

static UsockMessage *
channel_wrap (UsockMessage   *message,
              gconstpointer   data,
              gsize           length,
              GError        **error)
{
  g_autoptr (UsockMessage) wrapped = NULL;

  if (message == NULL)
    return usock_message_new_wrapped (data, length, error);
  if (usock_message_get_memfd (message) == -1)
    return usock_message_new_wrapped (usock_message_get_data (message, NULL), length, error);

  wrapped = usock_message_new (NULL, 0);
  if (!usock_message_append_fd (wrapped, usock_message_get_memfd (message), error))
    return NULL;
  return g_steal_pointer (&wrapped);
}

/* Of what cannot be sent otherwise, if a memory file can be had. Takes the message over. */
UsockMessage *
usock_channel_wrap_if_large (UsockChannel *self,
                             UsockMessage *message)
{
  gsize length = usock_message_get_length (message);
  UsockMessage *wrapped;

  if (!channel_wraps (self, message, length))
    return message;

  wrapped = channel_wrap (message, NULL, length, NULL);
  if (wrapped == NULL)
    return message;
  usock_message_unref (message);
  return wrapped;
}

/* Apart from the way that nearly all go, which it would make longer. */
static gboolean
channel_send_wrapped (UsockChannel    *self,
                      UsockRoute      *route,
                      UsockMessage    *message,
                      gconstpointer    data,
                      gsize            length,
                      UsockOperation  *operation,
                      GError         **error)
{
  g_autoptr (UsockMessage) wrapped = NULL;

  if (!channel_check_sendable (self, error))
    return FALSE;

  wrapped = channel_wrap (message, data, length, error);
  if (wrapped == NULL || !channel_send_plain (self, route, wrapped, NULL, 0, operation, error))
    return FALSE;

  if (message != NULL)
    usock_message_freeze (message);
  return TRUE;
}

/* Sends at once if nothing waits on the route, else queues. An @operation is the channel's if
 * this succeeds, and waits however full the queue is; without one the limit holds. @message may
 * be NULL, for plain bytes. */
gboolean
usock_channel_send_on (UsockChannel    *self,
                       UsockRoute      *route,
                       UsockMessage    *message,
                       gconstpointer    data,
                       gsize            length,
                       UsockOperation  *operation,
                       GError         **error)
{
  if (G_UNLIKELY (channel_wraps (self, message, length)))
    return channel_send_wrapped (self, route, message, data, length, operation, error);
  return channel_send_plain (self, route, message, data, length, operation, error);
}

/* Nothing is overtaken: neither what waits, nor a call that has not been told yet that it is done. */
static gboolean
channel_may_send_now (UsockChannel *self,
                      UsockRoute   *route)
{
  UsockOutlet *outlet = &self->outlet;

  return usock_outlet_may_send_now (outlet, route) && !usock_outlet_has_settled (outlet)
         && self->pending.completed.length == 0;
}

/* How many bytes of it are left to leave, which some may be of a stream; -1 if it is not sent, and
 * why if it cannot be. */
gssize
usock_channel_send_at_once (UsockChannel   *self,
                            UsockRoute     *route,
                            gconstpointer   data,
                            gsize           length,
                            GError        **error)
{
  UsockQueueItem *rest;

  /* What goes in a memory file is left to the call that makes one. */
  if (!channel_check_message (self, NULL, length, error) || !channel_may_send_now (self, route)
      || channel_wraps (self, NULL, length)
      || !channel_send_now (self, route, NULL, data, length, NULL, error))
    return -1;

  rest = usock_queue_peek (&route->queue, 0);
  return rest != NULL ? (gssize) usock_message_get_length (rest->message) : 0;
}

/* Of a stream: how many messages were accepted, where that many bytes have left. */
static gsize
channel_sent_joined (UsockChannel  *self,
                     UsockMessage **messages,
                     guint          n_messages,
                     gsize          sent)
{
  gsize accepted = 0;

  for (; accepted < n_messages; accepted++)
    {
      gsize length = usock_message_get_length (messages[accepted]);

      if (sent < length)
        break;
      channel_sent_all (self, messages[accepted], length, NULL);
      sent -= length;
    }

  if (sent > 0)
    {
      channel_sent_part (self, self->outlet.route, messages[accepted], NULL, 0, sent, NULL);
      accepted++;
    }
  return accepted;
}

/* Several in one system call. How many were accepted; 0 if the first has to go in the ordinary way,
 * and with @error set if it cannot. */
static gsize
channel_send_together (UsockChannel           *self,
                       UsockMessage          **messages,
                       const UsockIoOutgoing  *outgoing,
                       guint                   n,
                       GError                **error)
{
  UsockOutlet *outlet = &self->outlet;
  gsize length = usock_message_get_length (messages[0]);
  gboolean joins = outlet->funcs->fits == NULL;
  gssize result = joins ? usock_outlet_write_joined (outlet, outgoing, n)
                        : usock_outlet_write_batch (outlet, outlet->route, outgoing, n);

  if (result >= 0 && joins)
    return channel_sent_joined (self, messages, n, result);
  for (gssize i = 0; i < result; i++)
    channel_sent_all (self, messages[i], usock_message_get_length (messages[i]), NULL);
  if (result >= 0)
    return result;

  /* What the kernel says only once must not be lost by asking again. */
  if (!usock_outlet_may_send_later (-result)
      && (outlet->funcs->repair == NULL
          || !outlet->funcs->repair (outlet, outlet->route, length, &result)))
    usock_channel_set_send_error (self, outlet->route, -result, length, 0, error);
  return 0;
}

/* The first few in one system call if they are bytes only and nothing waits; else the first one, in
 * the ordinary way. Returns how many were accepted. */
gsize
usock_channel_send_some (UsockChannel   *self,
                         UsockMessage  **messages,
                         gsize           n_messages,
                         GError        **error)
{
  UsockIoOutgoing outgoing[USOCK_IO_BATCH_MAX];
  struct iovec iov[USOCK_OUTLET_IOV];
  UsockOutlet *outlet = &self->outlet;
  g_autoptr (GError) reason = NULL;
  guint n = 0;
  gsize accepted;

  if (!channel_check_sendable (self, error))
    return 0;

  if (usock_outlet_may_send_now (outlet, outlet->route) && !self->memfd_fallback)
    n = usock_outlet_gather (outlet, messages, n_messages, outgoing, iov);
  if (n > 1)
    {
      accepted = channel_send_together (self, messages, outgoing, n, &reason);
      if (reason != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return 0;
        }
      if (accepted > 0)
        return accepted;
    }

  return usock_channel_send_on (self, outlet->route, messages[0], NULL,
                                usock_message_get_length (messages[0]), NULL, error);
}
