/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a peer says. The first frame in a turn of the main loop leaves at once, and what follows in
 * the same turn leaves with it, in as few packets as can be. A body too large for that leaves in
 * pieces. Of those the channel is never given more than it takes to keep the kernel busy, so that
 * nothing small has to wait behind them. */

#include "config.h"

#include "usock-peer-private.h"

#include <string.h>

/* What is copied together, and what leaves as one frame. */
#define COPIED_MAX (8 * 1024)
#define GATHERED_MAX (64 * 1024)
#define WHOLE_MAX (64 * 1024)

#define PIECE_SIZE (128 * 1024)
#define PIECES_MAX 2

/* Closes the channel. Takes the error over. */
void
usock_peer_break (UsockPeer *self,
                  GError    *error)
{
  if (!self->is_over && !self->is_breaking)
    {
      self->is_breaking = TRUE;
      usock_socket_destroy (usock_peer_socket (self), error);
    }
  g_error_free (error);
}

void
usock_peer_break_rule (UsockPeer  *self,
                       const char *rule)
{
  usock_peer_break (self, g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                                       _("Could not receive from “%s”: it broke the rule “%s” of "
                                         "the protocol for calls"),
                                       usock_socket_get_label (usock_peer_socket (self)),
                                       rule));
}

/* What can not leave for now stays, and leaves with the next turn that has room. */
static gboolean
peer_send_gathered (UsockPeer  *self,
                    GError    **error)
{
  if (!usock_channel_send (self->channel, self->gathered->data, self->gathered->len, error))
    return FALSE;

  g_byte_array_set_size (self->gathered, 0);
  return TRUE;
}

void
usock_peer_flush (UsockPeer *self)
{
  g_autoptr (GError) error = NULL;

  if (self->gathered->len == 0 || self->is_over || peer_send_gathered (self, &error)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    return;

  /* Who is gone, or does not listen any more, is told of when everything was read. */
  g_byte_array_set_size (self->gathered, 0);
  if (!usock_peer_error_is_final (error))
    usock_peer_break (self, g_steal_pointer (&error));
}

/* Whether a frame may wait for others, and leaves by itself. */
static gboolean
peer_gathers (UsockPeer *self)
{
  guint64 turn = usock_reactor_get_turn (self->reactor);

  if (usock_socket_get_state (usock_peer_socket (self)) != USOCK_STATE_OPEN)
    return FALSE;
  if (!self->is_gathering && self->sent_turn != turn)
    {
      self->sent_turn = turn;
      return FALSE;
    }

  usock_watch_wake (&self->watch);
  return TRUE;
}

static gboolean
peer_has_room (UsockPeer  *self,
               gsize       length,
               GError    **error)
{
  guint64 queued = usock_channel_get_queued_bytes (self->channel);

  if (queued + self->gathered->len == 0
      || queued + self->gathered->len + length <= usock_channel_get_queue_limit (self->channel))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
               _("Could not send to “%s”: it does not read what it is sent"),
               usock_socket_get_label (usock_peer_socket (self)));
  return FALSE;
}

/* The body is in the frame. */
static gboolean
peer_send_copied (UsockPeer   *self,
                  UsockFrame  *frame,
                  GError     **error)
{
  gsize head = usock_frame_head (frame);
  gsize length = head + frame->body_length;
  guint before;

  if (!peer_has_room (self, length, error))
    return FALSE;
  if (self->gathered->len + length > GATHERED_MAX)
    usock_peer_flush (self);

  before = self->gathered->len;
  g_byte_array_set_size (self->gathered, before + (guint) length);
  usock_frame_write (frame, self->gathered->data + before);
  if (frame->body_length > 0)
    memcpy (self->gathered->data + before + head, frame->body, frame->body_length);
  if (peer_gathers (self) || peer_send_gathered (self, error))
    return TRUE;

  g_byte_array_set_size (self->gathered, before);
  return FALSE;
}

static UsockMessage *
frame_to_message (const UsockFrame *frame)
{
  gsize head = usock_frame_head (frame);
  guint8 *buffer = g_malloc (head);
  g_autoptr (GBytes) bytes = g_bytes_new_take (buffer, head);

  usock_frame_write (frame, buffer);
  return usock_message_new_from_bytes (bytes);
}

