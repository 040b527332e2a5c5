/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The service of a name; or, with a question, its client. */

#include <locale.h>
#include <usock/usock.h>

static void
answer (UsockChannel *channel, GByteArray *bytes)
{
  g_autofree char *text = g_strndup ((const char *) bytes->data, bytes->len);
  g_autofree char *reply = g_utf8_validate (text, -1, NULL) ? g_utf8_strup (text, -1) : NULL;
  g_autoptr (GError) error = NULL;

  if (reply == NULL || !usock_channel_send_text (channel, reply, &error))
    usock_socket_destroy (USOCK_SOCKET (channel), error);
}

static void
serve (UsockServer *server, UsockChannel *channel)
{
  g_signal_connect (channel, "data", G_CALLBACK (answer), NULL);
}

static void
show (UsockChannel *channel, GByteArray *bytes)
{
  g_print ("%.*s\n", (int) bytes->len, (const char *) bytes->data);
  usock_socket_close (USOCK_SOCKET (channel));
}

static gboolean
ask (const char *name, const char *question, GError **error)
{
  g_autoptr (UsockSeqpacket) client = usock_seqpacket_new_for_name (name, error);

  if (client == NULL || !usock_channel_send_text (USOCK_CHANNEL (client), question, error))
    return FALSE;

  g_signal_connect (client, "data", G_CALLBACK (show), NULL);
  return TRUE;
}

static gboolean
start (const char *name, GError **error)
{
  g_autoptr (UsockServer) server = usock_server_new_for_name (name, error);

  if (server == NULL)
    return FALSE;

  g_signal_connect (server, "connection", G_CALLBACK (serve), NULL);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (argc < 2 || !(argc > 2 ? ask (argv[1], argv[2], &error) : start (argv[1], &error)))
    {
      g_printerr ("%s\n", error != NULL ? error->message : "usage: name-service NAME [QUESTION]");
      return 1;
    }

  usock_run_until_closed (NULL);
  return 0;
}
