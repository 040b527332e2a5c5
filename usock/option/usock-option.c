/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-option-private.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <sys/socket.h>

/* Larger than every answer whose size is known. */
#define ANSWER_SIZE 4096
#define ANSWER_SIZE_MAX (1 << 24)

#define TIMESTAMPS_SENDING                                                                         \
  (USOCK_SOF_TIMESTAMPING_TX_HARDWARE | USOCK_SOF_TIMESTAMPING_TX_SOFTWARE                         \
   | USOCK_SOF_TIMESTAMPING_TX_SCHED | USOCK_SOF_TIMESTAMPING_TX_ACK                               \
   | USOCK_SOF_TIMESTAMPING_TX_COMPLETION)

/* Why a socket that works by itself cannot do with a value, or NULL. What it switched on it must
 * have; an error that was read is gone; what waits in an error queue that nobody reads wakes the
 * main loop; and messages have to be kept apart. */
static const char *
value_is_reserved (const UsockOption *option,
                   GVariant          *value,
                   int                family)
{
  gboolean is_unix = family == AF_UNIX;
  gboolean on = option->kind == USOCK_OPTION_BOOL && g_variant_get_boolean (value);

  switch (option->level << 8 | option->name)
    {
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_PASSCRED:
      return is_unix ? _("the property pass-credentials does that") : NULL;
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_PASSRIGHTS:
      return is_unix ? _("the property max-fds does that") : NULL;
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_PASSPIDFD:
      return is_unix ? _("the property pass-pidfd does that") : NULL;
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_TIMESTAMPNS:
      return is_unix && !on ? _("the socket knows by this where messages end") : NULL;
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_TIMESTAMP:
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_TIMESTAMP_NEW:
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_TIMESTAMPNS_NEW:
      return is_unix ? _("the socket needs SO_TIMESTAMPNS, which this switches off") : NULL;
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_PEEK_OFF:
      return _("the socket peeks itself");
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_LINGER:
      {
        gboolean lingers;
        gint32 seconds;

        g_variant_get (value, "(bi)", &lingers, &seconds);
        return lingers && seconds > 0 ? _("closing would block the main loop") : NULL;
      }
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_TIMESTAMPING:
    case USOCK_SOL_SOCKET << 8 | USOCK_SO_TIMESTAMPING_NEW:
      return (usock_option_get_number (value) & TIMESTAMPS_SENDING) != 0
                 ? _("nobody would read the error queue")
                 : NULL;
    case USOCK_SOL_IP << 8 | USOCK_IP_RECVERR:
    case USOCK_SOL_IPV6 << 8 | USOCK_IPV6_RECVERR:
      return on ? _("nobody would read the error queue") : NULL;
    case USOCK_SOL_UDP << 8 | USOCK_UDP_CORK:
    case USOCK_SOL_UDP << 8 | USOCK_UDP_GRO:
      return on ? _("messages would not be kept apart") : NULL;
    case USOCK_SOL_IPV6 << 8 | USOCK_IPV6_ADDRFORM:
      return _("the socket keeps its family");
    default:
      return NULL;
    }
}

/* For a socket that works by itself: whether it can do without what would be taken from it. */
gboolean
usock_option_check_get (int      level,
                        int      name,
                        int      family,
                        GError **error)
{
  if (level != USOCK_SOL_SOCKET || name != USOCK_SO_ERROR)
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, _("Could not get %s: %s"), "SO_ERROR",
               _("the socket takes its errors itself"));
  return FALSE;
}

/* What is wrong in another way is left to usock_option_set(). */
gboolean
usock_option_check_set (int        level,
                        int        name,
                        GVariant  *value,
                        int        family,
                        GError   **error)
{
  const UsockOption *option = usock_option_find (level, name);
  const char *reason = NULL;

  if (option != NULL && value != NULL && usock_option_takes (option, value))
    reason = value_is_reserved (option, value, family);
  if (reason == NULL)
    return TRUE;

  usock_option_refuse (option, error, G_IO_ERROR_BUSY, reason);
  return FALSE;
}

static void
answer_resize (GByteArray *answer,
               gsize       size)
{
  g_byte_array_set_size (answer, size);
  memset (answer->data, 0, size);
}

/* The kernel counts instructions here, not bytes. */
static int
read_filter (int                fd,
             const UsockOption *option,
             GByteArray        *answer,
             socklen_t         *length)
{
  int result;

  answer_resize (answer, BPF_MAXINSNS * sizeof (struct sock_filter));
  *length = BPF_MAXINSNS;
  result = usock_io_get_option_bytes (fd, option->level, option->name, answer->data, length);
  *length *= sizeof (struct sock_filter);
  return result;
}

