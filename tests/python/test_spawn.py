# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A child with a channel."""

import pathlib
import socket
import sys

import fixture
import tap
from fixture import Gio, Usock

Code = Gio.IOErrorEnum

ECHO = """\
import gi
gi.require_version('Usock', '1')
from gi.repository import Usock

async def main():
    channel = Usock.{0}.new_activated()
    channel.set_max_fds(1)
    channel.send('ready')
    async for message in channel:
        channel.send(message)

Usock.run(main())
"""
LISTS = 'import os; os.write(3, b" ".join(map(os.fsencode, sorted(os.listdir("/proc/self/fd")))))'

ANSWERS = '''
import gi
gi.require_version("Usock", "1")
from gi.repository import Usock
peer = Usock.Peer.new(Usock.Seqpacket.new_activated())
peer.handle("Double", lambda number: number * 2)
Usock.run_until_closed()
'''


class TestSpawn(fixture.Case):
    def setUp(self):
        # What GLib has for children stays.
        Gio.Subprocess.new(['true'], 0).wait()
        super().setUp()

    def test_usock(self):
        for cls in (Usock.Seqpacket, Usock.Stream):
            channel, process = cls.spawn([sys.executable, '-c', ECHO.format(cls.__name__)])
            self.assertIsInstance(channel, cls)
            self.keep(channel).set_max_fds(1)

            async def talk():
                # Its own descriptors are let in once it says so.
                first = await channel.receive(timeout=fixture.DEADLINE)
                channel.send(b'fd', fds=[0])
                return first.data, await channel.receive(timeout=fixture.DEADLINE)

            ready, message = Usock.run(talk())
            self.assertEqual((ready, message.data), (b'ready', b'fd'))
            self.assertEqual(message.get_n_fds(), 1)
            message.close_fds()
            channel.close()
            process.wait_check()

    def test_peer(self):
        peer, process = Usock.Peer.spawn([sys.executable, '-c', ANSWERS])
        self.assertIsInstance(peer, Usock.Peer)
        self.keep(peer.get_channel())
        self.assertEqual(Usock.run(peer.call('Double', 21)), 42)
        peer.get_channel().end()
        process.wait_check()
        with self.raises(Code.NOT_FOUND, 'Could not start “/no/such”'):
            Usock.Peer.spawn(['/no/such'])
        for argv in ('sh', [], None):
            with self.subTest(argv=argv), self.assertRaises(TypeError):
                Usock.Peer.spawn(argv)

    def test_nothing_leaks(self):
        first, second = socket.socketpair()
        for end in (first, second):
            end.set_inheritable(True)
        channel, process = Usock.Seqpacket.spawn([sys.executable, '-c', LISTS])
        self.keep(channel)
        for message in channel:
            self.assertEqual(message.data, b'0 1 2 3 4')
        process.wait_check()
        first.close()
        second.close()

    def test_arguments(self):
        file = Gio.File.new_for_path('/bin/sh')
        for program in ('sh', b'sh', pathlib.Path('/bin/sh'), file):
            channel, process = Usock.Stream.spawn(
                [program, '-c', 'printf %s "$1" >&3', 'sh', b'\xff'])
            self.keep(channel)
            self.assertEqual([message.data for message in channel], [b'\xff'])
            process.wait_check()

    def test_errors(self):
        with self.raises(Code.NOT_FOUND, 'Could not start “/no/such”') as raised:
            Usock.Seqpacket.spawn(['/no/such'])
        self.assertIsInstance(raised.error, FileNotFoundError)
        with self.raises(Code.INVALID_FILENAME):
            Usock.Seqpacket.spawn(['sh', 'a\0b'])
        for argv in ('sh', b'sh', [], None, 3, [None], [3]):
            with self.subTest(argv=argv), self.assertRaises(TypeError):
                Usock.Seqpacket.spawn(argv)
        for argv in ([''], ['', 'x']):
            with self.subTest(argv=argv), self.raises(Code.NOT_FOUND):
                Usock.Stream.spawn(argv)

    def test_killed(self):
        channel, process = Usock.Seqpacket.spawn(['sleep', '1000'])
        log = fixture.Log(self.keep(channel), 'end', 'error', 'close')
        process.force_exit()
        log.wait('close')
        self.assertEqual(log.names(), ['end', 'close'])
        process.wait()


tap.main()
