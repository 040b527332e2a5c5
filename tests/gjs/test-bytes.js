// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Bytes and descriptors go in and come out as JavaScript's own.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {Log, bytes, closeFd, isOpen, nullFd, testSocket, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

async function sent(fixture, ...args) {
    const [first, second] = fixture.pair();
    ok(first.send(...args), 'send()');
    return (await second.receive()).data;
}

testSocket('every kind of bytes', async fixture => {
    const buffer = Uint8Array.of(1, 2, 3, 4).buffer;
    for (const [data, expected] of [
        [Uint8Array.of(1, 0, 255), [1, 0, 255]],
        [Uint8Array.of(), []],
        [Uint8Array.of(9, 8, 7, 6).subarray(1, 3), [8, 7]],
        [buffer, [1, 2, 3, 4]],
        [new ArrayBuffer(0), []],
        [new DataView(buffer, 1, 2), [2, 3]],
        [new Uint16Array(buffer, 2, 1), [3, 4]],
        [GLib.Bytes.new(Uint8Array.of(5, 0, 6)), [5, 0, 6]],
        [GLib.Bytes.new(null), []],
        ['zw\u00f6lf\0', [122, 119, 195, 182, 108, 102, 0]],
        ['', []],
        [Usock.Message.new(Uint8Array.of(7, 7)), [7, 7]],
        [new Usock.Message('new'), [110, 101, 119]],
    ])
        equal(await sent(fixture, data), Uint8Array.from(expected), `${data}`);
});

testSocket('all values of a byte', async fixture => {
    const all = Uint8Array.from({length: 256}, (_, i) => i);
    equal(await sent(fixture, all), all);
});

testSocket('a buffer may change after it was sent', async fixture => {
    const [first, second] = fixture.pair();
    const buffer = bytes('one');
    first.send(buffer);
    buffer.set(bytes('two'));
    first.send(buffer);
    equal((await second.receive()).text, 'one');
    equal((await second.receive()).text, 'two');
});

testSocket('slices', async fixture => {
    const digits = '0123456789';
    for (const data of [bytes(digits), bytes(digits).buffer, digits, GLib.Bytes.new(bytes(digits)),
        new DataView(bytes(digits).buffer), bytes(`xx${digits}`).subarray(2)]) {
        equal(await sent(fixture, data, {}), bytes(digits));
        equal(await sent(fixture, data, {offset: 3}), bytes('3456789'));
        equal(await sent(fixture, data, {offset: 3, length: 4}), bytes('3456'));
        equal(await sent(fixture, data, {length: 2}), bytes('01'));
        equal(await sent(fixture, data, {offset: 10}), bytes(''));
        equal(await sent(fixture, data, {offset: 10, length: 0}), bytes(''));
    }
    equal(await sent(fixture, 'äb', {offset: 2}), bytes('b'));
});

testSocket('slices outside', async fixture => {
    const [first] = fixture.pair();
    for (const data of [bytes('0123'), bytes('0123').buffer, '0123', GLib.Bytes.new(bytes('0123'))]) {
        for (const options of [
            {offset: -1}, {offset: 5}, {length: 5}, {offset: 4, length: 1}, {offset: 1, length: -1},
            {offset: 2 ** 53}, {length: 2 ** 64}, {offset: NaN}, {offset: 1.5}, {length: Infinity},
            {offset: '1'}, {offset: null}, {length: null}, {offset: -(2 ** 31), length: 2 ** 31},
        ])
            throws(() => first.send(data, options), RangeError);
    }
    equal(first.get_messages_written(), 0);
});

testSocket('what is not bytes', async fixture => {
    const [first] = fixture.pair();
    for (const data of [null, undefined, 5, {}, [1, 2], true, Symbol.iterator, () => {}])
        throws(() => first.send(data), TypeError);
    throws(() => first.send(new Usock.Message('x'), {offset: 0}), TypeError);
    throws(() => first.send(new Usock.Message('x'), {fds: [0]}), TypeError);
    equal(first.get_messages_written(), 0);
});

testSocket('text', async fixture => {
    const [first, second] = fixture.pair();
    for (const text of ['zw\u00f6lf \u{1f9e6}', 'a\0b', '']) {
        first.send_text(text);
        equal((await second.receive()).text, text);
        equal(Usock.Message.new_from_text(text).text, text);
    }
    throws(() => new Usock.Message(Uint8Array.of(255)).text, GLib.Error);
    throws(() => new Usock.Message(Uint8Array.of(0, 255)).text, TypeError);
});

testSocket('several messages', async fixture => {
    const [first, second] = fixture.pair();
    equal(first.send_messages([new Usock.Message('one'), bytes('two'), 'three', '']), 4);
    for (const expected of ['one', 'two', 'three', ''])
        equal((await second.receive()).text, expected);
});

