# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Options from Python: plain values go in and come out, and each wrong call has its own error."""

import ctypes
import fcntl
import os
import socket
import struct
import unittest

import fixture
import tap
from fixture import Gio, GLib, Log, Usock

Code = Gio.IOErrorEnum
Level = Usock.Level
SO = Usock.SocketOption

LEVELS = {
    Level.SOCKET: SO, Level.IP: Usock.IpOption, Level.IPV6: Usock.Ipv6Option,
    Level.TCP: Usock.TcpOption, Level.UDP: Usock.UdpOption, Level.PACKET: Usock.PacketOption,
}

# What a value of each type unpacks to.
TYPES = {'b': bool, 'i': int, 'u': int, 't': int, 'x': int, 'h': int, 's': str, 'ay': bytes,
         'au': list, 'a(qyyu)': list, 'a{sv}': dict}


def enter_namespace():
    """The options are tried in a network namespace of their own, where they can do no harm."""
    if ctypes.CDLL(None).unshare(0x40000000) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        # SIOCSIFFLAGS: up, loopback, running.
        fcntl.ioctl(control, 0x8914, struct.pack('16sH14x', b'lo', 1 | 8 | 64))
    return True


in_namespace = unittest.skipUnless(enter_namespace(), 'no network namespace can be made here')


