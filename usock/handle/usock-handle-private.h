/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-handle.h"
#include "usock-socket-private.h"

G_BEGIN_DECLS

/* usock-handle: one system call, now.
 *
 * The class, and how a handle comes to a descriptor, is in usock-handle.c, how it comes to a peer in
 * -connect.c, sending and receiving in -transfer.c. None of them knows a main context. Every call
 * goes to the kernel without blocking, and then, as long as its patience lasts, again after
 * poll(2). */

/* What a call waits with. */
typedef struct
{
  int timeout; /* ms; -1 for ever */
  gint64 deadline;
  gboolean polled; /* and was told to try again */
  guint nap;       /* ms */
} UsockPatience;

void     usock_patience_init     (UsockPatience *self,
                                  int            timeout,
                                  UsockMsgFlags  flags);
int      usock_patience_left     (const UsockPatience *self);
int      usock_handle_mark       (int            fd,
                                  int            family,
                                  int            type);
UsockHandle *
         usock_handle_new_taken  (int            fd,
                                  int            family,
                                  int            type,
                                  UsockState     state);
int      usock_handle_wait       (UsockHandle   *self,
                                  UsockPatience *patience,
                                  short          events);
gboolean usock_handle_check      (UsockHandle   *self,
                                  GError       **error);
void     usock_handle_set_error  (UsockHandle   *self,
                                  GError       **error,
                                  UsockIoCall    call,
                                  int            errnum,
                                  int            timeout,
                                  const char    *tried);
void     usock_handle_set_name_error
                                 (UsockHandle   *self,
                                  GError       **error,
                                  UsockIoCall    call,
                                  int            errnum,
                                  int            timeout,
                                  const char    *tried,
                                  const UsockName *name);
void     usock_handle_forget     (UsockHandle   *self);

G_END_DECLS
