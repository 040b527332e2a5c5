/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a channel keeps to itself: how it opens and closes, what one turn of it may take, whom that
 * asks, and when the next one is due. */

#include "channel-scene.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "usock-channel-private.h"

#define SECOND G_USEC_PER_SEC
#define LARGE (64 * 1024)

/* A channel of any kind over a pair of its own, whose other end is raw. */
static UsockChannel *
open_channel (int  type,
              int *peer)
{
  gpointer channel = NULL;
  int pair[2];

  g_assert_no_errno (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, pair));
  *peer = pair[1];
  if (type == SOCK_STREAM)
    usock_test_no_error (channel = usock_stream_new_from_fd (pair[0], &error));
  else if (type == SOCK_DGRAM)
    usock_test_no_error (channel = usock_dgram_new_from_fd (pair[0], &error));
  else
    usock_test_no_error (channel = usock_seqpacket_new_from_fd (pair[0], &error));
  return channel;
}

/* The share of a turn. */

typedef struct
{
  const char *taker;
  gsize length;
  guint expected; /* that one turn gives */
} Share;

/* Of what waits in line, and not where it was read, a listener is asked twice whether it takes it,
 * and each time counts. A batch has all that there is of the number. */
static const Share shares[] = {
  { "data", 1, 128 },         { "message", 1, 128 },         { "batch", 1, 256 },
  { "func", 1, 256 },         { "receive", 1, 256 },         { "closing", 1, 256 },
  { "data", LARGE, 8 },       { "message", LARGE, 8 },       { "batch", LARGE, 256 },
  { "func", LARGE, 16 },      { "receive", LARGE, 16 },      { "closing", LARGE, 16 },
  { "data", LARGE - 1, 9 },   { "message", LARGE - 1, 9 },   { "func", LARGE - 1, 17 },
   { "receive", LARGE - 1, 17 },  { "closing", LARGE - 1, 17 },
};

static void
count_cb (UsockChannel *channel,
          gpointer      argument,
          guint        *n)
{
  (*n)++;
}

static void
count_batch_cb (UsockChannel *channel,
                GPtrArray    *batch,
                guint        *n)
{
  *n += batch->len;
}

static void
count_func (UsockChannel *channel,
            const guint8 *data,
            gsize         length,
            gpointer      n)
{
  ++*(guint *) n;
}

static void
count_received_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      n)
{
  UsockMessage *message = usock_channel_receive_finish (USOCK_CHANNEL (source), result, NULL);

  g_clear_pointer (&message, usock_message_unref);
  ++*(guint *) n;
}

static void
listen_as (UsockChannel *channel,
           const char   *taker,
           guint        *n)
{
  if (strcmp (taker, "func") == 0)
    usock_channel_set_receive_func (channel, count_func, n, NULL);
  else if (strcmp (taker, "batch") == 0)
    g_signal_connect (channel, "batch", G_CALLBACK (count_batch_cb), n);
  else if (strcmp (taker, "receive") == 0)
    for (guint i = 0; i < 600; i++)
      usock_channel_receive_async (channel, NULL, count_received_cb, n);
  else if (strcmp (taker, "closing") == 0)
    usock_channel_close_gracefully_async (channel, -1, NULL, NULL, NULL);
  else
    g_signal_connect (channel, taker, G_CALLBACK (count_cb), n);
}

static void
put_in_line (UsockChannel *channel,
             gsize         length,
             guint         n)
{
  g_autofree guint8 *data = g_malloc0 (length);
  g_autoptr (UsockMessage) message = usock_message_new (data, length);

  for (guint i = 0; i < n; i++)
    usock_test_no_error (usock_channel_unread_messages (channel, &message, 1, &error));
}

static void
check_share (UsockTest   *test,
             const Share *share)
{
  UsockChannel *channel;
  guint n = 0;
  int peer;

  channel = open_channel (SOCK_SEQPACKET, &peer);
  scene_settle ();
  g_test_message ("%s of %zu", share->taker, share->length);
  put_in_line (channel, share->length, 600);
  listen_as (channel, share->taker, &n);
  g_main_context_iteration (test->context, TRUE);
  g_assert_cmpuint (channel->inlet.inbox.length, ==, 600 - share->expected);
  if (strcmp (share->taker, "closing") != 0)
    g_assert_cmpuint (n, ==, share->expected);

  scene_settle ();
  g_assert_cmpuint (channel->inlet.inbox.length, ==, 0);
  close (peer);
  scene_close (channel);
}

static void
test_share (UsockTest     *test,
            gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (shares); i++)
    check_share (test, &shares[i]);
}

static void
keep_error_cb (GObject      *source,
               GAsyncResult *result,
               gpointer      error)
{
  g_assert_null (usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, error));
}

/* The stream, read byte by byte, ends before there are enough: who waits learns that some have
 * come, wherever the turn is cut. */
static void
test_share_cuts_bytes (UsockTest     *test,
                       gconstpointer  unused)
{
  for (guint length = 250; length < 262; length++)
    {
      g_autofree char *sent = g_strnfill (length, 'b');
      GError *error = NULL;
      int peer;
      UsockChannel *channel = open_channel (SOCK_STREAM, &peer);

      usock_channel_set_read_buffer_size (channel, 1);
      scene_send (peer, sent);
      shutdown (peer, SHUT_WR);
      usock_stream_receive_exactly_async (USOCK_STREAM (channel), 300, 0, NULL, keep_error_cb,
                                          &error);
      usock_test_wait_until (error != NULL);
      assert_error_code (error, G_IO_ERROR_PARTIAL_INPUT);
      close (peer);
      scene_close (channel);
    }
}

typedef struct
{
  UsockChannel *channel;
  int peer;
  guint n;
} Flood;

