/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

Clock bench_clock;
const int *bench_idle;

static gint64
get_cpu (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC + usage.ru_utime.tv_usec
         + usage.ru_stime.tv_usec;
}

static gboolean clock_runs;

void
bench_clock_start (void)
{
  clock_runs = TRUE;
  bench_clock = (Clock){ .wall = -g_get_monotonic_time (), .cpu = -get_cpu () };
}

static void
clock_stop (void)
{
  if (!clock_runs)
    return;

  clock_runs = FALSE;
  bench_clock.wall += g_get_monotonic_time ();
  bench_clock.cpu += get_cpu ();
}

static void
pair_new (int *ours,
          int *theirs,
          int type)
{
  int fds[2];

  if (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
    g_error ("socketpair: %s", g_strerror (errno));
  *ours = fds[0];
  *theirs = fds[1];
}

static void
close_all (int *fds,
           guint n)
{
  for (guint i = 0; i < n; i++)
    close (fds[i]);
}

/* Where a process runs decides more than what it does, so it is not left to chance. */
static void
pin (gboolean last)
{
  static cpu_set_t allowed;
  cpu_set_t one;
  int cpu = -1;

  if (CPU_COUNT (&allowed) == 0 && sched_getaffinity (0, sizeof allowed, &allowed) < 0)
    return;
  for (int i = 0; i < CPU_SETSIZE && (cpu < 0 || last); i++)
    if (CPU_ISSET (i, &allowed))
      cpu = i;
  CPU_ZERO (&one);
  CPU_SET (cpu, &one);
  sched_setaffinity (0, sizeof one, &one);
}

G_GNUC_NORETURN static void
play (Peer *self,
      Role role,
      const Bench *bench,
      guint count,
      int fd,
      const int *idle,
      int control)
{
  char byte = 0;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  pin (!bench->share);
  close (self->fd);
  close (self->control);
  close_all (self->idle, self->n_idle);
  bench_idle = idle;
  if (read (control, &byte, 1) == 1)
    {
      double pace = role (fd, bench, count);

      if (write (control, &pace, sizeof pace) == sizeof pace)
        /* The idle connections stay until the measuring process hangs up. */
        while (read (control, &byte, 1) > 0)
          ;
    }
  _exit (0);
}

void
peer_start (Peer *self,
            Role role,
            const Bench *bench,
            guint count)
{
  g_autofree int *idle = g_new (int, bench->n_idle);
  int type = bench->type != 0 ? bench->type : SOCK_SEQPACKET;
  int fd, control;

  *self = (Peer){ .n_idle = bench->n_idle, .idle = g_new (int, bench->n_idle) };
  pair_new (&self->fd, &fd, type);
  pair_new (&self->control, &control, SOCK_STREAM);
  for (guint i = 0; i < bench->n_idle; i++)
    pair_new (&self->idle[i], &idle[i], type);

  pin (FALSE);
  self->pid = fork ();
  if (self->pid == 0)
    play (self, role, bench, count, fd, idle, control);

  close (fd);
  close (control);
  close_all (idle, bench->n_idle);
  /* A measurement that hangs says so, instead of keeping the machine for ever. */
  alarm (120);
}

void
peer_go (Peer *self)
{
  char byte = 0;

  bench_clock_start ();
  if (write (self->control, &byte, 1) != 1)
    g_error ("the peer is gone");
}

/* Waits until the peer has done its part, and returns its pace. */
double
peer_wait (Peer *self)
{
  double pace;

  if (read (self->control, &pace, sizeof pace) != sizeof pace)
    g_error ("the peer failed");
  clock_stop ();
  return pace;
}

void
peer_stop (Peer *self)
{
  clock_stop ();
  if (self->fd >= 0)
    close (self->fd);
  for (guint i = 0; i < self->n_idle; i++)
    if (self->idle[i] >= 0)
      close (self->idle[i]);
  g_free (self->idle);
  close (self->control);
  waitpid (self->pid, NULL, 0);
  alarm (0);
}

UsockChannel *
peer_adopt (int *fd)
{
  g_autoptr (GError) error = NULL;
  UsockSeqpacket *channel = usock_seqpacket_new_from_fd (*fd, &error);

  if (channel == NULL)
    g_error ("%s", error->message);
  *fd = -1;
  return USOCK_CHANNEL (channel);
}

GSocket *
peer_adopt_gsocket (int *fd)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new_from_fd (*fd, &error);

  if (socket == NULL)
    g_error ("%s", error->message);
  *fd = -1;
  g_socket_set_blocking (socket, FALSE);
  return socket;
}