/* The body goes along without being copied, and so do its descriptors. */
static gboolean
peer_send_whole (UsockPeer     *self,
                 UsockFrame    *frame,
                 UsockMessage  *body,
                 GError       **error)
{
  g_autoptr (UsockMessage) message = frame_to_message (frame);

  usock_peer_flush (self);
  return usock_message_append_message (message, body, error)
         && usock_channel_send_message (self->channel, message, error);
}

static void
transfer_free (UsockTransfer *self)
{
  g_bytes_unref (self->bytes);
  g_free (self);
}

static void peer_pump (UsockPeer *self);

static void
piece_sent_cb (GObject      *channel,
               GAsyncResult *result,
               gpointer      user_data)
{
  UsockPeer *self = user_data;

  self->n_pieces--;
  if (usock_channel_send_message_finish (USOCK_CHANNEL (channel), result, NULL) && !self->is_over)
    peer_pump (self);
  g_object_unref (self);
}

/* Returns whether there is more of it. */
static gboolean
peer_send_piece (UsockPeer     *self,
                 UsockTransfer *transfer)
{
  gsize left = g_bytes_get_size (transfer->bytes) - transfer->sent;
  UsockFrame frame = { .type = transfer->type, .serial = transfer->serial, .size = transfer->sent };
  g_autoptr (UsockMessage) message = NULL;
  g_autoptr (GBytes) part = NULL;

  frame.body_length = MIN (left, PIECE_SIZE - USOCK_FRAME_HEADER);
  message = frame_to_message (&frame);
  part = g_bytes_new_from_bytes (transfer->bytes, transfer->sent, frame.body_length);
  usock_message_append_bytes (message, part);

  self->n_pieces++;
  usock_channel_send_message_async (self->channel, message, NULL, piece_sent_cb,
                                    g_object_ref (self));
  transfer->sent += frame.body_length;
  return frame.body_length < left;
}

static void
peer_remove_transfer (UsockPeer     *self,
                      UsockTransfer *transfer)
{
  if (transfer->type == USOCK_FRAME_REPLY_PIECE)
    self->n_replying--;
  transfer_free (transfer);
}

/* One after the other, so that a small one is not kept by a large one. */
static void
peer_pump_up_to (UsockPeer *self,
                 guint      n_pieces)
{
  while (self->n_pieces < n_pieces && self->transfers.length > 0)
    {
      GList *link = g_queue_pop_head_link (&self->transfers);
      UsockTransfer *transfer = link->data;

      usock_peer_flush (self);
      if (peer_send_piece (self, transfer))
        g_queue_push_tail_link (&self->transfers, link);
      else
        peer_remove_transfer (self, transfer);
    }
}

static void
peer_pump (UsockPeer *self)
{
  peer_pump_up_to (self, PIECES_MAX);
}

/* Everything that was accepted, however much the channel has already: our side ends, or somebody
 * waits until all of it has left. The pieces are not copied. */
void
usock_peer_push (UsockPeer *self)
{
  if (self->gathered->len > 0 && !peer_send_gathered (self, NULL))
    {
      g_autoptr (UsockMessage) message
          = usock_message_new (self->gathered->data, self->gathered->len);

      g_byte_array_set_size (self->gathered, 0);
      usock_channel_send_message_async (self->channel, message, NULL, NULL, NULL);
    }
  peer_pump_up_to (self, G_MAXUINT);
}

/* The frame first, with the descriptors, and then the body. */
static gboolean
peer_send_in_pieces (UsockPeer     *self,
                     UsockFrame    *frame,
                     UsockMessage  *body,
                     GError       **error)
{
  g_autoptr (UsockMessage) fds = usock_message_new (NULL, 0);
  UsockTransfer *transfer;

  if (!usock_message_append_fds_of (fds, body, error) || !peer_send_whole (self, frame, fds, error))
    return FALSE;

  transfer = g_new0 (UsockTransfer, 1);
  transfer->type = frame->type == USOCK_FRAME_REPLY ? USOCK_FRAME_REPLY_PIECE : USOCK_FRAME_PIECE;
  transfer->serial = frame->serial;
  transfer->bytes = g_bytes_ref (usock_message_get_bytes (body));
  transfer->link.data = transfer;
  g_queue_push_tail_link (&self->transfers, &transfer->link);
  if (transfer->type == USOCK_FRAME_REPLY_PIECE)
    self->n_replying++;

  peer_pump (self);
  return TRUE;
}

