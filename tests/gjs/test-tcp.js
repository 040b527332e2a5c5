// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Connections by TCP, and waiting for a server.

import Gio from 'gi://Gio';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {Log, closeFd, testSocket, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

function serve(fixture, host = '127.0.0.1') {
    const server = fixture.keep(Usock.Server.new(Gio.SocketType.STREAM));
    server.connect('connection', (_server, channel) => {
        channel.connect('data', (_channel, data) => channel.send(data));
    });
    server.listen_on_host(host, 0);
    return [server, server.local_address.port];
}

testSocket('a host', async fixture => {
    const [, port] = serve(fixture);
    const stream = fixture.keep(Usock.Stream.new());
    const found = [];
    stream.connect('lookup', (_stream, error, address, family, host) =>
        void found.push([error, address, family, host]));
    equal(await stream.open_host('localhost', port, {family: Gio.SocketFamily.IPV4}), stream);
    equal(found.length, 1);
    equal(found[0].join(), `,127.0.0.1,${Gio.SocketFamily.IPV4},localhost`);
    equal(stream.remote_address.address.to_string(), '127.0.0.1');
    equal(stream.remote_address.port, port);
    ok(stream.local_address.port > 0);
    stream.send('hello\n');
    equal(await stream.receive_line(), 'hello');
});

testSocket('all interfaces', async fixture => {
    const [server, port] = serve(fixture, null);
    for (const host of ['127.0.0.1', '::1']) {
        const stream = fixture.keep(Usock.Stream.new());
        await stream.connect_to_host_async(host, port, Gio.SocketFamily.INVALID);
        equal(stream.state, Usock.State.OPEN);
    }
    throws(() => server.listen_on_host('127.0.0.1', 0), Code, Code.EXISTS);
});

testSocket('failures', async fixture => {
    const [server, port] = serve(fixture);
    const stream = fixture.keep(Usock.Stream.new());
    throws(() => stream.connect_to_host('', port), Code, Code.INVALID_ARGUMENT);
    throws(() => stream.connect_to_host('127.0.0.1', 65536), Code, Code.INVALID_ARGUMENT);
    throws(() => stream.connect_to_host('a\0b', 1), Code, Code.INVALID_FILENAME);
    throws(() => Usock.Server.new(Gio.SocketType.STREAM).listen_on_host('a\0b', 0), Code,
        Code.INVALID_FILENAME);
    const closed = new Log(server, 'close');
    server.close();
    await waitFor(() => closed.length > 0);
    const log = new Log(stream, 'error', 'close');
    await rejects(stream.open_host('127.0.0.1', port), Code, Code.CONNECTION_REFUSED);
    await waitFor(() => log.length === 2);
    equal(log[0][1].message, `Could not connect to “127.0.0.1:${port}”: Connection refused`);
});

testSocket('cancelling', async fixture => {
    const [, port] = serve(fixture);
    const stream = fixture.keep(Usock.Stream.new());
    const cancellable = new Gio.Cancellable();
    const opening = stream.open_host('127.0.0.1', port, {cancellable});
    cancellable.cancel();
    await rejects(opening, Code, Code.CANCELLED);
    equal(stream.state, Usock.State.NEW);
    await stream.open_host('127.0.0.1', port);
});

testSocket('from an address', async fixture => {
    const [, port] = serve(fixture);
    const stream = fixture.keep(Usock.Stream.new());
    stream.bind_address = Gio.InetSocketAddress.new_from_string('127.0.0.77', 0);
    await stream.connect_async(Gio.InetSocketAddress.new_from_string('127.0.0.1', port));
    equal(stream.local_address.address.to_string(), '127.0.0.77');
});

testSocket('a shared port', async fixture => {
    const fd = Usock.Server.open_reuse_port_fd('127.0.0.1', 0);
    const server = fixture.keep(Usock.Server.new(Gio.SocketType.STREAM));
    server.listen_on_fd(fd, 0);
    closeFd(Usock.Server.open_reuse_port_fd('127.0.0.1', server.local_address.port));
    throws(() => Usock.Server.open_reuse_port_fd('192.0.2.1', 0), Code, Code.FAILED);
});

testSocket('a server that starts later', async fixture => {
    for (const [Channel, type] of [[Usock.Stream, Gio.SocketType.STREAM],
        [Usock.Seqpacket, Gio.SocketType.SEQPACKET]]) {
        const path = `${fixture.path}-${type}`;
        const channel = fixture.keep(Channel.new());
        const connecting = channel.connect_when_available_async(path, -1);
        equal(channel.state, Usock.State.CONNECTING);
        const server = fixture.keep(Usock.Server.new(type));
        server.listen_on_path(path);
        await connecting;
        equal(channel.state, Usock.State.OPEN);
    }
    const channel = fixture.keep(Usock.Stream.new());
    await rejects(channel.connect_when_available_async(`${fixture.path}-no`, 30), Code,
        Code.TIMED_OUT);
});

run();
