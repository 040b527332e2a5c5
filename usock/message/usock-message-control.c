/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-message-private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "usock-enums.h"
#include "usock-error-private.h"

/* Control records of one message, as the kernel counts them. It answers more than
 * net.core.optmem_max allows with ENOBUFS, as if there might be room later. */
#define MESSAGE_MAX_CONTROLS 16384

#define NANOSECONDS G_GINT64_CONSTANT (1000000000)

/* Takes @pidfd over, or -1. */
void
usock_message_receive_controls (UsockMessage       *self,
                                const UsockControl *controls,
                                guint               n_controls,
                                int                 pidfd)
{
  for (guint i = 0; i < n_controls; i++)
    {
      usock_control_array_append (&self->controls, &controls[i]);
      if (controls[i].level == SOL_SOCKET && controls[i].type == SCM_TIMESTAMP)
        self->has_time_record = TRUE;
    }
  self->pidfd = pidfd;
}

gboolean
usock_message_peek_credentials (UsockMessage     *self,
                                UsockCredentials *credentials)
{
  const UsockCredentials *native;

  if (self->credentials == NULL || self->received)
    return FALSE;

  native = g_credentials_get_native (self->credentials, G_CREDENTIALS_TYPE_LINUX_UCRED);
  *credentials = *native;
  return TRUE;
}

/* What the kernel added to a message that came is not sent on with it. */
const UsockControl *
usock_message_peek_controls (UsockMessage *self,
                             guint        *n_controls)
{
  *n_controls = self->controls != NULL && !self->received ? self->controls->len : 0;
  return *n_controls > 0 ? (gconstpointer) self->controls->data : NULL;
}

static gboolean
message_check_control (UsockMessage  *self,
                       int            level,
                       int            type,
                       gsize          length,
                       GError       **error)
{
  if (self->frozen)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 _("Could not add control record %d of level %d to a message: it was sent already"),
                 type, level);
  else if (level == SOL_SOCKET && (type == SCM_RIGHTS || type == SCM_PIDFD))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 _("Could not add control record %d of level %d to a message: descriptors are "
                   "added as such"),
                 type, level);
  else if (length > MESSAGE_MAX_CONTROLS
           || usock_control_array_space (self->controls) + CMSG_SPACE (length)
                  > MESSAGE_MAX_CONTROLS)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 _("Could not add control record %d of level %d to a message: all records "
                   "together may have %d bytes"),
                 type, level, MESSAGE_MAX_CONTROLS);
  else
    return TRUE;

  return FALSE;
}

/**
 * usock_message_append_control:
 * @self: a message that was not sent yet
 * @level: the level, `SOL_SOCKET` or `IPPROTO_IP` for example
 * @type: which record of that level, `IP_TTL` for example
 * @bytes: (transfer none): the bytes of the record, as the kernel reads them
 * @error: return location for an error
 *
 * Adds a control record, see cmsg(3), to be sent along. What the kernel does
 * not know of `SOL_SOCKET` makes sending fail; most other levels ignore it.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` for descriptors, which
 * [method@Usock.Message.append_fd] adds, and if the records together have more
 * than 16384 bytes with their headers, and with `G_IO_ERROR_BUSY` if the
 * message was sent already.
 *
 * Returns: whether it was added
 *
 * Since: 1.0
 */
gboolean
usock_message_append_control (UsockMessage  *self,
                              gint           level,
                              gint           type,
                              GBytes        *bytes,
                              GError       **error)
{
  UsockControl control = { .level = level, .type = type };

  g_return_val_if_fail (self != NULL && bytes != NULL, FALSE);

  control.data = g_bytes_get_data (bytes, &control.length);
  if (!message_check_control (self, level, type, control.length, error))
    return FALSE;

  usock_control_array_append (&self->controls, &control);
  return TRUE;
}

/**
 * usock_message_append_control_value:
 * @self: a message that was not sent yet
 * @level: the level, `SOL_SOCKET` or `IPPROTO_IP` for example
 * @type: which record of that level, `IP_TTL` for example
 * @value: (transfer none): the value, of the type that
 *   [method@Usock.Message.get_controls] would tell it in; any number does for a
 *   number, and bytes for everything
 * @error: return location for an error
 *
 * Adds a control record of which the library knows the bytes. A floating
 * @value is consumed.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @value is no value for such a
 * record, or the library does not know it and @value is not bytes; and like
 * [method@Usock.Message.append_control].
 *
 * Returns: whether it was added
 *
 * Since: 1.0
 */
