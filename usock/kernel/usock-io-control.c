/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-io-calls-private.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static gconstpointer
record_data (const struct cmsghdr *header)
{
  return (const guint8 *) header + CMSG_LEN (0);
}

/* Unlike CMSG_NXTHDR it looks at the first record as well, and believes no length. */
const struct cmsghdr *
usock_io_control_next (const struct msghdr  *message,
                       const struct cmsghdr *header)
{
  const guint8 *start = message->msg_control;
  gsize offset = 0, left;

  if (header != NULL)
    offset = (const guint8 *) header - start + CMSG_ALIGN (header->cmsg_len);
  if (start == NULL || offset >= message->msg_controllen)
    return NULL;

  left = message->msg_controllen - offset;
  header = (gconstpointer) (start + offset);
  if (left < CMSG_LEN (0) || header->cmsg_len < CMSG_LEN (0) || header->cmsg_len > left)
    return NULL;

  return header;
}

guint
usock_io_control_count_fds (const struct cmsghdr *header)
{
  return (header->cmsg_len - CMSG_LEN (0)) / sizeof (int);
}

int
usock_io_control_get_fd (const struct cmsghdr *header,
                         guint                 index)
{
  int fd;

  memcpy (&fd, (const guint8 *) record_data (header) + index * sizeof fd, sizeof fd);
  return fd;
}

static void
control_take_fds (UsockIoControl       *self,
                  const struct cmsghdr *header)
{
  /* The kernel merges what was sent; more than fits is not to be had, but would not be kept. */
  for (guint i = 0; i < usock_io_control_count_fds (header); i++)
    {
      int fd = usock_io_control_get_fd (header, i);

      if (self->n_fds < USOCK_IO_FDS_MAX)
        self->fds[self->n_fds++] = fd;
      else
        usock_closer_push (NULL, fd, NULL);
    }
}

/* In place of a descriptor the kernel may tell why there is none. */
static void
control_take_pidfd (UsockIoControl       *self,
                    const struct cmsghdr *header)
{
  int fd = usock_io_control_count_fds (header) > 0 ? usock_io_control_get_fd (header, 0) : -1;

  if (self->pidfd == -1)
    self->pidfd = MAX (fd, -1);
  else if (fd >= 0)
    close (fd);
}

/* In nanoseconds, until the year 2262. */
static gint64
time_join (guint64 seconds,
           guint64 nanoseconds)
{
  return (gint64) (seconds * G_GUINT64_CONSTANT (1000000000) + nanoseconds);
}

/* Of a SCM_TIMESTAMPNS. */
gint64
usock_io_control_read_time (const struct cmsghdr *header)
{
  struct timespec time;

  memcpy (&time, record_data (header), sizeof time);
  return time_join (time.tv_sec, time.tv_nsec);
}

/* FALSE if it is for the list of others, also or only. */
static gboolean
control_take_known (UsockIoControl       *self,
                    const struct cmsghdr *header)
{
  gsize length = header->cmsg_len - CMSG_LEN (0);

  if (header->cmsg_level != SOL_SOCKET)
    return FALSE;

  if (header->cmsg_type == SCM_RIGHTS)
    control_take_fds (self, header);
  else if (header->cmsg_type == SCM_PIDFD)
    control_take_pidfd (self, header);
  else if (header->cmsg_type == SCM_CREDENTIALS && length >= sizeof (struct ucred))
    {
      struct ucred native;

      memcpy (&native, record_data (header), sizeof native);
      self->has_credentials = usock_io_read_credentials (&native, &self->credentials);
    }
  else if (header->cmsg_type == SCM_TIMESTAMPNS && length >= sizeof (struct timespec))
    self->timestamp = usock_io_control_read_time (header);
  else if (header->cmsg_type == SCM_TIMESTAMP && length >= sizeof (struct timeval))
    {
      struct timeval time;

      memcpy (&time, record_data (header), sizeof time);
      self->timestamp = time_join (time.tv_sec, time.tv_usec * G_GUINT64_CONSTANT (1000));
      return FALSE;
    }
  else
    return FALSE;

  return TRUE;
}

/* Walks every record. The descriptors are the caller's from here on, so this is called once for
 * each message; the bytes of the others stay where they are. MSG_CTRUNC with a buffer that has
 * room for everything means that descriptors were lost: the process had no numbers left for
 * them, or a security module refused them. */
void
usock_io_control_parse (const struct msghdr *message,
                        UsockIoControl      *self)
{
  const struct cmsghdr *header = NULL;

  self->n_fds = 0;
  self->n_others = 0;
  self->pidfd = -1;
  self->fds_lost = (message->msg_flags & MSG_CTRUNC) != 0;
  self->msg_flags = message->msg_flags;
  self->has_credentials = FALSE;
  self->timestamp = 0;

  while ((header = usock_io_control_next (message, header)) != NULL)
    if (!control_take_known (self, header) && self->n_others < USOCK_IO_OTHERS_MAX)
      self->others[self->n_others++] = (UsockControl) {
        .level = header->cmsg_level,
        .type = header->cmsg_type,
        .length = header->cmsg_len - CMSG_LEN (0),
        .data = record_data (header),
      };
}

static gsize
control_append (char         *buffer,
                int           level,
                int           type,
                gconstpointer data,
                gsize         length)
{
  struct cmsghdr header = { .cmsg_len = CMSG_LEN (length), .cmsg_level = level,
                            .cmsg_type = type };

  memset (buffer, 0, CMSG_SPACE (length));
  memcpy (buffer, &header, sizeof header);
  if (length > 0)
    memcpy (buffer + CMSG_LEN (0), data, length);
  return CMSG_SPACE (length);
}

gsize
usock_io_control_space (const UsockIoOutgoing *outgoing)
{
  gsize space = 0;

  if (outgoing->credentials != NULL)
    space += CMSG_SPACE (sizeof (struct ucred));
  if (outgoing->n_fds > 0)
    space += CMSG_SPACE (outgoing->n_fds * sizeof (int));
  for (guint i = 0; i < outgoing->n_controls; i++)
    space += CMSG_SPACE (outgoing->controls[i].length);

  return space;
}

/* Fills exactly as much as usock_io_control_space() says. */
void
usock_io_control_write (const UsockIoOutgoing *outgoing,
                        char                  *buffer)
{
  if (outgoing->credentials != NULL)
    {
      struct ucred native = { outgoing->credentials->pid, outgoing->credentials->uid,
                              outgoing->credentials->gid };

      buffer += control_append (buffer, SOL_SOCKET, SCM_CREDENTIALS, &native, sizeof native);
    }

  if (outgoing->n_fds > 0)
    buffer += control_append (buffer, SOL_SOCKET, SCM_RIGHTS, outgoing->fds,
                              outgoing->n_fds * sizeof (int));

  for (guint i = 0; i < outgoing->n_controls; i++)
    {
      const UsockControl *control = &outgoing->controls[i];

      buffer += control_append (buffer, control->level, control->type, control->data,
                                control->length);
    }
}
