/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include <locale.h>

#include <usock/usock.h>

#define MISSING "/nonexistent/usock"

static void
test_language (gconstpointer expected)
{
  g_autofree char *language = g_path_get_basename (g_test_get_path ());
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new ();
  g_autoptr (GError) error = NULL;

  /* The catalogs are chosen anew when the locale is set. */
  g_setenv ("LANGUAGE", language, TRUE);
  g_assert_nonnull (setlocale (LC_ALL, ""));

  g_assert_false (
      usock_channel_connect_to_path (USOCK_CHANNEL (channel), MISSING, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
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

  return g_test_run ();
}
