# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Immediate calls as Python's own: bytes in and out, timeouts, control records, poll."""

import array
import gc
import os
import signal
import socket
import struct
import threading
import time

import fixture
import tap
from fixture import Gio, GLib, Usock

Code = Gio.IOErrorEnum
Family, Type, Flags = Usock.Family, Usock.SockType, Usock.MsgFlags

SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, SOL_PACKET = 1, 0, 41, 263
TIME = struct.pack('=qq', 1, 2)

# What the bytes of a record are in Python, and whether it can be made of that.
RECORDS = [
    (SOL_SOCKET, 29, TIME, (1, 2), False),
    (SOL_SOCKET, 63, TIME, (1, 2), False),
    (SOL_SOCKET, 35, TIME, (1, 2), False),
    (SOL_SOCKET, 64, TIME, (1, 2), False),
    (SOL_SOCKET, 37, TIME * 3, [(1, 2)] * 3, False),
    (SOL_SOCKET, 65, TIME * 3, [(1, 2)] * 3, False),
    (SOL_SOCKET, 2, struct.pack('=iII', 1, 2, 3), (1, 2, 3), False),
    (SOL_SOCKET, 3, b'label\0', 'label', False),
    (SOL_SOCKET, 40, b'\xff\xff\xff\xff', 0xffffffff, True),
    (SOL_SOCKET, 36, b'\1\0\0\0', 1, True),
    (SOL_SOCKET, 61, b'\1\0\0\0\1\0\0\0', 0x100000001, True),
    (IPPROTO_IP, 1, b'\x10', 16, False),
    (IPPROTO_IP, 2, b'\x40\0\0\0', 64, True),
    (IPPROTO_IP, 8, b'\1\0\0\0\x7f\0\0\1\x0a\0\0\2', (1, '127.0.0.1', '10.0.0.2'), False),
    (IPPROTO_IP, 20, b'\2\0\0\x50\x7f\0\0\1' + bytes(8), '127.0.0.1:80', False),
    (IPPROTO_IP, 11, b'\x6f\0\0\0\2\3\4\0\5\0\0\0\6\0\0\0' + b'\2\0\0\0\x7f\0\0\1' + bytes(8),
     (111, 2, 3, 4, 5, 6, '127.0.0.1'), False),
    (IPPROTO_IPV6, 52, b'\1\0\0\0', 1, True),
    (IPPROTO_IPV6, 11, b'\0\1\0\2', 0x10002, True),
    (IPPROTO_IPV6, 50, bytes(15) + b'\1\2\0\0\0', (2, '::1'), False),
    (SOL_PACKET, 8, struct.pack('=IIIHHHH', *range(1, 8)), tuple(range(1, 8)), False),
    (17, 104, b'\1\0\0\0', 1, True),
    (17, 103, b'\1\2', 0x201, True),
    (6, 36, b'\1\0\0\0', 1, True),
    (4711, 1, b'\1\2\0', b'\1\2\0', False),
    (4711, 1, b'', b'', False),
]


class HandleCase(fixture.Case):
    def handle(self, *args):
        return self.keep(Usock.Handle(*args))

    def pair(self, kind=Type.SEQPACKET):
        return [self.keep(end) for end in Usock.Handle.pair(kind)]

    def fails(self, code, call, *args, **kwargs):
        with self.assertRaises(GLib.Error) as caught:
            call(*args, **kwargs)
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), code), caught.exception)


