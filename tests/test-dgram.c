/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"

#include <gio/gunixsocketaddress.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <usock/usock.h>

#define MESSAGE_MAX 4263616

/* A socket, and what it was told. */
typedef struct
{
  UsockDgram *socket;
  GPtrArray *texts;
  GPtrArray *senders;
  guint connects;
  guint listenings;
  guint congestions;
  guint writables;
  guint drains;
  guint failures;
  guint errors;
  guint closes;
  char *congested; /* the last destination of each */
  char *writable;
  char *failed;
  GError *failure;
} Peer;

static void
peer_datagram (Peer       *peer,
               GByteArray *bytes,
               const char *sender)
{
  g_ptr_array_add (peer->texts, g_strndup ((const char *) bytes->data, bytes->len));
  g_ptr_array_add (peer->senders, g_strdup (sender));
}

static void
peer_congestion (Peer       *peer,
                 const char *destination)
{
  peer->congestions++;
  g_assert_cmpuint (peer->congestions, ==, peer->writables + 1);
  g_free (peer->congested);
  peer->congested = g_strdup (destination);
}

static void
peer_writable (Peer       *peer,
               const char *destination)
{
  peer->writables++;
  g_free (peer->writable);
  peer->writable = g_strdup (destination);
}

static void
peer_send_failed (Peer       *peer,
                  const char *destination,
                  GError     *error)
{
  peer->failures++;
  g_free (peer->failed);
  peer->failed = g_strdup (destination);
  g_clear_error (&peer->failure);
  peer->failure = g_error_copy (error);
}

static void
count (guint *counter)
{
  (*counter)++;
}

static void
count_error (guint  *counter,
             GError *error)
{
  (*counter)++;
}

static Peer *
peer_wrap (UsockDgram *socket)
{
  Peer *peer = g_new0 (Peer, 1);

  peer->socket = socket;
  /* Valgrind looks at every byte of it, for each message. */
  if (g_getenv ("USOCK_TEST_SLOW") != NULL)
    usock_channel_set_read_buffer_size (USOCK_CHANNEL (socket), 64 * 1024);
  peer->texts = g_ptr_array_new_with_free_func (g_free);
  peer->senders = g_ptr_array_new_with_free_func (g_free);
  g_signal_connect_swapped (socket, "connect", G_CALLBACK (count), &peer->connects);
  g_signal_connect_swapped (socket, "listening", G_CALLBACK (count), &peer->listenings);
  g_signal_connect_swapped (socket, "drain", G_CALLBACK (count), &peer->drains);
  g_signal_connect_swapped (socket, "close", G_CALLBACK (count), &peer->closes);
  g_signal_connect_swapped (socket, "error", G_CALLBACK (count_error), &peer->errors);
  g_signal_connect_swapped (socket, "send-failed", G_CALLBACK (peer_send_failed), peer);
  return peer;
}

static Peer *
peer_new (void)
{
  return peer_wrap (usock_dgram_new ());
}

static void
peer_listen (Peer *peer)
{
  g_signal_connect_swapped (peer->socket, "datagram", G_CALLBACK (peer_datagram), peer);
}

/* For a peer with one destination: its episodes never overlap. */
static void
peer_watch_congestion (Peer *peer)
{
  g_signal_connect_swapped (peer->socket, "congestion", G_CALLBACK (peer_congestion), peer);
  g_signal_connect_swapped (peer->socket, "writable", G_CALLBACK (peer_writable), peer);
}

static Peer *
peer_new_bound (const char *path)
{
  Peer *peer = peer_new ();

  usock_test_no_error (usock_dgram_bind_to_path (peer->socket, path, &error));
  return peer;
}

static Peer *
peer_new_connected (const char *path)
{
  Peer *peer = peer_new ();

  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), path, &error));
  return peer;
}

static void
peer_close (Peer *peer)
{
  usock_socket_close (USOCK_SOCKET (peer->socket));
  if (usock_socket_get_state (USOCK_SOCKET (peer->socket)) != USOCK_STATE_NEW)
    usock_test_wait_until (peer->closes > 0);
  g_assert_cmpuint (peer->closes, ==, 1);
}

static void
peer_free (Peer *peer)
{
  GObject *object = G_OBJECT (peer->socket);

  if (peer->closes == 0)
    peer_close (peer);
  g_assert_cmpuint (peer->closes, ==, 1);
  g_signal_handlers_disconnect_by_data (object, peer);
  g_signal_handlers_disconnect_matched (object, G_SIGNAL_MATCH_FUNC, 0, 0, NULL, count, NULL);
  g_signal_handlers_disconnect_matched (object, G_SIGNAL_MATCH_FUNC, 0, 0, NULL, count_error,
                                        NULL);
  g_assert_finalize_object (object);
  g_ptr_array_unref (peer->texts);
  g_ptr_array_unref (peer->senders);
  g_free (peer->congested);
  g_free (peer->writable);
  g_free (peer->failed);
  g_clear_error (&peer->failure);
  g_free (peer);
}

static gboolean
peer_send_to (Peer        *peer,
              const char  *text,
              const char  *destination,
              GError     **error)
{
  return usock_dgram_send_to (peer->socket, (const guint8 *) text, strlen (text), destination,
                              error);
}

static void
peer_send_to_or_fail (Peer       *peer,
                      const char *text,
                      const char *destination)
{
  usock_test_no_error (peer_send_to (peer, text, destination, &error));
}

static void
peer_send_or_fail (Peer       *peer,
                   const char *text)
{
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (peer->socket), text, &error));
}

/* Sends the numbers from @first on, until the socket would have to wait if @n is 0; returns the
 * next. Without a destination it goes to the peer. */
static guint
peer_send_numbers (Peer       *peer,
                   const char *destination,
                   guint       first,
                   guint       n)
{
  for (guint i = first; n == 0 || i < first + n; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);
      g_autoptr (GError) error = NULL;
      gboolean sent = destination != NULL
                          ? peer_send_to (peer, text, destination, &error)
                          : usock_channel_send_text (USOCK_CHANNEL (peer->socket), text, &error);

      if (n == 0 && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        return i;
      g_assert_no_error (error);
      g_assert_true (sent);
    }

  return first + n;
}

static void
assert_numbers (GPtrArray *texts,
                guint      n)
{
  g_assert_cmpuint (texts->len, ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint (g_ascii_strtoull (texts->pdata[i], NULL, 10), ==, i);
}

/* Other programs, as far as these tests need them: plain sockets. */

static struct sockaddr_un
raw_address (const char *path,
             socklen_t  *length)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  gsize n = strlen (path);

  g_assert_cmpuint (n, <, sizeof address.sun_path);
  memcpy (address.sun_path, path, n);
  if (path[0] == '@')
    address.sun_path[0] = '\0';
  *length = offsetof (struct sockaddr_un, sun_path) + n + (path[0] == '@' ? 0 : 1);
  return address;
}

static int
raw_new (int type)
{
  int fd = socket (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static int
raw_new_bound (const char *path)
{
  socklen_t length;
  struct sockaddr_un address = raw_address (path, &length);
  int fd = raw_new (SOCK_DGRAM);

  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, length));
  return fd;
}

static void
raw_connect (int         fd,
             const char *path)
{
  socklen_t length;
  struct sockaddr_un address = raw_address (path, &length);

  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, length));
}

static void
raw_send_to (int         fd,
             const char *text,
             const char *path)
{
  socklen_t length;
  struct sockaddr_un address = raw_address (path, &length);

  g_assert_cmpint (
      sendto (fd, text, strlen (text), 0, (struct sockaddr *) &address, length), ==,
      strlen (text));
}

/* NULL if nothing is there. */
static char *
raw_receive (int fd)
{
  char buffer[64 * 1024];
  ssize_t n = recv (fd, buffer, sizeof buffer, 0);

  if (n < 0)
    {
      g_assert_cmpint (errno, ==, EAGAIN);
      return NULL;
    }
  return g_strndup (buffer, n);
}

static guint
raw_drain (int        fd,
           GPtrArray *texts)
{
  guint n = 0;
  char *text;

  while ((text = raw_receive (fd)) != NULL)
    {
      n++;
      if (texts != NULL)
        g_ptr_array_add (texts, text);
      else
        g_free (text);
    }
  return n;
}

static void
assert_received (int         fd,
                 const char *expected)
{
  g_autofree char *text = raw_receive (fd);

  g_assert_cmpstr (text, ==, expected);
}

/* How many messages wait in the kernel at the most: a receiver's queue takes one more than its
 * length, and the send buffer a few hundred. */
static guint
room (void)
{
  g_autofree char *text = NULL;

  usock_test_no_error (
      g_file_get_contents ("/proc/sys/net/unix/max_dgram_qlen", &text, NULL, &error));
  return MIN (g_ascii_strtoull (text, NULL, 10) + 1, 300);
}

/* Leaves none for others. Returns how many it sent. */
static guint
raw_fill (const char *path)
{
  for (guint n = 0, before;;)
    {
      int fd = raw_new (SOCK_DGRAM);

      raw_connect (fd, path);
      for (before = n; send (fd, "x", 1, 0) == 1; n++)
        ;
      close (fd);
      if (n == before)
        return n;
    }
}

/* How often the loop wakes in that time; the one that ends it does not count. */
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
settle (void)
{
  while (g_main_context_iteration (g_main_context_get_thread_default (), FALSE))
    ;
}

/* Order, in every mode. */

typedef enum
{
  WAY_UNCONNECTED,
  WAY_CONNECTED,
  WAY_PAIR,
  N_WAYS,
} Way;

typedef enum
{
  TAKE_DATA,
  TAKE_MESSAGE,
  TAKE_DATAGRAM,
  TAKE_RECEIVE,
  N_TAKES,
} Take;

typedef struct
{
  Peer *sender;
  Peer *receiver;
  const char *destination;
  guint next;
  guint n;
} Transfer;

static void
take_data (Peer       *peer,
           GByteArray *bytes)
{
  peer_datagram (peer, bytes, NULL);
}

static void
take_message (Peer         *peer,
              UsockMessage *message)
{
  g_ptr_array_add (peer->texts, usock_message_dup_text (message, NULL));
}

static void
take_received (GObject      *object,
               GAsyncResult *result,
               gpointer      user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) message
      = usock_channel_receive_finish (USOCK_CHANNEL (object), result, &error);

  if (message == NULL)
    {
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
      return;
    }
  take_message (user_data, message);
  usock_channel_receive_async (USOCK_CHANNEL (object), NULL, take_received, user_data);
}

static void
peer_take (Peer *peer,
           Take  take)
{
  if (take == TAKE_DATA)
    g_signal_connect_swapped (peer->socket, "data", G_CALLBACK (take_data), peer);
  else if (take == TAKE_MESSAGE)
    g_signal_connect_swapped (peer->socket, "message", G_CALLBACK (take_message), peer);
  else if (take == TAKE_DATAGRAM)
    peer_listen (peer);
  else
    usock_channel_receive_async (USOCK_CHANNEL (peer->socket), NULL, take_received, peer);
}

/* The program that keeps what does not fit, and goes on when it is told. */
static void
transfer_go_on (Transfer *transfer)
{
  while (transfer->next < transfer->n)
    {
      g_autofree char *text = g_strdup_printf ("%u", transfer->next);
      UsockChannel *channel = USOCK_CHANNEL (transfer->sender->socket);
      g_autoptr (GError) error = NULL;
      gboolean sent = transfer->destination != NULL
                          ? peer_send_to (transfer->sender, text, transfer->destination, &error)
                          : usock_channel_send_text (channel, text, &error);

      if (!sent)
        {
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
          g_assert_cmpuint (usock_channel_get_queued_bytes (channel), ==, 0);
          return;
        }
      transfer->next++;
    }
}

static void
check_order (UsockTest *self,
             Way        way,
             Take       take,
             gboolean   queued,
             guint      n)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  Transfer transfer = { .n = n };

  if (way == WAY_PAIR)
    {
      UsockDgram *one, *other;

      usock_test_no_error (usock_dgram_new_pair (&one, &other, &error));
      transfer.sender = peer_wrap (one);
      transfer.receiver = peer_wrap (other);
    }
  else
    {
      transfer.receiver = peer_new_bound (path);
      transfer.sender = way == WAY_CONNECTED ? peer_new_connected (path) : peer_new ();
      transfer.destination = way == WAY_UNCONNECTED ? path : NULL;
    }

  peer_watch_congestion (transfer.sender);
  peer_take (transfer.receiver, take);
  if (!queued)
    {
      g_signal_connect_swapped (transfer.sender->socket, "writable", G_CALLBACK (transfer_go_on),
                                &transfer);
      usock_channel_set_queue_limit (USOCK_CHANNEL (transfer.sender->socket), 0);
    }
  transfer_go_on (&transfer);

  usock_test_wait_until (transfer.receiver->texts->len >= n);
  usock_test_wait_until (transfer.sender->writables == transfer.sender->congestions);
  assert_numbers (transfer.receiver->texts, n);
  g_assert_cmpuint (transfer.sender->congestions, >, 0);
  g_assert_cmpstr (transfer.sender->congested, ==, way == WAY_PAIR ? NULL : path);
  g_assert_cmpstr (transfer.sender->writable, ==, way == WAY_PAIR ? NULL : path);
  g_assert_cmpuint (transfer.sender->failures, ==, 0);
  g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (transfer.sender->socket)), ==,
                    0);

  g_signal_handlers_disconnect_by_data (transfer.sender->socket, &transfer);
  peer_free (transfer.sender);
  peer_free (transfer.receiver);
}

