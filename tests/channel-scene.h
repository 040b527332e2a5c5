/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* channel-scene: a channel that is watched, over one end of the pair of the test; the other is raw. */

#pragma once

#include "witness.h"

typedef struct
{
  Witness witness;
  UsockChannel *channel;
  int peer;
} Scene;

/* What is listened to is named as for witness_watch(). */
static inline void
scene_start (Scene      *self,
             UsockTest  *test,
             const char *signals)
{
  witness_init (&self->witness);
  self->channel = scene_adopt (test);
  self->peer = test->pair[1];
  if (*signals != '\0')
    witness_watch (&self->witness, self->channel, signals);
}

static inline void
scene_stop (Scene *self)
{
  scene_close (self->channel);
  witness_clear (&self->witness);
}
