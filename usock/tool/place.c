/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* From a PLACE of the command line to a socket there.
 *
 * A path is taken as it is, for the shell gives real paths; @names have the escapes of usock. What has
 * no slash and ends with a port is HOST:PORT. */

#include "config.h"

#include <string.h>

#include "tool.h"

#define RETRY_MS 100

/* One attempt after the other to connect. */
typedef struct
{
  const char *place;
  UsockChannel *channel;
  ToolConnectedFunc func;
  gpointer user_data;
} Opening;

static gboolean
is_host (const char *text,
         gsize       length)
{
  if (length > 2 && text[0] == '[' && text[length - 1] == ']')
    return TRUE;
  for (gsize i = 0; i < length; i++)
    if (strchr (":@\\[]", text[i]) != NULL || g_ascii_isspace (text[i]))
      return FALSE;

  return TRUE;
}

static gboolean
split_host (const char  *place,
            char       **host,
            guint       *port)
{
  const char *colon = place != NULL ? strrchr (place, ':') : NULL;
  guint64 number;

  if (colon == NULL || strchr (place, '/') != NULL || !is_host (place, colon - place)
      || !g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT16, &number, NULL))
    return FALSE;

  *port = number;
  *host = *place == '[' ? g_strndup (place + 1, colon - place - 2) : g_strndup (place, colon - place);
  return TRUE;
}

GSocketType
tool_guess_type (const char *place)
{
  g_autofree char *host = NULL;
  guint port;

  return split_host (place, &host, &port) ? G_SOCKET_TYPE_STREAM : G_SOCKET_TYPE_SEQPACKET;
}

static UsockChannel *
new_channel (void)
{
  UsockChannel *channel;

  if (tool.type == G_SOCKET_TYPE_DATAGRAM)
    channel = USOCK_CHANNEL (usock_dgram_new ());
  else if (tool.type == G_SOCKET_TYPE_STREAM)
    channel = USOCK_CHANNEL (usock_stream_new ());
  else
    channel = USOCK_CHANNEL (usock_seqpacket_new ());

  /* How long is too long says --timeout. */
  g_object_set (channel, "send-timeout", 0, "connect-timeout", 0, "max-fds", tool.max_fds,
                "pass-credentials", tool.pass_credentials, NULL);
  if (tool.type != G_SOCKET_TYPE_DATAGRAM)
    usock_channel_set_allow_half_open (channel, TRUE);
  return channel;
}

static void
opening_free (Opening *self)
{
  g_clear_object (&self->channel);
  g_free (self);
}

static void
opening_succeed (Opening *self)
{
  tool_touch ();
  self->func (self->channel, NULL, self->user_data);
  opening_free (self);
}

static gboolean opening_try (gpointer data);

/* Where the directory of names is missing, waiting does not bring it about. */
static gboolean
is_to_be_waited_for (const GError *error)
{
  return tool.waits
         && (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)
             || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
         && (tool.name == NULL || g_getenv ("XDG_RUNTIME_DIR") != NULL);
}

static void
opening_fail (Opening      *self,
              const GError *error)
{
  g_clear_object (&self->channel);
  if (is_to_be_waited_for (error))
    {
      g_timeout_add (RETRY_MS, opening_try, self);
      return;
    }

  self->func (NULL, error, self->user_data);
  opening_free (self);
}

static void
connected_cb (GObject      *channel,
              GAsyncResult *result,
              gpointer      data)
{
  g_autoptr (GError) error = NULL;

  if (usock_channel_connect_finish (USOCK_CHANNEL (channel), result, &error))
    opening_succeed (data);
  else
    opening_fail (data, error);
}

static void
connected_to_host_cb (GObject      *channel,
                      GAsyncResult *result,
                      gpointer      data)
{
  g_autoptr (GError) error = NULL;

  if (usock_stream_connect_to_host_finish (USOCK_STREAM (channel), result, &error))
    opening_succeed (data);
  else
    opening_fail (data, error);
}

static void
address_found_cb (GObject      *enumerator,
                  GAsyncResult *result,
                  gpointer      data)
{
  Opening *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) address
      = g_socket_address_enumerator_next_finish (G_SOCKET_ADDRESS_ENUMERATOR (enumerator), result,
                                                 &error);

  if (address != NULL && usock_channel_connect_to_address (self->channel, address, &error))
    {
      opening_succeed (self);
      return;
    }

  if (error == NULL)
    g_set_error (&error, G_IO_ERROR, G_IO_ERROR_HOST_NOT_FOUND, _("“%s” has no address"),
                 self->place);
  opening_fail (self, error);
}