static void
test_order (UsockTest     *self,
            gconstpointer  data)
{
  for (Way way = 0; way < N_WAYS; way++)
    for (Take take = 0; take < N_TAKES; take++)
      for (int queued = 0; queued < 2; queued++)
        check_order (self, way, take, queued, way == WAY_PAIR ? 1000 : 300);
}

/* A handler that is blocked takes nothing. */
static void
test_blocked (UsockTest     *self,
              gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  Peer *receiver = peer_new_bound (path);
  Peer *sender = peer_new ();

  peer_listen (receiver);
  g_signal_handlers_block_by_func (receiver->socket, peer_datagram, receiver);
  usock_test_no_error (peer_send_to (sender, "a", path, &error));
  settle ();
  g_assert_cmpuint (receiver->texts->len, ==, 0);
  g_signal_handlers_unblock_by_func (receiver->socket, peer_datagram, receiver);
  usock_test_wait_until (receiver->texts->len == 1);
  peer_free (sender);
  peer_free (receiver);
}

/* Congestion. */

static void
check_episodes (UsockTest *self,
                gboolean   connected,
                guint64    queue_limit)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *sender = connected ? peer_new_connected (path) : peer_new ();
  const char *destination = connected ? NULL : path;

  peer_watch_congestion (sender);
  usock_channel_set_queue_limit (USOCK_CHANNEL (sender->socket), queue_limit);

  for (guint episode = 1; episode <= 3; episode++)
    {
      guint next = peer_send_numbers (sender, destination, 0, queue_limit > 0 ? room () + 39 : 0);

      g_assert_cmpuint (sender->congestions, ==, episode - 1);
      if (queue_limit == 0)
        for (int i = 0; i < 10; i++)
          g_assert_cmpuint (peer_send_numbers (sender, destination, next, 0), ==, next);
      settle ();
      g_assert_cmpuint (sender->congestions, ==, episode);
      g_assert_cmpstr (sender->congested, ==, path);
      g_assert_cmpuint (sender->writables, ==, episode - 1);
      g_assert_cmpuint (count_turns (100), ==, 0);
      g_assert_cmpuint (sender->congestions, ==, episode);

      while (sender->writables < episode)
        {
          raw_drain (receiver, NULL);
          usock_test_iterate (usock_test_deadline (), "writable");
        }
      g_assert_cmpstr (sender->writable, ==, path);
      g_assert_cmpuint (count_turns (50), ==, 0);
      g_assert_cmpuint (sender->writables, ==, episode);
      raw_drain (receiver, NULL);
    }

  close (receiver);
  unlink (path);
  peer_free (sender);
}

static void
test_congestion (UsockTest     *self,
                 gconstpointer  data)
{
  check_episodes (self, FALSE, 0);
  check_episodes (self, FALSE, 1024 * 1024);
  check_episodes (self, TRUE, 0);
  check_episodes (self, TRUE, 1024 * 1024);
}

/* Who listens to drain must not be told at once, or he would try for ever. */
static void
retry_on_drain (Transfer *transfer)
{
  transfer_go_on (transfer);
}

static void
test_drain (UsockTest     *self,
            gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Transfer transfer = { .sender = peer_new (), .destination = path, .n = room () + 89 };
  guint n = 0;

  usock_channel_set_queue_limit (USOCK_CHANNEL (transfer.sender->socket), 0);
  g_signal_connect_swapped (transfer.sender->socket, "drain", G_CALLBACK (retry_on_drain),
                            &transfer);
  transfer_go_on (&transfer);
  settle ();
  g_assert_cmpuint (count_turns (100), ==, 0);
  g_assert_cmpuint (transfer.sender->drains, ==, 0);

  while ((n += raw_drain (receiver, NULL)) < transfer.n)
    usock_test_iterate (usock_test_deadline (), "drain");

  g_signal_handlers_disconnect_by_data (transfer.sender->socket, &transfer);
  close (receiver);
  peer_free (transfer.sender);
}

static void
check_idle (UsockTest *self,
            Way        way,
            guint64    queue_limit)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  struct rusage before, after;
  Peer *sender;
  int receiver = -1;

  if (way == WAY_PAIR)
    {
      sender = peer_wrap (usock_dgram_new_from_fd (usock_test_take (self, 0), NULL));
      receiver = usock_test_take (self, 1);
    }
  else
    {
      receiver = raw_new_bound (path);
      sender = way == WAY_CONNECTED ? peer_new_connected (path) : peer_new ();
    }

  usock_channel_set_queue_limit (USOCK_CHANNEL (sender->socket), queue_limit);
  peer_send_numbers (sender, way == WAY_UNCONNECTED ? path : NULL, 0, queue_limit > 0 ? 1000 : 0);
  settle ();
  getrusage (RUSAGE_SELF, &before);
  g_assert_cmpuint (count_turns (1000), ==, 0);
  getrusage (RUSAGE_SELF, &after);
  g_assert_cmpint (after.ru_nvcsw - before.ru_nvcsw, <, 20);

  peer_free (sender);
  close (receiver);
  unlink (path);
}

static void
test_idle (UsockTest     *self,
           gconstpointer  data)
{
  /* The fixture's pair is of packets. */
  close (self->pair[0]);
  close (self->pair[1]);
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, self->pair));

  check_idle (self, WAY_UNCONNECTED, 1024 * 1024);
  check_idle (self, WAY_UNCONNECTED, 0);
  check_idle (self, WAY_CONNECTED, 1024 * 1024);
  check_idle (self, WAY_CONNECTED, 0);
  check_idle (self, WAY_PAIR, 1024 * 1024);
}

/* A full destination delays nobody else. */
static void
test_neighbours (UsockTest     *self,
                 gconstpointer  data)
{
  g_autofree char *full_path = usock_test_path (self, "full");
  g_autofree char *path = usock_test_path (self, "receiver");
  int full = raw_new_bound (full_path);
  Peer *receiver = peer_new_bound (path);
  Peer *sender = peer_new ();
  g_autoptr (GPtrArray) late = g_ptr_array_new_with_free_func (g_free);
  guint n_foreign = raw_fill (full_path);
  guint n = room () + 89;

  peer_listen (receiver);
  peer_send_numbers (sender, full_path, 0, n);
  peer_send_numbers (sender, path, 0, 5);
  usock_test_wait_until (receiver->texts->len == 5);
  peer_send_numbers (sender, path, 5, n - 5);
  usock_test_wait_until (receiver->texts->len == n);
  assert_numbers (receiver->texts, n);
  g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (sender->socket)), >, 0);

  for (raw_drain (full, late); late->len < n_foreign + n; raw_drain (full, late))
    usock_test_iterate (usock_test_deadline (), "the full one");
  g_ptr_array_remove_range (late, 0, n_foreign);
  assert_numbers (late, n);

  peer_free (sender);
  peer_free (receiver);
  close (full);
}

static void
send_block (Peer       *peer,
            const char *destination,
            gsize       length)
{
  g_autofree guint8 *block = g_malloc0 (length);

  if (destination != NULL)
    usock_test_no_error (
        usock_dgram_send_to (peer->socket, block, length, destination, &error));
  else
    usock_test_no_error (
        usock_channel_send (USOCK_CHANNEL (peer->socket), block, length, &error));
}

/* Who never reads keeps so much of our send buffer that the kernel no longer calls us writable;
 * yet there is room. */
static void
test_neighbour_holds_memory (UsockTest     *self,
                             gconstpointer  data)
{
  g_autofree char *full_path = usock_test_path (self, "full");
  g_autofree char *path = usock_test_path (self, "receiver");
  int full = raw_new_bound (full_path);
  int receiver = raw_new_bound (path);
  Peer *sender = peer_new ();
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  gint64 deadline;
  guint n = room () + 29;

  for (int i = 0; i < 20; i++)
    send_block (sender, full_path, 12 * 1024);
  peer_send_numbers (sender, path, 0, n);
  settle ();

  deadline = g_get_monotonic_time () + 2 * G_USEC_PER_SEC;
  for (raw_drain (receiver, texts); texts->len < n; raw_drain (receiver, texts))
    usock_test_iterate (deadline, "the one that reads");
  assert_numbers (texts, n);

  peer_free (sender);
  close (full);
  close (receiver);
}

/* Several of them keep all of it, and the system allows more. */
static void
test_neighbours_hold_all_memory (UsockTest     *self,
                                 gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *sender = peer_new ();
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  int full[2];

  for (gsize i = 0; i < G_N_ELEMENTS (full); i++)
    {
      g_autofree char *name = g_strdup_printf ("full%zu", i);
      g_autofree char *full_path = usock_test_path (self, name);

      full[i] = raw_new_bound (full_path);
      for (int j = 0; j < 11; j++)
        send_block (sender, full_path, 12 * 1024);
    }
  peer_send_numbers (sender, path, 0, 2);
  raw_drain (receiver, texts);
  assert_numbers (texts, 2);

  peer_free (sender);
  close (full[0]);
  close (full[1]);
  close (receiver);
}

/* Now they have just filled it when the peer, for whom several messages wait, has room. */
static void
test_neighbours_fill_memory (UsockTest     *self,
                             gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  guint n_foreign = raw_fill (path);
  Peer *sender = peer_new_connected (path);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  gint64 deadline;
  int full[16], n = 0, queued = 0;

  peer_send_numbers (sender, NULL, 0, 5);
  for (; queued < (int) usock_dgram_get_send_buffer_size (sender->socket); n++)
    {
      g_autofree char *name = g_strdup_printf ("full%d", n);
      g_autofree char *full_path = usock_test_path (self, name);

      g_assert_cmpint (n, <, G_N_ELEMENTS (full));
      full[n] = raw_new_bound (full_path);
      send_block (sender, full_path, 64 * 1024);
      settle ();
      g_assert_no_errno (ioctl (usock_socket_get_fd (USOCK_SOCKET (sender->socket)), SIOCOUTQ,
                                &queued));
    }
  deadline = g_get_monotonic_time () + 2 * G_USEC_PER_SEC;
  for (raw_drain (receiver, texts); texts->len < n_foreign + 5; raw_drain (receiver, texts))
    usock_test_iterate (deadline, "the peer");
  g_ptr_array_remove_range (texts, 0, n_foreign);
  assert_numbers (texts, 5);

  peer_free (sender);
  while (n > 0)
    close (full[--n]);
  close (receiver);
}

/* The same where the one who never reads is the one we are connected to. */
static void
test_neighbour_is_the_peer (UsockTest     *self,
                            gconstpointer  data)
{
  g_autofree char *full_path = usock_test_path (self, "full");
  g_autofree char *path = usock_test_path (self, "receiver");
  int full = raw_new_bound (full_path);
  int receiver = raw_new_bound (path);
  Peer *sender = peer_new_connected (full_path);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  gint64 deadline;
  guint n = room () + 29;

  raw_fill (full_path);
  peer_send_numbers (sender, NULL, 0, n);
  peer_send_numbers (sender, path, 0, n);
  settle ();
  g_assert_cmpuint (count_turns (100), ==, 0);

  deadline = g_get_monotonic_time () + 2 * G_USEC_PER_SEC;
  for (raw_drain (receiver, texts); texts->len < n; raw_drain (receiver, texts))
    usock_test_iterate (deadline, "the one that reads");
  assert_numbers (texts, n);

  peer_free (sender);
  close (full);
  close (receiver);
}

/* And the other way round: the peer reads, and another keeps our memory. */
static void
check_peer_reads (UsockTest *self,
                  gboolean   peer_first)
{
  g_autofree char *full_path = usock_test_path (self, "full");
  g_autofree char *path = usock_test_path (self, "receiver");
  int full = raw_new_bound (full_path);
  int receiver = raw_new_bound (path);
  Peer *sender = peer_new_connected (path);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  gint64 deadline;
  guint n = room () + 29;

  if (peer_first)
    {
      peer_send_numbers (sender, NULL, 0, n);
      peer_send_numbers (sender, full_path, 0, 1);
      settle ();
    }
  for (int i = 0; i < 20; i++)
    send_block (sender, full_path, 12 * 1024);
  if (!peer_first)
    peer_send_numbers (sender, NULL, 0, n);
  settle ();

  deadline = g_get_monotonic_time () + 2 * G_USEC_PER_SEC;
  for (raw_drain (receiver, texts); texts->len < n; raw_drain (receiver, texts))
    usock_test_iterate (deadline, "the one that reads");
  assert_numbers (texts, n);

  peer_free (sender);
  close (full);
  close (receiver);
  unlink (full_path);
  unlink (path);
}

static void
test_peer_reads_neighbour_holds_memory (UsockTest     *self,
                                        gconstpointer  data)
{
  check_peer_reads (self, FALSE);
  check_peer_reads (self, TRUE);
}

