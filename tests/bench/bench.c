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
#include <sys/socket.h>

#define LONGEST (64 * 1024)
#define N_IDLE 4000

#define AT_LEAST(ratio) ratio
#define AT_MOST(ratio) ratio

#ifdef HAVE_UV
#define UV(function) { "libuv", function },
#else
#define UV(function)
#endif
#ifdef HAVE_URING
#define URING(function) { "io_uring multishot", function },
#else
#define URING(function)
#endif

/* What every way to receive has to beat. */
#define RECEIVE                                                                                    \
  { { "recv", receive_raw }, { "recvmmsg", receive_raw_many }, URING (receive_uring)               \
    UV (receive_uv) { "GSocket, one a turn", receive_gsocket },                                    \
    { "GSocket, in a loop", receive_gsocket_loop },                                                \
    { "GSocket, receive_messages", receive_gsocket_many },                                         \
    { "usock data", receive_data, AT_LEAST (0.9) }, { "usock function", receive_func },            \
    { "usock message", receive_message }, { "usock batch", receive_batch },                        \
    { "usock receive_async", receive_async } }

#define ECHO(limit)                                                                                \
  { { "epoll", echo_raw }, UV (echo_uv) { "GSocket", echo_gsocket },                               \
    { "usock data", echo_usock, AT_MOST (limit) } }

static const Bench benches[] = {
  { .name = "receive-64",
    .title = "receiving 64 B messages",
    .size = 64,
    .count = 300000,
    .variants = RECEIVE },
  { .name = "receive-4096",
    .title = "receiving 4 KiB messages",
    .size = 4096,
    .count = 150000,
    .variants = RECEIVE },
  { .name = "receive-65536",
    .title = "receiving 64 KiB messages",
    .size = LONGEST,
    .count = 20000,
    .variants = RECEIVE },
  { .name = "receive-fds",
    .title = "receiving 64 B messages with a descriptor each",
    .size = 64,
    .count = 100000,
    .variants = { { "recvmsg", fds_raw },
                  { "GSocket", fds_gsocket },
                  { "usock message", fds_message } } },
  { .name = "send-64",
    .title = "sending 64 B messages",
    .size = 64,
    .count = 300000,
    .variants = { { "send", send_raw },
                  { "GSocket", send_gsocket },
                  { "usock send", send_usock, AT_LEAST (0.9) } } },
  { .name = "send-4096",
    .title = "sending 4 KiB messages",
    .size = 4096,
    .count = 150000,
    .variants = { { "send", send_raw },
                  { "GSocket", send_gsocket },
                  { "usock send", send_usock, AT_LEAST (0.9) } } },
  { .name = "send-65536",
    .title = "sending 64 KiB messages",
    .size = LONGEST,
    .count = 20000,
    .variants = { { "send", send_raw },
                  { "GSocket", send_gsocket },
                  { "usock send", send_usock, AT_LEAST (0.9) } } },
  { .name = "send-batch",
    .title = "sending 64 B messages by 32",
    .size = 64,
    .count = 300000,
    .variants = { { "sendmmsg", batch_raw },
                  { "GSocket send_messages", batch_gsocket },
                  { "usock send_messages", batch_usock } } },
  { .name = "echo",
    .title = "answering 64 B messages one by one, a processor for each side",
    .size = 64,
    .count = 20000,
    .compare_times = TRUE,
    .variants = ECHO (1.1) },
  { .name = "echo-10-of-100",
    .title = "answering on ten of 100 connections",
    .size = 64,
    .count = 60000,
    .n_idle = 99,
    .n_busy = 9,
    .compare_times = TRUE,
    .variants = ECHO (1.15) },
  { .name = "echo-100",
    .title = "answering on 100 connections, all busy",
    .size = 64,
    .count = 60000,
    .n_idle = 99,
    .n_busy = 99,
    .compare_times = TRUE,
    .variants = ECHO (1.15) },
  { .name = "echo-1000",
    .title = "answering on 1,000 connections, all busy",
    .size = 64,
    .count = 60000,
    .n_idle = 999,
    .n_busy = 999,
    .compare_times = TRUE,
    .variants = ECHO (1.15) },
  /* Without the time it takes to wake another processor, what the answer itself costs. */
  { .name = "echo-shared",
    .title = "answering 64 B messages one by one, on one processor",
    .size = 64,
    .count = 30000,
    .compare_times = TRUE,
    .share = TRUE,
    .variants = ECHO (1.1) },
  { .name = "echo-idle",
    .title = "answering on one of 4,001 connections, on one processor",
    .size = 64,
    .count = 30000,
    .n_idle = N_IDLE,
    .compare_times = TRUE,
    .share = TRUE,
    .variants = { { "epoll", echo_raw },
                  UV (echo_uv)
                  { "GSocket", echo_gsocket, .divisor = 60 },
                  { "usock data", echo_usock, AT_MOST (1.15) } } },
  { .name = "datagram-send",
    .title = "sending 64 B datagrams to the other end of a pair",
    .size = 64,
    .count = 100000,
    .type = SOCK_DGRAM,
    .variants = { { "send", datagram_send_raw },
                  { "GSocket", datagram_send_gsocket },
                  { "usock send", datagram_send_usock } } },
  { .name = "datagram-send-to",
    .title = "sending 64 B datagrams to a path",
    .size = 64,
    .count = 100000,
    .type = SOCK_DGRAM,
    .variants = { { "sendto", datagram_send_to_raw },
                  { "GSocket", datagram_send_to_gsocket },
                  { "usock send_to", datagram_send_to_usock } } },
  { .name = "datagram-receive",
    .title = "receiving 64 B datagrams with their sender",
    .size = 64,
    .count = 100000,
    .type = SOCK_DGRAM,
    .variants = { { "recvfrom", datagram_receive_raw },
                  { "GSocket", datagram_receive_gsocket },
                  { "usock datagram", datagram_receive_usock } } },
  { .name = "accept",
    .title = "accepting a connection, and seeing it end",
    .size = 1,
    .count = 20000,
    .type = SOCK_SEQPACKET,
    .compare_times = TRUE,
    .variants = { { "accept4", accept_raw },
                  { "GSocket", accept_gsocket },
                  { "usock", accept_usock } } },
  { .name = "accept-stream",
    .title = "accepting a connection of a stream, and seeing it end",
    .size = 1,
    .count = 20000,
    .type = SOCK_STREAM,
    .compare_times = TRUE,
    .variants = { { "accept4", accept_raw },
                  { "GSocket", accept_gsocket },
                  { "GSocketService", accept_service },
                  { "usock", accept_usock } } },
  { .name = "lines",
    .title = "lines of 63 B",
    .size = 64,
    .count = 300000,
    .type = SOCK_STREAM,
    .variants = { { "recv and memchr", lines_raw },
                  { "GDataInputStream", lines_gio },
                  { "usock receive_line", lines_usock },
                  { "usock take_lines", lines_usock_many } } },
  { .name = "stream-64",
    .title = "receiving a stream sent by 64 B",
    .size = 64,
    .count = 300000,
    .type = SOCK_STREAM,
    .variants = { { "recv", stream_raw },
                  { "GSocketConnection", stream_gsocket },
                  { "usock data", stream_usock, AT_LEAST (0.9) } } },
  { .name = "stream-65536",
    .title = "receiving a stream sent by 64 KiB",
    .size = LONGEST,
    .count = 20000,
    .type = SOCK_STREAM,
    .variants = { { "recv", stream_raw },
                  { "GSocketConnection", stream_gsocket },
                  { "usock data", stream_usock, AT_LEAST (0.9) } } },
  { .name = "stream-echo",
    .title = "answering 64 B on a stream, on one processor",
    .size = 64,
    .count = 30000,
    .type = SOCK_STREAM,
    .compare_times = TRUE,
    .share = TRUE,
    .variants = { { "epoll", stream_echo_raw },
                  { "GSocketConnection", stream_echo_gsocket },
                  { "usock data", stream_echo_usock, AT_MOST (1.1) } } },
};

