/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Returns by TCP what it is sent: tcp-echo-server HOST [PORT], says where it listens */

#include <glib-unix.h>
#include <locale.h>
#include <stdlib.h>
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
failed (UsockChannel *channel, const GError *error)
{
  g_printerr ("%s\n", error->message);
}

static void
serve (UsockServer *server, UsockChannel *channel)
{
  g_signal_connect (channel, "data", G_CALLBACK (echo), NULL);
  g_signal_connect (channel, "drain", G_CALLBACK (usock_channel_resume), NULL);
  g_signal_connect (channel, "error", G_CALLBACK (failed), NULL);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (GError) error = NULL;
  g_autofree char *where = NULL;
  guint port = argc > 2 ? atoi (argv[2]) : 0;

  setlocale (LC_ALL, "");
  g_signal_connect (server, "connection", G_CALLBACK (serve), NULL);
  if (argc < 2 || !usock_server_listen_on_host (server, argv[1], port, 0, &error))
    {
      g_printerr ("%s\n", error != NULL ? error->message : "usage: tcp-echo-server HOST [PORT]");
      return 1;
    }

  where = usock_address_to_string (usock_socket_get_local_address (USOCK_SOCKET (server)));
  g_print ("%s\n", where);
  g_unix_signal_add (SIGINT, G_SOURCE_FUNC (usock_socket_close), server);
  usock_run_until_closed (NULL);
  return 0;
}