static void
opening_find_host (Opening    *self,
                   const char *host,
                   guint       port)
{
  g_autoptr (GSocketConnectable) connectable = g_network_address_new (host, port);
  g_autoptr (GSocketAddressEnumerator) enumerator = g_socket_connectable_enumerate (connectable);

  if (tool.type == G_SOCKET_TYPE_DATAGRAM)
    g_socket_address_enumerator_next_async (enumerator, NULL, address_found_cb, self);
  else
    usock_stream_connect_to_host_async (USOCK_STREAM (self->channel), host, port,
                                        G_SOCKET_FAMILY_INVALID, NULL, connected_to_host_cb, self);
}

static gboolean
opening_connect_at_once (Opening  *self,
                         GError  **error)
{
  if (tool.name != NULL)
    return usock_channel_connect_to_name (self->channel, tool.name, error);
  if (tool.wants_answers && tool.type == G_SOCKET_TYPE_DATAGRAM
      && !usock_dgram_autobind (USOCK_DGRAM (self->channel), error))
    return FALSE;

  return usock_channel_connect_to_path (self->channel, self->place, error);
}

static gboolean
opening_try (gpointer data)
{
  Opening *self = data;
  g_autofree char *host = NULL;
  g_autoptr (GError) error = NULL;
  guint port;

  self->channel = new_channel ();
  if (tool.name == NULL && split_host (self->place, &host, &port))
    opening_find_host (self, host, port);
  else if (tool.name == NULL && tool.waits && tool.type != G_SOCKET_TYPE_DATAGRAM)
    usock_channel_connect_when_available_async (self->channel, self->place, -1, NULL, connected_cb,
                                                self);
  else if (opening_connect_at_once (self, &error))
    opening_succeed (self);
  else
    opening_fail (self, error);

  return G_SOURCE_REMOVE;
}

/* Calls func when a channel is connected there, or why none is. The channel is the caller's for as
 * long as it is open, which keeps it. */
void
tool_open (const char        *place,
           ToolConnectedFunc  func,
           gpointer           user_data)
{
  Opening *self = g_new0 (Opening, 1);

  self->place = place;
  self->func = func;
  self->user_data = user_data;
  opening_try (self);
}

static gboolean
listen_there (UsockServer  *server,
              const char   *place,
              GError      **error)
{
  g_autofree char *host = NULL;
  guint port;

  if (tool.is_activated)
    return usock_server_listen_activated (server, tool.activated, error);
  if (tool.name != NULL)
    return usock_server_listen_on_name (server, tool.name, 0, error);
  if (split_host (place, &host, &port))
    return usock_server_listen_on_host (server, *host != '\0' ? host : NULL, port, 0, error);

  return usock_server_listen_on_path (server, place, 0, error);
}

/* A server that the caller frees. While it is open it keeps itself. */
UsockServer *
tool_listen_at (const char  *place,
                GError     **error)
{
  g_autoptr (UsockServer) server = usock_server_new (tool.type);

  g_object_set (server, "allow-half-open", TRUE, "send-timeout", 0, "max-fds", tool.max_fds,
                "pass-credentials", tool.pass_credentials, "group", tool.group, NULL);
  if (tool.mode >= 0)
    usock_server_set_mode (server, tool.mode);
  if (tool.name != NULL)
    usock_server_set_allowed_users (server, USOCK_ALLOWED_USERS_SAME_USER);
  if (!listen_there (server, place, error))
    return NULL;

  return g_steal_pointer (&server);
}

static gboolean
bind_to_host (UsockDgram  *socket,
              const char  *host,
              guint        port,
              GError     **error)
{
  g_autoptr (GSocketConnectable) connectable = NULL;
  g_autoptr (GSocketAddressEnumerator) enumerator = NULL;
  g_autoptr (GSocketAddress) address = NULL;

  connectable = g_network_address_new (*host != '\0' ? host : "::", port);
  enumerator = g_socket_connectable_enumerate (connectable);
  address = g_socket_address_enumerator_next (enumerator, NULL, error);
  return address != NULL && usock_dgram_bind_to_address (socket, address, error);
}

UsockDgram *
tool_bind_at (const char  *place,
              GError     **error)
{
  g_autoptr (UsockDgram) socket = NULL;
  g_autofree char *host = NULL;
  guint port;
  gboolean is_bound;

  if (tool.is_activated)
    {
      socket = usock_dgram_new_activated (tool.activated, error);
      if (socket != NULL)
        g_object_set (socket, "max-fds", tool.max_fds, "pass-credentials", tool.pass_credentials, NULL);
      return g_steal_pointer (&socket);
    }

  socket = USOCK_DGRAM (new_channel ());
  if (tool.mode >= 0)
    usock_dgram_set_mode (socket, tool.mode);
  is_bound = split_host (place, &host, &port) ? bind_to_host (socket, host, port, error)
                                              : usock_dgram_bind_to_path (socket, place, error);
  return is_bound ? g_steal_pointer (&socket) : NULL;
}
