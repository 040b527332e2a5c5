/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-operation-private.h"

typedef void (*UsockOperationWake) (GCancellable *cancellable,
                                    gpointer      source);

/* What a GCancellable holds, and calls in whatever thread cancels. It keeps nothing alive, but
 * while it calls. */
typedef struct
{
  GWeakRef source;
  UsockOperationWake wake;
} Alarm;

struct _UsockOperation
{
  GObject parent_instance;

  GObject *source;
  gpointer tag;
  GAsyncReadyCallback callback;
  gpointer user_data;
  gpointer data;
  GDestroyNotify free_data;

  GCancellable *cancellable;
  gulong handler;

  GList link;
  guint n_marks;
  gboolean decided;
  gpointer result;
  GDestroyNotify free_result;
  GError *error;
};

static gpointer
usock_operation_get_user_data (GAsyncResult *result)
{
  return USOCK_OPERATION (result)->user_data;
}

static GObject *
usock_operation_get_source_object (GAsyncResult *result)
{
  return g_object_ref (USOCK_OPERATION (result)->source);
}

static gboolean
usock_operation_is_tagged (GAsyncResult *result,
                           gpointer      tag)
{
  return USOCK_OPERATION (result)->tag == tag;
}

static void
usock_operation_async_result_init (GAsyncResultIface *iface)
{
  iface->get_user_data = usock_operation_get_user_data;
  iface->get_source_object = usock_operation_get_source_object;
  iface->is_tagged = usock_operation_is_tagged;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (UsockOperation, usock_operation, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_ASYNC_RESULT,
                                                      usock_operation_async_result_init))

static void
alarm_free (gpointer  data,
            GClosure *closure)
{
  Alarm *self = data;

  g_weak_ref_clear (&self->source);
  g_free (self);
}

static void
alarm_cancelled (GCancellable *cancellable,
                 Alarm        *self)
{
  g_autoptr (GObject) source = g_weak_ref_get (&self->source);

  if (source != NULL)
    self->wake (cancellable, source);
}

/* Not by g_cancellable_disconnect(): that waits until whatever the cancellable calls has returned.
 * It may take its time, or be what brought us here. So one call may still come afterwards. */
static void
operation_forget_cancellable (UsockOperation *self)
{
  if (self->handler != 0)
    g_signal_handler_disconnect (self->cancellable, self->handler);
  self->handler = 0;
  g_clear_object (&self->cancellable);
}

static void
usock_operation_finalize (GObject *object)
{
  UsockOperation *self = USOCK_OPERATION (object);

  operation_forget_cancellable (self);
  if (self->result != NULL && self->free_result != NULL)
    self->free_result (self->result);
  if (self->free_data != NULL)
    self->free_data (self->data);
  g_clear_error (&self->error);
  g_clear_object (&self->source);

  G_OBJECT_CLASS (usock_operation_parent_class)->finalize (object);
}

static void
usock_operation_class_init (UsockOperationClass *class)
{
  G_OBJECT_CLASS (class)->finalize = usock_operation_finalize;
}

static void
usock_operation_init (UsockOperation *self)
{
}

UsockOperation *
usock_operation_new (gpointer             source,
                     gpointer             tag,
                     GAsyncReadyCallback  callback,
                     gpointer             user_data)
{
  UsockOperation *self = g_object_new (USOCK_TYPE_OPERATION, NULL);

  self->link.data = self;
  self->source = g_object_ref (source);
  self->tag = tag;
  self->callback = callback;
  self->user_data = user_data;

  return self;
}

/* For the one line in which it stands at a time. */
GList *
usock_operation_get_link (UsockOperation *self)
{
  return &self->link;
}

/* What the call is about; it stays until the operation goes. */
void
usock_operation_set_data (UsockOperation *self,
                          gpointer        data,
                          GDestroyNotify  free_data)
{
  g_assert (self->data == NULL);

  self->data = data;
  self->free_data = free_data;
}

gpointer
usock_operation_get_data (UsockOperation *self)
{
  return self->data;
}

/* @wake gets the source object, in whatever thread cancels, and perhaps once more than needed: it
 * may only wake the loop. */
void
usock_operation_set_cancellable (UsockOperation *self,
                                 GCancellable   *cancellable,
                                 GCallback       wake)
{
  Alarm *alarm;

  g_assert (self->cancellable == NULL);

  if (cancellable == NULL)
    return;

  alarm = g_new0 (Alarm, 1);
  g_weak_ref_init (&alarm->source, self->source);
  alarm->wake = (UsockOperationWake) wake;
  self->cancellable = g_object_ref (cancellable);
  self->handler = g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (alarm_cancelled),
                                         alarm, alarm_free, 0);
  if (g_cancellable_is_cancelled (cancellable))
    alarm_cancelled (cancellable, alarm);
}

gboolean
usock_operation_is_cancelled (UsockOperation *self)
{
  return self->cancellable != NULL && g_cancellable_is_cancelled (self->cancellable);
}

/* One that stands in several queues is done when it was taken from the last of them, or when it
 * fails, whichever comes first. Returns a reference for one more queue. */
UsockOperation *
usock_operation_mark (UsockOperation *self)
{
  self->n_marks++;
  return g_object_ref (self);
}

/* Takes the reference over, unless this was the last queue and nobody has decided yet. */
gboolean
usock_operation_unmark (UsockOperation *self)
{
  if (--self->n_marks == 0 && !self->decided)
    return TRUE;

  g_object_unref (self);
  return FALSE;
}

gboolean
usock_operation_is_decided (UsockOperation *self)
{
  return self->decided;
}

/* Whether it was decided without a result and without an error. */
gboolean
usock_operation_is_empty (UsockOperation *self)
{
  return self->decided && self->result == NULL && self->error == NULL;
}

void
usock_operation_return_pointer (UsockOperation *self,
                                gpointer        result,
                                GDestroyNotify  free_result)
{
  g_assert (!self->decided);

  self->decided = TRUE;
  self->result = result;
  self->free_result = free_result;
  operation_forget_cancellable (self);
}

void
usock_operation_return_error (UsockOperation *self,
                              GError         *error)
{
  g_assert (!self->decided);

  self->decided = TRUE;
  self->error = error;
  operation_forget_cancellable (self);
}

void
usock_operation_complete (UsockOperation *self)
{
  GAsyncReadyCallback callback = g_steal_pointer (&self->callback);

  if (callback != NULL)
    callback (self->source, G_ASYNC_RESULT (self), self->user_data);
}

/* FALSE also for a result of another call, which is a mistake in the program. A pointer is handed
 * out once; a failure stays one however often it is asked for. */
gboolean
usock_operation_propagate (GAsyncResult  *result,
                           gpointer       source,
                           gpointer       tag,
                           gpointer      *pointer,
                           GError       **error)
{
  UsockOperation *self;

  if (pointer != NULL)
    *pointer = NULL;

  g_return_val_if_fail (USOCK_IS_OPERATION (result), FALSE);
  self = USOCK_OPERATION (result);
  g_return_val_if_fail (self->source == source && self->tag == tag, FALSE);

  if (self->error != NULL)
    {
      g_propagate_error (error, g_error_copy (self->error));
      return FALSE;
    }

  if (pointer != NULL)
    *pointer = g_steal_pointer (&self->result);
  return TRUE;
}
