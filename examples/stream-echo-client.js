#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later
import System from 'system';
import Usock from 'gi://Usock?version=1';

const [path, ...questions] = System.programArgs;
const stream = await new Usock.Stream().open(path);
for (const question of questions) {
    await stream.send_async(`${question}\n`);
    const answer = await stream.receive_line();
    if (answer === null)
        throw new Error('the server has gone');
    print(answer);
}
stream.close();
