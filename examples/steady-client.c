/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Asks, whenever its server is there: steady-client PATH QUESTION */

#include <locale.h>
#include <stdio.h>
#include <usock/usock.h>

static void
answered (UsockChannel *channel, GByteArray *bytes, gpointer unused)
{
  printf ("%.*s\n", (int) bytes->len, (const char *) bytes->data);
  fflush (stdout);
}

static void
ask (UsockClient *client, UsockChannel *channel, const char *question)
{
  g_signal_connect (channel, "data", G_CALLBACK (answered), NULL);
  usock_channel_send_text (channel, question, NULL);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockClient) client = usock_client_new (USOCK_TYPE_SEQPACKET);
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (argc != 3)
    error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "usage: steady-client PATH QUESTION");
  else
    usock_client_start_for_path (client, argv[1], &error);
  if (error != NULL)
    g_printerr ("%s\n", error->message);

  usock_client_set_max_delay (client, 500);
  g_signal_connect (client, "connected", G_CALLBACK (ask), argv[argc - 1]);
  usock_run_until_closed (NULL);
  return error != NULL;
}
