/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-socket-private.h"

#include <unistd.h>

static UsockSocket *
socket_from_watch (UsockWatch *watch)
{
  return (UsockSocket *) ((char *) watch - G_STRUCT_OFFSET (UsockSocket, watch));
}

static void
socket_attach (UsockSocket *self)
{
  if (self->watch.attached)
    return;

  g_object_ref (self);
  usock_watch_attach (&self->watch);
  if (self->held)
    usock_reactor_hold (self->reactor, 1);
}

/* May drop the last reference. */
static void
socket_release (UsockSocket *self)
{
  if (self->held)
    usock_reactor_hold (self->reactor, -1);
  g_object_unref (self);
}

static void
socket_detach (UsockSocket *self)
{
  if (!self->watch.attached)
    return;

  usock_watch_detach (&self->watch);
  socket_release (self);
}

/* Of @fd, which is or becomes the socket's; an error is the caller's to record. */
int
usock_socket_refuse_fds (UsockSocket *self,
                         int          fd,
                         gboolean     refuse)
{
  int result = usock_io_refuse_fds (fd, refuse);

  self->sealed &= result > 0;
  return MIN (result, 0);
}

/* The only place where a socket is closed, or given away; first of all it leaves the epoll. */
void
usock_socket_close_fd (UsockSocket *self)
{
  if (self->fd == -1)
    return;

  if (self->reactor != NULL)
    usock_watch_remove_fd (&self->watch);
  if (self->sealed && !self->given_away)
    close (self->fd);
  else if (!self->given_away)
    usock_io_close (self->fd);
  self->fd = -1;
  self->sealed = FALSE;
}

/* In a nested main loop, whose handler waits for one of the other callbacks, only those go on. */
static void
socket_finish (UsockSocket *self)
{
  gboolean nested = self->finishing;

  self->finishing = TRUE;
  USOCK_SOCKET_GET_CLASS (self)->finish (self);
  if (nested)
    return;

  usock_socket_notify_changes (self);
  if (self->fate.is_final)
    usock_socket_notify (self, USOCK_SOCKET_PROP_HAD_ERROR);
  if (self->owner != NULL)
    self->owner->closed (self, self->owner_data);

  usock_socket_emit_end (self);

  if (self->owner != NULL)
    self->owner->told (self, self->owner_data);
  socket_detach (self);
}

static void
socket_dispatch (UsockWatch *watch)
{
  UsockSocket *self = g_object_ref (socket_from_watch (watch));

  usock_socket_notify_changes (self);
  if (self->state != USOCK_STATE_CLOSED)
    USOCK_SOCKET_GET_CLASS (self)->dispatch (self);
  usock_socket_notify_changes (self);
  if (self->state == USOCK_STATE_CLOSED && !USOCK_SOCKET_GET_CLASS (self)->lingers (self))
    socket_finish (self);

  g_object_unref (self);
}

static gboolean
socket_wanted (UsockWatch *watch)
{
  UsockSocket *self = socket_from_watch (watch);

  return USOCK_SOCKET_GET_CLASS (self)->wanted (self);
}

/* Nobody is left to call back, and the watch is detached. May drop the last reference. */
static void
socket_abandon (UsockSocket *self)
{
  self->orphaned = TRUE;
  usock_socket_close_fd (self);
  g_atomic_int_set (&self->state, USOCK_STATE_CLOSED);
  USOCK_SOCKET_GET_CLASS (self)->orphaned (self);
  self->orphaned = FALSE;
  socket_release (self);
}

static void
socket_orphaned (UsockWatch *watch)
{
  UsockSocket *self = socket_from_watch (watch);

  self->orphaned = TRUE;
  if (self->state != USOCK_STATE_CLOSED && !usock_reactor_is_inherited (self->reactor))
    USOCK_SOCKET_GET_CLASS (self)->closing (self);
  socket_abandon (self);
}

static const UsockWatchFuncs socket_watch_funcs = {
  .dispatch = socket_dispatch,
  .wanted = socket_wanted,
  .orphaned = socket_orphaned,
};

void
usock_socket_find_reactor (UsockSocket *self)
{
  if (self->reactor != NULL)
    return;

  self->reactor = usock_reactor_acquire ();
  if (self->reactor != NULL)
    usock_watch_init (&self->watch, self->reactor, &socket_watch_funcs);
}

/* Whether anything but closing is allowed here. */
gboolean
usock_socket_check (UsockSocket  *self,
                    GError      **error)
{
  UsockAccess access;

  usock_socket_find_reactor (self);
  access = usock_socket_get_access (self);

  if (G_UNLIKELY (access == USOCK_ACCESS_ELSEWHERE))
    return usock_socket_check_thread (self, error);

  if (self->state == USOCK_STATE_CLOSED)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                         _("Could not use a socket: it is closed"));
  else if (self->reactor == NULL)
    usock_error_set_errno (error, EMFILE, _("Could not watch a socket"));
  else if (access != USOCK_ACCESS_GRANTED)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                         _("Could not use a socket: its main context is gone, or it was inherited "
                           "by a forked process, which may only close it"));
  else
    return TRUE;

  return FALSE;
}

