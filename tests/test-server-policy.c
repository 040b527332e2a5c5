/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server-scene.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

/* What was refused is gone: with a reset if it had sent something. */
static void
assert_gone (int fd)
{
  g_assert_null (scene_receive (fd));
  close (fd);
}

/* The users that are allowed. */

typedef struct
{
  UsockAllowedUsers allowed;
  guint server;
  guint client;
  const char *expected;
} Case;

static void
check_case (UsockTest  *test,
            const Case *c)
{
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "connection drop error");
  server_scene_accept (&scene);
  usock_server_set_allowed_users (scene.server, c->allowed);
  server_scene_become (c->server);
  client = server_scene_connect_as (&scene, c->client);
  scene_send (client, "secret");
  witness_expect (&scene.witness, c->expected);
  server_scene_become (0);
  if (g_str_has_prefix (c->expected, "drop"))
    assert_gone (client);
  else
    close (client);
  server_scene_stop (&scene);
}

static void
test_allowed_users (UsockTest     *test,
                    gconstpointer  unused)
{
  static const Case cases[] = {
    { USOCK_ALLOWED_USERS_ANYONE, 0, SCENE_USER, "connection" },
    { USOCK_ALLOWED_USERS_ANYONE, 0, NOBODY, "connection" },
    { USOCK_ALLOWED_USERS_SAME_USER, 0, 0, "connection" },
    { USOCK_ALLOWED_USERS_SAME_USER, 0, SCENE_USER, "drop:61001" },
    { USOCK_ALLOWED_USERS_SAME_USER, 0, NOBODY, "drop:unknown" },
    { USOCK_ALLOWED_USERS_SAME_USER, NOBODY - 1, NOBODY - 1, "connection" },
    { USOCK_ALLOWED_USERS_SAME_USER, NOBODY + 1, NOBODY + 1, "connection" },
    { USOCK_ALLOWED_USERS_SAME_USER, SCENE_USER, SCENE_USER, "connection" },
    { USOCK_ALLOWED_USERS_SAME_USER, SCENE_USER, SCENE_OTHER_USER, "drop:61002" },
    { USOCK_ALLOWED_USERS_SAME_USER, SCENE_USER, 0, "drop:0" },
    { USOCK_ALLOWED_USERS_SAME_USER, NOBODY, NOBODY, "drop:unknown" },
    { USOCK_ALLOWED_USERS_SAME_USER_OR_ROOT, SCENE_USER, SCENE_USER, "connection" },
    { USOCK_ALLOWED_USERS_SAME_USER_OR_ROOT, SCENE_USER, 0, "connection" },
    { USOCK_ALLOWED_USERS_SAME_USER_OR_ROOT, SCENE_USER, SCENE_OTHER_USER, "drop:61002" },
    { USOCK_ALLOWED_USERS_SAME_USER_OR_ROOT, SCENE_USER, NOBODY, "drop:unknown" },
  };

  if (server_scene_skip_users ())
    return;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    check_case (test, &cases[i]);
}

/* A process of another user, which comes again and again, and one of ours in between. */
static void
test_another_process (UsockTest     *test,
                      gconstpointer  unused)
{
  const guint n = g_getenv ("USOCK_TEST_SLOW") != NULL ? 100 : 10000;
  ServerScene scene;
  g_autofree char *text = NULL;
  pid_t child;
  int client;

  if (server_scene_skip_users ())
    return;

  server_scene_start (&scene, test, "drop error");
  server_scene_accept (&scene);
  usock_server_set_allowed_users (scene.server, USOCK_ALLOWED_USERS_SAME_USER);
  child = fork ();
  if (child == 0)
    {
      g_assert_no_errno (setgroups (0, NULL));
      g_assert_no_errno (setgid (SCENE_USER));
      g_assert_no_errno (setuid (SCENE_USER));
      for (guint i = 0; i < n; i++)
        {
          int fd = server_scene_connect (&scene);

          send (fd, "secret", 6, MSG_NOSIGNAL);
          if (i % 100 == 0)
            g_assert_null (scene_receive (fd));
          close (fd);
        }
      _exit (0);
    }
  usock_test_wait_until (scene.witness.n_words == n);
  g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
  g_assert_true (g_str_has_prefix (scene.witness.words->str, "drop:61001 drop:61001"));
  g_assert_null (strstr (scene.witness.words->str, "error"));
  g_assert_cmpuint (scene.connections->len, ==, 0);

  client = server_scene_connect (&scene);
  usock_test_no_error (usock_channel_send_text (server_scene_take (&scene, 0), "hello", &error));
  text = scene_receive (client);
  g_assert_cmpstr (text, ==, "hello");
  close (client);
  server_scene_stop (&scene);
}

