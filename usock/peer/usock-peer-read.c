/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a peer hears. Each frame is taken out of what was read before anything foreign runs for it,
 * which may read on in a nested main loop. */

#include "config.h"

#include "usock-peer-private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "usock-compat-private.h"

/* From where on what was read of a stream is not kept any more. */
#define REST_READ_MAX (64 * 1024)

static gboolean
frame_is_whole (const UsockFrame *frame)
{
  return frame->body_length == frame->size || (frame->flags & USOCK_FRAME_FLAGS_MEMFD) != 0;
}

static const char *
refuse_reason (UsockPeer        *self,
               const UsockFrame *frame,
               GIOErrorEnum     *code)
{
  guint n_calls = g_hash_table_size (self->calls) + g_hash_table_size (self->assemblies)
                  + self->n_replying;

  *code = G_IO_ERROR_BUSY;
  if (frame->type != USOCK_FRAME_REPLY && n_calls >= self->max_incoming_calls
      && (frame->type == USOCK_FRAME_CALL || !frame_is_whole (frame)))
    return _("too many calls wait for an answer");

  if (frame->size > self->max_body_size)
    {
      *code = G_IO_ERROR_MESSAGE_TOO_LARGE;
      return _("the body is larger than is accepted");
    }
  if (self->held_bytes + frame->size > self->max_held_bytes)
    return _("too much waits for an answer");
  return NULL;
}

/* What the frame says that comes along, and what came. */
static const char *
check_carrier (const UsockFrame *frame,
               UsockMessage     *carrier,
               gboolean         *is_refused)
{
  guint n_fds = carrier != NULL ? usock_message_get_n_fds (carrier) : 0;

  *is_refused = frame->n_fds > 0 && n_fds == 0;
  return *is_refused || n_fds == frame->n_fds ? NULL : "descriptors";
}

void
usock_handler_unref (UsockHandler *self)
{
  if (--self->ref_count > 0)
    return;

  if (self->destroy != NULL)
    self->destroy (self->user_data);
  g_free (self);
}

/* Runs foreign code. */
static void
peer_dispatch_call (UsockPeer    *self,
                    guint32       serial,
                    char         *name,
                    UsockMessage *body)
{
  UsockHandler *handler = g_hash_table_lookup (self->handlers, name);
  UsockCall *call = usock_call_new (self, serial, name, body);

  if (handler != NULL)
    {
      handler->ref_count++;
      handler->call (self, call, handler->user_data);
      usock_handler_unref (handler);
    }
  else if (!usock_peer_emit_call (self, call))
    {
      g_autoptr (GError) error
          = g_error_new (G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                         _("Could not answer the call “%s”: nobody handles it"), name);

      usock_call_reply_error (call, error, NULL);
    }

  usock_call_unref (call);
}

/* Runs foreign code. Takes the name and the body over, which is NULL if it breaks a rule. */
static void
peer_dispatch (UsockPeer    *self,
               guint8        type,
               guint32       serial,
               char         *name,
               UsockMessage *body)
{
  if (body == NULL)
    {
      g_free (name);
      usock_peer_break_rule (self, "body");
      return;
    }
  if (type == USOCK_FRAME_CALL)
    {
      peer_dispatch_call (self, serial, name, body);
      return;
    }

  usock_peer_emit_posted (self, name, body);
  g_free (name);
  usock_message_unref (body);
}

/* A post that is refused can be told to nobody but by closing. */
static void
peer_refuse (UsockPeer        *self,
             const UsockFrame *frame,
             GIOErrorEnum      code,
             const char       *reason)
{
  g_autofree char *name = g_strndup (frame->name, frame->name_length);

  if (frame->type == USOCK_FRAME_CALL)
    usock_call_refuse (self, frame->serial, name, code, reason);
  else
    usock_peer_break (self, g_error_new (G_IO_ERROR, (int) code,
                                         _("Could not receive from “%s”: %s"),
                                         usock_socket_get_label (usock_peer_socket (self)),
                                         reason));
}

