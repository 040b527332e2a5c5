#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Answers each question in capitals: dgram-server.js PATH

import System from 'system';
import Usock from 'gi://Usock?version=1';

const server = new Usock.Dgram();
server.bind(System.programArgs[0]);
for await (const question of server) {
    try {
        server.send_to(question.text.toUpperCase(), question.sender);
    } catch (error) {
        printerr(error.message);  // the client is gone, or has no name
    }
}
