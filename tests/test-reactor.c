/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "usock-test.h"
#include "usock-guest-private.h"
#include "usock-reactor-parts-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR (3600 * G_TIME_SPAN_SECOND)

typedef struct _Probe Probe;

/* An owner of a watch. */
struct _Probe
{
  UsockWatch watch;
  UsockReactor *reactor;
  int peer;
  int fd;

  guint n_dispatched;
  guint n_orphaned;
  guint n_asked;
  guint ready; /* all that ever was */
  gint64 dispatched_at;
  guint place; /* among all dispatches */
  gboolean wanted;
  gboolean keep_ready;

  void (*action) (Probe *self);
  gpointer data;
};

static guint n_dispatches;

static void
probe_dispatch (UsockWatch *watch)
{
  Probe *self = (Probe *) watch;

  self->n_dispatched++;
  self->ready |= watch->ready;
  self->dispatched_at = g_get_monotonic_time ();
  self->place = ++n_dispatches;
  if (!self->keep_ready)
    watch->ready = 0;
  if (self->action != NULL)
    self->action (self);
}

static gboolean
probe_wanted (UsockWatch *watch)
{
  Probe *self = (Probe *) watch;

  self->n_asked++;
  return self->wanted;
}

static void
probe_orphaned (UsockWatch *watch)
{
  Probe *self = (Probe *) watch;

  g_assert_false (watch->attached);
  self->n_orphaned++;
  if (self->action != NULL)
    self->action (self);
}

static const UsockWatchFuncs probe_funcs = {
  .dispatch = probe_dispatch,
  .wanted = probe_wanted,
  .orphaned = probe_orphaned,
};

static Probe *
probe_new_idle (void)
{
  Probe *self = g_new0 (Probe, 1);

  self->fd = self->peer = -1;
  self->reactor = usock_reactor_acquire ();
  g_assert_nonnull (self->reactor);
  usock_watch_init (&self->watch, self->reactor, &probe_funcs);
  usock_watch_attach (&self->watch);
  return self;
}

static Probe *
probe_new (void)
{
  Probe *self = probe_new_idle ();
  int pair[2];

  g_assert_cmpint (usock_io_pair (SOCK_SEQPACKET, pair), ==, 0);
  self->fd = pair[0];
  self->peer = pair[1];
  g_assert_cmpint (usock_watch_add_fd (&self->watch, self->fd), ==, 0);
  return self;
}

static void
probe_free (Probe *self)
{
  usock_watch_detach (&self->watch);
  if (self->fd != -1)
    close (self->fd);
  if (self->peer != -1)
    close (self->peer);
  usock_reactor_unref (self->reactor);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Probe, probe_free)

static void
probe_write (Probe *self)
{
  g_assert_cmpint (usock_io_send_data (self->peer, "x", 1), ==, 1);
}

/* Turns until there is nothing left to do, without waiting. */
static void
settle (UsockTest *test)
{
  guint n = 0;

  while (g_main_context_iteration (test->context, FALSE))
    g_assert_cmpuint (n++, <, 1000);
}

static void
test_one_for_each_context (UsockTest *test, gconstpointer data)
{
  UsockReactor *reactor = usock_reactor_acquire ();
  UsockReactor *same = usock_reactor_acquire ();
  g_autoptr (GMainContext) context = g_main_context_new ();
  UsockReactor *other;

  g_assert_true (same == reactor);
  g_main_context_push_thread_default (context);
  other = usock_reactor_acquire ();
  g_main_context_pop_thread_default (context);
  g_assert_true (other != reactor);
  g_assert_true (usock_reactor_is_usable (other));

  usock_reactor_unref (other);
  usock_reactor_unref (same);
  usock_reactor_unref (reactor);
}

/* That the source and the epoll are gone is checked at the end of each test. */
static void
test_comes_and_goes (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < 100; i++)
    {
      g_autoptr (Probe) probe = probe_new ();

      if (i % 2 == 0)
        {
          probe_write (probe);
          usock_test_wait_until (probe->n_dispatched == 1);
        }
    }
}

static void
test_no_descriptor_left (UsockTest *test, gconstpointer data)
{
  struct rlimit limit, none;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  none = limit;
  none.rlim_cur = 0;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  errno = 0;
  g_assert_null (usock_reactor_acquire ());
  g_assert_cmpint (errno, ==, EMFILE);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);

  probe_free (probe_new ());
}

static void
test_readable (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();

  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);

  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_IN);
  /* What was said once is the owner's to remember. */
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 1);

  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 2);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_IN);
}

static void
test_readable_before (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();

  usock_watch_remove_fd (&probe->watch);
  probe_write (probe);
  g_assert_cmpint (usock_watch_add_fd (&probe->watch, probe->fd), ==, 0);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_IN);
}

/* What the kernel tells in one event, none of it is lost. */
static void
test_events_together (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();

  settle (test);
  probe->n_dispatched = 0;
  probe_write (probe);
  usock_watch_want_writable (&probe->watch, TRUE);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_IN | USOCK_READY_OUT);

  probe->ready = 0;
  g_assert_no_errno (shutdown (probe->peer, SHUT_WR));
  usock_test_wait_until (probe->n_dispatched == 2);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_IN | USOCK_READY_OUT | USOCK_READY_HANGUP);
}

static void
test_writable (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();
  char byte;

  usock_watch_want_writable (&probe->watch, TRUE);
  usock_test_wait_until (probe->ready & USOCK_READY_OUT);

  while (usock_io_send_data (probe->fd, "x", 1) == 1)
    ;
  settle (test);
  probe->ready = 0;
  while (recv (probe->peer, &byte, 1, MSG_DONTWAIT) == 1)
    ;
  usock_test_wait_until (probe->ready & USOCK_READY_OUT);

  usock_watch_want_writable (&probe->watch, FALSE);
  settle (test);
  probe->n_dispatched = 0;
  while (usock_io_send_data (probe->fd, "x", 1) == 1)
    ;
  while (recv (probe->peer, &byte, 1, MSG_DONTWAIT) == 1)
    ;
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);
}

static void
test_hangup (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) half = probe_new ();
  g_autoptr (Probe) whole = probe_new ();

  g_assert_cmpint (shutdown (half->peer, SHUT_WR), ==, 0);
  usock_test_wait_until (half->n_dispatched == 1);
  g_assert_cmpuint (half->ready, ==, USOCK_READY_IN | USOCK_READY_HANGUP);

  close (g_steal_fd (&whole->peer));
  usock_test_wait_until (whole->n_dispatched > 0);
  g_assert_cmpuint (whole->ready & ~USOCK_READY_OUT, ==, USOCK_READY_IN | USOCK_READY_HANGUP);
  settle (test);
  g_assert_cmpuint (whole->n_dispatched, ==, 1);
}

static void
test_refused_fds (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();
  g_autoptr (Probe) other = probe_new_idle ();
  int file = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);

  g_assert_cmpint (usock_watch_add_fd (&other->watch, file), ==, -EPERM);
  g_assert_cmpint (usock_watch_add_fd (&other->watch, probe->fd), ==, -EEXIST);
  g_assert_cmpint (usock_watch_add_fd (&other->watch, -2), ==, -EBADF);
  g_assert_cmpint (other->watch.fd, ==, -1);
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpuint (other->n_dispatched, ==, 0);
  close (file);
}

