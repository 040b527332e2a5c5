/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was asked of the other side: each is answered once, by it, by the clock, by whoever cancels,
 * or by the end. */

#include "config.h"

#include "usock-peer-private.h"

#include <string.h>

/* A deadline is told at the end of its millisecond, together with the others in it. */
#define TICK 1000

/* How many turns what is due waits at the most for what was there already, and is being read. */
#define OVERTIME_TURNS 16

static void
ask_free (UsockAsk *self)
{
  g_clear_pointer (&self->body, usock_message_unref);
  g_clear_pointer (&self->reply, usock_assembly_free);
  g_free (self->name);
  g_free (self);
}

guint32
usock_peer_next_serial (UsockPeer *self)
{
  do
    self->last_serial++;
  while (self->last_serial == 0
         || g_hash_table_contains (self->asks, GUINT_TO_POINTER (self->last_serial)));

  return self->last_serial;
}

UsockAsk *
usock_peer_find_ask (UsockPeer *self,
                     guint32    serial)
{
  return g_hash_table_lookup (self->asks, GUINT_TO_POINTER (serial));
}

/* Takes it out of everything, decides its operation, and frees it. Takes the result over. */
static void
ask_decide (UsockPeer    *self,
            UsockAsk     *ask,
            UsockMessage *body,
            GError       *error)
{
  UsockOperation *operation = ask->operation;

  g_hash_table_remove (self->asks, GUINT_TO_POINTER (ask->serial));
  if (ask->is_sent)
    self->n_in_flight--;
  else if (ask->link.data != NULL)
    g_queue_unlink (&self->waiting, &ask->link);
  if (ask->reply != NULL)
    self->held_bytes -= ask->reply->size;
  ask_free (ask);

  if (error != NULL)
    usock_operation_return_error (operation, error);
  else
    usock_operation_return_pointer (operation, body, (GDestroyNotify) usock_message_unref);
  g_queue_push_tail (&self->completed, operation);
}

/* The timer is set anew only for what comes before it; what has been answered leaves it alone. */
static void
peer_note_deadline (UsockPeer *self,
                    gint64     deadline)
{
  if (deadline == -1 || (self->next_deadline != -1 && self->next_deadline <= deadline))
    return;

  self->next_deadline = deadline;
  usock_watch_set_deadline (&self->watch, deadline);
}

/* FALSE if there is no room for it, in which case it stays what it was. */
static gboolean
ask_send (UsockPeer *self,
          UsockAsk  *ask)
{
  UsockFrame frame = { .type = USOCK_FRAME_CALL, .serial = ask->serial, .name = ask->name };
  GError *error = NULL;

  frame.name_length = strlen (ask->name);
  if (usock_peer_send (self, &frame, ask->body, &error))
    {
      g_clear_pointer (&ask->body, usock_message_unref);
      ask->is_sent = TRUE;
      self->n_in_flight++;
      return TRUE;
    }
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    {
      g_error_free (error);
      return FALSE;
    }

  ask_decide (self, ask, NULL, error);
  usock_watch_wake (&self->watch);
  return TRUE;
}

/* Takes it over. */
void
usock_peer_start_ask (UsockPeer *self,
                      UsockAsk  *ask)
{
  g_hash_table_insert (self->asks, GUINT_TO_POINTER (ask->serial), ask);
  if (ask->timeout >= 0)
    {
      ask->deadline = (g_get_monotonic_time () + ask->timeout * G_GINT64_CONSTANT (1000) + TICK - 1)
                      / TICK * TICK;
      peer_note_deadline (self, ask->deadline);
    }

  if (self->waiting.length == 0 && self->n_in_flight < self->max_calls && ask_send (self, ask))
    return;

  ask->link.data = ask;
  g_queue_push_tail_link (&self->waiting, &ask->link);
}

void
usock_peer_start_waiting (UsockPeer *self)
{
  while (self->waiting.length > 0 && self->n_in_flight < self->max_calls && !self->is_over
         && !self->is_breaking)
    {
      UsockAsk *ask = g_queue_pop_head_link (&self->waiting)->data;

      ask->link = (GList) { 0 };
      if (ask_send (self, ask))
        continue;

      ask->link.data = ask;
      g_queue_push_head_link (&self->waiting, &ask->link);
      return;
    }
}

/* Runs foreign code; whoever calls holds a reference. */
void
usock_peer_complete (UsockPeer *self)
{
  UsockOperation *operation;

  while ((operation = g_queue_pop_head (&self->completed)) != NULL)
    {
      usock_operation_complete (operation);
      g_object_unref (operation);
    }
}

/* Takes the result over, and runs foreign code. */
void
usock_peer_answer_ask (UsockPeer    *self,
                       UsockAsk     *ask,
                       UsockMessage *body,
                       GError       *error)
{
  usock_peer_stop_transfer (self, USOCK_FRAME_PIECE, ask->serial);
  ask_decide (self, ask, body, error);
  usock_peer_start_waiting (self);
  usock_peer_complete (self);
}

/* The other side learns that nobody waits any more. Takes the error over. */
void
usock_peer_give_up_ask (UsockPeer *self,
                        UsockAsk  *ask,
                        GError    *error)
{
  UsockFrame frame = { .type = USOCK_FRAME_CANCEL, .serial = ask->serial };
  gboolean was_sent = ask->is_sent;

  usock_peer_stop_transfer (self, USOCK_FRAME_PIECE, ask->serial);
  ask_decide (self, ask, NULL, error);
  if (was_sent)
    usock_peer_send_or_break (self, &frame, NULL);
}

