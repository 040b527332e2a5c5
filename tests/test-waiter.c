/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "usock-dgram-private.h"
#include "usock-waiter-private.h"

typedef struct
{
  UsockReactor *reactor;
  UsockName *name;
  char *path;
  int receiver;
  int sender;
  struct sockaddr_un address;
  UsockWaiter *waiter;
  guint n_ready;
  guint n_used;
  guint n_late;
} Scene;

static int
bind_receiver (Scene *scene)
{
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_assert_cmpint (fd, >=, 0);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &scene->address, sizeof scene->address));
  return fd;
}

static void
scene_start (Scene     *scene,
             UsockTest *test)
{
  *scene = (Scene) { .path = usock_test_path (test, "receiver") };
  scene->address.sun_family = AF_UNIX;
  g_strlcpy (scene->address.sun_path, scene->path, sizeof scene->address.sun_path);
  scene->receiver = bind_receiver (scene);
  scene->sender = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  scene->name = usock_name_new_for_path (scene->path, NULL);
  scene->reactor = usock_reactor_acquire ();
}

static void
scene_stop (Scene *scene)
{
  g_clear_pointer (&scene->waiter, usock_waiter_free);
  usock_reactor_unref (scene->reactor);
  usock_name_free (scene->name);
  g_free (scene->path);
  if (scene->receiver >= 0)
    close (scene->receiver);
  close (scene->sender);
}

/* The waiter is the caller's to arm again. */
static void
ready (gpointer          data,
       UsockWaiterReason reason)
{
  Scene *scene = data;

  if (reason == USOCK_WAITER_CLOCK)
    {
      scene->n_late++;
      return;
    }

  scene->n_ready++;
  usock_waiter_arm (scene->waiter, FALSE);
}

static void
scene_wait (Scene *scene)
{
  scene->waiter = usock_waiter_new (scene->reactor, &scene->n_used, ready, scene);
  g_assert_true (usock_waiter_watch (scene->waiter, scene->name));
  g_assert_true (usock_waiter_watch (scene->waiter, scene->name));
  g_assert_cmpuint (scene->n_used, ==, 1);
  usock_waiter_arm (scene->waiter, TRUE);
}

static gboolean
scene_send (Scene *scene)
{
  ssize_t n = sendto (scene->sender, "x", 1, MSG_DONTWAIT, (struct sockaddr *) &scene->address,
                      sizeof scene->address);

  g_assert_true (n == 1 || errno == EAGAIN);
  return n == 1;
}

static void
scene_fill (Scene *scene)
{
  while (scene_send (scene))
    ;
}

static void
scene_take (Scene *scene)
{
  char byte;

  g_assert_cmpint (recv (scene->receiver, &byte, 1, 0), ==, 1);
}

static gboolean
set_flag (gpointer flag)
{
  *(gboolean *) flag = TRUE;
  return G_SOURCE_REMOVE;
}

static guint
count_turns (guint milliseconds)
{
  GMainContext *context = g_main_context_get_thread_default ();
  g_autoptr (GSource) timer = g_timeout_source_new (milliseconds);
  gboolean over = FALSE;
  guint turns = 0;

  while (g_main_context_iteration (context, FALSE))
    ;
  g_source_set_callback (timer, set_flag, &over, NULL);
  g_source_attach (timer, context);
  for (; !over; turns++)
    g_main_context_iteration (context, TRUE);

  return turns - 1;
}

static void
test_room (UsockTest     *self,
           gconstpointer  data)
{
  Scene scene;

  scene_start (&scene, self);
  scene_fill (&scene);
  scene_wait (&scene);
  g_assert_cmpuint (count_turns (100), ==, 0);

  for (guint i = 1; i < 20; i++)
    {
      scene_take (&scene);
      usock_test_wait_until (scene.n_ready == i);
      g_assert_true (scene_send (&scene));
      g_assert_false (scene_send (&scene));
      usock_waiter_arm (scene.waiter, TRUE);
      g_assert_false (g_main_context_iteration (self->context, FALSE));
    }
  g_assert_cmpuint (count_turns (100), ==, 0);
  scene_stop (&scene);
}

