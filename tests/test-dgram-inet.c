/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Datagram sockets of the internet, of two families at once and of none that is known; and how one
 * parts from its peer, whatever its family is. */

#include "usock-test.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "witness.h"

/* With everything that it is told in @witness. */
static UsockDgram *
dgram_new (Witness *witness)
{
  UsockDgram *self = usock_dgram_new ();

  witness_init (witness);
  witness_watch (witness, self, "connect data send-failed error close");
  return self;
}

static void
dgram_free (UsockDgram *self,
            Witness    *witness)
{
  scene_close (self);
  witness_clear (witness);
}

static UsockDgram *
dgram_new_bound (Witness    *witness,
                 const char *text)
{
  g_autoptr (GSocketAddress) address = usock_address_parse (text, NULL);
  UsockDgram *self = dgram_new (witness);

  usock_test_no_error (usock_dgram_bind_to_address (self, address, &error));
  return self;
}

static guint
dgram_get_port (UsockDgram *self)
{
  return g_inet_socket_address_get_port (
      G_INET_SOCKET_ADDRESS (usock_socket_get_local_address (USOCK_SOCKET (self))));
}

/* What a raw socket has, waiting for it. */
static void
raw_expect (int         fd,
            const char *expected)
{
  char text[100];
  gssize length = -1;

  usock_test_wait_until ((length = recv (fd, text, sizeof text, MSG_DONTWAIT)) >= 0);
  g_assert_cmpmem (text, length, expected, strlen (expected));
}

static int
raw_new_inet (guint16 *port)
{
  struct sockaddr_in name = { .sin_family = AF_INET };
  socklen_t length = sizeof name;
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  name.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &name, sizeof name));
  g_assert_no_errno (getsockname (fd, (struct sockaddr *) &name, &length));
  *port = ntohs (name.sin_port);
  return fd;
}

static int
raw_new_bound (const char *path)
{
  struct sockaddr_un name = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  g_strlcpy (name.sun_path, path, sizeof name.sun_path);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &name, sizeof name));
  return fd;
}

static void
raw_send_to_path (int         fd,
                  const char *text,
                  const char *path)
{
  struct sockaddr_un name = { .sun_family = AF_UNIX };

  g_strlcpy (name.sun_path, path, sizeof name.sun_path);
  g_assert_no_errno (
      (int) sendto (fd, text, strlen (text), 0, (struct sockaddr *) &name, sizeof name));
}

static void
raw_send_to_port (int         fd,
                  const char *text,
                  guint       port)
{
  struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons (port) };

  name.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_no_errno (
      (int) sendto (fd, text, strlen (text), 0, (struct sockaddr *) &name, sizeof name));
}

static GSocketAddress *
address_new_netlink (void)
{
  struct sockaddr_nl name = { .nl_family = AF_NETLINK };

  return g_socket_address_new_from_native (&name, sizeof name);
}

static void
check_refuses (UsockDgram     *dgram,
               GSocketAddress *address,
               int             code)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  GError *wrong = NULL;

  g_assert_false (usock_channel_connect_to_address (USOCK_CHANNEL (dgram), address, &wrong));
  assert_error_code (wrong, code);
  g_assert_false (usock_dgram_send_message_to (dgram, message, address, &wrong));
  g_assert_nonnull (wrong);
  g_clear_error (&wrong);
}

static void
test_unknown_family (UsockTest     *test,
                     gconstpointer  data)
{
  g_autoptr (GSocketAddress) address = address_new_netlink ();
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);
  GError *wrong = NULL;

  check_refuses (dgram, address, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_false (usock_dgram_bind_to_address (dgram, address, &wrong));
  assert_error_code (wrong, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (dgram)), ==, -1);
  g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (dgram)), ==, AF_UNIX);

  usock_test_no_error (usock_dgram_autobind (dgram, &error));
  check_refuses (dgram, address, G_IO_ERROR_NOT_SUPPORTED);
  dgram_free (dgram, &witness);
}

/* One that another made, and connected: it has a family whose addresses have no text. */
static void
test_unknown_family_adopted (UsockTest     *test,
                             gconstpointer  data)
{
  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  g_autoptr (GSocketAddress) address = address_new_netlink ();
  int fd = socket (AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_ROUTE);
  UsockDgram *dgram;
  GError *wrong = NULL;

  g_assert_no_errno (connect (fd, (struct sockaddr *) &kernel, sizeof kernel));
  usock_test_no_error (dgram = usock_dgram_new_from_fd (fd, &error));
  check_refuses (dgram, address, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_false (usock_dgram_send_to (dgram, NULL, 0, "127.0.0.1:9", &wrong));
  assert_error_code (wrong, G_IO_ERROR_NOT_SUPPORTED);
  usock_test_no_error (usock_dgram_forget_peer (dgram, &error));
  scene_settle ();
  scene_close (dgram);
}

static void
test_nameless (UsockTest     *test,
               gconstpointer  data)
{
  g_autoptr (GSocketAddress) address
      = g_unix_socket_address_new_with_type ("", 0, G_UNIX_SOCKET_ADDRESS_ANONYMOUS);
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);

  check_refuses (dgram, address, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (dgram)), ==, -1);
  dgram_free (dgram, &witness);
}

