/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib-unix.h>

/* How often one turn dispatches, where there is always something to do. */
#define DISPATCHES 8

#define MINUTE (60 * G_TIME_SPAN_SECOND)

/* The context of the test as the guest of a loop that knows poll() and nothing else. */
static UsockGuest *
guest_new (UsockTest *test)
{
  GError *error = NULL;
  UsockGuest *guest = usock_guest_acquire (test->context, &error);

  g_assert_no_error (error);
  return guest;
}

static gboolean
host_is_called (UsockGuest *guest,
                int         timeout)
{
  struct pollfd fd = { .fd = usock_guest_get_fd (guest), .events = POLLIN };

  return poll (&fd, 1, timeout) == 1;
}

/* As long as there is something to do. */
static void
host_settle (UsockGuest *guest)
{
  for (guint i = 0; host_is_called (guest, 0); i++)
    {
      g_assert_cmpuint (i, <, 1000);
      usock_guest_turn (guest);
    }
}

#define host_wait_until(guest, expression)                                                         \
  G_STMT_START                                                                                     \
  {                                                                                                \
    gint64 deadline_ = usock_test_deadline ();                                                     \
    while (!(expression))                                                                          \
      {                                                                                            \
        int left_ = (int) ((deadline_ - g_get_monotonic_time ()) / G_TIME_SPAN_MILLISECOND);       \
        g_assert_true (left_ > 0 && host_is_called (guest, left_));                                \
        usock_guest_turn (guest);                                                                  \
      }                                                                                            \
  }                                                                                                \
  G_STMT_END

static gboolean
count_cb (gpointer data)
{
  guint *count = data;

  (*count)++;
  return G_SOURCE_REMOVE;
}

static gboolean
count_on_cb (gpointer data)
{
  count_cb (data);
  return G_SOURCE_CONTINUE;
}

static gboolean
count_read_cb (int          fd,
               GIOCondition condition,
               gpointer     data)
{
  char byte;

  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
  return count_on_cb (data);
}

static gboolean
count_fd_cb (int          fd,
             GIOCondition condition,
             gpointer     data)
{
  return count_on_cb (data);
}

static GSource *
attach (UsockTest   *test,
        GSource     *source,
        GSourceFunc  callback,
        gpointer     data)
{
  g_source_set_callback (source, callback, data, NULL);
  g_source_attach (source, test->context);
  return source;
}

