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
test_init (UsockTest *test, gconstpointer data)
{
  UsockInlet inlet = { 0 };

  usock_inlet_init (&inlet);
  g_assert_cmpint (inlet.fd, ==, -1);
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

/* Where descriptors may come, or have come, one message at a time is read. */
static void
test_singly (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < 4; i++)
    {
      Scene scene;

      scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
      scene.inlet.max_fds = i == 1;
      scene.inlet.pass_pidfd = i == 2;
      if (i == 3)
        usock_inlet_make_tally (&scene.inlet);
      scene.inlet.eagerness.wanted = 2;
      put (&scene, "1");
      put (&scene, "2");
      g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
      g_assert_cmpuint (scene.inlet.count, ==, i == 0 ? 2 : 1);
      scene_stop (&scene);
    }
}

/* Who asked for more in vain is told so. */
static void
test_in_vain (UsockTest *test, gconstpointer data)
{
  const UsockInletFuncs *funcs[] = { &usock_inlet_packets, &usock_inlet_bytes };
  const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };

  for (guint i = 0; i < G_N_ELEMENTS (funcs); i++)
    {
      Scene scene;

      scene_start (&scene, funcs[i], types[i]);
      scene.inlet.eagerness.wanted = 2;
      for (guint n = 1; n < 3; n++)
        {
          g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, -EAGAIN);
          g_assert_cmpuint (scene.inlet.eagerness.n_in_vain, ==, n);
          scene.inlet.eagerness.wanted = 2;
        }
      put (&scene, "x");
      g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
      g_assert_cmpuint (scene.inlet.eagerness.n_in_vain, ==, 0);
      scene_stop (&scene);
    }
}

/* The next message where it was read, if it is bytes only and nothing stands before it. */
static void
test_plain (UsockTest *test, gconstpointer data)
{
  UsockIncoming incoming;
  UsockInlet *inlet;
  guint8 *bytes;
  gsize length;
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  inlet = &scene.inlet;
  inlet->eagerness.wanted = 4;
  put (&scene, "one");
  put (&scene, "three");
  put_fds (&scene, "fd", 1);
  g_assert_cmpint (usock_inlet_fill (inlet, 64), ==, 0);
  g_assert_cmpuint (inlet->count, ==, 3);
  usock_inlet_put_back (inlet, usock_message_new ((const guint8 *) "first", 5));
  g_assert_false (usock_inlet_next_plain (inlet, &bytes, &length));
  expect_next (&scene, "first");

  for (guint i = 0; i < 2; i++)
    {
      g_assert_true (usock_inlet_next_plain (inlet, &bytes, &length));
      g_assert_cmpstr ((char *) bytes, ==, "one");
      g_assert_cmpuint (length, ==, 3);
      g_assert_cmpuint (inlet->bytes_read, ==, 3);
      g_assert_cmpuint (inlet->messages_read, ==, 1);
      if (i == 0)
        usock_inlet_untake_plain (inlet, length);
      g_assert_cmpuint (inlet->bytes_read, ==, i == 0 ? 0 : 3);
      g_assert_cmpuint (inlet->messages_read, ==, i == 0 ? 0 : 1);
    }
  expect_next (&scene, "three");
  g_assert_false (usock_inlet_next_plain (inlet, &bytes, &length));
  g_assert_true (usock_inlet_next (inlet, &incoming));
  usock_message_unref (usock_inlet_make_message (inlet, &incoming));
  g_assert_false (usock_inlet_next_plain (inlet, &bytes, &length));
  g_assert_cmpuint (inlet->bytes_read, ==, 10);
  g_assert_cmpuint (inlet->messages_read, ==, 3);
  scene_stop (&scene);
}

/* Is as good out of the inbox as where it was read. */
static void
test_truncated (UsockTest *test, gconstpointer data)
{
  static const char large[BUFFER + 7] = "large";
  UsockIncoming incoming;
  UsockMessage *message;
  Scene scene;

  for (guint stows = 0; stows < 2; stows++)
    {
      scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
      scene.inlet.eagerness.wanted = 2;
      g_assert_cmpint (send (scene.peer, large, sizeof large, 0), ==, sizeof large);
      put (&scene, "whole");
      g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
      if (stows)
        usock_inlet_stow (&scene.inlet);
      for (guint i = 0; i < 2; i++)
        {
          g_assert_true (usock_inlet_next (&scene.inlet, &incoming));
          g_assert_cmpuint (incoming.length, ==, i == 0 ? BUFFER : 5);
          g_assert_cmpuint (incoming.full_length, ==, i == 0 ? sizeof large : 5);
          g_assert_cmpint (incoming.truncated, ==, i == 0);
          message = usock_inlet_make_message (&scene.inlet, &incoming);
          g_assert_cmpint (usock_message_get_flags (message), ==,
                           i == 0 ? USOCK_MESSAGE_FLAGS_TRUNCATED : USOCK_MESSAGE_FLAGS_NONE);
          usock_message_unref (message);
        }
      expect_no_more (&scene);
      scene_stop (&scene);
    }
}

