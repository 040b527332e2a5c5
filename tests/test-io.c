/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "blocker.h"
#include "usock-io-calls-private.h"
#include "usock-io-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/limits.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

#define SLOT_SIZE 65536

static int
open_null (void)
{
  int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static guint
count_fds (void)
{
  g_autoptr (GDir) directory = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (directory) != NULL)
    n++;
  return n;
}

static void
assert_flags (int fd)
{
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (fcntl (fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
}

static UsockName *
name_new (const char *path)
{
  UsockName *name;

  usock_test_no_error (name = usock_name_new_for_path (path, &error));
  return name;
}

/* A path of just that length, whose directories exist. */
static char *
make_long_path (UsockTest *test, gsize length, gsize entry_length)
{
  GString *path = g_string_new (test->directory);
  gsize parent_length = length - entry_length - 1;

  while (path->len < parent_length)
    {
      gsize n = MIN (parent_length - path->len - 1, 200);

      /* What is left must be more than a slash. */
      if (parent_length - path->len - 1 - n == 1)
        n--;
      g_string_append_c (path, '/');
      for (; n > 0; n--)
        g_string_append_c (path, 'd');
      g_assert_cmpint (g_mkdir_with_parents (path->str, 0700), ==, 0);
    }
  g_string_append_c (path, '/');
  while (path->len < length)
    g_string_append_c (path, 'e');

  return g_string_free (path, FALSE);
}

static void
test_births (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  g_autoptr (UsockName) name = name_new (path);
  int pair[2];
  int listener = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  int client = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  int accepted, value = 0;

  assert_flags (listener);
  g_assert_cmpint (usock_io_bind (listener, name), ==, 0);
  g_assert_cmpint (usock_io_connect (client, name), ==, -ECONNREFUSED);
  g_assert_cmpint (usock_io_listen (listener, 0), ==, 0);
  g_assert_cmpint (usock_io_accept (listener), ==, -EAGAIN);
  g_assert_cmpint (usock_io_connect (client, name), ==, 0);
  accepted = usock_io_accept (listener);
  assert_flags (accepted);

  g_assert_cmpint (usock_io_get_option (accepted, SOL_SOCKET, SO_TYPE, &value), ==, 0);
  g_assert_cmpint (value, ==, SOCK_SEQPACKET);
  g_assert_cmpint (usock_io_pair (SOCK_STREAM, pair), ==, 0);
  assert_flags (pair[0]);
  assert_flags (pair[1]);

  g_assert_cmpint (usock_io_socket (AF_UNIX, SOCK_RDM, 0), ==, -ESOCKTNOSUPPORT);
  g_assert_cmpint (usock_io_bind (-1, name), ==, -EBADF);
  g_assert_cmpint (usock_io_listen (client, 1), ==, -EINVAL);
  g_assert_cmpint (usock_io_set_option (client, SOL_SOCKET, -1, 1), ==, -ENOPROTOOPT);

  close (listener);
  close (client);
  close (accepted);
  close (pair[0]);
  close (pair[1]);
}

static void
test_backlog (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockName) name = name_new ("@usock-test-\\x00backlog");
  int listener = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  int clients[3];

  g_assert_cmpint (usock_io_bind (listener, name), ==, 0);
  g_assert_cmpint (usock_io_listen (listener, 1), ==, 0);
  for (guint i = 0; i < 3; i++)
    {
      clients[i] = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
      g_assert_cmpint (usock_io_connect (clients[i], name), ==, i < 2 ? 0 : -EAGAIN);
    }
  close (usock_io_accept (listener));
  g_assert_cmpint (usock_io_connect (clients[2], name), ==, 0);

  for (guint i = 0; i < 3; i++)
    close (clients[i]);
  close (listener);
}

static void
check_bind_and_connect (const char *path)
{
  g_autoptr (UsockName) name = name_new (path);
  int listener = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  int second = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  int client = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  int accepted;
  struct stat info;

  g_assert_cmpint (usock_io_connect (client, name), ==, -ENOENT);
  g_assert_cmpint (usock_io_bind (listener, name), ==, 0);
  g_assert_cmpint (lstat (path, &info), ==, 0);
  g_assert_true (S_ISSOCK (info.st_mode));
  g_assert_cmpint (usock_io_bind (second, name), ==, -EADDRINUSE);
  g_assert_cmpint (usock_io_connect (client, name), ==, -ECONNREFUSED);
  g_assert_cmpint (usock_io_listen (listener, 5), ==, 0);
  g_assert_cmpint (usock_io_connect (client, name), ==, 0);
  accepted = usock_io_accept (listener);
  g_assert_cmpint (accepted, >=, 0);

  /* A borrowed name is never shown. */
  if (name->length == 0)
    g_assert_null (usock_io_get_local_address (listener));
  g_assert_false (usock_io_peer_is_missing (client));

  close (accepted);
  close (client);
  close (second);
  close (listener);
  g_assert_cmpint (unlink (path), ==, 0);
}

static guint
count_entries (const char *path)
{
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (directory) != NULL)
    n++;
  return n;
}

static void
test_long_paths (UsockTest *test, gconstpointer data)
{
  static const gsize lengths[] = { 106, 107, 108, 109, 110, 255, 269, 1000, 4000, 4094, 4095 };

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autofree char *path = make_long_path (test, lengths[i], 10);

      g_assert_cmpuint (strlen (path), ==, lengths[i]);
      check_bind_and_connect (path);
    }
}

/* Names up to the one that no longer fits behind “/proc/self/fd/N/”, and beyond. */
static void
test_long_entries (UsockTest *test, gconstpointer data)
{
  for (gsize entry = 60; entry <= NAME_MAX; entry = entry >= 100 ? entry + 31 : entry + 1)
    {
      g_autofree char *path = make_long_path (test, 400, entry);
      g_autofree char *parent = g_path_get_dirname (path);

      check_bind_and_connect (path);
      g_assert_cmpuint (count_entries (parent), ==, 0);
    }
  for (gsize length = 300; length <= 4095; length += 3795)
    {
      g_autofree char *path = make_long_path (test, length, NAME_MAX);

      check_bind_and_connect (path);
    }
}

static void
test_too_long_paths (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = make_long_path (test, PATH_MAX - 1, 10);
  g_autofree char *longer = g_strconcat (path, "e", NULL);
  g_autofree char *entry = make_long_path (test, 400, NAME_MAX);
  g_autofree char *longer_entry = g_strconcat (entry, "e", NULL);
  g_autoptr (UsockName) name = name_new (longer);
  g_autoptr (UsockName) entry_name = name_new (longer_entry);
  const UsockName *names[] = { name, entry_name };
  int fd = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  guint n = count_fds ();

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_assert_cmpint (usock_io_bind (fd, names[i]), ==, -ENAMETOOLONG);
      g_assert_cmpint (usock_io_connect (fd, names[i]), ==, -ENAMETOOLONG);
    }
  g_assert_cmpuint (count_fds (), ==, n);
  close (fd);
}

static void
test_long_refusals (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = make_long_path (test, 300, NAME_MAX - 100);
  g_autofree char *parent = g_path_get_dirname (path);
  g_autofree char *missing = g_strconcat (parent, "/missing/x", NULL);
  g_autofree char *below_file = g_strconcat (path, "/x", NULL);
  g_autoptr (UsockName) name = name_new (path);
  g_autoptr (UsockName) missing_name = name_new (missing);
  g_autoptr (UsockName) below_name = name_new (below_file);
  int fd = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  guint n = count_fds ();

  usock_test_no_error (g_file_set_contents (path, "x", 1, &error));
  g_assert_cmpint (usock_io_bind (fd, name), ==, -EADDRINUSE);
  g_assert_cmpint (usock_io_connect (fd, name), ==, -ECONNREFUSED);
  g_assert_cmpint (usock_io_bind (fd, missing_name), ==, -ENOENT);
  g_assert_cmpint (usock_io_connect (fd, missing_name), ==, -ENOENT);
  g_assert_cmpint (usock_io_bind (fd, below_name), ==, -ENOTDIR);
  g_assert_cmpint (usock_io_connect (fd, below_name), ==, -ENOTDIR);
  g_assert_cmpuint (count_fds (), ==, n);
  g_assert_cmpuint (count_entries (parent), ==, 1);
  close (fd);
}

/* Of what the kernel calls in use, only a file that is no socket is something else. */
static void
test_explain_bind (UsockTest *test, gconstpointer data)
{
  g_autofree char *file = usock_test_path (test, "file");
  g_autofree char *socket_path = usock_test_path (test, "socket");
  g_autofree char *missing = usock_test_path (test, "missing");
  g_autoptr (UsockName) file_name = name_new (file);
  g_autoptr (UsockName) socket_name = name_new (socket_path);
  g_autoptr (UsockName) missing_name = name_new (missing);
  g_autoptr (UsockName) abstract = NULL;
  int fd = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);

  usock_test_no_error (abstract = usock_name_new_for_text ("@usock-explain-bind", &error));
  usock_test_no_error (g_file_set_contents (file, "x", 1, &error));
  g_assert_cmpint (usock_io_bind (fd, socket_name), ==, 0);

  g_assert_cmpint (usock_io_explain_bind (file_name, EADDRINUSE), ==, EISNAM);
  g_assert_cmpint (usock_io_explain_bind (file_name, EACCES), ==, EACCES);
  g_assert_cmpint (usock_io_explain_bind (socket_name, EADDRINUSE), ==, EADDRINUSE);
  g_assert_cmpint (usock_io_explain_bind (missing_name, EADDRINUSE), ==, EADDRINUSE);
  g_assert_cmpint (usock_io_explain_bind (abstract, EADDRINUSE), ==, EADDRINUSE);

  close (fd);
  unlink (socket_path);
}

