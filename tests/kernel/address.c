/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* How names of sockets are read, kept and compared, and how their files behave. */

#include "kernel.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER offsetof (struct sockaddr_un, sun_path)

static int
new_socket (void)
{
  return socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int
bind_bytes (int fd,
            const char *name,
            gsize length)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  memcpy (address.sun_path, name, MIN (length, sizeof address.sun_path));
  return bind (fd, (struct sockaddr *) &address, HEADER + length) < 0 ? -errno : 0;
}

static int
connect_bytes (const char *name,
               gsize length)
{
  autofd fd = new_socket ();
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  memcpy (address.sun_path, name, length);
  return connect (fd, (struct sockaddr *) &address, HEADER + length) < 0 ? -errno : 0;
}

static socklen_t
name_length (int fd)
{
  struct sockaddr_storage address;
  socklen_t length = sizeof address;

  return getsockname (fd, (struct sockaddr *) &address, &length) < 0 ? 0 : length;
}

static void
test_longest_path (void)
{
  autofd fd = new_socket ();
  char name[sizeof ((struct sockaddr_un *) NULL)->sun_path + 1];
  gsize prefix = g_strlcpy (name, path_of ("x"), sizeof name);

  memset (name + prefix, 'x', sizeof name - prefix);
  g_assert_cmpint (bind_bytes (fd, name, sizeof name), ==, -EINVAL);
  g_assert_cmpint (bind_bytes (fd, name, sizeof name - 1), ==, 0);
  g_assert_cmpint (name_length (fd), ==, sizeof (struct sockaddr_un) + 1);
}

static void
test_nul_cuts_path (void)
{
  autofd fd = new_socket ();
  g_autofree char *name = g_strconcat (path_of ("nul"), "_tail", NULL);
  gsize length = strlen (name);

  name[length - strlen ("_tail")] = '\0';
  g_assert_cmpint (bind_bytes (fd, name, length), ==, 0);
  g_assert_cmpint (access (path_of ("nul"), F_OK), ==, 0);
}

static void
test_abstract_exact (void)
{
  autofd fd = new_socket ();
  char name[64] = { 0 };
  gsize length = 1 + g_snprintf (name + 1, sizeof name - 1, "usock-%d", getpid ());

  name[3] = '\0';
  g_assert_cmpint (bind_bytes (fd, name, length), ==, 0);
  g_assert_cmpint (listen (fd, 4), ==, 0);
  g_assert_cmpint (connect_bytes (name, length), ==, 0);
  g_assert_cmpint (connect_bytes (name, length + 1), ==, -ECONNREFUSED);
  g_assert_cmpint (name_length (fd), ==, HEADER + length);
}

static void
test_autobind (void)
{
  autofd fd = new_socket ();

  g_assert_cmpint (bind_bytes (fd, "", 0), ==, 0);
  g_assert_cmpint (name_length (fd), ==, HEADER + 6);
}

static void
test_unnamed (void)
{
  autopair p = pair_new (SOCK_DGRAM);
  autofd fd = new_socket ();

  g_assert_cmpint (name_length (fd), ==, HEADER);
  put (p.a, 1);
  g_assert_cmpint (take_message (p.b, 64, 0).name_length, ==, 0);
}

static void
test_long_path (void)
{
  g_autofree char *name_of_200 = g_strnfill (200, 'd');
  g_autofree char *folder = g_build_filename (path_of (""), name_of_200, NULL);
  autofd directory = -1;
  autofd fd = new_socket ();
  autofd client = new_socket ();
  char name[64];

  g_assert_cmpint (mkdir (folder, 0700), ==, 0);
  directory = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  g_snprintf (name, sizeof name, "/proc/self/fd/%d/socket", directory);
  g_assert_cmpint (bind_to (fd, name), ==, 0);
  g_assert_cmpint (listen (fd, 4), ==, 0);
  g_assert_cmpint (connect_to (client, name), ==, 0);
}

