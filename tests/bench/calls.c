/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls between two processes: how many in a second, and how long one takes, by usock, by bare
 * packets, by GDBus between peers and by sd-bus, and by two libraries of messages, ZeroMQ and nng.
 *
 *   bench-calls [SECONDS]
 *
 * Each way runs in processes of its own, the caller on one processor and who answers on another. */

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <usock/usock.h>

#ifdef HAVE_SD_BUS
#include <systemd/sd-bus.h>
#endif

#ifdef HAVE_ZMQ
#include <zmq.h>
#endif
#ifdef HAVE_NNG
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#endif

#define PAYLOAD 64
#define LARGE (64 * 1024 * 1024)
#define RAW_PIECE (1024 * 1024)
#define WARM_UP 2000

typedef struct _Way Way;
typedef struct
{
  const Way *way;
  gint64 until;
  guint in_flight;
  guint n_under_way;
  GArray *times; /* of float: how long each took, in us */
  guint n_warm;
  gint64 begin;
  gpointer connection;
  gpointer body;
} Run;

struct _Way
{
  const char *name;
  void (*answer) (int fd);
  void (*ask) (Run *run, int fd);
};

static double seconds = 1;

static void
pin (int cpu)
{
  cpu_set_t one;

  CPU_ZERO (&one);
  CPU_SET (cpu, &one);
  sched_setaffinity (0, sizeof one, &one);
}

static gint64
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

static gboolean
run_goes_on (Run *run)
{
  return now_ns () < run->until;
}

static void
run_note (Run    *run,
          gint64  begin)
{
  float took = (float) ((double) (now_ns () - begin) / 1000.);

  if (run->n_warm++ < WARM_UP)
    {
      run->begin = now_ns ();
      run->until = run->begin + (gint64) (seconds * 1e9);
      return;
    }
  g_array_append_val (run->times, took);
}

static void
must (gboolean    done,
      const char *what)
{
  if (!done)
    g_error ("%s: %s", what, g_strerror (errno));
}

/* Bare packets, many of them in the pipe. */

static void
raw_answer (int fd)
{
  char buffer[PAYLOAD + 16];
  gssize n;

  while ((n = recv (fd, buffer, sizeof buffer, 0)) > 0)
    must (send (fd, buffer, (gsize) n, 0) == n, "send");
}

static void
raw_ask (Run *run,
         int  fd)
{
  char buffer[PAYLOAD + 16] = { 0 };

  for (guint i = 0; i < run->in_flight; i++)
    {
      gint64 begin = now_ns ();

      memcpy (buffer, &begin, sizeof begin);
      must (send (fd, buffer, sizeof buffer, 0) > 0, "send");
    }
  while (run_goes_on (run))
    {
      gint64 begin;

      must (recv (fd, buffer, sizeof buffer, 0) > 0, "recv");
      memcpy (&begin, buffer, sizeof begin);
      run_note (run, begin);
      begin = now_ns ();
      memcpy (buffer, &begin, sizeof begin);
      must (send (fd, buffer, sizeof buffer, 0) > 0, "send");
    }
}

/* usock. */

static UsockPeer *
usock_adopt (int fd)
{
  GError *error = NULL;
  UsockSeqpacket *channel = usock_seqpacket_new_from_fd (fd, &error);

  g_assert_no_error (error);
  usock_channel_set_max_fds (USOCK_CHANNEL (channel), 0);
  return usock_peer_new (USOCK_CHANNEL (channel));
}

static void
usock_echo (UsockPeer *peer,
            UsockCall *call,
            gpointer   unused)
{
  usock_call_reply (call, usock_call_get_body (call), NULL);
}

static void
usock_swallow (UsockPeer *peer,
               UsockCall *call,
               gpointer   unused)
{
  gsize length = usock_message_get_length (usock_call_get_body (call));

  usock_call_reply_variant (call, g_variant_new_uint64 (length), NULL);
}