/* As long as a copy lives, an epoll goes on reporting what was closed and not removed. */
static void
test_no_ghosts (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();
  int copy = dup (probe->fd);

  usock_watch_remove_fd (&probe->watch);
  close (g_steal_fd (&probe->fd));
  probe_write (probe);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);
  close (copy);
}

/* What was said of one descriptor must not be believed of the next. */
static void
test_removal_forgets (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();

  probe->keep_ready = TRUE;
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpuint (probe->watch.ready, ==, USOCK_READY_IN);
  usock_watch_remove_fd (&probe->watch);
  g_assert_cmpuint (probe->watch.ready, ==, 0);
  /* Nothing of it haunts: the epoll knows that it is gone. */
  g_assert_null (probe->reactor->ghosts);
}

static void
test_many_ready (UsockTest *test, gconstpointer data)
{
  Probe *probes[400];
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    probe_write (probes[i] = probe_new ());
  while (n < G_N_ELEMENTS (probes))
    {
      usock_test_iterate (usock_test_deadline (), "all of them");
      n = 0;
      for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
        n += probes[i]->n_dispatched;
    }
  settle (test);
  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    {
      g_assert_cmpuint (probes[i]->n_dispatched, ==, 1);
      probe_free (probes[i]);
    }
}

static void
test_wake (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) first = probe_new_idle ();
  g_autoptr (Probe) second = probe_new_idle ();

  usock_watch_wake (&second->watch);
  usock_watch_wake (&first->watch);
  usock_watch_wake (&second->watch);
  settle (test);
  g_assert_cmpuint (first->n_dispatched, ==, 1);
  g_assert_cmpuint (second->n_dispatched, ==, 1);
  g_assert_cmpuint (second->place, <, first->place);
  g_assert_cmpuint (first->ready, ==, 0);

  usock_watch_detach (&first->watch);
  usock_watch_wake (&first->watch);
  settle (test);
  g_assert_cmpuint (first->n_dispatched, ==, 1);
}

static gboolean
count_cb (gpointer data)
{
  guint *n = data;

  (*n)++;
  return G_SOURCE_CONTINUE;
}

static void
wake_again (Probe *self)
{
  usock_watch_wake (&self->watch);
}

/* A watch that always has something to do gets one turn in each round, like every other source. */
static void
test_fairness (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) busy = probe_new_idle ();
  g_autoptr (Probe) other = probe_new ();
  g_autoptr (GSource) source = g_timeout_source_new (0);
  guint n_called = 0;

  busy->action = wake_again;
  usock_watch_wake (&busy->watch);
  g_source_set_callback (source, count_cb, &n_called, NULL);
  g_source_attach (source, test->context);
  probe_write (other);

  for (guint i = 1; i <= 100; i++)
    {
      g_main_context_iteration (test->context, FALSE);
      g_assert_cmpuint (busy->n_dispatched, ==, i);
      g_assert_cmpuint (n_called, ==, i);
    }
  g_assert_cmpuint (other->n_dispatched, ==, 1);
  g_source_destroy (source);
}

static void
test_deadline_order (UsockTest *test, gconstpointer data)
{
  Probe *probes[200];
  gint64 now = g_get_monotonic_time ();
  guint last = 0;

  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    {
      probes[i] = probe_new_idle ();
      usock_watch_set_deadline (&probes[i]->watch, now + (i * 71 % 200) * 100);
    }
  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    usock_test_wait_until (probes[i]->n_dispatched == 1);

  /* 71 and 200 have no common divisor, so each moment is one probe's. */
  for (guint moment = 0; moment < G_N_ELEMENTS (probes); moment++)
    for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
      if (i * 71 % 200 == moment)
        {
          g_assert_cmpuint (probes[i]->ready, ==, USOCK_READY_DEADLINE);
          g_assert_cmpint (probes[i]->dispatched_at, >=, now + moment * 100);
          g_assert_cmpuint (probes[i]->place, >, last);
          g_assert_cmpint (probes[i]->watch.deadline, ==, -1);
          last = probes[i]->place;
        }
  settle (test);
  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    {
      g_assert_cmpuint (probes[i]->n_dispatched, ==, 1);
      probe_free (probes[i]);
    }
}

static void
rearm (Probe *self)
{
  if (self->n_dispatched < 5)
    usock_watch_set_deadline (&self->watch, self->dispatched_at + 1000);
}

static void
test_deadline_again (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_idle ();
  gint64 before = g_get_monotonic_time ();

  probe->action = rearm;
  usock_watch_set_deadline (&probe->watch, before + 1000);
  usock_test_wait_until (probe->n_dispatched == 5);
  g_assert_cmpint (g_get_monotonic_time () - before, >=, 5000);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 5);
}

static void
test_deadline_moves (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) sooner = probe_new_idle ();
  g_autoptr (Probe) later = probe_new_idle ();
  g_autoptr (Probe) never = probe_new_idle ();
  gint64 now = g_get_monotonic_time ();

  usock_watch_set_deadline (&sooner->watch, now + HOUR);
  usock_watch_set_deadline (&later->watch, now);
  usock_watch_set_deadline (&never->watch, now);
  usock_watch_set_deadline (&sooner->watch, now + 1);
  usock_watch_set_deadline (&later->watch, now + HOUR);
  usock_watch_set_deadline (&never->watch, -1);
  usock_test_wait_until (sooner->n_dispatched == 1);
  settle (test);
  g_assert_cmpuint (later->n_dispatched, ==, 0);
  g_assert_cmpuint (never->n_dispatched, ==, 0);

  usock_watch_set_deadline (&never->watch, now);
  usock_watch_detach (&never->watch);
  usock_watch_set_deadline (&never->watch, now);
  settle (test);
  g_assert_cmpuint (never->n_dispatched, ==, 0);
  g_assert_cmpint (never->watch.deadline, ==, -1);
}

/* The heap, against a list. Whose time has come is seen by where the far ones stay. */
static void
test_deadline_heap (UsockTest *test, gconstpointer data)
{
  Probe *probes[100];
  gint64 far = g_get_monotonic_time () + HOUR;

  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    probes[i] = probe_new_idle ();

  for (guint round = 0; round < 300; round++)
    {
      guint last = 0;
      GArray *due = g_array_new (FALSE, FALSE, sizeof (guint));

      for (guint n = 0; n < 200; n++)
        {
          Probe *probe = probes[g_test_rand_int_range (0, G_N_ELEMENTS (probes))];

          switch (g_test_rand_int_range (0, 4))
            {
            case 0:
              usock_watch_set_deadline (&probe->watch, -1);
              break;
            case 1:
              usock_watch_detach (&probe->watch);
              usock_watch_attach (&probe->watch);
              break;
            case 2:
              usock_watch_set_deadline (&probe->watch, far + g_test_rand_int_range (0, 1000));
              break;
            default:
              usock_watch_set_deadline (&probe->watch, 1 + g_test_rand_int_range (0, 1000));
            }
        }

      for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
        {
          probes[i]->n_dispatched = 0;
          probes[i]->data = GINT_TO_POINTER (probes[i]->watch.deadline);
          if (probes[i]->watch.deadline != -1 && probes[i]->watch.deadline < far)
            g_array_append_val (due, i);
        }
      settle (test);
      for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
        if (probes[i]->watch.deadline != -1)
          g_assert_cmpint (probes[i]->watch.deadline, >=, far);
      for (guint i = 0; i < due->len; i++)
        g_assert_cmpuint (probes[g_array_index (due, guint, i)]->n_dispatched, ==, 1);
      for (gint moment = 1; moment <= 1000; moment++)
        {
          guint highest = last;

          for (guint i = 0; i < due->len; i++)
            {
              Probe *probe = probes[g_array_index (due, guint, i)];

              if (GPOINTER_TO_INT (probe->data) != moment)
                continue;
              g_assert_cmpuint (probe->place, >, last);
              highest = MAX (highest, probe->place);
            }
          last = highest;
        }
      g_array_unref (due);
    }

  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    probe_free (probes[i]);
}

