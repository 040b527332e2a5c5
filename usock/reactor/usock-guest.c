/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-guest-private.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "usock-error-private.h"
#include "usock-fork-private.h"

/* How often one turn dispatches, as long as there is something to do. Then it is the host's turn. */
#define DISPATCH_LIMIT 8

/* A time that is over. */
#define NOW 1

/**
 * UsockGuest:
 *
 * Lets a main loop that is not GLib's run a main context: that of asyncio,
 * libuv, or one that a program has written itself.
 *
 * The host waits until [method@Usock.Guest.get_fd] is readable, and then calls
 * [method@Usock.Guest.turn]. That is all: the descriptor stands for everything
 * that the context waits for, timeouts included, and nothing is polled in
 * between.
 *
 * ```c
 * struct pollfd host = { .fd = usock_guest_get_fd (guest), .events = POLLIN };
 *
 * while (running)
 *   if (poll (&host, 1, -1) > 0)
 *     usock_guest_turn (guest);
 * ```
 *
 * usock says by itself when there is something to do. What else a program adds
 * to the context from outside of a turn, with [func@GLib.timeout_add] for
 * example, GLib tells nobody of: call [method@Usock.Guest.stir] then.
 *
 * In Python the overrides do all this where asyncio runs.
 *
 * Since: 1.0
 */
struct _UsockGuest
{
  GObject parent_instance;

  guint generation; /* of the process that made it */
  GMainContext *context;
  GSource *source;
  int epoll_fd;
  int timer_fd;
  gint64 timer_at; /* in the monotonic clock; 0 for never */
  guint n_turning;

  GArray *asked;  /* of GPollFD: what the context polls */
  GArray *polled; /* of GPollFD: what the epoll has of it */
};

struct _UsockGuestClass
{
  GObjectClass parent_class;
};

G_DEFINE_TYPE (UsockGuest, usock_guest, G_TYPE_OBJECT)

typedef struct
{
  GSource parent;
  UsockGuest *guest; /* which destroys it */
} GuestSource;

gint usock_guest_n_guests;

static GMutex guests_lock;
static GHashTable *guests; /* GMainContext → UsockGuest, neither referenced */

static void
guests_fork_lock (void)
{
  g_mutex_lock (&guests_lock);
}

static void
guests_fork_unlock (void)
{
  g_mutex_unlock (&guests_lock);
}

/* A forked child's epoll and timer are its parent's. */
static void
guests_forget (void)
{
  g_hash_table_remove_all (guests);
  g_atomic_int_set (&usock_guest_n_guests, 0);
}

static const UsockForkFuncs guests_fork_funcs = {
  .lock = guests_fork_lock,
  .forget = guests_forget,
  .unlock = guests_fork_unlock,
};

static gboolean
guest_is_inherited (UsockGuest *self)
{
  return self->generation != usock_fork_get_generation ();
}

static gboolean
guest_is_at_home (UsockGuest *self)
{
  return !guest_is_inherited (self) && g_main_context_is_owner (self->context);
}

static gboolean
guest_is_stirred (UsockGuest *self)
{
  return self->timer_at == NOW;
}

