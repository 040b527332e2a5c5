/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-message-private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_FDS 253

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) != -1;
}

static int
open_null (void)
{
  int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static void
assert_payload (UsockMessage *message, const char *expected, gsize expected_length)
{
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);

  g_assert_cmpmem (data, length, expected, expected_length);
  g_assert_cmpuint (usock_message_get_length (message), ==, expected_length);
  g_assert_cmpuint (usock_message_get_full_length (message), ==, expected_length);
  g_assert_cmpuint (g_bytes_get_size (usock_message_get_bytes (message)), ==, expected_length);
}

static void
test_new (UsockTest *test, gconstpointer data)
{
  char buffer[] = "a\0b";
  g_autoptr (GBytes) bytes = g_bytes_new_static ("static", 6);
  g_autoptr (UsockMessage) copied = usock_message_new ((guint8 *) buffer, 3);
  g_autoptr (UsockMessage) referred = usock_message_new_from_bytes (bytes);
  g_autoptr (UsockMessage) text = usock_message_new_from_text ("tëxt");
  g_autoptr (UsockMessage) empty = usock_message_new (NULL, 0);
  g_autoptr (GVariant) controls = usock_message_get_controls (empty);
  g_autofree char *none = NULL;

  g_assert_cmpuint (g_variant_n_children (controls), ==, 0);
  buffer[0] = 'x';
  assert_payload (copied, "a\0b", 3);
  assert_payload (referred, "static", 6);
  g_assert_true (usock_message_get_data (referred, NULL) == g_bytes_get_data (bytes, NULL));
  assert_payload (text, "tëxt", 5);
  assert_payload (empty, "", 0);
  usock_test_no_error (none = usock_message_dup_text (empty, &error));
  g_assert_cmpstr (none, ==, "");

  g_assert_cmpint (usock_message_get_kind (copied), ==, USOCK_BODY_KIND_BYTES);
  g_assert_cmpint (usock_message_get_kind (referred), ==, USOCK_BODY_KIND_BYTES);
  g_assert_cmpint (usock_message_get_kind (text), ==, USOCK_BODY_KIND_TEXT);
  g_assert_cmpint (usock_message_get_flags (copied), ==, USOCK_MESSAGE_FLAGS_NONE);
  g_assert_cmpint (usock_message_get_timestamp (copied), ==, 0);
  g_assert_null (usock_message_get_sender (copied));
  g_assert_null (usock_message_get_credentials (copied));
  g_assert_cmpuint (usock_message_get_n_fds (copied), ==, 0);
}

static void
test_boxed (UsockTest *test, gconstpointer data)
{
  UsockMessage *message = usock_message_new_from_text ("x");
  UsockMessage *other = g_boxed_copy (USOCK_TYPE_MESSAGE, message);

  g_assert_true (other == message);
  g_boxed_free (USOCK_TYPE_MESSAGE, other);
  assert_payload (message, "x", 1);
  usock_message_unref (message);
}

static void
test_segments (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("ab");
  g_autoptr (GBytes) middle = g_bytes_new_static ("\0", 1);
  g_autoptr (GBytes) nothing = g_bytes_new (NULL, 0);
  g_autoptr (GBytes) end = g_bytes_new_static ("cd", 2);
  struct iovec iov[4];

  usock_message_append_bytes (message, middle);
  assert_payload (message, "ab\0", 3);
  /* Joined bytes are of no more use. */
  usock_message_append_bytes (message, nothing);
  usock_message_append_bytes (message, end);
  assert_payload (message, "ab\0cd", 5);

  memset (iov, 0xff, sizeof iov);
  g_assert_cmpuint (usock_message_get_iov (message, iov, 3), ==, 4);
  g_assert_cmpuint (iov[0].iov_len, ==, G_MAXSIZE);
  g_assert_cmpuint (usock_message_get_iov (message, iov, 4), ==, 4);
  g_assert_cmpmem (iov[0].iov_base, iov[0].iov_len, "ab", 2);
  g_assert_true (iov[1].iov_base == g_bytes_get_data (middle, NULL));
  g_assert_cmpuint (iov[2].iov_len, ==, 0);
  g_assert_true (iov[3].iov_base == g_bytes_get_data (end, NULL));
}

static void
test_many_segments (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  g_autoptr (GString) expected = g_string_new (NULL);

  for (guint i = 0; i < 3000; i++)
    {
      g_autoptr (GBytes) bytes = g_bytes_new (&i, i % (sizeof i + 1));

      g_string_append_len (expected, (char *) &i, i % (sizeof i + 1));
      usock_message_append_bytes (message, bytes);
    }

  assert_payload (message, expected->str, expected->len);
  g_assert_cmpuint (usock_message_get_iov (message, NULL, 0), ==, 3001);
}

static void
test_freeze (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("ab");
  g_autoptr (GBytes) more = g_bytes_new_static ("c", 1);
  g_autoptr (GCredentials) credentials = g_credentials_new ();
  g_autoptr (GError) copied = NULL;
  g_autoptr (GError) owned = NULL;

  usock_message_freeze (message);

  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*append_bytes*frozen*");
  usock_message_append_bytes (message, more);
  g_test_expect_message ("Usock", G_LOG_LEVEL_CRITICAL, "*set_credentials*frozen*");
  usock_message_set_credentials (message, credentials);
  g_test_assert_expected_messages ();

  g_assert_false (usock_message_append_fd (message, STDERR_FILENO, &copied));
  g_assert_error (copied, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_false (usock_message_append_fd_owned (message, STDERR_FILENO, &owned));
  g_assert_error (owned, G_IO_ERROR, G_IO_ERROR_BUSY);

  assert_payload (message, "ab", 2);
  g_assert_null (usock_message_get_credentials (message));
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 0);
}

static void
test_text (UsockTest *test, gconstpointer data)
{
  static const struct
  {
    const char *bytes;
    gsize length;
    const char *place;
  } bad[] = {
    { "a\0b", 3, "byte 1 of 3" },        { "\0", 1, "byte 0 of 1" },
    { "ab\0", 3, "byte 2 of 3" },        { "\xff", 1, "byte 0 of 1" },
    { "abc\xe2\x82", 5, "byte 3 of 5" }, { "\xc0\x80", 2, "byte 0" },
    { "\xed\xa0\x80", 3, "byte 0" },
  };
  g_autoptr (UsockMessage) good = usock_message_new_from_text ("日本");
  g_autoptr (UsockMessage) shortest = usock_message_new_from_text ("a");
  g_autofree char *text = NULL;
  g_autofree char *letter = NULL;

  usock_test_no_error (text = usock_message_dup_text (good, &error));
  g_assert_cmpstr (text, ==, "日本");
  usock_test_no_error (letter = usock_message_dup_text (shortest, &error));
  g_assert_cmpstr (letter, ==, "a");

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (UsockMessage) message = usock_message_new ((guint8 *) bad[i].bytes, bad[i].length);
      g_autoptr (GError) error = NULL;

      g_assert_null (usock_message_dup_text (message, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
      g_assert_nonnull (strstr (error->message, bad[i].place));
    }
}

static void
test_append_fd_copies (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  int fd = open_null ();
  int taken;

  usock_test_no_error (usock_message_append_fd (message, fd, &error));
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 1);
  close (fd);

  usock_test_no_error ((taken = usock_message_take_fd (message, 0, &error)) != -1);
  g_assert_cmpint (taken, >, STDERR_FILENO);
  g_assert_cmpint (fcntl (taken, F_GETFD), ==, FD_CLOEXEC);
  close (taken);
}

