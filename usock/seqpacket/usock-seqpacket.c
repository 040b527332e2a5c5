/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-seqpacket.h"

#include "usock-activation-private.h"
#include "usock-channel-private.h"

/**
 * UsockSeqpacket:
 *
 * A connection over which messages travel whole and in order: `SOCK_SEQPACKET`
 * of unix(7).
 *
 * An empty message is a message, and never taken for the end. Messages may be
 * as large as the kernel allows, 4,263,616 bytes at the most; the send buffer
 * grows with them. Descriptors and credentials travel with
 * [struct@Usock.Message].
 *
 * ```c
 * g_autoptr (GError) error = NULL;
 * UsockSeqpacket *client = usock_seqpacket_new ();
 *
 * if (!usock_channel_connect_to_path (USOCK_CHANNEL (client), path, &error)
 *     || !usock_channel_send_text (USOCK_CHANNEL (client), "hello", &error))
 *   g_printerr ("%s\n", error->message);
 * ```
 *
 * Since: 1.0
 */
struct _UsockSeqpacket
{
  UsockChannel parent_instance;
};

struct _UsockSeqpacketClass
{
  UsockChannelClass parent_class;
};

G_DEFINE_TYPE (UsockSeqpacket, usock_seqpacket, USOCK_TYPE_CHANNEL)

static void
usock_seqpacket_class_init (UsockSeqpacketClass *class)
{
}

static void
usock_seqpacket_init (UsockSeqpacket *self)
{
  UsockSocket *socket = USOCK_SOCKET (self);

  socket->family = AF_UNIX;
  socket->type = SOCK_SEQPACKET;
}

/**
 * usock_seqpacket_new:
 *
 * Makes a channel that is not connected yet.
 *
 * Returns: (transfer full): a new channel
 *
 * Since: 1.0
 */
UsockSeqpacket *
usock_seqpacket_new (void)
{
  return g_object_new (USOCK_TYPE_SEQPACKET, NULL);
}

/**
 * usock_seqpacket_new_from_fd:
 * @fd: a connected descriptor; the channel's on success, else still the caller's
 * @error: return location for an error
 *
 * Makes a channel of a descriptor that was inherited or received. Its flags
 * stay as they are; no [signal@Usock.Channel::connect] is emitted.
 *
 * Descriptors are refused from now on, until [property@Usock.Channel:max-fds] lets them in: a peer
 * that may send some at once should be told when that is done.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open, no socket, or of
 * another type, and with `G_IO_ERROR_NOT_CONNECTED` if it listens or has no peer.
 *
 * Returns: (transfer full): a new channel, which is open
 *
 * Since: 1.0
 */
UsockSeqpacket *
usock_seqpacket_new_from_fd (gint     fd,
                             GError **error)
{
  g_autoptr (UsockSeqpacket) self = usock_seqpacket_new ();

  if (!usock_channel_adopt (USOCK_CHANNEL (self), fd, error))
    return NULL;

  return g_steal_pointer (&self);
}

/**
 * usock_seqpacket_new_from_bound_fd:
 * @fd: a descriptor that is not connected; the channel's on success, else still the caller's
 * @error: return location for an error
 *
 * Makes a channel of a socket of this machine that is bound to a name of its own and not connected
 * yet, for [method@Usock.Channel.connect_to_path] and the like to connect: the server then sees
 * that name. If connecting fails at once, the channel keeps the descriptor, and may try again. The
 * descriptor no longer blocks.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open, no socket, or of another family or
 * type, and with `G_IO_ERROR_EXISTS` if it listens or has a peer.
 *
 * Returns: (transfer full): a new channel, which is not connected yet
 *
 * Since: 1.0
 */
UsockSeqpacket *
usock_seqpacket_new_from_bound_fd (gint     fd,
                                   GError **error)
{
  g_autoptr (UsockSeqpacket) self = usock_seqpacket_new ();

  if (!usock_channel_adopt_bound (USOCK_CHANNEL (self), fd, error))
    return NULL;

  return g_steal_pointer (&self);
}

