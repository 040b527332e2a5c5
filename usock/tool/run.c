/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The main loop of a command, what ends it, and what it says then.
 *
 * A command that a signal ends dies of that signal, as the shell expects, but removes the path that
 * it listens on before: that is done when the process exits, so the signal comes last. */

#include "config.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool.h"

static GMainLoop *loop;
static gboolean is_stopping;
static ToolStatus final_status;
static int final_signal;
static gint64 last_activity;
static gboolean ignores_pipe;

static void
die_of_signal (void)
{
  if (final_signal == 0)
    return;

  signal (final_signal, SIG_DFL);
  raise (final_signal);
}

static gboolean
is_ignored (int number)
{
  struct sigaction action;

  return sigaction (number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

gboolean
tool_has_colour (int fd)
{
  const char *no_colour = g_getenv ("NO_COLOR");

  return isatty (fd) && (no_colour == NULL || *no_colour == '\0')
         && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
}

void
tool_complain (const char *format,
               ...)
{
  gboolean coloured = tool_has_colour (STDERR_FILENO);
  g_autofree char *text = NULL;
  va_list arguments;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);

  tool_progress_clear ();
  g_printerr ("%s%s:%s %s\n", coloured ? "\033[1;31m" : "", g_get_prgname (), coloured ? "\033[0m" : "",
              text);
}

ToolStatus
tool_report (const GError *error)
{
  tool_complain ("%s", error->message);
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ? TOOL_TIMEOUT : TOOL_FAILED;
}

/* The first to stop says how it ends. */
void
tool_stop (ToolStatus status)
{
  if (is_stopping)
    return;

  is_stopping = TRUE;
  final_status = status;
  if (loop != NULL)
    g_main_loop_quit (loop);
}

void
tool_stop_with (const GError *error)
{
  if (!is_stopping)
    tool_stop (tool_report (error));
}

static void
stop_by_signal (int number)
{
  final_signal = number;
  tool_stop (TOOL_FAILED);
}

/* Nobody reads what is written: who wants to know of it ignores the signal. */
void
tool_stop_by_pipe (const GError *error)
{
  if (ignores_pipe)
    tool_stop_with (error);
  else
    stop_by_signal (SIGPIPE);
}

static void
failed_cb (UsockSocket  *socket,
           const GError *error,
           gpointer      unused)
{
  tool_complain ("%s", error->message);
}

static void
closed_cb (UsockSocket *socket,
           gpointer     unused)
{
  if (usock_socket_get_had_error (socket))
    tool_stop (TOOL_FAILED);
}

/* Reports what goes wrong with a socket that others come to. Short of descriptors it goes on. */
void
tool_watch (UsockSocket *socket)
{
  g_signal_connect (socket, "error", G_CALLBACK (failed_cb), NULL);
  g_signal_connect (socket, "close", G_CALLBACK (closed_cb), NULL);
}

static gboolean
signalled_cb (gpointer number)
{
  stop_by_signal (GPOINTER_TO_INT (number));
  return G_SOURCE_CONTINUE;
}

/* Who ignores a signal, as nohup(1) does, has his reasons. */
static void
catch_signal (int number)
{
  if (!is_ignored (number))
    g_unix_signal_add (number, signalled_cb, GINT_TO_POINTER (number));
}

/* To be called first of all: what is registered first runs last. */
void
tool_init (void)
{
  atexit (die_of_signal);
  /* That nobody reads standard output any more is learnt from EPIPE. */
  ignores_pipe = is_ignored (SIGPIPE);
  signal (SIGPIPE, SIG_IGN);
  /* Before there is a path to be left behind. */
  catch_signal (SIGHUP);
  catch_signal (SIGINT);
  catch_signal (SIGTERM);
}

void
tool_touch (void)
{
  last_activity = g_get_monotonic_time ();
}

static gboolean
timeout_cb (gpointer unused)
{
  gint64 left = last_activity + tool.timeout * G_USEC_PER_SEC - g_get_monotonic_time ();

  if (left > 0)
    {
      g_timeout_add (left / 1000 + 1, timeout_cb, NULL);
      return G_SOURCE_REMOVE;
    }

  tool_complain (_("nothing has happened for %g s"), tool.timeout);
  tool_stop (TOOL_TIMEOUT);
  return G_SOURCE_REMOVE;
}

/* Runs until something stops it, which may have happened already. */
ToolStatus
tool_run (void)
{
  if (is_stopping)
    return final_status;

  tool_touch ();
  if (tool.timeout > 0)
    timeout_cb (NULL);

  loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (loop);
  g_clear_pointer (&loop, g_main_loop_unref);
  return final_status;
}
