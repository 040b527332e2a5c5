#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Sends lines by TCP and prints what comes back: tcp-echo-client.js HOST PORT TEXT...

import System from 'system';
import Usock from 'gi://Usock?version=1';

const [host, port, ...questions] = System.programArgs;
const stream = await new Usock.Stream().open_host(host, Number(port));
for (const question of questions) {
    await stream.send_async(`${question}\n`);
    const answer = await stream.receive_line();
    if (answer === null)
        throw new Error('the server has gone');
    print(answer);
}
stream.close();
