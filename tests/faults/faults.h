/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

__attribute__ ((visibility ("default"))) void usock_faults_add   (const char *call,
                                                                  int         errnum,
                                                                  guint       nth,
                                                                  guint       every);
__attribute__ ((visibility ("default"))) void usock_faults_clear (void);
