/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-channel-private.h"

#include <errno.h>

#include "usock-compat-private.h"

#define CONNECT_DELAY_FIRST 1
#define CONNECT_DELAY_LAST 50
#define CONNECT_DELAY_PATIENT 250

/* The markers tell an end from an empty message. They are set at birth: switched on later, they are
 * missing from what was sent before. */
int
usock_channel_prepare_packets (UsockChannel *self,
                               int           fd)
{
  return usock_channel_socket (self)->family == AF_UNIX ? usock_io_set_markers (fd) : 0;
}

/* What comes along with messages: only what may not be as it should is set. */
static int
channel_prepare_passing (UsockChannel *self,
                         int           fd)
{
  UsockSocket *socket = usock_channel_socket (self);
  UsockInlet *inlet = &self->inlet;
  gboolean all = socket->origin == USOCK_ORIGIN_UNKNOWN;
  int result = 0;

  if (socket->origin == USOCK_ORIGIN_HEIR)
    return 0;

  if (all || inlet->max_fds == 0)
    result = usock_socket_refuse_fds (socket, fd, inlet->max_fds == 0);
  if (result == 0 && (all || inlet->pass_credentials))
    result = usock_io_set_credentials (fd, inlet->pass_credentials);
  if (result == 0 && (all || inlet->pass_pidfd))
    result = usock_io_set_pidfds (fd, inlet->pass_pidfd);
  return result;
}

/* All that a socket is told before it is used. The rest of the world has no descriptors and no
 * credentials. */
int
usock_channel_prepare_fd (UsockChannel *self,
                          int           fd)
{
  UsockSocket *socket = usock_channel_socket (self);
  int result = USOCK_CHANNEL_GET_CLASS (self)->prepare (self, fd);

  if (result == 0)
    result = usock_socket_apply_options (socket, fd);
  if (result == 0 && socket->family == AF_UNIX)
    result = channel_prepare_passing (self, fd);
  if (result < 0)
    usock_socket_record (socket, USOCK_IO_SET_OPTION, -result);

  return result;
}

/* There is a descriptor, and what is sent may leave. */
void
usock_channel_opened (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);

  self->inlet.fd = self->outlet.fd = socket->fd;
  self->inlet.is_open = self->outlet.is_open = TRUE;
  self->last_activity = g_get_monotonic_time ();
  self->outlet.route->stalled_since = self->last_activity;
  usock_channel_derive_state (self);
  if (usock_channel_is_connection (self))
    usock_socket_remember_remote (socket);
  usock_watch_set_level (&socket->watch, usock_channel_is_connection (self));
  usock_channel_flush (self, TRUE);
  usock_channel_finish_writing (self);
  usock_channel_schedule (self);
}

/* From a turn: emits. Who waits for the connection has it whatever a handler does with it. */
void
usock_channel_announce (UsockChannel *self)
{
  usock_pending_run_earlier (&self->pending);
  if (!self->approach.announce || !usock_channel_is_connected (self))
    return;

  self->approach.announce = FALSE;
  usock_pending_connected (&self->pending);
  usock_channel_emit (self, USOCK_CHANNEL_SIGNAL_CONNECT);
  usock_pending_run (&self->pending);
}

/* Whether it is a socket of our kind, and whether it listens. */
gboolean
usock_channel_inspect_fd (UsockChannel  *self,
                          int            fd,
                          gboolean      *listening,
                          GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);
  int family, type;
  int result = usock_io_get_option (fd, SOL_SOCKET, SO_DOMAIN, &family);

  if (result == 0)
    result = usock_io_get_option (fd, SOL_SOCKET, SO_TYPE, &type);
  if (result == 0)
    result = usock_io_get_option (fd, SOL_SOCKET, SO_ACCEPTCONN, listening);
  if (result < 0)
    {
      usock_socket_record (socket, USOCK_IO_GET_OPTION, -result);
      usock_error_set_errno (error, -result, _("Could not use descriptor %d as a socket"), fd);
      return FALSE;
    }
  if (type == socket->type && family == socket->family)
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               type != socket->type
                   ? _("Could not use descriptor %d as a socket: it is of another type")
                   : _("Could not use descriptor %d as a socket: it is of another family"),
               fd);
  return FALSE;
}

static gboolean
channel_check_adoptable (UsockChannel  *self,
                         int            fd,
                         GError       **error)
{
  gboolean listening = FALSE;

  if (!usock_channel_inspect_fd (self, fd, &listening, error))
    return FALSE;

  if (!usock_channel_is_connection (self))
    return TRUE;

  if (listening || usock_io_peer_is_missing (fd))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                   listening ? _("Could not use descriptor %d as a connection: it listens")
                             : _("Could not use descriptor %d as a connection: it has no peer"),
                   fd);
      return FALSE;
    }

  return TRUE;
}