static gpointer
interrupt_thread (gpointer data)
{
  Probe *probe = data;

  for (guint i = 0; i < 5000; i++)
    {
      g_atomic_int_inc ((gint *) probe->data);
      usock_watch_interrupt (&probe->watch);
    }
  return NULL;
}

static void
note_count (Probe *self)
{
  self->n_asked = g_atomic_int_get ((gint *) self->data);
}

/* The last interrupt, at the latest, is seen after what was done before it. */
static void
test_interrupt (UsockTest *test, gconstpointer data)
{
  gint counts[3] = { 0 };
  Probe *probes[3];
  GThread *threads[6];

  for (guint i = 0; i < 3; i++)
    {
      probes[i] = probe_new_idle ();
      probes[i]->data = &counts[i];
      probes[i]->action = note_count;
    }
  for (guint i = 0; i < 6; i++)
    threads[i] = g_thread_new ("interrupt", interrupt_thread, probes[i % 3]);
  for (guint i = 0; i < 3; i++)
    {
      usock_test_wait_until (probes[i]->n_asked == 10000);
      g_assert_cmpuint (probes[i]->ready, ==, USOCK_READY_INTERRUPT);
    }
  for (guint i = 0; i < 6; i++)
    g_thread_join (threads[i]);
  settle (test);
  for (guint i = 0; i < 3; i++)
    probe_free (probes[i]);
}

static void
test_attach_again (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();
  guint before = probe->reactor->attached.length;

  usock_watch_attach (&probe->watch);
  g_assert_cmpuint (probe->reactor->attached.length, ==, before);
}

static void
write_to_other (Probe *self)
{
  self->action = NULL;
  probe_write (self->data);
  g_main_context_iteration (g_main_context_get_thread_default (), FALSE);
}

/* An event that comes while a watch waits for its turn adds to what it will be told. */
static void
test_interrupt_before_event (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) first = probe_new ();
  g_autoptr (Probe) second = probe_new ();

  settle (test);
  second->ready = 0;
  first->action = write_to_other;
  first->data = second;
  usock_watch_wake (&first->watch);
  usock_watch_interrupt (&second->watch);
  usock_test_wait_until (second->ready & USOCK_READY_IN);
  g_assert_true (second->ready & USOCK_READY_INTERRUPT);
}

/* Whoever cancels an operation does not know whether its owner has gone to sleep. */
static void
test_interrupt_detached (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) other = probe_new_idle ();

  for (guint i = 0; i < 3; i++)
    {
      Probe *probe = probe_new_idle ();

      if (i == 0)
        usock_watch_interrupt (&probe->watch);
      if (i < 2)
        usock_watch_detach (&probe->watch);
      if (i > 0)
        usock_watch_interrupt (&probe->watch);
      usock_watch_interrupt (&other->watch);
      if (i == 1)
        {
          settle (test);
          g_assert_cmpuint (probe->n_dispatched, ==, 0);
          usock_watch_interrupt (&probe->watch);
        }
      probe_free (probe);
      settle (test);
    }
  g_assert_cmpuint (other->n_dispatched, ==, 3);
}

static Probe *survivor;

static void
free_other (Probe *self)
{
  survivor = self;
  if (self->data != NULL)
    probe_free (g_steal_pointer (&self->data));
}

/* Whichever is first frees the other, that is ready too. */
static void
test_remove_neighbour (UsockTest *test, gconstpointer data)
{
  for (guint i = 0; i < 4; i++)
    {
      Probe *probes[2] = { probe_new (), probe_new () };
      guint n_before = n_dispatches;

      probes[0]->data = probes[1];
      probes[1]->data = probes[0];
      probes[0]->action = probes[1]->action = free_other;
      probe_write (probes[i & 1]);
      probe_write (probes[1 - (i & 1)]);
      if (i & 2)
        usock_watch_set_deadline (&probes[1]->watch, 1);
      settle (test);
      g_assert_cmpuint (n_dispatches, ==, n_before + 1);
      probe_free (survivor);
    }
}

static void
free_self (Probe *self)
{
  GMainContext *context = self->data;

  probe_free (self);
  if (context != NULL)
    while (g_main_context_iteration (context, FALSE))
      ;
}

static void
test_remove_self (UsockTest *test, gconstpointer data)
{
  for (guint nested = 0; nested < 2; nested++)
    for (guint others = 0; others < 2; others++)
      {
        Probe *probe = probe_new ();
        g_autoptr (Probe) other = others ? probe_new_idle () : NULL;
        guint n_before = n_dispatches;

        probe->action = free_self;
        probe->data = nested ? test->context : NULL;
        probe_write (probe);
        settle (test);
        g_assert_cmpuint (n_dispatches, ==, n_before + 1);
      }
}

static void
iterate_until_other (Probe *self)
{
  Probe *other = self->data;

  self->action = NULL;
  probe_write (other);
  usock_test_wait_until (other->n_dispatched >= 1);
}

static void
test_nested (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) outer = probe_new ();
  g_autoptr (Probe) middle = probe_new ();
  g_autoptr (Probe) inner = probe_new ();

  outer->action = middle->action = iterate_until_other;
  outer->data = middle;
  middle->data = inner;
  probe_write (outer);
  usock_test_wait_until (outer->n_dispatched >= 1);
  g_assert_cmpuint (inner->n_dispatched, >=, 1);
  g_assert_cmpuint (middle->n_dispatched, >=, 1);
}

static void
iterate_until_ready_again (Probe *self)
{
  self->action = NULL;
  usock_test_wait_until (self->n_dispatched >= 2);
}

/* It holds what it was told; a nested loop must not wait for it to be told again. */
static void
test_nested_has_more (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();

  probe->action = iterate_until_ready_again;
  probe->keep_ready = TRUE;
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched >= 2);
}

static void
remember (Probe *self)
{
  guint *order = self->data;

  order[0]++;
}

static void
test_orphaned (UsockTest *test, gconstpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_orphaned = 0;
  Probe *probes[5];

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 5; i++)
    {
      probes[i] = probe_new ();
      probes[i]->action = remember;
      probes[i]->data = &n_orphaned;
      probe_write (probes[i]);
    }
  usock_watch_set_deadline (&probes[0]->watch, 1);
  usock_watch_sample (&probes[1]->watch, TRUE);
  usock_watch_wake (&probes[2]->watch);
  usock_watch_interrupt (&probes[3]->watch);
  g_assert_true (usock_reactor_is_usable (probes[0]->reactor));
  g_main_context_pop_thread_default (context);
  g_clear_pointer (&context, g_main_context_unref);

  g_assert_cmpuint (n_orphaned, ==, 5);
  for (guint i = 0; i < 5; i++)
    {
      g_assert_cmpuint (probes[i]->n_orphaned, ==, 1);
      g_assert_cmpuint (probes[i]->n_dispatched, ==, 0);
      g_assert_cmpint (probes[i]->watch.fd, ==, -1);
      g_assert_false (usock_reactor_is_usable (probes[i]->reactor));
      /* Without effect, and without harm. */
      usock_watch_interrupt (&probes[i]->watch);
      usock_watch_wake (&probes[i]->watch);
      g_assert_cmpint (g_get_monotonic_time (), >, 0);
      probe_free (probes[i]);
    }
}

