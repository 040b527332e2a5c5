/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock, the tool: a command for each thing that one does with a socket from a shell.
 *
 * It stands on <usock/usock.h> and nothing below it, as any program does. Each command is a file of
 * its own, and what they share is in those that tool.h lists. */

#include "config.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* The summaries are translated where they are printed. */
static const ToolCommand commands[] = {
  { "connect", N_("PLACE"), N_("Connect standard input and output to a socket"), tool_connect },
  { "listen", N_("PLACE [-- COMMAND [ARGUMENT…]]"),
    N_("Wait for a connection, or run a command for each"), tool_listen },
  { "send", N_("PLACE [TEXT…]"), N_("Send messages"), tool_send },
  { "receive", N_("PLACE"), N_("Print the messages of everybody who comes"), tool_receive },
  { "call", N_("PLACE NAME [BODY]"), N_("Call a service and print its answer"), tool_call },
  { "serve", N_("PLACE -- COMMAND [ARGUMENT…]"), N_("Answer calls by running a command"),
    tool_serve },
  { "monitor", N_("PLACE SERVER"), N_("Stand between clients and a server, and show all they say"),
    tool_monitor },
  { "pass", N_("PLACE FILE…"), N_("Send open files"), tool_pass },
  { "notify", N_("[STATE…]"), N_("Tell the service manager something"), tool_notify },
  { "wait", N_("PLACE"), N_("Wait until somebody listens"), tool_wait },
};

ToolSettings tool = { .mode = -1 };

static void
print_usage (void)
{
  g_print ("%s\n  usock %s\n\n%s\n", _("Usage:"), _("COMMAND [OPTION…] [ARGUMENT…]"), _("Commands:"));
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    g_print ("  %-10s %s\n", commands[i].name, _(commands[i].summary));
  g_print ("\n%s\n\n%s\n", _("A PLACE is a path, an abstract @name, or HOST:PORT."),
           _("“usock COMMAND --help” tells more, and so does usock(1)."));
}

static const ToolCommand *
find_command (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    if (strcmp (commands[i].name, name) == 0)
      return &commands[i];

  return NULL;
}

/* A socket that became descriptor 1 would be written to as standard output. */
static void
open_standard_fds (void)
{
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl (fd, F_GETFD) < 0 && open ("/dev/null", O_RDWR) != fd)
      _exit (TOOL_FAILED);
}

static ToolStatus
run_command (int    argc,
             char **argv)
{
  g_autofree char *program = NULL;

  if (argc < 2)
    {
      print_usage ();
      return TOOL_USAGE;
    }
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0)
    {
      print_usage ();
      return TOOL_DONE;
    }
  if (strcmp (argv[1], "--version") == 0)
    {
      g_print ("usock %s\n", usock_get_version ());
      return TOOL_DONE;
    }

  tool.command = find_command (argv[1]);
  if (tool.command == NULL)
    return tool_fail_usage (_("there is no command “%s”"), argv[1]);

  program = g_strconcat ("usock ", tool.command->name, NULL);
  g_set_prgname (program);
  return tool.command->run (argc - 1, argv + 1);
}

int
main (int    argc,
      char **argv)
{
  ToolStatus status;

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, USOCK_LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);

  tool_init ();
  open_standard_fds ();
  g_set_prgname ("usock");
  status = run_command (argc, argv);
  tool_progress_clear ();
  return status;
}
