/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints how usock compares with raw system calls and with GSocket.
 *
 * The ways to do a thing take turns, and the best stretch of several rounds counts for each: what
 * else the machine does can only make it slower. Nothing here fails for being slow; the targets are
 * printed beside the ratios for a person to judge. */

#include "bench.h"

#include <string.h>
#include <sys/resource.h>

#define LONGEST (64 * 1024)
#define N_IDLE 4000

#define AT_LEAST(ratio) ratio
#define AT_MOST(ratio) ratio

static const Bench benches[] = {
  { .name = "receive-64",
    .title = "receiving 64 B messages",
    .size = 64,
    .count = 300000,
    .variants = { { "raw recv() loop", receive_raw },
                  { "usock data", receive_data, AT_LEAST (0.9) },
                  { "usock message", receive_message },
                  { "usock batch", receive_batch },
                  { "usock receive_async", receive_async },
                  { "GSocket source", receive_gsocket } } },
  { .name = "receive-4096",
    .title = "receiving 4 KiB messages",
    .size = 4096,
    .count = 150000,
    .variants = { { "raw recv() loop", receive_raw },
                  { "usock data", receive_data, AT_LEAST (0.9) },
                  { "usock message", receive_message },
                  { "GSocket source", receive_gsocket } } },
  { .name = "receive-65536",
    .title = "receiving 64 KiB messages",
    .size = LONGEST,
    .count = 20000,
    .variants = { { "raw recv() loop", receive_raw },
                  { "usock data", receive_data, AT_LEAST (0.9) },
                  { "usock message", receive_message },
                  { "GSocket source", receive_gsocket } } },
  { .name = "receive-fds",
    .title = "receiving 64 B messages with a descriptor each",
    .size = 64,
    .count = 100000,
    .variants = { { "raw recvmsg() loop", fds_raw },
                  { "usock message", fds_message },
                  { "GSocket source", fds_gsocket } } },
  { .name = "send-64",
    .title = "sending 64 B messages",
    .size = 64,
    .count = 300000,
    .variants = { { "raw send() loop", send_raw },
                  { "usock send", send_usock, AT_LEAST (0.9) },
                  { "GSocket source", send_gsocket } } },
  { .name = "send-4096",
    .title = "sending 4 KiB messages",
    .size = 4096,
    .count = 150000,
    .variants = { { "raw send() loop", send_raw },
                  { "usock send", send_usock, AT_LEAST (0.9) },
                  { "GSocket source", send_gsocket } } },
  { .name = "send-65536",
    .title = "sending 64 KiB messages",
    .size = LONGEST,
    .count = 20000,
    .variants = { { "raw send() loop", send_raw },
                  { "usock send", send_usock, AT_LEAST (0.9) },
                  { "GSocket source", send_gsocket } } },
  { .name = "send-batch",
    .title = "sending 64 B messages by 32",
    .size = 64,
    .count = 300000,
    .variants = { { "raw sendmmsg() loop", batch_raw },
                  { "usock send_messages", batch_usock },
                  { "GSocket send_messages", batch_gsocket } } },
  { .name = "echo",
    .title = "answering 64 B messages one by one, a processor for each side",
    .size = 64,
    .count = 10000,
    .compare_times = TRUE,
    .variants = { { "raw epoll loop", echo_raw },
                  { "usock data", echo_usock, AT_MOST (1.1) },
                  { "GSocket source", echo_gsocket } } },
  /* Without the time it takes to wake another processor, what the answer itself costs. */
  { .name = "echo-shared",
    .title = "the same on one processor",
    .size = 64,
    .count = 30000,
    .compare_times = TRUE,
    .share = TRUE,
    .variants = { { "raw epoll loop", echo_raw },
                  { "usock data", echo_usock, AT_MOST (1.1) },
                  { "GSocket source", echo_gsocket } } },
  { .name = "echo-idle",
    .title = "the same on one processor with 4,000 idle connections",
    .size = 64,
    .count = 30000,
    .n_idle = N_IDLE,
    .compare_times = TRUE,
    .share = TRUE,
    .variants = { { "raw epoll loop", echo_raw },
                  { "usock data", echo_usock, AT_MOST (1.15) },
                  { "GSocket source", echo_gsocket, .divisor = 60 } } },
  { .name = "stream-64",
    .title = "receiving a stream sent by 64 B",
    .size = 64,
    .count = 300000,
    .stream = TRUE,
    .variants = { { "raw recv() loop", stream_raw },
                  { "usock data", stream_usock, AT_LEAST (0.9) },
                  { "GSocketConnection", stream_gsocket } } },
  { .name = "stream-65536",
    .title = "receiving a stream sent by 64 KiB",
    .size = LONGEST,
    .count = 20000,
    .stream = TRUE,
    .variants = { { "raw recv() loop", stream_raw },
                  { "usock data", stream_usock, AT_LEAST (0.9) },
                  { "GSocketConnection", stream_gsocket } } },
  { .name = "stream-echo",
    .title = "answering 64 B on a stream, on one processor",
    .size = 64,
    .count = 30000,
    .stream = TRUE,
    .compare_times = TRUE,
    .share = TRUE,
    .variants = { { "raw epoll loop", stream_echo_raw },
                  { "usock data", stream_echo_usock, AT_MOST (1.1) },
                  { "GSocketConnection", stream_echo_gsocket } } },
};

