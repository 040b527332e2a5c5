/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The programs that listen and serve run. */

#include "config.h"

#include <unistd.h>

#include "tool.h"

static void
set_number (GSubprocessLauncher *launcher,
            const char          *name,
            gint64               number)
{
  g_autofree char *text = number >= 0 ? g_strdup_printf ("%" G_GINT64_FORMAT, number) : NULL;

  if (text != NULL)
    g_subprocess_launcher_setenv (launcher, name, text, TRUE);
  else
    g_subprocess_launcher_unsetenv (launcher, name);
}

static void
set_credentials (GSubprocessLauncher *launcher,
                 GCredentials        *credentials)
{
  set_number (launcher, "USOCK_PID",
              credentials != NULL ? g_credentials_get_unix_pid (credentials, NULL) : -1);
  set_number (launcher, "USOCK_UID",
              credentials != NULL ? (gint64) (int) g_credentials_get_unix_user (credentials, NULL) : -1);
}

/* Takes the descriptors over, also where it fails. Who is served and what is asked for stand in the
 * environment, where no shell takes them for anything else. */
GSubprocess *
tool_start (char         **command,
            int            in_fd,
            int            out_fd,
            const char    *call,
            GCredentials  *credentials,
            GError       **error)
{
  g_autoptr (GSubprocessLauncher) launcher
      = g_subprocess_launcher_new (out_fd < 0 ? G_SUBPROCESS_FLAGS_STDOUT_PIPE
                                              : G_SUBPROCESS_FLAGS_NONE);

  g_subprocess_launcher_take_stdin_fd (launcher, in_fd);
  if (out_fd >= 0)
    g_subprocess_launcher_take_stdout_fd (launcher, out_fd);
  set_credentials (launcher, credentials);
  if (call != NULL)
    g_subprocess_launcher_setenv (launcher, "USOCK_CALL", call, TRUE);
  return g_subprocess_launcher_spawnv (launcher, (const char *const *) command, error);
}
