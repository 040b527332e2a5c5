/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Another process sends as fast as it can, and this one receives in one of several ways. */

#include "bench.h"

#include <errno.h>
#include <gio/gunixfdmessage.h>
#include <sys/socket.h>
#include <unistd.h>

static Pace pace;

static void
run_until_received (Peer *peer)
{
  peer_go (peer);
  while (pace.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
}

double
receive_raw (const Bench *bench,
             guint count)
{
  Peer peer;

  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (&peer, role_send, bench, count);
  peer_go (&peer);
  for (; pace.n_left > 0; pace_count (&pace, 1))
    if (recv (peer.fd, bench_payload, bench->size, 0) != (gssize) bench->size)
      g_error ("a message is missing");
  peer_stop (&peer);
  return pace.best;
}

#define BATCH 64

double
receive_raw_many (const Bench *bench,
                  guint count)
{
  g_autofree guint8 *buffer = g_malloc (BATCH * bench->size);
  struct mmsghdr headers[BATCH] = { 0 };
  struct iovec vectors[BATCH];
  Peer peer;

  for (guint i = 0; i < BATCH; i++)
    {
      vectors[i] = (struct iovec){ buffer + i * bench->size, bench->size };
      headers[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
    }
  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (&peer, role_send, bench, count);
  peer_go (&peer);
  while (pace.n_left > 0)
    {
      int n = recvmmsg (peer.fd, headers, BATCH, MSG_WAITFORONE, NULL);

      if (n <= 0)
        g_error ("recvmmsg: %s", g_strerror (errno));
      pace_count (&pace, n);
    }
  peer_stop (&peer);
  return pace.best;
}

static void
data_cb (UsockChannel *channel,
         GByteArray *bytes,
         gpointer user_data)
{
  pace_count (&pace, 1);
}

static void
message_cb (UsockChannel *channel,
            UsockMessage *message,
            gpointer user_data)
{
  pace_count (&pace, 1);
}

static void
batch_cb (UsockChannel *channel,
          GPtrArray *messages,
          gpointer user_data)
{
  pace_count (&pace, messages->len);
}

static void
received_cb (GObject *object,
             GAsyncResult *result,
             gpointer user_data)
{
  UsockChannel *channel = USOCK_CHANNEL (object);
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) message = usock_channel_receive_finish (channel, result, &error);

  if (message == NULL)
    g_error ("a message is missing: %s", error ? error->message : "the end came first");
  pace_count (&pace, 1);
  if (pace.n_left > 0)
    usock_channel_receive_async (channel, NULL, received_cb, NULL);
}

static void
func_cb (UsockChannel *channel,
         const guint8 *data,
         gsize length,
         gpointer user_data)
{
  pace_count (&pace, 1);
}

static double
receive_usock (const Bench *bench,
               guint count,
               const char *signal,
               GCallback callback,
               Role role)
{
  g_autoptr (UsockChannel) channel = NULL;
  Peer peer;

  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (&peer, role, bench, count);
  channel = peer_adopt (&peer.fd);
  usock_channel_set_max_fds (channel, role == role_send_fds ? 1 : 0);
  if (callback == G_CALLBACK (func_cb))
    usock_channel_set_receive_func (channel, func_cb, NULL, NULL);
  else if (signal != NULL)
    g_signal_connect (channel, signal, callback, NULL);
  else
    usock_channel_receive_async (channel, NULL, received_cb, NULL);
  run_until_received (&peer);
  usock_socket_close (USOCK_SOCKET (channel));
  usock_run_until_closed (NULL);
  peer_stop (&peer);
  return pace.best;
}

double
receive_data (const Bench *bench,
              guint count)
{
  return receive_usock (bench, count, "data", G_CALLBACK (data_cb), role_send);
}

double
receive_func (const Bench *bench,
              guint count)
{
  return receive_usock (bench, count, NULL, G_CALLBACK (func_cb), role_send);
}

double
receive_message (const Bench *bench,
                 guint count)
{
  return receive_usock (bench, count, "message", G_CALLBACK (message_cb), role_send);
}

double
receive_batch (const Bench *bench,
               guint count)
{
  return receive_usock (bench, count, "batch", G_CALLBACK (batch_cb), role_send);
}

double
receive_async (const Bench *bench,
               guint count)
{
  return receive_usock (bench, count, NULL, NULL, role_send);
}

static double
run_gsocket (const Bench *bench,
             guint count,
             Role role,
             GSocketSourceFunc callback)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GSource) source = NULL;
  Peer peer;

  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (&peer, role, bench, count);
  socket = peer_adopt_gsocket (&peer.fd);
  source = g_socket_create_source (socket, G_IO_IN, NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (callback), (gpointer) bench, NULL);
  g_source_attach (source, NULL);
  run_until_received (&peer);
  g_source_destroy (source);
  g_socket_close (socket, NULL);
  peer_stop (&peer);
  return pace.best;
}

