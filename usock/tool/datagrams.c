/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What monitor does with datagrams. There are no connections: each sender gets a socket of ours that
 * speaks with the server for him, and what the server says to that is for him. */

#include "config.h"

#include "tool.h"

/* The one who has been silent for longest is forgotten; if he comes again he is another. */
#define MAX_SENDERS 256

typedef struct
{
  guint number;
  char *name; /* NULL if it has none, and can not be answered */
  UsockChannel *server;
  UsockMessage *message; /* what waits for the server to be found */
} Sender;

static UsockDgram *source;
static const char *target;
static ToolShow how;
static int left;
static guint n_senders;
static GQueue senders = G_QUEUE_INIT;

static void
sender_clear (Sender *self)
{
  g_clear_object (&self->server);
  g_clear_pointer (&self->message, usock_message_unref);
  g_free (self->name);
}

static void
sender_unref (Sender *self)
{
  g_rc_box_release_full (self, (GDestroyNotify) sender_clear);
}

static void
sender_forget (Sender *self)
{
  if (!g_queue_remove (&senders, self))
    return;

  if (self->server != NULL)
    usock_socket_close (USOCK_SOCKET (self->server));
  sender_unref (self);
}

static void
sender_fail (Sender       *self,
             const GError *error)
{
  tool_show_event (how, self->number, "server", "error", NULL, error);
  sender_forget (self);
}

/* Returns whether there is more to be passed on. */
static gboolean
count (void)
{
  if (left == 0 || --left > 0)
    return TRUE;

  tool_output_then_stop ();
  return FALSE;
}

/* From the server */

static void server_receive (Sender *sender);

static void
answered_cb (GObject      *object,
             GAsyncResult *result,
             gpointer      data)
{
  Sender *sender = data;
  g_autoptr (GError) error = NULL;

  if (!usock_dgram_send_message_to_text_finish (USOCK_DGRAM (object), result, &error))
    {
      tool_show_event (how, sender->number, "client", "error", NULL, error);
      sender_forget (sender);
    }
  else if (count ())
    server_receive (sender);
  sender_unref (sender);
}

static void
answer (gpointer sender,
        gpointer message)
{
  Sender *self = sender;
  g_autoptr (UsockMessage) copied = tool_copy_message (message);

  usock_message_unref (message);
  if (self->name != NULL)
    {
      usock_dgram_send_message_to_text_async (source, copied, self->name, NULL, answered_cb, self);
      return;
    }

  server_receive (self);
  sender_unref (self);
}

static void
server_received_cb (GObject      *channel,
                    GAsyncResult *result,
                    gpointer      data)
{
  Sender *sender = data;
  UsockMessage *message = usock_channel_receive_finish (USOCK_CHANNEL (channel), result, NULL);

  tool_touch ();
  if (message == NULL)
    {
      sender_unref (sender);
      return;
    }

  tool_show_message (how, sender->number, "server", message);
  tool_output_then (answer, sender, message);
}

static void
server_receive (Sender *sender)
{
  usock_channel_receive_async (sender->server, NULL, server_received_cb, g_rc_box_acquire (sender));
}

/* From the clients */

static void receive (void);

static void
sent_cb (GObject      *channel,
         GAsyncResult *result,
         gpointer      data)
{
  Sender *sender = data;
  g_autoptr (GError) error = NULL;

  if (!usock_channel_send_message_finish (USOCK_CHANNEL (channel), result, &error))
    sender_fail (sender, error);
  sender_unref (sender);
  if (count ())
    receive ();
}

static void
send_waiting (Sender *sender)
{
  g_autoptr (UsockMessage) message = g_steal_pointer (&sender->message);

  usock_channel_send_message_async (sender->server, message, NULL, sent_cb, g_rc_box_acquire (sender));
}

static void
connected_cb (UsockChannel *server,
              const GError *error,
              gpointer      data)
{
  Sender *sender = data;

  if (server == NULL)
    {
      sender_fail (sender, error);
      receive ();
    }
  else
    {
      sender->server = g_object_ref (server);
      send_waiting (sender);
      server_receive (sender);
    }
  sender_unref (sender);
}

static Sender *
find_sender (const char *name)
{
  Sender *sender;

  for (GList *each = senders.head; each != NULL; each = each->next)
    if (g_strcmp0 (((Sender *) each->data)->name, name) == 0)
      {
        g_queue_unlink (&senders, each);
        g_queue_push_head_link (&senders, each);
        return each->data;
      }

  sender = g_rc_box_new0 (Sender);
  sender->number = ++n_senders;
  sender->name = g_strdup (name);
  g_queue_push_head (&senders, sender);
  if (senders.length > MAX_SENDERS)
    sender_forget (g_queue_peek_tail (&senders));
  return sender;
}

static void
pass_on (gpointer sender,
         gpointer unused)
{
  Sender *self = sender;

  if (self->server != NULL)
    send_waiting (self);
  else
    tool_open (target, connected_cb, g_rc_box_acquire (self));
}

static void
received_cb (GObject      *object,
             GAsyncResult *result,
             gpointer      unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) message
      = usock_channel_receive_finish (USOCK_CHANNEL (object), result, &error);
  Sender *sender;

  tool_touch ();
  if (message == NULL)
    return;

  sender = find_sender (usock_message_get_sender (message));
  tool_show_message (how, sender->number, "client", message);
  sender->message = tool_copy_message (message);
  tool_output_then (pass_on, sender, NULL);
}

static void
receive (void)
{
  usock_channel_receive_async (USOCK_CHANNEL (source), NULL, received_cb, NULL);
}

ToolStatus
tool_monitor_datagrams (const char *place,
                        const char *server,
                        ToolShow    show,
                        int         wanted)
{
  g_autoptr (GError) error = NULL;

  target = server;
  how = show;
  left = wanted;
  tool.wants_answers = TRUE;
  source = tool_bind_at (place, &error);
  if (source == NULL)
    return tool_report (error);

  tool_watch (USOCK_SOCKET (source));
  receive ();
  return tool_run ();
}
