#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Returns by TCP what it is sent: tcp-echo-server.js HOST [PORT], says where it listens

import Gio from 'gi://Gio';
import System from 'system';
import Usock from 'gi://Usock?version=1';

async function echo(channel) {
    for await (const message of channel)
        await channel.send_async(message);  // waits while the client does not read
}

const [host, port] = System.programArgs;
const server = Usock.Server.new(Gio.SocketType.STREAM);
server.connect('connection', (_server, channel) => void echo(channel).catch(logError));
server.listen_on_host(host, Number(port ?? 0));
print(Usock.address_to_string(server.local_address));
Usock.run_until_closed();
