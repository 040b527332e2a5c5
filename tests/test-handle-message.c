/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usock/usock.h>

#define LONG 10000

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

static const int local_types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

/* Whether the test has a network of its own, with nothing but a loopback interface. */
static gboolean own_network;

static UsockHandle *
handle_new (int family, int type, int protocol)
{
  UsockHandle *handle;

  usock_test_no_error (handle = usock_handle_new_socket (family, type, protocol, &error));
  return handle;
}

static void
make_pair (int type, UsockHandle **first, UsockHandle **second)
{
  usock_test_no_error (usock_handle_new_pair (type, first, second, &error));
}

/* Two that send to each other over the loopback interface. */
static void
make_inet_pair (int family, int type, UsockHandle **first, UsockHandle **second)
{
  g_autoptr (UsockHandle) listener = handle_new (family, type, 0);
  g_autoptr (GSocketAddress) loopback = NULL;
  GSocketAddress *address;

  usock_test_no_error (
      loopback = usock_address_parse (family == AF_INET ? "127.0.0.1:0" : "[::1]:0", &error));
  usock_test_no_error (usock_handle_bind_to_address (listener, loopback, &error));
  if (type == SOCK_STREAM)
    usock_test_no_error (usock_handle_listen (listener, 1, &error));
  address = usock_socket_get_local_address (USOCK_SOCKET (listener));
  *first = handle_new (family, type, 0);
  usock_test_no_error (usock_handle_connect_to_address (*first, address, LONG, &error));
  if (type == SOCK_STREAM)
    usock_test_no_error (*second = usock_handle_accept (listener, LONG, NULL, &error));
  else
    {
      usock_test_no_error (usock_handle_connect_to_address (
          listener, usock_socket_get_local_address (USOCK_SOCKET (*first)), LONG, &error));
      *second = g_steal_pointer (&listener);
    }
}

static void
set_option (UsockHandle *handle, int level, int name)
{
  int on = 1;

  g_assert_no_errno (setsockopt (usock_socket_get_fd (USOCK_SOCKET (handle)), level, name, &on,
                                 sizeof on));
}

static void
send_text (UsockHandle *handle, const char *text, UsockMsgFlags flags)
{
  gssize length = strlen (text);

  usock_test_no_error (
      usock_handle_send (handle, (const guint8 *) text, length, flags, LONG, &error) == length);
}

static void
send_message (UsockHandle *handle, UsockMessage *message)
{
  usock_test_no_error (usock_handle_sendmsg (handle, message, NULL, 0, LONG, &error)
                       == (gssize) usock_message_get_length (message));
}

static UsockMessage *
receive (UsockHandle *handle, gsize size, UsockMsgFlags flags)
{
  UsockMessage *message;

  usock_test_no_error (message = usock_handle_recvmsg (handle, size, flags, LONG, &error));
  return message;
}

static void
assert_text (UsockMessage *message, const char *expected)
{
  gsize length;
  const guint8 *bytes = usock_message_get_data (message, &length);

  g_assert_cmpmem (bytes, length, expected, strlen (expected));
}

static void
assert_bytes (GBytes *bytes, const char *expected, gsize expected_length)
{
  gsize length;
  gconstpointer data = g_bytes_get_data (bytes, &length);

  g_assert_cmpmem (data, length, expected, expected_length);
}

static void
assert_control (UsockMessage *message, int level, int type, const char *expected)
{
  g_autoptr (GVariant) value = usock_message_lookup_control (message, level, type);
  g_autofree char *text = value != NULL ? g_variant_print (value, TRUE) : NULL;

  g_assert_cmpstr (text, ==, expected);
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

static UsockMessage *
message_with_fds (const char *text, guint n_fds)
{
  UsockMessage *message = usock_message_new_from_text (text);

  for (guint i = 0; i < n_fds; i++)
    usock_test_no_error (usock_message_append_fd (message, 0, &error));
  return message;
}

static void
test_truncated (UsockTest *test, gconstpointer data)
{
  for (guint i = 1; i < G_N_ELEMENTS (local_types); i++)
    {
      g_autoptr (UsockHandle) first = NULL;
      g_autoptr (UsockHandle) second = NULL;
      g_autoptr (UsockMessage) message = NULL;
      g_autoptr (UsockMessage) looked = NULL;
      g_autoptr (GBytes) bytes = NULL;
      g_autoptr (GError) failure = NULL;

      make_pair (local_types[i], &first, &second);
      for (guint j = 0; j < 3; j++)
        send_text (first, "0123456789", 0);

      looked = receive (second, 0, USOCK_MSG_PEEK);
      g_assert_cmpuint (usock_message_get_length (looked), ==, 0);
      g_assert_cmpuint (usock_message_get_full_length (looked), ==, 10);
      message = receive (second, 4, 0);
      assert_text (message, "0123");
      g_assert_cmpuint (usock_message_get_full_length (message), ==, 10);
      g_assert_cmpint (usock_message_get_flags (message), ==, USOCK_MESSAGE_FLAGS_TRUNCATED);
      g_assert_cmpint (usock_message_get_received_flags (message) & USOCK_MSG_TRUNC, !=, 0);

      g_assert_null (usock_handle_receive (second, 4, 0, LONG, &failure));
      g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
      g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (second)), ==, EMSGSIZE);
      usock_test_no_error (
          bytes = usock_handle_receive (second, 4, USOCK_MSG_TRUNC, LONG, &error));
      assert_bytes (bytes, "0123", 4);
    }
}