static void
usock_answer (int fd)
{
  UsockPeer *peer = usock_adopt (fd);

  if (getenv ("BENCH_FDS") != NULL)
    usock_channel_set_max_fds (usock_peer_get_channel (peer), 4);
  usock_peer_handle (peer, "Echo", usock_echo, NULL, NULL);
  usock_peer_handle (peer, "Swallow", usock_swallow, NULL, NULL);
  usock_run_until_closed (NULL);
}

typedef struct
{
  Run *run;
  gint64 begin;
} Asked;

static void usock_ask_one (Run *run);

static void
usock_asked_cb (GObject      *peer,
                GAsyncResult *result,
                gpointer      user_data)
{
  g_autofree Asked *asked = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (UsockMessage) body = usock_peer_call_finish (USOCK_PEER (peer), result, &error);

  g_assert_no_error (error);
  run_note (asked->run, asked->begin);
  asked->run->n_under_way--;
  if (run_goes_on (asked->run))
    usock_ask_one (asked->run);
}

static void
usock_ask_one (Run *run)
{
  Asked *asked = g_new (Asked, 1);

  *asked = (Asked) { run, now_ns () };
  run->n_under_way++;
  usock_peer_call_async (run->connection, "Echo", run->body, -1, NULL, usock_asked_cb, asked);
}

static void
usock_ask (Run *run,
           int  fd)
{
  guint8 payload[PAYLOAD] = { 0 };

  run->connection = usock_adopt (fd);
  run->body = usock_message_new (payload, sizeof payload);
  for (guint i = 0; i < run->in_flight; i++)
    usock_ask_one (run);
  while (run->n_under_way > 0)
    g_main_context_iteration (NULL, TRUE);
}

/* GDBus, between peers. */

static const char gdbus_xml[] = "<node><interface name='org.example.Bench'><method name='Echo'>"
                                "<arg type='ay' direction='in'/><arg type='ay' direction='out'/>"
                                "</method></interface></node>";

static void
gdbus_echo (GDBusConnection       *connection,
            const char            *sender,
            const char            *path,
            const char            *interface,
            const char            *method,
            GVariant              *parameters,
            GDBusMethodInvocation *invocation,
            gpointer               unused)
{
  g_dbus_method_invocation_return_value (invocation, parameters);
}

static GDBusConnection *
gdbus_adopt (int                  fd,
             GDBusConnectionFlags flags,
             const char          *guid)
{
  GError *error = NULL;
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, &error);
  g_autoptr (GSocketConnection) stream = g_socket_connection_factory_create_connection (socket);
  GDBusConnection *connection
      = g_dbus_connection_new_sync (G_IO_STREAM (stream), guid, flags, NULL, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

static void
gdbus_answer (int fd)
{
  static const GDBusInterfaceVTable vtable = { .method_call = gdbus_echo };
  g_autofree char *guid = g_dbus_generate_guid ();
  GDBusConnection *connection
      = gdbus_adopt (fd, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER
                             | G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING,
                     guid);
  GDBusNodeInfo *info = g_dbus_node_info_new_for_xml (gdbus_xml, NULL);

  g_dbus_connection_register_object (connection, "/", info->interfaces[0], &vtable, NULL, NULL, NULL);
  g_dbus_connection_start_message_processing (connection);
  while (!g_dbus_connection_is_closed (connection))
    g_main_context_iteration (NULL, TRUE);
}

static void gdbus_ask_one (Run *run);

static void
gdbus_asked_cb (GObject      *connection,
                GAsyncResult *result,
                gpointer      user_data)
{
  g_autofree Asked *asked = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) body
      = g_dbus_connection_call_finish (G_DBUS_CONNECTION (connection), result, &error);

  g_assert_no_error (error);
  run_note (asked->run, asked->begin);
  asked->run->n_under_way--;
  if (run_goes_on (asked->run))
    gdbus_ask_one (asked->run);
}

