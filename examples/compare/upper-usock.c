/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Answers each message in capitals: upper-usock PATH. upper-gio.c does the same without usock. */

#include <glib-unix.h>
#include <usock/usock.h>

static void
answer (UsockChannel *channel, GByteArray *bytes)
{
  g_autofree char *upper = g_ascii_strup ((const char *) bytes->data, bytes->len);

  usock_channel_send (channel, (const guint8 *) upper, bytes->len, NULL);
  if (usock_channel_get_queued_bytes (channel) > usock_channel_get_high_water_mark (channel))
    usock_channel_pause (channel);
}

static void
serve (UsockServer *server, UsockChannel *channel)
{
  g_signal_connect (channel, "data", G_CALLBACK (answer), NULL);
  g_signal_connect (channel, "drain", G_CALLBACK (usock_channel_resume), NULL);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (GError) error = NULL;

  g_signal_connect (server, "connection", G_CALLBACK (serve), NULL);
  if (!usock_server_listen_on_path (server, argv[1], 0, &error))
    g_error ("%s", error->message);
  g_unix_signal_add (SIGINT, G_SOURCE_FUNC (usock_socket_close), server);
  usock_run_until_closed (NULL);
  return 0;
}
