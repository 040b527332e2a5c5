/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* hostile-peer TYPE DIRECTORY PATH SEED: both of those of hostile.h, for a server of any language. */

#include "hostile.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int
main (int    argc,
      char **argv)
{
  Drama play = { .start = { -1, -1 }, .listener = -1 };
  int status = -1;
  pid_t pid;

  g_assert_cmpint (argc, ==, 5);
  play.type = g_str_equal (argv[1], "stream") ? SOCK_STREAM : SOCK_SEQPACKET;
  play.directory = argv[2];
  play.path = argv[3];
  play.seed = strtoul (argv[4], NULL, 10);

  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      _exit (hostile_play (&play));
    }

  status = hostile_play_polite (&play);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  return status;
}
