/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "usock-io-private.h"

typedef struct
{
  Witness witness;
  UsockServer *server;
  GPtrArray *connections;
} Scene;

static void
connection_cb (UsockServer  *server,
               UsockChannel *channel,
               Scene        *scene)
{
  g_ptr_array_add (scene->connections, g_object_ref (channel));
  witness_watch (&scene->witness, channel, "data end error close");
}

static void
scene_start (Scene *scene)
{
  witness_init (&scene->witness);
  scene->server = usock_server_new (G_SOCKET_TYPE_STREAM);
  scene->connections = g_ptr_array_new ();
  g_signal_connect (scene->server, "connection", G_CALLBACK (connection_cb), scene);
  witness_watch (&scene->witness, scene->server, "listening error close");
}

static void
scene_stop (Scene *scene)
{
  usock_io_fault_clear ();
  for (guint i = 0; i < scene->connections->len; i++)
    scene_close (scene->connections->pdata[i]);
  g_ptr_array_unref (scene->connections);
  scene_close (scene->server);
  witness_clear (&scene->witness);
}

static guint
scene_port (Scene *scene)
{
  GSocketAddress *address = usock_socket_get_local_address (USOCK_SOCKET (scene->server));

  return g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
}

static void
scene_listen_on (Scene      *scene,
                 const char *host)
{
  usock_test_no_error (usock_server_listen_on_host (scene->server, host, 0, 0, &error));
  g_assert_cmpuint (scene_port (scene), !=, 0);
}

/* -1 with errno if it is refused. */
static int
connect_raw (const char *host,
             guint       port)
{
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string (host, port);
  struct sockaddr_storage native;
  gssize length = g_socket_address_get_native_size (address);
  int fd;

  usock_test_no_error (g_socket_address_to_native (address, &native, sizeof native, &error));
  fd = socket (native.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_no_errno (fd);
  if (connect (fd, (struct sockaddr *) &native, length) == 0)
    return fd;

  close (fd);
  return -1;
}

static void
assert_reachable (Scene      *scene,
                  const char *host,
                  gboolean    reachable)
{
  guint n = scene->connections->len;
  int fd = connect_raw (host, scene_port (scene));

  g_assert_cmpint (fd != -1, ==, reachable);
  if (fd == -1)
    return;

  usock_test_wait_until (scene->connections->len == n + 1);
  close (fd);
}

static void
assert_option (gpointer socket,
               int      level,
               int      name,
               int      expected)
{
  int value = -1;
  socklen_t length = sizeof value;

  g_assert_no_errno (
      getsockopt (usock_socket_get_fd (socket), level, name, &value, &length));
  g_assert_cmpint (value, ==, expected);
}

static void
test_all_interfaces (UsockTest     *test,
                     gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_listen_on (&scene, NULL);
  g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (scene.server)), ==,
                   G_SOCKET_FAMILY_IPV6);
  witness_expect (&scene.witness, "listening");
  assert_reachable (&scene, "127.0.0.1", TRUE);
  assert_reachable (&scene, "::1", TRUE);
  assert_option (scene.server, SOL_SOCKET, SO_REUSEADDR, 1);
  assert_option (scene.server, SOL_SOCKET, SO_REUSEPORT, 0);
  assert_option (scene.server, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  scene_stop (&scene);
}

static void
test_ipv6_only (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  usock_server_set_ipv6_only (scene.server, TRUE);
  scene_listen_on (&scene, NULL);
  assert_reachable (&scene, "127.0.0.1", FALSE);
  assert_reachable (&scene, "::1", TRUE);
  scene_stop (&scene);
}

/* No IPv6 in the kernel, or none on the machine. */
static void
test_without_ipv6 (UsockTest     *test,
                   gconstpointer  unused)
{
  static const struct
  {
    UsockIoCall call;
    int errnum;
  } faults[] = {
    { USOCK_IO_SOCKET, EAFNOSUPPORT },
    { USOCK_IO_BIND, EADDRNOTAVAIL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      GError *failure = NULL;
      Scene scene;

      scene_start (&scene);
      usock_io_fault_add (faults[i].call, faults[i].errnum, 1, 0);
      usock_server_set_ipv6_only (scene.server, TRUE);
      g_assert_false (usock_server_listen_on_host (scene.server, NULL, 0, 0, &failure));
      g_assert_nonnull (failure);
      g_clear_error (&failure);
      usock_server_set_ipv6_only (scene.server, FALSE);
      usock_io_fault_add (faults[i].call, faults[i].errnum, 1, 0);
      scene_listen_on (&scene, NULL);
      g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (scene.server)), ==,
                       G_SOCKET_FAMILY_IPV4);
      assert_reachable (&scene, "127.0.0.1", TRUE);
      scene_stop (&scene);
    }
}