/* Who receives on [::] receives from IPv4 too, and can answer there. */
static void
test_both_families (UsockTest     *test,
                    gconstpointer  data)
{
  Witness witness;
  UsockDgram *dgram = dgram_new_bound (&witness, "[::]:0");
  guint16 port;
  int client = raw_new_inet (&port);
  g_autofree char *text = g_strdup_printf ("127.0.0.1:%u", port);
  g_autofree char *mapped = g_strdup_printf ("[::ffff:127.0.0.1]:%u", port);
  g_autoptr (GSocketAddress) address = usock_address_parse (text, NULL);
  g_autoptr (UsockMessage) answer = usock_message_new_from_text ("by address");

  raw_send_to_port (client, "question", dgram_get_port (dgram));
  witness_expect (&witness, "data:question");

  usock_test_no_error (usock_dgram_send_to (dgram, (const guint8 *) "text", 4, text, &error));
  raw_expect (client, "text");
  usock_test_no_error (usock_dgram_send_to (dgram, (const guint8 *) "mapped", 6, mapped, &error));
  raw_expect (client, "mapped");
  usock_test_no_error (usock_dgram_send_message_to (dgram, answer, address, &error));
  raw_expect (client, "by address");

  usock_test_no_error (
      usock_channel_connect_to_address (USOCK_CHANNEL (dgram), address, &error));
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (dgram), "peer", &error));
  raw_expect (client, "peer");
  usock_test_no_error (usock_dgram_send_to (dgram, (const guint8 *) "named", 5, text, &error));
  raw_expect (client, "named");
  witness_expect (&witness, "connect");
  dgram_free (dgram, &witness);
  close (client);
}

/* The other way there is none. */
static void
test_one_family (UsockTest     *test,
                 gconstpointer  data)
{
  Witness witness;
  UsockDgram *dgram = dgram_new_bound (&witness, "127.0.0.1:0");
  GError *wrong = NULL;

  g_assert_false (usock_dgram_send_to (dgram, NULL, 0, "[::1]:9", &wrong));
  assert_error_code (wrong, G_IO_ERROR_NOT_SUPPORTED);
  dgram_free (dgram, &witness);
}

/* The kernel empties our receive queue then; nothing of it is lost. */
static void
test_forget_peer (UsockTest     *test,
                  gconstpointer  data)
{
  g_autofree char *path = usock_test_path (test, "peer");
  g_autofree char *own_path = usock_test_path (test, "own");
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);
  UsockChannel *channel = USOCK_CHANNEL (dgram);
  int peer = raw_new_bound (path);
  int stranger = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  GError *wrong = NULL;

  g_assert_false (usock_dgram_forget_peer (dgram, &wrong));
  assert_error_code (wrong, G_IO_ERROR_NOT_CONNECTED);

  usock_test_no_error (usock_dgram_bind_to_path (dgram, own_path, &error));
  usock_channel_pause (channel);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  witness_expect (&witness, "connect");
  raw_send_to_path (peer, "first", own_path);

  usock_test_no_error (usock_dgram_forget_peer (dgram, &error));
  g_assert_null (usock_socket_get_remote_address (USOCK_SOCKET (dgram)));
  raw_send_to_path (stranger, "second", own_path);
  usock_channel_resume (channel);
  witness_expect (&witness, "data:first data:second");

  g_assert_false (usock_channel_send_text (channel, "x", &wrong));
  assert_error_code (wrong, G_IO_ERROR_NOT_CONNECTED);
  g_assert_false (usock_dgram_forget_peer (dgram, &wrong));
  assert_error_code (wrong, G_IO_ERROR_NOT_CONNECTED);

  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  usock_test_no_error (usock_channel_send_text (channel, "again", &error));
  raw_expect (peer, "again");
  witness_expect (&witness, "connect");
  dgram_free (dgram, &witness);
  close (peer);
  close (stranger);
}

/* What waits for the peer is still for it. */
static void
test_forget_full_peer (UsockTest     *test,
                       gconstpointer  data)
{
  g_autofree char *path = usock_test_path (test, "peer");
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);
  UsockChannel *channel = USOCK_CHANNEL (dgram);
  int peer = raw_new_bound (path);
  guint n = 0;

  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  while (usock_channel_get_queued_bytes (channel) == 0)
    {
      g_autofree char *text = g_strdup_printf ("%u", n++);

      usock_test_no_error (usock_channel_send_text (channel, text, &error));
    }

  usock_test_no_error (usock_dgram_forget_peer (dgram, &error));
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      raw_expect (peer, text);
    }
  witness_expect (&witness, "connect");
  dgram_free (dgram, &witness);
  close (peer);
}

static void
test_forget_pair (UsockTest     *test,
                  gconstpointer  data)
{
  UsockDgram *one, *other;
  Witness witness;
  GError *wrong = NULL;

  usock_test_no_error (usock_dgram_new_pair (&one, &other, &error));
  witness_init (&witness);
  witness_watch (&witness, one, "data send-failed error close");
  while (usock_channel_get_queued_bytes (USOCK_CHANNEL (one)) == 0)
    usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (one), "lost", &error));
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (other), "kept", &error));

  usock_test_no_error (usock_dgram_forget_peer (one, &error));
  g_assert_false (usock_channel_send_text (USOCK_CHANNEL (one), "x", &wrong));
  assert_error_code (wrong, G_IO_ERROR_NOT_CONNECTED);
  usock_test_wait_until (witness.n_words == 2);
  g_assert_true (g_str_equal (witness.words->str, "data:kept send-failed")
                 || g_str_equal (witness.words->str, "send-failed data:kept"));
  scene_close (one);
  scene_close (other);
  witness_clear (&witness);
}

