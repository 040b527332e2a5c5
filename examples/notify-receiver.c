/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints what services tell their manager: notify-receiver PATH, which is their NOTIFY_SOCKET */

#include <locale.h>
#include <usock/usock.h>

/* A service may wait until we close the descriptor that it sends; the signal does so by itself. */
static void
received (UsockDgram *manager, UsockMessage *message)
{
  GCredentials *credentials = usock_message_get_credentials (message);
  g_autofree char *text = usock_message_dup_text (message, NULL);

  g_print ("%d: %s\n", g_credentials_get_unix_pid (credentials, NULL), text);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockDgram) manager = usock_dgram_new ();
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_object_set (manager, "max-fds", 1, "pass-credentials", TRUE, NULL);
  g_signal_connect (manager, "message", G_CALLBACK (received), NULL);
  if (usock_dgram_bind_to_path (manager, argc > 1 ? argv[1] : "", &error))
    usock_run_until_closed (NULL);
  else
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
