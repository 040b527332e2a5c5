/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Answers each message in capitals, with GIO alone: upper-gio PATH. What it can not do is said where
 * it would be done; upper-usock.c does that too. */

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define BUFFER_SIZE (256 * 1024)
#define HIGH_WATER_MARK (64 * 1024)

typedef struct
{
  GSocket *socket;
  GSource *input;
  GSource *output;
  GQueue queue;
  gsize n_queued;
} Client;

static GPtrArray *clients;
static GMainLoop *loop;
static gboolean is_closed;
static guint8 buffer[BUFFER_SIZE];

static gboolean receive (GSocket *socket, GIOCondition condition, gpointer data);

static void
clear_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
client_free (gpointer data)
{
  Client *client = data;

  clear_source (&client->input);
  clear_source (&client->output);
  g_queue_clear_full (&client->queue, (GDestroyNotify) g_bytes_unref);
  g_socket_close (client->socket, NULL);
  g_object_unref (client->socket);
  g_free (client);
}

static gboolean
end_client (Client *client)
{
  g_ptr_array_remove_fast (clients, client);
  if (is_closed && clients->len == 0)
    g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

static GSource *
watch (Client *client, GIOCondition condition, GSocketSourceFunc function)
{
  GSource *source = g_socket_create_source (client->socket, condition, NULL);

  g_source_set_callback (source, G_SOURCE_FUNC (function), client, NULL);
  g_source_attach (source, NULL);
  return source;
}

static gboolean
flush (GSocket *socket, GIOCondition condition, gpointer data)
{
  Client *client = data;
  GBytes *bytes;

  while ((bytes = g_queue_peek_head (&client->queue)) != NULL)
    {
      g_autoptr (GError) error = NULL;
      gsize size;
      const char *text = g_bytes_get_data (bytes, &size);

      if (g_socket_send (socket, text, size, NULL, &error) < 0)
        {
          if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
            return G_SOURCE_CONTINUE;
          return end_client (client);
        }
      client->n_queued -= size;
      g_bytes_unref (g_queue_pop_head (&client->queue));
    }

  clear_source (&client->output);
  if (client->input == NULL)
    client->input = watch (client, G_IO_IN, receive);
  return G_SOURCE_REMOVE;
}

static gboolean
send_or_queue (Client *client, const char *text, gsize size)
{
  g_autoptr (GError) error = NULL;

  if (client->output == NULL && g_socket_send (client->socket, text, size, NULL, &error) >= 0)
    return TRUE;
  if (error != NULL && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    return FALSE;
  g_queue_push_tail (&client->queue, g_bytes_new (text, size));
  client->n_queued += size;
  if (client->output == NULL)
    client->output = watch (client, G_IO_OUT, flush);
  return TRUE;
}

static gboolean
receive (GSocket *socket, GIOCondition condition, gpointer data)
{
  Client *client = data;
  GInputVector vector = { buffer, sizeof buffer };
  int flags = 0;
  g_autoptr (GError) error = NULL;
  g_autofree char *upper = NULL;
  gssize n = g_socket_receive_message (socket, NULL, &vector, 1, NULL, NULL, &flags, NULL, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    return G_SOURCE_CONTINUE;
  /* An empty message is the end here: nothing tells them apart. */
  if (n <= 0 || flags & MSG_TRUNC)
    return end_client (client);

  upper = g_ascii_strup ((const char *) buffer, n);
  if (!send_or_queue (client, upper, n))
    return end_client (client);
  if (client->n_queued <= HIGH_WATER_MARK)
    return G_SOURCE_CONTINUE;
  g_clear_pointer (&client->input, g_source_unref);
  return G_SOURCE_REMOVE;
}

static gboolean
accept_one (GSocket *listener, GIOCondition condition, gpointer data)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_accept (listener, NULL, &error);
  Client *client;

  /* Where no more descriptors may be opened, this is called again at once, and again. */
  if (socket == NULL)
    return G_SOURCE_CONTINUE;
  g_socket_set_blocking (socket, FALSE);
  client = g_new0 (Client, 1);
  client->socket = socket;
  g_queue_init (&client->queue);
  client->input = watch (client, G_IO_IN, receive);
  g_ptr_array_add (clients, client);
  return G_SOURCE_CONTINUE;
}

static gboolean
is_stale (GSocketAddress *address)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;

  socket = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_SEQPACKET, 0, NULL);
  return socket != NULL && !g_socket_connect (socket, address, NULL, &error)
         && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
}

static GSocket *
listen_on (const char *path, GError **error)
{
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  g_autoptr (GSocket) socket = NULL;
  mode_t mask;
  gboolean is_bound;

  socket = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_SEQPACKET, 0, error);
  if (socket == NULL)
    return NULL;
  g_socket_set_blocking (socket, FALSE);
  /* Of two who start at once, the second may remove the path of the first. */
  if (is_stale (address))
    g_unlink (path);
  mask = umask (0177);
  is_bound = g_socket_bind (socket, address, FALSE, error);
  umask (mask);
  if (!is_bound || !g_socket_listen (socket, error))
    return NULL;
  return g_steal_pointer (&socket);
}

static gboolean
close_listener (gpointer data)
{
  GSource *source = data;

  is_closed = TRUE;
  g_source_destroy (source);
  if (clients->len == 0)
    g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GSocket) listener = NULL;
  g_autoptr (GSource) source = NULL;
  g_autoptr (GError) error = NULL;

  loop = g_main_loop_new (NULL, FALSE);
  clients = g_ptr_array_new_with_free_func (client_free);
  listener = listen_on (argv[1], &error);
  if (listener == NULL)
    g_error ("%s", error->message);
  source = g_socket_create_source (listener, G_IO_IN, NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (accept_one), NULL, NULL);
  g_source_attach (source, NULL);
  g_unix_signal_add (SIGINT, close_listener, source);
  g_main_loop_run (loop);
  g_unlink (argv[1]);
  g_ptr_array_unref (clients);
  g_main_loop_unref (loop);
  return 0;
}
