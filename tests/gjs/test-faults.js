// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Calls that fail while the handlers of a script throw.
//
// Each call of the system fails in each way that is short of something, once or again and again, in
// the middle of a conversation in which every kind of handler throws. No message is missing or comes
// twice where nobody was told of an error, each exception is reported once, and who listens goes on.

import Gio from 'gi://Gio';
import Usock from 'gi://Usock?version=1';
import UsockFaults from 'gi://UsockFaults?version=1';

import {equal, ok, run} from './tap.js';
import {fail, raise, testFaults} from './faults.js';
import {text, waitFor} from './fixture.js';

const KINDS = [[Usock.Seqpacket, Gio.SocketType.SEQPACKET], [Usock.Stream, Gio.SocketType.STREAM]];
const MESSAGES = Array.from({length: 30}, (_, i) => `${i};`);
const ALL = MESSAGES.join('');

function count(string) {
    return string.split(';').length - 1;
}

// What one of those who talk has heard, whose handlers throw now and then.
class Party {
    constructor(channel) {
        this.channel = channel;
        this.heard = '';
        this.told = {error: 0, end: 0, close: 0};
        for (const signal of Object.keys(this.told)) {
            channel.connect(signal, () => {
                this.told[signal]++;
                fail(signal);
            });
        }
    }

    hear(data) {
        const before = count(this.heard);
        this.heard += text(data);
        if (Math.floor(before / 3) !== Math.floor(count(this.heard) / 3))
            fail('hear');
    }

    // A gap would be a lost message: who can not send one sends no others.
    send(data, fds = []) {
        try {
            this.channel.send_with_fds(data, fds);
        } catch (error) {
            this.channel.destroy(error);
            throw error;
        }
    }
}

class Echo extends Party {
    constructor(channel) {
        super(channel);
        channel.connect('message', (_channel, message) => {
            try {
                this.send(message.data);
            } catch (error) {
                raise(error);
            }
            this.hear(message.data);
        });
    }
}

class Asker extends Party {
    constructor(channel) {
        super(channel);
        channel.connect('data', (_channel, data) => this.hear(data));
    }

    // Resolves with false if one could not begin.
    async ask(path) {
        try {
            this.channel.connect_to_path(path);
        } catch {
            equal(this.channel.state, Usock.State.NEW);
            return false;
        }
        try {
            MESSAGES.forEach((data, i) => this.send(data, i % 5 === 0 ? [2] : []));
            this.channel.end();
        } catch {}
        await waitFor(() => this.told.close);
        return true;
    }

    judge() {
        equal(this.told.close, 1, 'close');
        ok(this.told.error <= 1 && this.told.end <= 1, JSON.stringify(this.told));
        ok(ALL.startsWith(this.heard), this.heard);
        if (!this.told.error)
            equal(this.heard, ALL);
    }
}

async function converse(fixture, kind, path) {
    const asker = new Asker(fixture.keep(new kind()));
    const begun = await asker.ask(path);
    asker.channel.close();
    return [asker, begun];
}

async function check(fixture, [kind, type], fault) {
    const echoes = [];
    const server = fixture.keep(new Usock.Server({socket_type: type, max_fds: 4}));
    server.connect('connection', (_server, channel) => {
        echoes.push(new Echo(channel));
        fail('connection');
    });
    server.connect('error', () => fail('server'));
    UsockFaults.add(...fault);
    try {
        server.listen(fixture.path);
    } catch {
        UsockFaults.clear();
        server.listen(fixture.path);
    }
    const [asker, begun] = await converse(fixture, kind, fixture.path);
    UsockFaults.clear();
    if (begun)
        asker.judge();
    const [next] = await converse(fixture, kind, fixture.path);
    equal(next.heard, ALL);
    server.close();
    await waitFor(() => echoes.every(echo => echo.told.close));
    for (const echo of echoes) {
        ok(ALL.startsWith(echo.heard), echo.heard);
        equal(echo.told.close, 1, 'close');
    }
}

for (const kind of KINDS)
    testFaults(kind[0].name, (fixture, fault) => check(fixture, kind, fault));

run();
