// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What loses a Promise.race() is not lost.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run} from './tap.js';
import {testSocket, turns} from './fixture.js';

const {IOErrorEnum: Code} = Gio;

function later(milliseconds = 1) {
    return new Promise(resolve => {
        GLib.timeout_add(GLib.PRIORITY_DEFAULT, milliseconds, () => {
            resolve('later');
            return GLib.SOURCE_REMOVE;
        });
    });
}

async function rest(channel, n) {
    const got = [];
    for (let i = 0; i < n; i++)
        got.push((await channel.receive()).text);
    return got;
}

for (const type of [Usock.Seqpacket, Usock.Stream]) {
    const pair = fixture => type.pair().map(channel => fixture.keep(channel));

    testSocket(`${type.name}: a receive that lost`, async fixture => {
        const [first, second] = pair(fixture);
        equal(await Promise.race([second.receive(), later()]), 'later');
        first.send('first');
        await later(20);
        equal((await second.receive()).text, 'first');
    });

    testSocket(`${type.name}: a receive that had its message when it lost`, async fixture => {
        const [first, second] = pair(fixture);
        first.send('first');
        const losing = second.receive();
        turns();
        equal(await Promise.race(['there', losing]), 'there');
        await later(20);
        first.send('second');
        equal((await second.receive()).text, 'first');
    });

    testSocket(`${type.name}: a receive that won`, async fixture => {
        const [first, second] = pair(fixture);
        const never = new Promise(() => {});
        for (let i = 0; i < 100; i++) {
            const racing = Promise.race([never, second.receive()]);
            first.send(`${i}`);
            equal((await racing).text, `${i}`);
        }
    });

    testSocket(`${type.name}: one that is kept, and asked again`, async fixture => {
        const [first, second] = pair(fixture);
        const losing = second.receive();
        for (let i = 0; i < 3; i++)
            equal(await Promise.race([losing, later()]), 'later');
        first.send('first');
        equal((await losing).text, 'first');
        const again = second.receive();
        equal(await Promise.race([again, later()]), 'later');
        first.send('second');
        equal((await Promise.race([again, later(10_000)])).text, 'second');
        const third = second.receive();
        const told = third.then(message => message.text);
        equal(await Promise.race([third, later()]), 'later');
        first.send('third');
        equal(await told, 'third');
    });

    testSocket(`${type.name}: any, and several races`, async fixture => {
        const [first, second] = pair(fixture);
        const losing = second.receive();
        const long = Promise.race([losing, later(30).then(() => 'much later')]);
        equal(await Promise.any([losing, later()]), 'later');
        equal(await long, 'much later');
        first.send('first');
        equal((await second.receive()).text, 'first');
    });
}

testSocket('hundreds of races', async fixture => {
    const [first, second] = fixture.pair();
    const sending = (async () => {
        for (let i = 0; i < 500; i++) {
            first.send(`${i}`);
            if (i % 7 === 0)
                await later(i % 11);
        }
        first.end();
    })();
    const got = [];
    let lost = 0;
    for (;;) {
        const message = await Promise.race([second.receive(), later(0)]);
        if (message === null)
            break;
        if (message === 'later')
            lost++;
        else
            got.push(message.text);
    }
    await sending;
    equal(got, Array.from({length: 500}, (_, i) => `${i}`));
    ok(lost > 0, 'races that were lost');
});

testSocket('what others wait for is theirs', async fixture => {
    const [first, second] = fixture.pair();
    const waiting = [second.receive(), second.receive()];
    const all = Promise.all(waiting);
    equal(await Promise.race([second.receive(), later()]), 'later');
    ['one', 'two', 'three'].forEach(text => first.send(text));
    equal((await all).map(message => message.text), ['one', 'two']);
    equal(await rest(second, 1), ['three']);
});

