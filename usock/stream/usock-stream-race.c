/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <errno.h>

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

/* Of @host, as the signals call it. */
void
usock_stream_start_lookup (UsockStream        *self,
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
  self->looked_up = FALSE;
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

gboolean
usock_stream_begin (UsockStream  *self,
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

  if (!usock_stream_begin (self, target->label, error))
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
