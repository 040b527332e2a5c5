/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "usock-io-private.h"

#define ALL "connect lookup data drain end timeout error close"

/* A resolver that knows what a test tells it, and answers when the test says so. */

typedef struct
{
  GResolver parent_instance;

  GHashTable *hosts; /* to addresses with a space between, or to an error */
  gboolean slow;
  GQueue waiting;
  guint n_asked;
} TestResolver;

typedef GResolverClass TestResolverClass;

static GType test_resolver_get_type (void);

G_DEFINE_TYPE (TestResolver, test_resolver, G_TYPE_RESOLVER)

static void
free_addresses (gpointer addresses)
{
  g_resolver_free_addresses (addresses);
}

static void
resolver_answer (TestResolver *self,
                 GTask        *task)
{
  const char *host = g_task_get_task_data (task);
  const char *text = g_hash_table_lookup (self->hosts, host);
  g_auto (GStrv) words = g_strsplit (text != NULL ? text : "", " ", -1);
  guint flags = GPOINTER_TO_UINT (g_object_get_data (G_OBJECT (task), "flags"));
  GList *found = NULL;

  for (guint i = 0; words[i] != NULL; i++)
    {
      g_autoptr (GInetAddress) address = g_inet_address_new_from_string (words[i]);
      gboolean is_ipv6
          = address != NULL && g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV6;

      if (address == NULL
          || (flags & (is_ipv6 ? G_RESOLVER_NAME_LOOKUP_FLAGS_IPV4_ONLY
                               : G_RESOLVER_NAME_LOOKUP_FLAGS_IPV6_ONLY)))
        continue;
      found = g_list_append (found, g_steal_pointer (&address));
    }

  if (found != NULL)
    g_task_return_pointer (task, found, free_addresses);
  else
    g_task_return_new_error (task, G_RESOLVER_ERROR,
                             g_strcmp0 (text, "later") == 0 ? G_RESOLVER_ERROR_TEMPORARY_FAILURE
                                                            : G_RESOLVER_ERROR_NOT_FOUND,
                             "nobody knows “%s”", host);
}

static void
resolver_ask (GResolver                *resolver,
              const char               *host,
              GResolverNameLookupFlags  flags,
              GCancellable             *cancellable,
              GAsyncReadyCallback       callback,
              gpointer                  user_data)
{
  TestResolver *self = (TestResolver *) resolver;
  GTask *task = g_task_new (resolver, cancellable, callback, user_data);

  self->n_asked++;
  g_task_set_task_data (task, g_strdup (host), g_free);
  g_object_set_data (G_OBJECT (task), "flags", GUINT_TO_POINTER (flags));
  g_queue_push_tail (&self->waiting, task);
  while (!self->slow && self->waiting.length > 0)
    {
      g_autoptr (GTask) first = g_queue_pop_head (&self->waiting);

      resolver_answer (self, first);
    }
}

static GList *
resolver_finish (GResolver     *resolver,
                 GAsyncResult  *result,
                 GError       **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
test_resolver_finalize (GObject *object)
{
  g_hash_table_unref (((TestResolver *) object)->hosts);
  G_OBJECT_CLASS (test_resolver_parent_class)->finalize (object);
}

static void
test_resolver_class_init (TestResolverClass *class)
{
  G_OBJECT_CLASS (class)->finalize = test_resolver_finalize;
  class->lookup_by_name_with_flags_async = resolver_ask;
  class->lookup_by_name_with_flags_finish = resolver_finish;
}

static void
test_resolver_init (TestResolver *self)
{
  self->hosts = g_hash_table_new (g_str_hash, g_str_equal);
  g_queue_init (&self->waiting);
}

typedef struct
{
  Witness witness;
  UsockChannel *channel;
  TestResolver *resolver;
  GResolver *before;
  int listener;
  int fillers[8];
  guint port;
} Scene;

static int
listen_on (const char *host,
           guint       port,
           int         backlog)
{
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string (host, port);
  struct sockaddr_storage native;
  gssize length = g_socket_address_get_native_size (address);
  int fd, yes = 1;

  usock_test_no_error (g_socket_address_to_native (address, &native, sizeof native, &error));
  fd = socket (native.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  g_assert_no_errno (fd);
  g_assert_no_errno (setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes));
  if (native.ss_family == AF_INET6)
    g_assert_no_errno (setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes));
  g_assert_no_errno (bind (fd, (struct sockaddr *) &native, length));
  g_assert_no_errno (listen (fd, backlog));
  return fd;
}

static guint
port_of (int fd)
{
  struct sockaddr_in6 name;
  socklen_t length = sizeof name;

  g_assert_no_errno (getsockname (fd, (struct sockaddr *) &name, &length));
  return g_ntohs (name.sin6_port);
}

static void
scene_start_on (Scene      *scene,
                const char *host,
                int         backlog)
{
  *scene = (Scene) { .listener = listen_on (host, 0, backlog) };
  scene->port = port_of (scene->listener);
  witness_init (&scene->witness);
  scene->channel = USOCK_CHANNEL (usock_stream_new ());
  witness_watch (&scene->witness, scene->channel, ALL);
  scene->before = g_resolver_get_default ();
  scene->resolver = g_object_new (test_resolver_get_type (), NULL);
  g_resolver_set_default (G_RESOLVER (scene->resolver));
}

static void
scene_start (Scene *scene)
{
  scene_start_on (scene, "127.0.0.1", 64);
}

/* Whoever comes to a full backlog of TCP gets no answer at all. */
static void
scene_start_silent (Scene *scene)
{
  struct sockaddr_in name = { AF_INET };

  scene_start_on (scene, "127.0.0.1", 0);
  name.sin_port = g_htons (scene->port);
  name.sin_addr.s_addr = g_htonl (INADDR_LOOPBACK);
  for (guint i = 0; i < G_N_ELEMENTS (scene->fillers); i++)
    {
      scene->fillers[i] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      g_assert_cmpint (connect (scene->fillers[i], (struct sockaddr *) &name, sizeof name), ==, -1);
    }
}

static void
scene_stop (Scene *scene)
{
  usock_io_fault_clear ();
  scene_close (scene->channel);
  g_resolver_set_default (scene->before);
  g_object_unref (scene->before);
  g_assert_cmpuint (scene->resolver->waiting.length, ==, 0);
  g_object_unref (scene->resolver);
  if (scene->listener != -1)
    close (scene->listener);
  for (guint i = 0; i < G_N_ELEMENTS (scene->fillers); i++)
    if (scene->fillers[i] > 0)
      close (scene->fillers[i]);
  witness_clear (&scene->witness);
}