/* With the smallest send buffer a few who do not read fill it for everybody. */
static void
test_small_send_buffer (UsockTest     *self,
                        gconstpointer  data)
{
  enum { N = 20, EACH = 5 };
  Peer *sender = peer_new ();
  int receivers[N];
  char *paths[N];
  GPtrArray *texts[N];
  guint n = 0;

  usock_dgram_set_send_buffer_size (sender->socket, 1);
  for (int i = 0; i < N; i++)
    {
      g_autofree char *name = g_strdup_printf ("receiver%d", i);

      paths[i] = usock_test_path (self, name);
      receivers[i] = raw_new_bound (paths[i]);
      texts[i] = g_ptr_array_new_with_free_func (g_free);
    }
  for (int j = 0; j < EACH; j++)
    for (int i = 0; i < N; i++)
      peer_send_numbers (sender, paths[i], j, 1);

  g_assert_cmpuint (usock_dgram_get_send_buffer_size (sender->socket), <, 8192);
  settle ();
  g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (sender->socket)), >, 0);
  g_assert_cmpuint (count_turns (1000), <, 30);

  /* All but the first read, which keeps its share. */
  while (n < (N - 1) * EACH)
    {
      for (int i = 1; i < N; i++)
        n += raw_drain (receivers[i], texts[i]);
      if (n < (N - 1) * EACH)
        usock_test_iterate (usock_test_deadline (), "room");
    }
  for (n = raw_drain (receivers[0], texts[0]); n < EACH; n += raw_drain (receivers[0], texts[0]))
    usock_test_iterate (usock_test_deadline (), "room");

  peer_free (sender);
  for (int i = 0; i < N; i++)
    {
      assert_numbers (texts[i], EACH);
      g_ptr_array_unref (texts[i]);
      g_free (paths[i]);
      close (receivers[i]);
    }
}

/* Many senders, one slow receiver. */

typedef struct
{
  guint n_received;
  guint *next;
  UsockChannel *channel;
} Crowd;

static gboolean
crowd_resume (gpointer user_data)
{
  usock_channel_resume (((Crowd *) user_data)->channel);
  return G_SOURCE_REMOVE;
}

static void
crowd_take (Crowd      *crowd,
            GByteArray *bytes)
{
  guint sender, number;

  g_assert_cmpint (sscanf ((const char *) bytes->data, "%u %u", &sender, &number), ==, 2);
  g_assert_cmpuint (number, ==, crowd->next[sender]++);

  if (++crowd->n_received % 10 == 0)
    {
      g_autoptr (GSource) source = g_timeout_source_new (0);

      usock_channel_pause (crowd->channel);
      g_source_set_callback (source, crowd_resume, crowd, NULL);
      g_source_attach (source, g_main_context_get_thread_default ());
    }
}

static void
check_crowd (UsockTest *self,
             gboolean   connected)
{
  guint n_senders = 200;
  guint n_messages = g_getenv ("USOCK_TEST_LONG") != NULL ? 5000 : 50;
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autofree guint *next = g_new0 (guint, n_senders);
  Peer *receiver = peer_new_bound (path);
  Crowd crowd = { .next = next, .channel = USOCK_CHANNEL (receiver->socket) };
  g_autoptr (GPtrArray) senders = g_ptr_array_new_with_free_func ((GDestroyNotify) peer_free);

  g_signal_connect_swapped (receiver->socket, "data", G_CALLBACK (crowd_take), &crowd);
  for (guint i = 0; i < n_senders; i++)
    {
      Peer *sender = connected ? peer_new_connected (path) : peer_new ();

      g_ptr_array_add (senders, sender);
      usock_channel_set_send_timeout (USOCK_CHANNEL (sender->socket), 0);
    }
  for (guint j = 0; j < n_messages; j++)
    for (guint i = 0; i < n_senders; i++)
      {
        g_autofree char *text = g_strdup_printf ("%u %u", i, j);

        if (connected)
          peer_send_or_fail (senders->pdata[i], text);
        else
          peer_send_to_or_fail (senders->pdata[i], text, path);
      }

  while (crowd.n_received < n_senders * n_messages)
    {
      guint before = crowd.n_received;

      usock_test_wait_until (crowd.n_received > before);
    }
  for (guint i = 0; i < n_senders; i++)
    {
      Peer *sender = senders->pdata[i];

      g_assert_cmpuint (next[i], ==, n_messages);
      g_assert_cmpuint (sender->failures, ==, 0);
    }

  g_ptr_array_set_size (senders, 0);
  g_signal_handlers_disconnect_by_data (receiver->socket, &crowd);
  peer_free (receiver);
  settle ();
}

static void
test_crowd (UsockTest     *self,
            gconstpointer  data)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = MAX (limit.rlim_cur, MIN (limit.rlim_max, 1024));
  setrlimit (RLIMIT_NOFILE, &limit);
  check_crowd (self, FALSE);
  check_crowd (self, TRUE);
}

/* Asynchronous sending. */

typedef struct
{
  GString *order;
  guint n_done;
} Outcome;

typedef struct
{
  Outcome *outcome;
  char name;
  gboolean by_text;
} Call;

static void
send_done (GObject      *object,
           GAsyncResult *result,
           gpointer      user_data)
{
  g_autofree Call *call = user_data;
  g_autoptr (GError) error = NULL;

  call->outcome->n_done++;
  g_string_append_c (call->outcome->order, call->name);
  if (call->by_text
          ? !usock_dgram_send_message_to_text_finish (USOCK_DGRAM (object), result, &error)
          : !usock_dgram_send_message_to_finish (USOCK_DGRAM (object), result, &error))
    g_string_append_printf (call->outcome->order, "(%d)", error->code);
}

/* By text and by address in turns. */
static void
send_async (Peer         *peer,
            const char   *destination,
            const char   *text,
            GCancellable *cancellable,
            Outcome      *outcome)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text (text);
  g_autoptr (GSocketAddress) address = usock_address_parse (destination, NULL);
  Call *call = g_new (Call, 1);

  *call = (Call) { outcome, text[0], text[0] % 2 == 0 };
  if (call->by_text)
    usock_dgram_send_message_to_text_async (peer->socket, message, destination, cancellable,
                                            send_done, call);
  else
    usock_dgram_send_message_to_async (peer->socket, message, address, cancellable, send_done,
                                       call);
}

static char *
cancelled_code (const char *format)
{
  g_autofree char *code = g_strdup_printf ("(%d)", G_IO_ERROR_CANCELLED);
  GString *text = g_string_new (format);

  g_string_replace (text, "!", code, 0);
  return g_string_free (text, FALSE);
}

static void
test_cancel (UsockTest     *self,
             gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autofree char *expected = cancelled_code ("b!d!ace");
  int receiver = raw_new_bound (path);
  Peer *sender = peer_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Outcome outcome = { .order = g_string_new (NULL) };
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  guint full;

  usock_channel_set_queue_limit (USOCK_CHANNEL (sender->socket), 0);
  full = peer_send_numbers (sender, path, 0, 0);
  send_async (sender, path, "a", NULL, &outcome);
  send_async (sender, path, "b", cancellable, &outcome);
  send_async (sender, path, "c", NULL, &outcome);
  send_async (sender, path, "d", cancellable, &outcome);
  send_async (sender, path, "e", NULL, &outcome);
  settle ();
  g_assert_cmpuint (outcome.n_done, ==, 0);

  g_cancellable_cancel (cancellable);
  usock_test_wait_until (outcome.n_done == 2);
  for (raw_drain (receiver, texts); outcome.n_done < 5; raw_drain (receiver, texts))
    usock_test_iterate (usock_test_deadline (), "room");
  raw_drain (receiver, texts);
  g_assert_cmpstr (outcome.order->str, ==, expected);
  g_assert_cmpuint (texts->len, ==, full + 3);
  g_assert_cmpstr (texts->pdata[full], ==, "a");
  g_assert_cmpstr (texts->pdata[full + 1], ==, "c");
  g_assert_cmpstr (texts->pdata[full + 2], ==, "e");

  g_string_free (outcome.order, TRUE);
  peer_free (sender);
  close (receiver);
}

/* Also where there is no such address. */
static void
test_async_errors (UsockTest     *self,
                   gconstpointer  data)
{
  static const struct
  {
    const char *destination;
    int code;
  } cases[] = {
    { "/nowhere/at/all", G_IO_ERROR_NOT_FOUND },
    { "", G_IO_ERROR_INVALID_FILENAME },
    { "127.0.0.1:9", G_IO_ERROR_NOT_SUPPORTED },
  };
  Peer *sender = peer_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (UsockMessage) message = usock_message_new_from_text ("b");
      g_autofree char *expected = g_strdup_printf ("b(%d)", cases[i].code);
      Outcome outcome = { .order = g_string_new (NULL) };
      Call *call = g_new (Call, 1);

      *call = (Call) { &outcome, 'b', TRUE };
      usock_dgram_send_message_to_text_async (sender->socket, message, cases[i].destination, NULL,
                                              send_done, call);
      g_assert_cmpuint (outcome.n_done, ==, 0);
      usock_test_wait_until (outcome.n_done == 1);
      g_assert_cmpstr (outcome.order->str, ==, expected);
      g_string_free (outcome.order, TRUE);
    }

  peer_free (sender);
}

/* Nothing of a call that was cancelled before it was made is sent, and it ends. */
static void
test_cancelled_before (UsockTest     *self,
                       gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autofree char *expected = cancelled_code ("a!");
  int receiver = raw_new_bound (path);
  Peer *sender = peer_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Outcome outcome = { .order = g_string_new (NULL) };

  g_cancellable_cancel (cancellable);
  send_async (sender, path, "a", cancellable, &outcome);
  usock_test_wait_until (outcome.n_done == 1);
  g_assert_cmpstr (outcome.order->str, ==, expected);
  g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (sender->socket)), ==, 0);
  peer_send_to_or_fail (sender, "b", path);
  assert_received (receiver, "b");
  assert_received (receiver, NULL);

  g_string_free (outcome.order, TRUE);
  peer_free (sender);
  close (receiver);
}

static void
flush_done (GObject      *object,
            GAsyncResult *result,
            gpointer      user_data)
{
  usock_test_no_error (usock_channel_flush_finish (USOCK_CHANNEL (object), result, &error));
  (*(guint *) user_data)++;
}

/* A flush waits for every destination. */
static void
test_flush (UsockTest     *self,
            gconstpointer  data)
{
  g_autofree char *first_path = usock_test_path (self, "first");
  g_autofree char *second_path = usock_test_path (self, "second");
  int first = raw_new_bound (first_path);
  int second = raw_new_bound (second_path);
  Peer *sender = peer_new ();
  guint n_first = raw_fill (first_path) + 4;
  guint n_second = raw_fill (second_path) + 4;
  guint n_done = 0;

  peer_send_numbers (sender, first_path, 0, 4);
  peer_send_numbers (sender, second_path, 0, 4);
  usock_channel_flush_async (USOCK_CHANNEL (sender->socket), NULL, flush_done, &n_done);
  settle ();
  g_assert_cmpuint (n_done, ==, 0);

  for (guint n = raw_drain (first, NULL); n < n_first; n += raw_drain (first, NULL))
    usock_test_iterate (usock_test_deadline (), "room");
  settle ();
  g_assert_cmpuint (n_done, ==, 0);
  for (guint n = raw_drain (second, NULL); n < n_second; n += raw_drain (second, NULL))
    usock_test_iterate (usock_test_deadline (), "room");
  usock_test_wait_until (n_done == 1);

  usock_channel_flush_async (USOCK_CHANNEL (sender->socket), NULL, flush_done, &n_done);
  usock_test_wait_until (n_done == 2);

  peer_free (sender);
  close (first);
  close (second);
}

/* Failing. */

static void
check_dies_with_queue (UsockTest *self,
                       gboolean   connected)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *sender = connected ? peer_new_connected (path) : peer_new ();
  g_autofree char *other_path = usock_test_path (self, "other");
  int other = raw_new_bound (other_path);
  guint n = room () + 9;
  guint taken;

  peer_watch_congestion (sender);
  peer_send_numbers (sender, connected ? NULL : path, 0, n);
  usock_test_wait_until (sender->congestions == 1);
  taken = usock_channel_get_messages_written (USOCK_CHANNEL (sender->socket));
  g_assert_cmpuint (taken, <, n);
  close (receiver);
  usock_test_wait_until (sender->writables == 1);
  g_assert_cmpuint (sender->failures, ==, n - taken);
  g_assert_cmpstr (sender->failed, ==, path);
  g_assert_error (sender->failure, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_assert_cmpuint (sender->errors, ==, 0);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (sender->socket)), ==, USOCK_STATE_OPEN);
  g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (sender->socket)), ==, 0);

  peer_send_to_or_fail (sender, "on", other_path);
  assert_received (other, "on");
  peer_free (sender);
  close (other);
  unlink (path);
  unlink (other_path);
}

static void
test_receiver_dies (UsockTest     *self,
                    gconstpointer  data)
{
  check_dies_with_queue (self, FALSE);
  check_dies_with_queue (self, TRUE);
}

/* Who has queued for a receiver that comes back loses only what was in the old one. */
static void
check_comes_back (UsockTest *self,
                  gboolean   connected)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *sender = connected ? peer_new_connected (path) : peer_new ();
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  guint n = room () + 19;
  guint taken;

  peer_send_numbers (sender, connected ? NULL : path, 0, n);
  settle ();
  taken = usock_channel_get_messages_written (USOCK_CHANNEL (sender->socket));
  g_assert_cmpuint (taken, <, n);

  unlink (path);
  close (receiver);
  receiver = raw_new_bound (path);
  for (raw_drain (receiver, texts); texts->len < n - taken; raw_drain (receiver, texts))
    usock_test_iterate (usock_test_deadline (), "the new one");
  for (guint i = 0; i < texts->len; i++)
    g_assert_cmpuint (g_ascii_strtoull (texts->pdata[i], NULL, 10), ==, taken + i);
  g_assert_cmpuint (sender->failures, ==, 0);

  close (receiver);
  unlink (path);
  peer_free (sender);
}

