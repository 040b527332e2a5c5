/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-channel-private.h"

G_BEGIN_DECLS

typedef enum
{
  USOCK_WANT_EXACTLY,
  USOCK_WANT_UNTIL,
  USOCK_WANT_TEXT,
} UsockWant;

/* usock-stream-call: a call that waits for a certain number of bytes, or certain ones.
 *
 * It holds what came since it was the first in line, and gives back what it does not use. */
typedef struct
{
  UsockWant want;
  gsize n_bytes;
  guint n_fds;
  const char *delimiter;
  gsize delimiter_length;
  char *own_delimiter; /* NULL if it lasts for ever */
  gboolean is_line; /* a CR before the delimiter is part of it */
  gboolean as_text; /* and not as a message */
  gboolean cut_off; /* by the end, before the delimiter */
  const char *line_ending; /* NULL for none */

  GByteArray *bytes;
  GArray *fds;
  UsockTally *tally; /* of the descriptors, once there were some */
  gsize scanned;     /* no delimiter ends before here */

  /* Several may have sent what is held: who sent all up to a byte, and all from one on. */
  GCredentials *first;
  GCredentials *last;
  gsize first_end;
  gsize last_start;
} UsockStreamCall;

UsockStreamCall *usock_stream_call_new         (UsockWant          want);
void             usock_stream_call_free        (gpointer           data);
void             usock_stream_call_close_fds   (UsockStreamCall   *self);
void             usock_stream_call_note_sender (UsockStreamCall   *self,
                                                GCredentials      *credentials,
                                                gsize              length);
void             usock_stream_call_take_fds    (UsockStreamCall   *self,
                                                UsockMessage      *message);
gboolean         usock_stream_call_add         (UsockStreamCall   *self,
                                                UsockMessage      *message);
GBytes          *usock_stream_call_steal_bytes (UsockStreamCall   *self);
UsockMessage    *usock_stream_call_new_first   (UsockStreamCall   *self,
                                                GBytes            *all,
                                                gsize              n_bytes,
                                                UsockMessageFlags  flags,
                                                guint              n_fds);
void             usock_stream_call_give_back   (UsockStreamCall   *self,
                                                UsockChannel      *channel,
                                                GBytes            *all,
                                                gsize              n_bytes);

G_END_DECLS
