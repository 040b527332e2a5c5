/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-io-private.h"
#include "usock-path-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Somebody who may write to the directory does something at the worst moment: directly after
 * bind(), before a file is moved, or before the lock is taken. Once. */
static void (*after_bind) (void);
static void (*before_rename) (void);
static void (*before_lock) (void);
static int rename_errno;

static void
run_hook (void (**hook) (void))
{
  void (*function) (void) = *hook;

  *hook = NULL;
  if (function != NULL)
    function ();
}

int
bind (int fd, const struct sockaddr *address, socklen_t length)
{
  int result = syscall (SYS_bind, fd, address, length);

  if (result == 0)
    run_hook (&after_bind);
  return result;
}

int
renameat2 (int old_fd, const char *old_name, int new_fd, const char *new_name, unsigned int flags)
{
  run_hook (&before_rename);
  if (rename_errno == 0)
    return syscall (SYS_renameat2, old_fd, old_name, new_fd, new_name, flags);

  errno = rename_errno;
  return -1;
}

int
fcntl (int fd, int command, ...)
{
  va_list arguments;
  long argument;

  va_start (arguments, command);
  argument = va_arg (arguments, long);
  va_end (arguments);

  if (command == F_OFD_SETLK)
    run_hook (&before_lock);
  return syscall (SYS_fcntl, fd, command, argument);
}

