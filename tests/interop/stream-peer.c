/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our side of a stream with a program that does not know usock.
 *
 *   stream-peer listen|connect PATH JOB
 *
 * JOB is one of
 *   echo                   return whatever comes, with its descriptors, until the peer ends
 *   exchange N LONGEST FDS IN_FLIGHT
 *                          send N frames, the i-th with i % (FDS + 1) descriptors, and expect each
 *                          to come back; then end, and expect the peer to
 *   redis N                set and get N keys in one go
 *   qmp                    pass a descriptor to QEMU, and have it close that
 *
 * It exits with 0 if all of it happened, in order, and the stream ended as it should. */

#include "../sequence.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <usock/usock.h>

#define SEED 42

typedef struct
{
  const char *job;
  guint n_frames;
  gsize longest;
  guint n_fds;
  guint in_flight;

  UsockChannel *channel;
  UsockServer *server;
  guint n_sent;
  guint n_received;
  gboolean ended;
  GError *error;
} Peer;

static gboolean
has_job (Peer *self,
         const char *job)
{
  return strcmp (self->job, job) == 0;
}

static void
fail (const char *what,
      guint i)
{
  g_printerr ("stream-peer: %s at %u\n", what, i);
  exit (1);
}

static void
check (gboolean sent,
       const GError *error,
       guint i)
{
  if (!sent)
    fail (error->message, i);
}

static void
send_message (Peer *self,
              UsockMessage *message)
{
  g_autoptr (GError) error = NULL;

  check (usock_channel_send_message (self->channel, message, &error), error, self->n_sent);
}

static void
send_text (Peer *self,
           const char *text)
{
  g_autoptr (GError) error = NULL;

  check (usock_channel_send_text (self->channel, text, &error), error, self->n_sent);
}

/* Any answer, waited for. */
typedef struct
{
  GAsyncResult *result;
} Answer;

static void
answer_cb (GObject *source,
           GAsyncResult *result,
           gpointer answer)
{
  ((Answer *) answer)->result = g_object_ref (result);
}

static void
answer_wait (Answer *self)
{
  while (self->result == NULL)
    g_main_context_iteration (NULL, TRUE);
}

static UsockMessage *
receive_exactly (Peer *self,
                 gsize length,
                 guint n_fds)
{
  g_autoptr (GError) error = NULL;
  Answer answer = { NULL };
  UsockMessage *message;

  usock_stream_receive_exactly_async (USOCK_STREAM (self->channel), length, n_fds, NULL, answer_cb,
                                      &answer);
  answer_wait (&answer);
  message = usock_stream_receive_exactly_finish (USOCK_STREAM (self->channel), answer.result,
                                                 &error);
  check (error == NULL, error, self->n_received);
  g_object_unref (answer.result);
  return message;
}

static char *
receive_line (Peer *self)
{
  g_autoptr (GError) error = NULL;
  Answer answer = { NULL };
  char *line;

  usock_stream_receive_line_async (USOCK_STREAM (self->channel), NULL, answer_cb, &answer);
  answer_wait (&answer);
  line = usock_stream_receive_line_finish (USOCK_STREAM (self->channel), answer.result, &error);
  check (error == NULL, error, self->n_received);
  g_object_unref (answer.result);
  if (line == NULL)
    fail ("an early end", self->n_received);
  return line;
}

/* A descriptor is known by the size of its file. */
static void
append_fd (UsockMessage *message,
           guint size)
{
  g_autoptr (GError) error = NULL;
  int fd = memfd_create ("usock", MFD_CLOEXEC);

  if (fd == -1 || ftruncate (fd, size) == -1)
    fail ("no descriptor", size);
  check (usock_message_append_fd_owned (message, fd, &error), error, size);
}

static void
check_fd (int fd,
          guint size)
{
  struct stat info;

  if (fstat (fd, &info) == -1 || info.st_size != size)
    fail ("another descriptor", size);
  close (fd);
}

