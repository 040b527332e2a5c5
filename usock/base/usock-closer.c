/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-closer-private.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "usock-fork-private.h"

/* A thread that is stuck costs some tens of kilobytes. Above this, what comes has to wait. */
#define MAX_THREADS 256
#define STACK_SIZE (256 * 1024)

/* Of one owner, at the most; fewer where the process may open few descriptors. */
#define MAX_CLOSING 64

/* In microseconds: after which a descriptor counts as one that is stuck, how long a thread waits
 * for the next one, and how long a caller waits for what is closed as a rule in no time. */
#define STUCK_AFTER 1000
#define IDLE_FOR (5 * G_USEC_PER_SEC)
#define SETTLE_FOR 10000

/* What waiting in vain may cost altogether: a hundredth of the time, and a few times in a row. */
#define SPARE_PART 100
#define MOST_SPARE (3 * SETTLE_FOR)

typedef gpointer (*ThreadFunc) (gpointer data);

typedef struct
{
  int fd;
  UsockCloseFd close_fd;
} Task;

struct _UsockTally
{
  gatomicrefcount ref_count;

  guint generation; /* of forks */
  guint n_held;
  gboolean awaited;
  UsockTallyFunc fell;
  gpointer user_data;

  GQueue tasks;
  GList link;      /* in `ready` while there are tasks, in `busy` while one is done */
  guint n_closing; /* those of the tasks, and the one that is done */
  gboolean busy;
  gboolean behind;
  guint resume_at;
};

/* All of it, and all tallies, under the one lock. Nothing here takes long. */
static struct
{
  GMutex lock;
  GCond work;     /* there is something to do, or somebody may be stuck with it */
  GCond progress; /* for those who settle */
  GQueue ready;
  GQueue busy;
  guint n_closing;
  guint n_threads;
  guint n_starting;
  guint n_waiting;  /* threads that wait for work */
  guint n_watching; /* those among them that watch those at work */
  guint n_lively;   /* threads at work that are not known to be stuck */
  guint n_done;
  guint n_settling;
  gint64 spare;    /* for waiting in vain, in microseconds, as it was at spare_at */
  gint64 spare_at;
  guint generation; /* a new one each time that those at work are found to be stuck */
} closer;

static guint
count_allowed_fds (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == -1)
    return 64;
  return (guint) MIN (limit.rlim_cur, G_MAXINT);
}

static guint
max_closing (void)
{
  return CLAMP (count_allowed_fds () / 16, 1, MAX_CLOSING);
}

static void
closer_fork_lock (void)
{
  g_mutex_lock (&closer.lock);
}

/* The child has none of the threads. What they were at is closed already, or is none of its
 * business; what was still to be done is the child's to do as well, when it has a thread again. */
static void
closer_fork_forget (void)
{
  GList *link;

  g_cond_init (&closer.work);
  g_cond_init (&closer.progress);
  closer.n_threads = closer.n_starting = closer.n_waiting = closer.n_watching = 0;
  closer.n_lively = closer.n_settling = 0;

  while ((link = g_queue_pop_head_link (&closer.busy)) != NULL)
    {
      UsockTally *owner = link->data;

      owner->busy = FALSE;
      owner->n_closing--;
      closer.n_closing--;
      if (owner->tasks.length > 0)
        g_queue_push_tail_link (&closer.ready, link);
    }
}

static void
closer_fork_unlock (void)
{
  g_mutex_unlock (&closer.lock);
}

static const UsockForkFuncs closer_fork_funcs = {
  .lock = closer_fork_lock,
  .forget = closer_fork_forget,
  .unlock = closer_fork_unlock,
};

static void
closer_watch_forks (void)
{
  static gsize forks_watched = 0;

  if (!g_once_init_enter (&forks_watched))
    return;

  usock_fork_register (&closer_fork_funcs);
  g_once_init_leave (&forks_watched, 1);
}

/* Whoever it is may be the parent's, of whom a forked child has but the memory. */
static void
tally_tell (UsockTally *self)
{
  if (self->fell != NULL && self->generation == usock_fork_get_generation ())
    self->fell (self->user_data);
}

