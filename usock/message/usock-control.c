/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-control-private.h"

#include <gio/gio.h>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

/* Newer than the headers of Debian 12, or not in those of the C library. */
#ifndef SCM_SECURITY
#define SCM_SECURITY 3
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#ifndef IPV6_FLOWINFO
#define IPV6_FLOWINFO 11
#endif

/* TCP_CM_INQ of <linux/tcp.h>, which cannot be included beside the C library's. */
#define CONTROL_TCP_INQ 36

typedef enum
{
  KIND_RAW,
  KIND_INT,   /* one that the kernel tells in 4 bytes, or in 1 */
  KIND_UINT,
  KIND_UINT16,
  KIND_UINT64,
  KIND_BE32,
  KIND_TEXT,
  KIND_TIME,  /* seconds, and what is left: microseconds or nanoseconds */
  KIND_TIMES,
  KIND_CREDENTIALS,
  KIND_PKTINFO,
  KIND_PKTINFO6,
  KIND_ADDRESS,
  KIND_PATH_MTU,
  KIND_FAILURE,
  KIND_AUXDATA,
} Kind;

static const struct
{
  int level;
  int type;
  Kind kind;
} kinds[] = {
  { SOL_SOCKET, SO_TIMESTAMP_OLD, KIND_TIME },
  { SOL_SOCKET, SO_TIMESTAMP_NEW, KIND_TIME },
  { SOL_SOCKET, SO_TIMESTAMPNS_OLD, KIND_TIME },
  { SOL_SOCKET, SO_TIMESTAMPNS_NEW, KIND_TIME },
  { SOL_SOCKET, SO_TIMESTAMPING_OLD, KIND_TIMES },
  { SOL_SOCKET, SO_TIMESTAMPING_NEW, KIND_TIMES },
  { SOL_SOCKET, SCM_CREDENTIALS, KIND_CREDENTIALS },
  { SOL_SOCKET, SCM_SECURITY, KIND_TEXT },
  { SOL_SOCKET, SO_RXQ_OVFL, KIND_UINT },
  { SOL_SOCKET, SO_MARK, KIND_UINT },
  { SOL_SOCKET, SO_PRIORITY, KIND_UINT },
  { SOL_SOCKET, SO_WIFI_STATUS, KIND_INT },
  { SOL_SOCKET, SO_TXTIME, KIND_UINT64 },
  { IPPROTO_IP, IP_TOS, KIND_INT },
  { IPPROTO_IP, IP_TTL, KIND_INT },
  { IPPROTO_IP, IP_PKTINFO, KIND_PKTINFO },
  { IPPROTO_IP, IP_CHECKSUM, KIND_UINT },
  { IPPROTO_IP, IP_RECVFRAGSIZE, KIND_INT },
  { IPPROTO_IP, IP_ORIGDSTADDR, KIND_ADDRESS },
  { IPPROTO_IP, IP_RECVERR, KIND_FAILURE },
  { IPPROTO_IPV6, IPV6_TCLASS, KIND_INT },
  { IPPROTO_IPV6, IPV6_HOPLIMIT, KIND_INT },
  { IPPROTO_IPV6, IPV6_FLOWINFO, KIND_BE32 },
  { IPPROTO_IPV6, IPV6_PKTINFO, KIND_PKTINFO6 },
  { IPPROTO_IPV6, IPV6_PATHMTU, KIND_PATH_MTU },
  { IPPROTO_IPV6, IPV6_RECVFRAGSIZE, KIND_INT },
  { IPPROTO_IPV6, IPV6_ORIGDSTADDR, KIND_ADDRESS },
  { IPPROTO_IPV6, IPV6_RECVERR, KIND_FAILURE },
  { IPPROTO_TCP, CONTROL_TCP_INQ, KIND_INT },
  { IPPROTO_UDP, UDP_GRO, KIND_INT },
  { IPPROTO_UDP, UDP_SEGMENT, KIND_UINT16 },
  { SOL_PACKET, PACKET_AUXDATA, KIND_AUXDATA },
};

static Kind
control_kind (int level,
              int type)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (kinds[i].level == level && kinds[i].type == type)
      return kinds[i].kind;

  return KIND_RAW;
}

static GVariant *
decode_raw (const UsockControl *control)
{
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, control->data, control->length, 1);
}

