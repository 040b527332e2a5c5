/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-path: owning a socket's path in the file system.
 *
 * Binds with the mode set before anybody can connect, takes over a path whose owner is gone and
 * never one that is alive or no socket at all, and removes the path only while it is still ours:
 * when it is released, or else when the process exits. Of a process that is killed the path stays,
 * until the next takes it over.
 *
 * What one owns is in usock-path.c. It is taken from who is gone in -take-over.c, under the lock
 * of -lock.c, and a file is told from others, and removed, in -file.c. */

#pragma once

#include <sys/stat.h>

#include "usock-address-private.h"

G_BEGIN_DECLS

typedef struct _UsockPath UsockPath;

int         usock_path_claim        (int               fd,
                                     const UsockName  *name,
                                     guint             mode,
                                     UsockPath       **path);
void        usock_path_set_unlink   (UsockPath        *self,
                                     gboolean          unlink_path);
gint64      usock_path_find_group   (const char       *group);
int         usock_path_set_group    (UsockPath        *self,
                                     guint             group);
void        usock_path_release      (UsockPath        *self);

int         usock_path_make_parents (const UsockName  *name);

/* usock-path-take-over.c: binds to a path that is taken, if it is stale. */
int         usock_path_take_over    (int               fd,
                                     const UsockName  *name);

/* usock-path-lock.c: one taker at a time. */
typedef struct
{
  int directory;
  char *entry;
  int fd;
  gboolean ours;
} UsockPathLock;

int         usock_path_lock         (UsockPathLock     *self,
                                     const char        *path);
void        usock_path_unlock       (UsockPathLock     *self);

/* usock-path-file.c: one file, whatever comes in its place. */
int         usock_path_pin          (const char        *path,
                                     struct stat       *info);
gboolean    usock_path_is_same_file (const struct stat *one,
                                     const struct stat *other);
int         usock_path_remove       (const char        *path,
                                     const struct stat *file);

G_END_DECLS