class TestBirths(HandleCase):
    def test_with_block(self):
        with Usock.Handle(Family.UNIX, Type.DGRAM) as handle:
            self.assertEqual(handle.fileno(), handle.props.fd)
            self.assertEqual(os.get_inheritable(handle.fileno()), False)
            self.assertEqual(os.get_blocking(handle.fileno()), False)
        self.assertEqual(handle.fileno(), -1)
        self.fails(Code.CLOSED, handle.receive, timeout=0)
        handle.close()

    def test_collected(self):
        for _ in range(100):
            Usock.Handle(Family.UNIX, Type.STREAM)
            Usock.Handle.pair()
        # The fixture finds what is left.
        gc.collect()

    def test_derived(self):
        class Mine(Usock.Handle):
            pass

        mine = self.keep(Mine(Family.INET, Type.DGRAM))
        self.assertIs(type(mine), Mine)
        self.assertEqual(mine.get_family(), Gio.SocketFamily.IPV4)
        bare = self.handle()
        self.fails(Code.NOT_INITIALIZED, bare.listen)
        bare.create(Family.UNIX, Type.STREAM, 0)
        self.fails(Code.EXISTS, bare.create, Family.UNIX, Type.STREAM, 0)
        self.fails(Code.NOT_SUPPORTED, Usock.Handle, 4711)

    def test_adopted(self):
        ours, theirs = socket.socketpair()
        theirs.settimeout(fixture.DEADLINE)
        with theirs:
            with Usock.Handle.new_from_fd(ours.detach()) as handle:
                self.assertEqual(handle.send(b'hello'), 5)
                self.assertEqual(theirs.recv(100), b'hello')
                theirs.sendall(b'back')
                self.assertEqual(handle.receive(), b'back')
                self.assertTrue(os.get_blocking(handle.fileno()))
        self.fails(Code.INVALID_ARGUMENT, Usock.Handle.new_from_fd, 0x7fffffff)


class TestPeers(HandleCase):
    def test_paths(self):
        listener = self.handle(Family.UNIX, Type.SEQPACKET)
        client = self.handle(Family.UNIX, Type.SEQPACKET)
        self.fails(Code.NOT_FOUND, client.open, self.path)
        listener.bind(self.path)
        self.fails(Code.CONNECTION_REFUSED, client.open, self.path)
        listener.listen()
        self.fails(Code.WOULD_BLOCK, listener.accept, 0)
        self.fails(Code.TIMED_OUT, listener.accept, 20)
        client.open(os.fsencode(self.path))
        accepted, address = listener.accept()
        with accepted:
            self.assertEqual(address.get_address_type(), Gio.UnixSocketAddressType.ANONYMOUS)
            self.assertEqual(accepted.get_peer_credentials().get_unix_pid(), os.getpid())
            client.send('zwölf')
            self.assertEqual(accepted.receive().decode(), 'zwölf')
        self.fails(Code.INVALID_FILENAME, client.bind, 'a\0b')

    def test_internet(self):
        listener = self.handle(Family.INET, Type.STREAM)
        listener.bind()
        listener.listen(1)
        port = listener.props.local_address.get_port()
        client = self.handle(Family.INET)
        client.open(Usock.address_parse(f'127.0.0.1:{port}'))
        accepted, address = listener.accept()
        with accepted:
            self.assertEqual(address.get_port(), client.props.local_address.get_port())
            client.shutdown(Usock.Shut.WR)
            self.assertIsNone(accepted.receive())

    def test_in_one_call(self):
        with Usock.Handle.listening(self.path, Type.SEQPACKET) as listener, \
                Usock.Handle.connected(self.path, Type.SEQPACKET) as client:
            with listener.accept()[0] as accepted:
                client.send(b'local')
                self.assertEqual(accepted.receive(), b'local')
        with Usock.Handle.listening(Usock.address_parse('127.0.0.1:0')) as listener:
            port = listener.props.local_address.get_port()
            with Usock.Handle.connected(('localhost', port), timeout=5000) as client:
                with listener.accept()[0] as accepted:
                    accepted.send(b'looked up')
                    self.assertEqual(client.receive(), b'looked up')
        os.unlink(self.path)
        self.fails(Code.NOT_FOUND, Usock.Handle.connected, self.path)

    def test_datagrams(self):
        receiver = self.handle(Family.INET, Type.DGRAM)
        receiver.bind(Usock.address_parse('127.0.0.1:0'))
        sender = self.handle(Family.INET, Type.DGRAM)
        self.assertEqual(sender.send(b'one', receiver.props.local_address), 3)
        message = receiver.recvmsg()
        self.assertEqual(message.data, b'one')
        sender.open(receiver.props.local_address)
        self.assertEqual(message.sender, Usock.address_to_string(
            Usock.address_parse(f'127.0.0.1:{sender.props.local_address.get_port()}')))
        sender.open(None)
        self.fails(Code.NOT_CONNECTED, sender.send, b'x')
        self.assertIn('Destination address required', sender.dup_error_text())


