// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What is no text is no text to anybody: each call that takes some throws a TypeError, whatever the
// version of GJS would make of it. test-text.js API.JSON

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {ok, run} from './tap.js';
import {testSocket} from './fixture.js';

const API = JSON.parse(new TextDecoder().decode(GLib.file_get_contents(ARGV[0])[1]));
const NO_TEXTS = [undefined, 5, true, {}, Symbol('text'), ['text']];
const LEAVES = {Channel: 'Seqpacket', Client: 'Client', Dgram: 'Dgram', Handle: 'Handle',
    Seqpacket: 'Seqpacket', Peer: 'Peer', Server: 'Server', Stream: 'Stream'};

async function refuses(what, call) {
    let problem = 'nothing';
    try {
        await call();
    } catch (error) {
        problem = error;
    }
    ok(problem instanceof TypeError, `what ${what} threw (${problem})`);
}

function standIn({name, type}) {
    const others = {
        Message: () => Usock.Message.new('x'), 'Gio.SocketFamily': () => Gio.SocketFamily.INVALID,
        'GLib.Bytes': () => new GLib.Bytes(['x']), '[guint8]': () => 'x', '[gint]': () => [],
    };
    return ['cancellable', 'callback'].includes(name) ? null : others[type]?.() ?? 0;
}

function make(fixture, name) {
    if (Usock[name] === undefined)
        throw new Error(`nobody has said how to make ${name}`);
    const made = new Usock[name]();
    return made instanceof Usock.Socket ? fixture.keep(made) : made;
}

function isText({type}) {
    return ['utf8', 'filename', '[utf8]'].includes(type);
}

for (const {name: className, callables} of [...API.classes, {callables: API.functions}]) {
    for (const {name, kind, parameters} of callables) {
        const index = parameters.findIndex(isText);
        if (index < 0)
            continue;
        testSocket(`${className ?? 'Usock'}.${name}`, async fixture => {
            const {nullable, type} = parameters[index];
            for (const value of nullable ? NO_TEXTS.slice(1) : [null, ...NO_TEXTS]) {
                const owner = className === undefined ? Usock
                    : kind === 'method' ? make(fixture, LEAVES[className])
                        : Usock[className];
                const args = parameters.map(standIn);
                args[index] = type === '[utf8]' ? [value] : value;
                await refuses(`${name}(${String(value)})`, () => owner[name](...args));
            }
        });
    }
}

// Those that take a text or something else besides.
const PLACES = {
    'Channel.open': where => new Usock.Seqpacket().open(where),
    'Stream.open_host': where => new Usock.Stream().open_host(where, 1),
    'Dgram.bind': where => new Usock.Dgram().bind(where),
    'Dgram.send_to with descriptors': where => new Usock.Dgram().send_to('x', where, {fds: []}),
    'Dgram.send_to a message': where => new Usock.Dgram().send_to(Usock.Message.new('x'), where),
    'Handle.connected': where => Usock.Handle.connected(where),
    'Handle.listening': where => Usock.Handle.listening(where),
    'Server.listen': where => new Usock.Server().listen(where),
};

for (const [name, call] of Object.entries(PLACES)) {
    testSocket(name, async () => {
        for (const value of [null, 5, true, {}])
            await refuses(`${name}(${value})`, () => call(value));
    });
}

run();
