# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Datagrams as Python's own: sent anywhere, awaited, iterated, and answered."""

import asyncio
import contextlib
import os
import pathlib
import socket
import struct
import tempfile

import fixture
import tap
from fixture import Gio, GLib, Log, Usock, wait_for

Code = Gio.IOErrorEnum


class DgramCase(fixture.Case):
    def dgram(self, where=None, **properties):
        dgram = self.keep(Usock.Dgram(**properties))
        if where:
            dgram.bind(where)
        return dgram

    def pair(self):
        return [self.keep(end) for end in Usock.Dgram.pair()]

    def name(self, suffix=''):
        return f'@usock-test-{os.getpid()}{suffix}'

    def foreign(self):
        """A socket that knows nothing of usock."""
        foreign = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(foreign.close)
        return foreign

    def tearDown(self):
        while self._sockets:
            self._sockets.pop().close()
        # The foreign sockets, before the descriptors are counted.
        self.doCleanups()
        super().tearDown()


class TestSending(DgramCase):
    def sent(self, *args, **kwargs):
        receiver = self.dgram(self.path)
        sender = self.dgram()
        self.assertIs(sender.send_to(*args, **kwargs), True)
        message = Usock.run(receiver.receive())
        receiver.close()
        return message.data

    def test_every_kind_of_bytes(self):
        for data in (b'bytes\0with NUL', bytearray(b'bytearray'), memoryview(b'a-b-c')[::2],
                     GLib.Bytes.new(b'GBytes'), b'', 'zwölf\0', '', Usock.Message(b'message')):
            with self.subTest(data=data):
                expected = data.encode() if isinstance(data, str) else (
                    data.get_data() if isinstance(data, GLib.Bytes) else bytes(data))
                self.assertEqual(self.sent(data, self.path), expected)

    def test_slices(self):
        for data in (b'0123456789', bytearray(b'0123456789'), '0123456789'):
            for fds in (None, ()):
                with self.subTest(data=data, fds=fds):
                    self.assertEqual(self.sent(data, self.path, 3, fds=fds), b'3456789')
                    self.assertEqual(self.sent(data, self.path, 3, 4, fds), b'3456')
                    self.assertEqual(self.sent(data, self.path, length=2, fds=fds), b'01')
                    self.assertEqual(self.sent(data, self.path, offset=10, fds=fds), b'')

    def test_slices_outside_and_other_things(self):
        sender = self.dgram()
        for offset, length in ((-1, None), (5, None), (0, 5), (4, 1), (2**64, None)):
            with self.assertRaises(ValueError):
                sender.send_to(b'0123', self.path, offset, length)
        for data in (None, 5, object(), [1]):
            with self.assertRaises(TypeError):
                sender.send_to(data, self.path)
        with self.assertRaises(TypeError):
            sender.send_to(Usock.Message(b'0123'), self.path, 1)
        for destination in (None, 5, object()):
            with self.assertRaises(TypeError):
                sender.send_to(b'x', destination)
            with self.assertRaises(TypeError):
                Usock.run(sender.send_to_async(b'x', destination))
        self.assertEqual(sender.get_messages_written(), 0)

    def test_every_kind_of_destination(self):
        path = os.path.join(self.directory, 'ünïcode')
        receivers = [self.dgram(pathlib.Path(path)), self.dgram(self.name()),
                     self.dgram(Gio.InetSocketAddress.new_from_string('127.0.0.1', 0)),
                     self.dgram(Gio.InetSocketAddress.new_from_string('::1', 0))]
        ports = [Usock.address_to_string(receiver.props.local_address)
                 for receiver in receivers[2:]]
        for destinations, receiver in (
                ((path, pathlib.Path(path), os.fsencode(path), Gio.UnixSocketAddress.new(path)),
                 receivers[0]),
                ((self.name(), Usock.address_parse(self.name())), receivers[1]),
                ((ports[0], receivers[2].props.local_address), receivers[2]),
                ((ports[1], receivers[3].props.local_address), receivers[3])):
            sender = self.dgram()
            for destination in destinations:
                with self.subTest(destination=destination):
                    sender.send_to(b'plain', destination)
                    sender.send_to(Usock.Message(b'message'), destination)
                    Usock.run(sender.send_to_async(b'async', destination))
                    self.assertEqual([Usock.run(receiver.receive()).data for _ in range(3)],
                                     [b'plain', b'message', b'async'])

    def test_a_path_longer_than_an_address(self):
        directory = os.path.join(self.directory, 'd' * 200)
        os.mkdir(directory)
        path = os.path.join(directory, 'socket')
        receiver = self.dgram(path)
        sender = self.dgram()
        sender.send_to(b'plain', path)
        with tempfile.TemporaryFile() as file:
            receiver.set_max_fds(1)
            sender.send_to(b'with a file', path, fds=[file])
            Usock.run(sender.send_to_async(b'awaited', path, fds=[file]))
        self.assertEqual([Usock.run(receiver.receive()).data for _ in range(3)],
                         [b'plain', b'with a file', b'awaited'])

    def test_nobody_is_there(self):
        sender = self.dgram()
        for destination in (self.path, Gio.UnixSocketAddress.new(self.path)):
            with self.raises(Code.NOT_FOUND, self.path):
                sender.send_to(b'x', destination)
            with self.raises(Code.NOT_FOUND, self.path):
                sender.send_to(b'x', destination, fds=[])
            with self.raises(Code.NOT_FOUND, self.path):
                Usock.run(sender.send_to_async(b'x', destination))
        with self.raises(Code.CONNECTION_REFUSED):
            sender.send_to(b'x', self.name())
        with self.raises(Code.INVALID_FILENAME, 'NUL'):
            sender.send_to(b'x', self.path + '\0')
        with self.raises(Code.INVALID_FILENAME, 'NUL'):
            self.dgram(self.path + '\0')
        self.dgram(self.path)
        self.assertTrue(sender.send_to(b'now', self.path))

    def test_to_several(self):
        receivers = [self.dgram(self.name(i)) for i in range(3)]
        sender = self.dgram()
        names = [self.name(i) for i in range(3)]
        message = Usock.Message(b'to all')
        self.assertEqual(sender.send_message_to_all(message, names + [self.path]), 3)
        self.assertEqual([Usock.run(receiver.receive()).data for receiver in receivers],
                         [b'to all'] * 3)
        with self.raises(Code.NOT_FOUND, self.path):
            sender.send_message_to_all(message, [self.path])
        self.assertEqual(sender.send_message_to_all(message, []), 0)

    def test_descriptors(self):
        receiver = self.dgram(self.path, max_fds=2)
        sender = self.dgram()
        with tempfile.TemporaryFile() as file:
            for destination in (self.path, Gio.UnixSocketAddress.new(self.path)):
                sender.send_to(b'two', destination, fds=[file, file.fileno()])
        for _ in range(2):
            message = Usock.run(receiver.receive())
            self.assertEqual((message.data, message.get_n_fds()), (b'two', 2))
            for fd in message.take_fds():
                os.close(fd)
        with self.raises(Code.INVALID_ARGUMENT, '-1'):
            sender.send_to(b'x', self.path, fds=[-1])

    def test_connected(self):
        receiver = self.dgram(self.path)
        sender = self.dgram()
        log = Log(sender, 'connect')
        sender.connect_to_path(self.path)
        sender.send(b'text', 1)
        log.wait('connect')
        self.assertEqual(Usock.run(receiver.receive()).data, b'ext')

        async def main():
            other = self.dgram(self.name())
            self.assertIs(await sender.open(Usock.address_parse(self.name())), sender)
            await sender.send_async(b'to another')
            return (await other.receive()).data

        self.assertEqual(Usock.run(main()), b'to another')


