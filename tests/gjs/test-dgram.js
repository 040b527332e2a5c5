// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Datagrams as JavaScript's own: sent anywhere, awaited, iterated, and answered.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {Log, bytes, closeFd, nullFd, testSocket, text, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;
const PID = new Gio.Credentials().get_unix_pid();
const N = 300;

function abstractName(suffix = '') {
    return `@usock-test-${PID}${suffix}`;
}

function dgram(fixture, where = null, properties = {}) {
    const socket = fixture.keep(new Usock.Dgram(properties));
    if (where)
        socket.bind(where);
    return socket;
}

async function sent(fixture, data, options) {
    const receiver = dgram(fixture, fixture.path);
    equal(dgram(fixture).send_to(data, fixture.path, options), true);
    const message = await receiver.receive();
    receiver.close();
    return message.data;
}

testSocket('every kind of bytes', async fixture => {
    for (const [data, expected] of [
        [Uint8Array.of(1, 0, 255), [1, 0, 255]],
        [Uint8Array.of(), []],
        [Uint8Array.of(9, 8, 7, 6).subarray(1, 3), [8, 7]],
        [Uint8Array.of(1, 2).buffer, [1, 2]],
        [GLib.Bytes.new(Uint8Array.of(5, 0, 6)), [5, 0, 6]],
        ['zw\u00f6lf\0', [122, 119, 195, 182, 108, 102, 0]],
        ['', []],
        [new Usock.Message('new'), [110, 101, 119]],
    ])
        equal(await sent(fixture, data), Uint8Array.from(expected), `${data}`);
});

testSocket('slices', async fixture => {
    const digits = '0123456789';
    for (const data of [bytes(digits), bytes(digits).buffer, digits]) {
        for (const more of [{}, {fds: []}]) {
            equal(await sent(fixture, data, {offset: 3, ...more}), bytes('3456789'));
            equal(await sent(fixture, data, {offset: 3, length: 4, ...more}), bytes('3456'));
            equal(await sent(fixture, data, {length: 2, ...more}), bytes('01'));
            equal(await sent(fixture, data, {offset: 10, ...more}), bytes(''));
        }
    }
});

testSocket('slices outside, and other things', async fixture => {
    const sender = dgram(fixture);
    for (const options of [{offset: -1}, {offset: 5}, {length: 5}, {offset: 4, length: 1}]) {
        throws(() => sender.send_to('0123', fixture.path, options), RangeError);
        await rejects(sender.send_to_async('0123', fixture.path, options), RangeError);
    }
    for (const data of [null, 5, {}, [1]])
        throws(() => sender.send_to(data, fixture.path), TypeError);
    const message = new Usock.Message('0123');
    throws(() => sender.send_to(message, fixture.path, {offset: 1}), TypeError);
    for (const destination of [null, undefined, 5, {}]) {
        throws(() => sender.send_to('x', destination), Error);
        throws(() => sender.send_to(message, destination), Error);
        await rejects(sender.send_to_async('x', destination), Error);
    }
    equal(sender.get_messages_written(), 0);
});

testSocket('every kind of destination', async fixture => {
    const path = `${fixture.directory}/\u00fcn\u00efcode`;
    const file = Gio.File.new_for_path(path);
    const local = dgram(fixture, file);
    const abstract = dgram(fixture, abstractName());
    const udp = ['127.0.0.1', '::1'].map(host =>
        dgram(fixture, Gio.InetSocketAddress.new_from_string(host, 0)));
    for (const [receiver, ...destinations] of [
        [local, path, file, Gio.UnixSocketAddress.new(path)],
        [abstract, abstractName(), Usock.address_parse(abstractName())],
        ...udp.map(socket =>
            [socket, Usock.address_to_string(socket.local_address), socket.local_address]),
    ]) {
        const sender = dgram(fixture);
        for (const destination of destinations) {
            sender.send_to('plain', destination);
            sender.send_to(new Usock.Message('message'), destination);
            await sender.send_to_async('async', destination);
            for (const expected of ['plain', 'message', 'async'])
                equal((await receiver.receive()).text, expected);
        }
    }
});

