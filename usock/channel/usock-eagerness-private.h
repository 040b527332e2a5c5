/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-eagerness: how many messages to ask the kernel for at once, and whether to ask again.
 *
 * A quiet channel reads one message at a time: to look for a second before the first is delivered
 * would only delay the answer. A busy one doubles its batches for as long as they come full. Who
 * has asked for more in vain often enough asks only now and then, for that costs as much as the
 * message did. Numbers only. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Begins as zeros. */
typedef struct
{
  guint wanted; /* how many the next batch may have */
  guint n_in_vain; /* how often in a row more was asked for, and there was nothing */
} UsockEagerness;

guint    usock_eagerness_get           (UsockEagerness *self,
                                        guint           most);
void     usock_eagerness_found         (UsockEagerness *self,
                                        guint           asked,
                                        guint           n,
                                        gsize           bytes,
                                        guint           n_slots);
void     usock_eagerness_found_nothing (UsockEagerness *self,
                                        guint           asked);
gboolean usock_eagerness_is_calm       (UsockEagerness *self);

G_END_DECLS
