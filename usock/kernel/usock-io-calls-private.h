/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <errno.h>

#include "usock-io-private.h"

/* usock-io.c: what the kernel says of a process, if it knows the user. */
gboolean usock_io_read_credentials (const struct ucred *native,
                                    UsockCredentials   *credentials);

G_BEGIN_DECLS

/* What the files of the io room share. */

/* Newer than the headers of Debian 12. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#ifdef USOCK_FAULTS
int      usock_io_fault_next       (UsockIoCall call);
gsize    usock_io_fault_cut        (gsize       length);
gboolean usock_io_fault_interrupts (void);

#define FAULT(call)                                                                                \
  G_STMT_START                                                                                     \
  {                                                                                                \
    int fault_ = usock_io_fault_next (call);                                                       \
    if (fault_ > 0)                                                                                \
      return -fault_;                                                                              \
  }                                                                                                \
  G_STMT_END
/* After FAULT(), for calls on byte streams. */
#define FAULT_CUT(length) usock_io_fault_cut (length)
/* After FAULT(), in the place of a call that a signal is to interrupt. */
#define INTERRUPTED(expression) (usock_io_fault_interrupts () ? -1 : (expression))
#else
#define FAULT(call)
#define FAULT_CUT(length) (length)
#define INTERRUPTED(expression) (expression)
#endif

/* Every call here may simply be made again when a signal interrupts it; connect(2) too, which on
 * AF_UNIX leaves nothing behind, and elsewhere does not wait where a signal could find it. */
#define RETRY(expression)                                                                          \
  ({                                                                                               \
    __typeof__ (expression) result_;                                                               \
    do                                                                                             \
      result_ = INTERRUPTED (expression);                                                          \
    while (result_ == -1 && errno == EINTR);                                                       \
    result_ == -1 ? -errno : result_;                                                              \
  })

/* A destination whose path is too long for an address is reached by its descriptor. */
typedef struct
{
  struct sockaddr_un native;
  int file;
} UsockIoLongName;

int usock_io_long_name_open (UsockIoLongName *self,
                             const UsockName *name);

const struct cmsghdr *usock_io_control_next      (const struct msghdr   *message,
                                                  const struct cmsghdr  *header);
guint                 usock_io_control_count_fds (const struct cmsghdr  *header);
int                   usock_io_control_get_fd    (const struct cmsghdr  *header,
                                                  guint                  index);
gint64                usock_io_control_read_time (const struct cmsghdr  *header);
void                  usock_io_control_parse     (const struct msghdr   *message,
                                                  UsockIoControl        *self);
gsize                 usock_io_control_space     (const UsockIoOutgoing *outgoing);
void                  usock_io_control_write     (const UsockIoOutgoing *outgoing,
                                                  char                  *buffer);

G_END_DECLS
