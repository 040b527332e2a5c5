/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <usock/usock.h>

/* A service manager, as far as it matters here. */
static int
manager_new (const char *name,
             gsize       length)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_assert_cmpint (fd, >=, 0);
  memcpy (address.sun_path, name, length);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address,
                           offsetof (struct sockaddr_un, sun_path) + length));
  return fd;
}

/* NULL if nothing is there. */
static char *
manager_receive (int    fd,
                 int   *fds,
                 guint *n_fds)
{
  char text[8192];
  union
  {
    struct cmsghdr align;
    char buffer[CMSG_SPACE (253 * sizeof (int))];
  } control;
  struct iovec iov = { text, sizeof text };
  struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
  struct cmsghdr *record;
  ssize_t n;

  header.msg_control = &control;
  header.msg_controllen = sizeof control;
  n = recvmsg (fd, &header, MSG_CMSG_CLOEXEC);
  if (n < 0)
    {
      g_assert_cmpint (errno, ==, EAGAIN);
      return NULL;
    }

  *n_fds = 0;
  record = CMSG_FIRSTHDR (&header);
  if (record != NULL && record->cmsg_type == SCM_RIGHTS)
    {
      *n_fds = (record->cmsg_len - CMSG_LEN (0)) / sizeof (int);
      memcpy (fds, CMSG_DATA (record), *n_fds * sizeof (int));
    }
  return g_strndup (text, n);
}

static void
assert_notified (int         fd,
                 const char *state)
{
  int fds[253];
  guint n_fds;
  g_autofree char *text = manager_receive (fd, fds, &n_fds);

  g_assert_cmpstr (text, ==, state);
  if (text != NULL)
    g_assert_cmpuint (n_fds, ==, 0);
}

static void
assert_fails (const char *state,
              const int  *fds,
              gsize       n_fds,
              int         code)
{
  const char *address = g_getenv ("NOTIFY_SOCKET");
  g_autoptr (GError) error = NULL;

  g_assert_false (usock_notify (state, fds, n_fds, &error));
  g_assert_error (error, G_IO_ERROR, code);
  g_assert_nonnull (strstr (error->message, address));
}

static void
test_nobody (UsockTest     *self,
             gconstpointer  data)
{
  int bad = -1;

  g_unsetenv ("NOTIFY_SOCKET");
  usock_test_no_error (usock_notify ("READY=1", NULL, 0, &error));
  usock_test_no_error (usock_notify ("READY=1", &bad, 1, &error));
  g_setenv ("NOTIFY_SOCKET", "", TRUE);
  usock_test_no_error (usock_notify ("READY=1", NULL, 0, &error));
  g_unsetenv ("NOTIFY_SOCKET");
}

static void
test_path (UsockTest     *self,
           gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "notify with \\ and \\x41");
  int manager = manager_new (path, strlen (path));
  g_autofree char *longest = g_strnfill (5000, 'x');

  g_setenv ("NOTIFY_SOCKET", path, TRUE);
  usock_test_no_error (usock_notify ("READY=1\nSTATUS=Läuft\n", NULL, 0, &error));
  assert_notified (manager, "READY=1\nSTATUS=Läuft\n");
  usock_test_no_error (usock_notify ("", NULL, 0, &error));
  assert_notified (manager, "");
  usock_test_no_error (usock_notify (longest, NULL, 0, &error));
  assert_notified (manager, longest);
  assert_notified (manager, NULL);
  g_unsetenv ("NOTIFY_SOCKET");
  close (manager);
}

/* The manager's names have no escapes: every byte is meant. */
static void
check_abstract (const char *name)
{
  g_autofree char *address = g_strdup (name);
  int manager;

  g_setenv ("NOTIFY_SOCKET", name, TRUE);
  address[0] = '\0';
  manager = manager_new (address, strlen (name));
  usock_test_no_error (usock_notify ("READY=1", NULL, 0, &error));
  assert_notified (manager, "READY=1");
  g_unsetenv ("NOTIFY_SOCKET");
  close (manager);
}

static void
test_abstract (UsockTest     *self,
               gconstpointer  data)
{
  g_autofree char *filler = g_strnfill (107, 'x');
  g_autofree char *longest = g_strconcat ("@", filler, NULL);

  check_abstract ("@usock-test/notify");
  check_abstract ("@usock-test\\x41\\\\notify\\");
  check_abstract ("@usock-test;uid=0;\n\xff");
  check_abstract (longest);
}

static void
test_long_path (UsockTest     *self,
                gconstpointer  data)
{
  g_autofree char *name = g_strnfill (200, 'd');
  g_autofree char *directory = usock_test_path (self, name);
  g_autofree char *path = g_build_filename (directory, "notify", NULL);
  UsockDgram *manager = usock_dgram_new ();
  gboolean closed = FALSE;

  g_assert_no_errno (g_mkdir_with_parents (directory, 0700));
  usock_test_no_error (usock_dgram_bind_to_path (manager, path, &error));
  g_setenv ("NOTIFY_SOCKET", path, TRUE);
  usock_test_no_error (usock_notify ("READY=1", NULL, 0, &error));
  assert_notified (usock_socket_get_fd (USOCK_SOCKET (manager)), "READY=1");
  g_unsetenv ("NOTIFY_SOCKET");
  usock_socket_close (USOCK_SOCKET (manager));
  while (g_main_context_iteration (self->context, FALSE))
    closed = TRUE;
  g_assert_true (closed);
  g_assert_finalize_object (G_OBJECT (manager));
}

