/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-option-private.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* What the C library does not have, and the kernel has where both cannot be included. */
typedef struct
{
  struct in6_addr destination;
  guint32 label;
  guint8 action;
  guint8 share;
  guint16 flags;
  guint16 expires;
  guint16 linger;
  guint32 padding;
} FlowLabel;

/* A number is taken as it is: the interface may be one of another namespace. */
static gboolean
text_to_interface (const UsockOption  *self,
                   const char         *text,
                   guint32            *index,
                   GError            **error)
{
  guint64 number = 0;

  *index = *text != '\0' ? if_nametoindex (text) : 0;
  if (*index != 0 || *text == '\0')
    return TRUE;
  if (!g_ascii_string_to_unsigned (text, 10, 0, G_MAXINT32, &number, NULL))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not set %s: “%s” is no interface"), self->label, text);
      return FALSE;
    }

  *index = number;
  return TRUE;
}

static gboolean
variant_to_interface (const UsockOption  *self,
                      GVariant           *value,
                      guint32            *index,
                      GError            **error)
{
  gint64 number;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return text_to_interface (self, g_variant_get_string (value, NULL), index, error);

  number = usock_option_get_number (value);
  *index = number;
  if (number >= 0 && number <= G_MAXINT32)
    return TRUE;

  usock_option_refuse (self, error, G_IO_ERROR_INVALID_ARGUMENT,
                       _("the value is negative or too large"));
  return FALSE;
}

gboolean
usock_option_pack_interface (const UsockOption  *self,
                             GVariant           *value,
                             UsockOptionValue   *packed,
                             GError            **error)
{
  guint32 index;

  if (!variant_to_interface (self, value, &index, error))
    return FALSE;

  if (self->kind == USOCK_OPTION_INTERFACE_BE)
    index = g_htonl (index);
  USOCK_OPTION_APPEND (packed, index);
  return TRUE;
}

static gboolean
text_to_host (const UsockOption  *self,
              GSocketFamily       family,
              const char         *text,
              gpointer            bytes,
              GError            **error)
{
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (text);

  if (address == NULL || g_inet_address_get_family (address) != family)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   family == G_SOCKET_FAMILY_IPV4
                       ? _("Could not set %s: “%s” is no IPv4 address")
                       : _("Could not set %s: “%s” is no IPv6 address"),
                   self->label, text);
      return FALSE;
    }

  memcpy (bytes, g_inet_address_to_bytes (address), g_inet_address_get_native_size (address));
  return TRUE;
}

/* An empty text is any address. */
static gboolean
text_to_ip (const UsockOption  *self,
            const char         *text,
            struct in_addr     *address,
            GError            **error)
{
  address->s_addr = 0;
  return *text == '\0' || text_to_host (self, G_SOCKET_FAMILY_IPV4, text, address, error);
}

static gboolean
text_to_ipv6 (const UsockOption  *self,
              const char         *text,
              struct in6_addr    *address,
              GError            **error)
{
  memset (address, 0, sizeof *address);
  return *text == '\0' || text_to_host (self, G_SOCKET_FAMILY_IPV6, text, address, error);
}

static gboolean
text_to_storage (const UsockOption       *self,
                 const char              *text,
                 struct sockaddr_storage *storage,
                 GError                 **error)
{
  struct sockaddr_in *ip = (struct sockaddr_in *) storage;
  struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *) storage;

  memset (storage, 0, sizeof *storage);
  if (self->level == USOCK_SOL_IP)
    {
      ip->sin_family = AF_INET;
      return text_to_host (self, G_SOCKET_FAMILY_IPV4, text, &ip->sin_addr, error);
    }

  ipv6->sin6_family = AF_INET6;
  return text_to_host (self, G_SOCKET_FAMILY_IPV6, text, &ipv6->sin6_addr, error);
}

/* An own address tells the interface as well as its name does. */
gboolean
usock_option_pack_ip_interface (const UsockOption  *self,
                                GVariant           *value,
                                UsockOptionValue   *packed,
                                GError            **error)
{
  g_autoptr (GInetAddress) address = NULL;
  struct ip_mreqn request = { 0 };
  guint32 index = 0;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    address = g_inet_address_new_from_string (g_variant_get_string (value, NULL));
  if (address != NULL && g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV4)
    memcpy (&request.imr_address, g_inet_address_to_bytes (address), sizeof request.imr_address);
  else if (!variant_to_interface (self, value, &index, error))
    return FALSE;

  request.imr_ifindex = index;
  USOCK_OPTION_APPEND (packed, request);
  return TRUE;
}