/* Room that came while nobody looked is told too. */
static void
test_room_before (UsockTest     *self,
                  gconstpointer  data)
{
  Scene scene;

  scene_start (&scene, self);
  scene_wait (&scene);
  usock_test_wait_until (scene.n_ready == 1);

  scene_fill (&scene);
  scene_take (&scene);
  usock_waiter_arm (scene.waiter, TRUE);
  usock_test_wait_until (scene.n_ready == 2);

  /* Not while disarmed. */
  scene_fill (&scene);
  scene_take (&scene);
  g_assert_cmpuint (count_turns (50), ==, 0);
  g_assert_cmpuint (scene.n_ready, ==, 2);
  scene_stop (&scene);
}

/* Of many who wait all are told of each place. */
static void
test_many (UsockTest     *self,
           gconstpointer  data)
{
  Scene scenes[20] = { 0 };
  Scene scene;

  scene_start (&scene, self);
  scene_fill (&scene);
  scene_wait (&scene);
  for (guint i = 0; i < G_N_ELEMENTS (scenes); i++)
    {
      scenes[i].reactor = scene.reactor;
      scenes[i].name = scene.name;
      scene_wait (&scenes[i]);
    }
  g_assert_cmpuint (count_turns (50), ==, 0);
  scene_take (&scene);
  usock_test_wait_until (scene.n_ready == 1);
  for (guint i = 0; i < G_N_ELEMENTS (scenes); i++)
    {
      usock_test_wait_until (scenes[i].n_ready == 1);
      usock_waiter_free (scenes[i].waiter);
    }
  scene_stop (&scene);
}

static void
test_receiver_goes (UsockTest     *self,
                    gconstpointer  data)
{
  Scene scene;

  scene_start (&scene, self);
  scene_fill (&scene);
  scene_wait (&scene);
  g_assert_cmpuint (count_turns (20), ==, 0);
  close (g_steal_fd (&scene.receiver));
  usock_test_wait_until (scene.n_ready == 1);
  g_assert_cmpuint (count_turns (50), ==, 0);
  g_assert_cmpint (usock_waiter_probe (scene.name), ==, -ECONNREFUSED);
  usock_waiter_unwatch (scene.waiter);
  g_assert_cmpuint (scene.n_used, ==, 0);

  g_assert_false (usock_waiter_watch (scene.waiter, scene.name));
  unlink (scene.path);
  g_assert_false (usock_waiter_watch (scene.waiter, scene.name));
  g_assert_cmpint (usock_waiter_probe (scene.name), ==, -ENOENT);
  g_assert_cmpuint (scene.n_used, ==, 0);
  scene_stop (&scene);
}

static void
test_faults (UsockTest     *self,
             gconstpointer  data)
{
  static const struct
  {
    UsockIoCall call;
    int errnum;
  } faults[] = {
    { USOCK_IO_SOCKET, EMFILE }, { USOCK_IO_SOCKET, ENOBUFS }, { USOCK_IO_CONNECT, ECONNREFUSED },
    { USOCK_IO_CONNECT, EPERM },
  };
  Scene scene;

  scene_start (&scene, self);
  scene.waiter = usock_waiter_new (scene.reactor, &scene.n_used, ready, &scene);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      usock_io_fault_add (faults[i].call, faults[i].errnum, 1, 0);
      g_assert_false (usock_waiter_watch (scene.waiter, scene.name));
      usock_io_fault_add (faults[i].call, faults[i].errnum, 1, 0);
      g_assert_cmpint (usock_waiter_probe (scene.name), ==, -faults[i].errnum);
    }
  usock_io_fault_clear ();
  g_assert_cmpuint (scene.n_used, ==, 0);
  scene_stop (&scene);
}

