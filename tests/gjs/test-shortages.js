// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Datagrams, handles, clients and peers, while calls of the system fail and handlers throw.
//
// Each call fails in each way that is short of something, or is interrupted. Whoever asked is told of
// an error, or what was asked for goes on: nothing comes twice or out of turn, nothing is missing that
// nobody was told of, and as soon as there is enough again all is as it was.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';
import UsockFaults from 'gi://UsockFaults?version=1';

import {equal, ok, run} from './tap.js';
import {fail, testFaults} from './faults.js';
import {text, waitFor} from './fixture.js';

const N = 12;
const EINTR = 4;
const PID = new Gio.Credentials().get_unix_pid();
const NUMBERS = Array.from({length: N}, (_, i) => `${i}`);

// Without the fault, if it fails with it.
function again(func) {
    try {
        return func();
    } catch {
        UsockFaults.clear();
        return func();
    }
}

// All of these throw.
function watch(emitter, ...signals) {
    const counts = Object.fromEntries(signals.map(signal => [signal, 0]));
    for (const signal of signals) {
        emitter.connect(signal, () => {
            counts[signal]++;
            fail(signal);
        });
    }
    return counts;
}

// Each once, and none before its time.
function assertInTurn(some, all) {
    let at = 0;
    for (const item of some) {
        at = all.indexOf(item, at) + 1;
        ok(at, `${some} of ${all}: the place of ${item}`);
    }
}

// What could be sent.
function sendSome(send) {
    return NUMBERS.filter(data => {
        try {
            return send(data);
        } catch {
            return false;
        }
    });
}

function makeReceiver(fixture) {
    const got = [];
    const receiver = fixture.keep(new Usock.Dgram({max_fds: 1}));
    receiver.connect('datagram', (_receiver, data) => {
        got.push(text(data));
        if (got.length % 3 === 0)
            fail('datagram');
    });
    const told = watch(receiver, 'listening', 'error', 'close');
    again(() => receiver.bind(fixture.path));
    return {receiver, got, told};
}

async function checkDgram(fixture, fault) {
    UsockFaults.add(...fault);
    let {receiver, got, told} = makeReceiver(fixture);
    const sender = fixture.keep(new Usock.Dgram());
    const failed = watch(sender, 'send-failed', 'error', 'close');
    const sent = sendSome(data => sender.send_to(data, fixture.path, {fds: data === '6' ? [2] : []}));
    await waitFor(() => got.length + failed['send-failed'] >= sent.length || told.close);
    UsockFaults.clear();
    assertInTurn(got, sent);
    equal(failed.close, 0);
    equal(told.error, told.close);
    if (told.close) {
        // Only who can not receive has nothing more to do.
        equal(fault[0], 'receive');
        ({receiver, got, told} = makeReceiver(fixture));
    } else {
        equal(got.length + failed['send-failed'], sent.length);
    }
    if (fault[1] === EINTR)
        equal(got, NUMBERS);
    sender.send_to('last', fixture.path);
    await waitFor(() => got.at(-1) === 'last');
    receiver.close();
    sender.close();
    await waitFor(() => failed.close && told.close);
}

async function checkPair(fixture, fault) {
    const got = [];
    UsockFaults.add(...fault);
    const [one, other] = again(() => Usock.Dgram.pair()).map(end => fixture.keep(end));
    other.max_fds = 1;
    other.connect('data', (_other, data) => void got.push(text(data)));
    const failed = watch(one, 'send-failed', 'error', 'close');
    const told = watch(other, 'error', 'close');
    const sent = sendSome(data => one.send(data, {fds: data === '6' ? [2] : []}));
    await waitFor(() => got.length + failed['send-failed'] >= sent.length || told.close);
    UsockFaults.clear();
    assertInTurn(got, sent);
    equal(told.error, told.close);
    if (told.close) {
        equal(fault[0], 'receive');
    } else {
        one.send('last');
        await waitFor(() => got.at(-1) === 'last');
        equal(failed.close, 0);
    }
    one.close();
    other.close();
    await waitFor(() => failed.close && told.close);
}

