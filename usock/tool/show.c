/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is seen of a message: a line for people, or an object of JSON in a line for programs. Nothing
 * that a peer sends reaches the terminal as it is. */

#include "config.h"

#include <string.h>
#include <unistd.h>

#include "tool.h"

#define HEX_COLUMNS 16

static const char *const fd_kinds[] = {
  [USOCK_FD_KIND_OTHER] = "other",   [USOCK_FD_KIND_FILE] = "file",
  [USOCK_FD_KIND_DIRECTORY] = "directory", [USOCK_FD_KIND_SOCKET] = "socket",
  [USOCK_FD_KIND_PIPE] = "pipe",     [USOCK_FD_KIND_DEVICE] = "device",
  [USOCK_FD_KIND_MEMFD] = "memfd",   [USOCK_FD_KIND_PIDFD] = "pidfd",
};

/* With the escapes of JSON, and with \xHH for what they cannot say, which JSON is never given. */
static void
append_quoted (GString      *line,
               const guint8 *data,
               gsize         length)
{
  static const char escapes[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                  ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };
  const char *p = (const char *) data, *end = p + length;

  g_string_append_c (line, '"');
  while (p < end)
    {
      gunichar c = g_utf8_get_char_validated (p, end - p);
      guchar byte = *p;

      if (byte < sizeof escapes && escapes[byte] != 0)
        g_string_append_printf (line, "\\%c", escapes[byte]);
      else if (c == (gunichar) -1 || c == (gunichar) -2)
        g_string_append_printf (line, "\\x%02x", byte);
      else if (!g_unichar_isprint (c) && c < 0x10000)
        g_string_append_printf (line, "\\u%04x", c);
      else
        g_string_append_unichar (line, c);
      p += c == (gunichar) -1 || c == (gunichar) -2 ? 1 : g_utf8_next_char (p) - p;
    }
  g_string_append_c (line, '"');
}

static void
append_text (GString    *line,
             const char *text)
{
  append_quoted (line, (const guint8 *) text, strlen (text));
}

static void
append_key (GString    *line,
            const char *key)
{
  g_string_append_printf (line, "%s\"%s\":", line->str[line->len - 1] == '{' ? "" : ",", key);
}

static void
append_number (GString    *line,
               const char *key,
               gint64      number)
{
  append_key (line, key);
  g_string_append_printf (line, "%" G_GINT64_FORMAT, number);
}

static void
append_member (GString    *line,
               const char *key,
               const char *text)
{
  if (text == NULL)
    return;

  append_key (line, key);
  append_text (line, text);
}

static void
append_credentials (GString      *line,
                    GCredentials *credentials)
{
  if (credentials == NULL)
    return;

  append_key (line, "credentials");
  g_string_append_c (line, '{');
  append_number (line, "pid", g_credentials_get_unix_pid (credentials, NULL));
  append_number (line, "uid", g_credentials_get_unix_user (credentials, NULL));
  g_string_append_c (line, '}');
}

/* What is text, without a NUL, comes as text; all else as base64. */
static void
append_body (GString      *line,
             UsockMessage *message)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);
  g_autofree char *encoded = NULL;

  append_number (line, "length", length);
  if (g_utf8_validate ((const char *) data, length, NULL))
    {
      append_key (line, "text");
      append_quoted (line, data, length);
      return;
    }

  encoded = g_base64_encode (data, length);
  append_member (line, "base64", encoded);
}

static void
append_fds (GString      *line,
            UsockMessage *message)
{
  guint n_fds = usock_message_get_n_fds (message);

  if (n_fds == 0)
    return;

  append_key (line, "descriptors");
  for (guint i = 0; i < n_fds; i++)
    g_string_append_printf (line, "%c\"%s\"", i == 0 ? '[' : ',',
                            fd_kinds[usock_message_get_fd_kind (message, i)]);
  g_string_append_c (line, ']');
}

static GString *
json_new (guint       connection,
          const char *from,
          const char *event)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *time = g_date_time_format (now, "%Y-%m-%dT%H:%M:%S");
  GString *line = g_string_new ("{");

  append_key (line, "time");
  g_string_append_printf (line, "\"%s.%06dZ\"", time, g_date_time_get_microsecond (now));
  if (connection != 0)
    append_number (line, "connection", connection);
  append_member (line, "from", from);
  append_member (line, "event", event);
  return line;
}

