/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our side of calls with a program that does not know usock.
 *
 *   calls-peer seqpacket|stream PATH
 *
 * It answers one client, and exits with 0 if that ended as it should. */

#include <fcntl.h>
#include <locale.h>
#include <usock/usock.h>

static guint n_cancelled;

static void
check (gboolean done,
       GError  *error)
{
  if (!done)
    g_error ("calls-peer: %s", error->message);
}

static void
echo (UsockPeer *peer,
      UsockCall *call,
      gpointer   unused)
{
  GError *error = NULL;

  check (usock_call_reply (call, usock_call_get_body (call), &error), error);
}

static void
add (UsockPeer *peer,
     UsockCall *call,
     gpointer   unused)
{
  GVariant *body = usock_call_get_variant (call);
  GError *error = NULL;
  gint32 a, b;

  if (body == NULL || !g_variant_is_of_type (body, G_VARIANT_TYPE ("(ii)")))
    return;

  g_variant_get (body, "(ii)", &a, &b);
  check (usock_call_reply_variant (call, g_variant_new_int32 (a + b), &error), error);
}

static void
open_file (UsockPeer *peer,
           UsockCall *call,
           gpointer   unused)
{
  g_autoptr (UsockMessage) body = usock_message_new_from_variant (g_variant_new_handle (0));
  g_autofree char *path = usock_message_dup_text (usock_call_get_body (call), NULL);
  g_autoptr (GError) reason = NULL;
  GError *error = NULL;

  if (usock_message_append_fd_owned (body, open (path, O_RDONLY | O_CLOEXEC), &reason))
    check (usock_call_reply (call, body, &error), error);
  else
    {
      g_clear_error (&reason);
      reason = g_error_new (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "There is no “%s”", path);
      check (usock_call_reply_error (call, reason, &error), error);
    }
}

static void
called_back_cb (GObject      *peer,
                GAsyncResult *result,
                gpointer      call)
{
  GError *error = NULL;
  g_autoptr (UsockMessage) body = usock_peer_call_finish (USOCK_PEER (peer), result, &error);

  if (body != NULL)
    check (usock_call_reply (call, body, &error), error);
  else
    usock_call_reply_error (call, error, NULL);
  usock_call_unref (call);
}

/* Asks the client the same. */
static void
call_back (UsockPeer *peer,
           UsockCall *call,
           gpointer   unused)
{
  usock_peer_call_async (peer, "Ping", usock_call_get_body (call), 10000, NULL, called_back_cb,
                         usock_call_ref (call));
}

static void
cancelled_cb (GCancellable *cancellable,
              gpointer      call)
{
  n_cancelled++;
}

static void
never (UsockPeer *peer,
       UsockCall *call,
       gpointer   unused)
{
  g_signal_connect (usock_call_get_cancellable (call), "cancelled", G_CALLBACK (cancelled_cb), call);
  g_object_set_data_full (G_OBJECT (peer), "never", usock_call_ref (call),
                          (GDestroyNotify) usock_call_unref);
}

static void
count_cancelled (UsockPeer *peer,
                 UsockCall *call,
                 gpointer   unused)
{
  GError *error = NULL;

  check (usock_call_reply_variant (call, g_variant_new_uint32 (n_cancelled), &error), error);
}

static void
error_cb (UsockSocket  *channel,
          const GError *error)
{
  g_printerr ("calls-peer: %s\n", error->message);
  exit (1);
}

static void
closed_cb (UsockChannel *channel,
           UsockPeer    *peer)
{
  g_object_set_data (G_OBJECT (peer), "never", NULL);
  g_object_unref (peer);
}

static void
connection_cb (UsockServer  *server,
               UsockChannel *channel)
{
  static const struct
  {
    const char *name;
    UsockPeerHandler handler;
  } handlers[] = {
    { "Echo", echo },          { "Add", add },     { "Open", open_file },
    { "CallBack", call_back }, { "Never", never }, { "CountCancelled", count_cancelled },
  };
  UsockPeer *peer = usock_peer_new (channel);

  usock_channel_set_max_fds (channel, 4);
  for (guint i = 0; i < G_N_ELEMENTS (handlers); i++)
    usock_peer_handle (peer, handlers[i].name, handlers[i].handler, NULL, NULL);
  g_signal_connect (channel, "error", G_CALLBACK (error_cb), NULL);
  g_signal_connect (channel, "close", G_CALLBACK (closed_cb), peer);
  usock_socket_close (USOCK_SOCKET (server));
}

int
main (int    argc,
      char **argv)
{
  GSocketType type = g_str_equal (argv[1], "stream") ? G_SOCKET_TYPE_STREAM : G_SOCKET_TYPE_SEQPACKET;
  g_autoptr (UsockServer) server = usock_server_new (type);
  GError *error = NULL;

  setlocale (LC_ALL, "");
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), NULL);
  check (usock_server_listen_on_path (server, argv[2], 0, &error), error);
  usock_run_until_closed (NULL);
  return 0;
}
