/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* TLS of GIO's over connections that usock made.
 *
 * tls-peer serve PEM PATH: says each line backwards, until it is killed.
 * tls-peer ask WHERE COUNT AT_ONCE: asks so often, by a connection each; WHERE is a path, or a TCP
 * port of this machine.
 *
 * Exits with 3 if GIO has no TLS. */

#include <stdlib.h>
#include <string.h>
#include <usock/usock.h>

#define QUESTION "do geese see gods\n"
#define ANSWER "sdog ees eseeg od\n"

static guint n_left, n_running, n_failed;
static const char *where;

static void
fail (const char *what,
      GError     *error)
{
  g_printerr ("%s: %s\n", what, error != NULL ? error->message : "");
  g_clear_error (&error);
  n_failed++;
}

/* The server. */

static void
closed_cb (GObject      *stream,
           GAsyncResult *result,
           gpointer      data)
{
  g_io_stream_close_finish (G_IO_STREAM (stream), result, NULL);
}

static void
wrote_cb (GObject      *output,
          GAsyncResult *result,
          gpointer      data)
{
  g_autoptr (GIOStream) tls = data;
  GError *error = NULL;

  if (!g_output_stream_write_all_finish (G_OUTPUT_STREAM (output), result, NULL, &error))
    fail ("writing", error);
  g_free (g_object_steal_data (G_OBJECT (tls), "line"));
  g_io_stream_close_async (tls, 0, NULL, closed_cb, NULL);
}

static void
line_cb (GObject      *input,
         GAsyncResult *result,
         gpointer      tls)
{
  GError *error = NULL;
  char *line = g_data_input_stream_read_line_finish (G_DATA_INPUT_STREAM (input), result, NULL,
                                                     &error);
  char *answer;

  if (line == NULL)
    {
      fail ("reading", error);
      g_object_unref (tls);
      return;
    }

  answer = g_strconcat (g_strreverse (line), "\n", NULL);
  g_free (line);
  g_object_set_data (tls, "line", answer);
  g_output_stream_write_all_async (g_io_stream_get_output_stream (tls), answer, strlen (answer), 0,
                                   NULL, wrote_cb, tls);
}

static void
connection_cb (UsockServer     *server,
               UsockChannel    *channel,
               GTlsCertificate *certificate)
{
  GError *error = NULL;
  g_autoptr (GSocketConnection) connection
      = usock_stream_steal_connection (USOCK_STREAM (channel), NULL, &error);
  GIOStream *tls = NULL;
  g_autoptr (GDataInputStream) lines = NULL;

  if (connection != NULL)
    tls = g_tls_server_connection_new (G_IO_STREAM (connection), certificate, &error);
  if (tls == NULL)
    {
      fail ("accepting", error);
      return;
    }

  lines = g_data_input_stream_new (g_io_stream_get_input_stream (tls));
  g_data_input_stream_read_line_async (lines, 0, NULL, line_cb, tls);
}

static void
serve (const char *pem,
       const char *path)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (GError) error = NULL;
  GTlsCertificate *certificate = g_tls_certificate_new_from_file (pem, &error);

  if (certificate == NULL)
    g_error ("%s", error->message);
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), certificate);
  if (!usock_server_listen_on_path (server, path, 0, &error))
    g_error ("%s", error->message);
  usock_run_until_closed (NULL);
}

/* The client. */

static void ask (void);

static void
next (void)
{
  n_running--;
  if (n_left > 0)
    ask ();
}

static void
answer_cb (GObject      *input,
           GAsyncResult *result,
           gpointer      data)
{
  g_autoptr (GIOStream) tls = data;
  GError *error = NULL;
  g_autoptr (GBytes) bytes
      = g_input_stream_read_bytes_finish (G_INPUT_STREAM (input), result, &error);

  if (bytes == NULL || g_bytes_get_size (bytes) != strlen (ANSWER)
      || memcmp (g_bytes_get_data (bytes, NULL), ANSWER, strlen (ANSWER)) != 0)
    fail ("the answer", error);
  g_io_stream_close_async (tls, 0, NULL, closed_cb, NULL);
  next ();
}

static void
asked_cb (GObject      *output,
          GAsyncResult *result,
          gpointer      tls)
{
  GError *error = NULL;

  if (!g_output_stream_write_all_finish (G_OUTPUT_STREAM (output), result, NULL, &error))
    {
      fail ("asking", error);
      g_object_unref (tls);
      next ();
      return;
    }

  g_input_stream_read_bytes_async (g_io_stream_get_input_stream (tls), 1000, 0, NULL, answer_cb,
                                   tls);
}

static gboolean
accept_cb (void)
{
  return TRUE;
}

static GIOStream *
secure (UsockStream  *stream,
        GError      **error)
{
  g_autoptr (GSocketConnection) connection = usock_stream_steal_connection (stream, NULL, error);
  GIOStream *tls = NULL;

  if (connection != NULL)
    tls = g_tls_client_connection_new (G_IO_STREAM (connection), NULL, error);
  if (tls != NULL)
    g_signal_connect (tls, "accept-certificate", G_CALLBACK (accept_cb), NULL);
  return tls;
}

static void
connected_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      data)
{
  g_autoptr (UsockStream) stream = USOCK_STREAM (source);
  GError *error = NULL;
  GIOStream *tls = NULL;

  if (usock_channel_connect_finish (USOCK_CHANNEL (stream), result, &error))
    tls = secure (stream, &error);
  if (tls == NULL)
    {
      fail ("connecting", error);
      next ();
      return;
    }

  g_output_stream_write_all_async (g_io_stream_get_output_stream (tls), QUESTION,
                                   strlen (QUESTION), 0, NULL, asked_cb, tls);
}

static void
ask (void)
{
  UsockStream *stream = usock_stream_new ();

  n_left--;
  n_running++;
  if (strchr (where, '/') != NULL)
    usock_channel_connect_to_path_async (USOCK_CHANNEL (stream), where, NULL, connected_cb, NULL);
  else
    usock_stream_connect_to_host_async (stream, "127.0.0.1", atoi (where),
                                        G_SOCKET_FAMILY_INVALID, NULL, connected_cb, NULL);
}

int
main (int    argc,
      char **argv)
{
  if (!g_tls_backend_supports_tls (g_tls_backend_get_default ()))
    return 3;

  if (argc == 4 && g_str_equal (argv[1], "serve"))
    serve (argv[2], argv[3]);
  else if (argc == 5 && g_str_equal (argv[1], "ask"))
    {
      where = argv[2];
      n_left = atoi (argv[3]);
      for (int i = 0; i < atoi (argv[4]); i++)
        ask ();
      while (n_running > 0)
        g_main_context_iteration (NULL, TRUE);
    }
  else
    return 2;

  return n_failed > 0;
}
