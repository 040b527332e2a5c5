/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include <gio/gio.h>

#include "usock-version.h"

G_BEGIN_DECLS

/* The classes are sealed for C: their structs are private, so no header can declare them with
 * G_DECLARE_FINAL_TYPE, which wants the parent's class struct. They are not flagged final either:
 * scripts derive from the leaves, and the flag makes GJS abort when they do. */
#define USOCK_DECLARE_TYPE(TypeName, type_name, NAME, ParentName)                                  \
  USOCK_AVAILABLE_IN_1_0                                                                           \
  GType type_name##_get_type (void);                                                               \
  typedef struct _##TypeName TypeName;                                                             \
  typedef struct _##TypeName##Class TypeName##Class;                                               \
  _GLIB_DEFINE_AUTOPTR_CHAINUP (TypeName, ParentName)                                              \
  G_GNUC_UNUSED static inline TypeName *USOCK_##NAME (gpointer instance)                           \
  {                                                                                                \
    return G_TYPE_CHECK_INSTANCE_CAST (instance, type_name##_get_type (), TypeName);               \
  }                                                                                                \
  G_GNUC_UNUSED static inline gboolean USOCK_IS_##NAME (gpointer instance)                         \
  {                                                                                                \
    return G_TYPE_CHECK_INSTANCE_TYPE (instance, type_name##_get_type ());                         \
  }

/**
 * UsockState:
 * @USOCK_STATE_NEW: nothing was asked of the socket yet, or connecting failed at once
 * @USOCK_STATE_CONNECTING: the connection is being made; what is sent meanwhile is queued
 * @USOCK_STATE_LISTENING: a server that accepts connections
 * @USOCK_STATE_OPEN: messages may go both ways
 * @USOCK_STATE_READ_ONLY: our side has ended; the peer may still send
 * @USOCK_STATE_WRITE_ONLY: the peer has ended; we may still send
 * @USOCK_STATE_CLOSING: no more messages are taken; those accepted before are being delivered
 * @USOCK_STATE_CLOSED: the descriptor is closed; the object cannot be used again
 *
 * Where a socket is in its life. It never goes back, but from
 * `CONNECTING` to `NEW`, when connecting is cancelled.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_STATE_NEW,
  USOCK_STATE_CONNECTING,
  USOCK_STATE_LISTENING,
  USOCK_STATE_OPEN,
  USOCK_STATE_READ_ONLY,
  USOCK_STATE_WRITE_ONLY,
  USOCK_STATE_CLOSING,
  USOCK_STATE_CLOSED,
} UsockState;

/**
 * UsockMessageFlags:
 * @USOCK_MESSAGE_FLAGS_NONE: the message is whole
 * @USOCK_MESSAGE_FLAGS_TRUNCATED: the message was longer than the read buffer, or than there
 *   was memory for; its end is lost
 * @USOCK_MESSAGE_FLAGS_FDS_LOST: descriptors came with the message and could not be taken; none
 *   of them is in the message
 * @USOCK_MESSAGE_FLAGS_CUT_OFF: the peer ended before what was waited for on a stream had come as
 *   a whole
 *
 * What is known about a received message.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  USOCK_MESSAGE_FLAGS_NONE = 0,
  USOCK_MESSAGE_FLAGS_TRUNCATED = 1 << 0,
  USOCK_MESSAGE_FLAGS_FDS_LOST = 1 << 1,
  USOCK_MESSAGE_FLAGS_CUT_OFF = 1 << 2,
} UsockMessageFlags;

/**
 * UsockFdKind:
 * @USOCK_FD_KIND_OTHER: something else, an epoll or an eventfd for example
 * @USOCK_FD_KIND_FILE: a regular file
 * @USOCK_FD_KIND_DIRECTORY: a directory
 * @USOCK_FD_KIND_SOCKET: a socket
 * @USOCK_FD_KIND_PIPE: a pipe or FIFO
 * @USOCK_FD_KIND_DEVICE: a character or block device
 * @USOCK_FD_KIND_MEMFD: anonymous memory, see memfd_create(2)
 * @USOCK_FD_KIND_PIDFD: a process, see pidfd_open(2)
 *
 * What a descriptor refers to.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_FD_KIND_OTHER,
  USOCK_FD_KIND_FILE,
  USOCK_FD_KIND_DIRECTORY,
  USOCK_FD_KIND_SOCKET,
  USOCK_FD_KIND_PIPE,
  USOCK_FD_KIND_DEVICE,
  USOCK_FD_KIND_MEMFD,
  USOCK_FD_KIND_PIDFD,
} UsockFdKind;

/**
 * UsockBodyKind:
 * @USOCK_BODY_KIND_NONE: nothing, which is not the same as no bytes
 * @USOCK_BODY_KIND_BYTES: bytes
 * @USOCK_BODY_KIND_TEXT: text in UTF-8, without a NUL
 * @USOCK_BODY_KIND_VARIANT: a value with its type, see [struct@GLib.Variant]
 *
 * What the payload of a message is.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_BODY_KIND_NONE,
  USOCK_BODY_KIND_BYTES,
  USOCK_BODY_KIND_TEXT,
  USOCK_BODY_KIND_VARIANT,
} UsockBodyKind;

/**
 * UsockMsgFlags:
 * @USOCK_MSG_NONE: nothing special
 * @USOCK_MSG_OOB: send or receive urgent data, out of band
 * @USOCK_MSG_PEEK: look at what waits and leave it there
 * @USOCK_MSG_DONTROUTE: send only to hosts of networks that are directly attached
 * @USOCK_MSG_CTRUNC: of a received message: there was more control data than room for it
 * @USOCK_MSG_TRUNC: of a received message: it was longer than the buffer; when receiving: tell
 *   how long it really was
 * @USOCK_MSG_DONTWAIT: fail rather than wait
 * @USOCK_MSG_EOR: the end of a record
 * @USOCK_MSG_WAITALL: wait until all that was asked for is there
 * @USOCK_MSG_CONFIRM: tell the link layer that the peer has answered
 * @USOCK_MSG_ERRQUEUE: receive from the queue of errors
 * @USOCK_MSG_NOSIGNAL: raise no SIGPIPE; sockets of this library never do
 * @USOCK_MSG_MORE: more of the same message follows
 * @USOCK_MSG_WAITFORONE: wait for the first message only, see recvmmsg(2)
 * @USOCK_MSG_ZEROCOPY: send without a copy; the queue of errors tells when that is done
 * @USOCK_MSG_FASTOPEN: connect, and send with the first packet
 * @USOCK_MSG_CMSG_CLOEXEC: received descriptors are close-on-exec; here they always are
 *
 * How to send or receive one message, and what is known about one that was
 * received. The values are those of `MSG_PEEK` and so on, see send(2) and
 * recv(2).
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  USOCK_MSG_NONE = 0,
  USOCK_MSG_OOB = 1 << 0,
  USOCK_MSG_PEEK = 1 << 1,
  USOCK_MSG_DONTROUTE = 1 << 2,
  USOCK_MSG_CTRUNC = 1 << 3,
  USOCK_MSG_TRUNC = 1 << 5,
  USOCK_MSG_DONTWAIT = 1 << 6,
  USOCK_MSG_EOR = 1 << 7,
  USOCK_MSG_WAITALL = 1 << 8,
  USOCK_MSG_CONFIRM = 1 << 11,
  USOCK_MSG_ERRQUEUE = 1 << 13,
  USOCK_MSG_NOSIGNAL = 1 << 14,
  USOCK_MSG_MORE = 1 << 15,
  USOCK_MSG_WAITFORONE = 1 << 16,
  USOCK_MSG_ZEROCOPY = 1 << 26,
  USOCK_MSG_FASTOPEN = 1 << 29,
  USOCK_MSG_CMSG_CLOEXEC = 1 << 30,
} UsockMsgFlags;

/**
 * UsockAllowedUsers:
 * @USOCK_ALLOWED_USERS_DEFAULT: everybody who may open the path; on an abstract name, which has no
 *   permissions, the user that the server runs as
 * @USOCK_ALLOWED_USERS_ANYONE: everybody who may open the path, or who knows the abstract name
 * @USOCK_ALLOWED_USERS_SAME_USER: processes of the user that the server runs as
 * @USOCK_ALLOWED_USERS_SAME_USER_OR_ROOT: those, and root's
 *
 * Whose connections a server takes.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_ALLOWED_USERS_DEFAULT,
  USOCK_ALLOWED_USERS_ANYONE,
  USOCK_ALLOWED_USERS_SAME_USER,
  USOCK_ALLOWED_USERS_SAME_USER_OR_ROOT,
} UsockAllowedUsers;

/**
 * UsockVerdict:
 * @USOCK_VERDICT_REFUSE: the connection is closed, and nothing that it sent is delivered
 * @USOCK_VERDICT_ALLOW: the connection is taken
 *
 * What a handler of [signal@Usock.Server::authorize] decides.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_VERDICT_REFUSE = 0,
  USOCK_VERDICT_ALLOW = 1,
} UsockVerdict;

/**
 * UsockDropReason:
 * @USOCK_DROP_REASON_USER: [property@Usock.Server:allowed-users] does not let the user in, or the
 *   system does not know him and he would have to be known
 * @USOCK_DROP_REASON_MAX_CONNECTIONS: there are [property@Usock.Server:max-connections]
 * @USOCK_DROP_REASON_MAX_CONNECTIONS_PER_USER: the user has
 *   [property@Usock.Server:max-connections-per-user]
 * @USOCK_DROP_REASON_REFUSED: a handler of [signal@Usock.Server::authorize] has refused it
 * @USOCK_DROP_REASON_ERROR: it could not be set up; [signal@Usock.Socket::error] tells why
 *
 * Why a server refused a connection.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_DROP_REASON_USER,
  USOCK_DROP_REASON_MAX_CONNECTIONS,
  USOCK_DROP_REASON_MAX_CONNECTIONS_PER_USER,
  USOCK_DROP_REASON_REFUSED,
  USOCK_DROP_REASON_ERROR,
} UsockDropReason;

/**
 * UsockSlowReaders:
 * @USOCK_SLOW_READERS_WAIT: messages wait for them, up to their queue limit; beyond it they miss
 *   messages
 * @USOCK_SLOW_READERS_SKIP: they miss the messages that are sent while an earlier one waits
 * @USOCK_SLOW_READERS_CLOSE: messages wait for them, up to their queue limit; beyond it they are
 *   closed, with an error
 *
 * What [method@Usock.Server.broadcast] does about connections that do not keep
 * up.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_SLOW_READERS_WAIT,
  USOCK_SLOW_READERS_SKIP,
  USOCK_SLOW_READERS_CLOSE,
} UsockSlowReaders;

typedef struct _UsockMessage UsockMessage;

G_END_DECLS
