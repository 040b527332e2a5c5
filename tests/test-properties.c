/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whatever property changes is notified, whoever changed it. */

#include <usock/usock.h>

#include "usock-test.h"

typedef struct
{
  gpointer socket;
  GHashTable *values; /* of char *, by GParamSpec */
  GHashTable *notified;
} Watcher;

static char *
describe (gpointer    socket,
          GParamSpec *pspec)
{
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, pspec->value_type);
  g_object_get_property (socket, pspec->name, &value);
  return g_strdup_value_contents (&value);
}

static void
notify_cb (gpointer    socket,
           GParamSpec *pspec,
           Watcher    *self)
{
  g_hash_table_add (self->notified, pspec);
}

static void
watcher_start (Watcher  *self,
               gpointer  socket)
{
  g_autofree GParamSpec **pspecs = NULL;
  guint n = 0;

  self->socket = socket;
  self->values = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  self->notified = g_hash_table_new (NULL, NULL);
  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (socket), &n);
  for (guint i = 0; i < n; i++)
    g_hash_table_insert (self->values, pspecs[i], describe (socket, pspecs[i]));
  g_signal_connect (socket, "notify", G_CALLBACK (notify_cb), self);
}

static void
watcher_compare (gpointer pspec,
                 gpointer before,
                 gpointer user_data)
{
  Watcher *self = user_data;
  g_autofree char *now = describe (self->socket, pspec);

  if (!g_str_equal (now, before) && !g_hash_table_contains (self->notified, pspec))
    g_error ("%s became %s, from %s, and was not notified", ((GParamSpec *) pspec)->name, now,
             (const char *) before);
}

static void
watcher_stop (Watcher *self)
{
  while (g_main_context_iteration (g_main_context_get_thread_default (), FALSE))
    continue;
  g_hash_table_foreach (self->values, watcher_compare, self);
  g_assert_cmpuint (g_hash_table_size (self->notified), >, 0);
  g_signal_handlers_disconnect_by_data (self->socket, self);
  g_clear_pointer (&self->values, g_hash_table_unref);
  g_clear_pointer (&self->notified, g_hash_table_unref);
}

static void
keep_cb (UsockServer  *server,
         UsockChannel *channel,
         UsockSocket **kept)
{
  *kept = g_object_ref (USOCK_SOCKET (channel));
}

static void
test_server (UsockTest     *test,
             gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "s");
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);
  g_autoptr (UsockSocket) client = USOCK_SOCKET (usock_seqpacket_new ());
  g_autoptr (UsockSocket) accepted = NULL;
  Watcher watcher, client_watcher;

  g_signal_connect (server, "connection", G_CALLBACK (keep_cb), &accepted);
  watcher_start (&watcher, server);
  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  watcher_stop (&watcher);

  watcher_start (&watcher, server);
  watcher_start (&client_watcher, client);
  usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (client), path, &error));
  usock_test_wait_until (accepted != NULL);
  watcher_stop (&watcher);
  watcher_stop (&client_watcher);

  watcher_start (&watcher, server);
  watcher_start (&client_watcher, client);
  usock_socket_close (client);
  usock_socket_close (accepted);
  usock_socket_close (USOCK_SOCKET (server));
  watcher_stop (&client_watcher);
  watcher_stop (&watcher);
}

static void
test_failed (UsockTest     *test,
             gconstpointer  unused)
{
  UsockSeqpacket *one, *other;
  g_autoptr (GError) reason = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "enough");
  Watcher watcher;

  usock_test_no_error (usock_seqpacket_new_pair (&one, &other, &error));
  while (g_main_context_iteration (g_main_context_get_thread_default (), FALSE))
    continue;
  watcher_start (&watcher, one);
  usock_socket_destroy (USOCK_SOCKET (one), reason);
  watcher_stop (&watcher);
  usock_socket_close (USOCK_SOCKET (other));
  g_object_unref (one);
  g_object_unref (other);
}

/* The same descriptor, to another peer each time. */
static void
test_datagrams (UsockTest     *test,
                gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "d");
  g_autofree char *path_of_peer = usock_test_path (test, "p");
  g_autoptr (UsockDgram) dgram = usock_dgram_new ();
  g_autofree char *path_of_other = usock_test_path (test, "o");
  g_autoptr (UsockDgram) peer = usock_dgram_new ();
  g_autoptr (UsockDgram) other = usock_dgram_new ();
  Watcher watcher;

  usock_test_no_error (usock_dgram_bind_to_path (peer, path_of_peer, &error));
  usock_test_no_error (usock_dgram_bind_to_path (other, path_of_other, &error));
  watcher_start (&watcher, dgram);
  usock_test_no_error (usock_dgram_bind_to_path (dgram, path, &error));
  watcher_stop (&watcher);

  watcher_start (&watcher, dgram);
  usock_test_no_error (usock_channel_connect_to_path (USOCK_CHANNEL (dgram), path_of_peer, &error));
  watcher_stop (&watcher);

  watcher_start (&watcher, dgram);
  usock_test_no_error (
      usock_channel_connect_to_path (USOCK_CHANNEL (dgram), path_of_other, &error));
  watcher_stop (&watcher);

  watcher_start (&watcher, dgram);
  usock_socket_close (USOCK_SOCKET (dgram));
  watcher_stop (&watcher);
  usock_socket_close (USOCK_SOCKET (peer));
  usock_socket_close (USOCK_SOCKET (other));
}

static void
test_internet (UsockTest     *test,
               gconstpointer  unused)
{
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  g_autoptr (UsockSocket) client = USOCK_SOCKET (usock_stream_new ());
  g_autoptr (UsockSocket) accepted = NULL;
  g_autoptr (UsockDgram) dgram = usock_dgram_new ();
  Watcher watcher, client_watcher;

  g_signal_connect (server, "connection", G_CALLBACK (keep_cb), &accepted);
  watcher_start (&watcher, server);
  usock_test_no_error (usock_server_listen_on_host (server, "127.0.0.1", 0, 0, &error));
  watcher_stop (&watcher);

  watcher_start (&client_watcher, client);
  usock_test_no_error (usock_channel_connect_to_address (
      USOCK_CHANNEL (client), usock_socket_get_local_address (USOCK_SOCKET (server)), &error));
  usock_test_wait_until (accepted != NULL);
  watcher_stop (&client_watcher);

  watcher_start (&watcher, dgram);
  usock_test_no_error (usock_dgram_bind_to_address (
      dgram, usock_socket_get_local_address (USOCK_SOCKET (server)), &error));
  watcher_stop (&watcher);

  watcher_start (&client_watcher, client);
  usock_socket_close (client);
  usock_socket_close (accepted);
  usock_socket_close (USOCK_SOCKET (server));
  usock_socket_close (USOCK_SOCKET (dgram));
  watcher_stop (&client_watcher);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  usock_test_add ("/usock/properties/server", test_server);
  usock_test_add ("/usock/properties/failed", test_failed);
  usock_test_add ("/usock/properties/datagrams", test_datagrams);
  usock_test_add ("/usock/properties/internet", test_internet);

  return g_test_run ();
}
