/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A libsoup server for connections that usock accepted: soup-peer PATH. It answers
 *   /echo with what was posted
 *   /big with 20 million bytes
 *   /later after a while
 *   /ws with a websocket that says each text back
 *   anything else with the path */

#include <libsoup/soup.h>
#include <string.h>
#include <usock/usock.h>

#define BIG 20000000
#define LATER_MS 50

static gboolean
answer_later (gpointer data)
{
  g_autoptr (SoupServerMessage) message = data;

  soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_STATIC, "later", 5);
  soup_server_message_unpause (message);
  return G_SOURCE_REMOVE;
}

static void
request_cb (SoupServer        *server,
            SoupServerMessage *message,
            const char        *path,
            GHashTable        *query,
            gpointer           big)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);

  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  if (g_str_equal (path, "/echo"))
    soup_server_message_set_response (message, "application/octet-stream", SOUP_MEMORY_COPY, data,
                                      length);
  else if (g_str_equal (path, "/big"))
    soup_server_message_set_response (message, "application/octet-stream", SOUP_MEMORY_STATIC, big,
                                      BIG);
  else if (g_str_equal (path, "/later"))
    {
      soup_server_message_pause (message);
      g_timeout_add (LATER_MS, answer_later, g_object_ref (message));
    }
  else
    soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_COPY, path, strlen (path));
}

static void
text_cb (SoupWebsocketConnection *websocket,
         int                      type,
         GBytes                  *bytes)
{
  soup_websocket_connection_send_message (websocket, type, bytes);
}

static void
websocket_cb (SoupServer              *server,
              SoupServerMessage       *message,
              const char              *path,
              SoupWebsocketConnection *websocket,
              gpointer                 user_data)
{
  g_signal_connect (websocket, "message", G_CALLBACK (text_cb), NULL);
  g_signal_connect (g_object_ref (websocket), "closed", G_CALLBACK (g_object_unref), NULL);
}

static void
connection_cb (UsockServer  *server,
               UsockChannel *channel,
               SoupServer   *soup)
{
  UsockSocket *socket = USOCK_SOCKET (channel);
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketConnection) connection
      = usock_stream_steal_connection (USOCK_STREAM (channel), NULL, &error);

  if (connection == NULL
      || !soup_server_accept_iostream (soup, G_IO_STREAM (connection),
                                       usock_socket_get_local_address (socket),
                                       usock_socket_get_remote_address (socket), &error))
    g_error ("%s", error->message);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (SoupServer) soup = soup_server_new (NULL, NULL);
  g_autofree char *big = g_strnfill (BIG, 'A');
  g_autoptr (GError) error = NULL;

  soup_server_add_handler (soup, NULL, request_cb, big, NULL);
  soup_server_add_websocket_handler (soup, "/ws", NULL, NULL, websocket_cb, NULL, NULL);
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), soup);
  if (argc != 2 || !usock_server_listen_on_path (server, argv[1], 0, &error))
    g_error ("%s", error != NULL ? error->message : "usage: soup-peer PATH");
  usock_run_until_closed (NULL);
}
