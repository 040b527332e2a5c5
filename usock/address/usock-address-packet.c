/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-address-private.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>

#include "usock-enums.h"
#include "usock-error-private.h"

/* The longest that any sort of link layer has; a sockaddr_ll shows room for 8 bytes, but may be
 * longer than it is declared. */
#define HARDWARE_MAX 32

#define NATIVE_SIZE(length)                                                                        \
  MAX (sizeof (struct sockaddr_ll), G_STRUCT_OFFSET (struct sockaddr_ll, sll_addr) + (length))

/**
 * UsockPacketAddress:
 *
 * An address of the link layer, see packet(7): which packets of which interface
 * a packet socket receives, or where it sends to. It is to be used with a
 * socket of the family [enum@Usock.Family] `PACKET`, which is what
 * [method@Gio.SocketAddress.get_family] gives in C and Python; GJS throws there,
 * for [enum@Gio.SocketFamily] has no such member.
 *
 * Since: 1.0
 */
struct _UsockPacketAddress
{
  GSocketAddress parent_instance;

  guint protocol;
  guint interface_index;
  guint hardware_type;
  UsockPacketType packet_type;
  GBytes *hardware_address;
};

struct _UsockPacketAddressClass
{
  GSocketAddressClass parent_class;
};

typedef enum
{
  PROP_PROTOCOL = 1,
  PROP_INTERFACE_INDEX,
  PROP_HARDWARE_TYPE,
  PROP_PACKET_TYPE,
  PROP_HARDWARE_ADDRESS,
} UsockPacketAddressProperty;

static GParamSpec *properties[PROP_HARDWARE_ADDRESS + 1];

static void usock_packet_address_connectable_init (GSocketConnectableIface *iface);

G_DEFINE_TYPE_WITH_CODE (UsockPacketAddress,
                         usock_packet_address,
                         G_TYPE_SOCKET_ADDRESS,
                         G_IMPLEMENT_INTERFACE (G_TYPE_SOCKET_CONNECTABLE,
                                                usock_packet_address_connectable_init))

static UsockPacketAddress *
packet_address_new (guint         protocol,
                    guint         interface_index,
                    guint         hardware_type,
                    guint         packet_type,
                    gconstpointer hardware_address,
                    gsize         length)
{
  UsockPacketAddress *self = g_object_new (usock_packet_address_get_type (), NULL);

  self->protocol = protocol;
  self->interface_index = interface_index;
  self->hardware_type = hardware_type;
  self->packet_type = packet_type;
  g_bytes_unref (self->hardware_address);
  self->hardware_address = g_bytes_new (hardware_address, MIN (length, HARDWARE_MAX));
  return self;
}

/* The name of an interface that is gone is its number. */
static char *
interface_to_text (guint index)
{
  char name[IF_NAMESIZE];

  if (index != 0 && if_indextoname (index, name) != NULL && g_utf8_validate (name, -1, NULL))
    return g_strdup (name);

  return g_strdup_printf ("%u", index);
}

static gboolean
text_to_interface (const char *text,
                   guint      *index)
{
  guint64 number;

  *index = if_nametoindex (text);
  if (*index != 0)
    return TRUE;
  if (!g_ascii_string_to_unsigned (text, 10, 0, G_MAXINT32, &number, NULL))
    return FALSE;

  *index = number;
  return TRUE;
}

/* Pairs of digits with colons between them; a byte too many is no address. */
static gssize
text_to_hardware (const char *text,
                  const char *end,
                  guint8      hardware[HARDWARE_MAX])
{
  gsize length = 0;

  while (text < end)
    {
      if (length == HARDWARE_MAX || end - text < 2 || !g_ascii_isxdigit (text[0])
          || !g_ascii_isxdigit (text[1]))
        return -1;
      hardware[length++] = g_ascii_xdigit_value (text[0]) << 4 | g_ascii_xdigit_value (text[1]);
      text += 2;
      if (text < end && (*text++ != ':' || text == end))
        return -1;
    }

  return length;
}

/* [hardware%interface]:0xprotocol, as IPv6 with a scope is written, but for the 0x. Whether it is
 * that does not depend on which interfaces there are. */
