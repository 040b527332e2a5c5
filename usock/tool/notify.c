/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <unistd.h>

#include "tool.h"

static gboolean is_ready;
static gboolean is_stopping;
static gboolean is_reloading;
static char *status_text;
static int main_pid;
static char **numbers;

static const GOptionEntry entries[] = {
  { "ready", 'r', 0, G_OPTION_ARG_NONE, &is_ready, N_("The service has started, or reloaded"), NULL },
  { "reloading", 0, 0, G_OPTION_ARG_NONE, &is_reloading, N_("The service reloads"), NULL },
  { "stopping", 0, 0, G_OPTION_ARG_NONE, &is_stopping, N_("The service stops"), NULL },
  { "status", 's', 0, G_OPTION_ARG_STRING, &status_text, N_("What the service is doing"), N_("TEXT") },
  { "pid", 0, 0, G_OPTION_ARG_INT, &main_pid, N_("The main process of the service"), N_("PID") },
  { "fd", 0, 0, G_OPTION_ARG_STRING_ARRAY, &numbers, N_("Have the manager keep an open descriptor"),
    N_("NUMBER") },
  G_OPTION_ENTRY_NULL,
};

static void
add (GString    *state,
     const char *line)
{
  g_string_append_printf (state, "%s%s", state->len > 0 ? "\n" : "", line);
}

/* What was said by options, and then each argument. */
static GString *
compose (char **lines)
{
  GString *state = g_string_new (NULL);

  if (is_reloading)
    g_string_append_printf (state, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT,
                            g_get_monotonic_time ());
  if (is_ready)
    add (state, "READY=1");
  if (is_stopping)
    add (state, "STOPPING=1");
  if (status_text != NULL)
    g_string_append_printf (state, "%sSTATUS=%s", state->len > 0 ? "\n" : "", status_text);
  if (main_pid > 0)
    g_string_append_printf (state, "%sMAINPID=%d", state->len > 0 ? "\n" : "", main_pid);
  if (numbers != NULL)
    add (state, "FDSTORE=1");
  for (; *lines != NULL; lines++)
    add (state, *lines);
  return state;
}

static gboolean
read_fds (int *fds)
{
  for (gsize i = 0; numbers != NULL && numbers[i] != NULL; i++)
    {
      gint64 number;

      if (!g_ascii_string_to_signed (numbers[i], 10, 0, G_MAXINT, &number, NULL))
        {
          tool_fail_usage (_("“%s” is no number of a descriptor"), numbers[i]);
          return FALSE;
        }
      fds[i] = number;
    }

  return TRUE;
}

ToolStatus
tool_notify (int    argc,
             char **argv)
{
  ToolStatus status
      = tool_parse (TOOL_TAKES_NOTHING, entries,
                    N_("Each STATE is a line as in sd_notify(3), such as WATCHDOG=1. Where NOTIFY_SOCKET "
                        "is not set there is nobody to tell, which is no failure."),
                    &argc, &argv);
  g_autoptr (GString) state = NULL;
  gsize n_fds = numbers != NULL ? g_strv_length (numbers) : 0;
  g_autofree int *fds = g_new (int, n_fds + 1);
  g_autoptr (GError) error = NULL;

  if (status != TOOL_DONE)
    return status;
  if (!read_fds (fds))
    return TOOL_USAGE;

  state = compose (argv + 1);
  if (state->len == 0)
    return tool_fail_usage (_("there is nothing to tell"));
  if (!usock_notify (state->str, fds, n_fds, &error))
    return tool_report (error);

  return TOOL_DONE;
}