/* An abstract name has no permissions, so the same user is the rule there. */
static void
test_abstract_name (UsockTest     *test,
                    gconstpointer  unused)
{
  ServerScene scene = { 0 };
  int client;

  if (server_scene_skip_users ())
    return;

  witness_init (&scene.witness);
  scene.path = g_strdup_printf ("@usock-test-%d", getpid ());
  scene.connections = g_ptr_array_new_with_free_func (scene_close);
  scene.server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  witness_watch (&scene.witness, scene.server, "connection drop notify::allowed-users");
  usock_test_no_error (usock_server_listen_on_path (scene.server, scene.path, 0, &error));
  g_assert_cmpint (usock_server_get_allowed_users (scene.server), ==, USOCK_ALLOWED_USERS_DEFAULT);
  for (guint i = 0; i < 2; i++)
    {
      client = server_scene_connect_as (&scene, SCENE_USER);
      witness_expect (&scene.witness, i == 0 ? "drop:61001" : "connection");
      close (client);
      client = server_scene_connect_as (&scene, 0);
      witness_expect (&scene.witness, "connection");
      close (client);
      usock_server_set_allowed_users (scene.server, USOCK_ALLOWED_USERS_ANYONE);
      if (i == 0)
        witness_assert (&scene.witness, "notify::allowed-users");
    }
  server_scene_stop (&scene);
}

/* In another pid namespace than its clients, a server knows their users and not their processes. */

static void
assert_called_by_user (UsockSocket *accepted)
{
  int fd = fcntl (usock_socket_get_fd (accepted), F_DUPFD_CLOEXEC, 0);
  g_autoptr (UsockSeqpacket) adopted = usock_seqpacket_new_from_fd (fd, NULL);
  g_autoptr (GError) failure = NULL;

  g_assert_nonnull (adopted);
  usock_socket_close (USOCK_SOCKET (adopted));
  g_assert_false (usock_channel_send_text (USOCK_CHANNEL (adopted), "x", &failure));
  g_assert_nonnull (strstr (failure->message, "“a process of user 0”"));
}

static void
run_server_elsewhere (const char *path,
                      int         ready)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GCredentials) peer = NULL;
  Witness witness;
  UsockServer *server;
  UsockChannel *channel;

  witness_init (&witness);
  g_main_context_push_thread_default (context);
  server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  usock_server_set_allowed_users (server, USOCK_ALLOWED_USERS_SAME_USER);
  usock_server_set_max_connections_per_user (server, 1);
  usock_server_set_pass_credentials (server, TRUE);
  witness_watch (&witness, server, "connection drop error");
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  g_assert_cmpint (write (ready, "l", 1), ==, 1);
  while (witness.n_words < 2)
    g_main_context_iteration (context, TRUE);
  witness_assert (&witness, "connection drop:0");

  channel = g_list_model_get_item (G_LIST_MODEL (server), 0);
  peer = usock_socket_get_peer_credentials (USOCK_SOCKET (channel), NULL);
  g_assert_nonnull (peer);
  g_assert_cmpint (g_credentials_get_unix_user (peer, NULL), ==, 0);
  g_assert_cmpint (g_credentials_get_unix_pid (peer, NULL), ==, -1);
  assert_called_by_user (USOCK_SOCKET (channel));
}

