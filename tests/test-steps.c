/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is done at once takes some system calls. Each of them fails, one at a time: the whole then
 * succeeds without it, or fails with an error that says what was tried, leaves nothing behind, and
 * may be tried again. */

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usock-io-private.h"

/* More than any step makes of one kind. */
#define CALLS_MAX 200

typedef struct
{
  char *path;   /* nobody has it yet */
  char *served; /* somebody listens there for packets */
  char *mailed; /* somebody receives datagrams there */
  GSocketAddress *served_port;
  GSocketAddress *own_port;
  int raw[4];
  int given; /* what the step is to adopt, or -1 */
  int other; /* whatever must stay open while it does */
  gpointer made[2];
} Scene;

typedef gboolean (*StepAct) (Scene     *scene,
                             gpointer   object,
                             GError   **error);

typedef struct
{
  const char *name;
  gpointer (*prepare) (Scene *scene); /* whom it is done to; NULL where the step makes one */
  StepAct act;
  gboolean is_final; /* It undoes, or takes from a queue, what is not there again. */
} Step;

static GSocketAddress *
inet_new (guint port)
{
  g_autofree char *text = g_strdup_printf ("127.0.0.1:%u", port);
  GSocketAddress *address;

  usock_test_no_error (address = usock_address_parse (text, &error));
  return address;
}

static int
raw_new (int         type,
         const char *path)
{
  struct sockaddr_un name = { AF_UNIX };
  int fd = socket (AF_UNIX, type | SOCK_CLOEXEC, 0);

  g_strlcpy (name.sun_path, path, sizeof name.sun_path);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &name, sizeof name));
  if (type != SOCK_DGRAM)
    g_assert_no_errno (listen (fd, 1000));
  return fd;
}

static int
raw_new_inet (guint *port)
{
  struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t length = sizeof name;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_no_errno (bind (fd, (struct sockaddr *) &name, length));
  g_assert_no_errno (listen (fd, 1000));
  g_assert_no_errno (getsockname (fd, (struct sockaddr *) &name, &length));
  *port = ntohs (name.sin_port);
  return fd;
}

static void
scene_start (Scene     *scene,
             UsockTest *test)
{
  guint port;

  *scene = (Scene) { .given = -1, .other = -1 };
  scene->path = usock_test_path (test, "own");
  scene->served = usock_test_path (test, "served");
  scene->mailed = usock_test_path (test, "mailed");
  scene->raw[0] = raw_new (SOCK_SEQPACKET, scene->served);
  scene->raw[1] = raw_new (SOCK_DGRAM, scene->mailed);
  scene->raw[2] = raw_new_inet (&port);
  scene->served_port = inet_new (port);
  scene->own_port = inet_new (0);
  g_assert_no_errno (scene->raw[3] = open ("/dev/null", O_RDONLY | O_CLOEXEC));
}

static void
scene_stop (Scene *scene)
{
  for (guint i = 0; i < G_N_ELEMENTS (scene->raw); i++)
    close (scene->raw[i]);
  unlink (scene->served);
  unlink (scene->mailed);
  g_free (scene->path);
  g_free (scene->served);
  g_free (scene->mailed);
  g_object_unref (scene->served_port);
  g_object_unref (scene->own_port);
}

/* Whom it is done to. */

static gpointer
make_dgram (Scene *scene)
{
  return usock_dgram_new ();
}

static gpointer
make_seqpacket (Scene *scene)
{
  return usock_seqpacket_new ();
}

static gpointer
make_stream (Scene *scene)
{
  return usock_stream_new ();
}

static gpointer
make_server (Scene *scene)
{
  return usock_server_new (G_SOCKET_TYPE_SEQPACKET);
}

static gpointer
make_stream_server (Scene *scene)
{
  return usock_server_new (G_SOCKET_TYPE_STREAM);
}

static gpointer
make_handle (Scene *scene)
{
  UsockHandle *handle;

  usock_test_no_error (handle
                       = usock_handle_new_socket (AF_UNIX, SOCK_SEQPACKET, 0, &error));
  return handle;
}

