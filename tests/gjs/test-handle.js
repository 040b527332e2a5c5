// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Immediate calls as JavaScript's own: bytes in and out, timeouts, control records, poll.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run, throws} from './tap.js';
import {closeFd, nullFd, testSocket, text} from './fixture.js';

const {IOErrorEnum: Code} = Gio;
const {Family, MsgFlags: Flags, PollFlags, SockType: Type} = Usock;

const [SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, SOL_PACKET] = [1, 0, 41, 263];
const TIME = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
const zeros = n => Array(n).fill(0);

// What the bytes of a record are in JavaScript, and whether it can be made of that.
const RECORDS = [
    [SOL_SOCKET, 29, TIME, [1, 2], false],
    [SOL_SOCKET, 63, TIME, [1, 2], false],
    [SOL_SOCKET, 35, TIME, [1, 2], false],
    [SOL_SOCKET, 64, TIME, [1, 2], false],
    [SOL_SOCKET, 37, [...TIME, ...TIME, ...TIME], [[1, 2], [1, 2], [1, 2]], false],
    [SOL_SOCKET, 65, [...TIME, ...TIME, ...TIME], [[1, 2], [1, 2], [1, 2]], false],
    [SOL_SOCKET, 2, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0], [1, 2, 3], false],
    [SOL_SOCKET, 3, [0x61, 0], 'a', false],
    [SOL_SOCKET, 40, [255, 255, 255, 255], 0xffffffff, true],
    [SOL_SOCKET, 36, [1, 0, 0, 0], 1, true],
    [SOL_SOCKET, 61, [1, 0, 0, 0, 1, 0, 0, 0], 0x100000001, true],
    [IPPROTO_IP, 1, [16], 16, false],
    [IPPROTO_IP, 2, [64, 0, 0, 0], 64, true],
    [IPPROTO_IP, 8, [1, 0, 0, 0, 127, 0, 0, 1, 10, 0, 0, 2], [1, '127.0.0.1', '10.0.0.2'], false],
    [IPPROTO_IP, 20, [2, 0, 0, 80, 127, 0, 0, 1, ...zeros(8)], '127.0.0.1:80', false],
    [IPPROTO_IP, 11, [111, 0, 0, 0, 2, 3, 4, 0, 5, 0, 0, 0, 6, 0, 0, 0,
        2, 0, 0, 0, 127, 0, 0, 1, ...zeros(8)], [111, 2, 3, 4, 5, 6, '127.0.0.1'], false],
    [IPPROTO_IPV6, 52, [1, 0, 0, 0], 1, true],
    [IPPROTO_IPV6, 11, [0, 1, 0, 2], 0x10002, true],
    [IPPROTO_IPV6, 50, [...zeros(15), 1, 2, 0, 0, 0], [2, '::1'], false],
    [SOL_PACKET, 8, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 5, 0, 6, 0, 7, 0],
        [1, 2, 3, 4, 5, 6, 7], false],
    [17, 104, [1, 0, 0, 0], 1, true],
    [17, 103, [1, 2], 0x201, true],
    [6, 36, [1, 0, 0, 0], 1, true],
    [4711, 1, [1, 2, 0], Uint8Array.of(1, 2, 0), false],
    [4711, 1, [], Uint8Array.of(), false],
];

function fails(code, func) {
    throws(func, Code, code);
}

function pair(fixture, type = Type.SEQPACKET) {
    return Usock.Handle.pair(type).map(end => fixture.keep(end));
}

function handle(fixture, ...args) {
    return fixture.keep(Usock.Handle.new_socket(...args));
}

testSocket('births', async fixture => {
    const one = handle(fixture, Family.UNIX);
    equal(one.family, Gio.SocketFamily.UNIX);
    equal(one.socket_type, Gio.SocketType.STREAM);
    ok(one.fd >= 0, 'has a descriptor');
    one.close();
    one.close();
    equal(one.fd, -1);
    fails(Code.CLOSED, () => one.receive(10));
    fails(Code.NOT_SUPPORTED, () => Usock.Handle.new_socket(4711));
    fails(Code.INVALID_ARGUMENT, () => Usock.Handle.new_from_fd(-1));

    const bare = fixture.keep(new Usock.Handle());
    fails(Code.NOT_INITIALIZED, () => bare.listen());
    bare.create(Family.INET, Type.DGRAM, 0);
    fails(Code.EXISTS, () => bare.create(Family.INET, Type.DGRAM, 0));
});

