/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

/* Has all that the server listens on look again; with @again also at what was left alone, because
 * there were no descriptors for it. */
void
usock_server_wake (UsockServer *self,
                   gboolean     again)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  if (again)
    socket->watch.ready |= USOCK_READY_IN;
  usock_watch_wake (&socket->watch);

  for (guint i = 0; i < self->listeners->len; i++)
    {
      UsockSocket *listener = self->listeners->pdata[i];

      if (again)
        listener->watch.ready |= USOCK_READY_IN;
      usock_watch_wake (&listener->watch);
    }
}

/* What is due first wakes the server; each of them is 0 if there is nothing. */
void
usock_server_schedule (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  const gint64 dues[] = { self->retry_at, self->unclaimed_at, self->close_due };
  gint64 first = -1;

  for (guint i = 0; i < G_N_ELEMENTS (dues); i++)
    if (dues[i] > 0 && (first == -1 || dues[i] < first))
      first = dues[i];

  if (socket->watch.attached)
    usock_watch_set_deadline (&socket->watch, first);
}