static void
test_faults (UsockTest *test, gconstpointer data)
{
  int value;

  usock_io_fault_add (USOCK_IO_GET_OPTION, ENOMEM, 3, 2);
  usock_io_fault_add (USOCK_IO_SEND, EPIPE, 1, 0);
  for (guint i = 1; i <= 10; i++)
    {
      gboolean fails = i >= 3 && i % 2 == 1;

      g_assert_cmpint (usock_io_get_option (test->pair[0], SOL_SOCKET, SO_TYPE, &value), ==,
                       fails ? -ENOMEM : 0);
    }
  g_assert_cmpint (usock_io_send_data (test->pair[0], "x", 1), ==, -EPIPE);
  g_assert_cmpint (usock_io_send_data (test->pair[0], "x", 1), ==, 1);

  usock_io_fault_add (USOCK_IO_SEND, EPIPE, 2, 1);
  usock_io_fault_clear ();
  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (usock_io_send_data (test->pair[0], "x", 1), ==, 1);
}

/* Each call obeys the table, and has a name for errors. */
static void
test_every_call_fails (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockName) name = name_new ("@usock-test");
  struct iovec iov = { (char *) "x", 1 };
  UsockIoOutgoing outgoing = { &iov, 1 };
  UsockIoIncoming incoming;
  UsockIoBatch *batch = usock_io_batch_new (100);
  UsockCredentials credentials;
  gboolean at_end;
  int fd = test->pair[0];
  int fds[2];
  int value;

  g_assert_null (usock_io_call_name (USOCK_IO_NONE));
  for (UsockIoCall call = USOCK_IO_SOCKET; call <= USOCK_IO_POLL; call++)
    {
      g_assert_nonnull (usock_io_call_name (call));
      usock_io_fault_add (call, EXDEV, 1, 1);
    }

  g_assert_cmpint (usock_io_socket (AF_UNIX, SOCK_STREAM, 0), ==, -EXDEV);
  g_assert_cmpint (usock_io_pair (SOCK_STREAM, fds), ==, -EXDEV);
  g_assert_cmpint (usock_io_bind (fd, name), ==, -EXDEV);
  g_assert_cmpint (usock_io_listen (fd, 1), ==, -EXDEV);
  g_assert_cmpint (usock_io_accept (fd), ==, -EXDEV);
  g_assert_cmpint (usock_io_connect (fd, name), ==, -EXDEV);
  g_assert_cmpint (usock_io_send_data (fd, "x", 1), ==, -EXDEV);
  g_assert_cmpint (usock_io_send (fd, &outgoing), ==, -EXDEV);
  g_assert_cmpint (usock_io_send_batch (fd, &outgoing, 1), ==, -EXDEV);
  g_assert_cmpint (usock_io_receive (fd, batch, 100, 2, FALSE), ==, -EXDEV);
  g_assert_cmpint (usock_io_peek_end (fd, FALSE, &at_end), ==, -EXDEV);
  g_assert_cmpint (usock_io_get_option (fd, SOL_SOCKET, SO_TYPE, &value), ==, -EXDEV);
  g_assert_cmpint (usock_io_get_peer_credentials (fd, &credentials), ==, -EXDEV);
  g_assert_cmpint (usock_io_make_room (fd, 1), ==, -EXDEV);
  g_assert_cmpint (usock_io_set_markers (fd), ==, -EXDEV);
  g_assert_cmpint (usock_io_set_credentials (fd, TRUE), ==, -EXDEV);
  g_assert_cmpint (usock_io_refuse_fds (fd, TRUE), ==, -EXDEV);
  g_assert_cmpint (usock_io_set_pidfds (fd, TRUE), ==, -EXDEV);
  g_assert_cmpint (usock_io_shutdown (fd, SHUT_WR), ==, -EXDEV);
  g_assert_cmpint (usock_io_accept_from (fd, NULL), ==, -EXDEV);
  g_assert_cmpint (usock_io_disconnect (fd), ==, -EXDEV);
  g_assert_cmpint (usock_io_send_message (fd, &outgoing, 0), ==, -EXDEV);
  g_assert_cmpint (usock_io_receive_message (fd, &incoming, 0), ==, -EXDEV);
  g_assert_cmpint (usock_io_poll (NULL, 0, 0), ==, -EXDEV);
  g_assert_null (usock_io_get_local_address (fd));
  g_assert_null (usock_io_get_remote_address (fd));

  usock_io_fault_clear ();
  usock_io_batch_free (batch);
}

static void
interrupt_all (void)
{
  for (UsockIoCall call = USOCK_IO_SOCKET; call <= USOCK_IO_POLL; call++)
    usock_io_fault_add (call, EINTR, 1, 1);
}

/* Binds, listens, connects and accepts. */
static void
connect_interrupted (const UsockName *name)
{
  int listening = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  int client = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  g_autoptr (GSocketAddress) address = NULL;
  UsockCredentials credentials;
  int value, accepted;

  g_assert_cmpint (usock_io_bind (listening, name), ==, 0);
  g_assert_cmpint (usock_io_listen (listening, 0), ==, 0);
  g_assert_cmpint (usock_io_set_option (client, SOL_SOCKET, SO_PASSCRED, TRUE), ==, 0);
  g_assert_cmpint (usock_io_get_option (client, SOL_SOCKET, SO_PASSCRED, &value), ==, 0);
  g_assert_cmpint (value, ==, TRUE);
  g_assert_cmpint (usock_io_connect (client, name), ==, 0);
  accepted = usock_io_accept (listening);
  g_assert_cmpint (accepted, >=, 0);
  g_assert_cmpint (usock_io_get_peer_credentials (client, &credentials), ==, 0);
  g_assert_cmpint (credentials.pid, ==, getpid ());
  /* The kernel knows a long name by another. */
  address = usock_io_get_local_address (listening);
  g_assert_true ((address != NULL) == (name->length > 0));
  g_assert_cmpint (usock_io_set_abort (client), ==, 0);
  g_assert_cmpint (usock_io_shutdown (client, SHUT_WR), ==, 0);

  close (accepted);
  close (client);
  close (listening);
}

/* Each call that a signal interrupts is made again, and nobody learns of it. */
static void
test_interrupted_connecting (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "socket");
  g_autofree char *long_path = make_long_path (test, 300, 20);
  g_autoptr (UsockName) name = name_new (path);
  g_autoptr (UsockName) long_name = name_new (long_path);

  interrupt_all ();
  connect_interrupted (name);
  connect_interrupted (long_name);
  usock_io_fault_clear ();
}

static void
test_interrupted_messages (UsockTest *test, gconstpointer data)
{
  struct iovec iov = { (char *) "x", 1 };
  UsockIoOutgoing outgoing = { &iov, 1 };
  UsockIoBatch *batch = usock_io_batch_new (100);
  struct pollfd readable = { .fd = test->pair[0], .events = POLLIN };
  gboolean at_end;
  int fds[2];

  interrupt_all ();
  g_assert_cmpint (usock_io_pair (SOCK_STREAM, fds), ==, 0);
  g_assert_cmpint (usock_io_send_data (fds[0], "x", 1), ==, 1);
  g_assert_cmpint (usock_io_receive_bytes (fds[1], batch, 100), ==, 1);
  g_assert_cmpint (usock_io_send (test->pair[1], &outgoing), ==, 1);
  g_assert_cmpint (usock_io_send_batch (test->pair[1], &outgoing, 1), ==, 1);
  g_assert_cmpint (usock_io_poll (&readable, 1, -1), ==, 1);
  g_assert_cmpint (usock_io_poll (NULL, 0, 1), ==, 0);
  g_assert_cmpint (usock_io_peek_end (test->pair[0], FALSE, &at_end), ==, 1);
  g_assert_false (at_end);
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 2, FALSE), ==, 2);
  usock_io_fault_clear ();

  close (fds[0]);
  close (fds[1]);
  usock_io_batch_free (batch);
}

/* What is no open socket is refused, whatever is done with it first. */
static void
test_no_socket (UsockTest *test, gconstpointer data)
{
  int nothing = open_null ();
  int place = open ("/dev/null", O_PATH | O_CLOEXEC);
  int size;

  close (nothing);
  g_assert_cmpint (usock_io_prepare_adopted (nothing), ==, -EBADF);
  g_assert_cmpint (usock_io_prepare_adopted (place), ==, -EBADF);
  g_assert_cmpint (usock_io_set_nonblocking (nothing, TRUE), ==, -EBADF);
  g_assert_cmpint (usock_io_set_nonblocking (place, TRUE), ==, -EBADF);
  g_assert_cmpint (usock_io_get_option (nothing, SOL_SOCKET, SO_TYPE, &size), ==, -EBADF);
  g_assert_cmpint (usock_io_get_room (nothing), ==, USOCK_IO_FREE);
  g_assert_cmpint (usock_io_get_unread (nothing), ==, -1);
  g_assert_false (usock_io_grow_buffer (nothing));
  close (place);
}

