// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// A connection that comes back, awaited and iterated.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {testSocket, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

function clientOf(fixture, properties = {}) {
    const client = new Usock.Client({min_delay: 1, max_delay: 5, ...properties});
    fixture.keep({close: () => client.stop()});
    return client;
}

function serveCalls(fixture, handlers) {
    return fixture.serve(channel => {
        const peer = new Usock.Peer(channel);
        for (const [name, handler] of Object.entries(handlers))
            peer.handle(name, handler);
    });
}

function dropAll(server) {
    [...server].forEach(channel => channel.close());
}

testSocket('what is sent waits for a server', async fixture => {
    const client = clientOf(fixture);
    ok(client.start(fixture.path));
    client.send('one');
    client.send(Uint8Array.of(50));
    let done = false;
    const sending = client.send_async('three').then(sent => (done = sent));
    await Promise.resolve();
    ok(!done);
    const channel = fixture.keep(await fixture.serve().accept());
    equal(await sending, true);
    const got = [];
    for await (const message of channel) {
        got.push(message.text);
        if (got.length === 3)
            break;
    }
    equal(got.join(), 'one,2,three');
    equal(await client.connected(), client.channel);
});

testSocket('what was not sent comes back', async fixture => {
    const client = clientOf(fixture);
    const log = [];
    client.connect('unsent', (_client, message, error) => log.push([message.text, error]));
    client.start(fixture.path);
    client.send_text('lost');
    await rejects(client.send_async('late', {timeout: 10}), Gio.IOErrorEnum, Code.TIMED_OUT);
    client.stop();
    await waitFor(() => log.length);
    equal(log[0][0], 'lost');
    ok(log[0][1].matches(Gio.IOErrorEnum, Code.CLOSED));
    throws(() => client.send('stopped'), Gio.IOErrorEnum, Code.NOT_CONNECTED);
});

testSocket('waiting tells why', async fixture => {
    const client = clientOf(fixture);
    const log = [];
    client.connect('waiting', (_client, delay, error) => log.push([delay, error]));
    client.start(fixture.path);
    await waitFor(() => log.length >= 3);
    for (const [delay, error] of log) {
        ok(delay <= 5);
        ok(error.matches(Gio.IOErrorEnum, Code.NOT_FOUND));
    }
    await rejects(client.connected({timeout: 10}), Gio.IOErrorEnum, Code.TIMED_OUT);
});

testSocket('places', async fixture => {
    for (const where of [fixture.path, Gio.File.new_for_path(fixture.path),
        Gio.UnixSocketAddress.new(fixture.path)]) {
        const server = fixture.serve();
        const client = clientOf(fixture);
        client.start(where);
        await client.connected();
        client.stop();
        server.close();
    }
    const server = fixture.keep(new Usock.Server({socket_type: Gio.SocketType.STREAM}));
    server.listen('127.0.0.1:0');
    const client = fixture.keep(Object.assign(new Usock.Client(Usock.Stream), {
        close() {
            this.stop();
        },
    }));
    client.start(`127.0.0.1:${server.local_address.get_port()}`);
    ok(await client.connected() instanceof Usock.Stream);
    client.stop();
    client.start('localhost:1');
    client.stop();
    throws(() => client.start(7), TypeError);
    throws(() => client.start('a\0b'), Gio.IOErrorEnum, Code.INVALID_FILENAME);
    throws(() => client.start_for_host('localhost', '1'), TypeError);
    throws(() => clientOf(fixture).start('localhost:1'), Gio.IOErrorEnum, Code.NOT_SUPPORTED);
});

testSocket('one connection after the other', async fixture => {
    const server = fixture.serve(channel => channel.send('hello'));
    const client = clientOf(fixture);
    client.start(fixture.path);
    const got = [];
    for await (const channel of client) {
        for await (const message of channel) {
            got.push(message.text);
            dropAll(server);
        }
        if (got.length === 3)
            client.stop();
    }
    equal(got.join(), 'hello,hello,hello');
});

