/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-outlet-private.h"
#include "usock-test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* An outlet on one end of a pair, and the raw other end, which reads when the test says so. */
typedef struct
{
  UsockOutlet outlet;
  int peer;
  GObject *source;
  guint n_blocked;
  int failed;
  guint n_lost;
  guint n_released;
  guint n_protected;
  guint n_repaired;
  int told;
} Scene;

static void
blocked_cb (UsockOutlet *outlet,
            UsockRoute  *route,
            int          errnum,
            gboolean     progress)
{
  Scene *scene = outlet->owner;

  usock_outlet_set_blocked (outlet, route, TRUE);
  scene->n_blocked++;
}

static void
failed_cb (UsockOutlet *outlet,
           UsockRoute  *route,
           int          errnum)
{
  Scene *scene = outlet->owner;
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "failed");

  scene->failed = errnum;
  usock_outlet_drop_route (outlet, route, error);
}

static void
lost_cb (UsockOutlet  *outlet,
         UsockRoute   *route,
         const GError *error)
{
  ((Scene *) outlet->owner)->n_lost++;
}

static const UsockOutletFuncs packets = {
  .fits = usock_outlet_packet_fits,
  .give = usock_outlet_give_packets,
  .repair = usock_outlet_repair_packet,
  .blocked = blocked_cb,
  .failed = failed_cb,
  .lost = lost_cb,
};

static const UsockOutletFuncs bytes = {
  .give = usock_outlet_give_bytes,
  .blocked = blocked_cb,
  .failed = failed_cb,
  .lost = lost_cb,
};

static void
scene_start (Scene                  *scene,
             const UsockOutletFuncs *funcs,
             int                     type)
{
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, fds), ==, 0);
  *scene = (Scene) { .peer = fds[1], .source = g_object_new (G_TYPE_OBJECT, NULL) };
  usock_outlet_init (&scene->outlet, scene);
  scene->outlet.funcs = funcs;
  scene->outlet.fd = fds[0];
  scene->outlet.is_open = TRUE;
  scene->outlet.high_water_mark = 1000;
  scene->outlet.queue_limit = 10000;
}

static void
scene_stop (Scene *scene)
{
  usock_outlet_clear (&scene->outlet);
  g_assert_cmpuint (scene->outlet.n_queued, ==, 0);
  g_assert_cmpuint (scene->outlet.queued_cost, ==, 0);
  g_assert_finalize_object (scene->source);
  close (scene->outlet.fd);
  if (scene->peer != -1)
    close (scene->peer);
}

static void
flush (Scene *scene)
{
  usock_outlet_flush (&scene->outlet, g_get_monotonic_time (), TRUE);
}

static void
enqueue (Scene *scene, const char *text)
{
  usock_outlet_enqueue (&scene->outlet, scene->outlet.route,
                        usock_message_new ((const guint8 *) text, strlen (text)), NULL);
}

static void
enqueue_with_fd (Scene *scene, const char *text)
{
  UsockMessage *message = usock_message_new ((const guint8 *) text, strlen (text));

  usock_test_no_error (usock_message_append_fd (message, STDIN_FILENO, &error));
  usock_outlet_enqueue (&scene->outlet, scene->outlet.route, message, NULL);
}

static UsockOperation *
enqueue_call (Scene *scene, const char *text, GCancellable *cancellable)
{
  UsockOperation *operation = usock_operation_new (scene->source, NULL, NULL, NULL);

  usock_operation_set_cancellable (operation, cancellable, G_CALLBACK (g_object_get_type));
  usock_outlet_enqueue (&scene->outlet, scene->outlet.route,
                        usock_message_new ((const guint8 *) text, strlen (text)), operation);
  return operation;
}

static void
expect_read (Scene *scene, const char *text)
{
  char buffer[100];
  gssize n = recv (scene->peer, buffer, sizeof buffer, MSG_DONTWAIT);

  g_assert_cmpint (n, >=, 0);
  g_assert_cmpmem (buffer, n, text, strlen (text));
}

static void
expect_nothing_to_read (Scene *scene)
{
  char buffer[1];

  g_assert_cmpint (recv (scene->peer, buffer, sizeof buffer, MSG_DONTWAIT), ==, -1);
  g_assert_cmpint (errno, ==, EAGAIN);
}

/* Reads with what came along, and closes it. */
static void
expect_read_fds (Scene *scene, const char *text, guint n_fds)
{
  union
  {
    struct cmsghdr header;
    char space[CMSG_SPACE (8 * sizeof (int))];
  } control;
  char buffer[100];
  struct iovec iov = { buffer, sizeof buffer };
  struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
  guint n = 0;

  header.msg_controllen = sizeof control;
  g_assert_cmpint (recvmsg (scene->peer, &header, MSG_DONTWAIT), ==, strlen (text));
  g_assert_cmpmem (buffer, strlen (text), text, strlen (text));
  if (CMSG_FIRSTHDR (&header) != NULL)
    n = (CMSG_FIRSTHDR (&header)->cmsg_len - CMSG_LEN (0)) / sizeof (int);
  for (guint i = 0; i < n; i++)
    close (((int *) CMSG_DATA (&control.header))[i]);
  g_assert_cmpuint (n, ==, n_fds);
}

/* The next that was settled is the call, or a message without one; how it ended. */
static void
expect_settled (Scene          *scene,
                UsockOperation *operation,
                const char     *error)
{
  UsockSettled settled;

  g_assert_true (usock_outlet_take_settled (&scene->outlet, &settled));
  g_assert_true (settled.operation == operation);
  g_assert_cmpstr (settled.error != NULL ? settled.error->message : NULL, ==, error);
  g_clear_pointer (&settled.message, usock_message_unref);
  g_clear_object (&settled.operation);
  g_clear_error (&settled.error);
}

static void
expect_nothing_settled (Scene *scene)
{
  UsockSettled settled;

  g_assert_false (usock_outlet_take_settled (&scene->outlet, &settled));
}

static void
test_init (UsockTest *test, gconstpointer data)
{
  UsockOutlet outlet = { 0 };

  usock_outlet_init (&outlet, test);
  g_assert_true (outlet.owner == test);
  g_assert_true (outlet.route == &outlet.own_route);
  g_assert_cmpint (outlet.fd, ==, -1);
}

