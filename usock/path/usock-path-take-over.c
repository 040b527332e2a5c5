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

/* How often to look again when another is at it, too. Who holds the lock needs some ten
 * microseconds; who was stopped meanwhile is not waited for. */
#define ATTEMPTS 100

/* Returns a descriptor by which the file can be told from another that came in its place: as long
 * as it is open, the number of its inode is not given again. */
static int
path_pin (const UsockName *name)
{
  g_autofd int file = open (name->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat info;

  if (file == -1 || fstat (file, &info) == -1)
    return -errno;

  return S_ISSOCK (info.st_mode) ? g_steal_fd (&file) : -EADDRINUSE;
}

static gboolean
path_is_pinned (const UsockName *name,
                int              file)
{
  struct stat here, pinned;

  return lstat (name->path, &here) == 0 && fstat (file, &pinned) == 0
         && here.st_ino == pinned.st_ino && here.st_dev == pinned.st_dev;
}

/* Returns 0 if the path is stale. A datagram socket that connects tells what is there without
 * anybody noticing: living owners of another type answer EPROTOTYPE, those that do not listen yet
 * or whose backlog is full included; a datagram socket lets it connect; and ECONNREFUSED is that
 * nobody has the path. */
static int
path_probe (const UsockName *name)
{
  g_autofd int probe = usock_io_socket (AF_UNIX, SOCK_DGRAM, 0);
  int result;

  if (probe < 0)
    return probe;

  result = usock_io_connect (probe, name);
  if (result == -ENOENT)
    return -EAGAIN;

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

/* bind(2) makes the file first, and only then can it be found that a socket has it: until then a
 * living one looks stale. Meanwhile the kernel lets nobody else change the directory. To ask it
 * for a new file, which O_EXCL does also where there is one, waits until that is over. */
static int
path_lock_open (PathLock   *self,
                const char *path)
{
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
  g_autofree char *parent = g_path_get_dirname (path);
  const char *entry = strrchr (path, '/') + 1;

  self->fd = -1;
  self->directory = open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (self->directory == -1)
    return -errno;

  self->entry = g_strdup_printf ("%.*s.lock", NAME_MAX - (int) strlen (".lock"), entry);
  self->fd = openat (self->directory, self->entry, flags | O_CREAT | O_EXCL, 0600);
  if (self->fd == -1 && errno == EEXIST)
    {
      self->fd = openat (self->directory, self->entry, flags);
      if (self->fd == -1 && errno == ENOENT)
        return -EAGAIN;
    }

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
    return -EAGAIN;

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

/* With the lock: what was true before may be so no more. */
static int
path_replace (int              fd,
              const UsockName *name,
              int              file)
{
  int result = path_probe (name);

  if (result < 0)
    return result;
  if (!path_is_pinned (name, file))
    return -EAGAIN;
  if (unlink (name->path) == -1)
    return -errno;

  return usock_io_bind (fd, name);
}

/* Two that find the same stale path would both remove it, and the second the first one's new
 * socket; so this is done under a lock. */
static int
path_try (int              fd,
          const UsockName *name)
{
  PathLock lock = { .directory = -1, .fd = -1 };
  g_autofd int file = path_pin (name);
  int result;

  if (file == -ENOENT)
    return usock_io_bind (fd, name);
  if (file < 0)
    return file;

  result = path_probe (name);
  if (result < 0)
    return result;

  result = path_lock_open (&lock, name->path);
  if (result == 0)
    result = path_lock_hold (&lock);
  if (result == 0)
    result = path_replace (fd, name, file);

  path_lock_release (&lock);
  return result;
}

int
usock_path_take_over (int              fd,
                      const UsockName *name)
{
  for (guint i = 0; i < ATTEMPTS; i++)
    {
      int result = path_try (fd, name);

      if (result != -EAGAIN)
        return result;
      g_thread_yield ();
    }

  return -EADDRINUSE;
}
