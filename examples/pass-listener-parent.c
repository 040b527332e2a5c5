/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Listens, and has a child accept: pass-listener-parent PATH CHILD... The child gets the listening
 * socket by a packet socket, which is its standard input. */

#include <fcntl.h>
#include <locale.h>
#include <usock/usock.h>

static UsockChannel *
start_child (const char *const *command, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  g_autoptr (GSubprocess) child = NULL;
  g_autoptr (UsockSeqpacket) ours = NULL;
  g_autoptr (UsockSeqpacket) theirs = NULL;
  int fd;

  if (!usock_seqpacket_new_pair (&ours, &theirs, error))
    return NULL;

  fd = usock_socket_get_fd (USOCK_SOCKET (theirs));
  g_subprocess_launcher_take_stdin_fd (launcher, fcntl (fd, F_DUPFD_CLOEXEC, 3));
  child = g_subprocess_launcher_spawnv (launcher, command, error);
  usock_socket_close (USOCK_SOCKET (theirs));
  return child != NULL ? USOCK_CHANNEL (g_steal_pointer (&ours)) : NULL;
}

/* The child is ready for it. */
static void
pass_listener (UsockChannel *child, GByteArray *bytes, UsockServer *server)
{
  g_autoptr (GError) error = NULL;
  int fd = usock_socket_get_fd (USOCK_SOCKET (server));

  if (!usock_channel_send_with_fds (child, NULL, 0, &fd, 1, &error))
    usock_socket_destroy (USOCK_SOCKET (child), error);
}

static void
failed (UsockSocket *socket, const GError *error, int *status)
{
  g_printerr ("%s\n", error->message);
  *status = 1;
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (UsockChannel) child = NULL;
  g_autoptr (GError) error = NULL;
  int status = 0;

  setlocale (LC_ALL, "");
  usock_server_pause (server); /* not we, the child */
  if (argc < 3 || !usock_server_listen_on_path (server, argv[1], 0, &error)
      || (child = start_child ((const char *const *) argv + 2, &error)) == NULL)
    {
      g_printerr ("%s\n", error != NULL ? error->message
                                        : "usage: pass-listener-parent PATH CHILD...");
      return 1;
    }

  g_signal_connect (child, "data", G_CALLBACK (pass_listener), server);
  g_signal_connect (child, "error", G_CALLBACK (failed), &status);
  g_signal_connect_swapped (child, "close", G_CALLBACK (usock_socket_close), server);
  usock_run_until_closed (NULL);
  return status;
}
