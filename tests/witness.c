/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "witness.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
witness_init (Witness *self)
{
  *self = (Witness) { .words = g_string_new (NULL) };
}

void
witness_clear (Witness *self)
{
  g_string_free (self->words, TRUE);
}

void
witness_write (Witness    *self,
               const char *format,
               ...)
{
  va_list arguments;

  if (self->words->len > 0)
    g_string_append_c (self->words, ' ');
  va_start (arguments, format);
  g_string_append_vprintf (self->words, format, arguments);
  va_end (arguments);
  self->n_words++;
}

guint
witness_count_words (const char *words)
{
  g_auto (GStrv) split = g_strsplit (words, " ", -1);

  return *words != '\0' ? g_strv_length (split) : 0;
}

const char *
witness_code (const GError *error)
{
  g_autoptr (GEnumClass) codes = g_type_class_ref (G_TYPE_IO_ERROR_ENUM);

  g_assert_nonnull (error);
  g_assert_true (error->domain == G_IO_ERROR);
  return g_enum_get_value (codes, error->code)->value_nick;
}

static void
write_plain (Witness    *self,
             GClosure   *closure)
{
  witness_write (self, "%s", (const char *) closure->data);
}

static void
write_text (Witness      *self,
            const char   *name,
            gconstpointer data,
            gsize         length)
{
  g_autofree char *text = g_strndup (data != NULL ? data : "", length);

  witness_write (self, "%s:%s", name, text);
}

static void
write_drop (Witness      *self,
            const GValue *values)
{
  GCredentials *credentials = g_value_get_object (&values[1]);

  if (credentials != NULL)
    witness_write (self, "drop:%u", g_credentials_get_unix_user (credentials, NULL));
  else
    witness_write (self, "drop:unknown");
}

/* One marshaller writes all signals: it is told the name of the signal, and finds in the values
 * what came with it. */
static void
witness_marshal (GClosure     *closure,
                 GValue       *result,
                 guint         n_values,
                 const GValue *values,
                 gpointer      hint,
                 gpointer      marshal_data)
{
  Witness *self = g_object_get_data (G_OBJECT (g_value_get_object (&values[0])), "witness");
  const char *name = closure->data;

  if (g_str_equal (name, "close"))
    self->n_closed++;

  if (g_str_equal (name, "drop"))
    write_drop (self, values);
  else if (n_values != 2)
    write_plain (self, closure);
  else if (G_VALUE_HOLDS (&values[1], G_TYPE_ERROR))
    witness_write (self, "%s:%s", name, witness_code (g_value_get_boxed (&values[1])));
  else if (G_VALUE_HOLDS (&values[1], G_TYPE_BYTE_ARRAY))
    {
      GByteArray *array = g_value_get_boxed (&values[1]);

      write_text (self, name, array->data, array->len);
    }
  else if (G_VALUE_HOLDS (&values[1], USOCK_TYPE_MESSAGE))
    {
      gsize length;
      gconstpointer data = usock_message_get_data (g_value_get_boxed (&values[1]), &length);

      write_text (self, name, data, length);
    }
  else if (G_VALUE_HOLDS (&values[1], G_TYPE_PTR_ARRAY))
    {
      GPtrArray *arrays = g_value_get_boxed (&values[1]);
      g_autoptr (GString) joined = g_string_new (NULL);

      for (guint i = 0; i < arrays->len; i++)
        {
          GByteArray *array = arrays->pdata[i];

          g_string_append_printf (joined, "%s%.*s", i > 0 ? "," : "", (int) array->len,
                                  (const char *) array->data);
        }
      witness_write (self, "%s:%s", name, joined->str);
    }
  else
    write_plain (self, closure);
}

void
witness_watch (Witness    *self,
               gpointer    socket,
               const char *signals)
{
  g_auto (GStrv) names = g_strsplit (signals, " ", -1);

  g_object_set_data (socket, "witness", self);
  for (guint i = 0; names[i] != NULL; i++)
    {
      GClosure *closure
          = g_closure_new_simple (sizeof (GClosure), (gpointer) g_intern_string (names[i]));

      g_closure_set_marshal (closure, witness_marshal);
      g_signal_connect_closure (socket, names[i], closure, FALSE);
    }
}

