/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "tool.h"

static void
connected_cb (UsockChannel *channel,
              const GError *error,
              gpointer      unused)
{
  if (channel == NULL)
    {
      tool_stop_with (error);
      return;
    }

  usock_socket_close (USOCK_SOCKET (channel));
  tool_stop (TOOL_DONE);
}

ToolStatus
tool_wait (int    argc,
           char **argv)
{
  ToolStatus status = tool_parse (TOOL_TAKES_TYPE | TOOL_TAKES_DATAGRAM | TOOL_TAKES_NAME, NULL,
                                  N_("It connects, which the server sees."), &argc, &argv);
  const char *place;

  if (status != TOOL_DONE)
    return status;
  if (!tool_take_place (&argc, &argv, &place))
    return TOOL_USAGE;
  if (argc > 1)
    return tool_fail_usage (_("“%s” is one argument too many"), argv[1]);

  tool.waits = TRUE;
  tool_open (place, connected_cb, NULL);
  return tool_run ();
}
