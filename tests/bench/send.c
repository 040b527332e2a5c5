/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* This process sends in one of several ways, and another receives as fast as it can. */

#include "bench.h"

#include <errno.h>
#include <sys/socket.h>

#define BATCH 32

static double
finish (Peer *peer)
{
  double pace = peer_wait (peer);

  peer_stop (peer);
  return pace;
}

double
send_raw (const Bench *bench,
          guint count)
{
  Peer peer;

  peer_start (&peer, role_receive, bench, count);
  peer_go (&peer);
  for (guint i = 0; i < count; i++)
    if (send (peer.fd, bench_payload, bench->size, MSG_NOSIGNAL) != (gssize) bench->size)
      g_error ("send: %s", g_strerror (errno));
  return finish (&peer);
}

double
batch_raw (const Bench *bench,
           guint count)
{
  struct iovec vector = { bench_payload, bench->size };
  struct mmsghdr headers[BATCH];
  Peer peer;

  for (guint i = 0; i < BATCH; i++)
    headers[i] = (struct mmsghdr){ .msg_hdr.msg_iov = &vector, .msg_hdr.msg_iovlen = 1 };
  peer_start (&peer, role_receive, bench, count);
  peer_go (&peer);
  for (guint left = count; left > 0;)
    {
      int n = sendmmsg (peer.fd, headers, MIN (left, BATCH), MSG_NOSIGNAL);

      if (n <= 0)
        g_error ("sendmmsg: %s", g_strerror (errno));
      left -= n;
    }
  return finish (&peer);
}

static void
drain_cb (UsockChannel *channel,
          gboolean *drained)
{
  *drained = TRUE;
}

static guint
send_one (UsockChannel *channel,
          const Bench *bench,
          guint left)
{
  g_autoptr (GError) error = NULL;

  if (!usock_channel_send (channel, bench_payload, bench->size, &error))
    g_error ("%s", error->message);
  return 1;
}

static guint
send_batch (UsockChannel *channel,
            const Bench *bench,
            guint left)
{
  static UsockMessage *messages[BATCH];
  g_autoptr (GError) error = NULL;
  gsize n;

  for (guint i = 0; i < BATCH && messages[i] == NULL; i++)
    messages[i] = usock_message_new (bench_payload, bench->size);
  n = usock_channel_send_messages (channel, messages, MIN (left, BATCH), &error);
  if (n == 0)
    g_error ("%s", error->message);
  return n;
}

static double
run_usock (const Bench *bench,
           guint count,
           guint (*send_some) (UsockChannel *channel, const Bench *bench, guint left))
{
  g_autoptr (UsockChannel) channel = NULL;
  gboolean drained;
  guint64 mark;
  Peer peer;
  double pace;

  peer_start (&peer, role_receive, bench, count);
  channel = peer_adopt (&peer.fd);
  mark = usock_channel_get_high_water_mark (channel);
  g_signal_connect (channel, "drain", G_CALLBACK (drain_cb), &drained);
  peer_go (&peer);
  for (guint left = count; left > 0;)
    {
      while (left > 0 && usock_channel_get_queued_bytes (channel) <= mark)
        left -= send_some (channel, bench, left);
      for (drained = left == 0; !drained;)
        g_main_context_iteration (NULL, TRUE);
    }
  while (usock_channel_get_queued_bytes (channel) > 0)
    g_main_context_iteration (NULL, TRUE);
  pace = peer_wait (&peer);
  usock_socket_close (USOCK_SOCKET (channel));
  usock_run_until_closed (NULL);
  peer_stop (&peer);
  return pace;
}

double
send_usock (const Bench *bench,
            guint count)
{
  return run_usock (bench, count, send_one);
}

double
batch_usock (const Bench *bench,
             guint count)
{
  return run_usock (bench, count, send_batch);
}

typedef struct
{
  const Bench *bench;
  guint left;
  gboolean batch;
} Sender;

static gint
gsocket_send_some (GSocket *socket,
                   Sender *sender)
{
  GOutputVector vector = { bench_payload, sender->bench->size };
  GOutputMessage messages[BATCH];

  if (!sender->batch)
    return g_socket_send (socket, (char *) bench_payload, sender->bench->size, NULL, NULL) < 0
             ? -1 : 1;

  for (guint i = 0; i < BATCH; i++)
    messages[i] = (GOutputMessage){ .vectors = &vector, .num_vectors = 1 };
  return g_socket_send_messages (socket, messages, MIN (sender->left, BATCH), 0, NULL, NULL);
}

static gboolean
gsocket_writable_cb (GSocket *socket,
                     GIOCondition condition,
                     gpointer user_data)
{
  Sender *sender = user_data;

  while (sender->left > 0)
    {
      int n = gsocket_send_some (socket, sender);

      if (n < 0)
        return TRUE;
      sender->left -= n;
    }
  return FALSE;
}

static double
run_gsocket (const Bench *bench,
             guint count,
             gboolean batch)
{
  Sender sender = { bench, count, batch };
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GSource) source = NULL;
  Peer peer;

  peer_start (&peer, role_receive, bench, count);
  socket = peer_adopt_gsocket (&peer.fd);
  source = g_socket_create_source (socket, G_IO_OUT, NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (gsocket_writable_cb), &sender, NULL);
  g_source_attach (source, NULL);
  peer_go (&peer);
  while (sender.left > 0)
    g_main_context_iteration (NULL, TRUE);
  return finish (&peer);
}

double
send_gsocket (const Bench *bench,
              guint count)
{
  return run_gsocket (bench, count, FALSE);
}

double
batch_gsocket (const Bench *bench,
               guint count)
{
  return run_gsocket (bench, count, TRUE);
}
