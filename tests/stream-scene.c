/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "stream-scene.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void
stream_scene_watch (StreamScene *self,
                    const char  *signals)
{
  self->channel = USOCK_CHANNEL (self->stream);
  witness_init (&self->witness);
  if (*signals != '\0')
    witness_watch (&self->witness, self->stream, signals);
}

void
stream_scene_start_raw (StreamScene *self,
                        const char  *signals)
{
  int fds[2];

  *self = (StreamScene) { .peer = -1 };
  g_assert_no_errno (
      socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  usock_test_no_error (self->stream = usock_stream_new_from_fd (fds[0], &error));
  self->peer = fds[1];
  stream_scene_watch (self, signals);
}

void
stream_scene_start (StreamScene *self,
                    const char  *signals)
{
  *self = (StreamScene) { .peer = -1 };
  usock_test_no_error (usock_stream_new_pair (&self->stream, &self->far, &error));
  self->far_channel = USOCK_CHANNEL (self->far);
  stream_scene_watch (self, signals);
}

void
stream_scene_stop (StreamScene *self)
{
  stream_scene_hang_up (self);
  scene_close (self->stream);
  witness_clear (&self->witness);
}

void
stream_scene_hang_up (StreamScene *self)
{
  if (self->far != NULL)
    scene_close (g_steal_pointer (&self->far));
  if (self->peer != -1)
    close (self->peer);
  self->peer = -1;
}

void
stream_scene_narrow (StreamScene *self,
                     gpointer     socket)
{
  int smallest = 1;

  g_assert_no_errno (setsockopt (usock_socket_get_fd (socket), SOL_SOCKET, SO_SNDBUF, &smallest,
                                 sizeof smallest));
}

static void
call_end (WitnessCall *call,
          const char  *text,
          GError      *error)
{
  if (error != NULL)
    g_assert_null (text);
  witness_write (call->witness, "%s:%s", call->name,
                 error != NULL  ? witness_code (error)
                 : text != NULL ? text
                                : "END");
  g_clear_error (&error);
  g_free (call->name);
  g_free (call);
}

static void
line_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      call)
{
  GError *error = NULL;
  g_autofree char *line
      = usock_stream_receive_line_finish (USOCK_STREAM (source), result, &error);

  call_end (call, line, error);
}

static void
call_end_with_message (WitnessCall  *call,
                       UsockMessage *message,
                       GError       *error)
{
  g_autofree char *text = NULL;

  if (message != NULL)
    {
      gsize length;
      const char *data = (const char *) usock_message_get_data (message, &length);
      gboolean cut_off = (usock_message_get_flags (message) & USOCK_MESSAGE_FLAGS_CUT_OFF) != 0;

      text = g_strdup_printf ("%.*s%s", (int) length, data, cut_off ? "!" : "");
      usock_message_unref (message);
    }
  call_end (call, text, error);
}

static void
line_bytes_cb (GObject      *source,
               GAsyncResult *result,
               gpointer      call)
{
  GError *error = NULL;
  UsockMessage *message
      = usock_stream_receive_line_bytes_finish (USOCK_STREAM (source), result, &error);

  call_end_with_message (call, message, error);
}

static void
until_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      call)
{
  GError *error = NULL;
  UsockMessage *message
      = usock_stream_receive_until_finish (USOCK_STREAM (source), result, &error);

  call_end_with_message (call, message, error);
}

static void
text_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      call)
{
  GError *error = NULL;
  g_autofree char *text
      = usock_stream_receive_text_finish (USOCK_STREAM (source), result, &error);

  call_end (call, text, error);
}

static void
exactly_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      call)
{
  GError *error = NULL;
  g_autoptr (UsockMessage) message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, &error);
  g_autofree char *text = NULL;

  if (message != NULL)
    {
      gsize length;
      const char *data = (const char *) usock_message_get_data (message, &length);
      guint n_fds = usock_message_get_n_fds (message);

      text = n_fds > 0 ? g_strdup_printf ("%.*s+%u", (int) length, data, n_fds)
                       : g_strndup (data, length);
    }
  call_end (call, text, error);
}

void
stream_scene_line (StreamScene  *self,
                   const char   *name,
                   GCancellable *cancellable)
{
  usock_stream_receive_line_async (self->stream, cancellable, line_cb,
                                   witness_call (&self->witness, name, NULL));
}

void
stream_scene_line_bytes (StreamScene *self,
                         const char  *name)
{
  usock_stream_receive_line_bytes_async (self->stream, NULL, line_bytes_cb,
                                         witness_call (&self->witness, name, NULL));
}