static void
orphan_frees_other (Probe *self)
{
  Probe *other = self->data;

  if (other != NULL)
    {
      g_assert_cmpuint (other->n_orphaned, ==, 0);
      other->data = NULL;
      probe_free (other);
    }
  self->data = NULL;
}

static void
test_orphaned_frees_other (UsockTest *test, gconstpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Probe *first, *second;

  g_main_context_push_thread_default (context);
  first = probe_new ();
  second = probe_new ();
  first->action = orphan_frees_other;
  first->data = second;
  g_main_context_pop_thread_default (context);
  g_clear_pointer (&context, g_main_context_unref);
  g_assert_cmpuint (first->n_orphaned, ==, 1);
  g_assert_null (first->data);
  probe_free (first);
}

static void
assert_child (pid_t pid)
{
  int status;

  g_assert_cmpint (pid, >, 0);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

/* The child lets go of everything; the parent gets what it would have got without a child. */
static void
test_fork (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();
  g_autoptr (Probe) resting = probe_new ();
  pid_t pid;

  probe_write (probe);
  usock_watch_rest (&resting->watch, TRUE);
  pid = fork ();
  if (pid == 0)
    {
      Probe *own;
      guint n = 0;

      alarm (60);
      if (usock_reactor_is_usable (probe->reactor))
        _exit (1);
      while (g_main_context_iteration (test->context, FALSE))
        if (n++ > 1000)
          _exit (2);
      if (probe->n_dispatched > 0)
        _exit (3);

      /* What it makes itself, it may use. */
      own = probe_new ();
      if (own->reactor == probe->reactor)
        _exit (4);
      probe_write (own);
      while (own->n_dispatched == 0)
        g_main_context_iteration (test->context, TRUE);
      probe_free (own);

      usock_watch_rest (&resting->watch, FALSE);
      usock_watch_want_writable (&probe->watch, TRUE);
      probe_free (g_steal_pointer (&resting));
      probe_free (g_steal_pointer (&probe));
      while (g_main_context_iteration (test->context, FALSE))
        ;
      _exit (0);
    }
  assert_child (pid);

  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_IN);
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 2);
  g_assert_cmpuint (resting->n_dispatched, ==, 0);
  usock_watch_rest (&resting->watch, FALSE);
  probe_write (resting);
  usock_test_wait_until (resting->n_dispatched == 1);
}

typedef struct
{
  Probe *probe;
  pid_t pid;
} Fork;

static gboolean
fork_cb (gpointer data)
{
  Fork *self = data;

  self->pid = fork ();
  if (self->pid > 0)
    assert_child (self->pid);
  return G_SOURCE_REMOVE;
}

/* What was ready before the fork is about to be dispatched in the child as well. */
static void
test_fork_in_dispatch (UsockTest *test, gconstpointer data)
{
  for (guint kind = 0; kind < 3; kind++)
    {
      g_autoptr (GSource) source = g_idle_source_new ();
      g_autoptr (Probe) probe = NULL;
      Fork forking = { 0 };

      g_source_set_priority (source, G_PRIORITY_DEFAULT);
      g_source_set_callback (source, fork_cb, &forking, NULL);
      g_source_attach (source, test->context);
      probe = probe_new ();
      if (kind == 0)
        probe_write (probe);
      else if (kind == 1)
        usock_watch_wake (&probe->watch);
      else
        usock_watch_interrupt (&probe->watch);

      g_main_context_iteration (test->context, FALSE);
      if (forking.pid == 0)
        {
          guint n = 0;

          while (g_main_context_iteration (test->context, FALSE))
            if (n++ > 1000)
              _exit (2);
          _exit (probe->n_dispatched);
        }
      usock_test_wait_until (probe->n_dispatched == 1);
    }
}

static void
test_sample (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_idle ();

  usock_watch_sample (&probe->watch, TRUE);
  usock_watch_sample (&probe->watch, TRUE);
  settle (test);
  g_assert_cmpuint (probe->n_asked, >=, 1);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);

  probe->wanted = TRUE;
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpuint (probe->ready, ==, 0);
  /* Found, it is asked no more. */
  probe->n_asked = 0;
  settle (test);
  g_assert_cmpuint (probe->n_asked, ==, 0);
  g_assert_cmpuint (probe->n_dispatched, ==, 1);

  usock_watch_sample (&probe->watch, TRUE);
  usock_watch_sample (&probe->watch, FALSE);
  settle (test);
  g_assert_cmpuint (probe->n_asked, ==, 0);

  usock_watch_detach (&probe->watch);
  usock_watch_sample (&probe->watch, TRUE);
  settle (test);
  g_assert_cmpuint (probe->n_asked, ==, 0);
}

static void
test_sample_many (UsockTest *test, gconstpointer data)
{
  Probe *probes[1000];
  guint n_asked = 0;

  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    {
      probes[i] = probe_new_idle ();
      usock_watch_sample (&probes[i]->watch, TRUE);
    }
  g_main_context_iteration (test->context, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    n_asked += probes[i]->n_asked;
  g_assert_cmpuint (n_asked, >, 0);
  g_assert_cmpuint (n_asked, <=, 64);

  /* No other event: the loop must look at the rest on its own. */
  probes[999]->wanted = TRUE;
  usock_test_wait_until (probes[999]->n_dispatched == 1);
  for (guint i = 0; i < G_N_ELEMENTS (probes) - 1; i++)
    {
      g_assert_cmpuint (probes[i]->n_dispatched, ==, 0);
      probe_free (probes[i]);
    }
  probe_free (probes[999]);
}

static void
test_rest (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();

  usock_watch_rest (&probe->watch, TRUE);
  usock_watch_rest (&probe->watch, TRUE);
  probe_write (probe);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);
  usock_watch_rest (&probe->watch, FALSE);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_IN);

  /* Somebody who waits for room does not rest. */
  usock_watch_rest (&probe->watch, TRUE);
  probe->ready = 0;
  usock_watch_want_writable (&probe->watch, TRUE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  usock_test_wait_until (probe->ready & USOCK_READY_OUT);
  usock_watch_rest (&probe->watch, TRUE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  usock_watch_want_writable (&probe->watch, FALSE);
  usock_watch_rest (&probe->watch, TRUE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_RESTING);

  usock_watch_remove_fd (&probe->watch);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_NOWHERE);
  g_assert_cmpint (usock_watch_add_fd (&probe->watch, probe->fd), ==, 0);
  probe->n_dispatched = 0;
  usock_test_wait_until (probe->n_dispatched >= 1);
  settle (test);
}

/* Where it cannot come back, its owner has to look, and tries again. */
static void
test_rest_fails (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();
  int fd = dup (probe->fd);

  usock_watch_rest (&probe->watch, TRUE);
  close (probe->fd);
  usock_watch_rest (&probe->watch, FALSE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_RESTING);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_IN);
  g_assert_cmpint (dup3 (fd, probe->fd, O_CLOEXEC), ==, probe->fd);
  usock_watch_rest (&probe->watch, FALSE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 2);
  close (fd);
}

/* So many that none is polled directly. */
#define CROWD 4

static void
crowd_gather (Probe *crowd[CROWD])
{
  for (guint i = 0; i < CROWD; i++)
    crowd[i] = probe_new ();
}