static gpointer
make_stream_handle (Scene *scene)
{
  UsockHandle *handle;

  usock_test_no_error (handle = usock_handle_new_socket (AF_INET, SOCK_STREAM, 0, &error));
  return handle;
}

static gpointer
make_unmade_handle (Scene *scene)
{
  return usock_handle_new ();
}

static gpointer
make_bound_handle (Scene *scene)
{
  UsockHandle *handle = make_handle (scene);

  usock_test_no_error (usock_handle_bind_to_path (handle, scene->path, &error));
  return handle;
}

static gpointer
make_listening_handle (Scene *scene)
{
  UsockHandle *handle = make_bound_handle (scene);
  g_autoptr (UsockHandle) client = make_handle (scene);

  usock_test_no_error (usock_handle_listen (handle, 5, &error));
  usock_test_no_error (usock_handle_connect_to_path (client, scene->path, 0, &error));
  return handle;
}

static void
make_given (Scene *scene,
            int    type)
{
  int pair[2];

  g_assert_no_errno (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, pair));
  scene->given = pair[0];
  scene->other = pair[1];
}

static gpointer
make_connected (Scene *scene)
{
  UsockSeqpacket *channel;

  make_given (scene, SOCK_SEQPACKET);
  usock_test_no_error (channel = usock_seqpacket_new_from_fd (scene->given, &error));
  scene->given = -1;
  return channel;
}

static gpointer
make_connected_dgram (Scene *scene)
{
  UsockDgram *dgram = usock_dgram_new ();

  usock_test_no_error (usock_dgram_bind_to_path (dgram, scene->path, &error));
  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (dgram), scene->mailed, &error));
  return dgram;
}

static gpointer
make_connected_udp (Scene *scene)
{
  UsockDgram *dgram = usock_dgram_new ();

  usock_test_no_error (usock_dgram_bind_to_address (dgram, scene->own_port, &error));
  usock_test_no_error (
      usock_channel_connect_to_address (USOCK_CHANNEL (dgram), scene->served_port, &error));
  return dgram;
}

/* A socket that is given to a step, of each kind. */

static gpointer
give_seqpacket (Scene *scene)
{
  make_given (scene, SOCK_SEQPACKET);
  return NULL;
}

static gpointer
give_stream (Scene *scene)
{
  make_given (scene, SOCK_STREAM);
  return NULL;
}

static gpointer
give_dgram (Scene *scene)
{
  scene->given = raw_new (SOCK_DGRAM, scene->path);
  unlink (scene->path);
  return NULL;
}

static gpointer
give_bound (Scene *scene)
{
  struct sockaddr_un name = { AF_UNIX };

  scene->given = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  g_assert_no_errno (bind (scene->given, (struct sockaddr *) &name, sizeof (sa_family_t)));
  return NULL;
}

static gpointer
give_listening (Scene *scene)
{
  scene->given = raw_new (SOCK_SEQPACKET, scene->path);
  unlink (scene->path);
  return usock_server_new (G_SOCKET_TYPE_SEQPACKET);
}

/* What is done. */

static gboolean
bind_dgram (Scene *scene, gpointer object, GError **error)
{
  return usock_dgram_bind_to_path (object, scene->path, error);
}

static gboolean
bind_dgram_abstract (Scene *scene, gpointer object, GError **error)
{
  g_autofree char *name = g_strconcat ("@", scene->path, NULL);

  return usock_dgram_bind_to_path (object, name, error);
}

static gboolean
bind_dgram_port (Scene *scene, gpointer object, GError **error)
{
  return usock_dgram_bind_to_address (object, scene->own_port, error);
}

static gboolean
autobind_dgram (Scene *scene, gpointer object, GError **error)
{
  return usock_dgram_autobind (object, error);
}

static gboolean
send_dgram (Scene *scene, gpointer object, GError **error)
{
  return usock_dgram_send_to (object, (const guint8 *) "x", 1, scene->mailed, error);
}

static gboolean
forget_dgram (Scene *scene, gpointer object, GError **error)
{
  return usock_dgram_forget_peer (object, error);
}

