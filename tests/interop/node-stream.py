# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Node is the other side of streams: with its own net, or with the npm module usocket, which
passes descriptors. The second argument says which.

usocket sends the descriptors again with the rest of a write for which there is not enough room,
and forgets them if there is none at all. With it only one frame is under way at a time, and fits
into a send buffer."""

import os
import subprocess
import sys

from interop import expect_success, need, peer, run, skip, start, wait_for_listener

NODE = need('node')
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'node-stream-peer.js')
LIBRARY = sys.argv[2]
N_FRAMES = 400
LONGEST, N_FDS, IN_FLIGHT = (100000, 3, 1) if LIBRARY == 'usocket' else (400000, 0, 16)
EXCHANGE = ['exchange', N_FRAMES, LONGEST, N_FDS, IN_FLIGHT]

if subprocess.run([NODE, '-e', f'require("{LIBRARY}")'], stderr=subprocess.DEVNULL,
                  check=False).returncode != 0:
    skip(f'{LIBRARY} is not installed: run tests/interop/install BUILD_DIR')


def converse(path, server, client):
    with start(*server) as server_process:
        wait_for_listener(path)
        with start(*client) as client_process:
            expect_success(client_process)
            expect_success(server_process)


def ours(role, path, *job):
    return [peer, role, path, *job]


def theirs(role, path, *job):
    return [NODE, SCRIPT, LIBRARY, role, path, *job]


def node_listens_and_returns(path):
    converse(path, theirs('listen', path, 'echo'), ours('connect', path, *EXCHANGE))


def node_listens_and_sends(path):
    converse(path, theirs('listen', path, *EXCHANGE), ours('connect', path, 'echo'))


def node_connects_and_returns(path):
    converse(path, ours('listen', path, *EXCHANGE), theirs('connect', path, 'echo'))


def node_connects_and_sends(path):
    converse(path, ours('listen', path, 'echo'), theirs('connect', path, *EXCHANGE))


run(node_listens_and_returns, node_listens_and_sends,
    node_connects_and_returns, node_connects_and_sends)
