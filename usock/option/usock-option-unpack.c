/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-option-private.h"

#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* From what the kernel answers to values. It may answer less than was asked for, when it is older
 * than what is known here: what is missing is zero, since the caller's buffer was. */

typedef GVariant *(*Unpack) (const guint8 *data,
                             gsize         length);

static GVariant *
unpack_bool (const guint8 *data,
             gsize         length)
{
  int value;

  memcpy (&value, data, sizeof value);
  return g_variant_new_boolean (value != 0);
}

static GVariant *
unpack_int (const guint8 *data,
            gsize         length)
{
  gint32 value;

  memcpy (&value, data, sizeof value);
  return g_variant_new_int32 (value);
}

static GVariant *
unpack_uint (const guint8 *data,
             gsize         length)
{
  guint32 value;

  memcpy (&value, data, sizeof value);
  return g_variant_new_uint32 (value);
}

static GVariant *
unpack_fd (const guint8 *data,
           gsize         length)
{
  gint32 value;

  memcpy (&value, data, sizeof value);
  return g_variant_new_handle (value);
}

/* In microseconds. What is more than they can say is for ever. */
static GVariant *
new_time (gint64 seconds,
          gint64 microseconds)
{
  gint64 most = G_MAXINT64 / G_USEC_PER_SEC - 1;

  return g_variant_new_int64 (CLAMP (seconds, -most, most) * G_USEC_PER_SEC
                              + microseconds % G_USEC_PER_SEC);
}

/* What is a long of the kernel has only 4 bytes on processors of 32 bits. */
static GVariant *
unpack_uint64 (const guint8 *data,
               gsize         length)
{
  guint64 value;
  guint32 half;

  memcpy (&value, data, sizeof value);
  memcpy (&half, data, sizeof half);
  return g_variant_new_uint64 (length == sizeof half ? half : value);
}

static GVariant *
unpack_uints (const guint8 *data,
              gsize         length)
{
  return g_variant_new_fixed_array (G_VARIANT_TYPE_UINT32, data, length / sizeof (guint32),
                                    sizeof (guint32));
}

static GVariant *
unpack_bytes (const guint8 *data,
              gsize         length)
{
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, data, length, 1);
}

/* The kernel ends some texts with a NUL, and some not. */
static GVariant *
unpack_text (const guint8 *data,
             gsize         length)
{
  const char *text = (const char *) data;

  return g_variant_new_take_string (g_utf8_make_valid (text, strnlen (text, length)));
}

static GVariant *
unpack_time (const guint8 *data,
             gsize         length)
{
  long parts[2];

  memcpy (parts, data, sizeof parts);
  return new_time (parts[0], parts[1]);
}

static GVariant *
unpack_time64 (const guint8 *data,
               gsize         length)
{
  gint64 parts[2];

  memcpy (parts, data, sizeof parts);
  return new_time (parts[0], parts[1]);
}

static GVariant *
unpack_linger (const guint8 *data,
               gsize         length)
{
  struct linger linger;

  memcpy (&linger, data, sizeof linger);
  return g_variant_new ("(bi)", linger.l_onoff != 0, linger.l_linger);
}

static GVariant *
unpack_credentials (const guint8 *data,
                    gsize         length)
{
  struct ucred native;

  memcpy (&native, data, sizeof native);
  return g_variant_new ("(iuu)", native.pid, native.uid, native.gid);
}

static GVariant *
unpack_filter (const guint8 *data,
               gsize         length)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(qyyu)"));
  for (gsize at = 0; at + sizeof (struct sock_filter) <= length; at += sizeof (struct sock_filter))
    {
      struct sock_filter line;

      memcpy (&line, data + at, sizeof line);
      g_variant_builder_add (&builder, "(qyyu)", line.code, line.jt, line.jf, line.k);
    }

  return g_variant_builder_end (&builder);
}

static GVariant *
unpack_txtime (const guint8 *data,
               gsize         length)
{
  gint32 clock;
  guint32 flags;

  memcpy (&clock, data, sizeof clock);
  memcpy (&flags, data + sizeof clock, sizeof flags);
  return g_variant_new ("(iu)", clock, flags);
}

