/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Standard input, frame by frame.
 *
 * It is read only while somebody waits for it, so that who writes to it is held up when the socket
 * takes no more. Its flags are left alone: the file belongs to others as well. After poll(2) says that
 * there is something, read(2) does not block. */

#include "config.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define PIECE_SIZE (64 * 1024)
#define FRAME_MAX (64 * 1024 * 1024)
#define LENGTH_SIZE 4

struct _ToolInput
{
  ToolFraming framing;
  char **texts; /* what is left of them; NULL for standard input */
  int *fds; /* those of the first message */
  gsize n_fds;
  ToolInputFunc func;
  gpointer user_data;
  GByteArray *bytes;
  gsize taken; /* of the bytes */
  gsize looked; /* how many of the rest have no end of a frame in them */
  gboolean at_end;
  gboolean is_whole_taken;
  guint source;
};

ToolInput *
tool_input_new (ToolFraming framing)
{
  ToolInput *self = g_new0 (ToolInput, 1);

  self->framing = framing;
  self->bytes = g_byte_array_new ();
  return self;
}

/* A message for each text, which are the caller's. */
ToolInput *
tool_input_new_for_texts (char **texts)
{
  ToolInput *self = tool_input_new (TOOL_FRAMING_RAW);

  self->texts = texts;
  self->at_end = TRUE;
  return self;
}

/* Descriptors, which are the caller's, for the first message. */
void
tool_input_set_fds (ToolInput *self,
                    const int *fds,
                    gsize      n_fds)
{
  self->fds = g_memdup2 (fds, n_fds * sizeof *fds);
  self->n_fds = n_fds;
}

/* Whom to tell that more was read. */
void
tool_input_set_func (ToolInput     *self,
                     ToolInputFunc  func,
                     gpointer       user_data)
{
  self->func = func;
  self->user_data = user_data;
}

void
tool_input_free (ToolInput *self)
{
  g_clear_handle_id (&self->source, g_source_remove);
  g_byte_array_unref (self->bytes);
  g_free (self->fds);
  g_free (self);
}

/* Whether everything was read and taken. */
gboolean
tool_input_is_over (ToolInput *self)
{
  if (self->texts != NULL)
    return *self->texts == NULL;
  if (self->framing == TOOL_FRAMING_WHOLE)
    return self->is_whole_taken;

  return self->at_end && self->bytes->len == self->taken;
}

static GBytes *
input_cut (ToolInput *self,
           gsize      before,
           gsize      length,
           gsize      after)
{
  GBytes *frame = g_bytes_new (self->bytes->data + self->taken + before, length);

  self->taken += before + length + after;
  self->looked = 0;
  return frame;
}

static GBytes *
input_take_delimited (ToolInput *self,
                      char       delimiter)
{
  const guint8 *start = self->bytes->data + self->taken;
  gsize length = self->bytes->len - self->taken;
  const guint8 *end = length > self->looked
                          ? memchr (start + self->looked, delimiter, length - self->looked)
                          : NULL;

  if (end != NULL)
    return input_cut (self, 0, end - start, 1);

  self->looked = length;
  return self->at_end ? input_cut (self, 0, length, 0) : NULL;
}

static GBytes *
input_take_counted (ToolInput *self)
{
  const guint8 *start = self->bytes->data + self->taken;
  gsize length = self->bytes->len - self->taken;
  guint32 wanted;

  if (length >= LENGTH_SIZE)
    {
      memcpy (&wanted, start, LENGTH_SIZE);
      wanted = GUINT32_FROM_LE (wanted);
      if (length - LENGTH_SIZE >= wanted)
        return input_cut (self, LENGTH_SIZE, wanted, 0);
    }
  if (self->at_end)
    {
      tool_complain (_("standard input ends within a message"));
      tool_stop (TOOL_FAILED);
      self->taken = self->bytes->len;
    }
  return NULL;
}

static GBytes *
input_take_whole (ToolInput *self)
{
  if (!self->at_end || self->is_whole_taken)
    return NULL;

  self->is_whole_taken = TRUE;
  return input_cut (self, 0, self->bytes->len, 0);
}

static GBytes *
input_take_text (ToolInput *self)
{
  const char *text = *self->texts;

  if (text == NULL)
    return NULL;

  self->texts++;
  return g_bytes_new (text, strlen (text));
}

static GBytes *
input_take_frame (ToolInput *self)
{
  if (self->texts != NULL)
    return input_take_text (self);
  if (self->framing == TOOL_FRAMING_WHOLE)
    return input_take_whole (self);
  if (self->bytes->len == self->taken)
    return NULL;

  switch (self->framing)
    {
    case TOOL_FRAMING_LINES:
      return input_take_delimited (self, '\n');
    case TOOL_FRAMING_NULL:
      return input_take_delimited (self, '\0');
    case TOOL_FRAMING_LENGTH:
      return input_take_counted (self);
    default:
      return input_cut (self, 0, self->bytes->len - self->taken, 0);
    }
}

/* The next message, if it was read already; it is the caller's. */
UsockMessage *
tool_input_take (ToolInput *self)
{
  g_autoptr (GBytes) frame = input_take_frame (self);
  g_autoptr (UsockMessage) message = frame != NULL ? usock_message_new_from_bytes (frame) : NULL;
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; message != NULL && i < self->n_fds; i++)
    if (!usock_message_append_fd (message, self->fds[i], &error))
      {
        tool_stop_with (error);
        return NULL;
      }

  if (message != NULL)
    self->n_fds = 0;
  return g_steal_pointer (&message);
}

static gssize
input_read (ToolInput *self)
{
  gsize old = self->bytes->len;
  gssize n_bytes;

  g_byte_array_set_size (self->bytes, old + PIECE_SIZE);
  do
    n_bytes = read (STDIN_FILENO, self->bytes->data + old, PIECE_SIZE);
  while (n_bytes < 0 && errno == EINTR);
  g_byte_array_set_size (self->bytes, old + MAX (n_bytes, 0));
  return n_bytes;
}

static gboolean
input_ready_cb (int          fd,
                GIOCondition condition,
                gpointer     data)
{
  ToolInput *self = data;
  gssize n_bytes;

  g_byte_array_remove_range (self->bytes, 0, self->taken);
  self->taken = 0;
  n_bytes = input_read (self);
  if (n_bytes < 0 && errno == EAGAIN)
    return G_SOURCE_CONTINUE;

  self->source = 0;
  if (n_bytes < 0)
    tool_complain (_("could not read standard input: %s"), g_strerror (errno));
  else if (self->bytes->len > FRAME_MAX)
    tool_complain (_("a message on standard input is longer than %d MiB"), FRAME_MAX >> 20);
  if (n_bytes < 0 || self->bytes->len > FRAME_MAX)
    {
      tool_stop (TOOL_FAILED);
      return G_SOURCE_REMOVE;
    }

  self->at_end = n_bytes == 0;
  tool_touch ();
  self->func (self->user_data);
  return G_SOURCE_REMOVE;
}

/* Has the function called when more was read, or the end. */
void
tool_input_wait (ToolInput *self)
{
  if (self->source == 0 && !self->at_end)
    self->source = g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, input_ready_cb, self);
}
