# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""OpenBSD's netcat is the other side of datagrams, as a client and as a server.

Its standard input and output are a packet socket of ours. It makes one message of several that
wait, and cuts those for which its buffer has no room left, so that there is one at a time."""

import contextlib
import subprocess

from interop import (DEADLINE, expect_success, need, packet_pair, peer, run, sequence_message,
                     skip, start, wait_for_receiver)

NC = need('nc')
N_MESSAGES = 300
# Its buffer has 16 KiB.
LONGEST = 16000

if b'-U' not in subprocess.run([NC, '-h'], check=False, stderr=subprocess.PIPE).stderr:
    skip('nc is not the one of OpenBSD')


@contextlib.contextmanager
def bridge(*options):
    ours, theirs = packet_pair()
    with ours, start(NC, *options, stdin=theirs, stdout=theirs) as process:
        theirs.close()
        ours.settimeout(DEADLINE)
        yield ours, process


def check(message, i):
    assert message == sequence_message(i, LONGEST), f'another message {i} of {len(message)} bytes'


def netcat_sends(path):
    with start(peer, path, 'echo', N_MESSAGES) as server:
        wait_for_receiver(path)
        with bridge('-uU', path) as (ours, _):
            for i in range(N_MESSAGES):
                ours.send(sequence_message(i, LONGEST))
                check(ours.recv(1 << 20), i)
            expect_success(server)


def netcat_answers(path):
    """It takes the first sender for its only one, and connects to it."""
    with bridge('-luU', path) as (ours, netcat):
        wait_for_receiver(path)
        with start(peer, path + '.ours', 'exchange', N_MESSAGES, LONGEST, path, 1) as client:
            for i in range(N_MESSAGES):
                message = ours.recv(1 << 20)
                check(message, i)
                ours.send(message)
            expect_success(client)


run(netcat_sends, netcat_answers)
