/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

/* A connection that was let in, from then until its `close` was emitted. Meanwhile it keeps itself
 * alive; the reference is for servers whose context goes first. */
typedef struct
{
  UsockServer *server;
  UsockChannel *channel;
  UsockPeer peer;
  GSequenceIter *place;
} Member;

static void
member_free (gpointer data)
{
  Member *self = data;

  g_object_unref (self->channel);
  g_free (self);
}

static gboolean
server_is_observed (UsockServer *self)
{
  static gsize signal = 0;

  if (g_once_init_enter (&signal))
    g_once_init_leave (&signal, g_signal_lookup ("items-changed", G_TYPE_LIST_MODEL));

  return g_signal_has_handler_pending (self, signal, 0, FALSE);
}

/* Also one that was refused. With its descriptor there may be room for another. */
static void
server_note_closed (UsockServer *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  self->n_unclosed--;
  if (self->retry_delay > 0)
    socket->watch.ready |= USOCK_READY_IN;
  usock_watch_wake (&socket->watch);
}

static void
stranger_closed (UsockSocket *channel,
                 gpointer     self)
{
  server_note_closed (self);
}

/* One that may still be refused: the server waits for its end, too. */
void
usock_server_note_opened (UsockServer  *self,
                          UsockChannel *channel)
{
  self->n_unclosed++;
  usock_socket_set_closed (USOCK_SOCKET (channel), stranger_closed, self);
}

static void
member_closed (UsockSocket *channel,
               gpointer     data)
{
  Member *self = data;
  UsockServer *server = self->server;
  gboolean observed = server_is_observed (server);
  guint position = observed ? g_sequence_iter_get_position (self->place) : 0;

  usock_server_count (server, &self->peer, -1);
  g_sequence_remove (self->place);
  if (observed)
    g_list_model_items_changed (G_LIST_MODEL (server), position, 1, 0);
  server_note_closed (server);
}

/* In the main context, as everything that changes the list. */
void
usock_server_enter (UsockServer     *self,
                    UsockChannel    *channel,
                    const UsockPeer *peer)
{
  Member *member = g_new0 (Member, 1);

  if (self->members == NULL)
    self->members = g_sequence_new (member_free);

  member->server = self;
  member->channel = g_object_ref (channel);
  member->peer = *peer;
  member->place = g_sequence_append (self->members, member);
  usock_socket_set_closed (USOCK_SOCKET (channel), member_closed, member);

  if (server_is_observed (self))
    g_list_model_items_changed (G_LIST_MODEL (self),
                                g_sequence_get_length (self->members) - 1, 0, 1);
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
  g_autoptr (GPtrArray) channels = usock_server_list_channels (self);

  for (guint i = 0; i < channels->len; i++)
    usock_socket_set_closed (channels->pdata[i], NULL, NULL);
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
  GSequence *members = USOCK_SERVER (model)->members;

  return members != NULL ? g_sequence_get_length (members) : 0;
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
