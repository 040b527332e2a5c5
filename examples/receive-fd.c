/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Waits for one open file, tells who sent it, and prints what is in it: receive-fd PATH */

#include <gio/gunixinputstream.h>
#include <locale.h>
#include <stdio.h>
#include <usock/usock.h>

static gboolean
print_file (UsockMessage *message, GError **error)
{
  g_autoptr (GInputStream) stream = NULL;
  char buffer[4096];
  gssize n;
  int fd = usock_message_take_fd (message, 0, error);

  if (fd == -1)
    return FALSE;

  stream = g_unix_input_stream_new (fd, TRUE);
  while ((n = g_input_stream_read (stream, buffer, sizeof buffer, NULL, error)) > 0)
    fwrite (buffer, 1, n, stdout);
  return n == 0;
}

/* Descriptors that nobody took are closed when this returns. */
static void
received (UsockChannel *channel, UsockMessage *message)
{
  GCredentials *sender = usock_message_get_credentials (message);
  g_autoptr (GError) error = NULL;

  if (sender != NULL)
    printf ("from user %u, process %d: ", (guint) g_credentials_get_unix_user (sender, NULL),
            g_credentials_get_unix_pid (sender, NULL));
  if (!print_file (message, &error))
    usock_socket_destroy (USOCK_SOCKET (channel), error);
}

static void
failed (UsockChannel *channel, const GError *error)
{
  fprintf (stderr, "%s\n", error->message);
}

static void
serve (UsockServer *server, UsockChannel *channel)
{
  g_signal_connect (channel, "message", G_CALLBACK (received), NULL);
  g_signal_connect (channel, "error", G_CALLBACK (failed), NULL);
  usock_socket_close (USOCK_SOCKET (server));
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  usock_server_set_max_fds (server, 1); /* none is taken unless it is asked for */
  usock_server_set_pass_credentials (server, TRUE);
  g_signal_connect (server, "connection", G_CALLBACK (serve), NULL);
  if (argc != 2 || !usock_server_listen_on_path (server, argv[1], 0, &error))
    {
      fprintf (stderr, "%s\n", error != NULL ? error->message : "usage: receive-fd PATH");
      return 1;
    }

  usock_run_until_closed (NULL);
  return 0;
}