static int
open_socket (int type)
{
  int fd = usock_io_socket (AF_UNIX, type, 0);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static int
claim (int fd, const char *path, guint mode, UsockPath **claimed)
{
  g_autoptr (UsockName) name = NULL;

  usock_test_no_error (name = usock_name_new_for_path (path, &error));
  return usock_path_claim (fd, name, mode, claimed);
}

/* Leaves a socket file that nobody has open. */
static void
make_stale (const char *path, int type)
{
  g_autoptr (UsockName) name = NULL;
  int fd = open_socket (type);

  usock_test_no_error (name = usock_name_new_for_path (path, &error));
  g_assert_cmpint (usock_io_bind (fd, name), ==, 0);
  close (fd);
}

static gboolean
exists (const char *path)
{
  struct stat info;

  return lstat (path, &info) == 0;
}

/* What we make beside a socket is hidden, and says whose it is. */
static void
assert_no_trace (const char *path)
{
  g_autofree char *parent = g_path_get_dirname (path);
  GDir *directory = g_dir_open (parent, 0, NULL);
  const char *entry;

  while ((entry = g_dir_read_name (directory)) != NULL)
    g_assert_null (strstr (entry, ".usock"));
  g_dir_close (directory);
}

static void
assert_refused (const char *path, int type, int errnum)
{
  UsockPath *claimed = (gpointer) -1;
  int fd = open_socket (type);

  g_assert_cmpint (claim (fd, path, 0600, &claimed), ==, -errnum);
  g_assert_null (claimed);
  close (fd);
}

static void
assert_taken_over (const char *path, int type)
{
  UsockPath *claimed = NULL;
  int fd = open_socket (type);

  g_assert_cmpint (claim (fd, path, 0600, &claimed), ==, 0);
  g_assert_nonnull (claimed);
  assert_refused (path, type, EADDRINUSE);
  usock_path_release (claimed);
  g_assert_false (exists (path));
  close (fd);
}

static void
test_fresh (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");

  assert_taken_over (path, SOCK_SEQPACKET);
  assert_no_trace (path);
  g_assert_false (exists (path));
}

static void
test_keep (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  UsockPath *claimed;
  int fd = open_socket (SOCK_SEQPACKET);

  g_assert_cmpint (claim (fd, path, 0600, &claimed), ==, 0);
  usock_path_set_unlink (claimed, FALSE);
  usock_path_release (claimed);
  g_assert_true (exists (path));
  close (fd);
}

static void
test_mode (UsockTest *test, gconstpointer data)
{
  static const mode_t masks[] = { 0000, 0022, 0077, 0777 };
  static const guint modes[] = { 0600, 0660, 0666, 0777, 0622, 0000, 01777 };
  g_autofree char *entry = g_strnfill (NAME_MAX, 'x');
  g_autofree char *short_path = usock_test_path (test, "x");
  g_autofree char *long_path = usock_test_path (test, entry);
  const char *paths[] = { short_path, long_path };

  for (guint i = 0; i < G_N_ELEMENTS (masks); i++)
    for (guint j = 0; j < G_N_ELEMENTS (modes); j++)
      for (guint k = 0; k < G_N_ELEMENTS (paths); k++)
        {
          int fd = open_socket (SOCK_SEQPACKET);
          mode_t before = umask (masks[i]);
          UsockPath *claimed;
          struct stat info;

          g_assert_cmpint (claim (fd, paths[k], modes[j], &claimed), ==, 0);
          g_assert_cmpint (umask (before), ==, masks[i]);
          g_assert_cmpint (lstat (paths[k], &info), ==, 0);
          g_assert_cmphex (info.st_mode, ==, S_IFSOCK | modes[j]);
          usock_path_release (claimed);
          close (fd);
        }
}

static void
test_stale (UsockTest *test, gconstpointer data)
{
  static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
  g_autofree char *path = usock_test_path (test, "x");

  for (guint i = 0; i < 3; i++)
    for (guint j = 0; j < 3; j++)
      {
        make_stale (path, types[i]);
        assert_taken_over (path, types[j]);
        assert_no_trace (path);
      }
}

/* The names of the lock, and the lock's path, are longer than those they are for. */
static void
test_stale_long (UsockTest *test, gconstpointer data)
{
  g_autoptr (GString) path = g_string_new (test->directory);
  g_autofree char *parent = NULL;
  g_autofree char *entry = g_strnfill (NAME_MAX, 'x');
  GDir *directory;

  for (gsize length = 90; length <= NAME_MAX; length += 15)
    {
      g_autofree char *name = g_strnfill (length, 'x');
      g_autofree char *short_path = usock_test_path (test, name);

      make_stale (short_path, SOCK_SEQPACKET);
      assert_taken_over (short_path, SOCK_SEQPACKET);
    }

  while (path->len + 201 < PATH_MAX - 1 - NAME_MAX - 1)
    g_string_append_printf (path, "/%0200d", 0);
  g_string_append_printf (path, "/%0*d", (int) (PATH_MAX - 1 - NAME_MAX - 2 - path->len), 0);
  g_assert_cmpint (g_mkdir_with_parents (path->str, 0700), ==, 0);
  parent = g_strdup (path->str);
  g_string_append_printf (path, "/%s", entry);
  g_assert_cmpuint (path->len, ==, PATH_MAX - 1);

  make_stale (path->str, SOCK_SEQPACKET);
  assert_taken_over (path->str, SOCK_SEQPACKET);

  directory = g_dir_open (parent, 0, NULL);
  g_assert_null (g_dir_read_name (directory));
  g_dir_close (directory);
}

static void
test_live (UsockTest *test, gconstpointer data)
{
  static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
  g_autofree char *path = usock_test_path (test, "x");

  for (guint i = 0; i < 3; i++)
    for (guint listens = 0; listens < (types[i] == SOCK_DGRAM ? 1 : 2); listens++)
      {
        UsockPath *claimed;
        struct stat before, after;
        int fd = open_socket (types[i]);

        g_assert_cmpint (claim (fd, path, 0600, &claimed), ==, 0);
        if (listens)
          g_assert_cmpint (usock_io_listen (fd, 10), ==, 0);
        g_assert_cmpint (lstat (path, &before), ==, 0);
        for (guint j = 0; j < 3; j++)
          assert_refused (path, types[j], EADDRINUSE);

        /* Who was asked notices nothing. */
        if (listens)
          g_assert_cmpint (usock_io_accept (fd), ==, -EAGAIN);
        g_assert_cmpint (lstat (path, &after), ==, 0);
        g_assert_cmpuint (after.st_ino, ==, before.st_ino);
        assert_no_trace (path);
        usock_path_release (claimed);
        close (fd);
      }
}

static void
test_full_backlog (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  g_autoptr (UsockName) name = NULL;
  int fd = open_socket (SOCK_SEQPACKET);
  int clients[2] = { open_socket (SOCK_SEQPACKET), open_socket (SOCK_SEQPACKET) };
  UsockPath *claimed;

  usock_test_no_error (name = usock_name_new_for_path (path, &error));
  g_assert_cmpint (claim (fd, path, 0600, &claimed), ==, 0);
  g_assert_cmpint (listen (fd, 0), ==, 0);
  g_assert_cmpint (usock_io_connect (clients[0], name), ==, 0);
  g_assert_cmpint (usock_io_connect (clients[1], name), ==, -EAGAIN);
  assert_refused (path, SOCK_SEQPACKET, EADDRINUSE);

  usock_path_release (claimed);
  close (fd);
  close (clients[0]);
  close (clients[1]);
}

static void
test_no_socket (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  g_autofree char *stale = usock_test_path (test, "stale");
  g_autofree char *content = NULL;
  g_autofree char *target = NULL;

  usock_test_no_error (g_file_set_contents (path, "precious", -1, &error));
  assert_refused (path, SOCK_SEQPACKET, EADDRINUSE);
  usock_test_no_error (g_file_get_contents (path, &content, NULL, &error));
  g_assert_cmpstr (content, ==, "precious");
  g_assert_cmpint (unlink (path), ==, 0);

  g_assert_cmpint (mkdir (path, 0700), ==, 0);
  assert_refused (path, SOCK_SEQPACKET, EADDRINUSE);
  g_assert_cmpint (rmdir (path), ==, 0);

  g_assert_cmpint (mkfifo (path, 0600), ==, 0);
  assert_refused (path, SOCK_SEQPACKET, EADDRINUSE);
  g_assert_cmpint (unlink (path), ==, 0);

  /* Dangling at first. */
  g_assert_cmpint (symlink (stale, path), ==, 0);
  assert_refused (path, SOCK_SEQPACKET, EADDRINUSE);
  g_assert_false (exists (stale));
  make_stale (stale, SOCK_SEQPACKET);
  assert_refused (path, SOCK_SEQPACKET, EADDRINUSE);
  g_assert_true (exists (stale));
  target = g_file_read_link (path, NULL);
  g_assert_cmpstr (target, ==, stale);
  assert_no_trace (path);
}

static void
test_missing_directory (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "missing/x");

  assert_refused (path, SOCK_SEQPACKET, ENOENT);
}