class TestMessages(HandleCase):
    def test_every_kind_of_bytes(self):
        first, second = self.pair()
        for data in (b'bytes\0', bytearray(b'array'), memoryview(b'a-b-c')[::2], 'zwölf\0', b'',
                     GLib.Bytes.new(b'GBytes'), array.array('B', [1, 2])):
            with self.subTest(data=data):
                expected = data.encode() if isinstance(data, str) else bytes(
                    data.get_data() if isinstance(data, GLib.Bytes) else data)
                self.assertEqual(first.send(data), len(expected))
                self.assertEqual(second.receive(), expected)
        self.assertEqual(first.send(b'0123456789', offset=2, length=3), 3)
        self.assertEqual(second.receive(), b'234')
        self.assertRaises(TypeError, first.send, 42)

    def test_the_end_is_none(self):
        for kind in (Type.SEQPACKET, Type.STREAM):
            first, second = self.pair(kind)
            first.close()
            self.assertIsNone(second.receive())
            self.assertIsNone(second.recvmsg())
            self.assertEqual(second.recvmsg_into(bytearray(3)), (None, 0))

    def test_segments(self):
        first, second = self.pair()
        self.assertEqual(first.sendmsg([b'he', 'll', bytearray(b'o')]), 5)
        message = second.recvmsg([1, 2, 10])
        self.assertEqual(message.segments, [b'h', b'el', b'lo'])
        self.assertEqual(message.data, b'hello')
        self.assertEqual(first.sendmsg([]), 0)
        self.assertEqual(second.receive(), b'')

    def test_into(self):
        first, second = self.pair()
        buffer = bytearray(b'..........')
        first.send(b'hello')
        message, n = second.recvmsg_into(memoryview(buffer)[2:])
        self.assertEqual((bytes(buffer), n), (b'..hello...', 5))
        self.assertEqual(message.get_full_length(), 5)

    def test_truncated(self):
        first, second = self.pair()
        for _ in range(2):
            first.send(b'0123456789')
        self.assertEqual(second.recvmsg(0, Flags.PEEK).get_full_length(), 10)
        message = second.recvmsg(4)
        self.assertEqual((message.data, message.get_full_length()), (b'0123', 10))
        self.assertTrue(message.get_flags() & Usock.MessageFlags.TRUNCATED)
        self.assertTrue(message.get_received_flags() & Flags.TRUNC)
        self.fails(Code.MESSAGE_TOO_LARGE, second.receive, 4)

    def test_timeouts(self):
        first, second = self.pair(Type.STREAM)
        self.fails(Code.WOULD_BLOCK, second.receive, timeout=0)
        self.fails(Code.WOULD_BLOCK, second.receive, flags=Flags.DONTWAIT)
        before = time.monotonic()
        self.fails(Code.TIMED_OUT, second.receive, timeout=50)
        self.assertGreaterEqual(time.monotonic() - before, 0.05)
        self.assertLess(first.send(bytes(1 << 22), timeout=20), 1 << 22)
        self.fails(Code.WOULD_BLOCK, first.send, b'x', timeout=0)

    def test_descriptors(self):
        first, second = self.pair()
        root = os.open('/', os.O_RDONLY)
        with open('/dev/null', encoding='utf-8') as null, socket.socket() as inet:
            first.sendmsg(b'x', fds=[null, inet, root])
        message = second.recvmsg()
        self.assertEqual(message.lookup_control(SOL_SOCKET, 1), ['device', 'socket', 'directory'])
        for fd in message.take_fds():
            os.close(fd)
        os.close(root)

    def test_ctrl_c(self):
        _, second = self.pair()
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        self.assertRaises(KeyboardInterrupt, second.receive)
        timer.join()


