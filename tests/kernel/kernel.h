/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Older headers than the kernel's lack it. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/* What the library takes for granted, and what of it would break if the kernel behaved otherwise. */
typedef struct
{
  const char *name;
  const char *fact;
  const char *consequence;
  void (*test) (void);
} Fact;

extern const Fact seqpacket_facts[];
extern const Fact stream_facts[];
extern const Fact batch_facts[];
extern const Fact connect_facts[];
extern const Fact address_facts[];
extern const Fact dgram_facts[];
extern const Fact descriptor_facts[];
extern const Fact credential_facts[];
extern const Fact epoll_facts[];

typedef struct
{
  gssize length; /* or the negative errno */
  int flags;
  gsize control_length;
  gsize name_length;
  int fds[260];
  guint n_fds;
  gboolean has_credentials;
  struct ucred credentials;
} Received;

static inline void
clear_fd (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

#define autofd __attribute__ ((unused, cleanup (clear_fd))) int

typedef struct
{
  int a;
  int b;
} Pair;

static inline void
clear_pair (Pair *pair)
{
  clear_fd (&pair->a);
  clear_fd (&pair->b);
}

#define autopair __attribute__ ((unused, cleanup (clear_pair))) Pair

#define EVENTS_ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP)

/* All of these return a negative errno for a failure, and none of them blocks. */
Pair        pair_new      (int          type);
gssize      put           (int          fd,
                           gsize        length);
gssize      put_fds       (int          fd,
                           gsize        length,
                           const int   *fds,
                           guint        n_fds);
gssize      put_to        (int          fd,
                           const char  *path);
gssize      take          (int          fd,
                           gsize        length);
Received    take_message  (int          fd,
                           gsize        control_size,
                           int          flags);
guint       fill          (int          fd,
                           gsize        length);
guint       drain         (int          fd);

guint32     events_of     (int          fd);
int         watch         (int          fd,
                           guint32      events);
guint32     next_events   (int          epoll,
                           int          timeout);

int         get_option    (int          fd,
                           int          option);
int         set_option    (int          fd,
                           int          option,
                           int          value);

const char *path_of       (const char  *name);
int         bind_to       (int          fd,
                           const char  *path);
int         connect_to    (int          fd,
                           const char  *path);
int         socket_at     (int          type,
                           const char  *name);
int         listen_at     (int          type,
                           const char  *name,
                           int          backlog);
int         client_of     (int          type,
                           const char  *name);

gint64      read_setting  (const char  *path);
int         run_as        (uid_t        uid,
                           int        (*run) (gpointer data),
                           gpointer     data);
