# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""systemd-socket-activate listens and starts us with the accepted connection as a descriptor."""

import subprocess

from interop import expect_success, need, peer, run, start, wait_for_listener

ACTIVATE = need('systemd-socket-activate')
N_MESSAGES = 500
LONGEST = 200000


def converse(path, *job):
    with start(ACTIVATE, '--seqpacket', '--accept', '--listen', path, *job,
               stderr=subprocess.DEVNULL):
        wait_for_listener(path)
        # It goes on listening: a second client gets a second process.
        for end in ('first', 'first'):
            with start(peer, 'connect', path, 'exchange', N_MESSAGES, LONGEST, end) as client:
                expect_success(client)


def connection_comes_as_descriptor_3(path):
    converse(path, peer, 'adopt', 3, 'echo')


def connection_comes_as_standard_input(path):
    converse(path, '--inetd', peer, 'adopt', 0, 'echo')


def server_ends_first(path):
    with start(ACTIVATE, '--seqpacket', '--accept', '--listen', path,
               peer, 'adopt', 3, 'echo', N_MESSAGES, stderr=subprocess.DEVNULL):
        wait_for_listener(path)
        with start(peer, 'connect', path, 'exchange', N_MESSAGES, LONGEST, 'last') as client:
            expect_success(client)


run(connection_comes_as_descriptor_3, connection_comes_as_standard_input, server_ends_first)
