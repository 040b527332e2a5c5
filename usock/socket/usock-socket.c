/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-socket-private.h"

#include <errno.h>
#include <unistd.h>

#include "usock-compat-private.h"
#include "usock-enums.h"

/**
 * UsockSocket:
 *
 * What all sockets have in common: a descriptor, a state, addresses,
 * credentials, and an end.
 *
 * A socket belongs to the thread-default main context of the thread that made
 * it. Its signals come only while that context runs: no method emits one.
 *
 * While it is connecting, open or listening, a socket keeps itself alive, so
 * that a program may drop its references and wait for signals. It lets go once
 * [signal@Usock.Socket::close] was emitted. When the main context is destroyed
 * first, its sockets are closed without a signal.
 *
 * It may be used from that thread only: another that runs the context takes it
 * over, and while nobody does it is the one that made it. What is called from
 * elsewhere does nothing: it fails with `G_IO_ERROR_NOT_SUPPORTED`, or warns as
 * wrong use does if it has no error. [method@Usock.Channel.post] may be called
 * from any thread, as may what only tells a number; and any thread may drop the
 * last reference.
 *
 * A process that was forked may only close the sockets that it inherited, and
 * keeps their peers waiting for the end until it does; what else it asks of them
 * fails or does nothing. It can make new ones.
 *
 * Since: 1.0
 */

G_DEFINE_ABSTRACT_TYPE (UsockSocket, usock_socket, G_TYPE_OBJECT)

static void
usock_socket_nothing (UsockSocket *self)
{
}

static gboolean
usock_socket_never (UsockSocket *self)
{
  return FALSE;
}

static gboolean
usock_socket_surrender_freely (UsockSocket  *self,
                               GBytes      **unread,
                               GError      **error)
{
  return TRUE;
}

static void
usock_socket_restore (UsockSocket *self)
{
  usock_io_set_plain (self->fd);
}

static gboolean
usock_socket_refuse_shutdown (UsockSocket  *self,
                              UsockShut     how,
                              GError      **error)
{
  usock_error_set_errno (error, EOPNOTSUPP, _("Could not shut a socket down"));
  return FALSE;
}

static void
usock_socket_constructed (GObject *object)
{
  UsockSocket *self = USOCK_SOCKET (object);

  if (!USOCK_SOCKET_GET_CLASS (self)->immediate)
    usock_socket_find_reactor (self);

  G_OBJECT_CLASS (usock_socket_parent_class)->constructed (object);
}

static void
usock_socket_finalize (GObject *object)
{
  UsockSocket *self = USOCK_SOCKET (object);

  usock_socket_close_fd (self);
  if (self->reactor != NULL)
    usock_watch_detach (&self->watch);
  g_clear_pointer (&self->reactor, usock_reactor_unref);
  g_clear_error (&self->fate.error);
  g_clear_object (&self->local_address);
  g_clear_object (&self->remote_address);
  g_clear_pointer (&self->options, g_array_unref);
  g_free (self->label);

  G_OBJECT_CLASS (usock_socket_parent_class)->finalize (object);
}