class TestControls(HandleCase):
    def test_table(self):
        for level, kind, raw, value, back in RECORDS:
            with self.subTest(level=level, kind=kind):
                message = Usock.Message(b'x')
                message.append_control(level, kind, raw)
                self.assertEqual(message.controls, [(level, kind, value)])
                self.assertEqual(message.lookup_control(level, kind), value)
                self.assertIsNone(message.lookup_control(level, kind + 1000))
                if back:
                    message.append_control(level, kind, value)
                    self.assertEqual(message.controls[1], (level, kind, value))

    def test_refused(self):
        message = Usock.Message(b'x')
        self.fails(Code.INVALID_ARGUMENT, message.append_control, SOL_SOCKET, 1, b'\0\0\0\0')
        self.fails(Code.INVALID_ARGUMENT, message.append_control, IPPROTO_IP, 2, 1 << 40)
        self.fails(Code.INVALID_ARGUMENT, message.append_control, IPPROTO_IP, 2,
                   GLib.Variant('s', '64'))
        self.fails(Code.INVALID_ARGUMENT, message.append_control, 4711, 2, bytes(20000))
        self.assertRaises(TypeError, message.append_control, 4711, 2, None)

    def test_received(self):
        first, second = self.handle(Family.INET, Type.DGRAM), self.handle(Family.INET, Type.DGRAM)
        second.bind(Usock.address_parse('127.0.0.1:0'))
        second.set_option(Usock.Level.IP, Usock.IpOption.RECVTTL, GLib.Variant('b', True))
        message = Usock.Message(b'x')
        message.append_control(IPPROTO_IP, 2, 33)
        first.sendmsg(message, second.props.local_address)
        self.assertEqual(second.recvmsg().controls, [(IPPROTO_IP, 2, 33)])

    def test_process(self):
        first, second = [self.keep(end) for end in Usock.Seqpacket.pair()]
        second.props.pass_pidfd = second.props.pass_credentials = True
        first.send(b'x')
        message = next(second)
        if message.lookup_control(SOL_SOCKET, 4) is None:
            self.skipTest('this kernel has no SO_PASSPIDFD')
        fd = message.dup_pidfd()
        with open(f'/proc/self/fdinfo/{fd}', encoding='ascii') as info:
            self.assertIn(f'\nPid:\t{os.getpid()}\n', info.read())
        os.close(fd)
        self.assertEqual(message.lookup_control(SOL_SOCKET, 2),
                         (os.getpid(), os.getuid(), os.getgid()))


class TestPoll(HandleCase):
    def test_items(self):
        first, second = self.pair()
        self.assertEqual(Usock.poll([first, second], 0), [])
        self.assertEqual(Usock.poll([first, second], 20), [])
        first.send(b'x')
        self.assertEqual(Usock.poll([first, second]), [(second, Usock.PollFlags.IN)])
        mine = (first, Usock.PollFlags.OUT, 'my', 'data')
        (item, bits), = Usock.poll([mine])
        self.assertIs(item, mine)
        self.assertEqual(bits, Usock.PollFlags.OUT)
        first.close()
        self.assertEqual(dict(Usock.poll([first, (second, Usock.PollFlags.RDHUP)]))[first],
                         Usock.PollFlags.NVAL)
        self.assertEqual(Usock.poll([], 0), [])
        for nonsense in (None, (None, 1), 'x', 5):
            self.assertRaises(TypeError, Usock.poll, [nonsense], 0)

    def test_channels(self):
        first, second = [self.keep(end) for end in Usock.Stream.new_pair()[1:]]
        first.send(b'x')
        self.assertEqual(Usock.poll([second]), [(second, Usock.PollFlags.IN)])

    def test_cancelled(self):
        cancellable = Gio.Cancellable()
        timer = threading.Timer(0.1, cancellable.cancel)
        timer.start()
        self.fails(Code.CANCELLED, Usock.poll, self.pair(), cancellable=cancellable)
        timer.join()
        self.fails(Code.CANCELLED, Usock.poll, self.pair(), 1000, cancellable)


tap.main()
