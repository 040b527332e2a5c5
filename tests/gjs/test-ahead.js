// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Messages and lines that came together are taken together. Nobody notices: what is not given goes
// back in order, to whoever asks for it and however.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run} from './tap.js';
import {Log, testSocket, text, turns, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;
const N = 200;
const NUMBERS = Array.from({length: N}, (_, i) => `${i}`);

// Of each type, so that there is more ahead than was given.
function filled(fixture, type, end = true) {
    const [first, second] = type.pair().map(channel => fixture.keep(channel));
    if (type === Usock.Stream)
        first.send(NUMBERS.map(number => `${number}\n`).join(''));
    else
        NUMBERS.forEach(number => first.send(number));
    if (end)
        first.end();
    return [first, second];
}

const SHAPES = {
    [Usock.Seqpacket.name]: {
        type: Usock.Seqpacket,
        loop: channel => channel,
        receive: async (channel, options) => (await channel.receive(options))?.text ?? null,
        ask: channel => channel.receive(),
        textOf: message => message.text,
        joined: data => data.map(text),
    },
    payloads: {
        type: Usock.Seqpacket,
        loop: channel => channel.payloads(),
        receive: async (channel, options) => (await channel.receive(options))?.text ?? null,
        ask: channel => channel.receive(),
        textOf: item => item instanceof Uint8Array ? text(item) : item.text,
        joined: data => data.map(text),
    },
    [Usock.Stream.name]: {
        type: Usock.Stream,
        loop: stream => stream.lines(),
        receive: (stream, options) => stream.receive_line(options),
        ask: stream => stream.receive_line(),
        textOf: line => line,
        joined: data => data.map(text).join('').split('\n').filter(line => line !== ''),
    },
};

for (const [name, {type, loop, receive, ask, textOf, joined}] of Object.entries(SHAPES)) {
    testSocket(`${name}: loops that are left, and calls`, async fixture => {
        const [, second] = filled(fixture, type);
        const got = [];
        for (let round = 0; round < 30; round++) {
            for await (const item of loop(second)) {
                got.push(textOf(item));
                if (got.length % (round % 5 + 1) === 0)
                    break;
            }
            got.push(await receive(second));
        }
        for await (const item of loop(second))
            got.push(textOf(item));
        equal(got, NUMBERS);
    });

    testSocket(`${name}: a handler takes the rest`, async fixture => {
        for (const connectFirst of [true, false]) {
            const [, second] = filled(fixture, type);
            const got = [];
            const data = [];
            const log = new Log(second, 'end', 'close');
            for await (const item of loop(second)) {
                got.push(textOf(item));
                if (got.length < 50)
                    continue;
                if (connectFirst) {
                    second.connect('data', (_channel, bytes) => data.push(bytes));
                    turns();
                }
                break;
            }
            if (!connectFirst)
                second.connect('data', (_channel, bytes) => data.push(bytes));
            await log.wait('end');
            equal([...got, ...joined(data)], NUMBERS);
        }
    });

    // Who calls gets one; the handler is not kept from those after it.
    testSocket(`${name}: a handler that calls`, async fixture => {
        const [, second] = filled(fixture, type);
        const log = new Log(second, 'end');
        const data = [];
        const got = [];
        second.connect('data', (_channel, bytes) => {
            data.push(bytes);
            ask(second).then(item => got.push(item === null ? null : textOf(item)), () => {});
        });
        await log.wait('end');
        const numbers = [...joined(data), ...got.filter(item => item !== null)];
        equal(numbers.map(Number).sort((one, other) => one - other), NUMBERS.map(Number));
    });

    testSocket(`${name}: closed in the loop`, async fixture => {
        for (const close of [c => c.close(), c => c.destroy(), c => c.destroy(new Error('x'))]) {
            const [, second] = filled(fixture, type);
            let n = 0;
            await rejects((async () => {
                for await (const item of loop(second)) {
                    ok(textOf(item) === `${n}`);
                    if (++n === 20)
                        close(second);
                }
            })(), GLib.Error);
            equal(n, 20);
        }
    });

    testSocket(`${name}: paused in the loop`, async fixture => {
        const [, second] = filled(fixture, type);
        const got = [];
        let paused = false;
        for await (const item of loop(second)) {
            ok(!paused, 'nothing comes while it is paused, and paused');
            got.push(textOf(item));
            if (got.length % 30 !== 0)
                continue;
            second.pause();
            paused = true;
            GLib.timeout_add(GLib.PRIORITY_DEFAULT, 5, () => {
                paused = false;
                second.resume();
                return GLib.SOURCE_REMOVE;
            });
        }
        equal(got, NUMBERS);
    });

    testSocket(`${name}: the end waits for the loop`, async fixture => {
        const [first, second] = filled(fixture, type);
        const log = new Log(second, 'end', 'close');
        first.close();
        const got = [];
        for await (const item of loop(second)) {
            got.push(textOf(item));
            if (got.length % 10 === 0)
                turns();
            if (got.length < N - 1)
                equal(log.length, 0);
        }
        equal(got, NUMBERS);
        await log.wait('close');
        equal(log.names, ['end', 'close']);
    });

    testSocket(`${name}: races`, async fixture => {
        const [, second] = filled(fixture, type);
        const iterator = loop(second)[Symbol.asyncIterator]();
        const got = [];
        while (got.length < N - 10) {
            equal(await Promise.race(['there', ask(second), iterator.next()]), 'there');
            const losing = iterator.next();
            equal(await Promise.race(['there', losing]), 'there');
            got.push(textOf((await losing).value));
            await Promise.all([Promise.reject(new Error()), iterator.next()]).catch(() => {});
            got.push(...(await Promise.all([iterator.next(), iterator.next()])).map(
                ({value}) => textOf(value)));
        }
        await iterator.return();
        for await (const item of loop(second))
            got.push(textOf(item));
        equal(got, NUMBERS);
    });

    testSocket(`${name}: many at once`, async fixture => {
        const [, second] = filled(fixture, type);
        const got = [];
        const take = async () => {
            for (let item; (item = await receive(second)) !== null;)
                got.push(item);
        };
        await Promise.all([take(), take(), take()]);
        equal(got.sort((a, b) => a - b), NUMBERS);
    });

    testSocket(`${name}: cancelled and late`, async fixture => {
        const [, second] = filled(fixture, type);
        const cancellable = new Gio.Cancellable();
        cancellable.cancel();
        const got = [];
        for (;;) {
            await rejects(receive(second, cancellable), Code, Code.CANCELLED);
            const item = await receive(second, {timeout: 10_000});
            if (item === null)
                break;
            got.push(item);
        }
        equal(got, NUMBERS);
    });
}

testSocket('messages, and then bytes', async fixture => {
    const [first, second] = Usock.Stream.pair().map(channel => fixture.keep(channel));
    first.send('one\r\ntwo\nthree\r\nfour\nfive\n1234rest');
    equal(await second.receive_line(), 'one');
    equal([second.get_line_ending(), second.was_cut_off()], ['\r\n', false]);
    equal(await second.receive_line(), 'two');
    equal(second.get_line_ending(), '\n');
    for await (const line of second.lines()) {
        equal([line, second.get_line_ending()], ['three', '\r\n']);
        break;
    }
    equal((await second.receive_line_bytes()).text, 'four');
    equal((await second.receive_until('4')).text, 'five\n123');
    second.unread(Usock.Message.new('more\r\n'));
    equal(await second.receive_line(), 'more');
    equal((await second.receive_exactly(2)).text, 're');
    first.end();
    equal(await second.receive_line(), 'st');
    equal([second.get_line_ending(), second.was_cut_off()], [null, true]);
});

testSocket('lines that lose keep what ended them', async fixture => {
    const [first, second] = Usock.Stream.pair().map(channel => fixture.keep(channel));
    first.send('one\r\ntwo\nthree\r\nfour');
    equal(await second.receive_line(), 'one');
    for (let i = 0; i < 3; i++)
        equal(await Promise.race(['there', second.receive_line(), second.receive_line()]), 'there');
    equal((await second.receive_exactly(11)).text, 'two\nthree\r\n');
});

testSocket('given away in the loop', async fixture => {
    const [first, second] = Usock.Stream.pair().map(channel => fixture.keep(channel));
    first.send('one\ntwo\r\nthree\nfour');
    for await (const line of second.lines()) {
        equal(line, 'one');
        break;
    }
    equal(await second.receive_line(), 'two');
    const [connection, unread] = second.steal_connection();
    equal(text(unread), 'three\nfour');
    connection.close(null);
});

testSocket('payloads taken by hand', async fixture => {
    const [first, second] = filled(fixture, Usock.Seqpacket, false);
    const got = [];
    while (got.length < N) {
        const payloads = second.take_payloads(5);
        ok(payloads.length <= 5);
        got.push(...payloads);
        if (payloads.length === 0)
            got.push((await second.receive()).data);
    }
    equal(got.map(text), NUMBERS);
    first.send('x');
    await waitFor(() => true);
});

testSocket('taken by hand', async fixture => {
    const [first, second] = filled(fixture, Usock.Seqpacket, false);
    const got = [];
    while (got.length < N) {
        const messages = second.take_messages(0);
        if (messages.length === 0) {
            got.push((await second.receive()).text);
        } else if (messages.length > 3) {
            second.unread_messages(messages.slice(1));
            got.push(messages[0].text);
        } else
            got.push(...messages.map(message => message.text));
    }
    equal(got, NUMBERS);
    first.send('x');
    await waitFor(() => true);
});

run();