/* Kernels before 6.16 do not know how to refuse. */
static void
test_refuse_unknown (UsockTest *test, gconstpointer data)
{
  usock_io_fault_add (USOCK_IO_SET_OPTION, ENOPROTOOPT, 1, 0);
  g_assert_cmpint (usock_io_refuse_fds (test->pair[0], TRUE), ==, 0);
  usock_io_fault_clear ();
}

/* Kernels before 6.5 have no descriptors of processes to give. */
static void
test_pidfds_unknown (UsockTest *test, gconstpointer data)
{
  usock_io_fault_add (USOCK_IO_SET_OPTION, ENOPROTOOPT, 1, 0);
  g_assert_cmpint (usock_io_set_pidfds (test->pair[0], TRUE), ==, 0);
  usock_io_fault_clear ();
}

static void
send_text (int fd, const char *text)
{
  g_assert_cmpint (usock_io_send_data (fd, text, strlen (text)), ==, strlen (text));
}

static void
send_fds (int fd, const char *text, int passed, guint n_fds)
{
  struct iovec iov = { (char *) text, strlen (text) };
  int fds[USOCK_IO_FDS_MAX];
  UsockIoOutgoing outgoing = { &iov, 1, fds, n_fds };

  for (guint i = 0; i < n_fds; i++)
    fds[i] = passed;
  g_assert_cmpint (usock_io_send (fd, &outgoing), ==, strlen (text));
}

static void
assert_packet (UsockIoBatch *batch, guint index, const char *expected)
{
  UsockIoPacket packet;

  usock_io_batch_get (batch, index, &packet);
  g_assert_cmpmem (packet.data, packet.length, expected, strlen (expected));
  g_assert_cmpuint (packet.full_length, ==, packet.length);
  g_assert_false (packet.truncated);
}

static guint
take_control (UsockIoBatch *batch, guint index, UsockIoControl *control)
{
  UsockIoPacket packet;

  usock_io_batch_get (batch, index, &packet);
  memset (control, 0, sizeof *control);
  control->pidfd = -1;
  if (packet.has_control)
    usock_io_batch_get_control (batch, index, control);
  if (control->pidfd != -1)
    {
      g_assert_cmpint (fcntl (control->pidfd, F_GETFD), ==, FD_CLOEXEC);
      g_assert_cmpint (close (control->pidfd), ==, 0);
    }
  for (guint i = 0; i < control->n_fds; i++)
    {
      g_assert_cmpint (fcntl (control->fds[i], F_GETFD), ==, FD_CLOEXEC);
      g_assert_cmpint (close (control->fds[i]), ==, 0);
    }
  return control->n_fds;
}

static void
test_batch (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (SLOT_SIZE);
  UsockIoPacket packet;

  g_assert_cmpuint (usock_io_batch_slot_size (batch), ==, SLOT_SIZE);
  g_assert_cmpuint (usock_io_batch_n_slots (batch), ==, USOCK_IO_BATCH_MAX);
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, SLOT_SIZE, 8, FALSE), ==, -EAGAIN);

  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      send_text (test->pair[1], text);
    }
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, SLOT_SIZE, 2, FALSE), ==, 2);
  assert_packet (batch, 0, "0");
  assert_packet (batch, 1, "1");
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, SLOT_SIZE, 1000, FALSE), ==, 64);
  assert_packet (batch, 0, "2");
  assert_packet (batch, 63, "65");
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, SLOT_SIZE, 64, FALSE), ==, 34);
  assert_packet (batch, 33, "99");

  usock_io_batch_get (batch, 33, &packet);
  ((guint8 *) packet.data)[packet.length] = '\0';
  g_assert_cmpstr ((char *) packet.data, ==, "99");
  usock_io_batch_free (batch);
}

/* Slots of any size are apart from each other, and have room for a NUL. */
static void
test_batch_sizes (UsockTest *test, gconstpointer data)
{
  static const gsize sizes[]
      = { 1, 100, 4095, 4096, 4097, 262144, USOCK_IO_MESSAGE_MAX, 64 * 1024 * 1024 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      UsockIoBatch *batch = usock_io_batch_new (sizes[i]);
      guint8 *last = NULL;

      g_assert_cmpuint (usock_io_batch_n_slots (batch), >=, 2);
      g_assert_cmpuint (usock_io_batch_n_slots (batch), <=, USOCK_IO_BATCH_MAX);
      for (guint j = 0; j < usock_io_batch_n_slots (batch); j++)
        {
          UsockIoPacket packet;

          usock_io_batch_get (batch, j, &packet);
          if (last != NULL)
            g_assert_cmpuint (packet.data - last, >=, sizes[i] + 1);
          last = (guint8 *) packet.data;
          last[0] = last[sizes[i]] = 0xff;
        }
      usock_io_batch_free (batch);
    }
}

static void
test_truncation (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  g_autofree char *text = g_strnfill (1000, 'x');
  UsockIoPacket packet;
  guint8 *plain;
  gsize bytes;

  send_text (test->pair[1], text);
  text[10] = '\0';
  send_text (test->pair[1], text);
  send_text (test->pair[1], text);
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 10, 2, FALSE), ==, 2);
  usock_io_batch_get (batch, 0, &packet);
  g_assert_true (packet.truncated);
  g_assert_cmpuint (packet.length, ==, 10);
  g_assert_cmpuint (packet.full_length, ==, 1000);
  g_assert_cmpuint (usock_io_batch_count (batch, 2, TRUE, &bytes), ==, 2);
  g_assert_cmpuint (bytes, ==, 10 + strlen (text));
  assert_packet (batch, 1, text);
  g_assert_false (usock_io_batch_get_plain (batch, 0, &plain, &bytes));
  g_assert_true (usock_io_batch_get_plain (batch, 1, &plain, &bytes));
  g_assert_cmpmem (plain, bytes, text, strlen (text));
  /* What truncated before does not stick to the slot. */
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 10, 2, FALSE), ==, 1);
  assert_packet (batch, 0, text);
  usock_io_batch_free (batch);
}

/* An empty message and the end read alike but for the marker, also on what was queued before. */
static void
test_markers (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  UsockIoControl control;
  UsockIoPacket packet;
  gboolean at_end = TRUE;
  guint8 *plain;
  gsize bytes;

  send_text (test->pair[1], "");
  g_assert_cmpint (usock_io_set_markers (test->pair[0]), ==, 0);
  g_assert_cmpint (usock_io_peek_end (test->pair[0], FALSE, &at_end), ==, 0);
  g_assert_false (at_end);
  send_text (test->pair[1], "x");
  send_text (test->pair[1], "");
  close (usock_test_take (test, 1));

  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 8, FALSE), ==, 8);
  assert_packet (batch, 0, "");
  assert_packet (batch, 1, "x");
  assert_packet (batch, 2, "");
  for (guint i = 0; i < 8; i++)
    {
      usock_io_batch_get (batch, i, &packet);
      g_assert_false (packet.has_control);
    }
  g_assert_cmpuint (usock_io_batch_count (batch, 8, TRUE, &bytes), ==, 3);
  g_assert_cmpuint (bytes, ==, 1);
  g_assert_cmpuint (usock_io_batch_count (batch, 3, TRUE, &bytes), ==, 3);
  g_assert_cmpuint (usock_io_batch_count (batch, 8, FALSE, &bytes), ==, 8);
  g_assert_true (usock_io_batch_get_plain (batch, 2, &plain, &bytes));
  g_assert_cmpuint (bytes, ==, 0);
  usock_io_batch_get_control (batch, 1, &control);
  g_assert_cmpint (ABS (control.timestamp / 1000 - g_get_real_time ()), <, 600 * G_USEC_PER_SEC);

  g_assert_cmpint (usock_io_peek_end (test->pair[0], FALSE, &at_end), ==, 0);
  g_assert_true (at_end);
  usock_io_batch_free (batch);
}

static void
test_peek (UsockTest *test, gconstpointer data)
{
  gboolean at_end = TRUE;

  g_assert_cmpint (usock_io_peek_end (test->pair[0], FALSE, &at_end), ==, -EAGAIN);
  g_assert_false (at_end);
  send_text (test->pair[1], "abcdef");
  at_end = TRUE;
  g_assert_cmpint (usock_io_peek_end (test->pair[0], FALSE, &at_end), ==, 6);
  g_assert_false (at_end);

  /* What the peer did not read when it closed is an error first, and once. */
  send_text (test->pair[0], "unread");
  close (usock_test_take (test, 1));
  g_assert_cmpint (usock_io_peek_end (test->pair[0], FALSE, &at_end), ==, -ECONNRESET);
  g_assert_false (at_end);
  g_assert_cmpint (usock_io_peek_end (test->pair[0], FALSE, &at_end), ==, 6);
}