static void
test_packets (UsockTest *test, gconstpointer data)
{
  UsockOperation *call;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  enqueue (&scene, "one");
  call = enqueue_call (&scene, "two", NULL);
  enqueue (&scene, "three");
  g_assert_cmpuint (scene.outlet.n_queued, ==, 3);
  g_assert_cmpuint (scene.outlet.queued_cost, ==, 11 + 3 * USOCK_QUEUE_OVERHEAD);
  flush (&scene);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 0);
  g_assert_cmpuint (scene.outlet.queued_cost, ==, 0);
  g_assert_cmpuint (scene.outlet.messages_written, ==, 3);
  g_assert_cmpuint (scene.outlet.bytes_written, ==, 11);
  expect_read (&scene, "one");
  expect_read (&scene, "two");
  expect_read (&scene, "three");
  expect_settled (&scene, NULL, NULL);
  expect_settled (&scene, call, NULL);
  expect_settled (&scene, NULL, NULL);
  expect_nothing_settled (&scene);
  scene_stop (&scene);
}

/* What was settled stands in a line, which is as good as new when all of it was taken. */
static void
test_line (UsockTest *test, gconstpointer data)
{
  UsockOperation *calls[3];
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  g_assert_null (usock_outlet_peek_settled (&scene.outlet, 0));
  g_assert_false (usock_outlet_has_settled (&scene.outlet));
  for (guint round = 0; round < 2; round++)
    {
      for (guint i = 0; i < 3; i++)
        calls[i] = enqueue_call (&scene, "x", NULL);
      flush (&scene);
      for (guint taken = 0; taken < 3; taken++)
        {
          for (guint i = taken; i < 3; i++)
            {
              UsockSettled *settled = usock_outlet_peek_settled (&scene.outlet, i - taken);

              g_assert_true (settled->operation == calls[i]);
            }
          g_assert_null (usock_outlet_peek_settled (&scene.outlet, 3 - taken));
          g_assert_true (usock_outlet_has_settled (&scene.outlet));
          expect_settled (&scene, calls[taken], NULL);
        }
      g_assert_false (usock_outlet_has_settled (&scene.outlet));
      expect_nothing_settled (&scene);
      g_assert_cmpuint (scene.outlet.n_taken, ==, 0);
      g_assert_cmpuint (scene.outlet.settled->len, ==, 0);
    }
  scene_stop (&scene);
}

/* Whatever a message is, the kernel is given it and no error is told. */
static void
test_give (UsockTest *test, gconstpointer data)
{
  const UsockOutletFuncs *funcs[] = { &packets, &bytes };

  for (guint i = 0; i < G_N_ELEMENTS (funcs); i++)
    {
      gboolean progress = FALSE;
      Scene scene;

      scene_start (&scene, funcs[i], SOCK_SEQPACKET);
      enqueue (&scene, "x");
      g_assert_cmpint (funcs[i]->give (&scene.outlet, scene.outlet.route, &progress), ==, 0);
      g_assert_true (progress);
      expect_read (&scene, "x");
      scene_stop (&scene);
    }
}

/* Of packets the empty one is a message. Of bytes it is nothing, and takes nothing from those that
 * stand behind it. */
static void
test_empty (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  enqueue (&scene, "");
  flush (&scene);
  expect_read (&scene, "");
  g_assert_cmpuint (scene.outlet.messages_written, ==, 1);
  scene_stop (&scene);

  scene_start (&scene, &bytes, SOCK_SEQPACKET);
  enqueue (&scene, "");
  enqueue_with_fd (&scene, "x");
  enqueue (&scene, "");
  flush (&scene);
  expect_read_fds (&scene, "x", 1);
  expect_nothing_to_read (&scene);
  g_assert_cmpuint (scene.outlet.messages_written, ==, 3);
  g_assert_cmpuint (scene.n_blocked, ==, 0);
  scene_stop (&scene);
}

static void
released_cb (gpointer user_data)
{
  Scene *scene = user_data;

  /* Whatever foreign code finds must add up. */
  g_assert_cmpuint (scene->outlet.n_queued, ==, 0);
  g_assert_cmpuint (scene->outlet.route->queue.length, ==, 0);
  scene->n_released++;
}

/* Nothing is released in a flush, for that may run foreign code. */
static void
test_no_foreign_code (UsockTest *test, gconstpointer data)
{
  const UsockOutletFuncs *funcs[] = { &packets, &bytes };
  const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GBytes) free_me = NULL;
      Scene scene;

      scene_start (&scene, funcs[i], types[i]);
      free_me = g_bytes_new_with_free_func ("x", 1, released_cb, &scene);
      usock_outlet_enqueue (&scene.outlet, scene.outlet.route,
                            usock_message_new_from_bytes (free_me), NULL);
      g_clear_pointer (&free_me, g_bytes_unref);
      enqueue (&scene, "y");
      flush (&scene);
      g_assert_cmpuint (scene.n_released, ==, 0);
      expect_settled (&scene, NULL, NULL);
      g_assert_cmpuint (scene.n_released, ==, 1);
      scene_stop (&scene);
    }
}

static void
test_bytes (UsockTest *test, gconstpointer data)
{
  g_autofree char *large = g_strnfill (1000 * 1000, 'x');
  UsockOperation *call;
  gsize total = 0;
  char buffer[65536];
  Scene scene;

  scene_start (&scene, &bytes, SOCK_STREAM);
  enqueue (&scene, "ab");
  call = enqueue_call (&scene, large, NULL);
  enqueue (&scene, "z");
  usock_io_fault_clear ();
  flush (&scene);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_SEND), ==, 1);
  g_assert_true (scene.outlet.route->blocked);
  g_assert_cmpuint (scene.n_blocked, ==, 1);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 2);
  g_assert_cmpuint (scene.outlet.bytes_written, >, 2);
  g_assert_cmpuint (scene.outlet.queued_cost, ==,
                    1000 * 1000 + 3 - scene.outlet.bytes_written + 2 * USOCK_QUEUE_OVERHEAD);
  expect_settled (&scene, NULL, NULL);
  expect_nothing_settled (&scene);

  while (total < 1000 * 1000 + 3)
    {
      gssize n = recv (scene.peer, buffer, sizeof buffer, MSG_DONTWAIT);

      if (n > 0)
        total += n;
      flush (&scene);
    }
  g_assert_cmpint (buffer[0], ==, 'x');
  expect_settled (&scene, call, NULL);
  g_assert_cmpuint (scene.outlet.bytes_written, ==, 1000 * 1000 + 3);
  g_assert_cmpuint (scene.outlet.messages_written, ==, 3);
  scene_stop (&scene);
}