static void
test_descriptors (UsockTest     *self,
                  gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "notify");
  int manager = manager_new (path, strlen (path));
  int fds[254], received[253];
  int ends[2];
  guint n_fds;
  char *text;
  char byte;

  g_setenv ("NOTIFY_SOCKET", path, TRUE);
  g_assert_no_errno (pipe2 (ends, O_CLOEXEC | O_NONBLOCK));
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = ends[1];

  usock_test_no_error (usock_notify ("FDSTORE=1", fds, 2, &error));
  text = manager_receive (manager, received, &n_fds);
  g_assert_cmpstr (text, ==, "FDSTORE=1");
  g_assert_cmpuint (n_fds, ==, 2);
  g_free (text);
  g_assert_cmpint (write (received[1], "x", 1), ==, 1);
  g_assert_cmpint (read (ends[0], &byte, 1), ==, 1);
  close (received[0]);
  close (received[1]);

  usock_test_no_error (usock_notify ("FDSTORE=1", fds, 253, &error));
  text = manager_receive (manager, received, &n_fds);
  g_assert_cmpuint (n_fds, ==, 253);
  g_free (text);
  for (guint i = 0; i < n_fds; i++)
    close (received[i]);

  assert_fails ("FDSTORE=1", fds, 254, G_IO_ERROR_INVALID_ARGUMENT);
  fds[1] = -1;
  assert_fails ("FDSTORE=1", fds, 2, G_IO_ERROR_INVALID_ARGUMENT);
  assert_notified (manager, NULL);

  /* The caller keeps his own. */
  g_assert_cmpint (fcntl (ends[1], F_GETFD), >=, 0);
  close (ends[1]);
  g_assert_cmpint (read (ends[0], &byte, 1), ==, 0);
  close (ends[0]);
  g_unsetenv ("NOTIFY_SOCKET");
  close (manager);
}

/* It never blocks, and goes on when there is room. */
static void
test_full (UsockTest     *self,
           gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "notify");
  int manager = manager_new (path, strlen (path));
  g_autoptr (GError) wrong = NULL;
  guint n = 0;

  g_setenv ("NOTIFY_SOCKET", path, TRUE);
  while (usock_notify ("WATCHDOG=1", NULL, 0, &wrong))
    n++;
  g_assert_error (wrong, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  g_assert_cmpuint (n, >, 0);
  assert_notified (manager, "WATCHDOG=1");
  usock_test_no_error (usock_notify ("READY=1", NULL, 0, &error));
  while (--n > 0)
    assert_notified (manager, "WATCHDOG=1");
  assert_notified (manager, "READY=1");
  g_unsetenv ("NOTIFY_SOCKET");
  close (manager);
}

static void
test_unreachable (UsockTest     *self,
                  gconstpointer  data)
{
  g_autofree char *path = usock_test_path (self, "notify");
  g_autofree char *filler = g_strnfill (108, 'x');
  g_autofree char *too_long = g_strconcat ("@", filler, NULL);

  g_setenv ("NOTIFY_SOCKET", path, TRUE);
  assert_fails ("READY=1", NULL, 0, G_IO_ERROR_NOT_FOUND);
  close (manager_new (path, strlen (path)));
  assert_fails ("READY=1", NULL, 0, G_IO_ERROR_CONNECTION_REFUSED);
  g_setenv ("NOTIFY_SOCKET", "@usock-test/nobody", TRUE);
  assert_fails ("READY=1", NULL, 0, G_IO_ERROR_CONNECTION_REFUSED);
  g_setenv ("NOTIFY_SOCKET", "vsock:2:1234", TRUE);
  assert_fails ("READY=1", NULL, 0, G_IO_ERROR_NOT_SUPPORTED);
  g_setenv ("NOTIFY_SOCKET", "notify", TRUE);
  assert_fails ("READY=1", NULL, 0, G_IO_ERROR_NOT_SUPPORTED);
  g_setenv ("NOTIFY_SOCKET", too_long, TRUE);
  assert_fails ("READY=1", NULL, 0, G_IO_ERROR_FILENAME_TOO_LONG);
  g_unsetenv ("NOTIFY_SOCKET");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/notify/nobody", test_nobody);
  usock_test_add ("/usock/notify/path", test_path);
  usock_test_add ("/usock/notify/abstract", test_abstract);
  usock_test_add ("/usock/notify/long-path", test_long_path);
  usock_test_add ("/usock/notify/descriptors", test_descriptors);
  usock_test_add ("/usock/notify/full", test_full);
  usock_test_add ("/usock/notify/unreachable", test_unreachable);

  return g_test_run ();
}