static void
gdbus_ask_one (Run *run)
{
  Asked *asked = g_new (Asked, 1);

  *asked = (Asked) { run, now_ns () };
  run->n_under_way++;
  g_dbus_connection_call (run->connection, NULL, "/", "org.example.Bench", "Echo", run->body, NULL,
                          G_DBUS_CALL_FLAGS_NONE, -1, NULL, gdbus_asked_cb, asked);
}

static void
gdbus_ask (Run *run,
           int  fd)
{
  guint8 payload[PAYLOAD] = { 0 };

  run->connection = gdbus_adopt (fd, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL);
  run->body = g_variant_ref_sink (g_variant_new (
      "(@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, payload, sizeof payload, 1)));
  for (guint i = 0; i < run->in_flight; i++)
    gdbus_ask_one (run);
  while (run->n_under_way > 0)
    g_main_context_iteration (NULL, TRUE);
}

/* sd-bus, between peers. */

#ifdef HAVE_SD_BUS
static int
sd_echo (sd_bus_message *call,
         void           *unused,
         sd_bus_error   *error)
{
  sd_bus_message *reply = NULL;
  const void *data;
  size_t length;

  sd_bus_message_read_array (call, 'y', &data, &length);
  sd_bus_message_new_method_return (call, &reply);
  sd_bus_message_append_array (reply, 'y', data, length);
  sd_bus_send (NULL, reply, NULL);
  sd_bus_message_unref (reply);
  return 1;
}

static const sd_bus_vtable sd_table[] = {
  SD_BUS_VTABLE_START (0),
  SD_BUS_METHOD ("Echo", "ay", "ay", sd_echo, SD_BUS_VTABLE_UNPRIVILEGED),
  SD_BUS_VTABLE_END,
};

static sd_bus *
sd_adopt (int      fd,
          gboolean server)
{
  sd_id128_t id = { 0 };
  sd_bus *bus;

  must (sd_bus_new (&bus) >= 0 && sd_bus_set_fd (bus, fd, fd) >= 0, "sd_bus_new");
  if (server)
    must (sd_bus_set_server (bus, 1, id) >= 0 && sd_bus_set_anonymous (bus, 1) >= 0
              && sd_bus_set_trusted (bus, 1) >= 0,
          "sd_bus_set_server");
  must (sd_bus_start (bus) >= 0, "sd_bus_start");
  return bus;
}

static void
sd_answer (int fd)
{
  sd_bus *bus = sd_adopt (fd, TRUE);
  int result;

  must (sd_bus_add_object_vtable (bus, NULL, "/", "org.example.Bench", sd_table, NULL) >= 0, "vtable");
  while ((result = sd_bus_process (bus, NULL)) >= 0)
    if (result == 0 && sd_bus_wait (bus, UINT64_MAX) < 0)
      return;
}

static void sd_ask_one (Run *run);

static int
sd_asked_cb (sd_bus_message *reply,
             void           *user_data,
             sd_bus_error   *error)
{
  g_autofree Asked *asked = user_data;

  g_assert_false (sd_bus_message_is_method_error (reply, NULL));
  run_note (asked->run, asked->begin);
  asked->run->n_under_way--;
  if (run_goes_on (asked->run))
    sd_ask_one (asked->run);
  return 1;
}

static void
sd_ask_one (Run *run)
{
  Asked *asked = g_new (Asked, 1);
  guint8 payload[PAYLOAD] = { 0 };
  sd_bus_message *call = NULL;

  *asked = (Asked) { run, now_ns () };
  run->n_under_way++;
  sd_bus_message_new_method_call (run->connection, &call, NULL, "/", "org.example.Bench", "Echo");
  sd_bus_message_append_array (call, 'y', payload, sizeof payload);
  must (sd_bus_call_async (run->connection, NULL, call, sd_asked_cb, asked, 0) >= 0, "sd_bus_call");
  sd_bus_message_unref (call);
}

static void
sd_ask (Run *run,
        int  fd)
{
  run->connection = sd_adopt (fd, FALSE);
  for (guint i = 0; i < run->in_flight; i++)
    sd_ask_one (run);
  while (run->n_under_way > 0)
    {
      int result = sd_bus_process (run->connection, NULL);

      must (result >= 0, "sd_bus_process");
      if (result == 0)
        sd_bus_wait (run->connection, UINT64_MAX);
    }
}
#endif

/* One large body, by hand and by usock, with small calls beside it. */

static void
large_raw_answer (int fd)
{
  for (;;)
    {
      char *buffer = g_malloc (LARGE);
      gsize got = 0;

      while (got < LARGE)
        {
          gssize n = recv (fd, buffer + got, LARGE - got, 0);

          if (n <= 0)
            return;
          got += (gsize) n;
        }
      must (send (fd, "x", 1, 0) == 1, "send");
      g_free (buffer);
    }
}

static void
large_raw_ask (Run *run,
               int  fd)
{
  char *buffer = g_malloc (LARGE);
  int size = 4 * RAW_PIECE;

  must (setsockopt (fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == 0, "setsockopt");
  memset (buffer, 1, LARGE);
  run->n_warm = WARM_UP;
  for (guint i = 0; i < 20; i++)
    {
      gint64 begin = now_ns ();
      char byte;

      for (gsize sent = 0; sent < LARGE; sent += RAW_PIECE)
        must (send (fd, buffer + sent, RAW_PIECE, 0) == RAW_PIECE, "send");
      must (recv (fd, &byte, 1, 0) == 1, "recv");
      run_note (run, begin);
    }
}

static void
large_done_cb (GObject      *peer,
               GAsyncResult *result,
               gpointer      user_data)
{
  g_autoptr (UsockMessage) body = usock_peer_call_finish (USOCK_PEER (peer), result, NULL);

  g_assert_nonnull (body);
  *(gboolean *) user_data = TRUE;
}

static void
large_ask (Run      *run,
           int       fd,
           gboolean  beside)
{
  guint8 payload[PAYLOAD] = { 0 };
  Run small = *run;

  small.times = beside ? run->times : g_array_new (FALSE, FALSE, sizeof (float));
  small.n_warm = run->n_warm = WARM_UP;
  small.until = G_MAXINT64;
  small.connection = run->connection = usock_adopt (fd);
  small.body = usock_message_new (payload, sizeof payload);
  for (guint i = 0; i < 20; i++)
    {
      gint64 begin = now_ns ();
      gboolean done = FALSE;

      usock_peer_call_async (run->connection, "Swallow", run->body, -1, NULL, large_done_cb, &done);
      small.until = G_MAXINT64;
      if (beside)
        usock_ask_one (&small);
      while (!done)
        g_main_context_iteration (NULL, TRUE);
      small.until = 0;
      if (!beside)
        run_note (run, begin);
      while (small.n_under_way > 0)
        g_main_context_iteration (NULL, TRUE);
    }
}

static void
large_usock_ask (Run *run,
                 int  fd)
{
  gpointer data = g_malloc (LARGE);
  g_autoptr (GBytes) bytes = NULL;

  memset (data, 1, LARGE);
  bytes = g_bytes_new_take (data, LARGE);
  run->body = usock_message_new_from_bytes (bytes);
  large_ask (run, fd, FALSE);
}

static void
beside_usock_ask (Run *run,
                  int  fd)
{
  gpointer data = g_malloc (LARGE);
  g_autoptr (GBytes) bytes = NULL;

  memset (data, 1, LARGE);
  bytes = g_bytes_new_take (data, LARGE);
  run->body = usock_message_new_from_bytes (bytes);
  large_ask (run, fd, TRUE);
}

static void
memfd_usock_ask (Run *run,
                 int  fd)
{
  int memfd = memfd_create ("bench", MFD_ALLOW_SEALING | MFD_CLOEXEC);

  must (ftruncate (memfd, LARGE) == 0, "ftruncate");
  must (fcntl (memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0, "seal");
  run->body = usock_message_new_from_memfd (memfd, NULL);
  large_ask (run, fd, FALSE);
}

#if defined HAVE_ZMQ || defined HAVE_NNG
/* They make connections of their own; the pair only says when the other end goes. */
static char *
place_of (const char *library,
          pid_t       caller)
{
  return g_strdup_printf ("ipc:///tmp/usock-bench-%s-%d", library, (int) caller);
}

typedef struct
{
  gpointer socket;
  gboolean (*send) (gpointer socket, gconstpointer data, gsize length);
  gboolean (*receive) (gpointer socket, gpointer data, gsize length);
} Messenger;

static void
messenger_ask (Run             *run,
               const Messenger *messenger)
{
  char buffer[PAYLOAD + 16] = { 0 };

  for (guint i = 0; i < run->in_flight; i++)
    {
      gint64 begin = now_ns ();

      memcpy (buffer, &begin, sizeof begin);
      must (messenger->send (messenger->socket, buffer, sizeof buffer), "send");
    }
  while (run_goes_on (run))
    {
      gint64 begin;

      must (messenger->receive (messenger->socket, buffer, sizeof buffer), "receive");
      memcpy (&begin, buffer, sizeof begin);
      run_note (run, begin);
      begin = now_ns ();
      memcpy (buffer, &begin, sizeof begin);
      must (messenger->send (messenger->socket, buffer, sizeof buffer), "send");
    }
}

static void
messenger_answer (const Messenger *messenger)
{
  char buffer[PAYLOAD + 16];

  while (messenger->receive (messenger->socket, buffer, sizeof buffer))
    must (messenger->send (messenger->socket, buffer, sizeof buffer), "send");
}
#endif

#ifdef HAVE_ZMQ
static gboolean
zmq_send_all (gpointer      socket,
              gconstpointer data,
              gsize         length)
{
  return zmq_send (socket, data, length, 0) == (int) length;
}

static gboolean
zmq_receive_all (gpointer socket,
                 gpointer data,
                 gsize    length)
{
  return zmq_recv (socket, data, length, 0) == (int) length;
}

static void
zmq_ways_answer (int fd)
{
  g_autofree char *place = place_of ("zmq", getppid ());
  Messenger messenger = { zmq_socket (zmq_ctx_new (), ZMQ_PAIR), zmq_send_all, zmq_receive_all };

  must (zmq_bind (messenger.socket, place) == 0, "zmq_bind");
  messenger_answer (&messenger);
}

static void
zmq_ways_ask (Run *run,
              int  fd)
{
  g_autofree char *place = place_of ("zmq", getpid ());
  Messenger messenger = { zmq_socket (zmq_ctx_new (), ZMQ_PAIR), zmq_send_all, zmq_receive_all };

  must (zmq_connect (messenger.socket, place) == 0, "zmq_connect");
  messenger_ask (run, &messenger);
  unlink (place + strlen ("ipc://"));
}
#endif

#ifdef HAVE_NNG
static gboolean
nng_send_all (gpointer      socket,
              gconstpointer data,
              gsize         length)
{
  return nng_send (*(nng_socket *) socket, (void *) data, length, 0) == 0;
}

static gboolean
nng_receive_all (gpointer socket,
                 gpointer data,
                 gsize    length)
{
  return nng_recv (*(nng_socket *) socket, data, &length, 0) == 0;
}

static void
nng_ways_answer (int fd)
{
  g_autofree char *place = place_of ("nng", getppid ());
  nng_socket socket;
  Messenger messenger = { &socket, nng_send_all, nng_receive_all };

  must (nng_pair0_open (&socket) == 0, "nng_pair0_open");
  must (nng_listen (socket, place, NULL, 0) == 0, "nng_listen");
  messenger_answer (&messenger);
}

static void
nng_ways_ask (Run *run,
              int  fd)
{
  g_autofree char *place = place_of ("nng", getpid ());
  nng_socket socket;
  Messenger messenger = { &socket, nng_send_all, nng_receive_all };

  must (nng_pair0_open (&socket) == 0, "nng_pair0_open");
  must (nng_dial (socket, place, NULL, NNG_FLAG_NONBLOCK) == 0, "nng_dial");
  messenger_ask (run, &messenger);
  unlink (place + strlen ("ipc://"));
}
#endif

static const Way ways[] = {
  { "raw packets", raw_answer, raw_ask },
  { "usock", usock_answer, usock_ask },
  { "GDBus", gdbus_answer, gdbus_ask },
#ifdef HAVE_SD_BUS
  { "sd-bus", sd_answer, sd_ask },
#endif
#ifdef HAVE_ZMQ
  { "ZeroMQ", zmq_ways_answer, zmq_ways_ask },
#endif
#ifdef HAVE_NNG
  { "nng", nng_ways_answer, nng_ways_ask },
#endif
};

static const Way large_ways[] = {
  { "64 MiB raw", large_raw_answer, large_raw_ask },
  { "64 MiB usock", usock_answer, large_usock_ask },
  { "64 MiB memfd", usock_answer, memfd_usock_ask },
  { "small beside 64 MiB", usock_answer, beside_usock_ask },
};

static int
compare_times (gconstpointer first,
               gconstpointer second)
{
  float one = *(const float *) first, other = *(const float *) second;

  return one < other ? -1 : one > other;
}

static float
time_at (Run    *run,
         double  share)
{
  guint i = (guint) (run->times->len * share);

  return g_array_index (run->times, float, MIN (i, run->times->len - 1));
}

static void
measure (const Way *way,
         guint      in_flight,
         int        type)
{
  Run run = { .way = way, .in_flight = in_flight, .until = G_MAXINT64 };
  pid_t child;
  int pair[2];
  double took;

  must (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
  alarm (300);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  child = fork ();
  if (child == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      pin (1);
      close (pair[0]);
      way->answer (pair[1]);
      _exit (0);
    }

  pin (0);
  close (pair[1]);
  run.times = g_array_new (FALSE, FALSE, sizeof (float));
  way->ask (&run, pair[0]);
  took = (double) (now_ns () - run.begin) / 1e9;
  g_array_sort (run.times, compare_times);
  printf ("%-20s %3u in flight %10.0f/s  best %8.1f us  median %8.1f us  p99 %8.1f us\n", way->name,
          in_flight, run.begin > 0 ? run.times->len / took : 0, time_at (&run, 0),
          time_at (&run, 0.5), time_at (&run, 0.99));
  fflush (stdout);
  kill (child, SIGKILL);
}

/* GIO's threads do not survive a fork: each measurement has a process that knows of none. */
static void
measure_apart (const Way *way,
               guint      in_flight,
               int        type)
{
  pid_t child = fork ();

  if (child == 0)
    {
      measure (way, in_flight, type);
      _exit (0);
    }
  waitpid (child, NULL, 0);
}

int
main (int    argc,
      char **argv)
{
  if (argc > 1)
    seconds = g_ascii_strtod (argv[1], NULL);

  for (guint in_flight = 1; in_flight <= 64; in_flight *= 64)
    for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
      measure_apart (&ways[i], in_flight,
                     g_str_equal (ways[i].name, "GDBus") || g_str_equal (ways[i].name, "sd-bus")
                         ? SOCK_STREAM
                         : SOCK_SEQPACKET);

  g_setenv ("BENCH_FDS", "1", TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (large_ways); i++)
    {
      /* Only a memory file needs to be let in, and makes reading slower. */
      if (!g_str_has_suffix (large_ways[i].name, "memfd"))
        g_unsetenv ("BENCH_FDS");
      else
        g_setenv ("BENCH_FDS", "1", TRUE);
      measure_apart (&large_ways[i], 1, SOCK_SEQPACKET);
    }
  return 0;
}
