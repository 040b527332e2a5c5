/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-address-private.h"

#include <arpa/inet.h>
#include <gio/gunixsocketaddress.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "usock-error-private.h"

#define NATIVE_PATH_OFFSET offsetof (struct sockaddr_un, sun_path)
#define NATIVE_PATH_SIZE (sizeof ((struct sockaddr_un *) NULL)->sun_path)

/* GIO cuts a longer path to this length without a word: the file that remains is not the one
 * meant. Whether one of just this length is whole cannot be seen, so those made here say it. */
#define GIO_PATH_MAX (NATIVE_PATH_SIZE - 1)

static G_DEFINE_QUARK (usock-address-is-whole, whole)

static GSocketAddress *
address_new_path (const char *path,
                  gsize       length)
{
  GSocketAddress *address
      = g_unix_socket_address_new_with_type (path, length, G_UNIX_SOCKET_ADDRESS_PATH);

  g_object_set_qdata (G_OBJECT (address), whole_quark (), GINT_TO_POINTER (TRUE));
  return address;
}

static void
address_set_too_long (GError     **error,
                      const char  *label)
{
  g_autofree char *shown = g_filename_display_name (label);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
               _("Could not use “%s” as an address: GSocketAddress holds no more than %d "
                 "bytes of a path; give the path itself"),
               shown, (int) GIO_PATH_MAX);
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

static gboolean
text_unescape (const char  *text,
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
static const char *
text_find_port (const char *text,
                guint64    *port)
{
  const char *colon = strrchr (text, ':');

  if (colon == NULL || colon == text || strchr (text, '/') != NULL
      || !g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT16, port, NULL))
    return NULL;

  return colon;
}

/* Numbers only: names are the resolver's business. */
static GSocketAddress *
text_parse_inet (const char  *text,
                 const char  *colon,
                 guint64      port,
                 GError     **error)
{
  GSocketAddress *address = NULL;
  g_autofree char *host = NULL;
  g_autofree char *shown = NULL;

  if (text[0] == '[' && colon[-1] == ']')
    host = g_strndup (text + 1, colon - text - 2);
  else if (memchr (text, ':', colon - text) == NULL)
    host = g_strndup (text, colon - text);

  if (host != NULL)
    address = g_inet_socket_address_new_from_string (host, port);
  if (address != NULL)
    return address;

  shown = g_filename_display_name (text);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _("Could not use “%s” as an address: before the port stands no number of a host, "
                 "and names are not looked up here; in a path there is a slash before it"),
               shown);
  return NULL;
}

static UsockName *
name_new (const char *label)
{
  UsockName *self = g_new0 (UsockName, 1);

  self->label = g_filename_display_name (label);
  return self;
}

/* As errors call it: what has no text is called by what is known of it. */
static char *
address_describe (GSocketAddress *address)
{
  char *text = usock_address_to_string (address);

  if (text != NULL)
    return text;
  if (G_IS_UNIX_SOCKET_ADDRESS (address))
    return g_strdup (_("an address without a name"));

  return g_strdup_printf (_("an address of family %d"),
                          (int) g_socket_address_get_family (address));
}

static UsockName *
name_new_abstract (const char    *label,
                   const char    *name,
                   gsize          length,
                   GError       **error)
{
  UsockName *self;

  if (length > NATIVE_PATH_SIZE - 1)
    {
      g_autofree char *shown = g_filename_display_name (label);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
                   _("Could not use “%s” as an address: an abstract name has at most %d bytes"),
                   shown, (int) NATIVE_PATH_SIZE - 1);
      return NULL;
    }

  /* The length counts: abstract names are not ended by a NUL, and may have NULs in them. */
  self = name_new (label);
  self->native.un.sun_family = AF_UNIX;
  memcpy (self->native.un.sun_path + 1, name, length);
  self->length = NATIVE_PATH_OFFSET + 1 + length;
  return self;
}

/* Not g_get_current_dir(), which says “/” where there is none any more. */
static char *
path_make_absolute (const char  *label,
                    const char  *path,
                    gsize        length,
                    GError     **error)
{
  char *directory;
  char *absolute;

  if (path[0] == '/')
    return g_strndup (path, length);

  directory = getcwd (NULL, 0);
  if (directory == NULL)
    {
      int saved_errno = errno;
      g_autofree char *shown = g_filename_display_name (label);

      usock_error_set_errno (error, saved_errno, _("Could not use “%s” as an address"), shown);
      return NULL;
    }

  absolute = g_strdup_printf ("%s/%.*s", g_str_equal (directory, "/") ? "" : directory,
                              (int) length, path);
  free (directory);
  return absolute;
}

