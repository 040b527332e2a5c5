/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-option-private.h"

#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>

/* From values to what the kernel takes. The type was checked before; here it is whether the
 * value means something. */

static gboolean
refuse_number (const UsockOption  *self,
               GError            **error)
{
  g_autofree char *min = g_strdup_printf ("%" G_GINT64_FORMAT, self->min);
  g_autofree char *max = g_strdup_printf ("%" G_GINT64_FORMAT, self->max);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _("Could not set %s: the value is not between %s and %s"), self->label, min, max);
  return FALSE;
}

static gboolean
refuse_length (const UsockOption  *self,
               GError            **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _("Could not set %s: the value has not between %d and %d bytes"), self->label,
               (int) self->min, (int) self->max);
  return FALSE;
}

static gboolean
pack_nothing (const UsockOption  *self,
              GVariant           *value,
              UsockOptionValue   *packed,
              GError            **error)
{
  const int ignored = 0;

  USOCK_OPTION_APPEND (packed, ignored);
  return TRUE;
}

static gboolean
pack_bool (const UsockOption  *self,
           GVariant           *value,
           UsockOptionValue   *packed,
           GError            **error)
{
  int native = g_variant_get_boolean (value);

  USOCK_OPTION_APPEND (packed, native);
  return TRUE;
}

static gboolean
pack_number (const UsockOption  *self,
             GVariant           *value,
             UsockOptionValue   *packed,
             GError            **error)
{
  gint64 number = usock_option_get_number (value);
  guint32 native = number;

  if (number < self->min || number > self->max)
    return refuse_number (self, error);

  USOCK_OPTION_APPEND (packed, native);
  return TRUE;
}

/* A long of the kernel. */
static gboolean
pack_uint64 (const UsockOption  *self,
             GVariant           *value,
             UsockOptionValue   *packed,
             GError            **error)
{
  gboolean is_uint64 = g_variant_classify (value) == G_VARIANT_CLASS_UINT64;
  guint64 number = is_uint64 ? g_variant_get_uint64 (value) : (guint64) usock_option_get_number (value);
  gulong native = number;

  if (native != number || (!is_uint64 && usock_option_get_number (value) < 0))
    {
      usock_option_refuse (self, error, G_IO_ERROR_INVALID_ARGUMENT,
                           _("the value is negative or too large"));
      return FALSE;
    }

  USOCK_OPTION_APPEND (packed, native);
  return TRUE;
}

static gboolean
pack_string (const UsockOption  *self,
             GVariant           *value,
             UsockOptionValue   *packed,
             GError            **error)
{
  gsize length;
  const char *text = g_variant_get_string (value, &length);

  if ((gint64) length < self->min || (gint64) length > self->max)
    return refuse_length (self, error);

  g_byte_array_append (packed->data, (gconstpointer) text, length + 1);
  return TRUE;
}

static gboolean
pack_bytes (const UsockOption  *self,
            GVariant           *value,
            UsockOptionValue   *packed,
            GError            **error)
{
  gsize length;
  gconstpointer bytes = g_variant_get_fixed_array (value, &length, 1);

  if ((gint64) length < self->min || (gint64) length > self->max)
    return refuse_length (self, error);

  if (length > 0)
    g_byte_array_append (packed->data, bytes, length);
  return TRUE;
}

static gboolean
time_is_valid (const UsockOption  *self,
               gint64              time,
               GError            **error)
{
  if (time >= 0 && time / G_USEC_PER_SEC <= G_MAXINT32)
    return TRUE;

  usock_option_refuse (self, error, G_IO_ERROR_INVALID_ARGUMENT,
                       _("the value is negative or too large"));
  return FALSE;
}

static gboolean
pack_time (const UsockOption  *self,
           GVariant           *value,
           UsockOptionValue   *packed,
           GError            **error)
{
  gint64 time = usock_option_get_number (value);
  long parts[2] = { time / G_USEC_PER_SEC, time % G_USEC_PER_SEC };

  if (!time_is_valid (self, time, error))
    return FALSE;

  USOCK_OPTION_APPEND (packed, parts);
  return TRUE;
}

