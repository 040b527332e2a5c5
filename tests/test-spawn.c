/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The children are this program itself, told by its first argument what to be, and shells. */

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY 40

static const char *own_path;

static void
exit_unless (gboolean    condition,
             const char *what)
{
  if (condition)
    return;

  fprintf (stderr, "The child has not %s\n", what);
  _exit (1);
}

/* As a program does that has never heard of GLib: see sd_listen_fds(3). */
static int
be_plain (void)
{
  char buffer[100];
  ssize_t length;

  exit_unless (atoi (getenv ("LISTEN_PID")) == getpid (), "its own number");
  exit_unless (strcmp (getenv ("LISTEN_FDS"), "1") == 0, "one descriptor");
  exit_unless (strcmp (getenv ("LISTEN_FDNAMES"), "connection") == 0, "a name for it");
  exit_unless (getenv ("LISTEN_PIDFDID") == NULL, "only what is true");
  exit_unless (fcntl (3, F_GETFD) == 0, "a descriptor to hand on");
  exit_unless ((fcntl (3, F_GETFL) & O_NONBLOCK) == 0, "a descriptor that blocks");
  exit_unless (strcmp (getenv ("INHERITED"), "yes") == 0, "the environment");
  while ((length = recv (3, buffer, sizeof buffer, 0)) > 0)
    exit_unless (send (3, buffer, length, 0) == length, "answered");
  return 0;
}

static void
be_told (UsockChannel *channel,
         GByteArray   *bytes,
         gpointer      unused)
{
  usock_channel_send (channel, bytes->data, bytes->len, NULL);
}

static int
be_usock (gboolean stream)
{
  g_autoptr (GError) error = NULL;
  UsockChannel *channel
      = stream ? USOCK_CHANNEL (usock_stream_new_activated ("connection", &error))
               : USOCK_CHANNEL (usock_seqpacket_new_activated (NULL, &error));

  exit_unless (error == NULL && g_getenv ("LISTEN_FDS") == NULL, "taken its end");
  g_signal_connect (channel, "data", G_CALLBACK (be_told), NULL);
  usock_run_until_closed (NULL);
  g_object_unref (channel);
  return 0;
}

static void
be_asked (UsockPeer *peer,
          UsockCall *call,
          gpointer   unused)
{
  usock_call_reply (call, usock_call_get_body (call), NULL);
}

static int
be_peer (void)
{
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new_activated (NULL, NULL);
  g_autoptr (UsockPeer) peer = usock_peer_new (USOCK_CHANNEL (channel));

  usock_peer_handle (peer, "Echo", be_asked, NULL, NULL);
  usock_run_until_closed (NULL);
  return 0;
}

/* Its parent made both ends, and is who the errors name. */
static int
be_left (void)
{
  g_autoptr (GError) error = NULL;
  UsockSeqpacket *channel = usock_seqpacket_new_activated (NULL, &error);
  g_autofree char *name = g_strdup_printf ("process %d", getppid ());

  while (usock_channel_send_text (USOCK_CHANNEL (channel), "no", &error))
    g_usleep (1000);
  exit_unless (strstr (error->message, name) != NULL, "been told whom it talks to");
  return 0;
}

static int
be_child (const char *kind)
{
  if (g_str_equal (kind, "--plain"))
    return be_plain ();
  if (g_str_equal (kind, "--left"))
    return be_left ();
  if (g_str_equal (kind, "--peer"))
    return be_peer ();
  return be_usock (g_str_equal (kind, "--stream"));
}

static UsockChannel *
spawn (GSubprocess     **child,
       GSubprocessFlags  flags,
       const char       *first,
       ...)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  UsockSeqpacket *channel = NULL;
  va_list arguments;

  va_start (arguments, first);
  for (const char *each = first; each != NULL; each = va_arg (arguments, const char *))
    g_ptr_array_add (argv, (gpointer) each);
  va_end (arguments);
  g_ptr_array_add (argv, NULL);
  usock_test_no_error (channel = usock_seqpacket_spawn ((const char *const *) argv->pdata, flags,
                                                        child, &error));
  return USOCK_CHANNEL (channel);
}

static void
reap (GSubprocess *child)
{
  usock_test_no_error (g_subprocess_wait_check (child, NULL, &error));
  g_object_unref (child);
}

