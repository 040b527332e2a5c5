/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usock-connector-private.h"

#define MAX_LISTENERS 8

/* Every address of 127.0.0.0/8 is this machine's: a host may have as many as a test wants. */
typedef struct
{
  UsockReactor *reactor;
  UsockConnector *connector;
  int listeners[MAX_LISTENERS];
  int fillers[MAX_LISTENERS][8];
  guint n_listeners;
  int port;
  guint n_ready;
  guint n_failed;
  guint n_prepared;
  gint64 prepared_at;
  int prepare_result;
} Scene;

static int
prepare (int      fd,
         gpointer data)
{
  Scene *scene = data;

  scene->n_prepared++;
  scene->prepared_at = g_get_monotonic_time ();
  return scene->prepare_result;
}

static void
ready (gpointer data)
{
  ((Scene *) data)->n_ready++;
}

static void
scene_start (Scene *scene)
{
  *scene = (Scene) { .reactor = usock_reactor_acquire () };
  scene->connector = usock_connector_new (scene->reactor, prepare, ready, scene);
}

static void
scene_stop (Scene *scene)
{
  usock_io_fault_clear ();
  g_clear_pointer (&scene->connector, usock_connector_free);
  usock_reactor_unref (scene->reactor);
  for (guint i = 0; i < scene->n_listeners; i++)
    {
      close (scene->listeners[i]);
      for (guint n = 0; n < G_N_ELEMENTS (scene->fillers[i]); n++)
        if (scene->fillers[i][n] > 0)
          close (scene->fillers[i][n]);
    }
}

static int
listen_on (const char *host,
           int         port,
           int         backlog)
{
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string (host, port);
  g_autoptr (UsockName) name = usock_name_new_for_address (address, NULL);
  int fd = socket (name->native.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int only = 1;

  g_assert_no_errno (fd);
  if (name->native.any.sa_family == AF_INET6)
    g_assert_no_errno (setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only));
  g_assert_no_errno (bind (fd, &name->native.any, name->length));
  if (backlog >= 0)
    g_assert_no_errno (listen (fd, backlog));
  return fd;
}

static int
port_of (int fd)
{
  g_autoptr (GSocketAddress) address = usock_io_get_local_address (fd);

  return g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
}

/* All listeners of a scene have the same port. */
static int
scene_listen (Scene      *scene,
              const char *host,
              int         backlog)
{
  int fd = listen_on (host, scene->port, backlog);

  scene->port = port_of (fd);
  scene->listeners[scene->n_listeners++] = fd;
  return fd;
}

static UsockName *
scene_name (Scene      *scene,
            const char *host)
{
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string (host, scene->port);

  return usock_name_new_for_address (address, NULL);
}

static void
scene_add (Scene      *scene,
           const char *host)
{
  usock_connector_add (scene->connector, scene_name (scene, host));
}

/* Whoever comes to a full backlog of TCP gets no answer at all. */
static void
scene_listen_silently (Scene      *scene,
                       const char *host)
{
  guint index = scene->n_listeners;
  g_autoptr (UsockName) name = NULL;

  scene_listen (scene, host, 0);
  name = scene_name (scene, host);
  for (guint i = 0; i < G_N_ELEMENTS (scene->fillers[index]); i++)
    {
      int fd = socket (name->native.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

      g_assert_no_errno (fd);
      g_assert_cmpint (connect (fd, &name->native.any, name->length), ==, -1);
      scene->fillers[index][i] = fd;
    }
}

static int
scene_take (Scene       *scene,
            int         *family,
            UsockIoCall *call)
{
  usock_test_wait_until (scene->n_ready > 0);
  return usock_connector_take (scene->connector, family, call);
}

static void
scene_assert_won (Scene      *scene,
                  const char *host)
{
  int family = 0;
  UsockIoCall call;
  int fd = scene_take (scene, &family, &call);
  g_autoptr (GSocketAddress) address = NULL;
  g_autofree char *text = NULL;

  g_assert_cmpint (fd, >=, 0);
  address = usock_io_get_remote_address (fd);
  g_assert_nonnull (address);
  text = g_inet_address_to_string (
      g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address)));
  g_assert_cmpstr (text, ==, host);
  g_assert_cmpint (family, ==, (int) g_socket_address_get_family (address));
  close (fd);
}

