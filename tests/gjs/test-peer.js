// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Calls between programs as JavaScript's own: awaited, and answered by functions and promises.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {closeFd, nullFd, testSocket, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

function peers(fixture, type = Usock.Seqpacket) {
    return type.pair().map(end => new Usock.Peer(fixture.keep(end)));
}

const show = value => JSON.stringify(value, (_key, item) => {
    if (typeof item === 'bigint')
        return `${item}n`;
    return item instanceof Uint8Array ? `bytes ${[...item].slice(0, 5)}` : item;
});

const VALUES = [
    null, true, false, 0, -1, Number.MAX_SAFE_INTEGER, 2n ** 63n - 1n, 2n ** 64n - 1n, 1.5, '', 'text',
    'ü', new Uint8Array(), Uint8Array.of(0, 255), [], [1, 'two', [3.5]], {},
    {a: 1, b: [null, {c: Uint8Array.of(1)}]}, 'x'.repeat(300000), new Uint8Array(300000),
    [new Uint8Array(300000)],
];

for (const type of [Usock.Seqpacket, Usock.Stream]) {
    testSocket(`values come back over a ${type.$gtype.name}`, async fixture => {
        const [client, server] = peers(fixture, type);
        server.handle('Echo', body => body);
        for (const value of VALUES)
            equal(show(await client.call('Echo', value)), show(value));
    });
}

testSocket('signatures', async fixture => {
    const [client, server] = peers(fixture);
    const types = [];
    server.handle('Echo', (_body, call) => {
        types.push(call.get_variant()?.get_type_string());
        return call.get_variant();
    });
    const cases = [
        ['i', 7], ['y', 255], ['as', ['a', 'b']], ['(ii)', [1, 2]], ['a{sv}', {k: [1]}], ['x', 5],
        ['ay', Uint8Array.of(1)], ['aay', [Uint8Array.of(1)]], ['ms', null], ['ms', 'x'], ['v', 5],
        ['()', null], ['o', '/a'], ['d', 1], ['a(sv)', [['a', 1]]], ['t', 2n ** 64n - 1n],
    ];
    for (const [signature, value] of cases)
        equal(show(await client.call('Echo', value, {signature})), show(value));
    equal((await client.call('Echo', {1: 2}, {signature: 'a{ix}'})).get(1), 2);
    equal(show(types), show([...cases.map(([signature]) => signature), 'a{ix}']));
});

testSocket('what is no value', async fixture => {
    const [client] = peers(fixture);
    for (const [value, signature] of [[Symbol.iterator], [() => 1], ['a\0b'], [['a\0b']], [1, 'no type'],
        [1, 's'], [[1, 2, 3], '(ii)'], ['1', 'i'], [1.5, 'x'], [1, 'a*']])
        await rejects(client.call('Echo', value, {signature}), TypeError);
    await rejects(client.call('Echo', 300, {signature: 'y'}), RangeError);
    for (const name of ['', 'x'.repeat(256), null, 7, 'a\0b'])
        await rejects(client.call(name), TypeError);
    await rejects(client.call('Echo', null, {timeuot: 1}), TypeError);
    throws(() => client.handle('Echo', null), TypeError);
});

testSocket('promises answer in any order', async fixture => {
    const [client, server] = peers(fixture);
    let open;
    const gate = new Promise(resolve => (open = resolve));
    server.handle('Slow', async body => {
        await gate;
        return body;
    });
    server.handle('Quick', async () => {
        open();
        return 'quick';
    });
    const slow = client.call('Slow', 'slow');
    equal(await client.call('Quick'), 'quick');
    equal(await slow, 'slow');
});

testSocket('a call is there as long as somebody has it', async fixture => {
    const [client, server] = peers(fixture);
    const calls = [];
    server.handle('Keep', (_body, call) => {
        calls.push(call);
        return new Promise(() => {});
    });
    const answers = [1, 2, 3].map(i => client.call('Keep', i));
    await waitFor(() => calls.length === 3);
    calls.reverse().forEach(call => call.reply(`${call.name} ${call.body}`));
    equal((await Promise.all(answers)).join(), 'Keep 1,Keep 2,Keep 3');
});

