/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <errno.h>

#define VIEW_TYPE_INPUT (usock_stream_input_get_type ())
G_DECLARE_FINAL_TYPE (UsockStreamInput, usock_stream_input, VIEW, INPUT, GInputStream)

struct _UsockStreamInput
{
  GInputStream parent_instance;

  UsockStream *stream;
};

static void usock_stream_input_pollable_init (GPollableInputStreamInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (UsockStreamInput, usock_stream_input, G_TYPE_INPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_INPUT_STREAM,
                               usock_stream_input_pollable_init))

/* Receivers that wait came first, and may hold what comes next. */
static gssize
input_take (UsockStreamInput  *self,
            gpointer           buffer,
            gsize              count,
            GError           **error)
{
  UsockChannel *channel = USOCK_CHANNEL (self->stream);
  gssize result;

  if (!usock_channel_is_connected (channel))
    {
      if (channel->end_emitted)
        return 0;
      if (usock_stream_is_connecting (self->stream))
        return USOCK_STREAM_BLOCKED;
      usock_stream_set_view_error (self->stream, error);
      return -1;
    }

  if (channel->receivers.length > 0)
    return USOCK_STREAM_BLOCKED;

  result = usock_channel_pull (channel, buffer, count, self->stream->fds);
  if (result > 0 && !usock_stream_check_fds (self->stream))
    {
      usock_stream_set_view_error (self->stream, error);
      return -1;
    }
  if (result == 0 && channel->broken != NULL)
    {
      g_propagate_error (error, g_error_copy (channel->broken));
      return -1;
    }
  return result == -EAGAIN ? USOCK_STREAM_BLOCKED : result;
}

static gssize
usock_stream_input_read (GInputStream  *stream,
                         void          *buffer,
                         gsize          count,
                         GCancellable  *cancellable,
                         GError       **error)
{
  UsockStreamInput *self = VIEW_INPUT (stream);

  for (;;)
    {
      gssize result = input_take (self, buffer, count, error);

      if (result != USOCK_STREAM_BLOCKED)
        return result;

      if (usock_stream_is_connecting (self->stream))
        usock_stream_set_view_error (self->stream, error);
      else if (USOCK_CHANNEL (self->stream)->receivers.length > 0)
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                     _("Could not receive from “%s”: other calls wait already"),
                     usock_channel_peer (USOCK_CHANNEL (self->stream)));
      else if (usock_stream_wait (self->stream, G_IO_IN, cancellable, error))
        continue;
      return -1;
    }
}

static gssize
usock_stream_input_read_nonblocking (GPollableInputStream  *stream,
                                     void                  *buffer,
                                     gsize                  count,
                                     GError               **error)
{
  UsockStreamInput *self = VIEW_INPUT (stream);
  gssize result = input_take (self, buffer, count, error);

  if (result != USOCK_STREAM_BLOCKED)
    return result;

  usock_error_set_errno (error, EAGAIN, _("Could not receive from “%s”"),
                         usock_channel_peer (USOCK_CHANNEL (self->stream)));
  return -1;
}

static gboolean
input_is_ready (gpointer  stream,
                int      *fd)
{
  UsockChannel *channel = USOCK_CHANNEL (stream);
  UsockSocket *socket = USOCK_SOCKET (stream);

  if (!usock_channel_is_connected (channel))
    return !usock_stream_is_connecting (stream);
  if (channel->receivers.length > 0)
    return FALSE;
  if (channel->inbox.length > 0 || channel->at_end || channel->broken != NULL)
    return TRUE;

  if (channel->read_retry_at == 0)
    *fd = socket->fd;
  return FALSE;
}

static gboolean
usock_stream_input_is_readable (GPollableInputStream *stream)
{
  UsockStreamInput *self = VIEW_INPUT (stream);
  int fd = -1;

  return input_is_ready (self->stream, &fd) || (fd != -1 && usock_stream_poll (fd, G_IO_IN, -1, 0));
}

static GSource *
usock_stream_input_create_source (GPollableInputStream *stream,
                                  GCancellable         *cancellable)
{
  return usock_stream_new_source (stream, VIEW_INPUT (stream)->stream, input_is_ready, G_IO_IN,
                                  cancellable);
}

typedef struct
{
  gpointer buffer;
  gsize count;
} Read;

