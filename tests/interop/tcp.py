# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""By TCP: Node's net is the other side, as a client and as a server, and curl asks a server of
ours."""

import contextlib
import os
import subprocess

from interop import DEADLINE, expect_success, need, peer, run, start

NODE = need('node')
CURL = need('curl')
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tcp-peer.js')
N_BYTES = 20_000_000

OURS = [peer]
THEIRS = [NODE, SCRIPT]


@contextlib.contextmanager
def listening(program, host, *job):
    with start(*program, 'listen', host, *job, stdout=subprocess.PIPE) as server:
        yield server, server.stdout.readline().decode().strip()


def converse(server, server_job, client, client_job, host='127.0.0.1', name=None):
    with listening(server, host, *server_job) as (server_process, port), \
            start(*client, 'connect', name or host, port, *client_job) as client_process:
        expect_success(client_process)
        expect_success(server_process)


def we_connect_and_send(_path):
    converse(THEIRS, ['echo'], OURS, ['exchange', N_BYTES])


def node_connects_and_sends(_path):
    converse(OURS, ['echo'], THEIRS, ['exchange', N_BYTES])


def by_ipv6(_path):
    converse(THEIRS, ['echo'], OURS, ['exchange', 1000], '::1')
    converse(OURS, ['echo'], THEIRS, ['exchange', 1000], '::1')


def by_name(_path):
    # Node listens by one family only, which we have to find.
    for host in ('127.0.0.1', '::1'):
        converse(THEIRS, ['echo'], OURS, ['exchange', 1000], host, 'localhost')
    converse(OURS, ['echo'], THEIRS, ['exchange', 1000], '::', '127.0.0.1')
    converse(OURS, ['echo'], THEIRS, ['exchange', 1000], '::', '::1')


def one_side_only(_path):
    converse(THEIRS, ['exchange', N_BYTES], OURS, ['echo'])
    converse(OURS, ['exchange', N_BYTES], THEIRS, ['echo'])


def we_reset(_path):
    converse(THEIRS, ['broken'], OURS, ['reset'])
    converse(OURS, ['reset'], THEIRS, ['broken'])


def node_resets(_path):
    converse(THEIRS, ['reset'], OURS, ['broken'])
    converse(OURS, ['broken'], THEIRS, ['reset'])


def curl_asks(_path):
    with listening(OURS, 'localhost', 'web') as (server, port):
        for path in ('/', '/some/where?else', '/end'):
            with start(CURL, '--silent', '--show-error', '--max-time', DEADLINE,
                       f'http://localhost:{port}{path}', stdout=subprocess.PIPE) as curl:
                answer, _ = curl.communicate(timeout=DEADLINE)
                expect_success(curl)
            assert answer.decode() == f'you asked for {path}\n', answer
        expect_success(server)


run(we_connect_and_send, node_connects_and_sends, by_ipv6, by_name, one_side_only, we_reset,
    node_resets, curl_asks)
