/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program without a main loop: it blocks, on GIO's streams over ours. */

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <usock/usock.h>

static gboolean
ask (GOutputStream *output, GDataInputStream *input, const char *question, GError **error)
{
  g_autofree char *line = g_strconcat (question, "\n", NULL);
  g_autofree char *answer = NULL;

  if (!g_output_stream_write_all (output, line, strlen (line), NULL, NULL, error))
    return FALSE;

  answer = g_data_input_stream_read_line_utf8 (input, NULL, NULL, error);
  if (answer != NULL)
    puts (answer);
  else if (*error == NULL)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED, "the server has gone");
  return answer != NULL;
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockStream) stream = usock_stream_new ();
  g_autoptr (GIOStream) view = usock_stream_create_io_stream (stream);
  g_autoptr (GDataInputStream) input
      = g_data_input_stream_new (g_io_stream_get_input_stream (view));
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (argc < 3)
    error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED,
                                 "usage: stream-echo-client PATH LINE...");
  else
    usock_channel_connect_to_path (USOCK_CHANNEL (stream), argv[1], &error);
  for (int i = 2; i < argc && error == NULL; i++)
    ask (g_io_stream_get_output_stream (view), input, argv[i], &error);

  if (error == NULL)
    g_io_stream_close (view, NULL, &error);
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