/* A sender has a share of the descriptors, and so have all together; the others have the clock. */
static void
test_share (UsockTest     *self,
            gconstpointer  data)
{
  UsockWaiter *waiters[USOCK_WAITER_SHARE + 1];
  guint n_others = 0;
  UsockWaiter *other;
  struct rlimit before, few;
  Scene scene;

  scene_start (&scene, self);
  other = usock_waiter_new (scene.reactor, &n_others, ready, &scene);
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    {
      waiters[i] = usock_waiter_new (scene.reactor, &scene.n_used, ready, &scene);
      g_assert_cmpint (usock_waiter_watch (waiters[i], scene.name), ==, i < USOCK_WAITER_SHARE);
    }
  g_assert_cmpuint (scene.n_used, ==, USOCK_WAITER_SHARE);

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &before));
  few = before;
  few.rlim_cur = USOCK_WAITER_SHARE * 16;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &few));
  g_assert_false (usock_waiter_watch (other, scene.name));
  usock_waiter_unwatch (waiters[0]);
  g_assert_true (usock_waiter_watch (other, scene.name));
  g_assert_false (usock_waiter_watch (waiters[0], scene.name));
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));
  g_assert_true (usock_waiter_watch (waiters[0], scene.name));

  usock_waiter_free (other);
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    usock_waiter_free (waiters[i]);
  g_assert_cmpuint (scene.n_used + n_others, ==, 0);
  scene_stop (&scene);
}

/* Only ever closer, and once. */
static void
test_clock (UsockTest     *self,
            gconstpointer  data)
{
  gint64 now = g_get_monotonic_time ();
  Scene scene;

  scene_start (&scene, self);
  scene_fill (&scene);
  scene_wait (&scene);
  usock_waiter_set_clock (scene.waiter, now + 1000);
  usock_waiter_set_clock (scene.waiter, now + 100 * G_USEC_PER_SEC);
  usock_test_wait_until (scene.n_late == 1);
  g_assert_cmpint (g_get_monotonic_time (), >=, now + 1000);
  g_assert_cmpuint (count_turns (20), ==, 0);
  g_assert_cmpuint (scene.n_ready, ==, 0);

  g_assert_cmpint (usock_waiter_probe (scene.name), ==, 0);
  scene_take (&scene);
  g_assert_cmpint (usock_waiter_probe (scene.name), ==, 1);
  usock_test_wait_until (scene.n_ready == 1);
  scene_stop (&scene);
}

/* The context may go first. */
static void
test_context_goes (UsockTest     *self,
                   gconstpointer  data)
{
  GMainContext *context = g_main_context_new ();
  Scene scene;

  g_main_context_push_thread_default (context);
  scene_start (&scene, self);
  scene_fill (&scene);
  scene_wait (&scene);
  g_main_context_iteration (context, FALSE);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  usock_waiter_arm (scene.waiter, FALSE);
  usock_waiter_arm (scene.waiter, TRUE);
  scene_stop (&scene);
}

/* What datagrams do where a call fails that only a fault makes fail. */

typedef struct
{
  guint congestions;
  guint writables;
  guint failures;
  guint errors;
  guint closes;
  guint received;
} Count;

static void
count_text (guint      *counter,
            const char *text)
{
  (*counter)++;
}

static void
count (guint *counter)
{
  (*counter)++;
}

static void
count_two (guint   *counter,
           gpointer first,
           gpointer second)
{
  (*counter)++;
}

static UsockDgram *
dgram_new (Count *counted)
{
  UsockDgram *dgram = usock_dgram_new ();

  g_signal_connect_swapped (dgram, "congestion", G_CALLBACK (count_text), &counted->congestions);
  g_signal_connect_swapped (dgram, "writable", G_CALLBACK (count_text), &counted->writables);
  g_signal_connect_swapped (dgram, "send-failed", G_CALLBACK (count_two), &counted->failures);
  g_signal_connect_swapped (dgram, "error", G_CALLBACK (count_text), &counted->errors);
  g_signal_connect_swapped (dgram, "close", G_CALLBACK (count), &counted->closes);
  return dgram;
}

static void
dgram_close (UsockDgram *dgram,
             Count      *counted)
{
  usock_socket_close (USOCK_SOCKET (dgram));
  usock_test_wait_until (counted->closes == 1);
  g_assert_finalize_object (G_OBJECT (dgram));
}

static gboolean
dgram_send (UsockDgram  *dgram,
            Scene       *scene,
            GError     **error)
{
  return usock_dgram_send_to (dgram, (const guint8 *) "x", 1, scene->path, error);
}

static guint
scene_drain (Scene *scene)
{
  guint n = 0;
  char byte;

  while (recv (scene->receiver, &byte, 1, 0) == 1)
    n++;
  return n;
}

