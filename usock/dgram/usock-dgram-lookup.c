/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages to a host by its name. They wait until it was looked up, those to the same name together,
 * so that they stay in order, and are then sent like others. Whoever is cancelled leaves at once: a
 * lookup is stopped then, and begun again where anybody is left. */

#include "config.h"

#include "usock-dgram-private.h"

typedef struct
{
  UsockMessage *message;
  UsockOperation *operation;
  GCancellable *cancellable;
  gulong handler;
} DgramLetter;

typedef struct
{
  UsockDgram *dgram; /* NULL once nobody wants to know */
  char *text;
  char *host;
  guint16 port;
  GCancellable *cancellable; /* of the resolver */
  GQueue letters;
} DgramLookup;

/* But for the operation, which is somebody else's by now. */
static void
letter_free (DgramLetter *self)
{
  if (self->handler != 0)
    g_signal_handler_disconnect (self->cancellable, self->handler);
  g_clear_object (&self->cancellable);
  usock_message_unref (self->message);
  g_free (self);
}

static void
lookup_free (DgramLookup *self)
{
  g_object_unref (self->cancellable);
  g_free (self->host);
  g_free (self->text);
  g_free (self);
}

/* In whatever thread cancels. */
static void
letter_cancelled (GCancellable *cancellable,
                  GCancellable *of_resolver)
{
  g_cancellable_cancel (of_resolver);
}

static void
letter_watch (DgramLetter  *self,
              GCancellable *of_resolver)
{
  if (self->cancellable == NULL)
    return;

  if (self->handler != 0)
    g_signal_handler_disconnect (self->cancellable, self->handler);
  self->handler = g_signal_connect_data (self->cancellable, "cancelled",
                                         G_CALLBACK (letter_cancelled), g_object_ref (of_resolver),
                                         (GClosureNotify) (GCallback) g_object_unref, 0);
  if (g_cancellable_is_cancelled (self->cancellable))
    g_cancellable_cancel (of_resolver);
}

/* Takes the operation over. Without a route there is an error. */
void
usock_dgram_send_async (UsockDgram      *self,
                        UsockDgramRoute *route,
                        UsockMessage    *message,
                        UsockOperation  *operation,
                        GError          *error)
{
  UsockChannel *channel = USOCK_CHANNEL (self);

  if (route == NULL
      || !usock_channel_send_on (channel, &route->base, message, NULL,
                                 usock_message_get_length (message), operation, &error))
    usock_channel_fail_operation (channel, operation, error);
}

/* FALSE with @error if the message cannot go to that address. */
static gboolean
lookup_try (DgramLookup   *self,
            GInetAddress  *host,
            DgramLetter   *letter,
            GError       **error)
{
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new (host, self->port);
  UsockDgramRoute *route
      = usock_dgram_reach (self->dgram, usock_name_new_for_address (address, error), error);

  return route != NULL
         && usock_channel_send_on (USOCK_CHANNEL (self->dgram), &route->base, letter->message, NULL,
                                   usock_message_get_length (letter->message), letter->operation,
                                   error);
}

static GError *
lookup_new_error (DgramLookup  *self,
                  const GError *cause)
{
  g_autofree char *tried = g_strdup_printf (_("Could not send to “%s”"), self->text);

  return usock_error_new_lookup (tried, cause);
}

/* To the first address that it can go to. The last error is the one that is told. */
static void
lookup_send (DgramLookup  *self,
             GList        *addresses,
             const GError *reason,
             DgramLetter  *letter)
{
  GError *error = reason != NULL ? lookup_new_error (self, reason) : NULL;
  gboolean sent = FALSE;

  for (GList *l = addresses; l != NULL && !sent; l = l->next)
    {
      g_clear_error (&error);
      sent = lookup_try (self, l->data, letter, &error);
    }

  if (!sent)
    usock_channel_fail_operation (USOCK_CHANNEL (self->dgram), letter->operation, error);
  letter_free (letter);
}

static void
lookup_start (DgramLookup         *self,
              GAsyncReadyCallback  done)
{
  g_autoptr (GResolver) resolver = g_resolver_get_default ();
  gboolean only4 = USOCK_SOCKET (self->dgram)->family == AF_INET;

  g_clear_object (&self->cancellable);
  self->cancellable = g_cancellable_new ();
  for (GList *l = self->letters.head; l != NULL; l = l->next)
    letter_watch (l->data, self->cancellable);

  g_resolver_lookup_by_name_with_flags_async (resolver, self->host,
                                              only4 ? G_RESOLVER_NAME_LOOKUP_FLAGS_IPV4_ONLY
                                                    : G_RESOLVER_NAME_LOOKUP_FLAGS_DEFAULT,
                                              self->cancellable, done, self);
}