static gboolean
connect_dgram (Scene *scene, gpointer object, GError **error)
{
  return usock_channel_connect_to_path (object, scene->mailed, error);
}

static gboolean
connect_channel (Scene *scene, gpointer object, GError **error)
{
  return usock_channel_connect_to_path (object, scene->served, error);
}

static gboolean
connect_port (Scene *scene, gpointer object, GError **error)
{
  return usock_channel_connect_to_address (object, scene->served_port, error);
}

static gboolean
bind_seqpacket (Scene *scene, gpointer object, GError **error)
{
  return usock_seqpacket_bind_to_path (object, scene->path, error);
}

static gboolean
bind_stream (Scene *scene, gpointer object, GError **error)
{
  return usock_stream_bind_to_path (object, scene->path, error);
}

static gboolean
listen_path (Scene *scene, gpointer object, GError **error)
{
  return usock_server_listen_on_path (object, scene->path, 0, error);
}

static gboolean
listen_port (Scene *scene, gpointer object, GError **error)
{
  return usock_server_listen_on_address (object, scene->own_port, 0, error);
}

static gboolean
listen_host (Scene *scene, gpointer object, GError **error)
{
  return usock_server_listen_on_host (object, "127.0.0.1", 0, 0, error);
}

static gboolean
listen_fd (Scene *scene, gpointer object, GError **error)
{
  if (!usock_server_listen_on_fd (object, scene->given, 0, error))
    return FALSE;
  scene->given = -1;
  return TRUE;
}

static gboolean
bind_handle (Scene *scene, gpointer object, GError **error)
{
  return usock_handle_bind_to_path (object, scene->path, error);
}

static gboolean
listen_handle (Scene *scene, gpointer object, GError **error)
{
  return usock_handle_listen (object, 1, error);
}

static gboolean
bind_handle_port (Scene *scene, gpointer object, GError **error)
{
  return usock_handle_bind_to_address (object, scene->own_port, error);
}

static gboolean
connect_handle (Scene *scene, gpointer object, GError **error)
{
  return usock_handle_connect_to_path (object, scene->served, 1000, error);
}

static gboolean
connect_handle_port (Scene *scene, gpointer object, GError **error)
{
  return usock_handle_connect_to_address (object, scene->served_port, 1000, error);
}

static gboolean
accept_handle (Scene *scene, gpointer object, GError **error)
{
  g_autoptr (GSocketAddress) address = NULL;

  scene->made[0] = usock_handle_accept (object, 1000, &address, error);
  return scene->made[0] != NULL;
}

static gboolean
create_handle (Scene *scene, gpointer object, GError **error)
{
  return usock_handle_create (object, AF_UNIX, SOCK_DGRAM, 0, error);
}

static gboolean
new_handle_listening (Scene *scene, gpointer object, GError **error)
{
  return (scene->made[0] = usock_handle_new_listening (scene->own_port, SOCK_STREAM, 1, error))
         != NULL;
}

static gboolean
new_handle_connected (Scene *scene, gpointer object, GError **error)
{
  return (scene->made[0] = usock_handle_new_connected (G_SOCKET_CONNECTABLE (scene->served_port),
                                                       SOCK_STREAM, 1000, NULL, error))
         != NULL;
}

static gboolean
new_handle_pair (Scene *scene, gpointer object, GError **error)
{
  return usock_handle_new_pair (SOCK_STREAM, (UsockHandle **) &scene->made[0],
                                (UsockHandle **) &scene->made[1], error);
}

static gboolean
new_stream_pair (Scene *scene, gpointer object, GError **error)
{
  return usock_stream_new_pair ((UsockStream **) &scene->made[0],
                                (UsockStream **) &scene->made[1], error);
}

static gboolean
new_seqpacket_pair (Scene *scene, gpointer object, GError **error)
{
  return usock_seqpacket_new_pair ((UsockSeqpacket **) &scene->made[0],
                                   (UsockSeqpacket **) &scene->made[1], error);
}

static gboolean
new_dgram_pair (Scene *scene, gpointer object, GError **error)
{
  return usock_dgram_new_pair ((UsockDgram **) &scene->made[0], (UsockDgram **) &scene->made[1],
                               error);
}

