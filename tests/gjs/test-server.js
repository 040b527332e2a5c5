// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Who may in, the list of those who are, what is sent to all, and the end of a server.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run} from './tap.js';
import {closeFd, testSocket, text, turns, waitFor} from './fixture.js';

const USER = new Gio.Credentials().get_unix_user();

function start(fixture, properties = {}) {
    const log = [];
    const server = fixture.serve(channel => {
        log.push('connection');
        channel.connect('data', (_channel, data) => void log.push(text(data)));
    }, properties);
    server.connect('drop', (_server, credentials) =>
        void log.push(`drop ${credentials?.get_unix_user()}`));
    return [server, log];
}

function client(fixture) {
    const channel = fixture.keep(new Usock.Seqpacket());
    channel.connect_to_path(fixture.path);
    return channel;
}

for (const [name, verdict, allowed] of [
    ['ALLOW', Usock.Verdict.ALLOW, true],
    ['true', true, true],
    ['REFUSE', Usock.Verdict.REFUSE, false],
    ['nothing', undefined, false],
    ['null', null, false],
    ['text', 'yes', false],
    ['an object', {}, false],
    ['a promise', Promise.resolve(Usock.Verdict.ALLOW), false],
]) {
    testSocket(`a verdict that is ${name}`, async fixture => {
        const [server, log] = start(fixture);
        server.connect('authorize', () => verdict);
        client(fixture).send('secret');
        await waitFor(() => log.length === (allowed ? 2 : 1));
        equal(log, allowed ? ['connection', 'secret'] : [`drop ${USER}`]);
    });
}

testSocket('an async handler refuses', async fixture => {
    const [server, log] = start(fixture);
    server.connect('authorize', async () => {
        await null;
        return Usock.Verdict.ALLOW;
    });
    client(fixture).send('secret');
    await waitFor(() => log.length);
    turns();
    equal(log, [`drop ${USER}`]);
});

testSocket('what is known of a peer', async fixture => {
    const [server] = start(fixture);
    client(fixture);
    await waitFor(() => server.get_n_items() === 1);
    const [channel] = server;
    equal(channel.get_peer_credentials().get_unix_user(), USER);
    ok(Array.isArray(channel.get_peer_groups()));
    try {
        closeFd(channel.dup_peer_pidfd());
    } catch (error) {
        ok(error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_SUPPORTED), error.message);
    }
    try {
        ok(channel.get_peer_security_label().length);
    } catch (error) {
        ok(error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_SUPPORTED), error.message);
    }
});

testSocket('limits', async fixture => {
    const [, log] = start(fixture, {max_connections: 1});
    client(fixture);
    client(fixture);
    await waitFor(() => log.length === 2);
    equal(log, ['connection', `drop ${USER}`]);
});

testSocket('a list of channels', async fixture => {
    const [server] = start(fixture);
    const changes = [];
    server.connect('items-changed', (_server, ...change) => void changes.push(change));
    equal([...server], []);
    const clients = [1, 2, 3].map(() => client(fixture));
    await waitFor(() => server.get_n_items() === 3);
    const channels = [...server];
    equal(channels.length, 3);
    ok(server.get_item(1) === channels[1]);
    clients[1].close();
    await waitFor(() => server.get_n_items() === 2);
    ok([...server].every((channel, i) => channel === [channels[0], channels[2]][i]));
    equal(changes, [[0, 0, 1], [1, 0, 1], [2, 0, 1], [1, 1, 0]]);
    for (const channel of server)
        channel.close();
    await waitFor(() => server.get_n_items() === 0);
});

testSocket('broadcast', async fixture => {
    const [server] = start(fixture);
    const clients = [1, 2, 3].map(() => client(fixture));
    await waitFor(() => server.get_n_items() === 3);
    equal(server.broadcast('grüße'), 3);
    equal(server.broadcast(new Uint8Array([1, 2, 3]), {offset: 1, length: 1}), 3);
    equal(server.broadcast(Usock.Message.new_from_text('whole')), 3);
    for (const channel of clients) {
        equal((await channel.receive()).text, 'grüße');
        equal([...(await channel.receive()).data], [2]);
        equal((await channel.receive()).text, 'whole');
    }
    equal(server.get_messages_missed(), 0);
});

testSocket('pausing', async fixture => {
    const [server, log] = start(fixture, {pause_on_connect: true});
    server.pause();
    client(fixture).send('hello');
    turns();
    equal(log, []);
    ok(server.paused);
    server.resume();
    await waitFor(() => log.length);
    const [channel] = server;
    ok(channel.paused);
    channel.resume();
    await waitFor(() => log.length === 2);
    equal(log, ['connection', 'hello']);
});

testSocket('closing gracefully', async fixture => {
    const [server] = start(fixture);
    const [first] = [client(fixture), client(fixture)];
    await waitFor(() => server.get_n_items() === 2);
    server.broadcast('goodbye');
    first.end();
    equal(await server.close_gracefully(50), 1);
    equal((await first.receive()).text, 'goodbye');
    equal(await new Usock.Server().close_gracefully(50), 0);
});

testSocket('cancelling that', async fixture => {
    const [server] = start(fixture);
    client(fixture);
    await waitFor(() => server.get_n_items() === 1);
    const cancellable = new Gio.Cancellable();
    const closing = server.close_gracefully(-1, cancellable);
    GLib.idle_add(GLib.PRIORITY_DEFAULT, () => cancellable.cancel());
    try {
        await closing;
        throw new Error('not cancelled');
    } catch (error) {
        ok(error.matches?.(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED), error.message);
    }
});

run();
