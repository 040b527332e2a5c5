/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-inlet-private.h"
#include "usock-test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER 1000

/* An inlet on one end of a pair of the wanted kind, and the raw other end. */
typedef struct
{
  UsockInlet inlet;
  UsockInletFrame frame;
  int peer;
} Scene;

static void
scene_start (Scene                 *scene,
             const UsockInletFuncs *funcs,
             int                    type)
{
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, fds), ==, 0);
  if (type != SOCK_STREAM)
    g_assert_cmpint (usock_io_set_markers (fds[0]), ==, 0);
  *scene = (Scene) { .peer = fds[1] };
  usock_inlet_init (&scene->inlet);
  scene->inlet.funcs = funcs;
  scene->inlet.fd = fds[0];
  scene->inlet.is_open = TRUE;
  scene->inlet.read_buffer_size = BUFFER;
  usock_inlet_begin (&scene->inlet, &scene->frame);
  usock_inlet_lend (&scene->inlet, &scene->frame, usock_io_batch_new (BUFFER));
}

static void
scene_end_frame (Scene           *scene,
                 UsockInletFrame *frame)
{
  UsockIoBatch *batch = usock_inlet_end (&scene->inlet, frame);

  g_clear_pointer (&batch, usock_io_batch_free);
}

static void
scene_stop (Scene *scene)
{
  scene_end_frame (scene, &scene->frame);
  usock_inlet_clear (&scene->inlet);
  close (scene->inlet.fd);
  if (scene->peer != -1)
    close (scene->peer);
}

static void
put (Scene *scene, const char *text)
{
  g_assert_cmpint (send (scene->peer, text, strlen (text), MSG_NOSIGNAL), ==, strlen (text));
}

static void
put_fds (Scene      *scene,
         const char *text,
         guint       n)
{
  struct iovec iov = { (gpointer) text, strlen (text) };
  UsockIoOutgoing outgoing = { .iov = &iov, .n_iov = 1, .n_fds = n };
  int fds[8] = { 0 };

  outgoing.fds = fds;
  g_assert_cmpint (usock_io_send (scene->peer, &outgoing), ==, strlen (text));
}

static void
expect_next (Scene *scene, const char *text)
{
  UsockIncoming incoming;

  g_assert_true (usock_inlet_next (&scene->inlet, &incoming));
  g_assert_cmpmem (incoming.data, incoming.length, text, strlen (text));
  if (incoming.message == NULL)
    g_assert_cmpint (incoming.data[incoming.length], ==, '\0');
  g_clear_pointer (&incoming.message, usock_message_unref);
}

static void
expect_no_more (Scene *scene)
{
  UsockIncoming incoming;

  g_assert_false (usock_inlet_holds_messages (&scene->inlet));
  g_assert_false (usock_inlet_next (&scene->inlet, &incoming));
}

static void
test_packets (UsockTest *test, gconstpointer data)
{
  UsockInlet *inlet;
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  inlet = &scene.inlet;
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, -EAGAIN);
  g_assert_true (inlet->emptied);

  put (&scene, "one");
  put (&scene, "");
  put (&scene, "three");
  /* A quiet inlet reads one, and then two. */
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  g_assert_false (inlet->emptied);
  expect_next (&scene, "one");
  expect_no_more (&scene);
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  expect_next (&scene, "");
  expect_next (&scene, "three");
  expect_no_more (&scene);
  g_assert_cmpuint (inlet->messages_read, ==, 3);
  g_assert_cmpuint (inlet->bytes_read, ==, 8);

  put (&scene, "last");
  shutdown (scene.peer, SHUT_WR);
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  expect_next (&scene, "last");
  g_assert_true (inlet->at_end);
  expect_no_more (&scene);
  g_assert_cmpuint (inlet->messages_read, ==, 4);
  scene_stop (&scene);
}

/* The reset comes once, and before what is still queued. */
static void
test_reset (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  put (&scene, "kept");
  g_assert_cmpint (send (scene.inlet.fd, "unread", 6, 0), ==, 6);
  close (g_steal_fd (&scene.peer));
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, -ECONNRESET);
  g_assert_false (scene.inlet.at_end);
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  expect_next (&scene, "kept");
  scene_stop (&scene);

  scene_start (&scene, &usock_inlet_bytes, SOCK_STREAM);
  put (&scene, "kept");
  g_assert_cmpint (send (scene.inlet.fd, "unread", 6, 0), ==, 6);
  close (g_steal_fd (&scene.peer));
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  expect_next (&scene, "kept");
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, -ECONNRESET);
  g_assert_true (scene.inlet.at_end);
  scene_stop (&scene);
}

