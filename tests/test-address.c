/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-address-private.h"

#include <arpa/inet.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATH_OFFSET offsetof (struct sockaddr_un, sun_path)
#define PATH_SIZE (sizeof ((struct sockaddr_un *) NULL)->sun_path)

static void
assert_same (GSocketAddress *address, gconstpointer native, gsize length)
{
  gsize size = g_socket_address_get_native_size (address);
  g_autofree char *other = g_malloc0 (size);

  g_assert_true (g_socket_address_to_native (address, other, size, NULL));
  if (((struct sockaddr *) native)->sa_family == AF_UNIX
      && ((struct sockaddr_un *) native)->sun_path[0] != '\0')
    g_assert_cmpstr (other + PATH_OFFSET, ==, (char *) native + PATH_OFFSET);
  else
    g_assert_cmpmem (other, size, native, length);
}

static void
assert_plain (const char *text)
{
  g_assert_true (g_utf8_validate (text, -1, NULL));
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    g_assert_true (g_unichar_isprint (g_utf8_get_char (p)));
}

/* There and back by every way there is. */
static char *
round_trip (gconstpointer native, gsize length)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = usock_native_to_text (native, length);
  g_autoptr (GSocketAddress) address = usock_native_to_address (native, length);
  g_autoptr (GSocketAddress) parsed = NULL;
  g_autoptr (UsockName) by_text = NULL;
  g_autoptr (UsockName) by_address = NULL;
  g_autofree char *again = NULL;

  g_assert_nonnull (text);
  assert_plain (text);
  assert_same (address, native, length);

  again = usock_address_to_string (address);
  g_assert_cmpstr (again, ==, text);

  parsed = usock_address_parse (text, &error);
  g_assert_no_error (error);
  assert_same (parsed, native, length);

  by_text = usock_name_new_for_text (text, &error);
  g_assert_no_error (error);
  by_address = usock_name_new_for_address (address, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (by_address->label, ==, text);
  g_assert_cmpstr (by_text->path, ==, by_address->path);
  if (((struct sockaddr *) native)->sa_family != AF_UNIX
      || ((struct sockaddr_un *) native)->sun_path[0] != '/')
    {
      /* A relative path has become absolute. */
      if (by_text->path == NULL)
        g_assert_cmpmem (&by_text->native, by_text->length, native, length);
      g_assert_cmpmem (&by_address->native, by_address->length, &by_text->native, by_text->length);
    }
  else
    g_assert_cmpmem (&by_address->native, by_address->length, native, length);

  return g_steal_pointer (&text);
}

static char *
round_trip_abstract (const void *name, gsize length)
{
  struct sockaddr_un native = { AF_UNIX };

  memcpy (native.sun_path + 1, name, length);
  return round_trip (&native, PATH_OFFSET + 1 + length);
}

static char *
round_trip_path (const char *path)
{
  struct sockaddr_un native = { AF_UNIX };

  g_assert_cmpuint (strlen (path), <, PATH_SIZE);
  strcpy (native.sun_path, path);
  return round_trip (&native, PATH_OFFSET + strlen (path) + 1);
}

static void
test_path_text (void)
{
  static const struct
  {
    const char *path;
    const char *text;
  } paths[] = {
    { "/run/x", "/run/x" },
    { "/run/Grüße 日本", "/run/Grüße 日本" },
    { "/run/a\\b", "/run/a\\\\b" },
    { "/run/\\x41", "/run/\\\\x41" },
    { "/run/\\", "/run/\\\\" },
    { "/run/\xff\xfe", "/run/\\xff\\xfe" },
    { "/run/\xe2\x82", "/run/\\xe2\\x82" },
    { "/run/\n\t\x7f", "/run/\\x0a\\x09\\x7f" },
    { "/run/\xe2\x80\xae"
      "exe",
      "/run/\\xe2\\x80\\xae"
      "exe" },
    { "/run/;uid=0;", "/run/;uid=0;" },
    { "/@x", "/@x" },
    { "@x", "\\x40x" },
    { "@", "\\x40" },
    { "\\x40", "\\\\x40" },
    { "127.0.0.1:80", "127.0.0.1\\x3a80" },
    { "[::1]:80", "[\\x3a\\x3a1]\\x3a80" },
    { "127.0.0.1", "127.0.0.1" },
    { "::1:80", "\\x3a\\x3a1\\x3a80" },
    { "localhost:80", "localhost\\x3a80" },
    { "127.0.0.1:99999", "127.0.0.1:99999" },
    { "/127.0.0.1:80", "/127.0.0.1:80" },
    { " x ", " x " },
  };

  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autofree char *text = round_trip_path (paths[i].path);

      g_assert_cmpstr (text, ==, paths[i].text);
    }
}

