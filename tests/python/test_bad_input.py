# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Bad input is a GError that names what was tried and on what; the process lives."""

import os
import socket

import fixture
import tap
from fixture import Gio, GLib, Log, Usock

Code = Gio.IOErrorEnum


class TestConnecting(fixture.Case):
    def refused(self, path, code, *words):
        channel = self.keep(Usock.Seqpacket())
        log = Log(channel)
        with self.raises(code, *words or (path,)):
            channel.connect_to_path(path)
        self.assertEqual(channel.props.state, Usock.State.NEW)

        with self.raises(code, *words or (path,)):
            Usock.run(channel.open(path))
        self.assertEqual(log, [])
        # The object may try again.
        server = self.keep(Usock.Server())
        server.listen(os.path.join(self.directory, 'good'))
        channel.connect_to_path(os.path.join(self.directory, 'good'))
        channel.close()
        server.close()
        log.wait('close')

    def test_missing(self):
        self.refused(self.path, Code.NOT_FOUND)
        self.refused(os.path.join(self.directory, 'no', 'such'), Code.NOT_FOUND)

    def test_stale(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
            stale.bind(self.path)
        self.refused(self.path, Code.CONNECTION_REFUSED)

    def test_directory_and_file(self):
        self.refused(self.directory, Code.CONNECTION_REFUSED)
        with open(self.path, 'w', encoding='utf-8') as file:
            file.write('not a socket')
        self.refused(self.path, Code.CONNECTION_REFUSED)

    def test_below_a_file(self):
        with open(self.path, 'w', encoding='utf-8'):
            pass
        self.refused(os.path.join(self.path, 'below'), Code.NOT_DIRECTORY)

    def test_wrong_type(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.bind(self.path)
            stream.listen()
            channel = self.keep(Usock.Seqpacket())
            with self.assertRaises(GLib.Error) as caught:
                channel.connect_to_path(self.path)
            self.assertIn(self.path, caught.exception.message)

    def test_too_long(self):
        self.refused('/' + 'x' * 300, Code.FILENAME_TOO_LONG)
        self.refused('/x' * 5000, Code.FILENAME_TOO_LONG)

    def test_long_paths_work(self):
        directory = self.directory
        while len(directory) < 3000:
            directory = os.path.join(directory, 'd' * 200)
            os.mkdir(directory)
        path = os.path.join(directory, 'socket')
        server = self.keep(Usock.Server())
        server.listen(path)
        client = self.keep(Usock.Seqpacket())
        client.connect_to_path(path)
        self.assertEqual(client.props.state, Usock.State.OPEN)

    def test_empty(self):
        channel = Usock.Seqpacket()
        with self.assertRaises(GLib.Error):
            channel.connect_to_path('')

    def test_nul(self):
        with open(self.path, 'w', encoding='utf-8'):
            pass
        for path in (self.path + '\0tail', os.fsencode(self.path) + b'\0tail', '\0', '\0name'):
            with self.subTest(path=path):
                shown = os.fsdecode(path).replace('\0', '\\0')
                self.refused(path, Code.INVALID_FILENAME, shown, 'NUL')
                server = Usock.Server()
                with self.raises(Code.INVALID_FILENAME, shown, 'NUL'):
                    server.listen(path)
                with self.raises(Code.INVALID_FILENAME, shown, 'NUL'):
                    Usock.Seqpacket().connect_to_path_async(path, None, lambda *_: None)
        with self.raises(Code.INVALID_FILENAME, 'NUL'):
            Usock.address_parse('@a\0b')

    def test_not_a_path(self):
        for path in (None, 5, [], object()):
            with self.subTest(path=path):
                with self.assertRaises(TypeError):
                    Usock.Seqpacket().connect_to_path(path)
                with self.assertRaises(TypeError):
                    Usock.run(Usock.Seqpacket().open(path))
                with self.assertRaises(TypeError):
                    Usock.Server().listen(path)

    def test_twice(self):
        client, served = self.accept_one()
        with self.assertRaises(GLib.Error):
            client.connect_to_path(self.path)
        client.send(b'unharmed')
        self.assertEqual(Usock.run(served.receive()).data, b'unharmed')

    def test_without_permission(self):
        if os.getuid() != 0:
            self.skipTest('only root can become somebody who may not')
        self.serve()
        os.chmod(self.directory, 0o711)
        os.seteuid(65534)
        try:
            with self.raises(Code.PERMISSION_DENIED, self.path):
                Usock.Seqpacket().connect_to_path(self.path)
        finally:
            os.seteuid(0)


class TestListening(fixture.Case):
    def refused(self, path, code=None):
        server = Usock.Server()
        log = Log(server, 'listening', 'error', 'close')
        with self.assertRaises(GLib.Error) as caught:
            server.listen(path)
        self.assertIn(path, caught.exception.message)
        if code:
            self.is_error(caught.exception, code)
        self.assertFalse(server.props.active)
        self.assertEqual(log, [])

    def test_refused(self):
        self.refused(os.path.join(self.directory, 'no', 'such'), Code.NOT_FOUND)
        self.refused('/' + 'x' * 300, Code.FILENAME_TOO_LONG)
        self.refused(self.directory)

    def test_a_file_is_not_touched(self):
        with open(self.path, 'w', encoding='utf-8') as file:
            file.write('precious')
        self.refused(self.path)
        with open(self.path, encoding='utf-8') as file:
            self.assertEqual(file.read(), 'precious')

    def test_a_live_one_is_refused(self):
        server = self.serve()
        self.refused(self.path, Code.ADDRESS_IN_USE)
        self.assertEqual(server.get_n_connections(), 0)

    def test_a_stale_one_is_taken_over(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
            stale.bind(self.path)
        self.serve()
        with Usock.Seqpacket() as client:
            client.connect_to_path(self.path)

    def test_backlogs(self):
        for backlog in (-1, 0, 1, 2**31 - 1):
            server = self.keep(Usock.Server())
            server.listen(self.path, backlog)
            with Usock.Seqpacket() as client:
                client.connect_to_path(self.path)
            server.close()
        with self.assertRaises(OverflowError):
            Usock.Server().listen(self.path, 2**31)


class TestSending(fixture.Case):
    def test_not_connected(self):
        channel = Usock.Seqpacket()
        with self.raises(Code.NOT_CONNECTED):
            channel.send(b'x')

    def test_after_end(self):
        first, second = self.pair()
        first.end()
        for send in (lambda: first.send(b'x'), lambda: first.send('x'),
                     lambda: first.send(Usock.Message(b'x')),
                     lambda: first.send(b'x', fds=[0]),
                     lambda: first.send_bytes(GLib.Bytes.new(b'x'))):
            with self.raises(Code.CLOSED):
                send()
        self.assertIsNone(Usock.run(second.receive()))

    def test_after_close(self):
        first, _second = self.pair()
        first.close()
        with self.raises(Code.CLOSED):
            first.send(b'x')

        async def main():
            with self.raises(Code.CLOSED):
                await first.send_async(b'x')
            with self.raises(Code.CLOSED):
                await first.receive()

        Usock.run(main())
        # Once more does no harm.
        first.end()
        first.close()
        first.pause()
        first.resume()
        first.destroy()

    def test_connecting_after_close(self):
        self.serve()
        channel = Usock.Seqpacket()
        channel.connect_to_path(self.path)
        channel.close()
        with self.raises(Code.CLOSED):
            channel.connect_to_path(self.path)

    def test_too_large(self):
        first, second = self.pair()
        for size in (5_000_000, 64 << 20):
            with self.raises(Code.MESSAGE_TOO_LARGE):
                first.send(bytes(size))
        first.send(b'next')
        self.assertEqual(Usock.run(second.receive()).data, b'next')

    def test_large(self):
        first, second = self.pair()
        second.set_read_buffer_size(4 << 20)
        data = os.urandom(4_000_000)
        first.send(data)
        self.assertEqual(Usock.run(second.receive()).data, data)

    def test_what_was_accepted_before_one_is_refused(self):
        first, second = self.pair()
        with self.raises(Code.MESSAGE_TOO_LARGE):
            if first.send_messages([b'a', b'b', bytes(5_000_000), b'c']) < 4:
                first.send_messages([bytes(5_000_000)])
        self.assertEqual([Usock.run(second.receive()).data for _ in range(2)], [b'a', b'b'])


class TestChannelForList(fixture.Case):
    def test_refused(self):
        """A channel can be iterated: taken for a list it would be waited for."""
        first, _second = self.pair()
        for call in (lambda: first.send(b'x', fds=first), lambda: first.send_messages(first),
                     lambda: Usock.poll(first), lambda: Usock.poll([None]),
                     lambda: Usock.Message(b'x', fds=first),
                     lambda: Usock.Dgram().send_message_to_all(Usock.Message(), first),
                     lambda: Usock.Handle().recvmsg(first),
                     lambda: first.connect_to_name(first), lambda: Usock.address_parse(first),
                     lambda: Usock.notify(first)):
            with self.assertRaises(TypeError):
                call()


class TestDescriptor(fixture.Case):
    def refused(self, fd, code=None):
        with self.assertRaises(GLib.Error) as caught:
            Usock.Seqpacket.new_from_fd(fd)
        if code:
            self.is_error(caught.exception, code, str(fd))

    def test_not_open(self):
        fd = os.open('/dev/null', os.O_RDONLY)
        os.close(fd)
        self.refused(fd)
        self.refused(-1)

    def test_not_a_socket(self):
        with open('/dev/null') as null:
            self.refused(null.fileno())
            os.fstat(null.fileno())

    def test_of_another_type(self):
        first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with first, second:
            self.refused(first.fileno())
            second.send(b'untouched')
            self.assertEqual(first.recv(20), b'untouched')

    def test_unconnected(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as unconnected:
            self.refused(unconnected.fileno())
            unconnected.bind(self.path)
            unconnected.listen()
            self.refused(unconnected.fileno())


class TestAddress(fixture.Case):
    def test_round_trip(self):
        for text in ('/run/x', '@abstract', '@with\\x00nul', '@back\\\\slash', 'relative'):
            address = Usock.address_parse(text)
            self.assertEqual(Usock.address_to_string(address), text)

    def test_nonsense(self):
        for text in ('', '@bad\\escape', '@\\x0', '@' + 'x' * 200):
            with self.subTest(text=text), self.assertRaises(GLib.Error):
                Usock.address_parse(text)


class TestMisuse(fixture.Case):
    """What even a script can get wrong without a GError is a critical, never a crash."""

    def test_a_frozen_message(self):
        first, second = self.pair()
        message = Usock.Message(b'x')
        first.send(message)
        with tap.expect_critical('*frozen*'):
            message.append_bytes(GLib.Bytes.new(b'y'))
        with open('/dev/null') as null, self.assertRaises(GLib.Error):
            message.append_fd(null.fileno())
        self.assertEqual(Usock.run(second.receive()).data, b'x')

    def test_none(self):
        first, _second = self.pair()
        for call in (lambda: first.send_message(None), lambda: first.send_bytes(None),
                     lambda: first.connect_to_address(None), lambda: Usock.Message(None),
                     lambda: first.send_text(None)):
            with self.assertRaises((TypeError, AttributeError)):
                call()

    def test_unknown_property(self):
        with self.assertRaises(TypeError):
            Usock.Seqpacket(no_such=1)


tap.main()
