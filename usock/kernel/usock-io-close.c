/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-io-calls-private.h"

#include <fcntl.h>
#include <linux/major.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void
close_in_thread (gpointer data,
                 gpointer user_data)
{
  close (GPOINTER_TO_INT (data) - 1);
}

/* A forked child has the pool but not its thread, nor any thread of GLib's shared ones. */
static GThreadPool *
get_closer (void)
{
  static GMutex lock;
  static GThreadPool *closer = NULL;
  static pid_t closer_pid = 0;
  GThreadPool *result;

  g_mutex_lock (&lock);
  if (closer_pid != getpid ())
    {
      closer = g_thread_pool_new (close_in_thread, NULL, 1, TRUE, NULL);
      closer_pid = getpid ();
    }
  result = closer;
  g_mutex_unlock (&lock);

  return result;
}

/* How many descriptors wait to be closed, so that who receives them can wait too. */
guint
usock_io_count_closing (void)
{
  return g_thread_pool_unprocessed (get_closer ());
}

/* A descriptor that a stranger gave may block whoever closes it: a TCP socket that lingers, a
 * socket with such a one in its queue, a file on a dead server. */
void
usock_io_close_foreign (int fd)
{
  struct linger none = { 0, 0 };
  struct stat info;

  if (fstat (fd, &info) == -1 || S_ISFIFO (info.st_mode) || S_ISDIR (info.st_mode)
      || (S_ISCHR (info.st_mode) && major (info.st_rdev) == MEM_MAJOR)
      || (S_ISREG (info.st_mode) && fcntl (fd, F_GET_SEALS) != -1))
    {
      close (fd);
      return;
    }

  if (S_ISSOCK (info.st_mode))
    setsockopt (fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  g_thread_pool_push (get_closer (), GINT_TO_POINTER (fd + 1), NULL);
}

/* A socket of ours, into whose queue a stranger may have put descriptors: they are closed with it. */
void
usock_io_close_guarded (int      fd,
                        gboolean stream)
{
  gboolean at_end = FALSE;

  if (usock_io_peek_end (fd, stream, &at_end) >= 0 && !at_end)
    usock_io_close_foreign (fd);
  else
    close (fd);
}