static void
test_receiver_comes_back (UsockTest     *self,
                          gconstpointer  data)
{
  check_comes_back (self, FALSE);
  check_comes_back (self, TRUE);
}

/* The old one lives on, full, without its name. */
static void
test_receiver_is_replaced (UsockTest     *self,
                           gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int old = raw_new_bound (path);
  Peer *sender = peer_new ();
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  guint taken;
  int new;

  raw_fill (path);
  peer_send_numbers (sender, path, 0, 30);
  settle ();
  taken = usock_channel_get_messages_written (USOCK_CHANNEL (sender->socket));
  unlink (path);
  new = raw_new_bound (path);
  for (raw_drain (new, texts); texts->len < 30 - taken; raw_drain (new, texts))
    usock_test_iterate (usock_test_deadline (), "the new one");

  peer_free (sender);
  close (old);
  close (new);
}

static void
test_send_after_rebind (UsockTest     *self,
                        gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *connected = peer_new_connected (path);
  Peer *unconnected = peer_new ();

  for (int i = 0; i < 100; i++)
    {
      g_autofree char *text = g_strdup_printf ("%d", i);
      g_autoptr (GError) error = NULL;

      peer_send_or_fail (connected, text);
      peer_send_to_or_fail (unconnected, text, path);
      assert_received (receiver, text);
      assert_received (receiver, text);
      close (receiver);
      if (i % 3 == 0)
        {
          g_assert_false (
              usock_channel_send_text (USOCK_CHANNEL (connected->socket), "lost", &error));
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
        }
      unlink (path);
      receiver = raw_new_bound (path);
    }

  peer_free (connected);
  peer_free (unconnected);
  close (receiver);
}

static void
assert_send_fails (Peer         *peer,
                   const char   *destination,
                   int           code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (peer_send_to (peer, "x", destination, &error));
  g_assert_error (error, G_IO_ERROR, code);
  g_assert_nonnull (strstr (error->message, destination));
}

static void
assert_connect_fails (const char   *destination,
                      int           code)
{
  Peer *peer = peer_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), destination, &error));
  g_assert_error (error, G_IO_ERROR, code);
  g_assert_nonnull (strstr (error->message, destination));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (peer->socket)), ==, USOCK_STATE_NEW);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (peer->socket)), ==, -1);
  peer_free (peer);
}

static void
test_unreachable (UsockTest     *self,
                  gconstpointer  data)
{
  g_autofree char *missing = usock_test_path (self, "missing");
  g_autofree char *dead = usock_test_path (self, "dead");
  g_autofree char *stream_path = usock_test_path (self, "stream");
  g_autofree char *file = usock_test_path (self, "file");
  g_autofree char *filtered_path = usock_test_path (self, "filtered");
  g_autofree char *other_path = usock_test_path (self, "other");
  int stream = raw_new (SOCK_STREAM), filtered, other;
  Peer *peer = peer_new ();
  socklen_t length;
  struct sockaddr_un address = raw_address (stream_path, &length);

  close (raw_new_bound (dead));
  g_assert_no_errno (bind (stream, (struct sockaddr *) &address, length));
  g_assert_no_errno (listen (stream, 1));
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  other = raw_new_bound (other_path);
  filtered = raw_new_bound (filtered_path);
  raw_connect (filtered, other_path);

  assert_send_fails (peer, missing, G_IO_ERROR_NOT_FOUND);
  assert_send_fails (peer, dead, G_IO_ERROR_CONNECTION_REFUSED);
  assert_send_fails (peer, stream_path, G_IO_ERROR_INVALID_ARGUMENT);
  assert_send_fails (peer, file, G_IO_ERROR_CONNECTION_REFUSED);
  assert_send_fails (peer, filtered_path, G_IO_ERROR_PERMISSION_DENIED);
  assert_send_fails (peer, "@usock-test-nobody-is-here", G_IO_ERROR_CONNECTION_REFUSED);
  settle ();
  g_assert_cmpuint (peer->failures, ==, 0);
  g_assert_cmpuint (peer->errors, ==, 0);

  assert_connect_fails (missing, G_IO_ERROR_NOT_FOUND);
  assert_connect_fails (dead, G_IO_ERROR_CONNECTION_REFUSED);
  assert_connect_fails (stream_path, G_IO_ERROR_INVALID_ARGUMENT);
  assert_connect_fails (file, G_IO_ERROR_CONNECTION_REFUSED);
  assert_connect_fails (filtered_path, G_IO_ERROR_PERMISSION_DENIED);

  peer_send_to_or_fail (peer, "on", other_path);
  assert_received (other, "on");

  peer_free (peer);
  close (stream);
  close (filtered);
  close (other);
}

static void
test_no_permission (UsockTest     *self,
                    gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *peer = peer_new ();
  uid_t uid = geteuid ();

  g_assert_no_errno (chmod (path, 0));
  g_assert_no_errno (chmod (self->directory, 0755));
  if (uid == 0)
    g_assert_no_errno (seteuid (65534));
  assert_send_fails (peer, path, G_IO_ERROR_PERMISSION_DENIED);
  assert_connect_fails (path, G_IO_ERROR_PERMISSION_DENIED);
  if (uid == 0)
    g_assert_no_errno (seteuid (0));

  peer_free (peer);
  close (receiver);
}

static void
test_bad_use (UsockTest     *self,
              gconstpointer  data)
{
  g_autoptr (GSocketAddress) anonymous
      = g_unix_socket_address_new_with_type ("", 0, G_UNIX_SOCKET_ADDRESS_ANONYMOUS);
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  g_autoptr (GError) wrong = NULL;
  Peer *peer = peer_new ();

  g_assert_false (usock_channel_send_text (USOCK_CHANNEL (peer->socket), "x", &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);
  g_clear_error (&wrong);
  g_assert_false (usock_dgram_send_message_to (peer->socket, message, anonymous, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&wrong);
  g_assert_false (
      usock_channel_connect_to_address (USOCK_CHANNEL (peer->socket), anonymous, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&wrong);
  assert_send_fails (peer, "", G_IO_ERROR_INVALID_FILENAME);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (peer->socket)), ==, USOCK_STATE_NEW);

  usock_test_no_error (usock_dgram_bind_to_path (peer->socket, path, &error));
  g_assert_false (usock_channel_send_text (USOCK_CHANNEL (peer->socket), "x", &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);
  g_clear_error (&wrong);
  g_assert_false (usock_dgram_bind_to_path (peer->socket, path, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&wrong);
  g_assert_false (usock_dgram_autobind (peer->socket, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&wrong);
  usock_test_wait_until (peer->listenings == 1);
  g_assert_false (peer_send_to (peer, "x", "127.0.0.1:9", &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  g_clear_error (&wrong);
  settle ();
  g_assert_cmpuint (peer->listenings, ==, 1);

  peer_close (peer);
  g_assert_false (peer_send_to (peer, "x", path, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&wrong);
  g_assert_false (usock_dgram_autobind (peer->socket, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_CLOSED);
  peer_free (peer);
}

static void
connect_done (GObject      *object,
              GAsyncResult *result,
              gpointer      user_data)
{
  g_autoptr (GError) error = NULL;

  if (!usock_channel_connect_finish (USOCK_CHANNEL (object), result, &error))
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
  (*(guint *) user_data)++;
}

/* A second connection in the same turn must end both calls. */
static void
test_connect_twice (UsockTest     *self,
                    gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  g_autoptr (GSocketAddress) address = usock_address_parse (path, NULL);
  Peer *peer = peer_new ();
  guint n_done = 0;

  for (int i = 0; i < 2; i++)
    usock_channel_connect_async (USOCK_CHANNEL (peer->socket), address, NULL, connect_done,
                                 &n_done);
  usock_test_wait_until (n_done == 2);
  usock_channel_connect_async (USOCK_CHANNEL (peer->socket), address, NULL, connect_done, &n_done);
  usock_test_wait_until (n_done == 3);
  g_assert_cmpuint (peer->connects, ==, 2);

  peer_free (peer);
  close (receiver);
}

/* The kernel empties our receive queue when a send to a dead peer fails. */

static void
check_unread (UsockTest *self,
              guint      n_queued)
{
  g_autofree char *path = usock_test_path (self, "peer");
  g_autofree char *own_path = usock_test_path (self, "own");
  int other = raw_new_bound (path);
  Peer *peer = peer_new_bound (own_path);
  g_autoptr (GError) wrong = NULL;

  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), path, &error));
  if (n_queued > 0)
    peer_send_numbers (peer, NULL, 0, room () + n_queued);
  settle ();
  n_queued = usock_channel_get_queued_bytes (USOCK_CHANNEL (peer->socket)) > 0
                 ? room () + n_queued
                       - usock_channel_get_messages_written (USOCK_CHANNEL (peer->socket))
                 : 0;
  for (int i = 0; i < 5; i++)
    {
      g_autofree char *text = g_strdup_printf ("%d", i);

      raw_send_to (other, text, own_path);
    }
  close (other);

  if (n_queued == 0)
    {
      g_assert_false (usock_channel_send_text (USOCK_CHANNEL (peer->socket), "x", &wrong));
      g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    }
  else
    usock_test_wait_until (peer->failures == n_queued);

  settle ();
  peer_listen (peer);
  usock_test_wait_until (peer->texts->len == 5);
  assert_numbers (peer->texts, 5);
  g_assert_cmpstr (peer->senders->pdata[0], ==, path);
  peer_free (peer);
  unlink (path);
}

static void
test_unread (UsockTest     *self,
             gconstpointer  data)
{
  check_unread (self, 0);
  check_unread (self, 1);
  check_unread (self, 5);
}

static void
test_unread_many (UsockTest     *self,
                  gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "peer");
  g_autofree char *own_path = usock_test_path (self, "own");
  int other = raw_new_bound (path);
  Peer *peer = peer_new_bound (own_path);
  UsockMessage *messages[3];

  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), path, &error));
  raw_send_to (other, "0", own_path);
  raw_send_to (other, "1", own_path);
  close (other);
  for (guint i = 0; i < 3; i++)
    messages[i] = usock_message_new_from_text ("x");
  g_assert_cmpuint (usock_channel_send_messages (USOCK_CHANNEL (peer->socket), messages, 3, NULL),
                    ==, 0);
  for (guint i = 0; i < 3; i++)
    usock_message_unref (messages[i]);

  peer_listen (peer);
  usock_test_wait_until (peer->texts->len == 2);
  assert_numbers (peer->texts, 2);
  peer_free (peer);
}

/* A pair that was bound is no less connected than before. */
static void
test_unread_pair (UsockTest     *self,
                  gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "own");
  g_autoptr (GError) wrong = NULL;
  UsockDgram *one, *other;
  Peer *first, *second;

  usock_test_no_error (usock_dgram_new_pair (&one, &other, &error));
  first = peer_wrap (one);
  second = peer_wrap (other);
  usock_test_no_error (usock_dgram_bind_to_path (first->socket, path, &error));
  peer_send_numbers (second, NULL, 0, 3);
  peer_free (second);
  g_assert_false (usock_channel_send_text (USOCK_CHANNEL (first->socket), "x", &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  peer_listen (first);
  usock_test_wait_until (first->texts->len == 3);
  assert_numbers (first->texts, 3);
  peer_free (first);
}

/* Sends from a handler, in the middle of what a turn has read: the rest of that comes before what the
 * send finds. */
typedef struct
{
  Peer *peer;
  Peer *other;
  GPtrArray *unheard;
  guint sent;
} Chatter;

#define CHATTER_MESSAGES 2000

static void
chatter_fill (Chatter *self)
{
  while (self->sent < CHATTER_MESSAGES)
    {
      g_autofree char *text = g_strdup_printf ("%u", self->sent);
      int fd = usock_socket_get_fd (USOCK_SOCKET (self->other->socket));

      if (send (fd, text, strlen (text), MSG_DONTWAIT) == -1)
        break;
      self->sent++;
    }
}

static void
chatter_datagram (Chatter    *self,
                  GByteArray *bytes,
                  const char *sender)
{
  chatter_fill (self);
  raw_drain (usock_socket_get_fd (USOCK_SOCKET (self->other->socket)), self->unheard);
  peer_send_or_fail (self->peer, "in between");
}

static Chatter
chatter_start (void)
{
  Chatter chatter = { .unheard = g_ptr_array_new_with_free_func (g_free) };
  UsockDgram *one, *other;

  usock_test_no_error (usock_dgram_new_pair (&one, &other, &error));
  chatter.peer = peer_wrap (one);
  chatter.other = peer_wrap (other);
  return chatter;
}

static void
chatter_stop (Chatter *self)
{
  peer_free (self->peer);
  peer_free (self->other);
  g_ptr_array_unref (self->unheard);
}

static void
test_stow_order (UsockTest     *self,
                 gconstpointer  data)
{
  Chatter chatter = chatter_start ();

  peer_listen (chatter.peer);
  g_signal_connect_swapped (chatter.peer->socket, "datagram", G_CALLBACK (chatter_datagram),
                            &chatter);
  chatter_fill (&chatter);
  usock_test_wait_until (chatter.peer->texts->len == CHATTER_MESSAGES);
  assert_numbers (chatter.peer->texts, CHATTER_MESSAGES);
  g_signal_handlers_disconnect_by_data (chatter.peer->socket, &chatter);
  chatter_stop (&chatter);
}

/* Who only sends does not keep everything that comes; and who listens later gets what was kept, and
 * then what the kernel has, in order. */
static void
test_stow_limit (UsockTest     *self,
                 gconstpointer  data)
{
  Chatter chatter = chatter_start ();
  UsockChannel *channel = USOCK_CHANNEL (chatter.peer->socket);
  guint64 before = 0;

  for (guint i = 0; i < CHATTER_MESSAGES; i++)
    {
      guint64 now;

      chatter_fill (&chatter);
      peer_send_or_fail (chatter.peer, "log");
      raw_drain (usock_socket_get_fd (USOCK_SOCKET (chatter.other->socket)), chatter.unheard);
      now = usock_channel_get_messages_read (channel);
      g_assert_cmpuint (now - before, <=, 1024);
      before = now;
    }
  g_assert_cmpuint (chatter.sent, ==, CHATTER_MESSAGES);
  g_assert_cmpuint (before, ==, CHATTER_MESSAGES);

  /* A thousand bytes each, and more than a megabyte of them. */
  for (guint i = 0; i < 5000; i++)
    {
      static const char block[1000];

      send (usock_socket_get_fd (USOCK_SOCKET (chatter.other->socket)), block, sizeof block,
            MSG_DONTWAIT);
      peer_send_or_fail (chatter.peer, "log");
      raw_drain (usock_socket_get_fd (USOCK_SOCKET (chatter.other->socket)), chatter.unheard);
    }
  g_assert_cmpuint (usock_channel_get_messages_read (channel), <, CHATTER_MESSAGES + 1200);
  g_assert_cmpuint (usock_channel_get_messages_read (channel), >, CHATTER_MESSAGES + 100);

  peer_listen (chatter.peer);
  usock_test_wait_until (chatter.peer->texts->len
                         >= usock_channel_get_messages_read (channel));
  g_ptr_array_set_size (chatter.peer->texts, CHATTER_MESSAGES);
  assert_numbers (chatter.peer->texts, CHATTER_MESSAGES);
  chatter_stop (&chatter);
}

typedef struct
{
  int fd;
  gint over; /* atomic */
} Flood;

static gpointer
flood (gpointer data)
{
  Flood *self = data;

  while (!g_atomic_int_get (&self->over))
    send (self->fd, "x", 1, MSG_DONTWAIT);
  return NULL;
}

/* A flood does not keep the sender. */

static void
test_stow_flood (UsockTest     *self,
                 gconstpointer  data)
{
  Chatter chatter = chatter_start ();
  UsockChannel *channel = USOCK_CHANNEL (chatter.peer->socket);
  Flood flooding = { usock_socket_get_fd (USOCK_SOCKET (chatter.other->socket)), FALSE };
  GThread *thread = g_thread_new ("flood", flood, &flooding);
  guint64 before = 0;

  for (guint i = 0; i < 100; i++)
    {
      guint64 now;

      peer_send_or_fail (chatter.peer, "log");
      now = usock_channel_get_messages_read (channel);
      g_assert_cmpuint (now - before, <=, 512 + 64);
      before = now;
      raw_drain (flooding.fd, chatter.unheard);
    }
  g_atomic_int_set (&flooding.over, TRUE);
  g_thread_join (thread);
  chatter_stop (&chatter);
}

/* The kernel names a socket that asks for credentials, and who has a name receives. */
static void
test_unread_named_by_kernel (UsockTest     *self,
                             gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "peer");
  int other = raw_new_bound (path);
  Peer *peer = peer_new ();
  struct sockaddr_un address;
  socklen_t length = sizeof address;
  g_autoptr (GError) wrong = NULL;

  usock_channel_set_pass_credentials (USOCK_CHANNEL (peer->socket), TRUE);
  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), path, &error));
  peer_send_or_fail (peer, "x");
  g_assert_cmpint (getsockname (usock_socket_get_fd (USOCK_SOCKET (peer->socket)),
                                (struct sockaddr *) &address, &length),
                   ==, 0);
  g_assert_cmpint (length, >, offsetof (struct sockaddr_un, sun_path));
  for (int i = 0; i < 3; i++)
    {
      char text[2] = { '0' + i, '\0' };

      g_assert_cmpint (
          sendto (other, text, 1, 0, (struct sockaddr *) &address, length), ==, 1);
    }
  close (other);
  g_assert_false (usock_channel_send_text (USOCK_CHANNEL (peer->socket), "x", &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  peer_listen (peer);
  usock_test_wait_until (peer->texts->len == 3);
  assert_numbers (peer->texts, 3);
  peer_free (peer);
}

/* What one peer left behind is not blamed on a message to another. */
static void
test_stale_reset (UsockTest     *self,
                  gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "peer");
  g_autofree char *own_path = usock_test_path (self, "own");
  g_autofree char *other_path = usock_test_path (self, "other");
  int other = raw_new_bound (path);
  int third = raw_new_bound (other_path);
  Peer *peer = peer_new_bound (own_path);

  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), path, &error));
  raw_connect (other, own_path);
  peer_send_or_fail (peer, "unread");
  raw_connect (other, other_path);
  peer_send_to_or_fail (peer, "to another", other_path);
  assert_received (third, "to another");
  g_assert_cmpuint (peer->failures, ==, 0);

  peer_free (peer);
  close (other);
  close (third);
}

