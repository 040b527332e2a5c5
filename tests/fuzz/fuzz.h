/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* fuzz: what is common to the targets.
 *
 * Each is given bytes, of which it makes a program or a message, and fails by ending the process. It
 * is run by libFuzzer, see tests/run --fuzz, and in the suite by replay.c, which knows no coverage. */

#pragma once

#include <gio/gio.h>

/* The bytes are taken from the front. At the end there are only zeros. */
typedef struct
{
  const guint8 *data;
  gsize left;
} FuzzInput;

int           LLVMFuzzerTestOneInput (const guint8 *data,
                                      gsize         size);

guint8        fuzz_take_byte  (FuzzInput *self);
guint         fuzz_take_below (FuzzInput *self,
                               guint      n);
const guint8 *fuzz_take_bytes (FuzzInput *self,
                               gsize      most,
                               gsize     *length);
char         *fuzz_take_text  (FuzzInput *self,
                               gsize      most);

/* Iterates the thread's default context until there is nothing left to do. */
void          fuzz_settle     (void);
/* How many descriptors there are; as many must be there when a run is over. */
guint         fuzz_count_fds  (void);
/* Fails the run if more are there than before, after those had time that other threads close. */
void          fuzz_check_fds  (guint      before);