static void
check_echo (UsockChannel *channel,
            GSubprocess  *child)
{
  Witness witness;

  witness_init (&witness);
  witness_watch (&witness, channel, "connect data end error close");
  usock_test_no_error (usock_channel_send_text (channel, "one", &error));
  witness_expect (&witness, "data:one");
  usock_test_no_error (usock_channel_send_text (channel, "two", &error));
  witness_expect (&witness, "data:two");
  usock_channel_end (channel);
  witness_expect (&witness, "end close");
  reap (child);
  scene_close (channel);
  witness_clear (&witness);
}

static void
test_plain (UsockTest     *test,
            gconstpointer  unused)
{
  GSubprocess *child;
  UsockChannel *channel;

  /* What is told to this program, or to one before it, is not for the child. */
  g_setenv ("LISTEN_PID", "1", TRUE);
  g_setenv ("LISTEN_FDS", "7", TRUE);
  g_setenv ("LISTEN_PIDFDID", "7", TRUE);
  g_setenv ("INHERITED", "yes", TRUE);
  channel = spawn (&child, G_SUBPROCESS_FLAGS_NONE, own_path, "--plain", NULL);
  g_assert_cmpstr (g_getenv ("LISTEN_PID"), ==, "1");
  g_assert_cmpstr (g_getenv ("LISTEN_FDS"), ==, "7");
  g_unsetenv ("LISTEN_PID");
  g_unsetenv ("LISTEN_FDS");
  g_unsetenv ("LISTEN_PIDFDID");
  check_echo (channel, child);
}

static void
test_usock (UsockTest     *test,
            gconstpointer  unused)
{
  const char *argv[] = { own_path, "--stream", NULL };
  GSubprocess *child;
  UsockChannel *channel = spawn (&child, G_SUBPROCESS_FLAGS_NONE, own_path, "--packets", NULL);
  UsockStream *stream;

  check_echo (channel, child);
  usock_test_no_error (stream = usock_stream_spawn (argv, G_SUBPROCESS_FLAGS_NONE, &child, &error));
  check_echo (USOCK_CHANNEL (stream), child);
}

static void
answered_cb (GObject      *peer,
             GAsyncResult *result,
             gpointer      answer)
{
  usock_test_no_error (*(UsockMessage **) answer
                       = usock_peer_call_finish (USOCK_PEER (peer), result, &error));
}

