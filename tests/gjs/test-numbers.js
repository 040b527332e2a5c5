// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What is no number is refused wherever one is taken: GJS would make one of it, 0 for the most part.
// test-numbers.js API.JSON

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run, throws} from './tap.js';
import {testSocket} from './fixture.js';

const API = JSON.parse(new TextDecoder().decode(GLib.file_get_contents(ARGV[0])[1]));
const NUMBERS = /^(g(u?int|s?size)\d*|MsgFlags|Shut|AllowedUsers|SlowReaders|Gio.Socket(Type|Family))$/;
const NO_NUMBERS = ['1', 'x', null, {}, [1], true, 1.5, NaN, Infinity, () => 1, 2 ** 70];
const LEAVES = {Channel: 'Seqpacket', Dgram: 'Dgram', Handle: 'Handle', Server: 'Server',
    Client: 'Client', Peer: 'Peer', Socket: 'Seqpacket', Stream: 'Stream'};

async function refuses(what, call) {
    let problem = 'nothing';
    try {
        await call();
    } catch (error) {
        problem = error;
    }
    ok(problem instanceof TypeError || problem instanceof RangeError, `what ${what} threw (${problem})`);
}

function standIn({name, type}) {
    const others = {
        Message: () => Usock.Message.new('x'), 'Gio.SocketFamily': () => Gio.SocketFamily.INVALID,
        'Gio.SocketType': () => Gio.SocketType.STREAM, 'GLib.Bytes': () => new GLib.Bytes(['x']),
        'GLib.Variant': () => GLib.Variant.new_boolean(true), '[guint8]': () => 'x',
        '[gint]': () => [], '[gsize]': () => [1], utf8: () => 'localhost', filename: () => '/none',
        'Gio.SocketAddress': () => Usock.address_parse('@none'),
        'Gio.SocketConnectable': () => Usock.address_parse('@none'),
    };
    return ['cancellable', 'callback'].includes(name) ? null : others[type]?.() ?? 0;
}

function make(fixture, name) {
    const made = new Usock[name]();
    return made instanceof Usock.Socket ? fixture.keep(made) : made;
}

// The overrides call these otherwise, see below.
const OTHERWISE = ['receive', 'recvmsg', 'send', 'sendmsg', 'accept', 'recvmsg_into'];

// A cancellable at the end is made of options; the callbacks are left out.
function makeArgs(parameters) {
    return parameters.filter(({name}) => name !== 'callback').map(standIn);
}

for (const {name: className, callables} of API.classes) {
    for (const {name, kind, parameters} of callables) {
        if (className === 'Handle' && OTHERWISE.includes(name) || name === 'new_from_fd')
            continue;
        parameters.forEach(({name: parameter, type}, index) => {
            if (!NUMBERS.test(type))
                return;
            testSocket(`${className}.${name}: ${parameter}`, async fixture => {
                const owner = () => kind !== 'method' ? Usock[className]
                    : className === 'Message' ? Usock.Message.new('x')
                        : make(fixture, LEAVES[className]);
                for (const value of NO_NUMBERS) {
                    const args = makeArgs(parameters);
                    args[index] = value;
                    await refuses(`${name}(${String(value)})`, () => owner()[name](...args));
                }
            });
        });
    }
}

function isNumber({type, writable}) {
    return writable && NUMBERS.test(type);
}

function namesOf(property) {
    return [property, property.replaceAll('-', '_'),
        property.replace(/-(.)/g, (_, letter) => letter.toUpperCase())];
}

for (const {name: className, properties} of API.classes) {
    for (const {name: property} of properties.filter(isNumber)) {
        testSocket(`${className}:${property}`, async fixture => {
            const type = Usock[LEAVES[className]];
            const socket = make(fixture, LEAVES[className]);
            for (const name of namesOf(property)) {
                const before = socket[name];
                ok(Number.isInteger(before), `${name} (${before})`);
                for (const value of [...NO_NUMBERS, undefined]) {
                    await refuses(`${name} made ${String(value)}`, () => new type({[name]: value}));
                    if (property === 'socket-type')
                        continue;
                    await refuses(`${name} set ${String(value)}`, () => (socket[name] = value));
                }
                equal(socket[name], before);
                if (property !== 'socket-type')
                    socket[name] = before;
            }
        });
    }
}