typedef gboolean (*AskFilter) (UsockAsk *ask,
                               gint64    now);

/* In the order in which they were asked. */
static int
compare_asks (gconstpointer first,
              gconstpointer second)
{
  const UsockAsk *one = *(UsockAsk *const *) first, *other = *(UsockAsk *const *) second;

  return one->serial < other->serial ? -1 : one->serial > other->serial;
}

static GPtrArray *
peer_list_asks (UsockPeer *self,
                AskFilter  filter,
                gint64     now)
{
  GPtrArray *asks = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer ask;

  g_hash_table_iter_init (&iter, self->asks);
  while (g_hash_table_iter_next (&iter, NULL, &ask))
    if (filter (ask, now))
      g_ptr_array_add (asks, ask);

  g_ptr_array_sort (asks, compare_asks);
  return asks;
}

static gboolean
ask_is_cancelled (UsockAsk *ask,
                  gint64    now)
{
  return usock_operation_is_cancelled (ask->operation);
}

static gboolean
ask_is_due (UsockAsk *ask,
            gint64    now)
{
  return ask->deadline != -1 && ask->deadline <= now;
}

static gboolean
ask_is_any (UsockAsk *ask,
            gint64    now)
{
  return TRUE;
}

void
usock_peer_sweep_asks (UsockPeer *self)
{
  g_autoptr (GPtrArray) asks = peer_list_asks (self, ask_is_cancelled, 0);

  for (guint i = 0; i < asks->len; i++)
    {
      UsockAsk *ask = asks->pdata[i];

      usock_peer_give_up_ask (
          self, ask,
          usock_peer_error_new (self, ask->name, G_IO_ERROR_CANCELLED, _("it was cancelled")));
    }
  usock_peer_start_waiting (self);
}

static void
peer_set_next_deadline (UsockPeer *self)
{
  GHashTableIter iter;
  gpointer value;

  self->next_deadline = -1;
  g_hash_table_iter_init (&iter, self->asks);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      UsockAsk *ask = value;

      if (ask->deadline != -1
          && (self->next_deadline == -1 || ask->deadline < self->next_deadline))
        self->next_deadline = ask->deadline;
    }
  usock_watch_set_deadline (&self->watch, self->next_deadline);
}

/* The channel has had its turn before this one, and may have had to leave something: what is
 * there was in time, however late it is read. */
static gboolean
peer_grants_overtime (UsockPeer *self)
{
  guint64 read = usock_channel_get_bytes_read (self->channel);
  gboolean goes_on = self->overtime == 0 || read != self->overtime_read;

  self->overtime_read = read;
  if (goes_on && ++self->overtime < OVERTIME_TURNS)
    {
      usock_watch_wake (&self->watch);
      return TRUE;
    }

  self->overtime = 0;
  return FALSE;
}

static GError *
ask_new_timeout_error (UsockPeer *self,
                       UsockAsk  *ask)
{
  g_autofree char *reason
      = g_strdup_printf (_("there was no answer within %d milliseconds"), ask->timeout);

  return usock_peer_error_new (self, ask->name, G_IO_ERROR_TIMED_OUT, reason);
}

void
usock_peer_check_deadlines (UsockPeer *self)
{
  gint64 now = g_get_monotonic_time ();
  g_autoptr (GPtrArray) asks = NULL;

  asks = peer_list_asks (self, ask_is_due, now);
  if (asks->len > 0 && !self->is_over && peer_grants_overtime (self))
    return;

  self->overtime = 0;
  for (guint i = 0; i < asks->len; i++)
    {
      UsockAsk *ask = asks->pdata[i];

      usock_peer_give_up_ask (self, ask, ask_new_timeout_error (self, ask));
    }
  peer_set_next_deadline (self);
  usock_peer_start_waiting (self);
}

static GError *
ask_new_end_error (UsockPeer *self,
                   UsockAsk  *ask)
{
  const GError *fate = self->fate;

  if (fate != NULL)
    return usock_peer_error_new (self, ask->name,
                                 fate->domain == G_IO_ERROR ? (GIOErrorEnum) fate->code
                                                            : G_IO_ERROR_FAILED,
                                 fate->message);
  if (self->has_ended)
    return usock_peer_error_new (self, ask->name, G_IO_ERROR_CONNECTION_CLOSED,
                                 _("the peer has gone"));
  return usock_peer_error_new (self, ask->name, G_IO_ERROR_CLOSED, _("the channel is closed"));
}

/* No answer will come. To be completed by the caller. */
void
usock_peer_fail_asks (UsockPeer *self)
{
  g_autoptr (GPtrArray) asks = peer_list_asks (self, ask_is_any, 0);

  for (guint i = 0; i < asks->len; i++)
    {
      UsockAsk *ask = asks->pdata[i];

      usock_peer_stop_transfer (self, USOCK_FRAME_PIECE, ask->serial);
      ask_decide (self, ask, NULL, ask_new_end_error (self, ask));
    }
}

/* Nobody is left to be told. */
void
usock_peer_forget_asks (UsockPeer *self)
{
  g_autoptr (GPtrArray) asks = peer_list_asks (self, ask_is_any, 0);
  UsockOperation *operation;

  g_hash_table_remove_all (self->asks);
  g_queue_init (&self->waiting);
  self->n_in_flight = 0;
  for (guint i = 0; i < asks->len; i++)
    {
      UsockAsk *ask = asks->pdata[i];

      operation = ask->operation;
      ask_free (ask);
      g_object_unref (operation);
    }
  while ((operation = g_queue_pop_head (&self->completed)) != NULL)
    g_object_unref (operation);
}
