# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A server and a client in a line each; descriptors; what the service manager passes."""

import os
import socket
import stat
import subprocess
import sys

import fixture
import tap
from fixture import Gio, Usock, wait_for

Code = Gio.IOErrorEnum
NAME = 'org.example.App'

LEAVES = """\
import gi, sys
gi.require_version('Usock', '1')
from gi.repository import Usock
server = Usock.Server.new_for_name(sys.argv[1])
client = Usock.Seqpacket.new_for_name(sys.argv[1])
"""


class TestNames(fixture.Case):
    def setUp(self):
        super().setUp()
        before = os.environ.get('XDG_RUNTIME_DIR')
        self.addCleanup(lambda: before and os.environ.update(XDG_RUNTIME_DIR=before))
        os.environ['XDG_RUNTIME_DIR'] = self.directory

    def test_one_line_each(self):
        server = self.keep(Usock.Server.new_for_name(NAME))
        client = self.keep(Usock.Seqpacket.new_for_name(NAME))
        self.assertIsInstance(server, Usock.Server)
        self.assertEqual(server.props.allowed_users, Usock.AllowedUsers.SAME_USER)
        path = os.path.join(self.directory, NAME)
        self.assertEqual(server.props.path, path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

        async def converse():
            async for channel in server:
                with channel:
                    client.send('hello')
                    self.assertEqual((await channel.receive()).text, 'hello')
                    channel.send('hi')
                    self.assertEqual((await client.receive()).text, 'hi')
                    return

        Usock.run(converse())
        with self.raises(Code.ADDRESS_IN_USE, path):
            Usock.Server.new_for_name(NAME)
        server.close()
        self.assertFalse(os.path.exists(path))

    def test_stream(self):
        accepted = []
        server = self.keep(Usock.Server(socket_type=Gio.SocketType.STREAM))
        self.assertEqual(server.props.socket_type, Gio.SocketType.STREAM)
        server.connect('connection', lambda _, channel: accepted.append(self.keep(channel)))
        server.listen_on_name(NAME)
        stream = self.keep(Usock.Stream.new_for_name(NAME))
        wait_for(lambda: accepted)
        self.assertIsInstance(accepted[0], Usock.Stream)
        with self.raises(Code.INVALID_ARGUMENT, NAME):
            self.keep(Usock.Seqpacket()).connect_to_name(NAME)
        del stream
        accepted.clear()

    def test_no_name(self):
        for name in '', '.', '..', 'a/b', 'a\0b':
            for make in (Usock.Server.new_for_name, Usock.Seqpacket.new_for_name,
                         Usock.Stream.new_for_name, Usock.Server().listen_on_name,
                         Usock.Seqpacket().connect_to_name):
                with self.raises(Code.INVALID_FILENAME, name.replace('\0', '\\0')):
                    make(name)
        with self.raises(Code.NOT_FOUND, NAME):
            Usock.Seqpacket.new_for_name(NAME)
        del os.environ['XDG_RUNTIME_DIR']
        for make in Usock.Server.new_for_name, Usock.Seqpacket.new_for_name:
            with self.raises(Code.NOT_FOUND, NAME, 'XDG_RUNTIME_DIR'):
                make(NAME)

    def test_nothing_is_left_at_exit(self):
        subprocess.run([sys.executable, '-c', LEAVES, NAME], check=True)
        self.assertEqual(os.listdir(self.directory), [])


class TestDescriptors(fixture.Case):
    def test_listen_on_fd(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind(self.path)
            accepted = []
            server = self.keep(Usock.Server())
            server.connect('connection', lambda _, channel: accepted.append(self.keep(channel)))
            with self.raises(Code.INVALID_ARGUMENT, str(other.fileno())):
                Usock.Server(socket_type=Gio.SocketType.STREAM).listen_on_fd(other.fileno())
            server.listen_on_fd(other.detach())
        self.keep(Usock.Seqpacket()).connect_to_path(self.path)
        wait_for(lambda: accepted)
        accepted.clear()
        server.close()
        self.assertTrue(os.path.exists(self.path))

    def test_bad_fds(self):
        with open('/dev/null', encoding='utf-8') as file:
            for fd in -1, 1000, file.fileno():
                with self.raises(Code.INVALID_ARGUMENT, str(fd)):
                    Usock.Server().listen_on_fd(fd)

    def test_make_parents(self):
        path = os.path.join(self.directory, 'one', 'two', 'socket')
        with self.raises(Code.NOT_FOUND, path):
            Usock.Server().listen(path)
        self.keep(Usock.Server(make_parents=True)).listen(path)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)

    def test_nobody_activated(self):
        for make in (Usock.Seqpacket.new_activated, Usock.Stream.new_activated,
                     Usock.Dgram.new_activated, Usock.Server().listen_activated):
            with self.raises(Code.NOT_FOUND):
                make()
            with self.raises(Code.NOT_FOUND, 'name'):
                make('name')


tap.main()
