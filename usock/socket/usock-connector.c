/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-connector-private.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "usock-compat-private.h"

typedef struct
{
  UsockWatch watch;
  UsockConnector *connector;
  UsockName *name;
  int fd;
} Attempt;

struct _UsockConnector
{
  UsockWatch watch; /* the clock between the attempts */
  UsockConnectorPrepare prepare;
  UsockConnectorReady ready;
  UsockConnectorReady failed; /* or NULL */
  gpointer user_data;

  UsockName *local;
  GQueue waiting; /* names that were not tried yet */
  GQueue attempts;
  gboolean complete; /* no more names come */
  int last_family;
  gint64 next_at; /* 0: at once */
  gint64 delay;   /* how long one attempt has for itself */

  int winner;
  int winner_family;
  int errnum;
  UsockIoCall call;
  GArray *failures; /* of UsockConnectorFailure; each that there was */
};

static void
connector_nothing (UsockWatch *watch)
{
}

static gboolean
connector_never (UsockWatch *watch)
{
  return FALSE;
}

/* What a host answered tells more than that it did not, and this more than that it could not even
 * be asked. */
static guint
error_weight (int errnum)
{
  switch (errnum)
    {
    case 0:
      return 0;
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL:
      return 1;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
      return 2;
    case ETIMEDOUT:
      return 3;
    default:
      return 4;
    }
}

static int
name_get_family (const UsockName *name)
{
  return name->native.any.sa_family;
}

static void
failure_clear (UsockConnectorFailure *self)
{
  usock_name_free (self->name);
}

/* Takes the name over. */
static void
connector_note (UsockConnector *self,
                UsockName      *name,
                UsockIoCall     call,
                int             errnum)
{
  const UsockConnectorFailure failure = { name, call, errnum };

  g_array_append_val (self->failures, failure);
  if (self->failed != NULL)
    self->failed (self->user_data);
  self->next_at = 0;
  if (error_weight (errnum) <= error_weight (self->errnum))
    return;

  self->call = call;
  self->errnum = errnum;
}

static void
attempt_free (Attempt *self)
{
  usock_watch_detach (&self->watch);
  if (self->fd != -1)
    close (self->fd);
  g_clear_pointer (&self->name, usock_name_free);
  g_free (self);
}

static void
connector_win (UsockConnector *self,
               int             fd,
               int             family)
{
  self->winner = fd;
  self->winner_family = family;
  g_queue_clear_full (&self->attempts, (GDestroyNotify) attempt_free);
  g_queue_clear_full (&self->waiting, (GDestroyNotify) usock_name_free);
  usock_watch_set_deadline (&self->watch, -1);
}

static int
attempt_result (Attempt *self)
{
  int errnum = 0;
  int result = usock_io_get_option (self->fd, SOL_SOCKET, SO_ERROR, &errnum);

  if (result < 0 || errnum != 0)
    return result < 0 ? result : -errnum;
  if (usock_io_peer_is_missing (self->fd))
    return -EINPROGRESS;
  if (self->connector->local == NULL && usock_io_peer_is_self (self->fd))
    return -ECONNREFUSED;
  return 0;
}

/* What follows from it is the business of the clock. */
static void
attempt_dispatch (UsockWatch *watch)
{
  Attempt *self = (Attempt *) watch;
  UsockConnector *connector = self->connector;
  int result = attempt_result (self);

  watch->ready = 0;
  if (result == -EINPROGRESS)
    return;

  if (result == 0)
    {
      int fd = self->fd;

      usock_watch_remove_fd (watch);
      self->fd = -1;
      connector_win (connector, fd, name_get_family (self->name));
    }
  else
    {
      UsockName *name = g_steal_pointer (&self->name);

      g_queue_remove (&connector->attempts, self);
      attempt_free (self);
      connector_note (connector, name, USOCK_IO_CONNECT, -result);
    }
  usock_watch_wake (&connector->watch);
}

static const UsockWatchFuncs attempt_watch_funcs = {
  .dispatch = attempt_dispatch,
  .wanted = connector_never,
  .orphaned = connector_nothing,
};

/* Takes descriptor and name over if it succeeds. */
static int
connector_watch (UsockConnector *self,
                 int             fd,
                 UsockName      *name)
{
  Attempt *attempt = g_new0 (Attempt, 1);
  int result;

  attempt->connector = self;
  attempt->fd = fd;
  usock_watch_init (&attempt->watch, self->watch.reactor, &attempt_watch_funcs);
  usock_watch_attach (&attempt->watch);
  result = usock_watch_add_fd (&attempt->watch, fd);
  if (result < 0)
    {
      attempt->fd = -1;
      attempt_free (attempt);
      return result;
    }

  attempt->name = name;
  usock_watch_want_writable (&attempt->watch, TRUE);
  g_queue_push_tail (&self->attempts, attempt);
  return 0;
}

/* The system picks the port when it knows the other end, so that many may share one; and one that
 * was asked for may be used again while an old connection of it fades away. */
static int
connector_bind_fd (UsockConnector *self,
                   int             fd,
                   int             family)
{
  if (self->local == NULL)
    return 0;
  if (self->local->native.any.sa_family != family)
    return -EAFNOSUPPORT;

  usock_io_set_option (fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, TRUE);
  usock_io_set_option (fd, SOL_SOCKET, SO_REUSEADDR, TRUE);
  return usock_io_bind (fd, self->local);
}

