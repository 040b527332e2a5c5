#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Asks questions, and prints the answers: dgram-client.js PATH QUESTION...

import System from 'system';
import Usock from 'gi://Usock?version=1';

const [path, ...questions] = System.programArgs;
const client = new Usock.Dgram();
client.autobind();  // a name of our own, so that we can be answered
client.connect_to_path(path);
for (const question of questions) {
    client.send(question);
    print((await client.receive()).text);
}
client.close();
