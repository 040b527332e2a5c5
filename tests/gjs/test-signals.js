// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Every signal and property that a script meets, on both ends of a connection.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run, throws} from './tap.js';
import {Log, bytes, iterateUntil, testSocket, text, turns, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

testSocket('a conversation, both roles', async fixture => {
    const server = new Usock.Server();
    const serverLog = new Log(server, 'listening', 'connection', 'error', 'close');
    let served = null;
    server.connect('connection', (_server, channel) => {
        served = new Log(channel, 'connect', 'end', 'error', 'close');
        channel.connect('data', (_channel, data) => channel.send(data));
    });
    server.listen(fixture.path);
    equal([server.active, server.path], [true, fixture.path]);
    await serverLog.wait('listening');

    const client = new Usock.Seqpacket();
    const log = new Log(client);
    client.connect_to_path(fixture.path);
    equal(log.length, 0);
    client.send('hello');
    await log.wait('data');
    equal(server.n_connections, 1);
    client.end();
    await log.wait('close');
    await waitFor(() => served.count('close'));
    equal(log.names, ['connect', 'data', 'end', 'close']);
    equal(log[1][1], bytes('hello'));
    equal(served.names, ['end', 'close']);
    equal([client.get_messages_read(), client.get_bytes_written()], [1, 5]);

    server.close();
    await serverLog.wait('close');
    equal(serverLog.names, ['listening', 'connection', 'close']);
    ok(!GLib.file_test(fixture.path, GLib.FileTest.EXISTS), 'path removed');
});

testSocket('the server ends first', async fixture => {
    const [client, served] = await fixture.acceptOne();
    const log = new Log(client);
    const servedLog = new Log(served);
    served.send('bye');
    served.end();
    await log.wait('close');
    await servedLog.wait('close');
    equal(log.names.filter(name => name !== 'connect'), ['data', 'end', 'close']);
    equal(servedLog.names, ['end', 'close']);
});

testSocket('no public call emits', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(first);
    first.send('x');
    second.send('x');
    first.end();
    first.close();
    equal(log.length, 0);
    await log.wait('close');
    equal(log.names, ['close']);
});

testSocket('addresses', async fixture => {
    const name = `@usock-gjs-${GLib.random_int()}\\x00tail`;
    const accepted = [];
    const server = fixture.keep(new Usock.Server());
    server.connect('connection', (_server, channel) => void accepted.push(channel));
    server.listen(Usock.address_parse(name));
    const client = fixture.keep(new Usock.Seqpacket());
    client.connect_to_address(Usock.address_parse(name));
    await waitFor(() => accepted.length);
    fixture.keep(accepted[0]);
    equal(Usock.address_to_string(client.remote_address), name);
    equal(Usock.address_to_string(accepted[0].local_address), name);
    equal([client.state, client.family, client.socket_type],
        [Usock.State.OPEN, Gio.SocketFamily.UNIX, Gio.SocketType.SEQPACKET]);
});

testSocket('credentials', async fixture => {
    const [client, served] = await fixture.acceptOne({pass_credentials: true});
    const [pid] = GLib.file_read_link('/proc/self').match(/\d+/);
    for (const channel of [client, served])
        equal(channel.get_peer_credentials().get_unix_pid(), Number(pid));
    client.send('who');
    equal((await served.receive()).get_credentials().get_unix_pid(), Number(pid));
    served.send('not asked for');
    equal((await client.receive()).get_credentials(), null);
});

testSocket('10,000 messages, a third of them empty', async fixture => {
    const lengths = Array.from({length: 10_000},
        (_, i) => i % 3 === 0 || i > 9_996 ? 0 : GLib.random_int_range(1, 3000));
    const [client, served] = await fixture.acceptOne();
    const log = new Log(served, 'data', 'end', 'error', 'close');
    for (const [i, length] of lengths.entries())
        client.send(new Uint8Array(length).fill(i));
    client.end();
    await log.wait('close');
    equal(log.names.slice(-2), ['end', 'close']);
    equal(log.length, 10_002);
    for (const [i, length] of lengths.entries()) {
        const [name, data] = log[i];
        equal([name, data.length], ['data', length]);
        ok(data.every(byte => byte === i % 256), `content of ${i}`);
    }
});

