/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whatever property changes is notified, whoever changed it. */

#include <usock/usock.h>

#include "usock-test.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Another value that the property may have; FALSE if it is of a kind that this knows none of. */
static gboolean
change_value (GParamSpec *pspec,
              GValue     *value)
{
  if (G_IS_PARAM_SPEC_BOOLEAN (pspec))
    g_value_set_boolean (value, !g_value_get_boolean (value));
  else if (G_IS_PARAM_SPEC_UINT (pspec))
    g_value_set_uint (value, g_value_get_uint (value) == G_PARAM_SPEC_UINT (pspec)->maximum
                                 ? G_PARAM_SPEC_UINT (pspec)->minimum
                                 : g_value_get_uint (value) + 1);
  else if (G_IS_PARAM_SPEC_INT (pspec))
    g_value_set_int (value, g_value_get_int (value) == G_PARAM_SPEC_INT (pspec)->maximum
                                ? G_PARAM_SPEC_INT (pspec)->minimum
                                : g_value_get_int (value) + 1);
  else if (G_IS_PARAM_SPEC_UINT64 (pspec))
    g_value_set_uint64 (value, g_value_get_uint64 (value) - 1);
  else if (G_IS_PARAM_SPEC_ENUM (pspec))
    g_value_set_enum (value, !g_value_get_enum (value));
  else if (G_IS_PARAM_SPEC_STRING (pspec))
    g_value_set_string (value, "daemon");
  else
    return FALSE;

  return TRUE;
}

static void
count_cb (gpointer    object,
          GParamSpec *pspec,
          guint      *n)
{
  (*n)++;
}

typedef struct
{
  gpointer object;
  GParamSpec *pspec;
} Setter;

/* It is told of if, and only if, the value is another one then. */
static void
set (Setter       *self,
     const GValue *value)
{
  g_autofree char *detailed = g_strconcat ("notify::", self->pspec->name, NULL);
  g_autofree char *before = describe (self->object, self->pspec);
  g_autofree char *after = NULL;
  guint n = 0;

  g_signal_connect (self->object, detailed, G_CALLBACK (count_cb), &n);
  g_object_set_property (self->object, self->pspec->name, value);
  after = describe (self->object, self->pspec);
  g_test_message ("%s:%s: %s, %s", G_OBJECT_TYPE_NAME (self->object), self->pspec->name, before,
                  after);
  g_assert_cmpuint (n, ==, !g_str_equal (after, before));
  g_signal_handlers_disconnect_by_data (self->object, &n);
}

static guint n_getters;

/* The function of the class that has the property, if there is one. */
static gpointer
find_getter (GParamSpec *pspec)
{
  const char *class = g_type_name (pspec->owner_type) + strlen ("Usock");
  g_autofree char *of_class = g_ascii_strdown (class, -1);
  g_autofree char *name = g_strdup_printf ("usock_%s_get_%s", of_class, pspec->name);

  return dlsym (RTLD_DEFAULT, g_strdelimit (name, "-", '_'));
}

/* It tells what the property holds. */
static void
check_getter (gpointer    object,
              GParamSpec *pspec)
{
  gpointer getter = find_getter (pspec);
  gboolean is_large = pspec->value_type == G_TYPE_UINT64;
  g_auto (GValue) held = G_VALUE_INIT, number = G_VALUE_INIT;

  if (getter == NULL || (is_large && sizeof (gsize) < sizeof (guint64))
      || !g_value_type_transformable (pspec->value_type, G_TYPE_UINT64))
    return;

  g_value_init (&held, pspec->value_type);
  g_value_init (&number, G_TYPE_UINT64);
  g_object_get_property (object, pspec->name, &held);
  g_assert_true (g_value_transform (&held, &number));
  g_test_message ("%s:%s", G_OBJECT_TYPE_NAME (object), pspec->name);
  if (is_large)
    g_assert_cmpuint (((guint64 (*) (gpointer)) getter) (object), ==, g_value_get_uint64 (&number));
  else
    g_assert_cmpuint (((guint (*) (gpointer)) getter) (object), ==,
                      (guint) g_value_get_uint64 (&number));
  n_getters++;
}

static void
check_setter (gpointer    object,
              GParamSpec *pspec)
{
  Setter setter = { object, pspec };
  g_autofree char *before = describe (object, pspec);
  g_autofree char *after = NULL;
  g_auto (GValue) old = G_VALUE_INIT, other = G_VALUE_INIT;

  g_value_init (&old, pspec->value_type);
  g_value_init (&other, pspec->value_type);
  g_object_get_property (object, pspec->name, &old);
  g_value_copy (&old, &other);
  if (!change_value (pspec, &other))
    return;

  set (&setter, &old);
  set (&setter, &other);
  check_getter (object, pspec);
  set (&setter, &other);
  set (&setter, &old);
  check_getter (object, pspec);
  after = describe (object, pspec);
  /* The kernel doubles these. */
  if (!g_str_equal (pspec->name, "receive-buffer-size")
      && !g_str_equal (pspec->name, "send-buffer-size"))
    g_assert_cmpstr (after, ==, before);
}

static guint n_criticals;