gboolean
usock_option_pack_ip_membership (const UsockOption  *self,
                                 GVariant           *value,
                                 UsockOptionValue   *packed,
                                 GError            **error)
{
  struct ip_mreqn request = { 0 };
  const char *group, *own, *interface;
  guint32 index;

  g_variant_get (value, "(&s&s&s)", &group, &own, &interface);
  if (!text_to_host (self, G_SOCKET_FAMILY_IPV4, group, &request.imr_multiaddr, error)
      || !text_to_ip (self, own, &request.imr_address, error)
      || !text_to_interface (self, interface, &index, error))
    return FALSE;

  request.imr_ifindex = index;
  USOCK_OPTION_APPEND (packed, request);
  return TRUE;
}

gboolean
usock_option_pack_ip_source (const UsockOption  *self,
                             GVariant           *value,
                             UsockOptionValue   *packed,
                             GError            **error)
{
  struct ip_mreq_source request = { 0 };
  const char *group, *own, *source;

  g_variant_get (value, "(&s&s&s)", &group, &own, &source);
  if (!text_to_host (self, G_SOCKET_FAMILY_IPV4, group, &request.imr_multiaddr, error)
      || !text_to_ip (self, own, &request.imr_interface, error)
      || !text_to_host (self, G_SOCKET_FAMILY_IPV4, source, &request.imr_sourceaddr, error))
    return FALSE;

  USOCK_OPTION_APPEND (packed, request);
  return TRUE;
}

gboolean
usock_option_pack_ip_sources (const UsockOption  *self,
                              GVariant           *value,
                              UsockOptionValue   *packed,
                              GError            **error)
{
  struct in_addr head[2];
  g_autofree const char **sources = NULL;
  const char *group, *own;
  guint32 mode, n_sources;

  g_variant_get (value, "(&s&su^a&s)", &group, &own, &mode, &sources);
  if (!text_to_host (self, G_SOCKET_FAMILY_IPV4, group, &head[0], error)
      || !text_to_ip (self, own, &head[1], error))
    return FALSE;

  n_sources = g_strv_length ((char **) sources);
  USOCK_OPTION_APPEND (packed, head);
  USOCK_OPTION_APPEND (packed, mode);
  USOCK_OPTION_APPEND (packed, n_sources);
  for (guint32 i = 0; i < n_sources; i++)
    {
      struct in_addr source;

      if (!text_to_host (self, G_SOCKET_FAMILY_IPV4, sources[i], &source, error))
        return FALSE;
      USOCK_OPTION_APPEND (packed, source);
    }

  return TRUE;
}

gboolean
usock_option_pack_group (const UsockOption  *self,
                         GVariant           *value,
                         UsockOptionValue   *packed,
                         GError            **error)
{
  struct group_req request = { 0 };
  const char *group, *interface;
  guint32 index;

  g_variant_get (value, "(&s&s)", &group, &interface);
  if (!text_to_storage (self, group, &request.gr_group, error)
      || !text_to_interface (self, interface, &index, error))
    return FALSE;

  request.gr_interface = index;
  USOCK_OPTION_APPEND (packed, request);
  return TRUE;
}

gboolean
usock_option_pack_group_source (const UsockOption  *self,
                                GVariant           *value,
                                UsockOptionValue   *packed,
                                GError            **error)
{
  struct group_source_req request = { 0 };
  const char *group, *interface, *source;
  guint32 index;

  g_variant_get (value, "(&s&s&s)", &group, &interface, &source);
  if (!text_to_storage (self, group, &request.gsr_group, error)
      || !text_to_interface (self, interface, &index, error)
      || !text_to_storage (self, source, &request.gsr_source, error))
    return FALSE;

  request.gsr_interface = index;
  USOCK_OPTION_APPEND (packed, request);
  return TRUE;
}