static void
flood_fill (Flood *self)
{
  static const guint8 zeros[LARGE];

  while (send (self->peer, zeros, LARGE, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
    ;
}

static void
flood_cb (UsockChannel *channel,
          GByteArray   *bytes,
          Flood        *self)
{
  g_assert_cmpuint (bytes->len, ==, LARGE);
  self->n++;
  flood_fill (self);
}

static void
flood_func (UsockChannel *channel,
            const guint8 *data,
            gsize         length,
            gpointer      user_data)
{
  GByteArray bytes = { (guint8 *) data, length };

  flood_cb (channel, &bytes, user_data);
}

static void
flood_listen (Flood    *self,
              gboolean  as_func)
{
  if (as_func)
    usock_channel_set_receive_func (self->channel, flood_func, self, NULL);
  else
    g_signal_connect (self->channel, "data", G_CALLBACK (flood_cb), self);
}

static void
flood_ask_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      user_data)
{
  Flood *self = user_data;
  g_autoptr (UsockMessage) message
      = usock_stream_receive_exactly_finish (USOCK_STREAM (source), result, NULL);

  if (message == NULL)
    return;

  self->n++;
  flood_fill (self);
  usock_stream_receive_exactly_async (USOCK_STREAM (source), LARGE, 0, NULL, flood_ask_cb, self);
}

/* So has who asks for the next as soon as it has one. */
static void
test_share_of_asking (UsockTest     *test,
                      gconstpointer  unused)
{
  Flood self = { 0 };
  guint before = 0;

  self.channel = open_channel (SOCK_STREAM, &self.peer);
  scene_settle ();
  flood_fill (&self);
  usock_stream_receive_exactly_async (USOCK_STREAM (self.channel), LARGE, 0, NULL, flood_ask_cb,
                                      &self);
  while (self.n < 100)
    {
      g_main_context_iteration (test->context, TRUE);
      g_assert_cmpuint (self.n - before, <=, 2 * 16);
      before = self.n;
    }
  close (self.peer);
  scene_close (self.channel);
}

/* Who is sent more than it can take, while it takes it, has a share of bytes all the same. */
static void
test_share_of_flood (UsockTest     *test,
                     gconstpointer  unused)
{
  static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

  for (guint i = 0; i < 4; i++)
    {
      Flood self = { 0 };

      self.channel = open_channel (types[i % 2], &self.peer);
      usock_channel_set_read_buffer_size (self.channel, LARGE);
      scene_settle ();
      flood_fill (&self);
      flood_listen (&self, i < 2);
      g_main_context_iteration (test->context, TRUE);
      g_assert_cmpuint (self.n, ==, 16);
      g_main_context_iteration (test->context, TRUE);
      g_assert_cmpuint (self.n, >, 16);
      g_assert_cmpuint (self.n, <=, 32);
      close (self.peer);
      scene_close (self.channel);
    }
}

/* As many as the kernel holds, read in batches, and of both kinds of takers. */
static void
test_share_of_small (UsockTest     *test,
                     gconstpointer  unused)
{
  static const char *const takers[] = { "data", "func", "message" };

  for (guint i = 0; i < G_N_ELEMENTS (takers); i++)
    {
      guint n = 0, n_sent = 0;
      int peer;
      UsockChannel *channel = open_channel (SOCK_SEQPACKET, &peer);

      scene_settle ();
      while (send (peer, "x", 1, MSG_DONTWAIT) == 1)
        n_sent++;
      listen_as (channel, takers[i], &n);
      g_main_context_iteration (test->context, TRUE);
      g_assert_cmpuint (n, ==, MIN (n_sent, 256));
      scene_settle ();
      g_assert_cmpuint (n, ==, n_sent);
      close (peer);
      scene_close (channel);
    }
}

/* What is in a batch counts as if it were given one by one, and what is not in it is left. */
static void
test_share_of_batch (UsockTest     *test,
                     gconstpointer  unused)
{
  guint n = 0;
  Scene scene;

  scene_start (&scene, test, "");
  scene_settle ();
  put_in_line (scene.channel, LARGE, 20);
  scene_send (scene.peer, "x");
  g_signal_connect (scene.channel, "batch", G_CALLBACK (count_batch_cb), &n);
  g_main_context_iteration (test->context, TRUE);
  g_assert_cmpuint (n, ==, 20);
  scene_settle ();
  g_assert_cmpuint (n, ==, 21);
  scene_stop (&scene);
}

static void
take_ten_cb (UsockChannel *channel,
             UsockMessage *message,
             guint        *n)
{
  gsize n_taken;
  g_autofree UsockMessage **messages = usock_channel_take_messages (channel, 10, &n_taken);

  for (gsize i = 0; i < n_taken; i++)
    usock_message_unref (messages[i]);
  *n += 1 + n_taken;
}

/* What a handler takes by hand counts by number and by bytes: of 256, the first eleven calls use up
 * 22 each, and the twelfth the rest. */
static void
test_share_taken_by_hand (UsockTest     *test,
                          gconstpointer  unused)
{
  UsockChannel *channel;
  guint n = 0;
  int peer;

  channel = open_channel (SOCK_SEQPACKET, &peer);
  scene_settle ();
  put_in_line (channel, 4096, 600);
  g_signal_connect (channel, "message", G_CALLBACK (take_ten_cb), &n);
  g_main_context_iteration (test->context, TRUE);
  g_assert_cmpuint (n, ==, 12 * 11);
  scene_settle ();
  g_assert_cmpuint (n, ==, 600);
  close (peer);
  scene_close (channel);
}

/* What a sender finds in its way and puts aside. */
static void
test_stow_share (UsockTest     *test,
                 gconstpointer  unused)
{
  Flood self = { 0 };

  self.channel = open_channel (SOCK_STREAM, &self.peer);
  scene_settle ();
  for (guint i = 0; i < 20; i++)
    {
      flood_fill (&self);
      usock_channel_stow (self.channel);
    }
  g_assert_cmpuint (self.channel->inlet.inbox.cost, >=, 1024 * 1024);
  g_assert_cmpuint (self.channel->inlet.inbox.cost, <, 1024 * 1024 + 2 * LARGE);
  close (self.peer);
  scene_close (self.channel);
}

/* A single message that was read ahead is given like any other. */
static void
test_stow_one (UsockTest     *test,
               gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "data");
  scene_settle ();
  scene_send (scene.peer, "1");
  usock_channel_stow (scene.channel);
  g_assert_cmpuint (scene.channel->inlet.inbox.length, ==, 1);
  witness_expect (&scene.witness, "data:1");
  scene_stop (&scene);
}

/* What is missing is told once: each time wakes the channel. */
static void
test_starved_once (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "");
  scene_settle ();
  scene.channel->inlet.is_starved = TRUE;
  usock_channel_stow (scene.channel);
  g_assert_error (usock_channel_socket (scene.channel)->fate.error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_false (scene.channel->inlet.is_starved);
  scene_stop (&scene);
}

/* When the next turn is due. */

static gint64
get_deadline (UsockChannel *channel)
{
  UsockWatch *watch = &usock_channel_socket (channel)->watch;

  usock_watch_set_deadline (watch, -1);
  usock_channel_schedule (channel);
  return watch->deadline;
}

/* Each of what a channel waits for, and the nearest of two. */
static void
test_deadlines (UsockTest     *test,
                gconstpointer  unused)
{
  gint64 base = g_get_monotonic_time () + 1000 * SECOND;
  UsockChannel *channel;
  Scene scene;

  scene_start (&scene, test, "");
  scene_settle ();
  channel = scene.channel;
  g_assert_cmpint (get_deadline (channel), ==, -1);

  channel->close_due = 1;
  g_assert_cmpint (get_deadline (channel), ==, 1);
  channel->close_due = 0;
  channel->read_retry_at = 1;
  g_assert_cmpint (get_deadline (channel), ==, 1);
  channel->read_retry_at = 0;

  channel->close_due = base + 9;
  g_assert_cmpint (get_deadline (channel), ==, base + 9);
  channel->read_retry_at = base + 10;
  g_assert_cmpint (get_deadline (channel), ==, base + 9);
  channel->read_retry_at = base + 8;
  g_assert_cmpint (get_deadline (channel), ==, base + 8);
  channel->close_due = 0;
  g_assert_cmpint (get_deadline (channel), ==, base + 8);

  channel->last_activity = base - 1000;
  channel->idle_timeout = 1;
  g_assert_cmpint (get_deadline (channel), ==, base);
  channel->idle_timeout = 2;
  g_assert_cmpint (get_deadline (channel), ==, base + 8);
  channel->read_retry_at = 0;
  g_assert_cmpint (get_deadline (channel), ==, base + 1000);
  channel->idle_told = TRUE;
  g_assert_cmpint (get_deadline (channel), ==, -1);

  channel->outlet.route->retry_at = base + 5;
  channel->outlet.route->blocked = TRUE;
  g_assert_cmpint (get_deadline (channel), ==, base + 5);
  channel->outlet.route->blocked = FALSE;
  channel->outlet.route->retry_at = 0;
  channel->idle_timeout = 0;
  scene_stop (&scene);
}