testSocket('bytes come out as Uint8Arrays that can be kept', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(second, 'data');
    for (const word of ['one', 'x\0y', '', 'four'])
        first.send(word);
    await log.wait('data', 4);
    equal(log.map(([, data]) => data.constructor.name), Array(4).fill('Uint8Array'));
    equal(log.map(([, data]) => Array.from(data)),
        ['one', 'x\0y', '', 'four'].map(word => Array.from(bytes(word))));
});

testSocket('a batch is an array of Uint8Arrays', async fixture => {
    const [first, second] = fixture.pair();
    const batches = [];
    second.connect('batch', (_channel, batch) => void batches.push(batch));
    for (let i = 0; i < 100; i++)
        first.send(`${i}`);
    await waitFor(() => batches.flat().length === 100);
    equal(batches.flat().map(data => new TextDecoder().decode(data)),
        Array.from({length: 100}, (_, i) => `${i}`));
    ok(batches.length < 100, 'fewer batches than messages');
});

testSocket('what a message holds', async fixture => {
    const message = new Usock.Message(bytes('ab\0'));
    equal(message.data, bytes('ab\0'));
    equal([message.get_length(), message.get_full_length(), message.text], [3, 3, 'ab\0']);
    equal(new Usock.Message('').data, bytes(''));
    message.append_bytes(GLib.Bytes.new(bytes('cd')));
    equal(await sent(fixture, message), bytes('ab\0cd'));
});

testSocket('descriptors as numbers and objects', async fixture => {
    const [first, second] = fixture.pair();
    second.max_fds = 253;
    const stream = nullFd();
    first.send(bytes('0123'), {offset: 1, length: 2, fds: [stream, stream.get_fd()]});
    first.send('typed', {fds: Int32Array.of(stream.get_fd())});
    first.send_with_fds('with', [stream]);
    first.send('none', {fds: []});
    const message = new Usock.Message('inside');
    message.append_fd(stream.get_fd());
    first.send(message);
    await first.send_async('async', {fds: [stream]});
    stream.close(null);
    for (const [expected, count] of [
        ['12', 2], ['typed', 1], ['with', 1], ['none', 0], ['inside', 1], ['async', 1],
    ]) {
        const received = await second.receive();
        const fds = received.take_fds();
        equal([received.text, fds.length], [expected, count]);
        for (const fd of fds) {
            equal(GLib.file_read_link(`/proc/self/fd/${fd}`), '/dev/null');
            closeFd(fd);
        }
    }
});

testSocket('descriptors are taken once and have kinds', async fixture => {
    const [first, second] = fixture.pair();
    second.max_fds = 3;
    const stream = nullFd();
    first.send('', {fds: [stream, stream, first.fd]});
    stream.close(null);
    const message = await second.receive();
    equal([0, 1, 2].map(i => message.get_fd_kind(i)),
        [Usock.FdKind.DEVICE, Usock.FdKind.DEVICE, Usock.FdKind.SOCKET]);
    closeFd(message.take_fd(0));
    throws(() => message.take_fd(0), GLib.Error);
    throws(() => message.take_fd(3), GLib.Error);
    message.close_fds();
    throws(() => message.take_fd(1), GLib.Error);
});

testSocket('descriptors nobody takes are closed', async fixture => {
    const [first, second] = fixture.pair();
    second.max_fds = 1;
    const stream = nullFd();
    const log = new Log(second, 'message');
    for (let i = 0; i < 3000; i++) {
        first.send('', {fds: [stream]});
        if (i % 100 === 99)
            await log.wait('message', i + 1);
    }
    ok(!isOpen(500), 'a low number of open descriptors');
    stream.close(null);
});

testSocket('descriptors taken in the handler stay open', async fixture => {
    const [first, second] = fixture.pair();
    second.max_fds = 2;
    let taken = null;
    second.connect('message', (_channel, message) => {
        taken = message.take_fds();
    });
    const stream = nullFd();
    first.send('', {fds: [stream, stream]});
    stream.close(null);
    await waitFor(() => taken);
    ok(taken.every(isOpen), 'open');
    taken.forEach(closeFd);
});

testSocket('bad descriptors', async fixture => {
    const [first, second] = fixture.pair();
    second.max_fds = 253;
    const stream = nullFd();
    const closed = stream.get_fd();
    stream.close(null);
    for (const fds of [[-1], [closed], [2 ** 31 - 1]]) {
        const error = throws(() => first.send('x', {fds}), Code, Code.INVALID_ARGUMENT);
        ok(error.message.includes(`${fds[0]}`), error.message);
    }
    for (const fds of [[2 ** 32], [1.5], ['0'], [null], [{}], [NaN]]) {
        throws(() => first.send('x', {fds}), RangeError);
        await rejects(first.send_async('x', {fds}), RangeError);
    }
    throws(() => first.send('x', {fds: Array(254).fill(0)}), GLib.Error);
    first.send('still open');
    equal((await second.receive()).text, 'still open');
});

run();