/* Looking makes no descriptors, however often; without a peek they come once. */
static void
test_peek (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (local_types); i++)
    {
      g_autoptr (UsockHandle) first = NULL;
      g_autoptr (UsockHandle) second = NULL;
      g_autoptr (UsockMessage) sent = message_with_fds ("abc", 3);
      g_autoptr (UsockMessage) taken = NULL;
      guint before;

      make_pair (local_types[i], &first, &second);
      set_option (second, SOL_SOCKET, SO_PASSCRED);
      send_message (first, sent);
      before = count_fds ();
      for (guint j = 0; j < 1000; j++)
        {
          g_autoptr (UsockMessage) looked = receive (second, 2, USOCK_MSG_PEEK);

          assert_text (looked, "ab");
          g_assert_cmpuint (usock_message_get_n_fds (looked), ==, 0);
          g_assert_cmpint (usock_message_get_flags (looked) & USOCK_MESSAGE_FLAGS_FDS_LOST, ==, 0);
          g_assert_cmpuint (count_fds (), ==, before);
        }

      taken = receive (second, 100, 0);
      assert_text (taken, "abc");
      assert_control (taken, SOL_SOCKET, SCM_RIGHTS, "['device', 'device', 'device']");
      g_assert_cmpuint (count_fds (), ==, before + 3);
    }
}

/* Where the marker is switched off, no record is asked for while peeking. */
static void
test_peek_unmarked (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) sent = message_with_fds ("abc", 3);
  g_autoptr (UsockMessage) looked = NULL;
  int off = 0;
  guint before;

  make_pair (SOCK_SEQPACKET, &first, &second);
  g_assert_no_errno (setsockopt (usock_socket_get_fd (USOCK_SOCKET (second)), SOL_SOCKET,
                                 SO_TIMESTAMPNS, &off, sizeof off));
  send_message (first, sent);
  before = count_fds ();
  looked = receive (second, 10, USOCK_MSG_PEEK);
  assert_text (looked, "abc");
  g_assert_cmpuint (count_fds (), ==, before);
}

/* Who receives bytes gets no descriptors, and nobody else keeps them. */
static void
test_bytes_only (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (local_types); i++)
    {
      g_autoptr (UsockHandle) first = NULL;
      g_autoptr (UsockHandle) second = NULL;
      g_autoptr (UsockMessage) sent = message_with_fds ("abc", 3);
      g_autoptr (GBytes) bytes = NULL;
      guint before;

      make_pair (local_types[i], &first, &second);
      send_message (first, sent);
      before = count_fds ();
      usock_test_no_error (bytes = usock_handle_receive (second, 10, 0, LONG, &error));
      assert_bytes (bytes, "abc", 3);
      usock_test_spin_until (count_fds () == before);
    }
}

static void
test_segments (UsockTest *test, gconstpointer data)
{
  static const gsize sizes[] = { 2, 0, 70, 40, 5 };
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);

  for (guint i = 0; i < 100; i++)
    {
      g_autoptr (GBytes) segment = g_bytes_new (&(guint8) { i }, 1);

      usock_message_append_bytes (message, segment);
    }
  g_assert_cmpuint (usock_message_get_n_segments (message), ==, 101);

  for (guint i = 0; i < G_N_ELEMENTS (local_types); i++)
    {
      g_autoptr (UsockHandle) first = NULL;
      g_autoptr (UsockHandle) second = NULL;
      g_autoptr (UsockMessage) received = NULL;
      gsize offset = 0;

      make_pair (local_types[i], &first, &second);
      send_message (first, message);
      usock_test_no_error (received = usock_handle_recvmsg_segments (
                               second, sizes, G_N_ELEMENTS (sizes), 0, LONG, &error));
      g_assert_cmpuint (usock_message_get_length (received), ==, 100);
      g_assert_cmpuint (usock_message_get_n_segments (received), ==, 5);
      for (guint j = 0; j < 5; j++)
        {
          gsize length;
          const guint8 *bytes
              = g_bytes_get_data (usock_message_get_segment (received, j), &length);

          g_assert_cmpuint (length, ==, MIN (sizes[j], 100 - offset));
          for (gsize k = 0; k < length; k++)
            g_assert_cmpuint (bytes[k], ==, offset + k);
          offset += length;
        }
      g_assert_null (usock_message_get_segment (received, 5));
      g_assert_true (g_bytes_equal (usock_message_get_bytes (received),
                                    usock_message_get_bytes (message)));
    }
}

