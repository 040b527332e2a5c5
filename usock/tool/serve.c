/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Answers each call with what a command prints. What came with the call is its standard input, in
 * a file in memory, so that nothing has to be fed to it. */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool.h"

#define PIECE_SIZE (64 * 1024)
#define ANSWER_MAX (64 * 1024 * 1024)

static int most = 16;
static char **command;
static guint n_running;
static GQueue waiting = G_QUEUE_INIT;

static const GOptionEntry entries[] = {
  { "max-calls", 'M', 0, G_OPTION_ARG_INT, &most, N_("Run the command for so many at once"),
    N_("NUMBER") },
  G_OPTION_ENTRY_NULL,
};

typedef struct
{
  UsockCall *call;
  GSubprocess *child;
  GByteArray *answer;
  gulong cancelled;
} Job;

static void start_waiting (void);

static void
job_free (Job *self)
{
  if (self->cancelled != 0)
    g_signal_handler_disconnect (usock_call_get_cancellable (self->call), self->cancelled);
  g_clear_object (&self->child);
  usock_call_unref (self->call);
  g_byte_array_unref (self->answer);
  g_free (self);
}

static void
job_refuse (Job        *self,
            const char *text)
{
  g_autoptr (GError) reason = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, text);

  usock_call_reply_error (self->call, reason, NULL);
}

/* A shell ends what it prints with a newline, which is no part of a text. */
static UsockMessage *
job_compose (Job *self)
{
  const char *data = (const char *) self->answer->data;
  gsize length = self->answer->len;
  g_autofree char *text = NULL;

  if (length == 0)
    return NULL;
  if (!g_utf8_validate (data, length, NULL))
    return usock_message_new (self->answer->data, length);

  text = g_strndup (data, data[length - 1] == '\n' ? length - 1 : length);
  return usock_message_new_from_text (text);
}

static void
job_answer (Job *self)
{
  g_autoptr (UsockMessage) answer = job_compose (self);
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  if (g_subprocess_get_successful (self->child))
    {
      if (!usock_call_reply (self->call, answer, &error))
        job_refuse (self, error->message);
    }
  else
    {
      /* No NUL stands behind what a message was made of. */
      if (answer != NULL && usock_message_get_kind (answer) == USOCK_BODY_KIND_TEXT)
        text = usock_message_dup_text (answer, NULL);
      job_refuse (self, text != NULL ? text : _("the command failed"));
    }
}

static void
waited_cb (GObject      *child,
           GAsyncResult *result,
           gpointer      data)
{
  Job *self = data;

  g_subprocess_wait_finish (G_SUBPROCESS (child), result, NULL);
  if (!usock_call_is_answered (self->call))
    job_answer (self);
  job_free (self);
  tool_touch ();
  n_running--;
  start_waiting ();
}

static void job_read (Job *self);

static void
read_cb (GObject      *stream,
         GAsyncResult *result,
         gpointer      data)
{
  Job *self = data;
  g_autoptr (GBytes) bytes = g_input_stream_read_bytes_finish (G_INPUT_STREAM (stream), result, NULL);
  gsize length = bytes != NULL ? g_bytes_get_size (bytes) : 0;

  if (length == 0)
    {
      g_subprocess_wait_async (self->child, NULL, waited_cb, self);
      return;
    }
  if (self->answer->len + length > ANSWER_MAX)
    {
      job_refuse (self, _("the answer of the command is too long"));
      g_subprocess_force_exit (self->child);
      g_byte_array_set_size (self->answer, 0);
    }

  g_byte_array_append (self->answer, g_bytes_get_data (bytes, NULL), length);
  job_read (self);
}

static void
job_read (Job *self)
{
  g_input_stream_read_bytes_async (g_subprocess_get_stdout_pipe (self->child), PIECE_SIZE,
                                   G_PRIORITY_DEFAULT, NULL, read_cb, self);
}

static int
open_body (UsockMessage *body)
{
  int fd = memfd_create ("usock", MFD_CLOEXEC);
  gsize length;
  const guint8 *data = usock_message_get_data (body, &length);

  while (fd >= 0 && length > 0)
    {
      gssize result = write (fd, data, length);

      if (result < 0 && errno != EINTR)
        {
          close (fd);
          return -1;
        }
      data += MAX (result, 0);
      length -= MAX (result, 0);
    }

  if (fd >= 0)
    lseek (fd, 0, SEEK_SET);
  return fd;
}

static void
cancelled_cb (GCancellable *cancellable,
              GSubprocess  *child)
{
  g_subprocess_force_exit (child);
}

static void
job_start (Job *self)
{
  g_autoptr (GCredentials) credentials = usock_call_get_credentials (self->call, NULL);
  g_autoptr (GError) error = NULL;
  int fd = open_body (usock_call_get_body (self->call));

  if (fd >= 0)
    self->child = tool_start (command, fd, -1, usock_call_get_name (self->call), credentials, &error);
  if (self->child == NULL)
    {
      tool_complain ("%s", error != NULL ? error->message : g_strerror (errno));
      job_refuse (self, _("the command could not be started"));
      job_free (self);
      return;
    }

  n_running++;
  self->cancelled = g_signal_connect (usock_call_get_cancellable (self->call), "cancelled",
                                      G_CALLBACK (cancelled_cb), self->child);
  job_read (self);
}

static void
start_waiting (void)
{
  while (n_running < (guint) most && !g_queue_is_empty (&waiting))
    {
      Job *job = g_queue_pop_head (&waiting);

      if (g_cancellable_is_cancelled (usock_call_get_cancellable (job->call)))
        job_free (job);
      else
        job_start (job);
    }
}

static gboolean
call_cb (UsockPeer *peer,
         UsockCall *call,
         gpointer   unused)
{
  Job *job = g_new0 (Job, 1);

  tool_touch ();
  job->call = usock_call_ref (call);
  job->answer = g_byte_array_new ();
  g_queue_push_tail (&waiting, job);
  start_waiting ();
  return TRUE;
}

static void
connection_cb (UsockServer  *server,
               UsockChannel *channel,
               gpointer      unused)
{
  /* It keeps itself for as long as the channel is open. */
  g_autoptr (UsockPeer) peer = usock_peer_new (channel);

  tool_touch ();
  g_signal_connect (peer, "call", G_CALLBACK (call_cb), NULL);
}

ToolStatus
tool_serve (int    argc,
            char **argv)
{
  ToolStatus status = tool_parse (
      TOOL_TAKES_TYPE | TOOL_TAKES_NAME | TOOL_TAKES_SERVER, entries,
      N_("The name of the call is in USOCK_CALL, its body is standard input, and the answer is what "
          "the command prints. If the command fails, that is the text of the error."),
      &argc, &argv);
  g_autoptr (UsockServer) server = NULL;
  g_autoptr (GError) error = NULL;
  const char *place;

  if (status != TOOL_DONE)
    return status;
  if (most < 1)
    return tool_fail_usage (_("a number is out of range"));
  if (!tool_take_place (&argc, &argv, &place))
    return TOOL_USAGE;
  if (argc < 2)
    return tool_fail_usage (_("the COMMAND is missing"));

  command = argv + 1;
  server = tool_listen_at (place, &error);
  if (server == NULL)
    return tool_report (error);

  tool_watch (USOCK_SOCKET (server));
  g_signal_connect (server, "connection", G_CALLBACK (connection_cb), NULL);
  return tool_run ();
}
