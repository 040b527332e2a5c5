/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-client-private.h"

#include "usock-stream.h"

#include <errno.h>

static gboolean
client_check_startable (UsockClient       *self,
                        UsockClientPlace  *place,
                        GError           **error)
{
  usock_client_find_reactor (self);
  if (self->started)
    usock_error_set_errno (error, EALREADY, _("Could not start a client for “%s”"), place->label);
  else if (self->reactor == NULL)
    usock_error_set_errno (error, EMFILE, _("Could not start a client for “%s”"), place->label);
  else
    return usock_client_check_access (self, place->label, error);

  return FALSE;
}

/* Takes what is in @place over. */
static gboolean
client_start (UsockClient       *self,
              UsockClientPlace   place,
              GError           **error)
{
  if (client_check_startable (self, &place, error))
    {
      usock_client_begin (self, place);
      return TRUE;
    }

  usock_client_place_clear (&place);
  return FALSE;
}

/* Takes @name over as well, which may be NULL, with @error set. */
static gboolean
client_start_for (UsockClient       *self,
                  UsockClientPlace   place,
                  UsockName         *name,
                  GError           **error)
{
  if (name == NULL)
    {
      usock_client_place_clear (&place);
      return FALSE;
    }

  place.label = g_strdup (name->label);
  usock_name_free (name);
  return client_start (self, place, error);
}

/**
 * usock_client_start_for_path:
 * @self: a client
 * @path: (type filename): where the server listens, or will, as in
 *   [method@Usock.Channel.connect_to_path]; a relative one is fixed now
 * @error: return location for an error
 *
 * Connects to a server of this machine, and keeps doing so until [method@Usock.Client.stop]. The
 * first attempt is made from the main context. The server need not be there yet.
 *
 * Fails with `G_IO_ERROR_PENDING` if the client is started already, and with
 * `G_IO_ERROR_INVALID_FILENAME` and the like for what is no path.
 *
 * Returns: whether it was started
 *
 * Since: 1.0
 */
gboolean
usock_client_start_for_path (UsockClient  *self,
                             const char   *path,
                             GError      **error)
{
  UsockClientPlace place = { .kind = USOCK_CLIENT_PATH };

  g_return_val_if_fail (USOCK_IS_CLIENT (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  if (path[0] == '/' || path[0] == '@' || path[0] == '\0')
    place.text = g_strdup (path);
  else
    {
      g_autofree char *here = g_get_current_dir ();

      place.text = g_build_filename (here, path, NULL);
    }
  return client_start_for (self, place, usock_name_new_for_path (path, error), error);
}

/**
 * usock_client_start_for_name:
 * @self: a client
 * @name: what the service is known by, `org.example.App` for one; no path
 * @error: return location for an error
 *
 * Connects to a service of the same user, as [method@Usock.Channel.connect_to_name] does, and keeps
 * doing so until [method@Usock.Client.stop].
 *
 * Fails as [method@Usock.Client.start_for_path] does, and as
 * [method@Usock.Channel.connect_to_name] if there can be no such service.
 *
 * Returns: whether it was started
 *
 * Since: 1.0
 */
gboolean
usock_client_start_for_name (UsockClient  *self,
                             const char   *name,
                             GError      **error)
{
  UsockClientPlace place = { .kind = USOCK_CLIENT_NAME };

  g_return_val_if_fail (USOCK_IS_CLIENT (self), FALSE);
  g_return_val_if_fail (name != NULL, FALSE);

  place.text = g_strdup (name);
  return client_start_for (self, place, usock_name_new_for_service (name, error), error);
}

/**
 * usock_client_start_for_address:
 * @self: a client
 * @address: (transfer none): where the server listens, or will
 * @error: return location for an error
 *
 * Connects to a server, as [method@Usock.Channel.connect_to_address] does, and keeps doing so until
 * [method@Usock.Client.stop]. An address of the internet is for streams.
 *
 * Fails as [method@Usock.Client.start_for_path] does, and with `G_IO_ERROR_NOT_SUPPORTED` for an
 * address that its channels can not connect to.
 *
 * Returns: whether it was started
 *
 * Since: 1.0
 */
gboolean
usock_client_start_for_address (UsockClient     *self,
                                GSocketAddress  *address,
                                GError         **error)
{
  UsockClientPlace place = { .kind = USOCK_CLIENT_ADDRESS };
  g_autoptr (UsockName) name = NULL;

  g_return_val_if_fail (USOCK_IS_CLIENT (self), FALSE);
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (address), FALSE);

  name = usock_name_new_for_address (address, error);
  if (name != NULL && g_socket_address_get_family (address) != G_SOCKET_FAMILY_UNIX
      && !g_type_is_a (self->channel_type, USOCK_TYPE_STREAM))
    {
      usock_error_set_errno (error, EAFNOSUPPORT, _("Could not start a client for “%s”"),
                             name->label);
      return FALSE;
    }

  place.address = g_object_ref (address);
  return client_start_for (self, place, g_steal_pointer (&name), error);
}

/**
 * usock_client_start_for_host:
 * @self: a client of streams
 * @host: a host name, or an address, as in [method@Usock.Stream.connect_to_host]
 * @port: the port, from 1 to 65535
 * @error: return location for an error
 *
 * Connects to a host by TCP, as [method@Usock.Stream.connect_to_host] does, and keeps doing so until
 * [method@Usock.Client.stop]. A name is looked up for each attempt.
 *
 * Fails as [method@Usock.Client.start_for_path] does, with `G_IO_ERROR_INVALID_ARGUMENT` if there
 * is no such host or port, and with `G_IO_ERROR_NOT_SUPPORTED` if its channels are no streams.
 *
 * Returns: whether it was started
 *
 * Since: 1.0
 */
gboolean
usock_client_start_for_host (UsockClient  *self,
                             const char   *host,
                             guint         port,
                             GError      **error)
{
  UsockClientPlace place = { .kind = USOCK_CLIENT_HOST, .port = port };
  gboolean is_stream;

  g_return_val_if_fail (USOCK_IS_CLIENT (self), FALSE);
  g_return_val_if_fail (host != NULL, FALSE);

  place.text = g_utf8_make_valid (host, -1);
  place.label = g_strdup_printf ("%s:%u", place.text, port);
  is_stream = g_type_is_a (self->channel_type, USOCK_TYPE_STREAM);
  if (is_stream && port > 0 && port <= G_MAXUINT16 && *host != '\0')
    return client_start (self, place, error);

  usock_error_set_errno (error, is_stream ? EINVAL : EAFNOSUPPORT,
                         _("Could not start a client for “%s”"), place.label);
  usock_client_place_clear (&place);
  return FALSE;
}
