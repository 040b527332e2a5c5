/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <errno.h>

static gboolean
stream_connect_by_lookup (UsockStream         *self,
                          GSocketConnectable  *connectable,
                          const char          *label,
                          const char          *host,
                          GSocketFamily        family,
                          GError             **error)
{
  if (!usock_stream_begin (self, label, error))
    return FALSE;

  usock_stream_start_lookup (self, connectable, host, family);
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
