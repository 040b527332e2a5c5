/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-outlet-private.h"

#include "usock-error-private.h"

void
usock_outlet_init (UsockOutlet *self,
                   gpointer     owner)
{
  self->owner = owner;
  self->fd = -1;
  self->route = &self->own_route;
}

static void
outlet_clear_route (UsockOutlet *self,
                    UsockRoute  *route,
                    gpointer     user_data)
{
  UsockQueueItem item;

  while (usock_queue_pop (&route->queue, &item))
    {
      if (item.message != NULL)
        usock_message_unpin_fds (item.message);
      usock_queue_item_clear (&item);
    }
  usock_queue_clear (&route->queue);
}

/* Nobody is told. What is settled is released too. */
void
usock_outlet_clear (UsockOutlet *self)
{
  UsockSettled settled;

  usock_outlet_each_route (self, outlet_clear_route, NULL);
  self->n_queued = 0;
  self->queued_cost = 0;
  while (usock_outlet_take_settled (self, &settled))
    {
      g_clear_pointer (&settled.message, usock_message_unref);
      g_clear_object (&settled.operation);
      g_clear_error (&settled.error);
    }
  g_clear_pointer (&self->settled, g_array_unref);
}

void
usock_outlet_each_route (UsockOutlet    *self,
                         UsockRouteFunc  func,
                         gpointer        user_data)
{
  if (self->funcs->each_route != NULL)
    self->funcs->each_route (self, func, user_data);
  else
    func (self, self->route, user_data);
}

/* A turn costs what there is to do in it, however many others do not keep up. */
void
usock_outlet_each_active (UsockOutlet    *self,
                          UsockRouteFunc  func,
                          gpointer        user_data)
{
  if (self->funcs->each_active != NULL)
    self->funcs->each_active (self, func, user_data);
  else
    func (self, self->route, user_data);
}

/* Who is blocked is not asked again before something tells of room. */
void
usock_outlet_set_blocked (UsockOutlet *self,
                          UsockRoute  *route,
                          gboolean     blocked)
{
  if (route->blocked == blocked)
    return;

  route->blocked = blocked;
  self->n_blocked += blocked ? 1 : -1;
}

void
usock_outlet_note_change (UsockOutlet *self,
                          UsockRoute  *route)
{
  if (self->funcs->changed != NULL)
    self->funcs->changed (self, route);
}

gboolean
usock_outlet_may_send_now (UsockOutlet *self,
                           UsockRoute  *route)
{
  return route->queue.length == 0 && self->n_corks == 0 && self->is_open;
}

/* Whether the limit lets one more wait. If not, `drain` will be owed. */
gboolean
usock_outlet_has_room (UsockOutlet *self,
                       gsize        length,
                       guint        n_fds)
{
  guint64 cost = usock_queue_message_cost (length, n_fds);

  if (self->queue_limit > 0
      && (self->n_queued == 0 || self->queued_cost + cost <= self->queue_limit))
    return TRUE;

  self->needs_drain = TRUE;
  return FALSE;
}

/* Takes both references over; without a message, the operation is done when all that stands before
 * it is settled. A wait begins now, and not when the turn did. */
void
usock_outlet_enqueue (UsockOutlet    *self,
                      UsockRoute     *route,
                      UsockMessage   *message,
                      UsockOperation *operation)
{
  guint64 cost = route->queue.cost;

  if (route->queue.length == 0)
    route->stalled_since = g_get_monotonic_time ();

  if (message != NULL)
    {
      usock_message_freeze (message);
      usock_message_pin_fds (message);
    }
  usock_queue_push (&route->queue, message, operation);
  self->n_queued++;
  self->queued_cost += route->queue.cost - cost;
  if (self->queued_cost > MIN (self->high_water_mark, self->queue_limit))
    self->needs_drain = TRUE;
  if (route->queue.length == 1)
    usock_outlet_note_change (self, route);
}

static void
outlet_mark_route (UsockOutlet *self,
                   UsockRoute  *route,
                   gpointer     operation)
{
  if (route->queue.length > 0)
    usock_outlet_enqueue (self, route, NULL, usock_operation_mark (operation));
}

/* Takes the operation over if there is something to wait for: it is done when all that is queued
 * now, on every route, is settled. */
gboolean
usock_outlet_mark (UsockOutlet    *self,
                   UsockOperation *operation)
{
  if (self->n_queued == 0)
    return FALSE;

  usock_outlet_each_route (self, outlet_mark_route, operation);
  g_object_unref (operation);
  return TRUE;
}

void
usock_outlet_move_queued (UsockOutlet *self,
                          UsockRoute  *from,
                          UsockRoute  *to)
{
  UsockQueueItem item;

  while (usock_queue_pop (&from->queue, &item))
    usock_queue_push (&to->queue, item.message, item.operation);
}

void
usock_outlet_note_bytes (UsockOutlet *self,
                         gsize        length)
{
  self->bytes_written += length;
}

void
usock_outlet_note_sent (UsockOutlet *self,
                        gsize        length)
{
  self->bytes_written += length;
  self->messages_written++;
}

/* Of the head: that much of it has left. */
void
usock_outlet_advance (UsockOutlet *self,
                      UsockRoute  *route,
                      gsize        sent)
{
  usock_queue_advance (&route->queue, sent);
  self->queued_cost -= sent;
  usock_outlet_note_bytes (self, sent);
}

