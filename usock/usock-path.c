/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-path-private.h"

#include <errno.h>
#include <fcntl.h>
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

/* A socket of another type is told EPROTOTYPE by every living owner, one that does not listen
 * yet or whose backlog is full included, and ECONNREFUSED when nobody has the path. The owner
 * notices nothing; a probe of its own type would be a connection to it. */
static gboolean
path_is_stale (const UsockName *name,
               int              socket_type)
{
  g_autofd int probe
      = usock_io_socket (AF_UNIX, socket_type == SOCK_DGRAM ? SOCK_STREAM : SOCK_DGRAM, 0);

  return probe >= 0 && usock_io_connect (probe, name) == -ECONNREFUSED;
}

static int
path_lock_open (const char *lock_path)
{
  struct stat ours, theirs;
  int fd = open (lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);

  if (fd == -1)
    return -errno;

  /* Who holds the lock removes the file with it. One who opened it before holds a lock on
   * nothing then, and has to start again. */
  if (flock (fd, LOCK_EX | LOCK_NB) == -1 || fstat (fd, &ours) == -1
      || lstat (lock_path, &theirs) == -1 || ours.st_ino != theirs.st_ino
      || ours.st_dev != theirs.st_dev)
    {
      close (fd);
      return -EADDRINUSE;
    }

  return fd;
}

/* Two that find the same stale path would both remove it, and the second the first one's new
 * socket; so this is done under a lock. Who cannot have it is told that the path is in use. */
static int
path_take_over (int              fd,
                const UsockName *name,
                int              socket_type)
{
  g_autofree char *lock_path = g_strconcat (name->path, ".lock", NULL);
  g_autofd int lock = -1;
  struct stat info;
  int result;

  if (lstat (name->path, &info) == -1)
    return errno == ENOENT ? usock_io_bind (fd, name) : -errno;
  if (!S_ISSOCK (info.st_mode) || !path_is_stale (name, socket_type))
    return -EADDRINUSE;

  lock = path_lock_open (lock_path);
  if (lock < 0)
    return lock;

  result = -EADDRINUSE;
  if (lstat (name->path, &info) == 0 && S_ISSOCK (info.st_mode)
      && path_is_stale (name, socket_type))
    result = unlink (name->path) == 0 ? usock_io_bind (fd, name) : -errno;

  unlink (lock_path);
  return result;
}

/* The file gets the mode of the socket's inode, less the umask: fchmod() before bind() is safe
 * against other threads' umask, and against whoever waits for the path. Bits that the umask took
 * are added before listen(), while nobody can connect. */
int
usock_path_claim (int               fd,
                  const UsockName  *name,
                  int               socket_type,
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
    result = path_take_over (fd, name, socket_type);
  if (result < 0)
    return result;

  if (lstat (name->path, &info) == -1)
    return -errno;
  if ((info.st_mode & 07777) != mode && chmod (name->path, mode) == -1)
    return -errno;

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