static void
test_append_fd_owned (UsockTest *test, gconstpointer data)
{
  UsockMessage *message = usock_message_new (NULL, 0);
  int fds[2] = { open_null (), open_null () };

  usock_test_no_error (usock_message_append_fd_owned (message, fds[0], &error));
  usock_test_no_error (usock_message_append_fd_owned (message, fds[1], &error));
  g_assert_cmpint (usock_message_take_fd (message, 1, NULL), ==, fds[1]);
  usock_message_unref (message);
  usock_test_spin_until (!is_open (fds[0]));
  g_assert_true (is_open (fds[1]));
  close (fds[1]);
}

/* Two owners would close it twice, and the second time it may be somebody else's. */
static void
test_append_fd_owned_twice (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  g_autoptr (GError) refused = NULL;
  int fd = open_null ();

  usock_test_no_error (usock_message_append_fd_owned (message, fd, &error));
  g_assert_false (usock_message_append_fd_owned (message, fd, &refused));
  g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 1);
  g_assert_true (is_open (fd));
}

static void
test_append_bad_fd (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  int closed = open_null ();

  close (closed);
  for (guint i = 0; i < 4; i++)
    {
      int fd = i & 1 ? closed : -1;
      g_autofree char *named = g_strdup_printf ("descriptor %d ", fd);
      g_autoptr (GError) error = NULL;

      if (i & 2)
        g_assert_false (usock_message_append_fd (message, fd, &error));
      else
        g_assert_false (usock_message_append_fd_owned (message, fd, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, named));
    }
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 0);
}

static void
test_append_too_many (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  g_autoptr (GError) copied = NULL;
  g_autoptr (GError) owned = NULL;
  int fd = open_null ();

  for (guint i = 0; i < MOST_FDS; i++)
    usock_test_no_error (usock_message_append_fd (message, fd, &error));

  g_assert_false (usock_message_append_fd (message, fd, &copied));
  g_assert_error (copied, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_false (usock_message_append_fd_owned (message, fd, &owned));
  g_assert_error (owned, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, MOST_FDS);
  g_assert_true (is_open (fd));
  close (fd);
}

static void
test_take_twice (UsockTest *test, gconstpointer data)
{
  UsockMessage *message = usock_message_new (NULL, 0);
  int fd = open_null ();
  int again;
  g_autoptr (GError) twice = NULL;
  g_autoptr (GError) beyond = NULL;
  g_autofree gint *rest = NULL;
  gsize n_fds = 77;

  usock_test_no_error (usock_message_append_fd_owned (message, fd, &error));
  g_assert_cmpint (usock_message_take_fd (message, 0, NULL), ==, fd);
  close (fd);
  /* The number has a new owner, who must not lose it. */
  again = open_null ();
  g_assert_cmpint (again, ==, fd);

  g_assert_cmpint (usock_message_take_fd (message, 0, &twice), ==, -1);
  g_assert_error (twice, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpint (usock_message_take_fd (message, 1, &beyond), ==, -1);
  g_assert_error (beyond, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_cmpint (usock_message_take_fd (message, 0, NULL), ==, -1);
  rest = usock_message_take_fds (message, &n_fds);
  g_assert_nonnull (rest);
  g_assert_cmpuint (n_fds, ==, 0);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 1);
  usock_message_close_fds (message);
  usock_message_unref (message);
  g_assert_true (is_open (again));
  close (again);
}

static void
test_take_all (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  g_autofree gint *taken = NULL;
  int fds[5];
  gsize n_fds;

  for (guint i = 0; i < 5; i++)
    {
      fds[i] = open_null ();
      usock_test_no_error (usock_message_append_fd_owned (message, fds[i], &error));
    }

  g_assert_cmpint (usock_message_take_fd (message, 2, NULL), ==, fds[2]);
  taken = usock_message_take_fds (message, &n_fds);
  g_assert_cmpuint (n_fds, ==, 4);
  g_assert_cmpint (taken[1], ==, fds[1]);
  g_assert_cmpint (taken[2], ==, fds[3]);
  for (guint i = 0; i < 5; i++)
    g_assert_cmpint (close (fds[i]), ==, 0);
}

static void
test_close (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  g_autoptr (GError) refused = NULL;
  int fd = open_null ();

  usock_test_no_error (usock_message_append_fd_owned (message, fd, &error));
  usock_message_close_fds (message);
  usock_test_spin_until (!is_open (fd));
  fd = open_null ();
  usock_message_close_fds (message);
  g_assert_true (is_open (fd));
  close (fd);

  g_assert_cmpint (usock_message_take_fd (message, 0, &refused), ==, -1);
  g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpint (usock_message_get_fd_kind (message, 0), ==, USOCK_FD_KIND_OTHER);
}

/* A program that has closed its stdin gets descriptors of that number. */
static void
test_descriptor_zero (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  int kept = dup (STDIN_FILENO);
  g_autofree int *fds = NULL;
  gsize n_fds;

  close (STDIN_FILENO);
  g_assert_cmpint (open_null (), ==, STDIN_FILENO);
  usock_test_no_error (usock_message_append_fd_owned (message, STDIN_FILENO, &error));
  fds = usock_message_take_fds (message, &n_fds);
  g_assert_cmpuint (n_fds, ==, 1);
  g_assert_cmpint (fds[0], ==, STDIN_FILENO);

  usock_test_no_error (usock_message_append_fd_owned (message, STDIN_FILENO, &error));
  usock_message_close_fds (message);
  usock_test_spin_until (!is_open (STDIN_FILENO));
  dup2 (kept, STDIN_FILENO);
  close (kept);
}

static guint n_closed; /* in other threads */

static void
count_close (int fd)
{
  close (fd);
  g_atomic_int_inc (&n_closed);
}

static void
test_received_fds (UsockTest *test, gconstpointer data)
{
  UsockMessage *message = usock_message_new_received ("x", 1, 1);
  int fds[3] = { open_null (), open_null (), open_null () };

  n_closed = 0;
  usock_message_receive_fds (message, fds, 3, count_close);
  g_assert_cmpint (usock_message_take_fd (message, 1, NULL), ==, fds[1]);
  usock_message_close_fds (message);
  usock_test_spin_until (g_atomic_int_get (&n_closed) == 2);
  usock_message_unref (message);
  g_assert_cmpuint (g_atomic_int_get (&n_closed), ==, 2);
  close (fds[1]);
}

/* Each queue that the message stands in has its own pin. */
static void
test_pins (UsockTest *test, gconstpointer data)
{
  UsockMessage *message = usock_message_new (NULL, 0);
  g_autoptr (GError) refused = NULL;
  g_autofree gint *none = NULL;
  gsize n_fds;
  int fd = open_null ();

  usock_test_no_error (usock_message_append_fd_owned (message, fd, &error));
  usock_message_freeze (message);
  usock_message_pin_fds (message);
  usock_message_pin_fds (message);

  g_assert_cmpint (usock_message_take_fd (message, 0, &refused), ==, -1);
  g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_BUSY);
  none = usock_message_take_fds (message, &n_fds);
  g_assert_cmpuint (n_fds, ==, 0);
  usock_message_close_fds (message);
  g_assert_true (is_open (fd));
  g_assert_cmpint (usock_message_get_fd_kind (message, 0), ==, USOCK_FD_KIND_DEVICE);

  usock_message_unpin_fds (message);
  usock_message_close_fds (message);
  g_assert_true (is_open (fd));
  usock_message_unpin_fds (message);
  usock_message_close_fds (message);
  usock_test_spin_until (!is_open (fd));
  usock_message_unref (message);
}

static void
test_pinned_to_the_end (UsockTest *test, gconstpointer data)
{
  UsockMessage *message = usock_message_new (NULL, 0);
  int fd = open_null ();

  usock_test_no_error (usock_message_append_fd_owned (message, fd, &error));
  usock_message_pin_fds (message);
  usock_message_unref (message);
  usock_test_spin_until (!is_open (fd));
}

/* What is gone already is gone, whatever waits to be sent. */
static void
test_pinned_taken (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  g_autoptr (GError) refused = NULL;

  usock_test_no_error (usock_message_append_fd_owned (message, open_null (), &error));
  close (usock_message_take_fd (message, 0, NULL));
  usock_message_pin_fds (message);
  g_assert_cmpint (usock_message_take_fd (message, 0, &refused), ==, -1);
  g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

static gint may_close;

static void
close_when_told (int fd)
{
  while (!g_atomic_int_get (&may_close))
    g_thread_yield ();
  count_close (fd);
}

/* What is closed is its connection's to close, as the connection has it closed. */
static void
test_tally_closes (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockTally) tally = usock_tally_new (NULL, NULL);
  UsockMessage *message = usock_message_new_received ("x", 1, 1);
  UsockMessage *part;
  int fd = open_null ();

  n_closed = 0;
  g_atomic_int_set (&may_close, FALSE);
  usock_message_receive_fds (message, &fd, 1, close_when_told);
  usock_message_receive_tally (message, tally);
  part = usock_message_new_part (message, USOCK_BODY_KIND_NONE, g_bytes_new (NULL, 0), NULL);
  usock_message_unref (message);
  g_assert_cmpuint (usock_tally_get_closing (tally), ==, 0);
  usock_message_unref (part);
  g_assert_cmpuint (usock_tally_get_closing (tally), ==, 1);
  g_assert_true (is_open (fd));
  g_atomic_int_set (&may_close, TRUE);
  usock_test_spin_until (usock_tally_get_closing (tally) == 0);
  g_assert_cmpuint (g_atomic_int_get (&n_closed), ==, 1);
  g_assert_false (is_open (fd));
}

/* Of those that somebody has taken there is nothing to copy. */
static void
test_fds_of (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) other = usock_message_new (NULL, 0);
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  int fds[3];

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      fds[i] = open_null ();
      usock_test_no_error (usock_message_append_fd_owned (other, fds[i], &error));
    }
  close (usock_message_take_fd (other, 1, NULL));
  usock_test_no_error (usock_message_append_fds_of (message, other, &error));
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 2);
  for (guint i = 0; i < 2; i++)
    {
      int copy = usock_message_take_fd (message, i, NULL);

      g_assert_true (is_open (copy));
      g_assert_cmpint (copy, !=, fds[0]);
      g_assert_cmpint (copy, !=, fds[2]);
      close (copy);
    }
}