static void
test_forget_inet_peer (UsockTest     *test,
                       gconstpointer  data)
{
  Witness witness;
  UsockDgram *dgram = dgram_new_bound (&witness, "127.0.0.1:0");
  guint16 peer_port, port;
  int peer = raw_new_inet (&peer_port);
  int stranger = raw_new_inet (&port);
  g_autofree char *text = g_strdup_printf ("127.0.0.1:%u", peer_port);
  g_autoptr (GSocketAddress) address = usock_address_parse (text, NULL);

  usock_test_no_error (
      usock_channel_connect_to_address (USOCK_CHANNEL (dgram), address, &error));
  raw_send_to_port (stranger, "unheard", dgram_get_port (dgram));
  usock_test_no_error (usock_dgram_forget_peer (dgram, &error));
  raw_send_to_port (stranger, "heard", dgram_get_port (dgram));
  witness_expect (&witness, "connect data:heard");

  usock_test_no_error (usock_dgram_send_to (dgram, (const guint8 *) "still", 5, text, &error));
  raw_expect (peer, "still");
  dgram_free (dgram, &witness);
  close (peer);
  close (stranger);
}

static gboolean
finish_send (UsockChannel  *channel,
             GAsyncResult  *result,
             GError       **error)
{
  return usock_dgram_send_message_to_text_finish (USOCK_DGRAM (channel), result, error);
}

/* Who has no name can send, and not be answered: which is an error like others, and not misuse. */
static void
test_unnamed_sender (UsockTest     *test,
                     gconstpointer  data)
{
  g_autofree char *path = usock_test_path (test, "own");
  int sender = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_autoptr (UsockMessage) answer = usock_message_new_from_text ("answer");
  g_autofree char *noted = NULL;
  GError *wrong = NULL;
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);

  usock_test_no_error (usock_dgram_bind_to_path (dgram, path, &error));
  raw_send_to_path (sender, "anonymous", path);
  witness_expect (&witness, "data:anonymous");
  g_assert_false (usock_dgram_send_to (dgram, (const guint8 *) "x", 1, noted, &wrong));
  assert_error_code (wrong, G_IO_ERROR_INVALID_ARGUMENT);
  usock_dgram_send_message_to_text_async (dgram, answer, noted, NULL, witness_done,
                                          witness_call (&witness, "answer", finish_send));
  witness_expect (&witness, "answer:invalid-argument");
  dgram_free (dgram, &witness);
  close (sender);
}

/* Who is connected to a port where nobody is. */
static UsockDgram *
dgram_new_refused (Witness *witness,
                   int     *port)
{
  guint16 number;
  int nobody = raw_new_inet (&number);
  g_autofree char *text = g_strdup_printf ("127.0.0.1:%u", number);
  g_autoptr (GSocketAddress) address = usock_address_parse (text, NULL);
  UsockDgram *self = usock_dgram_new ();

  close (nobody);
  witness_init (witness);
  witness_watch (witness, self, "send-failed error close");
  usock_test_no_error (usock_channel_connect_to_address (USOCK_CHANNEL (self), address, &error));
  *port = number;
  return self;
}

static int
raw_new_at_port (int port)
{
  struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons (port) };
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  name.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &name, sizeof name));
  return fd;
}

static void
note_refusal (UsockDgram *self,
              const char *destination,
              GError     *error,
              char      **noted)
{
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_free (*noted);
  *noted = g_strdup (destination);
}

/* Without another call: nobody listens, and nothing is sent any more. */
static void
test_refused (UsockTest     *test,
              gconstpointer  data)
{
  g_autofree char *noted = NULL;
  g_autofree char *expected = NULL;
  Witness witness;
  int port;
  UsockDgram *dgram = dgram_new_refused (&witness, &port);

  g_signal_connect (dgram, "send-failed", G_CALLBACK (note_refusal), &noted);
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (dgram), "nobody", &error));
  witness_expect (&witness, "send-failed");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (dgram)), ==, ECONNREFUSED);
  expected = g_strdup_printf ("127.0.0.1:%d", port);
  g_assert_cmpstr (noted, ==, expected);
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (dgram), "nobody", &error));
  witness_expect (&witness, "send-failed");
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (dgram)), ==, USOCK_STATE_OPEN);
  dgram_free (dgram, &witness);
}