/* Whatever options the socket has, and however many there are. */
static void
test_peek_installs_nothing (UsockTest *test, gconstpointer data)
{
  static const guint counts[] = { 1, 2, 4, 5, 253 };
  int null = open_null ();

  for (guint options = 0; options < 8; options++)
    for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
      {
        int pair[2];
        guint before;
        gboolean at_end = TRUE;

        g_assert_cmpint (usock_io_pair (SOCK_SEQPACKET, pair), ==, 0);
        if (options & 1)
          g_assert_cmpint (usock_io_set_markers (pair[0]), ==, 0);
        if (options & 2)
          g_assert_cmpint (usock_io_set_credentials (pair[0], TRUE), ==, 0);
        if (options & 4)
          g_assert_cmpint (usock_io_set_pidfds (pair[0], TRUE), ==, 0);
        send_fds (pair[1], "x", null, counts[i]);
        before = count_fds ();
        for (guint n = 0; n < 10; n++)
          g_assert_cmpint (usock_io_peek_end (pair[0], FALSE, &at_end), ==, 1);
        g_assert_false (at_end);
        g_assert_cmpuint (count_fds (), ==, before);
        close (pair[0]);
        close (pair[1]);
      }
  close (null);
}

/* None may be overlooked, since what is not found is never closed. */
static void
test_fds (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  int null = open_null ();
  guint before = count_fds ();

  for (guint markers = 0; markers < 2; markers++)
    {
      for (guint n_fds = 1; n_fds <= USOCK_IO_FDS_MAX; n_fds += n_fds < 12 ? 1 : 241)
        {
          UsockIoControl control;

          send_text (test->pair[1], "before");
          send_fds (test->pair[1], "x", null, n_fds);
          send_text (test->pair[1], "after");
          send_fds (test->pair[1], "", null, 1);
          g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 8, FALSE), ==, 4);
          assert_packet (batch, 0, "before");
          g_assert_cmpuint (take_control (batch, 0, &control), ==, 0);
          assert_packet (batch, 1, "x");
          g_assert_cmpuint (take_control (batch, 1, &control), ==, n_fds);
          g_assert_false (control.fds_lost);
          assert_packet (batch, 2, "after");
          g_assert_cmpuint (take_control (batch, 2, &control), ==, 0);
          assert_packet (batch, 3, "");
          g_assert_cmpuint (take_control (batch, 3, &control), ==, 1);
          g_assert_cmpuint (count_fds (), ==, before);
        }
      g_assert_cmpint (usock_io_set_markers (test->pair[0]), ==, 0);
    }

  close (null);
  usock_io_batch_free (batch);
}

/* Everything at once that the kernel may add, with as many descriptors as it takes. */
static void
test_full_control (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  int null = open_null ();
  guint before = count_fds ();
  gboolean knows_pidfds
      = usock_io_set_option (test->pair[0], SOL_SOCKET, SO_PASSPIDFD, FALSE) == 0;

  for (guint options = 0; options < 8; options++)
    {
      UsockIoControl control;
      int pair[2];

      g_assert_cmpint (usock_io_pair (SOCK_SEQPACKET, pair), ==, 0);
      if (options & 1)
        g_assert_cmpint (usock_io_set_markers (pair[0]), ==, 0);
      if (options & 2)
        g_assert_cmpint (usock_io_set_credentials (pair[0], TRUE), ==, 0);
      if (options & 4)
        g_assert_cmpint (usock_io_set_pidfds (pair[0], TRUE), ==, 0);

      send_text (pair[1], "x");
      send_fds (pair[1], "y", null, USOCK_IO_FDS_MAX);
      g_assert_cmpint (usock_io_receive (pair[0], batch, 100, 8, FALSE), ==, 2);
      take_control (batch, 0, &control);
      g_assert_cmpint (control.has_credentials, ==, (options & 2) != 0);
      g_assert_cmpuint (take_control (batch, 1, &control), ==, USOCK_IO_FDS_MAX);
      g_assert_false (control.fds_lost);
      g_assert_cmpuint (control.n_others, ==, 0);
      if (knows_pidfds)
        g_assert_cmpint (control.pidfd != -1, ==, (options & 4) != 0);
      g_assert_cmpint (control.timestamp != 0, ==, (options & 1) != 0);
      g_assert_cmpint (control.has_credentials, ==, (options & 2) != 0);
      if (options & 2)
        {
          g_assert_cmpint (control.credentials.pid, ==, getpid ());
          g_assert_cmpint (control.credentials.uid, ==, getuid ());
        }
      close (pair[0]);
      close (pair[1]);
      g_assert_cmpuint (count_fds (), ==, before);
    }

  close (null);
  usock_io_batch_free (batch);
}

/* The kernel delivers the message, and as many descriptors as there are numbers for. */
static void
test_no_numbers_left (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  UsockIoControl control;
  struct rlimit limit, low;
  int null = open_null ();
  guint before = count_fds ();
  int next;

  if (g_getenv ("USOCK_TEST_SLOW") != NULL)
    {
      g_test_skip ("valgrind keeps the limit from the kernel");
      close (null);
      usock_io_batch_free (batch);
      return;
    }

  g_assert_cmpint (usock_io_set_markers (test->pair[0]), ==, 0);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  low = limit;
  for (guint n_left = 0; n_left <= 3; n_left++)
    {
      guint n_free = 0;

      send_fds (test->pair[1], "x", null, 3);
      for (next = 0; n_free < n_left || fcntl (next, F_GETFD) != -1; next++)
        n_free += fcntl (next, F_GETFD) == -1;
      low.rlim_cur = next;
      g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
      g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 2, FALSE), ==, 1);
      g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
      assert_packet (batch, 0, "x");
      g_assert_cmpuint (take_control (batch, 0, &control), ==, n_left);
      g_assert_cmpint (control.fds_lost, ==, n_left < 3);
    }

  g_assert_cmpuint (count_fds (), ==, before);
  close (null);
  usock_io_batch_free (batch);
}

/* What one message left in a slot must not cut the next one's records, nor be taken for them. */
static void
test_slots_are_made_new (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  int null = open_null ();
  guint before = count_fds ();

  g_assert_cmpint (usock_io_set_markers (test->pair[0]), ==, 0);
  for (guint round = 0; round < 300; round++)
    {
      guint n_fds[20];
      guint n = g_test_rand_int_range (1, G_N_ELEMENTS (n_fds));

      for (guint i = 0; i < n; i++)
        {
          n_fds[i] = g_test_rand_int_range (0, 3) == 0 ? g_test_rand_int_range (1, 20) : 0;
          send_fds (test->pair[1], "x", null, n_fds[i]);
        }
      if (g_test_rand_int_range (0, 4) == 0)
        {
          usock_io_fault_add (USOCK_IO_RECEIVE, ENOMEM, 1, 0);
          g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 8, FALSE), ==, -ENOMEM);
        }
      g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 20, FALSE), ==, n);
      for (guint i = 0; i < n; i++)
        {
          UsockIoControl control;

          assert_packet (batch, i, "x");
          g_assert_cmpuint (take_control (batch, i, &control), ==, n_fds[i]);
        }
      if (g_test_rand_int_range (0, 4) == 0)
        g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 20, FALSE), ==, -EAGAIN);
    }

  usock_io_fault_clear ();
  g_assert_cmpuint (count_fds (), ==, before);
  close (null);
  usock_io_batch_free (batch);
}

static void
test_send_credentials (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  UsockCredentials own = { getpid (), getuid (), getgid () };
  struct iovec iov[2] = { { (char *) "ab", 2 }, { (char *) "cd", 2 } };
  int null = open_null ();
  UsockIoOutgoing outgoing = { iov, 2, &null, 1, &own };
  const struct ucred native = { getpid (), getuid (), getgid () };
  UsockControl control_record;
  UsockIoControl control;

  g_assert_cmpint (usock_io_set_credentials (test->pair[0], TRUE), ==, 0);
  g_assert_cmpint (usock_io_send (test->pair[1], &outgoing), ==, 4);
  outgoing.n_fds = 0;
  g_assert_cmpint (usock_io_send (test->pair[1], &outgoing), ==, 4);
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 8, FALSE), ==, 2);
  assert_packet (batch, 0, "abcd");
  g_assert_cmpuint (take_control (batch, 0, &control), ==, 1);
  g_assert_true (control.has_credentials);
  g_assert_cmpint (control.credentials.pid, ==, getpid ());
  g_assert_cmpuint (take_control (batch, 1, &control), ==, 0);
  g_assert_true (control.has_credentials);

  /* Whatever stands behind the descriptors stands behind all of them. */
  control_record = (UsockControl) { SOL_SOCKET, SCM_CREDENTIALS, sizeof native, &native };
  outgoing = (UsockIoOutgoing) { .iov = iov, .n_iov = 2, .fds = &null, .n_fds = 1,
                                 .controls = &control_record, .n_controls = 1 };
  g_assert_cmpint (usock_io_send (test->pair[1], &outgoing), ==, 4);
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 8, FALSE), ==, 1);
  g_assert_cmpuint (take_control (batch, 0, &control), ==, 1);
  g_assert_true (control.has_credentials);

  outgoing = (UsockIoOutgoing) { .iov = iov, .n_iov = 2, .credentials = &own };
  own.uid = -1;
  g_assert_cmpint (usock_io_send (test->pair[1], &outgoing), <, 0);
  close (null);
  usock_io_batch_free (batch);
}

