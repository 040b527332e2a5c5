/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* peer ROLE FD SIZE COUNT
 *
 * The other end of a script that is measured: blocking system calls, and nothing of the library. It
 * is the same for every program, and runs until the script hangs up. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK (64 * 1024)

static char buffer[2 * CHUNK];

static void
wait_for_end (int fd)
{
  while (recv (fd, buffer, sizeof buffer, 0) > 0)
    ;
}

static void
send_all (int fd,
          const char *data,
          size_t length)
{
  while (length > 0)
    {
      ssize_t sent = send (fd, data, length, MSG_NOSIGNAL);

      if (sent < 0)
        exit (0);
      data += sent;
      length -= sent;
    }
}

/* One message a call. */
static void
play_sender (int fd,
             size_t size,
             long count)
{
  for (long i = 0; i < count; i++)
    send_all (fd, buffer, size);
  wait_for_end (fd);
}

/* Lines of that size, many in a call. */
static void
play_writer (int fd,
             size_t size,
             long count)
{
  size_t n = CHUNK / size;

  for (size_t i = 1; i <= n; i++)
    buffer[i * size - 1] = '\n';
  for (; count > 0; count -= n)
    send_all (fd, buffer, size * (count < (long) n ? (size_t) count : n));
  wait_for_end (fd);
}

static void
play_echo (int fd)
{
  ssize_t length;

  while ((length = recv (fd, buffer, sizeof buffer, 0)) > 0)
    send_all (fd, buffer, length);
}

int
main (int argc,
      char **argv)
{
  if (argc != 5)
    return 2;

  int fd = atoi (argv[2]);
  size_t size = atol (argv[3]);
  long count = atol (argv[4]);

  if (size == 0 || size > CHUNK)
    return 2;
  memset (buffer, 'x', sizeof buffer);
  if (strcmp (argv[1], "send") == 0)
    play_sender (fd, size, count);
  else if (strcmp (argv[1], "write") == 0)
    play_writer (fd, size, count);
  else if (strcmp (argv[1], "echo") == 0)
    play_echo (fd);
  else if (strcmp (argv[1], "receive") == 0)
    wait_for_end (fd);
  else
    return 2;
  return 0;
}
