/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* cost WORK COUNT: does the work so many times and ends, for callgrind to count instructions. The
 * other end is raw, and in this process. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <usock/usock.h>

#define SIZE 64

/* How many are there at once, where many come; a queue of datagrams holds no more than ten. */
#define BURST 50
#define BURST_OF_DATAGRAMS 8
#define N_MANY 50

typedef void (*Work) (guint count);

static char buffer[SIZE];
static guint n_done;

static void
iterate_until (guint count)
{
  while (n_done < count)
    g_main_context_iteration (NULL, TRUE);
}

static void
data_cb (UsockChannel *channel,
         GByteArray   *bytes,
         gpointer      unused)
{
  n_done++;
}

static void
func_cb (UsockChannel *channel,
         const guint8 *data,
         gsize         length,
         gpointer      unused)
{
  n_done++;
}

static void
message_cb (UsockChannel *channel,
            UsockMessage *message,
            gpointer      unused)
{
  n_done++;
}

static void
datagram_cb (UsockDgram *dgram,
             GByteArray *bytes,
             const char *sender,
             gpointer    unused)
{
  n_done++;
}

static void
echo_cb (UsockChannel *channel,
         GByteArray   *bytes,
         gpointer      unused)
{
  n_done++;
  usock_channel_send (channel, bytes->data, bytes->len, NULL);
}

static void
received_cb (GObject      *object,
             GAsyncResult *result,
             gpointer      unused)
{
  UsockChannel *channel = USOCK_CHANNEL (object);
  g_autoptr (UsockMessage) message = usock_channel_receive_finish (channel, result, NULL);

  n_done++;
  usock_channel_receive_async (channel, NULL, received_cb, NULL);
}