static void
test_refuse_fds (UsockTest *test, gconstpointer data)
{
  int null = open_null ();
  struct iovec iov = { (char *) "x", 1 };
  UsockIoOutgoing outgoing = { &iov, 1, &null, 1 };
  UsockIoBatch *batch = usock_io_batch_new (100);
  UsockIoControl control;
  gssize result;
  int refused = usock_io_refuse_fds (test->pair[0], TRUE);

  g_assert_cmpint (refused, >=, 0);
  result = usock_io_send (test->pair[1], &outgoing);
  g_assert_cmpint (result, ==, refused ? -EPERM : 1);
  if (result == 1)
    {
      g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 2, FALSE), ==, 1);
      take_control (batch, 0, &control);
    }
  g_assert_cmpint (usock_io_refuse_fds (test->pair[0], FALSE), ==, 0);
  g_assert_cmpint (usock_io_send (test->pair[1], &outgoing), ==, 1);
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 2, FALSE), ==, 1);
  g_assert_cmpuint (take_control (batch, 0, &control), ==, 1);
  close (null);
  usock_io_batch_free (batch);
}

static void
test_send_batch (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  struct iovec iovs[100];
  UsockIoOutgoing outgoing[100] = { 0 };
  g_autofree char *large = g_malloc0 (1000000);

  for (guint i = 0; i < 100; i++)
    {
      iovs[i] = (struct iovec){ (char *) "0123456789", i % 11 };
      outgoing[i].iov = &iovs[i];
      outgoing[i].n_iov = 1;
    }

  g_assert_cmpint (usock_io_send_batch (test->pair[1], outgoing, 100), ==, USOCK_IO_BATCH_MAX);
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 64, FALSE), ==, 64);
  assert_packet (batch, 10, "0123456789");
  assert_packet (batch, 12, "0");

  /* Of the first that it did not take, the kernel says nothing until it is asked again. */
  iovs[3] = (struct iovec){ large, 1000000 };
  g_assert_cmpint (usock_io_send_batch (test->pair[1], outgoing, 5), ==, 3);
  g_assert_cmpint (usock_io_send (test->pair[1], &outgoing[3]), ==, -EMSGSIZE);
  g_assert_cmpint (usock_io_send_batch (test->pair[1], outgoing + 4, 1), ==, 1);
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 64, FALSE), ==, 4);
  usock_io_batch_free (batch);
}

/* A stream would raise it. */
static void
test_no_sigpipe (UsockTest *test, gconstpointer data)
{
  struct iovec iov = { (char *) "x", 1 };
  UsockIoOutgoing outgoing = { &iov, 1 };
  int pair[2];

  g_assert_cmpint (usock_io_pair (SOCK_STREAM, pair), ==, 0);
  close (pair[1]);
  g_assert_true (signal (SIGPIPE, SIG_DFL) != SIG_ERR);
  g_assert_cmpint (usock_io_send_data (pair[0], "x", 1), ==, -EPIPE);
  g_assert_cmpint (usock_io_send (pair[0], &outgoing), ==, -EPIPE);
  g_assert_cmpint (usock_io_send_batch (pair[0], &outgoing, 1), ==, -EPIPE);
  close (pair[0]);
}

/* On a descriptor that was adopted, and is not set to it. */
static void
test_never_blocks (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  gboolean at_end;
  gssize result;

  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (fcntl (test->pair[i], F_SETFL, 0), ==, 0);
  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 64, FALSE), ==, -EAGAIN);
  g_assert_cmpint (usock_io_peek_end (test->pair[0], FALSE, &at_end), ==, -EAGAIN);
  while ((result = usock_io_send_data (test->pair[1], "x", 1)) == 1)
    ;
  g_assert_cmpint (result, ==, -EAGAIN);
  usock_io_batch_free (batch);
}

static void
test_make_room (UsockTest *test, gconstpointer data)
{
  static const gsize lengths[]
      = { 0, 1000, 212960, 212961, 1048576, 4000000, USOCK_IO_MESSAGE_MAX };
  g_autofree char *bytes = g_malloc0 (USOCK_IO_MESSAGE_MAX + 1);
  UsockIoBatch *batch = usock_io_batch_new (USOCK_IO_MESSAGE_MAX);
  int before, after;

  g_assert_cmpint (usock_io_get_option (test->pair[1], SOL_SOCKET, SO_SNDBUF, &before), ==, 0);
  g_assert_cmpint (usock_io_make_room (test->pair[1], before - 32), ==, 0);
  g_assert_cmpint (usock_io_get_option (test->pair[1], SOL_SOCKET, SO_SNDBUF, &after), ==, 0);
  g_assert_cmpint (after, ==, before);

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      UsockIoPacket packet;

      g_assert_cmpint (usock_io_make_room (test->pair[1], lengths[i]), ==, 0);
      g_assert_cmpint (usock_io_send_data (test->pair[1], bytes, lengths[i]), ==, lengths[i]);
      g_assert_cmpint (usock_io_receive (test->pair[0], batch, USOCK_IO_MESSAGE_MAX, 2, FALSE), ==,
                       1);
      usock_io_batch_get (batch, 0, &packet);
      g_assert_cmpuint (packet.length, ==, lengths[i]);
      g_assert_false (packet.truncated);
    }

  g_assert_cmpint (usock_io_make_room (test->pair[1], USOCK_IO_MESSAGE_MAX + 1), ==, -EMSGSIZE);
  g_assert_cmpint (usock_io_make_room (test->pair[1], G_MAXSIZE), ==, -EMSGSIZE);
  usock_io_batch_free (batch);
}

/* Where the system's limit is low and nobody may exceed it. */
static void
test_no_room (UsockTest *test, gconstpointer data)
{
  usock_io_fault_add (USOCK_IO_SET_OPTION, EPERM, 1, 1);
  g_assert_cmpint (usock_io_make_room (test->pair[1], 1000), ==, 0);
  g_assert_cmpint (usock_io_make_room (test->pair[1], USOCK_IO_MESSAGE_MAX), ==, -EMSGSIZE);
  usock_io_fault_clear ();
}

/* Who may exceed that limit does, but only where it is in the way. */
static void
test_forced_room (UsockTest *test, gconstpointer data)
{
  usock_io_fault_clear ();
  g_assert_cmpint (usock_io_make_room (test->pair[0], 400000), ==, 0);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_SET_OPTION), ==, 1);

  usock_io_fault_clear ();
  usock_io_fault_add (USOCK_IO_SET_OPTION, EPERM, 1, 0);
  usock_io_make_room (test->pair[1], 400000);
  g_assert_cmpuint (usock_io_fault_get_n_calls (USOCK_IO_SET_OPTION), ==, 2);
  usock_io_fault_clear ();
}

static void
test_peer_credentials (UsockTest *test, gconstpointer data)
{
  UsockCredentials credentials = { 0 };
  int fd = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);

  g_assert_cmpint (usock_io_get_peer_credentials (test->pair[0], &credentials), ==, 0);
  g_assert_cmpint (credentials.pid, ==, getpid ());
  g_assert_cmpint (credentials.uid, ==, getuid ());
  /* The kernel says “uid -1” of nobody, and succeeds. */
  g_assert_cmpint (usock_io_get_peer_credentials (fd, &credentials), ==, -ENODATA);
  g_assert_cmpint (usock_io_get_peer_credentials (-1, &credentials), ==, -EBADF);
  close (fd);
}

