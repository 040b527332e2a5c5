/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-pending-private.h"

#include "usock-error-private.h"

/* Takes the operation over. */
void
usock_pending_push (GQueue         *queue,
                    UsockOperation *operation)
{
  g_queue_push_tail_link (queue, usock_operation_get_link (operation));
}

/* The oldest, which is the caller's; NULL for none. */
UsockOperation *
usock_pending_pop (GQueue *queue)
{
  GList *link = g_queue_pop_head_link (queue);

  return link != NULL ? link->data : NULL;
}

static void
pending_clear_queue (GQueue *queue)
{
  UsockOperation *operation;

  while ((operation = usock_pending_pop (queue)) != NULL)
    g_object_unref (operation);
}

/* Nobody is called back. */
void
usock_pending_clear (UsockPending *self)
{
  pending_clear_queue (&self->receivers);
  pending_clear_queue (&self->enders);
  pending_clear_queue (&self->completed);
  self->n_earlier = 0;
  g_clear_object (&self->connecting);
  g_clear_object (&self->closer);
}

/* Takes both over. */
void
usock_pending_succeed (UsockPending   *self,
                       UsockOperation *operation,
                       gpointer        result,
                       GDestroyNotify  free_result)
{
  usock_operation_return_pointer (operation, result, free_result);
  usock_pending_push (&self->completed, operation);
}

/* Takes both over. */
void
usock_pending_fail (UsockPending   *self,
                    UsockOperation *operation,
                    GError         *error)
{
  usock_operation_return_error (operation, error);
  usock_pending_push (&self->completed, operation);
}

/* Takes the operation over. */
void
usock_pending_cancel (UsockPending   *self,
                      UsockOperation *operation)
{
  usock_pending_fail (self, operation,
                      g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                           _("The operation was cancelled")));
}

/* The oldest that is not cancelled; NULL for none. A handler of this turn may have cancelled a call
 * whose turn comes in the same one: it must not take a message that nobody would look at. */
UsockOperation *
usock_pending_get_receiver (UsockPending     *self,
                            UsockPendingFunc  give_back,
                            gpointer          user_data)
{
  UsockOperation *first;

  if (self->receivers.length == 0)
    return NULL;

  while ((first = g_queue_peek_head (&self->receivers)) != NULL
         && usock_operation_is_cancelled (first))
    {
      g_queue_pop_head_link (&self->receivers);
      give_back (first, user_data);
      usock_pending_cancel (self, first);
    }

  return first;
}

/* Whether any call has not been decided. */
gboolean
usock_pending_waits (const UsockPending *self)
{
  return self->receivers.length > 0 || self->enders.length > 0 || self->connecting != NULL
         || self->closer != NULL;
}

/* What was sent while the connection was being made may have been decided before; who waits for the
 * connection is told first all the same. */
static void
pending_push_connecting (UsockPending   *self,
                         UsockOperation *connecting)
{
  g_queue_push_nth_link (&self->completed, self->n_earlier, usock_operation_get_link (connecting));
}

void
usock_pending_connected (UsockPending *self)
{
  UsockOperation *connecting = g_steal_pointer (&self->connecting);

  if (connecting == NULL)
    return;

  usock_operation_return_pointer (connecting, NULL, NULL);
  pending_push_connecting (self, connecting);
}

/* Nothing more will come, and nothing went wrong. */
void
usock_pending_end_receivers (UsockPending *self)
{
  UsockOperation *receiver;

  while ((receiver = usock_pending_pop (&self->receivers)) != NULL)
    usock_pending_succeed (self, receiver, NULL, NULL);
}

static void
pending_decide (UsockPending   *self,
                UsockOperation *operation,
                const GError   *error)
{
  if (error != NULL)
    usock_pending_fail (self, operation, g_error_copy (error));
  else
    usock_pending_succeed (self, operation, NULL, NULL);
}

/* With NULL our end has gone out. */
void
usock_pending_end_enders (UsockPending *self,
                          const GError *error)
{
  UsockOperation *ender;

  while ((ender = usock_pending_pop (&self->enders)) != NULL)
    pending_decide (self, ender, error);
}

/* With NULL the channel has closed as it was to. */
void
usock_pending_end_closer (UsockPending *self,
                          const GError *error)
{
  UsockOperation *closer = g_steal_pointer (&self->closer);

  if (closer != NULL)
    pending_decide (self, closer, error);
}

/* Everything but the close ends with this. */
void
usock_pending_end_all (UsockPending *self,
                       const GError *error)
{
  UsockOperation *connecting = g_steal_pointer (&self->connecting);
  UsockOperation *receiver;

  if (connecting != NULL)
    {
      usock_operation_return_error (connecting, g_error_copy (error));
      pending_push_connecting (self, connecting);
    }
  usock_pending_end_enders (self, error);
  while ((receiver = usock_pending_pop (&self->receivers)) != NULL)
    usock_pending_fail (self, receiver, g_error_copy (error));
}

/* In one pass, so that cancelling half of many costs their number once. */
static void
pending_sweep_queue (UsockPending     *self,
                     GQueue           *queue,
                     UsockPendingFunc  give_back,
                     gpointer          user_data)
{
  GList *next;

  for (GList *link = queue->head; link != NULL; link = next)
    {
      UsockOperation *operation = link->data;

      next = link->next;
      if (!usock_operation_is_cancelled (operation))
        continue;

      g_queue_unlink (queue, link);
      if (give_back != NULL)
        give_back (operation, user_data);
      usock_pending_cancel (self, operation);
    }
}

/* Decides what was cancelled. Cancelling the connection is for the channel, which has more to give
 * up with it. */
void
usock_pending_sweep (UsockPending     *self,
                     UsockPendingFunc  give_back,
                     gpointer          user_data)
{
  pending_sweep_queue (self, &self->receivers, give_back, user_data);
  pending_sweep_queue (self, &self->enders, NULL, NULL);
  if (self->closer != NULL && usock_operation_is_cancelled (self->closer))
    usock_pending_cancel (self, g_steal_pointer (&self->closer));
}

static void
pending_run_first (UsockPending *self)
{
  UsockOperation *operation = usock_pending_pop (&self->completed);

  if (self->n_earlier > 0)
    self->n_earlier--;
  usock_operation_complete (operation);
  g_object_unref (operation);
}

/* Calls back, which is foreign code: it may add to the line, or run a nested main loop that calls
 * back the rest of it. */
void
usock_pending_run (UsockPending *self)
{
  while (self->completed.length > 0)
    pending_run_first (self);
}

/* The same for what has nothing to do with the connection that there is. */
void
usock_pending_run_earlier (UsockPending *self)
{
  while (self->n_earlier > 0)
    pending_run_first (self);
}