/* Takes all three over. */
static void
outlet_settle (UsockOutlet    *self,
               UsockMessage   *message,
               UsockOperation *operation,
               GError         *error)
{
  UsockSettled settled = { message, operation, error };

  if (self->settled == NULL)
    self->settled = g_array_new (FALSE, FALSE, sizeof settled);
  g_array_append_val (self->settled, settled);
}

/* Of the head: out of the queue and the sums. */
static void
outlet_dequeue (UsockOutlet    *self,
                UsockRoute     *route,
                UsockQueueItem *item)
{
  usock_queue_pop (&route->queue, item);
  self->n_queued--;
  self->queued_cost -= item->cost;
  if (item->message != NULL)
    usock_message_unpin_fds (item->message);
}

/* A mark that stands on several routes is reached on the last of them; NULL until then. */
static UsockOperation *
outlet_reach (UsockQueueItem *item)
{
  if (item->operation == NULL || item->message != NULL || usock_operation_unmark (item->operation))
    return item->operation;

  return NULL;
}

/* The head has left. */
void
usock_outlet_settle_sent (UsockOutlet *self,
                          UsockRoute  *route)
{
  UsockQueueItem item;
  UsockOperation *operation;

  outlet_dequeue (self, route, &item);
  if (item.message != NULL)
    usock_outlet_note_sent (self, usock_message_get_length (item.message) - item.sent);
  operation = outlet_reach (&item);
  if (item.message != NULL || operation != NULL)
    outlet_settle (self, item.message, operation, NULL);
}

/* The head will never leave. */
void
usock_outlet_drop_head (UsockOutlet  *self,
                        UsockRoute   *route,
                        const GError *error)
{
  UsockQueueItem item = *usock_queue_peek (&route->queue, 0);

  if (item.message == NULL && usock_operation_is_decided (item.operation))
    {
      usock_outlet_settle_sent (self, route);
      return;
    }

  outlet_dequeue (self, route, &item);
  if (item.operation == NULL)
    self->funcs->lost (self, route, error);
  outlet_settle (self, item.message, item.operation,
                 item.operation != NULL ? g_error_copy (error) : NULL);
}

void
usock_outlet_drop_route (UsockOutlet  *self,
                         UsockRoute   *route,
                         const GError *error)
{
  while (route->queue.length > 0)
    usock_outlet_drop_head (self, route, error);
}

/* The same where each message is on its own: who waits until they are gone is not told of it. */
void
usock_outlet_drop_messages (UsockOutlet  *self,
                            UsockRoute   *route,
                            const GError *error)
{
  UsockQueueItem *head;

  while ((head = usock_queue_peek (&route->queue, 0)) != NULL)
    if (head->message != NULL)
      usock_outlet_drop_head (self, route, error);
    else
      usock_outlet_settle_sent (self, route);
}

static void
outlet_drop_route_cb (UsockOutlet *self,
                      UsockRoute  *route,
                      gpointer     error)
{
  usock_outlet_drop_route (self, route, error);
}

void
usock_outlet_drop_all (UsockOutlet  *self,
                       const GError *error)
{
  usock_outlet_each_route (self, outlet_drop_route_cb, (gpointer) error);
}

/* What has begun to leave is not cut off. */
static gboolean
outlet_remove_cancelled (const UsockQueueItem *item,
                         gpointer              user_data)
{
  UsockOutlet *self = user_data;

  if (item->operation == NULL || item->sent > 0
      || !(usock_operation_is_decided (item->operation)
           || usock_operation_is_cancelled (item->operation)))
    return FALSE;

  self->n_queued--;
  self->queued_cost -= item->cost;
  if (item->message != NULL)
    usock_message_unpin_fds (item->message);
  if (usock_operation_is_decided (item->operation))
    g_object_unref (item->operation);
  else
    outlet_settle (self, item->message, item->operation,
                   g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                        _("The operation was cancelled")));
  return TRUE;
}

static void
outlet_sweep_route (UsockOutlet *self,
                    UsockRoute  *route,
                    gpointer     user_data)
{
  guint before = route->queue.length;

  usock_queue_filter (&route->queue, outlet_remove_cancelled, self);
  if (route->queue.length != before)
    usock_outlet_note_change (self, route);
}

/* Settles what was cancelled. */
void
usock_outlet_sweep (UsockOutlet *self)
{
  usock_outlet_each_route (self, outlet_sweep_route, NULL);
}

/* Of what was settled and not taken yet, the one behind @index others; NULL if there is none. */
UsockSettled *
usock_outlet_peek_settled (UsockOutlet *self,
                           guint        index)
{
  if (self->settled == NULL || self->n_taken + index >= self->settled->len)
    return NULL;

  return &g_array_index (self->settled, UsockSettled, self->n_taken + index);
}

gboolean
usock_outlet_has_settled (const UsockOutlet *self)
{
  return self->settled != NULL && self->n_taken < self->settled->len;
}

/* The oldest that was settled. To release its message may run foreign code, so the line is in order
 * whenever this returns. */
gboolean
usock_outlet_take_settled (UsockOutlet  *self,
                           UsockSettled *settled)
{
  if (!usock_outlet_has_settled (self))
    {
      if (self->settled != NULL)
        g_array_set_size (self->settled, 0);
      self->n_taken = 0;
      return FALSE;
    }

  *settled = g_array_index (self->settled, UsockSettled, self->n_taken++);
  return TRUE;
}

/* Not while anybody is full: a program that sent again would be refused again, for ever. */
gboolean
usock_outlet_owes_drain (UsockOutlet *self)
{
  return self->needs_drain && self->n_queued == 0 && self->n_blocked == 0;
}
