/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-io-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/major.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "usock-compat-private.h"

/* Newer than the headers of Debian 12. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

#define TIME_SPACE CMSG_SPACE (sizeof (struct timespec))

/* Room for 253 descriptors, credentials, a pidfd, the time and a security label: a control
 * buffer that is too small makes the kernel drop descriptors. The odd number of cache lines
 * keeps the buffers of one batch from sharing cache sets. */
#define CONTROL_SIZE 1600

#define PAGE 4096

#ifdef USOCK_FAULTS
static struct
{
  int errnum;
  guint nth;
  guint every;
} faults[USOCK_IO_SHUTDOWN + 1];

void
usock_io_fault_add (UsockIoCall call,
                    int         errnum,
                    guint       nth,
                    guint       every)
{
  faults[call].errnum = errnum;
  faults[call].nth = nth;
  faults[call].every = every;
}

void
usock_io_fault_clear (void)
{
  memset (faults, 0, sizeof faults);
}

static int
fault_next (UsockIoCall call)
{
  if (faults[call].nth == 0 || --faults[call].nth > 0)
    return 0;

  faults[call].nth = faults[call].every;
  return faults[call].errnum;
}

#define FAULT(call)                                                                                \
  G_STMT_START                                                                                     \
  {                                                                                                \
    int fault_ = fault_next (call);                                                                \
    if (fault_ != 0)                                                                               \
      return -fault_;                                                                              \
  }                                                                                                \
  G_STMT_END
#else
#define FAULT(call)
#endif

/* connect(2) apart, every call here may simply be made again when a signal interrupts it; and
 * connect(2) may too, on AF_UNIX. */
#define RETRY(expression)                                                                          \
  ({                                                                                               \
    __typeof__ (expression) result_;                                                               \
    do                                                                                             \
      result_ = (expression);                                                                      \
    while (result_ == -1 && errno == EINTR);                                                       \
    result_ == -1 ? -errno : result_;                                                              \
  })

const char *
usock_io_call_name (UsockIoCall call)
{
  static const char *const names[] = {
    [USOCK_IO_NONE] = NULL,
    [USOCK_IO_SOCKET] = "socket",
    [USOCK_IO_PAIR] = "socketpair",
    [USOCK_IO_BIND] = "bind",
    [USOCK_IO_LISTEN] = "listen",
    [USOCK_IO_ACCEPT] = "accept",
    [USOCK_IO_CONNECT] = "connect",
    [USOCK_IO_SEND] = "send",
    [USOCK_IO_RECEIVE] = "receive",
    [USOCK_IO_GET_OPTION] = "getsockopt",
    [USOCK_IO_SET_OPTION] = "setsockopt",
    [USOCK_IO_GET_NAME] = "getsockname",
    [USOCK_IO_SHUTDOWN] = "shutdown",
  };

  return names[call];
}