static void
detach (GSource *source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

static void
test_timeouts (UsockTest     *test,
               gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n_late = 0, n_soon = 0;
  GSource *late = attach (test, g_timeout_source_new (10 * 60 * 1000), count_cb, &n_late);
  GSource *soon;

  host_settle (guest);
  soon = attach (test, g_timeout_source_new (10), count_cb, &n_soon);
  g_assert_false (host_is_called (guest, 0));
  usock_guest_look (guest);
  host_wait_until (guest, n_soon == 1);
  host_settle (guest);
  g_assert_cmpuint (n_late, ==, 0);

  g_source_unref (soon);
  detach (late);
  host_settle (guest);
}

static void
test_idle (UsockTest     *test,
           gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n = 0;
  GSource *source;

  host_settle (guest);
  g_assert_false (host_is_called (guest, 20));
  source = attach (test, g_idle_source_new (), count_cb, &n);
  usock_guest_stir (guest);
  usock_guest_stir (guest);
  host_wait_until (guest, n == 1);
  host_settle (guest);
  g_source_unref (source);
}

/* What is ready already is seen without being told of, and nothing else is. */
static void
test_look (UsockTest     *test,
           gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n = 0;
  GSource *source;

  host_settle (guest);
  usock_guest_look (guest);
  g_assert_false (host_is_called (guest, 0));
  source = attach (test, g_idle_source_new (), count_cb, &n);
  g_assert_false (host_is_called (guest, 0));
  usock_guest_look (guest);
  g_assert_true (host_is_called (guest, 0));
  host_settle (guest);
  g_assert_cmpuint (n, ==, 1);
  g_source_unref (source);

  /* A turn that was asked for is not taken back. */
  usock_guest_stir (guest);
  usock_guest_look (guest);
  g_assert_true (host_is_called (guest, 0));
  host_settle (guest);
}

/* A turn needs not be called for, and one is enough for all that is ready when it begins. */
static void
test_turn (UsockTest     *test,
           gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n_idle = 0, n_read = 0;
  GSource *idle, *reader;

  host_settle (guest);
  g_assert_cmpint (write (test->pair[1], "x", 1), ==, 1);
  reader = attach (test, g_unix_fd_source_new (test->pair[0], G_IO_IN),
                   G_SOURCE_FUNC (count_read_cb), &n_read);
  usock_guest_turn (guest);
  g_assert_cmpuint (n_read, ==, 1);
  idle = attach (test, g_idle_source_new (), count_cb, &n_idle);
  usock_guest_turn (guest);
  g_assert_cmpuint (n_idle, ==, 1);
  g_source_unref (idle);
  detach (reader);
}

/* A host that is told of changes only hears of one stir, until there was a turn. */
static void
test_stirred_once (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  int host = epoll_create1 (EPOLL_CLOEXEC);
  struct epoll_event event = { .events = EPOLLIN | EPOLLET };

  host_settle (guest);
  g_assert_no_errno (epoll_ctl (host, EPOLL_CTL_ADD, usock_guest_get_fd (guest), &event));
  for (guint i = 0; i < 2; i++)
    {
      usock_guest_stir (guest);
      g_assert_cmpint (epoll_wait (host, &event, 1, 10000), ==, 1);
      usock_guest_stir (guest);
      g_assert_cmpint (epoll_wait (host, &event, 1, 20), ==, 0);
      host_settle (guest);
    }
  close (host);
}

static char *
find_timer (void)
{
  g_autoptr (GDir) directory = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/fd", name, NULL);
      g_autofree char *target = g_file_read_link (path, NULL);

      if (g_strcmp0 (target, "anon_inode:[timerfd]") == 0)
        return g_build_filename ("/proc/self/fdinfo", name, NULL);
    }

  g_assert_not_reached ();
}

/* When the timer of the only guest goes off, as the kernel has it. */
static gint64
get_timer (void)
{
  g_autofree char *path = find_timer ();
  g_autofree char *text = NULL;
  gint64 seconds, nanoseconds;

  usock_test_no_error (g_file_get_contents (path, &text, NULL, &error));
  g_assert_cmpint (sscanf (strstr (text, "it_value:"),
                           "it_value: (%" G_GINT64_FORMAT ", %" G_GINT64_FORMAT ")", &seconds,
                           &nanoseconds), ==, 2);
  if (seconds == 0 && nanoseconds == 0)
    return 0;

  return g_get_monotonic_time () + seconds * G_TIME_SPAN_SECOND + nanoseconds / 1000;
}

/* It goes off no sooner than the first timeout, and is not set for each that is later. */
static void
test_timer (UsockTest     *test,
            gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  gint64 start;
  guint n = 0;
  GSource *source, *later, *sooner;

  host_settle (guest);
  g_assert_cmpint (get_timer (), ==, 0);
  start = g_get_monotonic_time ();
  source = attach (test, g_timeout_source_new_seconds (10 * 60), count_cb, &n);
  g_source_set_ready_time (source, start + 10 * MINUTE);
  usock_guest_look (guest);
  g_assert_cmpint (get_timer (), >=, start + 10 * MINUTE);
  g_assert_cmpint (get_timer (), <, start + 11 * MINUTE);

  later = attach (test, g_timeout_source_new_seconds (20 * 60), count_cb, &n);
  detach (source);
  usock_guest_look (guest);
  g_assert_cmpint (get_timer (), <, start + 11 * MINUTE);
  detach (later);
  usock_guest_look (guest);
  g_assert_cmpint (get_timer (), >=, start + 10 * MINUTE);

  sooner = attach (test, g_timeout_source_new_seconds (5 * 60), count_cb, &n);
  usock_guest_look (guest);
  g_assert_cmpint (get_timer (), <, start + 7 * MINUTE);
  detach (sooner);
}

