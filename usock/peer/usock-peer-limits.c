/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a peer is set to, which are limits but for the channel. */

#include "config.h"

#include "usock-peer-private.h"

typedef enum
{
  PROP_CHANNEL = 1,
  PROP_MAX_CALLS,
  PROP_MAX_QUEUED_CALLS,
  PROP_MAX_INCOMING_CALLS,
  PROP_MAX_BODY_SIZE,
  PROP_MAX_HELD_BYTES,
} UsockPeerProperty;

static GParamSpec *properties[PROP_MAX_HELD_BYTES + 1];

/**
 * usock_peer_get_max_calls: (get-property max-calls)
 * @self: a peer
 *
 * Gets how many calls of ours may be under way at a time.
 *
 * Returns: how many
 *
 * Since: 1.0
 */
guint
usock_peer_get_max_calls (UsockPeer *self)
{
  g_return_val_if_fail (USOCK_IS_PEER (self), 0);

  return self->max_calls;
}

/**
 * usock_peer_set_max_calls: (set-property max-calls)
 * @self: a peer
 * @max_calls: how many, at least 1
 *
 * Sets how many calls of ours may be under way at a time.
 *
 * Since: 1.0
 */
void
usock_peer_set_max_calls (UsockPeer *self,
                          guint      max_calls)
{
  g_return_if_fail (USOCK_IS_PEER (self));
  g_return_if_fail (max_calls > 0);
  if (!usock_peer_is_ours (self, G_STRFUNC))
    return;

  if (self->max_calls == max_calls)
    return;

  self->max_calls = max_calls;
  if (self->is_held)
    usock_peer_start_waiting (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_CALLS]);
}

/**
 * usock_peer_get_max_queued_calls: (get-property max-queued-calls)
 * @self: a peer
 *
 * Gets how many calls of ours may wait for their turn.
 *
 * Returns: how many
 *
 * Since: 1.0
 */
guint
usock_peer_get_max_queued_calls (UsockPeer *self)
{
  g_return_val_if_fail (USOCK_IS_PEER (self), 0);

  return self->max_queued_calls;
}

/**
 * usock_peer_set_max_queued_calls: (set-property max-queued-calls)
 * @self: a peer
 * @max_queued_calls: how many
 *
 * Sets how many calls of ours may wait for their turn.
 *
 * Since: 1.0
 */
void
usock_peer_set_max_queued_calls (UsockPeer *self,
                                 guint      max_queued_calls)
{
  g_return_if_fail (USOCK_IS_PEER (self));
  if (!usock_peer_is_ours (self, G_STRFUNC))
    return;

  if (self->max_queued_calls == max_queued_calls)
    return;

  self->max_queued_calls = max_queued_calls;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_QUEUED_CALLS]);
}

/**
 * usock_peer_get_max_incoming_calls: (get-property max-incoming-calls)
 * @self: a peer
 *
 * Gets how many calls of the other side may wait for an answer at a time.
 *
 * Returns: how many
 *
 * Since: 1.0
 */
guint
usock_peer_get_max_incoming_calls (UsockPeer *self)
{
  g_return_val_if_fail (USOCK_IS_PEER (self), 0);

  return self->max_incoming_calls;
}

/**
 * usock_peer_set_max_incoming_calls: (set-property max-incoming-calls)
 * @self: a peer
 * @max_incoming_calls: how many
 *
 * Sets how many calls of the other side may wait for an answer at a time.
 *
 * Since: 1.0
 */
void
usock_peer_set_max_incoming_calls (UsockPeer *self,
                                   guint      max_incoming_calls)
{
  g_return_if_fail (USOCK_IS_PEER (self));
  if (!usock_peer_is_ours (self, G_STRFUNC))
    return;

  if (self->max_incoming_calls == max_incoming_calls)
    return;

  self->max_incoming_calls = max_incoming_calls;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_INCOMING_CALLS]);
}

/**
 * usock_peer_get_max_body_size: (get-property max-body-size)
 * @self: a peer
 *
 * Gets the largest body that is accepted.
 *
 * Returns: a size in bytes
 *
 * Since: 1.0
 */
guint64
usock_peer_get_max_body_size (UsockPeer *self)
{
  g_return_val_if_fail (USOCK_IS_PEER (self), 0);

  return self->max_body_size;
}

/**
 * usock_peer_set_max_body_size: (set-property max-body-size)
 * @self: a peer
 * @max_body_size: a size in bytes
 *
 * Sets the largest body that is accepted.
 *
 * Since: 1.0
 */
void
usock_peer_set_max_body_size (UsockPeer *self,
                              guint64    max_body_size)
{
  g_return_if_fail (USOCK_IS_PEER (self));
  if (!usock_peer_is_ours (self, G_STRFUNC))
    return;

  max_body_size = MIN (max_body_size, G_MAXSIZE / 2);
  if (self->max_body_size == max_body_size)
    return;

  self->max_body_size = max_body_size;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_BODY_SIZE]);
}

/**
 * usock_peer_get_max_held_bytes: (get-property max-held-bytes)
 * @self: a peer
 *
 * Gets how many bytes the bodies may have together that wait here.
 *
 * Returns: how many
 *
 * Since: 1.0
 */
guint64
usock_peer_get_max_held_bytes (UsockPeer *self)
{
  g_return_val_if_fail (USOCK_IS_PEER (self), 0);

  return self->max_held_bytes;
}

