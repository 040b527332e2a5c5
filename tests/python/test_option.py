# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Options from Python: plain values go in and come out, and each wrong call has its own error."""

import os
import socket

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

# What the library may say of an option that this system or socket does not have, or not now.
ABSENT = {Code.NOT_SUPPORTED, Code.INVALID_ARGUMENT, Code.NOT_CONNECTED, Code.BUSY,
          Code.PERMISSION_DENIED, Code.FAILED}


class TestOptions(fixture.Case):
    def test_every_option_is_read_as_its_type(self):
        channel, _peer = self.pair()
        n_read = 0
        for level, names in LEVELS.items():
            for number in names.__enum_values__:
                kind = Usock.Socket.get_option_format(level, number)
                with self.subTest(level=level, option=number):
                    self.assertIsNotNone(kind)
                    try:
                        value = channel.get_option(level, number)
                    except GLib.Error as error:
                        self.assertEqual(error.domain, 'g-io-error-quark')
                        self.assertIn(error.code, ABSENT)
                        continue
                    n_read += 1
                    self.assertIsInstance(value, TYPES.get(kind, tuple))
                    if number == SO.PEERPIDFD and level == Level.SOCKET:
                        os.close(value)
        self.assertGreater(n_read, 35)

    def test_plain_values(self):
        channel, _peer = self.pair()
        for name, value in (
                (SO.KEEPALIVE, True), (SO.KEEPALIVE, False), (SO.RCVLOWAT, 7), (SO.MARK, 0xfffffffe),
                (SO.RCVTIMEO, 2500000), (SO.MAX_PACING_RATE, 1 << 40), (SO.LINGER, (True, 0)),
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
                (Code.INVALID_ARGUMENT, SO.RCVBUF, 1 << 40),
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

    def test_without_a_descriptor(self):
        channel, _peer = self.pair()
        log = Log(channel, 'close')
        channel.close()
        for state, code in ((channel, Code.CLOSED), (Usock.Seqpacket(), Code.NOT_INITIALIZED)):
            with self.raises(code):
                state.get_option(Level.SOCKET, SO.TYPE)
            with self.raises(code):
                state.set_option(Level.SOCKET, SO.RCVBUF, 4096)
        log.wait('close')

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
