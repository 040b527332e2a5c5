/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Everybody may knock, and only who runs this may come in: private-server PATH */

#include <glib-unix.h>
#include <locale.h>
#include <usock/usock.h>

static void
receive (UsockChannel *channel, GByteArray *bytes)
{
  g_print ("it says: %.*s\n", (int) bytes->len, (const char *) bytes->data);
}

static void
serve (UsockServer *server, UsockChannel *channel)
{
  g_autoptr (GCredentials) peer = usock_socket_get_peer_credentials (USOCK_SOCKET (channel), NULL);

  if (peer != NULL)
    g_print ("user %u came in\n", g_credentials_get_unix_user (peer, NULL));
  g_signal_connect (channel, "data", G_CALLBACK (receive), NULL);
}

static void
tell (UsockServer *server, GCredentials *peer, GSocketAddress *address, UsockDropReason reason)
{
  if (peer != NULL)
    g_print ("user %u was refused\n", g_credentials_get_unix_user (peer, NULL));
  else
    g_print ("somebody unknown was refused\n");
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  usock_server_set_mode (server, 0666); /* without this, the others would not find the door */
  usock_server_set_allowed_users (server, USOCK_ALLOWED_USERS_SAME_USER);
  g_signal_connect (server, "connection", G_CALLBACK (serve), NULL);
  g_signal_connect (server, "drop", G_CALLBACK (tell), NULL);
  if (argc != 2 || !usock_server_listen_on_path (server, argv[1], 0, &error))
    {
      g_printerr ("%s\n", error != NULL ? error->message : "usage: private-server PATH");
      return 1;
    }

  g_unix_signal_add (SIGINT, G_SOURCE_FUNC (usock_socket_close), server);
  usock_run_until_closed (NULL);
  return 0;
}
