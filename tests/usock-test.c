/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

gint64
usock_test_deadline (void)
{
  /* Under valgrind everything takes some thirty times longer, and the long tests do more. Who expects
   * that a test fails does not want to wait that long for it. */
  gboolean slow = g_getenv ("USOCK_TEST_SLOW") != NULL || g_getenv ("USOCK_TEST_LONG") != NULL;
  const char *patience = g_getenv ("USOCK_TEST_PATIENCE");
  gint64 seconds = patience != NULL ? g_ascii_strtoll (patience, NULL, 10) : 30;

  return g_get_monotonic_time () + seconds * G_USEC_PER_SEC * (slow ? 30 : 1);
}

static gboolean
deadline_cb (gpointer data)
{
  g_error ("In vain waited for %s", (const char *) data);
  return G_SOURCE_REMOVE;
}

void
usock_test_iterate (gint64      deadline,
                    const char *awaited)
{
  GMainContext *context = g_main_context_get_thread_default ();
  g_autoptr (GSource) alarm = g_timeout_source_new (0);

  g_source_set_callback (alarm, deadline_cb, (gpointer) awaited, NULL);
  g_source_set_ready_time (alarm, deadline);
  g_source_set_priority (alarm, G_PRIORITY_HIGH);
  g_source_attach (alarm, context);
  g_main_context_iteration (context, TRUE);
  g_source_destroy (alarm);
}

static GHashTable *
list_fds (void)
{
  GHashTable *fds = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GDir) directory = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/fd", name, NULL);
      char *target = g_file_read_link (path, NULL);

      if (target == NULL || g_str_has_suffix (target, "/fd"))
        g_free (target);
      else
        g_hash_table_insert (fds, g_strdup (name), target);
    }

  return fds;
}

static char *
describe_leaked_fds (UsockTest *self)
{
  g_autoptr (GHashTable) fds = list_fds ();
  GString *leaked = g_string_new (NULL);
  GHashTableIter iter;
  gpointer name, target;

  g_hash_table_iter_init (&iter, fds);
  while (g_hash_table_iter_next (&iter, &name, &target))
    if (g_strcmp0 (g_hash_table_lookup (self->fds_before, name), target) != 0)
      g_string_append_printf (leaked, " %s -> %s", (char *) name, (char *) target);

  return g_string_free (leaked, FALSE);
}

static void
assert_no_fd_leaked (UsockTest *self)
{
  gint64 deadline = usock_test_deadline ();
  g_autofree char *leaked = describe_leaked_fds (self);

  /* What could block is closed in another thread, which nothing here can wait for. */
  while (*leaked != '\0' && g_get_monotonic_time () < deadline)
    {
      g_thread_yield ();
      g_free (leaked);
      leaked = describe_leaked_fds (self);
    }

  if (*leaked != '\0')
    g_error ("Descriptors leaked:%s", leaked);
}

static void
assert_no_source_left (UsockTest *self)
{
  g_autoptr (GSource) probe = g_idle_source_new ();
  guint n_ids = g_source_attach (probe, self->context);

  g_source_destroy (probe);

  /* Nothing lists the sources of a context, but it numbers them from 1. */
  for (guint id = 1; id < n_ids; id++)
    {
      GSource *source = g_main_context_find_source_by_id (self->context, id);

      if (source != NULL)
        g_error ("Source %u (%s) was left in the context", id, g_source_get_name (source));
    }
}

static int
remove_file_cb (const char        *path,
                const struct stat *info,
                int                type,
                struct FTW        *level)
{
  return remove (path);
}

void
usock_test_setup (UsockTest     *self,
                  gconstpointer  data)
{
  g_autoptr (GError) error = NULL;

  /* Made by the first push of another context, with a descriptor that is never closed. */
  g_main_context_default ();

  self->fds_before = list_fds ();
  self->directory = g_dir_make_tmp ("usock-XXXXXX", &error);
  g_assert_no_error (error);
  g_assert_cmpint (
      socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, self->pair), ==, 0);
  self->context = g_main_context_new ();
  g_main_context_push_thread_default (self->context);
}

void
usock_test_teardown (UsockTest     *self,
                     gconstpointer  data)
{
  while (g_main_context_iteration (self->context, FALSE))
    ;
  assert_no_source_left (self);
  g_main_context_pop_thread_default (self->context);
  g_clear_pointer (&self->context, g_main_context_unref);

  for (guint i = 0; i < G_N_ELEMENTS (self->pair); i++)
    if (self->pair[i] >= 0)
      close (self->pair[i]);
  nftw (self->directory, remove_file_cb, 16, FTW_DEPTH | FTW_PHYS);
  g_free (self->directory);

  assert_no_fd_leaked (self);
  g_hash_table_unref (self->fds_before);
}

char *
usock_test_path (UsockTest  *self,
                 const char *name)
{
  return g_build_filename (self->directory, name, NULL);
}

int
usock_test_take (UsockTest *self,
                 guint      end)
{
  return g_steal_fd (&self->pair[end]);
}