static void
scene_knows (Scene      *scene,
             const char *host,
             const char *addresses)
{
  g_hash_table_insert (scene->resolver->hosts, (gpointer) host, (gpointer) addresses);
}

static void
scene_resolve (Scene *scene)
{
  GTask *task;

  scene->resolver->slow = FALSE;
  while ((task = g_queue_pop_head (&scene->resolver->waiting)) != NULL)
    {
      resolver_answer (scene->resolver, task);
      g_object_unref (task);
    }
}

static int
scene_accept (Scene *scene)
{
  struct pollfd poll_fd = { scene->listener, POLLIN };
  int fd;

  g_assert_cmpint (poll (&poll_fd, 1, 10 * 1000), ==, 1);
  fd = accept4 (scene->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  g_assert_no_errno (fd);
  return fd;
}

static UsockState
scene_state (Scene *scene)
{
  return usock_socket_get_state (USOCK_SOCKET (scene->channel));
}

static void
scene_bind (Scene          *scene,
            GSocketAddress *address)
{
  usock_stream_set_bind_address (USOCK_STREAM (scene->channel), (GInetSocketAddress *) address);
}

static gboolean
scene_connect (Scene       *scene,
               const char  *host,
               GError     **error)
{
  return usock_stream_connect_to_host (USOCK_STREAM (scene->channel), host, scene->port,
                                       G_SOCKET_FAMILY_INVALID, error);
}

static gboolean
host_finish (UsockChannel  *channel,
             GAsyncResult  *result,
             GError       **error)
{
  return usock_stream_connect_to_host_finish (USOCK_STREAM (channel), result, error);
}

static void
scene_connect_async (Scene         *scene,
                     const char    *name,
                     const char    *host,
                     GSocketFamily  family,
                     GCancellable  *cancellable)
{
  usock_stream_connect_to_host_async (USOCK_STREAM (scene->channel), host, scene->port, family,
                                      cancellable, witness_done,
                                      witness_call (&scene->witness, name, host_finish));
}

static void
scene_assert_peer (Scene      *scene,
                   const char *host)
{
  GSocketAddress *address = usock_socket_get_remote_address (USOCK_SOCKET (scene->channel));
  g_autofree char *text = NULL;

  g_assert_true (G_IS_INET_SOCKET_ADDRESS (address));
  text = g_inet_address_to_string (
      g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address)));
  g_assert_cmpstr (text, ==, host);
  g_assert_cmpuint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)), ==,
                    scene->port);
}

/* By address. */

static void
test_address (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  g_autoptr (GSocketAddress) address = NULL;
  g_autofree char *text = NULL;
  GSocketAddress *local;
  int peer;

  scene_start (&scene);
  address = g_inet_socket_address_new_from_string ("127.0.0.1", scene.port);
  usock_test_no_error (usock_channel_connect_to_address (scene.channel, address, &error));
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_CONNECTING);
  usock_test_no_error (usock_channel_send_text (scene.channel, "early", &error));
  witness_assert (&scene.witness, "");
  witness_expect (&scene.witness, "connect");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_OPEN);
  g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (scene.channel)), ==,
                   G_SOCKET_FAMILY_IPV4);
  scene_assert_peer (&scene, "127.0.0.1");
  local = usock_socket_get_local_address (USOCK_SOCKET (scene.channel));
  g_assert_cmpuint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (local)), !=, 0);
  peer = scene_accept (&scene);
  text = scene_receive (peer);
  g_assert_cmpstr (text, ==, "early");
  scene_send (peer, "answer");
  close (peer);
  witness_expect (&scene.witness, "data:answer end close");
  scene_stop (&scene);
}

static void
test_ended_early (UsockTest     *test,
                  gconstpointer  unused)
{
  Scene scene;
  g_autofree char *text = NULL;
  g_autofree char *rest = NULL;
  int peer;

  scene_start (&scene);
  usock_test_no_error (scene_connect (&scene, "127.0.0.1", &error));
  usock_test_no_error (usock_channel_send_text (scene.channel, "all", &error));
  usock_channel_end (scene.channel);
  witness_expect (&scene.witness, "connect");
  peer = scene_accept (&scene);
  text = scene_receive (peer);
  g_assert_cmpstr (text, ==, "all");
  rest = scene_receive (peer);
  g_assert_null (rest);
  close (peer);
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

static void
test_refused (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;

  scene_start (&scene);
  close (g_steal_fd (&scene.listener));
  scene_connect_async (&scene, "a", "127.0.0.1", G_SOCKET_FAMILY_INVALID, NULL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "lost", &error));
  witness_expect (&scene.witness, "a:connection-refused error:connection-refused close");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, ECONNREFUSED);
  g_assert_cmpstr (usock_socket_get_error_call (USOCK_SOCKET (scene.channel)), ==, "connect");
  g_assert_true (usock_socket_get_had_error (USOCK_SOCKET (scene.channel)));
  g_assert_false (scene_connect (&scene, "127.0.0.1", &failure));
  assert_error_code (failure, G_IO_ERROR_CLOSED);
  scene_stop (&scene);
}

static void
error_cb (UsockSocket *socket,
          GError      *error,
          char       **message)
{
  *message = g_strdup (error->message);
}

static void
test_message (UsockTest     *test,
              gconstpointer  unused)
{
  static const char *const hosts[] = { "127.0.0.1", "there.example" };

  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++)
    {
      Scene scene;
      g_autofree char *message = NULL;
      g_autofree char *expected = NULL;

      scene_start (&scene);
      scene_knows (&scene, "there.example", "127.0.0.1");
      close (g_steal_fd (&scene.listener));
      g_signal_connect (scene.channel, "error", G_CALLBACK (error_cb), &message);
      usock_test_no_error (scene_connect (&scene, hosts[i], &error));
      usock_test_wait_until (scene.witness.n_closed == 1);
      expected = g_strdup_printf ("Could not connect to “%s:%u”: %s", hosts[i], scene.port,
                                  g_strerror (ECONNREFUSED));
      g_assert_cmpstr (message, ==, expected);
      scene_stop (&scene);
    }
}

