/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

#include <poll.h>

/* A connection that was let in, from then until its `close` was emitted; it is in the list until it
 * is closed. Meanwhile it keeps itself alive; the reference is for servers whose context goes
 * first. */
typedef struct
{
  UsockServer *server;
  UsockChannel *channel;
  UsockPeer peer;
  GSequenceIter *place;
  GList unclaimed; /* linked while nobody has listened to it */
  gint64 gone_at;  /* since when its peer is gone, of those */
} Member;

static void
member_claim (Member *self)
{
  if (self->unclaimed.data == NULL)
    return;

  g_queue_unlink (&self->server->unclaimed, &self->unclaimed);
  self->unclaimed.data = NULL;
}

static void
member_free (Member *self)
{
  member_claim (self);
  g_object_unref (self->channel);
  g_free (self);
}

gboolean
usock_server_is_observed (UsockServer *self)
{
  static gsize signal = 0;

  if (g_once_init_enter (&signal))
    g_once_init_leave (&signal, g_signal_lookup ("items-changed", G_TYPE_LIST_MODEL));

  return g_signal_has_handler_pending (self, signal, 0, FALSE);
}

/* By name, it would have to be looked up for each that comes and goes. */
static void
server_notify_n_connections (UsockServer *self)
{
  static gsize n_connections = 0;

  if (g_once_init_enter (&n_connections))
    g_once_init_leave (&n_connections, (gsize) g_object_class_find_property (
                                           G_OBJECT_GET_CLASS (self), "n-connections"));

  g_object_notify_by_pspec (G_OBJECT (self), (GParamSpec *) n_connections);
}

static void
server_tell_change (UsockServer *self,
                    gboolean     is_observed,
                    guint        position,
                    guint        n_removed,
                    guint        n_added)
{
  if (is_observed)
    g_list_model_items_changed (G_LIST_MODEL (self), position, n_removed, n_added);
  server_notify_n_connections (self);
}

/* Also one that was refused. With its descriptor there may be room for another. */
static void
server_note_told (UsockServer *self)
{
  self->n_unclosed--;
  usock_server_wake (self, self->retry_delay > 0);
}

static void
stranger_closed (UsockSocket *channel,
                 gpointer     self)
{
}

static void
stranger_told (UsockSocket *channel,
               gpointer     self)
{
  server_note_told (self);
}

static const UsockSocketOwner stranger_funcs = { stranger_closed, stranger_told };

/* One that may still be refused: the server waits for its end, too. */
void
usock_server_note_opened (UsockServer  *self,
                          UsockChannel *channel)
{
  self->n_unclosed++;
  usock_socket_set_owner (USOCK_SOCKET (channel), &stranger_funcs, self);
}

/* Before anybody is told, so that the list is right for who asks it then. */
static void
member_closed (UsockSocket *channel,
               gpointer     data)
{
  Member *self = data;
  UsockServer *server = self->server;
  gboolean is_observed = usock_server_is_observed (server);
  guint position = is_observed ? g_sequence_iter_get_position (self->place) : 0;

  usock_socket_set_owner (channel, &stranger_funcs, server);
  usock_server_count (server, &self->peer, -1);
  g_sequence_remove (self->place);
  member_free (self);
  server_tell_change (server, is_observed, position, 1, 0);
}

static const UsockSocketOwner member_funcs = { member_closed, NULL };

/* In the main context, as everything that changes the list. */
void
usock_server_enter (UsockServer     *self,
                    UsockChannel    *channel,
                    const UsockPeer *peer)
{
  Member *member = g_new0 (Member, 1);

  if (self->members == NULL)
    self->members = g_sequence_new (NULL);

  member->server = self;
  member->channel = g_object_ref (channel);
  member->peer = *peer;
  member->place = g_sequence_append (self->members, member);
  member->unclaimed.data = member;
  g_queue_push_tail_link (&self->unclaimed, &member->unclaimed);
  usock_socket_set_owner (USOCK_SOCKET (channel), &member_funcs, member);
  if (self->unclaimed_at == 0)
    usock_server_plan_claims (self);

  server_tell_change (self, usock_server_is_observed (self),
                      g_sequence_get_length (self->members) - 1, 0, 1);
}

/* When to look next at those whom nobody has listened to. */
void
usock_server_plan_claims (UsockServer *self)
{
  self->unclaimed_at = 0;
  if (self->unclaimed.length > 0 && self->unclaimed_timeout > 0)
    self->unclaimed_at = g_get_monotonic_time ()
                         + (self->unclaimed_timeout / 4 + 1) * G_GINT64_CONSTANT (1000);
  usock_server_schedule (self);
}

/* A peer that has ended may still wait for an answer; one that is gone does not. TCP does not tell
 * the one from the other. */
