/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* hostile: who does what he likes with a server, and who is polite to it.
 *
 * The first sends whatever a socket lets him send: bytes, descriptors of odd kinds, urgent bytes,
 * ends, and does not read. What he does follows from a seed. The other gets his answer each time. */

#pragma once

#include <glib.h>

/* How long each of them plays, in microseconds. */
#define HOSTILE_TIME (500 * 1000)

/* How many descriptors the server takes with a message. */
#define HOSTILE_MAX_FDS 4

typedef struct
{
  int type;
  guint32 seed;
  int start[2];
  int listener; /* of a hostile server; -1 of those that connect */
  char *directory;
  char *path;
} Drama;

/* Who plays the server listens to its path before any process does anything. */
void hostile_listen     (Drama       *play);

/* Each is a process of its own, of which this is the exit code. */
int hostile_play        (const Drama *play);
int hostile_play_polite (const Drama *play);