/* A deadline only ever moves closer. */
static void
test_deadline_moves_closer (UsockTest     *test,
                            gconstpointer  unused)
{
  gint64 base = g_get_monotonic_time () + 1000 * SECOND;
  UsockWatch *watch;
  Scene scene;

  scene_start (&scene, test, "");
  scene_settle ();
  watch = &usock_channel_socket (scene.channel)->watch;
  for (int i = 0; i < 2; i++)
    {
      scene.channel->close_due = base + i;
      usock_channel_schedule (scene.channel);
      g_assert_cmpint (watch->deadline, ==, base);
    }
  scene.channel->close_due = base - 1;
  usock_channel_schedule (scene.channel);
  g_assert_cmpint (watch->deadline, ==, base - 1);
  scene.channel->close_due = 0;
  scene_stop (&scene);
}

typedef struct
{
  guint n_queued;
  guint n_corks;
  gboolean blocked;
  gint64 retry_at; /* 0 for never, as the other */
  guint send_timeout;
  gint64 expected; /* 0 for never; -1 for when a connection tries by itself */
} RouteCase;

#define FAR G_GINT64_CONSTANT (4000000000000000)

static const RouteCase route_cases[] = {
  { 0, 0, FALSE, 0, 0, 0 },
  { 0, 0, FALSE, 7, 1, 0 },
  { 0, 0, TRUE, 1, 0, 1 },
  { 0, 0, TRUE, 7, 1, 7 },
  { 1, 1, FALSE, 7, 1, 7 },
  { 1, 1, FALSE, 0, 1, 0 },
  { 1, 0, FALSE, 0, 0, -1 },
  { 1, 0, FALSE, 7, 0, 7 },
  { 1, 0, FALSE, FAR, 0, -1 },
  { 1, 0, FALSE, 0, 1, 1005 },
  { 1, 0, FALSE, 0, 2, 2005 },
  { 1, 0, FALSE, 2006, 2, 2005 },
  { 1, 0, FALSE, 2004, 2, 2004 },
};

static void
check_route (UsockChannel    *channel,
             const RouteCase *known)
{
  UsockRoute route = { .blocked = known->blocked, .retry_at = known->retry_at,
                       .stalled_since = 5 };
  gint64 before = g_get_monotonic_time ();
  gint64 deadline, after;

  route.queue.length = known->n_queued;
  channel->outlet.n_corks = known->n_corks;
  channel->send_timeout = known->send_timeout;
  deadline = usock_channel_get_route_deadline (channel, &route);
  after = g_get_monotonic_time ();
  channel->outlet.n_corks = channel->send_timeout = 0;

  if (known->expected > 0)
    g_assert_cmpint (deadline, ==, known->expected);
  else if (known->expected == 0 || !usock_channel_is_connection (channel))
    g_assert_cmpint (deadline, ==, known->retry_at == FAR ? FAR : G_MAXINT64);
  else
    {
      g_assert_cmpint (deadline, >=, before + SECOND);
      g_assert_cmpint (deadline, <=, after + SECOND);
    }
}

static void
test_route_deadlines (UsockTest     *test,
                      gconstpointer  unused)
{
  static const int types[] = { SOCK_SEQPACKET, SOCK_DGRAM };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      int peer;
      UsockChannel *channel = open_channel (types[i], &peer);

      scene_settle ();
      for (guint j = 0; j < G_N_ELEMENTS (route_cases); j++)
        check_route (channel, &route_cases[j]);
      close (peer);
      scene_close (channel);
    }
}

/* While it connects, and the backlog is full or nobody is there. */

static guint
fill_backlog (const char *path,
              int        *clients,
              guint       n)
{
  struct sockaddr_un name = { AF_UNIX };

  g_strlcpy (name.sun_path, path, sizeof name.sun_path);
  for (guint i = 0; i < n; i++)
    {
      clients[i] = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      if (connect (clients[i], (struct sockaddr *) &name, sizeof name) != 0)
        return i + 1;
    }
  g_assert_not_reached ();
}

/* Each delay is twice the one before, up to the last, with a quarter of jitter. */
static void
check_delays (UsockChannel *channel,
              guint         last)
{
  UsockApproach *approach = &channel->approach;

  for (guint delay = 1, i = 0; i < 11; i++, delay = MIN (delay * 2, last))
    {
      gint64 before = g_get_monotonic_time ();

      usock_io_fault_clear ();
      approach->delay = i == 0 ? 0 : approach->delay;
      approach->next = 0;
      usock_channel_retry_connect (channel);
      g_assert_cmpuint (approach->delay, ==, delay);
      g_assert_cmpint (approach->next, >=, before + delay * 750);
      g_assert_cmpint (approach->next, <, g_get_monotonic_time () + delay * 1250);
      g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_CONNECT), ==, 1);

      approach->next = G_MAXINT64;
      usock_channel_retry_connect (channel);
      g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_CONNECT), ==, 1);
    }
}

static void
check_given_up (UsockChannel *channel,
                int           errnum,
                const char   *reason)
{
  channel->approach.next = 0;
  channel->approach.due = 1;
  usock_channel_retry_connect (channel);
  g_assert_error (usock_channel_socket (channel)->fate.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (usock_channel_socket (channel)->fate.error->message, reason));
  g_assert_cmpint (usock_socket_get_error_number (usock_channel_socket (channel)), ==, errnum);
}

static void
test_connecting_to_full (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int listener = scene_listen (path, 0);
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  int clients[10];
  guint n = fill_backlog (path, clients, G_N_ELEMENTS (clients));
  gint64 before = g_get_monotonic_time ();

  channel->approach.delay = 32;
  usock_channel_set_connect_timeout (channel, 1000 * 1000);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  g_assert_cmpuint (channel->approach.delay, ==, 1);
  g_assert_cmpint (channel->approach.due, >=, before + 1000 * SECOND);
  g_assert_cmpint (channel->approach.due, <=, g_get_monotonic_time () + 1000 * SECOND);
  check_delays (channel, 50);
  check_given_up (channel, EAGAIN, "backlog was full for 1000000 milliseconds");
  for (guint i = 0; i < n; i++)
    close (clients[i]);
  close (listener);
  scene_close (channel);
}

static void
test_connecting_to_nobody (UsockTest     *test,
                           gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());

  usock_channel_connect_when_available_async (channel, path, 2000 * 1000, NULL, NULL, NULL);
  check_delays (channel, 250);
  check_given_up (channel, ENOENT, "nobody listened there for 2000000 milliseconds");
  scene_close (channel);
}

