/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-peer-private.h"

/**
 * UsockCall:
 *
 * What the other side of a [class@Usock.Peer] asks, to be answered once: with
 * [method@Usock.Call.reply], [method@Usock.Call.reply_variant] or
 * [method@Usock.Call.reply_error], at once or later. Whoever keeps no reference
 * and has not answered has dropped it, and the caller gets an error that says so.
 *
 * It may be answered only in the thread that the peer belongs to. The last
 * reference may be dropped in any.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (UsockCall, usock_call, usock_call_ref, usock_call_unref)

/* Takes the name and the body over, and is found by its serial from now on. */
UsockCall *
usock_call_new (UsockPeer    *peer,
                guint32       serial,
                char         *name,
                UsockMessage *body)
{
  UsockCall *self = g_new0 (UsockCall, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->peer = g_object_ref (peer);
  self->serial = serial;
  self->name = name;
  self->body = body;
  peer->held_bytes += usock_message_get_length (body);
  g_hash_table_insert (peer->calls, GUINT_TO_POINTER (serial), self);
  return self;
}

static void
call_free (UsockCall *self)
{
  g_free (self->name);
  usock_message_unref (self->body);
  g_clear_object (&self->cancellable);
  g_object_unref (self->peer);
  g_free (self);
}

/* Nobody will answer it any more. */
static void
call_forget (UsockCall *self)
{
  UsockPeer *peer = self->peer;

  g_hash_table_remove (peer->calls, GUINT_TO_POINTER (self->serial));
  peer->held_bytes -= usock_message_get_length (self->body);
  if (peer->has_ended && !peer->is_over)
    usock_watch_wake (&peer->watch);
}

void
usock_call_refuse (UsockPeer    *peer,
                   guint32       serial,
                   const char   *name,
                   GIOErrorEnum  code,
                   const char   *reason)
{
  g_autoptr (GError) error
      = g_error_new (G_IO_ERROR, (int) code, _("Could not answer the call “%s”: %s"), name, reason);
  UsockFrame frame = { .serial = serial };

  usock_peer_error_write (error, &frame);
  usock_peer_send_or_break (peer, &frame, NULL);
}

static void
call_drop (UsockCall *self)
{
  gboolean is_awaited = !self->is_cancelled;

  call_forget (self);
  if (is_awaited)
    usock_call_refuse (self->peer, self->serial, self->name, G_IO_ERROR_FAILED,
                       _("it was dropped without an answer"));
}

/* In another thread than the peer's: there the call is found by its serial until the peer knows. */
static void
call_drop_elsewhere (UsockCall *self)
{
  UsockPeer *peer = g_object_ref (self->peer);
  gboolean is_over;

  g_mutex_lock (&peer->dropped_lock);
  is_over = peer->is_over;
  if (!is_over)
    g_ptr_array_add (peer->dropped, self);
  g_mutex_unlock (&peer->dropped_lock);

  if (is_over)
    call_free (self);
  else
    usock_watch_interrupt (&peer->watch);
  g_object_unref (peer);
}

void
usock_call_take_dropped (UsockPeer *peer)
{
  g_autoptr (GPtrArray) dropped = NULL;

  g_mutex_lock (&peer->dropped_lock);
  dropped = g_steal_pointer (&peer->dropped);
  peer->dropped = g_ptr_array_new ();
  g_mutex_unlock (&peer->dropped_lock);

  for (guint i = 0; i < dropped->len; i++)
    {
      call_drop (dropped->pdata[i]);
      call_free (dropped->pdata[i]);
    }
}

/**
 * usock_call_ref:
 * @self: a call
 *
 * Takes a reference, to answer later.
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
UsockCall *
usock_call_ref (UsockCall *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * usock_call_unref:
 * @self: (transfer full): a call
 *
 * Drops a reference, from any thread. With the last one a call that was not
 * answered fails for the caller.
 *
 * Since: 1.0
 */
void
usock_call_unref (UsockCall *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  if (g_atomic_int_get (&self->is_answered))
    {
      call_free (self);
      return;
    }

  switch (usock_reactor_get_access (self->peer->reactor))
    {
    case USOCK_ACCESS_GRANTED:
      call_drop (self);
      call_free (self);
      break;
    case USOCK_ACCESS_ELSEWHERE:
      call_drop_elsewhere (self);
      break;
    case USOCK_ACCESS_GONE:
    case USOCK_ACCESS_INHERITED:
    default:
      call_free (self);
    }
}

/**
 * usock_call_get_name:
 * @self: a call
 *
 * Gets what is asked for.
 *
 * Returns: (transfer none): the name
 *
 * Since: 1.0
 */
const char *
usock_call_get_name (UsockCall *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->name;
}

/**
 * usock_call_get_body:
 * @self: a call
 *
 * Gets what came with the call, of the kind
 * [enum@Usock.BodyKind] that [method@Usock.Message.get_kind] tells. Descriptors
 * are in it.
 *
 * Returns: (transfer none): the body, which is empty and of the kind `NONE` if there was none
 *
 * Since: 1.0
 */
UsockMessage *
usock_call_get_body (UsockCall *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->body;
}

/**
 * usock_call_get_variant:
 * @self: a call
 *
 * Gets the value that came with the call. It is whole and of the type that it
 * says; whether it is the type that you expect is for you to look at.
 *
 * Returns: (transfer none) (nullable): the value, or %NULL if the body is none
 *
 * Since: 1.0
 */
GVariant *
usock_call_get_variant (UsockCall *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return usock_message_get_variant (self->body);
}

/**
 * usock_call_get_peer:
 * @self: a call
 *
 * Gets the peer that the call came by, to call the caller for example.
 *
 * Returns: (transfer none): the peer
 *
 * Since: 1.0
 */
UsockPeer *
usock_call_get_peer (UsockCall *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->peer;
}

/**
 * usock_call_get_credentials:
 * @self: a call
 * @error: return location for an error
 *
 * Gets who called: the process that sent this very call if the channel has
 * [property@Usock.Channel:pass-credentials], else the one that made the
 * connection, as [method@Usock.Socket.get_peer_credentials] does and with its
 * errors.
 *
 * Returns: (transfer full): the credentials
 *
 * Since: 1.0
 */
GCredentials *
usock_call_get_credentials (UsockCall  *self,
                            GError    **error)
{
  GCredentials *own;

  g_return_val_if_fail (self != NULL, NULL);

  own = usock_message_get_credentials (self->body);
  if (own != NULL)
    return g_object_ref (own);

  return usock_socket_get_peer_credentials (USOCK_SOCKET (self->peer->channel), error);
}

/**
 * usock_call_get_cancellable:
 * @self: a call
 *
 * Gets what is cancelled when nobody waits for the answer any more: the caller
 * has cancelled the call, its time is over, or the peer has gone. To be passed
 * on to what the answer takes. An answer that comes later is dropped.
 *
 * Returns: (transfer none): a cancellable, the same one each time
 *
 * Since: 1.0
 */
GCancellable *
usock_call_get_cancellable (UsockCall *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (self->cancellable == NULL)
    {
      self->cancellable = g_cancellable_new ();
      if (self->is_cancelled)
        g_cancellable_cancel (self->cancellable);
    }

  return self->cancellable;
}

/**
 * usock_call_is_answered:
 * @self: a call
 *
 * Tells whether the call was answered.
 *
 * Returns: whether it was
 *
 * Since: 1.0
 */
gboolean
usock_call_is_answered (UsockCall *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return g_atomic_int_get (&self->is_answered);
}

static gboolean
call_check (UsockCall  *self,
            GError    **error)
{
  if (!usock_peer_check_thread (self->peer, error))
    return FALSE;
  if (!g_atomic_int_get (&self->is_answered))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
               _("Could not answer the call “%s”: it was answered before"), self->name);
  return FALSE;
}