static void
json_finish (GString *line)
{
  g_string_append (line, "}\n");
  tool_output (line->str, line->len);
  g_string_free (line, TRUE);
}

static const char *
paint (const char *colour)
{
  return tool_has_colour (STDOUT_FILENO) ? colour : "";
}

static GString *
line_new (guint       connection,
          const char *from)
{
  GString *line = g_string_new (NULL);
  gboolean is_server = g_strcmp0 (from, "server") == 0;

  if (connection != 0)
    g_string_append_printf (line, "#%u ", connection);
  if (from != NULL)
    g_string_append_printf (line, "%s%s%s ", paint (is_server ? "\033[34m" : "\033[32m"), from,
                            paint ("\033[0m"));
  return line;
}

static void
line_append_credentials (GString      *line,
                         GCredentials *credentials)
{
  if (credentials != NULL)
    g_string_append_printf (line, _(" (pid %d, uid %u)"),
                            (int) g_credentials_get_unix_pid (credentials, NULL),
                            (guint) g_credentials_get_unix_user (credentials, NULL));
}

static void
line_append_fds (GString      *line,
                 UsockMessage *message)
{
  guint n_fds = usock_message_get_n_fds (message);

  for (guint i = 0; i < n_fds; i++)
    g_string_append_printf (line, "%s%s%s%s", i == 0 ? " [" : ", ", paint ("\033[33m"),
                            fd_kinds[usock_message_get_fd_kind (message, i)], paint ("\033[0m"));
  if (n_fds > 0)
    g_string_append_c (line, ']');
}

static void
line_finish (GString *line)
{
  g_string_append_c (line, '\n');
  tool_output (line->str, line->len);
  g_string_free (line, TRUE);
}

static void
append_hex (GString      *line,
            const guint8 *data,
            gsize         length)
{
  for (gsize i = 0; i < length; i += HEX_COLUMNS)
    {
      gsize n = MIN (length - i, HEX_COLUMNS);

      g_string_append_printf (line, "\n  %06zx ", i);
      for (gsize k = 0; k < HEX_COLUMNS; k++)
        g_string_append_printf (line, k < n ? " %02x" : "   ", k < n ? data[i + k] : 0);
      g_string_append (line, "  ");
      for (gsize k = 0; k < n; k++)
        g_string_append_c (line, g_ascii_isprint (data[i + k]) ? data[i + k] : '.');
    }
}

static void
show_as_json (guint         connection,
              const char   *from,
              UsockMessage *message)
{
  GString *line = json_new (connection, from, "message");

  append_member (line, "sender", usock_message_get_sender (message));
  append_body (line, message);
  append_fds (line, message);
  append_credentials (line, usock_message_get_credentials (message));
  json_finish (line);
}

void
tool_show_message (ToolShow      how,
                   guint         connection,
                   const char   *from,
                   UsockMessage *message)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);
  GString *line;

  if (how == TOOL_SHOW_JSON)
    {
      show_as_json (connection, from, message);
      return;
    }

  line = line_new (connection, from != NULL ? from : usock_message_get_sender (message));
  g_string_append_printf (line, ngettext ("%zu byte", "%zu bytes", length), length);
  line_append_fds (line, message);
  line_append_credentials (line, usock_message_get_credentials (message));
  if (how == TOOL_SHOW_HEX)
    append_hex (line, data, length);
  else
    {
      g_string_append (line, ": ");
      append_quoted (line, data, length);
    }
  line_finish (line);
}

static const char *
event_text (const char *event)
{
  if (strcmp (event, "connect") == 0)
    return _("is connected");
  if (strcmp (event, "end") == 0)
    return _("has ended");
  if (strcmp (event, "error") == 0)
    return _("has failed");

  return _("is closed");
}

/* The event is one of connect, end, error and close. */
void
tool_show_event (ToolShow      how,
                 guint         connection,
                 const char   *from,
                 const char   *event,
                 GCredentials *credentials,
                 const GError *error)
{
  GString *line;

  if (how == TOOL_SHOW_JSON)
    {
      line = json_new (connection, from, event);
      append_credentials (line, credentials);
      append_member (line, "error", error != NULL ? error->message : NULL);
      json_finish (line);
      return;
    }

  line = line_new (connection, from);
  g_string_append (line, event_text (event));
  line_append_credentials (line, credentials);
  if (error != NULL)
    g_string_append_printf (line, ": %s", error->message);
  line_finish (line);
}
