/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server-scene.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usock-io-private.h"

static void
stop (ServerScene *scene,
      int         *clients,
      guint        n_clients)
{
  usock_io_fault_clear ();
  for (guint i = 0; i < n_clients; i++)
    close (clients[i]);
  server_scene_stop (scene);
}

static void
connect_all (ServerScene *scene,
             int         *clients,
             guint        n_clients)
{
  for (guint i = 0; i < n_clients; i++)
    clients[i] = server_scene_connect (scene);
}

/* Nothing can be had: one error however often it is tried, and everybody is served afterwards. */
static void
test_exhausted (UsockTest     *test,
                gconstpointer  unused)
{
  static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };

  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      ServerScene scene;
      int clients[100];
      gint64 until = g_get_monotonic_time () + 150 * 1000;
      guint n_turns = 0;

      server_scene_start (&scene, test, "error");
      server_scene_accept (&scene);
      usock_io_fault_add (USOCK_IO_ACCEPT, errors[i], 1, 1);
      connect_all (&scene, clients, G_N_ELEMENTS (clients));
      usock_test_wait_until (scene.witness.n_words == 1);
      for (; g_get_monotonic_time () < until; n_turns++)
        usock_test_iterate (usock_test_deadline (), "another try");
      /* After 10 ms, 20, 40, 80, and 160; and each try is a turn or two. */
      g_assert_cmpuint (n_turns, <, 15);
      g_assert_cmpuint (scene.witness.n_words, ==, 1);
      g_assert_cmpuint (scene.connections->len, ==, 0);
      g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.server)), ==, errors[i]);
      usock_io_fault_clear ();
      usock_test_wait_until (scene.connections->len == G_N_ELEMENTS (clients));
      g_assert_cmpuint (scene.witness.n_words, ==, 1);
      stop (&scene, clients, G_N_ELEMENTS (clients));
    }
}

/* At the limit: one place is given again and again, and the next has none. */
static void
test_flapping (UsockTest     *test,
               gconstpointer  unused)
{
  ServerScene scene;
  int clients[30];

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  usock_io_fault_add (USOCK_IO_ACCEPT, EMFILE, 2, 2);
  connect_all (&scene, clients, G_N_ELEMENTS (clients));
  usock_test_wait_until (scene.connections->len == G_N_ELEMENTS (clients));
  witness_assert (&scene.witness, "error:too-many-open-files");
  stop (&scene, clients, G_N_ELEMENTS (clients));
}

/* A connection that closes gives a descriptor back: who waits need not wait for the deadline. */
static void
test_place_is_free (UsockTest     *test,
                    gconstpointer  unused)
{
  ServerScene scene;
  int clients[2];
  gint64 begin;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  clients[0] = server_scene_connect (&scene);
  server_scene_take (&scene, 0);
  usock_io_fault_add (USOCK_IO_ACCEPT, EMFILE, 1, 1);
  clients[1] = server_scene_connect (&scene);
  usock_test_wait_until (scene.witness.n_words == 1);
  /* Until the next try is a second away. */
  for (begin = g_get_monotonic_time (); g_get_monotonic_time () < begin + 700 * 1000;)
    usock_test_iterate (usock_test_deadline (), "another try");
  usock_io_fault_clear ();
  begin = g_get_monotonic_time ();
  usock_socket_close (scene.connections->pdata[0]);
  server_scene_take (&scene, 1);
  if (g_getenv ("USOCK_TEST_SLOW") == NULL)
    g_assert_cmpint (g_get_monotonic_time () - begin, <, 400 * 1000);
  stop (&scene, clients, G_N_ELEMENTS (clients));
}

/* What concerns one connection is no reason to stop. */
static void
test_one_aborted (UsockTest     *test,
                  gconstpointer  unused)
{
  static const int errors[] = { ECONNABORTED, EPROTO };

  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      ServerScene scene;
      int clients[30];

      server_scene_start (&scene, test, "error");
      server_scene_accept (&scene);
      usock_io_fault_add (USOCK_IO_ACCEPT, errors[i], 3, 3);
      connect_all (&scene, clients, G_N_ELEMENTS (clients));
      usock_test_wait_until (scene.connections->len == G_N_ELEMENTS (clients));
      witness_assert (&scene.witness, "");
      stop (&scene, clients, G_N_ELEMENTS (clients));
    }
}

