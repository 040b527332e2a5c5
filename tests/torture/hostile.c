/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "hostile.h"

#include "torture.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>

#define N_SOCKETS 8
#define N_KINDS 7
#define LONGEST_REQUEST 3000
#define PATIENCE 20

typedef struct
{
  const Drama *play;
  int fds[N_SOCKETS];
  int kinds[N_KINDS + 1];
} Hostile;

static gint64
play_until (void)
{
  return g_get_monotonic_time () + HOSTILE_TIME;
}

/* Without the path of its own, a datagram socket has no name. */
static int
connect_raw (const Drama *play,
             int          flags,
             const char  *name)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, play->type | SOCK_CLOEXEC | flags, 0);

  if (name != NULL)
    {
      g_autofree char *own = g_build_filename (play->directory, name, NULL);

      unlink (own);
      g_strlcpy (address.sun_path, own, sizeof address.sun_path);
      bind (fd, (struct sockaddr *) &address, sizeof address);
    }
  g_strlcpy (address.sun_path, play->path, sizeof address.sun_path);
  if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
    return fd;

  close (fd);
  return -1;
}

void
hostile_listen (Drama *play)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  play->listener = socket (AF_UNIX, play->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  g_strlcpy (address.sun_path, play->path, sizeof address.sun_path);
  unlink (play->path);
  g_assert_no_errno (bind (play->listener, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (play->listener, 5));
}

static int
hostile_open (const Drama *play,
              guint32      hash)
{
  const char *names[] = { NULL, "hostile-1", "hostile-2" };

  if (play->listener != -1)
    return accept4 (play->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return connect_raw (play, SOCK_NONBLOCK, play->type == SOCK_DGRAM ? names[hash % 3] : NULL);
}

static void
hostile_start (Hostile     *self,
               const Drama *play)
{
  int pair[2];

  self->play = play;
  for (guint i = 0; i < N_SOCKETS; i++)
    self->fds[i] = -1;
  if (pipe (pair) != 0)
    _exit (2);
  self->kinds[0] = pair[0];
  self->kinds[1] = pair[1];
  self->kinds[2] = open (play->directory, O_RDONLY | O_DIRECTORY);
  self->kinds[3] = open (play->directory, O_PATH);
  self->kinds[4] = memfd_create ("hostile", 0);
  self->kinds[5] = epoll_create1 (0);
  self->kinds[6] = eventfd (0, 0);
}

static void
hostile_send (Hostile *self,
              int      fd,
              guint32  hash)
{
  static const gsize lengths[] = { 0, 1, 100, 5000, 70 * 1000, 200 * 1000, 300 * 1000 };
  static const int flags[] = { 0, 0, 0, MSG_OOB, MSG_EOR, MSG_MORE };
  gsize length = lengths[hash % G_N_ELEMENTS (lengths)];
  g_autofree char *data = g_malloc0 (length + 1);

  send (fd, data, length, MSG_NOSIGNAL | flags[hash / 16 % G_N_ELEMENTS (flags)]);
}

/* The last kind is the connection itself, which then keeps itself open. */
static void
hostile_send_fds (Hostile *self,
                  int      fd,
                  guint32  hash)
{
  static const guint counts[] = { 1, 2, HOSTILE_MAX_FDS, HOSTILE_MAX_FDS + 1, 253 };
  guint n = counts[hash % G_N_ELEMENTS (counts)];
  int fds[253];

  self->kinds[N_KINDS] = fd;
  for (guint i = 0; i < n; i++)
    fds[i] = self->kinds[sequence_hash (hash, i) % (N_KINDS + 1)];
  raw_send_fds (fd, "d", hash / 8 % 2, fds, n);
}

static void
hostile_act (Hostile *self,
             guint32  hash)
{
  guint i = hash % N_SOCKETS;
  int *fd = &self->fds[i];
  char buffer[10 * 1000];

  if (*fd < 0)
    {
      *fd = hostile_open (self->play, hash / 8);
      return;
    }

  switch (hash / N_SOCKETS % 16)
    {
    case 0:
      shutdown (*fd, hash / 128 % 3);
      break;
    case 1:
      close (*fd);
      *fd = -1;
      break;
    case 2:
    case 3:
      recv (*fd, buffer, sizeof buffer, 0);
      break;
    case 4:
    case 5:
    case 6:
      hostile_send_fds (self, *fd, hash / 128);
      break;
    default:
      hostile_send (self, *fd, hash / 128);
      break;
    }
}

int
hostile_play (const Drama *play)
{
  Hostile self;
  gint64 until = play_until ();

  hostile_start (&self, play);
  for (guint32 i = 0; g_get_monotonic_time () < until; i++)
    hostile_act (&self, sequence_hash (play->seed, i));
  return 0;
}

/* A stream may answer in pieces. */
static gboolean
ask (int     fd,
     guint32 seed,
     guint32 i)
{
  guint8 request[LONGEST_REQUEST + 1];
  guint8 answer[LONGEST_REQUEST + 1];
  gsize length = sequence_length (seed, i, LONGEST_REQUEST);
  gsize received = 0;

  sequence_fill (seed, i, request, length);
  if (send (fd, request, length, MSG_NOSIGNAL) != (gssize) length)
    return FALSE;
  while (received < length)
    {
      gssize n = recv (fd, answer + received, sizeof answer - received, 0);

      if (n <= 0)
        return FALSE;
      received += n;
    }

  return received == length && memcmp (request, answer, length) == 0;
}

int
hostile_play_polite (const Drama *play)
{
  struct timeval patience = { .tv_sec = PATIENCE };
  gint64 until = play_until ();
  guint32 i = 0;

  while (i == 0 || g_get_monotonic_time () < until)
    {
      int fd = connect_raw (play, 0, play->type == SOCK_DGRAM ? "polite" : NULL);

      if (fd < 0)
        return 3;
      setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
      for (guint end = i + 20; i < end; i++)
        if (!ask (fd, play->seed, i))
          return 4;
      close (fd);
    }

  return 0;
}