/* Each has one owner. */
static void
test_part (UsockTest *test, gconstpointer data)
{
  UsockMessage *carrier = usock_message_new_from_text ("carrier");
  UsockMessage *part;
  int fds[3];

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      fds[i] = open_null ();
      usock_test_no_error (usock_message_append_fd_owned (carrier, fds[i], &error));
    }
  part = usock_message_new_part (carrier, USOCK_BODY_KIND_NONE, g_bytes_new (NULL, 0), NULL);
  g_assert_cmpuint (usock_message_get_n_fds (part), ==, G_N_ELEMENTS (fds));
  usock_message_unref (carrier);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      g_assert_true (is_open (fds[i]));
      g_assert_cmpint (usock_message_take_fd (part, i, NULL), ==, fds[i]);
      close (fds[i]);
    }
  usock_message_unref (part);
}

/* What the part keeps of one whose descriptors are taken already. */
static void
test_part_of_taken (UsockTest *test, gconstpointer data)
{
  for (guint n_left = 0; n_left <= 3; n_left++)
    {
      g_autoptr (UsockMessage) carrier = usock_message_new (NULL, 0);
      g_autoptr (UsockMessage) part = NULL;

      for (guint i = 0; i < 3; i++)
        usock_test_no_error (usock_message_append_fd (carrier, STDERR_FILENO, &error));
      for (guint i = n_left; i < 3; i++)
        close (usock_message_take_fd (carrier, i, NULL));
      part = usock_message_new_part (carrier, USOCK_BODY_KIND_NONE, g_bytes_new (NULL, 0), NULL);
      g_assert_cmpuint (usock_message_get_n_fds (part), ==, n_left);
      g_assert_cmpint (usock_message_take_fd (carrier, 0, NULL), ==, -1);
    }
}

/* It is from whom the carrier is from. */
static void
test_part_of_received (UsockTest *test, gconstpointer data)
{
  static const UsockCredentials known = { 1, 2, 3 };
  g_autoptr (UsockMessage) carrier = usock_message_new_received ("x", 1, 1);
  g_autoptr (UsockMessage) part = NULL;
  g_autoptr (UsockMessage) alone = NULL;
  GVariant *value = g_variant_ref_sink (g_variant_new_byte (7));

  usock_message_receive_info (carrier, 0, &known, 42000, NULL);
  part = usock_message_new_part (carrier, USOCK_BODY_KIND_VARIANT,
                                 g_variant_get_data_as_bytes (value), value);
  g_assert_true (usock_message_get_credentials (part) == usock_message_get_credentials (carrier));
  g_assert_cmpint (usock_message_get_timestamp (part), ==, 42);
  g_assert_true (usock_message_get_variant (part) == value);
  g_assert_cmpint (usock_message_get_kind (part), ==, USOCK_BODY_KIND_VARIANT);

  alone = usock_message_new_part (NULL, USOCK_BODY_KIND_TEXT, g_bytes_new ("ab", 2), NULL);
  assert_payload (alone, "ab", 2);
  g_assert_cmpint (usock_message_get_kind (alone), ==, USOCK_BODY_KIND_TEXT);
  g_assert_null (usock_message_get_credentials (alone));
}

