/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

/* How many messages that were posted one turn takes up. */
#define TURN_POSTS 256

void
usock_channel_set_feeder (UsockChannel     *self,
                          UsockChannelFeed  feed,
                          gpointer          user_data)
{
  self->feed = feed;
  self->feed_data = user_data;
}

gboolean
usock_channel_has_feeder (UsockChannel *self)
{
  return self->feed != NULL;
}

/* What is kept above is sent, as far as it can be. */
void
usock_channel_feed (UsockChannel *self)
{
  if (self->feed != NULL && usock_channel_is_connected (self) && !self->ending)
    self->feed (self->feed_data);
}

/* One that stood on several routes may have failed on another already. */
static void
channel_decide (UsockChannel *self,
                UsockSettled *settled)
{
  UsockOperation *operation = g_steal_pointer (&settled->operation);
  GError *error = g_steal_pointer (&settled->error);

  if (operation == NULL || usock_operation_is_decided (operation))
    {
      g_clear_error (&error);
      g_clear_object (&operation);
    }
  else if (error != NULL)
    usock_pending_fail (&self->pending, operation, error);
  else
    usock_pending_succeed (&self->pending, operation, NULL, NULL);
}

/* What was settled is decided, and its messages are still to be released. */
void
usock_channel_decide_settled (UsockChannel *self)
{
  UsockSettled *settled;

  for (guint i = 0; (settled = usock_outlet_peek_settled (&self->outlet, i)) != NULL; i++)
    channel_decide (self, settled);
}

/* From a turn, or the end of one: what was settled is told and released, which may run foreign
 * code. */
void
usock_channel_settle (UsockChannel *self)
{
  UsockSettled settled;

  while (usock_outlet_take_settled (&self->outlet, &settled))
    {
      channel_decide (self, &settled);
      g_clear_pointer (&settled.message, usock_message_unref);
    }
}

/* With @force also what waits for an event; events do not come for everything. What leaves is told
 * in a turn. */
void
usock_channel_flush (UsockChannel *self,
                     gboolean      force)
{
  UsockOutlet *outlet = &self->outlet;
  guint64 before = outlet->bytes_written + outlet->messages_written;

  usock_outlet_flush (outlet, g_get_monotonic_time (), force);
  if (outlet->bytes_written + outlet->messages_written != before)
    usock_channel_note_activity (self);
}

/* What a message costs that may wait now. */
static guint64
channel_get_room (UsockChannel *self)
{
  UsockOutlet *outlet = &self->outlet;

  if (outlet->n_queued == 0)
    return G_MAXUINT64;

  return outlet->queue_limit - MIN (outlet->queue_limit, outlet->queued_cost);
}

/* Takes the message over. */
static void
channel_take_post (UsockChannel *self,
                   UsockMessage *message)
{
  UsockOutlet *outlet = &self->outlet;
  g_autoptr (GError) error = NULL;

  message = usock_channel_wrap_if_large (self, message);
  if (usock_message_get_n_fds (message) == 0
      || USOCK_CHANNEL_GET_CLASS (self)->check_fds (self, usock_message_get_length (message),
                                                    &error))
    {
      usock_channel_enqueue (self, outlet->route, message, NULL);
      return;
    }

  outlet->funcs->lost (outlet, outlet->route, error);
  usock_message_unref (message);
}

/* Some of what was posted joins what waits, as far as the limit lets it, or @all of it that is there
 * by now; from then on it is like what was sent and had to wait. */
void
usock_channel_take_posts (UsockChannel *self,
                          gboolean      all)
{
  UsockSocket *socket = usock_channel_socket (self);
  guint most = all ? usock_postbox_get_length (&self->postbox) : TURN_POSTS;

  if (usock_postbox_is_empty (&self->postbox) || self->ending
      || socket->state == USOCK_STATE_CLOSED)
    return;

  for (guint n = 0; n < most; n++)
    {
      guint64 room = all ? G_MAXUINT64 : channel_get_room (self);
      UsockMessage *message = usock_postbox_take (&self->postbox, room);

      if (message == NULL)
        break;
      channel_take_post (self, message);
    }
}

/* Once our side has ended and nothing waits, the peer is told. */
void
usock_channel_finish_writing (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (!self->ending || self->ended || self->outlet.n_queued > 0
      || !usock_channel_is_connected (self))
    return;

  /* ENOTCONN: the peer is gone, and needs no telling. */
  usock_io_shutdown (socket->fd, SHUT_WR);
  self->ended = TRUE;
  usock_watch_wake (&socket->watch);
  usock_pending_end_enders (&self->pending, NULL);
}

/* No more is accepted, and the peer is told when all that was has left. */
void
usock_channel_begin_end (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (self->ending || socket->state == USOCK_STATE_NEW || socket->state == USOCK_STATE_CLOSED)
    return;

  usock_channel_feed (self);
  usock_postbox_shut (&self->postbox);
  usock_channel_take_posts (self, TRUE);
  if (self->outlet.n_queued > 0)
    usock_channel_flush (self, FALSE);
  self->ending = TRUE;
  if (self->outlet.n_corks > 0)
    {
      self->outlet.n_corks = 0;
      self->outlet.route->stalled_since = g_get_monotonic_time ();
      usock_watch_wake (&socket->watch);
    }
  if (usock_channel_is_connected (self))
    usock_channel_derive_state (self);
  usock_channel_finish_writing (self);
}