testSocket('the name of a host', async fixture => {
    const receiver = dgram(fixture, Gio.InetSocketAddress.new_from_string('127.0.0.1', 0));
    const sender = dgram(fixture, Gio.InetSocketAddress.new_from_string('127.0.0.1', 0));
    const place = `localhost:${receiver.local_address.port}`;
    await sender.send_to_async('awaited', place);
    equal((await receiver.receive()).text, 'awaited');
    throws(() => sender.send_to('x', place), Code, Code.INVALID_ARGUMENT);
});

testSocket('a refusal of the network', async fixture => {
    const receiver = dgram(fixture, Gio.InetSocketAddress.new_from_string('127.0.0.1', 0));
    const address = receiver.local_address;
    receiver.close();
    const sender = dgram(fixture);
    sender.connect_to_address(address);
    const told = new Promise(resolve => sender.connect('send-failed',
        (_sender, destination, error) => resolve([destination, error])));
    sender.send('x');
    const [destination, error] = await told;
    equal(destination, Usock.address_to_string(address));
    ok(error.matches(Code, Code.CONNECTION_REFUSED));
    equal(sender.state, Usock.State.OPEN);
});

testSocket('a group that is joined before', async fixture => {
    const any = port => Gio.InetSocketAddress.new_from_string('0.0.0.0', port);
    const {IP, SOCKET} = Usock.Level;
    const receivers = [dgram(fixture), dgram(fixture)];
    let port = 0;
    for (const receiver of receivers) {
        receiver.set_option(SOCKET, Usock.SocketOption.REUSEADDR, true);
        receiver.set_option(IP, Usock.IpOption.ADD_MEMBERSHIP, ['239.7.7.8', '', 'lo']);
        receiver.bind(any(port));
        ({port} = receiver.local_address);
    }
    const sender = dgram(fixture);
    sender.set_option(IP, Usock.IpOption.MULTICAST_IF, '127.0.0.1');
    sender.send_to('all', `239.7.7.8:${port}`);
    for (const receiver of receivers)
        equal((await receiver.receive()).text, 'all');

    const wrong = dgram(fixture);
    wrong.set_option(IP, Usock.IpOption.ADD_MEMBERSHIP, ['127.0.0.1', '', 'lo']);
    throws(() => wrong.bind(any(0)), Code, Code.INVALID_ARGUMENT);
});

testSocket('a path longer than an address', async fixture => {
    const directory = `${fixture.directory}/${'d'.repeat(200)}`;
    GLib.mkdir_with_parents(directory, 0o700);
    const receiver = dgram(fixture, `${directory}/socket`);
    const sender = dgram(fixture);
    sender.send_to('plain', `${directory}/socket`);
    await sender.send_to_async('awaited', `${directory}/socket`);
    for (const expected of ['plain', 'awaited'])
        equal((await receiver.receive()).text, expected);
    receiver.close();
});

testSocket('nobody is there', async fixture => {
    const {path} = fixture;
    const sender = dgram(fixture);
    for (const destination of [path, Gio.UnixSocketAddress.new(path)]) {
        throws(() => sender.send_to('x', destination), Code, Code.NOT_FOUND);
        throws(() => sender.send_to('x', destination, {fds: []}), Code, Code.NOT_FOUND);
        await rejects(sender.send_to_async('x', destination), Code, Code.NOT_FOUND);
    }
    throws(() => sender.send_to('x', abstractName()), Code, Code.CONNECTION_REFUSED);
    throws(() => sender.send_to('x', `${path}\0`), Code, Code.INVALID_FILENAME);
    throws(() => sender.bind(`${path}\0`), Code, Code.INVALID_FILENAME);
    dgram(fixture, path);
    ok(sender.send_to('now', path));
});

testSocket('to several', async fixture => {
    const names = [0, 1, 2].map(abstractName);
    const receivers = names.map(name => dgram(fixture, name));
    const sender = dgram(fixture);
    const message = new Usock.Message('to all');
    equal(sender.send_message_to_all(message, [...names, fixture.path]), 3);
    for (const receiver of receivers)
        equal((await receiver.receive()).text, 'to all');
    throws(() => sender.send_message_to_all(message, [fixture.path]), Code, Code.NOT_FOUND);
});

