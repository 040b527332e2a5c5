/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a payload is: its author says so, and the rooms above carry it along. */

#include "config.h"

#include "usock-message-private.h"

/* The bytes of a value as they travel: in normal form, and little-endian. */
static GBytes *
variant_to_bytes (GVariant *value)
{
  g_autoptr (GVariant) normal = g_variant_get_normal_form (value);

  if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
    return g_variant_get_data_as_bytes (normal);

  g_variant_unref (g_steal_pointer (&normal));
  normal = g_variant_byteswap (value);
  return g_variant_get_data_as_bytes (normal);
}

/* NULL if they are not a value of that type in normal form. */
GVariant *
usock_message_read_variant (const GVariantType *type,
                            GBytes             *bytes)
{
  g_autoptr (GVariant) value
      = g_variant_ref_sink (g_variant_new_from_bytes (type, bytes, FALSE));

  if (!g_variant_is_normal_form (value))
    return NULL;
  if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
    return g_steal_pointer (&value);

  return g_variant_byteswap (value);
}

/* A message that came inside another one, the @carrier, whose descriptors and credentials it takes
 * over. Takes @bytes and @value over; the value is that of the bytes. */
UsockMessage *
usock_message_new_part (UsockMessage  *carrier,
                        UsockBodyKind  kind,
                        GBytes        *bytes,
                        GVariant      *value)
{
  UsockMessage *self = usock_message_new_assembled (bytes);

  self->kind = kind;
  self->variant = value;
  if (carrier == NULL)
    return self;

  if (carrier->credentials != NULL)
    self->credentials = g_object_ref (carrier->credentials);
  self->timestamp = carrier->timestamp;
  if (carrier->n_fds > 0)
    usock_message_move_fds (self, carrier);
  return self;
}

/**
 * usock_message_new_from_variant:
 * @value: (transfer none): a value; if it is floating, it is consumed
 *
 * Makes a message of a value with its type, for [method@Usock.Peer.call_async] and
 * the like. Handles in it, of the type `h`, are indices of the descriptors that
 * the message is given with [method@Usock.Message.append_fd]. What sends bytes
 * only sends those of its serialized form, little-endian.
 *
 * Returns: (transfer full): a new message
 *
 * Since: 1.0
 */
UsockMessage *
usock_message_new_from_variant (GVariant *value)
{
  g_autoptr (GBytes) bytes = NULL;
  UsockMessage *self;

  g_return_val_if_fail (value != NULL, NULL);

  g_variant_ref_sink (value);
  bytes = variant_to_bytes (value);
  self = usock_message_new_from_bytes (bytes);
  self->kind = USOCK_BODY_KIND_VARIANT;
  self->variant = value;
  return self;
}

/**
 * usock_message_get_kind:
 * @self: a message
 *
 * Tells what the payload is: what it was made of here, or was sent as by a
 * [class@Usock.Peer]. Messages of plain channels are bytes to those who
 * receive them.
 *
 * Returns: what it is
 *
 * Since: 1.0
 */
UsockBodyKind
usock_message_get_kind (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, USOCK_BODY_KIND_BYTES);

  return self->kind;
}

/**
 * usock_message_get_variant:
 * @self: a message
 *
 * Gets the value that the message was made of, or that it came with by a
 * [class@Usock.Peer]. It is whole and of the type that it says, whoever sent it:
 * that was checked on arrival. Whether it is the type that you expect was not.
 *
 * Returns: (transfer none) (nullable): the value, or %NULL if the message is none
 *
 * Since: 1.0
 */
GVariant *
usock_message_get_variant (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->variant;
}

/**
 * usock_message_append_message:
 * @self: a message that was not sent yet
 * @other: (transfer none): another message
 * @error: return location for an error
 *
 * Adds the payload of another message, without copying it, and duplicates of
 * its descriptors. Fails as [method@Usock.Message.append_fd] does; then nothing
 * of its payload was added.
 *
 * Returns: whether it was added
 *
 * Since: 1.0
 */
gboolean
usock_message_append_message (UsockMessage  *self,
                              UsockMessage  *other,
                              GError       **error)
{
  guint n_segments;

  g_return_val_if_fail (self != NULL && other != NULL && self != other, FALSE);
  g_return_val_if_fail (!self->frozen, FALSE);

  if (!usock_message_append_fds_of (self, other, error))
    return FALSE;

  n_segments = usock_message_get_n_segments (other);
  for (guint i = 0; i < n_segments; i++)
    usock_message_append_bytes (self, usock_message_get_segment (other, i));
  return TRUE;
}
