/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <errno.h>

/* What one write takes at the least where nothing waits, however low the mark is. */
#define LEAST_PIECE (64 * 1024)

#define VIEW_TYPE_OUTPUT (usock_stream_output_get_type ())
G_DECLARE_FINAL_TYPE (UsockStreamOutput, usock_stream_output, VIEW, OUTPUT, GOutputStream)

struct _UsockStreamOutput
{
  GOutputStream parent_instance;

  UsockStream *stream;
  gsize writing;    /* of the one call that may wait */
  gboolean dropped; /* not closed: nobody has it any more */
};

static void usock_stream_output_pollable_init (GPollableOutputStreamInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (UsockStreamOutput, usock_stream_output, G_TYPE_OUTPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_OUTPUT_STREAM,
                               usock_stream_output_pollable_init))

/* A message of these bytes and the descriptors that are to go with the next. */
static UsockMessage *
output_new_message (UsockStreamOutput *self,
                    GBytes            *bytes)
{
  UsockMessage *message = self->stream->next;

  if (message == NULL)
    return usock_message_new_from_bytes (bytes);

  self->stream->next = NULL;
  usock_message_append_bytes (message, bytes);
  return message;
}

/* A piece that was not accepted leaves its descriptors to the next. */
static void
output_keep_fds (UsockStreamOutput *self,
                 UsockMessage      *message)
{
  gsize n_fds;
  g_autofree int *fds = usock_message_take_fds (message, &n_fds);

  if (n_fds > 0)
    self->stream->next = usock_message_new (NULL, 0);
  for (gsize i = 0; i < n_fds; i++)
    usock_message_append_fd_owned (self->stream->next, fds[i], NULL);
}

/* How much may be accepted now. */
static gsize
output_get_room (UsockStream *stream)
{
  UsockChannel *channel = USOCK_CHANNEL (stream);
  guint n_fds = stream->next != NULL ? usock_message_get_n_fds (stream->next) : 0;
  guint64 used = channel->queued_cost + usock_queue_message_cost (0, n_fds);
  guint64 mark = MIN (channel->high_water_mark, channel->queue_limit);
  guint64 room = used < mark ? mark - used : 0;

  return channel->n_queued > 0 ? room : MAX (room, LEAST_PIECE);
}

static gboolean
output_is_ready (gpointer  stream,
                 int      *fd)
{
  UsockChannel *channel = USOCK_CHANNEL (stream);

  if (channel->ending
      || (!usock_channel_is_connected (channel) && !usock_stream_is_connecting (stream)))
    return TRUE;
  if (channel->queue_limit == 0)
    return channel->n_queued == 0 && !channel->route->blocked;

  return output_get_room (stream) > 0;
}