static gboolean
peer_describe_body (UsockFrame    *frame,
                    UsockMessage  *body,
                    GError       **error)
{
  GVariant *value = usock_message_get_variant (body);
  guint n_fds;
  const int *fds = usock_message_peek_fds (body, &n_fds);

  for (guint i = 0; i < n_fds; i++)
    frame->n_fds += fds[i] != -1;
  frame->kind = (guint8) usock_message_get_kind (body);
  frame->size = usock_message_get_length (body);
  if (value == NULL)
    return TRUE;

  frame->signature = g_variant_get_type_string (value);
  frame->signature_length = strlen (frame->signature);
  if (frame->signature_length <= G_MAXUINT8)
    return TRUE;

  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                       _("Could not send a value: its type is longer than 255 bytes"));
  return FALSE;
}

/* The memory file goes along as the last descriptor. FALSE without an error if the other side takes no
 * descriptors, or is not on this machine. */
static gboolean
peer_send_memfd (UsockPeer     *self,
                 UsockFrame    *frame,
                 UsockMessage  *body,
                 GError       **error)
{
  g_autoptr (UsockMessage) fds = usock_message_new (NULL, 0);
  g_autoptr (GError) reason = NULL;

  frame->flags = USOCK_FRAME_FLAGS_MEMFD;
  frame->n_fds++;
  if (usock_message_append_fds_of (fds, body, &reason)
      && usock_message_append_fd (fds, usock_message_get_memfd (body), &reason)
      && peer_send_whole (self, frame, fds, &reason))
    return TRUE;

  frame->flags = USOCK_FRAME_FLAGS_NONE;
  frame->n_fds--;
  if (!g_error_matches (reason, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED)
      && !g_error_matches (reason, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED))
    g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

static gboolean
body_is_in_memfd (const UsockFrame *frame,
                  UsockMessage     *body)
{
  return usock_message_get_memfd (body) != -1 && frame->size > COPIED_MAX
         && frame->n_fds < USOCK_FRAME_FDS_MAX;
}

/* Without a body, what is in the frame stands. */
gboolean
usock_peer_send (UsockPeer     *self,
                 UsockFrame    *frame,
                 UsockMessage  *body,
                 GError       **error)
{
  GError *reason = NULL;
  gsize head;

  if (body == NULL)
    return peer_send_copied (self, frame, error);
  if (!peer_describe_body (frame, body, error))
    return FALSE;

  usock_message_freeze (body);
  if (body_is_in_memfd (frame, body))
    {
      if (peer_send_memfd (self, frame, body, &reason))
        return TRUE;
      if (reason != NULL)
        {
          g_propagate_error (error, reason);
          return FALSE;
        }
    }

  head = usock_frame_head (frame);
  if (head + frame->size > WHOLE_MAX)
    return peer_send_in_pieces (self, frame, body, error);

  frame->body_length = frame->size;
  if (frame->n_fds > 0 || frame->size > COPIED_MAX)
    return peer_send_whole (self, frame, body, error);

  frame->body = usock_message_get_data (body, NULL);
  return peer_send_copied (self, frame, error);
}

/* For what nobody could be told of but the peer itself, which does not read. */
void
usock_peer_send_or_break (UsockPeer    *self,
                          UsockFrame   *frame,
                          UsockMessage *body)
{
  g_autoptr (GError) error = NULL;

  if (!self->is_over && !self->is_breaking && !usock_peer_send (self, frame, body, &error)
      && !usock_peer_error_is_final (error))
    usock_peer_break (self, g_steal_pointer (&error));
}

void
usock_peer_stop_transfer (UsockPeer *self,
                          guint8     type,
                          guint32    serial)
{
  for (GList *link = self->transfers.head; link != NULL; link = link->next)
    {
      UsockTransfer *transfer = link->data;

      if (transfer->type != type || transfer->serial != serial)
        continue;
      g_queue_unlink (&self->transfers, link);
      peer_remove_transfer (self, transfer);
      return;
    }
}

void
usock_peer_drop_transfers (UsockPeer *self)
{
  GList *link;

  while ((link = g_queue_pop_head_link (&self->transfers)) != NULL)
    peer_remove_transfer (self, link->data);
}