static UsockName *
name_new_path (const char  *label,
               const char  *path,
               gsize        length,
               GError     **error)
{
  UsockName *self;
  char *absolute;

  if (length == 0 || memchr (path, '\0', length) != NULL)
    {
      g_autofree char *shown = g_filename_display_name (label);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME,
                   length == 0 ? _("Could not use “%s” as an address: the path is empty")
                               : _("Could not use “%s” as an address: a path has no NUL bytes"),
                   shown);
      return NULL;
    }

  absolute = path_make_absolute (label, path, length, error);
  if (absolute == NULL)
    return NULL;

  self = name_new (label);
  self->path = absolute;
  length = strlen (self->path);
  if (length < NATIVE_PATH_SIZE)
    {
      self->native.un.sun_family = AF_UNIX;
      memcpy (self->native.un.sun_path, self->path, length + 1);
      self->length = NATIVE_PATH_OFFSET + length + 1;
    }
  return self;
}

UsockName *
usock_name_new_for_path (const char  *path,
                         GError     **error)
{
  g_autoptr (GString) name = NULL;

  if (path[0] != '@')
    return name_new_path (path, path, strlen (path), error);

  name = g_string_new (NULL);
  if (!text_unescape (path + 1, name, error))
    return NULL;

  return name_new_abstract (path, name->str, name->len, error);
}

/* A host that has to be looked up, and the port there; NULL where the text is anything else. */
char *
usock_text_get_host (const char *text,
                     guint16    *port)
{
  guint64 number;
  const char *colon = text[0] != '@' && text[0] != '[' ? text_find_port (text, &number) : NULL;
  g_autofree char *host = NULL;

  if (colon == NULL || memchr (text, ':', colon - text) != NULL)
    return NULL;

  host = g_strndup (text, colon - text);
  if (g_hostname_is_ip_address (host))
    return NULL;

  *port = (guint16) number;
  return g_steal_pointer (&host);
}

UsockName *
usock_name_new_for_text (const char  *text,
                         GError     **error)
{
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GString) path = NULL;
  const char *colon;
  guint64 port;

  if (text[0] == '@')
    return usock_name_new_for_path (text, error);

  if (usock_packet_text_is (text))
    {
      address = usock_packet_text_parse (text, error);
      return address != NULL ? usock_name_new_for_address (address, error) : NULL;
    }

  colon = text_find_port (text, &port);
  if (colon != NULL)
    {
      address = text_parse_inet (text, colon, port, error);
      return address != NULL ? usock_name_new_for_address (address, error) : NULL;
    }

  path = g_string_new (NULL);
  if (!text_unescape (text, path, error))
    return NULL;

  return name_new_path (text, path->str, path->len, error);
}

UsockName *
usock_name_new_for_address (GSocketAddress  *address,
                            GError         **error)
{
  g_autofree char *label = address_describe (address);
  gssize size = g_socket_address_get_native_size (address);
  UsockName *self;

  if (G_IS_UNIX_SOCKET_ADDRESS (address)
      && g_unix_socket_address_get_address_type (G_UNIX_SOCKET_ADDRESS (address))
             == G_UNIX_SOCKET_ADDRESS_PATH)
    {
      GUnixSocketAddress *unix_address = G_UNIX_SOCKET_ADDRESS (address);
      gsize length = g_unix_socket_address_get_path_len (unix_address);

      if (length >= GIO_PATH_MAX && g_object_get_qdata (G_OBJECT (address), whole_quark ()) == NULL)
        {
          address_set_too_long (error, label);
          return NULL;
        }

      return name_new_path (label, g_unix_socket_address_get_path (unix_address), length, error);
    }

  self = name_new (label);
  if (size < 0 || (gsize) size > sizeof self->native
      || !g_socket_address_to_native (address, &self->native, sizeof self->native, error))
    {
      if (error != NULL && *error == NULL)
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                     _("Could not use “%s” as an address: it has no native form"), label);
      usock_name_free (self);
      return NULL;
    }

  self->length = size;
  return self;
}

void
usock_name_free (UsockName *self)
{
  g_free (self->label);
  g_free (self->path);
  g_free (self);
}

/* For tables in which names stand for whom they reach, however they were written. */
guint
usock_name_hash (gconstpointer self)
{
  const UsockName *name = self;
  const guint8 *bytes = (const guint8 *) &name->native;
  guint hash = 5381;

  if (name->path != NULL)
    return g_str_hash (name->path);

  for (socklen_t i = 0; i < name->length; i++)
    hash = hash * 33 + bytes[i];
  return hash;
}

