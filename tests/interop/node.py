# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The npm module node-unix-socket is the other side, as a client and as a server."""

import os
import subprocess

from interop import expect_success, need, peer, run, skip, start, wait_for_listener

NODE = need('node')
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'node-peer.js')
# It takes an empty message for the end, so none is sent.
N_MESSAGES = 500
LONGEST = 200000
# As long as its reader takes; more than the send buffer that a socket begins with.
VERY_LONG = 262144

if subprocess.run([NODE, '-e', 'require("node-unix-socket")'], stderr=subprocess.DEVNULL,
                  check=False).returncode != 0:
    skip('node-unix-socket is not installed: run tests/interop/install BUILD_DIR')


def converse(path, server, client):
    with start(*server[:-1], 'listen', path, *server[-1]) as server_process:
        wait_for_listener(path)
        with start(*client[:-1], 'connect', path, *client[-1]) as client_process:
            expect_success(client_process)
            expect_success(server_process)


def ours(*job):
    return [peer, job]


def theirs(*job):
    return [NODE, SCRIPT, job]


def node_listens_and_ends_last(path):
    converse(path, theirs('echo'), ours('exchange', N_MESSAGES, LONGEST, 'first'))


def node_listens_and_ends_first(path):
    converse(path, theirs('echo', N_MESSAGES), ours('exchange', N_MESSAGES, LONGEST, 'last'))


def node_connects_and_ends_first(path):
    converse(path, ours('echo'), theirs('exchange', N_MESSAGES, LONGEST, 'first'))


def node_connects_and_ends_last(path):
    converse(path, ours('echo', N_MESSAGES), theirs('exchange', N_MESSAGES, LONGEST, 'last'))


def node_receives_more_than_a_send_buffer(path):
    converse(path, theirs('measure'), ours('measure', VERY_LONG))


def node_resets_after_its_final_words(path):
    with start(NODE, SCRIPT, 'listen', path, 'final-words', stdin=subprocess.PIPE) as server:
        wait_for_listener(path)
        with start(peer, 'connect', path, 'final-words', stdout=subprocess.PIPE) as client:
            assert client.stdout.readline() == b'sent\n'
            server.stdin.close()
            expect_success(client)
            expect_success(server)


run(node_listens_and_ends_last, node_listens_and_ends_first,
    node_connects_and_ends_first, node_connects_and_ends_last,
    node_receives_more_than_a_send_buffer, node_resets_after_its_final_words)
