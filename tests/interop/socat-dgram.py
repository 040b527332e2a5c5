# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""socat is the other side of datagrams, by path and by abstract name.

Its standard input and output are a packet socket of ours, so that it passes on whole messages."""

import os
import signal
import subprocess

from interop import (DEADLINE, expect_success, need, packet_pair, peer, printing, run,
                     sequence_message, start, wait_for_receiver)

SOCAT = need('socat')
N_MESSAGES = 300
# These race with each other, so that there is one at a time.
N_PROCESSES = 20
IN_FLIGHT = 5
LONGEST = 60000
ABSTRACT = f'usock-socat-{os.getpid()}'
BUFFER = ('-b', LONGEST)


def check_stream(ours, first, end):
    ours.settimeout(DEADLINE)
    for i in range(first, end):
        assert ours.recv(1 << 20) == sequence_message(i, LONGEST), f'another message {i}'


def echoed(where, address):
    """socat sends what we echo, with an address that we can answer."""
    with start(peer, where, 'echo', N_MESSAGES) as server:
        wait_for_receiver(where)
        ours, theirs = packet_pair()
        with ours, start(SOCAT, *BUFFER, '-', address, stdin=theirs, stdout=theirs):
            theirs.close()
            for first in range(0, N_MESSAGES, IN_FLIGHT):
                for i in range(first, first + IN_FLIGHT):
                    ours.send(sequence_message(i, LONGEST))
                check_stream(ours, first, first + IN_FLIGHT)
            expect_success(server)


def socat_sends(path):
    echoed(path, f'UNIX-SENDTO:{path},bind={path}.socat')


def socat_sends_to_an_abstract_name(_path):
    echoed(f'@{ABSTRACT}', f'ABSTRACT-SENDTO:{ABSTRACT},bind={ABSTRACT}-socat')


def socat_sends_to_a_padded_abstract_name(_path):
    """By the older custom a name is as long as the address can be."""
    padding = '\\x00' * (107 - len(ABSTRACT))
    name = f'@{ABSTRACT}{padding}'
    with printing(name, 1) as messages:
        with start(SOCAT, '-u', '-', f'ABSTRACT-SENDTO:{ABSTRACT},unix-tightsocklen=0',
                   stdin=subprocess.PIPE) as socat:
            socat.communicate(b'padded', timeout=DEADLINE)
            expect_success(socat)
    assert messages == [('', 0, b'padded')], messages


def received(address, where, job):
    """socat passes on what it receives, up to the empty message."""
    ours, theirs = packet_pair()
    with ours, start(SOCAT, *BUFFER, '-u', f'{address},null-eof', '-', stdout=theirs) as socat:
        theirs.close()
        wait_for_receiver(where)
        with start(peer, '-', job, N_MESSAGES, LONGEST, where) as sender:
            check_stream(ours, 0, N_MESSAGES)
            expect_success(sender)
        expect_success(socat)


def socat_receives(path):
    received(f'UNIX-RECV:{path}', path, 'send')


def socat_receives_from_a_connected_socket(path):
    received(f'UNIX-RECV:{path}', path, 'post')


def socat_receives_by_an_abstract_name(_path):
    received(f'ABSTRACT-RECV:{ABSTRACT}', f'@{ABSTRACT}', 'send')


def answered(address, where, own):
    """A process of socat's for each message sends it back, and may stay on for a while."""
    with start(SOCAT, *BUFFER, f'{address},fork', 'PIPE', start_new_session=True) as socat:
        try:
            wait_for_receiver(where)
            with start(peer, own, 'exchange', N_PROCESSES, LONGEST, where, 1) as client:
                expect_success(client)
        finally:
            os.killpg(socat.pid, signal.SIGKILL)


def socat_answers(path):
    answered(f'UNIX-RECVFROM:{path}', path, path + '.ours')


def socat_answers_by_an_abstract_name(_path):
    answered(f'ABSTRACT-RECVFROM:{ABSTRACT}', f'@{ABSTRACT}', f'@{ABSTRACT}-ours')


run(socat_sends, socat_sends_to_an_abstract_name, socat_sends_to_a_padded_abstract_name,
    socat_receives, socat_receives_from_a_connected_socket, socat_receives_by_an_abstract_name,
    socat_answers, socat_answers_by_an_abstract_name)
