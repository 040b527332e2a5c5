/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "usock-version.h"

/**
 * usock_get_version:
 *
 * Tells which version of the library is running, which may be newer than the
 * one that was compiled against.
 *
 * Returns: the version as text, `1.0.0` for example; owned by the library
 *
 * Since: 1.0
 */
const char *
usock_get_version (void)
{
  return USOCK_VERSION_S;
}
