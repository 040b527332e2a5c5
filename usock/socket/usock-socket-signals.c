/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-socket-private.h"

#include "usock-enums.h"

enum
{
  SIGNAL_ERROR,
  SIGNAL_CLOSE,
  N_SIGNALS,
};

static GParamSpec *properties[USOCK_SOCKET_PROP_REMOTE_ADDRESS + 1];
static guint signals[N_SIGNALS];

void
usock_socket_notify (UsockSocket         *self,
                     UsockSocketProperty  property)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[property]);
}

static void
socket_notify_state (UsockSocket *self)
{
  if (self->notified_state == self->state)
    return;

  self->notified_state = self->state;
  usock_socket_notify (self, USOCK_SOCKET_PROP_STATE);
}

/* What comes and goes with the descriptor. The addresses of a socket that is closed stay known. */
void
usock_socket_notify_changes (UsockSocket *self)
{
  socket_notify_state (self);
  if (self->notified_fd != self->fd)
    {
      self->notified_fd = self->fd;
      self->readdressed |= self->fd != -1;
      usock_socket_notify (self, USOCK_SOCKET_PROP_FD);
      USOCK_SOCKET_GET_CLASS (self)->notify_fd (self);
    }
  if (self->notified_family != self->family)
    {
      self->notified_family = self->family;
      usock_socket_notify (self, USOCK_SOCKET_PROP_FAMILY);
    }
  if (self->readdressed)
    {
      self->readdressed = FALSE;
      usock_socket_notify (self, USOCK_SOCKET_PROP_LOCAL_ADDRESS);
      usock_socket_notify (self, USOCK_SOCKET_PROP_REMOTE_ADDRESS);
    }
}

/* For what does not end the socket. */
void
usock_socket_emit_error (UsockSocket  *self,
                         const GError *error)
{
  g_signal_emit (self, signals[SIGNAL_ERROR], 0, error);
}

/* Whether somebody would miss the signals of the end. */
gboolean
usock_socket_is_listened_to (UsockSocket *self)
{
  guint notify = g_signal_lookup ("notify", G_TYPE_OBJECT);
  GQuark state = g_quark_from_static_string ("state");

  return g_signal_has_handler_pending (self, signals[SIGNAL_CLOSE], 0, FALSE)
         || g_signal_has_handler_pending (self, signals[SIGNAL_ERROR], 0, FALSE)
         || g_signal_has_handler_pending (self, notify, state, FALSE);
}

/* The last that is heard of a socket. */
void
usock_socket_emit_end (UsockSocket *self)
{
  if (self->fate.is_final)
    g_signal_emit (self, signals[SIGNAL_ERROR], 0, self->fate.error);
  g_signal_emit (self, signals[SIGNAL_CLOSE], 0);
}

/* From the class, once. */
void
usock_socket_install_properties (GObjectClass *class)
{
  const GParamFlags read_only = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  /**
   * UsockSocket:fd: (getter get_fd)
   *
   * The descriptor, or -1 while there is none.
   *
   * Since: 1.0
   */
  properties[USOCK_SOCKET_PROP_FD]
      = g_param_spec_int ("fd", NULL, NULL, -1, G_MAXINT, -1, read_only);

  /**
   * UsockSocket:family: (getter get_family)
   *
   * The address family: a [enum@Usock.Family], or another that the system has.
   *
   * Since: 1.0
   */
  properties[USOCK_SOCKET_PROP_FAMILY]
      = g_param_spec_int ("family", NULL, NULL, 0, G_MAXINT, USOCK_AF_UNIX, read_only);

  /**
   * UsockSocket:socket-type: (getter get_socket_type)
   *
   * What the socket transports: packets, datagrams or a stream.
   *
   * Since: 1.0
   */
  properties[USOCK_SOCKET_PROP_SOCKET_TYPE]
      = g_param_spec_enum ("socket-type", NULL, NULL, G_TYPE_SOCKET_TYPE, G_SOCKET_TYPE_SEQPACKET,
                           read_only);

  /**
   * UsockSocket:state: (getter get_state)
   *
   * Where the socket is in its life. Its change is notified from the main
   * context, after the call that made it.
   *
   * Since: 1.0
   */
  properties[USOCK_SOCKET_PROP_STATE]
      = g_param_spec_enum ("state", NULL, NULL, USOCK_TYPE_STATE, USOCK_STATE_NEW, read_only);

  /**
   * UsockSocket:held: (getter get_held) (setter set_held)
   *
   * Whether [func@Usock.run_until_closed] waits for this socket to close.
   *
   * Since: 1.0
   */
  properties[USOCK_SOCKET_PROP_HELD] = g_param_spec_boolean ("held", NULL, NULL, TRUE, read_write);

  /**
   * UsockSocket:had-error: (getter get_had_error)
   *
   * Whether the socket was closed by an error.
   *
   * Since: 1.0
   */
  properties[USOCK_SOCKET_PROP_HAD_ERROR]
      = g_param_spec_boolean ("had-error", NULL, NULL, FALSE, read_only);

  /**
   * UsockSocket:local-address: (getter get_local_address)
   *
   * Our address, or %NULL if it is not known.
   *
   * Since: 1.0
   */
  properties[USOCK_SOCKET_PROP_LOCAL_ADDRESS]
      = g_param_spec_object ("local-address", NULL, NULL, G_TYPE_SOCKET_ADDRESS, read_only);

  /**
   * UsockSocket:remote-address: (getter get_remote_address)
   *
   * The address of the peer, or %NULL if there is none or it is not known.
   *
   * Since: 1.0
   */
  properties[USOCK_SOCKET_PROP_REMOTE_ADDRESS]
      = g_param_spec_object ("remote-address", NULL, NULL, G_TYPE_SOCKET_ADDRESS, read_only);

  g_object_class_install_properties (class, G_N_ELEMENTS (properties), properties);
}

/* From the class, once. */
void
usock_socket_install_signals (void)
{
  /**
   * UsockSocket::error:
   * @self: the socket
   * @error: what went wrong, in GIO's error domain
   *
   * Emitted once when a failure ends the socket, directly before
   * [signal@Usock.Socket::close]. On a server it may come more than once, and
   * does not end it.
   *
   * Since: 1.0
   */
  signals[SIGNAL_ERROR] = g_signal_new ("error", USOCK_TYPE_SOCKET, G_SIGNAL_RUN_LAST, 0, NULL,
                                        NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);

  /**
   * UsockSocket::close:
   * @self: the socket
   *
   * Emitted once, last of all: the descriptor is closed and every
   * asynchronous call has ended. A server's comes when the last of its
   * connections is gone as well.
   *
   * Since: 1.0
   */
  signals[SIGNAL_CLOSE] = g_signal_new ("close", USOCK_TYPE_SOCKET, G_SIGNAL_RUN_LAST, 0, NULL,
                                        NULL, NULL, G_TYPE_NONE, 0);
}
