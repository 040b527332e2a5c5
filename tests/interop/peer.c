/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our side of a conversation with a program that does not know usock.
 *
 *   peer listen|connect PATH JOB     adopt FD JOB
 *
 * JOB is one of
 *   echo N                 return every message, and end after N of them (0: when the peer does)
 *   exchange N LONGEST first|last
 *                          send N messages, expect each to come back, end before or after the peer
 *   measure LENGTH         send one message of as many bytes, and expect its length in digits
 *   final-words            send, say "sent", read nothing but "final words", expect a reset
 *
 * It exits with 0 if all of it happened, in order, and the connection ended as it should. */

#include "../sequence.h"

#include <string.h>
#include <usock/usock.h>

#define SEED 42

typedef struct
{
  const char *job;
  guint n_messages;
  gsize longest;
  gboolean end_first;
  const char *length;

  UsockChannel *channel;
  UsockServer *server;
  guint n_sent;
  guint n_received;
  gboolean ended;
  gboolean closed;
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
  g_printerr ("peer: %s at message %u\n", what, i);
  exit (1);
}

static void
send_or_fail (Peer *self,
              const guint8 *data,
              gsize length)
{
  g_autoptr (GError) error = NULL;

  if (!usock_channel_send (self->channel, data, length, &error))
    fail (error->message, self->n_sent);
  self->n_sent++;
}

static void
send_more (Peer *self)
{
  g_autofree guint8 *data = g_malloc (self->longest);
  guint64 mark = usock_channel_get_high_water_mark (self->channel);

  while (self->n_sent < self->n_messages && usock_channel_get_queued_bytes (self->channel) <= mark)
    {
      gsize length = sequence_length (SEED, self->n_sent, self->longest);

      sequence_fill (SEED, self->n_sent, data, length);
      send_or_fail (self, data, length);
      if (self->n_sent == self->n_messages && self->end_first)
        usock_channel_end (self->channel);
    }
}

static void
send_long (Peer *self)
{
  gsize length = strtoul (self->length, NULL, 10);
  g_autofree guint8 *data = g_malloc0 (length);

  send_or_fail (self, data, length);
  usock_channel_end (self->channel);
}

static void
drain_cb (UsockChannel *channel,
          Peer *self)
{
  if (has_job (self, "exchange"))
    send_more (self);
}

static void
check_returned (Peer *self,
                GByteArray *bytes)
{
  if (bytes->len != sequence_length (SEED, self->n_received, self->longest))
    fail ("another length", self->n_received);
  if (!sequence_matches (SEED, self->n_received, bytes->data, bytes->len))
    fail ("another content", self->n_received);
}

static void
check_words (Peer *self,
             GByteArray *bytes,
             const char *words)
{
  if (bytes->len != strlen (words) || memcmp (bytes->data, words, bytes->len) != 0)
    fail ("other words", self->n_received);
}

static void
data_cb (UsockChannel *channel,
         GByteArray *bytes,
         Peer *self)
{
  if (has_job (self, "echo"))
    send_or_fail (self, bytes->data, bytes->len);
  else if (has_job (self, "exchange"))
    check_returned (self, bytes);
  else
    check_words (self, bytes, has_job (self, "measure") ? self->length : "final words");

  self->n_received++;
  if (has_job (self, "echo") && self->n_received == self->n_messages)
    usock_channel_end (channel);
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
close_cb (UsockSocket *socket,
          Peer *self)
{
  self->closed = TRUE;
}

static void
converse (Peer *self,
          UsockChannel *channel)
{
  self->channel = g_object_ref (channel);
  g_signal_connect (channel, "data", G_CALLBACK (data_cb), self);
  g_signal_connect (channel, "drain", G_CALLBACK (drain_cb), self);
  g_signal_connect (channel, "end", G_CALLBACK (end_cb), self);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), self);
  g_signal_connect (channel, "close", G_CALLBACK (close_cb), self);
  if (has_job (self, "exchange"))
    send_more (self);
  if (has_job (self, "measure"))
    send_long (self);
  if (has_job (self, "final-words"))
    {
      send_or_fail (self, (const guint8 *) "unread", strlen ("unread"));
      g_print ("sent\n");
    }
}

static void
connection_cb (UsockServer *server,
               UsockChannel *channel,
               Peer *self)
{
  converse (self, channel);
  usock_socket_close (USOCK_SOCKET (server));
}

static gboolean
start (Peer *self,
       const char *role,
       const char *where,
       GError **error)
{
  g_autoptr (UsockSeqpacket) channel = NULL;

  if (strcmp (role, "listen") == 0)
    {
      self->server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
      g_signal_connect (self->server, "connection", G_CALLBACK (connection_cb), self);
      return usock_server_listen_on_path (self->server, where, 0, error);
    }

  channel = strcmp (role, "adopt") == 0 ? usock_seqpacket_new_from_fd (atoi (where), error)
                                        : usock_seqpacket_new ();
  if (channel == NULL)
    return FALSE;
  if (strcmp (role, "connect") == 0
      && !usock_channel_connect_to_path (USOCK_CHANNEL (channel), where, error))
    return FALSE;

  converse (self, USOCK_CHANNEL (channel));
  return TRUE;
}

static void
check_outcome (Peer *self)
{
  if (!self->closed)
    fail ("no close", self->n_received);
  if (has_job (self, "final-words"))
    {
      if (self->n_received != 1 || self->ended || self->error == NULL)
        fail ("no reset after the final words", self->n_received);
      return;
    }
  if (self->error != NULL)
    fail (self->error->message, self->n_received);
  if (!self->ended)
    fail ("no end", self->n_received);
  if (self->n_messages > 0 && self->n_received != self->n_messages)
    fail ("messages are missing", self->n_received);
}

static int
usage (void)
{
  g_printerr ("peer listen|connect PATH JOB, or peer adopt FD JOB\n");
  return 2;
}

int
main (int argc,
      char **argv)
{
  g_autoptr (GError) error = NULL;
  Peer self = { 0 };

  if (argc < 4)
    return usage ();
  self.job = argv[3];
  self.length = argv[4];
  self.n_messages = has_job (&self, "measure") ? 1 : argc > 4 ? atoi (argv[4]) : 0;
  self.longest = argc > 5 ? atoi (argv[5]) : 0;
  self.end_first = argc > 6 && strcmp (argv[6], "first") == 0;
  if ((has_job (&self, "exchange") && argc != 7) || (has_job (&self, "measure") && argc != 5))
    return usage ();

  if (!start (&self, argv[1], argv[2], &error))
    {
      g_printerr ("peer: %s\n", error->message);
      return 1;
    }
  usock_run_until_closed (NULL);
  check_outcome (&self);
  g_clear_error (&self.error);
  g_clear_object (&self.channel);
  g_clear_object (&self.server);
  return 0;
}