class TestReceiving(DgramCase):
    def test_the_sender_is_text_to_answer_to(self):
        receiver = self.dgram(self.path)
        got = Log(receiver, 'datagram')
        names = [self.name(), self.name('\\x00\\xffä\\\\'), os.path.join(self.directory, 'ü\n')]
        senders = [self.dgram(name) for name in names]
        for sender in [*senders, self.dgram()]:
            sender.send_to(b'question', self.path)
        got.wait('datagram', 4)
        self.assertEqual([data for _, data, _ in got], [b'question'] * 4)
        self.assertTrue(all(type(data) is bytes for _, data, _ in got))
        self.assertIsNone(got[3][2])
        for sender, (_, _, text) in zip(senders, got):
            receiver.send_to(b'answer', text)
            self.assertEqual(Usock.run(sender.receive()).data, b'answer')
        # The kernel has the same name, in bytes.
        foreign = self.foreign()
        foreign.sendto(b'x', b'\0' + names[1][1:].split('\\')[0].encode() + '\0'.encode()
                       + b'\xff' + 'ä\\'.encode())
        self.assertEqual(Usock.run(senders[1].receive()).data, b'x')

    def test_message_data_and_datagram(self):
        receiver = self.dgram(self.path)
        log = Log(receiver, 'message', 'data', 'datagram')
        self.dgram(self.name()).send_to(b'x', self.path)
        log.wait('datagram')
        self.assertEqual(log.names(), ['message', 'data', 'datagram'])
        self.assertEqual((log[0][1].data, log[0][1].sender), (b'x', self.name()))
        self.assertEqual(log[1:], [('data', b'x'), ('datagram', b'x', self.name())])

    def test_iterate(self):
        receiver = self.dgram(self.path)
        sender = self.dgram(self.name())
        expected = [struct.pack('I', i) for i in range(300)] + [b'']
        for data in expected:
            sender.send_to(data, self.path)

        async def main():
            got = []
            async for message in receiver:
                self.assertEqual(message.sender, self.name())
                got.append(message.data)
                if not message.data:
                    return got

        self.assertEqual(Usock.run(main()), expected)
        for data in expected:
            sender.send_to(data, self.path)
        got = []
        for message in receiver:
            got.append(message.data)
            if not message.data:
                break
        self.assertEqual(got, expected)

    def test_under_asyncio(self):
        async def main():
            async with Usock.Dgram() as receiver, Usock.Dgram() as sender:
                receiver.bind(self.path)
                sender.bind(self.name())
                await asyncio.gather(*(sender.send_to_async(b'%d' % i, self.path)
                                       for i in range(100)), self.answer(receiver, 100))
                return [(await sender.receive()).data for _ in range(100)]

        self.assertEqual(asyncio.run(main()), [b'%d' % i for i in range(100)])

    async def answer(self, receiver, n):
        async for message in receiver:
            receiver.send_to(message, message.sender)
            n -= 1
            if n == 0:
                return

    def test_an_own_close_is_raised(self):
        receiver = self.dgram(self.path)

        async def main():
            receiver.close()
            with self.raises(Code.CLOSED):
                await receiver.receive()

        Usock.run(main())

    def test_credentials(self):
        receiver = self.dgram(self.path, pass_credentials=True)
        self.dgram().send_to(b'who', self.path)
        message = Usock.run(receiver.receive())
        self.assertEqual(message.get_credentials().get_unix_pid(), os.getpid())

    def test_pair(self):
        first, second = self.pair()
        first.send(b'one')
        first.send('zwei')
        second.send(b'')
        self.assertEqual([Usock.run(second.receive()).data for _ in range(2)], [b'one', b'zwei'])
        message = Usock.run(first.receive())
        self.assertEqual((message.data, message.sender), (b'', None))

    def test_a_stranger_cannot_close_the_receiver(self):
        """By what those who get only bytes can not be given."""
        receivers = [self.dgram(self.name(i), max_fds=1, read_buffer_size=100) for i in range(2)]
        log = Log(receivers[0], 'datagram', 'data', 'error', 'close')
        foreign = self.foreign()
        two = struct.pack('2i', 0, 0)
        for i in range(2):
            name = self.name(i).replace('@', '\0')
            foreign.sendmsg([b'fds'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, two)], 0, name)
            foreign.sendto(bytes(200), name)
            foreign.sendto(b'whole', name)
        log.wait('datagram')
        self.assertEqual(log, [('data', b'whole'), ('datagram', b'whole', None)])
        messages = [Usock.run(receivers[1].receive()) for _ in range(2)]
        self.assertEqual([(len(message), message.get_flags()) for message in messages],
                         [(3, Usock.MessageFlags.FDS_LOST), (100, Usock.MessageFlags.TRUNCATED)])
        self.assertEqual(messages[1].get_full_length(), 200)


