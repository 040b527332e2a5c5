/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clients with a name of their own. */

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is tried with both kinds. */
typedef struct
{
  const char *name;
  int type;
  UsockChannel *(*new) (void);
  UsockChannel *(*new_from_bound_fd) (gint fd, GError **error);
  gboolean (*bind_to_path) (UsockChannel *channel, const char *path, GError **error);
} Kind;

#define CHANNEL_FUNC(type, function) ((type) (void (*) (void)) (function))

static const Kind kinds[] = {
  { "stream", SOCK_STREAM, CHANNEL_FUNC (UsockChannel *(*) (void), usock_stream_new),
    CHANNEL_FUNC (UsockChannel *(*) (gint, GError **), usock_stream_new_from_bound_fd),
    CHANNEL_FUNC (gboolean (*) (UsockChannel *, const char *, GError **),
                  usock_stream_bind_to_path) },
  { "seqpacket", SOCK_SEQPACKET, CHANNEL_FUNC (UsockChannel *(*) (void), usock_seqpacket_new),
    CHANNEL_FUNC (UsockChannel *(*) (gint, GError **), usock_seqpacket_new_from_bound_fd),
    CHANNEL_FUNC (gboolean (*) (UsockChannel *, const char *, GError **),
                  usock_seqpacket_bind_to_path) },
};

static int
make_name (const char         *text,
           struct sockaddr_un *name)
{
  *name = (struct sockaddr_un) { .sun_family = AF_UNIX };
  g_strlcpy (name->sun_path, text, sizeof name->sun_path);
  if (text[0] == '@')
    name->sun_path[0] = '\0';
  return G_STRUCT_OFFSET (struct sockaddr_un, sun_path) + strlen (text) + (text[0] != '@');
}

static int
raw_bound (const Kind *kind,
           const char *text)
{
  struct sockaddr_un name;
  int length = make_name (text, &name);
  int fd = socket (AF_UNIX, kind->type | SOCK_CLOEXEC, 0);

  g_assert_no_errno (fd);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &name, length));
  return fd;
}

static int
raw_listen (const Kind *kind,
            const char *path)
{
  int fd = raw_bound (kind, path);

  g_assert_no_errno (fcntl (fd, F_SETFL, O_NONBLOCK));
  g_assert_no_errno (listen (fd, 0));
  return fd;
}

/* Who comes has that name. */
static int
accept_from (int         listener,
             const char *expected)
{
  struct sockaddr_un name, theirs = { 0 };
  socklen_t length = sizeof theirs;
  int expected_length = make_name (expected, &name);
  int fd = accept4 (listener, (struct sockaddr *) &theirs, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

  g_assert_no_errno (fd);
  g_assert_cmpmem (&theirs, length, &name, expected_length);
  return fd;
}

static void
assert_local_path (UsockChannel *channel,
                   const char   *path)
{
  GSocketAddress *address = usock_socket_get_local_address (USOCK_SOCKET (channel));

  g_assert_cmpstr (g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (address)), ==, path);
}

static void
assert_talks (UsockChannel *channel,
              int           peer)
{
  g_autofree char *text = NULL;

  usock_test_no_error (usock_channel_send_text (channel, "hello", &error));
  text = scene_receive (peer);
  g_assert_cmpstr (text, ==, "hello");
}

