#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Prints what is logged: syslog-receiver.js PATH, and then logger --socket PATH TEXT

import System from 'system';
import Usock from 'gi://Usock?version=1';

const log = new Usock.Dgram({mode: 0o666});
log.bind(System.programArgs[0]);
for await (const message of log) {
    const [, priority, text] = message.text.match(/^<(\d+)>(.*)/s) ?? [];
    if (priority)
        print(`facility ${priority >> 3}, severity ${priority & 7}: ${text}`);
}
