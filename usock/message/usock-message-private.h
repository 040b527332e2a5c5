/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include "usock-closer-private.h"
#include "usock-control-private.h"
#include "usock-message.h"

G_BEGIN_DECLS

typedef GSocketAddress *(*UsockReadNative) (const struct sockaddr *native, socklen_t length);
typedef char *(*UsockTellNative) (const struct sockaddr *native, socklen_t length);

/* The kernel's struct ucred, without its header. */
typedef struct
{
  pid_t pid;
  uid_t uid;
  gid_t gid;
} UsockCredentials;

/* For the files of this room, which are five: making a message and its payload (usock-message.c),
 * what that is (-body.c) and where (-memfd.c), its descriptors (-fd.c), and what else came or goes along (-control.c). */
struct _UsockMessage
{
  gatomicrefcount ref_count;

  GPtrArray *segments; /* of GBytes; NULL while there is but one */
  GBytes *bytes;       /* the only segment, or all of them joined when somebody asked */
  gboolean is_short;   /* the payload is here, and `bytes` a copy when somebody asked */
  gsize length;
  gsize full_length;

  int *fds; /* -1 where one was taken */
  guint n_fds;
  guint n_pins;
  UsockCloseFd close_fd;
  UsockTally *tally; /* of the connection that it came by, if there is one */

  GCredentials *credentials;
  GArray *controls; /* of UsockControl, but for those that have their own place here; or NULL */
  int pidfd;
  char *sender;
  gpointer sender_native; /* of sender_length bytes */
  socklen_t sender_length;
  UsockReadNative read_native; /* NULL once somebody has asked for the address */
  UsockTellNative tell_native; /* and for the text */
  GSocketAddress *sender_address;
  gint64 timestamp; /* in nanoseconds */
  gboolean has_time_record; /* the time is among the controls too */
  UsockMessageFlags flags;
  UsockMsgFlags msg_flags;
  UsockBodyKind kind;
  GVariant *variant; /* what the bytes are the serialized form of */
  int memfd;         /* whose content they are; or -1 */
  gboolean frozen;
  gboolean received;

  guint8 payload[]; /* with a NUL behind it, where it is short */
};

/* Guards what two threads that share a message may both change. */
extern GMutex usock_message_lock;

/* usock-message: what the rooms above may do to a message that a program may not. */
UsockMessage           *usock_message_new_received     (gconstpointer           data,
                                                        gsize                   length,
                                                        gsize                   full_length);
UsockMessage           *usock_message_new_assembled    (GBytes                 *bytes);
UsockMessage           *usock_message_new_taken        (gpointer                data,
                                                        gsize                   length,
                                                        gsize                   full_length);
UsockMessage           *usock_message_new_part         (UsockMessage           *carrier,
                                                        UsockBodyKind           kind,
                                                        GBytes                 *bytes,
                                                        GVariant               *value);
GVariant               *usock_message_read_variant     (const GVariantType     *type,
                                                        GBytes                 *bytes);
GBytes                 *usock_message_map_memfd        (int                     fd,
                                                        GError                **error);
void                    usock_message_set_memfd        (UsockMessage           *self,
                                                        int                     fd);
int                     usock_message_get_memfd        (UsockMessage           *self);
UsockMessage           *usock_message_new_wrapped      (gconstpointer           data,
                                                        gsize                   length,
                                                        GError                **error);
void                    usock_message_move_fds         (UsockMessage           *self,
                                                        UsockMessage           *from);
gboolean                usock_message_append_fds_of    (UsockMessage           *self,
                                                        UsockMessage           *other,
                                                        GError                **error);
void                    usock_message_cut              (UsockMessage           *self,
                                                        const gsize            *sizes,
                                                        gsize                   n_sizes);
void                    usock_message_receive_fds      (UsockMessage           *self,
                                                        const int              *fds,
                                                        guint                   n_fds,
                                                        UsockCloseFd            close_fd);
void                    usock_message_receive_tally    (UsockMessage           *self,
                                                        UsockTally             *tally);
void                    usock_message_receive_info     (UsockMessage           *self,
                                                        UsockMessageFlags       flags,
                                                        const UsockCredentials *credentials,
                                                        gint64                  timestamp,
                                                        const char             *sender);
void                    usock_message_receive_sender   (UsockMessage           *self,
                                                        const struct sockaddr  *native,
                                                        socklen_t               length,
                                                        UsockReadNative         read_native,
                                                        UsockTellNative         tell_native);
void                    usock_message_receive_msg_flags (UsockMessage          *self,
                                                        UsockMsgFlags           msg_flags);
void                    usock_message_receive_controls (UsockMessage           *self,
                                                        const UsockControl     *controls,
                                                        guint                   n_controls,
                                                        int                     pidfd);

void                    usock_message_freeze           (UsockMessage           *self);
gboolean                usock_message_is_plain         (UsockMessage           *self);
guint                   usock_message_get_iov          (UsockMessage           *self,
                                                        struct iovec           *iov,
                                                        guint                   max_iov);
UsockTally             *usock_message_ref_tally        (UsockMessage           *self);
const int              *usock_message_peek_fds         (UsockMessage           *self,
                                                        guint                  *n_fds);
gboolean                usock_message_peek_credentials (UsockMessage           *self,
                                                        UsockCredentials       *credentials);
const UsockControl     *usock_message_peek_controls    (UsockMessage           *self,
                                                        guint                  *n_controls);

void                    usock_message_pin_fds          (UsockMessage           *self);
void                    usock_message_unpin_fds        (UsockMessage           *self);

G_END_DECLS
