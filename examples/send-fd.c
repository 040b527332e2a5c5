/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sends an open file: send-fd PATH FILE */

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <unistd.h>
#include <usock/usock.h>

static gboolean
send_file (const char *path, const char *name, int fd, GError **error)
{
  g_autoptr (UsockChannel) channel = USOCK_CHANNEL (usock_seqpacket_new ());

  if (!usock_channel_connect_to_path (channel, path, error)
      || !usock_channel_send_with_fds (channel, (const guint8 *) name, strlen (name), &fd, 1,
                                       error))
    return FALSE;

  usock_channel_end (channel); /* and the rest of the connection, once the other side has ended */
  usock_run_until_closed (NULL);
  return !usock_socket_get_had_error (USOCK_SOCKET (channel));
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  gboolean sent;
  int fd;

  setlocale (LC_ALL, "");
  if (argc != 3)
    {
      fputs ("usage: send-fd PATH FILE\n", stderr);
      return 1;
    }
  fd = open (argv[2], O_RDONLY | O_CLOEXEC);
  if (fd == -1)
    {
      perror (argv[2]);
      return 1;
    }

  sent = send_file (argv[1], argv[2], fd, &error);
  close (fd); /* what was sent is a descriptor of its own */
  if (!sent)
    fprintf (stderr, "%s\n", error != NULL ? error->message : "the connection was lost");
  return sent ? 0 : 1;
}
