/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints what is logged: syslog-receiver PATH, and then logger --socket PATH TEXT */

#include <locale.h>
#include <stdio.h>
#include <usock/usock.h>

static void
received (UsockDgram *log, UsockMessage *message)
{
  g_autofree char *text = usock_message_dup_text (message, NULL);
  int priority, start = 0;

  if (text != NULL && sscanf (text, "<%d>%n", &priority, &start) == 1 && start > 0)
    g_print ("facility %d, severity %d: %s\n", priority >> 3, priority & 7, text + start);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockDgram) log = g_object_new (USOCK_TYPE_DGRAM, "mode", 0666, NULL);
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_signal_connect (log, "message", G_CALLBACK (received), NULL);
  if (usock_dgram_bind_to_path (log, argc > 1 ? argv[1] : "", &error))
    usock_run_until_closed (NULL);
  else
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
