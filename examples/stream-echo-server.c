/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib-unix.h>
#include <locale.h>
#include <usock/usock.h>

static void
echo (UsockChannel *channel, GByteArray *bytes)
{
  g_autoptr (GError) error = NULL;

  if (!usock_channel_send (channel, bytes->data, bytes->len, &error))
    usock_socket_destroy (USOCK_SOCKET (channel), error);
  else if (usock_channel_get_queued_bytes (channel) > usock_channel_get_high_water_mark (channel))
    usock_channel_pause (channel); /* until it has read our answers */
}

static void
serve (UsockServer *server, UsockChannel *channel)
{
  g_signal_connect (channel, "data", G_CALLBACK (echo), NULL);
  g_signal_connect (channel, "drain", G_CALLBACK (usock_channel_resume), NULL);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_signal_connect (server, "connection", G_CALLBACK (serve), NULL);
  if (argc != 2 || !usock_server_listen_on_path (server, argv[1], 0, &error))
    {
      g_printerr ("%s\n", error != NULL ? error->message : "usage: stream-echo-server PATH");
      return 1;
    }

  g_unix_signal_add (SIGINT, G_SOURCE_FUNC (usock_socket_close), server);
  usock_run_until_closed (NULL);
  return 0;
}
