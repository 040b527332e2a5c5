/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* libuv, which has no packets: a program watches the descriptor and makes the calls itself. */

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <uv.h>

static Pace pace;

static void
watch (uv_loop_t *loop,
       uv_poll_t *handle,
       const Bench *bench,
       int fd,
       uv_poll_cb callback)
{
  handle->data = (gpointer) bench;
  if (uv_poll_init (loop, handle, fd) < 0 || uv_poll_start (handle, UV_READABLE, callback) < 0)
    g_error ("uv_poll");
}

static void
receive_cb (uv_poll_t *handle,
            int status,
            int events)
{
  const Bench *bench = handle->data;
  uv_os_fd_t fd;

  uv_fileno ((uv_handle_t *) handle, &fd);
  while (pace.n_left > 0
         && recv (fd, bench_payload, bench->size, MSG_DONTWAIT) == (gssize) bench->size)
    pace_count (&pace, 1);
  if (pace.n_left == 0)
    uv_stop (handle->loop);
}

static void
echo_cb (uv_poll_t *handle,
         int status,
         int events)
{
  const Bench *bench = handle->data;
  gssize length;
  uv_os_fd_t fd;

  uv_fileno ((uv_handle_t *) handle, &fd);
  length = recv (fd, bench_payload, bench->size, MSG_DONTWAIT);
  if (length < 0 || send (fd, bench_payload, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    g_error ("echo: %s", g_strerror (errno));
  pace_count (&pace, 1);
  if (pace.n_left == 0)
    uv_stop (handle->loop);
}

static double
run (const Bench *bench,
     guint count,
     Role role,
     uv_poll_cb callback)
{
  g_autofree uv_poll_t *handles = g_new0 (uv_poll_t, bench->n_idle + 1);
  uv_loop_t loop;
  Peer peer;

  pace_start (&pace, count, role == role_ping ? STRETCH_ECHO : STRETCH_ONE_WAY);
  peer_start (&peer, role, bench, count);
  uv_loop_init (&loop);
  watch (&loop, &handles[0], bench, peer.fd, callback);
  for (guint i = 0; i < peer.n_idle; i++)
    watch (&loop, &handles[i + 1], bench, peer.idle[i], callback);

  peer_go (&peer);
  uv_run (&loop, UV_RUN_DEFAULT);
  for (guint i = 0; i <= peer.n_idle; i++)
    uv_close ((uv_handle_t *) &handles[i], NULL);
  uv_run (&loop, UV_RUN_DEFAULT);
  uv_loop_close (&loop);
  peer_stop (&peer);
  return pace.best;
}

double
receive_uv (const Bench *bench,
            guint count)
{
  return run (bench, count, role_send, receive_cb);
}

double
echo_uv (const Bench *bench,
         guint count)
{
  return run (bench, count, role_ping, echo_cb);
}
