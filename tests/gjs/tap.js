// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What the GJS tests share: test() adds one, which may be async; run() runs them all and reports
// in TAP. Whoever hangs fails after so many seconds (30 times that under valgrind).

import GLib from 'gi://GLib';
import System from 'system';

const SLOW = GLib.getenv('USOCK_TEST_SLOW') ? 30 : 1;
const tests = [];

export function test(name, body) {
    tests.push({name, body});
}

export function run(seconds = 180) {
    const loop = new GLib.MainLoop(null, false);
    let failed = 0;
    print(`1..${tests.length}`);
    (async () => {
        for (const [index, {name, body}] of tests.entries()) {
            let problem = null;
            try {
                await withDeadline(body, seconds * SLOW);
            } catch (e) {
                problem = e;
                failed++;
            }
            if (problem)
                print(`${problem.message ?? problem}\n${problem.stack ?? ''}`.replace(/^/gm, '# '));
            print(`${problem ? 'not ok' : 'ok'} ${index + 1} ${name}`);
        }
    })().finally(() => loop.quit());
    loop.run();
    System.exit(failed ? 1 : 0);
}

async function withDeadline(body, seconds) {
    let id;
    const expired = new Promise((_, reject) => {
        id = GLib.timeout_add_seconds(GLib.PRIORITY_DEFAULT, seconds, () => {
            id = 0;
            reject(new Error(`not finished after ${seconds} seconds`));
            return GLib.SOURCE_REMOVE;
        });
    });
    try {
        await Promise.race([body(), expired]);
    } finally {
        if (id)
            GLib.source_remove(id);
    }
}

export function ok(value, what = 'value') {
    if (!value)
        throw new Error(`${what} is ${value}`);
}

export function equal(actual, expected, what = 'value') {
    const [a, b] = [actual, expected].map(v => v instanceof Uint8Array ? `bytes ${Array.from(v)}` : v);
    const same = typeof a === 'object' && a && b
        ? JSON.stringify(a) === JSON.stringify(b) : Object.is(a, b);
    if (!same)
        throw new Error(`${what} is ${JSON.stringify(a)}, not ${JSON.stringify(b)}`);
}

function checkError(e, domain, code) {
    if (!e)
        throw new Error('nothing was thrown');
    if (code === undefined ? !(e instanceof domain) : !e.matches?.(domain, code))
        throw e;
    return e;
}

// throws(f, TypeError), or throws(f, Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND)
export function throws(body, domain, code) {
    let thrown = null;
    try {
        body();
    } catch (e) {
        thrown = e;
    }
    return checkError(thrown, domain, code);
}

export async function rejects(promise, domain, code) {
    return checkError(await promise.then(() => null, e => e), domain, code);
}

// Misuse is a critical, which is fatal anywhere else.
export function expectCritical(pattern, body) {
    GLib.test_expect_message('Usock', GLib.LogLevelFlags.LEVEL_CRITICAL, pattern);
    body();
    GLib.test_assert_expected_messages_internal('Usock', 'test', 0, 'expectCritical');
}