/* What is known at once leaves the stream as it was. */
static void
test_known_at_once (UsockTest     *test,
                    gconstpointer  unused)
{
  static const struct
  {
    UsockIoCall call;
    int errnum;
    int code;
  } faults[] = {
    { USOCK_IO_SOCKET, EMFILE, G_IO_ERROR_TOO_MANY_OPEN_FILES },
    { USOCK_IO_SET_OPTION, EPERM, G_IO_ERROR_PERMISSION_DENIED },
    { USOCK_IO_BIND, EADDRINUSE, G_IO_ERROR_ADDRESS_IN_USE },
    { USOCK_IO_CONNECT, ENETUNREACH, G_IO_ERROR_NETWORK_UNREACHABLE },
  };
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  Scene scene;
  GError *failure = NULL;

  scene_start (&scene);
  scene_bind (&scene, any);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      usock_io_fault_add (faults[i].call, faults[i].errnum, 1, 0);
      g_assert_false (scene_connect (&scene, "127.0.0.1", &failure));
      assert_error_code (failure, faults[i].code);
      g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
      g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (scene.channel)), ==,
                       G_SOCKET_FAMILY_UNIX);
      g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==,
                       faults[i].errnum);
    }
  scene_settle ();
  witness_assert (&scene.witness, "");
  usock_test_no_error (scene_connect (&scene, "127.0.0.1", &error));
  witness_expect (&scene.witness, "connect");
  scene_stop (&scene);
}

/* The connection is there, and cannot be used. */
static void
test_fails_when_connected (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_connect_async (&scene, "a", "127.0.0.1", G_SOCKET_FAMILY_INVALID, NULL);
  usock_io_fault_add (USOCK_IO_SET_OPTION, EPERM, 1, 0);
  witness_expect (&scene.witness, "a:permission-denied error:permission-denied close");
  scene_stop (&scene);
}

static void
test_twice (UsockTest     *test,
            gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;

  scene_start (&scene);
  usock_test_no_error (scene_connect (&scene, "127.0.0.1", &error));
  g_assert_false (scene_connect (&scene, "127.0.0.1", &failure));
  assert_error_code (failure, G_IO_ERROR_PENDING);
  g_assert_false (usock_channel_connect_to_path (scene.channel, "/x", &failure));
  assert_error_code (failure, G_IO_ERROR_PENDING);
  scene_connect_async (&scene, "a", "there.example", G_SOCKET_FAMILY_INVALID, NULL);
  witness_expect (&scene.witness, "a:pending connect");
  g_assert_false (scene_connect (&scene, "127.0.0.1", &failure));
  assert_error_code (failure, G_IO_ERROR_EXISTS);
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_OPEN);
  g_assert_cmpuint (scene.resolver->n_asked, ==, 0);
  scene_stop (&scene);
}

static void
test_timeout (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;

  scene_start_silent (&scene);
  usock_channel_set_connect_timeout (scene.channel, 50);
  scene_connect_async (&scene, "a", "127.0.0.1", G_SOCKET_FAMILY_INVALID, NULL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "lost", &error));
  witness_expect (&scene.witness, "a:timed-out error:timed-out close");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, ETIMEDOUT);
  scene_stop (&scene);
}

static void
test_cancelled (UsockTest     *test,
                gconstpointer  unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *text = NULL;
  Scene scene;
  int peer, other;

  scene_start_silent (&scene);
  scene_connect_async (&scene, "a", "127.0.0.1", G_SOCKET_FAMILY_INVALID, cancellable);
  usock_test_no_error (usock_channel_send_text (scene.channel, "never", &error));
  witness_receive (&scene.witness, scene.channel, "b", NULL);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  witness_expect (&scene.witness, "a:cancelled b:cancelled");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
  g_assert_cmpuint (usock_channel_get_queued_bytes (scene.channel), ==, 0);
  scene_connect_async (&scene, "c", "127.0.0.1", G_SOCKET_FAMILY_INVALID, cancellable);
  witness_expect (&scene.witness, "c:cancelled");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);

  other = listen_on ("127.0.0.1", 0, 8);
  scene.port = port_of (other);
  close (scene.listener);
  scene.listener = other;
  g_clear_object (&cancellable);
  cancellable = g_cancellable_new ();
  scene_connect_async (&scene, "d", "127.0.0.1", G_SOCKET_FAMILY_INVALID, cancellable);
  g_cancellable_cancel (cancellable);
  scene_connect_async (&scene, "e", "127.0.0.1", G_SOCKET_FAMILY_INVALID, NULL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "again", &error));
  witness_expect (&scene.witness, "d:cancelled connect e:ok");
  /* The kernel may have made a connection of the one that was cancelled, too. */
  while (text == NULL)
    {
      peer = scene_accept (&scene);
      text = scene_receive (peer);
      close (peer);
    }
  g_assert_cmpstr (text, ==, "again");
  scene_stop (&scene);
}

/* Not only by TCP. */
static void
test_path_after_cancel (UsockTest     *test,
                        gconstpointer  unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autofree char *path = usock_test_path (test, "socket");
  Scene scene;

  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  scene_start_silent (&scene);
  scene_connect_async (&scene, "a", "127.0.0.1", G_SOCKET_FAMILY_INVALID, cancellable);
  scene_settle ();
  g_cancellable_cancel (cancellable);
  witness_expect (&scene.witness, "a:cancelled");
  usock_test_no_error (usock_channel_connect_to_path (scene.channel, path, &error));
  witness_expect (&scene.witness, "connect");
  g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (scene.channel)), ==,
                   G_SOCKET_FAMILY_UNIX);
  scene_stop (&scene);
  usock_socket_close (USOCK_SOCKET (server));
}

static void
test_closed_while_connecting (UsockTest     *test,
                              gconstpointer  unused)
{
  Scene scene;

  scene_start_silent (&scene);
  scene_connect_async (&scene, "a", "127.0.0.1", G_SOCKET_FAMILY_INVALID, NULL);
  scene_settle ();
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_expect (&scene.witness, "a:closed close");
  scene_stop (&scene);
}

/* Also in the very turn in which the connection is there. */
static void
test_closed_when_connected (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;
  int peer;

  scene_start (&scene);
  scene_connect_async (&scene, "a", "127.0.0.1", G_SOCKET_FAMILY_INVALID, NULL);
  peer = scene_accept (&scene);
  usock_socket_close (USOCK_SOCKET (scene.channel));
  witness_expect (&scene.witness, "a:closed close");
  scene_stop (&scene);
  close (peer);
}