static void
test_into (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) sent = message_with_fds ("0123456789", 1);
  g_autoptr (UsockMessage) message = NULL;
  g_autoptr (UsockMessage) cut = NULL;
  g_autoptr (GError) none = NULL;
  guint8 buffer[16];
  gsize length = 7;

  memset (buffer, '.', sizeof buffer);
  make_pair (SOCK_SEQPACKET, &first, &second);
  send_message (first, sent);
  send_text (first, "0123456789", 0);
  usock_test_no_error (message = usock_handle_recvmsg_into (second, buffer, 16, 0, LONG, &length,
                                                            &error));
  g_assert_cmpmem (buffer, 16, "0123456789......", 16);
  g_assert_cmpuint (length, ==, 10);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 1);
  g_assert_cmpuint (usock_message_get_length (message), ==, 0);
  g_assert_cmpint (usock_message_get_flags (message), ==, 0);
  g_assert_cmpint (usock_message_get_timestamp (message), >, 0);

  usock_test_no_error (
      cut = usock_handle_recvmsg_into (second, buffer, 3, 0, LONG, &length, &error));
  g_assert_cmpuint (length, ==, 3);
  g_assert_cmpuint (usock_message_get_full_length (cut), ==, 10);
  g_assert_cmpint (usock_message_get_flags (cut), ==, USOCK_MESSAGE_FLAGS_TRUNCATED);

  usock_socket_close (USOCK_SOCKET (first));
  g_assert_null (usock_handle_recvmsg_into (second, buffer, 3, 0, LONG, &length, &none));
  g_assert_no_error (none);
}

static gpointer
send_parts (gpointer handle)
{
  for (guint i = 0; i < 10; i++)
    send_text (handle, "0123456789", 0);
  return NULL;
}

static void
test_wait_all (UsockTest *test, gconstpointer data)
{
  for (int family = AF_UNIX; family <= AF_INET; family += AF_INET - AF_UNIX)
    {
      g_autoptr (UsockHandle) first = NULL;
      g_autoptr (UsockHandle) second = NULL;
      g_autoptr (GBytes) bytes = NULL;
      g_autoptr (GBytes) rest = NULL;
      g_autoptr (UsockMessage) last = NULL;
      GThread *thread;

      if (family == AF_UNIX)
        make_pair (SOCK_STREAM, &first, &second);
      else
        make_inet_pair (AF_INET, SOCK_STREAM, &first, &second);
      thread = g_thread_new ("sender", send_parts, first);
      usock_test_no_error (
          bytes = usock_handle_receive (second, 75, USOCK_MSG_WAITALL, LONG, &error));
      g_assert_cmpuint (g_bytes_get_size (bytes), ==, 75);
      for (guint i = 0; i < 75; i++)
        g_assert_cmpint (((const char *) g_bytes_get_data (bytes, NULL))[i], ==, '0' + i % 10);
      g_thread_join (thread);

      /* What there is when the time is over. */
      usock_test_no_error (
          rest = usock_handle_receive (second, 75, USOCK_MSG_WAITALL, 20, &error));
      g_assert_cmpuint (g_bytes_get_size (rest), ==, 25);

      send_text (first, "end", 0);
      usock_socket_close (USOCK_SOCKET (first));
      last = receive (second, 75, USOCK_MSG_WAITALL);
      assert_text (last, "end");
    }
}

/* Descriptors stay with their bytes. */
static void
test_wait_all_fds (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) one = message_with_fds ("one", 1);
  g_autoptr (UsockMessage) two = message_with_fds ("two", 2);
  g_autoptr (UsockMessage) received = NULL;
  g_autoptr (UsockMessage) more = NULL;

  make_pair (SOCK_STREAM, &first, &second);
  send_message (first, one);
  send_message (first, two);
  received = receive (second, 6, USOCK_MSG_WAITALL);
  assert_text (received, "one");
  g_assert_cmpuint (usock_message_get_n_fds (received), ==, 1);
  more = receive (second, 6, USOCK_MSG_WAITALL | USOCK_MSG_DONTWAIT);
  assert_text (more, "two");
  g_assert_cmpuint (usock_message_get_n_fds (more), ==, 2);
}

