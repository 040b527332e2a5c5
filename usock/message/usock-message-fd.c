/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-message-private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usock-compat-private.h"
#include "usock-error-private.h"

/* SCM_MAX_FD, see unix(7); the kernel answers EINVAL to more. */
#define MESSAGE_MAX_FDS 253

/* Guards what two threads that share a message may both change: taking a descriptor, joining
 * segments. One for all messages, since neither happens often. */
GMutex usock_message_lock;

/* Marks the slot before the descriptor leaves it, so that no descriptor is ever closed twice.
 * Negative is why there is none: -ENOENT or -EBUSY. */
static int
message_steal_fd (UsockMessage *self,
                  guint         index)
{
  int fd = -ENOENT;

  g_mutex_lock (&usock_message_lock);
  if (self->fds[index] != -1 && self->n_pins > 0)
    fd = -EBUSY;
  else if (self->fds[index] != -1)
    {
      fd = self->fds[index];
      self->fds[index] = -1;
    }
  g_mutex_unlock (&usock_message_lock);

  if (fd >= 0 && self->tally != NULL)
    usock_tally_change (self->tally, -1);
  return fd;
}

void
usock_message_receive_fds (UsockMessage *self,
                           const int    *fds,
                           guint         n_fds,
                           UsockCloseFd  close_fd)
{
  g_assert (self->n_fds == 0);

  self->fds = g_memdup2 (fds, n_fds * sizeof *fds);
  self->n_fds = n_fds;
  self->close_fd = close_fd;
}

/* After the descriptors. */
void
usock_message_receive_tally (UsockMessage *self,
                             UsockTally   *tally)
{
  if (tally == NULL || self->n_fds == 0)
    return;

  self->tally = usock_tally_ref (tally);
  usock_tally_change (tally, self->n_fds);
}

/* All that nobody has taken, with whoever counts them. */
void
usock_message_move_fds (UsockMessage *self,
                        UsockMessage *from)
{
  g_assert (self->n_fds == 0);

  g_mutex_lock (&usock_message_lock);
  self->fds = g_memdup2 (from->fds, from->n_fds * sizeof *from->fds);
  self->n_fds = from->n_fds;
  for (guint i = 0; i < from->n_fds; i++)
    from->fds[i] = -1;
  while (self->n_fds > 0 && self->fds[self->n_fds - 1] == -1)
    self->n_fds--;
  g_mutex_unlock (&usock_message_lock);

  self->close_fd = from->close_fd;
  if (from->tally != NULL)
    self->tally = usock_tally_ref (from->tally);
}

UsockTally *
usock_message_ref_tally (UsockMessage *self)
{
  return self->tally != NULL ? usock_tally_ref (self->tally) : NULL;
}

const int *
usock_message_peek_fds (UsockMessage *self,
                        guint        *n_fds)
{
  *n_fds = self->n_fds;
  return self->fds;
}

/* While a message stands in a queue its descriptors can neither be taken nor closed: a handler
 * may have passed on the very message whose emission closes what nobody took. */
void
usock_message_pin_fds (UsockMessage *self)
{
  if (self->n_fds == 0)
    return;

  g_mutex_lock (&usock_message_lock);
  self->n_pins++;
  g_mutex_unlock (&usock_message_lock);
}

void
usock_message_unpin_fds (UsockMessage *self)
{
  if (self->n_fds == 0)
    return;

  g_mutex_lock (&usock_message_lock);
  self->n_pins--;
  g_mutex_unlock (&usock_message_lock);
}

/**
 * usock_message_append_fd:
 * @self: a message that was not sent yet
 * @fd: an open descriptor; the caller keeps it
 * @error: return location for an error
 *
 * Adds a duplicate of @fd, to be sent along. The caller may close @fd as soon
 * as this returns. Linux takes at most 253 descriptors a message.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is not open or the message
 * is full, with `G_IO_ERROR_TOO_MANY_OPEN_FILES` if the process may open no
 * more, with `G_IO_ERROR_BUSY` if the message was sent already.
 *
 * Returns: whether it was added
 *
 * Since: 1.0
 */
