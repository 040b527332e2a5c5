/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints what is logged: syslog-receiver PATH, and then logger --socket PATH TEXT */

#include <locale.h>
#include <usock/usock.h>

static void
received (UsockDgram *log, UsockMessage *message)
{
  g_autofree char *text = usock_message_dup_text (message, NULL);
  char *rest;
  guint64 priority = text != NULL && *text == '<' ? g_ascii_strtoull (text + 1, &rest, 10) : 0;

  if (priority > 0 && *rest == '>')
    g_print ("facility %d, severity %d: %s\n", (int) priority / 8, (int) priority % 8, rest + 1);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockDgram) log = usock_dgram_new ();
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  usock_dgram_set_mode (log, 0666);
  g_signal_connect (log, "message", G_CALLBACK (received), NULL);
  if (argc != 2 || !usock_dgram_bind_to_path (log, argv[1], &error))
    {
      g_printerr ("%s\n", error != NULL ? error->message : "usage: syslog-receiver PATH");
      return 1;
    }
  usock_run_until_closed (NULL);
  return 0;
}
