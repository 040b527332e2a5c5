# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""socat is the other side, as a client and as a server.

Its standard input and output are a packet socket of ours, so that it passes on whole messages and
both ends of the way can be checked."""

from interop import exchange, expect_success, need, packet_pair, peer, run, start, wait_for_listener

SOCAT = need('socat')
# An empty message is the end to socat, so none is sent.
N_MESSAGES = 500
LONGEST = 200000
# SOCK_SEQPACKET
ADDRESS = '{}:{},type=5'


def bridge(role, path):
    ours, theirs = packet_pair()
    with theirs:
        return ours, start(SOCAT, '-t', 10, '-b', 262144, '-', ADDRESS.format(role, path),
                           stdin=theirs.fileno(), stdout=theirs.dup().detach())


def converse(path, server_is_socat, end_first):
    n_echoed = 0 if end_first else N_MESSAGES
    if server_is_socat:
        ours, socat = bridge('UNIX-LISTEN', path)
        with ours, socat as socat_process:
            wait_for_listener(path)
            with start(peer, 'connect', path, 'echo', n_echoed) as peer_process:
                exchange(ours, N_MESSAGES, LONGEST, end_first)
                ours.close()
                expect_success(peer_process)
                expect_success(socat_process)
        return
    with start(peer, 'listen', path, 'echo', n_echoed) as peer_process:
        wait_for_listener(path)
        ours, socat = bridge('UNIX-CONNECT', path)
        with ours, socat as socat_process:
            exchange(ours, N_MESSAGES, LONGEST, end_first)
            ours.close()
            expect_success(peer_process)
            expect_success(socat_process)


def socat_connects_and_ends_first(path):
    converse(path, server_is_socat=False, end_first=True)


def socat_connects_and_ends_last(path):
    converse(path, server_is_socat=False, end_first=False)


def socat_listens_and_ends_first(path):
    converse(path, server_is_socat=True, end_first=True)


def socat_listens_and_ends_last(path):
    converse(path, server_is_socat=True, end_first=False)


run(socat_connects_and_ends_first, socat_connects_and_ends_last,
    socat_listens_and_ends_first, socat_listens_and_ends_last)