/* Whether somebody is there cannot be known then, so nothing is touched. */
static void
test_cannot_ask (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");

  make_stale (path, SOCK_SEQPACKET);
  for (guint nth = 1; nth <= 2; nth++)
    {
      UsockPath *claimed;
      int fd = open_socket (SOCK_SEQPACKET);

      usock_io_fault_add (USOCK_IO_SOCKET, EMFILE, nth, 0);
      g_assert_cmpint (claim (fd, path, 0600, &claimed), ==, -EMFILE);
      usock_io_fault_add (USOCK_IO_CONNECT, EACCES, nth, 0);
      g_assert_cmpint (claim (fd, path, 0600, &claimed), ==, -EADDRINUSE);
      g_assert_true (exists (path));
      assert_no_trace (path);
      close (fd);
    }
  usock_io_fault_clear ();
  assert_taken_over (path, SOCK_SEQPACKET);
}

static int
make_lock (const char *path)
{
  struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  int lock = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  g_assert_no_errno (fcntl (lock, F_OFD_SETLK, &whole));
  return lock;
}

static void
test_locked (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  g_autofree char *lock_path = usock_test_path (test, ".x.usock-lock");
  int lock = make_lock (lock_path);

  make_stale (path, SOCK_SEQPACKET);
  assert_refused (path, SOCK_SEQPACKET, EADDRINUSE);
  g_assert_true (exists (lock_path));
  g_assert_true (exists (path));

  /* One that a killed process left is in nobody's way. */
  close (lock);
  assert_taken_over (path, SOCK_SEQPACKET);
  assert_no_trace (path);
}

/* A lock that many programs have has a file of that name: it is not ours, empty or not, locked or
 * not. */
static void
test_foreign_lock_file (UsockTest *test, gconstpointer data)
{
  static const char *const contents[] = { "", "precious" };
  g_autofree char *path = usock_test_path (test, "x");
  g_autofree char *lock_path = usock_test_path (test, "x.lock");
  struct stat before, after;

  for (guint i = 0; i < G_N_ELEMENTS (contents); i++)
    {
      g_autofree char *content = NULL;
      int lock;

      usock_test_no_error (g_file_set_contents (lock_path, contents[i], -1, &error));
      lock = make_lock (lock_path);
      g_assert_no_errno (flock (lock, LOCK_EX | LOCK_NB));
      g_assert_no_errno (fstat (lock, &before));
      make_stale (path, SOCK_SEQPACKET);
      assert_taken_over (path, SOCK_SEQPACKET);
      g_assert_no_errno (lstat (lock_path, &after));
      g_assert_cmpuint (after.st_ino, ==, before.st_ino);
      usock_test_no_error (g_file_get_contents (lock_path, &content, NULL, &error));
      g_assert_cmpstr (content, ==, contents[i]);
      close (lock);
    }
}

