/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-client-private.h"

#include "usock-seqpacket.h"
#include "usock-stream.h"

/**
 * UsockClient:
 *
 * A connection that comes back when its server does.
 *
 * A client connects to one place, and again whenever the connection is over, after a delay that
 * grows while nobody is there and is never quite the same for two clients. What is sent meanwhile
 * waits within [property@Usock.Client:queue-limit]. Each connection is a channel of its own,
 * [property@Usock.Client:channel]; what comes is received from that.
 *
 * A message is never sent twice by itself. It was sent when the kernel has it; what the other side had
 * not read when the connection broke is told by [signal@Usock.Client::uncertain], message by message,
 * and the program says what becomes of it. What was read and not dealt with only the protocol can
 * tell, by an answer. For calls, which have one, there is [method@Usock.Client.get_peer].
 *
 * A client belongs to the main context that is the thread's default when it is made, and is kept alive
 * from start to stop, so that its variable may be dropped.
 *
 * ```c
 * UsockClient *client = usock_client_new (USOCK_TYPE_SEQPACKET);
 *
 * g_signal_connect (client, "connected", G_CALLBACK (connected), NULL);
 * if (!usock_client_start_for_name (client, "org.example.App", &error)
 *     || !usock_client_send_text (client, "hello", &error))
 *   g_printerr ("%s\n", error->message);
 * ```
 *
 * Since: 1.0
 */
G_DEFINE_TYPE (UsockClient, usock_client, G_TYPE_OBJECT)

/* The last reference may be dropped anywhere; a client that was started is not dropped. */
static void
usock_client_finalize (GObject *object)
{
  UsockClient *self = USOCK_CLIENT (object);

  usock_client_forget (self);
  usock_client_place_clear (&self->place);
  if (self->reactor != NULL)
    {
      usock_watch_detach (&self->watch);
      usock_reactor_unref (self->reactor);
    }

  G_OBJECT_CLASS (usock_client_parent_class)->finalize (object);
}

