/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <errno.h>
#include <unistd.h>

/* The addresses of a host, as they are found. The enumerator may answer from within the call that
 * asks it; what it says waits for a turn of the stream. */
struct _UsockStreamLookup
{
  UsockStream *stream; /* NULL once nobody wants to know */
  GSocketAddressEnumerator *enumerator;
  GCancellable *cancellable;
  GSocketFamily family; /* INVALID for any */
  char *host;
  gboolean asking;
  GQueue found;
  GError *error;
};

enum
{
  SIGNAL_LOOKUP,
  SIGNAL_ATTEMPT_FAILED,
  N_SIGNALS,
};

static guint signals[N_SIGNALS];

/* When the class is made. */
void
usock_stream_add_signals (void)
{
  /**
   * UsockStream::lookup:
   * @self: the stream
   * @error: (nullable): why the host was not found, or %NULL
   * @address: (nullable): an address of the host, without the port; %NULL with @error
   * @family: of which family the address is
   * @host: the host that is looked up
   *
   * Emitted for each address of a host that is found, before it is tried; or
   * once, if looking it up fails. A handler that does not like the address may
   * close the stream. Not emitted for a host that is an address itself.
   *
   * Since: 1.0
   */
  signals[SIGNAL_LOOKUP]
      = g_signal_new ("lookup", USOCK_TYPE_STREAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 4, G_TYPE_ERROR, G_TYPE_STRING, G_TYPE_SOCKET_FAMILY,
                      G_TYPE_STRING);

  /**
   * UsockStream::attempt-failed:
   * @self: the stream
   * @address: an address of the host
   * @error: why it was not to be connected to
   *
   * Emitted for each address of a host that failed, while others may still answer. When all have
   * failed, the message of [signal@Usock.Socket::error] names each.
   *
   * Since: 1.0
   */
  signals[SIGNAL_ATTEMPT_FAILED]
      = g_signal_new ("attempt-failed", USOCK_TYPE_STREAM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_SOCKET_ADDRESS, G_TYPE_ERROR);
}

static void
lookup_free (UsockStreamLookup *self)
{
  g_object_unref (self->enumerator);
  g_object_unref (self->cancellable);
  g_free (self->host);
  g_queue_clear_full (&self->found, g_object_unref);
  g_clear_error (&self->error);
  g_free (self);
}

static gboolean
lookup_wants (UsockStreamLookup *self,
              GSocketAddress    *address)
{
  GSocketFamily family = g_socket_address_get_family (address);

  return family != G_SOCKET_FAMILY_UNIX
         && (self->family == G_SOCKET_FAMILY_INVALID || self->family == family);
}

static void
lookup_next_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  UsockStreamLookup *self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) address = g_socket_address_enumerator_next_finish (
      G_SOCKET_ADDRESS_ENUMERATOR (source), result, &error);

  if (self->stream == NULL)
    {
      lookup_free (self);
      return;
    }

  usock_watch_wake (&USOCK_SOCKET (self->stream)->watch);
  if (address == NULL)
    {
      self->asking = FALSE;
      self->error = g_steal_pointer (&error);
      return;
    }

  if (lookup_wants (self, address))
    g_queue_push_tail (&self->found, g_steal_pointer (&address));
  g_socket_address_enumerator_next_async (self->enumerator, self->cancellable, lookup_next_cb,
                                          self);
}

static void
lookup_stop (UsockStreamLookup *self)
{
  self->stream = NULL;
  if (self->asking)
    g_cancellable_cancel (self->cancellable);
  else
    lookup_free (self);
}

static void
stream_start_lookup (UsockStream        *self,
                     GSocketConnectable *connectable,
                     const char         *host,
                     GSocketFamily       family)
{
  UsockStreamLookup *lookup = g_new0 (UsockStreamLookup, 1);

  lookup->stream = self;
  lookup->enumerator = g_socket_connectable_enumerate (connectable);
  lookup->cancellable = g_cancellable_new ();
  lookup->family = family;
  lookup->host = g_strdup (host);
  lookup->asking = TRUE;
  self->lookup = lookup;
  g_socket_address_enumerator_next_async (lookup->enumerator, lookup->cancellable, lookup_next_cb,
                                          lookup);
}

