/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-peer-private.h"

#include "usock-channel-feeder-private.h"
#include "usock-stream.h"
#include "usock-seqpacket.h"

#include <errno.h>

/**
 * UsockPeer:
 *
 * Calls between two programs, over a [class@Usock.Seqpacket] or a
 * [class@Usock.Stream] that connects them. Each side may ask the other for
 * something by name, and gets an answer or an error; with both may go bytes,
 * text or a value of any type, of any size, and descriptors.
 *
 * ```c
 * static void
 * add (UsockPeer *peer, UsockCall *call, gpointer unused)
 * {
 *   GVariant *body = usock_call_get_variant (call);
 *   gint32 a, b;
 *
 *   if (body == NULL || !g_variant_is_of_type (body, G_VARIANT_TYPE ("(ii)")))
 *     return;
 *   g_variant_get (body, "(ii)", &a, &b);
 *   usock_call_reply_variant (call, g_variant_new_int32 (a + b), NULL);
 * }
 *
 * UsockPeer *peer = usock_peer_new (channel);
 *
 * usock_peer_handle (peer, "Add", add, NULL, NULL);
 * ```
 *
 * The peer reads everything that comes over the channel, from when a handler
 * is set, somebody listens to a signal, or a call is made; nobody else should
 * receive from it. It can be sent over only by peers. It keeps itself alive
 * until the channel is closed, which is told by [signal@Usock.Socket::close] of
 * the channel, and closing that is how to end it. If the other side has
 * ended, what it has asked is still answered, whatever
 * [property@Usock.Channel:allow-half-open] was.
 *
 * What the other side may cost is limited by the properties. If it breaks the
 * protocol, the channel fails with `G_IO_ERROR_INVALID_DATA`, whose text tells
 * which rule it was; see [the protocol](peer-protocol.html). Descriptors are
 * refused until [property@Usock.Channel:max-fds] lets them in.
 *
 * Since: 1.0
 */

G_DEFINE_TYPE (UsockPeer, usock_peer, G_TYPE_OBJECT)

static UsockState
peer_get_state (UsockPeer *self)
{
  return usock_socket_get_state (usock_peer_socket (self));
}

static void
peer_disconnect (UsockPeer *self,
                 gulong    *handler)
{
  if (*handler != 0 && g_signal_handler_is_connected (self->channel, *handler))
    g_signal_handler_disconnect (self->channel, *handler);
  *handler = 0;
}

/* The program may have handlers whose data is the peer as well, and may disconnect by it. */
static void
peer_stop_listening (UsockPeer *self)
{
  gboolean receives = self->is_reading && self->reader == 0;

  for (guint i = 0; i < G_N_ELEMENTS (self->listeners); i++)
    peer_disconnect (self, &self->listeners[i]);
  peer_disconnect (self, &self->reader);
  usock_channel_set_feeder (self->channel, NULL, NULL);
  if (receives)
    usock_channel_set_receive_func (self->channel, NULL, NULL, NULL);
  self->is_reading = FALSE;
}

/* Nothing goes either way any more, and nobody is called back from here on. */
static void
peer_set_over (UsockPeer *self)
{
  peer_stop_listening (self);
  g_mutex_lock (&self->dropped_lock);
  self->is_over = TRUE;
  g_mutex_unlock (&self->dropped_lock);

  usock_call_take_dropped (self);
  usock_peer_drop_transfers (self);
  usock_peer_drop_read (self);
}

static void
peer_release (UsockPeer *self)
{
  if (!self->is_held)
    return;

  self->is_held = FALSE;
  usock_watch_detach (&self->watch);
  g_object_unref (self);
}

static void
peer_drop_handlers (UsockPeer *self)
{
  GHashTable *handlers = g_steal_pointer (&self->handlers);

  self->handlers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
                                          (GDestroyNotify) usock_handler_unref);
  g_hash_table_unref (handlers);
}

/* Runs foreign code. */
static void
peer_finish (UsockPeer *self)
{
  if (self->is_over)
    return;

  g_object_ref (self);
  peer_set_over (self);
  usock_peer_fail_asks (self);
  usock_peer_complete (self);
  usock_call_cancel_all (self);
  peer_drop_handlers (self);
  peer_release (self);
  g_object_unref (self);
}

