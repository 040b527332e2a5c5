/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server-scene.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void
keep_connection_cb (UsockServer  *server,
                    UsockChannel *connection,
                    ServerScene  *scene)
{
  g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (connection)), ==, USOCK_STATE_OPEN);
  g_ptr_array_add (scene->connections, g_object_ref (connection));
}

void
server_scene_start (ServerScene *scene,
                    UsockTest   *test,
                    const char  *signals)
{
  server_scene_start_at (scene, test, "socket", signals);
}

void
server_scene_start_at (ServerScene *scene,
                       UsockTest   *test,
                       const char  *entry,
                       const char  *signals)
{
  witness_init (&scene->witness);
  scene->path = usock_test_path (test, entry);
  scene->connections = g_ptr_array_new_with_free_func (scene_close);
  scene->server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  witness_watch (&scene->witness, scene->server, signals);
  usock_server_set_mode (scene->server, 0666);
  g_assert_no_errno (chmod (test->directory, 0755));
  usock_test_no_error (usock_server_listen_on_path (scene->server, scene->path, 0, &error));
}

void
server_scene_accept (ServerScene *scene)
{
  g_signal_connect (scene->server, "connection", G_CALLBACK (keep_connection_cb), scene);
}

void
server_scene_stop (ServerScene *scene)
{
  g_ptr_array_unref (scene->connections);
  scene_close (scene->server);
  g_free (scene->path);
  witness_clear (&scene->witness);
}

int
server_scene_connect (ServerScene *scene)
{
  struct sockaddr_un name = { AF_UNIX };
  const socklen_t start = G_STRUCT_OFFSET (struct sockaddr_un, sun_path);
  socklen_t length = start + strlen (scene->path);
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_strlcpy (name.sun_path, scene->path, sizeof name.sun_path);
  if (name.sun_path[0] == '@')
    name.sun_path[0] = '\0';
  else
    length++;
  g_assert_no_errno (connect (fd, (struct sockaddr *) &name, length));
  return fd;
}

gboolean
server_scene_skip_users (void)
{
  if (getuid () == 0)
    return FALSE;

  g_test_skip ("only root can be another user");
  return TRUE;
}

void
server_scene_become (guint user)
{
  g_assert_no_errno (seteuid (user));
}

/* The kernel remembers who it was that connected. */
int
server_scene_connect_as (ServerScene *scene,
                         guint        user)
{
  guint before = geteuid ();
  int fd;

  server_scene_become (0);
  server_scene_become (user);
  fd = server_scene_connect (scene);
  server_scene_become (0);
  server_scene_become (before);
  return fd;
}

/* Once it is there. */
UsockChannel *
server_scene_take (ServerScene *scene,
                   guint        index)
{
  usock_test_wait_until (scene->connections->len > index);
  return scene->connections->pdata[index];
}