/* As on a kernel, or a file system, that cannot rename so. */
static void
refuse_to_rename (void)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { G_N_ELEMENTS (filter), filter };

  g_assert_no_errno (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  g_assert_no_errno (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

/* Runs in a process of its own, which the filter stays in. */
static int
rename_by_links (const char *path)
{
  int directory = open (path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat status;

  refuse_to_rename ();
  if (renameat2 (directory, "first", directory, "third", RENAME_NOREPLACE) != -1)
    return 1;
  if (usock_io_rename_new (directory, "first", "second") != -EEXIST)
    return 2;
  if (usock_io_rename_new (directory, "first", "third") != 0)
    return 3;
  if (fstatat (directory, "first", &status, AT_SYMLINK_NOFOLLOW) != -1)
    return 4;
  return fstatat (directory, "third", &status, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : 5;
}

static void
test_rename_by_links (UsockTest *test, gconstpointer data)
{
  g_autofree char *first = usock_test_path (test, "first");
  g_autofree char *second = usock_test_path (test, "second");
  g_autofree char *directory = g_path_get_dirname (first);
  int status;
  pid_t child;

  usock_test_no_error (g_file_set_contents (first, "1", 1, &error));
  usock_test_no_error (g_file_set_contents (second, "2", 1, &error));
  child = fork ();
  if (child == 0)
    _exit (rename_by_links (directory));

  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
}

static guint
read_overflow_id (const char *path)
{
  g_autofree char *text = NULL;

  usock_test_no_error (g_file_get_contents (path, &text, NULL, &error));
  return (guint) g_ascii_strtoull (text, NULL, 10);
}

/* The number that stands for those without one is nobody's; those beside it are somebody's. */
static void
test_unknown_credentials (UsockTest *test, gconstpointer data)
{
  guint uid = read_overflow_id ("/proc/sys/kernel/overflowuid");
  guint gid = read_overflow_id ("/proc/sys/kernel/overflowgid");
  UsockCredentials credentials = { 0 };

  for (int i = -1; i <= 1; i++)
    {
      const struct ucred native = { 7, uid + i, gid + i };

      g_assert_cmpint (usock_io_read_credentials (&native, &credentials), ==, i != 0);
      if (i == 0)
        continue;
      g_assert_cmpint (credentials.pid, ==, 7);
      g_assert_cmpuint (credentials.uid, ==, uid + i);
      g_assert_cmpuint (credentials.gid, ==, gid + i);
    }

  g_assert_true (usock_io_read_credentials (&(struct ucred) { 0, 1000, gid }, &credentials));
  g_assert_cmpint (credentials.pid, ==, -1);
  g_assert_cmpuint (credentials.uid, ==, 1000);
  g_assert_cmpuint (credentials.gid, ==, (gid_t) -1);
  g_assert_false (usock_io_read_credentials (&(struct ucred) { 7, -1, 0 }, &credentials));
}

static void
test_addresses (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  g_autoptr (UsockName) name = name_new (path);
  g_autoptr (GSocketAddress) local = NULL;
  g_autoptr (GSocketAddress) remote = NULL;
  g_autofree char *local_text = NULL;
  g_autofree char *remote_text = NULL;
  int listener = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  int client = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);

  g_assert_true (usock_io_peer_is_missing (client));
  g_assert_null (usock_io_get_remote_address (client));
  g_assert_null (usock_io_get_local_address (-1));
  g_assert_cmpint (usock_io_bind (listener, name), ==, 0);
  g_assert_cmpint (usock_io_listen (listener, 1), ==, 0);
  g_assert_cmpint (usock_io_connect (client, name), ==, 0);

  local = usock_io_get_local_address (listener);
  local_text = usock_address_to_string (local);
  g_assert_cmpstr (local_text, ==, path);
  remote = usock_io_get_remote_address (client);
  remote_text = usock_address_to_string (remote);
  g_assert_cmpstr (remote_text, ==, path);
  g_assert_false (usock_io_peer_is_missing (client));
  close (listener);
  close (client);
}

static void
test_sender (UsockTest *test, gconstpointer data)
{
  static const char *const senders[] = { NULL, "@usock-test-\\x00\\xff", "x" };
  UsockIoBatch *batch = usock_io_batch_new (100);
  g_autofree char *path = usock_test_path (test, "receiver");
  g_autoptr (UsockName) name = name_new (path);
  struct iovec iov = { (char *) "x", 1 };
  UsockIoOutgoing outgoing = { .iov = &iov, .n_iov = 1, .destination = name };
  int receiver = usock_io_socket (AF_UNIX, SOCK_DGRAM, 0);

  g_assert_cmpint (usock_io_bind (receiver, name), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (senders); i++)
    {
      char *text, *again;
      g_autofree char *expected = g_strdup (senders[i]);
      int sender = usock_io_socket (AF_UNIX, SOCK_DGRAM, 0);

      if (expected != NULL)
        {
          g_autoptr (UsockName) own = NULL;

          if (expected[0] == 'x')
            {
              g_free (expected);
              expected = usock_test_path (test, "x");
            }
          own = name_new (expected);
          g_assert_cmpint (usock_io_bind (sender, own), ==, 0);
        }
      g_assert_cmpint (usock_io_send (sender, &outgoing), ==, 1);
      g_assert_cmpint (usock_io_receive (receiver, batch, 100, 8, TRUE), ==, 1);
      text = usock_io_batch_get_sender (batch, 0);
      g_assert_cmpstr (text, ==, expected);
      again = usock_io_batch_get_sender (batch, 0);
      g_assert_true (again == text);
      g_clear_pointer (&text, g_ref_string_release);
      g_clear_pointer (&again, g_ref_string_release);
      close (sender);
    }
  close (receiver);
  usock_io_batch_free (batch);
}

/* Many senders, each known by its own text, which outlives what the batch remembers. */
static void
test_many_senders (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  g_autofree char *path = usock_test_path (test, "receiver");
  g_autoptr (UsockName) name = name_new (path);
  struct iovec iov = { (char *) "x", 1 };
  UsockIoOutgoing outgoing = { .iov = &iov, .n_iov = 1, .destination = name };
  int receiver = usock_io_socket (AF_UNIX, SOCK_DGRAM, 0);
  char *texts[40];

  g_assert_cmpint (usock_io_bind (receiver, name), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autofree char *own_path = g_strdup_printf ("@usock-test-%d-%u", getpid (), i);
      g_autoptr (UsockName) own = name_new (own_path);
      int sender = usock_io_socket (AF_UNIX, SOCK_DGRAM, 0);

      g_assert_cmpint (usock_io_bind (sender, own), ==, 0);
      g_assert_cmpint (usock_io_send (sender, &outgoing), ==, 1);
      g_assert_cmpint (usock_io_receive (receiver, batch, 100, 8, TRUE), ==, 1);
      texts[i] = usock_io_batch_get_sender (batch, 0);
      close (sender);
    }
  usock_io_batch_free (batch);

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autofree char *expected = g_strdup_printf ("@usock-test-%d-%u", getpid (), i);

      g_assert_cmpstr (texts[i], ==, expected);
      g_ref_string_release (texts[i]);
    }
  close (receiver);
}

static void
test_unread (UsockTest     *test,
             gconstpointer  unused)
{
  char buffer[1000] = "";
  gssize first, second;

  g_assert_cmpint (usock_io_get_unread (test->pair[0]), ==, 0);
  g_assert_cmpint (send (test->pair[0], buffer, sizeof buffer, 0), ==, sizeof buffer);
  first = usock_io_get_unread (test->pair[0]);
  g_assert_cmpint (first, >=, sizeof buffer);
  g_assert_cmpint (send (test->pair[0], buffer, sizeof buffer, 0), ==, sizeof buffer);
  second = usock_io_get_unread (test->pair[0]);
  g_assert_cmpint (second, ==, 2 * first);
  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (recv (test->pair[1], buffer, sizeof buffer, 0), ==, sizeof buffer);
  g_assert_cmpint (usock_io_get_unread (test->pair[0]), ==, 0);

  /* With what was not read it went, and nothing is known of that any more. */
  g_assert_cmpint (send (test->pair[0], buffer, sizeof buffer, 0), ==, sizeof buffer);
  close (usock_test_take (test, 1));
  g_assert_cmpint (usock_io_get_unread (test->pair[0]), ==, -1);
}

/* What has been sent is dropped, pieces of no length with it. */
static void
test_advance (UsockTest *test, gconstpointer data)
{
  static const guint n_left[] = { 3, 3, 1, 1, 1, 0 };
  char bytes[] = "abcde";

  for (gsize sent = 0; sent <= 5; sent++)
    {
      struct iovec iov[] = { { bytes, 2 }, { bytes, 0 }, { bytes + 2, 3 } };
      guint n = usock_io_advance_iov (iov, 3, sent);
      GString *rest = g_string_new (NULL);

      g_assert_cmpuint (n, ==, n_left[sent]);
      for (guint i = 0; i < n; i++)
        g_string_append_len (rest, iov[i].iov_base, iov[i].iov_len);
      g_assert_cmpstr (rest->str, ==, bytes + sent);
      g_string_free (rest, TRUE);
    }
}

/* It tells what was before, and changes nothing else. */
static void
test_nonblocking (UsockTest *test, gconstpointer data)
{
  static const gboolean wanted[] = { TRUE, FALSE, FALSE, TRUE, TRUE };
  gboolean before = TRUE;
  int fd = test->pair[0];

  g_assert_no_errno (fcntl (fd, F_SETFL, O_NONBLOCK | O_ASYNC));
  for (guint i = 0; i < G_N_ELEMENTS (wanted); i++)
    {
      g_assert_cmpint (usock_io_set_nonblocking (fd, wanted[i]), ==, before);
      g_assert_cmpint (fcntl (fd, F_GETFL) & (O_NONBLOCK | O_ASYNC), ==,
                       O_ASYNC | (wanted[i] ? O_NONBLOCK : 0));
      before = wanted[i];
    }

  g_assert_no_errno (fcntl (fd, F_SETFL, 0));
  g_assert_no_errno (fcntl (fd, F_SETFD, 0));
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpint (usock_io_prepare_adopted (fd), ==, 0);
      assert_flags (fd);
    }
}

static UsockIoRoom
get_room_of (int fd, int size)
{
  int actual;

  /* The kernel doubles it. */
  g_assert_cmpint (usock_io_set_option (fd, SOL_SOCKET, SO_SNDBUF, size / 2), ==, 0);
  g_assert_cmpint (usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &actual), ==, 0);
  g_assert_cmpint (actual, ==, size);
  return usock_io_get_room (fd);
}