void
stream_scene_until (StreamScene  *self,
                    const char   *name,
                    const char   *delimiter,
                    GCancellable *cancellable)
{
  usock_stream_receive_until_async (self->stream, (const guint8 *) delimiter, strlen (delimiter),
                                    cancellable, until_cb,
                                    witness_call (&self->witness, name, NULL));
}

void
stream_scene_text (StreamScene  *self,
                   const char   *name,
                   GCancellable *cancellable)
{
  usock_stream_receive_text_async (self->stream, cancellable, text_cb,
                                   witness_call (&self->witness, name, NULL));
}

void
stream_scene_exactly (StreamScene  *self,
                      const char   *name,
                      gsize         n_bytes,
                      guint         n_fds,
                      GCancellable *cancellable)
{
  usock_stream_receive_exactly_async (self->stream, n_bytes, n_fds, cancellable, exactly_cb,
                                      witness_call (&self->witness, name, NULL));
}

void
stream_scene_send (StreamScene  *self,
                   const char   *name,
                   UsockMessage *message,
                   GCancellable *cancellable)
{
  usock_channel_send_message_async (
      self->channel, message, cancellable, witness_done,
      witness_call (&self->witness, name, usock_channel_send_message_finish));
}

static void
raw_send_with (int           fd,
               gconstpointer data,
               gsize         length,
               int           type,
               gconstpointer control,
               gsize         control_length)
{
  union
  {
    struct cmsghdr align;
    char buffer[CMSG_SPACE (253 * sizeof (int))];
  } record = { 0 };
  struct iovec iov = { (gpointer) data, length };
  struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

  if (control_length > 0)
    {
      record.align.cmsg_level = SOL_SOCKET;
      record.align.cmsg_type = type;
      record.align.cmsg_len = CMSG_LEN (control_length);
      memcpy (CMSG_DATA (&record.align), control, control_length);
      header.msg_control = &record;
      header.msg_controllen = CMSG_SPACE (control_length);
    }
  g_assert_cmpint (sendmsg (fd, &header, MSG_NOSIGNAL), ==, length);
}

void
raw_send (int           fd,
          gconstpointer data,
          gsize         length,
          const int    *fds,
          guint         n_fds)
{
  raw_send_with (fd, data, length, SCM_RIGHTS, fds, n_fds * sizeof *fds);
}

void
raw_send_as (int         fd,
             const char *text,
             uid_t       uid)
{
  struct ucred credentials = { getpid (), uid, getgid () };

  raw_send_with (fd, text, strlen (text), SCM_CREDENTIALS, &credentials, sizeof credentials);
}

gssize
raw_receive (int      fd,
             gpointer data,
             gsize    length,
             guint   *n_fds)
{
  union
  {
    struct cmsghdr align;
    char buffer[2048];
  } control;
  struct iovec iov = { data, length };
  struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = sizeof control };
  gssize n = recvmsg (fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  struct cmsghdr *record = n >= 0 ? CMSG_FIRSTHDR (&header) : NULL;

  for (; record != NULL; record = CMSG_NXTHDR (&header, record))
    for (guint i = 0; i < (record->cmsg_len - CMSG_LEN (0)) / sizeof (int); i++)
      {
        int received;

        memcpy (&received, CMSG_DATA (record) + i * sizeof received, sizeof received);
        close (received);
        ++*n_fds;
      }
  return n < 0 ? -errno : n;
}

int
numbered_fd (guint number)
{
  int fd = memfd_create ("numbered", MFD_CLOEXEC);

  g_assert_no_errno (fd);
  g_assert_no_errno (ftruncate (fd, number));
  return fd;
}

guint
number_of_fd (int fd)
{
  struct stat info;

  g_assert_no_errno (fstat (fd, &info));
  return info.st_size;
}

guint
count_open_fds (void)
{
  g_autoptr (GDir) directory = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (directory) != NULL)
    n++;
  return n;
}

gsize
resident_size (void)
{
  g_autofree char *text = NULL;
  gulong pages = 0;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%*u %lu", &pages), ==, 1);
  return pages * (gsize) sysconf (_SC_PAGESIZE);
}

void
assert_grown_less (gsize before,
                   gsize limit)
{
#ifndef __SANITIZE_ADDRESS__
  gsize now = resident_size ();

  if (g_getenv ("USOCK_TEST_SLOW") == NULL)
    g_assert_cmpuint (now - MIN (before, now), <, limit);
#endif
}

guint64
random_below (GRand   *random,
              guint64  end)
{
  return g_rand_int (random) % end;
}
