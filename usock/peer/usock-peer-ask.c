/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-peer-private.h"

#include <string.h>

/* In whatever thread cancels. */
static void
peer_cancelled (GCancellable *cancellable,
                gpointer      peer)
{
  UsockPeer *self = peer;

  if (self->reactor != NULL)
    usock_watch_interrupt (&self->watch);
}

static gboolean
complete_later (gpointer operation)
{
  usock_operation_complete (operation);
  return G_SOURCE_REMOVE;
}

/* Never from within the call that failed. Takes the error over. */
static void
peer_fail_operation (UsockPeer      *self,
                     UsockOperation *operation,
                     GError         *error)
{
  usock_operation_return_error (operation, error);
  if (self->is_held && usock_peer_check_thread (self, NULL))
    {
      g_queue_push_tail (&self->completed, operation);
      usock_watch_wake (&self->watch);
    }
  else
    usock_reactor_call_later (complete_later, operation, g_object_unref);
}

static gboolean
peer_check_ask (UsockPeer     *self,
                const char    *name,
                GCancellable  *cancellable,
                GError       **error)
{
  if (!usock_peer_check (self, name, error))
    return FALSE;

  if (cancellable != NULL && g_cancellable_is_cancelled (cancellable))
    {
      g_propagate_error (error, usock_peer_error_new (self, name, G_IO_ERROR_CANCELLED,
                                                      _("it was cancelled")));
      return FALSE;
    }
  if (g_hash_table_size (self->asks) - self->n_in_flight < self->max_queued_calls
      || self->n_in_flight < self->max_calls)
    return TRUE;

  g_propagate_error (error, usock_peer_error_new (self, name, G_IO_ERROR_WOULD_BLOCK,
                                                  _("too many calls wait to be made")));
  return FALSE;
}

static void
peer_ask (UsockPeer           *self,
          const char          *name,
          UsockMessage        *body,
          int                  timeout,
          GCancellable        *cancellable,
          gpointer             tag,
          GAsyncReadyCallback  callback,
          gpointer             user_data)
{
  UsockOperation *operation = usock_operation_new (self, tag, callback, user_data);
  GError *error = NULL;
  UsockAsk *ask;

  if (!peer_check_ask (self, name, cancellable, &error))
    {
      peer_fail_operation (self, operation, error);
      return;
    }

  usock_peer_start (self);
  ask = g_new0 (UsockAsk, 1);
  ask->serial = usock_peer_next_serial (self);
  ask->operation = operation;
  ask->name = g_strdup (name);
  ask->body = body != NULL ? usock_message_ref (body) : NULL;
  ask->deadline = -1;
  ask->timeout = timeout;
  usock_peer_start_ask (self, ask);
  /* The operation is there as long as it was not completed, which never happens in here. */
  if (!usock_operation_is_decided (operation))
    usock_operation_set_cancellable (operation, cancellable, G_CALLBACK (peer_cancelled));
}

/**
 * usock_peer_call_async:
 * @self: a peer
 * @name: what to ask for, of at most 255 bytes
 * @body: (nullable) (transfer none): what goes along, with its descriptors; %NULL for nothing
 * @timeout: how long to wait for the answer, in milliseconds; -1 for ever, 0 not at all
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Asks the other side, and completes with its answer. Many calls may be under
 * way at once, and are answered in any order. Beyond
 * [property@Usock.Peer:max-calls] they wait here for their turn.
 *
 * The first call in a turn of the main loop is on its way when this returns;
 * those that follow leave with the next turn, together.
 *
 * When the time is over or the call is cancelled, the other side is told, and
 * an answer that comes later is dropped.
 *
 * Since: 1.0
 */
void
usock_peer_call_async (UsockPeer           *self,
                       const char          *name,
                       UsockMessage        *body,
                       gint                 timeout,
                       GCancellable        *cancellable,
                       GAsyncReadyCallback  callback,
                       gpointer             user_data)
{
  g_return_if_fail (USOCK_IS_PEER (self));
  g_return_if_fail (name != NULL);

  peer_ask (self, name, body, timeout, cancellable, usock_peer_call_async, callback, user_data);
}

static UsockMessage *
peer_ask_finish (UsockPeer     *self,
                 GAsyncResult  *result,
                 gpointer       tag,
                 GError       **error)
{
  gpointer body = NULL;

  usock_operation_propagate (result, self, tag, &body, error);
  return body;
}

/**
 * usock_peer_call_finish:
 * @self: a peer
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Peer.call_async].
 *
 * Fails with the error that the other side has answered with, whatever that is;
 * with `G_IO_ERROR_NOT_SUPPORTED` if nobody there handles the call, with
 * `G_IO_ERROR_BUSY` if too many wait there, with `G_IO_ERROR_TIMED_OUT` and
 * `G_IO_ERROR_CANCELLED`, with `G_IO_ERROR_CONNECTION_CLOSED` if the other side
 * has gone, with `G_IO_ERROR_CLOSED` if the channel was closed here, and with
 * whatever error closed it; with `G_IO_ERROR_MESSAGE_TOO_LARGE` if a body is
 * larger than its receiver accepts, `G_IO_ERROR_PERMISSION_DENIED` if it accepts
 * no descriptors, `G_IO_ERROR_WOULD_BLOCK` if too many calls wait here,
 * `G_IO_ERROR_INVALID_ARGUMENT` if the name is no name, and with
 * `G_IO_ERROR_NOT_CONNECTED` before connecting.
 *
 * Returns: (transfer full): the answer, empty and of the kind `NONE` if there is nothing in it
 *
 * Since: 1.0
 */
