/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A channel against a model of what may be observed: the input is a program of both ends. What one end
 * sent and was told it was accepted comes to the other, whole, once and in order, up to where somebody
 * closed; the end comes behind it, and close is the last there is. */

#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usock/usock.h>

#define MOST_STEPS 400
#define LONGEST 150000
#define PERIOD 251
#define NESTING_MAX 3

typedef struct _Run Run;
typedef struct _End End;

struct _End
{
  Run *run;
  End *other;
  UsockChannel *channel;
  guint32 next_number;     /* what is sent next */
  GArray *accepted;        /* of Sent, in order: what the other end may see */
  guint next_taken;        /* which of the other's comes next */
  gsize cut;               /* of a stream: how many of its bytes have come */
  guint n_pending;         /* calls */
  guint n_ends;
  guint n_errors;
  guint n_closes;
  gboolean has_ended;      /* says no more */
  gboolean has_left;       /* closed by itself: what was under way may be lost */
  gboolean listens;
};

typedef struct
{
  guint32 number;
  guint32 length;
  guint n_fds;
  gboolean is_certain;     /* FALSE of a call that has not been answered */
  gboolean is_void;        /* and that has failed */
  gboolean is_cancellable; /* by what the run has */
  gboolean is_cancelled;   /* which may have been told already to all but who sent it */
} Sent;

struct _Run
{
  FuzzInput input;
  gboolean is_stream;
  End ends[2];
  guint nesting;
  int fd; /* what is passed */
  GCancellable *cancellable;
};

typedef struct
{
  End *end;
  guint index;
} Sending;

static void run_step (Run *run);

/* What message number N is made of: no two that follow one another are alike, nor is what is left of
 * one that was cut. */
static const guint8 *
bytes_of (guint32 number)
{
  static guint8 bytes[LONGEST + PERIOD];

  if (bytes[1] == 0)
    for (guint i = 0; i < sizeof bytes; i++)
      bytes[i] = (guint8) (i % PERIOD);
  return bytes + number * 31 % PERIOD;
}

/* Handlers may do whatever the program says, and run a nested loop. */
static void
end_react (End *self)
{
  Run *run = self->run;

  if (run->nesting >= NESTING_MAX || fuzz_take_byte (&run->input) % 8 != 0)
    return;

  run->nesting++;
  if (fuzz_take_byte (&run->input) % 2 == 0)
    for (guint i = 0; i < 5; i++)
      g_main_context_iteration (g_main_context_get_thread_default (), FALSE);
  else
    run_step (run);
  run->nesting--;
}

static Sent *
end_peek (End *self)
{
  End *from = self->other;

  while (self->next_taken < from->accepted->len)
    {
      Sent *sent = &g_array_index (from->accepted, Sent, self->next_taken);

      if (!sent->is_void && (!self->run->is_stream || sent->length > self->cut))
        return sent;
      self->next_taken++;
      self->cut = 0;
    }
  return NULL;
}

/* What comes next, of which this is the beginning. What was cancelled may be left out before whoever
 * sent it is told; that it is told so is seen to then. */
static Sent *
end_peek_at (End          *self,
             const guint8 *data,
             gsize         length)
{
  Sent *sent;

  while ((sent = end_peek (self)) != NULL && sent->is_cancelled && !sent->is_certain
         && self->cut == 0
         && (length == 0
             || memcmp (data, bytes_of (sent->number), MIN (length, sent->length)) != 0))
    sent->is_void = TRUE;
  return sent;
}

static void
end_take_bytes (End          *self,
                const guint8 *data,
                gsize         length)
{
  while (length > 0)
    {
      Sent *sent = end_peek_at (self, data, length);
      gsize n;

      g_assert_nonnull (sent);
      n = MIN (length, sent->length - self->cut);
      g_assert_true (memcmp (data, bytes_of (sent->number) + self->cut, n) == 0);
      self->cut += n;
      data += n;
      length -= n;
    }
}

static void
end_take (End          *self,
          const guint8 *data,
          gsize         length,
          int           n_fds)
{
  Sent *sent;

  g_assert_cmpuint (self->n_ends + self->n_closes, ==, 0);
  if (self->run->is_stream)
    {
      end_take_bytes (self, data, length);
      return;
    }

  sent = end_peek_at (self, data, length);
  g_assert_nonnull (sent);
  g_assert_cmpuint (length, ==, sent->length);
  g_assert_true (memcmp (data, bytes_of (sent->number), length) == 0);
  if (n_fds >= 0)
    g_assert_cmpint (n_fds, ==, (int) sent->n_fds);
  self->next_taken++;
}

