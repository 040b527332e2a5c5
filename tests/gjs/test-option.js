// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Options from JavaScript: plain values go in and come out, each wrong call has its own error.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run, throws} from './tap.js';
import {Log, testSocket} from './fixture.js';

const {IOErrorEnum: Code} = Gio;
const {Level, SocketOption: SO} = Usock;
const {SOCKET} = Level;

const LEVELS = [
    [SOCKET, SO], [Level.IP, Usock.IpOption], [Level.IPV6, Usock.Ipv6Option],
    [Level.TCP, Usock.TcpOption], [Level.UDP, Usock.UdpOption], [Level.PACKET, Usock.PacketOption],
];

// What a value of each type unpacks to.
const isNumber = value => ['number', 'bigint'].includes(typeof value);
const TYPES = {
    'b': value => typeof value === 'boolean', 'i': isNumber, 'u': isNumber, 't': isNumber,
    'x': isNumber, 'h': isNumber, 's': value => typeof value === 'string',
    'ay': value => value instanceof Uint8Array, 'a{sv}': value => typeof value === 'object',
};

function reads(socket, level, name, number) {
    const format = Usock.Socket.get_option_format(level, number);
    ok(format !== null, `the format of ${name}`);
    let value;
    try {
        value = socket.get_option(level, number);
    } catch (error) {
        // Whatever this system or socket says, the library knows the option.
        ok(error instanceof Code && !error.message.includes('of level'), `${name}: ${error.message}`);
        return false;
    }
    ok((TYPES[format] ?? Array.isArray)(value), `whether ${name} is of the type ${format}`);
    if (level === SOCKET && number === SO.PEERPIDFD)
        GLib.close(value);
    return true;
}

testSocket('every option is read as its type', async fixture => {
    const {Family, SockType} = Usock;
    const seen = new Set();
    const sockets = [fixture.pair()[0], ...[
        [Family.INET, SockType.STREAM], [Family.INET6, SockType.STREAM],
        [Family.INET, SockType.DGRAM], [Family.INET6, SockType.DGRAM],
    ].map(([family, type]) => fixture.keep(Usock.Handle.new_socket(family, type, 0)))];
    try {
        sockets.push(fixture.keep(Usock.Handle.new_socket(Family.PACKET, SockType.RAW, 0)));
    } catch (error) {
        ok(error.matches(Code, Code.PERMISSION_DENIED), error.message);
    }
    for (const socket of sockets) {
        for (const [level, names] of LEVELS) {
            for (const [name, number] of Object.entries(names)) {
                if (isNumber(number) && reads(socket, level, name, number))
                    seen.add(`${level} ${name}`);
            }
        }
    }
    ok(seen.size > 130, `${seen.size} options read`);
});

testSocket('plain values', async fixture => {
    const [channel] = fixture.pair();
    for (const [name, value] of [
        [SO.KEEPALIVE, true], [SO.KEEPALIVE, false], [SO.RCVLOWAT, 7], [SO.MARK, 0xfffffffe],
        [SO.RCVTIMEO, 2500000], [SO.MAX_PACING_RATE, 2 ** 31], [SO.LINGER, [true, 0]],
        [SO.ATTACH_FILTER, [[6, 0, 0, 0xffffffff]]], [SO.BINDTOIFINDEX, 'lo'],
        [SO.BINDTODEVICE, 'lo'], [SO.TXTIME, [1, 2]],
    ]) {
        channel.set_option(SOCKET, name, value);
        equal(channel.get_option(SOCKET, name), value, `option ${name}`);
    }
    // It is as long as a pointer, and told as long as one of the kernel.
    const unlimited = GLib.SIZEOF_VOID_P === 8 ? 0xffffffffffffffffn : 0xffffffffn;
    channel.set_option(SOCKET, SO.MAX_PACING_RATE, unlimited);
    const rate = String(channel.get_option(SOCKET, SO.MAX_PACING_RATE));
    ok([String(unlimited), '18446744073709551615'].includes(rate), rate);
    channel.set_option(SOCKET, SO.BINDTOIFINDEX, 1);
    equal(channel.get_option(SOCKET, SO.BINDTOIFINDEX), 'lo');
    channel.set_option(SOCKET, SO.DETACH_FILTER);
    equal(channel.get_option(SOCKET, SO.ATTACH_FILTER), []);
    channel.set_option(SOCKET, SO.KEEPALIVE, GLib.Variant.new_boolean(true));
    equal(channel.get_option(SOCKET, SO.PEERCRED)[0], new Gio.Credentials().get_unix_pid());
});

