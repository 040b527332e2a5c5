#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later
import System from 'system';
import Usock from 'gi://Usock?version=1';

async function echo(channel) {
    for await (const message of channel)
        await channel.send_async(message);  // waits while the client does not read
}

const server = new Usock.Server();
server.connect('connection', (_server, channel) => void echo(channel).catch(logError));
server.listen(System.programArgs[0]);
Usock.run_until_closed();
