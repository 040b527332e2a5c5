# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The two programs that README.md counts do the same, and have as many lines as it says:
check-compare.py README USOCK-SOURCE GIO-SOURCE USOCK-PROGRAM GIO-PROGRAM"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

DEADLINE = 20


def count(path):
    """Lines that are neither empty nor a comment."""
    with open(path, encoding='utf-8') as file:
        code = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.DOTALL)
    return sum(1 for line in code.splitlines() if line.strip())


def connect(path):
    deadline = time.monotonic() + DEADLINE
    while True:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(DEADLINE)
        try:
            client.connect(path)
            return client
        except (FileNotFoundError, ConnectionRefusedError):
            client.close()
            assert time.monotonic() < deadline, 'nobody listens'
            os.sched_yield()


def fill(client):
    """Asks until the server has had enough of who does not read; returns how many questions."""
    client.setblocking(False)
    n_sent = 0
    while True:
        try:
            client.send(b'question' * 1000)
            n_sent += 1
        except BlockingIOError:
            client.settimeout(DEADLINE)
            return n_sent


def check(program, path):
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stale.bind(path)
    stale.listen()
    stale.close()
    server = subprocess.Popen([program, path])
    try:
        first, slow, third = (connect(path) for _ in range(3))
        assert os.stat(path).st_mode & 0o777 == 0o600
        n_asked = fill(slow)
        for client in (first, third):
            client.send(b'hello')
            client.send(b'you')
            assert client.recv(100) == b'HELLO' and client.recv(100) == b'YOU'
        for _ in range(n_asked):
            assert slow.recv(10000) == b'QUESTION' * 1000
        server.send_signal(signal.SIGINT)
        for client in (first, slow, third):
            client.close()
        assert server.wait(DEADLINE) == 0
        assert not os.path.exists(path)
    finally:
        server.kill()
        server.wait()


def main():
    readme, *sources, ours, other = sys.argv[1:]
    for program in (ours, other):
        with tempfile.TemporaryDirectory(prefix='usock-') as directory:
            check(program, os.path.join(directory, 'socket'))
    counted = [count(source) for source in sources]
    with open(readme, encoding='utf-8') as file:
        shown = re.findall(r'\[(\d+) lines\]\(examples/compare/', file.read())
    assert shown == [str(number) for number in counted], f'README.md has {shown}, not {counted}'
    print(f'{counted[0]} lines and {counted[1]} do the same')


main()
