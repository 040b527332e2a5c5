/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens files of one directory for the parent that has started it: open-child DIRECTORY */
#include <fcntl.h>
#include <usock/usock.h>

static void
open_file (UsockPeer *peer, UsockCall *call, gpointer directory)
{
  g_autoptr (UsockMessage) file = usock_message_new_from_variant (g_variant_new_handle (0));
  g_autofree char *name = usock_message_dup_text (usock_call_get_body (call), NULL);
  g_autofree char *base = g_path_get_basename (name != NULL ? name : "");
  g_autofree char *path = g_build_filename (directory, base, NULL);
  g_autoptr (GError) none = g_error_new (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no “%s”", path);

  if (usock_message_append_fd_owned (file, open (path, O_RDONLY | O_CLOEXEC), NULL))
    usock_call_reply (call, file, NULL);
  else
    usock_call_reply_error (call, none, NULL);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new_activated (NULL, NULL);
  g_autoptr (UsockPeer) peer = channel != NULL ? usock_peer_new (USOCK_CHANNEL (channel)) : NULL;

  if (peer != NULL && argc == 2)
    usock_peer_handle (peer, "Open", open_file, argv[1], NULL);
  usock_run_until_closed (NULL);
  return 0;
}