/* Whoever is connected again keeps what came, and what is on its way. */
static void
test_retarget (UsockTest     *self,
               gconstpointer  data)
{
  g_autofree char *own_path = usock_test_path (self, "own");
  g_autofree char *first_path = usock_test_path (self, "first");
  g_autofree char *second_path = usock_test_path (self, "second");
  int first = raw_new_bound (first_path);
  int second = raw_new_bound (second_path);
  Peer *peer = peer_new_bound (own_path);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  guint n = room () + 19;

  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), first_path, &error));
  peer_send_numbers (peer, NULL, 0, n);
  usock_test_wait_until (peer->connects == 1);
  for (int i = 0; i < 5; i++)
    {
      g_autofree char *text = g_strdup_printf ("%d", i);

      raw_send_to (first, text, own_path);
    }
  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), second_path, &error));
  peer_send_or_fail (peer, "second");
  assert_received (second, "second");
  usock_test_wait_until (peer->connects == 2);

  peer_listen (peer);
  usock_test_wait_until (peer->texts->len == 5);
  assert_numbers (peer->texts, 5);
  for (raw_drain (first, texts); texts->len < n; raw_drain (first, texts))
    usock_test_iterate (usock_test_deadline (), "the old one");
  assert_numbers (texts, n);
  assert_received (second, NULL);
  g_assert_cmpuint (peer->failures, ==, 0);

  peer_free (peer);
  close (first);
  close (second);
}

/* An episode of the old peer ends too. */
static void
test_retarget_congested (UsockTest     *self,
                         gconstpointer  data)
{
  g_autofree char *first_path = usock_test_path (self, "first");
  g_autofree char *second_path = usock_test_path (self, "second");
  int first = raw_new_bound (first_path);
  int second = raw_new_bound (second_path);
  Peer *peer = peer_new_connected (first_path);

  peer_watch_congestion (peer);
  usock_channel_set_queue_limit (USOCK_CHANNEL (peer->socket), 0);
  peer_send_numbers (peer, NULL, 0, 0);
  usock_test_wait_until (peer->congestions == 1);
  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), second_path, &error));
  settle ();
  g_assert_cmpuint (peer->writables, ==, 0);
  raw_drain (first, NULL);
  usock_test_wait_until (peer->writables == 1);
  g_assert_cmpstr (peer->writable, ==, first_path);

  peer_free (peer);
  close (first);
  close (second);
}

/* The other end of a pair has no name: what waits for it must not go to somebody else. */
static void
test_retarget_pair (UsockTest     *self,
                    gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  UsockDgram *one, *other;
  Peer *first, *second;
  guint n, written;

  usock_test_no_error (usock_dgram_new_pair (&one, &other, &error));
  first = peer_wrap (one);
  second = peer_wrap (other);
  n = peer_send_numbers (first, NULL, 0, 1000);
  written = usock_channel_get_messages_written (USOCK_CHANNEL (one));
  g_assert_cmpuint (written, <, n);
  usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (one), path, &error));
  usock_test_wait_until (first->failures == n - written);
  assert_received (receiver, NULL);
  peer_send_or_fail (first, "x");
  /* What the other end had not read keeps our memory until it goes. */
  peer_free (second);
  usock_test_wait_until (usock_channel_get_queued_bytes (USOCK_CHANNEL (one)) == 0);
  assert_received (receiver, "x");

  peer_free (first);
  close (receiver);
}

/* Senders. */

static void
test_autobind (UsockTest     *self,
               gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "server");
  Peer *server = peer_new_bound (path);
  Peer *client = peer_new ();
  Peer *mute = peer_new ();
  g_autofree char *own = NULL;

  peer_listen (server);
  peer_listen (client);
  usock_test_no_error (usock_dgram_autobind (client->socket, &error));
  usock_test_wait_until (client->listenings == 1 && server->listenings == 1);
  own = usock_address_to_string (
      usock_socket_get_local_address (USOCK_SOCKET (client->socket)));
  g_assert_cmpint (own[0], ==, '@');

  for (guint i = 0; i < 100; i++)
    {
      peer_send_numbers (client, path, i, 1);
      usock_test_wait_until (server->texts->len == i + 1);
      g_assert_cmpstr (server->senders->pdata[i], ==, own);
      peer_send_numbers (server, server->senders->pdata[i], i, 1);
      usock_test_wait_until (client->texts->len == i + 1);
      g_assert_cmpstr (client->senders->pdata[i], ==, path);
    }
  assert_numbers (client->texts, 100);

  peer_send_to_or_fail (mute, "who am I", path);
  usock_test_wait_until (server->texts->len == 101);
  g_assert_null (server->senders->pdata[100]);

  peer_free (mute);
  peer_free (client);
  peer_free (server);
}

static void
check_sender (UsockTest  *self,
              Peer       *server,
              const char *server_path,
              const char *name,
              gsize       length,
              const char *text)
{
  /* Valgrind looks for the NUL behind a path of 108 bytes. */
  struct
  {
    struct sockaddr_un native;
    char nul;
  } address = { .native = { .sun_family = AF_UNIX } };
  int fd = raw_new (SOCK_DGRAM);
  g_autofree char *answer = NULL;
  guint n = server->texts->len;

  memcpy (address.native.sun_path, name, length);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address,
                           offsetof (struct sockaddr_un, sun_path) + length));
  raw_send_to (fd, "question", server_path);
  usock_test_wait_until (server->texts->len == n + 1);
  if (text != NULL)
    g_assert_cmpstr (server->senders->pdata[n], ==, text);
  peer_send_to_or_fail (server, "answer", server->senders->pdata[n]);
  answer = raw_receive (fd);
  g_assert_cmpstr (answer, ==, "answer");
  close (fd);
  if (name[0] != '\0')
    {
      g_autofree char *path = g_strndup (name, length);

      unlink (path);
    }
}

static void
check_sender_path (UsockTest  *self,
                   Peer       *server,
                   const char *server_path,
                   const char *name)
{
  g_autofree char *path = usock_test_path (self, name);

  check_sender (self, server, server_path, path, strlen (path), NULL);
}

static void
test_senders (UsockTest     *self,
              gconstpointer  data)
{
  g_autofree char *server_path = usock_test_path (self, "server");
  g_autofree char *filler = g_strnfill (200, 'x');
  g_autofree char *longest = usock_test_path (self, filler);
  Peer *server = peer_new_bound (server_path);
  char all[108] = { 0 };

  peer_listen (server);
  check_sender_path (self, server, server_path, "plain");
  check_sender_path (self, server, server_path, ";uid=0;");
  check_sender_path (self, server, server_path, "new\nline");
  check_sender_path (self, server, server_path, "invalid \xff\xfe UTF-8");
  check_sender_path (self, server, server_path, "back\\x41slash");
  check_sender_path (self, server, server_path, "127.0.0.1:80");
  check_sender (self, server, server_path, longest, 108, NULL);
  check_sender (self, server, server_path, longest, 107, NULL);
  check_sender (self, server, server_path, "\0usock-test\0with\0NULs\0", 22,
                "@usock-test\\x00with\\x00NULs\\x00");
  check_sender (self, server, server_path, "\0usock-test;uid=0;", 18, "@usock-test;uid=0;");
  check_sender (self, server, server_path, "\0usock-test\xff\n\\", 14,
                "@usock-test\\xff\\x0a\\\\");
  for (guint i = 1; i < sizeof all; i++)
    all[i] = i * 3;
  check_sender (self, server, server_path, all, sizeof all, NULL);

  peer_free (server);
}

