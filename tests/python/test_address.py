# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Addresses from Python: every sort as text and back, and what each tells."""

import fixture
import tap
from fixture import Gio, Usock

Code = Gio.IOErrorEnum


class TestAddresses(fixture.Case):
    def test_every_sort(self):
        for text, kind in (
                ('/run/example', Gio.UnixSocketAddress), ('@example\\x00\\xff', Gio.UnixSocketAddress),
                ('127.0.0.1:80', Gio.InetSocketAddress), ('[::1]:80', Gio.InetSocketAddress),
                ('[fe80::1%1]:80', Gio.InetSocketAddress), ('[%lo]:0x0003', Usock.PacketAddress),
                ('[02:00:00:00:00:01%lo]:0x0800', Usock.PacketAddress)):
            with self.subTest(text=text):
                address = Usock.address_parse(text)
                self.assertIsInstance(address, kind)
                self.assertEqual(Usock.address_to_string(address), text)

    def test_packet(self):
        address = Usock.PacketAddress.new(1, Usock.EtherType.ARP, b'\2\0\0\0\0\1')
        self.assertEqual(address.get_hardware_address().get_data(), b'\2\0\0\0\0\1')
        self.assertEqual(address.props.protocol, Usock.EtherType.ARP)
        self.assertEqual(address.props.interface_index, 1)
        self.assertEqual(address.props.packet_type, Usock.PacketType.HOST)
        self.assertEqual(address.get_family(), Usock.Family.PACKET)
        self.assertEqual(address.to_string(), '[02:00:00:00:00:01%lo]:0x0806')
        self.assertEqual(address.dup_interface_name(), 'lo')
        self.assertEqual(Usock.address_to_string(Usock.PacketAddress.new(0, 3, b'')), '[%0]:0x0003')

    def test_missing_interface(self):
        with self.raises(Code.NOT_FOUND, 'nowhere'):
            Usock.PacketAddress.new_for_interface('nowhere', Usock.EtherType.ALL)
        with self.raises(Code.NOT_FOUND, 'nowhere'):
            Usock.address_parse('[%nowhere]:0x0003')

    def test_misuse(self):
        with tap.expect_critical('*length <= HARDWARE_MAX*'), self.assertRaises(TypeError):
            Usock.PacketAddress.new(1, 3, bytes(33))


if __name__ == '__main__':
    tap.main()