static gboolean
keep_adopted (Scene *scene, gpointer adopted)
{
  scene->made[0] = adopted;
  if (adopted != NULL)
    scene->given = -1;
  return adopted != NULL;
}

static gboolean
adopt_seqpacket (Scene *scene, gpointer object, GError **error)
{
  return keep_adopted (scene, usock_seqpacket_new_from_fd (scene->given, error));
}

static gboolean
adopt_stream (Scene *scene, gpointer object, GError **error)
{
  return keep_adopted (scene, usock_stream_new_from_fd (scene->given, error));
}

static gboolean
adopt_dgram (Scene *scene, gpointer object, GError **error)
{
  return keep_adopted (scene, usock_dgram_new_from_fd (scene->given, error));
}

static gboolean
adopt_handle (Scene *scene, gpointer object, GError **error)
{
  return keep_adopted (scene, usock_handle_new_from_fd (scene->given, error));
}

static gboolean
adopt_bound (Scene *scene, gpointer object, GError **error)
{
  return keep_adopted (scene, usock_seqpacket_new_from_bound_fd (scene->given, error));
}

static gboolean
shut_down (Scene *scene, gpointer object, GError **error)
{
  return usock_socket_shutdown (object, USOCK_SHUT_WR, error);
}

static gboolean
set_option (Scene *scene, gpointer object, GError **error)
{
  return usock_socket_set_option (object, SOL_SOCKET, SO_SNDBUF, g_variant_new_int32 (10000),
                                  error);
}

static gboolean
get_option (Scene *scene, gpointer object, GError **error)
{
  g_autoptr (GVariant) value
      = usock_socket_get_option (object, SOL_SOCKET, SO_SNDBUF, error);

  return value != NULL;
}

static gboolean
get_groups (Scene *scene, gpointer object, GError **error)
{
  gsize n_groups;
  g_autofree guint *groups = usock_socket_get_peer_groups (object, &n_groups, error);

  return groups != NULL;
}

static gboolean
steal (Scene *scene, gpointer object, GError **error)
{
  int fd = usock_socket_steal_fd (object, NULL, error);

  if (fd == -1)
    return FALSE;
  close (fd);
  return TRUE;
}

static gboolean
spawn (Scene *scene, gpointer object, GError **error)
{
  const char *const argv[] = { "true", NULL };
  g_autoptr (GSubprocess) child = NULL;

  scene->made[0] = usock_seqpacket_spawn (argv, G_SUBPROCESS_FLAGS_NONE, &child, error);
  return scene->made[0] != NULL && g_subprocess_wait (child, NULL, error);
}

static const Step steps[] = {
  { "dgram/bind-path", make_dgram, bind_dgram },
  { "dgram/bind-abstract", make_dgram, bind_dgram_abstract },
  { "dgram/bind-port", make_dgram, bind_dgram_port },
  { "dgram/autobind", make_dgram, autobind_dgram },
  { "dgram/send-to", make_dgram, send_dgram },
  { "dgram/connect-path", make_dgram, connect_dgram },
  { "dgram/connect-port", make_dgram, connect_port },
  { "dgram/forget-peer", make_connected_dgram, forget_dgram, TRUE },
  { "dgram/forget-port", make_connected_udp, forget_dgram, TRUE },
  { "dgram/adopt", give_dgram, adopt_dgram },
  { "dgram/pair", NULL, new_dgram_pair },
  { "seqpacket/connect", make_seqpacket, connect_channel },
  { "seqpacket/bind", make_seqpacket, bind_seqpacket },
  { "seqpacket/adopt", give_seqpacket, adopt_seqpacket },
  { "seqpacket/adopt-bound", give_bound, adopt_bound },
  { "seqpacket/pair", NULL, new_seqpacket_pair },
  { "seqpacket/spawn", NULL, spawn },
  { "seqpacket/shut-down", make_connected, shut_down },
  { "seqpacket/set-option", make_connected, set_option },
  { "seqpacket/get-option", make_connected, get_option },
  { "seqpacket/get-groups", make_connected, get_groups },
  { "seqpacket/steal", make_connected, steal },
  { "stream/connect-port", make_stream, connect_port },
  { "stream/bind", make_stream, bind_stream },
  { "stream/adopt", give_stream, adopt_stream },
  { "stream/pair", NULL, new_stream_pair },
  { "server/listen-path", make_server, listen_path },
  { "server/listen-port", make_stream_server, listen_port },
  { "server/listen-host", make_stream_server, listen_host },
  { "server/listen-fd", give_listening, listen_fd },
  { "handle/create", make_unmade_handle, create_handle },
  { "handle/bind", make_handle, bind_handle },
  { "handle/listen", make_bound_handle, listen_handle },
  { "handle/bind-port", make_stream_handle, bind_handle_port },
  { "handle/connect", make_handle, connect_handle },
  { "handle/connect-port", make_stream_handle, connect_handle_port },
  { "handle/accept", make_listening_handle, accept_handle, TRUE },
  { "handle/adopt", give_stream, adopt_handle },
  { "handle/pair", NULL, new_handle_pair },
  { "handle/new-listening", NULL, new_handle_listening },
  { "handle/new-connected", NULL, new_handle_connected },
};

