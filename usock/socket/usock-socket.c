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

typedef enum
{
  PROP_FD = 1,
  PROP_FAMILY,
  PROP_SOCKET_TYPE,
  PROP_STATE,
  PROP_HELD,
  PROP_HAD_ERROR,
  PROP_LOCAL_ADDRESS,
  PROP_REMOTE_ADDRESS,
} UsockSocketProperty;

enum
{
  SIGNAL_ERROR,
  SIGNAL_CLOSE,
  N_SIGNALS,
};

static GParamSpec *properties[PROP_REMOTE_ADDRESS + 1];
static guint signals[N_SIGNALS];

static UsockSocket *
socket_from_watch (UsockWatch *watch)
{
  return (UsockSocket *) ((char *) watch - G_STRUCT_OFFSET (UsockSocket, watch));
}

static void
socket_notify_state (UsockSocket *self)
{
  if (self->notified_state == self->state)
    return;

  self->notified_state = self->state;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_STATE]);
}

/* What comes and goes with the descriptor. The addresses of a socket that is closed stay known. */
static void
socket_notify_changes (UsockSocket *self)
{
  socket_notify_state (self);
  if (self->notified_fd != self->fd)
    {
      self->notified_fd = self->fd;
      self->readdressed |= self->fd != -1;
      g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_FD]);
      USOCK_SOCKET_GET_CLASS (self)->notify_fd (self);
    }
  if (self->notified_family != self->family)
    {
      self->notified_family = self->family;
      g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_FAMILY]);
    }
  if (self->readdressed)
    {
      self->readdressed = FALSE;
      g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LOCAL_ADDRESS]);
      g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_REMOTE_ADDRESS]);
    }
}

/* Who is at the other end has changed, or nobody is; and with it often where our own end is. */
void
usock_socket_readdress (UsockSocket *self,
                        const char  *label)
{
  usock_socket_set_label (self, label);
  g_clear_object (&self->remote_address);
  g_clear_object (&self->local_address);
  self->readdressed = TRUE;
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

/* Who the peer is, as long as the kernel can be asked. */
int
usock_socket_find_peer (UsockSocket *self)
{
  int result;

  if (self->peer_known || self->fd == -1)
    return self->peer_known ? 0 : -ENODATA;

  result = usock_io_get_peer_credentials (self->fd, &self->peer);
  self->peer_known = result == 0;
  return result;
}

/* A handler of `close` may want to know whose connection it was. */
static void
socket_remember_peer (UsockSocket *self)
{
  if (self->state < USOCK_STATE_OPEN)
    return;

  usock_socket_get_local_address (self);
  usock_socket_get_remote_address (self);
  if (self->family == AF_UNIX)
    usock_socket_find_peer (self);
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
static void
socket_close_fd (UsockSocket *self)
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

  socket_notify_changes (self);
  if (self->fate.is_final)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HAD_ERROR]);
  if (self->owner != NULL)
    self->owner->closed (self, self->owner_data);

  if (self->fate.is_final)
    g_signal_emit (self, signals[SIGNAL_ERROR], 0, self->fate.error);
  g_signal_emit (self, signals[SIGNAL_CLOSE], 0);

  if (self->owner != NULL)
    self->owner->told (self, self->owner_data);
  socket_detach (self);
}

