// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Bad input is a GError that names what was tried and on what; the process lives.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, expectCritical, ok, rejects, run, throws} from './tap.js';
import {Log, bytes, testSocket} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

async function refused(fixture, path, code, word = path) {
    const channel = fixture.keep(new Usock.Seqpacket());
    const log = new Log(channel);
    for (const error of [
        throws(() => channel.connect_to_path(path), Code, code),
        await rejects(channel.open(path), Code, code),
    ])
        ok(error.message.includes(word), error.message);
    equal([channel.state, log.length], [Usock.State.NEW, 0]);
}

testSocket('missing', async fixture => {
    await refused(fixture, fixture.path, Code.NOT_FOUND);
    await refused(fixture, `${fixture.directory}/no/such`, Code.NOT_FOUND);
});

testSocket('stale', async fixture => {
    const stale = new Gio.Socket({
        family: Gio.SocketFamily.UNIX, type: Gio.SocketType.SEQPACKET, protocol: 0,
    });
    stale.init(null);
    stale.bind(Gio.UnixSocketAddress.new(fixture.path), false);
    stale.close();
    await refused(fixture, fixture.path, Code.CONNECTION_REFUSED);
    // A server takes it over.
    fixture.serve();
    fixture.keep(new Usock.Seqpacket()).connect_to_path(fixture.path);
});

testSocket('a directory, a file', async fixture => {
    await refused(fixture, fixture.directory, Code.CONNECTION_REFUSED);
    GLib.file_set_contents(fixture.path, 'precious');
    await refused(fixture, fixture.path, Code.CONNECTION_REFUSED);
    await refused(fixture, `${fixture.path}/below`, Code.NOT_DIRECTORY);
    const server = new Usock.Server();
    for (const path of [fixture.path, fixture.directory]) {
        const error = throws(() => server.listen(path), GLib.Error);
        ok(error.message.includes(path), error.message);
    }
    equal(GLib.file_get_contents(fixture.path)[1], bytes('precious'));
});

testSocket('the wrong type of socket', async fixture => {
    const stream = new Gio.SocketListener();
    stream.add_address(Gio.UnixSocketAddress.new(fixture.path), Gio.SocketType.STREAM,
        Gio.SocketProtocol.DEFAULT, null);
    const error = await rejects(new Usock.Seqpacket().open(fixture.path), GLib.Error);
    ok(error.message.includes(fixture.path), error.message);
    stream.close();
});

testSocket('too long', async fixture => {
    await refused(fixture, `/${'x'.repeat(300)}`, Code.FILENAME_TOO_LONG);
    await refused(fixture, '/x'.repeat(5000), Code.FILENAME_TOO_LONG);
});

testSocket('a NUL', async fixture => {
    GLib.file_set_contents(fixture.path, '');
    const path = `${fixture.path}\0tail`;
    await refused(fixture, path, Code.INVALID_FILENAME, `${fixture.path}\\0tail`);
    throws(() => new Usock.Server().listen(path),
        Code, Code.INVALID_FILENAME);
    throws(() => Usock.address_parse('@a\0b'), Code, Code.INVALID_FILENAME);
});

testSocket('what is not a path', async () => {
    for (const path of [null, undefined, {}]) {
        throws(() => new Usock.Seqpacket().connect_to_path(path), Error);
        await rejects(new Usock.Seqpacket().open(path), Error);
        throws(() => new Usock.Server().listen(path), Error);
    }
    throws(() => new Usock.Seqpacket().connect_to_path(''), GLib.Error);
});

testSocket('connecting twice', async fixture => {
    const [client, served] = await fixture.acceptOne();
    throws(() => client.connect_to_path(fixture.path), GLib.Error);
    client.send('unharmed');
    equal((await served.receive()).text, 'unharmed');
});

testSocket('a live path is refused', async fixture => {
    const server = fixture.serve();
    throws(() => new Usock.Server().listen(fixture.path),
        Code, Code.ADDRESS_IN_USE);
    equal(server.n_connections, 0);
});

testSocket('backlogs', async fixture => {
    for (const backlog of [-1, 0, 1, 2 ** 31 - 1]) {
        const server = fixture.keep(new Usock.Server());
        server.listen(fixture.path, backlog);
        fixture.keep(new Usock.Seqpacket()).connect_to_path(fixture.path);
        server.close();
    }
});

