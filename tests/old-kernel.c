/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loaded before the C library, this makes the kernel one of before 6.5: it does not know the options
 * by which a socket refuses descriptors (6.16) and passes pidfds (6.5), nor the two that came beside
 * them, which is what a program sees of its age. See tests/run --old-kernel. */

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#ifndef SO_INQ
#define SO_INQ 84
#endif

static bool
is_unknown (int level, int name)
{
  return level == SOL_SOCKET
         && (name == SO_PASSPIDFD || name == SO_PEERPIDFD || name == SO_PASSRIGHTS
             || name == SO_INQ);
}

int
setsockopt (int fd, int level, int name, const void *value, socklen_t length)
{
  static int (*next) (int, int, int, const void *, socklen_t);

  if (next == NULL)
    next = dlsym (RTLD_NEXT, "setsockopt");
  if (!is_unknown (level, name))
    return next (fd, level, name, value, length);

  errno = ENOPROTOOPT;
  return -1;
}

int
getsockopt (int fd, int level, int name, void *restrict value, socklen_t *restrict length)
{
  static int (*next) (int, int, int, void *, socklen_t *);

  if (next == NULL)
    next = dlsym (RTLD_NEXT, "getsockopt");
  if (!is_unknown (level, name))
    return next (fd, level, name, value, length);

  errno = ENOPROTOOPT;
  return -1;
}