static void
test_abstract_text (void)
{
  static const struct
  {
    const char *name;
    gsize length;
    const char *text;
  } names[] = {
    { "", 0, "@" },
    { "x", 1, "@x" },
    { "\0", 1, "@\\x00" },
    { "a\0b\0", 4, "@a\\x00b\\x00" },
    { "@x", 2, "@@x" },
    { ";uid=0;", 7, "@;uid=0;" },
    { "127.0.0.1:80", 12, "@127.0.0.1:80" },
    { "/run/x", 6, "@/run/x" },
    { "\\\xff", 2, "@\\\\\\xff" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *text = round_trip_abstract (names[i].name, names[i].length);

      g_assert_cmpstr (text, ==, names[i].text);
    }
}

static void
test_abstract_every_byte (void)
{
  for (guint i = 0; i < 256; i++)
    {
      char name[] = { 'a', i, 'z' };

      g_free (round_trip_abstract (name, sizeof name));
    }
}

static void
test_abstract_every_length (void)
{
  char name[PATH_SIZE];

  for (guint i = 0; i < sizeof name; i++)
    name[i] = i * 7;
  for (gsize length = 1; length <= PATH_SIZE - 1; length++)
    g_free (round_trip_abstract (name, length));
}

static void
test_random_bytes (void)
{
  for (guint i = 0; i < 5000; i++)
    {
      char name[PATH_SIZE];
      gsize length = g_test_rand_int_range (1, PATH_SIZE);

      for (gsize j = 0; j < length; j++)
        name[j] = g_test_rand_int_range (0, 256);
      g_free (round_trip_abstract (name, length));

      for (gsize j = 0; j < length; j++)
        name[j] = g_test_rand_int_range (1, 256);
      name[length] = '\0';
      g_free (round_trip_path (name));
    }
}

/* Zeros up to the end of the structure are part of the name that this makes. */
static void
test_abstract_padded (void)
{
  g_autoptr (GSocketAddress) padded
      = g_unix_socket_address_new_with_type ("x", 1, G_UNIX_SOCKET_ADDRESS_ABSTRACT_PADDED);
  g_autofree char *text = usock_address_to_string (padded);
  g_autoptr (GSocketAddress) parsed = usock_address_parse (text, NULL);
  struct sockaddr_un native = { AF_UNIX, "\0x" };

  assert_same (padded, &native, sizeof native);
  g_assert_nonnull (parsed);
  assert_same (parsed, &native, sizeof native);
}

static void
test_inet (void)
{
  static const char *const texts[]
      = { "127.0.0.1:80", "127.0.0.1:0",    "0.0.0.0:65535", "[::1]:80",
          "[::]:0",       "[fe80::1%1]:80", "[fe80::1%1]:0" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GSocketAddress) address = usock_address_parse (texts[i], &error);
      struct sockaddr_storage native = { 0 };
      g_autofree char *text = NULL;

      g_assert_no_error (error);
      g_assert_true (G_IS_INET_SOCKET_ADDRESS (address));
      g_assert_true (g_socket_address_to_native (address, &native, sizeof native, &error));
      text = round_trip (&native, g_socket_address_get_native_size (address));
      g_assert_cmpstr (text, ==, texts[i]);
    }
}

/* One text has one meaning everywhere: what has a port and no slash is never a path. */
static void
test_names_of_hosts (void)
{
  static const char *const texts[]
      = { "localhost:80", "a.example:0", "::1:80", "[]:80", "[x]:1", "[%lo]:3", " :65535" };
  static const char *const paths[] = { "localhost:", ":80", "a:65536", "a:b", "./a:80", "a:80/" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (usock_address_parse (texts[i], &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, texts[i]));
    }
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GSocketAddress) address = usock_address_parse (paths[i], &error);

      g_assert_no_error (error);
      g_assert_true (G_IS_UNIX_SOCKET_ADDRESS (address));
    }
}

