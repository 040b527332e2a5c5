/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our side of datagrams to and from a program that does not know usock.
 *
 *   dgram-peer WHERE JOB
 *
 * WHERE is what to bind to: a path, @name, or "-" for nothing. JOB is one of
 *   print N                  print N messages, a line each: sender, number of descriptors, and in
 *                            Base64 the payload, or what is in the memory that came instead of one
 *   check N LONGEST          expect N messages of the stream, and then an empty one
 *   echo N                   return N messages to their senders
 *   send N LONGEST TO        send N messages of the stream to TO, and then an empty one
 *   post N LONGEST TO        the same, connected
 *   exchange N LONGEST TO N  send N messages to TO, expect each to come back; so many at a time
 *   notify STATE             tell the service manager
 *
 * It exits with 0 if all of it happened, in order. */

#include "../sequence.h"

#include <string.h>
#include <unistd.h>
#include <usock/usock.h>

#define SEED 42

typedef struct
{
  UsockDgram *dgram;
  const char *job;
  guint n_messages;
  gsize longest;
  const char *to;
  guint in_flight;
  guint n_sent;
  guint n_received;
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
  g_printerr ("dgram-peer: %s at message %u\n", what, i);
  exit (1);
}

static void
finish (Peer *self)
{
  usock_socket_close (USOCK_SOCKET (self->dgram));
}

static void
send_or_fail (Peer *self,
              const guint8 *data,
              gsize length,
              const char *to)
{
  g_autoptr (GError) error = NULL;

  if (to == NULL ? !usock_channel_send (USOCK_CHANNEL (self->dgram), data, length, &error)
                 : !usock_dgram_send_to (self->dgram, data, length, to, &error))
    fail (error->message, self->n_sent);
}

static void
send_next (Peer *self)
{
  gsize length = sequence_length (SEED, self->n_sent, self->longest);
  g_autofree guint8 *data = g_malloc (length);

  sequence_fill (SEED, self->n_sent, data, length);
  send_or_fail (self, data, length, has_job (self, "post") ? NULL : self->to);
  self->n_sent++;
}

static void
flushed_cb (GObject *channel,
            GAsyncResult *result,
            gpointer user_data)
{
  Peer *self = user_data;
  g_autoptr (GError) error = NULL;

  if (!usock_channel_flush_finish (USOCK_CHANNEL (channel), result, &error))
    fail (error->message, self->n_sent);
  finish (self);
}

static void
send_all (Peer *self)
{
  while (self->n_sent < self->n_messages)
    send_next (self);
  send_or_fail (self, NULL, 0, has_job (self, "post") ? NULL : self->to);
  usock_channel_flush_async (USOCK_CHANNEL (self->dgram), NULL, flushed_cb, self);
}

static void
send_more (Peer *self)
{
  while (self->n_sent < self->n_messages && self->n_sent - self->n_received < self->in_flight)
    send_next (self);
}

static void
check (Peer *self,
       GByteArray *bytes)
{
  if (bytes->len != sequence_length (SEED, self->n_received, self->longest))
    fail ("another length", self->n_received);
  if (!sequence_matches (SEED, self->n_received, bytes->data, bytes->len))
    fail ("another content", self->n_received);
}

static void
datagram_cb (UsockDgram *dgram,
             GByteArray *bytes,
             const char *sender,
             Peer *self)
{
  /* The stream ends with an empty message. */
  gboolean ends = has_job (self, "check") && self->n_received == self->n_messages;

  if (ends && bytes->len > 0)
    fail ("one message too many", self->n_received);
  if (has_job (self, "echo"))
    send_or_fail (self, bytes->data, bytes->len, sender != NULL ? sender : "");
  else if (!ends)
    check (self, bytes);
  self->n_received++;

  if (has_job (self, "exchange"))
    send_more (self);
  if (has_job (self, "echo") && self->n_received == self->n_messages)
    usock_channel_flush_async (USOCK_CHANNEL (dgram), NULL, flushed_cb, self);
  else if (ends || (has_job (self, "exchange") && self->n_received == self->n_messages))
    finish (self);
}