testSocket('descriptors', async fixture => {
    const receiver = dgram(fixture, fixture.path, {max_fds: 2});
    const sender = dgram(fixture);
    const stream = nullFd();
    sender.send_to('0123', fixture.path, {offset: 1, length: 2, fds: [stream, stream.get_fd()]});
    sender.send_to('12', Gio.UnixSocketAddress.new(fixture.path), {fds: [stream, stream]});
    await sender.send_to_async('12', fixture.path, {fds: [stream, stream]});
    throws(() => sender.send_to('x', fixture.path, {fds: [-1]}), Code, Code.INVALID_ARGUMENT);
    stream.close(null);
    for (let i = 0; i < 3; i++) {
        const message = await receiver.receive();
        equal([message.text, message.get_n_fds()], ['12', 2]);
        message.take_fds().forEach(closeFd);
    }
});

testSocket('connected, and connected again', async fixture => {
    const receiver = dgram(fixture, fixture.path);
    const other = dgram(fixture, abstractName());
    const sender = dgram(fixture);
    const log = new Log(sender, 'connect');
    sender.connect_to_path(fixture.path);
    sender.send('text', {offset: 1});
    await log.wait('connect');
    equal((await receiver.receive()).text, 'ext');
    equal(await sender.open(Usock.address_parse(abstractName())), sender);
    await sender.send_async('to another');
    equal((await other.receive()).text, 'to another');
});

testSocket('the sender is text to answer to', async fixture => {
    const receiver = dgram(fixture, fixture.path);
    const got = new Log(receiver, 'datagram');
    const senders = [abstractName(), abstractName('\\x00\\xff\u00e4\\\\'),
        `${fixture.directory}/\u00fc\n`].map(where => dgram(fixture, where));
    for (const sender of [...senders, dgram(fixture)])
        sender.send_to('question', fixture.path);
    await got.wait('datagram', 4);
    ok(got.every(([, data]) => data instanceof Uint8Array && text(data) === 'question'), 'bytes');
    equal(got[3][2], null);
    for (const [i, sender] of senders.entries()) {
        receiver.send_to('answer', got[i][2]);
        equal((await sender.receive()).text, 'answer');
    }
});

testSocket('message, data, datagram', async fixture => {
    const receiver = dgram(fixture, fixture.path);
    const log = new Log(receiver, 'message', 'data', 'datagram');
    dgram(fixture, abstractName()).send_to('x', fixture.path);
    await log.wait('datagram');
    equal(log.names, ['message', 'data', 'datagram']);
    equal([log[0][1].text, log[0][1].sender], ['x', abstractName()]);
    equal([text(log[2][1]), log[2][2]], ['x', abstractName()]);
});

testSocket('iterate', async fixture => {
    const receiver = dgram(fixture, fixture.path);
    const sender = dgram(fixture, abstractName());
    for (let i = 0; i < N; i++)
        sender.send_to(`${i}`, fixture.path);
    sender.send_to('', fixture.path);
    const got = [];
    for await (const message of receiver) {
        equal(message.sender, abstractName());
        if (message.get_length() === 0)
            break;
        got.push(message.text);
    }
    equal(got, Array.from({length: N}, (_, i) => `${i}`));
    equal(receiver.state, Usock.State.OPEN);
});

testSocket('awaiting room', async fixture => {
    const receiver = dgram(fixture, fixture.path);
    const sender = dgram(fixture);
    const sending = (async () => {
        for (let i = 0; i < N; i++) {
            await sender.send_to_async(`${i}`, fixture.path);
            equal(sender.queued_bytes, 0);
        }
    })();
    for (let i = 0; i < N; i++)
        equal((await receiver.receive()).text, `${i}`);
    await sending;
});

testSocket('congestion', async fixture => {
    const slow = dgram(fixture, fixture.path);
    const other = dgram(fixture, abstractName());
    const sender = dgram(fixture);
    const log = new Log(sender, 'congestion', 'writable', 'send-failed');
    for (let i = 0; i < N; i++)
        sender.send_to(`${i}`, fixture.path);
    await log.wait('congestion');
    sender.send_to('not held up', abstractName());
    equal((await other.receive()).text, 'not held up');
    const got = new Log(slow, 'data');
    await log.wait('writable');
    await got.wait('data', N);
    equal(got.map(([, data]) => text(data)), Array.from({length: N}, (_, i) => `${i}`));
    equal(log.map(entry => entry), [['congestion', fixture.path], ['writable', fixture.path]]);
});

