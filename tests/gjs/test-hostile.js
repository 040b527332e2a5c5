// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// test-hostile.js HOSTILE-PEER: a server in GJS, and peers of whom one does what he likes.
//
// The polite one gets his answer each time, the loop goes on, and neither memory nor descriptors
// become more. USOCK_TEST_SECONDS says how long, USOCK_TEST_SEED begins with another seed.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run} from './tap.js';
import {testSocket, text, waitFor} from './fixture.js';

const [PEER] = ARGV;
const LONG = GLib.getenv('USOCK_TEST_LONG') === '1';
const SECONDS = Number(GLib.getenv('USOCK_TEST_SECONDS') ?? (LONG ? 1800 : 3));
const SEED = Number(GLib.getenv('USOCK_TEST_SEED') ?? 1);
const SLOW = GLib.getenv('USOCK_TEST_SLOW') ? 30 : 1;
const BEAT = 10;
// All that a process may come to hold more once it has met them, in KiB.
const GROWTH = 64 * 1024;

function resident() {
    System.gc();
    const [, status] = GLib.file_get_contents('/proc/self/status');
    return Number(/VmRSS:\s*(\d+)/.exec(text(status))[1]);
}

function now() {
    return GLib.get_monotonic_time() / 1000;
}

// How late a timer of the loop is, in milliseconds.
class Heartbeat {
    constructor() {
        this.late = [];
        this.due = now() + BEAT;
        this.source = GLib.timeout_add(GLib.PRIORITY_DEFAULT, BEAT, () => {
            this.late.push(Math.max(0, Math.round(now() - this.due)));
            this.due = now() + BEAT;
            return GLib.SOURCE_CONTINUE;
        });
    }

    stop() {
        GLib.source_remove(this.source);
        const late = this.late.sort((a, b) => a - b);
        const usual = late.at(-1 - Math.floor(late.length / 1000));
        print(`# of ${late.length} heartbeats 99.9 % were late by ${usual} ms or less, ` +
            `one by ${late.at(-1)} ms`);
        return late.at(-1);
    }
}

// Both peers, until they have gone.
async function play({directory, path}, kind, seed) {
    const child = Gio.Subprocess.new([PEER, kind, directory, path, `${seed}`],
        Gio.SubprocessFlags.NONE);
    let gone = false;
    child.wait_async(null, () => (gone = true));
    await waitFor(() => gone, `the end of seed ${seed}`);
    equal(child.get_exit_status(), 0, `seed ${seed}`);
    for (const name of ['hostile-1', 'hostile-2', 'polite'])
        GLib.unlink(`${directory}/${name}`);
}

function echo(channel, data) {
    try {
        channel.send(data);
    } catch (error) {
        if (!(error instanceof GLib.Error))
            throw error;
    }
}

async function serveTheHostile(fixture, kind, type) {
    let n = 0;
    const server = fixture.serve(channel => {
        if (n++ % 2)
            channel.connect('data', echo);
        else
            channel.connect('message', (_channel, message) => echo(channel, message.data));
        channel.connect('end', () => channel.end());
    }, {socket_type: type, max_fds: 4, queue_limit: 100000});
    const start = now();
    const heartbeat = new Heartbeat();
    let before = 0;
    let seed = SEED;
    while (seed < SEED + 3 || now() < start + SECONDS * 500) {
        await play(fixture, kind, seed++);
        await waitFor(() => server.get_n_connections() === 0);
        if (seed < SEED + 3 || now() < start + SECONDS * 125)
            before = resident();
    }
    ok(heartbeat.stop() < 5000 * SLOW, 'the heartbeat');
    if (SLOW === 1 && !GLib.getenv('LD_PRELOAD'))
        ok(resident() < before + GROWTH, `memory, which was ${before} and now ${resident()}`);
}

for (const [kind, type] of [['seqpacket', Gio.SocketType.SEQPACKET],
    ['stream', Gio.SocketType.STREAM]])
    testSocket(kind, fixture => serveTheHostile(fixture, kind, type));

run(180 + SECONDS);
