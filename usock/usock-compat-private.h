/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <errno.h>
#include <glib.h>
#include <unistd.h>

G_BEGIN_DECLS

/* GLib 2.74 has g_steal_fd() but not yet g_autofd and g_clear_fd(). */
#if !GLIB_CHECK_VERSION(2, 76, 0)
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
#else
#include <glib/gstdio.h>
#endif

G_END_DECLS