/* Without a name there is no text; a path of the file system may have none of its own. */
static GVariant *
unpack_address (const guint8 *data,
                gsize         length)
{
  char *text = usock_native_to_text ((gpointer) data, length);

  return g_variant_new_take_string (text != NULL ? text : g_strdup (""));
}

/* An interface may go while a socket is still bound to it; its number is left. */
static GVariant *
unpack_interface (const guint8 *data,
                  gsize         length)
{
  char name[IF_NAMESIZE];
  guint32 index;

  memcpy (&index, data, sizeof index);
  if (index == 0)
    return g_variant_new_string ("");
  if (if_indextoname (index, name) == NULL)
    return g_variant_new_take_string (g_strdup_printf ("%u", index));

  return unpack_text ((guint8 *) name, sizeof name);
}

static GVariant *
unpack_interface_be (const guint8 *data,
                     gsize         length)
{
  guint32 index;

  memcpy (&index, data, sizeof index);
  index = g_ntohl (index);
  return unpack_interface ((guint8 *) &index, sizeof index);
}

static char *
inet_text (GSocketFamily  family,
           const guint8  *bytes)
{
  g_autoptr (GInetAddress) address = g_inet_address_new_from_bytes (bytes, family);

  return g_inet_address_to_string (address);
}

static GVariant *
unpack_ip (const guint8 *data,
           gsize         length)
{
  return g_variant_new_take_string (inet_text (G_SOCKET_FAMILY_IPV4, data));
}

static GVariant *
unpack_ports (const guint8 *data,
              gsize         length)
{
  guint32 range;

  memcpy (&range, data, sizeof range);
  return g_variant_new ("(qq)", range & G_MAXUINT16, range >> 16);
}

static GVariant *
unpack_ipv6_mtu (const guint8 *data,
                 gsize         length)
{
  struct ip6_mtuinfo info;
  g_autofree char *text = NULL;

  memcpy (&info, data, sizeof info);
  text = inet_text (G_SOCKET_FAMILY_IPV6, (guint8 *) &info.ip6m_addr.sin6_addr);
  return g_variant_new ("(su)", text, info.ip6m_mtu);
}

/* One after the other from the 8th byte on, each aligned; newer kernels know more of them. */
static const struct
{
  const char *name;
  gsize size;
} tcp_fields[] = {
  { "rto", 4 },
  { "ato", 4 },
  { "snd-mss", 4 },
  { "rcv-mss", 4 },
  { "unacked", 4 },
  { "sacked", 4 },
  { "lost", 4 },
  { "retrans", 4 },
  { "fackets", 4 },
  { "last-data-sent", 4 },
  { "last-ack-sent", 4 },
  { "last-data-recv", 4 },
  { "last-ack-recv", 4 },
  { "pmtu", 4 },
  { "rcv-ssthresh", 4 },
  { "rtt", 4 },
  { "rttvar", 4 },
  { "snd-ssthresh", 4 },
  { "snd-cwnd", 4 },
  { "advmss", 4 },
  { "reordering", 4 },
  { "rcv-rtt", 4 },
  { "rcv-space", 4 },
  { "total-retrans", 4 },
  { "pacing-rate", 8 },
  { "max-pacing-rate", 8 },
  { "bytes-acked", 8 },
  { "bytes-received", 8 },
  { "segs-out", 4 },
  { "segs-in", 4 },
  { "notsent-bytes", 4 },
  { "min-rtt", 4 },
  { "data-segs-in", 4 },
  { "data-segs-out", 4 },
  { "delivery-rate", 8 },
  { "busy-time", 8 },
  { "rwnd-limited", 8 },
  { "sndbuf-limited", 8 },
  { "delivered", 4 },
  { "delivered-ce", 4 },
  { "bytes-sent", 8 },
  { "bytes-retrans", 8 },
  { "dsack-dups", 4 },
  { "reord-seen", 4 },
  { "rcv-ooopack", 4 },
  { "snd-wnd", 4 },
  { "rcv-wnd", 4 },
  { "rehash", 4 },
  { "total-rto", 2 },
  { "total-rto-recoveries", 2 },
  { "total-rto-time", 4 },
};