static gboolean
gsocket_readable_cb (GSocket *socket,
                     GIOCondition condition,
                     gpointer user_data)
{
  const Bench *bench = user_data;
  gssize length = g_socket_receive (socket, (char *) bench_payload, bench->size, NULL, NULL);

  if (length == (gssize) bench->size)
    pace_count (&pace, 1);
  return pace.n_left > 0;
}

double
receive_gsocket (const Bench *bench,
                 guint count)
{
  return run_gsocket (bench, count, role_send, gsocket_readable_cb);
}

/* As a program does that wants to be fast: until there is nothing. */
static gboolean
gsocket_loop_cb (GSocket *socket,
                 GIOCondition condition,
                 gpointer user_data)
{
  const Bench *bench = user_data;

  while (pace.n_left > 0
         && g_socket_receive (socket, (char *) bench_payload, bench->size, NULL, NULL)
                == (gssize) bench->size)
    pace_count (&pace, 1);
  return pace.n_left > 0;
}

double
receive_gsocket_loop (const Bench *bench,
                      guint count)
{
  return run_gsocket (bench, count, role_send, gsocket_loop_cb);
}

static gboolean
gsocket_many_cb (GSocket *socket,
                 GIOCondition condition,
                 gpointer user_data)
{
  static guint8 *buffer = NULL;
  const Bench *bench = user_data;
  GInputVector vectors[BATCH];
  GInputMessage messages[BATCH] = { 0 };
  int n;

  if (buffer == NULL)
    buffer = g_malloc (BATCH * bench->size);
  for (guint i = 0; i < BATCH; i++)
    {
      vectors[i] = (GInputVector){ buffer + i * bench->size, bench->size };
      messages[i] = (GInputMessage){ .vectors = &vectors[i], .num_vectors = 1 };
    }
  n = g_socket_receive_messages (socket, messages, BATCH, 0, NULL, NULL);
  if (n > 0)
    pace_count (&pace, MIN ((guint) n, pace.n_left));
  return pace.n_left > 0;
}

double
receive_gsocket_many (const Bench *bench,
                      guint count)
{
  return run_gsocket (bench, count, role_send, gsocket_many_cb);
}

static int
take_fd (struct msghdr *header)
{
  struct cmsghdr *control = CMSG_FIRSTHDR (header);

  return control != NULL ? *(int *) (gpointer) CMSG_DATA (control) : -1;
}

double
fds_raw (const Bench *bench,
         guint count)
{
  struct iovec vector = { bench_payload, bench->size };
  Peer peer;

  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (&peer, role_send_fds, bench, count);
  peer_go (&peer);
  for (; pace.n_left > 0; pace_count (&pace, 1))
    {
      union
      {
        struct cmsghdr header;
        char space[CMSG_SPACE (sizeof (int))];
      } control;
      struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
      };

      if (recvmsg (peer.fd, &message, MSG_CMSG_CLOEXEC) != (gssize) bench->size
          || close (take_fd (&message)) < 0)
        g_error ("a descriptor is missing");
    }
  peer_stop (&peer);
  return pace.best;
}

static void
message_with_fd_cb (UsockChannel *channel,
                    UsockMessage *message,
                    gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  int fd = usock_message_take_fd (message, 0, &error);

  if (fd < 0 || close (fd) < 0)
    g_error ("a descriptor is missing: %s", error ? error->message : "it was closed");
  pace_count (&pace, 1);
}

double
fds_message (const Bench *bench,
             guint count)
{
  return receive_usock (bench, count, "message", G_CALLBACK (message_with_fd_cb), role_send_fds);
}

static gboolean
gsocket_fd_cb (GSocket *socket,
               GIOCondition condition,
               gpointer user_data)
{
  const Bench *bench = user_data;
  GInputVector vector = { bench_payload, bench->size };
  GSocketControlMessage **messages = NULL;
  int n_messages = 0;
  int flags = 0;
  gssize length = g_socket_receive_message (socket, NULL, &vector, 1, &messages, &n_messages,
                                            &flags, NULL, NULL);

  if (length == (gssize) bench->size && n_messages == 1)
    {
      g_autofree int *fds = g_unix_fd_message_steal_fds (G_UNIX_FD_MESSAGE (messages[0]), NULL);

      close (fds[0]);
      pace_count (&pace, 1);
    }
  for (int i = 0; i < n_messages; i++)
    g_object_unref (messages[i]);
  g_free (messages);
  return pace.n_left > 0;
}

double
fds_gsocket (const Bench *bench,
             guint count)
{
  return run_gsocket (bench, count, role_send_fds, gsocket_fd_cb);
}
