/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of rules, within the reach of scripts. */

#include "faults.h"

#include "usock-io-private.h"

static UsockIoCall
call_find (const char *name)
{
  for (UsockIoCall call = USOCK_IO_SOCKET; call <= USOCK_IO_POLL; call++)
    if (g_str_equal (usock_io_call_name (call), name))
      return call;

  g_error ("There is no call %s", name);
}

/**
 * usock_faults_add:
 * @call: what is to fail, as errors name it
 * @errnum: how it fails
 * @nth: which of the next calls
 * @every: after that one, each of how many; 0 for none
 *
 * Has a call fail.
 */
void
usock_faults_add (const char *call,
                  int         errnum,
                  guint       nth,
                  guint       every)
{
  usock_io_fault_add (call_find (call), errnum, nth, every);
}

/**
 * usock_faults_clear:
 *
 * Nothing fails any more.
 */
void
usock_faults_clear (void)
{
  usock_io_fault_clear ();
}