static void
scene_assert_failed (Scene       *scene,
                     UsockIoCall  call,
                     int          errnum)
{
  int family;
  UsockIoCall failed_call = USOCK_IO_NONE;
  int result = scene_take (scene, &family, &failed_call);

  g_assert_cmpint (result, ==, -errnum);
  g_assert_cmpstr (usock_io_call_name (failed_call), ==, usock_io_call_name (call));
}

static void
test_one (UsockTest     *test,
          gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_listen (&scene, "127.0.0.1", 8);
  scene_add (&scene, "127.0.0.1");
  usock_connector_finish (scene.connector);
  scene_assert_won (&scene, "127.0.0.1");
  g_assert_cmpuint (scene.n_prepared, ==, 1);
  scene_stop (&scene);
}

/* A connection that nobody fetches is closed. */
static void
test_not_fetched (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_listen (&scene, "127.0.0.1", 8);
  scene_add (&scene, "127.0.0.1");
  usock_connector_finish (scene.connector);
  usock_test_wait_until (scene.n_ready > 0);
  scene_stop (&scene);
}

static void
test_nothing (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  int family;
  UsockIoCall call;

  scene_start (&scene);
  g_assert_cmpint (usock_connector_take (scene.connector, &family, &call), ==, -EINPROGRESS);
  usock_connector_finish (scene.connector);
  scene_assert_failed (&scene, USOCK_IO_NONE, ENODATA);
  scene_stop (&scene);
}

/* The next is tried at once where one fails, without the quarter of a second. */
static void
test_dead_first (UsockTest     *test,
                 gconstpointer  unused)
{
  Scene scene;
  gint64 start = g_get_monotonic_time ();

  scene_start (&scene);
  scene_listen (&scene, "127.0.0.9", 8);
  for (guint i = 1; i < 9; i++)
    {
      g_autofree char *host = g_strdup_printf ("127.0.0.%u", i);

      scene_add (&scene, host);
    }
  scene_add (&scene, "127.0.0.9");
  usock_connector_finish (scene.connector);
  scene_assert_won (&scene, "127.0.0.9");
  g_assert_cmpuint (scene.n_prepared, ==, 9);
  if (g_getenv ("USOCK_TEST_SLOW") == NULL)
    g_assert_cmpint (g_get_monotonic_time () - start, <, 7 * 250 * 1000);
  scene_stop (&scene);
}

static void
test_silent_first (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;
  gint64 start;

  scene_start (&scene);
  scene_listen_silently (&scene, "127.0.0.1");
  scene_listen_silently (&scene, "127.0.0.2");
  scene_listen (&scene, "127.0.0.3", 8);
  start = g_get_monotonic_time ();
  scene_add (&scene, "127.0.0.1");
  scene_add (&scene, "127.0.0.2");
  scene_add (&scene, "127.0.0.3");
  usock_connector_finish (scene.connector);
  scene_assert_won (&scene, "127.0.0.3");
  g_assert_cmpuint (scene.n_prepared, ==, 3);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 490 * 1000);
  scene_stop (&scene);
}

static void
count_failure (gpointer data)
{
  ((Scene *) data)->n_failed++;
}

/* Each is told with its reason, those that cannot even be tried among them. */
static void
test_failures (UsockTest     *test,
               gconstpointer  unused)
{
  const UsockConnectorFailure *failure;
  Scene scene;

  scene_start (&scene);
  usock_connector_set_failed (scene.connector, count_failure);
  scene_listen (&scene, "127.0.0.9", 8);
  scene_add (&scene, "127.0.0.1");
  g_assert_null (usock_connector_get_failure (scene.connector, 0));
  usock_io_fault_add (USOCK_IO_CONNECT, ENETUNREACH, 1, 0);
  scene_add (&scene, "127.0.0.2");
  usock_connector_finish (scene.connector);
  scene_assert_failed (&scene, USOCK_IO_CONNECT, ECONNREFUSED);
  g_assert_cmpuint (scene.n_failed, ==, 2);
  failure = usock_connector_get_failure (scene.connector, 0);
  g_assert_true (g_str_has_prefix (failure->name->label, "127.0.0.1"));
  g_assert_cmpint (failure->errnum, ==, ECONNREFUSED);
  failure = usock_connector_get_failure (scene.connector, 1);
  g_assert_true (g_str_has_prefix (failure->name->label, "127.0.0.2"));
  g_assert_cmpint (failure->errnum, ==, ENETUNREACH);
  g_assert_null (usock_connector_get_failure (scene.connector, 2));
  scene_stop (&scene);
}