static void
test_another_pid_namespace (UsockTest     *test,
                            gconstpointer  unused)
{
  ServerScene scene = { .path = usock_test_path (test, "elsewhere") };
  int ready[2], clients[2] = { -1, -1 };
  pid_t child;
  int status;
  char byte;

  g_assert_no_errno (pipe (ready));
  child = fork ();
  if (child == 0)
    {
      pid_t first;

      if (unshare (CLONE_NEWPID) == -1)
        _exit (77);
      first = fork ();
      if (first == 0)
        {
          alarm (60);
          run_server_elsewhere (scene.path, ready[1]);
          _exit (0);
        }
      waitpid (first, &status, 0);
      _exit (status == 0 ? 0 : 1);
    }

  close (ready[1]);
  if (read (ready[0], &byte, 1) == 1)
    {
      clients[0] = server_scene_connect (&scene);
      clients[1] = server_scene_connect (&scene);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  if (WIFEXITED (status) && WEXITSTATUS (status) == 77)
    g_test_skip ("no pid namespace can be made here");
  else
    {
      g_assert_cmphex (status, ==, 0);
      close (clients[0]);
      close (clients[1]);
      unlink (scene.path);
    }
  close (ready[0]);
  g_free (scene.path);
}

static const char *program;
static gboolean has_mounts_of_its_own;

/* The system is asked only once. */
static void
run_anew (const char *path)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    {
      dup2 (open ("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
      g_setenv ("USOCK_TEST_OVERFLOW_ID", "1", TRUE);
      execl (program, program, "-p", path, NULL);
      _exit (1);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmphex (status, ==, 0);
}

/* Which user it is that stands for all who are not known, the system says. */
static void
test_overflow_id (UsockTest     *test,
                  gconstpointer  unused)
{
  static const Case cases[] = {
    { USOCK_ALLOWED_USERS_SAME_USER, 0, SCENE_USER, "drop:unknown" },
    { USOCK_ALLOWED_USERS_SAME_USER, SCENE_USER, SCENE_USER, "drop:unknown" },
    { USOCK_ALLOWED_USERS_SAME_USER, NOBODY, NOBODY, "connection" },
  };
  g_autofree char *file = usock_test_path (test, "id");

  if (server_scene_skip_users ())
    return;
  if (g_getenv ("USOCK_TEST_OVERFLOW_ID") == NULL)
    {
      run_anew ("/usock/server/policy/overflow-id");
      return;
    }

  usock_test_no_error (g_file_set_contents (file, "61001\n", -1, &error));
  if (!has_mounts_of_its_own
      || mount (file, "/proc/sys/kernel/overflowuid", NULL, MS_BIND, NULL) == -1)
    {
      g_test_message ("no mount namespace can be made here");
      unlink (file);
      return;
    }

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    check_case (test, &cases[i]);
  umount ("/proc/sys/kernel/overflowuid");
  unlink (file);
}

/* The handlers that are asked. */

typedef struct
{
  Witness *witness;
  UsockVerdict verdict;
  void (*act) (UsockServer *server, UsockChannel *channel);
} Judge;

static UsockVerdict
judge_cb (UsockServer  *server,
          UsockChannel *channel,
          Judge        *judge)
{
  g_autoptr (GCredentials) credentials
      = usock_socket_get_peer_credentials (USOCK_SOCKET (channel), NULL);

  g_assert_nonnull (credentials);
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_OPEN);
  if (g_object_get_data (G_OBJECT (channel), "witness") == NULL)
    witness_watch (judge->witness, channel, "data end error close");
  if (judge->act != NULL)
    judge->act (server, channel);
  return judge->verdict;
}

static void
check_judged (UsockTest  *test,
              Judge      *judges,
              guint       n_judges,
              const char *expected)
{
  ServerScene scene;
  int client;

  server_scene_start (&scene, test, "connection drop error");
  server_scene_accept (&scene);
  for (guint i = 0; i < n_judges; i++)
    {
      judges[i].witness = &scene.witness;
      g_signal_connect (scene.server, "authorize", G_CALLBACK (judge_cb), &judges[i]);
    }
  client = server_scene_connect (&scene);
  scene_send (client, "secret");
  witness_expect (&scene.witness, expected);
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, scene.connections->len);
  close (client);
  server_scene_stop (&scene);
}

static void
test_authorize (UsockTest     *test,
                gconstpointer  unused)
{
  Judge judges[] = { { .verdict = USOCK_VERDICT_ALLOW }, { .verdict = USOCK_VERDICT_REFUSE } };
  Judge reversed[] = { judges[1], judges[0] };
  Judge odd[] = { { .verdict = 7 } };

  check_judged (test, judges, 1, "connection data:secret");
  check_judged (test, judges + 1, 1, "drop:0 close");
  check_judged (test, judges, 2, "drop:0 close");
  check_judged (test, reversed, 2, "drop:0 close");
  check_judged (test, odd, 1, "drop:0 close");
}

static void
close_channel (UsockServer  *server,
               UsockChannel *channel)
{
  usock_socket_close (USOCK_SOCKET (channel));
}

static void
close_server (UsockServer  *server,
              UsockChannel *channel)
{
  usock_socket_close (USOCK_SOCKET (server));
}

static void
run_a_while (UsockServer  *server,
             UsockChannel *channel)
{
  scene_settle ();
}

static void
resume_and_run (UsockServer  *server,
                UsockChannel *channel)
{
  usock_channel_pause (channel);
  usock_channel_resume (channel);
  scene_settle ();
}

/* Whatever a handler does, nothing is delivered before it has decided. */
static void
test_authorize_acts (UsockTest     *test,
                     gconstpointer  unused)
{
  Judge closes[] = { { .verdict = USOCK_VERDICT_ALLOW, .act = close_channel } };
  Judge ends[] = { { .verdict = USOCK_VERDICT_ALLOW, .act = close_server } };
  Judge waits[] = { { .verdict = USOCK_VERDICT_ALLOW, .act = run_a_while } };
  Judge refuses[] = { { .verdict = USOCK_VERDICT_REFUSE, .act = resume_and_run } };

  check_judged (test, closes, 1, "close");
  check_judged (test, ends, 1, "close");
  check_judged (test, waits, 1, "connection data:secret");
  check_judged (test, refuses, 1, "drop:0 close");
}

static void
test_blocked_handler (UsockTest     *test,
                      gconstpointer  unused)
{
  ServerScene scene;
  Judge judge = { .verdict = USOCK_VERDICT_ALLOW };
  gulong id;
  int client;

  server_scene_start (&scene, test, "connection drop");
  server_scene_accept (&scene);
  judge.witness = &scene.witness;
  id = g_signal_connect (scene.server, "authorize", G_CALLBACK (judge_cb), &judge);
  g_signal_handler_block (scene.server, id);
  client = server_scene_connect (&scene);
  witness_expect (&scene.witness, "drop:0");
  assert_gone (client);
  g_signal_handler_disconnect (scene.server, id);
  client = server_scene_connect (&scene);
  witness_expect (&scene.witness, "connection");
  close (client);
  server_scene_stop (&scene);
}

/* The last words of who refuses are heard. */
static UsockVerdict
explain_cb (UsockServer  *server,
            UsockChannel *channel,
            gpointer      unused)
{
  usock_test_no_error (usock_channel_send_text (channel, "go away", &error));
  return USOCK_VERDICT_REFUSE;
}

static void
test_explained (UsockTest     *test,
                gconstpointer  unused)
{
  ServerScene scene;
  g_autofree char *text = NULL;
  int client;

  server_scene_start (&scene, test, "connection drop");
  server_scene_accept (&scene);
  g_signal_connect (scene.server, "authorize", G_CALLBACK (explain_cb), NULL);
  client = server_scene_connect (&scene);
  witness_expect (&scene.witness, "drop:0");
  text = scene_receive (client);
  g_assert_cmpstr (text, ==, "go away");
  assert_gone (client);
  server_scene_stop (&scene);
}

/* A server that closes waits for those that it refused as well. */
static void
test_close_waits_for_refused (UsockTest     *test,
                              gconstpointer  unused)
{
  ServerScene scene;
  Judge judge = { .verdict = USOCK_VERDICT_REFUSE, .act = close_server };
  int client;

  server_scene_start (&scene, test, "connection drop close");
  server_scene_accept (&scene);
  judge.witness = &scene.witness;
  g_signal_connect (scene.server, "authorize", G_CALLBACK (judge_cb), &judge);
  client = server_scene_connect (&scene);
  usock_test_wait_until (scene.witness.n_closed == 2);
  witness_assert (&scene.witness, "drop:0 close close");
  close (client);
  server_scene_stop (&scene);
}

/* Limits. */

static void
test_max_connections (UsockTest     *test,
                      gconstpointer  unused)
{
  ServerScene scene;
  int clients[3];

  server_scene_start (&scene, test, "connection drop");
  server_scene_accept (&scene);
  usock_server_set_max_connections (scene.server, 2);
  for (guint i = 0; i < 3; i++)
    clients[i] = server_scene_connect (&scene);
  witness_expect (&scene.witness, "connection connection drop:0");
  assert_gone (clients[2]);
  close (clients[0]);
  usock_test_wait_until (usock_server_get_n_connections (scene.server) == 1);
  clients[0] = server_scene_connect (&scene);
  clients[2] = server_scene_connect (&scene);
  witness_expect (&scene.witness, "connection drop:0");
  usock_server_set_max_connections (scene.server, 0);
  close (clients[2]);
  clients[2] = server_scene_connect (&scene);
  witness_expect (&scene.witness, "connection");
  for (guint i = 0; i < 3; i++)
    close (clients[i]);
  server_scene_stop (&scene);
}

static void
test_max_connections_per_user (UsockTest     *test,
                               gconstpointer  unused)
{
  ServerScene scene;
  int clients[7];

  if (server_scene_skip_users ())
    return;

  server_scene_start (&scene, test, "connection drop");
  server_scene_accept (&scene);
  clients[0] = server_scene_connect_as (&scene, SCENE_USER);
  usock_test_wait_until (scene.connections->len == 1);
  usock_server_set_max_connections_per_user (scene.server, 2);
  clients[1] = server_scene_connect_as (&scene, SCENE_USER);
  clients[2] = server_scene_connect_as (&scene, SCENE_USER);
  clients[3] = server_scene_connect_as (&scene, SCENE_OTHER_USER);
  clients[4] = server_scene_connect_as (&scene, NOBODY);
  witness_expect (&scene.witness, "connection connection drop:61001 connection drop:unknown");
  close (clients[0]);
  usock_test_wait_until (usock_server_get_n_connections (scene.server) == 2);
  clients[5] = server_scene_connect_as (&scene, SCENE_USER);
  clients[6] = server_scene_connect_as (&scene, SCENE_USER);
  witness_expect (&scene.witness, "connection drop:61001");
  for (guint i = 1; i < G_N_ELEMENTS (clients); i++)
    close (clients[i]);
  server_scene_stop (&scene);
}

static void
take_first_cb (UsockChannel  *channel,
               UsockMessage  *message,
               UsockMessage **taken)
{
  if (*taken == NULL)
    *taken = usock_message_ref (message);
}

static void
listen_to_messages_cb (UsockServer   *server,
                       UsockChannel  *channel,
                       UsockMessage **taken)
{
  g_signal_connect (channel, "message", G_CALLBACK (take_first_cb), taken);
}

/* What is set while a server listens holds for those who come, and for what they send before they
 * are accepted: the kernel asks the listener's descriptor. */
static void
test_settings_while_listening (UsockTest     *test,
                               gconstpointer  unused)
{
  ServerScene scene;
  UsockMessage *taken = NULL;
  g_autoptr (UsockMessage) sent = usock_message_new_from_text ("early");
  UsockChannel *client = USOCK_CHANNEL (usock_seqpacket_new ());
  int fd = dup (0);

  server_scene_start (&scene, test, "drop error");
  usock_server_set_max_fds (scene.server, 1);
  usock_server_set_pass_credentials (scene.server, TRUE);
  usock_test_no_error (usock_channel_connect_to_path (client, scene.path, &error));
  usock_test_no_error (usock_message_append_fd (sent, fd, &error));
  usock_test_no_error (usock_channel_send_message (client, sent, &error));
  close (fd);

  g_signal_connect (scene.server, "connection", G_CALLBACK (listen_to_messages_cb), &taken);
  usock_test_wait_until (taken != NULL);
  g_assert_cmpuint (usock_message_get_n_fds (taken), ==, 1);
  g_assert_cmpint (usock_message_get_flags (taken), ==, 0);
  g_assert_nonnull (usock_message_get_credentials (taken));
  witness_assert (&scene.witness, "");
  g_clear_pointer (&taken, usock_message_unref);

  /* And back: who sends a descriptor now is told so, where the kernel can. */
  usock_server_set_max_fds (scene.server, 0);
  usock_server_set_pass_credentials (scene.server, FALSE);
  scene_close (client);
  client = USOCK_CHANNEL (usock_seqpacket_new ());
  usock_test_no_error (usock_channel_connect_to_path (client, scene.path, &error));
  usock_test_no_error (usock_channel_send_text (client, "plain", &error));
  usock_test_wait_until (taken != NULL);
  g_assert_null (usock_message_get_credentials (taken));
  g_clear_pointer (&taken, usock_message_unref);
  scene_close (client);
  server_scene_stop (&scene);
}

/* A handler that runs the loop lets others come: they count as well. */
static void
test_limit_in_nested_loop (UsockTest     *test,
                           gconstpointer  unused)
{
  ServerScene scene;
  Judge judge = { .verdict = USOCK_VERDICT_ALLOW, .act = run_a_while };
  int clients[5];

  server_scene_start (&scene, test, "connection drop");
  server_scene_accept (&scene);
  judge.witness = &scene.witness;
  usock_server_set_max_connections (scene.server, 2);
  g_signal_connect (scene.server, "authorize", G_CALLBACK (judge_cb), &judge);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    clients[i] = server_scene_connect (&scene);
  usock_test_wait_until (scene.witness.n_words == 5);
  scene_settle ();
  g_assert_cmpuint (scene.connections->len, ==, 2);
  g_assert_cmpuint (usock_server_get_n_connections (scene.server), ==, 2);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    close (clients[i]);
  server_scene_stop (&scene);
}

/* Pausing. */

static void
test_pause (UsockTest     *test,
            gconstpointer  unused)
{
  ServerScene scene;
  int clients[3];

  server_scene_start (&scene, test, "connection notify::paused");
  server_scene_accept (&scene);
  usock_server_pause (scene.server);
  usock_server_pause (scene.server);
  g_assert_true (usock_server_get_paused (scene.server));
  for (guint i = 0; i < 3; i++)
    clients[i] = server_scene_connect (&scene);
  scene_settle ();
  witness_assert (&scene.witness, "notify::paused");
  g_assert_true (usock_server_get_active (scene.server));
  usock_server_resume (scene.server);
  witness_expect (&scene.witness, "notify::paused connection connection connection");
  for (guint i = 0; i < 3; i++)
    close (clients[i]);
  server_scene_stop (&scene);
}

static void
pause_cb (UsockServer  *server,
          UsockChannel *channel,
          gpointer      unused)
{
  usock_server_pause (server);
}

static void
test_pause_in_handler (UsockTest     *test,
                       gconstpointer  unused)
{
  ServerScene scene;
  int clients[3];

  server_scene_start (&scene, test, "connection");
  server_scene_accept (&scene);
  g_signal_connect (scene.server, "connection", G_CALLBACK (pause_cb), NULL);
  for (guint i = 0; i < 3; i++)
    clients[i] = server_scene_connect (&scene);
  for (guint i = 0; i < 3; i++)
    {
      witness_expect (&scene.witness, "connection");
      usock_server_resume (scene.server);
    }
  for (guint i = 0; i < 3; i++)
    close (clients[i]);
  server_scene_stop (&scene);
}

static void
test_pause_on_connect (UsockTest     *test,
                       gconstpointer  unused)
{
  ServerScene scene;
  UsockChannel *channel;
  int client;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  usock_server_set_pause_on_connect (scene.server, TRUE);
  client = server_scene_connect (&scene);
  scene_send (client, "early");
  channel = server_scene_take (&scene, 0);
  g_assert_true (usock_channel_get_paused (channel));
  witness_watch (&scene.witness, channel, "data");
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_channel_resume (channel);
  witness_expect (&scene.witness, "data:early");
  close (client);
  server_scene_stop (&scene);
}

/* What there is to know about a peer. */

/* Connects in a child, and has the connection outlive it. */
static pid_t
connect_and_die (ServerScene *scene)
{
  pid_t child = fork ();

  if (child == 0)
    {
      g_autofree gid_t *groups = g_new (gid_t, 100);

      for (guint i = 0; i < 100; i++)
        groups[i] = 62000 + i;
      groups[50] = NOBODY;
      if (getuid () == 0)
        {
          g_assert_no_errno (setgroups (100, groups));
          g_assert_no_errno (setgid (SCENE_USER));
          g_assert_no_errno (setuid (SCENE_USER));
        }
      server_scene_connect (scene);
      _exit (0);
    }
  g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
  return child;
}

static void
test_peer_is_gone (UsockTest     *test,
                   gconstpointer  unused)
{
  ServerScene scene;
  UsockSocket *socket;
  g_autoptr (GCredentials) credentials = NULL;
  g_autoptr (GError) failure = NULL;
  struct pollfd pidfd = { .events = POLLIN };
  pid_t child;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  child = connect_and_die (&scene);
  socket = USOCK_SOCKET (server_scene_take (&scene, 0));
  credentials = usock_socket_get_peer_credentials (socket, NULL);
  g_assert_cmpint (g_credentials_get_unix_pid (credentials, NULL), ==, child);

  pidfd.fd = usock_socket_dup_peer_pidfd (socket, &failure);
  if (pidfd.fd == -1)
    {
      g_test_message ("%s", failure->message);
      g_assert_true (g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)
                     || g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED));
    }
  else
    {
      g_assert_cmpint (poll (&pidfd, 1, 0), ==, 1);
      close (pidfd.fd);
    }
  server_scene_stop (&scene);
}