static void
socket_dispatch (UsockWatch *watch)
{
  UsockSocket *self = g_object_ref (socket_from_watch (watch));

  socket_notify_changes (self);
  if (self->state != USOCK_STATE_CLOSED)
    USOCK_SOCKET_GET_CLASS (self)->dispatch (self);
  socket_notify_changes (self);
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
  socket_close_fd (self);
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

static void
socket_find_reactor (UsockSocket *self)
{
  if (self->reactor != NULL)
    return;

  self->reactor = usock_reactor_acquire ();
  if (self->reactor != NULL)
    usock_watch_init (&self->watch, self->reactor, &socket_watch_funcs);
}

/* Whether somebody would miss the signals of the end. */
static gboolean
socket_is_listened_to (UsockSocket *self)
{
  guint notify = g_signal_lookup ("notify", G_TYPE_OBJECT);
  GQuark state = g_quark_from_static_string ("state");

  return g_signal_has_handler_pending (self, signals[SIGNAL_CLOSE], 0, FALSE)
         || g_signal_has_handler_pending (self, signals[SIGNAL_ERROR], 0, FALSE)
         || g_signal_has_handler_pending (self, notify, state, FALSE);
}

/* In a forked child nothing but the child's copy of the descriptor goes: no flush, no shutdown,
 * no signal, and nothing of the epoll that it shares with its parent. */
static void
socket_close_with (UsockSocket *self,
                   GError      *error)
{
  gboolean usable;

  if (self->state == USOCK_STATE_CLOSED)
    {
      g_clear_error (&error);
      return;
    }

  if (!USOCK_SOCKET_GET_CLASS (self)->immediate || socket_is_listened_to (self))
    socket_find_reactor (self);
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
  socket_remember_peer (self);
  socket_close_fd (self);
  g_atomic_int_set (&self->state, USOCK_STATE_CLOSED);
  if (!usable)
    return;

  socket_attach (self);
  usock_watch_wake (&self->watch);
}

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
    socket_find_reactor (self);

  G_OBJECT_CLASS (usock_socket_parent_class)->constructed (object);
}

