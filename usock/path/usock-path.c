/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-path-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usock-compat-private.h"
#include "usock-io-private.h"

struct _UsockPath
{
  GList link;
  char *path;
  dev_t device;
  ino_t inode;
  pid_t pid;
  gboolean unlink;
};

/* What this process has to remove when it exits. */
static GMutex claims_lock;
static GQueue claims = G_QUEUE_INIT;

/* A forked child has nothing to remove, and another thread may have held the lock. */
static void
path_forked_child (void)
{
  g_mutex_init (&claims_lock);
  g_queue_init (&claims);
}

static void
path_remove (UsockPath *self)
{
  struct stat info;

  if (self->unlink && lstat (self->path, &info) == 0 && S_ISSOCK (info.st_mode)
      && info.st_dev == self->device && info.st_ino == self->inode)
    unlink (self->path);
}

/* Another thread that is at it right now must not keep the process from exiting. */
static void
path_exiting (void)
{
  if (!g_mutex_trylock (&claims_lock))
    return;

  for (GList *link = claims.head; link != NULL; link = link->next)
    path_remove (link->data);
  g_mutex_unlock (&claims_lock);
}

static void
path_remember (UsockPath *self)
{
  static gsize registered = 0;

  if (g_once_init_enter (&registered))
    {
      pthread_atfork (NULL, NULL, path_forked_child);
      atexit (path_exiting);
      g_once_init_leave (&registered, 1);
    }

  g_mutex_lock (&claims_lock);
  g_queue_push_tail_link (&claims, &self->link);
  g_mutex_unlock (&claims_lock);
}

/* Only a socket's file that nobody linked to from elsewhere, and by its descriptor: in a directory
 * that others may write to, something else may stand in its place already. */
static int
path_add_mode (const char *path,
               guint       mode)
{
  g_autofd int file = open (path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  char name[32];
  struct stat info;

  if (file == -1 || fstat (file, &info) == -1)
    return -errno;
  if (!S_ISSOCK (info.st_mode) || info.st_nlink != 1)
    return -EADDRINUSE;

  g_snprintf (name, sizeof name, "/proc/self/fd/%d", file);
  if (chmod (name, mode) == 0)
    return 0;

  return errno == ENOENT ? -EOPNOTSUPP : -errno;
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
    result = usock_path_take_over (fd, name);
  if (result < 0)
    return result;

  if (lstat (name->path, &info) == -1)
    return -errno;
  if ((info.st_mode & 07777) != mode)
    result = path_add_mode (name->path, mode);
  if (result < 0)
    {
      unlink (name->path);
      return result;
    }

  self = g_new (UsockPath, 1);
  *self = (UsockPath) {
    .link = { .data = self },
    .path = g_strdup (name->path),
    .device = info.st_dev,
    .inode = info.st_ino,
    .pid = getpid (),
    .unlink = TRUE,
  };
  path_remember (self);
  *path = self;
  return 0;
}

/* Whether the path is removed when it is released, or else when the process exits. */
void
usock_path_set_unlink (UsockPath *self,
                       gboolean   unlink_path)
{
  self->unlink = unlink_path;
}

/* Called while the socket is still open: a file system gives the inode's number to the next file
 * as soon as the last reference is gone. */
void
usock_path_release (UsockPath *self)
{
  if (self->pid == getpid ())
    {
      g_mutex_lock (&claims_lock);
      g_queue_unlink (&claims, &self->link);
      g_mutex_unlock (&claims_lock);
      path_remove (self);
    }

  g_free (self->path);
  g_free (self);
}

/* What is missing of the directories is made, for the owner only. */
int
usock_path_make_parents (const UsockName *name)
{
  g_autofree char *parent = g_path_get_dirname (name->path);

  return g_mkdir_with_parents (parent, 0700) == -1 ? -errno : 0;
}
