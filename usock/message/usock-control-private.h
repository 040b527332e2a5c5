/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>
#include <sys/socket.h>

G_BEGIN_DECLS

/* Newer than the headers of Debian 12. */
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

/* usock-control: what control records mean.
 *
 * One table says for each level and type what its bytes are, and both ways of going between
 * bytes and a GVariant that a script can read follow it. Bytes that are not as long as they
 * should be, and all that the table does not know, stay bytes. Knows no descriptor, and no
 * message: descriptors are no values, and never come here. */
typedef struct
{
  int level;
  int type;
  gsize length;
  gconstpointer data;
} UsockControl;

GVariant *usock_control_decode       (const UsockControl *control);
GBytes   *usock_control_encode       (int                 level,
                                      int                 type,
                                      GVariant           *value);

/* Arrays of records that own their bytes; NULL is an empty one. */
void      usock_control_array_append (GArray            **array,
                                      const UsockControl *control);
gsize     usock_control_array_space  (GArray             *array);

G_END_DECLS
