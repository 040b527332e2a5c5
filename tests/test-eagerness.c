/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-eagerness-private.h"
#include "usock-test.h"

static void
test_growth (UsockTest *test, gconstpointer data)
{
  UsockEagerness eagerness = { 0 };

  g_assert_cmpuint (usock_eagerness_get (&eagerness, 64), ==, 1);
  for (guint wanted = 1; wanted < 16; wanted *= 2)
    {
      usock_eagerness_found (&eagerness, wanted, wanted, wanted * 64, 16);
      g_assert_cmpuint (usock_eagerness_get (&eagerness, 64), ==, wanted * 2);
    }

  /* There are no more slots, and a turn may have less left. */
  usock_eagerness_found (&eagerness, 16, 16, 16 * 64, 16);
  g_assert_cmpuint (usock_eagerness_get (&eagerness, 64), ==, 16);
  g_assert_cmpuint (usock_eagerness_get (&eagerness, 5), ==, 5);
  g_assert_cmpuint (usock_eagerness_get (&eagerness, 0), ==, 1);
}

static void
test_shrinking (UsockTest *test, gconstpointer data)
{
  UsockEagerness eagerness = { .wanted = 16 };

  usock_eagerness_found (&eagerness, 16, 3, 3 * 64, 64);
  g_assert_cmpuint (eagerness.wanted, ==, 3);
  usock_eagerness_found (&eagerness, 3, 1, 64, 64);
  g_assert_cmpuint (eagerness.wanted, ==, 1);

  /* Large messages leave the cache before they are delivered. */
  eagerness.wanted = 16;
  usock_eagerness_found (&eagerness, 16, 16, 16 * 64 * 1024, 64);
  g_assert_cmpuint (eagerness.wanted, ==, 8);
  /* Eight of these fill what may be read at once, and are as many as fit. */
  usock_eagerness_found (&eagerness, 8, 8, 8 * 64 * 1024, 64);
  g_assert_cmpuint (eagerness.wanted, ==, 8);
  usock_eagerness_found (&eagerness, 4, 4, 4 * 64 * 1024, 64);
  g_assert_cmpuint (eagerness.wanted, ==, 8);
  /* One is asked for, however large it is. */
  usock_eagerness_found (&eagerness, 1, 1, 1024 * 1024, 64);
  g_assert_cmpuint (eagerness.wanted, ==, 1);
}

static void
test_nothing (UsockTest *test, gconstpointer data)
{
  UsockEagerness eagerness = { .wanted = 16 };

  usock_eagerness_found_nothing (&eagerness, 16);
  g_assert_cmpuint (eagerness.wanted, ==, 1);
  g_assert_cmpuint (eagerness.n_in_vain, ==, 1);
  /* To ask for one is not to ask for more. */
  usock_eagerness_found_nothing (&eagerness, 1);
  g_assert_cmpuint (eagerness.n_in_vain, ==, 1);
  usock_eagerness_found (&eagerness, 1, 1, 64, 64);
  g_assert_cmpuint (eagerness.n_in_vain, ==, 1);
  usock_eagerness_found (&eagerness, 2, 1, 64, 64);
  g_assert_cmpuint (eagerness.n_in_vain, ==, 0);
}

/* Once calm, every sixteenth time more is asked for all the same. */
static void
test_calm (UsockTest *test, gconstpointer data)
{
  UsockEagerness eagerness = { 0 };
  guint n_asked = 0;

  for (guint i = 0; i < 16; i++)
    {
      g_assert_false (usock_eagerness_is_calm (&eagerness));
      usock_eagerness_found_nothing (&eagerness, 2);
    }

  for (guint i = 0; i < 160; i++)
    n_asked += !usock_eagerness_is_calm (&eagerness);
  g_assert_cmpuint (n_asked, ==, 10);

  usock_eagerness_found (&eagerness, 2, 2, 128, 64);
  g_assert_false (usock_eagerness_is_calm (&eagerness));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/eagerness/growth", test_growth);
  usock_test_add ("/usock/eagerness/shrinking", test_shrinking);
  usock_test_add ("/usock/eagerness/nothing", test_nothing);
  usock_test_add ("/usock/eagerness/calm", test_calm);

  return g_test_run ();
}