static void
test_bytes (UsockTest *test, gconstpointer data)
{
  UsockInlet *inlet;
  Scene scene;

  scene_start (&scene, &usock_inlet_bytes, SOCK_STREAM);
  inlet = &scene.inlet;
  put (&scene, "ab");
  put (&scene, "cd");
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  expect_next (&scene, "abcd");
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, -EAGAIN);
  shutdown (scene.peer, SHUT_WR);
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  g_assert_true (inlet->at_end);
  expect_no_more (&scene);
  scene_stop (&scene);
}

/* Once more was asked for in vain often enough, a read that was not filled counts as the last: but
 * not where it may have stopped short of something. */
static void
test_calm_bytes (UsockTest *test, gconstpointer data)
{
  static const char full[BUFFER] = "full";
  UsockInlet *inlet;
  Scene scene;

  scene_start (&scene, &usock_inlet_bytes, SOCK_STREAM);
  inlet = &scene.inlet;
  inlet->eagerness.n_in_vain = 1000;
  put (&scene, "x");
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  g_assert_true (inlet->emptied);
  expect_next (&scene, "x");

  inlet->pass_credentials = TRUE;
  put (&scene, "x");
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  g_assert_false (inlet->emptied);
  expect_next (&scene, "x");
  inlet->pass_credentials = FALSE;

  inlet->eagerness = (UsockEagerness) { 1, 1000 };
  inlet->may_hide = TRUE;
  put (&scene, "x");
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  g_assert_false (inlet->emptied);
  expect_next (&scene, "x");
  inlet->may_hide = FALSE;

  inlet->eagerness = (UsockEagerness) { 1, 1000 };
  g_assert_cmpint (send (scene.peer, full, sizeof full, 0), ==, sizeof full);
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  g_assert_false (inlet->emptied);
  scene_stop (&scene);
}

/* Only where what is left will be told of again. */
static void
test_calm_packets (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  for (int level = 0; level < 2; level++)
    {
      scene.inlet.eagerness = (UsockEagerness) { 1, 1000 };
      scene.inlet.is_level = level;
      put (&scene, "x");
      g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
      g_assert_cmpint (scene.inlet.emptied, ==, level);
      expect_next (&scene, "x");
    }
  scene_stop (&scene);
}

static void
test_descriptors (UsockTest *test, gconstpointer data)
{
  UsockIncoming incoming;
  UsockMessage *message;
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  scene.inlet.max_fds = 2;
  scene.inlet.eagerness.wanted = 8;
  put_fds (&scene, "two", 2);
  put_fds (&scene, "three", 3);

  /* Descriptors may come, so one message at a time is read. */
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  g_assert_cmpuint (scene.inlet.count, ==, 1);
  g_assert_true (usock_inlet_next (&scene.inlet, &incoming));
  message = usock_inlet_make_message (&scene.inlet, &incoming);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 2);
  g_assert_cmpuint (incoming.n_fds, ==, 2);
  g_assert_nonnull (scene.inlet.tally);
  usock_message_unref (message);

  /* A short list would look complete. */
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  g_assert_true (usock_inlet_next (&scene.inlet, &incoming));
  message = usock_inlet_make_message (&scene.inlet, &incoming);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 0);
  g_assert_cmpint (usock_message_get_flags (message), ==, USOCK_MESSAGE_FLAGS_FDS_LOST);
  usock_message_unref (message);
  scene_stop (&scene);
}

/* From where the kernel does not refuse them, or before it did. */
static void
test_unwanted_descriptor (UsockTest *test, gconstpointer data)
{
  UsockIncoming incoming;
  UsockMessage *message;
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  put_fds (&scene, "one", 1);
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  g_assert_true (usock_inlet_next (&scene.inlet, &incoming));
  message = usock_inlet_make_message (&scene.inlet, &incoming);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 0);
  g_assert_cmpint (usock_message_get_flags (message), ==, USOCK_MESSAGE_FLAGS_FDS_LOST);
  usock_message_unref (message);
  scene_stop (&scene);
}

