// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What the tests of calls that fail share: which, how and when, and handlers that throw.

import GLib from 'gi://GLib';
import UsockFaults from 'gi://UsockFaults?version=1';

import {testSocket} from './fixture.js';

const SHORTAGES = {EMFILE: 24, ENFILE: 23, ENOBUFS: 105, ENOMEM: 12, ETOOMANYREFS: 109, EINTR: 4};
// shutdown(2) needs nothing that could be short.
const CALLS = ['socket', 'socketpair', 'bind', 'listen', 'accept', 'connect', 'send', 'receive',
    'getsockopt', 'setsockopt', 'getsockname'];
const WHEN = [[1, 0], [2, 0], [3, 2]];

let nThrown = 0;

// Whoever is told of another exception, or of one twice, ends the script.
export function raise(error) {
    GLib.test_expect_message('Gjs', GLib.LogLevelFlags.LEVEL_CRITICAL, `*${error.message}*`);
    throw error;
}

export function fail(what) {
    raise(new Error(`on purpose: ${what} ${++nThrown}.`));
}

// Each way in which each call fails, and each exception is reported once.
export function testFaults(name, check) {
    for (const call of CALLS) {
        testSocket(`${call} of a ${name}`, async fixture => {
            for (const [shortage, number] of Object.entries(SHORTAGES)) {
                for (const when of WHEN) {
                    try {
                        await check(fixture, [call, number, ...when]);
                        GLib.test_assert_expected_messages_internal('Gjs', 'faults.js', 0, 'exceptions');
                    } catch (error) {
                        error.message = `${shortage} ${when}: ${error.message}`;
                        throw error;
                    } finally {
                        UsockFaults.clear();
                    }
                }
            }
        });
    }
}