static void
assert_tally (UsockTally *tally, guint n)
{
  g_assert_true (usock_tally_reaches (tally, n));
  g_assert_false (usock_tally_reaches (tally, n + 1));
}

/* Those that nobody has taken count for the connection that they came by, in whatever message. */
static void
test_tally (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockTally) tally = usock_tally_new (NULL, NULL);
  UsockMessage *message = usock_message_new_received ("x", 1, 1);
  UsockMessage *plain = usock_message_new_received ("x", 1, 1);
  int fds[3] = { open_null (), open_null (), open_null () };
  g_autofree gint *rest = NULL;
  UsockMessage *part;
  UsockTally *same;
  gsize n_fds;

  usock_message_receive_tally (plain, tally);
  g_assert_null (usock_message_ref_tally (plain));
  usock_message_unref (plain);

  usock_message_receive_fds (message, fds, 3, NULL);
  usock_message_receive_tally (message, NULL);
  g_assert_null (usock_message_ref_tally (message));
  usock_message_receive_tally (message, tally);
  assert_tally (tally, 3);
  close (usock_message_take_fd (message, 1, NULL));
  assert_tally (tally, 2);
  g_assert_cmpint (usock_message_take_fd (message, 1, NULL), ==, -1);
  assert_tally (tally, 2);

  part = usock_message_new_part (message, USOCK_BODY_KIND_NONE, g_bytes_new (NULL, 0), NULL);
  usock_message_unref (message);
  assert_tally (tally, 2);
  same = usock_message_ref_tally (part);
  g_assert_true (same == tally);
  usock_tally_unref (same);
  rest = usock_message_take_fds (part, &n_fds);
  g_assert_cmpuint (n_fds, ==, 2);
  g_assert_false (usock_tally_reaches (tally, 1));
  for (guint i = 0; i < 2; i++)
    close (rest[i]);
  usock_message_unref (part);
}

/* Nothing of the payload is added where there is no room for the descriptors. */
static void
test_append_message (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("ab");
  g_autoptr (UsockMessage) other = usock_message_new_from_text ("cd");
  g_autoptr (GBytes) end = g_bytes_new_static ("ef", 2);
  g_autoptr (GError) refused = NULL;

  usock_message_append_bytes (other, end);
  usock_test_no_error (usock_message_append_fd (other, STDERR_FILENO, &error));
  usock_test_no_error (usock_message_append_message (message, other, &error));
  assert_payload (message, "abcdef", 6);
  assert_payload (other, "cdef", 4);
  g_assert_cmpuint (usock_message_get_n_segments (message), ==, 3);
  g_assert_true (usock_message_get_segment (message, 2) == end);
  g_assert_cmpint (usock_message_get_kind (message), ==, USOCK_BODY_KIND_BYTES);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 1);

  while (usock_message_get_n_fds (message) < MOST_FDS)
    usock_test_no_error (usock_message_append_fd (message, STDERR_FILENO, &error));
  g_assert_false (usock_message_append_message (message, other, &refused));
  g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  assert_payload (message, "abcdef", 6);
}

static void
assert_kind (int fd, UsockFdKind kind)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);

  g_assert_cmpint (fd, >=, 0);
  usock_test_no_error (usock_message_append_fd_owned (message, fd, &error));
  g_assert_cmpint (usock_message_get_fd_kind (message, 0), ==, kind);
  g_assert_cmpint (usock_message_get_fd_kind (message, 1), ==, USOCK_FD_KIND_OTHER);
}

/* The program has closed it behind our back. */
static void
test_kind_of_none (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  int fd = open (test->directory, O_RDONLY | O_CLOEXEC);

  usock_test_no_error (usock_message_append_fd_owned (message, fd, &error));
  g_assert_cmpint (usock_message_get_fd_kind (message, 0), ==, USOCK_FD_KIND_DIRECTORY);
  close (fd);
  g_assert_cmpint (usock_message_get_fd_kind (message, 0), ==, USOCK_FD_KIND_OTHER);
  g_assert_cmpint (usock_message_take_fd (message, 0, NULL), ==, fd);
}

