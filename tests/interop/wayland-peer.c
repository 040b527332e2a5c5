/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* As much of a Wayland compositor as a client needs to send the memory of its window.
 *
 *   wayland-peer PATH
 *
 * It exits with 0 once a memory file has come that is as large as the client says. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <usock/usock.h>

#define DISPLAY 1

typedef struct
{
  UsockStream *stream;
  GHashTable *interfaces; /* of objects, by number */
  guint32 top_level;
  guint32 surface;
  gboolean done;
} Compositor;

/* What the client asks for: its object, its number, and what follows. */
typedef struct
{
  guint32 object;
  guint32 opcode;
  const guint32 *words;
  guint n_words;
} Request;

static const char *const globals[] = { "wl_compositor", "wl_shm", "xdg_wm_base" };
static const guint32 versions[] = { 4, 1, 1 };

static void
fail (const char *what)
{
  g_printerr ("wayland-peer: %s\n", what);
  exit (1);
}

static void
check (gboolean done,
       const GError *error)
{
  if (!done)
    fail (error->message);
}

static void
send_event (Compositor *self,
            guint32 object,
            guint32 opcode,
            const guint32 *words,
            guint n_words)
{
  g_autoptr (GError) error = NULL;
  guint32 event[64] = { object, (8 + n_words * 4) << 16 | opcode };

  memcpy (event + 2, words, n_words * sizeof *words);
  check (usock_channel_send (USOCK_CHANNEL (self->stream), (const guint8 *) event,
                             8 + n_words * 4, &error),
         error);
}

static void
send_word (Compositor *self,
           guint32 object,
           guint32 opcode,
           guint32 word)
{
  send_event (self, object, opcode, &word, 1);
}

static void
announce_globals (Compositor *self,
                  guint32 registry)
{
  for (guint32 i = 0; i < G_N_ELEMENTS (globals); i++)
    {
      guint32 length = strlen (globals[i]) + 1;
      guint n_words = (length + 3) / 4;
      guint32 words[16] = { i, length };

      memcpy (words + 2, globals[i], length);
      words[2 + n_words] = versions[i];
      send_event (self, registry, 0, words, 3 + n_words);
    }
}

static void
add_object (Compositor *self,
            guint32 object,
            const char *interface)
{
  g_hash_table_insert (self->interfaces, GUINT_TO_POINTER (object),
                       (gpointer) g_intern_string (interface));
}

static void
answer_sync (Compositor *self,
             guint32 callback)
{
  send_word (self, callback, 0, 0);
  send_word (self, DISPLAY, 1, callback);
}

/* Name, interface with its length, version, and the number of the new object. */
static void
bind_global (Compositor *self,
             const Request *request)
{
  guint32 object = request->words[request->n_words - 1];

  if (request->n_words < 5)
    fail ("a global is not bound as it should");
  add_object (self, object, (const char *) (request->words + 2));
  if (strcmp ((const char *) (request->words + 2), "wl_shm") != 0)
    return;

  /* ARGB and XRGB. */
  send_word (self, object, 0, 0);
  send_word (self, object, 0, 1);
}

static void
configure (Compositor *self)
{
  const guint32 size_and_states[3] = { 0 };

  if (self->top_level == 0)
    return;

  send_event (self, self->top_level, 0, size_and_states, 3);
  send_word (self, self->surface, 0, 1);
  self->top_level = 0;
}

static void
answer_cb (GObject *source,
           GAsyncResult *result,
           gpointer answer)
{
  *(GAsyncResult **) answer = g_object_ref (result);
}

static UsockMessage *
receive (Compositor *self,
         gsize length,
         guint n_fds)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GAsyncResult) answer = NULL;
  UsockMessage *message;

  usock_stream_receive_exactly_async (self->stream, length, n_fds, NULL, answer_cb, &answer);
  while (answer == NULL)
    g_main_context_iteration (NULL, TRUE);
  message = usock_stream_receive_exactly_finish (self->stream, answer, &error);
  check (error == NULL, error);
  if (message == NULL)
    fail ("the client left");
  return message;
}

static void
take_pool (Compositor *self,
           const Request *request)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) message = receive (self, 0, 1);
  struct stat info;
  int fd;

  if (usock_message_get_fd_kind (message, 0) != USOCK_FD_KIND_MEMFD)
    fail ("the pool is no memory file");
  fd = usock_message_take_fd (message, 0, &error);
  check (fd != -1, error);
  if (fstat (fd, &info) == -1 || info.st_size != request->words[1])
    fail ("the pool has another size");
  close (fd);
  self->done = TRUE;
}

static void
handle_display (Compositor *self,
                const Request *request)
{
  if (request->opcode == 0)
    answer_sync (self, request->words[0]);
  else
    {
      add_object (self, request->words[0], "wl_registry");
      announce_globals (self, request->words[0]);
    }
}

static void
handle (Compositor *self,
        const Request *request)
{
  const char *interface
      = g_hash_table_lookup (self->interfaces, GUINT_TO_POINTER (request->object));
  guint32 opcode = request->opcode;

  if (request->object == DISPLAY)
    handle_display (self, request);
  else if (g_strcmp0 (interface, "wl_registry") == 0)
    bind_global (self, request);
  else if (g_strcmp0 (interface, "wl_compositor") == 0 && opcode == 0)
    add_object (self, request->words[0], "wl_surface");
  else if (g_strcmp0 (interface, "xdg_wm_base") == 0 && opcode == 2)
    {
      self->surface = request->words[0];
      add_object (self, self->surface, "xdg_surface");
    }
  else if (g_strcmp0 (interface, "xdg_surface") == 0 && opcode == 1)
    self->top_level = request->words[0];
  else if (g_strcmp0 (interface, "wl_surface") == 0 && opcode == 6)
    configure (self);
  else if (g_strcmp0 (interface, "wl_shm") == 0 && opcode == 0)
    take_pool (self, request);
}

static void
handle_next (Compositor *self)
{
  g_autoptr (UsockMessage) header = receive (self, 8, 0);
  g_autoptr (UsockMessage) body = NULL;
  Request request = { 0 };
  guint32 words[2];

  memcpy (words, usock_message_get_data (header, NULL), sizeof words);
  if ((words[1] >> 16) < 8)
    fail ("a request is too short");

  body = receive (self, (words[1] >> 16) - 8, 0);
  request.object = words[0];
  request.opcode = words[1] & 0xffff;
  request.words = (const guint32 *) usock_message_get_data (body, NULL);
  request.n_words = usock_message_get_length (body) / 4;
  handle (self, &request);
}

static void
connection_cb (UsockServer *server,
               UsockStream *stream,
               Compositor *self)
{
  self->stream = g_object_ref (stream);
  usock_socket_close (USOCK_SOCKET (server));
}

int
main (int argc,
      char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockServer) server = usock_server_new (G_SOCKET_TYPE_STREAM);
  Compositor self = { .interfaces = g_hash_table_new (NULL, NULL) };

  if (argc != 2)
    fail ("wayland-peer PATH");
  usock_server_set_max_fds (server, 28);
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), &self);
  check (usock_server_listen_on_path (server, argv[1], 0, &error), error);
  while (self.stream == NULL)
    g_main_context_iteration (NULL, TRUE);
  while (!self.done)
    handle_next (&self);

  usock_socket_close (USOCK_SOCKET (self.stream));
  usock_run_until_closed (NULL);
  g_object_unref (self.stream);
  g_hash_table_unref (self.interfaces);
  return 0;
}
