/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

#include <errno.h>

/* What one write takes at the least where nothing waits, however low the mark is. */
#define LEAST_PIECE (64 * 1024)

/* No event tells of everything that waiting for room is about. */
#define WAIT_MS 1000
#define RETRY_MS 10

/* Neither done nor failed: to be tried again. */
#define BLOCKED (-2)

/* A view: GIO's streams over a UsockStream. They hold nothing themselves, neither bytes nor
 * descriptors, so that any number of them may come and go, and what is read here and what is
 * received there are the same bytes in the same order.
 *
 * An asynchronous read is one more receiver of the channel, and an asynchronous write one more
 * message in its queue; their results are therefore the channel's operations, and complete in its
 * turns. All else happens there and then. */

#define VIEW_TYPE_INPUT (usock_stream_input_get_type ())
G_DECLARE_FINAL_TYPE (UsockStreamInput, usock_stream_input, VIEW, INPUT, GInputStream)

#define VIEW_TYPE_OUTPUT (usock_stream_output_get_type ())
G_DECLARE_FINAL_TYPE (UsockStreamOutput, usock_stream_output, VIEW, OUTPUT, GOutputStream)

#define VIEW_TYPE_IO (usock_stream_io_get_type ())
G_DECLARE_FINAL_TYPE (UsockStreamIo, usock_stream_io, VIEW, IO, GIOStream)

struct _UsockStreamInput
{
  GInputStream parent_instance;

  UsockStream *stream;
};

struct _UsockStreamOutput
{
  GOutputStream parent_instance;

  UsockStream *stream;
  gsize writing;    /* of the one call that may wait */
  gboolean dropped; /* not closed: nobody has it any more */
};

struct _UsockStreamIo
{
  GIOStream parent_instance;

  UsockStream *stream;
  GInputStream *input;
  GOutputStream *output;
  gboolean dropped;
};

static void usock_stream_input_pollable_init (GPollableInputStreamInterface *iface);
static void usock_stream_output_pollable_init (GPollableOutputStreamInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (UsockStreamInput, usock_stream_input, G_TYPE_INPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_INPUT_STREAM,
                                                      usock_stream_input_pollable_init))
G_DEFINE_FINAL_TYPE_WITH_CODE (UsockStreamOutput, usock_stream_output, G_TYPE_OUTPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                      usock_stream_output_pollable_init))
G_DEFINE_FINAL_TYPE (UsockStreamIo, usock_stream_io, G_TYPE_IO_STREAM)

/* Waiting. */

/* Whether there is something to do on @fd. Either descriptor may be -1. */
static gboolean
view_poll (int          fd,
           GIOCondition condition,
           int          stop_fd,
           int          timeout)
{
  struct pollfd fds[] = { { fd, condition, 0 }, { stop_fd, POLLIN, 0 } };

  return usock_io_poll (fds, G_N_ELEMENTS (fds), timeout) > 0 && fds[0].revents != 0;
}

static int
view_wait_time (UsockChannel *channel,
                gboolean      sends)
{
  if (channel->read_retry_at > 0 || (sends && channel->route->retry_at > 0))
    return RETRY_MS;

  return sends ? WAIT_MS : -1;
}

/* Blocks until it is worth while to try again. What waits in the queue leaves meanwhile: the
 * answer that is waited for may be to that. */
static gboolean
view_wait (UsockStream   *stream,
           GIOCondition   condition,
           GCancellable  *cancellable,
           GError       **error)
{
  UsockChannel *channel = USOCK_CHANNEL (stream);
  GPollFD cancelled = { .fd = -1 };
  gboolean ready;
  int timeout;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;

  if (channel->n_queued > 0 && channel->n_corks == 0)
    condition |= G_IO_OUT;
  timeout = view_wait_time (channel, (condition & G_IO_OUT) != 0);
  g_cancellable_make_pollfd (cancellable, &cancelled);
  ready = view_poll (timeout == RETRY_MS ? -1 : USOCK_SOCKET (stream)->fd, condition, cancelled.fd,
                     timeout);
  if (cancelled.fd != -1)
    g_cancellable_release_fd (cancellable);

  if (condition & G_IO_OUT)
    {
      if (ready && channel->n_queued == 0)
        channel->route->blocked = FALSE;
      usock_channel_flush (channel, TRUE);
    }
  return !g_cancellable_set_error_if_cancelled (cancellable, error);
}

static gboolean
view_is_connecting (UsockStream *stream)
{
  return USOCK_SOCKET (stream)->state == USOCK_STATE_CONNECTING;
}

