/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What comes in to a channel, and what the channel says to standard output, until both have ended.
 * Each direction holds up who is faster: nothing is read that the other end does not take. */

#include "config.h"

#include <glib-unix.h>

#include "tool.h"

typedef struct
{
  UsockChannel *channel;
  ToolInput *input;
  ToolPumpMode mode;
  GError *error;
  gboolean has_ended;
  gboolean is_asking;
  guint hang_up;
} Pump;

static void pump_receive (gpointer data,
                          gpointer unused);

static void
stop_cb (gpointer data,
         gpointer unused)
{
  Pump *self = data;

  if (self->error != NULL)
    tool_stop_with (self->error);
  else if (self->is_asking || (self->mode != TOOL_PUMP_BOTH && !self->has_ended))
    {
      tool_complain (_("the other side has ended before everything was said"));
      tool_stop (TOOL_FAILED);
    }
  else
    tool_stop (TOOL_DONE);
}

static void
pump_closed (Pump *self)
{
  g_clear_handle_id (&self->hang_up, g_source_remove);
  tool_output_then (stop_cb, self, NULL);
}

static void
pump_failed (Pump         *self,
             const GError *error)
{
  if (self->error == NULL)
    self->error = g_error_copy (error);
}

/* A datagram was refused after it had been queued, which ends nothing by itself. */
static void
send_failed_cb (UsockDgram   *socket,
                const char   *destination,
                const GError *error,
                gpointer      data)
{
  pump_failed (data, error);
  usock_socket_close (USOCK_SOCKET (socket));
}

static void
flushed_cb (GObject      *channel,
            GAsyncResult *result,
            gpointer      data)
{
  /* Why it failed the signals tell. */
  usock_channel_flush_finish (USOCK_CHANNEL (channel), result, NULL);
  usock_socket_close (USOCK_SOCKET (channel));
}

/* A datagram socket has no end that the other side could see or answer. */
static void
pump_end (Pump *self)
{
  if (self->has_ended)
    return;

  self->has_ended = TRUE;
  if (USOCK_IS_DGRAM (self->channel))
    usock_channel_flush_async (self->channel, NULL, flushed_cb, self);
  else
    usock_channel_end (self->channel);
  if (self->mode == TOOL_PUMP_ASK)
    pump_receive (self, NULL);
}

static gboolean
pump_is_full (Pump *self)
{
  return self->is_asking
         || usock_channel_get_queued_bytes (self->channel)
                > usock_channel_get_high_water_mark (self->channel);
}

static gboolean
pump_send_one (Pump *self)
{
  g_autoptr (UsockMessage) message = tool_input_take (self->input);
  g_autoptr (GError) error = NULL;

  if (message == NULL)
    return FALSE;
  if (!usock_channel_send_message (self->channel, message, &error))
    {
      usock_socket_destroy (USOCK_SOCKET (self->channel), error);
      return FALSE;
    }

  tool_touch ();
  tool_progress (usock_message_get_length (message));
  self->is_asking = self->mode == TOOL_PUMP_ASK;
  if (self->is_asking)
    pump_receive (self, NULL);
  return TRUE;
}

static void
pump_send (gpointer data)
{
  Pump *self = data;

  while (!pump_is_full (self))
    if (!pump_send_one (self))
      break;

  if (pump_is_full (self) || usock_socket_get_state (USOCK_SOCKET (self->channel)) == USOCK_STATE_CLOSED)
    return;
  if (tool_input_is_over (self->input))
    pump_end (self);
  else
    tool_input_wait (self->input);
}

static void
pump_go_on (gpointer data,
            gpointer unused)
{
  Pump *self = data;

  if (self->is_asking)
    {
      self->is_asking = FALSE;
      pump_send (self);
    }
  else
    pump_receive (self, NULL);
}

static void
end_output_cb (gpointer unused,
               gpointer unused_too)
{
  tool_output_end ();
}

static gboolean
hang_up_cb (int          fd,
            GIOCondition condition,
            gpointer     data)
{
  Pump *self = data;

  self->hang_up = 0;
  usock_socket_close (USOCK_SOCKET (self->channel));
  return G_SOURCE_REMOVE;
}

/* The other side says nothing more. Where it is gone altogether, as a Unix socket can tell, there is no
 * use in waiting for more that could be said to it. */
static void
pump_watch_hang_up (Pump *self)
{
  int fd = usock_socket_get_fd (USOCK_SOCKET (self->channel));

  if (fd >= 0)
    self->hang_up = g_unix_fd_add (fd, G_IO_HUP, hang_up_cb, self);
}

static void
received_cb (GObject      *channel,
             GAsyncResult *result,
             gpointer      data)
{
  Pump *self = data;
  g_autoptr (UsockMessage) message
      = usock_channel_receive_finish (USOCK_CHANNEL (channel), result, NULL);

  tool_touch ();
  if (message == NULL)
    {
      /* Nobody answers any more. */
      if (self->is_asking)
        usock_channel_end (self->channel);
      pump_watch_hang_up (self);
      tool_output_then (end_output_cb, NULL, NULL);
      return;
    }

  if (self->mode != TOOL_PUMP_SEND)
    {
      tool_progress (usock_message_get_length (message));
      tool_output_frame (message);
    }
  tool_output_then (pump_go_on, self, NULL);
}

static void
pump_receive (gpointer data,
              gpointer unused)
{
  Pump *self = data;

  usock_channel_receive_async (self->channel, NULL, received_cb, self);
}

/* Takes the input over. */
void
tool_pump (UsockChannel *channel,
           ToolInput    *input,
           ToolPumpMode  mode)
{
  Pump *self = g_new0 (Pump, 1);

  /* Where an answer ends cannot be seen on a stream: it is all up to the end. */
  self->mode = mode == TOOL_PUMP_ASK && USOCK_IS_STREAM (channel) ? TOOL_PUMP_BOTH : mode;
  self->channel = g_object_ref (channel);
  self->input = input;
  tool_input_set_func (input, pump_send, self);
  g_signal_connect_swapped (channel, "drain", G_CALLBACK (pump_send), self);
  g_signal_connect_swapped (channel, "error", G_CALLBACK (pump_failed), self);
  g_signal_connect_swapped (channel, "close", G_CALLBACK (pump_closed), self);
  if (USOCK_IS_DGRAM (channel))
    g_signal_connect (channel, "send-failed", G_CALLBACK (send_failed_cb), self);

  if (self->mode == TOOL_PUMP_BOTH || (self->mode == TOOL_PUMP_SEND && !USOCK_IS_DGRAM (channel)))
    pump_receive (self, NULL);
  pump_send (self);
}