static gboolean
is_always_ready (GSource *source,
                 gint    *timeout)
{
  return TRUE;
}

static gboolean
is_never_found_ready (GSource *source)
{
  return FALSE;
}

static gboolean
call_back (GSource    *source,
           GSourceFunc callback,
           gpointer    data)
{
  return callback (data);
}

static GSourceFuncs busy_funcs = {
  .prepare = is_always_ready,
  .check = is_never_found_ready,
  .dispatch = call_back,
};

/* One that is never done leaves the host its turn. */
static void
test_busy (UsockTest     *test,
           gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n = 0;
  GSource *source;

  host_settle (guest);
  source = attach (test, g_source_new (&busy_funcs, sizeof (GSource)), count_on_cb, &n);
  for (guint i = 1; i <= 10; i++)
    {
      usock_guest_turn (guest);
      g_assert_cmpuint (n, ==, i * DISPATCHES);
      g_assert_true (host_is_called (guest, 0));
    }
  detach (source);
  host_settle (guest);
}

static void
test_descriptors (UsockTest     *test,
                  gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n = 0;

  host_settle (guest);
  /* The second has the number of the first. */
  for (guint i = 1; i <= 3; i++)
    {
      int pipe[2];
      GSource *source;

      g_assert_true (g_unix_open_pipe (pipe, FD_CLOEXEC, NULL));
      source = attach (test, g_unix_fd_source_new (pipe[0], G_IO_IN), G_SOURCE_FUNC (count_read_cb),
                       &n);
      host_settle (guest);
      g_assert_cmpint (write (pipe[1], "x", 1), ==, 1);
      host_wait_until (guest, n == i);
      host_settle (guest);
      detach (source);
      close (pipe[0]);
      close (pipe[1]);
    }
  host_settle (guest);
}

/* The same descriptor goes and comes back, and between them the guest has asked for nothing of it. */
static void
test_descriptor_returns (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n = 0;
  int pipe[2];

  g_assert_true (g_unix_open_pipe (pipe, FD_CLOEXEC, NULL));
  for (guint i = 1; i <= 3; i++)
    {
      GSource *source = attach (test, g_unix_fd_source_new (pipe[0], G_IO_IN),
                                G_SOURCE_FUNC (count_read_cb), &n);

      host_settle (guest);
      g_assert_cmpint (write (pipe[1], "x", 1), ==, 1);
      host_wait_until (guest, n == i);
      detach (source);
      host_settle (guest);
    }
  close (pipe[0]);
  close (pipe[1]);
}

/* Three descriptors that come before the context's own, and so are the first it asks for. */
typedef struct
{
  int pipes[3][2];
  GMainContext *context;
  UsockGuest *guest;
  GSource *sources[3];
} Row;

static void
row_init (Row         *self,
          GSourceFunc  callback,
          guint       *n)
{
  for (guint i = 0; i < 3; i++)
    g_assert_true (g_unix_open_pipe (self->pipes[i], FD_CLOEXEC, NULL));
  self->context = g_main_context_new ();
  self->guest = usock_guest_acquire (self->context, NULL);
  for (guint i = 0; i < 3; i++)
    {
      self->sources[i] = g_unix_fd_source_new (self->pipes[i][0], G_IO_IN);
      g_source_set_callback (self->sources[i], callback, n, NULL);
      g_source_attach (self->sources[i], self->context);
    }
}

static void
row_clear (Row *self)
{
  for (guint i = 0; i < 3; i++)
    {
      detach (self->sources[i]);
      close (self->pipes[i][0]);
      close (self->pipes[i][1]);
    }
  g_object_unref (self->guest);
  g_main_context_unref (self->context);
}

static void
row_write (Row   *self,
           guint  i)
{
  g_assert_cmpint (write (self->pipes[i][1], "x", 1), ==, 1);
}