/* Of a stream without a connection: what it ended with, if it did not end well. */
static void
view_set_error (UsockStream  *stream,
                GError      **error)
{
  UsockChannel *channel = USOCK_CHANNEL (stream);

  if (channel->verdict != NULL)
    g_propagate_error (error, g_error_copy (channel->verdict));
  else if (USOCK_SOCKET (stream)->state == USOCK_STATE_NEW || view_is_connecting (stream))
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                         _("Could not receive: the stream is not connected"));
  else
    usock_socket_check (USOCK_SOCKET (stream), error);
}

static UsockOperation *
view_new_operation (gpointer             view,
                    UsockStream         *stream,
                    GCallback            cancelled,
                    gpointer             tag,
                    GCancellable        *cancellable,
                    GAsyncReadyCallback  callback,
                    gpointer             user_data)
{
  UsockOperation *operation = usock_operation_new (view, tag, callback, user_data);

  if (USOCK_SOCKET (stream)->reactor != NULL)
    usock_operation_set_cancellable (operation, cancellable, cancelled);
  return operation;
}

static GSource *
view_new_source (gpointer        view,
                 UsockStream    *stream,
                 UsockReadyFunc  ready,
                 GIOCondition    condition,
                 GCancellable   *cancellable)
{
  g_autoptr (GSource) child
      = usock_reactor_new_source (ready, condition, g_object_ref (stream), g_object_unref);
  GSource *source = g_pollable_source_new_full (view, NULL, cancellable);

  g_source_add_child_source (source, child);
  return source;
}

/* What a program had sent to it, and did not take. */
static gboolean
view_check_fds (UsockStream *stream)
{
  if (stream->fds->len <= USOCK_IO_FDS_MAX)
    return TRUE;

  usock_socket_fail (USOCK_SOCKET (stream),
                     g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                                  _("Could not receive from “%s”: %u descriptors came that "
                                    "nobody asked for"),
                                  usock_channel_peer (USOCK_CHANNEL (stream)),
                                  stream->fds->len));
  return FALSE;
}

/* The input. */

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
      if (view_is_connecting (self->stream))
        return BLOCKED;
      view_set_error (self->stream, error);
      return -1;
    }

  if (channel->receivers.length > 0)
    return BLOCKED;

  result = usock_channel_pull (channel, buffer, count, self->stream->fds);
  if (result > 0 && !view_check_fds (self->stream))
    {
      view_set_error (self->stream, error);
      return -1;
    }
  if (result == 0 && channel->broken != NULL)
    {
      g_propagate_error (error, g_error_copy (channel->broken));
      return -1;
    }
  return result == -EAGAIN ? BLOCKED : result;
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

      if (result != BLOCKED)
        return result;

      if (view_is_connecting (self->stream))
        view_set_error (self->stream, error);
      else if (USOCK_CHANNEL (self->stream)->receivers.length > 0)
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                     _("Could not receive from “%s”: other calls wait already"),
                     usock_channel_peer (USOCK_CHANNEL (self->stream)));
      else if (view_wait (self->stream, G_IO_IN, cancellable, error))
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

  if (result != BLOCKED)
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
    return !view_is_connecting (stream);
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

  return input_is_ready (self->stream, &fd) || (fd != -1 && view_poll (fd, G_IO_IN, -1, 0));
}