static void
test_pidfd_of_the_living (UsockTest     *test,
                          gconstpointer  unused)
{
  ServerScene scene;
  g_autoptr (GError) failure = NULL;
  g_autofree char *path = NULL;
  g_autofree char *info = NULL;
  g_autofree char *line = g_strdup_printf ("\nPid:\t%d\n", getpid ());
  int client, pidfd;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  client = server_scene_connect (&scene);
  pidfd = usock_socket_dup_peer_pidfd (USOCK_SOCKET (server_scene_take (&scene, 0)), &failure);
  if (g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED))
    g_test_skip (failure->message);
  else
    {
      g_assert_no_error (failure);
      path = g_strdup_printf ("/proc/self/fdinfo/%d", pidfd);
      g_assert_true (g_file_get_contents (path, &info, NULL, NULL));
      g_assert_nonnull (strstr (info, line));
      close (pidfd);
    }
  close (client);
  server_scene_stop (&scene);
}

static void
test_peer_groups (UsockTest     *test,
                  gconstpointer  unused)
{
  ServerScene scene;
  g_autofree guint *groups = NULL;
  gsize n_groups = 0;

  if (server_scene_skip_users ())
    return;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  connect_and_die (&scene);
  usock_test_no_error (groups = usock_socket_get_peer_groups (
                           USOCK_SOCKET (server_scene_take (&scene, 0)), &n_groups, &error));
  g_assert_cmpuint (n_groups, ==, 99);
  for (guint i = 0; i < n_groups; i++)
    g_assert_cmpuint (groups[i], ==, 62000 + i + (i >= 50));
  server_scene_stop (&scene);
}