testSocket('stopping ends the loop', async fixture => {
    fixture.serve();
    const client = clientOf(fixture);
    client.start(fixture.path);
    let n = 0;
    for await (const channel of client) {
        ok(channel instanceof Usock.Seqpacket);
        n++;
        GLib.idle_add(GLib.PRIORITY_DEFAULT, () => {
            client.stop();
            return GLib.SOURCE_REMOVE;
        });
    }
    equal(n, 1);
});

testSocket('calls survive a restart', async fixture => {
    const client = clientOf(fixture);
    client.start(fixture.path);
    const calls = [0, 1, 2].map(i => client.call('Double', i));
    const server = serveCalls(fixture, {Double: body => body * 2});
    equal((await Promise.all(calls)).join(), '0,2,4');
    dropAll(server);
    server.close();
    serveCalls(fixture, {Double: body => body * 3});
    equal(await client.call('Double', 5, {timeout: 20000}), 15);
    throws(() => client.send('words'), Gio.IOErrorEnum, Code.NOT_SUPPORTED);
});

testSocket('a call is not made twice', async fixture => {
    const asked = [];
    const server = serveCalls(fixture, {
        Die(body) {
            asked.push(body);
            dropAll(server);
            return new Promise(() => {});
        },
    });
    const client = clientOf(fixture);
    client.start(fixture.path);
    await rejects(client.call('Die', 1), Gio.IOErrorEnum, Code.CONNECTION_CLOSED);
    await client.connected();
    equal(asked.join(), '1');
});

testSocket('time limits', async fixture => {
    const client = clientOf(fixture);
    client.start(fixture.path);
    await rejects(client.call('Any', null, {timeout: 10}), Gio.IOErrorEnum, Code.TIMED_OUT);
    serveCalls(fixture, {Keep: () => new Promise(() => {})});
    await client.connected();
    await rejects(client.call('Keep', null, {timeout: 50}), Gio.IOErrorEnum, Code.TIMED_OUT);
    const cancellable = new Gio.Cancellable();
    cancellable.cancel();
    await rejects(client.call('Keep', null, {cancellable}), Gio.IOErrorEnum, Code.CANCELLED);
});

testSocket('handlers are there on each connection', async fixture => {
    const client = clientOf(fixture);
    client.handle('Name', body => `client ${body}`);
    const peers = [];
    const server = fixture.serve(channel => peers.push(new Usock.Peer(channel)));
    client.start(fixture.path);
    for (let i = 0; i < 2; i++) {
        await waitFor(() => peers.length > i);
        equal(await peers[i].call('Name', i), `client ${i}`);
        dropAll(server);
    }
    await waitFor(() => peers.length === 3 && client.get_peer() !== null);
    client.handle('Late', () => 'late');
    equal(await peers[2].call('Late'), 'late');
});

const Own = GObject.registerClass({GTypeName: 'TestClientOwn'},
    class Own extends Usock.Seqpacket {});

testSocket('classes of channels', async fixture => {
    fixture.serve();
    const client = clientOf(fixture, {channel_type: Own});
    client.start(fixture.path);
    ok(await client.connected() instanceof Own);
    for (const type of [Usock.Dgram, Usock.Channel, 7, 'Stream'])
        throws(() => new Usock.Client({channel_type: type}), TypeError);
    throws(() => new Usock.Client({min_delay: '1'}), TypeError);
});

testSocket('what is not started', async fixture => {
    const client = clientOf(fixture);
    await rejects(client.connected(), Gio.IOErrorEnum, Code.NOT_CONNECTED);
    await rejects(client.call('Any'), Gio.IOErrorEnum, Code.NOT_CONNECTED);
    await rejects(client.send_async('x'), Gio.IOErrorEnum, Code.NOT_CONNECTED);
    equal(client.get_peer(), null);
    client.stop();
    client.start(fixture.path);
    throws(() => client.start(fixture.path), Gio.IOErrorEnum, Code.PENDING);
    throws(() => client.send(7), TypeError);
});

run();
