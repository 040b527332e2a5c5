// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Messages are awaited and iterated.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {Log, bytes, testSocket, text, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

async function echo(channel) {
    for await (const message of channel)
        channel.send(message);
}

testSocket('client and server', async fixture => {
    const server = fixture.serve(channel => void echo(channel));
    const channel = fixture.keep(new Usock.Seqpacket());
    equal(await channel.open(fixture.path), channel);
    for (const word of ['one', '', 'three']) {
        await channel.send_async(word);
        const answer = await channel.receive();
        equal([answer.text, answer.data.length], [word, word.length]);
    }
    await channel.end_async();
    equal(await channel.receive(), null);
    server.close();
});

testSocket('open takes every kind of place', async fixture => {
    fixture.serve();
    for (const where of [fixture.path, Gio.File.new_for_path(fixture.path),
        Gio.UnixSocketAddress.new(fixture.path)]) {
        const channel = await new Usock.Seqpacket().open(where);
        equal(channel.state, Usock.State.OPEN);
        channel.close();
    }
});

testSocket('open fails', async fixture => {
    const error = await rejects(new Usock.Seqpacket().open(fixture.path), Code, Code.NOT_FOUND);
    ok(error.message.includes(fixture.path), error.message);
    await rejects(new Usock.Seqpacket().open(`${fixture.path}\0x`), Code, Code.INVALID_FILENAME);
});

testSocket('iterate', async fixture => {
    const [first, second] = fixture.pair();
    for (let i = 0; i < 3000; i++)
        first.send(i % 3 ? `${i}` : '');
    first.end();
    let n = 0;
    for await (const message of second) {
        equal(message.text, n % 3 ? `${n}` : '');
        n++;
    }
    equal(n, 3000);
});

testSocket('the end comes again', async fixture => {
    const [first, second] = fixture.pair();
    second.allow_half_open = true;
    first.end();
    equal([await second.receive(), await second.receive()], [null, null]);
});

testSocket('leaving the loop closes nothing, and loses nothing', async fixture => {
    const [first, second] = fixture.pair();
    for (let i = 0; i < 100; i++)
        first.send(`${i}`);
    first.end();
    const got = [];
    for (let left = 0; left < 20; left++) {
        for await (const message of second) {
            got.push(message.text);
            break;
        }
        equal(second.state, Usock.State.OPEN);
    }
    await rejects((async () => {
        for await (const message of second) {
            got.push(message.text);
            throw new TypeError();
        }
    })(), TypeError);
    got.push((await second.receive()).text);
    for await (const message of second)
        got.push(message.text);
    equal(got, Array.from({length: 100}, (_, i) => `${i}`));
});

testSocket('return() while next() waits', async fixture => {
    const [first, second] = fixture.pair();
    const iterator = second[Symbol.asyncIterator]();
    const next = iterator.next();
    equal(await iterator.return('value'), {value: 'value', done: true});
    await rejects(next, Code, Code.CANCELLED);
    first.send('next');
    equal((await second.receive()).text, 'next');
});

testSocket('a reset is thrown after the messages', async fixture => {
    const [first, second] = fixture.pair();
    second.send('never read');
    first.send('one');
    first.send('two');
    first.close();
    const got = [];
    await rejects((async () => {
        for await (const message of second)
            got.push(message.text);
    })(), Code, Code.CONNECTION_CLOSED);
    equal(got, ['one', 'two']);
});

testSocket('an own close is thrown', async fixture => {
    const [, second] = fixture.pair();
    const waiting = second.receive();
    second.close();
    await rejects(waiting, Code, Code.CLOSED);
});

testSocket('cancel loses nothing', async fixture => {
    const [first, second] = fixture.pair();
    for (let i = 0; i < 200; i++) {
        const cancellable = new Gio.Cancellable();
        const waiting = second.receive(cancellable);
        if (i % 2)
            first.send(`${i}`);
        cancellable.cancel();
        if (!(i % 2))
            first.send(`${i}`);
        let message;
        try {
            message = await waiting;
        } catch (error) {
            ok(error.matches(Code, Code.CANCELLED), error.message);
            message = await second.receive();
        }
        equal(message.text, `${i}`);
    }
    const cancelled = new Gio.Cancellable();
    cancelled.cancel();
    first.send('after');
    await rejects(second.receive(cancelled), Code, Code.CANCELLED);
    equal((await second.receive()).text, 'after');
});

testSocket('send_async waits for room', async fixture => {
    const [first, second] = fixture.pair();
    first.queue_limit = 16 * 1024;
    const sending = (async () => {
        for (let i = 0; i < 2000; i++)
            await first.send_async(`${i}`.padEnd(1000));
        await first.end_async();
    })();
    let n = 0;
    for await (const message of second)
        equal(Number(message.text), n++);
    equal(n, 2000);
    await sending;
});