/* A socket that keeps its messages apart shows what went in one system call: bytes only. */
static void
test_joined (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &bytes, SOCK_SEQPACKET);
  enqueue (&scene, "one");
  enqueue (&scene, "two");
  enqueue_with_fd (&scene, "fd");
  enqueue (&scene, "three");
  enqueue (&scene, "four");
  flush (&scene);
  expect_read (&scene, "onetwo");
  expect_read (&scene, "fd");
  expect_read (&scene, "threefour");
  g_assert_cmpuint (scene.outlet.messages_written, ==, 5);
  scene_stop (&scene);
}

static UsockMessage *
make_segments (guint n_segments)
{
  UsockMessage *message = usock_message_new ((const guint8 *) "0", 1);

  for (guint i = 1; i < n_segments; i++)
    {
      const char digit = (char) ('0' + i % 10);
      g_autoptr (GBytes) segment = g_bytes_new (&digit, 1);

      usock_message_append_bytes (message, segment);
    }
  return message;
}

static void
enqueue_segments (Scene *scene, guint n_segments)
{
  usock_outlet_enqueue (&scene->outlet, scene->outlet.route, make_segments (n_segments), NULL);
}

static void
expect_segments (Scene *scene, guint n_segments)
{
  char buffer[200];

  g_assert_cmpint (recv (scene->peer, buffer, sizeof buffer, MSG_DONTWAIT), ==, n_segments);
  for (guint i = 0; i < n_segments; i++)
    g_assert_cmpint (buffer[i], ==, '0' + i % 10);
}

/* As many segments as there is room for, and no message in part. */
static void
test_joined_segments (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &bytes, SOCK_SEQPACKET);
  scene.outlet.queue_limit = scene.outlet.high_water_mark = 1000 * 1000;
  for (guint i = 0; i < USOCK_OUTLET_IOV + 1; i++)
    enqueue_segments (&scene, 1);
  flush (&scene);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 0);
  g_assert_cmpint (recv (scene.peer, NULL, 0, MSG_TRUNC), ==, USOCK_OUTLET_IOV);
  expect_segments (&scene, 1);

  enqueue_segments (&scene, 100);
  enqueue_segments (&scene, 100);
  flush (&scene);
  expect_segments (&scene, 100);
  expect_segments (&scene, 100);
  scene_stop (&scene);
}

static UsockMessage *
make_control (void)
{
  g_autoptr (GBytes) value = g_bytes_new_static ("1234", 4);
  UsockMessage *message = usock_message_new ((const guint8 *) "control", 7);

  usock_test_no_error (usock_message_append_control (message, SOL_SOCKET, 9999, value,
                                                     &error));
  return message;
}

/* Nobody takes it, so that it is seen to have gone alone, and as what it is. */
static void
test_joined_control (UsockTest *test, gconstpointer data)
{
  UsockMessage *message = make_control ();
  Scene scene;

  scene_start (&scene, &bytes, SOCK_SEQPACKET);
  enqueue (&scene, "one");
  usock_outlet_enqueue (&scene.outlet, scene.outlet.route, message, NULL);
  flush (&scene);
  g_assert_cmpint (scene.failed, ==, EINVAL);
  expect_read (&scene, "one");
  scene_stop (&scene);
}

/* Descriptors and records leave with the first byte. The rest is bytes like others. */
static void
test_joined_rest (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &bytes, SOCK_SEQPACKET);
  enqueue_with_fd (&scene, "fd");
  usock_outlet_advance (&scene.outlet, scene.outlet.route, 1);
  enqueue (&scene, "more");
  flush (&scene);
  expect_read_fds (&scene, "dmore", 0);

  usock_outlet_enqueue (&scene.outlet, scene.outlet.route, make_control (), NULL);
  usock_outlet_advance (&scene.outlet, scene.outlet.route, 1);
  enqueue (&scene, "more");
  flush (&scene);
  expect_read (&scene, "ontrolmore");
  g_assert_cmpint (scene.failed, ==, 0);
  g_assert_cmpuint (scene.outlet.bytes_written, ==, 17);
  scene_stop (&scene);
}

/* The same for a message that leaves alone. */
static void
test_rest (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) control = make_control ();
  g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "fd", 2);
  UsockRoute *route;
  Scene scene;

  scene_start (&scene, &bytes, SOCK_SEQPACKET);
  route = scene.outlet.route;
  usock_test_no_error (usock_message_append_fd (message, STDIN_FILENO, &error));
  g_assert_cmpint (usock_outlet_write_message (&scene.outlet, route, message, 0), ==, 2);
  expect_read_fds (&scene, "fd", 1);
  g_assert_cmpint (usock_outlet_write_message (&scene.outlet, route, message, 1), ==, 1);
  expect_read_fds (&scene, "d", 0);
  g_assert_cmpint (usock_outlet_write_message (&scene.outlet, route, control, 0), ==, -EINVAL);
  g_assert_cmpint (usock_outlet_write_message (&scene.outlet, route, control, 1), ==, 6);
  expect_read (&scene, "ontrol");
  scene_stop (&scene);
}

/* Some were taken out of the message before it was sent. */
static void
test_taken_fds (UsockTest *test, gconstpointer data)
{
  UsockMessage *message = usock_message_new ((const guint8 *) "x", 1);
  GError *failure = NULL;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  for (guint i = 0; i < 3; i++)
    usock_test_no_error (usock_message_append_fd (message, STDIN_FILENO, &error));
  close (usock_message_take_fd (message, 1, &failure));
  g_assert_no_error (failure);
  usock_outlet_enqueue (&scene.outlet, scene.outlet.route, message, NULL);
  flush (&scene);
  expect_read_fds (&scene, "x", 2);
  scene_stop (&scene);
}

/* What stands behind a mark, and who says who he is, begin anew. */
static void
test_joined_mark (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "signed", 6);
  g_autoptr (GCredentials) credentials = g_credentials_new ();
  UsockOperation *mark;
  Scene scene;

  scene_start (&scene, &bytes, SOCK_SEQPACKET);
  mark = usock_operation_new (scene.source, NULL, NULL, NULL);
  usock_message_set_credentials (message, credentials);
  enqueue (&scene, "one");
  g_assert_true (usock_outlet_mark (&scene.outlet, mark));
  enqueue (&scene, "two");
  usock_outlet_enqueue (&scene.outlet, scene.outlet.route, usock_message_ref (message), NULL);
  enqueue (&scene, "three");
  flush (&scene);
  expect_read (&scene, "one");
  expect_read (&scene, "two");
  expect_read (&scene, "signed");
  expect_read (&scene, "three");
  scene_stop (&scene);
}