/* Takes the name over if it succeeds. */
static int
connector_start (UsockConnector *self,
                 UsockName      *name,
                 UsockIoCall    *call)
{
  int family = name_get_family (name);
  g_autofd int fd = -1;
  int result;

  *call = USOCK_IO_SOCKET;
  fd = usock_io_socket (family, SOCK_STREAM, 0);
  if (fd < 0)
    return fd;

  *call = USOCK_IO_SET_OPTION;
  result = self->prepare (fd, self->user_data);
  if (result < 0)
    return result;

  *call = USOCK_IO_BIND;
  result = connector_bind_fd (self, fd, family);
  if (result < 0)
    return result;

  *call = USOCK_IO_CONNECT;
  result = usock_io_connect (fd, name);
  if (result == 0)
    {
      connector_win (self, g_steal_fd (&fd), family);
      usock_name_free (name);
      return 0;
    }
  if (result != -EINPROGRESS)
    return result;

  *call = USOCK_IO_NONE;
  result = connector_watch (self, fd, name);
  if (result == 0)
    fd = -1;
  return result;
}

/* The oldest of another family than the last, if there is one. */
static UsockName *
connector_next (UsockConnector *self)
{
  for (GList *link = self->waiting.head; link != NULL; link = link->next)
    {
      UsockName *name = link->data;

      if (name_get_family (name) != self->last_family)
        {
          g_queue_delete_link (&self->waiting, link);
          return name;
        }
    }

  return g_queue_pop_head (&self->waiting);
}

static gboolean
connector_is_decided (UsockConnector *self)
{
  return self->winner != -1
         || (self->complete && self->waiting.length == 0 && self->attempts.length == 0);
}

static void
connector_advance (UsockConnector *self)
{
  gint64 now = g_get_monotonic_time ();

  while (self->waiting.length > 0 && (self->attempts.length == 0 || now >= self->next_at))
    {
      UsockName *name = connector_next (self);
      UsockIoCall call;
      int result;

      self->last_family = name_get_family (name);
      self->next_at = now + self->delay;
      result = connector_start (self, name, &call);
      if (result < 0)
        connector_note (self, name, call, -result);
    }

  usock_watch_set_deadline (&self->watch, self->waiting.length > 0 ? self->next_at : -1);
  if (connector_is_decided (self))
    self->ready (self->user_data);
}

static void
connector_dispatch (UsockWatch *watch)
{
  watch->ready = 0;
  connector_advance ((UsockConnector *) watch);
}

static const UsockWatchFuncs connector_watch_funcs = {
  .dispatch = connector_dispatch,
  .wanted = connector_never,
  .orphaned = connector_nothing,
};

UsockConnector *
usock_connector_new (UsockReactor          *reactor,
                     UsockConnectorPrepare  prepare,
                     UsockConnectorReady    ready,
                     gpointer               user_data)
{
  UsockConnector *self = g_new0 (UsockConnector, 1);

  self->prepare = prepare;
  self->ready = ready;
  self->user_data = user_data;
  self->winner = -1;
  self->delay = USOCK_CONNECTOR_DELAY * G_GINT64_CONSTANT (1000);
  self->failures = g_array_new (FALSE, FALSE, sizeof (UsockConnectorFailure));
  g_array_set_clear_func (self->failures, (GDestroyNotify) failure_clear);
  usock_watch_init (&self->watch, reactor, &connector_watch_funcs);
  usock_watch_attach (&self->watch);
  return self;
}

/* Where each attempt comes from, if it is of that family. Takes @local over. */
void
usock_connector_bind (UsockConnector *self,
                      UsockName      *local)
{
  g_clear_pointer (&self->local, usock_name_free);
  self->local = local;
}

/* In milliseconds. */
void
usock_connector_set_delay (UsockConnector *self,
                           guint           delay)
{
  self->delay = delay * G_GINT64_CONSTANT (1000);
}

/* Takes @name over, and may try it at once. */
void
usock_connector_add (UsockConnector *self,
                     UsockName      *name)
{
  g_assert (!self->complete);

  if (self->winner != -1)
    {
      usock_name_free (name);
      return;
    }

  g_queue_push_tail (&self->waiting, name);
  connector_advance (self);
}

/* No more names come: when the last has failed, all have. */
void
usock_connector_finish (UsockConnector *self)
{
  self->complete = TRUE;
  connector_advance (self);
}

/* The descriptor that is connected, which is the caller's; -EINPROGRESS as long as there is none;
 * or why there never will be, -ENODATA if there was nobody to ask. */
int
usock_connector_take (UsockConnector *self,
                      int            *family,
                      UsockIoCall    *call)
{
  if (!connector_is_decided (self))
    return -EINPROGRESS;

  *family = self->winner_family;
  *call = self->call;
  if (self->winner != -1)
    return g_steal_fd (&self->winner);
  return self->errnum != 0 ? -self->errnum : -ENODATA;
}

/* What is called for each address that fails. */
void
usock_connector_set_failed (UsockConnector      *self,
                            UsockConnectorReady  failed)
{
  self->failed = failed;
}

/* In the order in which the addresses have failed; NULL behind the last so far. */
const UsockConnectorFailure *
usock_connector_get_failure (UsockConnector *self,
                             guint           index)
{
  return index < self->failures->len ? &g_array_index (self->failures, UsockConnectorFailure, index)
                                     : NULL;
}

void
usock_connector_free (UsockConnector *self)
{
  connector_win (self, self->winner, 0);
  usock_watch_detach (&self->watch);
  g_clear_pointer (&self->local, usock_name_free);
  g_array_unref (self->failures);
  if (self->winner != -1)
    close (self->winner);
  g_free (self);
}