static void
try_path (UsockTest  *test,
          const Kind *kind)
{
  g_autofree char *path = usock_test_path (test, "server");
  g_autofree char *own = usock_test_path (test, "client");
  g_autoptr (UsockChannel) channel = kind->new ();
  int listener = raw_listen (kind, path);
  Witness witness;
  struct stat info;
  int peer;

  witness_init (&witness);
  witness_watch (&witness, channel, "connect error close");
  usock_test_no_error (kind->bind_to_path (channel, own, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_NEW);
  assert_local_path (channel, own);
  g_assert_no_errno (lstat (own, &info));
  g_assert_cmpint (info.st_mode & 0777, ==, 0600);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  witness_expect (&witness, "connect");
  peer = accept_from (listener, own);
  assert_local_path (channel, own);
  assert_talks (channel, peer);
  usock_socket_close (USOCK_SOCKET (channel));
  witness_expect (&witness, "close");
  g_assert_cmpint (lstat (own, &info), ==, -1);
  close (peer);
  close (listener);
  unlink (path);
  witness_clear (&witness);
}

static void
test_path (UsockTest     *test,
           gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    try_path (test, &kinds[i]);
}

static void
try_abstract_name (UsockTest  *test,
                   const Kind *kind)
{
  g_autofree char *path = usock_test_path (test, "server");
  g_autofree char *own = g_strdup_printf ("@usock-test-%d-%s", getpid (), kind->name);
  UsockChannel *channel = kind->new ();
  UsockChannel *other = kind->new ();
  int listener = raw_listen (kind, path);
  GError *failure = NULL;
  int peer;

  usock_test_no_error (kind->bind_to_path (channel, own, &error));
  g_assert_false (kind->bind_to_path (other, own, &failure));
  assert_error_code (failure, G_IO_ERROR_ADDRESS_IN_USE);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  peer = accept_from (listener, own);
  assert_talks (channel, peer);
  scene_close (channel);

  /* It is free again. */
  usock_test_no_error (kind->bind_to_path (other, own, &error));
  scene_close (other);
  close (peer);
  close (listener);
  unlink (path);
}

static void
test_abstract_name (UsockTest     *test,
                    gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    try_abstract_name (test, &kinds[i]);
}

static void
try_descriptor (UsockTest  *test,
                const Kind *kind)
{
  g_autofree char *path = usock_test_path (test, "server");
  g_autofree char *own = usock_test_path (test, "client");
  int listener = raw_listen (kind, path);
  int fd = raw_bound (kind, own);
  UsockChannel *channel;
  int peer;

  usock_test_no_error (channel = kind->new_from_bound_fd (fd, &error));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_NEW);
  assert_local_path (channel, own);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  g_assert_cmpint (usock_socket_get_fd (USOCK_SOCKET (channel)), ==, fd);
  peer = accept_from (listener, own);
  assert_talks (channel, peer);
  scene_close (channel);
  /* Whoever made it unlinks it. */
  g_assert_no_errno (unlink (own));
  close (peer);
  close (listener);
  unlink (path);
}

static void
test_descriptor (UsockTest     *test,
                 gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    try_descriptor (test, &kinds[i]);
}

/* What fails at once, or is given up, keeps the name for the next try. */
/* What the program has set on it counts no more than what it has set on others. */
static void
try_marked (UsockTest  *test,
            const Kind *kind)
{
  g_autofree char *path = usock_test_path (test, "server");
  g_autofree char *own = usock_test_path (test, "client");
  int listener = raw_listen (kind, path);
  int fd = raw_bound (kind, own);
  int passes = TRUE;
  UsockChannel *channel;

  g_assert_no_errno (setsockopt (fd, SOL_SOCKET, SO_PASSCRED, &passes, sizeof passes));
  usock_test_no_error (channel = kind->new_from_bound_fd (fd, &error));
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  g_assert_no_errno (
      getsockopt (fd, SOL_SOCKET, SO_PASSCRED, &passes, &(socklen_t){ sizeof passes }));
  g_assert_false (passes);
  g_assert_false (usock_channel_get_pass_credentials (channel));
  scene_close (channel);
  close (listener);
  unlink (own);
  unlink (path);
}

static void
test_marked (UsockTest     *test,
             gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    try_marked (test, &kinds[i]);
}

static void
try_again (UsockTest  *test,
           const Kind *kind)
{
  g_autofree char *path = usock_test_path (test, "server");
  g_autofree char *own = usock_test_path (test, "client");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  UsockChannel *channel = kind->new ();
  UsockChannel *first = kind->new ();
  GError *failure = NULL;
  Witness witness;
  int listener, peer;

  witness_init (&witness);
  usock_test_no_error (kind->bind_to_path (channel, own, &error));
  g_assert_false (usock_channel_connect_to_path (channel, path, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  assert_local_path (channel, own);

  listener = raw_listen (kind, path);
  usock_test_no_error (usock_channel_connect_to_path (first, path, &error));
  usock_channel_connect_to_path_async (channel, path, cancellable, witness_done,
                                       witness_call (&witness, "connect",
                                                     usock_channel_connect_finish));
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (channel)), ==, USOCK_STATE_CONNECTING);
  g_cancellable_cancel (cancellable);
  witness_expect (&witness, "connect:cancelled");
  close (accept (listener, NULL, NULL));

  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  peer = accept_from (listener, own);
  assert_talks (channel, peer);
  scene_close (channel);
  g_assert_false (g_file_test (own, G_FILE_TEST_EXISTS));
  scene_close (first);
  close (peer);
  close (listener);
  unlink (path);
  witness_clear (&witness);
}