static char *
long_path (UsockTest  *self,
           const char *name,
           guint       depth)
{
  GString *path = g_string_new (self->directory);

  for (guint i = 0; i < depth; i++)
    g_string_append_printf (path, "/%s", "a-directory-with-quite-a-long-name-so-that-it-adds-up");
  g_assert_no_errno (g_mkdir_with_parents (path->str, 0700));
  g_string_append_printf (path, "/%s", name);
  return g_string_free (path, FALSE);
}

static void
test_long_paths (UsockTest     *self,
                 gconstpointer  data)
{
  g_autofree char *path = long_path (self, "receiver with \\ and \n", 5);
  g_autofree char *text = g_strdup (path);
  g_auto (GStrv) parts = g_strsplit (path, "\\", -1);
  g_autofree char *escaped = g_strjoinv ("\\\\", parts);
  Peer *receiver = peer_new_bound (path);
  Peer *unconnected = peer_new ();
  Peer *connected = peer_new_connected (path);
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("b");
  Outcome outcome = { .order = g_string_new (NULL) };
  Call *call = g_new (Call, 1);
  guint n = room () + 89;
  Peer *late;

  *call = (Call) { &outcome, 'b', TRUE };
  g_assert_cmpuint (strlen (path), >, 200);
  peer_listen (receiver);
  peer_watch_congestion (unconnected);
  peer_watch_congestion (connected);
  peer_send_numbers (unconnected, escaped, 0, n);
  usock_test_wait_until (receiver->texts->len == n);
  usock_test_wait_until (unconnected->writables > 0);
  /* What the signals say can be sent to. */
  peer_send_numbers (unconnected, unconnected->congested, n, 1);
  usock_test_wait_until (receiver->texts->len == n + 1);
  peer_send_numbers (connected, NULL, n + 1, n);
  usock_test_wait_until (receiver->texts->len == 2 * n + 1);
  assert_numbers (receiver->texts, 2 * n + 1);
  usock_dgram_send_message_to_text_async (unconnected->socket, message, escaped, NULL, send_done,
                                          call);
  usock_test_wait_until (receiver->texts->len == 2 * n + 2);
  usock_test_wait_until (outcome.n_done == 1);
  g_assert_cmpstr (outcome.order->str, ==, "b");
  g_string_free (outcome.order, TRUE);

  /* Nobody else can use the name that the kernel has for it. */
  late = peer_new ();
  peer_listen (late);
  usock_test_no_error (usock_dgram_autobind (late->socket, &error));
  text = (g_free (text), usock_address_to_string (usock_socket_get_local_address (
                             USOCK_SOCKET (late->socket))));
  peer_send_to_or_fail (receiver, "hello", text);
  usock_test_wait_until (late->texts->len == 1);
  g_assert_null (late->senders->pdata[0]);

  peer_free (late);
  peer_free (unconnected);
  peer_free (connected);
  peer_free (receiver);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

/* A relative path is fixed when it is used, each time. */
static void
test_relative_path (UsockTest     *self,
                    gconstpointer  data)
{
  g_autofree char *before = g_get_current_dir ();
  g_autofree char *first_dir = usock_test_path (self, "1");
  g_autofree char *second_dir = usock_test_path (self, "2");
  g_autofree char *first_path = usock_test_path (self, "1/receiver");
  g_autofree char *second_path = usock_test_path (self, "2/receiver");
  Peer *peer = peer_new ();
  int first, second;

  g_mkdir_with_parents (first_dir, 0700);
  g_mkdir_with_parents (second_dir, 0700);
  first = raw_new_bound (first_path);
  second = raw_new_bound (second_path);
  g_assert_no_errno (chdir (first_dir));
  peer_send_to_or_fail (peer, "1", "receiver");
  g_assert_no_errno (chdir (second_dir));
  peer_send_to_or_fail (peer, "2", "receiver");
  g_assert_no_errno (chdir (before));
  assert_received (first, "1");
  assert_received (second, "2");

  peer_free (peer);
  close (first);
  close (second);
}

/* Messages. */

typedef struct
{
  GPtrArray *messages;
} Collection;

static void
collect (Collection   *collection,
         UsockMessage *message)
{
  g_ptr_array_add (collection->messages, usock_message_ref (message));
}

static UsockMessage *
collection_get (Collection *collection,
                guint       index)
{
  return collection->messages->pdata[index];
}

static void
test_sizes (UsockTest     *self,
            gconstpointer  data)
{
  static const gsize sizes[] = { 0, 1, 0, 65536, 212992 - 32, 212992, 1024 * 1024, MESSAGE_MAX, 0 };
  g_autofree char *path = usock_test_path (self, "receiver");
  Peer *receiver = peer_new_bound (path);
  Collection collection = { g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref) };
  Peer *sender = peer_new ();
  g_autofree guint8 *block = g_malloc (MESSAGE_MAX + 1);
  g_autoptr (GError) wrong = NULL;

  g_object_set (receiver->socket, "read-buffer-size", MESSAGE_MAX, NULL);
  for (gsize i = 0; i < MESSAGE_MAX + 1; i++)
    block[i] = i * 7 + (i >> 12);
  g_signal_connect_swapped (receiver->socket, "message", G_CALLBACK (collect), &collection);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    usock_test_no_error (
        usock_dgram_send_to (sender->socket, block, sizes[i], path, &error));
  g_assert_false (
      usock_dgram_send_to (sender->socket, block, MESSAGE_MAX + 1, path, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
  usock_test_no_error (usock_dgram_send_to (sender->socket, block, 5, path, &error));

  usock_test_wait_until (collection.messages->len == G_N_ELEMENTS (sizes) + 1);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      gsize length;
      const guint8 *bytes = usock_message_get_data (collection_get (&collection, i), &length);

      g_assert_cmpmem (bytes, length, block, sizes[i]);
      g_assert_cmpint (usock_message_get_flags (collection_get (&collection, i)), ==, 0);
    }

  g_ptr_array_unref (collection.messages);
  g_signal_handlers_disconnect_by_data (receiver->socket, &collection);
  peer_free (sender);
  peer_free (receiver);
}

static void
test_truncated (UsockTest     *self,
                gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  Peer *receiver = peer_new_bound (path);
  Collection collection = { g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref) };
  Peer *sender = peer_new ();

  usock_channel_set_read_buffer_size (USOCK_CHANNEL (receiver->socket), 4);
  g_signal_connect_swapped (receiver->socket, "message", G_CALLBACK (collect), &collection);
  peer_send_to_or_fail (sender, "1234", path);
  peer_send_to_or_fail (sender, "12345", path);
  peer_send_to_or_fail (sender, "1", path);
  usock_test_wait_until (collection.messages->len == 3);
  g_assert_cmpint (usock_message_get_flags (collection_get (&collection, 0)), ==, 0);
  g_assert_cmpint (usock_message_get_flags (collection_get (&collection, 1)), ==,
                   USOCK_MESSAGE_FLAGS_TRUNCATED);
  g_assert_cmpuint (usock_message_get_length (collection_get (&collection, 1)), ==, 4);
  g_assert_cmpuint (usock_message_get_full_length (collection_get (&collection, 1)), ==, 5);
  g_assert_cmpint (usock_message_get_flags (collection_get (&collection, 2)), ==, 0);

  /* Who takes bytes alone could not tell: it is dropped, and the socket goes on. */
  g_signal_handlers_disconnect_by_data (receiver->socket, &collection);
  peer_listen (receiver);
  peer_send_to_or_fail (sender, "12345", path);
  peer_send_to_or_fail (sender, "1", path);
  usock_test_wait_until (receiver->texts->len == 1);
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (receiver->socket)), ==, EMSGSIZE);
  g_assert_cmpuint (receiver->errors + receiver->closes, ==, 0);

  g_ptr_array_unref (collection.messages);
  peer_free (sender);
  peer_free (receiver);
}

static void
check_nul (Peer       *peer,
           GByteArray *bytes)
{
  g_assert_cmpint (bytes->data[bytes->len], ==, '\0');
  peer_datagram (peer, bytes, NULL);
  usock_channel_pause (USOCK_CHANNEL (peer->socket));
}

/* A NUL stands behind the bytes, also if they were read a turn before. */
static void
test_nul (UsockTest     *self,
          gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  Peer *receiver = peer_new_bound (path);
  Peer *sender = peer_new ();

  g_signal_connect_swapped (receiver->socket, "data", G_CALLBACK (check_nul), receiver);
  for (guint i = 1; i <= 40; i++)
    {
      peer_send_numbers (sender, path, i - 1, 1);
      if (i % 10 > 0)
        continue;
      while (receiver->texts->len < i)
        {
          usock_channel_resume (USOCK_CHANNEL (receiver->socket));
          usock_test_iterate (usock_test_deadline (), "data");
        }
    }
  assert_numbers (receiver->texts, 40);

  peer_free (sender);
  peer_free (receiver);
}

static UsockMessage *
message_with_pipe (const char *text,
                   int        *other_end)
{
  UsockMessage *message = usock_message_new_from_text (text);
  int fds[2];

  g_assert_no_errno (pipe2 (fds, O_CLOEXEC | O_NONBLOCK));
  usock_test_no_error (usock_message_append_fd_owned (message, fds[1], &error));
  *other_end = fds[0];
  return message;
}

static gboolean
pipe_is_alone (int fd)
{
  char byte;

  return read (fd, &byte, 1) == 0;
}

static void
test_descriptors (UsockTest     *self,
                  gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autofree char *full_path = usock_test_path (self, "full");
  g_autoptr (GSocketAddress) address = usock_address_parse (path, NULL);
  g_autoptr (GSocketAddress) full_address = usock_address_parse (full_path, NULL);
  Peer *receiver = peer_new ();
  Collection collection = { g_ptr_array_new_with_free_func ((GDestroyNotify) usock_message_unref) };
  Peer *sender = peer_new ();
  int full = raw_new_bound (full_path);
  int ends[20];
  GCredentials *credentials;

  usock_channel_set_max_fds (USOCK_CHANNEL (receiver->socket), 2);
  usock_channel_set_pass_credentials (USOCK_CHANNEL (receiver->socket), TRUE);
  usock_test_no_error (usock_dgram_bind_to_path (receiver->socket, path, &error));
  g_signal_connect_swapped (receiver->socket, "message", G_CALLBACK (collect), &collection);

  /* An empty message may carry one too. */
  for (guint i = 0; i < 2; i++)
    {
      UsockMessage *message = message_with_pipe (i == 0 ? "" : "x", &ends[i]);

      usock_test_no_error (
          usock_dgram_send_message_to (sender->socket, message, address, &error));
      usock_message_unref (message);
    }
  usock_test_wait_until (collection.messages->len == 2);
  g_assert_cmpuint (usock_message_get_length (collection_get (&collection, 0)), ==, 0);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpuint (usock_message_get_n_fds (collection_get (&collection, i)), ==, 1);
      usock_test_spin_until (pipe_is_alone (ends[i]));
      close (ends[i]);
      credentials = usock_message_get_credentials (collection_get (&collection, i));
      g_assert_nonnull (credentials);
      g_assert_cmpint (g_credentials_get_unix_pid (credentials, NULL), ==, getpid ());
    }

  /* What waits is closed with the socket. */
  raw_fill (full_path);
  for (guint i = 0; i < 20; i++)
    {
      UsockMessage *message = message_with_pipe ("x", &ends[i]);

      usock_test_no_error (
          usock_dgram_send_message_to (sender->socket, message, full_address, &error));
      usock_message_unref (message);
    }
  settle ();
  g_assert_false (pipe_is_alone (ends[19]));
  peer_free (sender);
  usock_test_spin_until (pipe_is_alone (ends[19]));
  close (full);
  for (guint i = 0; i < 20; i++)
    {
      usock_test_spin_until (pipe_is_alone (ends[i]));
      close (ends[i]);
    }

  g_ptr_array_unref (collection.messages);
  g_signal_handlers_disconnect_by_data (receiver->socket, &collection);
  peer_free (receiver);
}

static void
test_to_all (UsockTest     *self,
             gconstpointer  data)
{
  g_autofree char *first_path = usock_test_path (self, "first");
  g_autofree char *second_path = usock_test_path (self, "second");
  g_autofree char *missing = usock_test_path (self, "missing");
  const char *some[] = { first_path, missing, second_path, NULL };
  const char *none[] = { missing, "", NULL };
  const char *nobody[] = { NULL };
  int first = raw_new_bound (first_path);
  int second = raw_new_bound (second_path);
  Peer *peer = peer_new ();
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("all");
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (usock_dgram_send_message_to_all (peer->socket, message, some, &error), ==, 2);
  g_assert_no_error (error);
  assert_received (first, "all");
  assert_received (second, "all");
  g_assert_cmpuint (usock_dgram_send_message_to_all (peer->socket, message, nobody, &error), ==,
                    0);
  g_assert_no_error (error);
  g_assert_cmpuint (usock_dgram_send_message_to_all (peer->socket, message, none, &error), ==, 0);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);

  peer_free (peer);
  close (first);
  close (second);
}

/* UDP. */

static char *
local_text (Peer *peer)
{
  return usock_address_to_string (usock_socket_get_local_address (USOCK_SOCKET (peer->socket)));
}