static void
peer_begin_asked (UsockPeer        *self,
                  const UsockFrame *frame,
                  UsockMessage     *carrier)
{
  UsockAssembly *assembly = usock_assembly_new (frame, carrier);

  if (assembly == NULL)
    {
      peer_refuse (self, frame, G_IO_ERROR_NO_SPACE, g_strerror (ENOMEM));
      return;
    }

  self->held_bytes += assembly->size;
  g_hash_table_insert (self->assemblies, GUINT_TO_POINTER (frame->serial), assembly);
}

/* A call or a post. */
static void
peer_hear_asked (UsockPeer        *self,
                 const UsockFrame *frame,
                 UsockMessage     *carrier)
{
  gpointer serial = GUINT_TO_POINTER (frame->serial);
  gboolean no_fds;
  const char *rule = check_carrier (frame, carrier, &no_fds);
  const char *reason;
  GIOErrorEnum code;

  if (rule == NULL
      && (g_hash_table_contains (self->assemblies, serial)
          || (frame->type == USOCK_FRAME_CALL && g_hash_table_contains (self->calls, serial))))
    rule = "serial";
  if (rule != NULL)
    {
      usock_peer_break_rule (self, rule);
      return;
    }

  reason = refuse_reason (self, frame, &code);
  if (reason == NULL && no_fds)
    {
      code = G_IO_ERROR_PERMISSION_DENIED;
      reason = _("descriptors are not accepted");
    }

  if (reason != NULL)
    peer_refuse (self, frame, code, reason);
  else if (!frame_is_whole (frame))
    peer_begin_asked (self, frame, carrier);
  else
    peer_dispatch (self, frame->type, frame->serial, g_strndup (frame->name, frame->name_length),
                   usock_frame_make_body (frame, carrier));
}

static void
peer_hear_piece (UsockPeer        *self,
                 const UsockFrame *frame)
{
  gpointer serial = GUINT_TO_POINTER (frame->serial);
  UsockAssembly *assembly = g_hash_table_lookup (self->assemblies, serial);
  const char *rule;

  /* Of what was refused, or cancelled. */
  if (assembly == NULL)
    return;

  rule = usock_assembly_add (assembly, frame);
  if (rule != NULL)
    {
      usock_peer_break_rule (self, rule);
      return;
    }
  if (assembly->got < assembly->size)
    return;

  g_hash_table_steal (self->assemblies, serial);
  self->held_bytes -= assembly->size;
  peer_dispatch (self, assembly->type, frame->serial, g_steal_pointer (&assembly->name),
                 usock_assembly_finish (assembly));
  usock_assembly_free (assembly);
}

static void
peer_hear_cancel (UsockPeer        *self,
                  const UsockFrame *frame)
{
  gpointer serial = GUINT_TO_POINTER (frame->serial);
  UsockAssembly *assembly = g_hash_table_lookup (self->assemblies, serial);

  if (assembly != NULL)
    {
      self->held_bytes -= assembly->size;
      g_hash_table_remove (self->assemblies, serial);
      return;
    }

  usock_call_cancel (self, frame->serial);
}

/* The body is NULL if it breaks a rule. */
static void
peer_hear_answer (UsockPeer    *self,
                  UsockAsk     *ask,
                  UsockMessage *body)
{
  if (body == NULL)
    usock_peer_break_rule (self, "body");
  else
    usock_peer_answer_ask (self, ask, body, NULL);
}

static void
peer_begin_reply (UsockPeer        *self,
                  UsockAsk         *ask,
                  const UsockFrame *frame,
                  UsockMessage     *carrier)
{
  ask->reply = usock_assembly_new (frame, carrier);
  if (ask->reply != NULL)
    {
      self->held_bytes += ask->reply->size;
      return;
    }

  usock_peer_give_up_ask (
      self, ask,
      usock_peer_error_new (self, ask->name, G_IO_ERROR_NO_SPACE, g_strerror (ENOMEM)));
  usock_peer_complete (self);
}

