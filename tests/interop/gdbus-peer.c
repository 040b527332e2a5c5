/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* GDBus from peer to peer, over connections that usock gave away.
 *
 * gdbus-peer serve PATH: until it is killed, answers
 *   Upper (s) with the text in capitals
 *   Count (h) with a descriptor of its own, whose number is one more
 * gdbus-peer call PATH N_CLIENTS N_CALLS [plain]: so many clients call Upper with much text, and
 *   Count so often, some calls at once, and each checks its answers. They are usock's, or plainly
 *   GIO's.
 *
 * A descriptor with a number is an eventfd, from which it is read. */

#include <gio/gunixfdlist.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <usock/usock.h>

#define AT_ONCE 16
#define MUCH 3000000

static const char xml[]
    = "<node><interface name='test.Peer'>"
      "<method name='Upper'><arg type='s' direction='in'/><arg type='s' direction='out'/></method>"
      "<method name='Count'><arg type='h' direction='in'/><arg type='h' direction='out'/></method>"
      "</interface></node>";

typedef struct
{
  GDBusConnection *connection;
  guint n_left;
  guint n_running;
  guint64 number;
} Client;

typedef struct
{
  Client *client;
  guint64 number;
} Call;

static guint n_clients_left;

static GUnixFDList *
list_new (guint64 number)
{
  int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  if (fd == -1 || write (fd, &number, sizeof number) != sizeof number)
    g_error ("no eventfd");
  return g_unix_fd_list_new_from_array (&fd, 1);
}

/* 0 for anything but one descriptor with a number. */
static guint64
list_get (GUnixFDList *list)
{
  guint64 number = 0;
  int fd = -1;

  if (list != NULL && g_unix_fd_list_get_length (list) == 1)
    fd = g_unix_fd_list_get (list, 0, NULL);
  if (fd != -1 && read (fd, &number, sizeof number) != sizeof number)
    number = 0;
  if (fd != -1)
    close (fd);
  return number;
}

/* The server. */

static void
method_call_cb (GDBusConnection       *connection,
                const char            *sender,
                const char            *path,
                const char            *interface,
                const char            *method,
                GVariant              *arguments,
                GDBusMethodInvocation *invocation,
                gpointer               user_data)
{
  GDBusMessage *message = g_dbus_method_invocation_get_message (invocation);
  g_autoptr (GUnixFDList) answer = NULL;
  g_autofree char *upper = NULL;
  const char *text;

  if (g_str_equal (method, "Upper"))
    {
      g_variant_get (arguments, "(&s)", &text);
      upper = g_ascii_strup (text, -1);
      g_dbus_method_invocation_return_value (invocation, g_variant_new ("(s)", upper));
      return;
    }

  answer = list_new (list_get (g_dbus_message_get_unix_fd_list (message)) + 1);
  g_dbus_method_invocation_return_value_with_unix_fd_list (invocation, g_variant_new ("(h)", 0),
                                                           answer);
}

static const GDBusInterfaceVTable vtable = { .method_call = method_call_cb };

static void
authenticated_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      node)
{
  GError *error = NULL;
  /* Kept until the peer is gone. */
  GDBusConnection *connection = g_dbus_connection_new_finish (result, &error);

  if (connection == NULL)
    {
      g_printerr ("%s\n", error->message);
      g_error_free (error);
      return;
    }

  g_dbus_connection_register_object (connection, "/peer", ((GDBusNodeInfo *) node)->interfaces[0],
                                     &vtable, NULL, NULL, NULL);
  g_signal_connect (connection, "closed", G_CALLBACK (g_object_unref), NULL);
  g_dbus_connection_start_message_processing (connection);
}

static void
connection_cb (UsockServer   *server,
               UsockChannel  *channel,
               GDBusNodeInfo *node)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *guid = g_dbus_generate_guid ();
  g_autoptr (GSocketConnection) connection
      = usock_stream_steal_connection (USOCK_STREAM (channel), NULL, &error);

  if (connection == NULL)
    g_error ("%s", error->message);
  g_dbus_connection_new (G_IO_STREAM (connection), guid,
                         G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER
                             | G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING,
                         NULL, NULL, authenticated_cb, node);
}

static void
serve (const char *path)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (GError) error = NULL;

  g_signal_connect (server, "connection", G_CALLBACK (connection_cb),
                    g_dbus_node_info_new_for_xml (xml, NULL));
  if (!usock_server_listen_on_path (server, path, 0, &error))
    g_error ("%s", error->message);
  usock_run_until_closed (NULL);
}

