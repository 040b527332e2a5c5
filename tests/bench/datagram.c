/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Datagrams: to the other end of a pair, to a path, and from somebody who has one. */

#include "bench.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static Pace pace;
static char path[64];

static socklen_t
name_path (struct sockaddr_un *name)
{
  *name = (struct sockaddr_un){ .sun_family = AF_UNIX };
  g_strlcpy (name->sun_path, path, sizeof name->sun_path);
  return sizeof *name;
}

/* Waits for room as the kernel tells of it to whoever sends one by one. */
static void
wait_for_room (int fd)
{
  struct pollfd writable = { fd, POLLOUT, 0 };

  poll (&writable, 1, 1);
}

/* The other end binds before it is told to begin. */
static double
role_receive_at_path (int fd,
                      const Bench *bench,
                      guint count)
{
  struct sockaddr_un name;
  socklen_t length = name_path (&name);
  int bound = socket (AF_UNIX, SOCK_DGRAM, 0);

  if (bind (bound, (struct sockaddr *) &name, length) < 0 || write (fd, "", 1) != 1)
    _exit (1);
  for (guint i = 0; i < count; i++)
    if (recv (bound, bench_payload, bench->size, 0) != (gssize) bench->size)
      _exit (1);
  return 0;
}

static double
role_send_to_path (int fd,
                   const Bench *bench,
                   guint count)
{
  struct sockaddr_un name, own = { .sun_family = AF_UNIX };
  socklen_t length = name_path (&name);
  int bound = socket (AF_UNIX, SOCK_DGRAM, 0);

  /* The kernel gives it a name: who sends has one. */
  if (bind (bound, (struct sockaddr *) &own, sizeof (sa_family_t)) < 0)
    _exit (1);
  for (guint i = 0; i < count; i++)
    if (sendto (bound, bench_payload, bench->size, 0, (struct sockaddr *) &name, length)
        != (gssize) bench->size)
      _exit (1);
  return 0;
}

static void
start (Peer *peer,
       Role role,
       const Bench *bench,
       guint count)
{
  char byte;

  g_snprintf (path, sizeof path, "/tmp/usock-bench-%d", (int) getpid ());
  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (peer, role, bench, count);
  if (role != role_receive_at_path)
    return;

  peer_go (peer);
  if (recv (peer->fd, &byte, 1, 0) != 1)
    g_error ("the peer failed");
  bench_clock_start ();
}

static double
finish (Peer *peer)
{
  double seconds = peer_wait (peer);

  peer_stop (peer);
  g_unlink (path);
  return seconds;
}

double
datagram_send_raw (const Bench *bench,
                   guint count)
{
  Peer peer;

  start (&peer, role_receive, bench, count);
  peer_go (&peer);
  for (guint i = 0; i < count; i++)
    while (send (peer.fd, bench_payload, bench->size, MSG_DONTWAIT) < 0)
      wait_for_room (peer.fd);
  return finish (&peer);
}

static void
drain_until (UsockChannel *channel,
             guint64 mark)
{
  while (usock_channel_get_queued_bytes (channel) > mark)
    g_main_context_iteration (NULL, TRUE);
}

double
datagram_send_usock (const Bench *bench,
                     guint count)
{
  g_autoptr (UsockDgram) dgram = NULL;
  UsockChannel *channel;
  Peer peer;
  double seconds;

  start (&peer, role_receive, bench, count);
  dgram = usock_dgram_new_from_fd (peer.fd, NULL);
  channel = USOCK_CHANNEL (dgram);
  peer.fd = -1;
  peer_go (&peer);
  for (guint i = 0; i < count; i++)
    {
      if (!usock_channel_send (channel, bench_payload, bench->size, NULL))
        g_error ("a datagram was refused");
      drain_until (channel, 16 * 1024);
    }
  drain_until (channel, 0);
  seconds = finish (&peer);
  usock_socket_close (USOCK_SOCKET (dgram));
  usock_run_until_closed (NULL);
  return seconds;
}

double
datagram_send_gsocket (const Bench *bench,
                       guint count)
{
  g_autoptr (GSocket) socket = NULL;
  Peer peer;

  start (&peer, role_receive, bench, count);
  socket = peer_adopt_gsocket (&peer.fd);
  peer_go (&peer);
  for (guint i = 0; i < count; i++)
    while (g_socket_send (socket, (char *) bench_payload, bench->size, NULL, NULL) < 0)
      wait_for_room (g_socket_get_fd (socket));
  return finish (&peer);
}

