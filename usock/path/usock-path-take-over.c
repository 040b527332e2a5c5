/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-path-private.h"

#include <errno.h>

#include "usock-compat-private.h"
#include "usock-io-private.h"

/* How often to look again when another is at it, too. Who holds the lock needs some ten
 * microseconds; who was stopped meanwhile is not waited for. */
#define ATTEMPTS 100

static gboolean
path_is_still (const UsockName   *name,
               const struct stat *file)
{
  struct stat here;

  return lstat (name->path, &here) == 0 && usock_path_is_same_file (&here, file);
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

/* With the lock: what was true before may be so no more. */
static int
path_replace (int                fd,
              const UsockName   *name,
              const struct stat *file)
{
  int result = path_probe (name);

  if (result < 0)
    return result;
  if (!path_is_still (name, file))
    return -EAGAIN;

  result = usock_path_remove (name->path, file);
  return result < 0 ? result : usock_io_bind (fd, name);
}

/* Two that find the same stale path would both remove it, and the second the first one's new
 * socket; so this is done under a lock. */
static int
path_try (int              fd,
          const UsockName *name)
{
  UsockPathLock lock;
  struct stat info;
  g_autofd int file = usock_path_pin (name->path, &info);
  int result;

  if (file == -ENOENT)
    return usock_io_bind (fd, name);
  if (file < 0)
    return file;

  result = path_probe (name);
  if (result < 0)
    return result;

  result = usock_path_lock (&lock, name->path);
  if (result == 0)
    result = path_replace (fd, name, &info);

  usock_path_unlock (&lock);
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
