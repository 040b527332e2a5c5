/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clients of every kind, and a server that does what it likes with them: it sends garbage and
 * descriptors, floods, reads nothing, ends, and closes when it likes. The clients connect again and
 * again; their loop goes on, and neither descriptors nor memory become more. */

#include "hostile.h"
#include "torture.h"

#include <gio/gunixsocketaddress.h>
#include <signal.h>
#include <sys/prctl.h>

#define N_CLIENTS 4
#define GROWTH (16 * 1024 * 1024)
#define N_KINDS G_N_ELEMENTS (kinds)

typedef struct
{
  UsockTest *test;
  const char *path;
  GObject *object; /* who connects */
  UsockPeer *peer;
  gboolean is_closed;
  guint n_calls; /* whose callbacks are to come */
  guint n_opened;
} Client;

typedef struct
{
  const char *path;
  int type;
  void (*open) (Client *self);
  void (*poke) (Client *self);
  void (*close) (Client *self);
} Kind;

static void
close_cb (UsockSocket *socket,
          gboolean    *is_closed)
{
  *is_closed = TRUE;
}

static void
message_cb (UsockChannel *channel,
            UsockMessage *message,
            gpointer      unused)
{
  usock_channel_send_message (channel, message, NULL);
}

/* One that cannot connect is tried again at the next turn. */
static void
client_connect (Client       *self,
                UsockChannel *channel)
{
  self->object = G_OBJECT (channel);
  self->is_closed = FALSE;
  g_object_set (channel, "max-fds", HOSTILE_MAX_FDS, "queue-limit", (guint64) 100 * 1000, NULL);
  g_signal_connect (channel, "close", G_CALLBACK (close_cb), &self->is_closed);
  if (usock_channel_connect_to_path (channel, self->path, NULL))
    self->n_opened++;
  else
    g_clear_object (&self->object);
}

static void
open_seqpacket (Client *self)
{
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());

  g_signal_connect (channel, "message", G_CALLBACK (message_cb), NULL);
  client_connect (self, channel);
}

static void
open_stream (Client *self)
{
  client_connect (self, USOCK_CHANNEL (usock_stream_new ()));
}

static void
poke_channel (Client *self)
{
  usock_channel_send (USOCK_CHANNEL (self->object), (const guint8 *) "request", 7, NULL);
}

static void
line_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  Client *self = user_data;

  g_free (usock_stream_receive_line_finish (USOCK_STREAM (source), result, NULL));
  self->n_calls--;
}

static void
exactly_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Client *self = user_data;
  UsockMessage *message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, NULL);

  g_clear_pointer (&message, usock_message_unref);
  self->n_calls--;
}

static void
poke_stream (Client *self)
{
  UsockStream *stream = USOCK_STREAM (self->object);

  poke_channel (self);
  if (self->n_calls > 0)
    return;

  self->n_calls++;
  if (self->n_opened % 2 == 0)
    usock_stream_receive_line_async (stream, NULL, line_cb, self);
  else
    usock_stream_receive_exactly_async (stream, 100 * 1000, 0, NULL, exactly_cb, self);
}

static void
close_channel (Client *self)
{
  usock_socket_close (USOCK_SOCKET (self->object));
}

static void
open_peer (Client *self)
{
  client_connect (self, USOCK_CHANNEL (usock_seqpacket_new ()));
  if (self->object != NULL)
    self->peer = usock_peer_new (USOCK_CHANNEL (self->object));
}

static void
open_stream_peer (Client *self)
{
  client_connect (self, USOCK_CHANNEL (usock_stream_new ()));
  if (self->object != NULL)
    self->peer = usock_peer_new (USOCK_CHANNEL (self->object));
}

static void
answer_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  Client *self = user_data;
  UsockMessage *answer = usock_peer_call_finish (USOCK_PEER (source), result, NULL);

  g_clear_pointer (&answer, usock_message_unref);
  self->n_calls--;
}

static void
poke_peer (Client *self)
{
  g_autoptr (UsockMessage) body = usock_message_new_from_text ("request");

  if (self->n_calls >= 50)
    return;

  self->n_calls++;
  usock_peer_call_async (self->peer, "Echo", body, -1, NULL, answer_cb, self);
}

/* The path is that of one client at a time, to which the others send. */
static void
open_dgram (Client *self)
{
  UsockDgram *socket = usock_dgram_new ();

  self->object = G_OBJECT (socket);
  self->is_closed = FALSE;
  g_object_set (socket, "max-fds", HOSTILE_MAX_FDS, "queue-limit", (guint64) 100 * 1000, NULL);
  g_signal_connect (socket, "message", G_CALLBACK (message_cb), NULL);
  g_signal_connect (socket, "close", G_CALLBACK (close_cb), &self->is_closed);
  if (usock_dgram_bind_to_path (socket, self->path, NULL))
    self->n_opened++;
  else
    g_clear_object (&self->object);
}

static void
poke_dgram (Client *self)
{
  for (guint i = 1; i <= 2; i++)
    {
      g_autofree char *to = g_strdup_printf ("%s/hostile-%u", self->test->directory, i);

      usock_dgram_send_to (USOCK_DGRAM (self->object), (const guint8 *) "request", 7, to, NULL);
    }
}

/* It connects again by itself. */
static void
open_client (Client *self)
{
  UsockClient *client = usock_client_new (USOCK_TYPE_SEQPACKET);

  self->object = G_OBJECT (client);
  self->n_opened++;
  g_object_set (client, "min-delay", 1, "max-delay", 5, "queue-limit", (guint64) 100 * 1000, NULL);
  usock_test_no_error (usock_client_start_for_path (client, self->path, &error));
}