/* Takes a connected descriptor over if it succeeds. */
gboolean
usock_channel_accept (UsockChannel  *self,
                      int            fd,
                      GError       **error)
{
  int result = usock_channel_prepare_fd (self, fd);

  if (result < 0)
    {
      usock_error_set_errno (error, -result, _("Could not use descriptor %d as a connection"), fd);
      return FALSE;
    }

  if (!usock_socket_start (usock_channel_socket (self), fd, TRUE, error))
    return FALSE;

  usock_channel_socket (self)->watch.ready |= USOCK_READY_IN;
  usock_channel_opened (self);
  return TRUE;
}

/* The same for one of unknown origin; its flags stay as they are. */
gboolean
usock_channel_adopt (UsockChannel  *self,
                     int            fd,
                     GError       **error)
{
  return channel_check_adoptable (self, fd, error) && usock_channel_accept (self, fd, error);
}

gboolean
usock_channel_pair (UsockChannel  *self,
                    UsockChannel  *other,
                    GError       **error)
{
  g_autofd int first = -1;
  g_autofd int second = -1;
  int fds[2];
  int result = usock_io_pair (usock_channel_socket (self)->type, fds);

  if (result < 0)
    {
      usock_error_set_errno (error, -result, _("Could not make a pair of sockets"));
      return FALSE;
    }

  first = fds[0];
  second = fds[1];
  usock_channel_socket (self)->sealed = usock_channel_socket (other)->sealed = TRUE;
  usock_channel_socket (self)->origin = usock_channel_socket (other)->origin = USOCK_ORIGIN_NEW;
  if (!usock_channel_adopt (self, first, error))
    return FALSE;
  first = -1;
  if (!usock_channel_adopt (other, second, error))
    {
      usock_socket_close (usock_channel_socket (self));
      return FALSE;
    }
  second = -1;
  return TRUE;
}

/* Back to where the channel was before it connected. A descriptor with a name stays. */
static void
channel_retreat (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);

  if (self->approach.has_name && socket->fd != -1)
    self->approach.fd = usock_socket_withdraw (socket);
  else
    usock_socket_retreat (socket);
}

/* Back to NEW. Whoever waits is still to be told why, and what was to be sent to be released, which
 * may run foreign code. */
static void
channel_give_connecting_up (UsockChannel *self)
{
  g_autoptr (GError) error = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                          _("Connecting to “%s” was cancelled"),
                                          usock_channel_peer (self));

  usock_outlet_drop_all (&self->outlet, error);
  usock_channel_decide_settled (self);
  usock_pending_end_all (&self->pending, error);
  usock_pending_end_closer (&self->pending, error);

  self->lost = self->ending = FALSE;
  self->outlet.needs_drain = FALSE;
  self->close_due = 0;
  USOCK_CHANNEL_GET_CLASS (self)->stop_connecting (self);
  self->approach.patient = FALSE;
  channel_retreat (self);
}

static gboolean
channel_connecting_is_cancelled (UsockChannel *self)
{
  return self->pending.connecting != NULL
         && usock_operation_is_cancelled (self->pending.connecting)
         && usock_channel_socket (self)->state == USOCK_STATE_CONNECTING;
}

/* From a turn. Who is told may connect again right then. */
void
usock_channel_sweep_connecting (UsockChannel *self)
{
  if (!channel_connecting_is_cancelled (self))
    return;

  channel_give_connecting_up (self);
  usock_channel_settle (self);
  usock_pending_run (&self->pending);
}

/* Who cancels may connect again right away, before there was a turn. A channel that is new has
 * none, so that the loop is left to tell. */
void
usock_channel_leave_cancelled (UsockChannel *self)
{
  if (!channel_connecting_is_cancelled (self)
      || !usock_socket_check (usock_channel_socket (self), NULL))
    return;

  channel_give_connecting_up (self);
  usock_channel_run_later (self);
  usock_channel_settle (self);
}

gboolean
usock_channel_check_connectable (UsockChannel  *self,
                                 const char    *label,
                                 GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);
  int errnum;

  usock_channel_leave_cancelled (self);
  if (socket->state == USOCK_STATE_CONNECTING)
    errnum = EALREADY;
  else if (usock_channel_is_connected (self))
    errnum = EISCONN;
  else
    return usock_socket_check (socket, error);

  usock_error_set_errno (error, errnum, _("Could not connect to “%s”"), label);
  return FALSE;
}

static gboolean
channel_check_target (UsockChannel     *self,
                      const UsockName  *target,
                      GError          **error)
{
  if (!usock_channel_check_connectable (self, target->label, error))
    return FALSE;
  if (target->native.any.sa_family == AF_UNIX || target->path != NULL)
    return TRUE;

  usock_error_set_errno (error, EAFNOSUPPORT, _("Could not connect to “%s”"), target->label);
  return FALSE;
}

static void
channel_set_connect_error (UsockChannel  *self,
                           UsockIoCall    call,
                           int            errnum,
                           GError       **error)
{
  usock_socket_record (usock_channel_socket (self), call, errnum);
  usock_error_set_errno (error, errnum, _("Could not connect to “%s”"), self->approach.target->label);
  if (call == USOCK_IO_SET_OPTION)
    usock_socket_explain_option (usock_channel_socket (self), error);
}

