/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-server-private.h"

/* One more place where a server listens: a socket of its own, and nothing else. What comes there
 * comes to the server, whose state, errors and signals are those that a program knows. */
typedef struct
{
  UsockSocket parent_instance;

  UsockServer *server; /* NULL once it is closed */
} UsockListener;

typedef struct
{
  UsockSocketClass parent_class;
} UsockListenerClass;

static GType usock_listener_get_type (void);

G_DEFINE_TYPE (UsockListener, usock_listener, USOCK_TYPE_SOCKET)

static void
usock_listener_dispatch (UsockSocket *socket)
{
  UsockListener *self = (UsockListener *) socket;
  g_autoptr (UsockServer) server = g_object_ref (self->server);

  socket->watch.ready &= USOCK_READY_IN;
  usock_server_accept (server, socket);
}

static gboolean
usock_listener_wanted (UsockSocket *socket)
{
  return usock_server_wants_from (((UsockListener *) socket)->server, socket);
}

static void
usock_listener_class_init (UsockListenerClass *class)
{
  UsockSocketClass *socket_class = (UsockSocketClass *) class;

  socket_class->manages_options = TRUE;
  socket_class->dispatch = usock_listener_dispatch;
  socket_class->wanted = usock_listener_wanted;
}

static void
usock_listener_init (UsockListener *self)
{
}

/* Takes the descriptor over if it succeeds; it listens already. */
gboolean
usock_server_add_listener (UsockServer  *self,
                           int           fd,
                           int           family,
                           const char   *label,
                           GError      **error)
{
  g_autoptr (UsockSocket) socket = g_object_new (usock_listener_get_type (), NULL);

  socket->family = family;
  socket->type = USOCK_SOCKET (self)->type;
  ((UsockListener *) socket)->server = self;
  usock_socket_join (socket, USOCK_SOCKET (self)->reactor);
  usock_socket_set_held (socket, FALSE);
  usock_socket_set_label (socket, label);
  if (!usock_socket_start (socket, fd, TRUE, error))
    return FALSE;

  socket->state = USOCK_STATE_LISTENING;
  g_ptr_array_add (self->listeners, g_steal_pointer (&socket));
  return TRUE;
}

/* What came there and was not taken is reset, as it is on the first one. */
void
usock_server_close_listeners (UsockServer *self)
{
  while (self->listeners->len > 0)
    {
      g_autoptr (UsockSocket) socket = g_ptr_array_steal_index (self->listeners, 0);

      usock_socket_close (socket);
    }
}