UsockMessage *
usock_peer_call_finish (UsockPeer     *self,
                        GAsyncResult  *result,
                        GError       **error)
{
  g_return_val_if_fail (USOCK_IS_PEER (self), NULL);

  return peer_ask_finish (self, result, usock_peer_call_async, error);
}

/**
 * usock_peer_call_variant_async:
 * @self: a peer
 * @name: what to ask for, of at most 255 bytes
 * @value: (nullable) (transfer none): what goes along; if it is floating, it is consumed
 * @timeout: how long to wait for the answer, in milliseconds; -1 for ever, 0 not at all
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Asks the other side as [method@Usock.Peer.call_async] does, with values both
 * ways.
 *
 * Since: 1.0
 */
void
usock_peer_call_variant_async (UsockPeer           *self,
                               const char          *name,
                               GVariant            *value,
                               gint                 timeout,
                               GCancellable        *cancellable,
                               GAsyncReadyCallback  callback,
                               gpointer             user_data)
{
  g_autoptr (UsockMessage) body = NULL;

  g_return_if_fail (USOCK_IS_PEER (self));
  g_return_if_fail (name != NULL);

  body = value != NULL ? usock_message_new_from_variant (value) : NULL;
  peer_ask (self, name, body, timeout, cancellable, usock_peer_call_variant_async, callback,
            user_data);
}

static GVariant *
body_to_variant (UsockMessage  *body,
                 GError       **error)
{
  g_autofree char *text = NULL;

  switch (usock_message_get_kind (body))
    {
    case USOCK_BODY_KIND_VARIANT:
      return g_variant_ref (usock_message_get_variant (body));
    case USOCK_BODY_KIND_BYTES:
      return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING,
                                                           usock_message_get_bytes (body), TRUE));
    case USOCK_BODY_KIND_TEXT:
      text = usock_message_dup_text (body, error);
      return text != NULL ? g_variant_ref_sink (g_variant_new_string (text)) : NULL;
    case USOCK_BODY_KIND_NONE:
    default:
      return g_variant_ref_sink (g_variant_new_tuple (NULL, 0));
    }
}

/**
 * usock_peer_call_variant_finish:
 * @self: a peer
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Peer.call_variant_async], with the errors of
 * [method@Usock.Peer.call_finish]. Bytes are a value of type `ay`, text is one of
 * type `s`, and nothing is an empty tuple, `()`. Descriptors that come along are
 * closed.
 *
 * Returns: (transfer full): the answer
 *
 * Since: 1.0
 */
GVariant *
usock_peer_call_variant_finish (UsockPeer     *self,
                                GAsyncResult  *result,
                                GError       **error)
{
  g_autoptr (UsockMessage) body = NULL;

  g_return_val_if_fail (USOCK_IS_PEER (self), NULL);

  body = peer_ask_finish (self, result, usock_peer_call_variant_async, error);
  return body != NULL ? body_to_variant (body, error) : NULL;
}

/**
 * usock_peer_post:
 * @self: a peer
 * @name: what it is about, of at most 255 bytes
 * @body: (nullable) (transfer none): what goes along, with its descriptors; %NULL for nothing
 * @error: return location for an error
 *
 * Tells the other side something to which there is no answer, see
 * [signal@Usock.Peer::posted].
 *
 * The errors are those of [method@Usock.Channel.send_message], and
 * `G_IO_ERROR_INVALID_ARGUMENT` if the name is no name.
 *
 * Returns: whether it was accepted
 *
 * Since: 1.0
 */
gboolean
usock_peer_post (UsockPeer     *self,
                 const char    *name,
                 UsockMessage  *body,
                 GError       **error)
{
  UsockFrame frame = { .type = USOCK_FRAME_POST, .name = name };

  g_return_val_if_fail (USOCK_IS_PEER (self), FALSE);
  g_return_val_if_fail (name != NULL, FALSE);

  if (!usock_peer_check (self, name, error))
    return FALSE;

  frame.serial = usock_peer_next_serial (self);
  frame.name_length = strlen (name);
  return usock_peer_send (self, &frame, body, error);
}

/**
 * usock_peer_post_variant:
 * @self: a peer
 * @name: what it is about, of at most 255 bytes
 * @value: (nullable) (transfer none): what goes along; if it is floating, it is consumed
 * @error: return location for an error
 *
 * Tells the other side something as [method@Usock.Peer.post] does, with a value,
 * and with the same errors.
 *
 * Returns: whether it was accepted
 *
 * Since: 1.0
 */
gboolean
usock_peer_post_variant (UsockPeer   *self,
                         const char  *name,
                         GVariant    *value,
                         GError     **error)
{
  g_autoptr (UsockMessage) body = NULL;

  g_return_val_if_fail (USOCK_IS_PEER (self), FALSE);
  g_return_val_if_fail (name != NULL, FALSE);

  body = value != NULL ? usock_message_new_from_variant (value) : NULL;
  return usock_peer_post (self, name, body, error);
}
