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

static void
address_set_too_long (GError     **error,
                      const char  *label)
{
  g_autofree char *shown = g_filename_display_name (label);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
               _("Could not use “%s” as an address: GSocketAddress holds no more than %d "
                 "bytes of a path; give the path itself"),
               shown, (int) USOCK_ADDRESS_PATH_MAX);
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

  if (length > USOCK_NATIVE_PATH_SIZE - 1)
    {
      g_autofree char *shown = g_filename_display_name (label);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
                   _("Could not use “%s” as an address: an abstract name has at most %d bytes"),
                   shown, (int) USOCK_NATIVE_PATH_SIZE - 1);
      return NULL;
    }

  /* The length counts: abstract names are not ended by a NUL, and may have NULs in them. */
  self = name_new (label);
  self->native.un.sun_family = AF_UNIX;
  memcpy (self->native.un.sun_path + 1, name, length);
  self->length = USOCK_NATIVE_PATH_OFFSET + 1 + length;
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
  if (length < USOCK_NATIVE_PATH_SIZE)
    {
      self->native.un.sun_family = AF_UNIX;
      memcpy (self->native.un.sun_path, self->path, length + 1);
      self->length = USOCK_NATIVE_PATH_OFFSET + length + 1;
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
  if (!usock_text_unescape (path + 1, name, error))
    return NULL;

  return name_new_abstract (path, name->str, name->len, error);
}

/* A host that has to be looked up, and the port there; NULL where the text is anything else. */
char *
usock_text_get_host (const char *text,
                     guint16    *port)
{
  guint64 number;
  const char *colon = text[0] != '@' && text[0] != '[' ? usock_text_find_port (text, &number) : NULL;
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

  colon = usock_text_find_port (text, &port);
  if (colon != NULL)
    {
      address = text_parse_inet (text, colon, port, error);
      return address != NULL ? usock_name_new_for_address (address, error) : NULL;
    }

  path = g_string_new (NULL);
  if (!usock_text_unescape (text, path, error))
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

      if (length >= USOCK_ADDRESS_PATH_MAX && !usock_address_is_whole (address))
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
      return self->length > USOCK_NATIVE_PATH_OFFSET;
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

/* NULL if it names nobody. */
char *
usock_name_to_text (const UsockName *self)
{
  if (self->path != NULL)
    return usock_path_to_text (self->path);

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
  usock_text_unescape (text, path, NULL);
  if (path->len > USOCK_ADDRESS_PATH_MAX)
    {
      address_set_too_long (error, text);
      return NULL;
    }

  return usock_address_new_path (path->str, path->len);
}