/* Even what has our own name for it, and is no lock, stays and keeps nobody away. */
static void
test_foreign_at_our_name (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  g_autofree char *lock_path = usock_test_path (test, ".x.usock-lock");
  g_autofree char *linked = usock_test_path (test, "linked");
  g_autofree char *target = usock_test_path (test, "target");

  for (guint kind = 0; kind < 5; kind++)
    {
      struct stat before, after;

      make_stale (path, SOCK_SEQPACKET);
      if (kind == 0)
        g_assert_true (g_file_set_contents (lock_path, "precious", -1, NULL));
      else if (kind == 1)
        g_assert_no_errno (symlink (target, lock_path));
      else if (kind == 2)
        g_assert_no_errno (mkdir (lock_path, 0700));
      else if (kind == 3)
        make_stale (lock_path, SOCK_SEQPACKET);
      else
        {
          g_assert_true (g_file_set_contents (linked, "", -1, NULL));
          g_assert_no_errno (link (linked, lock_path));
        }
      g_assert_no_errno (lstat (lock_path, &before));

      assert_taken_over (path, SOCK_SEQPACKET);
      g_assert_false (exists (target));
      g_assert_no_errno (lstat (lock_path, &after));
      g_assert_cmpuint (after.st_ino, ==, before.st_ino);
      g_assert_no_errno (remove (lock_path));
      assert_no_trace (path);
    }
}

/* What the hooks below change, and whose socket they put in its place. */
static struct
{
  char *path;
  char *other;
  guint kind;
  int fd;
} scene;

static void
scene_start (UsockTest *test)
{
  scene.path = usock_test_path (test, "x");
  scene.other = usock_test_path (test, "other");
  scene.fd = -1;
}

static void
scene_stop (void)
{
  if (scene.fd != -1)
    close (scene.fd);
  g_free (scene.path);
  g_free (scene.other);
}

enum
{
  PUT_FILE,
  PUT_DIRECTORY,
  PUT_SYMLINK,
  PUT_STALE,
  PUT_LIVING_OF_TYPE,
  PUT_LIVING_OF_ANOTHER,
  PUT_NOTHING,
  N_PUTS,
};

static void
put_another (void)
{
  g_assert_no_errno (unlink (scene.path));
  if (scene.kind == PUT_FILE)
    g_assert_true (g_file_set_contents (scene.path, "precious", -1, NULL));
  else if (scene.kind == PUT_DIRECTORY)
    g_assert_no_errno (mkdir (scene.path, 0700));
  else if (scene.kind == PUT_SYMLINK)
    g_assert_no_errno (symlink (scene.other, scene.path));
  else if (scene.kind == PUT_STALE)
    make_stale (scene.path, SOCK_SEQPACKET);
  else if (scene.kind != PUT_NOTHING)
    {
      int type = scene.kind == PUT_LIVING_OF_TYPE ? SOCK_SEQPACKET : SOCK_STREAM;
      g_autoptr (UsockName) name = usock_name_new_for_path (scene.path, NULL);

      scene.fd = open_socket (type);
      g_assert_cmpint (usock_io_bind (scene.fd, name), ==, 0);
      g_assert_cmpint (usock_io_listen (scene.fd, 0), ==, 0);
    }
}

static void
assert_untouched (guint kind, const char *path)
{
  struct stat info;

  g_assert_cmpint (lstat (path, &info) == 0, ==, kind != PUT_NOTHING);
  if (kind == PUT_FILE)
    g_assert_cmpint (info.st_size, ==, 8);
}

/* Whatever came in its place directly after bind(), it is not ours, and stays. */
static void
test_swapped_after_bind (UsockTest *test, gconstpointer data)
{
  static const mode_t masks[] = { 0000, 0077 };
  mode_t before = umask (0);

  scene_start (test);
  for (guint i = 0; i < G_N_ELEMENTS (masks); i++)
    for (scene.kind = 0; scene.kind < N_PUTS; scene.kind++)
      {
        UsockPath *claimed = (gpointer) -1;
        int fd = open_socket (SOCK_SEQPACKET);

        umask (masks[i]);
        after_bind = put_another;
        g_assert_cmpint (claim (fd, scene.path, 0644, &claimed), ==, -EADDRINUSE);
        g_assert_null (claimed);
        assert_untouched (scene.kind, scene.path);
        assert_no_trace (scene.path);
        remove (scene.path);
        close (fd);
        if (scene.fd != -1)
          close (scene.fd);
        scene.fd = -1;
      }
  umask (before);
  scene_stop ();
}

static void
link_it (void)
{
  g_assert_no_errno (link (scene.path, scene.other));
}

