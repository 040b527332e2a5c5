/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>
#include <unistd.h>

#include "usock-compat-private.h"

/* A client with a name of its own: the descriptor waits here until it is connected, and comes back
 * when that fails. */

#define MODE 0600

static gboolean
channel_check_nameless (UsockChannel  *self,
                        const char    *label,
                        GError       **error)
{
  if (!usock_channel_check_connectable (self, label, error))
    return FALSE;
  if (self->approach.fd == -1)
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
               _("Could not bind to “%s”: the socket has a name already"), label);
  return FALSE;
}

/* Takes the descriptor over. */
static void
channel_keep_bound (UsockChannel *self,
                    int           fd)
{
  UsockSocket *socket = usock_channel_socket (self);

  self->approach.fd = fd;
  self->approach.has_name = TRUE;
  g_clear_object (&socket->local_address);
  socket->local_address = usock_io_get_local_address (fd);
}

static int
channel_bind_fd (UsockChannel     *self,
                 int               fd,
                 const UsockName  *name,
                 UsockIoCall      *call)
{
  int result = usock_channel_prepare_fd (self, fd);

  *call = USOCK_IO_SET_OPTION;
  if (result < 0)
    return result;

  *call = USOCK_IO_BIND;
  return name->path != NULL ? usock_path_claim (fd, name, MODE, &self->approach.claim)
                            : usock_io_bind (fd, name);
}

/* Takes @name over. */
gboolean
usock_channel_bind (UsockChannel  *self,
                    UsockName     *name,
                    GError       **error)
{
  g_autoptr (UsockName) owned = name;
  UsockSocket *socket = usock_channel_socket (self);
  UsockIoCall call = USOCK_IO_SOCKET;
  g_autofd int fd = -1;
  int result;

  if (name == NULL || !channel_check_nameless (self, name->label, error))
    return FALSE;

  result = fd = usock_io_socket (AF_UNIX, socket->type, 0);
  if (result >= 0)
    result = channel_bind_fd (self, fd, name, &call);
  if (result >= 0)
    {
      channel_keep_bound (self, g_steal_fd (&fd));
      return TRUE;
    }

  usock_socket_record (socket, call, -result);
  usock_error_set_errno (error,
                         call == USOCK_IO_BIND ? usock_io_explain_bind (name, -result) : -result,
                         _("Could not bind to “%s”"), name->label);
  if (call == USOCK_IO_SET_OPTION)
    usock_socket_explain_option (socket, error);
  return FALSE;
}

static gboolean
channel_check_unconnected (UsockChannel  *self,
                           int            fd,
                           GError       **error)
{
  gboolean listening = FALSE;

  if (!usock_channel_inspect_fd (self, fd, &listening, error))
    return FALSE;
  if (!listening && usock_io_peer_is_missing (fd))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
               listening ? _("Could not use descriptor %d to connect: it listens")
                         : _("Could not use descriptor %d to connect: it has a peer"),
               fd);
  return FALSE;
}

/* Takes the descriptor over if it succeeds. It may not block: connecting would. */
gboolean
usock_channel_adopt_bound (UsockChannel  *self,
                           int            fd,
                           GError       **error)
{
  int result;

  if (!channel_check_unconnected (self, fd, error))
    return FALSE;

  result = usock_io_prepare_adopted (fd);
  if (result < 0)
    {
      usock_error_set_errno (error, -result, _("Could not use descriptor %d as a socket"), fd);
      return FALSE;
    }

  channel_keep_bound (self, fd);
  return TRUE;
}

/* Who has the descriptor has the path as well. */
void
usock_channel_unbind (UsockChannel *self)
{
  UsockApproach *approach = &self->approach;

  if (approach->fd != -1)
    close (g_steal_fd (&approach->fd));
  if (approach->claim == NULL)
    return;

  if (usock_channel_socket (self)->given_away)
    usock_path_set_unlink (approach->claim, FALSE);
  usock_path_release (g_steal_pointer (&approach->claim));
}