static void
test_kinds (UsockTest *test, gconstpointer data)
{
  g_autofree char *file = usock_test_path (test, "memfd:x");
  g_autofree char *fifo = usock_test_path (test, "fifo");
  int pipes[2];
  int pidfd;

  g_assert_cmpint (pipe2 (pipes, O_CLOEXEC), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);

  assert_kind (open (file, O_RDWR | O_CREAT | O_CLOEXEC, 0600), USOCK_FD_KIND_FILE);
  assert_kind (open (file, O_PATH | O_CLOEXEC), USOCK_FD_KIND_FILE);
  /* Also has seals, in memory as it is. */
  if (g_file_test ("/dev/shm", G_FILE_TEST_IS_DIR))
    assert_kind (open ("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), USOCK_FD_KIND_FILE);
  assert_kind (open (test->directory, O_RDONLY | O_CLOEXEC), USOCK_FD_KIND_DIRECTORY);
  assert_kind (open (test->directory, O_PATH | O_CLOEXEC), USOCK_FD_KIND_DIRECTORY);
  assert_kind (socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), USOCK_FD_KIND_SOCKET);
  assert_kind (usock_test_take (test, 0), USOCK_FD_KIND_SOCKET);
  assert_kind (pipes[0], USOCK_FD_KIND_PIPE);
  assert_kind (pipes[1], USOCK_FD_KIND_PIPE);
  assert_kind (open (fifo, O_RDWR | O_CLOEXEC), USOCK_FD_KIND_PIPE);
  assert_kind (open_null (), USOCK_FD_KIND_DEVICE);
  assert_kind (memfd_create ("x", MFD_CLOEXEC), USOCK_FD_KIND_MEMFD);
  assert_kind (memfd_create ("x", MFD_CLOEXEC | MFD_ALLOW_SEALING), USOCK_FD_KIND_MEMFD);
  pidfd = syscall (SYS_pidfd_open, getpid (), 0);
  /* valgrind does not know the call. */
  if (pidfd != -1 || errno != ENOSYS)
    assert_kind (pidfd, USOCK_FD_KIND_PIDFD);
  assert_kind (eventfd (0, EFD_CLOEXEC), USOCK_FD_KIND_OTHER);
}

static void
test_credentials (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  g_autoptr (GCredentials) own = g_credentials_new ();
  UsockCredentials native = { 0 };

  g_assert_false (usock_message_peek_credentials (message, &native));
  usock_message_set_credentials (message, own);
  g_assert_true (usock_message_get_credentials (message) == own);
  g_assert_true (usock_message_peek_credentials (message, &native));
  g_assert_cmpint (native.pid, ==, getpid ());
  g_assert_cmpint (native.uid, ==, getuid ());
  g_assert_cmpint (native.gid, ==, getgid ());
  usock_message_set_credentials (message, NULL);
  g_assert_null (usock_message_get_credentials (message));
}

static void
assert_controls (UsockMessage *message, const char *expected)
{
  g_autoptr (GVariant) controls = usock_message_get_controls (message);
  g_autofree char *text = g_variant_print (controls, FALSE);

  g_assert_cmpstr (text, ==, expected);
}

/* All that came, each once: a time that has a record of its own is not told twice. */
static void
test_controls (UsockTest *test, gconstpointer data)
{
  static const UsockCredentials known = { 1, 2, 3 };
  static const gint64 time[2] = { 4, 5 };
  UsockControl controls[] = {
    { SOL_SOCKET, SCM_TIMESTAMPNS, sizeof time, time },
    { IPPROTO_IP, SCM_TIMESTAMP, 1, "a" },
    { SOL_SOCKET, SCM_TIMESTAMP, sizeof time, time },
  };

  for (guint n = 0; n <= G_N_ELEMENTS (controls); n++)
    {
      g_autoptr (UsockMessage) message = usock_message_new_received ("x", 1, 1);
      g_autoptr (GString) expected = g_string_new ("[");
      int fd = open_null ();
      guint n_controls = 77;

      usock_message_receive_info (message, 0, &known, 1000000001, NULL);
      usock_message_receive_fds (message, &fd, 1, NULL);
      usock_message_receive_controls (message, controls, n, open_null ());
      if (n < 3)
        g_string_append (expected, "(1, 35, <(int64 1, int64 1)>), ");
      g_string_append (expected, "(1, 2, <(1, uint32 2, uint32 3)>), (1, 1, <['device']>), "
                                 "(1, 4, <'pidfd'>)");
      g_string_append (expected, n > 0 ? ", (1, 35, <(int64 4, int64 5)>)" : "");
      g_string_append (expected, n > 1 ? ", (0, 29, <[byte 0x61]>)" : "");
      g_string_append (expected, n > 2 ? ", (1, 29, <(int64 4, int64 5)>)" : "");
      g_string_append (expected, "]");
      assert_controls (message, expected->str);

      /* They are not sent on. */
      g_assert_null (usock_message_peek_controls (message, &n_controls));
      g_assert_cmpuint (n_controls, ==, 0);
    }
}

static void
test_lookup_control (UsockTest *test, gconstpointer data)
{
  static const struct
  {
    int level;
    int type;
    int expected;
  } cases[] = { { 300, 1, 'a' }, { 300, 2, 'b' }, { 301, 1, 'd' }, { 301, 2, -1 }, { 2, 300, -1 } };
  UsockControl controls[]
      = { { 300, 1, 1, "a" }, { 300, 2, 1, "b" }, { 300, 1, 1, "c" }, { 301, 1, 1, "d" } };
  g_autoptr (UsockMessage) message = usock_message_new_received ("x", 1, 1);

  usock_message_receive_controls (message, controls, G_N_ELEMENTS (controls), -1);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) value
          = usock_message_lookup_control (message, cases[i].level, cases[i].type);

      g_assert_cmpint (value != NULL, ==, cases[i].expected != -1);
      if (value != NULL)
        g_assert_cmpint (*(const char *) g_variant_get_data (value), ==, cases[i].expected);
    }
}

static gboolean
append_control (UsockMessage *message, int level, int type, gsize length, GError **error)
{
  static char room[20000];
  g_autoptr (GBytes) bytes = g_bytes_new_static (room, length);

  return usock_message_append_control (message, level, type, bytes, error);
}

/* The kernel counts headers in, and what is between the records: 16384 bytes in all. */
static void
test_control_limits (UsockTest *test, gconstpointer data)
{
  static const gsize too_long[] = { 16369, 16384, 16385, G_MAXSIZE - 8, G_MAXSIZE };
  g_autoptr (UsockMessage) whole = usock_message_new (NULL, 0);
  g_autoptr (UsockMessage) parts = usock_message_new (NULL, 0);
  guint n_controls;

  for (guint i = 0; i < G_N_ELEMENTS (too_long); i++)
    {
      g_autoptr (GError) refused = NULL;

      g_assert_false (append_control (whole, 300, 1, too_long[i], &refused));
      g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
  g_assert_null (usock_message_peek_controls (whole, &n_controls));
  usock_test_no_error (append_control (whole, 300, 1, 16368, &error));
  g_assert_false (append_control (whole, 300, 1, 0, NULL));

  for (guint i = 0; i < 512; i++)
    usock_test_no_error (append_control (parts, 300, 1, 9, &error));
  g_assert_false (append_control (parts, 300, 1, 0, NULL));
  g_assert_nonnull (usock_message_peek_controls (parts, &n_controls));
  g_assert_cmpuint (n_controls, ==, 512);
}

/* Descriptors are added as such, and to what was sent nothing is. */
static void
test_control_refused (UsockTest *test, gconstpointer data)
{
  static const struct
  {
    int level;
    int type;
    gboolean taken;
  } cases[] = { { SOL_SOCKET, SCM_RIGHTS, FALSE }, { SOL_SOCKET, 4, FALSE },
                { SOL_SOCKET, 5, TRUE }, { 300, SCM_RIGHTS, TRUE }, { 300, 4, TRUE } };
  g_autoptr (UsockMessage) message = usock_message_new (NULL, 0);
  g_autoptr (GError) busy = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_cmpint (append_control (message, cases[i].level, cases[i].type, 1, &error), ==,
                       cases[i].taken);
      if (!cases[i].taken)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
  usock_message_freeze (message);
  g_assert_false (append_control (message, 300, 1, 1, &busy));
  g_assert_error (busy, G_IO_ERROR, G_IO_ERROR_BUSY);
}

static void
check_no_room_for_pidfd (UsockMessage *message)
{
  g_autoptr (GError) refused = NULL;
  struct rlimit before, none;
  int next = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

  close (next);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &before));
  none = before;
  none.rlim_cur = next;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &none));
  g_assert_cmpint (usock_message_dup_pidfd (message, &refused), ==, -1);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));
  g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
}

