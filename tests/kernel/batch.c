/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* How sendmmsg() and recvmmsg() count, stop and fail. */

#include "kernel.h"

#define BATCH 8
#define CONTROL_SIZE 256

typedef struct
{
  struct mmsghdr headers[BATCH];
  struct iovec vectors[BATCH];
  guint8 control[BATCH][CONTROL_SIZE];
  guint8 data[BATCH][256];
} Batch;

static void
batch_init (Batch *batch,
            gsize control_size)
{
  for (guint i = 0; i < BATCH; i++)
    {
      batch->vectors[i] = (struct iovec){ batch->data[i], sizeof batch->data[i] };
      batch->headers[i] = (struct mmsghdr){
        .msg_hdr.msg_iov = &batch->vectors[i],
        .msg_hdr.msg_iovlen = 1,
        .msg_hdr.msg_control = control_size > 0 ? batch->control[i] : NULL,
        .msg_hdr.msg_controllen = control_size,
      };
    }
}

static int
batch_receive (Batch *batch,
               int fd)
{
  int n = recvmmsg (fd, batch->headers, BATCH, MSG_DONTWAIT, NULL);

  return n < 0 ? -errno : n;
}

static int
batch_send (Batch *batch,
            int fd,
            guint first,
            guint n)
{
  int sent = sendmmsg (fd, batch->headers + first, n, MSG_DONTWAIT | MSG_NOSIGNAL);

  return sent < 0 ? -errno : sent;
}

static void
test_counts_the_end (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Batch batch;

  batch_init (&batch, 0);
  for (guint i = 0; i < 3; i++)
    put (p.a, 5);
  clear_fd (&p.a);
  g_assert_cmpint (batch_receive (&batch, p.b), ==, BATCH);
  for (guint i = 0; i < BATCH; i++)
    g_assert_cmpint (batch.headers[i].msg_len, ==, i < 3 ? 5 : 0);
}

static void
test_short_count (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Batch batch;

  batch_init (&batch, 0);
  for (guint i = 0; i < 3; i++)
    put (p.a, 0);
  g_assert_cmpint (batch_receive (&batch, p.b), ==, 3);
  g_assert_cmpint (batch_receive (&batch, p.b), ==, -EAGAIN);
}

static void
test_marks_in_batch (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Batch batch;

  set_option (p.b, SO_TIMESTAMPNS, 1);
  batch_init (&batch, CONTROL_SIZE);
  for (guint i = 0; i < 3; i++)
    put (p.a, 0);
  clear_fd (&p.a);
  g_assert_cmpint (batch_receive (&batch, p.b), ==, BATCH);
  for (guint i = 0; i < BATCH; i++)
    {
      if (i < 3)
        g_assert_cmpint (batch.headers[i].msg_hdr.msg_controllen, >, 0);
      else
        g_assert_cmpint (batch.headers[i].msg_hdr.msg_controllen, ==, 0);
    }
}

static void
test_reset_first (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Batch batch;

  batch_init (&batch, 0);
  put (p.b, 1);
  put (p.a, 5);
  clear_fd (&p.a);
  g_assert_cmpint (batch_receive (&batch, p.b), ==, -ECONNRESET);
  g_assert_cmpint (batch_receive (&batch, p.b), ==, BATCH);
  g_assert_cmpint (batch.headers[0].msg_len, ==, 5);
}

static void
test_headers_overwritten (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Batch batch;

  batch_init (&batch, CONTROL_SIZE);
  put (p.a, 5);
  g_assert_cmpint (batch_receive (&batch, p.b), ==, 1);
  g_assert_cmpint (batch.headers[0].msg_hdr.msg_controllen, ==, 0);
  g_assert_cmpint (batch.headers[1].msg_hdr.msg_controllen, ==, CONTROL_SIZE);
}

static void
test_stops_at_too_long (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  g_autofree guint8 *large = g_malloc0 (1024 * 1024);
  Batch batch;

  set_option (p.a, SO_SNDBUF, 32 * 1024);
  batch_init (&batch, 0);
  batch.vectors[2] = (struct iovec){ large, 1024 * 1024 };
  g_assert_cmpint (batch_send (&batch, p.a, 0, 5), ==, 2);
  g_assert_cmpint (batch_send (&batch, p.a, 2, 3), ==, -EMSGSIZE);
  g_assert_cmpint (batch_send (&batch, p.a, 3, 2), ==, 2);
}

static void
test_stops_when_full (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Batch batch;
  int n = BATCH;

  /* The smallest buffer holds fewer messages than the batch. */
  set_option (p.a, SO_SNDBUF, 0);
  batch_init (&batch, 0);
  n = batch_send (&batch, p.a, 0, BATCH);
  g_assert_cmpint (n, >, 0);
  g_assert_cmpint (n, <, BATCH);
  g_assert_cmpint (batch_send (&batch, p.a, n, BATCH - n), ==, -EAGAIN);
}

static void
test_at_most_1024 (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  g_autofree struct mmsghdr *headers = g_new0 (struct mmsghdr, 1100);

  set_option (p.a, SO_SNDBUF, 2 * 1024 * 1024);
  if (get_option (p.a, SO_SNDBUF) < 2 * 1024 * 1024)
    {
      g_test_skip ("net.core.wmem_max is too small for as many messages");
      return;
    }
  g_assert_cmpint (sendmmsg (p.a, headers, 1100, MSG_DONTWAIT), ==, 1024);
  g_assert_cmpint (recvmmsg (p.b, headers, 1100, MSG_DONTWAIT, NULL), ==, 1024);
}

const Fact batch_facts[] = {
  { "counts-the-end", "recvmmsg() fills all of its slots with the end",
    "the end is found in another way", test_counts_the_end },
  { "short-count", "recvmmsg() returns fewer than asked only when the queue is empty",
    "a read is forgotten and the connection stalls", test_short_count },
  { "marks-in-batch", "in recvmmsg() too, messages have a timestamp record and the end has none",
    "empty messages before the end are lost or made up", test_marks_in_batch },
  { "reset-first", "recvmmsg() fails with the reset before it gives the messages",
    "messages before a reset are lost", test_reset_first },
  { "headers-overwritten", "control lengths are overwritten for each message that came",
    "headers need not be reset", test_headers_overwritten },
  { "stops-at-too-long", "sendmmsg() stops before a message that is too long; asked again it fails",
    "the wrong message is reported as too long", test_stops_at_too_long },
  { "stops-when-full", "sendmmsg() returns how many fitted, and EAGAIN when none does",
    "messages are sent twice or lost", test_stops_when_full },
  { "at-most-1024", "1024 messages are the most in one call, and more are no error",
    "batches are split needlessly", test_at_most_1024 },
  { NULL },
};
