/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "torture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define HEARTBEAT (10 * 1000)

gboolean
torture_is_long (void)
{
  return g_strcmp0 (g_getenv ("USOCK_TEST_LONG"), "1") == 0;
}

/* Neither memory nor time mean much then. */
gboolean
torture_is_instrumented (void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return TRUE;
#else
  return g_getenv ("USOCK_TEST_SLOW") != NULL;
#endif
}

/* How long what goes on for a while goes on. */
gint64
torture_seconds (void)
{
  const char *given = g_getenv ("USOCK_TEST_SECONDS");

  return given != NULL ? g_ascii_strtoll (given, NULL, 10) : torture_scaled (3, 30 * 60);
}

/* A third of the messages is empty. */
gsize
torture_length (guint32 seed,
                guint32 i,
                gsize longest)
{
  guint32 hash = sequence_hash (seed, i);

  return hash % 3 == 0 ? 0 : 1 + hash / 3 % longest;
}

pid_t
torture_fork (UsockTest *test,
              Play play,
              gpointer data)
{
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      close (test->pair[0]);
      fcntl (test->pair[1], F_SETFL, fcntl (test->pair[1], F_GETFL) & ~O_NONBLOCK);
      _exit (play (test->pair[1], data));
    }

  close (usock_test_take (test, 1));
  return pid;
}

void
torture_reap (pid_t pid)
{
  int status = -1;

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

UsockChannel *
torture_adopt (UsockTest *test)
{
  UsockSeqpacket *channel = NULL;

  usock_test_no_error (channel = usock_seqpacket_new_from_fd (usock_test_take (test, 0), &error));
  return USOCK_CHANNEL (channel);
}

void
torture_close (UsockChannel *channel)
{
  usock_socket_close (USOCK_SOCKET (channel));
  usock_run_until_closed (g_main_context_get_thread_default ());
}

int
raw_send_stream (int fd,
                 guint32 seed,
                 gsize longest,
                 guint first,
                 guint n)
{
  g_autofree guint8 *data = g_malloc (longest + 1);

  for (guint i = first; i < first + n; i++)
    {
      gsize length = torture_length (seed, i, longest);
      gssize sent;

      sequence_fill (seed, i, data, length);
      do
        sent = send (fd, data, length, MSG_NOSIGNAL);
      while (sent < 0 && errno == EINTR);
      if (sent != (gssize) length)
        return 1;
    }

  return 0;
}

int
raw_receive_stream (int fd,
                    guint32 seed,
                    gsize longest,
                    guint first,
                    guint n)
{
  g_autofree guint8 *data = g_malloc (longest + 1);

  for (guint i = first; i < first + n; i++)
    {
      gssize length;

      do
        length = recv (fd, data, longest + 1, 0);
      while (length < 0 && errno == EINTR);
      if (length != (gssize) torture_length (seed, i, longest)
          || !sequence_matches (seed, i, data, length))
        return 1;
    }

  return 0;
}

int
raw_send_fds (int fd,
              gconstpointer data,
              gsize length,
              const int *fds,
              guint n_fds)
{
  g_autofree struct cmsghdr *control = g_malloc0 (CMSG_SPACE (n_fds * sizeof (int)));
  struct iovec vector = { (gpointer) data, length };
  struct msghdr header = {
    .msg_iov = &vector,
    .msg_iovlen = 1,
    .msg_control = control,
    .msg_controllen = CMSG_SPACE (n_fds * sizeof (int)),
  };

  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN (n_fds * sizeof (int));
  memcpy (CMSG_DATA (control), fds, n_fds * sizeof (int));
  return sendmsg (fd, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Receives one message of any length and returns its one descriptor, or -1. */
int
raw_receive_fd (int fd)
{
  char data[64];
  union
  {
    struct cmsghdr header;
    char space[CMSG_SPACE (sizeof (int))];
  } control;
  struct iovec vector = { data, sizeof data };
  struct msghdr header = {
    .msg_iov = &vector,
    .msg_iovlen = 1,
    .msg_control = &control,
    .msg_controllen = sizeof control,
  };
  int received = -1;

  if (recvmsg (fd, &header, MSG_CMSG_CLOEXEC) >= 0 && CMSG_FIRSTHDR (&header) != NULL)
    memcpy (&received, CMSG_DATA (CMSG_FIRSTHDR (&header)), sizeof received);
  return received;
}

static void
data_cb (UsockChannel *channel,
         GByteArray *bytes,
         Stream *self)
{
  g_assert_cmpuint (self->n_ended + self->n_failed + self->n_closed, ==, 0);
  g_assert_cmpuint (bytes->len, ==, torture_length (self->seed, self->n_received, self->longest));
  g_assert_true (sequence_matches (self->seed, self->n_received, bytes->data, bytes->len));
  self->n_received++;
}

static void
end_cb (UsockChannel *channel,
        Stream *self)
{
  g_assert_cmpuint (self->n_ended + self->n_failed + self->n_closed, ==, 0);
  self->n_ended++;
}

static void
error_cb (UsockSocket *socket,
          const GError *error,
          Stream *self)
{
  g_assert_cmpuint (self->n_failed + self->n_closed, ==, 0);
  self->n_failed++;
  self->error = g_error_copy (error);
}

static void
close_cb (UsockSocket *socket,
          Stream *self)
{
  g_assert_cmpuint (self->n_closed, ==, 0);
  self->n_closed++;
}

void
stream_watch (Stream *self,
              UsockChannel *channel)
{
  self->channel = channel;
  g_signal_connect (channel, "end", G_CALLBACK (end_cb), self);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), self);
  g_signal_connect (channel, "close", G_CALLBACK (close_cb), self);
  if (self->longest > 0)
    g_signal_connect (channel, "data", G_CALLBACK (data_cb), self);
}

void
stream_clear (Stream *self)
{
  g_clear_error (&self->error);
  g_signal_handlers_disconnect_by_data (self->channel, self);
}

static void
pump_more (Pump *self)
{
  g_autofree guint8 *data = g_malloc (self->longest + 1);
  guint64 mark = usock_channel_get_high_water_mark (self->channel);

  while (self->n_sent < self->n_messages && usock_channel_get_queued_bytes (self->channel) <= mark)
    {
      gsize length = torture_length (self->seed, self->n_sent, self->longest);

      sequence_fill (self->seed, self->n_sent, data, length);
      usock_test_no_error (usock_channel_send (self->channel, data, length, &error));
      self->n_sent++;
    }

  if (self->n_sent == self->n_messages && self->end)
    {
      self->end = FALSE;
      usock_channel_end (self->channel);
    }
}

static void
drain_cb (UsockChannel *channel,
          Pump *self)
{
  pump_more (self);
}

void
pump_start (Pump *self,
            UsockChannel *channel)
{
  self->channel = channel;
  g_signal_connect (channel, "drain", G_CALLBACK (drain_cb), self);
  pump_more (self);
}

guint
torture_count_fds (void)
{
  g_autoptr (GDir) directory = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (directory) != NULL)
    n++;
  return n;
}

