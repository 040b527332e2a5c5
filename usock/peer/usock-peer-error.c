/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Errors between two programs: a domain and a code that both know, and a text. */

#include "config.h"

#include "usock-peer-private.h"

#include <string.h>

/* What an error leaves of its text where there is much. */
#define TEXT_MAX (16 * 1024)

static const struct
{
  const char *name;
  GQuark (*get) (void);
} domains[] = {
  { "g-io-error-quark", g_io_error_quark },
  { "g-dbus-error-quark", g_dbus_error_quark },
  { "g-file-error-quark", g_file_error_quark },
  { "g-resolver-error-quark", g_resolver_error_quark },
  { "g-tls-error-quark", g_tls_error_quark },
  { "g-spawn-error-quark", g_spawn_error_quark },
  { "g-spawn-exit-error-quark", g_spawn_exit_error_quark },
  { "g-key-file-error-quark", g_key_file_error_quark },
  { "g-markup-error-quark", g_markup_error_quark },
  { "g-convert-error", g_convert_error_quark },
  { "g-variant-parse-error-quark", g_variant_parse_error_quark },
  { "g-regex-error-quark", g_regex_error_quark },
  { "g-option-context-error-quark", g_option_error_quark },
  { "g-bookmark-file-error-quark", g_bookmark_file_error_quark },
  { "g-thread-error", g_thread_error_quark },
};

/* Whether it says that the other side is gone, or reads no more, of which everybody is told in time. */
gboolean
usock_peer_error_is_final (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE)
         || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED)
         || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);
}

gboolean
usock_peer_check_thread (UsockPeer  *self,
                         GError    **error)
{
  return usock_socket_check_thread (usock_peer_socket (self), error);
}

/* For calls that have no error to tell it with. */
gboolean
usock_peer_is_ours (UsockPeer  *self,
                    const char *call)
{
  return self->channel == NULL || usock_socket_is_ours (usock_peer_socket (self), call);
}

/* For what is done by name. */
GError *
usock_peer_error_new (UsockPeer    *self,
                      const char   *name,
                      GIOErrorEnum  code,
                      const char   *reason)
{
  const char *label
      = self->channel != NULL ? usock_socket_get_label (usock_peer_socket (self)) : "";

  /* Translators: the name of a call, whom it is made to, and why it failed */
  return g_error_new (G_IO_ERROR, (int) code, _("Could not call “%s” of “%s”: %s"), name, label,
                      reason);
}

/* The text is borrowed, like the name. */
void
usock_peer_error_write (const GError *error,
                        UsockFrame   *frame)
{
  const char *end;

  frame->type = USOCK_FRAME_ERROR;
  frame->kind = USOCK_BODY_KIND_TEXT;
  frame->code = error->code;
  frame->name = g_quark_to_string (error->domain);
  frame->name_length = MIN (strlen (frame->name), USOCK_FRAME_NAME_MAX);
  frame->body = (const guint8 *) error->message;
  frame->body_length = MIN (strlen (error->message), TEXT_MAX);
  if (!g_utf8_validate (error->message, (gssize) frame->body_length, &end))
    frame->body_length = (gsize) (end - error->message);
  frame->size = frame->body_length;
}

/* A domain is known if it is one of the list or the program has made it: nobody else's words make
 * a quark, which would stay for ever. */
static GQuark
find_domain (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (domains); i++)
    if (g_str_equal (domains[i].name, name))
      return domains[i].get ();

  if (g_str_has_suffix (name, "-error-quark") || g_str_has_suffix (name, "-error"))
    return g_quark_try_string (name);
  return 0;
}

GError *
usock_peer_error_read (const UsockFrame *frame)
{
  g_autofree char *name = g_strndup (frame->name, frame->name_length);
  g_autofree char *text = g_strndup ((const char *) frame->body, frame->body_length);
  GQuark domain = find_domain (name);

  if (domain == 0)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, text);

  return g_error_new_literal (domain, frame->code, text);
}
