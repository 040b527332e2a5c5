/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

typedef gboolean (*NewPair) (gpointer *first, gpointer *second, GError **error);

static const NewPair new_pairs[] = {
  (NewPair) (GCallback) usock_seqpacket_new_pair,
  (NewPair) (GCallback) usock_stream_new_pair,
  (NewPair) (GCallback) usock_dgram_new_pair,
};

static gboolean
kernel_has_pidfds (int fd)
{
  return setsockopt (fd, SOL_SOCKET, SO_PASSPIDFD, &(int) { 0 }, sizeof (int)) == 0;
}

static void
keep_cb (UsockChannel *channel, UsockMessage *message, UsockMessage **kept)
{
  g_clear_pointer (kept, usock_message_unref);
  *kept = usock_message_ref (message);
}

static void
close_all (gpointer first, gpointer second)
{
  usock_socket_close (first);
  usock_socket_close (second);
  g_object_unref (first);
  g_object_unref (second);
}

/* The descriptor stays with the message after the emission, and stays what it is. */
static void
assert_sender (UsockMessage *message)
{
  g_autofree char *expected = g_strdup_printf ("\nPid:\t%d\n", getpid ());
  g_autofree char *contents = NULL;
  g_autofree char *path = NULL;
  int first, second;

  usock_test_no_error ((first = usock_message_dup_pidfd (message, &error)) >= 0);
  usock_test_no_error ((second = usock_message_dup_pidfd (message, &error)) >= 0);
  g_assert_cmpint (first, !=, second);
  path = g_strdup_printf ("/proc/self/fdinfo/%d", second);
  usock_test_no_error (g_file_get_contents (path, &contents, NULL, &error));
  g_assert_nonnull (strstr (contents, expected));
  g_assert_no_errno (close (first));
  g_assert_no_errno (close (second));
}

static void
test_pidfd (UsockTest *test, gconstpointer data)
{
  if (!kernel_has_pidfds (test->pair[0]))
    {
      g_test_skip ("this kernel has no SO_PASSPIDFD");
      return;
    }

  for (guint i = 0; i < G_N_ELEMENTS (new_pairs); i++)
    {
      g_autoptr (UsockMessage) kept = NULL;
      g_autoptr (GError) failure = NULL;
      gpointer first, second;

      usock_test_no_error (new_pairs[i] (&first, &second, &error));
      g_signal_connect (second, "message", G_CALLBACK (keep_cb), &kept);
      usock_test_no_error (usock_channel_send_text (first, "without", &error));
      usock_test_wait_until (kept != NULL);
      g_assert_cmpint (usock_message_dup_pidfd (kept, &failure), ==, -1);
      g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
      g_clear_pointer (&kept, usock_message_unref);

      g_object_set (second, "pass-pidfd", TRUE, NULL);
      for (guint j = 0; j < 3; j++)
        {
          usock_test_no_error (usock_channel_send_text (first, "with", &error));
          usock_test_wait_until (kept != NULL);
          assert_sender (kept);
          g_clear_pointer (&kept, usock_message_unref);
        }
      close_all (first, second);
    }
}

static guint
count_fds (void)
{
  g_autoptr (GDir) directory = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (directory) != NULL)
    n++;
  return n;
}

static void
count_cb (UsockChannel *channel, GByteArray *bytes, guint *n)
{
  *n += bytes->len;
}

/* Those who want bytes only leave nothing open, whether it was asked for or not. */
static void
test_pidfd_ignored (UsockTest *test, gconstpointer data)
{
  if (!kernel_has_pidfds (test->pair[0]))
    {
      g_test_skip ("this kernel has no SO_PASSPIDFD");
      return;
    }

  for (guint i = 0; i < 2 * G_N_ELEMENTS (new_pairs); i++)
    {
      g_autoptr (UsockMessage) kept = NULL;
      gpointer first, second;
      guint n = 0, before;
      int fd;

      usock_test_no_error (new_pairs[i / 2] (&first, &second, &error));
      if (i % 2 == 0)
        usock_channel_set_pass_pidfd (second, TRUE);
      else
        setsockopt (usock_socket_get_fd (second), SOL_SOCKET, SO_PASSPIDFD, &(int) { 1 },
                    sizeof (int));
      before = count_fds ();
      g_signal_connect (second, "data", G_CALLBACK (count_cb), &n);
      for (guint j = 0; j < 100; j++)
        usock_test_no_error (usock_channel_send_text (first, "x", &error));
      usock_test_wait_until (n == 100);
      g_assert_cmpuint (count_fds (), ==, before);

      /* Not asked for here, it is not here, whoever made the socket. */
      g_signal_connect (second, "message", G_CALLBACK (keep_cb), &kept);
      usock_test_no_error (usock_channel_send_text (first, "x", &error));
      usock_test_wait_until (kept != NULL);
      fd = usock_message_dup_pidfd (kept, NULL);
      g_assert_cmpint (fd != -1, ==, i % 2 == 0);
      if (fd != -1)
        g_assert_no_errno (close (fd));
      close_all (first, second);
    }
}

