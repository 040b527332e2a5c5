/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Another process connects and hangs up, again and again; this one accepts, sees the end, closes. */

#include "bench.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static Pace pace;
static struct sockaddr_un name;

/* A backlog that is full makes it wait in connect(). */
static double
role_visit (int fd,
            const Bench *bench,
            guint count)
{
  for (guint i = 0; i < count; i++)
    {
      int visitor = socket (AF_UNIX, bench->type, 0);

      if (connect (visitor, (struct sockaddr *) &name, sizeof name) < 0)
        _exit (1);
      close (visitor);
    }
  return 0;
}

static void
start (Peer *peer,
       const Bench *bench,
       guint count)
{
  name = (struct sockaddr_un){ .sun_family = AF_UNIX };
  g_snprintf (name.sun_path, sizeof name.sun_path, "/tmp/usock-bench-%d", (int) getpid ());
  g_unlink (name.sun_path);
  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (peer, role_visit, bench, count);
}

static double
stop (Peer *peer)
{
  peer_stop (peer);
  g_unlink (name.sun_path);
  return pace.best;
}

static void
visitor_left (int fd)
{
  char byte;

  if (recv (fd, &byte, 1, MSG_DONTWAIT) != 0)
    return;

  close (fd);
  pace_count (&pace, 1);
}

double
accept_raw (const Bench *bench,
            guint count)
{
  int listener = socket (AF_UNIX, bench->type | SOCK_NONBLOCK, 0);
  struct epoll_event events[64] = { { .events = EPOLLIN, .data.fd = listener } };
  int epoll = epoll_create1 (EPOLL_CLOEXEC);
  Peer peer;

  start (&peer, bench, count);
  if (bind (listener, (struct sockaddr *) &name, sizeof name) < 0 || listen (listener, 4096) < 0
      || epoll_ctl (epoll, EPOLL_CTL_ADD, listener, events) < 0)
    g_error ("listen: %s", g_strerror (errno));
  peer_go (&peer);
  while (pace.n_left > 0)
    {
      int n = epoll_wait (epoll, events, G_N_ELEMENTS (events), -1);

      for (int i = 0; i < n; i++)
        if (events[i].data.fd == listener)
          {
            int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

            if (fd >= 0)
              epoll_ctl (epoll, EPOLL_CTL_ADD, fd, &event);
          }
        else
          visitor_left (events[i].data.fd);
    }
  close (listener);
  close (epoll);
  return stop (&peer);
}

static void
closed_cb (UsockSocket *channel,
           gpointer user_data)
{
  pace_count (&pace, 1);
}

static void
nothing_cb (UsockChannel *channel,
            GByteArray *bytes,
            gpointer user_data)
{
}

static void
connection_cb (UsockServer *server,
               UsockChannel *channel,
               gpointer user_data)
{
  g_signal_connect (channel, "data", G_CALLBACK (nothing_cb), NULL);
  g_signal_connect (channel, "close", G_CALLBACK (closed_cb), NULL);
}

double
accept_usock (const Bench *bench,
              guint count)
{
  g_autoptr (UsockServer) server
      = usock_server_new (bench->type == SOCK_STREAM ? G_SOCKET_TYPE_STREAM
                                                     : G_SOCKET_TYPE_SEQPACKET);
  Peer peer;

  start (&peer, bench, count);
  if (!usock_server_listen_on_path (server, name.sun_path, 0, NULL))
    g_error ("could not listen");
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), NULL);
  peer_go (&peer);
  while (pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  usock_socket_close (USOCK_SOCKET (server));
  usock_run_until_closed (NULL);
  return stop (&peer);
}

static gboolean
gsocket_end_cb (GSocket *socket,
                GIOCondition condition,
                gpointer user_data)
{
  char byte;

  if (g_socket_receive (socket, &byte, 1, NULL, NULL) != 0)
    return G_SOURCE_CONTINUE;

  g_socket_close (socket, NULL);
  pace_count (&pace, 1);
  return G_SOURCE_REMOVE;
}

static gboolean
gsocket_accept_cb (GSocket *listener,
                   GIOCondition condition,
                   gpointer user_data)
{
  g_autoptr (GSocket) socket = g_socket_accept (listener, NULL, NULL);
  g_autoptr (GSource) source = NULL;

  if (socket == NULL)
    return G_SOURCE_CONTINUE;

  g_socket_set_blocking (socket, FALSE);
  source = g_socket_create_source (socket, G_IO_IN, NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (gsocket_end_cb), NULL, NULL);
  g_source_attach (source, NULL);
  return G_SOURCE_CONTINUE;
}

double
accept_gsocket (const Bench *bench,
                guint count)
{
  g_autoptr (GSocket) socket
      = g_socket_new (G_SOCKET_FAMILY_UNIX,
                      bench->type == SOCK_STREAM ? G_SOCKET_TYPE_STREAM : G_SOCKET_TYPE_SEQPACKET,
                      0, NULL);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSource) source = NULL;
  Peer peer;

  start (&peer, bench, count);
  address = g_unix_socket_address_new (name.sun_path);
  g_socket_set_blocking (socket, FALSE);
  g_socket_set_listen_backlog (socket, 4096);
  if (!g_socket_bind (socket, address, FALSE, NULL) || !g_socket_listen (socket, NULL))
    g_error ("could not listen");
  source = g_socket_create_source (socket, G_IO_IN, NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (gsocket_accept_cb), NULL, NULL);
  g_source_attach (source, NULL);
  peer_go (&peer);
  while (pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  g_source_destroy (source);
  return stop (&peer);
}

static gboolean
incoming_cb (GSocketService    *service,
             GSocketConnection *connection,
             GObject           *source_object,
             gpointer           user_data)
{
  GSocket *socket = g_socket_connection_get_socket (connection);
  g_autoptr (GSource) source = g_socket_create_source (socket, G_IO_IN, NULL);

  g_source_set_callback (source, G_SOURCE_FUNC (gsocket_end_cb), NULL, NULL);
  g_source_attach (source, NULL);
  return TRUE;
}

double
accept_service (const Bench *bench,
                guint count)
{
  g_autoptr (GSocketService) service = g_socket_service_new ();
  g_autoptr (GSocketAddress) address = NULL;
  Peer peer;

  start (&peer, bench, count);
  address = g_unix_socket_address_new (name.sun_path);
  g_socket_listener_set_backlog (G_SOCKET_LISTENER (service), 4096);
  if (!g_socket_listener_add_address (G_SOCKET_LISTENER (service), address, G_SOCKET_TYPE_STREAM, 0,
                                      NULL, NULL, NULL))
    g_error ("could not listen");
  g_signal_connect (service, "incoming", G_CALLBACK (incoming_cb), NULL);
  peer_go (&peer);
  while (pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  g_socket_service_stop (service);
  return stop (&peer);
}
