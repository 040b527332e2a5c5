/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The way from one channel to the next. */

#include "config.h"

#include "usock-client-private.h"

static UsockClient *
client_from_watch (UsockWatch *watch)
{
  return (UsockClient *) ((char *) watch - G_STRUCT_OFFSET (UsockClient, watch));
}

static void
client_schedule (UsockClient  *self,
                 gboolean      was_connected,
                 const GError *reason)
{
  gint64 now = g_get_monotonic_time ();
  guint delay;

  /* A server that ends each connection at once is no better than none. */
  if (was_connected && now - self->connected_at >= self->delay * G_GINT64_CONSTANT (1000))
    self->delay = 0;
  self->delay = (guint) CLAMP (2 * (guint64) self->delay, self->min_delay,
                               MAX (self->min_delay, self->max_delay));
  delay = MAX (1, (guint) (self->delay * g_random_double_range (0.75, 1.0)));
  self->due = now + delay * G_GINT64_CONSTANT (1000);
  usock_watch_set_deadline (&self->watch, self->due);
  g_signal_emit (self, usock_client_signals[USOCK_CLIENT_SIGNAL_WAITING], 0, delay, reason);
}

/* Drops it. */
static void
client_part (UsockClient *self)
{
  /* These alone: the program may have handlers whose data is the client as well. */
  for (guint i = 0; i < G_N_ELEMENTS (self->link_handlers); i++)
    if (g_signal_handler_is_connected (self->link, self->link_handlers[i]))
      g_signal_handler_disconnect (self->link, self->link_handlers[i]);
  usock_socket_set_owner (USOCK_SOCKET (self->link), NULL, NULL);
  g_clear_object (&self->peer);
  g_clear_object (&self->link);
  self->connected = self->broken = self->leaving = FALSE;
}

/* From the channel's last turn: emits. */
static void
client_link_is_closed (UsockSocket *socket,
                       gpointer     data)
{
  UsockClient *self = g_object_ref (data);
  g_autoptr (GError) reason
      = socket->fate.error != NULL ? g_error_copy (socket->fate.error) : NULL;
  gboolean was_connected = self->connected;
  GQueue uncertain = usock_client_settle (self);

  client_part (self);
  self->due = G_MAXINT64;
  usock_watch_wake (&self->watch);

  if (was_connected)
    {
      usock_client_notify (self, USOCK_CLIENT_PROP_CHANNEL);
      usock_client_tell_uncertain (self, &uncertain);
      g_signal_emit (self, usock_client_signals[USOCK_CLIENT_SIGNAL_DISCONNECTED], 0, reason);
    }
  if (self->started && self->link == NULL && self->due == G_MAXINT64)
    client_schedule (self, was_connected, reason);
  g_object_unref (self);
}

static void
client_link_closes (UsockSocket *socket,
                    gpointer     data)
{
}

static const UsockSocketOwner link_owner = {
  .closed = client_link_closes,
  .told = client_link_is_closed,
};

static void
client_succeed_waiter (UsockClient    *self,
                       UsockOperation *operation)
{
  usock_operation_return_pointer (operation, g_object_ref (self->link), g_object_unref);
  usock_client_complete (self, operation, NULL);
}

/* Takes the operation over. */
void
usock_client_await_link (UsockClient    *self,
                         UsockOperation *operation,
                         GCancellable   *cancellable)
{
  usock_client_set_cancellable (self, operation, cancellable);
  if (usock_client_is_open (self) && !usock_operation_is_cancelled (operation))
    client_succeed_waiter (self, operation);
  else
    g_queue_push_tail_link (&self->waiters, usock_operation_get_link (operation));
}

static void
client_link_connected (UsockChannel *link,
                       UsockClient  *self)
{
  GList *waiter;

  g_object_ref (self);
  g_object_ref (link);
  self->connected = TRUE;
  self->connected_at = g_get_monotonic_time ();
  usock_client_notify (self, USOCK_CLIENT_PROP_CHANNEL);
  g_signal_emit (self, usock_client_signals[USOCK_CLIENT_SIGNAL_CONNECTED], 0, link);
  usock_client_hand_waiting (self, link);
  while (self->link == link && usock_client_is_open (self)
         && (waiter = g_queue_pop_head_link (&self->waiters)) != NULL)
    client_succeed_waiter (self, waiter->data);
  g_object_unref (link);
  g_object_unref (self);
}

