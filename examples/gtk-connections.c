/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */
/* A window with the connections of a server: the server is the model of the list. */

#include <gtk/gtk.h>
#include <inttypes.h>
#include <usock/usock.h>

/* A channel has a label while it is on the screen. */
static void
show (UsockChannel *channel)
{
  GtkLabel *label = g_object_get_data (G_OBJECT (channel), "label");
  const char *last = g_object_get_data (G_OBJECT (channel), "last");
  g_autoptr (GCredentials) peer = usock_socket_get_peer_credentials (USOCK_SOCKET (channel), NULL);
  g_autofree char *text = NULL;

  if (label == NULL || peer == NULL)
    return;

  text = g_strdup_printf ("Process %d of user %u: %" PRIu64 " messages, %" PRIu64 " bytes\n%s",
                          g_credentials_get_unix_pid (peer, NULL),
                          g_credentials_get_unix_user (peer, NULL),
                          usock_channel_get_messages_read (channel),
                          usock_channel_get_bytes_read (channel), last != NULL ? last : "");
  gtk_label_set_text (label, text);
}

static void
receive (UsockChannel *channel, GByteArray *bytes)
{
  g_object_set_data_full (G_OBJECT (channel), "last",
                          g_utf8_make_valid ((const char *) bytes->data, bytes->len), g_free);
  show (channel);
}

static void
serve (UsockServer *server, UsockChannel *channel)
{
  g_signal_connect (channel, "data", G_CALLBACK (receive), NULL);
}

static void
set_up (GtkListItemFactory *factory, GtkListItem *item)
{
  gtk_list_item_set_child (item, g_object_new (GTK_TYPE_LABEL, "xalign", 0.0, "ellipsize",
                                               PANGO_ELLIPSIZE_END, NULL));
}

static void
bind (GtkListItemFactory *factory, GtkListItem *item)
{
  UsockChannel *channel = gtk_list_item_get_item (item);

  g_object_set_data (G_OBJECT (channel), "label", gtk_list_item_get_child (item));
  show (channel);
}

static void
unbind (GtkListItemFactory *factory, GtkListItem *item)
{
  g_object_set_data (gtk_list_item_get_item (item), "label", NULL);
}

static GtkWidget *
make_list (GListModel *server)
{
  GtkListItemFactory *factory = gtk_signal_list_item_factory_new ();
  GtkNoSelection *selection = gtk_no_selection_new (g_object_ref (server));

  g_object_connect (factory, "signal::setup", set_up, NULL, "signal::bind", bind, NULL,
                    "signal::unbind", unbind, NULL, NULL);
  return g_object_new (GTK_TYPE_SCROLLED_WINDOW, "child",
                       gtk_list_view_new (GTK_SELECTION_MODEL (selection), factory), NULL);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (GError) error = NULL;
  GtkWidget *window;

  gtk_init ();
  window = g_object_new (GTK_TYPE_WINDOW, "title", "Connections", "default-width", 480,
                         "default-height", 320, "child", make_list (G_LIST_MODEL (server)), NULL);
  g_signal_connect (server, "connection", G_CALLBACK (serve), NULL);
  if (argc != 2 || !usock_server_listen_on_path (server, argv[1], 0, &error))
    {
      g_printerr ("%s\n", error != NULL ? error->message : "usage: gtk-connections PATH");
      return 1;
    }

  gtk_window_present (GTK_WINDOW (window));
  while (g_list_model_get_n_items (gtk_window_get_toplevels ()) > 0)
    g_main_context_iteration (NULL, TRUE);
  usock_socket_close (USOCK_SOCKET (server));
  return 0;
}