static void
test_dropped_while_connecting (UsockTest     *test,
                               gconstpointer  unused)
{
  Scene scene;
  gpointer channel;

  scene_start (&scene);
  channel = scene.channel;
  usock_test_no_error (scene_connect (&scene, "127.0.0.1", &error));
  g_object_add_weak_pointer (channel, &channel);
  g_object_unref (channel);
  witness_expect (&scene.witness, "connect");
  g_assert_nonnull (channel);
  g_object_ref (scene.channel);
  g_object_remove_weak_pointer (G_OBJECT (scene.channel), &channel);
  scene_stop (&scene);
}

static void
test_context_goes (UsockTest     *test,
                   gconstpointer  unused)
{
  GMainContext *context = g_main_context_new ();
  Scene scene;

  g_main_context_push_thread_default (context);
  scene_start_silent (&scene);
  usock_test_no_error (scene_connect (&scene, "127.0.0.1", &error));
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_CLOSED);
  scene_stop (&scene);
}

/* The child's copies go without touching what the parent does. */
static void
test_forked_while_connecting (UsockTest     *test,
                              gconstpointer  unused)
{
  Scene scene;
  int status;
  pid_t child;

  scene_start (&scene);
  usock_test_no_error (scene_connect (&scene, "127.0.0.1", &error));
  child = fork ();
  if (child == 0)
    {
      usock_socket_close (USOCK_SOCKET (scene.channel));
      _exit (usock_socket_get_state (USOCK_SOCKET (scene.channel)) != USOCK_STATE_CLOSED);
    }
  g_assert_no_errno (waitpid (child, &status, 0));
  g_assert_cmpint (status, ==, 0);
  witness_expect (&scene.witness, "connect");
  scene_stop (&scene);
}

/* By name. */

static void
lookup_cb (UsockStream   *stream,
           const GError  *error,
           const char    *address,
           GSocketFamily  family,
           const char    *host,
           GString       *words)
{
  g_assert_true ((error == NULL) == (address != NULL));
  g_assert_cmpint (family, ==,
                   error != NULL                    ? G_SOCKET_FAMILY_INVALID
                   : strchr (address, ':') != NULL ? G_SOCKET_FAMILY_IPV6
                                                   : G_SOCKET_FAMILY_IPV4);
  g_string_append_printf (words, "%s=%s ", host, error != NULL ? witness_code (error) : address);
}

static void
assert_lookups (Scene      *scene,
                const char *host,
                const char *expected,
                const char *words)
{
  g_autoptr (GString) found = g_string_new (NULL);
  gulong handler = g_signal_connect (scene->channel, "lookup", G_CALLBACK (lookup_cb), found);

  scene_connect_async (scene, "a", host, G_SOCKET_FAMILY_INVALID, NULL);
  witness_expect (&scene->witness, words);
  g_assert_cmpstr (found->str, ==, expected);
  g_signal_handler_disconnect (scene->channel, handler);
}

static void
test_host (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_knows (&scene, "there.example", "127.0.0.1");
  assert_lookups (&scene, "there.example", "there.example=127.0.0.1 ", "lookup connect a:ok");
  scene_assert_peer (&scene, "127.0.0.1");
  scene_stop (&scene);
}

static void
test_localhost (UsockTest     *test,
                gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_connect_async (&scene, "a", "localhost", G_SOCKET_FAMILY_IPV4, NULL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "early", &error));
  witness_expect (&scene.witness, "lookup connect a:ok");
  g_assert_cmpuint (scene.resolver->n_asked, ==, 0);
  scene_stop (&scene);
}

static void
test_dead_addresses_first (UsockTest     *test,
                           gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_knows (&scene, "there.example", "127.0.0.2 127.0.0.3 ::1 127.0.0.1");
  assert_lookups (&scene, "there.example",
                  "there.example=::1 there.example=127.0.0.2 there.example=127.0.0.3 "
                  "there.example=127.0.0.1 ",
                  "lookup lookup lookup lookup connect a:ok");
  scene_assert_peer (&scene, "127.0.0.1");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, 0);
  scene_stop (&scene);
}

typedef struct
{
  GString *told;
  UsockStream *closes; /* NULL if not */
} Attempts;

static void
attempt_failed_cb (UsockStream    *stream,
                   GSocketAddress *address,
                   const GError   *error,
                   Attempts       *attempts)
{
  g_autofree char *text = g_inet_address_to_string (
      g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address)));

  g_string_append_printf (attempts->told, "%s:%s ", text, witness_code (error));
  if (attempts->closes != NULL)
    usock_socket_close (USOCK_SOCKET (attempts->closes));
}

static void
store_error_cb (UsockStream   *stream,
                const GError  *error,
                GError       **stored)
{
  *stored = g_error_copy (error);
}

/* Each address that fails is told, and the last error has all of them. */
static void
test_each_failure (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (GError) stored = NULL;
  g_autofree char *expected = NULL;
  Attempts attempts = { .told = g_string_new (NULL) };
  Scene scene;

  scene_start (&scene);
  g_signal_connect (scene.channel, "attempt-failed", G_CALLBACK (attempt_failed_cb), &attempts);
  g_signal_connect (scene.channel, "error", G_CALLBACK (store_error_cb), &stored);
  scene_knows (&scene, "dead.example", "127.0.0.2 127.0.0.3");
  usock_test_no_error (scene_connect (&scene, "dead.example", &error));
  witness_expect (&scene.witness, "lookup lookup error:connection-refused close");
  g_assert_cmpstr (attempts.told->str, ==,
                   "127.0.0.2:connection-refused 127.0.0.3:connection-refused ");
  expected = g_strdup_printf ("Could not connect to “dead.example:%u”: 127.0.0.2:%u: Connection "
                              "refused; 127.0.0.3:%u: Connection refused",
                              scene.port, scene.port, scene.port);
  g_assert_cmpstr (stored->message, ==, expected);
  scene_stop (&scene);
  g_string_truncate (attempts.told, 0);

  /* Those before the one that answers. */
  scene_start (&scene);
  g_signal_connect (scene.channel, "attempt-failed", G_CALLBACK (attempt_failed_cb), &attempts);
  scene_knows (&scene, "some.example", "127.0.0.2 127.0.0.1");
  usock_test_no_error (scene_connect (&scene, "some.example", &error));
  witness_expect (&scene.witness, "lookup lookup connect");
  g_assert_cmpstr (attempts.told->str, ==, "127.0.0.2:connection-refused ");
  scene_stop (&scene);
  g_string_truncate (attempts.told, 0);

  /* A handler that has seen enough. */
  scene_start (&scene);
  g_signal_connect (scene.channel, "attempt-failed", G_CALLBACK (attempt_failed_cb), &attempts);
  attempts.closes = USOCK_STREAM (scene.channel);
  scene_knows (&scene, "some.example", "127.0.0.2 127.0.0.3 127.0.0.1");
  usock_test_no_error (scene_connect (&scene, "some.example", &error));
  usock_test_wait_until (scene.witness.n_closed == 1);
  g_assert_cmpstr (attempts.told->str, ==, "127.0.0.2:connection-refused ");
  scene_stop (&scene);
  g_string_free (attempts.told, TRUE);
}

