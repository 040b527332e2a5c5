# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A server in Python, and peers of whom one does what he likes.

    test_hostile.py HOSTILE-PEER

The polite one gets his answer each time, the loop goes on, and neither memory nor descriptors become
more. USOCK_TEST_SECONDS says how long, USOCK_TEST_SEED begins with another seed.
"""

import faulthandler
import os
import subprocess
import sys
import time

import fixture
import tap
from fixture import Gio, GLib, wait_for

PEER = sys.argv[1]
LONG = os.environ.get('USOCK_TEST_LONG') == '1'
SECONDS = int(os.environ.get('USOCK_TEST_SECONDS', 1800 if LONG else 3))
SEED = int(os.environ.get('USOCK_TEST_SEED', 1))
BEAT = 10
# All that a process may come to hold more once it has met them, in KiB.
GROWTH = 24 * 1024


def resident():
    with open('/proc/self/status', encoding='ascii') as status:
        return int(next(line for line in status if line.startswith('VmRSS:')).split()[1])


class Heartbeat:
    """How late a timer of the loop is, in milliseconds."""

    def __init__(self):
        self.late = []
        self.due = time.monotonic() + BEAT / 1000
        self.source = GLib.timeout_add(BEAT, self.beat)

    def beat(self):
        now = time.monotonic()
        self.late.append(max(0, int((now - self.due) * 1000)))
        self.due = now + BEAT / 1000
        return True

    def stop(self):
        GLib.source_remove(self.source)
        self.late.sort()
        usual = self.late[-1 - len(self.late) // 1000]
        print(f'# of {len(self.late)} heartbeats 99.9 % were late by {usual} ms or less, '
              f'one by {self.late[-1]} ms', flush=True)
        return self.late[-1]


class TestHostile(fixture.Case):
    def play(self, kind, seed):
        """Both peers, until they have gone."""
        child = subprocess.Popen([PEER, kind, self.directory, self.path, str(seed)])
        tick = GLib.timeout_add(BEAT, lambda: True)
        wait_for(lambda: child.poll() is not None, f'the end of seed {seed}')
        GLib.source_remove(tick)
        self.assertEqual(child.returncode, 0, f'seed {seed}')

    def serve_the_hostile(self, kind, type_):
        channels = []

        def serve(channel):
            channels.append(channel)
            if len(channels) % 2:
                channel.connect('data', lambda channel, data: echo(channel, data))
            else:
                channel.connect('message', lambda channel, message: echo(channel, message.data))
            channel.connect('end', lambda channel: channel.end())

        def echo(channel, data):
            try:
                channel.send(data)
            except GLib.Error:
                pass

        server = self.serve(serve, socket_type=type_, max_fds=4, queue_limit=100000)
        start, before, seed = time.monotonic(), 0, SEED
        heartbeat = Heartbeat()
        while seed < SEED + 3 or time.monotonic() < start + SECONDS / 2:
            faulthandler.dump_traceback_later(tap.PATIENCE, exit=True)
            self.play(kind, seed)
            wait_for(lambda: server.get_n_connections() == 0)
            channels.clear()
            seed += 1
            if seed < SEED + 3 or time.monotonic() < start + SECONDS / 8:
                before = resident()
        self.assertLess(heartbeat.stop(), 5000 * fixture.SLOW)
        if 'LD_PRELOAD' not in os.environ and fixture.SLOW == 1:
            self.assertLess(resident(), before + GROWTH)

    def test_seqpacket(self):
        self.serve_the_hostile('seqpacket', Gio.SocketType.SEQPACKET)

    def test_stream(self):
        self.serve_the_hostile('stream', Gio.SocketType.STREAM)


tap.main()