/**
 * usock_peer_set_max_held_bytes: (set-property max-held-bytes)
 * @self: a peer
 * @max_held_bytes: how many
 *
 * Sets how many bytes the bodies may have together that wait here.
 *
 * Since: 1.0
 */
void
usock_peer_set_max_held_bytes (UsockPeer *self,
                               guint64    max_held_bytes)
{
  g_return_if_fail (USOCK_IS_PEER (self));
  if (!usock_peer_is_ours (self, G_STRFUNC))
    return;

  max_held_bytes = MIN (max_held_bytes, G_MAXSIZE / 2);
  if (self->max_held_bytes == max_held_bytes)
    return;

  self->max_held_bytes = max_held_bytes;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_HELD_BYTES]);
}

static void
peer_get_property (GObject    *object,
                   guint       property_id,
                   GValue     *value,
                   GParamSpec *pspec)
{
  UsockPeer *self = USOCK_PEER (object);

  switch ((UsockPeerProperty) property_id)
    {
    case PROP_CHANNEL:
      g_value_set_object (value, self->channel);
      break;
    case PROP_MAX_CALLS:
      g_value_set_uint (value, self->max_calls);
      break;
    case PROP_MAX_QUEUED_CALLS:
      g_value_set_uint (value, self->max_queued_calls);
      break;
    case PROP_MAX_INCOMING_CALLS:
      g_value_set_uint (value, self->max_incoming_calls);
      break;
    case PROP_MAX_BODY_SIZE:
      g_value_set_uint64 (value, self->max_body_size);
      break;
    case PROP_MAX_HELD_BYTES:
      g_value_set_uint64 (value, self->max_held_bytes);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
peer_set_property (GObject      *object,
                   guint         property_id,
                   const GValue *value,
                   GParamSpec   *pspec)
{
  UsockPeer *self = USOCK_PEER (object);

  switch ((UsockPeerProperty) property_id)
    {
    case PROP_CHANNEL:
      self->channel = g_value_dup_object (value);
      break;
    case PROP_MAX_CALLS:
      usock_peer_set_max_calls (self, g_value_get_uint (value));
      break;
    case PROP_MAX_QUEUED_CALLS:
      usock_peer_set_max_queued_calls (self, g_value_get_uint (value));
      break;
    case PROP_MAX_INCOMING_CALLS:
      usock_peer_set_max_incoming_calls (self, g_value_get_uint (value));
      break;
    case PROP_MAX_BODY_SIZE:
      usock_peer_set_max_body_size (self, g_value_get_uint64 (value));
      break;
    case PROP_MAX_HELD_BYTES:
      usock_peer_set_max_held_bytes (self, g_value_get_uint64 (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

void
usock_peer_install_properties (GObjectClass *object_class)
{
  const GParamFlags read_write
      = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  /**
   * UsockPeer:channel: (getter get_channel)
   *
   * What the calls go over.
   *
   * Since: 1.0
   */
  properties[PROP_CHANNEL]
      = g_param_spec_object ("channel", NULL, NULL, USOCK_TYPE_CHANNEL,
                             G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * UsockPeer:max-calls: (getter get_max_calls) (setter set_max_calls)
   *
   * How many calls of ours may be under way at a time. More wait for their turn.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_CALLS]
      = g_param_spec_uint ("max-calls", NULL, NULL, 1, G_MAXUINT, 256, read_write);

  /**
   * UsockPeer:max-queued-calls: (getter get_max_queued_calls) (setter set_max_queued_calls)
   *
   * How many calls of ours may wait for their turn. More fail with
   * `G_IO_ERROR_WOULD_BLOCK`.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_QUEUED_CALLS]
      = g_param_spec_uint ("max-queued-calls", NULL, NULL, 0, G_MAXUINT, 65536, read_write);

  /**
   * UsockPeer:max-incoming-calls: (getter get_max_incoming_calls) (setter set_max_incoming_calls)
   *
   * How many calls of the other side may wait for an answer at a time. More are
   * answered with `G_IO_ERROR_BUSY`.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_INCOMING_CALLS]
      = g_param_spec_uint ("max-incoming-calls", NULL, NULL, 0, G_MAXUINT, 1024, read_write);

  /**
   * UsockPeer:max-body-size: (getter get_max_body_size) (setter set_max_body_size)
   *
   * The largest body that is accepted, in bytes. A call with a larger one is
   * answered with `G_IO_ERROR_MESSAGE_TOO_LARGE`, a larger answer fails with it,
   * and a larger post closes the channel with it.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_BODY_SIZE] = g_param_spec_uint64 ("max-body-size", NULL, NULL, 0, G_MAXSIZE / 2,
                                                        64 * 1024 * 1024, read_write);

  /**
   * UsockPeer:max-held-bytes: (getter get_max_held_bytes) (setter set_max_held_bytes)
   *
   * How many bytes the bodies may have together that are not whole yet, or are
   * of calls without an answer. What is more is treated like more calls than
   * are accepted, a post like one that is too large.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_HELD_BYTES] = g_param_spec_uint64 (
      "max-held-bytes", NULL, NULL, 0, G_MAXSIZE / 2, 256 * 1024 * 1024, read_write);

  object_class->get_property = peer_get_property;
  object_class->set_property = peer_set_property;
  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}