/* The race. */

static int
stream_prepare_cb (int      fd,
                   gpointer user_data)
{
  return usock_channel_prepare_fd (user_data, fd);
}

static void
stream_ready_cb (gpointer user_data)
{
  usock_watch_wake (&USOCK_SOCKET (user_data)->watch);
}

static gboolean
stream_begin (UsockStream  *self,
              const char   *label,
              GError      **error)
{
  UsockChannel *channel = USOCK_CHANNEL (self);
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (UsockName) local = NULL;

  if (!usock_channel_check_connectable (channel, label, error))
    return FALSE;
  if (channel->approach.fd != -1)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                   _("Could not connect to “%s”: the socket has a name of this machine"), label);
      return FALSE;
    }
  if (self->bind_address != NULL)
    {
      local = usock_name_new_for_address (G_SOCKET_ADDRESS (self->bind_address), error);
      if (local == NULL)
        return FALSE;
    }

  if (!usock_socket_start (socket, -1, FALSE, error))
    return FALSE;
  usock_socket_set_label (socket, label);
  socket->family = AF_INET;
  self->connector
      = usock_connector_new (socket->reactor, stream_prepare_cb, stream_ready_cb, self);
  usock_connector_bind (self->connector, g_steal_pointer (&local));
  usock_connector_set_delay (self->connector, self->attempt_delay);
  usock_connector_set_failed (self->connector, stream_ready_cb);
  self->n_told = 0;
  channel->approach.due = channel->connect_timeout > 0
                             ? g_get_monotonic_time ()
                                   + channel->connect_timeout * G_GINT64_CONSTANT (1000)
                             : 0;
  channel->approach.next = channel->approach.due > 0 ? channel->approach.due : G_MAXINT64;
  usock_socket_set_state (socket, USOCK_STATE_CONNECTING);
  return TRUE;
}

void
usock_stream_stop_connecting (UsockChannel *channel)
{
  UsockStream *self = USOCK_STREAM (channel);

  g_clear_pointer (&self->lookup, lookup_stop);
  if (self->connector == NULL)
    return;

  self->round++;
  g_clear_pointer (&self->connector, usock_connector_free);
  if (USOCK_SOCKET (self)->fd == -1)
    USOCK_SOCKET (self)->family = AF_UNIX;
}

static gboolean
stream_open (UsockStream  *self,
             int           fd,
             int           family,
             GError      **error)
{
  UsockChannel *channel = USOCK_CHANNEL (self);

  USOCK_SOCKET (self)->family = family;
  channel->approach.announce = TRUE;
  if (usock_channel_accept (channel, fd, error))
    return TRUE;

  channel->approach.announce = FALSE;
  usock_io_close (fd);
  return FALSE;
}

static GError *
stream_new_lookup_error (UsockStream  *self,
                         const GError *cause)
{
  g_autofree char *tried
      = g_strdup_printf (_("Could not connect to “%s”"), USOCK_SOCKET (self)->label);

  return usock_error_new_lookup (tried, cause);
}

/* Each address with its reason; NULL if there was but one. */
static char *
stream_describe_failures (UsockStream *self)
{
  g_autoptr (GString) text = g_string_new (NULL);
  const UsockConnectorFailure *failure;
  guint n = 0;

  for (; (failure = usock_connector_get_failure (self->connector, n)) != NULL; n++)
    {
      if (n > 0)
        g_string_append (text, "; ");
      /* Translators: one of several addresses, then why it could not be connected to */
      g_string_append_printf (text, _("%s: %s"), failure->name->label,
                              g_strerror (failure->errnum));
    }
  return n > 1 ? g_string_free (g_steal_pointer (&text), FALSE) : NULL;
}

