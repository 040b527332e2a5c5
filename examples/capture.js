#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Prints the UDP packets that the loopback interface carries: capture.js COUNT
//
// Takes the capability CAP_NET_RAW: unshare -rn bash -c 'ip link set lo up; capture.js 10'

import System from 'system';
import Usock from 'gi://Usock?version=1';

const {EtherType, Family, Protocol, SockType} = Usock;

function describe(packet) {
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    const start = (packet[0] & 15) * 4;
    if (packet[9] !== Protocol.UDP || packet.length < start + 8)
        return null;
    const host = at => packet.subarray(at, at + 4).join('.');
    return `${host(12)}:${view.getUint16(start)} > ${host(16)}:${view.getUint16(start + 2)}, ` +
        `${view.getUint16(start + 4) - 8} bytes`;
}

// Both bytes of the protocol in the order of the network, as packet(7) wants it.
const protocol = new DataView(Uint16Array.of(EtherType.IP).buffer).getUint16();
try {
    const handle = Usock.Handle.new_socket(Family.PACKET, SockType.DGRAM, protocol);
    handle.bind(Usock.PacketAddress.new_for_interface('lo', EtherType.IP));
    print('capturing');
    for (let count = Number(System.programArgs[0]); count > 0;) {
        const text = describe(handle.recvmsg().data);
        if (text !== null) {
            print(text);
            count--;
        }
    }
} catch (error) {
    printerr(error.message);
    System.exit(1);
}