static void
test_no_byte_for_fds (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) message = message_with_fds ("", 1);
  g_autoptr (GError) error = NULL;

  make_pair (SOCK_STREAM, &first, &second);
  g_assert_cmpint (usock_handle_sendmsg (first, message, NULL, 0, LONG, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
}

static void
test_out_of_band (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) urgent = NULL;
  g_autoptr (UsockMessage) plain = NULL;
  UsockSocket *sockets[1];
  g_autofree guint *ready = NULL;
  gsize n_ready;

  make_inet_pair (AF_INET, SOCK_STREAM, &first, &second);
  send_text (first, "plain", 0);
  send_text (first, "!", USOCK_MSG_OOB);
  sockets[0] = USOCK_SOCKET (second);
  usock_test_no_error (ready = usock_poll (sockets, 1, &(guint) { USOCK_POLL_PRI }, 1, LONG, NULL,
                                           &n_ready, &error));
  g_assert_cmpuint (ready[0], ==, USOCK_POLL_PRI);
  urgent = receive (second, 10, USOCK_MSG_OOB);
  assert_text (urgent, "!");
  g_assert_cmpint (usock_message_get_received_flags (urgent) & USOCK_MSG_OOB, !=, 0);
  plain = receive (second, 10, 0);
  assert_text (plain, "plain");
}

/* Flags that have a meaning for UDP, or none. */
static void
test_flags (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockHandle) one = NULL;
  g_autoptr (UsockHandle) other = NULL;
  g_autoptr (UsockMessage) received = NULL;
  g_autoptr (UsockMessage) record = NULL;

  make_inet_pair (AF_INET, SOCK_DGRAM, &first, &second);
  send_text (first, "more", USOCK_MSG_MORE);
  send_text (first, "over",
             USOCK_MSG_CONFIRM | USOCK_MSG_DONTROUTE | USOCK_MSG_NOSIGNAL | USOCK_MSG_DONTWAIT);
  received = receive (second, 100, USOCK_MSG_CMSG_CLOEXEC | USOCK_MSG_WAITALL);
  assert_text (received, "moreover");
  {
    g_autofree char *sender
        = usock_address_to_string (usock_message_get_sender_address (received));

    g_assert_cmpstr (sender, ==, usock_message_get_sender (received));
    g_assert_true (usock_message_get_sender_address (received)
                   == usock_message_get_sender_address (received));
  }
  g_assert_cmpint (usock_message_get_received_flags (received), ==, 0);
  g_assert_true (g_str_has_prefix (usock_message_get_sender (received), "127.0.0.1:"));

  make_pair (SOCK_SEQPACKET, &one, &other);
  send_text (one, "record", USOCK_MSG_EOR);
  record = receive (other, 100, USOCK_MSG_CMSG_CLOEXEC);
  assert_text (record, "record");
  g_assert_null (usock_message_get_sender_address (record));
}

/* What TCP throws away is counted, and not made up. */
static void
test_discard (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) gone = NULL;
  g_autoptr (UsockMessage) rest = NULL;

  make_inet_pair (AF_INET6, SOCK_STREAM, &first, &second);
  send_text (first, "0123456789", 0);
  gone = receive (second, 4, USOCK_MSG_TRUNC);
  g_assert_cmpuint (usock_message_get_length (gone), ==, 0);
  g_assert_cmpuint (usock_message_get_full_length (gone), ==, 4);
  g_assert_cmpint (usock_message_get_flags (gone), ==, USOCK_MESSAGE_FLAGS_TRUNCATED);
  rest = receive (second, 100, 0);
  assert_text (rest, "456789");
}

static void
test_fast_open (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) listener = handle_new (AF_INET, SOCK_STREAM, 0);
  g_autoptr (GSocketAddress) loopback = NULL;

  usock_test_no_error (loopback = usock_address_parse ("127.0.0.1:0", &error));
  usock_test_no_error (usock_handle_bind_to_address (listener, loopback, &error));
  set_option (listener, IPPROTO_TCP, TCP_FASTOPEN);
  usock_test_no_error (usock_handle_listen (listener, 5, &error));
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (UsockHandle) client = handle_new (AF_INET, SOCK_STREAM, 0);
      g_autoptr (UsockHandle) accepted = NULL;
      g_autoptr (UsockMessage) message = NULL;
      GSocketAddress *address = usock_socket_get_local_address (USOCK_SOCKET (listener));

      usock_test_no_error (usock_handle_send_to (client, (const guint8 *) "early", 5, address,
                                                 USOCK_MSG_FASTOPEN, LONG, &error)
                           == 5);
      usock_test_no_error (accepted = usock_handle_accept (listener, LONG, NULL, &error));
      message = receive (accepted, 100, 0);
      assert_text (message, "early");
    }
}

