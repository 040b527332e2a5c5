/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-path-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usock-compat-private.h"
#include "usock-io-private.h"

struct _UsockPath
{
  char *path;
  dev_t device;
  ino_t inode;
};

/* Returns 0 if the path is stale. A datagram socket that connects tells what is there without
 * anybody noticing: living owners of another type answer EPROTOTYPE, those that do not listen yet
 * or whose backlog is full included; a datagram socket lets it connect; and ECONNREFUSED is that
 * nobody has the path. */
static int
path_look (const UsockName *name)
{
  g_autofd int probe = -1;
  struct stat info;
  int result;

  if (lstat (name->path, &info) == -1)
    return -errno;
  if (!S_ISSOCK (info.st_mode))
    return -EADDRINUSE;

  probe = usock_io_socket (AF_UNIX, SOCK_DGRAM, 0);
  if (probe < 0)
    return probe;

  result = usock_io_connect (probe, name);
  if (result == -ENOENT)
    return result;

  return result == -ECONNREFUSED ? 0 : -EADDRINUSE;
}

/* A directory and a name in it, since the path of the lock may be longer than a path may be. */
typedef struct
{
  char *entry;
  int directory;
  int fd;
  gboolean ours;
} PathLock;

static int
path_lock_open (PathLock   *self,
                const char *path)
{
  g_autofree char *parent = g_path_get_dirname (path);
  const char *entry = strrchr (path, '/') + 1;

  self->fd = -1;
  self->directory = open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (self->directory == -1)
    return -errno;

  self->entry = g_strdup_printf ("%.*s.lock", NAME_MAX - (int) strlen (".lock"), entry);
  self->fd = openat (self->directory, self->entry,
                     O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
  return self->fd == -1 ? -errno : 0;
}

/* Who holds the lock removes the file with it. One who opened it before holds a lock on nothing
 * then, and has to start again. What has a content is another program's file. */
static int
path_lock_hold (PathLock *self)
{
  struct stat ours, theirs;

  if (flock (self->fd, LOCK_EX | LOCK_NB) == -1 || fstat (self->fd, &ours) == -1
      || fstatat (self->directory, self->entry, &theirs, AT_SYMLINK_NOFOLLOW) == -1
      || ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev)
    return -EADDRINUSE;

  self->ours = S_ISREG (ours.st_mode) && ours.st_size == 0;
  return 0;
}

static void
path_lock_release (PathLock *self)
{
  if (self->ours)
    unlinkat (self->directory, self->entry, 0);
  if (self->fd != -1)
    close (self->fd);
  if (self->directory != -1)
    close (self->directory);
  g_free (self->entry);
}

static int
path_replace (int              fd,
              const UsockName *name)
{
  int result = path_look (name);

  if (result == 0 && unlink (name->path) == -1)
    result = -errno;

  return result == 0 || result == -ENOENT ? usock_io_bind (fd, name) : result;
}

/* Two that find the same stale path would both remove it, and the second the first one's new
 * socket; so this is done under a lock. Who cannot have it is told that the path is in use. */
static int
path_take_over (int              fd,
                const UsockName *name)
{
  PathLock lock = { 0 };
  int result = path_look (name);

  if (result == -ENOENT)
    return usock_io_bind (fd, name);
  if (result < 0)
    return result;

  result = path_lock_open (&lock, name->path);
  if (result == 0)
    result = path_lock_hold (&lock);
  if (result == 0)
    result = path_replace (fd, name);

  path_lock_release (&lock);
  return result;
}

/* The file gets the mode of the socket's inode, less the umask: fchmod() before bind() is safe
 * against other threads' umask, and against whoever waits for the path. Bits that the umask took
 * are added before listen(), while nobody can connect. */
int
usock_path_claim (int               fd,
                  const UsockName  *name,
                  guint             mode,
                  UsockPath       **path)
{
  UsockPath *self;
  struct stat info;
  int result;

  *path = NULL;
  if (fchmod (fd, mode) == -1)
    return -errno;

  result = usock_io_bind (fd, name);
  if (result == -EADDRINUSE)
    result = path_take_over (fd, name);
  if (result < 0)
    return result;

  /* Not through a symbolic link that somebody may have put in its place. */
  if (lstat (name->path, &info) == -1)
    return -errno;
  if ((info.st_mode & 07777) != mode
      && fchmodat (AT_FDCWD, name->path, mode, AT_SYMLINK_NOFOLLOW) == -1)
    {
      result = -errno;
      unlink (name->path);
      return result;
    }

  self = g_new0 (UsockPath, 1);
  self->path = g_strdup (name->path);
  self->device = info.st_dev;
  self->inode = info.st_ino;
  *path = self;
  return 0;
}

/* Called while the socket is still open: a file system gives the inode's number to the next file
 * as soon as the last reference is gone. */
void
usock_path_release (UsockPath *self,
                    gboolean   unlink_path)
{
  struct stat info;

  if (unlink_path && lstat (self->path, &info) == 0 && S_ISSOCK (info.st_mode)
      && info.st_dev == self->device && info.st_ino == self->inode)
    unlink (self->path);

  g_free (self->path);
  g_free (self);
}
