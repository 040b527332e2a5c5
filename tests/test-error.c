/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-error-private.h"

#include <errno.h>
#include <string.h>

static void
test_grammar (void)
{
  g_autoptr (GError) error = NULL;

  usock_error_set_errno (&error, ENOENT, "Could not connect to “%s”", "/run/x");

  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpstr (error->message, ==, "Could not connect to “/run/x”: No such file or directory");
}

/* What is wrong with a name, told in one domain. */
static void
test_lookup (void)
{
  const struct
  {
    GError cause;
    int code;
  } lookups[] = {
    { { G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, (char *) "gone" },
      G_IO_ERROR_HOST_NOT_FOUND },
    { { G_RESOLVER_ERROR, G_RESOLVER_ERROR_TEMPORARY_FAILURE, (char *) "later" },
      G_IO_ERROR_NETWORK_UNREACHABLE },
    { { G_RESOLVER_ERROR, G_RESOLVER_ERROR_INTERNAL, (char *) "odd" }, G_IO_ERROR_FAILED },
    { { G_IO_ERROR, G_IO_ERROR_CANCELLED, (char *) "stopped" }, G_IO_ERROR_CANCELLED },
    { { G_SPAWN_ERROR, G_SPAWN_ERROR_NOEXEC, (char *) "strange" }, G_IO_ERROR_FAILED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (lookups); i++)
    {
      g_autoptr (GError) error = usock_error_new_lookup ("Could not send", &lookups[i].cause);
      g_autofree char *told = g_strconcat ("Could not send: ", lookups[i].cause.message, NULL);

      g_assert_error (error, G_IO_ERROR, lookups[i].code);
      g_assert_cmpstr (error->message, ==, told);
    }
}

static void
test_counts (void)
{
  g_assert_cmpstr (P_("%u message waits", "%u messages wait", 1), ==, "%u message waits");
  g_assert_cmpstr (P_("%u message waits", "%u messages wait", 2), ==, "%u messages wait");
  g_assert_cmpstr (P_("%u message waits", "%u messages wait", 0), ==, "%u messages wait");
}

static void
test_nobody_asked (void)
{
  usock_error_set_errno (NULL, EIO, "Could not send");
}

/* On what a program may have to act, it must be able to. */
static void
test_codes (void)
{
  static const struct
  {
    int errnum;
    GIOErrorEnum code;
  } codes[] = {
    { ENOENT, G_IO_ERROR_NOT_FOUND },
    { EACCES, G_IO_ERROR_PERMISSION_DENIED },
    { EPERM, G_IO_ERROR_PERMISSION_DENIED },
    { ECONNREFUSED, G_IO_ERROR_CONNECTION_REFUSED },
    { ECONNRESET, G_IO_ERROR_CONNECTION_CLOSED },
    { EPIPE, G_IO_ERROR_CONNECTION_CLOSED },
    { ENOTCONN, G_IO_ERROR_NOT_CONNECTED },
    { ETIMEDOUT, G_IO_ERROR_TIMED_OUT },
    { EADDRINUSE, G_IO_ERROR_ADDRESS_IN_USE },
    { EAGAIN, G_IO_ERROR_WOULD_BLOCK },
    { EMSGSIZE, G_IO_ERROR_MESSAGE_TOO_LARGE },
    { ENAMETOOLONG, G_IO_ERROR_FILENAME_TOO_LONG },
    { EMFILE, G_IO_ERROR_TOO_MANY_OPEN_FILES },
    { ENFILE, G_IO_ERROR_TOO_MANY_OPEN_FILES },
    { ETOOMANYREFS, G_IO_ERROR_TOO_MANY_OPEN_FILES },
    { EBADF, G_IO_ERROR_INVALID_ARGUMENT },
    { EINVAL, G_IO_ERROR_INVALID_ARGUMENT },
    { ENOTSOCK, G_IO_ERROR_INVALID_ARGUMENT },
    { EPROTOTYPE, G_IO_ERROR_INVALID_ARGUMENT },
    { EALREADY, G_IO_ERROR_PENDING },
    { EISCONN, G_IO_ERROR_EXISTS },
    { EOPNOTSUPP, G_IO_ERROR_NOT_SUPPORTED },
    { EADDRNOTAVAIL, G_IO_ERROR_FAILED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      g_autoptr (GError) error = NULL;

      usock_error_set_errno (&error, codes[i].errnum, "Could not %s", "try");
      if (error->code != (int) codes[i].code)
        g_error ("%s is code %d", g_strerror (codes[i].errnum), error->code);
      g_assert_true (g_str_has_prefix (error->message, "Could not try: "));
    }
}

/* “Protocol wrong type for socket” does not tell anybody what to do. */
static void
test_own_reasons (void)
{
  static const int errnums[] = { EPROTOTYPE, EALREADY, EISCONN, ETOOMANYREFS };

  for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
    {
      g_autoptr (GError) error = NULL;

      usock_error_set_errno (&error, errnums[i], "Could not try");
      g_assert_null (strstr (error->message, g_strerror (errnums[i])));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/usock/error/grammar", test_grammar);
  g_test_add_func ("/usock/error/counts", test_counts);
  g_test_add_func ("/usock/error/lookup", test_lookup);
  g_test_add_func ("/usock/error/nobody-asked", test_nobody_asked);
  g_test_add_func ("/usock/error/codes", test_codes);
  g_test_add_func ("/usock/error/own-reasons", test_own_reasons);

  return g_test_run ();
}