/* The last time that the kernel can be asked. */
static void
client_link_ends (UsockChannel *link,
                  UsockClient  *self)
{
  if (self->link == link && self->connected)
    usock_client_look_what_is_read (self);
}

/* What a program does where its own class is made must not be what makes it useless. */
static UsockChannel *
client_new_link (UsockClient  *self,
                 GError      **error)
{
  UsockChannel *link = g_object_new (self->channel_type, NULL);

  if (USOCK_SOCKET (link)->state != USOCK_STATE_NEW)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
                   _("Could not use a new %s for a connection: it is in use or closed"),
                   G_OBJECT_TYPE_NAME (link));
      g_object_unref (link);
      return NULL;
    }

  usock_socket_join (USOCK_SOCKET (link), self->reactor);
  return link;
}

static void
client_adopt (UsockClient  *self,
              UsockChannel *link)
{
  self->link = g_object_ref (link);
  usock_socket_set_owner (USOCK_SOCKET (link), &link_owner, self);
  self->link_handlers[0]
      = g_signal_connect (link, "connect", G_CALLBACK (client_link_connected), self);
  self->link_handlers[1] = g_signal_connect (link, "end", G_CALLBACK (client_link_ends), self);
  g_signal_emit (self, usock_client_signals[USOCK_CLIENT_SIGNAL_CONNECTING], 0, link);
}

/* A handler may have closed the link, and that is told later. */
static void
client_attempt (UsockClient *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockChannel) link = client_new_link (self, &error);

  if (link != NULL)
    {
      client_adopt (self, link);
      if (self->link != link || USOCK_SOCKET (link)->state == USOCK_STATE_CLOSED
          || usock_client_place_connect (&self->place, link, &error))
        return;
      client_part (self);
    }

  client_schedule (self, FALSE, error);
}

static gboolean
client_is_at_rest (UsockClient *self)
{
  return !self->started && self->link == NULL && self->unsent.length == 0
         && self->completed.length == 0;
}

static void
client_release (UsockClient *self)
{
  usock_watch_detach (&self->watch);
  usock_reactor_hold (self->reactor, -1);
  g_object_unref (self);
}

static void
client_dispatch (UsockWatch *watch)
{
  UsockClient *self = g_object_ref (client_from_watch (watch));
  guint ready = watch->ready;

  watch->ready = 0;
  if (ready & USOCK_READY_INTERRUPT)
    usock_client_sweep (self);
  usock_client_tell (self);
  if (self->started && self->link == NULL && g_get_monotonic_time () >= self->due)
    client_attempt (self);
  else if (self->started && self->link == NULL && self->due != G_MAXINT64)
    usock_watch_set_deadline (watch, self->due);
  if (watch->attached && client_is_at_rest (self))
    client_release (self);
  g_object_unref (self);
}

/* Nobody is left to be told anything. */
void
usock_client_forget (UsockClient *self)
{
  if (self->link != NULL)
    client_part (self);
  self->started = FALSE;
  usock_client_drop_items (self);
}

static void
client_orphaned (UsockWatch *watch)
{
  UsockClient *self = client_from_watch (watch);

  usock_client_forget (self);
  usock_reactor_hold (self->reactor, -1);
  g_object_unref (self);
}

const UsockWatchFuncs usock_client_watch_funcs = {
  .dispatch = client_dispatch,
  .orphaned = client_orphaned,
};

/* What no channel has is given back at once; of the rest the channel tells when it has closed. */
void
usock_client_leave (UsockClient *self)
{
  GList *waiter;

  self->started = FALSE;
  usock_client_refuse (self, &self->waiting, G_IO_ERROR_CLOSED, _("the client was stopped"));
  while ((waiter = g_queue_pop_head_link (&self->waiters)) != NULL)
    usock_client_complete (self, waiter->data,
                           g_error_new (G_IO_ERROR, G_IO_ERROR_CLOSED,
                                        _("Could not connect to “%s”: the client was stopped"),
                                        self->place.label));
  if (self->link != NULL)
    {
      self->leaving = TRUE;
      self->broken |= USOCK_SOCKET (self->link)->fate.error != NULL;
      usock_socket_close (USOCK_SOCKET (self->link));
    }
  usock_watch_wake (&self->watch);
}
