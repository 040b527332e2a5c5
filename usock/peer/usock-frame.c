/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-frame-private.h"

#include <string.h>

#include "usock-types.h"

/* Where the fields of a header are, all of them little-endian. */
enum
{
  AT_VERSION = 0,
  AT_TYPE = 1,
  AT_KIND = 2,
  AT_FLAGS = 3,
  AT_LENGTH = 4,
  AT_SERIAL = 8,
  AT_CODE = 12,
  AT_SIZE = 16,
  AT_NAME_LENGTH = 24,
  AT_SIGNATURE_LENGTH = 26,
  AT_N_FDS = 27,
  AT_RESERVED = 28,
};

static void
put_32 (guint8 *at,
        guint32 value)
{
  value = GUINT32_TO_LE (value);
  memcpy (at, &value, sizeof value);
}

static guint32
get_32 (const guint8 *at)
{
  guint32 value;

  memcpy (&value, at, sizeof value);
  return GUINT32_FROM_LE (value);
}

static void
put_64 (guint8 *at,
        guint64 value)
{
  value = GUINT64_TO_LE (value);
  memcpy (at, &value, sizeof value);
}

static guint64
get_64 (const guint8 *at)
{
  guint64 value;

  memcpy (&value, at, sizeof value);
  return GUINT64_FROM_LE (value);
}

/* How long a frame is without its body. */
gsize
usock_frame_head (const UsockFrame *self)
{
  return USOCK_FRAME_HEADER + self->name_length + self->signature_length;
}

/* All but the body, for which the length counts as well. */
void
usock_frame_write (const UsockFrame *self,
                   guint8           *buffer)
{
  buffer[AT_VERSION] = USOCK_FRAME_VERSION;
  buffer[AT_TYPE] = self->type;
  buffer[AT_KIND] = self->kind;
  buffer[AT_FLAGS] = self->flags;
  put_32 (buffer + AT_LENGTH, (guint32) (usock_frame_head (self) + self->body_length));
  put_32 (buffer + AT_SERIAL, self->serial);
  put_32 (buffer + AT_CODE, (guint32) self->code);
  put_64 (buffer + AT_SIZE, self->size);
  buffer[AT_NAME_LENGTH] = self->name_length & 0xff;
  buffer[AT_NAME_LENGTH + 1] = (guint8) (self->name_length >> 8);
  buffer[AT_SIGNATURE_LENGTH] = (guint8) self->signature_length;
  buffer[AT_N_FDS] = self->n_fds;
  put_32 (buffer + AT_RESERVED, 0);

  if (self->name_length > 0)
    memcpy (buffer + USOCK_FRAME_HEADER, self->name, self->name_length);
  if (self->signature_length > 0)
    memcpy (buffer + USOCK_FRAME_HEADER + self->name_length, self->signature,
            self->signature_length);
}

static gboolean
is_text (const char *text,
         gsize       length)
{
  return length == 0 || g_utf8_validate_len (text, length, NULL);
}

static gboolean
is_signature (const char *text,
              gsize       length)
{
  const char *end;

  return length > 0 && g_variant_type_string_scan (text, text + length, &end)
         && end == text + length && g_variant_type_is_definite ((const GVariantType *) text);
}

static const char *
check_body (const UsockFrame *self)
{
  gboolean is_variant = self->kind == USOCK_BODY_KIND_VARIANT;

  if (self->kind > USOCK_BODY_KIND_VARIANT)
    return "body-kind";
  if (is_variant ? !is_signature (self->signature, self->signature_length)
                 : self->signature_length > 0)
    return "signature";
  if ((self->kind == USOCK_BODY_KIND_NONE && self->size > 0) || self->size < self->body_length)
    return "body-size";
  if ((self->flags & USOCK_FRAME_FLAGS_MEMFD) != 0
      && (self->n_fds == 0 || self->body_length > 0 || self->size == 0))
    return "memfd";
  return NULL;
}

static const char *
check_bare (const UsockFrame *self)
{
  if (self->name_length > 0)
    return "name";
  if (self->kind != 0 || self->signature_length > 0 || self->flags != 0 || self->n_fds > 0)
    return "empty-fields";
  return NULL;
}

static const char *
check_type (const UsockFrame *self)
{
  switch ((UsockFrameType) self->type)
    {
    case USOCK_FRAME_CALL:
    case USOCK_FRAME_POST:
      return self->name_length == 0 ? "name" : check_body (self);
    case USOCK_FRAME_REPLY:
      return self->name_length > 0 ? "name" : check_body (self);
    case USOCK_FRAME_ERROR:
      if (self->kind != USOCK_BODY_KIND_TEXT || self->size != self->body_length
          || self->n_fds > 0)
        return "error";
      return check_body (self);
    case USOCK_FRAME_CANCEL:
      return self->size > 0 || self->body_length > 0 ? "body-size" : check_bare (self);
    case USOCK_FRAME_PIECE:
    case USOCK_FRAME_REPLY_PIECE:
      return self->body_length == 0 ? "body-size" : check_bare (self);
    default:
      return "type";
    }
}

static const char *
frame_check (const UsockFrame *self,
             const guint8     *data)
{
  if (self->serial == 0)
    return "serial";
  if (self->name_length > USOCK_FRAME_NAME_MAX || !is_text (self->name, self->name_length))
    return "name";
  if (self->n_fds > USOCK_FRAME_FDS_MAX)
    return "descriptors";
  if ((self->flags & ~USOCK_FRAME_FLAGS_MEMFD) != 0)
    return "flags";
  if (get_32 (data + AT_RESERVED) != 0 || (self->code != 0 && self->type != USOCK_FRAME_ERROR))
    return "empty-fields";
  return check_type (self);
}

/* Returns the rule that the frame breaks, or NULL. Its length is 0 if it is not all there yet; what
 * is in it are pointers into @data. */
const char *
usock_frame_read (UsockFrame   *self,
                  const guint8 *data,
                  gsize         length)
{
  gsize head;

  self->length = 0;
  if (length > 0 && data[AT_VERSION] != USOCK_FRAME_VERSION)
    return "version";
  if (length < USOCK_FRAME_HEADER)
    return NULL;

  *self = (UsockFrame) {
    .type = data[AT_TYPE],
    .kind = data[AT_KIND],
    .flags = data[AT_FLAGS],
    .n_fds = data[AT_N_FDS],
    .length = get_32 (data + AT_LENGTH),
    .serial = get_32 (data + AT_SERIAL),
    .code = (gint32) get_32 (data + AT_CODE),
    .size = get_64 (data + AT_SIZE),
    .name_length = data[AT_NAME_LENGTH] | (guint) data[AT_NAME_LENGTH + 1] << 8,
    .signature_length = data[AT_SIGNATURE_LENGTH],
  };
  head = usock_frame_head (self);
  if (self->length < head || self->length > USOCK_FRAME_MAX)
    return "length";
  if (self->length > length)
    {
      self->length = 0;
      return NULL;
    }

  self->name = (const char *) data + USOCK_FRAME_HEADER;
  self->signature = self->name + self->name_length;
  self->body = data + head;
  self->body_length = self->length - head;
  return frame_check (self, data);
}

/* The rule that the name of a call breaks, or NULL. */
const char *
usock_frame_check_name (const char *name)
{
  gsize length = strlen (name);

  return length == 0 || length > USOCK_FRAME_NAME_MAX || !is_text (name, length) ? "name" : NULL;
}