const Mine = GObject.registerClass(class Mine extends Usock.Handle {});

testSocket('derived', async fixture => {
    const mine = fixture.keep(new Mine());
    mine.create(Family.UNIX, Type.DGRAM, 0);
    mine.bind();
    ok(Usock.address_to_string(mine.local_address).startsWith('@'), 'an abstract name');
});

testSocket('peers', async fixture => {
    const listener = handle(fixture, Family.UNIX, Type.SEQPACKET);
    const client = handle(fixture, Family.UNIX, Type.SEQPACKET);
    fails(Code.NOT_FOUND, () => client.open(fixture.path));
    listener.bind(fixture.path);
    fails(Code.CONNECTION_REFUSED, () => client.open(fixture.path));
    listener.listen();
    fails(Code.WOULD_BLOCK, () => listener.accept(0));
    fails(Code.TIMED_OUT, () => listener.accept(20));
    client.open(Gio.File.new_for_path(fixture.path));
    const [accepted, address] = listener.accept();
    fixture.keep(accepted);
    equal(address.get_address_type(), Gio.UnixSocketAddressType.ANONYMOUS);
    equal(client.send('zw\u00f6lf'), 6);
    equal(text(accepted.receive()), 'zw\u00f6lf');
    client.shutdown(Usock.Shut.WR);
    equal(accepted.receive(), null);
    equal(accepted.recvmsg(), null);
});

testSocket('in one call', async fixture => {
    const listener = fixture.keep(Usock.Handle.listening(fixture.path, {type: Type.SEQPACKET}));
    const client = fixture.keep(Usock.Handle.connected(fixture.path, {type: Type.SEQPACKET}));
    const accepted = fixture.keep(listener.accept()[0]);
    client.send('local');
    equal(text(accepted.receive()), 'local');

    const inet = fixture.keep(Usock.Handle.listening(Usock.address_parse('127.0.0.1:0')));
    const far = fixture.keep(
        Usock.Handle.connected(['localhost', inet.local_address.port], {timeout: 5000}));
    const near = fixture.keep(inet.accept()[0]);
    near.send('looked up');
    equal(text(far.receive()), 'looked up');
});

testSocket('datagrams', async fixture => {
    const receiver = handle(fixture, Family.INET, Type.DGRAM);
    const sender = handle(fixture, Family.INET, Type.DGRAM);
    receiver.bind(Usock.address_parse('127.0.0.1:0'));
    equal(sender.send('one', {destination: receiver.local_address}), 3);
    const message = receiver.recvmsg();
    equal(message.text, 'one');
    ok(message.sender.startsWith('127.0.0.1:'), message.sender);
    sender.open(receiver.local_address);
    sender.send('two');
    equal(text(receiver.receive()), 'two');
    sender.open(null);
    fails(Code.NOT_CONNECTED, () => sender.send('three'));
    equal(sender.get_error_call(), 'send');
});

testSocket('every kind of bytes', async fixture => {
    const [first, second] = pair(fixture);
    for (const [data, expected] of [
        [Uint8Array.of(1, 0, 255), [1, 0, 255]],
        [Uint8Array.of(9, 8, 7, 6).subarray(1, 3), [8, 7]],
        [Uint8Array.of(1, 2).buffer, [1, 2]],
        [GLib.Bytes.new(Uint8Array.of(5, 0, 6)), [5, 0, 6]],
        ['a\0', [97, 0]],
        ['', []],
    ]) {
        equal(first.send(data), expected.length);
        equal(second.receive(), Uint8Array.from(expected));
    }
    equal(first.send('0123456789', {offset: 2, length: 3}), 3);
    equal(text(second.receive()), '234');
    throws(() => first.send(42), TypeError);
});

testSocket('segments and buffers', async fixture => {
    const [first, second] = pair(fixture);
    equal(first.sendmsg(['he', Uint8Array.of(108, 108), 'o']), 5);
    const message = second.recvmsg([1, 2, 10]);
    equal(message.segments.map(part => text(part)).join(','), 'h,el,lo');
    first.send('hello');
    const view = new Uint8Array(10);
    const [rest, n] = second.recvmsg_into(view.subarray(2));
    equal(n, 5);
    equal(text(view.subarray(2, 7)), 'hello');
    equal(rest.get_full_length(), 5);
    first.send('hello');
    const buffer = new ArrayBuffer(3);
    equal(second.recvmsg_into(buffer)[1], 3);
    equal(text(new Uint8Array(buffer)), 'hel');
    throws(() => second.recvmsg_into(5), TypeError);
    throws(() => second.recvmsg_into(null), TypeError);
});

