/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* io_uring, which receives again and again for one submission. */

#include "bench.h"

#include <errno.h>
#include <liburing.h>

#define N_BUFFERS 256
#define GROUP 1

static Pace pace;

static void
submit (struct io_uring *ring,
        int fd)
{
  struct io_uring_sqe *entry = io_uring_get_sqe (ring);

  io_uring_prep_recv_multishot (entry, fd, NULL, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = GROUP;
  io_uring_submit (ring);
}

static void
give_buffers (struct io_uring_buf_ring *buffers,
              guint8 *memory,
              const Bench *bench)
{
  io_uring_buf_ring_init (buffers);
  for (guint i = 0; i < N_BUFFERS; i++)
    io_uring_buf_ring_add (buffers, memory + i * bench->size, bench->size, i,
                           io_uring_buf_ring_mask (N_BUFFERS), i);
  io_uring_buf_ring_advance (buffers, N_BUFFERS);
}

static void
take (struct io_uring *ring,
      struct io_uring_buf_ring *buffers,
      guint8 *memory,
      const Bench *bench,
      int fd)
{
  struct io_uring_cqe *entry;
  guint n = 0;
  guint head;

  io_uring_for_each_cqe (ring, head, entry)
    {
      guint buffer = entry->flags >> IORING_CQE_BUFFER_SHIFT;

      n++;
      if (entry->res == (int) bench->size)
        {
          io_uring_buf_ring_add (buffers, memory + buffer * bench->size, bench->size, buffer,
                                 io_uring_buf_ring_mask (N_BUFFERS), 0);
          io_uring_buf_ring_advance (buffers, 1);
          pace_count (&pace, 1);
        }
      if ((entry->flags & IORING_CQE_F_MORE) == 0)
        submit (ring, fd);
    }
  io_uring_cq_advance (ring, n);
}

double
receive_uring (const Bench *bench,
               guint count)
{
  g_autofree guint8 *memory = g_malloc (N_BUFFERS * bench->size);
  struct io_uring_buf_ring *buffers = NULL;
  struct io_uring_buf_reg registration = { .ring_entries = N_BUFFERS, .bgid = GROUP };
  gsize size = N_BUFFERS * sizeof (struct io_uring_buf);
  struct io_uring ring;
  Peer peer;

  if (io_uring_queue_init (N_BUFFERS * 2, &ring, 0) < 0
      || posix_memalign ((void **) &buffers, 4096, size) != 0)
    return -1;
  registration.ring_addr = (gsize) buffers;
  if (io_uring_register_buf_ring (&ring, &registration, 0) < 0)
    return -1;

  give_buffers (buffers, memory, bench);
  pace_start (&pace, count, STRETCH_ONE_WAY);
  peer_start (&peer, role_send, bench, count);
  submit (&ring, peer.fd);
  peer_go (&peer);
  while (pace.n_left > 0)
    {
      struct io_uring_cqe *entry;

      if (io_uring_wait_cqe (&ring, &entry) < 0)
        g_error ("io_uring");
      take (&ring, buffers, memory, bench, peer.fd);
    }
  peer_stop (&peer);
  io_uring_queue_exit (&ring);
  free (buffers);
  return pace.best;
}
