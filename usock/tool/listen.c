/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* One connection for standard input and output, or any number with a command for each. */

#include "config.h"

#include <glib-unix.h>
#include <unistd.h>

#include "tool.h"

static int wanted;
static int most;
static char **command;
static guint n_running;

static const GOptionEntry entries[] = {
  { "count", 'c', 0, G_OPTION_ARG_INT, &wanted, N_("End after so many connections"), N_("NUMBER") },
  { "max-connections", 'M', 0, G_OPTION_ARG_INT, &most, N_("Run the command for so many at once"),
    N_("NUMBER") },
  G_OPTION_ENTRY_NULL,
};

static void
ended_cb (GObject      *child,
          GAsyncResult *result,
          gpointer      server)
{
  g_subprocess_wait_finish (G_SUBPROCESS (child), result, NULL);
  tool_touch ();
  n_running--;
  if (most > 0 && n_running < (guint) most)
    usock_server_resume (server);
  if (wanted == 0 && n_running == 0)
    tool_stop (TOOL_DONE);
}

/* The command has the connection itself, and nothing stands between. A command expects that it may
 * block. */
static GSubprocess *
hand_over (UsockChannel  *channel,
           GError       **error)
{
  g_autoptr (GCredentials) credentials
      = usock_socket_get_peer_credentials (USOCK_SOCKET (channel), NULL);
  int fd = usock_socket_steal_fd (USOCK_SOCKET (channel), NULL, error);
  int copy;

  if (fd < 0)
    return NULL;
  copy = dup (fd);
  if (copy < 0 || !g_unix_set_fd_nonblocking (fd, FALSE, error))
    {
      if (copy < 0)
        g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES, g_strerror (EMFILE));
      else
        close (copy);
      close (fd);
      return NULL;
    }

  return tool_start (command, fd, copy, NULL, credentials, error);
}

static void
run_for (UsockServer  *server,
         UsockChannel *channel)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) child = hand_over (channel, &error);

  if (wanted > 0 && --wanted == 0)
    usock_socket_close (USOCK_SOCKET (server));
  if (child == NULL)
    {
      tool_stop_with (error);
      return;
    }

  n_running++;
  if (most > 0 && n_running >= (guint) most)
    usock_server_pause (server);
  g_subprocess_wait_async (child, NULL, ended_cb, server);
}

static void
connection_cb (UsockServer  *server,
               UsockChannel *channel,
               gpointer      unused)
{
  tool_touch ();
  if (command != NULL)
    {
      run_for (server, channel);
      return;
    }

  usock_socket_close (USOCK_SOCKET (server));
  tool_pump (channel, tool_input_new (tool.framing), TOOL_PUMP_BOTH);
}

ToolStatus
tool_listen (int    argc,
             char **argv)
{
  ToolStatus status = tool_parse (TOOL_TAKES_TYPE | TOOL_TAKES_NAME | TOOL_TAKES_SERVER
                                      | TOOL_TAKES_FRAMING,
                                  entries, NULL, &argc, &argv);
  g_autoptr (UsockServer) server = NULL;
  g_autoptr (GError) error = NULL;
  const char *place;

  if (status != TOOL_DONE)
    return status;
  if (wanted < 0 || most < 0)
    return tool_fail_usage (_("a number is out of range"));
  if (!tool_take_place (&argc, &argv, &place))
    return TOOL_USAGE;

  command = argc > 1 ? argv + 1 : NULL;
  wanted = wanted > 0 ? wanted : -1;
  server = tool_listen_at (place, &error);
  if (server == NULL)
    return tool_report (error);

  tool_watch (USOCK_SOCKET (server));
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), NULL);
  return tool_run ();
}