/* Once nothing is to be answered any more, our side ends as well. */
static void
peer_check_end (UsockPeer *self)
{
  if (self->has_ended && !self->is_over && g_hash_table_size (self->calls) == 0
      && self->transfers.length == 0 && self->n_pieces == 0)
    usock_channel_end (self->channel);
}

static void
peer_dispatch (UsockWatch *watch)
{
  UsockPeer *self = (UsockPeer *) (gpointer) ((guint8 *) watch - G_STRUCT_OFFSET (UsockPeer, watch));
  guint ready = watch->ready;

  watch->ready = 0;
  g_object_ref (self);
  if (ready & USOCK_READY_INTERRUPT)
    {
      usock_call_take_dropped (self);
      usock_peer_sweep_asks (self);
    }
  if (!self->is_started && usock_peer_has_listener (self))
    usock_peer_start (self);
  if ((ready & USOCK_READY_DEADLINE) || self->overtime > 0)
    usock_peer_check_deadlines (self);
  usock_peer_flush (self);
  peer_check_end (self);
  usock_peer_complete (self);
  g_object_unref (self);
}

static gboolean
peer_wanted (UsockWatch *watch)
{
  UsockPeer *self = (UsockPeer *) (gpointer) ((guint8 *) watch - G_STRUCT_OFFSET (UsockPeer, watch));

  return !self->is_started && usock_peer_has_listener (self);
}

/* The context is gone: the channel goes without a word, and so does what waits. */
static void
peer_orphaned (UsockWatch *watch)
{
  UsockPeer *self = (UsockPeer *) (gpointer) ((guint8 *) watch - G_STRUCT_OFFSET (UsockPeer, watch));

  self->is_held = FALSE;
  peer_set_over (self);
  usock_peer_forget_asks (self);
  peer_drop_handlers (self);
  g_object_unref (self);
}

static const UsockWatchFuncs peer_watch_funcs = {
  .dispatch = peer_dispatch,
  .wanted = peer_wanted,
  .orphaned = peer_orphaned,
};

/* While the channel keeps itself alive, so does the peer. */
static void
peer_update_hold (UsockPeer *self)
{
  UsockState state = peer_get_state (self);

  if (self->reactor == NULL)
    {
      self->reactor = usock_reactor_acquire ();
      if (self->reactor == NULL)
        return;
      usock_watch_init (&self->watch, self->reactor, &peer_watch_funcs);
    }
  if (self->is_over || self->is_held || state == USOCK_STATE_NEW || state == USOCK_STATE_CLOSED
      || !usock_reactor_is_usable (self->reactor))
    return;

  self->is_held = TRUE;
  g_object_ref (self);
  usock_watch_attach (&self->watch);
  usock_watch_sample (&self->watch, !self->is_started);
}

static void
state_changed_cb (UsockPeer *self)
{
  if (peer_get_state (self) == USOCK_STATE_NEW && g_hash_table_size (self->asks) == 0)
    peer_release (self);
  else
    peer_update_hold (self);
}

static void
received_cb (UsockChannel *channel,
             const guint8 *data,
             gsize         length,
             gpointer      peer)
{
  usock_peer_take (peer, data, length, NULL);
}

/* A packet that was longer than a frame may be breaks that rule, and not one of the channel's. */
static void
message_cb (UsockPeer    *self,
            UsockMessage *message)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);

  if ((usock_message_get_flags (message) & USOCK_MESSAGE_FLAGS_TRUNCATED) != 0)
    usock_peer_break_rule (self, "length");
  else
    usock_peer_take (self, data, length, message);
}

static void
drain_cb (UsockPeer *self)
{
  g_object_ref (self);
  usock_peer_flush (self);
  usock_peer_start_waiting (self);
  usock_peer_complete (self);
  g_object_unref (self);
}

/* Where nobody is at the other end any more there is nobody to answer. */
static void
end_cb (UsockPeer *self)
{
  g_object_ref (self);
  self->has_ended = TRUE;
  usock_peer_fail_asks (self);
  if (usock_io_has_hung_up (usock_socket_get_fd (usock_peer_socket (self))))
    usock_socket_close (usock_peer_socket (self));
  else
    peer_check_end (self);
  usock_peer_complete (self);
  g_object_unref (self);
}