/* Without a limit there is none, and with one of no time the next try is the last. */
static void
test_connecting_limits (UsockTest     *test,
                        gconstpointer  unused)
{
  static const int timeouts[] = { -1, 0, 1000 * 1000 };
  g_autofree char *path = usock_test_path (test, "socket");

  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
      gint64 before = g_get_monotonic_time ();

      usock_channel_connect_when_available_async (channel, path, timeouts[i], NULL, NULL, NULL);
      if (timeouts[i] == -1)
        g_assert_cmpint (channel->approach.due, ==, 0);
      else
        g_assert_cmpint (channel->approach.due, >=, before + timeouts[i] * (gint64) 1000);
      if (timeouts[i] == 0)
        g_assert_cmpint (channel->approach.next, ==, channel->approach.due);
      else
        g_assert_cmpint (channel->approach.next, >=, before + 750);
      g_assert_cmpint (usock_channel_socket (channel)->watch.deadline, ==, channel->approach.next);
      scene_close (channel);
    }
}

/* Who gives connecting up is as before it. */
static void
test_connecting_given_up (UsockTest     *test,
                          gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  Witness witness;

  witness_init (&witness);
  usock_channel_connect_when_available_async (
      channel, path, -1, cancellable, witness_done,
      witness_call (&witness, "connecting", usock_channel_connect_when_available_finish));
  scene_fill (channel, NULL);
  g_assert_true (channel->outlet.needs_drain);
  usock_channel_close_gracefully_async (
      channel, 1000 * 1000, NULL, witness_done,
      witness_call (&witness, "closing", usock_channel_close_gracefully_finish));
  g_assert_true (channel->ending);
  g_cancellable_cancel (cancellable);
  witness_expect (&witness, "connecting:cancelled closing:cancelled");
  g_assert_false (channel->lost);
  g_assert_false (channel->ending);
  g_assert_false (channel->outlet.needs_drain);
  g_assert_false (channel->approach.patient);
  g_assert_cmpint (channel->close_due, ==, 0);
  g_assert_cmpuint (channel->outlet.n_queued, ==, 0);
  g_assert_cmpint (channel->approach.fd, ==, -1);
  g_assert_cmpint (usock_channel_socket (channel)->fd, ==, -1);
  g_assert_cmpint (usock_channel_socket (channel)->state, ==, USOCK_STATE_NEW);
  scene_close (channel);
  witness_clear (&witness);
}

/* Zero is a descriptor like any other. */
static void
test_connecting_as_zero (UsockTest     *test,
                         gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int listener = scene_listen (path, 1);
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  int kept = dup (STDIN_FILENO);

  close (STDIN_FILENO);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (channel)), ==, STDIN_FILENO);
  usock_channel_end (channel);
  scene_close (channel);
  g_assert_cmpint (fcntl (STDIN_FILENO, F_GETFD), ==, -1);
  g_assert_no_errno (dup2 (kept, STDIN_FILENO));
  close (kept);
  close (listener);
}

/* What a descriptor is told, and what is looked at before. */

typedef struct
{
  UsockOrigin origin;
  guint max_fds;
  gboolean pass_credentials;
  guint n_more; /* than one that has all from its listener */
} Prepared;

static const Prepared prepared[] = {
  { USOCK_ORIGIN_HEIR, 0, TRUE, 0 },    { USOCK_ORIGIN_UNKNOWN, 0, FALSE, 3 },
  { USOCK_ORIGIN_UNKNOWN, 4, TRUE, 3 }, { USOCK_ORIGIN_NEW, 0, FALSE, 1 },
  { USOCK_ORIGIN_NEW, 1, FALSE, 0 },    { USOCK_ORIGIN_NEW, 4, TRUE, 1 },
  { USOCK_ORIGIN_NEW, 0, TRUE, 2 },
};

static guint
count_prepared (UsockChannel   *channel,
                const Prepared *known)
{
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  usock_channel_socket (channel)->origin = known->origin;
  channel->inlet.max_fds = known->max_fds;
  channel->inlet.pass_credentials = known->pass_credentials;
  usock_io_fault_clear ();
  g_assert_cmpint (usock_channel_prepare_fd (channel, fd), ==, 0);
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (channel)), ==, 0);
  close (fd);
  return usock_io_fault_get_n_calls (USOCK_IO_SET_OPTION);
}

static void
test_prepared (UsockTest     *test,
               gconstpointer  unused)
{
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  guint n_least = count_prepared (channel, &prepared[0]);

  for (guint i = 0; i < G_N_ELEMENTS (prepared); i++)
    g_assert_cmpuint (count_prepared (channel, &prepared[i]), ==, n_least + prepared[i].n_more);
  scene_close (channel);
}

static void
check_inspected (gpointer    channel,
                 int         fd,
                 gboolean    is_listening,
                 const char *reason)
{
  g_autoptr (GError) error = NULL;
  gboolean listening = -1;
  gboolean is_ours = usock_channel_inspect_fd (channel, fd, &listening, &error);

  g_assert_cmpint (is_ours, ==, reason == NULL);
  g_assert_cmpint (is_ours, ==, error == NULL);
  if (reason != NULL)
    g_assert_nonnull (strstr (error->message, reason));
  else
    g_assert_cmpint (listening, ==, is_listening);
  scene_close (channel);
  close (fd);
}

static void
check_refused (int         fd,
               const char *reason)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (usock_seqpacket_new_from_fd (fd, &error));
  g_assert_nonnull (strstr (error->message, reason));
  close (fd);
}

static void
test_inspected (UsockTest     *test,
                gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "one");
  g_autofree char *other_path = usock_test_path (test, "other");
  UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());
  int streams[2];

  g_object_ref (channel);
  check_inspected (channel, open ("/dev/null", O_CLOEXEC), FALSE, "Could not use descriptor");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (channel)), ==, ENOTSOCK);
  g_object_unref (channel);
  check_inspected (usock_seqpacket_new (), socket (AF_UNIX, SOCK_SEQPACKET, 0), FALSE, NULL);
  check_inspected (usock_seqpacket_new (), scene_listen (path, 1), TRUE, NULL);
  check_inspected (usock_seqpacket_new (), socket (AF_UNIX, SOCK_STREAM, 0), FALSE, "another type");
  check_inspected (usock_dgram_new (), socket (AF_INET, SOCK_DGRAM, 0), FALSE, "another family");
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, streams));
  check_refused (streams[0], "another type");
  close (streams[1]);
  check_refused (scene_listen (other_path, 1), "it listens");
  check_refused (socket (AF_UNIX, SOCK_SEQPACKET, 0), "it has no peer");
}

/* What begins when there is a connection. */
static void
test_opened (UsockTest     *test,
             gconstpointer  unused)
{
  static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      gint64 before = g_get_monotonic_time ();
      int peer;
      UsockChannel *channel = open_channel (types[i], &peer);
      UsockSocket *socket = usock_channel_socket (channel);

      g_assert_cmpint (channel->last_activity, >=, before);
      g_assert_cmpint (channel->outlet.route->stalled_since, ==, channel->last_activity);
      g_assert_cmpint (socket->watch.level, ==, types[i] != SOCK_DGRAM);
      g_assert_true ((socket->watch.ready & USOCK_READY_IN) != 0);
      g_assert_cmpint (socket->state, ==, USOCK_STATE_OPEN);
      channel->idle_timeout = 1000 * 1000;
      usock_channel_opened (channel);
      g_assert_cmpint (socket->watch.deadline, ==, channel->last_activity + 1000 * SECOND);
      close (peer);
      scene_close (channel);
    }
}

