# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""TLS of GIO's over connections that usock gave away: in C, GJS and Python, with each other and with
OpenSSL, by Unix sockets and TCP. USOCK_TEST_LONG=1 has each with each."""

import os
import socket
import subprocess
import sys
import time

from interop import DEADLINE, need, peer, run, skip, start, wait_for_listener

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = {
    'c': [peer],
    'gjs': ['gjs', '-m', os.path.join(HERE, 'tls-peer.js')],
    'python': [sys.executable, os.path.join(HERE, 'tls_peer.py')],
}
OPENSSL = need('openssl')
LANGUAGES = sys.argv[2:]
LONG = os.environ.get('USOCK_TEST_LONG') == '1'
N_SEQUENTIAL = 50
N_AT_ONCE = 16
# openssl serves one after the other. Meanwhile GIO keeps a thread for each handshake that waits, and
# has some ten in all: if none is left, the one that is served cannot go on.
N_FOR_ONE = 4


def make_certificate(path):
    pem = path + '.pem'
    subprocess.run([OPENSSL, 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', pem, '-out', pem + '2',
                    '-days', '2', '-subj', '/CN=localhost'], check=True, capture_output=True)
    with open(pem, 'a') as key, open(pem + '2') as certificate:
        key.write(certificate.read())
    return pem


def ask(language, where, most=N_AT_ONCE):
    for count, at_once in ((N_SEQUENTIAL, 1), (N_AT_ONCE, most)):
        with start(*PEERS[language], 'ask', where, count, at_once) as client:
            code = client.wait(timeout=10 * DEADLINE)
            assert code == 0, f'{client.args} exited with {code}'


def case(server, clients):
    def both(path):
        pem = make_certificate(path)
        with start(*PEERS[server], 'serve', pem, path):
            wait_for_listener(path)
            for client in clients:
                ask(client, path)
    both.__name__ = f'{server} serves {", ".join(clients)}'
    return both


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as probe:
        return probe.getsockname()[1]


def wait_for_port(port):
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            socket.create_connection(('127.0.0.1', port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, 'nobody listens'
            time.sleep(0.01)


def openssl_serves_all(path):
    pem = make_certificate(path)
    port = free_port()
    with start(OPENSSL, 's_server', '-accept', f'127.0.0.1:{port}', '-cert', pem, '-rev', '-quiet',
               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_for_port(port)
        for language in LANGUAGES:
            ask(language, port, N_FOR_ONE)


def openssl_asks(path):
    """It closes as soon as it has its answer."""
    pem = make_certificate(path)
    for language in LANGUAGES:
        with start(*PEERS[language], 'serve', pem, path):
            wait_for_listener(path)
            for _ in range(5):
                with start(OPENSSL, 's_client', '-unix', path, '-quiet', '-CAfile', pem,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL) as client:
                    answer, _ = client.communicate(b'hello\n', timeout=DEADLINE)
                assert answer == b'olleh\n', answer
            os.unlink(path)


if subprocess.run([peer, 'tls'], check=False).returncode == 3:
    skip('GIO has no TLS: glib-networking is not installed')
run(*[case(language, LANGUAGES if LONG else ['c']) for language in LANGUAGES], openssl_serves_all, openssl_asks)
