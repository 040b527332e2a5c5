/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-io-calls-private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define TIME_SPACE CMSG_SPACE (sizeof (struct timespec))

#define PAGE 4096

/* Memory for many messages at once. A slot is as large as the largest message may be, but costs
 * only the pages that were ever written: the mapping is not backed before. Each slot starts a few
 * cache lines further into its page than the one before; were they aligned alike, small messages
 * would all fall into the same cache set, and push each other out. */
struct _UsockIoBatch
{
  gsize slot_size;
  gsize mapped;
  guint8 *memory;
  guint n_slots;
  guint n_dirty;
  struct mmsghdr headers[USOCK_IO_BATCH_MAX];
  struct iovec iov[USOCK_IO_BATCH_MAX];
  UsockIoNative names[USOCK_IO_BATCH_MAX];
  _Alignas (64) char controls[USOCK_IO_BATCH_MAX][USOCK_IO_CONTROL_SIZE];
};

static void
batch_reset (UsockIoBatch *self,
             guint         first,
             guint         n)
{
  for (guint i = first; i < first + n; i++)
    {
      struct msghdr *header = &self->headers[i].msg_hdr;

      header->msg_namelen = sizeof (UsockIoNative);
      header->msg_controllen = USOCK_IO_CONTROL_SIZE;
      header->msg_flags = 0;
    }
}