static void
data_cb (UsockChannel *channel,
         GByteArray   *bytes,
         End          *self)
{
  end_take (self, bytes->data, bytes->len, -1);
  end_react (self);
}

static void
message_cb (UsockChannel *channel,
            UsockMessage *message,
            End          *self)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);

  end_take (self, data, length, (int) usock_message_get_n_fds (message));
  end_react (self);
}

static void
batch_cb (UsockChannel *channel,
          GPtrArray    *batch,
          End          *self)
{
  for (guint i = 0; i < batch->len; i++)
    {
      GByteArray *bytes = batch->pdata[i];

      end_take (self, bytes->data, bytes->len, -1);
    }
  end_react (self);
}

static void
end_cb (UsockChannel *channel,
        End          *self)
{
  g_assert_cmpuint (++self->n_ends, ==, 1);
  g_assert_cmpuint (self->n_closes, ==, 0);
  end_react (self);
}

static void
error_cb (UsockChannel *channel,
          GError       *error,
          End          *self)
{
  g_assert_nonnull (error);
  g_assert_cmpuint (++self->n_errors, ==, 1);
  g_assert_cmpuint (self->n_closes, ==, 0);
}

static void
close_cb (UsockChannel *channel,
          End          *self)
{
  g_assert_cmpuint (++self->n_closes, ==, 1);
  g_assert_cmpuint (self->n_pending, ==, 0);
  end_react (self);
}

static void
received_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      user_data)
{
  End *self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) message
      = usock_channel_receive_finish (self->channel, result, &error);

  self->n_pending--;
  if (message != NULL)
    message_cb (self->channel, message, self);
}

static void
sent_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  Sending *sending = user_data;
  End *self = sending->end;
  Sent *sent = &g_array_index (self->accepted, Sent, sending->index);
  g_autoptr (GError) error = NULL;

  self->n_pending--;
  sent->is_certain = usock_channel_send_message_finish (self->channel, result, &error);
  g_assert_false (sent->is_certain && sent->is_void);
  /* What had begun to leave cannot be called back from a stream. */
  if (!sent->is_certain && sending->index >= self->other->next_taken
      && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    sent->is_void = TRUE;
  g_free (sending);
}

static void
plain_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  End *self = user_data;

  self->n_pending--;
}

static UsockMessage *
end_make_message (End     *self,
                  guint32  length,
                  guint    n_fds)
{
  UsockMessage *message = usock_message_new (bytes_of (self->next_number), length);

  for (guint i = 0; i < n_fds; i++)
    g_assert_true (usock_message_append_fd (message, self->run->fd, NULL));
  return message;
}

static void
end_note (End     *self,
          guint32  length,
          guint    n_fds,
          gboolean is_certain,
          gboolean is_cancellable)
{
  const Sent sent = { self->next_number++, length, n_fds, is_certain, FALSE, is_cancellable, FALSE };

  g_array_append_val (self->accepted, sent);
}

static guint32
run_take_length (Run *run)
{
  static const guint32 lengths[] = { 0, 1, 10, 100, 1000, 5000, 70000, LONGEST };
  guint32 length = lengths[fuzz_take_below (&run->input, G_N_ELEMENTS (lengths))];

  return run->is_stream ? MAX (length, 1) : length;
}

static void
end_send (End *self)
{
  guint32 length = run_take_length (self->run);
  guint n_fds = fuzz_take_byte (&self->run->input) % 8 == 0 ? 1 : 0;
  g_autoptr (UsockMessage) message = end_make_message (self, length, n_fds);

  if (usock_channel_send_message (self->channel, message, NULL))
    end_note (self, length, n_fds, TRUE, FALSE);
}

static void
end_send_async (End *self)
{
  guint32 length = run_take_length (self->run);
  GCancellable *cancellable
      = fuzz_take_byte (&self->run->input) % 2 == 0 ? self->run->cancellable : NULL;
  g_autoptr (UsockMessage) message = NULL;
  Sending *sending = g_new (Sending, 1);

  /* Empty ones could not be told apart. */
  if (cancellable != NULL)
    length = MAX (length, 1);
  message = end_make_message (self, length, 0);
  *sending = (Sending) { self, self->accepted->len };
  self->n_pending++;
  end_note (self, length, 0, FALSE, cancellable != NULL);
  usock_channel_send_message_async (self->channel, message, cancellable, sent_cb, sending);
}

