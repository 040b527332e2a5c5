/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-stream-private.h"

/* No event tells of everything that waiting for room is about. */
#define WAIT_MS 1000
#define RETRY_MS 10

/* A view: GIO's streams over a UsockStream. They hold nothing themselves, neither bytes nor
 * descriptors, so that any number of them may come and go, and what is read here and what is
 * received there are the same bytes in the same order.
 *
 * An asynchronous read is one more receiver of the channel, and an asynchronous write one more
 * message in its queue; their results are therefore the channel's operations, and complete in its
 * turns. All else happens there and then. */

#define VIEW_TYPE_IO (usock_stream_io_get_type ())
G_DECLARE_FINAL_TYPE (UsockStreamIo, usock_stream_io, VIEW, IO, GIOStream)

struct _UsockStreamIo
{
  GIOStream parent_instance;

  UsockStream *stream;
  GInputStream *input;
  GOutputStream *output;
  gboolean dropped;
};

G_DEFINE_FINAL_TYPE (UsockStreamIo, usock_stream_io, G_TYPE_IO_STREAM)

/* Whether there is something to do on @fd. Either descriptor may be -1. */
gboolean
usock_stream_poll (int          fd,
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
gboolean
usock_stream_wait (UsockStream   *stream,
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
  ready = usock_stream_poll (timeout == RETRY_MS ? -1 : USOCK_SOCKET (stream)->fd, condition,
                             cancelled.fd, timeout);
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

gboolean
usock_stream_is_connecting (UsockStream *stream)
{
  return USOCK_SOCKET (stream)->state == USOCK_STATE_CONNECTING;
}

/* Of a stream without a connection: what it ended with, if it did not end well. */
void
usock_stream_set_view_error (UsockStream  *stream,
                             GError      **error)
{
  UsockChannel *channel = USOCK_CHANNEL (stream);

  if (channel->verdict != NULL)
    g_propagate_error (error, g_error_copy (channel->verdict));
  else if (USOCK_SOCKET (stream)->state == USOCK_STATE_NEW || usock_stream_is_connecting (stream))
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED,
                         _("Could not receive: the stream is not connected"));
  else
    usock_socket_check (USOCK_SOCKET (stream), error);
}

UsockOperation *
usock_stream_new_operation (gpointer             view,
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

GSource *
usock_stream_new_source (gpointer        view,
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
gboolean
usock_stream_check_fds (UsockStream *stream)
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
  UsockStreamIo *view;

  g_return_val_if_fail (USOCK_IS_STREAM (self), NULL);

  view = g_object_new (VIEW_TYPE_IO, NULL);
  view->stream = g_object_ref (self);
  view->input = usock_stream_new_input (self);
  view->output = usock_stream_new_output (self);
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
