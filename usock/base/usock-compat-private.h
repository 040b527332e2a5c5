/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <errno.h>
#include <glib.h>
#include <unistd.h>

G_BEGIN_DECLS

/* g_autofd is of GLib 2.76, and warns where less is asked for. */
static inline void
usock_compat_autofd_clear (int *fd)
{
  int saved_errno = errno;

  if (*fd >= 0)
    close (*fd);
  *fd = -1;
  errno = saved_errno;
}

#undef g_autofd
#define g_autofd __attribute__ ((cleanup (usock_compat_autofd_clear)))

G_END_DECLS
