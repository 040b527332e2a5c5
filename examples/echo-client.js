#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later
import System from 'system';
import Usock from 'gi://Usock?version=1';

const [path, ...questions] = System.programArgs;
const channel = await new Usock.Seqpacket().open(path);
for (const question of questions) {
    await channel.send_async(question);
    const answer = await channel.receive();
    if (answer === null)
        throw new Error('the server has gone');
    print(answer.text);
}
channel.close();
