/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-io-calls-private.h"

#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SCM_SECURITY
#define SCM_SECURITY 3
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define FLOWINFO 11
#define TCP_INQ_RECORD 36
#define NUMBER_NOBODY_HAS (1 << 20)

/* What the bytes are, as the kernel writes them, and what a script sees. With @back the way from
 * the value to the bytes exists too. */
static const struct
{
  int level;
  int type;
  const char *bytes;
  gsize length;
  const char *value;
  gboolean back;
} records[] = {
#define BYTES(text) text, sizeof (text) - 1
#if G_BYTE_ORDER == G_LITTLE_ENDIAN
#define N16(byte) byte "\0"
#define N32(byte) byte "\0\0\0"
#define N64(byte) byte "\0\0\0\0\0\0\0"
#else
#define N16(byte) "\0" byte
#define N32(byte) "\0\0\0" byte
#define N64(byte) "\0\0\0\0\0\0\0" byte
#endif
#define TIME N64 ("\1") N64 ("\2")
  { SOL_SOCKET, SO_TIMESTAMP_OLD, BYTES (TIME), "(int64 1, int64 2)" },
  { SOL_SOCKET, SO_TIMESTAMP_NEW, BYTES (TIME), "(int64 1, int64 2)" },
  { SOL_SOCKET, SO_TIMESTAMPNS_OLD, BYTES (TIME), "(int64 1, int64 2)" },
  { SOL_SOCKET, SO_TIMESTAMPNS_NEW, BYTES (TIME), "(int64 1, int64 2)" },
  { SOL_SOCKET, SO_TIMESTAMPNS_OLD, BYTES (N32 ("\1") N32 ("\2")), "(int64 1, int64 2)" },
  { SOL_SOCKET, SO_TIMESTAMPING_OLD, BYTES (TIME TIME TIME),
    "[(int64 1, int64 2), (1, 2), (1, 2)]" },
  { SOL_SOCKET, SO_TIMESTAMPING_NEW, BYTES (TIME TIME TIME),
    "[(int64 1, int64 2), (1, 2), (1, 2)]" },
  { SOL_SOCKET, SCM_CREDENTIALS, BYTES (N32 ("\1") N32 ("\2") N32 ("\3")),
    "(1, uint32 2, uint32 3)", TRUE },
  { SOL_SOCKET, SCM_SECURITY, BYTES ("label\0"), "'label'" },
  { SOL_SOCKET, SCM_SECURITY, BYTES ("\xff"), "[byte 0xff]" },
  { SOL_SOCKET, SO_RXQ_OVFL, BYTES ("\xff\xff\xff\xff"), "uint32 4294967295", TRUE },
  { SOL_SOCKET, SO_MARK, BYTES (N32 ("\1")), "uint32 1", TRUE },
  { SOL_SOCKET, SO_PRIORITY, BYTES (N32 ("\1")), "uint32 1", TRUE },
  { SOL_SOCKET, SO_WIFI_STATUS, BYTES (N32 ("\1")), "1", TRUE },
  { SOL_SOCKET, SO_TXTIME, BYTES (N32 ("\1") N32 ("\1")), "uint64 4294967297", TRUE },
  { IPPROTO_IP, IP_TOS, BYTES ("\x10"), "16" },
  { IPPROTO_IP, IP_TOS, BYTES (N32 ("\x10")), "16", TRUE },
  { IPPROTO_IP, IP_TTL, BYTES (N32 ("\x40")), "64", TRUE },
  { IPPROTO_IP, IP_PKTINFO, BYTES (N32 ("\1") "\x7f\0\0\1\x0a\0\0\2"),
    "(1, '127.0.0.1', '10.0.0.2')", TRUE },
  { IPPROTO_IP, IP_CHECKSUM, BYTES (N32 ("\1")), "uint32 1", TRUE },
  { IPPROTO_IP, IP_RECVFRAGSIZE, BYTES (N32 ("\1")), "1", TRUE },
  { IPPROTO_IP, IP_ORIGDSTADDR, BYTES (N16 ("\2") "\0\x50\x7f\0\0\1\0\0\0\0\0\0\0\0"),
    "'127.0.0.1:80'" },
  { IPPROTO_IP, IP_RECVERR, BYTES (N32 ("\x6f") "\2\3\4\0" N32 ("\5") N32 ("\6") N16 ("\2")
                                   "\0\0\x7f\0\0\1\0\0\0\0\0\0\0\0"),
    "(uint32 111, byte 0x02, byte 0x03, byte 0x04, uint32 5, uint32 6, '127.0.0.1')" },
  { IPPROTO_IP, IP_RECVERR, BYTES (N32 ("\x6f") "\2\3\4\0" N32 ("\5") N32 ("\6")
                                   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    "(uint32 111, byte 0x02, byte 0x03, byte 0x04, uint32 5, uint32 6, '')" },
  { IPPROTO_IP, IP_RECVOPTS, BYTES ("\1\2"), "[byte 0x01, 0x02]", TRUE },
  { IPPROTO_IPV6, IPV6_TCLASS, BYTES (N32 ("\1")), "1", TRUE },
  { IPPROTO_IPV6, IPV6_HOPLIMIT, BYTES (N32 ("\1")), "1", TRUE },
  { IPPROTO_IPV6, FLOWINFO, BYTES ("\0\1\0\2"), "uint32 65538", TRUE },
  { IPPROTO_IPV6, IPV6_PKTINFO, BYTES ("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" N32 ("\2")), "(2, '::1')",
    TRUE },
  { IPPROTO_IPV6, IPV6_PATHMTU, BYTES (N16 ("\x0a") "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                                       "\0\0\0\0" N32 ("\5")), "('::1', uint32 5)" },
  { IPPROTO_IPV6, IPV6_RECVFRAGSIZE, BYTES (N32 ("\1")), "1", TRUE },
  { IPPROTO_IPV6, IPV6_ORIGDSTADDR,
    BYTES (N16 ("\x0a") "\0\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0"), "'[::1]:80'" },
  { IPPROTO_IPV6, IPV6_RECVERR, BYTES (N32 ("\x6f") "\2\3\4\0" N32 ("\5") N32 ("\6")),
    "(uint32 111, byte 0x02, byte 0x03, byte 0x04, uint32 5, uint32 6, '')" },
  { IPPROTO_IPV6, IPV6_RTHDR, BYTES ("\1\2"), "[byte 0x01, 0x02]", TRUE },
  { IPPROTO_TCP, TCP_INQ_RECORD, BYTES (N32 ("\1")), "1", TRUE },
  { IPPROTO_UDP, UDP_GRO, BYTES (N32 ("\1")), "1", TRUE },
  { IPPROTO_UDP, UDP_SEGMENT, BYTES (N16 ("\5")), "uint16 5", TRUE },
  { SOL_PACKET, PACKET_AUXDATA,
    BYTES (N32 ("\1") N32 ("\2") N32 ("\3") N16 ("\4") N16 ("\5") N16 ("\6") N16 ("\7")),
    "(uint32 1, uint32 2, uint32 3, uint16 4, uint16 5, uint16 6, uint16 7)" },
  { 4711, 1, BYTES ("\1\2"), "[byte 0x01, 0x02]", TRUE },
  { 4711, 1, BYTES (""), "@ay []", TRUE },
};

static void
test_table (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (records); i++)
    {
      UsockControl control = { records[i].level, records[i].type, records[i].length,
                               records[i].bytes };
      g_autoptr (GVariant) value = g_variant_ref_sink (usock_control_decode (&control));
      g_autofree char *text = g_variant_print (value, TRUE);
      g_autoptr (GBytes) bytes = NULL;
      gconstpointer back;
      gsize length;

      g_test_message ("record %d of level %d", control.type, control.level);
      g_assert_cmpstr (text, ==, records[i].value);
      bytes = usock_control_encode (control.level, control.type, value);
      if (!records[i].back)
        continue;
      g_assert_nonnull (bytes);
      back = g_bytes_get_data (bytes, &length);
      g_assert_cmpmem (back, length, control.data, control.length);
    }
}

/* One byte too few makes bytes of it, and never more than there are. */
static void
test_short (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (records); i++)
    for (gsize length = 0; length < records[i].length; length++)
      {
        g_autofree guint8 *exact = g_memdup2 (records[i].bytes, length);
        UsockControl control = { records[i].level, records[i].type, length, exact };
        g_autoptr (GVariant) value = g_variant_ref_sink (usock_control_decode (&control));
        UsockControl longer = { records[i].level, records[i].type, length, records[i].bytes };
        g_autoptr (GVariant) same = g_variant_ref_sink (usock_control_decode (&longer));

        if (length > 0)
          g_assert_cmpvariant (value, same);
        if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
          g_assert_cmpuint (g_variant_get_size (value), ==, length);
      }
}

static void
test_bad_values (UsockTest *test, gconstpointer data)
{
  static const struct
  {
    int level;
    int type;
    const char *value;
  } bad[] = {
    { IPPROTO_IP, IP_TTL, "'64'" },
    { IPPROTO_IP, IP_TTL, "int64 2147483648" },
    { IPPROTO_IP, IP_TTL, "1.5" },
    { SOL_SOCKET, SO_MARK, "-1" },
    { SOL_SOCKET, SO_MARK, "int64 4294967296" },
    { IPPROTO_UDP, UDP_SEGMENT, "65536" },
    { IPPROTO_UDP, UDP_SEGMENT, "-1" },
    { IPPROTO_IP, IP_TTL, "int64 -2147483649" },
    { SOL_SOCKET, SO_TXTIME, "'1'" },
    { SOL_SOCKET, SCM_CREDENTIALS, "(1, 2, 3)" },
    { IPPROTO_IP, IP_PKTINFO, "(1, '127.0.0.1', '::1')" },
    { IPPROTO_IP, IP_PKTINFO, "(1, 'localhost', '127.0.0.1')" },
    { IPPROTO_IP, IP_PKTINFO, "1" },
    { IPPROTO_IPV6, IPV6_PKTINFO, "(1, '127.0.0.1')" },
    { IPPROTO_IPV6, IPV6_PKTINFO, "('::1', 1)" },
    { SOL_SOCKET, SO_TIMESTAMP_OLD, "(int64 1, int64 2)" },
    { 4711, 1, "1" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GVariant) value = NULL;

      usock_test_no_error (value = g_variant_parse (NULL, bad[i].value, NULL, NULL, &error));
      g_test_message ("%s", bad[i].value);
      g_assert_null (usock_control_encode (bad[i].level, bad[i].type, value));
    }
}

/* The last that fit. */
static void
test_borders (UsockTest *test, gconstpointer data)
{
  static const struct
  {
    int level;
    int type;
    const char *value;
    gsize length;
  } good[] = {
    { IPPROTO_IP, IP_TTL, "-2147483648", 4 },   { IPPROTO_IP, IP_TTL, "2147483647", 4 },
    { SOL_SOCKET, SO_MARK, "0", 4 },            { SOL_SOCKET, SO_MARK, "uint32 4294967295", 4 },
    { IPPROTO_UDP, UDP_SEGMENT, "0", 2 },       { IPPROTO_UDP, UDP_SEGMENT, "65535", 2 },
    { SOL_SOCKET, SO_TXTIME, "uint64 18446744073709551615", 8 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_autoptr (GVariant) value = NULL;
      g_autoptr (GBytes) bytes = NULL;

      usock_test_no_error (value = g_variant_parse (NULL, good[i].value, NULL, NULL, &error));
      g_test_message ("%s", good[i].value);
      bytes = usock_control_encode (good[i].level, good[i].type, value);
      g_assert_nonnull (bytes);
      g_assert_cmpuint (g_bytes_get_size (bytes), ==, good[i].length);
    }
}

/* Numbers that are no descriptors of anybody, so that none is closed by mistake. */
static void
hide_descriptors (guint8 *buffer, gsize length)
{
  struct msghdr message = { .msg_control = buffer, .msg_controllen = length };
  const struct cmsghdr *header = NULL;

  while ((header = usock_io_control_next (&message, header)) != NULL)
    for (guint i = 0; i < usock_io_control_count_fds (header); i++)
      {
        int fd = g_test_rand_int_range (-NUMBER_NOBODY_HAS, 2 * NUMBER_NOBODY_HAS);

        if (fd >= 0 && fd < NUMBER_NOBODY_HAS)
          fd += NUMBER_NOBODY_HAS;
        if (header->cmsg_level == SOL_SOCKET
            && (header->cmsg_type == SCM_RIGHTS || header->cmsg_type == SCM_PIDFD))
          memcpy ((guint8 *) header + CMSG_LEN (i * sizeof fd), &fd, sizeof fd);
      }
}

static int
pick (const int *numbers, guint n)
{
  return g_test_rand_int_range (0, 8) == 0 ? g_test_rand_int ()
                                           : numbers[g_test_rand_int_range (0, n)];
}

/* Records as the kernel might write them, with lengths that it never would. */
static void
scramble (guint8 *buffer, gsize length)
{
  static const int levels[] = { SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, SOL_PACKET, IPPROTO_UDP };
  gsize offset = 0;

  for (gsize i = 0; i < length; i++)
    buffer[i] = g_test_rand_int ();
  while (offset + sizeof (struct cmsghdr) <= length && g_test_rand_int_range (0, 20) != 0)
    {
      int type = g_test_rand_int_range (0, 70);
      struct cmsghdr header = { .cmsg_level = pick (levels, G_N_ELEMENTS (levels)),
                                .cmsg_type = pick (&type, 1),
                                .cmsg_len = g_test_rand_int_range (0, 100) };

      if (g_test_rand_int_range (0, 30) == 0)
        header.cmsg_len = G_MAXSIZE - g_test_rand_int_range (0, 64);
      memcpy (buffer + offset, &header, sizeof header);
      offset += CMSG_ALIGN (MAX (header.cmsg_len % 128, sizeof header));
    }
}

/* Whatever stands in a control buffer, nothing crashes, is read that is not there, or leaks. */
static void
test_fuzz_parse (UsockTest *test, gconstpointer data)
{
  for (guint round = 0; round < 20000; round++)
    {
      gsize length = g_test_rand_int_range (0, USOCK_IO_CONTROL_SIZE);
      g_autofree guint8 *buffer = g_malloc (length);
      struct msghdr message = { .msg_control = buffer, .msg_controllen = length };
      g_autoptr (UsockMessage) received = usock_message_new_received (NULL, 0, 0);
      g_autoptr (GVariant) controls = NULL;
      UsockIoControl control;

      scramble (buffer, length);
      hide_descriptors (buffer, length);
      usock_io_control_parse (&message, &control);
      g_assert_cmpuint (control.n_fds, <=, USOCK_IO_FDS_MAX);
      g_assert_cmpuint (control.n_others, <=, USOCK_IO_OTHERS_MAX);
      usock_message_receive_info (received, 0, control.has_credentials ? &control.credentials : NULL,
                                  control.timestamp, NULL);
      usock_message_receive_controls (received, control.others, control.n_others, -1);
      controls = usock_message_get_controls (received);
      g_assert_true (g_variant_is_normal_form (controls));
    }
}

/* Random records to the kernel: each is taken or refused. */
static void
test_fuzz_send (UsockTest *test, gconstpointer data)
{
  static const int levels[] = { SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP };
  UsockIoBatch *batch = usock_io_batch_new (100);
  guint n_sent = 0, n_refused = 0;

  for (guint round = 0; round < 5000; round++)
    {
      struct iovec iov = { (char *) "x", 1 };
      UsockIoOutgoing outgoing = { .iov = &iov, .n_iov = 1 };
      g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);

      for (guint i = g_test_rand_int_range (0, 6); i > 0; i--)
        {
          int type = g_test_rand_int_range (0, 70);
          gsize length = g_test_rand_int_range (0, 64);
          g_autofree guint8 *random = g_malloc0 (length);
          g_autoptr (GBytes) bytes = NULL;

          for (gsize j = 0; j < length; j++)
            random[j] = g_test_rand_int_range (0, 4) == 0 ? g_test_rand_int () : 0;
          bytes = g_bytes_new (random, length);
          usock_message_append_control (message, pick (levels, G_N_ELEMENTS (levels)),
                                        pick (&type, 1), bytes, NULL);
        }
      outgoing.controls = usock_message_peek_controls (message, &outgoing.n_controls);
      if (usock_io_send (test->pair[0], &outgoing) == 1)
        {
          n_sent++;
          g_assert_cmpint (usock_io_receive (test->pair[1], batch, 100, 8, FALSE), ==, 1);
        }
      else
        n_refused++;
    }

  g_assert_cmpuint (n_sent, >, 0);
  g_assert_cmpuint (n_refused, >, 0);
  usock_io_batch_free (batch);
}

/* A number is one, whatever type it has, if it fits. */
static void
test_numbers (void)
{
  GVariant *const ones[] = { g_variant_new_boolean (TRUE), g_variant_new_byte (1),
                             g_variant_new_int16 (1), g_variant_new_uint16 (1),
                             g_variant_new_int32 (1), g_variant_new_uint32 (1),
                             g_variant_new_int64 (1), g_variant_new_uint64 (1) };
  GVariant *const others[] = { g_variant_new_int32 (-1), g_variant_new_int64 (G_MAXUINT32 + 1ll),
                               g_variant_new_double (1), g_variant_new_string ("1") };
  const guint32 one = 1;

  for (guint i = 0; i < G_N_ELEMENTS (ones); i++)
    {
      g_autoptr (GVariant) value = g_variant_ref_sink (ones[i]);
      g_autoptr (GBytes) bytes = usock_control_encode (SOL_SOCKET, SO_MARK, value);

      g_assert_nonnull (bytes);
      g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), &one, sizeof one);
    }
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autoptr (GVariant) value = g_variant_ref_sink (others[i]);

      g_assert_null (usock_control_encode (SOL_SOCKET, SO_MARK, value));
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/usock/control/numbers", test_numbers);
  usock_test_add ("/usock/control/table", test_table);
  usock_test_add ("/usock/control/short", test_short);
  usock_test_add ("/usock/control/bad-values", test_bad_values);
  usock_test_add ("/usock/control/borders", test_borders);
  usock_test_add ("/usock/control/fuzz-parse", test_fuzz_parse);
  usock_test_add ("/usock/control/fuzz-send", test_fuzz_send);

  return g_test_run ();
}