static void
send_frame (Peer *self,
            guint i)
{
  gsize length = sequence_length (SEED, i, self->longest);
  g_autofree guint8 *data = g_malloc (length + 4);
  g_autoptr (UsockMessage) message = NULL;
  guint32 prefix = GUINT32_TO_BE (length);

  memcpy (data, &prefix, sizeof prefix);
  sequence_fill (SEED, i, data + sizeof prefix, length);
  message = usock_message_new (data, length + sizeof prefix);
  for (guint j = 0; j < i % (self->n_fds + 1); j++)
    append_fd (message, i * 10 + j);
  send_message (self, message);
}

static void
receive_frame (Peer *self,
               guint i)
{
  g_autoptr (UsockMessage) prefix = receive_exactly (self, 4, 0);
  g_autoptr (UsockMessage) frame = NULL;
  g_autofree int *fds = NULL;
  guint32 expected;
  gsize length, n_fds;
  const guint8 *data;

  if (prefix == NULL)
    fail ("an early end", i);
  memcpy (&expected, usock_message_get_data (prefix, NULL), sizeof expected);
  if (GUINT32_FROM_BE (expected) != sequence_length (SEED, i, self->longest))
    fail ("another length", i);

  frame = receive_exactly (self, GUINT32_FROM_BE (expected), i % (self->n_fds + 1));
  data = usock_message_get_data (frame, &length);
  if (!sequence_matches (SEED, i, data, length))
    fail ("another content", i);
  fds = usock_message_take_fds (frame, &n_fds);
  for (gsize j = 0; j < n_fds; j++)
    check_fd (fds[j], i * 10 + j);
}

static void
exchange (Peer *self)
{
  g_autoptr (UsockMessage) rest = NULL;

  while (self->n_received < self->n_frames)
    {
      guint64 mark = usock_channel_get_high_water_mark (self->channel);

      while (self->n_sent < self->n_frames && self->n_sent - self->n_received < self->in_flight
             && usock_channel_get_queued_bytes (self->channel) <= mark)
        send_frame (self, self->n_sent++);
      receive_frame (self, self->n_received++);
    }

  usock_channel_end (self->channel);
  rest = receive_exactly (self, 1, 0);
  if (rest != NULL)
    fail ("more than was sent", self->n_received);
}

static void
redis (Peer *self)
{
  usock_stream_cork (USOCK_STREAM (self->channel));
  send_text (self, "*1\r\n$4\r\nPING\r\n");
  for (guint i = 0; i < self->n_frames; i++)
    {
      g_autofree char *value = g_strnfill (i, 'x');
      g_autofree char *command = g_strdup_printf (
          "*3\r\n$3\r\nSET\r\n$5\r\n%05u\r\n$%u\r\n%s\r\n*2\r\n$3\r\nGET\r\n$5\r\n%05u\r\n", i, i,
          value, i);

      send_text (self, command);
    }
  usock_stream_uncork (USOCK_STREAM (self->channel));

  {
    g_autofree char *line = receive_line (self);

    if (strcmp (line, "+PONG") != 0)
      fail (line, 0);
  }
  for (guint i = 0; i < self->n_frames; i++)
    {
      g_autofree char *set = receive_line (self);
      g_autofree char *get = receive_line (self);
      g_autoptr (UsockMessage) value = NULL;

      if (strcmp (set, "+OK") != 0 || get[0] != '$' || (guint) atoi (get + 1) != i)
        fail (set, i);
      value = receive_exactly (self, i + 2, 0);
      if (i > 0 && *usock_message_get_data (value, NULL) != 'x')
        fail ("another value", i);
    }
  usock_channel_end (self->channel);
}

/* Events come in between. */
static void
qmp (Peer *self,
     const char *command,
     int fd,
     const char *expected)
{
  g_autoptr (UsockMessage) message
      = usock_message_new ((const guint8 *) command, strlen (command));
  g_autofree char *line = NULL;

  if (fd != -1)
    check (usock_message_append_fd (message, fd, NULL), NULL, 0);
  send_message (self, message);
  do
    {
      g_free (line);
      line = receive_line (self);
    }
  while (strstr (line, "\"event\"") != NULL);

  if (strstr (line, expected) == NULL)
    fail (line, self->n_received);
  self->n_received++;
}

