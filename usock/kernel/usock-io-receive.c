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

/* The text of an address, which is made once for those who send again and again. */
typedef struct
{
  UsockIoNative name;
  socklen_t length;
  char *text; /* a GRefString; NULL if it has none */
} KnownSender;

#define N_KNOWN 8

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
  KnownSender known[N_KNOWN];
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

/* Fewer slots, where there is no room for all of them. */
static gboolean
batch_map (UsockIoBatch *self,
           gsize         stride)
{
  for (; self->n_slots >= 2; self->n_slots /= 2)
    {
      self->mapped = stride * self->n_slots;
      self->memory = mmap (NULL, self->mapped, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (self->memory != MAP_FAILED)
        return TRUE;
    }

  return FALSE;
}

/* NULL if there is no memory. */
UsockIoBatch *
usock_io_batch_new (gsize slot_size)
{
  gsize stride = ((slot_size + 1 + PAGE - 1) & ~(gsize) (PAGE - 1)) + 192;
  UsockIoBatch *self;

  if (posix_memalign ((void **) &self, 64, sizeof *self) != 0)
    return NULL;

  memset (self, 0, G_STRUCT_OFFSET (UsockIoBatch, controls));
  self->slot_size = slot_size;
  self->n_slots = CLAMP (64 * 1024 * 1024 / stride, 2, (gsize) USOCK_IO_BATCH_MAX);
  if (!batch_map (self, stride))
    {
      free (self);
      return NULL;
    }

  for (guint i = 0; i < self->n_slots; i++)
    {
      struct msghdr *header = &self->headers[i].msg_hdr;

      self->iov[i].iov_base = self->memory + i * stride;
      header->msg_iov = &self->iov[i];
      header->msg_iovlen = 1;
      header->msg_control = self->controls[i];
    }
  batch_reset (self, 0, self->n_slots);

  return self;
}

void
usock_io_batch_free (UsockIoBatch *self)
{
  for (guint i = 0; i < N_KNOWN; i++)
    g_clear_pointer (&self->known[i].text, g_ref_string_release);
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

/* How many of @n messages there are before the first that is an end, where there can be one, and of
 * how many bytes. */
guint
usock_io_batch_count (const UsockIoBatch *self,
                      guint               n,
                      gboolean            may_end,
                      gsize              *bytes)
{
  guint i;

  *bytes = 0;
  for (i = 0; i < n; i++)
    {
      const struct mmsghdr *header = &self->headers[i];

      if (header->msg_len == 0 && header->msg_hdr.msg_controllen == 0 && may_end)
        break;
      *bytes += MIN (header->msg_len, self->iov[i].iov_len);
    }

  return i;
}

/* The bytes of a message that is whole and that nothing came along with; else FALSE, and nothing is
 * said. */
gboolean
usock_io_batch_get_plain (UsockIoBatch *self,
                          guint         index,
                          guint8      **data,
                          gsize        *length)
{
  struct mmsghdr *header = &self->headers[index];

  if ((header->msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0
      || (header->msg_hdr.msg_controllen > 0 && !control_is_time (&header->msg_hdr)))
    return FALSE;

  *data = self->iov[index].iov_base;
  *length = header->msg_len;
  return TRUE;
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

/* Of any other message that is all there is to know. */
gint64
usock_io_batch_get_time (UsockIoBatch *self,
                         guint         index,
                         int          *msg_flags)
{
  const struct msghdr *message = &self->headers[index].msg_hdr;

  *msg_flags = message->msg_flags;
  return message->msg_controllen > 0 ? usock_io_control_read_time (CMSG_FIRSTHDR (message)) : 0;
}

static void
known_learn (KnownSender         *self,
             const UsockIoNative *name,
             socklen_t            length)
{
  g_autofree char *text = usock_native_to_text (&name->any, length);

  g_clear_pointer (&self->text, g_ref_string_release);
  if (text != NULL)
    self->text = g_ref_string_new (text);
  memcpy (&self->name, name, length);
  self->length = length;
}

/* A reference to a GRefString; NULL if nobody signed it. */
char *
usock_io_batch_get_sender (UsockIoBatch *self,
                           guint         index)
{
  const UsockIoNative *name = &self->names[index];
  socklen_t length = self->headers[index].msg_hdr.msg_namelen;
  const guint8 *bytes = (const guint8 *) name;
  KnownSender *known;

  if (length <= sizeof (sa_family_t))
    return NULL;

  /* Ports and what paths end with differ there. */
  known = &self->known[(bytes[3] + bytes[length - 2] + bytes[length - 1]) % N_KNOWN];
  if (known->length != length || memcmp (&known->name, name, length) != 0)
    known_learn (known, name, length);
  return known->text != NULL ? g_ref_string_acquire (known->text) : NULL;
}

/* Has the message know its sender, if it was signed. */
void
usock_io_batch_sign (UsockIoBatch *self,
                     guint         index,
                     UsockMessage *message)
{
  socklen_t length = self->headers[index].msg_hdr.msg_namelen;

  if (length > sizeof (sa_family_t))
    usock_message_receive_sender (message, &self->names[index].any, length,
                                  usock_native_to_address, usock_native_to_text);
}

/* There is always room for descriptors: those that there is no room for, the kernel closes, and who
 * receives waits for it. But peeking with a control buffer installs descriptors, each time anew: there
 * is room for the time alone then, which comes first, where it is sure to come. */
static gsize
incoming_control_size (int                    fd,
                       const UsockIoIncoming *incoming,
                       int                    flags)
{
  int marked = 0;

  if ((flags & MSG_PEEK) == 0 || incoming->family != AF_UNIX)
    return sizeof incoming->buffer;

  if (getsockopt (fd, SOL_SOCKET, SO_TIMESTAMPNS, &marked, &(socklen_t) { sizeof marked }) == -1)
    marked = 0;
  return marked ? TIME_SPACE : 0;
}

/* What came along is in @incoming->control; its descriptors are the caller's. Only AF_UNIX brings
 * any, and packet sockets refuse to be asked to close them on exec. */
gssize
usock_io_receive_message (int              fd,
                          UsockIoIncoming *incoming,
                          int              flags)
{
  struct msghdr header = { 0 };
  gssize result;

  FAULT (USOCK_IO_RECEIVE);
  header.msg_name = &incoming->name;
  header.msg_namelen = sizeof incoming->name;
  header.msg_iov = incoming->iov;
  header.msg_iovlen = incoming->n_iov;
  header.msg_controllen = incoming_control_size (fd, incoming, flags);
  header.msg_control = header.msg_controllen > 0 ? incoming->buffer : NULL;
  flags &= ~MSG_CMSG_CLOEXEC;
  if (incoming->family == AF_UNIX)
    flags |= MSG_CMSG_CLOEXEC;

  result = RETRY (recvmsg (fd, &header, flags | MSG_DONTWAIT));
  if (result < 0)
    return result;

  incoming->name_length = header.msg_namelen;
  incoming->has_control = header.msg_controllen > 0;
  usock_io_control_parse (&header, &incoming->control);
  return result;
}

/* NULL if nobody signed it. */
char *
usock_io_incoming_get_sender (const UsockIoIncoming *incoming)
{
  return usock_native_to_text (&incoming->name.any, incoming->name_length);
}

/* Has the message know its sender's address. */
void
usock_io_incoming_sign (const UsockIoIncoming *incoming,
                        UsockMessage          *message)
{
  usock_message_receive_sender (message, &incoming->name.any, incoming->name_length,
                                usock_native_to_address, usock_native_to_text);
}

/* Looks without taking. There is no room for anything that comes along, since peeking would install
 * descriptors, each time anew: that there is no room for it is told, and so is that the end has
 * none. Without a marker, an empty message looks like the end. */
int
usock_io_peek_end (int       fd,
                   gboolean  stream,
                   gboolean *at_end)
{
  char byte;
  struct iovec iov = { &byte, stream ? 1 : 0 };
  struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
  int result;

  FAULT (USOCK_IO_RECEIVE);
  result = RETRY (recvmsg (fd, &header,
                           MSG_PEEK | MSG_DONTWAIT | (stream ? 0 : MSG_TRUNC)));
  *at_end = result == 0 && (header.msg_flags & MSG_CTRUNC) == 0;
  return result;
}