// Though none of them has to wait, now and then one lets the loop go round.
testSocket('send_async leaves room for others', async fixture => {
    const [first, second] = fixture.pair(Usock.Seqpacket);
    const lengths = [];
    let turns = 0;
    second.connect('data', (_channel, data) => lengths.push(data.length));
    const source = GLib.idle_add(GLib.PRIORITY_DEFAULT, () => {
        turns++;
        return GLib.SOURCE_CONTINUE;
    });
    for (let i = 0; i < 200; i++)
        await first.send_async(new Uint8Array(i % 10));
    GLib.source_remove(source);
    ok(turns > 0, `${turns} turns`);
    await waitFor(() => lengths.length === 200);
    equal(lengths, [...lengths.keys()].map(i => i % 10));
});

testSocket('send_async takes what send takes', async fixture => {
    const [first, second] = fixture.pair();
    equal(await first.send_async('0123', {offset: 1, length: 2}), true);
    equal(await first.send_async(
        new Usock.Message('message'), {cancellable: new Gio.Cancellable()}), true);
    await rejects(first.send_async('0123', {offset: 5}), RangeError);
    await rejects(first.send_async(null), TypeError);
    equal([(await second.receive()).text, (await second.receive()).text], ['12', 'message']);
});

testSocket('flush', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(second, 'data');
    let sent = 0;
    while (first.queued_bytes === 0) {
        first.send(new Uint8Array(4000));
        sent++;
    }
    await first.flush();
    equal([first.queued_bytes, first.get_messages_written()], [0, sent]);
    await log.wait('data', sent);
});

testSocket('close_gracefully', async fixture => {
    const [first, second] = fixture.pair();
    const log = new Log(second, 'data', 'end', 'error', 'close');
    for (let i = 0; i < 500; i++)
        first.send(`${i}`);
    await first.close_gracefully(10_000);
    await log.wait('close');
    equal(log.names, [...Array(500).fill('data'), 'end', 'close']);
    const [third, fourth] = fixture.pair();
    fourth.allow_half_open = true;
    await rejects(third.close_gracefully(20), Code, Code.TIMED_OUT);
    equal(third.state, Usock.State.CLOSED);
});

testSocket('with a callback it is what it was', async fixture => {
    const [first, second] = fixture.pair();
    const results = [];
    second.receive_async(null, (channel, result) => {
        results.push(channel.receive_finish(result).text);
    });
    first.flush_async(null, (channel, result) => {
        results.push(channel.flush_finish(result));
    });
    first.send('x');
    await waitFor(() => results.length === 2);
    equal(results.sort(), [true, 'x'].sort());
});

testSocket('iterate a server', async fixture => {
    const server = fixture.keep(new Usock.Server());
    server.listen(fixture.path);
    const clients = (async () => {
        const answers = [];
        for (let i = 0; i < 10; i++) {
            const client = await new Usock.Seqpacket().open(fixture.path);
            client.send(`${i}`);
            answers.push((await client.receive()).text);
            client.close();
        }
        return answers;
    })();
    let n = 0;
    for await (const channel of server) {
        void echo(channel);
        if (++n === 10)
            break;
    }
    equal(await clients, Array.from({length: 10}, (_, i) => `${i}`));
    ok(server.active, 'leaving closes nothing');
});

testSocket('two loops over a server', async fixture => {
    const server = fixture.serve();
    const taken = [];
    const take = async () => {
        for await (const channel of server)
            taken.push(channel);
    };
    const loops = [take(), take(), take()];
    for (let i = 1; i <= 20; i++) {
        fixture.keep(new Usock.Seqpacket()).connect_to_path(fixture.path);
        await waitFor(() => taken.length === i);
    }
    server.close();
    await Promise.all(loops);
    equal(new Set(taken).size, 20);
});

testSocket('a loop over a server that is left, and gone on with', async fixture => {
    const server = fixture.serve();
    const clients = [1, 2, 3, 4].map(() => fixture.keep(new Usock.Seqpacket()));
    clients.forEach((client, i) => {
        client.connect_to_path(fixture.path);
        client.send(`${i}`);
    });
    const got = [];
    while (got.length < clients.length) {
        for await (const channel of server) {
            got.push((await channel.receive()).text);
            break;
        }
    }
    equal(got, ['0', '1', '2', '3']);
});

testSocket('many at once', async fixture => {
    fixture.serve(channel => void echo(channel));
    const client = async number => {
        const channel = fixture.keep(await new Usock.Seqpacket().open(fixture.path));
        for (let i = 0; i < 50; i++) {
            channel.send(`${number} ${i}`);
            equal((await channel.receive()).text, `${number} ${i}`);
        }
        channel.close();
        return number;
    };
    const numbers = Array.from({length: 20}, (_, i) => i);
    equal(await Promise.all(numbers.map(client)), numbers);
});

run();