static void
test_hosts (UsockTest     *test,
            gconstpointer  unused)
{
  static const char *const hosts[] = { "127.0.0.1", "::1", "localhost" };

  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++)
    {
      g_autofree char *text = NULL;
      Scene scene;

      scene_start (&scene);
      scene_listen_on (&scene, hosts[i]);
      if (i < 2)
        assert_reachable (&scene, hosts[i], TRUE);
      assert_reachable (&scene, i == 0 ? "::1" : "127.0.0.3", FALSE);
      scene_stop (&scene);
    }
}

/* A resolver that knows one host, with addresses that this machine has and one that it has not. */

typedef struct
{
  GResolver parent_instance;
} TestResolver;

typedef struct
{
  GResolverClass parent_class;
} TestResolverClass;

static GType test_resolver_get_type (void);

G_DEFINE_TYPE (TestResolver, test_resolver, G_TYPE_RESOLVER)

static GList *
test_resolver_lookup (GResolver     *resolver,
                      const char    *host,
                      GCancellable  *cancellable,
                      GError       **error)
{
  static const char *const addresses[]
      = { "192.0.2.1", "127.0.0.2", "127.0.0.3", "127.0.0.2", "2001:db8::1", "127.0.0.4" };
  GList *list = NULL;

  if (!g_str_equal (host, "many.example"))
    {
      g_set_error_literal (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "no such host");
      return NULL;
    }

  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    list = g_list_append (list, g_inet_address_new_from_string (addresses[i]));
  return list;
}

static void
test_resolver_class_init (TestResolverClass *class)
{
  G_RESOLVER_CLASS (class)->lookup_by_name = test_resolver_lookup;
}

static void
test_resolver_init (TestResolver *self)
{
}

static GResolver *
use_test_resolver (void)
{
  g_autoptr (GResolver) resolver = g_object_new (test_resolver_get_type (), NULL);
  GResolver *before = g_resolver_get_default ();

  g_resolver_set_default (resolver);
  return before;
}

static void
stop_test_resolver (GResolver *before)
{
  g_resolver_set_default (before);
  g_object_unref (before);
}

static guint
find_free_port (void)
{
  Scene scene;
  guint port;

  scene_start (&scene);
  scene_listen_on (&scene, "127.0.0.1");
  port = scene_port (&scene);
  scene_stop (&scene);
  return port;
}

static const char *const many[] = { "127.0.0.2", "127.0.0.3", "127.0.0.4" };

/* On every address of the host that is ours, and with one port. */
static void
test_many_addresses (UsockTest     *test,
                     gconstpointer  unused)
{
  GResolver *before = use_test_resolver ();
  Scene scene;
  guint port;
  int fd;

  for (guint round = 0; round < 2; round++)
    {
      scene_start (&scene);
      port = round == 0 ? 0 : find_free_port ();
      usock_test_no_error (
          usock_server_listen_on_host (scene.server, "many.example", port, 0, &error));
      witness_expect (&scene.witness, "listening");
      for (guint i = 0; i < G_N_ELEMENTS (many); i++)
        assert_reachable (&scene, many[i], TRUE);
      assert_reachable (&scene, "127.0.0.1", FALSE);

      /* Pausing holds for all of them. */
      usock_server_pause (scene.server);
      fd = connect_raw (many[2], scene_port (&scene));
      scene_settle ();
      g_assert_cmpuint (scene.connections->len, ==, 3);
      usock_server_resume (scene.server);
      usock_test_wait_until (scene.connections->len == 4);
      close (fd);

      port = scene_port (&scene);
      usock_socket_close (USOCK_SOCKET (scene.server));
      for (guint i = 0; i < G_N_ELEMENTS (many); i++)
        g_assert_cmpint (connect_raw (many[i], port), ==, -1);
      scene_stop (&scene);
    }
  stop_test_resolver (before);
}

