/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* witness: writes down what sockets do, in order, as words with a space between.
 *
 * A signal is written as its name: `connect`, `end`, `drain`, `close`; with what it brought behind
 * a colon: `data:hello`, `message:hello`, `batch:a,b,c`, `error:timed-out`, `drop:1000`. The end of a call is
 * written as the name it was given, and `ok`, the error, or the message: `receive:hello`. */

#pragma once

#include <usock/usock.h>

#include "usock-test.h"

typedef struct
{
  GString *words;
  guint n_words;
  guint n_closed;
} Witness;

typedef gboolean (*WitnessFinish) (UsockChannel  *channel,
                                   GAsyncResult  *result,
                                   GError       **error);

typedef struct
{
  Witness *witness;
  char *name;
  WitnessFinish finish; /* NULL for a receive */
} WitnessCall;

void          witness_init    (Witness             *self);
void          witness_clear   (Witness             *self);
void          witness_watch   (Witness             *self,
                               gpointer             socket,
                               const char          *signals);
void          witness_write   (Witness             *self,
                               const char          *format,
                               ...) G_GNUC_PRINTF (2, 3);
const char   *witness_code    (const GError        *error);

WitnessCall  *witness_call    (Witness             *self,
                               const char          *name,
                               WitnessFinish        finish);
void          witness_done    (GObject             *source,
                               GAsyncResult        *result,
                               gpointer             call);
void          witness_receive (Witness             *self,
                               UsockChannel        *channel,
                               const char          *name,
                               GCancellable        *cancellable);

/* What was written since the last time. */
#define witness_assert(self, expected)                                                             \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_assert_cmpstr ((self)->words->str, ==, expected);                                            \
    g_string_truncate ((self)->words, 0);                                                          \
    (self)->n_words = 0;                                                                           \
  }                                                                                                \
  G_STMT_END

/* Waits until that many words are there, and no more come. */
#define witness_expect(self, expected)                                                             \
  G_STMT_START                                                                                     \
  {                                                                                                \
    guint n_expected_ = witness_count_words (expected);                                            \
    usock_test_wait_until ((self)->n_words >= n_expected_);                                        \
    scene_settle ();                                                                               \
    witness_assert (self, expected);                                                               \
  }                                                                                                \
  G_STMT_END

#define assert_error_code(error, expected)                                                         \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_assert_error (error, G_IO_ERROR, (int) (expected));                                          \
    g_clear_error (&error);                                                                        \
  }                                                                                                \
  G_STMT_END

guint         witness_count_words (const char      *words);

/* A channel over one end of the test's pair; the other end is raw. */
UsockChannel *scene_adopt     (UsockTest           *test);
void          scene_pair      (UsockChannel       **first,
                               UsockChannel       **second);
/* Iterates until there is nothing left to do. */
void          scene_settle    (void);
/* Closes the socket, has that told, and drops it. */
void          scene_close     (gpointer             socket);
int           scene_listen    (const char          *path,
                               int                  backlog);
void          scene_send      (int                  fd,
                               const char          *text);
char         *scene_receive   (int                  fd);
guint         scene_fill      (UsockChannel        *channel,
                               GError             **error);
gboolean      scene_is_hung_up (int                 fd);
/* Whether the limit of descriptors is not the kernel's: valgrind has one of its own. */
gboolean      scene_skip_limits (void);