static void
test_all_at_once (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  usock_connector_set_delay (scene.connector, 0);
  scene_listen_silently (&scene, "127.0.0.1");
  scene_listen_silently (&scene, "127.0.0.2");
  scene_listen (&scene, "127.0.0.3", 8);
  for (guint i = 1; i <= 3; i++)
    {
      g_autofree char *host = g_strdup_printf ("127.0.0.%u", i);

      scene_add (&scene, host);
    }
  g_assert_cmpuint (scene.n_prepared, ==, 3);
  usock_connector_finish (scene.connector);
  scene_assert_won (&scene, "127.0.0.3");
  scene_stop (&scene);
}

/* One that fails makes room for the next, whoever else is still silent. */
static void
test_dead_second (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;
  gint64 second_at;

  scene_start (&scene);
  scene_listen_silently (&scene, "127.0.0.1");
  scene_listen (&scene, "127.0.0.3", 8);
  scene_add (&scene, "127.0.0.1");
  scene_add (&scene, "127.0.0.2");
  scene_add (&scene, "127.0.0.3");
  usock_connector_finish (scene.connector);
  usock_test_wait_until (scene.n_prepared == 2);
  second_at = scene.prepared_at;
  scene_assert_won (&scene, "127.0.0.3");
  if (g_getenv ("USOCK_TEST_SLOW") == NULL)
    g_assert_cmpint (scene.prepared_at - second_at, <, 240 * 1000);
  scene_stop (&scene);
}

/* Whoever was first may still win while the second is tried. */
static void
test_late_first (UsockTest     *test,
                 gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_listen_silently (&scene, "127.0.0.1");
  scene_listen_silently (&scene, "127.0.0.2");
  scene_add (&scene, "127.0.0.1");
  scene_add (&scene, "127.0.0.2");
  usock_connector_finish (scene.connector);
  usock_test_wait_until (scene.n_prepared == 2);
  g_assert_cmpuint (scene.n_ready, ==, 0);

  /* There is room now, which the SYN that is sent again finds a second later. */
  g_assert_no_errno (listen (scene.listeners[0], 64));
  scene_assert_won (&scene, "127.0.0.1");
  scene_stop (&scene);
}

static void
assert_order (const char *const *hosts,
              const char        *expected)
{
  g_auto (GStrv) places = g_strsplit (expected, " ", -1);
  Scene scene;

  /* Each time one more listens: who is tried first wins. */
  for (guint n = 0; places[n] != NULL; n++)
    {
      scene_start (&scene);
      for (guint i = g_strv_length (places); i-- > n;)
        scene_listen (&scene, places[i], 8);
      /* The others are added before this one is refused. */
      scene_add (&scene, "127.99.0.1");
      for (guint i = 0; hosts[i] != NULL; i++)
        scene_add (&scene, hosts[i]);
      usock_connector_finish (scene.connector);
      scene_assert_won (&scene, places[n]);
      scene_stop (&scene);
    }
}

static void
test_families_in_turn (UsockTest     *test,
                       gconstpointer  unused)
{
  const char *const hosts[] = { "127.0.0.1", "127.0.0.2", "127.0.0.3", "::1", NULL };

  assert_order (hosts, "::1 127.0.0.1 127.0.0.2 127.0.0.3");
}

/* The list needs not be known when the race begins, nor the end of it when it is won. */
static void
test_added_later (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_listen (&scene, "127.0.0.2", 8);
  scene_add (&scene, "127.0.0.1");
  while (g_main_context_iteration (test->context, FALSE))
    ;
  g_assert_cmpuint (scene.n_ready, ==, 0);
  scene_add (&scene, "127.0.0.2");
  usock_test_wait_until (scene.n_ready > 0);
  scene_add (&scene, "127.0.0.3");
  scene_assert_won (&scene, "127.0.0.2");
  g_assert_cmpuint (scene.n_prepared, ==, 2);
  scene_stop (&scene);
}

