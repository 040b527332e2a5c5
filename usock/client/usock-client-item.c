/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What becomes of a message: who has it, and who is told. */

#include "config.h"

#include "usock-client-private.h"

/* What the kernel counts a packet for at the least, beside its bytes: its own two records. It is
 * less than that of any kernel, so that too much is kept and never too little. */
#define PACKET_OVERHEAD (GLIB_SIZEOF_VOID_P == 8 ? 512 : 256)

/* How much more may be taken before the kernel is asked again what is unread. */
#define LOOK_STEP (8 * 1024)

static void
item_free (UsockClientItem *item)
{
  usock_message_unref (item->message);
  g_clear_object (&item->operation);
  g_clear_object (&item->cancellable);
  g_clear_error (&item->refusal);
  g_free (item);
}

static void
items_clear (GQueue *queue)
{
  GList *link;

  while ((link = g_queue_pop_head_link (queue)) != NULL)
    item_free (link->data);
}

/* Nobody is left to be told anything. */
void
usock_client_drop_items (UsockClient *self)
{
  GList *link;

  items_clear (&self->waiting);
  items_clear (&self->handed);
  items_clear (&self->failed);
  items_clear (&self->taken);
  items_clear (&self->unsent);
  while ((link = g_queue_pop_head_link (&self->waiters)) != NULL)
    g_object_unref (link->data);
  while ((link = g_queue_pop_head_link (&self->completed)) != NULL)
    g_object_unref (link->data);
  self->queued_cost = self->taken_cost = 0;
}

/* Takes both over; without an error it has succeeded, or has its result already. The callback comes
 * in a turn. */
void
usock_client_complete (UsockClient    *self,
                       UsockOperation *operation,
                       GError         *error)
{
  if (error != NULL)
    usock_operation_return_error (operation, error);
  else if (!usock_operation_is_decided (operation))
    usock_operation_return_pointer (operation, NULL, NULL);

  g_queue_push_tail_link (&self->completed, usock_operation_get_link (operation));
  usock_watch_wake (&self->watch);
}

/* Takes both over. Who waits for it is told, or else everybody. */
static void
client_give_back (UsockClient     *self,
                  UsockClientItem *item,
                  GError          *reason)
{
  self->queued_cost -= item->cost;
  if (item->operation != NULL)
    {
      usock_client_complete (self, g_steal_pointer (&item->operation), reason);
      item_free (item);
      return;
    }

  item->refusal = reason;
  g_queue_push_tail_link (&self->unsent, &item->link);
  usock_watch_wake (&self->watch);
}

/* Gives all of them back. */
void
usock_client_refuse (UsockClient  *self,
                     GQueue       *queue,
                     GIOErrorEnum  code,
                     const char   *reason)
{
  GList *link;

  while ((link = g_queue_pop_head_link (queue)) != NULL)
    client_give_back (self, link->data,
                      g_error_new (G_IO_ERROR, (int) code, _("Could not send to “%s”: %s"),
                                   self->place.label, reason));
}

/* Descriptors do not stay open for it: whoever waits for the last copy to be closed would wait for
 * ever. */
static void
client_take (UsockClient     *self,
             UsockClientItem *item)
{
  if (usock_message_get_n_fds (item->message) > 0)
    {
      UsockMessage *plain
          = usock_message_new_from_bytes (usock_message_get_bytes (item->message));

      usock_message_freeze (plain);
      usock_message_unref (item->message);
      item->message = plain;
    }

  self->queued_cost -= item->cost;
  self->taken_cost += item->cost;
  g_queue_push_tail_link (&self->taken, &item->link);
}

/* What of the sum a message stands for at the least. Of a stream it may be read in part. */
static gsize
client_weigh (UsockClient     *self,
              UsockClientItem *item)
{
  gsize length = usock_message_get_length (item->message);

  if (USOCK_SOCKET (self->link)->type == SOCK_STREAM)
    return length;

  return PACKET_OVERHEAD + (usock_channel_get_memfd_fallback (self->link) ? 0 : length);
}

static gboolean
item_is_empty (UsockClientItem *self)
{
  return usock_message_get_length (self->message) == 0;
}

