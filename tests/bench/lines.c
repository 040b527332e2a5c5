/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lines, of which many come at once. */

#include "bench.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE (64 * 1024)

static Pace pace;

/* In pieces that end anywhere. */
static double
role_send_lines (int fd,
                 const Bench *bench,
                 guint count)
{
  g_autofree char *text = g_malloc (PIECE);
  gsize left = (gsize) count * bench->size;

  for (gsize i = 0; i < PIECE; i++)
    text[i] = i % bench->size == bench->size - 1 ? '\n' : 'x';
  while (left > 0)
    {
      gssize sent = send (fd, text, MIN (left, PIECE), MSG_NOSIGNAL);

      if (sent != (gssize) MIN (left, PIECE))
        _exit (1);
      left -= sent;
    }
  return 0;
}

double
lines_raw (const Bench *bench,
           guint count)
{
  g_autofree char *buffer = g_malloc (PIECE);
  Peer peer;

  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (&peer, role_send_lines, bench, count);
  peer_go (&peer);
  while (pace.n_left > 0)
    {
      gssize length = recv (peer.fd, buffer, PIECE, 0);
      char *end = buffer + MAX (length, 0);
      guint n = 0;

      if (length <= 0)
        g_error ("lines are missing");
      for (char *next = buffer; (next = memchr (next, '\n', end - next)) != NULL; next++)
        n++;
      pace_count (&pace, n);
    }
  peer_stop (&peer);
  return pace.best;
}

static UsockStream *
open_usock (Peer *peer)
{
  UsockStream *stream = usock_stream_new_from_fd (peer->fd, NULL);

  if (stream == NULL)
    g_error ("could not adopt a stream");
  peer->fd = -1;
  return stream;
}

static double
close_usock (Peer *peer,
             UsockStream *stream)
{
  usock_socket_close (USOCK_SOCKET (stream));
  usock_run_until_closed (NULL);
  g_object_unref (stream);
  peer_stop (peer);
  return pace.best;
}

static void
take_lines (UsockStream *stream)
{
  gsize n;
  char **lines = usock_stream_take_lines (stream, 0, &n);

  for (gsize i = 0; i < n; i++)
    g_free (lines[i]);
  g_free (lines);
  pace_count (&pace, MIN (n, pace.n_left));
}

static gboolean may_take;

static void
line_cb (GObject *object,
         GAsyncResult *result,
         gpointer user_data)
{
  UsockStream *stream = USOCK_STREAM (object);
  g_autofree char *line = usock_stream_receive_line_finish (stream, result, NULL);

  if (line == NULL)
    g_error ("a line is missing");
  pace_count (&pace, 1);
  if (may_take && pace.n_left > 0)
    take_lines (stream);
  if (pace.n_left > 0)
    usock_stream_receive_line_async (stream, NULL, line_cb, NULL);
}

static double
run_usock (const Bench *bench,
           guint count,
           gboolean take)
{
  UsockStream *stream;
  Peer peer;

  may_take = take;
  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (&peer, role_send_lines, bench, count);
  stream = open_usock (&peer);
  usock_stream_receive_line_async (stream, NULL, line_cb, NULL);
  peer_go (&peer);
  while (pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  return close_usock (&peer, stream);
}

double
lines_usock (const Bench *bench,
             guint count)
{
  return run_usock (bench, count, FALSE);
}

double
lines_usock_many (const Bench *bench,
                  guint count)
{
  return run_usock (bench, count, TRUE);
}

static void
gio_line_cb (GObject *object,
             GAsyncResult *result,
             gpointer user_data)
{
  GDataInputStream *stream = G_DATA_INPUT_STREAM (object);
  g_autofree char *line = g_data_input_stream_read_line_finish (stream, result, NULL, NULL);

  if (line == NULL)
    g_error ("a line is missing");
  pace_count (&pace, 1);
  if (pace.n_left > 0)
    g_data_input_stream_read_line_async (stream, 0, NULL, gio_line_cb, NULL);
}

double
lines_gio (const Bench *bench,
           guint count)
{
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GDataInputStream) stream = NULL;
  g_autoptr (GSocket) socket = NULL;
  Peer peer;

  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (&peer, role_send_lines, bench, count);
  socket = peer_adopt_gsocket (&peer.fd);
  connection = g_socket_connection_factory_create_connection (socket);
  stream = g_data_input_stream_new (g_io_stream_get_input_stream (G_IO_STREAM (connection)));
  g_data_input_stream_read_line_async (stream, 0, NULL, gio_line_cb, NULL);
  peer_go (&peer);
  while (pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  peer_stop (&peer);
  return pace.best;
}
