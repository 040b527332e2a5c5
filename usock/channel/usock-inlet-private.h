/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-inlet: what one channel receives.
 *
 * Messages are read in batches into buffers that are lent for a turn, and are taken one by one, from
 * where they were read. What a turn leaves goes to the inbox, which is always first in line. A turn
 * in a nested main loop has a frame of its own: it first takes what the outer one has read, then
 * reads into its own buffers, and leaves everything as it was. Knows no signals, no calls and no
 * GObject: whoever asks decides what becomes of a message, or of an error.
 *
 * usock-inlet.c has frames, inbox and messages; -take.c what is read in each framing. */

#pragma once

#include <stdbool.h>

#include "usock-eagerness-private.h"
#include "usock-io-private.h"
#include "usock-queue-private.h"

G_BEGIN_DECLS

typedef struct _UsockInlet UsockInlet;

typedef struct
{
  /* Reads into the batch, up to that many messages. 0, or a negative errno; with -EMSGSIZE bytes
   * have lost their descriptors. */
  int (*take) (UsockInlet *self, guint max_messages);
  /* Whether receiving may go on as if nothing had been; NULL for never. */
  gboolean (*forgives) (int errnum);
  gboolean has_senders; /* each message may come from somebody else */
  gboolean is_bytes;    /* messages are pieces, without borders of their own */
} UsockInletFuncs;

struct _UsockInlet
{
  const UsockInletFuncs *funcs;
  int fd; /* the socket's; -1 while there is nothing to read from */

  guint read_buffer_size;
  guint max_fds;
  guint max_held_fds;
  bool pass_credentials;
  bool pass_pidfd;

  bool is_open;  /* what is read is kept */
  bool is_level; /* what is not read will be told of again */
  bool may_hide; /* a read that found less than it asked for proves nothing */
  bool emptied;  /* by the last read, as far as it could tell */
  bool at_end;   /* nothing more will come */
  bool is_starved; /* bytes are missing, for which there was no memory */
  UsockTally *tally; /* made for the first limit, or the first descriptors that come */
  UsockTallyFunc fell;
  gpointer fell_data;

  UsockQueue inbox;
  UsockIoBatch *batch; /* of the innermost frame that has one */
  guint next;
  guint count;

  UsockEagerness eagerness;
  gsize lost_length; /* of the bytes that have lost their descriptors */

  guint64 bytes_read;
  guint64 messages_read;
};

/* What a turn borrows. */
typedef struct
{
  UsockIoBatch *batch;
  UsockIoBatch *outer;
  guint outer_next;
  guint outer_count;
} UsockInletFrame;

/* One message on its way out: its payload where it was read, or a message of the inbox. */
typedef struct
{
  const guint8 *data;
  gsize length;
  gsize full_length;
  gboolean truncated;
  gboolean has_control;
  guint n_fds;
  guint slot;
  UsockIoBatch *batch;   /* where the slot is */
  UsockMessage *message; /* from the inbox, or made of the slot */
} UsockIncoming;

/* usock-inlet.c */
/* Its owner chooses the functions. */
void          usock_inlet_init           (UsockInlet            *self);
void          usock_inlet_clear          (UsockInlet            *self);
void          usock_inlet_begin          (UsockInlet            *self,
                                          UsockInletFrame       *frame);
void          usock_inlet_lend           (UsockInlet            *self,
                                          UsockInletFrame       *frame,
                                          UsockIoBatch          *batch);
UsockIoBatch *usock_inlet_end            (UsockInlet            *self,
                                          UsockInletFrame       *frame);
gboolean      usock_inlet_holds_messages (const UsockInlet      *self);
void          usock_inlet_make_tally     (UsockInlet            *self);
gboolean      usock_inlet_holds_enough_fds (const UsockInlet    *self);
gboolean      usock_inlet_next           (UsockInlet            *self,
                                          UsockIncoming         *incoming);
gboolean      usock_inlet_next_plain     (UsockInlet            *self,
                                          guint8               **data,
                                          gsize                 *length);
void          usock_inlet_untake_plain   (UsockInlet            *self,
                                          gsize                  length);
gboolean      usock_inlet_next_read      (UsockInlet            *self,
                                          UsockIncoming         *incoming);
void          usock_inlet_take_control   (UsockInlet            *self,
                                          UsockIncoming         *incoming,
                                          UsockIoControl        *control);
UsockMessage *usock_inlet_make_message   (UsockInlet            *self,
                                          UsockIncoming         *incoming);
void          usock_inlet_stow           (UsockInlet            *self);
void          usock_inlet_put_back       (UsockInlet            *self,
                                          UsockMessage          *message);
void          usock_inlet_return         (UsockInlet            *self,
                                          UsockIncoming         *incoming);

/* usock-inlet-take.c */
extern const UsockInletFuncs usock_inlet_packets;
extern const UsockInletFuncs usock_inlet_datagrams;
extern const UsockInletFuncs usock_inlet_bytes;

int           usock_inlet_fill           (UsockInlet            *self,
                                          guint                  max_messages);

G_END_DECLS
