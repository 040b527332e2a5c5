/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A proxy that shows what passes. Each message is taken when the one before has left, so that neither
 * side is ever further ahead than the other reads. */

#include "config.h"

#include "tool.h"

#define MAX_FDS 253


static const char *target;
static ToolShow how;
static gboolean is_hex;
static gboolean is_json;
static int wanted;
static guint n_links;
static UsockSocket *source;

static const GOptionEntry entries[] = {
  { "count", 'c', 0, G_OPTION_ARG_INT, &wanted, N_("End after so many connections, or datagrams"),
    N_("NUMBER") },
  { "hex", 'x', 0, G_OPTION_ARG_NONE, &is_hex, N_("Show the bytes in hexadecimal"), NULL },
  { "json", 'j', 0, G_OPTION_ARG_NONE, &is_json, N_("Show one JSON object in each line"), NULL },
  G_OPTION_ENTRY_NULL,
};

typedef struct _Link Link;

/* One direction. */
typedef struct
{
  Link *link;
  const char *from;
  UsockChannel *in;
  UsockChannel *out;
} Lane;

/* A client, or the sender of datagrams, and our connection to the server for it. */
struct _Link
{
  guint number;
  char *sender; /* NULL for a connection, and for who has no name */
  Lane lanes[2];
  guint n_open;
};

static void
link_finish (Link *self)
{
  tool_show_event (how, self->number, NULL, "close", NULL, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (self->lanes); i++)
    g_clear_object (&self->lanes[i].in);
  g_free (self->sender);
  g_free (self);

  if (wanted > 0 && --wanted == 0)
    tool_output_then_stop ();
}

/* It is sent as our own: nobody may say that he is somebody else. */
UsockMessage *
tool_copy_message (UsockMessage *message)
{
  UsockMessage *copied = usock_message_new_from_bytes (usock_message_get_bytes (message));
  gsize n_fds;
  g_autofree int *fds = usock_message_take_fds (message, &n_fds);

  for (gsize i = 0; i < n_fds; i++)
    usock_message_append_fd_owned (copied, fds[i], NULL);
  return copied;
}

static void lane_receive (gpointer lane,
                          gpointer unused);

static void
sent_cb (GObject      *channel,
         GAsyncResult *result,
         gpointer      lane)
{
  /* Why it failed the channel tells. */
  if (usock_channel_send_message_finish (USOCK_CHANNEL (channel), result, NULL))
    lane_receive (lane, NULL);
}

static void
lane_pass_on (gpointer lane,
              gpointer message)
{
  Lane *self = lane;
  g_autoptr (UsockMessage) copied = tool_copy_message (message);

  usock_channel_send_message_async (self->out, copied, NULL, sent_cb, self);
  usock_message_unref (message);
}

static void
received_cb (GObject      *channel,
             GAsyncResult *result,
             gpointer      lane)
{
  Lane *self = lane;
  g_autoptr (GError) error = NULL;
  UsockMessage *message = usock_channel_receive_finish (USOCK_CHANNEL (channel), result, &error);

  tool_touch ();
  if (message != NULL)
    {
      tool_show_message (how, self->link->number, self->from, message);
      tool_output_then (lane_pass_on, self, message);
    }
  else if (error == NULL)
    {
      tool_show_event (how, self->link->number, self->from, "end", NULL, NULL);
      usock_channel_end (self->out);
    }
}

static void
lane_receive (gpointer lane,
              gpointer unused)
{
  Lane *self = lane;

  usock_channel_receive_async (self->in, NULL, received_cb, self);
}

static void
failed_cb (UsockChannel *channel,
           const GError *error,
           gpointer      lane)
{
  Lane *self = lane;

  tool_show_event (how, self->link->number, self->from, "error", NULL, error);
}

/* One side is gone; the other gets what was passed on to it, and is let go too. */
static void
closed_cb (UsockChannel *channel,
           gpointer      lane)
{
  Lane *self = lane;
  Link *link = self->link;

  if (usock_socket_get_had_error (USOCK_SOCKET (channel)))
    usock_socket_close (USOCK_SOCKET (self->out));
  else if (usock_socket_get_state (USOCK_SOCKET (self->out)) != USOCK_STATE_CLOSED)
    usock_channel_close_gracefully_async (self->out, 1000, NULL, NULL, NULL);
  if (--link->n_open == 0)
    link_finish (link);
}

static void
link_add_lane (Link         *self,
               const char   *from,
               UsockChannel *in,
               UsockChannel *out)
{
  Lane *lane = &self->lanes[self->n_open++];

  *lane = (Lane) { self, from, g_object_ref (in), out };
  g_signal_connect (in, "error", G_CALLBACK (failed_cb), lane);
  g_signal_connect (in, "close", G_CALLBACK (closed_cb), lane);
}

static void
connected_cb (UsockChannel *server,
              const GError *error,
              gpointer      data)
{
  UsockChannel *client = data;
  Link *link = g_object_get_data (G_OBJECT (client), "link");

  if (server == NULL)
    {
      tool_show_event (how, link->number, "server", "error", NULL, error);
      usock_socket_close (USOCK_SOCKET (client));
      link_finish (link);
    }
  else
    {
      link_add_lane (link, "client", client, server);
      link_add_lane (link, "server", server, client);
      lane_receive (&link->lanes[0], NULL);
      lane_receive (&link->lanes[1], NULL);
    }
  g_object_unref (client);
}

static void
connection_cb (UsockServer  *server,
               UsockChannel *client,
               gpointer      unused)
{
  g_autoptr (GCredentials) credentials
      = usock_socket_get_peer_credentials (USOCK_SOCKET (client), NULL);
  Link *link = g_new0 (Link, 1);

  tool_touch ();
  link->number = ++n_links;
  g_object_set_data (G_OBJECT (client), "link", link);
  tool_show_event (how, link->number, "client", "connect", credentials, NULL);
  if (wanted > 0 && n_links == (guint) wanted)
    usock_socket_close (USOCK_SOCKET (server));
  tool_open (target, connected_cb, g_object_ref (client));
}

ToolStatus
tool_monitor (int    argc,
              char **argv)
{
  ToolStatus status = tool_parse (TOOL_TAKES_TYPE | TOOL_TAKES_DATAGRAM | TOOL_TAKES_WAIT
                                      | TOOL_TAKES_SERVER,
                                  entries, N_("Clients come to PLACE, and are connected to SERVER."), &argc,
                                  &argv);
  g_autoptr (GError) error = NULL;
  const char *place;

  if (status != TOOL_DONE)
    return status;
  if (wanted < 0)
    return tool_fail_usage (_("a number is out of range"));
  if (!tool_take_place (&argc, &argv, &place))
    return TOOL_USAGE;
  if (argc != 2)
    return tool_fail_usage (_("the SERVER is missing"));

  target = argv[1];
  how = is_json ? TOOL_SHOW_JSON : is_hex ? TOOL_SHOW_HEX : TOOL_SHOW_TEXT;
  tool.max_fds = MAX_FDS;
  tool.pass_credentials = TRUE;
  if (tool.type == G_SOCKET_TYPE_DATAGRAM)
    return tool_monitor_datagrams (place, target, how, wanted);

  source = (UsockSocket *) tool_listen_at (place, &error);
  if (source == NULL)
    return tool_report (error);

  tool_watch (source);
  g_signal_connect (source, "connection", G_CALLBACK (connection_cb), NULL);
  return tool_run ();
}
