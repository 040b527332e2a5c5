// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Streams as JavaScript's own: pieces, lines and frames, awaited and iterated.

import Gio from 'gi://Gio';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {Log, bytes, closeFd, nullFd, testSocket, text, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

function pair(fixture, properties = {}) {
    const ends = Usock.Stream.pair().map(end => fixture.keep(end));
    Object.assign(ends[1], properties);
    return ends;
}

testSocket('exactly', async fixture => {
    const [first, second] = pair(fixture);
    first.send('abcdef');
    equal((await second.receive_exactly(2)).text, 'ab');
    equal((await second.receive_exactly(0)).text, '');
    equal((await second.receive_exactly(3)).text, 'cde');
    const waiting = second.receive_exactly(3);
    first.send('gh');
    equal((await waiting).text, 'fgh');
    first.send('too little');
    first.end();
    await rejects(second.receive_exactly(100), Code, Code.PARTIAL_INPUT);
    equal((await second.receive_exactly(10)).text, 'too little');
    equal(await second.receive_exactly(1), null);
});

testSocket('numbers that are none', async fixture => {
    const [, second] = pair(fixture);
    for (const args of [[-1], [1, -1], [2 ** 40], [NaN], [1.5], ['1'], [null], []])
        await rejects(second.receive_exactly(...args), RangeError);
    await rejects(second.receive_exactly(0x7fffffff), Code, Code.INVALID_ARGUMENT);
});

testSocket('lines', async fixture => {
    const [first, second] = pair(fixture);
    first.send('eins\r\nzw\u00f6lf\n\nunfinished');
    first.end();
    const got = [];
    for await (const line of second.lines()) {
        got.push(line);
        if (line === '')
            break;
    }
    equal((await second.receive_exactly(2)).text, 'un');
    for await (const line of second.lines())
        got.push(line);
    equal(got, ['eins', 'zw\u00f6lf', '', 'finished']);
});

testSocket('text', async fixture => {
    const [first, second] = pair(fixture);
    const smile = bytes('\u{1f600}');
    first.send(smile, {length: 2});
    const waiting = second.receive_text();
    first.send(smile, {offset: 2});
    equal(await waiting, '\u{1f600}');
    first.send(Uint8Array.of(255, 10));
    await rejects(second.receive_text(), Code, Code.INVALID_DATA);
    await rejects(second.receive_line(), Code, Code.INVALID_DATA);
    equal((await second.receive()).data, Uint8Array.of(255, 10));
});

testSocket('pieces', async fixture => {
    const [first, second] = pair(fixture);
    const data = new Uint8Array(300_000).map((_, i) => i);
    const sending = (async () => {
        for (let offset = 0; offset < data.length; offset += 1000)
            await first.send_async(data, {offset, length: 1000});
        await first.end_async();
    })();
    let n = 0;
    for await (const message of second) {
        const piece = message.data;
        ok(piece.every((byte, i) => byte === ((n + i) & 255)), 'every byte');
        n += piece.length;
    }
    await sending;
    equal(n, data.length);
});

testSocket('unread, and a cancelled call takes nothing', async fixture => {
    const [first, second] = pair(fixture);
    first.send('not mine');
    second.unread(await second.receive());
    for (const start of [c => second.receive_exactly(100, 0, c), c => second.receive_line(c)]) {
        const cancellable = new Gio.Cancellable();
        const waiting = start(cancellable);
        cancellable.cancel();
        await rejects(waiting, Code, Code.CANCELLED);
    }
    equal((await second.receive()).text, 'not mine');
    second.close();
    for (const start of [() => second.receive_exactly(1), () => second.receive_line(),
        () => second.receive_text()])
        await rejects(start(), Code, Code.CLOSED);
});

testSocket('cork', async fixture => {
    const [first, second] = pair(fixture);
    const log = new Log(second, 'data');
    const result = await first.corked(async stream => {
        for (const word of ['many', ' small', ' pieces'])
            stream.send(word);
        ok(stream.queued_bytes > 0, 'queued');
        await null;
        return 'done';
    });
    equal(result, 'done');
    await log.wait('data');
    equal(text(log[0][1]), 'many small pieces');
    await rejects(first.corked(() => {
        first.send('x');
        throw new EvalError();
    }), EvalError);
    await log.wait('data', 2);
});

testSocket('a last message', async fixture => {
    const [first, second] = pair(fixture, {allow_half_open: true});
    first.queue_limit = 1000;
    throws(() => {
        for (;;)
            first.send(new Uint8Array(1000));
    }, Code, Code.WOULD_BLOCK);
    first.end_with_message('last');
    throws(() => first.send('too late'), Code, Code.CLOSED);
    let last = '';
    for (let message = await second.receive(); message; message = await second.receive())
        last = text(message.data).slice(-4);
    equal(last, 'last');
    second.end_with_message('--answer', {offset: 2});
    equal((await first.receive()).text, 'answer');
});

testSocket('descriptors in both directions', async fixture => {
    const ends = pair(fixture);
    const stream = nullFd();
    for (const [sender, receiver] of [ends, [...ends].reverse()]) {
        receiver.max_fds = 2;
        sender.send('abcdef', {fds: [stream, stream.get_fd()]});
        const message = await receiver.receive_exactly(6, 2);
        equal([message.text, message.get_n_fds()], ['abcdef', 2]);
        message.take_fds().forEach(closeFd);
    }
    throws(() => ends[0].send('', {fds: [stream]}), Code, Code.INVALID_ARGUMENT);
    stream.close(null);
});

testSocket('up to a delimiter', async fixture => {
    const [first, second] = pair(fixture);
    first.send(new Uint8Array([...bytes('head\r\n\r\nbody;'), 0xff, 10, ...bytes('rest')]));
    equal((await second.receive_until('\r\n\r\n')).text, 'head');
    equal((await second.receive_until(bytes(';'))).text, 'body');
    equal([...(await second.receive_line_bytes()).data], [0xff]);
    ok(!second.was_cut_off(), 'a whole line');
    first.end();
    const last = await second.receive_until('\n');
    equal(last.text, 'rest');
    equal(last.get_flags(), Usock.MessageFlags.CUT_OFF);
    ok(second.was_cut_off(), 'no whole line');
    equal(await second.receive_until('\n'), null);
    await rejects(pair(fixture)[0].receive_until(''), Code, Code.INVALID_ARGUMENT);
});

testSocket('cut off', async fixture => {
    const [first, second] = pair(fixture);
    first.send('whole\ncut');
    first.end();
    const lines = [];
    for await (const line of second.lines())
        lines.push(line);
    equal(lines, ['whole', 'cut']);
    ok(second.was_cut_off(), 'no whole line');
});

testSocket('a name of its own', async fixture => {
    const own = `${fixture.directory}/own`;
    const seen = [];
    const server = fixture.serve(channel => {
        seen.push(channel.get_remote_address().get_path());
        channel.close();
    }, {socket_type: Gio.SocketType.STREAM});
    const client = fixture.keep(new Usock.Stream());
    client.bind_to_path(Gio.File.new_for_path(own));
    await client.open(fixture.path);
    await waitFor(() => seen.length === 1);
    equal(seen, [own]);
    throws(() => Usock.Stream.new_from_bound_fd({}), RangeError);
    throws(() => Usock.Stream.new_from_bound_fd(-1), Code, Code.INVALID_ARGUMENT);
    server.close();
});

testSocket('away goes the descriptor', async fixture => {
    const [first, second] = pair(fixture);
    const log = new Log(second, 'error', 'close');
    first.send('line\nand more');
    equal(await second.receive_line(), 'line');
    const waiting = second.receive_line();
    const [fd, unread] = second.steal_fd();
    equal(text(unread), 'and more');
    await rejects(waiting, Code, Code.CLOSED);
    await log.wait('close');
    equal(log.map(([name]) => name), ['close']);
    throws(() => second.steal_fd(), Code, Code.CLOSED);

    const again = fixture.keep(Usock.Stream.new_from_fd(fd));
    first.send('still open');
    equal((await again.receive()).text, 'still open');
    const [connection, nothing] = again.steal_connection();
    ok(connection instanceof Gio.SocketConnection, 'a connection of GIO');
    ok(nothing instanceof Uint8Array, 'bytes');
    equal(nothing.length, 0);
    connection.get_output_stream().write_all(bytes('from GIO\n'), null);
    equal(await first.receive_line(), 'from GIO');
    connection.close(null);
    equal(await first.receive_line(), null);
});

testSocket('never connected', async () => {
    const stream = new Usock.Stream();
    await rejects(stream.receive_line(), Code, Code.NOT_CONNECTED);
});

testSocket('many lines hear of everything', async fixture => {
    const count = 20_000;
    const [first, second] = pair(fixture);
    const sending = (async () => {
        for (let i = 0; i < count; i += 100) {
            await first.corked(stream => {
                for (let j = i; j < i + 100; j++)
                    stream.send(`${j}\n`);
            });
            await first.flush();
        }
        first.end();
    })();
    let n = 0;
    for await (const line of second.lines())
        equal(line, `${n++}`);
    await sending;
    equal(n, count);
    await waitFor(() => second.state === Usock.State.CLOSED);
});

run();