/* If one of them is taken, it is none, and the server may try again. */
static void
test_some_address_taken (UsockTest     *test,
                         gconstpointer  unused)
{
  GResolver *before = use_test_resolver ();
  Scene scene, other;
  GError *failure = NULL;
  guint port;

  scene_start (&other);
  scene_listen_on (&other, many[1]);
  port = scene_port (&other);
  scene_start (&scene);
  g_assert_false (
      usock_server_listen_on_host (scene.server, "many.example", port, 0, &failure));
  g_assert_nonnull (strstr (failure->message, many[1]));
  assert_error_code (failure, G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_false (usock_server_get_active (scene.server));
  g_assert_cmpint (connect_raw (many[0], port), ==, -1);
  g_assert_cmpint (connect_raw (many[2], port), ==, -1);
  scene_stop (&other);

  usock_test_no_error (
      usock_server_listen_on_host (scene.server, "many.example", port, 0, &error));
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    assert_reachable (&scene, many[i], TRUE);
  scene_stop (&scene);
  stop_test_resolver (before);
}

/* A port that the system picked, and that is taken elsewhere, is picked anew. */
static void
test_port_is_picked_anew (UsockTest     *test,
                          gconstpointer  unused)
{
  GResolver *before = use_test_resolver ();
  Scene scene;

  scene_start (&scene);
  usock_io_fault_add (USOCK_IO_BIND, EADDRINUSE, 3, 0);
  usock_test_no_error (usock_server_listen_on_host (scene.server, "many.example", 0, 0, &error));
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    assert_reachable (&scene, many[i], TRUE);
  scene_stop (&scene);
  stop_test_resolver (before);
}

/* Out of descriptors, all of them are asked again later. */
static void
test_exhausted_elsewhere (UsockTest     *test,
                          gconstpointer  unused)
{
  GResolver *before = use_test_resolver ();
  Scene scene;
  int fd;

  scene_start (&scene);
  usock_test_no_error (usock_server_listen_on_host (scene.server, "many.example", 0, 0, &error));
  witness_expect (&scene.witness, "listening");
  usock_io_fault_add (USOCK_IO_ACCEPT, EMFILE, 1, 0);
  fd = connect_raw (many[2], scene_port (&scene));
  usock_test_wait_until (scene.connections->len == 1);
  g_assert_true (g_str_has_prefix (scene.witness.words->str, "error:"));
  close (fd);
  scene_stop (&scene);
  stop_test_resolver (before);
}

static void
dropped_cb (UsockServer      *server,
            GCredentials     *credentials,
            GSocketAddress   *address,
            UsockDropReason   reason,
            GSocketAddress  **dropped)
{
  g_assert_null (credentials);
  g_assert_cmpint (reason, ==, USOCK_DROP_REASON_USER);
  *dropped = g_object_ref (address);
}

static void
test_drop_address (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (GSocketAddress) dropped = NULL;
  g_autofree char *text = NULL;
  Scene scene;
  int fd;

  scene_start (&scene);
  usock_server_set_allowed_users (scene.server, USOCK_ALLOWED_USERS_SAME_USER);
  g_signal_connect (scene.server, "drop", G_CALLBACK (dropped_cb), &dropped);
  scene_listen_on (&scene, "127.0.0.1");
  fd = connect_raw ("127.0.0.1", scene_port (&scene));
  usock_test_wait_until (dropped != NULL);
  text = usock_address_to_string (dropped);
  g_assert_true (g_str_has_prefix (text, "127.0.0.1:"));
  close (fd);
  scene_stop (&scene);
}

static void
test_address (UsockTest     *test,
              gconstpointer  unused)
{
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  Scene scene;
  int fd;

  scene_start (&scene);
  usock_test_no_error (usock_server_listen_on_address (scene.server, address, 5, &error));
  g_assert_null (usock_server_get_path (scene.server));
  g_assert_true (usock_server_get_active (scene.server));
  fd = connect_raw ("127.0.0.1", scene_port (&scene));
  scene_send (fd, "hello");
  witness_expect (&scene.witness, "listening data:hello");
  usock_test_no_error (
      usock_channel_send_text (scene.connections->pdata[0], "answer", &error));
  g_free (scene_receive (fd));
  g_assert_true (G_IS_INET_SOCKET_ADDRESS (
      usock_socket_get_remote_address (scene.connections->pdata[0])));
  usock_socket_close (USOCK_SOCKET (scene.server));
  scene_settle ();
  witness_assert (&scene.witness, "");
  close (fd);
  witness_expect (&scene.witness, "end close close");
  scene_stop (&scene);
}

static void
keep_error (UsockSocket   *socket,
            const GError  *error,
            GError       **kept)
{
  *kept = g_error_copy (error);
}

/* Of those that come to one port each is called by its own address, and keeps it. */
static void
test_reset_by_client (UsockTest     *test,
                      gconstpointer  unused)
{
  const struct linger now = { TRUE, 0 };
  g_autoptr (GError) kept = NULL;
  g_autofree char *peer = NULL;
  g_autofree char *quoted = NULL;
  GSocketAddress *address;
  Scene scene;
  int fd;

  scene_start (&scene);
  scene_listen_on (&scene, "127.0.0.1");
  fd = connect_raw ("127.0.0.1", scene_port (&scene));
  witness_expect (&scene.witness, "listening");
  usock_test_wait_until (scene.connections->len == 1);
  g_signal_connect (scene.connections->pdata[0], "error", G_CALLBACK (keep_error), &kept);
  g_assert_no_errno (setsockopt (fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
  close (fd);
  witness_expect (&scene.witness, "error:broken-pipe close");

  address = usock_socket_get_remote_address (scene.connections->pdata[0]);
  g_assert_nonnull (address);
  g_assert_cmpuint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)), !=,
                    scene_port (&scene));
  peer = usock_address_to_string (address);
  quoted = g_strdup_printf ("“%s”", peer);
  g_assert_nonnull (strstr (kept->message, quoted));
  scene_stop (&scene);
}