/* Takes no byte that is not there; the data of a record need not be aligned. */
static gboolean
control_read (const UsockControl *control,
              gpointer            target,
              gsize               size)
{
  if (control->length < size)
    return FALSE;

  memcpy (target, control->data, size);
  return TRUE;
}

static GVariant *
decode_number (const UsockControl *control,
               Kind                kind)
{
  guint8 byte;
  guint16 narrow;
  guint32 number;
  guint64 wide;

  if (kind == KIND_UINT64)
    return control_read (control, &wide, sizeof wide) ? g_variant_new_uint64 (wide) : NULL;
  if (kind == KIND_UINT16)
    return control_read (control, &narrow, sizeof narrow) ? g_variant_new_uint16 (narrow) : NULL;
  if (kind == KIND_INT && control->length == sizeof byte)
    return control_read (control, &byte, sizeof byte) ? g_variant_new_int32 (byte) : NULL;
  if (!control_read (control, &number, sizeof number))
    return NULL;

  if (kind == KIND_INT)
    return g_variant_new_int32 ((gint32) number);
  return g_variant_new_uint32 (kind == KIND_BE32 ? g_ntohl (number) : number);
}

/* The kernel counts a final NUL in. There may be no bytes at all, nor a place where they are. */
static GVariant *
decode_text (const UsockControl *control)
{
  g_autofree char *text = g_strndup (control->data, control->length);

  return text != NULL && g_utf8_validate (text, -1, NULL) ? g_variant_new_string (text) : NULL;
}

/* Two longs: 64 bits on every machine for the types that say NEW, and on most for the others. */
static GVariant *
decode_time (const UsockControl *control)
{
  gint64 wide[2];
  gint32 narrow[2];

  if (control->length == sizeof narrow && control_read (control, narrow, sizeof narrow))
    return g_variant_new ("(xx)", (gint64) narrow[0], (gint64) narrow[1]);
  if (!control_read (control, wide, sizeof wide))
    return NULL;

  return g_variant_new ("(xx)", wide[0], wide[1]);
}

static GVariant *
decode_times (const UsockControl *control)
{
  gsize size = control->length / 3;
  GVariantBuilder builder;

  if (size != 2 * sizeof (gint32) && size != 2 * sizeof (gint64))
    return NULL;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(xx)"));
  for (guint i = 0; i < 3; i++)
    {
      UsockControl time = { .length = size, .data = (const guint8 *) control->data + i * size };

      g_variant_builder_add_value (&builder, decode_time (&time));
    }
  return g_variant_builder_end (&builder);
}

static GVariant *
decode_credentials (const UsockControl *control)
{
  struct ucred native;

  if (!control_read (control, &native, sizeof native))
    return NULL;

  return g_variant_new ("(iuu)", native.pid, native.uid, native.gid);
}

static char *
host_to_text (GSocketFamily family,
              gconstpointer bytes)
{
  g_autoptr (GInetAddress) host = g_inet_address_new_from_bytes (bytes, family);

  return g_inet_address_to_string (host);
}

static GVariant *
decode_pktinfo (const UsockControl *control)
{
  struct in_pktinfo native;
  g_autofree char *local = NULL;
  g_autofree char *destination = NULL;

  if (!control_read (control, &native, sizeof native))
    return NULL;

  local = host_to_text (G_SOCKET_FAMILY_IPV4, &native.ipi_spec_dst);
  destination = host_to_text (G_SOCKET_FAMILY_IPV4, &native.ipi_addr);
  return g_variant_new ("(iss)", native.ipi_ifindex, local, destination);
}

static GVariant *
decode_pktinfo6 (const UsockControl *control)
{
  struct in6_pktinfo native;
  g_autofree char *destination = NULL;

  if (!control_read (control, &native, sizeof native))
    return NULL;

  destination = host_to_text (G_SOCKET_FAMILY_IPV6, &native.ipi6_addr);
  return g_variant_new ("(is)", (gint32) native.ipi6_ifindex, destination);
}

