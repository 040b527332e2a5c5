# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""socat is the other side, as a client and as a server.

Its standard input and output are a packet socket of ours, so that it passes on whole messages and
both ends of the way can be checked."""

import contextlib

from interop import exchange, expect_success, need, packet_pair, peer, run, start, wait_for_listener

SOCAT = need('socat')
# An empty message is the end to socat, so none is sent.
N_MESSAGES = 500
LONGEST = 200000
# SOCK_SEQPACKET
ADDRESS = '{}:{},type=5'


@contextlib.contextmanager
def bridge(role, path):
    ours, theirs = packet_pair()
    with ours, start(SOCAT, '-t', 10, '-b', 262144, '-', ADDRESS.format(role, path),
                     stdin=theirs, stdout=theirs) as process:
        theirs.close()
        yield ours, process


def finish(ours, *processes):
    ours.close()
    for process in processes:
        expect_success(process)


def connect(path, end_first):
    with start(peer, 'listen', path, 'echo', 0 if end_first else N_MESSAGES) as server:
        wait_for_listener(path)
        with bridge('UNIX-CONNECT', path) as (ours, socat):
            exchange(ours, N_MESSAGES, LONGEST, end_first)
            finish(ours, server, socat)


def listen(path, end_first):
    with bridge('UNIX-LISTEN', path) as (ours, socat):
        wait_for_listener(path)
        with start(peer, 'connect', path, 'echo', 0 if end_first else N_MESSAGES) as client:
            exchange(ours, N_MESSAGES, LONGEST, end_first)
            finish(ours, client, socat)


def socat_connects_and_ends_first(path):
    connect(path, end_first=True)


def socat_connects_and_ends_last(path):
    connect(path, end_first=False)


def socat_listens_and_ends_first(path):
    listen(path, end_first=True)


def socat_listens_and_ends_last(path):
    listen(path, end_first=False)


run(socat_connects_and_ends_first, socat_connects_and_ends_last,
    socat_listens_and_ends_first, socat_listens_and_ends_last)
