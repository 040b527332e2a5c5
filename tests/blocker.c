/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "blocker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOR_EVER 30000 /* s */

#define SKIPPED "valgrind lets no thread run while one closes"

static gboolean
is_slow (void)
{
  return g_getenv ("USOCK_TEST_SLOW") != NULL;
}

gboolean
blocker_skip (void)
{
  if (is_slow ())
    g_test_skip (SKIPPED);
  return is_slow ();
}

gboolean
blocker_skip_all (void)
{
  if (is_slow ())
    g_print ("1..0 # SKIP " SKIPPED "\n");
  return is_slow ();
}

int
blocker_new_lingering (int *peer)
{
  struct sockaddr_in address = { AF_INET, 0, { htonl (INADDR_LOOPBACK) } };
  struct linger linger = { 1, FOR_EVER };
  socklen_t length = sizeof address;
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  static const char bytes[65536];

  g_assert_cmpint (bind (listener, (struct sockaddr *) &address, length), ==, 0);
  g_assert_cmpint (listen (listener, 1), ==, 0);
  g_assert_cmpint (getsockname (listener, (struct sockaddr *) &address, &length), ==, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, length), ==, 0);
  *peer = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
  close (listener);

  while (send (fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
    ;
  g_assert_cmpint (setsockopt (fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), ==, 0);
  return fd;
}

void
blocker_send_fd (int socket,
                 int fd)
{
  union
  {
    struct cmsghdr align;
    char buffer[CMSG_SPACE (sizeof fd)];
  } control = { 0 };
  struct iovec iov = { (char *) "x", 1 };
  struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = sizeof control };

  control.align = (struct cmsghdr){ CMSG_LEN (sizeof fd), SOL_SOCKET, SCM_RIGHTS };
  memcpy (CMSG_DATA (&control.align), &fd, sizeof fd);
  g_assert_cmpint (sendmsg (socket, &header, MSG_NOSIGNAL), ==, 1);
}

int
blocker_queue (int socket)
{
  int peer;
  int lingering = blocker_new_lingering (&peer);

  blocker_send_fd (socket, lingering);
  close (lingering);
  return peer;
}

int
blocker_new_nested (int *peer)
{
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), ==, 0);
  *peer = blocker_queue (pair[1]);
  close (pair[1]);
  return pair[0];
}

struct _BlockerServer
{
  char *directory;
  gint *silent;
  int device;
  pid_t pid;
};

static void
server_reply (int           device,
              guint64       unique,
              int           error,
              gconstpointer data,
              gsize         length)
{
  char buffer[256];
  struct fuse_out_header header = { sizeof header + length, error, unique };

  memcpy (buffer, &header, sizeof header);
  if (length > 0)
    memcpy (buffer + sizeof header, data, length);
  if (write (device, buffer, header.len) < 0 && errno == ENODEV)
    _exit (0);
}

static struct fuse_attr
server_attributes (guint64 node)
{
  return (struct fuse_attr){ .ino = node, .mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0666,
                             .nlink = 1, .blksize = 512 };
}

static void
server_answer (int                          device,
               const struct fuse_in_header *request,
               gboolean                     silent)
{
  struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 4096 };
  struct fuse_entry_out entry = { .nodeid = 2, .attr = server_attributes (2) };
  struct fuse_attr_out attributes = { .attr = server_attributes (request->nodeid) };
  struct fuse_open_out opened = { .fh = 1 };

  switch (request->opcode)
    {
    case FUSE_INIT:
      server_reply (device, request->unique, 0, &init, sizeof init);
      break;
    case FUSE_LOOKUP:
      server_reply (device, request->unique, 0, &entry, sizeof entry);
      break;
    case FUSE_OPEN:
      server_reply (device, request->unique, 0, &opened, sizeof opened);
      break;
    case FUSE_GETATTR:
      if (!silent)
        server_reply (device, request->unique, 0, &attributes, sizeof attributes);
      break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
      if (!silent)
        server_reply (device, request->unique, 0, NULL, 0);
      break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      break;
    default:
      server_reply (device, request->unique, -ENOSYS, NULL, 0);
    }
}

G_NORETURN static void
server_run (BlockerServer *self)
{
  static union
  {
    struct fuse_in_header header;
    char bytes[1 << 18];
  } request;

  for (;;)
    if (read (self->device, &request, sizeof request) > 0)
      server_answer (self->device, &request.header, g_atomic_int_get (self->silent));
    else if (errno == ENODEV)
      _exit (0);
}

BlockerServer *
blocker_server_new (const char *directory)
{
  BlockerServer *self;
  g_autofree char *options = NULL;
  int device = open ("/dev/fuse", O_RDWR | O_CLOEXEC);

  if (device == -1)
    return NULL;
  options = g_strdup_printf ("fd=%d,rootmode=40000,user_id=0,group_id=0", device);
  if (mount ("usock-test", directory, "fuse", 0, options) == -1)
    {
      close (device);
      return NULL;
    }

  self = g_new0 (BlockerServer, 1);
  self->directory = g_strdup (directory);
  self->device = device;
  self->silent = mmap (NULL, sizeof (gint), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                       0);
  self->pid = fork ();
  if (self->pid == 0)
    server_run (self);
  return self;
}

int
blocker_server_open (BlockerServer *self)
{
  g_autofree char *path = g_build_filename (self->directory, "file", NULL);
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

void
blocker_server_silence (BlockerServer *self)
{
  g_atomic_int_set (self->silent, TRUE);
}

/* Whoever still waits for the server gets an error. */
void
blocker_server_free (BlockerServer *self)
{
  umount2 (self->directory, MNT_DETACH | MNT_FORCE);
  kill (self->pid, SIGKILL);
  waitpid (self->pid, NULL, 0);
  close (self->device);
  munmap (self->silent, sizeof (gint));
  g_free (self->directory);
  g_free (self);
}
