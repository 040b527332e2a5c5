/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our side of a conversation by TCP with a program that does not know usock.
 *
 *   tcp-peer listen HOST JOB            says the port that it listens on
 *   tcp-peer connect HOST PORT JOB
 *
 * JOB is one of
 *   echo            return every byte, and end when the peer does
 *   exchange N      send N bytes, expect them to come back, end first
 *   reset           wait for a byte, and reset
 *   broken          send a byte, expect a reset
 *   web             answer requests until one asks for /end
 *
 * It exits with 0 if all of it happened, in order, and the connection ended as it should. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <usock/usock.h>

typedef struct
{
  const char *job;
  guint64 n_bytes;
  guint64 n_sent;
  guint64 n_received;
  UsockServer *server;
  gboolean ended;
  gboolean closed;
  GError *error;
} Peer;

static gboolean
has_job (Peer *self, const char *job)
{
  return strcmp (self->job, job) == 0;
}

static void
fail (const char *what)
{
  g_printerr ("tcp-peer: %s\n", what);
  exit (1);
}

/* No period of it is that of a buffer. */
static guint8
byte_at (guint64 i)
{
  return i % 251;
}

static void
send_or_fail (UsockChannel *channel, gconstpointer data, gsize length)
{
  g_autoptr (GError) error = NULL;

  if (!usock_channel_send (channel, data, length, &error))
    fail (error->message);
}

static void
send_more (Peer *self, UsockChannel *channel)
{
  guint64 mark = usock_channel_get_high_water_mark (channel);
  guint8 block[10000];

  while (self->n_sent < self->n_bytes && usock_channel_get_queued_bytes (channel) <= mark)
    {
      gsize length = MIN (sizeof block, self->n_bytes - self->n_sent);

      for (gsize i = 0; i < length; i++)
        block[i] = byte_at (self->n_sent + i);
      send_or_fail (channel, block, length);
      self->n_sent += length;
    }
  if (self->n_sent == self->n_bytes)
    usock_channel_end (channel);
}

static void
drain_cb (UsockChannel *channel, Peer *self)
{
  if (has_job (self, "exchange"))
    send_more (self, channel);
  else
    usock_channel_resume (channel);
}

static void
check_bytes (Peer *self, GByteArray *bytes)
{
  for (guint i = 0; i < bytes->len; i++)
    if (bytes->data[i] != byte_at (self->n_received + i))
      fail ("another byte than was sent");
}

static void
answer_request (UsockChannel *channel, GAsyncResult *result, Peer *self)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *line
      = usock_stream_receive_line_finish (USOCK_STREAM (channel), result, &error);

  if (line == NULL || g_str_equal (line, ""))
    {
      const char *path = g_object_get_data (G_OBJECT (channel), "path");
      g_autofree char *body = g_strdup_printf ("you asked for %s\n", path != NULL ? path : "?");
      g_autofree char *answer
          = g_strdup_printf ("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                             strlen (body), body);

      if (line == NULL)
        fail ("no request");
      send_or_fail (channel, answer, strlen (answer));
      usock_channel_end (channel);
      if (g_strcmp0 (path, "/end") == 0)
        usock_socket_close (USOCK_SOCKET (self->server));
      return;
    }

  if (g_str_has_prefix (line, "GET "))
    g_object_set_data_full (G_OBJECT (channel), "path",
                            g_strndup (line + 4, strcspn (line + 4, " ")), g_free);
  usock_stream_receive_line_async (USOCK_STREAM (channel), NULL,
                                   (GAsyncReadyCallback) answer_request, self);
}

static void
data_cb (UsockChannel *channel, GByteArray *bytes, Peer *self)
{
  if (has_job (self, "echo"))
    {
      send_or_fail (channel, bytes->data, bytes->len);
      if (usock_channel_get_queued_bytes (channel) > usock_channel_get_high_water_mark (channel))
        usock_channel_pause (channel);
    }
  else if (has_job (self, "reset"))
    usock_stream_reset (USOCK_STREAM (channel));
  else
    check_bytes (self, bytes);
  self->n_received += bytes->len;
}

static void
end_cb (UsockChannel *channel, Peer *self)
{
  self->ended = TRUE;
}

static void
error_cb (UsockChannel *channel, const GError *error, Peer *self)
{
  g_clear_error (&self->error);
  self->error = g_error_copy (error);
  if (has_job (self, "broken")
      && usock_socket_get_error_number (USOCK_SOCKET (channel)) != ECONNRESET)
    fail ("another error than a reset");
}

static void
close_cb (UsockChannel *channel, Peer *self)
{
  self->closed = TRUE;
}

static void
begin (Peer *self, UsockChannel *channel)
{
  if (has_job (self, "web"))
    {
      usock_stream_receive_line_async (USOCK_STREAM (channel), NULL,
                                       (GAsyncReadyCallback) answer_request, self);
      return;
    }

  g_signal_connect (channel, "data", G_CALLBACK (data_cb), self);
  g_signal_connect (channel, "drain", G_CALLBACK (drain_cb), self);
  g_signal_connect (channel, "end", G_CALLBACK (end_cb), self);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), self);
  g_signal_connect (channel, "close", G_CALLBACK (close_cb), self);
  if (has_job (self, "exchange"))
    send_more (self, channel);
  else if (has_job (self, "broken"))
    send_or_fail (channel, "x", 1);
}

static void
connection_cb (UsockServer *server, UsockChannel *channel, Peer *self)
{
  begin (self, channel);
  if (!has_job (self, "web"))
    usock_socket_close (USOCK_SOCKET (server));
}

static void
listen_on (Peer *self, const char *host)
{
  g_autoptr (GError) error = NULL;
  GSocketAddress *address;

  self->server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_signal_connect (self->server, "connection", G_CALLBACK (connection_cb), self);
  if (!usock_server_listen_on_host (self->server, host, 0, 0, &error))
    fail (error->message);
  address = usock_socket_get_local_address (USOCK_SOCKET (self->server));
  g_print ("%u\n", g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)));
}

static void
connect_to (Peer *self, const char *host, const char *port)
{
  g_autoptr (UsockStream) stream = usock_stream_new ();
  g_autoptr (GError) error = NULL;

  if (!usock_stream_connect_to_host (stream, host, strtoul (port, NULL, 10),
                                     G_SOCKET_FAMILY_INVALID, &error))
    fail (error->message);
  begin (self, USOCK_CHANNEL (stream));
}

static void
check_end (Peer *self)
{
  gboolean broken = has_job (self, "broken");

  if (has_job (self, "web"))
    return;
  if (!self->closed || (self->error != NULL) != broken)
    fail (self->error != NULL ? self->error->message : "the connection did not end as it should");
  if (!self->ended && !broken && !has_job (self, "reset"))
    fail ("the peer did not end");
  if (self->n_bytes > 0 && self->n_received != self->n_bytes)
    fail ("the end came too early");
}

int
main (int argc, char **argv)
{
  gboolean listens = argc > 3 && strcmp (argv[1], "listen") == 0;
  int n = listens ? 3 : 4;
  Peer peer = { 0 };

  if (argc <= n)
    fail ("usage: tcp-peer listen HOST JOB, or connect HOST PORT JOB");

  peer.job = argv[n];
  if (argc > n + 1)
    peer.n_bytes = strtoull (argv[n + 1], NULL, 10);
  if (listens)
    listen_on (&peer, argv[2]);
  else
    connect_to (&peer, argv[2], argv[3]);

  usock_run_until_closed (NULL);
  check_end (&peer);
  g_clear_object (&peer.server);
  g_clear_error (&peer.error);
  return 0;
}