gboolean
usock_packet_text_is (const char *text)
{
  const char *percent = strchr (text, '%');
  const char *bracket = strrchr (text, ']');
  guint8 hardware[HARDWARE_MAX];

  return text[0] == '[' && percent != NULL && bracket > percent + 1
         && strchr (text, '/') == NULL && g_str_has_prefix (bracket, "]:0x")
         && g_ascii_string_to_unsigned (bracket + 4, 16, 0, G_MAXUINT16, NULL, NULL)
         && text_to_hardware (text + 1, percent, hardware) >= 0;
}

GSocketAddress *
usock_packet_text_parse (const char  *text,
                         GError     **error)
{
  const char *percent = strchr (text, '%');
  const char *bracket = strrchr (text, ']');
  g_autofree char *interface = g_strndup (percent + 1, bracket - percent - 1);
  guint8 hardware[HARDWARE_MAX];
  guint64 protocol = 0;
  guint index;

  if (!text_to_interface (interface, &index))
    {
      g_autofree char *shown = g_filename_display_name (text);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                   _("Could not use “%s” as an address: there is no such interface"), shown);
      return NULL;
    }

  g_ascii_string_to_unsigned (bracket + 4, 16, 0, G_MAXUINT16, &protocol, NULL);
  return G_SOCKET_ADDRESS (
      packet_address_new (protocol, index, 0, USOCK_PACKET_TYPE_HOST, hardware,
                          text_to_hardware (text + 1, percent, hardware)));
}

GSocketAddress *
usock_packet_native_to_address (const struct sockaddr *native,
                                socklen_t              length)
{
  struct sockaddr_ll head = { 0 };
  const guint8 *hardware = (const guint8 *) native + G_STRUCT_OFFSET (struct sockaddr_ll, sll_addr);

  /* The kernel leaves away what the hardware address does not fill. */
  if (length < G_STRUCT_OFFSET (struct sockaddr_ll, sll_addr))
    return NULL;

  memcpy (&head, native, MIN (length, sizeof head));
  return G_SOCKET_ADDRESS (packet_address_new (
      g_ntohs (head.sll_protocol), head.sll_ifindex, head.sll_hatype, head.sll_pkttype, hardware,
      MIN (head.sll_halen, length - G_STRUCT_OFFSET (struct sockaddr_ll, sll_addr))));
}

static char *
usock_packet_address_to_string (GSocketConnectable *connectable)
{
  UsockPacketAddress *self = USOCK_PACKET_ADDRESS (connectable);
  g_autofree char *interface = interface_to_text (self->interface_index);
  gsize length;
  const guint8 *hardware = g_bytes_get_data (self->hardware_address, &length);
  GString *text = g_string_new ("[");

  for (gsize i = 0; i < length; i++)
    g_string_append_printf (text, "%s%02x", i > 0 ? ":" : "", hardware[i]);
  g_string_append_printf (text, "%%%s]:0x%04x", interface, self->protocol);

  return g_string_free (text, FALSE);
}

static void
usock_packet_address_connectable_init (GSocketConnectableIface *iface)
{
  iface->to_string = usock_packet_address_to_string;
}

static GSocketFamily
usock_packet_address_get_family (GSocketAddress *address)
{
  return (GSocketFamily) USOCK_AF_PACKET;
}

static gssize
usock_packet_address_get_native_size (GSocketAddress *address)
{
  return NATIVE_SIZE (g_bytes_get_size (USOCK_PACKET_ADDRESS (address)->hardware_address));
}

static gboolean
usock_packet_address_to_native (GSocketAddress  *address,
                                gpointer         destination,
                                gsize            room,
                                GError         **error)
{
  UsockPacketAddress *self = USOCK_PACKET_ADDRESS (address);
  gsize length;
  gconstpointer hardware = g_bytes_get_data (self->hardware_address, &length);
  struct sockaddr_ll head = {
    .sll_family = AF_PACKET,
    .sll_protocol = g_htons (self->protocol),
    .sll_ifindex = self->interface_index,
    .sll_hatype = self->hardware_type,
    .sll_pkttype = self->packet_type,
    .sll_halen = length,
  };

  if (room < NATIVE_SIZE (length))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                           _("Could not copy an address: there is no room for it"));
      return FALSE;
    }

  memcpy (destination, &head, sizeof head);
  if (length > 0)
    memcpy ((guint8 *) destination + G_STRUCT_OFFSET (struct sockaddr_ll, sll_addr), hardware,
            length);
  return TRUE;
}

