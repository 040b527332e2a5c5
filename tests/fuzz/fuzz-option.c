/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options: bytes that the kernel gives become a value; a value, well formed or not, becomes bytes or
 * is refused. */

#include "fuzz.h"

#include <string.h>

#include "usock-option-private.h"

/* The kernel gets as much room as the largest answer needs, and says less or more of it. */
static void
unpack (const UsockOption *option,
        FuzzInput         *input)
{
  gsize length;
  const guint8 *data = fuzz_take_bytes (input, 4096, &length);
  g_autofree guint8 *bytes = g_malloc0 (4096);
  g_autoptr (GVariant) value = NULL;
  g_autofree char *text = NULL;

  if ((option->access & USOCK_OPTION_READABLE) == 0 || option->kind == USOCK_OPTION_NEW_FD)
    return;

  if (length > 0)
    memcpy (bytes, data, length);
  value = usock_option_unpack (option, bytes, length);
  if (value != NULL)
    text = g_variant_print (value, TRUE);
}

static void
pack (const UsockOption *option,
      FuzzInput         *input)
{
  g_autofree char *text = fuzz_take_text (input, 256);
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_autoptr (GVariant) value = g_variant_parse (NULL, valid, NULL, NULL, NULL);
  UsockOptionValue packed = { g_byte_array_new (), NULL };
  g_autoptr (GError) error = NULL;

  if (value != NULL && (option->access & USOCK_OPTION_WRITABLE) != 0
      && usock_option_takes (option, value))
    g_assert_true (usock_option_pack (option, value, &packed, &error) == (error == NULL));
  g_clear_error (&error);
  if (value != NULL && !usock_option_check_value (option->level, option->name, value, &error))
    g_assert_nonnull (error);
  g_byte_array_unref (packed.data);
  g_clear_pointer (&packed.program, g_byte_array_unref);
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        gsize         size)
{
  FuzzInput input = { data, size };
  const UsockOption *option
      = usock_option_nth (fuzz_take_below (&input, usock_option_n_known ()));

  if (fuzz_take_byte (&input) % 2 == 0)
    unpack (option, &input);
  else
    pack (option, &input);
  return 0;
}
