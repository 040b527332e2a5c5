/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-error-private.h"

#include <errno.h>
#include <libintl.h>

static void
error_bind_catalogs (void)
{
  static gsize bound = 0;

  if (g_once_init_enter (&bound))
    {
      const char *directory = USOCK_LOCALEDIR;

#ifdef USOCK_FAULTS
      if (g_getenv ("USOCK_LOCALEDIR") != NULL)
        directory = g_getenv ("USOCK_LOCALEDIR");
#endif
      bindtextdomain (GETTEXT_PACKAGE, directory);
      bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
      g_once_init_leave (&bound, 1);
    }
}

const char *
usock_gettext (const char *text)
{
  error_bind_catalogs ();

  return dgettext (GETTEXT_PACKAGE, text);
}

const char *
usock_ngettext (const char *one,
                const char *many,
                gulong      n)
{
  error_bind_catalogs ();

  return dngettext (GETTEXT_PACKAGE, one, many, n);
}

/* GIO leaves what only sockets say at FAILED, on which a program cannot act. */
GIOErrorEnum
usock_error_code (int errnum)
{
  switch (errnum)
    {
    case EBADF:
    case ENOTSOCK:
    case EPROTOTYPE:
      return G_IO_ERROR_INVALID_ARGUMENT;
    case ENAMETOOLONG:
      return G_IO_ERROR_FILENAME_TOO_LONG;
    case EALREADY:
      return G_IO_ERROR_PENDING;
    case EISCONN:
      return G_IO_ERROR_EXISTS;
    case EISNAM:
      return G_IO_ERROR_ADDRESS_IN_USE;
    case ETOOMANYREFS:
      return G_IO_ERROR_TOO_MANY_OPEN_FILES;
    case ENOPROTOOPT:
      return G_IO_ERROR_NOT_SUPPORTED;
    case EPERM:
      return G_IO_ERROR_PERMISSION_DENIED;
    case EDESTADDRREQ:
      return G_IO_ERROR_NOT_CONNECTED;
    case EADDRNOTAVAIL:
      /* Newer GLibs take it for a refusal, of which one expects that trying again may help. */
      return G_IO_ERROR_FAILED;
    default:
      return g_io_error_from_errno (errnum);
    }
}

static const char *
error_reason (int errnum)
{
  switch (errnum)
    {
    case EPROTOTYPE:
      return _("the socket there is of another type");
    case EAFNOSUPPORT:
      return _("addresses of this family are not supported here");
    case EISNAM:
      return _("a file that is not a socket is in the way");
    case EALREADY:
      return _("a connection is already being made");
    case EISCONN:
      return _("this socket is already connected");
    case ENOPROTOOPT:
      return _("this socket, or this system, has no such option");
    case ETOOMANYREFS:
      return _("too many descriptors are on their way, not yet received");
    default:
      return g_strerror (errnum);
    }
}

void
usock_error_set_errno (GError    **error,
                       int         errnum,
                       const char *format,
                       ...)
{
  g_autofree char *tried = NULL;
  va_list arguments;

  if (error == NULL)
    return;

  va_start (arguments, format);
  tried = g_strdup_vprintf (format, arguments);
  va_end (arguments);

  /* Translators: what was tried, then why it failed */
  g_set_error (error, G_IO_ERROR, usock_error_code (errnum), _("%s: %s"), tried,
               error_reason (errnum));
}

/* What resolvers say is of a domain of its own. */
GError *
usock_error_new_lookup (const char   *tried,
                        const GError *cause)
{
  int code = G_IO_ERROR_FAILED;

  if (g_error_matches (cause, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND))
    code = G_IO_ERROR_HOST_NOT_FOUND;
  else if (g_error_matches (cause, G_RESOLVER_ERROR, G_RESOLVER_ERROR_TEMPORARY_FAILURE))
    code = G_IO_ERROR_NETWORK_UNREACHABLE;
  else if (cause->domain == G_IO_ERROR)
    code = cause->code;

  /* Translators: what was tried, then why it failed */
  return g_error_new (G_IO_ERROR, code, _("%s: %s"), tried, cause->message);
}