static void
usock_socket_get_property (GObject    *object,
                           guint       property_id,
                           GValue     *value,
                           GParamSpec *pspec)
{
  UsockSocket *self = USOCK_SOCKET (object);

  switch ((UsockSocketProperty) property_id)
    {
    case USOCK_SOCKET_PROP_FD:
      g_value_set_int (value, usock_socket_get_fd (self));
      break;
    case USOCK_SOCKET_PROP_FAMILY:
      g_value_set_int (value, usock_socket_get_family (self));
      break;
    case USOCK_SOCKET_PROP_SOCKET_TYPE:
      g_value_set_enum (value, usock_socket_get_socket_type (self));
      break;
    case USOCK_SOCKET_PROP_STATE:
      g_value_set_enum (value, usock_socket_get_state (self));
      break;
    case USOCK_SOCKET_PROP_HELD:
      g_value_set_boolean (value, usock_socket_get_held (self));
      break;
    case USOCK_SOCKET_PROP_HAD_ERROR:
      g_value_set_boolean (value, usock_socket_get_had_error (self));
      break;
    case USOCK_SOCKET_PROP_LOCAL_ADDRESS:
      g_value_set_object (value, usock_socket_get_local_address (self));
      break;
    case USOCK_SOCKET_PROP_REMOTE_ADDRESS:
      g_value_set_object (value, usock_socket_get_remote_address (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_socket_set_property (GObject      *object,
                           guint         property_id,
                           const GValue *value,
                           GParamSpec   *pspec)
{
  UsockSocket *self = USOCK_SOCKET (object);

  switch ((UsockSocketProperty) property_id)
    {
    case USOCK_SOCKET_PROP_HELD:
      usock_socket_set_held (self, g_value_get_boolean (value));
      break;
    case USOCK_SOCKET_PROP_FD:
    case USOCK_SOCKET_PROP_FAMILY:
    case USOCK_SOCKET_PROP_SOCKET_TYPE:
    case USOCK_SOCKET_PROP_STATE:
    case USOCK_SOCKET_PROP_HAD_ERROR:
    case USOCK_SOCKET_PROP_LOCAL_ADDRESS:
    case USOCK_SOCKET_PROP_REMOTE_ADDRESS:
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_socket_class_init (UsockSocketClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);

  object_class->constructed = usock_socket_constructed;
  object_class->finalize = usock_socket_finalize;
  object_class->get_property = usock_socket_get_property;
  object_class->set_property = usock_socket_set_property;

  class->dispatch = usock_socket_nothing;
  class->wanted = usock_socket_never;
  class->lingers = usock_socket_never;
  class->closing = usock_socket_nothing;
  class->finish = usock_socket_nothing;
  class->holds_input = usock_socket_never;
  class->surrender = usock_socket_surrender_freely;
  class->restore = usock_socket_restore;
  class->notify_fd = usock_socket_nothing;
  class->shutdown = usock_socket_refuse_shutdown;
  class->orphaned = usock_socket_nothing;

  usock_socket_install_properties (object_class);
  usock_socket_install_signals ();
}

static void
usock_socket_init (UsockSocket *self)
{
  self->fd = self->notified_fd = -1;
  self->notified_family = AF_UNIX;
  self->held = TRUE;
}

/**
 * usock_socket_get_fd: (get-property fd)
 * @self: a socket
 *
 * Gets the descriptor, which stays the socket's: do not close it, and do not
 * read from it.
 *
 * Returns: the descriptor, or -1 while there is none
 *
 * Since: 1.0
 */
gint
usock_socket_get_fd (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), -1);

  return self->fd;
}

/**
 * usock_socket_get_family: (get-property family)
 * @self: a socket
 *
 * Gets the address family.
 *
 * Returns: the family, a [enum@Usock.Family] for example
 *
 * Since: 1.0
 */
gint
usock_socket_get_family (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), USOCK_AF_UNSPEC);

  return self->family;
}

/**
 * usock_socket_get_socket_type: (get-property socket-type)
 * @self: a socket
 *
 * Gets what the socket transports.
 *
 * Returns: the type
 *
 * Since: 1.0
 */
GSocketType
usock_socket_get_socket_type (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), G_SOCKET_TYPE_INVALID);

  switch (self->type)
    {
    case SOCK_STREAM:
      return G_SOCKET_TYPE_STREAM;
    case SOCK_DGRAM:
      return G_SOCKET_TYPE_DATAGRAM;
    case SOCK_SEQPACKET:
      return G_SOCKET_TYPE_SEQPACKET;
    default:
      return G_SOCKET_TYPE_INVALID;
    }
}

/**
 * usock_socket_get_state: (get-property state)
 * @self: a socket
 *
 * Gets where the socket is in its life, as of now.
 *
 * Returns: the state
 *
 * Since: 1.0
 */
UsockState
usock_socket_get_state (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), USOCK_STATE_CLOSED);

  return g_atomic_int_get (&self->state);
}

/**
 * usock_socket_get_held: (get-property held)
 * @self: a socket
 *
 * Tells whether [func@Usock.run_until_closed] waits for this socket.
 *
 * Returns: whether it does
 *
 * Since: 1.0
 */
gboolean
usock_socket_get_held (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), FALSE);

  return self->held;
}

/**
 * usock_socket_set_held: (set-property held)
 * @self: a socket
 * @held: whether to wait for it
 *
 * Sets whether [func@Usock.run_until_closed] waits for this socket. It is on
 * by default; a program that should end although the socket is open turns it
 * off.
 *
 * Since: 1.0
 */
void
usock_socket_set_held (UsockSocket *self,
                       gboolean     held)
{
  g_return_if_fail (USOCK_IS_SOCKET (self));
  usock_socket_return_if_not_ours (self);

  held = !!held;
  if (self->held == held)
    return;

  self->held = held;
  if (self->watch.attached)
    usock_reactor_hold (self->reactor, held ? 1 : -1);
  usock_socket_notify (self, USOCK_SOCKET_PROP_HELD);
}

/**
 * usock_socket_get_had_error: (get-property had-error)
 * @self: a socket
 *
 * Tells whether the socket was closed by an error.
 *
 * Returns: whether it was
 *
 * Since: 1.0
 */
gboolean
usock_socket_get_had_error (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), FALSE);

  return self->fate.is_final;
}

/**
 * usock_socket_get_error_number:
 * @self: a socket
 *
 * Gets the errno of the last system call on this socket that failed, for
 * those who need more than the code of a [struct@GLib.Error]. It stays after
 * the socket is closed.
 *
 * Returns: the errno, or 0 if no call failed
 *
 * Since: 1.0
 */