/* The clients. */

static void client_call (Client *self);

static void
called_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Call *call = data;
  Client *client = call->client;
  g_autoptr (GUnixFDList) answer = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = g_dbus_connection_call_with_unix_fd_list_finish (
      G_DBUS_CONNECTION (source), &answer, result, &error);

  if (value == NULL)
    g_error ("call %" G_GUINT64_FORMAT ": %s", call->number, error->message);
  if (list_get (answer) != call->number + 1)
    g_error ("call %" G_GUINT64_FORMAT " has another's answer", call->number);

  g_free (call);
  client->n_running--;
  if (client->n_left > 0)
    client_call (client);
  else if (client->n_running == 0)
    n_clients_left--;
}

static void
client_call (Client *self)
{
  Call *call = g_new (Call, 1);
  g_autoptr (GUnixFDList) list = NULL;

  *call = (Call) { self, ++self->number };
  list = list_new (call->number);
  self->n_left--;
  self->n_running++;
  g_dbus_connection_call_with_unix_fd_list (self->connection, NULL, "/peer", "test.Peer", "Count",
                                            g_variant_new ("(h)", 0), NULL, 0, G_MAXINT, list, NULL,
                                            called_cb, call);
}

static void
client_call_with_much (Client *self)
{
  g_autofree char *lower = g_strnfill (MUCH, 'x');
  g_autofree char *upper = g_strnfill (MUCH, 'X');
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = g_dbus_connection_call_sync (
      self->connection, NULL, "/peer", "test.Peer", "Upper", g_variant_new ("(s)", lower), NULL, 0,
      G_MAXINT, NULL, &error);
  const char *answer;

  if (value == NULL)
    g_error ("much text: %s", error->message);
  g_variant_get (value, "(&s)", &answer);
  if (!g_str_equal (answer, upper))
    g_error ("much text is not what it was");
}

static void
client_ready_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      data)
{
  Client *client = data;
  g_autoptr (GError) error = NULL;

  client->connection = g_dbus_connection_new_finish (result, &error);
  if (client->connection == NULL)
    g_error ("authenticating: %s", error->message);
  if (!(g_dbus_connection_get_capabilities (client->connection)
        & G_DBUS_CAPABILITY_FLAGS_UNIX_FD_PASSING))
    g_error ("no descriptors are passed");
  client_call_with_much (client);
  for (guint i = 0; i < AT_ONCE && client->n_left > 0; i++)
    client_call (client);
}

static void
connected_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      client)
{
  g_autoptr (UsockStream) stream = USOCK_STREAM (source);
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketConnection) connection = NULL;

  if (usock_channel_connect_finish (USOCK_CHANNEL (stream), result, &error))
    connection = usock_stream_steal_connection (stream, NULL, &error);
  if (connection == NULL)
    g_error ("connecting: %s", error->message);
  g_dbus_connection_new (G_IO_STREAM (connection), NULL,
                         G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL,
                         client_ready_cb, client);
}

static void
client_start (Client     *self,
              const char *path,
              gboolean    plain)
{
  const GDBusConnectionFlags flags = G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT;
  g_autofree char *address = g_strconcat ("unix:path=", path, NULL);

  if (plain)
    g_dbus_connection_new_for_address (address, flags, NULL, NULL, client_ready_cb, self);
  else
    usock_channel_connect_to_path_async (USOCK_CHANNEL (usock_stream_new ()), path, NULL,
                                         connected_cb, self);
}

static void
call_often (const char *path,
            guint       n_clients,
            guint       n_calls,
            gboolean    plain)
{
  g_autofree Client *clients = g_new0 (Client, n_clients);

  n_clients_left = n_clients;
  for (guint i = 0; i < n_clients; i++)
    {
      clients[i].n_left = n_calls;
      clients[i].number = i * (guint64) n_calls;
      client_start (&clients[i], path, plain);
    }
  while (n_clients_left > 0)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < n_clients; i++)
    {
      g_dbus_connection_close_sync (clients[i].connection, NULL, NULL);
      g_object_unref (clients[i].connection);
    }
}

int
main (int    argc,
      char **argv)
{
  if (argc == 3 && g_str_equal (argv[1], "serve"))
    serve (argv[2]);
  else if (argc >= 5 && g_str_equal (argv[1], "call"))
    call_often (argv[2], atoi (argv[3]), atoi (argv[4]), argc > 5);
  else
    return 2;

  return 0;
}
