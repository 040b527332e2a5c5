/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who the kernel says the peer is, and when it does not know. */

#include "kernel.h"

#define CONTROL_SIZE 256
/* The kernel's overflow uid, also /proc/sys/kernel/overflowuid. */
#define NOBODY 65534

static struct ucred
peer_of (int fd)
{
  struct ucred peer = { 0 };
  socklen_t length = sizeof peer;

  g_assert_cmpint (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &length), ==, 0);
  return peer;
}

static void
test_known (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  struct ucred peer = peer_of (p.a);

  g_assert_cmpint (peer.pid, ==, getpid ());
  g_assert_cmpuint (peer.uid, ==, geteuid ());
}

static void
test_unknown (void)
{
  autofd receiver = socket_at (SOCK_DGRAM, "c-dgram");
  autofd sender = client_of (SOCK_DGRAM, "c-dgram");
  autofd fresh = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  g_assert_cmpint (peer_of (fresh).pid, ==, 0);
  g_assert_cmpuint (peer_of (fresh).uid, ==, (uid_t) -1);
  g_assert_cmpint (peer_of (sender).pid, ==, 0);
  g_assert_cmpuint (peer_of (sender).uid, ==, (uid_t) -1);
}

static void
test_sent_too_early (void)
{
  autopair p = pair_new (SOCK_SEQPACKET);
  Received received;

  put (p.a, 1);
  set_option (p.b, SO_PASSCRED, 1);
  put (p.a, 1);
  received = take_message (p.b, CONTROL_SIZE, 0);
  g_assert_cmpint (received.credentials.pid, ==, 0);
  g_assert_cmpuint (received.credentials.uid, ==, NOBODY);
  received = take_message (p.b, CONTROL_SIZE, 0);
  g_assert_cmpint (received.credentials.pid, ==, getpid ());
}

static void
test_inherited (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "c-listener", 4);
  autofd client = -1;
  autofd accepted = -1;
  Received received;

  set_option (listener, SO_PASSCRED, 1);
  set_option (listener, SO_SNDBUF, 20000);
  client = client_of (SOCK_SEQPACKET, "c-listener");
  put (client, 1);
  accepted = accept (listener, NULL, NULL);
  received = take_message (accepted, CONTROL_SIZE, 0);
  g_assert_true (received.has_credentials);
  g_assert_cmpint (received.credentials.pid, ==, getpid ());
  g_assert_cmpint (get_option (accepted, SO_SNDBUF), !=, get_option (listener, SO_SNDBUF));
}

static void
test_before_accept (void)
{
  autofd listener = listen_at (SOCK_SEQPACKET, "c-early", 4);
  autofd client = client_of (SOCK_SEQPACKET, "c-early");
  autofd accepted = -1;

  put (client, 1);
  accepted = accept (listener, NULL, NULL);
  set_option (accepted, SO_PASSCRED, 1);
  g_assert_cmpint (take_message (accepted, CONTROL_SIZE, 0).credentials.pid, ==, getpid ());
}

const Fact credential_facts[] = {
  { "known", "SO_PEERCRED of a pair is its maker", "peers are misnamed", test_known },
  { "unknown", "SO_PEERCRED of an unconnected or datagram socket is pid 0 and uid -1, no error",
    "unknown peers are taken for somebody", test_unknown },
  { "sent-too-early", "a message sent before SO_PASSCRED says pid 0 and nobody",
    "unknown senders are taken for somebody", test_sent_too_early },
  { "inherited", "an accepted socket inherits SO_PASSCRED, and not SO_SNDBUF",
    "first messages have no credentials", test_inherited },
  { "before-accept", "a message sent before the accept has its credentials in any case",
    "first messages have no credentials", test_before_accept },
  { NULL },
};