static void
poke_client (Client *self)
{
  usock_client_send_text (USOCK_CLIENT (self->object), "request", NULL);
}

static void
close_client (Client *self)
{
  usock_client_stop (USOCK_CLIENT (self->object));
}

/* It blocks for as long as it is told to, and no longer. */
static void
open_handle (Client *self)
{
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (self->path);

  self->object = (GObject *) usock_handle_new_connected (
      G_SOCKET_CONNECTABLE (address), USOCK_SOCK_SEQPACKET, 1, NULL, NULL);
  self->is_closed = FALSE;
  if (self->object != NULL)
    self->n_opened++;
}

static void
poke_handle (Client *self)
{
  UsockHandle *handle = USOCK_HANDLE (self->object);
  g_autoptr (GError) error = NULL;
  UsockMessage *message;

  usock_handle_send (handle, (const guint8 *) "request", 7, 0, 1, NULL);
  message = usock_handle_recvmsg (handle, 100 * 1000, 0, 1, &error);
  g_clear_pointer (&message, usock_message_unref);
  self->is_closed = error != NULL && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

static void
close_handle (Client *self)
{
  usock_socket_close (USOCK_SOCKET (self->object));
}

static const Kind kinds[] = {
  { "/torture/hostile-server/seqpacket", SOCK_SEQPACKET, open_seqpacket, poke_channel, close_channel },
  { "/torture/hostile-server/stream", SOCK_STREAM, open_stream, poke_stream, close_channel },
  { "/torture/hostile-server/dgram", SOCK_DGRAM, open_dgram, poke_dgram, close_channel },
  { "/torture/hostile-server/peer", SOCK_SEQPACKET, open_peer, poke_peer, close_channel },
  { "/torture/hostile-server/stream-peer", SOCK_STREAM, open_stream_peer, poke_peer, close_channel },
  { "/torture/hostile-server/client", SOCK_SEQPACKET, open_client, poke_client, close_client },
  { "/torture/hostile-server/handle", SOCK_SEQPACKET, open_handle, poke_handle, close_handle },
};

static void
client_turn (Client     *self,
             const Kind *kind)
{
  if (self->object == NULL)
    kind->open (self);
  else if (!self->is_closed)
    kind->poke (self);
  else if (self->n_calls == 0)
    {
      if (kind->close == close_handle)
        kind->close (self);
      g_clear_object (&self->peer);
      g_clear_object (&self->object);
    }
}

/* Returns how often they have connected. */
static guint
end_clients (Client     *clients,
             const Kind *kind)
{
  guint n_opened = 0;

  for (guint i = 0; i < N_CLIENTS; i++)
    if (clients[i].object != NULL)
      kind->close (&clients[i]);
  for (guint i = 0; i < N_CLIENTS; i++)
    usock_test_wait_until (clients[i].n_calls == 0);
  usock_run_until_closed (clients[0].test->context);
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      g_clear_object (&clients[i].peer);
      g_clear_object (&clients[i].object);
      n_opened += clients[i].n_opened;
    }
  return n_opened;
}

static pid_t
start_server (Drama *play)
{
  pid_t pid;

  play->listener = -1;
  if (play->type != SOCK_DGRAM)
    hostile_listen (play);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      _exit (hostile_play (play));
    }

  if (play->listener != -1)
    close (play->listener);
  return pid;
}

static gboolean
tick_cb (gpointer unused)
{
  return G_SOURCE_CONTINUE;
}

static void
play_one (UsockTest  *test,
          const Kind *kind,
          guint32     seed,
          Heartbeat  *heartbeat)
{
  g_autofree char *path = usock_test_path (test, "socket");
  Drama play = { .type = kind->type, .seed = seed, .directory = test->directory, .path = path };
  g_autoptr (GSource) tick = g_timeout_source_new (1);
  Client clients[N_CLIENTS] = { 0 };
  pid_t pid = start_server (&play);

  g_test_message ("seed %u", seed);
  g_source_set_callback (tick, tick_cb, NULL, NULL);
  g_source_attach (tick, test->context);
  heartbeat_resume (heartbeat, test);
  while (waitpid (pid, NULL, WNOHANG) == 0)
    {
      for (guint i = 0; i < N_CLIENTS; i++)
        {
          clients[i].test = test;
          clients[i].path = path;
          client_turn (&clients[i], kind);
        }
      g_main_context_iteration (test->context, TRUE);
    }
  heartbeat_pause (heartbeat);

  g_source_destroy (tick);
  g_assert_cmpuint (end_clients (clients, kind), >, 0);
  unlink (path);
}

static void
test_hostile_server (UsockTest     *test,
                     gconstpointer  data)
{
  const char *given = g_getenv ("USOCK_TEST_SEED");
  guint32 seed = given != NULL ? g_ascii_strtoull (given, NULL, 10) : 1;
  gint64 start = g_get_monotonic_time ();
  gint64 time = torture_seconds () * G_USEC_PER_SEC / N_KINDS;
  Heartbeat heartbeat = { 0 };
  guint64 before = 0;

  for (guint n = 0; n < 2 || g_get_monotonic_time () < start + time; n++)
    {
      play_one (test, data, seed + n, &heartbeat);
      if (g_get_monotonic_time () < start + time / 4 || n == 0)
        before = torture_resident ();
    }
  heartbeat_judge (&heartbeat);
  if (!torture_is_instrumented ())
    g_assert_cmpuint (torture_resident (), <, before + GROWTH);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < N_KINDS; i++)
    g_test_add (kinds[i].path, UsockTest, &kinds[i], usock_test_setup, test_hostile_server,
                usock_test_teardown);
  return g_test_run ();
}
