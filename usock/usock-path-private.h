/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-path: owning a socket's path in the file system.
 *
 * Binds with the mode set before anybody can connect, takes over a path whose owner is gone and
 * never one that is alive or no socket at all, and removes the path only while it is still ours. */

#pragma once

#include "usock-address-private.h"

G_BEGIN_DECLS

typedef struct _UsockPath UsockPath;

int         usock_path_claim    (int               fd,
                                 const UsockName  *name,
                                 guint             mode,
                                 UsockPath       **path);
void        usock_path_release  (UsockPath        *self,
                                 gboolean          unlink);

G_END_DECLS
