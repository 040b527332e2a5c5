// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// GJS before 1.82 drops callbacks while its collector sweeps. Every message is counted here, in
// each way by which messages come, while the handlers make what keeps the collector busy.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, run} from './tap.js';
import {Log, testSocket} from './fixture.js';

// The full million takes two minutes and a half.
const MANY = GLib.getenv('USOCK_TEST_LONG') === '1' ? 1_000_000 : 100_000;

// As much as fits in the queue, so that nobody waits for room.
const IN_FLIGHT = 64;

// What is kept for a while survives some collections and so is swept later.
const kept = [];

function allocate(i) {
    const value = {
        variant: new GLib.Variant('(is)', [i, `message ${i}`]),
        time: i % 4 ? null : GLib.DateTime.new_from_unix_utc(i),
        action: i % 16 ? null : new Gio.SimpleAction({name: `action-${i}`}),
        list: [i, {i}, `${i}`],
    };
    kept[i % 1000] = value;
    return value.list[0];
}

// A number of its own in each message, so that no message can stand for another.
class Stream {
    constructor(fixture, total, size = 64) {
        [this.sender, this.receiver] = fixture.pair();
        this.total = total;
        this.size = size;
        this.sent = 0;
        this.received = 0;
        this.fill(IN_FLIGHT);
    }

    fill(count) {
        for (let i = 0; i < count && this.sent < this.total; i++) {
            const words = new Uint32Array(this.size / 4);
            words[0] = this.sent;
            this.sender.send(words);
            if (++this.sent === this.total)
                this.sender.end();
        }
    }

    count(data) {
        const number = new Uint32Array(data.buffer, data.byteOffset, 1)[0];
        if (number !== this.received || data.length !== this.size)
            throw new Error(`message ${this.received} is ${number}, ${data.length} bytes long`);
        allocate(this.received++);
        if (this.received % IN_FLIGHT === 0)
            this.fill(IN_FLIGHT);
    }
}

async function signalled(fixture, signal, total, bytesOf, size) {
    const stream = new Stream(fixture, total, size);
    let problem = null;
    stream.receiver.connect(signal, (_channel, value) => {
        try {
            bytesOf(value).forEach(data => stream.count(data));
        } catch (error) {
            problem ??= error;
        }
    });
    const log = new Log(stream.receiver, 'end', 'error', 'close');
    await new Promise(resolve => stream.receiver.connect('close', resolve));
    if (problem)
        throw problem;
    equal([log.names, stream.received], [['end', 'close'], total]);
}

testSocket(`${MANY} through data`, async fixture => {
    await signalled(fixture, 'data', MANY, data => [data]);
});

testSocket(`${MANY / 2} through message`, async fixture => {
    await signalled(fixture, 'message', MANY / 2, message => [message.data]);
});

testSocket(`${MANY / 2} through batch`, async fixture => {
    await signalled(fixture, 'batch', MANY / 2, batch => batch);
});

testSocket(`${MANY / 2} through for await`, async fixture => {
    const stream = new Stream(fixture, MANY / 2);
    for await (const message of stream.receiver)
        stream.count(message.data);
    equal(stream.received, MANY / 2);
});

testSocket('5,000 large ones through data and through for await', async fixture => {
    const size = 200 * 1024;
    await signalled(fixture, 'data', 5000, data => [data], size);
    const stream = new Stream(fixture, 5000, size);
    for await (const message of stream.receiver)
        stream.count(message.data);
    equal(stream.received, 5000);
});

testSocket('20,000 connections', async fixture => {
    let accepted = 0;
    const server = fixture.serve(channel => {
        allocate(accepted++);
        channel.close();
    });
    for (let i = 0; i < 20_000; i++) {
        const client = new Usock.Seqpacket();
        client.connect_to_path(fixture.path);
        client.close();
        if (i % 100 === 99) {
            const upTo = i;
            await new Promise(resolve => {
                const id = server.connect_after('connection', () => {
                    if (accepted > upTo) {
                        server.disconnect(id);
                        resolve();
                    }
                });
            });
        }
    }
    equal(accepted, 20_000);
});

run(600);