/* How many of messages with so many segments leave in one system call. */
static guint
gather (Scene *scene, const guint *n_segments, guint n_messages)
{
  UsockIoOutgoing outgoing[USOCK_IO_BATCH_MAX];
  struct iovec iov[USOCK_OUTLET_IOV];
  g_autoptr (GPtrArray) messages
      = g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref);
  guint n, used = 0;

  for (guint i = 0; i < n_messages; i++)
    g_ptr_array_add (messages, make_segments (n_segments[i]));
  n = usock_outlet_gather (&scene->outlet, (UsockMessage **) messages->pdata, n_messages,
                           outgoing, iov);
  for (guint i = 0; i < n; i++)
    {
      g_assert_true (outgoing[i].iov == iov + used);
      g_assert_cmpuint (outgoing[i].n_iov, ==, n_segments[i]);
      used += n_segments[i];
    }
  return n;
}

static void
test_gather (UsockTest *test, gconstpointer data)
{
  const guint full[] = { 64, 63, 1, 1 }, over[] = { 100, 29, 1 };
  const guint whole[] = { USOCK_OUTLET_IOV }, large[] = { USOCK_OUTLET_IOV + 1 };
  guint many[USOCK_IO_BATCH_MAX + 1];
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  g_assert_cmpuint (gather (&scene, full, 4), ==, 3);
  g_assert_cmpuint (gather (&scene, over, 3), ==, 1);
  g_assert_cmpuint (gather (&scene, whole, 1), ==, 1);
  g_assert_cmpuint (gather (&scene, large, 1), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    many[i] = 1;
  g_assert_cmpuint (gather (&scene, many, G_N_ELEMENTS (many)), ==, USOCK_IO_BATCH_MAX);
  scene.outlet.singly = TRUE;
  g_assert_cmpuint (gather (&scene, many, 3), ==, 1);
  scene_stop (&scene);
}

/* What is more than bytes goes alone. */
static void
test_gather_bytes_only (UsockTest *test, gconstpointer data)
{
  g_autoptr (GCredentials) credentials = g_credentials_new ();
  g_autoptr (UsockMessage) plain = usock_message_new ((const guint8 *) "x", 1);
  g_autoptr (UsockMessage) control = make_control ();
  g_autoptr (UsockMessage) holder = usock_message_new ((const guint8 *) "x", 1);
  g_autoptr (UsockMessage) claimed = usock_message_new ((const guint8 *) "x", 1);
  UsockMessage *kinds[] = { control, holder, claimed };
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  usock_test_no_error (usock_message_append_fd (holder, STDIN_FILENO, &error));
  usock_message_set_credentials (claimed, credentials);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      UsockMessage *messages[] = { plain, plain, kinds[i], plain };
      UsockIoOutgoing outgoing[USOCK_IO_BATCH_MAX];
      struct iovec iov[USOCK_OUTLET_IOV];

      g_assert_cmpuint (usock_outlet_gather (&scene.outlet, messages, 4, outgoing, iov), ==, 2);
    }
  scene_stop (&scene);
}

static void
fill (Scene *scene)
{
  while (send (scene->outlet.fd, "fill", 4, MSG_DONTWAIT) == 4)
    ;
}

static void
test_limits (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  /* An empty queue takes any one message. */
  g_assert_true (usock_outlet_has_room (&scene.outlet, 1000000, 0));
  scene.outlet.high_water_mark = 1 + USOCK_QUEUE_OVERHEAD;
  enqueue (&scene, "x");
  g_assert_false (scene.outlet.needs_drain);
  scene.outlet.high_water_mark = 1000;
  g_assert_true (usock_outlet_has_room (&scene.outlet, 10000 - 2 * USOCK_QUEUE_OVERHEAD - 1, 0));
  g_assert_false (scene.outlet.needs_drain);
  g_assert_false (usock_outlet_has_room (&scene.outlet, 10000 - 2 * USOCK_QUEUE_OVERHEAD, 0));
  g_assert_true (scene.outlet.needs_drain);
  g_assert_false (usock_outlet_has_room (&scene.outlet, 0, 40));

  /* Owed until the queue is empty and nobody is full. */
  g_assert_false (usock_outlet_owes_drain (&scene.outlet));
  flush (&scene);
  g_assert_true (usock_outlet_owes_drain (&scene.outlet));
  usock_outlet_set_blocked (&scene.outlet, scene.outlet.route, TRUE);
  usock_outlet_set_blocked (&scene.outlet, scene.outlet.route, TRUE);
  g_assert_cmpuint (scene.outlet.n_blocked, ==, 1);
  g_assert_false (usock_outlet_owes_drain (&scene.outlet));
  usock_outlet_set_blocked (&scene.outlet, scene.outlet.route, FALSE);
  g_assert_true (usock_outlet_owes_drain (&scene.outlet));

  /* The mark, which counts at most up to the limit. */
  scene.outlet.needs_drain = FALSE;
  scene.outlet.queue_limit = 300;
  enqueue (&scene, "x");
  g_assert_false (scene.outlet.needs_drain);
  enqueue (&scene, "x");
  g_assert_true (scene.outlet.needs_drain);
  scene.outlet.queue_limit = 0;
  g_assert_false (usock_outlet_has_room (&scene.outlet, 0, 0));
  flush (&scene);
  g_assert_false (usock_outlet_has_room (&scene.outlet, 0, 0));
  scene_stop (&scene);
}

/* A message that waits cannot be changed, and its wait begins when nothing waited before it. */
static void
test_enqueue (UsockTest *test, gconstpointer data)
{
  UsockRoute *route;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  route = scene.outlet.route;
  for (guint i = 0; i < 3; i++)
    {
      enqueue (&scene, "x");
      g_assert_true (usock_queue_peek (&route->queue, i)->message->frozen);
      g_assert_cmpint (route->stalled_since > 0, ==, i == 0);
      route->stalled_since = 0;
    }
  scene_stop (&scene);
}

static void
test_move (UsockTest *test, gconstpointer data)
{
  UsockRoute other = { .queue = { 0 } };
  UsockOperation *call;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  enqueue (&scene, "one");
  call = enqueue_call (&scene, "two", NULL);
  usock_outlet_move_queued (&scene.outlet, scene.outlet.route, &other);
  g_assert_cmpuint (scene.outlet.route->queue.length, ==, 0);
  g_assert_cmpuint (other.queue.length, ==, 2);
  usock_outlet_settle_sent (&scene.outlet, &other);
  usock_outlet_settle_sent (&scene.outlet, &other);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 0);
  expect_settled (&scene, NULL, NULL);
  expect_settled (&scene, call, NULL);
  usock_queue_clear (&other.queue);
  scene_stop (&scene);
}