gboolean
usock_message_append_control_value (UsockMessage  *self,
                                    gint           level,
                                    gint           type,
                                    GVariant      *value,
                                    GError       **error)
{
  g_autoptr (GVariant) owned = NULL;
  g_autoptr (GBytes) bytes = NULL;

  g_return_val_if_fail (self != NULL && value != NULL, FALSE);

  owned = g_variant_ref_sink (value);
  bytes = usock_control_encode (level, type, value);
  if (bytes == NULL)
    {
      g_autofree char *shown = g_variant_print (value, TRUE);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not add control record %d of level %d to a message: %s is no value "
                     "for it"),
                   type, level, shown);
      return FALSE;
    }

  return usock_message_append_control (self, level, type, bytes, error);
}

/**
 * usock_message_get_credentials:
 * @self: a message
 *
 * Gets who sent the message: the process that made the system call, as the
 * kernel vouches for it. Only a privileged process may claim to be another.
 *
 * Received messages have credentials if the channel's
 * [property@Usock.Channel:pass-credentials] is set.
 *
 * Returns: (nullable) (transfer none): the credentials, owned by the message; %NULL if
 *   they are not known, because the sender lives in another pid namespace for
 *   example
 *
 * Since: 1.0
 */
GCredentials *
usock_message_get_credentials (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->credentials;
}

/**
 * usock_message_set_credentials:
 * @self: a message that was not sent yet
 * @credentials: (nullable) (transfer none): who to send the message as
 *
 * Claims to be somebody. The kernel checks the claim when the message is sent:
 * an unprivileged process may name itself only. Without a claim, the kernel
 * fills in the truth.
 *
 * Since: 1.0
 */
void
usock_message_set_credentials (UsockMessage *self,
                               GCredentials *credentials)
{
  g_return_if_fail (self != NULL);
  g_return_if_fail (credentials == NULL || G_IS_CREDENTIALS (credentials));
  g_return_if_fail (!self->frozen);

  g_set_object (&self->credentials, credentials);
}

/**
 * usock_message_dup_pidfd:
 * @self: a received message
 * @error: return location for an error
 *
 * Gets a descriptor of the process that sent the message, see pidfd_open(2).
 * Unlike the number of the process it never comes to mean another one. It is
 * close-on-exec, and the caller has to close it.
 *
 * Received messages have one if [property@Usock.Channel:pass-pidfd] is set.
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if the message came without, which is so on
 * Linux before 6.5, and with `G_IO_ERROR_TOO_MANY_OPEN_FILES` if the process
 * may open no more descriptors.
 *
 * Returns: the descriptor, or -1
 *
 * Since: 1.0
 */
gint
usock_message_dup_pidfd (UsockMessage  *self,
                         GError       **error)
{
  int fd;

  g_return_val_if_fail (self != NULL, -1);

  if (self->pidfd == -1)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                           _("Could not get the process that sent a message: the message came "
                             "without its descriptor"));
      return -1;
    }

  fd = fcntl (self->pidfd, F_DUPFD_CLOEXEC, 3);
  if (fd == -1)
    usock_error_set_errno (error, errno, _("Could not get the process that sent a message"));
  return fd;
}

static GVariant *
message_describe_fds (UsockMessage *self)
{
  g_autoptr (GEnumClass) kinds = g_type_class_ref (USOCK_TYPE_FD_KIND);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < self->n_fds; i++)
    {
      UsockFdKind kind = usock_message_get_fd_kind (self, i);

      g_variant_builder_add (&builder, "s", g_enum_get_value (kinds, kind)->value_nick);
    }

  return g_variant_builder_end (&builder);
}

static void
builder_add_record (GVariantBuilder *builder,
                    int              level,
                    int              type,
                    GVariant        *value)
{
  g_variant_builder_add (builder, "(iiv)", level, type, value);
}

