/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "tool.h"

static void
connected_cb (UsockChannel *channel,
              const GError *error,
              gpointer      unused)
{
  if (channel != NULL)
    tool_pump (channel, tool_input_new (tool.framing), TOOL_PUMP_BOTH);
  else
    tool_stop_with (error);
}

ToolStatus
tool_connect (int    argc,
              char **argv)
{
  const ToolTakes takes = TOOL_TAKES_TYPE | TOOL_TAKES_DATAGRAM | TOOL_TAKES_NAME | TOOL_TAKES_WAIT
                          | TOOL_TAKES_FRAMING;
  ToolStatus status = tool_parse (takes, NULL, NULL, &argc, &argv);
  const char *place;

  if (status != TOOL_DONE)
    return status;
  if (!tool_take_place (&argc, &argv, &place))
    return TOOL_USAGE;
  if (argc > 1)
    return tool_fail_usage (_("“%s” is one argument too many"), argv[1]);

  tool.wants_answers = TRUE;
  tool_open (place, connected_cb, NULL);
  return tool_run ();
}
