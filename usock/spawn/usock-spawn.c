/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-spawn.h"

#include <errno.h>
#include <unistd.h>

#include "usock-channel-private.h"
#include "usock-compat-private.h"

/* usock-spawn: a child, and a channel to it.
 *
 * The child gets its end as a service gets a connection from the service manager: as descriptor 3,
 * and with variables that say so. One of them is the child's own process number, which is known
 * after the fork only, when nothing may be allocated any more. So all that it needs is made before,
 * with room for the digits; the child writes them, and executes the program itself, as the last of
 * what it is set up by. If that fails, GLib tries it once more, and tells why it fails. */

/* SD_LISTEN_FDS_START of sd_listen_fds(3). */
#define CHILD_FD 3

/* What systemd names the connection that it passes to a service of its own. */
#define CHILD_FD_NAME "connection"

#define PID_DIGITS 20
#define SHELL "/bin/sh"

typedef struct
{
  char *path; /* of the program; NULL if there is none */
  char *const *argv;
  char **script; /* the same for who has to read it */
  char **environment;
  char *pid; /* the digits in that */
} Child;

static char **
child_new_environment (void)
{
  static const char *const stale[] = { "LISTEN_PID", "LISTEN_PIDFDID" };
  g_autofree char *digits = g_strnfill (PID_DIGITS, '0');
  char **environment = g_get_environ ();

  for (guint i = 0; i < G_N_ELEMENTS (stale); i++)
    environment = g_environ_unsetenv (environment, stale[i]);
  environment = g_environ_setenv (environment, "LISTEN_FDS", "1", TRUE);
  environment = g_environ_setenv (environment, "LISTEN_FDNAMES", CHILD_FD_NAME, TRUE);
  return g_environ_setenv (environment, "LISTEN_PID", digits, TRUE);
}

static void
child_init (Child             *self,
            const char *const *argv)
{
  guint n_arguments = g_strv_length ((char **) argv);

  self->path = g_find_program_in_path (argv[0]);
  self->argv = (char *const *) argv;
  self->script = g_new0 (char *, n_arguments + 2);
  self->script[0] = (char *) SHELL;
  self->script[1] = self->path;
  memcpy (self->script + 2, argv + 1, n_arguments * sizeof (char *));
  self->environment = child_new_environment ();
  for (char **each = self->environment; *each != NULL; each++)
    if (g_str_has_prefix (*each, "LISTEN_PID="))
      self->pid = strchr (*each, '=') + 1;
}

static void
child_clear (Child *self)
{
  g_free (self->path);
  g_free (self->script);
  g_strfreev (self->environment);
}

/* In the child, between fork() and exec(): everything else is as it will be. */
static void
child_execute (gpointer user_data)
{
  Child *self = user_data;
  char *digit = self->pid + PID_DIGITS;

  if (self->path == NULL)
    return;

  for (guint64 rest = getpid (); digit > self->pid; rest /= 10)
    *--digit = '0' + rest % 10;
  while (*digit == '0')
    digit++;
  memmove (self->pid, digit, self->pid + PID_DIGITS + 1 - digit);

  execve (self->path, self->argv, self->environment);
  /* A script that does not say who reads it. */
  if (errno == ENOEXEC)
    execve (SHELL, self->script, self->environment);
}

/* GLib keeps the errno in a code of its own, and its text is not ours. */
static int
spawn_errno (const GError *cause)
{
  static const struct
  {
    int code;
    int errnum;
  } known[] = {
    { G_SPAWN_ERROR_ACCES, EACCES },   { G_SPAWN_ERROR_PERM, EPERM },
    { G_SPAWN_ERROR_TOO_BIG, E2BIG },  { G_SPAWN_ERROR_NOEXEC, ENOEXEC },
    { G_SPAWN_ERROR_NOENT, ENOENT },   { G_SPAWN_ERROR_NAMETOOLONG, ENAMETOOLONG },
    { G_SPAWN_ERROR_NOMEM, ENOMEM },   { G_SPAWN_ERROR_NOTDIR, ENOTDIR },
    { G_SPAWN_ERROR_LOOP, ELOOP },     { G_SPAWN_ERROR_TXTBUSY, ETXTBSY },
    { G_SPAWN_ERROR_IO, EIO },         { G_SPAWN_ERROR_NFILE, ENFILE },
    { G_SPAWN_ERROR_MFILE, EMFILE },   { G_SPAWN_ERROR_INVAL, EINVAL },
    { G_SPAWN_ERROR_ISDIR, EISDIR },   { G_SPAWN_ERROR_LIBBAD, ELIBBAD },
  };

  for (guint i = 0; i < G_N_ELEMENTS (known) && cause->domain == G_SPAWN_ERROR; i++)
    if (known[i].code == cause->code)
      return known[i].errnum;

  return 0;
}