/* Who links to a file from elsewhere gets no more rights to it. */
static void
test_linked_after_bind (UsockTest *test, gconstpointer data)
{
  mode_t before = umask (0077);
  int fd = open_socket (SOCK_SEQPACKET);
  UsockPath *claimed;
  struct stat info;

  scene_start (test);
  after_bind = link_it;
  g_assert_cmpint (claim (fd, scene.path, 0666, &claimed), ==, -EADDRINUSE);
  g_assert_no_errno (lstat (scene.other, &info));
  g_assert_cmphex (info.st_mode & 07777, ==, 0600);
  g_assert_false (exists (scene.path));
  close (fd);
  umask (before);
  scene_stop ();
}

/* On release, between the look at the file and the call that removes it. */
static void
test_swapped_before_removal (UsockTest *test, gconstpointer data)
{
  scene_start (test);
  for (scene.kind = 0; scene.kind < N_PUTS; scene.kind++)
    {
      UsockPath *claimed;
      int fd = open_socket (SOCK_SEQPACKET);

      g_assert_cmpint (claim (fd, scene.path, 0600, &claimed), ==, 0);
      before_rename = put_another;
      usock_path_release (claimed);
      close (fd);
      assert_untouched (scene.kind, scene.path);
      assert_no_trace (scene.path);
      remove (scene.path);
      if (scene.fd != -1)
        close (scene.fd);
      scene.fd = -1;
    }
  scene_stop ();
}

/* One that knows nothing of our lock takes the stale path over at the same time. */
static void
test_swapped_while_taking_over (UsockTest *test, gconstpointer data)
{
  void (**const hooks[]) (void) = { &before_lock, &before_rename };

  scene_start (test);
  scene.kind = PUT_LIVING_OF_TYPE;
  for (guint i = 0; i < G_N_ELEMENTS (hooks); i++)
    {
      make_stale (scene.path, SOCK_SEQPACKET);
      *hooks[i] = put_another;
      assert_refused (scene.path, SOCK_SEQPACKET, EADDRINUSE);
      assert_untouched (scene.kind, scene.path);
      assert_no_trace (scene.path);
      g_assert_no_errno (unlink (scene.path));
      close (g_steal_fd (&scene.fd));
    }
  scene_stop ();
}

static void
lock_anew (void)
{
  g_assert_no_errno (unlink (scene.other));
  scene.fd = make_lock (scene.other);
}

/* Who was before us removed the file with the lock, and the next one has a new one: a lock on the
 * old file is none. */
static void
test_lock_replaced (UsockTest *test, gconstpointer data)
{
  scene_start (test);
  g_free (scene.other);
  scene.other = usock_test_path (test, ".x.usock-lock");
  make_stale (scene.path, SOCK_SEQPACKET);
  before_lock = lock_anew;
  assert_refused (scene.path, SOCK_SEQPACKET, EADDRINUSE);
  g_assert_true (exists (scene.other));
  g_assert_true (exists (scene.path));
  close (g_steal_fd (&scene.fd));
  assert_taken_over (scene.path, SOCK_SEQPACKET);
  assert_no_trace (scene.path);
  scene_stop ();
}

/* Not every file system, and no kernel before 3.15, can rename without replacing. */
static void
test_without_noreplace (UsockTest *test, gconstpointer data)
{
  static const int errnums[] = { EINVAL, ENOSYS };
  g_autofree char *entry = g_strnfill (NAME_MAX, 'x');
  g_autofree char *long_path = usock_test_path (test, entry);
  g_autofree char *short_path = usock_test_path (test, "x");
  const char *paths[] = { short_path, long_path };

  for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
    for (guint j = 0; j < G_N_ELEMENTS (paths); j++)
      {
        rename_errno = errnums[i];
        assert_taken_over (paths[j], SOCK_SEQPACKET);
        make_stale (paths[j], SOCK_SEQPACKET);
        assert_taken_over (paths[j], SOCK_SEQPACKET);
        g_assert_no_errno (mkdir (paths[j], 0700));
        assert_refused (paths[j], SOCK_SEQPACKET, EADDRINUSE);
        assert_no_trace (paths[j]);
        g_assert_no_errno (rmdir (paths[j]));
      }
  rename_errno = 0;
}