static void
usock_client_get_property (GObject    *object,
                           guint       property_id,
                           GValue     *value,
                           GParamSpec *pspec)
{
  UsockClient *self = USOCK_CLIENT (object);

  switch ((UsockClientProperty) property_id)
    {
    case USOCK_CLIENT_PROP_CHANNEL:
      g_value_set_object (value, usock_client_get_channel (self));
      break;
    case USOCK_CLIENT_PROP_CHANNEL_TYPE:
      g_value_set_gtype (value, self->channel_type);
      break;
    case USOCK_CLIENT_PROP_MIN_DELAY:
      g_value_set_uint (value, self->min_delay);
      break;
    case USOCK_CLIENT_PROP_MAX_DELAY:
      g_value_set_uint (value, self->max_delay);
      break;
    case USOCK_CLIENT_PROP_QUEUE_LIMIT:
      g_value_set_uint64 (value, self->queue_limit);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static gboolean
is_channel_type (GType type)
{
  return !G_TYPE_IS_ABSTRACT (type)
         && (g_type_is_a (type, USOCK_TYPE_SEQPACKET) || g_type_is_a (type, USOCK_TYPE_STREAM));
}

static void
usock_client_set_property (GObject      *object,
                           guint         property_id,
                           const GValue *value,
                           GParamSpec   *pspec)
{
  UsockClient *self = USOCK_CLIENT (object);

  switch ((UsockClientProperty) property_id)
    {
    case USOCK_CLIENT_PROP_CHANNEL_TYPE:
      self->channel_type = g_value_get_gtype (value);
      if (!is_channel_type (self->channel_type))
        self->channel_type = USOCK_TYPE_SEQPACKET;
      break;
    case USOCK_CLIENT_PROP_MIN_DELAY:
      usock_client_set_min_delay (self, g_value_get_uint (value));
      break;
    case USOCK_CLIENT_PROP_MAX_DELAY:
      usock_client_set_max_delay (self, g_value_get_uint (value));
      break;
    case USOCK_CLIENT_PROP_QUEUE_LIMIT:
      usock_client_set_queue_limit (self, g_value_get_uint64 (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_client_class_init (UsockClientClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);

  object_class->finalize = usock_client_finalize;
  object_class->get_property = usock_client_get_property;
  object_class->set_property = usock_client_set_property;

  usock_client_install_properties (object_class);
  usock_client_install_signals ();
}

void
usock_client_find_reactor (UsockClient *self)
{
  if (self->reactor != NULL)
    return;

  self->reactor = usock_reactor_acquire ();
  if (self->reactor != NULL)
    usock_watch_init (&self->watch, self->reactor, &usock_client_watch_funcs);
}

static void
usock_client_init (UsockClient *self)
{
  self->channel_type = USOCK_TYPE_SEQPACKET;
  self->min_delay = USOCK_CLIENT_MIN_DELAY;
  self->max_delay = USOCK_CLIENT_MAX_DELAY;
  self->queue_limit = USOCK_CLIENT_QUEUE_LIMIT;
  usock_client_find_reactor (self);
}

/**
 * usock_client_new:
 * @channel_type: [class@Usock.Seqpacket], [class@Usock.Stream], or a class that is derived from them
 *
 * Makes a client that is not started yet.
 *
 * Returns: (transfer full): a new client
 *
 * Since: 1.0
 */
UsockClient *
usock_client_new (GType channel_type)
{
  g_return_val_if_fail (is_channel_type (channel_type), NULL);

  return g_object_new (USOCK_TYPE_CLIENT, "channel-type", channel_type, NULL);
}

gboolean
usock_client_check_access (UsockClient  *self,
                           const char   *label,
                           GError      **error)
{
  if (usock_reactor_get_access (self->reactor) == USOCK_ACCESS_GRANTED)
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
               _("Could not use the client for “%s”: it belongs to the thread and the process that "
                 "run its main context"),
               label);
  return FALSE;
}

gboolean
usock_client_check_started (UsockClient  *self,
                            GError      **error)
{
  if (self->started)
    return usock_client_check_access (self, self->place.label, error);

  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                       _("Could not use the client: it is not started"));
  return FALSE;
}

static gboolean
complete_later_cb (gpointer operation)
{
  usock_operation_complete (operation);
  return G_SOURCE_REMOVE;
}

/* For a call that was not begun: told in the main context of who made it. Takes both over. */
void
usock_client_fail_later (UsockOperation *operation,
                         GError         *error)
{
  usock_operation_return_error (operation, error);
  usock_reactor_call_later (complete_later_cb, operation, g_object_unref);
}

/* For calls that have no error to tell it with, and that a forked child may make as well. */
static gboolean
client_may_stop (UsockClient *self,
                 const char  *call)
{
  if (self->reactor == NULL || usock_reactor_get_access (self->reactor) != USOCK_ACCESS_ELSEWHERE)
    return TRUE;

  g_critical ("%s() did nothing: the client belongs to the thread that runs its main context", call);
  return FALSE;
}

/* And all others. */
static gboolean
client_is_ours (UsockClient *self,
                const char  *call)
{
  return client_may_stop (self, call)
         && (self->reactor == NULL || !usock_reactor_is_inherited (self->reactor));
}

/* Takes what is in @place over. */
void
usock_client_begin (UsockClient      *self,
                    UsockClientPlace  place)
{
  usock_client_place_clear (&self->place);
  self->place = place;
  self->started = TRUE;
  self->delay = 0;
  self->due = 0;
  if (!self->watch.attached)
    {
      g_object_ref (self);
      usock_watch_attach (&self->watch);
      usock_reactor_hold (self->reactor, 1);
    }
  usock_watch_wake (&self->watch);
}

/**
 * usock_client_stop:
 * @self: a client
 *
 * Closes the connection if there is one, and makes no other. What was accepted and not sent is
 * handed back, by [signal@Usock.Client::unsent] or its call; [signal@Usock.Client::disconnected]
 * follows if there was a connection. To stop when everything is sent, wait for the last
 * [method@Usock.Client.send_message_async]. The client may be started again.
 *
 * Since: 1.0
 */
void
usock_client_stop (UsockClient *self)
{
  g_return_if_fail (USOCK_IS_CLIENT (self));

  if (!self->started || !client_may_stop (self, G_STRFUNC))
    return;
  if (usock_reactor_get_access (self->reactor) == USOCK_ACCESS_GRANTED)
    {
      usock_client_leave (self);
      return;
    }

  /* In a forked child: nobody can be told. */
  if (self->link != NULL)
    usock_socket_close (USOCK_SOCKET (self->link));
  usock_client_forget (self);
  usock_watch_detach (&self->watch);
  g_object_unref (self);
}

/**
 * usock_client_is_started:
 * @self: a client
 *
 * Gets whether the client was started, and not stopped.
 *
 * Returns: whether it was
 *
 * Since: 1.0
 */
gboolean
usock_client_is_started (UsockClient *self)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), FALSE);

  return self->started;
}

/**
 * usock_client_get_queued_bytes:
 * @self: a client
 *
 * Gets what waits to be sent, as [property@Usock.Client:queue-limit] counts it.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
usock_client_get_queued_bytes (UsockClient *self)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), 0);

  return self->queued_cost;
}

/**
 * usock_client_get_channel: (get-property channel)
 * @self: a client
 *
 * Gets the connection that there is.
 *
 * Returns: (transfer none) (nullable): a channel; %NULL if there is no connection
 *
 * Since: 1.0
 */
