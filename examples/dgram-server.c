/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Answers each question in capitals: dgram-server PATH */

#include <locale.h>
#include <string.h>
#include <usock/usock.h>

static void
answer (UsockDgram *server, GByteArray *question, const char *sender)
{
  g_autofree char *text = g_utf8_make_valid ((char *) question->data, question->len);
  g_autofree char *capitals = g_utf8_strup (text, -1);
  g_autoptr (GError) error = NULL;

  if (sender != NULL
      && !usock_dgram_send_to (server, (guint8 *) capitals, strlen (capitals), sender, &error))
    g_printerr ("%s\n", error->message); /* the client is gone */
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockDgram) server = usock_dgram_new ();
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_signal_connect (server, "datagram", G_CALLBACK (answer), NULL);
  if (usock_dgram_bind_to_path (server, argc > 1 ? argv[1] : "", &error))
    usock_run_until_closed (NULL);
  else
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