static void
stream_set_failure_error (UsockStream  *self,
                          UsockIoCall   call,
                          int           errnum,
                          GError      **error)
{
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autofree char *failures = stream_describe_failures (self);

  usock_socket_record (socket, call, errnum);
  if (failures != NULL)
    g_set_error (error, G_IO_ERROR, usock_error_code (errnum), _("Could not connect to “%s”: %s"),
                 socket->label, failures);
  else
    usock_error_set_errno (error, errnum,
                           call == USOCK_IO_BIND ? _("Could not bind a socket to connect to “%s”")
                                                 : _("Could not connect to “%s”"),
                           socket->label);
  if (call == USOCK_IO_SET_OPTION)
    usock_socket_explain_option (socket, error);
}

static void
stream_set_race_error (UsockStream  *self,
                       UsockIoCall   call,
                       int           errnum,
                       GError      **error)
{
  if (errnum != ENODATA)
    stream_set_failure_error (self, call, errnum, error);
  else if (self->lookup != NULL && self->lookup->error != NULL)
    g_propagate_error (error, stream_new_lookup_error (self, self->lookup->error));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_HOST_NOT_FOUND,
                 _("Could not connect to “%s”: the host has no address of the wanted family"),
                 USOCK_SOCKET (self)->label);
}

/* A handler may close the stream, or cancel and connect again. */
static void
stream_tell_failures (UsockStream *self)
{
  guint round = self->round;
  const UsockConnectorFailure *failure;

  while (self->round == round && self->connector != NULL
         && (failure = usock_connector_get_failure (self->connector, self->n_told)) != NULL)
    {
      g_autoptr (GSocketAddress) address = usock_name_to_address (failure->name);
      g_autoptr (GError) error = NULL;

      self->n_told++;
      usock_error_set_errno (&error, failure->errnum, _("Could not connect to “%s”"),
                             failure->name->label);
      g_signal_emit (self, signals[SIGNAL_ATTEMPT_FAILED], 0, address, error);
    }
}

/* FALSE if the race is over and nobody won. */
static gboolean
stream_settle (UsockStream  *self,
               GError      **error)
{
  int family = AF_UNIX;
  UsockIoCall call = USOCK_IO_NONE;
  int result = usock_connector_take (self->connector, &family, &call);

  if (result == -EINPROGRESS)
    return TRUE;

  if (result < 0)
    stream_set_race_error (self, call, -result, error);
  usock_stream_stop_connecting (USOCK_CHANNEL (self));
  return result >= 0 && stream_open (self, result, family, error);
}

gboolean
usock_stream_connect (UsockChannel  *channel,
                      UsockName     *target,
                      GError       **error)
{
  UsockStream *self = USOCK_STREAM (channel);
  g_autoptr (UsockName) owned = target;

  if (target->path != NULL || target->native.any.sa_family == AF_UNIX)
    return usock_channel_connect_new (channel, g_steal_pointer (&owned), error);

  if (!stream_begin (self, target->label, error))
    return FALSE;

  usock_connector_add (self->connector, g_steal_pointer (&owned));
  usock_connector_finish (self->connector);
  if (stream_settle (self, error))
    return TRUE;

  usock_socket_retreat (USOCK_SOCKET (self));
  return FALSE;
}

static void
stream_emit_lookup (UsockStream    *self,
                    GSocketAddress *address,
                    const GError   *error)
{
  g_autofree char *host = g_strdup (self->lookup->host);
  g_autofree char *text = NULL;
  GSocketFamily family = G_SOCKET_FAMILY_INVALID;

  if (G_IS_INET_SOCKET_ADDRESS (address))
    text = g_inet_address_to_string (
        g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address)));
  if (address != NULL)
    family = g_socket_address_get_family (address);

  g_signal_emit (self, signals[SIGNAL_LOOKUP], 0, error, text, family, host);
}