static void
count_notify_cb (UsockStream *stream,
                 GParamSpec  *pspec,
                 guint       *count)
{
  (*count)++;
}

static void
test_attempt_delay (UsockTest     *test,
                    gconstpointer  unused)
{
  UsockStream *stream;
  Scene scene;
  guint delay, n_notified = 0;

  scene_start_silent (&scene);
  stream = USOCK_STREAM (scene.channel);
  g_object_get (stream, "attempt-delay", &delay, NULL);
  g_assert_cmpuint (delay, ==, 250);
  g_signal_connect (stream, "notify::attempt-delay", G_CALLBACK (count_notify_cb), &n_notified);
  g_object_set (stream, "attempt-delay", 3600 * 1000, NULL);
  g_object_set (stream, "attempt-delay", 3600 * 1000, NULL);
  g_assert_cmpuint (usock_stream_get_attempt_delay (stream), ==, 3600 * 1000);
  g_assert_cmpuint (n_notified, ==, 1);

  /* The second would refuse at once, were it asked. */
  usock_channel_set_connect_timeout (scene.channel, 600);
  scene_knows (&scene, "slow.example", "127.0.0.1 127.0.0.2");
  usock_test_no_error (scene_connect (&scene, "slow.example", &error));
  witness_expect (&scene.witness, "lookup lookup error:timed-out close");
  scene_stop (&scene);
}

static void
test_ipv6 (UsockTest     *test,
           gconstpointer  unused)
{
  Scene scene;

  scene_start_on (&scene, "::1", 8);
  scene_knows (&scene, "there.example", "::1");
  assert_lookups (&scene, "there.example", "there.example=::1 ", "lookup connect a:ok");
  scene_assert_peer (&scene, "::1");
  g_assert_cmpint (usock_socket_get_family (USOCK_SOCKET (scene.channel)), ==,
                   G_SOCKET_FAMILY_IPV6);
  scene_stop (&scene);
}

static void
test_family (UsockTest     *test,
             gconstpointer  unused)
{
  Scene scene;
  GError *failure = NULL;

  scene_start (&scene);
  scene_knows (&scene, "both.example", "::1 127.0.0.1");
  scene_knows (&scene, "old.example", "127.0.0.1");
  g_assert_false (usock_stream_connect_to_host (USOCK_STREAM (scene.channel), "127.0.0.1",
                                                scene.port, G_SOCKET_FAMILY_IPV6, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  scene_connect_async (&scene, "a", "both.example", G_SOCKET_FAMILY_IPV4, NULL);
  witness_expect (&scene.witness, "lookup connect a:ok");
  scene_assert_peer (&scene, "127.0.0.1");
  scene_stop (&scene);

  scene_start (&scene);
  scene_knows (&scene, "old.example", "127.0.0.1");
  scene_connect_async (&scene, "a", "old.example", G_SOCKET_FAMILY_IPV6, NULL);
  witness_expect (&scene.witness, "a:host-not-found error:host-not-found close");
  scene_stop (&scene);
}

static void
test_literals (UsockTest     *test,
               gconstpointer  unused)
{
  static const char *const hosts[] = { "127.0.0.1", "::1", "::1%1", "::ffff:127.0.0.1" };

  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++)
    {
      Scene scene;

      scene_start_on (&scene, i == 0 || i == 3 ? "127.0.0.1" : "::1", 8);
      usock_test_no_error (scene_connect (&scene, hosts[i], &error));
      witness_expect (&scene.witness, "connect");
      g_assert_cmpuint (scene.resolver->n_asked, ==, 0);
      scene_stop (&scene);
    }
}

static void
test_scope (UsockTest     *test,
            gconstpointer  unused)
{
  g_autofree char *message = NULL;
  Scene scene;

  scene_start (&scene);
  g_signal_connect (scene.channel, "error", G_CALLBACK (error_cb), &message);
  usock_channel_set_connect_timeout (scene.channel, 1);
  if (scene_connect (&scene, "fe80::1%lo", NULL))
    {
      usock_test_wait_until (scene.witness.n_closed == 1);
      g_assert_true (strstr (message, "[fe80::1%1]:") != NULL);
    }
  else
    {
      GError *failure = NULL;

      g_assert_false (scene_connect (&scene, "fe80::1%lo", &failure));
      g_assert_true (strstr (failure->message, "[fe80::1%1]:") != NULL);
      g_clear_error (&failure);
    }
  g_assert_cmpuint (scene.resolver->n_asked, ==, 0);
  scene_stop (&scene);
}

static void
test_wrong_hosts (UsockTest     *test,
                  gconstpointer  unused)
{
  /* More than 63 bytes of a name have no dot in between. */
  static const char *const hosts[]
      = { "", "\xff", "127.0.0.1",
          "☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃☃" };
  Scene scene;

  scene_start (&scene);
  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++)
    {
      GError *failure = NULL;
      guint port = i == 2 ? 65536 : 80;

      g_assert_false (usock_stream_connect_to_host (USOCK_STREAM (scene.channel), hosts[i], port,
                                                    G_SOCKET_FAMILY_INVALID, &failure));
      assert_error_code (failure, G_IO_ERROR_INVALID_ARGUMENT);
    }
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_NEW);
  scene_stop (&scene);
}

static void
test_unknown_host (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  assert_lookups (&scene, "nowhere.example", "nowhere.example=host-not-found ",
                  "lookup a:host-not-found error:host-not-found close");
  scene_stop (&scene);

  scene_start (&scene);
  scene_knows (&scene, "nowhere.example", "later");
  assert_lookups (&scene, "nowhere.example", "nowhere.example=network-unreachable ",
                  "lookup a:network-unreachable error:network-unreachable close");
  scene_stop (&scene);
}

