/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-peer-private.h"

/* Who was called by that name is told last, when everything is in place. */
static void
peer_set_handler (UsockPeer    *self,
                  const char   *name,
                  UsockHandler *handler)
{
  gpointer old_name = NULL, old = NULL;

  g_hash_table_steal_extended (self->handlers, name, &old_name, &old);
  if (handler != NULL)
    g_hash_table_insert (self->handlers, g_strdup (name), handler);

  g_free (old_name);
  if (old != NULL)
    usock_handler_unref (old);
}

/**
 * usock_peer_handle:
 * @self: a peer
 * @name: the name of calls, of at most 255 bytes
 * @handler: (scope notified) (closure user_data) (destroy destroy): what answers them
 * @user_data: data for @handler
 * @destroy: (nullable): what frees @user_data
 *
 * Has all calls of a name go to one function, in place of the one that had
 * them, and of [signal@Usock.Peer::call]. It is called from the main context,
 * and may answer at once or later; see [struct@Usock.Call].
 *
 * Handlers go when the channel is closed.
 *
 * Since: 1.0
 */
void
usock_peer_handle (UsockPeer        *self,
                   const char       *name,
                   UsockPeerHandler  handler,
                   gpointer          user_data,
                   GDestroyNotify    destroy)
{
  UsockHandler *made;

  g_return_if_fail (USOCK_IS_PEER (self));
  g_return_if_fail (name != NULL && usock_frame_check_name (name) == NULL);
  g_return_if_fail (handler != NULL);

  made = g_new0 (UsockHandler, 1);
  made->ref_count = 1;
  made->call = handler;
  made->user_data = user_data;
  made->destroy = destroy;
  if (self->channel == NULL || self->is_over || !usock_peer_check_thread (self, NULL))
    {
      usock_handler_unref (made);
      return;
    }

  g_object_ref (self);
  peer_set_handler (self, name, made);
  usock_peer_start (self);
  g_object_unref (self);
}

static void
call_closure (UsockPeer *self,
              UsockCall *call,
              gpointer   closure)
{
  GValue values[2] = { G_VALUE_INIT, G_VALUE_INIT };

  g_value_init (&values[0], USOCK_TYPE_PEER);
  g_value_set_object (&values[0], self);
  g_value_init (&values[1], USOCK_TYPE_CALL);
  g_value_set_boxed (&values[1], call);

  g_closure_invoke (closure, NULL, G_N_ELEMENTS (values), values, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    g_value_unset (&values[i]);
}

/**
 * usock_peer_handle_with_closure:
 * @self: a peer
 * @name: the name of calls, of at most 255 bytes
 * @closure: (transfer none): what answers them; if it is floating, it is consumed
 *
 * Has all calls of a name go to a closure, as [method@Usock.Peer.handle] does. It is
 * for bindings, some of which give to a closure a call that stays, and to a
 * function one that does not.
 *
 * Since: 1.0
 */
void
usock_peer_handle_with_closure (UsockPeer  *self,
                                const char *name,
                                GClosure   *closure)
{
  g_return_if_fail (USOCK_IS_PEER (self));
  g_return_if_fail (name != NULL && usock_frame_check_name (name) == NULL);
  g_return_if_fail (closure != NULL);

  g_closure_ref (closure);
  g_closure_sink (closure);
  if (G_CLOSURE_NEEDS_MARSHAL (closure))
    g_closure_set_marshal (closure, g_cclosure_marshal_generic);
  usock_peer_handle (self, name, call_closure, closure, (GDestroyNotify) g_closure_unref);
}

/**
 * usock_peer_unhandle:
 * @self: a peer
 * @name: the name of calls
 *
 * Undoes [method@Usock.Peer.handle]. Calls that were not answered yet still can
 * be.
 *
 * Since: 1.0
 */
void
usock_peer_unhandle (UsockPeer  *self,
                     const char *name)
{
  g_return_if_fail (USOCK_IS_PEER (self));
  g_return_if_fail (name != NULL);

  if (self->channel == NULL || !usock_peer_is_ours (self, G_STRFUNC))
    return;

  g_object_ref (self);
  peer_set_handler (self, name, NULL);
  g_object_unref (self);
}

static int
compare_names (gconstpointer first,
               gconstpointer second)
{
  return g_strcmp0 (*(const char *const *) first, *(const char *const *) second);
}

/**
 * usock_peer_list_handlers:
 * @self: a peer
 *
 * Lists the names that have a handler, in order.
 *
 * Returns: (transfer full) (array zero-terminated=1): the names; free them with g_strfreev()
 *
 * Since: 1.0
 */
char **
usock_peer_list_handlers (UsockPeer *self)
{
  GPtrArray *names;
  GHashTableIter iter;
  gpointer name;

  g_return_val_if_fail (USOCK_IS_PEER (self), NULL);

  names = g_ptr_array_new ();
  g_hash_table_iter_init (&iter, self->handlers);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (names, g_strdup (name));

  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (names, FALSE);
}
