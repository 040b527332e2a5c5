/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The protocol of peers: whatever the other side says, in packets or as a stream, and however it is cut,
 * a peer answers, or closes with a reason. */

#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usock/usock.h>

#include "usock-frame-private.h"

typedef struct
{
  FuzzInput input;
  UsockPeer *peer;
  int fd;
  gboolean is_stream;
  guint n_closed;
  guint n_asked;
  guint n_answered;
  GPtrArray *held; /* of UsockCall: answered later, or never */
} Run;

static void
handle (UsockPeer *peer,
        UsockCall *call,
        gpointer   user_data)
{
  Run *run = user_data;

  switch (fuzz_take_byte (&run->input) % 4)
    {
    case 0:
      usock_call_reply (call, usock_call_get_body (call), NULL);
      break;
    case 1:
      g_ptr_array_add (run->held, usock_call_ref (call));
      break;
    case 2:
      usock_call_get_cancellable (call);
      break;
    default:
      usock_call_reply (call, NULL, NULL);
    }
}

static void
answered_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) reply = usock_peer_call_finish (USOCK_PEER (source), result, &error);

  g_assert_true ((reply == NULL) == (error != NULL));
  ((Run *) user_data)->n_answered++;
}

static void
closed_cb (Run *run)
{
  run->n_closed++;
}

static void
run_ask (Run *run)
{
  g_autoptr (UsockMessage) body = usock_message_new_from_text ("body");

  run->n_asked++;
  usock_peer_call_async (run->peer, "ask", body, -1, NULL, answered_cb, run);
}

/* One that is well formed, but for what the input says. */
static void
run_send_frame (Run *run)
{
  static guint8 buffer[USOCK_FRAME_MAX];
  g_autofree char *name = fuzz_take_text (&run->input, 8);
  UsockFrame frame = { .type = fuzz_take_byte (&run->input) % 9 };
  gsize head;
  gsize length;

  frame.kind = fuzz_take_byte (&run->input) % 4;
  frame.flags = fuzz_take_byte (&run->input) % 3;
  frame.serial = fuzz_take_byte (&run->input) % 4;
  frame.code = fuzz_take_byte (&run->input);
  frame.name = name;
  frame.name_length = (guint) strlen (name);
  frame.signature = frame.kind == USOCK_BODY_KIND_VARIANT ? "(sa{sv})" : "";
  frame.signature_length = (guint) strlen (frame.signature);
  frame.body = fuzz_take_bytes (&run->input, fuzz_take_byte (&run->input), &frame.body_length);
  frame.size = frame.body_length + (fuzz_take_byte (&run->input) % 4) * 16;
  head = usock_frame_head (&frame);
  frame.length = (guint32) (head + frame.body_length);
  usock_frame_write (&frame, buffer);
  if (frame.body_length > 0)
    memcpy (buffer + head, frame.body, frame.body_length);
  length = frame.length;
  if (fuzz_take_byte (&run->input) % 8 == 0)
    buffer[fuzz_take_below (&run->input, (guint) length)] ^= fuzz_take_byte (&run->input);
  send (run->fd, buffer, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
run_send_bytes (Run *run)
{
  gsize length;
  const guint8 *data = fuzz_take_bytes (&run->input, fuzz_take_byte (&run->input), &length);

  send (run->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
run_reply_held (Run *run)
{
  if (run->held->len == 0)
    return;

  usock_call_reply (run->held->pdata[run->held->len - 1], NULL, NULL);
  usock_call_unref (run->held->pdata[run->held->len - 1]);
  g_ptr_array_set_size (run->held, (int) run->held->len - 1);
}

static void
run_step (Run *run)
{
  char sink[4096];

  switch (fuzz_take_byte (&run->input) % 8)
    {
    case 0:
    case 1:
    case 2:
      run_send_frame (run);
      break;
    case 3:
      run_send_bytes (run);
      break;
    case 4:
      run_ask (run);
      break;
    case 5:
      run_reply_held (run);
      break;
    default:
      fuzz_settle ();
      while (recv (run->fd, sink, sizeof sink, MSG_DONTWAIT) > 0)
        ;
    }
}

static UsockChannel *
run_adopt (Run *run,
           int  fd)
{
  return run->is_stream ? USOCK_CHANNEL (usock_stream_new_from_fd (fd, NULL))
                        : USOCK_CHANNEL (usock_seqpacket_new_from_fd (fd, NULL));
}

static void
run_peer (Run *run)
{
  g_autoptr (UsockChannel) channel = NULL;
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, (run->is_stream ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC,
                               0, fds), ==, 0);
  channel = run_adopt (run, fds[0]);
  run->fd = fds[1];
  g_signal_connect_swapped (channel, "close", G_CALLBACK (closed_cb), run);
  run->peer = usock_peer_new (channel);
  usock_peer_set_max_body_size (run->peer, 4096);
  usock_peer_set_max_incoming_calls (run->peer, 8);
  usock_peer_handle (run->peer, "a", handle, run, NULL);
  g_signal_connect (run->peer, "call", G_CALLBACK (handle), run);

  while (run->input.left > 0)
    run_step (run);
  fuzz_settle ();
  close (run->fd);
  fuzz_settle ();
  while (run->held->len > 0)
    run_reply_held (run);
  usock_socket_close (USOCK_SOCKET (channel));
  fuzz_settle ();
  g_assert_cmpuint (run->n_closed, ==, 1);
  g_assert_cmpuint (run->n_answered, ==, run->n_asked);
  g_object_unref (run->peer);
  fuzz_settle ();
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        gsize         size)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Run run = { { data, size } };

  run.is_stream = fuzz_take_byte (&run.input) % 2 == 0;
  run.held = g_ptr_array_new ();
  g_main_context_push_thread_default (context);
  run_peer (&run);
  g_main_context_pop_thread_default (context);
  g_ptr_array_unref (run.held);
  return 0;
}