/* The kernel says it in place of what it was asked for next; that leaves all the same. */
static void
test_refused_between (UsockTest     *test,
                      gconstpointer  data)
{
  static const char *const texts[] = { "0", "1", "2", "3", "4", "5" };
  UsockMessage *messages[G_N_ELEMENTS (texts)];
  Witness witness;
  int port, receiver;
  UsockDgram *dgram = dgram_new_refused (&witness, &port);
  UsockChannel *channel = USOCK_CHANNEL (dgram);

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      usock_test_no_error (usock_channel_send_text (channel, "nobody", &error));
      messages[i] = usock_message_new_from_text (texts[i]);
    }
  g_assert_cmpuint (usock_channel_send_messages (channel, messages, 3, NULL), ==, 3);
  receiver = raw_new_at_port (port);
  usock_test_no_error (usock_channel_send_text (channel, "first", &error));
  g_assert_cmpuint (usock_channel_send_messages (channel, messages, G_N_ELEMENTS (texts), NULL),
                    ==, G_N_ELEMENTS (texts));
  raw_expect (receiver, "first");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      raw_expect (receiver, texts[i]);
      usock_message_unref (messages[i]);
    }
  witness_expect (&witness, "send-failed");
  dgram_free (dgram, &witness);
  close (receiver);
}

/* What came before is there, and so is what comes afterwards. */
static void
test_refused_receiver (UsockTest     *test,
                       gconstpointer  data)
{
  Witness witness;
  int port;
  UsockDgram *dgram = dgram_new_refused (&witness, &port);
  UsockChannel *channel = USOCK_CHANNEL (dgram);
  int peer = raw_new_at_port (port);

  raw_send_to_port (peer, "before", dgram_get_port (dgram));
  close (peer);
  usock_test_no_error (usock_channel_send_text (channel, "nobody", &error));
  witness_watch (&witness, dgram, "data");
  usock_test_wait_until (witness.n_words == 2);
  peer = raw_new_at_port (port);
  raw_send_to_port (peer, "after", dgram_get_port (dgram));
  usock_test_wait_until (witness.n_words == 3);
  g_assert_nonnull (strstr (witness.words->str, "data:before"));
  g_assert_nonnull (strstr (witness.words->str, "send-failed"));
  g_assert_true (g_str_has_suffix (witness.words->str, "data:after"));
  dgram_free (dgram, &witness);
  close (peer);
}

/* A resolver that answers when the test says so. */

typedef struct
{
  GResolver parent_instance;
} LateResolver;

typedef struct
{
  GResolverClass parent_class;
} LateResolverClass;

static GQueue questions = G_QUEUE_INIT; /* of GTask */

static GType late_resolver_get_type (void);

G_DEFINE_TYPE (LateResolver, late_resolver, G_TYPE_RESOLVER)

static gboolean
late_resolver_drop (GCancellable *cancellable,
                    gpointer      user_data)
{
  GTask *task = user_data;

  g_queue_remove (&questions, task);
  g_task_return_error_if_cancelled (task);
  return G_SOURCE_REMOVE;
}

static void
late_resolver_ask (GResolver           *resolver,
                   const char          *host,
                   GCancellable        *cancellable,
                   GAsyncReadyCallback  callback,
                   gpointer             user_data)
{
  GTask *task = g_task_new (resolver, cancellable, callback, user_data);
  g_autoptr (GSource) source = g_cancellable_source_new (cancellable);

  g_task_set_task_data (task, g_strdup (host), g_free);
  g_queue_push_tail (&questions, task);
  g_source_set_callback (source, (GSourceFunc) (GCallback) late_resolver_drop, task,
                         g_object_unref);
  g_source_attach (source, g_main_context_get_thread_default ());
  g_object_set_data_full (G_OBJECT (task), "source", g_steal_pointer (&source),
                          (GDestroyNotify) g_source_unref);
}

static void
late_resolver_ask_flags (GResolver                *resolver,
                         const char               *host,
                         GResolverNameLookupFlags  flags,
                         GCancellable             *cancellable,
                         GAsyncReadyCallback       callback,
                         gpointer                  user_data)
{
  late_resolver_ask (resolver, host, cancellable, callback, user_data);
}

static GList *
late_resolver_finish (GResolver     *resolver,
                      GAsyncResult  *result,
                      GError       **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
late_resolver_class_init (LateResolverClass *class)
{
  G_RESOLVER_CLASS (class)->lookup_by_name_async = late_resolver_ask;
  G_RESOLVER_CLASS (class)->lookup_by_name_finish = late_resolver_finish;
  G_RESOLVER_CLASS (class)->lookup_by_name_with_flags_async = late_resolver_ask_flags;
  G_RESOLVER_CLASS (class)->lookup_by_name_with_flags_finish = late_resolver_finish;
}

static void
late_resolver_init (LateResolver *self)
{
}

static void
free_addresses (gpointer addresses)
{
  g_resolver_free_addresses (addresses);
}

/* To the oldest question, for that host; NULL for none that there is. */
static void
late_resolver_answer (const char *host,
                      const char *first,
                      const char *second)
{
  GTask *task = g_queue_pop_head (&questions);
  GList *addresses = NULL;

  g_assert_nonnull (task);
  g_assert_cmpstr (g_task_get_task_data (task), ==, host);
  if (second != NULL)
    addresses = g_list_prepend (addresses, g_inet_address_new_from_string (second));
  if (first != NULL)
    addresses = g_list_prepend (addresses, g_inet_address_new_from_string (first));
  if (addresses != NULL)
    g_task_return_pointer (task, addresses, free_addresses);
  else
    g_task_return_new_error (task, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "no such host");
  g_source_destroy (g_object_get_data (G_OBJECT (task), "source"));
}

static GResolver *
late_resolver_use (void)
{
  GResolver *before = g_resolver_get_default ();
  g_autoptr (GResolver) resolver = g_object_new (late_resolver_get_type (), NULL);

  g_resolver_set_default (resolver);
  return before;
}

static void
late_resolver_stop (GResolver *before)
{
  g_assert_cmpuint (questions.length, ==, 0);
  g_resolver_set_default (before);
  g_object_unref (before);
}

static void
send_to_host (UsockDgram   *self,
              Witness      *witness,
              const char   *text,
              const char   *host,
              int           port,
              GCancellable *cancellable)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text (text);
  g_autofree char *destination = g_strdup_printf ("%s:%d", host, port);

  usock_dgram_send_message_to_text_async (self, message, destination, cancellable, witness_done,
                                          witness_call (witness, text, finish_send));
}

