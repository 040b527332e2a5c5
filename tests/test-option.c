/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usock-option-private.h"
#include "usock-seqpacket.h"
#include "usock-dgram.h"
#include "usock-server.h"

#define FUZZ_TURNS 20000
#define FUZZ_TURNS_LONG 5000000

/* One socket of each sort; between them they have nearly every option there is. */
enum
{
  UNIX,
  TCP,
  TCP6,
  UDP,
  UDP6,
  RAW,
  RAW6,
  PACKET,
  N_SOCKETS,
};

static gboolean have_namespace;
static gboolean have_kernel;

/* The options are tried in a network namespace of their own, where they can do no harm. */
static gboolean
enter_namespace (void)
{
  struct ifreq request = { .ifr_name = "lo" };
  gboolean up;
  int fd;

  if (unshare (CLONE_NEWNET) == -1)
    return FALSE;

  fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
  up = ioctl (fd, SIOCSIFFLAGS, &request) == 0;
  close (fd);
  return up;
}

static void
connect_to_itself (int fds[N_SOCKETS],
                   int index,
                   int family)
{
  int listener = socket (family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_storage name = { .ss_family = family };
  socklen_t length = family == AF_INET ? sizeof (struct sockaddr_in) : sizeof (struct sockaddr_in6);

  g_assert_cmpint (bind (listener, (struct sockaddr *) &name, length), ==, 0);
  g_assert_cmpint (listen (listener, 1), ==, 0);
  g_assert_cmpint (getsockname (listener, (struct sockaddr *) &name, &length), ==, 0);
  fds[index] = socket (family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (connect (fds[index], (struct sockaddr *) &name, length), ==, 0);
  close (listener);
}

static void
open_sockets (UsockTest *test,
              int        fds[N_SOCKETS])
{
  fds[UNIX] = test->pair[0];
  connect_to_itself (fds, TCP, AF_INET);
  connect_to_itself (fds, TCP6, AF_INET6);
  fds[UDP] = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  fds[UDP6] = socket (AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  fds[RAW] = socket (AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  fds[RAW6] = socket (AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  fds[PACKET] = socket (AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, g_htons (ETH_P_ALL));
  for (int i = 0; i < N_SOCKETS; i++)
    g_assert_cmpint (fds[i], >=, 0);
}

static void
close_sockets (const int fds[N_SOCKETS])
{
  for (int i = UNIX + 1; i < N_SOCKETS; i++)
    close (fds[i]);
}

static gboolean
skips_without_namespace (void)
{
  if (!have_namespace)
    g_test_skip ("no network namespace can be made here");
  return !have_namespace;
}

/* What emulates a machine for one program passes on few options, and some not as they are. */
static gboolean
is_kernel (void)
{
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  guint64 cookie;
  socklen_t length = sizeof cookie;
  gboolean knows = getsockopt (fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0;

  close (fd);
  return knows;
}

static gboolean
skips_without_kernel (void)
{
  if (!have_kernel)
    g_test_skip ("no kernel but an emulator answers");
  return !have_kernel;
}

static const UsockOption *
option_by_label (const char *label)
{
  for (guint i = 0; i < usock_option_n_known (); i++)
    if (g_str_equal (usock_option_nth (i)->label, label))
      return usock_option_nth (i);

  g_error ("There is no option %s", label);
}

/* What was read as a descriptor is ours. */
static void
release_value (const UsockOption *option,
               GVariant          *value)
{
  if (value != NULL && option->kind == USOCK_OPTION_NEW_FD)
    close (g_variant_get_handle (value));
  g_clear_pointer (&value, g_variant_unref);
}

/* Every one is read where it can be, and what was read is set again. */

static const char *const absent[] = {
  /* Connections that were redirected or belong to a label, devices and newer systems. */
  "SO_PEERSEC",       "SO_PEERGROUPS",      "SO_INQ",          "SO_RCVPRIORITY",
  "SO_PASSRIGHTS",    "SO_RCVMARK",         "SO_TXREHASH",     "SO_RESERVE_MEM",
  "IP_ORIGINAL_DST",  "IPV6_ORIGINAL_DST",  "SO_PASSPIDFD",    "IPV6_PATHMTU",
  "TCP_SAVED_SYN",    "TCP_REPAIR_QUEUE",   "TCP_QUEUE_SEQ",   "TCP_REPAIR_WINDOW",
  "TCP_AO_INFO",      "TCP_AO_REPAIR",      "TCP_RTO_MAX_MS",  "TCP_RTO_MIN_US",
  "TCP_DELACK_MAX_US", "TCP_IS_MPTCP",      "PACKET_VNET_HDR_SZ", "IP_LOCAL_PORT_RANGE",
  "IP_PROTOCOL",      "IPV6_RFC2292_PKTOPTIONS", "PACKET_TX_TIMESTAMP", "SO_PEERPIDFD",
  "PACKET_ROLLOVER_STATS", "TCP_FASTOPEN_KEY", "IP_MTU", "IPV6_MTU", "TCP_CC_INFO",
};

static void
assert_refused_by_system (const UsockOption *option,
                          const GError      *error,
                          int                errnum)
{
  if (errnum == 0)
    g_error ("%s: %s", option->label, error->message);
  g_assert_true (strstr (error->message, option->label) != NULL);
}

static gboolean
read_and_set_again (const UsockOption *option,
                    int                fd)
{
  g_autoptr (GError) error = NULL;
  int errnum = 0;
  GVariant *value = usock_option_get (fd, option->level, option->name, &errnum, &error);

  if (value == NULL)
    {
      assert_refused_by_system (option, error, errnum);
      return FALSE;
    }

  g_assert_false (g_variant_is_floating (value));
  g_assert_cmpstr (g_variant_get_type_string (value), ==, usock_option_get_format (option));
  if ((option->access & USOCK_OPTION_WRITABLE) != 0 && option->kind != USOCK_OPTION_FILTER
      && !usock_option_set (fd, option->level, option->name, value, &errnum, &error)
      && option->kind == USOCK_OPTION_BOOL)
    assert_refused_by_system (option, error, errnum);
  release_value (option, value);
  return TRUE;
}

static void
test_every_option (UsockTest     *test,
                   gconstpointer  unused)
{
  int fds[N_SOCKETS];
  guint n_read = 0;

  if (skips_without_namespace ())
    return;

  open_sockets (test, fds);
  for (guint i = 0; i < usock_option_n_known (); i++)
    {
      const UsockOption *option = usock_option_nth (i);
      gboolean found = FALSE;

      g_assert_true (usock_option_find (option->level, option->name) == option);
      if ((option->access & USOCK_OPTION_READABLE) == 0)
        continue;
      for (int j = 0; j < N_SOCKETS; j++)
        found |= read_and_set_again (option, fds[j]);
      if (!found && have_kernel && !g_strv_contains (absent, option->label))
        g_error ("No socket has %s", option->label);
      n_read += found;
    }
  g_assert_cmpuint (n_read, >, have_kernel ? 150 : 30);
  close_sockets (fds);
}

/* Every type of value goes in; where the answer is another one, it is said. */

static const struct
{
  const char *label;
  int socket;
  const char *value;
  const char *answer;
} values[] = {
  { "SO_KEEPALIVE", UNIX, "true" },
  { "SO_RCVLOWAT", UNIX, "12" },
  { "SO_RCVLOWAT", UNIX, "byte 0x0c", "12" },
  { "SO_RCVLOWAT", UNIX, "int64 12", "12" },
  { "SO_RCVLOWAT", UNIX, "uint64 12", "12" },
  { "SO_RCVBUF", UNIX, "5000", "10000" },
  { "SO_SNDBUFFORCE", UNIX, "5000000" },
  { "SO_MARK", UNIX, "uint32 4294967295" },
  { "SO_MAX_PACING_RATE", UNIX, "uint64 2147483648" },
#if GLIB_SIZEOF_LONG == 8
  { "SO_MAX_PACING_RATE", UNIX, "uint64 1099511627776" },
  { "SO_MAX_PACING_RATE", UNIX, "uint64 18446744073709551615" },
#endif
  { "SO_RCVTIMEO", UNIX, "int64 1500000" },
  { "SO_SNDTIMEO", UNIX, "int64 0" },
  { "SO_RCVTIMEO_NEW", UNIX, "int64 2500000" },
  { "SO_LINGER", UNIX, "(true, 5)" },
  { "SO_LINGER", UNIX, "(false, 0)", "(false, 5)" },
  { "SO_BINDTODEVICE", UDP, "'lo'" },
  { "SO_BINDTODEVICE", UDP, "''" },
  { "SO_BINDTOIFINDEX", UDP, "'lo'" },
  { "SO_BINDTOIFINDEX", UDP, "1", "'lo'" },
  { "SO_BINDTOIFINDEX", UDP, "'1'", "'lo'" },
  { "SO_BINDTOIFINDEX", UDP, "''" },
  { "SO_TXTIME", UDP, "(1, uint32 2)" },
  { "SO_ATTACH_FILTER", UNIX, "@a(qyyu) [(48, 0, 0, 0), (6, 0, 0, 4294967295)]" },
  { "SO_DETACH_FILTER", UNIX, NULL },
  { "SO_PEEK_OFF", UNIX, "3" },
  { "SO_CNX_ADVICE", TCP, "1" },
  { "SO_REUSEPORT", UDP, "true" },
  { "SO_ATTACH_REUSEPORT_CBPF", UDP, "@a(qyyu) [(6, 0, 0, 0)]" },
  { "IP_TOS", UDP, "16" },
  { "IP_TTL", UDP, "9" },
  { "IP_OPTIONS", UDP, "[byte 0x01, 0x01, 0x01, 0x00]" },
  { "IP_LOCAL_PORT_RANGE", UDP, "(uint16 20000, uint16 20100)" },
  { "IP_MULTICAST_IF", UDP, "'127.0.0.1'" },
  { "IP_MULTICAST_IF", UDP, "'lo'", "'0.0.0.0'" },
  { "IP_MULTICAST_IF", UDP, "1", "'0.0.0.0'" },
  { "IP_ADD_MEMBERSHIP", UDP, "('224.0.0.200', '', 'lo')" },
  { "IP_BLOCK_SOURCE", UDP, "('224.0.0.200', '127.0.0.1', '127.0.0.9')" },
  { "IP_UNBLOCK_SOURCE", UDP, "('224.0.0.200', '127.0.0.1', '127.0.0.9')" },
  { "IP_DROP_MEMBERSHIP", UDP, "('224.0.0.200', '', 'lo')" },
  { "IP_ADD_SOURCE_MEMBERSHIP", UDP, "('224.0.0.201', '127.0.0.1', '127.0.0.9')" },
  { "IP_MSFILTER", UDP, "('224.0.0.201', '127.0.0.1', uint32 1, ['127.0.0.7', '127.0.0.8'])" },
  { "IP_DROP_SOURCE_MEMBERSHIP", UDP, "('224.0.0.201', '127.0.0.1', '127.0.0.8')" },
  { "IP_MCAST_JOIN_GROUP", UDP, "('224.0.0.202', 'lo')" },
  { "IP_MCAST_BLOCK_SOURCE", UDP, "('224.0.0.202', 'lo', '127.0.0.9')" },
  { "IP_MCAST_UNBLOCK_SOURCE", UDP, "('224.0.0.202', 'lo', '127.0.0.9')" },
  { "IP_MCAST_MSFILTER", UDP, "('224.0.0.202', 'lo', uint32 0, ['127.0.0.9'])" },
  { "IP_MCAST_LEAVE_GROUP", UDP, "('224.0.0.202', 'lo')" },
  { "IP_MCAST_JOIN_SOURCE_GROUP", UDP, "('224.0.0.203', 'lo', '127.0.0.9')" },
  { "IP_MCAST_LEAVE_SOURCE_GROUP", UDP, "('224.0.0.203', 'lo', '127.0.0.9')" },
  { "IP_UNICAST_IF", UDP, "'lo'" },
  { "IP_UNICAST_IF", UDP, "''" },
  { "IPV6_MULTICAST_IF", UDP6, "'lo'" },
  { "IPV6_UNICAST_IF", UDP6, "'lo'" },
  { "IPV6_UNICAST_HOPS", UDP6, "17" },
  { "IPV6_ADD_MEMBERSHIP", UDP6, "('ff01::200', 'lo')" },
  { "IPV6_DROP_MEMBERSHIP", UDP6, "('ff01::200', 'lo')" },
  { "IPV6_MCAST_JOIN_GROUP", UDP6, "('ff01::201', 'lo')" },
  { "IPV6_MCAST_BLOCK_SOURCE", UDP6, "('ff01::201', 'lo', '::9')" },
  { "IPV6_MCAST_MSFILTER", UDP6, "('ff01::201', 'lo', uint32 0, @as [])" },
  { "IPV6_MCAST_LEAVE_GROUP", UDP6, "('ff01::201', 'lo')" },
  { "IPV6_JOIN_ANYCAST", UDP6, "('::1', 'lo')", "" },
  { "IPV6_PKTINFO", UDP6, "('::1', 'lo')" },
  { "IPV6_FLOWLABEL_MGR", UDP6,
    "('::1', uint32 4660, byte 0x00, byte 0x01, uint16 1, uint16 6, uint16 6)" },
  { "IPV6_DSTOPTS", UDP6, "[byte 0x00, 0x00, 0x01, 0x04, 0x00, 0x00, 0x00, 0x00]" },
  { "IPV6_DSTOPTS", UDP6, "@ay []" },
  { "TCP_NODELAY", TCP, "true" },
  { "TCP_KEEPIDLE", TCP6, "77" },
  { "TCP_CONGESTION", TCP, "'reno'" },
  { "UDP_SEGMENT", UDP, "1200" },
  { "PACKET_ADD_MEMBERSHIP", PACKET, "('lo', uint16 1, @ay [])" },
  { "PACKET_DROP_MEMBERSHIP", PACKET, "('lo', uint16 1, @ay [])" },
  { "PACKET_ADD_MEMBERSHIP", PACKET, "('lo', uint16 0, [byte 1, 2, 3, 4, 5, 6])" },
  { "PACKET_AUXDATA", PACKET, "true" },
  { "PACKET_VERSION", PACKET, "2" },
  { "PACKET_RX_RING", PACKET, "(uint32 65536, uint32 2, uint32 2048, uint32 64)" },
  { "PACKET_FANOUT", PACKET, "(uint16 7, uint16 0)", "" },
  { "PACKET_IGNORE_OUTGOING", PACKET, "true" },
};

static void
assert_set (guint     index,
            const int fds[N_SOCKETS])
{
  const UsockOption *option = option_by_label (values[index].label);
  const char *expected = values[index].answer ? values[index].answer : values[index].value;
  int fd = fds[values[index].socket];
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GVariant) answer = NULL;
  int errnum = 0;

  if (values[index].value != NULL)
    value = g_variant_parse (NULL, values[index].value, NULL, NULL, &error);
  g_assert_no_error (error);
  if (!usock_option_set (fd, option->level, option->name, value, &errnum, &error))
    {
      gboolean too_old = errnum == ENOPROTOOPT && g_strv_contains (absent, option->label);

      too_old |= !have_kernel;
      if (g_strcmp0 (values[index].answer, "") != 0 && !too_old)
        g_error ("%s to %s: %s", option->label, values[index].value, error->message);
      return;
    }
  if ((option->access & USOCK_OPTION_READABLE) == 0 || g_str_equal (expected, ""))
    return;

  value = (g_variant_unref (value), g_variant_parse (NULL, expected, NULL, NULL, NULL));
  answer = usock_option_get (fd, option->level, option->name, &errnum, &error);
  if (!have_kernel && (answer == NULL || option->kind == USOCK_OPTION_FILTER))
    return;
  g_assert_no_error (error);
  g_assert_cmpvariant (answer, value);
}

static void
test_values (UsockTest     *test,
             gconstpointer  unused)
{
  gboolean covered[USOCK_OPTION_N_KINDS] = { FALSE };
  int fds[N_SOCKETS];

  if (skips_without_namespace ())
    return;

  open_sockets (test, fds);
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      covered[option_by_label (values[i].label)->kind] = TRUE;
      assert_set (i, fds);
    }
  for (guint i = 0; i < usock_option_n_known (); i++)
    {
      const UsockOption *option = usock_option_nth (i);

      if ((option->access & USOCK_OPTION_WRITABLE) != 0 && option->kind != USOCK_OPTION_FD
          && !covered[option->kind])
        g_error ("No value is tried for %s", option->label);
    }
  close_sockets (fds);
}

/* The errors. */

static const struct
{
  const char *label;
  const char *value;
  GIOErrorEnum code;
  const char *reason;
} wrong[] = {
  { "SO_TYPE", "1", G_IO_ERROR_READ_ONLY, "only be read" },
  { "SO_PEERCRED", "(1, uint32 1, uint32 1)", G_IO_ERROR_READ_ONLY, "only be read" },
  { "SO_RCVBUF", "'large'", G_IO_ERROR_INVALID_DATA, "“s”, not “i”" },
  { "SO_RCVBUF", "1.5", G_IO_ERROR_INVALID_DATA, "“d”, not “i”" },
  { "SO_RCVBUF", NULL, G_IO_ERROR_INVALID_DATA, "takes a value of the type “i”" },
  { "SO_KEEPALIVE", "1", G_IO_ERROR_INVALID_DATA, "“i”, not “b”" },
  { "SO_LINGER", "(1, 1)", G_IO_ERROR_INVALID_DATA, "“(ii)”, not “(bi)”" },
  { "SO_DETACH_FILTER", "true", G_IO_ERROR_INVALID_DATA, "takes no value" },
  { "SO_ATTACH_FILTER", "@ay []", G_IO_ERROR_INVALID_DATA, "“ay”, not “a(qyyu)”" },
  { "SO_RCVBUF", "-1", G_IO_ERROR_INVALID_ARGUMENT, "not between 0 and 2147483647" },
  { "SO_RCVBUF", "int64 2147483648", G_IO_ERROR_INVALID_ARGUMENT, "not between" },
  { "SO_RCVBUF", "uint64 18446744073709551615", G_IO_ERROR_INVALID_ARGUMENT, "not between" },
  { "SO_MARK", "int64 4294967296", G_IO_ERROR_INVALID_ARGUMENT, "0 and 4294967295" },
  { "SO_MAX_PACING_RATE", "-1", G_IO_ERROR_INVALID_ARGUMENT, "negative" },
  { "IP_TTL", "256", G_IO_ERROR_INVALID_ARGUMENT, "not between -1 and 255" },
  { "TCP_KEEPCNT", "0", G_IO_ERROR_INVALID_ARGUMENT, "not between 1 and 127" },
  { "SO_ATTACH_BPF", "-1", G_IO_ERROR_INVALID_ARGUMENT, "not between" },
  { "SO_RCVTIMEO", "int64 -1", G_IO_ERROR_INVALID_ARGUMENT, "negative" },
  { "SO_RCVTIMEO", "int64 9223372036854775807", G_IO_ERROR_INVALID_ARGUMENT, "too large" },
  { "SO_LINGER", "(true, -1)", G_IO_ERROR_INVALID_ARGUMENT, "negative" },
  { "SO_BINDTODEVICE", "'0123456789abcdef'", G_IO_ERROR_INVALID_ARGUMENT, "15 bytes" },
  { "SO_BINDTOIFINDEX", "'nowhere'", G_IO_ERROR_INVALID_ARGUMENT, "is no interface" },
  { "SO_BINDTOIFINDEX", "-3", G_IO_ERROR_INVALID_ARGUMENT, "negative" },
  { "SO_ATTACH_FILTER", "@a(qyyu) []", G_IO_ERROR_INVALID_ARGUMENT, "1 and 4096 instructions" },
  { "IP_ADD_MEMBERSHIP", "('here', '', '')", G_IO_ERROR_INVALID_ARGUMENT, "no IPv4 address" },
  { "IP_ADD_MEMBERSHIP", "('::1', '', '')", G_IO_ERROR_INVALID_ARGUMENT, "no IPv4 address" },
  { "IPV6_ADD_MEMBERSHIP", "('1.2.3.4', '')", G_IO_ERROR_INVALID_ARGUMENT, "no IPv6 address" },
  { "IP_OPTIONS", NULL, G_IO_ERROR_INVALID_DATA, "“ay”" },
  { "TCP_REPAIR_WINDOW", "[byte 1]", G_IO_ERROR_INVALID_ARGUMENT, "20 bytes" },
  { "PACKET_ADD_MEMBERSHIP", "('', uint16 0, [byte 1,2,3,4,5,6,7,8,9])",
    G_IO_ERROR_INVALID_ARGUMENT, "at most 8 bytes" },
};

static void
assert_wrong (const UsockOption *option,
              const char        *text,
              GIOErrorEnum       code,
              const char        *reason,
              int                fd)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = text != NULL ? g_variant_parse (NULL, text, NULL, NULL, NULL) : NULL;
  int errnum = 0;

  g_assert_true (text == NULL || value != NULL);
  g_assert_false (usock_option_set (fd, option->level, option->name, value, &errnum, &error));
  g_assert_error (error, G_IO_ERROR, (int) code);
  g_assert_cmpint (errnum, ==, 0);
  g_assert_true (g_str_has_prefix (error->message, "Could not set "));
  g_assert_nonnull (strstr (error->message, option->label));
  if (strstr (error->message, reason) == NULL)
    g_error ("“%s” does not say “%s”", error->message, reason);
}

static void
test_errors (UsockTest     *test,
             gconstpointer  unused)
{
  GError *error = NULL;
  int errnum = 0;

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    assert_wrong (option_by_label (wrong[i].label), wrong[i].value, wrong[i].code, wrong[i].reason,
                  test->pair[0]);

  g_assert_null (usock_option_get (test->pair[0], USOCK_SOL_SOCKET, USOCK_SO_DETACH_FILTER, &errnum,
                                   &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_cmpstr (error->message, ==, "Could not get SO_DETACH_FILTER: it can only be set");
  g_clear_error (&error);
  g_assert_null (usock_option_get (test->pair[0], 99, 1, &errnum, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (usock_option_set (test->pair[0], 1, 5000, NULL, &errnum, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_cmpint (errnum, ==, 0);

  g_assert_null (usock_option_get (test->pair[0], USOCK_SOL_TCP, USOCK_TCP_NODELAY, &errnum,
                                   &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (errnum, !=, 0);
  g_clear_error (&error);
}

/* Answers of unknown size. */

static void
test_large_answer (UsockTest     *test,
                   gconstpointer  unused)
{
  gid_t before[256], many[3000];
  int n_before = getgroups (G_N_ELEMENTS (before), before);
  g_autoptr (GVariant) groups = NULL;
  int pair[2], errnum = 0;
  guint32 last;

  if (skips_without_kernel ())
    return;

  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    many[i] = 100000 + i;
  if (n_before < 0 || setgroups (G_N_ELEMENTS (many), many) == -1)
    {
      g_test_skip ("the groups can not be changed here");
      return;
    }
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
  g_assert_cmpint (setgroups (n_before, before), ==, 0);

  usock_test_no_error (groups = usock_option_get (pair[0], USOCK_SOL_SOCKET, USOCK_SO_PEERGROUPS,
                                                  &errnum, &error));
  g_assert_cmpuint (g_variant_n_children (groups), ==, G_N_ELEMENTS (many));
  g_variant_get_child (groups, G_N_ELEMENTS (many) - 1, "u", &last);
  g_assert_cmpuint (last, ==, 102999);
  close (pair[0]);
  close (pair[1]);
}

static void
test_large_filter (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GVariant) answer = NULL;
  GVariantBuilder builder;
  int errnum = 0;

  if (skips_without_kernel ())
    return;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(qyyu)"));
  for (guint i = 0; i < 4000; i++)
    g_variant_builder_add (&builder, "(qyyu)", 0, 0, 0, i);
  g_variant_builder_add (&builder, "(qyyu)", 6, 0, 0, 0xffffffff);
  value = g_variant_ref_sink (g_variant_builder_end (&builder));
  usock_test_no_error (usock_option_set (test->pair[0], USOCK_SOL_SOCKET, USOCK_SO_ATTACH_FILTER,
                                         value, &errnum, &error));
  usock_test_no_error (answer = usock_option_get (test->pair[0], USOCK_SOL_SOCKET,
                                                  USOCK_SO_ATTACH_FILTER, &errnum, &error));
  g_assert_cmpvariant (answer, value);
}

static void
test_tcp_info (UsockTest     *test,
               gconstpointer  unused)
{
  g_autoptr (GVariant) info = NULL;
  int fds[N_SOCKETS];
  int errnum = 0;
  guint64 state = 0, mss = 0;

  if (skips_without_namespace () || skips_without_kernel ())
    return;

  connect_to_itself (fds, TCP, AF_INET);
  usock_test_no_error (info = usock_option_get (fds[TCP], USOCK_SOL_TCP, USOCK_TCP_INFO, &errnum,
                                                &error));
  g_assert_true (g_variant_lookup (info, "state", "t", &state));
  g_assert_true (g_variant_lookup (info, "snd-mss", "t", &mss));
  g_assert_true (g_variant_lookup (info, "snd-wnd", "t", NULL));
  g_assert_cmpuint (state, >, 0);
  g_assert_cmpuint (mss, >, 500);
  close (fds[TCP]);
}

/* What a descriptor is has its own: the new one is close-on-exec. */
static void
test_peer_pidfd (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GError) error = NULL;
  int errnum = 0;

  value = usock_option_get (test->pair[0], USOCK_SOL_SOCKET, USOCK_SO_PEERPIDFD, &errnum, &error);
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED))
    {
      g_test_skip ("this system has no pidfd of peers");
      return;
    }
  g_assert_no_error (error);
  g_assert_cmpint (fcntl (g_variant_get_handle (value), F_GETFD), ==, FD_CLOEXEC);
  close (g_variant_get_handle (value));
}

/* Sockets. */

static UsockSocket *
new_channel (UsockTest *test)
{
  UsockSeqpacket *channel = NULL;

  usock_test_no_error (channel = usock_seqpacket_new_from_fd (test->pair[0], &error));
  test->pair[0] = -1;
  return USOCK_SOCKET (channel);
}

static void
drop (gpointer socket)
{
  gpointer weak = socket;

  g_object_add_weak_pointer (socket, &weak);
  usock_socket_close (socket);
  g_object_unref (socket);
  usock_test_wait_until (weak == NULL);
}

static void
assert_socket_refuses (UsockSocket *socket,
                       const char  *label,
                       GVariant    *value,
                       GIOErrorEnum code)
{
  const UsockOption *option = option_by_label (label);
  g_autoptr (GError) error = NULL;

  g_assert_false (usock_socket_set_option (socket, option->level, option->name, value, &error));
  g_assert_error (error, G_IO_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, code == G_IO_ERROR_BUSY ? label : "Could not"));
}

static void
test_channel_keeps_its_own (UsockTest     *test,
                            gconstpointer  unused)
{
  UsockSocket *channel;
  GError *failure = NULL;

  if (skips_without_kernel ())
    return;

  channel = new_channel (test);
  assert_socket_refuses (channel, "SO_PASSCRED", g_variant_new_boolean (FALSE), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "SO_PASSRIGHTS", g_variant_new_boolean (TRUE), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "SO_PASSPIDFD", g_variant_new_boolean (TRUE), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "SO_TIMESTAMPNS", g_variant_new_boolean (FALSE), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "SO_TIMESTAMP", g_variant_new_boolean (FALSE), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "SO_TIMESTAMPNS_NEW", g_variant_new_boolean (TRUE),
                         G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "SO_PEEK_OFF", g_variant_new_int32 (0), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "SO_LINGER", g_variant_new ("(bi)", TRUE, 1), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "SO_TIMESTAMPING", g_variant_new_int32 (2), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "UDP_GRO", g_variant_new_boolean (TRUE), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "IP_RECVERR", g_variant_new_boolean (TRUE), G_IO_ERROR_BUSY);
  assert_socket_refuses (channel, "IPV6_ADDRFORM", g_variant_new_int32 (2), G_IO_ERROR_BUSY);

  /* A value that is wrong anyway is told so. */
  assert_socket_refuses (channel, "SO_LINGER", g_variant_new_int32 (1), G_IO_ERROR_INVALID_DATA);
  assert_socket_refuses (channel, "SO_PASSCRED", NULL, G_IO_ERROR_INVALID_DATA);

  usock_test_no_error (usock_socket_set_option (channel, USOCK_SOL_SOCKET, USOCK_SO_TIMESTAMPNS,
                                                g_variant_new_boolean (TRUE), &error));
  usock_test_no_error (usock_socket_set_option (
      channel, USOCK_SOL_SOCKET, USOCK_SO_LINGER,
      g_variant_new_variant (g_variant_new ("(bi)", TRUE, 0)), &error));
  g_assert_null (usock_socket_get_option (channel, USOCK_SOL_SOCKET, USOCK_SO_ERROR, &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_clear_error (&failure);
  drop (channel);
}

/* What an accepted connection would inherit is the server's business; UDP has no ends to tell. */
static void
test_server_and_datagrams (UsockTest     *test,
                           gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (GSocketAddress) address = usock_address_parse ("127.0.0.1:0", NULL);
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  UsockDgram *udp = usock_dgram_new ();
  g_autoptr (GVariant) listens = NULL;

  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  assert_socket_refuses (USOCK_SOCKET (server), "SO_PASSCRED", g_variant_new_boolean (TRUE),
                         G_IO_ERROR_BUSY);
  usock_test_no_error (listens = usock_socket_get_option (USOCK_SOCKET (server), USOCK_SOL_SOCKET,
                                                          USOCK_SO_ACCEPTCONN, &error));
  g_assert_true (g_variant_get_boolean (listens));

  usock_test_no_error (usock_dgram_bind_to_address (udp, address, &error));
  assert_socket_refuses (USOCK_SOCKET (udp), "UDP_GRO", g_variant_new_boolean (TRUE),
                         G_IO_ERROR_BUSY);
  assert_socket_refuses (USOCK_SOCKET (udp), "IP_RECVERR", g_variant_new_boolean (TRUE),
                         G_IO_ERROR_BUSY);
  usock_test_no_error (usock_socket_set_option (USOCK_SOCKET (udp), USOCK_SOL_SOCKET,
                                                USOCK_SO_TIMESTAMP, g_variant_new_boolean (TRUE),
                                                &error));
  drop (server);
  drop (udp);
}

static void
test_without_fd (UsockTest     *test,
                 gconstpointer  unused)
{
  UsockSocket *channel;
  g_autoptr (UsockSeqpacket) fresh = usock_seqpacket_new ();
  g_autoptr (GError) error = NULL;

  if (skips_without_kernel ())
    return;

  channel = new_channel (test);
  g_assert_null (
      usock_socket_get_option (USOCK_SOCKET (fresh), USOCK_SOL_SOCKET, USOCK_SO_RCVBUF, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED);
  g_clear_error (&error);
  usock_socket_close (channel);
  assert_socket_refuses (channel, "SO_RCVBUF", g_variant_new_int32 (1), G_IO_ERROR_CLOSED);
  g_assert_null (usock_socket_get_option (channel, USOCK_SOL_SOCKET, USOCK_SO_RCVBUF, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  drop (channel);
}

static void
test_format (void)
{
  g_assert_cmpstr (usock_socket_get_option_format (1, USOCK_SO_RCVBUF), ==, "i");
  g_assert_cmpstr (usock_socket_get_option_format (1, USOCK_SO_DETACH_FILTER), ==, "");
  g_assert_null (usock_socket_get_option_format (1, 12345));
  for (guint i = 0; i < usock_option_n_known (); i++)
    {
      const char *format = usock_option_get_format (usock_option_nth (i));

      g_assert_true (*format == '\0' || g_variant_type_string_is_valid (format));
    }
}

/* The errno of the system call stays on the socket. */
static void
test_faults (UsockTest     *test,
             gconstpointer  unused)
{
  UsockSocket *channel;
  g_autoptr (GError) error = NULL;

  if (skips_without_kernel ())
    return;

  channel = new_channel (test);
  usock_io_fault_add (USOCK_IO_SET_OPTION, EPERM, 1, 0);
  g_assert_false (usock_socket_set_option (channel, 1, USOCK_SO_MARK, g_variant_new_uint32 (1),
                                           &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
  g_assert_cmpint (usock_socket_get_error_number (channel), ==, EPERM);
  g_assert_cmpstr (usock_socket_get_error_call (channel), ==, "setsockopt");
  g_clear_error (&error);

  usock_io_fault_add (USOCK_IO_GET_OPTION, ENOPROTOOPT, 1, 0);
  g_assert_null (usock_socket_get_option (channel, 1, USOCK_SO_MARK, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (usock_socket_get_error_number (channel), ==, ENOPROTOOPT);
  g_assert_cmpstr (usock_socket_get_error_call (channel), ==, "getsockopt");
  g_clear_error (&error);

  /* A system that always finds the buffer too small is not asked for ever. */
  usock_io_fault_add (USOCK_IO_GET_OPTION, ERANGE, 1, 1);
  g_assert_null (usock_socket_get_option (channel, 1, USOCK_SO_PEERSEC, &error));
  g_assert_nonnull (error);
  usock_io_fault_clear ();
  drop (channel);
}

/* Whatever goes in, nothing crashes, leaks or reaches the kernel half made. */

static GVariant *
random_value (GRand *random,
              guint  depth)
{
  static const char *const texts[]
      = { "", "lo", "1", "::1", "127.0.0.1", "224.0.0.9", "ff02::9", "\xc3\xa9", "reno", "x%y" };
  const guint32 number = g_rand_int (random) >> (g_rand_boolean (random) ? 0 : 28);
  guint8 bytes[64];

  switch (g_rand_int_range (random, 0, depth > 0 ? 12 : 11))
    {
    case 0:
      return g_variant_new_boolean (number & 1);
    case 1:
      return g_variant_new_int32 (number);
    case 2:
      return g_variant_new_uint32 (number);
    case 3:
      return g_variant_new_int64 ((gint64) ((guint64) number << 32 | number));
    case 4:
      return g_variant_new_uint64 ((guint64) number << 33 | number);
    case 5:
      return g_variant_new_uint16 (number);
    case 6:
      return g_variant_new_byte (number);
    case 7:
      return g_variant_new_string (texts[number % G_N_ELEMENTS (texts)]);
    case 8:
      memset (bytes, number, sizeof bytes);
      return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, number % sizeof bytes, 1);
    case 9:
      return g_variant_new_double (number);
    case 10:
      return g_variant_new ("as", NULL);
    default:
      return g_variant_new_variant (random_value (random, depth - 1));
    }
}

/* Of the right type, but for what is in it. Rings take as much memory as they are told. */
static GVariant *
random_typed_value (GRand             *random,
                    const UsockOption *option)
{
  const char *format = usock_option_get_format (option);
  GVariantBuilder builder;

  if (format[0] == 'a' && format[1] == '(')
    {
      g_variant_builder_init (&builder, G_VARIANT_TYPE (format));
      for (guint i = g_rand_int_range (random, 0, 30); i > 0; i--)
        g_variant_builder_add (&builder, "(qyyu)", g_rand_int (random) & 0xff, 0, 0,
                               g_rand_int (random));
      return g_variant_builder_end (&builder);
    }
  if (format[0] != '(' || option->kind == USOCK_OPTION_RING)
    return random_value (random, 2);

  g_variant_builder_init (&builder, G_VARIANT_TYPE_TUPLE);
  for (const char *type = format + 1; *type != ')'; type++)
    {
      gboolean is_array = *type == 'a';
      GVariant *item;

      type += is_array;
      do
        item = random_value (random, 0);
      while (g_variant_get_type_string (item)[is_array] != *type
             && (g_variant_unref (g_variant_ref_sink (item)), TRUE));
      g_variant_builder_add_value (&builder, item);
    }

  return g_variant_builder_end (&builder);
}

static void
fuzz_once (GRand *random,
           int    fd)
{
  const UsockOption *option
      = usock_option_nth (g_rand_int_range (random, 0, usock_option_n_known ()));
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GError) error = NULL;
  GVariant *answer;
  int errnum = 0;

  value = g_rand_boolean (random) ? random_typed_value (random, option) : random_value (random, 2);
  g_variant_ref_sink (value);
  if (!usock_option_set (fd, option->level, option->name, value, &errnum, &error))
    g_assert_nonnull (strstr (error->message, option->label));
  g_clear_error (&error);

  answer = usock_option_get (fd, option->level, option->name, &errnum, &error);
  g_assert_true ((answer == NULL) == (error != NULL));
  release_value (option, answer);
}

static void
test_fuzz (UsockTest     *test,
           gconstpointer  unused)
{
  guint turns = g_getenv ("USOCK_TEST_LONG") != NULL ? FUZZ_TURNS_LONG : FUZZ_TURNS;
  g_autoptr (GRand) random = g_rand_new_with_seed (g_test_rand_int ());
  int fds[N_SOCKETS];

  if (skips_without_namespace ())
    return;

  open_sockets (test, fds);
  for (guint i = 0; i < turns; i++)
    fuzz_once (random, fds[g_rand_int_range (random, 0, N_SOCKETS)]);
  close_sockets (fds);
}

/* Known of a path alone: of what is connected. */
static void
test_path_mtu (UsockTest     *test,
               gconstpointer  unused)
{
  struct sockaddr_in6 name = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                               .sin6_port = g_htons (9) };
  g_autoptr (GVariant) value = NULL;
  guint mtu;
  int errnum, fd;

  if (skips_without_namespace () || skips_without_kernel ())
    return;

  g_assert_no_errno (fd = socket (AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  g_assert_no_errno (connect (fd, (struct sockaddr *) &name, sizeof name));
  usock_test_no_error (
      value = usock_option_get (fd, USOCK_SOL_IPV6, USOCK_IPV6_PATHMTU, &errnum, &error));
  /* Of which address, Linux leaves open. */
  g_variant_get (value, "(su)", NULL, &mtu);
  g_assert_cmpuint (mtu, >=, 1280);
  close (fd);
}

/* What a socket that works by itself needs as it is, and of which family. */
static const struct
{
  int level;
  int name;
  const char *value;
  gboolean for_unix;
  gboolean for_inet;
} reserved[] = {
  { USOCK_SOL_SOCKET, USOCK_SO_PASSCRED, "true", FALSE, TRUE },
  { USOCK_SOL_SOCKET, USOCK_SO_PASSRIGHTS, "true", FALSE, TRUE },
  { USOCK_SOL_SOCKET, USOCK_SO_PASSPIDFD, "true", FALSE, TRUE },
  { USOCK_SOL_SOCKET, USOCK_SO_TIMESTAMPNS, "true", TRUE, TRUE },
  { USOCK_SOL_SOCKET, USOCK_SO_TIMESTAMPNS, "false", FALSE, TRUE },
  { USOCK_SOL_SOCKET, USOCK_SO_TIMESTAMP, "true", FALSE, TRUE },
  { USOCK_SOL_SOCKET, USOCK_SO_PEEK_OFF, "0", FALSE, FALSE },
  { USOCK_SOL_SOCKET, USOCK_SO_LINGER, "(true, 5)", FALSE, FALSE },
  { USOCK_SOL_SOCKET, USOCK_SO_LINGER, "(true, 0)", TRUE, TRUE },
  { USOCK_SOL_SOCKET, USOCK_SO_LINGER, "(false, 5)", TRUE, TRUE },
  { USOCK_SOL_SOCKET, USOCK_SO_TIMESTAMPING, "256", FALSE, FALSE },
  { USOCK_SOL_SOCKET, USOCK_SO_TIMESTAMPING, "8", TRUE, TRUE },
  { USOCK_SOL_IP, USOCK_IP_RECVERR, "true", FALSE, FALSE },
  { USOCK_SOL_IP, USOCK_IP_RECVERR, "false", TRUE, TRUE },
  { USOCK_SOL_IPV6, USOCK_IPV6_RECVERR, "true", FALSE, FALSE },
  { USOCK_SOL_UDP, USOCK_UDP_CORK, "true", FALSE, FALSE },
  { USOCK_SOL_UDP, USOCK_UDP_CORK, "false", TRUE, TRUE },
  { USOCK_SOL_IPV6, USOCK_IPV6_ADDRFORM, "2", FALSE, FALSE },
  { USOCK_SOL_SOCKET, USOCK_SO_SNDBUF, "10000", TRUE, TRUE },
  { USOCK_SOL_SOCKET, 4711, "10000", TRUE, TRUE },
  { USOCK_SOL_SOCKET, USOCK_SO_PEEK_OFF, "'text'", TRUE, TRUE },
};

static void
test_reserved (void)
{
  for (guint i = 0; i < 2 * G_N_ELEMENTS (reserved); i++)
    {
      g_autoptr (GVariant) value = g_variant_parse (NULL, reserved[i / 2].value, NULL, NULL, NULL);
      gboolean is_free = i % 2 ? reserved[i / 2].for_inet : reserved[i / 2].for_unix;
      g_autoptr (GError) failure = NULL;

      g_test_message ("%d %d %s", reserved[i / 2].level, reserved[i / 2].name,
                      reserved[i / 2].value);
      g_assert_true (usock_option_check_set (reserved[i / 2].level, reserved[i / 2].name, value,
                                             i % 2 ? AF_INET6 : AF_UNIX, &failure)
                     == is_free);
      if (is_free)
        g_assert_no_error (failure);
      else
        g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_BUSY);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  have_namespace = enter_namespace ();
  have_kernel = is_kernel ();

  usock_test_add ("/usock/option/every-option", test_every_option);
  usock_test_add ("/usock/option/values", test_values);
  usock_test_add ("/usock/option/errors", test_errors);
  usock_test_add ("/usock/option/large-answer", test_large_answer);
  usock_test_add ("/usock/option/large-filter", test_large_filter);
  usock_test_add ("/usock/option/tcp-info", test_tcp_info);
  usock_test_add ("/usock/option/peer-pidfd", test_peer_pidfd);
  usock_test_add ("/usock/option/channel-keeps-its-own", test_channel_keeps_its_own);
  usock_test_add ("/usock/option/server-and-datagrams", test_server_and_datagrams);
  usock_test_add ("/usock/option/without-fd", test_without_fd);
  g_test_add_func ("/usock/option/format", test_format);
  usock_test_add ("/usock/option/path-mtu", test_path_mtu);
  g_test_add_func ("/usock/option/reserved", test_reserved);
  usock_test_add ("/usock/option/faults", test_faults);
  usock_test_add ("/usock/option/fuzz", test_fuzz);

  return g_test_run ();
}