/* A handler may close the stream, or cancel and connect again. */
static void
stream_take_found (UsockStream *self)
{
  guint round = self->round;
  GSocketAddress *found;

  while (self->round == round && self->lookup != NULL
         && (found = g_queue_pop_head (&self->lookup->found)) != NULL)
    {
      g_autoptr (GSocketAddress) address = found;
      g_autoptr (UsockName) name = usock_name_new_for_address (address, NULL);

      stream_emit_lookup (self, address, NULL);
      if (self->round == round && name != NULL)
        usock_connector_add (self->connector, g_steal_pointer (&name));
    }

  if (self->round != round || self->lookup == NULL || self->lookup->asking || self->looked_up)
    return;

  self->looked_up = TRUE;
  if (self->lookup->error != NULL)
    {
      g_autoptr (GError) error = stream_new_lookup_error (self, self->lookup->error);

      stream_emit_lookup (self, NULL, error);
    }
  if (self->round == round)
    usock_connector_finish (self->connector);
}

/* A turn while it connects. */
void
usock_stream_retry_connect (UsockChannel *channel)
{
  UsockStream *self = USOCK_STREAM (channel);
  UsockSocket *socket = USOCK_SOCKET (self);
  g_autoptr (GError) error = NULL;

  if (self->connector == NULL)
    {
      usock_channel_retry_connect (channel);
      return;
    }

  stream_take_found (self);
  stream_tell_failures (self);
  if (self->connector == NULL)
    return;

  if (!stream_settle (self, &error))
    usock_socket_fail (socket, g_steal_pointer (&error));
  else if (socket->state == USOCK_STATE_CONNECTING && channel->approach.due > 0
           && g_get_monotonic_time () >= channel->approach.due)
    {
      usock_socket_record (socket, USOCK_IO_CONNECT, ETIMEDOUT);
      usock_socket_fail (socket, g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                              _("Could not connect to “%s”: there was no answer "
                                                "for %u milliseconds"),
                                              socket->label, channel->connect_timeout));
    }
}

static gboolean
stream_connect_by_lookup (UsockStream         *self,
                          GSocketConnectable  *connectable,
                          const char          *label,
                          const char          *host,
                          GSocketFamily        family,
                          GError             **error)
{
  if (!stream_begin (self, label, error))
    return FALSE;

  self->looked_up = FALSE;
  stream_start_lookup (self, connectable, host, family);
  return TRUE;
}

/* Addresses are not looked up. */
static gboolean
stream_connect_to_literal (UsockStream     *self,
                           GSocketAddress  *address,
                           GSocketFamily    family,
                           GError         **error)
{
  g_autoptr (UsockName) name = usock_name_new_for_address (address, error);

  if (name == NULL)
    return FALSE;
  if (family != G_SOCKET_FAMILY_INVALID && g_socket_address_get_family (address) != family)
    {
      usock_error_set_errno (error, EAFNOSUPPORT, _("Could not connect to “%s”"), name->label);
      return FALSE;
    }

  return usock_stream_connect (USOCK_CHANNEL (self), g_steal_pointer (&name), error);
}

/* Whether it may be looked up. */
static gboolean
host_is_valid (const char *host)
{
  g_autofree char *ascii = NULL;

  if (*host != '\0' && g_utf8_validate (host, -1, NULL))
    ascii = g_hostname_to_ascii (host);
  return ascii != NULL;
}

static gboolean
stream_connect_to_host (UsockStream    *self,
                        const char     *host,
                        guint           port,
                        GSocketFamily   family,
                        GError        **error)
{
  g_autoptr (GSocketAddress) literal = NULL;
  g_autoptr (GSocketConnectable) connectable = NULL;
  g_autofree char *shown = g_utf8_make_valid (host, -1);
  g_autofree char *label = g_strdup_printf ("%s:%u", shown, port);

  if (port > G_MAXUINT16 || !host_is_valid (host))
    {
      usock_error_set_errno (error, EINVAL, _("Could not connect to “%s”"), label);
      return FALSE;
    }

  literal = g_inet_socket_address_new_from_string (host, port);
  if (literal != NULL)
    return stream_connect_to_literal (self, literal, family, error);

  connectable = g_network_address_new (host, port);
  return stream_connect_by_lookup (self, connectable, label, host, family, error);
}