static void
test_again (UsockTest     *test,
            gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    try_again (test, &kinds[i]);
}

static void
assert_refused (const Kind *kind,
                int         fd,
                int         code)
{
  GError *failure = NULL;

  g_assert_null (kind->new_from_bound_fd (fd, &failure));
  assert_error_code (failure, code);
  if (fd >= 0)
    g_assert_cmpint (fcntl (fd, F_GETFD), !=, -1);
}

static void
try_refused (UsockTest  *test,
             const Kind *kind)
{
  g_autofree char *path = usock_test_path (test, "server");
  g_autofree char *own = usock_test_path (test, "client");
  g_autofree char *other = usock_test_path (test, "other");
  g_autofree char *nowhere = usock_test_path (test, "none/client");
  UsockChannel *channel = kind->new ();
  int listener = raw_listen (kind, path);
  int inet = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int dgram = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int fds[2];
  GError *failure = NULL;

  g_assert_no_errno (socketpair (AF_UNIX, kind->type | SOCK_CLOEXEC, 0, fds));
  assert_refused (kind, -1, G_IO_ERROR_INVALID_ARGUMENT);
  assert_refused (kind, listener, G_IO_ERROR_EXISTS);
  assert_refused (kind, fds[0], G_IO_ERROR_EXISTS);
  assert_refused (kind, inet, G_IO_ERROR_INVALID_ARGUMENT);
  assert_refused (kind, dgram, G_IO_ERROR_INVALID_ARGUMENT);
  close (inet);
  close (dgram);
  close (fds[0]);
  close (fds[1]);

  g_assert_false (kind->bind_to_path (channel, nowhere, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  g_assert_false (kind->bind_to_path (channel, path, &failure));
  assert_error_code (failure, G_IO_ERROR_ADDRESS_IN_USE);
  usock_test_no_error (kind->bind_to_path (channel, own, &error));
  g_assert_false (kind->bind_to_path (channel, other, &failure));
  assert_error_code (failure, G_IO_ERROR_EXISTS);
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  g_assert_false (kind->bind_to_path (channel, other, &failure));
  assert_error_code (failure, G_IO_ERROR_EXISTS);
  scene_close (channel);
  close (listener);
  unlink (path);
}

static void
test_refused (UsockTest     *test,
              gconstpointer  unused)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    try_refused (test, &kinds[i]);
}

/* Never connected, and never closed: the name goes all the same. */
static void
test_dropped (UsockTest     *test,
              gconstpointer  unused)
{
  g_autofree char *own = usock_test_path (test, "client");

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      UsockChannel *channel = kinds[i].new ();

      usock_test_no_error (kinds[i].bind_to_path (channel, own, &error));
      g_assert_true (g_file_test (own, G_FILE_TEST_EXISTS));
      g_object_unref (channel);
      g_assert_false (g_file_test (own, G_FILE_TEST_EXISTS));

      channel = kinds[i].new ();
      usock_test_no_error (kinds[i].bind_to_path (channel, own, &error));
      scene_close (channel);
      g_assert_false (g_file_test (own, G_FILE_TEST_EXISTS));
    }
}

/* A child that was forked leaves it to its parent. */
static void
test_forked (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *own = usock_test_path (test, "client");
  UsockStream *stream = usock_stream_new ();
  int status;
  pid_t child;

  usock_test_no_error (usock_stream_bind_to_path (stream, own, &error));
  child = fork ();
  if (child == 0)
    {
      usock_socket_close (USOCK_SOCKET (stream));
      g_object_unref (stream);
      _exit (0);
    }
  g_assert_no_errno (waitpid (child, &status, 0));
  g_assert_cmpint (status, ==, 0);
  g_assert_true (g_file_test (own, G_FILE_TEST_EXISTS));
  scene_close (stream);
  g_assert_false (g_file_test (own, G_FILE_TEST_EXISTS));
}

/* Who has the descriptor has the name. */
static void
test_stolen (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "server");
  g_autofree char *own = usock_test_path (test, "client");
  UsockStream *stream = usock_stream_new ();
  int listener = raw_listen (&kinds[0], path);
  int fd, peer;

  usock_test_no_error (usock_stream_bind_to_path (stream, own, &error));
  usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (stream), path, &error));
  peer = accept_from (listener, own);
  usock_test_no_error ((fd = usock_socket_steal_fd (USOCK_SOCKET (stream), NULL, &error)) != -1);
  scene_close (stream);
  g_assert_true (g_file_test (own, G_FILE_TEST_EXISTS));
  close (fd);
  close (peer);
  close (listener);
}

