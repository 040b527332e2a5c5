/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-path-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "usock-compat-private.h"
#include "usock-io-private.h"

/* Returns a descriptor by which the socket's file can be told from another that came in its place:
 * as long as it is open, the number of its inode is not given again. */
int
usock_path_pin (const char  *path,
                struct stat *info)
{
  g_autofd int file = open (path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

  if (file == -1 || fstat (file, info) == -1)
    return -errno;

  return S_ISSOCK (info->st_mode) ? g_steal_fd (&file) : -EADDRINUSE;
}

gboolean
usock_path_is_same_file (const struct stat *one,
                         const struct stat *other)
{
  return one->st_ino == other->st_ino && one->st_dev == other->st_dev
         && (one->st_mode & S_IFMT) == (other->st_mode & S_IFMT);
}

static int
path_move_aside (int         directory,
                 const char *entry,
                 const char *aside)
{
  if (renameat2 (directory, entry, directory, aside, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return -errno;

  return renameat (directory, entry, directory, aside) == -1 ? -errno : 0;
}

/* Looked at, moved and looked at again: between the first look and the call that removes it,
 * another file may have come in its place. That one is put back. */
static int
path_remove_below (int                directory,
                   const char        *entry,
                   const char        *aside,
                   const struct stat *file)
{
  struct stat info;
  int result;

  if (fstatat (directory, entry, &info, AT_SYMLINK_NOFOLLOW) == -1)
    return -errno;
  if (!usock_path_is_same_file (&info, file))
    return -EAGAIN;

  result = path_move_aside (directory, entry, aside);
  if (result < 0)
    return result;

  if (fstatat (directory, aside, &info, AT_SYMLINK_NOFOLLOW) == 0
      && usock_path_is_same_file (&info, file))
    return unlinkat (directory, aside, 0) == -1 ? -errno : 0;

  usock_io_rename_new (directory, aside, entry);
  return -EAGAIN;
}

/* Removes what stands at @path if it is @file, which somebody still has open. Without a descriptor
 * for the directory it does with the names. */
int
usock_path_remove (const char        *path,
                   const struct stat *file)
{
  const gsize start = strrchr (path, '/') + 1 - path;
  g_autofree char *parent = g_path_get_dirname (path);
  g_autofree char *aside = g_strdup_printf ("%.*s.usock-%x-%08x", (int) start, path,
                                            (guint) getpid (), g_random_int ());
  g_autofd int directory = open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (directory == -1)
    return path_remove_below (AT_FDCWD, path, aside, file);

  return path_remove_below (directory, path + start, aside + start, file);
}