/* Who gives up closing has the channel stay for as long as it may. */
static void
test_cancelled_close_is_not_due (UsockTest     *test,
                                 gconstpointer  unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Scene scene;

  scene_start (&scene, test, "error close");
  usock_channel_close_gracefully_async (
      scene.channel, 1000 * 1000, cancellable, witness_done,
      witness_call (&scene.witness, "closing", usock_channel_close_gracefully_finish));
  scene_settle ();
  g_assert_cmpint (scene.channel->close_due, >, 0);
  witness_receive (&scene.witness, scene.channel, "receive", NULL);
  usock_watch_interrupt (&usock_channel_socket (scene.channel)->watch);
  scene_settle ();
  g_assert_cmpint (scene.channel->close_due, >, 0);
  g_cancellable_cancel (cancellable);
  scene_settle ();
  witness_assert (&scene.witness, "closing:cancelled");
  g_assert_cmpint (scene.channel->close_due, ==, 0);
  scene_stop (&scene);
}

/* A deadline that has come, whatever for. */
static void
pass_deadline (UsockChannel *channel)
{
  usock_watch_set_deadline (&usock_channel_socket (channel)->watch, 1);
  scene_settle ();
}

/* What is over is told, and nothing else. */
static void
test_idle_deadline (UsockTest     *test,
                    gconstpointer  unused)
{
  UsockChannel *channel;
  Scene scene;

  scene_start (&scene, test, "timeout error close");
  channel = scene.channel;
  pass_deadline (channel);
  channel->idle_timeout = 1000 * 1000;
  pass_deadline (channel);
  witness_assert (&scene.witness, "");
  g_assert_cmpint (usock_channel_socket (channel)->watch.deadline, ==,
                   channel->last_activity + 1000 * SECOND);
  g_assert_cmpuint (usock_channel_socket (channel)->watch.ready & ~USOCK_READY_IN, ==, 0);
  channel->last_activity = 0;
  channel->idle_timeout = 1;
  pass_deadline (channel);
  witness_assert (&scene.witness, "timeout");
  pass_deadline (channel);
  witness_assert (&scene.witness, "");

  usock_channel_note_activity (channel);
  g_assert_cmpint (channel->last_activity, >, 0);
  g_assert_false (channel->idle_told);
  channel->idle_timeout = 0;
  channel->last_activity = 7;
  usock_channel_note_activity (channel);
  g_assert_cmpint (channel->last_activity, ==, 7);
  scene_stop (&scene);
}

static void
test_stall_deadline (UsockTest     *test,
                     gconstpointer  unused)
{
  UsockChannel *channel;
  Scene scene;

  scene_start (&scene, test, "error close");
  channel = scene.channel;
  scene_settle ();
  channel->send_timeout = 1000 * 1000;
  scene_fill (channel, NULL);
  pass_deadline (channel);
  channel->send_timeout = 0;
  channel->outlet.route->stalled_since = 0;
  pass_deadline (channel);
  channel->outlet.n_corks = 1;
  channel->send_timeout = 1;
  channel->outlet.route->stalled_since = 0;
  pass_deadline (channel);
  witness_assert (&scene.witness, "");
  channel->outlet.n_corks = 0;
  channel->outlet.route->stalled_since = 0;
  pass_deadline (channel);
  witness_assert (&scene.witness, "error:timed-out close");
  scene_stop (&scene);
}

static void
test_close_deadline (UsockTest     *test,
                     gconstpointer  unused)
{
  g_autofree char *expected = NULL;
  UsockChannel *channel;
  Scene scene;

  scene_start (&scene, test, "error close");
  channel = scene.channel;
  scene_settle ();
  scene_fill (channel, NULL);
  expected = g_strdup_printf ("in time: %u messages were not sent", channel->outlet.n_queued);
  usock_channel_close_gracefully_async (channel, 1000 * 1000, NULL, NULL, NULL);
  pass_deadline (channel);
  witness_assert (&scene.witness, "");
  channel->close_due = 1;
  pass_deadline (channel);
  witness_assert (&scene.witness, "error:timed-out close");
  g_assert_nonnull (strstr (usock_channel_socket (channel)->fate.error->message, expected));
  g_assert_cmpint (channel->close_due, ==, 0);
  scene_stop (&scene);
}

/* Who is blocked tries by itself at a deadline only, and has forgotten of it when there is room. */
static void
test_blocked (UsockTest     *test,
              gconstpointer  unused)
{
  UsockWatch *watch;
  Scene scene;
  char byte[16];

  scene_start (&scene, test, "drain");
  scene_settle ();
  watch = &usock_channel_socket (scene.channel)->watch;
  scene_fill (scene.channel, NULL);
  g_assert_true (watch->writable_wanted);
  scene_settle ();
  usock_watch_set_deadline (watch, -1);
  usock_io_fault_clear ();
  usock_watch_wake (watch);
  g_main_context_iteration (test->context, FALSE);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_SEND), ==, 0);
  pass_deadline (scene.channel);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_SEND), >=, 1);
  while (recv (scene.peer, byte, sizeof byte, MSG_DONTWAIT) > 0
         || scene.channel->outlet.n_queued > 0)
    scene_settle ();
  g_assert_false (watch->writable_wanted);
  g_assert_false (scene.channel->outlet.route->blocked);
  witness_expect (&scene.witness, "drain");
  scene_stop (&scene);
}

/* What the peer reads would wake who is corked, and sends nothing anyhow. */
static void
test_blocked_and_corked (UsockTest     *test,
                         gconstpointer  unused)
{
  static const char block[LARGE];
  UsockChannel *channel;
  UsockWatch *watch;
  char taken[4096];
  int peer;

  channel = open_channel (SOCK_STREAM, &peer);
  scene_settle ();
  watch = &usock_channel_socket (channel)->watch;
  while (send (usock_channel_socket (channel)->fd, block, sizeof block, MSG_DONTWAIT) > 0)
    ;
  usock_test_no_error (usock_channel_send (channel, (const guint8 *) block, 1, &error));
  g_assert_true (watch->writable_wanted);
  usock_stream_cork (USOCK_STREAM (channel));
  while (recv (peer, taken, sizeof taken, MSG_DONTWAIT) > 0)
    ;
  scene_settle ();
  g_assert_cmpuint (channel->outlet.n_queued, ==, 1);
  g_assert_false (watch->writable_wanted);

  usock_stream_uncork (USOCK_STREAM (channel));
  g_assert_cmpint (recv (peer, taken, sizeof taken, MSG_DONTWAIT), ==, 1);
  close (peer);
  scene_close (channel);
}

/* What has come by then counts, though nothing has told of it yet. */
static void
test_deadline_looks_first (UsockTest     *test,
                           gconstpointer  unused)
{
  UsockSocket *socket;
  Scene scene;

  scene_start (&scene, test, "data");
  scene_settle ();
  socket = usock_channel_socket (scene.channel);
  scene_send (scene.peer, "x");
  socket->watch.ready = 0;
  usock_channel_dispatch (socket);
  witness_assert (&scene.witness, "");
  socket->watch.ready = USOCK_READY_DEADLINE;
  usock_channel_dispatch (socket);
  witness_assert (&scene.witness, "data:x");
  scene_stop (&scene);
}