/* Of those at work: they are stuck. */
static void
closer_despair (void)
{
  closer.generation++;
  closer.n_lively = 0;
}

/* A thread that waits keeps an eye on those at work: when none of them gets anything done, they are
 * stuck, and it takes their place. Returns whether there is something to do. */
static gboolean
closer_await_work (void)
{
  gboolean lasts = TRUE;

  closer.n_waiting++;
  while (lasts && (closer.ready.length == 0 || closer.n_lively > 0))
    {
      gint64 now = g_get_monotonic_time ();
      guint n_done = closer.n_done;

      if (closer.ready.length == 0)
        {
          lasts = g_cond_wait_until (&closer.work, &closer.lock, now + IDLE_FOR)
                  || closer.ready.length > 0;
          continue;
        }

      closer.n_watching++;
      if (!g_cond_wait_until (&closer.work, &closer.lock, now + STUCK_AFTER)
          && n_done == closer.n_done)
        closer_despair ();
      closer.n_watching--;
    }
  closer.n_waiting--;

  return lasts;
}

static void
tally_closed_one (UsockTally *self)
{
  self->n_closing--;
  closer.n_closing--;
  closer.n_done++;
  if (closer.n_settling > 0)
    g_cond_broadcast (&closer.progress);

  if (!self->behind || self->n_closing > self->resume_at)
    return;
  self->behind = FALSE;
  tally_tell (self);
}