static void
check_udp (const char *any)
{
  g_autoptr (GSocketAddress) address = usock_address_parse (any, NULL);
  g_autofree char *server_text = NULL;
  g_autofree char *dead_text = NULL;
  g_autofree guint8 *block = g_malloc0 (70000);
  g_autoptr (GSocketAddress) server_address = NULL;
  g_autoptr (GError) wrong = NULL;
  Peer *server = peer_new ();
  Peer *dead = peer_new ();
  Peer *client = peer_new ();

  peer_listen (server);
  peer_listen (client);
  usock_test_no_error (usock_dgram_bind_to_address (server->socket, address, &error));
  usock_test_no_error (usock_dgram_bind_to_address (dead->socket, address, &error));
  server_text = local_text (server);
  dead_text = local_text (dead);
  peer_free (dead);

  peer_send_to_or_fail (client, "question", server_text);
  usock_test_wait_until (server->texts->len == 1);
  peer_send_to_or_fail (server, "answer", server->senders->pdata[0]);
  usock_test_wait_until (client->texts->len == 1);
  g_assert_cmpstr (client->senders->pdata[0], ==, server_text);
  usock_test_no_error (usock_dgram_send_to (client->socket, NULL, 0, server_text, &error));
  usock_test_wait_until (server->texts->len == 2);
  g_assert_cmpstr (server->texts->pdata[1], ==, "");
  g_assert_false (usock_dgram_send_to (client->socket, block, 70000, server_text, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
  g_clear_error (&wrong);

  /* An answer that nobody is there is no reason to close, nor to lose the next message. */
  address = (g_object_unref (address), usock_address_parse (dead_text, NULL));
  usock_test_no_error (
      usock_channel_connect_to_address (USOCK_CHANNEL (client->socket), address, &error));
  for (int i = 0; i < 5; i++)
    {
      usock_channel_send_text (USOCK_CHANNEL (client->socket), "nobody", NULL);
      peer_send_to_or_fail (client, "in between", server_text);
      usock_test_wait_until (server->texts->len == 3 + (guint) i);
    }
  server_address = usock_address_parse (server_text, NULL);
  usock_test_no_error (
      usock_channel_connect_to_address (USOCK_CHANNEL (client->socket), server_address, &error));
  peer_send_or_fail (client, "still here");
  usock_test_wait_until (server->texts->len == 8);
  g_assert_cmpuint (client->errors + server->errors, ==, 0);
  g_assert_cmpuint (client->closes + server->closes, ==, 0);

  peer_free (client);
  peer_free (server);
}

static void
test_udp (UsockTest     *self,
          gconstpointer  data)
{
  check_udp ("127.0.0.1:0");
}

static void
test_udp6 (UsockTest     *self,
           gconstpointer  data)
{
  if (!g_file_test ("/proc/net/if_inet6", G_FILE_TEST_EXISTS))
    {
      g_test_skip ("There is no IPv6 here");
      return;
    }
  check_udp ("[::1]:0");
}

static void
test_buffer_sizes (UsockTest     *self,
                   gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  Peer *peer = peer_new ();
  guint size;

  g_assert_cmpuint (usock_dgram_get_receive_buffer_size (peer->socket), ==, 0);
  usock_dgram_set_receive_buffer_size (peer->socket, 20000);
  usock_dgram_set_send_buffer_size (peer->socket, 30000);
  g_object_get (peer->socket, "receive-buffer-size", &size, NULL);
  g_assert_cmpuint (size, ==, 20000);
  usock_test_no_error (usock_dgram_bind_to_path (peer->socket, path, &error));
  g_object_get (peer->socket, "receive-buffer-size", &size, NULL);
  g_assert_cmpuint (size, ==, 40000);
  g_object_get (peer->socket, "send-buffer-size", &size, NULL);
  g_assert_cmpuint (size, ==, 60000);
  g_object_set (peer->socket, "send-buffer-size", 50000, "receive-buffer-size", 60000, NULL);
  g_assert_cmpuint (usock_dgram_get_send_buffer_size (peer->socket), ==, 100000);
  g_assert_cmpuint (usock_dgram_get_receive_buffer_size (peer->socket), ==, 120000);

  peer_free (peer);
}

/* Descriptors of others. */

static void
test_from_fd (UsockTest     *self,
              gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autofree char *later = usock_test_path (self, "later");
  g_autoptr (GError) wrong = NULL;
  struct stat info;
  Peer *peer;
  int fd = raw_new_bound (path);
  int sender = raw_new (SOCK_DGRAM);

  g_assert_null (usock_dgram_new_from_fd (-1, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&wrong);
  g_assert_null (usock_dgram_new_from_fd (self->pair[0], &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&wrong);
  g_assert_cmpint (fcntl (self->pair[0], F_GETFD), ==, FD_CLOEXEC);

  raw_send_to (sender, "before", path);
  peer = peer_wrap (usock_dgram_new_from_fd (fd, &wrong));
  g_assert_no_error (wrong);
  peer_listen (peer);
  usock_test_wait_until (peer->texts->len == 1);
  g_assert_cmpstr (peer->texts->pdata[0], ==, "before");
  g_assert_false (usock_dgram_bind_to_path (peer->socket, later, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&wrong);
  peer_free (peer);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));

  /* One that has no name yet can be bound like any other. */
  close (raw_new_bound (later));
  peer = peer_wrap (usock_dgram_new_from_fd (sender, &wrong));
  g_assert_no_error (wrong);
  usock_dgram_set_mode (peer->socket, 0622);
  usock_test_no_error (usock_dgram_bind_to_path (peer->socket, later, &error));
  g_assert_no_errno (stat (later, &info));
  g_assert_cmpint (info.st_mode & 07777, ==, 0622);
  peer_free (peer);
  g_assert_false (g_file_test (later, G_FILE_TEST_EXISTS));
}

static void
test_from_connected_fd (UsockTest     *self,
                        gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  int fd = raw_new (SOCK_DGRAM);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  Peer *peer;

  raw_connect (fd, path);
  peer = peer_wrap (usock_dgram_new_from_fd (fd, NULL));
  peer_send_numbers (peer, NULL, 0, 100);
  for (raw_drain (receiver, texts); texts->len < 100; raw_drain (receiver, texts))
    usock_test_iterate (usock_test_deadline (), "room");
  assert_numbers (texts, 100);
  peer_free (peer);
  close (receiver);
}

static void
test_bind (UsockTest     *self,
           gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autofree char *file = usock_test_path (self, "file");
  Peer *first = peer_new ();
  Peer *second = peer_new ();
  g_autoptr (GError) wrong = NULL;
  struct stat info;
  mode_t mask;

  close (raw_new_bound (path));
  mask = umask (0777);
  usock_dgram_set_mode (first->socket, 0620);
  usock_test_no_error (usock_dgram_bind_to_path (first->socket, path, &error));
  umask (mask);
  g_assert_no_errno (stat (path, &info));
  g_assert_cmpint (info.st_mode & 07777, ==, 0620);
  usock_test_wait_until (first->listenings == 1);

  g_assert_false (usock_dgram_bind_to_path (second->socket, path, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  g_clear_error (&wrong);
  g_assert_true (g_file_set_contents (file, "x", 1, NULL));
  g_assert_false (usock_dgram_bind_to_path (second->socket, file, &wrong));
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  g_clear_error (&wrong);
  g_assert_true (g_file_test (file, G_FILE_TEST_IS_REGULAR));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (second->socket)), ==, USOCK_STATE_NEW);

  peer_free (first);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_object_set (second->socket, "unlink-on-close", FALSE, NULL);
  usock_test_no_error (usock_dgram_bind_to_path (second->socket, path, &error));
  peer_free (second);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
}

/* Ending. */

static void
closed_gracefully (GObject      *object,
                   GAsyncResult *result,
                   gpointer      user_data)
{
  usock_test_no_error (
      usock_channel_close_gracefully_finish (USOCK_CHANNEL (object), result, &error));
  (*(guint *) user_data)++;
}

static void
test_close_gracefully (UsockTest     *self,
                       gconstpointer  data)
{
  g_autofree char *own_path = usock_test_path (self, "own");
  g_autofree char *first_path = usock_test_path (self, "first");
  g_autofree char *second_path = usock_test_path (self, "second");
  int first = raw_new_bound (first_path);
  int second = raw_new_bound (second_path);
  Peer *peer = peer_new_bound (own_path);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  guint n_foreign = raw_fill (first_path);
  guint n_done = 0;

  peer_listen (peer);
  peer_send_numbers (peer, first_path, 0, 40);
  peer_send_numbers (peer, second_path, 0, 2);
  raw_send_to (first, "0", own_path);
  usock_channel_close_gracefully_async (USOCK_CHANNEL (peer->socket), -1, NULL, closed_gracefully,
                                        &n_done);
  settle ();
  g_assert_cmpuint (n_done, ==, 0);
  g_assert_cmpuint (peer->texts->len, ==, 1);
  for (raw_drain (first, texts); n_done == 0; raw_drain (first, texts))
    usock_test_iterate (usock_test_deadline (), "the end");
  raw_drain (first, texts);
  g_ptr_array_remove_range (texts, 0, n_foreign);
  assert_numbers (texts, 40);
  g_assert_cmpuint (raw_drain (second, NULL), ==, 2);
  usock_test_wait_until (peer->closes == 1);
  g_assert_cmpuint (peer->errors, ==, 0);
  g_assert_false (g_file_test (own_path, G_FILE_TEST_EXISTS));

  peer_free (peer);
  close (first);
  close (second);
}

/* What was put aside before a send is delivered before the end. */
static void
test_close_gracefully_with_inbox (UsockTest     *self,
                                  gconstpointer  data)
{
  enum { N = 600 };
  g_autofree char *path = usock_test_path (self, "peer");
  g_autofree char *own_path = usock_test_path (self, "own");
  int other = raw_new_bound (path);
  Peer *peer = peer_new_bound (own_path);
  guint n_done = 0;

  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), path, &error));
  for (int i = 0; i < N; i++)
    {
      g_autofree char *text = g_strdup_printf ("%d", i);

      raw_send_to (other, text, own_path);
      peer_send_or_fail (peer, "x");
      assert_received (other, "x");
    }
  peer_listen (peer);
  usock_channel_close_gracefully_async (USOCK_CHANNEL (peer->socket), -1, NULL, closed_gracefully,
                                        &n_done);
  usock_test_wait_until (n_done == 1);
  assert_numbers (peer->texts, N);

  peer_free (peer);
  close (other);
}

static void
test_end (UsockTest     *self,
          gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autofree char *own_path = usock_test_path (self, "own");
  int receiver = raw_new_bound (path);
  Peer *peer = peer_new_bound (own_path);
  g_autoptr (GError) error = NULL;
  guint n = 0;

  peer_listen (peer);
  peer_send_numbers (peer, path, 0, room () + 9);
  usock_channel_end (USOCK_CHANNEL (peer->socket));
  g_assert_false (peer_send_to (peer, "x", path, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  while ((n += raw_drain (receiver, NULL)) < room () + 9)
    usock_test_iterate (usock_test_deadline (), "room");
  raw_send_to (receiver, "still read", own_path);
  usock_test_wait_until (peer->texts->len == 1);
  g_assert_cmpuint (count_turns (100), ==, 0);
  g_assert_cmpuint (peer->closes, ==, 0);

  peer_free (peer);
  close (receiver);
}

/* close() tries once more, also whom it waited for. */
static void
test_close_flushes (UsockTest     *self,
                    gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *peer = peer_new ();
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);

  peer_send_numbers (peer, path, 0, room () + 1);
  settle ();
  raw_drain (receiver, texts);
  peer_free (peer);
  raw_drain (receiver, texts);
  assert_numbers (texts, room () + 1);
  close (receiver);
}

/* A message that fails on the way out is told of before the end. */
static void
check_close_and_fail (UsockTest *self,
                      gboolean   gracefully)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *peer = peer_new ();
  guint n_done = 0;

  raw_fill (path);
  peer_send_numbers (peer, path, 0, 3);
  if (gracefully)
    usock_channel_close_gracefully_async (USOCK_CHANNEL (peer->socket), -1, NULL,
                                          closed_gracefully, &n_done);
  settle ();
  close (receiver);
  if (!gracefully)
    usock_socket_close (USOCK_SOCKET (peer->socket));
  usock_test_wait_until (peer->closes == 1);
  g_assert_cmpuint (n_done, ==, gracefully);
  g_assert_cmpuint (peer->failures, ==, 3);
  g_assert_cmpstr (peer->failed, ==, path);

  peer_free (peer);
  unlink (path);
}

static void
test_close_and_fail (UsockTest     *self,
                     gconstpointer  data)
{
  check_close_and_fail (self, FALSE);
  check_close_and_fail (self, TRUE);
}

static void
close_on_congestion (UsockDgram *socket)
{
  usock_socket_close (USOCK_SOCKET (socket));
}

static void
test_close_in_handler (UsockTest     *self,
                       gconstpointer  data)
{
  static const char *const signals[] = { "congestion", "writable", "send-failed", "listening" };
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autofree char *own_path = usock_test_path (self, "own");

  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      int receiver = raw_new_bound (path);
      Peer *peer = peer_new_bound (own_path);

      g_signal_connect (peer->socket, signals[i], G_CALLBACK (close_on_congestion), NULL);
      peer_send_numbers (peer, path, 0, room () + 4);
      if (i > 0)
        settle ();
      if (i == 1)
        raw_drain (receiver, NULL);
      close (receiver);
      usock_test_wait_until (peer->closes == 1);
      peer_free (peer);
      unlink (path);
    }
}

