/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every socket call fails in every way it is known to, once and again, in the middle of a
 * conversation. Whatever comes of it, messages are neither lost nor doubled without an error, each
 * connection ends once, and no descriptor is left over. */

#include "torture.h"

#include "usock-io-private.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define SEED 3
#define LONGEST 1000
#define N_MESSAGES 500

typedef struct
{
  UsockIoCall call;
  int errnums[16];
} Failing;

/* What the library has to take for the kernel's word is missing: EAGAIN from what an edge said is
 * ready, and ENOTCONN from shutdown(), which means that the peer is gone. */
static const Failing failing[] = {
  { USOCK_IO_SOCKET, { EMFILE, ENFILE, ENOBUFS, ENOMEM } },
  { USOCK_IO_BIND, { EADDRINUSE, EACCES, EROFS, ENOSPC, ENAMETOOLONG } },
  { USOCK_IO_LISTEN, { EADDRINUSE } },
  { USOCK_IO_ACCEPT, { EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO, EPERM } },
  { USOCK_IO_CONNECT, { EAGAIN, ECONNREFUSED, ENOENT, EACCES, EPROTOTYPE, EPERM } },
  { USOCK_IO_SEND,
    { EAGAIN, ENOBUFS, ENOMEM, EPIPE, ECONNRESET, ECONNREFUSED, ENOTCONN, EMSGSIZE, ETOOMANYREFS,
      EPERM, ESRCH, EINVAL } },
  { USOCK_IO_RECEIVE, { ENOMEM, ECONNRESET, EINVAL, EIO } },
  { USOCK_IO_GET_OPTION, { ENOPROTOOPT, ENODATA, ERANGE, EINVAL } },
  { USOCK_IO_SET_OPTION, { ENOPROTOOPT, EPERM, ENOBUFS } },
  { USOCK_IO_GET_NAME, { ENOBUFS } },
};

typedef struct
{
  UsockIoCall call;
  int errnum;
  guint nth;
  guint every;
} Fault;

static void
echo_cb (UsockChannel *channel,
         UsockMessage *message,
         gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  gsize length;
  const guint8 *data = usock_message_get_data (message, &length);

  /* One that fails ends the conversation: a gap would be a lost message. */
  if (!usock_channel_send (channel, data, length, &error))
    usock_socket_destroy (USOCK_SOCKET (channel), error);
}

static void
count_close_cb (UsockSocket *socket,
                guint *n_open)
{
  g_assert_cmpuint (*n_open, >, 0);
  (*n_open)--;
}

static void
connection_cb (UsockServer *server,
               UsockChannel *channel,
               guint *n_open)
{
  (*n_open)++;
  g_signal_connect (channel, "message", G_CALLBACK (echo_cb), NULL);
  g_signal_connect (channel, "close", G_CALLBACK (count_close_cb), n_open);
}

/* Each tenth message carries a descriptor. */
static void
send_all (UsockChannel *channel)
{
  const int fds[] = { STDERR_FILENO };
  guint8 bytes[LONGEST];

  for (guint i = 0; i < N_MESSAGES; i++)
    {
      gsize length = torture_length (SEED, i, LONGEST);
      g_autoptr (GError) error = NULL;

      sequence_fill (SEED, i, bytes, length);
      if (!usock_channel_send_with_fds (channel, bytes, length, fds, i % 10 == 0, &error))
        {
          usock_socket_destroy (USOCK_SOCKET (channel), error);
          return;
        }
    }
  usock_channel_end (channel);
}

static void
converse (UsockTest *test,
          UsockChannel *client,
          const char *path,
          Stream *stream)
{
  g_autoptr (GError) error = NULL;

  stream_watch (stream, client);
  if (!usock_channel_connect_to_path (client, path, &error))
    {
      g_assert_nonnull (error);
      g_assert_cmpint (usock_socket_get_state (USOCK_SOCKET (client)), ==, USOCK_STATE_NEW);
      return;
    }
  send_all (client);
  usock_test_wait_until (stream->n_closed);
  /* A connection that was not said to fail has been whole. */
  if (stream->n_failed == 0)
    g_assert_cmpuint (stream->n_ended, ==, 1);
}