static guint64
read_number (const guint8 *data,
             gsize         size)
{
  guint64 large;
  guint32 middle;
  guint16 small;

  switch (size)
    {
    case 8:
      memcpy (&large, data, sizeof large);
      return large;
    case 4:
      memcpy (&middle, data, sizeof middle);
      return middle;
    default:
      memcpy (&small, data, sizeof small);
      return small;
    }
}

/* The two window scales share a byte, whose halves stand in the order of the processor. */
static GVariant *
unpack_tcp_info (const guint8 *data,
                 gsize         length)
{
  static const char *const first[]
      = { "state", "ca-state", "retransmits", "probes", "backoff", "options" };
  const gboolean little = G_BYTE_ORDER == G_LITTLE_ENDIAN;
  gsize at = 8;
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (first); i++)
    g_variant_dict_insert (&dict, first[i], "t", (guint64) data[i]);
  g_variant_dict_insert (&dict, "snd-wscale", "t",
                         (guint64) (little ? data[6] & 15 : data[6] >> 4));
  g_variant_dict_insert (&dict, "rcv-wscale", "t",
                         (guint64) (little ? data[6] >> 4 : data[6] & 15));

  for (gsize i = 0; i < G_N_ELEMENTS (tcp_fields) && at + tcp_fields[i].size <= length; i++)
    {
      g_variant_dict_insert (&dict, tcp_fields[i].name, "t",
                             read_number (data + at, tcp_fields[i].size));
      at += tcp_fields[i].size;
    }

  return g_variant_dict_end (&dict);
}

static GVariant *
unpack_packet_statistics (const guint8 *data,
                          gsize         length)
{
  guint32 counts[2];

  memcpy (counts, data, sizeof counts);
  return g_variant_new ("(uu)", counts[0], counts[1]);
}

static GVariant *
unpack_rollover (const guint8 *data,
                 gsize         length)
{
  guint64 counts[3];

  memcpy (counts, data, sizeof counts);
  return g_variant_new ("(ttt)", counts[0], counts[1], counts[2]);
}

static const Unpack unpackers[USOCK_OPTION_N_KINDS] = {
  [USOCK_OPTION_BOOL] = unpack_bool,
  [USOCK_OPTION_INT] = unpack_int,
  [USOCK_OPTION_UINT] = unpack_uint,
  [USOCK_OPTION_UINT64] = unpack_uint64,
  [USOCK_OPTION_UINTS] = unpack_uints,
  [USOCK_OPTION_STRING] = unpack_text,
  [USOCK_OPTION_LABEL] = unpack_text,
  [USOCK_OPTION_BYTES] = unpack_bytes,
  [USOCK_OPTION_TIME] = unpack_time,
  [USOCK_OPTION_TIME64] = unpack_time64,
  [USOCK_OPTION_LINGER] = unpack_linger,
  [USOCK_OPTION_CREDENTIALS] = unpack_credentials,
  [USOCK_OPTION_NEW_FD] = unpack_fd,
  [USOCK_OPTION_FILTER] = unpack_filter,
  [USOCK_OPTION_TXTIME] = unpack_txtime,
  [USOCK_OPTION_ADDRESS] = unpack_address,
  [USOCK_OPTION_INTERFACE] = unpack_interface,
  [USOCK_OPTION_INTERFACE_BE] = unpack_interface_be,
  [USOCK_OPTION_IP_INTERFACE] = unpack_ip,
  [USOCK_OPTION_PORTS] = unpack_ports,
  [USOCK_OPTION_IPV6_MTU] = unpack_ipv6_mtu,
  [USOCK_OPTION_TCP_INFO] = unpack_tcp_info,
  [USOCK_OPTION_PACKET_STATISTICS] = unpack_packet_statistics,
  [USOCK_OPTION_FANOUT] = unpack_ports,
  [USOCK_OPTION_ROLLOVER] = unpack_rollover,
};

/* @data has room for the largest answer of fixed size, however long the answer was. */
GVariant *
usock_option_unpack (const UsockOption *self,
                     const guint8      *data,
                     gsize              length)
{
  return g_variant_ref_sink (unpackers[self->kind](data, length));
}
