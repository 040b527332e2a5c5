/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a stream puts together: whichever calls take what came, in whatever pieces it came, they take
 * every byte, once and in order. A call that fails leaves all that it waited with. */

#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usock/usock.h>

typedef struct
{
  FuzzInput input;
  UsockStream *stream;
  UsockChannel *channel;
  int peer;
  GByteArray *sent;
  GByteArray *got;
  gsize last; /* of the last call that has taken something: how many bytes */
  guint n_pending;
  GCancellable *cancellable;
} Run;

typedef enum
{
  KIND_EXACTLY,
  KIND_LINE,
  KIND_LINE_BYTES,
  KIND_UNTIL,
  KIND_TEXT,
  KIND_ANY,
  N_KINDS,
} Kind;

typedef struct
{
  Run *run;
  Kind kind;
  char delimiter[3];
  gsize length;
  gsize n_bytes;
} Call;

static void
run_take (Run          *run,
          gconstpointer data,
          gsize         length)
{
  g_byte_array_append (run->got, data, (guint) length);
  run->last += length;
}

static gsize
run_take_message (Run          *run,
                  UsockMessage *message)
{
  gsize length;
  gconstpointer data = usock_message_get_data (message, &length);

  run_take (run, data, length);
  return length;
}

static void
run_take_text (Run        *run,
               const char *text)
{
  run_take (run, text, strlen (text));
}

static void
finish_line (Run  *run,
             char *line)
{
  const char *ending = usock_stream_get_line_ending (run->stream);

  run_take_text (run, line);
  g_assert_true (strchr (line, '\n') == NULL);
  g_assert_cmpint (ending == NULL, ==, usock_stream_was_cut_off (run->stream));
  run_take_text (run, ending != NULL ? ending : "");
  g_free (line);
}

static void
finish_text (Call         *call,
             GAsyncResult *result,
             GError      **error)
{
  Run *run = call->run;
  gboolean is_line = call->kind == KIND_LINE;
  char *text = is_line ? usock_stream_receive_line_finish (run->stream, result, error)
                       : usock_stream_receive_text_finish (run->stream, result, error);

  if (text != NULL && is_line)
    {
      finish_line (run, text);
      return;
    }
  if (text != NULL)
    run_take_text (run, text);
  g_free (text);
}

static UsockMessage *
finish_message (Call         *call,
                GAsyncResult *result,
                GError      **error)
{
  switch (call->kind)
    {
    case KIND_EXACTLY:
      return usock_stream_receive_exactly_finish (call->run->stream, result, error);
    case KIND_LINE_BYTES:
      return usock_stream_receive_line_bytes_finish (call->run->stream, result, error);
    case KIND_UNTIL:
      return usock_stream_receive_until_finish (call->run->stream, result, error);
    default:
      return usock_channel_receive_finish (call->run->channel, result, error);
    }
}

static void
take_rest (Call         *call,
           UsockMessage *message)
{
  gboolean cut = (usock_message_get_flags (message) & USOCK_MESSAGE_FLAGS_CUT_OFF) != 0;
  Run *run = call->run;
  gsize length = run_take_message (run, message);

  if (call->kind == KIND_EXACTLY)
    g_assert_cmpuint (length, ==, call->n_bytes);
  if (call->kind == KIND_UNTIL && !cut)
    run_take (run, call->delimiter, call->length);
  if (call->kind == KIND_LINE_BYTES && !cut)
    run_take_text (run, usock_stream_get_line_ending (run->stream));
}

static void
done_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  Call *call = user_data;
  Run *run = call->run;
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) message = NULL;

  run->n_pending--;
  run->last = 0;
  if (call->kind == KIND_LINE || call->kind == KIND_TEXT)
    finish_text (call, result, &error);
  else
    message = finish_message (call, result, &error);

  if (message != NULL)
    take_rest (call, message);
  g_assert_true (error == NULL || run->last == 0);
  g_free (call);
}