int
usock_io_socket (int family,
                 int type,
                 int protocol)
{
  FAULT (USOCK_IO_SOCKET);
  return RETRY (socket (family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

int
usock_io_pair (int type,
               int fds[2])
{
  FAULT (USOCK_IO_PAIR);
  return RETRY (socketpair (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
}

static int
bind_native (int                    fd,
             const struct sockaddr *native,
             socklen_t              length)
{
  return RETRY (bind (fd, native, length));
}

static int
connect_native (int                    fd,
                const struct sockaddr *native,
                socklen_t              length)
{
  return RETRY (connect (fd, native, length));
}

/* The name of something below a descriptor, which is short however long its path is. */
static int
name_below (int                 fd,
            const char         *entry,
            struct sockaddr_un *native)
{
  int length;

  if (access ("/proc/self/fd", F_OK) == -1)
    return -ENAMETOOLONG;

  *native = (struct sockaddr_un) { .sun_family = AF_UNIX };
  length = snprintf (native->sun_path, sizeof native->sun_path, "/proc/self/fd/%d%s%s", fd,
                     *entry != '\0' ? "/" : "", entry);
  return length < (int) sizeof native->sun_path ? 0 : -ENAMETOOLONG;
}

/* A socket is bound under a short name and then renamed, where its own name is too long to stand
 * behind “/proc/self/fd/N/”. Nobody can connect meanwhile: it does not listen yet. */
static int
bind_renamed (int         fd,
              int         directory,
              const char *entry)
{
  struct sockaddr_un native;
  char temporary[32];
  int result;

  /* Looked at first, because a socket that is bound cannot be bound again. */
  if (faccessat (directory, entry, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return -EADDRINUSE;

  g_snprintf (temporary, sizeof temporary, ".usock-%08x", g_random_int ());
  result = name_below (directory, temporary, &native);
  if (result == 0)
    result = bind_native (fd, (struct sockaddr *) &native, sizeof native);
  if (result < 0)
    return result;

  if (renameat2 (directory, temporary, directory, entry, RENAME_NOREPLACE) == 0)
    return 0;

  result = errno == EEXIST ? -EADDRINUSE : -errno;
  unlinkat (directory, temporary, 0);
  return result;
}

static int
bind_long (int         fd,
           const char *path)
{
  g_autofree char *parent = g_path_get_dirname (path);
  const char *entry = strrchr (path, '/') + 1;
  g_autofd int directory = -1;
  struct sockaddr_un native;
  int result;

  if (strlen (path) >= PATH_MAX || strlen (entry) > NAME_MAX)
    return -ENAMETOOLONG;

  directory = RETRY (open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory < 0)
    return directory;

  result = name_below (directory, entry, &native);
  if (result == -ENAMETOOLONG)
    return bind_renamed (fd, directory, entry);

  return bind_native (fd, (struct sockaddr *) &native, sizeof native);
}

/* A destination whose path is too long for an address is reached by its descriptor. */
typedef struct
{
  struct sockaddr_un native;
  int file;
} LongName;

static int
long_name_open (LongName        *self,
                const UsockName *name)
{
  int result;

  self->file = RETRY (open (name->path, O_PATH | O_CLOEXEC));
  if (self->file < 0)
    return self->file;

  result = name_below (self->file, "", &self->native);
  if (result < 0)
    close (self->file);
  return result;
}

static int
connect_long (int              fd,
              const UsockName *name)
{
  LongName long_name;
  int result = long_name_open (&long_name, name);

  if (result < 0)
    return result;

  result = connect_native (fd, (struct sockaddr *) &long_name.native, sizeof long_name.native);
  close (long_name.file);
  return result;
}

int
usock_io_bind (int              fd,
               const UsockName *name)
{
  FAULT (USOCK_IO_BIND);
  if (name->length == 0)
    return bind_long (fd, name->path);

  return bind_native (fd, &name->native.any, name->length);
}

int
usock_io_connect (int              fd,
                  const UsockName *name)
{
  FAULT (USOCK_IO_CONNECT);
  if (name->length == 0)
    return connect_long (fd, name);

  return connect_native (fd, &name->native.any, name->length);
}

int
usock_io_listen (int fd,
                 int backlog)
{
  FAULT (USOCK_IO_LISTEN);
  return RETRY (listen (fd, backlog > 0 ? backlog : SOMAXCONN));
}

int
usock_io_accept (int fd)
{
  FAULT (USOCK_IO_ACCEPT);
  return RETRY (accept4 (fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int
usock_io_shutdown_writing (int fd)
{
  FAULT (USOCK_IO_SHUTDOWN);
  return RETRY (shutdown (fd, SHUT_WR));
}

int
usock_io_get_option (int  fd,
                     int  level,
                     int  name,
                     int *value)
{
  socklen_t length = sizeof *value;

  FAULT (USOCK_IO_GET_OPTION);
  return RETRY (getsockopt (fd, level, name, value, &length));
}

int
usock_io_set_option (int fd,
                     int level,
                     int name,
                     int value)
{
  FAULT (USOCK_IO_SET_OPTION);
  return RETRY (setsockopt (fd, level, name, &value, sizeof value));
}

int
usock_io_set_credentials (int      fd,
                          gboolean pass)
{
  return usock_io_set_option (fd, SOL_SOCKET, SO_PASSCRED, pass);
}

/* On SEQPACKET recvmsg() returns 0 both for an empty message and at the end. What tells them
 * apart without fail is a control record that every message carries, and the end does not. The
 * time of arrival is the cheapest one there is: SO_PASSCRED costs twice as much, and gives the
 * socket a name. It works also for messages that were queued before. */
int
usock_io_set_markers (int fd)
{
  return usock_io_set_option (fd, SOL_SOCKET, SO_TIMESTAMPNS, TRUE);
}

/* From Linux 6.16 on the sender is told EPERM. Before, descriptors come whether wanted or not. */
int
usock_io_refuse_fds (int      fd,
                     gboolean refuse)
{
  int result = usock_io_set_option (fd, SOL_SOCKET, SO_PASSRIGHTS, !refuse);

  return result == -ENOPROTOOPT || result == -EOPNOTSUPP ? 0 : result;
}

/* A message must fit SO_SNDBUF but for 32 bytes. The kernel doubles what is set. */
int
usock_io_make_room (int   fd,
                    gsize message_length)
{
  gsize wanted = message_length + 32;
  int size = 0;
  int result;

  if (message_length > USOCK_IO_MESSAGE_MAX)
    return -EMSGSIZE;

  result = usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &size);
  if (result < 0 || wanted <= (gsize) size)
    return result;

  usock_io_set_option (fd, SOL_SOCKET, SO_SNDBUF, (int) wanted);
  usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &size);
  if (wanted > (gsize) size)
    {
      usock_io_set_option (fd, SOL_SOCKET, SO_SNDBUFFORCE, (int) wanted);
      usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &size);
    }

  return wanted <= (gsize) size ? 0 : -EMSGSIZE;
}

/* An unconnected socket, and a connected datagram one, succeed with pid 0 and uid -1. */
int
usock_io_get_peer_credentials (int               fd,
                               UsockCredentials *credentials)
{
  struct ucred native = { 0, -1, -1 };
  socklen_t length = sizeof native;
  int result;

  FAULT (USOCK_IO_GET_OPTION);
  result = RETRY (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &native, &length));
  if (result < 0)
    return result;
  if (native.pid <= 0 || native.uid == (uid_t) -1)
    return -ENODATA;

  *credentials = (UsockCredentials) { native.pid, native.uid, native.gid };
  return 0;
}

/* getsockname() may say 111, one more byte than a sockaddr_un has. */
typedef union
{
  struct sockaddr any;
  struct sockaddr_storage storage;
} NativeName;

static int
name_length (int       (*call) (int, struct sockaddr *, socklen_t *),
             int         fd,
             NativeName *name)
{
  socklen_t length = sizeof *name;

  FAULT (USOCK_IO_GET_NAME);
  return call (fd, &name->any, &length) == 0 ? (int) length : -errno;
}

static GSocketAddress *
get_name (int (*call) (int, struct sockaddr *, socklen_t *),
          int   fd)
{
  NativeName name = { 0 };
  int length = name_length (call, fd, &name);

  return length >= 0 ? usock_native_to_address (&name.any, length) : NULL;
}

GSocketAddress *
usock_io_get_local_address (int fd)
{
  return get_name (getsockname, fd);
}

GSocketAddress *
usock_io_get_remote_address (int fd)
{
  return get_name (getpeername, fd);
}

/* Not the same as an address that cannot be told: a peer may be known under a name of /proc. */
gboolean
usock_io_peer_is_missing (int fd)
{
  NativeName name = { 0 };

  return name_length (getpeername, fd, &name) < 0;
}

gssize
usock_io_send_data (int           fd,
                    gconstpointer data,
                    gsize         length)
{
  FAULT (USOCK_IO_SEND);
  return RETRY (send (fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL));
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

UsockIoRoom
usock_io_get_room (int fd)
{
  int queued = 0, size = 0;

  if (ioctl (fd, SIOCOUTQ, &queued) == -1
      || usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &size) < 0)
    return USOCK_IO_FREE;

  if (queued >= size)
    return USOCK_IO_FULL;
  return queued > size / 4 ? USOCK_IO_CROWDED : USOCK_IO_FREE;
}

/* The kernel doubles what is set, and stops at net.core.wmem_max. */
gboolean
usock_io_grow_buffer (int fd)
{
  int before = 0, after = 0;

  return usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &before) == 0
         && usock_io_set_option (fd, SOL_SOCKET, SO_SNDBUF, before) == 0
         && usock_io_get_option (fd, SOL_SOCKET, SO_SNDBUF, &after) == 0 && after > before;
}

typedef union
{
  struct cmsghdr align;
  char buffer[CMSG_SPACE (sizeof (struct ucred)) + CMSG_SPACE (USOCK_IO_FDS_MAX * sizeof (int))];
} ControlOut;

static gsize
control_append (char         *buffer,
                int           type,
                gconstpointer data,
                gsize         length)
{
  struct cmsghdr *header = (struct cmsghdr *) buffer;

  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN (length);
  memcpy (CMSG_DATA (header), data, length);
  memset (buffer + CMSG_LEN (length), 0, CMSG_SPACE (length) - CMSG_LEN (length));
  return CMSG_SPACE (length);
}

static gsize
control_write (ControlOut            *control,
               const UsockIoOutgoing *outgoing)
{
  gsize used = 0;

  if (outgoing->credentials != NULL)
    {
      struct ucred native = { outgoing->credentials->pid, outgoing->credentials->uid,
                              outgoing->credentials->gid };

      used += control_append (control->buffer, SCM_CREDENTIALS, &native, sizeof native);
    }

  if (outgoing->n_fds > 0)
    used += control_append (control->buffer + used, SCM_RIGHTS, outgoing->fds,
                            outgoing->n_fds * sizeof (int));

  return used;
}

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
             struct msghdr *header)
{
  return RETRY (sendmsg (fd, header, MSG_DONTWAIT | MSG_NOSIGNAL));
}

gssize
usock_io_send (int                    fd,
               const UsockIoOutgoing *outgoing)
{
  struct msghdr header;
  ControlOut control;
  LongName name;
  gssize result;

  FAULT (USOCK_IO_SEND);
  outgoing_fill (outgoing, &header);
  if (outgoing->n_fds > 0 || outgoing->credentials != NULL)
    {
      header.msg_control = control.buffer;
      header.msg_controllen = control_write (&control, outgoing);
    }

  if (outgoing->destination == NULL || outgoing->destination->length > 0)
    return send_native (fd, &header);

  result = long_name_open (&name, outgoing->destination);
  if (result < 0)
    return result;
  header.msg_name = &name.native;
  header.msg_namelen = sizeof name.native;
  result = send_native (fd, &header);
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
  NativeName names[USOCK_IO_BATCH_MAX];
  _Alignas (64) char controls[USOCK_IO_BATCH_MAX][CONTROL_SIZE];
};

static void
batch_reset (UsockIoBatch *self,
             guint         first,
             guint         n)
{
  for (guint i = first; i < first + n; i++)
    {
      struct msghdr *header = &self->headers[i].msg_hdr;

      header->msg_namelen = sizeof (NativeName);
      header->msg_controllen = CONTROL_SIZE;
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
  packet->is_end = header->msg_len == 0 && controls == 0;
  packet->has_control = (controls > 0 && !control_is_time (&header->msg_hdr))
                        || (header->msg_hdr.msg_flags & MSG_CTRUNC) != 0;
}

static int
control_get_fd (const struct cmsghdr *header,
                gsize                 index)
{
  int fd;

  memcpy (&fd, CMSG_DATA (header) + index * sizeof fd, sizeof fd);
  return fd;
}

static void
control_take_fds (UsockIoControl       *control,
                  const struct cmsghdr *header)
{
  gsize n = (header->cmsg_len - CMSG_LEN (0)) / sizeof (int);

  /* The kernel merges what was sent; more than fits is not to be had, but would not be kept. */
  for (gsize i = 0; i < n; i++)
    {
      int fd = control_get_fd (header, i);

      if (control->n_fds < USOCK_IO_FDS_MAX)
        control->fds[control->n_fds++] = fd;
      else
        usock_io_close_foreign (fd);
    }
}

/* Walks every record. The descriptors are the caller's from here on, so this is called once for
 * each message that has_control. MSG_CTRUNC with a buffer that large means that descriptors were
 * lost: the process had no numbers left for them, or a security module refused them. */
void
usock_io_batch_get_control (UsockIoBatch   *self,
                            guint           index,
                            UsockIoControl *control)
{
  struct msghdr *message = &self->headers[index].msg_hdr;

  control->n_fds = 0;
  control->fds_lost = (message->msg_flags & MSG_CTRUNC) != 0;
  control->has_credentials = FALSE;
  control->timestamp = 0;

  for (struct cmsghdr *header = CMSG_FIRSTHDR (message); header != NULL;
       header = CMSG_NXTHDR (message, header))
    {
      if (header->cmsg_level != SOL_SOCKET)
        continue;

      if (header->cmsg_type == SCM_RIGHTS)
        control_take_fds (control, header);
      /* Nobody here asked for one, but whoever made the socket may have. */
      else if (header->cmsg_type == SCM_PIDFD)
        close (control_get_fd (header, 0));
      else if (header->cmsg_type == SCM_CREDENTIALS)
        {
          struct ucred native;

          memcpy (&native, CMSG_DATA (header), sizeof native);
          control->credentials = (UsockCredentials) { native.pid, native.uid, native.gid };
          control->has_credentials = TRUE;
        }
      else if (header->cmsg_type == SCM_TIMESTAMPNS)
        {
          struct timespec time;

          memcpy (&time, CMSG_DATA (header), sizeof time);
          control->timestamp = time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
        }
    }
}

char *
usock_io_batch_get_sender (UsockIoBatch *self,
                           guint         index)
{
  return usock_native_to_text (&self->names[index].any,
                               self->headers[index].msg_hdr.msg_namelen);
}

static void
control_drop_copies (struct msghdr *message)
{
  for (struct cmsghdr *header = CMSG_FIRSTHDR (message); header != NULL;
       header = CMSG_NXTHDR (message, header))
    if (header->cmsg_level == SOL_SOCKET
        && (header->cmsg_type == SCM_RIGHTS || header->cmsg_type == SCM_PIDFD))
      for (gsize i = 0; i < (header->cmsg_len - CMSG_LEN (0)) / sizeof (int); i++)
        close (control_get_fd (header, i));
}

/* Looks without taking. Peeking with a control buffer installs descriptors, each time anew; this
 * one has room for the time alone, which comes first. Where no markers are set, descriptors may
 * come instead; the queue has them still, so closing these copies never blocks. */
int
usock_io_peek_end (int       fd,
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

static void
close_in_thread (gpointer data,
                 gpointer user_data)
{
  close (GPOINTER_TO_INT (data) - 1);
}

/* A forked child has the pool but not its thread, nor any thread of GLib's shared ones. */
static GThreadPool *
get_closer (void)
{
  static GMutex lock;
  static GThreadPool *closer = NULL;
  static pid_t closer_pid = 0;
  GThreadPool *result;

  g_mutex_lock (&lock);
  if (closer_pid != getpid ())
    {
      closer = g_thread_pool_new (close_in_thread, NULL, 1, TRUE, NULL);
      closer_pid = getpid ();
    }
  result = closer;
  g_mutex_unlock (&lock);

  return result;
}

/* How many descriptors wait to be closed, so that who receives them can wait too. */
guint
usock_io_count_closing (void)
{
  return g_thread_pool_unprocessed (get_closer ());
}

/* A descriptor that a stranger gave may block whoever closes it: a TCP socket that lingers, a
 * socket with such a one in its queue, a file on a dead server. */
void
usock_io_close_foreign (int fd)
{
  struct linger none = { 0, 0 };
  struct stat info;

  if (fstat (fd, &info) == -1 || S_ISFIFO (info.st_mode) || S_ISDIR (info.st_mode)
      || (S_ISCHR (info.st_mode) && major (info.st_rdev) == MEM_MAJOR)
      || (S_ISREG (info.st_mode) && fcntl (fd, F_GET_SEALS) != -1))
    {
      close (fd);
      return;
    }

  if (S_ISSOCK (info.st_mode))
    setsockopt (fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  g_thread_pool_push (get_closer (), GINT_TO_POINTER (fd + 1), NULL);
}