static void
count_criticals (const char     *domain,
                 GLogLevelFlags  level,
                 const char     *text,
                 gpointer        data)
{
  if (strstr (text, "did nothing") != NULL)
    n_criticals++;
  else
    g_log_default_handler (domain, level, text, data);
}

static gpointer
set_elsewhere (gpointer data)
{
  Setter *self = data;
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, self->pspec->value_type);
  g_object_get_property (self->object, self->pspec->name, &value);
  if (change_value (self->pspec, &value))
    g_object_set_property (self->object, self->pspec->name, &value);
  else
    n_criticals++;
  return NULL;
}

static void
check_thread (gpointer    object,
              GParamSpec *pspec)
{
  Setter setter = { object, pspec };
  g_autofree char *before = describe (object, pspec);
  g_autofree char *after = NULL;

  n_criticals = 0;
  g_thread_join (g_thread_new ("elsewhere", set_elsewhere, &setter));
  after = describe (object, pspec);
  g_assert_cmpstr (after, ==, before);
  if (n_criticals != 1)
    g_error ("%s was set from another thread", pspec->name);
}

/* The descriptor is the parent's, too. */
static void
check_child (gpointer    object,
             GParamSpec *pspec)
{
  Setter setter = { object, pspec };
  g_autofree char *before = describe (object, pspec);
  pid_t child = fork ();
  int status;

  if (child == 0)
    {
      set_elsewhere (&setter);
      _exit (g_str_equal (describe (object, pspec), before) ? 0 : 1);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  if (status != 0)
    g_error ("%s was set in a child", pspec->name);
}

static void
check_setters (gpointer object)
{
  guint n = 0;
  g_autofree GParamSpec **pspecs
      = g_object_class_list_properties (G_OBJECT_GET_CLASS (object), &n);
  GLogLevelFlags fatal = g_log_set_always_fatal (G_LOG_LEVEL_ERROR);
  guint handler = g_log_set_handler ("Usock", G_LOG_LEVEL_CRITICAL, count_criticals, NULL);

  for (guint i = 0; i < n; i++)
    if ((pspecs[i]->flags & G_PARAM_WRITABLE) != 0
        && (pspecs[i]->flags & G_PARAM_CONSTRUCT_ONLY) == 0)
      {
        check_setter (object, pspecs[i]);
        /* One that has never waited belongs to no main context yet. */
        if (USOCK_IS_HANDLE (object))
          continue;
        check_thread (object, pspecs[i]);
        check_child (object, pspecs[i]);
      }
  g_log_remove_handler ("Usock", handler);
  g_log_set_always_fatal (fatal);
}

static void
check_pair (gpointer one,
            gpointer other)
{
  check_setters (one);
  usock_socket_close (one);
  usock_socket_close (other);
  while (g_main_context_iteration (g_main_context_get_thread_default (), FALSE))
    continue;
  g_object_unref (one);
  g_object_unref (other);
}

static void
test_setters_of_new (UsockTest     *test,
                     gconstpointer  unused)
{
  gpointer objects[]
      = { usock_seqpacket_new (), usock_stream_new (), usock_dgram_new (),
          usock_server_new (G_SOCKET_TYPE_SEQPACKET), usock_server_new (G_SOCKET_TYPE_STREAM) };

  for (guint i = 0; i < G_N_ELEMENTS (objects); i++)
    {
      check_setters (objects[i]);
      g_object_unref (objects[i]);
    }
  g_assert_cmpuint (n_getters, >, 100);
}

static void
test_setters_of_open (UsockTest     *test,
                      gconstpointer  unused)
{
  UsockSeqpacket *packets[2];
  UsockStream *streams[2];
  UsockDgram *datagrams[2];
  UsockHandle *handles[2];
  g_autoptr (UsockPeer) peer = NULL;
  g_autoptr (UsockClient) client = usock_client_new (USOCK_TYPE_SEQPACKET);

  check_setters (client);
  usock_test_no_error (usock_seqpacket_new_pair (&packets[0], &packets[1], &error));
  peer = usock_peer_new (USOCK_CHANNEL (packets[1]));
  check_setters (peer);
  check_pair (packets[0], packets[1]);
  usock_test_no_error (usock_stream_new_pair (&streams[0], &streams[1], &error));
  check_pair (streams[0], streams[1]);
  usock_test_no_error (usock_dgram_new_pair (&datagrams[0], &datagrams[1], &error));
  check_pair (datagrams[0], datagrams[1]);
  usock_test_no_error (
      usock_handle_new_pair (USOCK_SOCK_STREAM, &handles[0], &handles[1], &error));
  check_pair (handles[0], handles[1]);
}

static void
test_setters_of_listening (UsockTest     *test,
                           gconstpointer  unused)
{
  g_autofree char *path = usock_test_path (test, "s");
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_SEQPACKET);

  usock_test_no_error (usock_server_listen_on_path (server, path, 0, &error));
  check_setters (server);
  usock_socket_close (USOCK_SOCKET (server));
  while (g_main_context_iteration (g_main_context_get_thread_default (), FALSE))
    continue;
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
  usock_test_add ("/usock/properties/setters-of-new", test_setters_of_new);
  usock_test_add ("/usock/properties/setters-of-open", test_setters_of_open);
  usock_test_add ("/usock/properties/setters-of-listening", test_setters_of_listening);

  return g_test_run ();
}