/* A timer that has gone off stays readable until it is set anew. */
static void
guest_set_timer (UsockGuest *self,
                 gint64      at)
{
  struct itimerspec spec = { 0 };

  if (self->timer_at == at)
    return;

  spec.it_value.tv_sec = at / G_USEC_PER_SEC;
  spec.it_value.tv_nsec = at % G_USEC_PER_SEC * 1000;
  timerfd_settime (self->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
  self->timer_at = at;
}

/* Later than is asked for it may not go off; sooner, it costs a turn, and less than being set for
 * each new timeout. */
static void
guest_wait_for (UsockGuest *self,
                int         timeout)
{
  gint64 now = g_get_monotonic_time ();
  gint64 at = timeout < 0 ? 0 : MAX (now + timeout * G_TIME_SPAN_MILLISECOND, NOW);

  if ((self->timer_at != 0 && self->timer_at <= now)
      || (at != 0 && (self->timer_at == 0 || at < self->timer_at)))
    guest_set_timer (self, at);
}

static gboolean
epoll_set (UsockGuest    *self,
           int            operation,
           const GPollFD *asked)
{
  struct epoll_event event = { .events = asked->events };

  return epoll_ctl (self->epoll_fd, operation, asked->fd, &event) == 0;
}

/* Its number may have become another's since it was last asked for, which the epoll tells here. */
static gboolean
guest_poll_fd (UsockGuest    *self,
               const GPollFD *asked,
               gboolean       known)
{
  return epoll_set (self, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, asked)
         || epoll_set (self, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, asked);
}

static gboolean
array_has_fd (GArray *array,
              int     fd)
{
  for (guint i = 0; i < array->len; i++)
    if (g_array_index (array, GPollFD, i).fd == fd)
      return TRUE;

  return FALSE;
}

/* What cannot be in an epoll, a file for one, is always ready. */
static gboolean
guest_poll_all (UsockGuest *self)
{
  GArray *before = self->polled;
  gboolean complete = TRUE;

  for (guint i = 0; i < before->len; i++)
    {
      const GPollFD *old = &g_array_index (before, GPollFD, i);

      if (!array_has_fd (self->asked, old->fd))
        epoll_set (self, EPOLL_CTL_DEL, old);
    }
  for (guint i = 0; i < self->asked->len; i++)
    {
      const GPollFD *asked = &g_array_index (self->asked, GPollFD, i);

      complete &= guest_poll_fd (self, asked, array_has_fd (before, asked->fd));
    }

  self->polled = self->asked;
  self->asked = before;
  return complete;
}

static int
guest_ask (UsockGuest *self,
           int         priority)
{
  guint room = self->asked->len;
  int timeout, n;

  for (;;)
    {
      g_array_set_size (self->asked, room);
      n = g_main_context_query (self->context, priority, &timeout,
                                (GPollFD *) (gpointer) self->asked->data, (int) room);
      if (n <= (int) room)
        break;
      room = (guint) n;
    }

  g_array_set_size (self->asked, (guint) n);
  return timeout;
}

/* Whether the context has something to do there and then: what is ready has no time to wait. If not,
 * the descriptor will tell. */
static gboolean
guest_is_ready (UsockGuest *self)
{
  int priority, timeout;

  g_main_context_prepare (self->context, &priority);
  timeout = guest_ask (self, priority);
  if (timeout == 0)
    return TRUE;

  guest_wait_for (self, guest_poll_all (self) ? timeout : 0);
  return FALSE;
}

static void
guest_dispatch (UsockGuest *self)
{
  GPollFD *fds;
  int priority;

  g_main_context_prepare (self->context, &priority);
  guest_ask (self, priority);
  fds = (GPollFD *) (gpointer) self->asked->data;
  if (g_main_context_get_poll_func (self->context) (fds, self->asked->len, 0) < 0)
    for (guint i = 0; i < self->asked->len; i++)
      fds[i].revents = 0;

  if (g_main_context_check (self->context, priority, fds, (int) self->asked->len))
    g_main_context_dispatch (self->context);
}

/* What was dispatched may leave something to do, or bring it about. */
static gboolean
guest_run (UsockGuest *self)
{
  for (guint i = 0; i < DISPATCH_LIMIT; i++)
    {
      guest_dispatch (self);
      if (!guest_is_ready (self))
        return FALSE;
    }

  return TRUE;
}

/* In a turn its end sees to what comes of it. */
static gboolean
guest_source_prepare (GSource *source,
                      gint    *timeout)
{
  usock_guest_stir (((GuestSource *) source)->guest);
  *timeout = -1;
  return FALSE;
}

static gboolean
guest_source_dispatch (GSource     *source,
                       GSourceFunc  callback,
                       gpointer     user_data)
{
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs guest_source_funcs = {
  .prepare = guest_source_prepare,
  .dispatch = guest_source_dispatch,
};

static void
usock_guest_dispose (GObject *object)
{
  UsockGuest *self = USOCK_GUEST (object);

  g_mutex_lock (&guests_lock);
  if (self->context != NULL && g_hash_table_lookup (guests, self->context) == self)
    {
      g_hash_table_remove (guests, self->context);
      g_atomic_int_add (&usock_guest_n_guests, -1);
    }
  g_mutex_unlock (&guests_lock);

  if (self->source != NULL)
    {
      g_source_destroy (self->source);
      g_clear_pointer (&self->source, g_source_unref);
      g_main_context_release (self->context);
    }

  G_OBJECT_CLASS (usock_guest_parent_class)->dispose (object);
}

static void
usock_guest_finalize (GObject *object)
{
  UsockGuest *self = USOCK_GUEST (object);

  if (self->epoll_fd != -1)
    close (self->epoll_fd);
  if (self->timer_fd != -1)
    close (self->timer_fd);
  g_array_unref (self->asked);
  g_array_unref (self->polled);
  g_clear_pointer (&self->context, g_main_context_unref);

  G_OBJECT_CLASS (usock_guest_parent_class)->finalize (object);
}

static void
usock_guest_class_init (UsockGuestClass *class)
{
  G_OBJECT_CLASS (class)->dispose = usock_guest_dispose;
  G_OBJECT_CLASS (class)->finalize = usock_guest_finalize;
}

static void
usock_guest_init (UsockGuest *self)
{
  self->generation = usock_fork_get_generation ();
  self->epoll_fd = -1;
  self->timer_fd = -1;
  self->asked = g_array_new (FALSE, FALSE, sizeof (GPollFD));
  self->polled = g_array_new (FALSE, FALSE, sizeof (GPollFD));
}

static gboolean
guest_open (UsockGuest  *self,
            GError     **error)
{
  struct epoll_event event = { .events = EPOLLIN };

  self->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  self->timer_fd = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (self->epoll_fd != -1 && self->timer_fd != -1
      && epoll_ctl (self->epoll_fd, EPOLL_CTL_ADD, self->timer_fd, &event) == 0)
    return TRUE;

  usock_error_set_errno (error, errno, _("Could not wait for a main context"));
  return FALSE;
}

/* GLib wakes nobody for what another thread adds to a context that nobody owns. */
static gboolean
guest_attach (UsockGuest  *self,
              GError     **error)
{
  if (!g_main_context_acquire (self->context))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                           _("Could not wait for a main context: another thread runs it"));
      return FALSE;
    }

  self->source = g_source_new (&guest_source_funcs, sizeof (GuestSource));
  ((GuestSource *) self->source)->guest = self;
  g_source_set_static_name (self->source, "usock-guest");
  g_source_attach (self->source, self->context);
  usock_guest_stir (self);
  return TRUE;
}

