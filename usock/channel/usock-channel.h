/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-message.h"
#include "usock-socket.h"

G_BEGIN_DECLS

#define USOCK_TYPE_CHANNEL (usock_channel_get_type ())

USOCK_DECLARE_TYPE (UsockChannel, usock_channel, CHANNEL, UsockSocket)

/**
 * UsockReceiveFunc: (skip)
 * @channel: the channel
 * @data: (array length=length): the payload of one message; it is the library's, and gone when this
 *   returns
 * @length: how many bytes there are, not counting the NUL that stands behind them
 * @user_data: what [method@Usock.Channel.set_receive_func] was given
 *
 * Takes what a channel receives.
 *
 * Since: 1.0
 */
typedef void (*UsockReceiveFunc) (UsockChannel *channel,
                                  const guint8 *data,
                                  gsize         length,
                                  gpointer      user_data);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_connect_to_path        (UsockChannel         *self,
                                                    const char           *path,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_connect_to_address     (UsockChannel         *self,
                                                    GSocketAddress       *address,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_connect_to_name        (UsockChannel         *self,
                                                    const char           *name,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_connect_to_path_async  (UsockChannel         *self,
                                                    const char           *path,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_connect_to_path_finish (UsockChannel         *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_connect_when_available_async
                                                   (UsockChannel         *self,
                                                    const char           *path,
                                                    gint                  timeout,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_connect_when_available_finish
                                                   (UsockChannel         *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_connect_async          (UsockChannel         *self,
                                                    GSocketAddress       *address,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_connect_finish         (UsockChannel         *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_send                   (UsockChannel         *self,
                                                    const guint8         *data,
                                                    gsize                 length,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_send_bytes             (UsockChannel         *self,
                                                    GBytes               *bytes,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_send_text              (UsockChannel         *self,
                                                    const char           *text,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_send_with_fds          (UsockChannel         *self,
                                                    const guint8         *data,
                                                    gsize                 length,
                                                    const gint           *fds,
                                                    gsize                 n_fds,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_send_message           (UsockChannel         *self,
                                                    UsockMessage         *message,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
gssize        usock_channel_send_now               (UsockChannel         *self,
                                                    const guint8         *data,
                                                    gsize                 length,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
gsize         usock_channel_send_messages          (UsockChannel         *self,
                                                    UsockMessage        **messages,
                                                    gsize                 n_messages,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_send_message_async     (UsockChannel         *self,
                                                    UsockMessage         *message,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_send_message_finish    (UsockChannel         *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_post                   (UsockChannel         *self,
                                                    UsockMessage         *message,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_receive_async          (UsockChannel         *self,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
UsockMessage *usock_channel_receive_finish         (UsockChannel         *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_receive_func       (UsockChannel         *self,
                                                    UsockReceiveFunc      func,
                                                    gpointer              user_data,
                                                    GDestroyNotify        free_data);
USOCK_AVAILABLE_IN_1_0
UsockMessage **usock_channel_take_messages         (UsockChannel         *self,
                                                    guint                 max,
                                                    gsize                *n_messages);
USOCK_AVAILABLE_IN_1_0
guint8       *usock_channel_take_payloads          (UsockChannel         *self,
                                                    guint                 max,
                                                    gsize                *length,
                                                    guint               **lengths,
                                                    gsize                *n_payloads);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_unread_messages        (UsockChannel         *self,
                                                    UsockMessage        **messages,
                                                    gsize                 n_messages,
                                                    GError              **error);

USOCK_AVAILABLE_IN_1_0
void          usock_channel_flush_async            (UsockChannel         *self,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_flush_finish           (UsockChannel         *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_end                    (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_end_with_message       (UsockChannel         *self,
                                                    UsockMessage         *message,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_end_async              (UsockChannel         *self,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_end_finish             (UsockChannel         *self,
                                                    GAsyncResult         *result,
                                                    GError              **error);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_close_gracefully_async (UsockChannel         *self,
                                                    gint                  timeout,
                                                    GCancellable         *cancellable,
                                                    GAsyncReadyCallback   callback,
                                                    gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_close_gracefully_finish (UsockChannel        *self,
                                                     GAsyncResult        *result,
                                                     GError             **error);

USOCK_AVAILABLE_IN_1_0
void          usock_channel_pause                  (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_resume                 (UsockChannel         *self);

USOCK_AVAILABLE_IN_1_0
guint64       usock_channel_get_bytes_read         (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
guint64       usock_channel_get_bytes_written      (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
guint64       usock_channel_get_messages_read      (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
guint64       usock_channel_get_messages_written   (UsockChannel         *self);

USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_get_paused             (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
guint64       usock_channel_get_queued_bytes       (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
guint64       usock_channel_get_high_water_mark    (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_high_water_mark    (UsockChannel         *self,
                                                    guint64               high_water_mark);
USOCK_AVAILABLE_IN_1_0
guint64       usock_channel_get_queue_limit        (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_queue_limit        (UsockChannel         *self,
                                                    guint64               queue_limit);
USOCK_AVAILABLE_IN_1_0
guint         usock_channel_get_read_buffer_size   (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_read_buffer_size   (UsockChannel         *self,
                                                    guint                 read_buffer_size);
USOCK_AVAILABLE_IN_1_0
guint         usock_channel_get_idle_timeout       (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_idle_timeout       (UsockChannel         *self,
                                                    guint                 idle_timeout);
USOCK_AVAILABLE_IN_1_0
guint         usock_channel_get_send_timeout       (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_send_timeout       (UsockChannel         *self,
                                                    guint                 send_timeout);
USOCK_AVAILABLE_IN_1_0
guint         usock_channel_get_connect_timeout    (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_connect_timeout    (UsockChannel         *self,
                                                    guint                 connect_timeout);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_get_pass_credentials   (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_pass_credentials   (UsockChannel         *self,
                                                    gboolean              pass_credentials);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_get_pass_pidfd         (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_pass_pidfd         (UsockChannel         *self,
                                                    gboolean              pass_pidfd);
USOCK_AVAILABLE_IN_1_0
guint         usock_channel_get_max_fds            (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_max_fds            (UsockChannel         *self,
                                                    guint                 max_fds);
USOCK_AVAILABLE_IN_1_0
guint         usock_channel_get_max_held_fds       (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_max_held_fds       (UsockChannel         *self,
                                                    guint                 max_held_fds);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_get_memfd_fallback     (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_memfd_fallback     (UsockChannel         *self,
                                                    gboolean              memfd_fallback);
USOCK_AVAILABLE_IN_1_0
gboolean      usock_channel_get_allow_half_open    (UsockChannel         *self);
USOCK_AVAILABLE_IN_1_0
void          usock_channel_set_allow_half_open    (UsockChannel         *self,
                                                    gboolean              allow_half_open);

G_END_DECLS