/* How long to wait, in milliseconds; -1 for ever. */
static int
channel_get_patience (UsockChannel *self)
{
  if (self->approach.patient)
    return self->approach.patience;

  return self->connect_timeout > 0 ? (int) MIN (self->connect_timeout, G_MAXINT) : -1;
}

/* EAGAIN means that the backlog is full. Nothing tells when it no longer is: to epoll, a socket
 * that is not connected looks writable and hung up for ever. So it is tried again by the clock,
 * with some jitter, that many who wait do not all come at once. */
static void
channel_wait_to_connect (UsockChannel *self,
                         gint64        now)
{
  self->approach.delay = MIN (MAX (self->approach.delay * 2, CONNECT_DELAY_FIRST),
                             self->approach.patient ? CONNECT_DELAY_PATIENT : CONNECT_DELAY_LAST);
  self->approach.next = now
                       + self->approach.delay
                             * (gint64) g_random_int_range (750, 1250);
  if (self->approach.due > 0)
    self->approach.next = MIN (self->approach.next, self->approach.due);
  usock_channel_schedule (self);
}

/* A server that starts makes its path first and listens then; one that crashed leaves it. */
static gboolean
channel_may_connect_later (UsockChannel *self,
                           int           errnum)
{
  return errnum == EAGAIN
         || (self->approach.patient && (errnum == ENOENT || errnum == ECONNREFUSED));
}

static gboolean
channel_try_connect (UsockChannel  *self,
                     int           *result,
                     GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);

  *result = usock_io_connect (socket->fd, self->approach.target);
  if (channel_may_connect_later (self, -*result))
    return TRUE;
  if (*result < 0)
    {
      channel_set_connect_error (self, USOCK_IO_CONNECT, -*result, error);
      return FALSE;
    }
  return usock_socket_watch (socket, error);
}

static gboolean
channel_connect_fd (UsockChannel  *self,
                    GError       **error)
{
  UsockSocket *socket = usock_channel_socket (self);
  gint64 now = g_get_monotonic_time ();
  int result = usock_channel_prepare_fd (self, socket->fd);

  if (result < 0)
    {
      channel_set_connect_error (self, USOCK_IO_SET_OPTION, -result, error);
      return FALSE;
    }

  if (!channel_try_connect (self, &result, error))
    return FALSE;

  if (result == 0)
    {
      self->approach.announce = TRUE;
      usock_channel_opened (self);
      return TRUE;
    }

  usock_socket_set_state (socket, USOCK_STATE_CONNECTING);
  self->approach.delay = 0;
  self->approach.due = channel_get_patience (self) >= 0
                          ? now + channel_get_patience (self) * G_GINT64_CONSTANT (1000)
                          : 0;
  channel_wait_to_connect (self, now);
  return TRUE;
}

gboolean
usock_channel_connect_new (UsockChannel  *self,
                           UsockName     *target,
                           GError       **error)
{
  g_autoptr (UsockName) owned = target;
  UsockSocket *socket = usock_channel_socket (self);
  int fd;

  if (!channel_check_target (self, target, error))
    return FALSE;

  g_clear_pointer (&self->approach.target, usock_name_free);
  self->approach.target = g_steal_pointer (&owned);
  usock_socket_set_label (socket, self->approach.target->label);

  socket->origin = self->approach.fd != -1 ? USOCK_ORIGIN_UNKNOWN : USOCK_ORIGIN_NEW;
  fd = self->approach.fd != -1 ? g_steal_fd (&self->approach.fd)
                               : usock_io_socket (socket->family, socket->type, 0);
  if (fd < 0)
    {
      channel_set_connect_error (self, USOCK_IO_SOCKET, -fd, error);
      return FALSE;
    }

  if (!usock_socket_start (socket, fd, FALSE, error))
    g_assert_not_reached ();
  socket->sealed = TRUE;
  if (channel_connect_fd (self, error))
    return TRUE;

  channel_retreat (self);
  return FALSE;
}

void
usock_channel_retry_connect (UsockChannel *self)
{
  UsockSocket *socket = usock_channel_socket (self);
  gint64 now = g_get_monotonic_time ();
  GError *error = NULL;
  int result;

  if (now < self->approach.next)
    return;

  if (!channel_try_connect (self, &result, &error))
    usock_socket_fail (socket, error);
  else if (result == 0)
    {
      self->approach.announce = TRUE;
      usock_channel_opened (self);
    }
  else if (self->approach.due > 0 && now >= self->approach.due)
    {
      usock_socket_record (socket, USOCK_IO_CONNECT, -result);
      usock_socket_fail (socket,
                         g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                      result == -EAGAIN
                                          ? _("Could not connect to “%s”: its backlog was full for "
                                              "%u milliseconds")
                                          : _("Could not connect to “%s”: nobody listened there "
                                              "for %u milliseconds"),
                                      self->approach.target->label, (guint) channel_get_patience (self)));
    }
  else
    channel_wait_to_connect (self, now);
}