/* Who failed to adopt a descriptor left it to its owner. */
static void
close_given (int *fd)
{
  if (*fd != -1)
    g_assert_no_errno (close (*fd));
  *fd = -1;
}

static void
clean_up (Scene    *scene,
          gpointer  object)
{
  if (object != NULL)
    scene_close (object);
  for (guint i = 0; i < G_N_ELEMENTS (scene->made); i++)
    {
      if (scene->made[i] != NULL)
        scene_close (scene->made[i]);
      scene->made[i] = NULL;
    }
  close_given (&scene->given);
  close_given (&scene->other);
  unlink (scene->path);
}

/* Whether it came to that call at all. */
static gboolean
fail_at (Scene       *scene,
         const Step  *step,
         UsockIoCall  call,
         int          errnum,
         guint        nth)
{
  gpointer object = step->prepare != NULL ? step->prepare (scene) : NULL;
  g_autoptr (GError) failure = NULL;
  gboolean is_done, was_reached;

  g_test_message ("%s %u: %s", usock_io_call_name (call), nth, g_strerror (errnum));
  usock_io_fault_clear ();
  usock_io_fault_add (call, errnum, nth, 0);
  is_done = step->act (scene, object, &failure);
  was_reached = usock_io_fault_get_n_calls (call) >= nth;
  usock_io_fault_clear ();

  g_assert_true (is_done == (failure == NULL));
  g_assert_true (is_done || (was_reached && failure->domain == G_IO_ERROR));
  g_assert_true (is_done || (errnum != EINTR && strchr (failure->message, ' ') != NULL));
  if (!is_done && !step->is_final)
    usock_test_no_error (step->act (scene, object, &error));
  clean_up (scene, object);
  return was_reached;
}

static void
test_step (UsockTest     *test,
           gconstpointer  data)
{
  static const int errnums[] = { ENOMEM, EINVAL, EINTR };
  const Step *step = data;
  Scene scene;

  scene_start (&scene, test);
  for (UsockIoCall call = USOCK_IO_SOCKET; call <= USOCK_IO_POLL; call++)
    for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
      for (guint nth = 1; fail_at (&scene, step, call, errnums[i], nth); nth++)
        g_assert_cmpuint (nth, <, CALLS_MAX);
  scene_stop (&scene);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (GSubprocess) first = NULL;

  g_test_init (&argc, &argv, NULL);
  /* What GLib keeps for its first child is not left by us. */
  first = g_subprocess_new (G_SUBPROCESS_FLAGS_NONE, NULL, "true", NULL);
  g_subprocess_wait (first, NULL, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      g_autofree char *path = g_strdup_printf ("/usock/steps/%s", steps[i].name);

      g_test_add (path, UsockTest, &steps[i], usock_test_setup, test_step, usock_test_teardown);
    }

  return g_test_run ();
}