static void
usock_packet_address_finalize (GObject *object)
{
  g_bytes_unref (USOCK_PACKET_ADDRESS (object)->hardware_address);

  G_OBJECT_CLASS (usock_packet_address_parent_class)->finalize (object);
}

static void
usock_packet_address_get_property (GObject    *object,
                                   guint       property_id,
                                   GValue     *value,
                                   GParamSpec *pspec)
{
  UsockPacketAddress *self = USOCK_PACKET_ADDRESS (object);

  switch ((UsockPacketAddressProperty) property_id)
    {
    case PROP_PROTOCOL:
      g_value_set_uint (value, self->protocol);
      break;
    case PROP_INTERFACE_INDEX:
      g_value_set_uint (value, self->interface_index);
      break;
    case PROP_HARDWARE_TYPE:
      g_value_set_uint (value, self->hardware_type);
      break;
    case PROP_PACKET_TYPE:
      g_value_set_enum (value, self->packet_type);
      break;
    case PROP_HARDWARE_ADDRESS:
      g_value_set_boxed (value, self->hardware_address);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_packet_address_class_init (UsockPacketAddressClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  GSocketAddressClass *address_class = G_SOCKET_ADDRESS_CLASS (class);
  const GParamFlags read_only = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = usock_packet_address_finalize;
  object_class->get_property = usock_packet_address_get_property;

  address_class->get_family = usock_packet_address_get_family;
  address_class->get_native_size = usock_packet_address_get_native_size;
  address_class->to_native = usock_packet_address_to_native;

  /**
   * UsockPacketAddress:protocol: (getter get_protocol)
   *
   * Which packets, a [enum@Usock.EtherType] or another number of that sort, in
   * the byte order of the host.
   *
   * Since: 1.0
   */
  properties[PROP_PROTOCOL]
      = g_param_spec_uint ("protocol", NULL, NULL, 0, G_MAXUINT16, 0, read_only);

  /**
   * UsockPacketAddress:interface-index: (getter get_interface_index)
   *
   * The number of the interface, or 0 for any.
   *
   * Since: 1.0
   */
  properties[PROP_INTERFACE_INDEX]
      = g_param_spec_uint ("interface-index", NULL, NULL, 0, G_MAXUINT, 0, read_only);

  /**
   * UsockPacketAddress:hardware-type: (getter get_hardware_type)
   *
   * The sort of link layer of an address that was received, 1 for Ethernet and
   * 772 for loopback; see `ARPHRD_ETHER` and so on.
   *
   * Since: 1.0
   */
  properties[PROP_HARDWARE_TYPE]
      = g_param_spec_uint ("hardware-type", NULL, NULL, 0, G_MAXUINT16, 0, read_only);

  /**
   * UsockPacketAddress:packet-type: (getter get_packet_type)
   *
   * For whom a packet is that was received from this address.
   *
   * Since: 1.0
   */
  properties[PROP_PACKET_TYPE] = g_param_spec_enum (
      "packet-type", NULL, NULL, USOCK_TYPE_PACKET_TYPE, USOCK_PACKET_TYPE_HOST, read_only);

  /**
   * UsockPacketAddress:hardware-address: (getter get_hardware_address)
   *
   * The address on the link, 6 bytes on Ethernet. Empty if it does not matter.
   *
   * Since: 1.0
   */
  properties[PROP_HARDWARE_ADDRESS]
      = g_param_spec_boxed ("hardware-address", NULL, NULL, G_TYPE_BYTES, read_only);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
usock_packet_address_init (UsockPacketAddress *self)
{
  self->hardware_address = g_bytes_new (NULL, 0);
}

/**
 * usock_packet_address_new:
 * @interface_index: the number of the interface, or 0 for any
 * @protocol: which packets, a [enum@Usock.EtherType] for example; 0 when sending
 * @hardware_address: (array length=length) (element-type guint8) (nullable): the address on the
 *   link; %NULL or empty when binding
 * @length: how many bytes it has, at most 32
 *
 * Makes an address of the link layer, to bind to or to send to.
 *
 * Returns: (transfer full): a new address
 *
 * Since: 1.0
 */
UsockPacketAddress *
usock_packet_address_new (guint         interface_index,
                          guint         protocol,
                          const guint8 *hardware_address,
                          gsize         length)
{
  g_return_val_if_fail (interface_index <= G_MAXINT32, NULL);
  g_return_val_if_fail (protocol <= G_MAXUINT16, NULL);
  g_return_val_if_fail (length <= HARDWARE_MAX, NULL);
  g_return_val_if_fail (hardware_address != NULL || length == 0, NULL);

  return packet_address_new (protocol, interface_index, 0, USOCK_PACKET_TYPE_HOST,
                             hardware_address, length);
}

/**
 * usock_packet_address_new_for_interface:
 * @interface: the name of an interface, `eth0` for example
 * @protocol: which packets, a [enum@Usock.EtherType] for example
 * @error: return location for an error
 *
 * Makes the address of all packets of an interface, to bind to.
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if there is no such interface.
 *
 * Returns: (transfer full): a new address
 *
 * Since: 1.0
 */
UsockPacketAddress *
usock_packet_address_new_for_interface (const char  *interface,
                                        guint        protocol,
                                        GError     **error)
{
  guint index;

  g_return_val_if_fail (interface != NULL, NULL);
  g_return_val_if_fail (protocol <= G_MAXUINT16, NULL);

  index = if_nametoindex (interface);
  if (index == 0)
    {
      g_autofree char *shown = g_filename_display_name (interface);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                   _("Could not use “%s” as an address: there is no such interface"), shown);
      return NULL;
    }

  return packet_address_new (protocol, index, 0, USOCK_PACKET_TYPE_HOST, NULL, 0);
}

/**
 * usock_packet_address_get_protocol: (get-property protocol)
 * @self: an address
 *
 * Gets which packets are meant, or which one was received.
 *
 * Returns: the protocol, in the byte order of the host
 *
 * Since: 1.0
 */
guint
usock_packet_address_get_protocol (UsockPacketAddress *self)
{
  g_return_val_if_fail (USOCK_IS_PACKET_ADDRESS (self), 0);

  return self->protocol;
}

/**
 * usock_packet_address_get_interface_index: (get-property interface-index)
 * @self: an address
 *
 * Gets the number of the interface.
 *
 * Returns: the number, or 0 for any interface
 *
 * Since: 1.0
 */
guint
usock_packet_address_get_interface_index (UsockPacketAddress *self)
{
  g_return_val_if_fail (USOCK_IS_PACKET_ADDRESS (self), 0);

  return self->interface_index;
}

/**
 * usock_packet_address_dup_interface_name:
 * @self: an address
 *
 * Looks the name of the interface up.
 *
 * Returns: (transfer full) (nullable): the name, `eth0` for example; %NULL if the address is of
 *   any interface, or of one that is gone
 *
 * Since: 1.0
 */
char *
usock_packet_address_dup_interface_name (UsockPacketAddress *self)
{
  char name[IF_NAMESIZE];

  g_return_val_if_fail (USOCK_IS_PACKET_ADDRESS (self), NULL);

  if (self->interface_index == 0 || if_indextoname (self->interface_index, name) == NULL)
    return NULL;

  return g_utf8_make_valid (name, -1);
}

/**
 * usock_packet_address_get_hardware_type: (get-property hardware-type)
 * @self: an address
 *
 * Gets the sort of link layer of an address that was received.
 *
 * Returns: the type, as in `ARPHRD_ETHER`, or 0 if it is not known
 *
 * Since: 1.0
 */
guint
usock_packet_address_get_hardware_type (UsockPacketAddress *self)
{
  g_return_val_if_fail (USOCK_IS_PACKET_ADDRESS (self), 0);

  return self->hardware_type;
}

/**
 * usock_packet_address_get_packet_type: (get-property packet-type)
 * @self: an address
 *
 * Gets for whom the packet is that was received from this address.
 *
 * Returns: the type
 *
 * Since: 1.0
 */
UsockPacketType
usock_packet_address_get_packet_type (UsockPacketAddress *self)
{
  g_return_val_if_fail (USOCK_IS_PACKET_ADDRESS (self), USOCK_PACKET_TYPE_HOST);

  return self->packet_type;
}

/**
 * usock_packet_address_get_hardware_address: (get-property hardware-address)
 * @self: an address
 *
 * Gets the address on the link.
 *
 * Returns: (transfer none): its bytes, 6 of them on Ethernet; none if it does not matter
 *
 * Since: 1.0
 */
GBytes *
usock_packet_address_get_hardware_address (UsockPacketAddress *self)
{
  g_return_val_if_fail (USOCK_IS_PACKET_ADDRESS (self), NULL);

  return self->hardware_address;
}