/* What the context asks for no more calls nobody, wherever it stood among the others. */
static void
test_descriptor_goes (UsockTest     *test,
                      gconstpointer  unused)
{
  Row row;
  guint n = 0;

  row_init (&row, G_SOURCE_FUNC (count_read_cb), &n);
  host_settle (row.guest);
  for (guint i = 0; i < 3; i++)
    {
      row_write (&row, i);
      host_wait_until (row.guest, n == i + 1);
      host_settle (row.guest);
    }
  for (guint i = 1; i <= 3; i++)
    {
      g_source_destroy (row.sources[i % 3]);
      host_settle (row.guest);
      row_write (&row, i % 3);
      g_assert_false (host_is_called (row.guest, 0));
    }
  g_assert_cmpuint (n, ==, 3);
  row_clear (&row);
}

static gint
poll_in_vain (GPollFD *fds,
              guint    n_fds,
              gint     timeout)
{
  for (guint i = 0; i < n_fds; i++)
    fds[i].revents = G_IO_IN;
  return -1;
}

/* Where polling fails, nothing of what it says is believed. */
static void
test_poll_fails (UsockTest     *test,
                 gconstpointer  unused)
{
  Row row;
  guint n = 0;

  row_init (&row, G_SOURCE_FUNC (count_fd_cb), &n);
  g_main_context_set_poll_func (row.context, poll_in_vain);
  for (guint i = 0; i < 3; i++)
    usock_guest_turn (row.guest);
  g_assert_cmpuint (n, ==, 0);
  row_clear (&row);
}

/* It cannot be in an epoll, and is always ready. */
static void
test_file (UsockTest     *test,
           gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  g_autofree char *path = usock_test_path (test, "file");
  guint n = 0;
  GSource *source;
  int fd;

  g_assert_true (g_file_set_contents (path, "0123456789", 10, NULL));
  fd = open (path, O_RDONLY | O_CLOEXEC);
  source = attach (test, g_unix_fd_source_new (fd, G_IO_IN), G_SOURCE_FUNC (count_read_cb), &n);
  /* Any other is taken out of the context and put back each time, which wakes it. */
  g_source_set_can_recurse (source, TRUE);
  host_wait_until (guest, n == 10);
  detach (source);
  host_settle (guest);
  close (fd);
}

typedef struct
{
  GMainContext *context;
  guint n;
} Elsewhere;

static gpointer
elsewhere_add (gpointer data)
{
  Elsewhere *self = data;
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_callback (source, count_cb, &self->n, NULL);
  g_source_attach (source, self->context);
  return NULL;
}

/* A thread of GTask's adds its result so. */
static void
test_another_thread_adds (UsockTest     *test,
                          gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  Elsewhere elsewhere = { test->context };

  host_settle (guest);
  g_thread_join (g_thread_new ("adds", elsewhere_add, &elsewhere));
  g_assert_true (host_is_called (guest, 0));
  host_wait_until (guest, elsewhere.n == 1);
}

static gpointer
elsewhere_acquire (gpointer data)
{
  Elsewhere *self = data;
  GError *error = NULL;

  g_assert_null (usock_guest_acquire (self->context, &error));
  assert_error_code (error, G_IO_ERROR_BUSY);
  return NULL;
}

static gpointer
elsewhere_turn (gpointer guest)
{
  usock_guest_look (guest);
  usock_guest_turn (guest);
  return NULL;
}

/* It is run in its own thread only. */
static void
test_another_thread_turns (UsockTest     *test,
                           gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n = 0;
  GSource *source;

  host_settle (guest);
  source = attach (test, g_idle_source_new (), count_cb, &n);
  g_thread_join (g_thread_new ("turns", elsewhere_turn, guest));
  g_assert_cmpuint (n, ==, 0);
  g_assert_false (host_is_called (guest, 0));
  usock_guest_turn (guest);
  g_assert_cmpuint (n, ==, 1);
  g_source_unref (source);
}

static gpointer
elsewhere_own (gpointer data)
{
  Elsewhere *self = data;
  g_autoptr (UsockGuest) guest = usock_guest_acquire (self->context, NULL);

  g_assert_nonnull (guest);
  return NULL;
}

