/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "tool.h"

static char **numbers;
static ToolInput *input;

static const GOptionEntry entries[] = {
  { "reply", 'r', 0, G_OPTION_ARG_NONE, &tool.wants_answers,
    N_("Wait for an answer to each, and print it"), NULL },
  { "fd", 0, 0, G_OPTION_ARG_STRING_ARRAY, &numbers,
    N_("Pass an open descriptor with the first message"), N_("NUMBER") },
  G_OPTION_ENTRY_NULL,
};

static void
connected_cb (UsockChannel *channel,
              const GError *error,
              gpointer      unused)
{
  if (channel != NULL)
    tool_pump (channel, input, tool.wants_answers ? TOOL_PUMP_ASK : TOOL_PUMP_SEND);
  else
    tool_stop_with (error);
}

static gboolean
take_fds (void)
{
  gsize n_fds = numbers != NULL ? g_strv_length (numbers) : 0;
  g_autofree int *fds = g_new (int, n_fds);
  gint64 number;

  for (gsize i = 0; i < n_fds; i++)
    {
      if (!g_ascii_string_to_signed (numbers[i], 10, 0, G_MAXINT, &number, NULL))
        {
          tool_fail_usage (_("“%s” is no number of a descriptor"), numbers[i]);
          return FALSE;
        }
      fds[i] = number;
    }

  tool_input_set_fds (input, fds, n_fds);
  return TRUE;
}

ToolStatus
tool_send (int    argc,
           char **argv)
{
  const ToolTakes takes = TOOL_TAKES_TYPE | TOOL_TAKES_DATAGRAM | TOOL_TAKES_NAME | TOOL_TAKES_WAIT
                          | TOOL_TAKES_FRAMING;
  ToolStatus status = tool_parse (takes, entries,
                                  N_("Each TEXT is a message; without any, standard input is sent."),
                                  &argc, &argv);
  const char *place;

  if (status != TOOL_DONE)
    return status;
  if (!tool_take_place (&argc, &argv, &place))
    return TOOL_USAGE;

  input = argc > 1 ? tool_input_new_for_texts (argv + 1) : tool_input_new (tool.framing);
  if (!take_fds ())
    return TOOL_USAGE;

  tool_open (place, connected_cb, NULL);
  return tool_run ();
}
