/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include "usock-constants.h"
#include "usock-types.h"

G_BEGIN_DECLS

USOCK_AVAILABLE_IN_1_0
GSocketAddress *usock_address_parse     (const char      *text,
                                         GError         **error);
USOCK_AVAILABLE_IN_1_0
char           *usock_address_to_string (GSocketAddress  *address);

#define USOCK_TYPE_PACKET_ADDRESS (usock_packet_address_get_type ())

USOCK_DECLARE_TYPE (UsockPacketAddress, usock_packet_address, PACKET_ADDRESS, GSocketAddress)

USOCK_AVAILABLE_IN_1_0
UsockPacketAddress *usock_packet_address_new                  (guint                interface_index,
                                                               guint                protocol,
                                                               const guint8        *hardware_address,
                                                               gsize                length);
USOCK_AVAILABLE_IN_1_0
UsockPacketAddress *usock_packet_address_new_for_interface    (const char          *interface,
                                                               guint                protocol,
                                                               GError             **error);

USOCK_AVAILABLE_IN_1_0
guint               usock_packet_address_get_protocol         (UsockPacketAddress  *self);
USOCK_AVAILABLE_IN_1_0
guint               usock_packet_address_get_interface_index  (UsockPacketAddress  *self);
USOCK_AVAILABLE_IN_1_0
char               *usock_packet_address_dup_interface_name   (UsockPacketAddress  *self);
USOCK_AVAILABLE_IN_1_0
guint               usock_packet_address_get_hardware_type    (UsockPacketAddress  *self);
USOCK_AVAILABLE_IN_1_0
UsockPacketType     usock_packet_address_get_packet_type      (UsockPacketAddress  *self);
USOCK_AVAILABLE_IN_1_0
GBytes             *usock_packet_address_get_hardware_address (UsockPacketAddress  *self);

G_END_DECLS