static void
test_wrong_hosts (UsockTest     *test,
                  gconstpointer  unused)
{
  static const struct
  {
    const char *host;
    guint port;
    int code;
  } wrong[] = {
    { "", 0, G_IO_ERROR_INVALID_ARGUMENT },
    { "\xff", 0, G_IO_ERROR_INVALID_ARGUMENT },
    { NULL, 65536, G_IO_ERROR_INVALID_ARGUMENT },
    { "192.0.2.1", 0, G_IO_ERROR_FAILED },
  };
  Scene scene;

  scene_start (&scene);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      GError *failure = NULL;

      g_assert_false (usock_server_listen_on_host (scene.server, wrong[i].host, wrong[i].port, 0,
                                                   &failure));
      assert_error_code (failure, wrong[i].code);
      g_assert_cmpint (usock_server_open_reuse_port_fd (wrong[i].host, wrong[i].port, &failure), ==,
                       -1);
      assert_error_code (failure, wrong[i].code);
    }
  g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (scene.server)), ==,
                   G_SOCKET_FAMILY_UNIX);
  scene_listen_on (&scene, NULL);
  scene_stop (&scene);
}

/* A path is as good after a port that was taken. */
static void
test_port_taken (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autofree char *expected = NULL;
  UsockServer *second = usock_server_new (G_SOCKET_TYPE_STREAM);
  GError *failure = NULL;
  Scene scene;

  scene_start (&scene);
  scene_listen_on (&scene, "127.0.0.1");
  g_assert_false (
      usock_server_listen_on_host (second, "127.0.0.1", scene_port (&scene), 0, &failure));
  expected = g_strdup_printf ("Could not listen on “127.0.0.1:%u”: %s", scene_port (&scene),
                              g_strerror (EADDRINUSE));
  g_assert_cmpstr (failure->message, ==, expected);
  assert_error_code (failure, G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_false (usock_server_listen_on_host (scene.server, "127.0.0.1", 0, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_EXISTS);
  usock_test_no_error (usock_server_listen_on_path (second, path, 0, &error));
  scene_close (second);
  scene_stop (&scene);
}

/* The first to end a connection holds its port for a minute. */
static void
test_port_again (UsockTest     *test,
                 gconstpointer  unused)
{
  Scene scene, next;
  guint port;
  int fd;

  scene_start (&scene);
  scene_listen_on (&scene, "127.0.0.1");
  port = scene_port (&scene);
  fd = connect_raw ("127.0.0.1", port);
  usock_test_wait_until (scene.connections->len == 1);
  scene_stop (&scene);
  g_assert_null (scene_receive (fd));
  close (fd);

  scene_start (&next);
  usock_test_no_error (usock_server_listen_on_host (next.server, "127.0.0.1", port, 0, &error));
  scene_stop (&next);
}

static void
test_backlog (UsockTest     *test,
              gconstpointer  unused)
{
  UsockServer *server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  guint n_connected = 0, port;
  int fds[4];

  usock_test_no_error (usock_server_listen_on_address (server, address, 1, &error));
  port = g_inet_socket_address_get_port (
      G_INET_SOCKET_ADDRESS (usock_socket_get_local_address (USOCK_SOCKET (server))));
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      struct sockaddr_in name = { AF_INET, g_htons (port), { g_htonl (INADDR_LOOPBACK) } };
      struct pollfd poll_fd = { .events = POLLOUT };

      fds[i] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      poll_fd.fd = fds[i];
      if (connect (fds[i], (struct sockaddr *) &name, sizeof name) == 0
          || poll (&poll_fd, 1, 0) == 1)
        n_connected++;
    }
  g_assert_cmpuint (n_connected, ==, 2);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  scene_close (server);
}

/* Several servers on one port: each has its own backlog. */
static void
test_reuse_port (UsockTest     *test,
                 gconstpointer  unused)
{
  GError *failure = NULL;
  Scene first, second;
  guint port;

  scene_start (&first);
  scene_start (&second);
  usock_server_set_reuse_port (first.server, TRUE);
  scene_listen_on (&first, "127.0.0.1");
  port = scene_port (&first);
  g_assert_false (usock_server_listen_on_host (second.server, "127.0.0.1", port, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_ADDRESS_IN_USE);
  usock_server_set_reuse_port (second.server, TRUE);
  usock_test_no_error (usock_server_listen_on_host (second.server, "127.0.0.1", port, 0, &error));

  while (first.connections->len == 0 || second.connections->len == 0)
    {
      guint n = first.connections->len + second.connections->len;
      int fd = connect_raw ("127.0.0.1", port);

      usock_test_wait_until (first.connections->len + second.connections->len > n);
      close (fd);
    }
  scene_stop (&first);
  scene_stop (&second);
}

static void
test_reuse_port_fd (UsockTest     *test,
                    gconstpointer  unused)
{
  GError *failure = NULL;
  Scene scene;
  int fd, other;

  scene_start (&scene);
  fd = usock_server_open_reuse_port_fd ("127.0.0.1", 0, &failure);
  g_assert_no_error (failure);
  usock_test_no_error (usock_server_listen_on_fd (scene.server, fd, 0, &error));
  g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (scene.server)), ==,
                   G_SOCKET_FAMILY_IPV4);
  assert_reachable (&scene, "127.0.0.1", TRUE);
  other = usock_server_open_reuse_port_fd ("127.0.0.1", scene_port (&scene), &failure);
  g_assert_no_error (failure);
  close (other);
  usock_io_fault_add (USOCK_IO_SOCKET, EAFNOSUPPORT, 1, 0);
  other = usock_server_open_reuse_port_fd (NULL, scene_port (&scene), &failure);
  g_assert_no_error (failure);
  close (other);
  usock_io_fault_add (USOCK_IO_SOCKET, EMFILE, 1, 0);
  g_assert_cmpint (usock_server_open_reuse_port_fd (NULL, 0, &failure), ==, -1);
  assert_error_code (failure, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  scene_stop (&scene);
}

/* Adopted as what it is; and not changed if it is of no use. */
static void
test_wrong_fd (UsockTest     *test,
               gconstpointer  unused)
{
  int udp = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  GError *failure = NULL;
  Scene scene;

  scene_start (&scene);
  g_assert_false (usock_server_listen_on_fd (scene.server, udp, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (scene.server)), ==,
                   G_SOCKET_FAMILY_UNIX);
  close (udp);
  scene_stop (&scene);
}

/* What accept(2) says of one connection is not the listener's failure. */
static void
test_lost_connections (UsockTest     *test,
                       gconstpointer  unused)
{
  static const int errors[] = { ECONNABORTED, EPROTO,      ENETDOWN,   ENOPROTOOPT, EHOSTDOWN,
                                ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH };
  Scene scene;

  scene_start (&scene);
  scene_listen_on (&scene, "127.0.0.1");
  witness_expect (&scene.witness, "listening");
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      usock_io_fault_add (USOCK_IO_ACCEPT, errors[i], 1, 0);
      assert_reachable (&scene, "127.0.0.1", TRUE);
      g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.server)), ==, errors[i]);
    }
  usock_test_wait_until (scene.witness.n_closed == G_N_ELEMENTS (errors));
  g_assert_null (strstr (scene.witness.words->str, "error"));
  scene_stop (&scene);
}