/* Those to the same name stay in order, and ask once; each other name asks for itself. */
static void
test_host (UsockTest     *test,
           gconstpointer  data)
{
  GResolver *before = late_resolver_use ();
  g_autoptr (GError) wrong = NULL;
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);
  guint16 port;
  int receiver = raw_new_inet (&port);
  g_autofree char *text = g_strdup_printf ("one.example:%u", port);

  send_to_host (dgram, &witness, "1", "one.example", port, NULL);
  send_to_host (dgram, &witness, "2", "none.example", port, NULL);
  send_to_host (dgram, &witness, "3", "one.example", port, NULL);
  g_assert_cmpuint (questions.length, ==, 2);
  late_resolver_answer ("one.example", "127.0.0.1", NULL);
  witness_expect (&witness, "1:ok 3:ok");
  raw_expect (receiver, "1");
  raw_expect (receiver, "3");
  late_resolver_answer ("none.example", NULL, NULL);
  witness_expect (&witness, "2:host-not-found");

  g_assert_false (usock_dgram_send_to (dgram, (const guint8 *) "x", 1, text, &wrong));
  assert_error_code (wrong, G_IO_ERROR_INVALID_ARGUMENT);
  send_to_host (dgram, &witness, "4", "127.0.0.1", port, NULL);
  witness_expect (&witness, "4:ok");
  raw_expect (receiver, "4");

  /* The socket has a family by now, which the first address has not. */
  send_to_host (dgram, &witness, "5", "two.example", port, NULL);
  late_resolver_answer ("two.example", "2001:db8::1", "127.0.0.1");
  witness_expect (&witness, "5:ok");
  raw_expect (receiver, "5");
  dgram_free (dgram, &witness);
  close (receiver);
  late_resolver_stop (before);
}

/* Who is cancelled leaves at once, and the others get an answer all the same. */
static void
test_host_cancelled (UsockTest     *test,
                     gconstpointer  data)
{
  GResolver *before = late_resolver_use ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GCancellable) alone = g_cancellable_new ();
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);
  guint16 port;
  int receiver = raw_new_inet (&port);

  send_to_host (dgram, &witness, "1", "one.example", port, cancellable);
  send_to_host (dgram, &witness, "2", "one.example", port, alone);
  send_to_host (dgram, &witness, "3", "one.example", port, cancellable);
  send_to_host (dgram, &witness, "4", "other.example", port, cancellable);
  g_cancellable_cancel (cancellable);
  usock_test_wait_until (witness.n_words == 3);
  g_assert_nonnull (strstr (witness.words->str, "1:cancelled 3:cancelled"));
  g_assert_nonnull (strstr (witness.words->str, "4:cancelled"));
  witness_assert (&witness, witness.words->str);
  late_resolver_answer ("one.example", "127.0.0.1", NULL);
  witness_expect (&witness, "2:ok");
  raw_expect (receiver, "2");

  send_to_host (dgram, &witness, "5", "one.example", port, cancellable);
  witness_expect (&witness, "5:cancelled");
  dgram_free (dgram, &witness);
  close (receiver);
  late_resolver_stop (before);
}

static void
test_host_closed (UsockTest     *test,
                  gconstpointer  data)
{
  GResolver *before = late_resolver_use ();
  Witness witness;
  UsockDgram *dgram = dgram_new_bound (&witness, "127.0.0.1:0");

  send_to_host (dgram, &witness, "1", "one.example", 1, NULL);
  send_to_host (dgram, &witness, "2", "one.example", 1, NULL);
  send_to_host (dgram, &witness, "3", "other.example", 1, NULL);
  usock_socket_close (USOCK_SOCKET (dgram));
  usock_test_wait_until (witness.n_closed == 1);
  g_assert_cmpuint (witness.n_words, ==, 4);
  g_assert_nonnull (strstr (witness.words->str, "1:closed 2:closed"));
  g_assert_nonnull (strstr (witness.words->str, "3:closed"));
  g_assert_true (g_str_has_suffix (witness.words->str, " close"));
  usock_test_wait_until (questions.length == 0);
  send_to_host (dgram, &witness, "4", "one.example", 1, NULL);
  usock_test_wait_until (witness.n_words == 5);
  scene_settle ();
  g_assert_finalize_object (G_OBJECT (dgram));
  witness_clear (&witness);
  late_resolver_stop (before);
}

