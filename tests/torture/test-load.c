/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many connections: busy ones, idle ones, and short-lived ones whose numbers come back. */

#include "torture.h"

#include <sys/resource.h>
#include <sys/un.h>

static guint
raise_limit (guint wanted)
{
  struct rlimit limit;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  return MIN (wanted, limit.rlim_max - 100);
}

typedef struct
{
  const char *path;
  guint n_clients;
  guint n_messages;
} Crowd;

typedef struct
{
  guint32 client;
  guint32 number;
} Numbered;

static int
connect_raw (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  return connect (fd, (struct sockaddr *) &address, sizeof address) == 0 ? fd : -1;
}

/* All are connected before the first speaks, and the first leaves when all have been heard. */
static int
play_crowd (int pair,
            gpointer data)
{
  const Crowd *crowd = data;
  g_autofree int *fds = g_new (int, crowd->n_clients);

  for (guint i = 0; i < crowd->n_clients; i++)
    if ((fds[i] = connect_raw (crowd->path)) < 0)
      return 1;
  for (guint32 number = 0; number < crowd->n_messages; number++)
    for (guint32 i = 0; i < crowd->n_clients; i++)
      if (send (fds[i], &(Numbered){ i, number }, sizeof (Numbered), MSG_NOSIGNAL)
          != sizeof (Numbered))
        return 2;
  if (recv (pair, &(char){ 0 }, 1, 0) != 0)
    return 3;
  for (guint i = 0; i < crowd->n_clients; i++)
    close (fds[i]);
  return 0;
}

typedef struct
{
  GHashTable *next; /* channel to the number of its next message */
  guint n_received;
  guint n_ended;
  guint n_failed;
} Counted;

static void
numbered_cb (UsockChannel *channel,
             GByteArray *bytes,
             Counted *counted)
{
  const Numbered *message = (gconstpointer) bytes->data;
  guint next = GPOINTER_TO_UINT (g_hash_table_lookup (counted->next, channel));

  g_assert_cmpuint (bytes->len, ==, sizeof *message);
  g_assert_cmpuint (message->number, ==, next);
  g_hash_table_insert (counted->next, channel, GUINT_TO_POINTER (next + 1));
  counted->n_received++;
}

static void
count_end_cb (UsockChannel *channel,
              Counted *counted)
{
  g_hash_table_remove (counted->next, channel);
  counted->n_ended++;
}

static void
count_error_cb (UsockSocket *socket,
                const GError *error,
                Counted *counted)
{
  counted->n_failed++;
}

static void
connection_cb (UsockServer *server,
               UsockChannel *channel,
               Counted *counted)
{
  g_signal_connect (channel, "data", G_CALLBACK (numbered_cb), counted);
  g_signal_connect (channel, "end", G_CALLBACK (count_end_cb), counted);
  g_signal_connect (channel, "error", G_CALLBACK (count_error_cb), counted);
}

static void
test_crowd (UsockTest *test,
            gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  Crowd crowd = {
    .path = path,
    .n_clients = raise_limit (torture_scaled (2000, 10000)),
    .n_messages = torture_scaled (20, 100),
  };
  Counted counted = { .next = g_hash_table_new (NULL, NULL) };
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  guint64 resident = torture_resident ();
  gint64 begin;
  pid_t pid;

  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), &counted);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  pid = torture_fork (test, play_crowd, &crowd);
  begin = g_get_monotonic_time ();
  /* Patience is for progress, not for all of it. */
  for (guint tenth = 1; tenth <= 10; tenth++)
    usock_test_wait_until (counted.n_received
                           >= (guint64) crowd.n_clients * crowd.n_messages * tenth / 10);
  g_test_message ("%u messages of %u clients took %" G_GINT64_FORMAT " ms", counted.n_received,
                  crowd.n_clients, (g_get_monotonic_time () - begin) / 1000);
  g_assert_cmpuint (usock_server_get_n_connections (server), ==, crowd.n_clients);
  if (!torture_is_instrumented ())
    g_assert_cmpuint (torture_resident () - resident, <, crowd.n_clients * 16 * 1024 + (1 << 20));

  close (usock_test_take (test, 0));
  usock_test_wait_until (usock_server_get_n_connections (server) == 0);
  g_assert_cmpuint (counted.n_ended, ==, crowd.n_clients);
  g_assert_cmpuint (counted.n_failed, ==, 0);
  torture_reap (pid);
  usock_socket_close (USOCK_SOCKET (server));
  usock_run_until_closed (test->context);
  g_hash_table_unref (counted.next);
}

#define N_PROCESSES 2

/* Half of the clients: all connect, and when they are told, all speak, and leave at once. */
static int
play_half (int start,
           gpointer data)
{
  const Crowd *crowd = data;
  g_autofree int *fds = g_new (int, crowd->n_clients);

  for (guint i = 0; i < crowd->n_clients; i++)
    if ((fds[i] = connect_raw (crowd->path)) < 0)
      return 1;
  if (read (start, &(char){ 0 }, 1) != 1)
    return 2;
  for (guint32 number = 0; number < crowd->n_messages; number++)
    for (guint32 i = 0; i < crowd->n_clients; i++)
      if (send (fds[i], &(Numbered){ i, number }, sizeof (Numbered), MSG_NOSIGNAL)
          != sizeof (Numbered))
        return 3;
  for (guint i = 0; i < crowd->n_clients; i++)
    close (fds[i]);
  return 0;
}