/* What became of a datagram that nobody received. */
static void
test_error_queue (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) handle = handle_new (AF_INET, SOCK_DGRAM, 0);
  g_autoptr (UsockHandle) gone = handle_new (AF_INET, SOCK_DGRAM, 0);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (UsockMessage) message = NULL;
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GError) failure = NULL;
  const char *offender;
  guint32 errnum;

  g_assert_null (usock_handle_recvmsg (handle, 10, USOCK_MSG_ERRQUEUE, 0, &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);

  set_option (handle, IPPROTO_IP, IP_RECVERR);
  usock_test_no_error (address = usock_address_parse ("127.0.0.1:9", &error));
  usock_socket_close (USOCK_SOCKET (gone));
  usock_test_no_error (usock_handle_send_to (handle, (const guint8 *) "lost", 4, address, 0, LONG,
                                             &error)
                       == 4);
  message = receive (handle, 100, USOCK_MSG_ERRQUEUE);
  assert_text (message, "lost");
  g_assert_cmpint (usock_message_get_received_flags (message) & USOCK_MSG_ERRQUEUE, !=, 0);
  value = usock_message_lookup_control (message, IPPROTO_IP, IP_RECVERR);
  g_variant_get (value, "(uyyyuu&s)", &errnum, NULL, NULL, NULL, NULL, NULL, &offender);
  g_assert_cmpuint (errnum, ==, ECONNREFUSED);
  g_assert_true (g_str_has_prefix (offender, "127.0.0.1"));
}

