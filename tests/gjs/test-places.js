// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// One text has one meaning, whatever call takes it.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {testSocket, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;
const {Family, SockType} = Usock;

function portOf(socket) {
    return socket.get_local_address().get_port();
}

function inDirectory(fixture, body) {
    const before = GLib.get_current_dir();
    GLib.chdir(fixture.directory);
    return Promise.resolve(body()).finally(() => GLib.chdir(before));
}

function exists(path) {
    return GLib.file_test(path, GLib.FileTest.EXISTS);
}

testSocket('a host and a port are never a path', fixture => inDirectory(fixture, async () => {
    const servers = ['127.0.0.1:0', 'localhost:0', '[::1]:0'].map(where => {
        const server = fixture.keep(new Usock.Server({socket_type: Gio.SocketType.STREAM}));
        server.listen(where);
        ok(!exists(where), `a file ${where}`);
        return server;
    });
    for (const where of [`127.0.0.1:${portOf(servers[0])}`, `localhost:${portOf(servers[1])}`,
        `[::1]:${portOf(servers[2])}`]) {
        const stream = fixture.keep(await new Usock.Stream().open(where));
        ok([Family.INET, Family.INET6].includes(stream.family), where);
        const handle = fixture.keep(Usock.Handle.connected(where));
        ok(handle.family !== Family.UNIX, where);
    }
    const plain = fixture.keep(Usock.Handle.new_socket(Family.INET));
    plain.open(`127.0.0.1:${portOf(servers[0])}`, 10_000);
}));

testSocket('datagrams', fixture => inDirectory(fixture, async () => {
    const receiver = fixture.keep(new Usock.Dgram());
    receiver.bind('127.0.0.1:0');
    const port = portOf(receiver);
    const sender = fixture.keep(new Usock.Dgram());
    sender.send_to('by number', `127.0.0.1:${port}`);
    await sender.send_to_async('by name', `localhost:${port}`);
    const connected = fixture.keep(new Usock.Dgram());
    connected.bind('127.0.0.1:0');
    await connected.open(`localhost:${port}`);
    connected.send('connected');
    const handle = fixture.keep(Usock.Handle.new_socket(Family.INET, SockType.DGRAM));
    handle.bind('127.0.0.1:0');
    handle.send('handle', {destination: `127.0.0.1:${port}`});
    handle.sendmsg('looked up', {destination: `localhost:${port}`});
    for (const text of ['by number', 'by name', 'connected', 'handle', 'looked up'])
        equal((await receiver.receive()).text, text);
    // Neither waits for a resolver.
    throws(() => sender.send_to('x', `localhost:${port}`), Code, Code.INVALID_ARGUMENT);
    throws(() => fixture.keep(new Usock.Dgram()).bind(`localhost:${port}`), Code,
        Code.INVALID_ARGUMENT);
    ok(!exists(`127.0.0.1:${port}`) && !exists(`localhost:${port}`));
}));

testSocket('what has a slash, or no port, is a path', fixture => inDirectory(fixture, async () => {
    for (const where of ['plain', './127.0.0.1:80', './localhost:80', 'a:b', 'a:70000',
        `${fixture.directory}/localhost:80`]) {
        const server = fixture.keep(new Usock.Server());
        server.listen(where);
        ok(exists(where), `a file ${where}`);
        const channel = fixture.keep(await new Usock.Seqpacket().open(where));
        equal(channel.family, Family.UNIX);
        fixture.keep(Usock.Handle.connected(where, {type: SockType.SEQPACKET}));
        channel.close();
        server.close();
        await waitFor(() => !exists(where));
    }
}));

testSocket('a Gio.File is a path, whatever it looks like', async fixture => {
    for (const name of ['127.0.0.1:80', '@abstract', 'back\\slash', 'e\\x41']) {
        const file = Gio.File.new_for_path(`${fixture.directory}/${name}`);
        const receiver = fixture.keep(new Usock.Dgram());
        receiver.bind(file);
        ok(file.query_exists(null), name);
        const sender = fixture.keep(new Usock.Dgram());
        sender.send_to('x', file);
        await sender.send_to_async('y', file);
        sender.send_message_to_all(Usock.Message.new('z'), [file]);
        const handle = fixture.keep(Usock.Handle.new_socket(Family.UNIX, SockType.DGRAM));
        handle.send('handle', {destination: file});
        for (const text of ['x', 'y', 'z', 'handle'])
            equal((await receiver.receive()).text, text);
        receiver.close();
        await waitFor(() => !file.query_exists(null));
    }
    const remote = Gio.File.new_for_uri('https://example.org/socket');
    for (const call of [() => new Usock.Server().listen(remote),
        () => new Usock.Dgram().send_to('x', remote), () => new Usock.Dgram().bind(remote)])
        throws(call, TypeError);
});

testSocket('what a sender is called is a place', async fixture => {
    for (const name of ['plain', 'back\\slash', 'new\nline', 'ü']) {
        const asker = fixture.keep(new Usock.Dgram());
        asker.bind(Gio.File.new_for_path(`${fixture.directory}/${name}`));
        const answerer = fixture.keep(new Usock.Dgram());
        answerer.bind(`${fixture.directory}/answerer`);
        asker.send_to('question', `${fixture.directory}/answerer`);
        const {sender} = await answerer.receive();
        answerer.send_to('1', sender);
        const handle = fixture.keep(Usock.Handle.new_socket(Family.UNIX, SockType.DGRAM));
        handle.send('2', {destination: sender});
        handle.open(sender);
        handle.send('3');
        const connected = fixture.keep(new Usock.Dgram());
        await connected.open(sender);
        connected.send('4');
        for (const text of ['1', '2', '3', '4'])
            equal((await asker.receive()).text, text);
        answerer.close();
        asker.close();
        const again = fixture.keep(new Usock.Dgram());
        again.bind(sender);
        ok(exists(`${fixture.directory}/${name}`), name);
        again.close();
    }
    throws(() => new Usock.Server().listen('/bad\\escape'), Code, Code.INVALID_ARGUMENT);
    await rejects(new Usock.Seqpacket().open('/bad\\escape'), Code, Code.INVALID_ARGUMENT);
});

testSocket('a host that there is none', async () => {
    for (const where of ['no.such.host.invalid:80', 'bad host:80', '1.2.3.4.5:6']) {
        await rejects(new Usock.Stream().open(where), GLib.Error);
        throws(() => Usock.Handle.connected(where), GLib.Error);
    }
    for (const where of ['::1:80', '[]:80', '[x]:1'])
        await rejects(new Usock.Stream().open(where), Code, Code.INVALID_ARGUMENT);
});

run();