/* A connection that can not be set up is turned away. */
static void
test_unusable (UsockTest     *test,
               gconstpointer  unused)
{
  ServerScene scene;
  int clients[3];

  server_scene_start (&scene, test, "connection drop error");
  server_scene_accept (&scene);
  usock_server_set_pass_credentials (scene.server, TRUE);
  usock_io_fault_add (USOCK_IO_SET_OPTION, ENOMEM, 1, 0);
  connect_all (&scene, clients, G_N_ELEMENTS (clients));
  usock_test_wait_until (scene.connections->len == 2);
  scene_settle ();
  g_assert_true (g_str_has_prefix (scene.witness.words->str, "error:"));
  g_assert_true (g_str_has_suffix (scene.witness.words->str, " drop:0 connection connection"));
  g_assert_cmpuint (scene.witness.n_words, ==, 4);
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 2);
  stop (&scene, clients, G_N_ELEMENTS (clients));
}

/* Not to be able to ask is not to know, and what is not known is refused where it matters. */
static void
test_credentials_fail (UsockTest     *test,
                       gconstpointer  unused)
{
  static const int errors[] = { ENOPROTOOPT, ENOMEM, ENODATA };

  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      ServerScene scene;
      int clients[3];

      server_scene_start (&scene, test, "connection drop error");
      server_scene_accept (&scene);
      usock_io_fault_add (USOCK_IO_GET_OPTION, errors[i], 1, 0);
      clients[0] = server_scene_connect (&scene);
      witness_expect (&scene.witness, "connection");
      usock_server_set_allowed_users (scene.server, USOCK_ALLOWED_USERS_SAME_USER);
      usock_io_fault_add (USOCK_IO_GET_OPTION, errors[i], 1, 0);
      clients[1] = server_scene_connect (&scene);
      witness_expect (&scene.witness, "drop:unknown");
      clients[2] = server_scene_connect (&scene);
      witness_expect (&scene.witness, "connection");
      stop (&scene, clients, G_N_ELEMENTS (clients));
    }
}

typedef struct
{
  int errnum;
  GIOErrorEnum code;
} Expected;

/* An older kernel says so, and nothing else takes the place of what it does not have. */
static void
test_older_kernel (UsockTest     *test,
                   gconstpointer  unused)
{
  static const Expected all[] = {
    { ENOPROTOOPT, G_IO_ERROR_NOT_SUPPORTED }, { ENODATA, G_IO_ERROR_NOT_SUPPORTED },
    { EINVAL, G_IO_ERROR_NOT_FOUND },          { ESRCH, G_IO_ERROR_NOT_FOUND },
    { EMFILE, G_IO_ERROR_TOO_MANY_OPEN_FILES },
  };
  ServerScene scene;
  UsockSocket *socket;
  GError *failure = NULL;
  gsize n_groups;
  int client;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  client = server_scene_connect (&scene);
  socket = USOCK_SOCKET (server_scene_take (&scene, 0));
  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    {
      usock_io_fault_add (USOCK_IO_GET_OPTION, all[i].errnum, 1, 0);
      g_assert_cmpint (usock_socket_dup_peer_pidfd (socket, &failure), ==, -1);
      assert_error_code (failure, all[i].code);
    }
  for (guint i = 0; i < 2; i++)
    {
      usock_io_fault_add (USOCK_IO_GET_OPTION, all[i].errnum, 1, 0);
      g_assert_null (usock_socket_get_peer_groups (socket, &n_groups, &failure));
      assert_error_code (failure, all[i].code);
      usock_io_fault_add (USOCK_IO_GET_OPTION, all[i].errnum, 1, 0);
      g_assert_null (usock_socket_get_peer_security_label (socket, &failure));
      assert_error_code (failure, all[i].code);
    }
  /* However long a list a kernel wants room for, it ends. */
  usock_io_fault_add (USOCK_IO_GET_OPTION, ERANGE, 1, 1);
  g_assert_null (usock_socket_get_peer_groups (socket, &n_groups, &failure));
  g_clear_error (&failure);
  g_assert_null (usock_socket_get_peer_security_label (socket, &failure));
  g_clear_error (&failure);
  stop (&scene, &client, 1);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/server/faults/" name, function)

  add ("exhausted", test_exhausted);
  add ("flapping", test_flapping);
  add ("place-is-free", test_place_is_free);
  add ("one-aborted", test_one_aborted);
  add ("unusable", test_unusable);
  add ("credentials-fail", test_credentials_fail);
  add ("older-kernel", test_older_kernel);

  return g_test_run ();
}