static GBytes *
read_memory (UsockMessage *message)
{
  g_autoptr (GError) error = NULL;
  int fd = usock_message_take_fd (message, 0, &error);
  g_autofree char *name = g_strdup_printf ("/proc/self/fd/%d", fd);
  char *content = NULL;
  gsize length = 0;

  if (fd < 0 || !g_file_get_contents (name, &content, &length, &error))
    fail (error->message, 0);
  close (fd);
  return g_bytes_new_take (content, length);
}

static void
message_cb (UsockDgram *dgram,
            UsockMessage *message,
            Peer *self)
{
  const char *sender = usock_message_get_sender (message);
  guint n_fds = usock_message_get_n_fds (message);
  g_autoptr (GBytes) payload = NULL;
  g_autofree char *text = NULL;

  if (usock_message_get_flags (message) != USOCK_MESSAGE_FLAGS_NONE)
    fail ("not whole", self->n_received);
  if (n_fds == 1 && usock_message_get_fd_kind (message, 0) == USOCK_FD_KIND_MEMFD)
    payload = read_memory (message);
  else
    payload = g_bytes_ref (usock_message_get_bytes (message));

  text = g_base64_encode (g_bytes_get_data (payload, NULL), g_bytes_get_size (payload));
  g_print ("%s\t%u\t%s\n", sender != NULL ? sender : "", n_fds, text);
  if (++self->n_received == self->n_messages)
    finish (self);
}

static void
send_failed_cb (UsockDgram *dgram,
                const char *destination,
                const GError *error,
                Peer *self)
{
  fail (error->message, self->n_sent);
}

static void
error_cb (UsockSocket *socket,
          const GError *error,
          Peer *self)
{
  fail (error->message, self->n_received);
}

static gboolean
start (Peer *self,
       const char *where,
       GError **error)
{
  UsockChannel *channel = USOCK_CHANNEL (self->dgram);

  if (strcmp (where, "-") != 0 && !usock_dgram_bind_to_path (self->dgram, where, error))
    return FALSE;
  if (has_job (self, "post") && !usock_channel_connect_to_path (channel, self->to, error))
    return FALSE;

  usock_channel_set_max_fds (channel, 1);
  g_signal_connect (channel, "send-failed", G_CALLBACK (send_failed_cb), self);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), self);
  if (has_job (self, "print"))
    g_signal_connect (channel, "message", G_CALLBACK (message_cb), self);
  else if (has_job (self, "send") || has_job (self, "post"))
    send_all (self);
  else
    g_signal_connect (channel, "datagram", G_CALLBACK (datagram_cb), self);
  if (has_job (self, "exchange"))
    send_more (self);
  return TRUE;
}

int
main (int argc,
      char **argv)
{
  g_autoptr (GError) error = NULL;
  Peer self = { 0 };

  if (argc < 4)
    {
      g_printerr ("dgram-peer WHERE JOB\n");
      return 2;
    }
  self.job = argv[2];
  self.n_messages = atoi (argv[3]);
  self.longest = argc > 4 ? atoi (argv[4]) : 0;
  self.to = argc > 5 ? argv[5] : NULL;
  self.in_flight = argc > 6 ? atoi (argv[6]) : 0;

  self.dgram = usock_dgram_new ();
  if (has_job (&self, "notify") ? !usock_notify (argv[3], NULL, 0, &error)
                                : !start (&self, argv[1], &error))
    {
      g_printerr ("dgram-peer: %s\n", error->message);
      return 1;
    }
  usock_run_until_closed (NULL);
  if (self.n_received < self.n_messages && self.n_sent < self.n_messages)
    fail ("closed", self.n_received);
  g_clear_object (&self.dgram);
  return 0;
}