static void
usock_socket_finalize (GObject *object)
{
  UsockSocket *self = USOCK_SOCKET (object);

  socket_close_fd (self);
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
    case PROP_FD:
      g_value_set_int (value, usock_socket_get_fd (self));
      break;
    case PROP_FAMILY:
      g_value_set_int (value, usock_socket_get_family (self));
      break;
    case PROP_SOCKET_TYPE:
      g_value_set_enum (value, usock_socket_get_socket_type (self));
      break;
    case PROP_STATE:
      g_value_set_enum (value, usock_socket_get_state (self));
      break;
    case PROP_HELD:
      g_value_set_boolean (value, usock_socket_get_held (self));
      break;
    case PROP_HAD_ERROR:
      g_value_set_boolean (value, usock_socket_get_had_error (self));
      break;
    case PROP_LOCAL_ADDRESS:
      g_value_set_object (value, usock_socket_get_local_address (self));
      break;
    case PROP_REMOTE_ADDRESS:
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
    case PROP_HELD:
      usock_socket_set_held (self, g_value_get_boolean (value));
      break;
    case PROP_FD:
    case PROP_FAMILY:
    case PROP_SOCKET_TYPE:
    case PROP_STATE:
    case PROP_HAD_ERROR:
    case PROP_LOCAL_ADDRESS:
    case PROP_REMOTE_ADDRESS:
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
usock_socket_class_init (UsockSocketClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  const GParamFlags read_only = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

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

  /**
   * UsockSocket:fd: (getter get_fd)
   *
   * The descriptor, or -1 while there is none.
   *
   * Since: 1.0
   */
  properties[PROP_FD] = g_param_spec_int ("fd", NULL, NULL, -1, G_MAXINT, -1, read_only);

  /**
   * UsockSocket:family: (getter get_family)
   *
   * The address family: a [enum@Usock.Family], or another that the system has.
   *
   * Since: 1.0
   */
  properties[PROP_FAMILY]
      = g_param_spec_int ("family", NULL, NULL, 0, G_MAXINT, USOCK_AF_UNIX, read_only);

  /**
   * UsockSocket:socket-type: (getter get_socket_type)
   *
   * What the socket transports: packets, datagrams or a stream.
   *
   * Since: 1.0
   */
  properties[PROP_SOCKET_TYPE]
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
  properties[PROP_STATE] = g_param_spec_enum ("state", NULL, NULL, USOCK_TYPE_STATE,
                                              USOCK_STATE_NEW, read_only);

  /**
   * UsockSocket:held: (getter get_held) (setter set_held)
   *
   * Whether [func@Usock.run_until_closed] waits for this socket to close.
   *
   * Since: 1.0
   */
  properties[PROP_HELD] = g_param_spec_boolean ("held", NULL, NULL, TRUE, read_write);

  /**
   * UsockSocket:had-error: (getter get_had_error)
   *
   * Whether the socket was closed by an error.
   *
   * Since: 1.0
   */
  properties[PROP_HAD_ERROR] = g_param_spec_boolean ("had-error", NULL, NULL, FALSE, read_only);

  /**
   * UsockSocket:local-address: (getter get_local_address)
   *
   * Our address, or %NULL if it is not known.
   *
   * Since: 1.0
   */
  properties[PROP_LOCAL_ADDRESS] = g_param_spec_object ("local-address", NULL, NULL,
                                                        G_TYPE_SOCKET_ADDRESS, read_only);

  /**
   * UsockSocket:remote-address: (getter get_remote_address)
   *
   * The address of the peer, or %NULL if there is none or it is not known.
   *
   * Since: 1.0
   */
  properties[PROP_REMOTE_ADDRESS] = g_param_spec_object ("remote-address", NULL, NULL,
                                                         G_TYPE_SOCKET_ADDRESS, read_only);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);

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

static void
usock_socket_init (UsockSocket *self)
{
  self->fd = self->notified_fd = -1;
  self->notified_family = AF_UNIX;
  self->held = TRUE;
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
  socket_close_fd (self);
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

static UsockAccess
socket_get_access (UsockSocket *self)
{
  return self->reactor != NULL ? usock_reactor_get_access (self->reactor) : USOCK_ACCESS_GRANTED;
}

/* For calls that can fail: whether this thread may make them. What is told of the socket is only
 * what never changes. */
gboolean
usock_socket_check_thread (UsockSocket  *self,
                           GError      **error)
{
  if (G_LIKELY (socket_get_access (self) != USOCK_ACCESS_ELSEWHERE))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
               _("Could not use the %s at %p in this thread: it belongs to the one that runs its "
                 "main context; from others, only usock_channel_post() can be called"),
               G_OBJECT_TYPE_NAME (self), self);
  return FALSE;
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

/* For calls that can not fail: those that close, which a forked child may make as well. */
gboolean
usock_socket_may_close (UsockSocket *self,
                        const char  *call)
{
  if (G_LIKELY (socket_get_access (self) != USOCK_ACCESS_ELSEWHERE))
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
  return socket_get_access (self) != USOCK_ACCESS_INHERITED
         && usock_socket_may_close (self, call);
}

/* Whether anything but closing is allowed here. */
gboolean
usock_socket_check (UsockSocket  *self,
                    GError      **error)
{
  UsockAccess access;

  socket_find_reactor (self);
  access = socket_get_access (self);

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
usock_socket_set_label (UsockSocket *self,
                        const char  *label)
{
  g_free (self->label);
  self->label = g_strdup (label);
}

/* The user is known of one in another pid namespace too. */
static char *
socket_describe_process (UsockSocket *self)
{
  if (usock_socket_find_peer (self) < 0)
    return NULL;
  if (self->peer.pid <= 0)
    return g_strdup_printf (_("a process of user %u"), (guint) self->peer.uid);

  return g_strdup_printf (_("process %d"), (int) self->peer.pid);
}

/* An adopted socket came without a name for its peer, and peers seldom have one of their own. */
static char *
socket_describe_peer (UsockSocket *self)
{
  GSocketAddress *address = usock_socket_get_remote_address (self);
  char *text = address != NULL ? usock_address_to_string (address) : NULL;

  if (text == NULL)
    text = socket_describe_process (self);
  if (text == NULL)
    text = g_strdup (self->type == SOCK_DGRAM ? _("anyone") : _("a peer without a name"));
  return text;
}

const char *
usock_socket_get_label (UsockSocket *self)
{
  if (self->label == NULL && self->fd == -1 && !self->peer_known && self->remote_address == NULL)
    return _("a peer without a name");
  if (self->label == NULL)
    self->label = socket_describe_peer (self);

  return self->label;
}

/* To be asked for while the connection stands: of one to another machine the kernel forgets it with
 * the connection, which the other side may end at any time. */
void
usock_socket_remember_remote (UsockSocket *self)
{
  if (self->family != AF_UNIX)
    usock_socket_get_remote_address (self);
}

/* The length of a packet has 16 bits. IPv4 counts its own head with it, UDP its own with both. */
static int
socket_get_udp_limit (UsockSocket *self)
{
  return G_MAXUINT16 - 8 - (self->family == AF_INET ? 20 : 0);
}

void
usock_socket_set_too_large (UsockSocket  *self,
                            gsize         length,
                            const char   *label,
                            GError      **error)
{
  if (self->type == SOCK_DGRAM && (self->family == AF_INET || self->family == AF_INET6))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                 _("Could not send a message of %zu bytes to “%s”: UDP takes no more than %d, and "
                   "less where packets must not be cut"),
                 length, label, socket_get_udp_limit (self));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                 _("Could not send a message of %zu bytes to “%s”: the system "
                   "takes no more than %d, and less if net.core.wmem_max says so"),
                 length, label, USOCK_IO_MESSAGE_MAX);
}

void
usock_socket_record (UsockSocket *self,
                     UsockIoCall  call,
                     int          errnum)
{
  self->error_call = call;
  self->error_number = errnum;
}

/* Takes the error over; without one it is a plain close. */
void
usock_socket_fail (UsockSocket *self,
                   GError      *error)
{
  socket_close_with (self, error);
}

/* The socket ends with what broke it before, or else it is a plain close. */
void
usock_socket_conclude (UsockSocket *self)
{
  socket_close_with (self, g_steal_pointer (&self->fate.error));
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
  socket_close_with (self, NULL);
  return fd;
}

/* For what does not end the socket. */
void
usock_socket_emit_error (UsockSocket  *self,
                         const GError *error)
{
  g_signal_emit (self, signals[SIGNAL_ERROR], 0, error);
}

/* Has a new socket run where @other runs, wherever it was made. */
void
usock_socket_join (UsockSocket *self,
                   UsockSocket *other)
{
  g_assert (self->state == USOCK_STATE_NEW);

  if (self->reactor == other->reactor)
    return;

  g_clear_pointer (&self->reactor, usock_reactor_unref);
  self->reactor = usock_reactor_ref (other->reactor);
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
 * usock_socket_get_local_address: (get-property local-address)
 * @self: a socket
 *
 * Gets our address, as getsockname(2) tells it.
 *
 * Returns: (transfer none) (nullable): the address; %NULL if there is no descriptor, or if
 *   the path is longer than the 107 bytes that an address holds
 *
 * Since: 1.0
 */
GSocketAddress *
usock_socket_get_local_address (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);

  if (!usock_socket_may_close (self, G_STRFUNC))
    return NULL;
  if (self->local_address == NULL && self->fd != -1)
    self->local_address = usock_io_get_local_address (self->fd);

  return self->local_address;
}

/**
 * usock_socket_get_remote_address: (get-property remote-address)
 * @self: a socket
 *
 * Gets the address of the peer, as getpeername(2) tells it. The peer that
 * connected is anonymous, unless it bound its socket first.
 *
 * Returns: (transfer none) (nullable): the address; %NULL if there is no peer, or if the
 *   path is longer than the 107 bytes that an address holds
 *
 * Since: 1.0
 */
GSocketAddress *
usock_socket_get_remote_address (UsockSocket *self)
{
  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);

  if (!usock_socket_may_close (self, G_STRFUNC))
    return NULL;
  if (self->remote_address == NULL && self->fd != -1)
    self->remote_address = usock_io_get_remote_address (self->fd);

  return self->remote_address;
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
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HELD]);
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

  socket_close_with (self, NULL);
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

  socket_close_with (self, error != NULL ? g_error_copy (error) : NULL);
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