/* The program's signals are for the program's threads. */
static gboolean
closer_start_thread (ThreadFunc run)
{
  pthread_attr_t attributes;
  sigset_t all, before;
  pthread_t thread;
  int result;

  sigfillset (&all);
  pthread_attr_init (&attributes);
  pthread_attr_setdetachstate (&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize (&attributes, STACK_SIZE);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  result = pthread_create (&thread, &attributes, run, NULL);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  pthread_attr_destroy (&attributes);

  return result == 0;
}

/* While there is something to do, somebody waits: to do it, or to watch who does. */
static void
closer_staff (ThreadFunc run)
{
  if (closer.ready.length == 0)
    return;

  if (closer.n_waiting > 0)
    {
      if (closer.n_lively == 0 || closer.n_watching == 0)
        g_cond_signal (&closer.work);
    }
  else if (closer.n_starting == 0 && closer.n_threads < MAX_THREADS && closer_start_thread (run))
    {
      closer.n_threads++;
      closer.n_starting++;
    }
}

static void
closer_work (ThreadFunc run)
{
  GList *link = g_queue_pop_head_link (&closer.ready);
  UsockTally *owner = link->data;
  Task *task = g_queue_pop_head (&owner->tasks);
  guint generation = closer.generation;

  g_queue_push_tail_link (&closer.busy, link);
  owner->busy = TRUE;
  closer.n_lively++;
  closer_staff (run);
  g_mutex_unlock (&closer.lock);

  if (task->close_fd != NULL)
    task->close_fd (task->fd);
  else
    close (task->fd);
  g_free (task);

  g_mutex_lock (&closer.lock);
  if (generation == closer.generation)
    closer.n_lively--;
  owner->busy = FALSE;
  g_queue_unlink (&closer.busy, link);
  if (owner->tasks.length > 0)
    g_queue_push_tail_link (&closer.ready, link);
  tally_closed_one (owner);
  usock_tally_unref (owner);
}

static gpointer
closer_run (gpointer data)
{
  g_mutex_lock (&closer.lock);
  closer.n_starting--;
  while (closer_await_work ())
    closer_work (closer_run);
  closer.n_threads--;
  g_mutex_unlock (&closer.lock);
  return NULL;
}

/* @fell is called in whatever thread takes or closes a descriptor, and may only wake somebody. */
UsockTally *
usock_tally_new (UsockTallyFunc fell,
                 gpointer       user_data)
{
  UsockTally *self = g_new0 (UsockTally, 1);

  closer_watch_forks ();
  g_atomic_ref_count_init (&self->ref_count);
  self->generation = usock_fork_get_generation ();
  self->link.data = self;
  self->fell = fell;
  self->user_data = user_data;
  return self;
}

UsockTally *
usock_tally_ref (UsockTally *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
usock_tally_unref (UsockTally *self)
{
  if (g_atomic_ref_count_dec (&self->ref_count))
    g_free (self);
}

/* For who is told, and goes: afterwards nobody is. */
void
usock_tally_abandon (UsockTally *self)
{
  g_mutex_lock (&closer.lock);
  self->fell = NULL;
  g_mutex_unlock (&closer.lock);
  usock_tally_unref (self);
}

/* Of those that messages hold. */
void
usock_tally_change (UsockTally *self,
                    int         change)
{
  g_mutex_lock (&closer.lock);
  self->n_held += change;
  if (change < 0 && self->awaited)
    {
      self->awaited = FALSE;
      tally_tell (self);
    }
  g_mutex_unlock (&closer.lock);
}

/* If so, the next that leaves its message will be told. */
gboolean
usock_tally_reaches (UsockTally *self,
                     guint       limit)
{
  gboolean reached;

  g_mutex_lock (&closer.lock);
  reached = self->n_held >= limit;
  self->awaited = reached;
  g_mutex_unlock (&closer.lock);

  return reached;
}

guint
usock_tally_get_closing (UsockTally *self)
{
  guint n_closing;

  g_mutex_lock (&closer.lock);
  n_closing = self->n_closing;
  g_mutex_unlock (&closer.lock);

  return n_closing;
}

/* Whether so many of its descriptors wait to be closed that no more should come. If so, it will be
 * told when there are few again. Where many owners have some, together they may not use up what
 * the process can open; who has none waiting goes on. */
gboolean
usock_tally_is_behind (UsockTally *self)
{
  g_mutex_lock (&closer.lock);
  if (self->n_closing >= max_closing ())
    {
      self->behind = TRUE;
      self->resume_at = max_closing () / 2;
    }
  else if (self->n_closing > 0 && closer.n_closing >= count_allowed_fds () / 4)
    {
      self->behind = TRUE;
      self->resume_at = 0;
    }
  else
    self->behind = FALSE;
  g_mutex_unlock (&closer.lock);

  return self->behind;
}

/* Takes @fd over. Without an owner it is one of its own. Where no thread can be had at all, it is
 * closed here: to keep it would cost the process the number. */
void
usock_closer_push (UsockTally   *owner,
                   int           fd,
                   UsockCloseFd  close_fd)
{
  Task *task = g_new (Task, 1);

  *task = (Task) { fd, close_fd };
  owner = owner != NULL ? usock_tally_ref (owner) : usock_tally_new (NULL, NULL);

  g_mutex_lock (&closer.lock);
  g_queue_push_tail (&owner->tasks, task);
  owner->n_closing++;
  closer.n_closing++;
  if (!owner->busy && owner->tasks.length == 1)
    g_queue_push_tail_link (&closer.ready, &owner->link);

  closer_staff (closer_run);
  while (closer.n_threads == 0 && closer.ready.length > 0)
    closer_work (closer_run);
  g_mutex_unlock (&closer.lock);
}

static gint64
closer_get_spare (gint64 now)
{
  closer.spare = MIN (closer.spare + (now - closer.spare_at) / SPARE_PART, MOST_SPARE);
  closer.spare_at = now;
  return closer.spare;
}

/* Waits for what is closed in no time as a rule, so that then it is; but never long, and not at all
 * while there is something that takes its time: a stranger may have many of those. He may also let
 * each of his go as soon as it was waited for in vain, and pass the next; so that is rationed. */
void
usock_closer_settle (UsockTally *owner)
{
  gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&closer.lock);
  closer.n_settling++;
  while (owner->n_closing > 0 && closer.busy.length == closer.n_lively
         && closer_get_spare (now) >= SETTLE_FOR)
    if (!g_cond_wait_until (&closer.progress, &closer.lock, now + SETTLE_FOR))
      {
        closer.spare -= SETTLE_FOR;
        closer_despair ();
        break;
      }
  closer.n_settling--;
  g_mutex_unlock (&closer.lock);
}