/* Of a few options the kernel wants to be asked for as many bytes as they have. */
static gsize
answer_size (const UsockOption *option)
{
  switch (option->kind)
    {
    case USOCK_OPTION_BOOL:
    case USOCK_OPTION_INT:
    case USOCK_OPTION_UINT:
      return sizeof (int);
    case USOCK_OPTION_UINT64:
      return sizeof (guint64);
    case USOCK_OPTION_BYTES:
      return option->max;
    default:
      return ANSWER_SIZE;
    }
}

/* ERANGE says that the answer is longer than the buffer, and some tell how long it is. */
static int
read_answer (int                fd,
             const UsockOption *option,
             GByteArray        *answer,
             socklen_t         *length)
{
  gsize size = answer_size (option);
  int result;

  do
    {
      answer_resize (answer, size);
      /* The one that also takes a value: the layout of which the length is asked for. */
      if (option->level == USOCK_SOL_PACKET && option->name == USOCK_PACKET_HDRLEN)
        usock_io_get_option (fd, USOCK_SOL_PACKET, USOCK_PACKET_VERSION, (int *) answer->data);

      *length = size;
      result = usock_io_get_option_bytes (fd, option->level, option->name, answer->data, length);
      size = MAX (*length, size * 2);
    }
  while (result == -ERANGE && size <= ANSWER_SIZE_MAX);

  return result;
}

/* Stores the errno of the system call, if it was that which failed. */
GVariant *
usock_option_get (int      fd,
                  int      level,
                  int      name,
                  int     *errnum,
                  GError **error)
{
  const UsockOption *option = usock_option_find (level, name);
  g_autoptr (GByteArray) answer = g_byte_array_new ();
  socklen_t length;
  int result;

  if (option == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                   _("Could not get option %d of level %d: there is no such option"), name, level);
      return NULL;
    }
  if ((option->access & USOCK_OPTION_READABLE) == 0)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, _("Could not get %s: %s"),
                   option->label, _("it can only be set"));
      return NULL;
    }

  if (option->kind == USOCK_OPTION_FILTER)
    result = read_filter (fd, option, answer, &length);
  else
    result = read_answer (fd, option, answer, &length);
  if (result < 0)
    {
      *errnum = -result;
      usock_error_set_errno (error, -result, _("Could not get %s"), option->label);
      return NULL;
    }

  return usock_option_unpack (option, answer->data, length);
}

static gboolean
write_value (int                 fd,
             const UsockOption  *option,
             UsockOptionValue   *packed,
             int                *errnum,
             GError            **error)
{
  int result = usock_io_set_option_bytes (fd, option->level, option->name, packed->data->data,
                                          packed->data->len);

  if (result == 0)
    return TRUE;

  *errnum = -result;
  usock_error_set_errno (error, -result, _("Could not set %s"), option->label);
  return FALSE;
}

/* Whether the option is there to be set, and what the kernel is to be given. */
static const UsockOption *
option_prepare (int                level,
                int                name,
                GVariant          *value,
                UsockOptionValue  *packed,
                GError           **error)
{
  const UsockOption *option = usock_option_find (level, name);

  if (option == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                   _("Could not set option %d of level %d: there is no such option"), name, level);
      return NULL;
    }
  if ((option->access & USOCK_OPTION_WRITABLE) == 0)
    {
      usock_option_refuse (option, error, G_IO_ERROR_READ_ONLY, _("it can only be read"));
      return NULL;
    }

  packed->data = g_byte_array_new ();
  return usock_option_pack (option, value, packed, error) ? option : NULL;
}

static void
value_clear (UsockOptionValue *packed)
{
  g_clear_pointer (&packed->data, g_byte_array_unref);
  g_clear_pointer (&packed->program, g_byte_array_unref);
}

/* What can be told without a socket. */
gboolean
usock_option_check_value (int        level,
                          int        name,
                          GVariant  *value,
                          GError   **error)
{
  UsockOptionValue packed = { 0 };
  const UsockOption *option = option_prepare (level, name, value, &packed, error);

  value_clear (&packed);
  return option != NULL;
}

gboolean
usock_option_set (int        fd,
                  int        level,
                  int        name,
                  GVariant  *value,
                  int       *errnum,
                  GError   **error)
{
  UsockOptionValue packed = { 0 };
  const UsockOption *option = option_prepare (level, name, value, &packed, error);
  gboolean done = option != NULL && write_value (fd, option, &packed, errnum, error);

  value_clear (&packed);
  return done;
}
