/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Addresses as text and back, byte for byte, and as the kernel gives them. */

#include "config.h"

#include "usock-address-private.h"

#include <arpa/inet.h>
#include <gio/gunixsocketaddress.h>
#include <netinet/in.h>
#include <string.h>

#include "usock-error-private.h"

static G_DEFINE_QUARK (usock-address-is-whole, whole)

GSocketAddress *
usock_address_new_path (const char *path,
                        gsize       length)
{
  GSocketAddress *address
      = g_unix_socket_address_new_with_type (path, length, G_UNIX_SOCKET_ADDRESS_PATH);

  g_object_set_qdata (G_OBJECT (address), whole_quark (), GINT_TO_POINTER (TRUE));
  return address;
}

gboolean
usock_address_is_whole (GSocketAddress *address)
{
  return g_object_get_qdata (G_OBJECT (address), whole_quark ()) != NULL;
}

/* The text of a name must give back every byte of it. A backslash starts an escape, \\ or \xHH;
 * what is no plain text, or would make a path look like another kind of address, is escaped. */
static void
text_append_escaped (GString    *text,
                     const char *name,
                     gsize       length)
{
  const char *end = name + length;

  while (name < end)
    {
      gunichar c = g_utf8_get_char_validated (name, end - name);
      gboolean valid = c != (gunichar) -1 && c != (gunichar) -2;

      if (*name == '\\')
        g_string_append (text, "\\\\");
      else if (valid && g_unichar_isprint (c))
        g_string_append_unichar (text, c);
      else
        {
          g_string_append_printf (text, "\\x%02x", (guchar) *name++);
          continue;
        }
      name = g_utf8_next_char (name);
    }
}

/* Appends to @name. */
gboolean
usock_text_unescape (const char  *text,
                     GString     *name,
                     GError     **error)
{
  for (const char *p = text; *p != '\0'; p++)
    {
      if (*p != '\\')
        g_string_append_c (name, *p);
      else if (p[1] == '\\')
        g_string_append_c (name, *++p);
      else if (p[1] == 'x' && g_ascii_isxdigit (p[2]) && g_ascii_isxdigit (p[3]))
        {
          g_string_append_c (name, g_ascii_xdigit_value (p[2]) << 4 | g_ascii_xdigit_value (p[3]));
          p += 3;
        }
      else
        {
          g_autofree char *shown = g_filename_display_name (text);

          g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                       _("Could not read “%s” as an address: a backslash stands neither before "
                         "another nor before x and two hexadecimal digits"),
                       shown);
          return FALSE;
        }
    }

  return TRUE;
}

/* host:port, which with a slash is a path. Returns the colon, or NULL. */
const char *
usock_text_find_port (const char *text,
                      guint64    *port)
{
  const char *colon = strrchr (text, ':');

  if (colon == NULL || colon == text || strchr (text, '/') != NULL
      || !g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT16, port, NULL))
    return NULL;

  return colon;
}

/* A path of 108 bytes has no NUL behind it, and getsockname(2) says 111 then, one more than
 * a sockaddr_un has room for. */
static gsize
native_path_length (const struct sockaddr_un *native,
                    socklen_t                 length)
{
  if (length <= USOCK_NATIVE_PATH_OFFSET)
    return 0;

  length = MIN (length - USOCK_NATIVE_PATH_OFFSET, USOCK_NATIVE_PATH_SIZE);
  return native->sun_path[0] == '\0' ? length : strnlen (native->sun_path, length);
}

/* The name under which a long path was bound means another file in every process. */
static gboolean
native_path_is_borrowed (const struct sockaddr_un *native)
{
  return g_str_has_prefix (native->sun_path, "/proc/self/fd/");
}

/* Most peers of AF_UNIX have it, and an address does not change. */
static GSocketAddress *
address_ref_anonymous (void)
{
  static GSocketAddress *address = NULL;

  if (g_once_init_enter (&address))
    g_once_init_leave (&address, g_unix_socket_address_new_with_type (
                                             "", 0, G_UNIX_SOCKET_ADDRESS_ANONYMOUS));
  return g_object_ref (address);
}