UsockChannel *
usock_client_get_channel (UsockClient *self)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), NULL);

  return self->connected ? self->link : NULL;
}

/**
 * usock_client_get_peer:
 * @self: a client that was started
 *
 * Gets a peer for calls over the connection that there is, which is made when
 * it is asked for first. The next connection has another one: what handles the
 * calls of the other side is set in [signal@Usock.Client::connected]. Calls that
 * had no answer when the connection ends fail with
 * `G_IO_ERROR_CONNECTION_CLOSED`, and are not made again by themselves.
 *
 * From now on the client is for calls only, and sends no messages by itself:
 * they fail with `G_IO_ERROR_NOT_SUPPORTED`, and what waits is handed back.
 *
 * Returns: (transfer none) (nullable): a peer; %NULL if there is no connection
 *
 * Since: 1.0
 */
UsockPeer *
usock_client_get_peer (UsockClient *self)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), NULL);

  if (!self->connected || !client_is_ours (self, G_STRFUNC))
    return NULL;
  if (self->peer == NULL)
    self->peer = usock_peer_new (self->link);

  self->for_calls = TRUE;
  usock_client_refuse (self, &self->waiting, G_IO_ERROR_NOT_SUPPORTED, _("the client is for calls"));
  return self->peer;
}

/**
 * usock_client_get_channel_type: (get-property channel-type)
 * @self: a client
 *
 * Gets the class of its channels.
 *
 * Returns: the class
 *
 * Since: 1.0
 */
GType
usock_client_get_channel_type (UsockClient *self)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), G_TYPE_INVALID);

  return self->channel_type;
}

/**
 * usock_client_get_min_delay: (get-property min-delay)
 * @self: a client
 *
 * Gets how long it waits at first before it connects again.
 *
 * Returns: milliseconds
 *
 * Since: 1.0
 */
guint
usock_client_get_min_delay (UsockClient *self)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), 0);

  return self->min_delay;
}

/**
 * usock_client_set_min_delay: (set-property min-delay)
 * @self: a client
 * @min_delay: milliseconds, 1 at the least
 *
 * Sets how long it waits at first before it connects again, from the next time on.
 *
 * Since: 1.0
 */
void
usock_client_set_min_delay (UsockClient *self,
                            guint        min_delay)
{
  g_return_if_fail (USOCK_IS_CLIENT (self));
  if (!client_is_ours (self, G_STRFUNC))
    return;

  min_delay = CLAMP (min_delay, 1, G_MAXINT);
  if (self->min_delay == min_delay)
    return;

  self->min_delay = min_delay;
  usock_client_notify (self, USOCK_CLIENT_PROP_MIN_DELAY);
}

/**
 * usock_client_get_max_delay: (get-property max-delay)
 * @self: a client
 *
 * Gets up to what the delay grows.
 *
 * Returns: milliseconds
 *
 * Since: 1.0
 */
guint
usock_client_get_max_delay (UsockClient *self)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), 0);

  return self->max_delay;
}

/**
 * usock_client_set_max_delay: (set-property max-delay)
 * @self: a client
 * @max_delay: milliseconds, 1 at the least
 *
 * Sets up to what the delay grows, from the next time on.
 *
 * Since: 1.0
 */
void
usock_client_set_max_delay (UsockClient *self,
                            guint        max_delay)
{
  g_return_if_fail (USOCK_IS_CLIENT (self));
  if (!client_is_ours (self, G_STRFUNC))
    return;

  max_delay = CLAMP (max_delay, 1, G_MAXINT);
  if (self->max_delay == max_delay)
    return;

  self->max_delay = max_delay;
  usock_client_notify (self, USOCK_CLIENT_PROP_MAX_DELAY);
}

/**
 * usock_client_get_queue_limit: (get-property queue-limit)
 * @self: a client
 *
 * Gets how much may wait to be sent.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
usock_client_get_queue_limit (UsockClient *self)
{
  g_return_val_if_fail (USOCK_IS_CLIENT (self), 0);

  return self->queue_limit;
}

/**
 * usock_client_set_queue_limit: (set-property queue-limit)
 * @self: a client
 * @queue_limit: bytes
 *
 * Sets how much may wait to be sent. What waits already is not affected.
 *
 * Since: 1.0
 */
void
usock_client_set_queue_limit (UsockClient *self,
                              guint64      queue_limit)
{
  g_return_if_fail (USOCK_IS_CLIENT (self));
  if (!client_is_ours (self, G_STRFUNC))
    return;

  if (self->queue_limit == queue_limit)
    return;

  self->queue_limit = queue_limit;
  usock_client_notify (self, USOCK_CLIENT_PROP_QUEUE_LIMIT);
}
