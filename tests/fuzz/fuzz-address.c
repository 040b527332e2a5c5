/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Addresses: what is read from a text is written so that it reads back as the same, and so is what
 * the kernel gives. */

#include "fuzz.h"

#include <string.h>

#include "usock-address-private.h"

static void
check_name (UsockName *name)
{
  g_autofree char *text = usock_name_to_text (name);
  g_autoptr (UsockName) again = NULL;
  g_autoptr (GSocketAddress) address = usock_name_to_address (name);

  g_assert_cmpint (text != NULL, ==, usock_name_has_text (name));
  if (text == NULL)
    return;

  again = usock_name_new_for_text (text, NULL);
  g_assert_nonnull (again);
  g_assert_true (usock_name_equal (name, again));
  g_assert_cmpuint (usock_name_hash (name), ==, usock_name_hash (again));
}

static void
check_text (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockName) name = usock_name_new_for_text (text, &error);
  g_autoptr (GSocketAddress) address = usock_address_parse (text, NULL);
  guint16 port;
  g_autofree char *host = usock_text_get_host (text, &port);

  g_assert_true ((name == NULL) == (error != NULL));
  if (name != NULL)
    check_name (name);
  if (address != NULL)
    {
      g_autofree char *written = usock_address_to_string (address);
      g_autoptr (GSocketAddress) again
          = written != NULL ? usock_address_parse (written, NULL) : NULL;
      g_autofree char *rewritten = again != NULL ? usock_address_to_string (again) : NULL;

      g_assert_cmpstr (written, ==, rewritten);
    }
}

static void
check_paths (const char *text)
{
  g_autoptr (UsockName) path = usock_name_new_for_path (text, NULL);
  g_autoptr (UsockName) service = usock_name_new_for_service (text, NULL);

  if (path != NULL)
    check_name (path);
  if (service != NULL)
    g_assert_nonnull (service->path);
}

static void
check_native (FuzzInput *input)
{
  struct sockaddr_storage native = { 0 };
  gsize length;
  const guint8 *bytes = fuzz_take_bytes (input, sizeof native, &length);
  g_autofree char *text = NULL;
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (UsockName) name = NULL;

  if (length > 0)
    memcpy (&native, bytes, length);
  text = usock_native_to_text ((struct sockaddr *) &native, (socklen_t) length);
  address = usock_native_to_address ((struct sockaddr *) &native, (socklen_t) length);
  if (text != NULL)
    {
      g_assert_true (g_utf8_validate (text, -1, NULL));
      name = usock_name_new_for_text (text, NULL);
    }
  if (name != NULL)
    check_name (name);
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        gsize         size)
{
  FuzzInput input = { data, size };
  guint8 what = fuzz_take_byte (&input);
  g_autofree char *text = NULL;

  if (what % 4 == 0)
    {
      check_native (&input);
      return 0;
    }

  text = fuzz_take_text (&input, 5000);
  if (what % 4 == 1)
    check_paths (text);
  else
    check_text (text);
  return 0;
}