/* 1 or 0, or -1 where the kernel does not know it. */
static int
get_option (int fd, int name)
{
  int value = -1;
  socklen_t length = sizeof value;

  return getsockopt (fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

static void
assert_option (UsockChannel *channel, int name, gboolean expected)
{
  int value = get_option (usock_socket_get_fd (USOCK_SOCKET (channel)), name);

  g_assert_true (value == -1 || value == expected);
}

static void
assert_passing (UsockChannel *channel, gboolean credentials, gboolean pidfd, gboolean fds)
{
  assert_option (channel, SO_PASSCRED, credentials);
  assert_option (channel, SO_PASSPIDFD, pidfd);
  assert_option (channel, USOCK_SO_PASSRIGHTS, fds);
}

/* What a channel was told before it had a descriptor. */
static void
test_passing_before_connecting (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  int listener = scene_listen (path, 10);

  for (guint i = 0; i < 8; i++)
    {
      UsockChannel *channel = USOCK_CHANNEL (usock_seqpacket_new ());

      usock_channel_set_pass_credentials (channel, (i & 1) != 0);
      usock_channel_set_pass_pidfd (channel, (i & 2) != 0);
      usock_channel_set_max_fds (channel, (i & 4) != 0 ? 1 : 0);
      usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
      assert_passing (channel, (i & 1) != 0, (i & 2) != 0, (i & 4) != 0);
      scene_close (channel);
    }
  close (listener);
}

/* One that was made elsewhere may pass what the channel was not told of. */
static void
test_passing_adopted (UsockTest *test, gconstpointer data)
{
  const int names[] = { SO_PASSCRED, SO_PASSPIDFD, USOCK_SO_PASSRIGHTS };
  UsockChannel *channel;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    setsockopt (test->pair[0], SOL_SOCKET, names[i], &(int) { 1 }, sizeof (int));
  g_assert_cmpint (get_option (test->pair[0], SO_PASSCRED), ==, 1);
  channel = scene_adopt (test);
  assert_passing (channel, FALSE, FALSE, FALSE);
  scene_close (channel);
}

static void
take_cb (UsockServer *server, UsockChannel *channel, gpointer *taken)
{
  *taken = g_object_ref (channel);
}

/* What a client sends before it is accepted has it as well. */
static void
test_pidfd_server (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (UsockSeqpacket) client = usock_seqpacket_new ();
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockMessage) kept = NULL;
  gpointer taken = NULL;

  if (!kernel_has_pidfds (test->pair[0]))
    {
      g_test_skip ("this kernel has no SO_PASSPIDFD");
      return;
    }

  usock_server_set_pass_pidfd (server, TRUE);
  g_signal_connect (server, "connection", G_CALLBACK (take_cb), &taken);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (client), path, &error));
  usock_test_no_error (usock_channel_send_text (USOCK_CHANNEL (client), "early", &error));
  usock_test_wait_until (taken != NULL);
  g_assert_true (usock_channel_get_pass_pidfd (taken));
  g_signal_connect (taken, "message", G_CALLBACK (keep_cb), &kept);
  usock_test_wait_until (kept != NULL);
  assert_sender (kept);

  usock_socket_close (USOCK_SOCKET (server));
  usock_socket_close (USOCK_SOCKET (client));
  usock_socket_close (taken);
  g_object_unref (taken);
}

static void
assert_control (UsockMessage *message, int level, int type, const char *expected)
{
  g_autoptr (GVariant) value = usock_message_lookup_control (message, level, type);
  g_autofree char *text = value != NULL ? g_variant_print (value, TRUE) : NULL;

  g_assert_cmpstr (text, ==, expected);
}

/* A channel tells what its options have the system tell, and sends records as well. */
static void
test_records (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockDgram) receiver = usock_dgram_new ();
  g_autoptr (UsockDgram) sender = usock_dgram_new ();
  g_autoptr (GSocketAddress) loopback = NULL;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  g_autoptr (UsockMessage) kept = NULL;

  usock_test_no_error (loopback = usock_address_parse ("127.0.0.1:0", &error));
  usock_test_no_error (usock_dgram_bind_to_address (receiver, loopback, &error));
  usock_test_no_error (usock_socket_set_option (USOCK_SOCKET (receiver), IPPROTO_IP, IP_RECVTTL,
                                                g_variant_new_boolean (TRUE), &error));
  g_signal_connect (receiver, "message", G_CALLBACK (keep_cb), &kept);

  usock_test_no_error (usock_message_append_control_value (
      message, IPPROTO_IP, IP_TTL, g_variant_new_int32 (33), &error));
  usock_test_no_error (usock_dgram_send_message_to (
      sender, message, usock_socket_get_local_address (USOCK_SOCKET (receiver)), &error));
  usock_test_wait_until (kept != NULL);
  assert_control (kept, IPPROTO_IP, IP_TTL, "33");

  usock_socket_close (USOCK_SOCKET (receiver));
  usock_socket_close (USOCK_SOCKET (sender));
}

