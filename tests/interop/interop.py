# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the drivers share: starting programs, waiting for them, and the stream of messages.

A driver is called with the path of our own peer. Each of its cases is a function that raises
when the other program and ours do not agree."""

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SEED = 42
DEADLINE = 20
MASK = 0xFFFFFFFF

peer = sys.argv[1] if len(sys.argv) > 1 else None


def sequence_hash(seed, i):
    h = (seed * 0x9E3779B1 + i) & MASK
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & MASK
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & MASK
    return h ^ (h >> 16)


def sequence_message(i, longest):
    most = longest if i % 16 == 15 else min(longest, 1000)
    length = 1 + sequence_hash(SEED, i) % most
    pattern = bytes((SEED + i + j) & 0xFF for j in range(256))
    return (pattern * (length // 256 + 1))[:length]


def skip(reason):
    print(f'1..0 # SKIP {reason}')
    sys.exit(0)


def need(program):
    path = shutil.which(program)
    if path is None:
        skip(f'{program} is not installed')
    return path


@contextlib.contextmanager
def start(*command, **options):
    """A process that is killed if the case leaves it running."""
    process = subprocess.Popen([str(word) for word in command], **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def expect_success(process):
    code = process.wait(timeout=DEADLINE)
    assert code == 0, f'{process.args} exited with {code}'


def wait_for_socket(path, matches):
    """Connecting would be seen by the program; the kernel's table is not."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        # The names of other programs need not be text.
        with contextlib.suppress(OSError), open('/proc/net/unix', 'rb') as table:
            for line in table:
                words = line.split()
                if words and words[-1] == os.fsencode(path) and matches(words):
                    return
        time.sleep(0.005)
    raise AssertionError(f'nobody is on {path}')


def wait_for_listener(path):
    # Field 3 holds the flags: 0x10000 is set while the socket accepts connections.
    wait_for_socket(path, lambda words: int(words[3], 16) & 0x10000)


def wait_for_receiver(path):
    # Field 4 holds the type: SOCK_DGRAM. A zero byte of a name is shown as “@”.
    wait_for_socket(path.replace('\\x00', '@'), lambda words: int(words[4], 16) == 2)


@contextlib.contextmanager
def printing(path, n_messages):
    """Our receiver of datagrams. Afterwards the list has of each message the sender, the number
    of descriptors and the payload."""
    messages = []
    with start(peer, path, 'print', n_messages, stdout=subprocess.PIPE) as receiver:
        wait_for_receiver(path)
        yield messages
        output, _ = receiver.communicate(timeout=DEADLINE)
        expect_success(receiver)
    for line in output.decode().splitlines():
        sender, n_fds, payload = line.split('\t')
        messages.append((sender, int(n_fds), base64.b64decode(payload)))


def exchange(our_end, n_messages, longest, end_first):
    """Send the stream through a packet socket and expect every message to come back.

    Of the other side's end nothing is seen: socat passes it on only when it exits."""
    our_end.settimeout(DEADLINE)
    in_flight = 8
    received = 0

    def receive(expected):
        message = our_end.recv(1 << 20)
        assert message == sequence_message(expected, longest), \
            f'message {expected} came back with {len(message)} bytes'

    for i in range(n_messages):
        our_end.send(sequence_message(i, longest))
        if i - received >= in_flight:
            receive(received)
            received += 1
    if end_first:
        our_end.shutdown(socket.SHUT_WR)
    while received < n_messages:
        receive(received)
        received += 1
    if not end_first:
        our_end.shutdown(socket.SHUT_WR)
    assert our_end.recv(1) == b'', 'no end'


def packet_pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def run(*cases):
    """Prints one TAP line a case."""
    failed = 0
    print(f'1..{len(cases)}')
    for number, case in enumerate(cases, 1):
        name = case.__name__.replace('_', ' ')
        with tempfile.TemporaryDirectory(prefix='usock-') as directory:
            try:
                case(os.path.join(directory, 'socket'))
                print(f'ok {number} {name}', flush=True)
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f'not ok {number} {name}\n# {type(error).__name__}: {error}', flush=True)
    sys.exit(1 if failed else 0)
