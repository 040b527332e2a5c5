/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-guest: a main context as the guest of another main loop.
 *
 * A loop that is not GLib's waits for one descriptor: an epoll that has all that the context polls,
 * and a timer for its next timeout. What it has is what the context said at the end of the last
 * turn. Whatever the context would say otherwise after that has to reach the timer, which makes the
 * descriptor readable: GLib tells of some of it through the context's own wake-up, the reactor calls
 * here, and a source in the context notices when somebody else iterates it. */

#pragma once

#include "usock-guest.h"

G_BEGIN_DECLS

extern gint usock_guest_n_guests;

void usock_guest_stir_context (GMainContext *context);

/* Something is to be done in the next turn of the context, or sooner than was said. Costs nothing
 * where no loop has a guest. */
static inline void
usock_guest_notice (GMainContext *context)
{
  if (G_UNLIKELY (g_atomic_int_get (&usock_guest_n_guests) > 0))
    usock_guest_stir_context (context);
}

G_END_DECLS