static void
test_release_replaced (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  g_autofree char *next_path = usock_test_path (test, "next");

  for (guint round = 0; round < 1000; round++)
    {
      int fds[2] = { open_socket (SOCK_SEQPACKET), open_socket (SOCK_SEQPACKET) };
      UsockPath *claims[2];
      struct stat info;

      g_assert_cmpint (claim (fds[0], path, 0600, &claims[0]), ==, 0);
      g_assert_cmpint (claim (fds[1], next_path, 0600, &claims[1]), ==, 0);
      g_assert_cmpint (rename (next_path, path), ==, 0);
      usock_path_release (claims[0]);
      close (fds[0]);
      g_assert_cmpint (lstat (path, &info), ==, 0);
      usock_path_release (claims[1]);
      close (fds[1]);
      g_assert_cmpint (unlink (path), ==, 0);
    }
}

static void
test_release_gone (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");

  for (guint replaced = 0; replaced < 2; replaced++)
    {
      int fd = open_socket (SOCK_SEQPACKET);
      UsockPath *claimed;

      g_assert_cmpint (claim (fd, path, 0600, &claimed), ==, 0);
      g_assert_cmpint (unlink (path), ==, 0);
      if (replaced)
        usock_test_no_error (g_file_set_contents (path, "precious", -1, &error));
      usock_path_release (claimed);
      close (fd);
      g_assert_cmpint (exists (path), ==, replaced);
    }
}

/* A program that ends without closing anything removes its paths; a forked child leaves those of
 * its parent alone, and one that is killed leaves its own. */

static void
run_child (void (*function) (const char *), const char *path, int expected_status)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    {
      alarm (60);
      function (path);
      _exit (100);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmphex (status, ==, expected_status);
}

/* Not with the parent's handlers and buffers. */
static void
exit_early (void)
{
  fclose (stdout);
  exit (0);
}

static void
claim_and_exit (const char *path)
{
  UsockPath *claimed;

  if (claim (open_socket (SOCK_SEQPACKET), path, 0600, &claimed) == 0)
    exit_early ();
}

static void
claim_keep_and_exit (const char *path)
{
  UsockPath *claimed;

  if (claim (open_socket (SOCK_SEQPACKET), path, 0600, &claimed) != 0)
    return;
  usock_path_set_unlink (claimed, FALSE);
  exit_early ();
}

static void
claim_and_die (const char *path)
{
  UsockPath *claimed;

  if (claim (open_socket (SOCK_SEQPACKET), path, 0600, &claimed) == 0)
    kill (getpid (), SIGKILL);
}

static UsockPath *inherited;

static void
release_inherited_and_exit (const char *path)
{
  g_autofree char *own = g_strconcat (path, "-own", NULL);
  UsockPath *claimed;

  usock_path_release (inherited);
  if (exists (path) && claim (open_socket (SOCK_SEQPACKET), own, 0600, &claimed) == 0)
    exit_early ();
}

static void
test_exit (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  g_autofree char *own = g_strconcat (path, "-own", NULL);
  int fd;

  run_child (claim_and_exit, path, 0);
  g_assert_false (exists (path));
  run_child (claim_keep_and_exit, path, 0);
  g_assert_true (exists (path));
  run_child (claim_and_die, path, SIGKILL);
  g_assert_true (exists (path));
  run_child (claim_and_exit, path, 0);
  g_assert_false (exists (path));

  fd = open_socket (SOCK_SEQPACKET);
  g_assert_cmpint (claim (fd, path, 0600, &inherited), ==, 0);
  run_child (release_inherited_and_exit, path, 0);
  g_assert_true (exists (path));
  g_assert_false (exists (own));
  usock_path_release (inherited);
  g_assert_false (exists (path));
  close (fd);
}

static void
test_parents (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "one/two/three/x");
  g_autofree char *file = usock_test_path (test, "file");
  g_autofree char *below = usock_test_path (test, "file/below/x");
  g_autoptr (UsockName) name = NULL;
  g_autoptr (UsockName) wrong = NULL;
  mode_t before = umask (0);

  usock_test_no_error (name = usock_name_new_for_path (path, &error));
  g_assert_cmpint (usock_path_make_parents (name), ==, 0);
  g_assert_cmpint (usock_path_make_parents (name), ==, 0);
  umask (before);
  assert_taken_over (path, SOCK_SEQPACKET);
  for (guint i = 0; i < 3; i++)
    {
      struct stat info;

      *strrchr (path, '/') = '\0';
      g_assert_cmpint (lstat (path, &info), ==, 0);
      g_assert_cmphex (info.st_mode & 07777, ==, 0700);
    }

  usock_test_no_error (g_file_set_contents (file, "precious", -1, &error));
  usock_test_no_error (wrong = usock_name_new_for_path (below, &error));
  g_assert_cmpint (usock_path_make_parents (wrong), ==, -ENOTDIR);
}

