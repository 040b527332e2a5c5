/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Streams: what another process sends is read in whatever pieces it comes, and counted by the size
 * that it was sent in; or it is answered. */

#include "bench.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* What usock reads at once. */
#define PIECE (256 * 1024)

typedef struct
{
  const Bench *bench;
  Pace pace;
  gsize rest; /* bytes that do not make up a whole size yet */
  guint8 *buffer;
  gboolean answers;
  GIOStream *connection;
} Reader;

static void
reader_start (Reader *self,
              Peer *peer,
              const Bench *bench,
              guint count,
              Role role)
{
  *self = (Reader){ .bench = bench, .buffer = g_malloc (PIECE), .answers = role == role_ping };
  pace_start (&self->pace, count, self->answers ? STRETCH_ECHO : STRETCH_ONE_WAY);
  peer_start (peer, role, bench, count);
}

static double
reader_stop (Reader *self,
             Peer *peer)
{
  peer_stop (peer);
  g_free (self->buffer);
  return self->pace.best;
}

static void
reader_count (Reader *self,
              gsize length)
{
  self->rest += length;
  pace_count (&self->pace, MIN (self->rest / self->bench->size, self->pace.n_left));
  self->rest %= self->bench->size;
}

static double
run_raw (const Bench *bench,
         guint count,
         Role role)
{
  struct epoll_event event = { .events = EPOLLIN };
  int epoll = epoll_create1 (EPOLL_CLOEXEC);
  Reader reader;
  Peer peer;

  reader_start (&reader, &peer, bench, count, role);
  if (epoll_ctl (epoll, EPOLL_CTL_ADD, peer.fd, &event) < 0)
    g_error ("epoll_ctl: %s", g_strerror (errno));
  peer_go (&peer);
  while (reader.pace.n_left > 0)
    {
      gssize n;

      /* A program that answers has others to answer, too. */
      if (reader.answers)
        epoll_wait (epoll, &event, 1, -1);
      n = recv (peer.fd, reader.buffer, PIECE, 0);
      if (n <= 0 || (reader.answers && send (peer.fd, reader.buffer, n, MSG_NOSIGNAL) != n))
        g_error ("stream: %s", g_strerror (errno));
      reader_count (&reader, n);
    }
  close (epoll);
  return reader_stop (&reader, &peer);
}

static void
data_cb (UsockChannel *channel,
         GByteArray *bytes,
         Reader *reader)
{
  g_autoptr (GError) error = NULL;

  if (reader->answers && !usock_channel_send (channel, bytes->data, bytes->len, &error))
    g_error ("%s", error->message);
  reader_count (reader, bytes->len);
}

static double
run_usock (const Bench *bench,
           guint count,
           Role role)
{
  g_autoptr (UsockStream) stream = NULL;
  g_autoptr (GError) error = NULL;
  Reader reader;
  Peer peer;

  reader_start (&reader, &peer, bench, count, role);
  stream = usock_stream_new_from_fd (peer.fd, &error);
  if (stream == NULL)
    g_error ("%s", error->message);
  peer.fd = -1;
  g_signal_connect (stream, "data", G_CALLBACK (data_cb), &reader);
  peer_go (&peer);
  while (reader.pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  usock_socket_close (USOCK_SOCKET (stream));
  usock_run_until_closed (NULL);
  return reader_stop (&reader, &peer);
}

static void
read_cb (GObject *source,
         GAsyncResult *result,
         gpointer data)
{
  Reader *reader = data;
  g_autoptr (GError) error = NULL;
  GInputStream *input = G_INPUT_STREAM (source);
  gssize n = g_input_stream_read_finish (input, result, &error);

  if (n <= 0)
    g_error ("a piece is missing: %s", error != NULL ? error->message : "the end came first");
  if (reader->answers
      && !g_output_stream_write_all (g_io_stream_get_output_stream (reader->connection),
                                     reader->buffer, n, NULL, NULL, &error))
    g_error ("%s", error->message);
  reader_count (reader, n);
  if (reader->pace.n_left > 0)
    g_input_stream_read_async (input, reader->buffer, PIECE, G_PRIORITY_DEFAULT, NULL, read_cb,
                               reader);
}

static double
run_gsocket (const Bench *bench,
             guint count,
             Role role)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GSocketConnection) connection = NULL;
  Reader reader;
  Peer peer;

  reader_start (&reader, &peer, bench, count, role);
  socket = peer_adopt_gsocket (&peer.fd);
  connection = g_socket_connection_factory_create_connection (socket);
  reader.connection = G_IO_STREAM (connection);
  g_input_stream_read_async (g_io_stream_get_input_stream (reader.connection), reader.buffer, PIECE,
                             G_PRIORITY_DEFAULT, NULL, read_cb, &reader);
  peer_go (&peer);
  while (reader.pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  g_io_stream_close (reader.connection, NULL, NULL);
  return reader_stop (&reader, &peer);
}

double
stream_raw (const Bench *bench,
            guint count)
{
  return run_raw (bench, count, role_send);
}

double
stream_usock (const Bench *bench,
              guint count)
{
  return run_usock (bench, count, role_send);
}

double
stream_gsocket (const Bench *bench,
                guint count)
{
  return run_gsocket (bench, count, role_send);
}

double
stream_echo_raw (const Bench *bench,
                 guint count)
{
  return run_raw (bench, count, role_ping);
}

double
stream_echo_usock (const Bench *bench,
                   guint count)
{
  return run_usock (bench, count, role_ping);
}

double
stream_echo_gsocket (const Bench *bench,
                     guint count)
{
  return run_gsocket (bench, count, role_ping);
}