testSocket('wrong calls', async fixture => {
    const [channel] = fixture.pair();
    for (const [code, name, value] of [
        [Code.NOT_FOUND, 999, 1],
        [Code.READ_ONLY, SO.TYPE, 1],
        [Code.INVALID_DATA, SO.RCVBUF, GLib.Variant.new_string('large')],
        [Code.INVALID_DATA, SO.RCVBUF, null],
        [Code.INVALID_DATA, SO.DETACH_FILTER, GLib.Variant.new_boolean(true)],
        [Code.INVALID_ARGUMENT, SO.RCVBUF, -1],
        [Code.INVALID_ARGUMENT, SO.RCVBUF, 2 ** 31],
        [Code.INVALID_ARGUMENT, SO.RCVBUF, 2n ** 63n],
        [Code.INVALID_ARGUMENT, SO.BINDTODEVICE, 'x'.repeat(16)],
        [Code.INVALID_ARGUMENT, SO.BINDTOIFINDEX, 'no such interface'],
        [Code.INVALID_ARGUMENT, SO.ATTACH_FILTER, []],
        [Code.BUSY, SO.TIMESTAMPNS, false],
        [Code.BUSY, SO.PASSCRED, true],
    ])
        throws(() => channel.set_option(SOCKET, name, value), Code, code);
    throws(() => channel.get_option(SOCKET, SO.DETACH_FILTER), Code, Code.NOT_SUPPORTED);
    throws(() => channel.get_option(99, 1), Code, Code.NOT_FOUND);
    for (const [name, value] of [
        [SO.KEEPALIVE, 'yes'], [SO.RCVBUF, 2.5], [SO.RCVBUF, NaN], [SO.DETACH_FILTER, 1],
    ])
        throws(() => channel.set_option(SOCKET, name, value), TypeError);
});

testSocket('whatever comes', async fixture => {
    const [channel] = fixture.pair();
    const things = [
        null, undefined, true, -1, 2 ** 31, 1e300, NaN, 1.5, 2n ** 70n, -5n, '', 'lo', 'é\0x',
        new Uint8Array(0), new Uint8Array(5000), [], [[]], [[1, 2, 3]], [[1 << 20, 0, 0, 0]], [true],
        [true, 'x'], ['', '', 7], {}, Symbol.iterator, channel, () => {},
        GLib.Variant.new_variant(GLib.Variant.new_string('x')), new GLib.Variant('as', []),
    ];
    let refused = 0, taken = 0;
    for (const [level, names] of LEVELS) {
        for (const number of [...Object.values(names).filter(isNumber), 1000, -1]) {
            for (const thing of things) {
                try {
                    channel.set_option(level, number, thing);
                    taken++;
                } catch (error) {
                    refused++;
                }
            }
        }
    }
    ok(refused > 4000, `${refused} refused`);
    ok(taken > 30, `${taken} taken`);
});

testSocket('without a descriptor', async fixture => {
    const [channel] = fixture.pair();
    const log = new Log(channel, 'close');
    channel.close();
    throws(() => channel.get_option(SOCKET, SO.TYPE), Code, Code.CLOSED);
    throws(() => channel.set_option(SOCKET, SO.RCVBUF, 4096), Code, Code.CLOSED);
    await log.wait('close');

    const fresh = new Usock.Dgram();
    throws(() => fresh.get_option(SOCKET, SO.TYPE), Code, Code.NOT_INITIALIZED);
    throws(() => fresh.set_option(SOCKET, SO.TYPE, 1), Code, Code.READ_ONLY);
    fresh.set_option(SOCKET, SO.BROADCAST, true);
    fresh.bind_to_address(Gio.InetSocketAddress.new_from_string('127.0.0.1', 0));
    equal(fresh.get_option(SOCKET, SO.BROADCAST), true);
    fresh.close();
});

testSocket('constants', async () => {
    equal([SO.RCVBUF, SO.PASSRIGHTS, Usock.Family.PACKET, Usock.SockType.SEQPACKET], [8, 83, 17, 5]);
    equal([Usock.MsgFlags.PEEK | Usock.MsgFlags.ERRQUEUE, Usock.PollFlags.RDHUP], [0x2002, 0x2000]);
    equal([Usock.ControlType.PIDFD, Usock.EtherType.ALL, Usock.Shut.RDWR], [4, 3, 2]);
});

run();
