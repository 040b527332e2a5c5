/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

/* A stream of messages that both sides can make up on their own: the length and each byte of the
 * message numbered @i follow from a seed. The peers in other languages count the same way. */

static inline guint32
sequence_hash (guint32 seed,
               guint32 i)
{
  guint32 h = seed * 0x9e3779b1u + i;

  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  return h ^ (h >> 16);
}

/* Most are short, each sixteenth has up to @longest bytes, and none is empty. */
static inline gsize
sequence_length (guint32 seed,
                 guint32 i,
                 gsize longest)
{
  return 1 + sequence_hash (seed, i) % (i % 16 == 15 ? longest : MIN (longest, 1000));
}

static inline void
sequence_fill (guint32 seed,
               guint32 i,
               guint8 *data,
               gsize length)
{
  for (gsize j = 0; j < length; j++)
    data[j] = seed + i + j;
}

static inline gboolean
sequence_matches (guint32 seed,
                  guint32 i,
                  const guint8 *data,
                  gsize length)
{
  for (gsize j = 0; j < length; j++)
    if (data[j] != (guint8) (seed + i + j))
      return FALSE;

  return TRUE;
}