testSocket('without a queue', async fixture => {
    const receiver = dgram(fixture, fixture.path);
    const sender = dgram(fixture, null, {queue_limit: 0});
    let n = 0;
    throws(() => {
        for (;; n++)
            sender.send_to(`${n}`, fixture.path);
    }, Code, Code.WOULD_BLOCK);
    const log = new Log(sender, 'congestion', 'writable');
    for (let i = 0; i < n; i++)
        equal((await receiver.receive()).text, `${i}`);
    await log.wait('writable');
    ok(sender.send_to('again', fixture.path));
});

testSocket('a queued message that fails', async fixture => {
    const receiver = dgram(fixture, fixture.path);
    const sender = dgram(fixture);
    const log = new Log(sender, 'congestion', 'writable', 'send-failed', 'error', 'close');
    for (let i = 0; i < N; i++)
        sender.send_to('x', fixture.path);
    await log.wait('congestion');
    const failed = N - sender.get_messages_written();
    receiver.close();
    await log.wait('writable');
    equal(log.count('send-failed'), failed);
    equal(log.length, failed + 2);
    const [, destination, error] = log[1];
    equal(destination, fixture.path);
    ok(error.code === Code.CONNECTION_REFUSED || error.code === Code.NOT_FOUND, error.message);
    equal(sender.state, Usock.State.OPEN);
});

testSocket('pair', async fixture => {
    const [first, second] = Usock.Dgram.pair().map(end => fixture.keep(end));
    first.send('one');
    second.send('');
    equal((await second.receive()).text, 'one');
    const message = await first.receive();
    equal([message.text, message.sender], ['', null]);
});

testSocket('a handler that makes much garbage hears everything', async fixture => {
    const count = 100_000;
    const receiver = dgram(fixture, fixture.path);
    const sender = dgram(fixture, abstractName());
    const others = [];
    let got = 0;
    let sentCount = 0;
    const sendMore = () => {
        while (sentCount < count && sentCount - got < 8)
            sender.send_to(`${sentCount++}`, fixture.path);
    };
    receiver.connect('datagram', (_receiver, data, from) => {
        if (text(data) !== `${got}` || from !== abstractName())
            others.push(`${text(data)} from ${from}`);
        GLib.DateTime.new_now_utc();
        got++;
        sendMore();
    });
    sendMore();
    await waitFor(() => got === count);
    equal(others, []);
});

testSocket('an address that has no text', async fixture => {
    const netlink = Usock.Handle.new_socket(Usock.Family.NETLINK, Usock.SockType.DGRAM);
    const address = netlink.get_local_address();
    netlink.close();
    const socket = dgram(fixture);
    throws(() => socket.connect_to_address(address), Code, Code.NOT_SUPPORTED);
    throws(() => socket.bind(address), Code, Code.NOT_SUPPORTED);
});

testSocket('both families of the internet, and no peer any more', async fixture => {
    const any = host => Gio.InetSocketAddress.new_from_string(host, 0);
    const server = dgram(fixture, any('::'));
    const client = dgram(fixture, any('127.0.0.1'));
    const port = server.get_local_address().get_port();
    client.send_to('hello', `127.0.0.1:${port}`);
    const question = await server.receive();
    server.send_to(question.text.toUpperCase(), question.sender);
    equal((await client.receive()).text, 'HELLO');

    client.connect_to_address(Gio.InetSocketAddress.new_from_string('127.0.0.1', port));
    client.forget_peer();
    throws(() => client.send('x'), Code, Code.NOT_CONNECTED);
    server.send_to('again', question.sender);
    equal((await client.receive()).text, 'again');
});

testSocket('notify', async fixture => {
    GLib.setenv('NOTIFY_SOCKET', fixture.path, true);
    throws(() => Usock.notify('READY=1'), Code, Code.NOT_FOUND);
    throws(() => Usock.notify('READY=1\0'), Code, Code.INVALID_FILENAME);
    const manager = dgram(fixture, fixture.path, {max_fds: 2});
    ok(Usock.notify('READY=1'));
    const stream = nullFd();
    Usock.notify('FDSTORE=1', [stream, stream.get_fd()]);
    stream.close(null);
    for (const expected of [['READY=1', 0], ['FDSTORE=1', 2]]) {
        const message = await manager.receive();
        equal([message.text, message.get_n_fds()], expected);
    }
    GLib.unsetenv('NOTIFY_SOCKET');
    ok(Usock.notify('READY=1'));
});

run();