static pid_t
fork_half (const Crowd *crowd,
           int *start)
{
  int ends[2];
  pid_t pid;

  g_assert_no_errno (pipe2 (ends, O_CLOEXEC));
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      close (ends[1]);
      _exit (play_half (ends[0], (gpointer) crowd));
    }
  close (ends[0]);
  *start = ends[1];
  return pid;
}

static void
count_error_of_server_cb (UsockSocket *socket,
                          const GError *error,
                          Counted *counted)
{
  g_test_message ("%s", error->message);
  counted->n_failed++;
}

/* Ten thousand in two processes, all in the server's list at once, and every message counted. */
static void
test_two_processes (UsockTest *test,
                    gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  const guint n_clients = raise_limit (torture_is_instrumented () ? 1000 : 10000);
  const guint n_messages = torture_is_instrumented () ? 10 : 100;
  Crowd half = { .path = path, .n_clients = n_clients / N_PROCESSES, .n_messages = n_messages };
  Counted counted = { .next = g_hash_table_new (NULL, NULL) };
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  GListModel *list = G_LIST_MODEL (server);
  guint n_fds;
  gint64 begin = g_get_monotonic_time ();
  int starts[N_PROCESSES];
  pid_t pids[N_PROCESSES];

  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), &counted);
  g_signal_connect (server, "error", G_CALLBACK (count_error_of_server_cb), &counted);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  for (guint i = 0; i < N_PROCESSES; i++)
    pids[i] = fork_half (&half, &starts[i]);
  n_fds = torture_count_fds ();
  for (guint tenth = 1; tenth <= 10; tenth++)
    usock_test_wait_until (g_list_model_get_n_items (list)
                           >= half.n_clients * N_PROCESSES * tenth / 10);

  for (guint i = 0; i < N_PROCESSES; i++)
    g_assert_cmpint (write (starts[i], "!", 1), ==, 1);
  for (guint tenth = 1; tenth <= 10; tenth++)
    usock_test_wait_until (counted.n_received
                           >= (guint64) half.n_clients * N_PROCESSES * n_messages * tenth / 10);
  usock_test_wait_until (g_list_model_get_n_items (list) == 0);
  g_assert_cmpuint (counted.n_received, ==, half.n_clients * N_PROCESSES * n_messages);
  g_assert_cmpuint (counted.n_ended, ==, half.n_clients * N_PROCESSES);
  g_assert_cmpuint (counted.n_failed, ==, 0);
  g_assert_cmpuint (torture_count_fds (), ==, n_fds);
  g_test_message ("%u messages of %u clients took %" G_GINT64_FORMAT " ms", counted.n_received,
                  half.n_clients * N_PROCESSES, (g_get_monotonic_time () - begin) / 1000);

  for (guint i = 0; i < N_PROCESSES; i++)
    {
      torture_reap (pids[i]);
      close (starts[i]);
    }
  usock_socket_close (USOCK_SOCKET (server));
  usock_run_until_closed (test->context);
  g_hash_table_unref (counted.next);
}

static void
check_cycle_cb (UsockChannel *channel,
                GByteArray *bytes,
                gpointer cycle)
{
  g_assert_cmpuint (bytes->len, ==, sizeof (guint));
  g_assert_cmpuint (*(guint *) (gpointer) bytes->data, ==, GPOINTER_TO_UINT (cycle));
}

/* Some are closed with their event pending, and the next has the same number. */
static void
test_reused_numbers (UsockTest *test,
                     gconstpointer data)
{
  const guint n = torture_scaled (50000, 1000000);

  for (guint cycle = 0; cycle < n; cycle++)
    {
      UsockSeqpacket *pair[2];

      usock_test_no_error (usock_seqpacket_new_pair (&pair[0], &pair[1], &error));
      g_signal_connect (pair[0], "data", G_CALLBACK (check_cycle_cb), GUINT_TO_POINTER (cycle));
      usock_test_no_error (usock_channel_send (USOCK_CHANNEL (pair[1]), (guint8 *) &cycle,
                                               sizeof cycle, &error));
      if (cycle % 3 == 0)
        g_main_context_iteration (test->context, FALSE);
      usock_socket_close (USOCK_SOCKET (pair[cycle % 2]));
      usock_socket_close (USOCK_SOCKET (pair[!(cycle % 2)]));
      g_object_unref (pair[0]);
      g_object_unref (pair[1]);
    }
  usock_run_until_closed (test->context);
}

static void
ignore_data_cb (UsockChannel *channel,
                GByteArray *bytes,
                gpointer user_data)
{
}

static void
test_idle (UsockTest *test,
           gconstpointer data)
{
  const guint n = raise_limit (torture_scaled (4000, 18000)) / 2;
  g_autoptr (GPtrArray) channels = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    {
      UsockSeqpacket *pair[2];

      usock_test_no_error (usock_seqpacket_new_pair (&pair[0], &pair[1], &error));
      for (guint j = 0; j < 2; j++)
        {
          g_signal_connect (pair[j], "data", G_CALLBACK (ignore_data_cb), NULL);
          g_ptr_array_add (channels, pair[j]);
        }
    }
  while (g_main_context_iteration (test->context, FALSE))
    ;
  torture_wait_until_quiet (test, torture_scaled (200, 60 * 1000));
  for (guint i = 0; i < channels->len; i++)
    usock_socket_close (g_ptr_array_index (channels, i));
  usock_run_until_closed (test->context);
}

int
main (int argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  usock_test_add ("/torture/load/crowd", test_crowd);
  usock_test_add ("/torture/load/two-processes", test_two_processes);
  usock_test_add ("/torture/load/reused-numbers", test_reused_numbers);
  usock_test_add ("/torture/load/idle", test_idle);
  return g_test_run ();
}
