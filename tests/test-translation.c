/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <locale.h>

#include <usock/usock.h>

#define MISSING "/nonexistent/usock"

/* The catalogs are chosen anew when the locale is set. */
static void
speak (const char *language)
{
  g_setenv ("LANGUAGE", language, TRUE);
  g_assert_nonnull (setlocale (LC_ALL, ""));
}

static void
test_language (gconstpointer expected)
{
  g_autofree char *language = g_path_get_basename (g_test_get_path ());
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new ();
  g_autoptr (GError) error = NULL;

  speak (language);

  g_assert_false (
      usock_channel_connect_to_path (USOCK_CHANNEL (channel), MISSING, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_true (g_str_has_prefix (error->message, expected));
}

/* What counts something is said in the form that the language has for so many. */
static void
test_count (gconstpointer expected)
{
  g_autofree char *language = g_path_get_basename (g_test_get_path ());
  g_autoptr (UsockHandle) handle = usock_handle_new ();
  UsockSocket *sockets[] = { USOCK_SOCKET (handle) };
  guint conditions[] = { USOCK_POLL_IN, USOCK_POLL_IN };
  g_autoptr (GError) error = NULL;
  gsize n_ready;

  speak (language);

  g_assert_null (usock_poll (sockets, 1, conditions, 2, 0, NULL, &n_ready, &error));
  g_assert_true (g_str_has_prefix (error->message, expected));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/usock/translation/en", "Could not connect to “" MISSING "”: ",
                        test_language);
  g_test_add_data_func ("/usock/translation/de",
                        "Verbinden mit „" MISSING "“ ist fehlgeschlagen: ", test_language);
  g_test_add_data_func ("/usock/translation/fr",
                        "Impossible de se connecter à «\u00a0" MISSING "\u00a0»\u00a0: ",
                        test_language);
  g_test_add_data_func ("/usock/translation/es", "No se pudo conectar con «" MISSING "»: ",
                        test_language);
  g_test_add_data_func ("/usock/translation/pt_BR",
                        "Não foi possível conectar-se a “" MISSING "”: ", test_language);
  g_test_add_data_func ("/usock/translation/ja", "“" MISSING "”に接続できませんでした: ",
                        test_language);
  g_test_add_data_func ("/usock/translation/zh_CN", "无法连接到“" MISSING "”：", test_language);

  g_test_add_data_func ("/usock/translation/count/en", "Could not wait for 1 socket: ", test_count);
  g_test_add_data_func ("/usock/translation/count/es", "No se pudo esperar a 1 socket: ", test_count);
  g_test_add_data_func ("/usock/translation/count/ja", "1 個のソケットを待機できませんでした: ", test_count);

  return g_test_run ();
}
