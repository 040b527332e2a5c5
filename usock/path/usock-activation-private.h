/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-activation: the sockets that the service manager made and passed.
 *
 * They are the descriptors from 3 on; the environment says how many, to whom, and what each is
 * named, see sd_listen_fds(3). The room makes them close-on-exec, gives each out once, and takes
 * the variables out of the environment when the last one is gone. It never closes one. */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef enum
{
  USOCK_ACTIVATION_LISTENER,
  USOCK_ACTIVATION_CONNECTION,
  USOCK_ACTIVATION_ANY,
} UsockActivationKind;

int         usock_activation_take   (const char           *name,
                                     int                   type,
                                     UsockActivationKind   kind,
                                     GError              **error);
void        usock_activation_settle (int                   fd,
                                     gboolean              used);

G_END_DECLS
