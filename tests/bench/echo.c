/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Another process sends, waits for the answer, and sends again; this one answers, while it also
 * watches the connections that stay idle. */

#include "bench.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static Pace pace;

static void
run_until_echoed (Peer *peer)
{
  peer_go (peer);
  while (pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
watch (int epoll,
       int fd)
{
  struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

  if (epoll_ctl (epoll, EPOLL_CTL_ADD, fd, &event) < 0)
    g_error ("epoll_ctl: %s", g_strerror (errno));
}

double
echo_raw (const Bench *bench,
          guint count)
{
  int epoll = epoll_create1 (EPOLL_CLOEXEC);
  Peer peer;

  pace_start (&pace, count, STRETCH_ECHO);
  peer_start (&peer, role_ping, bench, count);
  watch (epoll, peer.fd);
  for (guint i = 0; i < peer.n_idle; i++)
    watch (epoll, peer.idle[i]);

  peer_go (&peer);
  while (pace.n_left > 0)
    {
      struct epoll_event events[64];
      int n = epoll_wait (epoll, events, G_N_ELEMENTS (events), -1);

      for (int i = 0; i < n; i++)
        {
          int fd = events[i].data.fd;
          gssize length = recv (fd, bench_payload, bench->size, MSG_DONTWAIT);

          if (length < 0 || send (fd, bench_payload, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            g_error ("echo: %s", g_strerror (errno));
          pace_count (&pace, 1);
        }
    }
  close (epoll);
  peer_stop (&peer);
  return pace.best;
}

static void
data_cb (UsockChannel *channel,
         GByteArray *bytes,
         gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  if (!usock_channel_send (channel, bytes->data, bytes->len, &error))
    g_error ("%s", error->message);
  pace_count (&pace, 1);
}

static UsockChannel *
open_usock (int *fd)
{
  UsockChannel *channel = peer_adopt (fd);

  g_signal_connect (channel, "data", G_CALLBACK (data_cb), NULL);
  return channel;
}

static void
close_usock (gpointer channel)
{
  usock_socket_close (channel);
  g_object_unref (channel);
}

double
echo_usock (const Bench *bench,
            guint count)
{
  g_autoptr (GPtrArray) channels = g_ptr_array_new_with_free_func (close_usock);
  Peer peer;

  pace_start (&pace, count, STRETCH_ECHO);
  peer_start (&peer, role_ping, bench, count);
  g_ptr_array_add (channels, open_usock (&peer.fd));
  for (guint i = 0; i < peer.n_idle; i++)
    g_ptr_array_add (channels, open_usock (&peer.idle[i]));

  run_until_echoed (&peer);
  g_ptr_array_set_size (channels, 0);
  usock_run_until_closed (NULL);
  peer_stop (&peer);
  return pace.best;
}

static gboolean
gsocket_readable_cb (GSocket *socket,
                     GIOCondition condition,
                     gpointer user_data)
{
  const Bench *bench = user_data;
  char *data = (char *) bench_payload;
  gssize length = g_socket_receive (socket, data, bench->size, NULL, NULL);

  if (length < 0 || g_socket_send (socket, data, length, NULL, NULL) < 0)
    g_error ("GSocket fails to echo");
  pace_count (&pace, 1);
  return TRUE;
}

static GSource *
open_gsocket (int *fd,
              const Bench *bench)
{
  g_autoptr (GSocket) socket = peer_adopt_gsocket (fd);
  GSource *source = g_socket_create_source (socket, G_IO_IN, NULL);

  /* The source holds the socket, which closes with it. */
  g_source_set_callback (source, G_SOURCE_FUNC (gsocket_readable_cb), (gpointer) bench, NULL);
  g_source_attach (source, NULL);
  return source;
}

static void
close_gsocket (gpointer source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

double
echo_gsocket (const Bench *bench,
              guint count)
{
  g_autoptr (GPtrArray) sources = g_ptr_array_new_with_free_func (close_gsocket);
  Peer peer;

  pace_start (&pace, count, STRETCH_ECHO);
  peer_start (&peer, role_ping, bench, count);
  g_ptr_array_add (sources, open_gsocket (&peer.fd, bench));
  for (guint i = 0; i < peer.n_idle; i++)
    g_ptr_array_add (sources, open_gsocket (&peer.idle[i], bench));

  run_until_echoed (&peer);
  g_ptr_array_set_size (sources, 0);
  peer_stop (&peer);
  return pace.best;
}