WitnessCall *
witness_call (Witness       *self,
              const char    *name,
              WitnessFinish  finish)
{
  WitnessCall *call = g_new (WitnessCall, 1);

  *call = (WitnessCall) { self, g_strdup (name), finish };
  return call;
}

void
witness_done (GObject      *source,
              GAsyncResult *result,
              gpointer      user_data)
{
  WitnessCall *call = user_data;
  g_autoptr (UsockMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  if (call->finish != NULL)
    g_assert_true (call->finish (USOCK_CHANNEL (source), result, &error) == (error == NULL));
  else
    message = usock_channel_receive_finish (USOCK_CHANNEL (source), result, &error);

  if (error != NULL)
    witness_write (call->witness, "%s:%s", call->name, witness_code (error));
  else if (message != NULL)
    {
      gsize length;
      gconstpointer data = usock_message_get_data (message, &length);

      write_text (call->witness, call->name, data, length);
    }
  else
    witness_write (call->witness, "%s:%s", call->name, call->finish != NULL ? "ok" : "END");

  g_free (call->name);
  g_free (call);
}

void
witness_receive (Witness      *self,
                 UsockChannel *channel,
                 const char   *name,
                 GCancellable *cancellable)
{
  usock_channel_receive_async (channel, cancellable, witness_done,
                               witness_call (self, name, NULL));
}

UsockChannel *
scene_adopt (UsockTest *test)
{
  GError *error = NULL;
  UsockSeqpacket *channel = usock_seqpacket_new_from_fd (test->pair[0], &error);

  g_assert_no_error (error);
  usock_test_take (test, 0);
  return USOCK_CHANNEL (channel);
}

void
scene_pair (UsockChannel **first,
            UsockChannel **second)
{
  UsockSeqpacket *one, *other;

  usock_test_no_error (usock_seqpacket_new_pair (&one, &other, &error));
  *first = USOCK_CHANNEL (one);
  *second = USOCK_CHANNEL (other);
}

void
scene_settle (void)
{
  while (g_main_context_iteration (g_main_context_get_thread_default (), FALSE))
    ;
}

void
scene_close (gpointer socket)
{
  usock_socket_close (socket);
  scene_settle ();
  g_object_unref (socket);
}

int
scene_listen (const char *path,
              int         backlog)
{
  struct sockaddr_un name = { AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_strlcpy (name.sun_path, path, sizeof name.sun_path);
  g_assert_no_errno (fd);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &name, sizeof name));
  g_assert_no_errno (listen (fd, backlog));
  return fd;
}

void
scene_send (int         fd,
            const char *text)
{
  g_assert_cmpint (send (fd, text, strlen (text), MSG_NOSIGNAL), ==, (int) strlen (text));
}

/* Waits for one message in the raw end; NULL at the end, or after a reset. */
char *
scene_receive (int fd)
{
  struct pollfd poll_fd = { fd, POLLIN };
  g_autofree char *buffer = g_malloc (1024);
  gssize n;

  g_assert_cmpint (poll (&poll_fd, 1, 10 * 1000), ==, 1);
  n = recv (fd, buffer, 1023, MSG_DONTWAIT);
  if (n <= 0)
    return NULL;
  buffer[n] = '\0';
  return g_steal_pointer (&buffer);
}

/* Sends numbers until no more is accepted; returns how many were. */
guint
scene_fill (UsockChannel  *channel,
            GError       **error)
{
  guint n = 0;

  for (;; n++)
    {
      g_autofree char *text = g_strdup_printf ("%u", n);

      if (!usock_channel_send_text (channel, text, error))
        return n;
    }
}

gboolean
scene_is_hung_up (int fd)
{
  struct pollfd poll_fd = { fd, POLLRDHUP };

  return poll (&poll_fd, 1, 0) == 1;
}

gboolean
scene_skip_limits (void)
{
  if (g_getenv ("USOCK_TEST_SLOW") == NULL)
    return FALSE;

  g_test_skip ("valgrind keeps the kernel's limits away");
  return TRUE;
}
