# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""GDBus from peer to peer over connections that usock gave away, with descriptors both ways."""

import os

from interop import DEADLINE, peer, run, start, wait_for_listener

N_CLIENTS = 8
N_CALLS = 4000
# Of each client that is still there, and some for the loop.
FDS_LEFT = 30


def call(path, n_calls, *kind):
    with start(peer, 'call', path, N_CLIENTS, n_calls, *kind) as clients:
        code = clients.wait(timeout=10 * DEADLINE)
        assert code == 0, f'the clients exited with {code}'


def both_sides_are_ours(path):
    with start(peer, 'serve', path) as server:
        wait_for_listener(path)
        call(path, N_CALLS)
        n_left = len(os.listdir(f'/proc/{server.pid}/fd'))
        assert n_left < FDS_LEFT, f'{n_left} descriptors are left'


def plain_clients(path):
    with start(peer, 'serve', path):
        wait_for_listener(path)
        call(path, 100, 'plain')


run(both_sides_are_ours, plain_clients)