/* The first stretch is not measured: it has the start in it. */
void
pace_start (Pace *self,
            guint count,
            guint step)
{
  *self = (Pace){
    .n_left = count,
    .step = MIN (step, MAX (count / 4, 1)),
    .n_begin = count,
    .best = G_MAXDOUBLE,
  };
}

void
pace_measure (Pace *self)
{
  gint64 now = g_get_monotonic_time ();
  guint n = self->n_begin - self->n_left;

  if (self->begin > 0)
    self->best = MIN (self->best, (now - self->begin) / (double) G_USEC_PER_SEC / n);
  self->begin = now;
  self->n_begin = self->n_left;
}

static void
check (gssize result,
       gsize expected)
{
  if (result != (gssize) expected)
    _exit (1);
}

double
role_send (int fd,
           const Bench *bench,
           guint count)
{
  for (guint i = 0; i < count; i++)
    check (send (fd, bench_payload, bench->size, MSG_NOSIGNAL), bench->size);
  return 0;
}

double
role_send_fds (int fd,
               const Bench *bench,
               guint count)
{
  union
  {
    struct cmsghdr header;
    char space[CMSG_SPACE (sizeof (int))];
  } control = { .header = { CMSG_LEN (sizeof (int)), SOL_SOCKET, SCM_RIGHTS } };
  struct iovec vector = { bench_payload, bench->size };
  struct msghdr message = {
    .msg_iov = &vector,
    .msg_iovlen = 1,
    .msg_control = &control,
    .msg_controllen = sizeof control,
  };

  memcpy (CMSG_DATA (&control.header), &fd, sizeof fd);
  for (guint i = 0; i < count; i++)
    check (sendmsg (fd, &message, MSG_NOSIGNAL), bench->size);
  return 0;
}

double
role_receive (int fd,
              const Bench *bench,
              guint count)
{
  Pace pace;

  pace_start (&pace, count, STRETCH_ONE_WAY);
  while (pace.n_left > 0)
    {
      check (recv (fd, bench_payload, bench->size, 0), bench->size);
      pace_count (&pace, 1);
    }
  return pace.best;
}

/* Whoever sleeps in recv() on a stream is also woken when what he sent is read, and for nothing: a
 * few microseconds that would be laid to who answers. poll() looks at what has happened. */
static void
wait_for_answer (int fd)
{
  struct pollfd readable = { fd, POLLIN, 0 };

  check (poll (&readable, 1, -1), 1);
}

static guint
take_answer (int fd,
             const Bench *bench)
{
  wait_for_answer (fd);
  check (recv (fd, bench_payload, bench->size, MSG_WAITALL), bench->size);
  return 1;
}

/* Asks on all that are busy, and asks again when all have answered. */
double
role_ping (int fd,
           const Bench *bench,
           guint count)
{
  for (guint i = 0; i < count;)
    {
      check (send (fd, bench_payload, bench->size, MSG_NOSIGNAL), bench->size);
      for (guint k = 0; k < bench->n_busy; k++)
        check (send (bench_idle[k], bench_payload, bench->size, MSG_NOSIGNAL), bench->size);
      i += take_answer (fd, bench);
      for (guint k = 0; k < bench->n_busy; k++)
        i += take_answer (bench_idle[k], bench);
    }
  return 0;
}