/* What was told of the peer is known after a deadline as before it. */
static void
test_hangup_is_kept (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene, test, "error close");
  scene_send (scene.peer, "x");
  usock_channel_pause (scene.channel);
  close (usock_test_take (test, 1));
  scene_settle ();
  pass_deadline (scene.channel);
  g_assert_true ((usock_channel_socket (scene.channel)->watch.ready & USOCK_READY_HANGUP) != 0);
  witness_assert (&scene.witness, "");
  scene_stop (&scene);
}

/* The end of it. */

static void
free_count_cb (gpointer n)
{
  ++*(guint *) n;
}

static void
test_closed (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *corked = NULL;
  guint n_freed = 0;
  UsockChannel *channel;
  Scene scene;

  scene_start (&scene, test, "close");
  channel = scene.channel;
  scene_settle ();
  usock_channel_set_receive_func (channel, count_func, &n_freed, free_count_cb);
  usock_channel_pause (channel);
  put_in_line (channel, 1, 3);
  channel->outlet.n_corks = 1;
  usock_test_no_error (usock_channel_send_text (channel, "corked", &error));
  usock_socket_close (USOCK_SOCKET (channel));
  scene_settle ();
  corked = scene_receive (scene.peer);
  g_assert_cmpstr (corked, ==, "corked");
  g_assert_cmpint (channel->inlet.fd, ==, -1);
  g_assert_cmpint (channel->outlet.fd, ==, -1);
  g_assert_false (channel->inlet.is_open);
  g_assert_false (channel->outlet.is_open);
  g_assert_cmpuint (channel->inlet.inbox.length, ==, 0);
  g_assert_cmpuint (channel->outlet.n_queued, ==, 0);
  g_assert_null (channel->receiver);
  g_assert_cmpuint (n_freed, ==, 1);
  scene_stop (&scene);
}

static void
never_called_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      unused)
{
  g_assert_not_reached ();
}

static void
ask_too_late (gpointer channel)
{
  usock_channel_receive_async (channel, NULL, never_called_cb, NULL);
}

/* Where the context is gone nobody is called back, and nothing is kept. */
static void
test_orphaned (UsockTest     *test,
               gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  UsockMessage *asking;
  GMainContext *context = g_main_context_new ();
  GBytes *bytes;
  guint n = 0;
  UsockChannel *channel;
  GError *error = NULL;
  int peer;

  g_main_context_push_thread_default (context);
  channel = open_channel (SOCK_SEQPACKET, &peer);
  scene_settle ();
  usock_channel_pause (channel);
  put_in_line (channel, 1, 3);
  scene_fill (channel, NULL);
  usock_channel_receive_async (channel, NULL, count_received_cb, &n);
  bytes = g_bytes_new_with_free_func ("asking", 6, ask_too_late, channel);
  asking = usock_message_new_from_bytes (bytes);
  g_bytes_unref (bytes);
  usock_channel_send_message_async (channel, asking, NULL, never_called_cb, NULL);
  usock_message_unref (asking);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);

  g_assert_cmpuint (channel->inlet.inbox.length, ==, 0);
  g_assert_cmpuint (channel->outlet.n_queued, ==, 0);
  g_assert_cmpuint (channel->pending.receivers.length, ==, 0);
  g_assert_false (usock_channel_post (channel, message, &error));
  assert_error_code (error, G_IO_ERROR_CLOSED);
  g_assert_cmpuint (n, ==, 0);
  close (peer);
  g_assert_finalize_object (channel);
}

typedef struct
{
  int type; /* 0 for what is not connected */
  UsockShut how;
  int errnum; /* 0 for none */
} Shut;

static const Shut shuts[] = {
  { 0, USOCK_SHUT_RD, ENOTCONN },
  { 0, USOCK_SHUT_WR, ENOTCONN },
  { SOCK_DGRAM, USOCK_SHUT_RD, EOPNOTSUPP },
  { SOCK_DGRAM, USOCK_SHUT_RDWR, EOPNOTSUPP },
  { SOCK_DGRAM, USOCK_SHUT_WR, 0 },
  { SOCK_SEQPACKET, USOCK_SHUT_RD, 0 },
  { SOCK_SEQPACKET, USOCK_SHUT_RDWR, 0 },
  { SOCK_SEQPACKET, USOCK_SHUT_WR, 0 },
};

static void
test_shut (UsockTest     *test,
           gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (shuts); i++)
    {
      const Shut *shut = &shuts[i];
      int peer = -1;
      UsockChannel *channel = shut->type == 0 ? USOCK_CHANNEL (usock_seqpacket_new ())
                                              : open_channel (shut->type, &peer);
      UsockSocket *socket = usock_channel_socket (channel);

      usock_io_fault_clear ();
      g_assert_cmpint (usock_channel_shutdown (socket, shut->how, NULL), ==, shut->errnum == 0);
      g_assert_cmpint (usock_socket_get_error_number (socket), ==, shut->errnum);
      g_assert_cmpint (channel->ending, ==, shut->errnum == 0 && shut->how != USOCK_SHUT_RD);
      if (peer != -1)
        close (peer);
      scene_close (channel);
    }
}

/* Who may take by hand, and what that counts as. */
static void
test_taken_by_hand (UsockTest     *test,
                    gconstpointer  unused)
{
  UsockChannel *unconnected = USOCK_CHANNEL (usock_seqpacket_new ());
  UsockChannel *channel;
  Scene scene;
  guint n = 0;

  g_assert_false (usock_channel_may_take (unconnected));
  scene_close (unconnected);
  scene_start (&scene, test, "");
  channel = scene.channel;
  scene_settle ();
  g_assert_true (usock_channel_may_take (channel));
  channel->paused = TRUE;
  g_assert_false (usock_channel_may_take (channel));
  channel->paused = FALSE;
  channel->withheld = TRUE;
  g_assert_false (usock_channel_may_take (channel));
  channel->withheld = FALSE;

  for (guint length = 4095; length <= 4097; length++)
    {
      put_in_line (channel, length, 2);
      channel->n_taken = n = 0;
      take_ten_cb (channel, NULL, &n);
      g_assert_cmpuint (n, ==, 2);
      g_assert_cmpuint (channel->n_taken, ==, length < 4096 ? 1 : 2);
      take_ten_cb (channel, NULL, &n);
    }
  usock_channel_receive_async (channel, NULL, NULL, NULL);
  g_assert_false (usock_channel_may_take (channel));
  scene_stop (&scene);
}

/* Who takes what comes. */

typedef struct
{
  const char *signals;
  UsockTakers packets; /* of a connection */
  UsockTakers datagrams;
} Listening;

