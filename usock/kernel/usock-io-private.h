/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-io: every system call on a socket.
 *
 * Each function is one call, with the flags that must never be forgotten: close-on-exec,
 * non-blocking, no SIGPIPE, a control buffer that no message can overflow. It answers with a
 * result or a negative errno, retries EINTR, and never emits, allocates an object or decides
 * anything. That they are all in one room makes fault injection complete: the test build
 * compiles in a table of rules that any of them obeys. */

#pragma once

#include <poll.h>

#include "usock-address-private.h"
#include "usock-message-private.h"

G_BEGIN_DECLS

typedef enum
{
  USOCK_IO_NONE,
  USOCK_IO_SOCKET,
  USOCK_IO_PAIR,
  USOCK_IO_BIND,
  USOCK_IO_LISTEN,
  USOCK_IO_ACCEPT,
  USOCK_IO_CONNECT,
  USOCK_IO_SEND,
  USOCK_IO_RECEIVE,
  USOCK_IO_GET_OPTION,
  USOCK_IO_SET_OPTION,
  USOCK_IO_GET_NAME,
  USOCK_IO_SHUTDOWN,
  USOCK_IO_POLL,
} UsockIoCall;

/* How much of a send buffer is free. What is on its way to slow receivers fills it. Sending goes
 * on until it is full, but epoll reports room only while three quarters are free. */
typedef enum
{
  USOCK_IO_FREE,
  USOCK_IO_CROWDED,
  USOCK_IO_FULL,
} UsockIoRoom;

#define USOCK_IO_BATCH_MAX 64
#define USOCK_IO_FDS_MAX 253
#define USOCK_IO_OTHERS_MAX 48

/* What the kernel takes at the most in one message on AF_UNIX, whatever SO_SNDBUF says: above
 * it, sendmsg() answers ENOBUFS. */
#define USOCK_IO_MESSAGE_MAX 4263616

typedef struct _UsockIoBatch UsockIoBatch;

typedef struct
{
  const guint8 *data; /* writable at data[length], where a NUL may be put */
  gsize length;
  gsize full_length;
  gboolean truncated;
  gboolean is_full; /* as long as was asked for */
  gboolean has_control; /* more came along than the time */
} UsockIoPacket;

typedef struct
{
  int fds[USOCK_IO_FDS_MAX];
  guint n_fds;
  gboolean fds_lost;
  int pidfd; /* the receiver's, like the descriptors, or -1 */
  int msg_flags;
  gboolean has_credentials;
  UsockCredentials credentials;
  gint64 timestamp; /* in nanoseconds */
  UsockControl others[USOCK_IO_OTHERS_MAX];
  guint n_others;
} UsockIoControl;

/* getsockname() may say 111, one more byte than a sockaddr_un has. */
typedef union
{
  struct sockaddr any;
  struct sockaddr_storage storage;
} UsockIoNative;

/* Room for 253 descriptors, credentials, a pidfd, the time and a security label: a control
 * buffer that is too small makes the kernel drop descriptors. The odd number of cache lines
 * keeps the buffers of one batch from sharing cache sets. */
#define USOCK_IO_CONTROL_SIZE 1600

/* One message to be received, where the caller wants it, and what came along. */
typedef struct
{
  struct iovec *iov;
  guint n_iov;
  int family;

  gboolean has_control;
  UsockIoControl control; /* points into the buffer */
  UsockIoNative name;
  socklen_t name_length;
  _Alignas (16) char buffer[USOCK_IO_CONTROL_SIZE];
} UsockIoIncoming;

typedef struct
{
  const struct iovec *iov;
  guint n_iov;
  const int *fds;
  guint n_fds;
  const UsockCredentials *credentials;
  const UsockControl *controls;
  guint n_controls;
  const UsockName *destination;
} UsockIoOutgoing;

const char      *usock_io_call_name         (UsockIoCall            call);

int              usock_io_socket            (int                    family,
                                             int                    type,
                                             int                    protocol);
int              usock_io_pair              (int                    type,
                                             int                    fds[2]);
int              usock_io_bind              (int                    fd,
                                             const UsockName       *name);
int              usock_io_rename_new        (int                    directory,
                                             const char            *from,
                                             const char            *to);
int              usock_io_explain_bind      (const UsockName       *name,
                                             int                    errnum);
int              usock_io_connect           (int                    fd,
                                             const UsockName       *name);
int              usock_io_listen            (int                    fd,
                                             int                    backlog);
int              usock_io_accept            (int                    fd);
int              usock_io_prepare_adopted   (int                    fd);
int              usock_io_accept_from       (int                    fd,
                                             GSocketAddress       **address);
int              usock_io_disconnect        (int                    fd);
int              usock_io_shutdown          (int                    fd,
                                             int                    how);
int              usock_io_set_nonblocking   (int                    fd,
                                             gboolean               nonblocking);
int              usock_io_poll              (struct pollfd         *fds,
                                             guint                  n_fds,
                                             int                    timeout);

int              usock_io_get_option        (int                    fd,
                                             int                    level,
                                             int                    name,
                                             int                   *value);
int              usock_io_set_option        (int                    fd,
                                             int                    level,
                                             int                    name,
                                             int                    value);
int              usock_io_get_option_bytes  (int                    fd,
                                             int                    level,
                                             int                    name,
                                             gpointer               data,
                                             socklen_t             *length);