static void
test_one (UsockTest     *test,
          gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  g_autoptr (UsockGuest) again = guest_new (test);
  g_autoptr (UsockGuest) of_default = usock_guest_acquire (NULL, NULL);
  Elsewhere elsewhere = { test->context };

  g_assert_true (guest == again && guest == of_default);
  g_assert_true (g_main_context_acquire (test->context));
  g_clear_object (&again);
  g_clear_object (&of_default);
  g_clear_object (&guest);
  g_thread_join (g_thread_new ("acquires", elsewhere_acquire, &elsewhere));
  g_main_context_release (test->context);

  guest = guest_new (test);
  host_settle (guest);
}

/* Without its guest, the context is for any thread to run. */
static void
test_lets_go (UsockTest     *test,
              gconstpointer  unused)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Elsewhere elsewhere = { context };

  g_object_unref (usock_guest_acquire (context, NULL));
  g_thread_join (g_thread_new ("owns", elsewhere_own, &elsewhere));
}

/* It takes two descriptors, and leaves none behind if there is but one. */
static void
test_no_descriptors (UsockTest     *test,
                     gconstpointer  unused)
{
  struct rlimit limit, low;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  for (guint n_left = 0; n_left < 2; n_left++)
    {
      GError *error = NULL;
      int next = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

      close (next);
      low = limit;
      low.rlim_cur = (rlim_t) next + n_left;
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
      g_assert_null (usock_guest_acquire (test->context, &error));
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
      assert_error_code (error, G_IO_ERROR_TOO_MANY_OPEN_FILES);
    }
}

static void
set_cb (gpointer data)
{
  *(gboolean *) data = TRUE;
}

/* It goes like any other object; and one that nobody has acquired is of no use, and does no harm. */
static void
test_goes (UsockTest     *test,
           gconstpointer  unused)
{
  UsockGuest *guest = guest_new (test);
  UsockGuest *empty = g_object_new (USOCK_TYPE_GUEST, NULL);
  int flags = fcntl (STDIN_FILENO, F_GETFD);
  gboolean gone = FALSE;

  g_object_set_data_full (G_OBJECT (guest), "gone", &gone, set_cb);
  g_object_add_weak_pointer (G_OBJECT (guest), (gpointer *) &guest);
  g_object_unref (guest);
  g_assert_null (guest);
  g_assert_true (gone);

  g_assert_cmpint (usock_guest_get_fd (empty), ==, -1);
  g_object_unref (empty);
  g_assert_cmpint (fcntl (STDIN_FILENO, F_GETFD), ==, flags);
}

/* Whoever iterates the context takes its wake-ups, and may leave it with other things to do. */
static void
test_iterated_by_hand (UsockTest     *test,
                       gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n = 0;
  GSource *source;

  host_settle (guest);
  source = attach (test, g_timeout_source_new (10), count_on_cb, &n);
  g_main_context_iteration (test->context, FALSE);
  host_wait_until (guest, n >= 3);
  detach (source);
  host_settle (guest);
}

static void
test_sockets (UsockTest     *test,
              gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  UsockChannel *first, *second;
  Witness witness;

  witness_init (&witness);
  scene_pair (&first, &second);
  witness_watch (&witness, second, "data end close");
  usock_guest_stir (guest);
  host_settle (guest);

  for (guint i = 1; i <= 40; i++)
    {
      usock_test_no_error (usock_channel_send_text (first, "x", &error));
      host_wait_until (guest, witness.n_words == i);
      host_settle (guest);
    }
  g_string_truncate (witness.words, 0);
  witness.n_words = 0;

  usock_channel_set_idle_timeout (second, 20);
  witness_watch (&witness, second, "timeout");
  host_wait_until (guest, witness.n_words == 1);
  witness_assert (&witness, "timeout");

  usock_socket_close (USOCK_SOCKET (first));
  host_wait_until (guest, witness.n_closed == 1);
  host_settle (guest);
  witness_assert (&witness, "end close");

  g_object_unref (first);
  g_object_unref (second);
  witness_clear (&witness);
  host_settle (guest);
}

static void
receive_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  GError *error = NULL;
  g_autoptr (UsockMessage) message
      = usock_channel_receive_finish (USOCK_CHANNEL (source), result, &error);

  (*(guint *) data)++;
  g_clear_error (&error);
}