/* One that was never opened, and nobody has any more, and one of this machine. */
static void
test_host_elsewhere (UsockTest     *test,
                     gconstpointer  data)
{
  GResolver *before = late_resolver_use ();
  g_autofree char *path = usock_test_path (test, "own");
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);

  usock_test_no_error (usock_dgram_bind_to_path (dgram, path, &error));
  send_to_host (dgram, &witness, "1", "one.example", 1, NULL);
  witness_expect (&witness, "1:invalid-argument");
  dgram_free (dgram, &witness);

  dgram = dgram_new (&witness);
  send_to_host (dgram, &witness, "2", "one.example", 1, NULL);
  g_object_unref (dgram);
  late_resolver_answer ("one.example", NULL, NULL);
  witness_expect (&witness, "2:host-not-found");
  witness_clear (&witness);
  late_resolver_stop (before);
}

static void
set_early (gpointer    socket,
           int         level,
           int         name,
           GVariant   *value)
{
  usock_test_no_error (usock_socket_set_option (socket, level, name, value, &error));
}

static int
get_option (gpointer socket,
            int      level,
            int      name)
{
  g_autoptr (GVariant) value = usock_socket_get_option (socket, level, name, NULL);

  return g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN) ? g_variant_get_boolean (value)
                                                              : g_variant_get_int32 (value);
}

/* Two on one port, who both hear what a group is told, and so only if it was asked for before. */
static void
test_early_options (UsockTest     *test,
                    gconstpointer  data)
{
  g_autoptr (GSocketAddress) any = usock_address_parse ("0.0.0.0:0", NULL);
  g_autoptr (GSocketAddress) address = NULL;
  g_autofree char *text = NULL;
  UsockDgram *dgrams[2];
  Witness witnesses[2];

  for (int i = 0; i < 2; i++)
    {
      dgrams[i] = dgram_new (&witnesses[i]);
      set_early (dgrams[i], USOCK_SOL_SOCKET, USOCK_SO_REUSEADDR, g_variant_new_boolean (TRUE));
      set_early (dgrams[i], USOCK_SOL_IP, USOCK_IP_TTL, g_variant_new_int32 (7));
      set_early (dgrams[i], USOCK_SOL_IP, USOCK_IP_FREEBIND, g_variant_new_boolean (TRUE));
      usock_test_no_error (
          usock_dgram_bind_to_address (dgrams[i], i == 0 ? any : address, &error));
      g_assert_cmpint (get_option (dgrams[i], USOCK_SOL_IP, USOCK_IP_TTL), ==, 7);
      g_assert_true (get_option (dgrams[i], USOCK_SOL_IP, USOCK_IP_FREEBIND));
      if (i == 0)
        {
          text = g_strdup_printf ("0.0.0.0:%u", dgram_get_port (dgrams[0]));
          address = usock_address_parse (text, NULL);
        }
    }

  for (int i = 0; i < 2; i++)
    dgram_free (dgrams[i], &witnesses[i]);
}

/* A group is heard that was joined before there was a socket; who joins what is none is told so by
 * bind. */
static void
test_early_membership (UsockTest     *test,
                       gconstpointer  data)
{
  g_autoptr (GSocketAddress) any = usock_address_parse ("0.0.0.0:0", NULL);
  g_autofree char *group = NULL;
  GError *wrong = NULL;
  Witness witness, other;
  UsockDgram *dgram = dgram_new (&witness);
  UsockDgram *sender = dgram_new (&other);

  set_early (dgram, USOCK_SOL_IP, USOCK_IP_ADD_MEMBERSHIP,
             g_variant_new ("(sss)", "127.0.0.1", "", "lo"));
  g_assert_false (usock_dgram_bind_to_address (dgram, any, &wrong));
  g_assert_nonnull (strstr (wrong->message, "IP_ADD_MEMBERSHIP"));
  assert_error_code (wrong, G_IO_ERROR_INVALID_ARGUMENT);
  dgram_free (dgram, &witness);

  dgram = dgram_new (&witness);
  set_early (dgram, USOCK_SOL_IP, USOCK_IP_ADD_MEMBERSHIP,
             g_variant_new ("(sss)", "239.7.7.9", "", "lo"));
  set_early (sender, USOCK_SOL_IP, USOCK_IP_MULTICAST_IF, g_variant_new_string ("127.0.0.1"));
  usock_test_no_error (usock_dgram_bind_to_address (dgram, any, &error));
  group = g_strdup_printf ("239.7.7.9:%u", dgram_get_port (dgram));
  usock_test_no_error (usock_dgram_send_to (sender, (const guint8 *) "heard", 5, group, &error));
  witness_expect (&witness, "data:heard");
  dgram_free (dgram, &witness);
  dgram_free (sender, &other);
}