static gboolean
stream_connect_to_connectable (UsockStream         *self,
                               GSocketConnectable  *connectable,
                               GError             **error)
{
  g_autofree char *label = NULL;

  if (G_IS_SOCKET_ADDRESS (connectable))
    return usock_channel_connect_to_address (USOCK_CHANNEL (self), G_SOCKET_ADDRESS (connectable),
                                             error);

  label = g_socket_connectable_to_string (connectable);
  if (G_IS_NETWORK_ADDRESS (connectable))
    return stream_connect_to_host (
        self, g_network_address_get_hostname (G_NETWORK_ADDRESS (connectable)),
        g_network_address_get_port (G_NETWORK_ADDRESS (connectable)), G_SOCKET_FAMILY_INVALID,
        error);

  return stream_connect_by_lookup (self, connectable, label, label, G_SOCKET_FAMILY_INVALID,
                                   error);
}

/**
 * usock_stream_connect_to_host:
 * @self: a new stream
 * @host: a host name, or an IPv4 or IPv6 address, which may have a scope: `fe80::1%eth0`
 * @port: the port, from 1 to 65535
 * @family: `IPV4` or `IPV6` to use only such addresses; `INVALID`, which is 0, for both
 * @error: return location for an error
 *
 * Connects to a host by TCP. A name is looked up by the default
 * [class@Gio.Resolver]; [signal@Usock.Stream::lookup] tells what was found. The
 * addresses are tried as RFC 8305 says, IPv6 and IPv4 in turn, a new one after
 * each [property@Usock.Stream:attempt-delay] or as soon as one fails, and the
 * first that answers is taken. All this together has
 * [property@Usock.Channel:connect-timeout].
 *
 * [signal@Usock.Channel::connect] follows from the main context; what is sent
 * before it is not lost. What is known at once is returned at once, without a
 * signal, and the stream may try again: `G_IO_ERROR_INVALID_ARGUMENT` if there is
 * no such host or port, `G_IO_ERROR_PENDING` and `G_IO_ERROR_EXISTS` if the stream
 * is connecting or connected already, `G_IO_ERROR_CLOSED`. What turns out later
 * closes the stream with [signal@Usock.Socket::error]:
 * `G_IO_ERROR_HOST_NOT_FOUND`, `G_IO_ERROR_CONNECTION_REFUSED`,
 * `G_IO_ERROR_TIMED_OUT`, `G_IO_ERROR_NETWORK_UNREACHABLE`,
 * `G_IO_ERROR_HOST_UNREACHABLE`, and others of connect(2). If the addresses fail
 * in different ways, the answer of a host counts more than its silence; the
 * message names each address with its reason, as
 * [signal@Usock.Stream::attempt-failed] does.
 *
 * Returns: whether the connection is being made
 *
 * Since: 1.0
 */
gboolean
usock_stream_connect_to_host (UsockStream    *self,
                              const char     *host,
                              guint           port,
                              GSocketFamily   family,
                              GError        **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);
  g_return_val_if_fail (host != NULL, FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  return stream_connect_to_host (self, host, port, family, error);
}

/* Takes the error over, with which nothing was @begun. */
static void
stream_await_connect (UsockStream    *self,
                      UsockOperation *operation,
                      gboolean        begun,
                      GError         *error)
{
  if (begun)
    USOCK_CHANNEL (self)->pending.connecting = operation;
  else
    usock_channel_fail_operation (USOCK_CHANNEL (self), operation, error);
}

/* NULL for whoever cancelled before, and gets no connection, which others would see come and go. */
static UsockOperation *
stream_new_connect (UsockStream         *self,
                    GCancellable        *cancellable,
                    GAsyncReadyCallback  callback,
                    gpointer             user_data)
{
  UsockChannel *channel = USOCK_CHANNEL (self);
  UsockOperation *operation = usock_channel_new_operation (channel, usock_channel_connect_async,
                                                           cancellable, callback, user_data);

  if (!usock_operation_is_cancelled (operation))
    return operation;

  usock_channel_cancel_operation (channel, operation);
  return NULL;
}