static void
test_unnamed (void)
{
  struct sockaddr_un native = { AF_UNIX, "left over" };

  for (socklen_t length = 0; length <= PATH_OFFSET; length++)
    {
      g_autoptr (GSocketAddress) address = usock_native_to_address ((gpointer) &native, length);

      g_assert_null (usock_native_to_text ((gpointer) &native, length));
      if (length < sizeof (sa_family_t))
        g_assert_null (address);
      else
        {
          g_assert_cmpint (g_unix_socket_address_get_address_type (G_UNIX_SOCKET_ADDRESS (address)),
                           ==, G_UNIX_SOCKET_ADDRESS_ANONYMOUS);
          g_assert_null (usock_address_to_string (address));
        }
    }
}

/* It has no text, and is an address still: binding to it means a name of the kernel's choice. */
static void
test_anonymous_name (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) address
      = g_unix_socket_address_new_with_type ("", 0, G_UNIX_SOCKET_ADDRESS_ANONYMOUS);
  g_autoptr (UsockName) name = usock_name_new_for_address (address, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (name->length, ==, sizeof (sa_family_t));
  g_assert_cmpstr (name->label, ==, "an address without a name");
  g_assert_null (name->path);
}

/* What no class of GIO knows has no native form, or one without meaning here. */
static void
test_native_only (void)
{
  struct sockaddr native = { AF_UNSPEC };
  g_autoptr (GSocketAddress) address = g_native_socket_address_new (&native, sizeof native);
  g_autoptr (UsockName) name = usock_name_new_for_address (address, NULL);
  g_autofree char *text = usock_address_to_string (address);

  g_assert_null (text);
  if (name != NULL)
    g_assert_cmpstr (name->label, ==, "an address of family 0");
}

/* The kernel takes a path without a NUL behind it, and says 111 then. GIO has no room for it. */
static void
test_kernel_longest_path (void)
{
  struct
  {
    struct sockaddr_un native;
    char behind[8];
  } name = { { AF_UNIX }, "behind" };
  g_autofree char *text = NULL;
  g_autoptr (UsockName) by_text = NULL;

  memset (name.native.sun_path, 'a', PATH_SIZE);
  name.native.sun_path[0] = '/';

  text = usock_native_to_text ((gpointer) &name, PATH_OFFSET + PATH_SIZE + 1);
  g_assert_cmpmem (text, strlen (text), name.native.sun_path, PATH_SIZE);
  g_assert_null (usock_native_to_address ((gpointer) &name, PATH_OFFSET + PATH_SIZE + 1));

  usock_test_no_error (by_text = usock_name_new_for_text (text, &error));
  g_assert_cmpstr (by_text->path, ==, text);
}

/* “/proc/self/fd/7/x” is another file in every process, and at every time. */
static void
test_borrowed_name (void)
{
  struct sockaddr_un native = { AF_UNIX, "/proc/self/fd/7/x" };

  g_assert_null (usock_native_to_address ((gpointer) &native, sizeof native));
  g_assert_null (usock_native_to_text ((gpointer) &native, sizeof native));
}

static void
test_long_path (void)
{
  for (gsize length = PATH_SIZE - 2; length <= 4094;
       length = length < 4000 ? length + 1 : length * 2)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *path = g_strnfill (length, 'a');
      g_autoptr (UsockName) name = NULL;
      g_autoptr (UsockName) by_text = NULL;
      g_autoptr (GSocketAddress) address = NULL;

      path[0] = '/';
      name = usock_name_new_for_path (path, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (name->path, ==, path);
      g_assert_cmpuint (name->length, ==, length < PATH_SIZE ? PATH_OFFSET + length + 1 : 0);

      by_text = usock_name_new_for_text (path, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (by_text->path, ==, path);

      address = usock_address_parse (path, &error);
      if (length < PATH_SIZE)
        g_assert_nonnull (address);
      else
        {
          g_assert_null (address);
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG);
          g_assert_null (usock_name_to_address (name));
        }
    }
}

/* GIO keeps the first 107 bytes of a longer path, which is another path. */
static void
test_cut_path (void)
{
  for (gsize length = PATH_SIZE - 2; length < PATH_SIZE + 4; length++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *path = g_strnfill (length, 'a');
      g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
      g_autoptr (UsockName) name = usock_name_new_for_address (address, &error);

      if (length == PATH_SIZE - 2)
        g_assert_no_error (error);
      else
        {
          g_assert_null (name);
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG);
        }
    }
}