static gboolean
pack_time64 (const UsockOption  *self,
             GVariant           *value,
             UsockOptionValue   *packed,
             GError            **error)
{
  gint64 time = usock_option_get_number (value);
  gint64 parts[2] = { time / G_USEC_PER_SEC, time % G_USEC_PER_SEC };

  if (!time_is_valid (self, time, error))
    return FALSE;

  USOCK_OPTION_APPEND (packed, parts);
  return TRUE;
}

static gboolean
pack_linger (const UsockOption  *self,
             GVariant           *value,
             UsockOptionValue   *packed,
             GError            **error)
{
  struct linger linger;
  gboolean on;

  g_variant_get (value, "(bi)", &on, &linger.l_linger);
  linger.l_onoff = on;
  if (linger.l_linger < 0)
    {
      usock_option_refuse (self, error, G_IO_ERROR_INVALID_ARGUMENT,
                           _("the value is negative or too large"));
      return FALSE;
    }

  USOCK_OPTION_APPEND (packed, linger);
  return TRUE;
}

static gboolean
pack_filter (const UsockOption  *self,
             GVariant           *value,
             UsockOptionValue   *packed,
             GError            **error)
{
  gsize n_lines = g_variant_n_children (value);
  struct sock_fprog program;

  if (n_lines < 1 || n_lines > BPF_MAXINSNS)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("Could not set %s: the program has not between %d and %d instructions"),
                   self->label, 1, BPF_MAXINSNS);
      return FALSE;
    }

  packed->program = g_byte_array_new ();
  for (gsize i = 0; i < n_lines; i++)
    {
      struct sock_filter line;

      g_variant_get_child (value, i, "(qyyu)", &line.code, &line.jt, &line.jf, &line.k);
      g_byte_array_append (packed->program, (gconstpointer) &line, sizeof line);
    }

  memset (&program, 0, sizeof program);
  program.len = n_lines;
  program.filter = (gpointer) packed->program->data;
  USOCK_OPTION_APPEND (packed, program);
  return TRUE;
}

static gboolean
pack_txtime (const UsockOption  *self,
             GVariant           *value,
             UsockOptionValue   *packed,
             GError            **error)
{
  gint32 clock;
  guint32 flags;

  g_variant_get (value, "(iu)", &clock, &flags);
  USOCK_OPTION_APPEND (packed, clock);
  USOCK_OPTION_APPEND (packed, flags);
  return TRUE;
}

static gboolean
pack_ports (const UsockOption  *self,
            GVariant           *value,
            UsockOptionValue   *packed,
            GError            **error)
{
  guint16 low, high;
  guint32 native;

  g_variant_get (value, "(qq)", &low, &high);
  native = (guint32) high << 16 | low;
  USOCK_OPTION_APPEND (packed, native);
  return TRUE;
}