/* One that the system refuses is refused alone, also out of a batch. */
static void
test_records_refused (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (new_pairs); i++)
    {
      g_autoptr (GBytes) bytes = g_bytes_new ("1234", 4);
      gpointer first, second;
      UsockMessage *messages[3];
      g_autoptr (GError) failure = NULL;

      usock_test_no_error (new_pairs[i] (&first, &second, &error));
      for (guint j = 0; j < 3; j++)
        messages[j] = usock_message_new_from_text ("x");
      usock_test_no_error (usock_message_append_control (messages[1], SOL_SOCKET, 9999, bytes,
                                                         &error));
      /* A stream has them wait, to send them as one. */
      if (USOCK_IS_STREAM (first))
        g_assert_false (usock_channel_send_message (first, messages[1], &failure));
      else
        {
          usock_test_no_error (usock_channel_send_messages (first, messages, 3, &error) == 1);
          g_assert_cmpuint (usock_channel_send_messages (first, messages + 1, 2, &failure), ==, 0);
        }
      g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
      for (guint j = 0; j < 3; j++)
        usock_message_unref (messages[j]);
      close_all (first, second);
    }
}

/* Who ends reading gets what has come, and then the end; the peer is told. */
static void
test_shutdown_reading (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < 2; i++)
    {
      gpointer first, second;
      Witness witness;

      witness_init (&witness);
      usock_test_no_error (new_pairs[i] (&first, &second, &error));
      usock_channel_set_allow_half_open (second, TRUE);
      usock_test_no_error (usock_channel_send_text (first, "hello", &error));
      usock_test_no_error (usock_socket_shutdown (second, USOCK_SHUT_RD, &error));
      witness_watch (&witness, second, "data end error close");
      usock_test_wait_until (strstr (witness.words->str, "end") != NULL);
      witness_assert (&witness, "data:hello end");
      g_assert_cmpint (usock_socket_get_state (second), ==, USOCK_STATE_WRITE_ONLY);
      usock_test_no_error (usock_channel_send_text (second, "still", &error));
      g_assert_false (usock_channel_send_text (first, "more", NULL));
      g_assert_cmpint (usock_socket_get_error_number (first), ==, EPIPE);
      close_all (first, second);
      while (g_main_context_iteration (test->context, FALSE))
        ;
      witness_clear (&witness);
    }
}

/* To end writing is to end: what waits is sent first. */
static void
test_shutdown_writing (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < 2; i++)
    {
      g_autofree guint8 *much = g_malloc0 (100000);
      gpointer first, second;
      guint n = 0;

      usock_test_no_error (new_pairs[i] (&first, &second, &error));
      for (guint j = 0; j < 20; j++)
        usock_test_no_error (usock_channel_send (first, much, 100000, &error));
      g_assert_cmpuint (usock_channel_get_queued_bytes (first), >, 0);
      usock_test_no_error (
          usock_socket_shutdown (first, i == 0 ? USOCK_SHUT_WR : USOCK_SHUT_RDWR, &error));
      g_assert_cmpint (usock_socket_get_state (first), ==, USOCK_STATE_READ_ONLY);
      g_signal_connect (second, "data", G_CALLBACK (count_cb), &n);
      usock_test_wait_until (usock_socket_get_state (second) == USOCK_STATE_CLOSED
                             && usock_socket_get_state (first) == USOCK_STATE_CLOSED);
      g_assert_cmpuint (n, ==, 2000000);
      close_all (first, second);
    }
}

static void
test_shutdown_refused (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (UsockSeqpacket) fresh = usock_seqpacket_new ();
  g_autoptr (GError) error = NULL;
  UsockDgram *first, *second;

  g_assert_false (usock_socket_shutdown (USOCK_SOCKET (server), USOCK_SHUT_RD, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  g_assert_false (usock_socket_shutdown (USOCK_SOCKET (fresh), USOCK_SHUT_WR, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);
  g_clear_error (&error);

  g_assert_true (usock_dgram_new_pair (&first, &second, NULL));
  g_assert_false (usock_socket_shutdown (USOCK_SOCKET (first), USOCK_SHUT_RD, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  usock_socket_close (USOCK_SOCKET (first));
  g_assert_false (usock_socket_shutdown (USOCK_SOCKET (first), USOCK_SHUT_WR, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  close_all (first, second);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/channel-control/pidfd", test_pidfd);
  usock_test_add ("/usock/channel-control/pidfd-ignored", test_pidfd_ignored);
  usock_test_add ("/usock/channel-control/pidfd-server", test_pidfd_server);
  usock_test_add ("/usock/channel-control/passing-before-connecting",
                  test_passing_before_connecting);
  usock_test_add ("/usock/channel-control/passing-adopted", test_passing_adopted);
  usock_test_add ("/usock/channel-control/records", test_records);
  usock_test_add ("/usock/channel-control/records-refused", test_records_refused);
  usock_test_add ("/usock/channel-control/shutdown-reading", test_shutdown_reading);
  usock_test_add ("/usock/channel-control/shutdown-writing", test_shutdown_writing);
  usock_test_add ("/usock/channel-control/shutdown-refused", test_shutdown_refused);

  return g_test_run ();
}
