/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Standard output.
 *
 * The main loop never blocks in write(2), and the flags of the file are left alone, since it belongs
 * to others as well: a pipe that poll(2) finds writable takes PIPE_BUF bytes at once. What it does
 * not take is kept, and who writes waits with tool_output_then() until it is gone. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

typedef struct
{
  GFunc func;
  gpointer data;
  gpointer user_data;
} Waiter;

static GByteArray *kept;
static gsize n_written; /* of what is kept */
static GQueue waiters = G_QUEUE_INIT;
static guint source;

static gsize
piece_size (void)
{
  static gsize size;
  struct stat status;

  if (size == 0)
    size = fstat (STDOUT_FILENO, &status) == 0 && S_ISREG (status.st_mode) ? G_MAXSSIZE : PIPE_BUF;
  return size;
}

static gboolean
can_write (void)
{
  struct pollfd pollfd = { .fd = STDOUT_FILENO, .events = POLLOUT };

  return poll (&pollfd, 1, 0) != 0;
}

static void
fail (int errnum)
{
  g_autoptr (GError) error
      = g_error_new (G_IO_ERROR, g_io_error_from_errno (errnum),
                     _("could not write to standard output: %s"), g_strerror (errnum));

  if (errnum == EPIPE)
    tool_stop_by_pipe (error);
  else
    tool_stop_with (error);
}

/* Returns how many of the bytes were written, all of them if there is no use in trying again. */
static gsize
write_some (const guint8 *bytes,
            gsize         length)
{
  gsize done = 0;

  while (done < length && can_write ())
    {
      gssize result = write (STDOUT_FILENO, bytes + done, MIN (length - done, piece_size ()));

      if (result >= 0)
        done += result;
      else if (errno == EAGAIN)
        break;
      else if (errno != EINTR)
        {
          fail (errno);
          return length;
        }
    }

  if (done > 0)
    tool_touch ();
  return done;
}

static void
run_waiters (void)
{
  while (kept->len == 0 && !g_queue_is_empty (&waiters))
    {
      g_autofree Waiter *waiter = g_queue_pop_head (&waiters);

      waiter->func (waiter->data, waiter->user_data);
    }
}

static gboolean
writable_cb (int          fd,
             GIOCondition condition,
             gpointer     unused)
{
  n_written += write_some (kept->data + n_written, kept->len - n_written);
  if (n_written < kept->len)
    return G_SOURCE_CONTINUE;

  g_byte_array_set_size (kept, 0);
  n_written = 0;
  source = 0;
  run_waiters ();
  return G_SOURCE_REMOVE;
}

void
tool_output (const void *data,
             gsize       length)
{
  const guint8 *bytes = data;
  gsize done;

  if (kept == NULL)
    kept = g_byte_array_new ();
  done = kept->len == 0 ? write_some (bytes, length) : 0;
  if (done == length)
    return;

  g_byte_array_append (kept, bytes + done, length - done);
  if (source == 0)
    source = g_unix_fd_add (STDOUT_FILENO, G_IO_OUT | G_IO_ERR | G_IO_HUP, writable_cb, NULL);
}

void
tool_output_text (const char *text)
{
  tool_output (text, strlen (text));
}

void
tool_output_frame (UsockMessage *message)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);
  guint32 prefix = GUINT32_TO_LE (length);

  if (tool.framing == TOOL_FRAMING_LENGTH)
    tool_output (&prefix, sizeof prefix);
  tool_output (data, length);
  if (tool.framing == TOOL_FRAMING_LINES)
    tool_output ("\n", 1);
  else if (tool.framing == TOOL_FRAMING_NULL)
    tool_output ("", 1);
}

/* Calls the function when everything was written, at once if it was. */
void
tool_output_then (GFunc    func,
                  gpointer data,
                  gpointer user_data)
{
  Waiter *waiter;

  if (kept == NULL || kept->len == 0)
    {
      func (data, user_data);
      return;
    }

  waiter = g_new (Waiter, 1);
  *waiter = (Waiter) { func, data, user_data };
  g_queue_push_tail (&waiters, waiter);
}

static void
stop_cb (gpointer data,
         gpointer unused)
{
  tool_stop (TOOL_DONE);
}

/* All is done, but for writing it. */
void
tool_output_then_stop (void)
{
  tool_output_then (stop_cb, NULL, NULL);
}

/* Who reads it is to see the end, though the command goes on. Another file of ours must not get its
 * number. */
void
tool_output_end (void)
{
  int fd = open ("/dev/null", O_WRONLY | O_CLOEXEC);

  if (fd >= 0)
    {
      dup2 (fd, STDOUT_FILENO);
      close (fd);
    }
}