class TestOptions(fixture.Case):
    def handles(self):
        yield self.pair()[0]
        for family, type_, protocol in (
                ('INET', 'STREAM', 0), ('INET6', 'STREAM', 0), ('INET', 'DGRAM', 0),
                ('INET6', 'DGRAM', 0), ('INET', 'RAW', Usock.Protocol.ICMP),
                ('PACKET', 'RAW', 0)):
            yield self.keep(Usock.Handle.new_socket(
                getattr(Usock.Family, family), getattr(Usock.SockType, type_), protocol))

    @in_namespace
    def test_every_option_is_read_as_its_type(self):
        seen = set()
        for handle in self.handles():
            for level, names in LEVELS.items():
                for number in names.__enum_values__:
                    with self.subTest(handle=handle, level=level, option=number):
                        if self.read(handle, level, number):
                            seen.add((level, number))
        self.assertGreater(len(seen), 130)

    def refused(self, error):
        """Whatever this system or socket says, the library knows the option."""
        self.assertEqual(error.domain, 'g-io-error-quark')
        self.assertNotIn('of level', error.message)

    def read(self, handle, level, number):
        kind = Usock.Socket.get_option_format(level, number)
        self.assertIsNotNone(kind)
        try:
            value = handle.get_option(level, number)
        except GLib.Error as error:
            self.refused(error)
            return False
        self.assertIsInstance(value, TYPES.get(kind, tuple))
        if number == SO.PEERPIDFD and level == Level.SOCKET:
            os.close(value)
        # What was read goes in again, wherever it may be set and is not a state of its own.
        elif kind in 'bi' and not isinstance(handle, Usock.Channel):
            try:
                handle.set_option(level, number, value)
            except GLib.Error as error:
                self.refused(error)
        return True

    @in_namespace
    def test_packet_socket(self):
        handle = self.keep(Usock.Handle.new_socket(Usock.Family.PACKET, Usock.SockType.RAW, 0))
        level, names = Level.PACKET, Usock.PacketOption
        handle.set_option(level, names.ADD_MEMBERSHIP, ('lo', Usock.PacketMembership.PROMISC, b''))
        handle.set_option(level, names.AUXDATA, True)
        self.assertIs(handle.get_option(level, names.AUXDATA), True)
        handle.set_option(level, names.VERSION, 2)
        handle.set_option(level, names.RX_RING, (65536, 1, 2048, 32))
        self.assertEqual(handle.get_option(level, names.STATISTICS), (0, 0))
        self.assertGreater(handle.get_option(level, names.HDRLEN), 40)
        with self.raises(Code.INVALID_ARGUMENT, 'at most 8 bytes'):
            handle.set_option(level, names.ADD_MEMBERSHIP, ('lo', 0, bytes(9)))
        with self.raises(Code.INVALID_ARGUMENT, 'nowhere'):
            handle.set_option(level, names.ADD_MEMBERSHIP, ('nowhere', 0, b''))

    @in_namespace
    def test_groups(self):
        handle = self.keep(Usock.Handle.new_socket(Usock.Family.INET, Usock.SockType.DGRAM, 0))
        handle.set_option(Level.IP, Usock.IpOption.ADD_MEMBERSHIP, ('224.0.0.200', '', 'lo'))
        handle.set_option(Level.IP, Usock.IpOption.MULTICAST_IF, '127.0.0.1')
        self.assertEqual(handle.get_option(Level.IP, Usock.IpOption.MULTICAST_IF), '127.0.0.1')
        stream = self.keep(Usock.Handle.new_socket(Usock.Family.INET, Usock.SockType.STREAM, 0))
        self.assertEqual(stream.get_option(Level.TCP, Usock.TcpOption.INFO)['state'], 7)
        stream.set_option(Level.TCP, Usock.TcpOption.CONGESTION, 'reno')
        self.assertEqual(stream.get_option(Level.TCP, Usock.TcpOption.CONGESTION), 'reno')

    def test_plain_values(self):
        channel, _peer = self.pair()
        for name, value in (
                (SO.KEEPALIVE, True), (SO.KEEPALIVE, False), (SO.RCVLOWAT, 7), (SO.MARK, 0xfffffffe),
                (SO.RCVTIMEO, 2500000), (SO.MAX_PACING_RATE, 1 << 31), (SO.LINGER, (True, 0)),
                (SO.ATTACH_FILTER, [(6, 0, 0, 0xffffffff)]), (SO.BINDTOIFINDEX, 'lo'),
                (SO.BINDTODEVICE, 'lo'), (SO.TXTIME, (1, 2))):
            channel.set_option(Level.SOCKET, name, value)
            self.assertEqual(channel.get_option(Level.SOCKET, name), value)
        channel.set_option(Level.SOCKET, SO.BINDTOIFINDEX, socket.if_nametoindex('lo'))
        channel.set_option(Level.SOCKET, SO.DETACH_FILTER)
        self.assertEqual(channel.get_option(Level.SOCKET, SO.ATTACH_FILTER), [])
        channel.set_option(Level.SOCKET, SO.KEEPALIVE, GLib.Variant('b', True))
        channel.set_option(Level.SOCKET, SO.KEEPALIVE, GLib.Variant('v', GLib.Variant('b', True)))
        pid, uid, gid = channel.get_option(Level.SOCKET, SO.PEERCRED)
        self.assertEqual((pid, uid, gid), (os.getpid(), os.getuid(), os.getgid()))

    def test_wrong_calls(self):
        channel, _peer = self.pair()
        for code, name, *value in (
                (Code.NOT_FOUND, 999, 1),
                (Code.READ_ONLY, SO.TYPE, 1),
                (Code.INVALID_DATA, SO.RCVBUF, GLib.Variant('s', 'large')),
                (Code.INVALID_DATA, SO.RCVBUF, None),
                (Code.INVALID_DATA, SO.DETACH_FILTER, GLib.Variant('b', True)),
                (Code.INVALID_ARGUMENT, SO.RCVBUF, -1),
                (Code.INVALID_ARGUMENT, SO.RCVBUF, 1 << 31),
                (Code.INVALID_ARGUMENT, SO.RCVBUF, 1 << 63),
                (Code.INVALID_ARGUMENT, SO.BINDTODEVICE, 'x' * 16),
                (Code.INVALID_ARGUMENT, SO.BINDTOIFINDEX, 'no such interface'),
                (Code.INVALID_ARGUMENT, SO.ATTACH_FILTER, []),
                (Code.BUSY, SO.TIMESTAMPNS, False),
                (Code.BUSY, SO.PASSCRED, True)):
            with self.subTest(name=name, value=value), self.raises(code, 'Could not set'):
                channel.set_option(Level.SOCKET, name, *value)
        with self.raises(Code.NOT_SUPPORTED, 'SO_DETACH_FILTER'):
            channel.get_option(Level.SOCKET, SO.DETACH_FILTER)
        with self.raises(Code.NOT_FOUND):
            channel.get_option(99, 1)
        for value in 'yes', 2.5, []:
            with self.subTest(value=value), self.assertRaises(TypeError):
                channel.set_option(Level.SOCKET, SO.KEEPALIVE, value)
        with self.assertRaises(TypeError):
            channel.set_option(Level.SOCKET, SO.DETACH_FILTER, 1)

    def test_whatever_comes(self):
        channel, _peer = self.pair()
        things = (None, True, -1, 1 << 31, 1 << 70, 1.5, '', 'lo', 'é\0x', b'', b'\0' * 5000, [], [[]],
                  [(1, 2, 3)], [(1 << 20, 0, 0, 0)], (), (True,), (True, 'x'), ('', '', 7), {}, self,
                  GLib.Variant('v', GLib.Variant('s', 'x')), GLib.Variant('as', []))
        refused = taken = 0
        for level, names in LEVELS.items():
            for number in (*names.__enum_values__, 1000, -1):
                for thing in things:
                    try:
                        channel.set_option(level, number, thing)
                        taken += 1
                    except (GLib.Error, TypeError, ValueError, OverflowError):
                        refused += 1
        self.assertGreater(refused, 4000)
        self.assertGreater(taken, 50)

    def test_without_a_descriptor(self):
        channel, _peer = self.pair()
        log = Log(channel, 'close')
        channel.close()
        with self.raises(Code.CLOSED):
            channel.get_option(Level.SOCKET, SO.TYPE)
        with self.raises(Code.CLOSED):
            channel.set_option(Level.SOCKET, SO.RCVBUF, 4096)
        log.wait('close')

        fresh = Usock.Dgram()
        with self.raises(Code.NOT_INITIALIZED):
            fresh.get_option(Level.SOCKET, SO.TYPE)
        with self.raises(Code.READ_ONLY):
            fresh.set_option(Level.SOCKET, SO.TYPE, 1)
        fresh.set_option(Level.SOCKET, SO.BROADCAST, True)
        fresh.bind_to_address(Gio.InetSocketAddress.new_from_string('127.0.0.1', 0))
        self.assertEqual(fresh.get_option(Level.SOCKET, SO.BROADCAST), True)
        fresh.close()

    def test_constants_are_the_systems(self):
        n_same = 0
        for enumeration, prefix in ((SO, 'SO'), (Usock.Family, 'AF'), (Usock.SockType, 'SOCK'),
                                    (Usock.TcpOption, 'TCP'), (Usock.ControlType, 'SCM')):
            for number, value in enumeration.__enum_values__.items():
                name = f'{prefix}_{value.value_nick.upper().replace("-", "_")}'
                if hasattr(socket, name):
                    n_same += 1
                    self.assertEqual(getattr(socket, name), number, name)
        self.assertGreater(n_same, 50)
        self.assertEqual(Usock.MsgFlags.PEEK | Usock.MsgFlags.DONTWAIT,
                         socket.MSG_PEEK | socket.MSG_DONTWAIT)


if __name__ == '__main__':
    tap.main()
