/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-socket-private.h"

#include <errno.h>

#include "usock-option-private.h"

/* Set before there was a descriptor. */
typedef struct
{
  int level;
  int name;
  GVariant *value; /* NULL for none */
} EarlyOption;

static gboolean
socket_has_fd (UsockSocket  *self,
               GError      **error)
{
  if (self->fd != -1)
    return TRUE;

  if (self->state == USOCK_STATE_CLOSED)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                         _("Could not use a socket: it is closed"));
  else
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED,
                         _("Could not use an option: the socket is neither connected nor bound"));
  return FALSE;
}

static void
early_option_clear (EarlyOption *self)
{
  g_clear_pointer (&self->value, g_variant_unref);
}

/* What the socket will be is not known yet, and is looked at again then. */
static gboolean
socket_remember_option (UsockSocket  *self,
                        int           level,
                        int           name,
                        GVariant     *value,
                        GError      **error)
{
  EarlyOption option = { level, name, NULL };

  if (!usock_socket_check (self, error)
      || !usock_option_check_set (level, name, value, AF_UNSPEC, error)
      || !usock_option_check_value (level, name, value, error))
    return FALSE;

  if (value != NULL)
    option.value = g_variant_ref (value);
  if (self->options == NULL)
    {
      self->options = g_array_new (FALSE, FALSE, sizeof option);
      g_array_set_clear_func (self->options, (GDestroyNotify) early_option_clear);
    }
  g_array_append_val (self->options, option);
  return TRUE;
}

static int
socket_apply_option (UsockSocket       *self,
                     int                fd,
                     const EarlyOption *option)
{
  int errnum = 0;

  if (!usock_option_check_set (option->level, option->name, option->value, self->family, NULL))
    return -EBUSY;
  if (usock_option_set (fd, option->level, option->name, option->value, &errnum, NULL))
    return 0;

  return errnum != 0 ? -errnum : -EINVAL;
}

/* On a descriptor that was just made, in the order in which they were set. 0, or a negative errno
 * with which what the descriptor was made for fails. */
int
usock_socket_apply_options (UsockSocket *self,
                            int          fd)
{
  self->refused_option = NULL;
  for (guint i = 0; self->options != NULL && i < self->options->len; i++)
    {
      const EarlyOption *option = &g_array_index (self->options, EarlyOption, i);
      int result = socket_apply_option (self, fd, option);

      if (result == 0)
        continue;

      self->refused_option = usock_option_find (option->level, option->name)->label;
      usock_socket_record (self, USOCK_IO_SET_OPTION, -result);
      return result;
    }

  return 0;
}

/* An error that an option has made says which. */
void
usock_socket_explain_option (UsockSocket  *self,
                             GError      **error)
{
  g_autofree char *message = NULL;

  if (self->refused_option == NULL || error == NULL || *error == NULL)
    return;

  message = g_strdup_printf ("%s (%s)", (*error)->message, self->refused_option);
  g_free ((*error)->message);
  (*error)->message = g_steal_pointer (&message);
}

/**
 * usock_socket_get_option:
 * @self: a socket that has a descriptor
 * @level: of what the option is, a [enum@Usock.Level]
 * @name: which one, a [enum@Usock.SocketOption] or that of another level
 * @error: return location for an error
 *
 * Gets an option, as getsockopt(2) does. Which type its value has stands in
 * [Options](options.html), and [func@Usock.Socket.get_option_format] tells it.
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if the library does not know the option,
 * with `G_IO_ERROR_NOT_SUPPORTED` if it can only be set or if the system or
 * this socket does not have it, with `G_IO_ERROR_BUSY` if reading it would take
 * away what the socket needs, with `G_IO_ERROR_NOT_INITIALIZED` if there is no
 * descriptor yet, and with `G_IO_ERROR_CLOSED` if the socket is closed.
 *
 * Returns: (transfer full): the value
 *
 * Since: 1.0
 */
