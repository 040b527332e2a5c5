// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Large messages of which little is looked at do not pile up: their memory is not the engine's, which
// would not collect for it.

import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {ok, run} from './tap.js';
import {testSocket, text, waitFor} from './fixture.js';

const SIZE = 200_000;
const COUNT = 2000;
// The sanitizers keep what was freed for a while, and valgrind is a world of its own.
const GROWTH = 120 << 10;
const measures = !GLib.getenv('USOCK_TEST_SLOW') && !GLib.getenv('ASAN_OPTIONS');

function residentMemory() {
    const status = text(GLib.file_get_contents('/proc/self/status')[1]);
    return Number(status.match(/VmRSS:\s*(\d+)/)[1]);
}

// Sends them all, a few at a time, and looks how large the process gets.
async function pass(fixture, [first, second], receive) {
    const content = new Uint8Array(SIZE);
    let seen = 0;
    let peak = 0;
    const before = residentMemory();
    const receiving = receive(second, length => {
        ok(length === SIZE, `${length} bytes`);
        if (++seen % 50 === 0)
            peak = Math.max(peak, residentMemory());
    });
    for (let sent = 0; sent < COUNT; sent++) {
        first.send(content);
        if (first.queued_bytes > 0)
            await first.flush();
        await waitFor(() => sent - seen < 4);
    }
    await waitFor(() => seen === COUNT);
    first.end();
    await receiving;
    if (measures)
        ok(peak - before < GROWTH, `${peak - before} kB more, which is less than ${GROWTH}`);
}

const WAYS = {
    message: (channel, saw) => channel.connect('message', (_channel, message) =>
        saw(message.get_length())),
    'message, whose bytes are looked at': (channel, saw) => channel.connect('message',
        (_channel, message) => saw(message.data.length)),
    data: (channel, saw) => channel.connect('data', (_channel, data) => saw(data.length)),
    receive: async (channel, saw) => {
        for (let message; (message = await channel.receive()) !== null;)
            saw(message.get_length());
    },
    'for await': async (channel, saw) => {
        for await (const message of channel)
            saw(message.get_length());
    },
};

for (const [name, receive] of Object.entries(WAYS))
    testSocket(name, fixture => pass(fixture, fixture.pair(), receive));

testSocket('receive_exactly', fixture => pass(fixture,
    Usock.Stream.pair().map(channel => fixture.keep(channel)), async (channel, saw) => {
        for (let message; (message = await channel.receive_exactly(SIZE)) !== null;)
            saw(message.get_length());
    }));

testSocket('handles', fixture => {
    const [first, second] = Usock.Handle.pair(Usock.SockType.STREAM).map(h => fixture.keep(h));
    const content = new Uint8Array(SIZE);
    const before = residentMemory();
    let peak = 0;
    for (let i = 0; i < COUNT; i++) {
        let left = first.send(content, {timeout: 0});
        while (left > 0)
            left -= i % 2 ? second.recvmsg(left).get_length() : second.receive(left).length;
        if (i % 50 === 0)
            peak = Math.max(peak, residentMemory());
    }
    if (measures)
        ok(peak - before < GROWTH, `${peak - before} kB more`);
});

run();