/* The type of the value, as the kind is read and as it is documented. */
static const struct
{
  const char *format;
  UsockOptionPack pack;
} kinds[USOCK_OPTION_N_KINDS] = {
  [USOCK_OPTION_NOTHING] = { "", pack_nothing },
  [USOCK_OPTION_BOOL] = { "b", pack_bool },
  [USOCK_OPTION_INT] = { "i", pack_number },
  [USOCK_OPTION_UINT] = { "u", pack_number },
  [USOCK_OPTION_UINT64] = { "t", pack_uint64 },
  [USOCK_OPTION_UINTS] = { "au", NULL },
  [USOCK_OPTION_STRING] = { "s", pack_string },
  [USOCK_OPTION_LABEL] = { "s", NULL },
  [USOCK_OPTION_BYTES] = { "ay", pack_bytes },
  [USOCK_OPTION_TIME] = { "x", pack_time },
  [USOCK_OPTION_TIME64] = { "x", pack_time64 },
  [USOCK_OPTION_LINGER] = { "(bi)", pack_linger },
  [USOCK_OPTION_CREDENTIALS] = { "(iuu)", NULL },
  [USOCK_OPTION_FD] = { "h", pack_number },
  [USOCK_OPTION_NEW_FD] = { "h", NULL },
  [USOCK_OPTION_FILTER] = { "a(qyyu)", pack_filter },
  [USOCK_OPTION_TXTIME] = { "(iu)", pack_txtime },
  [USOCK_OPTION_ADDRESS] = { "s", NULL },
  [USOCK_OPTION_INTERFACE] = { "s", usock_option_pack_interface },
  [USOCK_OPTION_INTERFACE_BE] = { "s", usock_option_pack_interface },
  [USOCK_OPTION_IP_INTERFACE] = { "s", usock_option_pack_ip_interface },
  [USOCK_OPTION_IP_MEMBERSHIP] = { "(sss)", usock_option_pack_ip_membership },
  [USOCK_OPTION_IP_SOURCE] = { "(sss)", usock_option_pack_ip_source },
  [USOCK_OPTION_IP_SOURCES] = { "(ssuas)", usock_option_pack_ip_sources },
  [USOCK_OPTION_GROUP] = { "(ss)", usock_option_pack_group },
  [USOCK_OPTION_GROUP_SOURCE] = { "(sss)", usock_option_pack_group_source },
  [USOCK_OPTION_GROUP_SOURCES] = { "(ssuas)", usock_option_pack_group_sources },
  [USOCK_OPTION_PORTS] = { "(qq)", pack_ports },
  [USOCK_OPTION_IPV6_MEMBERSHIP] = { "(ss)", usock_option_pack_ipv6_membership },
  [USOCK_OPTION_IPV6_PKTINFO] = { "(ss)", usock_option_pack_ipv6_pktinfo },
  [USOCK_OPTION_IPV6_MTU] = { "(su)", NULL },
  [USOCK_OPTION_FLOW_LABEL] = { "(suyyqqq)", usock_option_pack_flow_label },
  [USOCK_OPTION_TCP_INFO] = { "a{sv}", NULL },
  [USOCK_OPTION_PACKET_MEMBERSHIP] = { "(sqay)", usock_option_pack_packet_membership },
  [USOCK_OPTION_PACKET_STATISTICS] = { "(uu)", NULL },
  [USOCK_OPTION_RING] = { "(uuuu)", usock_option_pack_ring },
  [USOCK_OPTION_FANOUT] = { "(qq)", pack_ports },
  [USOCK_OPTION_ROLLOVER] = { "(ttt)", NULL },
};

const char *
usock_option_get_format (const UsockOption *self)
{
  return kinds[self->kind].format;
}

/* Any integer will do for a number, and for an interface beside its name: scripts have only one
 * type of numbers. */
gboolean
usock_option_takes (const UsockOption *self,
                    GVariant          *value)
{
  const char *format = kinds[self->kind].format;
  const char *type = g_variant_get_type_string (value);
  gboolean is_integer = type[1] == '\0' && strchr ("ynqiuxth", type[0]) != NULL;

  if (is_integer
      && (self->kind == USOCK_OPTION_INTERFACE || self->kind == USOCK_OPTION_INTERFACE_BE
          || self->kind == USOCK_OPTION_IP_INTERFACE || strchr ("iutxh", format[0]) != NULL))
    return TRUE;

  return g_str_equal (type, format);
}

gboolean
usock_option_pack (const UsockOption  *self,
                   GVariant           *value,
                   UsockOptionValue   *packed,
                   GError            **error)
{
  const char *format = kinds[self->kind].format;

  if (*format == '\0' && value != NULL)
    usock_option_refuse (self, error, G_IO_ERROR_INVALID_DATA, _("it takes no value"));
  else if (*format != '\0' && value == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 _("Could not set %s: it takes a value of the type “%s”"), self->label, format);
  else if (value != NULL && !usock_option_takes (self, value))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 _("Could not set %s: the value is of the type “%s”, not “%s”"), self->label,
                 g_variant_get_type_string (value), format);
  else
    return kinds[self->kind].pack (self, value, packed, error);

  return FALSE;
}