/**
 * usock_seqpacket_new_activated: (constructor)
 * @name: (nullable): what the service manager named the socket, `FileDescriptorName=` in
 *   systemd.socket(5); %NULL for the first one of this type
 * @error: return location for an error
 *
 * Makes a channel of the connection that the service manager accepted and passed
 * when it started this program for it: `Accept=yes` in systemd.socket(5). If
 * several have that name, each call takes another one.
 *
 * For what becomes of the environment see [method@Usock.Server.listen_activated].
 *
 * Fails with `G_IO_ERROR_NOT_FOUND` if none was passed, or none of that name is
 * left, with `G_IO_ERROR_INVALID_ARGUMENT` if none of those is a connection of
 * this type, and with the errors of [ctor@Usock.Seqpacket.new_from_fd]. The socket may be taken
 * again then.
 *
 * Returns: (transfer full): a new channel, which is open
 *
 * Since: 1.0
 */
UsockSeqpacket *
usock_seqpacket_new_activated (const char  *name,
                               GError     **error)
{
  int fd = usock_activation_take (name, SOCK_SEQPACKET, USOCK_ACTIVATION_CONNECTION, error);
  UsockSeqpacket *self;

  if (fd == -1)
    return NULL;

  self = usock_seqpacket_new_from_fd (fd, error);
  usock_activation_settle (fd, self != NULL);
  return self;
}

/**
 * usock_seqpacket_new_for_name: (constructor)
 * @name: what the service is known by, `org.example.App` for one; no path
 * @error: return location for an error
 *
 * Makes a channel that is connected to a service of the same user, or is
 * connecting, as with [method@Usock.Channel.connect_to_name], and with the same
 * errors. What is sent at once is not lost. [ctor@Usock.Server.new_for_name] is the
 * service’s part.
 *
 * Returns: (transfer full): a new channel
 *
 * Since: 1.0
 */
UsockSeqpacket *
usock_seqpacket_new_for_name (const char  *name,
                              GError     **error)
{
  g_autoptr (UsockSeqpacket) self = usock_seqpacket_new ();

  g_return_val_if_fail (name != NULL, NULL);

  if (!usock_channel_connect_to_name (USOCK_CHANNEL (self), name, error))
    return NULL;

  return g_steal_pointer (&self);
}

/**
 * usock_seqpacket_new_pair:
 * @first: (out) (transfer full): one end
 * @second: (out) (transfer full): the other end
 * @error: return location for an error
 *
 * Makes two channels that are connected to each other, see socketpair(2).
 * Fails if the process may open no more descriptors.
 *
 * Returns: whether they were made
 *
 * Since: 1.0
 */
gboolean
usock_seqpacket_new_pair (UsockSeqpacket **first,
                          UsockSeqpacket **second,
                          GError         **error)
{
  g_autoptr (UsockSeqpacket) one = usock_seqpacket_new ();
  g_autoptr (UsockSeqpacket) other = usock_seqpacket_new ();

  g_return_val_if_fail (first != NULL && second != NULL, FALSE);

  if (!usock_channel_pair (USOCK_CHANNEL (one), USOCK_CHANNEL (other), error))
    return FALSE;

  *first = g_steal_pointer (&one);
  *second = g_steal_pointer (&other);
  return TRUE;
}

/**
 * usock_seqpacket_bind_to_path:
 * @self: a new channel
 * @path: (type filename): a path that does not exist yet; `@name` for an abstract name, in which
 *   `\\` stands for a backslash and `\xHH` for a byte
 * @error: return location for an error
 *
 * Gives the socket a name of its own before it connects to one of this machine, for servers that
 * want to know who comes: they see it as [property@Usock.Socket:remote-address]. A path may be as
 * long as the file system allows, is for this user only, and goes when the channel is closed.
 *
 * Fails with `G_IO_ERROR_ADDRESS_IN_USE` if somebody has the name, with `G_IO_ERROR_EXISTS` if the
 * channel has one already, with `G_IO_ERROR_NOT_FOUND` if there is no such directory, and with others
 * of bind(2).
 *
 * Returns: whether the socket has the name
 *
 * Since: 1.0
 */
gboolean
usock_seqpacket_bind_to_path (UsockSeqpacket  *self,
                              const char      *path,
                              GError         **error)
{
  g_return_val_if_fail (USOCK_IS_SEQPACKET (self), FALSE);
  g_return_val_if_fail (path != NULL, FALSE);

  return usock_channel_bind (USOCK_CHANNEL (self), usock_name_new_for_path (path, error), error);
}