static void
close_and_count (UsockDgram *socket,
                 gpointer    value,
                 gpointer    data)
{
  guint *n = g_object_get_data (G_OBJECT (socket), "n");

  (*n)++;
  usock_socket_close (USOCK_SOCKET (socket));
}

static void
close_on_datagram (UsockDgram *socket,
                   GByteArray *bytes,
                   const char *sender)
{
  close_and_count (socket, NULL, NULL);
}

/* What comes after it is nobody's any more. */
static void
test_close_while_receiving (UsockTest     *self,
                            gconstpointer  data)
{
  static const struct
  {
    const char *signal;
    GCallback callback;
  } cases[] = {
    { "datagram", G_CALLBACK (close_on_datagram) },
    { "data", G_CALLBACK (close_and_count) },
    { "message", G_CALLBACK (close_and_count) },
  };
  g_autofree char *own_path = usock_test_path (self, "own");

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      Peer *peer = peer_new_bound (own_path);
      guint n = 0;
      int other = raw_new (SOCK_DGRAM);

      g_object_set_data (G_OBJECT (peer->socket), "n", &n);
      g_signal_connect (peer->socket, cases[i].signal, cases[i].callback, NULL);
      raw_send_to (other, "1", own_path);
      raw_send_to (other, "2", own_path);
      usock_test_wait_until (peer->closes == 1);
      g_assert_cmpuint (n, ==, 1);
      g_assert_cmpuint (peer->errors, ==, 0);
      peer_free (peer);
      close (other);
    }
}

static void
reconnect_on_congestion (UsockDgram *socket,
                         const char *destination,
                         const char *path)
{
  usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (socket), path, &error));
}

/* The new peer was never congested. The old one still is. */
static void
test_connect_in_handler (UsockTest     *self,
                         gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  g_autofree char *other_path = usock_test_path (self, "other");
  int receiver = raw_new_bound (path);
  int other = raw_new_bound (other_path);
  guint n_foreign = raw_fill (path);
  Peer *peer = peer_new_connected (path);
  guint n = 0;

  peer_watch_congestion (peer);
  g_signal_connect (peer->socket, "congestion", G_CALLBACK (reconnect_on_congestion), other_path);
  peer_send_numbers (peer, NULL, 0, 4);
  usock_test_wait_until (peer->congestions == 1);
  settle ();
  g_assert_cmpuint (peer->writables, ==, 0);
  peer_send_or_fail (peer, "x");
  assert_received (other, "x");

  while ((n += raw_drain (receiver, NULL)) < n_foreign + 4)
    usock_test_iterate (usock_test_deadline (), "room");
  usock_test_wait_until (peer->writables == 1);
  g_assert_cmpstr (peer->writable, ==, path);

  peer_free (peer);
  close (receiver);
  close (other);
}

typedef struct
{
  Peer *peer;
  int receiver;
} Nest;

static void
nest_on_congestion (Nest *nest)
{
  while (nest->peer->writables == 0)
    {
      raw_drain (nest->receiver, NULL);
      usock_test_iterate (usock_test_deadline (), "the end of the episode");
    }
}

/* An episode that ends in a loop which its own handler runs ends once. */
static void
test_nested_loop (UsockTest     *self,
                  gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  Nest nest = { peer_new (), raw_new_bound (path) };

  raw_fill (path);
  peer_watch_congestion (nest.peer);
  g_signal_connect_swapped (nest.peer->socket, "congestion", G_CALLBACK (nest_on_congestion),
                            &nest);
  peer_send_numbers (nest.peer, path, 0, 4);
  usock_test_wait_until (nest.peer->writables == 1);
  settle ();
  g_assert_cmpuint (nest.peer->congestions, ==, 1);
  g_assert_cmpuint (nest.peer->writables, ==, 1);

  peer_free (nest.peer);
  close (nest.receiver);
}

/* Whether it goes by the connection or by the name, and through connecting again. Each free place
 * would let the next message in before those that wait. */
static void
test_order_of_ways (UsockTest     *self,
                    gconstpointer  data)
{
  enum { N = 60 };
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  guint n_foreign = raw_fill (path);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  Peer *peer = peer_new ();

  peer_send_numbers (peer, path, 0, 2);
  for (guint i = 2; i < N; i++)
    {
      char *text = raw_receive (receiver);

      if (text != NULL)
        g_ptr_array_add (texts, text);
      if (i % 10 == 2)
        usock_test_no_error (
            usock_channel_connect_to_path (USOCK_CHANNEL (peer->socket), path, &error));
      peer_send_numbers (peer, i % 3 == 0 ? path : NULL, i, 1);
      if (i % 7 == 0)
        settle ();
    }
  for (raw_drain (receiver, texts); texts->len < n_foreign + N; raw_drain (receiver, texts))
    usock_test_iterate (usock_test_deadline (), "the last ones");
  g_ptr_array_remove_range (texts, 0, n_foreign);
  assert_numbers (texts, N);

  peer_free (peer);
  close (receiver);
}

/* A receiver that does not read for send-timeout loses what waits for it, and nobody else. */
static void
test_send_timeout (UsockTest     *self,
                   gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *peer = peer_new ();

  peer_watch_congestion (peer);
  usock_channel_set_send_timeout (USOCK_CHANNEL (peer->socket), 50);
  peer_send_numbers (peer, path, 0, room () + 4);
  usock_test_wait_until (peer->failures > 0);
  g_assert_error (peer->failure, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpstr (peer->failed, ==, path);
  settle ();
  g_assert_cmpuint (peer->writables, ==, 0);
  g_assert_cmpuint (usock_channel_get_queued_bytes (USOCK_CHANNEL (peer->socket)), ==, 0);
  g_assert_cmpuint (count_turns (200), ==, 0);
  raw_drain (receiver, NULL);
  usock_test_wait_until (peer->writables == 1);
  peer_send_to_or_fail (peer, "again", path);
  assert_received (receiver, "again");

  peer_free (peer);
  close (receiver);
}

/* Also what waits already when that is set. */
static void
test_send_timeout_is_set (UsockTest     *self,
                          gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);
  Peer *peer = peer_new ();
  gint64 deadline;

  peer_watch_congestion (peer);
  usock_channel_set_send_timeout (USOCK_CHANNEL (peer->socket), 0);
  peer_send_numbers (peer, path, 0, room () + 4);
  settle ();
  g_assert_cmpuint (peer->failures, ==, 0);
  usock_channel_set_send_timeout (USOCK_CHANNEL (peer->socket), 50);
  /* Sooner than it would look anyway, after three seconds, whether the path is still the same. */
  deadline = g_get_monotonic_time () + 2 * G_USEC_PER_SEC;
  while (peer->failures == 0)
    usock_test_iterate (deadline, "what waits too long");
  g_assert_error (peer->failure, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpstr (peer->failed, ==, path);

  peer_free (peer);
  close (receiver);
}

/* Who listens to messages gets them beside who listens to datagrams. */
static void
test_message_and_datagram (UsockTest     *self,
                           gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  Peer *receiver = peer_new_bound (path);
  Peer *sender = peer_new ();
  guint n_messages = 0;

  peer_listen (receiver);
  g_signal_connect_swapped (receiver->socket, "message", G_CALLBACK (count), &n_messages);
  peer_send_to_or_fail (sender, "one", path);
  peer_send_to_or_fail (sender, "two", path);
  usock_test_wait_until (receiver->texts->len == 2);
  g_assert_cmpuint (n_messages, ==, 2);

  peer_free (sender);
  peer_free (receiver);
}

/* The context goes while sockets wait in it. */
static gpointer
leave_waiting (gpointer data)
{
  const char *path = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  UsockDgram *socket;

  g_main_context_push_thread_default (context);
  socket = usock_dgram_new ();
  for (int i = 0; i < 20; i++)
    usock_test_no_error (
        usock_dgram_send_to (socket, (const guint8 *) "x", 1, path, &error));
  settle ();
  g_object_unref (socket);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_context_goes (UsockTest     *self,
                   gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "receiver");
  int receiver = raw_new_bound (path);

  for (int i = 0; i < 10; i++)
    g_thread_join (g_thread_new ("waiting", leave_waiting, path));
  close (receiver);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/dgram/order", test_order);
  usock_test_add ("/usock/dgram/order-of-ways", test_order_of_ways);
  usock_test_add ("/usock/dgram/blocked", test_blocked);
  usock_test_add ("/usock/dgram/congestion", test_congestion);
  usock_test_add ("/usock/dgram/drain", test_drain);
  usock_test_add ("/usock/dgram/idle", test_idle);
  usock_test_add ("/usock/dgram/neighbours", test_neighbours);
  usock_test_add ("/usock/dgram/neighbour-holds-memory", test_neighbour_holds_memory);
  usock_test_add ("/usock/dgram/neighbours-hold-all-memory", test_neighbours_hold_all_memory);
  usock_test_add ("/usock/dgram/neighbours-fill-memory", test_neighbours_fill_memory);
  usock_test_add ("/usock/dgram/neighbour-is-the-peer", test_neighbour_is_the_peer);
  usock_test_add ("/usock/dgram/peer-reads-neighbour-holds-memory",
                  test_peer_reads_neighbour_holds_memory);
  usock_test_add ("/usock/dgram/small-send-buffer", test_small_send_buffer);
  usock_test_add ("/usock/dgram/crowd", test_crowd);
  usock_test_add ("/usock/dgram/cancel", test_cancel);
  usock_test_add ("/usock/dgram/async-errors", test_async_errors);
  usock_test_add ("/usock/dgram/cancelled-before", test_cancelled_before);
  usock_test_add ("/usock/dgram/flush", test_flush);
  usock_test_add ("/usock/dgram/receiver-dies", test_receiver_dies);
  usock_test_add ("/usock/dgram/receiver-comes-back", test_receiver_comes_back);
  usock_test_add ("/usock/dgram/receiver-is-replaced", test_receiver_is_replaced);
  usock_test_add ("/usock/dgram/send-after-rebind", test_send_after_rebind);
  usock_test_add ("/usock/dgram/unreachable", test_unreachable);
  usock_test_add ("/usock/dgram/no-permission", test_no_permission);
  usock_test_add ("/usock/dgram/bad-use", test_bad_use);
  usock_test_add ("/usock/dgram/connect-twice", test_connect_twice);
  usock_test_add ("/usock/dgram/unread", test_unread);
  usock_test_add ("/usock/dgram/unread/many", test_unread_many);
  usock_test_add ("/usock/dgram/unread/pair", test_unread_pair);
  usock_test_add ("/usock/dgram/stow/order", test_stow_order);
  usock_test_add ("/usock/dgram/stow/limit", test_stow_limit);
  usock_test_add ("/usock/dgram/stow/flood", test_stow_flood);
  usock_test_add ("/usock/dgram/unread/named-by-kernel", test_unread_named_by_kernel);
  usock_test_add ("/usock/dgram/stale-reset", test_stale_reset);
  usock_test_add ("/usock/dgram/retarget", test_retarget);
  usock_test_add ("/usock/dgram/retarget/congested", test_retarget_congested);
  usock_test_add ("/usock/dgram/retarget/pair", test_retarget_pair);
  usock_test_add ("/usock/dgram/autobind", test_autobind);
  usock_test_add ("/usock/dgram/senders", test_senders);
  usock_test_add ("/usock/dgram/long-paths", test_long_paths);
  usock_test_add ("/usock/dgram/relative-path", test_relative_path);
  usock_test_add ("/usock/dgram/sizes", test_sizes);
  usock_test_add ("/usock/dgram/truncated", test_truncated);
  usock_test_add ("/usock/dgram/nul", test_nul);
  usock_test_add ("/usock/dgram/descriptors", test_descriptors);
  usock_test_add ("/usock/dgram/to-all", test_to_all);
  usock_test_add ("/usock/dgram/udp", test_udp);
  usock_test_add ("/usock/dgram/udp6", test_udp6);
  usock_test_add ("/usock/dgram/buffer-sizes", test_buffer_sizes);
  usock_test_add ("/usock/dgram/from-fd", test_from_fd);
  usock_test_add ("/usock/dgram/from-connected-fd", test_from_connected_fd);
  usock_test_add ("/usock/dgram/bind", test_bind);
  usock_test_add ("/usock/dgram/close-gracefully", test_close_gracefully);
  usock_test_add ("/usock/dgram/close-gracefully/inbox", test_close_gracefully_with_inbox);
  usock_test_add ("/usock/dgram/end", test_end);
  usock_test_add ("/usock/dgram/close-flushes", test_close_flushes);
  usock_test_add ("/usock/dgram/close-and-fail", test_close_and_fail);
  usock_test_add ("/usock/dgram/close-while-receiving", test_close_while_receiving);
  usock_test_add ("/usock/dgram/connect-in-handler", test_connect_in_handler);
  usock_test_add ("/usock/dgram/nested-loop", test_nested_loop);
  usock_test_add ("/usock/dgram/close-in-handler", test_close_in_handler);
  usock_test_add ("/usock/dgram/message-and-datagram", test_message_and_datagram);
  usock_test_add ("/usock/dgram/send-timeout", test_send_timeout);
  usock_test_add ("/usock/dgram/send-timeout-is-set", test_send_timeout_is_set);
  usock_test_add ("/usock/dgram/context-goes", test_context_goes);

  return g_test_run ();
}