/* "" for none, which the kernel tells by the family AF_UNSPEC. */
static char *
native_to_text (gconstpointer native,
                gsize         length)
{
  struct sockaddr_storage copy = { 0 };
  g_autoptr (GSocketAddress) address = NULL;

  if (length > 0)
    memcpy (&copy, native, MIN (length, sizeof copy));
  if ((copy.ss_family != AF_INET || length < sizeof (struct sockaddr_in))
      && (copy.ss_family != AF_INET6 || length < sizeof (struct sockaddr_in6)))
    return g_strdup ("");

  address = g_socket_address_new_from_native (&copy, MIN (length, sizeof copy));
  return g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
}

static GVariant *
decode_address (const UsockControl *control)
{
  g_autofree char *text = native_to_text (control->data, control->length);

  return *text != '\0' ? g_variant_new_string (text) : NULL;
}

static GVariant *
decode_path_mtu (const UsockControl *control)
{
  struct ip6_mtuinfo native;
  g_autofree char *text = NULL;

  if (!control_read (control, &native, sizeof native))
    return NULL;

  text = native_to_text (&native.ip6m_addr, sizeof native.ip6m_addr);
  return g_variant_new ("(su)", text, native.ip6m_mtu);
}

static GVariant *
decode_failure (const UsockControl *control)
{
  struct sock_extended_err native;
  g_autofree char *offender = NULL;

  if (!control_read (control, &native, sizeof native))
    return NULL;

  offender = native_to_text ((const guint8 *) control->data + sizeof native,
                             control->length - sizeof native);
  return g_variant_new ("(uyyyuus)", native.ee_errno, native.ee_origin, native.ee_type,
                        native.ee_code, native.ee_info, native.ee_data, offender);
}

static GVariant *
decode_auxdata (const UsockControl *control)
{
  struct tpacket_auxdata native;

  if (!control_read (control, &native, sizeof native))
    return NULL;

  return g_variant_new ("(uuuqqqq)", native.tp_status, native.tp_len, native.tp_snaplen,
                        native.tp_mac, native.tp_net, native.tp_vlan_tci, native.tp_vlan_tpid);
}

static GVariant *
control_decode_kind (const UsockControl *control,
                     Kind                kind)
{
  switch (kind)
    {
    case KIND_INT:
    case KIND_UINT:
    case KIND_UINT16:
    case KIND_UINT64:
    case KIND_BE32:
      return decode_number (control, kind);
    case KIND_TEXT:
      return decode_text (control);
    case KIND_TIME:
      return decode_time (control);
    case KIND_TIMES:
      return decode_times (control);
    case KIND_CREDENTIALS:
      return decode_credentials (control);
    case KIND_PKTINFO:
      return decode_pktinfo (control);
    case KIND_PKTINFO6:
      return decode_pktinfo6 (control);
    case KIND_ADDRESS:
      return decode_address (control);
    case KIND_PATH_MTU:
      return decode_path_mtu (control);
    case KIND_FAILURE:
      return decode_failure (control);
    case KIND_AUXDATA:
      return decode_auxdata (control);
    case KIND_RAW:
    default:
      return NULL;
    }
}

/* Floating. Never NULL: what is not understood stays bytes. */
GVariant *
usock_control_decode (const UsockControl *control)
{
  GVariant *value = control_decode_kind (control, control_kind (control->level, control->type));

  return value != NULL ? value : decode_raw (control);
}

static gboolean
variant_get_number (GVariant *value,
                    gint64   *number)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      *number = g_variant_get_boolean (value);
      return TRUE;
    case G_VARIANT_CLASS_BYTE:
      *number = g_variant_get_byte (value);
      return TRUE;
    case G_VARIANT_CLASS_INT16:
      *number = g_variant_get_int16 (value);
      return TRUE;
    case G_VARIANT_CLASS_UINT16:
      *number = g_variant_get_uint16 (value);
      return TRUE;
    case G_VARIANT_CLASS_INT32:
      *number = g_variant_get_int32 (value);
      return TRUE;
    case G_VARIANT_CLASS_UINT32:
      *number = g_variant_get_uint32 (value);
      return TRUE;
    case G_VARIANT_CLASS_INT64:
      *number = g_variant_get_int64 (value);
      return TRUE;
    case G_VARIANT_CLASS_UINT64:
      *number = (gint64) g_variant_get_uint64 (value);
      return TRUE;
    default:
      return FALSE;
    }
}