/* But what is said without end is told, and does not keep the program busy. */
static void
test_lost_for_ever (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;
  int fd;

  scene_start (&scene);
  scene_listen_on (&scene, "127.0.0.1");
  witness_expect (&scene.witness, "listening");
  usock_io_fault_add (USOCK_IO_ACCEPT, EPROTO, 1, 1);
  fd = connect_raw ("127.0.0.1", scene_port (&scene));
  witness_expect (&scene.witness, "error:failed");
  g_assert_cmpuint (scene.connections->len, ==, 0);
  usock_io_fault_clear ();
  usock_test_wait_until (scene.connections->len == 1);
  close (fd);
  scene_stop (&scene);
}

/* Two processes accept from one listener that both have. */

typedef struct
{
  guint n_wanted;
  guint n_answered;
  const char *answer;
} Worker;

static void
answer_cb (UsockServer  *server,
           UsockChannel *channel,
           Worker       *worker)
{
  usock_channel_send_text (channel, worker->answer, NULL);
  usock_channel_end (channel);
  if (++worker->n_answered == worker->n_wanted)
    usock_server_pause (server);
}

static void
work (int     fd,
      Worker *worker)
{
  GMainContext *context = g_main_context_new ();
  UsockServer *server;

  g_main_context_push_thread_default (context);
  server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_signal_connect (server, "connection", G_CALLBACK (answer_cb), worker);
  usock_test_no_error (usock_server_listen_on_fd (server, dup (fd), 0, &error));
  for (;;)
    g_main_context_iteration (context, TRUE);
}