/* The turn has put all that there is in the inbox. */
gboolean
usock_stream_assemble_read (UsockChannel   *channel,
                            UsockOperation *operation,
                            gboolean        last)
{
  UsockStream *stream = USOCK_STREAM (channel);
  Read *read = usock_operation_get_data (operation);
  gssize result;

  if (channel->inbox.length == 0 && !last)
    return FALSE;

  result = usock_channel_pull (channel, read->buffer, read->count, stream->fds);
  if (result == -EAGAIN)
    return FALSE;

  if (result > 0 && !usock_stream_check_fds (stream))
    usock_operation_return_error (operation, g_error_copy (channel->verdict));
  else if (result == 0 && channel->broken != NULL)
    usock_operation_return_error (operation, g_error_copy (channel->broken));
  else
    usock_operation_return_pointer (operation, GSIZE_TO_POINTER (result), NULL);
  return TRUE;
}

static void
input_cancelled (GCancellable     *cancellable,
                 UsockStreamInput *self)
{
  usock_watch_interrupt (&USOCK_SOCKET (self->stream)->watch);
}

static void
usock_stream_input_read_async (GInputStream        *stream,
                               void                *buffer,
                               gsize                count,
                               int                  io_priority,
                               GCancellable        *cancellable,
                               GAsyncReadyCallback  callback,
                               gpointer             user_data)
{
  UsockStreamInput *self = VIEW_INPUT (stream);
  UsockOperation *operation
      = usock_stream_new_operation (self, self->stream, G_CALLBACK (input_cancelled),
                                    usock_stream_input_read_async, cancellable, callback,
                                    user_data);
  Read *read = g_new (Read, 1);

  *read = (Read) { buffer, count };
  usock_operation_set_data (operation, read, g_free);
  usock_channel_start_receiver (USOCK_CHANNEL (self->stream), operation);
}

gboolean
usock_stream_is_read (UsockOperation *operation)
{
  return g_async_result_is_tagged (G_ASYNC_RESULT (operation), usock_stream_input_read_async);
}

static gssize
usock_stream_input_read_finish (GInputStream  *stream,
                                GAsyncResult  *result,
                                GError       **error)
{
  gpointer count;

  if (!usock_operation_propagate (result, stream, usock_stream_input_read_async, &count, error))
    return -1;

  return GPOINTER_TO_SIZE (count);
}

/* Nothing is closed: what comes goes on to be received otherwise. */
static void
usock_stream_input_close_async (GInputStream        *stream,
                                int                  io_priority,
                                GCancellable        *cancellable,
                                GAsyncReadyCallback  callback,
                                gpointer             user_data)
{
  g_autoptr (GTask) task = g_task_new (stream, cancellable, callback, user_data);

  g_task_set_source_tag (task, usock_stream_input_close_async);
  g_task_return_boolean (task, TRUE);
}

static gboolean
usock_stream_input_close_finish (GInputStream  *stream,
                                 GAsyncResult  *result,
                                 GError       **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
usock_stream_input_finalize (GObject *object)
{
  g_object_unref (VIEW_INPUT (object)->stream);

  G_OBJECT_CLASS (usock_stream_input_parent_class)->finalize (object);
}

static void
usock_stream_input_class_init (UsockStreamInputClass *class)
{
  GInputStreamClass *input_class = G_INPUT_STREAM_CLASS (class);

  G_OBJECT_CLASS (class)->finalize = usock_stream_input_finalize;
  input_class->read_fn = usock_stream_input_read;
  input_class->read_async = usock_stream_input_read_async;
  input_class->read_finish = usock_stream_input_read_finish;
  input_class->close_async = usock_stream_input_close_async;
  input_class->close_finish = usock_stream_input_close_finish;
}

static void
usock_stream_input_pollable_init (GPollableInputStreamInterface *iface)
{
  iface->is_readable = usock_stream_input_is_readable;
  iface->create_source = usock_stream_input_create_source;
  iface->read_nonblocking = usock_stream_input_read_nonblocking;
}

static void
usock_stream_input_init (UsockStreamInput *self)
{
}

GInputStream *
usock_stream_new_input (UsockStream *stream)
{
  UsockStreamInput *self = g_object_new (VIEW_TYPE_INPUT, NULL);

  self->stream = g_object_ref (stream);
  return G_INPUT_STREAM (self);
}