testSocket('sending when not connected, ended or closed', async fixture => {
    throws(() => new Usock.Seqpacket().send('x'), Code, Code.NOT_CONNECTED);
    const [first, second] = fixture.pair();
    first.end();
    for (const send of [
        () => first.send('x'),
        () => first.send('x', {fds: [0]}),
        () => first.send(new Usock.Message('x')),
        () => first.send_bytes(GLib.Bytes.new(bytes('x'))),
    ])
        throws(send, Code, Code.CLOSED);
    equal(await second.receive(), null);
    first.close();
    throws(() => first.send('x'), Code, Code.CLOSED);
    await rejects(first.send_async('x'), Code, Code.CLOSED);
    await rejects(first.receive(), Code, Code.CLOSED);
    first.end();
    first.close();
    first.pause();
    first.resume();
    first.destroy(null);
    fixture.serve();
    throws(() => first.connect_to_path(fixture.path), Code, Code.CLOSED);
});

testSocket('too large', async fixture => {
    const [first, second] = fixture.pair();
    for (const size of [5_000_000, 64 << 20])
        throws(() => first.send(new Uint8Array(size)), Code, Code.MESSAGE_TOO_LARGE);
    first.send('next');
    equal((await second.receive()).text, 'next');
    second.read_buffer_size = 4 << 20;
    first.send(new Uint8Array(4_000_000).fill(7));
    const {data} = await second.receive();
    ok(data.length === 4_000_000 && data.every(byte => byte === 7), 'a large one arrives whole');
});

testSocket('misuse is a critical', async fixture => {
    const [first, second] = fixture.pair();
    const message = new Usock.Message('x');
    first.send(message);
    expectCritical('*frozen*', () => message.append_bytes(GLib.Bytes.new(bytes('y'))));
    throws(() => message.append_fd(0), GLib.Error);
    equal((await second.receive()).text, 'x');
    for (const call of [
        () => first.send_message(null), () => first.send_bytes(null), () => first.send_message({}),
        () => first.connect_to_address(null), () => first.receive_finish(null),
        () => first.send_with_fds('x', 5), () => first.send_messages([null]),
        () => first.receive_async(5),
    ]) {
        try {
            await call();
        } catch (error) {
            ok(error instanceof Error || error instanceof GLib.Error, error);
        }
    }
    equal(first.state, Usock.State.OPEN);
});

testSocket('what is not a descriptor', async () => {
    for (const fd of [undefined, null, 'x', {}, 0.5, NaN, 2 ** 32]) {
        for (const call of [
            () => Usock.Seqpacket.new_from_fd(fd), () => Usock.Stream.new_from_fd(fd),
            () => Usock.Dgram.new_from_fd(fd), () => Usock.Handle.new_from_fd(fd),
            () => new Usock.Message('x').append_fd(fd),
            () => new Usock.Message('x').append_fd_owned(fd),
            () => new Usock.Server().listen_on_fd(fd),
        ])
            throws(call, RangeError);
    }
});

// It would close the descriptor a second time, whosesoever it is by then.
testSocket('an object in place of a descriptor that is given away', async fixture => {
    const [first] = fixture.pair();
    for (const call of [
        () => Usock.Seqpacket.new_from_fd(first), () => Usock.Handle.new_from_fd(first),
        () => new Usock.Message('x').append_fd_owned(first),
        () => new Usock.Server().listen_on_fd(first),
    ])
        throws(call, RangeError);
    new Usock.Message('x').append_fd(first);
});

