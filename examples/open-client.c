/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Has files opened by a worker, and prints them: open-client PATH NAME... */

#include <locale.h>
#include <stdio.h>
#include <unistd.h>
#include <usock/usock.h>

static int n_failed;

static void
opened_cb (GObject *peer, GAsyncResult *result, gpointer n_left)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) file = usock_peer_call_finish (USOCK_PEER (peer), result, &error);
  int fd = file != NULL ? usock_message_take_fd (file, 0, &error) : -1;
  char buffer[4096];
  gssize n;

  while (fd != -1 && (n = read (fd, buffer, sizeof buffer)) > 0)
    fwrite (buffer, 1, n, stdout);
  if (fd != -1)
    close (fd);
  else
    n_failed += fprintf (stderr, "%s\n", error->message) > 0;
  if (--*(int *) n_left == 0)
    usock_socket_close (USOCK_SOCKET (usock_peer_get_channel (USOCK_PEER (peer))));
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new ();
  g_autoptr (UsockPeer) peer = usock_peer_new (USOCK_CHANNEL (channel));
  g_autoptr (GError) error = NULL;
  int n_left = argc - 2;

  setlocale (LC_ALL, "");
  usock_channel_set_max_fds (USOCK_CHANNEL (channel), 1);
  if (argc < 3 || !usock_channel_connect_to_path (USOCK_CHANNEL (channel), argv[1], &error))
    {
      fprintf (stderr, "%s\n", error != NULL ? error->message : "usage: open-client PATH NAME...");
      return 1;
    }

  for (int i = 2; i < argc; i++)
    {
      GVariant *value = g_variant_new_parsed ("{'name': <%s>}", argv[i]);
      g_autoptr (UsockMessage) body = usock_message_new_from_variant (value);

      usock_peer_call_async (peer, "Open", body, 5000, NULL, opened_cb, &n_left);
    }
  usock_run_until_closed (NULL);
  return n_failed > 0;
}