/* A thread changes the umask all the time, and another user tries to connect all the time to what
 * is his only after the mode was widened. */

typedef struct
{
  gint over;
  gint ready;
  gint n_tried;
  gint n_connected;
  gint n_too_wide;
} Watch;

static gpointer
flip_umask_thread (gpointer data)
{
  Watch *watch = data;

  while (!g_atomic_int_get (&watch->over))
    {
      umask (0000);
      umask (0077);
    }
  return NULL;
}

static void
watch_child (Watch *watch, UsockName *name)
{
  /* Who is not root watches the modes alone. */
  gboolean other = setgid (65534) == 0 && setuid (65534) == 0;

  alarm (600);
  g_atomic_int_set (&watch->ready, 1);
  for (;;)
    {
      struct stat info;
      int fd = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);

      if (other && usock_io_connect (fd, name) == 0)
        g_atomic_int_inc (&watch->n_connected);
      if (lstat (name->path, &info) == 0 && (info.st_mode & 0077) != 0)
        g_atomic_int_inc (&watch->n_too_wide);
      close (fd);
      g_atomic_int_inc (&watch->n_tried);
    }
}

static void
wait_for (gint *counter, gint value)
{
  while (g_atomic_int_get (counter) < value)
    sched_yield ();
}

static gpointer
new_shared (gsize size)
{
  gpointer memory
      = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  g_assert_true (memory != MAP_FAILED);
  return memory;
}

static void
test_umask_race (UsockTest *test, gconstpointer data)
{
  const gint n_rounds = g_getenv ("USOCK_TEST_LONG") != NULL ? 10000 : 1000;
  g_autofree char *path = usock_test_path (test, "x");
  g_autoptr (UsockName) name = NULL;
  Watch *watch = new_shared (sizeof *watch);
  mode_t before = umask (0077);
  GThread *thread;
  pid_t child;
  int status;

  g_assert_cmpint (chmod (test->directory, 0755), ==, 0);
  usock_test_no_error (name = usock_name_new_for_path (path, &error));
  child = fork ();
  if (child == 0)
    watch_child (watch, name);
  wait_for (&watch->ready, 1);
  thread = g_thread_new ("umask", flip_umask_thread, watch);

  for (gint round = 0; round < n_rounds; round++)
    {
      int fd = open_socket (SOCK_SEQPACKET);
      UsockPath *claimed;

      g_assert_cmpint (usock_path_claim (fd, name, 0600, &claimed), ==, 0);
      g_assert_cmpint (usock_io_listen (fd, 0), ==, 0);
      wait_for (&watch->n_tried, round + 1);
      usock_path_release (claimed);
      close (fd);
    }

  g_atomic_int_set (&watch->over, 1);
  g_thread_join (thread);
  umask (before);
  g_assert_cmpint (kill (child, SIGKILL), ==, 0);
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmphex (status, ==, SIGKILL);
  g_assert_cmpint (watch->n_connected, ==, 0);
  g_assert_cmpint (watch->n_too_wide, ==, 0);
  munmap (watch, sizeof *watch);
}

/* Several find the same stale path and want it. */

typedef struct
{
  gint n_racers;
  gint n_rounds;
  gboolean lock_is_left; /* and so nobody waits to make the file of the lock */

  gint round;
  gint n_claimed;
  gint n_refused;
  gint n_failed;
  gint n_released;
} Race;

/* Owners keep the path until everybody has tried, and leave a stale one for the next round. */
static void
race_child (Race *race, UsockName *name)
{
  for (gint round = 1; round <= race->n_rounds; round++)
    {
      int fd = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
      UsockPath *claimed;
      int result;

      wait_for (&race->round, round);
      result = usock_path_claim (fd, name, 0600, &claimed);
      if (result == 0 && usock_io_listen (fd, 0) == 0)
        g_atomic_int_inc (&race->n_claimed);
      else if (result == -EADDRINUSE)
        g_atomic_int_inc (&race->n_refused);
      else
        g_atomic_int_inc (&race->n_failed);

      wait_for (&race->n_refused, round * (race->n_racers - 1));
      if (result == 0)
        {
          usock_path_set_unlink (claimed, round % 5 == 0);
          usock_path_release (claimed);
        }
      close (fd);
      g_atomic_int_inc (&race->n_released);
    }
}