int              usock_io_set_option_bytes  (int                    fd,
                                             int                    level,
                                             int                    name,
                                             gconstpointer          data,
                                             socklen_t              length);
int              usock_io_set_credentials   (int                    fd,
                                             gboolean               pass);
int              usock_io_set_pidfds        (int                    fd,
                                             gboolean               pass);
int              usock_io_set_markers       (int                    fd);
int              usock_io_refuse_fds        (int                    fd,
                                             gboolean               refuse);
void             usock_io_set_plain         (int                    fd);
int              usock_io_set_abort         (int                    fd);
int              usock_io_make_room         (int                    fd,
                                             gsize                  message_length);
int              usock_io_get_peer_credentials (int                 fd,
                                             UsockCredentials      *credentials);
int              usock_io_get_peer_pidfd    (int                    fd);
int              usock_io_get_peer_groups   (int                    fd,
                                             guint                 *groups,
                                             gsize                 *n_groups);
int              usock_io_get_peer_label    (int                    fd,
                                             char                  *label,
                                             gsize                 *length);
GSocketAddress  *usock_io_get_local_address (int                    fd);
GSocketAddress  *usock_io_get_remote_address (int                   fd);

gboolean         usock_io_peer_is_missing   (int                    fd);
int              usock_io_take_error        (int                    fd);
gboolean         usock_io_has_input         (int                    fd);
GSocketConnection *
                 usock_io_new_connection    (int                    fd,
                                             GError               **error);
gboolean         usock_io_has_hung_up       (int                    fd);
gboolean         usock_io_peer_is_self      (int                    fd);

guint            usock_io_advance_iov       (struct iovec          *iov,
                                             guint                  n_iov,
                                             gsize                  sent);
gssize           usock_io_send_data         (int                    fd,
                                             gconstpointer          data,
                                             gsize                  length);
gssize           usock_io_send_data_to      (int                    fd,
                                             gconstpointer          data,
                                             gsize                  length,
                                             const UsockName       *destination);
UsockIoRoom      usock_io_get_room          (int                    fd);
gssize           usock_io_get_unread        (int                    fd);
gboolean         usock_io_grow_buffer       (int                    fd);
gssize           usock_io_send              (int                    fd,
                                             const UsockIoOutgoing *outgoing);
int              usock_io_send_batch        (int                    fd,
                                             const UsockIoOutgoing *outgoing,
                                             guint                  n_outgoing);

gssize           usock_io_send_message      (int                    fd,
                                             const UsockIoOutgoing *outgoing,
                                             int                    flags);
gssize           usock_io_receive_message   (int                    fd,
                                             UsockIoIncoming       *incoming,
                                             int                    flags);
char            *usock_io_incoming_get_sender (const UsockIoIncoming *incoming);
void             usock_io_incoming_sign      (const UsockIoIncoming *incoming,
                                              UsockMessage          *message);

UsockIoBatch    *usock_io_batch_new         (gsize                  slot_size);
void             usock_io_batch_free        (UsockIoBatch          *batch);
gsize            usock_io_batch_slot_size   (const UsockIoBatch    *batch);
guint            usock_io_batch_n_slots     (const UsockIoBatch    *batch);
int              usock_io_receive           (int                    fd,
                                             UsockIoBatch          *batch,
                                             gsize                  max_length,
                                             guint                  n_messages,
                                             gboolean               with_senders);
gssize           usock_io_receive_bytes     (int                    fd,
                                             UsockIoBatch          *batch,
                                             gsize                  max_length);
guint            usock_io_batch_count       (const UsockIoBatch    *batch,
                                             guint                  n,
                                             gboolean               may_end,
                                             gsize                 *bytes);
gboolean         usock_io_batch_get_plain   (UsockIoBatch          *batch,
                                             guint                  index,
                                             guint8               **data,
                                             gsize                 *length);
void             usock_io_batch_get         (UsockIoBatch          *batch,
                                             guint                  index,
                                             UsockIoPacket         *packet);
void             usock_io_batch_get_control (UsockIoBatch          *batch,
                                             guint                  index,
                                             UsockIoControl        *control);
gint64           usock_io_batch_get_time    (UsockIoBatch          *batch,
                                             guint                  index,
                                             int                   *msg_flags);
char            *usock_io_batch_get_sender  (UsockIoBatch          *batch,
                                             guint                  index);
void             usock_io_batch_sign         (UsockIoBatch          *batch,
                                             guint                  index,
                                             UsockMessage          *message);
int              usock_io_peek_end          (int                    fd,
                                             gboolean               stream,
                                             gboolean              *at_end);

void             usock_io_close             (int                    fd);
void             usock_io_close_foreign     (int                    fd,
                                             UsockTally            *owner);
void             usock_io_close_now         (int                    fd);

#ifdef USOCK_FAULTS
/* In place of an errno: half as many bytes as asked for, or none. Of byte streams only. */
#define USOCK_IO_SHORT (-1)
#define USOCK_IO_ZERO (-2)

/* The next @nth call of that kind, and with @every also each @every th after it, fails; with EINTR it
 * is interrupted, and made again. */
void             usock_io_fault_add         (UsockIoCall            call,
                                             int                    errnum,
                                             guint                  nth,
                                             guint                  every);
void             usock_io_fault_clear       (void);
guint            usock_io_fault_get_n_calls (UsockIoCall            call);
#endif

G_END_DECLS
