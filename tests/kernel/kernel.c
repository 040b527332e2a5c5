/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define MESSAGE_SIZE (9 * 1024 * 1024)

static char *directory;
static guint8 *payload;

Pair
pair_new (int type)
{
  int fds[2] = { -1, -1 };

  g_assert_cmpint (socketpair (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  return (Pair){ fds[0], fds[1] };
}

static gssize
result_of (gssize result)
{
  return result < 0 ? -errno : result;
}

gssize
put (int fd,
     gsize length)
{
  g_assert (length <= MESSAGE_SIZE);
  return result_of (send (fd, payload, length, MSG_DONTWAIT | MSG_NOSIGNAL));
}

gssize
put_fds (int fd,
         gsize length,
         const int *fds,
         guint n_fds)
{
  g_autofree struct cmsghdr *control = g_malloc0 (CMSG_SPACE (n_fds * sizeof (int)));
  struct iovec vector = { payload, length };
  struct msghdr header = {
    .msg_iov = &vector,
    .msg_iovlen = 1,
    .msg_control = control,
    .msg_controllen = CMSG_SPACE (n_fds * sizeof (int)),
  };

  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN (n_fds * sizeof (int));
  memcpy (CMSG_DATA (control), fds, n_fds * sizeof (int));
  return result_of (sendmsg (fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static socklen_t
fill_address (struct sockaddr_un *address,
              const char *path)
{
  memset (address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  g_assert_cmpint (g_strlcpy (address->sun_path, path, sizeof address->sun_path), <,
                   sizeof address->sun_path);
  return offsetof (struct sockaddr_un, sun_path) + strlen (path) + 1;
}

gssize
put_to (int fd,
        const char *path)
{
  struct sockaddr_un address;
  socklen_t length = fill_address (&address, path);

  return result_of (sendto (fd, payload, 10, MSG_DONTWAIT | MSG_NOSIGNAL,
                            (struct sockaddr *) &address, length));
}

gssize
take (int fd,
      gsize length)
{
  g_assert (length <= MESSAGE_SIZE);
  return result_of (recv (fd, payload, length, MSG_DONTWAIT));
}

static void
read_control (Received *received,
              struct msghdr *header)
{
  for (struct cmsghdr *c = CMSG_FIRSTHDR (header); c != NULL; c = CMSG_NXTHDR (header, c))
    {
      gsize length = c->cmsg_len - CMSG_LEN (0);

      if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        {
          memcpy (received->fds + received->n_fds, CMSG_DATA (c), length);
          received->n_fds += length / sizeof (int);
        }
      if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
        {
          memcpy (&received->credentials, CMSG_DATA (c), sizeof received->credentials);
          received->has_credentials = TRUE;
        }
    }
}

Received
take_message (int fd,
              gsize control_size,
              int flags)
{
  g_autofree gpointer control = g_malloc0 (control_size);
  struct sockaddr_un address;
  struct iovec vector = { payload, MESSAGE_SIZE };
  struct msghdr header = {
    .msg_name = &address,
    .msg_namelen = sizeof address,
    .msg_iov = &vector,
    .msg_iovlen = 1,
    .msg_control = control,
    .msg_controllen = control_size,
  };
  Received received = { 0 };

  received.length = result_of (recvmsg (fd, &header, MSG_DONTWAIT | flags));
  if (received.length < 0)
    return received;

  received.flags = header.msg_flags;
  received.control_length = header.msg_controllen;
  received.name_length = header.msg_namelen;
  read_control (&received, &header);
  return received;
}

guint
fill (int fd,
      gsize length)
{
  guint n = 0;

  while (put (fd, length) >= 0)
    n++;
  return n;
}

guint
drain (int fd)
{
  guint n = 0;

  while (take (fd, MESSAGE_SIZE) > 0)
    n++;
  return n;
}

/* What a level-triggered watch of everything sees right now. */
guint32
events_of (int fd)
{
  autofd epoll = watch (fd, EVENTS_ALL);

  return next_events (epoll, 0);
}

int
watch (int fd,
       guint32 events)
{
  int epoll = epoll_create1 (EPOLL_CLOEXEC);
  struct epoll_event event = { .events = events };

  g_assert_cmpint (epoll_ctl (epoll, EPOLL_CTL_ADD, fd, &event), ==, 0);
  return epoll;
}

guint32
next_events (int epoll,
             int timeout)
{
  struct epoll_event event = { 0 };

  return epoll_wait (epoll, &event, 1, timeout) == 1 ? event.events : 0;
}

int
get_option (int fd,
            int option)
{
  int value = 0;
  socklen_t length = sizeof value;

  return getsockopt (fd, SOL_SOCKET, option, &value, &length) < 0 ? -errno : value;
}

int
set_option (int fd,
            int option,
            int value)
{
  return result_of (setsockopt (fd, SOL_SOCKET, option, &value, sizeof value));
}

/* Valid until the program ends; the same name gives the same path. */
const char *
path_of (const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);

  return g_intern_string (path);
}

int
bind_to (int fd,
         const char *path)
{
  struct sockaddr_un address;
  socklen_t length = fill_address (&address, path);

  return result_of (bind (fd, (struct sockaddr *) &address, length));
}

int
connect_to (int fd,
            const char *path)
{
  struct sockaddr_un address;
  socklen_t length = fill_address (&address, path);

  return result_of (connect (fd, (struct sockaddr *) &address, length));
}

int
socket_at (int type,
           const char *name)
{
  int fd = socket (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  unlink (path_of (name));
  g_assert_cmpint (bind_to (fd, path_of (name)), ==, 0);
  return fd;
}

int
listen_at (int type,
           const char *name,
           int backlog)
{
  int fd = socket_at (type, name);

  g_assert_cmpint (listen (fd, backlog), ==, 0);
  return fd;
}

int
client_of (int type,
           const char *name)
{
  int fd = socket (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_assert_cmpint (connect_to (fd, path_of (name)), ==, 0);
  return fd;
}

gint64
read_setting (const char *path)
{
  g_autofree char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? g_ascii_strtoll (text, NULL, 10) : -1;
}

/* Runs in a child under another user, and returns what @run returned there. */
int
run_as (uid_t uid,
        int (*run) (gpointer data),
        gpointer data)
{
  pid_t pid = fork ();
  int status = 0;

  if (pid == 0)
    _exit (setgid (uid) == 0 && setuid (uid) == 0 ? run (data) : 99);

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

static guint
count_fds (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static void
run_fact (gconstpointer data)
{
  const Fact *fact = data;
  guint n_fds = count_fds ();

  fact->test ();
  g_assert_cmpuint (count_fds (), ==, n_fds);
  if (g_test_failed ())
    g_test_message ("This kernel differs. Expected: %s. Without it: %s.", fact->fact,
                    fact->consequence);
}

static void
add_facts (const char *group,
           const Fact *facts)
{
  for (const Fact *fact = facts; fact->name != NULL; fact++)
    {
      g_autofree char *path = g_strdup_printf ("/kernel/%s/%s", group, fact->name);

      g_test_add_data_func (path, fact, run_fact);
    }
}

int
main (int argc,
      char **argv)
{
  g_autofree char *remove = NULL;
  int result;

  g_test_init (&argc, &argv, NULL);
  /* One fact that changed must not hide the others. */
  g_test_set_nonfatal_assertions ();
  directory = g_dir_make_tmp ("usock-kernel-XXXXXX", NULL);
  payload = g_malloc0 (MESSAGE_SIZE);

  add_facts ("seqpacket", seqpacket_facts);
  add_facts ("stream", stream_facts);
  add_facts ("batch", batch_facts);
  add_facts ("connect", connect_facts);
  add_facts ("address", address_facts);
  add_facts ("dgram", dgram_facts);
  add_facts ("descriptor", descriptor_facts);
  add_facts ("credential", credential_facts);
  add_facts ("epoll", epoll_facts);
  result = g_test_run ();

  remove = g_strdup_printf ("rm -rf '%s'", directory);
  if (system (remove) != 0)
    g_printerr ("%s is left over\n", directory);
  g_free (payload);
  g_free (directory);
  return result;
}