static void
test_peer (UsockTest     *test,
           gconstpointer  unused)
{
  static const char *const missing[] = { "/no/such/program", NULL };
  const char *argv[] = { own_path, "--peer", NULL };
  g_autoptr (UsockMessage) question = usock_message_new_from_text ("hello");
  g_autoptr (UsockMessage) answer = NULL;
  UsockChannel *channel;
  UsockPeer *peer;
  GSubprocess *child = NULL;
  GError *failure = NULL;

  g_assert_null (usock_peer_spawn (missing, G_SUBPROCESS_FLAGS_NONE, &child, &failure));
  g_assert_error (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_null (child);
  g_error_free (failure);

  usock_test_no_error (peer = usock_peer_spawn (argv, G_SUBPROCESS_FLAGS_NONE, &child, &error));
  channel = g_object_ref (usock_peer_get_channel (peer));
  usock_peer_call_async (peer, "Echo", question, -1, NULL, answered_cb, &answer);
  usock_test_wait_until (answer != NULL);
  g_assert_cmpmem (usock_message_get_data (answer, NULL), usock_message_get_length (answer), "hello", 5);
  usock_channel_end (channel);
  reap (child);
  g_object_unref (peer);
  scene_close (channel);
}

/* Of this process the child has what it was given, whatever numbers are in use here. */
static void
test_nothing_leaks (UsockTest     *test,
                    gconstpointer  unused)
{
  UsockChannel *channels[2];
  GSubprocess *children[2];
  int fds[8];

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    /* Such as know no better: they are not close-on-exec. */
    g_assert_cmpint (fds[i] = dup (test->pair[0]), >=, 0);
  for (guint i = 0; i < 2; i++)
    channels[i] = spawn (&children[i], G_SUBPROCESS_FLAGS_STDOUT_PIPE, "ls", "/proc/self/fd", NULL);
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *output = NULL;

      usock_test_no_error (g_subprocess_communicate_utf8 (children[i], NULL, NULL, &output, NULL,
                                                          &error));
      /* The last one is that which it lists with. */
      g_assert_cmpstr (output, ==, "0\n1\n2\n3\n4\n");
      g_object_unref (children[i]);
      scene_close (channels[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
}

static void
test_missing (UsockTest     *test,
              gconstpointer  unused)
{
  static const char *const missing[] = { "/no/such/program", NULL };
  static const char *const unknown[] = { "no-such-program-anywhere", "x", NULL };
  static const char *const nameless[] = { "", "x", NULL };
  static const char *const directory[] = { "/", NULL };
  g_autofree char *path = usock_test_path (test, "file");
  const char *forbidden[] = { path, NULL };
  GSubprocess *child = NULL;
  GError *failure = NULL;

  g_assert_null (usock_seqpacket_spawn (missing, G_SUBPROCESS_FLAGS_NONE, &child, &failure));
  g_assert_null (child);
  g_assert_cmpstr (failure->message, ==,
                   "Could not start “/no/such/program”: No such file or directory");
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  g_assert_null (usock_stream_spawn (unknown, G_SUBPROCESS_FLAGS_NONE, &child, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  g_assert_null (usock_stream_spawn (nameless, G_SUBPROCESS_FLAGS_NONE, &child, &failure));
  assert_error_code (failure, G_IO_ERROR_NOT_FOUND);
  g_assert_null (usock_stream_spawn (directory, G_SUBPROCESS_FLAGS_NONE, &child, &failure));
  assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
  usock_test_no_error (g_file_set_contents (path, "", 0, &error));
  g_assert_null (usock_seqpacket_spawn (forbidden, G_SUBPROCESS_FLAGS_NONE, &child, &failure));
  assert_error_code (failure, G_IO_ERROR_PERMISSION_DENIED);
}

/* The shell reads what does not say who shall. */
static void
test_script (UsockTest     *test,
             gconstpointer  unused)
{
  static const char text[] = "test $LISTEN_PID = $$ && echo \"$1 and $#\" >&3";
  g_autofree char *path = usock_test_path (test, "script");
  GSubprocess *child;
  UsockChannel *channel;
  Witness witness;

  witness_init (&witness);
  usock_test_no_error (g_file_set_contents (path, text, -1, &error));
  g_assert_no_errno (chmod (path, 0700));
  channel = spawn (&child, G_SUBPROCESS_FLAGS_NONE, path, "a-b", "c", NULL);
  witness_watch (&witness, channel, "data end error close");
  usock_test_wait_until (witness.n_closed > 0);
  witness_assert (&witness, "data:a-b and 2\n end close");
  reap (child);
  scene_close (channel);
  witness_clear (&witness);
}

/* What it said before it died comes first. */
static void
test_dies (UsockTest     *test,
           gconstpointer  unused)
{
  GSubprocess *child;
  UsockChannel *channel
      = spawn (&child, G_SUBPROCESS_FLAGS_NONE, "sh", "-c", "echo last >&3; exit 0", NULL);
  g_autoptr (GError) failure = NULL;
  Witness witness;

  witness_init (&witness);
  witness_watch (&witness, channel, "data end error close");
  witness_expect (&witness, "data:last\n end close");
  reap (child);
  g_assert_false (usock_channel_send_text (channel, "?", &failure));
  g_assert_nonnull (strstr (failure->message, "“sh”"));
  scene_close (channel);

  channel = spawn (&child, G_SUBPROCESS_FLAGS_NONE, own_path, "--packets", NULL);
  witness_watch (&witness, channel, "data end error close");
  usock_test_no_error (usock_channel_send_text (channel, "there", &error));
  witness_expect (&witness, "data:there");
  g_subprocess_force_exit (child);
  witness_expect (&witness, "end close");
  usock_test_no_error (g_subprocess_wait (child, NULL, &error));
  g_object_unref (child);
  scene_close (channel);
  witness_clear (&witness);
}

static void
test_left (UsockTest     *test,
           gconstpointer  unused)
{
  GSubprocess *child;
  UsockChannel *channel = spawn (&child, G_SUBPROCESS_FLAGS_NONE, own_path, "--left", NULL);

  scene_close (channel);
  reap (child);
}

static void
received (UsockChannel *channel,
          GByteArray   *bytes,
          guint        *n)
{
  *n += 1;
}

static void
test_many (UsockTest     *test,
           gconstpointer  unused)
{
  UsockChannel *channels[MANY];
  GSubprocess *children[MANY];
  guint n_received = 0;

  for (guint i = 0; i < MANY; i++)
    {
      channels[i] = spawn (&children[i], G_SUBPROCESS_FLAGS_NONE, own_path, "--plain", NULL);
      g_signal_connect (channels[i], "data", G_CALLBACK (received), &n_received);
      usock_test_no_error (usock_channel_send_text (channels[i], "x", &error));
    }
  usock_test_wait_until (n_received == MANY);
  for (guint i = 0; i < MANY; i++)
    usock_channel_end (channels[i]);
  for (guint i = 0; i < MANY; i++)
    {
      reap (children[i]);
      scene_close (channels[i]);
    }
}

static volatile sig_atomic_t n_signals;

static void
child_signal (int number)
{
  int saved = errno;

  n_signals++;
  errno = saved;
}

/* A program may have its own way to learn of its children. */
static void
test_signal_handler (UsockTest     *test,
                     gconstpointer  unused)
{
  struct sigaction action = { .sa_handler = child_signal };
  struct sigaction before;
  GSubprocess *child;
  UsockChannel *channel;

  /* Where valgrind knows no descriptors of processes, GLib has a handler of its own. */
  if (g_getenv ("USOCK_TEST_SLOW") != NULL)
    {
      g_test_skip ("GLib takes the signal under valgrind");
      return;
    }

  g_assert_no_errno (sigaction (SIGCHLD, &action, &before));
  channel = spawn (&child, G_SUBPROCESS_FLAGS_NONE, own_path, "--plain", NULL);
  check_echo (channel, child);
  usock_test_spin_until (n_signals > 0);
  g_assert_no_errno (sigaction (SIGCHLD, &before, NULL));
}

/* Both ways, once the parent has said that it takes them. */
static void
test_descriptors (UsockTest     *test,
                  gconstpointer  unused)
{
  GSubprocess *child;
  UsockChannel *channel = spawn (
      &child, G_SUBPROCESS_FLAGS_NONE, "python3", "-c",
      "import socket\n"
      "s = socket.socket(fileno=3)\n"
      "data, fds, _, _ = socket.recv_fds(s, 10, 1)\n"
      "socket.send_fds(s, [data], fds)\n",
      NULL);
  int fds[] = { test->pair[0] };
  Witness witness;

  witness_init (&witness);
  usock_channel_set_max_fds (channel, 1);
  usock_test_no_error (
      usock_channel_send_with_fds (channel, (const guint8 *) "fd", 2, fds, 1, &error));
  witness_watch (&witness, channel, "message end close");
  witness_expect (&witness, "message:fd end close");
  reap (child);
  scene_close (channel);
  witness_clear (&witness);
}

int
main (int   argc,
      char *argv[])
{
  g_autoptr (GSubprocess) first = NULL;
  g_autofree char *path = g_file_read_link ("/proc/self/exe", NULL);

  if (argc > 1 && g_str_has_prefix (argv[1], "--")
      && strstr ("--plain --packets --stream --left --peer", argv[1]) != NULL)
    return be_child (argv[1]);

  g_test_init (&argc, &argv, NULL);
  own_path = path;
  g_setenv ("INHERITED", "yes", TRUE);

  /* What GLib has for children stays until the end of the process. */
  first = g_subprocess_new (G_SUBPROCESS_FLAGS_NONE, NULL, "true", NULL);
  g_subprocess_wait (first, NULL, NULL);

#define add(name, function) usock_test_add ("/usock/spawn/" name, function)

  add ("plain", test_plain);
  add ("usock", test_usock);
  add ("peer", test_peer);
  add ("nothing-leaks", test_nothing_leaks);
  add ("missing", test_missing);
  add ("script", test_script);
  add ("dies", test_dies);
  add ("left", test_left);
  add ("many", test_many);
  add ("signal-handler", test_signal_handler);
  add ("descriptors", test_descriptors);

  return g_test_run ();
}