static void
test_pidfd (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new_received ("x", 1, 1);
  g_autoptr (GError) none = NULL;
  int fd = open_null ();
  int copy;

  g_assert_cmpint (usock_message_dup_pidfd (message, &none), ==, -1);
  g_assert_error (none, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  usock_message_receive_controls (message, NULL, 0, fd);
  usock_test_no_error ((copy = usock_message_dup_pidfd (message, &error)) > STDERR_FILENO);
  g_assert_cmpint (copy, !=, fd);
  g_assert_cmpint (fcntl (copy, F_GETFD), ==, FD_CLOEXEC);
  close (copy);
  g_assert_true (is_open (fd));
  check_no_room_for_pidfd (message);
}

/* Who passes on a received message does not claim to be its sender; and who is not known is not
 * “nobody”. */
static void
test_received (UsockTest *test, gconstpointer data)
{
  static const UsockCredentials known = { 1, 2, 3 };
  static const UsockCredentials unknown = { 0, 65534, 65534 };
  g_autoptr (UsockMessage) message = usock_message_new_received ("abc", 3, 10);
  g_autoptr (UsockMessage) foreign = usock_message_new_received (NULL, 0, 0);
  UsockCredentials native;

  g_assert_cmpint (usock_message_get_data (message, NULL)[3], ==, '\0');

  usock_message_receive_info (message, USOCK_MESSAGE_FLAGS_TRUNCATED, &known, 42000, "@x");
  g_assert_cmpuint (usock_message_get_length (message), ==, 3);
  g_assert_cmpuint (usock_message_get_full_length (message), ==, 10);
  g_assert_cmpint (usock_message_get_flags (message), ==, USOCK_MESSAGE_FLAGS_TRUNCATED);
  g_assert_cmpint (usock_message_get_timestamp (message), ==, 42);
  g_assert_cmpstr (usock_message_get_sender (message), ==, "@x");
  g_assert_cmpint (g_credentials_get_unix_pid (usock_message_get_credentials (message), NULL), ==,
                   1);
  g_assert_cmpint (g_credentials_get_unix_user (usock_message_get_credentials (message), NULL), ==,
                   2);
  g_assert_false (usock_message_peek_credentials (message, &native));

  usock_message_receive_info (foreign, 0, &unknown, 0, NULL);
  g_assert_null (usock_message_get_credentials (foreign));
}

static guint n_asked;

static GSocketAddress *
read_no_address (const struct sockaddr *native, socklen_t length)
{
  n_asked++;
  return NULL;
}

static GSocketAddress *
read_address (const struct sockaddr *native, socklen_t length)
{
  n_asked++;
  return g_socket_address_new_from_native ((gpointer) native, length);
}

static char *
tell_length (const struct sockaddr *native, socklen_t length)
{
  n_asked++;
  return g_strdup_printf ("%u", length);
}

static char *
tell_nothing (const struct sockaddr *native, socklen_t length)
{
  n_asked++;
  return NULL;
}

/* It is asked for once, whatever the answer is, and of a copy. */
static void
test_sender (UsockTest *test, gconstpointer data)
{
  struct sockaddr_in native = { .sin_family = AF_INET, .sin_port = g_htons (80) };
  g_autoptr (UsockMessage) known = usock_message_new_received ("x", 1, 1);
  g_autoptr (UsockMessage) unknown = usock_message_new_received ("x", 1, 1);
  g_autoptr (UsockMessage) told = usock_message_new_received ("x", 1, 1);

  n_asked = 0;
  usock_message_receive_sender (known, (gpointer) &native, sizeof native, read_address, tell_length);
  usock_message_receive_sender (unknown, (gpointer) &native, sizeof native, read_no_address,
                                tell_nothing);
  usock_message_receive_info (told, 0, NULL, 0, "told");
  usock_message_receive_sender (told, (gpointer) &native, sizeof native, read_address, tell_length);
  memset (&native, 0, sizeof native);

  for (guint i = 0; i < 2; i++)
    {
      GSocketAddress *address = usock_message_get_sender_address (known);

      g_assert_cmpint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)), ==, 80);
      g_assert_cmpstr (usock_message_get_sender (known), ==, "16");
      g_assert_null (usock_message_get_sender_address (unknown));
      g_assert_null (usock_message_get_sender (unknown));
      g_assert_cmpstr (usock_message_get_sender (told), ==, "told");
      g_assert_cmpuint (n_asked, ==, 4);
    }
}

static void
set_flag (gpointer flag)
{
  *(gboolean *) flag = TRUE;
}

/* With the last reference all that a message held goes. */
static void
test_lets_go (UsockTest *test, gconstpointer data)
{
  struct sockaddr_in native = { .sin_family = AF_INET };
  GCredentials *credentials = g_credentials_new ();
  GSocketAddress *address;
  gboolean gone[3] = { FALSE };
  GBytes *bytes[3];
  UsockMessage *message, *value;

  for (guint i = 0; i < 3; i++)
    bytes[i] = g_bytes_new_with_free_func ("x", 1, set_flag, &gone[i]);
  message = usock_message_new_from_bytes (bytes[0]);
  usock_message_append_bytes (message, bytes[1]);
  usock_message_set_credentials (message, credentials);
  usock_message_receive_sender (message, (gpointer) &native, sizeof native, read_address, NULL);
  address = usock_message_get_sender_address (message);
  g_object_add_weak_pointer (G_OBJECT (address), (gpointer *) &address);
  g_object_add_weak_pointer (G_OBJECT (credentials), (gpointer *) &credentials);
  g_object_unref (credentials);
  value = usock_message_new_from_variant (
      g_variant_new_from_bytes (G_VARIANT_TYPE_BYTE, bytes[2], TRUE));
  for (guint i = 0; i < 3; i++)
    g_bytes_unref (bytes[i]);

  g_assert_false (gone[0] || gone[1] || gone[2]);
  usock_message_unref (message);
  usock_message_unref (value);
  g_assert_true (gone[0] && gone[1] && gone[2]);
  g_assert_null (address);
  g_assert_null (credentials);
}

/* What came is as it came. */
static void
test_received_frozen (UsockTest *test, gconstpointer data)
{
  g_autofree char *sent = g_strnfill (5000, 'x');
  UsockMessage *messages[] = { usock_message_new_received ("x", 1, 1),
                               usock_message_new_received (sent, 5000, 6000),
                               usock_message_new_assembled (g_bytes_new ("x", 1)) };
  g_autoptr (GCredentials) own = g_credentials_new ();

  g_assert_cmpuint (usock_message_get_full_length (messages[1]), ==, 6000);
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    {
      g_autoptr (GError) busy = NULL;
      UsockCredentials native;

      g_assert_false (usock_message_append_fd (messages[i], STDERR_FILENO, &busy));
      g_assert_error (busy, G_IO_ERROR, G_IO_ERROR_BUSY);
      messages[i]->credentials = g_object_ref (own);
      g_assert_false (usock_message_peek_credentials (messages[i], &native));
      usock_message_receive_msg_flags (messages[i], USOCK_MSG_EOR);
      g_assert_cmpint (usock_message_get_received_flags (messages[i]), ==, USOCK_MSG_EOR);
      usock_message_unref (messages[i]);
    }
}

typedef struct
{
  UsockMessage *message;
  gint n_started;
  gint n_taken;
} Race;

/* Each looks, takes, and closes what it got: a descriptor that two got would be closed twice. */
static gpointer
race_thread (gpointer data)
{
  Race *race = data;

  g_atomic_int_inc (&race->n_started);
  while (g_atomic_int_get (&race->n_started) < 4)
    g_thread_yield ();

  for (guint i = 0; i < MOST_FDS; i++)
    {
      UsockFdKind kind = usock_message_get_fd_kind (race->message, i);
      g_autoptr (GError) error = NULL;
      int fd;

      g_assert_true (kind == USOCK_FD_KIND_DEVICE || kind == USOCK_FD_KIND_OTHER);
      fd = usock_message_take_fd (race->message, i, &error);
      if (fd == -1)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
      else
        {
          g_atomic_int_inc (&race->n_taken);
          g_assert_cmpint (close (fd), ==, 0);
        }
    }
  assert_payload (race->message, "ab", 2);
  usock_message_unref (race->message);
  return NULL;
}