static void
peer_hear_reply (UsockPeer        *self,
                 const UsockFrame *frame,
                 UsockMessage     *carrier)
{
  UsockAsk *ask = usock_peer_find_ask (self, frame->serial);
  gboolean no_fds;
  const char *rule = check_carrier (frame, carrier, &no_fds);
  const char *reason;
  GIOErrorEnum code;

  if (rule == NULL && ask != NULL && (!ask->is_sent || ask->reply != NULL))
    rule = "serial";
  if (rule != NULL)
    {
      usock_peer_break_rule (self, rule);
      return;
    }
  if (ask == NULL)
    return;

  reason = refuse_reason (self, frame, &code);
  if (reason == NULL && no_fds)
    {
      code = G_IO_ERROR_PERMISSION_DENIED;
      reason = _("descriptors are not accepted");
    }

  if (reason != NULL)
    {
      usock_peer_give_up_ask (self, ask, usock_peer_error_new (self, ask->name, code, reason));
      usock_peer_start_waiting (self);
      usock_peer_complete (self);
    }
  else if (!frame_is_whole (frame))
    peer_begin_reply (self, ask, frame, carrier);
  else
    peer_hear_answer (self, ask, usock_frame_make_body (frame, carrier));
}

static void
peer_hear_reply_piece (UsockPeer        *self,
                       const UsockFrame *frame)
{
  UsockAsk *ask = usock_peer_find_ask (self, frame->serial);
  const char *rule;

  if (ask == NULL || ask->reply == NULL)
    return;

  rule = usock_assembly_add (ask->reply, frame);
  if (rule != NULL)
    usock_peer_break_rule (self, rule);
  else if (ask->reply->got == ask->reply->size)
    peer_hear_answer (self, ask, usock_assembly_finish (ask->reply));
}

static void
peer_hear_error (UsockPeer        *self,
                 const UsockFrame *frame)
{
  UsockAsk *ask = usock_peer_find_ask (self, frame->serial);

  if (!usock_body_is_text ((const char *) frame->body, frame->body_length))
    usock_peer_break_rule (self, "body");
  else if (ask != NULL && ask->is_sent)
    usock_peer_answer_ask (self, ask, NULL, usock_peer_error_read (frame));
}

/* May run foreign code; then nothing of the frame is there any more. */
static void
peer_hear (UsockPeer        *self,
           const UsockFrame *frame,
           UsockMessage     *carrier)
{
  switch ((UsockFrameType) frame->type)
    {
    case USOCK_FRAME_CALL:
    case USOCK_FRAME_POST:
      peer_hear_asked (self, frame, carrier);
      break;
    case USOCK_FRAME_REPLY:
      peer_hear_reply (self, frame, carrier);
      break;
    case USOCK_FRAME_ERROR:
      peer_hear_error (self, frame);
      break;
    case USOCK_FRAME_CANCEL:
      peer_hear_cancel (self, frame);
      break;
    case USOCK_FRAME_PIECE:
      peer_hear_piece (self, frame);
      break;
    case USOCK_FRAME_REPLY_PIECE:
      peer_hear_reply_piece (self, frame);
      break;
    default:
      g_assert_not_reached ();
    }
}

static gboolean
peer_listens (UsockPeer *self)
{
  return !self->is_over && !self->is_breaking;
}

/* Packets: each has whole frames only, and descriptors of at most one. Nested, what an outer loop
 * has not come to is first. */