GVariant *
usock_socket_get_option (UsockSocket  *self,
                         gint          level,
                         gint          name,
                         GError      **error)
{
  GVariant *value;
  int errnum = 0;

  g_return_val_if_fail (USOCK_IS_SOCKET (self), NULL);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return NULL;

  if (!socket_has_fd (self, error))
    return NULL;
  if (USOCK_SOCKET_GET_CLASS (self)->manages_options
      && !usock_option_check_get (level, name, self->family, error))
    return NULL;

  value = usock_option_get (self->fd, level, name, &errnum, error);
  if (errnum != 0)
    usock_socket_record (self, USOCK_IO_GET_OPTION, errnum);
  return value;
}

/**
 * usock_socket_set_option:
 * @self: a socket
 * @level: of what the option is, a [enum@Usock.Level]
 * @name: which one, a [enum@Usock.SocketOption] or that of another level
 * @value: (nullable): the value; %NULL for an option that takes none. A
 *   floating one is consumed
 * @error: return location for an error
 *
 * Sets an option, as setsockopt(2) does. Which type its value has stands in
 * [Options](options.html), and [func@Usock.Socket.get_option_format] tells it;
 * for a number any type of integers will do.
 *
 * On a socket that has no descriptor yet it is remembered, and set on each that
 * is made: before it is bound, before it connects and before it listens. What
 * the system says against it is the error of that call then.
 *
 * Nothing is set that would break a channel or a server from below: that
 * fails with `G_IO_ERROR_BUSY`. A [class@Usock.Handle] takes all.
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if the library does not know the option,
 * with `G_IO_ERROR_READ_ONLY` if it can only be read, with
 * `G_IO_ERROR_INVALID_DATA` if the value is of another type, with
 * `G_IO_ERROR_INVALID_ARGUMENT` if it is out of range, with
 * `G_IO_ERROR_NOT_SUPPORTED` if the system or this socket does not have the
 * option, with `G_IO_ERROR_PERMISSION_DENIED` if it is for the privileged, with
 * `G_IO_ERROR_NOT_INITIALIZED` while the descriptor is made, as by a stream that
 * connects to a host, and with `G_IO_ERROR_CLOSED` if the socket is closed.
 *
 * Returns: whether it was set, or will be
 *
 * Since: 1.0
 */
gboolean
usock_socket_set_option (UsockSocket  *self,
                         gint          level,
                         gint          name,
                         GVariant     *value,
                         GError      **error)
{
  g_autoptr (GVariant) sunk = value != NULL ? g_variant_ref_sink (value) : NULL;
  int errnum = 0;
  gboolean done;

  g_return_val_if_fail (USOCK_IS_SOCKET (self), FALSE);

  if (!usock_socket_check_thread (USOCK_SOCKET (self), error))
    return FALSE;

  if (sunk != NULL && g_variant_is_of_type (sunk, G_VARIANT_TYPE_VARIANT))
    {
      value = g_variant_get_variant (sunk);
      g_variant_unref (sunk);
      sunk = value;
    }

  if (self->fd == -1 && self->state == USOCK_STATE_NEW
      && USOCK_SOCKET_GET_CLASS (self)->manages_options)
    return socket_remember_option (self, level, name, sunk, error);
  if (!socket_has_fd (self, error))
    return FALSE;
  if (USOCK_SOCKET_GET_CLASS (self)->manages_options
      && (!usock_socket_check (self, error)
          || !usock_option_check_set (level, name, sunk, self->family, error)))
    return FALSE;

  done = usock_option_set (self->fd, level, name, sunk, &errnum, error);
  if (errnum != 0)
    usock_socket_record (self, USOCK_IO_SET_OPTION, errnum);
  return done;
}

/**
 * usock_socket_get_option_format:
 * @level: of what the option is, a [enum@Usock.Level]
 * @name: which one, a [enum@Usock.SocketOption] or that of another level
 *
 * Tells the type of the value that an option has, as
 * [type@GLib.VariantType] writes it: `i` for a number, `b` for a switch. The
 * text is empty for an option that takes no value.
 *
 * Returns: (transfer none) (nullable): the type; %NULL if the library does not
 *   know the option
 *
 * Since: 1.0
 */
const char *
usock_socket_get_option_format (gint level,
                                gint name)
{
  const UsockOption *option = usock_option_find (level, name);

  return option != NULL ? usock_option_get_format (option) : NULL;
}
