/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sends lines by TCP and prints what comes back: tcp-echo-client HOST PORT TEXT... */

#include <locale.h>
#include <stdlib.h>
#include <usock/usock.h>

static int n_awaited;

static void
answered (GObject *source, GAsyncResult *result, gpointer data)
{
  UsockStream *stream = USOCK_STREAM (source);
  g_autofree char *line = usock_stream_receive_line_finish (stream, result, NULL);

  if (line != NULL)
    g_print ("%s\n", line);
  if (line == NULL || --n_awaited == 0)
    usock_channel_end (USOCK_CHANNEL (stream));
  else
    usock_stream_receive_line_async (stream, NULL, answered, NULL);
}

static void
failed (UsockStream *stream, const GError *error)
{
  g_printerr ("%s\n", error->message);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockStream) stream = usock_stream_new ();
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  n_awaited = argc - 3;
  if (argc < 4)
    g_printerr ("usage: tcp-echo-client HOST PORT TEXT...\n");
  else if (!usock_stream_connect_to_host (stream, argv[1], atoi (argv[2]),
                                          G_SOCKET_FAMILY_INVALID, &error))
    g_printerr ("%s\n", error->message);
  else
    {
      g_signal_connect (stream, "error", G_CALLBACK (failed), NULL);
      for (int i = 3; i < argc; i++)
        {
          g_autofree char *line = g_strconcat (argv[i], "\n", NULL);

          usock_channel_send_text (USOCK_CHANNEL (stream), line, NULL);
        }
      usock_stream_receive_line_async (stream, NULL, answered, NULL);
    }

  usock_run_until_closed (NULL);
  return n_awaited == 0 ? 0 : 1;
}
