/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Payloads that are the content of a memory file. It is looked at only once nobody can change it any
 * more: a file that shrank would kill whoever reads behind its end. */

#include "config.h"

#include "usock-message-private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usock-compat-private.h"
#include "usock-error-private.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

typedef struct
{
  gpointer data;
  gsize size;
} Mapping;

static void
mapping_free (gpointer data)
{
  Mapping *self = data;

  munmap (self->data, self->size);
  g_free (self);
}

/* Only memory files have seals, so that nothing else is asked for its size, which may block. */
static gboolean
memfd_get_size (int     fd,
                gsize  *size,
                GError **error)
{
  int seals = fcntl (fd, F_GET_SEALS);
  struct stat info;

  if (seals == -1 || (seals & SEALS) != SEALS)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not use descriptor %d as memory: %s"), fd,
                   _("it is not sealed against being written to, growing and shrinking"));
      return FALSE;
    }
  if (fstat (fd, &info) == -1 || info.st_size < 0)
    {
      usock_error_set_errno (error, errno, _("Could not map descriptor %d"), fd);
      return FALSE;
    }

  *size = (gsize) info.st_size;
  return TRUE;
}

/* The content of a sealed memory file, which may be closed then. */
GBytes *
usock_message_map_memfd (int      fd,
                         GError **error)
{
  gpointer data;
  Mapping *mapping;
  gsize size;

  if (!memfd_get_size (fd, &size, error))
    return NULL;
  if (size == 0)
    return g_bytes_new (NULL, 0);

  /* Older kernels share no file that is sealed against being written to. */
  data = mmap (NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED)
    {
      usock_error_set_errno (error, errno, _("Could not map descriptor %d"), fd);
      return NULL;
    }

  mapping = g_new (Mapping, 1);
  *mapping = (Mapping) { data, size };
  return g_bytes_new_with_free_func (data, size, mapping_free, mapping);
}

/* Takes the descriptor over, of which the payload is the content. */
void
usock_message_set_memfd (UsockMessage *self,
                         int           fd)
{
  g_assert (self->memfd == -1);

  self->memfd = fd;
}

/* Borrowed; -1 if the payload is in no memory file. */
int
usock_message_get_memfd (UsockMessage *self)
{
  return self->memfd;
}

/* Linux takes 2 GiB at a time, and is interrupted by nothing that the process outlives. */
static gboolean
write_all (int           fd,
           gconstpointer data,
           gsize         length)
{
  for (gsize done = 0; done < length;)
    {
      gssize written = pwrite (fd, (const char *) data + done, length - done, (off_t) done);

      if (written <= 0)
        return FALSE;
      done += (gsize) written;
    }

  return TRUE;
}

/* An empty message with one descriptor, a sealed memory file with these bytes. */
UsockMessage *
usock_message_new_wrapped (gconstpointer   data,
                           gsize           length,
                           GError        **error)
{
  g_autofd int fd = memfd_create ("usock-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_autoptr (UsockMessage) self = NULL;

  if (fd == -1 || !write_all (fd, data, length)
      || fcntl (fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) == -1)
    {
      usock_error_set_errno (error, errno,
                             P_("Could not make a memory file of %zu byte",
                                "Could not make a memory file of %zu bytes", length),
                             length);
      return NULL;
    }

  self = usock_message_new (NULL, 0);
  if (!usock_message_append_fd_owned (self, fd, error))
    return NULL;

  fd = -1;
  return g_steal_pointer (&self);
}

/**
 * usock_message_new_from_memfd:
 * @fd: a sealed memory file; the caller keeps it
 * @error: return location for an error
 *
 * Makes a message of which the payload is the content of a file that was made
 * with memfd_create(2), without reading it. A [class@Usock.Peer] passes on the
 * file itself, whatever its size, to those who accept descriptors. What sends bytes
 * only sends its content.
 *
 * Fails with `G_IO_ERROR_INVALID_ARGUMENT` if @fd is no such file, or has not
 * the seals `F_SEAL_SHRINK`, `F_SEAL_GROW` and `F_SEAL_WRITE`, and with others of
 * mmap(2) and dup(2).
 *
 * Returns: (transfer full): a new message
 *
 * Since: 1.0
 */
UsockMessage *
usock_message_new_from_memfd (gint     fd,
                              GError **error)
{
  g_autoptr (GBytes) bytes = usock_message_map_memfd (fd, error);
  UsockMessage *self;
  int copy;

  if (bytes == NULL)
    return NULL;

  copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (copy == -1)
    {
      usock_error_set_errno (error, errno, _("Could not map descriptor %d"), fd);
      return NULL;
    }

  self = usock_message_new_from_bytes (bytes);
  usock_message_set_memfd (self, copy);
  return self;
}