static gboolean
member_is_deserted (Member *self)
{
  UsockSocket *socket = USOCK_SOCKET (self->channel);
  struct pollfd poll = { .fd = socket->fd, .events = POLLRDHUP };

  if (socket->fd == -1 || usock_io_poll (&poll, 1, 0) <= 0)
    return FALSE;

  return (poll.revents & (POLLHUP | POLLERR)) != 0
         || (socket->family != AF_UNIX && (poll.revents & POLLRDHUP) != 0);
}

static void
member_give_up (Member *self)
{
  UsockSocket *socket = USOCK_SOCKET (self->channel);

  member_claim (self);
  usock_socket_fail (socket,
                     g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                  _("Nobody listened to a connection to “%s”, and its peer is gone"),
                                  usock_channel_peer (self->channel)));
}

static void
member_check_claim (Member *self,
                    gint64  now)
{
  const gint64 timeout = self->server->unclaimed_timeout * G_GINT64_CONSTANT (1000);

  if (usock_channel_is_claimed (self->channel))
    member_claim (self);
  else if (!member_is_deserted (self))
    self->gone_at = 0;
  else if (self->gone_at == 0)
    self->gone_at = now;
  else if (now - self->gone_at >= timeout)
    member_give_up (self);
}

/* Nothing here runs foreign code: to close a channel only wakes it. */
void
usock_server_check_claims (UsockServer *self)
{
  GList *next;

  for (GList *link = self->unclaimed.head; link != NULL; link = next)
    {
      next = link->next;
      member_check_claim (link->data, g_get_monotonic_time ());
    }
  usock_server_plan_claims (self);
}

guint
usock_server_count_members (UsockServer *self)
{
  return self->members != NULL ? g_sequence_get_length (self->members) : 0;
}

/* For those who call foreign code meanwhile. */
GPtrArray *
usock_server_list_channels (UsockServer *self)
{
  GPtrArray *channels = g_ptr_array_new_with_free_func (g_object_unref);
  GSequenceIter *iter;

  if (self->members == NULL)
    return channels;

  for (iter = g_sequence_get_begin_iter (self->members); !g_sequence_iter_is_end (iter);
       iter = g_sequence_iter_next (iter))
    g_ptr_array_add (channels, g_object_ref (((Member *) g_sequence_get (iter))->channel));
  return channels;
}

/* Without a word: the context is gone, or the server. */
void
usock_server_forget_all (UsockServer *self)
{
  GSequenceIter *iter;

  if (self->members == NULL)
    return;

  while (!g_sequence_iter_is_end (iter = g_sequence_get_begin_iter (self->members)))
    {
      Member *member = g_sequence_get (iter);

      g_sequence_remove (iter);
      usock_socket_set_owner (USOCK_SOCKET (member->channel), NULL, NULL);
      member_free (member);
    }
  g_clear_pointer (&self->members, g_sequence_free);
}

static GType
usock_server_get_item_type (GListModel *model)
{
  return USOCK_TYPE_CHANNEL;
}

static guint
usock_server_get_n_items (GListModel *model)
{
  return usock_server_count_members (USOCK_SERVER (model));
}

static gpointer
usock_server_get_item (GListModel *model,
                       guint       position)
{
  Member *member;

  usock_socket_return_val_if_not_ours (model, NULL);

  if (position >= usock_server_get_n_items (model))
    return NULL;

  member = g_sequence_get (g_sequence_get_iter_at_pos (USOCK_SERVER (model)->members, position));
  return g_object_ref (member->channel);
}

void
usock_server_model_init (GListModelInterface *iface)
{
  iface->get_item_type = usock_server_get_item_type;
  iface->get_n_items = usock_server_get_n_items;
  iface->get_item = usock_server_get_item;
}

/**
 * usock_server_get_unclaimed_timeout: (get-property unclaimed-timeout)
 * @self: a server
 *
 * Gets for how long a connection is kept that nobody has ever listened to once
 * its peer is gone.
 *
 * Returns: milliseconds; 0 for ever
 *
 * Since: 1.0
 */
guint
usock_server_get_unclaimed_timeout (UsockServer *self)
{
  g_return_val_if_fail (USOCK_IS_SERVER (self), 0);

  return self->unclaimed_timeout;
}

/**
 * usock_server_set_unclaimed_timeout: (set-property unclaimed-timeout)
 * @self: a server
 * @unclaimed_timeout: milliseconds; 0 for ever
 *
 * Sets for how long a connection is kept that nobody has ever listened to once
 * its peer is gone.
 *
 * Since: 1.0
 */
void
usock_server_set_unclaimed_timeout (UsockServer *self,
                                    guint       unclaimed_timeout)
{
  g_return_if_fail (USOCK_IS_SERVER (self));
  usock_socket_return_if_not_ours (self);

  if (self->unclaimed_timeout == unclaimed_timeout)
    return;

  self->unclaimed_timeout = unclaimed_timeout;
  usock_server_plan_claims (self);
  g_object_notify (G_OBJECT (self), "unclaimed-timeout");
}