/* The lock is held. */
static UsockGuest *
guests_find (GMainContext *context)
{
  UsockGuest *self = g_hash_table_lookup (guests, context);

  return self != NULL ? g_object_ref (self) : NULL;
}

/**
 * usock_guest_acquire:
 * @context: (nullable): a main context; %NULL for the thread's default one
 * @error: return location for an error
 *
 * Makes a main context the guest of another loop, which is to run it from now
 * on, in the thread that calls this. There is one guest for each context:
 * while it lives, all who ask get the same.
 *
 * The thread owns the context from then on, until the guest is gone: no other
 * can iterate it.
 *
 * Fails with `G_IO_ERROR_BUSY` if another thread runs the context, and with
 * `G_IO_ERROR_TOO_MANY_OPEN_FILES` if the two descriptors that it takes are not
 * there.
 *
 * Returns: (transfer full): the guest
 *
 * Since: 1.0
 */
UsockGuest *
usock_guest_acquire (GMainContext  *context,
                     GError       **error)
{
  static gsize forks_watched = 0;
  g_autoptr (GMainContext) own = context != NULL ? g_main_context_ref (context)
                                                 : g_main_context_ref_thread_default ();
  g_autoptr (UsockGuest) self = NULL;

  if (g_once_init_enter (&forks_watched))
    {
      guests = g_hash_table_new (NULL, NULL);
      usock_fork_register (&guests_fork_funcs);
      g_once_init_leave (&forks_watched, 1);
    }

  g_mutex_lock (&guests_lock);
  self = guests_find (own);
  g_mutex_unlock (&guests_lock);
  if (self != NULL)
    return g_steal_pointer (&self);

  self = g_object_new (USOCK_TYPE_GUEST, NULL);
  if (!guest_open (self, error))
    return NULL;

  self->context = g_steal_pointer (&own);
  if (!guest_attach (self, error))
    return NULL;

  g_mutex_lock (&guests_lock);
  g_hash_table_insert (guests, self->context, self);
  g_atomic_int_inc (&usock_guest_n_guests);
  g_mutex_unlock (&guests_lock);
  return g_steal_pointer (&self);
}

/**
 * usock_guest_get_fd:
 * @self: a guest
 *
 * Gets the descriptor that the host waits for. It is the guest's: it is only to
 * be polled, and goes with the guest.
 *
 * Returns: a descriptor, which is readable when a turn is due
 *
 * Since: 1.0
 */
gint
usock_guest_get_fd (UsockGuest *self)
{
  g_return_val_if_fail (USOCK_IS_GUEST (self), -1);

  return self->epoll_fd;
}

/**
 * usock_guest_turn:
 * @self: a guest
 *
 * Runs the context as long as there is something to do, but not for long: the
 * descriptor stays readable if something is left.
 *
 * Does nothing in another thread, and in a forked child.
 *
 * Since: 1.0
 */
void
usock_guest_turn (UsockGuest *self)
{
  gboolean more;

  g_return_if_fail (USOCK_IS_GUEST (self));

  if (!guest_is_at_home (self))
    return;

  g_object_ref (self);
  self->n_turning++;
  more = guest_run (self);
  self->n_turning--;

  if (more)
    usock_guest_stir (self);
  g_object_unref (self);
}

/**
 * usock_guest_look:
 * @self: a guest
 *
 * Asks the context what it waits for, so that the descriptor tells of all of
 * it. A host that does so whenever it is about to wait never has to call
 * [method@Usock.Guest.stir].
 *
 * Since: 1.0
 */
void
usock_guest_look (UsockGuest *self)
{
  g_return_if_fail (USOCK_IS_GUEST (self));

  if (self->n_turning > 0 || !guest_is_at_home (self) || guest_is_stirred (self))
    return;

  self->n_turning++;
  if (guest_is_ready (self))
    guest_set_timer (self, NOW);
  self->n_turning--;
}

/**
 * usock_guest_stir:
 * @self: a guest
 *
 * Has the host make a turn soon. To be called when something was added to the
 * context from outside of it; it costs little if a turn is due already.
 *
 * Since: 1.0
 */
void
usock_guest_stir (UsockGuest *self)
{
  g_return_if_fail (USOCK_IS_GUEST (self));

  if (self->n_turning == 0 && !guest_is_inherited (self))
    guest_set_timer (self, NOW);
}

void
usock_guest_stir_context (GMainContext *context)
{
  g_autoptr (UsockGuest) self = NULL;

  g_mutex_lock (&guests_lock);
  self = guests_find (context);
  g_mutex_unlock (&guests_lock);

  if (self != NULL)
    usock_guest_stir (self);
}