/* Those who are cancelled leave; whoever is left is looked up for again. */
static void
lookup_go_on (DgramLookup         *self,
              GAsyncReadyCallback  done)
{
  GList *next;

  for (GList *l = self->letters.head; l != NULL; l = next)
    {
      DgramLetter *letter = l->data;

      next = l->next;
      if (!g_cancellable_is_cancelled (letter->cancellable))
        continue;
      g_queue_delete_link (&self->letters, l);
      usock_channel_cancel_operation (USOCK_CHANNEL (self->dgram), letter->operation);
      letter_free (letter);
    }

  if (self->letters.length > 0)
    {
      lookup_start (self, done);
      return;
    }

  g_hash_table_remove (self->dgram->lookups, self->text);
  lookup_free (self);
}

/* A handler of what is completed may look the same name up again: that begins anew. */
static void
lookup_done (GObject      *source,
             GAsyncResult *result,
             gpointer      user_data)
{
  DgramLookup *self = user_data;
  g_autoptr (UsockDgram) dgram = NULL;
  g_autoptr (GError) error = NULL;
  DgramLetter *letter;
  GList *addresses
      = g_resolver_lookup_by_name_with_flags_finish (G_RESOLVER (source), result, &error);

  if (self->dgram == NULL)
    lookup_free (self);
  else if (g_cancellable_is_cancelled (self->cancellable))
    lookup_go_on (self, lookup_done);
  else
    {
      dgram = g_object_ref (self->dgram);
      g_hash_table_remove (dgram->lookups, self->text);
      while ((letter = g_queue_pop_head (&self->letters)) != NULL)
        lookup_send (self, addresses, error, letter);
      lookup_free (self);
    }

  g_resolver_free_addresses (addresses);
}

static DgramLookup *
dgram_get_lookup (UsockDgram *self,
                  const char *text,
                  const char *host,
                  guint16     port)
{
  DgramLookup *lookup;

  if (self->lookups == NULL)
    self->lookups = g_hash_table_new (g_str_hash, g_str_equal);
  lookup = g_hash_table_lookup (self->lookups, text);
  if (lookup != NULL)
    return lookup;

  lookup = g_new0 (DgramLookup, 1);
  lookup->dgram = self;
  lookup->text = g_strdup (text);
  lookup->host = g_strdup (host);
  lookup->port = port;
  g_hash_table_insert (self->lookups, lookup->text, lookup);
  return lookup;
}

/* Takes the operation over if the text names a host, unless this socket can reach none. */
gboolean
usock_dgram_look_up (UsockDgram     *self,
                     const char     *text,
                     UsockMessage   *message,
                     UsockOperation *operation,
                     GCancellable   *cancellable)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  guint16 port;
  g_autofree char *host = usock_text_get_host (text, &port);
  DgramLookup *lookup;
  DgramLetter *letter;

  if (host == NULL || socket->state == USOCK_STATE_CLOSED
      || (socket->fd != -1 && socket->family == AF_UNIX))
    return FALSE;

  letter = g_new0 (DgramLetter, 1);
  letter->message = usock_message_ref (message);
  letter->operation = operation;
  if (cancellable != NULL)
    letter->cancellable = g_object_ref (cancellable);
  lookup = dgram_get_lookup (self, text, host, port);
  g_queue_push_tail (&lookup->letters, letter);
  if (lookup->cancellable == NULL)
    lookup_start (lookup, lookup_done);
  else
    letter_watch (letter, lookup->cancellable);
  return TRUE;
}

static void
lookup_abandon (DgramLookup *self)
{
  UsockChannel *channel = USOCK_CHANNEL (self->dgram);
  DgramLetter *letter;

  while ((letter = g_queue_pop_head (&self->letters)) != NULL)
    {
      if (usock_channel_socket (channel)->orphaned)
        g_object_unref (letter->operation);
      else
        usock_pending_fail (&channel->pending, letter->operation,
                            usock_channel_new_verdict (channel));
      letter_free (letter);
    }
  self->dgram = NULL;
  g_cancellable_cancel (self->cancellable);
}

/* The socket closes. */
void
usock_dgram_stop_lookups (UsockDgram *self)
{
  g_autoptr (GHashTable) lookups = g_steal_pointer (&self->lookups);
  GHashTableIter iter;
  gpointer lookup;

  if (lookups == NULL)
    return;

  g_hash_table_iter_init (&iter, lookups);
  while (g_hash_table_iter_next (&iter, NULL, &lookup))
    {
      g_hash_table_iter_steal (&iter);
      lookup_abandon (lookup);
    }
}
