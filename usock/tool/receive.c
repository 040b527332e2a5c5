/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints what everybody says: messages as they come, each connection in turn where output is slow. */

#include "config.h"

#include "tool.h"

static int wanted;
static gboolean is_shown;
static gboolean is_hex;
static gboolean is_json;
static gboolean wants_contents;
static UsockSocket *source;

static const GOptionEntry entries[] = {
  { "count", 'c', 0, G_OPTION_ARG_INT, &wanted, N_("End after so many messages; streams: connections"),
    N_("NUMBER") },
  { "fds", 'F', 0, G_OPTION_ARG_INT, &tool.max_fds, N_("Let in so many descriptors with a message"),
    N_("NUMBER") },
  { "contents", 'C', 0, G_OPTION_ARG_NONE, &wants_contents,
    N_("Print what the descriptors are open on, instead of the messages"), NULL },
  { "verbose", 'v', 0, G_OPTION_ARG_NONE, &is_shown, N_("Show who sent what, and what came along"),
    NULL },
  { "hex", 'x', 0, G_OPTION_ARG_NONE, &is_hex, N_("The same, with the bytes in hexadecimal"), NULL },
  { "json", 'j', 0, G_OPTION_ARG_NONE, &is_json, N_("The same, as one JSON object in each line"), NULL },
  G_OPTION_ENTRY_NULL,
};

static void go_on (gpointer channel,
                   gpointer unused);

static void
print (UsockMessage *message)
{
  if (is_json)
    tool_show_message (TOOL_SHOW_JSON, 0, NULL, message);
  else if (is_hex || is_shown)
    tool_show_message (is_hex ? TOOL_SHOW_HEX : TOOL_SHOW_TEXT, 0, NULL, message);
  else
    tool_output_frame (message);
}

/* Returns whether there is more to come. */
static gboolean
count (void)
{
  if (wanted == 0 || --wanted > 0)
    return TRUE;

  tool_output_then_stop ();
  return FALSE;
}

static void
received_cb (GObject      *channel,
             GAsyncResult *result,
             gpointer      unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) message
      = usock_channel_receive_finish (USOCK_CHANNEL (channel), result, &error);
  gboolean is_stream = USOCK_IS_STREAM (channel);

  tool_touch ();
  if (error != NULL)
    tool_complain ("%s", error->message);
  if (message == NULL)
    {
      usock_socket_close (USOCK_SOCKET (channel));
      if (is_stream)
        count ();
      return;
    }

  if (wants_contents)
    tool_output_contents (message, go_on, channel);
  else
    {
      print (message);
      tool_output_then (go_on, channel, NULL);
    }
}

static void
receive (UsockChannel *channel)
{
  usock_channel_receive_async (channel, NULL, received_cb, NULL);
}

static void
go_on (gpointer channel,
       gpointer unused)
{
  if (USOCK_IS_STREAM (channel) || count ())
    receive (channel);
}

static void
connection_cb (UsockServer  *server,
               UsockChannel *channel,
               gpointer      unused)
{
  tool_touch ();
  receive (channel);
}

static ToolStatus
begin (const char *place)
{
  g_autoptr (GError) error = NULL;

  if (tool.type == G_SOCKET_TYPE_DATAGRAM)
    source = (UsockSocket *) tool_bind_at (place, &error);
  else
    source = (UsockSocket *) tool_listen_at (place, &error);
  if (source == NULL)
    return tool_report (error);

  tool_watch (source);
  if (tool.type == G_SOCKET_TYPE_DATAGRAM)
    receive (USOCK_CHANNEL (source));
  else
    g_signal_connect (source, "connection", G_CALLBACK (connection_cb), NULL);
  return tool_run ();
}

ToolStatus
tool_receive (int    argc,
              char **argv)
{
  const ToolTakes takes = TOOL_TAKES_TYPE | TOOL_TAKES_DATAGRAM | TOOL_TAKES_NAME
                          | TOOL_TAKES_SERVER | TOOL_TAKES_FRAMING;
  ToolStatus status = tool_parse (takes, entries, NULL, &argc, &argv);
  const char *place;

  if (status != TOOL_DONE)
    return status;
  if (wanted < 0 || tool.max_fds < 0 || tool.max_fds > 253)
    return tool_fail_usage (_("a number is out of range"));
  if (!tool_take_place (&argc, &argv, &place))
    return TOOL_USAGE;
  if (argc > 1)
    return tool_fail_usage (_("“%s” is one argument too many"), argv[1]);

  tool.pass_credentials = is_shown || is_hex || is_json;
  return begin (place);
}
