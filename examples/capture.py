#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Prints the UDP packets that the loopback interface carries: capture.py COUNT

Takes the capability CAP_NET_RAW: unshare -rn bash -c 'ip link set lo up; capture.py 10'
"""

import socket
import struct
import sys
import gi
gi.require_version('Usock', '1')
from gi.repository import GLib, Usock

IP_HEADER, UDP_HEADER = struct.Struct('!BBHHHBBH4s4s'), struct.Struct('!HHHH')


def describe(packet: bytes) -> str | None:
    *_, protocol, _, source, target = IP_HEADER.unpack_from(packet)
    start = (packet[0] & 15) * 4
    if protocol != Usock.Protocol.UDP or len(packet) < start + UDP_HEADER.size:
        return None
    from_port, to_port, length, _ = UDP_HEADER.unpack_from(packet, start)
    return (f'{socket.inet_ntoa(source)}:{from_port} > {socket.inet_ntoa(target)}:{to_port}, '
            f'{length - UDP_HEADER.size} bytes')


def main(count: int) -> None:
    # Both bytes of the protocol in the order of the network, as packet(7) wants it.
    protocol = socket.htons(Usock.EtherType.IP)
    with Usock.Handle(Usock.Family.PACKET, Usock.SockType.DGRAM, protocol) as handle:
        handle.bind(Usock.PacketAddress.new_for_interface('lo', Usock.EtherType.IP))
        print('capturing', flush=True)
        while count:
            message = handle.recvmsg()
            text = message and describe(message.data)
            if text:
                print(text, flush=True)
                count -= 1


try:
    main(int(sys.argv[1]))
except GLib.Error as error:
    sys.exit(error.message)