guint64
torture_resident (void)
{
  g_autofree char *text = NULL;
  const char *line;

  g_assert_true (g_file_get_contents ("/proc/self/status", &text, NULL, NULL));
  line = strstr (text, "VmRSS:");
  return g_ascii_strtoull (line + strlen ("VmRSS:"), NULL, 10) * 1024;
}

static gboolean
elapsed_cb (gpointer elapsed)
{
  *(gboolean *) elapsed = TRUE;
  return G_SOURCE_REMOVE;
}

/* Waits until the loop has slept for @interval milliseconds. On a busy machine what is under way may
 * end late, but a loop that spins never gets there. */
void
torture_wait_until_quiet (UsockTest *test,
                          guint interval)
{
  gint64 deadline = usock_test_deadline ();
  gboolean elapsed = FALSE;
  guint n_turns = 0;

  while (n_turns != 1)
    {
      g_autoptr (GSource) source = g_timeout_source_new (interval);

      g_source_set_callback (source, elapsed_cb, &elapsed, NULL);
      g_source_attach (source, test->context);
      for (elapsed = FALSE, n_turns = 0; !elapsed; n_turns++)
        usock_test_iterate (deadline, "a loop that sleeps");
    }
}

static gint64
thread_time (void)
{
  struct timespec time;

  g_assert_no_errno (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time));
  return time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
}

static gboolean
beat_cb (gpointer user_data)
{
  Heartbeat *self = user_data;
  gint64 now = g_get_monotonic_time ();
  gint64 worked = thread_time ();

  self->latest = MAX (self->latest, now - self->due);
  self->late[CLAMP ((now - self->due) / 1000, 0, HEARTBEAT_LATE - 1)]++;
  self->n_beats++;
  self->busiest = MAX (self->busiest, worked - self->worked);
  self->due = now + HEARTBEAT;
  self->worked = worked;
  g_source_set_ready_time (self->source, self->due);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs heartbeat_funcs;

static gboolean
heartbeat_dispatch (GSource *source,
                    GSourceFunc callback,
                    gpointer user_data)
{
  return callback (user_data);
}

/* Of the usual priority: it must not be starved by what the library does. What was noted before
 * stays. */
void
heartbeat_resume (Heartbeat *self,
                  UsockTest *test)
{
  heartbeat_funcs.dispatch = heartbeat_dispatch;
  self->source = g_source_new (&heartbeat_funcs, sizeof (GSource));
  self->worked = thread_time ();
  self->due = g_get_monotonic_time () + HEARTBEAT;
  g_source_set_callback (self->source, beat_cb, self, NULL);
  g_source_set_ready_time (self->source, self->due);
  g_source_attach (self->source, test->context);
}

void
heartbeat_start (Heartbeat *self,
                 UsockTest *test)
{
  memset (self, 0, sizeof *self);
  heartbeat_resume (self, test);
}

void
heartbeat_pause (Heartbeat *self)
{
  beat_cb (self);
  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
}

/* All but one beat of a thousand were not later. */
static guint
heartbeat_get_usual (Heartbeat *self)
{
  guint left = self->n_beats / 1000;
  guint i = HEARTBEAT_LATE - 1;

  while (i > 0 && self->late[i] <= left)
    left -= self->late[i--];
  return i;
}

/* A loop that is starved works all the while, which is told by its own processor time, however
 * busy the machine is; one that is blocked does nothing, for seconds. */
void
heartbeat_judge (Heartbeat *self)
{
  g_test_message ("of %u heartbeats 99.9 %% were late by %u ms or less, one by %" G_GINT64_FORMAT
                  " ms; what kept one was %" G_GINT64_FORMAT " ms of work",
                  self->n_beats, heartbeat_get_usual (self), self->latest / 1000,
                  self->busiest / 1000);
  if (torture_is_instrumented ())
    return;
  g_assert_cmpint (self->latest, <, 5 * G_USEC_PER_SEC);
  g_assert_cmpint (self->busiest, <, 250 * 1000);
}

void
heartbeat_stop (Heartbeat *self)
{
  heartbeat_pause (self);
  heartbeat_judge (self);
}
