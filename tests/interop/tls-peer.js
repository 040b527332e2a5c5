// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// As tls-peer.c: serve PEM PATH, and ask WHERE COUNT AT_ONCE.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';
import Usock from 'gi://Usock?version=1';

Gio._promisify(Gio.DataInputStream.prototype, 'read_line_async', 'read_line_finish_utf8');
Gio._promisify(Gio.OutputStream.prototype, 'write_bytes_async', 'write_bytes_finish');

const QUESTION = 'do geese see gods';
const loop = new GLib.MainLoop(null, false);
let nFailed = 0;

function lines(stream) {
    return new Gio.DataInputStream({base_stream: stream.get_input_stream()});
}

async function say(stream, text) {
    await stream.get_output_stream().write_bytes_async(new TextEncoder().encode(`${text}\n`), 0, null);
}

// The connection has a method of that name for datagrams, too.
function close(stream) {
    const {close_async, close_finish} = Gio.IOStream.prototype;
    return new Promise((resolve, reject) => close_async.call(stream, 0, null, (_stream, result) => {
        try {
            resolve(close_finish.call(stream, result));
        } catch (error) {
            reject(error);
        }
    }));
}

async function answer(channel, certificate) {
    const [connection] = channel.steal_connection();
    const tls = Gio.TlsServerConnection.new(connection, certificate);
    const [line] = await lines(tls).read_line_async(0, null);
    await say(tls, [...line].reverse().join(''));
    // Who has the answer may be gone.
    await close(tls).catch(() => {});
}

function serve(pem, path) {
    const certificate = Gio.TlsCertificate.new_from_file(pem);
    const server = new Usock.Server({socket_type: Gio.SocketType.STREAM});
    server.connect('connection', (_server, channel) => void answer(channel, certificate)
        .catch(error => printerr(error.message)));
    server.listen(path);
    loop.run();
}

async function ask(where) {
    const stream = new Usock.Stream();
    if (where.includes('/'))
        await stream.open(where);
    else
        await stream.open_host('127.0.0.1', Number(where));
    const [connection] = stream.steal_connection();
    const tls = Gio.TlsClientConnection.new(connection, null);
    tls.connect('accept-certificate', () => true);
    await say(tls, QUESTION);
    const [line] = await lines(tls).read_line_async(0, null);
    if (line !== [...QUESTION].reverse().join(''))
        throw new Error(`the answer is ${line}`);
    await close(tls);
}

async function askOften(where, count, atOnce) {
    let nLeft = count;
    await Promise.all([...Array(atOnce)].map(async () => {
        while (nLeft-- > 0) {
            await ask(where).catch(error => {
                nFailed++;
                printerr(error.message);
            });
        }
    }));
}

const [job, ...args] = System.programArgs;
if (job === 'serve') {
    serve(...args);
} else {
    askOften(args[0], Number(args[1]), Number(args[2])).finally(() => loop.quit());
    loop.run();
}
System.exit(nFailed > 0 ? 1 : 0);