/* Without a descriptor for the waiter it goes on by the clock. */
static void
test_dgram_without_waiter (UsockTest     *self,
                           gconstpointer  data)
{
  Count counted = { 0 };
  UsockDgram *dgram = dgram_new (&counted);
  Scene scene;
  guint n;

  scene_start (&scene, self);
  usock_test_no_error (dgram_send (dgram, &scene, &error));
  scene_take (&scene);
  usock_io_fault_add (USOCK_IO_SOCKET, EMFILE, 1, 1);
  for (guint i = 0; i < 50; i++)
    usock_test_no_error (dgram_send (dgram, &scene, &error));
  usock_test_wait_until (counted.congestions == 1);
  g_assert_cmpuint (count_turns (500), <, 50);
  for (n = scene_drain (&scene); n < 50; n += scene_drain (&scene))
    usock_test_iterate (usock_test_deadline (), "room");
  usock_test_wait_until (counted.writables == 1);
  usock_io_fault_clear ();
  g_assert_cmpuint (counted.failures, ==, 0);
  dgram_close (dgram, &counted);
  scene_stop (&scene);
}

/* The same where nothing is queued, and nothing to try with. */
static void
check_without_queue (UsockTest   *self,
                     UsockIoCall  call,
                     int          errnum)
{
  Count counted = { 0 };
  UsockDgram *dgram = dgram_new (&counted);
  g_autoptr (GError) wrong = NULL;
  Scene scene;

  scene_start (&scene, self);
  usock_channel_set_queue_limit (USOCK_CHANNEL (dgram), 0);
  usock_test_no_error (dgram_send (dgram, &scene, &error));
  if (call == USOCK_IO_SOCKET)
    scene_fill (&scene);
  usock_io_fault_add (call, errnum, 1, 1);
  g_assert_false (dgram_send (dgram, &scene, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  usock_test_wait_until (counted.congestions > 0);
  usock_io_fault_clear ();
  scene_drain (&scene);
  usock_test_wait_until (counted.writables > 0);
  usock_test_no_error (dgram_send (dgram, &scene, &error));
  dgram_close (dgram, &counted);
  unlink (scene.path);
  scene_stop (&scene);
}

static void
test_dgram_without_queue (UsockTest     *self,
                          gconstpointer  data)
{
  check_without_queue (self, USOCK_IO_SOCKET, EMFILE);
  check_without_queue (self, USOCK_IO_SEND, ENOBUFS);
  check_without_queue (self, USOCK_IO_SEND, ENOMEM);
  check_without_queue (self, USOCK_IO_SEND, ETOOMANYREFS);
}

#define CROWD 40

static void
crowd_start (Scene       *crowd,
             UsockTest   *test,
             UsockDgram  *dgram,
             gboolean     queues)
{
  for (guint i = 0; i < CROWD; i++)
    {
      g_autofree char *name = g_strdup_printf ("receiver-%u", i);

      crowd[i] = (Scene) { .path = usock_test_path (test, name) };
      crowd[i].address.sun_family = AF_UNIX;
      g_strlcpy (crowd[i].address.sun_path, crowd[i].path, sizeof crowd[i].address.sun_path);
      crowd[i].receiver = bind_receiver (&crowd[i]);
      crowd[i].sender = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      scene_fill (&crowd[i]);
      scene_drain (&crowd[i]);
      scene_fill (&crowd[i]);
      for (guint j = 0; j < 3; j++)
        {
          g_autoptr (GError) error = NULL;

          g_assert_cmpint (dgram_send (dgram, &crowd[i], &error), ==, queues);
          g_assert_true (queues || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK));
        }
    }
}

static guint
crowd_drain (Scene *crowd)
{
  guint n = 0;

  for (guint i = 0; i < CROWD; i++)
    n += scene_drain (&crowd[i]);
  return n;
}

static void
crowd_stop (Scene *crowd)
{
  for (guint i = 0; i < CROWD; i++)
    {
      close (crowd[i].receiver);
      close (crowd[i].sender);
      unlink (crowd[i].path);
      g_free (crowd[i].path);
    }
}

/* However many do not read, few descriptors wait for them, turns do not look at them, and each gets
 * all that is his when he reads after all. */
static void
check_crowd (UsockTest *self,
             gboolean   queues)
{
  Count counted = { 0 };
  UsockDgram *dgram = dgram_new (&counted);
  Scene crowd[CROWD];
  guint n = 0, filled;

  if (!queues)
    usock_channel_set_queue_limit (USOCK_CHANNEL (dgram), 0);
  crowd_start (crowd, self, dgram, queues);
  usock_test_wait_until (counted.congestions == CROWD);
  g_assert_cmpuint (dgram->n_waiters, ==, USOCK_WAITER_SHARE);
  usock_test_wait_until (dgram->active.length == 0);
  g_assert_cmpuint (counted.writables, ==, 0);
  /* Most look once or twice a second, and together. */
  count_turns (400);
  g_assert_cmpuint (count_turns (200), <, 2 * CROWD);
  g_assert_cmpuint (counted.writables, ==, 0);

  filled = crowd_drain (crowd);
  while (counted.writables < CROWD)
    {
      usock_test_iterate (usock_test_deadline (), "room");
      n += crowd_drain (crowd);
    }
  g_assert_cmpuint (filled, >, 0);
  g_assert_cmpuint (n + crowd_drain (crowd), ==, queues ? 3 * CROWD : 0);
  g_assert_cmpuint (counted.congestions, ==, CROWD);
  g_assert_cmpuint (counted.failures, ==, 0);
  g_assert_cmpuint (dgram->n_waiters, ==, 0);
  dgram_close (dgram, &counted);
  crowd_stop (crowd);
}

static void
test_dgram_crowd (UsockTest     *self,
                  gconstpointer  data)
{
  check_crowd (self, TRUE);
}

static void
test_dgram_crowd_without_queue (UsockTest     *self,
                                gconstpointer  data)
{
  check_crowd (self, FALSE);
}

/* What comes back without an event is tried again, and nothing is lost. */
static void
test_dgram_send_faults (UsockTest     *self,
                        gconstpointer  data)
{
  static const int passing[] = { ENOBUFS, ENOMEM, ETOOMANYREFS, EAGAIN };

  for (guint i = 0; i < G_N_ELEMENTS (passing); i++)
    {
      Count counted = { 0 };
      UsockDgram *dgram = dgram_new (&counted);
      Scene scene;
      guint n;

      scene_start (&scene, self);
      usock_io_fault_add (USOCK_IO_SEND, passing[i], 2, 3);
      for (guint j = 0; j < 30; j++)
        usock_test_no_error (dgram_send (dgram, &scene, &error));
      for (n = scene_drain (&scene); n < 30; n += scene_drain (&scene))
        usock_test_iterate (usock_test_deadline (), "room");
      usock_io_fault_clear ();
      usock_test_wait_until (counted.writables == counted.congestions);
      g_assert_cmpuint (counted.failures, ==, 0);
      g_assert_cmpuint (counted.errors, ==, 0);
      dgram_close (dgram, &counted);
      unlink (scene.path);
      scene_stop (&scene);
    }
}

/* What waits and cannot be sent is told, one by one, and congestion is over by the clock too. */
static void
test_dgram_lost_by_the_clock (UsockTest     *self,
                              gconstpointer  data)
{
  Count counted = { 0 };
  UsockDgram *dgram = dgram_new (&counted);
  Scene scene;

  scene_start (&scene, self);
  usock_io_fault_add (USOCK_IO_SEND, ENOBUFS, 1, 1);
  for (guint i = 0; i < 3; i++)
    usock_test_no_error (dgram_send (dgram, &scene, &error));
  usock_test_wait_until (counted.congestions == 1);
  usock_io_fault_clear ();
  usock_io_fault_add (USOCK_IO_SEND, EACCES, 1, 1);
  usock_test_wait_until (counted.writables == 1);
  usock_io_fault_clear ();
  g_assert_cmpuint (counted.failures, ==, 3);
  g_assert_cmpuint (counted.errors, ==, 0);
  usock_test_no_error (dgram_send (dgram, &scene, &error));
  dgram_close (dgram, &counted);
  scene_stop (&scene);
}

/* The network's answers, and a moment without memory, do not end a socket that receives. */
static void
test_dgram_receive_faults (UsockTest     *self,
                           gconstpointer  data)
{
  static const int passing[] = { ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ENOPROTOOPT,
                                 EMSGSIZE,     EACCES,     EPROTO,       ENOMEM,      ENOBUFS };
  g_autofree char *path = usock_test_path (self, "own");

  for (guint i = 0; i < G_N_ELEMENTS (passing); i++)
    {
      Count counted = { 0 };
      UsockDgram *dgram = dgram_new (&counted);
      struct sockaddr_un address = { .sun_family = AF_UNIX };
      int sender = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

      usock_test_no_error (usock_dgram_bind_to_path (dgram, path, &error));
      g_signal_connect_swapped (dgram, "data", G_CALLBACK (count_text), &counted.received);
      g_strlcpy (address.sun_path, path, sizeof address.sun_path);
      usock_io_fault_add (USOCK_IO_RECEIVE, passing[i], 1, 2);
      for (guint j = 0; j < 5; j++)
        {
          g_assert_cmpint (sendto (sender, "x", 1, 0, (struct sockaddr *) &address,
                                   sizeof address),
                           ==, 1);
          usock_test_wait_until (counted.received == j + 1);
        }
      usock_io_fault_clear ();
      g_assert_cmpuint (counted.errors + counted.closes, ==, 0);
      close (sender);
      dgram_close (dgram, &counted);
    }
}

/* What fails in binding and connecting leaves the socket as it was. */
static void
test_dgram_open_faults (UsockTest     *self,
                        gconstpointer  data)
{
  static const struct
  {
    UsockIoCall call;
    int errnum;
    int code;
  } faults[] = {
    { USOCK_IO_SOCKET, EMFILE, G_IO_ERROR_TOO_MANY_OPEN_FILES },
    { USOCK_IO_BIND, EACCES, G_IO_ERROR_PERMISSION_DENIED },
    { USOCK_IO_BIND, EROFS, G_IO_ERROR_READ_ONLY },
    { USOCK_IO_SET_OPTION, ENOBUFS, G_IO_ERROR_FAILED },
  };
  g_autofree char *path = usock_test_path (self, "own");
  Count counted = { 0 };
  UsockDgram *dgram = dgram_new (&counted);

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autoptr (GError) wrong = NULL;

      usock_io_fault_add (faults[i].call, faults[i].errnum, 1, 0);
      g_assert_false (usock_dgram_bind_to_path (dgram, path, &wrong));
      usock_io_fault_clear ();
      g_assert_error (wrong, G_IO_ERROR, faults[i].code);
      g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (dgram)), ==, -1);
      g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (dgram)), ==, USOCK_STATE_NEW);
      g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
  usock_test_no_error (usock_dgram_bind_to_path (dgram, path, &error));
  dgram_close (dgram, &counted);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/waiter/room", test_room);
  usock_test_add ("/usock/waiter/room-before", test_room_before);
  usock_test_add ("/usock/waiter/many", test_many);
  usock_test_add ("/usock/waiter/receiver-goes", test_receiver_goes);
  usock_test_add ("/usock/waiter/faults", test_faults);
  usock_test_add ("/usock/waiter/share", test_share);
  usock_test_add ("/usock/waiter/clock", test_clock);
  usock_test_add ("/usock/waiter/context-goes", test_context_goes);
  usock_test_add ("/usock/waiter/dgram/without-waiter", test_dgram_without_waiter);
  usock_test_add ("/usock/waiter/dgram/without-queue", test_dgram_without_queue);
  usock_test_add ("/usock/waiter/dgram/crowd", test_dgram_crowd);
  usock_test_add ("/usock/waiter/dgram/crowd/without-queue", test_dgram_crowd_without_queue);
  usock_test_add ("/usock/waiter/dgram/send-faults", test_dgram_send_faults);
  usock_test_add ("/usock/waiter/dgram/lost-by-the-clock", test_dgram_lost_by_the_clock);
  usock_test_add ("/usock/waiter/dgram/receive-faults", test_dgram_receive_faults);
  usock_test_add ("/usock/waiter/dgram/open-faults", test_dgram_open_faults);

  return g_test_run ();
}
