/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The options that commands share. A command names those that it takes, and adds its own. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const struct
{
  const char *name;
  ToolFraming framing;
} framings[] = {
  { "raw", TOOL_FRAMING_RAW },       { "lines", TOOL_FRAMING_LINES },
  { "null", TOOL_FRAMING_NULL },     { "length", TOOL_FRAMING_LENGTH },
  { "whole", TOOL_FRAMING_WHOLE },
};

static gboolean
refuse (GError    **error,
        const char *option,
        const char *value)
{
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("%s does not take “%s”"), option,
               value);
  return FALSE;
}

static gboolean
set_type (const char *option,
          const char *value,
          gpointer    data,
          GError    **error)
{
  const char *letter = option + strspn (option, "-");

  tool.type = g_str_has_prefix (letter, "st") || strcmp (option, "-s") == 0 ? G_SOCKET_TYPE_STREAM
              : *letter == 'd'                                             ? G_SOCKET_TYPE_DATAGRAM
                                                                            : G_SOCKET_TYPE_SEQPACKET;
  return TRUE;
}

static gboolean
set_activated (const char *option,
               const char *value,
               gpointer    data,
               GError    **error)
{
  tool.is_activated = TRUE;
  g_free (tool.activated);
  tool.activated = g_strdup (value);
  return TRUE;
}

static gboolean
set_mode (const char *option,
          const char *value,
          gpointer    data,
          GError    **error)
{
  char *end;
  gulong mode = strtoul (value, &end, 8);

  if (!g_ascii_isdigit (*value) || *end != '\0' || mode > 0777)
    return refuse (error, option, value);

  tool.mode = mode;
  return TRUE;
}

static gboolean
set_framing (const char *option,
             const char *value,
             gpointer    data,
             GError    **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (framings); i++)
    if (strcmp (framings[i].name, value) == 0)
      {
        tool.framing = framings[i].framing;
        return TRUE;
      }

  return refuse (error, option, value);
}

static gboolean
set_timeout (const char *option,
             const char *value,
             gpointer    data,
             GError    **error)
{
  char *end;
  double seconds = g_ascii_strtod (value, &end);

  if (end == value || *end != '\0' || !(seconds > 0 && seconds <= 1e9))
    return refuse (error, option, value);

  tool.timeout = seconds;
  return TRUE;
}

#define CALLBACK(function) G_OPTION_ARG_CALLBACK, (gpointer) (function)
#define FLAG(function) G_OPTION_FLAG_NO_ARG, CALLBACK (function)

static const GOptionEntry type_entries[] = {
  { "seqpacket", 'p', FLAG (set_type), N_("Packets over a connection, which is the default"), NULL },
  { "stream", 's', FLAG (set_type), N_("Bytes over a connection; the default with HOST:PORT"), NULL },
  G_OPTION_ENTRY_NULL,
};
static const GOptionEntry datagram_entries[] = {
  { "datagram", 'd', FLAG (set_type), N_("Messages without a connection"), NULL },
  G_OPTION_ENTRY_NULL,
};
static const GOptionEntry name_entries[] = {
  { "name", 'n', 0, G_OPTION_ARG_FILENAME, &tool.name,
    N_("The service of this name, instead of a PLACE"), N_("NAME") },
  G_OPTION_ENTRY_NULL,
};
static const GOptionEntry wait_entries[] = {
  { "wait", 'w', 0, G_OPTION_ARG_NONE, &tool.waits, N_("Wait for the server if it is not there yet"),
    NULL },
  G_OPTION_ENTRY_NULL,
};
static const GOptionEntry server_entries[] = {
  { "activated", 'a', G_OPTION_FLAG_OPTIONAL_ARG | G_OPTION_FLAG_FILENAME, CALLBACK (set_activated),
    N_("The socket that the service manager passed, instead of a PLACE"), N_("NAME") },
  { "mode", 'm', 0, CALLBACK (set_mode), N_("The mode of the path, 0600 unless it is given"),
    N_("MODE") },
  { "group", 'g', 0, G_OPTION_ARG_FILENAME, &tool.group, N_("The group of the path"), N_("GROUP") },
  G_OPTION_ENTRY_NULL,
};
static const GOptionEntry framing_entries[] = {
  { "framing", 'f', 0, CALLBACK (set_framing),
    N_("How messages stand apart: lines, null, length, raw or whole"), N_("HOW") },
  G_OPTION_ENTRY_NULL,
};
static const GOptionEntry common_entries[] = {
  { "timeout", 't', 0, CALLBACK (set_timeout), N_("Give up when nothing has happened for so long"),
    N_("SECONDS") },
  G_OPTION_ENTRY_NULL,
};