static void
test_best_error (UsockTest     *test,
                 gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene.port = 9;
  usock_io_fault_add (USOCK_IO_CONNECT, ENETUNREACH, 1, 0);
  scene_add (&scene, "127.0.0.1");
  usock_io_fault_add (USOCK_IO_CONNECT, ECONNREFUSED, 1, 0);
  scene_add (&scene, "127.0.0.2");
  usock_io_fault_add (USOCK_IO_CONNECT, ETIMEDOUT, 1, 0);
  scene_add (&scene, "127.0.0.3");
  usock_io_fault_add (USOCK_IO_SOCKET, EAFNOSUPPORT, 1, 0);
  scene_add (&scene, "::1");
  usock_connector_finish (scene.connector);
  scene_assert_failed (&scene, USOCK_IO_CONNECT, ECONNREFUSED);
  g_assert_cmpuint (scene.n_prepared, ==, 3);
  scene_stop (&scene);
}

typedef struct
{
  UsockIoCall fault;
  UsockIoCall call;
  int errnum;
} Fault;

static void
test_faults (UsockTest     *test,
             gconstpointer  unused)
{
  static const Fault faults[] = {
    { USOCK_IO_SOCKET, USOCK_IO_SOCKET, EMFILE },
    { USOCK_IO_BIND, USOCK_IO_BIND, EADDRINUSE },
    { USOCK_IO_CONNECT, USOCK_IO_CONNECT, ENETUNREACH },
    { USOCK_IO_GET_OPTION, USOCK_IO_CONNECT, ENOBUFS },
  };

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      Scene scene;

      scene_start (&scene);
      scene_listen (&scene, "127.0.0.1", 8);
      usock_connector_bind (scene.connector,
                            usock_name_new_for_text ("127.0.0.7:0", NULL));
      usock_io_fault_add (faults[i].fault, faults[i].errnum, 1, 0);
      scene_add (&scene, "127.0.0.1");
      usock_connector_finish (scene.connector);
      scene_assert_failed (&scene, faults[i].call, faults[i].errnum);
      scene_stop (&scene);
    }
}

/* The fault of one attempt is not that of the next. */
static void
test_faults_in_turn (UsockTest     *test,
                     gconstpointer  unused)
{
  static const UsockIoCall calls[] = { USOCK_IO_SOCKET, USOCK_IO_CONNECT, USOCK_IO_GET_OPTION };

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      Scene scene;

      scene_start (&scene);
      scene_listen (&scene, "127.0.0.1", 8);
      scene_listen (&scene, "127.0.0.2", 8);
      usock_io_fault_add (calls[i], ENOBUFS, 1, 0);
      scene_add (&scene, "127.0.0.1");
      scene_add (&scene, "127.0.0.2");
      usock_connector_finish (scene.connector);
      scene_assert_won (&scene, "127.0.0.2");
      scene_stop (&scene);
    }
}

static void
test_prepare_fails (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_listen (&scene, "127.0.0.1", 8);
  scene.prepare_result = -EPERM;
  scene_add (&scene, "127.0.0.1");
  usock_connector_finish (scene.connector);
  scene_assert_failed (&scene, USOCK_IO_SET_OPTION, EPERM);
  scene_stop (&scene);
}

static void
test_bound (UsockTest     *test,
            gconstpointer  unused)
{
  Scene scene;
  int family, fd;
  UsockIoCall call;
  g_autoptr (GSocketAddress) address = NULL;
  g_autofree char *text = NULL;

  scene_start (&scene);
  scene_listen (&scene, "127.0.0.1", 8);
  scene_listen (&scene, "::1", 8);
  usock_connector_bind (scene.connector, usock_name_new_for_text ("127.0.0.77:0", NULL));
  scene_add (&scene, "::1");
  scene_add (&scene, "127.0.0.1");
  usock_connector_finish (scene.connector);
  fd = scene_take (&scene, &family, &call);
  g_assert_cmpint (fd, >=, 0);
  address = usock_io_get_local_address (fd);
  text = g_inet_address_to_string (
      g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address)));
  g_assert_cmpstr (text, ==, "127.0.0.77");
  close (fd);
  scene_stop (&scene);

  scene_start (&scene);
  scene_listen (&scene, "::1", 8);
  usock_connector_bind (scene.connector, usock_name_new_for_text ("127.0.0.77:0", NULL));
  scene_add (&scene, "::1");
  usock_connector_finish (scene.connector);
  scene_assert_failed (&scene, USOCK_IO_BIND, EAFNOSUPPORT);
  scene_stop (&scene);
}