class TestFlow(DgramCase):
    N = 300

    def test_a_slow_receiver_loses_nothing(self):
        foreign = self.foreign()
        foreign.bind(self.path)
        sender = self.dgram()
        log = Log(sender, 'congestion', 'writable', 'send-failed')
        other = self.dgram(self.name())
        for i in range(self.N):
            sender.send_to(b'%d' % i, self.path)
        log.wait('congestion')
        sender.send_to(b'not held up', self.name())
        self.assertEqual(Usock.run(other.receive()).data, b'not held up')
        self.assertGreater(sender.props.queued_bytes, 0)
        foreign.setblocking(False)
        got = []

        def read(*_):
            while True:
                try:
                    got.append(foreign.recv(100))
                except BlockingIOError:
                    return True

        source = GLib.unix_fd_add_full(0, foreign.fileno(), GLib.IOCondition.IN, read)
        log.wait('writable')
        wait_for(lambda: len(got) == self.N)
        GLib.source_remove(source)
        self.assertEqual(got, [b'%d' % i for i in range(self.N)])
        self.assertEqual(log, [('congestion', self.path), ('writable', self.path)])

    def test_awaiting_room(self):
        receiver = self.dgram(self.path)

        async def send():
            sender = self.dgram()
            for i in range(self.N):
                await sender.send_to_async(b'%d' % i, self.path)
                self.assertEqual(sender.props.queued_bytes, 0)

        async def main():
            sending = Usock.spawn(send())
            got = [(await receiver.receive()).data for _ in range(self.N)]
            await sending
            return got

        self.assertEqual(Usock.run(main()), [b'%d' % i for i in range(self.N)])

    def test_without_a_queue(self):
        foreign = self.foreign()
        foreign.bind(self.path)
        sender = self.dgram(queue_limit=0)
        sent = 0
        with self.raises(Code.WOULD_BLOCK, self.path):
            while True:
                sender.send_to(b'%d' % sent, self.path)
                sent += 1
        self.assertEqual(sender.props.queued_bytes, 0)
        log = Log(sender, 'congestion', 'writable')
        self.assertEqual([foreign.recv(100) for _ in range(sent)],
                         [b'%d' % i for i in range(sent)])
        log.wait('writable')
        self.assertTrue(sender.send_to(b'again', self.path))

    def test_a_queued_message_that_fails(self):
        foreign = self.foreign()
        foreign.bind(self.path)
        sender = self.dgram()
        log = Log(sender, 'congestion', 'writable', 'send-failed', 'error', 'close')
        for i in range(self.N):
            sender.send_to(b'x', self.path)
        log.wait('congestion')
        failed = self.N - sender.get_messages_written()
        foreign.close()
        log.wait('writable')
        failures = [entry for entry in log if entry[0] == 'send-failed']
        self.assertEqual(len(failures), failed)
        self.assertEqual(failures[0][1], self.path)
        self.is_error(failures[0][2], Code.CONNECTION_REFUSED)
        self.assertEqual(set(log.names()), {'congestion', 'send-failed', 'writable'})
        self.assertEqual(sender.props.state, Usock.State.OPEN)


