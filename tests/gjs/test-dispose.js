// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What leaves a block with using. The engines of some versions do not have the symbols, and none of
// those that are tested here the statement: both are played.

import './dispose-symbols.js';

import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run, throws} from './tap.js';
import {Log, closeFd, isOpen, nullFd, testSocket} from './fixture.js';

testSocket('using closes', async fixture => {
    for (const socket of [
        ...fixture.pair(), ...Usock.Stream.pair(), ...Usock.Handle.pair(), new Usock.Dgram(),
        fixture.serve(),
    ]) {
        fixture.keep(socket)[Symbol.dispose]();
        equal(socket.state, Usock.State.CLOSED);
        socket[Symbol.dispose]();
    }
});

testSocket('await using sends what was sent before', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(second, 'data', 'end', 'error', 'close');
    let sent = 0;
    while (first.queued_bytes === 0) {
        first.send(new Uint8Array(4000));
        sent++;
    }
    await first[Symbol.asyncDispose]();
    equal(first.state, Usock.State.CLOSED);
    await log.wait('close');
    equal(log.names, [...Array(sent).fill('data'), 'end', 'close']);
});

testSocket('await using what failed, or never began', async fixture => {
    const [first, second] = fixture.pair();
    while (first.queued_bytes === 0)
        first.send(new Uint8Array(4000));
    second.close();
    await first[Symbol.asyncDispose]();
    const server = fixture.serve();
    for (const socket of [new Usock.Seqpacket(), new Usock.Handle(), server, first]) {
        await socket[Symbol.asyncDispose]();
        equal(socket.state, Usock.State.CLOSED);
    }
});

testSocket('descriptors that nobody took', async fixture => {
    const [first, second] = fixture.pair();
    second.max_fds = 2;
    const file = nullFd();
    first.send('x', {fds: [file, file]});
    file.close(null);
    const message = await second.receive();
    const fd = message.take_fd(0);
    message[Symbol.dispose]();
    throws(() => message.take_fd(1), GLib.Error);
    ok(isOpen(fd), 'what was taken stays');
    closeFd(fd);
});

run();