static void
talk_to_qemu (Peer *self)
{
  g_autofree char *greeting = receive_line (self);

  if (strstr (greeting, "\"QMP\"") == NULL)
    fail (greeting, 0);
  qmp (self, "{'execute': 'qmp_capabilities'}\n", -1, "\"return\"");
  qmp (self, "{'execute': 'getfd', 'arguments': {'fdname': 'usock'}}\n", -1, "\"error\"");
  qmp (self, "{'execute': 'closefd', 'arguments': {'fdname': 'usock'}}\n", -1, "\"error\"");
  qmp (self, "{'execute': 'getfd', 'arguments': {'fdname': 'usock'}}\n", 0, "\"return\"");
  qmp (self, "{'execute': 'closefd', 'arguments': {'fdname': 'usock'}}\n", -1, "\"return\"");
  usock_channel_end (self->channel);
}

static void
message_cb (UsockChannel *channel,
            UsockMessage *message,
            Peer *self)
{
  send_message (self, message);
}

static void
end_cb (UsockChannel *channel,
        Peer *self)
{
  self->ended = TRUE;
}

static void
error_cb (UsockSocket *socket,
          const GError *error,
          Peer *self)
{
  self->error = g_error_copy (error);
}

static void
begin (Peer *self,
       UsockChannel *channel)
{
  self->channel = g_object_ref (channel);
  usock_channel_set_max_fds (channel, 253);
  usock_channel_set_queue_limit (channel, G_MAXUINT64);
  g_signal_connect (channel, "end", G_CALLBACK (end_cb), self);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), self);
  if (has_job (self, "echo"))
    g_signal_connect (channel, "message", G_CALLBACK (message_cb), self);
}

static void
connection_cb (UsockServer *server,
               UsockChannel *channel,
               Peer *self)
{
  begin (self, channel);
  usock_socket_close (USOCK_SOCKET (server));
}

static gboolean
start (Peer *self,
       const char *role,
       const char *path,
       GError **error)
{
  g_autoptr (UsockStream) stream = NULL;

  if (strcmp (role, "listen") == 0)
    {
      self->server = usock_server_new (G_SOCKET_TYPE_STREAM);
      usock_server_set_max_fds (self->server, 253);
      g_signal_connect (self->server, "connection", G_CALLBACK (connection_cb), self);
      if (!usock_server_listen_on_path (self->server, path, 0, error))
        return FALSE;
      while (self->channel == NULL)
        g_main_context_iteration (NULL, TRUE);
      return TRUE;
    }

  stream = usock_stream_new ();
  begin (self, USOCK_CHANNEL (stream));
  return usock_channel_connect_to_path (USOCK_CHANNEL (stream), path, error);
}

static void
work (Peer *self)
{
  if (has_job (self, "exchange"))
    exchange (self);
  else if (has_job (self, "redis"))
    redis (self);
  else if (has_job (self, "qmp"))
    talk_to_qemu (self);
}

int
main (int argc,
      char **argv)
{
  g_autoptr (GError) error = NULL;
  Peer self = { 0 };

  if (argc < 4)
    {
      g_printerr ("stream-peer listen|connect PATH JOB\n");
      return 2;
    }
  self.job = argv[3];
  self.n_frames = argc > 4 ? atoi (argv[4]) : 0;
  self.longest = argc > 5 ? atoi (argv[5]) : 0;
  self.n_fds = argc > 6 ? atoi (argv[6]) : 0;
  self.in_flight = argc > 7 ? atoi (argv[7]) : 1;

  if (!start (&self, argv[1], argv[2], &error))
    {
      g_printerr ("stream-peer: %s\n", error->message);
      return 1;
    }
  work (&self);
  usock_run_until_closed (NULL);
  if (self.error != NULL || !self.ended)
    fail (self.error != NULL ? self.error->message : "no end", self.n_received);
  g_clear_object (&self.channel);
  g_clear_object (&self.server);
  return 0;
}