static void
connect_with_groups (ServerScene *scene,
                     guint        n)
{
  g_autofree gid_t *groups = g_new (gid_t, n + 1);
  pid_t child = fork ();

  if (child == 0)
    {
      for (guint i = 0; i < n; i++)
        groups[i] = 62000 + i;
      g_assert_no_errno (setgroups (n, groups));
      server_scene_connect (scene);
      _exit (0);
    }
  g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
}

/* Around the room that is made for them at first, and later. */
static void
test_numbers_of_peer_groups (UsockTest     *test,
                             gconstpointer  unused)
{
  static const guint numbers[] = { 0, 1, 31, 32, 33, 63, 64, 65 };
  ServerScene scene;

  if (server_scene_skip_users ())
    return;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autofree guint *groups = NULL;
      gsize n_groups = 1000;

      connect_with_groups (&scene, numbers[i]);
      usock_test_no_error (groups = usock_socket_get_peer_groups (
                               USOCK_SOCKET (server_scene_take (&scene, i)), &n_groups, &error));
      g_assert_cmpuint (n_groups, ==, numbers[i]);
      for (guint j = 0; j < n_groups; j++)
        g_assert_cmpuint (groups[j], ==, 62000 + j);
    }
  server_scene_stop (&scene);
}

/* There is no security module in most places where this runs. */
static void
test_peer_security_label (UsockTest     *test,
                          gconstpointer  unused)
{
  ServerScene scene;
  g_autofree char *label = NULL;
  g_autoptr (GError) failure = NULL;
  int client;

  server_scene_start (&scene, test, "error");
  server_scene_accept (&scene);
  client = server_scene_connect (&scene);
  label = usock_socket_get_peer_security_label (USOCK_SOCKET (server_scene_take (&scene, 0)),
                                                &failure);
  if (label != NULL)
    g_assert_cmpuint (strlen (label), >, 0);
  else
    g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  close (client);
  server_scene_stop (&scene);
}