static void
error_cb (UsockPeer    *self,
          const GError *error)
{
  if (self->fate == NULL)
    self->fate = g_error_copy (error);
  peer_finish (self);
}

/* Without more than bytes to wait for, they come without being copied. */
static void
peer_choose_reader (UsockPeer *self)
{
  gboolean messages = usock_channel_get_max_fds (self->channel) > 0
                      || usock_channel_get_pass_credentials (self->channel)
                      || usock_channel_get_pass_pidfd (self->channel);

  if (!self->is_started || self->is_over || (self->is_reading && messages == (self->reader != 0)))
    return;

  self->is_reading = TRUE;
  g_clear_signal_handler (&self->reader, self->channel);
  if (messages)
    self->reader
        = g_signal_connect_swapped (self->channel, "message", G_CALLBACK (message_cb), self);
  usock_channel_set_receive_func (self->channel, messages ? NULL : received_cb, self, NULL);
}

/* From now on everything is read. */
void
usock_peer_start (UsockPeer *self)
{
  if (self->is_started || self->is_over)
    return;

  self->is_started = TRUE;
  if (usock_channel_get_read_buffer_size (self->channel) < USOCK_FRAME_MAX)
    usock_channel_set_read_buffer_size (self->channel, USOCK_FRAME_MAX);
  if (self->is_held)
    usock_watch_sample (&self->watch, FALSE);
  peer_choose_reader (self);
}

static gboolean
peer_check_channel (UsockPeer   *self,
                    GError     **error)
{
  if (self->channel != NULL)
    return self->is_over ? usock_peer_check_thread (self, error)
                         : usock_socket_check (usock_peer_socket (self), error);

  if (self->is_surplus)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                         _("Could not call: the channel has another peer already"));
  else
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                         _("Could not call: a peer needs a channel of packets or a stream"));
  return FALSE;
}

/* Whether a call of that name can be made now. */
gboolean
usock_peer_check (UsockPeer   *self,
                  const char  *name,
                  GError     **error)
{
  if (!peer_check_channel (self, error))
    return FALSE;

  peer_update_hold (self);
  if (usock_frame_check_name (name) != NULL)
    g_propagate_error (error, usock_peer_error_new (self, name, G_IO_ERROR_INVALID_ARGUMENT,
                                                    _("the name is empty or too long")));
  else if (self->is_over || self->is_breaking)
    g_propagate_error (error, usock_peer_error_new (self, name, G_IO_ERROR_CLOSED,
                                                    _("the channel is closed")));
  else if (self->has_ended)
    g_propagate_error (error, usock_peer_error_new (self, name, G_IO_ERROR_CONNECTION_CLOSED,
                                                    _("the peer has gone")));
  else if (!self->is_held)
    g_propagate_error (error, usock_peer_error_new (self, name, G_IO_ERROR_NOT_CONNECTED,
                                                    _("the channel is not connected")));
  else
    return TRUE;

  return FALSE;
}

static void
peer_feed (gpointer peer)
{
  usock_peer_push (peer);
}

static void
peer_listen_to_channel (UsockPeer *self)
{
  static const struct
  {
    const char *signal;
    GCallback handler;
  } handlers[] = {
    { "drain", G_CALLBACK (drain_cb) },
    { "end", G_CALLBACK (end_cb) },
    { "error", G_CALLBACK (error_cb) },
    { "close", G_CALLBACK (peer_finish) },
    { "notify::state", G_CALLBACK (state_changed_cb) },
    { "notify::max-fds", G_CALLBACK (peer_choose_reader) },
    { "notify::pass-credentials", G_CALLBACK (peer_choose_reader) },
    { "notify::pass-pidfd", G_CALLBACK (peer_choose_reader) },
  };

  G_STATIC_ASSERT (G_N_ELEMENTS (handlers) == G_N_ELEMENTS (((UsockPeer *) NULL)->listeners));
  for (guint i = 0; i < G_N_ELEMENTS (handlers); i++)
    self->listeners[i] = g_signal_connect_swapped (self->channel, handlers[i].signal,
                                                   handlers[i].handler, self);
  usock_channel_set_feeder (self->channel, peer_feed, self);
}