static void
test_threads (UsockTest *test, gconstpointer data)
{
  int null = open_null ();

  for (guint round = 0; round < 20; round++)
    {
      g_autoptr (UsockMessage) message = usock_message_new_from_text ("a");
      g_autoptr (GBytes) end = g_bytes_new_static ("b", 1);
      Race race = { message };
      GThread *threads[4];

      usock_message_append_bytes (message, end);
      for (guint i = 0; i < MOST_FDS; i++)
        usock_test_no_error (usock_message_append_fd (message, null, &error));

      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        {
          usock_message_ref (message);
          threads[i] = g_thread_new ("race", race_thread, &race);
        }
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_thread_join (threads[i]);
      g_assert_cmpint (race.n_taken, ==, MOST_FDS);
    }
  close (null);
}

/* On the wire it is little-endian, wherever it was made, and nothing else is taken for one. */
static void
test_variant (UsockTest     *test,
              gconstpointer  unused)
{
  const guint8 wire[8] = { 4, 3, 2, 1, 0xff };
  GVariant *value = g_variant_ref_sink (g_variant_new ("(uy)", 0x01020304, 0xff));
  g_autoptr (UsockMessage) message = usock_message_new_from_variant (value);
  g_autoptr (GVariant) again = NULL;
  g_autoptr (GVariant) cut = NULL;
  g_autoptr (GBytes) bytes = g_bytes_ref (usock_message_get_bytes (message));
  g_autoptr (GBytes) part = g_bytes_new_from_bytes (bytes, 0, 3);

  g_assert_cmpint (usock_message_get_kind (message), ==, USOCK_BODY_KIND_VARIANT);
  g_assert_true (usock_message_get_variant (message) == value);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 8);
  assert_payload (message, (const char *) wire, 8);

  again = usock_message_read_variant (G_VARIANT_TYPE ("(uy)"), bytes);
  g_assert_cmpvariant (again, value);

  usock_message_append_bytes (message, part);
  g_assert_null (usock_message_get_variant (message));
  g_assert_cmpint (usock_message_get_kind (message), ==, USOCK_BODY_KIND_BYTES);
  g_assert_cmpuint (usock_message_get_full_length (message), ==, 11);
  cut = usock_message_read_variant (G_VARIANT_TYPE ("(uy)"), part);
  g_assert_null (cut);
  g_variant_unref (value);
}

/* A value that nobody owns yet belongs to who is given it, whatever it makes of it. */
static void
test_floating_control (UsockTest     *test,
                       gconstpointer  unused)
{
  GVariant *values[] = { g_variant_new_int32 (33), g_variant_new_string ("no number") };
  g_autoptr (UsockMessage) message = usock_message_new_from_text ("x");

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_variant_ref (values[i]);
      g_assert_cmpint (usock_message_append_control_value (message, IPPROTO_IP, IP_TTL, values[i],
                                                           NULL),
                       ==, i == 0);
      g_assert_false (g_variant_is_floating (values[i]));
      g_variant_unref (values[i]);
    }
}

static void
check_no_room_for_memfd (int fd)
{
  g_autoptr (GError) refused = NULL;
  struct rlimit before, none;
  int next = dup (fd);

  close (next);
  g_assert_cmpint (next, >, 3);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  none = before;
  none.rlim_cur = next;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  g_assert_null (usock_message_new_from_memfd (fd, &refused));
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
  g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
}

static void
assert_no_memfd (int fd)
{
  g_autoptr (GError) refused = NULL;

  g_assert_null (usock_message_new_from_memfd (fd, &refused));
  g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
}

/* Anybody could make it shorter, and so kill who looks at it. */
static void
test_memfd_is_a_file (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "file");
  int fd;

  usock_test_no_error (g_file_set_contents (path, "content", 7, &error));
  fd = open (path, O_RDONLY | O_CLOEXEC);
  assert_no_memfd (fd);
  close (fd);
}

/* Each of the seals is needed. */
static void
test_memfd_half_sealed (UsockTest     *test,
                        gconstpointer  unused)
{
  static const int seals[] = { F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE };

  for (guint i = 0; i < G_N_ELEMENTS (seals); i++)
    {
      int fd = memfd_create ("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

      for (guint j = 0; j < G_N_ELEMENTS (seals); j++)
        if (i != j)
          g_assert_cmpint (fcntl (fd, F_ADD_SEALS, seals[j]), ==, 0);
      assert_no_memfd (fd);
      close (fd);
    }
}

/* The bytes are those of the file, which the message keeps for itself. */
static void
test_memfd (UsockTest     *test,
            gconstpointer  unused)
{
  int fd = memfd_create ("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_autoptr (UsockMessage) message = NULL;

  g_assert_cmpint (write (fd, "content", 7), ==, 7);
  assert_no_memfd (fd);
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), ==, 0);
  usock_test_no_error (message = usock_message_new_from_memfd (fd, &error));
  g_assert_cmpint (usock_message_get_memfd (message), !=, fd);
  check_no_room_for_memfd (fd);
  close (fd);
  assert_payload (message, "content", 7);
  g_assert_cmpuint (usock_message_get_n_fds (message), ==, 0);
}

static gboolean
is_mapped (const char *name)
{
  g_autofree char *maps = NULL;

  usock_test_no_error (g_file_get_contents ("/proc/self/maps", &maps, NULL, &error));
  return strstr (maps, name) != NULL;
}

/* The file is kept while the payload is its content, and no longer. */
static void
test_memfd_goes (UsockTest     *test,
                 gconstpointer  unused)
{
  static const char *const contents[] = { "", "x", "content" };

  for (guint i = 0; i < G_N_ELEMENTS (contents); i++)
    {
      gsize length = strlen (contents[i]);
      int fd = memfd_create ("usock-test-goes", MFD_CLOEXEC | MFD_ALLOW_SEALING);
      g_autoptr (GBytes) more = g_bytes_new_static ("!", 1);
      UsockMessage *message;
      int kept;

      g_assert_cmpint (write (fd, contents[i], length), ==, length);
      g_assert_cmpint (fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), ==, 0);
      usock_test_no_error (message = usock_message_new_from_memfd (fd, &error));
      close (fd);
      assert_payload (message, contents[i], length);
      kept = usock_message_get_memfd (message);
      g_assert_cmpint (fcntl (kept, F_GETFD), ==, FD_CLOEXEC);
      g_assert_cmpint (is_mapped ("usock-test-goes"), ==, length > 0);

      usock_message_append_bytes (message, more);
      g_assert_cmpint (usock_message_get_memfd (message), ==, -1);
      g_assert_false (is_open (kept));
      usock_message_unref (message);
      g_assert_false (is_mapped ("usock-test-goes"));
    }
}