UsockIoBatch *
usock_io_batch_new (gsize slot_size)
{
  gsize stride = ((slot_size + 1 + PAGE - 1) & ~(gsize) (PAGE - 1)) + 192;
  guint n_slots = CLAMP (64 * 1024 * 1024 / stride, 2, (gsize) USOCK_IO_BATCH_MAX);
  UsockIoBatch *self;

  if (posix_memalign ((void **) &self, 64, sizeof *self) != 0)
    g_error ("out of memory");

  memset (self, 0, G_STRUCT_OFFSET (UsockIoBatch, controls));
  self->slot_size = slot_size;
  self->n_slots = n_slots;
  self->mapped = stride * n_slots;
  self->memory = mmap (NULL, self->mapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (self->memory == MAP_FAILED)
    g_error ("out of memory");

  for (guint i = 0; i < n_slots; i++)
    {
      struct msghdr *header = &self->headers[i].msg_hdr;

      self->iov[i].iov_base = self->memory + i * stride;
      header->msg_iov = &self->iov[i];
      header->msg_iovlen = 1;
      header->msg_control = self->controls[i];
    }
  batch_reset (self, 0, n_slots);

  return self;
}

void
usock_io_batch_free (UsockIoBatch *self)
{
  munmap (self->memory, self->mapped);
  free (self);
}

gsize
usock_io_batch_slot_size (const UsockIoBatch *self)
{
  return self->slot_size;
}

guint
usock_io_batch_n_slots (const UsockIoBatch *self)
{
  return self->n_slots;
}

/* Returns how many messages came. Fewer than asked for means that there were no more; but at the
 * end, every slot that remains is an end. The kernel writes lengths over the headers, so what
 * one batch used is made new before the next. */
int
usock_io_receive (int           fd,
                  UsockIoBatch *self,
                  gsize         max_length,
                  guint         n_messages,
                  gboolean      with_senders)
{
  guint n = MIN (n_messages, self->n_slots);
  int result;

  FAULT (USOCK_IO_RECEIVE);
  g_assert (max_length <= self->slot_size);

  batch_reset (self, 0, self->n_dirty);
  for (guint i = 0; i < n; i++)
    {
      self->iov[i].iov_len = max_length;
      self->headers[i].msg_hdr.msg_name = with_senders ? &self->names[i] : NULL;
    }

  result = RETRY (recvmmsg (fd, self->headers, n, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC,
                            NULL));
  self->n_dirty = result < 0 ? 1 : MIN ((guint) result + 1, self->n_slots);
  return result;
}

/* Of a byte stream: one piece, into the first slot. Without MSG_TRUNC, by which TCP throws away
 * what it is asked for. */
gssize
usock_io_receive_bytes (int           fd,
                        UsockIoBatch *self,
                        gsize         max_length)
{
  struct mmsghdr *header = &self->headers[0];
  gssize result;

  FAULT (USOCK_IO_RECEIVE);
  g_assert (max_length <= self->slot_size);

  batch_reset (self, 0, self->n_dirty);
  self->n_dirty = 1;
  self->iov[0].iov_len = FAULT_CUT (max_length);
  header->msg_hdr.msg_name = NULL;
  result = RETRY (recvmsg (fd, &header->msg_hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  header->msg_len = MAX (result, 0);
  return result;
}

/* Tells the time by its type: a single descriptor, or the credentials, may take as many bytes. */
static gboolean
control_is_time (struct msghdr *message)
{
  const struct cmsghdr *first = CMSG_FIRSTHDR (message);

  return message->msg_controllen == TIME_SPACE && first->cmsg_level == SOL_SOCKET
         && first->cmsg_type == SCM_TIMESTAMPNS;
}

void
usock_io_batch_get (UsockIoBatch  *self,
                    guint          index,
                    UsockIoPacket *packet)
{
  struct mmsghdr *header = &self->headers[index];
  gsize controls = header->msg_hdr.msg_controllen;

  packet->data = self->iov[index].iov_base;
  packet->full_length = header->msg_len;
  packet->length = MIN (header->msg_len, self->iov[index].iov_len);
  packet->truncated = (header->msg_hdr.msg_flags & MSG_TRUNC) != 0;
  packet->is_full = packet->length == self->iov[index].iov_len;
  packet->is_end = header->msg_len == 0 && controls == 0;
  packet->has_control = (controls > 0 && !control_is_time (&header->msg_hdr))
                        || (header->msg_hdr.msg_flags & MSG_CTRUNC) != 0;
}

/* Once for each message that has_control: see usock_io_control_parse(). */
void
usock_io_batch_get_control (UsockIoBatch   *self,
                            guint           index,
                            UsockIoControl *control)
{
  usock_io_control_parse (&self->headers[index].msg_hdr, control);
}

char *
usock_io_batch_get_sender (UsockIoBatch *self,
                           guint         index)
{
  return usock_native_to_text (&self->names[index].any,
                               self->headers[index].msg_hdr.msg_namelen);
}

/* Has the message know its sender's address. */
void
usock_io_batch_sign (UsockIoBatch *self,
                     guint         index,
                     UsockMessage *message)
{
  usock_message_receive_sender (message, &self->names[index].any,
                                self->headers[index].msg_hdr.msg_namelen,
                                usock_native_to_address);
}

static void
control_drop_copies (const struct msghdr *message)
{
  const struct cmsghdr *header = NULL;

  while ((header = usock_io_control_next (message, header)) != NULL)
    if (header->cmsg_level == SOL_SOCKET
        && (header->cmsg_type == SCM_RIGHTS || header->cmsg_type == SCM_PIDFD))
      for (guint i = 0; i < usock_io_control_count_fds (header); i++)
        close (usock_io_control_get_fd (header, i));
}

/* Of a byte stream. Without a control buffer no descriptor is installed. */
static int
peek_end_of_bytes (int       fd,
                   gboolean *at_end)
{
  char byte;
  int result = RETRY (recv (fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));

  *at_end = result == 0;
  return result;
}

/* Looks without taking. Peeking with a control buffer installs descriptors, each time anew; this
 * one has room for the time alone, which comes first. Where no markers are set, descriptors may
 * come instead; the queue has them still, so closing these copies never blocks. */
int
usock_io_peek_end (int       fd,
                   gboolean  stream,
                   gboolean *at_end)
{
  union
  {
    struct cmsghdr align;
    char buffer[TIME_SPACE];
  } control;
  struct iovec iov = { NULL, 0 };
  struct msghdr header = { 0 };
  int result;

  FAULT (USOCK_IO_RECEIVE);
  if (stream)
    return peek_end_of_bytes (fd, at_end);

  header.msg_iov = &iov;
  header.msg_iovlen = 1;
  header.msg_control = &control;
  header.msg_controllen = sizeof control;

  result = RETRY (recvmsg (fd, &header, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  *at_end = result == 0 && header.msg_controllen == 0;
  if (result >= 0)
    control_drop_copies (&header);
  return result;
}