static void
test_slow_lookup (UsockTest     *test,
                  gconstpointer  unused)
{
  g_autofree char *text = NULL;
  Scene scene;
  int peer;

  scene_start (&scene);
  scene_knows (&scene, "there.example", "127.0.0.1");
  scene.resolver->slow = TRUE;
  scene_connect_async (&scene, "a", "there.example", G_SOCKET_FAMILY_INVALID, NULL);
  usock_test_no_error (usock_channel_send_text (scene.channel, "early", &error));
  scene_settle ();
  witness_assert (&scene.witness, "");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_CONNECTING);
  scene_resolve (&scene);
  witness_expect (&scene.witness, "lookup connect a:ok");
  peer = scene_accept (&scene);
  text = scene_receive (peer);
  g_assert_cmpstr (text, ==, "early");
  scene_stop (&scene);
  close (peer);
}

static void
assert_lookup_cancelled (Scene *scene)
{
  g_assert_cmpuint (scene->resolver->waiting.length, >, 0);
  for (GList *link = scene->resolver->waiting.head; link != NULL; link = link->next)
    g_assert_true (g_cancellable_is_cancelled (g_task_get_cancellable (link->data)));
}

/* Nothing of it is left, however the lookup ends. */
static void
test_lookup_given_up (UsockTest     *test,
                      gconstpointer  unused)
{
  static const char *const words[] = {
    "a:cancelled",
    "a:closed close",
    "a:timed-out error:timed-out close",
  };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      Scene scene;

      scene_start (&scene);
      scene_knows (&scene, "there.example", "127.0.0.1");
      scene.resolver->slow = TRUE;
      if (i == 2)
        usock_channel_set_connect_timeout (scene.channel, 20);
      scene_connect_async (&scene, "a", "there.example", G_SOCKET_FAMILY_INVALID, cancellable);
      scene_settle ();
      if (i == 0)
        g_cancellable_cancel (cancellable);
      else if (i == 1)
        usock_socket_close (USOCK_SOCKET (scene.channel));
      witness_expect (&scene.witness, words[i]);
      assert_lookup_cancelled (&scene);
      if (i == 0)
        {
          scene_connect_async (&scene, "b", "127.0.0.1", G_SOCKET_FAMILY_INVALID, NULL);
          scene_resolve (&scene);
          witness_expect (&scene.witness, "connect b:ok");
        }
      scene_resolve (&scene);
      scene_settle ();
      witness_assert (&scene.witness, "");
      scene_stop (&scene);
    }
}

static void
close_cb (UsockStream   *stream,
          const GError  *error,
          const char    *address,
          GSocketFamily  family,
          const char    *host,
          gpointer       data)
{
  usock_socket_close (USOCK_SOCKET (stream));
}

static void
test_closed_by_lookup (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_knows (&scene, "there.example", "127.0.0.1 127.0.0.2");
  g_signal_connect (scene.channel, "lookup", G_CALLBACK (close_cb), NULL);
  scene_connect_async (&scene, "a", "there.example", G_SOCKET_FAMILY_INVALID, NULL);
  witness_expect (&scene.witness, "lookup a:closed close");
  g_assert_cmpint (accept (scene.listener, NULL, NULL), ==, -1);
  scene_stop (&scene);
}

static void
nested_cb (UsockStream   *stream,
           const GError  *error,
           const char    *address,
           GSocketFamily  family,
           const char    *host,
           Scene         *scene)
{
  g_signal_handlers_disconnect_by_func (stream, nested_cb, scene);
  usock_test_wait_until (scene_state (scene) == USOCK_STATE_OPEN);
}

static void
test_nested_loop_in_lookup (UsockTest     *test,
                            gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  scene_knows (&scene, "there.example", "127.0.0.2 127.0.0.1");
  g_signal_connect (scene.channel, "lookup", G_CALLBACK (nested_cb), &scene);
  scene_connect_async (&scene, "a", "there.example", G_SOCKET_FAMILY_INVALID, NULL);
  witness_expect (&scene.witness, "lookup lookup connect a:ok");
  scene_stop (&scene);
}

static gboolean
connectable_finish (UsockChannel  *channel,
                    GAsyncResult  *result,
                    GError       **error)
{
  return usock_stream_connect_to_connectable_finish (USOCK_STREAM (channel), result, error);
}

static void
test_connectables (UsockTest     *test,
                   gconstpointer  unused)
{
  static const char *const words[]
      = { "connect a:ok", "lookup connect a:ok", "a:not-found" };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      g_autoptr (GSocketConnectable) connectable = NULL;
      Scene scene;

      scene_start (&scene);
      scene_knows (&scene, "there.example", "127.0.0.1");
      if (i == 0)
        connectable = G_SOCKET_CONNECTABLE (
            g_inet_socket_address_new_from_string ("127.0.0.1", scene.port));
      else if (i == 1)
        connectable = g_network_address_new ("there.example", scene.port);
      else
        connectable = G_SOCKET_CONNECTABLE (usock_address_parse ("/nowhere", NULL));
      usock_stream_connect_to_connectable_async (
          USOCK_STREAM (scene.channel), connectable, NULL, witness_done,
          witness_call (&scene.witness, "a", connectable_finish));
      witness_expect (&scene.witness, words[i]);
      scene_stop (&scene);
    }
}

/* From where, and how. */

static void
test_bind_address (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autoptr (GSocketAddress) from = g_inet_socket_address_new_from_string ("127.0.0.77", 0);
  g_autoptr (GSocketAddress) foreign = g_inet_socket_address_new_from_string ("192.0.2.1", 0);
  g_autofree char *text = NULL;
  GSocketAddress *local;
  GError *failure = NULL;
  Scene scene;

  scene_start (&scene);
  scene_knows (&scene, "there.example", "::1 127.0.0.1");
  scene_bind (&scene, foreign);
  g_assert_false (scene_connect (&scene, "127.0.0.1", &failure));
  assert_error_code (failure, G_IO_ERROR_FAILED);
  g_assert_cmpstr (usock_socket_get_error_call (USOCK_SOCKET (scene.channel)), ==, "bind");
  g_object_set (scene.channel, "bind-address", from, NULL);
  g_assert_true (usock_stream_get_bind_address (USOCK_STREAM (scene.channel))
                 == G_INET_SOCKET_ADDRESS (from));
  scene_connect_async (&scene, "a", "there.example", G_SOCKET_FAMILY_INVALID, NULL);
  witness_expect (&scene.witness, "lookup lookup connect a:ok");
  local = usock_socket_get_local_address (USOCK_SOCKET (scene.channel));
  text = g_inet_address_to_string (
      g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (local)));
  g_assert_cmpstr (text, ==, "127.0.0.77");
  scene_stop (&scene);
}