static void
end_send_several (End *self)
{
  UsockMessage *messages[5];
  guint32 lengths[5];
  guint32 first = self->next_number;
  gsize n;

  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    {
      lengths[i] = run_take_length (self->run) % 6000 + 1;
      messages[i] = end_make_message (self, lengths[i], 0);
      self->next_number++;
    }
  self->next_number = first;
  n = usock_channel_send_messages (self->channel, messages, G_N_ELEMENTS (messages), NULL);
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    {
      if (i < n)
        end_note (self, lengths[i], 0, TRUE, FALSE);
      usock_message_unref (messages[i]);
    }
}

static void
end_listen (End *self)
{
  static const struct
  {
    const char *signal;
    GCallback callback;
  } ways[] = {
    { "data", G_CALLBACK (data_cb) },
    { "message", G_CALLBACK (message_cb) },
    { "batch", G_CALLBACK (batch_cb) },
  };
  guint way = fuzz_take_below (&self->run->input, G_N_ELEMENTS (ways));

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    g_signal_handlers_disconnect_by_func (self->channel, ways[i].callback, self);
  self->listens = fuzz_take_byte (&self->run->input) % 4 != 0;
  if (self->listens)
    g_signal_connect (self->channel, ways[way].signal, ways[way].callback, self);
}

static void
end_receive (End *self)
{
  self->n_pending++;
  usock_channel_receive_async (
      self->channel, fuzz_take_byte (&self->run->input) % 3 == 0 ? self->run->cancellable : NULL,
      received_cb, self);
}

static void
end_take_some (End *self)
{
  gsize n;
  UsockMessage **messages = usock_channel_take_messages (
      self->channel, fuzz_take_byte (&self->run->input) % 4, &n);
  gsize n_back = n > 0 ? fuzz_take_byte (&self->run->input) % (n + 1) : 0;

  for (gsize i = 0; i < n - n_back; i++)
    {
      gsize length;
      const guint8 *data = usock_message_get_data (messages[i], &length);

      end_take (self, data, length, (int) usock_message_get_n_fds (messages[i]));
    }
  if (n_back > 0)
    g_assert_true (usock_channel_unread_messages (self->channel, messages + n - n_back, n_back,
                                                  NULL));
  for (gsize i = 0; i < n; i++)
    usock_message_unref (messages[i]);
  g_free (messages);
}

static void
end_set (End *self)
{
  guint8 value = fuzz_take_byte (&self->run->input);

  switch (value % 5)
    {
    case 0:
      usock_channel_set_queue_limit (self->channel, 1000 + value * 2000);
      break;
    case 1:
      usock_channel_set_high_water_mark (self->channel, value * 100);
      break;
    case 2:
      usock_channel_set_pass_credentials (self->channel, value % 2);
      break;
    case 3:
      usock_channel_set_allow_half_open (self->channel, value % 2);
      break;
    default:
      usock_channel_set_idle_timeout (self->channel, value);
    }
}

static void
run_cancel (Run *run)
{
  g_autoptr (GCancellable) cancellable = g_steal_pointer (&run->cancellable);

  run->cancellable = g_cancellable_new ();
  for (guint i = 0; i < G_N_ELEMENTS (run->ends); i++)
    for (guint j = 0; j < run->ends[i].accepted->len; j++)
      {
        Sent *sent = &g_array_index (run->ends[i].accepted, Sent, j);

        sent->is_cancelled |= sent->is_cancellable;
      }
  g_cancellable_cancel (cancellable);
}

static void
end_finish (End *self)
{
  guint8 how = fuzz_take_byte (&self->run->input);

  self->has_ended = TRUE;
  if (how % 8 == 0)
    {
      self->has_left = TRUE;
      usock_socket_close (USOCK_SOCKET (self->channel));
      return;
    }
  if (how % 2 == 0)
    {
      usock_channel_end (self->channel);
      return;
    }
  self->n_pending++;
  usock_channel_end_async (self->channel, NULL, plain_cb, self);
}

