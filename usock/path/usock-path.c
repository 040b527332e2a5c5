/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-path-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

#include "usock-compat-private.h"
#include "usock-fork-private.h"
#include "usock-io-private.h"

/* Of one group, with the names of all who are in it. */
#define GROUP_SIZE_MAX (16 * 1024 * 1024)

struct _UsockPath
{
  GList link;
  char *path;
  struct stat file;
  pid_t pid;
  gboolean unlink;
};

/* What this process has to remove when it exits. */
static GMutex claims_lock;
static GQueue claims = G_QUEUE_INIT;

static void
path_fork_lock (void)
{
  g_mutex_lock (&claims_lock);
}

/* A forked child has nothing to remove. */
static void
path_fork_forget (void)
{
  g_queue_init (&claims);
}

static void
path_fork_unlock (void)
{
  g_mutex_unlock (&claims_lock);
}

static const UsockForkFuncs path_fork_funcs = {
  .lock = path_fork_lock,
  .forget = path_fork_forget,
  .unlock = path_fork_unlock,
};

static void
path_remove (UsockPath *self)
{
  if (self->unlink)
    usock_path_remove (self->path, &self->file);
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
      usock_fork_register (&path_fork_funcs);
      atexit (path_exiting);
      g_once_init_leave (&registered, 1);
    }

  g_mutex_lock (&claims_lock);
  g_queue_push_tail_link (&claims, &self->link);
  g_mutex_unlock (&claims_lock);
}

/* What connect(2) says of the file that @file holds. */
static int
path_ask (int file,
          int type)
{
  g_autofree char *link = g_strdup_printf ("/proc/self/fd/%d", file);
  g_autoptr (UsockName) name = usock_name_new_for_path (link, NULL);
  g_autofd int probe = usock_io_socket (AF_UNIX, type, 0);

  return probe < 0 ? probe : usock_io_connect (probe, name);
}

/* Whether @file is what @fd was bound to, and not what somebody put in its place since, who may
 * write to the directory. A socket of another type is told that a living one is there, and one of
 * the same type that it does not listen: together that is true of hardly any other in the world.
 * Where the system does not answer, it has to be ours by its owner. */
static gboolean
path_is_bound (int                fd,
               int                file,
               const struct stat *info)
{
  const gboolean plain = info->st_uid == geteuid () && info->st_nlink == 1;
  int type = 0;
  int living, same;

  if (usock_io_get_option (fd, SOL_SOCKET, SO_TYPE, &type) < 0)
    return plain;

  living = path_ask (file, type == SOCK_DGRAM ? SOCK_SEQPACKET : SOCK_DGRAM);
  if (living != -EPROTOTYPE)
    return living != -ECONNREFUSED && living != 0 && plain;
  if (type == SOCK_DGRAM)
    return plain;

  same = path_ask (file, type);
  return same == -ECONNREFUSED || (same != 0 && same != -EAGAIN && same != -EPROTOTYPE && plain);
}

/* By the descriptor, for by now the path may be another's. */
static int
path_set_mode (int                file,
               const struct stat *info,
               guint              mode)
{
  char name[32];

  if ((info->st_mode & 07777) == mode)
    return 0;
  if (info->st_nlink != 1)
    return -EADDRINUSE;

  g_snprintf (name, sizeof name, "/proc/self/fd/%d", file);
  if (chmod (name, mode) == 0)
    return 0;

  return errno == ENOENT ? -EOPNOTSUPP : -errno;
}

static UsockPath *
path_new (const UsockName   *name,
          const struct stat *info)
{
  UsockPath *self = g_new (UsockPath, 1);

  *self = (UsockPath) {
    .link = { .data = self },
    .path = g_strdup (name->path),
    .file = *info,
    .pid = getpid (),
    .unlink = TRUE,
  };
  path_remember (self);
  return self;
}

/* What was found in its place is left alone. */
static int
path_settle (int               fd,
             const UsockName  *name,
             guint             mode,
             UsockPath       **path)
{
  struct stat info;
  g_autofd int file = usock_path_pin (name->path, &info);
  int result;

  if (file < 0)
    return file == -ENOENT ? -EADDRINUSE : file;
  if (!path_is_bound (fd, file, &info))
    return -EADDRINUSE;

  result = path_set_mode (file, &info, mode);
  if (result == 0)
    *path = path_new (name, &info);
  else
    usock_path_remove (name->path, &info);
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
  int result;

  *path = NULL;
  if (fchmod (fd, mode) == -1)
    return -errno;

  result = usock_io_bind (fd, name);
  if (result == -EADDRINUSE)
    result = usock_path_take_over (fd, name);

  return result < 0 ? result : path_settle (fd, name, mode, path);
}

/* Whether the path is removed when it is released, or else when the process exits. */
void
usock_path_set_unlink (UsockPath *self,
                       gboolean   unlink_path)
{
  self->unlink = unlink_path;
}

/* By name or by number; -1 if there is no such group. */
gint64
usock_path_find_group (const char *group)
{
  gsize size = 1024;
  guint64 number;
  int result;

  if (g_ascii_string_to_unsigned (group, 10, 0, G_MAXUINT32 - 1, &number, NULL))
    return number;

  do
    {
      g_autofree char *buffer = g_malloc (size);
      struct group entry, *found = NULL;

      result = getgrnam_r (group, &entry, buffer, size, &found);
      if (result == 0)
        return found != NULL ? (gint64) found->gr_gid : -1;
      size *= 2;
    }
  while (result == EINTR || (result == ERANGE && size <= GROUP_SIZE_MAX));

  return -1;
}

/* The file is the one that was claimed, or none. */
int
usock_path_set_group (UsockPath *self,
                      guint      group)
{
  struct stat info;
  g_autofd int file = usock_path_pin (self->path, &info);

  if (file < 0)
    return file;
  if (!usock_path_is_same_file (&info, &self->file))
    return -EADDRINUSE;

  return fchownat (file, "", -1, group, AT_EMPTY_PATH) == -1 ? -errno : 0;
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
