/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-path-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "usock-compat-private.h"

/* The file of the lock stands beside the socket, hidden, under a name that nothing else has; and
 * should something have it nevertheless, the next name is ours. */
#define SUFFIX ".usock-lock"
#define NAMES 10

static char *
path_lock_name (const char *path,
                guint       n)
{
  const char *entry = strrchr (path, '/') + 1;
  g_autofree char *suffix = n == 0 ? g_strdup (SUFFIX) : g_strdup_printf (SUFFIX "-%u", n);

  return g_strdup_printf (".%.*s%s", NAME_MAX - 1 - (int) strlen (suffix), entry, suffix);
}

/* What is ours has nothing in it, and one name. */
static gboolean
path_lock_is_ours (int          fd,
                   struct stat *info)
{
  return fstat (fd, info) == 0 && S_ISREG (info->st_mode) && info->st_size == 0
         && info->st_nlink <= 1;
}

/* bind(2) makes the socket's file first, and only then can it be found that a socket has it: until
 * then a living one looks stale. Meanwhile the kernel lets nobody else change the directory. To ask
 * it for a new file, which O_EXCL does also where there is one, waits until that is over. */
static int
path_lock_open (UsockPathLock *self)
{
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
  struct stat info;

  self->fd = openat (self->directory, self->entry, flags | O_CREAT | O_EXCL, 0600);
  if (self->fd == -1 && errno == EEXIST)
    self->fd = openat (self->directory, self->entry, flags);
  if (self->fd == -1)
    return errno == ENOENT ? -EAGAIN : -errno;

  return path_lock_is_ours (self->fd, &info) ? 0 : -EEXIST;
}

/* What it is that keeps us from having the name is not a matter of time. */
static gboolean
path_lock_is_foreign (int result)
{
  return result == -EEXIST || result == -ELOOP || result == -EISDIR || result == -ENXIO
         || result == -ENODEV;
}

/* Who holds the lock removes the file with it. One who opened it before holds a lock on nothing
 * then, and has to start again. One that a killed process left is taken like any other: what
 * counts is the lock, which the kernel gave back. */
static int
path_lock_hold (UsockPathLock *self)
{
  struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  struct stat ours, theirs;

  if (fcntl (self->fd, F_OFD_SETLK, &whole) == -1)
    return errno == EACCES ? -EAGAIN : -errno;
  if (!path_lock_is_ours (self->fd, &ours)
      || fstatat (self->directory, self->entry, &theirs, AT_SYMLINK_NOFOLLOW) == -1
      || !usock_path_is_same_file (&ours, &theirs))
    return -EAGAIN;

  self->ours = TRUE;
  return 0;
}

/* Waits for nobody: -EAGAIN while another has it. usock_path_unlock() has to follow in any case. */
int
usock_path_lock (UsockPathLock *self,
                 const char    *path)
{
  g_autofree char *parent = g_path_get_dirname (path);
  int result = -EEXIST;

  *self = (UsockPathLock) { .directory = -1, .fd = -1 };
  self->directory = open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (self->directory == -1)
    return -errno;

  for (guint n = 0; n < NAMES && path_lock_is_foreign (result); n++)
    {
      usock_compat_autofd_clear (&self->fd);
      g_free (self->entry);
      self->entry = path_lock_name (path, n);
      result = path_lock_open (self);
    }

  return result < 0 ? result : path_lock_hold (self);
}

void
usock_path_unlock (UsockPathLock *self)
{
  if (self->ours)
    unlinkat (self->directory, self->entry, 0);
  usock_compat_autofd_clear (&self->fd);
  usock_compat_autofd_clear (&self->directory);
  g_free (self->entry);
}