gint
usock_socket_get_error_number (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), 0);

  return self->error_number;
}

/**
 * usock_socket_get_error_call:
 * @self: a socket
 *
 * Gets which system call [method@Usock.Socket.get_error_number] is of.
 *
 * Returns: (nullable) (transfer none): its name, `connect` for example
 *
 * Since: 1.0
 */
const char *
usock_socket_get_error_call (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);

  return usock_io_call_name (self->error_call);
}

/**
 * usock_socket_dup_error_text:
 * @self: a socket
 *
 * Gets what [method@Usock.Socket.get_error_number] and
 * [method@Usock.Socket.get_error_call] tell as text, in the language of the
 * user: `connect: Connection refused` for example.
 *
 * Returns: (nullable) (transfer full): the text; %NULL if no call failed
 *
 * Since: 1.0
 */
char *
usock_socket_dup_error_text (UsockSocket *self)
{
  const char *call;

  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);

  if (self->error_number == 0)
    return NULL;

  call = usock_io_call_name (self->error_call);
  return g_strdup_printf ("%s%s%s", call != NULL ? call : "", call != NULL ? ": " : "",
                          g_strerror (self->error_number));
}

/**
 * usock_socket_shutdown:
 * @self: a connected socket
 * @how: what ends
 * @error: return location for an error
 *
 * Ends one direction or both, see shutdown(2), and leaves the descriptor open.
 *
 * On a channel, to end writing is [method@Usock.Channel.end]: what waits is
 * sent first. When reading ends, what has come already is still delivered,
 * and then the end, as if the peer had ended.
 *
 * Fails with `G_IO_ERROR_NOT_CONNECTED` if there is no connection, with
 * `G_IO_ERROR_CLOSED` if the socket is closed, with `G_IO_ERROR_NOT_SUPPORTED`
 * on a server, and for reading from datagrams: they have no end.
 *
 * Returns: whether it was done
 *
 * Since: 1.0
 */
gboolean
usock_socket_shutdown (UsockSocket  *self,
                       UsockShut     how,
                       GError      **error)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), FALSE);

  if (!usock_socket_check_thread (self, error))
    return FALSE;

  if (self->state == USOCK_STATE_CLOSED)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                         _("Could not shut a socket down: it is closed"));
  else if (how > USOCK_SHUT_RDWR)
    usock_error_set_errno (error, EINVAL, _("Could not shut a socket down"));
  else
    return USOCK_SOCKET_GET_CLASS (self)->shutdown (self, how, error);

  return FALSE;
}

/**
 * usock_socket_close:
 * @self: a socket
 *
 * Closes the socket now. What the kernel takes at once of the messages that
 * wait is still sent; everything else ends with `G_IO_ERROR_CLOSED`. Messages
 * that were not received yet are gone. [signal@Usock.Socket::close] follows
 * from the main context. Closing twice does no harm.
 *
 * To be sure that everything arrives, see [method@Usock.Channel.end] and
 * [method@Usock.Channel.close_gracefully_async].
 *
 * Since: 1.0
 */
void
usock_socket_close (UsockSocket *self)
{
  g_return_if_fail (USOCK_IS_SOCKET (self));
  if (!usock_socket_may_close (self, G_STRFUNC))
    return;

  usock_socket_fail (self, NULL);
}

/**
 * usock_socket_destroy:
 * @self: a socket
 * @error: (nullable): why
 *
 * Closes the socket as [method@Usock.Socket.close] does, but throws away what
 * waits to be sent, and has a copy of @error emitted as
 * [signal@Usock.Socket::error] first.
 *
 * Since: 1.0
 */
void
usock_socket_destroy (UsockSocket  *self,
                      const GError *error)
{
  g_return_if_fail (USOCK_IS_SOCKET (self));
  if (!usock_socket_may_close (self, G_STRFUNC))
    return;

  usock_socket_fail (self, error != NULL ? g_error_copy (error) : NULL);
}

/**
 * usock_run_until_closed:
 * @context: (nullable): a main context; %NULL for the default one
 *
 * Runs @context until no socket is open in it any more that is
 * [property@Usock.Socket:held]. What a program that only serves sockets needs
 * in place of a [struct@GLib.MainLoop].
 *
 * Since: 1.0
 */
void
usock_run_until_closed (GMainContext *context)
{
  usock_reactor_run_until_idle (context != NULL ? context : g_main_context_default ());
}

/**
 * usock_count_held:
 * @context: (nullable): a main context; %NULL for the default one
 *
 * Tells how many sockets [func@Usock.run_until_closed] would wait for, for
 * programs that have their own loop.
 *
 * Returns: how many are open in @context and [property@Usock.Socket:held]
 *
 * Since: 1.0
 */
guint
usock_count_held (GMainContext *context)
{
  return usock_reactor_count_held (context != NULL ? context : g_main_context_default ());
}
