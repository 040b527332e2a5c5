// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// A child with a channel.

import Gio from 'gi://Gio';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run, throws} from './tap.js';
import {Log, testSocket} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

// What GLib has for children stays.
Gio.Subprocess.new(['true'], 0).wait(null);

const ECHO = `
const Usock = imports.gi.Usock;
const channel = Usock.NAME.new_activated();
channel.connect('data', (_channel, bytes) => channel.send(bytes));
Usock.run_until_closed(null);
`;

for (const name of ['Seqpacket', 'Stream']) {
    testSocket(`${name}: a child that takes its end`, async fixture => {
        const [channel, process] =
            Usock[name].spawn(['gjs', '-c', ECHO.replace('NAME', name)]);
        fixture.keep(channel);
        ok(channel instanceof Usock[name]);
        channel.send('hello');
        equal((await channel.receive()).dup_text(), 'hello');
        channel.end();
        equal(await channel.receive(), null);
        ok(process.wait_check(null));
    });
}

const ANSWERS = `
const Usock = imports.gi.Usock;
const peer = Usock.Peer.new(Usock.Seqpacket.new_activated());
peer.handle('Double', number => number * 2);
Usock.run_until_closed(null);
`;

testSocket('a child that answers calls', async fixture => {
    const [peer, process] = Usock.Peer.spawn(['gjs', '-c', ANSWERS]);
    ok(peer instanceof Usock.Peer);
    fixture.keep(peer.get_channel());
    equal(await peer.call('Double', 21), 42);
    peer.get_channel().end();
    ok(process.wait_check(null));
    throws(() => Usock.Peer.spawn(['/no/such']), Code, Code.NOT_FOUND);
    throws(() => Usock.Peer.spawn('sh'), TypeError);
});

testSocket('nothing leaks', async fixture => {
    const [channel, process] = Usock.Seqpacket.spawn(['ls', '/proc/self/fd'],
        Gio.SubprocessFlags.STDOUT_PIPE);
    fixture.keep(channel);
    const [, output] = process.communicate_utf8(null, null);
    equal(output, '0\n1\n2\n3\n4\n');
    await new Log(channel, 'close').wait('close');
});

testSocket('mistakes', () => {
    throws(() => Usock.Seqpacket.spawn(['/no/such']), Code, Code.NOT_FOUND);
    throws(() => Usock.Seqpacket.spawn(['']), Code, Code.NOT_FOUND);
    throws(() => Usock.Seqpacket.spawn(['sh', 'a\0b']), Code, Code.INVALID_FILENAME);
    for (const argv of ['sh', [], null, undefined, 3])
        throws(() => Usock.Stream.spawn(argv), TypeError);
    throws(() => Usock.Stream.spawn(['true'], 'pipe'), TypeError);
});

testSocket('a child that is killed', async fixture => {
    const [channel, process] = Usock.Seqpacket.spawn(['sleep', '1000']);
    const log = new Log(fixture.keep(channel), 'end', 'error', 'close');
    process.force_exit();
    await log.wait('close');
    equal(log.names.join(' '), 'end close');
    process.wait(null);
});

run();
