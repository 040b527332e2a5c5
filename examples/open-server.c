/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Opens files of one directory for who may not, a sandboxed parent: open-server PATH DIRECTORY */

#include <fcntl.h>
#include <stdio.h>
#include <usock/usock.h>

static void
open_file (UsockPeer *peer, UsockCall *call, gpointer directory)
{
  g_autoptr (UsockMessage) file = usock_message_new_from_variant (g_variant_new_handle (0));
  g_autoptr (GVariant) name = usock_call_get_variant (call) == NULL ? NULL :
      g_variant_lookup_value (usock_call_get_variant (call), "name", G_VARIANT_TYPE_STRING);
  g_autofree char *base = g_path_get_basename (name != NULL ? g_variant_get_string (name, NULL) : "");
  g_autofree char *path = g_build_filename (directory, base, NULL);
  g_autoptr (GError) error = NULL;

  if (name == NULL || !g_str_equal (base, g_variant_get_string (name, NULL)))
    error = g_error_new (G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, "only files of the directory are opened");
  else if (!usock_message_append_fd_owned (file, open (path, O_RDONLY | O_CLOEXEC), NULL))
    error = g_error_new (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no “%s”", path);
  if (error != NULL)
    usock_call_reply_error (call, error, NULL);
  else
    usock_call_reply (call, file, NULL);
}

static void
serve (UsockServer *server, UsockChannel *channel, gpointer directory)
{
  g_autoptr (UsockPeer) peer = usock_peer_new (channel);

  usock_peer_handle (peer, "Open", open_file, directory, NULL);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (GError) error = NULL;

  if (argc == 3)
    g_signal_connect (server, "connection", G_CALLBACK (serve), argv[2]);
  if (argc != 3 || !usock_server_listen_on_path (server, argv[1], 0, &error))
    {
      fprintf (stderr, "%s\n", error != NULL ? error->message : "usage: open-server PATH DIRECTORY");
      return 1;
    }

  usock_run_until_closed (NULL);
  return 0;
}
