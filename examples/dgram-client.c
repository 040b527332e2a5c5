/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Asks questions, and prints the answers: dgram-client PATH QUESTION... */

#include <locale.h>
#include <usock/usock.h>

static void
ask (UsockDgram *client, char ***questions)
{
  g_autoptr (GError) error = NULL;

  if (**questions == NULL
      || !usock_channel_send_text (USOCK_CHANNEL (client), *(*questions)++, &error))
    usock_socket_destroy (USOCK_SOCKET (client), error);
}

static void
answered (UsockDgram *client, GByteArray *answer, char ***questions)
{
  g_print ("%.*s\n", (int) answer->len, (char *) answer->data);
  ask (client, questions);
}

static void
failed (UsockDgram *client, GError *error)
{
  g_printerr ("%s\n", error->message);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockDgram) client = usock_dgram_new ();
  g_autoptr (GError) error = NULL;
  char **questions = argv + 2;

  setlocale (LC_ALL, "");
  g_signal_connect (client, "data", G_CALLBACK (answered), &questions);
  g_signal_connect (client, "error", G_CALLBACK (failed), NULL);
  /* A name of our own, so that we can be answered. */
  if (usock_dgram_autobind (client, &error)
      && usock_channel_connect_to_path (USOCK_CHANNEL (client), argc > 1 ? argv[1] : "", &error))
    ask (client, &questions);
  else
    usock_socket_destroy (USOCK_SOCKET (client), error);
  usock_run_until_closed (NULL);
  return usock_socket_get_had_error (USOCK_SOCKET (client));
}