/* What nobody can change any more, to be read from its beginning. */
static void
test_wrapped (UsockTest     *test,
              gconstpointer  unused)
{
  for (gsize length = 0; length <= 3; length++)
    {
      g_autoptr (UsockMessage) message = NULL;
      char content[4];
      int fd;

      usock_test_no_error (message = usock_message_new_wrapped ("abc", length, &error));
      assert_payload (message, "", 0);
      g_assert_cmpuint (usock_message_get_n_fds (message), ==, 1);
      g_assert_cmpint (usock_message_get_fd_kind (message, 0), ==, USOCK_FD_KIND_MEMFD);
      fd = usock_message_take_fd (message, 0, NULL);
      g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
      g_assert_cmpint (fcntl (fd, F_GET_SEALS), ==,
                       F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
      g_assert_cmpint (read (fd, content, sizeof content), ==, length);
      g_assert_cmpmem (content, length, "abc", length);
      close (fd);
    }
}

/* Where only a part can be written, there is no message. */
static void
test_wrapped_in_part (UsockTest     *test,
                      gconstpointer  unused)
{
  g_autoptr (GError) refused = NULL;
  struct rlimit before, small;
  gpointer handler = signal (SIGXFSZ, SIG_IGN);

  g_assert_no_errno (getrlimit (RLIMIT_FSIZE, &before));
  small = before;
  small.rlim_cur = 2;
  g_assert_no_errno (setrlimit (RLIMIT_FSIZE, &small));
  g_assert_null (usock_message_new_wrapped ("abc", 3, &refused));
  g_assert_no_errno (setrlimit (RLIMIT_FSIZE, &before));
  g_assert_nonnull (refused);
  signal (SIGXFSZ, handler);
}

/* However long it is: the bytes, a NUL behind them, and one GBytes that stays. */
static void
test_received_payload (UsockTest *test, gconstpointer data)
{
  static const gsize lengths[] = { 0, 1, 64, 4095, 4096, 4097, 100000 };

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autofree char *sent = g_strnfill (lengths[i], 'x');
      g_autoptr (UsockMessage) message
          = usock_message_new_received (sent, lengths[i], lengths[i]);
      g_autoptr (GBytes) kept = NULL;
      struct iovec iov;
      const char *bytes;
      gsize length;

      assert_payload (message, sent, lengths[i]);
      g_assert_cmpint (usock_message_get_data (message, NULL)[lengths[i]], ==, '\0');
      g_assert_cmpuint (usock_message_get_n_segments (message), ==, 1);
      g_assert_cmpuint (usock_message_get_iov (message, &iov, 1), ==, 1);
      g_assert_cmpmem (iov.iov_base, iov.iov_len, sent, lengths[i]);

      kept = g_bytes_ref (usock_message_get_bytes (message));
      g_assert_true (usock_message_get_bytes (message) == kept);
      g_assert_true (usock_message_get_segment (message, 0) == kept);
      g_assert_null (usock_message_get_segment (message, 1));
      g_clear_pointer (&message, usock_message_unref);
      bytes = g_bytes_get_data (kept, &length);
      g_assert_cmpmem (bytes, length, sent, lengths[i]);
      g_assert_cmpint (bytes[length], ==, '\0');
    }
}

/* Of one that is short, too. */
static void
test_received_cut (UsockTest *test, gconstpointer data)
{
  g_autoptr (UsockMessage) message = usock_message_new_received ("abcdef", 6, 6);

  usock_message_cut (message, (const gsize[]) { 2, 1, 9 }, 3);
  g_assert_cmpuint (usock_message_get_n_segments (message), ==, 3);
  g_assert_cmpuint (g_bytes_get_size (usock_message_get_segment (message, 1)), ==, 1);
  g_assert_cmpuint (g_bytes_get_size (usock_message_get_segment (message, 2)), ==, 3);
  assert_payload (message, "abcdef", 6);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/message/new", test_new);
  usock_test_add ("/usock/message/boxed", test_boxed);
  usock_test_add ("/usock/message/received-payload", test_received_payload);
  usock_test_add ("/usock/message/received-cut", test_received_cut);
  usock_test_add ("/usock/message/segments", test_segments);
  usock_test_add ("/usock/message/many-segments", test_many_segments);
  usock_test_add ("/usock/message/freeze", test_freeze);
  usock_test_add ("/usock/message/text", test_text);
  usock_test_add ("/usock/message/append-fd-copies", test_append_fd_copies);
  usock_test_add ("/usock/message/append-fd-owned", test_append_fd_owned);
  usock_test_add ("/usock/message/append-fd-owned-twice", test_append_fd_owned_twice);
  usock_test_add ("/usock/message/append-bad-fd", test_append_bad_fd);
  usock_test_add ("/usock/message/append-too-many", test_append_too_many);
  usock_test_add ("/usock/message/take-twice", test_take_twice);
  usock_test_add ("/usock/message/take-all", test_take_all);
  usock_test_add ("/usock/message/close", test_close);
  usock_test_add ("/usock/message/descriptor-zero", test_descriptor_zero);
  usock_test_add ("/usock/message/received-fds", test_received_fds);
  usock_test_add ("/usock/message/pins", test_pins);
  usock_test_add ("/usock/message/pinned-to-the-end", test_pinned_to_the_end);
  usock_test_add ("/usock/message/pinned-taken", test_pinned_taken);
  usock_test_add ("/usock/message/tally-closes", test_tally_closes);
  usock_test_add ("/usock/message/kinds", test_kinds);
  usock_test_add ("/usock/message/kind-of-none", test_kind_of_none);
  usock_test_add ("/usock/message/part", test_part);
  usock_test_add ("/usock/message/fds-of", test_fds_of);
  usock_test_add ("/usock/message/part-of-taken", test_part_of_taken);
  usock_test_add ("/usock/message/part-of-received", test_part_of_received);
  usock_test_add ("/usock/message/tally", test_tally);
  usock_test_add ("/usock/message/append-message", test_append_message);
  usock_test_add ("/usock/message/credentials", test_credentials);
  usock_test_add ("/usock/message/received", test_received);
  usock_test_add ("/usock/message/received-frozen", test_received_frozen);
  usock_test_add ("/usock/message/controls", test_controls);
  usock_test_add ("/usock/message/lookup-control", test_lookup_control);
  usock_test_add ("/usock/message/control-limits", test_control_limits);
  usock_test_add ("/usock/message/control-refused", test_control_refused);
  usock_test_add ("/usock/message/pidfd", test_pidfd);
  usock_test_add ("/usock/message/sender", test_sender);
  usock_test_add ("/usock/message/lets-go", test_lets_go);
  usock_test_add ("/usock/message/variant", test_variant);
  usock_test_add ("/usock/message/floating-control", test_floating_control);
  usock_test_add ("/usock/message/memfd", test_memfd);
  usock_test_add ("/usock/message/memfd-is-a-file", test_memfd_is_a_file);
  usock_test_add ("/usock/message/memfd-half-sealed", test_memfd_half_sealed);
  usock_test_add ("/usock/message/memfd-goes", test_memfd_goes);
  usock_test_add ("/usock/message/wrapped", test_wrapped);
  usock_test_add ("/usock/message/wrapped-in-part", test_wrapped_in_part);
  usock_test_add ("/usock/message/threads", test_threads);

  return g_test_run ();
}