static void
spawn_set_error (GError       **error,
                 const GError  *cause,
                 const char    *program)
{
  int errnum = spawn_errno (cause);

  if (errnum != 0)
    usock_error_set_errno (error, errnum, _("Could not start “%s”"), program);
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, _("Could not start “%s”: %s"), program,
                 cause->message);
}

/* Takes the child's end over in any case: none of it stays in this process. */
static GSubprocess *
spawn_child (const char *const  *argv,
             GSubprocessFlags    flags,
             int                 fd,
             const char         *program,
             GError            **error)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (flags);
  g_autoptr (GError) cause = NULL;
  GSubprocess *subprocess;
  Child child;

  child_init (&child, argv);
  g_subprocess_launcher_take_fd (launcher, fd, CHILD_FD);
  g_subprocess_launcher_set_child_setup (launcher, child_execute, &child, NULL);
  subprocess = g_subprocess_launcher_spawnv (launcher, argv, &cause);
  child_clear (&child);

  if (subprocess == NULL)
    spawn_set_error (error, cause, program);
  return subprocess;
}

/* The end of this process becomes the channel's. Returns the other one, or -1. */
static int
spawn_connect (UsockChannel  *channel,
               const char    *program,
               GError       **error)
{
  g_autofd int ours = -1;
  g_autofd int theirs = -1;
  int fds[2];
  int result = usock_io_pair (usock_channel_socket (channel)->type, fds);

  if (result == 0)
    {
      ours = fds[0];
      theirs = fds[1];
      /* A program that knows nothing of usock expects what socketpair(2) makes. */
      result = usock_io_set_nonblocking (theirs, FALSE);
    }
  if (result < 0)
    {
      usock_error_set_errno (error, -result, _("Could not start “%s”"), program);
      return -1;
    }

  usock_channel_socket (channel)->sealed = TRUE;
  usock_socket_set_label (usock_channel_socket (channel), program);
  if (!usock_channel_adopt (channel, ours, error))
    return -1;
  ours = -1;
  return g_steal_fd (&theirs);
}

/* Takes the new @channel over. */
static gpointer
spawn (UsockChannel         *channel,
       const char * const   *argv,
       GSubprocessFlags      flags,
       GSubprocess         **subprocess,
       GError              **error)
{
  g_autoptr (UsockChannel) owned = channel;
  g_autofree char *program = g_filename_display_name (argv[0]);
  int fd;

  if (argv[0][0] == '\0')
    {
      usock_error_set_errno (error, ENOENT, _("Could not start “%s”"), program);
      return NULL;
    }

  fd = spawn_connect (channel, program, error);
  if (fd == -1)
    return NULL;

  *subprocess = spawn_child (argv, flags, fd, program, error);
  if (*subprocess != NULL)
    return g_steal_pointer (&owned);

  usock_socket_close (USOCK_SOCKET (channel));
  return NULL;
}