/* The newest of what was taken that may be unread stay. Once the connection is broken, or closed,
 * nobody knows. */
void
usock_client_look_what_is_read (UsockClient *self)
{
  UsockSocket *socket = USOCK_SOCKET (self->link);
  gboolean is_packets = socket->type != SOCK_STREAM;
  GList *link = self->taken.tail;
  gssize unread;

  if (socket->fd == -1 || socket->fate.error != NULL)
    return;
  unread = usock_io_get_unread (socket->fd);
  self->taken_limit = self->taken_cost + LOOK_STEP;
  if (unread < 0)
    return;

  /* Who is gone without having read what was empty leaves no trace of it. */
  if (is_packets && unread == 0 && link != NULL && item_is_empty (link->data)
      && usock_io_has_hung_up (socket->fd))
    while (link != NULL && item_is_empty (link->data))
      link = link->prev;
  for (; link != NULL && unread > 0; link = link->prev)
    {
      unread -= (gssize) client_weigh (self, link->data);
      if (unread < 0 && is_packets)
        break;
    }

  while (link != NULL)
    {
      UsockClientItem *item = link->data;

      link = link->prev;
      g_queue_unlink (&self->taken, &item->link);
      self->taken_cost -= item->cost;
      item_free (item);
    }
  self->taken_limit = self->taken_cost + LOOK_STEP;
}

gboolean
usock_client_is_open (UsockClient *self)
{
  UsockState state = self->connected ? USOCK_SOCKET (self->link)->state : USOCK_STATE_CLOSED;

  return !self->broken && (state == USOCK_STATE_OPEN || state == USOCK_STATE_WRITE_ONLY);
}

/* Whether it is the message that is at fault, and not the connection. */
static gboolean
client_is_refusal (UsockClient  *self,
                   const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return TRUE;

  return USOCK_SOCKET (self->link)->fate.error == NULL
         && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED)
         && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED)
         && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);
}

/* The channel ends as soon as nothing more can be read from it; but what nobody takes would keep it
 * for ever. */
static void
client_link_is_broken (UsockClient *self)
{
  if (self->broken || self->leaving)
    return;

  self->broken = TRUE;
  if (!usock_channel_get_paused (self->link)
      && USOCK_SOCKET (self->link)->state != USOCK_STATE_CLOSED)
    usock_channel_close_gracefully_async (self->link, -1, NULL, NULL, NULL);
}

static void
item_sent_cb (GObject      *channel,
              GAsyncResult *result,
              gpointer      data)
{
  UsockClientItem *item = data;
  UsockClient *self = item->client;
  GError *error = NULL;

  usock_channel_send_message_finish (USOCK_CHANNEL (channel), result, &error);
  g_queue_unlink (&self->handed, &item->link);
  if (error == NULL)
    {
      client_take (self, item);
      if (item->operation != NULL)
        usock_client_complete (self, g_steal_pointer (&item->operation), NULL);
      if (self->taken_cost > self->taken_limit)
        usock_client_look_what_is_read (self);
    }
  else if (client_is_refusal (self, error))
    client_give_back (self, item, error);
  else
    {
      g_error_free (error);
      g_queue_push_tail_link (&self->failed, &item->link);
      client_link_is_broken (self);
    }
}

static void
client_hand (UsockClient     *self,
             UsockClientItem *item)
{
  g_queue_push_tail_link (&self->handed, &item->link);
  usock_channel_send_message_async (self->link, item->message, item->cancellable, item_sent_cb,
                                    item);
}

void
usock_client_hand_waiting (UsockClient  *self,
                           UsockChannel *link)
{
  while (self->link == link && usock_client_is_open (self) && self->waiting.length > 0)
    client_hand (self, g_queue_pop_head_link (&self->waiting)->data);
}

/* In whatever thread cancels. */
static void
client_cancelled (GCancellable *cancellable,
                  UsockClient  *self)
{
  usock_watch_interrupt (&self->watch);
}

void
usock_client_set_cancellable (UsockClient    *self,
                              UsockOperation *operation,
                              GCancellable   *cancellable)
{
  usock_operation_set_cancellable (operation, cancellable, G_CALLBACK (client_cancelled));
}