static void
test_mode_before_bind (void)
{
  autofd fd = new_socket ();
  struct stat status;

  g_assert_cmpint (fchmod (fd, 0600), ==, 0);
  g_assert_cmpint (bind_to (fd, path_of ("mode")), ==, 0);
  g_assert_cmpint (stat (path_of ("mode"), &status), ==, 0);
  g_assert_cmphex (status.st_mode & 07777, ==, 0600);
  g_assert_cmpint (fchmod (fd, 0644), ==, 0);
  g_assert_cmpint (stat (path_of ("mode"), &status), ==, 0);
  g_assert_cmphex (status.st_mode & 07777, ==, 0600);
}

static void
test_bind_on_something (void)
{
  autofd fd = new_socket ();

  g_assert_true (g_file_set_contents (path_of ("taken"), "", 0, NULL));
  g_assert_cmpint (bind_to (fd, path_of ("taken")), ==, -EADDRINUSE);
  g_assert_cmpint (symlink ("nowhere", path_of ("dangling")), ==, 0);
  g_assert_cmpint (bind_to (fd, path_of ("dangling")), ==, -EADDRINUSE);
}

static void
test_inode_identity (void)
{
  for (guint i = 0; i < 50; i++)
    {
      autofd old = socket_at (SOCK_SEQPACKET, "inode");
      autofd new = -1;
      struct stat before, after;

      g_assert_cmpint (stat (path_of ("inode"), &before), ==, 0);
      new = socket_at (SOCK_SEQPACKET, "inode");
      g_assert_cmpint (stat (path_of ("inode"), &after), ==, 0);
      g_assert_cmpuint (before.st_ino, !=, after.st_ino);
    }
}

static void
test_name_kept (void)
{
  autofd fd = listen_at (SOCK_SEQPACKET, "renamed", 4);
  autofd client = -1;
  struct sockaddr_un address;
  socklen_t length = sizeof address;

  g_assert_cmpint (rename (path_of ("renamed"), path_of ("elsewhere")), ==, 0);
  client = client_of (SOCK_SEQPACKET, "elsewhere");
  g_assert_cmpint (getpeername (client, (struct sockaddr *) &address, &length), ==, 0);
  g_assert_cmpstr (address.sun_path, ==, path_of ("renamed"));
}

static void
test_lock (void)
{
  autofd first = open (path_of ("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  autofd second = open (path_of ("lock"), O_RDWR | O_CLOEXEC);
  struct flock lock = { .l_type = F_WRLCK };

  g_assert_cmpint (fcntl (first, F_OFD_SETLK, &lock), ==, 0);
  g_assert_cmpint (fcntl (second, F_OFD_SETLK, &lock), ==, -1);
  clear_fd (&first);
  g_assert_cmpint (fcntl (second, F_OFD_SETLK, &lock), ==, 0);
}

const Fact address_facts[] = {
  { "longest-path", "108 bytes without NUL are a path, told back with one byte more; 109 are EINVAL",
    "long paths are cut, or read past their end", test_longest_path },
  { "nul-cuts-path", "a NUL inside a path cuts it silently", "such paths may be allowed",
    test_nul_cuts_path },
  { "abstract-exact", "abstract names are compared with their exact length, NULs included",
    "abstract names do not find their peer", test_abstract_exact },
  { "autobind", "binding to an empty name makes an abstract one of five digits",
    "autobind does not work", test_autobind },
  { "unnamed", "an unnamed socket's name is the family alone, and an unnamed sender's is nothing",
    "senders without a name are misread", test_unnamed },
  { "long-path", "a path over the limit works by way of its open folder",
    "long paths do not work", test_long_path },
  { "mode-before-bind", "a mode set on the socket before it is bound is its file's",
    "others may connect before the mode is set", test_mode_before_bind },
  { "bind-on-something", "binding never replaces what is there, a dangling link included",
    "a foreign file is overwritten", test_bind_on_something },
  { "inode-identity", "the number of an open socket's file is not used again",
    "a server removes its successor's path", test_inode_identity },
  { "name-kept", "a renamed socket is reached by its new path and says its old one",
    "the path to remove may be asked of the kernel", test_name_kept },
  { "lock", "a lock of an open file excludes another in the same process, until it is closed",
    "two servers take over one path", test_lock },
  { NULL },
};
