/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-io-calls-private.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usock-compat-private.h"

static int
bind_native (int                    fd,
             const struct sockaddr *native,
             socklen_t              length)
{
  return RETRY (bind (fd, native, length));
}

static int
connect_native (int                    fd,
                const struct sockaddr *native,
                socklen_t              length)
{
  return RETRY (connect (fd, native, length));
}

/* The name of something below a descriptor, which is short however long its path is. */
static int
name_below (int                 fd,
            const char         *entry,
            struct sockaddr_un *native)
{
  int length;

  if (access ("/proc/self/fd", F_OK) == -1)
    return -ENAMETOOLONG;

  *native = (struct sockaddr_un) { .sun_family = AF_UNIX };
  length = snprintf (native->sun_path, sizeof native->sun_path, "/proc/self/fd/%d%s%s", fd,
                     *entry != '\0' ? "/" : "", entry);
  return length < (int) sizeof native->sun_path ? 0 : -ENAMETOOLONG;
}

/* Never in the place of anything. A file system, or a kernel, that can not rename so can link. */
int
usock_io_rename_new (int         directory,
                     const char *from,
                     const char *to)
{
  if (renameat2 (directory, from, directory, to, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return -errno;

  if (linkat (directory, from, directory, to, 0) == -1)
    return -errno;
  return unlinkat (directory, from, 0) == -1 ? -errno : 0;
}

/* A socket is bound under a short name and then renamed, where its own name is too long to stand
 * behind “/proc/self/fd/N/”. Nobody can connect meanwhile: it does not listen yet. */
static int
bind_renamed (int         fd,
              int         directory,
              const char *entry)
{
  struct sockaddr_un native;
  char temporary[32];
  int result;

  /* Looked at first, because a socket that is bound cannot be bound again. */
  if (faccessat (directory, entry, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return -EADDRINUSE;

  g_snprintf (temporary, sizeof temporary, ".usock-%08x", g_random_int ());
  result = name_below (directory, temporary, &native);
  if (result == 0)
    result = bind_native (fd, (struct sockaddr *) &native, sizeof native);
  if (result < 0)
    return result;

  result = usock_io_rename_new (directory, temporary, entry);
  if (result < 0)
    unlinkat (directory, temporary, 0);
  return result == -EEXIST ? -EADDRINUSE : result;
}

static int
bind_long (int         fd,
           const char *path)
{
  g_autofree char *parent = g_path_get_dirname (path);
  const char *entry = strrchr (path, '/') + 1;
  g_autofd int directory = -1;
  struct sockaddr_un native;
  int result;

  if (strlen (path) >= PATH_MAX || strlen (entry) > NAME_MAX)
    return -ENAMETOOLONG;

  directory = RETRY (open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory < 0)
    return directory;

  result = name_below (directory, entry, &native);
  if (result == -ENAMETOOLONG)
    return bind_renamed (fd, directory, entry);

  return bind_native (fd, (struct sockaddr *) &native, sizeof native);
}

int
usock_io_long_name_open (UsockIoLongName *self,
                         const UsockName *name)
{
  int result;

  self->file = RETRY (open (name->path, O_PATH | O_CLOEXEC));
  if (self->file < 0)
    return self->file;

  result = name_below (self->file, "", &self->native);
  if (result < 0)
    close (self->file);
  return result;
}

static int
connect_long (int              fd,
              const UsockName *name)
{
  UsockIoLongName long_name;
  int result = usock_io_long_name_open (&long_name, name);

  if (result < 0)
    return result;

  result = connect_native (fd, (struct sockaddr *) &long_name.native, sizeof long_name.native);
  close (long_name.file);
  return result;
}

int
usock_io_bind (int              fd,
               const UsockName *name)
{
  FAULT (USOCK_IO_BIND);
  if (name->length == 0)
    return bind_long (fd, name->path);

  return bind_native (fd, &name->native.any, name->length);
}

/* The kernel says EADDRINUSE of whatever has the path. EISNAM, which no call of a socket says, is
 * that it is no socket. */
int
usock_io_explain_bind (const UsockName *name,
                       int              errnum)
{
  struct stat info;

  if (errnum == EADDRINUSE && name->path != NULL && lstat (name->path, &info) == 0
      && !S_ISSOCK (info.st_mode))
    return EISNAM;

  return errnum;
}

int
usock_io_connect (int              fd,
                  const UsockName *name)
{
  FAULT (USOCK_IO_CONNECT);
  if (name->length == 0)
    return connect_long (fd, name);

  return connect_native (fd, &name->native.any, name->length);
}

static int
name_length (int       (*call) (int, struct sockaddr *, socklen_t *),
             int         fd,
             UsockIoNative *name)
{
  socklen_t length = sizeof *name;

  FAULT (USOCK_IO_GET_NAME);
  return call (fd, &name->any, &length) == 0 ? (int) length : -errno;
}

static GSocketAddress *
get_name (int (*call) (int, struct sockaddr *, socklen_t *),
          int   fd)
{
  UsockIoNative name = { 0 };
  int length = name_length (call, fd, &name);

  return length >= 0 ? usock_native_to_address (&name.any, length) : NULL;
}

GSocketAddress *
usock_io_get_local_address (int fd)
{
  return get_name (getsockname, fd);
}

GSocketAddress *
usock_io_get_remote_address (int fd)
{
  return get_name (getpeername, fd);
}

/* Whether nothing can be sent or received any more. What is left to read can be read. */
gboolean
usock_io_has_hung_up (int fd)
{
  struct pollfd poll = { .fd = fd };

  return usock_io_poll (&poll, 1, 0) == 1 && (poll.revents & POLLHUP) != 0;
}

/* Not the same as an address that cannot be told: a peer may be known under a name of /proc. */
gboolean
usock_io_peer_is_missing (int fd)
{
  UsockIoNative name = { 0 };

  return name_length (getpeername, fd, &name) < 0;
}

/* A port that nobody listens on may be the very one that the system picks for who connects to
 * it: TCP then connects the socket with itself. */
gboolean
usock_io_peer_is_self (int fd)
{
  UsockIoNative own = { 0 };
  UsockIoNative peer = { 0 };
  int own_length = name_length (getsockname, fd, &own);
  int peer_length = name_length (getpeername, fd, &peer);

  return own_length > 0 && own_length == peer_length && memcmp (&own, &peer, own_length) == 0;
}

/* One of GIO's, which takes the descriptor over unless this fails. */
GSocketConnection *
usock_io_new_connection (int      fd,
                         GError **error)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, error);

  return socket != NULL ? g_socket_connection_factory_create_connection (socket) : NULL;
}