testSocket('set as before', async fixture => {
    const socket = fixture.keep(new Usock.Seqpacket({maxFds: 3, 'queue-limit': 12345}));
    equal([socket.max_fds, socket.maxFds, socket['max-fds'], socket.queue_limit], [3, 3, 3, 12345]);
    const notified = [];
    socket.connect('notify::max-fds', () => notified.push(socket.max_fds));
    socket.max_fds = 4;
    socket.maxFds = 5;
    socket['max-fds'] = 6;
    socket.set_max_fds(7);
    socket.set_property('max-fds', 8);
    equal(notified, [4, 5, 6, 7, 8]);
    class Own extends Usock.Server {
        static {
            GObject.registerClass({
                Properties: {own: GObject.ParamSpec.int('own', '', '', 3, 0, 9, 0)},
            }, this);
        }
    }
    const own = fixture.keep(new Own({mode: 0o666, max_fds: 2}));
    equal([own.mode, own.max_fds], [0o666, 2]);
    throws(() => new Own({mode: -1}), RangeError);
});

testSocket('who may connect', async () => {
    for (const users of ['same-user', Usock.AllowedUsers.NO_SUCH_NAME, null, '2'])
        throws(() => new Usock.Server({allowed_users: users}), TypeError);
    throws(() => new Usock.Server({allowed_users: 99}), Error);
});

testSocket('a class of channels', async fixture => {
    for (const type of ['x', 5, {}, null, Gio.File, Usock.Dgram, Usock.Channel, Usock.Stream,
        GObject.TYPE_STRING]) {
        throws(() => new Usock.Server({channel_type: type}), TypeError);
        throws(() => new Usock.Server({channelType: type}), TypeError);
        const server = fixture.keep(new Usock.Server());
        throws(() => server.set_channel_type(type), TypeError);
        throws(() => (server.channel_type = type), TypeError);
    }
    throws(() => new Usock.Server({
        socket_type: Gio.SocketType.STREAM, channel_type: Usock.Seqpacket,
    }), TypeError);
    fixture.keep(new Usock.Server({
        socket_type: Gio.SocketType.STREAM, channel_type: Usock.Stream,
    }));
});

testSocket('handles', async fixture => {
    const [first] = Usock.Handle.pair().map(handle => fixture.keep(handle));
    for (const value of NO_NUMBERS) {
        for (const call of [
            () => first.receive(value, {timeout: 0}), () => first.recvmsg([1, value], {timeout: 0}),
            () => first.receive(1, {flags: value, timeout: 0}), () => first.shutdown(value),
            () => first.recvmsg(1, {flags: value, timeout: 0}), () => first.listen(value),
            () => first.send('x', {flags: value}), () => first.sendmsg('x', {flags: value}),
            () => Usock.Handle.pair(value), () => Usock.Handle.new_socket(value),
            () => Usock.Handle.connected('@none', {type: value}),
            () => Usock.Handle.connected('@none', {timeout: value}),
            () => Usock.Handle.connected(['localhost', value]),
            () => Usock.Handle.listening('@none', {type: value}),
            () => Usock.Handle.listening('@none', {backlog: value}),
            () => Usock.poll([first], value), () => Usock.poll([[first, value]], 0),
        ])
            await refuses(`${call} with ${String(value)}`, call);
    }
    // Options, none of which is an object too.
    for (const value of NO_NUMBERS.filter(each => typeof each !== 'object')) {
        await refuses(`accept(${String(value)})`, () => first.accept(value));
        await refuses(`open('@none', ${String(value)})`, () => first.open('@none', value));
    }
    await refuses('options in the place of a size', () => first.receive({timeout: 0}));
    for (const bits of [-1, 2 ** 33])
        throws(() => Usock.poll([[first, bits]], 0), TypeError);
});

// GIO counts the types of sockets otherwise than the system.
testSocket('a Gio.SocketType in place of a SockType', async fixture => {
    const {Family, Handle} = Usock;
    for (const call of [
        type => Handle.new_socket(Family.UNIX, type), type => Handle.pair(type),
        type => Handle.connected(fixture.path, {type}), type => Handle.listening(fixture.path, {type}),
        type => new Handle().create(Family.UNIX, type, 0),
    ])
        throws(() => call(Gio.SocketType.SEQPACKET), GLib.Error);
    throws(() => new Usock.Server({socket_type: Usock.SockType.SEQPACKET}), Error);
});

testSocket('what is not bytes', async fixture => {
    const [first, second] = fixture.pair();
    for (const data of [5, null, undefined, {}, [300], [1], true]) {
        throws(() => new Usock.Message(data), TypeError);
        throws(() => Usock.Message.new(data), TypeError);
        throws(() => new Usock.Message('x').append_bytes(data), TypeError);
        throws(() => first.send(data), TypeError);
    }
    const message = new Usock.Message(Uint16Array.of(300, 1));
    ok(message instanceof Usock.Message, 'a message');
    equal(message.data, Uint8Array.of(44, 1, 1, 0));
    message.append_bytes('text');
    first.send(message);
    const received = await second.receive();
    ok(received instanceof Usock.Message, 'a message');
    equal(received.get_length(), 8);
});

run();
