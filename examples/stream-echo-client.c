/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Asks one question after the other: each waits for its answer. */

#include <locale.h>
#include <stdio.h>
#include <usock/usock.h>

static void
answered_cb (GObject *stream, GAsyncResult *result, gpointer answer)
{
  g_set_object ((GAsyncResult **) answer, result);
}

static gboolean
ask (UsockStream *stream, const char *question, GError **error)
{
  g_autofree char *line = g_strconcat (question, "\n", NULL);
  g_autofree char *answer = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!usock_channel_send_text (USOCK_CHANNEL (stream), line, error))
    return FALSE;

  usock_stream_receive_line_async (stream, NULL, answered_cb, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);

  answer = usock_stream_receive_line_finish (stream, result, error);
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
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (argc < 3)
    error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED,
                                 "usage: stream-echo-client PATH LINE...");
  else
    usock_channel_connect_to_path (USOCK_CHANNEL (stream), argv[1], &error);
  for (int i = 2; i < argc && error == NULL; i++)
    ask (stream, argv[i], &error);

  usock_socket_close (USOCK_SOCKET (stream));
  usock_run_until_closed (NULL);
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