static GSource *
usock_stream_input_create_source (GPollableInputStream *stream,
                                  GCancellable         *cancellable)
{
  return view_new_source (stream, VIEW_INPUT (stream)->stream, input_is_ready, G_IO_IN,
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

  if (result > 0 && !view_check_fds (stream))
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
      = view_new_operation (self, self->stream, G_CALLBACK (input_cancelled),
                            usock_stream_input_read_async, cancellable, callback, user_data);
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

/* The output. */

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
output_get_room (UsockChannel *channel)
{
  guint64 mark = MIN (channel->high_water_mark, channel->queue_limit);
  guint64 room = channel->queued_cost < mark ? mark - channel->queued_cost : 0;

  return channel->n_queued > 0 ? room : MAX (room, LEAST_PIECE);
}

static gboolean
output_is_ready (gpointer  stream,
                 int      *fd)
{
  UsockChannel *channel = USOCK_CHANNEL (stream);

  if (channel->ending || (!usock_channel_is_connected (channel) && !view_is_connecting (stream)))
    return TRUE;
  if (channel->queue_limit == 0)
    return channel->n_queued == 0 && !channel->route->blocked;

  return output_get_room (channel) > 0;
}

static gssize
output_put (UsockStreamOutput  *self,
            gconstpointer       buffer,
            gsize               count,
            GError            **error)
{
  UsockChannel *channel = USOCK_CHANNEL (self->stream);
  gsize n = MIN (count, MAX (output_get_room (channel), 1));
  gboolean accepted;
  GError *reason = NULL;
  int fd;

  if (!output_is_ready (self->stream, &fd))
    return BLOCKED;

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
      return BLOCKED;
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
    if (!view_wait (self->stream, G_IO_OUT, cancellable, error))
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

  while ((result = output_put (self, buffer, count, error)) == BLOCKED)
    if (channel->n_corks > 0 || view_is_connecting (self->stream))
      {
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
                     _("Could not send to “%s”: the queue is full, and may not leave yet"),
                     usock_channel_peer (channel));
        return -1;
      }
    else if (!view_wait (self->stream, G_IO_OUT, cancellable, error))
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

  if (result != BLOCKED)
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
  return view_new_source (stream, VIEW_OUTPUT (stream)->stream, output_is_ready, G_IO_OUT,
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
  return view_new_operation (self, self->stream, G_CALLBACK (output_cancelled), tag, cancellable,
                             callback, user_data);
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

/* Both. */

static GInputStream *
usock_stream_io_get_input_stream (GIOStream *stream)
{
  return VIEW_IO (stream)->input;
}

static GOutputStream *
usock_stream_io_get_output_stream (GIOStream *stream)
{
  return VIEW_IO (stream)->output;
}

static gboolean
usock_stream_io_close (GIOStream     *stream,
                       GCancellable  *cancellable,
                       GError       **error)
{
  UsockStreamIo *self = VIEW_IO (stream);
  gboolean flushed;

  if (self->dropped)
    return TRUE;

  flushed = g_output_stream_close (self->output, cancellable, error);
  g_input_stream_close (self->input, NULL, NULL);
  usock_socket_close (USOCK_SOCKET (self->stream));
  return flushed;
}

static void
io_output_closed_cb (GObject      *output,
                     GAsyncResult *result,
                     gpointer      data)
{
  g_autoptr (GTask) task = data;
  UsockStreamIo *self = g_task_get_source_object (task);
  GError *error = NULL;

  g_output_stream_close_finish (G_OUTPUT_STREAM (output), result, &error);
  g_input_stream_close (self->input, NULL, NULL);
  usock_socket_close (USOCK_SOCKET (self->stream));
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_boolean (task, TRUE);
}

static void
usock_stream_io_close_async (GIOStream           *stream,
                             int                  io_priority,
                             GCancellable        *cancellable,
                             GAsyncReadyCallback  callback,
                             gpointer             user_data)
{
  UsockStreamIo *self = VIEW_IO (stream);
  GTask *task = g_task_new (stream, cancellable, callback, user_data);

  g_task_set_source_tag (task, usock_stream_io_close_async);
  g_task_set_check_cancellable (task, FALSE);
  g_output_stream_close_async (self->output, io_priority, cancellable, io_output_closed_cb, task);
}

static gboolean
usock_stream_io_close_finish (GIOStream     *stream,
                              GAsyncResult  *result,
                              GError       **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* GIOStream closes itself here. */
static void
usock_stream_io_dispose (GObject *object)
{
  VIEW_IO (object)->dropped = TRUE;

  G_OBJECT_CLASS (usock_stream_io_parent_class)->dispose (object);
}

static void
usock_stream_io_finalize (GObject *object)
{
  UsockStreamIo *self = VIEW_IO (object);

  g_object_unref (self->input);
  g_object_unref (self->output);
  g_object_unref (self->stream);

  G_OBJECT_CLASS (usock_stream_io_parent_class)->finalize (object);
}

static void
usock_stream_io_class_init (UsockStreamIoClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  GIOStreamClass *io_class = G_IO_STREAM_CLASS (class);

  object_class->dispose = usock_stream_io_dispose;
  object_class->finalize = usock_stream_io_finalize;
  io_class->get_input_stream = usock_stream_io_get_input_stream;
  io_class->get_output_stream = usock_stream_io_get_output_stream;
  io_class->close_fn = usock_stream_io_close;
  io_class->close_async = usock_stream_io_close_async;
  io_class->close_finish = usock_stream_io_close_finish;
}

static void
usock_stream_io_init (UsockStreamIo *self)
{
}

/**
 * usock_stream_create_io_stream:
 * @self: a stream
 *
 * Makes a view of the stream for what works on [class@Gio.IOStream]: reading
 * lines, splicing, converters. Both of its streams can be polled, as
 * [iface@Gio.PollableInputStream] and [iface@Gio.PollableOutputStream]. Like
 * the stream itself they are for the thread that made it.
 *
 * A view holds nothing but a reference: there may be any number of them at any
 * time, and one that is dropped closes nothing.
 *
 * Reading takes what comes next, from the same line as everybody else: an
 * asynchronous read is served in turn with
 * [method@Usock.Channel.receive_async], and before signals. Others take what is
 * there at that moment, even while the stream is paused; but while calls wait,
 * for them there is nothing. Each read takes at most one piece, and
 * [method@Usock.Stream.take_fds] the descriptors that came with it. At the end
 * it returns 0; after a failure it fails as
 * [method@Usock.Channel.receive_finish] does.
 *
 * Writing goes through the queue. An asynchronous write completes when the
 * kernel has all of it. One that does not block is accepted up to the
 * [property@Usock.Channel:high-water-mark], and else fails with
 * `G_IO_ERROR_WOULD_BLOCK`. One that blocks leaves nothing in the queue, unless
 * the stream is corked or still connecting.
 *
 * Calls that block do so without iterating the main context, until their
 * cancellable says otherwise: no timeout of the stream ends them. A read that
 * blocks sends what waits in the queue. It fails with `G_IO_ERROR_PENDING`
 * while asynchronous calls wait, which could never be served, and with
 * `G_IO_ERROR_NOT_CONNECTED` while connecting.
 *
 * Closing the output stream sends what waits, and ends our side, see
 * [method@Usock.Channel.end]. Closing the input stream closes nothing. Closing
 * the view does both, and then closes the stream at once, see
 * [method@Usock.Socket.close]: who wants the peer's last bytes reads to the end
 * first.
 *
 * Returns: (transfer full): a new view
 *
 * Since: 1.0
 */
GIOStream *
usock_stream_create_io_stream (UsockStream *self)
{
  UsockStreamInput *input;
  UsockStreamOutput *output;
  UsockStreamIo *view;

  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  input = g_object_new (VIEW_TYPE_INPUT, NULL);
  input->stream = g_object_ref (self);
  output = g_object_new (VIEW_TYPE_OUTPUT, NULL);
  output->stream = g_object_ref (self);

  view = g_object_new (VIEW_TYPE_IO, NULL);
  view->stream = g_object_ref (self);
  view->input = G_INPUT_STREAM (input);
  view->output = G_OUTPUT_STREAM (output);
  return G_IO_STREAM (view);
}

/**
 * usock_stream_take_fds:
 * @self: a stream
 * @n_fds: (out): how many there are
 *
 * Takes the descriptors that came with the bytes that were read so far through
 * a view, see [method@Usock.Stream.create_io_stream], in the order in which
 * they came. The caller closes them.
 *
 * A stream of which nobody takes them fails when there are more than 253.
 *
 * Returns: (array length=n_fds) (transfer full): the descriptors
 *
 * Since: 1.0
 */
gint *
usock_stream_take_fds (UsockStream *self,
                       gsize       *n_fds)
{
  GArray *fds;

  g_return_val_if_fail (n_fds != NULL, NULL);
  *n_fds = 0;
  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  fds = g_steal_pointer (&self->fds);
  self->fds = g_array_new (FALSE, FALSE, sizeof (int));
  *n_fds = fds->len;
  return (gint *) g_array_free (fds, FALSE);
}

/**
 * usock_stream_append_fd:
 * @self: a stream
 * @fd: an open descriptor
 * @error: return location for an error
 *
 * Sends a duplicate of @fd with the first byte of what is next written through
 * a view, see [method@Usock.Stream.create_io_stream].
 *
 * Fails as [method@Usock.Message.append_fd] does, and with
 * `G_IO_ERROR_NOT_SUPPORTED` on a stream that leaves this machine.
 *
 * Returns: whether it will be sent
 *
 * Since: 1.0
 */
gboolean
usock_stream_append_fd (UsockStream  *self,
                        gint          fd,
                        GError      **error)
{
  g_return_val_if_fail (USOCK_IS_STREAM (self), FALSE);

  if (USOCK_SOCKET (self)->family != AF_UNIX)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                   _("Could not send to “%s”: descriptors do not leave this machine"),
                   usock_channel_peer (USOCK_CHANNEL (self)));
      return FALSE;
    }

  if (self->next == NULL)
    self->next = usock_message_new (NULL, 0);
  return usock_message_append_fd (self->next, fd, error);
}
