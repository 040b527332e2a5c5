/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* stream-scene: a stream that is watched, and what is at its other end. */

#pragma once

#include "witness.h"

typedef struct
{
  Witness witness;
  UsockStream *stream;
  UsockChannel *channel; /* the same */
  UsockStream *far;      /* the other end, or NULL */
  UsockChannel *far_channel;
  int peer; /* the other end, raw, or -1 */
} StreamScene;

/* What is listened to is named as for witness_watch(). */
void       stream_scene_start_raw (StreamScene  *self,
                                   const char   *signals);
void       stream_scene_start     (StreamScene  *self,
                                   const char   *signals);
void       stream_scene_stop      (StreamScene  *self);
void       stream_scene_hang_up   (StreamScene  *self);
/* As small as the kernel makes it. */
void       stream_scene_narrow    (StreamScene  *self,
                                   gpointer      socket);

/* Each writes down what came under its name: `line:text`, `exactly:data`, `exactly:data+2` with two
 * descriptors, which are closed, `line:END`, or the error. */
void       stream_scene_line      (StreamScene  *self,
                                   const char   *name,
                                   GCancellable *cancellable);
/* As a message: `until:data`, or `until:data!` if the end cut it off. */
void       stream_scene_line_bytes (StreamScene *self,
                                    const char  *name);
void       stream_scene_until     (StreamScene  *self,
                                   const char   *name,
                                   const char   *delimiter,
                                   GCancellable *cancellable);
void       stream_scene_text      (StreamScene  *self,
                                   const char   *name,
                                   GCancellable *cancellable);
void       stream_scene_exactly   (StreamScene  *self,
                                   const char   *name,
                                   gsize         n_bytes,
                                   guint         n_fds,
                                   GCancellable *cancellable);
void       stream_scene_send      (StreamScene  *self,
                                   const char   *name,
                                   UsockMessage *message,
                                   GCancellable *cancellable);

/* From the raw end. */
void       raw_send               (int           fd,
                                   gconstpointer data,
                                   gsize         length,
                                   const int    *fds,
                                   guint         n_fds);
void       raw_send_as            (int           fd,
                                   const char   *text,
                                   uid_t         uid);
/* Takes what there is; returns how much, and adds the descriptors that came to @n_fds. */
gssize     raw_receive            (int           fd,
                                   gpointer      data,
                                   gsize         length,
                                   guint        *n_fds);

/* A descriptor that can be told from others by its number, and its number. */
int        numbered_fd            (guint         number);
guint      number_of_fd           (int           fd);

guint      count_open_fds         (void);
gsize      resident_size          (void);
/* Fails if memory has grown by so much since. Sanitizers and valgrind keep what is freed. */
void       assert_grown_less      (gsize         before,
                                   gsize         limit);
guint64    random_below           (GRand        *random,
                                   guint64       end);