static void
test_fault (UsockTest *test,
            gconstpointer data)
{
  const Fault *fault = data;
  g_autofree char *path = usock_test_path (test, "socket");
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (UsockChannel) client = USOCK_CHANNEL (usock_seqpacket_new ());
  g_autoptr (GError) error = NULL;
  Stream stream = { .seed = SEED, .longest = LONGEST };
  guint n_open = 0;

  usock_server_set_max_fds (server, 1);
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), &n_open);
  usock_io_fault_add (fault->call, fault->errnum, fault->nth, fault->every);
  if (usock_server_listen_on_path (server, path, 0, &error))
    {
      converse (test, client, path, &stream);
      usock_io_fault_clear ();
      usock_socket_close (USOCK_SOCKET (server));
      usock_test_wait_until (n_open == 0);
      usock_run_until_closed (test->context);
      stream_clear (&stream);
    }
  else
    g_assert_nonnull (error);
  usock_io_fault_clear ();
}

static void
add_fault (UsockIoCall call,
           int errnum,
           guint nth,
           guint every)
{
  static GPtrArray *faults;
  Fault *fault = g_new (Fault, 1);
  g_autofree char *path = g_strdup_printf ("/torture/faults/%s/%s/%u-%u", usock_io_call_name (call),
                                           strerrorname_np (errnum), nth, every);

  if (faults == NULL)
    faults = g_ptr_array_new_with_free_func (g_free);
  *fault = (Fault){ call, errnum, nth, every };
  g_ptr_array_add (faults, fault);
  g_test_add (path, UsockTest, fault, usock_test_setup, test_fault, usock_test_teardown);
}

/* The room for another watch is used up. */
static int
forbid_watches (void)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 0, 3),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, args[1])),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, EPOLL_CTL_ADD, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSPC),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = { G_N_ELEMENTS (filter), filter };

  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return -errno;
  return prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

#define NO_SECCOMP 77

static int
play_without_watches (int fd,
                      gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  UsockSeqpacket *pair[2];
  Stream old = { .seed = SEED, .longest = LONGEST };
  Stream new = { .seed = SEED, .longest = LONGEST };
  Pump pump = { .seed = SEED, .longest = LONGEST, .n_messages = 100, .end = TRUE };
  UsockSeqpacket *channel;
  g_autoptr (GError) error = NULL;

  g_main_context_push_thread_default (context);
  if (!usock_seqpacket_new_pair (&pair[0], &pair[1], NULL))
    return 1;
  stream_watch (&old, USOCK_CHANNEL (pair[0]));
  while (g_main_context_iteration (context, FALSE))
    ;
  if (forbid_watches () < 0)
    return NO_SECCOMP;

  channel = usock_seqpacket_new_from_fd (fd, &error);
  if (channel != NULL)
    {
      stream_watch (&new, USOCK_CHANNEL (channel));
      while (new.n_closed == 0)
        g_main_context_iteration (context, TRUE);
      if (new.n_failed != 1)
        return 2;
    }
  else if (error == NULL || fcntl (fd, F_GETFD) < 0)
    return 3;

  pump_start (&pump, USOCK_CHANNEL (pair[1]));
  while (old.n_closed == 0)
    g_main_context_iteration (context, TRUE);
  return old.n_received == 100 && old.n_failed == 0 ? 0 : 4;
}

static void
test_no_watches (UsockTest *test,
                 gconstpointer data)
{
  pid_t pid = torture_fork (test, play_without_watches, NULL);
  int status;

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  if (WEXITSTATUS (status) == NO_SECCOMP)
    g_test_skip ("the kernel has no seccomp filters");
  else
    g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

int
main (int argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* First, while this process has no other threads. */
  usock_test_add ("/torture/faults/epoll_ctl", test_no_watches);
  for (guint i = 0; i < G_N_ELEMENTS (failing); i++)
    for (const int *errnum = failing[i].errnums; *errnum != 0; errnum++)
      {
        add_fault (failing[i].call, *errnum, 1, 0);
        add_fault (failing[i].call, *errnum, 2, 0);
        add_fault (failing[i].call, *errnum, 3, 3);
      }
  return g_test_run ();
}
