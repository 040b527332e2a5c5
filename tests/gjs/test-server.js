// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Who may in, the list of those who are, what is sent to all, and the end of a server.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run} from './tap.js';
import {closeFd, testSocket, text, turns, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;
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

const Session = GObject.registerClass(
class TestServerSession extends Usock.Seqpacket {
    _init(properties) {
        super._init(properties);
        this.heard = [];
    }

    hear(data) {
        this.heard.push(text(data));
    }
});

// The callback form, of which the one that is awaited is made.
function accept(server, cancellable = null) {
    return new Promise((resolve, reject) => server.accept_async(cancellable, (source, result) => {
        try {
            resolve(source.accept_finish(result));
        } catch (error) {
            reject(error);
        }
    }));
}

function listen(fixture, properties = {}) {
    const server = fixture.keep(new Usock.Server(properties));
    server.listen_on_path(fixture.path);
    return server;
}

testSocket('a call takes one connection', async fixture => {
    const server = listen(fixture);
    client(fixture).send('first');
    client(fixture);
    const channel = fixture.keep(await accept(server));
    equal(server.get_n_items(), 1);
    equal((await channel.receive()).text, 'first');
});

testSocket('a call that was cancelled takes none', async fixture => {
    const server = listen(fixture);
    const cancellable = new Gio.Cancellable();
    const call = accept(server, cancellable);
    client(fixture).send('kept');
    cancellable.cancel();
    let failure = null;
    await call.catch(error => (failure = error));
    ok(failure.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED), failure.message);
    const channel = fixture.keep(await accept(server));
    equal((await channel.receive()).text, 'kept');
});

testSocket('an awaited accept', async fixture => {
    const server = listen(fixture);
    await rejects(server.accept({timeout: 1}), Code, Code.TIMED_OUT);
    equal(await Promise.race([server.accept(), Promise.resolve('there')]), 'there');
    client(fixture).send('first');
    const channel = fixture.keep(await server.accept({timeout: 10_000}));
    equal((await channel.receive()).text, 'first');
    const waiting = [server.accept(), server.accept_async()];
    server.close();
    equal(await waiting[0], null);
    await rejects(waiting[1], Code, Code.CLOSED);
    equal(await server.accept(), null);
    await rejects(new Usock.Server().accept(), Code, Code.NOT_INITIALIZED);
});

testSocket('a connection of a class of the program', async fixture => {
    const sessions = [];
    const server = fixture.keep(new Usock.Server({channel_type: Session.$gtype}));
    server.connect('connection', (_server, session) => {
        sessions.push(session);
        session.connect('data', (_session, data) => session.hear(data));
    });
    server.listen_on_path(fixture.path);
    client(fixture).send('hello');
    await waitFor(() => sessions[0]?.heard.length);
    ok(sessions[0] instanceof Session, 'another class');
    equal(sessions[0].heard, ['hello']);
    ok(server.get_item(0) === sessions[0], 'another object');
});

testSocket('broadcasting is listening', async fixture => {
    const server = listen(fixture);
    const channel = client(fixture);
    equal(server.broadcast('nobody is there yet'), 0);
    await waitFor(() => server.get_n_items() === 1);
    equal(server.broadcast('news'), 1);
    equal((await channel.receive()).text, 'news');
});

testSocket('what nobody claims goes', async fixture => {
    const server = fixture.serve(() => {}, {unclaimed_timeout: 50});
    const channel = client(fixture);
    channel.send('unheard');
    await waitFor(() => server.get_n_items() === 1);
    channel.close();
    await waitFor(() => server.get_n_items() === 0);
});

testSocket('the peer and the list at the end', async fixture => {
    const ends = [];
    const server = fixture.serve(channel => channel.connect('close', () => ends.push([
        channel.get_peer_credentials().get_unix_user(), server.get_n_items(),
        server.get_n_connections(),
    ])));
    const channel = client(fixture);
    await waitFor(() => server.get_n_items() === 1);
    channel.close();
    await waitFor(() => ends.length);
    equal(ends, [[USER, 0, 0]]);
});

testSocket('who was refused, and why', async fixture => {
    const [server] = start(fixture, {max_connections: 1});
    const told = [];
    server.connect('drop', (_server, _peer, address, reason) => told.push([address, reason]));
    client(fixture);
    await waitFor(() => server.get_n_items() === 1);
    client(fixture);
    await waitFor(() => told.length);
    equal(told, [[null, Usock.DropReason.MAX_CONNECTIONS]]);
});

run();
