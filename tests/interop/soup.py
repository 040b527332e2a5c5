# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A libsoup server for connections that usock accepted and gave away. curl asks it, and a raw
socket: soup.py COMMAND..."""

import contextlib
import socket
import subprocess
import sys

from interop import DEADLINE, need, run, start, wait_for_listener

CURL = need('curl')
SERVER = sys.argv[1:]
BODY = bytes(i * i % 251 for i in range(1000)) * 5000


@contextlib.contextmanager
def serving(path):
    with start(*SERVER, path) as server:
        wait_for_listener(path)
        yield
        assert server.poll() is None, f'the server exited with {server.returncode}'


def start_curl(path, url, *options):
    return start(CURL, '--silent', '--show-error', '--max-time', DEADLINE, '--unix-socket', path,
                 *options, *(f'http://host{each}' for each in url.split()), stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE)


def ask(path, url, *options, body=None):
    with start_curl(path, url, *options) as curl:
        answer, _ = curl.communicate(body, timeout=2 * DEADLINE)
        assert curl.returncode == 0, f'curl exited with {curl.returncode}'
        return answer


def say(path, data, end):
    """What is answered to bytes, behind which there may be an end."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(DEADLINE)
        raw.connect(path)
        raw.sendall(data)
        if end:
            raw.shutdown(socket.SHUT_WR)
        answer = b''
        while piece := raw.recv(1 << 20):
            answer += piece
            if not end and answer.endswith(b'hi'):
                break
        return answer


def curl_asks(path):
    with serving(path):
        assert ask(path, '/a') == b'/a'
        assert ask(path, '/1 /2 /3') == b'/1/2/3'
        assert ask(path, '/old', '--http1.0') == b'/old'
        assert ask(path, '/later') == b'later'
        assert ask(path, '/big') == b'A' * 20_000_000


def curl_posts(path):
    post = '--header', 'Content-Type: application/octet-stream', '--request', 'POST'
    with serving(path):
        assert ask(path, '/echo', *post, '--data-binary', '@-', body=BODY) == BODY
        # In chunks, of which the whole length is not told.
        assert ask(path, '/echo', *post, '--upload-file', '-', body=BODY) == BODY


def many_ask_at_once(path):
    with serving(path), contextlib.ExitStack() as stack:
        curls = [stack.enter_context(start_curl(path, f'/{i}')) for i in range(20)]
        for i, curl in enumerate(curls):
            answer, _ = curl.communicate(timeout=2 * DEADLINE)
            assert answer == f'/{i}'.encode(), answer


def curl_goes_away(path):
    with serving(path):
        for _ in range(3):
            with start_curl(path, '/big') as curl:
                curl.stdout.read(1000)
        assert ask(path, '/next') == b'/next'


def websocket(path):
    upgrade = (b'GET /ws HTTP/1.1\r\nHost: host\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
               b'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
    with serving(path):
        answer = say(path, upgrade + b'\x81\x82\0\0\0\0hi', False)
        assert answer.startswith(b'HTTP/1.1 101'), answer
        assert answer.endswith(b'\x81\x02hi'), answer


def the_peer_has_ended(path):
    with serving(path):
        for url, last in (('/later', b'later'), ('/big', b'A' * 20_000_000)):
            answer = say(path, f'GET {url} HTTP/1.1\r\nHost: host\r\n\r\n'.encode(), True)
            assert answer.endswith(b'\r\n\r\n' + last), f'{len(answer)} bytes'


run(curl_asks, curl_posts, many_ask_at_once, curl_goes_away, websocket, the_peer_has_ended)