static void
fell_cb (gpointer n)
{
  (*(guint *) n)++;
}

static UsockMessage *
take_message (Scene *scene)
{
  UsockIncoming incoming;

  g_assert_cmpint (usock_inlet_fill (&scene->inlet, 1), ==, 0);
  g_assert_true (usock_inlet_next (&scene->inlet, &incoming));
  return usock_inlet_make_message (&scene->inlet, &incoming);
}

/* What messages hold counts until they let it go. What was read already is given all the same. */
static void
test_held_fds (UsockTest *test, gconstpointer data)
{
  UsockInlet *inlet;
  UsockMessage *plain, *message;
  guint n_fell = 0;
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  inlet = &scene.inlet;
  inlet->max_fds = inlet->max_held_fds = 1;
  inlet->fell = fell_cb;
  inlet->fell_data = &n_fell;
  put (&scene, "plain");
  plain = take_message (&scene);
  g_assert_null (inlet->tally);
  g_assert_false (usock_inlet_holds_enough_fds (inlet));
  put_fds (&scene, "one", 1);
  message = take_message (&scene);
  g_assert_nonnull (inlet->tally);
  g_assert_true (usock_inlet_holds_enough_fds (inlet));

  inlet->max_held_fds = 2;
  g_assert_false (usock_inlet_holds_enough_fds (inlet));
  inlet->max_held_fds = 0;
  g_assert_false (usock_inlet_holds_enough_fds (inlet));
  inlet->max_held_fds = 1;
  usock_inlet_put_back (inlet, plain);
  g_assert_false (usock_inlet_holds_enough_fds (inlet));
  expect_next (&scene, "plain");
  g_assert_true (usock_inlet_holds_enough_fds (inlet));
  usock_message_unref (message);
  g_assert_false (usock_inlet_holds_enough_fds (inlet));
  scene_stop (&scene);
}

