/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What messages cost in system calls, which does not swing as time does. */

#include "witness.h"

#include <errno.h>
#include <sys/socket.h>

#include "usock-address-private.h"
#include "usock-io-private.h"

#define N_ECHOES 512

typedef struct
{
  UsockChannel *channel;
  int peer;
  guint n_echoed;
} Echo;

static void
echo_cb (UsockChannel *channel,
         GByteArray   *bytes,
         Echo         *self)
{
  usock_test_no_error (usock_channel_send (channel, bytes->data, bytes->len, &error));
  self->n_echoed++;
}

static void
echo_open (Echo *self,
           int   type)
{
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, pair), ==, 0);
  self->peer = pair[1];
  if (type == SOCK_STREAM)
    usock_test_no_error (self->channel = (UsockChannel *) usock_stream_new_from_fd (pair[0],
                                                                                   &error));
  else
    usock_test_no_error (self->channel = (UsockChannel *) usock_seqpacket_new_from_fd (pair[0],
                                                                                      &error));
  g_signal_connect (self->channel, "data", G_CALLBACK (echo_cb), self);
}

static void
echo_ask (Echo *self,
          guint n)
{
  for (guint i = 0; i < n; i++)
    g_assert_cmpint (send (self->peer, "x", 1, 0), ==, 1);
}

static void
echo_answer (Echo *self,
             guint n)
{
  char byte;

  usock_test_wait_until (self->n_echoed == n);
  for (; self->n_echoed > 0; self->n_echoed--)
    g_assert_cmpint (recv (self->peer, &byte, 1, 0), ==, 1);
}

static void
echo_close (Echo *self)
{
  close (self->peer);
  scene_close (self->channel);
}

/* All are asked, and all have answered before they are asked again. */
static void
exchange (Echo  *echoes,
          guint  n_echoes,
          guint  n_rounds)
{
  for (guint round = 0; round < n_rounds; round++)
    {
      for (guint i = 0; i < n_echoes; i++)
        echo_ask (&echoes[i], 1);
      for (guint i = 0; i < n_echoes; i++)
        echo_answer (&echoes[i], 1);
    }
}

typedef struct
{
  int type;
  guint n_busy;
  guint n_idle;
} Crowd;

static const Crowd crowds[] = {
  { SOCK_SEQPACKET, 1, 0 },   { SOCK_SEQPACKET, 3, 0 },  { SOCK_SEQPACKET, 1, 20 },
  { SOCK_SEQPACKET, 100, 0 }, { SOCK_SEQPACKET, 10, 90 }, { SOCK_STREAM, 1, 0 },
  { SOCK_STREAM, 100, 0 },
};

/* One receive and one send an answer, however many there are; now and then it is looked whether there
 * is more. */
static void
test_echo (UsockTest     *test,
           gconstpointer  data)
{
  const Crowd *crowd = data;
  guint n_all = crowd->n_busy + crowd->n_idle;
  guint n_rounds = MAX (N_ECHOES / crowd->n_busy, 1);
  g_autofree Echo *echoes = g_new0 (Echo, n_all);
  guint n_answers = crowd->n_busy * n_rounds;

  for (guint i = 0; i < n_all; i++)
    echo_open (&echoes[i], crowd->type);
  exchange (echoes, crowd->n_busy, 40);

  usock_io_fault_clear ();
  exchange (echoes, crowd->n_busy, n_rounds);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_SEND), ==, n_answers);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_RECEIVE), <=,
                    n_answers + n_answers / 8 + crowd->n_busy);
  for (UsockIoCall call = USOCK_IO_GET_OPTION; call <= USOCK_IO_SHUTDOWN; call++)
    g_assert_cmpuint (usock_io_fault_get_n_calls (call), ==, 0);

  for (guint i = 0; i < n_all; i++)
    echo_close (&echoes[i]);
}

/* Many at once are read by many, from among others, too. */
static void
test_flood (UsockTest     *test,
            gconstpointer  data)
{
  guint n_all = *(const guint *) data;
  g_autofree Echo *echoes = g_new0 (Echo, n_all);

  for (guint i = 0; i < n_all; i++)
    echo_open (&echoes[i], SOCK_SEQPACKET);
  exchange (echoes, n_all, 40);
  for (guint round = 0; round < 20; round++)
    {
      echo_ask (&echoes[0], 64);
      echo_answer (&echoes[0], 64);
    }

  usock_io_fault_clear ();
  echo_ask (&echoes[0], 64);
  echo_answer (&echoes[0], 64);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_RECEIVE), <=, 12);

  for (guint i = 0; i < n_all; i++)
    echo_close (&echoes[i]);
}

/* Where there is no memory to read, it is tried again every few milliseconds, and no event that
 * stays makes it oftener. */
static void
test_no_memory (UsockTest     *test,
                gconstpointer  unused)
{
  Echo echo = { 0 };
  gint64 start;

  echo_open (&echo, SOCK_SEQPACKET);
  exchange (&echo, 1, 40);
  usock_io_fault_clear ();
  usock_io_fault_add (USOCK_IO_RECEIVE, ENOMEM, 1, 1);
  start = g_get_monotonic_time ();
  echo_ask (&echo, 1);
  usock_test_wait_until (usock_io_fault_get_n_calls (USOCK_IO_RECEIVE) >= 21);
  g_assert_cmpint (g_get_monotonic_time () - start, >, 20 * 1000);

  usock_io_fault_clear ();
  echo_answer (&echo, 1);
  echo_close (&echo);
}

static void
keep_channel_cb (UsockServer   *server,
                 UsockChannel  *channel,
                 UsockChannel **kept)
{
  *kept = g_object_ref (channel);
}

/* What a connection has from the socket that listened, it is not told once more: only the markers,
 * which the kernel does not hand on. */
static void
test_accept (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "s");
  g_autoptr (UsockName) name = NULL;
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  UsockChannel *channel = NULL;
  int fd = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);

  usock_test_no_error (name = usock_name_new_for_path (path, &error));
  g_signal_connect (server, "connection", G_CALLBACK (keep_channel_cb), &channel);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  scene_settle ();

  usock_io_fault_clear ();
  g_assert_cmpint (usock_io_connect (fd, name), ==, 0);
  usock_test_wait_until (channel != NULL);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_SET_OPTION), ==, 1);

  close (fd);
  scene_close (channel);
  scene_close (server);
}

int
main (int   argc,
      char *argv[])
{
  static const guint alone = 1, many = 20;

  g_test_init (&argc, &argv, NULL);

#define add_with(name, data, function)                                                             \
  g_test_add ("/usock/channel-calls/" name, UsockTest, data, usock_test_setup, function,           \
              usock_test_teardown)

  for (guint i = 0; i < G_N_ELEMENTS (crowds); i++)
    {
      g_autofree char *path
          = g_strdup_printf ("/usock/channel-calls/echo-%s-%u-of-%u",
                             crowds[i].type == SOCK_STREAM ? "stream" : "seqpacket",
                             crowds[i].n_busy, crowds[i].n_busy + crowds[i].n_idle);

      g_test_add (path, UsockTest, &crowds[i], usock_test_setup, test_echo, usock_test_teardown);
    }
  add_with ("accept", NULL, test_accept);
  add_with ("no-memory", NULL, test_no_memory);
  add_with ("flood-alone", &alone, test_flood);
  add_with ("flood-among-many", &many, test_flood);

  return g_test_run ();
}