static void
run_step (Run *run)
{
  End *end = &run->ends[fuzz_take_byte (&run->input) % 2];

  switch (fuzz_take_byte (&run->input) % 24)
    {
    case 0 ... 4:
      end_send (end);
      break;
    case 5:
    case 6:
      end_send_async (end);
      break;
    case 7:
      end_send_several (end);
      break;
    case 8 ... 10:
      end_listen (end);
      break;
    case 11 ... 13:
      end_receive (end);
      break;
    case 14:
      end_take_some (end);
      break;
    case 15:
      usock_channel_pause (end->channel);
      break;
    case 16:
      usock_channel_resume (end->channel);
      break;
    case 17:
      end_set (end);
      break;
    case 18:
      run_cancel (run);
      break;
    case 19:
      end_finish (end);
      break;
    default:
      for (guint i = 0; i < 4; i++)
        g_main_context_iteration (g_main_context_get_thread_default (), FALSE);
    }
}

static void
end_open (End          *self,
          Run          *run,
          UsockChannel *channel)
{
  self->run = run;
  self->other = &run->ends[self == &run->ends[0]];
  self->channel = channel;
  self->accepted = g_array_new (FALSE, FALSE, sizeof (Sent));
  usock_channel_set_max_fds (channel, 4);
  usock_channel_set_read_buffer_size (channel, 256 * 1024);
  g_signal_connect (channel, "end", G_CALLBACK (end_cb), self);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), self);
  g_signal_connect (channel, "close", G_CALLBACK (close_cb), self);
}

static gboolean
end_is_over (const End *self)
{
  return self->n_closes == 1 && self->n_pending == 0;
}

/* Somebody who ends, and an other who takes all, are owed everything. */
static void
end_check (End *self)
{
  Sent *sent;

  g_assert_cmpuint (self->n_pending, ==, 0);
  g_assert_cmpuint (self->n_closes, ==, 1);
  if (self->has_left || self->other->has_left || self->n_errors + self->other->n_errors > 0)
    return;

  while ((sent = end_peek (self)) != NULL && !sent->is_certain)
    self->next_taken++;
  g_assert_null (sent);
  g_assert_cmpuint (self->n_ends, ==, 1);
}

static void
run_finish (Run *run)
{
  gint64 deadline;

  for (guint i = 0; i < 2; i++)
    {
      End *end = &run->ends[i];

      usock_channel_resume (end->channel);
      g_signal_handlers_disconnect_by_func (end->channel, data_cb, end);
      g_signal_handlers_disconnect_by_func (end->channel, message_cb, end);
      g_signal_handlers_disconnect_by_func (end->channel, batch_cb, end);
      g_signal_connect (end->channel, "message", G_CALLBACK (message_cb), end);
      usock_channel_end (end->channel);
    }
  /* Descriptors that are under way, or memory that fails, are waited for by the clock. */
  deadline = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
  while (!(end_is_over (&run->ends[0]) && end_is_over (&run->ends[1]))
         && g_get_monotonic_time () < deadline)
    {
      fuzz_settle ();
      g_thread_yield ();
    }
  for (guint i = 0; i < 2; i++)
    end_check (&run->ends[i]);
}

static void
run_open (Run *run)
{
  if (run->is_stream)
    {
      UsockStream *first, *second;

      g_assert_true (usock_stream_new_pair (&first, &second, NULL));
      end_open (&run->ends[0], run, USOCK_CHANNEL (first));
      end_open (&run->ends[1], run, USOCK_CHANNEL (second));
      return;
    }

  {
    UsockSeqpacket *first, *second;

    g_assert_true (usock_seqpacket_new_pair (&first, &second, NULL));
    end_open (&run->ends[0], run, USOCK_CHANNEL (first));
    end_open (&run->ends[1], run, USOCK_CHANNEL (second));
  }
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        gsize         size)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_fds = fuzz_count_fds ();
  Run run = { { data, size } };

  run.is_stream = fuzz_take_byte (&run.input) % 2 == 0;
  run.fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  run.cancellable = g_cancellable_new ();
  g_main_context_push_thread_default (context);
  run_open (&run);
  for (guint n = 0; n < MOST_STEPS && run.input.left > 0; n++)
    run_step (&run);
  run.nesting = NESTING_MAX;
  run_finish (&run);

  for (guint i = 0; i < 2; i++)
    {
      g_signal_handlers_disconnect_by_data (run.ends[i].channel, &run.ends[i]);
      g_object_unref (run.ends[i].channel);
      g_array_unref (run.ends[i].accepted);
    }
  g_main_context_pop_thread_default (context);
  g_object_unref (run.cancellable);
  close (run.fd);
  g_clear_pointer (&context, g_main_context_unref);
  fuzz_check_fds (n_fds);
  return 0;
}