/* NULL for a path that is too long for GIO's class, or nobody's own. */
GSocketAddress *
usock_native_to_address (const struct sockaddr *native,
                         socklen_t              length)
{
  const struct sockaddr_un *un = (const struct sockaddr_un *) native;
  gsize path_length;

  if (length < sizeof (sa_family_t))
    return NULL;
  if (native->sa_family == AF_PACKET)
    return usock_packet_native_to_address (native, length);
  if (native->sa_family != AF_UNIX)
    return g_socket_address_new_from_native ((gpointer) native, length);

  path_length = native_path_length (un, length);
  if (path_length == 0)
    return address_ref_anonymous ();
  if (un->sun_path[0] == '\0')
    return g_unix_socket_address_new_with_type (un->sun_path + 1, path_length - 1,
                                                G_UNIX_SOCKET_ADDRESS_ABSTRACT);

  if (path_length > USOCK_ADDRESS_PATH_MAX || native_path_is_borrowed (un))
    return NULL;

  return usock_address_new_path (un->sun_path, path_length);
}

/* Most names need no escape, and are like no other kind of address. */
static gboolean
text_is_plain (const char *name,
               gsize       length)
{
  for (gsize i = 0; i < length; i++)
    if (name[i] < ' ' || name[i] > '~' || name[i] == '\\' || name[i] == ':')
      return FALSE;

  return TRUE;
}

static char *
unix_to_text (const char *path,
              gsize       length,
              gboolean    abstract)
{
  GString *text;
  guint64 port;

  if (text_is_plain (path, length) && (abstract || path[0] != '@'))
    {
      char *plain = g_malloc (length + 2);

      *plain = '@';
      memcpy (plain + abstract, path, length);
      plain[abstract + length] = '\0';
      return plain;
    }

  text = g_string_new (abstract ? "@" : NULL);

  if (!abstract && path[0] == '@')
    {
      g_string_append (text, "\\x40");
      path++;
      length--;
    }
  text_append_escaped (text, path, length);

  if (!abstract && (usock_text_find_port (text->str, &port) != NULL || usock_packet_text_is (text->str)))
    g_string_replace (text, ":", "\\x3a", 0);

  return g_string_free (text, FALSE);
}

/* The zeros up to the end of the structure are part of such a name. */
static char *
padded_to_text (const char *path,
                gsize       length)
{
  char name[USOCK_NATIVE_PATH_SIZE - 1] = { 0 };

  memcpy (name, path, MIN (length, sizeof name));
  return unix_to_text (name, sizeof name, TRUE);
}

/* GIO leaves out port 0, and what is left reads as a path. */
static char *
inet_to_text (GInetSocketAddress *address)
{
  GInetAddress *host = g_inet_socket_address_get_address (address);
  g_autofree char *host_text = g_inet_address_to_string (host);
  guint port = g_inet_socket_address_get_port (address);
  guint scope;

  if (g_inet_address_get_family (host) == G_SOCKET_FAMILY_IPV4)
    return g_strdup_printf ("%s:%u", host_text, port);

  scope = g_inet_socket_address_get_scope_id (address);
  if (scope == 0)
    return g_strdup_printf ("[%s]:%u", host_text, port);

  return g_strdup_printf ("[%s%%%u]:%u", host_text, scope, port);
}

static char *
text_add_number (char  *end,
                 guint  number)
{
  char digits[10];
  guint n = 0;

  do
    digits[n++] = '0' + number % 10;
  while ((number /= 10) > 0);

  while (n > 0)
    *end++ = digits[--n];
  return end;
}

/* By hand, since it may be done for each message. */
static char *
ipv4_to_text (const guint8 *bytes,
              guint16       port)
{
  char text[sizeof "255.255.255.255:65535"];
  char *end = text;

  for (guint i = 0; i < 4; i++)
    {
      end = text_add_number (end, bytes[i]);
      *end++ = i < 3 ? '.' : ':';
    }
  end = text_add_number (end, g_ntohs (port));

  return g_strndup (text, end - text);
}

