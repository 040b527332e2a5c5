// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// How long an awaited call waits, and what one that gave up leaves behind: everything.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {testSocket, turns, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

function later(milliseconds) {
    return new Promise(resolve => {
        GLib.timeout_add(GLib.PRIORITY_DEFAULT, milliseconds, () => {
            resolve('later');
            return GLib.SOURCE_REMOVE;
        });
    });
}

// A pair whose first one can send no more.
function fullPair(fixture, type = Usock.Seqpacket) {
    const [first, second] = type.pair().map(channel => fixture.keep(channel));
    first.queue_limit = 1000;
    throws(() => {
        for (;;)
            first.send(new Uint8Array(1000));
    }, Code, Code.WOULD_BLOCK);
    return [first, second];
}

testSocket('every awaited call takes a timeout', async fixture => {
    const [first] = fixture.pair();
    const [stream] = Usock.Stream.pair().map(channel => fixture.keep(channel));
    const [full] = fullPair(fixture);
    const [full2] = fullPair(fixture);
    for (const [name, call] of [
        ['receive', wait => first.receive(wait)],
        ['receive', wait => first.receive_async(wait)],
        ['receive exactly', wait => stream.receive_exactly(1, 0, wait)],
        ['receive line', wait => stream.receive_line(wait)],
        ['receive text', wait => stream.receive_text(wait)],
        ['receive line', wait => stream.lines(wait).next()],
        ['send message', wait => full.send_async('x', wait)],
        ['flush', wait => full.flush(wait)],
        ['end', wait => full2.end_async(wait)],
        ['connect when available',
            wait => new Usock.Seqpacket().connect_when_available_async(fixture.path, 60_000, wait)],
    ]) {
        for (const timeout of [0, 1, 20]) {
            const error = await rejects(call({timeout}), Code, Code.TIMED_OUT);
            equal(error.message, `Could not ${name}: waited ${timeout} ms in vain`);
        }
    }
});

testSocket('a call that is done in time', async fixture => {
    const [first, second] = fixture.pair();
    const cancellable = new Gio.Cancellable();
    for (const wait of [{timeout: 60_000}, {timeout: -1}, {timeout: 60_000, cancellable}, {}, null,
        cancellable, {cancellable}, {cancellable: null}]) {
        const waiting = second.receive(wait);
        first.send('x');
        equal((await waiting).text, 'x');
    }
    first.send('there already');
    equal((await second.receive({timeout: 0})).text, 'there already');
    fixture.serve();
    fixture.keep(await new Usock.Seqpacket().open(fixture.path, {timeout: 60_000}));
});

testSocket('who is cancelled is told so, and not that it is late', async fixture => {
    const [, second] = fixture.pair();
    const cancellable = new Gio.Cancellable();
    const waiting = second.receive({timeout: 60_000, cancellable});
    turns();
    cancellable.cancel();
    await rejects(waiting, Code, Code.CANCELLED);
    await rejects(second.receive({timeout: 60_000, cancellable}), Code, Code.CANCELLED);
});

testSocket('what came while the program was busy came in time', async fixture => {
    const [first, second] = fixture.pair();
    for (let i = 0; i < 4; i++) {
        // Long enough for the turns, however busy the machine is.
        const waiting = second.receive({timeout: 300});
        turns();
        const start = GLib.get_monotonic_time();
        while (GLib.get_monotonic_time() < start + 310_000)
            first.state;
        first.send(`${i}`);
        equal((await waiting).text, `${i}`);
    }
});

testSocket('a time that is over loses nothing', async fixture => {
    const [first, second] = fixture.pair();
    const got = [];
    let late = 0;
    const sending = (async () => {
        for (let i = 0; i < 300; i++) {
            first.send(`${i}`);
            await later(i % 3);
        }
        first.end();
    })();
    for (;;) {
        try {
            const message = await second.receive({timeout: 1});
            if (message === null)
                break;
            got.push(message.text);
        } catch (error) {
            ok(error.matches(Code, Code.TIMED_OUT), error.message);
            late++;
        }
    }
    await sending;
    equal(got, Array.from({length: 300}, (_, i) => `${i}`));
    ok(late > 0, 'calls that gave up');
});

testSocket('lines and pieces that gave up half-way', async fixture => {
    const [first, second] = Usock.Stream.pair().map(channel => fixture.keep(channel));
    first.send('half a ');
    await rejects(second.receive_line({timeout: 20}), Code, Code.TIMED_OUT);
    await rejects(second.receive_exactly(100, 0, {timeout: 20}), Code, Code.TIMED_OUT);
    first.send('line\nrest');
    equal(await second.receive_line({timeout: 60_000}), 'half a line');
    equal((await second.receive_exactly(4)).text, 'rest');
});

testSocket('an awaited close_gracefully', async fixture => {
    for (const argument of [20, {timeout: 20}]) {
        const [full] = fullPair(fixture);
        await rejects(full.close_gracefully(argument), Code, Code.TIMED_OUT);
        equal(full.state, Usock.State.CLOSED);
    }
    const server = fixture.serve();
    equal(await server.close_gracefully({timeout: 1000}), 0);
});

testSocket('what is not a time, and what is not an option', async fixture => {
    const [first] = fixture.pair();
    for (const timeout of ['1', 1.5, NaN, -2, 2 ** 31, null, {}])
        await rejects(first.receive({timeout}), TypeError);
    for (const options of [5, 'x', [0], [], {time: 1}, {timeout: 1, cancelable: null}, first,
        {cancellable: {}}, new Uint8Array(1), Symbol.iterator, new Map()])
        await rejects(first.receive(options), TypeError).catch(error => {
            throw new Error(`${String(options)}: ${error.message}`);
        });
    equal(first.state, Usock.State.OPEN);
});

testSocket('timers and handlers are let go', async fixture => {
    const [first, second] = fixture.pair();
    const cancellable = new Gio.Cancellable();
    const {timeout_add} = GLib;
    const timers = [];
    GLib.timeout_add = (...args) => {
        timers.push(timeout_add(...args));
        return timers.at(-1);
    };
    try {
        for (let i = 0; i < 100; i++) {
            const waiting = second.receive({timeout: 600_000, cancellable});
            first.send('x');
            await waiting;
        }
    } finally {
        GLib.timeout_add = timeout_add;
    }
    equal(timers.length, 100);
    ok(timers.every(id => GLib.MainContext.default().find_source_by_id(id) === null), 'no timer');
    const signal = GObject.signal_lookup('cancelled', Gio.Cancellable);
    equal(GObject.signal_has_handler_pending(cancellable, signal, 0, true), false);
});

run();
