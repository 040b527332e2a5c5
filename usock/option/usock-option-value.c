/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-option-private.h"

void
usock_option_refuse (const UsockOption  *self,
                     GError            **error,
                     GIOErrorEnum        code,
                     const char         *reason)
{
  g_set_error (error, G_IO_ERROR, code, _("Could not set %s: %s"), self->label, reason);
}

/* What does not fit 64 bits with a sign fits no option that has a range. */
gint64
usock_option_get_number (GVariant *value)
{
  guint64 large;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BYTE:
      return g_variant_get_byte (value);
    case G_VARIANT_CLASS_INT16:
      return g_variant_get_int16 (value);
    case G_VARIANT_CLASS_UINT16:
      return g_variant_get_uint16 (value);
    case G_VARIANT_CLASS_INT32:
      return g_variant_get_int32 (value);
    case G_VARIANT_CLASS_UINT32:
      return g_variant_get_uint32 (value);
    case G_VARIANT_CLASS_INT64:
      return g_variant_get_int64 (value);
    case G_VARIANT_CLASS_HANDLE:
      return g_variant_get_handle (value);
    default:
      large = g_variant_get_uint64 (value);
      return large <= G_MAXINT64 ? (gint64) large : G_MAXINT64;
    }
}