gboolean
usock_message_append_fd (UsockMessage  *self,
                         gint           fd,
                         GError       **error)
{
  g_autofd int copy = -1;

  g_return_val_if_fail (self != NULL, FALSE);

  copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (copy == -1)
    {
      usock_error_set_errno (error, errno, _("Could not add descriptor %d to a message"), fd);
      return FALSE;
    }

  if (!usock_message_append_fd_owned (self, copy, error))
    return FALSE;

  copy = -1;
  return TRUE;
}

/**
 * usock_message_append_fd_owned:
 * @self: a message that was not sent yet
 * @fd: an open descriptor; the message's on success, else still the caller's
 * @error: return location for an error
 *
 * Adds @fd itself, which saves a duplicate. The errors are those of
 * [method@Usock.Message.append_fd], and `G_IO_ERROR_INVALID_ARGUMENT` if the
 * message owns @fd already.
 *
 * Returns: whether it was added
 *
 * Since: 1.0
 */
gboolean
usock_message_append_fd_owned (UsockMessage  *self,
                               gint           fd,
                               GError       **error)
{
  g_return_val_if_fail (self != NULL, FALSE);

  if (self->frozen)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                   _("Could not add descriptor %d to a message: it was sent already"), fd);
      return FALSE;
    }

  if (self->n_fds == MESSAGE_MAX_FDS)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not add descriptor %d to a message: it has %d already, and the system "
                     "takes no more"),
                   fd, MESSAGE_MAX_FDS);
      return FALSE;
    }

  if (fcntl (fd, F_GETFD) == -1)
    {
      usock_error_set_errno (error, errno, _("Could not add descriptor %d to a message"), fd);
      return FALSE;
    }

  for (guint i = 0; i < self->n_fds; i++)
    if (self->fds[i] == fd)
      {
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                     _("Could not add descriptor %d to a message: it is the message’s already"), fd);
        return FALSE;
      }

  self->fds = g_renew (int, self->fds, self->n_fds + 1);
  self->fds[self->n_fds++] = fd;
  return TRUE;
}

/* Duplicates of those that nobody has taken. */
gboolean
usock_message_append_fds_of (UsockMessage  *self,
                             UsockMessage  *other,
                             GError       **error)
{
  for (guint i = 0; i < other->n_fds; i++)
    if (other->fds[i] != -1 && !usock_message_append_fd (self, other->fds[i], error))
      return FALSE;

  return TRUE;
}

/**
 * usock_message_get_n_fds:
 * @self: a message
 *
 * Gets how many descriptors the message came with or was given, whether they
 * were taken since or not.
 *
 * Returns: how many
 *
 * Since: 1.0
 */
guint
usock_message_get_n_fds (UsockMessage *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->n_fds;
}

/* Anonymous files tell what they are only by the name that /proc shows. */
static UsockFdKind
message_kind_by_name (int fd)
{
  char link[32], name[32];
  gssize length;

  g_snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink (link, name, sizeof name - 1);
  name[MAX (length, 0)] = '\0';

  if (g_str_has_prefix (name, "/memfd:") && fcntl (fd, F_GET_SEALS) != -1)
    return USOCK_FD_KIND_MEMFD;
  if (g_str_has_prefix (name, "anon_inode:[pidfd]") || g_str_has_prefix (name, "pidfd:"))
    return USOCK_FD_KIND_PIDFD;

  return USOCK_FD_KIND_OTHER;
}

/**
 * usock_message_get_fd_kind:
 * @self: a message
 * @index: which descriptor, from 0
 *
 * Tells what a descriptor refers to, before it is used.
 *
 * Returns: what it is; `OTHER` also if there is no such descriptor or it was taken
 *
 * Since: 1.0
 */