static void
peer_read_packet (UsockPeer    *self,
                  UsockReading *reading)
{
  while (reading->length > 0 && peer_listens (self))
    {
      UsockMessage *carrier = NULL;
      UsockFrame frame;
      const char *rule = usock_frame_read (&frame, reading->data, reading->length);

      if (rule == NULL && frame.length == 0)
        rule = "length";
      if (rule != NULL)
        {
          usock_peer_break_rule (self, rule);
          return;
        }

      reading->data += frame.length;
      reading->length -= frame.length;
      self->is_gathering = reading->length > 0;
      if (frame.n_fds > 0)
        carrier = g_steal_pointer (&reading->carrier);
      peer_hear (self, &frame, carrier);
    }

  if (reading->carrier != NULL && usock_message_get_n_fds (reading->carrier) > 0
      && peer_listens (self))
    usock_peer_break_rule (self, "descriptors");
}

static void
peer_take_packet (UsockPeer    *self,
                  const guint8 *data,
                  gsize         length,
                  UsockMessage *carrier)
{
  UsockReading reading = { data, length, carrier, self->reading };

  for (UsockReading *outer = reading.outer; outer != NULL; outer = outer->outer)
    peer_read_packet (self, outer);

  self->reading = &reading;
  if (length == 0)
    usock_peer_break_rule (self, "length");
  peer_read_packet (self, &reading);
  self->reading = reading.outer;
}

/* The frame may be moved by what a nested loop reads: nothing of it is used after foreign code. */
static gboolean
peer_read_stream (UsockPeer *self)
{
  g_autoptr (UsockMessage) carrier = NULL;
  UsockFrame frame;
  const char *rule = usock_frame_read (&frame, self->rest->data + self->rest_read,
                                       self->rest->len - self->rest_read);

  if (rule != NULL)
    {
      usock_peer_break_rule (self, rule);
      return FALSE;
    }
  if (frame.length == 0)
    return FALSE;

  self->rest_read += frame.length;
  self->is_gathering = self->rest->len - self->rest_read >= USOCK_FRAME_HEADER;
  if (frame.n_fds > 0)
    carrier = g_queue_pop_head (&self->carriers);
  peer_hear (self, &frame, carrier);
  return peer_listens (self);
}

/* Descriptors come with the first byte of their frame at the latest: all of them are of frames that
 * are not whole yet. */
static void
peer_tidy_stream (UsockPeer *self)
{
  if (self->rest_read == self->rest->len)
    {
      g_byte_array_set_size (self->rest, 0);
      self->rest_read = 0;
      if (self->carriers.length > 0 && peer_listens (self))
        usock_peer_break_rule (self, "descriptors");
    }
  else if (self->rest_read > REST_READ_MAX)
    {
      g_byte_array_remove_range (self->rest, 0, (guint) self->rest_read);
      self->rest_read = 0;
    }
}

static void
peer_take_bytes (UsockPeer    *self,
                 const guint8 *data,
                 gsize         length,
                 UsockMessage *carrier)
{
  g_byte_array_append (self->rest, data, (guint) length);
  if (carrier != NULL && usock_message_get_n_fds (carrier) > 0)
    g_queue_push_tail (&self->carriers,
                       usock_message_new_part (carrier, USOCK_BODY_KIND_NONE,
                                               g_bytes_new (NULL, 0), NULL));

  while (peer_read_stream (self))
    ;
  peer_tidy_stream (self);
}

/* What was received. Runs foreign code. */
void
usock_peer_take (UsockPeer    *self,
                 const guint8 *data,
                 gsize         length,
                 UsockMessage *carrier)
{
  if (!peer_listens (self))
    return;

  g_object_ref (self);
  if (self->is_stream)
    peer_take_bytes (self, data, length, carrier);
  else
    peer_take_packet (self, data, length, carrier);

  self->is_gathering = FALSE;
  usock_peer_flush (self);
  g_object_unref (self);
}

void
usock_peer_drop_read (UsockPeer *self)
{
  g_hash_table_remove_all (self->assemblies);
  g_queue_clear_full (&self->carriers, (GDestroyNotify) usock_message_unref);
  g_byte_array_set_size (self->rest, 0);
  self->rest_read = 0;
}
