#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later
// Asks, whenever its server is there: steady-client.js PATH QUESTION
import System from 'system';
import Usock from 'gi://Usock?version=1';

const [path, question] = System.programArgs;
const client = new Usock.Client({max_delay: 500});
client.start(path);
for await (const channel of client) {
    channel.send(question);
    for await (const message of channel)
        print(message.text);
}