/* A message that outlives the inlet tells nobody. */
static void
test_outlived (UsockTest *test, gconstpointer data)
{
  guint n_fell = 0;

  for (guint outlives = 0; outlives < 2; outlives++)
    {
      UsockMessage *message;
      Scene scene;

      scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
      scene.inlet.max_fds = scene.inlet.max_held_fds = 1;
      scene.inlet.fell = fell_cb;
      scene.inlet.fell_data = &n_fell;
      put_fds (&scene, "one", 1);
      message = take_message (&scene);
      usock_tally_reaches (scene.inlet.tally, 1);
      if (!outlives)
        usock_message_unref (message);
      g_assert_cmpuint (n_fell, ==, 1);
      scene_stop (&scene);
      if (outlives)
        usock_message_unref (message);
      g_assert_cmpuint (n_fell, ==, 1);
    }
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

/* Those of the message are closed, and nothing beside them. */
static void
test_unwanted_descriptors_only (UsockTest *test, gconstpointer data)
{
  UsockIncoming incoming;
  UsockIoControl control;
  Scene scene;
  int ours = dup (STDIN_FILENO);

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  put_fds (&scene, "one", 1);
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  g_assert_true (usock_inlet_next (&scene.inlet, &incoming));
  control.fds[1] = ours;
  usock_inlet_take_control (&scene.inlet, &incoming, &control);
  g_assert_cmpuint (control.n_fds, ==, 0);
  g_assert_true (control.fds_lost);
  g_assert_false (incoming.has_control);
  usock_closer_settle (scene.inlet.tally);
  g_assert_no_errno (close (ours));
  scene_stop (&scene);
}

/* One that comes to who does not want it any more is closed. */
static void
test_pidfd (UsockTest *test, gconstpointer data)
{
  for (gboolean wanted = FALSE; wanted <= TRUE; wanted++)
    {
      g_autoptr (UsockMessage) message = NULL;
      g_autoptr (GError) failure = NULL;
      const int one = 1;
      Scene scene;
      int fd;

      scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
      if (setsockopt (scene.inlet.fd, SOL_SOCKET, USOCK_SO_PASSPIDFD, &one, sizeof one) == 0)
        {
          scene.inlet.pass_pidfd = wanted;
          put (&scene, "x");
          message = take_message (&scene);
          fd = usock_message_dup_pidfd (message, &failure);
          g_assert_cmpint (fd != -1, ==, wanted);
          if (fd != -1)
            close (fd);
        }
      else
        g_test_skip ("The kernel has none to give");
      scene_stop (&scene);
    }
}

/* What there is no memory for is seen to be missing, and ends a stream. */
static void
test_no_memory (UsockTest *test, gconstpointer data)
{
#ifdef __SANITIZE_ADDRESS__
  g_test_skip ("The sanitizer refuses to be asked for so much");
#else
  const UsockInletFuncs *funcs[] = { &usock_inlet_packets, &usock_inlet_bytes };
  const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };

  for (gboolean is_bytes = FALSE; is_bytes <= TRUE; is_bytes++)
    {
      g_autoptr (UsockMessage) message = NULL;
      UsockIncoming incoming;
      Scene scene;

      scene_start (&scene, funcs[is_bytes], types[is_bytes]);
      put (&scene, "x");
      g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
      g_assert_true (usock_inlet_next (&scene.inlet, &incoming));
      incoming.length = incoming.full_length = G_MAXSSIZE - 1;
      message = usock_inlet_make_message (&scene.inlet, &incoming);
      g_assert_cmpuint (usock_message_get_length (message), ==, 0);
      g_assert_cmpuint (usock_message_get_full_length (message), ==, G_MAXSSIZE - 1);
      g_assert_cmpint (usock_message_get_flags (message), ==, USOCK_MESSAGE_FLAGS_TRUNCATED);
      g_assert_cmpuint (incoming.length, ==, 0);
      g_assert_cmpint (scene.inlet.at_end, ==, is_bytes);
      g_assert_cmpint (scene.inlet.is_starved, ==, is_bytes);
      scene_stop (&scene);
    }
#endif
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

/* Unless nobody wanted any. */
static void
test_unwanted_descriptor_of_bytes (UsockTest *test, gconstpointer data)
{
  UsockIncoming incoming;
  Scene scene;

  scene_start (&scene, &usock_inlet_bytes, SOCK_STREAM);
  put_fds (&scene, "one", 1);
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  g_assert_false (scene.inlet.at_end);
  g_assert_true (usock_inlet_next (&scene.inlet, &incoming));
  g_assert_cmpint (usock_message_get_flags (incoming.message), ==, USOCK_MESSAGE_FLAGS_FDS_LOST);
  g_clear_pointer (&incoming.message, usock_message_unref);
  put (&scene, "two");
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  expect_next (&scene, "two");
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

/* A larger batch takes the place of the frame's own; the outer one goes on where it was. */
static void
test_lend_again (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *smaller = usock_io_batch_new (BUFFER);
  UsockInletFrame nested;
  Scene scene;

  scene_start (&scene, &usock_inlet_packets, SOCK_SEQPACKET);
  scene.inlet.eagerness.wanted = 2;
  for (guint i = 0; i < 5; i++)
    put (&scene, (const char[]) { '1' + i, '\0' });
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 64), ==, 0);
  usock_inlet_begin (&scene.inlet, &nested);
  expect_next (&scene, "1");
  expect_next (&scene, "2");
  usock_inlet_lend (&scene.inlet, &nested, smaller);
  g_assert_cmpuint (scene.inlet.next + scene.inlet.count, ==, 0);
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 1), ==, 0);
  expect_next (&scene, "3");
  usock_inlet_lend (&scene.inlet, &nested, usock_io_batch_new (2 * BUFFER));
  usock_io_batch_free (smaller);
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 1), ==, 0);
  scene_end_frame (&scene, &nested);
  g_assert_cmpuint (scene.inlet.next, ==, 2);
  g_assert_cmpuint (scene.inlet.count, ==, 2);
  expect_next (&scene, "4");
  expect_no_more (&scene);
  g_assert_cmpint (usock_inlet_fill (&scene.inlet, 1), ==, 0);
  expect_next (&scene, "5");
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
  scene.inlet.max_fds = 1;
  put_fds (&scene, "d", 1);
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

  usock_test_add ("/usock/inlet/init", test_init);
  usock_test_add ("/usock/inlet/packets", test_packets);
  usock_test_add ("/usock/inlet/reset", test_reset);
  usock_test_add ("/usock/inlet/bytes", test_bytes);
  usock_test_add ("/usock/inlet/calm/bytes", test_calm_bytes);
  usock_test_add ("/usock/inlet/calm/packets", test_calm_packets);
  usock_test_add ("/usock/inlet/singly", test_singly);
  usock_test_add ("/usock/inlet/in-vain", test_in_vain);
  usock_test_add ("/usock/inlet/plain", test_plain);
  usock_test_add ("/usock/inlet/truncated", test_truncated);
  usock_test_add ("/usock/inlet/held-fds", test_held_fds);
  usock_test_add ("/usock/inlet/outlived", test_outlived);
  usock_test_add ("/usock/inlet/descriptors", test_descriptors);
  usock_test_add ("/usock/inlet/unwanted-descriptor", test_unwanted_descriptor);
  usock_test_add ("/usock/inlet/unwanted-descriptor/only", test_unwanted_descriptors_only);
  usock_test_add ("/usock/inlet/pidfd", test_pidfd);
  usock_test_add ("/usock/inlet/no-memory", test_no_memory);
  usock_test_add ("/usock/inlet/descriptors/lost", test_lost_descriptors);
  usock_test_add ("/usock/inlet/unwanted-descriptor/bytes", test_unwanted_descriptor_of_bytes);
  usock_test_add ("/usock/inlet/frames", test_frames);
  usock_test_add ("/usock/inlet/lend-again", test_lend_again);
  usock_test_add ("/usock/inlet/inbox", test_inbox);
  usock_test_add ("/usock/inlet/datagrams", test_datagrams);

  return g_test_run ();
}
