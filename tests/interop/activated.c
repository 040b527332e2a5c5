/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A service that sends back what it gets, started by a service manager that has its socket.
 *
 *   activated TYPE listen WHICH N      serve N connections
 *   activated TYPE connection WHICH    serve the one that was accepted for it
 *   activated datagram WHICH N         answer N messages
 *
 * TYPE is seqpacket or stream. WHICH is the name that the manager gave the socket, "-" for any,
 * "name:NAME" for a service of that name, or "fd:N". It exits with 0 if all of it happened, and
 * nothing is left in the environment. */

#include <string.h>
#include <usock/usock.h>

typedef struct
{
  guint n_left;
  UsockServer *server;
} Service;

static void
check (gboolean      done,
       const GError *error)
{
  if (done)
    return;

  g_printerr ("activated: %s\n", error->message);
  exit (1);
}

static void
data_cb (UsockChannel *channel,
         GByteArray *bytes,
         gpointer unused)
{
  g_autoptr (GError) error = NULL;

  check (usock_channel_send (channel, bytes->data, bytes->len, &error), error);
}

static void
error_cb (UsockSocket *socket,
          const GError *error,
          gpointer unused)
{
  check (FALSE, error);
}

static void
converse (UsockChannel *channel)
{
  g_signal_connect (channel, "data", G_CALLBACK (data_cb), NULL);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), NULL);
}

static void
connection_cb (UsockServer *server,
               UsockChannel *channel,
               Service *self)
{
  converse (channel);
  if (--self->n_left == 0)
    usock_socket_close (USOCK_SOCKET (server));
}

static void
datagram_cb (UsockDgram *dgram,
             GByteArray *bytes,
             const char *sender,
             Service *self)
{
  g_autoptr (GError) error = NULL;

  check (usock_dgram_send_to (dgram, bytes->data, bytes->len, sender, &error), error);
  if (--self->n_left == 0)
    usock_socket_close (USOCK_SOCKET (dgram));
}

static const char *
name_of (const char *which)
{
  return strcmp (which, "-") == 0 ? NULL : which;
}

static gboolean
listen_on (UsockServer *server,
           const char *which,
           GError **error)
{
  if (g_str_has_prefix (which, "name:"))
    return usock_server_listen_on_name (server, which + strlen ("name:"), 0, error);
  if (g_str_has_prefix (which, "fd:"))
    return usock_server_listen_on_fd (server, atoi (which + strlen ("fd:")), 0, error);

  return usock_server_listen_activated (server, name_of (which), error);
}

static UsockChannel *
new_connection (GSocketType type,
                const char *which,
                GError **error)
{
  if (type == G_SOCKET_TYPE_STREAM)
    return (UsockChannel *) usock_stream_new_activated (name_of (which), error);

  return (UsockChannel *) usock_seqpacket_new_activated (name_of (which), error);
}

static gpointer
start (Service *self,
       char **argv)
{
  GSocketType type = strcmp (argv[1], "stream") == 0 ? G_SOCKET_TYPE_STREAM
                                                     : G_SOCKET_TYPE_SEQPACKET;
  g_autoptr (GError) error = NULL;
  UsockChannel *channel;
  UsockDgram *dgram;

  if (strcmp (argv[1], "datagram") == 0)
    {
      dgram = usock_dgram_new_activated (name_of (argv[2]), &error);
      check (dgram != NULL, error);
      self->n_left = atoi (argv[3]);
      g_signal_connect (dgram, "datagram", G_CALLBACK (datagram_cb), self);
      return dgram;
    }

  if (strcmp (argv[2], "connection") == 0)
    {
      channel = new_connection (type, argv[3], &error);
      check (channel != NULL, error);
      converse (channel);
      return channel;
    }

  self->n_left = atoi (argv[4]);
  self->server = usock_server_new (type);
  g_signal_connect (self->server, "connection", G_CALLBACK (connection_cb), self);
  check (listen_on (self->server, argv[3], &error), error);
  return self->server;
}

int
main (int argc,
      char **argv)
{
  Service self = { 0 };
  g_autoptr (GObject) socket = NULL;

  if (argc < 4 || (strcmp (argv[2], "listen") == 0 && argc != 5))
    {
      g_printerr ("activated TYPE listen|connection WHICH [N]\n");
      return 2;
    }

  socket = start (&self, argv);
  if (g_getenv ("LISTEN_FDS") != NULL || g_getenv ("LISTEN_PID") != NULL
      || g_getenv ("LISTEN_FDNAMES") != NULL)
    {
      g_printerr ("activated: the environment still has the variables\n");
      return 3;
    }

  usock_run_until_closed (NULL);
  return 0;
}