// Both ends of a connection. One that can not be accepted may be gone.
function connectHandles(fixture, path) {
    const [server, client] = [0, 1].map(() => fixture.keep(again(
        () => Usock.Handle.new_socket(Usock.Family.UNIX, Usock.SockType.SEQPACKET, 0))));
    again(() => server.bind(path));
    again(() => server.listen(5));
    again(() => client.connect_to_path(path, 1000));
    equal(again(() => client.get_peer_credentials()).get_unix_pid(), PID);
    try {
        return [client, fixture.keep(server.accept(1000)[0])];
    } catch {
        UsockFaults.clear();
        return connectHandles(fixture, `${path}-again`);
    } finally {
        server.close();
        GLib.unlink(path);
    }
}

async function checkHandle(fixture, fault) {
    UsockFaults.add(...fault);
    const [client, accepted] = connectHandles(fixture, fixture.path);
    const told = watch(client, 'error', 'close');
    for (const data of NUMBERS) {
        equal(again(() => client.send(data)), data.length);
        equal(text(again(() => accepted.receive(100))), data);
    }
    UsockFaults.clear();
    client.close();
    await waitFor(() => told.close);
    equal(accepted.receive(100), null);
    equal(told.error, 0);
    accepted.close();
}

async function checkClient(fixture, fault) {
    const [got, unsent, uncertain] = [[], [], []];
    const server = fixture.serve(channel => {
        channel.connect('data', (_channel, data) => {
            got.push(text(data));
            if (got.length % 7 === 0)
                channel.close();
        });
    });
    const client = new Usock.Client({min_delay: 1, max_delay: 4});
    for (const [signal, list] of Object.entries({unsent, uncertain})) {
        client.connect(signal, (_client, message) => {
            list.push(message.text);
            fail(signal);
        });
    }
    watch(client, 'connected', 'disconnected', 'waiting');
    UsockFaults.add(...fault);
    again(() => client.start(fixture.path));
    NUMBERS.forEach(data => client.send(data));
    await waitFor(() => NUMBERS.every(data => [...got, ...unsent, ...uncertain].includes(data)));
    UsockFaults.clear();
    assertInTurn(got, NUMBERS);
    ok(!got.some(data => unsent.includes(data)), 'what came');
    await client.connected();
    client.send('last');
    await waitFor(() => got.at(-1) === 'last' || uncertain.at(-1) === 'last');
    client.stop();
    server.close();
    await waitFor(() => server.get_n_connections() === 0);
}

function makePeers(fixture, kind) {
    const ends = again(() => kind.pair()).map(end => fixture.keep(end));
    const told = ends.map(end => watch(end, 'error', 'close'));
    const [client, server] = ends.map(end => new Usock.Peer(end));
    server.handle('Echo', body => {
        if (body % 5 === 4)
            throw new RangeError('not that one');
        return body;
    });
    watch(server, 'posted');
    return {client, server, told, ends};
}

function callSome(client) {
    return Promise.all(NUMBERS.map((_, i) => client.call('Echo', i, {timeout: 10000}).catch(error => error)));
}

async function checkPeer(fixture, kind, fault) {
    UsockFaults.add(...fault);
    let peers = makePeers(fixture, kind);
    try {
        peers.client.post('Hello', 'x'.repeat(300000));
    } catch {}
    const answers = await callSome(peers.client);
    UsockFaults.clear();
    answers.forEach((answer, i) => {
        if (answer instanceof Error || answer instanceof GLib.Error)
            ok(i % 5 === 4 || fault[1] !== EINTR, `${answer}`);
        else
            equal(answer, i);
    });
    if (peers.told.some(each => each.close))
        peers = makePeers(fixture, kind);
    equal((await callSome(peers.client)).slice(0, 4), [0, 1, 2, 3]);
    ok(peers.told.every(each => each.error === 0), 'nobody told');
    peers.ends.forEach(end => end.close());
    await waitFor(() => peers.told.every(each => each.close));
}

testFaults('Dgram', checkDgram);
testFaults('Dgram pair', checkPair);
testFaults('Handle', checkHandle);
testFaults('Client', checkClient);
for (const kind of [Usock.Seqpacket, Usock.Stream])
    testFaults(`Peer over a ${kind.$gtype.name}`, (fixture, fault) => checkPeer(fixture, kind, fault));

run();