static void
test_bind_port_taken (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autoptr (GSocketAddress) from = NULL;
  GError *failure = NULL;
  Scene scene;

  scene_start (&scene);
  from = g_inet_socket_address_new_from_string ("127.0.0.1", scene.port);
  scene_bind (&scene, from);
  g_assert_false (scene_connect (&scene, "127.0.0.1", &failure));
  assert_error_code (failure, G_IO_ERROR_ADDRESS_IN_USE);
  usock_stream_set_bind_address (USOCK_STREAM (scene.channel), NULL);
  usock_test_no_error (scene_connect (&scene, "127.0.0.1", &error));
  witness_expect (&scene.witness, "connect");
  scene_stop (&scene);
}

static void
assert_option (UsockChannel *channel,
               int           level,
               int           name,
               int           expected)
{
  int value = -1;
  socklen_t length = sizeof value;

  g_assert_no_errno (getsockopt (usock_socket_get_fd (USOCK_SOCKET (channel)), level, name, &value,
                                 &length));
  g_assert_cmpint (value, ==, expected);
}

static void
test_options (UsockTest     *test,
              gconstpointer  unused)
{
  Scene scene;
  UsockStream *stream;

  scene_start (&scene);
  stream = USOCK_STREAM (scene.channel);
  usock_stream_set_no_delay (stream, TRUE);
  usock_stream_set_keep_alive (stream, TRUE);
  usock_stream_set_keep_alive_delay (stream, 1500);
  usock_test_no_error (scene_connect (&scene, "127.0.0.1", &error));
  witness_expect (&scene.witness, "connect");
  assert_option (scene.channel, IPPROTO_TCP, TCP_NODELAY, 1);
  assert_option (scene.channel, SOL_SOCKET, SO_KEEPALIVE, 1);
  assert_option (scene.channel, IPPROTO_TCP, TCP_KEEPIDLE, 2);
  usock_stream_set_no_delay (stream, FALSE);
  usock_stream_set_keep_alive (stream, FALSE);
  usock_stream_set_keep_alive_delay (stream, 7000);
  assert_option (scene.channel, IPPROTO_TCP, TCP_NODELAY, 0);
  assert_option (scene.channel, SOL_SOCKET, SO_KEEPALIVE, 0);
  assert_option (scene.channel, IPPROTO_TCP, TCP_KEEPIDLE, 7);
  scene_stop (&scene);
}

/* What is set while the race is on holds for the winner. */
static void
test_options_while_connecting (UsockTest     *test,
                               gconstpointer  unused)
{
  Scene scene;

  scene_start (&scene);
  usock_test_no_error (scene_connect (&scene, "127.0.0.1", &error));
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_CONNECTING);
  usock_stream_set_no_delay (USOCK_STREAM (scene.channel), TRUE);
  witness_expect (&scene.witness, "connect");
  assert_option (scene.channel, IPPROTO_TCP, TCP_NODELAY, 1);
  scene_stop (&scene);
}

/* How it ends. */

static int
scene_connected (Scene *scene)
{
  scene_start (scene);
  usock_test_no_error (scene_connect (scene, "127.0.0.1", &error));
  witness_expect (&scene->witness, "connect");
  return scene_accept (scene);
}

static void
abort_peer (int fd)
{
  const struct linger now = { TRUE, 0 };

  g_assert_no_errno (setsockopt (fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
  close (fd);
}

static void
test_reset (UsockTest     *test,
            gconstpointer  unused)
{
  struct pollfd poll_fd = { .events = POLLIN };
  Scene scene;
  char byte;

  poll_fd.fd = scene_connected (&scene);
  usock_stream_reset (USOCK_STREAM (scene.channel));
  witness_expect (&scene.witness, "close");
  g_assert_cmpint (poll (&poll_fd, 1, 10 * 1000), ==, 1);
  g_assert_cmpint (recv (poll_fd.fd, &byte, 1, 0), ==, -1);
  g_assert_cmpint (errno, ==, ECONNRESET);
  scene_stop (&scene);
  close (poll_fd.fd);
}

static void
test_reset_by_peer (UsockTest     *test,
                    gconstpointer  unused)
{
  Scene scene;

  abort_peer (scene_connected (&scene));
  witness_expect (&scene.witness, "error:broken-pipe close");
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (scene.channel)), ==, ECONNRESET);
  scene_stop (&scene);
}

/* The kernel forgets where the connection went to, together with the connection. */
static void
test_peer_is_remembered (UsockTest     *test,
                         gconstpointer  unused)
{
  Scene scene;

  abort_peer (scene_connected (&scene));
  witness_expect (&scene.witness, "error:broken-pipe close");
  scene_assert_peer (&scene, "127.0.0.1");
  scene_stop (&scene);

  close (scene_connected (&scene));
  witness_expect (&scene.witness, "end close");
  scene_assert_peer (&scene, "127.0.0.1");
  scene_stop (&scene);
}

static void
expect_named (UsockSocket  *socket,
              const GError *error,
              gpointer      name)
{
  g_autofree char *quoted = g_strdup_printf ("“%s”", (const char *) name);

  g_assert_nonnull (strstr (error->message, quoted));
}

static void
test_adopted_peer_is_remembered (UsockTest     *test,
                                 gconstpointer  unused)
{
  g_autofree char *name = NULL;
  Scene scene, adopted;
  int fd;

  fd = scene_connected (&scene);
  adopted = scene;
  adopted.port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (
      usock_socket_get_local_address (USOCK_SOCKET (scene.channel))));
  name = g_strdup_printf ("127.0.0.1:%u", adopted.port);
  usock_test_no_error (adopted.channel = (gpointer) usock_stream_new_from_fd (fd, &error));
  witness_init (&adopted.witness);
  witness_watch (&adopted.witness, adopted.channel, ALL);
  g_signal_connect (adopted.channel, "error", G_CALLBACK (expect_named), name);
  usock_stream_reset (USOCK_STREAM (scene.channel));
  witness_expect (&adopted.witness, "error:broken-pipe close");
  scene_assert_peer (&adopted, "127.0.0.1");
  scene_close (adopted.channel);
  witness_clear (&adopted.witness);
  scene_stop (&scene);
}