/* To an address that is nobody's, which nothing but the option lets; and a mark, if we may. */
static void
test_early_freebind (UsockTest     *test,
                     gconstpointer  data)
{
  g_autoptr (GSocketAddress) foreign = usock_address_parse ("192.0.2.7:0", NULL);
  GError *wrong = NULL;
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);

  g_assert_false (usock_dgram_bind_to_address (dgram, foreign, &wrong));
  assert_error_code (wrong, G_IO_ERROR_FAILED);
  set_early (dgram, USOCK_SOL_IP, USOCK_IP_FREEBIND, g_variant_new_boolean (TRUE));
  usock_test_no_error (usock_dgram_bind_to_address (dgram, foreign, &error));
  dgram_free (dgram, &witness);

  dgram = dgram_new (&witness);
  set_early (dgram, USOCK_SOL_SOCKET, USOCK_SO_MARK, g_variant_new_uint32 (7));
  set_early (dgram, USOCK_SOL_IP, USOCK_IP_FREEBIND, g_variant_new_boolean (TRUE));
  if (usock_dgram_bind_to_address (dgram, foreign, &wrong))
    {
      g_autoptr (GVariant) mark
          = usock_socket_get_option (USOCK_SOCKET (dgram), USOCK_SOL_SOCKET, USOCK_SO_MARK, NULL);

      g_assert_cmpuint (g_variant_get_uint32 (mark), ==, 7);
    }
  else
    {
      g_assert_nonnull (strstr (wrong->message, "SO_MARK"));
      assert_error_code (wrong, G_IO_ERROR_PERMISSION_DENIED);
    }
  dgram_free (dgram, &witness);
}

static void
test_early_ipv6_only (UsockTest     *test,
                      gconstpointer  data)
{
  g_autoptr (GSocketAddress) any = usock_address_parse ("[::]:0", NULL);
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);

  set_early (dgram, USOCK_SOL_IPV6, USOCK_IPV6_V6ONLY, g_variant_new_boolean (TRUE));
  usock_test_no_error (usock_dgram_bind_to_address (dgram, any, &error));
  g_assert_true (get_option (dgram, USOCK_SOL_IPV6, USOCK_IPV6_V6ONLY));
  dgram_free (dgram, &witness);
}

/* Of a family that does not have it; another family may, and the socket tries again. */
static void
test_early_option_refused (UsockTest     *test,
                           gconstpointer  data)
{
  g_autoptr (GSocketAddress) any = usock_address_parse ("[::]:0", NULL);
  g_autofree char *path = usock_test_path (test, "path");
  Witness witness;
  UsockDgram *dgram = dgram_new (&witness);
  g_autoptr (UsockSeqpacket) seqpacket = usock_seqpacket_new ();
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GError *wrong = NULL;

  set_early (dgram, USOCK_SOL_IPV6, USOCK_IPV6_V6ONLY, g_variant_new_boolean (TRUE));
  g_assert_false (usock_dgram_bind_to_path (dgram, path, &wrong));
  g_assert_nonnull (strstr (wrong->message, "IPV6_V6ONLY"));
  assert_error_code (wrong, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (dgram)), ==, -1);
  usock_test_no_error (usock_dgram_bind_to_address (dgram, any, &error));
  dgram_free (dgram, &witness);

  set_early (server, USOCK_SOL_IP, USOCK_IP_TTL, g_variant_new_int32 (7));
  g_assert_false (usock_server_listen_on_path (server, path, 0, &wrong));
  g_assert_nonnull (strstr (wrong->message, "IP_TTL"));
  assert_error_code (wrong, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));

  set_early (seqpacket, USOCK_SOL_IP, USOCK_IP_TTL, g_variant_new_int32 (7));
  g_assert_false (usock_channel_connect_to_path (USOCK_CHANNEL (seqpacket), path, &wrong));
  g_assert_nonnull (strstr (wrong->message, "IP_TTL"));
  assert_error_code (wrong, G_IO_ERROR_NOT_SUPPORTED);
}

/* What can be known before is known before. */
static void
test_early_option_wrong (UsockTest     *test,
                         gconstpointer  data)
{
  g_autoptr (UsockStream) stream = usock_stream_new ();
  UsockSocket *socket = USOCK_SOCKET (stream);
  GError *wrong = NULL;

  g_assert_false (usock_socket_set_option (socket, USOCK_SOL_IP, 12345, NULL, &wrong));
  assert_error_code (wrong, G_IO_ERROR_NOT_FOUND);
  g_assert_false (usock_socket_set_option (socket, USOCK_SOL_SOCKET, USOCK_SO_TYPE,
                                           g_variant_new_int32 (1), &wrong));
  assert_error_code (wrong, G_IO_ERROR_READ_ONLY);
  g_assert_false (usock_socket_set_option (socket, USOCK_SOL_IP, USOCK_IP_TTL,
                                           g_variant_new_string ("x"), &wrong));
  assert_error_code (wrong, G_IO_ERROR_INVALID_DATA);
  g_assert_false (usock_socket_set_option (socket, USOCK_SOL_SOCKET, USOCK_SO_PEEK_OFF,
                                           g_variant_new_int32 (1), &wrong));
  assert_error_code (wrong, G_IO_ERROR_BUSY);
}