static void
test_inet_controls (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  g_autoptr (UsockMessage) received = NULL;
  g_autoptr (GError) failure = NULL;
  g_autofree char *info = g_strdup_printf ("(%u, '127.0.0.1', '127.0.0.1')", if_nametoindex ("lo"));

  make_inet_pair (AF_INET, SOCK_DGRAM, &first, &second);
  set_option (second, IPPROTO_IP, IP_RECVTTL);
  set_option (second, IPPROTO_IP, IP_RECVTOS);
  set_option (second, IPPROTO_IP, IP_PKTINFO);
  set_option (second, IPPROTO_IP, IP_RECVORIGDSTADDR);
  set_option (second, SOL_SOCKET, SO_TIMESTAMP);
  usock_test_no_error (usock_message_append_control_value (
      message, IPPROTO_IP, IP_TTL, g_variant_new_int32 (33), &error));
  usock_test_no_error (usock_message_append_control_value (
      message, IPPROTO_IP, IP_TOS, g_variant_new_byte (0x10), &error));
  usock_test_no_error (usock_message_append_control_value (
      message, IPPROTO_IP, IP_PKTINFO,
      g_variant_new ("(iss)", 0, "127.0.0.1", "0.0.0.0"), &error));
  g_assert_false (usock_message_append_control_value (message, IPPROTO_IP, IP_TTL,
                                                      g_variant_new_string ("33"), &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&failure);
  send_message (first, message);

  received = receive (second, 100, 0);
  assert_control (received, IPPROTO_IP, IP_TTL, "33");
  assert_control (received, IPPROTO_IP, IP_TOS, "16");
  assert_control (received, IPPROTO_IP, IP_PKTINFO, info);
  g_assert_cmpint (usock_message_get_timestamp (received), >, 0);
  assert_control (received, SOL_SOCKET, SCM_TIMESTAMPNS, NULL);
  {
    g_autoptr (GVariant) time
        = usock_message_lookup_control (received, SOL_SOCKET, SCM_TIMESTAMP);
    g_autoptr (GVariant) destination
        = usock_message_lookup_control (received, IPPROTO_IP, IP_ORIGDSTADDR);

    g_assert_cmpstr (g_variant_get_type_string (time), ==, "(xx)");
    g_assert_true (g_str_has_prefix (g_variant_get_string (destination, NULL), "127.0.0.1:"));
  }

  g_assert_false (usock_message_append_control_value (message, IPPROTO_IP, IP_TTL,
                                                      g_variant_new_int32 (1), &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_BUSY);
}

static void
test_inet6_controls (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  g_autoptr (UsockMessage) received = NULL;
  g_autofree char *info = g_strdup_printf ("(%u, '::1')", if_nametoindex ("lo"));

  make_inet_pair (AF_INET6, SOCK_DGRAM, &first, &second);
  set_option (second, IPPROTO_IPV6, IPV6_RECVHOPLIMIT);
  set_option (second, IPPROTO_IPV6, IPV6_RECVTCLASS);
  set_option (second, IPPROTO_IPV6, IPV6_RECVPKTINFO);
  usock_test_no_error (usock_message_append_control_value (
      message, IPPROTO_IPV6, IPV6_HOPLIMIT, g_variant_new_int32 (33), &error));
  usock_test_no_error (usock_message_append_control_value (
      message, IPPROTO_IPV6, IPV6_TCLASS, g_variant_new_uint64 (0x20), &error));
  usock_test_no_error (usock_message_append_control_value (
      message, IPPROTO_IPV6, IPV6_PKTINFO, g_variant_new ("(is)", 0, "::1"), &error));
  send_message (first, message);

  received = receive (second, 100, 0);
  assert_control (received, IPPROTO_IPV6, IPV6_HOPLIMIT, "33");
  assert_control (received, IPPROTO_IPV6, IPV6_TCLASS, "32");
  assert_control (received, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

/* What the kernel refuses is an error, and what the library does. */
static void
test_bad_controls (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
  g_autoptr (UsockMessage) received = NULL;
  g_autoptr (GBytes) bytes = g_bytes_new ("1234", 4);
  g_autoptr (GBytes) empty = g_bytes_new (NULL, 0);
  g_autoptr (GBytes) huge = g_bytes_new_take (g_malloc0 (20000), 20000);
  g_autoptr (GError) failure = NULL;

  make_pair (SOCK_SEQPACKET, &first, &second);
  g_assert_false (usock_message_append_control (message, SOL_SOCKET, SCM_RIGHTS, bytes, &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&failure);
  g_assert_false (usock_message_append_control (message, 300, 1, huge, &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&failure);

  usock_test_no_error (usock_message_append_control (message, 300, 1, bytes, &error));
  usock_test_no_error (usock_message_append_control (message, 300, 2, empty, &error));
  assert_control (message, 300, 1, "[byte 0x31, 0x32, 0x33, 0x34]");
  assert_control (message, 300, 2, "@ay []");
  send_message (first, message);
  received = receive (second, 10, 0);
  assert_control (received, 300, 1, NULL);

  message = (usock_message_unref (message), usock_message_new_from_text ("x"));
  usock_test_no_error (usock_message_append_control (message, SOL_SOCKET, 9999, bytes, &error));
  g_assert_cmpint (usock_handle_sendmsg (first, message, NULL, 0, LONG, &failure), ==, -1);
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
}

static void
test_credentials (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (local_types); i++)
    {
      g_autoptr (UsockHandle) first = NULL;
      g_autoptr (UsockHandle) second = NULL;
      g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");
      g_autoptr (UsockMessage) received = NULL;
      g_autoptr (GCredentials) own = g_credentials_new ();
      g_autofree char *expected = g_strdup_printf ("(%d, uint32 %u, uint32 %u)", getpid (),
                                                   getuid (), getgid ());
      int pidfd;

      make_pair (local_types[i], &first, &second);
      set_option (second, SOL_SOCKET, SO_PASSCRED);
      usock_message_set_credentials (message, own);
      send_message (first, message);
      received = receive (second, 10, 0);
      assert_control (received, SOL_SOCKET, SCM_CREDENTIALS, expected);
      pidfd = usock_message_dup_pidfd (received, NULL);
      g_assert_cmpint (pidfd, ==, -1);
    }
}

/* What a hostile peer sends, in each order and number, with each set of options: every descriptor
 * is found, or closed by the kernel. */
static void
send_orders (int fd, guint order)
{
  _Alignas (16) char buffer[1024] = { 0 };
  struct iovec iov = { (char *) "x", 1 };
  struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = buffer };
  struct ucred own = { getpid (), getuid (), getgid () };
  gsize used = 0;

  for (; order > 0; order /= 5)
    {
      struct cmsghdr *record = (struct cmsghdr *) (buffer + used);
      guint n_fds = order % 5 == 4 ? 3 : order % 5 - 1;

      record->cmsg_level = SOL_SOCKET;
      if (order % 5 == 1)
        {
          record->cmsg_type = SCM_CREDENTIALS;
          record->cmsg_len = CMSG_LEN (sizeof own);
          memcpy (CMSG_DATA (record), &own, sizeof own);
          used += CMSG_SPACE (sizeof own);
          continue;
        }
      if (order % 5 == 0)
        n_fds = 0;
      record->cmsg_type = SCM_RIGHTS;
      record->cmsg_len = CMSG_LEN (n_fds * sizeof (int));
      memset (CMSG_DATA (record), 0, n_fds * sizeof (int));
      used += CMSG_SPACE (n_fds * sizeof (int));
    }

  header.msg_controllen = used;
  g_assert_cmpint (sendmsg (fd, &header, 0), ==, 1);
}

static guint
count_order (guint order)
{
  guint n = 0;

  for (; order > 0; order /= 5)
    n += order % 5 == 4 ? 3 : order % 5 >= 2 ? order % 5 - 1 : 0;
  return n;
}

static void
test_hostile_peer (UsockTest *test, gconstpointer data)
{
  static const int options[] = { SO_PASSCRED, SO_PASSPIDFD, SO_TIMESTAMPNS, SO_TIMESTAMP };

  for (guint set = 0; set < 16; set++)
    {
      g_autoptr (UsockHandle) first = NULL;
      g_autoptr (UsockHandle) second = NULL;
      guint before;

      make_pair (local_types[set % 3], &first, &second);
      for (guint i = 0; i < G_N_ELEMENTS (options); i++)
        if (set & 1 << i)
          setsockopt (usock_socket_get_fd (USOCK_SOCKET (second)), SOL_SOCKET, options[i],
                      &(int) { 1 }, sizeof (int));
      before = count_fds ();
      for (guint order = 0; order < 625; order++)
        {
          g_autoptr (UsockMessage) message = NULL;
          gint *fds;
          gsize n_fds;

          send_orders (usock_socket_get_fd (USOCK_SOCKET (first)), order);
          message = receive (second, 10, 0);
          assert_text (message, "x");
          g_assert_cmpuint (usock_message_get_n_fds (message), ==, count_order (order));
          g_assert_cmpint (usock_message_get_flags (message), ==, 0);
          if (set & 1)
            g_assert_nonnull (usock_message_get_credentials (message));
          if (order % 2 == 0)
            continue;
          fds = usock_message_take_fds (message, &n_fds);
          for (gsize i = 0; i < n_fds; i++)
            g_assert_no_errno (close (fds[i]));
          g_free (fds);
        }
      usock_test_spin_until (count_fds () == before);
    }
}

/* The process that sent a message, on each kind of channel, and through a server. */
static void
test_pidfd (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockMessage) received = NULL;
  g_autofree char *contents = NULL;
  g_autofree char *expected = g_strdup_printf ("\nPid:\t%d\n", getpid ());
  g_autofree char *path = NULL;
  int pidfd;

  make_pair (SOCK_DGRAM, &first, &second);
  if (setsockopt (usock_socket_get_fd (USOCK_SOCKET (second)), SOL_SOCKET, SO_PASSPIDFD,
                  &(int) { 1 }, sizeof (int))
      == -1)
    {
      g_test_skip ("this kernel has no SO_PASSPIDFD");
      return;
    }

  send_text (first, "x", 0);
  received = receive (second, 10, 0);
  assert_control (received, SOL_SOCKET, SCM_PIDFD, "'pidfd'");
  usock_test_no_error ((pidfd = usock_message_dup_pidfd (received, &error)) >= 0);
  g_assert_cmpint (fcntl (pidfd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  path = g_strdup_printf ("/proc/self/fdinfo/%d", pidfd);
  usock_test_no_error (g_file_get_contents (path, &contents, NULL, &error));
  g_assert_nonnull (strstr (contents, expected));
  g_assert_no_errno (close (pidfd));
}

/* The kernel answers; of its addresses there is no text. */
static void
test_netlink (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) handle = handle_new (USOCK_AF_NETLINK, USOCK_SOCK_RAW, 0);
  g_autoptr (UsockMessage) answer = NULL;
  struct
  {
    struct nlmsghdr header;
    struct ifinfomsg body;
  } question = { { sizeof question, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, { 0 } };

  usock_test_no_error (usock_handle_send (handle, (const guint8 *) &question, sizeof question, 0,
                                          LONG, &error)
                       == sizeof question);
  answer = receive (handle, 65536, 0);
  g_assert_cmpuint (usock_message_get_length (answer), >, sizeof (struct nlmsghdr));
  g_assert_null (usock_message_get_sender (answer));
  g_assert_cmpint (g_socket_address_get_family (usock_message_get_sender_address (answer)), ==,
                   AF_NETLINK);
}

/* The loopback interface shows each packet twice, leaving and coming, which the address tells. */
static void
test_packet (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockHandle) capture = NULL;
  g_autoptr (UsockHandle) first = NULL;
  g_autoptr (UsockHandle) second = NULL;
  g_autoptr (UsockHandle) receiver = NULL;
  g_autoptr (UsockHandle) sender = NULL;
  g_autoptr (UsockPacketAddress) interface = NULL;
  g_autoptr (UsockMessage) frame = NULL;
  guint seen = 0;

  if (!own_network)
    {
      g_test_skip ("a network namespace of its own takes privileges");
      return;
    }

  capture = handle_new (USOCK_AF_PACKET, USOCK_SOCK_DGRAM, g_htons (USOCK_ETH_P_ALL));
  g_assert_no_errno (setsockopt (usock_socket_get_fd (USOCK_SOCKET (capture)), SOL_PACKET,
                                 USOCK_PACKET_AUXDATA, &(int) { 1 }, sizeof (int)));
  usock_test_no_error (
      interface = usock_packet_address_new_for_interface ("lo", USOCK_ETH_P_ALL, &error));
  usock_test_no_error (
      usock_handle_bind_to_address (capture, G_SOCKET_ADDRESS (interface), &error));
  make_inet_pair (AF_INET, SOCK_DGRAM, &first, &second);
  send_text (first, "seen from below", 0);
  while (seen != (1 << USOCK_PACKET_TYPE_HOST | 1 << USOCK_PACKET_TYPE_OUTGOING))
    {
      g_autoptr (UsockMessage) packet = receive (capture, 2000, USOCK_MSG_CMSG_CLOEXEC);
      g_autoptr (GVariant) auxdata
          = usock_message_lookup_control (packet, SOL_PACKET, USOCK_PACKET_AUXDATA);
      gsize length;
      const guint8 *bytes = usock_message_get_data (packet, &length);

      g_assert_cmpstr (g_variant_get_type_string (auxdata), ==, "(uuuqqqq)");
      g_assert_cmpint (usock_message_get_flags (packet), ==, 0);
      g_assert_true (
          g_str_has_prefix (usock_message_get_sender (packet), "[00:00:00:00:00:00%lo]:0x"));
      if (length == 20 + 8 + 15 && memcmp (bytes + 28, "seen from below", 15) == 0)
        seen |= 1 << usock_packet_address_get_packet_type (
                    USOCK_PACKET_ADDRESS (usock_message_get_sender_address (packet)));
    }
  g_assert_null (usock_handle_receive (capture, 0, USOCK_MSG_ERRQUEUE, 0, NULL));

  /* What is sent to the link layer comes from there. */
  usock_socket_close (USOCK_SOCKET (capture));
  g_clear_object (&interface);
  usock_test_no_error (
      interface = usock_packet_address_new_for_interface ("lo", 0x88b5, &error));
  usock_test_no_error (receiver = usock_handle_new_listening (G_SOCKET_ADDRESS (interface),
                                                              USOCK_SOCK_DGRAM, 0, &error));
  sender = handle_new (USOCK_AF_PACKET, USOCK_SOCK_DGRAM, 0);
  usock_test_no_error (usock_handle_send_to (sender, (const guint8 *) "frame", 5,
                                             G_SOCKET_ADDRESS (interface), 0, LONG, &error)
                       == 5);
  frame = receive (receiver, 100, 0);
  assert_text (frame, "frame");
}

static gboolean
make_network (void)
{
  struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK };
  int fd;

  if (unshare (CLONE_NEWNET) == -1)
    return FALSE;

  fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_assert_no_errno (ioctl (fd, SIOCSIFFLAGS, &request));
  close (fd);
  return TRUE;
}

/* No datagram of the internet is that long; the error says how long it was. */
static void
test_too_large (UsockTest *test, gconstpointer data)
{
  const gsize length = 70000;
  g_autofree guint8 *bytes = g_malloc0 (length);
  g_autoptr (GSocketAddress) address = usock_address_parse ("127.0.0.1:9", NULL);
  g_autoptr (UsockHandle) handle = NULL;
  g_autoptr (GError) failure = NULL;

  usock_test_no_error (handle = usock_handle_new_socket (AF_INET, SOCK_DGRAM, 0, &error));
  g_assert_cmpint (
      usock_handle_send_to (handle, bytes, length, address, 0, LONG, &failure), ==, -1);
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
  g_assert_nonnull (strstr (failure->message, "70000"));
  g_assert_nonnull (strstr (failure->message, "127.0.0.1:9"));
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (handle)), ==, EMSGSIZE);
}

int
main (int argc, char *argv[])
{
  own_network = make_network ();
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/handle-message/truncated", test_truncated);
  usock_test_add ("/usock/handle-message/too-large", test_too_large);
  usock_test_add ("/usock/handle-message/peek", test_peek);
  usock_test_add ("/usock/handle-message/peek-unmarked", test_peek_unmarked);
  usock_test_add ("/usock/handle-message/bytes-only", test_bytes_only);
  usock_test_add ("/usock/handle-message/segments", test_segments);
  usock_test_add ("/usock/handle-message/into", test_into);
  usock_test_add ("/usock/handle-message/wait-all", test_wait_all);
  usock_test_add ("/usock/handle-message/wait-all-fds", test_wait_all_fds);
  usock_test_add ("/usock/handle-message/no-byte-for-fds", test_no_byte_for_fds);
  usock_test_add ("/usock/handle-message/out-of-band", test_out_of_band);
  usock_test_add ("/usock/handle-message/flags", test_flags);
  usock_test_add ("/usock/handle-message/discard", test_discard);
  usock_test_add ("/usock/handle-message/fast-open", test_fast_open);
  usock_test_add ("/usock/handle-message/error-queue", test_error_queue);
  usock_test_add ("/usock/handle-message/inet-controls", test_inet_controls);
  usock_test_add ("/usock/handle-message/inet6-controls", test_inet6_controls);
  usock_test_add ("/usock/handle-message/bad-controls", test_bad_controls);
  usock_test_add ("/usock/handle-message/credentials", test_credentials);
  usock_test_add ("/usock/handle-message/hostile-peer", test_hostile_peer);
  usock_test_add ("/usock/handle-message/pidfd", test_pidfd);
  usock_test_add ("/usock/handle-message/netlink", test_netlink);
  usock_test_add ("/usock/handle-message/packet", test_packet);

  return g_test_run ();
}