/* Takes the error over; without one it is a plain close. In a forked child nothing but the child's
 * copy of the descriptor goes: no flush, no shutdown, no signal, and nothing of the epoll that it
 * shares with its parent. */
void
usock_socket_fail (UsockSocket *self,
                   GError      *error)
{
  gboolean usable;

  if (self->state == USOCK_STATE_CLOSED)
    {
      g_clear_error (&error);
      return;
    }

  if (!USOCK_SOCKET_GET_CLASS (self)->immediate || usock_socket_is_listened_to (self))
    usock_socket_find_reactor (self);
  usable = self->reactor != NULL && usock_reactor_is_usable (self->reactor);

  g_clear_error (&self->fate.error);
  self->fate.error = error;
  self->fate.is_final = error != NULL;
  if (!usable && self->watch.attached)
    {
      usock_watch_detach (&self->watch);
      socket_abandon (self);
      return;
    }

  if (usable)
    USOCK_SOCKET_GET_CLASS (self)->closing (self);
  usock_socket_remember_peer (self);
  usock_socket_close_fd (self);
  g_atomic_int_set (&self->state, USOCK_STATE_CLOSED);
  if (!usable)
    return;

  socket_attach (self);
  usock_watch_wake (&self->watch);
}

/* Takes the descriptor over if it succeeds; -1 for one that is still to come by another call. It
 * is @watched if there is something to wait for already: a socket that is not connected shows
 * nonsense to epoll. */
gboolean
usock_socket_start (UsockSocket  *self,
                    int           fd,
                    gboolean      watched,
                    GError      **error)
{
  g_assert (self->fd == -1 && (fd >= 0 || !watched));

  if (!usock_socket_check (self, error))
    return FALSE;

  socket_attach (self);
  self->fd = fd;
  if (watched && !usock_socket_watch (self, error))
    {
      self->fd = -1;
      socket_detach (self);
      return FALSE;
    }

  usock_watch_wake (&self->watch);
  return TRUE;
}

/* Back to where the socket was before usock_socket_start(). */
void
usock_socket_retreat (UsockSocket *self)
{
  usock_socket_close_fd (self);
  g_atomic_int_set (&self->state, USOCK_STATE_NEW);
  socket_detach (self);
}

/* The same, but the descriptor is the caller's again. */
int
usock_socket_withdraw (UsockSocket *self)
{
  int fd = self->fd;

  self->given_away = TRUE;
  usock_socket_retreat (self);
  self->given_away = FALSE;
  return fd;
}

gboolean
usock_socket_watch (UsockSocket  *self,
                    GError      **error)
{
  int result = usock_watch_add_fd (&self->watch, self->fd);

  if (result == 0)
    return TRUE;

  usock_socket_record (self, USOCK_IO_NONE, -result);
  usock_error_set_errno (error, -result, _("Could not watch descriptor %d"), self->fd);
  return FALSE;
}

/* Notified later, from the context. */
void
usock_socket_set_state (UsockSocket *self,
                        UsockState   state)
{
  if (self->state == state)
    return;

  g_atomic_int_set (&self->state, state);
  usock_watch_wake (&self->watch);
}

void
usock_socket_record (UsockSocket *self,
                     UsockIoCall  call,
                     int          errnum)
{
  self->error_call = call;
  self->error_number = errnum;
}

/* The socket ends with what broke it before, or else it is a plain close. */
void
usock_socket_conclude (UsockSocket *self)
{
  usock_socket_fail (self, g_steal_pointer (&self->fate.error));
}

/* Closes the socket but for its descriptor, which is the caller's. It must have one. */
int
usock_socket_give_away (UsockSocket *self)
{
  int fd = self->fd;

  usock_socket_get_local_address (self);
  usock_socket_get_remote_address (self);
  USOCK_SOCKET_GET_CLASS (self)->restore (self);
  self->given_away = TRUE;
  usock_socket_fail (self, NULL);
  return fd;
}

/* Has a new socket run there, wherever it was made. */
void
usock_socket_join (UsockSocket  *self,
                   UsockReactor *reactor)
{
  g_assert (self->state == USOCK_STATE_NEW);

  if (self->reactor == reactor)
    return;

  g_clear_pointer (&self->reactor, usock_reactor_unref);
  self->reactor = usock_reactor_ref (reactor);
  usock_watch_init (&self->watch, self->reactor, &socket_watch_funcs);
}

void
usock_socket_set_owner (UsockSocket            *self,
                        const UsockSocketOwner *owner,
                        gpointer                user_data)
{
  self->owner = owner;
  self->owner_data = user_data;
}

static gboolean
socket_complete_later (gpointer operation)
{
  usock_operation_complete (operation);
  return G_SOURCE_REMOVE;
}

/* For calls whose failure a callback is told of, in the main context of who made them. */
gboolean
usock_socket_check_async (UsockSocket         *self,
                          gpointer             tag,
                          GAsyncReadyCallback  callback,
                          gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;

  if (usock_socket_check_thread (self, &error))
    return TRUE;

  operation = usock_operation_new (self, tag, callback, user_data);
  usock_operation_return_error (operation, error);
  usock_reactor_call_later (socket_complete_later, operation, g_object_unref);
  return FALSE;
}