static void
test_may_send_now (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  g_assert_true (usock_outlet_may_send_now (&scene.outlet, scene.outlet.route));
  scene.outlet.n_corks = 1;
  g_assert_false (usock_outlet_may_send_now (&scene.outlet, scene.outlet.route));
  enqueue (&scene, "held");
  flush (&scene);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 1);
  scene.outlet.n_corks = 0;
  g_assert_false (usock_outlet_may_send_now (&scene.outlet, scene.outlet.route));
  flush (&scene);
  expect_read (&scene, "held");
  scene.outlet.is_open = FALSE;
  g_assert_false (usock_outlet_may_send_now (&scene.outlet, scene.outlet.route));
  scene_stop (&scene);
}

static void
test_blocked (UsockTest *test, gconstpointer data)
{
  UsockRoute *route;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  route = scene.outlet.route;
  fill (&scene);
  enqueue (&scene, "late");
  route->stalled_since = 5;
  flush (&scene);
  g_assert_cmpuint (scene.n_blocked, ==, 1);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 1);
  g_assert_cmpint (route->stalled_since, ==, 5);

  /* Only an event, its time, or force lets it try again. */
  usock_outlet_flush (&scene.outlet, g_get_monotonic_time (), FALSE);
  g_assert_cmpuint (scene.n_blocked, ==, 1);
  route->retry_at = 1000;
  usock_outlet_flush (&scene.outlet, 999, FALSE);
  g_assert_cmpuint (scene.n_blocked, ==, 1);
  usock_outlet_flush (&scene.outlet, 1000, FALSE);
  g_assert_cmpuint (scene.n_blocked, ==, 2);
  g_assert_cmpint (route->retry_at, ==, 0);
  expect_read (&scene, "fill");
  flush (&scene);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 0);
  g_assert_false (route->blocked);
  g_assert_cmpint (route->stalled_since, >, 5);

  /* With nothing left, the time only lets new messages through. */
  usock_outlet_set_blocked (&scene.outlet, route, TRUE);
  route->retry_at = 1000;
  usock_outlet_flush (&scene.outlet, 999, FALSE);
  g_assert_true (route->blocked);
  usock_outlet_flush (&scene.outlet, 1000, FALSE);
  g_assert_false (route->blocked);
  g_assert_cmpint (route->retry_at, ==, 0);
  g_assert_cmpuint (scene.outlet.n_blocked, ==, 0);
  scene_stop (&scene);
}

/* What is reached without the kernel waits for nothing. */
static void
test_mark_on_blocked_route (UsockTest *test, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  UsockOperation *call, *mark;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  fill (&scene);
  call = enqueue_call (&scene, "x", cancellable);
  mark = usock_operation_new (scene.source, NULL, NULL, NULL);
  usock_outlet_mark (&scene.outlet, mark);
  enqueue (&scene, "y");
  flush (&scene);
  g_cancellable_cancel (cancellable);
  usock_outlet_sweep (&scene.outlet);
  usock_outlet_flush (&scene.outlet, 0, FALSE);
  expect_settled (&scene, call, "The operation was cancelled");
  expect_settled (&scene, mark, NULL);
  expect_nothing_settled (&scene);
  g_assert_cmpuint (scene.n_blocked, ==, 1);
  scene_stop (&scene);
}

static void
failed_alone_cb (UsockOutlet *outlet,
                 UsockRoute  *route,
                 int          errnum)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "failed");

  usock_outlet_drop_head (outlet, route, error);
}

static void
blocked_and_dropped_cb (UsockOutlet *outlet,
                        UsockRoute  *route,
                        int          errnum,
                        gboolean     progress)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "full");

  blocked_cb (outlet, route, errnum, progress);
  usock_outlet_drop_messages (outlet, route, error);
}

static gboolean
repair_cb (UsockOutlet *outlet,
           UsockRoute  *route,
           gsize        length,
           gssize      *result)
{
  ((Scene *) outlet->owner)->n_repaired++;
  return *result == -ECONNREFUSED;
}

static void
protect_cb (UsockOutlet *outlet,
            UsockRoute  *route)
{
  ((Scene *) outlet->owner)->n_protected++;
}

static void
told_cb (UsockOutlet *outlet,
         int          errnum)
{
  ((Scene *) outlet->owner)->told = errnum;
}

/* As datagrams have it: each message is on its own. */
static const UsockOutletFuncs singles = {
  .give = usock_outlet_give_packets,
  .protect = protect_cb,
  .repair = repair_cb,
  .told = told_cb,
  .blocked = blocked_and_dropped_cb,
  .failed = failed_alone_cb,
  .lost = lost_cb,
};

/* Where there is nothing any more to wait with, a failure proves that the kernel has taken a look,
 * and a refusal that it is full. */
static void
test_emptied (UsockTest *test, gconstpointer data)
{
  UsockRoute *route;
  UsockOperation *mark;
  Scene scene;

  scene_start (&scene, &singles, SOCK_SEQPACKET);
  route = scene.outlet.route;
  mark = usock_operation_new (scene.source, NULL, NULL, NULL);
  usock_outlet_set_blocked (&scene.outlet, route, TRUE);
  enqueue (&scene, "x");
  usock_outlet_mark (&scene.outlet, mark);
  usock_io_fault_add (USOCK_IO_SEND, EIO, 1, 0);
  flush (&scene);
  usock_io_fault_clear ();
  g_assert_cmpuint (scene.n_lost, ==, 1);
  expect_settled (&scene, NULL, NULL);
  expect_settled (&scene, mark, NULL);
  g_assert_false (route->blocked);

  fill (&scene);
  enqueue (&scene, "x");
  flush (&scene);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 0);
  g_assert_true (route->blocked);
  scene_stop (&scene);
}

/* What the kernel refused and then took was not what the refusal was of. */
static void
test_repair (UsockTest *test, gconstpointer data)
{
  UsockRoute *route;
  Scene scene;

  scene_start (&scene, &singles, SOCK_SEQPACKET);
  route = scene.outlet.route;
  g_assert_cmpint (usock_outlet_write (&scene.outlet, route, NULL, "", 0), ==, 0);
  g_assert_cmpuint (scene.n_protected, ==, 1);
  g_assert_cmpuint (scene.n_repaired, ==, 0);

  usock_io_fault_add (USOCK_IO_SEND, ECONNREFUSED, 1, 0);
  g_assert_cmpint (usock_outlet_write (&scene.outlet, route, NULL, "", 0), ==, 0);
  g_assert_cmpint (scene.told, ==, ECONNREFUSED);
  g_assert_cmpuint (scene.n_repaired, ==, 1);

  scene.told = 0;
  usock_io_fault_add (USOCK_IO_SEND, ECONNREFUSED, 1, 1);
  g_assert_cmpint (usock_outlet_write (&scene.outlet, route, NULL, "", 0), ==, -ECONNREFUSED);
  usock_io_fault_add (USOCK_IO_SEND, EIO, 1, 1);
  g_assert_cmpint (usock_outlet_write (&scene.outlet, route, NULL, "", 0), ==, -EIO);
  usock_io_fault_clear ();
  g_assert_cmpint (scene.told, ==, 0);
  g_assert_cmpuint (scene.n_repaired, ==, 4);
  scene_stop (&scene);
}