static void
crowd_leave (Probe *crowd[CROWD])
{
  for (guint i = 0; i < CROWD; i++)
    probe_free (crowd[i]);
}

/* A watch that has read to the end again and again. */
static Probe *
probe_new_level (void)
{
  Probe *self = probe_new ();

  usock_watch_set_level (&self->watch, TRUE);
  for (guint i = 1; !usock_watch_is_level (&self->watch); i++)
    {
      char byte;

      g_assert_cmpuint (i, <, 100);
      probe_write (self);
      usock_test_wait_until (self->n_dispatched == i);
      g_assert_cmpint (recv (self->fd, &byte, 1, 0), ==, 1);
    }
  self->n_dispatched = self->ready = 0;
  return self;
}

/* One of few, that is polled by the source itself. */
static Probe *
probe_new_direct (void)
{
  Probe *self = probe_new_level ();

  g_assert_cmpint (self->watch.place, ==, USOCK_PLACE_DIRECT);
  return self;
}

/* Keeps the context until the deadline of the probe is over, and then writes to it. */
static gboolean
be_slow (gpointer data)
{
  Probe *self = *(Probe **) data;

  if (self == NULL)
    return G_SOURCE_CONTINUE;

  while (g_get_monotonic_time () <= self->watch.deadline)
    ;
  probe_write (self);
  return G_SOURCE_REMOVE;
}

static void
check_late (UsockTest *test, Probe **probe, Probe *(*new_probe) (void))
{
  g_autoptr (GSource) slow = g_idle_source_new ();

  g_source_set_priority (slow, G_PRIORITY_DEFAULT);
  g_source_set_callback (slow, be_slow, probe, NULL);
  *probe = NULL;
  g_source_attach (slow, test->context);
  *probe = new_probe ();
  (*probe)->ready = (*probe)->n_dispatched = 0;

  usock_watch_set_deadline (&(*probe)->watch, g_get_monotonic_time () + 10 * 1000);
  usock_watch_wake (&(*probe)->watch);
  g_main_context_iteration (test->context, FALSE);
  g_assert_cmpuint ((*probe)->n_dispatched, ==, 1);
  g_assert_cmpuint ((*probe)->ready, ==, USOCK_READY_IN | USOCK_READY_DEADLINE);
  probe_free (*probe);
}

static void
test_direct_late (UsockTest *test, gconstpointer data)
{
  Probe *probe;

  check_late (test, &probe, probe_new_direct);
}

/* What is left unread is told again, and what is known is not. */
static void
test_direct (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_direct ();
  char byte;

  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);
  probe_write (probe);
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpint (recv (probe->fd, &byte, 1, 0), ==, 1);
  usock_test_wait_until (probe->n_dispatched == 2);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_IN);

  probe->keep_ready = TRUE;
  usock_test_wait_until (probe->n_dispatched == 3);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 3);
  g_assert_true (usock_watch_is_level (&probe->watch));
}

static void
test_direct_writable (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_direct ();

  usock_watch_want_writable (&probe->watch, TRUE);
  usock_test_wait_until (probe->n_dispatched > 0);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_OUT);
  usock_watch_want_writable (&probe->watch, FALSE);
  settle (test);
  probe->n_dispatched = 0;
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);
}

/* poll() would tell of it for ever. */
static void
test_direct_hangup (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_direct ();

  probe->keep_ready = TRUE;
  close (probe->peer);
  probe->peer = -1;
  usock_test_wait_until (probe->n_dispatched > 0);
  g_assert_true (probe->ready & USOCK_READY_HANGUP);
  settle (test);
  g_assert_false (usock_watch_is_level (&probe->watch));
  g_assert_cmpuint (probe->n_dispatched, <=, 2);
}

/* However often it is woken from then on. */
static void
test_direct_never_hung_up (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();

  usock_watch_set_level (&probe->watch, TRUE);
  probe->keep_ready = TRUE;
  close (g_steal_fd (&probe->peer));
  for (guint i = 0; i < 100; i++)
    {
      usock_watch_wake (&probe->watch);
      settle (test);
      g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
    }
  g_assert_cmpuint (probe->n_dispatched, <=, 101);
}

/* It comes back with what it waits for, and is alone again only after a while. */
static void
test_direct_returns (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_direct ();
  Probe *crowd[CROWD];

  usock_watch_want_writable (&probe->watch, TRUE);
  crowd_gather (crowd);
  crowd_leave (crowd);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  usock_test_wait_until (probe->ready & USOCK_READY_OUT);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  usock_watch_want_writable (&probe->watch, FALSE);
  for (guint i = 0; i < 30; i++)
    {
      usock_watch_wake (&probe->watch);
      settle (test);
    }
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_DIRECT);
}

/* One that cannot come back rests, is looked after, and tries again. */
static void
test_direct_cannot_return (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_direct ();
  int fd = fcntl (probe->fd, F_DUPFD_CLOEXEC, 3);

  close (probe->fd);
  usock_watch_set_level (&probe->watch, FALSE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_RESTING);
  g_assert_cmpuint (probe->watch.ready, ==, USOCK_READY_IN);
  g_assert_cmpint (dup3 (fd, probe->fd, O_CLOEXEC), ==, probe->fd);
  close (fd);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 1);
  usock_watch_rest (&probe->watch, FALSE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 2);
}

static void
test_direct_crowd (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_direct ();
  Probe *crowd[CROWD];

  probe_write (probe);
  crowd_gather (crowd);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  probe_write (crowd[0]);
  usock_test_wait_until (probe->n_dispatched == 1 && crowd[0]->n_dispatched == 1);
  crowd_leave (crowd);
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 2);
}

/* Three of them, and a fourth that is not read to the end, as a listener is not. Whoever goes first. */
static void
test_direct_several (UsockTest *test, gconstpointer data)
{
  Probe *probes[4] = { probe_new (), probe_new_direct (), probe_new_direct (), probe_new_direct () };

  for (guint i = 0; i < 4; i++)
    {
      probe_write (probes[i]);
      usock_test_wait_until (probes[i]->n_dispatched == 1);
    }
  g_assert_cmpint (probes[0]->watch.place, ==, USOCK_PLACE_EPOLL);
  for (guint i = 2; i < 5; i++)
    {
      Probe *last = probes[i % 4 == 0 ? 0 : i];

      probe_free (probes[i - 1]);
      probe_write (last);
      usock_test_wait_until (last->n_dispatched == 2);
    }
  probe_free (probes[0]);
}

/* What is polled directly needs no epoll, but who comes is seen there. */
static void
test_direct_newcomer (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_direct ();
  g_autoptr (Probe) other = NULL;

  settle (test);
  other = probe_new ();
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_DIRECT);
  probe_write (other);
  usock_test_wait_until (other->n_dispatched == 1);
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 1);
}

/* Among many: what is left unread is told again, as long as it is read at all. */
static void
test_level (UsockTest *test, gconstpointer data)
{
  Probe *crowd[CROWD];
  Probe *probe;
  char byte;

  crowd_gather (crowd);
  probe = probe_new_level ();
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_LEVEL);
  probe_write (probe);
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpint (recv (probe->fd, &byte, 1, 0), ==, 1);
  usock_test_wait_until (probe->n_dispatched == 2);
  g_assert_cmpint (recv (probe->fd, &byte, 1, 0), ==, 1);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 2);

  /* Nobody reads: it is told of once, and once more when the place changes. */
  probe->keep_ready = TRUE;
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 3);
  settle (test);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  g_assert_cmpuint (probe->n_dispatched, <=, 4);
  probe->n_dispatched = 0;
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);

  probe_free (probe);
  crowd_leave (crowd);
}