static void
test_literal_path (void)
{
  static const char *const paths[]
      = { "/a\\b", "/a\\x41", "127.0.0.1:80", "a@b", "\\x40", "/\xff" };

  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (UsockName) name = usock_name_new_for_path (paths[i], &error);

      g_assert_no_error (error);
      g_assert_true (g_str_has_suffix (name->path, paths[i]));
      g_assert_true (g_utf8_validate (name->label, -1, NULL));
    }
}

static void
test_relative_path (UsockTest *test, gconstpointer data)
{
  g_autofree char *before = g_get_current_dir ();
  g_autofree char *expected = g_build_filename (test->directory, "x", NULL);
  g_autoptr (UsockName) name = NULL;
  g_autoptr (GSocketAddress) address = NULL;
  g_autofree char *text = NULL;

  g_assert_cmpint (g_chdir (test->directory), ==, 0);
  usock_test_no_error (name = usock_name_new_for_path ("x", &error));
  usock_test_no_error (address = usock_address_parse ("x", &error));
  g_assert_cmpint (g_chdir ("/"), ==, 0);
  text = usock_address_to_string (address);
  g_assert_cmpstr (text, ==, "x");
  g_assert_cmpstr (name->path, ==, expected);
  g_assert_cmpstr (name->native.un.sun_path, ==, expected);

  g_clear_pointer (&name, usock_name_free);
  usock_test_no_error (name = usock_name_new_for_path ("x", &error));
  g_assert_cmpstr (name->path, ==, "/x");

  g_assert_cmpint (g_chdir (before), ==, 0);
}

/* A relative path means nothing there, and above all not a file in the root directory. */
static void
test_relative_to_nothing (UsockTest *test, gconstpointer data)
{
  g_autofree char *before = g_get_current_dir ();
  g_autofree char *directory = usock_test_path (test, "gone");
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir (directory, 0700), ==, 0);
  g_assert_cmpint (g_chdir (directory), ==, 0);
  g_assert_cmpint (g_rmdir (directory), ==, 0);

  g_assert_null (usock_name_new_for_path ("x", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "“x”"));

  g_assert_cmpint (g_chdir (before), ==, 0);
}

static void
test_bad_text (void)
{
  static const struct
  {
    const char *text;
    GIOErrorEnum code;
  } bad[] = {
    { "", G_IO_ERROR_INVALID_FILENAME },           { "/a\\x00b", G_IO_ERROR_INVALID_FILENAME },
    { "\\x00", G_IO_ERROR_INVALID_FILENAME },      { "/a\\", G_IO_ERROR_INVALID_ARGUMENT },
    { "/a\\n", G_IO_ERROR_INVALID_ARGUMENT },      { "/a\\x", G_IO_ERROR_INVALID_ARGUMENT },
    { "/a\\x4", G_IO_ERROR_INVALID_ARGUMENT },     { "/a\\x4g", G_IO_ERROR_INVALID_ARGUMENT },
    { "/a\\X41", G_IO_ERROR_INVALID_ARGUMENT },    { "@\\", G_IO_ERROR_INVALID_ARGUMENT },
    { "/\xff\\", G_IO_ERROR_INVALID_ARGUMENT },    { "@\xff\\", G_IO_ERROR_INVALID_ARGUMENT },
    { "/\xff\\x00", G_IO_ERROR_INVALID_FILENAME },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) parsed = NULL;
      g_autoptr (GError) named = NULL;

      g_assert_null (usock_address_parse (bad[i].text, &parsed));
      g_assert_error (parsed, G_IO_ERROR, (int) bad[i].code);
      g_assert_true (g_utf8_validate (parsed->message, -1, NULL));
      g_assert_null (usock_name_new_for_text (bad[i].text, &named));
      g_assert_error (named, G_IO_ERROR, (int) bad[i].code);
    }
}

