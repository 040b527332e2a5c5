# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A text names the same place in every call that takes one; what is a path is always one."""

import os
import pathlib

import fixture
import tap
from fixture import Gio, GLib, Usock

Code = Gio.IOErrorEnum
Type = Usock.SockType


class PlacesCase(fixture.Case):
    def setUp(self):
        # The resolver keeps a thread, and a descriptor for it.
        try:
            Usock.run(Usock.Stream().open('localhost:1'))
        except GLib.Error:
            pass
        super().setUp()
        here = os.getcwd()
        os.chdir(self.directory)
        self.addCleanup(os.chdir, here)

    def name(self):
        return f'@usock-places-{os.getpid()}'


class TestStreams(PlacesCase):
    def listens(self, where, family):
        server = self.keep(Usock.Server(socket_type=Gio.SocketType.STREAM))
        server.listen(where)
        self.assertEqual(server.get_family(), family)
        return server

    def test_local(self):
        places = [self.path, 'relative', './host:80', pathlib.Path('host:80'), self.name(),
                  Gio.File.new_for_path(self.path), os.fsencode(self.path), pathlib.Path('@file'),
                  'a b', 'back\\\\slash', 'x\\x41', '1:2:x', 'host:', 'host:name',
                  Gio.UnixSocketAddress.new(self.path)]
        for where in places:
            with self.subTest(where=where):
                server = self.listens(where, Gio.SocketFamily.UNIX)
                client = self.keep(Usock.Stream())
                Usock.run(client.open(where))
                client.close()
                with Usock.Handle.connected(where) as handle:
                    self.assertEqual(handle.get_family(), Gio.SocketFamily.UNIX)
                server.close()
                with Usock.Handle.listening(where):
                    Usock.run(self.keep(Usock.Stream()).open(where))
                for file in os.listdir():
                    os.unlink(file)

    def test_where_they_are(self):
        for where, file in ((pathlib.Path('@file'), '@file'), ('x\\x41', 'xA'),
                            ('back\\\\slash', 'back\\slash'), ('\\x40file', '@file')):
            with self.listens(where, Gio.SocketFamily.UNIX):
                self.assertIn(file, os.listdir())

    def test_internet(self):
        for where, host in (('127.0.0.1:0', '127.0.0.1'), ('[::1]:0', '[::1]'),
                            ('localhost:0', 'localhost'), (':0', 'localhost')):
            with self.subTest(where=where):
                try:
                    server = self.keep(Usock.Server(socket_type=Gio.SocketType.STREAM))
                    server.listen(where)
                except GLib.Error:
                    if host != '[::1]':
                        raise
                    continue  # There is no IPv6 here.
                place = f'{host}:{server.get_local_address().get_port()}'
                stream = self.keep(Usock.Stream())
                Usock.run(stream.open(place))
                self.assertIsInstance(stream.get_remote_address(), Gio.InetSocketAddress)
                with Usock.Handle.connected(place, timeout=10_000):
                    pass
                handle = self.keep(Usock.Handle(stream.get_family().real))
                handle.open(place, 10_000)
                server.close()

    def test_refused(self):
        for where in ('localhost:65536', 'a\\b', 'a\0b', ''):
            for call in (lambda where: Usock.Server().listen(where), Usock.Handle.connected,
                         lambda where: Usock.run(Usock.Stream().open(where)),
                         Usock.Handle.listening, lambda where: Usock.Dgram().bind(where)):
                with self.subTest(where=where), self.assertRaises(GLib.Error):
                    call(where)
        with self.raises(Code.INVALID_FILENAME):
            Usock.Server().listen(Gio.File.new_for_uri('http://localhost/x'))
        with self.assertRaises(GLib.Error):
            Usock.run(Usock.Seqpacket().open('localhost:1'))


class TestDatagrams(PlacesCase):
    def test_all(self):
        for where in (self.path, 'relative', self.name(), '127.0.0.1:0', 'localhost:0',
                      pathlib.Path('host:80'), Gio.File.new_for_path(self.path + '2')):
            with self.subTest(where=where):
                receiver, sender = self.keep(Usock.Dgram()), self.keep(Usock.Dgram())
                receiver.bind(where)
                address = receiver.get_local_address()
                if isinstance(address, Gio.InetSocketAddress):
                    where = where.replace(':0', f':{address.get_port()}')
                sender.send_to(b'1', where)
                Usock.run(sender.send_to_async(b'2', where))
                sender.send_message_to_all(Usock.Message(b'3'), [where])
                Usock.run(self.keep(other := Usock.Dgram()).open(where))
                other.send(b'4')
                with Usock.Handle(address.get_family().real, Type.DGRAM) as handle:
                    handle.send(b'5', where)
                    handle.sendmsg(b'6', where)
                self.assertEqual([next(receiver).data for _ in range(6)],
                                 [b'1', b'2', b'3', b'4', b'5', b'6'])
                receiver.close()


tap.main()