/* An epoll would tell of it for ever. */
static void
test_level_hangup (UsockTest *test, gconstpointer data)
{
  Probe *crowd[CROWD];
  Probe *probe;

  crowd_gather (crowd);
  probe = probe_new_level ();
  probe->keep_ready = TRUE;
  g_assert_cmpint (shutdown (probe->peer, SHUT_WR), ==, 0);
  usock_test_wait_until (probe->n_dispatched > 0);
  g_assert_true (probe->ready & USOCK_READY_HANGUP);
  settle (test);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  g_assert_cmpuint (probe->n_dispatched, <=, 2);
  probe_free (probe);
  crowd_leave (crowd);
}

/* Room is told of once, while it is waited for. */
static void
test_level_writable (UsockTest *test, gconstpointer data)
{
  Probe *crowd[CROWD];
  Probe *probe;

  crowd_gather (crowd);
  probe = probe_new_level ();
  usock_watch_want_writable (&probe->watch, TRUE);
  usock_test_wait_until (probe->n_dispatched > 0);
  g_assert_cmpuint (probe->ready, ==, USOCK_READY_OUT);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, <=, 2);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  usock_watch_want_writable (&probe->watch, FALSE);
  settle (test);
  probe->n_dispatched = 0;
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);
  probe_free (probe);
  crowd_leave (crowd);
}

/* It rests like any other, and is a beginner when it comes back. */
static void
test_level_rests (UsockTest *test, gconstpointer data)
{
  Probe *crowd[CROWD];
  Probe *probe;

  crowd_gather (crowd);
  probe = probe_new_level ();
  usock_watch_rest (&probe->watch, FALSE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_LEVEL);
  usock_watch_rest (&probe->watch, TRUE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_RESTING);
  probe_write (probe);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);
  usock_watch_rest (&probe->watch, FALSE);
  usock_test_wait_until (probe->n_dispatched == 1);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);

  usock_watch_set_level (&probe->watch, FALSE);
  for (guint i = 0; i < 30; i++)
    {
      usock_watch_wake (&probe->watch);
      settle (test);
    }
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  probe_free (probe);
  crowd_leave (crowd);
}

static void
test_level_leaves (UsockTest *test, gconstpointer data)
{
  Probe *crowd[CROWD];
  Probe *probe;

  crowd_gather (crowd);
  probe = probe_new_level ();
  probe_write (probe);
  usock_watch_set_level (&probe->watch, FALSE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  usock_test_wait_until (probe->n_dispatched == 1);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 1);
  probe_free (probe);
  crowd_leave (crowd);
}

/* Where the epoll does not take it, it stays what it is, is looked after, and tries again. */
static void
test_level_cannot_leave (UsockTest *test, gconstpointer data)
{
  Probe *crowd[CROWD];
  Probe *probe;
  int fd;

  crowd_gather (crowd);
  probe = probe_new_level ();
  fd = fcntl (probe->fd, F_DUPFD_CLOEXEC, 3);
  close (probe->fd);
  usock_watch_set_level (&probe->watch, FALSE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_LEVEL);
  g_assert_cmpuint (probe->watch.ready, ==, USOCK_READY_IN);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 1);
  g_assert_cmpint (dup3 (fd, probe->fd, O_CLOEXEC), ==, probe->fd);
  usock_watch_set_level (&probe->watch, FALSE);
  g_assert_cmpint (probe->watch.place, ==, USOCK_PLACE_EPOLL);
  g_assert_cmpuint (probe->watch.ready, ==, 0);
  close (fd);
  probe_free (probe);
  crowd_leave (crowd);
}

static void
test_direct_leaves (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_direct ();

  usock_watch_set_level (&probe->watch, FALSE);
  g_assert_false (usock_watch_is_level (&probe->watch));
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 1);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 1);
}

/* The child has a copy of the source, which must not wake it for what is its parent's. */
static void
test_direct_fork (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_direct ();
  pid_t child;
  int status;

  probe_write (probe);
  child = fork ();
  if (child == 0)
    {
      gboolean quiet = TRUE;

      for (guint i = 0; i < 10; i++)
        quiet &= !g_main_context_iteration (test->context, FALSE);
      _exit (quiet && probe->n_dispatched == 0 ? 0 : 1);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  usock_test_wait_until (probe->n_dispatched == 1);
}

/* Somebody else closes the descriptor, of which a copy lives: epoll tells of it for ever. */
static void
test_closed_behind (UsockTest *test, gconstpointer data)
{
  Probe *haunted = probe_new ();
  g_autoptr (Probe) witness = probe_new ();
  int copy = fcntl (haunted->fd, F_DUPFD_CLOEXEC, 3);
  int peer = haunted->peer;

  g_assert_cmpint (copy, >=, 0);
  close (haunted->fd);
  haunted->fd = haunted->peer = -1;
  probe_free (haunted);

  g_assert_cmpint (usock_io_send_data (peer, "x", 1), ==, 1);
  probe_write (witness);
  usock_test_wait_until (witness->n_dispatched == 1);
  settle (test);
  g_assert_cmpuint (witness->n_dispatched, ==, 1);
  close (peer);
  settle (test);
  close (copy);
}

/* What epoll tells of a descriptor that was closed behind our back is not believed; what it tells
 * of the next one is, though it is of the same watch. */
static void
test_ghost (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new ();
  int copy = fcntl (probe->fd, F_DUPFD_CLOEXEC, 3);
  int peer = g_steal_fd (&probe->peer);
  int pair[2];

  close (probe->fd);
  usock_watch_remove_fd (&probe->watch);
  g_assert_cmpint (usock_io_send_data (peer, "x", 1), ==, 1);
  settle (test);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);
  g_assert_cmpuint (probe->watch.ready, ==, 0);

  g_assert_cmpint (usock_io_pair (SOCK_SEQPACKET, pair), ==, 0);
  probe->fd = pair[0];
  probe->peer = pair[1];
  g_assert_cmpint (usock_watch_add_fd (&probe->watch, probe->fd), ==, 0);
  probe_write (probe);
  usock_test_wait_until (probe->n_dispatched == 1);
  close (peer);
  close (copy);
}

/* Who comes too late to a deadline is told of what came meanwhile, too. */
static void
test_deadline_late (UsockTest *test, gconstpointer data)
{
  Probe *probe;

  check_late (test, &probe, probe_new);
}

static void
let_go (Probe *self)
{
  if (self->n_dispatched < 3)
    usock_watch_set_deadline (&self->watch, self->dispatched_at + 1000);
  else
    usock_reactor_hold (self->reactor, -1);
}

static void
test_run_until_idle (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = NULL;

  usock_reactor_run_until_idle (test->context);
  probe = probe_new_idle ();
  usock_reactor_run_until_idle (test->context);
  g_assert_cmpuint (probe->n_dispatched, ==, 0);

  probe->action = let_go;
  usock_watch_set_deadline (&probe->watch, 1);
  usock_reactor_hold (probe->reactor, 1);
  usock_reactor_run_until_idle (test->context);
  g_assert_cmpuint (probe->n_dispatched, ==, 3);
}

static gboolean
later_cb (gpointer data)
{
  guint *n = data;

  (*n)++;
  return G_SOURCE_REMOVE;
}

