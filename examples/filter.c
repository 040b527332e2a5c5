/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Has the kernel drop messages: filter CHARACTER TEXT..., prints those that begin with it */

#include <linux/filter.h>
#include <locale.h>
#include <usock/usock.h>

/* Each line: code, where to go if it is so, where if not, operand. */
static GVariant *
make_filter (char character)
{
  const struct sock_filter lines[] = {
    BPF_STMT (BPF_LD | BPF_B | BPF_ABS, 0),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (guchar) character, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, G_MAXUINT32),
    BPF_STMT (BPF_RET | BPF_K, 0),
  };
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(qyyu)"));
  for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
    g_variant_builder_add (&builder, "(qyyu)", lines[i].code, lines[i].jt, lines[i].jf, lines[i].k);
  return g_variant_builder_end (&builder);
}

static void
received (UsockSeqpacket *receiver, GByteArray *data)
{
  g_print ("%.*s\n", (int) data->len, (char *) data->data);
}

int
main (int argc, char **argv)
{
  g_autoptr (UsockSeqpacket) sender = NULL;
  g_autoptr (UsockSeqpacket) receiver = NULL;
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (argc < 2 || !usock_seqpacket_new_pair (&sender, &receiver, &error)
      || !usock_socket_set_option (USOCK_SOCKET (receiver), USOCK_SOL_SOCKET, USOCK_SO_ATTACH_FILTER,
                                   make_filter (argv[1][0]), &error))
    {
      g_printerr ("%s\n", error != NULL ? error->message : "usage: filter CHARACTER TEXT...");
      return 1;
    }
  g_signal_connect (receiver, "data", G_CALLBACK (received), NULL);
  for (int i = 2; i < argc; i++)
    if (!usock_channel_send_text (USOCK_CHANNEL (sender), argv[i], &error))
      g_error ("%s", error->message);
  usock_channel_end (USOCK_CHANNEL (sender));
  usock_run_until_closed (NULL);
  return 0;
}