/* Bytes that have lost their descriptors are the last of a stream. */
static void
test_lost_descriptors (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &usock_inlet_bytes, SOCK_STREAM);
  scene.inlet.max_fds = 1;
  put_fds (&scene, "one", 1);
  put_fds (&scene, "three", 3);
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  g_assert_cmpuint (scene.inlet.inbox.length, ==, 1);
  expect_next (&scene, "one");
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, -EMSGSIZE);
  g_assert_cmpuint (scene.inlet.lost_length, ==, 5);
  g_assert_true (scene.inlet.at_end);
  expect_no_more (&scene);
  scene_stop (&scene);
}

/* A turn in a nested main loop takes what the outer one has read, and leaves the rest to it. */
static void
test_frames (UsockTest *test, gconstpointer data)
{
  UsockInletFrame nested, deepest;
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  scene.inlet.eagerness.wanted = 4;
  for (guint i = 0; i < 7; i++)
    put (&scene, (const char[]) { '1' + i, '\0' });
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  expect_next (&scene, "1");

  usock_inlet_begin (&scene.inlet, &nested);
  expect_next (&scene, "2");
  usock_inlet_begin (&scene.inlet, &deepest);
  expect_next (&scene, "3");
  expect_next (&scene, "4");
  expect_no_more (&scene);
  usock_inlet_lend (&scene.inlet, &deepest, usock_io_batch_new (BUFFER));
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 3), ==, 0);
  expect_next (&scene, "5");
  scene_end_frame (&scene, &deepest);
  scene_end_frame (&scene, &nested);

  expect_next (&scene, "6");
  expect_next (&scene, "7");
  expect_no_more (&scene);
  scene_stop (&scene);
}

static void
test_inbox (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  scene.inlet.eagerness.wanted = 2;
  put (&scene, "b");
  put (&scene, "c");
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  usock_inlet_stow (&scene.inlet);
  g_assert_cmpuint (scene.inlet.inbox.length, ==, 2);
  usock_inlet_put_back (&scene.inlet, usock_message_new ((const guint8 *) "a", 1));
  expect_next (&scene, "a");
  expect_next (&scene, "b");
  expect_next (&scene, "c");

  /* What is read when it is over belongs to nobody. */
  put (&scene, "d");
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  scene.inlet.is_open = FALSE;
  usock_inlet_stow (&scene.inlet);
  expect_no_more (&scene);
  scene_stop (&scene);
}

static void
test_datagrams (UsockTest *test, gconstpointer data)
{
  UsockIncoming incoming;
  Scene scene;

  scene_start (&scene, &usock_inlet_datagrams, SOCK_DGRAM);
  put (&scene, "");
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  g_assert_false (scene.inlet.at_end);
  g_assert_true (usock_inlet_next (&scene.inlet, &incoming));
  g_assert_null (usock_message_get_sender (usock_inlet_make_message (&scene.inlet, &incoming)));
  usock_message_unref (incoming.message);
  g_assert_true (scene.inlet.funcs->forgives (ECONNREFUSED));
  g_assert_true (scene.inlet.funcs->forgives (EHOSTUNREACH));
  g_assert_false (scene.inlet.funcs->forgives (EIO));
  scene_stop (&scene);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/inlet/packets", test_packets);
  usock_test_add ("/usock/inlet/reset", test_reset);
  usock_test_add ("/usock/inlet/bytes", test_bytes);
  usock_test_add ("/usock/inlet/calm/bytes", test_calm_bytes);
  usock_test_add ("/usock/inlet/calm/packets", test_calm_packets);
  usock_test_add ("/usock/inlet/descriptors", test_descriptors);
  usock_test_add ("/usock/inlet/unwanted-descriptor", test_unwanted_descriptor);
  usock_test_add ("/usock/inlet/descriptors/lost", test_lost_descriptors);
  usock_test_add ("/usock/inlet/frames", test_frames);
  usock_test_add ("/usock/inlet/inbox", test_inbox);
  usock_test_add ("/usock/inlet/datagrams", test_datagrams);

  return g_test_run ();
}