testSocket('data comes before a reset', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(second);
    second.send('never read');
    ['a', 'b', 'c'].forEach(word => first.send(word));
    first.close();
    await log.wait('close');
    equal(log.names, ['data', 'data', 'data', 'error', 'close']);
    ok(log[3][1].matches(Code, Code.CONNECTION_CLOSED), log[3][1].message);
    ok(log[3][1] instanceof GLib.Error, 'a GLib.Error');
    equal(second.had_error, true);
});

testSocket('a late listener gets it all', async fixture => {
    const [first, second] = fixture.pair();
    for (let i = 0; i < 100; i++)
        first.send(`${i}`);
    first.end();
    turns();
    const log = new Log(second, 'data', 'end', 'close');
    await log.wait('close');
    equal(log.slice(0, 100).map(([, data]) => text(data)),
        Array.from({length: 100}, (_, i) => `${i}`));
    equal(log.names.slice(100), ['end', 'close']);
});

testSocket('receive, then message, then data', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(second, 'data', 'message');
    const promise = second.receive();
    first.send('awaited');
    first.send('signalled');
    await log.wait('data');
    equal((await promise).text, 'awaited');
    equal(log.names, ['message', 'data']);
    equal([log[0][1].text, text(log[1][1])], ['signalled', 'signalled']);
});

testSocket('kept messages stay what they are', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(second, 'message');
    for (let i = 0; i < 500; i++)
        first.send(`${i}`);
    await log.wait('message', 500);
    equal(log.map(([, message]) => message.text), Array.from({length: 500}, (_, i) => `${i}`));
});

testSocket('pause and resume', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(second, 'data');
    second.connect('data', (_channel, data) => {
        if (text(data) === '2')
            second.pause();
    });
    for (let i = 0; i < 5; i++)
        first.send(`${i}`);
    await log.wait('data', 3);
    ok(second.paused, 'paused');
    turns();
    equal(log.length, 3);
    second.resume();
    await log.wait('data', 5);
    equal(log.map(([, data]) => text(data)), ['0', '1', '2', '3', '4']);
});

testSocket('full, then drained', async fixture => {
    const [first, second] = fixture.pair();
    first.queue_limit = 64 * 1024;
    const log = new Log(first, 'drain');
    let sent = 0;
    throws(() => {
        for (;;) {
            first.send(`${sent}`.padEnd(1000));
            sent++;
        }
    }, Code, Code.WOULD_BLOCK);
    ok(first.queued_bytes > 0 && first.queued_bytes <= 64 * 1024, 'queued within the limit');
    const got = [];
    second.connect('data', (_channel, data) => void got.push(Number(text(data))));
    await log.wait('drain');
    await waitFor(() => got.length === sent);
    equal(got, Array.from({length: sent}, (_, i) => i));
    equal([first.queued_bytes, log.length], [0, 1]);
});

testSocket('half open', async fixture => {
    const [first, second] = fixture.pair();
    second.allow_half_open = true;
    const log = new Log(second);
    const answers = new Log(first);
    first.end();
    await log.wait('end');
    equal(second.state, Usock.State.WRITE_ONLY);
    for (let i = 0; i < 1000; i++)
        second.send(`${i}`);
    second.end();
    await answers.wait('close');
    await log.wait('close');
    equal(answers.names, [...Array(1000).fill('data'), 'end', 'close']);
    equal(log.names, ['end', 'close']);
});

testSocket('idle timeout', async fixture => {
    const [first] = fixture.pair();
    first.idle_timeout = 30;
    const log = new Log(first, 'timeout', 'close');
    await log.wait('timeout');
    equal([log.names, first.state], [['timeout'], Usock.State.OPEN]);
});

testSocket('truncated', async fixture => {
    const [first, second] = fixture.pair();
    second.read_buffer_size = 100;
    first.send(new Uint8Array(1000));
    const message = await second.receive();
    equal([message.get_flags(), message.get_length(), message.get_full_length()],
        [Usock.MessageFlags.TRUNCATED, 100, 1000]);
    const log = new Log(second);
    first.send(new Uint8Array(1000));
    await log.wait('close');
    equal(log.names, ['error', 'close']);
    ok(log[0][1].matches(Code, Code.MESSAGE_TOO_LARGE), log[0][1].message);
});