static int
prepare_bound (int      fd,
               gpointer data)
{
  g_autoptr (UsockName) name = scene_name (data, "127.0.0.1");

  return usock_io_bind (fd, name);
}

static guint
find_free_port (void)
{
  int fd = listen_on ("127.0.0.1", 0, -1);
  guint port = port_of (fd);

  close (fd);
  return port;
}

/* TCP connects a socket with itself if it comes from the port where it goes to. The system may
 * pick that port as well as any other, so that nobody but who asked for it wants this. */
static void
test_self (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene;
  int family, fd;
  UsockIoCall call;

  scene_start (&scene);
  scene.port = find_free_port ();
  usock_connector_free (scene.connector);
  scene.connector = usock_connector_new (scene.reactor, prepare_bound, ready, &scene);
  scene_add (&scene, "127.0.0.1");
  usock_connector_finish (scene.connector);
  scene_assert_failed (&scene, USOCK_IO_CONNECT, ECONNREFUSED);
  scene_stop (&scene);

  scene_start (&scene);
  scene.port = find_free_port ();
  usock_connector_bind (scene.connector, scene_name (&scene, "127.0.0.1"));
  scene_add (&scene, "127.0.0.1");
  usock_connector_finish (scene.connector);
  fd = scene_take (&scene, &family, &call);
  g_assert_cmpint (fd, >=, 0);
  g_assert_true (usock_io_peer_is_self (fd));
  close (fd);
  scene_stop (&scene);
}

static void
test_freed_while_racing (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_listen_silently (&scene, "127.0.0.1");
  scene_listen_silently (&scene, "127.0.0.2");
  scene_add (&scene, "127.0.0.1");
  scene_add (&scene, "127.0.0.2");
  scene_add (&scene, "127.0.0.3");
  usock_test_wait_until (scene.n_prepared == 2);
  scene_stop (&scene);
}

static void
test_freed_with_winner (UsockTest     *test,
                        gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_listen (&scene, "127.0.0.1", 8);
  scene_add (&scene, "127.0.0.1");
  usock_test_wait_until (scene.n_ready > 0);
  scene_stop (&scene);
}

static void
test_context_goes (UsockTest     *test,
                   gconstpointer  unused)
{
  GMainContext *context = g_main_context_new ();
  Scene scene;

  g_main_context_push_thread_default (context);
  scene_start (&scene);
  scene_listen_silently (&scene, "127.0.0.1");
  scene_add (&scene, "127.0.0.1");
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  scene_stop (&scene);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/connector/one", test_one);
  usock_test_add ("/usock/connector/not-fetched", test_not_fetched);
  usock_test_add ("/usock/connector/nothing", test_nothing);
  usock_test_add ("/usock/connector/dead-first", test_dead_first);
  usock_test_add ("/usock/connector/silent-first", test_silent_first);
  usock_test_add ("/usock/connector/dead-second", test_dead_second);
  usock_test_add ("/usock/connector/failures", test_failures);
  usock_test_add ("/usock/connector/all-at-once", test_all_at_once);
  usock_test_add ("/usock/connector/late-first", test_late_first);
  usock_test_add ("/usock/connector/families-in-turn", test_families_in_turn);
  usock_test_add ("/usock/connector/added-later", test_added_later);
  usock_test_add ("/usock/connector/best-error", test_best_error);
  usock_test_add ("/usock/connector/faults", test_faults);
  usock_test_add ("/usock/connector/faults-in-turn", test_faults_in_turn);
  usock_test_add ("/usock/connector/prepare-fails", test_prepare_fails);
  usock_test_add ("/usock/connector/bound", test_bound);
  usock_test_add ("/usock/connector/self", test_self);
  usock_test_add ("/usock/connector/freed-while-racing", test_freed_while_racing);
  usock_test_add ("/usock/connector/freed-with-winner", test_freed_with_winner);
  usock_test_add ("/usock/connector/context-goes", test_context_goes);

  return g_test_run ();
}
