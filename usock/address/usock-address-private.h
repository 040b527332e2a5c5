/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "usock-address.h"

G_BEGIN_DECLS

#define USOCK_NATIVE_PATH_OFFSET offsetof (struct sockaddr_un, sun_path)
#define USOCK_NATIVE_PATH_SIZE (sizeof ((struct sockaddr_un *) NULL)->sun_path)

/* usock-address: a place to connect, bind or send to, checked and ready for the kernel.
 *
 * A path is kept apart, since it may be longer than a sockaddr_un: the io room reaches it then
 * by way of /proc. It is absolute, so that a later chdir() does not move it. */
typedef struct
{
  char *label;      /* how errors call it */
  char *path;       /* NULL unless it is in the file system */
  socklen_t length; /* 0 if the path does not fit */
  union
  {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
  } native;
} UsockName;

UsockName *usock_name_new_for_path    (const char            *path,
                                       GError               **error);
UsockName *usock_name_new_for_text    (const char            *text,
                                       GError               **error);
char      *usock_text_get_host        (const char            *text,
                                       guint16               *port);
UsockName *usock_name_new_for_address (GSocketAddress        *address,
                                       GError               **error);
/* usock-address-service.c */
UsockName *usock_name_new_for_service (const char            *name,
                                       GError               **error);
UsockName *usock_name_new_for_own_service (const char        *name,
                                           GError           **error);
void       usock_name_free            (UsockName             *self);
guint      usock_name_hash            (gconstpointer          self);
gboolean   usock_name_equal           (gconstpointer          self,
                                       gconstpointer          other);
gboolean   usock_name_has_text        (const UsockName       *self);
void       usock_name_map_to_ipv6     (UsockName             *self);

GSocketAddress *usock_name_to_address (const UsockName       *self);
char      *usock_name_to_text         (const UsockName       *self);

/* usock-address-text.c */

/* GIO cuts a longer path to this length without a word: the file that remains is not the one
 * meant. Whether one of just this length is whole cannot be seen, so those made here say it. */
#define USOCK_ADDRESS_PATH_MAX (USOCK_NATIVE_PATH_SIZE - 1)

GSocketAddress *usock_address_new_path (const char           *path,
                                        gsize                 length);
gboolean   usock_address_is_whole     (GSocketAddress        *address);
gboolean   usock_text_unescape        (const char            *text,
                                       GString               *name,
                                       GError               **error);
const char *usock_text_find_port      (const char            *text,
                                       guint64               *port);
char      *usock_path_to_text         (const char            *path);

/* From what the kernel gives: text for people and for usock_address_parse(), NULL if unnamed. */
char      *usock_native_to_text       (const struct sockaddr *native,
                                       socklen_t              length);
GSocketAddress *usock_native_to_address (const struct sockaddr *native,
                                         socklen_t              length);

/* Addresses of the link layer have a file of their own. */
gboolean        usock_packet_text_is           (const char             *text);
GSocketAddress *usock_packet_text_parse        (const char             *text,
                                                GError                **error);
GSocketAddress *usock_packet_native_to_address (const struct sockaddr  *native,
                                                socklen_t               length);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsockName, usock_name_free)

G_END_DECLS