/**
 * usock_seqpacket_spawn:
 * @argv: (array zero-terminated=1) (element-type filename): the program, which is looked for in
 *   `PATH` if it has no slash, and its arguments
 * @flags: what becomes of its standard input and output
 * @subprocess: (out) (transfer full): the child
 * @error: return location for an error
 *
 * Starts a program that has the other end of a channel.
 *
 * The child finds its end as a service finds a connection that the service manager has accepted for
 * it: it is descriptor 3, and `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`, which is
 * `connection`, say so. [ctor@Usock.Seqpacket.new_activated] takes it, and so does
 * sd_listen_fds(3). It blocks, for programs that know nothing else. No other descriptor of this
 * process but the standard ones gets there, unless `G_SUBPROCESS_FLAGS_INHERIT_FDS` wants it.
 *
 * When the child dies, the channel ends, as with any peer that goes; what it sent before is
 * delivered first. When the channel closes, the child sees the end: that it exits then is its own
 * affair. Errors of the channel name the program. Both ends were made by this process, so that is
 * what [method@Usock.Socket.get_peer_credentials] tells of, on either side; who has sent a message
 * [property@Usock.Channel:pass-credentials] tells.
 *
 * Descriptors are refused until [property@Usock.Channel:max-fds] lets them in. A child that sends
 * some should wait for a word until then.
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if there is no such program, `G_IO_ERROR_PERMISSION_DENIED` if
 * it may not be started, `G_IO_ERROR_TOO_MANY_OPEN_FILES`, and others of execve(2) and fork(2). No
 * child is left then.
 *
 * Returns: (transfer full): our end, a channel that is open
 *
 * Since: 1.0
 */
UsockSeqpacket *
usock_seqpacket_spawn (const char * const  *argv,
                       GSubprocessFlags     flags,
                       GSubprocess        **subprocess,
                       GError             **error)
{
  g_return_val_if_fail (argv != NULL && argv[0] != NULL, NULL);
  g_return_val_if_fail (subprocess != NULL, NULL);

  return spawn (USOCK_CHANNEL (usock_seqpacket_new ()), argv, flags, subprocess, error);
}

/**
 * usock_stream_spawn:
 * @argv: (array zero-terminated=1) (element-type filename): the program, which is looked for in
 *   `PATH` if it has no slash, and its arguments
 * @flags: what becomes of its standard input and output
 * @subprocess: (out) (transfer full): the child
 * @error: return location for an error
 *
 * Starts a program that has the other end of a stream, as [func@Usock.Seqpacket.spawn] does with a
 * channel of messages, and with the same errors. [ctor@Usock.Stream.new_activated] takes it there.
 *
 * Returns: (transfer full): our end, a stream that is open
 *
 * Since: 1.0
 */
UsockStream *
usock_stream_spawn (const char * const  *argv,
                    GSubprocessFlags     flags,
                    GSubprocess        **subprocess,
                    GError             **error)
{
  g_return_val_if_fail (argv != NULL && argv[0] != NULL, NULL);
  g_return_val_if_fail (subprocess != NULL, NULL);

  return spawn (USOCK_CHANNEL (usock_stream_new ()), argv, flags, subprocess, error);
}

/**
 * usock_peer_spawn:
 * @argv: (array zero-terminated=1) (element-type filename): the program, which is looked for in
 *   `PATH` if it has no slash, and its arguments
 * @flags: what becomes of its standard input and output
 * @subprocess: (out) (transfer full): the child
 * @error: return location for an error
 *
 * Starts a program to call and be called by, over a channel of messages that
 * [func@Usock.Seqpacket.spawn] gives it, and with the same errors. What there is to set on the
 * channel, such as [property@Usock.Channel:max-fds], is set on [property@Usock.Peer:channel].
 *
 * Returns: (transfer full): our end, whose channel is open
 *
 * Since: 1.0
 */
UsockPeer *
usock_peer_spawn (const char * const  *argv,
                  GSubprocessFlags     flags,
                  GSubprocess        **subprocess,
                  GError             **error)
{
  g_autoptr (UsockSeqpacket) channel = NULL;

  g_return_val_if_fail (argv != NULL && argv[0] != NULL, NULL);
  g_return_val_if_fail (subprocess != NULL, NULL);

  channel = usock_seqpacket_spawn (argv, flags, subprocess, error);
  return channel != NULL ? usock_peer_new (USOCK_CHANNEL (channel)) : NULL;
}
