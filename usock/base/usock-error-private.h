/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-error: how failures read.
 *
 * Every error of the library is a GError of GIO's domain whose text says what was tried, on
 * what, and why it failed, in this order: “Could not connect to “/run/x”: No such file or
 * directory”. The room also owns the translations, since only these texts are translated. */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#define _(text) usock_gettext (text)
#define N_(text) (text)
#define P_(one, many, n) usock_ngettext (one, many, n)

const char *usock_gettext         (const char *text) G_GNUC_FORMAT (1);
const char *usock_ngettext        (const char *one,
                                   const char *many,
                                   gulong      n) G_GNUC_FORMAT (1) G_GNUC_FORMAT (2);

GIOErrorEnum usock_error_code     (int errnum);

void        usock_error_set_errno (GError     **error,
                                   int          errnum,
                                   const char  *format,
                                   ...) G_GNUC_PRINTF (3, 4);
GError     *usock_error_new_lookup (const char   *tried,
                                    const GError *cause);

G_END_DECLS
