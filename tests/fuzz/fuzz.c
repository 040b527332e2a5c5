/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fuzz.h"

#include <string.h>

/* What the library thinks is a mistake of the program's ends a run. */
__attribute__ ((constructor)) static void
make_fatal (void)
{
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
}

guint8
fuzz_take_byte (FuzzInput *self)
{
  if (self->left == 0)
    return 0;

  self->left--;
  return *self->data++;
}

guint
fuzz_take_below (FuzzInput *self,
                 guint      n)
{
  guint value = fuzz_take_byte (self);

  if (n > 256)
    value = value << 8 | fuzz_take_byte (self);
  if (n > 65536)
    value = value << 8 | fuzz_take_byte (self);
  return value % n;
}

const guint8 *
fuzz_take_bytes (FuzzInput *self,
                 gsize      most,
                 gsize     *length)
{
  const guint8 *data = self->data;

  *length = MIN (most, self->left);
  self->data += *length;
  self->left -= *length;
  return data;
}

/* Without a NUL in it. */
char *
fuzz_take_text (FuzzInput *self,
                gsize      most)
{
  gsize length;
  const guint8 *data = fuzz_take_bytes (self, most, &length);

  return g_strndup ((const char *) data, length);
}

void
fuzz_settle (void)
{
  GMainContext *context = g_main_context_get_thread_default ();

  for (guint n = 0; n < 3; n++)
    while (g_main_context_iteration (context, FALSE))
      n = 0;
}

guint
fuzz_count_fds (void)
{
  g_autoptr (GDir) directory = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (directory) != NULL)
    n++;
  return n;
}

void
fuzz_check_fds (guint before)
{
  gint64 deadline = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;
  guint now;

  while ((now = fuzz_count_fds ()) > before)
    {
      if (g_get_monotonic_time () > deadline)
        g_error ("%u descriptors are left, of %u", now, before);
      g_thread_yield ();
    }
}