guint8 *bench_payload;

static int n_rounds = 7;
static int part = 1;
static gboolean list;
static char *once;

static guint
count_of (const Bench *bench,
          const Variant *variant)
{
  return bench->count / MAX (variant->divisor, 1) / part;
}

static double
take_sample (const Bench *bench,
             const Variant *variant)
{
  return variant->sample (bench, count_of (bench, variant));
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

static const Variant *
find_variant (const Bench *bench,
              const char *name)
{
  for (guint i = 0; i < MAX_VARIANTS && bench->variants[i].name != NULL; i++)
    if (g_str_equal (bench->variants[i].name, name))
      return &bench->variants[i];

  return NULL;
}

/* In a process of its own, for a program that has others take turns with it: a line of JSON. */
static int
run_once (const Bench *bench,
          const char *name)
{
  const Variant *variant = find_variant (bench, name);
  guint count;

  if (variant == NULL || take_sample (bench, variant) < 0)
    return 1;

  count = count_of (bench, variant);
  g_print ("{\"work\": \"%s\", \"way\": \"%s\", \"us\": %.4f, \"cpu\": %.4f}\n", bench->name,
           name, bench_clock.wall / (double) count, bench_clock.cpu / (double) count);
  return 0;
}

static void
print_ways (const Bench *bench)
{
  g_print ("{\"work\": \"%s\", \"title\": \"%s\", \"ways\": [", bench->name, bench->title);
  for (guint i = 0; i < MAX_VARIANTS && bench->variants[i].name != NULL; i++)
    g_print ("%s\"%s\"", i > 0 ? ", " : "", bench->variants[i].name);
  g_print ("]}\n");
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
    { "part", 'p', 0, G_OPTION_ARG_INT, &part, "Do an Nth of it", "N" },
    { "list", 'l', 0, G_OPTION_ARG_NONE, &list, "Tell what there is, as JSON", NULL },
    { "once", 'o', 0, G_OPTION_ARG_STRING, &once, "Go that way once, and tell as JSON", "WAY" },
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
  part = CLAMP (part, 1, 100);

  bench_payload = g_malloc0 (LONGEST);
  if (list || once != NULL)
    {
      int result = 0;

      raise_limit ();
      for (guint i = 0; i < G_N_ELEMENTS (benches); i++)
        if (is_wanted (&benches[i], argv + 1))
          {
            if (list)
              print_ways (&benches[i]);
            else
              result |= run_once (&benches[i], once);
          }
      return result;
    }

  raise_limit ();
  g_print ("Best stretch of %d rounds, in turns. Ratios are against the first line of each table:\n"
           "of rates for messages a second, of times for answers.\n\n", n_rounds);
  for (guint i = 0; i < G_N_ELEMENTS (benches); i++)
    if (is_wanted (&benches[i], argv + 1))
      run (&benches[i]);
  g_free (bench_payload);
  return 0;
}
