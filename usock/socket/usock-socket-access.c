/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-socket-private.h"

UsockAccess
usock_socket_get_access (UsockSocket *self)
{
  return self->reactor != NULL ? usock_reactor_get_access (self->reactor) : USOCK_ACCESS_GRANTED;
}

/* For calls that can fail: whether this thread may make them. What is told of the socket is only
 * what never changes. */
gboolean
usock_socket_check_thread (UsockSocket  *self,
                           GError      **error)
{
  if (G_LIKELY (usock_socket_get_access (self) != USOCK_ACCESS_ELSEWHERE))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
               _ ("Could not use the %s at %p in this thread: it belongs to the one that runs its "
                  "main context; from others, only usock_channel_post() can be called"),
               G_OBJECT_TYPE_NAME (self), self);
  return FALSE;
}

/* For calls that can not fail: those that close, which a forked child may make as well. */
gboolean
usock_socket_may_close (UsockSocket *self,
                        const char  *call)
{
  if (G_LIKELY (usock_socket_get_access (self) != USOCK_ACCESS_ELSEWHERE))
    return TRUE;

  g_critical ("%s() did nothing: the %s at %p belongs to the thread that runs its main context; "
              "from others, only usock_channel_post() can be called",
              call, G_OBJECT_TYPE_NAME (self), self);
  return FALSE;
}

/* And all others. */
gboolean
usock_socket_is_ours (UsockSocket *self,
                      const char  *call)
{
  return usock_socket_get_access (self) != USOCK_ACCESS_INHERITED
         && usock_socket_may_close (self, call);
}