static void
test_no_peer (UsockTest     *test,
              gconstpointer  unused)
{
  UsockSocket *socket = USOCK_SOCKET (usock_seqpacket_new ());
  GError *failure = NULL;
  gsize n_groups = 1;

  g_assert_cmpint (usock_socket_dup_peer_pidfd (socket, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
  g_assert_null (usock_socket_get_peer_groups (socket, &n_groups, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_CONNECTED);
  g_assert_cmpuint (n_groups, ==, 0);
  usock_socket_close (socket);
  g_assert_null (usock_socket_get_peer_security_label (socket, &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  scene_close (socket);
}

int
main (int   argc,
      char *argv[])
{
  program = argv[0];
  /* Before anything is opened whose path would change with it. */
  has_mounts_of_its_own = g_getenv ("USOCK_TEST_OVERFLOW_ID") != NULL
                          && unshare (CLONE_NEWNS) == 0
                          && mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
  g_test_init (&argc, &argv, NULL);

#define add(name, function) usock_test_add ("/usock/server/policy/" name, function)

  add ("allowed-users", test_allowed_users);
  add ("another-process", test_another_process);
  add ("abstract-name", test_abstract_name);
  add ("another-pid-namespace", test_another_pid_namespace);
  add ("overflow-id", test_overflow_id);
  add ("authorize", test_authorize);
  add ("authorize-acts", test_authorize_acts);
  add ("blocked-handler", test_blocked_handler);
  add ("explained", test_explained);
  add ("close-waits-for-refused", test_close_waits_for_refused);
  add ("max-connections", test_max_connections);
  add ("max-connections-per-user", test_max_connections_per_user);
  add ("settings-while-listening", test_settings_while_listening);
  add ("limit-in-nested-loop", test_limit_in_nested_loop);
  add ("pause", test_pause);
  add ("pause-in-handler", test_pause_in_handler);
  add ("pause-on-connect", test_pause_on_connect);
  add ("peer-is-gone", test_peer_is_gone);
  add ("pidfd-of-the-living", test_pidfd_of_the_living);
  add ("peer-groups", test_peer_groups);
  add ("numbers-of-peer-groups", test_numbers_of_peer_groups);
  add ("peer-security-label", test_peer_security_label);
  add ("no-peer", test_no_peer);

  return g_test_run ();
}
