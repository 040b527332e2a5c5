// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// shapes.js JOB SHAPE FD SIZE COUNT
//
// Does one job in one of the shapes that people write, and prints as JSON how many seconds of the
// clock and of the processor it took. Whoever it talks with is at the other end of the descriptor.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const [job, shape, ...numbers] = ARGV;
const [fd, size, count] = numbers.map(Number);
const payload = new Uint8Array(size).fill(120);
const loop = new GLib.MainLoop(null, false);

// Of the processor the system counts hundredths of a second.
function read(path) {
    return new TextDecoder().decode(GLib.file_get_contents(path)[1]);
}

function processorTime() {
    const [user, system] = read('/proc/self/stat').split(') ')[1].split(' ').slice(11, 13);
    return (Number(user) + Number(system)) / 100;
}

let began;

function begin() {
    began = {clock: GLib.get_monotonic_time(), cpu: processorTime()};
}

function end() {
    print(JSON.stringify({
        seconds: (GLib.get_monotonic_time() - began.clock) / 1e6,
        cpu: processorTime() - began.cpu,
        rss: Number(read('/proc/self/status').match(/VmHWM:\s*(\d+)/)[1]),
    }));
}

// Who measures something else does not load it.
function adopt(type) {
    imports.gi.versions.Usock = '1';
    return imports.gi.Usock[type].new_from_fd(fd);
}

function connection() {
    return Gio.Socket.new_from_fd(fd).connection_factory_create_connection();
}

function promisify() {
    Gio._promisify(Gio.DataInputStream.prototype, 'read_line_async', 'read_line_finish_utf8');
    Gio._promisify(Gio.InputStream.prototype, 'read_bytes_async', 'read_bytes_finish');
}

// What there is without usock

const OTHERS = {
    async lines() {
        const stream = new Gio.DataInputStream({base_stream: connection().get_input_stream()});
        begin();
        for (let i = 0; i < count; i++)
            await stream.read_line_async(GLib.PRIORITY_DEFAULT, null);
    },
    async ping() {
        const io = connection();
        const [input, output] = [io.get_input_stream(), io.get_output_stream()];
        begin();
        for (let i = 0; i < count; i++) {
            output.write(payload, null);
            await input.read_bytes_async(65536, GLib.PRIORITY_DEFAULT, null);
        }
    },
    send() {
        const socket = Gio.Socket.new_from_fd(fd);
        begin();
        for (let i = 0; i < count; i++)
            socket.send(payload, null);
    },
    async start() {
        const io = connection();
        io.get_output_stream().write(payload, null);
        await io.get_input_stream().read_bytes_async(size, GLib.PRIORITY_DEFAULT, null);
    },
};
OTHERS['dgram-send'] = OTHERS.send;

// In the library's signals

async function listen(type, signal) {
    const channel = adopt(type);
    let left = count;
    begin();
    await new Promise(resolve => channel.connect(signal, () => {
        if (--left === 0)
            resolve();
    }));
}

// Awaited and iterated

async function iterate(channel) {
    let left = count;
    for await (const message of channel) {
        void message.data;
        if (--left === 0)
            break;
    }
}

async function iteratePayloads(channel) {
    let left = count;
    // eslint-disable-next-line no-unused-vars
    for await (const _bytes of channel.payloads()) {
        if (--left === 0)
            break;
    }
}

async function receive(channel) {
    for (let i = 0; i < count; i++)
        void (await channel.receive()).data;
}

async function iterateLines(stream) {
    let left = count;
    // eslint-disable-next-line no-unused-vars
    for await (const _line of stream.lines()) {
        if (--left === 0)
            break;
    }
}

async function receiveLines(stream) {
    for (let i = 0; i < count; i++)
        await stream.receive_line();
}

function send(channel) {
    for (let i = 0; i < count; i++)
        channel.send(payload);
    return channel.flush();
}

async function sendAsync(channel) {
    for (let i = 0; i < count; i++)
        await channel.send_async(payload);
}

async function ping(channel) {
    for (let i = 0; i < count; i++) {
        channel.send(payload);
        void (await channel.receive()).data;
    }
}

async function start(stream) {
    stream.send(payload);
    await stream.receive_exactly(size);
}

const TYPES = {lines: 'Stream', start: 'Stream', 'dgram-receive': 'Dgram', 'dgram-send': 'Dgram'};
const BODIES = {
    'for-await': iterate,
    'payloads()': iteratePayloads,
    'receive()': job === 'ping' ? ping : receive,
    'lines()': iterateLines,
    'receive_line()': receiveLines,
    'send()': send,
    'usock': start,
    'send_async': sendAsync,
};

async function main() {
    const type = TYPES[job] ?? 'Seqpacket';
    // The time that a start takes is that of the process.
    if (job === 'start')
        begin();
    if (shape === 'gio') {
        promisify();
        await OTHERS[job]();
    } else if (shape in BODIES) {
        const channel = adopt(type);
        begin();
        await BODIES[shape](channel);
    } else {
        await listen(type, shape);
    }
    end();
}

let status = 1;
main().then(() => (status = 0)).catch(logError).finally(() => loop.quit());
loop.run();
// What is being torn down is no part of the job.
System.exit(status);
