/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Accepts one client of a listening socket that comes by standard input, a packet socket. */

#include <locale.h>
#include <unistd.h>
#include <usock/usock.h>

static void
greet (UsockServer *server, UsockChannel *client, UsockSocket *parent)
{
  g_autofree char *text = g_strdup_printf ("process %d greets you\n", getpid ());
  g_autoptr (UsockMessage) message = usock_message_new_from_text (text);
  g_autoptr (GError) error = NULL;

  if (!usock_channel_end_with_message (client, message, &error))
    usock_socket_destroy (USOCK_SOCKET (client), error);
  usock_socket_close (USOCK_SOCKET (server));
  usock_socket_close (parent);
}

static void
received (UsockChannel *parent, UsockMessage *message, UsockServer *server)
{
  g_autoptr (GError) error = NULL;
  int fd = usock_message_take_fd (message, 0, &error);

  if (fd != -1 && !usock_server_listen_on_fd (server, fd, 0, &error))
    close (fd);
  if (error != NULL)
    usock_socket_destroy (USOCK_SOCKET (parent), error);
}

static void
failed (UsockSocket *socket, const GError *error, int *status)
{
  g_printerr ("%s\n", error->message);
  *status = 1;
}

int
main (void)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockSeqpacket) parent = usock_seqpacket_new_from_fd (STDIN_FILENO, &error);
  int status = 0;

  setlocale (LC_ALL, "");
  if (parent != NULL)
    {
      usock_channel_set_max_fds (USOCK_CHANNEL (parent), 1); /* until then they are refused */
      usock_channel_send_text (USOCK_CHANNEL (parent), "ready", &error);
    }
  if (error != NULL)
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }

  g_signal_connect (parent, "message", G_CALLBACK (received), server);
  g_signal_connect (parent, "error", G_CALLBACK (failed), &status);
  g_signal_connect (server, "connection", G_CALLBACK (greet), parent);
  usock_run_until_closed (NULL);
  return status;
}