/* Takes the operation over. */
void
usock_client_submit (UsockClient    *self,
                     UsockMessage   *message,
                     UsockOperation *operation,
                     GCancellable   *cancellable)
{
  UsockClientItem *item = g_new0 (UsockClientItem, 1);

  usock_message_freeze (message);
  item->link.data = item;
  item->client = self;
  item->message = usock_message_ref (message);
  item->operation = operation;
  item->cancellable = cancellable != NULL ? g_object_ref (cancellable) : NULL;
  item->cost = usock_queue_message_cost (usock_message_get_length (message),
                                         usock_message_get_n_fds (message));
  self->queued_cost += item->cost;
  if (operation != NULL)
    usock_client_set_cancellable (self, operation, cancellable);

  if (usock_client_is_open (self) && self->waiting.length == 0)
    client_hand (self, item);
  else
    g_queue_push_tail_link (&self->waiting, &item->link);
}

/* Of a stream some of it may have left. */
static void
client_tear (UsockClient *self)
{
  UsockClientItem *item = g_queue_peek_head (&self->failed);

  if (item == NULL || !self->connected || USOCK_SOCKET (self->link)->type != SOCK_STREAM)
    return;

  g_queue_unlink (&self->failed, &item->link);
  client_take (self, item);
  if (item->operation != NULL)
    usock_client_complete (self, g_steal_pointer (&item->operation),
                           g_error_new (G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                                        _("Could not send to “%s”: the connection ended while some "
                                          "of the message had left"),
                                        self->place.label));
}

/* The link has closed. What has not left waits again; what was taken, and may not have been read, is
 * returned. */
GQueue
usock_client_settle (UsockClient *self)
{
  GQueue uncertain;
  GList *link;

  client_tear (self);
  if (self->leaving)
    usock_client_refuse (self, &self->failed, G_IO_ERROR_CLOSED, _("the client was stopped"));
  /* Whoever was left on purpose is still there, and reads what it has. */
  if (self->leaving && !self->broken)
    items_clear (&self->taken);
  while ((link = g_queue_pop_tail_link (&self->failed)) != NULL)
    g_queue_push_head_link (&self->waiting, link);

  uncertain = self->taken;
  g_queue_init (&self->taken);
  self->taken_cost = self->taken_limit = 0;
  return uncertain;
}

/* Emits. */
void
usock_client_tell_uncertain (UsockClient *self,
                             GQueue      *uncertain)
{
  GList *link;

  while ((link = g_queue_pop_head_link (uncertain)) != NULL)
    {
      UsockClientItem *item = link->data;

      g_signal_emit (self, usock_client_signals[USOCK_CLIENT_SIGNAL_UNCERTAIN], 0, item->message);
      item_free (item);
    }
}

static GError *
new_cancelled (void)
{
  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, _("The operation was cancelled"));
}

/* Somebody has cancelled something. What a channel has it hands back itself. */
void
usock_client_sweep (UsockClient *self)
{
  for (GList *link = self->waiting.head, *next; link != NULL; link = next)
    {
      UsockClientItem *item = link->data;

      next = link->next;
      if (item->operation == NULL || !usock_operation_is_cancelled (item->operation))
        continue;
      g_queue_unlink (&self->waiting, link);
      client_give_back (self, item, new_cancelled ());
    }

  for (GList *link = self->waiters.head, *next; link != NULL; link = next)
    {
      next = link->next;
      if (!usock_operation_is_cancelled (link->data))
        continue;
      g_queue_unlink (&self->waiters, link);
      usock_client_complete (self, link->data, new_cancelled ());
    }
}

/* Runs foreign code. */
void
usock_client_tell (UsockClient *self)
{
  GList *link;

  while ((link = g_queue_pop_head_link (&self->completed)) != NULL)
    {
      UsockOperation *operation = link->data;

      usock_operation_complete (operation);
      g_object_unref (operation);
    }
  while ((link = g_queue_pop_head_link (&self->unsent)) != NULL)
    {
      UsockClientItem *item = link->data;

      g_signal_emit (self, usock_client_signals[USOCK_CLIENT_SIGNAL_UNSENT], 0, item->message,
                     item->refusal);
      item_free (item);
    }
}