class InetCase(DgramCase):
    def address(self, host, port=0):
        return Gio.InetSocketAddress.new_from_string(host, port)


class TestHosts(InetCase):
    def setUp(self):
        # The resolver keeps a thread, and a descriptor for it.
        with contextlib.suppress(GLib.Error):
            Usock.run(Usock.Stream().open('localhost:1'))
        super().setUp()

    def test_the_name_of_a_host(self):
        receiver = self.dgram(self.address('127.0.0.1'))
        place = f'localhost:{receiver.get_local_address().get_port()}'
        sender = self.dgram(self.address('127.0.0.1'))
        sender.send_to('waits', place)
        for wait in (Usock.run, asyncio.run):
            async def send():
                return await sender.send_to_async('asks', place, timeout=10_000)
            self.assertTrue(wait(send()))
        self.assertEqual([Usock.run(receiver.receive()).text for _ in range(3)],
                         ['waits', 'asks', 'asks'])


class TestFamilies(InetCase):
    def test_an_address_that_has_no_text(self):
        netlink = Usock.Handle(Usock.Family.NETLINK, Usock.SockType.DGRAM)
        address = netlink.get_local_address()
        netlink.close()
        dgram = self.dgram()
        for call in (dgram.connect_to_address, dgram.bind):
            with self.raises(Code.NOT_SUPPORTED):
                call(address)

    def test_both_families_of_the_internet(self):
        server = self.dgram(self.address('::'))
        port = server.get_local_address().get_port()
        server.connect('datagram', lambda server, data, sender: server.send_to(data, sender))
        client = self.dgram(self.address('127.0.0.1'))
        client.send_to('hello', f'127.0.0.1:{port}')
        self.assertEqual(Usock.run(client.receive()).text, 'hello')

    def test_a_refusal_of_the_network(self):
        nobody = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        nobody.bind(('127.0.0.1', 0))
        port = nobody.getsockname()[1]
        nobody.close()
        dgram = self.dgram()
        log = Log(dgram, 'send-failed', 'error', 'close')
        dgram.connect_to_address(Gio.InetSocketAddress.new_from_string('127.0.0.1', port))
        dgram.send('x')
        log.wait('send-failed')
        self.assertEqual(log[0][1], f'127.0.0.1:{port}')
        self.is_error(log[0][2], Code.CONNECTION_REFUSED)
        self.assertEqual(dgram.props.state, Usock.State.OPEN)

    def test_a_group_that_is_joined_before(self):
        level, name = Usock.Level.IP, Usock.IpOption
        first = self.dgram()
        second = self.dgram()
        port = 0
        for receiver in (first, second):
            receiver.set_option(Usock.Level.SOCKET, Usock.SocketOption.REUSEADDR, True)
            receiver.set_option(level, name.ADD_MEMBERSHIP, ('239.7.7.7', '', 'lo'))
            receiver.bind(self.address('0.0.0.0', port))
            port = receiver.get_local_address().get_port()
        sender = self.dgram()
        sender.set_option(level, name.MULTICAST_IF, '127.0.0.1')
        sender.send_to('all', f'239.7.7.7:{port}')
        for receiver in (first, second):
            self.assertEqual(Usock.run(receiver.receive()).text, 'all')

        wrong = self.dgram()
        wrong.set_option(level, name.ADD_MEMBERSHIP, ('127.0.0.1', '', 'lo'))
        with self.raises(Code.INVALID_ARGUMENT, 'IP_ADD_MEMBERSHIP'):
            wrong.bind(self.address('0.0.0.0'))

    def test_parting_from_a_peer(self):
        peer = self.dgram(self.name())
        stranger = self.foreign()
        receiver = self.dgram(self.path)
        receiver.connect_to_path(self.name())
        peer.send_to('first', self.path)
        receiver.forget_peer()
        with self.raises(Code.NOT_CONNECTED):
            receiver.send('x')
        stranger.sendto(b'second', self.path)
        self.assertEqual([Usock.run(receiver.receive()).text for _ in range(2)],
                         ['first', 'second'])


class TestNotify(DgramCase):
    def setUp(self):
        super().setUp()
        os.environ['NOTIFY_SOCKET'] = self.path
        self.addCleanup(os.environ.pop, 'NOTIFY_SOCKET')

    def test_state_and_descriptors(self):
        manager = self.dgram(self.path, max_fds=2)
        self.assertTrue(Usock.notify('READY=1\nSTATUS=zwölf'))
        with tempfile.TemporaryFile() as file:
            Usock.notify('FDSTORE=1', [file, file.fileno()])
        messages = [Usock.run(manager.receive()) for _ in range(2)]
        self.assertEqual([(message.text, message.get_n_fds()) for message in messages],
                         [('READY=1\nSTATUS=zwölf', 0), ('FDSTORE=1', 2)])

    def test_what_fails(self):
        with self.raises(Code.NOT_FOUND, self.path):
            Usock.notify('READY=1')
        with self.raises(Code.INVALID_FILENAME, 'NUL'):
            Usock.notify('READY=1\0')
        os.environ['NOTIFY_SOCKET'] = ''
        self.assertTrue(Usock.notify('READY=1'))


tap.main()