gboolean
usock_option_pack_group_sources (const UsockOption  *self,
                                 GVariant           *value,
                                 UsockOptionValue   *packed,
                                 GError            **error)
{
  struct group_filter request = { 0 };
  g_autofree const char **sources = NULL;
  const char *group, *interface;
  guint32 index, mode;

  g_variant_get (value, "(&s&su^a&s)", &group, &interface, &mode, &sources);
  if (!text_to_storage (self, group, &request.gf_group, error)
      || !text_to_interface (self, interface, &index, error))
    return FALSE;

  request.gf_interface = index;
  request.gf_fmode = mode;
  request.gf_numsrc = g_strv_length ((char **) sources);
  g_byte_array_append (packed->data, (gconstpointer) &request, GROUP_FILTER_SIZE (0));
  for (guint32 i = 0; i < request.gf_numsrc; i++)
    {
      struct sockaddr_storage source;

      if (!text_to_storage (self, sources[i], &source, error))
        return FALSE;
      USOCK_OPTION_APPEND (packed, source);
    }

  return TRUE;
}

gboolean
usock_option_pack_ipv6_membership (const UsockOption  *self,
                                   GVariant           *value,
                                   UsockOptionValue   *packed,
                                   GError            **error)
{
  struct ipv6_mreq request = { 0 };
  const char *group, *interface;
  guint32 index;

  g_variant_get (value, "(&s&s)", &group, &interface);
  if (!text_to_host (self, G_SOCKET_FAMILY_IPV6, group, &request.ipv6mr_multiaddr, error)
      || !text_to_interface (self, interface, &index, error))
    return FALSE;

  request.ipv6mr_interface = index;
  USOCK_OPTION_APPEND (packed, request);
  return TRUE;
}

gboolean
usock_option_pack_ipv6_pktinfo (const UsockOption  *self,
                                GVariant           *value,
                                UsockOptionValue   *packed,
                                GError            **error)
{
  struct in6_pktinfo info = { 0 };
  const char *own, *interface;
  guint32 index;

  g_variant_get (value, "(&s&s)", &own, &interface);
  if (!text_to_ipv6 (self, own, &info.ipi6_addr, error)
      || !text_to_interface (self, interface, &index, error))
    return FALSE;

  info.ipi6_ifindex = index;
  USOCK_OPTION_APPEND (packed, info);
  return TRUE;
}

/* The kernel writes the label back, which is why it goes in by a buffer of its own. */
gboolean
usock_option_pack_flow_label (const UsockOption  *self,
                              GVariant           *value,
                              UsockOptionValue   *packed,
                              GError            **error)
{
  FlowLabel request = { 0 };
  const char *destination;

  g_variant_get (value, "(&suyyqqq)", &destination, &request.label, &request.action,
                 &request.share, &request.flags, &request.expires, &request.linger);
  if (!text_to_ipv6 (self, destination, &request.destination, error))
    return FALSE;

  request.label = g_htonl (request.label);
  USOCK_OPTION_APPEND (packed, request);
  return TRUE;
}

gboolean
usock_option_pack_packet_membership (const UsockOption  *self,
                                     GVariant           *value,
                                     UsockOptionValue   *packed,
                                     GError            **error)
{
  g_autoptr (GVariant) bytes = NULL;
  struct packet_mreq request = { 0 };
  const char *interface;
  gconstpointer address;
  guint32 index;
  gsize length;

  g_variant_get (value, "(&sq@ay)", &interface, &request.mr_type, &bytes);
  address = g_variant_get_fixed_array (bytes, &length, 1);
  if (!text_to_interface (self, interface, &index, error))
    return FALSE;
  if (length > sizeof request.mr_address)
    {
      usock_option_refuse (self, error, G_IO_ERROR_INVALID_ARGUMENT,
                           _("a hardware address has at most 8 bytes"));
      return FALSE;
    }

  request.mr_ifindex = index;
  request.mr_alen = length;
  if (length > 0)
    memcpy (request.mr_address, address, length);
  USOCK_OPTION_APPEND (packed, request);
  return TRUE;
}

/* That of TPACKET_V3, of which the older ones take the beginning. */
gboolean
usock_option_pack_ring (const UsockOption  *self,
                        GVariant           *value,
                        UsockOptionValue   *packed,
                        GError            **error)
{
  struct tpacket_req3 request = { 0 };

  g_variant_get (value, "(uuuu)", &request.tp_block_size, &request.tp_block_nr,
                 &request.tp_frame_size, &request.tp_frame_nr);
  USOCK_OPTION_APPEND (packed, request);
  return TRUE;
}