static void
test_room (UsockTest *test, gconstpointer data)
{
  int fd = test->pair[0];
  int queued = 0;

  g_assert_cmpint (usock_io_get_room (fd), ==, USOCK_IO_FREE);
  while (queued < 10000)
    {
      send_text (fd, "x");
      g_assert_no_errno (ioctl (fd, SIOCOUTQ, &queued));
    }
  g_assert_cmpint (queued % 4, ==, 0);
  g_assert_cmpint (get_room_of (fd, queued), ==, USOCK_IO_FULL);
  g_assert_cmpint (get_room_of (fd, queued + 4), ==, USOCK_IO_CROWDED);
  g_assert_cmpint (get_room_of (fd, queued * 4 - 4), ==, USOCK_IO_CROWDED);
  g_assert_cmpint (get_room_of (fd, queued * 4), ==, USOCK_IO_FREE);
}

/* As far as the system lets it grow. */
static void
test_grow_buffer (UsockTest *test, gconstpointer data)
{
  int fd = test->pair[0];
  int before = 0, after = 0;

  g_assert_cmpint (usock_io_set_option (fd, SOL_SOCKET, SO_SNDBUF, 5000), ==, 0);
  g_assert_true (usock_io_grow_buffer (fd));
  g_assert_cmpint (usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &after), ==, 0);
  g_assert_cmpint (after, ==, 20000);
  while (usock_io_grow_buffer (fd))
    ;
  g_assert_cmpint (usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &before), ==, 0);
  g_assert_cmpint (before, >, 20000);
  g_assert_false (usock_io_grow_buffer (fd));
  g_assert_cmpint (usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &after), ==, 0);
  g_assert_cmpint (after, ==, before);

  for (guint nth = 1; nth <= 2; nth++)
    {
      g_assert_cmpint (usock_io_set_option (fd, SOL_SOCKET, SO_SNDBUF, 5000), ==, 0);
      usock_io_fault_add (USOCK_IO_GET_OPTION, ENOMEM, nth, 0);
      g_assert_false (usock_io_grow_buffer (fd));
      usock_io_fault_clear ();
    }
}

/* Whatever was asked of it before. */
static void
test_plain (UsockTest *test, gconstpointer data)
{
  static const int options[] = { SO_OOBINLINE, SO_TIMESTAMPNS, SO_PASSCRED };
  int fd = test->pair[0];

  for (guint i = 0; i < G_N_ELEMENTS (options); i++)
    g_assert_cmpint (usock_io_set_option (fd, SOL_SOCKET, options[i], TRUE), ==, 0);
  usock_io_set_plain (fd);
  for (guint i = 0; i < G_N_ELEMENTS (options); i++)
    {
      int value = TRUE;

      g_assert_cmpint (usock_io_get_option (fd, SOL_SOCKET, options[i], &value), ==, 0);
      g_assert_cmpint (value, ==, FALSE);
    }
}

/* An interruption takes nothing away of what was to be waited. */
static void
test_poll_interrupted (UsockTest *test, gconstpointer data)
{
  gint64 start = g_get_monotonic_time ();

  usock_io_fault_add (USOCK_IO_POLL, EINTR, 1, 0);
  g_assert_cmpint (usock_io_poll (NULL, 0, 20), ==, 0);
  g_assert_cmpint (g_get_monotonic_time (), >=, start + 20 * G_TIME_SPAN_MILLISECOND);
  usock_io_fault_clear ();
}

/* What a socket is asked of its peer, before and after that has gone. */
static void
test_peer_goes (UsockTest *test, gconstpointer data)
{
  int alone = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  int fd = test->pair[0];

  g_assert_true (usock_io_peer_is_missing (alone));
  g_assert_false (usock_io_peer_is_missing (fd));
  g_assert_false (usock_io_has_hung_up (fd));
  g_assert_false (usock_io_has_input (fd));
  g_assert_cmpint (usock_io_take_error (fd), ==, 0);
  send_text (test->pair[1], "x");
  g_assert_true (usock_io_has_input (fd));
  send_text (fd, "x");
  close (usock_test_take (test, 1));
  g_assert_true (usock_io_has_hung_up (fd));
  g_assert_cmpint (usock_io_take_error (fd), ==, ECONNRESET);
  g_assert_cmpint (usock_io_take_error (fd), ==, 0);
  close (alone);
}

static void
test_half_close (UsockTest *test, gconstpointer data)
{
  gboolean at_end = FALSE;

  g_assert_cmpint (usock_io_set_markers (test->pair[1]), ==, 0);
  g_assert_cmpint (usock_io_shutdown (test->pair[0], SHUT_WR), ==, 0);
  g_assert_cmpint (usock_io_send_data (test->pair[0], "x", 1), ==, -EPIPE);
  g_assert_cmpint (usock_io_peek_end (test->pair[1], FALSE, &at_end), ==, 0);
  g_assert_true (at_end);
  send_text (test->pair[1], "x");
}

static void
wait_for_hangup (int fd)
{
  struct pollfd hangup = { fd, POLLIN, 0 };

  g_assert_cmpint (poll (&hangup, 1, 10000), ==, 1);
}

/* That it lingers is forgotten, so that it need not be waited for: the peer is told at once. */
static void
test_close_lingering (UsockTest *test, gconstpointer data)
{
  UsockIoBatch *batch = usock_io_batch_new (100);
  UsockIoControl control;
  UsockIoPacket packet;
  char byte;
  int peer = blocker_queue (test->pair[1]);
  g_autoptr (UsockTally) owner = usock_tally_new (NULL, NULL);

  g_assert_cmpint (usock_io_receive (test->pair[0], batch, 100, 2, FALSE), ==, 1);
  usock_io_batch_get (batch, 0, &packet);
  g_assert_true (packet.has_control);
  usock_io_batch_get_control (batch, 0, &control);
  g_assert_cmpuint (control.n_fds, ==, 1);

  usock_io_close_foreign (control.fds[0], owner);
  usock_test_spin_until (usock_tally_get_closing (owner) == 0);

  while (recv (peer, &byte, 1, MSG_DONTWAIT) > 0)
    ;
  close (peer);
  usock_io_batch_free (batch);
}

/* Its linger time cannot be cleared, where it stands in the queue of a socket that came. */
static void
test_close_hidden_lingering (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockTally) owner = usock_tally_new (NULL, NULL);
  int pair[2];
  int peer;

  if (blocker_skip ())
    return;

  g_assert_cmpint (usock_io_pair (SOCK_SEQPACKET, pair), ==, 0);
  peer = blocker_queue (pair[1]);

  usock_io_close_foreign (pair[0], owner);
  wait_for_hangup (pair[1]);
  g_assert_cmpuint (usock_tally_get_closing (owner), ==, 1);
  close (peer);
  close (pair[1]);
  usock_test_spin_until (usock_tally_get_closing (owner) == 0);
}

static void
test_close_kinds (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "x");
  int pipes[2], fds[2];

  g_assert_cmpint (pipe2 (pipes, O_CLOEXEC), ==, 0);
  usock_io_close_foreign (pipes[1], NULL);
  wait_for_hangup (pipes[0]);
  usock_io_close_foreign (pipes[0], NULL);
  g_assert_cmpint (usock_io_pair (SOCK_STREAM, fds), ==, 0);
  usock_io_close_foreign (fds[1], NULL);
  wait_for_hangup (fds[0]);
  usock_io_close_foreign (fds[0], NULL);

  usock_io_close_foreign (open (path, O_CREAT | O_RDWR | O_CLOEXEC, 0600), NULL);
  usock_io_close_foreign (open (path, O_PATH | O_CLOEXEC), NULL);
  usock_io_close_foreign (open (test->directory, O_RDONLY | O_CLOEXEC), NULL);
  usock_io_close_foreign (open_null (), NULL);
  /* That none of them is left is checked at the end of each test. */
}

static guint
count_threads (void)
{
  g_autoptr (GDir) directory = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (directory) != NULL)
    n++;
  return n;
}

/* Whether closing @fd needs a thread. A forked child has none that somebody else needed. */
static gboolean
close_needs_thread (int fd)
{
  pid_t pid = fork ();
  int status;

  if (pid == 0)
    {
      usock_io_close (fd);
      kill (getpid (), count_threads () == 1 ? SIGKILL : SIGTERM);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status));
  return WTERMSIG (status) != SIGKILL;
}

/* The common case on Linux from 6.16 on. */
static void
test_close_refusing (UsockTest *test, gconstpointer data)
{
  char byte;

  g_assert_true (close_needs_thread (test->pair[0]));
  if (usock_io_refuse_fds (test->pair[0], TRUE) == FALSE)
    {
      g_test_skip ("This kernel cannot refuse descriptors");
      return;
    }

  g_assert_false (close_needs_thread (test->pair[0]));
  send_text (test->pair[1], "x");
  g_assert_true (close_needs_thread (test->pair[0]));
  g_assert_cmpint (recv (test->pair[0], &byte, 1, 0), ==, 1);
  g_assert_false (close_needs_thread (test->pair[0]));
  g_assert_cmpint (usock_io_refuse_fds (test->pair[0], FALSE), ==, FALSE);
  g_assert_true (close_needs_thread (test->pair[0]));
}