static pid_t
start_worker (int         fd,
              const char *answer,
              guint       n_wanted)
{
  Worker worker = { .n_wanted = n_wanted, .answer = answer };
  pid_t child = fork ();

  g_assert_no_errno (child);
  if (child == 0)
    work (fd, &worker);
  return child;
}

/* Each takes half of the connections and then no more, so that all are answered only if the
 * other goes on. */
static void
test_two_processes (UsockTest     *test,
                    gconstpointer  unused)
{
  const guint n_each = 20;
  guint n_first = 0, n_second = 0;
  GError *failure = NULL;
  int fd = usock_server_open_reuse_port_fd ("127.0.0.1", 0, &failure);
  g_autoptr (GSocketAddress) address = usock_io_get_local_address (fd);
  guint port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
  pid_t children[2];

  g_assert_no_errno (listen (fd, 64));
  children[0] = start_worker (fd, "first", n_each);
  children[1] = start_worker (fd, "second", n_each);
  for (guint i = 0; i < 2 * n_each; i++)
    {
      int client = connect_raw ("127.0.0.1", port);
      g_autofree char *text = scene_receive (client);

      n_first += g_strcmp0 (text, "first") == 0;
      n_second += g_strcmp0 (text, "second") == 0;
      close (client);
    }
  g_assert_cmpuint (n_first, ==, n_each);
  g_assert_cmpuint (n_second, ==, n_each);
  for (guint i = 0; i < 2; i++)
    {
      kill (children[i], SIGKILL);
      g_assert_no_errno (waitpid (children[i], NULL, 0));
    }
  close (fd);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(path, function) usock_test_add ("/usock/server-inet/" path, function)
  ADD ("all-interfaces", test_all_interfaces);
  ADD ("ipv6-only", test_ipv6_only);
  ADD ("without-ipv6", test_without_ipv6);
  ADD ("hosts", test_hosts);
  ADD ("many-addresses", test_many_addresses);
  ADD ("some-address-taken", test_some_address_taken);
  ADD ("port-is-picked-anew", test_port_is_picked_anew);
  ADD ("exhausted-elsewhere", test_exhausted_elsewhere);
  ADD ("drop-address", test_drop_address);
  ADD ("address", test_address);
  ADD ("reset-by-client", test_reset_by_client);
  ADD ("wrong-hosts", test_wrong_hosts);
  ADD ("port-taken", test_port_taken);
  ADD ("port-again", test_port_again);
  ADD ("backlog", test_backlog);
  ADD ("reuse-port", test_reuse_port);
  ADD ("reuse-port-fd", test_reuse_port_fd);
  ADD ("wrong-fd", test_wrong_fd);
  ADD ("lost-connections", test_lost_connections);
  ADD ("lost-for-ever", test_lost_for_ever);
  ADD ("two-processes", test_two_processes);
#undef ADD

  return g_test_run ();
}
