/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <string.h>

#include "tool.h"

static const char *name;
static UsockMessage *body;
static ToolInput *input;
static UsockPeer *peer;
static gboolean is_value;
static gboolean is_post;

static const GOptionEntry entries[] = {
  { "value", 'V', 0, G_OPTION_ARG_NONE, &is_value, N_("The BODY is a GVariant in text format"), NULL },
  { "post", 0, 0, G_OPTION_ARG_NONE, &is_post, N_("Do not ask for an answer"), NULL },
  G_OPTION_ENTRY_NULL,
};

static void
print_text (const char *text)
{
  tool_output_text (text);
  if (!g_str_has_suffix (text, "\n"))
    tool_output_text ("\n");
}

static void
print (UsockMessage *answer)
{
  gsize length;
  const guint8 *data = usock_message_get_data (answer, &length);
  g_autoptr (GVariant) value = NULL;
  g_autofree char *text = NULL;

  switch (usock_message_get_kind (answer))
    {
    case USOCK_BODY_KIND_TEXT:
      text = g_strndup ((const char *) data, length);
      print_text (text);
      break;
    case USOCK_BODY_KIND_VARIANT:
      value = g_variant_ref_sink (usock_message_get_variant (answer));
      text = g_variant_print (value, TRUE);
      print_text (text);
      break;
    case USOCK_BODY_KIND_BYTES:
      tool_output (data, length);
      break;
    case USOCK_BODY_KIND_NONE:
    default:
      break;
    }
}

static void
answered_cb (GObject      *object,
             GAsyncResult *result,
             gpointer      unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) answer = usock_peer_call_finish (USOCK_PEER (object), result, &error);

  if (answer == NULL)
    {
      tool_stop_with (error);
      return;
    }

  print (answer);
  tool_output_then_stop ();
}

static void
flushed_cb (GObject      *channel,
            GAsyncResult *result,
            gpointer      unused)
{
  g_autoptr (GError) error = NULL;

  if (usock_channel_close_gracefully_finish (USOCK_CHANNEL (channel), result, &error))
    tool_stop (TOOL_DONE);
  else
    tool_stop_with (error);
}

static void
ask (void)
{
  UsockChannel *channel = usock_peer_get_channel (peer);
  g_autoptr (GError) error = NULL;

  if (!is_post)
    usock_peer_call_async (peer, name, body, -1, NULL, answered_cb, NULL);
  else if (usock_peer_post (peer, name, body, &error))
    usock_channel_close_gracefully_async (channel, -1, NULL, flushed_cb, NULL);
  else
    tool_stop_with (error);
}

static void
input_cb (gpointer unused)
{
  body = tool_input_take (input);
  if (body != NULL)
    ask ();
  else
    tool_input_wait (input);
}

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

  peer = usock_peer_new (channel);
  if (input != NULL)
    tool_input_wait (input);
  else
    ask ();
}

static gboolean
make_body (const char *text)
{
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GError) error = NULL;

  if (text == NULL)
    return TRUE;
  if (is_value)
    {
      value = g_variant_parse (NULL, text, NULL, NULL, &error);
      if (value == NULL)
        {
          tool_fail_usage (_("“%s” is no value: %s"), text, error->message);
          return FALSE;
        }
      body = usock_message_new_from_variant (value);
    }
  else if (strcmp (text, "-") == 0)
    {
      input = tool_input_new (TOOL_FRAMING_WHOLE);
      tool_input_set_func (input, input_cb, NULL);
    }
  else if (g_utf8_validate (text, -1, NULL))
    body = usock_message_new_from_text (text);
  else
    body = usock_message_new ((const guint8 *) text, strlen (text));
  return TRUE;
}

ToolStatus
tool_call (int    argc,
           char **argv)
{
  ToolStatus status = tool_parse (TOOL_TAKES_TYPE | TOOL_TAKES_NAME | TOOL_TAKES_WAIT, entries,
                                  N_("The BODY “-” is standard input."), &argc, &argv);
  const char *place;

  if (status != TOOL_DONE)
    return status;
  if (!tool_take_place (&argc, &argv, &place))
    return TOOL_USAGE;
  if (argc < 2)
    return tool_fail_usage (_("the NAME of the call is missing"));
  if (argc > 3)
    return tool_fail_usage (_("“%s” is one argument too many"), argv[3]);

  name = argv[1];
  if (*name == '\0' || strlen (name) > 255 || !g_utf8_validate (name, -1, NULL))
    return tool_fail_usage (_("the NAME of a call is a text of 1 to 255 bytes"));
  if (!make_body (argc > 2 ? argv[2] : NULL))
    return TOOL_USAGE;

  tool_open (place, connected_cb, NULL);
  return tool_run ();
}