static void
later_freed (gpointer data)
{
  guint *n = data;

  *n += 10;
}

static void
test_call_later (UsockTest *test, gconstpointer data)
{
  guint n = 0;

  usock_reactor_call_later (later_cb, &n, later_freed);
  g_assert_cmpuint (n, ==, 0);
  settle (test);
  g_assert_cmpuint (n, ==, 11);
}

static void
test_batches (UsockTest *test, gconstpointer data)
{
  UsockReactor *reactor = usock_reactor_acquire ();
  UsockIoBatch *small = usock_reactor_take_batch (reactor, 1000);
  UsockIoBatch *nested = usock_reactor_take_batch (reactor, 1000);
  UsockIoBatch *large;

  g_assert_true (nested != small);
  usock_reactor_give_batch (reactor, nested);
  usock_reactor_give_batch (reactor, small);
  large = usock_reactor_take_batch (reactor, 100000);
  g_assert_cmpuint (usock_io_batch_slot_size (large), >=, 100000);
  g_assert_true (large != small && large != nested);
  usock_reactor_give_batch (reactor, large);

  /* The large one serves the next, whatever it wants. */
  g_assert_true (usock_reactor_take_batch (reactor, 100000) == large);
  usock_reactor_give_batch (reactor, large);

  /* No more are kept than two, and those that came last. */
  g_assert_cmpuint (reactor->batches->len, ==, 2);
  g_assert_true (reactor->batches->pdata[0] == small && reactor->batches->pdata[1] == large);
  usock_reactor_unref (reactor);
}

/* Nested dispatches have each their own; the first that comes back is kept. */
static void
test_arrays (UsockTest *test, gconstpointer data)
{
  UsockReactor *reactor = usock_reactor_acquire ();
  GByteArray *first = usock_reactor_take_array (reactor);
  GByteArray *nested = usock_reactor_take_array (reactor);

  g_assert_nonnull (first);
  g_assert_nonnull (nested);
  g_assert_true (first != nested);
  usock_reactor_give_array (reactor, nested);
  usock_reactor_give_array (reactor, first);
  g_assert_true (usock_reactor_take_array (reactor) == nested);
  usock_reactor_give_array (reactor, nested);
  usock_reactor_unref (reactor);
}

/* The context sleeps until the deadline is over, not until shortly before. */
static void
test_deadline_rounded (UsockTest *test, gconstpointer data)
{
  g_autoptr (Probe) probe = probe_new_idle ();
  gint64 deadline = g_get_monotonic_time () + HOUR;
  int priority, timeout;
  GPollFD fds[8];

  usock_watch_set_deadline (&probe->watch, deadline);
  g_main_context_prepare (test->context, &priority);
  g_main_context_query (test->context, priority, &timeout, fds, G_N_ELEMENTS (fds));
  g_assert_cmpint (g_get_monotonic_time () + timeout * G_TIME_SPAN_MILLISECOND, >=, deadline);
  settle (test);
}

static void
run_in_thread (Probe *self)
{
  g_assert_true (g_thread_self () == self->data);
}

static gpointer
reactor_thread (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (Probe) probe = probe_new ();

      probe->action = run_in_thread;
      probe->data = g_thread_self ();
      probe_write (probe);
      usock_test_wait_until (probe->n_dispatched == 1);
    }
  g_main_context_pop_thread_default (context);
  return NULL;
}

