/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <locale.h>
#include <stdio.h>
#include <usock/usock.h>

static void
answered (UsockChannel *channel, GByteArray *bytes, int *n_awaited)
{
  fwrite (bytes->data, 1, bytes->len, stdout);
  putchar ('\n');
  if (--*n_awaited == 0)
    usock_channel_end (channel);
}

static void
failed (UsockChannel *channel, const GError *error)
{
  g_printerr ("%s\n", error->message);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockChannel) channel = USOCK_CHANNEL (usock_seqpacket_new ());
  g_autoptr (GError) error = NULL;
  int n_awaited = argc - 2;

  setlocale (LC_ALL, "");
  g_signal_connect (channel, "data", G_CALLBACK (answered), &n_awaited);
  g_signal_connect (channel, "error", G_CALLBACK (failed), NULL);
  if (argc < 3)
    error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "usage: echo-client PATH TEXT...");
  else
    usock_channel_connect_to_path (channel, argv[1], &error);
  for (int i = 2; i < argc && error == NULL; i++)
    usock_channel_send_text (channel, argv[i], &error);
  if (error != NULL)
    usock_socket_destroy (USOCK_SOCKET (channel), error);

  usock_run_until_closed (NULL);
  return n_awaited == 0 ? 0 : 1;
}