static void
test_abstract_too_long (void)
{
  g_autofree char *name = g_strnfill (PATH_SIZE + 1, '\xff');
  g_autoptr (GError) error = NULL;

  name[0] = '@';
  g_assert_null (usock_name_new_for_path (name, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

static void
test_long_bad_path (void)
{
  g_autofree char *path = g_strnfill (PATH_SIZE, '\xff');
  g_autoptr (GError) error = NULL;

  g_assert_null (usock_address_parse (path, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

static void
test_scope_by_name (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) address = usock_address_parse ("[fe80::1%lo]:80", &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  g_assert_true (G_IS_INET_SOCKET_ADDRESS (address));
  text = usock_address_to_string (address);
  g_assert_cmpstr (text, ==, "[fe80::1%1]:80");
}

/* Addresses of the link layer. */

static const char *const packet_texts[] = {
  "[%lo]:0x0003",
  "[%0]:0x0000",
  "[%99999]:0xffff",
  "[02:00:00:00:00:01%lo]:0x0800",
  "[ff%lo]:0x88cc",
  "[00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13%lo]:0x0806",
};

static void
test_packet_text (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (packet_texts); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GSocketAddress) address = usock_address_parse (packet_texts[i], &error);
      struct sockaddr_storage native = { 0 };
      g_autofree char *text = NULL;

      g_assert_no_error (error);
      g_assert_true (USOCK_IS_PACKET_ADDRESS (address));
      g_assert_cmpint (g_socket_address_get_family (address), ==, AF_PACKET);
      g_assert_true (g_socket_address_to_native (address, &native, sizeof native, &error));
      text = round_trip (&native, g_socket_address_get_native_size (address));
      g_assert_cmpstr (text, ==, packet_texts[i]);
    }
}

/* What looks nearly so is a path, and a path that looks just so is escaped. */
static void
test_packet_lookalikes (void)
{
  static const char *const paths[] = {
    "[%lo]:0x",        "[%lo]:0x10000", "[%]:0x0003",        "[lo]:0x0003",
    "[%lo]0x0003",   "%lo]:0x0003",    "[0%lo]:0x0003", "[00:%lo]:0x0003",   "[0g%lo]:0x0003",
    "[:00%lo]:0x00", "[00 01%lo]:0x3", "/[%lo]:0x0003", "[fe80::1%lo]:0x50", "[%lo]:0x0003 ",
  };

  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autoptr (GSocketAddress) address = usock_address_parse (paths[i], NULL);

      g_assert_true (G_IS_UNIX_SOCKET_ADDRESS (address));
    }
  for (guint i = 0; i < G_N_ELEMENTS (packet_texts); i++)
    {
      g_autoptr (GSocketAddress) address = g_unix_socket_address_new (packet_texts[i]);
      g_autofree char *text = usock_address_to_string (address);
      g_autoptr (GSocketAddress) parsed = usock_address_parse (text, NULL);

      g_assert_true (G_IS_UNIX_SOCKET_ADDRESS (parsed));
      g_assert_cmpstr (g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (parsed)), ==,
                       packet_texts[i]);
    }
}

static void
test_packet_missing_interface (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (usock_address_parse ("[%nowhere]:0x0003", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (usock_name_new_for_text ("[%nowhere]:0x0003", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (usock_packet_address_new_for_interface ("nowhere", 3, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

/* What the functions tell can be bound to. */
static void
assert_packet_properties (UsockPacketAddress *packet)
{
  g_autoptr (GBytes) bytes = NULL;
  UsockPacketType type;
  guint protocol, index, hardware;

  g_object_get (packet, "protocol", &protocol, "interface-index", &index, "hardware-type", &hardware,
                "packet-type", &type, "hardware-address", &bytes, NULL);
  g_assert_cmpuint (protocol, ==, usock_packet_address_get_protocol (packet));
  g_assert_cmpuint (index, ==, usock_packet_address_get_interface_index (packet));
  g_assert_cmpuint (hardware, ==, usock_packet_address_get_hardware_type (packet));
  g_assert_cmpint (type, ==, usock_packet_address_get_packet_type (packet));
  g_assert_true (bytes == usock_packet_address_get_hardware_address (packet));
}

static void
test_packet_properties (void)
{
  const guint8 hardware[] = { 2, 0, 0, 0, 0, 9 };
  struct sockaddr_ll native = {
    .sll_family = AF_PACKET,
    .sll_protocol = g_htons (0x0806),
    .sll_ifindex = 1,
    .sll_hatype = 772,
    .sll_pkttype = PACKET_OUTGOING,
    .sll_halen = sizeof hardware,
  };
  g_autoptr (GSocketAddress) address = NULL;
  g_autofree char *interface = NULL;
  UsockPacketAddress *packet;
  GBytes *bytes;
  char room[64];

  memcpy (native.sll_addr, hardware, sizeof hardware);
  address = usock_native_to_address ((gpointer) &native, sizeof native);
  packet = USOCK_PACKET_ADDRESS (address);
  interface = usock_packet_address_dup_interface_name (packet);
  bytes = usock_packet_address_get_hardware_address (packet);
  g_assert_cmpuint (usock_packet_address_get_protocol (packet), ==, 0x0806);
  g_assert_cmpuint (usock_packet_address_get_interface_index (packet), ==, 1);
  g_assert_cmpuint (usock_packet_address_get_hardware_type (packet), ==, 772);
  g_assert_cmpint (usock_packet_address_get_packet_type (packet), ==, USOCK_PACKET_TYPE_OUTGOING);
  assert_packet_properties (packet);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), hardware,
                   sizeof hardware);
  g_assert_cmpstr (interface, ==, "lo");
  assert_same (address, &native, sizeof native);
  g_assert_false (g_socket_address_to_native (address, room, sizeof native - 1, NULL));

  /* As getsockname() tells it, which counts only the bytes that there are. */
  g_clear_object (&address);
  address = usock_native_to_address ((gpointer) &native, sizeof native - 2);
  assert_same (address, &native, sizeof native);
  for (socklen_t length = sizeof (sa_family_t); length < sizeof native - 2; length++)
    {
      g_autoptr (GSocketAddress) shorter = usock_native_to_address ((gpointer) &native, length);
      g_autofree char *text = usock_native_to_text ((gpointer) &native, length);

      g_assert_true ((shorter == NULL) == (length < offsetof (struct sockaddr_ll, sll_addr)));
      g_assert_true ((text == NULL) == (shorter == NULL));
    }
}

static void
test_packet_bind (UsockTest     *test,
                  gconstpointer  unused)
{
  g_autoptr (GSocketAddress) address = usock_address_parse ("[%lo]:0x0800", NULL);
  g_autoptr (UsockName) name = usock_name_new_for_address (address, NULL);
  struct sockaddr_storage bound = { 0 };
  socklen_t length = sizeof bound;
  g_autofree char *text = NULL;
  int fd = socket (AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (fd == -1)
    {
      g_test_skip ("packet sockets are not allowed here");
      return;
    }
  g_assert_cmpint (bind (fd, &name->native.any, name->length), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *) &bound, &length), ==, 0);
  text = usock_native_to_text ((struct sockaddr *) &bound, length);
  g_assert_cmpstr (text, ==, "[00:00:00:00:00:00%lo]:0x0800");
  close (fd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/usock/address/path-text", test_path_text);
  g_test_add_func ("/usock/address/abstract-text", test_abstract_text);
  g_test_add_func ("/usock/address/abstract-every-byte", test_abstract_every_byte);
  g_test_add_func ("/usock/address/abstract-every-length", test_abstract_every_length);
  g_test_add_func ("/usock/address/abstract-padded", test_abstract_padded);
  g_test_add_func ("/usock/address/abstract-too-long", test_abstract_too_long);
  g_test_add_func ("/usock/address/random-bytes", test_random_bytes);
  g_test_add_func ("/usock/address/inet", test_inet);
  g_test_add_func ("/usock/address/names-of-hosts", test_names_of_hosts);
  g_test_add_func ("/usock/address/unnamed", test_unnamed);
  g_test_add_func ("/usock/address/anonymous-name", test_anonymous_name);
  g_test_add_func ("/usock/address/native-only", test_native_only);
  g_test_add_func ("/usock/address/kernel-longest-path", test_kernel_longest_path);
  g_test_add_func ("/usock/address/borrowed-name", test_borrowed_name);
  g_test_add_func ("/usock/address/long-path", test_long_path);
  g_test_add_func ("/usock/address/long-bad-path", test_long_bad_path);
  g_test_add_func ("/usock/address/cut-path", test_cut_path);
  g_test_add_func ("/usock/address/literal-path", test_literal_path);
  g_test_add_func ("/usock/address/scope-by-name", test_scope_by_name);
  g_test_add_func ("/usock/address/packet-text", test_packet_text);
  g_test_add_func ("/usock/address/packet-lookalikes", test_packet_lookalikes);
  g_test_add_func ("/usock/address/packet-missing-interface", test_packet_missing_interface);
  g_test_add_func ("/usock/address/packet-properties", test_packet_properties);
  usock_test_add ("/usock/address/packet-bind", test_packet_bind);
  usock_test_add ("/usock/address/relative-path", test_relative_path);
  usock_test_add ("/usock/address/relative-to-nothing", test_relative_to_nothing);
  g_test_add_func ("/usock/address/bad-text", test_bad_text);

  return g_test_run ();
}