/* The peer is told what it does not read only by being closed. */
static gboolean
call_answer (UsockCall     *self,
             UsockFrame    *frame,
             UsockMessage  *body,
             GError       **error)
{
  g_autoptr (GError) reason = NULL;
  UsockPeer *peer = self->peer;

  frame->serial = self->serial;
  if (!self->is_cancelled && !peer->is_over && !usock_peer_send (peer, frame, body, &reason))
    {
      if (g_error_matches (reason, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        usock_peer_break (peer, g_steal_pointer (&reason));
      else if (!usock_peer_error_is_final (reason))
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
    }

  g_atomic_int_set (&self->is_answered, TRUE);
  call_forget (self);
  return TRUE;
}

/**
 * usock_call_reply:
 * @self: a call
 * @body: (nullable) (transfer none): the answer, with its descriptors; %NULL for nothing
 * @error: return location for an error
 *
 * Answers the call. If nobody waits for the answer any more it is dropped,
 * which is no error.
 *
 * Fails with `G_IO_ERROR_EXISTS` if the call was answered before, with
 * `G_IO_ERROR_PERMISSION_DENIED` if the peer accepts no descriptors, with
 * `G_IO_ERROR_INVALID_ARGUMENT` if the type of a value is too long, and with
 * `G_IO_ERROR_NOT_SUPPORTED` in another thread. The call can then still be
 * answered, unless it was before.
 *
 * Returns: whether the call is answered
 *
 * Since: 1.0
 */
gboolean
usock_call_reply (UsockCall     *self,
                  UsockMessage  *body,
                  GError       **error)
{
  UsockFrame frame = { .type = USOCK_FRAME_REPLY };

  g_return_val_if_fail (self != NULL, FALSE);

  return call_check (self, error) && call_answer (self, &frame, body, error);
}

/**
 * usock_call_reply_variant:
 * @self: a call
 * @value: (transfer none): the answer; if it is floating, it is consumed
 * @error: return location for an error
 *
 * Answers the call with a value, as [method@Usock.Call.reply] does with
 * [ctor@Usock.Message.new_from_variant], and with the same errors.
 *
 * Returns: whether the call is answered
 *
 * Since: 1.0
 */
gboolean
usock_call_reply_variant (UsockCall  *self,
                          GVariant   *value,
                          GError    **error)
{
  g_autoptr (UsockMessage) body = NULL;

  g_return_val_if_fail (self != NULL && value != NULL, FALSE);

  body = usock_message_new_from_variant (value);
  return usock_call_reply (self, body, error);
}

/**
 * usock_call_reply_error:
 * @self: a call
 * @reason: why there is no answer
 * @error: return location for an error
 *
 * Answers the call with an error. The caller gets the same domain and code if
 * it knows the domain, such as `G_IO_ERROR`, `G_FILE_ERROR`, `G_DBUS_ERROR`, or
 * one that it has defined as well; else it gets `G_IO_ERROR_FAILED`. The text is
 * the same always.
 *
 * Fails as [method@Usock.Call.reply] does.
 *
 * Returns: whether the call is answered
 *
 * Since: 1.0
 */
gboolean
usock_call_reply_error (UsockCall     *self,
                        const GError  *reason,
                        GError       **error)
{
  UsockFrame frame = { 0 };

  g_return_val_if_fail (self != NULL && reason != NULL, FALSE);

  usock_peer_error_write (reason, &frame);
  return call_check (self, error) && call_answer (self, &frame, NULL, error);
}

static void
call_mark_cancelled (UsockCall *self,
                     GPtrArray *cancellables)
{
  self->is_cancelled = TRUE;
  if (self->cancellable != NULL)
    g_ptr_array_add (cancellables, g_object_ref (self->cancellable));
}

/* Runs foreign code. */
static void
cancel_each (GPtrArray *cancellables)
{
  for (guint i = 0; i < cancellables->len; i++)
    g_cancellable_cancel (cancellables->pdata[i]);
}

/* The caller waits no more; it may have got its answer on the way. Runs foreign code. */
void
usock_call_cancel (UsockPeer *peer,
                   guint32    serial)
{
  UsockCall *self = g_hash_table_lookup (peer->calls, GUINT_TO_POINTER (serial));
  g_autoptr (GPtrArray) cancellables = g_ptr_array_new_with_free_func (g_object_unref);

  usock_peer_stop_transfer (peer, USOCK_FRAME_REPLY_PIECE, serial);
  if (self == NULL)
    return;

  call_mark_cancelled (self, cancellables);
  cancel_each (cancellables);
}

/* Nobody is there any more. Runs foreign code. */
void
usock_call_cancel_all (UsockPeer *peer)
{
  g_autoptr (GPtrArray) cancellables = g_ptr_array_new_with_free_func (g_object_unref);
  GHashTableIter iter;
  gpointer self;

  g_hash_table_iter_init (&iter, peer->calls);
  while (g_hash_table_iter_next (&iter, NULL, &self))
    call_mark_cancelled (self, cancellables);

  cancel_each (cancellables);
}
