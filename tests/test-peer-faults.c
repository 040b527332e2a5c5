/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls of every shape, small and in pieces, with descriptors and a memory file, while system calls
 * fail or do less than they were asked to. Each is answered, and once. */

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "usock-io-private.h"

#define N_ROUNDS 3
#define LARGE (1024 * 1024 + 3)
#define IN_MEMFD (300 * 1024)

typedef enum
{
  SMALL_BODY,
  LARGE_BODY,
  FD_BODY,
  MEMFD_BODY,
  N_BODIES,
} BodyShape;

typedef struct
{
  UsockPeer *peers[2];
  UsockChannel *channels[2];
  guint n_asked;
  guint n_answered;
  guint n_failed;
} Talk;

typedef struct
{
  Talk *talk;
  BodyShape shape;
  gboolean is_done;
} Question;

static UsockMessage *
body_new (BodyShape shape)
{
  g_autofree char *text = g_strnfill (shape == LARGE_BODY ? LARGE : 10, 'x');
  UsockMessage *body = NULL;
  int fd = -1;

  if (shape != SMALL_BODY && shape != LARGE_BODY)
    fd = memfd_create ("test-peer-faults", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (shape == MEMFD_BODY)
    {
      g_assert_no_errno (ftruncate (fd, IN_MEMFD));
      g_assert_no_errno (fcntl (fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
      usock_test_no_error (body = usock_message_new_from_memfd (fd, &error));
    }
  else
    body = usock_message_new_from_text (text);
  if (shape == FD_BODY)
    usock_test_no_error (usock_message_append_fd (body, fd, &error));
  if (fd != -1)
    close (fd);
  return body;
}

static void
check_body (BodyShape     shape,
            UsockMessage *body)
{
  static const gsize lengths[] = { 10, LARGE, 10, IN_MEMFD };

  g_assert_cmpuint (usock_message_get_length (body), ==, lengths[shape]);
  g_assert_cmpuint (usock_message_get_n_fds (body), ==, shape == FD_BODY ? 1 : 0);
}

static void
echo (UsockPeer *peer,
      UsockCall *call,
      gpointer   unused)
{
  g_autoptr (GError) error = NULL;

  if (!usock_call_reply (call, usock_call_get_body (call), &error))
    usock_call_reply_error (call, error, NULL);
}

static void
called_cb (GObject      *peer,
           GAsyncResult *result,
           gpointer      data)
{
  Question *question = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) body = usock_peer_call_finish (USOCK_PEER (peer), result, &error);

  g_assert_false (question->is_done);
  question->is_done = TRUE;
  question->talk->n_answered++;
  if (body != NULL)
    check_body (question->shape, body);
  else
    question->talk->n_failed++;
}

static void
talk_start (Talk     *self,
            gboolean  stream)
{
  *self = (Talk) { 0 };
  if (stream)
    usock_test_no_error (usock_stream_new_pair ((UsockStream **) &self->channels[0],
                                                (UsockStream **) &self->channels[1], &error));
  else
    scene_pair (&self->channels[0], &self->channels[1]);
  for (guint i = 0; i < 2; i++)
    {
      usock_channel_set_max_fds (self->channels[i], 4);
      self->peers[i] = usock_peer_new (self->channels[i]);
      usock_peer_handle (self->peers[i], "Echo", echo, NULL, NULL);
    }
}

static void
talk_stop (Talk *self)
{
  usock_io_fault_clear ();
  for (guint i = 0; i < 2; i++)
    scene_close (self->channels[i]);
  for (guint i = 0; i < 2; i++)
    g_assert_finalize_object (self->peers[i]);
}

/* From both sides at once. */
static void
talk_ask (Talk     *self,
          Question *questions)
{
  for (guint i = 0; i < N_ROUNDS * N_BODIES * 2; i++)
    {
      BodyShape shape = i / 2 % N_BODIES;
      g_autoptr (UsockMessage) body = body_new (shape);

      questions[i] = (Question) { self, shape, FALSE };
      usock_peer_call_async (self->peers[i % 2], "Echo", body, -1, NULL, called_cb, &questions[i]);
      self->n_asked++;
    }
}

static void
run_calls (UsockIoCall call,
           int         errnum,
           guint       every,
           gboolean    stream)
{
  Question questions[N_ROUNDS * N_BODIES * 2];
  Question last = { 0 };
  Talk talk;

  talk_start (&talk, stream);
  usock_io_fault_add (call, errnum, every, every);
  talk_ask (&talk, questions);
  usock_test_wait_until (talk.n_answered == talk.n_asked);
  usock_io_fault_clear ();
  g_assert_cmpuint (talk.n_failed, ==, 0);

  last = (Question) { &talk, SMALL_BODY, FALSE };
  {
    g_autoptr (UsockMessage) body = body_new (SMALL_BODY);

    usock_peer_call_async (talk.peers[0], "Echo", body, -1, NULL, called_cb, &last);
  }
  usock_test_wait_until (last.is_done);
  g_assert_cmpuint (talk.n_failed, ==, 0);
  talk_stop (&talk);
}

static void
test_calls (UsockTest     *test,
            gconstpointer  unused)
{
  static const struct
  {
    UsockIoCall call;
    int errnum;
    gboolean of_streams;
  } faults[] = {
    { USOCK_IO_SEND, USOCK_IO_SHORT, TRUE }, { USOCK_IO_RECEIVE, USOCK_IO_SHORT, TRUE },
    { USOCK_IO_SEND, EAGAIN, FALSE },        { USOCK_IO_SEND, ENOMEM, FALSE },
    { USOCK_IO_SEND, ENOBUFS, FALSE },       { USOCK_IO_SEND, ETOOMANYREFS, FALSE },
    { USOCK_IO_RECEIVE, ENOMEM, FALSE },     { USOCK_IO_RECEIVE, ENOBUFS, FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    for (guint every = 2; every <= 8; every += 3)
      for (guint stream = faults[i].of_streams ? 1 : 0; stream < 2; stream++)
        run_calls (faults[i].call, faults[i].errnum, every, stream);
}

/* What ends the connection ends every call, once. */
static void
test_broken (UsockTest     *test,
             gconstpointer  unused)
{
  static const int errors[] = { ECONNRESET, EPIPE, EBADF, EIO };

  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    for (guint nth = 1; nth <= 30; nth += 7)
      for (guint call = 0; call < 4; call++)
        {
          Question questions[N_ROUNDS * N_BODIES * 2];
          Talk talk;

          talk_start (&talk, call % 2);
          usock_io_fault_add (call < 2 ? USOCK_IO_SEND : USOCK_IO_RECEIVE, errors[i], nth, 0);
          talk_ask (&talk, questions);
          if (call < 2)
            scene_settle ();
          usock_socket_close (USOCK_SOCKET (talk.channels[1]));
          usock_test_wait_until (talk.n_answered == talk.n_asked);
          talk_stop (&talk);
        }
}

static void
answer_twice (UsockPeer *peer,
              UsockCall *call,
              gpointer   unused)
{
  GError *failure = NULL;

  usock_io_fault_add (USOCK_IO_SEND, EACCES, 1, 1);
  g_assert_false (usock_call_reply (call, usock_call_get_body (call), &failure));
  assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
  g_assert_false (usock_call_is_answered (call));
  usock_io_fault_clear ();
  usock_test_no_error (usock_call_reply (call, usock_call_get_body (call), &error));
  g_assert_true (usock_call_is_answered (call));
}

static void
answered_cb (GObject      *peer,
             GAsyncResult *result,
             gpointer      answer)
{
  *(UsockMessage **) answer = usock_peer_call_finish (USOCK_PEER (peer), result, NULL);
}

/* An answer that cannot be sent is none, and there may be another. */
static void
test_answer_is_refused (UsockTest     *test,
                        gconstpointer  unused)
{
  g_autoptr (UsockMessage) body = usock_message_new_from_text ("x");
  g_autoptr (UsockMessage) answer = NULL;
  Talk talk;

  talk_start (&talk, FALSE);
  usock_peer_handle (talk.peers[1], "Twice", answer_twice, NULL, NULL);
  usock_peer_call_async (talk.peers[0], "Twice", body, -1, NULL, answered_cb, &answer);
  usock_test_wait_until (answer != NULL);
  talk_stop (&talk);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/peer/faults/calls", test_calls);
  usock_test_add ("/usock/peer/faults/broken", test_broken);
  usock_test_add ("/usock/peer/faults/answer-is-refused", test_answer_is_refused);

  return g_test_run ();
}
