/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-constants.h"
#include "usock-error-private.h"
#include "usock-io-private.h"

G_BEGIN_DECLS

/* usock-option: socket options as typed values.
 *
 * A table says of each option which type its value has, in which range it is, and whether it may
 * be read and set, so that a wrong call is refused with a reason before the kernel sees it. What
 * is not in the table does not exist: the kernel would read or write memory of a size that nobody
 * has checked. Nothing here knows what a socket is used for; what would break a channel is only
 * told apart. */

typedef enum
{
  USOCK_OPTION_NOTHING,
  USOCK_OPTION_BOOL,
  USOCK_OPTION_INT,
  USOCK_OPTION_UINT,
  USOCK_OPTION_UINT64,
  USOCK_OPTION_UINTS,
  USOCK_OPTION_STRING,
  USOCK_OPTION_LABEL,
  USOCK_OPTION_BYTES,
  USOCK_OPTION_TIME,
  USOCK_OPTION_TIME64,
  USOCK_OPTION_LINGER,
  USOCK_OPTION_CREDENTIALS,
  USOCK_OPTION_FD,
  USOCK_OPTION_NEW_FD,
  USOCK_OPTION_FILTER,
  USOCK_OPTION_TXTIME,
  USOCK_OPTION_ADDRESS,
  USOCK_OPTION_INTERFACE,
  USOCK_OPTION_INTERFACE_BE,
  USOCK_OPTION_IP_INTERFACE,
  USOCK_OPTION_IP_MEMBERSHIP,
  USOCK_OPTION_IP_SOURCE,
  USOCK_OPTION_IP_SOURCES,
  USOCK_OPTION_GROUP,
  USOCK_OPTION_GROUP_SOURCE,
  USOCK_OPTION_GROUP_SOURCES,
  USOCK_OPTION_PORTS,
  USOCK_OPTION_IPV6_MEMBERSHIP,
  USOCK_OPTION_IPV6_PKTINFO,
  USOCK_OPTION_IPV6_MTU,
  USOCK_OPTION_FLOW_LABEL,
  USOCK_OPTION_TCP_INFO,
  USOCK_OPTION_PACKET_MEMBERSHIP,
  USOCK_OPTION_PACKET_STATISTICS,
  USOCK_OPTION_RING,
  USOCK_OPTION_FANOUT,
  USOCK_OPTION_ROLLOVER,
  USOCK_OPTION_N_KINDS,
} UsockOptionKind;

typedef enum
{
  USOCK_OPTION_READABLE = 1 << 0,
  USOCK_OPTION_WRITABLE = 1 << 1,
} UsockOptionAccess;

typedef struct
{
  int level;
  int name;
  const char *label;
  UsockOptionKind kind;
  UsockOptionAccess access;
  gint64 min; /* of a number, or of the length of text and bytes */
  gint64 max;
} UsockOption;

/* What goes to the kernel; a filter is a pointer to its instructions. */
typedef struct
{
  GByteArray *data;
  GByteArray *program;
} UsockOptionValue;

guint              usock_option_n_known    (void);
const UsockOption *usock_option_nth        (guint               index);
const UsockOption *usock_option_find       (int                 level,
                                            int                 name);
const char        *usock_option_get_format (const UsockOption  *self);

gboolean           usock_option_takes      (const UsockOption  *self,
                                            GVariant           *value);
gboolean           usock_option_pack       (const UsockOption  *self,
                                            GVariant           *value,
                                            UsockOptionValue   *packed,
                                            GError            **error);
GVariant          *usock_option_unpack     (const UsockOption  *self,
                                            const guint8       *data,
                                            gsize               length);
void               usock_option_refuse     (const UsockOption  *self,
                                            GError            **error,
                                            GIOErrorEnum        code,
                                            const char         *reason);

/* Interfaces, groups and packet sockets have a file of their own. */
typedef gboolean (*UsockOptionPack) (const UsockOption  *self,
                                     GVariant           *value,
                                     UsockOptionValue   *packed,
                                     GError            **error);

#define USOCK_OPTION_APPEND(packed, value)                                                         \
  g_byte_array_append ((packed)->data, (gconstpointer) & (value), sizeof (value))

gint64 usock_option_get_number (GVariant *value);
gboolean usock_option_pack_interface (const UsockOption  *self,
                                      GVariant           *value,
                                      UsockOptionValue   *packed,
                                      GError            **error);
gboolean usock_option_pack_ip_interface (const UsockOption  *self,
                                         GVariant           *value,
                                         UsockOptionValue   *packed,
                                         GError            **error);
gboolean usock_option_pack_ip_membership (const UsockOption  *self,
                                          GVariant           *value,
                                          UsockOptionValue   *packed,
                                          GError            **error);
gboolean usock_option_pack_ip_source (const UsockOption  *self,
                                      GVariant           *value,
                                      UsockOptionValue   *packed,
                                      GError            **error);
gboolean usock_option_pack_ip_sources (const UsockOption  *self,
                                       GVariant           *value,
                                       UsockOptionValue   *packed,
                                       GError            **error);
gboolean usock_option_pack_group (const UsockOption  *self,
                                  GVariant           *value,
                                  UsockOptionValue   *packed,
                                  GError            **error);
gboolean usock_option_pack_group_source (const UsockOption  *self,
                                         GVariant           *value,
                                         UsockOptionValue   *packed,
                                         GError            **error);
gboolean usock_option_pack_group_sources (const UsockOption  *self,
                                          GVariant           *value,
                                          UsockOptionValue   *packed,
                                          GError            **error);
gboolean usock_option_pack_ipv6_membership (const UsockOption  *self,
                                            GVariant           *value,
                                            UsockOptionValue   *packed,
                                            GError            **error);
gboolean usock_option_pack_ipv6_pktinfo (const UsockOption  *self,
                                         GVariant           *value,
                                         UsockOptionValue   *packed,
                                         GError            **error);
gboolean usock_option_pack_flow_label (const UsockOption  *self,
                                       GVariant           *value,
                                       UsockOptionValue   *packed,
                                       GError            **error);
gboolean usock_option_pack_packet_membership (const UsockOption  *self,
                                              GVariant           *value,
                                              UsockOptionValue   *packed,
                                              GError            **error);
gboolean usock_option_pack_ring (const UsockOption  *self,
                                 GVariant           *value,
                                 UsockOptionValue   *packed,
                                 GError            **error);

gboolean           usock_option_check_get  (int                 level,
                                            int                 name,
                                            int                 family,
                                            GError            **error);
gboolean           usock_option_check_set  (int                 level,
                                            int                 name,
                                            GVariant           *value,
                                            int                 family,
                                            GError            **error);
GVariant          *usock_option_get        (int                 fd,
                                            int                 level,
                                            int                 name,
                                            int                *errnum,
                                            GError            **error);
gboolean           usock_option_check_value (int                level,
                                             int                name,
                                             GVariant          *value,
                                             GError           **error);
gboolean           usock_option_set        (int                 fd,
                                            int                 level,
                                            int                 name,
                                            GVariant           *value,
                                            int                *errnum,
                                            GError            **error);

G_END_DECLS