// A name that nobody knows would be ignored without a word, and with it what was meant.
testSocket('what is not an option', async fixture => {
    const [first, second] = fixture.pair();
    const [stream] = Usock.Stream.pair().map(channel => fixture.keep(channel));
    const [handle] = Usock.Handle.pair().map(socket => fixture.keep(socket));
    const dgram = fixture.keep(new Usock.Dgram());
    const server = fixture.serve();
    const bad = [[0], [], 5, 'x', true, {fd: 0}, {Fds: [0]}, {timeOut: 1}, new Uint8Array(), first,
        () => {}, new Map(), new Gio.Cancellable(), new Date()];
    for (const options of bad) {
        for (const call of [
            () => first.send('x', options), () => first.send(new Usock.Message('x'), options),
            () => first.end_with_message('x', options), () => first.post('x', options),
            () => dgram.send_to('x', fixture.path, options),
            () => dgram.send_to('x', Usock.address_parse(fixture.path), options),
            () => server.broadcast('x', options), () => handle.send('x', options),
            () => handle.sendmsg('x', options), () => handle.receive(1, options),
            () => handle.recvmsg(1, options), () => handle.recvmsg_into(new Uint8Array(1), options),
            () => Usock.Handle.connected(fixture.path, options),
            () => Usock.Handle.listening(fixture.path, options), () => stream.lines(options),
        ])
            throws(call, TypeError);
        for (const call of [
            () => first.send_async('x', options), () => dgram.send_to_async('x', '@x', options),
            () => new Usock.Stream().open_host('localhost', 1, options),
        ])
            await rejects(call(), TypeError);
    }
    for (const options of [{fds: 0}, {fds: {}}, {flags: 0}, {destination: null}])
        throws(() => first.send('x', options), TypeError);
    for (const timeout of [null, '1', 1.5, -2, NaN, 2 ** 31]) {
        for (const call of [
            () => handle.receive(1, {timeout}), () => handle.recvmsg(1, {timeout}),
            () => handle.send('x', {timeout}), () => handle.sendmsg('x', {timeout}),
            () => handle.open('@x', {timeout}), () => handle.accept({timeout}),
            () => Usock.Handle.connected('@x', {timeout}),
        ])
            throws(call, TypeError);
    }
    equal(first.get_messages_written(), 0);
    first.send('x', null);
    first.send('y', {});
    equal((await second.receive()).text, 'x');
});

testSocket('what has a descriptor is one', async fixture => {
    const [first, second] = fixture.pair();
    second.max_fds = 9;
    const file = Gio.File.new_for_path('/dev/null').read(null);
    const stream = Gio.Socket.new(Gio.SocketFamily.UNIX, Gio.SocketType.STREAM, 0);
    const handle = fixture.keep(Usock.Handle.new_socket(Usock.Family.UNIX));
    first.send('x', {fds: [file, stream, handle, first, {fd: 0}, {get_fd: () => 0}, 0]});
    const message = await second.receive();
    equal(message.get_n_fds(), 7);
    message.close_fds();
    for (const fd of [{}, {fd: '0'}, {get_fd: () => null}, 'x', null])
        throws(() => first.send('x', {fds: [fd]}), RangeError);
    file.close(null);
    stream.close();
});

testSocket('destroyed with an error of JavaScript', async fixture => {
    for (const [error, expected] of [
        [new Error('no more of this'), 'no more of this'], [new TypeError(), 'TypeError'],
        [new RangeError('too much'), 'too much'],
        [new GLib.Error(Code, Code.BUSY, 'busy'), 'busy'],
    ]) {
        const [first] = fixture.pair();
        const log = new Log(first, 'error', 'close');
        first.destroy(error);
        await log.wait('close');
        equal(log.names, ['error', 'close']);
        ok(log[0][1] instanceof GLib.Error, 'a GLib.Error');
        equal(log[0][1].message, expected);
    }
    const [first] = fixture.pair();
    for (const error of ['text', 5, {}, {message: 'x'}, true])
        throws(() => first.destroy(error), TypeError);
    const log = new Log(first, 'error', 'close');
    first.destroy();
    await log.wait('close');
    equal(log.names, ['close']);
});

testSocket('what is not a list', async fixture => {
    const [first] = fixture.pair();
    for (const call of [
        () => first.send('x', {fds: 0}), () => first.send_with_fds('x', 0),
        () => first.send_messages(new Usock.Message('x')), () => Usock.poll(first, 0),
        () => new Usock.Dgram().send_message_to_all(new Usock.Message('x'), 5),
        () => new Usock.Handle().recvmsg({}), () => Usock.notify('x', 0),
    ])
        throws(call, TypeError);
});

testSocket('polling what can not be', async fixture => {
    const [first] = fixture.pair();
    for (const call of [
        () => Usock.poll([null], 0), () => Usock.poll([{}], 0), () => Usock.poll([[first, 'x']], 0),
        () => Usock.poll([[first, null]], 0), () => Usock.poll([first], 'x'),
        () => Usock.poll([first], Symbol.iterator), () => Usock.poll([first], 0, 5),
        () => Usock.poll([first], 0, first), () => Usock.poll(first, 0),
    ])
        throws(call, TypeError);
});

testSocket('addresses', async () => {
    for (const text of ['/run/x', '@abstract', '@with\\x00nul', '@back\\\\slash', 'relative'])
        equal(Usock.address_to_string(Usock.address_parse(text)), text);
    for (const text of ['', '@bad\\escape', '@\\x0', `@${'x'.repeat(200)}`])
        throws(() => Usock.address_parse(text), GLib.Error);
});

run();