static void
race_round (Race *race, gint round, const char *lock, gint64 deadline)
{
  if (race->lock_is_left)
    close (open (lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  g_atomic_int_set (&race->round, round);
  while (g_atomic_int_get (&race->n_released) < round * race->n_racers
         && g_atomic_int_get (&race->n_failed) == 0
         && g_atomic_int_get (&race->n_claimed) <= round && g_get_monotonic_time () < deadline)
    sched_yield ();
}

static void
run_race (UsockTest *test, gint n_racers, gint n_rounds, gboolean lock_is_left)
{
  g_autofree char *path = usock_test_path (test, "x");
  g_autofree char *lock = NULL;
  g_autoptr (UsockName) name = NULL;
  Race *race = new_shared (sizeof *race);
  gint64 deadline = usock_test_deadline () + 60 * G_USEC_PER_SEC;
  pid_t children[8];

  *race = (Race) { n_racers, n_rounds, lock_is_left };
  make_stale (path, SOCK_SEQPACKET);
  usock_test_no_error (name = usock_name_new_for_path (path, &error));
  for (gint i = 0; i < n_racers; i++)
    {
      children[i] = fork ();
      if (children[i] == 0)
        {
          alarm (600);
          race_child (race, name);
          _exit (0);
        }
    }

  lock = usock_test_path (test, ".x.usock-lock");
  for (gint round = 1; round <= n_rounds; round++)
    {
      race_round (race, round, lock, deadline);
      if (race->n_claimed != round || race->n_refused != round * (n_racers - 1))
        {
          for (gint i = 0; i < n_racers; i++)
            kill (children[i], SIGKILL);
          g_error ("After round %d: %d owners, %d refused, %d failed", round, race->n_claimed,
                   race->n_refused, race->n_failed);
        }
    }

  for (gint i = 0; i < n_racers; i++)
    {
      int status;

      g_assert_cmpint (waitpid (children[i], &status, 0), ==, children[i]);
      g_assert_cmpint (status, ==, 0);
    }
  if (!lock_is_left)
    assert_no_trace (path);
  munmap (race, sizeof *race);
}

static void
test_race_of_two (UsockTest *test, gconstpointer data)
{
  run_race (test, 2, g_getenv ("USOCK_TEST_LONG") != NULL ? 10000 : 1000, FALSE);
}

static void
test_race_of_eight (UsockTest *test, gconstpointer data)
{
  run_race (test, 8, g_getenv ("USOCK_TEST_LONG") != NULL ? 5000 : 1000, FALSE);
}

static void
test_race_with_lock (UsockTest *test, gconstpointer data)
{
  run_race (test, 2, 1000, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/path/fresh", test_fresh);
  usock_test_add ("/usock/path/keep", test_keep);
  usock_test_add ("/usock/path/mode", test_mode);
  usock_test_add ("/usock/path/stale", test_stale);
  usock_test_add ("/usock/path/stale-long", test_stale_long);
  usock_test_add ("/usock/path/live", test_live);
  usock_test_add ("/usock/path/full-backlog", test_full_backlog);
  usock_test_add ("/usock/path/no-socket", test_no_socket);
  usock_test_add ("/usock/path/missing-directory", test_missing_directory);
  usock_test_add ("/usock/path/cannot-ask", test_cannot_ask);
  usock_test_add ("/usock/path/locked", test_locked);
  usock_test_add ("/usock/path/foreign-lock-file", test_foreign_lock_file);
  usock_test_add ("/usock/path/foreign-at-our-name", test_foreign_at_our_name);
  usock_test_add ("/usock/path/swapped-after-bind", test_swapped_after_bind);
  usock_test_add ("/usock/path/linked-after-bind", test_linked_after_bind);
  usock_test_add ("/usock/path/swapped-before-removal", test_swapped_before_removal);
  usock_test_add ("/usock/path/swapped-while-taking-over", test_swapped_while_taking_over);
  usock_test_add ("/usock/path/lock-replaced", test_lock_replaced);
  usock_test_add ("/usock/path/without-noreplace", test_without_noreplace);
  usock_test_add ("/usock/path/release-replaced", test_release_replaced);
  usock_test_add ("/usock/path/release-gone", test_release_gone);
  usock_test_add ("/usock/path/exit", test_exit);
  usock_test_add ("/usock/path/parents", test_parents);
  usock_test_add ("/usock/path/umask-race", test_umask_race);
  usock_test_add ("/usock/path/race-of-two", test_race_of_two);
  usock_test_add ("/usock/path/race-of-eight", test_race_of_eight);
  usock_test_add ("/usock/path/race-with-lock", test_race_with_lock);

  return g_test_run ();
}