/**
 * usock_stream_connect_to_host_async:
 * @self: a new stream
 * @host: a host name or address, as in [method@Usock.Stream.connect_to_host]
 * @port: the port, from 1 to 65535
 * @family: `IPV4` or `IPV6` to use only such addresses; `INVALID`, which is 0, for both
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Connects to a host by TCP, and completes when [signal@Usock.Channel::connect]
 * was emitted. When it is cancelled while there is no connection yet, the
 * stream is new again.
 *
 * Since: 1.0
 */
void
usock_stream_connect_to_host_async (UsockStream         *self,
                                    const char          *host,
                                    guint                port,
                                    GSocketFamily        family,
                                    GCancellable        *cancellable,
                                    GAsyncReadyCallback  callback,
                                    gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;
  gboolean begun;

  g_return_if_fail (USOCK_IS_STREAM (self));
  g_return_if_fail (host != NULL);

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_connect_async, callback,
                                 user_data))
    return;

  operation = stream_new_connect (self, cancellable, callback, user_data);
  if (operation == NULL)
    return;

  begun = stream_connect_to_host (self, host, port, family, &error);
  stream_await_connect (self, operation, begun, error);
}

/**
 * usock_stream_connect_to_host_finish:
 * @self: a stream
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Stream.connect_to_host_async]. The errors are those of
 * [method@Usock.Stream.connect_to_host], those that come later among them, and
 * `G_IO_ERROR_CANCELLED`.
 *
 * Returns: whether the stream is connected
 *
 * Since: 1.0
 */
gboolean
usock_stream_connect_to_host_finish (UsockStream   *self,
                                     GAsyncResult  *result,
                                     GError       **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);

  return usock_channel_connect_finish (USOCK_CHANNEL (self), result, error);
}

/**
 * usock_stream_connect_to_connectable_async:
 * @self: a new stream
 * @connectable: (transfer none): where to connect, a [class@Gio.NetworkService] for example
 * @cancellable: (nullable): what may cancel the call
 * @callback: (scope async): what to call when it is done
 * @user_data: data for @callback
 *
 * Connects to whatever has addresses, as
 * [method@Usock.Stream.connect_to_host_async] does. The addresses are those that
 * @connectable enumerates; proxies are not asked for any.
 *
 * Since: 1.0
 */
void
usock_stream_connect_to_connectable_async (UsockStream         *self,
                                           GSocketConnectable  *connectable,
                                           GCancellable        *cancellable,
                                           GAsyncReadyCallback  callback,
                                           gpointer             user_data)
{
  UsockOperation *operation;
  GError *error = NULL;
  gboolean begun;

  g_return_if_fail (USOCK_IS_STREAM (self));
  g_return_if_fail (G_IS_SOCKET_CONNECTABLE (connectable));

  if (!usock_socket_check_async (USOCK_SOCKET (self), usock_channel_connect_async, callback,
                                 user_data))
    return;

  operation = stream_new_connect (self, cancellable, callback, user_data);
  if (operation == NULL)
    return;

  begun = stream_connect_to_connectable (self, connectable, &error);
  stream_await_connect (self, operation, begun, error);
}

/**
 * usock_stream_connect_to_connectable_finish:
 * @self: a stream
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Usock.Stream.connect_to_connectable_async], with the errors of
 * [method@Usock.Stream.connect_to_host_finish].
 *
 * Returns: whether the stream is connected
 *
 * Since: 1.0
 */
gboolean
usock_stream_connect_to_connectable_finish (UsockStream   *self,
                                            GAsyncResult  *result,
                                            GError       **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);

  return usock_channel_connect_finish (USOCK_CHANNEL (self), result, error);
}
