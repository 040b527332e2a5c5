/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-version.h"

static void
test_text (void)
{
  g_autofree char *numbers
      = g_strdup_printf ("%d.%d.%d", USOCK_MAJOR_VERSION, USOCK_MINOR_VERSION, USOCK_MICRO_VERSION);

  g_assert_cmpstr (usock_get_version (), ==, numbers);
  g_assert_cmpstr (USOCK_VERSION_S, ==, numbers);
}

static void
test_check (void)
{
  g_assert_true (USOCK_CHECK_VERSION (0, 0, 0));
  g_assert_true (
      USOCK_CHECK_VERSION (USOCK_MAJOR_VERSION, USOCK_MINOR_VERSION, USOCK_MICRO_VERSION));
  g_assert_true (USOCK_CHECK_VERSION (USOCK_MAJOR_VERSION - 1, 1000, 1000));
  g_assert_true (USOCK_CHECK_VERSION (USOCK_MAJOR_VERSION, USOCK_MINOR_VERSION - 1, 1000));
  g_assert_false (
      USOCK_CHECK_VERSION (USOCK_MAJOR_VERSION, USOCK_MINOR_VERSION, USOCK_MICRO_VERSION + 1));
  g_assert_false (USOCK_CHECK_VERSION (USOCK_MAJOR_VERSION, USOCK_MINOR_VERSION + 1, 0));
  g_assert_false (USOCK_CHECK_VERSION (USOCK_MAJOR_VERSION + 1, 0, 0));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/usock/version/text", test_text);
  g_test_add_func ("/usock/version/check", test_check);

  return g_test_run ();
}
