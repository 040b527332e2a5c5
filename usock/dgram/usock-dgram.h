/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-channel.h"

G_BEGIN_DECLS

#define USOCK_TYPE_DGRAM (usock_dgram_get_type ())

USOCK_DECLARE_TYPE (UsockDgram, usock_dgram, DGRAM, UsockChannel)

USOCK_AVAILABLE_IN_1_0
UsockDgram *usock_dgram_new                     (void);
USOCK_AVAILABLE_IN_1_0
UsockDgram *usock_dgram_new_from_fd             (gint                  fd,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
UsockDgram *usock_dgram_new_activated           (const char           *name,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_new_pair                (UsockDgram          **first,
                                                 UsockDgram          **second,
                                                 GError              **error);

USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_bind_to_path            (UsockDgram           *self,
                                                 const char           *path,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_bind_to_address         (UsockDgram           *self,
                                                 GSocketAddress       *address,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_autobind                (UsockDgram           *self,
                                                 GError              **error);

USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_forget_peer             (UsockDgram           *self,
                                                 GError              **error);

USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_send_to                 (UsockDgram           *self,
                                                 const guint8         *data,
                                                 gsize                 length,
                                                 const char           *destination,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
void        usock_dgram_send_message_to_text_async
                                                (UsockDgram           *self,
                                                 UsockMessage         *message,
                                                 const char           *destination,
                                                 GCancellable         *cancellable,
                                                 GAsyncReadyCallback   callback,
                                                 gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_send_message_to_text_finish
                                                (UsockDgram           *self,
                                                 GAsyncResult         *result,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_send_message_to         (UsockDgram           *self,
                                                 UsockMessage         *message,
                                                 GSocketAddress       *destination,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
gsize       usock_dgram_send_message_to_all     (UsockDgram           *self,
                                                 UsockMessage         *message,
                                                 const char * const   *destinations,
                                                 GError              **error);
USOCK_AVAILABLE_IN_1_0
void        usock_dgram_send_message_to_async   (UsockDgram           *self,
                                                 UsockMessage         *message,
                                                 GSocketAddress       *destination,
                                                 GCancellable         *cancellable,
                                                 GAsyncReadyCallback   callback,
                                                 gpointer              user_data);
USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_send_message_to_finish  (UsockDgram           *self,
                                                 GAsyncResult         *result,
                                                 GError              **error);

USOCK_AVAILABLE_IN_1_0
guint       usock_dgram_get_mode                (UsockDgram           *self);
USOCK_AVAILABLE_IN_1_0
void        usock_dgram_set_mode                (UsockDgram           *self,
                                                 guint                 mode);
USOCK_AVAILABLE_IN_1_0
gboolean    usock_dgram_get_unlink_on_close     (UsockDgram           *self);
USOCK_AVAILABLE_IN_1_0
void        usock_dgram_set_unlink_on_close     (UsockDgram           *self,
                                                 gboolean              unlink_on_close);
USOCK_AVAILABLE_IN_1_0
guint       usock_dgram_get_receive_buffer_size (UsockDgram           *self);
USOCK_AVAILABLE_IN_1_0
void        usock_dgram_set_receive_buffer_size (UsockDgram           *self,
                                                 guint                 receive_buffer_size);
USOCK_AVAILABLE_IN_1_0
guint       usock_dgram_get_send_buffer_size    (UsockDgram           *self);
USOCK_AVAILABLE_IN_1_0
void        usock_dgram_set_send_buffer_size    (UsockDgram           *self,
                                                 guint                 send_buffer_size);

G_END_DECLS