testSocket('lines, text and pieces', async fixture => {
    const [first, second] = Usock.Stream.pair().map(channel => fixture.keep(channel));
    for (const receive of [() => second.receive_line(), () => second.receive_text(),
        () => second.receive_exactly(4), () => second.receive_line_bytes(),
        () => second.receive_until('\n')]) {
        equal(await Promise.race([receive(), later()]), 'later');
        first.send('abc\nrest');
        await later(20);
        equal(await second.receive_line(), 'abc');
        equal((await second.receive_exactly(4)).text, 'rest');

        first.send('abc\nrest');
        const losing = receive();
        await later(20);
        equal(await Promise.race(['there', losing]), 'there');
        equal(await second.receive_line(), 'abc');
        equal((await second.receive_exactly(4)).text, 'rest');
    }
});

testSocket('what ended a line', async fixture => {
    const [first, second] = Usock.Stream.pair().map(channel => fixture.keep(channel));
    for (const receive of [() => second.receive_line(), () => second.receive_line_bytes()]) {
        first.send('abc\r\nrest');
        const losing = receive();
        await later(20);
        equal(await Promise.race(['there', losing]), 'there');
        equal((await second.receive_exactly(9)).text, 'abc\r\nrest');
    }
});

testSocket('what the end cut off', async fixture => {
    for (const name of ['receive_line', 'receive_line_bytes', 'receive_until']) {
        const [first, second] = Usock.Stream.pair().map(channel => fixture.keep(channel));
        second.allow_half_open = true;
        first.send('abc');
        first.end();
        const losing = second[name]('receive_until' === name ? '\n' : undefined);
        await later(20);
        equal(await Promise.race(['there', losing]), 'there');
        equal(await second.receive_line(), 'abc');
        ok(second.was_cut_off(), `${name}: no whole line`);
    }
});

testSocket('a loop goes on where a race was lost', async fixture => {
    const [first, second] = fixture.pair();
    first.send('first');
    const losing = second.receive();
    turns();
    await Promise.race(['there', losing]);
    first.send('second');
    first.end();
    const got = [];
    for await (const message of second)
        got.push(message.text);
    equal(got, ['first', 'second']);
});

testSocket('timeouts and cancellables in a race', async fixture => {
    const [first, second] = fixture.pair();
    const cancellable = new Gio.Cancellable();
    await rejects(Promise.race([second.receive({timeout: 1}), later(10_000)]), Code, Code.TIMED_OUT);
    equal(await Promise.race([second.receive({timeout: 10_000, cancellable}), later()]), 'later');
    cancellable.cancel();
    first.send('first');
    equal(await rest(second, 1), ['first']);
});

testSocket('an end, and an error, that lose', async fixture => {
    const [first, second] = fixture.pair();
    second.allow_half_open = true;
    first.end();
    const losing = second.receive();
    await later(20);
    equal(await Promise.race(['there', losing]), 'there');
    equal(await second.receive(), null);
    const [, closed] = fixture.pair();
    equal(await Promise.race([closed.receive(), later()]), 'later');
    closed.close();
    await rejects(closed.receive(), Code, Code.CLOSED);
});

testSocket('races of others are as they were', async () => {
    equal(await Promise.race([later(10_000), 5]), 5);
    equal(await Promise.race(new Set([1])), 1);
    await rejects(Promise.race(5), TypeError);
    await rejects(Promise.race([Promise.reject(new RangeError())]), RangeError);
    class Own extends Promise {}
    ok(Own.race([1]) instanceof Own, 'a race of a class of its own');
});

testSocket('it is a promise', async fixture => {
    const [first, second] = fixture.pair();
    const promise = second.receive();
    ok(promise instanceof Promise, 'a promise');
    equal(promise.constructor, Promise);
    first.send('x');
    let done = false;
    await promise.finally(() => (done = true));
    equal(done, true);
    await rejects(second.receive({timeout: 0}), Code, Code.TIMED_OUT);
    equal(await second.receive({timeout: 0}).catch(() => 'caught'), 'caught');
});

run();