static void
usock_peer_constructed (GObject *object)
{
  UsockPeer *self = USOCK_PEER (object);

  G_OBJECT_CLASS (usock_peer_parent_class)->constructed (object);

  self->is_surplus = self->channel != NULL && usock_channel_has_feeder (self->channel);
  if (self->channel != NULL
      && (self->is_surplus
          || (!USOCK_IS_STREAM (self->channel) && !USOCK_IS_SEQPACKET (self->channel))))
    g_clear_object (&self->channel);
  if (self->channel == NULL || !usock_peer_check_thread (self, NULL))
    {
      self->is_over = TRUE;
      return;
    }

  self->is_stream = USOCK_IS_STREAM (self->channel);
  usock_channel_set_allow_half_open (self->channel, TRUE);
  peer_listen_to_channel (self);
  peer_update_hold (self);
  self->is_over = peer_get_state (self) == USOCK_STATE_CLOSED;
}

static void
usock_peer_finalize (GObject *object)
{
  UsockPeer *self = USOCK_PEER (object);

  if (self->channel != NULL && !self->is_over)
    peer_stop_listening (self);
  if (self->reactor != NULL)
    usock_watch_detach (&self->watch);
  g_clear_pointer (&self->reactor, usock_reactor_unref);
  usock_peer_forget_asks (self);
  usock_peer_drop_transfers (self);
  usock_peer_drop_read (self);
  g_hash_table_unref (self->asks);
  g_hash_table_unref (self->calls);
  g_hash_table_unref (self->assemblies);
  g_hash_table_unref (self->handlers);
  g_ptr_array_unref (self->dropped);
  g_mutex_clear (&self->dropped_lock);
  g_byte_array_unref (self->gathered);
  g_byte_array_unref (self->rest);
  g_clear_error (&self->fate);
  g_clear_object (&self->channel);

  G_OBJECT_CLASS (usock_peer_parent_class)->finalize (object);
}

static void
usock_peer_class_init (UsockPeerClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);

  object_class->constructed = usock_peer_constructed;
  object_class->finalize = usock_peer_finalize;

  usock_peer_install_properties (object_class);
  usock_peer_install_signals ();
}

static void
usock_peer_init (UsockPeer *self)
{
  self->next_deadline = -1;
  self->max_calls = 256;
  self->max_queued_calls = 65536;
  self->max_incoming_calls = 1024;
  self->max_body_size = 64 * 1024 * 1024;
  self->max_held_bytes = 256 * 1024 * 1024;

  self->asks = g_hash_table_new (NULL, NULL);
  self->calls = g_hash_table_new (NULL, NULL);
  self->assemblies
      = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) usock_assembly_free);
  self->handlers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
                                          (GDestroyNotify) usock_handler_unref);
  self->dropped = g_ptr_array_new ();
  g_mutex_init (&self->dropped_lock);
  self->gathered = g_byte_array_new ();
  self->rest = g_byte_array_new ();
}

/**
 * usock_peer_new:
 * @channel: (transfer none): a [class@Usock.Seqpacket] or [class@Usock.Stream]
 *
 * Makes a peer over a channel, which may be connecting still, or be connected
 * later. A channel has one peer: another one over the same channel answers
 * nothing, and its calls fail with `G_IO_ERROR_EXISTS`.
 *
 * Returns: (transfer full): a new peer
 *
 * Since: 1.0
 */
UsockPeer *
usock_peer_new (UsockChannel *channel)
{
  g_return_val_if_fail (USOCK_IS_STREAM (channel) || USOCK_IS_SEQPACKET (channel), NULL);

  return g_object_new (USOCK_TYPE_PEER, "channel", channel, NULL);
}

/**
 * usock_peer_get_channel: (get-property channel)
 * @self: a peer
 *
 * Gets what the calls go over.
 *
 * Returns: (transfer none) (nullable): the channel; %NULL if the peer was made without a fitting one
 *
 * Since: 1.0
 */
UsockChannel *
usock_peer_get_channel (UsockPeer *self)
{
  g_return_val_if_fail (USOCK_IS_PEER (self), NULL);

  return self->channel;
}