static gssize
output_put (UsockStreamOutput  *self,
            gconstpointer       buffer,
            gsize               count,
            GError            **error)
{
  UsockChannel *channel = USOCK_CHANNEL (self->stream);
  gsize n = MIN (count, MAX (output_get_room (self->stream), 1));
  gboolean accepted;
  GError *reason = NULL;
  int fd;

  if (!output_is_ready (self->stream, &fd))
    return USOCK_STREAM_BLOCKED;

  if (self->stream->next == NULL)
    accepted = usock_channel_send (channel, buffer, n, &reason);
  else
    {
      g_autoptr (GBytes) bytes = g_bytes_new (buffer, n);
      g_autoptr (UsockMessage) message = output_new_message (self, bytes);

      accepted = usock_channel_send_message (channel, message, &reason);
      if (!accepted && g_error_matches (reason, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        output_keep_fds (self, message);
    }

  if (accepted)
    return n;
  if (g_error_matches (reason, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    {
      g_error_free (reason);
      return USOCK_STREAM_BLOCKED;
    }
  g_propagate_error (error, reason);
  return -1;
}

/* Until the kernel has everything. What the program holds back itself waits for nobody. */
static gboolean
output_drain (UsockStreamOutput  *self,
              GCancellable       *cancellable,
              GError            **error)
{
  UsockChannel *channel = USOCK_CHANNEL (self->stream);
  gboolean queued = channel->n_queued > 0;
  const GError *reason;

  while (channel->n_queued > 0 && channel->n_corks == 0 && usock_channel_is_connected (channel))
    if (!usock_stream_wait (self->stream, G_IO_OUT, cancellable, error))
      return FALSE;

  reason = channel->lost == NULL && queued ? channel->verdict : channel->lost;
  if (reason != NULL)
    g_propagate_error (error, g_error_copy (reason));
  return reason == NULL;
}

/* Who blocks may never run the main context, so nothing is left in the queue. Whether it could be
 * emptied is not told here: these bytes are accepted. */
static gssize
usock_stream_output_write (GOutputStream  *stream,
                           const void     *buffer,
                           gsize           count,
                           GCancellable   *cancellable,
                           GError        **error)
{
  UsockStreamOutput *self = VIEW_OUTPUT (stream);
  UsockChannel *channel = USOCK_CHANNEL (self->stream);
  gssize result;

  while ((result = output_put (self, buffer, count, error)) == USOCK_STREAM_BLOCKED)
    if (channel->n_corks > 0 || usock_stream_is_connecting (self->stream))
      {
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
                     _("Could not send to “%s”: the queue is full, and still held back"),
                     usock_channel_peer (channel));
        return -1;
      }
    else if (!usock_stream_wait (self->stream, G_IO_OUT, cancellable, error))
      return -1;

  if (result > 0)
    output_drain (self, cancellable, NULL);
  return result;
}

static gssize
usock_stream_output_write_nonblocking (GPollableOutputStream  *stream,
                                       const void             *buffer,
                                       gsize                   count,
                                       GError                **error)
{
  UsockStreamOutput *self = VIEW_OUTPUT (stream);
  gssize result = output_put (self, buffer, count, error);

  if (result != USOCK_STREAM_BLOCKED)
    return result;

  usock_error_set_errno (error, EAGAIN, _("Could not send to “%s”"),
                         usock_channel_peer (USOCK_CHANNEL (self->stream)));
  return -1;
}

static gboolean
usock_stream_output_is_writable (GPollableOutputStream *stream)
{
  int fd;

  return output_is_ready (VIEW_OUTPUT (stream)->stream, &fd);
}

static GSource *
usock_stream_output_create_source (GPollableOutputStream *stream,
                                   GCancellable          *cancellable)
{
  return usock_stream_new_source (stream, VIEW_OUTPUT (stream)->stream, output_is_ready, G_IO_OUT,
                                  cancellable);
}

static void
output_cancelled (GCancellable      *cancellable,
                  UsockStreamOutput *self)
{
  usock_watch_interrupt (&USOCK_SOCKET (self->stream)->watch);
}

static UsockOperation *
output_new_operation (UsockStreamOutput   *self,
                      gpointer             tag,
                      GCancellable        *cancellable,
                      GAsyncReadyCallback  callback,
                      gpointer             user_data)
{
  return usock_stream_new_operation (self, self->stream, G_CALLBACK (output_cancelled), tag,
                                     cancellable, callback, user_data);
}

/* The bytes are the caller's until the callback, and so need no copy. */
static void
usock_stream_output_write_async (GOutputStream       *stream,
                                 const void          *buffer,
                                 gsize                count,
                                 int                  io_priority,
                                 GCancellable        *cancellable,
                                 GAsyncReadyCallback  callback,
                                 gpointer             user_data)
{
  UsockStreamOutput *self = VIEW_OUTPUT (stream);
  UsockChannel *channel = USOCK_CHANNEL (self->stream);
  UsockOperation *operation = output_new_operation (self, usock_stream_output_write_async,
                                                    cancellable, callback, user_data);
  g_autoptr (GBytes) bytes = g_bytes_new_static (buffer, count);
  g_autoptr (UsockMessage) message = NULL;
  GError *error = NULL;

  self->writing = count;
  if (usock_operation_is_cancelled (operation))
    {
      usock_channel_cancel_operation (channel, operation);
      return;
    }

  message = output_new_message (self, bytes);
  if (!usock_channel_send_on (channel, channel->route, message, NULL, count, operation, &error))
    usock_channel_fail_operation (channel, operation, error);
}

static gssize
usock_stream_output_write_finish (GOutputStream  *stream,
                                  GAsyncResult   *result,
                                  GError        **error)
{
  if (!usock_operation_propagate (result, stream, usock_stream_output_write_async, NULL, error))
    return -1;

  return VIEW_OUTPUT (stream)->writing;
}

/* A stream that is being closed lets go of what cork() held back. */
static void
output_prepare_flush (UsockStreamOutput *self)
{
  if (!self->dropped && g_output_stream_is_closing (G_OUTPUT_STREAM (self)))
    usock_channel_end (USOCK_CHANNEL (self->stream));
}

static gboolean
usock_stream_output_flush (GOutputStream  *stream,
                           GCancellable   *cancellable,
                           GError        **error)
{
  UsockStreamOutput *self = VIEW_OUTPUT (stream);

  if (self->dropped)
    return TRUE;

  output_prepare_flush (self);
  usock_channel_flush (USOCK_CHANNEL (self->stream), FALSE);
  return output_drain (self, cancellable, error);
}

static void
usock_stream_output_flush_async (GOutputStream       *stream,
                                 int                  io_priority,
                                 GCancellable        *cancellable,
                                 GAsyncReadyCallback  callback,
                                 gpointer             user_data)
{
  UsockStreamOutput *self = VIEW_OUTPUT (stream);

  output_prepare_flush (self);
  usock_channel_start_flush (USOCK_CHANNEL (self->stream),
                             output_new_operation (self, usock_stream_output_flush_async,
                                                   cancellable, callback, user_data));
}

static gboolean
usock_stream_output_flush_finish (GOutputStream  *stream,
                                  GAsyncResult   *result,
                                  GError        **error)
{
  return usock_operation_propagate (result, stream, usock_stream_output_flush_async, NULL, error);
}

static gboolean
usock_stream_output_close (GOutputStream  *stream,
                           GCancellable   *cancellable,
                           GError        **error)
{
  UsockStreamOutput *self = VIEW_OUTPUT (stream);

  if (self->dropped)
    return TRUE;

  usock_channel_end (USOCK_CHANNEL (self->stream));
  usock_channel_finish_writing (USOCK_CHANNEL (self->stream));
  return TRUE;
}

/* Flushed already. */
static void
usock_stream_output_close_async (GOutputStream       *stream,
                                 int                  io_priority,
                                 GCancellable        *cancellable,
                                 GAsyncReadyCallback  callback,
                                 gpointer             user_data)
{
  g_autoptr (GTask) task = g_task_new (stream, cancellable, callback, user_data);

  g_task_set_source_tag (task, usock_stream_output_close_async);
  g_task_set_check_cancellable (task, FALSE);
  usock_stream_output_close (stream, NULL, NULL);
  g_task_return_boolean (task, TRUE);
}

static gboolean
usock_stream_output_close_finish (GOutputStream  *stream,
                                  GAsyncResult   *result,
                                  GError        **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* GOutputStream closes itself here. */
static void
usock_stream_output_dispose (GObject *object)
{
  VIEW_OUTPUT (object)->dropped = TRUE;

  G_OBJECT_CLASS (usock_stream_output_parent_class)->dispose (object);
}

static void
usock_stream_output_finalize (GObject *object)
{
  g_object_unref (VIEW_OUTPUT (object)->stream);

  G_OBJECT_CLASS (usock_stream_output_parent_class)->finalize (object);
}

static void
usock_stream_output_class_init (UsockStreamOutputClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  GOutputStreamClass *output_class = G_OUTPUT_STREAM_CLASS (class);

  object_class->dispose = usock_stream_output_dispose;
  object_class->finalize = usock_stream_output_finalize;
  output_class->write_fn = usock_stream_output_write;
  output_class->write_async = usock_stream_output_write_async;
  output_class->write_finish = usock_stream_output_write_finish;
  output_class->flush = usock_stream_output_flush;
  output_class->flush_async = usock_stream_output_flush_async;
  output_class->flush_finish = usock_stream_output_flush_finish;
  output_class->close_fn = usock_stream_output_close;
  output_class->close_async = usock_stream_output_close_async;
  output_class->close_finish = usock_stream_output_close_finish;
}

static void
usock_stream_output_pollable_init (GPollableOutputStreamInterface *iface)
{
  iface->is_writable = usock_stream_output_is_writable;
  iface->create_source = usock_stream_output_create_source;
  iface->write_nonblocking = usock_stream_output_write_nonblocking;
}

static void
usock_stream_output_init (UsockStreamOutput *self)
{
}

GOutputStream *
usock_stream_new_output (UsockStream *stream)
{
  UsockStreamOutput *self = g_object_new (VIEW_TYPE_OUTPUT, NULL);

  self->stream = g_object_ref (stream);
  return G_OUTPUT_STREAM (self);
}