testSocket('errors cross', async fixture => {
    const [client, server] = peers(fixture);
    server.handle('Fail', async body => {
        if (body === 'glib')
            throw new Gio.DBusError({code: Gio.DBusError.NAME_HAS_NO_OWNER, message: 'no such name'});
        if (body === 'io')
            throw new Gio.IOErrorEnum({code: Code.NOT_FOUND, message: 'there is none'});
        throw new RangeError('too far');
    });
    await rejects(client.call('Fail', 'glib'), Gio.DBusError, Gio.DBusError.NAME_HAS_NO_OWNER);
    await rejects(client.call('Fail', 'io'), Code, Code.NOT_FOUND);
    const error = await client.call('Fail').catch(reason => reason);
    equal([error.code, error.message].join(), `${Code.FAILED},too far`);
});

testSocket('time-outs and cancelling tell the other side', async fixture => {
    const [client, server] = peers(fixture);
    const calls = [];
    server.connect('call', (_peer, call) => {
        call.get_cancellable();
        calls.push(call);
    });
    await rejects(client.call('Any', null, {timeout: 20}), Code, Code.TIMED_OUT);
    await waitFor(() => calls[0].cancellable.is_cancelled());
    const cancellable = new Gio.Cancellable();
    const waiting = client.call('Any', null, {cancellable});
    await waitFor(() => calls.length === 2);
    cancellable.cancel();
    await rejects(waiting, Code, Code.CANCELLED);
    await waitFor(() => calls[1].cancellable.is_cancelled());
    calls[1].reply('nobody waits');
});

testSocket('nobody handles it', async fixture => {
    const [client, server] = peers(fixture);
    server.handle('Some', () => null);
    await rejects(client.call('Other'), Code, Code.NOT_SUPPORTED);
    server.unhandle('Some');
    await rejects(client.call('Some'), Code, Code.NOT_SUPPORTED);
    equal(server.list_handlers().length, 0);
});

testSocket('the peer goes', async fixture => {
    const [client, server] = peers(fixture);
    server.handle('Leave', () => server.channel.close());
    await rejects(client.call('Leave'), Code, Code.CONNECTION_CLOSED);
    await rejects(client.call('Leave'), Code, Code.CLOSED);
});

testSocket('a call is answered once', async fixture => {
    const [client, server] = peers(fixture);
    server.connect('call', (_peer, call) => {
        call.reply([call.name, call.body]);
        throws(() => call.reply(), Code, Code.EXISTS);
    });
    equal(show(await client.call('Any', 7)), '["Any",7]');
});

testSocket('posts', async fixture => {
    const [client, server] = peers(fixture);
    const got = [];
    server.connect('posted', (_peer, name, message) => got.push([name, message.body]));
    client.post('Log', {n: 1});
    client.post('Log');
    client.post('Log', new Uint8Array(1000000));
    await waitFor(() => got.length === 3);
    equal(show(got), show([['Log', {n: 1}], ['Log', null], ['Log', new Uint8Array(1000000)]]));
});

testSocket('descriptors', async fixture => {
    const [client, server] = peers(fixture);
    client.channel.max_fds = 4;
    server.channel.max_fds = 4;
    const file = nullFd();
    const other = nullFd();
    server.handle('Back', body => {
        closeFd(body.file.take());
        return {file: other, n: 1};
    });
    const reply = await client.call('Back', {file});
    file.close(null);
    other.close(null);
    const taken = reply.file.take();
    ok(taken > 2);
    closeFd(taken);
    throws(() => reply.file.take(), Code, Code.NOT_FOUND);
    server.channel.max_fds = 0;
});

testSocket('messages', async fixture => {
    const [client, server] = peers(fixture);
    server.handle('Echo', (_body, call) => call.get_body());
    const message = await client.call('Echo', 'text', {message: true});
    equal(message.get_kind(), Usock.BodyKind.TEXT);
    equal(message.text, 'text');
    const variant = await client.call_variant_async('Echo', new GLib.Variant('i', 5), -1, null);
    equal(variant.get_int32(), 5);
});

testSocket('many at once', async fixture => {
    const [client, server] = peers(fixture);
    server.handle('Echo', async body => body);
    for (let round = 0; round < 20; round++) {
        const all = await Promise.all(Array.from({length: 300}, (_, i) => client.call('Echo', i)));
        ok(all.every((value, i) => value === i));
    }
});

run();