/* A pair leaves in one system call, whole. */
static void
test_batch (UsockTest *test, gconstpointer data)
{
  struct iovec iov[] = { { (gpointer) "a", 1 }, { (gpointer) "b", 1 } };
  UsockIoOutgoing outgoing[] = { { .iov = iov, .n_iov = 1 }, { .iov = iov + 1, .n_iov = 1 } };
  Scene scene;

  scene_start (&scene, &singles, SOCK_SEQPACKET);
  scene.outlet.was_cut = TRUE;
  g_assert_cmpint (usock_outlet_write_batch (&scene.outlet, scene.outlet.route, outgoing, 2), ==,
                   2);
  g_assert_false (scene.outlet.was_cut);
  g_assert_cmpuint (scene.n_protected, ==, 1);
  expect_read (&scene, "a");
  expect_read (&scene, "b");

  usock_io_fault_clear ();
  enqueue (&scene, "c");
  enqueue (&scene, "d");
  flush (&scene);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_SEND), ==, 1);
  g_assert_cmpuint (scene.n_repaired, ==, 0);
  scene_stop (&scene);
}

/* What the kernel says of a batch it says of its first message, which is not asked for again unless
 * that may mend it. */
static void
test_refused_batch (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &singles, SOCK_SEQPACKET);
  for (guint mends = 0; mends < 2; mends++)
    {
      enqueue (&scene, "a");
      enqueue (&scene, "b");
      usock_io_fault_add (USOCK_IO_SEND, mends ? ECONNREFUSED : EIO, 1, 0);
      flush (&scene);
      usock_io_fault_clear ();
      g_assert_cmpuint (scene.n_lost, ==, 1);
      if (mends)
        expect_read (&scene, "a");
      expect_read (&scene, "b");
      expect_nothing_to_read (&scene);
    }
  scene_stop (&scene);
}

/* Where there are many routes a flush goes to those that are active only, unless it is forced; who
 * is active is told by what begins to wait. */
static UsockRoute others[3];
static GPtrArray *active;
static guint n_changed;

static void
each_of_many (UsockOutlet *outlet, UsockRouteFunc func, gpointer user_data)
{
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    func (outlet, &others[i], user_data);
}

static void
each_active_of_many (UsockOutlet *outlet, UsockRouteFunc func, gpointer user_data)
{
  for (guint i = 0; i < active->len; i++)
    func (outlet, active->pdata[i], user_data);
}

static void
changed_cb (UsockOutlet *outlet, UsockRoute *route)
{
  n_changed++;
  g_ptr_array_add (active, route);
}

static const UsockOutletFuncs many = {
  .each_route = each_of_many,
  .each_active = each_active_of_many,
  .changed = changed_cb,
  .fits = usock_outlet_packet_fits,
  .give = usock_outlet_give_packets,
  .repair = usock_outlet_repair_packet,
  .blocked = blocked_cb,
  .failed = failed_cb,
  .lost = lost_cb,
};

static void
test_many_routes (UsockTest *test, gconstpointer data)
{
  Scene scene;

  active = g_ptr_array_new ();
  n_changed = 0;
  scene_start (&scene, &many, SOCK_SEQPACKET);
  for (guint j = 0; j < 2; j++)
    {
      for (guint i = 0; i < G_N_ELEMENTS (others); i++)
        usock_outlet_enqueue (&scene.outlet, &others[i], usock_message_new (NULL, 0), NULL);
      g_assert_cmpuint (n_changed, ==, G_N_ELEMENTS (others));
    }

  g_ptr_array_remove_index (active, 1);
  usock_outlet_flush (&scene.outlet, 0, FALSE);
  g_assert_cmpuint (others[0].queue.length + others[2].queue.length, ==, 0);
  g_assert_cmpuint (others[1].queue.length, ==, 2);
  usock_outlet_flush (&scene.outlet, 0, TRUE);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 0);
  scene_stop (&scene);
  g_ptr_array_unref (active);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    usock_queue_clear (&others[i].queue);
}

/* A route on which nothing waits any more says so, and no other. */
static void
test_sweep_many_routes (UsockTest *test, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  UsockOperation *calls[2];
  Scene scene;

  active = g_ptr_array_new ();
  scene_start (&scene, &many, SOCK_SEQPACKET);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      calls[i] = usock_operation_new (scene.source, NULL, NULL, NULL);
      usock_operation_set_cancellable (calls[i], i == 0 ? cancellable : NULL,
                                       G_CALLBACK (g_object_get_type));
      usock_outlet_enqueue (&scene.outlet, &others[i], usock_message_new (NULL, 0), calls[i]);
    }
  n_changed = 0;
  usock_outlet_sweep (&scene.outlet);
  g_assert_cmpuint (n_changed, ==, 0);
  g_cancellable_cancel (cancellable);
  g_ptr_array_set_size (active, 0);
  usock_outlet_sweep (&scene.outlet);
  g_assert_cmpuint (n_changed, ==, 1);
  g_assert_true (active->pdata[0] == &others[0]);
  expect_settled (&scene, calls[0], "The operation was cancelled");
  expect_nothing_settled (&scene);
  scene_stop (&scene);
  g_ptr_array_unref (active);
}

/* Two of three routes have a message, and the mark stands behind both. */
static UsockOperation *
many_start_marked (Scene *scene)
{
  UsockOperation *mark;

  active = g_ptr_array_new ();
  scene_start (scene, &many, SOCK_SEQPACKET);
  usock_outlet_enqueue (&scene->outlet, &others[0], usock_message_new (NULL, 0), NULL);
  usock_outlet_enqueue (&scene->outlet, &others[2], usock_message_new (NULL, 0), NULL);
  mark = usock_operation_new (scene->source, NULL, NULL, NULL);
  g_assert_true (usock_outlet_mark (&scene->outlet, mark));
  g_assert_cmpuint (others[1].queue.length, ==, 0);
  g_assert_cmpuint (scene->outlet.n_queued, ==, 4);
  return mark;
}

static void
many_stop (Scene *scene)
{
  scene_stop (scene);
  g_clear_pointer (&active, g_ptr_array_unref);
}