testSocket('destroy', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(first);
    const other = new Log(second);
    first.destroy(new GLib.Error(Code, Code.FAILED, 'the reason'));
    await log.wait('close');
    await other.wait('close');
    equal(log.names, ['error', 'close']);
    equal(log[0][1].message, 'the reason');
    const [third] = fixture.pair();
    const quiet = new Log(third);
    third.destroy(null);
    await quiet.wait('close');
    equal(quiet.names, ['close']);
});

testSocket('an exception in a handler stops nothing', async fixture => {
    const [first, second] = fixture.pair();
    GLib.test_expect_message('Gjs', GLib.LogLevelFlags.LEVEL_CRITICAL, '*on purpose*');
    GLib.test_expect_message('Gjs', GLib.LogLevelFlags.LEVEL_CRITICAL, '*on purpose*');
    second.connect('data', () => {
        throw new Error('on purpose');
    });
    const log = new Log(second);
    first.send('one');
    first.send('two');
    first.end();
    await log.wait('close');
    GLib.test_assert_expected_messages_internal('Gjs', 'test-signals.js', 0, 'exceptions');
    equal(log.names, ['data', 'data', 'end', 'close']);
});

testSocket('handlers that close', async fixture => {
    for (const victim of [0, 1]) {
        const pairs = [fixture.pair(), fixture.pair()];
        const logs = pairs.map(([, second]) => new Log(second));
        for (const [i, [first, second]] of pairs.entries()) {
            second.connect('data', () => pairs[(i + victim) % 2][1].close());
            first.send('x');
            first.send('y');
        }
        await waitFor(() => logs.some(log => log.count('close')));
        pairs.forEach(([, second]) => second.close());
        for (const log of logs) {
            await log.wait('close');
            equal(log.count('close'), 1);
        }
    }
});

testSocket('a nested loop in a handler', async fixture => {
    const [first, second] = fixture.pair();
    const order = [];
    second.connect('data', (_channel, data) => {
        order.push(text(data));
        if (order.length === 1)
            iterateUntil(() => order.length === 3);
    });
    ['0', '1', '2'].forEach(word => first.send(word));
    await waitFor(() => order.length === 3);
    equal(order, ['0', '1', '2']);
});

testSocket('a handler can be disconnected', async fixture => {
    const [first, second] = fixture.pair();
    const calls = [];
    const id = second.connect('data', () => {
        calls.push('once');
        second.disconnect(id);
    });
    const after = second.connect_after('data', channel => {
        calls.push(channel === second ? 'after' : 'lost');
    });
    ok(id > 0 && after > 0, 'handler ids');
    first.send('x');
    first.send('y');
    await waitFor(() => calls.length === 3);
    equal(calls, ['once', 'after', 'after']);
});

testSocket('a second listen does no harm', async fixture => {
    const server = fixture.serve();
    throws(() => server.listen(`${fixture.path}2`), GLib.Error);
    ok(server.active, 'active');
    const error = throws(() => new Usock.Server().listen(fixture.path),
        Code, Code.ADDRESS_IN_USE);
    ok(error.message.includes(fixture.path), error.message);
});

testSocket('properties go to the channels of a server', async fixture => {
    const properties = {
        max_fds: 7, allow_half_open: true, pass_credentials: true, read_buffer_size: 1000,
        queue_limit: 12345,
    };
    const [, served] = await fixture.acceptOne(properties);
    for (const [name, value] of Object.entries(properties))
        equal(served[name], value, name);
});

testSocket('an adopted descriptor', async fixture => {
    const socket = new Gio.Socket({
        family: Gio.SocketFamily.UNIX, type: Gio.SocketType.STREAM, protocol: 0,
    });
    socket.init(null);
    throws(() => Usock.Seqpacket.new_from_fd(socket.fd), GLib.Error);
    socket.close();
    throws(() => Usock.Seqpacket.new_from_fd(-1), GLib.Error);
});

run();