static const Listening listenings[] = {
  { "", 0, 0 },
  { "message", USOCK_TAKER_MESSAGE, USOCK_TAKER_MESSAGE },
  { "data", USOCK_TAKER_DATA, USOCK_TAKER_DATA },
  { "batch", USOCK_TAKER_BATCH, 0 },
  { "data batch", USOCK_TAKER_BATCH, USOCK_TAKER_DATA },
  { "message data", USOCK_TAKER_MESSAGE | USOCK_TAKER_DATA,
    USOCK_TAKER_MESSAGE | USOCK_TAKER_DATA },
  { "message batch", USOCK_TAKER_MESSAGE | USOCK_TAKER_BATCH, USOCK_TAKER_MESSAGE },
  { "end close", 0, 0 },
};

static UsockTakers
ask_in_turn (UsockChannel *channel,
             UsockTurn    *turn)
{
  turn->is_asked = FALSE;
  return usock_channel_get_turn_takers (channel, turn);
}

/* Those who have left are asked no more, those who stay are not asked for, and those who were
 * known to listen are trusted. */
static void
check_turn_takers (UsockChannel *channel,
                   UsockTakers   takers)
{
  const UsockTakers all = USOCK_TAKER_MESSAGE | USOCK_TAKER_DATA | USOCK_TAKER_DATAGRAM;
  UsockTurn turn = { 0 };

  g_assert_cmpint (ask_in_turn (channel, &turn), ==, takers);
  g_assert_true (turn.is_asked);
  turn.takers = all;
  g_assert_cmpint (ask_in_turn (channel, &turn), ==, takers);
  turn.takers = takers & USOCK_TAKER_DATA;
  g_assert_cmpint (ask_in_turn (channel, &turn), ==, turn.takers != 0 ? turn.takers : takers);

  turn.takers = all;
  g_assert_cmpint (usock_channel_get_turn_takers (channel, &turn), ==, all);
  g_assert_false (turn.trusts);
  turn.is_heard = TRUE;
  g_assert_cmpint (ask_in_turn (channel, &turn), ==, all);
  g_assert_true (turn.trusts);
  channel->paused = TRUE;
  g_assert_cmpint (ask_in_turn (channel, &turn), ==, 0);
  g_assert_false (turn.trusts);
  channel->paused = FALSE;
  turn.takers = 0;
  g_assert_cmpint (ask_in_turn (channel, &turn), ==, takers);
  g_assert_false (turn.trusts);
}

static void
check_takers (UsockChannel *channel,
              UsockTakers   takers)
{
  guint n = 0;

  g_assert_cmpint (usock_channel_get_takers (channel), ==, takers);
  g_assert_cmpint (usock_channel_is_claimed (channel), ==, takers != 0);
  check_turn_takers (channel, takers);
  channel->inlet.messages_read++;
  g_assert_true (usock_channel_is_claimed (channel));
  channel->inlet.messages_read--;

  channel->withheld = TRUE;
  g_assert_cmpint (usock_channel_get_takers (channel), ==, 0);
  channel->withheld = FALSE;
  usock_channel_set_receive_func (channel, count_func, &n, NULL);
  g_assert_cmpint (usock_channel_get_takers (channel), ==, USOCK_TAKER_FUNC);
  g_assert_true (usock_channel_is_claimed (channel));
  usock_channel_receive_async (channel, NULL, NULL, NULL);
  g_assert_cmpint (usock_channel_get_takers (channel), ==, USOCK_TAKER_RECEIVER);
  usock_channel_set_receive_func (channel, NULL, NULL, NULL);
}

static void
test_takers (UsockTest     *test,
             gconstpointer  unused)
{
  static const int types[] = { SOCK_SEQPACKET, SOCK_DGRAM };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (listenings); i++)
    {
      const Listening *known = &listenings[i / 2];
      Witness witness;
      int peer;
      UsockChannel *channel = open_channel (types[i % 2], &peer);

      witness_init (&witness);
      if (*known->signals != '\0')
        witness_watch (&witness, channel, known->signals);
      scene_settle ();
      /* A batch of datagrams is none. */
      if (i % 2 == 0 || strstr (known->signals, "batch") == NULL)
        check_takers (channel, i % 2 == 0 ? known->packets : known->datagrams);
      else
        g_assert_cmpint (usock_channel_get_takers (channel), ==, known->datagrams);
      close (peer);
      scene_close (channel);
      witness_clear (&witness);
    }
}

/* A message that is not whole, for those who get bytes only. */

typedef struct
{
  guint n_over; /* how much longer than the buffer it was; meaningful where it is cut */
  UsockMessageFlags flags;
  guint max_fds;
  int code; /* -1 where it is given */
} Part;

static const Part parts[] = {
  { 0, USOCK_MESSAGE_FLAGS_NONE, 4, -1 },
  { 0, USOCK_MESSAGE_FLAGS_FDS_LOST, 0, -1 },
  { 0, USOCK_MESSAGE_FLAGS_FDS_LOST, 4, G_IO_ERROR_MESSAGE_TOO_LARGE },
  { 0, USOCK_MESSAGE_FLAGS_TRUNCATED, 0, G_IO_ERROR_NO_SPACE },
  { 1, USOCK_MESSAGE_FLAGS_TRUNCATED, 0, G_IO_ERROR_MESSAGE_TOO_LARGE },
};

static UsockMessage *
part_new (const Part *part,
          gsize       buffer_size)
{
  UsockMessage *message
      = usock_message_new_taken (g_malloc0 (1), 0, buffer_size + part->n_over);

  usock_message_receive_info (message, part->flags, NULL, 0, NULL);
  return message;
}

/* Who listens to messages as well is told by the message, and nothing breaks. */
static void
check_part (const Part *part,
            const char *taker,
            gboolean    is_told)
{
  int peer;
  UsockChannel *channel = open_channel (SOCK_SEQPACKET, &peer);
  UsockSocket *socket = usock_channel_socket (channel);
  guint n = 0, n_told = 0;

  channel->inlet.max_fds = part->max_fds;
  scene_settle ();
  usock_inlet_put_back (&channel->inlet, part_new (part, channel->inlet.read_buffer_size));
  if (is_told)
    listen_as (channel, "message", &n_told);
  listen_as (channel, taker, &n);
  usock_watch_wake (&socket->watch);
  scene_settle ();
  g_assert_cmpuint (n_told, ==, is_told ? 1 : 0);
  g_assert_cmpuint (n, ==, part->code == -1 ? 1 : 0);
  if (part->code == -1 || is_told)
    g_assert_no_error (socket->fate.error);
  else
    g_assert_error (socket->fate.error, G_IO_ERROR, part->code);
  close (peer);
  scene_close (channel);
}

static void
test_parts (UsockTest     *test,
            gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      check_part (&parts[i], "data", FALSE);
      check_part (&parts[i], "func", FALSE);
      check_part (&parts[i], "batch", FALSE);
      check_part (&parts[i], "data", TRUE);
    }
}

/* Among bytes, a message that has none is for those only who get what came along. */
static void
test_no_bytes (UsockTest     *test,
               gconstpointer  unused)
{
  static const char *const takers[] = { "message", "data", "batch", "func" };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (takers); i++)
    {
      int peer;
      UsockChannel *channel = open_channel (i % 2 == 0 ? SOCK_STREAM : SOCK_SEQPACKET, &peer);
      g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
      guint n = 0;

      scene_settle ();
      usock_test_no_error (usock_message_append_fd (message, STDOUT_FILENO, &error));
      usock_test_no_error (usock_channel_unread_messages (channel, &message, 1, &error));
      listen_as (channel, takers[i / 2], &n);
      scene_settle ();
      g_assert_cmpuint (n, ==, i == 0 || i % 2 == 1 ? 1 : 0);
      g_assert_cmpuint (channel->inlet.inbox.length, ==, 0);
      close (peer);
      scene_close (channel);
    }
}

