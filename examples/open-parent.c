/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */
/* Has a file opened by a child, and prints it: open-parent NAME CHILD ARGUMENT... */
#include <stdio.h>
#include <usock/usock.h>

static void
opened_cb (GObject *peer, GAsyncResult *result, gpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) file = usock_peer_call_finish (USOCK_PEER (peer), result, &error);
  FILE *stream = file != NULL ? fdopen (usock_message_take_fd (file, 0, NULL), "r") : NULL;

  if (error != NULL)
    g_printerr ("%s\n", error->message);
  for (int c; stream != NULL && (c = getc (stream)) != EOF;)
    putchar (c);
  g_clear_pointer (&stream, fclose);
  usock_socket_close (USOCK_SOCKET (usock_peer_get_channel (USOCK_PEER (peer))));
}

int
main (int argc, char **argv)
{
  const char *const *child = (const char *const *) argv + MIN (argc, 2);
  g_autoptr (UsockMessage) name = usock_message_new_from_text (argc > 2 ? argv[1] : "");
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockPeer) peer = usock_peer_spawn (child, 0, &process, &error);

  if (peer == NULL)
    return fprintf (stderr, "%s\n", error->message) > 0;
  usock_channel_set_max_fds (usock_peer_get_channel (peer), 1);
  usock_peer_call_async (peer, "Open", name, 10000, NULL, opened_cb, NULL);
  usock_run_until_closed (NULL);
}