static UsockChannel *
open_channel (int *peer)
{
  int pair[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
    g_error ("socketpair: %s", g_strerror (errno));
  *peer = pair[1];
  return USOCK_CHANNEL (usock_seqpacket_new_from_fd (pair[0], NULL));
}

static void
send_burst (int   peer,
            guint n)
{
  for (guint i = 0; i < n; i++)
    if (send (peer, buffer, SIZE, MSG_DONTWAIT) != SIZE)
      g_error ("send: %s", g_strerror (errno));
}

static void
receive_bursts (int   peer,
                guint count,
                guint burst)
{
  while (n_done < count)
    {
      send_burst (peer, burst);
      iterate_until (n_done + burst);
    }
}

static void
receive_by (const char *signal,
            GCallback   callback,
            guint       count)
{
  int peer;

  g_signal_connect (open_channel (&peer), signal, callback, NULL);
  receive_bursts (peer, count, BURST);
}

static void
work_data (guint count)
{
  receive_by ("data", G_CALLBACK (data_cb), count);
}

static void
work_message (guint count)
{
  receive_by ("message", G_CALLBACK (message_cb), count);
}

static void
work_func (guint count)
{
  int peer;

  usock_channel_set_receive_func (open_channel (&peer), func_cb, NULL, NULL);
  receive_bursts (peer, count, BURST);
}

static void
work_receive (guint count)
{
  int peer;

  usock_channel_receive_async (open_channel (&peer), NULL, received_cb, NULL);
  receive_bursts (peer, count, BURST);
}

static void
work_send (guint count)
{
  int peer;
  UsockChannel *channel = open_channel (&peer);

  for (guint i = 0; i < count; i++)
    if (!usock_channel_send (channel, (guint8 *) buffer, SIZE, NULL)
        || recv (peer, buffer, SIZE, 0) != SIZE)
      g_error ("a message is missing");
}

static void
work_echo (guint count)
{
  int peer;

  g_signal_connect (open_channel (&peer), "data", G_CALLBACK (echo_cb), NULL);
  while (n_done < count)
    {
      receive_bursts (peer, n_done + 1, 1);
      if (recv (peer, buffer, SIZE, 0) != SIZE)
        g_error ("an answer is missing");
    }
}

/* Of many, all of which are asked before the loop turns. */
static void
work_echo_many (guint count)
{
  int peers[N_MANY];

  for (guint i = 0; i < N_MANY; i++)
    g_signal_connect (open_channel (&peers[i]), "data", G_CALLBACK (echo_cb), NULL);
  while (n_done < count)
    {
      for (guint i = 0; i < N_MANY; i++)
        send_burst (peers[i], 1);
      iterate_until (n_done + N_MANY);
      for (guint i = 0; i < N_MANY; i++)
        if (recv (peers[i], buffer, SIZE, 0) != SIZE)
          g_error ("an answer is missing");
    }
}

static socklen_t
new_name (struct sockaddr_un *name,
          const char         *what)
{
  *name = (struct sockaddr_un) { .sun_family = AF_UNIX };
  g_snprintf (name->sun_path, sizeof name->sun_path, "/tmp/usock-cost-%s-%d", what,
              (int) getpid ());
  return sizeof *name;
}

static UsockDgram *
open_dgram (struct sockaddr_un *peer_name,
            int                *peer)
{
  UsockDgram *dgram = usock_dgram_new ();
  struct sockaddr_un name;
  socklen_t length = new_name (&name, "dgram");

  if (!usock_dgram_bind_to_path (dgram, name.sun_path, NULL))
    g_error ("could not bind");
  *peer = socket (AF_UNIX, SOCK_DGRAM, 0);
  new_name (peer_name, "peer");
  if (bind (*peer, (struct sockaddr *) peer_name, sizeof *peer_name) < 0
      || connect (*peer, (struct sockaddr *) &name, length) < 0)
    g_error ("bind: %s", g_strerror (errno));
  return dgram;
}

static void
close_dgram (UsockDgram               *dgram,
             const struct sockaddr_un *peer_name)
{
  unlink (peer_name->sun_path);
  usock_socket_close (USOCK_SOCKET (dgram));
}

static void
work_datagram (guint count)
{
  struct sockaddr_un peer_name;
  int peer;
  UsockDgram *dgram = open_dgram (&peer_name, &peer);

  g_signal_connect (dgram, "datagram", G_CALLBACK (datagram_cb), NULL);
  receive_bursts (peer, count, BURST_OF_DATAGRAMS);
  close_dgram (dgram, &peer_name);
}

static void
work_send_to (guint count)
{
  struct sockaddr_un peer_name;
  int peer;
  UsockDgram *dgram = open_dgram (&peer_name, &peer);

  for (guint i = 0; i < count; i++)
    if (!usock_dgram_send_to (dgram, (guint8 *) buffer, SIZE, peer_name.sun_path, NULL)
        || recv (peer, buffer, SIZE, 0) != SIZE)
      g_error ("a datagram is missing");
  close_dgram (dgram, &peer_name);
}

static void
closed_cb (UsockSocket *channel,
           gpointer     unused)
{
  n_done++;
}

static void
connection_cb (UsockServer  *server,
               UsockChannel *channel,
               gpointer      unused)
{
  g_signal_connect (channel, "data", G_CALLBACK (data_cb), NULL);
  g_signal_connect (channel, "close", G_CALLBACK (closed_cb), NULL);
}

static void
work_accept (guint count)
{
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  struct sockaddr_un name;
  socklen_t length = new_name (&name, "server");

  if (!usock_server_listen_on_path (server, name.sun_path, 0, NULL))
    g_error ("could not listen");
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), NULL);
  for (guint i = 1; i <= count; i++)
    {
      int visitor = socket (AF_UNIX, SOCK_SEQPACKET, 0);

      if (connect (visitor, (struct sockaddr *) &name, length) < 0)
        g_error ("connect: %s", g_strerror (errno));
      close (visitor);
      iterate_until (i);
    }
  usock_socket_close (USOCK_SOCKET (server));
}

static void
line_cb (GObject      *object,
         GAsyncResult *result,
         gpointer      unused)
{
  UsockStream *stream = USOCK_STREAM (object);
  g_autofree char *line = usock_stream_receive_line_finish (stream, result, NULL);

  n_done++;
  usock_stream_receive_line_async (stream, NULL, line_cb, NULL);
}

static void
work_line (guint count)
{
  int pair[2];

  if (socketpair (AF_UNIX, SOCK_STREAM, 0, pair) < 0)
    g_error ("socketpair: %s", g_strerror (errno));
  memset (buffer, 'x', SIZE);
  buffer[SIZE - 1] = '\n';
  usock_stream_receive_line_async (usock_stream_new_from_fd (pair[0], NULL), NULL, line_cb, NULL);
  receive_bursts (pair[1], count, BURST);
}

static const struct
{
  const char *name;
  Work work;
} works[] = {
  { "data", work_data },         { "func", work_func },       { "message", work_message },
  { "receive", work_receive },   { "send", work_send },       { "echo", work_echo },
  { "datagram", work_datagram }, { "send-to", work_send_to }, { "accept", work_accept },
  { "line", work_line },         { "echo-many", work_echo_many },
};

int
main (int   argc,
      char *argv[])
{
  for (guint i = 0; argc == 3 && i < G_N_ELEMENTS (works); i++)
    if (g_str_equal (works[i].name, argv[1]))
      {
        works[i].work ((guint) atoi (argv[2]));
        return 0;
      }

  g_printerr ("cost WORK COUNT\n");
  return 2;
}
