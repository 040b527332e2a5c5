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

/* Of a program in a Flatpak, which has a directory of its own there that both sides of the sandbox
 * see; NULL for others. */
static const char *
service_get_app (void)
{
  const char *app = g_getenv ("FLATPAK_ID");

  return app != NULL && service_check_name (app, NULL) ? app : NULL;
}

static char *
service_build_path (const char *directory,
                    const char *app,
                    const char *name)
{
  return app != NULL ? g_build_filename (directory, "app", app, name, NULL)
                     : g_build_filename (directory, name, NULL);
}

static gboolean
service_is_there (const char *path)
{
  struct stat info;

  return lstat (path, &info) == 0;
}

/* An app owns the names that begin with its own, as it does on the message bus. NULL if none of
 * them has the service. */
static char *
service_find_in_apps (const char *directory,
                      const char *name)
{
  g_autofree char *app = g_strdup (name);
  char *dot;

  do
    {
      g_autofree char *path = service_build_path (directory, app, name);

      if (service_is_there (path))
        return g_steal_pointer (&path);
      dot = strrchr (app, '.');
      if (dot != NULL)
        *dot = '\0';
    }
  while (dot != NULL && *app != '\0');

  return NULL;
}

/* Where a program of the user has the service of that name. */
UsockName *
usock_name_new_for_own_service (const char  *name,
                                GError     **error)
{
  const char *directory = g_getenv ("XDG_RUNTIME_DIR");
  g_autofree char *path = NULL;

  if (!service_check_name (name, error) || !service_check_directory (name, directory, error))
    return NULL;

  path = service_build_path (directory, service_get_app (), name);
  return usock_name_new_for_path (path, error);
}

/* Where the user's programs find it: in our own place, or on the other side of the sandbox, ours or
 * theirs. If it is nowhere, it is missing in our own. */
UsockName *
usock_name_new_for_service (const char  *name,
                            GError     **error)
{
  UsockName *own = usock_name_new_for_own_service (name, error);
  const char *directory = g_getenv ("XDG_RUNTIME_DIR");
  g_autofree char *other = NULL;

  if (own == NULL || service_is_there (own->path))
    return own;

  other = service_get_app () != NULL ? service_build_path (directory, NULL, name)
                                     : service_find_in_apps (directory, name);
  if (other == NULL || !service_is_there (other))
    return own;

  usock_name_free (own);
  return usock_name_new_for_path (other, error);
}
