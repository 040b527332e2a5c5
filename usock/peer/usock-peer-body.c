/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A body, as it is put together of what has come. */

#include "config.h"

#include "usock-peer-private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "usock-compat-private.h"

#define HUGE_PAGE ((gsize) 2 * 1024 * 1024)

gboolean
usock_body_is_text (const char *data,
                    gsize       length)
{
  return length == 0 || g_utf8_validate_len (data, length, NULL);
}

/* Takes @bytes over. Returns NULL if it breaks a rule. */
static UsockMessage *
make_body (UsockMessage *carrier,
           UsockBodyKind kind,
           const char   *signature,
           GBytes       *bytes)
{
  GVariant *value = NULL;
  gsize length;
  gconstpointer data = g_bytes_get_data (bytes, &length);

  if (kind == USOCK_BODY_KIND_VARIANT)
    value = usock_message_read_variant (G_VARIANT_TYPE (signature), bytes);
  if ((kind == USOCK_BODY_KIND_VARIANT && value == NULL)
      || (kind == USOCK_BODY_KIND_TEXT && !usock_body_is_text (data, length)))
    {
      g_bytes_unref (bytes);
      return NULL;
    }

  return usock_message_new_part (carrier, kind, bytes, value);
}

/* Seals and size are looked at before anything is read. */
static UsockMessage *
make_body_of_memfd (const UsockFrame *frame,
                    const char       *signature,
                    UsockMessage     *carrier)
{
  g_autofd int fd = usock_message_take_fd (carrier, frame->n_fds - 1, NULL);
  GBytes *bytes = fd != -1 ? usock_message_map_memfd (fd, NULL) : NULL;
  UsockMessage *body;

  if (bytes == NULL || g_bytes_get_size (bytes) != frame->size)
    {
      g_clear_pointer (&bytes, g_bytes_unref);
      return NULL;
    }

  body = make_body (carrier, frame->kind, signature, bytes);
  if (body != NULL)
    {
      usock_message_set_memfd (body, fd);
      fd = -1;
    }
  return body;
}

/* NULL if it breaks a rule. */
UsockMessage *
usock_frame_make_body (const UsockFrame *frame,
                       UsockMessage     *carrier)
{
  g_autofree char *signature = NULL;
  guint8 *copy;

  if (frame->kind == USOCK_BODY_KIND_VARIANT)
    signature = g_strndup (frame->signature, frame->signature_length);
  if ((frame->flags & USOCK_FRAME_FLAGS_MEMFD) != 0)
    return make_body_of_memfd (frame, signature, carrier);

  copy = g_malloc (frame->body_length + 1);

  if (frame->body_length > 0)
    memcpy (copy, frame->body, frame->body_length);
  copy[frame->body_length] = '\0';
  return make_body (carrier, frame->kind, signature, g_bytes_new_take (copy, frame->body_length));
}

void
usock_assembly_free (UsockAssembly *self)
{
  g_free (self->name);
  g_free (self->signature);
  g_clear_pointer (&self->carrier, usock_message_unref);
  g_free (self->data);
  g_free (self);
}

/* For g_free(), which is free(); NULL if there is no memory. In small pages, each costs a fault when
 * it is first written to, and all of them together keep the loop for many milliseconds when they are
 * given back. The system has large ones for who asks, and gives none before they are written to. */
static guint8 *
allocate_body (gsize size)
{
  void *data;

  if (size < 2 * HUGE_PAGE)
    return g_try_malloc (size);
  if (posix_memalign (&data, HUGE_PAGE, size) != 0)
    return NULL;

  madvise (data, size, MADV_HUGEPAGE);
  return data;
}

/* NULL if there is no memory. */
UsockAssembly *
usock_assembly_new (const UsockFrame *frame,
                    UsockMessage     *carrier)
{
  guint8 *data = allocate_body (frame->size + 1);
  UsockAssembly *self;

  if (data == NULL)
    return NULL;

  self = g_new0 (UsockAssembly, 1);
  self->type = frame->type;
  self->kind = frame->kind;
  self->serial = frame->serial;
  self->name = g_strndup (frame->name, frame->name_length);
  self->signature = g_strndup (frame->signature, frame->signature_length);
  if (carrier != NULL)
    self->carrier = usock_message_new_part (carrier, frame->kind, g_bytes_new (NULL, 0), NULL);
  self->data = data;
  self->size = frame->size;
  self->got = frame->body_length;
  if (frame->body_length > 0)
    memcpy (data, frame->body, frame->body_length);
  return self;
}

/* Returns the rule that the piece breaks, or NULL. */
const char *
usock_assembly_add (UsockAssembly    *self,
                    const UsockFrame *frame)
{
  if (frame->size != self->got || frame->body_length > self->size - self->got)
    return "piece";

  memcpy (self->data + self->got, frame->body, frame->body_length);
  self->got += frame->body_length;
  return NULL;
}

/* NULL if the body breaks a rule. */
UsockMessage *
usock_assembly_finish (UsockAssembly *self)
{
  guint8 *data = g_steal_pointer (&self->data);

  data[self->size] = '\0';
  return make_body (self->carrier, self->kind, self->signature,
                    g_bytes_new_take (data, self->size));
}
