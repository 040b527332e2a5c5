// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// A server and a client in a line each; descriptors; what the service manager passes.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run, throws} from './tap.js';
import {nullFd, testSocket, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;
const NAME = 'org.example.App';
const LEAVES = `
import System from 'system';
import Usock from 'gi://Usock?version=1';
const server = Usock.Server.new_for_name('${NAME}');
const client = Usock.Seqpacket.new_for_name('${NAME}');
System.exit(0);
`;

function fails(body, code, word = '') {
    const error = throws(body, Gio.IOErrorEnum, code);
    ok(error.message.includes(word), error.message);
}

function exists(path) {
    return GLib.file_test(path, GLib.FileTest.EXISTS);
}

function testNames(name, body) {
    testSocket(name, async fixture => {
        GLib.setenv('XDG_RUNTIME_DIR', GLib.path_get_dirname(fixture.path), true);
        await body(fixture, GLib.build_filenamev([GLib.getenv('XDG_RUNTIME_DIR'), NAME]));
    });
}

testNames('one line each', async (fixture, path) => {
    const server = fixture.keep(Usock.Server.new_for_name(NAME));
    const client = fixture.keep(Usock.Seqpacket.new_for_name(NAME));
    equal(server.path, path);
    equal(server.allowed_users, Usock.AllowedUsers.SAME_USER);
    client.send('hello');
    for await (const channel of server) {
        fixture.keep(channel);
        equal((await channel.receive()).text, 'hello');
        channel.send('hi');
        equal((await client.receive()).text, 'hi');
        break;
    }
    ok(server.active, 'leaving closes nothing');
    server.close();
    await waitFor(() => !exists(path));
});

testNames('one at a time', (fixture, path) => {
    const server = fixture.keep(Usock.Server.new_for_name(NAME));
    fails(() => Usock.Server.new_for_name(NAME), Code.ADDRESS_IN_USE, path);
    server.close();
});

testNames('a stream', async fixture => {
    const server = fixture.keep(new Usock.Server({socket_type: Gio.SocketType.STREAM}));
    equal(server.socket_type, Gio.SocketType.STREAM);
    const accepted = [];
    server.connect('connection', (_server, channel) => accepted.push(fixture.keep(channel)));
    server.listen_on_name(NAME);
    fixture.keep(Usock.Stream.new_for_name(NAME));
    await waitFor(() => accepted.length > 0);
    ok(accepted[0] instanceof Usock.Stream);
    fails(() => new Usock.Seqpacket().connect_to_name(NAME), Code.INVALID_ARGUMENT, NAME);
});

testNames('no name', () => {
    for (const name of ['', '.', '..', 'a/b', 'a\0b']) {
        for (const make of [
            () => Usock.Server.new_for_name(name),
            () => Usock.Seqpacket.new_for_name(name),
            () => Usock.Stream.new_for_name(name),
            () => new Usock.Server().listen_on_name(name),
            () => new Usock.Seqpacket().connect_to_name(name),
        ])
            fails(make, Code.INVALID_FILENAME, name.replaceAll('\0', '\\0'));
    }
    fails(() => Usock.Seqpacket.new_for_name(NAME), Code.NOT_FOUND, NAME);
    GLib.unsetenv('XDG_RUNTIME_DIR');
    fails(() => Usock.Server.new_for_name(NAME), Code.NOT_FOUND, 'XDG_RUNTIME_DIR');
    fails(() => Usock.Seqpacket.new_for_name(NAME), Code.NOT_FOUND, 'XDG_RUNTIME_DIR');
});

testNames('nothing is left at exit', async (fixture, path) => {
    const script = `${path}.js`;
    GLib.file_set_contents(script, LEAVES);
    const process = Gio.Subprocess.new(['gjs', '-m', script], Gio.SubprocessFlags.NONE);
    let done = false;
    process.wait_async(null, () => (done = true));
    await waitFor(() => done);
    ok(process.get_successful());
    ok(!exists(path));
});

testSocket('a descriptor', fixture => {
    const stream = nullFd();
    for (const fd of [-1, 1000, stream.get_fd()]) {
        fails(() => new Usock.Server().listen_on_fd(fd), Code.INVALID_ARGUMENT,
            `${fd}`);
    }
    stream.close(null);
    const path = `${fixture.path}/one/socket`;
    fails(() => new Usock.Server().listen(path), Code.NOT_FOUND, path);
    const server = fixture.keep(new Usock.Server({make_parents: true}));
    server.listen(path);
    ok(exists(path));
    server.close();
    GLib.rmdir(GLib.path_get_dirname(path));
    GLib.rmdir(fixture.path);
});

testSocket('nobody activated', () => {
    for (const make of [
        name => Usock.Seqpacket.new_activated(name),
        name => Usock.Stream.new_activated(name),
        name => Usock.Dgram.new_activated(name),
        name => new Usock.Server().listen_activated(name),
    ]) {
        fails(() => make(), Code.NOT_FOUND);
        fails(() => make('name'), Code.NOT_FOUND, 'name');
    }
});

run();