/* It is reached on the last of them. */
static void
test_mark_many_routes (UsockTest *test, gconstpointer data)
{
  Scene scene;
  UsockOperation *mark = many_start_marked (&scene);

  g_ptr_array_set_size (active, 1);
  usock_outlet_flush (&scene.outlet, 0, FALSE);
  expect_settled (&scene, NULL, NULL);
  expect_nothing_settled (&scene);
  flush (&scene);
  expect_settled (&scene, NULL, NULL);
  expect_settled (&scene, mark, NULL);
  expect_nothing_settled (&scene);
  many_stop (&scene);
}

/* Once one route has failed it, the others have nothing to say any more. */
static void
test_decided_mark (UsockTest *test, gconstpointer data)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "gone");

  for (guint sweeps = 0; sweeps < 2; sweeps++)
    {
      Scene scene;
      UsockOperation *mark = many_start_marked (&scene);

      g_object_ref (mark);
      usock_outlet_drop_route (&scene.outlet, &others[0], error);
      expect_settled (&scene, NULL, NULL);
      expect_settled (&scene, mark, "gone");
      usock_operation_return_error (mark, g_error_copy (error));
      if (sweeps)
        usock_outlet_sweep (&scene.outlet);
      g_assert_cmpuint (scene.outlet.n_queued, ==, 2 - sweeps);
      usock_outlet_drop_all (&scene.outlet, error);
      expect_settled (&scene, NULL, NULL);
      expect_nothing_settled (&scene);
      g_assert_cmpuint (scene.n_lost, ==, 2);
      g_object_unref (mark);
      many_stop (&scene);
    }
}

static void
test_marks (UsockTest *test, gconstpointer data)
{
  UsockOperation *mark;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  mark = usock_operation_new (scene.source, NULL, NULL, NULL);
  g_assert_false (usock_outlet_mark (&scene.outlet, mark));
  enqueue (&scene, "x");
  g_assert_true (usock_outlet_mark (&scene.outlet, mark));
  enqueue (&scene, "y");
  flush (&scene);
  expect_settled (&scene, NULL, NULL);
  expect_settled (&scene, mark, NULL);
  expect_settled (&scene, NULL, NULL);
  expect_nothing_settled (&scene);
  scene_stop (&scene);
}

static void
test_failure (UsockTest *test, gconstpointer data)
{
  UsockOperation *call, *mark;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  close (g_steal_fd (&scene.peer));
  enqueue (&scene, "one");
  call = enqueue_call (&scene, "two", NULL);
  mark = usock_operation_new (scene.source, NULL, NULL, NULL);
  usock_outlet_mark (&scene.outlet, mark);
  flush (&scene);
  g_assert_cmpint (scene.failed, ==, EPIPE);
  g_assert_cmpuint (scene.n_lost, ==, 1);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 0);
  g_assert_cmpuint (scene.outlet.queued_cost, ==, 0);
  expect_settled (&scene, NULL, NULL);
  expect_settled (&scene, call, "failed");
  expect_settled (&scene, mark, "failed");
  scene_stop (&scene);
}

/* Where each message is on its own, who waits until they are gone is not told how they ended. */
static void
test_drop_messages (UsockTest *test, gconstpointer data)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "stalled");
  UsockOperation *call, *mark;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  call = enqueue_call (&scene, "one", NULL);
  mark = usock_operation_new (scene.source, NULL, NULL, NULL);
  usock_outlet_mark (&scene.outlet, mark);
  enqueue (&scene, "two");
  usock_outlet_drop_messages (&scene.outlet, scene.outlet.route, error);
  expect_settled (&scene, call, "stalled");
  expect_settled (&scene, mark, NULL);
  expect_settled (&scene, NULL, NULL);
  g_assert_cmpuint (scene.n_lost, ==, 1);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 0);
  scene_stop (&scene);
}

static void
test_sweep (UsockTest *test, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *large = g_strnfill (1000 * 1000, 'x');
  UsockOperation *call;
  Scene scene;

  scene_start (&scene, &bytes, SOCK_STREAM);
  enqueue_call (&scene, large, cancellable);
  call = enqueue_call (&scene, "cancelled", cancellable);
  enqueue (&scene, "kept");
  flush (&scene);
  g_cancellable_cancel (cancellable);
  usock_outlet_sweep (&scene.outlet);
  /* The first has begun to leave. */
  expect_settled (&scene, call, "The operation was cancelled");
  expect_nothing_settled (&scene);
  g_assert_cmpuint (scene.outlet.n_queued, ==, 2);
  g_assert_cmpuint (scene.outlet.queued_cost, ==,
                    1000 * 1000 + 4 - scene.outlet.bytes_written + 2 * USOCK_QUEUE_OVERHEAD);
  scene_stop (&scene);
}

static void
count_released_cb (gpointer user_data)
{
  ((Scene *) user_data)->n_released++;
}

/* What waits, and what was settled and not taken. */
static void
test_clear (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GBytes) counted = g_bytes_new_with_free_func ("x", 1, count_released_cb, &scene);

      usock_outlet_enqueue (&scene.outlet, scene.outlet.route,
                            usock_message_new_from_bytes (counted),
                            usock_operation_new (scene.source, NULL, NULL, NULL));
      if (i == 0)
        flush (&scene);
    }
  g_assert_cmpuint (scene.n_released, ==, 0);
  scene_stop (&scene);
  g_assert_cmpuint (scene.n_released, ==, 2);
}

/* Whose message waited when the outlet went has its descriptors again. */
static void
test_clear_with_fds (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new ((const guint8 *) "x", 1);
  GError *failure = NULL;
  Scene scene;
  int fd;

  usock_test_no_error (usock_message_append_fd (message, STDIN_FILENO, &error));
  scene_start (&scene, &packets, SOCK_SEQPACKET);
  usock_outlet_enqueue (&scene.outlet, scene.outlet.route, usock_message_ref (message), NULL);
  g_assert_cmpint (usock_message_take_fd (message, 0, &failure), ==, -1);
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_clear_error (&failure);
  scene_stop (&scene);
  fd = usock_message_take_fd (message, 0, &failure);
  g_assert_no_error (failure);
  close (fd);
}

/* The kernel says only once that the peer has not read everything, and sendmmsg(2) does not say
 * why it stopped half-way. */
static void
test_cut_batch (UsockTest *test, gconstpointer data)
{
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  scene.outlet.was_cut = TRUE;
  close (g_steal_fd (&scene.peer));
  g_assert_cmpint (usock_outlet_write (&scene.outlet, scene.outlet.route, NULL, "x", 1), ==,
                   -ECONNRESET);
  g_assert_cmpint (usock_outlet_write (&scene.outlet, scene.outlet.route, NULL, "x", 1), ==,
                   -EPIPE);
  scene_stop (&scene);
}

