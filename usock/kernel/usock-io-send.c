/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-io-calls-private.h"

#include <string.h>
#include <unistd.h>

/* Drops what has been sent already. */
guint
usock_io_advance_iov (struct iovec *iov,
                      guint         n_iov,
                      gsize         sent)
{
  guint first = 0;

  while (first < n_iov && sent >= iov[first].iov_len)
    sent -= iov[first++].iov_len;

  memmove (iov, iov + first, (n_iov - first) * sizeof *iov);
  if (sent > 0)
    {
      iov[0].iov_base = (char *) iov[0].iov_base + sent;
      iov[0].iov_len -= sent;
    }
  return n_iov - first;
}

gssize
usock_io_send_data (int           fd,
                    gconstpointer data,
                    gsize         length)
{
  FAULT (USOCK_IO_SEND);
  return RETRY (send (fd, data, FAULT_CUT (length), MSG_DONTWAIT | MSG_NOSIGNAL));
}

gssize
usock_io_send_data_to (int              fd,
                       gconstpointer    data,
                       gsize            length,
                       const UsockName *destination)
{
  struct iovec iov = { (gpointer) data, length };
  UsockIoOutgoing outgoing = { .iov = &iov, .n_iov = 1, .destination = destination };

  return usock_io_send (fd, &outgoing);
}

/* Room for what is common, so that nothing is allocated for it. */
typedef union
{
  struct cmsghdr align;
  char buffer[CMSG_SPACE (sizeof (struct ucred)) + CMSG_SPACE (USOCK_IO_FDS_MAX * sizeof (int))];
} ControlOut;

static void
outgoing_fill (const UsockIoOutgoing *outgoing,
               struct msghdr         *header)
{
  *header = (struct msghdr) { 0 };
  header->msg_iov = (struct iovec *) outgoing->iov;
  header->msg_iovlen = outgoing->n_iov;
  if (outgoing->destination != NULL)
    {
      header->msg_name = (gpointer) &outgoing->destination->native;
      header->msg_namelen = outgoing->destination->length;
    }
}

static gssize
send_native (int           fd,
             struct msghdr *header,
             int            flags)
{
  return RETRY (sendmsg (fd, header, flags | MSG_DONTWAIT | MSG_NOSIGNAL));
}

#ifdef USOCK_FAULTS
/* Of a copy: what the kernel leaves, the caller still has to send. */
static void
outgoing_cut (struct msghdr *header)
{
  static _Thread_local struct iovec cut[UIO_MAXIOV];
  gsize length = 0;

  for (gsize i = 0; i < header->msg_iovlen; i++)
    length += header->msg_iov[i].iov_len;
  if (FAULT_CUT (length) == length || header->msg_iovlen > UIO_MAXIOV)
    return;

  length = FAULT_CUT (length);
  for (gsize i = 0; i < header->msg_iovlen; i++)
    {
      cut[i] = header->msg_iov[i];
      cut[i].iov_len = MIN (cut[i].iov_len, length);
      length -= cut[i].iov_len;
    }
  header->msg_iov = cut;
}
#else
#define outgoing_cut(header)
#endif

gssize
usock_io_send (int                    fd,
               const UsockIoOutgoing *outgoing)
{
  return usock_io_send_message (fd, outgoing, 0);
}

gssize
usock_io_send_message (int                    fd,
                       const UsockIoOutgoing *outgoing,
                       int                    flags)
{
  struct msghdr header;
  ControlOut control;
  g_autofree char *large = NULL;
  UsockIoLongName name;
  gssize result;

  FAULT (USOCK_IO_SEND);
  outgoing_fill (outgoing, &header);
  outgoing_cut (&header);
  header.msg_controllen = usock_io_control_space (outgoing);
  if (header.msg_controllen > sizeof control)
    header.msg_control = large = g_malloc (header.msg_controllen);
  else if (header.msg_controllen > 0)
    header.msg_control = control.buffer;
  usock_io_control_write (outgoing, header.msg_control);

  if (outgoing->destination == NULL || outgoing->destination->length > 0)
    return send_native (fd, &header, flags);

  result = usock_io_long_name_open (&name, outgoing->destination);
  if (result < 0)
    return result;
  header.msg_name = &name.native;
  header.msg_namelen = sizeof name.native;
  result = send_native (fd, &header, flags);
  close (name.file);
  return result;
}

/* Takes messages without control records only. Returns how many the kernel took; the error of
 * the first that it did not take is learned by sending that one again. */
int
usock_io_send_batch (int                    fd,
                     const UsockIoOutgoing *outgoing,
                     guint                  n_outgoing)
{
  struct mmsghdr headers[USOCK_IO_BATCH_MAX];
  guint n = MIN (n_outgoing, USOCK_IO_BATCH_MAX);

  FAULT (USOCK_IO_SEND);
  for (guint i = 0; i < n; i++)
    outgoing_fill (&outgoing[i], &headers[i].msg_hdr);

  return RETRY (sendmmsg (fd, headers, n, MSG_DONTWAIT | MSG_NOSIGNAL));
}