double
datagram_send_to_raw (const Bench *bench,
                      guint count)
{
  int fd = socket (AF_UNIX, SOCK_DGRAM, 0);
  struct sockaddr_un name;
  Peer peer;
  socklen_t length;
  double seconds;

  start (&peer, role_receive_at_path, bench, count);
  length = name_path (&name);
  for (guint i = 0; i < count; i++)
    while (sendto (fd, bench_payload, bench->size, MSG_DONTWAIT, (struct sockaddr *) &name, length)
           < 0)
      wait_for_room (fd);
  seconds = finish (&peer);
  close (fd);
  return seconds;
}

double
datagram_send_to_usock (const Bench *bench,
                        guint count)
{
  g_autoptr (UsockDgram) dgram = usock_dgram_new ();
  Peer peer;
  double seconds;

  start (&peer, role_receive_at_path, bench, count);
  for (guint i = 0; i < count; i++)
    {
      if (!usock_dgram_send_to (dgram, bench_payload, bench->size, path, NULL))
        g_error ("a datagram was refused");
      drain_until (USOCK_CHANNEL (dgram), 16 * 1024);
    }
  drain_until (USOCK_CHANNEL (dgram), 0);
  seconds = finish (&peer);
  usock_socket_close (USOCK_SOCKET (dgram));
  usock_run_until_closed (NULL);
  return seconds;
}

double
datagram_send_to_gsocket (const Bench *bench,
                          guint count)
{
  g_autoptr (GSocket) socket
      = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, 0, NULL);
  g_autoptr (GSocketAddress) address = NULL;
  Peer peer;

  g_socket_set_blocking (socket, FALSE);
  start (&peer, role_receive_at_path, bench, count);
  address = g_unix_socket_address_new (path);
  for (guint i = 0; i < count; i++)
    while (g_socket_send_to (socket, address, (char *) bench_payload, bench->size, NULL, NULL) < 0)
      wait_for_room (g_socket_get_fd (socket));
  return finish (&peer);
}

double
datagram_receive_raw (const Bench *bench,
                      guint count)
{
  int fd = socket (AF_UNIX, SOCK_DGRAM, 0);
  struct sockaddr_un name;
  Peer peer;
  socklen_t length;

  start (&peer, role_send_to_path, bench, count);
  length = name_path (&name);
  if (bind (fd, (struct sockaddr *) &name, length) < 0)
    g_error ("bind: %s", g_strerror (errno));
  peer_go (&peer);
  for (; pace.n_left > 0; pace_count (&pace, 1))
    {
      length = sizeof name;
      if (recvfrom (fd, bench_payload, bench->size, 0, (struct sockaddr *) &name, &length)
          != (gssize) bench->size)
        g_error ("a datagram is missing");
    }
  peer_stop (&peer);
  close (fd);
  g_unlink (path);
  return pace.best;
}

static void
datagram_cb (UsockDgram *dgram,
             GByteArray *bytes,
             const char *sender,
             gpointer user_data)
{
  pace_count (&pace, 1);
}

double
datagram_receive_usock (const Bench *bench,
                        guint count)
{
  g_autoptr (UsockDgram) dgram = usock_dgram_new ();
  Peer peer;

  start (&peer, role_send_to_path, bench, count);
  if (!usock_dgram_bind_to_path (dgram, path, NULL))
    g_error ("could not bind");
  g_signal_connect (dgram, "datagram", G_CALLBACK (datagram_cb), NULL);
  peer_go (&peer);
  while (pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  peer_stop (&peer);
  usock_socket_close (USOCK_SOCKET (dgram));
  usock_run_until_closed (NULL);
  return pace.best;
}

static gboolean
gsocket_cb (GSocket *socket,
            GIOCondition condition,
            gpointer user_data)
{
  const Bench *bench = user_data;
  g_autoptr (GSocketAddress) sender = NULL;

  if (g_socket_receive_from (socket, &sender, (char *) bench_payload, bench->size, NULL, NULL)
      == (gssize) bench->size)
    pace_count (&pace, 1);
  return pace.n_left > 0;
}

double
datagram_receive_gsocket (const Bench *bench,
                          guint count)
{
  g_autoptr (GSocket) socket
      = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, 0, NULL);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSource) source = NULL;
  Peer peer;

  start (&peer, role_send_to_path, bench, count);
  address = g_unix_socket_address_new (path);
  if (!g_socket_bind (socket, address, FALSE, NULL))
    g_error ("could not bind");
  source = g_socket_create_source (socket, G_IO_IN, NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (gsocket_cb), (gpointer) bench, NULL);
  g_source_attach (source, NULL);
  peer_go (&peer);
  while (pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  g_source_destroy (source);
  peer_stop (&peer);
  g_unlink (path);
  return pace.best;
}