static void
keep_message_cb (UsockChannel  *channel,
                 UsockMessage  *message,
                 UsockMessage **kept)
{
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 1);
  *kept = usock_message_ref (message);
}

/* What a handler did not take of it is closed, though it keeps the message. */
static void
test_kept_message (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  g_autoptr (UsockMessage) kept = NULL;
  GError *failure = NULL;
  Scene scene;

  scene_start (&scene, test, "");
  scene_settle ();
  usock_test_no_error (usock_message_append_fd (message, STDOUT_FILENO, &error));
  usock_test_no_error (usock_channel_unread_messages (scene.channel, &message, 1, &error));
  g_signal_connect (scene.channel, "message", G_CALLBACK (keep_message_cb), &kept);
  usock_test_wait_until (kept != NULL);
  scene_settle ();
  g_assert_cmpint (usock_message_take_fd (kept, 0, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  scene_stop (&scene);
}

/* What breaks it first counts, and what there is to read is looked for first. */
static void
test_break (UsockTest     *test,
            gconstpointer  unused)
{
  UsockSocket *socket;
  Scene scene;

  scene_start (&scene, test, "error close");
  scene_settle ();
  socket = usock_channel_socket (scene.channel);
  socket->watch.ready = USOCK_READY_HANGUP;
  usock_channel_break (scene.channel,
                       g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "first"));
  usock_channel_break (scene.channel,
                       g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "second"));
  g_assert_cmpuint (socket->watch.ready, ==, USOCK_READY_HANGUP | USOCK_READY_IN);
  g_assert_cmpstr (socket->fate.error->message, ==, "first");
  witness_expect (&scene.witness, "error:timed-out close");
  scene_stop (&scene);
}

/* What a receive that failed leads to. */

typedef struct
{
  int type;
  int errnum;
  gboolean is_later; /* it is read again by the clock */
  gboolean is_broken;
  gboolean is_recorded;
} Failure;

static const Failure failures[] = {
  { SOCK_SEQPACKET, EAGAIN, FALSE, FALSE, FALSE },
  { SOCK_SEQPACKET, ENOMEM, TRUE, FALSE, FALSE },
  { SOCK_SEQPACKET, ENOBUFS, TRUE, FALSE, FALSE },
  { SOCK_SEQPACKET, EIO, FALSE, TRUE, TRUE },
  { SOCK_SEQPACKET, EACCES, FALSE, TRUE, TRUE },
  { SOCK_STREAM, ENOMEM, TRUE, FALSE, FALSE },
  { SOCK_STREAM, ECONNRESET, FALSE, TRUE, TRUE },
  { SOCK_DGRAM, EAGAIN, FALSE, FALSE, FALSE },
  { SOCK_DGRAM, ENOMEM, TRUE, FALSE, FALSE },
  { SOCK_DGRAM, ECONNRESET, FALSE, FALSE, TRUE },
  { SOCK_DGRAM, ECONNREFUSED, FALSE, FALSE, TRUE },
  { SOCK_DGRAM, EACCES, TRUE, FALSE, TRUE },
  { SOCK_DGRAM, EPROTO, TRUE, FALSE, TRUE },
  { SOCK_DGRAM, EIO, FALSE, TRUE, TRUE },
};

static void
check_failure (UsockTest     *test,
               const Failure *failure)
{
  gint64 before = g_get_monotonic_time ();
  UsockChannel *channel;
  UsockSocket *socket;
  guint n = 0;
  int peer;

  g_test_message ("%s of type %d", g_strerror (failure->errnum), failure->type);
  channel = open_channel (failure->type, &peer);
  socket = usock_channel_socket (channel);
  g_signal_connect (channel, "data", G_CALLBACK (count_cb), &n);
  scene_settle ();
  scene_send (peer, "x");
  usock_io_fault_add (USOCK_IO_RECEIVE, failure->errnum, 1, 0);
  g_main_context_iteration (test->context, TRUE);
  usock_io_fault_clear ();

  g_assert_cmpint (channel->read_retry_at > 0, ==, failure->is_later);
  if (failure->is_later)
    {
      g_assert_cmpint (channel->read_retry_at, >=, before + 10 * 1000);
      g_assert_cmpint (socket->watch.ready & USOCK_READY_IN, ==, 0);
      g_assert_cmpint (socket->watch.deadline, <=, channel->read_retry_at);
      usock_test_wait_until (n == 1);
    }
  g_assert_cmpint (socket->fate.error != NULL, ==, failure->is_broken);
  g_assert_cmpint (usock_socket_get_error_number (socket), ==,
                   failure->is_recorded ? failure->errnum : 0);
  close (peer);
  scene_close (channel);
}

static void
test_failures (UsockTest     *test,
               gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (failures); i++)
    check_failure (test, &failures[i]);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/channel-turn/" name, function)

  add ("share", test_share);
  add ("share/batch", test_share_of_batch);
  add ("share/cuts-bytes", test_share_cuts_bytes);
  add ("share/flood", test_share_of_flood);
  add ("share/asking", test_share_of_asking);
  add ("share/small", test_share_of_small);
  add ("share/taken-by-hand", test_share_taken_by_hand);
  add ("share/stow", test_stow_share);
  add ("share/stow-one", test_stow_one);
  add ("share/starved", test_starved_once);
  add ("deadlines", test_deadlines);
  add ("deadlines/closer", test_deadline_moves_closer);
  add ("deadlines/route", test_route_deadlines);
  add ("deadlines/connecting-to-full", test_connecting_to_full);
  add ("deadlines/connecting-to-nobody", test_connecting_to_nobody);
  add ("deadlines/connecting-limits", test_connecting_limits);
  add ("opening/given-up", test_connecting_given_up);
  add ("opening/as-zero", test_connecting_as_zero);
  add ("opening/prepared", test_prepared);
  add ("opening/inspected", test_inspected);
  add ("opening/opened", test_opened);
  add ("deadlines/cancelled-close", test_cancelled_close_is_not_due);
  add ("deadlines/idle", test_idle_deadline);
  add ("deadlines/stall", test_stall_deadline);
  add ("deadlines/close", test_close_deadline);
  add ("deadlines/blocked", test_blocked);
  add ("deadlines/blocked-and-corked", test_blocked_and_corked);
  add ("deadlines/looks-first", test_deadline_looks_first);
  add ("deadlines/hangup", test_hangup_is_kept);
  add ("closing/closed", test_closed);
  add ("closing/orphaned", test_orphaned);
  add ("closing/shut", test_shut);
  add ("takers/by-hand", test_taken_by_hand);
  add ("takers", test_takers);
  add ("takers/parts", test_parts);
  add ("takers/no-bytes", test_no_bytes);
  add ("takers/kept-message", test_kept_message);
  add ("failures/break", test_break);
  add ("failures", test_failures);

  return g_test_run ();
}