static void
test_early_stream_options (UsockTest     *test,
                           gconstpointer  data)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (UsockStream) stream = usock_stream_new ();

  set_early (server, USOCK_SOL_IP, USOCK_IP_FREEBIND, g_variant_new_boolean (TRUE));
  usock_test_no_error (usock_server_listen_on_host (server, "127.0.0.1", 0, 0, &error));
  g_assert_true (get_option (server, USOCK_SOL_IP, USOCK_IP_FREEBIND));

  set_early (stream, USOCK_SOL_IP, USOCK_IP_TTL, g_variant_new_int32 (7));
  usock_test_no_error (usock_channel_connect_to_address (
      USOCK_CHANNEL (stream), usock_socket_get_local_address (USOCK_SOCKET (server)), &error));
  usock_test_wait_until (usock_socket_get_fd (USOCK_SOCKET (stream)) != -1);
  g_assert_cmpint (get_option (stream, USOCK_SOL_IP, USOCK_IP_TTL), ==, 7);
  scene_settle ();
  scene_close (g_steal_pointer (&stream));
  scene_close (g_steal_pointer (&server));
}

/* Until the kernel has heard of the refusal: then the socket is ready for nothing but its error. */
static void
wait_for_error (int fd)
{
  struct pollfd poll_fd = { fd, POLLIN };

  g_assert_cmpint (poll (&poll_fd, 1, 10 * 1000), ==, 1);
  g_assert_cmpint (poll_fd.revents & POLLERR, ==, POLLERR);
}

/* A socket that was adopted may keep its errors in a queue that nobody reads. It goes on, and the
 * loop has nothing to do meanwhile. */
static void
test_error_queue (UsockTest     *test,
                  gconstpointer  unused)
{
  const int yes = TRUE;
  g_autofree char *nobody = NULL;
  g_autofree char *receiver = NULL;
  guint16 own, port;
  Witness witness;
  UsockDgram *self;
  int fd, raw, gone;

  fd = raw_new_inet (&own);
  g_assert_no_errno (setsockopt (fd, IPPROTO_IP, IP_RECVERR, &yes, sizeof yes));
  usock_test_no_error (self = usock_dgram_new_from_fd (fd, &error));
  witness_init (&witness);
  witness_watch (&witness, self, "send-failed error close");
  gone = raw_new_inet (&port);
  nobody = g_strdup_printf ("127.0.0.1:%u", port);
  raw = raw_new_inet (&port);
  receiver = g_strdup_printf ("127.0.0.1:%u", port);
  close (gone);

  for (guint i = 0; i < 3; i++)
    {
      usock_test_no_error (usock_dgram_send_to (self, (const guint8 *) "lost", 4, nobody, &error));
      wait_for_error (fd);
      scene_settle ();
      usock_test_no_error (usock_dgram_send_to (self, (const guint8 *) "sent", 4, receiver, &error));
      raw_expect (raw, "sent");
    }

  raw_send_to_port (raw, "early", own);
  scene_settle ();
  witness_watch (&witness, self, "data");
  witness_expect (&witness, "data:early");
  raw_send_to_port (raw, "late", own);
  witness_expect (&witness, "data:late");
  dgram_free (self, &witness);
  close (raw);
}

int
main (int    argc,
      char **argv)
{
  GTask *task;

  g_test_init (&argc, &argv, NULL);
  /* The first keeps a descriptor for good. */
  task = g_task_new (NULL, NULL, NULL, NULL);
  g_object_unref (task);

  usock_test_add ("/usock/dgram/unknown-family", test_unknown_family);
  usock_test_add ("/usock/dgram/unknown-family/adopted", test_unknown_family_adopted);
  usock_test_add ("/usock/dgram/nameless", test_nameless);
  usock_test_add ("/usock/dgram/both-families", test_both_families);
  usock_test_add ("/usock/dgram/one-family", test_one_family);
  usock_test_add ("/usock/dgram/forget-peer", test_forget_peer);
  usock_test_add ("/usock/dgram/forget-peer/full", test_forget_full_peer);
  usock_test_add ("/usock/dgram/forget-peer/pair", test_forget_pair);
  usock_test_add ("/usock/dgram/forget-peer/inet", test_forget_inet_peer);
  usock_test_add ("/usock/dgram/unnamed-sender", test_unnamed_sender);
  usock_test_add ("/usock/dgram/refused", test_refused);
  usock_test_add ("/usock/dgram/refused/between", test_refused_between);
  usock_test_add ("/usock/dgram/refused/receiver", test_refused_receiver);
  usock_test_add ("/usock/dgram/error-queue", test_error_queue);
  usock_test_add ("/usock/dgram/host", test_host);
  usock_test_add ("/usock/dgram/host/cancelled", test_host_cancelled);
  usock_test_add ("/usock/dgram/host/closed", test_host_closed);
  usock_test_add ("/usock/dgram/host/elsewhere", test_host_elsewhere);
  usock_test_add ("/usock/dgram/early-options", test_early_options);
  usock_test_add ("/usock/dgram/early-options/membership", test_early_membership);
  usock_test_add ("/usock/dgram/early-options/freebind", test_early_freebind);
  usock_test_add ("/usock/dgram/early-options/ipv6-only", test_early_ipv6_only);
  usock_test_add ("/usock/dgram/early-options/refused", test_early_option_refused);
  usock_test_add ("/usock/dgram/early-options/wrong", test_early_option_wrong);
  usock_test_add ("/usock/dgram/early-options/stream", test_early_stream_options);

  return g_test_run ();
}