/* Tells what is wrong with the command line, and what to try. */
ToolStatus
tool_fail_usage (const char *format,
                 ...)
{
  g_autofree char *text = NULL;
  va_list arguments;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);

  tool_complain ("%s", text);
  g_printerr (_("Try “%s --help”."), g_get_prgname ());
  g_printerr ("\n");
  return TOOL_USAGE;
}

static void
add_entries (GOptionContext *context,
             ToolTakes       takes)
{
  static const struct
  {
    ToolTakes takes;
    const GOptionEntry *entries;
  } groups[] = {
    { TOOL_TAKES_TYPE, type_entries },     { TOOL_TAKES_DATAGRAM, datagram_entries },
    { TOOL_TAKES_NAME, name_entries },     { TOOL_TAKES_WAIT, wait_entries },
    { TOOL_TAKES_SERVER, server_entries }, { TOOL_TAKES_FRAMING, framing_entries },
  };

  for (guint i = 0; i < G_N_ELEMENTS (groups); i++)
    if ((takes & groups[i].takes) != 0)
      g_option_context_add_main_entries (context, groups[i].entries, GETTEXT_PACKAGE);
  g_option_context_add_main_entries (context, common_entries, GETTEXT_PACKAGE);
}

/* Leaves the arguments that are no options in argv, behind the name of the command. */
ToolStatus
tool_parse (ToolTakes            takes,
            const GOptionEntry  *entries,
            const char          *description,
            int                 *argc,
            char              ***argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (_(tool.command->arguments));
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, _(tool.command->summary));
  if (description != NULL)
    g_option_context_set_description (context, _(description));
  if (entries != NULL)
    g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  add_entries (context, takes);
  g_option_context_set_translation_domain (context, GETTEXT_PACKAGE);

  if (!g_option_context_parse (context, argc, argv, &error))
    return tool_fail_usage ("%s", error->message);
  if (tool.name != NULL && tool.is_activated)
    return tool_fail_usage (_("--name and --activated are two places"));
  if (tool.name != NULL && tool.type == G_SOCKET_TYPE_DATAGRAM)
    return tool_fail_usage (_("datagrams have no names of services"));

  return TOOL_DONE;
}

static void
drop_argument (int    *argc,
               char ***argv)
{
  (*argv)[1] = (*argv)[0];
  (*argv)++;
  (*argc)--;
}

/* GLib leaves the dashes that end the options where options might follow. */
static void
drop_dashes (int    *argc,
             char ***argv)
{
  if (*argc > 1 && strcmp ((*argv)[1], "--") == 0)
    drop_argument (argc, argv);
}

/* Takes the first argument, unless an option says the place already. What was not said of the type
 * and the framing follows from it. */
gboolean
tool_take_place (int         *argc,
                 char      ***argv,
                 const char **place)
{
  gboolean has_dashes = *argc > 1 && strcmp ((*argv)[1], "--") == 0;

  *place = NULL;
  drop_dashes (argc, argv);
  if (tool.name == NULL && !tool.is_activated)
    {
      if (*argc < 2 || (*argv)[1][0] == '\0')
        {
          tool_fail_usage (_("a PLACE is missing"));
          return FALSE;
        }
      *place = (*argv)[1];
      drop_argument (argc, argv);
      if (!has_dashes)
        drop_dashes (argc, argv);
    }

  if (tool.type == G_SOCKET_TYPE_INVALID)
    tool.type = tool_guess_type (*place);
  if (tool.framing == TOOL_FRAMING_DEFAULT)
    tool.framing = tool.type == G_SOCKET_TYPE_STREAM ? TOOL_FRAMING_RAW : TOOL_FRAMING_LINES;
  return TRUE;
}