static GBytes *
encode_number (Kind      kind,
               GVariant *value)
{
  gint64 number;
  guint32 word;
  guint16 half;

  if (!variant_get_number (value, &number))
    return NULL;
  if (kind == KIND_UINT64)
    return g_bytes_new (&number, sizeof number);

  if (number < (kind == KIND_INT ? G_MININT32 : 0)
      || number > (kind == KIND_INT ? G_MAXINT32 : kind == KIND_UINT16 ? G_MAXUINT16 : G_MAXUINT32))
    return NULL;

  half = (guint16) number;
  if (kind == KIND_UINT16)
    return g_bytes_new (&half, sizeof half);

  word = (guint32) number;
  if (kind == KIND_BE32)
    word = g_htonl (word);
  return g_bytes_new (&word, sizeof word);
}

static gboolean
host_from_text (const char    *text,
                GSocketFamily  family,
                gpointer       bytes)
{
  g_autoptr (GInetAddress) host = g_inet_address_new_from_string (text);

  if (host == NULL || g_inet_address_get_family (host) != family)
    return FALSE;

  memcpy (bytes, g_inet_address_to_bytes (host), g_inet_address_get_native_size (host));
  return TRUE;
}

static GBytes *
encode_credentials (GVariant *value)
{
  struct ucred native;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("(iuu)")))
    return NULL;

  g_variant_get (value, "(iuu)", &native.pid, &native.uid, &native.gid);
  return g_bytes_new (&native, sizeof native);
}

static GBytes *
encode_pktinfo (GVariant *value)
{
  struct in_pktinfo native = { 0 };
  const char *local, *destination;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("(iss)")))
    return NULL;

  g_variant_get (value, "(i&s&s)", &native.ipi_ifindex, &local, &destination);
  if (!host_from_text (local, G_SOCKET_FAMILY_IPV4, &native.ipi_spec_dst)
      || !host_from_text (destination, G_SOCKET_FAMILY_IPV4, &native.ipi_addr))
    return NULL;

  return g_bytes_new (&native, sizeof native);
}

static GBytes *
encode_pktinfo6 (GVariant *value)
{
  struct in6_pktinfo native = { 0 };
  const char *source;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("(is)")))
    return NULL;

  g_variant_get (value, "(i&s)", &native.ipi6_ifindex, &source);
  if (!host_from_text (source, G_SOCKET_FAMILY_IPV6, &native.ipi6_addr))
    return NULL;

  return g_bytes_new (&native, sizeof native);
}

/* NULL if the value is not what such a record is made of. Bytes always are. */
GBytes *
usock_control_encode (int       level,
                      int       type,
                      GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return g_variant_get_data_as_bytes (value);

  switch (control_kind (level, type))
    {
    case KIND_INT:
    case KIND_UINT:
    case KIND_UINT16:
    case KIND_UINT64:
    case KIND_BE32:
      return encode_number (control_kind (level, type), value);
    case KIND_CREDENTIALS:
      return encode_credentials (value);
    case KIND_PKTINFO:
      return encode_pktinfo (value);
    case KIND_PKTINFO6:
      return encode_pktinfo6 (value);
    case KIND_TEXT:
    case KIND_TIME:
    case KIND_TIMES:
    case KIND_ADDRESS:
    case KIND_PATH_MTU:
    case KIND_FAILURE:
    case KIND_AUXDATA:
    case KIND_RAW:
    default:
      return NULL;
    }
}

static void
control_clear (gpointer data)
{
  UsockControl *control = data;

  g_free ((gpointer) control->data);
}

/* Copies the bytes. */
void
usock_control_array_append (GArray             **array,
                            const UsockControl  *control)
{
  UsockControl copy = *control;

  if (*array == NULL)
    {
      *array = g_array_new (FALSE, FALSE, sizeof (UsockControl));
      g_array_set_clear_func (*array, control_clear);
    }

  copy.data = g_memdup2 (control->data, control->length);
  g_array_append_val (*array, copy);
}

/* How many bytes the records take where the kernel reads them. */
gsize
usock_control_array_space (GArray *array)
{
  gsize space = 0;

  for (guint i = 0; array != NULL && i < array->len; i++)
    space += CMSG_SPACE (g_array_index (array, UsockControl, i).length);

  return space;
}
