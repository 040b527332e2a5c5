/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A client whose server hangs up again and again, while system calls fail. Each message comes once or
 * is told of, and none comes twice. */

#include "witness.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usock-io-private.h"

#define N_MESSAGES 120
#define N_A_CONNECTION 17

typedef struct
{
  int listening;
  int connection;
  UsockClient *client;
  guint n_received;
  guint n_sent;
  guint8 arrived[N_MESSAGES];
  guint8 uncertain[N_MESSAGES];
  guint8 refused[N_MESSAGES];
} Story;

static guint8
number_of (UsockMessage *message)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);

  g_assert_cmpuint (length, ==, 1);
  g_assert_cmpuint (data[0], <, N_MESSAGES);
  return data[0];
}

/* A plain server, which has nothing in hand when it hangs up but what the kernel has. */
static void
serve (Story *self)
{
  guint8 number;
  ssize_t length;

  if (self->connection == -1)
    self->connection = accept (self->listening, NULL, NULL);
  while (self->connection != -1
         && (length = recv (self->connection, &number, 1, MSG_DONTWAIT)) >= 0)
    {
      if (length == 1)
        self->arrived[number]++;
      if (length == 1 && ++self->n_received % N_A_CONNECTION != 0)
        continue;
      close (self->connection);
      self->connection = -1;
    }
}

static void
uncertain_cb (UsockClient  *client,
              UsockMessage *message,
              Story        *self)
{
  self->uncertain[number_of (message)]++;
}

static void
unsent_cb (UsockClient  *client,
           UsockMessage *message,
           const GError *reason,
           Story        *self)
{
  g_assert_nonnull (reason);
  self->refused[number_of (message)]++;
}

static gboolean
is_over (Story *self)
{
  serve (self);
  for (guint i = 0; i < N_MESSAGES; i++)
    if (self->arrived[i] + self->uncertain[i] + self->refused[i] == 0)
      return FALSE;
  return TRUE;
}

/* A few in each turn, so that there are connections to break. */
static gboolean
send_some (gpointer story)
{
  Story *self = story;

  for (guint i = 0; i < 5 && self->n_sent < N_MESSAGES; i++)
    {
      guint8 number = self->n_sent++;

      usock_test_no_error (usock_client_send (self->client, &number, 1, &error));
    }
  return G_SOURCE_CONTINUE;
}

static void
run_story (UsockTest   *test,
           UsockIoCall  call,
           int          errnum,
           guint        every)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autofree Story *self = g_new0 (Story, 1);
  g_autoptr (GSource) source = g_timeout_source_new (1);

  g_test_message ("call %d, %s, every %u", call, g_strerror (errnum), every);
  unlink (path);
  self->listening = scene_listen (path, 5);
  self->connection = -1;
  self->client = usock_client_new (USOCK_TYPE_SEQPACKET);
  usock_client_set_min_delay (self->client, 1);
  usock_client_set_max_delay (self->client, 4);
  g_signal_connect (self->client, "uncertain", G_CALLBACK (uncertain_cb), self);
  g_signal_connect (self->client, "unsent", G_CALLBACK (unsent_cb), self);
  usock_test_no_error (usock_client_start_for_path (self->client, path, &error));
  g_source_set_callback (source, send_some, self, NULL);
  g_source_attach (source, test->context);
  usock_io_fault_add (call, errnum, every, every);
  usock_test_wait_until (is_over (self));
  usock_io_fault_clear ();

  for (guint i = 0; i < N_MESSAGES; i++)
    {
      g_assert_cmpuint (self->arrived[i], <=, 1);
      g_assert_cmpuint (self->uncertain[i], <=, 1);
      g_assert_cmpuint (self->arrived[i] + self->refused[i], <=, 1);
    }
  g_source_destroy (source);
  usock_client_stop (self->client);
  close (self->listening);
  if (self->connection != -1)
    close (self->connection);
  usock_test_wait_until (usock_count_held (test->context) == 0);
  g_object_unref (self->client);
}

static void
test_matrix (UsockTest     *test,
             gconstpointer  unused)
{
  static const struct
  {
    UsockIoCall call;
    int errors[6];
  } rows[] = {
    { USOCK_IO_SOCKET, { EMFILE, ENFILE, ENOMEM, ENOBUFS } },
    { USOCK_IO_CONNECT, { ECONNREFUSED, ENOENT, EAGAIN, EACCES, ENOMEM, EMFILE } },
    { USOCK_IO_SEND, { ECONNRESET, EPIPE, ENOMEM, ENOBUFS, EAGAIN, ENOTCONN } },
    { USOCK_IO_RECEIVE, { ECONNRESET, ENOMEM, ENOBUFS, EIO } },
    { USOCK_IO_GET_OPTION, { ENOMEM, EINVAL } },
    { USOCK_IO_SET_OPTION, { ENOMEM } },
    { USOCK_IO_GET_NAME, { ENOBUFS } },
    { USOCK_IO_POLL, { ENOMEM } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    for (guint j = 0; j < G_N_ELEMENTS (rows[i].errors) && rows[i].errors[j] != 0; j++)
      for (guint every = 2; every <= 9; every += every < 4 ? 1 : 5)
        {
          /* Each attempt sets more than one. */
          if (rows[i].call == USOCK_IO_SET_OPTION && every < 9)
            continue;
          run_story (test, rows[i].call, rows[i].errors[j], every);
        }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/client/faults/matrix", test_matrix);

  return g_test_run ();
}
