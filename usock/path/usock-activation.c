/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-activation-private.h"

#include <fcntl.h>
#include <unistd.h>

#include "usock-error-private.h"
#include "usock-fork-private.h"
#include "usock-io-private.h"

#define FIRST_FD 3
#define MOST_FDS 65536

/* What a socket is named if LISTEN_FDNAMES does not say. */
#define NO_NAME "unknown"

/* What the environment said when it was last looked at, and what of it is given out. */
typedef struct
{
  char *text;
  guint n_fds;
  char **names;
  guint n_names;
  gboolean *taken;
} Passed;

static GMutex lock;
static Passed passed;

static void
passed_clear (Passed *self)
{
  g_clear_pointer (&self->text, g_free);
  g_clear_pointer (&self->names, g_strfreev);
  g_clear_pointer (&self->taken, g_free);
  self->n_fds = self->n_names = 0;
}

static void
activation_fork_lock (void)
{
  g_mutex_lock (&lock);
}

static void
activation_fork_unlock (void)
{
  g_mutex_unlock (&lock);
}

static const UsockForkFuncs activation_fork_funcs = {
  .lock = activation_fork_lock,
  .unlock = activation_fork_unlock,
};

static void
activation_lock (void)
{
  static gsize registered = 0;

  if (g_once_init_enter (&registered))
    {
      usock_fork_register (&activation_fork_funcs);
      g_once_init_leave (&registered, 1);
    }

  g_mutex_lock (&lock);
}

/* What is there for this process: a child inherits the variables, and must not believe them. */
static guint
passed_count (void)
{
  const char *pid = g_getenv ("LISTEN_PID");
  const char *n_fds = g_getenv ("LISTEN_FDS");
  guint64 number;

  if (pid == NULL || n_fds == NULL
      || !g_ascii_string_to_unsigned (pid, 10, 1, G_MAXINT, &number, NULL)
      || number != (guint64) getpid ()
      || !g_ascii_string_to_unsigned (n_fds, 10, 1, MOST_FDS, &number, NULL))
    return 0;

  return number;
}

static void
passed_read (Passed *self)
{
  guint n_fds = passed_count ();
  const char *names = n_fds > 0 ? g_getenv ("LISTEN_FDNAMES") : NULL;
  g_autofree char *text
      = g_strdup_printf ("%d %u %s", getpid (), n_fds, names != NULL ? names : "");

  if (g_strcmp0 (self->text, text) == 0)
    return;

  passed_clear (self);
  self->text = g_steal_pointer (&text);
  self->n_fds = n_fds;
  self->names = g_strsplit (names != NULL ? names : "", ":", -1);
  self->n_names = g_strv_length (self->names);
  self->taken = g_new0 (gboolean, n_fds);
  for (guint i = 0; i < n_fds; i++)
    {
      int flags = fcntl (FIRST_FD + i, F_GETFD);

      if (flags != -1)
        fcntl (FIRST_FD + i, F_SETFD, flags | FD_CLOEXEC);
    }
}

static const char *
passed_name (Passed *self,
             guint   i)
{
  return i < self->n_names ? self->names[i] : NO_NAME;
}

static gboolean
fits (int                 fd,
      int                 type,
      UsockActivationKind kind)
{
  int its_type = 0;

  if (usock_io_get_option (fd, SOL_SOCKET, SO_TYPE, &its_type) < 0 || its_type != type)
    return FALSE;

  return kind == USOCK_ACTIVATION_ANY
         || (kind == USOCK_ACTIVATION_LISTENER) == usock_io_peer_is_missing (fd);
}

/* The first that is named @name, whatever it is named if that is NULL, and fits. Gives it out;
 * usock_activation_settle() has to follow. */
int
usock_activation_take (const char           *name,
                       int                   type,
                       UsockActivationKind   kind,
                       GError              **error)
{
  gboolean found = FALSE;
  int fd = -1;

  activation_lock ();
  passed_read (&passed);
  for (guint i = 0; i < passed.n_fds && fd == -1; i++)
    {
      if (passed.taken[i] || (name != NULL && !g_str_equal (name, passed_name (&passed, i))))
        continue;

      found = TRUE;
      if (fits (FIRST_FD + i, type, kind))
        {
          passed.taken[i] = TRUE;
          fd = FIRST_FD + i;
        }
    }
  g_mutex_unlock (&lock);

  if (fd == -1 && found)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                         _("Could not take a socket from the service manager: what it passed is of "
                           "another type"));
  else if (fd == -1 && name != NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 _("Could not take a socket from the service manager: it passed none with the name "
                   "“%s”"),
                 name);
  else if (fd == -1)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                         _("Could not take a socket from the service manager: it passed none"));
  return fd;
}

static gboolean
passed_is_over (Passed *self)
{
  for (guint i = 0; i < self->n_fds; i++)
    if (!self->taken[i])
      return FALSE;

  return TRUE;
}

/* If it was not @used it may be taken again. */
void
usock_activation_settle (int      fd,
                         gboolean used)
{
  static const char *const variables[]
      = { "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID" };

  if (fd == -1)
    return;

  activation_lock ();
  if (!used && (guint) fd - FIRST_FD < passed.n_fds)
    passed.taken[fd - FIRST_FD] = FALSE;
  else if (used && passed_is_over (&passed))
    {
      for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
        g_unsetenv (variables[i]);
      passed_clear (&passed);
    }
  g_mutex_unlock (&lock);
}
