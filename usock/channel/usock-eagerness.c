/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-eagerness-private.h"

/* Larger batches than this many bytes leave the cache before they are delivered. */
#define BATCH_BYTES (512 * 1024)

/* After how many reads that found nothing they are made less often, and how often. */
#define IN_VAIN_LIMIT 16

guint
usock_eagerness_get (UsockEagerness *self,
                     guint           most)
{
  return CLAMP (self->wanted, 1, MAX (most, 1));
}

/* Of the @asked messages @n came, with that many bytes. A short batch proves that there was no
 * more, but is no reason to stop: by the time it is delivered there often is, and asking again costs
 * less than to wait in epoll and poll. */
void
usock_eagerness_found (UsockEagerness *self,
                       guint           asked,
                       guint           n,
                       gsize           bytes,
                       guint           n_slots)
{
  if (asked > 1)
    self->n_in_vain = 0;

  if (n == asked && bytes / n * asked * 2 <= BATCH_BYTES)
    self->wanted = MIN (asked * 2, n_slots);
  else if (n < asked)
    self->wanted = MAX (n, 1);
  else if (bytes > BATCH_BYTES)
    self->wanted = MAX (asked / 2, 1);
}

void
usock_eagerness_found_nothing (UsockEagerness *self,
                               guint           asked)
{
  if (asked > 1)
    self->n_in_vain++;
  self->wanted = 1;
}

/* Whether to leave it at what came, if what else there is will be told of. */
gboolean
usock_eagerness_is_calm (UsockEagerness *self)
{
  return self->n_in_vain >= IN_VAIN_LIMIT && ++self->n_in_vain % IN_VAIN_LIMIT != 0;
}