/* What came before is delivered before. */
static void
test_reset_after_data (UsockTest     *test,
                       gconstpointer  unused)
{
  Scene scene;
  int peer = scene_connected (&scene);

  scene_send (peer, "last-words");
  abort_peer (peer);
  witness_expect (&scene.witness, "data:last-words error:broken-pipe close");
  scene_stop (&scene);
}

/* Our side is left to the program, as on every other socket. */
static void
test_sending_to_closed (UsockTest     *test,
                        gconstpointer  unused)
{
  GError *failure = NULL;
  Scene scene;
  int peer = scene_connected (&scene);

  usock_channel_set_allow_half_open (scene.channel, TRUE);
  close (peer);
  witness_expect (&scene.witness, "end");
  usock_test_no_error (usock_channel_send_text (scene.channel, "answered by a reset", &error));
  usock_test_wait_until (!usock_channel_send_text (scene.channel, "more", &failure));
  assert_error_code (failure, G_IO_ERROR_BROKEN_PIPE);
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_WRITE_ONLY);
  usock_channel_end (scene.channel);
  witness_expect (&scene.witness, "close");
  scene_stop (&scene);
}

static void
test_half_open (UsockTest     *test,
                gconstpointer  unused)
{
  g_autofree char *text = NULL;
  g_autofree char *rest = NULL;
  Scene scene;
  int peer = scene_connected (&scene);

  usock_channel_set_allow_half_open (scene.channel, TRUE);
  scene_send (peer, "question");
  g_assert_no_errno (shutdown (peer, SHUT_WR));
  witness_expect (&scene.witness, "data:question end");
  g_assert_cmpint (scene_state (&scene), ==, USOCK_STATE_WRITE_ONLY);
  usock_test_no_error (usock_channel_send_text (scene.channel, "answer", &error));
  text = scene_receive (peer);
  g_assert_cmpstr (text, ==, "answer");
  usock_channel_end (scene.channel);
  witness_expect (&scene.witness, "close");
  rest = scene_receive (peer);
  g_assert_null (rest);
  scene_stop (&scene);
  close (peer);
}

static void
test_other_half_open (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autofree char *rest = NULL;
  Scene scene;
  int peer = scene_connected (&scene);

  usock_channel_end (scene.channel);
  rest = scene_receive (peer);
  g_assert_null (rest);
  scene_send (peer, "still-here");
  witness_expect (&scene.witness, "data:still-here");
  close (peer);
  witness_expect (&scene.witness, "end close");
  scene_stop (&scene);
}

static void
test_idle_timeout (UsockTest     *test,
                   gconstpointer  unused)
{
  Scene scene;
  int peer = scene_connected (&scene);

  usock_channel_set_idle_timeout (scene.channel, 20);
  witness_expect (&scene.witness, "timeout");
  scene_send (peer, "x");
  witness_expect (&scene.witness, "data:x");
  usock_test_wait_until (scene.witness.n_words == 1);
  witness_assert (&scene.witness, "timeout");
  scene_stop (&scene);
  close (peer);
}

static void
test_send_timeout (UsockTest     *test,
                   gconstpointer  unused)
{
  g_autofree char *block = g_malloc0 (1024 * 1024);
  Scene scene;
  int peer = scene_connected (&scene);

  usock_channel_set_send_timeout (scene.channel, 100);
  /* More than both buffers of the kernel grow to. */
  while (usock_channel_send (scene.channel, (const guint8 *) block, 1024 * 1024, NULL))
    ;
  witness_expect (&scene.witness, "error:timed-out close");
  scene_stop (&scene);
  close (peer);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  /* The first task makes the context of GLib's own thread, with a descriptor for ever. */
  g_object_unref (g_task_new (NULL, NULL, NULL, NULL));

#define ADD(path, function) usock_test_add ("/usock/stream-connect/" path, function)
  ADD ("address", test_address);
  ADD ("ended-early", test_ended_early);
  ADD ("refused", test_refused);
  ADD ("message", test_message);
  ADD ("known-at-once", test_known_at_once);
  ADD ("fails-when-connected", test_fails_when_connected);
  ADD ("twice", test_twice);
  ADD ("timeout", test_timeout);
  ADD ("cancelled", test_cancelled);
  ADD ("path-after-cancel", test_path_after_cancel);
  ADD ("closed-while-connecting", test_closed_while_connecting);
  ADD ("closed-when-connected", test_closed_when_connected);
  ADD ("dropped-while-connecting", test_dropped_while_connecting);
  ADD ("context-goes", test_context_goes);
  ADD ("forked-while-connecting", test_forked_while_connecting);
  ADD ("host", test_host);
  ADD ("localhost", test_localhost);
  ADD ("dead-addresses-first", test_dead_addresses_first);
  ADD ("each-failure", test_each_failure);
  ADD ("attempt-delay", test_attempt_delay);
  ADD ("ipv6", test_ipv6);
  ADD ("family", test_family);
  ADD ("literals", test_literals);
  ADD ("scope", test_scope);
  ADD ("wrong-hosts", test_wrong_hosts);
  ADD ("unknown-host", test_unknown_host);
  ADD ("slow-lookup", test_slow_lookup);
  ADD ("lookup-given-up", test_lookup_given_up);
  ADD ("closed-by-lookup", test_closed_by_lookup);
  ADD ("nested-loop-in-lookup", test_nested_loop_in_lookup);
  ADD ("connectables", test_connectables);
  ADD ("bind-address", test_bind_address);
  ADD ("bind-port-taken", test_bind_port_taken);
  ADD ("options", test_options);
  ADD ("options-while-connecting", test_options_while_connecting);
  ADD ("reset", test_reset);
  ADD ("reset-by-peer", test_reset_by_peer);
  ADD ("peer-is-remembered", test_peer_is_remembered);
  ADD ("adopted-peer-is-remembered", test_adopted_peer_is_remembered);
  ADD ("reset-after-data", test_reset_after_data);
  ADD ("sending-to-closed", test_sending_to_closed);
  ADD ("half-open", test_half_open);
  ADD ("other-half-open", test_other_half_open);
  ADD ("idle-timeout", test_idle_timeout);
  ADD ("send-timeout", test_send_timeout);
#undef ADD

  return g_test_run ();
}
