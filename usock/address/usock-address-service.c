/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-address-private.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usock-error-private.h"

static gboolean
service_check_name (const char  *name,
                    GError     **error)
{
  g_autofree char *shown = NULL;

  if (*name != '\0' && strchr (name, '/') == NULL && !g_str_equal (name, ".")
      && !g_str_equal (name, ".."))
    return TRUE;

  shown = g_filename_display_name (name);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME,
               _("Could not use “%s” as a name: it is empty, “.” or “..”, or has a slash"), shown);
  return FALSE;
}

/* Who became another user, by su(1) for one, may still have the directory of who he was before:
 * what he makes there is not safe from him, and what he finds there is not from himself. */
static gboolean
service_check_directory (const char  *name,
                         const char  *directory,
                         GError     **error)
{
  struct stat info;

  if (directory == NULL || directory[0] != '/')
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 _("Could not use “%s” as a name: XDG_RUNTIME_DIR is not set to a directory"), name);
  else if (stat (directory, &info) == 0 && info.st_uid != geteuid ())
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                 _("Could not use “%s” as a name: XDG_RUNTIME_DIR is the directory of another "
                   "user"),
                 name);
  else
    return TRUE;

  return FALSE;
}

/* Where the user's programs find the service of that name. */
UsockName *
usock_name_new_for_service (const char  *name,
                            GError     **error)
{
  const char *directory = g_getenv ("XDG_RUNTIME_DIR");
  g_autofree char *path = NULL;

  if (!service_check_name (name, error) || !service_check_directory (name, directory, error))
    return NULL;

  path = g_build_filename (directory, name, NULL);
  return usock_name_new_for_path (path, error);
}