static void
count_func (UsockChannel *channel,
            const guint8 *data,
            gsize         length,
            gpointer      n)
{
  count_cb (n);
}

/* What is asked for from outside, and what is told of a channel that is gone already. */
static void
test_calls (UsockTest     *test,
            gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  UsockChannel *first, *second;
  guint n = 0;

  scene_pair (&first, &second);
  usock_test_no_error (usock_channel_send_text (first, "1", &error));
  usock_test_no_error (usock_channel_send_text (first, "2", &error));
  host_settle (guest);

  for (guint i = 1; i <= 2; i++)
    {
      usock_channel_receive_async (second, NULL, receive_cb, &n);
      host_wait_until (guest, n == i);
      host_settle (guest);
    }

  usock_test_no_error (usock_channel_send_text (first, "3", &error));
  host_settle (guest);
  g_assert_cmpuint (n, ==, 2);
  usock_channel_set_receive_func (second, count_func, &n, NULL);
  host_wait_until (guest, n == 3);
  usock_channel_pause (second);
  usock_test_no_error (usock_channel_send_text (first, "4", &error));
  host_settle (guest);
  g_assert_cmpuint (n, ==, 3);
  usock_channel_resume (second);
  host_wait_until (guest, n == 4);
  n = 2;

  usock_socket_close (USOCK_SOCKET (first));
  usock_socket_close (USOCK_SOCKET (second));
  host_settle (guest);
  usock_channel_receive_async (second, NULL, receive_cb, &n);
  host_wait_until (guest, n == 3);

  g_object_unref (first);
  g_object_unref (second);
  host_settle (guest);
}

/* The epoll and the timer are the parent's as well. */
static void
test_forked (UsockTest     *test,
             gconstpointer  unused)
{
  g_autoptr (UsockGuest) guest = guest_new (test);
  guint n = 0;
  GSource *source = attach (test, g_timeout_source_new (10 * 60 * 1000), count_cb, &n);
  int status;
  pid_t child;

  host_settle (guest);
  child = fork ();
  if (child == 0)
    {
      g_autoptr (UsockGuest) own = guest_new (test);

      if (own == guest)
        _exit (1);
      if (!host_is_called (own, 0))
        _exit (2);
      g_object_unref (g_steal_pointer (&own));
      usock_guest_stir (guest);
      usock_guest_look (guest);
      usock_guest_turn (guest);
      g_object_unref (g_steal_pointer (&guest));
      _exit (0);
    }

  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  g_assert_false (host_is_called (guest, 0));
  detach (source);
  host_settle (guest);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/guest/timeouts", test_timeouts);
  usock_test_add ("/usock/guest/idle", test_idle);
  usock_test_add ("/usock/guest/look", test_look);
  usock_test_add ("/usock/guest/turn", test_turn);
  usock_test_add ("/usock/guest/stirred-once", test_stirred_once);
  usock_test_add ("/usock/guest/timer", test_timer);
  usock_test_add ("/usock/guest/busy", test_busy);
  usock_test_add ("/usock/guest/descriptors", test_descriptors);
  usock_test_add ("/usock/guest/descriptor-returns", test_descriptor_returns);
  usock_test_add ("/usock/guest/descriptor-goes", test_descriptor_goes);
  usock_test_add ("/usock/guest/poll-fails", test_poll_fails);
  usock_test_add ("/usock/guest/file", test_file);
  usock_test_add ("/usock/guest/another-thread-adds", test_another_thread_adds);
  usock_test_add ("/usock/guest/another-thread-turns", test_another_thread_turns);
  usock_test_add ("/usock/guest/one", test_one);
  usock_test_add ("/usock/guest/lets-go", test_lets_go);
  usock_test_add ("/usock/guest/no-descriptors", test_no_descriptors);
  usock_test_add ("/usock/guest/goes", test_goes);
  usock_test_add ("/usock/guest/iterated-by-hand", test_iterated_by_hand);
  usock_test_add ("/usock/guest/sockets", test_sockets);
  usock_test_add ("/usock/guest/calls", test_calls);
  usock_test_add ("/usock/guest/forked", test_forked);

  return g_test_run ();
}