/* What an IPv6 socket says of IPv4 is IPv4 again. */
static char *
ipv6_to_text (const struct sockaddr_in6 *native)
{
  char host[INET6_ADDRSTRLEN];

  if (IN6_IS_ADDR_V4MAPPED (&native->sin6_addr))
    return ipv4_to_text (&native->sin6_addr.s6_addr[12], native->sin6_port);

  inet_ntop (AF_INET6, &native->sin6_addr, host, sizeof host);
  if (native->sin6_scope_id == 0)
    return g_strdup_printf ("[%s]:%u", host, g_ntohs (native->sin6_port));

  return g_strdup_printf ("[%s%%%u]:%u", host, native->sin6_scope_id, g_ntohs (native->sin6_port));
}

static char *
inet_native_to_text (const struct sockaddr *native,
                     socklen_t              length)
{
  if (native->sa_family == AF_INET && length >= sizeof (struct sockaddr_in))
    {
      const struct sockaddr_in *in = (const struct sockaddr_in *) native;

      return ipv4_to_text ((const guint8 *) &in->sin_addr, in->sin_port);
    }
  if (native->sa_family == AF_INET6 && length >= sizeof (struct sockaddr_in6))
    return ipv6_to_text ((const struct sockaddr_in6 *) native);

  return NULL;
}

char *
usock_native_to_text (const struct sockaddr *native,
                      socklen_t              length)
{
  const struct sockaddr_un *un = (const struct sockaddr_un *) native;
  g_autoptr (GSocketAddress) address = NULL;
  gsize path_length;

  if (length < sizeof (sa_family_t))
    return NULL;

  if (native->sa_family == AF_UNIX)
    {
      path_length = native_path_length (un, length);
      if (path_length == 0)
        return NULL;
      if (un->sun_path[0] == '\0')
        return unix_to_text (un->sun_path + 1, path_length - 1, TRUE);
      if (native_path_is_borrowed (un))
        return NULL;
      return unix_to_text (un->sun_path, path_length, FALSE);
    }

  if (native->sa_family == AF_INET || native->sa_family == AF_INET6)
    return inet_native_to_text (native, length);

  address = usock_native_to_address (native, length);
  return address != NULL ? usock_address_to_string (address) : NULL;
}

char *
usock_path_to_text (const char *path)
{
  return unix_to_text (path, strlen (path), FALSE);
}

/**
 * usock_address_to_string:
 * @address: (transfer none): an address
 *
 * Writes an address as text that [func@Usock.address_parse] reads back, byte
 * for byte. Bytes that are no printable UTF-8 text are written as escapes, so
 * that the text may be shown, logged or compared. Of an address of the link
 * layer, the types that come with received packets are left out.
 *
 * Returns: (transfer full) (nullable): the text, or %NULL if the address is
 *   anonymous, as a socket is that nobody bound, or of a family whose addresses have no text
 *
 * Since: 1.0
 */
char *
usock_address_to_string (GSocketAddress *address)
{
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (address), NULL);

  if (G_IS_UNIX_SOCKET_ADDRESS (address))
    {
      GUnixSocketAddress *unix_address = G_UNIX_SOCKET_ADDRESS (address);
      const char *path = g_unix_socket_address_get_path (unix_address);
      gsize length = g_unix_socket_address_get_path_len (unix_address);

      switch (g_unix_socket_address_get_address_type (unix_address))
        {
        case G_UNIX_SOCKET_ADDRESS_PATH:
          return unix_to_text (path, length, FALSE);
        case G_UNIX_SOCKET_ADDRESS_ABSTRACT:
          return unix_to_text (path, length, TRUE);
        case G_UNIX_SOCKET_ADDRESS_ABSTRACT_PADDED:
          return padded_to_text (path, length);
        default:
          return NULL;
        }
    }

  if (G_IS_INET_SOCKET_ADDRESS (address))
    return inet_to_text (G_INET_SOCKET_ADDRESS (address));

  /* GIO tells the name of the class, which would read as a path. */
  if (G_IS_NATIVE_SOCKET_ADDRESS (address))
    return NULL;

  return g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
}