guint8 *bench_payload;

static int n_rounds = 7;

static double
take_sample (const Bench *bench,
             const Variant *variant)
{
  return variant->sample (bench, bench->count / MAX (variant->divisor, 1));
}

static const char *
format_value (const Bench *bench,
              double seconds,
              char text[static 32])
{
  if (bench->compare_times)
    g_snprintf (text, 32, "%9.2f us", seconds * 1e6);
  else
    g_snprintf (text, 32, "%9.0f /s", 1 / seconds);
  return text;
}

static void
print_variant (const Bench *bench,
               const Variant *variant,
               double best,
               double base)
{
  double ratio = bench->compare_times ? best / base : base / best;
  gboolean met = bench->compare_times ? ratio <= variant->target : ratio >= variant->target;
  char value[32];

  g_print ("  %-22s %s  %6.2fx", variant->name, format_value (bench, best, value), ratio);
  if (variant->target > 0)
    g_print ("  target %s %.2fx%s", bench->compare_times ? "<=" : ">=", variant->target,
             met ? "" : "  MISSED");
  g_print ("\n");
}

static void
run (const Bench *bench)
{
  double best[MAX_VARIANTS];

  for (guint i = 0; i < MAX_VARIANTS; i++)
    best[i] = G_MAXDOUBLE;
  for (int round = 0; round < n_rounds; round++)
    for (guint i = 0; i < MAX_VARIANTS && bench->variants[i].name != NULL; i++)
      {
        double seconds = take_sample (bench, &bench->variants[i]);

        best[i] = MIN (best[i], seconds);
      }

  g_print ("%s (%s)\n", bench->title, bench->name);
  for (guint i = 0; i < MAX_VARIANTS && bench->variants[i].name != NULL; i++)
    print_variant (bench, &bench->variants[i], best[i], best[0]);
  g_print ("\n");
}

static gboolean
is_wanted (const Bench *bench,
           char **names)
{
  return names[0] == NULL || g_strv_contains ((const char *const *) names, bench->name);
}

/* Both ends of the idle connections are open in this process for a moment. */
static void
raise_limit (void)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 2 * N_IDLE + 64)
    g_error ("%d descriptors are needed, and only %lu are allowed", 2 * N_IDLE + 64,
             (gulong) limit.rlim_max);
}

int
main (int argc,
      char **argv)
{
  const GOptionEntry entries[] = {
    { "rounds", 'r', 0, G_OPTION_ARG_INT, &n_rounds, "Let each way have N turns", "N" },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("[NAME...]");
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (context, "Compares usock with raw system calls and GSocket.");
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      g_printerr ("%s\n", error->message);
      return 2;
    }

  raise_limit ();
  bench_payload = g_malloc0 (LONGEST);
  g_print ("Best stretch of %d rounds, in turns. Ratios are against the first line of each table:\n"
           "of rates for messages a second, of times for answers.\n\n", n_rounds);
  for (guint i = 0; i < G_N_ELEMENTS (benches); i++)
    if (is_wanted (&benches[i], argv + 1))
      run (&benches[i]);
  g_free (bench_payload);
  return 0;
}