gboolean
usock_name_equal (gconstpointer self,
                  gconstpointer other)
{
  const UsockName *name = self;
  const UsockName *second = other;

  if (name->path != NULL || second->path != NULL)
    return g_strcmp0 (name->path, second->path) == 0;

  return name->length == second->length
         && memcmp (&name->native, &second->native, name->length) == 0;
}

/* Whether usock_name_to_text() has an answer: the family has texts, and it names somebody. */
gboolean
usock_name_has_text (const UsockName *self)
{
  if (self->path != NULL)
    return TRUE;

  switch (self->native.any.sa_family)
    {
    case AF_UNIX:
      return self->length > NATIVE_PATH_OFFSET;
    case AF_INET:
    case AF_INET6:
    case AF_PACKET:
      return TRUE;
    default:
      return FALSE;
    }
}

/* From an IPv4 address to the one by which IPv6 sockets know it. Label and text stay as they are. */
void
usock_name_map_to_ipv6 (UsockName *self)
{
  const struct sockaddr_in *in = (const struct sockaddr_in *) &self->native.storage;
  struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = in->sin_port };

  mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
  memcpy (&mapped.sin6_addr.s6_addr[12], &in->sin_addr, sizeof in->sin_addr);
  memcpy (&self->native.storage, &mapped, sizeof mapped);
  self->length = sizeof mapped;
}

/* NULL for a path that is too long for GIO's class. */
GSocketAddress *
usock_name_to_address (const UsockName *self)
{
  if (self->length == 0)
    return NULL;

  return usock_native_to_address (&self->native.any, self->length);
}

/* A path of 108 bytes has no NUL behind it, and getsockname(2) says 111 then, one more than
 * a sockaddr_un has room for. */
static gsize
native_path_length (const struct sockaddr_un *native,
                    socklen_t                 length)
{
  if (length <= NATIVE_PATH_OFFSET)
    return 0;

  length = MIN (length - NATIVE_PATH_OFFSET, NATIVE_PATH_SIZE);
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

  if (path_length > GIO_PATH_MAX || native_path_is_borrowed (un))
    return NULL;

  return address_new_path (un->sun_path, path_length);
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

  if (!abstract && (text_find_port (text->str, &port) != NULL || usock_packet_text_is (text->str)))
    g_string_replace (text, ":", "\\x3a", 0);

  return g_string_free (text, FALSE);
}

/* The zeros up to the end of the structure are part of such a name. */
static char *
padded_to_text (const char *path,
                gsize       length)
{
  char name[NATIVE_PATH_SIZE - 1] = { 0 };

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

/* NULL if it names nobody. */
char *
usock_name_to_text (const UsockName *self)
{
  if (self->path != NULL)
    return unix_to_text (self->path, strlen (self->path), FALSE);

  return usock_native_to_text (&self->native.any, self->length);
}

/**
 * usock_address_parse:
 * @text: an address
 * @error: return location for an error
 *
 * Reads an address: `@name` is a name of the abstract namespace, `127.0.0.1:80`,
 * `[::1]:80` and `[fe80::1%eth0]:80` are internet addresses,
 * `[02:00:00:00:00:01%eth0]:0x0800` and `[%eth0]:0x0003` are addresses of the
 * link layer, see [class@Usock.PacketAddress], and everything else is a path: what
 * has a slash or no port. Names of hosts are not looked up: that is what
 * [class@Gio.NetworkAddress] is for.
 *
 * In names and paths, `\\` stands for a backslash and `\xHH` for the byte with
 * that hexadecimal value, so that every address has a text and every byte of
 * it comes back; see [func@Usock.address_to_string].
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if an escape is broken, or what stands
 * before a port is no number of a host; with `G_IO_ERROR_NOT_FOUND` if an address of the link layer has an interface that
 * does not exist, with `G_IO_ERROR_INVALID_FILENAME` for an empty path or one
 * with a NUL in it, with `G_IO_ERROR_FILENAME_TOO_LONG` for what does not fit a
 * [class@Gio.SocketAddress]: paths of more than 107 bytes can be used where a
 * function takes a path.
 *
 * Returns: (transfer full): the address
 *
 * Since: 1.0
 */
GSocketAddress *
usock_address_parse (const char  *text,
                     GError     **error)
{
  g_autoptr (UsockName) name = NULL;
  g_autoptr (GString) path = NULL;

  g_return_val_if_fail (text != NULL, NULL);

  name = usock_name_new_for_text (text, error);
  if (name == NULL)
    return NULL;
  if (name->path == NULL)
    return usock_name_to_address (name);

  /* The address keeps a relative path as it was written. */
  path = g_string_new (NULL);
  text_unescape (text, path, NULL);
  if (path->len > GIO_PATH_MAX)
    {
      address_set_too_long (error, text);
      return NULL;
    }

  return address_new_path (path->str, path->len);
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