/**
 * usock_message_get_controls:
 * @self: a message
 *
 * Gets all that came, or is to be sent, beside the payload, as records of a
 * level, a type and a value, of the type `a(iiv)`. What has methods of its own
 * is among them: the time, credentials, and descriptors, of which only the
 * kinds are told, `file` or `socket` for example.
 *
 * | record | value |
 * | - | - |
 * | `SCM_TIMESTAMP`, `SCM_TIMESTAMPNS` | `(xx)`: seconds, and micro- or nanoseconds |
 * | `SCM_TIMESTAMPING` | `a(xx)`: three times, in nanoseconds |
 * | `SCM_CREDENTIALS` | `(iuu)`: process, user and group |
 * | `SCM_RIGHTS` | `as`: what each descriptor is |
 * | `SCM_PIDFD` | `s`: `pidfd` |
 * | `SCM_SECURITY` | `s`: the label |
 * | `SO_RXQ_OVFL`, `SO_MARK`, `SO_PRIORITY`, `IP_CHECKSUM`, `IPV6_FLOWINFO` | `u` |
 * | `IP_TOS`, `IP_TTL`, `IPV6_TCLASS`, `IPV6_HOPLIMIT`, `UDP_GRO` and other numbers | `i` |
 * | `IP_PKTINFO` | `(iss)`: interface, our address, destination |
 * | `IPV6_PKTINFO` | `(is)`: interface, destination |
 * | `IP_ORIGDSTADDR`, `IPV6_ORIGDSTADDR` | `s`: address and port |
 * | `IPV6_PATHMTU` | `(su)`: address and size |
 * | `IP_RECVERR`, `IPV6_RECVERR` | `(uyyyuus)`: errno, origin, type, code, info, data, who told |
 * | `PACKET_AUXDATA` | `(uuuqqqq)`: status, length, captured, two offsets, VLAN tag and protocol |
 * | everything else | `ay`: the bytes |
 *
 * Returns: (transfer full): the records
 *
 * Since: 1.0
 */
GVariant *
usock_message_get_controls (UsockMessage *self)
{
  GVariantBuilder builder;

  g_return_val_if_fail (self != NULL, NULL);

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(iiv)"));
  if (self->timestamp != 0 && !self->has_time_record)
    builder_add_record (&builder, SOL_SOCKET, SCM_TIMESTAMPNS,
                        g_variant_new ("(xx)", self->timestamp / NANOSECONDS,
                                       self->timestamp % NANOSECONDS));
  if (self->credentials != NULL)
    {
      const UsockCredentials *native
          = g_credentials_get_native (self->credentials, G_CREDENTIALS_TYPE_LINUX_UCRED);

      builder_add_record (&builder, SOL_SOCKET, SCM_CREDENTIALS,
                          g_variant_new ("(iuu)", native->pid, native->uid, native->gid));
    }
  if (self->n_fds > 0)
    builder_add_record (&builder, SOL_SOCKET, SCM_RIGHTS, message_describe_fds (self));
  if (self->pidfd != -1)
    builder_add_record (&builder, SOL_SOCKET, SCM_PIDFD, g_variant_new_string ("pidfd"));
  for (guint i = 0; self->controls != NULL && i < self->controls->len; i++)
    {
      const UsockControl *control = &g_array_index (self->controls, UsockControl, i);

      builder_add_record (&builder, control->level, control->type, usock_control_decode (control));
    }

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/**
 * usock_message_lookup_control:
 * @self: a message
 * @level: the level, `SOL_SOCKET` or `IPPROTO_IP` for example
 * @type: which record of that level, `IP_TTL` for example
 *
 * Gets the value of one record of [method@Usock.Message.get_controls], of the
 * first one if there are more.
 *
 * Returns: (transfer full) (nullable): the value; %NULL if there is no such record
 *
 * Since: 1.0
 */
GVariant *
usock_message_lookup_control (UsockMessage *self,
                              gint          level,
                              gint          type)
{
  g_autoptr (GVariant) controls = NULL;
  GVariantIter iter;
  GVariant *value;
  int its_level, its_type;

  g_return_val_if_fail (self != NULL, NULL);

  controls = usock_message_get_controls (self);
  g_variant_iter_init (&iter, controls);
  while (g_variant_iter_next (&iter, "(iiv)", &its_level, &its_type, &value))
    {
      if (its_level == level && its_type == type)
        return value;
      g_variant_unref (value);
    }

  return NULL;
}