/* Only what the kernel takes, or refuses for good, tells that it did not stop for a reset. */
static void
test_cut_batch_and_full (UsockTest *test, gconstpointer data)
{
  UsockRoute *route;
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  route = scene.outlet.route;
  scene.outlet.was_cut = TRUE;
  g_assert_cmpint (usock_outlet_write (&scene.outlet, route, NULL, "x", 1), ==, 1);
  g_assert_false (scene.outlet.was_cut);
  fill (&scene);
  scene.outlet.was_cut = TRUE;
  g_assert_cmpint (usock_outlet_write (&scene.outlet, route, NULL, "x", 1), ==, -EAGAIN);
  g_assert_true (scene.outlet.was_cut);
  scene_stop (&scene);
}

static void
test_may_send_later (UsockTest *test, gconstpointer data)
{
  const int later[] = { EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS }, never[] = { EPIPE, EIO, EPERM };

  for (guint i = 0; i < G_N_ELEMENTS (later); i++)
    g_assert_true (usock_outlet_may_send_later (later[i]));
  for (guint i = 0; i < G_N_ELEMENTS (never); i++)
    g_assert_false (usock_outlet_may_send_later (never[i]));
}

/* More than the system lets any message have is too large, whatever the kernel calls it. */
static void
test_repair_packet (UsockTest *test, gconstpointer data)
{
  static const struct
  {
    gssize result;
    gsize length;
    gssize then;
    gboolean again;
  } cases[] = {
    { -ENOBUFS, USOCK_IO_MESSAGE_MAX, -ENOBUFS, FALSE },
    { -ENOBUFS, USOCK_IO_MESSAGE_MAX + 1, -EMSGSIZE, FALSE },
    { -EMSGSIZE, USOCK_IO_MESSAGE_MAX + 1, -EMSGSIZE, FALSE },
    { -EMSGSIZE, 500000, -EMSGSIZE, TRUE },
    { -EPIPE, USOCK_IO_MESSAGE_MAX + 1, -EPIPE, FALSE },
    { -EPIPE, 500000, -EPIPE, FALSE },
  };
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gssize result = cases[i].result;

      g_assert_cmpint (usock_outlet_repair_packet (&scene.outlet, scene.outlet.route,
                                                   cases[i].length, &result),
                       ==, cases[i].again);
      g_assert_cmpint (result, ==, cases[i].then);
    }
  scene_stop (&scene);
}

static void
test_large (UsockTest *test, gconstpointer data)
{
  g_autofree char *large = g_malloc0 (USOCK_IO_MESSAGE_MAX + 1);
  Scene scene;

  scene_start (&scene, &packets, SOCK_SEQPACKET);
  g_assert_true (usock_outlet_packet_fits (&scene.outlet, 100));
  g_assert_false (usock_outlet_packet_fits (&scene.outlet, USOCK_IO_MESSAGE_MAX + 1));
  g_assert_cmpint (usock_outlet_write (&scene.outlet, scene.outlet.route, NULL, large,
                                       USOCK_IO_MESSAGE_MAX + 1),
                   ==, -EMSGSIZE);
  /* The buffer grows with what is sent. */
  g_assert_cmpint (usock_outlet_write (&scene.outlet, scene.outlet.route, NULL, large, 500000), ==,
                   500000);
  scene_stop (&scene);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/outlet/init", test_init);
  usock_test_add ("/usock/outlet/packets", test_packets);
  usock_test_add ("/usock/outlet/line", test_line);
  usock_test_add ("/usock/outlet/give", test_give);
  usock_test_add ("/usock/outlet/empty", test_empty);
  usock_test_add ("/usock/outlet/no-foreign-code", test_no_foreign_code);
  usock_test_add ("/usock/outlet/bytes", test_bytes);
  usock_test_add ("/usock/outlet/joined", test_joined);
  usock_test_add ("/usock/outlet/joined-segments", test_joined_segments);
  usock_test_add ("/usock/outlet/joined-control", test_joined_control);
  usock_test_add ("/usock/outlet/joined-rest", test_joined_rest);
  usock_test_add ("/usock/outlet/rest", test_rest);
  usock_test_add ("/usock/outlet/taken-fds", test_taken_fds);
  usock_test_add ("/usock/outlet/joined-mark", test_joined_mark);
  usock_test_add ("/usock/outlet/gather", test_gather);
  usock_test_add ("/usock/outlet/gather/bytes-only", test_gather_bytes_only);
  usock_test_add ("/usock/outlet/limits", test_limits);
  usock_test_add ("/usock/outlet/enqueue", test_enqueue);
  usock_test_add ("/usock/outlet/move", test_move);
  usock_test_add ("/usock/outlet/may-send-now", test_may_send_now);
  usock_test_add ("/usock/outlet/blocked", test_blocked);
  usock_test_add ("/usock/outlet/mark-on-blocked-route", test_mark_on_blocked_route);
  usock_test_add ("/usock/outlet/emptied", test_emptied);
  usock_test_add ("/usock/outlet/repair", test_repair);
  usock_test_add ("/usock/outlet/batch", test_batch);
  usock_test_add ("/usock/outlet/refused-batch", test_refused_batch);
  usock_test_add ("/usock/outlet/many-routes", test_many_routes);
  usock_test_add ("/usock/outlet/sweep-many-routes", test_sweep_many_routes);
  usock_test_add ("/usock/outlet/marks", test_marks);
  usock_test_add ("/usock/outlet/mark-many-routes", test_mark_many_routes);
  usock_test_add ("/usock/outlet/decided-mark", test_decided_mark);
  usock_test_add ("/usock/outlet/failure", test_failure);
  usock_test_add ("/usock/outlet/drop-messages", test_drop_messages);
  usock_test_add ("/usock/outlet/sweep", test_sweep);
  usock_test_add ("/usock/outlet/clear", test_clear);
  usock_test_add ("/usock/outlet/clear-with-fds", test_clear_with_fds);
  usock_test_add ("/usock/outlet/cut-batch", test_cut_batch);
  usock_test_add ("/usock/outlet/cut-batch-and-full", test_cut_batch_and_full);
  usock_test_add ("/usock/outlet/may-send-later", test_may_send_later);
  usock_test_add ("/usock/outlet/repair-packet", test_repair_packet);
  usock_test_add ("/usock/outlet/large", test_large);

  return g_test_run ();
}