UsockFdKind
usock_message_get_fd_kind (UsockMessage *self,
                           guint         index)
{
  struct statx info;
  UsockFdKind kind;
  int fd;

  g_return_val_if_fail (self != NULL, USOCK_FD_KIND_OTHER);

  if (index >= self->n_fds)
    return USOCK_FD_KIND_OTHER;

  g_mutex_lock (&usock_message_lock);
  fd = self->fds[index];
  g_mutex_unlock (&usock_message_lock);

  /* What is known of a file without asking its server, who may answer no more: the type is. */
  if (fd == -1 || statx (fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &info) == -1)
    return USOCK_FD_KIND_OTHER;

  kind = message_kind_by_name (fd);
  if (kind != USOCK_FD_KIND_OTHER)
    return kind;

  switch (info.stx_mode & S_IFMT)
    {
    case S_IFREG:
      return USOCK_FD_KIND_FILE;
    case S_IFDIR:
      return USOCK_FD_KIND_DIRECTORY;
    case S_IFSOCK:
      return USOCK_FD_KIND_SOCKET;
    case S_IFIFO:
      return USOCK_FD_KIND_PIPE;
    case S_IFCHR:
    case S_IFBLK:
      return USOCK_FD_KIND_DEVICE;
    default:
      return USOCK_FD_KIND_OTHER;
    }
}

/**
 * usock_message_take_fd:
 * @self: a message
 * @index: which descriptor, from 0
 * @error: return location for an error
 *
 * Takes a descriptor out of the message. It is close-on-exec, and the caller
 * has to close it.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if the message never had such a
 * descriptor, with `G_IO_ERROR_NOT_FOUND` if it was taken or closed before,
 * with `G_IO_ERROR_BUSY` while the message waits to be sent.
 *
 * Returns: the descriptor, or -1
 *
 * Since: 1.0
 */
gint
usock_message_take_fd (UsockMessage  *self,
                       guint          index,
                       GError       **error)
{
  int fd;

  g_return_val_if_fail (self != NULL, -1);

  if (index >= self->n_fds)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not take descriptor %u of a message: it has %u"), index, self->n_fds);
      return -1;
    }

  fd = message_steal_fd (self, index);
  if (fd == -EBUSY)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 _("Could not take descriptor %u of a message: it waits to be sent"), index);
  else if (fd == -ENOENT)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 _("Could not take descriptor %u of a message: it was taken or closed before"),
                 index);

  return MAX (fd, -1);
}

/**
 * usock_message_take_fds:
 * @self: a message
 * @n_fds: (out): how many there are
 *
 * Takes all descriptors out of the message that were not taken before. They
 * are close-on-exec, and the caller has to close them.
 *
 * Returns: (transfer full) (array length=n_fds): the descriptors; free the array with
 *   g_free()
 *
 * Since: 1.0
 */
gint *
usock_message_take_fds (UsockMessage *self,
                        gsize        *n_fds)
{
  gint *fds;

  g_return_val_if_fail (self != NULL && n_fds != NULL, NULL);

  fds = g_new (gint, self->n_fds + 1);
  *n_fds = 0;
  for (guint i = 0; i < self->n_fds; i++)
    {
      int fd = message_steal_fd (self, i);

      if (fd >= 0)
        fds[(*n_fds)++] = fd;
    }

  return fds;
}

/**
 * usock_message_close_fds:
 * @self: a message
 *
 * Closes the descriptors that nobody took. Closing never blocks: threads do
 * it, and what takes longer than a moment is closed when it can be. While the
 * message waits to be sent, it keeps them.
 *
 * Since: 1.0
 */
void
usock_message_close_fds (UsockMessage *self)
{
  g_autoptr (UsockTally) owner = NULL;

  g_return_if_fail (self != NULL);

  for (guint i = 0; i < self->n_fds; i++)
    {
      int fd = message_steal_fd (self, i);

      if (fd < 0)
        continue;
      if (owner == NULL)
        owner = self->tally != NULL ? usock_tally_ref (self->tally) : usock_tally_new (NULL, NULL);
      usock_closer_push (owner, fd, self->close_fd);
    }

  /* Who makes messages faster than they are closed would run out of numbers. Where they come by a
   * connection, that is held up instead. */
  if (owner != NULL && owner != self->tally)
    usock_closer_settle (owner);
}