testSocket('truncated and timed out', async fixture => {
    const [first, second] = pair(fixture);
    first.send('0123456789');
    first.send('0123456789');
    equal(second.recvmsg(0, {flags: Flags.PEEK}).get_full_length(), 10);
    const message = second.recvmsg(4);
    equal(message.text, '0123');
    equal(message.get_full_length(), 10);
    ok(message.get_flags() & Usock.MessageFlags.TRUNCATED, 'is flagged');
    fails(Code.MESSAGE_TOO_LARGE, () => second.receive(4));
    fails(Code.WOULD_BLOCK, () => second.receive(4, {timeout: 0}));
    fails(Code.WOULD_BLOCK, () => second.receive(4, {flags: Flags.DONTWAIT}));
    fails(Code.TIMED_OUT, () => second.receive(4, {timeout: 20}));
});

testSocket('descriptors', async fixture => {
    const [first, second] = pair(fixture);
    const fd = nullFd();
    first.sendmsg('x', {fds: [fd, first.fd]});
    closeFd(fd);
    const message = second.recvmsg();
    equal(message.lookup_control(SOL_SOCKET, 1).join(), 'device,socket');
    message.close_fds();
});

testSocket('every control record', async fixture => {
    for (const [level, type, raw, value, back] of RECORDS) {
        const message = Usock.Message.new('x');
        const what = `record ${type} of level ${level}`;
        message.append_control(level, type, Uint8Array.from(raw));
        equal(JSON.stringify(message.controls), JSON.stringify([[level, type, value]]), what);
        equal(JSON.stringify(message.lookup_control(level, type)), JSON.stringify(value), what);
        equal(message.lookup_control(level, type + 1000), null);
        if (back) {
            message.append_control(level, type, value);
            equal(JSON.stringify(message.controls[1]), JSON.stringify([level, type, value]), what);
        }
    }
    const message = Usock.Message.new('x');
    fails(Code.INVALID_ARGUMENT, () => message.append_control(SOL_SOCKET, 1, '0000'));
    fails(Code.INVALID_ARGUMENT, () => message.append_control(IPPROTO_IP, 2, 2 ** 40));
    fails(Code.INVALID_ARGUMENT,
        () => message.append_control(IPPROTO_IP, 2, GLib.Variant.new_string('64')));
    fails(Code.INVALID_ARGUMENT, () => message.append_control(4711, 2, new Uint8Array(20000)));
});

testSocket('received records', async fixture => {
    const receiver = handle(fixture, Family.INET, Type.DGRAM);
    const sender = handle(fixture, Family.INET, Type.DGRAM);
    receiver.bind(Usock.address_parse('127.0.0.1:0'));
    receiver.set_option(Usock.Level.IP, Usock.IpOption.RECVTTL, new GLib.Variant('b', true));
    const message = Usock.Message.new('x');
    message.append_control(IPPROTO_IP, 2, 33);
    sender.sendmsg(message, {destination: receiver.local_address});
    equal(receiver.recvmsg().controls.join(), [IPPROTO_IP, 2, 33].join());
});

testSocket('poll', async fixture => {
    const [first, second] = pair(fixture);
    equal(Usock.poll([first, second], 0).length, 0);
    equal(Usock.poll([first, second], 20).length, 0);
    first.send('x');
    const [[socket, bits]] = Usock.poll([first, second]);
    equal(socket, second);
    equal(bits, PollFlags.IN);
    const mine = [first, PollFlags.OUT, 'my data'];
    const [[item, ready]] = Usock.poll([mine]);
    equal(item, mine);
    equal(ready, PollFlags.OUT);
    first.close();
    equal(Usock.poll([first])[0][1], PollFlags.NVAL);

    for (const nonsense of [null, undefined, {}, [null], 'x'])
        throws(() => Usock.poll([nonsense], 0), TypeError);
    throws(() => Usock.poll(5, 0), TypeError);
    throws(() => Usock.poll([second], 0, 5), TypeError);

    const cancellable = new Gio.Cancellable();
    cancellable.cancel();
    fails(Code.CANCELLED, () => Usock.poll([second], -1, cancellable));
});

testSocket('the end of a handle', async fixture => {
    const [first] = pair(fixture);
    const closed = new Promise(resolve => first.connect('close', resolve));
    first.close();
    equal(first.fd, -1);
    await closed;
});

run();