/* Reactors come and go in several threads at once. */
static void
test_threads (UsockTest *test, gconstpointer data)
{
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("reactor", reactor_thread, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

static gpointer
get_access (gpointer reactor)
{
  return GINT_TO_POINTER (usock_reactor_get_access (reactor));
}

static UsockAccess
get_access_elsewhere (UsockReactor *reactor)
{
  return GPOINTER_TO_INT (g_thread_join (g_thread_new ("access", get_access, reactor)));
}

static gpointer
acquire (gpointer context)
{
  UsockReactor *reactor;

  g_main_context_push_thread_default (context);
  reactor = usock_reactor_acquire ();
  g_assert_cmpint (usock_reactor_get_access (reactor), ==, USOCK_ACCESS_GRANTED);
  g_main_context_pop_thread_default (context);
  g_assert_cmpint (usock_reactor_get_access (reactor), ==, USOCK_ACCESS_GRANTED);
  return reactor;
}

/* It is whose the context is; while that is nobody's, the maker's; and if that thread is gone, it is
 * for the first who comes, and then nobody else's. */
static void
test_access (UsockTest *test, gconstpointer data)
{
  GMainContext *context = g_main_context_new ();
  UsockReactor *reactor = g_thread_join (g_thread_new ("make", acquire, context));
  pid_t pid;

  g_assert_cmpint (usock_reactor_get_access (reactor), ==, USOCK_ACCESS_GRANTED);
  g_assert_cmpint (get_access_elsewhere (reactor), ==, USOCK_ACCESS_ELSEWHERE);
  g_assert_cmpint (usock_reactor_get_access (reactor), ==, USOCK_ACCESS_GRANTED);
  g_main_context_unref (context);
  g_assert_cmpint (usock_reactor_get_access (reactor), ==, USOCK_ACCESS_GONE);
  g_assert_cmpint (get_access_elsewhere (reactor), ==, USOCK_ACCESS_GONE);
  usock_reactor_unref (reactor);

  reactor = usock_reactor_acquire ();
  pid = fork ();
  if (pid == 0)
    _exit (usock_reactor_get_access (reactor) != USOCK_ACCESS_INHERITED);
  assert_child (pid);
  usock_reactor_unref (reactor);
}

static gpointer
iterate_once (gpointer context)
{
  g_main_context_iteration (context, FALSE);
  return NULL;
}

/* Whoever runs the context takes it over, and the maker has it back when nobody does any more. */
static void
test_access_of_runner (UsockTest *test, gconstpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  UsockReactor *reactor;

  g_main_context_push_thread_default (context);
  reactor = usock_reactor_acquire ();
  g_main_context_pop_thread_default (context);
  g_thread_join (g_thread_new ("run", iterate_once, context));
  g_assert_true (reactor->owner != usock_reactor_this_thread ());
  g_assert_cmpint (usock_reactor_get_access (reactor), ==, USOCK_ACCESS_GRANTED);
  g_assert_true (reactor->owner == usock_reactor_this_thread ());
  usock_reactor_unref (reactor);
}

static gpointer
release (gpointer reactor)
{
  usock_reactor_unref (reactor);
  return NULL;
}

/* Another thread that was the last leaves the rest to who runs the context; unless somebody asks
 * for the reactor again before that. */
static void
test_released_elsewhere (UsockTest *test, gconstpointer data)
{
  UsockReactor *reactor = usock_reactor_acquire ();
  GSource *source;

  g_thread_join (g_thread_new ("release", release, reactor));
  g_assert_true (usock_reactor_acquire () == reactor);
  settle (test);
  g_assert_true (usock_reactor_is_usable (reactor));

  usock_reactor_ref (reactor);
  g_thread_join (g_thread_new ("release", release, reactor));
  g_thread_join (g_thread_new ("release", release, reactor));
  source = g_source_ref (reactor->source);
  settle (test);
  g_assert_true (g_source_is_destroyed (source));
  g_source_unref (source);
  reactor = usock_reactor_acquire ();
  g_assert_cmpuint (reactor->ref_count, ==, 2);
  usock_reactor_unref (reactor);
}

static guint n_polls;

static gint
count_polls (GPollFD *fds, guint n_fds, gint timeout)
{
  n_polls++;
  return g_poll (fds, n_fds, timeout);
}

static gboolean
set_flag (gpointer flag)
{
  *(gboolean *) flag = TRUE;
  return G_SOURCE_REMOVE;
}

/* The loop of a forked child sleeps, whatever its parent's sockets have to tell. */
static void
check_child_sleeps (UsockTest *test)
{
  g_autoptr (GSource) alarm_clock = g_timeout_source_new (200);
  gboolean over = FALSE;

  g_source_set_callback (alarm_clock, set_flag, &over, NULL);
  g_source_attach (alarm_clock, test->context);
  g_main_context_set_poll_func (test->context, count_polls);
  n_polls = 0;
  while (!over)
    g_main_context_iteration (test->context, TRUE);
  _exit (n_polls > 20);
}

static void
test_fork_sleeps (UsockTest *test, gconstpointer data)
{
  for (guint kind = 0; kind < 3; kind++)
    {
      g_autoptr (Probe) probe = kind == 2 ? probe_new_direct () : probe_new ();
      pid_t pid;

      probe_write (probe);
      usock_watch_set_deadline (&probe->watch, g_get_monotonic_time ());
      usock_watch_interrupt (&probe->watch);
      pid = fork ();
      if (pid == 0)
        {
          if (kind == 1)
            probe_free (g_steal_pointer (&probe));
          check_child_sleeps (test);
        }
      assert_child (pid);
      usock_test_wait_until (probe->ready & USOCK_READY_IN);
    }
}

static gpointer
acquire_guest (gpointer context)
{
  g_assert_null (usock_guest_acquire (context, NULL));
  return NULL;
}

/* Where there is none, nobody is told of anything. */
static void
test_guests_counted (UsockTest *test, gconstpointer data)
{
  UsockGuest *guest;

  g_assert_cmpint (usock_guest_n_guests, ==, 0);
  g_thread_join (g_thread_new ("guest", acquire_guest, test->context));
  g_assert_cmpint (usock_guest_n_guests, ==, 0);
  guest = usock_guest_acquire (test->context, NULL);
  g_assert_cmpint (usock_guest_n_guests, ==, 1);
  g_object_unref (guest);
  g_assert_cmpint (usock_guest_n_guests, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/reactor/one-for-each-context", test_one_for_each_context);
  usock_test_add ("/usock/reactor/comes-and-goes", test_comes_and_goes);
  usock_test_add ("/usock/reactor/no-descriptor-left", test_no_descriptor_left);
  usock_test_add ("/usock/reactor/readable", test_readable);
  usock_test_add ("/usock/reactor/readable-before", test_readable_before);
  usock_test_add ("/usock/reactor/writable", test_writable);
  usock_test_add ("/usock/reactor/events-together", test_events_together);
  usock_test_add ("/usock/reactor/hangup", test_hangup);
  usock_test_add ("/usock/reactor/refused-fds", test_refused_fds);
  usock_test_add ("/usock/reactor/no-ghosts", test_no_ghosts);
  usock_test_add ("/usock/reactor/removal-forgets", test_removal_forgets);
  usock_test_add ("/usock/reactor/many-ready", test_many_ready);
  usock_test_add ("/usock/reactor/wake", test_wake);
  usock_test_add ("/usock/reactor/fairness", test_fairness);
  usock_test_add ("/usock/reactor/deadline-order", test_deadline_order);
  usock_test_add ("/usock/reactor/deadline-again", test_deadline_again);
  usock_test_add ("/usock/reactor/deadline-moves", test_deadline_moves);
  usock_test_add ("/usock/reactor/deadline-heap", test_deadline_heap);
  usock_test_add ("/usock/reactor/attach-again", test_attach_again);
  usock_test_add ("/usock/reactor/interrupt", test_interrupt);
  usock_test_add ("/usock/reactor/interrupt-before-event", test_interrupt_before_event);
  usock_test_add ("/usock/reactor/interrupt-detached", test_interrupt_detached);
  usock_test_add ("/usock/reactor/remove-neighbour", test_remove_neighbour);
  usock_test_add ("/usock/reactor/remove-self", test_remove_self);
  usock_test_add ("/usock/reactor/nested", test_nested);
  usock_test_add ("/usock/reactor/nested-has-more", test_nested_has_more);
  usock_test_add ("/usock/reactor/orphaned", test_orphaned);
  usock_test_add ("/usock/reactor/orphaned-frees-other", test_orphaned_frees_other);
  usock_test_add ("/usock/reactor/fork", test_fork);
  usock_test_add ("/usock/reactor/fork-in-dispatch", test_fork_in_dispatch);
  usock_test_add ("/usock/reactor/sample", test_sample);
  usock_test_add ("/usock/reactor/sample-many", test_sample_many);
  usock_test_add ("/usock/reactor/rest", test_rest);
  usock_test_add ("/usock/reactor/rest-fails", test_rest_fails);
  usock_test_add ("/usock/reactor/direct", test_direct);
  usock_test_add ("/usock/reactor/direct-writable", test_direct_writable);
  usock_test_add ("/usock/reactor/direct-hangup", test_direct_hangup);
  usock_test_add ("/usock/reactor/direct-crowd", test_direct_crowd);
  usock_test_add ("/usock/reactor/direct-several", test_direct_several);
  usock_test_add ("/usock/reactor/direct-newcomer", test_direct_newcomer);
  usock_test_add ("/usock/reactor/level", test_level);
  usock_test_add ("/usock/reactor/level-hangup", test_level_hangup);
  usock_test_add ("/usock/reactor/level-writable", test_level_writable);
  usock_test_add ("/usock/reactor/level-rests", test_level_rests);
  usock_test_add ("/usock/reactor/level-leaves", test_level_leaves);
  usock_test_add ("/usock/reactor/level-cannot-leave", test_level_cannot_leave);
  usock_test_add ("/usock/reactor/direct-leaves", test_direct_leaves);
  usock_test_add ("/usock/reactor/direct-fork", test_direct_fork);
  usock_test_add ("/usock/reactor/closed-behind", test_closed_behind);
  usock_test_add ("/usock/reactor/direct-never-hung-up", test_direct_never_hung_up);
  usock_test_add ("/usock/reactor/direct-returns", test_direct_returns);
  usock_test_add ("/usock/reactor/direct-cannot-return", test_direct_cannot_return);
  usock_test_add ("/usock/reactor/direct-late", test_direct_late);
  usock_test_add ("/usock/reactor/deadline-late", test_deadline_late);
  usock_test_add ("/usock/reactor/ghost", test_ghost);
  usock_test_add ("/usock/reactor/access", test_access);
  usock_test_add ("/usock/reactor/access-of-runner", test_access_of_runner);
  usock_test_add ("/usock/reactor/released-elsewhere", test_released_elsewhere);
  usock_test_add ("/usock/reactor/fork-sleeps", test_fork_sleeps);
  usock_test_add ("/usock/reactor/run-until-idle", test_run_until_idle);
  usock_test_add ("/usock/reactor/call-later", test_call_later);
  usock_test_add ("/usock/reactor/batches", test_batches);
  usock_test_add ("/usock/reactor/arrays", test_arrays);
  usock_test_add ("/usock/reactor/deadline-rounded", test_deadline_rounded);
  usock_test_add ("/usock/reactor/threads", test_threads);
  usock_test_add ("/usock/reactor/guests-counted", test_guests_counted);

  return g_test_run ();
}