static void
begin_call (Run *run)
{
  Call *call = g_new0 (Call, 1);
  GCancellable *cancellable = fuzz_take_byte (&run->input) % 4 == 0 ? run->cancellable : NULL;

  call->run = run;
  call->kind = fuzz_take_below (&run->input, N_KINDS);
  run->n_pending++;
  switch (call->kind)
    {
    case KIND_EXACTLY:
      call->n_bytes = 1 + fuzz_take_below (&run->input, 80);
      usock_stream_receive_exactly_async (run->stream, call->n_bytes, 0, cancellable, done_cb, call);
      break;
    case KIND_LINE:
      usock_stream_receive_line_async (run->stream, cancellable, done_cb, call);
      break;
    case KIND_LINE_BYTES:
      usock_stream_receive_line_bytes_async (run->stream, cancellable, done_cb, call);
      break;
    case KIND_UNTIL:
      call->length = 1 + fuzz_take_below (&run->input, sizeof call->delimiter);
      for (gsize i = 0; i < call->length; i++)
        call->delimiter[i] = "ab\n\r"[fuzz_take_below (&run->input, 4)];
      usock_stream_receive_until_async (run->stream, (const guint8 *) call->delimiter,
                                        call->length, cancellable, done_cb, call);
      break;
    case KIND_TEXT:
      usock_stream_receive_text_async (run->stream, cancellable, done_cb, call);
      break;
    default:
      usock_channel_receive_async (run->channel, cancellable, done_cb, call);
    }
}

static void
send_some (Run *run)
{
  guint8 bytes[64];
  guint length = 1 + fuzz_take_below (&run->input, sizeof bytes);
  gboolean is_plain = fuzz_take_byte (&run->input) % 4 != 0;

  for (guint i = 0; i < length; i++)
    {
      guint8 byte = fuzz_take_byte (&run->input);

      bytes[i] = is_plain ? (guint8) "ab\n\r"[byte % 4] : byte;
    }
  g_assert_cmpint (send (run->peer, bytes, length, 0), ==, length);
  g_byte_array_append (run->sent, bytes, length);
}

/* What nobody waits for can be put back, and comes again. */
static void
unread_last (Run *run)
{
  g_autoptr (UsockMessage) message = NULL;

  if (run->n_pending > 0 || run->last == 0
      || usock_socket_get_state (USOCK_SOCKET (run->stream)) != USOCK_STATE_OPEN)
    return;

  message = usock_message_new (run->got->data + run->got->len - run->last, run->last);
  if (usock_stream_unread (run->stream, message, NULL))
    g_byte_array_set_size (run->got, run->got->len - (guint) run->last);
  run->last = 0;
}

static void
run_step (Run *run)
{
  switch (fuzz_take_below (&run->input, 8))
    {
    case 0:
    case 1:
      send_some (run);
      break;
    case 2:
    case 3:
    case 4:
      begin_call (run);
      break;
    case 5:
      unread_last (run);
      break;
    case 6:
      g_cancellable_cancel (run->cancellable);
      g_set_object (&run->cancellable, NULL);
      run->cancellable = g_cancellable_new ();
      break;
    default:
      fuzz_settle ();
    }
}

static void
data_cb (UsockChannel *channel,
         GByteArray   *bytes,
         Run          *run)
{
  g_byte_array_append (run->got, bytes->data, bytes->len);
}

/* Everything that came must have been taken, by the calls or now. */
static void
run_end (Run *run)
{
  shutdown (run->peer, SHUT_WR);
  fuzz_settle ();
  g_signal_connect (run->stream, "data", G_CALLBACK (data_cb), run);
  fuzz_settle ();
  g_assert_cmpuint (run->n_pending, ==, 0);
  g_assert_cmpmem (run->got->data, run->got->len, run->sent->data, run->sent->len);

  usock_socket_close (USOCK_SOCKET (run->stream));
  fuzz_settle ();
  close (run->peer);
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        gsize         size)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Run run = { { data, size } };
  int fds[2];

  g_main_context_push_thread_default (context);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  run.stream = usock_stream_new_from_fd (fds[0], NULL);
  run.channel = USOCK_CHANNEL (run.stream);
  run.peer = fds[1];
  run.sent = g_byte_array_new ();
  run.got = g_byte_array_new ();
  run.cancellable = g_cancellable_new ();
  usock_channel_set_read_buffer_size (run.channel, 16 + fuzz_take_below (&run.input, 256));

  while (run.input.left > 0)
    run_step (&run);
  run_end (&run);

  g_object_unref (run.stream);
  g_object_unref (run.cancellable);
  g_byte_array_unref (run.sent);
  g_byte_array_unref (run.got);
  g_main_context_pop_thread_default (context);
  return 0;
}
