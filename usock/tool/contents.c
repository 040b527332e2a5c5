/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What received descriptors are open on, to standard output. Reading may block, whatever the
 * descriptor is, so it is done in a thread. */

#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "tool.h"

#define PIECE_SIZE (64 * 1024)

typedef struct
{
  int *fds;
  gsize n_fds;
  gsize index;
  goffset offset;
  GFunc done;
  gpointer user_data;
} Contents;

static void contents_go_on (gpointer data,
                            gpointer unused);

/* Where its sender has read or written to does not matter, where it can be asked for a place. */
static void
read_thread (GTask        *task,
             gpointer      source_object,
             gpointer      data,
             GCancellable *cancellable)
{
  Contents *self = data;
  g_autofree guint8 *piece = g_malloc (PIECE_SIZE);
  int fd = self->fds[self->index];
  gssize length;

  do
    {
      length = pread (fd, piece, PIECE_SIZE, self->offset);
      if (length < 0 && errno == ESPIPE)
        length = read (fd, piece, PIECE_SIZE);
    }
  while (length < 0 && errno == EINTR);

  if (length < 0)
    g_task_return_new_error (task, G_IO_ERROR, g_io_error_from_errno (errno),
                             _("could not read a descriptor: %s"), g_strerror (errno));
  else
    g_task_return_pointer (task, g_bytes_new_take (g_steal_pointer (&piece), length),
                           (GDestroyNotify) g_bytes_unref);
}

static void
contents_next_fd (Contents *self)
{
  close (self->fds[self->index++]);
  self->offset = 0;
  contents_go_on (self, NULL);
}

static void
read_cb (GObject      *source_object,
         GAsyncResult *result,
         gpointer      data)
{
  Contents *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = g_task_propagate_pointer (G_TASK (result), &error);

  if (error != NULL)
    tool_complain ("%s", error->message);
  if (bytes == NULL || g_bytes_get_size (bytes) == 0)
    {
      contents_next_fd (self);
      return;
    }

  self->offset += g_bytes_get_size (bytes);
  tool_output (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  tool_output_then (contents_go_on, self, NULL);
}

static void
contents_go_on (gpointer data,
                gpointer unused)
{
  Contents *self = data;
  g_autoptr (GTask) task = NULL;

  if (self->index == self->n_fds)
    {
      self->done (self->user_data, NULL);
      g_free (self->fds);
      g_free (self);
      return;
    }

  task = g_task_new (NULL, NULL, read_cb, self);
  g_task_set_task_data (task, self, NULL);
  g_task_run_in_thread (task, read_thread);
}

/* Takes the descriptors of the message, and calls the function when all of them are printed. */
void
tool_output_contents (UsockMessage *message,
                      GFunc         done,
                      gpointer      user_data)
{
  Contents *self = g_new0 (Contents, 1);

  self->fds = usock_message_take_fds (message, &self->n_fds);
  self->done = done;
  self->user_data = user_data;
  contents_go_on (self, NULL);
}