static void
assert_still_known (UsockChannel *channel,
                    const char   *own,
                    const char   *path)
{
  UsockSocket *socket = USOCK_SOCKET (channel);
  GSocketAddress *server = usock_socket_get_remote_address (socket);
  g_autoptr (GCredentials) peer = NULL;

  g_assert_cmpint (usock_socket_get_state (socket), ==, USOCK_STATE_CLOSED);
  usock_test_no_error (peer = usock_socket_get_peer_credentials (socket, &error));
  g_assert_cmpuint (g_credentials_get_unix_user (peer, NULL), ==, getuid ());
  g_assert_cmpint (g_credentials_get_unix_pid (peer, NULL), ==, getpid ());
  assert_local_path (channel, own);
  g_assert_cmpstr (g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (server)), ==, path);
  g_assert_cmpuint (usock_channel_get_bytes_written (channel), ==, 5);
  g_assert_cmpuint (usock_channel_get_messages_written (channel), ==, 1);
}

/* Of one that was closed, and of one that its peer has reset. */
static void
try_closed (UsockTest  *test,
            const Kind *kind,
            gboolean    reset)
{
  g_autofree char *path = usock_test_path (test, "server");
  g_autofree char *own = usock_test_path (test, "client");
  g_autoptr (UsockChannel) channel = kind->new ();
  int listener = raw_listen (kind, path);
  Witness witness;
  int peer;

  witness_init (&witness);
  witness_watch (&witness, channel, "data error close");
  usock_test_no_error (kind->bind_to_path (channel, own, &error));
  usock_test_no_error (usock_channel_connect_to_path (channel, path, &error));
  usock_test_no_error (usock_channel_send_text (channel, "hello", &error));
  peer = accept_from (listener, own);
  usock_test_wait_until (usock_channel_get_bytes_written (channel) == 5);
  if (reset)
    close (peer);
  else
    usock_socket_close (USOCK_SOCKET (channel));
  witness_expect (&witness, (reset ? "error:broken-pipe close" : "close"));
  assert_still_known (channel, own, path);
  g_assert_cmpint (usock_socket_get_had_error (USOCK_SOCKET (channel)), ==, reset);
  g_assert_cmpint (usock_socket_get_error_number (USOCK_SOCKET (channel)), ==,
                   reset ? ECONNRESET : 0);
  g_assert_cmpint (usock_socket_get_error_call (USOCK_SOCKET (channel)) != NULL, ==, reset);
  if (!reset)
    close (peer);
  close (listener);
  unlink (path);
  witness_clear (&witness);
}

static void
test_closed (UsockTest     *test,
             gconstpointer  unused)
{
  for (guint i = 0; i < 2 * G_N_ELEMENTS (kinds); i++)
    try_closed (test, &kinds[i / 2], i % 2 == 1);
}

/* Only those of this machine have such names. */
static void
test_not_by_tcp (UsockTest     *test,
                 gconstpointer  unused)
{
  g_autofree char *own = usock_test_path (test, "client");
  UsockStream *stream = usock_stream_new ();
  GError *failure = NULL;

  usock_test_no_error (usock_stream_bind_to_path (stream, own, &error));
  g_assert_false (usock_stream_connect_to_host (stream, "127.0.0.1", 1, 0, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_SUPPORTED);
  scene_close (stream);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/bound/path", test_path);
  usock_test_add ("/usock/bound/abstract-name", test_abstract_name);
  usock_test_add ("/usock/bound/descriptor", test_descriptor);
  usock_test_add ("/usock/bound/marked", test_marked);
  usock_test_add ("/usock/bound/again", test_again);
  usock_test_add ("/usock/bound/refused", test_refused);
  usock_test_add ("/usock/bound/dropped", test_dropped);
  usock_test_add ("/usock/bound/forked", test_forked);
  usock_test_add ("/usock/bound/stolen", test_stolen);
  usock_test_add ("/usock/bound/closed", test_closed);
  usock_test_add ("/usock/bound/not-by-tcp", test_not_by_tcp);

  return g_test_run ();
}
