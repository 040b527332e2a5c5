# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Connections by TCP, and waiting for a server."""

import asyncio
import os

import fixture
import tap
from fixture import Gio, Log, Usock

Code = Gio.IOErrorEnum

# GIO starts its worker thread with this, and keeps what that has open.
assert Gio.Task


class TcpCase(fixture.Case):
    def serve(self, host='127.0.0.1'):
        server = self.keep(Usock.Server.new(Gio.SocketType.STREAM))
        server.connect('connection', lambda _, channel: channel.connect('data', type(channel).send))
        server.listen_on_host(host, 0)
        return server, server.get_local_address().get_port()

    def stream(self):
        return self.keep(Usock.Stream())


class TestHosts(TcpCase):
    def talk(self, run):
        _, port = self.serve()
        stream = self.stream()
        found = []
        stream.connect('lookup', lambda _, *found_now: found.append(found_now))

        async def main():
            self.assertIs(await stream.open_host('localhost', port, Gio.SocketFamily.IPV4), stream)
            stream.send(b'hello\n')
            return await stream.receive_line()

        self.assertEqual(run(main()), 'hello')
        self.assertEqual(found, [(None, '127.0.0.1', Gio.SocketFamily.IPV4, 'localhost')])
        self.assertEqual(stream.get_remote_address().get_port(), port)
        self.assertGreater(stream.get_local_address().get_port(), 0)

    def test_with_the_context(self):
        self.talk(Usock.run)

    def test_with_asyncio(self):
        self.talk(asyncio.run)

    def test_all_interfaces(self):
        server, port = self.serve(None)
        for host in ('127.0.0.1', '::1'):
            stream = self.stream()
            Usock.run(stream.connect_to_host_async(host, port, Gio.SocketFamily.INVALID))
            self.assertEqual(stream.get_state(), Usock.State.OPEN)
        with self.raises(Code.EXISTS):
            server.listen_on_host('127.0.0.1', 0)

    def test_connectable(self):
        _, port = self.serve()
        stream = self.stream()
        Usock.run(stream.connect_to_connectable_async(Gio.NetworkAddress.new('127.0.0.1', port)))
        self.assertEqual(stream.get_state(), Usock.State.OPEN)

    def test_from_an_address(self):
        _, port = self.serve()
        stream = self.stream()
        stream.set_bind_address(Gio.InetSocketAddress.new_from_string('127.0.0.77', 0))
        Usock.run(stream.open(Gio.InetSocketAddress.new_from_string('127.0.0.1', port)))
        self.assertEqual(stream.get_local_address().get_address().to_string(), '127.0.0.77')


class TestFailures(TcpCase):
    def test_known_at_once(self):
        stream = self.stream()
        with self.raises(Code.INVALID_ARGUMENT):
            stream.connect_to_host('', 1)
        with self.raises(Code.INVALID_ARGUMENT):
            stream.connect_to_host('127.0.0.1', 65536)
        with self.raises(Code.INVALID_FILENAME):
            stream.connect_to_host('a\0b', 1)
        with self.raises(Code.INVALID_FILENAME):
            Usock.Server.new(Gio.SocketType.STREAM).listen_on_host('a\0b', 0)

    def test_refused(self):
        server, port = self.serve()
        log = Log(server, 'close')
        server.close()
        log.wait('close')
        stream = self.stream()
        log = Log(stream, 'error', 'close')
        with self.raises(Code.CONNECTION_REFUSED):
            Usock.run(stream.open_host('127.0.0.1', port))
        log.wait('close')
        self.assertEqual(log[0][1].message,
                         f'Could not connect to “127.0.0.1:{port}”: Connection refused')

    def test_unknown(self):
        stream = self.stream()
        found = []
        stream.connect('lookup', lambda _, *found_now: found.append(found_now))
        log = Log(stream, 'error', 'close')
        stream.connect_to_host('nobody.invalid', 80)
        log.wait('close')
        (error, address, family, host), = found
        # Without a network nobody can say that the host does not exist.
        self.assertIn(error.code, (Code.HOST_NOT_FOUND, Code.NETWORK_UNREACHABLE))
        self.assertEqual((address, family, host),
                         (None, Gio.SocketFamily.INVALID, 'nobody.invalid'))

    def test_cancelling(self):
        _, port = self.serve()
        stream = self.stream()
        task = Usock.spawn(stream.open_host('127.0.0.1', port))
        task.cancel()
        with self.raises(Code.CANCELLED):
            Usock.run(task)
        self.assertEqual(stream.get_state(), Usock.State.NEW)
        Usock.run(stream.open_host('127.0.0.1', port))


class TestServers(TcpCase):
    def test_shared_port(self):
        server = self.keep(Usock.Server.new(Gio.SocketType.STREAM))
        server.listen_on_fd(Usock.Server.open_reuse_port_fd('127.0.0.1', 0), 0)
        port = server.get_local_address().get_port()
        os.close(Usock.Server.open_reuse_port_fd('127.0.0.1', port))
        with self.raises(Code.FAILED):
            Usock.Server.open_reuse_port_fd('192.0.2.1', 0)

    def test_later(self):
        for kind, socket_type in ((Usock.Stream, Gio.SocketType.STREAM),
                                  (Usock.Seqpacket, Gio.SocketType.SEQPACKET)):
            path = f'{self.path}-{int(socket_type)}'
            channel = self.keep(kind())

            async def main():
                connecting = Usock.spawn(channel.connect_when_available_async(path, -1))
                self.assertEqual(channel.get_state(), Usock.State.CONNECTING)
                self.keep(Usock.Server.new(socket_type)).listen_on_path(path)
                await connecting

            Usock.run(main())
            self.assertEqual(channel.get_state(), Usock.State.OPEN)

    def test_never(self):
        with self.raises(Code.TIMED_OUT):
            Usock.run(self.stream().connect_when_available_async(self.path, 30))


tap.main()