/* Nobody is left who could send anything. */
static void
test_close_at_end (UsockTest *test, gconstpointer data)
{
  const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };
  char byte;

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      int pair[2];

      g_assert_cmpint (usock_io_pair (types[i], pair), ==, 0);
      g_assert_cmpint (usock_io_set_markers (pair[0]), ==, 0);
      send_text (pair[1], "x");
      g_assert_cmpint (shutdown (pair[1], SHUT_WR), ==, 0);
      g_assert_true (close_needs_thread (pair[0]));
      g_assert_cmpint (recv (pair[0], &byte, 1, 0), ==, 1);
      g_assert_false (close_needs_thread (pair[0]));
      close (pair[0]);
      close (pair[1]);
    }
}

/* An empty message, which without a marker looks like the end, may have descriptors, and so may
 * what comes behind it. */
static void
test_close_empty_message (UsockTest *test, gconstpointer data)
{
  g_assert_cmpint (send (test->pair[1], "", 0, 0), ==, 0);
  g_assert_true (close_needs_thread (test->pair[0]));
  g_assert_cmpint (usock_io_set_markers (test->pair[0]), ==, 0);
  g_assert_true (close_needs_thread (test->pair[0]));
}

/* A byte out of band is not seen by who reads, and may have descriptors all the same. */
static void
test_close_out_of_band (UsockTest *test, gconstpointer data)
{
  int pair[2];

  g_assert_cmpint (usock_io_pair (SOCK_STREAM, pair), ==, 0);
  if (send (pair[1], "!", 1, MSG_OOB) == 1)
    {
      g_assert_cmpint (shutdown (pair[1], SHUT_WR), ==, 0);
      g_assert_true (close_needs_thread (pair[0]));
    }
  else
    g_test_skip ("This kernel has no out-of-band data here");
  close (pair[0]);
  close (pair[1]);
}

/* It waits for its reader, not for who closes; and that would take it. */
static void
test_close_with_reset (UsockTest *test, gconstpointer data)
{
  char byte;

  send_text (test->pair[0], "unread");
  close (usock_test_take (test, 1));
  g_assert_true (close_needs_thread (test->pair[0]));
  g_assert_cmpint (recv (test->pair[0], &byte, 1, 0), ==, -1);
  g_assert_cmpint (errno, ==, ECONNRESET);
}

static void
test_close_network (UsockTest *test, gconstpointer data)
{
  const struct linger none = { 0, 0 }, abort = { 1, 0 }, shortly = { 1, 1 };
  int peer;
  int fd = blocker_new_lingering (&peer);

  g_assert_true (close_needs_thread (fd));
  g_assert_cmpint (setsockopt (fd, SOL_SOCKET, SO_LINGER, &shortly, sizeof shortly), ==, 0);
  g_assert_true (close_needs_thread (fd));
  g_assert_cmpint (setsockopt (fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort), ==, 0);
  g_assert_false (close_needs_thread (fd));
  g_assert_cmpint (setsockopt (fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), ==, 0);
  g_assert_false (close_needs_thread (fd));
  close (fd);
  close (peer);
}

static void
test_close_listener (UsockTest *test, gconstpointer data)
{
  g_autofree char *path = usock_test_path (test, "listener");
  g_autoptr (UsockName) name = name_new (path);
  int listener, client, peer;

  if (blocker_skip ())
    return;

  listener = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);
  client = usock_io_socket (AF_UNIX, SOCK_SEQPACKET, 0);

  g_assert_cmpint (usock_io_bind (listener, name), ==, 0);
  g_assert_cmpint (usock_io_listen (listener, 4), ==, 0);
  g_assert_true (close_needs_thread (listener));
  g_assert_cmpint (usock_io_connect (client, name), ==, 0);
  peer = blocker_queue (client);

  usock_io_close (listener);
  wait_for_hangup (client);
  close (client);
  close (peer);
}

/* Lingering sockets stand in the queue of ours, of each kind. */
static void
test_close_never_waits (UsockTest *test, gconstpointer data)
{
  const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };

  if (blocker_skip ())
    return;

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      int pair[2];
      int peer;

      g_assert_cmpint (usock_io_pair (types[i], pair), ==, 0);
      peer = blocker_queue (pair[1]);
      usock_io_close (pair[0]);
      close (pair[1]);
      close (peer);
    }
}

/* The threads that close are not there after a fork. */
static void
test_close_in_child (UsockTest *test, gconstpointer data)
{
  int fds[2];
  pid_t pid;
  int status;

  g_assert_cmpint (usock_io_pair (SOCK_STREAM, fds), ==, 0);
  usock_io_close_foreign (dup (fds[0]), NULL);

  pid = fork ();
  if (pid == 0)
    {
      struct pollfd hangup = { 0 };
      int pair[2];

      usock_io_pair (SOCK_STREAM, pair);
      usock_io_close_foreign (pair[1], NULL);
      hangup.fd = pair[0];
      hangup.events = POLLIN;
      /* Not by exiting, at which valgrind finds that the thread's memory has no thread. */
      kill (getpid (), poll (&hangup, 1, 5000) == 1 ? SIGKILL : SIGTERM);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL);
  close (fds[0]);
  close (fds[1]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/io/births", test_births);
  usock_test_add ("/usock/io/backlog", test_backlog);
  usock_test_add ("/usock/io/long-paths", test_long_paths);
  usock_test_add ("/usock/io/long-entries", test_long_entries);
  usock_test_add ("/usock/io/too-long-paths", test_too_long_paths);
  usock_test_add ("/usock/io/long-refusals", test_long_refusals);
  usock_test_add ("/usock/io/faults", test_faults);
  usock_test_add ("/usock/io/every-call-fails", test_every_call_fails);
  usock_test_add ("/usock/io/interrupted-connecting", test_interrupted_connecting);
  usock_test_add ("/usock/io/interrupted-messages", test_interrupted_messages);
  usock_test_add ("/usock/io/explain-bind", test_explain_bind);
  usock_test_add ("/usock/io/no-socket", test_no_socket);
  usock_test_add ("/usock/io/refuse-unknown", test_refuse_unknown);
  usock_test_add ("/usock/io/pidfds-unknown", test_pidfds_unknown);
  usock_test_add ("/usock/io/batch", test_batch);
  usock_test_add ("/usock/io/batch-sizes", test_batch_sizes);
  usock_test_add ("/usock/io/truncation", test_truncation);
  usock_test_add ("/usock/io/markers", test_markers);
  usock_test_add ("/usock/io/peek", test_peek);
  usock_test_add ("/usock/io/peek-installs-nothing", test_peek_installs_nothing);
  usock_test_add ("/usock/io/fds", test_fds);
  usock_test_add ("/usock/io/full-control", test_full_control);
  usock_test_add ("/usock/io/no-numbers-left", test_no_numbers_left);
  usock_test_add ("/usock/io/slots-are-made-new", test_slots_are_made_new);
  usock_test_add ("/usock/io/send-credentials", test_send_credentials);
  usock_test_add ("/usock/io/refuse-fds", test_refuse_fds);
  usock_test_add ("/usock/io/send-batch", test_send_batch);
  usock_test_add ("/usock/io/no-sigpipe", test_no_sigpipe);
  usock_test_add ("/usock/io/never-blocks", test_never_blocks);
  usock_test_add ("/usock/io/make-room", test_make_room);
  usock_test_add ("/usock/io/no-room", test_no_room);
  usock_test_add ("/usock/io/forced-room", test_forced_room);
  usock_test_add ("/usock/io/peer-credentials", test_peer_credentials);
  usock_test_add ("/usock/io/rename-by-links", test_rename_by_links);
  usock_test_add ("/usock/io/unknown-credentials", test_unknown_credentials);
  usock_test_add ("/usock/io/addresses", test_addresses);
  usock_test_add ("/usock/io/sender", test_sender);
  usock_test_add ("/usock/io/many-senders", test_many_senders);
  usock_test_add ("/usock/io/unread", test_unread);
  usock_test_add ("/usock/io/advance", test_advance);
  usock_test_add ("/usock/io/nonblocking", test_nonblocking);
  usock_test_add ("/usock/io/room", test_room);
  usock_test_add ("/usock/io/grow-buffer", test_grow_buffer);
  usock_test_add ("/usock/io/peer-goes", test_peer_goes);
  usock_test_add ("/usock/io/plain", test_plain);
  usock_test_add ("/usock/io/poll-interrupted", test_poll_interrupted);
  usock_test_add ("/usock/io/half-close", test_half_close);
  usock_test_add ("/usock/io/close-lingering", test_close_lingering);
  usock_test_add ("/usock/io/close-hidden-lingering", test_close_hidden_lingering);
  usock_test_add ("/usock/io/close-refusing", test_close_refusing);
  usock_test_add ("/usock/io/close-at-end", test_close_at_end);
  usock_test_add ("/usock/io/close-empty-message", test_close_empty_message);
  usock_test_add ("/usock/io/close-out-of-band", test_close_out_of_band);
  usock_test_add ("/usock/io/close-with-reset", test_close_with_reset);
  usock_test_add ("/usock/io/close-network", test_close_network);
  usock_test_add ("/usock/io/close-listener", test_close_listener);
  usock_test_add ("/usock/io/close-never-waits", test_close_never_waits);
  usock_test_add ("/usock/io/close-kinds", test_close_kinds);
  usock_test_add ("/usock/io/close-in-child", test_close_in_child);

  return g_test_run ();
}
