#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Accepts one client of a listening socket that comes by standard input, a packet socket.

import Gio from 'gi://Gio';
import Usock from 'gi://Usock?version=1';

const parent = Usock.Seqpacket.new_from_fd(0);
parent.max_fds = 1;  // until then they are refused
parent.send('ready');
const message = await parent.receive();
const server = new Usock.Server({socket_type: Gio.SocketType.STREAM});
server.listen_on_fd(message.take_fd(0), 0);

for await (const client of server) {
    client.end_with_message(`process ${new Gio.Credentials().get_unix_pid()} greets you\n`);
    break;
}
server.close();
parent.close();
