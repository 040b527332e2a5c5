/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool.h"

#define PIECE_SIZE (64 * 1024)

static char *text;
static gboolean is_writable;
static gboolean is_copied;
static ToolInput *input;

static const GOptionEntry entries[] = {
  { "text", 'T', 0, G_OPTION_ARG_FILENAME, &text,
    N_("What the message says; the name of the first file unless it is given"), N_("TEXT") },
  { "write", 'W', 0, G_OPTION_ARG_NONE, &is_writable, N_("Open the files for writing as well"), NULL },
  { "memfd", 0, 0, G_OPTION_ARG_NONE, &is_copied, N_("Pass a sealed copy in memory"), NULL },
  G_OPTION_ENTRY_NULL,
};

static void
connected_cb (UsockChannel *channel,
              const GError *error,
              gpointer      unused)
{
  if (channel != NULL)
    tool_pump (channel, input, TOOL_PUMP_SEND);
  else
    tool_stop_with (error);
}

static int
write_all (int         fd,
           const char *bytes,
           gsize       length)
{
  while (length > 0)
    {
      gssize result = write (fd, bytes, length);

      if (result < 0 && errno != EINTR)
        return -errno;
      bytes += MAX (result, 0);
      length -= MAX (result, 0);
    }

  return 0;
}

static int
copy_bytes (int from,
            int to)
{
  g_autofree char *piece = g_malloc (PIECE_SIZE);

  for (;;)
    {
      gssize length = read (from, piece, PIECE_SIZE);
      int result;

      if (length == 0)
        return 0;
      if (length < 0 && errno != EINTR)
        return -errno;
      result = write_all (to, piece, MAX (length, 0));
      if (result < 0)
        return result;
    }
}

/* Nobody who gets it can change it, or have it changed. */
static int
copy_sealed (int fd)
{
  int memfd = memfd_create ("usock", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  int result = memfd < 0 ? -errno : copy_bytes (fd, memfd);

  close (fd);
  if (result == 0
      && fcntl (memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
    result = -errno;
  if (result == 0)
    return memfd;

  if (memfd >= 0)
    close (memfd);
  return result;
}

static int
open_file (const char *path)
{
  const int flags = O_CLOEXEC | O_NOCTTY | (is_writable ? O_RDWR : O_RDONLY);
  int fd = strcmp (path, "-") == 0 ? fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open (path, flags);

  if (fd < 0)
    return -errno;

  return is_copied ? copy_sealed (fd) : fd;
}

static ToolStatus
open_files (char **paths)
{
  gsize n_files = g_strv_length (paths);
  g_autofree int *fds = g_new (int, n_files);

  for (gsize i = 0; i < n_files; i++)
    {
      fds[i] = open_file (paths[i]);
      if (fds[i] < 0)
        {
          tool_complain (_("could not open “%s”: %s"), paths[i], g_strerror (-fds[i]));
          return TOOL_FAILED;
        }
    }

  tool_input_set_fds (input, fds, n_files);
  return TOOL_DONE;
}

ToolStatus
tool_pass (int    argc,
           char **argv)
{
  const ToolTakes takes
      = TOOL_TAKES_TYPE | TOOL_TAKES_DATAGRAM | TOOL_TAKES_NAME | TOOL_TAKES_WAIT;
  ToolStatus status = tool_parse (takes, entries,
                                  N_("The FILE “-” is standard input itself, whatever it is."), &argc,
                                  &argv);
  char *texts[2] = { NULL, NULL };
  const char *place;

  if (status != TOOL_DONE)
    return status;
  if (!tool_take_place (&argc, &argv, &place))
    return TOOL_USAGE;
  if (argc < 2)
    return tool_fail_usage (_("a FILE is missing"));

  texts[0] = text != NULL ? text : argv[1];
  input = tool_input_new_for_texts (texts);
  status = open_files (argv + 1);
  if (status != TOOL_DONE)
    return status;

  tool_open (place, connected_cb, NULL);
  return tool_run ();
}
